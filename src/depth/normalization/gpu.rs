//! LayerNorm and RMSNorm on the GPU.
//!
//! book: depth/normalization
//!
//! x, y (N,D), gamma, beta (D), stats (N,2) or (N,1).
//!
//! What is not plain: (1) a row stays in registers from its mean to its output,
//! so that each array is passed over once, forward and backward; short rows
//! share a workgroup. (2) `dγ` and `dβ` are summed beside `dx` in registers,
//! over the rows that an invocation takes one after the other, then over those
//! of a workgroup, and in a second call over the workgroups, of which there
//! are 512 at most: always in the same order. (3) What rounding took off a
//! large mean is summed again, as in [`super::fused`].

use super::{assert_vjp, assert_width};
use crate::engine::gpu::share::Share;
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, Word, words,
};

/// The longest row there may be: 32 numbers for each of 256 invocations.
pub const LONGEST: usize = 32 * 256;

/// The most workgroups of a VJP: enough to keep a large GPU busy, few enough
/// for their sums to be short beside the rows.
const PIECES: usize = 512;

/// [`super::layer_norm`]: returns `y` and `stats`.
///
/// Panics if the shapes do not fit, D is 0 or above [`LONGEST`].
#[track_caller]
pub fn layer_norm(
    run: &Runner,
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> (Tensor, Tensor) {
    forward(run, LAYER, x, gamma, Some(beta), eps)
}

/// [`super::layer_norm_vjp`]: returns `dx`, adds to `dgamma` and `dbeta`.
///
/// Panics as [`layer_norm`] does.
#[track_caller]
pub fn layer_norm_vjp(
    run: &Runner,
    x: &Tensor,
    gamma: &Tensor,
    stats: &Tensor,
    dy: &Tensor,
    dgamma: &mut Tensor,
    dbeta: &mut Tensor,
) -> Tensor {
    let dparams = [("dgamma", &*dgamma), ("dbeta", dbeta)];
    vjp(run, LAYER, x, gamma, stats, dy, &dparams)
}

/// [`layer_norm_vjp`] where γ and β are frozen.
///
/// Panics as [`layer_norm`] does.
#[track_caller]
pub fn layer_norm_vjp_input(
    run: &Runner,
    x: &Tensor,
    gamma: &Tensor,
    stats: &Tensor,
    dy: &Tensor,
) -> Tensor {
    vjp(run, LAYER, x, gamma, stats, dy, &[])
}

/// [`super::rms_norm`]: returns `y` and `stats`.
///
/// Panics as [`layer_norm`] does.
#[track_caller]
pub fn rms_norm(
    run: &Runner,
    x: &Tensor,
    gamma: &Tensor,
    eps: f64,
) -> (Tensor, Tensor) {
    forward(run, RMS, x, gamma, None, eps)
}

/// [`super::rms_norm_vjp`]: returns `dx`, adds to `dgamma`.
///
/// Panics as [`layer_norm`] does.
#[track_caller]
pub fn rms_norm_vjp(
    run: &Runner,
    x: &Tensor,
    gamma: &Tensor,
    stats: &Tensor,
    dy: &Tensor,
    dgamma: &mut Tensor,
) -> Tensor {
    vjp(run, RMS, x, gamma, stats, dy, &[("dgamma", dgamma)])
}

/// [`rms_norm_vjp`] where γ is frozen.
///
/// Panics as [`layer_norm`] does.
#[track_caller]
pub fn rms_norm_vjp_input(
    run: &Runner,
    x: &Tensor,
    gamma: &Tensor,
    stats: &Tensor,
    dy: &Tensor,
) -> Tensor {
    vjp(run, RMS, x, gamma, stats, dy, &[])
}

/// Which norm.
#[derive(Clone, Copy)]
struct Norm {
    forward: &'static str,
    vjp: &'static str,
    centred: bool,
    /// How many numbers of a row are kept.
    kept: usize,
}

/// Centred, with β; keeps μ and r.
const LAYER: Norm = Norm {
    forward: "layer_norm",
    vjp: "layer_norm vjp",
    centred: true,
    kept: 2,
};

/// Not centred, without β; keeps r.
const RMS: Norm = Norm {
    forward: "rms_norm",
    vjp: "rms_norm vjp",
    centred: false,
    kept: 1,
};

/// `[N, D]`, and the contract of the other versions: a parameter has D
/// numbers.
#[track_caller]
fn size(op: &str, x: &Tensor, parameters: &[(&str, &Tensor)]) -> [usize; 2] {
    let ([n, d], most) = (x.extents(), LONGEST);
    assert!(d <= most, "{op}: x [{n}, {d}]: a GPU takes {most} columns");
    for (name, parameter) in parameters {
        let [len] = parameter.extents();
        assert_width(op, x.shape(), name, len);
    }
    [n, d]
}

#[track_caller]
fn forward(
    run: &Runner,
    norm: Norm,
    x: &Tensor,
    gamma: &Tensor,
    beta: Option<&Tensor>,
    eps: f64,
) -> (Tensor, Tensor) {
    // RMSNorm has no β: what stands there is not read.
    let beta = beta.unwrap_or(gamma);
    let [n, d] = size(norm.forward, x, &[("gamma", gamma), ("beta", beta)]);
    let (y, stats) = (run.tensor(&[n, d]), run.tensor(&[n, norm.kept]));
    let share = Share::of(d);
    let groups = Groups::Row(n.div_ceil(share.rows()));
    let call = Call {
        norm,
        share,
        entry: "forward",
        bindings: &[0, 1, 2, 3, 4],
    };
    let words = words![n, d, 0u32, 0u32, eps];
    call.run(run, groups, words, &[x, gamma, beta, &y, &stats]);
    (y, stats)
}

/// `dx`; adds to the gradients of the parameters that are given.
#[track_caller]
fn vjp(
    run: &Runner,
    norm: Norm,
    x: &Tensor,
    gamma: &Tensor,
    stats: &Tensor,
    dy: &Tensor,
    dparams: &[(&str, &Tensor)],
) -> Tensor {
    let [n, d] = size(norm.vjp, x, &[("gamma", gamma)]);
    size(norm.vjp, x, dparams);
    let (kept, of_y) = (stats.shape(), dy.shape());
    assert_vjp(norm.vjp, x.shape(), gamma.len(), kept, norm.kept, of_y);
    let dx = run.tensor(&[n, d]);
    if n == 0 {
        return dx; // nothing to add
    }
    let share = Share::of(d);
    let piece = n.div_ceil(share.rows() * PIECES);
    let pieces = n.div_ceil(share.rows() * piece);
    let parts = run.take(dparams.len() * pieces * d);
    let call = Call {
        norm,
        share,
        entry: "vjp",
        bindings: &[0, 1, 5, 6, 7, 8],
    };
    let words = words![n, d, piece, dparams.len(), 0.];
    let arrays = &[x, gamma, stats, dy, &dx, &parts];
    call.run(run, Groups::Row(pieces), words, arrays);
    let (dgamma, dbeta): (&Array, &Array) = match dparams {
        [] => return dx,
        [(_, dgamma)] => (dgamma, &run.take(0)),
        [(_, dgamma), (_, dbeta), ..] => (dgamma, dbeta),
    };
    let share = Share {
        lanes: 256,
        each: 1,
    }; // no matter
    let call = Call {
        share,
        entry: "finish",
        bindings: &[9, 10, 11],
        ..call
    };
    let groups = Groups::Box([d.div_ceil(32), dparams.len(), 1]);
    let words = words![pieces, d, 0u32, 0u32, 0.];
    call.run(run, groups, words, &[&parts, dgamma, dbeta]);
    dx
}

struct Call<'c> {
    norm: Norm,
    share: Share,
    entry: &'c str,
    bindings: &'c [u32],
}

impl Call<'_> {
    fn run(
        &self,
        run: &Runner,
        groups: Groups,
        words: &[Word],
        arrays: &[&Array],
    ) {
        let Share { lanes, each } = self.share;
        let text = || {
            let text = self.share.text(include_str!("kernel.wgsl"));
            format!("const CENTRED = {};\n{text}", self.norm.centred)
        };
        let kernel = Kernel {
            name: &format!(
                "{}, {} {lanes}x{each}",
                self.norm.forward, self.entry
            ),
            source: Source::Made(&text),
            entry: self.entry,
            bindings: self.bindings,
        };
        run.run(&kernel, groups, words, arrays);
    }
}
