//! The GPU backend: `f32`, the chapters' kernels, arrays from a pool.

use super::shape::Shape;
use crate::depth::normalization::gpu::{self as normalization, Norm};
use crate::depth::residual;
use crate::device::{AdamW, Device, Fault, Heads, Precision};
use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{
    Array, Capabilities, Options, Runner, StartError, Timing,
};
use crate::engine::meter::Meter;
use crate::engine::philox::Stream;
use crate::network::softmax_cross_entropy::{self as softmax, IGNORE};
use crate::network::{activation, linear, optimizer};
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
    pub async fn read_async(&self, t: &GpuTensor) -> Result<Vec<f32>, Fault> {
        self.run.read_async(&t.data).await
    }

    fn take(&self, shape: &[usize]) -> GpuTensor {
        let shape = Shape::new(shape);
        GpuTensor {
            data: self.run.take(shape.len()),
            shape,
        }
    }
}

/// A row-major `f32` array of [`Gpu`]. Goes back to the pool when dropped.
#[derive(Debug)]
pub struct GpuTensor {
    data: Array,
    shape: Shape,
}

/// Indices of [`Gpu`]. Go back to the pool when dropped.
#[derive(Debug)]
pub struct GpuIds {
    data: Array,
    on_host: Vec<u32>,
    /// Sorted, once somebody asks for the gradient of a table.
    uses: OnceLock<embedding::gpu::Uses>,
    /// The largest that is not [`IGNORE`].
    largest: Option<usize>,
    /// How many are not [`IGNORE`].
    counted: usize,
}

impl GpuTensor {
    #[track_caller]
    fn extents<const RANK: usize>(&self) -> [usize; RANK] {
        self.shape.extents()
    }

    fn as_slice(&self) -> &[usize] {
        self.shape.as_slice()
    }
}

impl GpuIds {
    /// A kernel cannot panic: that each of these has its row in a table is
    /// seen here.
    #[track_caller]
    fn assert_tokens(&self, rows: usize) {
        if let Some(v) = self.largest {
            let fits = v < rows;
            assert!(fits, "embedding: token {v} in a table of V = {rows} rows");
        }
        let (n, counted) = (self.data.len(), self.counted);
        assert_eq!(n, counted, "embedding: IGNORE is no token");
    }

    /// That these are labels of the rows of logits `[B, V]`; how many count.
    #[track_caller]
    fn assert_labels(&self, [batch, classes]: [usize; 2]) -> usize {
        let n = self.data.len();
        assert_eq!(batch, n, "softmax_ce: x [{batch}, {classes}], {n} labels");
        if let Some(v) = self.largest {
            let fits = v < classes;
            assert!(fits, "softmax_ce: label {v} among {classes} classes");
        }
        assert!(
            self.counted > 0,
            "softmax_ce: an empty batch has no mean: 0 of {batch} rows",
        );
        self.counted
    }

    fn rows(&self, size: [usize; 2], smoothing: f64) -> softmax::gpu::Rows<'_> {
        softmax::gpu::Rows {
            size,
            labels: &self.data,
            first: 0,
            smoothing,
        }
    }
}

/// Shapes that must be equal.
#[track_caller]
fn assert_same(op: &str, a: &GpuTensor, b: &GpuTensor) {
    let (a, b) = (a.as_slice(), b.as_slice());
    assert_eq!(a, b, "{op}: {a:?} and {b:?} differ in shape");
}

/// A shape that is asked for.
#[track_caller]
fn assert_shape(op: &str, name: &str, t: &GpuTensor, shape: &[usize]) {
    let have = t.as_slice();
    assert_eq!(have, shape, "{op}: {name} is {have:?}, not {shape:?}");
}

/// The rows of `x`, and the columns of each half.
#[track_caller]
fn halves(op: &str, x: &GpuTensor) -> [usize; 2] {
    let [n, columns] = x.extents();
    assert!(
        columns.is_multiple_of(2),
        "{op}: x [{n}, {columns}] has no two halves"
    );
    [n, columns / 2]
}

/// `[N, D, V]` and the labels, if they fit each other.
#[track_caller]
fn head<'a>(
    x: &GpuTensor,
    w: &GpuTensor,
    labels: &'a GpuIds,
    smoothing: f64,
) -> ([usize; 3], embedding::gpu::Labels<'a>) {
    let ([n, d], [v, width]) = (x.extents(), w.extents());
    let (a, b) = (x.as_slice(), w.as_slice());
    assert_eq!(d, width, "unembed: x {a:?} and w {b:?} differ in width");
    let count = labels.assert_labels([n, v]);
    let labels = embedding::gpu::Labels {
        labels: &labels.data,
        count,
        smoothing,
    };
    ([n, d, v], labels)
}

/// `[N, D]` of a norm whose parameters have D numbers.
#[track_caller]
fn assert_norm(
    op: &str,
    x: &GpuTensor,
    parameters: &[(&str, &GpuTensor)],
) -> [usize; 2] {
    let [n, d] = x.extents();
    assert!(d > 0, "{op}: x [{n}, 0] has no mean");
    let most = normalization::LONGEST;
    assert!(d <= most, "{op}: x [{n}, {d}]: a GPU takes {most} columns");
    for (name, t) in parameters {
        let [have] = t.extents();
        assert_eq!(d, have, "{op}: x [{n}, {d}] and {name} [{have}]");
    }
    [n, d]
}

impl Gpu {
    #[track_caller]
    fn norm(
        &self,
        norm: Norm,
        size: [usize; 2],
        x: &GpuTensor,
        gamma: &GpuTensor,
        beta: &GpuTensor,
        eps: f64,
    ) -> (GpuTensor, GpuTensor) {
        let y = self.take(&size);
        let stats = self.take(&[size[0], norm.kept()]);
        normalization::forward(
            &self.run,
            norm,
            size,
            &x.data,
            &gamma.data,
            &beta.data,
            eps,
            &y.data,
            &stats.data,
        );
        (y, stats)
    }

    #[track_caller]
    fn norm_vjp(
        &self,
        (op, norm): (&str, Norm),
        x: &GpuTensor,
        gamma: &GpuTensor,
        stats: &GpuTensor,
        dy: &GpuTensor,
        dparams: &[(&str, &GpuTensor)],
    ) -> GpuTensor {
        let size = assert_norm(op, x, &[("gamma", gamma)]);
        assert_norm(op, x, dparams);
        let (a, b, c) = (x.as_slice(), stats.as_slice(), dy.as_slice());
        assert_eq!(a, c, "{op}: x {a:?} and dy {c:?} differ in shape");
        let kept = [size[0], norm.kept()];
        assert_eq!(b, kept, "{op}: x {a:?} and stats {b:?}");
        let dx = self.take(&size);
        let dparams: Vec<&Array> = dparams.iter().map(|d| &d.1.data).collect();
        normalization::vjp(
            &self.run,
            norm,
            size,
            &x.data,
            &gamma.data,
            &stats.data,
            &dy.data,
            &dx.data,
            &dparams,
        );
        dx
    }
}

/// The length of a text and the width of a head, `[T, d]`, of `qkv`.
#[track_caller]
fn head_sizes(op: &str, qkv: &GpuTensor, heads: Heads) -> [usize; 2] {
    let Heads {
        batch,
        queries,
        keys,
    } = heads;
    let [rows, columns] = qkv.extents();
    let all = queries + 2 * keys;
    assert!(
        batch > 0
            && keys > 0
            && queries > 0
            && queries.is_multiple_of(keys)
            && rows.is_multiple_of(batch)
            && columns.is_multiple_of(all),
        "{op}: qkv [{rows}, {columns}] does not fit {heads:?}"
    );
    [rows / batch, columns / all]
}

/// Rounded to `f32`, in row-major order.
fn words(x: ArrayViewD<f64>) -> Vec<u32> {
    x.iter().map(|x| (*x as f32).to_bits()).collect()
}

impl Device for Gpu {
    type Tensor = GpuTensor;
    type Ids = GpuIds;
    const PRECISION: Precision = Precision::F32;

    #[track_caller]
    fn zeros(&self, shape: &[usize]) -> GpuTensor {
        let t = self.take(shape);
        self.run.fill(&t.data, 0.);
        t
    }

    #[track_caller]
    fn upload(&self, x: ArrayViewD<f64>) -> GpuTensor {
        GpuTensor {
            shape: Shape::new(x.shape()),
            data: self.run.uploaded(&words(x)),
        }
    }

    #[track_caller]
    fn upload_ids(&self, ids: &[usize]) -> GpuIds {
        let words: Vec<u32> = ids
            .iter()
            .map(|id| u32::try_from(*id).expect("an index fits 32 bits"))
            .collect();
        let data = self.run.uploaded(&words);
        let counted = || ids.iter().copied().filter(|id| *id != IGNORE);
        GpuIds {
            data,
            on_host: words,
            uses: OnceLock::new(),
            largest: counted().max(),
            counted: counted().count(),
        }
    }

    fn shape<'t>(&self, t: &'t GpuTensor) -> &'t [usize] {
        t.as_slice()
    }

    #[track_caller]
    fn read_into(&self, t: &GpuTensor, out: &mut [f64]) {
        assert_eq!(t.shape.len(), out.len(), "read: lengths differ");
        let is_there = self.run.read(&t.data, |numbers| {
            for (out, x) in out.iter_mut().zip(numbers) {
                *out = f64::from(*x);
            }
        });
        if !is_there {
            out.fill(f64::NAN);
        }
    }

    fn prefetch(&self, t: &GpuTensor) {
        self.run.prefetch(&t.data);
    }

    fn fault(&self) -> Option<Fault> {
        self.run.fault()
    }

    #[track_caller]
    fn write(&self, t: &mut GpuTensor, x: ArrayViewD<f64>) {
        assert_eq!(t.as_slice(), x.shape(), "write: shapes differ");
        self.run.upload(&t.data, &words(x));
    }

    fn clear(&self, t: &mut GpuTensor) {
        self.run.fill(&t.data, 0.);
    }

    fn copy(&self, t: &GpuTensor) -> GpuTensor {
        let copy = self.take(t.as_slice());
        self.run.copy(&t.data, &copy.data);
        copy
    }

    #[track_caller]
    fn linear(&self, x: &GpuTensor, w: &GpuTensor, b: &GpuTensor) -> GpuTensor {
        let ([n, i], [_, o]) = (x.extents(), w.extents());
        assert_shape("linear", "w", w, &[i, o]);
        assert_shape("linear", "b", b, &[o]);
        let y = self.take(&[n, o]);
        linear::gpu::forward(
            &self.run,
            [n, i, o],
            &x.data,
            &w.data,
            &b.data,
            &y.data,
        );
        y
    }

    #[track_caller]
    fn linear_vjp(
        &self,
        x: &GpuTensor,
        w: &GpuTensor,
        dy: &GpuTensor,
        dw: &mut GpuTensor,
        db: &mut GpuTensor,
    ) -> GpuTensor {
        assert_shape("linear_vjp", "w", w, dw.as_slice());
        self.linear_vjp_params(x, dy, dw, db);
        self.linear_vjp_input(w, dy)
    }

    #[track_caller]
    fn linear_vjp_params(
        &self,
        x: &GpuTensor,
        dy: &GpuTensor,
        dw: &mut GpuTensor,
        db: &mut GpuTensor,
    ) {
        let ([n, i], [_, o]) = (x.extents(), dy.extents());
        assert_shape("linear_vjp", "dy", dy, &[n, o]);
        assert_shape("linear_vjp", "dw", dw, &[i, o]);
        assert_shape("linear_vjp", "db", db, &[o]);
        linear::gpu::vjp_params(
            &self.run,
            [n, i, o],
            &x.data,
            &dy.data,
            &dw.data,
            &db.data,
        );
    }

    #[track_caller]
    fn linear_vjp_input(&self, w: &GpuTensor, dy: &GpuTensor) -> GpuTensor {
        let ([n, o], [i, _]) = (dy.extents(), w.extents());
        assert_shape("linear_vjp_input", "w", w, &[i, o]);
        let dx = self.take(&[n, i]);
        linear::gpu::vjp_input(
            &self.run,
            [n, i, o],
            &w.data,
            &dy.data,
            &dx.data,
        );
        dx
    }

    #[track_caller]
    fn unembed(&self, x: &GpuTensor, w: &GpuTensor) -> GpuTensor {
        let ([n, d], [v, _]) = (x.extents(), w.extents());
        assert_shape("unembed", "w", w, &[v, d]);
        let y = self.take(&[n, v]);
        let (x, w) = (Matrix::new(&x.data, d), Matrix::new(&w.data, d));
        let c = Matrix::new(&y.data, v);
        Product::new([n, d, v], x, w.t(), c).run(&self.run);
        y
    }

    #[track_caller]
    fn relu(&self, x: GpuTensor) -> GpuTensor {
        activation::gpu::relu(&self.run, &x.data);
        x
    }

    #[track_caller]
    fn relu_vjp(&self, y: &GpuTensor, dy: GpuTensor) -> GpuTensor {
        assert_same("relu_vjp", y, &dy);
        activation::gpu::relu_vjp(&self.run, &y.data, &dy.data);
        dy
    }

    #[track_caller]
    fn tanh(&self, x: GpuTensor) -> GpuTensor {
        activation::gpu::tanh(&self.run, &x.data);
        x
    }

    #[track_caller]
    fn tanh_vjp(&self, y: &GpuTensor, dy: GpuTensor) -> GpuTensor {
        assert_same("tanh_vjp", y, &dy);
        activation::gpu::tanh_vjp(&self.run, &y.data, &dy.data);
        dy
    }

    #[track_caller]
    fn softmax_ce(
        &self,
        x: GpuTensor,
        labels: &GpuIds,
        smoothing: f64,
    ) -> (GpuTensor, GpuTensor) {
        softmax::assert_smoothing("softmax_ce", (smoothing as f32).into());
        let size = x.extents();
        let count = labels.assert_labels(size);
        let rows = labels.rows(size, smoothing);
        let loss = self.take(&[1]);
        softmax::gpu::cross_entropy(
            &self.run, rows, count, &x.data, &loss.data,
        );
        (loss, x)
    }

    #[track_caller]
    fn softmax_ce_vjp(
        &self,
        p: GpuTensor,
        labels: &GpuIds,
        smoothing: f64,
        dloss: f64,
    ) -> GpuTensor {
        softmax::assert_smoothing("softmax_ce_vjp", (smoothing as f32).into());
        let size = p.extents();
        let count = labels.assert_labels(size);
        let rows = labels.rows(size, smoothing);
        softmax::gpu::cross_entropy_vjp(&self.run, rows, count, &p.data, dloss);
        p
    }

    #[track_caller]
    fn sgd(
        &self,
        w: &mut GpuTensor,
        dw: &GpuTensor,
        v: &mut GpuTensor,
        lr: f64,
        momentum: f64,
        decay: f64,
    ) {
        assert_same("sgd", w, dw);
        assert_same("sgd", w, v);
        let [w, dw, v] = [&w.data, &dw.data, &v.data];
        optimizer::gpu::sgd(&self.run, w, dw, v, lr, momentum, decay);
    }

    #[track_caller]
    fn lora(
        &self,
        x: &GpuTensor,
        a: &GpuTensor,
        b: &GpuTensor,
        scale: f64,
        y: GpuTensor,
    ) -> (GpuTensor, GpuTensor) {
        let ([n, i], [_, r]) = (x.extents(), a.extents());
        let [_, o] = y.extents();
        assert_shape("lora", "a", a, &[i, r]);
        assert_shape("lora", "b", b, &[r, o]);
        assert_shape("lora", "y", &y, &[n, o]);
        let h = self.take(&[n, r]);
        let sizes = [n, i, r, o];
        let [x, a, b] = [&x.data, &a.data, &b.data];
        lora::gpu::forward(&self.run, sizes, x, a, b, scale, &h.data, &y.data);
        (y, h)
    }

    #[track_caller]
    fn lora_vjp(
        &self,
        x: &GpuTensor,
        h: &GpuTensor,
        a: &GpuTensor,
        b: &GpuTensor,
        scale: f64,
        dy: &GpuTensor,
        dx: GpuTensor,
        da: &mut GpuTensor,
        db: &mut GpuTensor,
    ) -> GpuTensor {
        let ([n, i], [r, o]) = (x.extents(), b.extents());
        assert_shape("lora_vjp", "h", h, &[n, r]);
        assert_shape("lora_vjp", "a", a, &[i, r]);
        assert_shape("lora_vjp", "dy", dy, &[n, o]);
        assert_shape("lora_vjp", "dx", &dx, &[n, i]);
        assert_shape("lora_vjp", "da", da, &[i, r]);
        assert_shape("lora_vjp", "db", db, &[r, o]);
        lora::gpu::vjp(
            &self.run,
            [n, i, r, o],
            &x.data,
            &h.data,
            &a.data,
            &b.data,
            scale,
            &dy.data,
            &dx.data,
            &da.data,
            &db.data,
        );
        dx
    }

    #[track_caller]
    fn gelu(&self, x: &GpuTensor) -> GpuTensor {
        let y = self.take(x.as_slice());
        activation::gelu::gpu::exact(&self.run, &x.data, &y.data);
        y
    }

    #[track_caller]
    fn gelu_vjp(&self, x: &GpuTensor, dy: GpuTensor) -> GpuTensor {
        assert_same("gelu_vjp", x, &dy);
        activation::gelu::gpu::exact_vjp(&self.run, &x.data, &dy.data);
        dy
    }

    #[track_caller]
    fn gelu_tanh(&self, x: &GpuTensor) -> GpuTensor {
        let y = self.take(x.as_slice());
        activation::gelu::gpu::tanh(&self.run, &x.data, &y.data);
        y
    }

    #[track_caller]
    fn gelu_tanh_vjp(&self, x: &GpuTensor, dy: GpuTensor) -> GpuTensor {
        assert_same("gelu_tanh_vjp", x, &dy);
        activation::gelu::gpu::tanh_vjp(&self.run, &x.data, &dy.data);
        dy
    }

    #[track_caller]
    fn swiglu(&self, x: &GpuTensor) -> GpuTensor {
        let [n, f] = halves("swiglu", x);
        let y = self.take(&[n, f]);
        activation::silu::gpu::swiglu(&self.run, [n, f], &x.data, &y.data);
        y
    }

    #[track_caller]
    fn swiglu_vjp(&self, x: &GpuTensor, dy: &GpuTensor) -> GpuTensor {
        let [n, f] = halves("swiglu_vjp", x);
        assert_shape("swiglu_vjp", "dy", dy, &[n, f]);
        let dx = self.take(x.as_slice());
        activation::silu::gpu::swiglu_vjp(
            &self.run,
            [n, f],
            &x.data,
            &dy.data,
            &dx.data,
        );
        dx
    }

    #[track_caller]
    fn layer_norm(
        &self,
        x: &GpuTensor,
        gamma: &GpuTensor,
        beta: &GpuTensor,
        eps: f64,
    ) -> (GpuTensor, GpuTensor) {
        let parameters = [("gamma", gamma), ("beta", beta)];
        let size = assert_norm("layer_norm", x, &parameters);
        self.norm(Norm::Layer, size, x, gamma, beta, eps)
    }

    #[track_caller]
    fn layer_norm_vjp(
        &self,
        x: &GpuTensor,
        gamma: &GpuTensor,
        stats: &GpuTensor,
        dy: &GpuTensor,
        dgamma: &mut GpuTensor,
        dbeta: &mut GpuTensor,
    ) -> GpuTensor {
        let dparams: [(&str, &GpuTensor); 2] =
            [("dgamma", dgamma), ("dbeta", dbeta)];
        let op = ("layer_norm vjp", Norm::Layer);
        self.norm_vjp(op, x, gamma, stats, dy, &dparams)
    }

    #[track_caller]
    fn layer_norm_vjp_input(
        &self,
        x: &GpuTensor,
        gamma: &GpuTensor,
        stats: &GpuTensor,
        dy: &GpuTensor,
    ) -> GpuTensor {
        let op = ("layer_norm vjp", Norm::Layer);
        self.norm_vjp(op, x, gamma, stats, dy, &[])
    }

    #[track_caller]
    fn rms_norm(
        &self,
        x: &GpuTensor,
        gamma: &GpuTensor,
        eps: f64,
    ) -> (GpuTensor, GpuTensor) {
        let size = assert_norm("rms_norm", x, &[("gamma", gamma)]);
        self.norm(Norm::Rms, size, x, gamma, gamma, eps)
    }

    #[track_caller]
    fn rms_norm_vjp(
        &self,
        x: &GpuTensor,
        gamma: &GpuTensor,
        stats: &GpuTensor,
        dy: &GpuTensor,
        dgamma: &mut GpuTensor,
    ) -> GpuTensor {
        let op = ("rms_norm vjp", Norm::Rms);
        self.norm_vjp(op, x, gamma, stats, dy, &[("dgamma", dgamma)])
    }

    #[track_caller]
    fn rms_norm_vjp_input(
        &self,
        x: &GpuTensor,
        gamma: &GpuTensor,
        stats: &GpuTensor,
        dy: &GpuTensor,
    ) -> GpuTensor {
        let op = ("rms_norm vjp", Norm::Rms);
        self.norm_vjp(op, x, gamma, stats, dy, &[])
    }

    #[track_caller]
    fn add(&self, x: &GpuTensor, f: GpuTensor) -> GpuTensor {
        assert_same("add", x, &f);
        residual::gpu::add(&self.run, &x.data, &f.data);
        f
    }

    #[track_caller]
    fn dropout(&self, x: GpuTensor, rate: f64, stream: Stream) -> GpuTensor {
        residual::gpu::dropout(&self.run, &x.data, rate, stream);
        x
    }

    #[track_caller]
    fn embedding(&self, w: &GpuTensor, ids: &GpuIds) -> GpuTensor {
        let [v, d] = w.extents();
        ids.assert_tokens(v);
        let y = self.take(&[ids.data.len(), d]);
        let ids = &ids.data;
        embedding::gpu::forward(&self.run, d, &w.data, ids, &y.data);
        y
    }

    #[track_caller]
    fn embedding_vjp(&self, ids: &GpuIds, dy: &GpuTensor, dw: &mut GpuTensor) {
        let [v, d] = dw.extents();
        ids.assert_tokens(v);
        assert_shape("embedding_vjp", "dy", dy, &[ids.data.len(), d]);
        let new = || embedding::gpu::Uses::new(&self.run, &ids.on_host);
        let uses = ids.uses.get_or_init(new);
        embedding::gpu::vjp(&self.run, d, uses, &dy.data, &dw.data);
    }

    #[track_caller]
    fn rope(&self, qkv: GpuTensor, heads: Heads, base: f64) -> GpuTensor {
        let (run, shape) = (&self.run, qkv.extents());
        let to = &qkv.data;
        embedding::gpu::rope(run, &self.turns, shape, heads, base, to);
        qkv
    }

    #[track_caller]
    fn rope_vjp(&self, dqkv: GpuTensor, heads: Heads, base: f64) -> GpuTensor {
        let (run, shape) = (&self.run, dqkv.extents());
        let to = &dqkv.data;
        embedding::gpu::rope_vjp(run, &self.turns, shape, heads, base, to);
        dqkv
    }

    #[track_caller]
    fn attention(
        &self,
        qkv: &GpuTensor,
        heads: Heads,
    ) -> (GpuTensor, GpuTensor) {
        let [t, d] = head_sizes("attention", qkv, heads);
        let Heads { batch, queries, .. } = heads;
        let y = self.take(&[batch * t, queries * d]);
        let p = self.take(&[batch * queries, t, t]);
        attention::gpu::forward(
            &self.run,
            heads,
            [t, d],
            &qkv.data,
            &y.data,
            &p.data,
        );
        (y, p)
    }

    #[track_caller]
    fn attention_vjp(
        &self,
        qkv: &GpuTensor,
        p: &GpuTensor,
        dy: &GpuTensor,
        heads: Heads,
    ) -> GpuTensor {
        let [t, d] = head_sizes("attention_vjp", qkv, heads);
        let Heads { batch, queries, .. } = heads;
        assert_shape("attention_vjp", "p", p, &[batch * queries, t, t]);
        assert_shape("attention_vjp", "dy", dy, &[batch * t, queries * d]);
        let dqkv = self.take(qkv.as_slice());
        attention::gpu::vjp(
            &self.run,
            heads,
            [t, d],
            &qkv.data,
            &p.data,
            &dy.data,
            &dqkv.data,
        );
        dqkv
    }

    #[track_caller]
    fn flash_attention(
        &self,
        qkv: &GpuTensor,
        heads: Heads,
    ) -> (GpuTensor, GpuTensor) {
        let [t, d] = head_sizes("flash_attention", qkv, heads);
        let Heads { batch, queries, .. } = heads;
        let y = self.take(&[batch * t, queries * d]);
        let lse = self.take(&[batch * queries, t]);
        flash_attention::gpu::forward(
            &self.run,
            heads,
            [t, d],
            &qkv.data,
            &y.data,
            &lse.data,
        );
        (y, lse)
    }

    #[track_caller]
    fn flash_attention_vjp(
        &self,
        qkv: &GpuTensor,
        y: &GpuTensor,
        lse: &GpuTensor,
        dy: &GpuTensor,
        heads: Heads,
    ) -> GpuTensor {
        let op = "flash_attention_vjp";
        let [t, d] = head_sizes(op, qkv, heads);
        let Heads { batch, queries, .. } = heads;
        assert_shape(op, "y", y, &[batch * t, queries * d]);
        assert_shape(op, "lse", lse, &[batch * queries, t]);
        assert_shape(op, "dy", dy, &[batch * t, queries * d]);
        let dqkv = self.take(qkv.as_slice());
        flash_attention::gpu::vjp(
            &self.run,
            heads,
            [t, d],
            [&qkv.data, &y.data, &lse.data, &dy.data],
            &dqkv.data,
        );
        dqkv
    }

    #[track_caller]
    fn unembed_ce(
        &self,
        x: &GpuTensor,
        w: &GpuTensor,
        labels: &GpuIds,
        smoothing: f64,
    ) -> GpuTensor {
        softmax::assert_smoothing("unembed_ce", (smoothing as f32).into());
        let (size, labels) = head(x, w, labels, smoothing);
        let loss = self.take(&[1]);
        let (x, w) = (&x.data, &w.data);
        embedding::gpu::unembed_ce(&self.run, size, x, w, labels, &loss.data);
        loss
    }

    #[track_caller]
    fn unembed_ce_grad(
        &self,
        x: &GpuTensor,
        w: &GpuTensor,
        labels: &GpuIds,
        smoothing: f64,
        dloss: f64,
        dw: Option<&mut GpuTensor>,
    ) -> (GpuTensor, GpuTensor) {
        softmax::assert_smoothing("unembed_ce_grad", (smoothing as f32).into());
        let (size, labels) = head(x, w, labels, smoothing);
        if let Some(dw) = &dw {
            assert_same("unembed_ce_grad", w, dw);
        }
        let (loss, dx) = (self.take(&[1]), self.take(x.as_slice()));
        embedding::gpu::unembed_ce_grad(
            &self.run,
            size,
            &x.data,
            &w.data,
            labels,
            dloss,
            &loss.data,
            &dx.data,
            dw.map(|dw| &dw.data),
        );
        (loss, dx)
    }

    #[track_caller]
    fn sum_of_squares(
        &self,
        x: &GpuTensor,
        squares: &mut GpuTensor,
        slot: usize,
    ) {
        let [slots] = squares.extents();
        assert!(slot < slots, "sum_of_squares: slot {slot} of {slots}");
        let squares = &squares.data;
        optimizer::gpu::sum_of_squares(&self.run, &x.data, squares, slot);
    }

    #[track_caller]
    fn clip(&self, squares: &GpuTensor, most: f64) -> GpuTensor {
        let factor = self.take(&[1]);
        let squares = &squares.data;
        optimizer::gpu::clip(&self.run, squares, most, &factor.data);
        factor
    }

    #[track_caller]
    fn adamw(
        &self,
        w: &mut GpuTensor,
        dw: &GpuTensor,
        m: &mut GpuTensor,
        v: &mut GpuTensor,
        factor: &GpuTensor,
        set: AdamW,
    ) {
        assert_same("adamw", w, dw);
        assert_same("adamw", w, m);
        assert_same("adamw", w, v);
        assert_shape("adamw", "factor", factor, &[1]);
        optimizer::gpu::adamw(
            &self.run,
            &w.data,
            &dw.data,
            &m.data,
            &v.data,
            &factor.data,
            set,
        );
    }
}
