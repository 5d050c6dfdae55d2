//! A perceptron that is trained for few bits.
//!
//!   ŵˡ = quantise(Wˡ),   loss = L(ŵ¹, b¹, …, ŵᴸ, bᴸ)
//!
//! The network computes with `ŵ`, forward and backward: the error goes down
//! through `ŵᵀ`. What it finds out about `ŵ` goes straight through the rounding
//! to the latent weights `W`, which the optimiser moves by steps that are far
//! smaller than the distance of two codes, until they add up to a jump
//! (Courbariaux et al. 2015; Hubara et al. 2018). Biases keep all their bits:
//! they are few.
//!
//! Quantising is one more op before the network's own two passes, which are
//! those of [`Mlp`], untouched.

use super::quantised::MOST_BITS;
use crate::device::{Device, Model, ParamName, Params};
use crate::network::mlp::model::{Batch, Layer, Mlp, Residuals};
use std::ops::RangeInclusive;

/// A perceptron whose weights are kept whole and used at few bits.
#[derive(Debug)]
pub struct Quantised<T> {
    /// The latent weights, and the biases.
    pub mlp: Mlp<T>,
    /// Bits of a weight where it is used, 1 to [`MOST_BITS`]; `None`: used as
    /// it is.
    pub bits: Option<u32>,
}

/// How many bits a weight may have.
pub const BITS: RangeInclusive<u32> = 1..=MOST_BITS;

/// What goes from the forward to the backward pass. Used again by the next
/// step, so that it allocates nothing.
#[derive(Debug)]
pub struct Kept<T> {
    /// What the network keeps.
    pub residuals: Residuals<T>,
    /// `None` before the first step, and where weights are used as they are.
    used: Option<Used<T>>,
}

/// The network as it computes.
#[derive(Debug)]
struct Used<T> {
    /// With `ŵ` for `W`.
    mlp: Mlp<T>,
    /// The step between two codes, of each layer.
    steps: Vec<T>,
    /// The gradient of `mlp`.
    grads: Mlp<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept {
            residuals: Residuals::default(),
            used: None,
        }
    }
}

/// The layer with its weight at few bits, and the step between two codes.
fn quantised<D: Device>(
    dev: &D,
    layer: &Layer<D::Tensor>,
    bits: u32,
) -> (Layer<D::Tensor>, D::Tensor) {
    let s = dev.quantise_scale(&layer.w, bits);
    let w = dev.quantise(&layer.w, &s, bits);
    let b = dev.copy(&layer.b);
    (Layer { w, b }, s)
}

impl<T> Quantised<T> {
    /// The network with its weights rounded to `bits` bits: what a run that was
    /// trained for them computes with, or one that was not is rounded to
    /// afterwards.
    ///
    /// Panics if `bits` is not one of [`BITS`].
    #[track_caller]
    pub fn rounded<D: Device<Tensor = T>>(&self, dev: &D, bits: u32) -> Mlp<T> {
        let layers = self.mlp.layers.iter();
        Mlp {
            layers: layers.map(|l| quantised(dev, l, bits).0).collect(),
            activation: self.mlp.activation,
        }
    }

    /// Logits (B,V) of the batch `x` (B,I), with the weights as they are used.
    /// Keeps nothing.
    pub fn logits<D: Device<Tensor = T>>(&self, dev: &D, x: T) -> T {
        match self.bits {
            None => self.mlp.logits(dev, x),
            Some(bits) => self.rounded(dev, bits).logits(dev, x),
        }
    }
}

impl<T> Model for Quantised<T> {
    type Batch = Batch;
    type Kept = Kept<T>;
    type Grads = Mlp<T>;

    fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Mlp<T> {
        self.mlp.zeros_like(dev)
    }

    fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        batch: &Batch,
        dloss: f64,
        kept: &mut Kept<T>,
        grads: &mut Mlp<T>,
    ) -> T {
        let (mlp, inner) = (&self.mlp, &mut kept.residuals);
        let Some(bits) = self.bits else {
            return Model::loss_and_grad(mlp, dev, batch, dloss, inner, grads);
        };
        let used = kept.used.get_or_insert_with(|| Used::like(dev, mlp));
        let layers = mlp.layers.iter().zip(&mut used.mlp.layers);
        for ((latent, layer), s) in layers.zip(&mut used.steps) {
            (*layer, *s) = quantised(dev, latent, bits);
        }

        let d = &mut used.grads;
        d.tensors_mut().for_each(|d| dev.clear(d));
        let loss = Model::loss_and_grad(&used.mlp, dev, batch, dloss, inner, d);

        let layers = mlp.layers.iter().zip(&used.steps);
        let gradients = d.layers.iter().zip(&mut grads.layers);
        for ((latent, s), (d, grad)) in layers.zip(gradients) {
            dev.quantise_vjp(&latent.w, s, bits, &d.w, &mut grad.w);
            grad.b = dev.add(&d.b, dev.copy(&grad.b));
        }
        loss
    }
}

impl<T> Used<T> {
    fn like<D: Device<Tensor = T>>(dev: &D, mlp: &Mlp<T>) -> Used<T> {
        Used {
            mlp: mlp.zeros_like(dev),
            steps: mlp.layers.iter().map(|_| dev.zeros(&[1])).collect(),
            grads: mlp.zeros_like(dev),
        }
    }
}

/// Those of the network: the latent weights, and the biases.
impl<T> Params for Quantised<T> {
    type Tensor = T;

    fn names(&self) -> Vec<ParamName> {
        self.mlp.names()
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.mlp.tensors()
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut T>
    where
        T: 'a,
    {
        self.mlp.tensors_mut()
    }
}
