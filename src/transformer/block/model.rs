//! The transformer block, written once, for every backend.
//!
//!   x' = x  + attention(norm₁(x)·W_qkv)·W_o      tokens look at each other
//!   y  = x' + act(norm₂(x')·W_1)·W_2             each token by itself
//!
//! Rows are tokens, N = B·T of them, D numbers each; every product with a
//! weight has a bias, which the formulas leave out. The normalisation stands
//! inside the branch (pre-norm), so the sum runs through the block untouched
//! and hands the cotangent straight on: `dx' = dy + (the branch's share)`.
//!
//! [`Block::forward`] and [`Block::backward`] stand side by side, and
//! [`Residuals`] is what goes from one to the other. Every op is one of the
//! [`Device`]: on [`Textbook`](crate::backends::Textbook) it is the chapter's
//! `f64` code, on [`Cpu`](crate::backends::Cpu) the fused code beside it.

use crate::device::{Device, Heads, ParamName};
use crate::engine::philox::Stream;
use crate::engine::random::{self, Rng};
use serde::{Deserialize, Serialize};

/// What kind of block: everything but the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Width D of a token's vector.
    pub width: usize,
    /// Query heads H; divides D.
    pub heads: usize,
    /// Key and value heads K; divides H.
    pub keys: usize,
    /// Hidden units F of the second branch, usually 4·D.
    pub hidden: usize,
    /// How a branch's input is normalised.
    pub norm: Normalization,
    /// What stands between the two layers of the second branch.
    pub activation: Activation,
    /// How a token's position enters.
    pub positions: Positions,
    /// How attention is computed.
    pub attention: Attention,
}

/// How a branch's input is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Mean and variance of each row, then γ and β.
    LayerNorm,
    /// The root mean square of each row, then γ.
    RmsNorm,
}

/// What stands between the two layers of the second branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x·Φ(x)`.
    Gelu,
    /// GPT-2's form of GELU.
    GeluTanh,
    /// `silu(gate) ⊙ up`: the first layer has 2F outputs.
    #[serde(rename = "swiglu")]
    SwiGlu,
}

/// How a token's position enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// A learned vector for each, added once to the embedding.
    Learned,
    /// Queries and keys are rotated in every block.
    Rope,
}

/// How attention is computed; the result is the same up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// Keeps the probabilities: memory B·H·T².
    Plain,
    /// Keeps one number per row and computes the probabilities again, tile by
    /// tile: memory B·H·T.
    Tiled,
}

/// The ε under the root of a normalisation, PyTorch's.
pub const EPS: f64 = 1e-5;
/// The base of the rotary angles.
pub const ROPE_BASE: f64 = 10_000.;
/// The standard deviation of fresh weights, GPT-2's.
pub const STD: f64 = 0.02;

impl Config {
    /// The columns of the queries, keys and values together: (H+2K)·D/H.
    pub fn qkv(&self) -> usize {
        (self.heads + 2 * self.keys) * self.width / self.heads
    }

    fn heads(&self, batch: usize) -> Heads {
        Heads {
            batch,
            queries: self.heads,
            keys: self.keys,
        }
    }
}

/// How a pass through a model is run. None of it changes the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    /// Texts B in the batch; they are equally long.
    pub batch: usize,
    /// `None` outside of training.
    pub dropout: Option<Dropout>,
    /// Keep the inputs of every k-th block only and compute the rest again in
    /// the backward pass; 0 keeps everything.
    pub checkpoint: usize,
    /// Label smoothing ε of the loss.
    pub smoothing: f64,
    /// The weight of this batch's mean loss in the sum that is differentiated:
    /// 1, or 1/G when the gradients of G batches are accumulated that have
    /// equally many labels.
    pub dloss: f64,
}

impl Pass {
    /// `batch` texts, no dropout, everything kept, the plain mean loss.
    pub fn new(batch: usize) -> Pass {
        Pass {
            batch,
            dropout: None,
            checkpoint: 0,
            smoothing: 0.,
            dloss: 1.,
        }
    }

    /// Dropout on `f`, number `op` of the step. It is linear and symmetric:
    /// forward and backward are the same call.
    pub(crate) fn drop<D: Device>(
        &self,
        dev: &D,
        f: D::Tensor,
        op: u32,
    ) -> D::Tensor {
        match self.dropout {
            Some(Dropout { rate, seed, step }) => {
                dev.dropout(f, rate, Stream::new(seed, step, op))
            }
            None => f,
        }
    }
}

/// Dropout on the embedding and at the end of each branch, not on the
/// probabilities of attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The share of entries that is set to 0, in `[0,1)`.
    pub rate: f64,
    /// The seed of the run.
    pub seed: u64,
    /// The number of the pass: another one, another mask.
    pub step: u32,
}

// ---- parts --------------------------------------------------------------

/// A linear layer, `y = x·w + b`.
///
/// `P` is what stands for a parameter: a tensor in a model, `Option` of one in
/// its gradient, where `None` means that nobody asks for it.
#[derive(Debug)]
pub struct Linear<P> {
    /// Weight (I,O).
    pub w: P,
    /// Bias (O).
    pub b: P,
    /// A low-rank product beside a weight that is frozen, see
    /// [`lora`](crate::transformer::lora).
    pub adapter: Option<Adapter<P>>,
}

/// `y += scale·(x·a)·b`.
#[derive(Debug)]
pub struct Adapter<P> {
    /// Down to the rank: (I,R).
    pub a: P,
    /// Up again: (R,O).
    pub b: P,
    /// α/r.
    pub scale: f64,
}

impl<T> Linear<T> {
    fn new<D: Device<Tensor = T>>(
        dev: &D,
        rng: &mut Rng,
        (inputs, outputs): (usize, usize),
        std: f64,
    ) -> Linear<T> {
        let w = random::normal(rng, (inputs, outputs), 0., std);
        Linear {
            w: dev.upload(w.view().into_dyn()),
            b: dev.zeros(&[outputs]),
            adapter: None,
        }
    }

    /// `y`, and `x·a` if there is an adapter.
    fn forward<D: Device<Tensor = T>>(&self, dev: &D, x: &T) -> (T, Option<T>) {
        let y = dev.linear(x, &self.w, &self.b);
        match &self.adapter {
            None => (y, None),
            Some(Adapter { a, b, scale }) => {
                let (y, h) = dev.lora(x, a, b, *scale, y);
                (y, Some(h))
            }
        }
    }

    /// `dx`; adds to the gradients that are asked for.
    ///
    /// Panics if `w` is frozen and `b` is not, or the other way round.
    fn backward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        x: &T,
        h: Option<T>,
        dy: &T,
        grad: &mut Linear<Option<T>>,
    ) -> T {
        let dx = match (&mut grad.w, &mut grad.b) {
            (Some(dw), Some(db)) => dev.linear_vjp(x, &self.w, dy, dw, db),
            (None, None) => dev.linear_vjp_input(&self.w, dy),
            _ => panic!("linear: weight and bias are frozen together"),
        };
        let (Some(own), Some(h)) = (&self.adapter, &h) else {
            return dx;
        };
        let Some(Adapter {
            a: Some(da),
            b: Some(db),
            ..
        }) = &mut grad.adapter
        else {
            panic!("linear: no gradient for the adapter");
        };
        dev.lora_vjp(x, h, &own.a, &own.b, own.scale, dy, dx, da, db)
    }
}

impl<P> Linear<P> {
    pub(crate) fn map<Q>(
        &self,
        f: &mut impl FnMut(&P, Kind) -> Q,
    ) -> Linear<Q> {
        Linear {
            w: f(&self.w, Kind::Base),
            b: f(&self.b, Kind::Base),
            adapter: self.adapter.as_ref().map(|r| Adapter {
                a: f(&r.a, Kind::Adapter),
                b: f(&r.b, Kind::Adapter),
                scale: r.scale,
            }),
        }
    }

    fn names(&self, prefix: &str, to: &mut Vec<ParamName>) {
        to.push(name(prefix, "weight", true));
        to.push(name(prefix, "bias", false));
        if self.adapter.is_some() {
            to.push(name(prefix, "lora_A.weight", true));
            to.push(name(prefix, "lora_B.weight", true));
        }
    }

    fn tensors(&self) -> impl Iterator<Item = &P> {
        let adapter = self.adapter.iter().flat_map(|r| [&r.a, &r.b]);
        [&self.w, &self.b].into_iter().chain(adapter)
    }

    fn tensors_mut(&mut self) -> impl Iterator<Item = &mut P> {
        let adapter = self.adapter.iter_mut();
        let adapter = adapter.flat_map(|r| [&mut r.a, &mut r.b]);
        [&mut self.w, &mut self.b].into_iter().chain(adapter)
    }
}

/// Whether a parameter is one of the model itself or of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Base,
    Adapter,
}

/// LayerNorm, or RMSNorm, which has no β.
#[derive(Debug)]
pub struct Norm<P> {
    /// Scale γ (D).
    pub gamma: P,
    /// Shift β (D) of LayerNorm.
    pub beta: Option<P>,
}

impl<T> Norm<T> {
    pub(crate) fn new<D: Device<Tensor = T>>(
        dev: &D,
        kind: Normalization,
        width: usize,
    ) -> Norm<T> {
        let ones = ndarray::ArrayD::ones(&[width][..]);
        Norm {
            gamma: dev.upload(ones.view()),
            beta: (kind == Normalization::LayerNorm)
                .then(|| dev.zeros(&[width])),
        }
    }

    /// `y` and the statistics of each row.
    pub(crate) fn forward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        x: &T,
    ) -> (T, T) {
        match &self.beta {
            Some(beta) => dev.layer_norm(x, &self.gamma, beta, EPS),
            None => dev.rms_norm(x, &self.gamma, EPS),
        }
    }

    /// `dx`; adds to the gradients that are asked for.
    ///
    /// Panics if γ is frozen and β is not, or the other way round.
    pub(crate) fn backward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        x: &T,
        stats: &T,
        dy: &T,
        grad: &mut Norm<Option<T>>,
    ) -> T {
        let gamma = &self.gamma;
        match (&self.beta, &mut grad.gamma, &mut grad.beta) {
            (Some(_), Some(dgamma), Some(Some(dbeta))) => {
                dev.layer_norm_vjp(x, gamma, stats, dy, dgamma, dbeta)
            }
            (Some(_), None, Some(None)) => {
                dev.layer_norm_vjp_input(x, gamma, stats, dy)
            }
            (None, Some(dgamma), None) => {
                dev.rms_norm_vjp(x, gamma, stats, dy, dgamma)
            }
            (None, None, None) => dev.rms_norm_vjp_input(x, gamma, stats, dy),
            _ => panic!("norm: γ and β are frozen together"),
        }
    }
}

impl<P> Norm<P> {
    pub(crate) fn map<Q>(&self, f: &mut impl FnMut(&P, Kind) -> Q) -> Norm<Q> {
        Norm {
            gamma: f(&self.gamma, Kind::Base),
            beta: self.beta.as_ref().map(|b| f(b, Kind::Base)),
        }
    }

    pub(crate) fn names(&self, prefix: &str, to: &mut Vec<ParamName>) {
        to.push(name(prefix, "weight", false));
        if self.beta.is_some() {
            to.push(name(prefix, "bias", false));
        }
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &P> {
        std::iter::once(&self.gamma).chain(&self.beta)
    }

    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut P> {
        std::iter::once(&mut self.gamma).chain(&mut self.beta)
    }
}

pub(crate) fn name(prefix: &str, what: &str, transposed: bool) -> ParamName {
    ParamName {
        name: format!("{prefix}.{what}"),
        transposed,
    }
}

// ---- the block ----------------------------------------------------------

/// A transformer block. `P` as in [`Linear`].
#[derive(Debug)]
pub struct Block<P> {
    /// What kind of block.
    pub config: Config,
    /// Before attention.
    pub norm1: Norm<P>,
    /// Queries, keys and values side by side: D to (H+2K)·D/H columns.
    pub qkv: Linear<P>,
    /// W_o, attention's output: D to D.
    pub out: Linear<P>,
    /// Before the second branch.
    pub norm2: Norm<P>,
    /// W_1: D to F, or for SwiGLU gate and up side by side, 2F.
    pub up: Linear<P>,
    /// W_2: F to D.
    pub down: Linear<P>,
}

/// What the backward pass of a block needs.
///
/// The input of every op whose VJP wants it, and what would be costly to
/// compute again: the statistics of the norms and attention's probabilities
/// (plain) or the log-sum-exp of its scores (tiled). A norm's VJP wants its
/// input, the linear layer after it its output: both are kept, one more (N,D)
/// for each norm, because `x̂ = (n - β)/γ` fails where γ is 0. The outputs of
/// the branches are not kept: a sum needs neither of its terms.
#[derive(Debug)]
pub struct Residuals<T> {
    /// The input of the block (N,D).
    pub x: T,
    stats1: T,
    n1: T,
    qkv: T,
    /// Attention's output (N,D).
    a: T,
    /// Its probabilities (B·H,T,T), or the lse of its scores (B·H,T).
    p: T,
    /// Between the branches (N,D).
    x1: T,
    stats2: T,
    n2: T,
    /// Before and after the activation.
    z: T,
    g: T,
    /// `x·a` of the adapters: qkv, out, up, down.
    low: [Option<T>; 4],
}

impl<T> Block<T> {
    /// Weights normal with standard deviation 0.02, those that write into the
    /// residual sum (`out`, `down`) with `residual_std`; biases 0, γ = 1.
    pub fn new<D: Device<Tensor = T>>(
        dev: &D,
        config: Config,
        residual_std: f64,
        rng: &mut Rng,
    ) -> Block<T> {
        let Config {
            width: d,
            hidden: f,
            norm,
            ..
        } = config;
        let up = match config.activation {
            Activation::SwiGlu => 2 * f,
            Activation::Gelu | Activation::GeluTanh => f,
        };
        Block {
            config,
            norm1: Norm::new(dev, norm, d),
            qkv: Linear::new(dev, rng, (d, config.qkv()), STD),
            out: Linear::new(dev, rng, (d, d), residual_std),
            norm2: Norm::new(dev, norm, d),
            up: Linear::new(dev, rng, (d, up), STD),
            down: Linear::new(dev, rng, (f, d), residual_std),
        }
    }

    /// `y` (N,D) from `x` (N,D), and what the backward pass needs.
    ///
    /// `layer` is the number of the block in its model, from 0: it picks the
    /// dropout masks. `pass.batch` says how many texts the N rows are.
    ///
    /// Panics if the shapes do not fit.
    // ANCHOR: forward
    pub fn forward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        x: T,
        layer: usize,
        pass: &Pass,
    ) -> (T, Residuals<T>) {
        let [op1, op2] = ops(layer);
        // x' = x + drop(attention(norm₁(x)·W_qkv)·W_o)
        let (n1, stats1) = self.norm1.forward(dev, &x);
        let (qkv, low0) = self.qkv.forward(dev, &n1);
        let qkv = self.rotate(dev, qkv, pass);
        let (a, p) = self.attend(dev, &qkv, pass);
        let (f, low1) = self.out.forward(dev, &a);
        let x1 = dev.add(&x, pass.drop(dev, f, op1));
        // y = x' + drop(act(norm₂(x')·W_1)·W_2)
        let (n2, stats2) = self.norm2.forward(dev, &x1);
        let (z, low2) = self.up.forward(dev, &n2);
        let g = self.activate(dev, &z);
        let (f, low3) = self.down.forward(dev, &g);
        let y = dev.add(&x1, pass.drop(dev, f, op2));
        let low = [low0, low1, low2, low3];
        #[rustfmt::skip]
        let kept = Residuals { x, stats1, n1, qkv, a, p, x1, stats2, n2, z, g, low };
        (y, kept)
    }
    // ANCHOR_END: forward

    /// `dx` (N,D) from `dy` (N,D); adds the gradients of the parameters to
    /// `grad`. Every line is the VJP of one of [`Block::forward`], last line
    /// first. `kept`, `layer` and `pass` are those of the forward pass.
    ///
    /// Panics if the shapes do not fit.
    // ANCHOR: backward
    pub fn backward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        dy: T,
        kept: Residuals<T>,
        layer: usize,
        pass: &Pass,
        grad: &mut Block<Option<T>>,
    ) -> T {
        #[rustfmt::skip]
        let Residuals { x, stats1, n1, qkv, a, p, x1, stats2, n2, z, g, low } = kept;
        let [low0, low1, low2, low3] = low;
        let [op1, op2] = ops(layer);
        // y = x' + drop(act(norm₂(x')·W_1)·W_2)
        let df = self.drop_vjp(dev, &dy, op2, pass);
        let df = df.as_ref().unwrap_or(&dy);
        let dg = self.down.backward(dev, &g, low3, df, &mut grad.down);
        let dz = self.activate_vjp(dev, &z, dg);
        let dn2 = self.up.backward(dev, &n2, low2, &dz, &mut grad.up);
        let dx1 = self
            .norm2
            .backward(dev, &x1, &stats2, &dn2, &mut grad.norm2);
        let dx1 = dev.add(&dy, dx1); // the sum's other path: dy itself
        // x' = x + drop(attention(norm₁(x)·W_qkv)·W_o)
        let df = self.drop_vjp(dev, &dx1, op1, pass);
        let df = df.as_ref().unwrap_or(&dx1);
        let da = self.out.backward(dev, &a, low1, df, &mut grad.out);
        let dqkv = self.attend_vjp(dev, &qkv, &a, &p, &da, pass);
        let dqkv = self.rotate_vjp(dev, dqkv, pass);
        let dn1 = self.qkv.backward(dev, &n1, low0, &dqkv, &mut grad.qkv);
        let dx = self.norm1.backward(dev, &x, &stats1, &dn1, &mut grad.norm1);
        dev.add(&dx1, dx)
    }
    // ANCHOR_END: backward

    // ---- what the configuration chooses, forward beside VJP --------------

    fn rotate<D: Device<Tensor = T>>(&self, dev: &D, qkv: T, pass: &Pass) -> T {
        let heads = self.config.heads(pass.batch);
        match self.config.positions {
            Positions::Learned => qkv,
            Positions::Rope => dev.rope(qkv, heads, ROPE_BASE),
        }
    }

    fn rotate_vjp<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        dqkv: T,
        pass: &Pass,
    ) -> T {
        let heads = self.config.heads(pass.batch);
        match self.config.positions {
            Positions::Learned => dqkv,
            Positions::Rope => dev.rope_vjp(dqkv, heads, ROPE_BASE),
        }
    }

    fn attend<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        qkv: &T,
        pass: &Pass,
    ) -> (T, T) {
        let heads = self.config.heads(pass.batch);
        match self.config.attention {
            Attention::Plain => dev.attention(qkv, heads),
            Attention::Tiled => dev.flash_attention(qkv, heads),
        }
    }

    fn attend_vjp<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        qkv: &T,
        a: &T,
        p: &T,
        da: &T,
        pass: &Pass,
    ) -> T {
        let heads = self.config.heads(pass.batch);
        match self.config.attention {
            Attention::Plain => dev.attention_vjp(qkv, p, da, heads),
            Attention::Tiled => dev.flash_attention_vjp(qkv, a, p, da, heads),
        }
    }

    fn activate<D: Device<Tensor = T>>(&self, dev: &D, z: &T) -> T {
        match self.config.activation {
            Activation::Gelu => dev.gelu(z),
            Activation::GeluTanh => dev.gelu_tanh(z),
            Activation::SwiGlu => dev.swiglu(z),
        }
    }

    fn activate_vjp<D: Device<Tensor = T>>(&self, dev: &D, z: &T, dg: T) -> T {
        match self.config.activation {
            Activation::Gelu => dev.gelu_vjp(z, dg),
            Activation::GeluTanh => dev.gelu_tanh_vjp(z, dg),
            Activation::SwiGlu => dev.swiglu_vjp(z, &dg),
        }
    }

    /// The cotangent before dropout; `None` without dropout, where it is that
    /// after it.
    fn drop_vjp<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        dy: &T,
        op: u32,
        pass: &Pass,
    ) -> Option<T> {
        pass.dropout.map(|_| pass.drop(dev, dev.copy(dy), op))
    }
}

/// The numbers of a block's two dropouts; 0 is that of the embedding.
fn ops(layer: usize) -> [u32; 2] {
    let op = 2 * layer as u32 + 1;
    [op, op + 1]
}

impl<P> Block<P> {
    pub(crate) fn map<Q>(&self, f: &mut impl FnMut(&P, Kind) -> Q) -> Block<Q> {
        Block {
            config: self.config,
            norm1: self.norm1.map(f),
            qkv: self.qkv.map(f),
            out: self.out.map(f),
            norm2: self.norm2.map(f),
            up: self.up.map(f),
            down: self.down.map(f),
        }
    }

    /// The linear layers: qkv, out, up, down.
    pub fn linears(&self) -> [&Linear<P>; 4] {
        [&self.qkv, &self.out, &self.up, &self.down]
    }

    /// The linear layers, to be changed.
    pub fn linears_mut(&mut self) -> [&mut Linear<P>; 4] {
        let Block {
            qkv, out, up, down, ..
        } = self;
        [qkv, out, up, down]
    }

    pub(crate) fn names(&self, prefix: &str, to: &mut Vec<ParamName>) {
        self.norm1.names(&format!("{prefix}.ln_1"), to);
        self.qkv.names(&format!("{prefix}.attn.c_attn"), to);
        self.out.names(&format!("{prefix}.attn.c_proj"), to);
        self.norm2.names(&format!("{prefix}.ln_2"), to);
        self.up.names(&format!("{prefix}.mlp.c_fc"), to);
        self.down.names(&format!("{prefix}.mlp.c_proj"), to);
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &P> {
        let attention = self.norm1.tensors();
        let attention = attention.chain(self.qkv.tensors());
        let attention = attention.chain(self.out.tensors());
        let mlp = self.norm2.tensors();
        let mlp = mlp.chain(self.up.tensors()).chain(self.down.tensors());
        attention.chain(mlp)
    }

    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut P> {
        let attention = self.norm1.tensors_mut();
        let attention = attention.chain(self.qkv.tensors_mut());
        let attention = attention.chain(self.out.tensors_mut());
        let mlp = self.norm2.tensors_mut();
        let mlp = mlp.chain(self.up.tensors_mut());
        attention.chain(mlp).chain(self.down.tensors_mut())
    }
}
