//! The transformer block, as one page of ndarray.   book: transformer/block
//!
//!   x' = x  + attention(norm₁(x)·W_qkv + b_qkv)·W_o + b_o
//!   y  = x' + gelu(norm₂(x')·W_1 + b_1)·W_2 + b_2
//!
//!   x (N,D) -> y (N,D),   N = B·T tokens, text after text
//!
//! The backward pass reads the forward pass from its last line to its first.
//! Each of the two sums hands its cotangent to both of its terms; where the
//! terms came from the same `x`, what comes back along the two paths is added:
//!
//!   dx' = dy  + norm₂ᵛʲᵖ(mlpᵛʲᵖ(dy))
//!   dx  = dx' + norm₁ᵛʲᵖ(attentionᵛʲᵖ(dx'))
//!
//! This is GPT-2's block with the exact GELU in the place of its tanh form, and
//! without dropout. The same block over any device, with its variants, is
//! [`model`]: that is the one to train, on `Cpu` with the fused ops.

pub mod model;

use super::attention;
use crate::depth::normalization::{layer_norm, layer_norm_vjp};
use crate::device::Heads;
use crate::network::activation::gelu;
use crate::network::linear;
use ndarray::{Array1, Array2, Array3, ArrayView2};

/// The parameters of a block, or their gradients. D is the width, F the hidden
/// units, H and K as in [`Heads`].
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// γ of the first normalisation (D).
    pub gamma1: Array1<f64>,
    /// β of the first normalisation (D).
    pub beta1: Array1<f64>,
    /// Queries, keys and values (D,(H+2K)·D/H).
    pub w_qkv: Array2<f64>,
    /// Bias of `w_qkv` ((H+2K)·D/H).
    pub b_qkv: Array1<f64>,
    /// Attention's output (D,D).
    pub w_o: Array2<f64>,
    /// Bias of `w_o` (D).
    pub b_o: Array1<f64>,
    /// γ of the second normalisation (D).
    pub gamma2: Array1<f64>,
    /// β of the second normalisation (D).
    pub beta2: Array1<f64>,
    /// Up (D,F).
    pub w1: Array2<f64>,
    /// Bias of `w1` (F).
    pub b1: Array1<f64>,
    /// Down (F,D).
    pub w2: Array2<f64>,
    /// Bias of `w2` (D).
    pub b2: Array1<f64>,
}

/// What the VJP needs besides `x` and the weights: the input of every op that
/// is not linear in it, the input of every product with a weight, and what
/// would be costly to compute again (`stats1`, `stats2`, `p`). What the sums
/// add is not kept, since the derivative of a sum is 1.
#[derive(Clone, Debug)]
pub struct Residuals {
    /// μ and r of the first normalisation (N,2).
    pub stats1: Array2<f64>,
    /// Its output (N,D).
    pub n1: Array2<f64>,
    /// Queries, keys, values (N,(H+2K)·D/H).
    pub qkv: Array2<f64>,
    /// Attention's probabilities (B·H,T,T).
    pub p: Array3<f64>,
    /// Attention's output (N,D).
    pub a: Array2<f64>,
    /// x', between the branches (N,D).
    pub x1: Array2<f64>,
    /// μ and r of the second normalisation (N,2).
    pub stats2: Array2<f64>,
    /// Its output (N,D).
    pub n2: Array2<f64>,
    /// Before the activation (N,F).
    pub z: Array2<f64>,
    /// After it (N,F).
    pub g: Array2<f64>,
}

/// `y` (N,D) from `x` (N,D), and what the VJP keeps.
///
/// `heads` says how many texts the N rows are and how the columns of `qkv` are
/// cut; attention is causal. `eps` ε ≥ 0 of the normalisations.
///
/// Panics if the shapes do not fit.
///
/// Source: Radford et al. 2019, section 2.3 (pre-norm); Vaswani et al. 2017,
/// section 3, with the normalisation after the sum.
#[track_caller]
// ANCHOR: forward
pub fn forward(
    x: ArrayView2<f64>,
    w: &Weights,
    heads: Heads,
    eps: f64,
) -> (Array2<f64>, Residuals) {
    // x' = x + attention(norm₁(x))
    let (n1, stats1) = layer_norm(x, w.gamma1.view(), w.beta1.view(), eps);
    let qkv = linear::forward(n1.view(), w.w_qkv.view(), w.b_qkv.view());
    let (a, p) = attention::multi_head(qkv.view(), heads, true);
    let x1 = &x + linear::forward(a.view(), w.w_o.view(), w.b_o.view());
    // y = x' + mlp(norm₂(x'))
    let (n2, stats2) =
        layer_norm(x1.view(), w.gamma2.view(), w.beta2.view(), eps);
    let z = linear::forward(n2.view(), w.w1.view(), w.b1.view());
    let g = gelu::exact(z.view());
    let y = &x1 + linear::forward(g.view(), w.w2.view(), w.b2.view());
    #[rustfmt::skip]
    let kept = Residuals { stats1, n1, qkv, p, a, x1, stats2, n2, z, g };
    (y, kept)
}
// ANCHOR_END: forward

/// `dx` (N,D) and the gradients of the weights, from `dy` (N,D).
///
/// `x`, `w` and `heads` as in [`forward`], `kept` from it. Every line is one
/// of the forward pass turned round, from the last to the first.
///
/// Panics if the shapes do not fit.
#[track_caller]
// ANCHOR: vjp
pub fn vjp(
    x: ArrayView2<f64>,
    w: &Weights,
    kept: &Residuals,
    heads: Heads,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Weights) {
    #[rustfmt::skip]
    let Residuals { stats1, n1, qkv, p, a, x1, stats2, n2, z, g } = kept;
    // y = x' + mlp(norm₂(x'))
    let (dg, w2, b2) = linear::vjp(g.view(), w.w2.view(), dy);
    let dz = gelu::exact_vjp(z.view(), dg.view());
    let (dn2, w1, b1) = linear::vjp(n2.view(), w.w1.view(), dz.view());
    let (x1, gamma2) = (x1.view(), w.gamma2.view());
    let (dx1, gamma2, beta2) =
        layer_norm_vjp(x1, gamma2, stats2.view(), dn2.view());
    let dx1 = dx1 + dy;
    // x' = x + attention(norm₁(x))
    let (da, w_o, b_o) = linear::vjp(a.view(), w.w_o.view(), dx1.view());
    let dqkv =
        attention::multi_head_vjp(qkv.view(), p.view(), da.view(), heads);
    let (dn1, w_qkv, b_qkv) =
        linear::vjp(n1.view(), w.w_qkv.view(), dqkv.view());
    let (dx, gamma1, beta1) =
        layer_norm_vjp(x, w.gamma1.view(), stats1.view(), dn1.view());
    let dx = dx + dx1;
    #[rustfmt::skip]
    let dw = Weights {
        gamma1, beta1, w_qkv, b_qkv, w_o, b_o,
        gamma2, beta2, w1, b1, w2, b2,
    };
    (dx, dw)
}
// ANCHOR_END: vjp
