//! Products of tiles: small matrices that lie packed in the cache.
//!
//! ```text
//! C ← [C +] A·B        product             A (m,k)   B (k,n)   C (m,n)
//! C ← [C +] Aᵀ·B       transposed_product  A (k,m)
//! ```
//!
//! The general product of [`gemm`](super::gemm) copies its factors into an
//! order of its own, on every call. For large matrices that is nothing; for a
//! tile of 128 by 64 that an algorithm multiplies once and throws away it can
//! take as long as the arithmetic. These two products read their factors where
//! they are. The caller sees to it that a row has no gaps and the rows of a
//! tile are not far apart, and that `n` is a multiple of [`LANES`].
//!
//! Four rows of `C` and up to four vectors of sixteen columns stay in
//! registers while `k` runs:
//!
//! ```text
//! c_ij ← c_ij + a_ip · b_pj      i = 0..4; j = 0..4; b_pj, c_ij vectors of 16
//! ```
//!
//! Eight loads serve sixteen multiply-adds, enough to keep the arithmetic
//! busy. Where vectors are shorter there are fewer registers to fill: then one
//! vector of columns at a time.

use super::simd::{Kind, Level, level, mul_add, vectorised};

/// The width of a vector: `n` is a multiple of it.
pub const LANES: usize = 16;

/// Rows of `C` in registers.
const ROWS: usize = 4;

/// `x` rounded up to a multiple of [`LANES`].
pub const fn padded(x: usize) -> usize {
    x.next_multiple_of(LANES)
}

/// A matrix in a slice: row `i` begins at `i·stride` and has no gaps.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// From the first number to the last, or beyond.
    pub data: &'a [f32],
    /// From one row to the next.
    pub stride: usize,
}

/// [`Tile`], to be written to.
#[derive(Debug)]
pub struct TileMut<'a> {
    /// From the first number to the last, or beyond.
    pub data: &'a mut [f32],
    /// From one row to the next.
    pub stride: usize,
}

impl<'a> Tile<'a> {
    /// Without the first `rows` rows and `columns` columns.
    #[inline]
    #[track_caller]
    pub fn from(self, rows: usize, columns: usize) -> Tile<'a> {
        Tile {
            data: &self.data[rows * self.stride + columns..],
            stride: self.stride,
        }
    }

    #[track_caller]
    fn assert_holds(&self, what: &str, rows: usize, columns: usize) {
        assert_holds(what, self.data.len(), self.stride, rows, columns);
    }
}

impl TileMut<'_> {
    /// Without the first `rows` rows and `columns` columns.
    #[inline]
    #[track_caller]
    pub fn from(&mut self, rows: usize, columns: usize) -> TileMut<'_> {
        TileMut {
            data: &mut self.data[rows * self.stride + columns..],
            stride: self.stride,
        }
    }

    /// To be read.
    #[inline]
    pub fn read(&self) -> Tile<'_> {
        Tile {
            data: self.data,
            stride: self.stride,
        }
    }
}

#[track_caller]
fn assert_holds(
    what: &str,
    len: usize,
    stride: usize,
    rows: usize,
    columns: usize,
) {
    let fits = rows == 0
        || columns == 0
        || columns <= stride && (rows - 1) * stride + columns <= len;
    assert!(
        fits,
        "tile: {what} ({rows}, {columns}) is not in {len} numbers, {stride} \
         from row to row"
    );
}

/// `C ← A·B`, or `C ← C + A·B` if `add`.
///
/// `mnk`: the extents of `a` (m,k), `b` (k,n) and `c` (m,n); `n` is a multiple
/// of [`LANES`].
///
/// # Panics
///
/// If `n` is not a multiple of [`LANES`], or a slice is too short.
///
/// ```
/// use backprop::engine::tile::{Tile, TileMut, product};
///
/// let (a, b) = ([2., 3.], [[1.; 16], [10.; 16]]);
/// let mut c = [100.; 16];
/// let a = Tile { data: &a, stride: 2 };
/// let b = Tile { data: b.as_flattened(), stride: 16 };
/// let to = TileMut { data: &mut c, stride: 16 };
/// product([1, 16, 2], a, b, to, true);
/// assert_eq!(c, [132.; 16]);
/// ```
#[inline]
#[track_caller]
pub fn product([m, n, k]: [usize; 3], a: Tile, b: Tile, c: TileMut, add: bool) {
    assert_fit([m, n, k], b, &c);
    a.assert_holds("a", m, k);
    if wide(level()) {
        wide_rows([m, n, k], a, b, c, add);
    } else {
        slim_rows([m, n, k], a, b, c, add);
    }
}

/// `C ← Aᵀ·B`, or `C ← C + Aᵀ·B` if `add`; otherwise as [`product`].
///
/// `mnk`: the extents of `a` (k,m), `b` (k,n) and `c` (m,n).
///
/// # Panics
///
/// If `n` is not a multiple of [`LANES`], or a slice is too short.
#[inline]
#[track_caller]
pub fn transposed_product(
    [m, n, k]: [usize; 3],
    a: Tile,
    b: Tile,
    c: TileMut,
    add: bool,
) {
    assert_fit([m, n, k], b, &c);
    a.assert_holds("a", k, m);
    if wide(level()) {
        wide_columns([m, n, k], a, b, c, add);
    } else {
        slim_columns([m, n, k], a, b, c, add);
    }
}

#[track_caller]
fn assert_fit([m, n, k]: [usize; 3], b: Tile, c: &TileMut) {
    assert!(
        n.is_multiple_of(LANES),
        "tile: {n} columns are not a multiple of {LANES}"
    );
    b.assert_holds("b", k, n);
    c.read().assert_holds("c", m, n);
}

/// Whether there are registers for four vectors of sixteen columns.
fn wide(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    return level.kind() == Kind::Avx512;
    #[cfg(not(target_arch = "x86_64"))]
    return level.kind() != Kind::Plain;
}

vectorised! {
    fn wide_rows, wide_rows_at(
        mnk: [usize; 3],
        a: Tile,
        b: Tile,
        c: TileMut,
        add: bool,
    ) = wide_rows_body;

    fn slim_rows, slim_rows_at(
        mnk: [usize; 3],
        a: Tile,
        b: Tile,
        c: TileMut,
        add: bool,
    ) = slim_rows_body;

    fn wide_columns, wide_columns_at(
        mnk: [usize; 3],
        a: Tile,
        b: Tile,
        c: TileMut,
        add: bool,
    ) = wide_columns_body;

    fn slim_columns, slim_columns_at(
        mnk: [usize; 3],
        a: Tile,
        b: Tile,
        c: TileMut,
        add: bool,
    ) = slim_columns_body;
}

#[inline(always)]
fn wide_rows_body<const FMA: bool>(
    mnk: [usize; 3],
    a: Tile,
    b: Tile,
    c: TileMut,
    add: bool,
) {
    panels::<4, false, FMA>(mnk, a, b, c, add);
}

#[inline(always)]
fn slim_rows_body<const FMA: bool>(
    mnk: [usize; 3],
    a: Tile,
    b: Tile,
    c: TileMut,
    add: bool,
) {
    panels::<1, false, FMA>(mnk, a, b, c, add);
}

#[inline(always)]
fn wide_columns_body<const FMA: bool>(
    mnk: [usize; 3],
    a: Tile,
    b: Tile,
    c: TileMut,
    add: bool,
) {
    panels::<4, true, FMA>(mnk, a, b, c, add);
}

#[inline(always)]
fn slim_columns_body<const FMA: bool>(
    mnk: [usize; 3],
    a: Tile,
    b: Tile,
    c: TileMut,
    add: bool,
) {
    panels::<1, true, FMA>(mnk, a, b, c, add);
}

/// Panels of `MOST` vectors of columns, then of 2 and of 1. `T`: `Aᵀ`.
#[inline(always)]
fn panels<const MOST: usize, const T: bool, const FMA: bool>(
    [m, n, k]: [usize; 3],
    a: Tile,
    b: Tile,
    mut c: TileMut,
    add: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            let rows = c.data.chunks_mut(c.stride).take(m);
            rows.for_each(|c| c[..n].fill(0.));
        }
        return;
    }
    let mut j = 0;
    while j + MOST * LANES <= n {
        panel::<MOST, T, FMA>(m, k, a, b.from(0, j), c.from(0, j), add);
        j += MOST * LANES;
    }
    while MOST > 2 && j + 2 * LANES <= n {
        panel::<2, T, FMA>(m, k, a, b.from(0, j), c.from(0, j), add);
        j += 2 * LANES;
    }
    while j < n {
        panel::<1, T, FMA>(m, k, a, b.from(0, j), c.from(0, j), add);
        j += LANES;
    }
}

/// `N` vectors of columns, all rows.
#[inline(always)]
fn panel<const N: usize, const T: bool, const FMA: bool>(
    m: usize,
    k: usize,
    a: Tile,
    b: Tile,
    mut c: TileMut,
    add: bool,
) {
    let mut i = 0;
    while i + ROWS <= m {
        if T {
            let sums = columns::<ROWS, N, FMA>(k, a.from(0, i), b);
            put(&sums, c.from(i, 0), add);
        } else {
            let sums = rows::<N, FMA>(k, a.from(i, 0), b);
            put(&sums, c.from(i, 0), add);
        }
        i += ROWS;
    }
    while i < m {
        let sums = if T {
            columns::<1, N, FMA>(k, a.from(0, i), b)
        } else {
            row::<N, FMA>(k, a.from(i, 0), b)
        };
        put(&sums, c.from(i, 0), add);
        i += 1;
    }
}

type Sums<const M: usize, const N: usize> = [[[f32; LANES]; N]; M];

/// `Σ_p a_ip · b_p`, four rows of `a`.
#[inline(always)]
fn rows<const N: usize, const FMA: bool>(
    k: usize,
    a: Tile,
    b: Tile,
) -> Sums<ROWS, N> {
    let mut sums = [[[0.; LANES]; N]; ROWS];
    let [a0, a1, a2, a3] =
        std::array::from_fn(|i| &a.data[i * a.stride..][..k]);
    let a = a0.iter().zip(a1).zip(a2).zip(a3);
    for ((((a0, a1), a2), a3), b) in a.zip(b.data.chunks(b.stride)) {
        let Some(b) = vectors(b) else { break };
        step::<ROWS, N, FMA>(&mut sums, &[*a0, *a1, *a2, *a3], b);
    }
    sums
}

/// `Σ_p a_p · b_p`, one row of `a`.
#[inline(always)]
fn row<const N: usize, const FMA: bool>(
    k: usize,
    a: Tile,
    b: Tile,
) -> Sums<1, N> {
    let mut sums = [[[0.; LANES]; N]; 1];
    for (a, b) in a.data[..k].iter().zip(b.data.chunks(b.stride)) {
        let Some(b) = vectors(b) else { break };
        step::<1, N, FMA>(&mut sums, &[*a], b);
    }
    sums
}

/// `Σ_p a_pi · b_p`, `M` columns of `a`.
#[inline(always)]
fn columns<const M: usize, const N: usize, const FMA: bool>(
    k: usize,
    a: Tile,
    b: Tile,
) -> Sums<M, N> {
    let mut sums = [[[0.; LANES]; N]; M];
    let a = a.data.chunks(a.stride).take(k);
    for (a, b) in a.zip(b.data.chunks(b.stride)) {
        let (Some(a), Some(b)) = (a.first_chunk(), vectors(b)) else {
            break;
        };
        step::<M, N, FMA>(&mut sums, a, b);
    }
    sums
}

/// The first `N` vectors of a row. There always are as many: to find out
/// without a panic keeps the loops above free of calls.
#[inline(always)]
fn vectors<const N: usize>(row: &[f32]) -> Option<&[[f32; LANES]; N]> {
    row.as_chunks::<LANES>().0.first_chunk()
}

#[inline(always)]
fn step<const M: usize, const N: usize, const FMA: bool>(
    sums: &mut Sums<M, N>,
    a: &[f32; M],
    b: &[[f32; LANES]; N],
) {
    for i in 0..M {
        for j in 0..N {
            sums[i][j] = multiply_add::<FMA>(a[i], &b[j], sums[i][j]);
        }
    }
}

/// `a·b + c`, one vector. On its own, so that the compiler finds these sixteen
/// lanes and not some others among the `M·N·16` of a step.
#[inline(always)]
fn multiply_add<const FMA: bool>(
    a: f32,
    b: &[f32; LANES],
    c: [f32; LANES],
) -> [f32; LANES] {
    std::array::from_fn(|l| mul_add::<FMA>(a, b[l], c[l]))
}

#[inline(always)]
fn put<const M: usize, const N: usize>(
    sums: &Sums<M, N>,
    c: TileMut,
    add: bool,
) {
    for (sums, c) in sums.iter().zip(c.data.chunks_mut(c.stride)) {
        let c = c.as_chunks_mut::<LANES>().0.first_chunk_mut::<N>();
        let Some(c) = c else { break };
        for j in 0..N {
            c[j] = if add { sum(&c[j], &sums[j]) } else { sums[j] };
        }
    }
}

#[inline(always)]
fn sum(a: &[f32; LANES], b: &[f32; LANES]) -> [f32; LANES] {
    std::array::from_fn(|l| a[l] + b[l])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::levels;
    use ndarray::{Array2, s};

    /// Whole numbers: every copy of the code gives the exact result.
    fn whole(rows: usize, columns: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 7919 + j * 31 + salt) % 17) as f32 - 8.
        })
    }

    fn tile(x: &Array2<f32>) -> Tile<'_> {
        Tile {
            data: x.as_slice().expect("row-major"),
            stride: x.ncols(),
        }
    }

    /// Both widths at all levels, also where another is chosen.
    #[test]
    fn every_level_agrees_with_ndarray() {
        for (m, k) in [(0, 3), (1, 1), (4, 0), (5, 7), (8, 64), (31, 3)] {
            for n in [0, 16, 32, 48, 64, 80, 144] {
                for add in [false, true] {
                    let kernels = [wide_rows_at, slim_rows_at];
                    agrees([m, n, k], add, false, kernels);
                    let kernels = [wide_columns_at, slim_columns_at];
                    agrees([m, n, k], add, true, kernels);
                }
            }
        }
    }

    type Kernel = fn(Level, [usize; 3], Tile, Tile, TileMut, bool);

    fn agrees(
        [m, n, k]: [usize; 3],
        add: bool,
        turned: bool,
        kernels: [Kernel; 2],
    ) {
        // Wider than needed: what is beyond is not touched.
        let a = if turned {
            whole(k, m + 2, 1)
        } else {
            whole(m, k + 3, 1)
        };
        let (b, start) = (whole(k, n + 5, 2), whole(m, n + 1, 3));
        let used = if turned {
            a.slice(s![.., ..m]).reversed_axes()
        } else {
            a.slice(s![.., ..k])
        };
        let keep = if add { 1. } else { 0. };
        let mut want = start.clone();
        want.slice_mut(s![.., ..n]).zip_mut_with(
            &used.dot(&b.slice(s![.., ..n])),
            |c, p| {
                *c = *c * keep + p;
            },
        );
        for level in levels() {
            for kernel in kernels {
                let mut c = start.clone();
                let to = TileMut {
                    stride: n + 1,
                    data: c.as_slice_mut().expect("row-major"),
                };
                kernel(*level, [m, n, k], tile(&a), tile(&b), to, add);
                assert_eq!(c, want, "{level:?} {:?} {turned}", [m, n, k]);
            }
        }
    }

    #[test]
    #[should_panic(expected = "b (3, 16) is not in 47 numbers, 16 from row")]
    fn a_slice_that_is_too_short() {
        let (a, b, mut c) = ([0.; 3], [0.; 47], [0.; 16]);
        let (a, b) = (
            Tile {
                data: &a,
                stride: 3,
            },
            Tile {
                data: &b,
                stride: 16,
            },
        );
        let c = TileMut {
            data: &mut c,
            stride: 16,
        };
        product([1, 16, 3], a, b, c, false);
    }

    #[test]
    #[should_panic(expected = "10 columns are not a multiple of 16")]
    fn a_ragged_width() {
        let a = Tile {
            data: &[0.; 20],
            stride: 10,
        };
        let mut c = [0.; 10];
        let c = TileMut {
            data: &mut c,
            stride: 10,
        };
        product([1, 10, 1], a, a, c, false);
    }
}
