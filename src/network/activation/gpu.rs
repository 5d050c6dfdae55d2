//! ReLU and tanh on the GPU, in place.
//!
//! From plain to fast: (1) the output overwrites the input, and `dx`
//! overwrites `dy`: each number is read once and written once; (2) an
//! invocation takes four numbers, so that enough of them are on their way from
//! memory at a time; (3) tanh is the polynomial of `engine::vmath`, not WGSL's,
//! which may be 10⁻⁵ off.

use super::assert_same;
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, words,
};

/// `y = max(x, 0)`, over `x`. NaN stays NaN.
pub fn relu(run: &Runner, x: Tensor) -> Tensor {
    by_fours(run, &kernel("relu", "relu", &[1]), &[&x]);
    x
}

/// `dx`, over `dy`: 0 where `y ≤ 0`, else `dy`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn relu_vjp(run: &Runner, y: &Tensor, dy: Tensor) -> Tensor {
    assert_same("relu_vjp", "y", y.shape(), dy.shape());
    by_fours(run, &kernel("relu vjp", "relu_vjp", &[0, 1]), &[y, &dy]);
    dy
}

/// `y = tanh(x)`, over `x`.
pub fn tanh(run: &Runner, x: Tensor) -> Tensor {
    by_fours(run, &kernel("tanh", "tanh_forward", &[1]), &[&x]);
    x
}

/// `dx = (1 - y²)·dy`, over `dy`.
///
/// Panics if the shapes differ.
#[track_caller]
pub fn tanh_vjp(run: &Runner, y: &Tensor, dy: Tensor) -> Tensor {
    assert_same("tanh_vjp", "y", y.shape(), dy.shape());
    by_fours(run, &kernel("tanh vjp", "tanh_vjp", &[0, 1]), &[y, &dy]);
    dy
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
