//! The ladder of causal attention, from the formula to the version that models
//! use.                                               book: speed/cpu
//!
//!   s = q·kᵀ/√d,   p = softmax(s), where s_ij = -∞ for j > i,   y = p·v
//!
//!   q, k, v (H,T,d) -> y (H,T,d), head by head
//!
//! Each rung writes the mixtures over `y` and changes one thing of the rung
//! before it. All agree to rounding, and all subtract each row's maximum. The
//! time of each is measured by `cargo bench --bench attention -- ladder`.

use super::softmax::{self, exp_and_sum, largest_of};
use crate::engine::gemm::gemm_serial;
use crate::engine::simd::vectorised;
use crate::engine::vmath::lane;
use crate::scale::flash_attention::fused as flash;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, azip, s};
use std::ops::Range;

/// `q`, `k` and `v` (H,T,d), and `y` (H,T,d), which is overwritten.
pub type Rung = fn([&Array3<f32>; 3], &mut Array3<f32>);

/// The rungs, from the lowest to the highest, with their names.
pub const LADDER: [(&str, Rung); 7] = [
    ("naive", naive),
    ("products", products),
    ("vectorised", vectorised),
    ("below", below),
    ("online", online),
    ("packed", packed),
    ("threads", threads),
];

/// As the formula reads, query by query and key by key. A score is a dot
/// product, whose sum may not be reordered: one number at a time.
// ANCHOR: naive
pub fn naive(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    y.fill(0.);
    each_head(qkv, y, |[q, k, v], mut y| {
        let (t, d) = q.dim();
        let mut p = vec![0.; t];
        for i in 0..t {
            for j in 0..t {
                let mut dot = 0.;
                for c in 0..d {
                    dot += q[[i, c]] * k[[j, c]];
                }
                let hidden = j > i;
                p[j] = if hidden {
                    f32::NEG_INFINITY
                } else {
                    dot * scale(d)
                };
            }
            standard_softmax(&mut p);
            for j in 0..t {
                for c in 0..d {
                    y[[i, c]] += p[j] * v[[j, c]];
                }
            }
        }
    });
}
// ANCHOR_END: naive

/// Scores and mixtures as matrix products, which use every number they load
/// for many multiplications, in whole vectors. The price is `p` (T,T), whole:
/// it is read and written several times over, and soon larger than the cache.
// ANCHOR: products
pub fn products(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    with_p_whole(qkv, y, standard_softmax);
}

fn with_p_whole(
    qkv: [&Array3<f32>; 3],
    y: &mut Array3<f32>,
    softmax: fn(&mut [f32]),
) {
    let t = y.len_of(Axis(1));
    let mut p = Array2::zeros((t, t));
    each_head(qkv, y, |[q, k, v], y| {
        gemm_serial(scale(q.ncols()), q, k.t(), 0., p.view_mut());
        for (i, mut p) in p.rows_mut().into_iter().enumerate() {
            let p = p.as_slice_mut().expect("row-major");
            p[i + 1..].fill(f32::NEG_INFINITY);
            softmax(p);
        }
        gemm_serial(1., p.view(), v, 0., y);
    });
}
// ANCHOR_END: products

/// The highest rung of the ladder of [softmax]: with the products fast, the
/// exponentials, one call for each, take most of the time.
// ANCHOR: vectorised
pub fn vectorised(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    with_p_whole(qkv, y, softmax::row);
}
// ANCHOR_END: vectorised

/// The mask by not computing: a block of queries is multiplied with the keys up
/// to its own end alone. For a long text that is half of the work, and half of
/// `p` is never touched.
// ANCHOR: below
pub fn below(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    let t = y.len_of(Axis(1));
    let mut p = Array2::zeros((t, t));
    each_head(qkv, y, |[q, k, v], mut y| {
        for rows in blocks(t) {
            let (q, seen) = (q.slice(s![rows.clone(), ..]), rows.end);
            let (k, v) = (k.slice(s![..seen, ..]), v.slice(s![..seen, ..]));
            let mut p = p.slice_mut(s![rows.clone(), ..seen]);
            gemm_serial(scale(q.ncols()), q, k.t(), 0., p.view_mut());
            for (i, mut p) in rows.clone().zip(p.rows_mut()) {
                let p = p.as_slice_mut().expect("row-major");
                softmax::row(&mut p[..=i]);
                p[i + 1..].fill(0.);
            }
            gemm_serial(1., p.view(), v, 0., y.slice_mut(s![rows, ..]));
        }
    });
}
// ANCHOR_END: below

/// Keys block by block too, with a running maximum and a running sum for each
/// query: one tile of `p` instead of all of it, in the cache from its scores
/// to its mixtures. Memory no longer grows with T². At 1024 tokens that buys
/// room and no time: one `p` still fits in the last cache.
// ANCHOR: online
pub fn online(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    y.fill(0.);
    let mut tile = Array2::zeros((BLOCK, BLOCK));
    each_head(qkv, y, |[q, k, v], mut y| {
        for rows in blocks(q.nrows()) {
            let q = q.slice(s![rows.clone(), ..]);
            let mut y = y.slice_mut(s![rows.clone(), ..]);
            let (mut max, mut sum) = ([f32::NEG_INFINITY; BLOCK], [0.; BLOCK]);
            for keys in blocks(rows.end) {
                let k = k.slice(s![keys.clone(), ..]);
                let v = v.slice(s![keys.clone(), ..]);
                let mut p = tile.slice_mut(s![..rows.len(), ..keys.len()]);
                gemm_serial(scale(q.ncols()), q, k.t(), 0., p.view_mut());
                for (i, mut p) in p.rows_mut().into_iter().enumerate() {
                    let p = p.as_slice_mut().expect("row-major");
                    let seen = p.len().min(rows.start + i + 1 - keys.start);
                    p[seen..].fill(0.);
                    let p = &mut p[..seen];
                    let mut y = y.row_mut(i);
                    y *= more_keys(p, &mut max[i], &mut sum[i]);
                }
                gemm_serial(1., p.view(), v, 1., y.view_mut());
            }
            azip!((mut y in y.rows_mut(), sum in &sum[..rows.len()]) {
                y /= *sum;
            });
        }
    });
}

vectorised! {
    /// Scores in, `exp(s - max)` out, with the new maximum and the sum over
    /// all keys so far. What came before is to be multiplied by the result.
    fn more_keys, more_keys_at(s: &mut [f32], max: &mut f32, sum: &mut f32)
        -> f32 = more_keys_body;
}

#[inline(always)]
fn more_keys_body<const FMA: bool>(
    s: &mut [f32],
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    let before = *max;
    *max = max.max(largest_of(s));
    let shrink = lane::exp::<FMA>(before - *max);
    *sum = *sum * shrink + exp_and_sum::<FMA>(s, *max);
    shrink
}
// ANCHOR_END: online

/// The same tiles through [`engine::tile`](crate::engine::tile), which
/// multiplies them as they lie. The general product copies its factors first,
/// which pays where a copy is used often, and a tile is used once. Scores lie
/// with a column for each query, so that no sum or maximum runs across a
/// vector; see [`flash_attention::fused`](flash).
// ANCHOR: packed
pub fn packed(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    each_head(qkv, y, |[q, k, v], mut y| {
        let mut lse = vec![0.; q.nrows()];
        let of_q = q.axis_chunks_iter(Axis(0), flash::QUERIES);
        let of_y = y.axis_chunks_iter_mut(Axis(0), flash::QUERIES);
        let of_lse = lse.chunks_mut(flash::QUERIES);
        for (i, ((q, y), lse)) in of_q.zip(of_y).zip(of_lse).enumerate() {
            let first = i * flash::QUERIES;
            flash::block(first, [q, k, v], true, y, lse.into());
        }
    });
}
// ANCHOR_END: packed

/// What models use: heads, and blocks of their queries, shared out among the
/// cores. No sum is cut, so the bits are those of one core.
// ANCHOR: threads
pub fn threads(qkv: [&Array3<f32>; 3], y: &mut Array3<f32>) {
    let (h, t, _) = y.dim();
    let mut lse = Array3::zeros((1, h, t));
    let [q, k, v] = qkv.map(|x| x.view().insert_axis(Axis(0)));
    let y = y.view_mut().insert_axis(Axis(0));
    flash::forward(q, k, v, true, y, lse.view_mut());
}
// ANCHOR_END: threads

/// Queries, or keys, in a block.
const BLOCK: usize = 128;

fn blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(BLOCK).map(move |i| i..n.min(i + BLOCK))
}

fn scale(d: usize) -> f32 {
    1. / (d as f32).sqrt()
}

/// Calls `f([q, k, v], y)` for one head after the other.
fn each_head(
    qkv: [&Array3<f32>; 3],
    y: &mut Array3<f32>,
    mut f: impl FnMut([ArrayView2<f32>; 3], ArrayViewMut2<f32>),
) {
    for (h, y) in y.outer_iter_mut().enumerate() {
        f(qkv.map(|x| x.index_axis(Axis(0), h)), y);
    }
}

/// One row, in place, with the standard library's exponential.
fn standard_softmax(x: &mut [f32]) {
    let m = x.iter().fold(f32::NEG_INFINITY, |m, x| m.max(*x));
    let mut sum = 0.;
    for x in &mut *x {
        *x = (*x - m).exp();
        sum += *x;
    }
    x.iter_mut().for_each(|x| *x /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transformer::attention;

    fn some(shape: (usize, usize, usize), salt: usize) -> Array3<f32> {
        let mut i = salt * 7919;
        Array3::from_shape_simple_fn(shape, || {
            i = (i * 1103 + 12_345) % 65_536;
            i as f32 / 16_384. - 2.
        })
    }

    #[test]
    fn every_rung_is_attention() {
        for t in [1, 17, 129, 300] {
            for d in [16, 64] {
                let [q, k, v] = [1, 2, 3].map(|salt| some((2, t, d), salt));
                for (name, rung) in LADDER {
                    let mut y = Array3::from_elem((2, t, d), f32::NAN);
                    rung([&q, &k, &v], &mut y);
                    for h in 0..2 {
                        let [q, k, v] = [&q, &k, &v]
                            .map(|x| x.index_axis(Axis(0), h).mapv(f64::from));
                        let (q, k, v) = (q.view(), k.view(), v.view());
                        let (want, _) = attention::forward(q, k, v, true);
                        let y = y.index_axis(Axis(0), h).mapv(f64::from);
                        assert!(y.iter().all(|y| y.is_finite()), "{name}");
                        let off =
                            (y - want).fold(0., |m: f64, d| m.max(d.abs()));
                        assert!(off < 2e-6, "{name} T{t} d{d}: {off:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_rung_overflows() {
        let [q, k, v] = [1e4, 1e4, 1.].map(|size| some((1, 150, 16), 5) * size);
        let (low, high) = (v.fold(0., |m: f32, v| m.min(*v)), 2.);
        for (name, rung) in LADDER {
            let mut y = Array3::from_elem(v.dim(), f32::NAN);
            rung([&q, &k, &v], &mut y);
            assert!(y.iter().all(|y| (low..=high).contains(y)), "{name}");
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let [q, k, v] = [1, 2, 3].map(|salt| some((3, 600, 16), salt));
        let [mut one, mut all] = [&v, &v].map(|v| v.mapv(|_| f32::NAN));
        packed([&q, &k, &v], &mut one);
        threads([&q, &k, &v], &mut all);
        assert_eq!(one, all);
    }
}
