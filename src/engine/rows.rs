//! Work on many rows, on all cores, with the same bits on any number of them.
//!
//! Floating-point addition is not associative: `(a + b) + c` and `a + (b + c)`
//! round differently. A sum whose parts depend on how many threads happened to
//! run is therefore a different number on every machine, and a training run
//! that cannot be repeated cannot be debugged. Here the parts depend on the
//! shape alone. A range of rows is halved, and halved again, until a piece is
//! no larger than a grain; results of neighbouring halves are added left plus
//! right. Threads only decide *who* visits a piece:
//!
//! ```text
//!              0..8                 for_each: visit the leaves
//!          ┌────┴────┐              reduce:   and add them up this tree
//!         0..4      4..8
//!        ┌─┴─┐     ┌─┴─┐
//!       0..2 2..4 4..6 6..8
//! ```
//!
//! Adding up a balanced tree also loses less than adding one by one: the error
//! grows with the logarithm of the number of pieces.
//!
//! What is cut is anything that has [`Rows`]: slices (a row is one element),
//! views (a row is all that lies at one place of the first axis), and tuples of
//! those with equally many rows, for loops that read one array and write
//! another. A fused kernel is a loop over one piece, handed to [`for_each`] or
//! [`reduce`]:
//!
//! ```
//! use backprop::engine::rows;
//!
//! let x = vec![1.0f32, -2.0, 3.0];
//! let mut y = vec![0.0f32; 3];
//! rows::for_each((&x[..], &mut y[..]), 1, |_first, (x, y)| {
//!     for (x, y) in x.iter().zip(y) {
//!         *y = x.max(0.0);
//!     }
//! });
//! assert_eq!(y, [1.0, 0.0, 3.0]);
//! ```

use ndarray::{ArrayView, ArrayViewMut, Axis, Dimension, NdFloat};

/// A piece of work has at most this many elements (unless one row alone has
/// more). Anything up to this size runs on the calling thread: handing it over
/// would take about as long as doing it.
pub const GRAIN: usize = 32 * 1024;

/// Something that consists of rows and can be cut between two of them.
pub trait Rows: Sized + Send {
    /// How many rows there are.
    fn count(&self) -> usize;
    /// The first `at` rows, and the others.
    fn cut(self, at: usize) -> (Self, Self);
}

impl<T: Sync> Rows for &[T] {
    fn count(&self) -> usize {
        self.len()
    }
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}

impl<T: Send> Rows for &mut [T] {
    fn count(&self) -> usize {
        self.len()
    }
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

impl<T: Sync, D: Dimension> Rows for ArrayView<'_, T, D> {
    fn count(&self) -> usize {
        self.len_of(Axis(0))
    }
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at(Axis(0), at)
    }
}

impl<T: Send, D: Dimension> Rows for ArrayViewMut<'_, T, D> {
    fn count(&self) -> usize {
        self.len_of(Axis(0))
    }
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at(Axis(0), at)
    }
}

/// Slices seen as rows of `width` elements each: what a row-major array is
/// once its strides are known to be plain.
///
/// ```
/// use backprop::engine::rows::{Of, Rows};
///
/// let x = [1, 2, 3, 4, 5, 6];
/// let (head, tail) = Of(&x[..], 3).cut(1);
/// assert_eq!((head.0, tail.0), (&x[..3], &x[3..]));
/// ```
#[derive(Debug)]
pub struct Of<S>(
    /// The slice; its length is a multiple of the width.
    pub S,
    /// The width of a row.
    pub usize,
);

impl<T: Sync> Rows for Of<&[T]> {
    fn count(&self) -> usize {
        self.0.len() / self.1.max(1)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let (head, tail) = self.0.split_at(at * self.1);
        (Of(head, self.1), Of(tail, self.1))
    }
}

impl<T: Send> Rows for Of<&mut [T]> {
    fn count(&self) -> usize {
        self.0.len() / self.1.max(1)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let (head, tail) = self.0.split_at_mut(at * self.1);
        (Of(head, self.1), Of(tail, self.1))
    }
}

/// A slice or a view seen as chunks of as many rows each, the last one perhaps
/// shorter: a row is a chunk. For sums of a fixed number of rows, beside one
/// partial sum for each.
///
/// ```
/// use backprop::engine::rows::{Chunks, Rows};
///
/// let chunks = Chunks(&[1, 2, 3, 4, 5][..], 2);
/// assert_eq!(chunks.count(), 3);
/// assert_eq!(chunks.cut(2).1.0, [5]);
/// ```
#[derive(Debug)]
pub struct Chunks<S>(
    /// The slice or view.
    pub S,
    /// Rows of a chunk, more than 0.
    pub usize,
);

impl<T: Sync> Rows for Chunks<&[T]> {
    fn count(&self) -> usize {
        self.0.len().div_ceil(self.1)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let at = (at * self.1).min(self.0.len());
        let (head, tail) = self.0.split_at(at);
        (Chunks(head, self.1), Chunks(tail, self.1))
    }
}

impl<T: Send> Rows for Chunks<&mut [T]> {
    fn count(&self) -> usize {
        self.0.len().div_ceil(self.1)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let at = (at * self.1).min(self.0.len());
        let (head, tail) = self.0.split_at_mut(at);
        (Chunks(head, self.1), Chunks(tail, self.1))
    }
}

impl<T: Sync, D: Dimension> Rows for Chunks<ArrayView<'_, T, D>> {
    fn count(&self) -> usize {
        self.0.len_of(Axis(0)).div_ceil(self.1)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let at = (at * self.1).min(self.0.len_of(Axis(0)));
        let (head, tail) = self.0.split_at(Axis(0), at);
        (Chunks(head, self.1), Chunks(tail, self.1))
    }
}

impl<T: Send, D: Dimension> Rows for Chunks<ArrayViewMut<'_, T, D>> {
    fn count(&self) -> usize {
        self.0.len_of(Axis(0)).div_ceil(self.1)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let at = (at * self.1).min(self.0.len_of(Axis(0)));
        let (head, tail) = self.0.split_at(Axis(0), at);
        (Chunks(head, self.1), Chunks(tail, self.1))
    }
}

macro_rules! tuple_of_rows {
    ($($name:ident $at:tt),+) => {
        impl<$($name: Rows),+> Rows for ($($name,)+) {
            #[track_caller]
            fn count(&self) -> usize {
                let counts = [$(self.$at.count()),+];
                assert!(
                    counts.iter().all(|c| *c == counts[0]),
                    "rows: parts have different numbers of rows: {counts:?}"
                );
                counts[0]
            }
            fn cut(self, at: usize) -> (Self, Self) {
                let halves = ($(self.$at.cut(at),)+);
                (($(halves.$at.0,)+), ($(halves.$at.1,)+))
            }
        }
    };
}
tuple_of_rows!(A 0, B 1);
tuple_of_rows!(A 0, B 1, C 2);
tuple_of_rows!(A 0, B 1, C 2, D 3);
tuple_of_rows!(A 0, B 1, C 2, D 3, E 4);

/// Calls `f(first, piece)` for every piece of `rows`, on all threads.
///
/// * `work`: how much one row costs, in elements of a cheap pass (a row of 512
///   numbers: 512; for ten times as much arithmetic per number: 5120). Pieces
///   hold at most [`GRAIN`] of it.
/// * `first`: the number of the piece's first row.
///
/// # Panics
///
/// If the parts of a tuple have different numbers of rows.
#[track_caller]
pub fn for_each<R: Rows>(rows: R, work: usize, f: impl Fn(usize, R) + Sync) {
    let n = rows.count();
    tree(rows, 0, n, piece(work), &f, &|(), ()| ());
}

/// Calls `f(first, piece)` for every piece of `rows`, on all threads, and adds
/// up the answers with `add(left, right)` along a tree that depends on the
/// number of rows alone. `work` and `first` are as in [`for_each`]. Without
/// any row, the answer is that of `f` for the empty piece.
///
/// # Panics
///
/// If the parts of a tuple have different numbers of rows.
///
/// ```
/// use backprop::engine::rows;
///
/// let x: Vec<u64> = (0..100_000).collect();
/// let total = rows::reduce(
///     &x[..],
///     1,
///     |_first, piece| piece.iter().sum::<u64>(),
///     |left, right| left + right,
/// );
/// assert_eq!(total, 4_999_950_000);
/// ```
#[track_caller]
pub fn reduce<R: Rows, S: Send>(
    rows: R,
    work: usize,
    f: impl Fn(usize, R) -> S + Sync,
    add: impl Fn(S, S) -> S + Sync,
) -> S {
    let n = rows.count();
    tree(rows, 0, n, piece(work), &f, &add)
}

/// The most rows in a piece, when a row costs `work`.
fn piece(work: usize) -> usize {
    (GRAIN / work.max(1)).max(1)
}

fn tree<R: Rows, S: Send>(
    rows: R,
    first: usize,
    n: usize,
    most: usize,
    f: &(impl Fn(usize, R) -> S + Sync),
    add: &(impl Fn(S, S) -> S + Sync),
) -> S {
    if n <= most {
        return f(first, rows);
    }
    // Cut at a whole number of pieces, so that only the last one is short.
    let half = n.div_ceil(most).div_ceil(2) * most;
    let (head, tail) = rows.cut(half);
    let (left, right) = both(
        || tree(head, first, half, most, f, add),
        || tree(tail, first + half, n - half, most, f, add),
    );
    add(left, right)
}

#[cfg(feature = "parallel")]
fn both<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(a, b)
}

#[cfg(not(feature = "parallel"))]
fn both<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    (a(), b())
}

/// `Σ_i x_i²`, as gradient clipping wants it; 0 for an empty slice.
///
/// ```
/// assert_eq!(backprop::engine::rows::sum_of_squares(&[3.0, 4.0]), 25.0);
/// ```
pub fn sum_of_squares<T: NdFloat>(x: &[T]) -> T {
    sum_of(x, |x| x * x)
}

/// `Σ_i f(x_i)`; 0 for an empty slice.
///
/// ```
/// use backprop::engine::rows;
/// assert_eq!(rows::sum_of(&[3.0, -4.0], f32::abs), 7.0);
/// ```
pub fn sum_of<T: NdFloat>(x: &[T], f: impl Fn(T) -> T + Sync) -> T {
    reduce(x, 1, |_, x| sum_of_piece(x, &f), |left, right| left + right)
}

/// How many running sums a serial sum keeps: a compiler may not reorder a
/// floating-point sum, so the lanes are spelled out. Fixed, so that the
/// bits are the same whatever the vector width.
const LANES: usize = 16;

/// `Σ_i f(x_i)` over one piece; the lanes are added pairwise.
#[inline(always)]
fn sum_of_piece<T: NdFloat>(x: &[T], f: impl Fn(T) -> T) -> T {
    let mut sums = [T::zero(); LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += f(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    const SIZES: [usize; 11] = [
        0,
        1,
        15,
        16,
        17,
        127,
        129,
        GRAIN,
        GRAIN + 1,
        3 * GRAIN - 7,
        9 * GRAIN + 5,
    ];

    fn some(len: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 7919) % 10_007) as f32 / 997.0 - 4.0)
            .collect()
    }

    #[test]
    fn every_row_is_visited_once() {
        for n in SIZES {
            for work in [0, 1, 3, GRAIN - 1, 5 * GRAIN] {
                if n * work > 4_000_000 && work > 3 {
                    continue;
                }
                let mut seen = vec![0u32; n];
                let number: Vec<usize> = (0..n).collect();
                let parts = (&number[..], &mut seen[..]);
                for_each(parts, work, |first, (number, seen)| {
                    for (i, (number, seen)) in
                        number.iter().zip(seen).enumerate()
                    {
                        assert_eq!(first + i, *number);
                        *seen += 1;
                    }
                });
                assert!(seen.iter().all(|s| *s == 1), "{n} rows, work {work}");
            }
        }
    }

    #[test]
    fn pieces_stay_within_the_grain() {
        for n in SIZES {
            let pieces = reduce(
                Of(&vec![(); n * 10][..], 10),
                100,
                |_, piece| vec![piece.count()],
                |mut left, right| {
                    left.extend(right);
                    left
                },
            );
            assert_eq!(pieces.iter().sum::<usize>(), n);
            assert!(pieces.iter().all(|p| *p * 100 <= GRAIN));
        }
    }

    #[test]
    fn views_are_cut_between_rows() {
        let n = 5000;
        let x = Array2::from_shape_fn((n, 9), |(i, j)| (i * 9 + j) as f64);
        let mut y = Array2::zeros((9, n));
        let stepped = x.slice(s![..;-1, ..;2]); // (n,5)
        let turned = y.view_mut().reversed_axes(); // (n,9)
        for_each((stepped, turned), 14, |_, (x, mut y)| {
            assert!(x.nrows() < n);
            y.slice_mut(s![.., ..5]).assign(&x);
        });
        assert_eq!(y.t().slice(s![.., ..5]), x.slice(s![..;-1, ..;2]));
    }

    #[test]
    fn sums_agree_with_f64() {
        for n in SIZES {
            let x = some(n);
            let want: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
            let got = f64::from(sum_of_squares(&x));
            let off = (got - want).abs();
            assert!(off <= 3e-6 * want, "{n}: {got} and {want}");
        }
        // Whole numbers: exact.
        assert_eq!(sum_of_squares(&vec![1.0f32; 1 << 24]), 16_777_216.0);
    }

    #[cfg(feature = "parallel")]
    #[test]
    fn same_bits_at_any_thread_count() {
        let x = some(9 * GRAIN + 5);
        let answers = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| sum_of_squares(&x).to_bits())
        });
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2]);
        // The order matters here: one by one gives other bits, so equality
        // above is not for want of rounding.
        let naive: f32 = x.iter().map(|x| x * x).sum();
        assert_ne!(naive.to_bits(), answers[0]);
    }

    #[test]
    #[should_panic(expected = "different numbers of rows: [2, 3]")]
    fn unequal_parts() {
        for_each((&[1, 2][..], &[1, 2, 3][..]), 1, |_, _| ());
    }
}
