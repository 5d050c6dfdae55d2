//! Numbers that are counted.

use super::Number;
use std::cell::Cell;
use std::ops::{Add, Div, Mul, Neg, Sub};

thread_local! {
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
}

/// An `f64` whose operations are counted: every sum, difference, product,
/// quotient, sign and function call is one, on this thread.
///
/// ```
/// use backprop::calculus::modes::{Counted, Dual, Number, count};
///
/// fn f<T: Number>(x: T) -> T {
///     x * x + x
/// }
/// assert_eq!(count(|| f(Counted(3.))).1, 2);
/// // With slopes a product is three products and a sum, a sum two sums.
/// let x = Dual::variable(Counted(3.));
/// assert_eq!(count(|| f(x)).1, 4 + 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted(pub f64);

/// What `run` returns, and how many operations on [`Counted`] it did.
pub fn count<R>(run: impl FnOnce() -> R) -> (R, u64) {
    let before = OPERATIONS.get();
    let result = run();
    (result, OPERATIONS.get() - before)
}

/// The value, and one more operation.
fn one(value: f64) -> Counted {
    OPERATIONS.set(OPERATIONS.get() + 1);
    Counted(value)
}

impl Add for Counted {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        one(self.0 + b.0)
    }
}

impl Sub for Counted {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        one(self.0 - b.0)
    }
}

impl Mul for Counted {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        one(self.0 * b.0)
    }
}

impl Div for Counted {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        one(self.0 / b.0)
    }
}

impl Neg for Counted {
    type Output = Self;
    fn neg(self) -> Self {
        one(-self.0)
    }
}

impl Number for Counted {
    fn constant(c: f64) -> Self {
        Self(c)
    }
    fn real(self) -> f64 {
        self.0
    }
    fn exp(self) -> Self {
        one(self.0.exp())
    }
    fn ln(self) -> Self {
        one(self.0.ln())
    }
    fn sqrt(self) -> Self {
        one(self.0.sqrt())
    }
    fn sin(self) -> Self {
        one(self.0.sin())
    }
    fn cos(self) -> Self {
        one(self.0.cos())
    }
    fn tanh(self) -> Self {
        one(self.0.tanh())
    }
    fn abs(self) -> Self {
        one(self.0.abs())
    }
    fn powf(self, n: Self) -> Self {
        one(self.0.powf(n.0))
    }
    fn atan2(self, x: Self) -> Self {
        one(self.0.atan2(x.0))
    }
    fn max(self, other: Self) -> Self {
        one(Number::max(self.0, other.0))
    }
}
