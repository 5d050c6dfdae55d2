//! Weights of few bits, on every device.

use crate::kit::{added, begun, joined, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::calculus::gradcheck::Sampler;
use backprop::device::Device;
use backprop::discrete::straight_through::quantised;
use ndarray::arr1;
use serde_json::json;

pub fn rows() -> Vec<Op> {
    vec![quantise_weights(), weights_surrogate(), quantise_scale()]
}

/// Widths of a code with 1, 1, 7 and 127 as the largest: all of them are asked
/// at once.
const WIDTHS: [u32; 4] = [1, 2, 4, 8];

/// Weights and the step of their codes, away from every jump of
/// the rounding and from the bounds: those are in `tests/quantised.rs`.
fn weights(s: &mut Sampler, Dims { b, i, .. }: Dims) -> Vec<A> {
    let step = s.normal(&[1]).mapv(|s| 0.5 + s.abs());
    let away = |u: f64| {
        let half = (2. * u).round() / 2.;
        if (u - half).abs() < 0.01 { u + 0.02 } else { u }
    };
    // Most beyond the bounds of 2 bits, some beyond those of 4.
    let w = (s.normal(&[b, i]) * 4.).mapv(away) * step[0];
    vec![w, step]
}

/// Forward and straight-through gradient, as they are: rows of `ŵ`, then of
/// `dw`, for each width. That the gradient is not that of the forward is the
/// point, so no check compares them; see [`weights_surrogate`].
fn quantise_weights() -> Op {
    Op {
        inputs: &["w", "s", "dw_hat"],
        sample: |s, dims| {
            let mut p = weights(s, dims);
            p.push(s.normal(&[dims.b, dims.i]));
            p
        },
        with: |_| json!({ "widths": WIDTHS }),
        device: on_device!(on_device, 1e-6),
        ..Op::step("quantise_weights", |p| {
            let (w, s, d) = (p[0].view(), p[1][0], p[2].view());
            let each = WIDTHS.map(|bits| {
                let w_hat = quantised::forward(w.clone(), s, bits);
                joined(w_hat, quantised::vjp(w.clone(), s, bits, d.clone()))
            });
            each.into_iter().reduce(joined).expect("some widths")
        })
    }
}

fn on_device<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
    let [w, s, dw_hat] = up(dev, p);
    let each = WIDTHS.map(|bits| {
        let w_hat = dev.quantise(&w, &s, bits);
        let mut dw = begun(dev, &w);
        dev.quantise_vjp(&w, &s, bits, &dw_hat, &mut dw);
        joined(dev.read(&w_hat), added(dev, &dw))
    });
    Out {
        y: each.into_iter().reduce(joined).expect("some widths"),
        d: vec![],
        other: vec![],
    }
}

/// Bits at which some weights lie within the bounds and some do not.
const BITS: u32 = 3;

/// The backward pass is the VJP of the surrogate that it is declared to be.
fn weights_surrogate() -> Op {
    Op {
        inputs: &["w", "s"],
        sample: weights,
        with: |_| json!({ "bits": BITS }),
        ..Op::vjp(
            "weights_surrogate",
            |p| quantised::surrogate(p[0].view(), p[1][0], BITS),
            |p, dy| {
                let (w, s) = (p[0].view(), p[1][0]);
                let dw = quantised::vjp(w, s, BITS, dy.view());
                // The table wants one for `s`, which is declared constant.
                let q = f64::from(quantised::largest_code(BITS));
                let beyond = p[0].iter().zip(dy).filter(|(w, _)| {
                    w.abs() > q * s // where the bound is the value
                });
                let ds = beyond.map(|(w, dy)| w.signum() * q * dy).sum();
                vec![dw, arr1(&[ds]).into_dyn()]
            },
        )
    }
}

/// The step between two codes, for each width.
fn quantise_scale() -> Op {
    Op {
        inputs: &["w"],
        with: |_| json!({ "widths": WIDTHS }),
        device: on_device!(scale_on_device, 1e-6),
        beyond: &[
            // two workgroups, one of them almost empty; two threads
            Dims {
                b: 129,
                i: 128,
                o: 1,
            },
            Dims {
                b: 300,
                i: 200,
                o: 1,
            },
        ],
        ..Op::step("quantise_scale", |p| {
            let s = WIDTHS.map(|bits| quantised::scale(p[0].view(), bits));
            arr1(&s).into_dyn()
        })
    }
}

fn scale_on_device<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
    let [w] = up(dev, p);
    let each = WIDTHS.map(|bits| dev.read(&dev.quantise_scale(&w, bits)));
    Out {
        y: each.into_iter().reduce(joined).expect("some widths"),
        d: vec![],
        other: vec![],
    }
}
