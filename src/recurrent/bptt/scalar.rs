//! The smallest network with a memory: `h_t = w·h_{t-1} + x_t`, one number, no
//! activation.                                book: recurrent/bptt
//!
//! Every gradient can be done by hand here, and the double sum can be written
//! down term by term: the loss of step `t` reaches the use of `w` at step
//! `s ≤ t` with `dh_t·w^(t-s)·h_{s-1}`.
//!
//! ```
//! use backprop::recurrent::bptt::{chunks, scalar, windows};
//! let (w, h0, x, dh) = (0.5, 0.4, [1., 2., -1.], [0.3, -0.7, 2.]);
//! let h = scalar::forward(w, &x, h0);
//! let near = |a: f64, b: f64| (a - b).abs() < 1e-14;
//! assert!(h.iter().zip([1.2, 2.6, 0.3]).all(|(h, v)| near(*h, v)));
//!
//! let (dw, dx, dh0) = scalar::vjp(w, h0, &h, &dh);
//! assert!(near(dw, 5.74) && near(dh0, 0.225));
//! assert!(dx.iter().zip([0.45, 0.3, 2.]).all(|(d, v)| near(*d, v)));
//!
//! // Two truncations, and the one that looks nowhere back.
//! let cut = |of: &[_]| scalar::truncated(w, h0, &h, &dh, of);
//! assert!(near(cut(&chunks(3, 2)), 4.34));
//! assert!(near(cut(&windows(3, 2)), 5.54));
//! assert!(near(cut(&windows(3, 1)), 4.48));
//! assert!(near(cut(&chunks(3, 1)), 4.48));
//! ```

use super::Stretch;

/// `h_1, …, h_T` from `w`, the inputs `x` and the first state.
pub fn forward(w: f64, x: &[f64], h0: f64) -> Vec<f64> {
    let step = |h: &mut f64, x: &f64| {
        *h = w * *h + x;
        Some(*h)
    };
    x.iter().scan(h0, step).collect()
}

/// `(dw, dx, dh0)` from `dh`, a cotangent for every state; `h` as it came out of
/// [`forward`].
///
/// The total cotangent of a state is that of its input as well:
/// `dx_t = dh_t + w·dx_{t+1}`. Then `dw = Σ_t h_{t-1}·dx_t`, `dh0 = w·dx_1`.
///
/// Panics if `h` and `dh` are not of one length.
#[track_caller]
pub fn vjp(w: f64, h0: f64, h: &[f64], dh: &[f64]) -> (f64, Vec<f64>, f64) {
    assert_eq!(h.len(), dh.len(), "scalar: a cotangent for every state");
    let (mut dw, mut dx, mut dh0) = (0., vec![0.; h.len()], 0.);
    for t in (0..h.len()).rev() {
        dx[t] = dh[t] + dh0;
        dw += dx[t] * if t == 0 { h0 } else { h[t - 1] };
        dh0 = w * dx[t];
    }
    (dw, dx, dh0)
}

/// `terms[t][s]`: what the loss of step `t` gives the use of `w` at step `s`,
/// both counted from 0; 0 where `s > t`. Their sum is `dw`.
pub fn terms(w: f64, h0: f64, h: &[f64], dh: &[f64]) -> Vec<Vec<f64>> {
    let before = |s: usize| if s == 0 { h0 } else { h[s - 1] };
    let term = |t: usize, s: usize| match s <= t {
        true => dh[t] * w.powi((t - s) as i32) * before(s),
        false => 0.,
    };
    let steps = 0..h.len();
    steps
        .clone()
        .map(|t| steps.clone().map(|s| term(t, s)).collect())
        .collect()
}

/// `dw` from the walks over all `stretches`, as [`super::truncated`].
pub fn truncated(
    w: f64,
    h0: f64,
    h: &[f64],
    dh: &[f64],
    stretches: &[Stretch],
) -> f64 {
    let walk = |Stretch { steps, losses }: &Stretch| {
        let before = if steps.start == 0 {
            h0
        } else {
            h[steps.start - 1]
        };
        let mut dh = dh[steps.clone()].to_vec();
        let silent = steps.len() - losses;
        dh[..silent].fill(0.);
        vjp(w, before, &h[steps.clone()], &dh).0
    };
    stretches.iter().map(walk).sum()
}
