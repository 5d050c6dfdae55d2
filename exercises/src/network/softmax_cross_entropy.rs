//! # Exercise: softmax and cross-entropy
//!
//! Chapter: Softmax and cross-entropy (network/softmax_cross_entropy).
//!
//! Letters: B examples, one per row; V classes, one per column. `x` holds
//! logits (any real numbers), `y` and `p` probabilities, `t` targets: each row
//! of `t` is not negative and sums to 1, but need not be one-hot. A name that
//! begins with `d` is a gradient: `dy` is the cotangent that arrives from
//! above, `dx` the one that you hand down. Logarithms are natural.
//!
//! The library is imported below. From task 4 on use its forward passes:
//! `softmax::forward(x)` gives probabilities, `softmax::cross_entropy(x, t)`
//! the loss and the probabilities, `softmax::targets(labels, classes,
//! smoothing)` rows of targets, an `Array2<f64>` (B,V). A view is made by
//! `a.view()`. Tasks 2 and 3 ask for your own code, without the library, and
//! tasks 4 to 6 for your own backward passes: a call of the library's would
//! pass, and teach you nothing.
//!
//! Grade it with `cargo grade softmax_cross_entropy`; ask for a hint with
//! `cargo grade hint softmax_cross_entropy vjps`.

use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

// --- Task 1: predict -------------------------------------------------------

/// Before any code. One example, three classes, logits (4, 1, 1). Its target is
/// soft: (1/2, 1/2, 0). The sign, 1, 0 or -1, of each entry of the gradient of
/// the cross-entropy with respect to the logits:
pub const SIGNS: Option<[i8; 3]> = None; // TODO Some([.., .., ..])

/// Somebody makes a slip, and the target is (1/2, 1/2, 1/2). The loss is still
/// `-Σ t ln p`. What do the three entries of its true gradient add up to?
pub const SUM: Option<f64> = None; // TODO Some(..)

/// A colleague's softmax VJP returns zeros, whatever it is given. Find a
/// cotangent `dy` for two examples and three classes, with two different rows
/// and no row of zeros, for which this passes every gradient check, whatever
/// the logits:
pub const BLIND: Option<[[f64; 3]; 2]> = None; // TODO Some([[..], [..]])

// --- Task 2: build ---------------------------------------------------------

/// Two relatives of softmax whose VJPs the chapter does not print. Derive each
/// as the chapter derives (3): an entry of the Jacobian first, written with the
/// output `y` alone, then the sum over paths. No Jacobian is built.
///
/// The root, `y_bv = √softmax(x)_bv`: every row of `y` has length 1. Right also
/// where an entry of `y` is 0, so nothing is divided by `y`.
///
/// `y` (B,V), the root, and `dy` (B,V) give `dx` (B,V).
///
/// In ndarray: a sum per row, as a column that fits beside a matrix, is
/// `x.sum_axis(Axis(1)).insert_axis(Axis(1))`; every entry halved `&a * 0.5`.
pub fn root_softmax_vjp(
    y: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    todo!() // TODO
}

/// The logarithm, `y_bv = x_bv - ln Σ_k exp(x_bk)`.
///
/// `y` (B,V), the output of log-softmax (logarithms!), and `dy` (B,V) give
/// `dx` (B,V).
pub fn log_softmax_vjp(y: ArrayView2<f64>, dy: ArrayView2<f64>) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 3: build ---------------------------------------------------------

/// The mean cross-entropy of the batch, `-1/B Σ_bv t_bv ln p_bv`, where `p` is
/// the softmax of `x`. Finite and right for logits of ±10000, so do not call
/// softmax and then the logarithm.
///
/// `x` (B,V) and `t` (B,V) give one number.
///
/// In ndarray: `for row in x.rows()` goes through the rows, and
/// `row.fold(f64::NEG_INFINITY, |m, &v| m.max(v))` is the largest entry of one.
pub fn cross_entropy(x: ArrayView2<f64>, t: ArrayView2<f64>) -> f64 {
    todo!() // TODO
}

/// Its gradient with respect to the logits, times the cotangent `dloss` of the
/// loss. Finite and right for logits of ±10000.
///
/// `x` (B,V), `t` (B,V) and the number `dloss` give `dx` (B,V).
pub fn cross_entropy_vjp(
    x: ArrayView2<f64>,
    t: ArrayView2<f64>,
    dloss: f64,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 4: vary ----------------------------------------------------------

/// A classifier with two knobs: its logits are divided by a temperature `tau`
/// before the softmax, and its labels are smoothed by `smoothing` = ε,
///
/// ```text
///   loss = -1/B Σ_bv t_bv ln softmax(x/tau)_bv
///   t_bv = (1-ε)·[v is the label of b] + ε/V
/// ```
///
/// The gradients `(dx, dtau)`: the temperature is learned as well.
///
/// `x` (B,V), `labels` (B) in `0..V`, the numbers `smoothing`, `tau` > 0 and
/// `dloss` give `dx` (B,V) and the number `dtau`.
pub fn tempered_vjp(
    x: ArrayView2<f64>,
    labels: &[usize],
    smoothing: f64,
    tau: f64,
    dloss: f64,
) -> (Array2<f64>, f64) {
    todo!() // TODO
}

// --- Task 5: vary ----------------------------------------------------------

/// Two classes, one logit per example, and a rare class: a positive example
/// (`t` = 1) weighs `w` times as much as a negative one (`t` = 0).
///
/// ```text
///   loss = -1/B Σ_b (w·t_b ln σ(x_b) + (1 - t_b) ln(1 - σ(x_b)))
///   σ(x) = 1/(1 + exp(-x))
/// ```
///
/// A target may lie between 0 and 1; then both terms count. Finite and right
/// for logits of ±10000. It helps that 1 - σ(x) = σ(-x), and that -ln σ(x) is
/// ln(1 + exp(-x)), the log-sum-exp of the two numbers 0 and -x: take the larger
/// out of the sum, as in (9). `u.ln_1p()` is ln(1 + u), exact for tiny u too,
/// and in `f64` 1/(1 + ∞) is 0.
///
/// `x` (B), `t` (B) in `[0,1]` and the number `w` give one number.
pub fn binary_loss(x: ArrayView1<f64>, t: ArrayView1<f64>, w: f64) -> f64 {
    todo!() // TODO
}

/// Its gradient, finite and right for logits of ±10000.
///
/// `x` (B), `t` (B), the numbers `w` and `dloss` give `dx` (B).
pub fn binary_vjp(
    x: ArrayView1<f64>,
    t: ArrayView1<f64>,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    todo!() // TODO
}

// --- Task 6: hunt ----------------------------------------------------------

/// A soft lookup: each example mixes the V rows of a table `e`, with softmax
/// weights, `y = softmax(x)·e`. Its VJP `mended` below fails, and this is the
/// report:
///
/// ```text
///   compared  dx against central differences of the forward
///   inputs    x (1,3)
///             [  -1.7900   0.3000   0.5800 ]
///             e (3,4)
///             [  -1.2300   0.4000   0.7900  -1.7600 ]
///             [  -0.3100  -0.4500   0.2200  -1.0800 ]
///             [   1.6400   0.7700   0.5500  -1.4200 ]
///             dy (1,4)
///             [   1.3000  -0.2700   1.0200   1.4800 ]
///   got       (1,3)
///             [  -0.1683  -0.4001   0.0952 ]
///   expected  (1,3)
///             [  -0.1446  -0.4124   0.5569 ]
/// ```
///
/// Name the bug by its code, then mend the function. The candidates are in the
/// chapter's table under "What goes wrong"; the appendix "Catalogue of mistakes"
/// has all codes.
pub const BUG: Option<&str> = None; // TODO Some("...")

/// The gradients `(dx, de)`.
///
/// `x` (B,V), `e` (V,D), `dy` (B,D) give `dx` (B,V), `de` (V,D).
pub fn mended(
    x: ArrayView2<f64>,
    e: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let p = softmax::forward(x); //  (B,V)
    let dp = dy.dot(&e.t()); //      (B,V) back through the product with e
    let de = p.t().dot(&dy); //      (V,D)
    let dx = &p * &(1. - &p) * &dp;
    (dx, de)
}

// --- Task 7: hunt ----------------------------------------------------------

/// This one passes its gradient check at every point, and yet its loss does
/// not fall to 0. Five classes, one example with label 4, gradient descent with
/// rate 1 on its five logits, which start at 0:
///
/// ```text
///     step      loss
///        0    1.6094
///        1    1.5757
///       10    1.0982
///      100    0.9137
///    10000    0.9049
/// ```
///
/// and at the logits (0, 0, 0, 0, 10000), with label 4:
///
/// ```text
///   got       0.9048324416
///   expected  0.0000000000
/// ```
///
/// Name the bug by its code, as in task 6, then mend the function.
pub const FLOOR: Option<&str> = None; // TODO Some("...")

/// The mean cross-entropy and its gradient with respect to the logits.
///
/// `x` (B,V) logits, `t` (B,V) give the loss and `dx` (B,V).
pub fn mended_loss(
    x: ArrayView2<f64>,
    t: ArrayView2<f64>,
) -> (f64, Array2<f64>) {
    let y = softmax::forward(x);
    let (loss, p) = softmax::cross_entropy(y.view(), t);
    let dy = softmax::cross_entropy_vjp(p.view(), t, 1.);
    let dx = softmax::vjp(y.view(), dy.view());
    (loss, dx)
}

// --- Task 8: measure -------------------------------------------------------

/// The price of the Jacobian, for a softmax over `rows` rows of `classes`
/// classes. Every row has a Jacobian of its own. Count a product, a sum, a
/// difference of two numbers as 1 each, a sum of n numbers as n, and a matrix
/// product (n,k)(k,m) as 2nkm.
///
/// Returns three counts:
/// 1. the numbers to store if the Jacobians are built,
/// 2. the operations to multiply each with its row's cotangent,
/// 3. the operations of `y ⊙ (dy - ⟨y, dy⟩)` instead.
pub fn work(rows: u64, classes: u64) -> [u64; 3] {
    todo!() // TODO
}
