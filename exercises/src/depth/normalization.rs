//! # Exercise: normalization
//!
//! Chapter: Normalization (depth/normalization).
//! Letters: N rows or B examples, D numbers in a row. γ is `gamma`, β is
//! `beta`, ε is `eps`. No gradient depends on β, so it is not among the
//! arguments. Write the formulas yourself: the library's own norms are no
//! answer.
//!
//! Arrays: `x.ncols()`, `x.nrows()`, `x.sum_axis(Axis(1))` adds up each row and
//! gives (N), `Axis(0)` each column and gives (D). `&a * &b` goes entry by
//! entry. A vector (D) meets every row of a matrix (N,D); to let a vector (N)
//! meet every column, make it a column (N,1) first, `v.insert_axis(Axis(1))`.
//! `stats.slice(s![.., ..1])` is the first column of a matrix, as (N,1), and
//! `v.sqrt()` and `v.recip()` the roots and inverses of all entries.
//!
//! Grade it with `cargo grade normalization`; ask for a hint with
//! `cargo grade hint normalization layer_norm_vjp`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

// --- Task 1: predict -------------------------------------------------------

/// Is every entry of `dx` 0, computed with real numbers, without rounding? ε is
/// 0, but in number 6.
///
/// 1. LayerNorm of a row of two numbers, x = (3, 7), γ = (2, 3), dy = (1, 0).
/// 2. LayerNorm, x = (1, 2, 4, 9), γ = (1, 1, 1, 1), dy = (1, 1, 1, 1).
/// 3. LayerNorm, x = (1, 2, 3, 4), γ = (1, 2, 3, 4), dy = (1, 1, 1, 1).
/// 4. RMSNorm, x = (1, 2, 3, 4), γ = (1, 1, 1, 1), dy = (1, 1, 1, 1).
/// 5. BatchNorm in training, two examples, one feature: x = 3 and 7, γ = 2,
///    dy = 1 and -4.
/// 6. BatchNorm in evaluation, a single example, one feature: x = 3, γ = 2,
///    dy = 1; the running mean is 3 and the running variance 1.
pub const ZEROS: Option<[bool; 6]> = None; // TODO Some([true, false, ..])

// --- Task 2: build ---------------------------------------------------------

/// LayerNorm's `(dx, dgamma, dbeta)` from what the forward kept: row `n` of
/// `stats` (N,2) holds `μ` and `r = 1/√(variance + ε)` of row `n` of `x`.
///
/// `x` and `dy` (N,D), `gamma` (D) give `dx` (N,D), `dgamma` and `dbeta` (D).
pub fn layer_norm_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    stats: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    let (mu, r) = (stats.slice(s![.., ..1]), stats.slice(s![.., 1..])); // (N,1)
    todo!() // TODO
}

// --- Task 3: build ---------------------------------------------------------

/// RMSNorm's `(dx, dgamma)`, with nothing kept: `r` is computed here, from
/// `x` and `eps`.
///
/// `x` and `dy` (N,D), `gamma` (D) give `dx` (N,D) and `dgamma` (D).
pub fn rms_norm_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    eps: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>) {
    todo!() // TODO
}

// --- Task 4: vary ----------------------------------------------------------

/// BatchNorm in training: `(dx, dgamma, dbeta)`. Mean and variance are those
/// of each column of `x`, the variance divided by B.
///
/// `x` and `dy` (B,D), `gamma` (D) give `dx` (B,D), `dgamma` and `dbeta` (D).
/// A batch of one is allowed, with an `eps` above 0: then x̂ is 0. A mean may be
/// a million times the spread, so take it off before you square.
pub fn batch_norm_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    eps: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    todo!() // TODO
}

/// BatchNorm in evaluation: the same three from the running `mean` and
/// `variance` (D), which are given and do not depend on `x`.
pub fn batch_norm_eval_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    mean: ArrayView1<f64>,
    variance: ArrayView1<f64>,
    eps: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    todo!() // TODO
}

// --- Task 5: vary ----------------------------------------------------------

/// GroupNorm: `(dx, dgamma, dbeta)`. The D columns are cut into `groups` parts
/// of D/`groups` columns side by side; each part of each row has a mean and a
/// variance of its own, divided by how many numbers it has. `groups` divides D.
///
/// `x` and `dy` (N,D), `gamma` (D) give `dx` (N,D), `dgamma` and `dbeta` (D).
/// `x.slice(s![n, a..b])` is a part of row `n`, `gamma.slice(s![a..b])` has its
/// scales, and `dx.slice_mut(..)` takes one, with `.assign(&part)`. What the rows
/// give to `dgamma` and `dbeta` adds up. (To hand parts to another function:
/// `ndarray::stack![Axis(1), mu, r]` makes (N,2) of two vectors (N).)
pub fn group_norm_vjp(
    x: ArrayView2<f64>,
    groups: usize,
    gamma: ArrayView1<f64>,
    eps: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    todo!() // TODO
}

// --- Task 6: vary ----------------------------------------------------------

/// The running `(mean, variance)` after one more batch, by PyTorch's rule: the
/// batch counts with the share `momentum`, the old values with the rest, and
/// the batch's variance is divided by B - 1. A batch of one has no such
/// variance: it leaves both as they are. A mean may be a million times the
/// spread.
///
/// `mean` and `variance` (D), `x` (B,D).
pub fn running(
    mean: ArrayView1<f64>,
    variance: ArrayView1<f64>,
    x: ArrayView2<f64>,
    momentum: f64,
) -> (Array1<f64>, Array1<f64>) {
    todo!() // TODO
}

// --- Task 7: hunt ----------------------------------------------------------

/// `first_mended` below is BatchNorm in training, as in task 4. It fails, and
/// this is its report:
///
/// ```text
///   compared  dx against central differences of the forward
///   inputs    x (5,1)
///             [   0.5160 ]
///             [   0.7470 ]
///             [   1.0380 ]
///             [   0.1410 ]
///             [   1.2720 ]
///             gamma (1)
///             [   1.7300 ]
///             beta (1)
///             [   1.0200 ]
///             dy (5,1)
///             [  -1.5200 ]
///             [  -1.9500 ]
///             [  -1.9200 ]
///             [  -1.7400 ]
///             [  -1.1100 ]
///             eps = 0.1
///   got       (5,1)
///             [  -5.1955 ]
///             [  -6.6653 ]
///             [  -6.5628 ]
///             [  -5.9475 ]
///             [  -3.7941 ]
///   expected  (5,1)
///             [   0.5764 ]
///             [  -1.0348 ]
///             [  -1.1105 ]
///             [   0.0541 ]
///             [   1.5149 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
pub const FIRST_BUG: Option<&str> = None; // TODO Some("...")

/// The gradients `(dx, dgamma, dbeta)`, as in task 4.
pub fn first_mended(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    eps: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    let b = x.nrows() as f64;
    let d = &x - &(x.sum_axis(Axis(0)) / b);
    let r = ((&d * &d).sum_axis(Axis(0)) / b + eps).sqrt().recip();
    let x_hat = d * &r;
    let dgamma = (&dy * &x_hat).sum_axis(Axis(0));
    let dbeta = dy.sum_axis(Axis(0));
    let dx = &dy * &(&gamma * &r);
    (dx, dgamma, dbeta)
}

// --- Task 8: hunt ----------------------------------------------------------

/// `second_mended` below is LayerNorm, as in task 2. It fails, and this is its
/// report:
///
/// ```text
///   compared  dx against central differences of the forward
///   inputs    x (1,3)
///             [   0.5160   1.0770   0.0480 ]
///             gamma (3)
///             [  -0.6300   0.9400   1.7300 ]
///             beta (3)
///             [   1.0200  -1.5200  -1.9500 ]
///             dy (1,3)
///             [  -1.9200  -1.7400  -1.1100 ]
///             eps = 0.1
///   got       (1,3)
///             [  -0.6490   0.0893   0.5597 ]
///   expected  (1,3)
///             [   3.7884  -1.6871  -2.1013 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
pub const SECOND_BUG: Option<&str> = None; // TODO Some("...")

/// The gradients `(dx, dgamma, dbeta)`, as in task 2.
pub fn second_mended(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    stats: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    let d = x.ncols() as f64;
    let mean = |a: &Array2<f64>| a.sum_axis(Axis(1)).insert_axis(Axis(1)) / d;
    let (mu, r) = (stats.slice(s![.., ..1]), stats.slice(s![.., 1..]));
    let x_hat = (&x - &mu) * r;
    let dgamma = (&dy * &x_hat).sum_axis(Axis(0));
    let g = dy.to_owned();
    let dx = (&g - &mean(&g) - &x_hat * &mean(&(&g * &x_hat))) * r;
    (dx, dgamma, dy.sum_axis(Axis(0)))
}
