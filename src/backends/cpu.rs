//! The CPU backend: `f32`, the chapters' fused ops, buffers from a pool.

use super::pool::{Buffer, Pool};
use crate::depth::{normalization, residual};
use crate::device::{AdamW, Device, Heads, Precision};
use crate::discrete::straight_through::quantised;
use crate::engine::meter::Meter;
use crate::engine::philox::Stream;
use crate::engine::shape::Shape;
use crate::network::{activation, linear, optimizer, softmax_cross_entropy};
use crate::scale::flash_attention;
use crate::transformer::{attention, embedding, lora};
use ndarray::{
    ArrayView1, ArrayView2, ArrayView3, ArrayView4, ArrayViewD, ArrayViewMut1,
    ArrayViewMut2, ArrayViewMut3, ArrayViewMut4,
};
use std::sync::Arc;

/// Runs the fused ops on the CPU, in `f32`.
///
/// After the first training step no op allocates: results are drawn from a
/// pool that tensors return to when they are dropped. The packing buffers of
/// the matrix product are not in the pool.
#[derive(Debug)]
pub struct Cpu {
    floats: Arc<Pool<f32>>,
    ids: Arc<Pool<u32>>,
}

impl Cpu {
    /// A backend with an empty pool. Large ops use the threads of the rayon
    /// pool that the caller runs in.
    pub fn new() -> Cpu {
        Cpu {
            floats: Pool::new(None),
            ids: Pool::new(None),
        }
    }

    /// A backend for tests: what it takes from its pool is full of NaN, so
    /// that an op that reads before it has written is seen.
    pub fn poisoned() -> Cpu {
        Cpu {
            floats: Pool::new(Some(f32::NAN)),
            ids: Pool::new(Some(u32::MAX)),
        }
    }

    /// Counts the bytes of the tensors that are alive: now, at the worst
    /// moment, and how many there were. What the forward pass keeps for the
    /// backward pass, and what a step needs at most, is read off here.
    ///
    /// ```
    /// use backprop::backends::Cpu;
    /// use backprop::device::Device;
    ///
    /// let dev = Cpu::new();
    /// let x = dev.zeros(&[3, 5]);
    /// drop(dev.zeros(&[7]));
    /// assert_eq!((dev.meter().live(), dev.meter().peak()), (60, 88));
    /// # drop(x);
    /// ```
    pub fn meter(&self) -> &Meter {
        self.floats.meter()
    }

    /// Scratch for some rows of logits, see [`Device::unembed_ce`].
    fn logits(&self, rows: usize, classes: usize) -> Buffer<f32> {
        let rows = embedding::fused::rows_at_once(rows, classes);
        self.floats.take(rows * classes)
    }

    fn take(&self, shape: Shape) -> CpuTensor {
        CpuTensor {
            data: self.floats.take(shape.len()),
            shape,
        }
    }
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu::new()
    }
}

/// A row-major `f32` array of [`Cpu`]. Goes back to the pool when dropped.
#[derive(Debug)]
pub struct CpuTensor {
    data: Buffer<f32>,
    shape: Shape,
}

/// Indices of [`Cpu`]. Go back to the pool when dropped.
#[derive(Debug)]
pub struct CpuIds {
    data: Buffer<u32>,
}

impl CpuTensor {
    #[track_caller]
    fn d1(&self) -> ArrayView1<'_, f32> {
        let n = self.shape.extents::<1>();
        ArrayView1::from_shape(n, &self.data).expect("length fits shape")
    }

    #[track_caller]
    fn d1_mut(&mut self) -> ArrayViewMut1<'_, f32> {
        let n = self.shape.extents::<1>();
        ArrayViewMut1::from_shape(n, &mut self.data).expect("length fits")
    }

    #[track_caller]
    fn d2(&self) -> ArrayView2<'_, f32> {
        let n = self.shape.extents::<2>();
        ArrayView2::from_shape(n, &self.data).expect("length fits shape")
    }

    #[track_caller]
    fn d2_mut(&mut self) -> ArrayViewMut2<'_, f32> {
        let n = self.shape.extents::<2>();
        ArrayViewMut2::from_shape(n, &mut self.data).expect("length fits")
    }
}

impl Device for Cpu {
    type Tensor = CpuTensor;
    type Ids = CpuIds;
    const PRECISION: Precision = Precision::F32;

    #[track_caller]
    fn zeros(&self, shape: &[usize]) -> CpuTensor {
        let mut t = self.take(Shape::new(shape));
        t.data.fill(0.);
        t
    }

    #[track_caller]
    fn upload(&self, x: ArrayViewD<f64>) -> CpuTensor {
        let mut t = self.take(Shape::new(x.shape()));
        self.write(&mut t, x);
        t
    }

    #[track_caller]
    fn upload_ids(&self, ids: &[usize]) -> CpuIds {
        let mut data = self.ids.take(ids.len());
        for (out, id) in data.iter_mut().zip(ids) {
            *out = u32::try_from(*id).expect("an index fits 32 bits");
        }
        CpuIds { data }
    }

    fn shape<'t>(&self, t: &'t CpuTensor) -> &'t [usize] {
        t.shape.as_slice()
    }

    #[track_caller]
    fn read_into(&self, t: &CpuTensor, out: &mut [f64]) {
        assert_eq!(t.data.len(), out.len(), "read: lengths differ");
        for (out, t) in out.iter_mut().zip(t.data.iter()) {
            *out = f64::from(*t);
        }
    }

    #[track_caller]
    fn write(&self, t: &mut CpuTensor, x: ArrayViewD<f64>) {
        assert_eq!(self.shape(t), x.shape(), "write: shapes differ");
        if let Some(x) = x.as_slice() {
            for (t, x) in t.data.iter_mut().zip(x) {
                *t = *x as f32;
            }
        } else {
            for (t, x) in t.data.iter_mut().zip(&x) {
                *t = *x as f32;
            }
        }
    }

    fn clear(&self, t: &mut CpuTensor) {
        t.data.fill(0.);
    }

    fn copy(&self, t: &CpuTensor) -> CpuTensor {
        let mut copy = self.take(t.shape);
        copy.data.copy_from_slice(&t.data);
        copy
    }

    #[track_caller]
    fn linear(&self, x: &CpuTensor, w: &CpuTensor, b: &CpuTensor) -> CpuTensor {
        let (x, w) = (x.d2(), w.d2());
        let mut y = self.take(Shape::new(&[x.nrows(), w.ncols()]));
        linear::fused::forward(x, w, b.d1(), y.d2_mut());
        y
    }

    #[track_caller]
    fn linear_vjp(
        &self,
        x: &CpuTensor,
        w: &CpuTensor,
        dy: &CpuTensor,
        dw: &mut CpuTensor,
        db: &mut CpuTensor,
    ) -> CpuTensor {
        self.linear_vjp_params(x, dy, dw, db);
        let mut dx = self.take(x.shape);
        linear::fused::vjp_input(w.d2(), dy.d2(), dx.d2_mut());
        dx
    }

    #[track_caller]
    fn linear_vjp_params(
        &self,
        x: &CpuTensor,
        dy: &CpuTensor,
        dw: &mut CpuTensor,
        db: &mut CpuTensor,
    ) {
        linear::fused::vjp_params(x.d2(), dy.d2(), dw.d2_mut(), db.d1_mut());
    }

    #[track_caller]
    fn linear_vjp_input(&self, w: &CpuTensor, dy: &CpuTensor) -> CpuTensor {
        let (w, dy) = (w.d2(), dy.d2());
        let mut dx = self.take(Shape::new(&[dy.nrows(), w.nrows()]));
        linear::fused::vjp_input(w, dy, dx.d2_mut());
        dx
    }

    #[track_caller]
    fn unembed(&self, x: &CpuTensor, w: &CpuTensor) -> CpuTensor {
        let (x, w) = (x.d2(), w.d2());
        let mut y = self.take(Shape::new(&[x.nrows(), w.nrows()]));
        embedding::fused::unembed(x, w, y.d2_mut());
        y
    }

    #[track_caller]
    fn lora(
        &self,
        x: &CpuTensor,
        a: &CpuTensor,
        b: &CpuTensor,
        scale: f64,
        mut y: CpuTensor,
    ) -> (CpuTensor, CpuTensor) {
        let (x, a, b) = (x.d2(), a.d2(), b.d2());
        let mut h = self.take(Shape::new(&[x.nrows(), a.ncols()]));
        let onto = y.d2_mut();
        lora::fused::forward(x, a, b, scale as f32, h.d2_mut(), onto);
        (y, h)
    }

    #[track_caller]
    fn lora_vjp(
        &self,
        x: &CpuTensor,
        h: &CpuTensor,
        a: &CpuTensor,
        b: &CpuTensor,
        scale: f64,
        dy: &CpuTensor,
        mut dx: CpuTensor,
        da: &mut CpuTensor,
        db: &mut CpuTensor,
    ) -> CpuTensor {
        let mut dh = self.take(h.shape);
        lora::fused::vjp(
            x.d2(),
            h.d2(),
            a.d2(),
            b.d2(),
            scale as f32,
            dy.d2(),
            dh.d2_mut(),
            dx.d2_mut(),
            da.d2_mut(),
            db.d2_mut(),
        );
        dx
    }

    #[track_caller]
    fn quantise_scale(&self, w: &CpuTensor, bits: u32) -> CpuTensor {
        let mut s = self.take(Shape::new(&[1]));
        s.data[0] = quantised::fused::scale(&w.data, bits);
        s
    }

    #[track_caller]
    fn quantise(&self, w: &CpuTensor, s: &CpuTensor, bits: u32) -> CpuTensor {
        quantised::assert_step("quantise", self.shape(s));
        let mut w_hat = self.take(w.shape);
        quantised::fused::forward(&w.data, s.data[0], bits, &mut w_hat.data);
        w_hat
    }

    #[track_caller]
    fn quantise_vjp(
        &self,
        w: &CpuTensor,
        s: &CpuTensor,
        bits: u32,
        dw_hat: &CpuTensor,
        dw: &mut CpuTensor,
    ) {
        assert_same("quantise_vjp", w, dw_hat);
        assert_same("quantise_vjp", w, dw);
        quantised::assert_step("quantise_vjp", self.shape(s));
        let (s, to) = (s.data[0], &mut dw.data);
        quantised::fused::vjp(&w.data, s, bits, &dw_hat.data, to);
    }

    fn relu(&self, mut x: CpuTensor) -> CpuTensor {
        activation::fused::relu(&mut x.data);
        x
    }

    #[track_caller]
    fn relu_vjp(&self, y: &CpuTensor, mut dy: CpuTensor) -> CpuTensor {
        assert_same("relu_vjp", y, &dy);
        activation::fused::relu_vjp(&y.data, &mut dy.data);
        dy
    }

    fn tanh(&self, mut x: CpuTensor) -> CpuTensor {
        activation::fused::tanh(&mut x.data);
        x
    }

    #[track_caller]
    fn tanh_vjp(&self, y: &CpuTensor, mut dy: CpuTensor) -> CpuTensor {
        assert_same("tanh_vjp", y, &dy);
        activation::fused::tanh_vjp(&y.data, &mut dy.data);
        dy
    }

    #[track_caller]
    fn gelu(&self, x: &CpuTensor) -> CpuTensor {
        let mut y = self.take(x.shape);
        activation::gelu::fused::exact(&x.data, &mut y.data);
        y
    }

    #[track_caller]
    fn gelu_vjp(&self, x: &CpuTensor, mut dy: CpuTensor) -> CpuTensor {
        assert_same("gelu_vjp", x, &dy);
        activation::gelu::fused::exact_vjp(&x.data, &mut dy.data);
        dy
    }

    #[track_caller]
    fn gelu_tanh(&self, x: &CpuTensor) -> CpuTensor {
        let mut y = self.take(x.shape);
        activation::gelu::fused::tanh(&x.data, &mut y.data);
        y
    }

    #[track_caller]
    fn gelu_tanh_vjp(&self, x: &CpuTensor, mut dy: CpuTensor) -> CpuTensor {
        assert_same("gelu_tanh_vjp", x, &dy);
        activation::gelu::fused::tanh_vjp(&x.data, &mut dy.data);
        dy
    }

    #[track_caller]
    fn swiglu(&self, x: &CpuTensor) -> CpuTensor {
        let x = x.d2();
        let mut y = self.take(Shape::new(&[x.nrows(), x.ncols() / 2]));
        activation::silu::fused::swiglu(x, y.d2_mut());
        y
    }

    #[track_caller]
    fn swiglu_vjp(&self, x: &CpuTensor, dy: &CpuTensor) -> CpuTensor {
        let mut dx = self.take(x.shape);
        activation::silu::fused::swiglu_vjp(x.d2(), dy.d2(), dx.d2_mut());
        dx
    }

    #[track_caller]
    fn layer_norm(
        &self,
        x: &CpuTensor,
        gamma: &CpuTensor,
        beta: &CpuTensor,
        eps: f64,
    ) -> (CpuTensor, CpuTensor) {
        let mut y = self.take(x.shape);
        let x = x.d2();
        let mut stats = self.take(Shape::new(&[x.nrows(), 2]));
        normalization::fused::layer_norm(
            x,
            gamma.d1(),
            beta.d1(),
            eps as f32,
            y.d2_mut(),
            stats.d2_mut(),
        );
        (y, stats)
    }

    #[track_caller]
    fn layer_norm_vjp(
        &self,
        x: &CpuTensor,
        gamma: &CpuTensor,
        stats: &CpuTensor,
        dy: &CpuTensor,
        dgamma: &mut CpuTensor,
        dbeta: &mut CpuTensor,
    ) -> CpuTensor {
        let mut dx = self.take(x.shape);
        let x = x.d2();
        let scratch = normalization::fused::scratch(x.nrows(), x.ncols());
        normalization::fused::layer_norm_vjp(
            x,
            gamma.d1(),
            stats.d2(),
            dy.d2(),
            dx.d2_mut(),
            dgamma.d1_mut(),
            dbeta.d1_mut(),
            &mut self.floats.take(scratch),
        );
        dx
    }

    #[track_caller]
    fn layer_norm_vjp_input(
        &self,
        x: &CpuTensor,
        gamma: &CpuTensor,
        stats: &CpuTensor,
        dy: &CpuTensor,
    ) -> CpuTensor {
        let mut dx = self.take(x.shape);
        normalization::fused::layer_norm_vjp_input(
            x.d2(),
            gamma.d1(),
            stats.d2(),
            dy.d2(),
            dx.d2_mut(),
        );
        dx
    }

    #[track_caller]
    fn rms_norm(
        &self,
        x: &CpuTensor,
        gamma: &CpuTensor,
        eps: f64,
    ) -> (CpuTensor, CpuTensor) {
        let mut y = self.take(x.shape);
        let x = x.d2();
        let mut stats = self.take(Shape::new(&[x.nrows(), 1]));
        normalization::fused::rms_norm(
            x,
            gamma.d1(),
            eps as f32,
            y.d2_mut(),
            stats.d2_mut(),
        );
        (y, stats)
    }

    #[track_caller]
    fn rms_norm_vjp(
        &self,
        x: &CpuTensor,
        gamma: &CpuTensor,
        stats: &CpuTensor,
        dy: &CpuTensor,
        dgamma: &mut CpuTensor,
    ) -> CpuTensor {
        let mut dx = self.take(x.shape);
        let x = x.d2();
        let scratch = normalization::fused::scratch(x.nrows(), x.ncols());
        normalization::fused::rms_norm_vjp(
            x,
            gamma.d1(),
            stats.d2(),
            dy.d2(),
            dx.d2_mut(),
            dgamma.d1_mut(),
            &mut self.floats.take(scratch),
        );
        dx
    }

    #[track_caller]
    fn rms_norm_vjp_input(
        &self,
        x: &CpuTensor,
        gamma: &CpuTensor,
        stats: &CpuTensor,
        dy: &CpuTensor,
    ) -> CpuTensor {
        let mut dx = self.take(x.shape);
        normalization::fused::rms_norm_vjp_input(
            x.d2(),
            gamma.d1(),
            stats.d2(),
            dy.d2(),
            dx.d2_mut(),
        );
        dx
    }

    #[track_caller]
    fn add(&self, x: &CpuTensor, mut f: CpuTensor) -> CpuTensor {
        assert_same("add", x, &f);
        residual::fused::add(&x.data, &mut f.data);
        f
    }

    #[track_caller]
    fn dropout(
        &self,
        mut x: CpuTensor,
        rate: f64,
        stream: Stream,
    ) -> CpuTensor {
        residual::fused::dropout(&mut x.data, rate, stream);
        x
    }

    #[track_caller]
    fn embedding(&self, w: &CpuTensor, ids: &CpuIds) -> CpuTensor {
        let w = w.d2();
        let mut y = self.take(Shape::new(&[ids.data.len(), w.ncols()]));
        embedding::fused::forward(w, &ids.data, y.d2_mut());
        y
    }

    #[track_caller]
    fn embedding_vjp(&self, ids: &CpuIds, dy: &CpuTensor, dw: &mut CpuTensor) {
        embedding::fused::vjp(&ids.data, dy.d2(), dw.d2_mut());
    }

    #[track_caller]
    fn rope(&self, mut qkv: CpuTensor, heads: Heads, base: f64) -> CpuTensor {
        embedding::fused::rope(qkv.d2_mut(), heads, base);
        qkv
    }

    #[track_caller]
    fn rope_vjp(
        &self,
        mut dqkv: CpuTensor,
        heads: Heads,
        base: f64,
    ) -> CpuTensor {
        embedding::fused::rope_vjp(dqkv.d2_mut(), heads, base);
        dqkv
    }

    #[track_caller]
    fn attention(
        &self,
        qkv: &CpuTensor,
        heads: Heads,
    ) -> (CpuTensor, CpuTensor) {
        let [q, k, v] = attention::fused::split(qkv.d2(), heads);
        let (b, h, t, d) = q.dim();
        let mut y = self.take(Shape::new(&[b * t, h * d]));
        let mut p = self.take(Shape::new(&[b * h, t, t]));
        let to = attention::fused::by_head_mut(y.d2_mut(), b, h);
        let kept = ArrayViewMut4::from_shape([b, h, t, t], &mut p.data);
        let kept = kept.expect("length fits shape");
        attention::fused::forward(q, k, v, true, to, kept);
        (y, p)
    }

    #[track_caller]
    fn attention_vjp(
        &self,
        qkv: &CpuTensor,
        p: &CpuTensor,
        dy: &CpuTensor,
        heads: Heads,
    ) -> CpuTensor {
        let qkv_here = attention::fused::split(qkv.d2(), heads);
        let (b, h, t, _) = qkv_here[0].dim();
        let kept = ArrayView4::from_shape([b, h, t, t], &p.data);
        let kept = kept.expect("attention vjp: p is (B·H,T,T)");
        let dy = attention::fused::by_head(dy.d2(), b, h);
        let mut d = self.take(qkv.shape);
        let to = attention::fused::split_mut(d.d2_mut(), heads);
        attention::fused::vjp(qkv_here, kept, dy, true, to);
        d
    }

    #[track_caller]
    fn flash_attention(
        &self,
        qkv: &CpuTensor,
        heads: Heads,
    ) -> (CpuTensor, CpuTensor) {
        let [q, k, v] = attention::fused::split(qkv.d2(), heads);
        let (b, h, t, d) = q.dim();
        let mut y = self.take(Shape::new(&[b * t, h * d]));
        let mut lse = self.take(Shape::new(&[b * h, t]));
        let to = attention::fused::by_head_mut(y.d2_mut(), b, h);
        let kept = ArrayViewMut3::from_shape([b, h, t], &mut lse.data);
        let kept = kept.expect("length fits shape");
        flash_attention::fused::forward(q, k, v, true, to, kept);
        (y, lse)
    }

    #[track_caller]
    fn flash_attention_vjp(
        &self,
        qkv: &CpuTensor,
        y: &CpuTensor,
        lse: &CpuTensor,
        dy: &CpuTensor,
        heads: Heads,
    ) -> CpuTensor {
        let qkv_here = attention::fused::split(qkv.d2(), heads);
        let (b, h, t, _) = qkv_here[0].dim();
        let kept = ArrayView3::from_shape([b, h, t], &lse.data);
        let kept = kept.expect("flash_attention vjp: lse is (B·H,T)");
        let y = attention::fused::by_head(y.d2(), b, h);
        let dy = attention::fused::by_head(dy.d2(), b, h);
        let mut d = self.take(qkv.shape);
        let to = attention::fused::split_mut(d.d2_mut(), heads);
        flash_attention::fused::vjp(qkv_here, y, kept, dy, true, to);
        d
    }

    #[track_caller]
    fn softmax_ce(
        &self,
        mut x: CpuTensor,
        labels: &CpuIds,
        smoothing: f64,
    ) -> (CpuTensor, CpuTensor) {
        let rows = x.d2().nrows();
        let mut losses = self.floats.take(rows);
        let mean = softmax_cross_entropy::fused::cross_entropy(
            x.d2_mut(),
            &labels.data,
            smoothing as f32,
            &mut losses,
        );
        let mut loss = self.take(Shape::new(&[1]));
        loss.data[0] = mean as f32;
        (loss, x)
    }

    #[track_caller]
    fn softmax_ce_vjp(
        &self,
        mut p: CpuTensor,
        labels: &CpuIds,
        smoothing: f64,
        dloss: f64,
    ) -> CpuTensor {
        let (smoothing, dloss) = (smoothing as f32, dloss as f32);
        let labels = &labels.data;
        softmax_cross_entropy::fused::cross_entropy_vjp(
            p.d2_mut(),
            labels,
            smoothing,
            dloss,
        );
        p
    }

    #[track_caller]
    fn unembed_ce(
        &self,
        x: &CpuTensor,
        w: &CpuTensor,
        labels: &CpuIds,
        smoothing: f64,
    ) -> CpuTensor {
        let (x, w) = (x.d2(), w.d2());
        let mean = embedding::fused::unembed_ce(
            x,
            w,
            &labels.data,
            smoothing as f32,
            &mut self.logits(x.nrows(), w.nrows()),
            &mut self.floats.take(x.nrows()),
        );
        let mut loss = self.take(Shape::new(&[1]));
        loss.data[0] = mean as f32;
        loss
    }

    #[track_caller]
    fn unembed_ce_grad(
        &self,
        x: &CpuTensor,
        w: &CpuTensor,
        labels: &CpuIds,
        smoothing: f64,
        dloss: f64,
        dw: Option<&mut CpuTensor>,
    ) -> (CpuTensor, CpuTensor) {
        let mut dx = self.take(x.shape);
        let (x, w) = (x.d2(), w.d2());
        let mean = embedding::fused::unembed_ce_grad(
            x,
            w,
            &labels.data,
            smoothing as f32,
            dloss as f32,
            &mut self.logits(x.nrows(), w.nrows()),
            &mut self.floats.take(x.nrows()),
            dx.d2_mut(),
            dw.map(CpuTensor::d2_mut),
        );
        let mut loss = self.take(Shape::new(&[1]));
        loss.data[0] = mean as f32;
        (loss, dx)
    }

    #[track_caller]
    fn sgd(
        &self,
        w: &mut CpuTensor,
        dw: &CpuTensor,
        v: &mut CpuTensor,
        lr: f64,
        momentum: f64,
        decay: f64,
    ) {
        assert_same("sgd", w, dw);
        assert_same("sgd", w, v);
        optimizer::fused::sgd(
            &mut w.data,
            &dw.data,
            &mut v.data,
            lr as f32,
            momentum as f32,
            decay as f32,
        );
    }

    #[track_caller]
    fn sum_of_squares(
        &self,
        x: &CpuTensor,
        squares: &mut CpuTensor,
        slot: usize,
    ) {
        squares.data[slot] = optimizer::fused::sum_of_squares(&x.data);
    }

    fn clip(&self, squares: &CpuTensor, most: f64) -> CpuTensor {
        let mut factor = self.take(Shape::new(&[1]));
        factor.data[0] = optimizer::fused::clip(&squares.data, most);
        factor
    }

    #[track_caller]
    fn adamw(
        &self,
        w: &mut CpuTensor,
        dw: &CpuTensor,
        m: &mut CpuTensor,
        v: &mut CpuTensor,
        factor: &CpuTensor,
        set: AdamW,
    ) {
        assert_same("adamw", w, dw);
        assert_same("adamw", w, m);
        assert_same("adamw", w, v);
        optimizer::fused::adamw(
            &mut w.data,
            &dw.data,
            &mut m.data,
            &mut v.data,
            factor.data[0],
            set,
        );
    }
}

/// The fused ops see lengths: that the shapes are equal is seen here.
#[track_caller]
fn assert_same(op: &str, a: &CpuTensor, b: &CpuTensor) {
    let (a, b) = (a.shape.as_slice(), b.shape.as_slice());
    assert_eq!(a, b, "{op}: {a:?} and {b:?} differ in shape");
}
