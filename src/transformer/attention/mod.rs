//! Attention: every query reads a mixture of values.
//!                                            book: transformer/attention
//!
//!   s = q·kᵀ/√d,   p = softmax(s), row by row,   y = p·v
//!
//!   q (T,d) queries, k (S,d) keys, v (S,e) values  ->  y (T,e), p (T,S)
//!
//!   dv = pᵀ·dy,   dp = dy·vᵀ,   ds = p ⊙ (dp - ⟨p, dp⟩),
//!   dq = ds·k/√d,   dk = dsᵀ·q/√d
//!
//! Why the scale: the dot product of two vectors of d independent entries of
//! mean 0 and variance 1 has variance d. Divided by √d it has variance 1 whatever d is,
//! and softmax does not start out saturated, with a gradient of nothing.
//!
//! A causal mask sets `s_ij` to -∞ where `j` comes after `i`, so `p_ij = 0`. The
//! VJP has no mask: `p ⊙ …` is 0 there by itself, and `pᵀ·dy` passes nothing on.
//! Whether a function really reads nothing ahead, [`reads_ahead`] finds out.
//!
//! Four facts hold for every gradient of this page, to rounding and without a
//! finite difference: each row of `ds` sums to 0, `Σ_j dv_j = Σ_i dy_i`,
//! `⟨q,dq⟩ = ⟨k,dk⟩` and `⟨v,dv⟩ = ⟨y,dy⟩`.
//!
//! Several heads are as many small attentions, side by side in the columns of
//! one array; see [`Heads`]. Where heads share a key its gradient is the sum
//! over them, as for every variable that is used more than once.

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use crate::device::Heads;
use crate::network::softmax_cross_entropy as softmax;
use ndarray::{
    Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis, concatenate,
    s, stack,
};

/// One head: `p = softmax(q·kᵀ/√d)`, `y = p·v`. Returns `(y, p)`.
///
/// Queries `q` (T,d), keys `k` (S,d), values `v` (S,e) give `y` (T,e) and the
/// probabilities `p` (T,S); every row of `p` sums to 1. Queries may come from
/// another text than keys and values (cross-attention): then S and T differ.
///
/// With `causal` the queries are the last T of S tokens, so the last query sees
/// all keys, and query `i` the keys `0..=i+S-T`: S is T at least. (What a text
/// generator computes for its newest tokens, beside keys that it has kept.)
///
/// Kept for the VJP: the inputs and `p`. The scores `s` are not: the VJP of
/// softmax needs its output only.
///
/// Panics if the shapes do not fit, or if a query has no key to look at: S = 0,
/// or S < T under the mask.
///
/// Source: Vaswani et al. 2017, section 3.2.1; the mask: section 3.2.3.
///
/// ```
/// use backprop::transformer::attention;
/// use ndarray::array;
/// // q·kᵀ = (2·ln 3, 0), divided by √4: the scores are (ln 3, 0).
/// let q = array![[2., 0., 0., 0.]];
/// let k = array![[3f64.ln(), 0., 0., 0.], [0., 1., 0., 0.]];
/// let v = array![[8.], [4.]];
/// let (y, p) = attention::forward(q.view(), k.view(), v.view(), false);
/// assert!((&p - array![[0.75, 0.25]]).iter().all(|d| d.abs() < 1e-15));
/// assert!((y[[0, 0]] - 7.).abs() < 1e-14);
/// ```
#[track_caller]
// ANCHOR: forward
pub fn forward(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    causal: bool,
) -> (Array2<f64>, Array2<f64>) {
    assert_reach(q, k, v, causal);
    let d = q.ncols() as f64;
    let mut s = q.dot(&k.t()) / d.sqrt(); //     (T,S)
    if causal {
        let past = k.nrows() - q.nrows(); // keys before the first query's
        for ((i, j), s) in s.indexed_iter_mut() {
            if j > i + past {
                *s = f64::NEG_INFINITY;
            }
        }
    }
    let p = softmax::forward(s.view()); //       (T,S)
    (p.dot(&v), p)
}
// ANCHOR_END: forward

/// `(dq, dk, dv)` of one head.
type Gradients = (Array2<f64>, Array2<f64>, Array2<f64>);

/// `(dq, dk, dv)` from the cotangent `dy` (T,e) of the output.
///
/// `q` (T,d), `k` (S,d), `v` (S,e) as they went into [`forward`], `p` (T,S) as
/// it came out. The same for every mask: see the head of this module.
///
/// Panics if the shapes do not fit.
///
/// Source: Dao et al. 2022, appendix B.2, equations for `dV`, `dP`, `dS`,
/// `dQ` and `dK`.
#[track_caller]
// ANCHOR: vjp
pub fn vjp(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    p: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> Gradients {
    assert_fit_vjp(q, k, v, p, dy);
    let d = q.ncols() as f64;
    let dv = p.t().dot(&dy); //                            (S,e)
    let dp = dy.dot(&v.t()); //                            (T,S)
    let ds = softmax::vjp(p, dp.view()); //                (T,S)
    let dqk = ds / d.sqrt(); // the cotangent of q·kᵀ       (T,S)
    (dqk.dot(&k), dqk.t().dot(&q), dv)
}
// ANCHOR_END: vjp

/// The first token `j` and the earlier row `i < j` of `f(x)` that moves when
/// row `j` of `x` does, as `(i, j)`; `None` if `f` reads nothing ahead.
///
/// `x` (T,D), and `f` gives a row for each of its rows. Rows are compared bit by
/// bit: what a causal function computes for a token has no way to feel a later
/// one.
///
/// ```
/// use backprop::transformer::attention::{forward, reads_ahead};
/// use ndarray::array;
/// let x = array![[1., 0.], [0., 1.], [1., 1.]];
/// let of = |causal| {
///     reads_ahead(|x| forward(x, x, x, causal).0, x.view())
/// };
/// assert_eq!((of(true), of(false)), (None, Some((0, 1))));
/// ```
// ANCHOR: reads_ahead
pub fn reads_ahead(
    f: impl Fn(ArrayView2<f64>) -> Array2<f64>,
    x: ArrayView2<f64>,
) -> Option<(usize, usize)> {
    let y = f(x);
    (1..x.nrows()).find_map(|j| {
        let mut moved = x.to_owned();
        moved.row_mut(j).mapv_inplace(|v| 1. - 2. * v);
        let y_moved = f(moved.view());
        let same = |i: &usize| y.row(*i) == y_moved.row(*i);
        (0..j).find(|i| !same(i)).map(|i| (i, j))
    })
}
// ANCHOR_END: reads_ahead

/// Attention of every head of every text: [`forward`] on the columns of each.
/// Returns `(y, p)`.
///
/// `qkv` (B·T, (H+2K)·d) as in [`Heads`] gives `y` (B·T, H·d) and `p`
/// (B·H,T,T). With `causal`, a token sees itself and those before it.
///
/// Kept for the VJP: `qkv` and `p`.
///
/// Panics if the shapes do not fit `heads`.
///
/// Source: Vaswani et al. 2017, section 3.2.2; fewer keys than queries:
/// Ainslie et al. 2023, section 2.2.
#[track_caller]
pub fn multi_head(
    qkv: ArrayView2<f64>,
    heads: Heads,
    causal: bool,
) -> (Array2<f64>, Array3<f64>) {
    let (q, kv) = split(qkv, heads);
    let (y, p) = each_head(q, kv, heads, |q, k, v| forward(q, k, v, causal));
    (y, stacked(&p))
}

/// `dqkv` (B·T, (H+2K)·d) from the cotangent `dy` (B·T, H·d).
///
/// `qkv` as it went into [`multi_head`], `p` (B·H,T,T) as it came out.
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn multi_head_vjp(
    qkv: ArrayView2<f64>,
    p: ArrayView3<f64>,
    dy: ArrayView2<f64>,
    heads: Heads,
) -> Array2<f64> {
    let (q, kv) = split(qkv, heads);
    let (dq, dkv) = cross_vjp(q, kv, p, dy, heads);
    concatenate![Axis(1), dq, dkv]
}

/// [`multi_head`] where keys and values come from another text than the
/// queries: cross-attention, without a mask. Returns `(y, p)`.
///
/// `q` (B·T, H·d) and `kv` (B·S, 2K·d), first the K keys of each row, then the
/// K values, give `y` (B·T, H·d) and `p` (B·H,T,S).
///
/// Panics if the shapes do not fit `heads`.
///
/// Source: Vaswani et al. 2017, section 3.2.3, "encoder-decoder attention".
#[track_caller]
pub fn cross(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: Heads,
) -> (Array2<f64>, Array3<f64>) {
    let (y, p) = each_head(q, kv, heads, |q, k, v| forward(q, k, v, false));
    (y, stacked(&p))
}

/// `(dq, dkv)` of [`cross`], from `p` (B·H,T,S) and the cotangent `dy`
/// (B·T, H·d).
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn cross_vjp(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    p: ArrayView3<f64>,
    dy: ArrayView2<f64>,
    heads: Heads,
) -> (Array2<f64>, Array2<f64>) {
    let (t, s, d) = sizes(q, kv, heads);
    assert_kept(heads, [t, s, d], p.shape(), dy.shape());
    each_head_vjp(q, kv, dy, heads, |n, [q, k, v], dy| {
        vjp(q, k, v, p.index_axis(Axis(0), n), dy)
    })
}

/// `f(q, k, v)` of every head: what it gives is put into the columns of `y`,
/// what it keeps into a list of B·H.
#[track_caller]
pub(crate) fn each_head<Kept>(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: Heads,
    f: impl Fn(
        ArrayView2<f64>,
        ArrayView2<f64>,
        ArrayView2<f64>,
    ) -> (Array2<f64>, Kept),
) -> (Array2<f64>, Vec<Kept>) {
    let (t, s, d) = sizes(q, kv, heads);
    let mut y = Array2::zeros(q.dim());
    let mut kept = Vec::new();
    for b in 0..heads.batch {
        for h in 0..heads.queries {
            let g = h * heads.keys / heads.queries; // whose key it reads
            let q = tile(q, [b, h], [t, d]);
            let k = tile(kv, [b, g], [s, d]);
            let v = tile(kv, [b, heads.keys + g], [s, d]);
            let (y_head, kept_head) = f(q, k, v);
            tile_mut(&mut y, [b, h], [t, d]).assign(&y_head);
            kept.push(kept_head);
        }
    }
    (y, kept)
}

/// `f(n, (q, k, v), dy)` of every head, with its number `n` in the list of
/// B·H, gives its `(dq, dk, dv)`.
#[track_caller]
pub(crate) fn each_head_vjp(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    dy: ArrayView2<f64>,
    heads: Heads,
    f: impl Fn(usize, [ArrayView2<f64>; 3], ArrayView2<f64>) -> Gradients,
) -> (Array2<f64>, Array2<f64>) {
    let (t, s, d) = sizes(q, kv, heads);
    let mut dq = Array2::zeros(q.dim());
    let mut dkv = Array2::zeros(kv.dim());
    for b in 0..heads.batch {
        for h in 0..heads.queries {
            let g = h * heads.keys / heads.queries;
            let q = tile(q, [b, h], [t, d]);
            let k = tile(kv, [b, g], [s, d]);
            let v = tile(kv, [b, heads.keys + g], [s, d]);
            let dy = tile(dy, [b, h], [t, d]);
            let n = b * heads.queries + h;
            let (dq_head, dk, dv) = f(n, [q, k, v], dy);
            tile_mut(&mut dq, [b, h], [t, d]).assign(&dq_head);
            // Heads that share a key: their gradients add up.
            let mut sum = tile_mut(&mut dkv, [b, g], [s, d]);
            sum += &dk;
            let mut sum = tile_mut(&mut dkv, [b, heads.keys + g], [s, d]);
            sum += &dv;
        }
    }
    (dq, dkv)
}

/// Tile `(i, j)` of `x` cut into tiles of `m` rows and `n` columns.
pub(crate) fn tile(
    x: ArrayView2<'_, f64>,
    [i, j]: [usize; 2],
    [m, n]: [usize; 2],
) -> ArrayView2<'_, f64> {
    x.slice_move(s![i * m..(i + 1) * m, j * n..(j + 1) * n])
}

/// [`tile`], to be written to.
fn tile_mut(
    x: &mut Array2<f64>,
    [i, j]: [usize; 2],
    [m, n]: [usize; 2],
) -> ArrayViewMut2<'_, f64> {
    x.slice_mut(s![i * m..(i + 1) * m, j * n..(j + 1) * n])
}

/// Queries, and keys with values, of `qkv` (B·T, (H+2K)·d).
#[track_caller]
pub(crate) fn split<T>(
    qkv: ArrayView2<'_, T>,
    heads: Heads,
) -> (ArrayView2<'_, T>, ArrayView2<'_, T>) {
    let [_, d] = assert_qkv("attention", qkv.shape(), heads);
    qkv.split_at(Axis(1), heads.queries * d)
}

/// `[T, d]` of `qkv` (B·T, (H+2K)·d).
#[track_caller]
pub(crate) fn assert_qkv(op: &str, qkv: &[usize], heads: Heads) -> [usize; 2] {
    let Heads {
        batch,
        queries,
        keys,
    } = heads;
    let all = queries + 2 * keys;
    assert_heads(op, heads);
    assert!(
        qkv[0].is_multiple_of(batch) && qkv[1].is_multiple_of(all),
        "{op}: qkv {qkv:?} does not fit {heads:?}"
    );
    [qkv[0] / batch, qkv[1] / all]
}

fn stacked(p: &[Array2<f64>]) -> Array3<f64> {
    let p: Vec<_> = p.iter().map(|p| p.view()).collect();
    stack(Axis(0), &p).expect("at least one head, all of one size")
}

#[track_caller]
fn assert_heads(op: &str, heads: Heads) {
    let Heads {
        batch,
        queries,
        keys,
    } = heads;
    assert!(
        batch > 0 && keys > 0 && queries > 0 && queries.is_multiple_of(keys),
        "{op}: {heads:?}: K divides H, and none is 0"
    );
}

/// `(T, S, d)` of `q` (B·T, H·d) and `kv` (B·S, 2K·d).
#[track_caller]
pub(crate) fn sizes(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: Heads,
) -> (usize, usize, usize) {
    let Heads {
        batch: b,
        queries: h,
        keys: k,
    } = heads;
    let (q, kv) = (q.dim(), kv.dim());
    assert_heads("attention", heads);
    assert!(
        q.0.is_multiple_of(b)
            && kv.0.is_multiple_of(b)
            && q.1.is_multiple_of(h)
            && kv.1 == q.1 / h * 2 * k,
        "attention: q {q:?} and kv {kv:?} do not fit {heads:?}"
    );
    (q.0 / b, kv.0 / b, q.1 / h)
}

#[track_caller]
pub(crate) fn assert_fit(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    causal: bool,
) {
    let (q, k, v) = (q.dim(), k.dim(), v.dim());
    assert!(
        q.1 == k.1 && k.0 == v.0,
        "attention: q {q:?}, k {k:?} and v {v:?} do not fit"
    );
    assert!(
        !causal || q.0 == k.0,
        "attention: causal, but q {q:?} and k {k:?} differ in length"
    );
    assert!(
        k.0 > 0 || q.0 == 0,
        "attention: q {q:?} has no key to look at: k {k:?}"
    );
}

/// [`assert_fit`], and under the mask every query has a key.
#[track_caller]
fn assert_reach(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    causal: bool,
) {
    assert_fit(q, k, v, false);
    let (t, s) = (q.nrows(), k.nrows());
    assert!(
        !causal || t <= s,
        "attention: causal, but {t} queries are not the last of {s} keys"
    );
}

#[track_caller]
fn assert_fit_vjp(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    p: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) {
    assert_fit(q, k, v, false);
    let (t, s, e) = (q.nrows(), k.nrows(), v.ncols());
    let (p, dy) = (p.dim(), dy.dim());
    assert!(
        p == (t, s) && dy == (t, e),
        "attention vjp: p {p:?} is not {:?} or dy {dy:?} is not {:?}",
        (t, s),
        (t, e),
    );
}

/// `p` (B·H,T,S) and `dy` (B·T, H·d).
#[track_caller]
fn assert_kept(heads: Heads, [t, s, d]: [usize; 3], p: &[usize], dy: &[usize]) {
    let Heads { batch, queries, .. } = heads;
    let (of_p, of_y) = ([batch * queries, t, s], [batch * t, queries * d]);
    assert!(
        p == of_p && dy == of_y,
        "attention vjp: p {p:?} is not {of_p:?} or dy {dy:?} is not {of_y:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::gradcheck::numeric_vjp;
    use ndarray::{ArrayD, array};

    #[track_caller]
    fn near(a: &Array2<f64>, b: Array2<f64>, tol: f64) {
        assert_eq!(a.dim(), b.dim());
        let worst = (a - &b).fold(0., |m: f64, d| m.max(d.abs()));
        assert!(worst <= tol, "{a} is {worst:e} from {b}");
    }

    /// The running example of the chapter: q = I, dy = I.
    fn two() -> [Array2<f64>; 4] {
        [
            array![[1., 0.], [0., 1.]],
            array![[1., 0.], [1., 1.]],
            array![[1., 2.], [3., 4.]],
            array![[1., 0.], [0., 1.]],
        ]
    }

    #[test]
    fn two_tokens_to_ten_digits() {
        let [q, k, v, dy] = two();
        let (y, p) = forward(q.view(), k.view(), v.view(), false);
        let row = [0.3302384507, 0.6697615493];
        near(&p, array![[0.5, 0.5], row], 5e-11);
        near(&y, array![[2., 3.], [2.3395230987, 3.3395230987]], 5e-11);
        let (dq, dk, dv) =
            vjp(q.view(), k.view(), v.view(), p.view(), dy.view());
        near(&dv, array![[0.5, row[0]], [0.5, row[1]]], 5e-11);
        let want = array![[0., 0.3535533906], [0., 0.3127971931]];
        near(&dq, want, 5e-11);
        let top = [-0.3535533906, -0.3127971931];
        let want = array![top, [0.3535533906, 0.3127971931]];
        near(&dk, want, 5e-11);
    }

    #[test]
    fn a_mask_is_nothing_special_to_the_vjp() {
        let [q, k, v, dy] = two();
        let (y, p) = forward(q.view(), k.view(), v.view(), true);
        let row = [0.3302384507, 0.6697615493];
        near(&p, array![[1., 0.], row], 5e-11);
        assert_eq!(y.row(0), array![1., 2.]); // the first sees itself alone
        let (dq, dk, dv) =
            vjp(q.view(), k.view(), v.view(), p.view(), dy.view());
        near(&dv, array![[1., row[0]], [0., row[1]]], 5e-11);
        near(&dq, array![[0., 0.], [0., 0.3127971931]], 5e-11);
        let want = array![[0., -0.3127971931], [0., 0.3127971931]];
        near(&dk, want, 5e-11);
    }

    #[test]
    fn one_key_is_certain() {
        // Whatever the score, p = 1, and nothing flows into q and k.
        let (q, k) = (array![[1e4, -1e4]], array![[1e4, 5e-324]]);
        let (v, dy) = (array![[7., 8., 9.]], array![[1., 2., 3.]]);
        let (y, p) = forward(q.view(), k.view(), v.view(), true);
        assert_eq!((&y, p[[0, 0]]), (&v, 1.));
        let (dq, dk, dv) =
            vjp(q.view(), k.view(), v.view(), p.view(), dy.view());
        assert_eq!((dq, dk, dv), (q * 0., k * 0., dy));
    }

    #[test]
    fn huge_scores_choose_one_key() {
        let q = array![[1e2, 0.], [0., -1e2]];
        let k = array![[1e2, 0.], [-1e2, 1e2], [0., -1e2]];
        let v = array![[1.], [2.], [3.]];
        let (y, p) = forward(q.view(), k.view(), v.view(), false);
        assert_eq!(p, array![[1., 0., 0.], [0., 0., 1.]]);
        assert_eq!(y, array![[1.], [3.]]);
    }

    /// Two heads of width 1 that share their key and their value.
    #[test]
    fn shared_keys_sum_their_gradients() {
        let heads = Heads {
            batch: 1,
            queries: 2,
            keys: 1,
        };
        let one = Heads {
            queries: 1,
            ..heads
        };
        let qkv = array![[1., 2., 3., 4.], [5., -6., 0.7, 8.]];
        let dy = array![[1., -1.], [0.5, 2.]];
        let (y, p) = multi_head(qkv.view(), heads, true);
        let d = multi_head_vjp(qkv.view(), p.view(), dy.view(), heads);
        let mut sum = Array2::zeros((2, 2));
        for h in 0..2 {
            let alone = concatenate![
                Axis(1),
                tile(qkv.view(), [0, h], [2, 1]),
                tile(qkv.view(), [0, 1], [2, 2]),
            ];
            let (y1, p1) = multi_head(alone.view(), one, true);
            assert_eq!(y1, tile(y.view(), [0, h], [2, 1]));
            let dy = tile(dy.view(), [0, h], [2, 1]);
            let d1 = multi_head_vjp(alone.view(), p1.view(), dy, one);
            assert_eq!(d1.column(0), d.column(h));
            sum += &d1.slice(s![.., 1..]);
        }
        near(&d.slice(s![.., 2..]).to_owned(), sum, 1e-15);
    }

    #[test]
    fn no_query_no_answer() {
        let (q, k) = (Array2::zeros((0, 2)), Array2::zeros((3, 2)));
        let v = Array2::zeros((3, 4));
        let (y, p) = forward(q.view(), k.view(), v.view(), false);
        assert_eq!((y.dim(), p.dim()), ((0, 4), (0, 3)));
        let (dq, dk, dv) =
            vjp(q.view(), k.view(), v.view(), p.view(), y.view());
        assert_eq!((dq, dk, dv), (q, k, v));
    }

    #[test]
    #[should_panic(expected = "q (2, 3), k (2, 4) and v (2, 4) do not fit")]
    fn widths_that_differ() {
        let (q, k) = (Array2::zeros((2, 3)), Array2::zeros((2, 4)));
        forward(q.view(), k.view(), k.view(), false);
    }

    #[test]
    #[should_panic(expected = "4 queries are not the last of 2 keys")]
    fn a_query_that_sees_nothing() {
        let (q, k) = (Array2::zeros((4, 3)), Array2::zeros((2, 3)));
        forward(q.view(), k.view(), k.view(), true);
    }

    #[test]
    fn the_last_queries_of_a_text_see_what_they_saw() {
        let [q, k, v, _] = six();
        let (y, p) = forward(q.view(), k.view(), v.view(), true);
        for last in 1..4 {
            let q = q.slice(s![last.., ..]);
            let (y1, p1) = forward(q, k.view(), v.view(), true);
            assert_eq!(y1, y.slice(s![last.., ..]));
            assert_eq!(p1, p.slice(s![last.., ..]));
        }
    }

    /// Four tokens of width 3, by formula: sin, cos, and both of twice.
    fn six() -> [Array2<f64>; 4] {
        let f = |f: fn(f64) -> f64| {
            let at = |(i, j): (usize, usize)| f((3 * i + j) as f64);
            Array2::from_shape_fn((4, 3), at)
        };
        [
            f(f64::sin),
            f(f64::cos),
            f(|k| (2. * k).sin()),
            f(|k| (2. * k).cos()),
        ]
    }

    fn norm(a: &Array2<f64>) -> f64 {
        a.iter().map(|v| v * v).sum::<f64>().sqrt()
    }

    /// ⟨y,dy⟩, the norms of y, dq, dk, dv, and the first entry of each
    /// gradient, with and without a mask; differences agree to 1e-9.
    #[test]
    fn four_tokens_to_ten_digits() {
        let full = [
            0.0366141087,
            2.2065157867,
            0.2952605392,
            0.0977683050,
            2.4486748514,
            0.0812410577,
            0.0338512671,
            0.9007193006,
        ];
        let causal = [
            1.3277734454,
            2.2876803129,
            0.2369303930,
            0.1856555111,
            3.0029188267,
            0.,
            0.0307759719,
            1.9310524345,
        ];
        for (mask, want) in [(false, full), (true, causal)] {
            let [q, k, v, dy] = six();
            let (y, p) = forward(q.view(), k.view(), v.view(), mask);
            let (dq, dk, dv) =
                vjp(q.view(), k.view(), v.view(), p.view(), dy.view());
            let got = [
                (&y * &dy).sum(),
                norm(&y),
                norm(&dq),
                norm(&dk),
                norm(&dv),
                dq[[0, 0]],
                dk[[0, 0]],
                dv[[0, 0]],
            ];
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-10, "{got} {want}");
            }
            let numeric = numeric_vjp(
                &|p: &[ArrayD<f64>]| {
                    let [q, k, v] = [0, 1, 2].map(|i| {
                        p[i].view().into_dimensionality().expect("a matrix")
                    });
                    forward(q, k, v, mask).0.into_dyn()
                },
                &[q, k, v].map(|x| x.into_dyn()),
                &dy.into_dyn(),
            );
            for (d, numeric) in [dq, dk, dv].iter().zip(numeric) {
                let numeric = numeric.into_dimensionality().expect("a matrix");
                near(d, numeric, 1e-9);
            }
        }
    }

    /// What holds without a difference.
    #[test]
    fn four_sums() {
        let [q, _, _, dy] = six();
        let k = array![[2., 1., 0.5], [0., -1., 3.]];
        let v = array![[1., 2., 0.3], [3., -1., 0.]];
        let (y, p) = forward(q.view(), k.view(), v.view(), false);
        let (dq, dk, dv) =
            vjp(q.view(), k.view(), v.view(), p.view(), dy.view());
        let ds = softmax::vjp(p.view(), dy.dot(&v.t()).view());
        let small = |d: f64| assert!(d.abs() < 1e-14, "{d:e}");
        ds.sum_axis(Axis(1)).iter().for_each(|d| small(*d));
        let both = dv.sum_axis(Axis(0)) - dy.sum_axis(Axis(0));
        both.iter().for_each(|d| small(*d));
        small((&q * &dq).sum() - (&k * &dk).sum());
        small((&v * &dv).sum() - (&y * &dy).sum());
    }

    /// The example of the catalogue's note: three tokens, values of width 2.
    #[test]
    fn three_tokens_with_a_mask() {
        let q = array![[1., 0.], [1., 2.], [-1., 1.]];
        let k = array![[2., 1.], [0., -1.], [1., 1.]];
        let v = array![[1., 2.], [3., -1.], [0., 4.]];
        let dy = array![[1., -1.], [2., 0.], [1., 3.]];
        let dq = |causal| {
            let (_, p) = forward(q.view(), k.view(), v.view(), causal);
            vjp(q.view(), k.view(), v.view(), p.view(), dy.view()).0
        };
        let want =
            array![[-0.4483, -1.0202], [0.2579, -0.0622], [1.2288, 2.7313]];
        near(&dq(false), want, 5e-5);
        let top = dq(true).slice_move(s![..2, ..]);
        near(&top, array![[0., 0.], [-0.0790, -0.0790]], 5e-5);
    }

    #[test]
    fn what_is_causal_reads_nothing_ahead() {
        let [x, ..] = six();
        let leak =
            |causal| reads_ahead(|x| forward(x, x, x, causal).0, x.view());
        assert_eq!((leak(true), leak(false)), (None, Some((0, 1))));
        // One token too far, as with the mask taken from the shifted labels.
        let ahead = |x: ArrayView2<f64>| {
            let next = s![1.., ..];
            let (y, _) = forward(
                x.slice(s![..-1, ..]),
                x.slice(next),
                x.slice(next),
                true,
            );
            y
        };
        assert_eq!(reads_ahead(ahead, x.view()), Some((0, 1)));
    }

    #[test]
    #[should_panic(expected = "K divides H")]
    fn keys_that_cannot_be_shared_evenly() {
        let heads = Heads {
            batch: 1,
            queries: 3,
            keys: 2,
        };
        multi_head(Array2::zeros((4, 7)).view(), heads, true);
    }
}
