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
use crate::device::AdamW;
use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, Word, words};

/// One step of [`super::sgd`], in place.
pub fn sgd(
    run: &Runner,
    w: &Array,
    dw: &Array,
    v: &Array,
    lr: f64,
    momentum: f64,
    decay: f64,
) {
    let fours = w.len().div_ceil(4);
    let words = words![fours, lr, momentum, decay];
    let kernel = kernel("sgd", &[0, 1, 3]);
    run.run(&kernel, Groups::for_each(fours), words, &[w, dw, v]);
}

/// One step of [`super::adamw`], in place; `factor` is one number.
///
/// Panics if `set.step` is 0.
#[track_caller]
pub fn adamw(
    run: &Runner,
    w: &Array,
    dw: &Array,
    m: &Array,
    v: &Array,
    factor: &Array,
    set: AdamW,
) {
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
    let arrays = &[w, dw, m, v, factor];
    run.run(&kernel, Groups::for_each(fours), words, arrays);
}

/// Fours that a workgroup adds up in the first phase: sixteen for each
/// invocation.
const PIECE: usize = 16 * 256;

/// Writes `Σ_i x_i²` to entry `slot` of `squares`.
pub fn sum_of_squares(run: &Runner, x: &Array, squares: &Array, slot: usize) {
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

/// `min(1, most/√(Σ_i squares_i))` over `factor`; 1 if the sum is 0, NaN if it
/// is NaN. The sum is in `f32`: from 3·10³⁸ on the factor is 0.
pub fn clip(run: &Runner, squares: &Array, most: f64, factor: &Array) {
    let fours = squares.len().div_ceil(4);
    let words: &[Word] =
        words![squares.len(), 1usize, fours, 0usize, 0usize, most];
    let kernel = kernel("clip", &[5, 6]);
    run.run(&kernel, Groups::Row(1), words, &[squares, factor]);
}

fn kernel<'k>(entry: &'k str, bindings: &'k [u32]) -> Kernel<'k> {
    Kernel {
        name: entry,
        source: Source::Text(include_str!("kernel.wgsl")),
        entry,
        bindings,
    }
}
