//! The ladder of the matrix product, from the formula to the version that
//! models use.                                        book: speed/cpu
//!
//!   c_ij = Σ_p a_ip·b_pj         a (m,k), b (k,n) -> c (m,n)
//!
//! Each rung writes the product over `c`, all three row-major, and changes one
//! thing of the rung before it. All agree to rounding. The time of each is
//! measured by `cargo bench --bench gemm -- ladder`.

use crate::engine::gemm::matmul_into;
use crate::engine::rows::{self, GRAIN};
use crate::engine::simd::{mul_add, vectorised};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, aview2, s};
use std::array;

/// `a` (m,k), `b` (k,n), and `c` (m,n), which is overwritten.
pub type Rung = fn(&Array2<f32>, &Array2<f32>, &mut Array2<f32>);

/// The rungs, from the lowest to the highest, with their names.
pub const LADDER: [(&str, Rung); 8] = [
    ("dots", dots),
    ("rows", rows),
    ("vectorised", vectorised),
    ("blocked", blocked),
    ("tiled", tiled),
    ("packed", packed),
    ("threads", threads),
    ("engine", engine),
];

/// As the formula reads, i, j, p: each entry a dot product. The numbers of a
/// column of `b` lie n apart, and a sum may not be reordered: one number at a
/// time.
// ANCHOR: dots
pub fn dots(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    for i in 0..a.nrows() {
        for j in 0..b.ncols() {
            let mut sum = 0.;
            for p in 0..a.ncols() {
                sum += a[[i, p]] * b[[p, j]];
            }
            c[[i, j]] = sum;
        }
    }
}
// ANCHOR_END: dots

/// The loops as i, p, j: a row of `c` is a sum of rows of `b`. The inner loop
/// runs along memory, and its sums do not depend on one another, so the
/// compiler takes several at a time.
// ANCHOR: rows
pub fn rows(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    c.fill(0.);
    for (a, c) in slices(a).zip(slices_mut(c)) {
        for (a, b) in a.iter().zip(slices(b)) {
            for (c, b) in c.iter_mut().zip(b) {
                *c += a * b;
            }
        }
    }
}
// ANCHOR_END: rows

/// The same loop, compiled for the widest vectors that the processor has, with
/// multiplication and addition in one instruction.
// ANCHOR: vectorised
pub fn vectorised(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    c.fill(0.);
    let (n, b) = (b.ncols(), b.as_slice().expect("row-major"));
    for (a, c) in slices(a).zip(slices_mut(c)) {
        add_rows(a, b, n, c);
    }
}

vectorised! {
    /// `c_j ← c_j + Σ_p a_p·b_pj`; the rows of `b` begin `n` numbers apart.
    fn add_rows, add_rows_at(a: &[f32], b: &[f32], n: usize, c: &mut [f32])
        = add_rows_body;
}

#[inline(always)]
fn add_rows_body<const FMA: bool>(
    a: &[f32],
    b: &[f32],
    n: usize,
    c: &mut [f32],
) {
    for (a, b) in a.iter().zip(b.chunks(n.max(1))) {
        for (c, b) in c.iter_mut().zip(b) {
            *c = mul_add::<FMA>(*a, *b, *c);
        }
    }
}
// ANCHOR_END: vectorised

/// Block by block: 128 rows of `b`, cut to 512 columns, stay in the second
/// cache (a quarter of a megabyte) while all rows of `c` use them.
// ANCHOR: blocked
pub fn blocked(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    c.fill(0.);
    let ((k, n), b) = (b.dim(), b.as_slice().expect("row-major"));
    for p in (0..k).step_by(128) {
        for j in (0..n).step_by(512) {
            for (a, c) in slices(a).zip(slices_mut(c)) {
                let a = &a[p..k.min(p + 128)];
                let c = &mut c[j..n.min(j + 512)];
                add_rows(a, &b[p * n + j..], n, c);
            }
        }
    }
}
// ANCHOR_END: blocked

// ANCHOR: tile
/// A tile of `c`, small enough for registers: 6 rows of 16 columns, 6 vectors
/// with AVX-512 and 12 with AVX2, so that a sum's next addition finds the last
/// one done.
type Tile = [[f32; 16]; 6];

/// `Σ_p a_rp·b_pj` for the 6 rows `r` and 16 columns `j` of a tile.
#[inline(always)]
fn sums<'b, const FMA: bool>(
    inner: impl Iterator<Item = ([f32; 6], &'b [f32; 16])>,
) -> Tile {
    let mut sums = Tile::default();
    for (a, b) in inner {
        for (a, sums) in a.iter().zip(&mut sums) {
            for (b, sum) in b.iter().zip(sums) {
                *sum = mul_add::<FMA>(*a, *b, *sum);
            }
        }
    }
    sums
}
// ANCHOR_END: tile

vectorised! {
    /// A tile from rows of `a`, `k` numbers apart, and of `b`, `n` apart.
    fn loose, loose_at(a: &[f32], b: &[f32], k: usize, n: usize) -> Tile
        = loose_body;

    /// A tile from numbers that lie in the order in which they are needed.
    fn close, close_at(a: &[[f32; 6]], b: &[[f32; 16]]) -> Tile = close_body;
}

#[inline(always)]
fn loose_body<const FMA: bool>(
    a: &[f32],
    b: &[f32],
    k: usize,
    n: usize,
) -> Tile {
    let a: [&[f32]; 6] = array::from_fn(|r| &a[r * k..][..k]);
    sums::<FMA>(b.chunks(n).take(k).enumerate().map(|(p, b)| {
        let b = b.first_chunk().expect("16 columns");
        (array::from_fn(|r| a[r][p]), b)
    }))
}

#[inline(always)]
fn close_body<const FMA: bool>(a: &[[f32; 6]], b: &[[f32; 16]]) -> Tile {
    sums::<FMA>(a.iter().copied().zip(b))
}

/// A tile of `c` at a time, kept in registers while all of the inner index
/// passes by: 6 numbers of `a` and 16 of `b` are read for 96 multiplications.
/// Before, every multiplication read its number of `c` and wrote it.
// ANCHOR: tiled
pub fn tiled(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    c.fill(0.);
    let ((m, k), n) = (a.dim(), b.ncols());
    if k == 0 || n == 0 {
        return;
    }
    let (whole_m, whole_n) = (m - m % 6, n - n % 16);
    let a_all = a.as_slice().expect("row-major");
    let b_all = b.as_slice().expect("row-major");
    for j in (0..whole_n).step_by(16) {
        for i in (0..whole_m).step_by(6) {
            let tile = loose(&a_all[i * k..], &b_all[j..], k, n);
            c.slice_mut(s![i..i + 6, j..j + 16]).assign(&aview2(&tile));
        }
    }
    for (i, (a, c)) in slices(a).zip(slices_mut(c)).enumerate() {
        let rest = if i < whole_m { whole_n } else { 0 };
        add_rows(a, &b_all[rest..], n, &mut c[rest..]);
    }
}
// ANCHOR_END: tiled

/// How much of the inner index is packed at a time.
const DEPTH: usize = 256;

/// Both factors copied to where they are read one number after the other:
/// before, the rows of `b` lay n numbers apart, each in another page of memory,
/// competing for the same few places of the cache.
// ANCHOR: packed
pub fn packed(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    c.fill(0.);
    for p in (0..b.nrows()).step_by(DEPTH) {
        let depth = p..b.nrows().min(p + DEPTH);
        let panels = panels(b.slice(s![depth.clone(), ..]));
        strips(a.slice(s![.., depth]), &panels, c.view_mut());
    }
}

/// 16 columns of `b` after the other; the last ones are filled up with zeros.
fn panels(b: ArrayView2<f32>) -> Vec<[f32; 16]> {
    let mut panels = vec![[0.; 16]; b.nrows() * b.ncols().div_ceil(16)];
    let each = panels.chunks_exact_mut(b.nrows());
    for (panel, b) in each.zip(b.axis_chunks_iter(Axis(1), 16)) {
        for (to, b) in panel.iter_mut().zip(b.rows()) {
            let b = b.to_slice().expect("row-major");
            to[..b.len()].copy_from_slice(b);
        }
    }
    panels
}

/// Adds the product of `a` and the panels to `c`, six rows at a time.
fn strips(a: ArrayView2<f32>, panels: &[[f32; 16]], mut c: ArrayViewMut2<f32>) {
    let depth = a.ncols();
    let mut strip = [[0.; 6]; DEPTH];
    let of_c = c.axis_chunks_iter_mut(Axis(0), 6);
    for (a, mut c) in a.axis_chunks_iter(Axis(0), 6).zip(of_c) {
        for (r, a) in a.rows().into_iter().enumerate() {
            for (to, a) in strip.iter_mut().zip(a) {
                to[r] = *a;
            }
        }
        let of_c = c.axis_chunks_iter_mut(Axis(1), 16);
        for (panel, mut c) in panels.chunks_exact(depth).zip(of_c) {
            let tile = close(&strip[..depth], panel);
            for (c, sums) in c.rows_mut().into_iter().zip(&tile) {
                c.into_iter().zip(sums).for_each(|(c, sum)| *c += sum);
            }
        }
    }
}
// ANCHOR_END: packed

/// Bands of 48 rows of `c`, shared out among the cores. No sum is cut, so the
/// bits are those of one core.
// ANCHOR: threads
pub fn threads(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    c.fill(0.);
    for p in (0..b.nrows()).step_by(DEPTH) {
        let depth = p..b.nrows().min(p + DEPTH);
        let panels = panels(b.slice(s![depth.clone(), ..]));
        let a = a.slice(s![.., depth]);
        rows::for_each((a, c.view_mut()), GRAIN / 48, |_, (a, c)| {
            strips(a, &panels, c);
        });
    }
}
// ANCHOR_END: threads

/// What models use, [`engine::gemm`](crate::engine::gemm): the same ideas,
/// with a tile for each kind of processor and blocks cut to fit its caches.
// ANCHOR: engine
pub fn engine(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) {
    matmul_into(a.view(), b.view(), c.view_mut());
}
// ANCHOR_END: engine

fn slices(x: &Array2<f32>) -> impl Iterator<Item = &[f32]> {
    x.rows()
        .into_iter()
        .map(|row| row.to_slice().expect("row-major"))
}

fn slices_mut(x: &mut Array2<f32>) -> impl Iterator<Item = &mut [f32]> {
    x.rows_mut()
        .into_iter()
        .map(|row| row.into_slice().expect("row-major"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::levels;

    /// Small whole numbers: every sum is exact, in any order.
    fn whole(rows: usize, cols: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, cols), |(i, j)| {
            ((i * 7919 + j * 104_729 + salt * 31) % 1009 % 17) as f32 - 8.
        })
    }

    #[test]
    fn every_rung_is_the_product() {
        const SIZES: [usize; 7] = [0, 1, 7, 8, 32, 33, 129];
        for m in SIZES {
            for n in SIZES {
                for k in SIZES {
                    let (a, b) = (whole(m, k, 1), whole(k, n, 2));
                    let want = a.dot(&b);
                    for (name, rung) in LADDER {
                        let mut c = Array2::from_elem((m, n), f32::NAN);
                        rung(&a, &b, &mut c);
                        assert_eq!(c, want, "{name} {m}x{n}x{k}");
                    }
                }
            }
        }
    }

    #[test]
    fn more_than_one_block_and_band() {
        let (a, b) = (whole(600, 530, 1), whole(530, 1030, 2));
        let want = a.dot(&b);
        for (name, rung) in &LADDER[1..] {
            let mut c = Array2::from_elem((600, 1030), f32::NAN);
            rung(&a, &b, &mut c);
            assert_eq!(c, want, "{name}");
        }
    }

    #[test]
    fn tiles_at_every_level() {
        let (a, b) = (whole(6, 40, 1), whole(40, 16, 2));
        let (a_all, b_all) = (a.as_slice().unwrap(), b.as_slice().unwrap());
        let mut strip = [[0.; 6]; 40];
        strip.iter_mut().zip(a.columns()).for_each(|(to, a)| {
            to.iter_mut().zip(a).for_each(|(to, a)| *to = *a);
        });
        for level in levels() {
            let tile = loose_at(*level, a_all, b_all, 40, 16);
            assert_eq!(aview2(&tile), a.dot(&b));
            let tile = close_at(*level, &strip, b_all.as_chunks().0);
            assert_eq!(aview2(&tile), a.dot(&b));
        }
    }

    #[test]
    #[cfg(feature = "parallel")]
    fn threads_give_the_bits_of_one() {
        let (a, b) = (whole(700, 300, 1) / 7., whole(300, 40, 2) / 11.);
        let mut want = Array2::zeros((700, 40));
        packed(&a, &b, &mut want);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let mut c = Array2::zeros((700, 40));
            pool.build()
                .expect("a pool")
                .install(|| super::threads(&a, &b, &mut c));
            assert_eq!(c, want);
        }
    }
}
