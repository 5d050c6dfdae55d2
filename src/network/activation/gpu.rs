//! ReLU and tanh on the GPU, in place.
//!
//! From plain to fast: (1) the output overwrites the input, and `dx`
//! overwrites `dy`: each number is read once and written once; (2) an
//! invocation takes four numbers, so that enough of them are on their way from
//! memory at a time; (3) tanh is the polynomial of `engine::vmath`, not WGSL's,
//! which may be 10⁻⁵ off.

use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, words};

/// `x` on entry, `y = max(x, 0)` on return. NaN stays NaN.
pub fn relu(run: &Runner, x: &Array) {
    by_fours(run, &kernel("relu", "relu", &[1]), &[x]);
}

/// `dy` on entry, `dx` on return: 0 where `y ≤ 0`, else `dy`.
pub fn relu_vjp(run: &Runner, y: &Array, dy: &Array) {
    by_fours(run, &kernel("relu vjp", "relu_vjp", &[0, 1]), &[y, dy]);
}

/// `x` on entry, `y = tanh(x)` on return.
pub fn tanh(run: &Runner, x: &Array) {
    by_fours(run, &kernel("tanh", "tanh_forward", &[1]), &[x]);
}

/// `dy` on entry, `dx = (1 - y²)·dy` on return.
pub fn tanh_vjp(run: &Runner, y: &Array, dy: &Array) {
    by_fours(run, &kernel("tanh vjp", "tanh_vjp", &[0, 1]), &[y, dy]);
}

fn kernel<'k>(
    name: &'k str,
    entry: &'k str,
    bindings: &'k [u32],
) -> Kernel<'k> {
    Kernel {
        name,
        source: Source::Text(concat!(
            include_str!("../../engine/gpu/math.wgsl"),
            include_str!("kernel.wgsl"),
        )),
        entry,
        bindings,
    }
}

/// A kernel with an invocation for every four numbers of `arrays`, which are
/// equally long. It is told how many fours there are.
pub(super) fn by_fours(run: &Runner, kernel: &Kernel, arrays: &[&Array]) {
    let fours = arrays[0].len().div_ceil(4);
    run.run(kernel, Groups::for_each(fours), words![fours], arrays);
}
