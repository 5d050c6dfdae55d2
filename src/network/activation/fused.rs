//! ReLU and tanh in `f32`, in place.
//!
//! From plain to fast: (1) the output overwrites the input and `dx` overwrites
//! `dy`, so no array is made and half the memory is touched; (2) the loop body
//! has no branch, so that the compiler can use vector instructions, and tanh
//! is a polynomial for the same reason; (3) large arrays are shared out among
//! the cores.

use crate::engine::{rows, vmath};

/// `x` on entry, `y = max(x, 0)` on return. NaN stays NaN.
pub fn relu(x: &mut [f32]) {
    rows::for_each(x, 1, |_, x| {
        for x in x {
            *x = if *x <= 0. { 0. } else { *x };
        }
    });
}

/// `dy` on entry, `dx` on return: `dy` where `y > 0`, else 0.
///
/// Panics if the lengths differ.
#[track_caller]
pub fn relu_vjp(y: &[f32], dy: &mut [f32]) {
    assert_same("relu_vjp", y, dy);
    rows::for_each((y, dy), 1, |_, (y, dy)| {
        for (y, dy) in y.iter().zip(dy) {
            *dy = if *y <= 0. { 0. } else { *dy };
        }
    });
}

/// `x` on entry, `y = tanh(x)` on return.
pub fn tanh(x: &mut [f32]) {
    rows::for_each(x, 4, |_, x| vmath::tanh(x));
}

/// `dy` on entry, `dx = (1 - y²)·dy` on return.
///
/// Panics if the lengths differ.
#[track_caller]
pub fn tanh_vjp(y: &[f32], dy: &mut [f32]) {
    assert_same("tanh_vjp", y, dy);
    rows::for_each((y, dy), 1, |_, (y, dy)| {
        for (y, dy) in y.iter().zip(dy) {
            *dy *= 1. - y * y;
        }
    });
}

/// `(σ(x), σ'(x))`, for a loop. With `e = exp(-|x|)` the slope is
/// `e/(1 + e)²`: nothing cancels, as it would in `σ(1 - σ)` on the right.
#[inline(always)]
pub(super) fn sigmoid_and_slope<const FMA: bool>(x: f32) -> (f32, f32) {
    let e = vmath::lane::exp::<FMA>(-x.abs());
    let under = 1. / (1. + e);
    let over = if x < 0. { e } else { 1. };
    (over * under, e * under * under)
}

#[track_caller]
fn assert_same(op: &str, y: &[f32], dy: &[f32]) {
    let (a, b) = (y.len(), dy.len());
    assert_eq!(a, b, "{op}: y [{a}] and dy [{b}] differ in length");
}
