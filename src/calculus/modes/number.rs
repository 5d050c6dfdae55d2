//! What a number must be able to do.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number that a differentiable program can be run on: an `f64`, or one
/// that carries more than its value.
pub trait Number:
    Copy
    + PartialEq
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// A number that no input moves.
    fn constant(c: f64) -> Self;
    /// The value alone: what a comparison looks at.
    fn real(self) -> f64;
    /// `eˣ`
    fn exp(self) -> Self;
    /// `ln x`, for `x > 0`
    fn ln(self) -> Self;
    /// `√x`, for `x ≥ 0`; the slope at 0 is infinite
    fn sqrt(self) -> Self;
    /// `sin x`
    fn sin(self) -> Self;
    /// `cos x`
    fn cos(self) -> Self;
    /// `tanh x`
    fn tanh(self) -> Self;
    /// `|x|`; the slope at the kink is 0
    fn abs(self) -> Self;
    /// `xⁿ`, where `n` may move too
    fn powf(self, n: Self) -> Self;
    /// The angle of the point `(x, y)`, `self` being `y`
    fn atan2(self, x: Self) -> Self;
    /// The larger of two; at a tie `other`, with its slope
    fn max(self, other: Self) -> Self;
    /// `max(x, 0)`; the slope at the kink is 0
    fn relu(self) -> Self {
        self.max(Self::constant(0.))
    }
}

impl Number for f64 {
    fn constant(c: f64) -> Self {
        c
    }
    fn real(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn sin(self) -> Self {
        self.sin()
    }
    fn cos(self) -> Self {
        self.cos()
    }
    fn tanh(self) -> Self {
        self.tanh()
    }
    fn abs(self) -> Self {
        self.abs()
    }
    fn powf(self, n: Self) -> Self {
        self.powf(n)
    }
    fn atan2(self, x: Self) -> Self {
        self.atan2(x)
    }
    /// Not `f64::max`, which drops a NaN and hides a broken run.
    fn max(self, other: Self) -> Self {
        if self > other || self.is_nan() {
            self
        } else {
            other
        }
    }
}
