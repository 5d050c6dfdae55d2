//! The linear layer in `f32`, into the caller's arrays.
//!
//! From plain to fast: (1) the products go through the blocked, vectorised
//! matrix product of [`crate::engine::gemm`], which takes `xᵀ` and `wᵀ` as
//! views: nothing is transposed in memory; (2) the bias is laid down first and
//! the product added onto it, so `y` is written by one op and not by two;
//! (3) `dw` is added into the caller's buffer by the product itself.

use crate::engine::gemm::{matmul_acc, matmul_into};
use crate::engine::rows;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// `y = x·w + b`: `x` (B,I), `w` (I,O), `b` (O) over `y` (B,O).
///
/// Panics if the shapes do not fit or a row of `y` has gaps.
#[track_caller]
pub fn forward(
    x: ArrayView2<f32>,
    w: ArrayView2<f32>,
    b: ArrayView1<f32>,
    mut y: ArrayViewMut2<f32>,
) {
    super::assert_shapes(x.shape(), w.shape(), b.len());
    let b = b.as_slice().expect("linear: b has no gaps");
    for mut row in y.rows_mut() {
        row.as_slice_mut()
            .expect("linear: rows of y")
            .copy_from_slice(b);
    }
    matmul_acc(x, w, y);
}

/// `dx = dy·wᵀ` over `dx` (B,I), from `dy` (B,O) and `w` (I,O).
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp_input(
    w: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
) {
    super::assert_input(w.shape(), dy.shape());
    matmul_into(dy, w.t(), dx);
}

/// `dw += xᵀ·dy` and `db += Σ_b dy_b`, from `x` (B,I) and `dy` (B,O).
///
/// Panics if the shapes do not fit or a row of `dy` has gaps.
#[track_caller]
pub fn vjp_params(
    x: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dw: ArrayViewMut2<f32>,
    mut db: ArrayViewMut1<f32>,
) {
    super::assert_vjp(x.shape(), dw.shape(), dy.shape());
    super::assert_shapes(x.shape(), dw.shape(), db.len());
    matmul_acc(x.t(), dy, dw);
    // Pieces are columns, at least 64 of them: no partial sums to keep.
    let (work, db) = (dy.nrows().min(rows::GRAIN / 64), db.as_slice_mut());
    let db = db.expect("linear: db has no gaps");
    rows::for_each((dy.t(), db), work, |_, (columns, db)| {
        for row in columns.t().rows() {
            let row = row.to_slice().expect("linear: rows of dy");
            for (db, dy) in db.iter_mut().zip(row) {
                *db += dy;
            }
        }
    });
}
