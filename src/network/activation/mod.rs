//! Activations: one number in, one number out.   book: network/activation
//!
//!   relu:     y = max(x, 0)           dx = dy where y > 0, else 0
//!   tanh:     y = tanh(x)             dx = (1 - y²) ⊙ dy
//!   sigmoid:  y = 1/(1 + exp(-x))     dx = y(1 - y) ⊙ dy
//!
//! These derivatives can be read off the output, so the input is not kept.
//! GELU and SiLU fall and rise again: the same output has two inputs with
//! different slopes, so they keep the input. They are in [`gelu`] and [`silu`].

pub mod fused;
pub mod gelu;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod silu;

use crate::calculus::chain_rule;
use ndarray::{Array, ArrayView, Dimension, Zip};

// ANCHOR: relu
/// `y = max(x, 0)`, entry by entry, for an array of any shape.
///
/// Kept for the VJP: `y` alone, because `y > 0` exactly where `x > 0`.
/// NaN stays NaN: `f64::max` would turn it into 0 and hide a broken run.
///
/// ```
/// use backprop::network::activation;
/// use ndarray::array;
/// let x = array![-1., 0., 2.];
/// assert_eq!(activation::relu(x.view()), array![0., 0., 2.]);
/// ```
pub fn relu<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(|x| if x <= 0. { 0. } else { x })
}

/// `dx = dy` where `y > 0`, else 0.
///
/// `y` is the output of [`relu`], `dy` its cotangent, of the same shape.
/// At the kink, `x = 0`, the derivative is taken as 0.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn relu_vjp<D: Dimension>(
    y: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("relu_vjp", "y", y.shape(), dy.shape());
    Zip::from(y)
        .and(dy)
        .map_collect(|y, dy| if *y <= 0. { 0. } else { *dy })
}
// ANCHOR_END: relu

// ANCHOR: tanh
/// `y = tanh(x)`, entry by entry, for an array of any shape.
///
/// Kept for the VJP: `y` alone.
pub fn tanh<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(f64::tanh)
}

/// `dx = (1 - y²) ⊙ dy`, since `tanh' = 1 - tanh²`.
///
/// `y` is the output of [`tanh`], `dy` its cotangent, of the same shape.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn tanh_vjp<D: Dimension>(
    y: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("tanh_vjp", "y", y.shape(), dy.shape());
    Zip::from(y).and(dy).map_collect(|y, dy| (1. - y * y) * dy)
}
// ANCHOR_END: tanh

// ANCHOR: sigmoid
/// `y = 1/(1 + exp(-x))`, entry by entry, for an array of any shape.
///
/// Kept for the VJP: `y` alone. Where the exponential overflows, `y` is 0.
///
/// ```
/// use backprop::network::activation;
/// use ndarray::array;
/// let y = activation::sigmoid(array![0., 1e4, -1e4].view());
/// assert_eq!(y, array![0.5, 1., 0.]);
/// ```
pub fn sigmoid<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(chain_rule::sigmoid)
}

/// `dx = y(1 - y) ⊙ dy`: the slope is at most ¼, at `x = 0`.
///
/// `y` is the output of [`sigmoid`], `dy` its cotangent, of the same shape.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn sigmoid_vjp<D: Dimension>(
    y: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("sigmoid_vjp", "y", y.shape(), dy.shape());
    Zip::from(y)
        .and(dy)
        .map_collect(|y, dy| chain_rule::sigmoid_vjp(*y, *dy))
}
// ANCHOR_END: sigmoid

#[track_caller]
fn assert_same(op: &str, a: &str, kept: &[usize], dy: &[usize]) {
    assert_eq!(kept, dy, "{op}: {a} {kept:?} and dy {dy:?} differ in shape");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn relu_by_hand() {
        let x = array![[-2., 0., 3.], [f64::INFINITY, -0.0, 1e-300]];
        let y = relu(x.view());
        assert_eq!(y, array![[0., 0., 3.], [f64::INFINITY, 0., 1e-300]]);
        let dy = array![[5., 7., -1.], [2., 9., 4.]];
        let dx = relu_vjp(y.view(), dy.view());
        assert_eq!(dx, array![[0., 0., -1.], [2., 0., 4.]]);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let y = relu(array![f64::NAN].view());
        assert!(y[0].is_nan());
    }

    #[test]
    fn tanh_by_hand() {
        let x = array![0., 0.5f64.atanh(), 1e4, -1e4];
        let y = tanh(x.view());
        let dx = tanh_vjp(y.view(), array![2., 4., 1., 1.].view());
        assert_eq!((dx[0], dx[2], dx[3]), (2., 0., 0.));
        assert!((dx[1] - 3.).abs() < 1e-14); // (1 - 1/4)·4
    }

    #[test]
    fn sigmoid_by_hand() {
        let y = sigmoid(array![3f64.ln(), -(3f64.ln()), f64::NAN].view());
        assert!((y[0] - 0.75).abs() < 1e-15 && (y[1] - 0.25).abs() < 1e-15);
        assert!(y[2].is_nan());
        let dx = sigmoid_vjp(array![0.75, 0.5].view(), array![16., 4.].view());
        assert_eq!(dx, array![3., 1.]);
    }

    #[test]
    #[should_panic(expected = "relu_vjp: y [2] and dy [3] differ")]
    fn a_wrong_shape_names_both() {
        relu_vjp(array![1., 2.].view(), array![1., 2., 3.].view());
    }
}
