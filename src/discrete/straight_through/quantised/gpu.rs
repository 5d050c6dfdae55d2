//! Weights at few bits on the GPU.
//!
//! From plain to fast: (1) one pass forward and one backward, four weights for
//! each invocation; (2) the step never leaves the GPU: it is added up in pieces
//! and then over the pieces, always in the same order, and the kernels read it
//! there.
//!
//! `round` of WGSL goes to the even code, as on the CPU. A quotient in WGSL may
//! be off by 2.5 units in its last place, so a weight that lies as near to a
//! half as that may have the code on its other side; at a step that is a power
//! of two it is exact.

use super::{assert_same, assert_step, largest_code, steps_in_mean};
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, words,
};

/// Fours that a workgroup adds up in the first phase: sixteen for each
/// invocation.
const PIECE: usize = 16 * 256;

/// [`super::scale`], shape (1).
#[track_caller]
pub fn scale(run: &Runner, w: &Tensor, bits: u32) -> Tensor {
    let (n, s) = (w.len(), run.tensor(&[1]));
    let factor = steps_in_mean(bits) / n.max(1) as f64;
    let pieces = n.div_ceil(4 * PIECE);
    if pieces <= 1 {
        sum(run, w, [1, PIECE], factor, &s);
    } else {
        let parts = run.take(pieces);
        sum(run, w, [pieces, PIECE], 1., &parts);
        sum(run, &parts, [1, pieces.div_ceil(4)], factor, &s);
    }
    s
}

/// `factor·Σ|x|` of pieces of so many fours, a workgroup for each.
fn sum(
    run: &Runner,
    x: &Array,
    [groups, piece]: [usize; 2],
    factor: f64,
    sums: &Array,
) {
    let words = words![x.len(), groups, piece, factor];
    let kernel = kernel("quantise scale", "sum_of_sizes", &[0, 4]);
    run.run(&kernel, Groups::Row(groups), words, &[x, sums]);
}

/// [`super::forward`] with the step `s` (1).
#[track_caller]
pub fn forward(run: &Runner, w: &Tensor, s: &Tensor, bits: u32) -> Tensor {
    assert_step("quantise", s.shape());
    let w_hat = run.tensor(w.shape());
    let fours = w.len().div_ceil(4);
    let words = words![fours, f64::from(largest_code(bits)), bits];
    let kernel = kernel("quantise", "quantise", &[0, 1, 3]);
    let arrays: &[&Array] = &[w, s, &w_hat];
    run.run(&kernel, Groups::for_each(fours), words, arrays);
    w_hat
}

/// Adds [`super::vjp`] to `dw`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn vjp(
    run: &Runner,
    w: &Tensor,
    s: &Tensor,
    bits: u32,
    dw_hat: &Tensor,
    dw: &mut Tensor,
) {
    assert_same("quantise_vjp", w.shape(), dw_hat.shape());
    assert_same("quantise_vjp", w.shape(), dw.shape());
    assert_step("quantise_vjp", s.shape());
    let fours = w.len().div_ceil(4);
    let words = words![fours, f64::from(largest_code(bits)), bits];
    let kernel = kernel("quantise vjp", "quantise_vjp", &[0, 1, 2, 3]);
    let arrays: &[&Array] = &[w, s, dw_hat, dw];
    run.run(&kernel, Groups::for_each(fours), words, arrays);
}

fn kernel<'k>(
    name: &'k str,
    entry: &'k str,
    bindings: &'k [u32],
) -> Kernel<'k> {
    Kernel {
        name,
        source: Source::Text(include_str!("kernel.wgsl")),
        entry,
        bindings,
    }
}
