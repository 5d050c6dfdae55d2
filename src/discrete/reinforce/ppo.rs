//! Losses on actions that an older policy has drawn: PPO's and GRPO's.
//!
//! With `ρ_n = π(a_n)/π_old(a_n)` and an advantage `A_n` for each row,
//!
//!   L = -Σ_n w_n·(min(ρ_n·A_n, clip(ρ_n, 1-ε, 1+ε)·A_n) - β·k3_n)
//!
//! PPO has `w_n = 1/N` and no β. In GRPO a row is a token, all tokens of an
//! answer have its advantage, and the weights say how answers of different
//! lengths count: see [`per_sequence`] and [`per_token`].

use super::{kl::Estimator, log_prob, log_prob_vjp};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// What the losses hold constant.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The action of each row.
    pub actions: &'a [usize],
    /// `ln π_old` of it, (N).
    pub old: ArrayView1<'a, f64>,
    /// `ln π_ref` of it, (N); read only if `beta` is not 0.
    pub reference: ArrayView1<'a, f64>,
    /// A, (N).
    pub advantages: ArrayView1<'a, f64>,
    /// w, (N).
    pub weights: ArrayView1<'a, f64>,
    /// ε.
    pub eps: f64,
    /// β, the weight of the k3 penalty.
    pub beta: f64,
}

/// The loss for logits `x` (N,K).
///
/// Panics if the lengths do not fit.
///
/// Source: Schulman et al. 2017, equation 7; Shao et al. 2024, equation 3.
#[track_caller]
pub fn loss(x: ArrayView2<f64>, of: Drawn) -> f64 {
    let log_p = log_prob(x, of.actions);
    let terms = (0..log_p.len()).map(|n| {
        let ratio = (log_p[n] - of.old[n]).exp();
        let clipped = ratio.clamp(1. - of.eps, 1. + of.eps);
        let a = of.advantages[n];
        let gain = (ratio * a).min(clipped * a);
        of.weights[n] * (of.penalty(log_p[n], n, Estimator::value) - gain)
    });
    terms.sum()
}

/// `dx` (N,K) of [`loss`]. `p` (N,K) are the probabilities, all that is kept.
///
/// A row's score is multiplied by `ρ·A`, or by 0 where the clipped product is
/// the smaller one: `ρ > 1+ε` with `A > 0`, `ρ < 1-ε` with `A < 0`. At the two
/// ends themselves the slope is that of the unclipped product.
///
/// Panics if the lengths do not fit.
///
/// ```
/// use backprop::discrete::reinforce::ppo::{self, Drawn};
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let x = array![[0.5, -0.2, 0.1]];
/// let p = softmax::forward(x.view());
/// // By how much the score is multiplied, for a ratio and an advantage.
/// let factor = |ratio: f64, a: f64| {
///     let dx = ppo::loss_vjp(
///         p.view(),
///         Drawn {
///             actions: &[0],
///             old: array![(p[[0, 0]] / ratio).ln()].view(),
///             reference: array![0.].view(),
///             advantages: array![a].view(),
///             weights: array![1.].view(),
///             eps: 0.2,
///             beta: 0.,
///         },
///         1.,
///     );
///     -dx[[0, 0]] / (1. - p[[0, 0]])
/// };
/// assert_eq!((factor(0.5, -1.), factor(1.5, 1.)), (-0., -0.));
/// assert!((factor(1.5, -1.) + 1.5).abs() < 1e-12);
/// assert!((factor(0.5, 1.) - 0.5).abs() < 1e-12);
/// ```
#[track_caller]
pub fn loss_vjp(p: ArrayView2<f64>, of: Drawn, dloss: f64) -> Array2<f64> {
    let dy = of.actions.iter().enumerate().map(|(n, action)| {
        let log_p = p[[n, *action]].ln();
        let (ratio, a) = ((log_p - of.old[n]).exp(), of.advantages[n]);
        let clipped = ratio.clamp(1. - of.eps, 1. + of.eps);
        let flows = ratio * a <= clipped * a;
        let gain = if flows { ratio * a } else { 0. };
        let penalty = of.penalty(log_p, n, Estimator::slope);
        dloss * of.weights[n] * (penalty - gain) // of ln π(a)
    });
    let dy: Array1<f64> = dy.collect();
    log_prob_vjp(p, of.actions, dy.view())
}

impl Drawn<'_> {
    fn penalty(
        &self,
        log_p: f64,
        n: usize,
        of: fn(Estimator, f64) -> f64,
    ) -> f64 {
        match self.beta {
            0. => 0.,
            beta => beta * of(Estimator::K3, self.reference[n] - log_p),
        }
    }
}

/// Weights for answers of these lengths, one after another: each answer counts
/// the same, and its tokens share that.
pub fn per_sequence(lengths: &[usize]) -> Array1<f64> {
    weighted(lengths, |n| 1. / (lengths.len() * n) as f64)
}

/// Weights for answers of these lengths, one after another: each token counts
/// the same, a long answer for more.
pub fn per_token(lengths: &[usize]) -> Array1<f64> {
    let all: usize = lengths.iter().sum();
    weighted(lengths, |_| 1. / all as f64)
}

fn weighted(lengths: &[usize], of: impl Fn(usize) -> f64) -> Array1<f64> {
    let each = lengths.iter().map(|n| vec![of(*n); *n]);
    each.flatten().collect()
}
