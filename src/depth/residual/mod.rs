//! Residual connection and dropout.                    book: depth/residual
//!
//!   add:      y = x + f            dx = dy,  df = dy
//!   dropout:  y = x ⊙ m            dx = dy ⊙ m
//!             m_i = 1/(1 - rate) where u_i ≥ rate, else 0
//!
//!   u_i is number i of a random stream, uniform on [0, 1).
//!
//! A layer that computes `x + f(x)` hands its cotangent down twice: through `f`
//! and past it. The path past it multiplies by 1 however many layers there are.

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use crate::engine::philox::Stream;
use ndarray::{Array, ArrayView, Dimension};

// ANCHOR: add
/// `y = x + f`: the input of a layer and what the layer made of it, of one
/// shape.
///
/// Nothing is kept for the VJP.
///
/// Panics if the shapes differ.
///
/// Source: He et al. 2016, section 3.2.
///
/// ```
/// use backprop::depth::residual::{add, add_vjp};
/// use ndarray::array;
/// let y = add(array![1., 2.].view(), array![10., 20.].view());
/// assert_eq!(y, array![11., 22.]);
/// let (dx, df) = add_vjp(array![3., 4.].view());
/// assert_eq!((dx, df), (array![3., 4.], array![3., 4.]));
/// ```
#[track_caller]
pub fn add<D: Dimension>(
    x: ArrayView<f64, D>,
    f: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("add", x.shape(), f.shape());
    &x + &f
}

/// `dx = dy` and `df = dy`: both get all of it.
pub fn add_vjp<D: Dimension>(
    dy: ArrayView<f64, D>,
) -> (Array<f64, D>, Array<f64, D>) {
    (dy.to_owned(), dy.to_owned())
}
// ANCHOR_END: add

// ANCHOR: dropout
/// `y_i = x_i·m_i`: each entry is set to 0 with probability `rate`, the others
/// are divided by `1 - rate`, so that the mean over masks is `x`.
///
/// `x` of any shape, `rate` in `[0,1)`, no unit; rate 0 is the identity. Entry
/// `i`, counted in row-major order, is kept where number `i` of `stream` is
/// not below `rate`: the mask depends on the place alone, not on the backend,
/// its precision or its threads.
///
/// Nothing is kept for the VJP: the stream draws the same mask again.
/// Setting to 0 is a product with 0, so NaN and ∞ are not hidden by a mask.
///
/// Panics if `rate` is not in `[0,1)`.
///
/// Source: Srivastava et al. 2014, section 10, for dividing in training rather
/// than multiplying afterwards.
///
/// ```
/// use backprop::depth::residual::dropout;
/// use backprop::engine::philox::Stream;
/// use ndarray::Array1;
/// let x = Array1::ones(4000);
/// let y = dropout(x.view(), 0.75, Stream::new(1, 0, 0));
/// assert!(y.iter().all(|y| *y == 0. || *y == 4.));
/// assert!((y.sum() / 4000. - 1.).abs() < 0.1);
/// ```
#[track_caller]
pub fn dropout<D: Dimension>(
    x: ArrayView<f64, D>,
    rate: f64,
    stream: Stream,
) -> Array<f64, D> {
    assert_rate(rate);
    let mut y = x.to_owned();
    for (i, y) in y.iter_mut().enumerate() {
        let kept = f64::from(stream.uniform(i as u64)) >= rate;
        *y *= if kept { 1. / (1. - rate) } else { 0. };
    }
    y
}

/// `dx_i = dy_i·m_i`, with the mask of the forward: a diagonal matrix is its
/// own transpose, so [`dropout`] is its own VJP.
///
/// `dy` of the shape of the output, `rate` and `stream` as in the forward.
///
/// Panics if `rate` is not in `[0,1)`.
#[track_caller]
pub fn dropout_vjp<D: Dimension>(
    dy: ArrayView<f64, D>,
    rate: f64,
    stream: Stream,
) -> Array<f64, D> {
    dropout(dy, rate, stream)
}
// ANCHOR_END: dropout

#[track_caller]
fn assert_rate(rate: f64) {
    assert!(
        (0. ..1.).contains(&rate),
        "dropout: rate {rate} is not in [0,1)"
    );
}

#[track_caller]
fn assert_same(op: &str, x: &[usize], f: &[usize]) {
    assert_eq!(x, f, "{op}: x {x:?} and f {f:?} differ in shape");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, array};

    const STREAM: Stream = Stream::new(7, 3, 2);

    #[test]
    fn the_stream_decides() {
        let x = array![[1., 2., 3.], [4., 5., 6.]];
        let y = dropout(x.view(), 0.5, STREAM);
        for (i, (x, y)) in x.iter().zip(&y).enumerate() {
            let kept = STREAM.uniform(i as u64) >= 0.5;
            assert_eq!(*y, if kept { 2. * x } else { 0. });
        }
    }

    #[test]
    fn the_mask_is_drawn_again_and_is_the_same() {
        let one = Array2::ones((40, 50));
        let y = dropout(one.view(), 0.3, STREAM);
        let dx = dropout_vjp(one.view(), 0.3, STREAM);
        assert_eq!(y, dx);
        for other in [Stream::new(7, 4, 2), Stream::new(7, 3, 1)] {
            assert_ne!(y, dropout_vjp(one.view(), 0.3, other));
        }
    }

    /// In row-major order, also of a view that lies otherwise.
    #[test]
    fn a_transposed_view_has_the_mask_of_its_shape() {
        let one = Array2::ones((3, 5));
        let y = dropout(one.t(), 0.5, STREAM);
        assert_eq!(y, dropout(Array2::ones((5, 3)).view(), 0.5, STREAM));
    }

    #[test]
    fn rate_zero_is_the_identity() {
        let x = array![1., -0.3, 1e-300, f64::INFINITY];
        assert_eq!(dropout(x.view(), 0., STREAM), x);
    }

    /// 10⁵ entries: the share kept within five standard errors.
    #[test]
    fn the_rate_is_the_rate() {
        let n = 100_000;
        for rate in [0.1, 0.5, 0.9] {
            let y = dropout(Array1::ones(n).view(), rate, STREAM);
            let kept = y.iter().filter(|y| **y != 0.).count() as f64;
            let error = (rate * (1. - rate) / n as f64).sqrt();
            assert!((kept / n as f64 - (1. - rate)).abs() < 5. * error);
        }
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let y = dropout(Array1::from_elem(64, f64::NAN).view(), 0.5, STREAM);
        assert!(y.iter().all(|y| y.is_nan()));
    }

    #[test]
    #[should_panic(expected = "dropout: rate 1 is not in [0,1)")]
    fn a_rate_of_one() {
        dropout(array![1.].view(), 1., STREAM);
    }

    #[test]
    #[should_panic(expected = "dropout: rate NaN is not in [0,1)")]
    fn a_rate_that_is_not_a_number() {
        dropout(array![1.].view(), f64::NAN, STREAM);
    }

    #[test]
    #[should_panic(expected = "add: x [2] and f [3] differ in shape")]
    fn a_wrong_shape_names_both() {
        add(array![1., 2.].view(), array![1., 2., 3.].view());
    }
}
