//! A layer that is used at every step: all its gradients, whole and truncated.

use crate::kit::{d1, d2, d3};
use crate::op::{A, Dims, Op};
use backprop::calculus::gradcheck::Sampler;
use backprop::recurrent::bptt::{
    self, Gradients, Stretch, chunks, scalar, windows,
};
use ndarray::{Array1, ArrayD, arr1, concatenate};
use serde_json::json;

/// Steps of one chunk or window in the truncated rows.
const K: usize = 2;

const INPUTS: &[&str] = &["x", "w_x", "w_h", "b", "h0"];
const WITH_COTANGENT: &[&str] = &["x", "w_x", "w_h", "b", "h0", "dh"];

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: INPUTS,
            sample: layer,
            reference: 1e-13,
            ..Op::vjp(
                "rnn",
                |p| states(p).into_dyn(),
                |p, dh| {
                    let (x, w_x, w_h) = (d3(&p[0]), d2(&p[1]), d2(&p[2]));
                    let (h0, h, dh) = (d2(&p[4]), states(p), d3(dh));
                    each(bptt::vjp(x, w_x, w_h, h0, h.view(), dh))
                },
            )
        },
        Op {
            inputs: WITH_COTANGENT,
            sample: layer_and_cotangent,
            with: |_| json!({ "k": K }),
            reference: 1e-13,
            ..Op::step("rnn_in_chunks", |p| truncated(p, chunks))
        },
        Op {
            inputs: WITH_COTANGENT,
            sample: layer_and_cotangent,
            with: |_| json!({ "k": K }),
            reference: 1e-13,
            ..Op::step("rnn_in_windows", |p| truncated(p, windows))
        },
        Op {
            inputs: &["w", "x", "h0"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[1]), s.normal(&[b + i]), s.normal(&[1])]
            },
            ..Op::vjp(
                "rnn_scalar",
                |p| scalar_states(p).into_dyn(),
                |p, dh| {
                    let h = scalar_states(p);
                    let (h, dh) = (h.as_slice(), dh.as_slice());
                    let (h, dh) = (h.expect("a slice"), dh.expect("a slice"));
                    let (dw, dx, dh0) = scalar::vjp(p[0][0], p[2][0], h, dh);
                    vec![
                        arr1(&[dw]).into_dyn(),
                        Array1::from(dx).into_dyn(),
                        arr1(&[dh0]).into_dyn(),
                    ]
                },
            )
        },
    ]
}

/// `x` (T,B,I), `w_x` (I,H), `w_h` (H,H), `b` (H), `h0` (B,H), T one more than
/// any other size.
fn layer(s: &mut Sampler, Dims { b, i, o }: Dims) -> Vec<A> {
    let t = b.max(i).max(o) + 1;
    vec![
        s.normal(&[t, b, i]),
        s.normal(&[i, o]) * 0.5,
        s.normal(&[o, o]) * 0.5,
        s.normal(&[o]) * 0.5,
        s.normal(&[b, o]) * 0.5,
    ]
}

fn layer_and_cotangent(s: &mut Sampler, dims: Dims) -> Vec<A> {
    let mut p = layer(s, dims);
    p.push(s.normal(&[p[0].shape()[0], dims.b, dims.o]));
    p
}

fn states(p: &[A]) -> ndarray::Array3<f64> {
    bptt::forward(d3(&p[0]), d2(&p[1]), d2(&p[2]), d1(&p[3]), d2(&p[4]))
}

fn scalar_states(p: &[A]) -> Array1<f64> {
    let x = p[1].as_slice().expect("in order");
    Array1::from(scalar::forward(p[0][0], x, p[2][0]))
}

fn each(d: Gradients) -> Vec<A> {
    vec![
        d.dx.into_dyn(),
        d.dw_x.into_dyn(),
        d.dw_h.into_dyn(),
        d.db.into_dyn(),
        d.dh0.into_dyn(),
    ]
}

/// All gradients in one row.
fn truncated(p: &[A], of: fn(usize, usize) -> Vec<Stretch>) -> A {
    let (x, w_x, w_h) = (d3(&p[0]), d2(&p[1]), d2(&p[2]));
    let (h0, h, dh) = (d2(&p[4]), states(p), d3(&p[5]));
    let stretches = of(x.dim().0, K);
    let d = bptt::truncated(x, w_x, w_h, h0, h.view(), dh, &stretches);
    let flat = each(d)
        .into_iter()
        .map(|d: ArrayD<f64>| d.flatten().to_owned());
    let flat: Vec<_> = flat.collect();
    let views: Vec<_> = flat.iter().map(|d| d.view()).collect();
    concatenate(ndarray::Axis(0), &views)
        .expect("rows")
        .into_dyn()
}
