//! A node that is 1 with probability `σ(θ)`, else 0, and a loss that reads it.
//!
//!   z ~ Bern(σ(θ)),   ∂ln p(z)/∂θ = z - σ
//!
//!   d/dθ E[L(z)] = (L(1) - L(0))·σ(1 - σ)

use super::Moments;
use ndarray::arr1;

/// The sigmoid, `1/(1 + e^-θ)`.
pub fn sigmoid(theta: f64) -> f64 {
    1. / (1. + (-theta).exp())
}

/// The node's value for `u` in [0, 1): 1 if `u < σ(θ)`, else 0.
pub fn draw(theta: f64, u: f64) -> f64 {
    f64::from(u < sigmoid(theta))
}

/// The estimate `(L(z) - b)·(z - σ)` of the derivative of `E[L(z)]`, for
/// `L = z²`.
pub fn estimate(theta: f64, b: f64, z: f64) -> f64 {
    (z * z - b) * (z - sigmoid(theta))
}

/// Mean and variance of [`estimate`] over both values of the node.
///
/// The mean is `σ(1 - σ)` for every `b`. The variance is `σ(1 - σ)³` without a
/// baseline, and 0 for `b = 1 - σ`.
///
/// ```
/// use backprop::discrete::reinforce::bernoulli::moments;
/// let m = moments(0., 0.);
/// assert_eq!((m.mean[0], m.variance), (0.25, 0.0625));
/// assert_eq!(moments(0., 0.5).variance, 0.);
/// let m = moments(3f64.ln(), 0.);
/// assert!((m.mean[0] - 0.1875).abs() < 1e-15);
/// assert!((m.variance - 0.01171875).abs() < 1e-15);
/// assert!(moments(3f64.ln(), 0.25).variance < 1e-30);
/// ```
pub fn moments(theta: f64, b: f64) -> Moments {
    let p = sigmoid(theta);
    Moments::of(&[
        (1. - p, arr1(&[estimate(theta, b, 0.)])),
        (p, arr1(&[estimate(theta, b, 1.)])),
    ])
}
