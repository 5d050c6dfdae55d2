//! Flash attention: the same numbers, without the matrix of probabilities.
//!                                                book: scale/flash_attention
//!
//!   s = q·kᵀ/√d,   p = softmax(s),   y = p·v
//!
//!   q (T,d), k (S,d), v (S,e)  ->  y (T,e), lse (T),  lse_i = ln Σ_j exp(s_ij)
//!
//! [`attention`] keeps `p` (T,S) for its VJP. Here keys come block by block,
//! and only a block of `p` exists at a time. What a row has seen so far is
//! three things: its maximum `m`, the sum `l = Σ exp(s - m)` and the mixture
//! `o = Σ exp(s - m)·v`. A block with a larger maximum shrinks the last two by
//! `exp(m_old - m_new)`. In the end `y = o/l` and `lse = m + ln l`.
//!
//! The VJP computes each block again, and with `lse` at once as it came out,
//! `p = exp(s - lse)`. What couples a row to blocks it does not see is one
//! number, `⟨p, dp⟩ = Σ_j p_ij ⟨dy_i, v_j⟩ = ⟨dy_i, y_i⟩`, known before the
//! first block:
//!
//!   D = rowsum(dy ⊙ y),   ds = p ⊙ (dp - D),
//!   dv += pᵀ·dy,   dq += ds·k/√d,   dk += dsᵀ·q/√d
//!
//! Kept are `y`, which the next op has anyway, and T numbers. The price is one
//! matrix product more than the VJP of [`attention`]: five against four.
//!
//! As one number `lse` rounds `ln l` to the last place of `m`. A loss may not
//! do that to the logits that it is given. Here the scores are products,
//! rounded in that place themselves, and `p` is known no better than they are.

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use crate::device::Heads;
use crate::transformer::attention;
use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, Axis, Zip, concatenate, s, stack,
};
use std::ops::Range;

/// One head, `block` queries and `block` keys at a time. Returns `(y, lse)`.
///
/// `q` (T,d), `k` (S,d), `v` (S,e) give the same `y` (T,e) as
/// [`attention::forward`], and `lse` (T), the logarithm of each row's sum of
/// exponentials, in nats. With `causal`, query `i` sees the keys `0..=i` alone,
/// S must be T, and blocks that no query of theirs sees are skipped.
///
/// Kept for the VJP: the inputs, `y` and `lse`.
///
/// Panics if the shapes do not fit, there is no key, or `block` is 0.
///
/// Source: Dao 2023, algorithm 1; the running softmax: Milakov and
/// Gimelshein 2018, section 3.
///
/// ```
/// use backprop::scale::flash_attention;
/// use ndarray::array;
/// // The scores are 0, ln 2 and ln 5; the keys come one by one.
/// let k = array![[0.], [2f64.ln()], [5f64.ln()]];
/// let (q, v) = (array![[1.]], array![[8.], [4.], [0.]]);
/// let (q, k, v) = (q.view(), k.view(), v.view());
/// let (y, lse) = flash_attention::forward(q, k, v, false, 1);
/// // p = (1, 2, 5)/8
/// assert!((y[[0, 0]] - 2.).abs() < 1e-15);
/// assert!((lse[0] - 8f64.ln()).abs() < 1e-15);
/// ```
#[track_caller]
// ANCHOR: forward
pub fn forward(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    causal: bool,
    block: usize,
) -> (Array2<f64>, Array1<f64>) {
    attention::assert_fit(q, k, v, causal);
    let mut y = Array2::zeros((q.nrows(), v.ncols()));
    let mut lse = Array1::zeros(q.nrows());
    for rows in blocks(q.nrows(), block) {
        let mut m = Array1::from_elem(rows.len(), f64::NEG_INFINITY);
        let mut l = Array1::<f64>::zeros(rows.len());
        let mut o = Array2::<f64>::zeros((rows.len(), v.ncols()));
        for columns in blocks(k.nrows(), block) {
            if causal && columns.start >= rows.end {
                break;
            }
            let s = scores(q, k, &rows, &columns, causal);
            let m_new =
                s.fold_axis(Axis(1), f64::NEG_INFINITY, |m, s| m.max(*s));
            let m_new = Zip::from(&m).and(&m_new).map_collect(|m, n| m.max(*n));
            let shrink = (&m - &m_new).exp();
            let p = (&s - &m_new.view().insert_axis(Axis(1))).exp();
            l = l * &shrink + p.sum_axis(Axis(1));
            o = o * shrink.insert_axis(Axis(1))
                + p.dot(&v.slice(s![columns, ..]));
            m = m_new;
        }
        lse.slice_mut(s![rows.clone()]).assign(&(m + l.ln()));
        y.slice_mut(s![rows, ..])
            .assign(&(o / l.insert_axis(Axis(1))));
    }
    (y, lse)
}
// ANCHOR_END: forward

/// `(dq, dk, dv)` from the cotangent `dy` (T,e) of the output.
///
/// `q` (T,d), `k` (S,d), `v` (S,e) as they went into [`forward`], with the same
/// `causal`; `y` (T,e) and `lse` (T) as they came out. `block` may be another.
/// The mask is needed here, where [`attention::vjp`] reads it off `p`.
///
/// Panics if the shapes do not fit or `block` is 0.
///
/// Source: Dao et al. 2022, appendix B.2 and algorithm 4; Dao 2023,
/// algorithm 2.
#[track_caller]
// ANCHOR: vjp
pub fn vjp(
    [q, k, v]: [ArrayView2<f64>; 3],
    y: ArrayView2<f64>,
    lse: ArrayView1<f64>,
    dy: ArrayView2<f64>,
    causal: bool,
    block: usize,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    assert_kept([q, k, v], y, lse, dy, causal);
    let d = (&dy * &y).sum_axis(Axis(1)); //                   (T)
    let scale = 1. / (q.ncols() as f64).sqrt();
    let mut dq = Array2::zeros(q.dim());
    let mut dk = Array2::zeros(k.dim());
    let mut dv = Array2::zeros(v.dim());
    for columns in blocks(k.nrows(), block) {
        let at = s![columns.clone(), ..];
        for rows in blocks(q.nrows(), block) {
            if causal && columns.start >= rows.end {
                continue;
            }
            let of = s![rows.clone(), ..];
            let s = scores(q, k, &rows, &columns, causal);
            let column = |x: ArrayView1<f64>| {
                x.slice(s![rows.clone()]).to_owned().insert_axis(Axis(1))
            };
            let p = (s - column(lse)).exp(); //                (r,c)
            let dp = dy.slice(of).dot(&v.slice(at).t()); //    (r,c)
            let ds = &p * &(dp - column(d.view())) * scale; // (r,c)
            let mut sum = dv.slice_mut(at);
            sum += &p.t().dot(&dy.slice(of));
            let mut sum = dq.slice_mut(of);
            sum += &ds.dot(&k.slice(at));
            let mut sum = dk.slice_mut(at);
            sum += &ds.t().dot(&q.slice(of));
        }
    }
    (dq, dk, dv)
}
// ANCHOR_END: vjp

/// The scores of some queries and some keys, `-∞` where the mask is.
// ANCHOR: scores
fn scores(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    rows: &Range<usize>,
    columns: &Range<usize>,
    causal: bool,
) -> Array2<f64> {
    let d = q.ncols() as f64;
    let (q, k) = (
        q.slice(s![rows.clone(), ..]),
        k.slice(s![columns.clone(), ..]),
    );
    let mut s = q.dot(&k.t()) / d.sqrt();
    for ((i, j), s) in s.indexed_iter_mut() {
        if causal && columns.start + j > rows.start + i {
            *s = f64::NEG_INFINITY;
        }
    }
    s
}
// ANCHOR_END: scores

/// `0..n` in blocks; the last one may be shorter.
fn blocks(n: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(block).map(move |i| i..(i + block).min(n))
}

/// [`forward`] of every head of every text. Returns `(y, lse)`.
///
/// `qkv` (B·T, (H+2K)·d) as in [`Heads`] gives the same `y` (B·T, H·d) as
/// [`attention::multi_head`], and `lse` (B·H,T).
///
/// Kept for the VJP: `qkv`, `y` and `lse`.
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn multi_head(
    qkv: ArrayView2<f64>,
    heads: Heads,
    causal: bool,
) -> (Array2<f64>, Array2<f64>) {
    let (q, kv) = attention::split(qkv, heads);
    each_head(q, kv, heads, causal)
}

/// `dqkv` (B·T, (H+2K)·d) from the cotangent `dy` (B·T, H·d).
///
/// `qkv` as it went into [`multi_head`], with the same `causal`; `y`
/// (B·T, H·d) and `lse` (B·H,T) as they came out.
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn multi_head_vjp(
    qkv: ArrayView2<f64>,
    y: ArrayView2<f64>,
    lse: ArrayView2<f64>,
    dy: ArrayView2<f64>,
    heads: Heads,
    causal: bool,
) -> Array2<f64> {
    let (q, kv) = attention::split(qkv, heads);
    let (dq, dkv) = each_head_vjp(q, kv, y, lse, dy, heads, causal);
    concatenate![Axis(1), dq, dkv]
}

/// [`multi_head`] where keys and values come from another text than the
/// queries, without a mask. Returns `(y, lse)`.
///
/// `q` (B·T, H·d) and `kv` (B·S, 2K·d) give `y` (B·T, H·d) and `lse` (B·H,T).
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn cross(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: Heads,
) -> (Array2<f64>, Array2<f64>) {
    each_head(q, kv, heads, false)
}

/// `(dq, dkv)` of [`cross`], from `y`, `lse` and the cotangent `dy` (B·T, H·d).
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn cross_vjp(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    y: ArrayView2<f64>,
    lse: ArrayView2<f64>,
    dy: ArrayView2<f64>,
    heads: Heads,
) -> (Array2<f64>, Array2<f64>) {
    each_head_vjp(q, kv, y, lse, dy, heads, false)
}

/// Queries and keys in a block, where nobody says how many.
const BLOCK: usize = 32;

#[track_caller]
fn each_head(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: Heads,
    causal: bool,
) -> (Array2<f64>, Array2<f64>) {
    let (y, lse) = attention::each_head(q, kv, heads, |q, k, v| {
        forward(q, k, v, causal, BLOCK)
    });
    let lse: Vec<_> = lse.iter().map(|lse| lse.view()).collect();
    (y, stack(Axis(0), &lse).expect("at least one head"))
}

#[track_caller]
fn each_head_vjp(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    y: ArrayView2<f64>,
    lse: ArrayView2<f64>,
    dy: ArrayView2<f64>,
    heads: Heads,
    causal: bool,
) -> (Array2<f64>, Array2<f64>) {
    let (t, _, d) = attention::sizes(q, kv, heads);
    assert_kept_of_heads(heads, [t, d], y.shape(), lse.shape(), dy.shape());
    attention::each_head_vjp(q, kv, dy, heads, |n, qkv, dy| {
        let (b, h) = (n / heads.queries, n % heads.queries);
        let y = attention::tile(y, [b, h], [t, d]);
        vjp(qkv, y, lse.row(n), dy, causal, BLOCK)
    })
}

/// `y` and `dy` (B·T, H·d), `lse` (B·H,T).
#[track_caller]
fn assert_kept_of_heads(
    heads: Heads,
    [t, d]: [usize; 2],
    y: &[usize],
    lse: &[usize],
    dy: &[usize],
) {
    let Heads { batch, queries, .. } = heads;
    let (of_y, of_lse) = ([batch * t, queries * d], [batch * queries, t]);
    assert!(
        lse == of_lse && y == of_y && dy == of_y,
        "flash_attention vjp: lse {lse:?} is not {of_lse:?}, or y {y:?} or \
         dy {dy:?} is not {of_y:?}",
    );
}

#[track_caller]
fn assert_kept(
    [q, k, v]: [ArrayView2<f64>; 3],
    y: ArrayView2<f64>,
    lse: ArrayView1<f64>,
    dy: ArrayView2<f64>,
    causal: bool,
) {
    attention::assert_fit(q, k, v, causal);
    let want = (q.nrows(), v.ncols());
    let (y, lse, dy) = (y.dim(), lse.len(), dy.dim());
    assert!(
        y == want && dy == want && lse == want.0,
        "flash_attention vjp: y {y:?}, lse ({lse}) or dy {dy:?} is not {want:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::gradcheck::Sampler;
    use ndarray::array;

    fn some(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let x = Sampler::new(seed).normal(&[rows, columns]);
        x.into_dimensionality().expect("a matrix")
    }

    #[track_caller]
    fn near(a: &Array2<f64>, b: &Array2<f64>, tol: f64) {
        assert_eq!(a.dim(), b.dim());
        let worst = (a - b).fold(0., |m: f64, d| m.max(d.abs()));
        assert!(worst <= tol, "{a} is {worst:e} from {b}");
    }

    /// The chapter's example, key by key: scores 0 and 1/√2 in the second row.
    #[test]
    fn a_running_softmax_by_hand() {
        let q = array![[1.]];
        let k = array![[0.], [2f64.ln()], [-1.]];
        let v = array![[1.], [2.], [3.]];
        let (y, lse) = forward(q.view(), k.view(), v.view(), false, 1);
        // m: 0, ln 2, ln 2;  l: 1, 1/2 + 1, 3/2 + 1/2e;  o: 1, 5/2, 5/2 + 3/2e
        let e = (-1f64).exp();
        let (l, o) = (1.5 + e / 2., 2.5 + 1.5 * e);
        near(&y, &array![[o / l]], 1e-15);
        assert!((lse[0] - (2f64.ln() + l.ln())).abs() < 1e-15);
    }

    /// Whatever the blocks: the same numbers as with all of `p`.
    #[test]
    fn blocks_change_nothing() {
        for (t, s, causal) in [(7, 7, true), (7, 7, false), (4, 9, false)] {
            let (q, k, v) = (some(t, 3, 1), some(s, 3, 2), some(s, 2, 3));
            let (q, k, v) = (q.view(), k.view(), v.view());
            let dy = some(t, 2, 4);
            let (y, p) = attention::forward(q, k, v, causal);
            let want = attention::vjp(q, k, v, p.view(), dy.view());
            for block in [1, 2, 3, 7, 100] {
                let (y_here, lse) = forward(q, k, v, causal, block);
                near(&y_here, &y, 1e-14);
                let (y, dy) = (y.view(), dy.view());
                let got = vjp([q, k, v], y, lse.view(), dy, causal, block);
                near(&got.0, &want.0, 1e-14);
                near(&got.1, &want.1, 1e-14);
                near(&got.2, &want.2, 1e-14);
            }
        }
    }

    #[test]
    fn scores_of_ten_thousand() {
        // The largest comes last, first, in the middle.
        for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1]] {
            let scores = order.map(|i| [-1e4, 0., 1e4][i]);
            let k = Array2::from_shape_fn((3, 1), |(j, _)| scores[j]);
            let v = k.mapv(|s| s / 1e4);
            let q = array![[1.]];
            let (y, lse) = forward(q.view(), k.view(), v.view(), false, 1);
            assert_eq!((y[[0, 0]], lse[0]), (1., 1e4));
            let qkv = [q.view(), k.view(), v.view()];
            let dy = array![[1.]];
            let (dq, dk, dv) =
                vjp(qkv, y.view(), lse.view(), dy.view(), false, 2);
            assert_eq!((dq[[0, 0]], dk), (0., Array2::zeros((3, 1))));
            assert_eq!(dv, v.mapv(|v| if v == 1. { 1. } else { 0. }));
        }
    }

    #[test]
    fn one_key_is_certain() {
        let (q, k) = (array![[1e4, -1e4]], array![[1e4, 5e-324]]);
        let v = array![[7., 8., 9.]];
        let (y, lse) = forward(q.view(), k.view(), v.view(), true, 4);
        assert_eq!(y, v);
        let dy = array![[1., 2., 3.]];
        let qkv = [q.view(), k.view(), v.view()];
        let (dq, dk, dv) = vjp(qkv, y.view(), lse.view(), dy.view(), true, 4);
        assert_eq!((dq, dk, dv), (q * 0., k * 0., dy));
    }

    #[test]
    #[should_panic(expected = "y (2, 1), lse (3) or dy (2, 1) is not (2, 1)")]
    fn a_wrong_lse() {
        let x = Array2::zeros((2, 1));
        let x = x.view();
        vjp([x, x, x], x, Array1::zeros(3).view(), x, false, 1);
    }
}
