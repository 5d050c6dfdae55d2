//! Causal attention on the GPU that keeps the probabilities: two products and
//! a softmax of rows, four products and its VJP.
//!
//! book: transformer/attention
//!
//! What differs from the textbook, and why: (1) all heads of all texts go
//! through one call of the product, as a batch in two dimensions, and are read
//! from the columns of `qkv` where they lie, so nothing is cut up or copied;
//! (2) the softmax works in place on the scores, and its VJP on `dp`, so of
//! the matrices (B·H,T,T) only `p` is kept and one more exists in the VJP;
//! (3) the mask is in the softmax alone: products compute whole squares, and
//! `p` and `ds` are 0 above the diagonal; (4) heads that share a key add to its
//! gradient in turn, one call for the first head of every group, one for the
//! second, so the order of additions is always the same.
//!
//! [`flash_attention`](crate::scale::flash_attention) does not keep `p`.

use super::{assert_kept, assert_qkv};
use crate::device::Heads;
use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, words,
};

/// [`super::multi_head`] with the causal mask: `p = softmax(q·kᵀ/√d)`
/// (B·H,T,T) and `y = p·v` (B·T, H·d), from `qkv` as in [`Heads`]. Returns `y`
/// and `p`.
///
/// Panics if the shape does not fit `heads`.
#[track_caller]
pub fn multi_head(
    run: &Runner,
    qkv: &Tensor,
    heads: Heads,
) -> (Tensor, Tensor) {
    let [_, _] = qkv.extents();
    let [t, d] = assert_qkv("attention", qkv.shape(), heads);
    let Heads { batch, queries, .. } = heads;
    let mixed = run.tensor(&[batch * t, queries * d]);
    let kept = run.tensor(&[batch * queries, t, t]);
    let [q, k, v] = split(qkv, heads, [t, d]);
    let (p, y) = (squares(&kept, heads, t), by_head(&mixed, heads, [t, d]));
    Product {
        batch: [heads.batch, heads.queries],
        alpha: scale(d),
        ..Product::new([t, d, t], q, k.t(), p)
    }
    .run(run);
    let rows = heads.batch * heads.queries * t;
    run.run(&SOFTMAX, Groups::Row(rows), words![rows, t], &[p.array]);
    Product {
        batch: [heads.batch, heads.queries],
        ..Product::new([t, t, d], p, v, y)
    }
    .run(run);
    (mixed, kept)
}

/// The cotangent of `qkv`, from `p` of [`multi_head`] and `dy` (B·T, H·d).
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn multi_head_vjp(
    run: &Runner,
    qkv: &Tensor,
    p: &Tensor,
    dy: &Tensor,
    heads: Heads,
) -> Tensor {
    let [_, _] = qkv.extents();
    let [t, d] = assert_qkv("attention vjp", qkv.shape(), heads);
    assert_kept(heads, [t, t, d], p.shape(), dy.shape());
    let dqkv = run.tensor(qkv.shape());
    let [q, k, v] = split(qkv, heads, [t, d]);
    let [dq, dk, dv] =
        split(&dqkv, heads, [t, d]).map(|x| Matrix { share: 1, ..x });
    let dy = by_head(dy, heads, [t, d]);
    let rows = heads.batch * heads.queries * t;
    let ds = run.take(rows * t);
    let (p, ds) = (squares(p, heads, t), squares(&ds, heads, t));
    let batch = [heads.batch, heads.queries];
    Product {
        batch,
        ..Product::new([t, d, t], dy, v.t(), ds) // dp
    }
    .run(run);
    let arrays = [ds.array, p.array];
    run.run(&SOFTMAX_VJP, Groups::Row(rows), words![rows, t], &arrays);
    let alpha = scale(d);
    Product {
        batch,
        alpha,
        ..Product::new([t, t, d], ds, k, dq)
    }
    .run(run);
    let shared = heads.queries / heads.keys;
    let batch = [heads.batch, heads.keys];
    for member in 0..shared {
        let [ds, p, q, dy] = [ds, p, q, dy].map(|x| Matrix {
            offset: x.offset + member * x.batch[1],
            batch: [x.batch[0], shared * x.batch[1]],
            ..x
        });
        let beta = if member == 0 { 0. } else { 1. };
        Product {
            batch,
            alpha,
            beta,
            ..Product::new([t, t, d], ds.t(), q, dk)
        }
        .run(run);
        Product {
            batch,
            beta,
            ..Product::new([t, t, d], p.t(), dy, dv)
        }
        .run(run);
    }
    dqkv
}

/// `1/√d`.
fn scale(d: usize) -> f64 {
    1. / (d as f64).sqrt()
}

/// Queries, keys and values of every head, in the columns of `qkv`.
fn split(qkv: &Array, heads: Heads, [t, d]: [usize; 2]) -> [Matrix<'_>; 3] {
    let Heads { queries, keys, .. } = heads;
    let stride = (queries + 2 * keys) * d;
    let from = |head: usize, share| Matrix {
        offset: head * d,
        batch: [t * stride, d],
        share,
        ..Matrix::new(qkv, stride)
    };
    let shared = queries / keys;
    [
        from(0, 1),
        from(queries, shared),
        from(queries + keys, shared),
    ]
}

/// The heads in the columns of `x` (B·T, H·d).
fn by_head(x: &Array, heads: Heads, [t, d]: [usize; 2]) -> Matrix<'_> {
    let stride = heads.queries * d;
    Matrix {
        batch: [t * stride, d],
        ..Matrix::new(x, stride)
    }
}

/// The matrices of `x` (B·H,T,T).
fn squares(x: &Array, heads: Heads, t: usize) -> Matrix<'_> {
    Matrix {
        batch: [heads.queries * t * t, t * t],
        ..Matrix::new(x, t)
    }
}

const TEXT: Source = Source::Text(include_str!("kernel.wgsl"));
const SOFTMAX: Kernel = Kernel {
    name: "attention, softmax",
    source: TEXT,
    entry: "softmax",
    bindings: &[0],
};
const SOFTMAX_VJP: Kernel = Kernel {
    name: "attention, softmax vjp",
    source: TEXT,
    entry: "softmax_vjp",
    bindings: &[0, 1],
};
