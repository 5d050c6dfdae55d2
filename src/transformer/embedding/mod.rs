//! Embedding: from tokens to vectors, and back to logits.
//!                                          book: transformer/embedding
//!
//!   y_nd = w_{s_n,d}                   a row of the table for every token
//!   logits_nv = Σ_d x_nd w_vd          a logit for every word
//!
//!   s (N) tokens, w (V,D) table  ->  y (N,D)
//!   x (N,D), w (V,D)             ->  logits (N,V)
//!
//! The first is the product of one-hot rows with `w`, of which only the rows
//! that count are touched; the second is a product with `wᵀ`. When both use
//! the same table (tied weights, Press and Wolf 2017), its gradient is the sum
//! of the two: the first touches the rows of the tokens that came, the second
//! all rows.
//!
//! A table knows no order. [`rope`] brings in the positions: it turns queries
//! and keys by an angle that grows with the place in the text.

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use crate::device::Heads;
use crate::network::softmax_cross_entropy::{
    cross_entropy, cross_entropy_vjp, targets,
};
use ndarray::{Array2, ArrayView2};

/// `y_n = w[ids_n]`: a row of the table for every token.
///
/// `w` (V,D), `ids` (N) in `0..V` give `y` (N,D).
/// Kept for the VJP: `ids`, and V. Neither `w` nor `y` is needed.
///
/// Panics if a token is not below V.
///
/// ```
/// use backprop::transformer::embedding;
/// use ndarray::array;
/// let w = array![[1., 2.], [3., 4.], [5., 6.]];
/// let y = embedding::forward(w.view(), &[2, 0, 2]);
/// assert_eq!(y, array![[5., 6.], [1., 2.], [5., 6.]]);
/// ```
#[track_caller]
// ANCHOR: forward
pub fn forward(w: ArrayView2<f64>, ids: &[usize]) -> Array2<f64> {
    let mut y = Array2::zeros((ids.len(), w.ncols()));
    for (&v, mut y) in ids.iter().zip(y.rows_mut()) {
        assert_token(v, w.nrows());
        y.assign(&w.row(v));
    }
    y
}
// ANCHOR_END: forward

/// `dw_v = Σ_n [ids_n = v]·dy_n`: every use of a row adds to its gradient.
///
/// `ids` (N) in `0..rows`, the cotangent `dy` (N,D), and `rows`, the V of the
/// table, give `dw` (V,D). The row of a token that did not come is 0.
///
/// Panics if a token is not below V or `dy` has not a row for each.
///
/// ```
/// use backprop::transformer::embedding;
/// use ndarray::array;
/// let dy = array![[1., 2.], [3., 4.], [5., 6.]];
/// let dw = embedding::vjp(3, &[2, 0, 2], dy.view());
/// assert_eq!(dw, array![[3., 4.], [0., 0.], [6., 8.]]);
/// ```
#[track_caller]
// ANCHOR: vjp
pub fn vjp(rows: usize, ids: &[usize], dy: ArrayView2<f64>) -> Array2<f64> {
    assert_rows("embedding", ids.len(), dy.shape());
    let mut dw = Array2::zeros((rows, dy.ncols()));
    for (&v, dy) in ids.iter().zip(dy.rows()) {
        assert_token(v, rows);
        dw.row_mut(v).scaled_add(1., &dy); // add: the token may come again
    }
    dw
}
// ANCHOR_END: vjp

/// `y = x·wᵀ`: how well each token's vector fits each row of the table.
///
/// `x` (N,D), `w` (V,D) give logits `y` (N,V). Kept for the VJP: both.
///
/// Panics if `x` and `w` differ in D.
///
/// ```
/// use backprop::transformer::embedding;
/// use ndarray::array;
/// let (x, w) = (array![[1., 2.]], array![[1., 0.], [0., 1.], [3., -1.]]);
/// let y = embedding::unembed(x.view(), w.view());
/// assert_eq!(y, array![[1., 2., 1.]]);
/// ```
#[track_caller]
// ANCHOR: unembed
pub fn unembed(x: ArrayView2<f64>, w: ArrayView2<f64>) -> Array2<f64> {
    assert_widths(x.shape(), w.shape());
    x.dot(&w.t()) // (N,D)(D,V)
}
// ANCHOR_END: unembed

/// `dx = dy·w` and `dw = dyᵀ·x`.
///
/// `x` (N,D), `w` (V,D) and the cotangent `dy` (N,V) give `dx` (N,D) and `dw`
/// (V,D). If `w` is also the table of [`forward`], its gradient is the sum of
/// this `dw` and that of [`vjp`].
///
/// Panics if the shapes do not fit each other.
#[track_caller]
// ANCHOR: unembed_vjp
pub fn unembed_vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    assert_widths(x.shape(), w.shape());
    assert_logits(x.nrows(), w.nrows(), dy.shape());
    let dx = dy.dot(&w); //     (N,V)(V,D)
    let dw = dy.t().dot(&x); // (V,N)(N,D)
    (dx, dw)
}
// ANCHOR_END: unembed_vjp

/// [`unembed`] and the mean cross-entropy of its logits against `labels`, in
/// nats.
///
/// `x` (N,D), `w` (V,D), `labels` (N) in `0..V` or
/// [`IGNORE`](crate::network::softmax_cross_entropy::IGNORE); `smoothing` as
/// in [`targets`]. Gives the loss, a number.
///
/// Panics if the shapes do not fit, a label is out of range or no row has a
/// target.
#[track_caller]
// ANCHOR: unembed_ce
pub fn unembed_ce(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    labels: &[usize],
    smoothing: f64,
) -> f64 {
    let logits = unembed(x, w); //                    (N,V)
    let t = targets(labels, w.nrows(), smoothing); // (N,V)
    cross_entropy(logits.view(), t.view()).0
}
// ANCHOR_END: unembed_ce

/// [`unembed_ce`] and its gradient: `dx = d·w` and `dw = dᵀ·x` with
/// `d = (p - t)·dloss/B`, where B counts the rows that have a label; the
/// others have `d = 0`.
///
/// Arguments as in [`unembed_ce`], and `dloss`, the cotangent of the loss (a
/// number). Returns the loss, `dx` (N,D), `dw` (V,D).
///
/// Why forward and backward are one op: with a large vocabulary the logits
/// (N,V) are the largest array of a language model; to keep them costs memory,
/// to compute them twice costs a product. But after the loss nothing follows,
/// so `dloss` is known before it, and each row of logits can become its
/// gradient at once. [`fused`] does so, some rows at a time; here they are
/// whole.
///
/// Panics as [`unembed_ce`] does.
#[track_caller]
// ANCHOR: unembed_ce_grad
pub fn unembed_ce_grad(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    labels: &[usize],
    smoothing: f64,
    dloss: f64,
) -> (f64, Array2<f64>, Array2<f64>) {
    let logits = unembed(x, w); //                    (N,V)
    let t = targets(labels, w.nrows(), smoothing); // (N,V)
    let (loss, p) = cross_entropy(logits.view(), t.view());
    let dlogits = cross_entropy_vjp(p.view(), t.view(), dloss);
    let (dx, dw) = unembed_vjp(x, w, dlogits.view());
    (loss, dx, dw)
}
// ANCHOR_END: unembed_ce_grad

/// Rotary positions: in every head, the pair `(x_c, x_{c+d/2})` of the token
/// at place `t` is turned by the angle `θ = t·base^(-2c/d)`,
///
/// `y_c = x_c·cos θ - x_{c+d/2}·sin θ`,
/// `y_{c+d/2} = x_c·sin θ + x_{c+d/2}·cos θ`,
///
/// for `c` in `0..d/2`. Turned so, the product of a query at `t` and a key at
/// `s` depends on the places through `t - s` alone.
///
/// `qkv` (B·T, (H+2K)·d) as in [`Heads`] gives `y` of the same shape: queries
/// and keys are turned, values stay. `base` has no unit; 10,000 in the paper.
/// Nothing is kept for the VJP. Place 0 is not turned at all.
///
/// The paper pairs neighbours, `(x_2c, x_2c+1)`. Here, as in GPT-NeoX and the
/// Llama of Hugging Face, the halves of a head are paired: the same op up to a
/// fixed order of the columns, which the weights of queries and keys learn
/// anyway; weights that were trained so load as they are; and a processor
/// reads both halves without shuffling.
///
/// Panics if the columns are not `H + 2K` heads of an even width, or the rows
/// are not B texts.
///
/// Source: Su et al. 2021, section 3.2.
///
/// ```
/// use backprop::{device::Heads, transformer::embedding};
/// use ndarray::array;
/// use std::f64::consts::FRAC_PI_2;
/// // One head of width 2; with base anything, its one angle is t.
/// let heads = Heads { batch: 1, queries: 1, keys: 1 };
/// let x = array![[1., 0., 1., 0., 1., 0.], [1., 0., 0., 1., 1., 0.]];
/// let y = embedding::rope(x.view(), heads, 10_000.);
/// let (c, s) = (1f64.cos(), 1f64.sin());
/// assert_eq!(y, array![[1., 0., 1., 0., 1., 0.], [c, s, -s, c, 1., 0.]]);
/// ```
#[track_caller]
// ANCHOR: rope
pub fn rope(qkv: ArrayView2<f64>, heads: Heads, base: f64) -> Array2<f64> {
    turned(qkv, heads, base, 1.)
}
// ANCHOR_END: rope

/// The cotangent of `qkv`: a rotation is orthogonal, so its transpose is the
/// rotation by minus the angle.
///
/// `dqkv` (B·T, (H+2K)·d), the cotangent of the output of [`rope`] with the
/// same `heads` and `base`, gives the cotangent of its input.
///
/// Panics as [`rope`] does.
#[track_caller]
// ANCHOR: rope_vjp
pub fn rope_vjp(dqkv: ArrayView2<f64>, heads: Heads, base: f64) -> Array2<f64> {
    turned(dqkv, heads, base, -1.)
}
// ANCHOR_END: rope_vjp

#[track_caller]
// ANCHOR: turned
fn turned(
    x: ArrayView2<f64>,
    heads: Heads,
    base: f64,
    sign: f64,
) -> Array2<f64> {
    let (length, width) = assert_heads(x.shape(), heads);
    let half = width / 2;
    let mut y = x.to_owned();
    for n in 0..x.nrows() {
        let t = (n % length) as f64;
        for head in 0..heads.queries + heads.keys {
            for c in 0..half {
                let angle = sign * t * base.powf(-(c as f64) / half as f64);
                let (sin, cos) = angle.sin_cos();
                let (i, j) = (head * width + c, head * width + c + half);
                y[[n, i]] = x[[n, i]] * cos - x[[n, j]] * sin;
                y[[n, j]] = x[[n, i]] * sin + x[[n, j]] * cos;
            }
        }
    }
    y
}
// ANCHOR_END: turned

#[track_caller]
fn assert_token(v: usize, rows: usize) {
    assert!(
        v < rows,
        "embedding: token {v} in a table of V = {rows} rows"
    );
}

#[track_caller]
fn assert_rows(op: &str, want: usize, shape: &[usize]) {
    assert_eq!(shape[0], want, "{op}: {want} rows and {shape:?} do not fit");
}

/// The table `w` or its gradient (V,D), and `y` or its cotangent (N,D).
#[track_caller]
fn assert_columns(w: &[usize], y: &[usize]) {
    let fits = w[1] == y[1];
    assert!(
        fits,
        "embedding: table {w:?} and rows {y:?} differ in width"
    );
}

/// `x` (N,D) and the table `w` (V,D).
#[track_caller]
fn assert_widths(x: &[usize], w: &[usize]) {
    assert_eq!(x[1], w[1], "unembed: x {x:?} and w {w:?} differ in width");
}

#[track_caller]
fn assert_logits(n: usize, v: usize, dy: &[usize]) {
    assert_eq!(dy, [n, v], "unembed: dy {dy:?} does not fit [{n}, {v}]");
}

/// The length T of a text and the width d of a head.
#[track_caller]
fn assert_heads(shape: &[usize], heads: Heads) -> (usize, usize) {
    let (rows, columns) = (shape[0], shape[1]);
    let all = heads.queries + 2 * heads.keys;
    assert!(
        heads.batch > 0
            && rows.is_multiple_of(heads.batch)
            && all > 0
            && columns.is_multiple_of(2 * all),
        "rope: {shape:?} is not {heads:?} of an even width",
    );
    (rows / heads.batch, columns / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::softmax_cross_entropy::IGNORE;
    use ndarray::{Axis, array, concatenate, s};

    /// A table and some tokens, one of them twice, one never.
    fn example() -> (Array2<f64>, [usize; 4]) {
        let w = array![[1., 0.], [2., -1.], [0., 3.], [-2., 1.], [1., 1.]];
        (w, [4, 1, 4, 0])
    }

    #[test]
    fn it_is_the_product_with_one_hot_rows() {
        let (w, ids) = example();
        let hot = targets(&ids, 5, 0.);
        assert_eq!(forward(w.view(), &ids), hot.dot(&w));
        let dy = array![[1., 2.], [3., 4.], [5., 6.], [7., 8.]];
        let dw = vjp(5, &ids, dy.view());
        assert_eq!(dw, hot.t().dot(&dy));
        assert_eq!(dw.row(4), array![6., 8.], "both uses of token 4");
        assert_eq!(dw.row(2), array![0., 0.], "token 2 did not come");
    }

    #[test]
    fn no_tokens() {
        let (w, _) = example();
        assert_eq!(forward(w.view(), &[]).dim(), (0, 2));
        let dw = vjp(5, &[], Array2::zeros((0, 2)).view());
        assert_eq!(dw, Array2::<f64>::zeros((5, 2)));
    }

    #[test]
    #[should_panic(expected = "embedding: token 5 in a table of V = 5 rows")]
    fn a_token_out_of_range() {
        forward(example().0.view(), &[1, 5]);
    }

    #[test]
    #[should_panic(expected = "embedding: token 5 in a table of V = 5 rows")]
    fn a_token_out_of_range_on_the_way_back() {
        vjp(5, &[5], array![[1., 2.]].view());
    }

    #[test]
    #[should_panic(expected = "unembed: x [4, 3] and w [5, 2] differ")]
    fn widths_that_differ() {
        unembed(Array2::zeros((4, 3)).view(), example().0.view());
    }

    #[test]
    fn the_head_by_hand() {
        // Logits (0, ln 3): p = (1/4, 3/4). The second row is ignored.
        let (x, w) = (array![[1.], [9.]], array![[0.], [3f64.ln()]]);
        let labels = [0, IGNORE];
        let (loss, dx, dw) =
            unembed_ce_grad(x.view(), w.view(), &labels, 0., 2.);
        assert_eq!(loss, unembed_ce(x.view(), w.view(), &labels, 0.));
        assert!((loss - 4f64.ln()).abs() < 1e-15);
        let want = array![[1.5 * 3f64.ln()], [0.]];
        assert!((dx - want).iter().all(|d| d.abs() < 1e-15));
        assert!((dw - array![[-1.5], [1.5]]).iter().all(|d| d.abs() < 1e-15));
    }

    const HEADS: Heads = Heads {
        batch: 1,
        queries: 2,
        keys: 1,
    };

    #[test]
    fn a_rotation_keeps_lengths_and_comes_back() {
        let x = Array2::from_shape_fn((5, 16), |(i, j)| (i * 7 + j) as f64);
        let y = rope(x.view(), HEADS, 100.);
        assert_eq!(y.row(0), x.row(0), "place 0");
        assert_eq!(y.slice(s![.., 12..]), x.slice(s![.., 12..]), "values");
        let square = |a: &Array2<f64>| (a * a).sum_axis(Axis(1));
        let off = (square(&y) - square(&x)) / square(&x);
        assert!(off.iter().all(|d| d.abs() < 1e-14));
        let back = rope_vjp(y.view(), HEADS, 100.);
        assert!((back - x).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn products_depend_on_the_distance_alone() {
        // The same query and key at every place.
        let row = array![[1., 2., -1., 0.5, 0.25, 3., 1., -2., 0., 0., 0., 0.]];
        let x = row.broadcast((9, 12)).unwrap();
        let heads = Heads {
            batch: 1,
            queries: 1,
            keys: 1,
        };
        let y = rope(x, heads, 10.);
        let (q, k) = (y.slice(s![.., ..4]), y.slice(s![.., 4..8]));
        let s = q.dot(&k.t());
        for i in 1..9 {
            for j in 1..9 {
                let moved: f64 = s[[i, j]] - s[[i - 1, j - 1]];
                assert!(moved.abs() < 1e-14);
            }
        }
        assert!((s[[0, 1]] - s[[0, 2]]).abs() > 0.1);
    }

    #[test]
    fn every_text_begins_at_place_0() {
        let x = Array2::from_shape_fn((3, 16), |(i, j)| (i + 3 * j) as f64);
        let two = concatenate![Axis(0), x, x];
        let one = rope(x.view(), HEADS, 10_000.);
        let heads = Heads { batch: 2, ..HEADS };
        let both = rope(two.view(), heads, 10_000.);
        assert_eq!(both, concatenate![Axis(0), one, one]);
    }

    #[test]
    #[should_panic(expected = "rope: [3, 12] is not Heads")]
    fn a_head_of_odd_width() {
        rope(Array2::zeros((3, 12)).view(), HEADS, 10_000.);
    }
}
