//! LayerNorm and RMSNorm on the GPU.
//!
//! book: depth/normalization
//!
//! x, y (N,D), gamma, beta (D), stats (N,2) or (N,1); sizes are `[N, D]`.
//!
//! What is not plain: (1) a row stays in registers from its mean to its output,
//! so that each array is passed over once, forward and backward; short rows
//! share a workgroup. (2) `dγ` and `dβ` are summed beside `dx` in registers,
//! over the rows that an invocation takes one after the other, then over those
//! of a workgroup, and in a second call over the workgroups, of which there
//! are 512 at most: always in the same order. (3) What rounding took off a
//! large mean is summed again, as in [`super::fused`].

use crate::engine::gpu::share::Share;
use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, Word, words};

/// The longest row there may be: 32 numbers for each of 256 invocations.
pub const LONGEST: usize = 32 * 256;

/// The most workgroups of a VJP: enough to keep a large GPU busy, few enough
/// for their sums to be short beside the rows.
const PIECES: usize = 512;

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Centred, with β; keeps μ and r.
    Layer,
    /// Not centred, without β; keeps r.
    Rms,
}

impl Norm {
    /// How many numbers of a row are kept.
    pub fn kept(self) -> usize {
        match self {
            Norm::Layer => 2,
            Norm::Rms => 1,
        }
    }
}

/// Writes `y` and `stats`. RMSNorm has no `beta`: anything may stand there.
pub fn forward(
    run: &Runner,
    norm: Norm,
    [n, d]: [usize; 2],
    x: &Array,
    gamma: &Array,
    beta: &Array,
    eps: f64,
    y: &Array,
    stats: &Array,
) {
    let share = Share::of(d);
    let groups = Groups::Row(n.div_ceil(share.rows()));
    let call = Call {
        norm,
        share,
        entry: "forward",
        bindings: &[0, 1, 2, 3, 4],
    };
    let words = words![n, d, 0u32, 0u32, eps];
    call.run(run, groups, words, &[x, gamma, beta, y, stats]);
}

/// Writes `dx`; adds to `dgamma`, and to `dbeta`, if they are given.
pub fn vjp(
    run: &Runner,
    norm: Norm,
    [n, d]: [usize; 2],
    x: &Array,
    gamma: &Array,
    stats: &Array,
    dy: &Array,
    dx: &Array,
    dparams: &[&Array],
) {
    if n == 0 {
        return; // nothing to add
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
    let arrays = [x, gamma, stats, dy, dx, &parts];
    call.run(run, Groups::Row(pieces), words, &arrays);
    let (dgamma, dbeta) = match dparams {
        [] => return,
        [dgamma] => (dgamma, &run.take(0)),
        [dgamma, dbeta, ..] => (dgamma, *dbeta),
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
        let (name, centred) = match self.norm {
            Norm::Layer => ("layer_norm", true),
            Norm::Rms => ("rms_norm", false),
        };
        let text = || {
            let text = self.share.text(include_str!("kernel.wgsl"));
            format!("const CENTRED = {centred};\n{text}")
        };
        let kernel = Kernel {
            name: &format!("{name}, {} {lanes}x{each}", self.entry),
            source: Source::Made(&text),
            entry: self.entry,
            bindings: self.bindings,
        };
        run.run(&kernel, groups, words, arrays);
    }
}
