//! GELU on the GPU: one pass forward, one pass backward.
//!
//! From plain to fast: (1) the input is all that is kept, and `dx` overwrites
//! `dy`: forward reads one array and writes one, backward reads two and writes
//! one; (2) four numbers for each invocation; (3) erf and exp are the
//! polynomials of `engine::vmath`, and in the tanh form one exponential gives
//! `σ(2u) = (1 + tanh u)/2` and its slope.

use super::super::gpu::by_fours;
use crate::engine::gpu::{Array, Kernel, Runner, Source};

/// `y = x·Φ(x)` over `y`.
pub fn exact(run: &Runner, x: &Array, y: &Array) {
    by_fours(run, &kernel("gelu", "exact"), &[x, y]);
}

/// `dy` on entry, `dx = (Φ(x) + x·φ(x))·dy` on return.
pub fn exact_vjp(run: &Runner, x: &Array, dy: &Array) {
    by_fours(run, &kernel("gelu vjp", "exact_vjp"), &[x, dy]);
}

/// `y = x/2·(1 + tanh u)` over `y`.
pub fn tanh(run: &Runner, x: &Array, y: &Array) {
    by_fours(run, &kernel("gelu_tanh", "tanh_form"), &[x, y]);
}

/// `dy` on entry, `dx = ((1 + t)/2 + x/2·(1 - t²)·u')·dy` on return.
pub fn tanh_vjp(run: &Runner, x: &Array, dy: &Array) {
    by_fours(run, &kernel("gelu_tanh vjp", "tanh_form_vjp"), &[x, dy]);
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
