//! Softmax and cross-entropy from labels in `f32`, in place.
//!
//! From plain to fast, with the time of 1024 × 8192 logits on one core, where
//! whole-array passes with the standard library's `exp` take 90 ms: (1) a row
//! is finished while it is in cache: its maximum, then exponentials and their
//! sum in one loop, then the division: 51 ms; (2) the loops are compiled for
//! the widest vectors that the processor has, with a formula for `exp`: 27 ms;
//! (3) the probabilities overwrite the logits, `dx` the probabilities, and no
//! fresh memory is asked for: 4.3 ms; (4) rows are shared out among the cores.
//! The rungs stand in [`crate::speed::cpu::softmax`].
//!
//! Cross-entropy takes labels instead of target rows: no `t` (B,V) is made or
//! read. Forward and backward take 5.4 ms, of which the 128 MB that go through
//! the core, four times the logits, take 2.5. Rows of fewer than 128 numbers,
//! such as the ten classes of a digit, share one loop of exponentials: 1.5 µs
//! for 32 rows of ten instead of 2.0.
//!
//! A classifier reaches these through `Device::softmax_ce` on `Cpu`; a language
//! model through `Device::unembed_ce_grad`, which is in
//! [`embedding::fused`](crate::transformer::embedding::fused) and calls the
//! same loops on some rows of logits at a time.

use super::{IGNORE, assert_smoothing};
use crate::engine::rows;
use crate::engine::simd::{mul_add, vectorised};
use crate::engine::vmath::lane;
use ndarray::ArrayViewMut2;

/// The forward pass costs about as much per number as this many plain passes.
const WORK: usize = 8;

/// Rows with fewer classes than this are taken together.
const SHORT: usize = 128;

/// Numbers per loop round; also how many running sums and maxima there are.
const LANES: usize = 16;

/// Logits `x` (B,V) on entry, probabilities `p` on return. `losses` (B)
/// receives the cross-entropy of each row, in nats, 0 if it is ignored.
/// Returns the mean over the others.
///
/// `labels` (B) in `0..V` or [`IGNORE`]. `smoothing` ε as in
/// [`super::targets`]. The mean is summed in `f64`, row after row.
///
/// Panics if the shapes do not fit, a label or `smoothing` is out of range, no
/// row has a target or `x` is not row-major.
#[track_caller]
pub fn cross_entropy(
    mut x: ArrayViewMut2<f32>,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) -> f64 {
    assert_smoothing("softmax_ce", smoothing.into());
    let (batch, classes) = x.dim();
    let count = counted(batch, classes, labels);
    let n = losses.len();
    assert_eq!(batch, n, "softmax_ce: x [{batch}, {classes}], {n} losses");
    let x = x.as_slice_mut().expect("softmax_ce: x is not row-major");
    let rows = (rows::Of(x, classes), labels, &mut *losses);
    rows::for_each(rows, WORK * classes, |_, (x, labels, losses)| {
        cross_entropy_rows(x.0, classes, labels, smoothing, losses);
    });
    mean(losses, count)
}

/// Probabilities `p` (B,V) on entry, `dx = (p - t)·dloss/B` on return, with
/// zeros in the rows that are ignored; B counts the others.
///
/// `labels` and `smoothing` as in [`cross_entropy`].
///
/// Panics if the shapes do not fit, a label or `smoothing` is out of range, no
/// row has a target or `p` is not row-major.
#[track_caller]
pub fn cross_entropy_vjp(
    mut p: ArrayViewMut2<f32>,
    labels: &[u32],
    smoothing: f32,
    dloss: f32,
) {
    assert_smoothing("softmax_ce_vjp", smoothing.into());
    let (batch, classes) = p.dim();
    let scale = dloss / counted(batch, classes, labels) as f32;
    let p = p.as_slice_mut().expect("softmax_ce: p is not row-major");
    let rows = (rows::Of(p, classes), labels);
    rows::for_each(rows, classes, |_, (p, labels)| {
        cross_entropy_vjp_rows(p.0, classes, labels, smoothing, scale);
    });
}

/// The loss of each row of logits `x` (B,V). The logits stay.
///
/// The shapes, and the labels, are checked by [`counted`].
pub(crate) fn losses(
    x: &[f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) {
    let rows = (rows::Of(x, classes), labels, losses);
    rows::for_each(rows, WORK * classes, |_, (x, labels, losses)| {
        losses_rows(x.0, classes, labels, smoothing, losses);
    });
}

/// The loss of each row of logits `x` (B,V), which become `(p - t)·scale`.
///
/// The shapes, and the labels, are checked by [`counted`].
pub(crate) fn losses_grad(
    x: &mut [f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    scale: f32,
    losses: &mut [f32],
) {
    let rows = (rows::Of(x, classes), labels, losses);
    rows::for_each(rows, WORK * classes, |_, (x, labels, losses)| {
        losses_grad_rows(x.0, classes, labels, smoothing, scale, losses);
    });
}

/// How many of `labels` are not [`IGNORE`].
///
/// Panics unless there is one for each of `batch` rows, all below `classes`,
/// and at least one is left.
#[track_caller]
pub(crate) fn counted(batch: usize, classes: usize, labels: &[u32]) -> usize {
    let counted = || labels.iter().filter(|v| !is_ignored(**v));
    let largest = counted().max().map(|v| *v as usize);
    let (n, count) = (labels.len(), counted().count());
    super::assert_labels([batch, classes], n, largest, count);
    count
}

/// The mean of the losses of `count` rows; those of the others are 0.
pub(crate) fn mean(losses: &[f32], count: usize) -> f64 {
    losses.iter().map(|l| f64::from(*l)).sum::<f64>() / count as f64
}

#[inline(always)]
fn is_ignored(label: u32) -> bool {
    label as usize == IGNORE
}

// A few rows each, small enough to stay in cache from the first loop to the
// last.
vectorised! {
    fn cross_entropy_rows, cross_entropy_rows_at(
        x: &mut [f32],
        classes: usize,
        labels: &[u32],
        smoothing: f32,
        losses: &mut [f32],
    ) = cross_entropy_body;
    fn cross_entropy_vjp_rows, cross_entropy_vjp_rows_at(
        p: &mut [f32],
        classes: usize,
        labels: &[u32],
        smoothing: f32,
        scale: f32,
    ) = cross_entropy_vjp_body;
    fn losses_rows, losses_rows_at(
        x: &[f32],
        classes: usize,
        labels: &[u32],
        smoothing: f32,
        losses: &mut [f32],
    ) = losses_body;
    fn losses_grad_rows, losses_grad_rows_at(
        x: &mut [f32],
        classes: usize,
        labels: &[u32],
        smoothing: f32,
        scale: f32,
        losses: &mut [f32],
    ) = losses_grad_body;
}

#[inline(always)]
fn cross_entropy_body<const FMA: bool>(
    x: &mut [f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) {
    if classes < SHORT {
        return short_rows::<FMA>(x, classes, labels, smoothing, losses);
    }
    let rows = x.chunks_exact_mut(classes).zip(labels).zip(losses);
    for ((x, label), loss) in rows {
        let m = max(x);
        let score = target_score(x, m, *label, smoothing);
        let s = map_sum(x, |x| lane::exp::<FMA>(x - m));
        *loss = loss_of(s, score, *label);
        let scale = 1. / s;
        x.iter_mut().for_each(|x| *x *= scale);
    }
}

/// [`cross_entropy_body`] with the exponentials of all rows in one loop: each
/// row would leave most of its last vector empty.
#[inline(always)]
fn short_rows<const FMA: bool>(
    x: &mut [f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) {
    let rows = x.chunks_exact_mut(classes).zip(labels);
    for ((x, label), score) in rows.zip(losses.iter_mut()) {
        let m = max(x);
        *score = target_score(x, m, *label, smoothing);
        x.iter_mut().for_each(|x| *x -= m);
    }
    x.iter_mut().for_each(|x| *x = lane::exp::<FMA>(*x));
    let rows = x.chunks_exact_mut(classes).zip(labels).zip(losses);
    for ((x, label), loss) in rows {
        let s = sum_of(x, |x| x);
        *loss = loss_of(s, *loss, *label);
        let scale = 1. / s;
        x.iter_mut().for_each(|x| *x *= scale);
    }
}

#[inline(always)]
fn loss_of(s: f32, score: f32, label: u32) -> f32 {
    if is_ignored(label) {
        0.
    } else {
        s.ln() - score
    }
}

#[inline(always)]
fn cross_entropy_vjp_body<const FMA: bool>(
    p: &mut [f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    scale: f32,
) {
    let rest = smoothing / classes as f32;
    for (p, label) in p.chunks_exact_mut(classes).zip(labels) {
        if is_ignored(*label) {
            p.fill(0.);
            continue;
        }
        p.iter_mut().for_each(|p| *p = (*p - rest) * scale);
        p[*label as usize] -= (1. - smoothing) * scale;
    }
}

#[inline(always)]
fn losses_body<const FMA: bool>(
    x: &[f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    losses: &mut [f32],
) {
    let rows = x.chunks_exact(classes).zip(labels).zip(losses);
    for ((x, label), loss) in rows {
        if is_ignored(*label) {
            *loss = 0.;
            continue;
        }
        let m = max(x);
        let s = sum_of(x, |x| lane::exp::<FMA>(x - m));
        *loss = s.ln() - target_score(x, m, *label, smoothing);
    }
}

#[inline(always)]
fn losses_grad_body<const FMA: bool>(
    x: &mut [f32],
    classes: usize,
    labels: &[u32],
    smoothing: f32,
    scale: f32,
    losses: &mut [f32],
) {
    let rest = smoothing / classes as f32 * scale;
    let rows = x.chunks_exact_mut(classes).zip(labels).zip(losses);
    for ((x, label), loss) in rows {
        if is_ignored(*label) {
            x.fill(0.);
            *loss = 0.;
            continue;
        }
        let m = max(x);
        let score = target_score(x, m, *label, smoothing);
        let s = map_sum(x, |x| lane::exp::<FMA>(x - m));
        *loss = s.ln() - score;
        let scale_p = scale / s;
        for x in x.iter_mut() {
            *x = mul_add::<FMA>(*x, scale_p, -rest);
        }
        x[*label as usize] -= (1. - smoothing) * scale;
    }
}

/// `Σ_v t_v·(x_v - m)` with `t = (1-ε)·onehot + ε/V`: what the loss lacks is
/// the logarithm of the sum.
#[inline(always)]
fn target_score(x: &[f32], m: f32, label: u32, smoothing: f32) -> f32 {
    if is_ignored(label) {
        return 0.;
    }
    let score = (1. - smoothing) * (x[label as usize] - m);
    if smoothing == 0. {
        return score; // a logit of -∞ must not meet a factor of 0
    }
    score + smoothing * sum_of(x, |x| x - m) / x.len() as f32
}

/// The largest entry.
#[inline(always)]
fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (m, x) in lanes.iter_mut().zip(block) {
            *m = larger(*m, *x);
        }
    }
    for (m, x) in lanes.iter_mut().zip(rest) {
        *m = larger(*m, *x);
    }
    folded(lanes, larger)
}

#[inline(always)]
fn larger(m: f32, x: f32) -> f32 {
    if x > m { x } else { m }
}

/// `Σ_i f(x_i)`.
#[inline(always)]
fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += f(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    folded(sums, |a, b| a + b)
}

/// `x_i ← f(x_i)`; returns their sum.
#[inline(always)]
fn map_sum(x: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.; LANES];
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *x = f(*x);
            *sum += *x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *x = f(*x);
        *sum += *x;
    }
    folded(sums, |a, b| a + b)
}

/// The lanes taken together in pairs, then pairs of pairs.
#[inline(always)]
fn folded(mut lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}
