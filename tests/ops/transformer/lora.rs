//! An adapter of low rank beside a frozen layer.

use crate::kit::{added, begun, d1, d2, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::calculus::gradcheck::Sampler;
use backprop::device::Device;
use backprop::transformer::lora;
use backprop::transformer::lora::dora::{self, Gradients, Kept};
use serde_json::json;

/// α/r.
const SCALE: f64 = 1.5;

pub fn rows() -> Vec<Op> {
    vec![beside(), dora(), dora_with_norm()]
}

fn beside() -> Op {
    Op {
        inputs: &["x", "a", "b", "y"],
        sample: |s, Dims { b, i, o }| {
            let shapes = [[b, i], [i, 2], [2, o], [b, o]];
            shapes.map(|shape| s.normal(&shape)).into()
        },
        with: |_| json!({ "scale": SCALE }),
        device: on_device!(on_device, 1e-5),
        ..Op::vjp(
            "lora",
            |p| {
                let (x, a, b) = (d2(&p[0]), d2(&p[1]), d2(&p[2]));
                lora::forward(x, a, b, SCALE, d2(&p[3])).0.into_dyn()
            },
            |p, dy| {
                let (x, a, b) = (d2(&p[0]), d2(&p[1]), d2(&p[2]));
                let (_, h) = lora::forward(x, a, b, SCALE, d2(dy));
                let (dx, da, db) = lora::vjp(x, h.view(), a, b, SCALE, d2(dy));
                let [dx, da, db] = [dx, da, db].map(|d| d.into_dyn());
                vec![dx, da, db, dy.clone()]
            },
        )
    }
}

fn sample(s: &mut Sampler, Dims { b, i, o }: Dims) -> Vec<A> {
    let shapes: [&[usize]; 5] = [&[b, i], &[i, o], &[i, 2], &[2, o], &[o]];
    shapes.map(|shape| s.normal(shape)).into()
}

/// In the order of the inputs. Nobody asks for that of `w`, but what there
/// would be is that of `V`.
fn in_order(d: Gradients) -> Vec<A> {
    let [dx, dw, da, db] = [d.dx, d.dv, d.da, d.db].map(|d| d.into_dyn());
    vec![dx, dw, da, db, d.dm.into_dyn()]
}

/// The length of each column of the weight learned apart.
fn dora() -> Op {
    Op {
        inputs: &["x", "w", "a", "b", "m"],
        sample,
        with: |_| json!({ "scale": SCALE }),
        reference: 1e-13,
        ..Op::vjp(
            "dora",
            |p| {
                let (x, w, a, b) = (d2(&p[0]), d2(&p[1]), d2(&p[2]), d2(&p[3]));
                dora::forward(x, w, a, b, SCALE, d1(&p[4])).0.into_dyn()
            },
            |p, dy| {
                let (x, w, a, b) = (d2(&p[0]), d2(&p[1]), d2(&p[2]), d2(&p[3]));
                let m = d1(&p[4]);
                let (_, kept) = dora::forward(x, w, a, b, SCALE, m);
                in_order(dora::vjp(x, a, b, SCALE, m, &kept, d2(dy)))
            },
        )
    }
}

/// The norm declared constant is a norm that comes from outside: what is
/// differentiated is `x·V·(m/n)`, with an `n` of its own.
fn dora_with_norm() -> Op {
    Op {
        inputs: &["x", "w", "a", "b", "m", "n"],
        sample: |s, dims| {
            let mut p = sample(s, dims);
            p.push(s.normal(&[dims.o]).mapv(|n| n.abs() + 0.5));
            p
        },
        with: |_| json!({ "scale": SCALE }),
        reference: 1e-13,
        ..Op::vjp(
            "dora_with_norm",
            |p| {
                let (w, a, b) = (d2(&p[1]), d2(&p[2]), d2(&p[3]));
                let v = lora::merge(w, a, b, SCALE);
                (d2(&p[0]).dot(&v) * (&d1(&p[4]) / &d1(&p[5]))).into_dyn()
            },
            |p, dy| {
                let (w, a, b) = (d2(&p[1]), d2(&p[2]), d2(&p[3]));
                let (x, m, n) = (d2(&p[0]), d1(&p[4]), d1(&p[5]));
                let norm = n.to_owned();
                let unit = lora::merge(w, a, b, SCALE) / &n;
                let kept = Kept { norm, unit };
                let d =
                    dora::vjp_norm_constant(x, a, b, SCALE, m, &kept, d2(dy));
                // The table wants one for `n` as well.
                let dn = -(&d.dm * &m) / n;
                let mut all = in_order(d);
                all.push(dn.into_dyn());
                all
            },
        )
    }
}

fn on_device<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x, a, b, y] = up(dev, p);
    let dy = dev.upload(dy.view());
    let (y, h) = dev.lora(&x, &a, &b, SCALE, y);
    let (mut da, mut db) = (begun(dev, &a), begun(dev, &b));
    // The frozen layer's gradient is there already.
    let dx = begun(dev, &x);
    let dx = dev.lora_vjp(&x, &h, &a, &b, SCALE, &dy, dx, &mut da, &mut db);
    let [dx, da, db] = [&dx, &da, &db].map(|d| added(dev, d));
    Out {
        y: dev.read(&y),
        d: vec![dx, da, db, dev.read(&dy)],
        other: vec![dev.read(&h)],
    }
}
