//! Low-rank adapters on the linear layers of a GPT.
//!
//!   y = x·w + bias + (α/R)·(x·a)·b         a (I,R), b (R,O)
//!
//! `w` and all else that the model had is frozen: its gradient is not zero, it
//! is not computed. `a` starts random, `b` at zero, so the adapted model
//! starts as the model it adapts. Merging writes `w + (α/R)·a·b` in the place
//! of `w`; what is left is an ordinary model, as fast as before.
//!
//! The forward and backward of an adapter are those of
//! [`Linear`], which has room for
//! one; the op and its VJP are in [`lora`](super).

use crate::device::{Device, Params};
use crate::engine::random;
use crate::transformer::block::model::{Adapter, Linear};
use crate::transformer::gpt::model::Gpt;
use ndarray::{Array2, Ix2};
use serde::{Deserialize, Serialize};

/// Which linear layers of every block get an adapter, and of what size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Rank R.
    pub rank: usize,
    /// α: the product counts α/R times. The paper hopes that another rank then
    /// needs no other learning rate.
    pub alpha: f64,
    /// On the queries, keys and values.
    pub qkv: bool,
    /// On attention's output.
    pub out: bool,
    /// On the first layer of the second branch.
    pub up: bool,
    /// On its second layer.
    pub down: bool,
}

impl Config {
    /// Every linear layer, with α = 2R: the product counts twice.
    pub fn all(rank: usize) -> Config {
        Config {
            rank,
            alpha: 2. * rank as f64,
            qkv: true,
            out: true,
            up: true,
            down: true,
        }
    }
}

/// The generator's stream for adapters; fresh weights are drawn from stream 0.
const STREAM: u64 = 1;

impl<T> Gpt<T> {
    /// Puts fresh adapters, [`lora::initial`](super::initial), on the chosen
    /// layers and freezes all else. They are drawn from `seed`, in a stream of
    /// their own: the weights of a base with the same seed are other numbers.
    ///
    /// Panics if the model has adapters already, the rank is 0 or no layer is
    /// chosen.
    #[track_caller]
    pub fn add_adapters<D: Device<Tensor = T>>(
        &mut self,
        dev: &D,
        config: Config,
        seed: u64,
    ) {
        let chosen = [config.qkv, config.out, config.up, config.down];
        assert!(!self.has_adapters(), "lora: there are adapters already");
        assert!(config.rank > 0, "lora: rank 0");
        assert!(chosen.contains(&true), "lora: no layer is chosen");
        let rng = &mut random::rng(seed);
        rng.set_stream(STREAM);
        for block in &mut self.blocks {
            let linears = block.linears_mut().into_iter().zip(chosen);
            for (linear, _) in linears.filter(|(_, chosen)| *chosen) {
                let io = dev.shape(&linear.w);
                let (inputs, outputs) = (io[0], io[1]);
                let (a, b) = super::initial(rng, inputs, config.rank, outputs);
                linear.adapter = Some(Adapter {
                    a: dev.upload(a.view().into_dyn()),
                    b: dev.upload(b.view().into_dyn()),
                    scale: config.alpha / config.rank as f64,
                });
            }
        }
    }

    /// Adds every adapter's product to its weight, `w + (α/R)·a·b`, and takes
    /// the adapter off.
    pub fn merge<D: Device<Tensor = T>>(&mut self, dev: &D) {
        let linears = self.blocks.iter_mut().flat_map(|b| b.linears_mut());
        for linear in linears {
            merge(dev, linear);
        }
    }

    /// Takes the adapters off, and what they have learned with them.
    pub fn drop_adapters(&mut self) {
        let linears = self.blocks.iter_mut().flat_map(|b| b.linears_mut());
        linears.for_each(|linear| linear.adapter = None);
    }

    /// How many numbers are trained, and how many there are, adapters included.
    pub fn counts<D: Device<Tensor = T>>(&self, dev: &D) -> (usize, usize) {
        let len = |t: &T| dev.shape(t).iter().product::<usize>();
        let adapters = self.blocks.iter().flat_map(|b| b.linears());
        let adapters = adapters.flat_map(|l| &l.adapter);
        let adapters = adapters.map(|r| len(&r.a) + len(&r.b)).sum();
        let all = self.tensors().map(len).sum();
        let trained = if self.has_adapters() { adapters } else { all };
        (trained, all)
    }
}

fn merge<D: Device>(dev: &D, linear: &mut Linear<D::Tensor>) {
    let Some(Adapter { a, b, scale }) = linear.adapter.take() else {
        return;
    };
    let matrix = |t: &D::Tensor| -> Array2<f64> {
        let t = dev.read(t).into_dimensionality::<Ix2>();
        t.expect("a weight has two axes")
    };
    let (w, a, b) = (matrix(&linear.w), matrix(&a), matrix(&b));
    let w = super::merge(w.view(), a.view(), b.view(), scale);
    dev.write(&mut linear.w, w.view().into_dyn());
}
