//! Low-rank adaptation of a frozen linear layer.    book: transformer/lora
//!
//!   h_nr = Σ_i x_ni a_ir
//!   y_no = (x·w + bias)_no + scale·Σ_r h_nr b_ro
//!
//!   x (N,I);  w (I,O) frozen;  a (I,R), b (R,O) trained  ->  y (N,O)
//!
//! Two thin factors stand for a change of the whole weight, `scale·a·b`, with
//! `R(I+O)` numbers instead of `IO`. The paper writes columns and `W + B·A`:
//! its `A` is `aᵀ` here, its `B` is `bᵀ`, and `scale` is its `α/r`.
//!
//! With `dh = scale·dy·bᵀ` the gradients are
//!
//!   dx = dh·aᵀ (beside dy·wᵀ)     da = xᵀ·dh     db = scale·hᵀ·dy
//!
//! They are linear images of the gradient that the whole weight would have,
//! `dw = xᵀ·dy`: `da = scale·dw·bᵀ` and `db = scale·aᵀ·dw`. But `dw` is never
//! formed, and neither is `a·b`.
//!
//! At the start `b = 0`: the adapted model is the one that was trained. Then
//! `dh = 0`, so `da = 0`: the first gradient moves `b` alone. `a` must not be
//! 0 too, or both gradients would be 0 for ever.

pub mod dora;
pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod model;

use crate::engine::random::{self, Rng};
use ndarray::{Array2, ArrayView2};

/// `y + scale·(x·a)·b`. Returns the sum and `h = x·a`.
///
/// `x` (N,I), `a` (I,R), `b` (R,O), `scale` (a number without unit), and `y`
/// (N,O), the output of the frozen layer, give the sum (N,O) and `h` (N,R).
/// Kept for the VJP: `x`, and `h`, so that `x·a` is not computed again.
///
/// Panics if the shapes do not fit each other.
///
/// Source: Hu et al. 2021, section 4.1.
///
/// ```
/// use backprop::transformer::lora;
/// use ndarray::array;
/// let (a, b) = (array![[0.5], [-1.]], array![[1., 2.]]);
/// let (x, y) = (array![[2., 3.]], array![[2., 3.]]);
/// let (y, h) = lora::forward(x.view(), a.view(), b.view(), 1., y.view());
/// assert_eq!((y, h), (array![[0., -1.]], array![[-2.]]));
/// ```
#[track_caller]
// ANCHOR: forward
pub fn forward(
    x: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    scale: f64,
    y: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    assert_shapes(x.shape(), a.shape(), b.shape(), y.shape());
    let h = x.dot(&a); //                   (N,I)(I,R)
    let sum = &y + &(h.dot(&b) * scale); // (N,R)(R,O): never a·b
    (sum, h)
}
// ANCHOR_END: forward

/// With `dh = scale·dy·bᵀ`:
///
///   dx = dh·aᵀ     da = xᵀ·dh     db = scale·hᵀ·dy
///
/// `x` (N,I), `h` (N,R), `a` (I,R), `b` (R,O), `scale` as in [`forward`] and
/// the cotangent `dy` (N,O) give `dx` (N,I), `da` (I,R), `db` (R,O). `dx` is
/// that of the adapter alone; the frozen layer's `dy·wᵀ` is added to it. The
/// cotangent of `y` is `dy` itself.
///
/// Panics if the shapes do not fit each other.
///
/// ```
/// use backprop::transformer::lora;
/// use ndarray::array;
/// let (a, b) = (array![[0.5], [-1.]], array![[1., 2.]]);
/// let (x, h, dy) = (array![[2., 3.]], array![[-2.]], array![[1., -1.]]);
/// let (a, b) = (a.view(), b.view());
/// let (dx, da, db) = lora::vjp(x.view(), h.view(), a, b, 1., dy.view());
/// assert_eq!(dx, array![[-0.5, 1.]]);
/// assert_eq!(da, array![[-2.], [-3.]]);
/// assert_eq!(db, array![[-2., 2.]]);
/// ```
#[track_caller]
// ANCHOR: vjp
pub fn vjp(
    x: ArrayView2<f64>,
    h: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    scale: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    assert_shapes(x.shape(), a.shape(), b.shape(), dy.shape());
    assert_inner(x.shape(), a.shape(), h.shape());
    let dh = dy.dot(&b.t()) * scale; // (N,O)(O,R) 0 as long as b is 0
    let dx = dh.dot(&a.t()); //         (N,R)(R,I)
    let da = x.t().dot(&dh); //         (I,N)(N,R)
    let db = h.t().dot(&dy) * scale; // (R,N)(N,O)
    (dx, da, db)
}
// ANCHOR_END: vjp

/// `w + scale·a·b`: one weight that does what the frozen layer and its adapter
/// do, at the frozen layer's cost.
///
/// `w` (I,O), `a` (I,R), `b` (R,O), `scale` as in [`forward`]; gives (I,O).
///
/// Panics if the shapes do not fit each other.
///
/// ```
/// use backprop::transformer::lora;
/// use ndarray::{Array2, array};
/// let (a, b) = (array![[0.5], [-1.]], array![[1., 2.]]);
/// let w = lora::merge(Array2::eye(2).view(), a.view(), b.view(), 2.);
/// assert_eq!(w, array![[2., 2.], [-2., -3.]]);
/// ```
#[track_caller]
pub fn merge(
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    scale: f64,
) -> Array2<f64> {
    let fit = w.nrows() == a.nrows() && w.ncols() == b.ncols();
    assert!(
        fit && a.ncols() == b.nrows(),
        "lora merge: w {:?}, a {:?} and b {:?} do not fit",
        w.shape(),
        a.shape(),
        b.shape(),
    );
    &w + &(a.dot(&b) * scale)
}

/// The factors at the start: `a` (I,R) normal with mean 0 and variance `1/I`,
/// so that `h` has the size of `x`, and `b` (R,O) zero, so that nothing has
/// changed yet.
///
/// `inputs` I, `rank` R, `outputs` O; `a` is drawn from `rng`.
///
/// Source: Hu et al. 2021, section 4.1: Gaussian and zero; the variance is
/// ours.
pub fn initial(
    rng: &mut Rng,
    inputs: usize,
    rank: usize,
    outputs: usize,
) -> (Array2<f64>, Array2<f64>) {
    let std = 1. / (inputs.max(1) as f64).sqrt();
    let a = random::normal(rng, (inputs, rank), 0., std);
    (a, Array2::zeros((rank, outputs)))
}

/// `x` (N,I), `a` (I,R), `b` (R,O), `y` (N,O).
#[track_caller]
fn assert_shapes(x: &[usize], a: &[usize], b: &[usize], y: &[usize]) {
    assert!(
        x[1] == a[0] && a[1] == b[0] && y == [x[0], b[1]],
        "lora: x {x:?}, a {a:?} and b {b:?} do not fit y {y:?}",
    );
}

/// `h` (N,R) belongs to `x` (N,I) and `a` (I,R).
#[track_caller]
fn assert_inner(x: &[usize], a: &[usize], h: &[usize]) {
    assert!(
        h == [x[0], a[1]],
        "lora: h {h:?} does not fit x {x:?} and a {a:?}",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_gradients_are_images_of_the_whole_weights() {
        let (x, dy) = (array![[2., 3.], [1., -1.]], array![[1.], [4.]]);
        let (a, b) = (array![[1., 0.], [2., -1.]], array![[3.], [5.]]);
        let h = x.dot(&a);
        let dw = x.t().dot(&dy);
        let (x, h) = (x.view(), h.view());
        let (_, da, db) = vjp(x, h, a.view(), b.view(), 2., dy.view());
        assert_eq!(da, dw.dot(&b.t()) * 2.);
        assert_eq!(db, a.t().dot(&dw) * 2.);
    }

    /// Two examples with a weight that is not symmetric and a scale that is
    /// not 1, given as the paper's columns: `W₀ = ((1,2),(3,5))`.
    #[test]
    fn by_hand_with_a_scale() {
        let w: Array2<f64> = array![[1., 3.], [2., 5.]];
        let check = |x: [f64; 2], a: [f64; 2], b: [f64; 2], want: [f64; 8]| {
            let x: Array2<f64> = array![x];
            let dy: Array2<f64> = array![[1., -1.]];
            let (a, b) = (array![[a[0]], [a[1]]], array![b]);
            let (a, b, base) = (a.view(), b.view(), x.dot(&w));
            let (y, h) = forward(x.view(), a, b, 1.5, base.view());
            let (dx, da, db) = vjp(x.view(), h.view(), a, b, 1.5, dy.view());
            let dx = dx + dy.dot(&w.t());
            let got = y.iter().chain(&da).chain(&db).chain(&dx);
            assert_eq!(got.copied().collect::<Vec<_>>(), want);
        };
        let want = [2., 11.5, 1.5, 3., -1.5, 1.5, -0.5, -4.5];
        check([1., 2.], [1., -1.], [2., 1.], want);
        let want = [5., 15., -3., -4.5, -3., 3., -2.75, -1.5];
        check([2., 3.], [0.5, -1.], [1., 2.], want);
    }

    #[test]
    fn the_first_step_moves_b_alone() {
        let (a, b) = initial(&mut random::rng(7), 6, 2, 3);
        let x = Array2::from_shape_fn((4, 6), |(i, j)| (i * j) as f64 - 2.);
        let y = Array2::ones((4, 3));
        let (a, b) = (a.view(), b.view());
        let (sum, h) = forward(x.view(), a, b, 0.5, y.view());
        assert_eq!(sum, y);
        let (dx, da, db) = vjp(x.view(), h.view(), a, b, 0.5, y.view());
        assert!(dx.iter().chain(&da).all(|d| *d == 0.));
        assert!(db.iter().all(|d| *d != 0.));
    }

    #[test]
    fn merged_and_beside_are_the_same() {
        let w = array![[1., 2., 3.], [4., 5., 6.]];
        let (a, b) = (array![[1.], [-2.]], array![[3., 0., 1.]]);
        let x = array![[1., 1.], [2., -3.], [0., 1.]];
        let (a, b) = (a.view(), b.view());
        let (y, _) = forward(x.view(), a, b, 2., x.dot(&w).view());
        assert_eq!(y, x.dot(&merge(w.view(), a, b, 2.)));
    }

    #[test]
    #[should_panic(expected = "a [2, 1] and b [2, 3] do not fit y [4, 3]")]
    fn ranks_that_differ() {
        let m = |r, c| Array2::<f64>::zeros((r, c));
        let (x, a, b, y) = (m(4, 2), m(2, 1), m(2, 3), m(4, 3));
        forward(x.view(), a.view(), b.view(), 1., y.view());
    }
}
