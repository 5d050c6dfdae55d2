//! The linear layer.                                book: network/linear
//!
//!   y_no = Σ_i x_ni w_io + b_o
//!
//!   x (B,I) batch, one example per row;  w (I,O);  b (O)  ->  y (B,O)
//!
//! Rows are examples. The column convention, in which examples are columns and
//! the weight stands on the left, is in [`columns`].

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// `y = x·w + b`: the bias row is added to every row of the product.
///
/// `x` (B,I), `w` (I,O), `b` (O) give `y` (B,O).
/// Kept for the VJP: `x` and `w`. The bias is not needed, nor is `y`.
///
/// Panics if the inner dimensions of `x` and `w`, or `w` and `b`, differ.
///
/// ```
/// use backprop::network::linear;
/// use ndarray::array;
/// let (x, w) = (array![[1., 2.]], array![[3., 4., 5.], [6., 7., 8.]]);
/// let y = linear::forward(x.view(), w.view(), array![0., 0., 1.].view());
/// assert_eq!(y, array![[15., 18., 22.]]);
/// ```
#[track_caller]
// ANCHOR: forward
pub fn forward(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    b: ArrayView1<f64>,
) -> Array2<f64> {
    assert_shapes(x.shape(), w.shape(), b.len());
    x.dot(&w) + b // (B,I)(I,O) + (O), broadcast down the rows
}
// ANCHOR_END: forward

/// The three gradients of a linear layer, in the order of its inputs:
///
///   dx = dy·wᵀ     dw = xᵀ·dy     db = Σ_n dy_n
///
/// `x` (B,I), `w` (I,O) and the cotangent `dy` (B,O) give `dx` (B,I),
/// `dw` (I,O), `db` (O): each has the shape of its variable.
/// Two products of the forward's size, so twice its work.
///
/// Panics if the shapes do not fit each other.
///
/// ```
/// use backprop::network::linear;
/// use ndarray::array;
/// let (x, w) = (array![[1., 2.]], array![[3., 4., 5.], [6., 7., 8.]]);
/// let dy = array![[1., 0., 10.]];
/// let (dx, dw, db) = linear::vjp(x.view(), w.view(), dy.view());
/// assert_eq!(dx, array![[53., 86.]]);
/// assert_eq!(dw, array![[1., 0., 10.], [2., 0., 20.]]);
/// assert_eq!(db, array![1., 0., 10.]);
/// ```
#[track_caller]
// ANCHOR: vjp
pub fn vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    assert_vjp(x.shape(), w.shape(), dy.shape());
    let dx = dy.dot(&w.t()); //       (B,O)(O,I) every output asks its inputs
    let dw = x.t().dot(&dy); //       (I,B)(B,O) input times cotangent, summed
    let db = dy.sum_axis(Axis(0)); // (O)        b went to every row
    (dx, dw, db)
}
// ANCHOR_END: vjp

/// `dx = dy·wᵀ` alone, for a layer whose parameters are frozen: the one thing
/// still wanted is what to hand down.
///
/// `w` (I,O) and the cotangent `dy` (B,O) give `dx` (B,I), as in [`vjp`].
///
/// Panics if the shapes do not fit each other.
#[track_caller]
pub fn vjp_input(w: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    assert_input(w.shape(), dy.shape());
    dy.dot(&w.t()) // (B,O)(O,I)
}

/// `x` (B,I), `w` (I,O) and the length O of `b`.
#[track_caller]
fn assert_shapes(x: &[usize], w: &[usize], outputs: usize) {
    assert!(
        x[1] == w[0] && w[1] == outputs,
        "linear: x {x:?} and w {w:?} do not fit {outputs} outputs",
    );
}

/// `x` (B,I), `w` or its gradient (I,O), and `dy` (B,O).
#[track_caller]
fn assert_vjp(x: &[usize], w: &[usize], dy: &[usize]) {
    assert!(
        x[1] == w[0] && dy == [x[0], w[1]],
        "linear vjp: x {x:?} and w {w:?} do not fit dy {dy:?}",
    );
}

/// `w` (I,O) and `dy` (B,O).
#[track_caller]
fn assert_input(w: &[usize], dy: &[usize]) {
    assert_eq!(w[1], dy[1], "linear vjp: w {w:?} does not fit dy {dy:?}");
}

/// The same layer with examples as columns: `Z = W·A + b·1ᵀ`.
///
/// This is the convention of most derivations on paper. Its formulas are the
/// ones above, transposed: put `a = xᵀ`, `w_col = wᵀ`, `dz = dyᵀ`.
// ANCHOR: columns
pub mod columns {
    use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

    /// `w` (O,I), `a` (I,B), `b` (O) give `z` (O,B).
    #[track_caller]
    pub fn forward(
        w: ArrayView2<f64>,
        a: ArrayView2<f64>,
        b: ArrayView1<f64>,
    ) -> Array2<f64> {
        w.dot(&a) + b.insert_axis(Axis(1)) // (O,I)(I,B) + (O,1)
    }

    /// `dw = dz·aᵀ`, `da = wᵀ·dz`, `db = Σ_n dz_on`, in the inputs' order.
    #[track_caller]
    pub fn vjp(
        w: ArrayView2<f64>,
        a: ArrayView2<f64>,
        dz: ArrayView2<f64>,
    ) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
        let dw = dz.dot(&a.t()); //       (O,B)(B,I)
        let da = w.t().dot(&dz); //       (I,O)(O,B)
        let db = dz.sum_axis(Axis(1)); // (O)
        (dw, da, db)
    }
}
// ANCHOR_END: columns

/// A weight that is a product of two thin factors, `w = u·vᵀ`.
///
/// `u` (I,R), `v` (O,R), and `dw` (I,O), the gradient that the full weight
/// would get, give `du = dw·v` (I,R) and `dv = dwᵀ·u` (O,R).
#[track_caller]
pub fn low_rank_vjp(
    u: ArrayView2<f64>,
    v: ArrayView2<f64>,
    dw: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    (dw.dot(&v), dw.t().dot(&u))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::gradcheck::central;
    use ndarray::{array, s};

    /// The worked example of the chapter: three examples, two in, two out.
    fn example() -> (Array2<f64>, Array2<f64>, Array1<f64>) {
        (
            array![[1., 0.], [0., 1.], [1., 1.]],
            array![[2., 1.], [-1., 3.]],
            array![0.5, -2.],
        )
    }

    #[test]
    fn worked_example_forward() {
        let (x, w, b) = example();
        let y = forward(x.view(), w.view(), b.view());
        assert_eq!(y, array![[2.5, -1.], [-0.5, 1.], [1.5, 2.]]);
        assert_eq!(y.sum(), 5.5);
    }

    #[test]
    fn worked_example_sum_loss() {
        let (x, w, _) = example();
        let dy = Array2::ones((3, 2));
        let (dx, dw, db) = vjp(x.view(), w.view(), dy.view());
        assert_eq!(dw, array![[2., 2.], [2., 2.]]);
        assert_eq!(dx, array![[3., 2.], [3., 2.], [3., 2.]]);
        assert_eq!(db, array![3., 3.]);
    }

    #[test]
    fn worked_example_uneven_cotangent() {
        let (x, w, _) = example();
        let dy = array![[1., -2.], [3., 4.], [-1., 5.]];
        let (dx, dw, db) = vjp(x.view(), w.view(), dy.view());
        assert_eq!(dw, array![[0., 3.], [2., 9.]]);
        assert_eq!(dx, array![[0., -7.], [10., 9.], [3., 16.]]);
        assert_eq!(db, array![3., 7.]);
    }

    #[test]
    fn effects_add_only_where_the_rates_are_continuous() {
        let loss = |a: f64, b: f64| match (a, b) {
            (0., 0.) => 0.,
            _ => a * a * b / (a * a + b * b),
        };
        let slope = |f: &dyn Fn(f64) -> f64| central(f, 0., 1e-3);
        // No slope along either axis, one half along both at once.
        assert_eq!(slope(&|a| loss(a, 0.)), 0.);
        assert_eq!(slope(&|b| loss(0., b)), 0.);
        assert!((slope(&|v| loss(v, v)) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn square_shapes_let_a_wrong_product_fit() {
        let x = array![[1., 2.], [3., 4.]];
        let w = Array2::zeros((2, 2));
        let dy = array![[1., 0.], [2., -1.]];
        let (_, dw, _) = vjp(x.view(), w.view(), dy.view());
        assert_eq!(dw, array![[7., -3.], [10., -4.]]);
        assert_eq!(x.dot(&dy), array![[5., -2.], [11., -4.]]);
    }

    #[test]
    fn the_two_conventions_are_transposes_of_each_other() {
        let (x, w, b) = example();
        let dy = array![[1., -2.], [3., 4.], [-1., 5.]];
        let y = forward(x.view(), w.view(), b.view());
        let (dx, dw, db) = vjp(x.view(), w.view(), dy.view());
        let z = columns::forward(w.t(), x.t(), b.view());
        let (dwc, da, dbc) = columns::vjp(w.t(), x.t(), dy.t());
        assert_eq!(z, y.t());
        assert_eq!((dwc, da, dbc), (dw.t().to_owned(), dx.t().to_owned(), db));
    }

    #[test]
    fn low_rank_factors_take_their_share() {
        let (u, v) = (array![[1.], [2.]], array![[3.], [4.]]);
        let dw = array![[1., 2.], [3., 5.]];
        let (du, dv) = low_rank_vjp(u.view(), v.view(), dw.view());
        assert_eq!(du, array![[11.], [29.]]);
        assert_eq!(dv, array![[7.], [12.]]);
    }

    #[test]
    fn one_example_gives_an_outer_product_and_none_gives_zero() {
        let (x, w, _) = example();
        let dy = array![[1., -2.], [3., 4.], [-1., 5.]];
        let one = s![1..2, ..];
        let (_, dw, _) = vjp(x.slice(one), w.view(), dy.slice(one));
        assert_eq!(dw, array![[0., 0.], [3., 4.]]);
        let none = s![0..0, ..];
        let (dx, dw, db) = vjp(x.slice(none), w.view(), dy.slice(none));
        assert_eq!(dx.shape(), [0, 2]);
        assert_eq!((dw.sum(), db.sum()), (0., 0.));
    }

    #[test]
    #[should_panic(expected = "linear: x [3, 2] and w [2, 2] do not fit 3")]
    fn a_wrong_shape_names_both() {
        let (x, w, _) = example();
        forward(x.view(), w.view(), Array1::zeros(3).view());
    }
}
