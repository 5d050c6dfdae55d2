//! # Exercise: low-rank adaptation
//!
//! Chapter: Low-rank adaptation (transformer/lora).
//! Letters: N rows, I inputs, O outputs, rank R. The layer has no bias.
//!
//! `w` (I,O) is frozen, `a` (I,R) and `b` (R,O) are trained, and `alpha` is α:
//! the product of the factors counts s = α/R times. All sizes are at least 1;
//! `alpha` may be any number, 0 and negative ones too.
//!
//! Cast a size with `a.ncols() as f64`. Lengths of columns: square, then
//! `sum_axis(Axis(0))`, then `sqrt`. A vector (O) multiplies or divides every
//! row of a matrix (.., O) by itself: `&v / &n`.
//!
//! Grade it with `cargo grade lora`; ask for a hint with
//! `cargo grade hint lora vjp`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

// --- Task 1: predict -------------------------------------------------------

/// A layer has 6 inputs and 8 outputs. How many numbers get a gradient if the
/// whole weight is tuned, and how many with adapters of rank 2?
pub const COUNT: Option<[usize; 2]> = None; // TODO Some([.., ..])

/// One row x = (2, 3) goes through a frozen weight of two inputs and two
/// outputs, and dy = (1, -1) comes back. What is ∂L/∂W, row by row of W?
pub const DW: Option<[[f64; 2]; 2]> = None; // TODO Some([[.., ..], ..])

/// A good start is the model that is adapted, to the bit, and can learn. Which
/// of these are good?
///
/// 1. A random, B zero.
/// 2. A zero, B random.
/// 3. Both zero.
/// 4. Both random.
pub const STARTS: Option<[bool; 4]> = None; // TODO Some([..])

/// Adapters begin with A random and B zero. Twice the scale s, the same
/// learning rate: how many times as large is the first change of the weight,
/// s·A·B after one step, under gradient descent, and under Adam (with an ε that
/// does not count)?
pub const DOUBLED: Option<[f64; 2]> = None; // TODO Some([.., ..])

// --- Task 2: build ---------------------------------------------------------

/// The adapted layer: `y = x·w + s·(x·a)·b`, with s = α/R.
///
/// `x` (N,I), `w` (I,O), `a` (I,R), `b` (R,O) give `y` (N,O).
pub fn forward(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    alpha: f64,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 3: build ---------------------------------------------------------

/// Its gradients `(dx, da, db)` from the cotangent `dy` (N,O). `dx` is the
/// whole gradient of `x`, as the layer below needs it.
pub fn vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    alpha: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 4: run -----------------------------------------------------------

/// Trains the factors by plain gradient descent, at the learning rate `rate`,
/// on
///
///   L = Σ (y - t)² / (2·N)     summed over all entries of y (N,O)
///
/// where `y` is the output of the adapted layer for `x` (N,I) and `t` (N,O) are
/// the targets. Both factors take the step together, from the gradients at one
/// point. Training may begin anywhere: `b` need not be 0.
///
/// Returns the loss before the first step and the one after each of `steps`
/// steps: `steps + 1` numbers.
pub fn tune(
    x: ArrayView2<f64>,
    t: ArrayView2<f64>,
    w: ArrayView2<f64>,
    (a, b): (ArrayView2<f64>, ArrayView2<f64>),
    alpha: f64,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    todo!() // TODO
}

/// The same with the whole weight: `y = x·w`, and `w` is what takes the steps.
pub fn tune_all(
    x: ArrayView2<f64>,
    t: ArrayView2<f64>,
    w: ArrayView2<f64>,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    todo!() // TODO
}

// --- Task 5: measure -------------------------------------------------------

/// For adapters of rank R beside a frozen weight (I,O), and N rows: how many
/// numbers are trained, and how many operations do the products of one step
/// take, forward and back, `dx` included?
///
/// A product (n,k)(k,m) counts 2·n·k·m. Products with the scale and sums of
/// matrices are not counted; `x·a` is kept, and no product of two weights is
/// formed.
pub fn counts(n: u64, i: u64, o: u64, r: u64) -> [u64; 2] {
    todo!("[numbers trained, operations]")
}

// --- Task 6: vary ----------------------------------------------------------

/// DoRA's layer. With V = w + s·a·b, column `o` of the weight has the direction
/// of column `o` of V and the length `m_o`:
///
///   n_o = √(Σ_i V_io²),     W_io = m_o·V_io/n_o,     y = x·W
///
/// `m` (O) is trained like the factors, and its entries may have any sign; no
/// column of V is 0.
pub fn dora(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    m: ArrayView1<f64>,
    alpha: f64,
) -> Array2<f64> {
    todo!() // TODO
}

// A helper for this task and the next is welcome here.

/// Its gradients `(dx, dm, da, db)`: those of `dora` as it is written, n being
/// a function of V. A finite difference agrees with them.
pub fn dora_vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    m: ArrayView1<f64>,
    alpha: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 7: vary ----------------------------------------------------------

/// The other convention: `(da, db)` of the same layer with n declared constant,
/// as the paper proposes and the PEFT library does. The norms are those of V as
/// it is, but on the way back they are numbers that do not depend on V. Finite
/// differences of `dora` do not agree with this, and need not.
pub fn norm_constant(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    m: ArrayView1<f64>,
    alpha: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 8: hunt ----------------------------------------------------------

/// Adapters are merged into the weight they were trained beside, with s = α/R
/// as everywhere in this file. The merged model is worse than the adapted one.
/// One case of the report:
///
/// ```text
///   compared  w against w + (α/R)·a·b
///   inputs    w (2,2)
///             [   1.2400  -2.0000 ]
///             [  -1.6800  -1.2200 ]
///             a (2,2)
///             [  -0.9500   0.5100 ]
///             [  -1.3600  -0.5600 ]
///             b (2,2)
///             [  -0.2300  -0.9100 ]
///             [  -1.3600   0.8900 ]
///             alpha = 3.5
///   got       (2,2)
///             [   0.0642   1.2629 ]
///             [   0.9790   0.6094 ]
///   expected  (2,2)
///             [   0.4086   0.3072 ]
///             [   0.2002   0.0736 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
pub const BUG: Option<&str> = None; // TODO Some("...")

/// The merged weight (I,O).
pub fn mended(
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    alpha: f64,
) -> Array2<f64> {
    let scale = alpha / (a.ncols() as f64).sqrt();
    &w + &(a.dot(&b) * scale)
}
