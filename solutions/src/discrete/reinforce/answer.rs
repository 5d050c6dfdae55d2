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
// ANSWER
pub const SLOPE: Option<f64> = Some(0.1875);
//~ pub const SLOPE: Option<f64> = None; // TODO Some(..)
// END

/// Eight draws of one policy, each with its reward. The estimate is the mean of
/// (reward - b)·score over the eight. For which b is its mean the gradient,
/// whatever the rewards are?
///
/// 1. 100
/// 2. the policy's mean reward J, held fixed
/// 3. for each draw the mean reward of the other seven
/// 4. for each draw the mean reward of all eight
/// 5. for each draw half of its own reward
// ANSWER
pub const BASELINES: Option<[bool; 5]> = Some([true, true, true, false, false]);
//~ pub const BASELINES: Option<[bool; 5]> = None; // TODO Some([..])
// END

/// An episode of three steps has the rewards 0, 0 and 6. With γ = 1/2, what are
/// the three decisions credited with, by reward to go?
// ANSWER
pub const CREDIT: Option<[f64; 3]> = Some([1.5, 3., 6.]);
//~ pub const CREDIT: Option<[f64; 3]> = None; // TODO Some([..])
// END

/// An action is drawn from π, and k1, k2 or k3 of it is differentiated with
/// respect to π's logits, the draw held fixed. What is that gradient on
/// average, for k1, k2, k3 in turn? Write 1 for the gradient of KL(π‖ref), 2 for
/// that of KL(ref‖π), and 3 for zero.
// ANSWER
pub const LOSSES: Option<[u8; 3]> = Some([3, 1, 2]);
//~ pub const LOSSES: Option<[u8; 3]> = None; // TODO Some([..])
// END

/// Four answers of one token each to one question, drawn just now, so that π is
/// still the policy that drew them. Their rewards differ; the advantages are
/// the rewards less the mean of the four. Is the value of PPO's loss 0? Is its
/// gradient?
// ANSWER
pub const ZERO: Option<[bool; 2]> = Some([true, false]);
//~ pub const ZERO: Option<[bool; 2]> = None; // TODO Some([.., ..])
// END

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
    // ANSWER
    let p = 1. / (1. + (-theta).exp());
    let one = |u: &f64| {
        let z = if *u < p { 1. } else { 0. };
        (z * z - b) * (z - p)
    };
    let all: Array1<f64> = u.iter().map(one).collect();
    let n = all.len() as f64;
    let mean = all.sum() / n;
    let variance = all.iter().map(|g| (g - mean).powi(2)).sum::<f64>();
    (mean, (variance / (n - 1.) / n).sqrt())
    // END
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
    // ANSWER
    let p = softmax::forward(x);
    let rows = x.nrows() as f64;
    let mut dx = Array2::zeros(x.dim());
    for n in 0..x.nrows() {
        let scale = -dloss * (r[n] - v[[n, 0]]) / rows;
        for k in 0..x.ncols() {
            let drawn = if k == a[n] { 1. } else { 0. };
            dx[[n, k]] = scale * (drawn - p[[n, k]]);
        }
    }
    dx
    // END
}

// --- Task 4: vary ----------------------------------------------------------

/// Advantages in groups, (P,G): each reward less the mean of the *others* in
/// its row. `r` (P,G) holds the rewards of G answers to each of P questions, and
/// G is at least 2. Nothing is divided by a deviation.
pub fn leave_one_out(r: ArrayView2<f64>) -> Array2<f64> {
    // ANSWER
    let others = (r.ncols() - 1) as f64;
    let mut advantages = r.to_owned();
    for (mut row, r) in advantages.rows_mut().into_iter().zip(r.rows()) {
        let sum = r.sum();
        row.mapv_inplace(|r| r - (sum - r) / others);
    }
    advantages
    // END
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
    // ANSWER
    let mut advantages = Array1::zeros(r.len());
    let (mut value, mut carry) = (next, 0.);
    for t in (0..r.len()).rev() {
        if ended[t] {
            value = 0.;
            carry = 0.;
        }
        let delta = r[t] + gamma * value - v[t];
        carry = delta + gamma * lambda * carry;
        advantages[t] = carry;
        value = v[t];
    }
    advantages
    // END
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
    // ANSWER
    let log_p = softmax::log_softmax(x);
    let rows = x.nrows() as f64;
    let mut dx = Array2::zeros(x.dim());
    for n in 0..x.nrows() {
        let ratio = (log_p[[n, a[n]]] - old[n]).exp();
        let gain = ratio * advantages[n];
        let clipped = ratio.clamp(1. - eps, 1. + eps) * advantages[n];
        let gain = if gain <= clipped { gain } else { 0. };
        let row = log_p.row(n);
        let entropy: f64 = row.iter().map(|l| -l.exp() * l).sum();
        for k in 0..x.ncols() {
            let p = row[k].exp();
            let drawn = if k == a[n] { 1. } else { 0. };
            let of_gain = -gain * (drawn - p);
            let of_bonus = bonus * p * (row[k] + entropy);
            dx[[n, k]] = dloss / rows * (of_gain + of_bonus);
        }
    }
    dx
    // END
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
    // ANSWER
    let p = softmax::log_softmax(x.insert_axis(Axis(0)));
    let q = softmax::log_softmax(y.insert_axis(Axis(0)));
    let gap = p[[0, a]] - q[[0, a]];
    let mut score = -p.row(0).exp();
    score[a] += 1.;
    score * gap
    // END
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
// ANSWER
pub const PATH: Option<&str> = Some("REINFORCE_NO_DETACH");
//~ pub const PATH: Option<&str> = None; // TODO Some("...")
// END

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
            // ANSWER
            let of_row = (r[[n, a[n]]] - b) * score;
            //~ let of_b = p[[n, k]] * (r[[n, k]] - b);
            //~ let of_row = (r[[n, a[n]]] - b) * score - of_b * log_p[[n, a[n]]];
            // END
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
// ANSWER
pub const CREDIT_BUG: Option<&str> = Some("REINFORCE_MEAN_LOGP");
//~ pub const CREDIT_BUG: Option<&str> = None; // TODO Some("...")
// END

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
    // ANSWER
    let weights = to_go;
    //~ let all = to_go.sum() / steps as f64;
    //~ let weights = Array1::from_elem(steps, all);
    // END
    let mut estimate = Array2::zeros(x.dim());
    for t in 0..steps {
        for k in 0..x.ncols() {
            let drawn = if k == a[t] { 1. } else { 0. };
            estimate[[t, k]] = weights[t] * (drawn - p[[t, k]]);
        }
    }
    estimate
}
