//! Embedding, head and rotary positions in `f32`, into the caller's arrays.
//!
//! From plain to fast. *Gather:* rows are copied, in parallel. *Scatter-add:*
//! tokens repeat, so two cores may not take different tokens; they take
//! different columns, and every core walks all tokens in order: no atomics, no
//! partial tables, the same bits on any number of threads. 2048 tokens of
//! width 384 take 0.11 ms to gather and 0.2 ms to scatter, on one core.
//!
//! *Rotation:* (1) in place; (2) halves of a head are paired, so both are read
//! in vectors; (3) the cosines and sines are computed once for all heads,
//! layers and steps, in `f64`, and kept: 8 texts of 256 tokens and 12 heads of
//! width 64 take 0.19 ms instead of 0.38, on one core.
//!
//! *Head and loss:* (1) some rows of logits at a time, which stay in cache
//! from the product to the softmax and back into the product; (2) loss and
//! gradient in one: three products instead of four, one exponential per logit
//! instead of two (2048 rows of width 384 and 8192 words, one core: 403 ms
//! instead of 535); (3) the gradient overwrites the logits; (4) the product
//! adds each chunk's share onto `dw` by itself. The three products alone, each
//! in one piece, take 390 ms.

use super::{
    assert_columns, assert_heads, assert_rows, assert_token, assert_widths,
};
use crate::device::Heads;
use crate::engine::gemm::{matmul_acc, matmul_into};
use crate::engine::rows;
use crate::engine::simd::{mul_add, vectorised};
use crate::network::softmax_cross_entropy::{
    assert_smoothing, fused as softmax,
};
use ndarray::{ArrayView2, ArrayViewMut2, s};
use std::sync::{Arc, Mutex, PoisonError};

/// `y_n = w[ids_n]` over `y` (N,D), from the table `w` (V,D).
///
/// Panics if the shapes do not fit, a token is not below V or a row has gaps.
#[track_caller]
pub fn forward(w: ArrayView2<f32>, ids: &[u32], y: ArrayViewMut2<f32>) {
    assert_rows("embedding", ids.len(), y.shape());
    assert_columns(w.shape(), y.shape());
    ids.iter()
        .for_each(|v| assert_token(*v as usize, w.nrows()));
    rows::for_each((ids, y), w.ncols(), |_, (ids, mut y)| {
        for (v, mut y) in ids.iter().zip(y.rows_mut()) {
            y.assign(&w.row(*v as usize));
        }
    });
}

/// Adds `dy_n` to row `ids_n` of `dw` (V,D), from `dy` (N,D), in the order of
/// the tokens.
///
/// Panics if the shapes do not fit, a token is not below V or a row has gaps.
#[track_caller]
pub fn vjp(ids: &[u32], dy: ArrayView2<f32>, dw: ArrayViewMut2<f32>) {
    assert_rows("embedding", ids.len(), dy.shape());
    assert_columns(dw.shape(), dy.shape());
    ids.iter()
        .for_each(|v| assert_token(*v as usize, dw.nrows()));
    // Pieces are columns, at least 64 of them.
    let work = ids.len().min(rows::GRAIN / 64);
    let columns = (dy.reversed_axes(), dw.reversed_axes());
    rows::for_each(columns, work, |_, (dy, dw)| {
        let (dy, mut dw) = (dy.reversed_axes(), dw.reversed_axes());
        for (v, dy) in ids.iter().zip(dy.rows()) {
            let mut dw = dw.row_mut(*v as usize);
            let dw = dw.as_slice_mut().expect("embedding: rows of dw");
            let dy = dy.to_slice().expect("embedding: rows of dy");
            for (dw, dy) in dw.iter_mut().zip(dy) {
                *dw += dy;
            }
        }
    });
}

/// `y = x·wᵀ` over `y` (N,V), from `x` (N,D) and `w` (V,D).
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn unembed(x: ArrayView2<f32>, w: ArrayView2<f32>, y: ArrayViewMut2<f32>) {
    assert_widths(x.shape(), w.shape());
    matmul_into(x, w.t(), y);
}

/// How many logits the head has at one time, about: 8 MB of them. Many rows
/// make the products fast, few stay in cache. With more than 16,384 words the
/// first counts more, and 128 rows are taken.
const LOGITS: usize = 1 << 21;

/// The rows of a chunk. It depends on the shape alone; scratch of this many
/// rows of V, and not of as many as there are threads, makes the bits of
/// [`unembed_ce_grad`] do so too.
pub fn rows_at_once(rows: usize, classes: usize) -> usize {
    (LOGITS / classes.max(1)).clamp(128, 4096).min(rows)
}

/// Mean cross-entropy of the logits `x·wᵀ`, in nats.
///
/// `x` (N,D), `w` (V,D), `labels` (N) below V or IGNORE, `smoothing` as in
/// [`super::unembed_ce`]. `logits` is scratch of one or more rows of V, see
/// [`rows_at_once`]; `losses` (N) receives the loss of each row.
///
/// Panics if the shapes do not fit, a label or `smoothing` is out of range, or
/// no row counts.
#[track_caller]
pub fn unembed_ce(
    x: ArrayView2<f32>,
    w: ArrayView2<f32>,
    labels: &[u32],
    smoothing: f32,
    logits: &mut [f32],
    losses: &mut [f32],
) -> f64 {
    assert_smoothing("unembed_ce", smoothing.into());
    let count = assert_head(x, w, labels, logits, losses);
    let (n, classes) = (x.nrows(), w.nrows());
    let most = logits.len() / classes;
    for first in (0..n).step_by(most) {
        let rows = first..n.min(first + most);
        let x = x.slice(s![rows.clone(), ..]);
        let logits = &mut logits[..rows.len() * classes];
        let (labels, losses) = (&labels[rows.clone()], &mut losses[rows]);
        matmul_into(x, w.t(), view_mut(logits, classes));
        softmax::losses(logits, classes, labels, smoothing, losses);
    }
    softmax::mean(losses, count)
}

/// [`unembed_ce`], and its gradient: writes `dx` (N,D), and adds that of the
/// table to `dw` (V,D) if it is given. `dloss` as in
/// [`super::unembed_ce_grad`].
///
/// Panics as [`unembed_ce`] does.
#[track_caller]
pub fn unembed_ce_grad(
    x: ArrayView2<f32>,
    w: ArrayView2<f32>,
    labels: &[u32],
    smoothing: f32,
    dloss: f32,
    logits: &mut [f32],
    losses: &mut [f32],
    mut dx: ArrayViewMut2<f32>,
    mut dw: Option<ArrayViewMut2<f32>>,
) -> f64 {
    assert_smoothing("unembed_ce_grad", smoothing.into());
    let count = assert_head(x, w, labels, logits, losses);
    let (n, classes) = (x.nrows(), w.nrows());
    let most = logits.len() / classes;
    let scale = dloss / count as f32;
    for first in (0..n).step_by(most) {
        let rows = first..n.min(first + most);
        let x = x.slice(s![rows.clone(), ..]);
        let dx = dx.slice_mut(s![rows.clone(), ..]);
        let d = &mut logits[..rows.len() * classes];
        let (labels, losses) = (&labels[rows.clone()], &mut losses[rows]);
        matmul_into(x, w.t(), view_mut(d, classes));
        softmax::losses_grad(d, classes, labels, smoothing, scale, losses);
        let d = view_mut(d, classes);
        matmul_into(d.view(), w, dx);
        if let Some(dw) = &mut dw {
            matmul_acc(d.t(), x, dw.view_mut());
        }
    }
    softmax::mean(losses, count)
}

/// How many rows have a label.
#[track_caller]
fn assert_head(
    x: ArrayView2<f32>,
    w: ArrayView2<f32>,
    labels: &[u32],
    logits: &[f32],
    losses: &[f32],
) -> usize {
    assert_widths(x.shape(), w.shape());
    assert_rows("unembed_ce", losses.len(), x.shape());
    let classes = w.nrows();
    let count = softmax::counted(x.nrows(), classes, labels);
    // counted: a label is below V, so V > 0
    assert!(
        logits.len() >= classes,
        "unembed_ce: {} numbers hold no row of V = {classes} logits",
        logits.len(),
    );
    count
}

fn view_mut(x: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    let rows = x.len() / columns.max(1);
    ArrayViewMut2::from_shape((rows, columns), x).expect("whole rows")
}

/// [`super::rope`] in place.
///
/// Panics if the shape does not fit `heads` or `qkv` is not row-major.
#[track_caller]
pub fn rope(qkv: ArrayViewMut2<f32>, heads: Heads, base: f64) {
    turn(qkv, heads, base, 1.);
}

/// [`super::rope_vjp`] in place.
///
/// Panics if the shape does not fit `heads` or `dqkv` is not row-major.
#[track_caller]
pub fn rope_vjp(dqkv: ArrayViewMut2<f32>, heads: Heads, base: f64) {
    turn(dqkv, heads, base, -1.);
}

#[track_caller]
fn turn(mut x: ArrayViewMut2<f32>, heads: Heads, base: f64, sign: f32) {
    let (length, width) = assert_heads(x.shape(), heads);
    let columns = x.ncols();
    let table = Table::of(length, width / 2, base);
    let turns = &table.turns[..length * width];
    let turned = (heads.queries + heads.keys) * width;
    let x = x.as_slice_mut().expect("rope: qkv is not row-major");
    rows::for_each(rows::Of(x, columns), turned, |first, x| {
        for (n, row) in x.0.chunks_exact_mut(columns).enumerate() {
            let t = (first + n) % length;
            let turns = &turns[t * width..][..width];
            row_of_heads(&mut row[..turned], turns, sign);
        }
    });
}

vectorised! {
    fn row_of_heads, row_of_heads_at(
        row: &mut [f32],
        turns: &[f32],
        sign: f32,
    ) = row_of_heads_body;
}

#[inline(always)]
fn row_of_heads_body<const FMA: bool>(
    row: &mut [f32],
    turns: &[f32],
    sign: f32,
) {
    let half = turns.len() / 2;
    let (cos, sin) = turns.split_at(half);
    for head in row.chunks_exact_mut(2 * half) {
        let (low, high) = head.split_at_mut(half);
        let low = low.iter_mut().zip(high);
        for ((low, high), (cos, sin)) in low.zip(cos.iter().zip(sin)) {
            let (l, h, sin) = (*low, *high, sign * sin);
            *low = mul_add::<FMA>(l, *cos, -h * sin);
            *high = mul_add::<FMA>(l, sin, h * cos);
        }
    }
}

/// For every place `t` the cosines, then the sines, of `t·base^(-c/half)`.
/// A table for long texts serves short ones too.
pub(super) struct Table {
    half: usize,
    base: f64,
    pub(super) turns: Vec<f32>,
}

impl Table {
    /// One that reaches to `length`, kept from an earlier call or made.
    pub(super) fn of(length: usize, half: usize, base: f64) -> Arc<Table> {
        static KEPT: Mutex<Vec<Arc<Table>>> = Mutex::new(Vec::new());
        // A panic while making one leaves the others as they were.
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |t: &Arc<Table>| t.half == half && t.base == base;
        match kept.iter_mut().find(|t| same(t)) {
            Some(t) if t.turns.len() >= 2 * half * length => Arc::clone(t),
            Some(t) => {
                *t = Arc::new(Table::new(length, half, base));
                Arc::clone(t)
            }
            None => {
                kept.push(Arc::new(Table::new(length, half, base)));
                Arc::clone(&kept[kept.len() - 1])
            }
        }
    }

    fn new(length: usize, half: usize, base: f64) -> Table {
        // A text that grows word by word makes a new table seldom.
        let length = length.next_power_of_two();
        let rate = |c: usize| base.powf(-(c as f64) / half as f64);
        let rates: Vec<f64> = (0..half).map(rate).collect();
        let mut turns = Vec::with_capacity(2 * half * length);
        for t in (0..length).map(|t| t as f64) {
            turns.extend(rates.iter().map(|r| (t * r).cos() as f32));
            turns.extend(rates.iter().map(|r| (t * r).sin() as f32));
        }
        Table { half, base, turns }
    }
}
