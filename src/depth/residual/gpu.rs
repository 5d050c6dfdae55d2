//! Residual connection and dropout on the GPU, in place.
//!
//! From plain to fast: (1) the sum overwrites `f`, and what dropout leaves
//! overwrites `x`; no mask is stored; (2) four numbers for each invocation,
//! which is one block of Philox; (3) a word of the stream is compared as it
//! is, with the rate in 2⁻²⁴, rounded up: the mask is that of `f64` to the
//! last entry.

use crate::engine::gpu::{Groups, Kernel, Runner, Source, Tensor, words};
use crate::engine::philox::Stream;

/// `x + f`, over `f`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn add(run: &Runner, x: &Tensor, f: Tensor) -> Tensor {
    super::assert_same("add", x.shape(), f.shape());
    let fours = f.len().div_ceil(4);
    run.run(&ADD, Groups::for_each(fours), words![fours], &[x, &f]);
    f
}

/// `y`, over `x`: entry `i` is multiplied by 0 where number `i` of `stream` is
/// below `rate`, and else by `1/(1 - rate)`.
///
/// Panics if `rate` is not in `[0,1)`.
#[track_caller]
pub fn dropout(run: &Runner, x: Tensor, rate: f64, stream: Stream) -> Tensor {
    super::assert_rate(rate);
    if rate == 0. {
        return x;
    }
    let fours = x.len().div_ceil(4);
    let words = words![
        fours,
        stream.seed as u32,
        (stream.seed >> 32) as u32,
        stream.op,
        stream.step,
        (rate * f64::from(1u32 << 24)).ceil() as u32,
        1. / (1. - rate),
    ];
    run.run(&DROPOUT, Groups::for_each(fours), words, &[&x]);
    x
}

const SOURCE: Source = Source::Text(concat!(
    include_str!("../../engine/gpu/philox.wgsl"),
    include_str!("kernel.wgsl"),
));

const ADD: Kernel = Kernel {
    name: "add",
    source: SOURCE,
    entry: "add",
    bindings: &[0, 1],
};

const DROPOUT: Kernel = Kernel {
    name: "dropout",
    source: SOURCE,
    entry: "dropout",
    bindings: &[1],
};
