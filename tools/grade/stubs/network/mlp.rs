//! # Exercise: the multilayer perceptron
//!
//! Chapter: The multilayer perceptron (network/mlp).
//! Letters: B examples, I inputs of a layer, O its units, P the units of the
//! layer above. Rows are examples.
//!
//! From the library you get three types:
//!
//! - `Activation`, one of `Activation::Identity`, `Relu`, `Tanh` and `Sigmoid`:
//!   `activation.value(z)` is σ(z), `activation.slope(z)` is σ'(z), both of the
//!   shape of `z`. At z = 0 the slope of ReLU is 0. It is `Copy`.
//! - `Layer`: `w` (I,O), `b` (O) and its `activation`.
//! - `Cache`, what the forward kept: `cache.inputs[l]` (B,I) is what went into
//!   layer `l`, `cache.sums[l]` (B,O) its weighted sum `z`, before the
//!   activation. Layer 0 is the first, `cache.inputs[0]` the batch itself.
//!
//! Grade it with `cargo grade mlp`; ask for a hint with
//! `cargo grade hint mlp errors`.

use backprop::network::mlp::{Activation, Cache, Layer};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

// --- Task 1: predict -------------------------------------------------------

/// Before any code: a network with two inputs, two hidden ReLU units and one
/// output without activation. The input is x = (0, 2), all biases are 0, the
/// hidden sums are z = (-0.3, 0.5), no weight is 0, and the error of the
/// output is 0.7. Which of these gradients are exactly zero?
///
/// 1. of both weights that lead into the first hidden unit
/// 2. of the weight from the first input to the second hidden unit
/// 3. of the second hidden unit's bias
/// 4. of the weight from the first hidden unit to the output
/// 5. of the first input
pub const ZEROS: Option<[bool; 5]> = None; // TODO Some([true, false, ..])

// --- Task 2: build ---------------------------------------------------------

/// BP1: the error `δᴸ` (B,O) of the last layer.
///
/// `dy` (B,O) is the gradient of the loss with respect to the network's output
/// `y = σ(z)`, and `z` (B,O) the last layer's weighted sum.
pub fn bp1(
    dy: ArrayView2<f64>,
    z: ArrayView2<f64>,
    activation: Activation,
) -> Array2<f64> {
    todo!() // TODO
}

/// BP2: the error `δˡ` (B,O) of a layer, from the layer above it.
///
/// `delta_above` (B,P) is the error of the layer above and `w_above` (O,P) its
/// weight; `z` (B,O) and `activation` belong to this layer.
pub fn bp2(
    delta_above: ArrayView2<f64>,
    w_above: ArrayView2<f64>,
    z: ArrayView2<f64>,
    activation: Activation,
) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 3: vary ----------------------------------------------------------

/// A batch through two layers and back, all shapes in your hands:
///
///   y = relu(x·w1 + b1)·w2 + b2,   loss = Σ (y - t)² / B
///
/// The sum runs over all entries of `y`, the mean is over the examples only,
/// and there is no half. The slope of ReLU at a sum of exactly 0 is 0.
///
/// `x` (B,I), `w1` (I,H), `b1` (H), `w2` (H,O), `b2` (O), `t` (B,O) give
/// `(loss, dw1, db1, dw2, db2)`, each gradient in the shape of its variable.
///
/// In ndarray: `x.dot(&w1) + &b1` adds a bias to each row, and
/// `a.mapv(|v| v.max(0.))` is ReLU.
pub fn two_layers(
    x: ArrayView2<f64>,
    w1: ArrayView2<f64>,
    b1: ArrayView1<f64>,
    w2: ArrayView2<f64>,
    b2: ArrayView1<f64>,
    t: ArrayView2<f64>,
) -> (f64, Array2<f64>, Array1<f64>, Array2<f64>, Array1<f64>) {
    todo!() // TODO
}

// --- Task 4: build ---------------------------------------------------------

/// The whole backward pass: one `(dw, db)` per layer, the first layer first.
///
/// `dy` (B,O) is the gradient of the loss with respect to the output of the
/// last layer. The mean over the batch is already in it. You may call your
/// functions of task 2.
pub fn backward(
    layers: &[Layer],
    cache: &Cache,
    dy: ArrayView2<f64>,
) -> Vec<(Array2<f64>, Array1<f64>)> {
    todo!() // TODO
}

// --- Task 5: vary ----------------------------------------------------------

/// One weight in two layers: it reads with `w` and writes with its transpose,
///
///   z = x·w,   a = tanh z,   y = a·wᵀ
///
/// `x` (B,I), `w` (I,H), `dy` (B,I) give `(dx, dw)`: `dx` (B,I), `dw` (I,H).
/// A variable that is used twice gets the sum of what both uses say.
pub fn tied_vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    todo!() // TODO
}

// --- Task 6: hunt ----------------------------------------------------------

/// `mended` below is BP2 for a ReLU layer, whose slope at a sum of exactly 0 is
/// 0. It fails, and this is its report:
///
/// ```text
///   compared  delta of BP2 against central differences of the forward
///   inputs    z (2,2)
///             [   1.2600  -0.4900 ]
///             [   0.4800  -1.1700 ]
///             w_above (2,2)
///             [   0.9200  -0.8300 ]
///             [   1.7600   1.9500 ]
///             delta_above (2,2)
///             [  -1.0500   0.6100 ]
///             [   0.3800   1.0800 ]
///   got       (2,2)
///             [   0.0000   0.0000 ]
///             [   0.0000   2.7748 ]
///   expected  (2,2)
///             [  -1.4723   0.0000 ]
///             [  -0.5468   0.0000 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
///
/// In ndarray: `delta.zip_mut_with(&z, |d, z| *d *= z)` changes each entry of
/// `delta` with the one of `z` in the same place.
pub const BUG: Option<&str> = None; // TODO Some("...")

/// BP2 for a ReLU layer: shapes as in task 2.
pub fn mended(
    delta_above: ArrayView2<f64>,
    w_above: ArrayView2<f64>,
    z: ArrayView2<f64>,
) -> Array2<f64> {
    let mut delta = delta_above.dot(&w_above.t());
    delta.mapv_inplace(|d| if d > 0. { d } else { 0. });
    delta
}

// --- Task 7: measure -------------------------------------------------------

/// How many numbers the forward pass keeps for the backward pass.
///
/// `sizes` are n₀ inputs, then the units of each layer: `[64, 128, 10]` has
/// two layers. Kept for each layer: the array that BP3 reads and, if
/// `keep_sums`, the sum `z` that the slope is taken at. (Without `keep_sums`
/// a slope is read off the activation, which the next layer keeps anyway; the
/// last layer has no activation function then.) Count numbers, for a batch of `batch` examples. The network's output `y` is not
/// kept, though the last layer's `z` is, even where the two are equal; nor are
/// the parameters.
pub fn cached(sizes: &[usize], batch: usize, keep_sums: bool) -> usize {
    todo!() // TODO
}

// --- Task 8: run -----------------------------------------------------------

/// The parameters of a net with one hidden ReLU layer and one output, which
/// has no activation: `w1` (I,H), `b1` (H), `w2` (H), `b2`.
pub type Net = (Array2<f64>, Array1<f64>, Array1<f64>, f64);

/// Gradient descent on one example, by hand: forward, backward, update, all
/// four parameters at the learning rate `lr`, `steps` times.
///
/// The loss is half the squared error, `(y - t)²/2`, of the example `x` (I)
/// with target `t`, and the slope of ReLU at a sum of exactly 0 is 0. Gives
/// `steps + 1` losses: before the first step, and after each.
///
/// In ndarray: `x.insert_axis(Axis(0))` is `x` as a row, (1,I), and
/// `w2.view().insert_axis(Axis(1))` is `w2` as a column, (H,1); `a.row(0)`
/// turns a row back into a vector.
pub fn descend(
    net: Net,
    x: ArrayView1<f64>,
    t: f64,
    lr: f64,
    steps: usize,
) -> Vec<f64> {
    todo!() // TODO
}
