//! Flash attention in `f32`, into the caller's arrays.
//!
//! All heads at once, as in [`attention::fused`]: views `q` (B,H,T,d), `k`
//! (B,K,S,d), `v` (B,K,S,e), whose rows have no gaps.
//!
//! From plain to fast, with the time of one thread for forward and VJP of one
//! text of 4096 tokens, 8 heads of width 64, on an AMD EPYC (Zen 4):
//!
//! 1. Tiles through the general matrix product: 1232 ms, a third of it for
//!    packing factors that are used once.
//! 2. Products of packed tiles, [`crate::engine::tile`], and 128 queries with
//!    128 keys in a tile: 1043 ms. Scores are laid out with a row for each key
//!    and a column for each query. So maximum, sum, `lse` and `D` are vectors
//!    along the row, no sum runs across a vector, and every one of the seven
//!    products finds its factors as they lie; only `q` and `dy` are
//!    transposed, once for all keys.
//! 3. Adding to `dk` and `dv` in whole vectors: 827 ms.
//! 4. 256 queries in a tile, so that keys, values and their gradients go
//!    through the cache half as often: 717 ms.
//! 5. Transposing blocks of sixteen by sixteen: 688 ms.
//!
//! Under a causal mask tiles above the diagonal are skipped, and on the
//! diagonal what is multiplied follows it in steps of sixteen.
//!
//! Heads are shared out among the cores, in the VJP those with a common key
//! together. Where these are few, the VJP goes twice over the tiles, first
//! sharing out queries for `dq`, then keys for `dk` and `dv`: seven products
//! instead of five, but as many pieces as the text is long. Who gets which
//! piece changes no sum. Each thread keeps scratch for its tiles, 0.7 MiB at
//! d = 64, whatever T.
//!
//! [`attention::fused`]: crate::transformer::attention::fused

use crate::engine::rows::{self, Chunks};
use crate::engine::simd::vectorised;
use crate::engine::tile::{
    LANES, Tile, TileMut, padded, product, transposed_product,
};
use crate::engine::vmath;
use crate::transformer::attention::fused::assert_fit;
use ndarray::{
    ArrayView1, ArrayView2, ArrayView3, ArrayView4, ArrayViewMut1,
    ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, Axis, s,
};
use std::cell::RefCell;
use std::ops::Range;

/// Queries in a tile.
pub(crate) const QUERIES: usize = 256;
/// Keys in a tile.
const KEYS: usize = 128;
/// With fewer independent heads than this the VJP is cut finer.
const FEW: usize = 8;

/// `y = softmax(q·kᵀ/√d)·v` for every head, over `y` (B,H,T,e), and the
/// logarithm of each row's sum of exponentials, over `lse` (B,H,T).
///
/// `q` (B,H,T,d), `k` (B,K,S,d), `v` (B,K,S,e); head `h` reads key and value
/// `h/(H/K)`. With `causal`, query `i` sees the keys `0..=i`, and S is T.
///
/// Panics if the shapes do not fit, there is no key, or a row has gaps.
#[track_caller]
pub fn forward(
    q: ArrayView4<f32>,
    k: ArrayView4<f32>,
    v: ArrayView4<f32>,
    causal: bool,
    y: ArrayViewMut4<f32>,
    lse: ArrayViewMut3<f32>,
) {
    assert_fit("flash_attention", q, k, v, y.shape(), causal);
    assert_lse(q, lse.shape());
    let shared = q.dim().1 / k.dim().1;
    let texts = (q, k, v, y, lse);
    rows::for_each(texts, usize::MAX, |_, (q, k, v, y, lse)| {
        let (k, v) = (text(k), text(v));
        let heads = (text(q), text_mut(y), lse.index_axis_move(Axis(0), 0));
        rows::for_each(heads, usize::MAX, |h, (q, y, lse)| {
            let (k, v) = (at(&k, h / shared), at(&v, h / shared));
            let blocks = (
                Chunks(q.index_axis_move(Axis(0), 0), QUERIES),
                Chunks(y.index_axis_move(Axis(0), 0), QUERIES),
                Chunks(lse.index_axis_move(Axis(0), 0), QUERIES),
            );
            rows::for_each(blocks, usize::MAX, |i, (q, y, lse)| {
                block(i * QUERIES, [q.0, k, v], causal, y.0, lse.0);
            });
        });
    });
}

/// At most [`QUERIES`] queries from the `first` on, against all keys they see.
pub(crate) fn block(
    first: usize,
    [q, k, v]: [ArrayView2<f32>; 3],
    causal: bool,
    mut y: ArrayViewMut2<f32>,
    mut lse: ArrayViewMut1<f32>,
) {
    let (n, d, e) = (q.nrows(), q.ncols(), v.ncols());
    let (wide, dw, ew) = (padded(n), padded(d), padded(e));
    let lens = [
        d * QUERIES,
        KEYS * QUERIES,
        KEYS * dw,
        KEYS * ew,
        QUERIES * ew,
    ];
    with_scratch(lens, |[qt, p, k_tile, v_tile, o]| {
        let mut p = square(p);
        let mut o = TileMut {
            data: o,
            stride: ew,
        };
        let qt = transpose(q, 1. / (d as f32).sqrt(), qt);
        let (mut max, mut sum) = ([f32::NEG_INFINITY; QUERIES], [0.; QUERIES]);
        let mut shrink = [0.; QUERIES];
        let seen = if causal { first + n } else { k.nrows() };
        for keys in tiles(0..seen, KEYS) {
            let mask = Mask::new(first, &keys, causal);
            let k = pack(k.slice(s![keys.clone(), ..]), 1., k_tile);
            let v = pack(v.slice(s![keys.clone(), ..]), 1., v_tile);
            for (j, from) in mask.strips(keys.len()) {
                let mnk = [j.len(), wide - from, d];
                let to = p.from(j.start, from);
                product(mnk, k.from(j.start, 0), qt.from(0, from), to, false);
            }
            online(
                &mut p,
                [keys.len(), wide],
                mask,
                &mut max,
                &mut sum,
                &mut shrink,
            );
            let again = keys.start > 0;
            if again {
                let rows = o.data.chunks_exact_mut(ew).zip(&shrink);
                for (o, shrink) in rows.take(n) {
                    o.iter_mut().for_each(|o| *o *= shrink);
                }
            }
            for (i, to) in mask.groups(n, keys.len()) {
                let mnk = [i.len(), ew, to];
                let p = p.read().from(0, i.start);
                transposed_product(mnk, p, v, o.from(i.start, 0), again);
            }
        }
        for i in 0..n {
            let scale = 1. / sum[i];
            for (y, o) in y.row_mut(i).iter_mut().zip(&o.data[i * ew..]) {
                *y = o * scale;
            }
            lse[i] = max[i] + sum[i].ln();
        }
    });
}

/// Which queries of a tile see which keys: query `i` sees key `j` if
/// `j < i + limit`.
#[derive(Clone, Copy)]
struct Mask {
    limit: isize,
    /// Whether all queries see all keys.
    none: bool,
}

impl Mask {
    fn new(first: usize, keys: &Range<usize>, causal: bool) -> Mask {
        let limit = first as isize + 1 - keys.start as isize;
        Mask {
            limit,
            none: !causal || limit >= keys.len() as isize,
        }
    }

    /// Some keys at a time, with the first of the queries that any of them is
    /// seen by, rounded down to whole vectors.
    fn strips(
        self,
        keys: usize,
    ) -> impl Iterator<Item = (Range<usize>, usize)> {
        let step = if self.none { keys } else { LANES };
        (0..keys).step_by(step.max(1)).map(move |j| {
            let first = (j as isize + 1 - self.limit).max(0) as usize;
            let first = if self.none { 0 } else { first / LANES * LANES };
            (j..(j + step).min(keys), first)
        })
    }

    /// Some queries at a time, with the number of keys that any of them sees.
    fn groups(
        self,
        queries: usize,
        keys: usize,
    ) -> impl Iterator<Item = (Range<usize>, usize)> {
        let step = if self.none { queries } else { LANES };
        (0..queries).step_by(step.max(1)).map(move |i| {
            let to = (i + step) as isize - 1 + self.limit;
            let to = if self.none {
                keys
            } else {
                keys.min(to.max(0) as usize)
            };
            (i..(i + step).min(queries), to)
        })
    }
}

fn tiles(
    range: Range<usize>,
    size: usize,
) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(size).map(move |i| i..(i + size).min(end))
}

/// The cotangents of `q`, `k` and `v`, over `dq` (B,H,T,d), `dk` (B,K,S,d)
/// and `dv` (B,K,S,e).
///
/// `q`, `k`, `v`, `causal` as they went into [`forward`], `y` (B,H,T,e) and
/// `lse` (B,H,T) as they came out, `dy` (B,H,T,e).
///
/// Panics if the shapes do not fit, or a row has gaps.
#[track_caller]
pub fn vjp(
    [q, k, v]: [ArrayView4<f32>; 3],
    y: ArrayView4<f32>,
    lse: ArrayView3<f32>,
    dy: ArrayView4<f32>,
    causal: bool,
    [mut dq, dk, dv]: [ArrayViewMut4<f32>; 3],
) {
    assert_fit("flash_attention vjp", q, k, v, y.shape(), causal);
    assert_fit("flash_attention vjp", q, k, v, dy.shape(), causal);
    assert_lse(q, lse.shape());
    assert_gradients([q, k, v], [dq.shape(), dk.shape(), dv.shape()]);
    let (batch, keys, s, _) = k.dim();
    let (shared, t) = (q.dim().1 / keys.max(1), q.dim().2);
    let head = |b, h| Head {
        q: q.slice_move(s![b, h, .., ..]),
        k: k.slice_move(s![b, h / shared, .., ..]),
        v: v.slice_move(s![b, h / shared, .., ..]),
        y: y.slice_move(s![b, h, .., ..]),
        lse: lse.slice_move(s![b, h, ..]),
        dy: dy.slice_move(s![b, h, .., ..]),
        causal,
    };
    if batch * keys >= FEW || t <= QUERIES {
        // Every head whole: five products.
        each_group(dq, dk, dv, shared, |b, g, mut dq, mut dk, mut dv| {
            dk.fill(0.);
            dv.fill(0.);
            for h in 0..shared {
                let dq = dq.index_axis_mut(Axis(0), h);
                let (dk, dv) = (dk.view_mut(), dv.view_mut());
                let head = head(b, g * shared + h);
                head.vjp(0..t, 0..s, Some(dq), Some([dk, dv]));
            }
        });
        return;
    }
    // Too few for the cores: first queries, then keys are shared out, and two
    // of the products are computed twice.
    each_block(dq.view_mut(), QUERIES, |b, h, first, dq| {
        let queries = first..first + dq.nrows();
        head(b, h).vjp(queries, 0..s, Some(dq), None);
    });
    let none = dq.slice_mut(s![.., .., ..0, ..]);
    each_group(none, dk, dv, shared, |b, g, _, dk, dv| {
        let blocks = (Chunks(dk, 2 * KEYS), Chunks(dv, 2 * KEYS));
        rows::for_each(blocks, usize::MAX, |i, (dk, dv)| {
            let (Chunks(mut dk, _), Chunks(mut dv, _)) = (dk, dv);
            dk.fill(0.);
            dv.fill(0.);
            let first = i * 2 * KEYS;
            let keys = first..first + dk.nrows();
            for h in 0..shared {
                let head = head(b, g * shared + h);
                let d = [dk.view_mut(), dv.view_mut()];
                head.vjp(0..t, keys.clone(), None, Some(d));
            }
        });
    });
}

/// One head of the VJP.
struct Head<'a> {
    q: ArrayView2<'a, f32>,
    k: ArrayView2<'a, f32>,
    v: ArrayView2<'a, f32>,
    y: ArrayView2<'a, f32>,
    lse: ArrayView1<'a, f32>,
    dy: ArrayView2<'a, f32>,
    causal: bool,
}

impl Head<'_> {
    /// What the tiles of these queries and these keys give: over `dq`, whose
    /// rows are the queries (then `keys` must be all), and onto `dk` and `dv`,
    /// whose rows are the keys.
    fn vjp(
        &self,
        queries: Range<usize>,
        keys: Range<usize>,
        mut dq: Option<ArrayViewMut2<f32>>,
        mut dkv: Option<[ArrayViewMut2<f32>; 2]>,
    ) {
        let (d, e) = (self.q.ncols(), self.v.ncols());
        let (dw, ew) = (padded(d), padded(e));
        let scale = 1. / (d as f32).sqrt();
        let lens = [
            d * QUERIES,
            e * QUERIES,
            QUERIES * dw,
            QUERIES * ew,
            QUERIES * dw,
            KEYS * dw,
            KEYS * ew,
            KEYS * QUERIES,
            KEYS * QUERIES,
            KEYS * dw.max(ew),
        ];
        with_scratch(lens, |scratch| {
            let [qt, dyt, q_tile, dy_tile, sum_q, k_tile, v_tile, p, ds, sum] =
                scratch;
            let mut p = square(p);
            let mut ds = square(ds);
            let mut sum_q = TileMut {
                data: sum_q,
                stride: dw,
            };
            for rows in tiles(queries.clone(), QUERIES) {
                if self.causal && rows.end <= keys.start {
                    continue;
                }
                let of = s![rows.clone(), ..];
                let (n, wide) = (rows.len(), padded(rows.len()));
                let (q, dy) = (self.q.slice(of), self.dy.slice(of));
                let qt = transpose(q, scale, qt);
                let dyt = transpose(dy, 1., dyt);
                // Queries that do not exist: exp(s - ∞) = 0.
                let (mut lse, mut dot) =
                    ([f32::INFINITY; QUERIES], [0.; QUERIES]);
                for (lse, of) in
                    lse.iter_mut().zip(self.lse.slice(s![rows.clone()]))
                {
                    *lse = *of;
                }
                row_dots(self.y.slice(of), dy, &mut dot);
                let q = pack(q, scale, q_tile);
                let dy = pack(dy, 1., dy_tile);
                let end = if self.causal {
                    keys.end.min(rows.end)
                } else {
                    keys.end
                };
                for columns in tiles(keys.start..end, KEYS) {
                    let m = columns.len();
                    let mask = Mask::new(rows.start, &columns, self.causal);
                    let at = s![columns.clone(), ..];
                    let k = pack(self.k.slice(at), 1., k_tile);
                    let v = pack(self.v.slice(at), 1., v_tile);
                    for (j, from) in mask.strips(m) {
                        let (m, n) = (j.len(), wide - from);
                        let (k, v) = (k.from(j.start, 0), v.from(j.start, 0));
                        let to = p.from(j.start, from);
                        product([m, n, d], k, qt.from(0, from), to, false);
                        let to = ds.from(j.start, from);
                        product([m, n, e], v, dyt.from(0, from), to, false);
                    }
                    again(&mut p, &mut ds, [m, wide], mask, &lse, &dot);
                    if let Some([dk, dv]) = &mut dkv {
                        let first = columns.start - keys.start;
                        let at = s![first..first + m, ..];
                        for (x, with, to) in [
                            (&p, dy, dv.slice_mut(at)),
                            (&ds, q, dk.slice_mut(at)),
                        ] {
                            let mut sum = TileMut {
                                data: &mut *sum,
                                stride: with.stride,
                            };
                            for (j, from) in mask.strips(m) {
                                let mnk = [j.len(), with.stride, n - from];
                                let x = x.read().from(j.start, from);
                                let to = sum.from(j.start, 0);
                                product(mnk, x, with.from(from, 0), to, false);
                            }
                            add_rows(sum.read(), to);
                        }
                    }
                    if dq.is_some() {
                        for (i, seen) in mask.groups(n, m) {
                            let mnk = [i.len(), dw, seen];
                            let ds = ds.read().from(0, i.start);
                            let to = sum_q.from(i.start, 0);
                            let add = columns.start > 0;
                            transposed_product(mnk, ds, k, to, add);
                        }
                    }
                }
                if let Some(dq) = &mut dq {
                    let first = rows.start - queries.start;
                    let to = dq.slice_mut(s![first..first + n, ..]);
                    put_rows(sum_q.read(), scale, to);
                }
            }
        });
    }
}

/// Calls `f(b, g, dq, dk, dv)` for every group of `shared` heads of every text.
fn each_group(
    dq: ArrayViewMut4<f32>,
    dk: ArrayViewMut4<f32>,
    dv: ArrayViewMut4<f32>,
    shared: usize,
    f: impl Fn(
        usize,
        usize,
        ArrayViewMut3<f32>,
        ArrayViewMut2<f32>,
        ArrayViewMut2<f32>,
    ) + Sync,
) {
    rows::for_each((dq, dk, dv), usize::MAX, |b, (dq, dk, dv)| {
        let (dq, dk, dv) = (text_mut(dq), text_mut(dk), text_mut(dv));
        let groups = (Chunks(dq, shared), dk, dv);
        rows::for_each(groups, usize::MAX, |g, (dq, dk, dv)| {
            let dk = dk.index_axis_move(Axis(0), 0);
            let dv = dv.index_axis_move(Axis(0), 0);
            f(b, g, dq.0, dk, dv);
        });
    });
}

/// Calls `f(b, h, first, x)` for every block of at most `size` rows of every
/// head of every text.
fn each_block(
    x: ArrayViewMut4<f32>,
    size: usize,
    f: impl Fn(usize, usize, usize, ArrayViewMut2<f32>) + Sync,
) {
    rows::for_each(x, usize::MAX, |b, x| {
        rows::for_each(text_mut(x), usize::MAX, |h, x| {
            let x = Chunks(x.index_axis_move(Axis(0), 0), size);
            rows::for_each(x, usize::MAX, |i, x| f(b, h, i * size, x.0));
        });
    });
}

/// A tile of scores: a row for each key, a column for each query.
fn square(data: &mut [f32]) -> TileMut<'_> {
    TileMut {
        data,
        stride: QUERIES,
    }
}

/// `x` (n,d) with its rows one after another, filled up to whole vectors.
fn pack<'t>(x: ArrayView2<f32>, scale: f32, to: &'t mut [f32]) -> Tile<'t> {
    let d = x.ncols();
    let stride = padded(d);
    for (x, to) in x.rows().into_iter().zip(to.chunks_exact_mut(stride)) {
        let x = x.to_slice().expect("flash_attention: a row has gaps");
        to[..d].copy_from_slice(x);
        to[d..].fill(0.);
        if scale != 1. {
            to.iter_mut().for_each(|x| *x *= scale);
        }
    }
    Tile { data: to, stride }
}

/// `x` (n,d) transposed and scaled, filled up to whole vectors: a row of `to`
/// has [`QUERIES`] numbers.
fn transpose<'t>(
    x: ArrayView2<f32>,
    scale: f32,
    to: &'t mut [f32],
) -> Tile<'t> {
    transpose_rows(x, scale, to);
    Tile {
        data: to,
        stride: QUERIES,
    }
}

/// Calls `f` with buffers of these lengths, which this thread keeps.
fn with_scratch<const N: usize>(
    lens: [usize; N],
    f: impl FnOnce([&mut [f32]; N]),
) {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|buffer| {
        let all = lens.iter().sum();
        if buffer.len() < all {
            buffer.resize(all, 0.);
        }
        let mut rest = &mut buffer[..];
        f(lens.map(|len| {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(len);
            rest = others;
            part
        }));
    });
}

vectorised! {
    /// `to ← to + x`.
    fn add_rows, add_rows_at(x: Tile, to: ArrayViewMut2<f32>) = add_rows_body;

    /// `to ← x·scale`.
    fn put_rows, put_rows_at(
        x: Tile,
        scale: f32,
        to: ArrayViewMut2<f32>,
    ) = put_rows_body;

    /// `to ← xᵀ·scale`, sixteen rows of `x` at a time.
    fn transpose_rows, transpose_rows_at(
        x: ArrayView2<f32>,
        scale: f32,
        to: &mut [f32],
    ) = transpose_rows_body;

    /// `dots_i = ⟨x_i, y_i⟩`, row by row.
    fn row_dots, row_dots_at(
        x: ArrayView2<f32>,
        y: ArrayView2<f32>,
        dots: &mut [f32],
    ) = row_dots_body;

    /// Scores in, `exp(s - max)` out.
    fn online, online_at(
        p: &mut TileMut,
        extents: [usize; 2],
        mask: Mask,
        max: &mut [f32; QUERIES],
        sum: &mut [f32; QUERIES],
        shrink: &mut [f32; QUERIES],
    ) = online_body;

    /// Scores and `dp` in, `p` and `ds` out.
    fn again, again_at(
        p: &mut TileMut,
        ds: &mut TileMut,
        extents: [usize; 2],
        mask: Mask,
        lse: &[f32; QUERIES],
        dot: &[f32; QUERIES],
    ) = again_body;
}

#[inline(always)]
fn add_rows_body<const FMA: bool>(x: Tile, mut to: ArrayViewMut2<f32>) {
    let rows = x.data.chunks(x.stride);
    for (to, x) in to.rows_mut().into_iter().zip(rows) {
        let to = to.into_slice().expect("flash_attention: a row has gaps");
        for (to, x) in to.iter_mut().zip(x) {
            *to += x;
        }
    }
}

#[inline(always)]
fn put_rows_body<const FMA: bool>(
    x: Tile,
    scale: f32,
    mut to: ArrayViewMut2<f32>,
) {
    let rows = x.data.chunks(x.stride);
    for (to, x) in to.rows_mut().into_iter().zip(rows) {
        let to = to.into_slice().expect("flash_attention: a row has gaps");
        for (to, x) in to.iter_mut().zip(x) {
            *to = x * scale;
        }
    }
}

#[inline(always)]
fn transpose_rows_body<const FMA: bool>(
    x: ArrayView2<f32>,
    scale: f32,
    to: &mut [f32],
) {
    let n = x.nrows();
    for first in (0..n).step_by(LANES) {
        let last = (first + LANES).min(n);
        // Sixteen columns of sixteen rows, zero where there is no row.
        let mut block = [[0.; LANES]; LANES];
        for c in (0..x.ncols()).step_by(LANES) {
            let to = to[c * QUERIES..].chunks_exact_mut(QUERIES);
            let width = LANES.min(x.ncols() - c);
            for (block, i) in block.iter_mut().zip(first..last) {
                let x = x.row(i).to_slice();
                let x = x.expect("flash_attention: a row has gaps");
                block[..width].copy_from_slice(&x[c..c + width]);
            }
            for (j, to) in to.take(width).enumerate() {
                let to = &mut to[first..first + LANES];
                for (to, row) in to.iter_mut().zip(&block) {
                    *to = row[j] * scale;
                }
            }
        }
    }
}

#[inline(always)]
fn row_dots_body<const FMA: bool>(
    x: ArrayView2<f32>,
    y: ArrayView2<f32>,
    dots: &mut [f32],
) {
    for ((x, y), dot) in x.rows().into_iter().zip(y.rows()).zip(dots) {
        let x = x.to_slice().expect("flash_attention: a row has gaps");
        let y = y.to_slice().expect("flash_attention: a row has gaps");
        let mut sums = [0.; LANES];
        let ((x, x_rest), (y, y_rest)) =
            (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in x.iter().zip(y) {
            for l in 0..LANES {
                sums[l] += x[l] * y[l];
            }
        }
        for ((sum, x), y) in sums.iter_mut().zip(x_rest).zip(y_rest) {
            *sum += x * y;
        }
        *dot = sums.iter().sum();
    }
}

#[inline(always)]
fn online_body<const FMA: bool>(
    p: &mut TileMut,
    [keys, wide]: [usize; 2],
    mask: Mask,
    max: &mut [f32; QUERIES],
    sum: &mut [f32; QUERIES],
    shrink: &mut [f32; QUERIES],
) {
    let (max, sum, shrink) =
        (&mut max[..wide], &mut sum[..wide], &mut shrink[..wide]);
    shrink.copy_from_slice(max);
    for (j, from) in mask.strips(keys) {
        for j in j {
            let row = &mut p.data[j * p.stride..][..wide];
            hide(j, mask, &mut row[from..], from);
            for (m, s) in max[from..].iter_mut().zip(&row[from..]) {
                *m = if *s > *m { *s } else { *m };
            }
        }
    }
    for ((shrink, m), sum) in shrink.iter_mut().zip(&*max).zip(&mut *sum) {
        *shrink = vmath::lane::exp::<FMA>(*shrink - m);
        *sum *= *shrink;
    }
    for (j, from) in mask.strips(keys) {
        for j in j {
            let row = &mut p.data[j * p.stride..][from..wide];
            for ((s, m), sum) in
                row.iter_mut().zip(&max[from..]).zip(&mut sum[from..])
            {
                *s = vmath::lane::exp::<FMA>(*s - m);
                *sum += *s;
            }
        }
    }
}

/// `-∞` for queries of the first vector that do not see key `j`.
#[inline(always)]
fn hide(j: usize, mask: Mask, row: &mut [f32], from: usize) {
    if !mask.none {
        let first = (j as isize + 1 - mask.limit).max(0) as usize;
        let hidden = first.saturating_sub(from).min(row.len());
        row[..hidden].fill(f32::NEG_INFINITY);
    }
}

#[inline(always)]
fn again_body<const FMA: bool>(
    p: &mut TileMut,
    ds: &mut TileMut,
    [keys, wide]: [usize; 2],
    mask: Mask,
    lse: &[f32; QUERIES],
    dot: &[f32; QUERIES],
) {
    for (j, from) in mask.strips(keys) {
        for j in j {
            let p = &mut p.data[j * p.stride..][from..wide];
            let ds = &mut ds.data[j * ds.stride..][from..wide];
            let (lse, dot) = (&lse[from..wide], &dot[from..wide]);
            hide(j, mask, p, from);
            for (((p, ds), lse), dot) in p.iter_mut().zip(ds).zip(lse).zip(dot)
            {
                *p = vmath::lane::exp::<FMA>(*p - lse);
                *ds = *p * (*ds - dot);
            }
        }
    }
}

/// One head.
fn at<'x>(x: &'x ArrayView3<f32>, h: usize) -> ArrayView2<'x, f32> {
    x.index_axis(Axis(0), h)
}

/// The heads of the only text.
fn text<T>(x: ArrayView4<'_, T>) -> ArrayView3<'_, T> {
    x.index_axis_move(Axis(0), 0)
}

fn text_mut<T>(x: ArrayViewMut4<'_, T>) -> ArrayViewMut3<'_, T> {
    x.index_axis_move(Axis(0), 0)
}

#[track_caller]
fn assert_gradients(x: [ArrayView4<f32>; 3], d: [&[usize]; 3]) {
    let x = [x[0].shape(), x[1].shape(), x[2].shape()];
    assert!(
        d == x,
        "flash_attention vjp: dq, dk, dv {d:?} do not fit q, k, v {x:?}"
    );
}

#[track_caller]
fn assert_lse(q: ArrayView4<f32>, lse: &[usize]) {
    let q = q.shape();
    assert!(
        lse == &q[..3],
        "flash_attention: lse {lse:?} does not fit q {q:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::flash_attention as textbook;
    use ndarray::{Array3, Array4};

    fn some(shape: [usize; 4], salt: usize) -> Array4<f32> {
        let mut i = salt * 7919;
        Array4::from_shape_simple_fn(shape, || {
            i = (i * 1103 + 12_345) % 65_536;
            i as f32 / 16_384. - 2.
        })
    }

    /// `y`, `lse`, `dq`, `dk`, `dv`.
    fn all(
        [b, h, n]: [usize; 3],
        [t, s, d, e]: [usize; 4],
        causal: bool,
    ) -> (Vec<Array4<f32>>, Array3<f32>) {
        let (q, k) = (some([b, h, t, d], 1), some([b, n, s, d], 2));
        let (v, dy) = (some([b, n, s, e], 3), some([b, h, t, e], 4));
        let mut y = dy.mapv(|_| f32::NAN);
        let mut lse = Array3::from_elem((b, h, t), f32::NAN);
        let qkv = [q.view(), k.view(), v.view()];
        let to = (y.view_mut(), lse.view_mut());
        forward(qkv[0], qkv[1], qkv[2], causal, to.0, to.1);
        let mut d = [&q, &k, &v].map(|x| x.mapv(|_| f32::NAN));
        let to = d.each_mut().map(|d| d.view_mut());
        vjp(qkv, y.view(), lse.view(), dy.view(), causal, to);
        let [dq, dk, dv] = d;
        (vec![y, dq, dk, dv], lse)
    }

    /// More than one tile of queries and of keys, with shared keys: both ways
    /// through the VJP, against the textbook.
    #[test]
    fn many_tiles() {
        for (texts, heads, keys) in [(1, 2, 1), (4, 2, 2)] {
            for (t, s, causal) in [(300, 300, true), (270, 150, false)] {
                let (d, e) = (17, 5);
                let sizes = [t, s, d, e];
                let (got, lse) = all([texts, heads, keys], sizes, causal);
                let wide = |x: Array4<f32>| x.mapv(f64::from);
                let q = wide(some([texts, heads, t, d], 1));
                let k = wide(some([texts, keys, s, d], 2));
                let v = wide(some([texts, keys, s, e], 3));
                let dy = wide(some([texts, heads, t, e], 4));
                let mut dk = k.mapv(|_| 0.);
                let mut dv = v.mapv(|_| 0.);
                let near = |got: ArrayView2<f32>, want: ArrayView2<f64>| {
                    let size = (&want * &want).sum().sqrt();
                    let off = got.mapv(f64::from) - want;
                    let off = (&off * &off).sum().sqrt();
                    assert!(off < 1e-5 * size, "{off:e} of {size:e}");
                };
                for b in 0..texts {
                    for h in 0..heads {
                        let g = h * keys / heads;
                        let q = q.slice(s![b, h, .., ..]);
                        let k = k.slice(s![b, g, .., ..]);
                        let v = v.slice(s![b, g, .., ..]);
                        let dy = dy.slice(s![b, h, .., ..]);
                        let (y, l) = textbook::forward(q, k, v, causal, 64);
                        near(got[0].slice(s![b, h, .., ..]), y.view());
                        let l = l.insert_axis(Axis(1));
                        let got_l = lse.slice(s![b, h, ..]);
                        near(got_l.insert_axis(Axis(1)), l.view());
                        let l = l.column(0);
                        let (y, qkv) = (y.view(), [q, k, v]);
                        let d = textbook::vjp(qkv, y, l, dy, causal, 64);
                        near(got[1].slice(s![b, h, .., ..]), d.0.view());
                        let mut sum = dk.slice_mut(s![b, g, .., ..]);
                        sum += &d.1;
                        let mut sum = dv.slice_mut(s![b, g, .., ..]);
                        sum += &d.2;
                    }
                    for g in 0..keys {
                        let at = s![b, g, .., ..];
                        near(got[2].slice(at), dk.slice(at));
                        near(got[3].slice(at), dv.slice(at));
                    }
                }
            }
        }
    }

    #[cfg(feature = "parallel")]
    #[test]
    fn same_bits_at_any_thread_count() {
        for heads in [[1, 2, 1], [2, 5, 5]] {
            let answers = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .expect("a pool");
                pool.install(|| all(heads, [520, 520, 8, 9], true))
            });
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0], answers[2]);
        }
    }
}
