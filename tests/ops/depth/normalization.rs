//! Layer norm, RMS norm, batch norm and group norm.

use crate::kit::{added, begun, d1, d2, nested, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::depth::normalization::{self, batch, group};
use backprop::device::Device;
use ndarray::{Array1, ArrayView3, Axis, stack};
use serde_json::json;

/// ε of the norms: so large that a root without it is seen.
const EPS: f64 = 0.1;

/// A row with a mean of 1e4 and a spread of 1 keeps 12 digits of it.
const FROM_A_LARGE_MEAN: f64 = 1e-11;

/// The share by which the running statistics move.
const MOMENTUM: f64 = 0.3;

const GROUPS: usize = 2;

/// Running statistics that are no longer 0 and 1.
fn running(width: usize) -> batch::Running {
    batch::Running {
        mean: Array1::from_shape_fn(width, |i| 0.5 - i as f64),
        variance: Array1::from_shape_fn(width, |i| 0.25 + 2. * i as f64),
    }
}

fn d3(a: &A) -> ArrayView3<'_, f64> {
    a.view().into_dimensionality().expect("three axes")
}

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["x", "gamma", "beta"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[i]), s.normal(&[i])]
            },
            with: |_| json!({ "eps": EPS }),
            reference: FROM_A_LARGE_MEAN,
            device: on_device!(layer_norm, 1e-5),
            ..Op::vjp(
                "layer_norm",
                |p| {
                    let (x, gamma, beta) = (d2(&p[0]), d1(&p[1]), d1(&p[2]));
                    normalization::layer_norm(x, gamma, beta, EPS).0.into_dyn()
                },
                |p, dy| {
                    let (x, gamma, beta) = (d2(&p[0]), d1(&p[1]), d1(&p[2]));
                    let (_, stats) =
                        normalization::layer_norm(x, gamma, beta, EPS);
                    let stats = stats.view();
                    let (dx, dgamma, dbeta) =
                        normalization::layer_norm_vjp(x, gamma, stats, d2(dy));
                    vec![dx.into_dyn(), dgamma.into_dyn(), dbeta.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x", "gamma"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[i])]
            },
            with: |_| json!({ "eps": EPS }),
            device: on_device!(rms_norm, 1e-5),
            ..Op::vjp(
                "rms_norm",
                |p| {
                    let (x, gamma) = (d2(&p[0]), d1(&p[1]));
                    normalization::rms_norm(x, gamma, EPS).0.into_dyn()
                },
                |p, dy| {
                    let (x, gamma) = (d2(&p[0]), d1(&p[1]));
                    let (_, stats) = normalization::rms_norm(x, gamma, EPS);
                    let stats = stats.view();
                    let (dx, dgamma) =
                        normalization::rms_norm_vjp(x, gamma, stats, d2(dy));
                    vec![dx.into_dyn(), dgamma.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x", "gamma", "beta"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[i]), s.normal(&[i])]
            },
            with: |_| json!({ "eps": EPS }),
            reference: FROM_A_LARGE_MEAN,
            ..Op::vjp(
                "batch_norm",
                |p| {
                    let (x, gamma, beta) = (d2(&p[0]), d1(&p[1]), d1(&p[2]));
                    batch::forward(x, gamma, beta, EPS).0.into_dyn()
                },
                |p, dy| {
                    let (x, gamma, beta) = (d2(&p[0]), d1(&p[1]), d1(&p[2]));
                    let (_, stats) = batch::forward(x, gamma, beta, EPS);
                    let (dx, dgamma, dbeta) =
                        batch::vjp(x, gamma, stats.view(), d2(dy));
                    vec![dx.into_dyn(), dgamma.into_dyn(), dbeta.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x", "gamma", "beta"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[i]), s.normal(&[i])]
            },
            with: |p| {
                let seen = running(p[1].len());
                let seen = stack![Axis(0), seen.mean, seen.variance];
                json!({ "eps": EPS, "running": nested(&seen) })
            },
            ..Op::vjp(
                "batch_norm_eval",
                |p| {
                    let (x, gamma, beta) = (d2(&p[0]), d1(&p[1]), d1(&p[2]));
                    let seen = running(gamma.len());
                    batch::eval(x, gamma, beta, &seen, EPS).into_dyn()
                },
                |p, dy| {
                    let (x, gamma) = (d2(&p[0]), d1(&p[1]));
                    let seen = running(gamma.len());
                    let (dx, dgamma, dbeta) =
                        batch::eval_vjp(x, gamma, &seen, EPS, d2(dy));
                    vec![dx.into_dyn(), dgamma.into_dyn(), dbeta.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x"],
            with: |_| json!({ "momentum": MOMENTUM }),
            ..Op::step("running_statistics", |p| {
                let mut seen = running(p[0].shape()[1]);
                seen.update(d2(&p[0]), MOMENTUM);
                stack![Axis(0), seen.mean, seen.variance].into_dyn()
            })
        },
        Op {
            inputs: &["x", "gamma", "beta"],
            sample: |s, Dims { b, i, o }| {
                let c = GROUPS * i;
                vec![s.normal(&[b, c, o]), s.normal(&[c]), s.normal(&[c])]
            },
            with: |_| json!({ "eps": EPS, "groups": GROUPS }),
            reference: FROM_A_LARGE_MEAN,
            ..Op::vjp(
                "group_norm",
                |p| {
                    let (x, gamma, beta) = (d3(&p[0]), d1(&p[1]), d1(&p[2]));
                    let (y, _) = group::forward(x, GROUPS, gamma, beta, EPS);
                    y.into_dyn()
                },
                |p, dy| {
                    let (x, gamma, beta) = (d3(&p[0]), d1(&p[1]), d1(&p[2]));
                    let (_, stats) =
                        group::forward(x, GROUPS, gamma, beta, EPS);
                    let (stats, dy) = (stats.view(), d3(dy));
                    let (dx, dgamma, dbeta) =
                        group::vjp(x, GROUPS, gamma, stats, dy);
                    vec![dx.into_dyn(), dgamma.into_dyn(), dbeta.into_dyn()]
                },
            )
        },
    ]
}

fn layer_norm<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x, gamma, beta] = up(dev, p);
    let dy = dev.upload(dy.view());
    let (y, stats) = dev.layer_norm(&x, &gamma, &beta, EPS);
    let (mut dgamma, mut dbeta) = (begun(dev, &gamma), begun(dev, &beta));
    let dx =
        dev.layer_norm_vjp(&x, &gamma, &stats, &dy, &mut dgamma, &mut dbeta);
    let alone = dev.layer_norm_vjp_input(&x, &gamma, &stats, &dy);
    assert_eq!(dev.read(&dx), dev.read(&alone), "layer_norm_vjp_input");
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx), added(dev, &dgamma), added(dev, &dbeta)],
        other: vec![dev.read(&stats)],
    }
}

fn rms_norm<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x, gamma] = up(dev, p);
    let dy = dev.upload(dy.view());
    let (y, stats) = dev.rms_norm(&x, &gamma, EPS);
    let mut dgamma = begun(dev, &gamma);
    let dx = dev.rms_norm_vjp(&x, &gamma, &stats, &dy, &mut dgamma);
    let alone = dev.rms_norm_vjp_input(&x, &gamma, &stats, &dy);
    assert_eq!(dev.read(&dx), dev.read(&alone), "rms_norm_vjp_input");
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx), added(dev, &dgamma)],
        other: vec![dev.read(&stats)],
    }
}
