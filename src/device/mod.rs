//! The device line: the op set that the models use, and nothing else.
//!
//! A model is written once, over [`Device`], and runs on every backend:
//! `Textbook` (f64, plain ndarray: here its hand-written backward is checked
//! by finite differences), `Cpu` (f32, fused), later the GPU.
//!
//! Conventions, the same for every op:
//!
//! - Rows are examples: `x (B,I)`, `w (I,O)`, `b (O)`.
//! - Forward and VJP stand side by side. A VJP takes the cotangent of the
//!   output and returns the gradient of the activation that came in.
//! - Gradients of *parameters* are **added** into the caller's buffers, so a
//!   weight that is used twice, or a batch that comes in parts, sums by itself.
//! - An op whose VJP needs only its output takes its input by value: the
//!   backend may work in place, and the model cannot keep what nobody needs.
//! - Numbers on the host are `f64`; a backend of lower precision converts.
//!   Nothing returns host numbers but `read` and `read_into`.
//! - A tensor comes from the device's pool and goes back when it is dropped.
//! - Shapes that do not fit are a bug of the caller: a panic that names the op
//!   and both shapes.

use ndarray::{ArrayD, ArrayViewD};

/// What a backend's numbers are, for files that must hold them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
}

/// The ops that a multilayer perceptron is trained with.
///
/// See the [module](self) for the conventions.
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

    // ---- activations ----------------------------------------------------

    /// `y = max(x, 0)`, entry by entry. NaN stays NaN.
    fn relu(&self, x: Self::Tensor) -> Self::Tensor;
    /// `dx = dy` where `y > 0`, else 0; at the kink 0.
    fn relu_vjp(&self, y: &Self::Tensor, dy: Self::Tensor) -> Self::Tensor;
    /// `y = tanh(x)`, entry by entry.
    fn tanh(&self, x: Self::Tensor) -> Self::Tensor;
    /// `dx = (1 - y²) ⊙ dy`.
    fn tanh_vjp(&self, y: &Self::Tensor, dy: Self::Tensor) -> Self::Tensor;

    // ---- loss -----------------------------------------------------------

    /// Softmax and cross-entropy in one: logits `x` (B,V) and labels (B) give
    /// the mean loss over the batch, in nats, shape (1), and the probabilities
    /// `p` (B,V), which is all that the VJP keeps.
    ///
    /// `smoothing` ε in `[0,1)` moves that share of the target from the label
    /// to all classes evenly.
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
