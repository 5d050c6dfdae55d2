//! SGD in `f32`: one pass over the three arrays.
//!
//! From plain to fast: (1) three array expressions would read and write the
//! parameter, the gradient and the velocity seven times; one loop reads three
//! and writes two; (2) the loop is compiled for the widest vectors that the
//! processor has; (3) no denormals: behind a dead ReLU the gradient is exactly
//! 0, so its velocity shrinks by μ in every step until, after some hundred
//! steps, it is too small for a normal number. There it stays, since the
//! smallest denormal times 0.9 rounds to itself, and arithmetic with denormals
//! is dozens of times slower: seen, 58 µs for a step of 10,000 parameters that
//! takes 2 µs without them. A velocity below the smallest normal number,
//! 1.2·10⁻³⁸, is set to 0.

use crate::engine::rows;
use crate::engine::simd::{mul_add, vectorised};

/// One step of [`super::sgd`], in place.
///
/// Panics if the lengths differ.
#[track_caller]
pub fn sgd(
    w: &mut [f32],
    dw: &[f32],
    v: &mut [f32],
    lr: f32,
    momentum: f32,
    decay: f32,
) {
    let n = w.len();
    assert!(
        n == dw.len() && n == v.len(),
        "sgd: w [{n}], dw [{}], v [{}] differ",
        dw.len(),
        v.len(),
    );
    rows::for_each((w, dw, v), 2, |_, (w, dw, v)| {
        piece(w, dw, v, lr, momentum, decay)
    });
}

vectorised! {
    fn piece, piece_at(
        w: &mut [f32],
        dw: &[f32],
        v: &mut [f32],
        lr: f32,
        momentum: f32,
        decay: f32,
    ) = piece_body;
}

#[inline(always)]
fn piece_body<const FMA: bool>(
    w: &mut [f32],
    dw: &[f32],
    v: &mut [f32],
    lr: f32,
    momentum: f32,
    decay: f32,
) {
    for ((w, dw), v) in w.iter_mut().zip(dw).zip(v) {
        let new = mul_add::<FMA>(momentum, *v, mul_add::<FMA>(decay, *w, *dw));
        // no early exit, no branch: a masked move
        let denormal = new.abs() < f32::MIN_POSITIVE;
        *v = if denormal { 0. } else { new };
        *w = mul_add::<FMA>(-lr, *v, *w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::levels;

    /// Numbers for which every operation is exact.
    #[test]
    fn every_level_by_hand() {
        for level in levels() {
            for n in [1, 15, 16, 17, 100] {
                let (mut w, mut v) = (vec![4.; n], vec![2.; n]);
                let dw = vec![0.5; n];
                // v = 0.5·2 + (0.5 + 0.25·4), w = 4 - 0.5·2.5
                piece_at(*level, &mut w, &dw, &mut v, 0.5, 0.5, 0.25);
                assert_eq!((w, v), (vec![2.75; n], vec![2.5; n]));
            }
        }
    }

    #[test]
    fn a_velocity_without_gradient_ends_at_zero() {
        let (mut w, mut v) = ([1.; 3], [1., -1e-37, f32::NAN]);
        for _ in 0..1000 {
            sgd(&mut w, &[0.; 3], &mut v, 0.1, 0.9, 0.);
            assert!(!v.iter().any(|v| v.is_subnormal()));
        }
        assert_eq!(v[..2], [0., 0.]);
        assert!(v[2].is_nan() && w[2].is_nan(), "NaN is not hidden");
    }
}
