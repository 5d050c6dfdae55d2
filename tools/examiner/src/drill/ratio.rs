//! Exact fractions, as a hand writes them.

use std::fmt;

/// A fraction in lowest terms, the sign in the numerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: i64,
    denominator: i64,
}

/// The largest denominator that [`Ratio::near`] finds: two such fractions are
/// at least 4e-8 apart, much farther than rounding moves a number.
const MOST: i64 = 5000;

impl Ratio {
    /// `numerator / denominator`.
    ///
    /// # Panics
    /// If the denominator is 0.
    #[track_caller]
    pub fn new(numerator: i64, denominator: i64) -> Self {
        assert_ne!(denominator, 0, "a fraction with the denominator 0");
        let divisor = divisor(numerator, denominator) * denominator.signum();
        Self {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        }
    }

    /// The fraction that a float stands for: the simplest one within rounding
    /// of it. `None` if it is none with a denominator up to 5000, or is
    /// beyond ±10000.
    ///
    /// ```
    /// use examiner::drill::Ratio;
    /// assert_eq!(Ratio::near(1. / 3. - 1.), Some(Ratio::new(-2, 3)));
    /// assert_eq!(Ratio::near(2f64.sqrt()), None);
    /// ```
    pub fn near(value: f64) -> Option<Self> {
        let size = value.abs();
        if size.is_nan() || size > 1e4 {
            return None;
        }
        // The convergents of its continued fraction.
        let (mut before, mut last) = ((0, 1), (1, 0));
        let mut rest = size;
        while last.1 <= MOST {
            let whole = rest.floor();
            let next = |a: i64, b: i64| whole as i64 * b + a;
            let this = (next(before.0, last.0), next(before.1, last.1));
            (before, last) = (last, this);
            let gap = last.0 as f64 / last.1 as f64 - size;
            if gap.abs() <= 1e-12 * size.max(1.) {
                let sign = if value < 0. { -1 } else { 1 };
                let found = Self::new(sign * last.0, last.1);
                return Some(found).filter(|r| r.denominator <= MOST);
            }
            rest = 1. / (rest - whole);
        }
        None
    }

    /// Above the line, with the sign.
    pub fn numerator(self) -> i64 {
        self.numerator
    }

    /// Below the line: above 0.
    pub fn denominator(self) -> i64 {
        self.denominator
    }

    /// The nearest float.
    pub fn value(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Whether the two are less than `10^-decimals` apart.
    pub fn within(self, other: Self, decimals: u32) -> bool {
        let (gap, scale) = self.gap(other);
        gap * 10i128.pow(decimals) < scale
    }

    /// The distance of the two, as a numerator and a denominator.
    fn gap(self, other: Self) -> (i128, i128) {
        let [a, b, c, d] = [
            self.numerator,
            self.denominator,
            other.numerator,
            other.denominator,
        ]
        .map(i128::from);
        ((a * d - c * b).abs(), b * d)
    }

    /// Whether no decimal that rounds one of them is taken for the other:
    /// with three significant digits and one decimal at least, a unit of the
    /// last place is at most a tenth, and a hundredth of the number.
    pub fn is_apart(self, other: Self) -> bool {
        let (gap, scale) = self.gap(other);
        let sizes = [self, other].map(|r| r.value().abs());
        5 * gap > scale
            || gap as f64 / scale as f64 > sizes[0].max(sizes[1]) / 50.
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.numerator < 0 { "−" } else { "" };
        let size = self.numerator.unsigned_abs();
        match self.denominator {
            1 => f.pad(&format!("{sign}{size}")),
            below => f.pad(&format!("{sign}{size}/{below}")),
        }
    }
}

/// The greatest common divisor, at least 1.
fn divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_found_again_whatever_rounding_did() {
        for below in 1..200 {
            for above in -300..300 {
                let ratio = Ratio::new(above, below);
                let rounded = ratio.value() * 3. / 7. * 7. / 3.;
                assert_eq!(Ratio::near(rounded), Some(ratio));
            }
        }
        for none in [f64::NAN, f64::INFINITY, 2f64.ln(), 1e5, 0.1f64.exp()] {
            assert_eq!(Ratio::near(none), None, "{none}");
        }
        assert_eq!(Ratio::near(-0.), Some(Ratio::new(0, 1)));
    }

    #[test]
    fn what_a_rounded_decimal_could_mean_is_not_apart() {
        let r = Ratio::new;
        assert!(r(49, 1).is_apart(r(50, 1)) && r(1, 8).is_apart(r(1, 9)));
        assert!(r(0, 1).is_apart(r(1, 100)) && r(1, 3).is_apart(r(-1, 3)));
        assert!(!r(1, 8).is_apart(r(1, 8)) && !r(1, 60).is_apart(r(1, 61)));
        assert!(r(2, 3).within(r(667, 1000), 3));
        assert!(!r(2, 3).within(r(665, 1000), 3));
    }

    #[test]
    fn a_fraction_is_written_with_a_minus() {
        let written = [(-7, 2), (4, -2), (0, 5)].map(|(a, b)| Ratio::new(a, b));
        assert_eq!(written.map(|r| r.to_string()), ["−7/2", "−2", "0"]);
    }
}
