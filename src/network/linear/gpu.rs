//! The linear layer on the GPU: three products and a sum over rows.
//!
//! book: network/linear
//!
//! x (N,I), w (I,O), b (O), y (N,O); sizes are `[N, I, O]`.

use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, words};

/// `y = x·w + b`; the bias is added where the product is written.
pub fn forward(
    run: &Runner,
    [n, i, o]: [usize; 3],
    x: &Array,
    w: &Array,
    b: &Array,
    y: &Array,
) {
    let (x, w) = (Matrix::new(x, i), Matrix::new(w, o));
    Product {
        bias: Some(b),
        ..Product::new([n, i, o], x, w, Matrix::new(y, o))
    }
    .run(run);
}

/// `dx = dy·wᵀ`.
pub fn vjp_input(
    run: &Runner,
    [n, i, o]: [usize; 3],
    w: &Array,
    dy: &Array,
    dx: &Array,
) {
    let (w, dy) = (Matrix::new(w, o), Matrix::new(dy, o));
    Product::new([n, o, i], dy, w.t(), Matrix::new(dx, i)).run(run);
}

/// Adds `xᵀ·dy` to `dw` and `Σ_n dy_n` to `db`.
pub fn vjp_params(
    run: &Runner,
    [n, i, o]: [usize; 3],
    x: &Array,
    dy: &Array,
    dw: &Array,
    db: &Array,
) {
    let x = Matrix::new(x, i);
    Product {
        beta: 1.,
        ..Product::new([i, n, o], x.t(), Matrix::new(dy, o), Matrix::new(dw, o))
    }
    .run(run);
    add_rows(run, [n, o], dy, db);
}

/// Adds the sum of the rows of `x` (N,O) to `to` (O): first over pieces of
/// the rows, then over the pieces, in their order. There are about as many
/// pieces as rows in a piece.
pub fn add_rows(run: &Runner, [n, o]: [usize; 2], x: &Array, to: &Array) {
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
