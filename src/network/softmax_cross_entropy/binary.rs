//! Two classes, one logit.
//!
//!   p_b = σ(x_b) = 1/(1 + exp(-x_b))
//!   loss = -1/B Σ_b (t_b ln p_b + (1 - t_b) ln(1 - p_b))
//!
//!   x (B) logits, t (B) targets in `[0,1]`  ->  p (B), loss in nats
//!
//! Softmax of the two logits `(x, 0)`, with the second one fixed.

use ndarray::{Array1, ArrayView1};

/// `loss = 1/B Σ_b ((1 - t_b)·max(x_b, 0) + t_b·max(-x_b, 0) +
/// ln(1 + exp(-|x_b|)))`, in nats: no exponential is above 1, no logarithm
/// below 0, and nothing large is taken from something large. Returns
/// `(loss, p)`. PyTorch's name for it is `BCEWithLogits`.
///
/// `x` (B) logits, `t` (B) targets in `[0,1]`. Kept for the VJP: `p` and `t`.
///
/// Panics if the lengths differ or the batch is empty: no mean exists.
#[track_caller]
pub fn cross_entropy(
    x: ArrayView1<f64>,
    t: ArrayView1<f64>,
) -> (f64, Array1<f64>) {
    assert_same("binary cross_entropy", "x", x.len(), t.len());
    assert!(!x.is_empty(), "binary cross_entropy: an empty batch");
    let cost = |(x, t): (&f64, &f64)| {
        (1. - t) * x.max(0.) + t * (-x).max(0.) + (-x.abs()).exp().ln_1p()
    };
    let sum: f64 = x.iter().zip(t).map(cost).sum();
    // exp may overflow to infinity here, and 1/∞ is the right 0.
    (sum / x.len() as f64, 1. / (1. + (-&x).exp()))
}

/// `dx = (p - t)·dloss/B`, as for softmax.
///
/// `p` (B) from [`cross_entropy`], the same `t` (B), `dloss` the cotangent of
/// the loss; `dx` (B).
///
/// Panics if the lengths differ.
#[track_caller]
pub fn cross_entropy_vjp(
    p: ArrayView1<f64>,
    t: ArrayView1<f64>,
    dloss: f64,
) -> Array1<f64> {
    assert_same("binary cross_entropy vjp", "p", p.len(), t.len());
    (&p - &t) * (dloss / p.len() as f64)
}

#[track_caller]
fn assert_same(op: &str, a: &str, na: usize, nt: usize) {
    assert_eq!(na, nt, "{op}: {a} [{na}] and t [{nt}] differ in length");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::softmax_cross_entropy as softmax;
    use ndarray::array;

    #[track_caller]
    fn near(got: f64, want: f64, tol: f64) {
        assert!((got - want).abs() <= tol, "{got} is not {want}");
    }

    #[test]
    fn one_logit_to_ten_digits() {
        let (x, t) = (array![0.5], array![1.]);
        let (loss, p) = cross_entropy(x.view(), t.view());
        near(loss, 0.4740769842, 5e-11);
        let dx = cross_entropy_vjp(p.view(), t.view(), 1.);
        near(dx[0], -0.3775406688, 5e-11);
    }

    #[test]
    fn it_is_softmax_with_one_logit_fixed_at_zero() {
        let (x, t) = (array![0.5, -1.25, 3.], array![1., 0., 0.3]);
        let (loss, p) = cross_entropy(x.view(), t.view());
        let mut two = ndarray::Array2::zeros((3, 2));
        two.column_mut(0).assign(&x);
        let mut both = ndarray::Array2::zeros((3, 2));
        both.column_mut(0).assign(&t);
        both.column_mut(1).assign(&(1. - &t));
        let (want, q) = softmax::cross_entropy(two.view(), both.view());
        near(loss, want, 1e-15);
        assert!((&p - &q.column(0)).iter().all(|d| d.abs() < 1e-15));
    }

    #[test]
    fn the_residual_belongs_to_a_matched_pair() {
        // Squared error behind a sigmoid keeps the sigmoid's slope; squared
        // error of the logit itself, and cross-entropy, do not.
        let (x, t, h) = (0.5_f64, 1., 1e-5);
        let slope = |f: &dyn Fn(f64) -> f64| (f(x + h) - f(x - h)) / (2. * h);
        let sigmoid = |x: f64| 1. / (1. + (-x).exp());
        let p = sigmoid(x);
        let squared = slope(&|x| (sigmoid(x) - t).powi(2) / 2.);
        near(squared, (p - t) * p * (1. - p), 1e-9);
        let matched = slope(&|x| (x - t).powi(2) / 2.);
        near(matched, x - t, 1e-9);
        let entropy =
            slope(&|x| cross_entropy(array![x].view(), array![t].view()).0);
        near(entropy, p - t, 1e-9);
    }

    #[test]
    fn huge_logits_are_harmless() {
        let (x, t) = (array![1e4, -1e4, 1e4, -1e4], array![1., 0., 0., 1.]);
        let (loss, p) = cross_entropy(x.view(), t.view());
        assert_eq!((loss, p.clone()), (5e3, array![1., 0., 1., 0.]));
        let dx = cross_entropy_vjp(p.view(), t.view(), 4.);
        assert_eq!(dx, array![0., 0., 1., -1.]);
    }

    #[test]
    #[should_panic(expected = "x [2] and t [1] differ in length")]
    fn lengths_must_agree() {
        cross_entropy(array![1., 2.].view(), array![1.].view());
    }
}
