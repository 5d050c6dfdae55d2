//! SGD, AdamW and clipping on the GPU.
//!
//! From plain to fast: (1) one pass over the arrays of an optimiser: SGD reads
//! three and writes two, AdamW reads four and writes three; (2) four numbers
//! for each invocation; (3) what depends on the settings and the number of
//! the step alone is worked out on the host, in `f64`; (4) the sum of squares
//! is added up in pieces and then over the pieces, always in the same order,
//! and neither it nor the factor that clips leaves the GPU: a step does not
//! wait for its own norm.
//!
//! Unlike on the CPU, velocities and means that are too small for a normal
//! number are not set to 0: a GPU is not slow with them, or does so by itself.

use super::fused::Adam;
use super::{assert_one_moment, assert_two_moments};
use crate::device::AdamW;
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, Word, words,
};

/// One step of [`super::sgd`], in place.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn sgd(
    run: &Runner,
    w: &mut Tensor,
    dw: &Tensor,
    v: &mut Tensor,
    lr: f64,
    momentum: f64,
    decay: f64,
) {
    assert_one_moment("sgd", [w.shape(), dw.shape(), v.shape()]);
    let fours = w.len().div_ceil(4);
    let words = words![fours, lr, momentum, decay];
    let kernel = kernel("sgd", &[0, 1, 3]);
    run.run(&kernel, Groups::for_each(fours), words, &[w, dw, v]);
}

/// One step of [`super::adamw`], in place; `factor` (1).
///
/// Panics if the shapes differ or `set.step` is 0.
#[track_caller]
pub fn adamw(
    run: &Runner,
    w: &mut Tensor,
    dw: &Tensor,
    m: &mut Tensor,
    v: &mut Tensor,
    factor: &Tensor,
    set: AdamW,
) {
    assert_two_moments("adamw", [w.shape(), dw.shape(), m.shape(), v.shape()]);
    let one = factor.shape();
    assert_eq!(one, [1], "adamw: factor {one:?} is not one number");
    // The factor is not known here: the kernel multiplies it in.
    let one = Adam::decoupled(1., set);
    let fours = w.len().div_ceil(4);
    let words = words![
        fours,
        one.off_weight,
        one.beta1,
        one.beta2,
        one.new1,
        one.new2,
        one.lr,
        one.root,
        one.eps,
    ];
    let kernel = kernel("adamw", &[0, 1, 2, 3, 4]);
    let arrays: &[&Array] = &[w, dw, m, v, factor];
    run.run(&kernel, Groups::for_each(fours), words, arrays);
}

/// Fours that a workgroup adds up in the first phase: sixteen for each
/// invocation.
const PIECE: usize = 16 * 256;

/// Writes `Σ_i x_i²` to entry `slot` of `squares` (P).
///
/// Panics if there is no such entry.
#[track_caller]
pub fn sum_of_squares(
    run: &Runner,
    x: &Tensor,
    squares: &mut Tensor,
    slot: usize,
) {
    let [slots] = squares.extents();
    assert!(slot < slots, "sum_of_squares: slot {slot} of {slots}");
    let n = x.len();
    let pieces = n.div_ceil(4 * PIECE);
    if pieces <= 1 {
        return sum(run, x, [1, PIECE, 1, slot], squares);
    }
    let parts = run.take(pieces);
    sum(run, x, [pieces, PIECE, 1, 0], &parts);
    sum(run, &parts, [1, pieces.div_ceil(4), 0, slot], squares);
}

/// The number of workgroups, how many fours each takes, whether they are
/// squared, and where the first sum goes.
fn sum(run: &Runner, x: &Array, how: [usize; 4], sums: &Array) {
    let [groups, piece, squared, slot] = how;
    let words = words![x.len(), groups, piece, squared, slot];
    let kernel = kernel("sum_pieces", &[5, 6]);
    run.run(&kernel, Groups::Row(groups), words, &[x, sums]);
}

/// `min(1, most/√(Σ_i squares_i))` (1), from `squares` (P); 1 if the sum is 0,
/// NaN if it is NaN. The sum is in `f32`: from 3·10³⁸ on the factor is 0.
pub fn clip(run: &Runner, squares: &Tensor, most: f64) -> Tensor {
    let factor = run.tensor(&[1]);
    let fours = squares.len().div_ceil(4);
    let words: &[Word] =
        words![squares.len(), 1usize, fours, 0usize, 0usize, most];
    let kernel = kernel("clip", &[5, 6]);
    run.run(&kernel, Groups::Row(1), words, &[squares, &factor]);
    factor
}

fn kernel<'k>(entry: &'k str, bindings: &'k [u32]) -> Kernel<'k> {
    Kernel {
        name: entry,
        source: Source::Text(include_str!("kernel.wgsl")),
        entry,
        bindings,
    }
}
