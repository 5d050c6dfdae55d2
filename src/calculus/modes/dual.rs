//! Dual numbers: a value, and how fast it moves.
//!
//!   a + bε,  ε² = 0      f(a + bε) = f(a) + f'(a) b ε

use super::Number;
use std::ops::{Add, Div, Mul, Neg, Sub};

// ANCHOR: dual
/// `value + slope·ε` with `ε² = 0`.
///
/// The slope is the derivative of the value along the direction in which the
/// inputs move: 1 for the input that moves alone, 0 for a constant.
///
/// ```
/// use backprop::calculus::modes::Dual;
///
/// let x = Dual::variable(3.); // 3 + 1ε
/// let y = x * x + x;
/// assert_eq!((y.value, y.slope), (12., 7.));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<T = f64> {
    /// What the number is.
    pub value: T,
    /// How much it moves per unit of the seed.
    pub slope: T,
}
// ANCHOR_END: dual

impl<T: Number> Dual<T> {
    /// `value + 1ε`: the input that moves.
    pub fn variable(value: T) -> Self {
        let slope = T::constant(1.);
        Self { value, slope }
    }

    /// `value + 0ε`: an input that stands still.
    pub fn fixed(value: T) -> Self {
        let slope = T::constant(0.);
        Self { value, slope }
    }

    /// The chain rule: a function of this number, its value and its slope.
    ///
    /// Where the function is infinitely steep and the number does not move,
    /// `∞ · 0` is NaN: the true slope may be anything, and is not guessed.
    fn through(self, value: T, slope: T) -> Self {
        let slope = slope * self.slope;
        Self { value, slope }
    }
}

impl<T: Number> Add for Dual<T> {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        Self {
            value: self.value + b.value,
            slope: self.slope + b.slope,
        }
    }
}

impl<T: Number> Sub for Dual<T> {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        Self {
            value: self.value - b.value,
            slope: self.slope - b.slope,
        }
    }
}

impl<T: Number> Neg for Dual<T> {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            value: -self.value,
            slope: -self.slope,
        }
    }
}

// ANCHOR: mul_div
impl<T: Number> Mul for Dual<T> {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        Self {
            value: self.value * b.value,
            slope: self.slope * b.value + self.value * b.slope,
        }
    }
}

impl<T: Number> Div for Dual<T> {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let value = self.value / b.value;
        Self {
            value,
            slope: (self.slope - value * b.slope) / b.value,
        }
    }
}
// ANCHOR_END: mul_div

impl<T: Number> Number for Dual<T> {
    fn constant(c: f64) -> Self {
        Self::fixed(T::constant(c))
    }

    fn real(self) -> f64 {
        self.value.real()
    }

    // ANCHOR: functions
    fn exp(self) -> Self {
        let y = self.value.exp();
        self.through(y, y)
    }

    fn ln(self) -> Self {
        let slope = T::constant(1.) / self.value;
        self.through(self.value.ln(), slope)
    }

    fn tanh(self) -> Self {
        let y = self.value.tanh();
        self.through(y, T::constant(1.) - y * y)
    }
    // ANCHOR_END: functions

    fn sqrt(self) -> Self {
        let y = self.value.sqrt();
        self.through(y, T::constant(0.5) / y)
    }

    fn sin(self) -> Self {
        self.through(self.value.sin(), self.value.cos())
    }

    fn cos(self) -> Self {
        self.through(self.value.cos(), -self.value.sin())
    }

    fn abs(self) -> Self {
        let sign = match self.real() {
            x if x > 0. => 1.,
            x if x < 0. => -1.,
            _ => 0.,
        };
        self.through(self.value.abs(), T::constant(sign))
    }

    /// `xⁿ`, slope `n xⁿ⁻¹ ẋ + xⁿ ln x ṅ`.
    ///
    /// `x⁰` is 1 everywhere, so its slope by `x` is 0, at 0 as well. An
    /// exponent that does not move needs no logarithm: `x` may be 0 or
    /// negative. One that moves needs `x > 0`; at `x = 0` the limit is taken,
    /// `xⁿ ln x → 0` for `n > 0`.
    fn powf(self, n: Self) -> Self {
        let (zero, one) = (T::constant(0.), T::constant(1.));
        let value = self.value.powf(n.value);
        let mut slope = zero;
        if n.value != zero {
            let local = n.value * self.value.powf(n.value - one);
            slope = slope + local * self.slope;
        }
        if n.slope != zero && value != zero {
            slope = slope + value * self.value.ln() * n.slope;
        }
        Self { value, slope }
    }

    /// `atan2(y, x)`, slope `(x ẏ - y ẋ)/(x² + y²)`: NaN at `(0, 0)`, which
    /// has no angle.
    fn atan2(self, x: Self) -> Self {
        let (y, x, y_dot, x_dot) = (self.value, x.value, self.slope, x.slope);
        Self {
            value: y.atan2(x),
            slope: (x * y_dot - y * x_dot) / (x * x + y * y),
        }
    }

    fn max(self, other: Self) -> Self {
        if self.real() > other.real() || self.real().is_nan() {
            self
        } else {
            other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::gradcheck::central;
    use approx::assert_relative_eq as close;

    fn dual(value: f64, slope: f64) -> Dual {
        Dual { value, slope }
    }

    #[test]
    fn arithmetic_by_hand() {
        let (a, b) = (dual(3., 1.), dual(2., 5.));
        assert_eq!(a + b, dual(5., 6.));
        assert_eq!(a - b, dual(1., -4.));
        assert_eq!(a * b, dual(6., 17.));
        assert_eq!(a / b, dual(1.5, -3.25));
        assert_eq!(-a, dual(-3., -1.));
        // A constant that is reflected turns the slope around.
        assert_eq!(Dual::constant(1.) - a, dual(-2., -1.));
        let x = Dual::variable(7.);
        let y = x / (Dual::constant(1.) + x * x);
        close!(y.slope, -0.0192, max_relative = 1e-12);
    }

    /// `eˣ(x + 1)`, whose slope is `eˣ(x + 2)`.
    #[test]
    fn the_program_of_the_chapter() {
        let f = |x: f64| {
            let x = Dual::variable(x);
            x.exp() * (x + Dual::constant(1.))
        };
        close!(f(1.).value, 5.436_563_656_9, max_relative = 1e-10);
        close!(f(1.).slope, 8.154_845_485_4, max_relative = 1e-10);
        assert_eq!(f(0.), dual(1., 2.));
    }

    type Unary<T> = fn(T) -> T;

    #[test]
    fn every_function_agrees_with_central_differences() {
        let all: [(Unary<f64>, Unary<Dual>); 9] = [
            (Number::exp, Number::exp),
            (Number::ln, Number::ln),
            (Number::sqrt, Number::sqrt),
            (Number::sin, Number::sin),
            (Number::cos, Number::cos),
            (Number::tanh, Number::tanh),
            (Number::abs, Number::abs),
            (Number::relu, Number::relu),
            (|x| 3. / x, |x| Dual::constant(3.) / x),
        ];
        for (k, (f, dual_f)) in all.into_iter().enumerate() {
            for x in [0.4, 1.3, 2.2, -0.7] {
                if x < 0. && [1, 2].contains(&k) {
                    continue; // ln, √
                }
                let y = dual_f(dual(x, -2.5));
                assert_eq!(y.value, f(x));
                let numeric = -2.5 * central(f, x, 1e-5);
                close!(y.slope, numeric, max_relative = 1e-8);
            }
        }
    }

    type Binary<T> = fn(T, T) -> T;

    #[test]
    fn functions_of_two_agree_with_central_differences() {
        let all: [(Binary<f64>, Binary<Dual>); 4] = [
            (Number::powf, Number::powf),
            (Number::atan2, Number::atan2),
            (Number::max, Number::max),
            (|a, b| a / b, |a, b| a / b),
        ];
        for (f, dual_f) in all {
            for (a, b) in [(0.4, 1.3), (2.2, -0.7), (1.5, 0.3)] {
                let (a_dot, b_dot) = (0.8, -1.7);
                let along = |s| f(a + s * a_dot, b + s * b_dot);
                let y = dual_f(dual(a, a_dot), dual(b, b_dot));
                assert_eq!(y.value, f(a, b));
                close!(y.slope, central(along, 0., 1e-5), max_relative = 1e-8);
            }
        }
    }

    #[test]
    fn powers_at_zero_and_below() {
        let power = |x, n| dual(x, 1.).powf(Dual::constant(n));
        assert_eq!(power(0., 0.), dual(1., 0.));
        assert_eq!(power(0., 1.), dual(0., 1.));
        assert_eq!(power(0., 1.875), dual(0., 0.));
        assert_eq!(power(0., 0.5), dual(0., f64::INFINITY));
        assert_eq!(power(-2., 3.), dual(-8., 12.));
        assert!(power(-2., 0.5).slope.is_nan());
        // An exponent that moves: (0 + 2ε)^(1 + 3ε).
        assert_eq!(dual(0., 2.).powf(dual(1., 3.)), dual(0., 2.));
    }

    #[test]
    fn kinks_ties_and_poles() {
        assert_eq!(dual(0., 3.).relu(), dual(0., 0.));
        assert_eq!(dual(0., 3.).abs(), dual(0., 0.));
        let (a, b) = (dual(2., 3.), dual(2., 5.));
        assert_eq!((a.max(b), b.max(a)), (b, a));
        assert_eq!(dual(0., 3.).sqrt(), dual(0., f64::INFINITY));
        assert_eq!(dual(0., 3.).ln().slope, f64::INFINITY);
        // What does not move where the slope is infinite: 0 · ∞.
        assert!(dual(0., 0.).sqrt().slope.is_nan());
        assert!(dual(0., 0.).ln().slope.is_nan());
        assert!(dual(0., 1.).atan2(dual(0., 1.)).slope.is_nan());
        // A broken number stays broken.
        assert!(dual(f64::NAN, 1.).relu().value.is_nan());
        assert!(dual(1., 1.).max(dual(f64::NAN, 1.)).value.is_nan());
        // Far out nothing overflows that need not.
        assert_eq!(dual(800., 1.).tanh(), dual(1., 0.));
        assert_eq!(dual(1., 1.).atan2(dual(0., 0.)).slope, 0.);
    }

    /// The identity, written so that no rule can see it.
    #[test]
    fn a_program_is_not_its_function() {
        let x = dual(0., 1.);
        assert_eq!(x.relu() - (-x).relu(), dual(0., 0.));
        let x = dual(1e-300, 1.);
        assert_eq!((x.relu() - (-x).relu()).slope, 1.);
    }

    /// Two levels, each with an ε of its own.
    #[test]
    fn nested_numbers_do_not_confuse_their_slopes() {
        let (zero, one) = (0., 1.);
        let x = Dual::variable(one);
        // d/dx [x · d/dy (x + y)] at x = 1, y = 1: the inner one is 1.
        let inner = |x: Dual| {
            let y = Dual::variable(Dual::fixed(one));
            (Dual::fixed(x) + y).slope
        };
        assert_eq!((x * inner(x)).slope, 1.);
        // d²/dx² of x³ at 2 is 12.
        let x = Dual::variable(Dual::variable(2.));
        assert_eq!((x * x * x).slope.slope, 12.);
        assert_eq!((x * x * x).value.slope, 12.);
        assert_eq!(Dual::fixed(Dual::fixed(zero)), Number::constant(0.));
    }
}
