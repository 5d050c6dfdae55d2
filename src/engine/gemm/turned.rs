//! A matrix copied with rows and columns exchanged.
//!
//! The kernels want the left factor with its columns contiguous. Where its rows
//! are (`dX = dY·Wᵀ`), they gather it column by column, on one thread, and when
//! a row is a multiple of 4 KiB long, all entries of a column fall into the same
//! few lines of the cache: 2 ns for each number at 512×512. Copying squares of
//! 16×16, each read along its rows and written along its columns, takes 0.4 ns,
//! on all threads.

use crate::engine::rows::{self, Of};
use ndarray::{ArrayView2, NdFloat};

/// The side of a square.
const SIDE: usize = 16;
/// How many columns of the source one piece of work copies: neighbouring
/// squares share pages of memory.
const GROUP: usize = 4 * SIDE;

/// The most numbers that are copied: the copy is kept for the next product.
pub const MOST: usize = 1 << 22;

/// Copies `x` (m,k), whose rows are contiguous, to the start of `out`: k rows of
/// m numbers.
pub fn copy<T: NdFloat>(x: ArrayView2<T>, out: &mut Vec<T>) {
    let (m, k) = x.dim();
    let len = k.next_multiple_of(GROUP) * m;
    if out.len() < len {
        out.resize(len, T::zero());
    }
    rows::for_each(Of(&mut out[..len], GROUP * m), GROUP * m, |first, out| {
        for (g, out) in (first..).zip(out.0.chunks_exact_mut(GROUP * m)) {
            let columns = GROUP * g..k.min(GROUP * (g + 1));
            for i in (0..m).step_by(SIDE) {
                for j in columns.clone().step_by(SIDE) {
                    let at = (j - columns.start) * m + i;
                    square(&x, i, j, m, &mut out[at..]);
                }
            }
        }
    });
}

/// The square of `x` whose first entry is (i,j), turned, to the rows of length
/// `m` of `out`.
#[inline(always)]
fn square<T: NdFloat>(
    x: &ArrayView2<T>,
    i: usize,
    j: usize,
    m: usize,
    out: &mut [T],
) {
    let mut square = [[T::zero(); SIDE]; SIDE];
    let rows = SIDE.min(x.nrows() - i);
    let cols = SIDE.min(x.ncols() - j);
    for (r, to) in square[..rows].iter_mut().enumerate() {
        let row = x.row(i + r).to_slice().expect("contiguous rows");
        match row[j..].first_chunk::<SIDE>() {
            Some(from) => *to = *from,
            None => to[..cols].copy_from_slice(&row[j..]),
        }
    }
    if rows == SIDE {
        for (c, to) in out.chunks_mut(m).take(cols).enumerate() {
            for (to, row) in to[..SIDE].iter_mut().zip(&square) {
                *to = row[c];
            }
        }
    } else {
        for (c, to) in out.chunks_mut(m).take(cols).enumerate() {
            for (to, row) in to.iter_mut().zip(&square[..rows]) {
                *to = row[c];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    #[test]
    fn awkward_sizes() {
        const SIZES: [usize; 9] = [1, 2, 15, 16, 17, 63, 64, 65, 129];
        let mut out = vec![];
        for m in SIZES {
            for k in SIZES {
                let x = Array2::from_shape_fn((m, k), |(i, j)| {
                    (1000 * i + j) as f32
                });
                for x in [x.view(), x.slice(s![..;-1, ..])] {
                    copy(x, &mut out);
                    let y = ArrayView2::from_shape((k, m), &out[..k * m]);
                    assert_eq!(y.unwrap(), x.t(), "{m}x{k}");
                }
            }
        }
    }
}
