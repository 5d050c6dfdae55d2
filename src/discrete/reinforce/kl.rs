//! The Kullback-Leibler divergence of two softmax policies, its gradient for
//! either argument, and three estimates of it from one draw.
//!
//!   KL(p‖q) = Σ_k p_k·(ln p_k - ln q_k)
//!
//! For `a` drawn from `p` and `ln r = ln q_a - ln p_a`,
//!
//!   k1 = -ln r,   k2 = ½·(ln r)²,   k3 = r - 1 - ln r.
//!
//! k1 and k3 have the mean `KL(p‖q)`, k2 nearly. Differentiated with the draw
//! held fixed, they are other things altogether: the mean of k1's gradient is
//! 0, that of k2's is `∇KL(p‖q)`, that of k3's is `∇KL(q‖p)`, all with respect
//! to p's logits.

use super::log_prob_vjp;
use crate::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// `KL(p‖q)` of each row, (N), for logits `x` and `y` (N,K) of p and q.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn divergence(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Array1<f64> {
    assert_eq!(x.dim(), y.dim(), "divergence: logits of two policies");
    let (p, q) = (softmax::log_softmax(x), softmax::log_softmax(y));
    (p.exp() * (&p - &q)).sum_axis(Axis(1))
}

/// `(dx, dy)`, both (N,K), of [`divergence`].
///
/// With respect to p's logits `p_k·(ln p_k - ln q_k - KL)`; with respect to q's
/// `q - p`. `log_p` and `log_q` (N,K) are kept, `d` (N) is the cotangent.
///
/// ```
/// use backprop::discrete::reinforce::kl::divergence_vjp;
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let p = softmax::log_softmax(array![[0.5, -0.2, 0.1]].view());
/// let q = softmax::log_softmax(array![[-0.6, 0.9, 0.2]].view());
/// let one = array![1.];
/// let (dx, _) = divergence_vjp(p.view(), q.view(), one.view());
/// let want = [0.4039783388, -0.3035598315, -0.1004185073];
/// assert!(dx.iter().zip(want).all(|(d, w)| (d - w).abs() < 1e-9));
/// // The other direction: p is the second argument there.
/// let (_, dx) = divergence_vjp(q.view(), p.view(), one.view());
/// let want = [0.3317393221, -0.3523235721, 0.0205842500];
/// assert!(dx.iter().zip(want).all(|(d, w)| (d - w).abs() < 1e-9));
/// ```
pub fn divergence_vjp(
    log_p: ArrayView2<f64>,
    log_q: ArrayView2<f64>,
    d: ArrayView1<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let (p, q) = (log_p.exp(), log_q.exp());
    let gap = &log_p - &log_q;
    let kl = (&p * &gap).sum_axis(Axis(1)).insert_axis(Axis(1));
    let d = d.insert_axis(Axis(1));
    (&p * (gap - kl) * d, (q - &p) * d)
}

/// Which estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// `-ln r`.
    K1,
    /// `½·(ln r)²`.
    K2,
    /// `r - 1 - ln r`.
    K3,
}

impl Estimator {
    /// The estimate from `log_r = ln q_a - ln p_a`.
    pub fn value(self, log_r: f64) -> f64 {
        match self {
            Self::K1 => -log_r,
            Self::K2 => 0.5 * log_r * log_r,
            Self::K3 => log_r.exp_m1() - log_r,
        }
    }

    /// Its derivative with respect to `ln p_a`.
    pub fn slope(self, log_r: f64) -> f64 {
        match self {
            Self::K1 => 1.,
            Self::K2 => -log_r,
            Self::K3 => -log_r.exp_m1(),
        }
    }
}

/// The estimates of the rows, (N), from an action of p for each.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn estimate(
    x: ArrayView2<f64>,
    log_q: ArrayView1<f64>,
    a: &[usize],
    of: Estimator,
) -> Array1<f64> {
    (&log_q - &super::log_prob(x, a)).mapv(|r| of.value(r))
}

/// `dx` (N,K) of [`estimate`], the draw and q held fixed.
///
/// `log_p` (N,K) is kept; `log_q` (N) are q's logarithms of the actions.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn estimate_vjp(
    log_p: ArrayView2<f64>,
    log_q: ArrayView1<f64>,
    a: &[usize],
    of: Estimator,
    d: ArrayView1<f64>,
) -> Array2<f64> {
    let slopes = log_q.iter().zip(log_p.rows()).zip(a);
    let slopes = slopes.map(|((q, p), a)| of.slope(q - p[*a]));
    let dy = slopes.collect::<Array1<f64>>() * d;
    log_prob_vjp(log_p.exp().view(), a, dy.view())
}
