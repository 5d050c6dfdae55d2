//! Attention that keeps its probabilities: of one head, of many in one array,
//! and across two texts.

use crate::kit::{d2, heads, up};
use crate::network::softmax_cross_entropy::FROM_LSE;
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::calculus::gradcheck::Sampler;
use backprop::device::{Device, Heads};
use backprop::transformer::attention;
use serde_json::json;

/// Two texts, five heads.
pub const MULTI_HEAD: Heads = Heads {
    batch: 2,
    queries: 5,
    keys: 5,
};

/// Two texts, ten heads, pairs of which share a key.
pub const GROUPED: Heads = Heads {
    batch: 2,
    queries: 10,
    keys: 5,
};

/// One text, six heads that share one key.
pub const MULTI_QUERY: Heads = Heads {
    batch: 1,
    queries: 6,
    keys: 1,
};

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b),
            with: |_| json!({ "causal": true }),
            reference: FROM_LSE,
            ..Op::vjp(
                "attention",
                |p| forward(p, true),
                |p, dy| vjp(p, dy, true),
            )
        },
        Op {
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b + 3),
            with: |_| json!({ "causal": false }),
            reference: FROM_LSE,
            ..Op::vjp(
                "attention_full",
                |p| forward(p, false),
                |p, dy| vjp(p, dy, false),
            )
        },
        Op {
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b + 3),
            with: |_| json!({ "causal": true }),
            reference: FROM_LSE,
            ..Op::vjp(
                "attention_newest_queries",
                |p| forward(p, true),
                |p, dy| vjp(p, dy, true),
            )
        },
        Op {
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, MULTI_HEAD),
            with: |_| heads(MULTI_HEAD),
            reference: FROM_LSE,
            device: on_device!(
                |dev, p, dy| on_device(dev, p, dy, MULTI_HEAD),
                1e-5
            ),
            ..Op::vjp(
                "attention_multi_head",
                |p| multi_head(p, MULTI_HEAD),
                |p, dy| multi_head_vjp(p, dy, MULTI_HEAD),
            )
        },
        Op {
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, GROUPED),
            with: |_| heads(GROUPED),
            reference: FROM_LSE,
            device: on_device!(
                |dev, p, dy| on_device(dev, p, dy, GROUPED),
                1e-5
            ),
            ..Op::vjp(
                "attention_grouped_query",
                |p| multi_head(p, GROUPED),
                |p, dy| multi_head_vjp(p, dy, GROUPED),
            )
        },
        Op {
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, MULTI_QUERY),
            with: |_| heads(MULTI_QUERY),
            reference: FROM_LSE,
            device: on_device!(
                |dev, p, dy| on_device(dev, p, dy, MULTI_QUERY),
                1e-5
            ),
            ..Op::vjp(
                "attention_multi_query",
                |p| multi_head(p, MULTI_QUERY),
                |p, dy| multi_head_vjp(p, dy, MULTI_QUERY),
            )
        },
        Op {
            inputs: &["q", "kv"],
            sample: two_texts,
            with: |_| heads(GROUPED),
            reference: FROM_LSE,
            ..Op::vjp(
                "attention_cross",
                |p| {
                    attention::cross(d2(&p[0]), d2(&p[1]), GROUPED).0.into_dyn()
                },
                |p, dy| {
                    let (q, kv) = (d2(&p[0]), d2(&p[1]));
                    let (_, prob) = attention::cross(q, kv, GROUPED);
                    let prob = prob.view();
                    let (dq, dkv) =
                        attention::cross_vjp(q, kv, prob, d2(dy), GROUPED);
                    vec![dq.into_dyn(), dkv.into_dyn()]
                },
            )
        },
    ]
}

/// `q` (T,d), `k` (S,d), `v` (S,e).
pub fn one_head(
    s: &mut Sampler,
    Dims { b: t, i, o }: Dims,
    keys: usize,
) -> Vec<A> {
    vec![
        s.normal(&[t, i]),
        s.normal(&[keys, i]),
        s.normal(&[keys, o]),
    ]
}

/// `qkv` with T tokens in each text and heads of width d.
pub fn packed(
    s: &mut Sampler,
    Dims { b: d, i: t, .. }: Dims,
    h: Heads,
) -> Vec<A> {
    vec![s.normal(&[h.batch * t, (h.queries + 2 * h.keys) * d])]
}

/// `q` with T tokens in each text and `kv` with two more.
pub fn two_texts(s: &mut Sampler, Dims { b: d, i: t, .. }: Dims) -> Vec<A> {
    let Heads {
        batch,
        queries,
        keys,
    } = GROUPED;
    vec![
        s.normal(&[batch * t, queries * d]),
        s.normal(&[batch * (t + 2), 2 * keys * d]),
    ]
}

fn forward(p: &[A], causal: bool) -> A {
    let (q, k, v) = (d2(&p[0]), d2(&p[1]), d2(&p[2]));
    attention::forward(q, k, v, causal).0.into_dyn()
}

fn vjp(p: &[A], dy: &A, causal: bool) -> Vec<A> {
    let (q, k, v) = (d2(&p[0]), d2(&p[1]), d2(&p[2]));
    let (_, prob) = attention::forward(q, k, v, causal);
    let (dq, dk, dv) = attention::vjp(q, k, v, prob.view(), d2(dy));
    [dq, dk, dv].map(|d| d.into_dyn()).into()
}

fn multi_head(p: &[A], heads: Heads) -> A {
    attention::multi_head(d2(&p[0]), heads, true).0.into_dyn()
}

fn multi_head_vjp(p: &[A], dy: &A, heads: Heads) -> Vec<A> {
    let (_, prob) = attention::multi_head(d2(&p[0]), heads, true);
    let d = attention::multi_head_vjp(d2(&p[0]), prob.view(), d2(dy), heads);
    vec![d.into_dyn()]
}

fn on_device<D: Device>(dev: &D, x: &[A], dy: &A, heads: Heads) -> Out {
    let [qkv] = up(dev, x);
    let dy = dev.upload(dy.view());
    let (y, p) = dev.attention(&qkv, heads);
    let probabilities = dev.read(&p);
    for (at, p) in probabilities.indexed_iter() {
        assert!(at[2] <= at[1] || *p == 0., "p behind the mask");
    }
    let d = dev.attention_vjp(&qkv, &p, &dy, heads);
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&d)],
        other: vec![probabilities],
    }
}
