//! Attention in memory linear in the length of the text.

use crate::kit::{d2, heads, up};
use crate::network::softmax_cross_entropy::FROM_LSE;
use crate::op::{A, Dims, Op, Out, on_device};
use crate::transformer::attention::{
    GROUPED, MULTI_HEAD, MULTI_QUERY, one_head, packed, two_texts,
};
use backprop::device::{Device, Heads};
use backprop::scale::flash_attention;
use serde_json::json;

/// Queries and keys at a time: two, so that the last block is not full.
const BLOCK: usize = 2;

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b),
            with: |_| json!({ "causal": true }),
            reference: FROM_LSE,
            ..Op::vjp(
                "flash_attention",
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
                "flash_attention_full",
                |p| forward(p, false),
                |p, dy| vjp(p, dy, false),
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
                "flash_attention_multi_head",
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
                "flash_attention_grouped_query",
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
            beyond: LONG,
            ..Op::vjp(
                "flash_attention_multi_query",
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
                "flash_attention_cross",
                |p| {
                    flash_attention::cross(d2(&p[0]), d2(&p[1]), GROUPED)
                        .0
                        .into_dyn()
                },
                |p, dy| {
                    let (q, kv) = (d2(&p[0]), d2(&p[1]));
                    let (y, lse) = flash_attention::cross(q, kv, GROUPED);
                    let (dq, dkv) = flash_attention::cross_vjp(
                        q,
                        kv,
                        y.view(),
                        lse.view(),
                        d2(dy),
                        GROUPED,
                    );
                    vec![dq.into_dyn(), dkv.into_dyn()]
                },
            )
        },
    ]
}

/// More tokens than a tile has, in fewer heads than keep the cores busy.
const LONG: &[Dims] = &[Dims {
    b: 20,
    i: 300,
    o: 1,
}];

fn forward(p: &[A], causal: bool) -> A {
    let (q, k, v) = (d2(&p[0]), d2(&p[1]), d2(&p[2]));
    flash_attention::forward(q, k, v, causal, BLOCK)
        .0
        .into_dyn()
}

fn vjp(p: &[A], dy: &A, causal: bool) -> Vec<A> {
    let (q, k, v) = (d2(&p[0]), d2(&p[1]), d2(&p[2]));
    let (y, lse) = flash_attention::forward(q, k, v, causal, BLOCK);
    let (y, lse) = (y.view(), lse.view());
    let (dq, dk, dv) =
        flash_attention::vjp([q, k, v], y, lse, d2(dy), causal, BLOCK);
    [dq, dk, dv].map(|d| d.into_dyn()).into()
}

fn multi_head(p: &[A], heads: Heads) -> A {
    flash_attention::multi_head(d2(&p[0]), heads, true)
        .0
        .into_dyn()
}

fn multi_head_vjp(p: &[A], dy: &A, heads: Heads) -> Vec<A> {
    let qkv = d2(&p[0]);
    let (y, lse) = flash_attention::multi_head(qkv, heads, true);
    let (y, lse) = (y.view(), lse.view());
    let d = flash_attention::multi_head_vjp(qkv, y, lse, d2(dy), heads, true);
    vec![d.into_dyn()]
}

fn on_device<D: Device>(dev: &D, x: &[A], dy: &A, heads: Heads) -> Out {
    let [qkv] = up(dev, x);
    let dy = dev.upload(dy.view());
    let (y, lse) = dev.flash_attention(&qkv, heads);
    let d = dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&d)],
        other: vec![dev.read(&lse)],
    }
}
