//! SwiGLU on the GPU: one pass forward, one pass backward.
//!
//! From plain to fast: (1) σ, silu and its slope never leave the registers, so
//! each number is read once and written once; (2) four numbers for each
//! invocation, a workgroup's breadth apart, whatever the width; (3) value and
//! slope share one exponential.
//!
//! x (N,2F) `= [g | u]`, y (N,F).

use super::{assert_same, half};
use crate::engine::gpu::{Groups, Kernel, Runner, Source, Tensor, words};

/// `y = silu(g)·u`.
///
/// Panics if the rows of `x` have no two halves.
#[track_caller]
pub fn swiglu(run: &Runner, x: &Tensor) -> Tensor {
    let [n, _] = x.extents();
    let f = half("swiglu", x.shape());
    let y = run.tensor(&[n, f]);
    let kernel = kernel("swiglu", "swiglu", &[0, 1]);
    run.run(&kernel, groups(n * f), words![n * f, f], &[x, &y]);
    y
}

/// `dx = [dg | du]`, with `dg = dy·u·silu'(g)` and `du = dy·silu(g)`.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn swiglu_vjp(run: &Runner, x: &Tensor, dy: &Tensor) -> Tensor {
    let [n, _] = x.extents();
    let f = half("swiglu vjp", x.shape());
    assert_same("swiglu vjp", "each half of x", &[n, f], dy.shape());
    let dx = run.tensor(x.shape());
    let kernel = kernel("swiglu vjp", "swiglu_vjp", &[0, 2, 3]);
    run.run(&kernel, groups(n * f), words![n * f, f], &[x, dy, &dx]);
    dx
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
