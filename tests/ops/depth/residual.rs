//! The sum of two paths, and dropout.

use crate::kit::up;
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::depth::residual;
use backprop::device::Device;
use backprop::engine::philox::Stream;
use serde_json::{Value, json};

const RATE: f64 = 0.3;

/// The seed, step and number of dropout's stream.
const SEED: u64 = 0x0123_4567_89AB_CDEF;
const STEP: u32 = 5;
const OP: u32 = 2;
const STREAM: Stream = Stream::new(SEED, STEP, OP);

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["x", "f"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[b, i])]
            },
            reference: 0.0,
            device: on_device!(add, 1e-7),
            ..Op::vjp(
                "add",
                |p| residual::add(p[0].view(), p[1].view()),
                |_, dy| {
                    let (dx, df) = residual::add_vjp(dy.view());
                    vec![dx, df]
                },
            )
        },
        Op {
            with: |_| constants(),
            device: on_device!(dropout, 1e-7),
            ..Op::vjp(
                "dropout",
                |p| residual::dropout(p[0].view(), RATE, STREAM),
                |_, dy| vec![residual::dropout_vjp(dy.view(), RATE, STREAM)],
            )
        },
    ]
}

fn constants() -> Value {
    json!({ "rate": RATE, "seed": SEED, "step": STEP, "op": OP })
}

fn add<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x, f] = up(dev, p);
    Out {
        y: dev.read(&dev.add(&x, f)),
        d: vec![dy.clone(), dy.clone()],
        other: vec![],
    }
}

fn dropout<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let all = dev.dropout(dev.copy(&x), 0.0, STREAM);
    assert_eq!(dev.read(&all), dev.read(&x), "a rate of 0 drops nothing");
    let y = dev.dropout(x, RATE, STREAM);
    let dx = dev.dropout(dev.upload(dy.view()), RATE, STREAM);
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx)],
        other: vec![],
    }
}
