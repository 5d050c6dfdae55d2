//! The multilayer perceptron.                            book: network/mlp
//!
//!   a⁰ = x,   zˡ = aˡ⁻¹·Wˡ + bˡ,   aˡ = σˡ(zˡ),   l = 1 … L,   y = aᴸ
//!
//! and, with the error signal `δˡ = ∂loss/∂zˡ`, the four equations of its
//! backward pass:
//!
//!   BP1  δᴸ = dy ⊙ σᴸ'(zᴸ)               the error at the output
//!   BP2  δˡ = (δˡ⁺¹·Wˡ⁺¹ᵀ) ⊙ σˡ'(zˡ)     the error one layer down
//!   BP3  dWˡ = aˡ⁻¹ᵀ·δˡ                  what it says to the weights
//!   BP4  dbˡ = Σ_n δˡ_n                  and to the biases
//!
//! Rows are examples. Here everything is plain `f64`, to be read and checked.
//! [`model`] is the same network as it is trained: written once over
//! [`crate::device::Device`].

pub mod model;

use super::softmax_cross_entropy as softmax;
use super::{activation, linear};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;

/// The non-linearity of a layer, entry by entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `σ(z) = z`: no non-linearity, for the last layer.
    Identity,
    /// `σ(z) = max(z, 0)`; the slope at 0 is taken as 0.
    Relu,
    /// `σ(z) = tanh z`.
    Tanh,
    /// `σ(z) = 1/(1 + e⁻ᶻ)`.
    Sigmoid,
}

impl Activation {
    /// `a = σ(z)`, of the shape of `z`.
    // ANCHOR: activation
    pub fn value(self, z: ArrayView2<f64>) -> Array2<f64> {
        match self {
            Self::Identity => z.to_owned(),
            Self::Relu => activation::relu(z),
            Self::Tanh => activation::tanh(z),
            Self::Sigmoid => z.mapv(|z| 1. / (1. + (-z).exp())),
        }
    }

    /// `σ'(z)`, of the shape of `z`; for ReLU 1 where `z > 0`, else 0.
    pub fn slope(self, z: ArrayView2<f64>) -> Array2<f64> {
        match self {
            Self::Identity => Array2::ones(z.raw_dim()),
            Self::Relu => z.mapv(|z| if z > 0. { 1. } else { 0. }),
            Self::Tanh => self.value(z).mapv(|a| 1. - a * a),
            Self::Sigmoid => self.value(z).mapv(|a| a * (1. - a)),
        }
    }
    // ANCHOR_END: activation
}

/// BP1, the error at the output: `δᴸ = dy ⊙ σ'(zᴸ)`.
///
/// `dy` (B,O), the gradient of the loss with respect to the network's output
/// `y = σ(z)`, and `z` (B,O) give `δᴸ` (B,O).
///
/// Only for an activation that works entry by entry. Softmax does not; there
/// the Jacobian stands in place of the slope, [`bp1_softmax`].
///
/// Panics if the shapes differ.
#[track_caller]
// ANCHOR: bp1
pub fn bp1(
    dy: ArrayView2<f64>,
    z: ArrayView2<f64>,
    activation: Activation,
) -> Array2<f64> {
    assert_eq!(dy.shape(), z.shape(), "bp1: dy and z differ in shape");
    &dy * &activation.slope(z)
}
// ANCHOR_END: bp1

/// BP2, the error one layer down: `δˡ = (δˡ⁺¹·Wˡ⁺¹ᵀ) ⊙ σ'(zˡ)`.
///
/// `delta_above` (B,P) and `w_above` (O,P), of the layer above, and `z` (B,O)
/// of this one give `δˡ` (B,O).
///
/// Panics if the shapes do not fit.
#[track_caller]
// ANCHOR: bp2
pub fn bp2(
    delta_above: ArrayView2<f64>,
    w_above: ArrayView2<f64>,
    z: ArrayView2<f64>,
    activation: Activation,
) -> Array2<f64> {
    let da = delta_above.dot(&w_above.t()); // (B,P)(P,O): back along the edges
    assert_eq!(da.shape(), z.shape(), "bp2: δ·wᵀ and z differ in shape");
    da * activation.slope(z) //                (B,O): then through each unit
}
// ANCHOR_END: bp2

/// BP3, the weights: `dWˡ = aˡ⁻¹ᵀ·δˡ`, the examples summed.
///
/// `a_below` (B,I), what went into the layer, and `delta` (B,O) give (I,O).
#[track_caller]
// ANCHOR: bp3_bp4
pub fn bp3(a_below: ArrayView2<f64>, delta: ArrayView2<f64>) -> Array2<f64> {
    a_below.t().dot(&delta) // (I,B)(B,O)
}

/// BP4, the biases: `dbˡ = Σ_n δˡ_n`. `delta` (B,O) gives (O).
pub fn bp4(delta: ArrayView2<f64>) -> Array1<f64> {
    delta.sum_axis(Axis(0))
}
// ANCHOR_END: bp3_bp4

/// BP1 in its general form, `δᴸ = Jᵀ·dy`, for a softmax output `p` (B,V) and
/// `dp` (B,V), the gradient of the loss with respect to `p`.
///
/// Every logit moves every probability, so `J` has no zeros. Each row is
/// `p ⊙ (dp - ⟨p, dp⟩)`, see [`softmax::vjp`].
#[track_caller]
pub fn bp1_softmax(p: ArrayView2<f64>, dp: ArrayView2<f64>) -> Array2<f64> {
    softmax::vjp(p, dp)
}

/// One layer: `w` (I,O), `b` (O), and what follows them.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Weight (I,O).
    pub w: Array2<f64>,
    /// Bias (O).
    pub b: Array1<f64>,
    /// The non-linearity `σ`.
    pub activation: Activation,
}

/// A multilayer perceptron: layers one after another.
#[derive(Clone, Debug)]
pub struct Mlp {
    /// From the data to the output; never empty.
    pub layers: Vec<Layer>,
}

/// What the backward pass reads again, layer by layer.
///
/// `inputs[l]` (B,I) is what went into layer `l`: BP3 multiplies by it.
/// `sums[l]` (B,O) is its weighted sum, before the activation: BP1 and BP2
/// take the slope there. The output `y` is not kept: the loss has it.
// ANCHOR: cache
#[derive(Clone, Debug)]
pub struct Cache {
    /// `a⁰ … aᴸ⁻¹`; the first is the batch itself.
    pub inputs: Vec<Array2<f64>>,
    /// `z¹ … zᴸ`.
    pub sums: Vec<Array2<f64>>,
}

impl Cache {
    /// How many numbers are kept.
    pub fn floats(&self) -> usize {
        self.inputs.iter().chain(&self.sums).map(Array2::len).sum()
    }
}
// ANCHOR_END: cache

/// One `(dw, db)` per layer, the first layer first.
pub type Gradients = Vec<(Array2<f64>, Array1<f64>)>;

impl Mlp {
    /// A network with `sizes[0]` inputs and `sizes[1..]` units per layer, all
    /// layers but the last with activation `hidden`, the last with `output`.
    ///
    /// Weights are normal with variance `2/I` before ReLU (He et al. 2015),
    /// else `1/I` (Glorot and Bengio 2010, forward condition), drawn from
    /// `seed`; biases are zero.
    ///
    /// Panics if there are fewer than two sizes.
    #[track_caller]
    pub fn new(
        sizes: &[usize],
        hidden: Activation,
        output: Activation,
        seed: u64,
    ) -> Self {
        assert!(sizes.len() >= 2, "mlp: sizes {sizes:?} make no layer");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let last = sizes.len() - 2;
        let layer = |(l, io): (usize, &[usize])| {
            let activation = if l == last { output } else { hidden };
            let gain: f64 = match activation {
                Activation::Relu => 2.,
                _ => 1.,
            };
            let std = (gain / io[0].max(1) as f64).sqrt();
            let w: Array2<f64> =
                Array2::random_using((io[0], io[1]), StandardNormal, &mut rng);
            Layer {
                w: w * std,
                b: Array1::zeros(io[1]),
                activation,
            }
        };
        let layers = sizes.windows(2).enumerate().map(layer).collect();
        Self { layers }
    }

    /// The output `y` (B,O) for a batch `x` (B,I), and what to keep.
    #[track_caller]
    // ANCHOR: forward
    pub fn forward(&self, x: ArrayView2<f64>) -> (Array2<f64>, Cache) {
        let (mut inputs, mut sums) = (Vec::new(), Vec::new());
        let mut a = x.to_owned();
        for layer in &self.layers {
            let z = linear::forward(a.view(), layer.w.view(), layer.b.view());
            inputs.push(a);
            a = layer.activation.value(z.view());
            sums.push(z);
        }
        (a, Cache { inputs, sums })
    }
    // ANCHOR_END: forward

    /// The error signals `δ¹ … δᴸ`, from `dy` (B,O): BP1 once, then BP2 from
    /// layer to layer, downwards.
    #[track_caller]
    pub fn errors(
        &self,
        cache: &Cache,
        dy: ArrayView2<f64>,
    ) -> Vec<Array2<f64>> {
        let slope_of = |l: usize| self.layers[l].activation;
        let last = self.layers.len() - 1;
        let mut delta = bp1(dy, cache.sums[last].view(), slope_of(last));
        let mut deltas = Vec::new();
        for l in (0..last).rev() {
            let (w, z) = (self.layers[l + 1].w.view(), cache.sums[l].view());
            let below = bp2(delta.view(), w, z, slope_of(l));
            deltas.push(std::mem::replace(&mut delta, below));
        }
        deltas.push(delta);
        deltas.reverse();
        deltas
    }

    /// The gradients of all parameters from the error signals: BP3 and BP4.
    #[track_caller]
    pub fn gradients(
        &self,
        cache: &Cache,
        deltas: &[Array2<f64>],
    ) -> Gradients {
        let each = cache.inputs.iter().zip(deltas);
        each.map(|(a, delta)| (bp3(a.view(), delta.view()), bp4(delta.view())))
            .collect()
    }

    /// The gradient of the batch itself, `dx = δ¹·W¹ᵀ` (B,I): half of a BP2.
    #[track_caller]
    pub fn input_gradient(&self, deltas: &[Array2<f64>]) -> Array2<f64> {
        deltas[0].dot(&self.layers[0].w.t())
    }

    /// One step of gradient descent on the batch `x` (B,I) with targets `t`
    /// (B,O) at learning rate `lr`. Returns the loss before the step.
    #[track_caller]
    // ANCHOR: train_step
    pub fn train_step(
        &mut self,
        x: ArrayView2<f64>,
        t: ArrayView2<f64>,
        loss: Loss,
        lr: f64,
    ) -> f64 {
        let (y, cache) = self.forward(x); //              1 forward
        let (value, dy) = loss(y.view(), t);
        let deltas = self.errors(&cache, dy.view()); //   2 backward
        let grads = self.gradients(&cache, &deltas); //   3 assemble
        for (layer, (dw, db)) in self.layers.iter_mut().zip(&grads) {
            layer.w.scaled_add(-lr, dw); //               4 update
            layer.b.scaled_add(-lr, db);
        }
        value
    }
    // ANCHOR_END: train_step
}

/// A loss: output `y` (B,O) and targets `t` (B,O) give its value and its
/// gradient `dy` (B,O). The mean over the batch is taken here, once; nothing
/// after it divides by `B` again.
pub type Loss = fn(ArrayView2<f64>, ArrayView2<f64>) -> (f64, Array2<f64>);

/// Half the squared error, `1/(2B) Σ (y - t)²`: the sum over the outputs, the
/// mean over the examples. `dy = (y - t)/B`.
///
/// Panics if the shapes differ or the batch is empty.
#[track_caller]
// ANCHOR: half_squares
pub fn half_squares(
    y: ArrayView2<f64>,
    t: ArrayView2<f64>,
) -> (f64, Array2<f64>) {
    assert_eq!(
        y.shape(),
        t.shape(),
        "half_squares: y and t differ in shape"
    );
    assert!(y.nrows() > 0, "half_squares: an empty batch has no mean");
    let batch = y.nrows() as f64;
    let gap = &y - &t;
    ((&gap * &gap).sum() / (2. * batch), gap / batch)
}
// ANCHOR_END: half_squares

/// Softmax and cross-entropy of the logits `y`, in nats; `dy = (p - t)/B`.
/// The network's last activation is the identity.
#[track_caller]
pub fn cross_entropy(
    y: ArrayView2<f64>,
    t: ArrayView2<f64>,
) -> (f64, Array2<f64>) {
    let (value, p) = softmax::cross_entropy(y, t);
    (value, softmax::cross_entropy_vjp(p.view(), t, 1.))
}

/// The four equations with examples as columns, `Zˡ = Wˡ·Aˡ⁻¹ + bˡ·1ᵀ`.
///
/// The form of most derivations on paper; with one column it is the
/// per-example form. Here the columns of `Δ` are the errors of single
/// examples, with no mean in them, so BP3 and BP4 divide by the batch.
pub mod columns {
    use super::Activation;
    use ndarray::{Array1, Array2, ArrayView2, Axis};

    /// `Δᴸ = dA ⊙ σ'(Z)`: (O,B).
    pub fn bp1(
        da: ArrayView2<f64>,
        z: ArrayView2<f64>,
        activation: Activation,
    ) -> Array2<f64> {
        &da * &activation.slope(z)
    }

    /// `Δˡ = (Wˡ⁺¹ᵀ·Δˡ⁺¹) ⊙ σ'(Zˡ)`: `w_above` (P,O), `delta_above` (P,B).
    pub fn bp2(
        w_above: ArrayView2<f64>,
        delta_above: ArrayView2<f64>,
        z: ArrayView2<f64>,
        activation: Activation,
    ) -> Array2<f64> {
        w_above.t().dot(&delta_above) * activation.slope(z)
    }

    /// `dWˡ = Δˡ·Aˡ⁻¹ᵀ/B`: (O,B)(B,I).
    pub fn bp3(
        delta: ArrayView2<f64>,
        a_below: ArrayView2<f64>,
    ) -> Array2<f64> {
        delta.dot(&a_below.t()) / delta.ncols() as f64
    }

    /// `dbˡ = Δˡ·1/B`: (O).
    pub fn bp4(delta: ArrayView2<f64>) -> Array1<f64> {
        delta.sum_axis(Axis(1)) / delta.ncols() as f64
    }
}

/// The worked example of the chapter: two inputs, two ReLU units, one output.
///
/// `hidden` = 3 adds a third unit, which the input `(1, 2)` leaves inactive.
pub fn worked_example(hidden: usize) -> Mlp {
    let w1 = ndarray::array![[0.5, 0.2, 0.4], [0.1, 0.3, -0.6]];
    let w2 = ndarray::array![[0.4], [0.6], [0.5]];
    let keep = ndarray::s![.., ..hidden];
    let first = Layer {
        w: w1.slice(keep).to_owned(),
        b: Array1::zeros(hidden),
        activation: Activation::Relu,
    };
    let second = Layer {
        w: w2.slice(ndarray::s![..hidden, ..]).to_owned(),
        b: Array1::zeros(1),
        activation: Activation::Identity,
    };
    Mlp {
        layers: vec![first, second],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::gradcheck::numeric_vjp;
    use ndarray::{Array, ArrayD, Dimension, Ix1, Ix2, arr0, array, s};

    #[track_caller]
    fn near<D: Dimension>(a: &Array<f64, D>, b: &Array<f64, D>, tol: f64) {
        assert_eq!(a.shape(), b.shape());
        let worst = (a - b).fold(0., |m: f64, d| m.max(d.abs()));
        assert!(worst <= tol, "{a} is {worst:e} from {b}");
    }

    const EXACT: f64 = 1e-15;

    /// The worked example's input, target, and everything of one step.
    fn worked(hidden: usize) -> (Mlp, Cache, Vec<Array2<f64>>, Gradients, f64) {
        let net = worked_example(hidden);
        let (x, t) = (array![[1., 2.]], array![[1.]]);
        let (y, cache) = net.forward(x.view());
        let (loss, dy) = half_squares(y.view(), t.view());
        let deltas = net.errors(&cache, dy.view());
        let grads = net.gradients(&cache, &deltas);
        (net, cache, deltas, grads, loss)
    }

    #[test]
    fn worked_example_to_the_last_digit() {
        let (net, cache, deltas, grads, loss) = worked(2);
        near(&cache.sums[0], &array![[0.7, 0.8]], EXACT);
        near(&cache.inputs[1], &array![[0.7, 0.8]], EXACT);
        near(&cache.sums[1], &array![[0.76]], EXACT);
        near(&arr0(loss), &arr0(0.0288), EXACT);
        near(&deltas[1], &array![[-0.24]], EXACT);
        near(&grads[1].0, &array![[-0.168], [-0.192]], EXACT);
        near(&grads[1].1, &array![-0.24], EXACT);
        near(&deltas[0], &array![[-0.096, -0.144]], EXACT);
        let dw1 = array![[-0.096, -0.144], [-0.192, -0.288]];
        near(&grads[0].0, &dw1, EXACT);
        near(&grads[0].1, &array![-0.096, -0.144], EXACT);
        let dx = net.input_gradient(&deltas);
        near(&dx, &array![[-0.0768, -0.0528]], EXACT);
        assert_eq!(cache.floats(), 2 + 2 * 2 + 1);
    }

    #[test]
    fn an_inactive_unit_shows_a_forgotten_mask() {
        let (net, cache, deltas, grads, loss) = worked(3);
        near(&cache.sums[0], &array![[0.7, 0.8, -0.8]], EXACT);
        near(&arr0(loss), &arr0(0.0288), EXACT);
        near(&deltas[0], &array![[-0.096, -0.144, 0.]], EXACT);
        let dx = net.input_gradient(&deltas);
        near(&dx, &array![[-0.0768, -0.0528]], EXACT);
        // Its incoming and its outgoing weights all have gradient exactly 0.
        assert!(grads[0].0.column(2).iter().all(|d| *d == 0.));
        assert_eq!((grads[0].1[2], grads[1].0[[2, 0]]), (0., 0.));
        // The same without the mask.
        let unmasked = deltas[1].dot(&net.layers[1].w.t());
        near(&unmasked, &array![[-0.096, -0.144, -0.12]], EXACT);
        let dx = unmasked.dot(&net.layers[0].w.t());
        near(&dx, &array![[-0.1248, 0.0192]], EXACT);
    }

    #[test]
    fn worked_example_by_finite_difference() {
        let loss = |step: f64| {
            let mut net = worked_example(2);
            net.layers[0].w[[0, 0]] += step;
            let (y, _) = net.forward(array![[1., 2.]].view());
            half_squares(y.view(), array![[1.]].view()).0
        };
        let (up, down) = (loss(1e-5), loss(-1e-5));
        near(&arr0(up), &arr0(0.028799040008), EXACT);
        near(&arr0(down), &arr0(0.028800960008), EXACT);
        near(&arr0((up - down) / 2e-5), &arr0(-0.096), 1e-10);
        // Other values are printed for this example: not its losses, only
        // with the same difference.
        let (not_up, not_down) = (0.02880960f64, 0.02881152f64);
        assert!((not_up - up).abs() > 1e-5);
        near(&arr0(not_up - not_down), &arr0(up - down), 1e-12);
    }

    #[test]
    fn worked_example_descends() {
        let mut net = worked_example(2);
        let (x, t) = (array![[1., 2.]], array![[1.]]);
        let losses: Vec<_> = (0..=100)
            .map(|_| net.train_step(x.view(), t.view(), half_squares, 0.01))
            .collect();
        let at = |step: usize, loss: f64, last_digit: f64| {
            near(&arr0(losses[step]), &arr0(loss), last_digit / 2.);
        };
        at(0, 0.0288, 1e-15);
        at(1, 0.0258494075, 1e-10);
        at(10, 0.0094163985, 1e-10);
        at(50, 7.1233e-5, 1e-9);
        at(100, 1.3086e-7, 1e-11);
        assert!(losses.windows(2).all(|two| two[1] < two[0]));
    }

    #[test]
    fn two_layers_of_a_batch_by_hand() {
        let layer = |w, b, activation| Layer { w, b, activation };
        let net = Mlp {
            layers: vec![
                layer(
                    array![[1., -1.], [2., 0.5]],
                    array![0., 0.25],
                    Activation::Relu,
                ),
                layer(
                    array![[1., 2.], [-1., 3.]],
                    array![0.5, -0.5],
                    Activation::Identity,
                ),
            ],
        };
        let x = array![[1., 0.], [0., 1.], [1., 1.]];
        let (y, cache) = net.forward(x.view());
        let z1 = array![[1., -0.75], [2., 0.75], [3., -0.25]];
        assert_eq!(cache.sums[0], z1);
        assert_eq!(y, array![[1.5, 1.5], [1.75, 5.75], [3.5, 5.5]]);
        assert_eq!(y.sum(), 19.5);
        let deltas = net.errors(&cache, Array2::ones((3, 2)).view());
        let grads = net.gradients(&cache, &deltas);
        assert_eq!(deltas[0], array![[3., 0.], [3., 2.], [3., 0.]]);
        let (dw2, db2) = (array![[6., 6.], [0.75, 0.75]], array![3., 3.]);
        let (dw1, db1) = (array![[6., 0.], [6., 2.]], array![9., 2.]);
        assert_eq!(grads, vec![(dw1, db1), (dw2, db2)]);
        let dx = array![[3., 6.], [1., 7.], [3., 6.]];
        assert_eq!(net.input_gradient(&deltas), dx);
    }

    /// Parameters of a network as a list: w1, b1, w2, b2, …
    fn parameters(net: &Mlp) -> Vec<ArrayD<f64>> {
        let layers = net.layers.iter();
        layers
            .flat_map(|l| [l.w.clone().into_dyn(), l.b.clone().into_dyn()])
            .collect()
    }

    fn with(net: &Mlp, parameters: &[ArrayD<f64>]) -> Mlp {
        let mut net = net.clone();
        for (layer, two) in net.layers.iter_mut().zip(parameters.chunks(2)) {
            layer.w = two[0].clone().into_dimensionality::<Ix2>().unwrap();
            layer.b = two[1].clone().into_dimensionality::<Ix1>().unwrap();
        }
        net
    }

    fn data(rows: usize, cols: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, cols), |(i, j)| {
            (1.3 * i as f64 - 2.1 * j as f64 + 0.4).sin()
        })
    }

    #[test]
    fn every_gradient_agrees_with_finite_differences() {
        use Activation::{Identity, Relu, Sigmoid, Tanh};
        for (hidden, output) in [
            (Tanh, Identity),
            (Sigmoid, Tanh),
            (Relu, Sigmoid),
            (Identity, Relu),
        ] {
            for sizes in [&[4, 3][..], &[4, 6, 3], &[4, 5, 2, 3]] {
                let mut net = Mlp::new(sizes, hidden, output, 7);
                for (l, layer) in net.layers.iter_mut().enumerate() {
                    let shift = data(1, layer.b.len());
                    layer.b.assign(&(shift.row(0).mapv(|b| b + l as f64)));
                }
                let (x, dy) = (data(5, 4), data(3, 5).reversed_axes());
                let (_, cache) = net.forward(x.view());
                let kink = |z: &Array2<f64>| z.iter().any(|z| z.abs() < 1e-4);
                assert!(!cache.sums.iter().any(kink));
                let deltas = net.errors(&cache, dy.view());
                let numeric = numeric_vjp(
                    &|p| with(&net, p).forward(x.view()).0.into_dyn(),
                    &parameters(&net),
                    &dy.clone().into_dyn(),
                );
                let grads = net.gradients(&cache, &deltas);
                let ours = grads
                    .into_iter()
                    .flat_map(|(dw, db)| [dw.into_dyn(), db.into_dyn()]);
                for (ours, numeric) in ours.zip(&numeric) {
                    assert!(numeric.iter().any(|d| d.abs() > 1e-3));
                    near(&ours, numeric, 1e-8);
                }
                let dx = numeric_vjp(
                    &|x| {
                        let x = x[0].view().into_dimensionality().unwrap();
                        net.forward(x).0.into_dyn()
                    },
                    &[x.clone().into_dyn()],
                    &dy.clone().into_dyn(),
                );
                near(&net.input_gradient(&deltas).into_dyn(), &dx[0], 1e-8);
            }
        }
    }

    #[test]
    fn softmax_output_needs_the_jacobian() {
        let p = softmax::forward(array![[1., 2., 3.]].view());
        // loss = -ln p_2, so dp is -1/p_2 at the label and 0 elsewhere.
        let dp = array![[0., 0., -1. / p[[0, 2]]]];
        let right = array![[0.0900305732, 0.2447284711, -0.3347590442]];
        near(&bp1_softmax(p.view(), dp.view()), &right, 1e-10);
        // BP1 with ⊙, the slope of softmax taken as p(1 - p).
        let elementwise = &dp * &p.mapv(|p| p * (1. - p));
        near(&elementwise, &array![[0., 0., -0.3347590442]], 1e-10);
    }

    /// softplus(z) - t·z is the negative log-likelihood -t·ln p - (1-t)·ln(1-p)
    /// of p = sigmoid(z).
    #[test]
    fn matched_losses_leave_the_residual() {
        let (z, t) = (array![[-1.2], [0.3], [2.5]], array![[0.], [1.], [1.]]);
        let slope = |f: &dyn Fn(f64, f64) -> f64| {
            let each = z.iter().zip(&t).map(|(&z, &t)| {
                crate::calculus::gradcheck::numeric_derivative(|z| f(z, t), z)
            });
            Array2::from_shape_vec((3, 1), each.collect()).unwrap()
        };
        let p = Activation::Sigmoid.value(z.view());
        let sigmoid = |z: f64| 1. / (1. + (-z).exp());
        let matched = slope(&|z, t| {
            -t * sigmoid(z).ln() - (1. - t) * (1. - sigmoid(z)).ln()
        });
        near(&matched, &(&p - &t), 1e-9);
        near(&slope(&|z, t| z.exp().ln_1p() - t * z), &(&p - &t), 1e-9);
        // The same output under half the squared error is not matched: a slope
        // p(1-p) is left over, and dims the error of a sure but wrong unit.
        let squares = slope(&|z, t| 0.5 * (sigmoid(z) - t).powi(2));
        let dimmed = (&p - &t) * p.mapv(|p| p * (1. - p));
        near(&squares, &dimmed, 1e-9);
        assert!((squares[[0, 0]] / matched[[0, 0]]) < 0.2);
    }

    #[test]
    fn the_mean_is_taken_once() {
        let net = Mlp::new(&[4, 6, 3], Activation::Tanh, Activation::Tanh, 1);
        let (x, t) = (data(5, 4), data(5, 3));
        let gradient = |x: ArrayView2<f64>, t: ArrayView2<f64>| {
            let (y, cache) = net.forward(x);
            let (_, dy) = half_squares(y.view(), t);
            net.gradients(&cache, &net.errors(&cache, dy.view()))
        };
        let once = gradient(x.view(), t.view());
        // Every example twice: the mean, and so its gradient, is the same.
        let twice = |a: &Array2<f64>| ndarray::concatenate![Axis(0), *a, *a];
        let doubled = gradient(twice(&x).view(), twice(&t).view());
        for ((dw, db), (dw2, db2)) in once.iter().zip(&doubled) {
            near(dw, dw2, 1e-15);
            near(db, db2, 1e-15);
        }
        // And it is the mean of the gradients of the single examples.
        let mut mean = Array2::zeros((4, 6));
        for b in 0..5 {
            let one = s![b..b + 1, ..];
            mean += &(&gradient(x.slice(one), t.slice(one))[0].0 / 5.);
        }
        near(&once[0].0, &mean, 1e-15);
    }

    #[test]
    fn both_conventions_agree() {
        let net =
            Mlp::new(&[4, 6, 3], Activation::Tanh, Activation::Sigmoid, 2);
        let (x, t) = (data(5, 4), data(5, 3));
        let (y, cache) = net.forward(x.view());
        let (_, dy) = half_squares(y.view(), t.view());
        let deltas = net.errors(&cache, dy.view());
        let grads = net.gradients(&cache, &deltas);
        // As columns: no mean inside Δ, the mean in BP3 and BP4.
        let da = (&y - &t).reversed_axes();
        let (z1, z2) = (cache.sums[0].t(), cache.sums[1].t());
        let above = columns::bp1(da.view(), z2, Activation::Sigmoid);
        let w2 = net.layers[1].w.t();
        let delta = columns::bp2(w2, above.view(), z1, Activation::Tanh);
        near(&delta, &(&deltas[0] * 5.).reversed_axes(), EXACT);
        let dw1 = columns::bp3(delta.view(), x.t());
        near(&dw1, &grads[0].0.t().to_owned(), EXACT);
        near(&columns::bp4(delta.view()), &grads[0].1, EXACT);
        let dw2 = columns::bp3(above.view(), cache.inputs[1].t());
        near(&dw2, &grads[1].0.t().to_owned(), EXACT);
    }

    #[test]
    fn a_net_without_activations_is_one_linear_layer() {
        let identity = Activation::Identity;
        let net = Mlp::new(&[4, 6, 3], identity, identity, 3);
        let (x, w1, w2) = (data(5, 4), &net.layers[0].w, &net.layers[1].w);
        near(&net.forward(x.view()).0, &x.dot(&w1.dot(w2)), 1e-14);
    }

    #[test]
    fn shapes_and_sizes() {
        // 3-4-4-1: three layers of weights, two of them hidden.
        let net = Mlp::new(
            &[3, 4, 4, 1],
            Activation::Sigmoid,
            Activation::Identity,
            4,
        );
        let shapes: Vec<_> = net.layers.iter().map(|l| l.w.dim()).collect();
        assert_eq!(shapes, [(3, 4), (4, 4), (4, 1)]);
        let (y, cache) = net.forward(data(1, 3).view());
        assert_eq!(y.dim(), (1, 1));
        assert_eq!(cache.floats(), 3 + 2 * (4 + 4) + 1);
        // 3072-100-10: a hundred templates.
        assert_eq!(3072 * 100 + 100 * 10, 308_200);
        let (relu, identity) = (Activation::Relu, Activation::Identity);
        let net = Mlp::new(&[3072, 100, 10], relu, identity, 5);
        let weights: usize = net.layers.iter().map(|l| l.w.len()).sum();
        assert_eq!(weights, 308_200);
    }

    #[test]
    fn activations_at_kinks_and_far_out() {
        let z = array![[-1000., -0., 0., 1000.]];
        let (relu, sigmoid) = (Activation::Relu, Activation::Sigmoid);
        assert_eq!(relu.value(z.view()), array![[0., 0., 0., 1000.]]);
        assert_eq!(relu.slope(z.view()), array![[0., 0., 0., 1.]]);
        assert_eq!(sigmoid.value(z.view()), array![[0., 0.5, 0.5, 1.]]);
        assert_eq!(sigmoid.slope(z.view()), array![[0., 0.25, 0.25, 0.]]);
        assert_eq!(Activation::Tanh.slope(z.view()), array![[0., 1., 1., 0.]]);
    }

    #[test]
    fn cross_entropy_hands_down_p_minus_t() {
        let t = softmax::targets(&[2], 3, 0.);
        let (loss, dy) = cross_entropy(array![[1., 2., 3.]].view(), t.view());
        near(&arr0(loss), &arr0(0.4076059644), 1e-10);
        let right = array![[0.0900305732, 0.2447284711, -0.3347590442]];
        near(&dy, &right, 1e-10);
    }

    #[test]
    #[should_panic(expected = "bp2: δ·wᵀ and z differ in shape")]
    fn the_weight_of_another_layer_does_not_fit() {
        let (delta, w, z) = (data(5, 3), data(4, 3), data(5, 6));
        bp2(delta.view(), w.view(), z.view(), Activation::Relu);
    }

    #[test]
    #[should_panic(expected = "an empty batch has no mean")]
    fn an_empty_batch() {
        half_squares(
            Array2::zeros((0, 2)).view(),
            Array2::zeros((0, 2)).view(),
        );
    }
}
