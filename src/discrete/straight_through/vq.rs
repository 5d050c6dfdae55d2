//! Vector quantisation: each row is replaced by the nearest row of a codebook.
//!                                      book: discrete/straight_through
//!
//!   q_n = e_k,   k = k(n) = argmin_j ‖z_n - e_j‖²
//!   l_n = ‖sg(z_n) - e_k‖² + β·‖z_n - sg(e_k)‖²
//!
//!   z (N,D) rows, e (K,D) codebook -> q (N,D), l (N)
//!
//! `sg` stops the gradient: its value is its argument, its derivative 0. The
//! first term pulls the code to the row, the second, the *commitment*, the row
//! to its code. Norms are sums over the D coordinates.
//!
//! Declared: `q` moves as `z` does, and the choice of k does not move,
//!
//!   dz_n = dq_n + dl_n·2β(z_n - e_k),   de_k = Σ_{n: k(n)=k} dl_n·2(e_k - z_n)

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// The row of `e` (K,D) nearest to each row of `z` (N,D), the first of several.
///
/// Panics if the codebook is empty or its rows are of another length.
#[track_caller]
pub fn nearest(z: ArrayView2<f64>, e: ArrayView2<f64>) -> Vec<usize> {
    assert_eq!(z.ncols(), e.ncols(), "vq: z {:?}, e {:?}", z.dim(), e.dim());
    let of = |z: ArrayView1<f64>| {
        let far = e.rows().into_iter().map(|e| (&z - &e).pow2().sum());
        let first =
            far.enumerate().reduce(|a, b| if b.1 < a.1 { b } else { a });
        first.expect("a code").0
    };
    z.rows().into_iter().map(of).collect()
}

/// The chosen codes (N,D) and the two pulls of each row together (N), from `z`
/// (N,D), `e` (K,D) and what [`nearest`] said.
pub fn forward(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    k: &[usize],
    beta: f64,
) -> (Array2<f64>, Array1<f64>) {
    let q = e.select(Axis(0), k); // (N,D)
    let far = (&z - &q).pow2().sum_axis(Axis(1)); // (N)
    (q, far * (1. + beta))
}

/// `(dz, de)` from `dq` (N,D), what reaches the chosen codes from above, and
/// `dl` (N), the cotangent of the two pulls.
///
/// Kept are `z`, `e` and the choices. A code that nobody chose has gradient 0.
///
/// Source: van den Oord, Vinyals and Kavukcuoglu 2017, equation 3.
///
/// ```
/// use backprop::discrete::straight_through::vq;
/// use ndarray::{arr1, arr2};
/// let (z, e) = (arr2(&[[0.9, -0.4]]), arr2(&[[0., 2.], [1., 0.]]));
/// let k = vq::nearest(z.view(), e.view());
/// assert_eq!(k, [1]);
/// let dq = arr2(&[[0.3, -0.2]]);
/// let (dz, de) =
///     vq::vjp(z.view(), e.view(), &k, 0.25, dq.view(), arr1(&[1.]).view());
/// assert!((&dz - &arr2(&[[0.25, -0.4]])).iter().all(|d| d.abs() < 1e-15));
/// assert!((&de.row(1) - &arr1(&[0.2, 0.8])).iter().all(|d| d.abs() < 1e-15));
/// assert_eq!(de.row(0), arr1(&[0., 0.]));
/// ```
// ANCHOR: vjp
pub fn vjp(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    k: &[usize],
    beta: f64,
    dq: ArrayView2<f64>,
    dl: ArrayView1<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let pull = (&z - &e.select(Axis(0), k)) * 2. * dl.insert_axis(Axis(1));
    let mut de = Array2::zeros(e.dim()); // (K,D)
    for (pull, k) in pull.rows().into_iter().zip(k) {
        de.row_mut(*k).scaled_add(-1., &pull); // added: codes are shared
    }
    (&dq + &(pull * beta), de)
}
// ANCHOR_END: vjp
