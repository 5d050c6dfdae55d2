//! Softmax and cross-entropy.          book: network/softmax_cross_entropy
//!
//!   p_bv = exp(x_bv - m_b) / Σ_k exp(x_bk - m_b),     m_b = max_k x_bk
//!   loss = -1/B Σ_bv t_bv ln p_bv
//!
//!   x (B,V) logits, t (B,V) targets  ->  p (B,V) probabilities, loss in nats
//!
//! Rows labelled [`IGNORE`] have a target of zeros; B counts the others.
//!
//! Subtracting the row's maximum changes no result and keeps every exponential
//! in `[0,1]`: logits of ±10⁴ are as good as any. Their logarithm is taken off
//! what that leaves, `(x - m) - ln Σ`: in `x - (m + ln Σ)` a large `m` would
//! round it away.
//!
//! [`binary`] has the same for two classes and one logit.

pub mod binary;
pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Probabilities `y` (B,V) from logits `x` (B,V); every row sums to 1.
///
/// Kept for the VJP: the output `y` alone.
///
/// ```
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let y = softmax::forward(array![[0., 3f64.ln()]].view());
/// assert!((&y - array![[0.25, 0.75]]).iter().all(|d| d.abs() < 1e-15));
/// ```
// ANCHOR: forward
pub fn forward(x: ArrayView2<f64>) -> Array2<f64> {
    let m = row_max(x).insert_axis(Axis(1)); //            (B,1)
    let e = (&x - &m).exp(); //                            (B,V)
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1)); //   (B,1)
    e / s //                                               (B,V)
}
// ANCHOR_END: forward

/// `dx = y ⊙ (dy - ⟨y, dy⟩)`, row by row: one number per row, 4V operations,
/// where the Jacobian of [`jacobian`] has V² entries.
///
/// `y` (B,V), the output of [`forward`], and its cotangent `dy` (B,V) give
/// `dx` (B,V). The logits are not needed. Every row of `dx` sums to 0.
///
/// Panics if the shapes differ.
#[track_caller]
// ANCHOR: vjp
pub fn vjp(y: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    assert_same("softmax vjp", "y", y.shape(), "dy", dy.shape());
    let dot = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1)); // (B,1)
    &y * &(&dy - &dot) //                                           (B,V)
}
// ANCHOR_END: vjp

/// `J_ij = ∂y_i/∂x_j = y_i(δ_ij - y_j)`, that is `diag(y) - y·yᵀ`, for one row.
///
/// `y` (V) from [`forward`] gives `J` (V,V): symmetric, positive semidefinite
/// (`vᵀ·J·v` is the variance of `v` under `y`), and `J·1 = 0`. For looking at;
/// a backward pass never builds it.
pub fn jacobian(y: ArrayView1<f64>) -> Array2<f64> {
    let column = y.insert_axis(Axis(1)); //                  (V,1)
    Array2::from_diag(&y) - column.dot(&column.t()) //       (V,V)
}

/// `y = softmax(x/τ)`: flatter for a temperature `τ > 1`, sharper below 1.
///
/// `x` (B,V) logits and `tau` > 0, no unit, give `y` (B,V).
pub fn tempered(x: ArrayView2<f64>, tau: f64) -> Array2<f64> {
    let m = row_max(x).insert_axis(Axis(1)); // a large m/τ would be rounded
    forward(((&x - &m) / tau).view())
}

/// `dx = y ⊙ (dy - ⟨y, dy⟩)/τ`: the division is one more step of the chain.
///
/// `y` (B,V) from [`tempered`] with the same `tau`, `dy` (B,V) its cotangent.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn tempered_vjp(
    y: ArrayView2<f64>,
    tau: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    vjp(y, dy) / tau
}

/// `lse_b = ln Σ_v exp(x_bv) = m_b + ln Σ_v exp(x_bv - m_b)`.
///
/// `x` (B,V) gives (B). Kept for the VJP: `x`. A row of `-∞` gives `-∞`.
pub fn log_sum_exp(x: ArrayView2<f64>) -> Array1<f64> {
    // A row of -∞ has no finite maximum to subtract; its lse is -∞.
    let m = row_max(x).mapv(|m| if m == f64::NEG_INFINITY { 0. } else { m });
    let s = (&x - &m.view().insert_axis(Axis(1)))
        .exp()
        .sum_axis(Axis(1));
    m + s.ln()
}

/// `dx_bv = p_bv·dlse_b`: the gradient of log-sum-exp is softmax.
///
/// `x` (B,V) and the cotangent `dlse` (B) give `dx` (B,V). The output is of no
/// use: `exp(x - lse)` has lost what `lse` rounded away.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn log_sum_exp_vjp(
    x: ArrayView2<f64>,
    dlse: ArrayView1<f64>,
) -> Array2<f64> {
    let rows = [x.nrows()];
    assert_same("log_sum_exp vjp", "rows", &rows, "dlse", dlse.shape());
    forward(x) * dlse.insert_axis(Axis(1))
}

/// `y_bv = x_bv - lse_b = (x_bv - m_b) - ln Σ_k exp(x_bk - m_b)`: the
/// logarithm of softmax, with no `ln 0`.
///
/// `x` (B,V) gives `y` (B,V). Kept for the VJP: `y`. A row of `-∞` gives NaN:
/// no class is possible.
///
/// ```
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// // The logarithm is not rounded away by logits that no digit is left in.
/// let x = array![[1e16, 1e16]];
/// let y = softmax::log_softmax(x.view());
/// assert_eq!(y, array![[0.5f64.ln(), 0.5f64.ln()]]);
/// assert_eq!(softmax::log_sum_exp(x.view()), array![1e16]);
/// ```
// ANCHOR: log_softmax
pub fn log_softmax(x: ArrayView2<f64>) -> Array2<f64> {
    let y = &x - &row_max(x).insert_axis(Axis(1)); // (B,V)
    let log_s = y.exp().sum_axis(Axis(1)).ln(); //    (B)
    y - log_s.insert_axis(Axis(1)) //                 (B,V)
}
// ANCHOR_END: log_softmax

/// `dx_bv = dy_bv - exp(y_bv)·Σ_k dy_bk`.
///
/// `y` (B,V) is the output of [`log_softmax`], `dy` (B,V) its cotangent.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn log_softmax_vjp(y: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    assert_same("log_softmax vjp", "y", y.shape(), "dy", dy.shape());
    let sum = dy.sum_axis(Axis(1)).insert_axis(Axis(1)); // (B,1)
    &dy - &(y.exp() * sum) //                               (B,V)
}

/// The label of a row that has no target: padding, or a prompt whose words are
/// not to be learned. Such a row has no loss and no gradient, and the mean is
/// over the others. It is the largest number that the labels of every backend
/// hold.
pub const IGNORE: usize = u32::MAX as usize;

/// The target rows for labels, with label smoothing:
/// `t_bv = (1-ε)·[v = label_b] + ε/V`.
///
/// `labels` (B) in `0..classes`; `smoothing` ε in `[0,1]`, no unit; ε = 0 is
/// one-hot, and with ε = 1, which no loss of a
/// [`Device`](crate::device::Device) takes, a label says nothing. Gives `t`
/// (B,V); every row sums to 1, but one labelled [`IGNORE`] is all zeros.
///
/// Panics if a label is not below `classes`.
///
/// Source: Szegedy et al. 2016, section 7.
#[track_caller]
pub fn targets(
    labels: &[usize],
    classes: usize,
    smoothing: f64,
) -> Array2<f64> {
    let mut t = Array2::zeros((labels.len(), classes));
    for (&v, mut t) in labels.iter().zip(t.rows_mut()) {
        if v == IGNORE {
            continue;
        }
        assert!(v < classes, "targets: label {v} among {classes} classes");
        t.fill(smoothing / classes as f64);
        t[v] += 1. - smoothing;
    }
    t
}

/// That `smoothing` is in `[0,1)`, as every loss of every backend asks: at 1 a
/// label says nothing, and outside a target is negative.
#[track_caller]
pub(crate) fn assert_smoothing(op: &str, smoothing: f64) {
    assert!(
        (0. ..1.).contains(&smoothing), // no NaN is
        "{op}: smoothing {smoothing} is not in [0, 1)",
    );
}

/// Mean cross-entropy, in nats, of logits `x` (B,V) against targets `t` (B,V):
/// `loss = -1/B Σ_bv t_bv·log_softmax(x)_bv`. Returns `(loss, p)` with the
/// probabilities `p` (B,V), which is what the VJP keeps (and `t`).
///
/// A target of exactly 0 contributes 0, even where the log-probability is -∞.
/// A row whose targets are all 0 is ignored: B counts the other rows.
///
/// Panics if the shapes differ, or if no row is left to take the mean of: the
/// batch is empty or all its rows are ignored.
///
/// ```
/// use backprop::network::softmax_cross_entropy::{cross_entropy, targets};
/// use ndarray::Array2;
/// // With equal logits every class costs ln V.
/// let t = targets(&[3, 0], 10, 0.);
/// let (loss, _) = cross_entropy(Array2::zeros((2, 10)).view(), t.view());
/// assert!((loss - 10f64.ln()).abs() < 1e-15);
/// ```
#[track_caller]
pub fn cross_entropy(
    x: ArrayView2<f64>,
    t: ArrayView2<f64>,
) -> (f64, Array2<f64>) {
    assert_same("cross_entropy", "x", x.shape(), "t", t.shape());
    let b = counted(t); // the rows that have a target
    assert!(b > 0, "cross_entropy: an empty batch has no mean");
    let log_p = log_softmax(x); // (B,V)
    // A logit of -∞ gives 0·ln 0 where the target is 0: it costs nothing.
    let cost = |(t, l): (&f64, &f64)| if *t == 0. { 0. } else { t * l };
    let sum: f64 = t.iter().zip(&log_p).map(cost).sum();
    (-sum / b as f64, log_p.exp())
}

/// `dx_bv = (p_bv·Σ_k t_bk - t_bv)·dloss/B`, which is `(p - t)·dloss/B` when
/// every target row sums to 1.
///
/// `p` (B,V) from [`cross_entropy`], the same `t` (B,V), `dloss` the cotangent
/// of the loss (a number); `dx` (B,V). Neither a logarithm nor a division by
/// `p` is left: what cancelled on paper needs no code, and cannot overflow.
///
/// Panics if the shapes differ.
#[track_caller]
// ANCHOR: cross_entropy_vjp
pub fn cross_entropy_vjp(
    p: ArrayView2<f64>,
    t: ArrayView2<f64>,
    dloss: f64,
) -> Array2<f64> {
    assert_same("cross_entropy vjp", "p", p.shape(), "t", t.shape());
    let mass = t.sum_axis(Axis(1)).insert_axis(Axis(1)); // (B,1)
    (&p * &mass - t) * (dloss / counted(t) as f64) //       (B,V)
}
// ANCHOR_END: cross_entropy_vjp

/// How many rows have a target: the B of the mean.
fn counted(t: ArrayView2<f64>) -> usize {
    t.rows()
        .into_iter()
        .filter(|t| t.iter().any(|t| *t != 0.))
        .count()
}

fn row_max(x: ArrayView2<f64>) -> Array1<f64> {
    x.fold_axis(Axis(1), f64::NEG_INFINITY, |m, v| m.max(*v))
}

/// Logits of shape `x` (B,V) and `labels` many labels, of which `counted` are
/// not [`IGNORE`], and the largest of those.
#[track_caller]
fn assert_labels(
    x: [usize; 2],
    labels: usize,
    largest: Option<usize>,
    counted: usize,
) {
    let [batch, classes] = x;
    assert_eq!(batch, labels, "softmax_ce: x {x:?}, {labels} labels");
    if let Some(v) = largest {
        let fits = v < classes;
        assert!(fits, "softmax_ce: label {v} among {classes} classes");
    }
    assert!(
        counted > 0,
        "softmax_ce: an empty batch has no mean: 0 of {batch} rows",
    );
}

#[track_caller]
fn assert_same(op: &str, a: &str, sa: &[usize], b: &str, sb: &[usize]) {
    assert_eq!(sa, sb, "{op}: {a} {sa:?} and {b} {sb:?} differ in shape");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Dimension, arr0, array};

    #[track_caller]
    fn near<D: Dimension>(a: Array<f64, D>, b: Array<f64, D>, tol: f64) {
        assert_eq!(a.shape(), b.shape());
        let worst = (&a - &b).fold(0., |m: f64, d| m.max(d.abs()));
        assert!(worst <= tol, "{a} is {worst:e} from {b}");
    }

    #[test]
    fn softmax_by_hand() {
        let x = array![[0., 2f64.ln(), 5f64.ln()]];
        let y = forward(x.view());
        near(y, array![[0.125, 0.25, 0.625]], 1e-15);
        // ⟨y, dy⟩ = 1 + 0.25 + 0 = 1.25
        let y = array![[0.125, 0.25, 0.625]];
        let dx = vjp(y.view(), array![[8., 1., 0.]].view());
        assert_eq!(dx, array![[0.84375, -0.0625, -0.78125]]);
        assert_eq!(dx.sum(), 0.);
    }

    /// The running example of the chapter.
    fn one_two_three() -> (Array2<f64>, Array2<f64>) {
        let x = array![[1., 2., 3.]];
        let y = forward(x.view());
        (x, y)
    }

    const P: [f64; 3] = [0.0900305732, 0.2447284711, 0.6652409558];

    #[test]
    fn the_jacobian_to_ten_digits() {
        let (_, y) = one_two_three();
        near(y.clone(), array![P], 5e-11);
        let j = jacobian(y.row(0));
        let want = array![
            [0.0819250691, -0.0220330445, -0.0598920245],
            [-0.0220330445, 0.1848364465, -0.1628034020],
            [-0.0598920245, -0.1628034020, 0.2226954265],
        ];
        near(j.clone(), want, 5e-11);
        // Its null space is the constant vector.
        near(j.sum_axis(Axis(1)), array![0., 0., 0.], 1e-15);
        // vᵀJv is the variance of v under y.
        let v = array![3., -1., 2.];
        let mean = y.row(0).dot(&v);
        let square = y.row(0).dot(&(&v * &v));
        near(arr0(v.dot(&j.dot(&v))), arr0(square - mean * mean), 1e-14);
    }

    #[test]
    fn the_jacobian_is_the_mean_of_score_times_score() {
        // Σ_k y_k (e_k - y)(e_k - y)ᵀ: the Fisher matrix of the logits.
        let (_, y) = one_two_three();
        let mut fisher = Array2::zeros((3, 3));
        for k in 0..3 {
            let mut score = -&y;
            score[[0, k]] += 1.;
            fisher.scaled_add(y[[0, k]], &score.t().dot(&score));
        }
        near(fisher, jacobian(y.row(0)), 1e-15);
    }

    #[test]
    fn the_vjp_to_ten_digits_and_its_three_misreadings() {
        let (_, y) = one_two_three();
        let dy = array![[3., -1., 2.]];
        let dx = vjp(y.view(), dy.view());
        let want = array![[0.1480242026, -0.5765423841, 0.4285181814]];
        near(dx.clone(), want, 5e-11);
        near(dx.clone(), dy.dot(&jacobian(y.row(0))), 1e-15);
        near(arr0(dx.sum()), arr0(0.), 1e-15);
        // What betrays a wrong rule is its sum over the row.
        let s = (&y * &dy).sum();
        let sums = [
            ((&y * &(&dy + s)).sum(), 2.7117), //     plus for minus
            ((&y * &dy).sum(), 1.3558), //            the dot product dropped
            ((&y * &(1. - &y) * &dy).sum(), 0.5063), // the diagonal alone
        ];
        for (got, want) in sums {
            near(arr0(got), arr0(want), 5e-5);
        }
    }

    #[test]
    fn a_cotangent_of_ones_sees_nothing() {
        let (_, y) = one_two_three();
        let dx = vjp(y.view(), Array2::ones((1, 3)).view());
        near(dx, Array2::zeros((1, 3)), 1e-15);
    }

    #[test]
    fn cross_entropy_to_ten_digits() {
        let (x, _) = one_two_three();
        for (label, want) in [(2, 0.4076059644), (0, 2.4076059644)] {
            let t = targets(&[label], 3, 0.);
            let (loss, _) = cross_entropy(x.view(), t.view());
            near(arr0(loss), arr0(want), 5e-11);
        }
        let t = targets(&[2], 3, 0.);
        let (_, p) = cross_entropy(x.view(), t.view());
        let dx = cross_entropy_vjp(p.view(), t.view(), 1.);
        let want = array![[0.0900305732, 0.2447284711, -0.3347590442]];
        near(dx.clone(), want, 5e-11);
        // Through the Jacobian it is the same; with ⊙ two entries are lost.
        let dp = -&t / &p;
        near(dp.dot(&jacobian(p.row(0))), dx, 1e-15);
        let hadamard = &dp * &p * (1. - &p);
        near(hadamard, array![[0., 0., -0.3347590442]], 5e-11);
    }

    #[test]
    fn a_common_shift_changes_nothing() {
        let (_, y) = one_two_three();
        let x = array![[1000., 1001., 1002.]];
        near(forward(x.view()), y, 1e-12);
        let (loss, _) = cross_entropy(x.view(), targets(&[2], 3, 0.).view());
        near(arr0(loss), arr0(0.4076059644), 5e-11);
        let naive = x.exp() / x.exp().sum();
        assert!(naive.iter().all(|p| p.is_nan()));
    }

    #[test]
    fn smoothing_to_ten_digits() {
        let (x, _) = one_two_three();
        let t = targets(&[2], 3, 0.1);
        near(t.clone(), array![[1. / 30., 1. / 30., 28. / 30.]], 1e-15);
        let (loss, p) = cross_entropy(x.view(), t.view());
        near(arr0(loss), arr0(0.5076059644), 5e-11);
        let dx = cross_entropy_vjp(p.view(), t.view(), 1.);
        let want = array![[0.0566972398, 0.2113951377, -0.2680923776]];
        near(dx, want, 5e-11);
    }

    #[test]
    fn targets_that_do_not_sum_to_one() {
        // The shortcut p - t sums to 1 - Σt; the gradient sums to 0.
        let (x, _) = one_two_three();
        let t = array![[0.1, 0.1, 1.]];
        let (_, p) = cross_entropy(x.view(), t.view());
        let dx = cross_entropy_vjp(p.view(), t.view(), 1.);
        near(arr0(dx.sum()), arr0(0.), 1e-15);
        near(arr0((&p - &t).sum()), arr0(-0.2), 1e-15);
        let moved = |i: usize, h: f64| {
            let mut x = x.clone();
            x[[0, i]] += h;
            cross_entropy(x.view(), t.view()).0
        };
        for i in 0..3 {
            let slope = (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5;
            near(arr0(dx[[0, i]]), arr0(slope), 1e-9);
        }
    }

    #[test]
    fn an_epsilon_in_the_logarithm_saturates() {
        // -ln(p + 1e-8) at a gap of 25 between the two logits.
        let p = forward(array![[25., 0.]].view())[[0, 1]];
        let slope = (1. - p) * p / (p + 1e-8);
        near(arr0(slope), arr0(1.4e-3), 5e-5);
        let ceiling = -1e-8_f64.ln();
        near(arr0(ceiling), arr0(18.42), 1e-3);
        let t = targets(&[1], 2, 0.);
        let (loss, _) = cross_entropy(array![[25., 0.]].view(), t.view());
        near(arr0(loss), arr0(25.), 1e-10);
    }

    #[test]
    fn softmax_twice_has_a_floor() {
        for (classes, floor) in [(3, 0.5514), (10, 1.4612)] {
            let mut x = Array2::zeros((1, classes));
            x[[0, 0]] = 1e4; // as right as can be
            let p = forward(x.view());
            let t = targets(&[0], classes, 0.);
            let (loss, _) = cross_entropy(p.view(), t.view());
            let exact = (1. + (classes as f64 - 1.) * (-1f64).exp()).ln();
            near(arr0(loss), arr0(exact), 1e-15);
            near(arr0(loss), arr0(floor), 5e-5);
        }
    }

    #[test]
    fn temperature_by_hand() {
        // x/τ = (0, ln 3), so y = (1/4, 3/4).
        let y = tempered(array![[0., 2. * 3f64.ln()]].view(), 2.);
        near(y.clone(), array![[0.25, 0.75]], 1e-15);
        let dx = tempered_vjp(y.view(), 2., array![[4., 8.]].view());
        near(dx, array![[-0.375, 0.375]], 1e-15);
    }

    #[test]
    fn huge_logits_are_harmless() {
        let x = array![[1e4, -1e4, 1e4 - 1.], [-1e4, -1e4, -1e4]];
        let third = 1. / 3.;
        let e = (-1f64).exp();
        let y = array![[1. / (1. + e), 0., e / (1. + e)], [third; 3]];
        near(forward(x.view()), y, 1e-12);
        let lse = log_sum_exp(x.view());
        let want = array![1e4 + (1. + e).ln(), -1e4 + 3f64.ln()];
        near(lse, want, 1e-11);
        let t = targets(&[1, 0], 3, 0.);
        let (loss, p) = cross_entropy(x.view(), t.view());
        // first row: the label is 2·10⁴ below the best
        let want = (2e4 + (1. + e).ln() + 3f64.ln()) / 2.;
        near(arr0(loss), arr0(want), 1e-11);
        assert!(p.iter().all(|p| p.is_finite()));
    }

    #[test]
    fn a_masked_class_has_no_probability() {
        let x = array![[0., f64::NEG_INFINITY, 0.]];
        assert_eq!(forward(x.view()), array![[0.5, 0., 0.5]]);
        let (loss, p) = cross_entropy(x.view(), targets(&[0], 3, 0.).view());
        near(arr0(loss), arr0(2f64.ln()), 1e-15);
        near(p, array![[0.5, 0., 0.5]], 1e-15);
    }

    #[test]
    fn log_sum_exp_of_nothing_but_minus_infinity() {
        let x = array![[f64::NEG_INFINITY, f64::NEG_INFINITY]];
        assert_eq!(log_sum_exp(x.view())[0], f64::NEG_INFINITY);
    }

    #[test]
    fn the_gradient_is_p_minus_t() {
        let p = array![[0.125, 0.25, 0.625], [0.5, 0.25, 0.25]];
        let t = targets(&[2, 0], 3, 0.);
        let dx = cross_entropy_vjp(p.view(), t.view(), 4.);
        assert_eq!(dx, array![[0.25, 0.5, -0.75], [-1., 0.5, 0.5]]);
    }

    #[test]
    fn log_softmax_by_hand() {
        let y = log_softmax(array![[0., 3f64.ln()]].view());
        near(y.clone(), array![[0.25f64.ln(), 0.75f64.ln()]], 1e-15);
        let dx = log_softmax_vjp(y.view(), array![[4., 8.]].view());
        near(dx, array![[1., -1.]], 1e-14);
    }

    #[test]
    fn smoothing_shares_out_the_target() {
        let t = targets(&[1], 4, 0.5);
        assert_eq!(t, array![[0.125, 0.625, 0.125, 0.125]]);
    }

    #[test]
    fn ignored_rows_might_as_well_not_be_there() {
        let x = array![[0., 1., 5.], [9., -9., 2.], [-1., 0., 4.]];
        let kept = array![[0., 1., 5.], [-1., 0., 4.]];
        let t = targets(&[2, IGNORE, 0], 3, 0.1);
        assert_eq!(t.row(1), array![0., 0., 0.]);
        let (loss, p) = cross_entropy(x.view(), t.view());
        let dx = cross_entropy_vjp(p.view(), t.view(), 3.);
        let t = targets(&[2, 0], 3, 0.1);
        let (want, p) = cross_entropy(kept.view(), t.view());
        let want_dx = cross_entropy_vjp(p.view(), t.view(), 3.);
        assert_eq!(loss, want);
        assert_eq!(dx.row(1), array![0., 0., 0.]);
        assert_eq!((dx.row(0), dx.row(2)), (want_dx.row(0), want_dx.row(1)));
    }

    #[test]
    #[should_panic(expected = "an empty batch has no mean")]
    fn a_batch_of_ignored_rows() {
        let t = targets(&[IGNORE, IGNORE], 3, 0.1);
        cross_entropy(Array2::zeros((2, 3)).view(), t.view());
    }

    #[test]
    fn one_class_costs_nothing() {
        let t = targets(&[0, 0], 1, 0.);
        let (loss, p) = cross_entropy(array![[7.], [-3.]].view(), t.view());
        assert_eq!((loss, p.clone()), (0., array![[1.], [1.]]));
        let dx = cross_entropy_vjp(p.view(), t.view(), 1.);
        assert_eq!(dx, array![[0.], [0.]]);
    }

    #[test]
    #[should_panic(expected = "label 3 among 3 classes")]
    fn a_label_out_of_range() {
        targets(&[3], 3, 0.);
    }

    #[test]
    #[should_panic(expected = "an empty batch has no mean")]
    fn an_empty_batch() {
        let none = Array2::zeros((0, 3));
        cross_entropy(none.view(), none.view());
    }
}
