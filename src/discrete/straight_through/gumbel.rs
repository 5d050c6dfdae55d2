//! Gumbel-softmax: a draw from a distribution that moves when it does.
//!                                      book: discrete/straight_through
//!
//!   g = -ln(-ln u),   y = softmax((x + g)/τ),   hard y: 1 at its maximum
//!
//!   x (B,V) logits, u (B,V) uniform in (0,1) -> y (B,V), each row sums to 1
//!
//! The place of the maximum of `x + g` is a draw from softmax(x), exactly, at
//! any τ. The soft row is a function of `x` with a derivative; the hard one is
//! not, and is declared to have the soft one's.

use crate::network::softmax_cross_entropy as softmax;
use ndarray::{Array2, ArrayView2};

/// Standard Gumbel noise from uniform numbers: `-ln(-ln u)`, for `0 < u < 1`.
pub fn noise(u: ArrayView2<f64>) -> Array2<f64> {
    u.mapv(|u| -(-u.ln()).ln())
}

/// The soft draw from logits `x` (B,V), noise `g` (B,V) and a temperature.
///
/// Source: Jang, Gu and Poole 2017; Maddison, Mnih and Teh 2017.
pub fn forward(
    x: ArrayView2<f64>,
    g: ArrayView2<f64>,
    tau: f64,
) -> Array2<f64> {
    softmax::tempered((&x + &g).view(), tau)
}

/// The hard draw: 1 at the maximum of each row, the first of several, else 0.
pub fn hard(y: ArrayView2<f64>) -> Array2<f64> {
    let mut one_hot = Array2::zeros(y.dim());
    for (y, mut to) in y.rows().into_iter().zip(one_hot.rows_mut()) {
        let best = y.iter().enumerate();
        let best = best.reduce(|a, b| if b.1 > a.1 { b } else { a });
        to[best.expect("a class").0] = 1.;
    }
    one_hot
}

/// The gradient of the logits, from that of the soft draw or of the hard one:
/// `dx = y ⊙ (dy - ⟨y, dy⟩)/τ`, row by row, `y` the *soft* draw in both cases.
///
/// Kept is `y` alone; the noise is a constant.
///
/// ```
/// use backprop::discrete::straight_through::gumbel;
/// use ndarray::arr2;
/// let (y, dy) = (arr2(&[[0.25, 0.75]]), arr2(&[[1., 0.]]));
/// let dx = gumbel::vjp(y.view(), 0.5, dy.view());
/// assert_eq!(dx, arr2(&[[0.375, -0.375]]));
/// ```
pub fn vjp(y: ArrayView2<f64>, tau: f64, dy: ArrayView2<f64>) -> Array2<f64> {
    softmax::vjp(y, dy) / tau
}
