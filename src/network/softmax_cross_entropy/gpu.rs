//! Softmax and cross-entropy from labels on the GPU, in place.
//!
//! book: network/softmax_cross_entropy
//!
//! x (B,V), labels (B), losses (B).
//!
//! What is not plain: (1) a row of up to 4096 numbers stays in registers from
//! its maximum to its probabilities: it is read once and written once; short
//! rows share a workgroup. (2) A longer row is read twice: its maximum and its
//! sum are found in one pass, the sum scaled down whenever a larger number
//! comes. (3) The loss of a row is written by the invocation that has the logit
//! of its label, and the losses are added up in a fixed order.

use crate::engine::gpu::share::Share;
use crate::engine::gpu::{
    Array, Groups, Ids, Kernel, Runner, Source, Tensor, Word, words,
};

/// The probabilities, over the logits `x` (B,V), and the mean cross-entropy
/// (1) over the rows that are not ignored. Returns the loss and `p`.
///
/// Panics if the shapes do not fit, a label is out of range, no row has a
/// target or `smoothing` is not in `[0,1)`.
#[track_caller]
pub fn cross_entropy(
    run: &Runner,
    x: Tensor,
    labels: &Ids,
    smoothing: f64,
) -> (Tensor, Tensor) {
    let size = x.extents();
    let count = counted("softmax_ce", size, labels, smoothing);
    let (loss, each) = (run.tensor(&[1]), run.take(size[0]));
    let rows = Rows::all(size, labels, smoothing);
    losses(run, rows, &x, Become::Probabilities, &each);
    mean(run, &each, count, &loss);
    (loss, x)
}

/// `(p - t)·dloss/B`, over the probabilities `p` (B,V), where B counts the
/// rows that are not ignored.
///
/// Panics as [`cross_entropy`] does.
#[track_caller]
pub fn cross_entropy_vjp(
    run: &Runner,
    p: Tensor,
    labels: &Ids,
    smoothing: f64,
    dloss: f64,
) -> Tensor {
    let size = p.extents();
    let count = counted("softmax_ce_vjp", size, labels, smoothing);
    let [b, v] = size;
    let share = if v <= IN_REGISTERS {
        Share::of(v)
    } else {
        WIDE
    };
    let blocks = v.div_ceil(share.lanes * share.each);
    let groups = b.div_ceil(share.rows()) * blocks;
    let rows = Rows::all(size, labels, smoothing);
    let words = rows.words(2, dloss / count as f64);
    let arrays = [&p, rows.labels];
    call(run, share, "vjp", &[0, 1], groups, &words, &arrays);
    p
}

/// How many of the labels of logits `[B, V]` are not ignored.
///
/// A kernel cannot panic: this is the contract that [`super::fused`] has. It
/// looks at no label: what it needs of them was found when they were uploaded.
#[track_caller]
pub(crate) fn counted(
    op: &str,
    size: [usize; 2],
    labels: &Ids,
    smoothing: f64,
) -> usize {
    let count = labels.counted();
    super::assert_labels(size, labels.len(), labels.largest(), count);
    super::assert_smoothing(op, (smoothing as f32).into()); // the kernel's
    count
}

const _: () = assert!(super::IGNORE == Ids::NONE as usize);

/// Rows of logits with their labels.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// `[B, V]`, V ≥ 1.
    pub size: [usize; 2],
    /// The labels of these and maybe of other rows, below V or IGNORE.
    pub labels: &'a Array,
    /// Where in `labels`, and in the losses, the first row is.
    pub first: usize,
    /// ε of [`super::targets`].
    pub smoothing: f64,
}

/// What becomes of logits when their loss is known.
#[derive(Clone, Copy, Debug)]
pub enum Become {
    /// They stay.
    Logits,
    /// `p`, also in rows that are ignored.
    Probabilities,
    /// `(p - t)·scale`, zeros in rows that are ignored.
    Gradient {
        /// The cotangent of a row's loss.
        scale: f64,
    },
}

/// Writes the loss of each row of `x` to `losses`, 0 if it is ignored.
pub fn losses(
    run: &Runner,
    rows: Rows,
    x: &Array,
    becomes: Become,
    losses: &Array,
) {
    let [b, v] = rows.size;
    let (becomes, scale) = match becomes {
        Become::Logits => (0, 0.),
        Become::Probabilities => (1, 0.),
        Become::Gradient { scale } => (2, scale),
    };
    let (entry, share, groups) = match Share::of(v) {
        share if v <= IN_REGISTERS => {
            ("narrow", share, b.div_ceil(share.rows()))
        }
        _ => ("wide", WIDE, b),
    };
    call(
        run,
        share,
        entry,
        &[0, 1, 2],
        groups,
        &rows.words(becomes, scale),
        &[x, rows.labels, losses],
    );
}

/// The mean over `count` rows of `losses` that have no zero for being ignored.
pub fn mean(run: &Runner, losses: &Array, count: usize, loss: &Array) {
    let at_once = WIDE.lanes * WIDE.each;
    let sum = |n: usize, from: &Array, divisor: f64, to: &Array| {
        let words = words![n, 0u32, 0u32, 0u32, 0., divisor];
        let groups = n.div_ceil(at_once);
        call(run, WIDE, "total", &[2, 3], groups, words, &[from, to]);
    };
    let mut n = losses.len();
    let mut parts: Option<Array> = None;
    while n > at_once {
        let to = run.take(n.div_ceil(at_once));
        sum(n, parts.as_ref().unwrap_or(losses), 1., &to);
        n = to.len();
        parts = Some(to);
    }
    sum(n, parts.as_ref().unwrap_or(losses), count as f64, loss);
}

/// The longest row that is kept in registers.
const IN_REGISTERS: usize = 4096;

/// A workgroup, each invocation with 8 numbers at a time.
const WIDE: Share = Share {
    lanes: 256,
    each: 8,
};

impl<'a> Rows<'a> {
    fn all(size: [usize; 2], labels: &'a Array, smoothing: f64) -> Rows<'a> {
        Rows {
            size,
            labels,
            first: 0,
            smoothing,
        }
    }

    fn words(&self, becomes: u32, scale: f64) -> [Word; 6] {
        let Rows {
            size: [b, v],
            first,
            smoothing,
            ..
        } = *self;
        // A GPU may take a subnormal ε for 0 in one place and not in the next,
        // where it meets the -∞ of a class that is ruled out: NaN.
        let smoothing = if (smoothing as f32).is_normal() {
            smoothing
        } else {
            0.
        };
        [
            b.into(),
            v.into(),
            first.into(),
            becomes.into(),
            smoothing.into(),
            scale.into(),
        ]
    }
}

fn call(
    run: &Runner,
    share: Share,
    entry: &str,
    bindings: &[u32],
    groups: usize,
    words: &[Word],
    arrays: &[&Array],
) {
    let Share { lanes, each } = share;
    let kernel = Kernel {
        name: &format!("softmax_ce, {entry} {lanes}x{each}"),
        source: Source::Made(&|| share.text(include_str!("kernel.wgsl"))),
        entry,
        bindings,
    };
    run.run(&kernel, Groups::Row(groups), words, arrays);
}
