//! Five ops on vectors, and the network of two layers.

use crate::kit::{d1, d2};
use crate::op::{A, Dims, Op};
use backprop::calculus::modes::net::{self, Net};
use backprop::calculus::modes::ops;
use ndarray::arr0;

fn net_of(p: &[A]) -> Net {
    Net {
        w1: d2(&p[0]).to_owned(),
        b1: d1(&p[1]).to_owned(),
        w2: d2(&p[2]).to_owned(),
        b2: d1(&p[3]).to_owned(),
    }
}

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["w", "x"],
            sample: |s, Dims { i, o, .. }| {
                vec![s.normal(&[o, i]), s.normal(&[i])]
            },
            ..Op::vjp(
                "matvec",
                |p| ops::matvec(d2(&p[0]), d1(&p[1])).into_dyn(),
                |p, dy| {
                    let (w, x) = (d2(&p[0]), d1(&p[1]));
                    let (dw, dx) = ops::matvec_vjp(w, x, d1(dy));
                    vec![dw.into_dyn(), dx.into_dyn()]
                },
            )
        },
        Op {
            sample: |s, Dims { i, .. }| vec![s.normal(&[i])],
            ..Op::vjp(
                "tanh_of_vector",
                |p| ops::tanh(d1(&p[0])).into_dyn(),
                |p, dy| {
                    let y = ops::tanh(d1(&p[0]));
                    vec![ops::tanh_vjp(y.view(), d1(dy)).into_dyn()]
                },
            )
        },
        Op {
            sample: |s, Dims { i, .. }| vec![s.uniform(&[i], 0.2, 3.)],
            ..Op::vjp(
                "ln",
                |p| ops::ln(d1(&p[0])).into_dyn(),
                |p, dy| vec![ops::ln_vjp(d1(&p[0]), d1(dy)).into_dyn()],
            )
        },
        Op {
            sample: |s, Dims { i, .. }| vec![s.normal(&[i])],
            ..Op::vjp(
                "sum",
                |p| arr0(ops::sum(d1(&p[0]))).into_dyn(),
                |p, dy| vec![ops::sum_vjp(p[0].len(), dy.sum()).into_dyn()],
            )
        },
        Op {
            sample: |s, _| vec![s.normal(&[])],
            ..Op::vjp(
                "copy",
                |p| ops::copy(p[0].sum(), 4).into_dyn(),
                |_, dy| vec![arr0(ops::copy_vjp(d1(dy))).into_dyn()],
            )
        },
        Op {
            inputs: &["w1", "b1", "w2", "b2", "x"],
            sample: |s, Dims { b: h, i, o }| {
                vec![
                    s.normal(&[h, i]),
                    s.normal(&[h]),
                    s.normal(&[o, h]),
                    s.normal(&[o]),
                    s.normal(&[i]),
                ]
            },
            ..Op::vjp(
                "net",
                |p| net::forward(&net_of(p), d1(&p[4])).1.into_dyn(),
                |p, dy| {
                    let (net, x) = (net_of(p), d1(&p[4]));
                    let h = net::forward(&net, x).0;
                    let (d, dx) = net::vjp(&net, x, h.view(), d1(dy));
                    vec![
                        d.w1.into_dyn(),
                        d.b1.into_dyn(),
                        d.w2.into_dyn(),
                        d.b2.into_dyn(),
                        dx.into_dyn(),
                    ]
                },
            )
        },
    ]
}
