//! A weight at few bits.                    book: discrete/straight_through
//!
//!   ŵ  = s·clamp(round(w/s), -q, q)     at 2 bits and more, q = 2^(bits-1) - 1
//!   ŵ  = s·sign(w), sign(0) = 1         at 1 bit, q = 1
//!   dw = dŵ where |w| ≤ q·s, else 0
//!
//! As many codes above zero as below, none shifted: of the `2^bits` codes that
//! there are, `-q - 1` is not used. Halves go to the even code (as `round` of
//! WGSL and of PyTorch has them; Rust's `round` goes away from zero), so a tie
//! is the same number on every device.
//!
//! `ŵ` is constant between its jumps: its derivative is 0 or does not exist.
//! The backward pass is that of another function, its **surrogate**,
//!
//!   clamp(w, -q·s, q·s)
//!
//! whose bounds still pass the gradient. That it is declared, and not derived,
//! is what "straight through" means (Bengio et al. 2013). Finite differences of
//! [`surrogate`] agree with [`vjp`], those of [`forward`] never do.
//!
//! The step `s` is read off the weights, see [`scale`], and is a constant in
//! the backward pass: no gradient goes through it.

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use ndarray::{Array, ArrayView, Dimension, Zip};

/// A code has at most this many bits: all codes, and the halves between them,
/// are numbers that an `f32` holds.
pub const MOST_BITS: u32 = 16;

/// The largest code `q`: 1 at 1 and at 2 bits, 7 at 4, 127 at 8.
///
/// Panics if `bits` is not from 1 to [`MOST_BITS`].
#[track_caller]
pub fn largest_code(bits: u32) -> u32 {
    let range = 1..=MOST_BITS;
    assert!(
        range.contains(&bits),
        "quantise: {bits} bits, not {range:?}"
    );
    ((1 << (bits - 1)) - 1).max(1)
}

/// What the mean of `|w|` is multiplied with for the step `s`.
#[track_caller]
fn steps_in_mean(bits: u32) -> f64 {
    match bits {
        1 => 1.,
        _ => 2. / f64::from(largest_code(bits)).sqrt(),
    }
}

/// The step `s` between two codes: at 1 bit the mean of `|w|`, else
/// `2·mean/√q`; 0 for an array without an entry.
///
/// `s·sign(w)` is then as near to `w` as one number can bring it, in least
/// squares (Rastegari et al. 2016, eq. 6). For more bits it is the step with
/// which Esser et al. (2020, sec. 2.1) begin; they go on to learn it, here it
/// follows the weights. Largest weights lie beyond `q·s` at few bits: a step
/// that reached them, `max|w|/q`, would make all others zero at 2 bits.
///
/// ```
/// use backprop::discrete::straight_through::quantised;
/// use ndarray::array;
/// let w = array![0.5, -1., 0., 2.5];
/// assert_eq!(quantised::scale(w.view(), 1), 1.);
/// assert_eq!(quantised::scale(w.view(), 2), 2.);
/// ```
///
/// Panics if `bits` is not from 1 to [`MOST_BITS`].
#[track_caller]
pub fn scale<D: Dimension>(w: ArrayView<f64, D>, bits: u32) -> f64 {
    let sum: f64 = w.iter().map(|w| w.abs()).sum();
    sum * (steps_in_mean(bits) / w.len().max(1) as f64)
}

/// `ŵ = s·clamp(round(w/s), -q, q)`, ties to even; at 1 bit `ŵ = s·sign(w)`
/// with `sign(0) = sign(-0) = 1`. An array of any shape, of which nothing but
/// `w` and `s` is kept.
///
/// Where `s` is 0 all weights are, and so is `ŵ`. NaN stays NaN, by way of `s`.
///
/// ```
/// use backprop::discrete::straight_through::quantised;
/// use ndarray::array;
/// let w = array![0.5, 0.6, 1.5, -7., 0.];
/// let three_bits = quantised::forward(w.view(), 1., 3);
/// assert_eq!(three_bits, array![0., 1., 2., -3., 0.]);
/// assert_eq!(quantised::forward(w.view(), 1., 1), array![1., 1., 1., -1., 1.]);
/// ```
///
/// Panics if `bits` is not from 1 to [`MOST_BITS`].
#[track_caller]
pub fn forward<D: Dimension>(
    w: ArrayView<f64, D>,
    s: f64,
    bits: u32,
) -> Array<f64, D> {
    let q = f64::from(largest_code(bits));
    let step = if s == 0. { 1. } else { s };
    w.mapv(|w| match bits {
        1 if w >= 0. => s,
        1 => -s,
        _ => s * (w / step).round_ties_even().clamp(-q, q),
    })
}

/// `dw = dŵ` where `|w| ≤ q·s`, both bounds within, else 0: straight through
/// the rounding, not through the clamp.
///
/// `w` and `s` are those of [`forward`], `dw_hat` is the cotangent of its
/// output. The step `s` is declared constant.
///
/// Panics if the shapes differ or `bits` is not from 1 to [`MOST_BITS`].
#[track_caller]
pub fn vjp<D: Dimension>(
    w: ArrayView<f64, D>,
    s: f64,
    bits: u32,
    dw_hat: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("quantise_vjp", w.shape(), dw_hat.shape());
    let most = f64::from(largest_code(bits)) * s;
    Zip::from(w)
        .and(dw_hat)
        .map_collect(|w, dw_hat| if w.abs() <= most { *dw_hat } else { 0. })
}

/// What [`vjp`] is the derivative of: `clamp(w, -q·s, q·s)`, with the bounds
/// constant.
///
/// Panics if `bits` is not from 1 to [`MOST_BITS`].
#[track_caller]
pub fn surrogate<D: Dimension>(
    w: ArrayView<f64, D>,
    s: f64,
    bits: u32,
) -> Array<f64, D> {
    let most = f64::from(largest_code(bits)) * s;
    w.mapv(|w| w.clamp(-most, most))
}

/// The shape of a step on a device.
#[track_caller]
pub(crate) fn assert_step(op: &str, s: &[usize]) {
    assert_eq!(s, [1], "{op}: the step {s:?} is not one number");
}

/// The shapes of a weight and of a cotangent or a gradient.
#[track_caller]
fn assert_same(op: &str, w: &[usize], d: &[usize]) {
    assert_eq!(
        w, d,
        "{op}: w {w:?} and its cotangent {d:?} differ in shape"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    #[test]
    fn codes_of_every_width() {
        let largest = [1, 2, 3, 4, 8, 16].map(largest_code);
        assert_eq!(largest, [1, 1, 3, 7, 127, 32_767]);
        // Every multiple of the step within the bounds is its own code.
        for bits in 2..=MOST_BITS {
            let q = f64::from(largest_code(bits));
            let codes = Array1::range(-q, q + 1., (q / 50.).ceil());
            let w = &codes * 0.25;
            assert_eq!(forward(w.view(), 0.25, bits), w);
            let beyond = array![-q - 1., q + 1., 1e300];
            let most = array![-q, q, q];
            assert_eq!(forward(beyond.view(), 1., bits), most);
        }
    }

    #[test]
    fn bounds_pass_the_gradient() {
        let w = array![-1.5000000000000002, -1.5, 0., 1.5, 1.5000000000000002];
        let dy = array![1., 2., 3., 4., 5.];
        for bits in [1, 2] {
            let dw = vjp(w.view(), 1.5, bits, dy.view());
            assert_eq!(dw, array![0., 2., 3., 4., 0.]);
        }
    }

    /// The nearest in least squares, as the doc says.
    #[test]
    fn at_one_bit_no_other_step_is_nearer() {
        let w = array![0.3, -0.1, 1.2, -0.7, 0.05];
        let off = |s: f64| {
            let w_hat = forward(w.view(), s, 1);
            (w_hat - &w).mapv(|d| d * d).sum()
        };
        let s = scale(w.view(), 1);
        assert!((s - 0.47).abs() < 1e-15);
        assert!(off(s) < off(s * 1.001) && off(s) < off(s * 0.999));
    }

    #[test]
    fn weights_that_are_all_zero() {
        let (w, dy) = (array![0., -0., 0.], array![1., 2., 3.]);
        for bits in [1, 2, 8] {
            let s = scale(w.view(), bits);
            assert_eq!(s, 0.);
            assert_eq!(forward(w.view(), s, bits), array![0., 0., 0.]);
            assert_eq!(vjp(w.view(), s, bits, dy.view()), dy);
        }
        assert_eq!(scale(Array1::zeros(0).view(), 4), 0.);
    }

    #[test]
    #[should_panic(expected = "quantise: 0 bits, not 1..=16")]
    fn no_bits_are_refused() {
        scale(array![1.].view(), 0);
    }
}
