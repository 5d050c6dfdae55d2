//! Five ops on vectors, each with both products of its Jacobian.
//!
//! | op | JVP | VJP |
//! |---|---|---|
//! | `y = W x` | `Ẇ x + W ẋ` | `dW = dy xᵀ`, `dx = Wᵀ dy` |
//! | `y = tanh x` | `(1 - y²) ⊙ ẋ` | `(1 - y²) ⊙ dy` |
//! | `y = ln x` | `ẋ / x` | `dy / x` |
//! | `y = Σ x` | `Σ ẋ` | `dy` in every place |
//! | `y = x` in every place | `ẋ` in every place | `Σ dy` |
//!
//! A vector is one example, as a column; batches, with examples as rows,
//! begin with `network::linear`. Everything runs on any [`Number`]: on
//! `f64`, on dual numbers, on counted ones.

use super::Number;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use std::ops::Add;

/// `Σ a_i b_i`; of nothing, 0.
fn dot<T: Number>(a: ArrayView1<T>, b: ArrayView1<T>) -> T {
    let products = a.into_iter().zip(b).map(|(a, b)| *a * *b);
    products.reduce(Add::add).unwrap_or(T::constant(0.))
}

// ANCHOR: matvec
/// `y = W x`, with `w` (O,I) and `x` (I).
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn matvec<T: Number>(w: ArrayView2<T>, x: ArrayView1<T>) -> Array1<T> {
    assert_eq!(w.ncols(), x.len(), "matvec: w {:?}", w.shape());
    w.rows().into_iter().map(|row| dot(row, x)).collect()
}

/// `y_dot = W_dot x + W x_dot`: both may move.
#[track_caller]
pub fn matvec_jvp<T: Number>(
    (w, w_dot): (ArrayView2<T>, ArrayView2<T>),
    (x, x_dot): (ArrayView1<T>, ArrayView1<T>),
) -> Array1<T> {
    matvec(w_dot, x) + matvec(w, x_dot)
}

/// `(dW, dx) = (dy xᵀ, Wᵀ dy)`.
#[track_caller]
pub fn matvec_vjp<T: Number>(
    w: ArrayView2<T>,
    x: ArrayView1<T>,
    dy: ArrayView1<T>,
) -> (Array2<T>, Array1<T>) {
    assert_eq!(w.nrows(), dy.len(), "matvec_vjp: w {:?}", w.shape());
    let dw = Array2::from_shape_fn(w.dim(), |(o, i)| dy[o] * x[i]);
    (dw, matvec(w.t(), dy))
}
// ANCHOR_END: matvec

/// `y = tanh x`, entry by entry.
pub fn tanh<T: Number>(x: ArrayView1<T>) -> Array1<T> {
    x.mapv(T::tanh)
}

/// `y_dot = (1 - y²) ⊙ x_dot`, from the output.
pub fn tanh_jvp<T: Number>(
    y: ArrayView1<T>,
    x_dot: ArrayView1<T>,
) -> Array1<T> {
    let slope = y.mapv(|y| T::constant(1.) - y * y);
    slope * x_dot
}

/// `dx = (1 - y²) ⊙ dy`: the matrix is diagonal, so the same.
pub fn tanh_vjp<T: Number>(y: ArrayView1<T>, dy: ArrayView1<T>) -> Array1<T> {
    tanh_jvp(y, dy)
}

/// `y = ln x`, entry by entry, for positive `x`.
pub fn ln<T: Number>(x: ArrayView1<T>) -> Array1<T> {
    x.mapv(T::ln)
}

/// `y_dot = x_dot / x`.
pub fn ln_jvp<T: Number>(x: ArrayView1<T>, x_dot: ArrayView1<T>) -> Array1<T> {
    &x_dot / &x
}

/// `dx = dy / x`: large where `x` is near 0.
pub fn ln_vjp<T: Number>(x: ArrayView1<T>, dy: ArrayView1<T>) -> Array1<T> {
    &dy / &x
}

/// `y = Σ x_i`; of nothing, 0. It is linear, so its JVP is the same sum.
pub fn sum<T: Number>(x: ArrayView1<T>) -> T {
    let all = x.into_iter().copied();
    all.reduce(Add::add).unwrap_or(T::constant(0.))
}

/// `dx_i = dy`, for `n` inputs: what was summed is copied back.
pub fn sum_vjp<T: Number>(n: usize, dy: T) -> Array1<T> {
    copy(dy, n)
}

/// `y_i = x`, `n` times. It is linear, so its JVP is the same copy.
pub fn copy<T: Number>(x: T, n: usize) -> Array1<T> {
    Array1::from_elem(n, x)
}

/// `dx = Σ dy_i`: what was copied is summed back.
pub fn copy_vjp<T: Number>(dy: ArrayView1<T>) -> T {
    sum(dy)
}

#[cfg(test)]
mod tests {
    use super::super::Dual;
    use super::*;
    use crate::calculus::gradcheck::Sampler;
    use ndarray::{Array, Dimension, Zip, array};

    /// An array, its tangent, and both as dual numbers.
    fn moving<D: Dimension>(
        s: &mut Sampler,
        shape: &[usize],
    ) -> (Array<f64, D>, Array<f64, D>, Array<Dual, D>) {
        let mut draw = |low, high| {
            let a = s.uniform(shape, low, high).into_dimensionality();
            a.expect("that rank")
        };
        let (x, x_dot): (Array<f64, D>, _) = (draw(0.2, 2.), draw(-1., 1.));
        let both = Zip::from(&x)
            .and(&x_dot)
            .map_collect(|&value, &slope| Dual { value, slope });
        (x, x_dot, both)
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-14 * (a.abs() + 1.), "{a} {b}");
    }

    /// Every JVP is what dual numbers make of the op, and adjoint to the VJP.
    #[test]
    fn three_ways_to_one_product() {
        let mut s = Sampler::new(5);
        let (w, w_dot, dual_w) = moving(&mut s, &[3, 4]);
        let (x, x_dot, dual_x) = moving(&mut s, &[4]);
        let (u, ..): (Array1<f64>, _, _) = moving(&mut s, &[3]);
        let y_dot =
            matvec_jvp((w.view(), w_dot.view()), (x.view(), x_dot.view()));
        let dual = matvec(dual_w.view(), dual_x.view());
        dual.iter().zip(&y_dot).for_each(|(d, y)| near(d.slope, *y));
        let (dw, dx) = matvec_vjp(w.view(), x.view(), u.view());
        near(u.dot(&y_dot), (&dw * &w_dot).sum() + dx.dot(&x_dot));

        let (v, ..): (Array1<f64>, _, _) = moving(&mut s, &[4]);
        let y = tanh(x.view());
        for (y_dot, dual, dx) in [
            (
                tanh_jvp(y.view(), x_dot.view()),
                tanh(dual_x.view()),
                tanh_vjp(y.view(), v.view()),
            ),
            (
                ln_jvp(x.view(), x_dot.view()),
                ln(dual_x.view()),
                ln_vjp(x.view(), v.view()),
            ),
        ] {
            dual.iter().zip(&y_dot).for_each(|(d, y)| near(d.slope, *y));
            near(v.dot(&y_dot), dx.dot(&x_dot));
        }

        near(sum(dual_x.view()).slope, sum(x_dot.view()));
        let dx = sum_vjp(4, 0.7);
        near(0.7 * sum(x_dot.view()), dx.dot(&x_dot));
        near(copy_vjp(v.view()) * 0.3, v.dot(&copy(0.3, 4)));
    }

    #[test]
    fn a_product_by_hand() {
        let w = array![[1., 2.], [3., 4.]];
        let (x, dy) = (array![1., -1.], array![5., 6.]);
        let (dw, dx) = matvec_vjp(w.view(), x.view(), dy.view());
        assert_eq!(dx, array![23., 34.]);
        assert_eq!(dw, array![[5., -5.], [6., -6.]]);
    }

    #[test]
    fn of_nothing() {
        let none = Array1::<f64>::zeros(0);
        assert_eq!(sum(none.view()), 0.);
        let w = Array2::<f64>::zeros((2, 0));
        assert_eq!(matvec(w.view(), none.view()), array![0., 0.]);
    }

    #[test]
    #[should_panic(expected = "matvec: w [2, 3]")]
    fn shapes_that_do_not_fit() {
        let w = Array2::<f64>::zeros((2, 3));
        matvec(w.view(), array![1., 2.].view());
    }
}
