//! Products with few columns, in `f32`: the last layer of a classifier.
//!
//! ```text
//! C (m,n) ← β·C + α·A·B       4 ≤ n ≤ 16, many rows
//! ```
//!
//! A network with ten classes multiplies (B,128) by (128,10), and its gradient
//! (128,B) by (B,10). General kernels are made for wide tiles: they pack the
//! factors into buffers and fill half of every vector with nothing. Here one
//! row of `C`, filled up to sixteen, *is* one vector. Eight such rows stay
//! in registers while `k` runs:
//!
//! ```text
//! c_i ← c_i + a_ik · b_k      c_i, b_k vectors of 16; i = 0..8; a_ik one number
//! ```
//!
//! Every `b_k` is read once for eight rows, `A` may have any strides since its
//! entries are read singly, and nothing is allocated. On the shapes above this
//! takes about a third of the time of the general kernel.

use crate::engine::simd::{mul_add, vectorised};
use ndarray::{ArrayView2, ArrayViewMut2, s};

/// The width of a vector.
const WIDTH: usize = 16;
/// Rows of `C` in registers.
const ROWS: usize = 8;
/// Rows of `B` copied at a time: 8 KiB, on the stack.
const DEPTH: usize = 128;

/// Does `C ← β·C + α·A·B` if the shapes are those that this is made for; says
/// whether it did.
pub(super) fn try_product(
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    c: ArrayViewMut2<f32>,
) -> bool {
    let (m, n) = c.dim();
    let fits = (4..=WIDTH).contains(&n) && m >= ROWS && a.ncols() >= 4;
    if fits {
        product(alpha, a, b, beta, c);
    }
    fits
}

vectorised! {
    /// `C ← β·C + α·A·B`, shapes already checked. `C` is not read if `β = 0`.
    fn product, product_at(
        alpha: f32,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        beta: f32,
        c: ArrayViewMut2<f32>,
    ) = body;
}

#[inline(always)]
fn body<const FMA: bool>(
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    mut beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    let m = c.nrows();
    let mut panel = [[0.0; WIDTH]; DEPTH];
    for first in (0..a.ncols()).step_by(DEPTH) {
        let last = (first + DEPTH).min(a.ncols());
        let panel = &mut panel[..last - first];
        fill(panel, b.slice(s![first..last, ..]));
        let a = a.slice(s![.., first..last]);
        let whole = m - m % ROWS;
        for i in (0..whole).step_by(ROWS) {
            let sums = rows::<ROWS, FMA>(a, i, panel);
            add(alpha, &sums, beta, &mut c, i);
        }
        for i in whole..m {
            let sums = rows::<1, FMA>(a, i, panel);
            add(alpha, &sums, beta, &mut c, i);
        }
        beta = 1.0;
    }
}

/// Copies `b` into the panel, row by row. What fills a row up to sixteen only
/// reaches columns of `C` that do not exist; so a row of plain memory is copied
/// with whatever follows it, at once.
#[inline(always)]
fn fill(panel: &mut [[f32; WIDTH]], b: ArrayView2<f32>) {
    let n = b.ncols();
    match b.as_slice() {
        Some(flat) => {
            for (p, row) in panel.iter_mut().enumerate() {
                match flat[p * n..].first_chunk() {
                    Some(many) => *row = *many,
                    None => row[..n].copy_from_slice(&flat[p * n..][..n]),
                }
            }
        }
        None => {
            for (row, b) in panel.iter_mut().zip(b.rows()) {
                for (row, b) in row.iter_mut().zip(b) {
                    *row = *b;
                }
            }
        }
    }
}

/// `Σ_p a_(i+r)p · panel_p` for `r` in `0..R`.
#[inline(always)]
fn rows<const R: usize, const FMA: bool>(
    a: ArrayView2<f32>,
    i: usize,
    panel: &[[f32; WIDTH]],
) -> [[f32; WIDTH]; R] {
    assert!(i + R <= a.nrows() && panel.len() <= a.ncols());
    let mut sums = [[0.0; WIDTH]; R];
    for (p, b) in panel.iter().enumerate() {
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: i + r < nrows and p < ncols, asserted above.
            let a = unsafe { *a.uget((i + r, p)) };
            for (sum, b) in sum.iter_mut().zip(b) {
                *sum = mul_add::<FMA>(a, *b, *sum);
            }
        }
    }
    sums
}

/// `c_i ← β·c_i + α·sums_i`, for some rows from the `first` on.
#[inline(always)]
fn add(
    alpha: f32,
    sums: &[[f32; WIDTH]],
    beta: f32,
    c: &mut ArrayViewMut2<f32>,
    first: usize,
) {
    let n = c.ncols();
    let one = |sum: &f32, c: &mut f32| {
        let sum = alpha * sum;
        *c = if beta == 0.0 { sum } else { beta * *c + sum };
    };
    let Some(flat) = c.as_slice_mut() else {
        for (i, sums) in sums.iter().enumerate() {
            let row = c.row_mut(first + i);
            sums.iter().zip(row).for_each(|(sum, c)| one(sum, c));
        }
        return;
    };
    let flat = &mut flat[first * n..][..sums.len() * n];
    for (sums, c) in sums.iter().zip(flat.chunks_exact_mut(n)) {
        let (fours, ones) = sums[..n].as_chunks::<4>();
        let (c_fours, c_ones) = c.as_chunks_mut::<4>();
        for (sum, c) in fours.iter().zip(c_fours) {
            sum.iter().zip(c).for_each(|(sum, c)| one(sum, c));
        }
        ones.iter().zip(c_ones).for_each(|(sum, c)| one(sum, c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::levels;
    use ndarray::Array2;

    /// Whole numbers: every copy of the code gives the exact result.
    #[test]
    fn every_level_agrees_with_ndarray() {
        let whole = |rows: usize, cols: usize, salt: usize| {
            Array2::from_shape_fn((rows, cols), |(i, j)| {
                ((i * 7919 + j * 31 + salt) % 17) as f32 - 8.0
            })
        };
        for level in levels() {
            for (m, n, k) in
                [(8, 4, 4), (9, 10, 128), (37, 16, 129), (16, 15, 300)]
            {
                let (a, b) = (whole(m, k, 1), whole(k, n, 2));
                let bt = whole(n, k, 2);
                let start = whole(m, n, 3);
                for (b, beta) in [(b.view(), 1.0), (bt.t(), -2.0)] {
                    let mut c = start.clone();
                    product_at(*level, 3.0, a.view(), b, beta, c.view_mut());
                    assert_eq!(c, a.dot(&b) * 3.0 + &start * beta);
                    let mut c = Array2::from_elem((n, m), f32::NAN);
                    let turned = c.view_mut().reversed_axes();
                    product_at(*level, 1.0, a.view(), b, 0.0, turned);
                    assert_eq!(c.t(), a.dot(&b));
                }
            }
        }
    }

    /// Infinities that follow a row of `b` in memory stay out of the result.
    #[test]
    fn what_fills_a_row_up_is_not_seen() {
        let mut b = Array2::from_elem((6, 8), f32::INFINITY);
        b.slice_mut(s![.., ..5]).fill(1.0);
        let a = Array2::ones((8, 6));
        let mut c = Array2::zeros((8, 5));
        product(1.0, a.view(), b.slice(s![.., ..5]), 1.0, c.view_mut());
        assert_eq!(c, Array2::from_elem((8, 5), 6.0));
        let mut b = Array2::ones((6, 5));
        b[[3, 0]] = f32::INFINITY;
        let mut c = Array2::zeros((8, 5));
        product(1.0, a.view(), b.view(), 1.0, c.view_mut());
        assert!(c.column(0).iter().all(|c| *c == f32::INFINITY));
        assert!(c.slice(s![.., 1..]).iter().all(|c| *c == 6.0));
    }
}
