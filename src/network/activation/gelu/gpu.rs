//! GELU on the GPU: one pass forward, one pass backward.
//!
//! From plain to fast: (1) the input is all that is kept, and `dx` overwrites
//! `dy`: forward reads one array and writes one, backward reads two and writes
//! one; (2) four numbers for each invocation; (3) erf and exp are the
//! polynomials of `engine::vmath`, and in the tanh form one exponential gives
//! `σ(2u) = (1 + tanh u)/2` and its slope.

use super::super::gpu::by_fours;
use super::assert_same;
use crate::engine::gpu::{Kernel, Runner, Source, Tensor};

/// `y = x·Φ(x)`.
pub fn exact(run: &Runner, x: &Tensor) -> Tensor {
    forward(run, &kernel("gelu", "exact"), x)
}

/// `dx = (Φ(x) + x·φ(x))·dy`, over `dy`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn exact_vjp(run: &Runner, x: &Tensor, dy: Tensor) -> Tensor {
    vjp(run, &kernel("gelu vjp", "exact_vjp"), x, dy)
}

/// `y = x/2·(1 + tanh u)`.
pub fn tanh(run: &Runner, x: &Tensor) -> Tensor {
    forward(run, &kernel("gelu_tanh", "tanh_form"), x)
}

/// `dx = ((1 + t)/2 + x/2·(1 - t²)·u')·dy`, over `dy`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn tanh_vjp(run: &Runner, x: &Tensor, dy: Tensor) -> Tensor {
    vjp(run, &kernel("gelu_tanh vjp", "tanh_form_vjp"), x, dy)
}

fn forward(run: &Runner, kernel: &Kernel, x: &Tensor) -> Tensor {
    let y = run.tensor(x.shape());
    by_fours(run, kernel, &[x, &y]);
    y
}

#[track_caller]
fn vjp(run: &Runner, kernel: &Kernel, x: &Tensor, dy: Tensor) -> Tensor {
    assert_same(kernel.name, "x", x.shape(), dy.shape());
    by_fours(run, kernel, &[x, &dy]);
    dy
}

fn kernel<'k>(name: &'k str, entry: &'k str) -> Kernel<'k> {
    Kernel {
        name,
        source: Source::Text(concat!(
            include_str!("../../../engine/gpu/math.wgsl"),
            include_str!("kernel.wgsl"),
        )),
        entry,
        bindings: &[0, 1],
    }
}
