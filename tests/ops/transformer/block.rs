//! The block, as its chapter composes it; the model over `Device` has tests of
//! its own.

use crate::kit::{d1, d2, heads};
use crate::op::{A, Dims, Op};
use backprop::device::Heads;
use backprop::transformer::block;
use serde_json::json;

/// Two texts, two heads that share their keys and values.
const HEADS: Heads = Heads {
    batch: 2,
    queries: 2,
    keys: 1,
};

/// ε of the normalisations.
const EPS: f64 = 1e-5;

/// The order of the weights on paper.
const INPUTS: [&str; 13] = [
    "x", "gamma1", "beta1", "w_qkv", "b_qkv", "w_o", "b_o", "gamma2", "beta2",
    "w1", "b1", "w2", "b2",
];

pub fn rows() -> Vec<Op> {
    vec![Op {
        inputs: &INPUTS,
        sample: |s, dims| {
            let near_one = |a: A| 1. + 0.3 * a;
            let draw = |(i, shape): (usize, &Vec<usize>)| match i {
                0 => s.normal(shape),
                1 | 7 => near_one(s.normal(shape)), // γ
                _ => 0.5 * s.normal(shape),
            };
            shapes(dims).iter().enumerate().map(draw).collect()
        },
        with: |_| {
            let mut constants = heads(HEADS);
            constants["eps"] = json!(EPS);
            constants
        },
        reference: 1e-13,
        ..Op::vjp(
            "block",
            |p| {
                block::forward(d2(&p[0]), &weights(p), HEADS, EPS)
                    .0
                    .into_dyn()
            },
            |p, dy| {
                let (x, w) = (d2(&p[0]), weights(p));
                let (_, kept) = block::forward(x, &w, HEADS, EPS);
                let (dx, d) = block::vjp(x, &w, &kept, HEADS, d2(dy));
                vec![
                    dx.into_dyn(),
                    d.gamma1.into_dyn(),
                    d.beta1.into_dyn(),
                    d.w_qkv.into_dyn(),
                    d.b_qkv.into_dyn(),
                    d.w_o.into_dyn(),
                    d.b_o.into_dyn(),
                    d.gamma2.into_dyn(),
                    d.beta2.into_dyn(),
                    d.w1.into_dyn(),
                    d.b1.into_dyn(),
                    d.w2.into_dyn(),
                    d.b2.into_dyn(),
                ]
            },
        )
    }]
}

/// T = `b` tokens in each text, heads `i` wide, `o` hidden units.
fn shapes(Dims { b, i, o }: Dims) -> [Vec<usize>; 13] {
    let (n, d, qkv) = (2 * b, 2 * i, 4 * i);
    [
        vec![n, d],
        vec![d],
        vec![d],
        vec![d, qkv],
        vec![qkv],
        vec![d, d],
        vec![d],
        vec![d],
        vec![d],
        vec![d, o],
        vec![o],
        vec![o, d],
        vec![d],
    ]
}

fn weights(p: &[A]) -> block::Weights {
    let d1 = |i: usize| d1(&p[i]).to_owned();
    let d2 = |i: usize| d2(&p[i]).to_owned();
    block::Weights {
        gamma1: d1(1),
        beta1: d1(2),
        w_qkv: d2(3),
        b_qkv: d1(4),
        w_o: d2(5),
        b_o: d1(6),
        gamma2: d1(7),
        beta2: d1(8),
        w1: d2(9),
        b1: d1(10),
        w2: d2(11),
        b2: d1(12),
    }
}
