//! Residual connection and dropout in `f32`, in place.

use crate::engine::philox::Stream;
use crate::engine::rows;

/// `f` on entry, `x + f` on return.
///
/// Panics if the lengths differ.
#[track_caller]
pub fn add(x: &[f32], f: &mut [f32]) {
    super::assert_same("add", &[x.len()], &[f.len()]);
    rows::for_each((x, f), 1, |_, (x, f)| {
        for (x, f) in x.iter().zip(f) {
            *f += x;
        }
    });
}

/// `x` on entry, `y` on return, as [`super::dropout`] with the same mask. On
/// cotangents it is the VJP.
///
/// Panics if `rate` is not in `[0,1)`.
#[track_caller]
pub fn dropout(x: &mut [f32], rate: f64, stream: Stream) {
    super::assert_rate(rate);
    if rate == 0. {
        return;
    }
    let scale = (1. / (1. - rate)) as f32;
    rows::for_each(x, 4, |first, x| {
        for (i, x) in x.iter_mut().enumerate() {
            let u = stream.uniform((first + i) as u64);
            *x *= if f64::from(u) >= rate { scale } else { 0. };
        }
    });
}
