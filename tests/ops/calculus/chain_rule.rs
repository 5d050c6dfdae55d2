//! Functions of one number: a chain of steps, a squared line, the sigmoid.

use crate::kit::each;
use crate::op::{Dims, Op};
use backprop::calculus::chain_rule::{self, Step};
use ndarray::arr0;

/// Every kind of step once; the values stay where all of them are defined,
/// and ReLU away from its kink.
const CHAIN: [Step; 10] = [
    Step::Times(0.7),
    Step::Tanh,
    Step::Exp,
    Step::Power(-3),
    Step::Relu,
    Step::Ln,
    Step::Sin,
    Step::Add(0.3),
    Step::Cos,
    Step::Sigmoid,
];

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            sample: |s, Dims { b, .. }| vec![s.uniform(&[b], -1.0, 1.0)],
            ..Op::vjp(
                "chain",
                |p| p[0].mapv(|x| chain_rule::forward(&CHAIN, x)[10]),
                |p, dy| {
                    vec![each(&p[0], dy, |x, dy| {
                        let values = chain_rule::forward(&CHAIN, x);
                        chain_rule::vjp(&CHAIN, &values, dy)[0]
                    })]
                },
            )
        },
        Op {
            inputs: &["x", "w", "b"],
            sample: |s, _| vec![s.normal(&[]), s.normal(&[]), s.normal(&[])],
            ..Op::vjp(
                "line_squared",
                |p| {
                    let (x, w, b) = (p[0].sum(), p[1].sum(), p[2].sum());
                    arr0(chain_rule::line_squared(x, w, b).0).into_dyn()
                },
                |p, dy| {
                    let (x, w, b) = (p[0].sum(), p[1].sum(), p[2].sum());
                    let (_, z2) = chain_rule::line_squared(x, w, b);
                    let (dx, dw, db) =
                        chain_rule::line_squared_vjp(x, w, z2, dy.sum());
                    [dx, dw, db].map(|d| arr0(d).into_dyn()).into()
                },
            )
        },
        Op::vjp(
            "sigmoid",
            |p| p[0].mapv(chain_rule::sigmoid),
            |p, dy| {
                vec![each(&p[0], dy, |x, dy| {
                    chain_rule::sigmoid_vjp(chain_rule::sigmoid(x), dy)
                })]
            },
        ),
    ]
}
