//! Softmax cross-entropy in `f32`, from labels, in place.
//!
//! From plain to fast: (1) labels instead of target rows: no `t` (B,V) is made
//! or read; (2) the probabilities overwrite the logits, and `dx` overwrites
//! the probabilities; (3) a piece of rows is finished while it is in cache,
//! with one call of the vectorised exponential; (4) pieces are shared out among
//! the cores.

use crate::engine::{rows, vmath};
use ndarray::ArrayViewMut2;

/// The forward pass costs about as much per number as this many plain passes.
const WORK: usize = 8;

/// Logits `x` (B,V) on entry, probabilities `p` on return. `losses` (B)
/// receives the cross-entropy of each row, in nats. Returns their mean.
///
/// `labels` (B) in `0..V`. `smoothing` ε as in [`super::targets`].
/// The mean is summed in `f64`, row after row.
///
/// Panics if the shapes do not fit, a label is not below V, the batch is empty
/// or `x` is not row-major.
#[track_caller]
pub fn forward(
    mut x: ArrayViewMut2<f32>,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) -> f64 {
    let (batch, classes) = x.dim();
    assert!(batch > 0, "softmax_ce: an empty batch has no mean");
    assert_fit(batch, classes, labels);
    let n = losses.len();
    assert_eq!(batch, n, "softmax_ce: x [{batch}, {classes}], {n} losses");
    let x = x.as_slice_mut().expect("softmax_ce: x is not row-major");
    let rows = (rows::Of(x, classes), labels, &mut *losses);
    rows::for_each(rows, WORK * classes, |_, (x, labels, losses)| {
        piece(x.0, classes, labels, smoothing, losses);
    });
    losses.iter().map(|l| f64::from(*l)).sum::<f64>() / batch as f64
}

/// A few rows, small enough to stay in cache from the first loop to the last.
fn piece(
    x: &mut [f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) {
    for (i, x) in x.chunks_exact_mut(classes).enumerate() {
        let m = max(x);
        x.iter_mut().for_each(|x| *x -= m);
        // -Σ t·x with t = (1-ε)·onehot + ε/V; what is missing is lse.
        losses[i] = -(1. - smoothing) * x[labels[i] as usize];
        if smoothing > 0. {
            losses[i] -= smoothing * rows::sum(x) / classes as f32;
        }
    }
    vmath::exp(x);
    for (i, x) in x.chunks_exact_mut(classes).enumerate() {
        let s = rows::sum(x);
        losses[i] += s.ln();
        let scale = 1. / s;
        x.iter_mut().for_each(|x| *x *= scale);
    }
}

/// Probabilities `p` (B,V) on entry, `dx = (p - t)·dloss/B` on return.
///
/// `labels` and `smoothing` as in [`forward`].
///
/// Panics if the shapes do not fit or `p` is not row-major.
#[track_caller]
pub fn vjp(
    mut p: ArrayViewMut2<f32>,
    labels: &[u32],
    smoothing: f32,
    dloss: f32,
) {
    let (batch, classes) = p.dim();
    assert_fit(batch, classes, labels);
    let scale = dloss / batch as f32;
    let rest = smoothing / classes as f32;
    let p = p.as_slice_mut().expect("softmax_ce: p is not row-major");
    let rows = (rows::Of(p, classes), labels);
    rows::for_each(rows, classes, |_, (p, labels)| {
        for (p, label) in p.0.chunks_exact_mut(classes).zip(labels) {
            for p in p.iter_mut() {
                *p = (*p - rest) * scale;
            }
            p[*label as usize] -= (1. - smoothing) * scale;
        }
    });
}

/// The largest entry, found by 8 comparisons at a time.
fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 8];
    let mut blocks = x.chunks_exact(8);
    for block in &mut blocks {
        for (m, x) in lanes.iter_mut().zip(block) {
            *m = if *x > *m { *x } else { *m };
        }
    }
    let rest = blocks.remainder().iter();
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |m, x| m.max(*x))
}

#[track_caller]
fn assert_fit(batch: usize, classes: usize, labels: &[u32]) {
    let n = labels.len();
    assert_eq!(batch, n, "softmax_ce: x [{batch}, {classes}], {n} labels");
    for &v in labels {
        assert!(
            (v as usize) < classes,
            "softmax_ce: label {v} among {classes} classes",
        );
    }
}
