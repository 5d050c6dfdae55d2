//! The score function: the gradient of an expectation over draws.
//!                                            book: discrete/reinforce
//!
//!   π_n = softmax(x_n),   a_n drawn from π_n,   r_n a number that hangs on a_n
//!
//!   x (N,K) logits, a row for each decision  ->  J_n = Σ_k π_nk·r_nk
//!
//! A draw has no derivative. What has one is the probability with which it is
//! drawn, and by `∇π = π·∇ln π` the gradient of the expectation is one again:
//!
//!   ∇J = Σ_k r_k·∇π_k = E[r_a·s_a],   s_a = ∇ln π_a = e_a - π
//!
//! `s_a` is the score. Its mean is 0, so that a number `b` that does not hang
//! on `a` can be taken off the reward: `E[(r_a - b)·s_a]` is the same.
//!
//! [`moments`] sums over all actions, so that mean and variance of an estimate
//! are exact here. [`world`] does the same for decisions one after another,
//! [`returns`] has what a decision is credited with, [`ppo`] and [`kl`] the
//! losses that language models are tuned with, [`bernoulli`] the smallest draw
//! there is, and [`gaussian`] one that has a derivative after all. [`model`] is
//! a policy over `Device`, and [`grid`] the small world that it learns.

pub mod bernoulli;
pub mod gaussian;
pub mod grid;
pub mod kl;
pub mod model;
pub mod ppo;
pub mod returns;
pub mod world;

use crate::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// The action that `u` in [0, 1) draws from the probabilities `p` (K): the
/// first `a` with `u < p_0 + … + p_a`.
///
/// If rounding leaves the sum below `u`, it is the last that is possible.
///
/// Panics if `p` is empty.
///
/// ```
/// use backprop::discrete::reinforce::draw;
/// use ndarray::array;
/// let p = array![0.5, 0.25, 0.25];
/// let drawn = [0., 0.4999, 0.5, 0.75, 0.9999].map(|u| draw(p.view(), u));
/// assert_eq!(drawn, [0, 0, 1, 2, 2]);
/// ```
#[track_caller]
pub fn draw(p: ArrayView1<f64>, u: f64) -> usize {
    let mut sum = 0.;
    let found = p.iter().position(|p| {
        sum += p;
        u < sum
    });
    found.unwrap_or_else(|| {
        let possible = p.iter().rposition(|p| *p > 0.);
        possible.expect("draw: no action has a probability above 0")
    })
}

/// `ln π_n(a_n)`, (N), for logits `x` (N,K) and an action for each row.
///
/// Panics if the lengths do not fit or an action is not below K.
///
/// ```
/// use backprop::discrete::reinforce;
/// use ndarray::array;
/// let y = reinforce::log_prob(array![[0., 3f64.ln()]].view(), &[1]);
/// assert!((y[0] - 0.75f64.ln()).abs() < 1e-15);
/// ```
#[track_caller]
// ANCHOR: log_prob
pub fn log_prob(x: ArrayView2<f64>, a: &[usize]) -> Array1<f64> {
    assert_fit("log_prob", x, a);
    let all = softmax::log_softmax(x);
    all.rows().into_iter().zip(a).map(|(y, a)| y[*a]).collect()
}

/// `dx` (N,K) of [`log_prob`]: in each row `dy·(e_a - π)`, the score times the
/// cotangent. `p` (N,K) are the probabilities, all that is kept.
///
/// Panics if the lengths do not fit or an action is not below K.
#[track_caller]
pub fn log_prob_vjp(
    p: ArrayView2<f64>,
    a: &[usize],
    dy: ArrayView1<f64>,
) -> Array2<f64> {
    assert_fit("log_prob_vjp", p, a);
    assert_eq!(dy.len(), a.len(), "log_prob_vjp: a cotangent for each row");
    let mut dx = -p.to_owned();
    for ((mut dx, a), dy) in dx.rows_mut().into_iter().zip(a).zip(dy) {
        dx[*a] += 1.; // e_a - π
        dx *= *dy;
    }
    dx
}
// ANCHOR_END: log_prob

/// REINFORCE as a loss, `-(1/N)·Σ_n A_n·ln π_n(a_n)`.
///
/// `advantages` (N) are constants, whatever they were made of: a reward, a
/// return, either less a baseline. The value says nothing about how good the
/// policy is. Its gradient, on actions drawn from π, is an estimate of that of
/// `-(1/N)·Σ_n J_n`.
///
/// Panics if the lengths do not fit or an action is not below K.
///
/// Source: Williams 1992, whose sum over weights is the score here.
#[track_caller]
// ANCHOR: loss
pub fn loss(
    x: ArrayView2<f64>,
    a: &[usize],
    advantages: ArrayView1<f64>,
) -> f64 {
    -(log_prob(x, a) * advantages).sum() / a.len() as f64
}
// ANCHOR_END: loss

/// `dx` (N,K) of [`loss`]: `-dloss·A_n·(e_a - π_n)/N`.
///
/// Panics if the lengths do not fit or an action is not below K.
///
/// ```
/// use backprop::discrete::reinforce;
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::{Array2, array};
/// let p = softmax::forward(array![[0.5, -0.2, 0.1]].view());
/// let (r, b) = (array![2., -1., 0.5], 0.5);
/// // The estimate for each action, weighted with its probability.
/// let mut mean = Array2::<f64>::zeros((1, 3));
/// for a in 0..3 {
///     let advantage = array![r[a] - b];
///     let dx = reinforce::loss_vjp(p.view(), &[a], advantage.view(), 1.);
///     mean -= &(dx * p[[0, a]]);
/// }
/// let exact = reinforce::mean_reward_vjp(
///     p.view(),
///     r.view().insert_axis(ndarray::Axis(0)),
///     array![1.].view(),
/// );
/// assert!((mean - exact).iter().all(|d| d.abs() < 1e-15));
/// ```
#[track_caller]
// ANCHOR: loss_vjp
pub fn loss_vjp(
    p: ArrayView2<f64>,
    a: &[usize],
    advantages: ArrayView1<f64>,
    dloss: f64,
) -> Array2<f64> {
    let dy = &advantages * (-dloss / a.len() as f64);
    log_prob_vjp(p, a, dy.view())
}
// ANCHOR_END: loss_vjp

/// The mean reward of each row, `J_n = Σ_k π_nk·r_nk`, (N): what a draw
/// estimates, summed over all actions.
///
/// Panics if `x` (N,K) and `r` (N,K) differ in shape.
#[track_caller]
pub fn mean_reward(x: ArrayView2<f64>, r: ArrayView2<f64>) -> Array1<f64> {
    assert_eq!(x.dim(), r.dim(), "mean_reward: a reward for each logit");
    (softmax::forward(x) * r).sum_axis(ndarray::Axis(1))
}

/// `dx` (N,K) of [`mean_reward`]: `dJ_n·π_nk·(r_nk - J_n)`, the VJP of softmax
/// with the rewards as cotangent.
///
/// Panics if the shapes do not fit.
///
/// ```
/// use backprop::discrete::reinforce::mean_reward_vjp;
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let p = softmax::forward(array![[0.5, -0.2, 0.1]].view());
/// let r = array![[2., -1., 0.5]];
/// let dx = mean_reward_vjp(p.view(), r.view(), array![1.].view());
/// let want = [0.5314124692, -0.4236122925, -0.1078001766];
/// assert!(dx.iter().zip(want).all(|(d, w)| (d - w).abs() < 1e-10));
/// ```
#[track_caller]
pub fn mean_reward_vjp(
    p: ArrayView2<f64>,
    r: ArrayView2<f64>,
    dj: ArrayView1<f64>,
) -> Array2<f64> {
    let dj = dj.insert_axis(ndarray::Axis(1));
    softmax::vjp(p, (&r * &dj).view())
}

/// The entropy of each row, `H_n = -Σ_k π_nk·ln π_nk`, (N), for logits `x`.
pub fn entropy(x: ArrayView2<f64>) -> Array1<f64> {
    let log_p = softmax::log_softmax(x);
    -(log_p.exp() * &log_p).sum_axis(ndarray::Axis(1))
}

/// `dx` (N,K) of [`entropy`]: `-dH_n·π_nk·(ln π_nk + H_n)`.
///
/// `log_p` (N,K) are the logarithms of the probabilities, finite. It is the
/// whole sum over the actions, and so the entropy bonus of a loss needs no
/// draw; on drawn actions the derivative of `-ln π(a)` has the mean 0.
///
/// Panics if the lengths do not fit.
///
/// ```
/// use backprop::discrete::reinforce::{entropy, entropy_vjp};
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let x = array![[0.5, -0.2, 0.1]];
/// assert!((entropy(x.view())[0] - 1.0574553858).abs() < 1e-10);
/// let log_p = softmax::log_softmax(x.view());
/// let dx = entropy_vjp(log_p.view(), array![1.].view());
/// assert!(dx.sum().abs() < 1e-15 && dx[[0, 0]] < 0.);
/// ```
#[track_caller]
pub fn entropy_vjp(log_p: ArrayView2<f64>, dh: ArrayView1<f64>) -> Array2<f64> {
    assert_eq!(log_p.nrows(), dh.len(), "entropy_vjp: one for each row");
    let p = log_p.exp();
    let h = -(&p * &log_p).sum_axis(ndarray::Axis(1));
    let h = h.insert_axis(ndarray::Axis(1));
    -p * (&log_p + &h) * dh.insert_axis(ndarray::Axis(1))
}

/// The score of an action, `∇ln π_a = e_a - π`, (K).
pub fn score(p: ArrayView1<f64>, a: usize) -> Array1<f64> {
    let mut s = -p.to_owned();
    s[a] += 1.;
    s
}

/// Mean and variance of an estimate, exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// `E[g]`, of the shape of the estimate.
    pub mean: Array1<f64>,
    /// `E‖g - E[g]‖²`, the variances of all entries together.
    pub variance: f64,
}

/// Mean and variance of an estimate that hangs on one action, by summing over
/// all actions with their probabilities `p` (K).
///
/// ```
/// use backprop::discrete::reinforce::{moments, score};
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let p = softmax::forward(array![[0.5, -0.2, 0.1]].view());
/// let (p, r) = (p.row(0), [2., -1., 0.5]);
/// let of = |b: f64| moments(p, |a| score(p, a) * (r[a] - b));
/// assert!((of(0.).mean[0] - 0.5314124692).abs() < 1e-10);
/// assert!((of(7.).mean[0] - 0.5314124692).abs() < 1e-10);
/// assert!((of(0.).variance - 0.5997670427).abs() < 1e-10);
/// ```
// ANCHOR: moments
pub fn moments(
    p: ArrayView1<f64>,
    estimate: impl Fn(usize) -> Array1<f64>,
) -> Moments {
    let outcomes = p.iter().enumerate().map(|(a, p)| (*p, estimate(a)));
    Moments::of(&outcomes.collect::<Vec<_>>())
}

impl Moments {
    /// Of outcomes with their probabilities, which sum to 1.
    pub fn of(outcomes: &[(f64, Array1<f64>)]) -> Self {
        let mean = outcomes.iter().map(|(p, g)| g * *p);
        let mean = mean.reduce(|sum, g| sum + g).expect("an outcome");
        let off = |g: &Array1<f64>| (g - &mean).pow2().sum();
        let variance = outcomes.iter().map(|(p, g)| p * off(g)).sum();
        Self { mean, variance }
    }
}
// ANCHOR_END: moments

/// The baseline with the least variance, `Σ_a π_a·‖s_a‖²·r_a / Σ_a π_a·‖s_a‖²`:
/// the mean reward, each action weighted with the square of its score.
///
/// `p` (K) probabilities of which at least two are above 0, `r` (K) rewards.
///
/// ```
/// use backprop::discrete::reinforce::best_baseline;
/// use backprop::network::softmax_cross_entropy as softmax;
/// use ndarray::array;
/// let p = softmax::forward(array![[0.5, -0.2, 0.1]].view());
/// let b = best_baseline(p.row(0), array![2., -1., 0.5].view());
/// assert!((b - 0.4890197871).abs() < 1e-10); // the mean reward is 0.8485
/// ```
pub fn best_baseline(p: ArrayView1<f64>, r: ArrayView1<f64>) -> f64 {
    let weights = p.iter().enumerate();
    let weights = weights.map(|(a, p_a)| p_a * score(p, a).pow2().sum());
    let weights: Array1<f64> = weights.collect();
    weights.dot(&r) / weights.sum()
}

#[track_caller]
fn assert_fit(op: &str, x: ArrayView2<f64>, a: &[usize]) {
    assert!(
        a.len() == x.nrows() && a.iter().all(|a| *a < x.ncols()),
        "{op}: the actions {a:?} do not fit {:?}",
        x.shape()
    );
}
