//! Steps: SGD, Nesterov's, Adam and AdamW; and clipping. Nothing flows back
//! through them.

use crate::kit::{begun, d1, joined, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::calculus::gradcheck::Sampler;
use backprop::device::{AdamW, Device};
use backprop::network::optimizer;
use ndarray::{
    Array1, ArrayView1, ArrayViewD, ArrayViewMut1, ArrayViewMutD, Axis,
    concatenate, s,
};
use serde_json::{Value, json};

/// Learning rate, momentum, weight decay.
const SGD: [f64; 3] = [0.1, 0.9, 0.01];

/// The settings of Adam, for the first of [`STEPS`] steps.
const ADAM: AdamW = AdamW {
    lr: 0.1,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-3,
    decay: 0.01,
    step: 1,
};

/// How many steps the rows of Adam take, and what clipping does to their
/// gradients.
const STEPS: usize = 3;
const FACTOR: f64 = 0.5;

/// The norms that the row of clipping clips to.
const MOST: [f64; 2] = [0.7, 1e6];

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["w", "dw", "v"],
            sample: sgd_start,
            with: sgd_constants,
            device: on_device!(sgd, 1e-6),
            ..Op::step("sgd", |p| sgd_step(p, optimizer::sgd))
        },
        Op {
            inputs: &["w", "dw", "v"],
            sample: sgd_start,
            with: sgd_constants,
            ..Op::step("nesterov", |p| sgd_step(p, optimizer::nesterov))
        },
        Op {
            inputs: &["w", "dw", "m", "v"],
            sample: adam_start,
            with: adam_constants,
            ..Op::step("adam", |p| adam_steps(p, optimizer::adam))
        },
        Op {
            inputs: &["w", "dw", "m", "v"],
            sample: adam_start,
            with: adam_constants,
            device: on_device!(adamw, 1e-6),
            ..Op::step("adamw", |p| adam_steps(p, optimizer::adamw))
        },
        Op {
            inputs: &["dw", "db"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b * i]), s.normal(&[i])]
            },
            with: |_| json!({ "most": MOST }),
            device: on_device!(clip, 1e-6),
            // Two gradients, clipped together: once tightly, once not at all.
            ..Op::step("clip", |p| {
                let square = |g: &A| g.mapv(|g| g * g).sum();
                let squares = Array1::from_iter(p.iter().map(square));
                let [tight, loose] =
                    MOST.map(|most| optimizer::clip(squares.view(), most));
                let all = joined(p[0].clone(), p[1].clone());
                joined(&all * tight, &all * loose)
            })
        },
    ]
}

fn sgd_start(s: &mut Sampler, Dims { b, .. }: Dims) -> Vec<A> {
    vec![s.normal(&[b]), s.normal(&[b]), s.normal(&[b])]
}

fn sgd_constants(_: &[A]) -> Value {
    let [lr, momentum, decay] = SGD;
    json!({ "lr": lr, "momentum": momentum, "decay": decay })
}

type SgdStep =
    fn(ArrayViewMutD<f64>, ArrayViewD<f64>, ArrayViewMutD<f64>, f64, f64, f64);

fn sgd_step(p: &[A], one: SgdStep) -> A {
    let (mut w, mut v) = (p[0].clone(), p[2].clone());
    let [lr, momentum, decay] = SGD;
    let dw = p[1].view();
    one(w.view_mut(), dw, v.view_mut(), lr, momentum, decay);
    joined(w, v)
}

fn sgd<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
    let [mut w, dw, mut v] = up(dev, p);
    let [lr, momentum, decay] = SGD;
    dev.sgd(&mut w, &dw, &mut v, lr, momentum, decay);
    step(joined(dev.read(&w), dev.read(&v)), vec![])
}

/// A parameter, the gradients of all steps, and means that are not zero.
fn adam_start(s: &mut Sampler, Dims { b, .. }: Dims) -> Vec<A> {
    let dw = s.normal(&[STEPS * b]);
    let v = s.normal(&[b]).mapv(|v| v * v);
    vec![s.normal(&[b]), dw, s.normal(&[b]), v]
}

fn adam_constants(_: &[A]) -> Value {
    let AdamW {
        lr,
        beta1,
        beta2,
        eps,
        decay,
        ..
    } = ADAM;
    json!({
        "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay,
        "steps": STEPS, "factor": FACTOR,
    })
}

type AdamStep = fn(
    ArrayViewMut1<f64>,
    ArrayView1<f64>,
    ArrayViewMut1<f64>,
    ArrayViewMut1<f64>,
    f64,
    AdamW,
);

fn adam_steps(p: &[A], one: AdamStep) -> A {
    let [mut w, mut m, mut v] = [0, 2, 3].map(|i| d1(&p[i]).to_owned());
    let (dw, n) = (d1(&p[1]), w.len());
    for step in 0..STEPS {
        let dw = dw.slice(s![step * n..(step + 1) * n]);
        let set = AdamW {
            step: step as u64 + 1,
            ..ADAM
        };
        one(w.view_mut(), dw, m.view_mut(), v.view_mut(), FACTOR, set);
    }
    concatenate![Axis(0), w, m, v].into_dyn()
}

fn adamw<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
    let [mut w, mut m, mut v] = [0, 2, 3].map(|i| dev.upload(p[i].view()));
    let factor = dev.upload(A::from_elem(&[1][..], FACTOR).view());
    let n = p[0].len();
    for (step, dw) in (1..).zip(p[1].axis_chunks_iter(Axis(0), n)) {
        let set = AdamW { step, ..ADAM };
        dev.adamw(&mut w, &dev.upload(dw), &mut m, &mut v, &factor, set);
    }
    let [w, m, v] = [w, m, v].map(|t| dev.read(&t));
    step(joined(joined(w, m), v), vec![])
}

fn clip<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
    let gradients: [D::Tensor; 2] = up(dev, p);
    let mut squares = begun(dev, &dev.zeros(&[2]));
    for (slot, dw) in gradients.iter().enumerate() {
        dev.sum_of_squares(dw, &mut squares, slot);
    }
    let all = joined(p[0].clone(), p[1].clone());
    let clipped = |most| &all * dev.read(&dev.clip(&squares, most))[0];
    let [tight, loose] = MOST.map(clipped);
    step(joined(tight, loose), vec![dev.read(&squares)])
}

fn step(y: A, other: Vec<A>) -> Out {
    let d = vec![];
    Out { y, d, other }
}
