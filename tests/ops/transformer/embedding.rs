//! The table of a language model: rows by token, logits by row, with their
//! loss; and rotary positions.

use crate::kit::{added, begun, d2, heads, number, up};
use crate::network::softmax_cross_entropy::{
    SMOOTHING, constants, some_labels,
};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::device::{Device, Heads};
use backprop::transformer::embedding;
use ndarray::arr0;
use serde_json::{Value, json};

/// Base of the rotary angles.
const BASE: f64 = 100.0;

/// Two texts, two heads that share their keys and values.
const HEADS: Heads = Heads {
    batch: 2,
    queries: 2,
    keys: 1,
};

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["w"],
            sample: |s, Dims { i, o, .. }| vec![s.normal(&[i, o])],
            with: |p| json!({ "tokens": tokens(p) }),
            device: on_device!(table, 1e-5),
            ..Op::vjp(
                "embedding",
                |p| embedding::forward(d2(&p[0]), &tokens(p)).into_dyn(),
                |p, dy| {
                    let rows = p[0].shape()[0];
                    let dw = embedding::vjp(rows, &tokens(p), d2(dy));
                    vec![dw.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x", "w"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[b, i]), s.normal(&[o, i])]
            },
            device: on_device!(unembed, 1e-5),
            ..Op::vjp(
                "unembed",
                |p| embedding::unembed(d2(&p[0]), d2(&p[1])).into_dyn(),
                |p, dy| {
                    let (dx, dw) =
                        embedding::unembed_vjp(d2(&p[0]), d2(&p[1]), d2(dy));
                    vec![dx.into_dyn(), dw.into_dyn()]
                },
            )
        },
        // The table at both ends: its gradient is the sum over both uses.
        Op {
            inputs: &["w"],
            sample: |s, Dims { i, o, .. }| vec![s.normal(&[i, o])],
            with: |p| json!({ "tokens": tokens(p) }),
            ..Op::vjp(
                "embedding_tied",
                |p| {
                    let x = embedding::forward(d2(&p[0]), &tokens(p));
                    embedding::unembed(x.view(), d2(&p[0])).into_dyn()
                },
                |p, dy| {
                    let (w, ids) = (d2(&p[0]), tokens(p));
                    let x = embedding::forward(w, &ids);
                    let (dx, dw) = embedding::unembed_vjp(x.view(), w, d2(dy));
                    let dw = dw + embedding::vjp(w.nrows(), &ids, dx.view());
                    vec![dw.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x", "w"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[b, i]), s.normal(&[o, i])]
            },
            with: |p| constants(&words(p), SMOOTHING),
            reference: 1e-13,
            device: on_device!(unembed_ce, 1e-5),
            beyond: MANY_CHUNKS,
            ..Op::vjp(
                "unembed_ce",
                |p| {
                    let (x, w) = (d2(&p[0]), d2(&p[1]));
                    let loss =
                        embedding::unembed_ce(x, w, &words(p), SMOOTHING);
                    arr0(loss).into_dyn()
                },
                |p, dloss| {
                    let (_, dx, dw) = embedding::unembed_ce_grad(
                        d2(&p[0]),
                        d2(&p[1]),
                        &words(p),
                        SMOOTHING,
                        dloss.sum(),
                    );
                    vec![dx.into_dyn(), dw.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["qkv"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[2 * b, 8 * i])],
            with: rope_constants,
            device: on_device!(rope, 1e-6),
            ..Op::vjp(
                "rope",
                |p| embedding::rope(d2(&p[0]), HEADS, BASE).into_dyn(),
                |_, dy| {
                    vec![embedding::rope_vjp(d2(dy), HEADS, BASE).into_dyn()]
                },
            )
        },
    ]
}

/// The logits of so many words are made some rows at a time, the last time
/// fewer.
const MANY_CHUNKS: &[Dims] = &[Dims {
    b: 600,
    i: 4,
    o: 9000,
}];

/// `(n² + 1) mod V`, so that some tokens repeat and some do not come.
fn tokens(p: &[A]) -> Vec<usize> {
    let rows = p[0].shape()[0];
    (0..6).map(|n| (n * n + 1) % rows).collect()
}

/// Some labels of a vocabulary of `w`'s rows for the rows of `x`.
fn words(p: &[A]) -> Vec<usize> {
    some_labels(&[p[0].shape()[0], p[1].shape()[0]])
}

fn rope_constants(_: &[A]) -> Value {
    let mut constants = heads(HEADS);
    constants["base"] = json!(BASE);
    constants
}

fn table<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [w] = up(dev, p);
    let ids = dev.upload_ids(&tokens(p));
    let y = dev.embedding(&w, &ids);
    let mut dw = begun(dev, &w);
    dev.embedding_vjp(&ids, &dev.upload(dy.view()), &mut dw);
    Out {
        y: dev.read(&y),
        d: vec![added(dev, &dw)],
        other: vec![],
    }
}

/// Forward alone; with `y = x·wᵀ` the gradients are products of other ops.
fn unembed<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x, w] = up(dev, p);
    let dy = dev.upload(dy.view());
    let y = dev.unembed(&x, &w);
    let zero = dev.zeros(&dev.shape(&w)[1..]);
    let (mut dw, mut unused) = (begun(dev, &w), begun(dev, &zero));
    dev.linear_vjp_params(&dy, &x, &mut dw, &mut unused);
    let dx = dev.linear(&dy, &w, &zero);
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx), added(dev, &dw)],
        other: vec![],
    }
}

fn unembed_ce<D: Device>(dev: &D, p: &[A], dloss: &A) -> Out {
    let [x, w] = up(dev, p);
    let (labels, dloss) = (dev.upload_ids(&words(p)), dloss.sum());
    let one = |smoothing| {
        let mut dw = begun(dev, &w);
        let grad =
            |dw| dev.unembed_ce_grad(&x, &w, &labels, smoothing, dloss, dw);
        let (loss, dx) = grad(Some(&mut dw));
        let (same_loss, same_dx) = grad(None);
        let alone = dev.unembed_ce(&x, &w, &labels, smoothing);
        assert_eq!(dev.read(&dx), dev.read(&same_dx), "w is frozen");
        assert_eq!(dev.read(&loss), dev.read(&same_loss), "w is frozen");
        assert_eq!(dev.read(&loss), dev.read(&alone), "unembed_ce");
        (number(dev, &loss), vec![dev.read(&dx), added(dev, &dw)])
    };
    let (y, d) = one(SMOOTHING);
    let (plain, mut other) = one(0.0);
    other.push(plain);
    Out { y, d, other }
}

fn rope<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let y = dev.rope(x, HEADS, BASE);
    let dx = dev.rope_vjp(dev.upload(dy.view()), HEADS, BASE);
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx)],
        other: vec![],
    }
}
