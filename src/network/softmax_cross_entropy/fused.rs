//! Softmax cross-entropy in `f32`, from labels, in place.
//!
//! From plain to fast: (1) labels instead of target rows: no `t` (B,V) is made
//! or read; (2) the probabilities overwrite the logits, and `dx` overwrites
//! the probabilities; (3) one visit per block of rows, while the block is in
//! cache, with one call of the vectorised exponential per block.

use ndarray::ArrayViewMut2;

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
    let (rows, classes) = x.dim();
    assert!(rows > 0, "softmax_ce: an empty batch has no mean");
    assert_fit(rows, classes, labels);
    assert_eq!(
        rows,
        losses.len(),
        "softmax_ce: x {rows} rows, losses differ"
    );
    let x = x.as_slice_mut().expect("softmax_ce: x is not row-major");
    for (i, x) in x.chunks_exact_mut(classes).enumerate() {
        let m = max(x);
        let mut shifted_sum = 0.;
        for x in x.iter_mut() {
            *x -= m;
            shifted_sum += *x;
        }
        let at_label = x[labels[i] as usize];
        let mut s = 0.;
        for x in x.iter_mut() {
            *x = x.exp();
            s += *x;
        }
        // -Σ t·(x - lse) with t = (1-ε)·onehot + ε/V
        losses[i] = s.ln() - (1. - smoothing) * at_label;
        if smoothing > 0. {
            losses[i] -= smoothing * shifted_sum / classes as f32;
        }
        let scale = 1. / s;
        for x in x.iter_mut() {
            *x *= scale;
        }
    }
    losses.iter().map(|l| f64::from(*l)).sum::<f64>() / rows as f64
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
    let (rows, classes) = p.dim();
    assert_fit(rows, classes, labels);
    let scale = dloss / rows as f32;
    let rest = smoothing / classes as f32;
    let p = p.as_slice_mut().expect("softmax_ce: p is not row-major");
    for (p, &label) in p.chunks_exact_mut(classes).zip(labels) {
        for p in p.iter_mut() {
            *p = (*p - rest) * scale;
        }
        p[label as usize] -= (1. - smoothing) * scale;
    }
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
fn assert_fit(rows: usize, classes: usize, labels: &[u32]) {
    let n = labels.len();
    assert_eq!(rows, n, "softmax_ce: x [{rows}, {classes}], {n} labels");
    for &v in labels {
        assert!(
            (v as usize) < classes,
            "softmax_ce: label {v} among {classes} classes",
        );
    }
}
