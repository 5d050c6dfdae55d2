//! SiLU, and the gate made of it.                  book: network/activation
//!
//!   silu:    y = x·σ(x)             dx = σ(x)·(1 + x·(1 - σ(x))) ⊙ dy
//!   swiglu:  y = silu(g) ⊙ u        dg = dy ⊙ u ⊙ silu'(g)
//!                                   du = dy ⊙ silu(g)
//!
//!   σ(x) = 1/(1 + exp(-x));  x (N,2F) = [g | u]  ->  y (N,F)

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use super::assert_same;
use crate::calculus::chain_rule::sigmoid;
use ndarray::{
    Array, Array2, ArrayView, ArrayView2, Axis, Dimension, Zip, concatenate,
};

// ANCHOR: silu
/// `y = x·σ(x)`, entry by entry, for an array of any shape.
///
/// Kept for the VJP: `x`. The output alone does not tell the slope: `y` falls
/// to -0.278 at `x = -1.278` and rises from there. Smooth everywhere; -∞ gives
/// NaN, as -∞·0 does.
///
/// Source: Hendrycks and Gimpel 2016, section 2; Ramachandran et al. 2017, who
/// call it Swish.
///
/// ```
/// use backprop::network::activation::silu;
/// use ndarray::array;
/// // σ(ln 3) = 3/4
/// let y = silu::forward(array![0., 3f64.ln()].view());
/// assert!(y[0] == 0. && (y[1] - 0.75 * 3f64.ln()).abs() < 1e-15);
/// ```
pub fn forward<D: Dimension>(x: ArrayView<f64, D>) -> Array<f64, D> {
    x.mapv(|x| x * sigmoid(x))
}

/// `dx = σ(x)·(1 + x·(1 - σ(x))) ⊙ dy`: the product rule, with
/// `σ' = σ(1 - σ)`.
///
/// `x` is the input of [`forward`], `dy` the cotangent of its output, of the
/// same shape. The slope is ½ at 0 and 1.0998 at its highest, `x = 2.399`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn vjp<D: Dimension>(
    x: ArrayView<f64, D>,
    dy: ArrayView<f64, D>,
) -> Array<f64, D> {
    assert_same("silu vjp", "x", x.shape(), dy.shape());
    Zip::from(x).and(dy).map_collect(|&x, dy| {
        let s = sigmoid(x);
        s * (1. + x * (1. - s)) * dy
    })
}
// ANCHOR_END: silu

// ANCHOR: swiglu
/// `y = silu(g) ⊙ u`: one half of the features decides how much of the other
/// half passes.
///
/// `x` (N,2F): in each row first the gate `g` (F), then `u` (F), as one linear
/// layer gives them. Gives `y` (N,F). Kept for the VJP: `x`.
///
/// Panics if the rows of `x` have no two halves.
///
/// Source: Shazeer 2020, equation 6.
///
/// ```
/// use backprop::network::activation::silu;
/// use ndarray::array;
/// let y = silu::swiglu(array![[0., 1e4, 5., -2.]].view());
/// assert_eq!(y, array![[0., -2e4]]);
/// ```
#[track_caller]
pub fn swiglu(x: ArrayView2<f64>) -> Array2<f64> {
    let (g, u) = x.split_at(Axis(1), half("swiglu", x.shape())); // (N,F) each
    forward(g) * u
}

/// `dg = dy ⊙ u ⊙ silu'(g)` and `du = dy ⊙ silu(g)`: each half gets the
/// cotangent times what it was multiplied by.
///
/// `x` (N,2F) is the input of [`swiglu`], `dy` (N,F) the cotangent of its
/// output. Gives `dx` (N,2F), `dg` on the left and `du` on the right.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn swiglu_vjp(x: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    let (g, u) = x.split_at(Axis(1), half("swiglu vjp", x.shape()));
    assert_same("swiglu vjp", "each half of x", u.shape(), dy.shape());
    let dg = vjp(g, (&dy * &u).view()); // (N,F)
    let du = forward(g) * dy; //           (N,F)
    concatenate![Axis(1), dg, du] //       (N,2F)
}
// ANCHOR_END: swiglu

/// F of rows of 2F numbers.
#[track_caller]
fn half(op: &str, x: &[usize]) -> usize {
    assert_eq!(x[1] % 2, 0, "{op}: x {x:?} has no two halves");
    x[1] / 2
}

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
    fn silu_to_ten_digits() {
        let x = array![-1., 0., 1., 2.];
        let y = [-0.2689414214, 0., 0.7310585786, 1.7615941560];
        near(&forward(x.view()), &y, 5e-11);
        let slope = [0.0723294881, 0.5, 0.9276705119, 1.0907842488];
        near(&vjp(x.view(), Array1::ones(4).view()), &slope, 5e-11);
        // The lowest point, and the steepest.
        let x = array![-1.2784645428, 2.399];
        near(&forward(x.view()), &[-0.2784645428], 5e-11);
        near(&vjp(x.view(), Array1::ones(2).view()), &[0., 1.0998], 5e-5);
    }

    #[test]
    fn swiglu_by_hand() {
        // g = (0, ln 3), u = (4, 8): silu(g) = (0, ¾ ln 3)
        let l = 3f64.ln();
        let x = array![[0., l, 4., 8.]];
        let y = swiglu(x.view());
        near(&y.row(0).to_owned(), &[0., 6. * l], 1e-14);
        // silu'(g) = (½, ¾(1 + ¼ ln 3))
        let dx = swiglu_vjp(x.view(), array![[3., 2.]].view());
        let want = [6., 12. + 3. * l, 0., 1.5 * l];
        near(&dx.row(0).to_owned(), &want, 1e-14);
    }

    #[test]
    fn extremes() {
        let x = array![1e4, -1e4, 5e-324, f64::NAN];
        let (y, dx) = (forward(x.view()), vjp(x.view(), x.view()));
        assert_eq!((y[0], y[1], dx[0], dx[1]), (1e4, 0., 1e4, 0.));
        assert!(y[3].is_nan() && dx[3].is_nan());
        assert_eq!(swiglu(Array2::zeros((0, 6)).view()).dim(), (0, 3));
    }

    #[test]
    #[should_panic(expected = "swiglu: x [2, 3] has no two halves")]
    fn halves_are_needed() {
        swiglu(Array2::zeros((2, 3)).view());
    }

    #[test]
    #[should_panic(
        expected = "swiglu vjp: each half of x [2, 2] and dy [2, 4] differ"
    )]
    fn the_cotangent_has_half_the_width() {
        let x = Array2::zeros((2, 4));
        swiglu_vjp(x.view(), x.view());
    }
}
