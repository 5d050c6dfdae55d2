//! Low-rank adaptation on the GPU: two thin products forward, four backward.
//!
//! book: transformer/lora
//!
//! x (N,I), a (I,R), b (R,O), y (N,O), h (N,R); sizes are `[N, I, R, O]`.
//!
//! What is not plain: `scale` is the α of a product, and the sums are made by
//! its β, as in [`super::fused`]. One array is made, `dh` (N,R), and is thin.

use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{Array, Runner};

/// `h = x·a`, then `y += scale·h·b`.
pub fn forward(
    run: &Runner,
    [n, i, r, o]: [usize; 4],
    x: &Array,
    a: &Array,
    b: &Array,
    scale: f64,
    h: &Array,
    y: &Array,
) {
    let [x, a] = [Matrix::new(x, i), Matrix::new(a, r)];
    let [h, b, y] = [Matrix::new(h, r), Matrix::new(b, o), Matrix::new(y, o)];
    Product::new([n, i, r], x, a, h).run(run);
    onto(scale, Product::new([n, r, o], h, b, y)).run(run);
}

/// With `dh = scale·dy·bᵀ`: `dx += dh·aᵀ`, `da += xᵀ·dh`, `db += scale·hᵀ·dy`.
pub fn vjp(
    run: &Runner,
    [n, i, r, o]: [usize; 4],
    x: &Array,
    h: &Array,
    a: &Array,
    b: &Array,
    scale: f64,
    dy: &Array,
    dx: &Array,
    da: &Array,
    db: &Array,
) {
    let dh = run.take(n * r);
    let [x, dx] = [x, dx].map(|t| Matrix::new(t, i));
    let [h, dh, a, da] = [h, &dh, a, da].map(|t| Matrix::new(t, r));
    let [b, dy, db] = [b, dy, db].map(|t| Matrix::new(t, o));
    Product {
        alpha: scale,
        ..Product::new([n, o, r], dy, b.t(), dh)
    }
    .run(run);
    onto(1., Product::new([n, r, i], dh, a.t(), dx)).run(run);
    onto(1., Product::new([i, n, r], x.t(), dh, da)).run(run);
    onto(scale, Product::new([r, n, o], h.t(), dy, db)).run(run);
}

/// `C += α·A·B`.
fn onto(alpha: f64, product: Product) -> Product {
    Product {
        alpha,
        beta: 1.,
        ..product
    }
}
