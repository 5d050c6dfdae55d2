//! LayerNorm and RMSNorm: every row at one scale.   book: depth/normalization
//! BatchNorm and GroupNorm are in [`mod@batch`] and [`mod@group`].
//!
//!   layer norm:  x̂ = (x - μ)·r,  μ = mean(x),  r = 1/√(mean((x - μ)²) + ε)
//!                y = γ ⊙ x̂ + β
//!   with g = dy ⊙ γ:
//!                dx = r·(g - mean(g) - x̂·mean(g ⊙ x̂))
//!                dγ = Σ_n dy ⊙ x̂      dβ = Σ_n dy
//!
//!   RMS norm:    x̂ = x·r,  r = 1/√(mean(x²) + ε),  y = γ ⊙ x̂
//!                dx = r·(g - x̂·mean(g ⊙ x̂))         dγ = Σ_n dy ⊙ x̂
//!
//!   x (N,D), γ (D), β (D)  ->  y (N,D);  means are over a row's D entries
//!
//! With ε = 0 a row's `dx` is `r` times what is left of `g` when the directions
//! in which the row can move without moving `x̂` are taken off: the constant
//! row, because `μ` goes along with it, and `x̂` itself, because `r` undoes a
//! stretch. In these two directions `y` does not answer, so no gradient comes
//! back from them. With ε > 0 a stretch is not quite undone, and a little comes
//! back along `x̂`; the formulas hold all the same.

pub mod batch;
pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod group;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s, stack};

/// `y = γ ⊙ x̂ + β`, `x̂ = (x - μ)·r`, with mean `μ` and
/// `r = 1/√(variance + ε)` of each row. The variance is divided by D, not by
/// D - 1. Returns `(y, stats)`.
///
/// `x` (N,D), `gamma` and `beta` (D), `eps` ε ≥ 0 in the square of `x`'s unit;
/// `y` (N,D), and `stats` (N,2): `μ` and `r` of each row.
///
/// Kept for the VJP: `x` and `stats`. Not x̂, which comes back from `x` and two
/// numbers per row with a subtraction and a product; and not `y` in the place
/// of `x`, though the next layer keeps it: `x̂ = (y - β)/γ` fails where γ is 0.
///
/// A row of equal numbers gives `y = β` if ε > 0; so does every row if D = 1.
///
/// Panics if the shapes differ or D is 0: no mean exists.
///
/// Source: Ba, Kiros and Hinton 2016, section 3.
///
/// ```
/// use backprop::depth::normalization::layer_norm;
/// use ndarray::array;
/// // μ = 4, variance (9 + 1 + 1 + 9)/4 = 5, ε = 4: r = 1/3
/// let (one, zero) = (array![3., 3., 3., 3.], array![0., 0., 0., 1.]);
/// let x = array![[1., 3., 5., 7.]];
/// let (y, stats) = layer_norm(x.view(), one.view(), zero.view(), 4.);
/// assert_eq!(y, array![[-3., -1., 1., 4.]]);
/// assert_eq!(stats, array![[4., 1. / 3.]]);
/// ```
#[track_caller]
// ANCHOR: layer_norm
pub fn layer_norm(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    beta: ArrayView1<f64>,
    eps: f64,
) -> (Array2<f64>, Array2<f64>) {
    assert_width("layer_norm", x.shape(), "gamma", gamma.len());
    assert_width("layer_norm", x.shape(), "beta", beta.len());
    let mu = row_mean(&x); //                                   (N)
    let d = &x - &mu.view().insert_axis(Axis(1)); //            (N,D)
    let r = (row_mean(&(&d * &d).view()) + eps).sqrt().recip(); // (N)
    let y = d * r.view().insert_axis(Axis(1)) * gamma + beta; // (N,D)
    (y, stack![Axis(1), mu, r])
}
// ANCHOR_END: layer_norm

/// With `g = dy ⊙ γ`:
///
///   dx = r·(g - mean(g) - x̂·mean(g ⊙ x̂))    dγ = Σ_n dy ⊙ x̂    dβ = Σ_n dy
///
/// `x` (N,D), `gamma` (D) and `stats` (N,2) as in [`layer_norm`], `dy` (N,D)
/// give `dx` (N,D), `dgamma` (D), `dbeta` (D). Exact for any ε: it is in `r`
/// and nowhere else. Every row of `dx` sums to 0.
///
/// Panics if the shapes do not fit.
///
/// ```
/// use backprop::depth::normalization::layer_norm_vjp;
/// use ndarray::array;
/// // x̂ = (-1, 1), g = (4, 0): mean(g) = 2, mean(g ⊙ x̂) = -2
/// let (x, stats) = (array![[3., 7.]], array![[5., 0.5]]);
/// let (gamma, dy) = (array![2., 3.], array![[2., 0.]]);
/// let (dx, dgamma, dbeta) =
///     layer_norm_vjp(x.view(), gamma.view(), stats.view(), dy.view());
/// assert_eq!(dx, array![[0., 0.]]);
/// assert_eq!((dgamma, dbeta), (array![-2., 0.], array![2., 0.]));
/// ```
#[track_caller]
// ANCHOR: layer_norm_vjp
pub fn layer_norm_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    stats: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    assert_vjp(
        "layer_norm vjp",
        x.shape(),
        gamma.len(),
        stats.shape(),
        2,
        dy.shape(),
    );
    let (mu, r) = (stats.slice(s![.., ..1]), stats.slice(s![.., 1..]));
    let x_hat = (&x - &mu) * r; //                              (N,D)
    let g = &dy * &gamma; //                                    (N,D)
    let along_one = row_mean(&g.view()).insert_axis(Axis(1)); // (N,1)
    let along_x_hat = row_mean(&(&g * &x_hat).view()).insert_axis(Axis(1));
    let dx = (g - along_one - &x_hat * &along_x_hat) * r; //    (N,D)
    let dgamma = (&dy * &x_hat).sum_axis(Axis(0)); //           (D)
    (dx, dgamma, dy.sum_axis(Axis(0)))
}
// ANCHOR_END: layer_norm_vjp

/// `y = γ ⊙ x·r` with `r = 1/√(mean(x²) + ε)` of each row: a row is divided by
/// its root mean square, and not centred. Returns `(y, stats)`.
///
/// `x` (N,D), `gamma` (D), `eps` ε ≥ 0 in the square of `x`'s unit; `y` (N,D),
/// and `stats` (N,1): `r` of each row. Kept for the VJP: `x` and `stats`, as
/// in [`layer_norm`].
///
/// A row of zeros gives 0 if ε > 0.
///
/// Panics if the shapes differ or D is 0: no mean exists.
///
/// Source: Zhang and Sennrich 2019, section 4, who write no ε.
///
/// ```
/// use backprop::depth::normalization::rms_norm;
/// use ndarray::array;
/// // mean(x²) = (1 + 49)/2 = 25, ε = 39: r = 1/8
/// let (x, gamma) = (array![[1., 7.]], array![8., 16.]);
/// let (y, r) = rms_norm(x.view(), gamma.view(), 39.);
/// assert_eq!((y, r), (array![[1., 14.]], array![[0.125]]));
/// ```
#[track_caller]
pub fn rms_norm(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    eps: f64,
) -> (Array2<f64>, Array2<f64>) {
    assert_width("rms_norm", x.shape(), "gamma", gamma.len());
    let r = (row_mean(&(&x * &x).view()) + eps).sqrt().recip(); // (N)
    let r = r.insert_axis(Axis(1)); //                             (N,1)
    (&x * &r * gamma, r)
}

/// With `g = dy ⊙ γ` and `x̂ = x·r`:
///
///   dx = r·(g - x̂·mean(g ⊙ x̂))    dγ = Σ_n dy ⊙ x̂
///
/// One projection instead of two: nothing was centred, so the constant row is
/// a direction like any other. `x` (N,D), `gamma` (D) and `stats` (N,1) as in
/// [`rms_norm`], `dy` (N,D) give `dx` (N,D) and `dgamma` (D).
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn rms_norm_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    stats: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>) {
    assert_vjp(
        "rms_norm vjp",
        x.shape(),
        gamma.len(),
        stats.shape(),
        1,
        dy.shape(),
    );
    let x_hat = &x * &stats; //                                 (N,D)
    let g = &dy * &gamma; //                                    (N,D)
    let along_x_hat = row_mean(&(&g * &x_hat).view()).insert_axis(Axis(1)); // (N,1)
    let dx = (g - &x_hat * &along_x_hat) * stats; //            (N,D)
    (dx, (&dy * &x_hat).sum_axis(Axis(0)))
}

/// The mean of each row: (N,D) to (N).
fn row_mean(x: &ArrayView2<f64>) -> Array1<f64> {
    x.sum_axis(Axis(1)) / x.ncols() as f64
}

/// The mean of each column: (N,D) to (D).
fn column_mean(x: &ArrayView2<f64>) -> Array1<f64> {
    x.sum_axis(Axis(0)) / x.nrows() as f64
}

/// `x` (N,D), and a parameter of so many numbers.
#[track_caller]
fn assert_width(op: &str, x: &[usize], name: &str, n: usize) {
    assert!(x[1] > 0, "{op}: x {x:?} has no mean");
    assert_eq!(x[1], n, "{op}: x {x:?} and {name} [{n}]");
}

/// The shapes of a VJP whose `stats` have `kept` numbers per row.
#[track_caller]
fn assert_vjp(
    op: &str,
    x: &[usize],
    gamma: usize,
    stats: &[usize],
    kept: usize,
    dy: &[usize],
) {
    assert_width(op, x, "gamma", gamma);
    assert_eq!(x, dy, "{op}: x {x:?} and dy {dy:?} differ in shape");
    assert_eq!(stats, [x[0], kept], "{op}: x {x:?} and stats {stats:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[track_caller]
    fn near(got: ArrayView1<f64>, want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= tolerance, "{got} is not {want}");
        }
    }

    /// `(x̂, dx, dγ, dβ)` of the row (1, 2, 3, 4) with β = 0.
    fn example(
        gamma: &[f64],
        dy: &[f64],
        eps: f64,
    ) -> (Array2<f64>, Array2<f64>, Array1<f64>, Array1<f64>) {
        let x = array![[1., 2., 3., 4.]];
        let dy = ArrayView2::from_shape((1, 4), dy).unwrap();
        let one = Array1::ones(4);
        let zero = Array1::zeros(4);
        let (x_hat, stats) = layer_norm(x.view(), one.view(), zero.view(), eps);
        let gamma = ArrayView1::from(gamma);
        let (dx, dgamma, dbeta) =
            layer_norm_vjp(x.view(), gamma, stats.view(), dy);
        (x_hat, dx, dgamma, dbeta)
    }

    #[test]
    fn layer_norm_to_nine_digits() {
        let (x_hat, dx, _, _) = example(&[1.; 4], &[1., 0., 0., 0.], 0.);
        let want = [-1.341640786, -0.447213595, 0.447213595, 1.341640786];
        near(x_hat.row(0), &want, 5e-10);
        let want = [0.2683281573, -0.3577708764, -0.0894427191, 0.1788854382];
        near(dx.row(0), &want, 5e-11);
        // What was taken off: the constant row, and x̂.
        assert!(dx.sum().abs() < 1e-15 && (&dx * &x_hat).sum().abs() < 1e-15);
    }

    #[test]
    fn layer_norm_with_gamma_to_nine_digits() {
        let dy = [1., -1., 2., 0.5];
        let (_, dx, dgamma, dbeta) = example(&[1., 2., 3., 4.], &dy, 0.);
        let want = [0.804984472, -2.862167011, 3.309380607, -1.252198067];
        near(dx.row(0), &want, 5e-10);
        let want = [-1.341640786, 0.447213595, 0.894427191, 0.670820393];
        near(dgamma.view(), &want, 5e-10);
        assert_eq!(dbeta.to_vec(), dy);
    }

    #[test]
    fn epsilon_lets_a_little_through_along_x_hat() {
        let (x_hat, dx, _, _) = example(&[1.; 4], &[1., 0., 0., 0.], 1e-5);
        let want = [0.268330304, -0.357768372, -0.089443435, 0.178881503];
        near(dx.row(0), &want, 5e-10);
        assert!(dx.sum().abs() < 1e-15);
        assert!(((&dx * &x_hat).sum() / -9.6e-6 - 1.).abs() < 0.01);
    }

    #[test]
    fn a_cotangent_of_ones_sees_nothing() {
        let (_, dx, _, _) = example(&[1.; 4], &[1.; 4], 0.);
        near(dx.row(0), &[0.; 4], 1e-15);
    }

    #[test]
    fn rms_norm_to_ten_digits() {
        let (x, gamma) = (array![[1., 2., 3., 4.]], Array1::ones(4));
        let (_, stats) = rms_norm(x.view(), gamma.view(), 0.);
        near(stats.row(0), &[1. / 2.7386127875], 5e-11);
        let dy = array![[1., 0., 0., 0.]];
        let (dx, dgamma) =
            rms_norm_vjp(x.view(), gamma.view(), stats.view(), dy.view());
        let want = [0.3529767593, -0.0243432248, -0.0365148372, -0.0486864496];
        near(dx.row(0), &want, 5e-11);
        near(dgamma.view(), &[stats[[0, 0]], 0., 0., 0.], 1e-15);
    }

    /// A large mean over a small spread: 1e4 and 0.01.
    #[test]
    fn a_large_mean_costs_no_variance() {
        let x = array![[1., -1., 1., -1.]] * 0.01 + 1e4;
        let (gamma, beta) = (Array1::ones(4), Array1::zeros(4));
        let (y, _) = layer_norm(x.view(), gamma.view(), beta.view(), 0.);
        near(y.row(0), &[1., -1., 1., -1.], 1e-9);
        // mean(x²) - mean(x)² has 8 of 16 digits left to lose.
        let naive = (&x * &x).mean().unwrap() - x.mean().unwrap().powi(2);
        assert!((naive / 1e-4 - 1.).abs() > 1e-6);
    }

    #[test]
    fn rows_without_spread() {
        let (gamma, beta) = (array![2., 3.], array![5., 7.]);
        let x = array![[1e4, 1e4], [0., 0.]];
        let (y, stats) = layer_norm(x.view(), gamma.view(), beta.view(), 1e-5);
        assert_eq!(y, array![[5., 7.], [5., 7.]]);
        let dy = array![[1., 0.], [0., 2.]];
        let (dx, dgamma, _) =
            layer_norm_vjp(x.view(), gamma.view(), stats.view(), dy.view());
        assert!(dx.iter().all(|d| d.is_finite()) && dgamma.sum() == 0.);
        let (y, _) = rms_norm(array![[0., 0.]].view(), gamma.view(), 1e-5);
        assert_eq!(y, array![[0., 0.]]);
    }

    #[test]
    fn one_entry_is_its_own_mean() {
        let (gamma, beta) = (array![2.], array![5.]);
        let x = array![[7.], [-1e4]];
        let (y, stats) = layer_norm(x.view(), gamma.view(), beta.view(), 1e-5);
        assert_eq!(y, array![[5.], [5.]]);
        let dy = array![[1.], [3.]];
        let (dx, dgamma, dbeta) =
            layer_norm_vjp(x.view(), gamma.view(), stats.view(), dy.view());
        assert_eq!(dx, array![[0.], [0.]]);
        assert_eq!((dgamma[0], dbeta[0]), (0., 4.));
    }

    #[test]
    fn no_rows() {
        let (x, gamma) = (Array2::zeros((0, 3)), Array1::ones(3));
        let (y, stats) = layer_norm(x.view(), gamma.view(), gamma.view(), 0.);
        assert_eq!((y.dim(), stats.dim()), ((0, 3), (0, 2)));
        let (_, dgamma, dbeta) =
            layer_norm_vjp(x.view(), gamma.view(), stats.view(), y.view());
        assert_eq!((dgamma.sum(), dbeta.sum()), (0., 0.));
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let (gamma, beta) = (Array1::ones(2), Array1::zeros(2));
        let x = array![[f64::NAN, 1.], [1., f64::INFINITY], [1., 2.]];
        let (y, _) = layer_norm(x.view(), gamma.view(), beta.view(), 1e-5);
        assert!(y.row(0).iter().all(|y| y.is_nan()));
        assert!(y[[1, 1]].is_nan() && y.row(2).iter().all(|y| y.is_finite()));
    }

    #[test]
    #[should_panic(expected = "layer_norm: x [2, 3] and gamma [4]")]
    fn a_wrong_width_names_both() {
        let (x, g) = (Array2::zeros((2, 3)), Array1::zeros(4));
        layer_norm(x.view(), g.view(), g.view(), 0.);
    }

    #[test]
    #[should_panic(expected = "rms_norm: x [2, 0] has no mean")]
    fn an_empty_row_has_no_mean() {
        rms_norm(Array2::zeros((2, 0)).view(), Array1::zeros(0).view(), 0.);
    }

    #[test]
    #[should_panic(expected = "layer_norm vjp: x [2, 3] and stats [2, 1]")]
    fn stats_of_the_wrong_norm() {
        let (x, g) = (Array2::zeros((2, 3)), Array1::zeros(3));
        let stats = Array2::zeros((2, 1));
        layer_norm_vjp(x.view(), g.view(), stats.view(), x.view());
    }
}
