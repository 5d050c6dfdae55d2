//! An adapter of low rank beside a frozen layer.

use crate::kit::{added, begun, d2, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::device::Device;
use backprop::transformer::lora;
use serde_json::json;

/// α/r.
const SCALE: f64 = 1.5;

pub fn rows() -> Vec<Op> {
    vec![Op {
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
    }]
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
