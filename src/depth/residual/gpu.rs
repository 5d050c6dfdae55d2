//! Residual connection on the GPU, in place.
//!
//! From plain to fast: (1) the sum overwrites `f`; (2) four numbers for each
//! invocation.

use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, words};

/// `f` on entry, `x + f` on return.
pub fn add(run: &Runner, x: &Array, f: &Array) {
    let fours = f.len().div_ceil(4);
    run.run(&ADD, Groups::for_each(fours), words![fours], &[x, f]);
}

const ADD: Kernel = Kernel {
    name: "add",
    source: Source::Text(include_str!("kernel.wgsl")),
    entry: "add",
    bindings: &[0, 1],
};
