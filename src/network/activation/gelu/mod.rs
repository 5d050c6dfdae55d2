//! GELU: the input times the chance of being below it.
//!                                                 book: network/activation
//!
//!   exact:  y = x·Φ(x)                     dx = (Φ(x) + x·φ(x)) ⊙ dy
//!   tanh:   y = x/2·(1 + tanh u)           dx = ((1 + t)/2
//!                                               + x/2·(1 - t²)·u') ⊙ dy
//!           u = √(2/π)·(x + 0.044715·x³),  t = tanh u
//!
//!   Φ and φ: distribution function and density of the standard normal
//!
//! The tanh form stands in for Φ where `erf` is not at hand; GPT-2 was trained
//! with it. The two differ by up to 4.7·10⁻⁴, their slopes by up to 8.7·10⁻⁴:
//! forward and VJP must be of the same form.

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use super::assert_same;
use ndarray::{Array, ArrayView, Dimension, Zip};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `Φ(x) = erfc(-x/√2)/2`. Far left, `1 + erf(x/√2)` would cancel.
fn normal_distribution(x: f64) -> f64 {
    libm::erfc(-x * FRAC_1_SQRT_2) / 2.
}

/// `φ(x) = exp(-x²/2)/√(2π)`, the derivative of Φ.
fn normal_density(x: f64) -> f64 {
    (-x * x / 2.).exp() / (2. * PI).sqrt()
}

// ANCHOR: exact
/// `y = x·Φ(x)`, entry by entry, for an array of any shape.
///
/// Kept for the VJP: `x`. The output alone does not tell the slope: `y` falls
/// from 0 to -0.170 at `x = -0.752` and rises from there, so `y = -0.1` has
/// two inputs. Smooth everywhere; -∞ gives NaN, as -∞·0 does.
///
/// Source: Hendrycks and Gimpel 2016, section 2.
///
/// ```
/// use backprop::network::activation::gelu;
/// use ndarray::array;
/// // Φ(1) = 0.8413…, and Φ(-1) is what is missing to 1.
/// let y = gelu::exact(array![0., 1., -1.].view());
/// assert!((y[1] - 0.8413447461).abs() < 1e-10);
/// assert!(y[0] == 0. && (y[1] + y[2] - (2. * y[1] - 1.)).abs() < 1e-15);
/// ```
pub fn exact<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(|x| x * normal_distribution(x))
}

/// `dx = (Φ(x) + x·φ(x)) ⊙ dy`: the product rule, with `Φ' = φ`.
///
/// `x` is the input of [`exact`], `dy` the cotangent of its output, of the same
/// shape. The slope is ½ at 0, 1.129 at its highest, `x = √2`, and negative
/// left of `x = -0.752`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn exact_vjp<D: Dimension>(
    x: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("gelu vjp", "x", x.shape(), dy.shape());
    Zip::from(x).and(dy).map_collect(|&x, dy| {
        (normal_distribution(x) + x * normal_density(x)) * dy
    })
}
// ANCHOR_END: exact

/// √(2/π): then the slope of `tanh u / 2` at 0 is φ(0), that of Φ.
fn root_2_over_pi() -> f64 {
    (2. / PI).sqrt()
}

/// The factor of `x³`, fitted to Φ by the authors.
const CUBE: f64 = 0.044715;

// ANCHOR: tanh
/// `y = x/2·(1 + tanh u)` with `u = √(2/π)·(x + 0.044715·x³)`, entry by entry,
/// for an array of any shape.
///
/// Kept for the VJP: `x`.
///
/// Source: Hendrycks and Gimpel 2016, section 2.
pub fn tanh<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(|x| {
        let u = root_2_over_pi() * (x + CUBE * x * x * x);
        x / 2. * (1. + u.tanh())
    })
}

/// `dx = ((1 + t)/2 + x/2·(1 - t²)·u') ⊙ dy` with `t = tanh u` and
/// `u' = √(2/π)·(1 + 3·0.044715·x²)`.
///
/// `x` is the input of [`tanh`], `dy` the cotangent of its output, of the same
/// shape. The slope is ½ at 0.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn tanh_vjp<D: Dimension>(
    x: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("gelu_tanh vjp", "x", x.shape(), dy.shape());
    Zip::from(x).and(dy).map_collect(|&x, dy| {
        let u = root_2_over_pi() * (x + CUBE * x * x * x);
        let du = root_2_over_pi() * (1. + 3. * CUBE * x * x);
        let t = u.tanh();
        ((1. + t) / 2. + x / 2. * (1. - t * t) * du) * dy
    })
}
// ANCHOR_END: tanh

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    #[track_caller]
    fn near(got: &Array1<f64>, want: &[f64], tolerance: f64) {
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= tolerance, "{got} is not {want}");
        }
    }

    #[test]
    fn exact_to_ten_digits() {
        let x = array![-1., 0., 1., 2.];
        let y = [-0.1586552539, 0., 0.8413447461, 1.9544997361];
        near(&exact(x.view()), &y, 5e-11);
        let slope = [-0.0833154706, 0.5, 1.0833154706, 1.0852318011];
        near(&exact_vjp(x.view(), Array1::ones(4).view()), &slope, 5e-11);
    }

    /// The slope is zero once and highest at √2.
    #[test]
    fn where_it_turns() {
        let slope = |x: f64| exact_vjp(array![x].view(), array![1.].view())[0];
        let lowest = -0.7517915247;
        assert!(slope(lowest).abs() < 1e-10);
        near(&exact(array![lowest].view()), &[-0.1699712075], 5e-11);
        let top = 2f64.sqrt();
        near(&array![slope(top)], &[1.1289], 5e-5);
        assert!(
            slope(top) > slope(top - 1e-3) && slope(top) > slope(top + 1e-3)
        );
    }

    #[test]
    fn the_left_tail_is_not_lost() {
        // Φ(-10) = 7.62·10⁻²⁴: 1 + erf(-10/√2) is 0 in f64.
        let y = exact(array![-10.].view())[0];
        assert!((y / -7.61985302416e-23 - 1.).abs() < 1e-10, "{y}");
    }

    #[test]
    fn the_two_forms_are_close_and_not_the_same() {
        let x = Array1::linspace(-6., 6., 12_001);
        let one = Array1::ones(x.len());
        let widest = |a: Array1<f64>, b: Array1<f64>| {
            (a - b).fold(0., |m: f64, d| m.max(d.abs()))
        };
        let value = widest(exact(x.view()), tanh(x.view()));
        let slope = widest(
            exact_vjp(x.view(), one.view()),
            tanh_vjp(x.view(), one.view()),
        );
        assert!((value - 4.7e-4).abs() < 0.1e-4, "{value}");
        assert!((slope - 8.7e-4).abs() < 0.1e-4, "{slope}");
    }

    #[test]
    fn tanh_form_by_hand() {
        let (x, one) = (array![0., 1e4, -1e4], Array1::ones(3));
        assert_eq!(tanh(x.view()), array![0., 1e4, 0.]);
        assert_eq!(tanh_vjp(x.view(), one.view()), array![0.5, 1., 0.]);
        // u = 0.797884560803·1.044715 and tanh u = 0.682383983
        near(&tanh(array![1.].view()), &[0.8411919906], 5e-11);
    }

    #[test]
    fn extremes() {
        let x = array![1e4, -1e4, 5e-324, f64::NAN];
        for (y, dx) in [
            (exact(x.view()), exact_vjp(x.view(), Array1::ones(4).view())),
            (tanh(x.view()), tanh_vjp(x.view(), Array1::ones(4).view())),
        ] {
            assert_eq!((y[0], y[1]), (1e4, 0.));
            assert_eq!((dx[0], dx[1], dx[2]), (1., 0., 0.5));
            assert!(y[3].is_nan() && dx[3].is_nan());
        }
    }

    #[test]
    #[should_panic(expected = "gelu vjp: x [2] and dy [3] differ in shape")]
    fn a_wrong_shape_names_both() {
        exact_vjp(array![1., 2.].view(), array![1., 2., 3.].view());
    }
}
