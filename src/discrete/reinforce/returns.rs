//! What a decision is credited with: returns, advantages, group baselines.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// The rewards from each step on, `G_t = r_t + γ·G_{t+1}`, (T).
///
/// `rewards` (T): `r_t` is what follows the action of step t.
///
/// ```
/// use backprop::discrete::reinforce::returns::to_go;
/// use ndarray::array;
/// let g = to_go(array![1., 2., -1.].view(), 0.5);
/// assert_eq!(g, array![1.75, 1.5, -1.]);
/// ```
pub fn to_go(rewards: ArrayView1<f64>, gamma: f64) -> Array1<f64> {
    let mut g = rewards.to_owned();
    for t in (1..g.len()).rev() {
        g[t - 1] += gamma * g[t];
    }
    g
}

/// Generalised advantages, (T):
///
///   δ_t = r_t + γ·V(s_{t+1}) - V(s_t),   A_t = δ_t + γλ·A_{t+1}
///
/// where after a step that `ended` its episode both `V(s_{t+1})` and `A_{t+1}`
/// are 0. `rewards`, `values` and `ended` (T); `next` is the value of the state
/// after the last step. A time limit does not end an episode: it stops the
/// record, and `next` says what would have come. After the last step `A` is 0:
/// `next` is in `δ` already.
///
/// Panics if the lengths differ.
///
/// Source: Schulman et al. 2016, equation 16.
///
/// ```
/// use backprop::discrete::reinforce::returns::gae;
/// use ndarray::array;
/// let (r, v) = (array![1., 2., -1., 0.5], array![0.3, 0.6, -0.2, 0.4]);
/// let ended = [false, true, false, false];
/// let a = gae(r.view(), v.view(), 0.9, &ended, 0.9, 0.8);
/// let want = [2.248, 1.4, 0.2152, 0.91];
/// assert!(a.iter().zip(want).all(|(a, w)| (a - w).abs() < 1e-12));
/// ```
#[track_caller]
pub fn gae(
    rewards: ArrayView1<f64>,
    values: ArrayView1<f64>,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let steps = rewards.len();
    assert!(
        values.len() == steps && ended.len() == steps,
        "gae: {steps} rewards, {} values, {} ends",
        values.len(),
        ended.len()
    );
    let mut a = Array1::zeros(steps);
    let (mut carry, mut after) = (0., next);
    for t in (0..steps).rev() {
        let goes_on = f64::from(!ended[t]);
        let delta = rewards[t] + gamma * after * goes_on - values[t];
        carry = delta + gamma * lambda * carry * goes_on;
        a[t] = carry;
        after = values[t];
    }
    a
}

/// Each reward less the mean of the *others* of its group, (P,G).
///
/// `r` (P,G) holds G rewards for each of P questions, G at least 2. The
/// baseline does not hang on the sample's own action, so nothing is biased.
///
/// Panics if a group has fewer than two.
///
/// Source: Kool, van Hoof and Welling 2019.
#[track_caller]
pub fn leave_one_out(r: ArrayView2<f64>) -> Array2<f64> {
    let n = group_size(r);
    own_mean(r) * (n / (n - 1.))
}

/// Each reward less the mean of its group, its own reward included, (P,G).
///
/// On average the estimate made of it is `(G - 1)/G` times the gradient.
///
/// Panics if a group has fewer than two.
#[track_caller]
pub fn own_mean(r: ArrayView2<f64>) -> Array2<f64> {
    let n = group_size(r);
    &r - &(r.sum_axis(Axis(1)) / n).insert_axis(Axis(1))
}

/// [`own_mean`] over the standard deviation of the group, plus `eps`, (P,G):
/// what GRPO calls the advantage. The deviation divides by G - 1.
///
/// Panics if a group has fewer than two.
///
/// Source: Shao et al. 2024, section 4.1.2; the deviation as PyTorch's `std`.
#[track_caller]
pub fn standardised(r: ArrayView2<f64>, eps: f64) -> Array2<f64> {
    let n = group_size(r);
    let off = own_mean(r);
    let std = (off.pow2().sum_axis(Axis(1)) / (n - 1.)).sqrt();
    off / (std + eps).insert_axis(Axis(1))
}

#[track_caller]
fn group_size(r: ArrayView2<f64>) -> f64 {
    assert!(r.ncols() > 1, "a group of {} has no others", r.ncols());
    r.ncols() as f64
}
