//! Weights at few bits in `f32`.
//!
//! From plain to fast: (1) rounding, clamping and scaling are one pass that
//! reads one array and writes one, not three; (2) no branch on a weight, so
//! that all of them are vector instructions, rounding among them where the
//! processor has it; (3) the codes are never stored, and the backward pass
//! keeps no mask: it compares the weights, which are there anyway, with one
//! bound; (4) large arrays are shared out among the cores.

use super::{assert_same, largest_code, steps_in_mean};
use crate::engine::rows;
use crate::engine::simd::vectorised;

/// [`super::scale`]: the mean of `|w|` times a number that depends on `bits`.
#[track_caller]
pub fn scale(w: &[f32], bits: u32) -> f32 {
    let factor = steps_in_mean(bits) / w.len().max(1) as f64;
    rows::sum_of(w, f32::abs) * factor as f32
}

/// [`super::forward`], into `w_hat`.
///
/// Panics if the lengths differ or `bits` is out of range.
#[track_caller]
pub fn forward(w: &[f32], s: f32, bits: u32, w_hat: &mut [f32]) {
    assert_same("quantise", &[w.len()], &[w_hat.len()]);
    let q = largest_code(bits) as f32;
    rows::for_each((w, w_hat), 1, |_, (w, w_hat)| match bits {
        1 => signs(w, s, w_hat),
        _ => codes(w, s, q, w_hat),
    });
}

/// Adds [`super::vjp`] to `dw`.
///
/// Panics if the lengths differ or `bits` is out of range.
#[track_caller]
pub fn vjp(w: &[f32], s: f32, bits: u32, dw_hat: &[f32], dw: &mut [f32]) {
    assert_same("quantise_vjp", &[w.len()], &[dw_hat.len()]);
    assert_same("quantise_vjp", &[w.len()], &[dw.len()]);
    let most = largest_code(bits) as f32 * s;
    rows::for_each((w, dw_hat, dw), 1, |_, (w, dw_hat, dw)| {
        for ((w, dw_hat), dw) in w.iter().zip(dw_hat).zip(dw) {
            *dw += if w.abs() <= most { *dw_hat } else { 0. };
        }
    });
}

fn signs(w: &[f32], s: f32, w_hat: &mut [f32]) {
    for (w, w_hat) in w.iter().zip(w_hat) {
        *w_hat = if *w >= 0. { s } else { -s };
    }
}

vectorised! {
    fn codes, codes_at(w: &[f32], s: f32, q: f32, w_hat: &mut [f32])
        = codes_body;
}

#[inline(always)]
fn codes_body<const FMA: bool>(w: &[f32], s: f32, q: f32, w_hat: &mut [f32]) {
    let step = if s == 0. { 1. } else { s };
    for (w, w_hat) in w.iter().zip(w_hat) {
        *w_hat = s * (w / step).round_ties_even().clamp(-q, q);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::levels;

    /// Ties among them; every operation is exact.
    #[test]
    fn every_level_by_hand() {
        let w = [0.25, 0.75, -0.25, -0.75, 1.25, 9., -9., 0.3, -0.];
        let want = [0., 1., 0., -1., 1., 1.5, -1.5, 0.5, 0.];
        for level in levels() {
            let mut w_hat = [0.; 9];
            codes_at(*level, &w, 0.5, 3., &mut w_hat);
            assert_eq!(w_hat, want);
        }
    }

    #[test]
    #[cfg(feature = "parallel")]
    fn same_bits_on_any_number_of_threads() {
        let n = 100_003;
        let w: Vec<f32> = (0..n)
            .map(|i| ((i * 7919) % 10_007) as f32 / 997. - 4.)
            .collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().expect("a pool").install(|| {
                let (s, mut w_hat) = (scale(&w, 4), vec![0.; n]);
                forward(&w, s, 4, &mut w_hat);
                let mut dw = vec![0.125; n];
                vjp(&w, s, 4, &w_hat, &mut dw);
                (s, w_hat, dw)
            })
        };
        let one = run(1);
        assert!(run(2) == one && run(5) == one);
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let w = [1., f32::NAN, -2.];
        for bits in [1, 4] {
            let (s, mut w_hat) = (scale(&w, bits), [0.; 3]);
            forward(&w, s, bits, &mut w_hat);
            assert!(w_hat.iter().all(|w| w.is_nan()));
        }
    }
}
