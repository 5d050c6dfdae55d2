//! Attention in `f32` that keeps the probabilities, into the caller's arrays.
//!
//! All heads at once: `q` (B,H,T,d), `k` (B,K,S,d), `v` (B,K,S,e), views of any
//! strides, for instance of the columns of one packed array (see [`split`]).
//!
//! From plain to fast: (1) the products go through
//! [`crate::engine::gemm`], where `kᵀ`, `pᵀ` and `dsᵀ` are views and the scale
//! is a factor of the product; (2) a causal mask is not applied but made use
//! of: queries come in blocks of 64, and a block is multiplied with the
//! keys up to its own end alone, which halves the work of a long text;
//! (3) softmax and its VJP work in place on a block that is in cache, a row at a
//! time, with the vectorised exponential; (4) heads are shared out among
//! the cores, in the VJP those that share a key together, so that nobody else
//! adds to its gradient.
//!
//! [`flash_attention`](crate::scale::flash_attention) does not keep `p`.

use crate::device::Heads;
use crate::engine::simd::vectorised;
use crate::engine::{
    gemm::gemm_serial,
    rows::{self, Chunks},
    vmath,
};
use ndarray::{
    ArrayView2, ArrayView3, ArrayView4, ArrayViewMut2, ArrayViewMut3,
    ArrayViewMut4, Axis, s,
};
use std::cell::RefCell;

/// Queries in a block.
const BLOCK: usize = 64;

/// The columns of `x` (B·T, H·d) as heads: (B,H,T,d), without a copy.
///
/// Panics if the batch or the heads do not divide it, or if it has gaps.
#[track_caller]
pub fn by_head<T>(
    x: ArrayView2<'_, T>,
    batch: usize,
    heads: usize,
) -> ArrayView4<'_, T> {
    let shape = cut(x.dim(), batch, heads);
    let x = x.into_shape_with_order(shape);
    let x = x.expect("attention: the columns of a head lie in a row");
    x.permuted_axes([0, 2, 1, 3])
}

/// [`by_head`], to be written to.
#[track_caller]
pub fn by_head_mut<T>(
    x: ArrayViewMut2<'_, T>,
    batch: usize,
    heads: usize,
) -> ArrayViewMut4<'_, T> {
    let shape = cut(x.dim(), batch, heads);
    let x = x.into_shape_with_order(shape);
    let x = x.expect("attention: the columns of a head lie in a row");
    x.permuted_axes([0, 2, 1, 3])
}

/// Queries (B,H,T,d), keys and values (B,K,T,d) in the columns of `qkv`
/// (B·T, (H+2K)·d), without a copy.
///
/// Panics if `heads` do not divide it, or if it has gaps.
#[track_caller]
pub fn split<T>(
    qkv: ArrayView2<'_, T>,
    heads: Heads,
) -> [ArrayView4<'_, T>; 3] {
    let all = heads.queries + 2 * heads.keys;
    let all = by_head(qkv, heads.batch, all);
    let (q, kv) = all.split_at(Axis(1), heads.queries);
    let (k, v) = kv.split_at(Axis(1), heads.keys);
    [q, k, v]
}

/// [`split`], to be written to.
#[track_caller]
pub fn split_mut<T>(
    qkv: ArrayViewMut2<'_, T>,
    heads: Heads,
) -> [ArrayViewMut4<'_, T>; 3] {
    let all = heads.queries + 2 * heads.keys;
    let all = by_head_mut(qkv, heads.batch, all);
    let (q, kv) = all.split_at(Axis(1), heads.queries);
    let (k, v) = kv.split_at(Axis(1), heads.keys);
    [q, k, v]
}

#[track_caller]
fn cut(
    (rows, columns): (usize, usize),
    batch: usize,
    heads: usize,
) -> [usize; 4] {
    assert!(
        batch > 0
            && heads > 0
            && rows.is_multiple_of(batch)
            && columns.is_multiple_of(heads),
        "attention: ({rows}, {columns}) is not {batch} texts of {heads} heads"
    );
    [batch, rows / batch, heads, columns / heads]
}

/// `p = softmax(q·kᵀ/√d)`, `y = p·v` for every head, over `y` (B,H,T,e) and
/// `p` (B,H,T,S).
///
/// `q` (B,H,T,d), `k` (B,K,S,d), `v` (B,K,S,e); head `h` reads key and value
/// `h/(H/K)`. With `causal`, query `i` sees the keys `0..=i`, and S is T.
///
/// Panics if the shapes do not fit, there is no key, or a row of `p` has gaps.
#[track_caller]
pub fn forward(
    q: ArrayView4<f32>,
    k: ArrayView4<f32>,
    v: ArrayView4<f32>,
    causal: bool,
    y: ArrayViewMut4<f32>,
    p: ArrayViewMut4<f32>,
) {
    assert_fit("attention", q, k, v, y.shape(), causal);
    assert_kept(q, k, p.shape());
    let (shared, work) = (q.dim().1 / k.dim().1, work(q, v));
    rows::for_each((q, k, v, y, p), usize::MAX, |_, (q, k, v, y, p)| {
        let (k, v) = (first(k), first(v));
        let heads = (first(q), first_mut(y), first_mut(p));
        rows::for_each(heads, work, |from, (q, mut y, mut p)| {
            for h in 0..q.len_of(Axis(0)) {
                let g = (from + h) / shared;
                head(
                    at(&q, h),
                    at(&k, g),
                    at(&v, g),
                    causal,
                    y.index_axis_mut(Axis(0), h),
                    p.index_axis_mut(Axis(0), h),
                );
            }
        });
    });
}

/// One head, block after block.
fn head(
    q: ArrayView2<f32>,
    k: ArrayView2<f32>,
    v: ArrayView2<f32>,
    causal: bool,
    mut y: ArrayViewMut2<f32>,
    mut p: ArrayViewMut2<f32>,
) {
    let (t, s) = p.dim();
    let scale = 1. / (q.ncols() as f32).sqrt();
    for first in (0..t).step_by(BLOCK) {
        let last = (first + BLOCK).min(t);
        let seen = if causal { last } else { s };
        let (q, k) = (q.slice(s![first..last, ..]), k.slice(s![..seen, ..]));
        let mut p = p.slice_mut(s![first..last, ..]);
        gemm_serial(scale, q, k.t(), 0., p.slice_mut(s![.., ..seen]));
        for (i, mut p) in p.rows_mut().into_iter().enumerate() {
            let p = p.as_slice_mut().expect("attention: rows of p");
            let seen = if causal { first + i + 1 } else { s };
            softmax(&mut p[..seen]);
            p[seen..].fill(0.);
        }
        let (p, v) = (p.slice(s![.., ..seen]), v.slice(s![..seen, ..]));
        gemm_serial(1., p, v, 0., y.slice_mut(s![first..last, ..]));
    }
}

/// The cotangents of `q`, `k` and `v`, over `dq` (B,H,T,d), `dk` (B,K,S,d)
/// and `dv` (B,K,S,e).
///
/// `q`, `k`, `v`, `causal` as they went into [`forward`], `p` (B,H,T,S) as it
/// came out, `dy` (B,H,T,e). That `p` is 0 behind the mask is all the VJP needs;
/// `causal` only saves multiplying with these zeros.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp(
    [q, k, v]: [ArrayView4<f32>; 3],
    p: ArrayView4<f32>,
    dy: ArrayView4<f32>,
    causal: bool,
    [dq, dk, dv]: [ArrayViewMut4<f32>; 3],
) {
    assert_fit("attention vjp", q, k, v, dy.shape(), causal);
    assert_kept(q, k, p.shape());
    assert!(
        dq.shape() == q.shape()
            && dk.shape() == k.shape()
            && dv.shape() == v.shape(),
        "attention vjp: dq {:?}, dk {:?}, dv {:?} for q {:?}, k {:?}, v {:?}",
        dq.shape(),
        dk.shape(),
        dv.shape(),
        q.shape(),
        k.shape(),
        v.shape(),
    );
    let (shared, work) = (q.dim().1 / k.dim().1, work(q, v));
    let work = work.saturating_mul(2 * shared);
    let texts = ((q, k, v), (p, dy), (dq, dk, dv));
    rows::for_each(texts, usize::MAX, |_, ((q, k, v), (p, dy), d)| {
        let of = |x| Chunks(x, shared);
        let (dq, dk, dv) = (first_mut(d.0), first_mut(d.1), first_mut(d.2));
        let groups = (
            (of(first(q)), first(k), first(v)),
            (of(first(p)), of(first(dy))),
            (Chunks(dq, shared), dk, dv),
        );
        rows::for_each(groups, work, |_, ((q, k, v), (p, dy), d)| {
            let (Chunks(mut dq, _), mut dk, mut dv) = d;
            dk.fill(0.);
            dv.fill(0.);
            for h in 0..q.0.len_of(Axis(0)) {
                let g = h / shared;
                head_vjp(
                    [at(&q.0, h), at(&k, g), at(&v, g)],
                    at(&p.0, h),
                    at(&dy.0, h),
                    causal,
                    dq.index_axis_mut(Axis(0), h),
                    dk.index_axis_mut(Axis(0), g),
                    dv.index_axis_mut(Axis(0), g),
                );
            }
        });
    });
}

/// One head: writes `dq`, adds to `dk` and `dv`.
fn head_vjp(
    [q, k, v]: [ArrayView2<f32>; 3],
    p: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    causal: bool,
    mut dq: ArrayViewMut2<f32>,
    mut dk: ArrayViewMut2<f32>,
    mut dv: ArrayViewMut2<f32>,
) {
    let (t, s) = p.dim();
    let scale = 1. / (q.ncols() as f32).sqrt();
    for first in (0..t).step_by(BLOCK) {
        let last = (first + BLOCK).min(t);
        let seen = if causal { last } else { s };
        let rows = s![first..last, ..];
        let (p, dy) = (p.slice(s![first..last, ..seen]), dy.slice(rows));
        let (q, mut dq) = (q.slice(rows), dq.slice_mut(rows));
        let (k, v) = (k.slice(s![..seen, ..]), v.slice(s![..seen, ..]));
        let mut dk = dk.slice_mut(s![..seen, ..]);
        let mut dv = dv.slice_mut(s![..seen, ..]);
        with_scratch(p.len(), |ds| {
            let ds = ArrayViewMut2::from_shape(p.dim(), ds);
            let mut ds = ds.expect("as many as p has");
            gemm_serial(1., p.t(), dy, 1., dv.view_mut());
            gemm_serial(1., dy, v.t(), 0., ds.view_mut());
            for (mut ds, p) in ds.rows_mut().into_iter().zip(p.rows()) {
                let p = p.to_slice().expect("attention: rows of p");
                softmax_vjp(p, ds.as_slice_mut().expect("rows"), scale);
            }
            gemm_serial(1., ds.view(), k, 0., dq.view_mut());
            gemm_serial(1., ds.t(), q, 1., dk.view_mut());
        });
    }
}

/// Calls `f` with a buffer of `len` numbers that this thread keeps.
fn with_scratch(len: usize, f: impl FnOnce(&mut [f32])) {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|buffer| {
        if buffer.len() < len {
            buffer.resize(len, 0.);
        }
        f(&mut buffer[..len]);
    });
}

vectorised! {
    /// `x ← softmax(x)`, one row.
    fn softmax, softmax_at(x: &mut [f32]) = softmax_body;

    /// `dp ← p ⊙ (dp - ⟨p, dp⟩)·scale`, one row.
    fn softmax_vjp, softmax_vjp_at(
        p: &[f32],
        dp: &mut [f32],
        scale: f32,
    ) = softmax_vjp_body;
}

#[inline(always)]
fn softmax_body<const FMA: bool>(x: &mut [f32]) {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (blocks, rest) = x.as_chunks::<16>();
    for block in blocks {
        for (m, x) in lanes.iter_mut().zip(block) {
            *m = if *x > *m { *x } else { *m };
        }
    }
    let m = lanes.iter().chain(rest);
    let m = m.fold(f32::NEG_INFINITY, |m, x| m.max(*x));
    let mut sums = [0.; 16];
    let (blocks, rest) = x.as_chunks_mut::<16>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *x = vmath::lane::exp::<FMA>(*x - m);
            *sum += *x;
        }
    }
    let mut last = [f32::NEG_INFINITY; 16];
    last[..rest.len()].copy_from_slice(rest);
    for (sum, x) in sums.iter_mut().zip(&mut last) {
        *x = vmath::lane::exp::<FMA>(*x - m);
        *sum += *x;
    }
    rest.copy_from_slice(&last[..rest.len()]);
    let scale = 1. / sums.iter().sum::<f32>();
    x.iter_mut().for_each(|x| *x *= scale);
}

#[inline(always)]
fn softmax_vjp_body<const FMA: bool>(p: &[f32], dp: &mut [f32], scale: f32) {
    let dp = &mut dp[..p.len()];
    let mut sums = [0.; 16];
    let ((a, a_rest), (b, b_rest)) =
        (p.as_chunks::<16>(), dp.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[i] += a * b;
    }
    let mean = sums.iter().sum::<f32>();
    for (dp, p) in dp.iter_mut().zip(p) {
        *dp = p * (*dp - mean) * scale;
    }
}

/// One head.
fn at<'x>(x: &'x ArrayView3<f32>, h: usize) -> ArrayView2<'x, f32> {
    x.index_axis(Axis(0), h)
}

/// The heads of the only text.
fn first<T>(x: ArrayView4<'_, T>) -> ArrayView3<'_, T> {
    x.index_axis_move(Axis(0), 0)
}

fn first_mut<T>(x: ArrayViewMut4<'_, T>) -> ArrayViewMut3<'_, T> {
    x.index_axis_move(Axis(0), 0)
}

/// What one head costs, in plain passes over single numbers.
fn work(q: ArrayView4<f32>, v: ArrayView4<f32>) -> usize {
    let ((_, _, t, d), (_, _, s, e)) = (q.dim(), v.dim());
    t * s * (8 + (d + e) / 4)
}

#[track_caller]
pub(crate) fn assert_fit(
    op: &str,
    q: ArrayView4<f32>,
    k: ArrayView4<f32>,
    v: ArrayView4<f32>,
    y: &[usize],
    causal: bool,
) {
    let [b, h, t, d] = q.dim().into();
    let [_, n, s, _] = k.dim().into();
    let e = v.dim().3;
    let (q, k, v) = (q.shape(), k.shape(), v.shape());
    assert!(
        n > 0 && h.is_multiple_of(n) && k == [b, n, s, d] && v == [b, n, s, e],
        "{op}: q {q:?}, k {k:?} and v {v:?} do not fit"
    );
    assert!(
        y == [b, h, t, e],
        "{op}: y {y:?} does not fit q {q:?} and v {v:?}"
    );
    assert!(
        !causal || t == s,
        "{op}: causal, but q {q:?} and k {k:?} differ in length"
    );
    assert!(
        s > 0 || t == 0,
        "{op}: q {q:?} has no key to look at: k {k:?}"
    );
}

#[track_caller]
fn assert_kept(q: ArrayView4<f32>, k: ArrayView4<f32>, p: &[usize]) {
    let ((b, h, t, _), s) = (q.dim(), k.dim().2);
    assert!(
        p == [b, h, t, s],
        "attention: p {p:?} does not fit q {:?} and k {:?}",
        q.shape(),
        k.shape(),
    );
}
