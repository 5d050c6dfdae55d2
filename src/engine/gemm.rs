//! The matrix product, on which nearly all of the time is spent.
//!
//! ```text
//! C ← β·C + α·A·B        A (m,k)   B (k,n)   C (m,n)
//! ```
//!
//! One function, [`gemm`], takes any three ndarray views: transposed, sliced
//! with steps, reversed or broadcast. A linear layer needs nothing else. With
//! `Y = X·W` the forward pass is `gemm(1, x, w, 0, y)`, and both gradients are
//! the same product with one factor transposed, which costs no copy, because
//! transposing a view only swaps two strides:
//!
//! ```text
//! dX = dY·Wᵀ             gemm(1, dy, w.t(), 0, dx)
//! dW = dW + Xᵀ·dY        gemm(1, x.t(), dy, 1, dw)     β = 1 accumulates
//! ```
//!
//! # Who does the work
//!
//! Behind it stand the kernels of the `gemm` crates (`gemm-f32`, `gemm-f64`),
//! which pick AVX-512, AVX2 or plain code when the program runs. Their parent
//! crate is left out, since it drags in the complex kernels. Two conventions
//! of theirs are turned round here and nowhere else: a matrix is described by
//! its column stride first and row stride second, and the scalars are swapped
//! against BLAS (`dst ← alpha·dst + beta·lhs·rhs`). Products with a narrow
//! result, such as the last layer of a classifier with ten classes, have a
//! kernel of their own, and a factor that lies the wrong way for the kernels is
//! copied first if the product is large: the copy is the calling thread's, and
//! kept.
//!
//! # Threads
//!
//! Products with fewer than [`PARALLEL_FROM`] multiply-adds run on the calling
//! thread; larger ones use the rayon pool they are called in. The threads share
//! out tiles of `C`, never a sum, so the bits do not depend on their number.
//! Inside a parallel loop call [`gemm_serial`]: the loop already keeps the
//! threads busy.

mod narrow;
mod turned;

use gemm_common::Parallelism;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, NdFloat};

/// Products with fewer multiply-adds `m·n·k` than this stay on one thread.
///
/// Handing work to other threads costs some ten microseconds; a core needs
/// about fifty for this many multiply-adds.
pub const PARALLEL_FROM: usize = 1 << 22;

/// The two number types with a fast matrix product: `f32` and `f64`.
pub trait Element: NdFloat + sealed::Kernel {}

impl Element for f32 {}
impl Element for f64 {}

mod sealed {
    use super::narrow;
    use gemm_common::Parallelism;
    use ndarray::{ArrayView2, ArrayViewMut2};
    use std::cell::Cell;
    use std::thread::LocalKey;

    /// One matrix as the kernels want it: where it starts and how far it is
    /// from one row, and from one column, to the next (in elements).
    #[derive(Clone, Copy)]
    pub struct Strided<P> {
        pub ptr: P,
        pub row: isize,
        pub col: isize,
    }

    /// The kernel of one number type: `dst ← alpha·dst + beta·lhs·rhs`.
    pub trait Kernel: Sized {
        /// # Safety
        ///
        /// `dst` must be valid for writing (and reading unless `alpha` is 0)
        /// at its `m×n` places, all different; `lhs` and `rhs` for reading at
        /// their `m×k` and `k×n` places.
        unsafe fn kernel(
            mnk: [usize; 3],
            dst: Strided<*mut Self>,
            lhs: Strided<*const Self>,
            rhs: Strided<*const Self>,
            alpha: Self,
            beta: Self,
            threads: Parallelism,
        );

        /// Where the calling thread keeps the copy of a factor.
        fn kept() -> &'static LocalKey<Cell<Vec<Self>>>;

        /// Does the product if there is a kernel for results with few columns
        /// and it is made for these shapes; says whether it did.
        fn narrow(
            alpha: Self,
            a: ArrayView2<Self>,
            b: ArrayView2<Self>,
            beta: Self,
            c: ArrayViewMut2<Self>,
        ) -> bool;
    }

    macro_rules! kernel {
        ($t:ty, $get:path, $narrow:path) => {
            impl Kernel for $t {
                #[inline(always)]
                unsafe fn kernel(
                    [m, n, k]: [usize; 3],
                    dst: Strided<*mut Self>,
                    lhs: Strided<*const Self>,
                    rhs: Strided<*const Self>,
                    alpha: Self,
                    beta: Self,
                    threads: Parallelism,
                ) {
                    let read_dst = alpha != 0.0;
                    // SAFETY: passed on from the caller.
                    unsafe {
                        $get()(
                            m, n, k, dst.ptr, dst.col, dst.row, read_dst,
                            lhs.ptr, lhs.col, lhs.row, rhs.ptr, rhs.col,
                            rhs.row, alpha, beta, false, false, false, threads,
                        )
                    }
                }

                fn kept() -> &'static LocalKey<Cell<Vec<Self>>> {
                    thread_local!(static KEPT: Cell<Vec<$t>> = const {
                        Cell::new(Vec::new())
                    });
                    &KEPT
                }

                #[inline]
                fn narrow(
                    alpha: Self,
                    a: ArrayView2<Self>,
                    b: ArrayView2<Self>,
                    beta: Self,
                    c: ArrayViewMut2<Self>,
                ) -> bool {
                    $narrow(alpha, a, b, beta, c)
                }
            }
        };
    }
    kernel!(f32, gemm_f32::gemm::f32::get_gemm_fn, narrow::try_product);
    kernel!(f64, gemm_f64::gemm::f64::get_gemm_fn, never);

    fn never<A>(_: f64, _: A, _: A, _: f64, _: ArrayViewMut2<f64>) -> bool {
        false
    }
}

use sealed::Strided;

/// `C ← β·C + α·A·B`, in place.
///
/// * `alpha`, `beta`: scalars. With `beta = 0` the old content of `c` is never
///   read, so a NaN in it does not survive; with `beta = 1` the product is
///   added.
/// * `a` (m,k), `b` (k,n): views of any strides, negative and zero included.
/// * `c` (m,n): a view of any strides.
///
/// With `k = 0` the product is a sum over nothing: `c` becomes `β·c`. The
/// result has the same bits at every thread count.
///
/// # Panics
///
/// If the shapes do not fit, naming them.
///
/// ```
/// use backprop::engine::gemm::gemm;
/// use ndarray::array;
///
/// let x = array![[1.0, 2.0]];
/// let w = array![[3.0], [4.0]];
/// let mut y = array![[10.0]];
/// gemm(2.0, x.view(), w.view(), 1.0, y.view_mut());
/// assert_eq!(y, array![[32.0]]); // 10 + 2·(1·3 + 2·4)
/// ```
#[track_caller]
pub fn gemm<T: Element>(
    alpha: T,
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    beta: T,
    c: ArrayViewMut2<T>,
) {
    let [m, n, k] = shape("gemm", &a, &b, &c);
    let work = m.saturating_mul(n).saturating_mul(k);
    product([m, n, k], alpha, a, b, beta, c, threads(work));
}

/// [`gemm`] on the calling thread alone, whatever the size: for use inside a
/// loop that is parallel already. Same bits as [`gemm`].
///
/// # Panics
///
/// If the shapes do not fit, naming them.
#[track_caller]
pub fn gemm_serial<T: Element>(
    alpha: T,
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    beta: T,
    c: ArrayViewMut2<T>,
) {
    let mnk = shape("gemm_serial", &a, &b, &c);
    product(mnk, alpha, a, b, beta, c, Parallelism::None);
}

/// `A·B` as a new array: `a` (m,k), `b` (k,n), result (m,n).
///
/// # Panics
///
/// If `a` has not as many columns as `b` has rows.
///
/// ```
/// use backprop::engine::gemm::matmul;
/// use ndarray::array;
///
/// let a = array![[1.0f32, 2.0], [3.0, 4.0]];
/// assert_eq!(matmul(a.view(), a.t()), array![[5.0, 11.0], [11.0, 25.0]]);
/// ```
#[track_caller]
pub fn matmul<T: Element>(a: ArrayView2<T>, b: ArrayView2<T>) -> Array2<T> {
    let mut c = Array2::zeros((a.nrows(), b.ncols()));
    let mnk = shape("matmul", &a, &b, &c.view_mut());
    let work = mnk.iter().fold(1, |w: usize, d| w.saturating_mul(*d));
    product(mnk, T::one(), a, b, T::zero(), c.view_mut(), threads(work));
    c
}

/// `C ← A·B`: writes over `c` (m,n), from `a` (m,k) and `b` (k,n).
///
/// # Panics
///
/// If the shapes do not fit, naming them.
#[track_caller]
pub fn matmul_into<T: Element>(
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    c: ArrayViewMut2<T>,
) {
    gemm(T::one(), a, b, T::zero(), c);
}

/// `C ← C + A·B`: adds onto `c` (m,n), from `a` (m,k) and `b` (k,n). Gradients
/// of parameters are collected this way.
///
/// # Panics
///
/// If the shapes do not fit, naming them.
#[track_caller]
pub fn matmul_acc<T: Element>(
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    c: ArrayViewMut2<T>,
) {
    gemm(T::one(), a, b, T::one(), c);
}

/// `[m, n, k]`, after checking that the three shapes fit.
#[track_caller]
fn shape<T>(
    op: &str,
    a: &ArrayView2<T>,
    b: &ArrayView2<T>,
    c: &ArrayViewMut2<T>,
) -> [usize; 3] {
    let ((m, k), (k2, n)) = (a.dim(), b.dim());
    assert!(
        k == k2 && c.dim() == (m, n),
        "{op}: a {:?} times b {:?} does not go into c {:?}",
        a.dim(),
        b.dim(),
        c.dim(),
    );
    [m, n, k]
}

/// How the kernels may spread a product of `work` multiply-adds.
#[cfg(feature = "parallel")]
fn threads(work: usize) -> Parallelism {
    if work < PARALLEL_FROM || rayon::current_num_threads() == 1 {
        Parallelism::None
    } else {
        Parallelism::Rayon(0) // as many as the current pool has
    }
}

#[cfg(not(feature = "parallel"))]
fn threads(_work: usize) -> Parallelism {
    Parallelism::None
}

/// The product itself, shapes checked: chooses the kernel, by the shapes and
/// strides alone, so that the bits do not depend on the threads.
#[inline]
fn product<T: Element>(
    [m, n, k]: [usize; 3],
    alpha: T,
    a: ArrayView2<T>,
    b: ArrayView2<T>,
    beta: T,
    mut c: ArrayViewMut2<T>,
    threads: Parallelism,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if beta == T::zero() {
            c.fill(T::zero());
        } else {
            c.mapv_inplace(|v| beta * v);
        }
        return;
    }
    let large = m.saturating_mul(n).saturating_mul(k) >= PARALLEL_FROM;
    if !large {
        let rows_first = c.strides()[0].abs() >= c.strides()[1].abs();
        let done = if rows_first {
            T::narrow(alpha, a, b, beta, c.view_mut())
        } else {
            let (a, b) = (b.reversed_axes(), a.reversed_axes());
            T::narrow(alpha, a, b, beta, c.view_mut().reversed_axes())
        };
        if done {
            return;
        }
    }
    // The kernels write along the columns: Cᵀ = BᵀAᵀ if C lies in rows.
    let (lhs, rhs, dst) = if c.strides()[1].abs() < c.strides()[0].abs() {
        (b.reversed_axes(), a.reversed_axes(), c.reversed_axes())
    } else {
        (a, b, c)
    };
    let (m, k) = lhs.dim();
    let s = lhs.strides();
    if large && s[0] != 1 && s[1] == 1 && m * k <= turned::MOST {
        // Taken and put back: while this thread waits for others, it may start
        // another product.
        let mut kept = T::kept().take();
        turned::copy(lhs, &mut kept);
        let lhs = ArrayView2::from_shape((k, m), &kept[..k * m]);
        let lhs = lhs.expect("as many as copied").reversed_axes();
        with_kernel(alpha, lhs, rhs, beta, dst, threads);
        T::kept().set(kept);
    } else {
        with_kernel(alpha, lhs, rhs, beta, dst, threads);
    }
}

/// Turns the product until no stride of `dst` or along the inner dimension is
/// negative: reversing an index on both sides changes nothing.
fn with_kernel<T: Element>(
    alpha: T,
    lhs: ArrayView2<T>,
    rhs: ArrayView2<T>,
    beta: T,
    mut dst: ArrayViewMut2<T>,
    threads: Parallelism,
) {
    let ((m, k), n) = (lhs.dim(), rhs.ncols());
    let (mut lhs, mut rhs) = (strided(&lhs), strided(&rhs));
    let (row, col) = (dst.strides()[0], dst.strides()[1]);
    let mut dst = Strided {
        ptr: dst.as_mut_ptr(),
        row,
        col,
    };
    if dst.row < 0 {
        let last = m as isize - 1;
        dst.ptr = dst.ptr.wrapping_offset(last * dst.row);
        lhs.ptr = lhs.ptr.wrapping_offset(last * lhs.row);
        (dst.row, lhs.row) = (-dst.row, -lhs.row);
    }
    if dst.col < 0 {
        let last = n as isize - 1;
        dst.ptr = dst.ptr.wrapping_offset(last * dst.col);
        rhs.ptr = rhs.ptr.wrapping_offset(last * rhs.col);
        (dst.col, rhs.col) = (-dst.col, -rhs.col);
    }
    if lhs.col < 0 {
        let last = k as isize - 1;
        lhs.ptr = lhs.ptr.wrapping_offset(last * lhs.col);
        rhs.ptr = rhs.ptr.wrapping_offset(last * rhs.row);
        (lhs.col, rhs.row) = (-lhs.col, -rhs.row);
    }
    // SAFETY: the views guarantee that every place i·row + j·col with i, j in
    // range is inside its allocation, and the turns above only rename i and j.
    // `dst` is borrowed mutably, so it overlaps neither `lhs` nor `rhs`, and its
    // places are all different. `product` checked that the shapes fit.
    unsafe { T::kernel([m, n, k], dst, lhs, rhs, beta, alpha, threads) }
}

fn strided<T>(x: &ArrayView2<T>) -> Strided<*const T> {
    let s = x.strides();
    Strided {
        ptr: x.as_ptr(),
        row: s[0],
        col: s[1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, ArrayView2, Axis, s};

    const SIZES: [usize; 9] = [0, 1, 2, 15, 16, 17, 127, 128, 129];

    /// Small whole numbers, so that every sum is exact in f32 and the oracle
    /// can be compared without any tolerance.
    fn whole<T: Element>(rows: usize, cols: usize, salt: usize) -> Array2<T> {
        Array2::from_shape_fn((rows, cols), |(i, j)| {
            let mixed = (i * 7919 + j * 104_729 + salt * 31) % 1009;
            T::from(mixed as i32 % 17 - 8).unwrap()
        })
    }

    /// An array which, seen through `lay`'s view, has the wanted shape.
    fn laid_out<T: Element>(
        kind: usize,
        (rows, cols): (usize, usize),
        salt: usize,
    ) -> Array2<T> {
        match kind {
            1 => whole(cols, rows, salt),         // transposed
            2 => whole(3 * rows, 2 * cols, salt), // with steps
            _ => whole(rows, cols, salt),
        }
    }

    fn lay<T>(kind: usize, x: &Array2<T>) -> ArrayView2<'_, T> {
        match kind {
            1 => x.t(),
            2 => x.slice(s![..;3, ..;2]),
            3 => x.slice(s![..;-1, ..;-1]),
            4 => x.slice(s![..;-1, ..]),
            _ => x.view(),
        }
    }

    fn lay_mut<T>(kind: usize, x: &mut Array2<T>) -> ArrayViewMut2<'_, T> {
        match kind {
            1 => x.view_mut().reversed_axes(),
            2 => x.slice_mut(s![..;3, ..;2]),
            3 => x.slice_mut(s![..;-1, ..;-1]),
            4 => x.slice_mut(s![..;-1, ..]),
            _ => x.view_mut(),
        }
    }

    fn check<T: Element>(mnk: [usize; 3], kinds: [usize; 3], ab: [T; 2]) {
        let [m, n, k] = mnk;
        let a = laid_out::<T>(kinds[0], (m, k), 1);
        let b = laid_out::<T>(kinds[1], (k, n), 2);
        let mut c = laid_out::<T>(kinds[2], (m, n), 3);
        let (a, b) = (lay(kinds[0], &a), lay(kinds[1], &b));
        let before = c.clone();
        let want = a.dot(&b) * ab[0] + &lay(kinds[2], &before) * ab[1];
        gemm(ab[0], a, b, ab[1], lay_mut(kinds[2], &mut c));
        assert_eq!(lay(kinds[2], &c), want, "{mnk:?} {kinds:?}");
        // What lies between the places of a stepped view is not touched.
        lay_mut(kinds[2], &mut c).assign(&lay(kinds[2], &before));
        assert_eq!(c, before, "{mnk:?} {kinds:?} wrote elsewhere");
    }

    fn all_sizes_and_layouts<T: Element>() {
        let (one, zero) = (T::one(), T::zero());
        let two = one + one;
        let scalars = [[one, zero], [one, one], [two, -one], [-one, two]];
        let mut case = 0;
        for m in SIZES {
            for n in SIZES {
                for k in SIZES {
                    // All 125 layouts come round several times over the sizes.
                    case += 1;
                    let kinds = [case % 5, case / 5 % 5, case / 25 % 5];
                    check([m, n, k], kinds, scalars[case % 4]);
                }
            }
        }
        for case in 0..125 {
            let kinds = [case % 5, case / 5 % 5, case / 25 % 5];
            check([17, 16, 15], kinds, scalars[case % 4]);
            check([5, 1, 3], kinds, scalars[case % 4]);
            check([1, 40, 33], kinds, scalars[case % 4]);
        }
        // Large enough for threads and for a factor to be copied first.
        for case in 0..25 {
            let kinds = [case % 5, case / 5, case * 7 % 5];
            check([129, 130, 257], kinds, scalars[case % 4]);
        }
    }

    #[test]
    fn agrees_with_ndarray_f32() {
        all_sizes_and_layouts::<f32>();
    }

    #[test]
    fn agrees_with_ndarray_f64() {
        all_sizes_and_layouts::<f64>();
    }

    /// Numbers that are not whole: the error stays within what k roundings of
    /// a sum of k products may do.
    #[test]
    fn rounding_stays_small() {
        for (m, n, k) in [(64, 33, 1000), (7, 129, 64), (3, 3, 5)] {
            let a = whole::<f32>(m, k, 4) / 7.0;
            let b = whole::<f32>(k, n, 5) / 11.0;
            let got = matmul(a.view(), b.view());
            let (a, b) = (a.mapv(f64::from), b.mapv(f64::from));
            let size = a.mapv(f64::abs).dot(&b.mapv(f64::abs));
            let off = got.mapv(f64::from) - a.dot(&b);
            let worst = k as f64 * f64::from(f32::EPSILON);
            ndarray::Zip::from(&off).and(&size).for_each(|off, size| {
                assert!(off.abs() <= worst * size, "{off} of {size}");
            });
        }
    }

    #[test]
    fn beta_zero_overwrites_nan() {
        // Shapes that reach each path of the kernels: outer product, matrix
        // times vector either way, few entries with a long sum, general.
        let shapes = [
            (3, 4, 1),
            (3, 4, 2),
            (1, 40, 9),
            (40, 1, 9),
            (4, 4, 100),
            (33, 65, 70),
        ];
        for (m, n, k) in shapes {
            for kind in 0..5 {
                let a = whole::<f32>(m, k, 1);
                let b = whole::<f32>(k, n, 2);
                let mut c = laid_out::<f32>(kind, (m, n), 3);
                c.fill(f32::NAN);
                matmul_into(a.view(), b.view(), lay_mut(kind, &mut c));
                assert_eq!(lay(kind, &c), a.dot(&b), "{m} {n} {k} {kind}");
            }
        }
        let mut c = Array2::from_elem((2, 3), f64::NAN);
        let nothing = Array2::zeros((2, 0));
        matmul_into(nothing.view(), Array2::zeros((0, 3)).view(), c.view_mut());
        assert_eq!(c, Array2::<f64>::zeros((2, 3)));
    }

    #[test]
    fn broadcast_views() {
        let row = whole::<f32>(1, 33, 1);
        let col = whole::<f32>(33, 1, 2);
        let a = row.broadcast((20, 33)).unwrap();
        let b = col.broadcast((33, 40)).unwrap();
        let copies = a.to_owned().dot(&b.to_owned());
        assert_eq!(matmul(a, b), copies);
        let all = Array2::from_elem((1, 1), 3.0f64);
        let a = all.broadcast((20, 7)).unwrap();
        assert_eq!(matmul(a, a.t()), Array2::from_elem((20, 20), 63.0));
    }

    #[test]
    fn helpers() {
        let (a, b) = (whole::<f64>(9, 8, 1), whole::<f64>(8, 7, 2));
        let mut c = matmul(a.view(), b.view());
        assert_eq!(c, a.dot(&b));
        matmul_acc(a.view(), b.view(), c.view_mut());
        assert_eq!(c, a.dot(&b) * 2.0);
        gemm_serial(-1.0, a.view(), b.view(), 1.0, c.view_mut());
        assert_eq!(c, a.dot(&b));
    }

    /// Large enough to be spread over threads, ragged, in all layouts.
    #[cfg(feature = "parallel")]
    #[test]
    fn same_bits_at_any_thread_count() {
        let results = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let mut bits: Vec<u32> = Vec::new();
                for (m, n, k) in
                    [(129, 257, 301), (700, 31, 301), (20, 900, 399)]
                {
                    for kind in 0..4 {
                        let a = laid_out::<f32>(kind, (m, k), 1) / 7.0;
                        let b = laid_out::<f32>(kind, (k, n), 2) / 11.0;
                        let mut c = Array2::from_elem((m, n), 0.3);
                        let (a, b) = (lay(kind, &a), lay(kind, &b));
                        gemm(0.7, a, b, 1.3, c.view_mut());
                        bits.extend(c.iter().map(|v| v.to_bits()));
                        let mut serial = Array2::from_elem((m, n), 0.3);
                        gemm_serial(0.7, a, b, 1.3, serial.view_mut());
                        assert_eq!(c, serial, "{m} {n} {k} {kind}");
                    }
                }
                bits
            })
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[0], results[2]);
    }

    #[test]
    fn shapes_are_checked() {
        let said = std::panic::catch_unwind(|| {
            let a = Array2::<f32>::zeros((2, 3));
            matmul(a.view(), a.view())
        });
        let said = *said.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("matmul: a (2, 3) times b (2, 3)"), "{said}");
        let said = std::panic::catch_unwind(|| {
            let a = Array2::<f32>::zeros((2, 3));
            let mut c = Array2::zeros((3, 2));
            gemm(1.0, a.view(), a.t(), 0.0, c.view_mut());
        });
        let said = *said.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("c (3, 2)"), "{said}");
    }

    #[test]
    fn a_slice_of_a_cube() {
        // Heads of an attention layer: (B,H,T,d), one head at a time.
        let x = whole::<f32>(6, 20, 1).into_shape_with_order((2, 3, 4, 5));
        let x = x.unwrap();
        let head = x.index_axis(Axis(0), 1);
        let head = head.index_axis(Axis(1), 2); // (3,5), stepped rows
        assert_eq!(matmul(head, head.t()), head.dot(&head.t()));
    }
}
