//! The GPU backend: `f32`, the chapters' kernels, arrays from a pool.

use crate::depth::{normalization, residual};
use crate::device::{AdamW, Device, Fault, Heads, Precision};
use crate::discrete::straight_through::quantised;
use crate::engine::gpu::{
    Capabilities, Ids, Options, Runner, StartError, Tensor, Timing,
};
use crate::engine::meter::Meter;
use crate::engine::philox::Stream;
use crate::network::{
    activation, linear, optimizer, softmax_cross_entropy as softmax,
};
use crate::scale::flash_attention;
use crate::transformer::{attention, embedding, lora};
use ndarray::ArrayViewD;
use std::sync::OnceLock;

/// Runs the kernels of the chapters on a GPU, in `f32`.
///
/// Ops are recorded, and run when something is read: a training step is one
/// submission. What fails, fails late: see [`Device::fault`].
#[derive(Debug)]
pub struct Gpu {
    run: Runner,
    turns: embedding::gpu::Turns,
}

impl Gpu {
    /// Starts the GPU that `options` say.
    pub fn start(options: Options) -> Result<Gpu, StartError> {
        Ok(Gpu {
            run: Runner::start(options)?,
            turns: embedding::gpu::Turns::default(),
        })
    }

    /// What this GPU can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.run.capabilities()
    }

    /// What runs the kernels.
    pub fn runner(&self) -> &Runner {
        &self.run
    }

    /// Counts the bytes of the tensors that are alive.
    pub fn meter(&self) -> &Meter {
        self.run.meter()
    }

    /// Times of the kernels since the last time they were asked for, see
    /// [`Runner::timings`].
    pub fn timings(&self) -> Vec<Timing> {
        self.run.timings()
    }

    /// [`Device::read`] for a place that must not block, such as a browser:
    /// the numbers in row-major order, or why there are none.
    pub async fn read_async(&self, t: &Tensor) -> Result<Vec<f32>, Fault> {
        self.run.read_async(t).await
    }
}

/// Indices of [`Gpu`]. Go back to the pool when dropped.
#[derive(Debug)]
pub struct GpuIds {
    ids: Ids,
    /// Sorted, once somebody asks for the gradient of a table.
    uses: OnceLock<embedding::gpu::Uses>,
}

/// Rounded to `f32`, in row-major order.
fn words(x: &ArrayViewD<f64>) -> Vec<u32> {
    x.iter().map(|x| (*x as f32).to_bits()).collect()
}

impl Device for Gpu {
    type Tensor = Tensor;
    type Ids = GpuIds;
    const PRECISION: Precision = Precision::F32;

    #[track_caller]
    fn zeros(&self, shape: &[usize]) -> Tensor {
        let t = self.run.tensor(shape);
        self.run.fill(&t, 0.);
        t
    }

    #[track_caller]
    fn upload(&self, x: ArrayViewD<f64>) -> Tensor {
        self.run.uploaded_tensor(x.shape(), &words(&x))
    }

    #[track_caller]
    fn upload_ids(&self, ids: &[usize]) -> GpuIds {
        GpuIds {
            ids: Ids::new(&self.run, ids),
            uses: OnceLock::new(),
        }
    }

    fn shape<'t>(&self, t: &'t Tensor) -> &'t [usize] {
        t.shape()
    }

    #[track_caller]
    fn read_into(&self, t: &Tensor, out: &mut [f64]) {
        assert_eq!(t.len(), out.len(), "read: lengths differ");
        let is_there = self.run.read(t, |numbers| {
            for (out, x) in out.iter_mut().zip(numbers) {
                *out = f64::from(*x);
            }
        });
        if !is_there {
            out.fill(f64::NAN);
        }
    }

    fn prefetch(&self, t: &Tensor) {
        self.run.prefetch(t);
    }

    fn fault(&self) -> Option<Fault> {
        self.run.fault()
    }

    #[track_caller]
    fn write(&self, t: &mut Tensor, x: ArrayViewD<f64>) {
        assert_eq!(t.shape(), x.shape(), "write: shapes differ");
        self.run.upload(t, &words(&x));
    }

    fn clear(&self, t: &mut Tensor) {
        self.run.fill(t, 0.);
    }

    fn copy(&self, t: &Tensor) -> Tensor {
        let copy = self.run.tensor(t.shape());
        self.run.copy(t, &copy);
        copy
    }

    #[track_caller]
    fn linear(&self, x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
        linear::gpu::forward(&self.run, x, w, b)
    }

    #[track_caller]
    fn linear_vjp(
        &self,
        x: &Tensor,
        w: &Tensor,
        dy: &Tensor,
        dw: &mut Tensor,
        db: &mut Tensor,
    ) -> Tensor {
        linear::gpu::vjp(&self.run, x, w, dy, dw, db)
    }

    #[track_caller]
    fn linear_vjp_params(
        &self,
        x: &Tensor,
        dy: &Tensor,
        dw: &mut Tensor,
        db: &mut Tensor,
    ) {
        linear::gpu::vjp_params(&self.run, x, dy, dw, db);
    }

    #[track_caller]
    fn linear_vjp_input(&self, w: &Tensor, dy: &Tensor) -> Tensor {
        linear::gpu::vjp_input(&self.run, w, dy)
    }

    #[track_caller]
    fn unembed(&self, x: &Tensor, w: &Tensor) -> Tensor {
        embedding::gpu::unembed(&self.run, x, w)
    }

    #[track_caller]
    fn lora(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        scale: f64,
        y: Tensor,
    ) -> (Tensor, Tensor) {
        lora::gpu::forward(&self.run, x, a, b, scale, y)
    }

    #[track_caller]
    fn lora_vjp(
        &self,
        x: &Tensor,
        h: &Tensor,
        a: &Tensor,
        b: &Tensor,
        scale: f64,
        dy: &Tensor,
        dx: Tensor,
        da: &mut Tensor,
        db: &mut Tensor,
    ) -> Tensor {
        lora::gpu::vjp(&self.run, x, h, a, b, scale, dy, dx, da, db)
    }

    #[track_caller]
    fn quantise_scale(&self, w: &Tensor, bits: u32) -> Tensor {
        quantised::gpu::scale(&self.run, w, bits)
    }

    #[track_caller]
    fn quantise(&self, w: &Tensor, s: &Tensor, bits: u32) -> Tensor {
        quantised::gpu::forward(&self.run, w, s, bits)
    }

    #[track_caller]
    fn quantise_vjp(
        &self,
        w: &Tensor,
        s: &Tensor,
        bits: u32,
        dw_hat: &Tensor,
        dw: &mut Tensor,
    ) {
        quantised::gpu::vjp(&self.run, w, s, bits, dw_hat, dw);
    }

    #[track_caller]
    fn relu(&self, x: Tensor) -> Tensor {
        activation::gpu::relu(&self.run, x)
    }

    #[track_caller]
    fn relu_vjp(&self, y: &Tensor, dy: Tensor) -> Tensor {
        activation::gpu::relu_vjp(&self.run, y, dy)
    }

    #[track_caller]
    fn tanh(&self, x: Tensor) -> Tensor {
        activation::gpu::tanh(&self.run, x)
    }

    #[track_caller]
    fn tanh_vjp(&self, y: &Tensor, dy: Tensor) -> Tensor {
        activation::gpu::tanh_vjp(&self.run, y, dy)
    }

    #[track_caller]
    fn gelu(&self, x: &Tensor) -> Tensor {
        activation::gelu::gpu::exact(&self.run, x)
    }

    #[track_caller]
    fn gelu_vjp(&self, x: &Tensor, dy: Tensor) -> Tensor {
        activation::gelu::gpu::exact_vjp(&self.run, x, dy)
    }

    #[track_caller]
    fn gelu_tanh(&self, x: &Tensor) -> Tensor {
        activation::gelu::gpu::tanh(&self.run, x)
    }

    #[track_caller]
    fn gelu_tanh_vjp(&self, x: &Tensor, dy: Tensor) -> Tensor {
        activation::gelu::gpu::tanh_vjp(&self.run, x, dy)
    }

    #[track_caller]
    fn swiglu(&self, x: &Tensor) -> Tensor {
        activation::silu::gpu::swiglu(&self.run, x)
    }

    #[track_caller]
    fn swiglu_vjp(&self, x: &Tensor, dy: &Tensor) -> Tensor {
        activation::silu::gpu::swiglu_vjp(&self.run, x, dy)
    }

    #[track_caller]
    fn layer_norm(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        eps: f64,
    ) -> (Tensor, Tensor) {
        normalization::gpu::layer_norm(&self.run, x, gamma, beta, eps)
    }

    #[track_caller]
    fn layer_norm_vjp(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        stats: &Tensor,
        dy: &Tensor,
        dgamma: &mut Tensor,
        dbeta: &mut Tensor,
    ) -> Tensor {
        let run = &self.run;
        normalization::gpu::layer_norm_vjp(
            run, x, gamma, stats, dy, dgamma, dbeta,
        )
    }

    #[track_caller]
    fn layer_norm_vjp_input(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        stats: &Tensor,
        dy: &Tensor,
    ) -> Tensor {
        normalization::gpu::layer_norm_vjp_input(&self.run, x, gamma, stats, dy)
    }

    #[track_caller]
    fn rms_norm(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        eps: f64,
    ) -> (Tensor, Tensor) {
        normalization::gpu::rms_norm(&self.run, x, gamma, eps)
    }

    #[track_caller]
    fn rms_norm_vjp(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        stats: &Tensor,
        dy: &Tensor,
        dgamma: &mut Tensor,
    ) -> Tensor {
        normalization::gpu::rms_norm_vjp(&self.run, x, gamma, stats, dy, dgamma)
    }

    #[track_caller]
    fn rms_norm_vjp_input(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        stats: &Tensor,
        dy: &Tensor,
    ) -> Tensor {
        normalization::gpu::rms_norm_vjp_input(&self.run, x, gamma, stats, dy)
    }

    #[track_caller]
    fn add(&self, x: &Tensor, f: Tensor) -> Tensor {
        residual::gpu::add(&self.run, x, f)
    }

    #[track_caller]
    fn dropout(&self, x: Tensor, rate: f64, stream: Stream) -> Tensor {
        residual::gpu::dropout(&self.run, x, rate, stream)
    }

    #[track_caller]
    fn embedding(&self, w: &Tensor, ids: &GpuIds) -> Tensor {
        embedding::gpu::forward(&self.run, w, &ids.ids)
    }

    #[track_caller]
    fn embedding_vjp(&self, ids: &GpuIds, dy: &Tensor, dw: &mut Tensor) {
        let GpuIds { ids, uses } = ids;
        embedding::gpu::vjp(&self.run, ids, uses, dy, dw);
    }

    #[track_caller]
    fn rope(&self, qkv: Tensor, heads: Heads, base: f64) -> Tensor {
        embedding::gpu::rope(&self.run, &self.turns, qkv, heads, base)
    }

    #[track_caller]
    fn rope_vjp(&self, dqkv: Tensor, heads: Heads, base: f64) -> Tensor {
        embedding::gpu::rope_vjp(&self.run, &self.turns, dqkv, heads, base)
    }

    #[track_caller]
    fn attention(&self, qkv: &Tensor, heads: Heads) -> (Tensor, Tensor) {
        attention::gpu::multi_head(&self.run, qkv, heads)
    }

    #[track_caller]
    fn attention_vjp(
        &self,
        qkv: &Tensor,
        p: &Tensor,
        dy: &Tensor,
        heads: Heads,
    ) -> Tensor {
        attention::gpu::multi_head_vjp(&self.run, qkv, p, dy, heads)
    }

    #[track_caller]
    fn flash_attention(&self, qkv: &Tensor, heads: Heads) -> (Tensor, Tensor) {
        flash_attention::gpu::multi_head(&self.run, qkv, heads)
    }

    #[track_caller]
    fn flash_attention_vjp(
        &self,
        qkv: &Tensor,
        y: &Tensor,
        lse: &Tensor,
        dy: &Tensor,
        heads: Heads,
    ) -> Tensor {
        flash_attention::gpu::multi_head_vjp(&self.run, qkv, y, lse, dy, heads)
    }

    #[track_caller]
    fn softmax_ce(
        &self,
        x: Tensor,
        labels: &GpuIds,
        smoothing: f64,
    ) -> (Tensor, Tensor) {
        softmax::gpu::cross_entropy(&self.run, x, &labels.ids, smoothing)
    }

    #[track_caller]
    fn softmax_ce_vjp(
        &self,
        p: Tensor,
        labels: &GpuIds,
        smoothing: f64,
        dloss: f64,
    ) -> Tensor {
        let labels = &labels.ids;
        softmax::gpu::cross_entropy_vjp(&self.run, p, labels, smoothing, dloss)
    }

    #[track_caller]
    fn unembed_ce(
        &self,
        x: &Tensor,
        w: &Tensor,
        labels: &GpuIds,
        smoothing: f64,
    ) -> Tensor {
        embedding::gpu::unembed_ce(&self.run, x, w, &labels.ids, smoothing)
    }

    #[track_caller]
    fn unembed_ce_grad(
        &self,
        x: &Tensor,
        w: &Tensor,
        labels: &GpuIds,
        smoothing: f64,
        dloss: f64,
        dw: Option<&mut Tensor>,
    ) -> (Tensor, Tensor) {
        let (run, labels) = (&self.run, &labels.ids);
        embedding::gpu::unembed_ce_grad(run, x, w, labels, smoothing, dloss, dw)
    }

    #[track_caller]
    fn sgd(
        &self,
        w: &mut Tensor,
        dw: &Tensor,
        v: &mut Tensor,
        lr: f64,
        momentum: f64,
        decay: f64,
    ) {
        optimizer::gpu::sgd(&self.run, w, dw, v, lr, momentum, decay);
    }

    #[track_caller]
    fn sum_of_squares(&self, x: &Tensor, squares: &mut Tensor, slot: usize) {
        optimizer::gpu::sum_of_squares(&self.run, x, squares, slot);
    }

    #[track_caller]
    fn clip(&self, squares: &Tensor, most: f64) -> Tensor {
        optimizer::gpu::clip(&self.run, squares, most)
    }

    #[track_caller]
    fn adamw(
        &self,
        w: &mut Tensor,
        dw: &Tensor,
        m: &mut Tensor,
        v: &mut Tensor,
        factor: &Tensor,
        set: AdamW,
    ) {
        optimizer::gpu::adamw(&self.run, w, dw, m, v, factor, set);
    }
}
