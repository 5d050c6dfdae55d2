//! # Exercise: straight-through estimators
//!
//! Chapter: Straight-through estimators (discrete/straight_through).
//! Letters: B examples, I inputs, O outputs, N rows, D coordinates, K codes.
//!
//! A grid is given by three numbers: the scale `s` (above 0), and the first and
//! the last code, `low` and `high`, whole numbers with `low <= high`. Its values
//! are `s` times the codes. Halves are rounded to the even neighbour:
//! `v.round_ties_even()`. `v.clamp(low, high)` cuts a number off at both ends.
//!
//! Entry by entry, from one array: `w.mapv(|w| ...)`; from two of the same shape:
//! `Zip::from(&w).and(&dy).map_collect(|w, d| ...)`, where `w` and `d` are
//! references, so `*w` and `*d` are the numbers. Rows: `for row in z.rows()`.
//! The sum of squares of a row: `(&row * &row).sum()`. To add to row k of an
//! array: `de.row_mut(k).scaled_add(1., &row)`.
//!
//! Grade it with `cargo grade straight_through`; ask for a hint with
//! `cargo grade hint straight_through quantise`.

use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

// --- Task 1: predict -------------------------------------------------------

/// The loss is (round(w) - 1)². What is the declared gradient of w, straight
/// through and not clipped, at w = 0.3 and at w = 0.7?
pub const ROUNDED: Option<[f64; 2]> = None; // TODO Some([.., ..])

/// The loss is (round(w)·x - 5)². What is the declared gradient of w at w = 1.3,
/// x = 3?
pub const INPUT: Option<f64> = None; // TODO Some(..)

/// What become of 0.5, 1.5, 2.5 and -0.5 by the rounding of this chapter?
pub const TIES: Option<[f64; 4]> = None; // TODO Some([..])

/// Straight-through descent on (round(w) - 1.8)² with a small learning rate, for
/// very many steps. In which share of them is the code 2?
pub const SHARE: Option<f64> = None; // TODO Some(..)

/// True or false?
///
/// 1. Where a weight is rounded at random, its straight-through gradient is, on
///    average, the gradient of the expected loss.
/// 2. In f32, x + (q - x) is q to the last bit, for q = round(x).
/// 3. In f32, (q + x) - x is q to the last bit, for q = round(x).
/// 4. GPTQ and AWQ train through the rounding, straight through.
/// 5. The place of the largest logit plus Gumbel noise is a draw from the
///    softmax of the logits.
pub const TRUE: Option<[bool; 5]> = None; // TODO Some([..])

// --- Task 2: build ---------------------------------------------------------

/// The nearest value of the grid for every entry of `w` (I,O): round w/s to a
/// code, halves to even, clamp the code to `low`, …, `high`, multiply by s.
pub fn quantise(
    w: ArrayView2<f64>,
    s: f64,
    low: f64,
    high: f64,
) -> Array2<f64> {
    todo!() // TODO
}

/// The clipped straight-through gradient of `w` from `dy` (I,O). An entry passes
/// where the *code* is on the grid: the rounded number w/s, before it is
/// clamped, from `low` to `high`, both included. Elsewhere it is 0.
pub fn quantise_vjp(
    w: ArrayView2<f64>,
    s: f64,
    low: f64,
    high: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 3: vary ----------------------------------------------------------

/// A linear layer with weights of one bit: `y = x·sign(w)`, where sign(0) and
/// sign(-0) are 1. `x` (B,I), `w` (I,O) give `y` (B,O).
pub fn binary_layer(x: ArrayView2<f64>, w: ArrayView2<f64>) -> Array2<f64> {
    todo!() // TODO
}

/// `(dx, dw)` from `dy` (B,O). The sign alone is straight through, clipped: a
/// weight gets its gradient where |w| <= 1, the ends included, else 0. All other
/// derivatives are true ones.
pub fn binary_layer_vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 4: vary ----------------------------------------------------------

/// Gradient descent on `(round(w) - target)²`, straight through and not clipped:
/// `steps` steps with the learning rate `lr`. Returns the code round(w) that each
/// step begins with (as many codes as steps, halves to even), and the weight
/// after the last step.
pub fn walk(w: f64, target: f64, lr: f64, steps: usize) -> (Vec<f64>, f64) {
    todo!() // TODO
}

// --- Task 5: run -----------------------------------------------------------

/// Linear regression with weights on a grid. `w` (I) are weights that were
/// trained without one; `x` (N,I) and `t` (N) are inputs and targets, and the
/// loss of rounded weights ŵ is `Σ_n (x_n·ŵ - t_n)²/(2N)`.
///
/// Take `steps` steps of gradient descent on `w`: the gradient of the loss at
/// the rounded weights, handed to the latent ones straight through and clipped,
/// as in task 2. Returns `steps + 1` losses, of the weights as they are rounded
/// before each step and after the last one. The first is that of rounding
/// without training.
pub fn train(
    x: ArrayView2<f64>,
    t: ArrayView1<f64>,
    w: ArrayView1<f64>,
    (s, low, high): (f64, f64, f64),
    lr: f64,
    steps: usize,
) -> Vec<f64> {
    todo!() // TODO
}

// --- Task 6: build ---------------------------------------------------------

/// Vector quantisation. Each row z_n of `z` (N,D) chooses the nearest row e_k of
/// the codebook `e` (K,D), by the smallest ‖z_n - e_k‖², the first of several;
/// both may lie far from 0 and close to each other.
/// Returns `q` (N,D), the chosen codes, and `l` (N), the two pulls of each row,
/// `l_n = ‖sg(z_n) - e_k‖² + beta·‖z_n - sg(e_k)‖²`. Norms are sums over the D
/// coordinates; sg(v) has the value of v.
pub fn codebook(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    beta: f64,
) -> (Array2<f64>, Array1<f64>) {
    todo!() // TODO
}

/// `(dz, de)` from `dq` (N,D), the cotangent of the codes, and `dl` (N), that of
/// the pulls. Declared: `q` moves as `z` does, so `dq` goes straight to `dz` and
/// not to `de`; the choice of a code, made as in `codebook`, does not move; what
/// stands in sg(·) is a constant. In a report, `dl` and `dq` are one array `dy` (N,1+D), `dl` its
/// first column.
pub fn codebook_vjp(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    beta: f64,
    dq: ArrayView2<f64>,
    dl: ArrayView1<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// Helpers of your own may stand here.

// --- Task 7: build ---------------------------------------------------------

/// A soft and a hard draw from the softmax of logits `x` (B,V), with uniform
/// numbers `u` (B,V), 0 < u < 1: Gumbel noise `g = -ln(-ln u)`, the soft draw
/// `softmax((x + g)/tau)` row by row, and the hard one, 1 at the soft one's
/// maximum (the first of several) and 0 elsewhere. You may call
/// `softmax::forward(z.view())`, which takes a matrix of logits.
pub fn gumbel(
    x: ArrayView2<f64>,
    u: ArrayView2<f64>,
    tau: f64,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

/// The gradient of the logits from `dy` (B,V), the cotangent of the hard draw,
/// which is declared to have the derivative of the soft one, `soft` (B,V).
pub fn gumbel_vjp(
    soft: ArrayView2<f64>,
    tau: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 8: hunt ----------------------------------------------------------

/// A neuron with rounded weights, `y = x·ŵ`: `x` (B,I), `w` (I), ŵ its values on
/// the grid, `y` (B). `mended` below is its backward pass, straight through and
/// clipped as in task 2, with a planted bug, and this is the report:
///
/// ```text
///   compared  dw against central differences of the forward
///   inputs    dy (5)
///             [  -0.7300  -1.0900  -0.2500  -2.0000  -1.4700 ]
///             x (5,3)
///             [   1.3300  -1.4900  -1.8400 ]
///             [   1.2100  -1.7900   0.3000 ]
///             [   0.5800  -1.2300   0.4000 ]
///             [   0.7900  -1.7600  -0.3100 ]
///             [  -0.4500   0.2200  -1.0800 ]
///             w (3)
///             [   1.4400   1.9400  -1.0300 ]
///             s = 0.45, low = -2, high = 4
///   got       (3)
///             [  -5.5400  -5.5400  -5.5400 ]
///   expected  (3)
///             [  -3.3533   6.5429   3.1238 ]
/// ```
///
/// Name the bug by its code, one of this chapter's table, then mend the
/// function.
pub const BUG: Option<&str> = None; // TODO Some("...")

/// `(dx, dw)` from `dy` (B). One line of it is wrong.
pub fn mended(
    x: ArrayView2<f64>,
    w: ArrayView1<f64>,
    s: f64,
    low: f64,
    high: f64,
    dy: ArrayView1<f64>,
) -> (Array2<f64>, Array1<f64>) {
    let code = w.mapv(|w| (w / s).round_ties_even());
    let w_hat = code.mapv(|c| s * c.clamp(low, high));
    let column = dy.insert_axis(Axis(1));
    let dx = column.dot(&w_hat.view().insert_axis(Axis(0)));
    let dw_hat = Array1::from_elem(x.ncols(), dy.sum());
    let dw = Zip::from(&code).and(&dw_hat).map_collect(|c, d| {
        let on_grid = low <= *c && *c <= high;
        if on_grid { *d } else { 0. }
    });
    (dx, dw)
}
