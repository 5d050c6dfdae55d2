//! # Exercise: attention
//!
//! Chapter: Attention (transformer/attention).
//! Letters: T queries, S keys with their values; queries and keys are d wide,
//! values e. H heads of queries, K of keys and values.
//!
//! From the library you may call `softmax::forward(s)` and its VJP,
//! `softmax::vjp(p, dp)`, both by rows. In tasks 5 to 7 you may also call
//! `attention::forward(q, k, v, false)`, which gives `(y, p)`, and
//! `attention::vjp(q, k, v, p, dy)`, which gives `(dq, dk, dv)`; both are for
//! one head. All take views: `p.view()`.
//!
//! Columns `a` to `b` of a matrix: `q.slice(s![.., a..b])`. To write into
//! them: `y.slice_mut(s![.., a..b]).assign(&part)`; to add:
//! `let mut block = dkv.slice_mut(s![.., a..b]); block += &dk;`.
//!
//! Grade it with `cargo grade attention`; ask for a hint with
//! `cargo grade hint attention vjp`.

use backprop::network::softmax_cross_entropy as softmax;
use backprop::transformer::attention;
use ndarray::{Array2, ArrayView2, s};

// --- Task 1: predict -------------------------------------------------------

/// Six heads of queries share two heads of keys and values. Which of the two, 0
/// or 1, does each query head read?
pub const READS: Option<[usize; 6]> = None; // TODO Some([..])

/// A text of seven tokens, each with its key, and the queries of the newest
/// three of them, under a causal mask. How many keys does each of the three
/// queries see, in their order?
pub const SEEN: Option<[usize; 3]> = None; // TODO Some([.., .., ..])

/// True or false, whatever the numbers are? (Queries and keys are compared as
/// they are, without a rotation, and both begin with the text.)
///
/// 1. A bias that is added to all keys gets a gradient of 0.
/// 2. For a given `dy`, the gradient of a bias that is added to all values
///    depends on where the queries look.
/// 3. The first query of a causal text gets `dq = 0`.
/// 4. The last key of a causal text gets `dk = 0`.
pub const TRUE: Option<[bool; 4]> = None; // TODO Some([..])

// --- Task 2: build ---------------------------------------------------------

/// One head: `p = softmax(q·kᵀ/√d)` by rows, `y = p·v`. Returns `(y, p)`.
///
/// `q` (T,d), `k` (S,d), `v` (S,e) give `y` (T,e), `p` (T,S).
pub fn forward(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 3: build ---------------------------------------------------------

/// The gradients `(dq, dk, dv)` of one head from the cotangent `dy` (T,e) of
/// its output. `p` (T,S) is what the forward pass gave; it may come from a head
/// with a causal mask, and is then 0 where a key was hidden.
pub fn vjp(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    p: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 4: vary ----------------------------------------------------------

/// One head with a causal mask. Returns `(y, p)`.
///
/// The queries are the last T of a text, the keys the last S of it, so the
/// last query sees all keys, the one before all but the last, and so on. If
/// there are more queries than keys, the first T - S see none: their rows of
/// `p` and `y` are 0. (The softmax of a row of nothing but -∞ is NaN, and NaN
/// times a value is NaN as well.)
pub fn causal(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 5: vary ----------------------------------------------------------

/// Several heads, groups of which share keys and values; no mask.
///
/// `q` (T,H·d) holds the heads side by side. `kv` (S,K·(d+e)) is stored head
/// by head: d columns of keys, then e of values, then the next head. K divides
/// H, and the first H/K heads of queries read the first head of keys and
/// values, the next H/K the second, and so on. `heads` is H and `keys` is K.
/// Gives `y` (T,H·e), the heads side by side.
pub fn grouped(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: usize,
    keys: usize,
) -> Array2<f64> {
    todo!() // TODO
}

/// `(dq, dkv)` from `dy` (T,H·e), in the layouts of `q` and `kv`. A head of keys
/// and values gets the sum of what all its readers send back.
pub fn grouped_vjp(
    q: ArrayView2<f64>,
    kv: ArrayView2<f64>,
    heads: usize,
    keys: usize,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 6: vary ----------------------------------------------------------

/// One head of cross-attention with its projections: queries from `x` (T,D),
/// keys and values from another text, `m` (S,D).
///
/// ```text
///   q = x·wq   k = m·wk   v = m·wv   y = attention(q, k, v)·wo
/// ```
///
/// `wq` and `wk` (D,d), `wv` (D,e), `wo` (e,O), and `dy` (T,O) the cotangent of
/// `y`, which the chapter calls Z. Returns `(dx, dm, [dwq, dwk, dwv, dwo])`.
pub fn cross_vjp(
    x: ArrayView2<f64>,
    m: ArrayView2<f64>,
    [wq, wk, wv, wo]: [ArrayView2<f64>; 4],
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, [Array2<f64>; 4]) {
    todo!() // TODO
}

// --- Task 7: hunt ----------------------------------------------------------

/// With `mended` below and the VJP that belongs to it every gradient check
/// passes, and a model trains. But its numbers are not those of the formula;
/// this is the report:
///
/// ```text
///   compared  y against its formula
///   inputs    q (2,6)
///             [   0.7400  -0.7000   0.7200  -0.1200  -0.6000  -1.1600 ]
///             [  -0.3300   0.6100   1.5700  -1.1500   1.8300   0.3200 ]
///             k (2,6)
///             [   0.7800   0.9400  -1.2000  -1.4500  -1.3700   0.5200 ]
///             [  -1.3200   0.8500   1.8900   0.8100  -0.4500  -1.3100 ]
///             v (2,4)
///             [  -1.9800   1.2700   1.6000  -1.8000 ]
///             [   1.3500  -1.2500   0.3700  -0.8700 ]
///             heads = 2
///   got       (2,4)
///             [  -0.0675  -0.1773   0.8256  -1.2145 ]
///             [   1.0299  -1.0078   1.1677  -1.4732 ]
///   expected  (2,4)
///             [   0.0325  -0.2530   0.7645  -1.1683 ]
///             [   1.2157  -1.1484   1.2360  -1.5248 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
pub const BUG: Option<&str> = None; // TODO Some("...")

/// Several heads side by side in the columns of `q` (T,H·d), `k` (S,H·d) and
/// `v` (S,H·e): `y` (T,H·e).
pub fn mended(
    q: ArrayView2<f64>,
    k: ArrayView2<f64>,
    v: ArrayView2<f64>,
    heads: usize,
) -> Array2<f64> {
    let (d, e) = (q.ncols() / heads, v.ncols() / heads);
    let mut y = Array2::zeros((q.nrows(), v.ncols()));
    for h in 0..heads {
        let k = k.slice(s![.., h * d..(h + 1) * d]);
        let v = v.slice(s![.., h * e..(h + 1) * e]);
        let s = q.slice(s![.., h * d..(h + 1) * d]).dot(&k.t());
        let scale = (q.ncols() as f64).sqrt();
        let p = softmax::forward((s / scale).view());
        let to = s![.., h * e..(h + 1) * e];
        y.slice_mut(to).assign(&p.dot(&v));
    }
    y
}
