//! GPT, written once, for every backend.
//!
//!   x⁰ = embedding of the tokens (+ of their positions)
//!   xˡ = blockˡ(xˡ⁻¹),   l = 1 … L
//!   logits = norm(xᴸ)·Eᵀ
//!
//! The table E that turns tokens into vectors turns vectors into logits as
//! well (tied): its gradient is the sum over both uses, and needs no code of
//! its own, because gradients of parameters are added.
//!
//! [`Gpt::loss_and_grad`] is the forward and the backward pass, with
//! [`Residuals`] in between; [`Gpt::loss`] and [`Gpt::logits`] go forward and
//! keep nothing. It is fast on [`Cpu`](crate::backends::Cpu), whose ops are the
//! chapters' fused ones.

use super::super::block::model::{self as block, Block, Kind, Norm};
pub use super::super::block::model::{
    Activation, Attention, Config as BlockConfig, Dropout, Normalization, Pass,
    Positions,
};
use crate::device::{Device, Model, ParamName, Params};
use crate::engine::random;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

/// What kind of model: everything but the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Tokens of the vocabulary, V.
    pub vocab: usize,
    /// The longest text T.
    pub context: usize,
    /// Blocks L.
    pub layers: usize,
    /// What kind of block.
    pub block: BlockConfig,
}

impl Config {
    /// GPT-2's layout at a given size: learned positions, LayerNorm, as many
    /// key heads as query heads, 4·D hidden units; and the exact GELU, where
    /// GPT-2 itself had the tanh form.
    ///
    /// ```
    /// use backprop::transformer::gpt::model::Config;
    /// let small = Config::gpt2(65, 64, 4, 4, 128);
    /// assert_eq!(small.parameters(), 809_856);
    /// ```
    pub fn gpt2(
        vocab: usize,
        context: usize,
        layers: usize,
        heads: usize,
        width: usize,
    ) -> Config {
        Config {
            vocab,
            context,
            layers,
            block: BlockConfig {
                width,
                heads,
                keys: heads,
                hidden: width.saturating_mul(4),
                norm: Normalization::LayerNorm,
                activation: Activation::Gelu,
                positions: Positions::Learned,
                attention: Attention::Tiled,
            },
        }
    }

    /// What is wrong with the sizes, and what to do. Memory is not checked:
    /// [`Config::parameters`] says how many numbers there would be.
    pub fn check(&self) -> Result<(), String> {
        let b = &self.block;
        let sizes = [
            ("vocab", self.vocab),
            ("context", self.context),
            ("layers", self.layers),
            ("width", b.width),
            ("heads", b.heads),
            ("keys", b.keys),
            ("hidden", b.hidden),
        ];
        for (name, size) in sizes {
            if size == 0 || size > 1 << 24 {
                return Err(format!(
                    "{name} is {size}. Choose from 1 to {}.",
                    1 << 24
                ));
            }
        }
        if !b.width.is_multiple_of(b.heads) {
            return Err(format!(
                "width {} cannot be shared by {} heads. Choose a multiple.",
                b.width, b.heads
            ));
        }
        if !b.heads.is_multiple_of(b.keys) {
            return Err(format!(
                "{} heads cannot share {} keys. Choose a divisor.",
                b.heads, b.keys
            ));
        }
        if b.positions == Positions::Rope
            && !(b.width / b.heads).is_multiple_of(2)
        {
            return Err(format!(
                "heads of width {} cannot be rotated in pairs. Choose an \
                 even one.",
                b.width / b.heads
            ));
        }
        Ok(())
    }

    /// How many numbers the model has.
    pub fn parameters(&self) -> usize {
        let b = &self.block;
        let (d, f) = (b.width, b.hidden);
        let norm = match b.norm {
            Normalization::LayerNorm => 2 * d,
            Normalization::RmsNorm => d,
        };
        let up = match b.activation {
            Activation::SwiGlu => 2 * f,
            Activation::Gelu | Activation::GeluTanh => f,
        };
        let linear = |i: usize, o: usize| i.saturating_mul(o).saturating_add(o);
        let block = [
            2 * norm,
            linear(d, b.qkv()),
            linear(d, d),
            linear(d, up),
            linear(f, d),
        ];
        let block = block.iter().fold(0, |n: usize, m| n.saturating_add(*m));
        let positions = match b.positions {
            Positions::Learned => self.context.saturating_mul(d),
            Positions::Rope => 0,
        };
        self.vocab
            .saturating_mul(d)
            .saturating_add(positions)
            .saturating_add(self.layers.saturating_mul(block))
            .saturating_add(norm)
    }
}

/// A language model. `P` is what stands for a parameter: a tensor in the
/// model, `Option` of one in its gradient and in what an optimiser remembers,
/// where `None` means that it is frozen.
#[derive(Debug)]
pub struct Gpt<P> {
    /// What kind of model.
    pub config: Config,
    /// The table of the tokens' vectors (V,D), used at both ends.
    pub wte: P,
    /// The table of the learned positions (context,D).
    pub wpe: Option<P>,
    /// The blocks.
    pub blocks: Vec<Block<P>>,
    /// The normalisation before the logits.
    pub norm: Norm<P>,
}

/// What goes from the forward to the backward pass: what each block keeps (or,
/// with checkpointing, the input of each k-th), and the positions. What the
/// last norm and the head need lives inside [`Gpt::loss_and_grad`].
///
/// Used again by the next step, so that it allocates nothing.
#[derive(Debug)]
pub struct Residuals<T> {
    blocks: Vec<block::Residuals<T>>,
    /// With checkpointing: the inputs of blocks 0, k, 2k, …
    inputs: Vec<T>,
    positions: Vec<usize>,
}

impl<T> Default for Residuals<T> {
    fn default() -> Self {
        Residuals {
            blocks: Vec::new(),
            inputs: Vec::new(),
            positions: Vec::new(),
        }
    }
}

impl<T> Gpt<T> {
    /// A fresh model, drawn from `seed` as GPT-2's: weights normal with
    /// standard deviation 0.02, those that write into the residual sum with
    /// `0.02/√(2L)`, since 2L of them add up there (Radford et al. 2019,
    /// section 2.3); biases 0, γ = 1.
    ///
    /// Panics if [`Config::check`] finds a fault.
    #[track_caller]
    pub fn new<D: Device<Tensor = T>>(
        dev: &D,
        config: Config,
        seed: u64,
    ) -> Gpt<T> {
        config.check().unwrap_or_else(|e| panic!("gpt: {e}"));
        let rng = &mut random::rng(seed);
        let mut table = |rows: usize| {
            let w =
                random::normal(rng, (rows, config.block.width), 0., block::STD);
            dev.upload(w.view().into_dyn())
        };
        let wte = table(config.vocab);
        let wpe = (config.block.positions == Positions::Learned)
            .then(|| table(config.context));
        let residual_std = block::STD / (2. * config.layers as f64).sqrt();
        let block = |_| Block::new(dev, config.block, residual_std, rng);
        Gpt {
            config,
            wte,
            wpe,
            blocks: (0..config.layers).map(block).collect(),
            norm: Norm::new(dev, config.block.norm, config.block.width),
        }
    }

    /// Zeros for every parameter that is trained, `None` for every frozen one:
    /// a gradient to be added into, or what an optimiser remembers. A model
    /// with adapters trains these and nothing else.
    pub fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Gpt<Option<T>> {
        let adapted = self.has_adapters();
        self.map(&mut |t, kind| {
            let trained = adapted == (kind == Kind::Adapter);
            trained.then(|| dev.zeros(dev.shape(t)))
        })
    }

    /// The last block's output, normalised: (N,D) from N = B·T tokens, text
    /// after text, for predicting. Keeps nothing.
    fn predict_hidden<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        pass: &Pass,
    ) -> T {
        let mut x = self.embed(dev, ids, pass, &mut Vec::new());
        for (l, block) in self.blocks.iter().enumerate() {
            x = block.forward(dev, x, l, pass).0;
        }
        self.norm.forward(dev, &x).0
    }

    /// Logits (N,V) of every position of `batch` texts.
    ///
    /// Panics if the texts are longer than the context or a token is not below
    /// V.
    #[track_caller]
    pub fn logits<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        batch: usize,
    ) -> T {
        let n = self.predict_hidden(dev, ids, &Pass::new(batch));
        dev.unembed(&n, &self.wte)
    }

    /// Mean cross-entropy in nats, shape (1), of the tokens `labels` (N) after
    /// `ids` (N), over the rows whose label is not
    /// [`IGNORE`](crate::network::softmax_cross_entropy::IGNORE). For
    /// evaluation: without dropout and smoothing.
    ///
    /// Panics as [`Gpt::logits`], and if there are not N labels, one is not
    /// below V, or none counts.
    #[track_caller]
    pub fn loss<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        labels: &D::Ids,
        batch: usize,
    ) -> T {
        let n = self.predict_hidden(dev, ids, &Pass::new(batch));
        dev.unembed_ce(&n, &self.wte, labels, 0.)
    }

    /// The loss of [`Gpt::loss`], with the dropout and the smoothing of `pass`;
    /// the gradient of `pass.dloss` times it is added to `grads`, which comes
    /// from [`Gpt::zeros`].
    ///
    /// Panics as [`Gpt::loss`], and if `grads` is of another model.
    #[track_caller]
    // ANCHOR: loss_and_grad
    pub fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        labels: &D::Ids,
        pass: &Pass,
        kept: &mut Residuals<T>,
        grads: &mut Gpt<Option<T>>,
    ) -> T {
        let x0 = self.embed(dev, ids, pass, &mut kept.positions);
        let x = self.forward(dev, x0, pass, kept);
        let (n, stats) = self.norm.forward(dev, &x);
        let (eps, dloss) = (pass.smoothing, pass.dloss);
        let (w, dw) = (&self.wte, grads.wte.as_mut());
        // the end of the forward pass is the beginning of the backward one
        let (loss, dn) = dev.unembed_ce_grad(&n, w, labels, eps, dloss, dw);
        drop(n);
        let dx = self.norm.backward(dev, &x, &stats, &dn, &mut grads.norm);
        drop((x, stats, dn));
        let dx0 = self.backward(dev, dx, pass, kept, grads);
        self.embed_vjp(dev, ids, dx0, pass, &kept.positions, grads);
        loss
    }
    // ANCHOR_END: loss_and_grad

    // ---- embedding ------------------------------------------------------

    /// `x⁰` (N,D). Leaves each token's position in `positions`.
    #[track_caller]
    fn embed<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        pass: &Pass,
        positions: &mut Vec<usize>,
    ) -> T {
        let mut x = dev.embedding(&self.wte, ids);
        let n = dev.shape(&x)[0];
        let (batch, context) = (pass.batch, self.config.context);
        assert!(
            batch > 0 && n > 0 && n.is_multiple_of(batch),
            "gpt: {n} tokens are not {batch} texts of one length"
        );
        let t = n / batch;
        assert!(t <= context, "gpt: {t} tokens, the context is {context}");
        if let Some(wpe) = &self.wpe {
            positions.clear();
            positions.extend((0..n).map(|i| i % t));
            let p = dev.embedding(wpe, &dev.upload_ids(positions));
            x = dev.add(&x, p);
        }
        pass.drop(dev, x, 0)
    }

    fn embed_vjp<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        dx: T,
        pass: &Pass,
        positions: &[usize],
        grads: &mut Gpt<Option<T>>,
    ) {
        let dx = pass.drop(dev, dx, 0);
        if let Some(dw) = &mut grads.wte {
            dev.embedding_vjp(ids, &dx, dw);
        }
        if let Some(Some(dw)) = &mut grads.wpe {
            dev.embedding_vjp(&dev.upload_ids(positions), &dx, dw);
        }
    }

    // ---- blocks, with and without checkpointing -------------------------

    /// `xᴸ`; keeps what each block needs, or only the inputs of blocks
    /// 0, k, 2k, ….
    // ANCHOR: checkpointed
    fn forward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        mut x: T,
        pass: &Pass,
        kept: &mut Residuals<T>,
    ) -> T {
        kept.blocks.clear();
        kept.inputs.clear();
        for (l, block) in self.blocks.iter().enumerate() {
            let (y, of_block) = block.forward(dev, x, l, pass);
            x = y;
            match pass.checkpoint {
                0 => kept.blocks.push(of_block),
                k if l % k == 0 => kept.inputs.push(of_block.x),
                _ => (), // all of it goes back to the pool
            }
        }
        x
    }

    /// `dx⁰` from `dxᴸ`. With checkpointing a segment of k blocks is run
    /// forward once more, keeping everything, before it is run backward: the
    /// same ops on the same bits, dropout masks included, so the gradients
    /// are the same bits too.
    fn backward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        mut dx: T,
        pass: &Pass,
        kept: &mut Residuals<T>,
        grads: &mut Gpt<Option<T>>,
    ) -> T {
        for l in (0..self.blocks.len()).rev() {
            if kept.blocks.is_empty() {
                let first = l - l % pass.checkpoint;
                let mut x = kept.inputs.pop().expect("one input per segment");
                for m in first..=l {
                    let (y, of_block) = self.blocks[m].forward(dev, x, m, pass);
                    x = y;
                    kept.blocks.push(of_block);
                }
            }
            let of_block = kept.blocks.pop().expect("filled above");
            let (block, grad) = (&self.blocks[l], &mut grads.blocks[l]);
            dx = block.backward(dev, dx, of_block, l, pass, grad);
        }
        dx
    }
    // ANCHOR_END: checkpointed

    /// [`Gpt::logits`] (N,V) of `tokens` (N), on the host.
    ///
    /// Panics as [`Gpt::logits`].
    #[track_caller]
    pub fn predict<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        tokens: &[usize],
        batch: usize,
    ) -> ArrayD<f64> {
        dev.read(&self.logits(dev, &dev.upload_ids(tokens), batch))
    }
}

/// Texts of one length and what comes after each of their tokens, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Tokens (N), text after text.
    pub ids: Vec<usize>,
    /// The token after each of them (N).
    pub labels: Vec<usize>,
    /// How they go through the model; the loss counts as often as the training
    /// loop says, whatever [`Pass::dloss`] is.
    pub pass: Pass,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            ids: Vec::new(),
            labels: Vec::new(),
            pass: Pass::new(1),
        }
    }
}

impl<T> Model for Gpt<T> {
    type Batch = Batch;
    type Kept = Residuals<T>;
    type Grads = Gpt<Option<T>>;

    fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Gpt<Option<T>> {
        self.zeros(dev)
    }

    fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        batch: &Batch,
        dloss: f64,
        kept: &mut Residuals<T>,
        grads: &mut Gpt<Option<T>>,
    ) -> T {
        let ids = dev.upload_ids(&batch.ids);
        let labels = dev.upload_ids(&batch.labels);
        let pass = Pass {
            dloss,
            ..batch.pass
        };
        self.loss_and_grad(dev, &ids, &labels, &pass, kept, grads)
    }
}

impl<P> Gpt<P> {
    /// The same model with other things in the place of its parameters.
    pub(crate) fn map<Q>(&self, f: &mut impl FnMut(&P, Kind) -> Q) -> Gpt<Q> {
        Gpt {
            config: self.config,
            wte: f(&self.wte, Kind::Base),
            wpe: self.wpe.as_ref().map(|w| f(w, Kind::Base)),
            blocks: self.blocks.iter().map(|b| b.map(f)).collect(),
            norm: self.norm.map(f),
        }
    }

    /// Whether any linear layer has an adapter.
    pub fn has_adapters(&self) -> bool {
        let mut linears = self.blocks.iter().flat_map(Block::linears);
        linears.any(|l| l.adapter.is_some())
    }
}

impl<P> Params for Gpt<P> {
    type Tensor = P;

    fn names(&self) -> Vec<ParamName> {
        let mut names = vec![block::name("transformer.wte", "weight", false)];
        if self.wpe.is_some() {
            names.push(block::name("transformer.wpe", "weight", false));
        }
        for (l, block) in self.blocks.iter().enumerate() {
            block.names(&format!("transformer.h.{l}"), &mut names);
        }
        self.norm.names("transformer.ln_f", &mut names);
        names
    }

    fn tied(&self) -> &'static [(&'static str, &'static str)] {
        &[("lm_head.weight", "transformer.wte.weight")]
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a P>
    where
        P: 'a,
    {
        let tables = std::iter::once(&self.wte).chain(&self.wpe);
        let blocks = self.blocks.iter().flat_map(Block::tensors);
        tables.chain(blocks).chain(self.norm.tensors())
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut P>
    where
        P: 'a,
    {
        let tables = std::iter::once(&mut self.wte).chain(&mut self.wpe);
        let blocks = self.blocks.iter_mut().flat_map(Block::tensors_mut);
        tables.chain(blocks).chain(self.norm.tensors_mut())
    }
}
