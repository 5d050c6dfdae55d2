//! Straight-through estimators: a gradient that is declared, where the true one
//! is zero.                                  book: discrete/straight_through
//!
//!   ŵ = s·clamp(round(w/s), low, high)         the forward pass
//!   dw = dŵ where low ≤ round(w/s) ≤ high, else 0      the declared VJP
//!
//! A function with steps has the derivative 0 wherever it has one. What stands
//! here as its VJP is that of another function, its *surrogate*, which is
//! written down beside it: [`Grid::surrogate`], [`hard_tanh`], and the formulas
//! at the head of [`vq`] and [`gumbel`]. Finite differences of the surrogate
//! check the VJP; those of the forward pass would say 0.
//!
//! Two values are agreed on, and are the same on every device:
//!
//! - Halves are rounded to the even neighbour, as IEEE 754, NumPy, PyTorch and
//!   WGSL do it: 0.5, 1.5, 2.5 become 0, 2, 2. Rust's own `round` goes away from
//!   zero, to 1, 2, 3; the function is `round_ties_even`.
//! - `sign(0) = sign(-0) = 1`: a bit has two values. Rust's `signum` gives -1
//!   for -0, and those of NumPy and WGSL give 0.

pub mod descent;
pub mod gumbel;
pub mod model;
pub mod quantised;
pub mod vq;

use ndarray::{Array, ArrayView, Dimension, Zip};

/// Equally spaced values: `scale` times the codes `low`, …, `high`.
///
/// Codes are whole numbers, or infinite for a grid without an end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// The distance of two values, above 0.
    pub scale: f64,
    /// The smallest code.
    pub low: f64,
    /// The largest code.
    pub high: f64,
}

impl Grid {
    /// All whole numbers.
    pub const WHOLE: Grid = Grid {
        scale: 1.,
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// The code of the nearest value, were there no ends; halves to even.
    pub fn code(&self, w: f64) -> f64 {
        (w / self.scale).round_ties_even()
    }

    /// Whether that code is on the grid, its ends among them.
    pub fn has(&self, w: f64) -> bool {
        (self.low..=self.high).contains(&self.code(w))
    }
}

impl Grid {
    /// The grid of signed numbers of so many bits: the codes -2ᵇ⁻¹ to 2ᵇ⁻¹ - 1.
    ///
    /// Panics for less than 1 bit or more than 32.
    ///
    /// ```
    /// use backprop::discrete::straight_through::Grid;
    /// let grid = Grid::signed(3, 0.5);
    /// assert_eq!((grid.low, grid.high), (-4., 3.));
    /// ```
    pub fn signed(bits: u32, scale: f64) -> Self {
        assert!((1..=32).contains(&bits), "{bits} bits for a code");
        let half = (1_u64 << (bits - 1)) as f64;
        Self {
            scale,
            low: -half,
            high: half - 1.,
        }
    }

    /// The function whose derivative [`quantise_vjp`] is: `w`, clamped half a
    /// step beyond the first and the last value.
    ///
    /// Its slope is 1 where the code is on the grid and 0 where it is not. At
    /// the two kinks the code decides.
    ///
    /// ```
    /// use backprop::discrete::straight_through::Grid;
    /// let grid = Grid::signed(3, 0.5); // -2 to 1.5
    /// assert_eq!([1.6, 1.7, 1.8, -3.].map(|w| grid.surrogate(w)),
    ///     [1.6, 1.7, 1.75, -2.25]);
    /// ```
    pub fn surrogate(&self, w: f64) -> f64 {
        let half = self.scale / 2.;
        w.clamp(self.scale * self.low - half, self.scale * self.high + half)
    }
}

/// `ŵ = s·clamp(round(w/s), low, high)`, entry by entry: the nearest value of
/// the grid.
///
/// Halves go to the even code. Kept for the VJP: `w` itself, of which one bit
/// is used, whether its code is on the grid. Any shape.
///
/// ```
/// use backprop::discrete::straight_through::{Grid, quantise};
/// use ndarray::arr1;
/// let w = arr1(&[1.3, -0.7, 2.9, 0.24, -3.4]);
/// let w_hat = quantise(w.view(), Grid::signed(3, 0.5));
/// assert_eq!(w_hat, arr1(&[1.5, -0.5, 1.5, 0., -2.]));
/// ```
// ANCHOR: quantise
pub fn quantise<D: Dimension>(
    w: ArrayView<f64, D>,
    grid: Grid,
) -> Array<f64, D> {
    w.mapv(|w| grid.scale * grid.code(w).clamp(grid.low, grid.high))
}

/// The clipped straight-through estimator, declared and not derived: `dŵ`
/// passes where the code of `w` is on the grid.
pub fn quantise_vjp<D: Dimension>(
    w: ArrayView<f64, D>,
    grid: Grid,
    dw_hat: ArrayView<f64, D>,
) -> Array<f64, D> {
    let pass = |w: &f64, d: &f64| if grid.has(*w) { *d } else { 0. };
    Zip::from(w).and(dw_hat).map_collect(pass)
}
// ANCHOR_END: quantise

/// `sign(x)`, entry by entry, with `sign(0) = sign(-0) = 1`.
///
/// Kept for the VJP: `x`.
///
/// Source: Courbariaux, Hubara, Soudry, El-Yaniv and Bengio 2016.
///
/// ```
/// use backprop::discrete::straight_through::sign;
/// use ndarray::arr1;
/// let y = sign(arr1(&[-2., -0., 0., 0.3]).view());
/// assert_eq!(y, arr1(&[-1., 1., 1., 1.]));
/// ```
// ANCHOR: sign
pub fn sign<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(|x| if x >= 0. { 1. } else { -1. })
}

/// Straight through where `-1 ≤ x ≤ 1`, ends included, and 0 beyond.
pub fn sign_vjp<D: Dimension>(
    x: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    let pass = |x: &f64, d: &f64| if x.abs() <= 1. { *d } else { 0. };
    Zip::from(x).and(dy).map_collect(pass)
}
// ANCHOR_END: sign

/// The function whose derivative [`sign_vjp`] is.
pub fn hard_tanh(x: f64) -> f64 {
    x.clamp(-1., 1.)
}

/// `x + (q - x)`, the form in which a framework that differentiates by itself
/// is told to go straight through: the bracket is detached, a constant to the
/// backward pass.
///
/// In floating point it is `q` to the last bit where `q` is `x` rounded to a
/// whole number: `q - x` is then exact (Sterbenz's lemma, for q/2 ≤ x ≤ 2q).
/// `(q + x) - x` is not: see `tests/straight_through.rs`.
pub fn detached(x: f32, q: f32) -> f32 {
    x + (q - x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::gradcheck::one_sided;
    use ndarray::{Array1, arr1};

    /// The example of the chapter, and of `mistakes`: five weights, a neuron.
    #[test]
    fn five_weights() {
        let w = arr1(&[1.3, -0.7, 2.9, 0.24, -3.4]);
        let x = arr1(&[3., 0.5, -1., 2., 1.]);
        let grid = Grid::signed(3, 0.5);
        let w_hat = quantise(w.view(), grid);
        let error = w_hat.dot(&x) - 1.;
        assert_eq!(error, -0.25);
        let dw_hat: Array1<f64> = error * &x;
        let dw = quantise_vjp(w.view(), grid, dw_hat.view());
        assert_eq!(dw, arr1(&[-0.75, -0.125, 0., -0.5, 0.]));
    }

    /// A slope of 1 or 0 on each side of a bound, and the code decides at it.
    #[test]
    fn at_the_bounds() {
        let grid = Grid::signed(3, 0.5);
        let one = arr1(&[1.]);
        let slope =
            |w: f64| quantise_vjp(arr1(&[w]).view(), grid, one.view())[0];
        // The last code; half a step on, 3.5 goes to 4 and -4.5 to -4.
        assert_eq!([1.5, 1.74, 1.75, 1.76].map(slope), [1., 1., 0., 0.]);
        assert_eq!([-2., -2.24, -2.25, -2.26].map(slope), [1., 1., 1., 0.]);
        for (w, h) in [(1.75, -1e-6), (1.75, 1e-6), (-2.25, 1e-6)] {
            let near = slope(w + h);
            let d = one_sided(|w| grid.surrogate(w), w, h);
            assert!((d - near).abs() < 1e-9, "{w} + {h}: {d}");
        }
    }

    #[test]
    fn ties_and_zeros() {
        let half = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5];
        let even = quantise(arr1(&half).view(), Grid::WHOLE);
        assert_eq!(even, arr1(&[0., 2., 2., 0., -2., -2.]));
        // Rust's own goes away from zero, and knows two zeros.
        assert_eq!(half.map(f64::round), [1., 2., 3., -1., -2., -3.]);
        assert_eq!([0_f64, -0.].map(f64::signum), [1., -1.]);
        assert_eq!(sign(arr1(&[0., -0.]).view()), arr1(&[1., 1.]));
    }

    #[test]
    fn infinite_weights_are_off_the_grid() {
        let grid = Grid::signed(2, 1.);
        let w = arr1(&[f64::INFINITY, f64::NEG_INFINITY, 1e300]);
        let w_hat = quantise(w.view(), grid);
        assert_eq!(w_hat, arr1(&[1., -2., 1.]));
        let d = quantise_vjp(w.view(), grid, arr1(&[1.; 3]).view());
        assert_eq!(d, arr1(&[0.; 3]));
    }
}
