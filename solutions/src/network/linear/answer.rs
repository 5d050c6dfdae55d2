//! # Exercise: the linear layer
//!
//! Chapter: The linear layer (network/linear).
//! Letters: B examples, I inputs, O outputs. Rows are examples.
//!
//! Grade it with `cargo grade linear`; ask for a hint with
//! `cargo grade hint linear vjp`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, array};

// --- Task 1: predict -------------------------------------------------------

/// Before any code: `w = [[3, -2], [5, 1]]`, the loss is `L = Σ y`, so every
/// entry of `dy` is 1. What is one row of `dx`?
// ANSWER
pub const DX_ROW: Option<[f64; 2]> = Some([1., 6.]);
//~ pub const DX_ROW: Option<[f64; 2]> = None; // TODO Some([.., ..])
// END

// --- Task 2: build ---------------------------------------------------------

/// The layer with its weight stored the other way, a row for each output, as
/// PyTorch stores it: `y_no = Σ_i x_ni w_oi + b_o`.
///
/// `x` (B,I), `w` (O,I), `b` (O) give `y` (B,O).
///
/// In ndarray: `x.dot(&w)` is a product, `x.t()` a transpose, and `+ b` adds a
/// vector to every row.
pub fn forward(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    b: ArrayView1<f64>,
) -> Array2<f64> {
    // ANSWER
    x.dot(&w.t()) + b
    // END
}

// --- Task 3: build ---------------------------------------------------------

/// The gradients `(dx, dw, db)` from the cotangent `dy`.
///
/// `x` (B,I), `w` (I,O), `dy` (B,O) give `dx` (B,I), `dw` (I,O), `db` (O): the
/// chapter's own layer, with a row of the weight for each input.
/// The bias itself is not among the arguments: no gradient depends on it.
///
/// In ndarray: `x.sum_axis(Axis(0))` adds the rows, `x.sum_axis(Axis(1))` the
/// columns; the arguments are views, and `x.t()` of a view is one too.
pub fn vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    // ANSWER
    (dy.dot(&w.t()), x.t().dot(&dy), dy.sum_axis(Axis(0)))
    // END
}

// --- Task 4: predict -------------------------------------------------------

/// A counter-example with *three* examples: matrices `(x, dy)` for which the
/// wrong product `x·dy` runs and has the shape of the right one, `xᵀ·dy`, but
/// other values.
///
/// In ndarray: `array![[1., 2.], [3., 4.]]` is a matrix, with decimal points.
pub fn counter_example() -> (Array2<f64>, Array2<f64>) {
    // ANSWER
    let x = array![[1., 2., 0.], [0., 1., 0.], [5., 0., 1.]];
    (x, Array2::eye(3))
    // END
}

// --- Task 5: vary ----------------------------------------------------------

/// Examples as columns, but the weight stored as in the chapter's own layer:
/// `z = wᵀ·a + b·1ᵀ`. Its gradients `(dw, da, db)` from the cotangent `dz`.
/// Neither column of the chapter's table is this one; derive it from one entry.
///
/// `w` (I,O), `a` (I,B), `dz` (O,B) give `dw` (I,O), `da` (I,B), `db` (O).
pub fn columns_vjp(
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    dz: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    // ANSWER
    (a.dot(&dz.t()), w.dot(&dz), dz.sum_axis(Axis(1)))
    // END
}

// --- Task 6: vary ----------------------------------------------------------

/// A weight made of two thin factors, `y = x·u·vᵀ`: the gradients
/// `(dx, du, dv)`. The short way never forms a matrix of size (I,O).
///
/// `x` (B,I), `u` (I,R), `v` (O,R), `dy` (B,O) give `dx` (B,I), `du` (I,R),
/// `dv` (O,R).
pub fn low_rank_vjp(
    x: ArrayView2<f64>,
    u: ArrayView2<f64>,
    v: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    // ANSWER
    let h = x.dot(&u); //   (B,R) the signal between the factors
    let dh = dy.dot(&v); // (B,R) its cotangent
    (dh.dot(&u.t()), x.t().dot(&dh), dy.t().dot(&h))
    // END
}

// --- Task 7: hunt ----------------------------------------------------------

/// `mended` below fails, and this is its report:
///
/// ```text
///   compared  db against central differences of the forward
///   inputs    x (5,3)
///             [   1.3500  -1.4900   1.0600 ]
///             [  -1.1700   0.4700   1.2000 ]
///             [   0.8900   1.6700   1.0400 ]
///             [  -1.8200   1.0400   1.8500 ]
///             [   1.0300  -1.2600   0.1900 ]
///             w (3,2)
///             [   1.2000  -0.1900 ]
///             [  -1.9900   1.3500 ]
///             [   1.1800   1.2100 ]
///             b (2)
///             [   1.7400   0.3000 ]
///             dy (5,2)
///             [   1.6000   0.1800 ]
///             [   1.1300   1.9900 ]
///             [   1.4500   1.1700 ]
///             [   1.3600  -0.8800 ]
///             [  -0.8800  -1.6700 ]
///   got       (2)
///             [   0.9320   0.1580 ]
///   expected  (2)
///             [   4.6600   0.7900 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
// ANSWER
pub const BUG: Option<&str> = Some("BIAS_MEAN_NOT_SUM");
//~ pub const BUG: Option<&str> = None; // TODO Some("...")
// END

/// The gradients `(dx, dw, db)`, as in task 3.
pub fn mended(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    let dx = dy.dot(&w.t());
    let dw = x.t().dot(&dy);
    // ANSWER
    let db = dy.sum_axis(Axis(0));
    //~ let db = dy.mean_axis(Axis(0)).unwrap();
    // END
    (dx, dw, db)
}

// --- Task 8: measure -------------------------------------------------------

/// FLOPs of the backward of a layer with sizes `b`, `i`, `o`: count a matrix
/// product (n,k)(k,m) as 2nkm and a sum of B rows of O numbers as B·O.
/// `needs_dx` is false for the first layer of a network.
pub fn flops(b: u64, i: u64, o: u64, needs_dx: bool) -> u64 {
    // ANSWER
    let product = 2 * b * i * o;
    let products = if needs_dx { 2 } else { 1 };
    products * product + b * o
    // END
}
