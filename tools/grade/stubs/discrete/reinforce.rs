//! # Exercise: the score function
//!
//! Chapter: The score function (discrete/reinforce).
//! Letters: N decisions, K actions, T steps, P questions, G answers to each.
//!
//! `x` are logits, a row for each decision, and the policy is their softmax:
//! `let p = softmax::forward(x);` gives the probabilities (N,K) and
//! `softmax::log_softmax(x)` their logarithms. Of one vector `x` (K) the same is
//! `softmax::forward(x.insert_axis(Axis(0)))`, one row. `a` holds the action of
//! each row, counted from 0: `p[[n, a[n]]]`. To write a row:
//! `dx.row_mut(n).assign(&row);` or entry by entry, `dx[[n, k]] = …`.
//!
//! Nothing here draws by itself: where an answer draws, it is given the uniform
//! numbers, and where it estimates, it is called with every outcome there is
//! and the results are added with their probabilities. No luck is involved.
//!
//! Grade it with `cargo grade reinforce`; ask for a hint with
//! `cargo grade hint reinforce bernoulli`.

use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

// --- Task 1: predict -------------------------------------------------------

/// A bit z is 1 with probability σ(θ), else 0, and the loss is L = z². What is
/// the derivative of the mean loss with respect to θ at θ = ln 3? (A decimal
/// number; σ(ln 3) = 3/4.)
pub const SLOPE: Option<f64> = None; // TODO Some(..)

/// Eight draws of one policy, each with its reward. The estimate is the mean of
/// (reward - b)·score over the eight. For which b is its mean the gradient,
/// whatever the rewards are?
///
/// 1. 100
/// 2. the policy's mean reward J, held fixed
/// 3. for each draw the mean reward of the other seven
/// 4. for each draw the mean reward of all eight
/// 5. for each draw half of its own reward
pub const BASELINES: Option<[bool; 5]> = None; // TODO Some([..])

/// An episode of three steps has the rewards 0, 0 and 6. With γ = 1/2, what are
/// the three decisions credited with, by reward to go?
pub const CREDIT: Option<[f64; 3]> = None; // TODO Some([..])

/// An action is drawn from π, and k1, k2 or k3 of it is differentiated with
/// respect to π's logits, the draw held fixed. What is that gradient on
/// average, for k1, k2, k3 in turn? Write 1 for the gradient of KL(π‖ref), 2 for
/// that of KL(ref‖π), and 3 for zero.
pub const LOSSES: Option<[u8; 3]> = None; // TODO Some([..])

/// Four answers of one token each to one question, drawn just now, so that π is
/// still the policy that drew them. Their rewards differ; the advantages are
/// the rewards less the mean of the four. Is the value of PPO's loss 0? Is its
/// gradient?
pub const ZERO: Option<[bool; 2]> = None; // TODO Some([.., ..])

// --- Task 2: build ---------------------------------------------------------

/// Estimates the derivative of the mean of z² with respect to θ, z being 1 with
/// probability σ(θ) and else 0: `(mean, standard error)`.
///
/// `u` (N) are numbers in [0, 1), N at least 2, and each makes a draw: z is 1
/// where `u < σ(θ)`. Each draw gives the estimate `(z² - b)·∂ln p(z)/∂θ`. The
/// mean is that of the N estimates. Its standard error is the root of their
/// variance over N, and the variance is the sum of squares of the deviations
/// from the mean, over N - 1. θ may lie far from 0, at ±1000; u = 0 is below
/// σ(-40) as well.
///
/// (`u.iter().map(|u| …).collect::<Array1<f64>>()` makes an array; `e` to the
/// power t is `t.exp()`.)
pub fn bernoulli(theta: f64, b: f64, u: ArrayView1<f64>) -> (f64, f64) {
    todo!() // TODO
}

// --- Task 3: build ---------------------------------------------------------

/// `dx` (N,K) of REINFORCE's loss with a baseline for each decision,
///
/// `L = -(1/N)·Σ_n (r_n - v_n)·ln π_n(a_n)`.
///
/// `x` (N,K) logits, `a` (N) actions, `r` (N) rewards, and `v` (N,1) baselines, a
/// column as a network gives it: `v[[n, 0]]` belongs to row n. Rewards and
/// baselines are constants. `dloss` is the cotangent of L. Logits may lie a
/// thousand apart, in a row and from row to row. Do not call the library's
/// `loss_vjp`.
pub fn loss_vjp(
    x: ArrayView2<f64>,
    a: &[usize],
    r: ArrayView1<f64>,
    v: ArrayView2<f64>,
    dloss: f64,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 4: vary ----------------------------------------------------------

/// Advantages in groups, (P,G): each reward less the mean of the *others* in
/// its row. `r` (P,G) holds the rewards of G answers to each of P questions, and
/// G is at least 2. Nothing is divided by a deviation.
pub fn leave_one_out(r: ArrayView2<f64>) -> Array2<f64> {
    todo!() // TODO
}

/// Generalised advantages, (T):
///
/// `δ_t = r_t + γ·V_{t+1} - V_t`, `A_t = δ_t + γλ·A_{t+1}`.
///
/// `r` and `v` (T) are the rewards and the values of the states, `next` is the
/// value of the state after the last step. A step with `ended[t]` is the last of
/// its episode, and the next step begins another one: there `V_{t+1}` and
/// `A_{t+1}` count as 0. The record itself may break off in the middle of an
/// episode, and then its last step uses `next`.
pub fn gae(
    r: ArrayView1<f64>,
    v: ArrayView1<f64>,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    todo!() // TODO
}

// --- Task 5: vary ----------------------------------------------------------

/// `dx` (N,K) of PPO's loss with an entropy bonus,
///
/// `L = -(1/N)·Σ_n min(ρ_n·A_n, clip(ρ_n, 1-ε, 1+ε)·A_n) - c·(1/N)·Σ_n H_n`,
///
/// where `ρ_n = π_n(a_n)/π_old(a_n)` and `H_n = -Σ_k π_nk·ln π_nk` is the entropy
/// of row n. `old` (N) holds `ln π_old(a_n)`, `advantages` (N) the A's, `eps` is ε
/// and `bonus` is c; all are constants. `dloss` is the cotangent of L. No ratio
/// lies at 1-ε or 1+ε exactly; the probability of an action that was not drawn
/// may round to 0. (`v.clamp(low, high)` clips.)
pub fn clipped_vjp(
    x: ArrayView2<f64>,
    a: &[usize],
    old: ArrayView1<f64>,
    advantages: ArrayView1<f64>,
    eps: f64,
    bonus: f64,
    dloss: f64,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 6: vary ----------------------------------------------------------

/// An estimate of the gradient of KL(π‖ref) with respect to the logits `x` (K) of
/// π, from one action `a` drawn from π. `y` (K) are the logits of ref, which is
/// held fixed. Any estimate will do whose mean over the draw is the gradient:
/// the exam adds it up over all actions. Probabilities of ref may round to 0.
pub fn divergence(
    x: ArrayView1<f64>,
    y: ArrayView1<f64>,
    a: usize,
) -> Array1<f64> {
    todo!() // TODO
}

// --- Task 7: hunt ----------------------------------------------------------

/// The rewards of all actions are known here, `r` (N,K), and so the baseline can
/// be the policy's own mean reward, `b_n = Σ_k π_nk·r_nk`, held fixed:
///
/// `L = -(1/N)·Σ_n (r_n(a_n) - b_n)·ln π_n(a_n)`.
///
/// `mended_path` below is to be its gradient. It has a planted bug, and this is
/// the report:
///
/// ```text
///   compared  dx against central differences of the forward
///   inputs    dloss = 1.35
///             x (2,3)
///             [  -1.4900   1.0600  -1.1700 ]
///             [   0.4700   1.2000   0.8900 ]
///             r (2,3)
///             [   1.6700   1.0400  -1.8200 ]
///             [   1.0400   1.8500   1.0300 ]
///             a [1, 2]
///   got       (2,3)
///             [   0.0033  -0.0441   0.0409 ]
///             [   0.0041  -0.2642   0.2601 ]
///   expected  (2,3)
///             [   0.0097  -0.0230   0.0133 ]
///             [  -0.0547  -0.1134   0.1681 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
pub const PATH: Option<&str> = None; // TODO Some("...")

/// `dx` (N,K); `dloss` is the cotangent of L.
pub fn mended_path(
    x: ArrayView2<f64>,
    a: &[usize],
    r: ArrayView2<f64>,
    dloss: f64,
) -> Array2<f64> {
    let log_p = softmax::log_softmax(x);
    let p = log_p.exp();
    let mut dx = Array2::zeros(x.dim());
    let scale = -dloss / x.nrows() as f64;
    for n in 0..x.nrows() {
        let b = p.row(n).dot(&r.row(n));
        for k in 0..x.ncols() {
            let score = if k == a[n] { 1. } else { 0. } - p[[n, k]];
            let of_b = p[[n, k]] * (r[[n, k]] - b);
            let of_row = (r[[n, a[n]]] - b) * score - of_b * log_p[[n, a[n]]];
            dx[[n, k]] = scale * of_row;
        }
    }
    dx
}

// --- Task 8: hunt ----------------------------------------------------------

/// An episode of T steps. Row t of `x` (T,K) holds the logits of the state that
/// was met at step t, `a` (T) the actions, `r` (T) the rewards: `r[t]` follows
/// the action of step t. `mended_credit` below is to return, in row t, an
/// estimate of the gradient of the mean of `r_1 + … + r_T`, without a discount,
/// with respect to the logits of that state. The exam calls it with every
/// course that the episode can take and adds up; any estimate will do whose mean
/// is the gradient.
///
/// In the report there is a row for each state. State 0 is the first; the
/// action a leads from state s to state s·K + 1 + a, so that each course ends
/// in a state of its own. `r` in it has the reward of each action in each state:
///
/// ```text
///   compared  the mean over all courses against the gradient of the mean
///             return, summed over all courses
///   inputs    x (3,2)
///             [   1.3500  -1.4900 ]
///             [   1.0600  -1.1700 ]
///             [   0.4700   1.2000 ]
///             r (3,2)
///             [   0.8900   1.6700 ]
///             [   1.0400  -1.8200 ]
///             [   1.0400   1.8500 ]
///             T = 2
///   got       (3,2)
///             [  -0.0633   0.0633 ]
///             [   0.2369  -0.2369 ]
///             [  -0.0098   0.0098 ]
///   expected  (3,2)
///             [  -0.0837   0.0837 ]
///             [   0.2369  -0.2369 ]
///             [  -0.0098   0.0098 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
pub const CREDIT_BUG: Option<&str> = None; // TODO Some("...")

/// (T,K), a row for each step.
pub fn mended_credit(
    x: ArrayView2<f64>,
    a: &[usize],
    r: ArrayView1<f64>,
) -> Array2<f64> {
    let p = softmax::forward(x);
    let steps = x.nrows();
    let mut to_go = r.to_owned();
    for t in (1..steps).rev() {
        to_go[t - 1] += to_go[t];
    }
    let all = to_go.sum() / steps as f64;
    let weights = Array1::from_elem(steps, all);
    let mut estimate = Array2::zeros(x.dim());
    for t in 0..steps {
        for k in 0..x.ncols() {
            let drawn = if k == a[t] { 1. } else { 0. };
            estimate[[t, k]] = weights[t] * (drawn - p[[t, k]]);
        }
    }
    estimate
}
