//! The device line: the op set that the models use, and nothing else.
//!
//! A model is written once, over [`Device`], and runs on every backend:
//! `Textbook` (f64, plain ndarray: here its hand-written backward is checked
//! by finite differences), `Cpu` (f32, fused), `Gpu` (f32, through wgpu).
//!
//! Conventions, the same for every op:
//!
//! - Rows are examples: `x (B,I)`, `w (I,O)`, `b (O)`.
//! - Forward and VJP stand side by side. A VJP takes the cotangent of the
//!   output and returns the gradient of the activation that came in. What has
//!   no VJP is for predicting only.
//! - Gradients of *parameters* are **added** into the caller's buffers, so a
//!   weight that is used twice, or a batch that comes in parts, sums by itself.
//! - What an op may overwrite it takes by value: the backend works in place,
//!   and the model cannot keep what nobody needs.
//! - Numbers on the host are `f64`; a backend of lower precision converts.
//!   Nothing returns host numbers but `read` and `read_into`.
//! - A device may draw its tensors from a pool, to which they go back when
//!   they are dropped.
//! - Shapes that do not fit are a bug of the caller: a panic that names the op
//!   and both shapes.

mod model;

pub use crate::engine::fault::Fault;
use crate::engine::philox::Stream;
pub use model::{Gradient, Model};
use ndarray::{ArrayD, ArrayViewD};

/// What a backend's numbers are, for files that must hold them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
}

/// How attention cuts the columns of queries, keys and values into heads.
///
/// `qkv` (B·T, (H+2K)·d) has the rows of all B texts under one another, T each,
/// and in each row first the H queries, then the K keys, then the K values,
/// d numbers each. Head `h` reads key and value `h / (H/K)`: with K = H every
/// head has its own (multi-head), with K < H they share (grouped-query,
/// Ainslie et al. 2023), with K = 1 there is one for all (multi-query).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Texts B.
    pub batch: usize,
    /// Query heads H.
    pub queries: usize,
    /// Key and value heads K; divides H.
    pub keys: usize,
}

/// The settings of one step of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate η.
    pub lr: f64,
    /// β₁, in `[0,1)`: how much of the mean of past gradients is kept.
    pub beta1: f64,
    /// β₂, in `[0,1)`: how much of the mean of their squares is kept.
    pub beta2: f64,
    /// ε > 0, added to the root.
    pub eps: f64,
    /// Weight decay λ, taken off the weight itself: `w ← w - η·λ·w`.
    pub decay: f64,
    /// The number of this step, from 1, for the bias correction `1 - βᵗ`.
    pub step: u64,
}

/// The ops that the models of this crate are trained with.
///
/// See the [module](self) for the conventions. Rows of a text model are
/// tokens: `x (N,D)` with N = B·T, text after text.
pub trait Device {
    /// An array of rank 1 to 4 on the device.
    type Tensor;
    /// A list of indices on the device: labels, tokens.
    type Ids;
    /// The precision in which this backend keeps its numbers.
    const PRECISION: Precision;

    // ---- memory ---------------------------------------------------------

    /// A tensor of zeros.
    fn zeros(&self, shape: &[usize]) -> Self::Tensor;
    /// Copies host numbers into a new tensor, rounding to the precision.
    fn upload(&self, x: ArrayViewD<f64>) -> Self::Tensor;
    /// Copies indices to the device.
    fn upload_ids(&self, ids: &[usize]) -> Self::Ids;
    /// The shape of `t`.
    fn shape<'t>(&self, t: &'t Self::Tensor) -> &'t [usize];
    /// Copies `t` into `out`, in row-major order, without allocating.
    ///
    /// Panics if `out` has another length than `t`.
    fn read_into(&self, t: &Self::Tensor, out: &mut [f64]);
    /// Says that `t` is about to be read: a device that is far away begins to
    /// copy it. What is read is what `t` held when it was last written.
    fn prefetch(&self, t: &Self::Tensor) {
        let _ = t;
    }
    /// Why the device does not go on, if it does not: its ops then do nothing,
    /// and what is read from it is NaN.
    fn fault(&self) -> Option<Fault> {
        None
    }
    /// Copies `t` to the host.
    fn read(&self, t: &Self::Tensor) -> ArrayD<f64> {
        let mut x = ArrayD::zeros(self.shape(t));
        self.read_into(t, x.as_slice_mut().expect("a new array is row-major"));
        x
    }
    /// Copies host numbers over those of `t`, rounding to the precision.
    ///
    /// Panics if the shapes differ.
    fn write(&self, t: &mut Self::Tensor, x: ArrayViewD<f64>);
    /// Sets every entry of `t` to zero.
    fn clear(&self, t: &mut Self::Tensor);
    /// A new tensor with the numbers of `t`, for an op that works in place on
    /// what somebody else still needs.
    fn copy(&self, t: &Self::Tensor) -> Self::Tensor;

    // ---- linear ---------------------------------------------------------

    /// `y = x·w + b`: `x` (B,I), `w` (I,O), `b` (O) give `y` (B,O).
    fn linear(
        &self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        b: &Self::Tensor,
    ) -> Self::Tensor;
    /// Returns `dx = dy·wᵀ`; adds `xᵀ·dy` to `dw` and `Σ_b dy_b` to `db`.
    fn linear_vjp(
        &self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        dy: &Self::Tensor,
        dw: &mut Self::Tensor,
        db: &mut Self::Tensor,
    ) -> Self::Tensor;
    /// [`Device::linear_vjp`] without `dx`, for a layer that reads the data:
    /// nobody asks for the gradient of the data.
    fn linear_vjp_params(
        &self,
        x: &Self::Tensor,
        dy: &Self::Tensor,
        dw: &mut Self::Tensor,
        db: &mut Self::Tensor,
    );

    /// `dx = dy·wᵀ` alone, for a layer whose parameters are frozen.
    fn linear_vjp_input(
        &self,
        w: &Self::Tensor,
        dy: &Self::Tensor,
    ) -> Self::Tensor;
    /// `y = x·wᵀ`: `x` (N,D) and the table of an embedding `w` (V,D) give the
    /// logits (N,V), where they are wanted themselves; for a loss there is
    /// [`Device::unembed_ce`].
    fn unembed(&self, x: &Self::Tensor, w: &Self::Tensor) -> Self::Tensor;

    // ---- low rank -------------------------------------------------------

    /// `y + scale·(x·a)·b`: `x` (N,I), `a` (I,R), `b` (R,O), onto `y` (N,O).
    /// Returns the sum and `h = x·a` (N,R), which the VJP keeps.
    fn lora(
        &self,
        x: &Self::Tensor,
        a: &Self::Tensor,
        b: &Self::Tensor,
        scale: f64,
        y: Self::Tensor,
    ) -> (Self::Tensor, Self::Tensor);
    /// With `dh = scale·dy·bᵀ`: returns `dx + dh·aᵀ`; adds `xᵀ·dh` to `da` and
    /// `scale·hᵀ·dy` to `db`. The cotangent of `y` is `dy` itself.
    #[allow(clippy::too_many_arguments)]
    fn lora_vjp(
        &self,
        x: &Self::Tensor,
        h: &Self::Tensor,
        a: &Self::Tensor,
        b: &Self::Tensor,
        scale: f64,
        dy: &Self::Tensor,
        dx: Self::Tensor,
        da: &mut Self::Tensor,
        db: &mut Self::Tensor,
    ) -> Self::Tensor;

    // ---- few bits -------------------------------------------------------

    /// The step between two codes of `bits` bits, 1 to 16, shape (1): the mean
    /// of `|w|` at 1 bit, else `2·mean/√q` with the largest code
    /// `q = 2^(bits-1) - 1`. A constant in the backward pass.
    fn quantise_scale(&self, w: &Self::Tensor, bits: u32) -> Self::Tensor;
    /// `ŵ = s·clamp(round(w/s), -q, q)`, ties to even; at 1 bit `s·sign(w)`
    /// with `sign(0) = 1`. The step `s` (1) is that of
    /// [`Device::quantise_scale`].
    fn quantise(
        &self,
        w: &Self::Tensor,
        s: &Self::Tensor,
        bits: u32,
    ) -> Self::Tensor;
    /// Straight through the rounding: adds `dw_hat` to `dw` where `|w| ≤ q·s`,
    /// with q = 1 at 1 bit.
    fn quantise_vjp(
        &self,
        w: &Self::Tensor,
        s: &Self::Tensor,
        bits: u32,
        dw_hat: &Self::Tensor,
        dw: &mut Self::Tensor,
    );

    // ---- activations ----------------------------------------------------

    /// `y = max(x, 0)`, entry by entry. NaN stays NaN.
    fn relu(&self, x: Self::Tensor) -> Self::Tensor;
    /// `dx = 0` where `y ≤ 0`, else `dy`; at the kink 0.
    fn relu_vjp(&self, y: &Self::Tensor, dy: Self::Tensor) -> Self::Tensor;
    /// `y = tanh(x)`, entry by entry.
    fn tanh(&self, x: Self::Tensor) -> Self::Tensor;
    /// `dx = (1 - y²) ⊙ dy`.
    fn tanh_vjp(&self, y: &Self::Tensor, dy: Self::Tensor) -> Self::Tensor;

    /// `y = x·Φ(x)`, with Φ the normal distribution function.
    fn gelu(&self, x: &Self::Tensor) -> Self::Tensor;
    /// `dx = (Φ(x) + x·φ(x)) ⊙ dy`.
    fn gelu_vjp(&self, x: &Self::Tensor, dy: Self::Tensor) -> Self::Tensor;
    /// `y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, GPT-2's form of GELU.
    fn gelu_tanh(&self, x: &Self::Tensor) -> Self::Tensor;
    /// With `t` the tanh and `u` its argument:
    /// `dx = ((1 + t)/2 + x/2·(1 - t²)·u') ⊙ dy`.
    fn gelu_tanh_vjp(&self, x: &Self::Tensor, dy: Self::Tensor)
    -> Self::Tensor;
    /// `y = silu(g) ⊙ u`: the left half of `x` (N,2F) is the gate `g`, the
    /// right half `u`; `silu(g) = g·σ(g)`. Gives `y` (N,F).
    fn swiglu(&self, x: &Self::Tensor) -> Self::Tensor;
    /// `dx` (N,2F): `dg = dy ⊙ u ⊙ silu'(g)` and `du = dy ⊙ silu(g)`, where
    /// `silu'(g) = σ(g)·(1 + g·(1 - σ(g)))`.
    fn swiglu_vjp(&self, x: &Self::Tensor, dy: &Self::Tensor) -> Self::Tensor;

    // ---- normalisation --------------------------------------------------

    /// `y = γ ⊙ (x - μ)·r + β` with the mean μ of each row and
    /// `r = 1/√(variance + eps)`: `x` (N,D), `gamma` and `beta` (D) give `y`
    /// (N,D) and `stats` (N,2), μ and `r` of each row, which the VJP keeps
    /// beside `x`.
    fn layer_norm(
        &self,
        x: &Self::Tensor,
        gamma: &Self::Tensor,
        beta: &Self::Tensor,
        eps: f64,
    ) -> (Self::Tensor, Self::Tensor);
    /// Returns `dx = r·(g - mean(g) - x̂·mean(g ⊙ x̂))`, row by row, with
    /// `x̂ = (x - μ)·r` and `g = dy ⊙ γ`; adds `Σ_n dy ⊙ x̂` to `dgamma` and
    /// `Σ_n dy` to `dbeta`.
    fn layer_norm_vjp(
        &self,
        x: &Self::Tensor,
        gamma: &Self::Tensor,
        stats: &Self::Tensor,
        dy: &Self::Tensor,
        dgamma: &mut Self::Tensor,
        dbeta: &mut Self::Tensor,
    ) -> Self::Tensor;
    /// [`Device::layer_norm_vjp`] where γ and β are frozen.
    fn layer_norm_vjp_input(
        &self,
        x: &Self::Tensor,
        gamma: &Self::Tensor,
        stats: &Self::Tensor,
        dy: &Self::Tensor,
    ) -> Self::Tensor;
    /// `y = γ ⊙ x·r` with `r = 1/√(mean of x² + eps)`: `y` (N,D) and `r`
    /// (N,1).
    fn rms_norm(
        &self,
        x: &Self::Tensor,
        gamma: &Self::Tensor,
        eps: f64,
    ) -> (Self::Tensor, Self::Tensor);
    /// Returns `dx = r·(g - x̂·mean(g ⊙ x̂))`, with `x̂ = x·r` and `g = dy ⊙ γ`;
    /// adds `Σ_n dy ⊙ x̂` to `dgamma`.
    fn rms_norm_vjp(
        &self,
        x: &Self::Tensor,
        gamma: &Self::Tensor,
        stats: &Self::Tensor,
        dy: &Self::Tensor,
        dgamma: &mut Self::Tensor,
    ) -> Self::Tensor;
    /// [`Device::rms_norm_vjp`] where γ is frozen.
    fn rms_norm_vjp_input(
        &self,
        x: &Self::Tensor,
        gamma: &Self::Tensor,
        stats: &Self::Tensor,
        dy: &Self::Tensor,
    ) -> Self::Tensor;

    // ---- residual -------------------------------------------------------

    /// `x + f`, onto `f`. Its VJP hands `dy` to both, and where the two paths
    /// meet again their gradients are added by this same op.
    fn add(&self, x: &Self::Tensor, f: Self::Tensor) -> Self::Tensor;
    /// Each entry is set to 0 with probability `rate`, the others are divided
    /// by `1 - rate`. Entry `i` is kept where number `i` of `stream` is not
    /// below `rate`. The op is linear and symmetric: it is its own VJP, with
    /// the same stream.
    fn dropout(
        &self,
        x: Self::Tensor,
        rate: f64,
        stream: Stream,
    ) -> Self::Tensor;

    // ---- embedding ------------------------------------------------------

    /// `y_n = w[ids_n]`: rows of the table `w` (V,D) give `y` (N,D).
    fn embedding(&self, w: &Self::Tensor, ids: &Self::Ids) -> Self::Tensor;
    /// Adds `dy_n` to the row `ids_n` of `dw`, for every `n`.
    fn embedding_vjp(
        &self,
        ids: &Self::Ids,
        dy: &Self::Tensor,
        dw: &mut Self::Tensor,
    );
    /// Rotary positions: in every head of queries and keys the pair
    /// `(x_c, x_{c+d/2})` of the token at place `t` of its text, from 0, is
    /// turned by `θ = t·base^(-2c/d)`: `y_c = x_c·cos θ - x_{c+d/2}·sin θ` and
    /// `y_{c+d/2} = x_c·sin θ + x_{c+d/2}·cos θ`. Values stay. `base` is 10,000
    /// in the paper.
    fn rope(&self, qkv: Self::Tensor, heads: Heads, base: f64) -> Self::Tensor;
    /// The rotation back: the transpose of [`Device::rope`].
    fn rope_vjp(
        &self,
        dqkv: Self::Tensor,
        heads: Heads,
        base: f64,
    ) -> Self::Tensor;

    // ---- attention ------------------------------------------------------

    /// Causal attention of every head: `softmax(q·kᵀ/√d)·v`, where a token
    /// sees itself and those before it. `qkv` as in [`Heads`] gives `y`
    /// (B·T, H·d) and the probabilities `p` (B·H,T,T), head `h` of text `b` at
    /// `b·H + h`.
    fn attention(
        &self,
        qkv: &Self::Tensor,
        heads: Heads,
    ) -> (Self::Tensor, Self::Tensor);
    /// The cotangent of `qkv`, from `p` of [`Device::attention`]: with
    /// `dp = dy·vᵀ` and `ds = p ⊙ (dp - ⟨p, dp⟩)` row by row, `dq = ds·k/√d`,
    /// `dk = dsᵀ·q/√d`, `dv = pᵀ·dy`; keys and values that heads share add up.
    fn attention_vjp(
        &self,
        qkv: &Self::Tensor,
        p: &Self::Tensor,
        dy: &Self::Tensor,
        heads: Heads,
    ) -> Self::Tensor;
    /// The same `y` as [`Device::attention`] in memory linear in T: instead of
    /// the probabilities it keeps `lse_i = ln Σ_{j≤i} exp(q_i·k_j/√d)` (B·H,T).
    fn flash_attention(
        &self,
        qkv: &Self::Tensor,
        heads: Heads,
    ) -> (Self::Tensor, Self::Tensor);
    /// The cotangent of `qkv`, as [`Device::attention_vjp`], from `y` and `lse`
    /// of [`Device::flash_attention`]: `p_ij = exp(q_i·k_j/√d - lse_i)` is
    /// computed again, and `⟨p_i, dp_i⟩ = ⟨y_i, dy_i⟩`.
    fn flash_attention_vjp(
        &self,
        qkv: &Self::Tensor,
        y: &Self::Tensor,
        lse: &Self::Tensor,
        dy: &Self::Tensor,
        heads: Heads,
    ) -> Self::Tensor;

    // ---- loss -----------------------------------------------------------

    /// Softmax and cross-entropy in one: logits `x` (B,V) and labels (B) give
    /// the mean loss over the batch, in nats, shape (1), and the probabilities
    /// `p` (B,V), which is all that the VJP keeps.
    ///
    /// `smoothing` ε in `[0,1)` moves that share of the target from the label
    /// to all classes evenly. A row labelled
    /// [`IGNORE`](crate::network::softmax_cross_entropy::IGNORE) has neither
    /// loss nor gradient, and B counts the others: at least one.
    ///
    /// Panics, as the other losses do, if ε is not in `[0,1)`.
    fn softmax_ce(
        &self,
        x: Self::Tensor,
        labels: &Self::Ids,
        smoothing: f64,
    ) -> (Self::Tensor, Self::Tensor);
    /// `dx = (p - t)·dloss/B` with the target `t`: one at the label if
    /// `smoothing` is 0. `dloss` is 1 unless the loss is one term of a sum.
    fn softmax_ce_vjp(
        &self,
        p: Self::Tensor,
        labels: &Self::Ids,
        smoothing: f64,
        dloss: f64,
    ) -> Self::Tensor;

    /// The last layer of a text model and its loss in one: logits `x·wᵀ` from
    /// `x` (N,D) and the table `w` (V,D), then the loss of
    /// [`Device::softmax_ce`] against `labels` (N), shape (1), some rows at a
    /// time, so that the logits never exist whole.
    fn unembed_ce(
        &self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        labels: &Self::Ids,
        smoothing: f64,
    ) -> Self::Tensor;
    /// [`Device::unembed_ce`] and its VJP in one: returns the loss and `dx`;
    /// adds the gradient of the table to `dw`, unless it is frozen. `dloss` is
    /// known before the loss, which is the end of the model, so rows of logits
    /// are turned into their gradient at once: neither are they kept for a
    /// backward pass, nor computed again.
    fn unembed_ce_grad(
        &self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        labels: &Self::Ids,
        smoothing: f64,
        dloss: f64,
        dw: Option<&mut Self::Tensor>,
    ) -> (Self::Tensor, Self::Tensor);

    // ---- optimiser ------------------------------------------------------

    /// One step of SGD with momentum μ and weight decay λ:
    /// `v ← μ·v + (dw + λ·w)`, then `w ← w - lr·v`.
    fn sgd(
        &self,
        w: &mut Self::Tensor,
        dw: &Self::Tensor,
        v: &mut Self::Tensor,
        lr: f64,
        momentum: f64,
        decay: f64,
    );
    /// Writes `Σ_i x_i²` to entry `slot` of `squares`, which has one for each
    /// parameter. The norm of a gradient is the root of the sum over all.
    fn sum_of_squares(
        &self,
        x: &Self::Tensor,
        squares: &mut Self::Tensor,
        slot: usize,
    );
    /// `min(1, most/√(Σ_i squares_i))`, shape (1): the factor that clips a
    /// gradient to the norm `most`. 1 if the gradient is zero.
    fn clip(&self, squares: &Self::Tensor, most: f64) -> Self::Tensor;
    /// One step of Adam with decoupled weight decay, with the gradient
    /// `g = factor·dw`, `factor` (1) from [`Device::clip`]:
    /// `m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`,
    /// `w ← w - η·λ·w - η·m̂/(√v̂ + ε)`, where `m̂ = m/(1-β₁ᵗ)` and
    /// `v̂ = v/(1-β₂ᵗ)`.
    fn adamw(
        &self,
        w: &mut Self::Tensor,
        dw: &Self::Tensor,
        m: &mut Self::Tensor,
        v: &mut Self::Tensor,
        factor: &Self::Tensor,
        set: AdamW,
    );
}

/// How a parameter is called on disk, and how it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamName {
    /// The name that PyTorch's `state_dict` gives it, like `layers.0.weight`.
    pub name: String,
    /// A linear weight is `(I,O)` here and `(out,in)` on disk.
    pub transposed: bool,
}

/// The parameters of a model, visited by name, always in the same order.
///
/// A model's gradients, and each moment that an optimiser keeps, have the same
/// type as the model: walk them side by side with `zip`.
pub trait Params {
    /// The tensors of the device that the model lives on.
    type Tensor;
    /// Names, in the order of [`Params::tensors`].
    fn names(&self) -> Vec<ParamName>;
    /// Names that a file may hold besides, each with the parameter that it
    /// must equal: PyTorch writes a weight that is used twice under both names.
    fn tied(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// The parameters.
    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a Self::Tensor>
    where
        Self::Tensor: 'a;
    /// The parameters, to be changed.
    fn tensors_mut<'a>(
        &'a mut self,
    ) -> impl Iterator<Item = &'a mut Self::Tensor>
    where
        Self::Tensor: 'a;
}
