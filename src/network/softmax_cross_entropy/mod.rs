//! Softmax and cross-entropy.          book: network/softmax_cross_entropy
//!
//!   p_bv = exp(x_bv - m_b) / Σ_k exp(x_bk - m_b),     m_b = max_k x_bk
//!   loss = -1/B Σ_bv t_bv ln p_bv
//!
//!   x (B,V) logits, t (B,V) targets  ->  p (B,V) probabilities, loss in nats
//!
//! Subtracting the row's maximum changes no result and keeps every exponential
//! in `[0,1]`: logits of ±10⁴ are as good as any.

pub mod fused;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

// ANCHOR: forward
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
pub fn forward(x: ArrayView2<f64>) -> Array2<f64> {
    let m = row_max(x).insert_axis(Axis(1)); //            (B,1)
    let e = (&x - &m).exp(); //                            (B,V)
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1)); //   (B,1)
    e / s //                                               (B,V)
}
// ANCHOR_END: forward

// ANCHOR: vjp
/// `dx = y ⊙ (dy - ⟨y, dy⟩)`, row by row.
///
/// `y` (B,V) is the output of [`forward`], `dy` (B,V) its cotangent.
/// The logits are not needed.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn vjp(y: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    assert_same("softmax vjp", "y", y.shape(), "dy", dy.shape());
    let s = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1)); // (B,1)
    &y * &(&dy - &s) //                                           (B,V)
}
// ANCHOR_END: vjp

// ANCHOR: log_sum_exp
/// `lse_b = ln Σ_v exp(x_bv) = m_b + ln Σ_v exp(x_bv - m_b)`.
///
/// `x` (B,V) gives (B). Kept for the VJP: `x` (and `lse`, to get the softmax
/// without summing again). A row of `-∞` gives `-∞`.
pub fn log_sum_exp(x: ArrayView2<f64>) -> Array1<f64> {
    let m = row_max(x).mapv(|m| if m == f64::NEG_INFINITY { 0. } else { m });
    let s = (&x - &m.view().insert_axis(Axis(1)))
        .exp()
        .sum_axis(Axis(1));
    m + s.ln()
}

/// `dx_bv = exp(x_bv - lse_b)·dlse_b`: the gradient of log-sum-exp is softmax.
///
/// `x` (B,V), `lse` (B) and the cotangent `dlse` (B) give `dx` (B,V).
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn log_sum_exp_vjp(
    x: ArrayView2<f64>,
    lse: ArrayView1<f64>,
    dlse: ArrayView1<f64>,
) -> Array2<f64> {
    assert_same("log_sum_exp vjp", "lse", lse.shape(), "dlse", dlse.shape());
    (&x - &lse.insert_axis(Axis(1))).exp() * dlse.insert_axis(Axis(1))
}
// ANCHOR_END: log_sum_exp

// ANCHOR: log_softmax
/// `y_bv = x_bv - lse_b`: the logarithm of softmax, with no `ln 0`.
///
/// `x` (B,V) gives `y` (B,V). Kept for the VJP: `y`.
pub fn log_softmax(x: ArrayView2<f64>) -> Array2<f64> {
    &x - &log_sum_exp(x).insert_axis(Axis(1))
}

/// `dx_bv = dy_bv - exp(y_bv)·Σ_k dy_bk`.
///
/// `y` (B,V) is the output of [`log_softmax`], `dy` (B,V) its cotangent.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn log_softmax_vjp(y: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    assert_same("log_softmax vjp", "y", y.shape(), "dy", dy.shape());
    let s = dy.sum_axis(Axis(1)).insert_axis(Axis(1)); // (B,1)
    &dy - &(y.exp() * s) //                               (B,V)
}
// ANCHOR_END: log_softmax

// ANCHOR: targets
/// The target rows for labels, with label smoothing:
/// `t_bv = (1-ε)·[v = label_b] + ε/V`.
///
/// `labels` (B) in `0..classes`; `smoothing` ε in `[0,1)`, no unit; ε = 0 is
/// one-hot. Gives `t` (B,V); every row sums to 1.
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
    let rest = smoothing / classes as f64;
    let mut t = Array2::from_elem((labels.len(), classes), rest);
    for (b, &v) in labels.iter().enumerate() {
        assert!(v < classes, "targets: label {v} among {classes} classes");
        t[[b, v]] += 1. - smoothing;
    }
    t
}
// ANCHOR_END: targets

// ANCHOR: cross_entropy
/// Mean cross-entropy, in nats, of logits `x` (B,V) against targets `t` (B,V):
/// `loss = -1/B Σ_bv t_bv·log_softmax(x)_bv`. Returns `(loss, p)` with the
/// probabilities `p` (B,V), which is what the VJP keeps (and `t`).
///
/// A target of exactly 0 contributes 0, even where the log-probability is -∞.
///
/// Panics if the shapes differ or the batch is empty: no mean exists.
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
    assert!(x.nrows() > 0, "cross_entropy: an empty batch has no mean");
    let log_p = log_softmax(x); // (B,V)
    let cost = |(t, l): (&f64, &f64)| if *t == 0. { 0. } else { t * l };
    let sum: f64 = t.iter().zip(&log_p).map(cost).sum();
    (-sum / x.nrows() as f64, log_p.exp())
}

/// `dx_bv = (p_bv·Σ_k t_bk - t_bv)·dloss/B`, which is `(p - t)·dloss/B` when
/// every target row sums to 1.
///
/// `p` (B,V) from [`cross_entropy`], the same `t` (B,V); `dloss` the cotangent
/// of the loss. Probabilities times cotangent never meet a logarithm: what
/// cancelled on paper needs no code.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn cross_entropy_vjp(
    p: ArrayView2<f64>,
    t: ArrayView2<f64>,
    dloss: f64,
) -> Array2<f64> {
    assert_same("cross_entropy vjp", "p", p.shape(), "t", t.shape());
    let mass = t.sum_axis(Axis(1)).insert_axis(Axis(1)); // (B,1)
    (&p * &mass - t) * (dloss / p.nrows() as f64) //        (B,V)
}
// ANCHOR_END: cross_entropy

fn row_max(x: ArrayView2<f64>) -> Array1<f64> {
    x.fold_axis(Axis(1), f64::NEG_INFINITY, |m, v| m.max(*v))
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
