//! The linear layer on the GPU: three products and a sum over rows.
//!
//! book: network/linear
//!
//! x (N,I), w (I,O), b (O), y (N,O).

use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, words,
};

/// `y = x·w + b`; the bias is added where the product is written.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn forward(run: &Runner, x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
    let ([n, i], [_, o], [outputs]) = (x.extents(), w.extents(), b.extents());
    super::assert_shapes(x.shape(), w.shape(), outputs);
    let y = run.tensor(&[n, o]);
    let [x, w, to] = [x, w, &y].map(Matrix::of);
    Product {
        bias: Some(b),
        ..Product::new([n, i, o], x, w, to)
    }
    .run(run);
    y
}

/// [`vjp_params`], then [`vjp_input`].
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp(
    run: &Runner,
    x: &Tensor,
    w: &Tensor,
    dy: &Tensor,
    dw: &mut Tensor,
    db: &mut Tensor,
) -> Tensor {
    let (a, b) = (w.shape(), dw.shape());
    assert_eq!(a, b, "linear vjp: w {a:?} and dw {b:?} differ in shape");
    vjp_params(run, x, dy, dw, db);
    vjp_input(run, w, dy)
}

/// `dx = dy·wᵀ`.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp_input(run: &Runner, w: &Tensor, dy: &Tensor) -> Tensor {
    let ([i, o], [n, _]) = (w.extents(), dy.extents());
    super::assert_input(w.shape(), dy.shape());
    let dx = run.tensor(&[n, i]);
    let [w, dy, to] = [w, dy, &dx].map(Matrix::of);
    Product::new([n, o, i], dy, w.t(), to).run(run);
    dx
}

/// Adds `xᵀ·dy` to `dw` and `Σ_n dy_n` to `db`.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp_params(
    run: &Runner,
    x: &Tensor,
    dy: &Tensor,
    dw: &mut Tensor,
    db: &mut Tensor,
) {
    let ([n, i], [_, o], [_, _]) = (x.extents(), dy.extents(), dw.extents());
    let [outputs] = db.extents();
    super::assert_vjp(x.shape(), dw.shape(), dy.shape());
    super::assert_shapes(x.shape(), dw.shape(), outputs);
    let [x, of, to] = [x, dy, dw].map(Matrix::of);
    Product {
        beta: 1.,
        ..Product::new([i, n, o], x.t(), of, to)
    }
    .run(run);
    add_rows(run, [n, o], dy, db);
}

/// Adds the sum of the rows of `x` (N,O) to `to` (O): first over pieces of
/// the rows, then over the pieces, in their order. There are about as many
/// pieces as rows in a piece.
fn add_rows(run: &Runner, [n, o]: [usize; 2], x: &Array, to: &Array) {
    let piece = n.isqrt().max(16);
    let pieces = n.div_ceil(piece);
    let columns = o.div_ceil(256);
    if pieces <= 1 {
        let groups = Groups::Box([columns, 1, 1]);
        return run.run(&ADD_ROWS, groups, words![n, o, n, 1u32], &[x, to]);
    }
    let parts = run.take(pieces * o);
    let groups = Groups::Box([columns, pieces, 1]);
    run.run(&ADD_ROWS, groups, words![n, o, piece, 0u32], &[x, &parts]);
    let words = words![pieces, o, pieces, 1u32];
    run.run(
        &ADD_ROWS,
        Groups::Box([columns, 1, 1]),
        words,
        &[&parts, to],
    );
}

const ADD_ROWS: Kernel = Kernel {
    name: "add rows",
    source: Source::Text(include_str!("kernel.wgsl")),
    entry: "add_rows",
    bindings: &[0, 1],
};
