//! Training a weight that is rounded: the weight that moves, the *latent* one,
//! is kept in full, and the forward pass sees its rounded copy.

use super::{Grid, quantise, quantise_vjp};
use ndarray::{Array1, ArrayView1, ArrayView2};

/// Descent on `(round(w) - target)²`, straight through: the latent weights
/// before each step and after the last.
///
/// The codes average to the target in the long run. Summed over the steps,
/// `w_T - w_0 = -2·lr·Σ (round(w_t) - target)`, so the mean code is off by
/// `(w_0 - w_T)/(2·lr·T)`, and for `lr < 1` `w` stays in a bounded stretch.
///
/// ```
/// use backprop::discrete::straight_through::descent::walk;
/// let w = walk(0.3, 1., 0.125, 2); // a whole target: it arrives, and stays
/// assert_eq!(w, [0.3, 0.55, 0.55]);
/// ```
// ANCHOR: walk
pub fn walk(start: f64, target: f64, lr: f64, steps: usize) -> Vec<f64> {
    let mut w = vec![start];
    for t in 0..steps {
        let code = w[t].round_ties_even();
        w.push(w[t] - lr * 2. * (code - target));
    }
    w
}
// ANCHOR_END: walk

/// `1/(2N)·Σ_n (x_n·w - t_n)²`.
pub fn loss(x: ArrayView2<f64>, t: ArrayView1<f64>, w: ArrayView1<f64>) -> f64 {
    let error = x.dot(&w) - t;
    error.dot(&error) / (2. * x.nrows() as f64)
}

/// Linear regression with weights on a grid, trained: the latent weights before
/// each step of descent and after the last.
///
/// `x` (N,I), `t` (N), `w` (I) where it begins. The gradient is that of the
/// loss at the rounded weights, handed straight through to the latent ones.
// ANCHOR: tune
pub fn tune(
    x: ArrayView2<f64>,
    t: ArrayView1<f64>,
    w: ArrayView1<f64>,
    grid: Grid,
    lr: f64,
    steps: usize,
) -> Vec<Array1<f64>> {
    let mut latent = vec![w.to_owned()];
    for step in 0..steps {
        let w = &latent[step];
        let w_hat = quantise(w.view(), grid);
        let error = x.dot(&w_hat) - t;
        let dw_hat = x.t().dot(&error) / x.nrows() as f64;
        let dw = quantise_vjp(w.view(), grid, dw_hat.view());
        latent.push(w - &(dw * lr));
    }
    latent
}
// ANCHOR_END: tune

/// Descent on `(z - target)²`, where `z` is 1 with probability `w` and else 0:
/// the derivative of the expected loss, and the expectation of the
/// straight-through gradient `2(z - target)`. Both by enumeration.
///
/// The first is `1 - 2·target`, the second `2(w - target)`: they are equal at
/// `w = ½` and nowhere else.
pub fn of_a_coin(w: f64, target: f64) -> (f64, f64) {
    let loss = |z: f64| (z - target).powi(2);
    let slope = |z: f64| 2. * (z - target);
    (loss(1.) - loss(0.), w * slope(1.) + (1. - w) * slope(0.))
}
