//! The multilayer perceptron, written once, for every backend.
//!
//!   a⁰ = x,   zˡ = aˡ⁻¹·Wˡ + bˡ,   aˡ = σ(zˡ),   logits = zᴸ
//!
//! Rows are examples. The last layer has no activation: the loss takes logits.
//! The backward pass is the four equations, by hand; `δˡ` is `∂loss/∂zˡ`:
//!
//! - **BP1** `δᴸ = (p - t)/B`, softmax and cross-entropy together
//! - **BP2** `δˡ = (δˡ⁺¹·Wˡ⁺¹ᵀ) ⊙ σ'(zˡ)`
//! - **BP3** `∂loss/∂Wˡ = aˡ⁻¹ᵀ·δˡ`
//! - **BP4** `∂loss/∂bˡ = Σ_b δˡ_b`

use crate::device::{Device, Model, ParamName, Params};
use crate::engine::random;
use ndarray::{ArrayD, ArrayView2};

/// What stands between two layers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(x, 0)`, derivative 0 at 0.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    fn forward<D: Device>(self, dev: &D, z: D::Tensor) -> D::Tensor {
        match self {
            Activation::Relu => dev.relu(z),
            Activation::Tanh => dev.tanh(z),
        }
    }

    /// `da ⊙ σ'(z)`, with `σ'` read off the output `a`.
    fn vjp<D: Device>(
        self,
        dev: &D,
        a: &D::Tensor,
        da: D::Tensor,
    ) -> D::Tensor {
        match self {
            Activation::Relu => dev.relu_vjp(a, da),
            Activation::Tanh => dev.tanh_vjp(a, da),
        }
    }
}

/// One layer: `w` (I,O) and `b` (O).
#[derive(Debug)]
pub struct Layer<T> {
    /// Weight (I,O).
    pub w: T,
    /// Bias (O).
    pub b: T,
}

/// A multilayer perceptron whose parameters are tensors `T` of some device.
///
/// Its gradient, and the velocity of the optimiser, are of this type too.
#[derive(Debug)]
pub struct Mlp<T> {
    /// The layers, from the data to the logits.
    pub layers: Vec<Layer<T>>,
    /// What stands between two layers.
    pub activation: Activation,
}

/// What the backward pass needs: the input of every layer, `a⁰` to `aᴸ⁻¹`.
///
/// Not the `z`: for ReLU and tanh `σ'(z)` can be read off `a = σ(z)`. Not the
/// logits: the loss keeps its probabilities. Filled by [`Mlp::forward`],
/// emptied by [`Mlp::backward`], which gives each array back to the pool as
/// soon as its layer is done; used again, so that a step allocates nothing.
#[derive(Debug)]
pub struct Residuals<T> {
    /// Inputs of the layers, first layer first.
    pub inputs: Vec<T>,
}

impl<T> Default for Residuals<T> {
    fn default() -> Self {
        Residuals { inputs: Vec::new() }
    }
}

impl<T> Mlp<T> {
    /// A network with `sizes[0]` inputs, `sizes[1..]` outputs per layer.
    ///
    /// Weights are normal with variance `2/I` before ReLU (He et al. 2015) and
    /// `1/I` before tanh (Glorot and Bengio 2010, forward condition), drawn
    /// from `seed`; biases are zero.
    ///
    /// Panics if there are fewer than two sizes.
    #[track_caller]
    pub fn new<D: Device<Tensor = T>>(
        dev: &D,
        sizes: &[usize],
        activation: Activation,
        seed: u64,
    ) -> Mlp<T> {
        assert!(sizes.len() >= 2, "mlp: sizes {sizes:?} make no layer");
        let mut rng = random::rng(seed);
        let gain: f64 = match activation {
            Activation::Relu => 2.,
            Activation::Tanh => 1.,
        };
        let layer = |io: &[usize]| {
            let std = (gain / io[0].max(1) as f64).sqrt();
            let w = random::normal(&mut rng, (io[0], io[1]), 0., std);
            let w = dev.upload(w.view().into_dyn());
            Layer {
                w,
                b: dev.zeros(&io[1..]),
            }
        };
        Mlp {
            layers: sizes.windows(2).map(layer).collect(),
            activation,
        }
    }

    /// A network of the same shape with all parameters zero: a gradient to be
    /// added into, or a velocity.
    pub fn zeros_like<D: Device<Tensor = T>>(&self, dev: &D) -> Mlp<T> {
        let zeros = |t: &T| dev.zeros(dev.shape(t));
        let layer = |l: &Layer<T>| Layer {
            w: zeros(&l.w),
            b: zeros(&l.b),
        };
        Mlp {
            layers: self.layers.iter().map(layer).collect(),
            activation: self.activation,
        }
    }

    /// The sizes that the network was made with.
    pub fn sizes<D: Device<Tensor = T>>(&self, dev: &D) -> Vec<usize> {
        let inputs = dev.shape(&self.layers[0].w)[0];
        let outputs = self.layers.iter().map(|l| dev.shape(&l.b)[0]);
        std::iter::once(inputs).chain(outputs).collect()
    }

    /// Logits (B,V) of the batch `x` (B,I). Keeps the input of every layer.
    pub fn forward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        x: T,
        kept: &mut Residuals<T>,
    ) -> T {
        kept.inputs.clear();
        let mut a = x;
        for (l, layer) in self.layers.iter().enumerate() {
            let z = dev.linear(&a, &layer.w, &layer.b);
            kept.inputs.push(a);
            if l + 1 == self.layers.len() {
                return z;
            }
            a = self.activation.forward(dev, z);
        }
        unreachable!("a network has at least one layer")
    }

    /// Adds the gradient of the loss to `grads`, given `delta` (B,V), the
    /// gradient with respect to the logits (BP1), and what [`Mlp::forward`]
    /// kept for this batch.
    ///
    /// Panics if `kept` does not hold one array per layer.
    #[track_caller]
    pub fn backward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        mut delta: T,
        kept: &mut Residuals<T>,
        grads: &mut Mlp<T>,
    ) {
        let (have, want) = (kept.inputs.len(), self.layers.len());
        assert_eq!(have, want, "mlp: {have} residuals for {want} layers");
        let layers = self.layers.iter().zip(&mut grads.layers);
        for (l, (layer, grad)) in layers.enumerate().rev() {
            let a = kept.inputs.pop().expect("one array per layer");
            if l == 0 {
                // BP3, BP4; nobody asks for the gradient of the data
                let (dw, db) = (&mut grad.w, &mut grad.b);
                dev.linear_vjp_params(&a, &delta, dw, db);
            } else {
                // BP3, BP4, and the sum of BP2: da = δ·Wᵀ
                let (dw, db) = (&mut grad.w, &mut grad.b);
                let da = dev.linear_vjp(&a, &layer.w, &delta, dw, db);
                // the other half of BP2: through σ, one layer down
                delta = self.activation.vjp(dev, &a, da);
            }
        }
    }

    /// Mean cross-entropy of the batch, shape (1), on the device; the gradient
    /// of `dloss` times it is added to `grads`. `smoothing` is that of
    /// [`Device::softmax_ce`].
    pub fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        x: T,
        labels: &D::Ids,
        smoothing: f64,
        dloss: f64,
        kept: &mut Residuals<T>,
        grads: &mut Mlp<T>,
    ) -> T {
        let logits = self.forward(dev, x, kept);
        let (loss, p) = dev.softmax_ce(logits, labels, smoothing);
        let delta = dev.softmax_ce_vjp(p, labels, smoothing, dloss); // BP1
        self.backward(dev, delta, kept, grads);
        loss
    }

    /// Logits (B,V) of the batch `x` (B,I). Keeps nothing.
    pub fn logits<D: Device<Tensor = T>>(&self, dev: &D, x: T) -> T {
        self.forward(dev, x, &mut Residuals::default())
    }

    /// [`Mlp::logits`] on the host.
    pub fn predict<D: Device<Tensor = T>>(&self, dev: &D, x: T) -> ArrayD<f64> {
        dev.read(&self.logits(dev, x))
    }
}

/// Examples with labels, on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The inputs (B,I), row after row.
    pub x: Vec<f64>,
    /// The class of each row (B).
    pub labels: Vec<usize>,
    /// Label smoothing ε of the loss.
    pub smoothing: f64,
}

impl<T> Model for Mlp<T> {
    type Batch = Batch;
    type Kept = Residuals<T>;
    type Grads = Mlp<T>;

    fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Mlp<T> {
        self.zeros_like(dev)
    }

    fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        batch: &Batch,
        dloss: f64,
        kept: &mut Residuals<T>,
        grads: &mut Mlp<T>,
    ) -> T {
        let Batch {
            x,
            labels,
            smoothing,
        } = batch;
        let shape = (labels.len(), x.len() / labels.len().max(1));
        let x = ArrayView2::from_shape(shape, x).expect("rows of one length");
        let x = dev.upload(x.into_dyn());
        let labels = dev.upload_ids(labels);
        self.loss_and_grad(dev, x, &labels, *smoothing, dloss, kept, grads)
    }
}

impl<T> Params for Mlp<T> {
    type Tensor = T;

    fn names(&self) -> Vec<ParamName> {
        let name = |l: usize, what: &str, transposed: bool| ParamName {
            name: format!("layers.{l}.{what}"),
            transposed,
        };
        (0..self.layers.len())
            .flat_map(|l| [name(l, "weight", true), name(l, "bias", false)])
            .collect()
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.layers.iter().flat_map(|l| [&l.w, &l.b])
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut T>
    where
        T: 'a,
    {
        self.layers.iter_mut().flat_map(|l| [&mut l.w, &mut l.b])
    }
}
