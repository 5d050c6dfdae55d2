//! The textbook backend: `f64`, plain ndarray, the chapters' own functions.

use crate::depth::{normalization, residual};
use crate::device::{AdamW, Device, Heads, Precision};
use crate::discrete::straight_through::quantised;
use crate::engine::philox::Stream;
use crate::network::{
    activation, linear, optimizer, softmax_cross_entropy as softmax,
};
use crate::scale::flash_attention;
use crate::transformer::{attention, embedding, lora};
use ndarray::{
    Array, ArrayD, ArrayView1, ArrayView2, ArrayView3, ArrayViewD, Dimension,
    Ix1, Ix2, Ix3,
};

/// Runs every op as its chapter writes it, in `f64`.
///
/// Slow, and exact to 15 digits: here the hand-written backward pass of a model is compared
/// with finite differences. Tensors are ndarray's arrays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Textbook;

type Tensor = ArrayD<f64>;

#[track_caller]
fn d1(t: &Tensor) -> ArrayView1<'_, f64> {
    t.view()
        .into_dimensionality::<Ix1>()
        .expect("a tensor of rank 1")
}

#[track_caller]
fn d2(t: &Tensor) -> ArrayView2<'_, f64> {
    t.view()
        .into_dimensionality::<Ix2>()
        .expect("a tensor of rank 2")
}

#[track_caller]
fn d3(t: &Tensor) -> ArrayView3<'_, f64> {
    t.view()
        .into_dimensionality::<Ix3>()
        .expect("a tensor of rank 3")
}

/// Adds the gradient of a parameter. `+=` alone would repeat a row or a number
/// that is too short.
#[track_caller]
fn add_onto<D: Dimension>(to: &mut Tensor, gradient: Array<f64, D>) {
    let (a, b) = (to.shape(), gradient.shape());
    assert_eq!(a, b, "a gradient {b:?} does not fit a buffer {a:?}");
    *to += &gradient;
}

impl Device for Textbook {
    type Tensor = Tensor;
    type Ids = Vec<usize>;
    const PRECISION: Precision = Precision::F64;

    #[track_caller]
    fn zeros(&self, shape: &[usize]) -> Tensor {
        ArrayD::zeros(shape)
    }

    #[track_caller]
    fn upload(&self, x: ArrayViewD<f64>) -> Tensor {
        // In row-major order, whatever the order of the view.
        let mut t = ArrayD::zeros(x.raw_dim());
        t.assign(&x);
        t
    }

    #[track_caller]
    fn upload_ids(&self, ids: &[usize]) -> Vec<usize> {
        ids.to_vec()
    }

    #[track_caller]
    fn shape<'t>(&self, t: &'t Tensor) -> &'t [usize] {
        t.shape()
    }

    #[track_caller]
    fn read_into(&self, t: &Tensor, out: &mut [f64]) {
        assert_eq!(t.len(), out.len(), "read: lengths differ");
        for (out, t) in out.iter_mut().zip(t) {
            *out = *t;
        }
    }

    #[track_caller]
    fn write(&self, t: &mut Tensor, x: ArrayViewD<f64>) {
        assert_eq!(t.shape(), x.shape(), "write: shapes differ");
        t.assign(&x);
    }

    #[track_caller]
    fn clear(&self, t: &mut Tensor) {
        t.fill(0.);
    }

    #[track_caller]
    fn copy(&self, t: &Tensor) -> Tensor {
        t.clone()
    }

    #[track_caller]
    fn linear(&self, x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
        linear::forward(d2(x), d2(w), d1(b)).into_dyn()
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
        let (dx, dw_here, db_here) = linear::vjp(d2(x), d2(w), d2(dy));
        add_onto(dw, dw_here);
        add_onto(db, db_here);
        dx.into_dyn()
    }

    #[track_caller]
    fn linear_vjp_params(
        &self,
        x: &Tensor,
        dy: &Tensor,
        dw: &mut Tensor,
        db: &mut Tensor,
    ) {
        let w = dw.clone(); // only its shape counts: dx is thrown away
        self.linear_vjp(x, &w, dy, dw, db);
    }

    #[track_caller]
    fn linear_vjp_input(&self, w: &Tensor, dy: &Tensor) -> Tensor {
        linear::vjp_input(d2(w), d2(dy)).into_dyn()
    }

    #[track_caller]
    fn unembed(&self, x: &Tensor, w: &Tensor) -> Tensor {
        embedding::unembed(d2(x), d2(w)).into_dyn()
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
        let (y, h) = lora::forward(d2(x), d2(a), d2(b), scale, d2(&y));
        (y.into_dyn(), h.into_dyn())
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
        let (dx_here, da_here, db_here) =
            lora::vjp(d2(x), d2(h), d2(a), d2(b), scale, d2(dy));
        add_onto(da, da_here);
        add_onto(db, db_here);
        dx + &dx_here
    }

    #[track_caller]
    fn quantise_scale(&self, w: &Tensor, bits: u32) -> Tensor {
        ArrayD::from_elem(&[1][..], quantised::scale(w.view(), bits))
    }

    #[track_caller]
    fn quantise(&self, w: &Tensor, s: &Tensor, bits: u32) -> Tensor {
        quantised::assert_step("quantise", s.shape());
        quantised::forward(w.view(), s[0], bits)
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
        quantised::assert_step("quantise_vjp", s.shape());
        let (w, dw_hat) = (w.view(), dw_hat.view());
        add_onto(dw, quantised::vjp(w, s[0], bits, dw_hat));
    }

    #[track_caller]
    fn relu(&self, x: Tensor) -> Tensor {
        activation::relu(x.view())
    }

    #[track_caller]
    fn relu_vjp(&self, y: &Tensor, dy: Tensor) -> Tensor {
        activation::relu_vjp(y.view(), dy.view())
    }

    #[track_caller]
    fn tanh(&self, x: Tensor) -> Tensor {
        activation::tanh(x.view())
    }

    #[track_caller]
    fn tanh_vjp(&self, y: &Tensor, dy: Tensor) -> Tensor {
        activation::tanh_vjp(y.view(), dy.view())
    }

    #[track_caller]
    fn gelu(&self, x: &Tensor) -> Tensor {
        activation::gelu::exact(x.view())
    }

    #[track_caller]
    fn gelu_vjp(&self, x: &Tensor, dy: Tensor) -> Tensor {
        activation::gelu::exact_vjp(x.view(), dy.view())
    }

    #[track_caller]
    fn gelu_tanh(&self, x: &Tensor) -> Tensor {
        activation::gelu::tanh(x.view())
    }

    #[track_caller]
    fn gelu_tanh_vjp(&self, x: &Tensor, dy: Tensor) -> Tensor {
        activation::gelu::tanh_vjp(x.view(), dy.view())
    }

    #[track_caller]
    fn swiglu(&self, x: &Tensor) -> Tensor {
        activation::silu::swiglu(d2(x)).into_dyn()
    }

    #[track_caller]
    fn swiglu_vjp(&self, x: &Tensor, dy: &Tensor) -> Tensor {
        activation::silu::swiglu_vjp(d2(x), d2(dy)).into_dyn()
    }

    #[track_caller]
    fn layer_norm(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        eps: f64,
    ) -> (Tensor, Tensor) {
        let (y, stats) =
            normalization::layer_norm(d2(x), d1(gamma), d1(beta), eps);
        (y.into_dyn(), stats.into_dyn())
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
        let (dx, dgamma_here, dbeta_here) =
            normalization::layer_norm_vjp(d2(x), d1(gamma), d2(stats), d2(dy));
        add_onto(dgamma, dgamma_here);
        add_onto(dbeta, dbeta_here);
        dx.into_dyn()
    }

    #[track_caller]
    fn layer_norm_vjp_input(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        stats: &Tensor,
        dy: &Tensor,
    ) -> Tensor {
        let (x, stats, dy) = (d2(x), d2(stats), d2(dy));
        normalization::layer_norm_vjp(x, d1(gamma), stats, dy)
            .0
            .into_dyn()
    }

    #[track_caller]
    fn rms_norm(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        eps: f64,
    ) -> (Tensor, Tensor) {
        let (y, stats) = normalization::rms_norm(d2(x), d1(gamma), eps);
        (y.into_dyn(), stats.into_dyn())
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
        let (x, stats, dy) = (d2(x), d2(stats), d2(dy));
        let (dx, dgamma_here) =
            normalization::rms_norm_vjp(x, d1(gamma), stats, dy);
        add_onto(dgamma, dgamma_here);
        dx.into_dyn()
    }

    #[track_caller]
    fn rms_norm_vjp_input(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        stats: &Tensor,
        dy: &Tensor,
    ) -> Tensor {
        let (x, stats, dy) = (d2(x), d2(stats), d2(dy));
        normalization::rms_norm_vjp(x, d1(gamma), stats, dy)
            .0
            .into_dyn()
    }

    #[track_caller]
    fn add(&self, x: &Tensor, f: Tensor) -> Tensor {
        residual::add(x.view(), f.view())
    }

    #[track_caller]
    fn dropout(&self, x: Tensor, rate: f64, stream: Stream) -> Tensor {
        residual::dropout(x.view(), rate, stream)
    }

    #[track_caller]
    fn embedding(&self, w: &Tensor, ids: &Vec<usize>) -> Tensor {
        embedding::forward(d2(w), ids).into_dyn()
    }

    #[track_caller]
    fn embedding_vjp(&self, ids: &Vec<usize>, dy: &Tensor, dw: &mut Tensor) {
        let dw_here = embedding::vjp(d2(dw).nrows(), ids, d2(dy));
        add_onto(dw, dw_here);
    }

    #[track_caller]
    fn rope(&self, qkv: Tensor, heads: Heads, base: f64) -> Tensor {
        embedding::rope(d2(&qkv), heads, base).into_dyn()
    }

    #[track_caller]
    fn rope_vjp(&self, dqkv: Tensor, heads: Heads, base: f64) -> Tensor {
        embedding::rope_vjp(d2(&dqkv), heads, base).into_dyn()
    }

    #[track_caller]
    fn attention(&self, qkv: &Tensor, heads: Heads) -> (Tensor, Tensor) {
        let (y, p) = attention::multi_head(d2(qkv), heads, true);
        (y.into_dyn(), p.into_dyn())
    }

    #[track_caller]
    fn attention_vjp(
        &self,
        qkv: &Tensor,
        p: &Tensor,
        dy: &Tensor,
        heads: Heads,
    ) -> Tensor {
        attention::multi_head_vjp(d2(qkv), d3(p), d2(dy), heads).into_dyn()
    }

    #[track_caller]
    fn flash_attention(&self, qkv: &Tensor, heads: Heads) -> (Tensor, Tensor) {
        let (y, lse) = flash_attention::multi_head(d2(qkv), heads, true);
        (y.into_dyn(), lse.into_dyn())
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
        let (qkv, y, lse, dy) = (d2(qkv), d2(y), d2(lse), d2(dy));
        flash_attention::multi_head_vjp(qkv, y, lse, dy, heads, true).into_dyn()
    }

    #[track_caller]
    fn softmax_ce(
        &self,
        x: Tensor,
        labels: &Vec<usize>,
        smoothing: f64,
    ) -> (Tensor, Tensor) {
        softmax::assert_smoothing("softmax_ce", smoothing);
        let x = d2(&x);
        let t = softmax::targets(labels, x.ncols(), smoothing);
        let (loss, p) = softmax::cross_entropy(x, t.view());
        (ArrayD::from_elem(&[1][..], loss), p.into_dyn())
    }

    #[track_caller]
    fn softmax_ce_vjp(
        &self,
        p: Tensor,
        labels: &Vec<usize>,
        smoothing: f64,
        dloss: f64,
    ) -> Tensor {
        softmax::assert_smoothing("softmax_ce_vjp", smoothing);
        let p = d2(&p);
        let t = softmax::targets(labels, p.ncols(), smoothing);
        softmax::cross_entropy_vjp(p, t.view(), dloss).into_dyn()
    }

    #[track_caller]
    fn unembed_ce(
        &self,
        x: &Tensor,
        w: &Tensor,
        labels: &Vec<usize>,
        smoothing: f64,
    ) -> Tensor {
        softmax::assert_smoothing("unembed_ce", smoothing);
        let loss = embedding::unembed_ce(d2(x), d2(w), labels, smoothing);
        ArrayD::from_elem(&[1][..], loss)
    }

    #[track_caller]
    fn unembed_ce_grad(
        &self,
        x: &Tensor,
        w: &Tensor,
        labels: &Vec<usize>,
        smoothing: f64,
        dloss: f64,
        dw: Option<&mut Tensor>,
    ) -> (Tensor, Tensor) {
        softmax::assert_smoothing("unembed_ce_grad", smoothing);
        let (x, w) = (d2(x), d2(w));
        let (loss, dx, dw_here) =
            embedding::unembed_ce_grad(x, w, labels, smoothing, dloss);
        if let Some(dw) = dw {
            add_onto(dw, dw_here);
        }
        (ArrayD::from_elem(&[1][..], loss), dx.into_dyn())
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
        let (w, v) = (w.view_mut(), v.view_mut());
        optimizer::sgd(w, dw.view(), v, lr, momentum, decay);
    }

    #[track_caller]
    fn sum_of_squares(&self, x: &Tensor, squares: &mut Tensor, slot: usize) {
        squares[slot] = x.iter().map(|x| x * x).sum();
    }

    #[track_caller]
    fn clip(&self, squares: &Tensor, most: f64) -> Tensor {
        ArrayD::from_elem(&[1][..], optimizer::clip(d1(squares), most))
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
        let (w, m, v) = (w.view_mut(), m.view_mut(), v.view_mut());
        optimizer::adamw(w, dw.view(), m, v, factor[0], set);
    }
}
