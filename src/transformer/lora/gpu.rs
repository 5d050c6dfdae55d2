//! Low-rank adaptation on the GPU: two thin products forward, four backward.
//!
//! book: transformer/lora
//!
//! x (N,I), a (I,R), b (R,O), y (N,O), h (N,R).
//!
//! What is not plain: `scale` is the α of a product, and the sums are made by
//! its β, as in [`super::fused`]. One array is made, `dh` (N,R), and is thin.

use super::{assert_inner, assert_shapes};
use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{Runner, Tensor};

/// `h = x·a`, then `y += scale·h·b`. Returns `y` and `h`.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn forward(
    run: &Runner,
    x: &Tensor,
    a: &Tensor,
    b: &Tensor,
    scale: f64,
    y: Tensor,
) -> (Tensor, Tensor) {
    let ([n, i], [_, r]) = (x.extents(), a.extents());
    let ([_, o], [_, _]) = (b.extents(), y.extents());
    assert_shapes(x.shape(), a.shape(), b.shape(), y.shape());
    let kept = run.tensor(&[n, r]);
    let [x, a, h, b, to] = [x, a, &kept, b, &y].map(Matrix::of);
    Product::new([n, i, r], x, a, h).run(run);
    onto(scale, Product::new([n, r, o], h, b, to)).run(run);
    (y, kept)
}

/// With `dh = scale·dy·bᵀ`: `dx += dh·aᵀ`, `da += xᵀ·dh`, `db += scale·hᵀ·dy`.
/// Returns `dx`.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp(
    run: &Runner,
    x: &Tensor,
    h: &Tensor,
    a: &Tensor,
    b: &Tensor,
    scale: f64,
    dy: &Tensor,
    dx: Tensor,
    da: &mut Tensor,
    db: &mut Tensor,
) -> Tensor {
    let ([n, i], [r, o]) = (x.extents(), b.extents());
    let dh = run.tensor(&[n, r]);
    let sums = [dx.shape(), da.shape(), db.shape()];
    assert_eq!(
        sums,
        [x.shape(), a.shape(), b.shape()],
        "lora: dx, da, db do not fit x, a, b",
    );
    let [x_of, h_of, a_of, b_of, dy_of] = [x, h, a, b, dy].map(Matrix::of);
    assert_shapes(x.shape(), a.shape(), b.shape(), dy.shape());
    assert_inner(x.shape(), a.shape(), h.shape());
    let [dh, to_x, to_a, to_b] = [&dh, &dx, da, db].map(Matrix::of);
    Product {
        alpha: scale,
        ..Product::new([n, o, r], dy_of, b_of.t(), dh)
    }
    .run(run);
    onto(1., Product::new([n, r, i], dh, a_of.t(), to_x)).run(run);
    onto(1., Product::new([i, n, r], x_of.t(), dh, to_a)).run(run);
    onto(scale, Product::new([r, n, o], h_of.t(), dy_of, to_b)).run(run);
    dx
}

/// `C += α·A·B`.
fn onto(alpha: f64, product: Product) -> Product {
    Product {
        alpha,
        beta: 1.,
        ..product
    }
}
