//! SwiGLU on the GPU: one pass forward, one pass backward.
//!
//! From plain to fast: (1) σ, silu and its slope never leave the registers, so
//! each number is read once and written once; (2) four numbers for each
//! invocation, a workgroup's breadth apart, whatever the width; (3) value and
//! slope share one exponential.
//!
//! x (N,2F) `= [g | u]`, y (N,F); sizes are `[N, F]`.

use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, words};

/// `y = silu(g)·u` over `y`.
pub fn swiglu(run: &Runner, [n, f]: [usize; 2], x: &Array, y: &Array) {
    let kernel = kernel("swiglu", "swiglu", &[0, 1]);
    run.run(&kernel, groups(n * f), words![n * f, f], &[x, y]);
}

/// `dx = [dg | du]` over `dx`, with `dg = dy·u·silu'(g)` and
/// `du = dy·silu(g)`.
pub fn swiglu_vjp(
    run: &Runner,
    [n, f]: [usize; 2],
    x: &Array,
    dy: &Array,
    dx: &Array,
) {
    let kernel = kernel("swiglu vjp", "swiglu_vjp", &[0, 2, 3]);
    run.run(&kernel, groups(n * f), words![n * f, f], &[x, dy, dx]);
}

fn groups(n: usize) -> Groups {
    Groups::for_each(n.div_ceil(4))
}

fn kernel<'k>(
    name: &'k str,
    entry: &'k str,
    bindings: &'k [u32],
) -> Kernel<'k> {
    Kernel {
        name,
        source: Source::Text(concat!(
            include_str!("../../../engine/gpu/math.wgsl"),
            include_str!("kernel.wgsl"),
        )),
        entry,
        bindings,
    }
}
