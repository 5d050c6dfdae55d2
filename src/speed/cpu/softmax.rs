//! The ladder of softmax, from the formula to the version that models use.
//!                                                    book: speed/cpu
//!
//!   y_bv = exp(x_bv) / Σ_k exp(x_bk)           x (B,V) -> y (B,V)
//!
//! Each rung writes the probabilities over the logits `x`, so that all have
//! the same type, and changes one thing of the rung before it. All agree to
//! rounding, but the first only where no exponential overflows. The time of
//! each is measured by `cargo bench --bench softmax_ce -- ladder`.

use crate::engine::rows;
use crate::engine::simd::vectorised;
use crate::engine::vmath::lane;
use ndarray::{Array2, ArrayView1, Axis, Zip};

/// Logits (B,V) on entry, probabilities on return.
pub type Rung = fn(&mut Array2<f32>);

/// The rungs, from the lowest to the highest, with their names.
pub const LADDER: [(&str, Rung); 6] = [
    ("naive", naive),
    ("shifted", shifted),
    ("by_row", by_row),
    ("vectorised", vectorised),
    ("in_place", in_place),
    ("threads", threads),
];

/// As the formula reads: three passes over whole arrays, each into new memory.
/// Infinite, then NaN, for logits above 88.
// ANCHOR: naive
pub fn naive(x: &mut Array2<f32>) {
    let e = x.mapv(f32::exp);
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1));
    *x = &e / &s;
}
// ANCHOR_END: naive

/// Right for all logits: one pass more, for each row's maximum.
// ANCHOR: shifted
pub fn shifted(x: &mut Array2<f32>) {
    let max = |row: ArrayView1<f32>| row.fold(f32::NEG_INFINITY, largest);
    let m = x.map_axis(Axis(1), max).insert_axis(Axis(1));
    let e = (&*x - &m).mapv(f32::exp);
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1));
    *x = &e / &s;
}
// ANCHOR_END: shifted

/// Row by row: what a row's passes hand on is still in the cache, and the sum
/// is taken in the loop of the exponentials.
// ANCHOR: by_row
pub fn by_row(x: &mut Array2<f32>) {
    let mut y = Array2::zeros(x.dim());
    Zip::from(x.rows()).and(y.rows_mut()).for_each(|x, mut y| {
        let m = x.fold(f32::NEG_INFINITY, largest);
        let mut s = 0.;
        for (x, y) in x.iter().zip(&mut y) {
            *y = (x - m).exp();
            s += *y;
        }
        y /= s;
    });
    *x = y;
}
// ANCHOR_END: by_row

/// Sixteen numbers at a time: a formula for `exp` instead of a call, and
/// sixteen running maxima and sums, since a compiler may not reorder a sum.
// ANCHOR: vectorised
pub fn vectorised(x: &mut Array2<f32>) {
    let mut y = Array2::zeros(x.dim());
    let x_rows = x.rows().into_iter();
    for (x, mut y) in x_rows.zip(y.rows_mut()) {
        let y = y.as_slice_mut().expect("a new array is row-major");
        y.copy_from_slice(x.to_slice().expect("x is row-major"));
        row(y);
    }
    *x = y;
}
// ANCHOR_END: vectorised

/// Over the logits: no second array to ask for, to fill and to give back.
// ANCHOR: in_place
pub fn in_place(x: &mut Array2<f32>) {
    for mut x in x.rows_mut() {
        row(x.as_slice_mut().expect("x is row-major"));
    }
}
// ANCHOR_END: in_place

/// Rows shared out among the cores.
// ANCHOR: threads
pub fn threads(x: &mut Array2<f32>) {
    let work = 8 * x.ncols();
    rows::for_each(x.view_mut(), work, |_, mut piece| {
        for mut x in piece.rows_mut() {
            row(x.as_slice_mut().expect("x is row-major"));
        }
    });
}
// ANCHOR_END: threads

fn largest(m: f32, x: &f32) -> f32 {
    if *x > m { *x } else { m }
}

vectorised! {
    /// One row, in place.
    pub(super) fn row, row_at(x: &mut [f32]) = row_body;
}

// ANCHOR: row
#[inline(always)]
fn row_body<const FMA: bool>(x: &mut [f32]) {
    let m = largest_of(x);
    let scale = 1. / exp_and_sum::<FMA>(x, m);
    x.iter_mut().for_each(|x| *x *= scale);
}

/// `max x`, or -∞ if there is none.
#[inline(always)]
pub(super) fn largest_of(x: &[f32]) -> f32 {
    let mut m = [f32::NEG_INFINITY; 16];
    let (blocks, rest) = x.as_chunks::<16>();
    for block in blocks {
        for (m, x) in m.iter_mut().zip(block) {
            *m = largest(*m, x);
        }
    }
    m.iter().chain(rest).fold(f32::NEG_INFINITY, largest)
}

/// `x ← exp(x - m)`; returns the sum.
#[inline(always)]
pub(super) fn exp_and_sum<const FMA: bool>(x: &mut [f32], m: f32) -> f32 {
    let mut s = [0.; 16];
    let (blocks, rest) = x.as_chunks_mut::<16>();
    for block in blocks {
        for (s, x) in s.iter_mut().zip(block) {
            *x = lane::exp::<FMA>(*x - m);
            *s += *x;
        }
    }
    for (s, x) in s.iter_mut().zip(rest) {
        *x = lane::exp::<FMA>(*x - m);
        *s += *x;
    }
    s.iter().sum()
}
// ANCHOR_END: row

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::softmax_cross_entropy as softmax;

    fn logits(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 31 + j * 17) % 97) as f32 / 8. - 6.
        })
    }

    #[test]
    fn every_rung_is_softmax() {
        for (rows, columns) in [(1, 1), (3, 15), (5, 16), (7, 129), (300, 700)]
        {
            let x = logits(rows, columns);
            let want = softmax::forward(x.mapv(f64::from).view());
            for (name, rung) in LADDER {
                let mut y = x.clone();
                rung(&mut y);
                let off = (y.mapv(f64::from) - &want)
                    .fold(0., |m: f64, d| m.max(d.abs()));
                assert!(off < 3e-7, "{name} {rows}x{columns}: {off:e}");
            }
        }
    }

    #[test]
    fn only_the_lowest_rung_overflows() {
        for (name, rung) in LADDER {
            let mut y = Array2::from_elem((2, 20), 1000.);
            rung(&mut y);
            let right = y.iter().all(|y| (y - 0.05).abs() < 1e-7);
            assert_eq!(right, name != "naive", "{name}");
        }
    }

    #[test]
    fn the_highest_rung_is_what_models_use() {
        let x = logits(300, 700);
        let (mut got, mut want) = (x.clone(), x);
        threads(&mut got);
        softmax::fused::cross_entropy(
            want.view_mut(),
            &[0; 300],
            0.,
            &mut [0.; 300],
        );
        let off = (got - want).fold(0., |m: f32, d| m.max(d.abs()));
        assert!(off < 1e-8, "{off:e}");
    }
}
