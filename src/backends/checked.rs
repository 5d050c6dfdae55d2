//! Checked mode: another backend, watched op by op.

use crate::device::{self, AdamW, Device, Heads, Precision};
use crate::engine::philox::Stream;
use ndarray::ArrayViewD;
use std::cell::RefCell;

/// A backend that computes what `D` computes, the same bits, and remembers the
/// first op that returned a number that is not finite.
///
/// Slow, since every result is copied to the host. A training step whose loss
/// is not finite is run once more on this, to say where it began.
///
/// ```
/// use backprop::backends::{Checked, Textbook};
/// use backprop::device::Device;
///
/// let dev = Checked::new(&Textbook);
/// let x = dev.upload(ndarray::array![[1e308]].into_dyn().view());
/// let b = dev.zeros(&[1]);
/// let y = dev.linear(&x, &x, &b); // 10⁶¹⁶
/// dev.tanh(y);
/// let fault = dev.fault().unwrap();
/// assert_eq!(fault.to_string(), "y [1, 1] of linear");
/// assert!(fault.touched(&x));
/// ```
#[derive(Debug)]
pub struct Checked<'d, D: Device> {
    dev: &'d D,
    first: RefCell<Option<Fault<D::Tensor>>>,
}

/// Which result was the first with a number that is not finite.
#[derive(Debug, PartialEq)]
pub struct Fault<T> {
    /// The op, like `linear_vjp`.
    pub op: &'static str,
    /// Which of its results, in the letters of [`Device`], like `dw`.
    pub result: &'static str,
    /// The shape of that result.
    pub shape: Vec<usize>,
    touched: Vec<*const T>,
}

impl<T> Fault<T> {
    /// Whether the op read or changed `t`: the very one, not one like it. A
    /// weight, or its gradient, names the layer that the op belongs to.
    pub fn touched(&self, t: &T) -> bool {
        self.touched.iter().any(|p| std::ptr::eq(*p, t))
    }
}

impl<T> Clone for Fault<T> {
    fn clone(&self) -> Fault<T> {
        Fault {
            shape: self.shape.clone(),
            touched: self.touched.clone(),
            ..*self
        }
    }
}

impl<T> std::fmt::Display for Fault<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} {:?} of {}", self.result, self.shape, self.op)
    }
}

impl<'d, D: Device> Checked<'d, D> {
    /// `dev`, watched.
    pub fn new(dev: &'d D) -> Checked<'d, D> {
        Checked {
            dev,
            first: RefCell::new(None),
        }
    }

    /// The first fault so far.
    pub fn fault(&self) -> Option<Fault<D::Tensor>> {
        self.first.borrow().clone()
    }

    fn check<const N: usize>(
        &self,
        op: &'static str,
        read: [&D::Tensor; N],
        results: &[(&'static str, &D::Tensor)],
    ) {
        let mut first = self.first.borrow_mut();
        for (result, t) in results {
            if first.is_some() || finite(self.dev, t) {
                continue;
            }
            *first = Some(Fault {
                op,
                result,
                shape: self.dev.shape(t).to_vec(),
                touched: read
                    .iter()
                    .chain(results.iter().map(|(_, t)| t))
                    .map(|t| std::ptr::from_ref(*t))
                    .collect(),
            });
        }
    }
}

/// Whether every number of `t` is finite.
pub fn finite<D: Device>(dev: &D, t: &D::Tensor) -> bool {
    dev.read(t).iter().all(|x| x.is_finite())
}

impl<D: Device> Device for Checked<'_, D> {
    type Tensor = D::Tensor;
    type Ids = D::Ids;
    const PRECISION: Precision = D::PRECISION;

    #[track_caller]
    fn zeros(&self, shape: &[usize]) -> D::Tensor {
        self.dev.zeros(shape)
    }

    #[track_caller]
    fn upload(&self, x: ArrayViewD<f64>) -> D::Tensor {
        let x = self.dev.upload(x);
        self.check("upload", [], &[("x", &x)]);
        x
    }

    #[track_caller]
    fn upload_ids(&self, ids: &[usize]) -> D::Ids {
        self.dev.upload_ids(ids)
    }

    #[track_caller]
    fn shape<'t>(&self, t: &'t D::Tensor) -> &'t [usize] {
        self.dev.shape(t)
    }

    #[track_caller]
    fn read_into(&self, t: &D::Tensor, out: &mut [f64]) {
        self.dev.read_into(t, out)
    }

    fn prefetch(&self, t: &D::Tensor) {
        self.dev.prefetch(t)
    }

    fn fault(&self) -> Option<device::Fault> {
        self.dev.fault()
    }

    #[track_caller]
    fn write(&self, t: &mut D::Tensor, x: ArrayViewD<f64>) {
        self.dev.write(t, x)
    }

    #[track_caller]
    fn clear(&self, t: &mut D::Tensor) {
        self.dev.clear(t)
    }

    #[track_caller]
    fn copy(&self, t: &D::Tensor) -> D::Tensor {
        self.dev.copy(t)
    }

    #[track_caller]
    fn linear(&self, x: &D::Tensor, w: &D::Tensor, b: &D::Tensor) -> D::Tensor {
        let y = self.dev.linear(x, w, b);
        self.check("linear", [x, w, b], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn linear_vjp(
        &self,
        x: &D::Tensor,
        w: &D::Tensor,
        dy: &D::Tensor,
        dw: &mut D::Tensor,
        db: &mut D::Tensor,
    ) -> D::Tensor {
        let dx = self.dev.linear_vjp(x, w, dy, dw, db);
        self.check(
            "linear_vjp",
            [x, w, dy],
            &[("dx", &dx), ("dw", dw), ("db", db)],
        );
        dx
    }

    #[track_caller]
    fn linear_vjp_params(
        &self,
        x: &D::Tensor,
        dy: &D::Tensor,
        dw: &mut D::Tensor,
        db: &mut D::Tensor,
    ) {
        self.dev.linear_vjp_params(x, dy, dw, db);
        self.check("linear_vjp_params", [x, dy], &[("dw", dw), ("db", db)]);
    }

    #[track_caller]
    fn linear_vjp_input(&self, w: &D::Tensor, dy: &D::Tensor) -> D::Tensor {
        let dx = self.dev.linear_vjp_input(w, dy);
        self.check("linear_vjp_input", [w, dy], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn unembed(&self, x: &D::Tensor, w: &D::Tensor) -> D::Tensor {
        let y = self.dev.unembed(x, w);
        self.check("unembed", [x, w], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn lora(
        &self,
        x: &D::Tensor,
        a: &D::Tensor,
        b: &D::Tensor,
        scale: f64,
        y: D::Tensor,
    ) -> (D::Tensor, D::Tensor) {
        let (y1, h) = self.dev.lora(x, a, b, scale, y);
        self.check("lora", [x, a, b], &[("y", &y1), ("h", &h)]);
        (y1, h)
    }

    #[track_caller]
    fn lora_vjp(
        &self,
        x: &D::Tensor,
        h: &D::Tensor,
        a: &D::Tensor,
        b: &D::Tensor,
        scale: f64,
        dy: &D::Tensor,
        dx: D::Tensor,
        da: &mut D::Tensor,
        db: &mut D::Tensor,
    ) -> D::Tensor {
        let dx1 = self.dev.lora_vjp(x, h, a, b, scale, dy, dx, da, db);
        self.check(
            "lora_vjp",
            [x, h, a, b, dy],
            &[("dx", &dx1), ("da", da), ("db", db)],
        );
        dx1
    }

    #[track_caller]
    fn quantise_scale(&self, w: &D::Tensor, bits: u32) -> D::Tensor {
        let s = self.dev.quantise_scale(w, bits);
        self.check("quantise_scale", [w], &[("s", &s)]);
        s
    }

    #[track_caller]
    fn quantise(&self, w: &D::Tensor, s: &D::Tensor, bits: u32) -> D::Tensor {
        let w_hat = self.dev.quantise(w, s, bits);
        self.check("quantise", [w, s], &[("w_hat", &w_hat)]);
        w_hat
    }

    #[track_caller]
    fn quantise_vjp(
        &self,
        w: &D::Tensor,
        s: &D::Tensor,
        bits: u32,
        dw_hat: &D::Tensor,
        dw: &mut D::Tensor,
    ) {
        self.dev.quantise_vjp(w, s, bits, dw_hat, dw);
        self.check("quantise_vjp", [w, s, dw_hat], &[("dw", dw)]);
    }

    #[track_caller]
    fn relu(&self, x: D::Tensor) -> D::Tensor {
        let y = self.dev.relu(x);
        self.check("relu", [], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn relu_vjp(&self, y: &D::Tensor, dy: D::Tensor) -> D::Tensor {
        let dx = self.dev.relu_vjp(y, dy);
        self.check("relu_vjp", [y], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn tanh(&self, x: D::Tensor) -> D::Tensor {
        let y = self.dev.tanh(x);
        self.check("tanh", [], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn tanh_vjp(&self, y: &D::Tensor, dy: D::Tensor) -> D::Tensor {
        let dx = self.dev.tanh_vjp(y, dy);
        self.check("tanh_vjp", [y], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn gelu(&self, x: &D::Tensor) -> D::Tensor {
        let y = self.dev.gelu(x);
        self.check("gelu", [x], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn gelu_vjp(&self, x: &D::Tensor, dy: D::Tensor) -> D::Tensor {
        let dx = self.dev.gelu_vjp(x, dy);
        self.check("gelu_vjp", [x], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn gelu_tanh(&self, x: &D::Tensor) -> D::Tensor {
        let y = self.dev.gelu_tanh(x);
        self.check("gelu_tanh", [x], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn gelu_tanh_vjp(&self, x: &D::Tensor, dy: D::Tensor) -> D::Tensor {
        let dx = self.dev.gelu_tanh_vjp(x, dy);
        self.check("gelu_tanh_vjp", [x], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn swiglu(&self, x: &D::Tensor) -> D::Tensor {
        let y = self.dev.swiglu(x);
        self.check("swiglu", [x], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn swiglu_vjp(&self, x: &D::Tensor, dy: &D::Tensor) -> D::Tensor {
        let dx = self.dev.swiglu_vjp(x, dy);
        self.check("swiglu_vjp", [x, dy], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn layer_norm(
        &self,
        x: &D::Tensor,
        gamma: &D::Tensor,
        beta: &D::Tensor,
        eps: f64,
    ) -> (D::Tensor, D::Tensor) {
        let (y, stats) = self.dev.layer_norm(x, gamma, beta, eps);
        self.check(
            "layer_norm",
            [x, gamma, beta],
            &[("y", &y), ("stats", &stats)],
        );
        (y, stats)
    }

    #[track_caller]
    fn layer_norm_vjp(
        &self,
        x: &D::Tensor,
        gamma: &D::Tensor,
        stats: &D::Tensor,
        dy: &D::Tensor,
        dgamma: &mut D::Tensor,
        dbeta: &mut D::Tensor,
    ) -> D::Tensor {
        let dx = self.dev.layer_norm_vjp(x, gamma, stats, dy, dgamma, dbeta);
        self.check(
            "layer_norm_vjp",
            [x, gamma, stats, dy],
            &[("dx", &dx), ("dgamma", dgamma), ("dbeta", dbeta)],
        );
        dx
    }

    #[track_caller]
    fn layer_norm_vjp_input(
        &self,
        x: &D::Tensor,
        gamma: &D::Tensor,
        stats: &D::Tensor,
        dy: &D::Tensor,
    ) -> D::Tensor {
        let dx = self.dev.layer_norm_vjp_input(x, gamma, stats, dy);
        self.check(
            "layer_norm_vjp_input",
            [x, gamma, stats, dy],
            &[("dx", &dx)],
        );
        dx
    }

    #[track_caller]
    fn rms_norm(
        &self,
        x: &D::Tensor,
        gamma: &D::Tensor,
        eps: f64,
    ) -> (D::Tensor, D::Tensor) {
        let (y, stats) = self.dev.rms_norm(x, gamma, eps);
        self.check("rms_norm", [x, gamma], &[("y", &y), ("stats", &stats)]);
        (y, stats)
    }

    #[track_caller]
    fn rms_norm_vjp(
        &self,
        x: &D::Tensor,
        gamma: &D::Tensor,
        stats: &D::Tensor,
        dy: &D::Tensor,
        dgamma: &mut D::Tensor,
    ) -> D::Tensor {
        let dx = self.dev.rms_norm_vjp(x, gamma, stats, dy, dgamma);
        self.check(
            "rms_norm_vjp",
            [x, gamma, stats, dy],
            &[("dx", &dx), ("dgamma", dgamma)],
        );
        dx
    }

    #[track_caller]
    fn rms_norm_vjp_input(
        &self,
        x: &D::Tensor,
        gamma: &D::Tensor,
        stats: &D::Tensor,
        dy: &D::Tensor,
    ) -> D::Tensor {
        let dx = self.dev.rms_norm_vjp_input(x, gamma, stats, dy);
        self.check("rms_norm_vjp_input", [x, gamma, stats, dy], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn add(&self, x: &D::Tensor, f: D::Tensor) -> D::Tensor {
        let y = self.dev.add(x, f);
        self.check("add", [x], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn dropout(&self, x: D::Tensor, rate: f64, stream: Stream) -> D::Tensor {
        let y = self.dev.dropout(x, rate, stream);
        self.check("dropout", [], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn embedding(&self, w: &D::Tensor, ids: &D::Ids) -> D::Tensor {
        let y = self.dev.embedding(w, ids);
        self.check("embedding", [w], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn embedding_vjp(&self, ids: &D::Ids, dy: &D::Tensor, dw: &mut D::Tensor) {
        self.dev.embedding_vjp(ids, dy, dw);
        self.check("embedding_vjp", [dy], &[("dw", dw)]);
    }

    #[track_caller]
    fn rope(&self, qkv: D::Tensor, heads: Heads, base: f64) -> D::Tensor {
        let y = self.dev.rope(qkv, heads, base);
        self.check("rope", [], &[("y", &y)]);
        y
    }

    #[track_caller]
    fn rope_vjp(&self, dqkv: D::Tensor, heads: Heads, base: f64) -> D::Tensor {
        let dx = self.dev.rope_vjp(dqkv, heads, base);
        self.check("rope_vjp", [], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn attention(
        &self,
        qkv: &D::Tensor,
        heads: Heads,
    ) -> (D::Tensor, D::Tensor) {
        let (y, p) = self.dev.attention(qkv, heads);
        self.check("attention", [qkv], &[("y", &y), ("p", &p)]);
        (y, p)
    }

    #[track_caller]
    fn attention_vjp(
        &self,
        qkv: &D::Tensor,
        p: &D::Tensor,
        dy: &D::Tensor,
        heads: Heads,
    ) -> D::Tensor {
        let dx = self.dev.attention_vjp(qkv, p, dy, heads);
        self.check("attention_vjp", [qkv, p, dy], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn flash_attention(
        &self,
        qkv: &D::Tensor,
        heads: Heads,
    ) -> (D::Tensor, D::Tensor) {
        let (y, lse) = self.dev.flash_attention(qkv, heads);
        self.check("flash_attention", [qkv], &[("y", &y), ("lse", &lse)]);
        (y, lse)
    }

    #[track_caller]
    fn flash_attention_vjp(
        &self,
        qkv: &D::Tensor,
        y: &D::Tensor,
        lse: &D::Tensor,
        dy: &D::Tensor,
        heads: Heads,
    ) -> D::Tensor {
        let dx = self.dev.flash_attention_vjp(qkv, y, lse, dy, heads);
        self.check("flash_attention_vjp", [qkv, y, lse, dy], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn softmax_ce(
        &self,
        x: D::Tensor,
        labels: &D::Ids,
        smoothing: f64,
    ) -> (D::Tensor, D::Tensor) {
        let (loss, p) = self.dev.softmax_ce(x, labels, smoothing);
        self.check("softmax_ce", [], &[("loss", &loss), ("p", &p)]);
        (loss, p)
    }

    #[track_caller]
    fn softmax_ce_vjp(
        &self,
        p: D::Tensor,
        labels: &D::Ids,
        smoothing: f64,
        dloss: f64,
    ) -> D::Tensor {
        let dx = self.dev.softmax_ce_vjp(p, labels, smoothing, dloss);
        self.check("softmax_ce_vjp", [], &[("dx", &dx)]);
        dx
    }

    #[track_caller]
    fn unembed_ce(
        &self,
        x: &D::Tensor,
        w: &D::Tensor,
        labels: &D::Ids,
        smoothing: f64,
    ) -> D::Tensor {
        let loss = self.dev.unembed_ce(x, w, labels, smoothing);
        self.check("unembed_ce", [x, w], &[("loss", &loss)]);
        loss
    }

    #[track_caller]
    fn unembed_ce_grad(
        &self,
        x: &D::Tensor,
        w: &D::Tensor,
        labels: &D::Ids,
        smoothing: f64,
        dloss: f64,
        mut dw: Option<&mut D::Tensor>,
    ) -> (D::Tensor, D::Tensor) {
        let to = dw.as_deref_mut();
        let (loss, dx) =
            self.dev.unembed_ce_grad(x, w, labels, smoothing, dloss, to);
        let results = [("loss", &loss), ("dx", &dx)];
        self.check("unembed_ce_grad", [x, w], &results);
        if let Some(dw) = dw {
            self.check("unembed_ce_grad", [x, w], &[("dw", dw)]);
        }
        (loss, dx)
    }

    #[track_caller]
    fn sgd(
        &self,
        w: &mut D::Tensor,
        dw: &D::Tensor,
        v: &mut D::Tensor,
        lr: f64,
        momentum: f64,
        decay: f64,
    ) {
        self.dev.sgd(w, dw, v, lr, momentum, decay);
        self.check("sgd", [dw], &[("w", w), ("v", v)]);
    }

    #[track_caller]
    fn sum_of_squares(
        &self,
        x: &D::Tensor,
        squares: &mut D::Tensor,
        slot: usize,
    ) {
        self.dev.sum_of_squares(x, squares, slot);
        self.check("sum_of_squares", [x], &[("squares", squares)]);
    }

    #[track_caller]
    fn clip(&self, squares: &D::Tensor, most: f64) -> D::Tensor {
        let factor = self.dev.clip(squares, most);
        self.check("clip", [squares], &[("factor", &factor)]);
        factor
    }

    #[track_caller]
    fn adamw(
        &self,
        w: &mut D::Tensor,
        dw: &D::Tensor,
        m: &mut D::Tensor,
        v: &mut D::Tensor,
        factor: &D::Tensor,
        set: AdamW,
    ) {
        self.dev.adamw(w, dw, m, v, factor, set);
        self.check("adamw", [dw, factor], &[("w", w), ("m", m), ("v", v)]);
    }
}
