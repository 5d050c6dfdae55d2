//! Softmax and its logarithm; cross-entropy from labels, from any targets and
//! of two classes.

use crate::kit::{d1, d2, nested, number, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::device::Device;
use backprop::network::softmax_cross_entropy::{self, IGNORE, binary};
use ndarray::{Array1, Array2, ArrayView2, arr0};
use serde_json::{Value, json};

/// Logits of 1e4 leave `lse` no more than 12 digits after the point, and
/// `x - lse` inherits that; so do the scores of attention.
pub const FROM_LSE: f64 = 1e-12;

/// τ of the softened softmax.
const TEMPERATURE: f64 = 2.5;

/// ε of label smoothing.
pub const SMOOTHING: f64 = 0.1;

pub fn rows() -> Vec<Op> {
    vec![
        Op::vjp(
            "softmax",
            |p| softmax_cross_entropy::forward(d2(&p[0])).into_dyn(),
            |p, dy| {
                let y = softmax_cross_entropy::forward(d2(&p[0]));
                vec![softmax_cross_entropy::vjp(y.view(), d2(dy)).into_dyn()]
            },
        ),
        Op {
            with: |_| json!({ "temperature": TEMPERATURE }),
            reference: 1e-12,
            ..Op::vjp(
                "softmax_tempered",
                |p| tempered(p).into_dyn(),
                |p, dy| {
                    let y = tempered(p);
                    let dx = softmax_cross_entropy::tempered_vjp(
                        y.view(),
                        TEMPERATURE,
                        d2(dy),
                    );
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            reference: FROM_LSE, // PyTorch's gradient is exp(x - lse)
            ..Op::vjp(
                "log_sum_exp",
                |p| softmax_cross_entropy::log_sum_exp(d2(&p[0])).into_dyn(),
                |p, dlse| {
                    let (x, dlse) = (d2(&p[0]), d1(dlse));
                    let dx = softmax_cross_entropy::log_sum_exp_vjp(x, dlse);
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            reference: FROM_LSE,
            ..Op::vjp(
                "log_softmax",
                |p| softmax_cross_entropy::log_softmax(d2(&p[0])).into_dyn(),
                |p, dy| {
                    let y = softmax_cross_entropy::log_softmax(d2(&p[0]));
                    let dx = softmax_cross_entropy::log_softmax_vjp(
                        y.view(),
                        d2(dy),
                    );
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            with: |p| constants(&labels(p[0].shape()), 0.0),
            reference: FROM_LSE,
            device: on_device!(
                |dev, p, dloss| on_device(dev, p, dloss, labels, 0.0),
                1e-5
            ),
            ..Op::vjp(
                "cross_entropy",
                |p| cross_entropy(p, labels, 0.0),
                |p, dloss| cross_entropy_vjp(p, dloss, labels, 0.0),
            )
        },
        Op {
            with: |p| constants(&labels(p[0].shape()), SMOOTHING),
            reference: FROM_LSE,
            device: on_device!(
                |dev, p, dloss| on_device(dev, p, dloss, labels, SMOOTHING),
                1e-5
            ),
            ..Op::vjp(
                "cross_entropy_smoothed",
                |p| cross_entropy(p, labels, SMOOTHING),
                |p, dloss| cross_entropy_vjp(p, dloss, labels, SMOOTHING),
            )
        },
        Op {
            with: |p| constants(&some_labels(p[0].shape()), SMOOTHING),
            reference: FROM_LSE,
            device: on_device!(
                |dev, p, dloss| on_device(
                    dev,
                    p,
                    dloss,
                    some_labels,
                    SMOOTHING
                ),
                1e-5
            ),
            ..Op::vjp(
                "cross_entropy_ignored",
                |p| cross_entropy(p, some_labels, SMOOTHING),
                |p, dloss| cross_entropy_vjp(p, dloss, some_labels, SMOOTHING),
            )
        },
        Op {
            with: |p| json!({ "targets": nested(&uneven_targets(d2(&p[0]))) }),
            reference: FROM_LSE,
            ..Op::vjp(
                "cross_entropy_any_target",
                |p| {
                    let t = uneven_targets(d2(&p[0]));
                    let (loss, _) = softmax_cross_entropy::cross_entropy(
                        d2(&p[0]),
                        t.view(),
                    );
                    arr0(loss).into_dyn()
                },
                |p, dloss| {
                    let t = uneven_targets(d2(&p[0]));
                    let (_, prob) = softmax_cross_entropy::cross_entropy(
                        d2(&p[0]),
                        t.view(),
                    );
                    let dx = softmax_cross_entropy::cross_entropy_vjp(
                        prob.view(),
                        t.view(),
                        dloss.sum(),
                    );
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            sample: |s, Dims { b, .. }| vec![s.normal(&[b])],
            with: |p| json!({ "targets": binary_targets(p[0].len()).to_vec() }),
            ..Op::vjp(
                "cross_entropy_binary",
                |p| {
                    let t = binary_targets(p[0].len());
                    let (loss, _) = binary::cross_entropy(d1(&p[0]), t.view());
                    arr0(loss).into_dyn()
                },
                |p, dloss| {
                    let t = binary_targets(p[0].len());
                    let (_, prob) = binary::cross_entropy(d1(&p[0]), t.view());
                    let (prob, dloss) = (prob.view(), dloss.sum());
                    let dx = binary::cross_entropy_vjp(prob, t.view(), dloss);
                    vec![dx.into_dyn()]
                },
            )
        },
    ]
}

fn tempered(p: &[A]) -> Array2<f64> {
    softmax_cross_entropy::tempered(d2(&p[0]), TEMPERATURE)
}

/// Labels for logits of a shape.
pub type Labels = fn(&[usize]) -> Vec<usize>;

/// Row `b` has label `(7b + 3) mod V`.
fn labels(x: &[usize]) -> Vec<usize> {
    (0..x[0]).map(|b| (7 * b + 3) % x[1]).collect()
}

/// [`labels`], of which every third is missing.
pub fn some_labels(x: &[usize]) -> Vec<usize> {
    let mut labels = labels(x);
    labels
        .iter_mut()
        .skip(1)
        .step_by(3)
        .for_each(|l| *l = IGNORE);
    labels
}

/// The constants of a case that has labels.
pub fn constants(labels: &[usize], smoothing: f64) -> Value {
    let labels = labels.iter().map(|l| (*l != IGNORE).then_some(*l));
    json!({ "labels": labels.collect::<Vec<_>>(), "smoothing": smoothing })
}

/// `t_bv = 1 + (b + 2v) mod 3`: rows that do not sum to one, nor to the same.
fn uneven_targets(x: ArrayView2<f64>) -> Array2<f64> {
    Array2::from_shape_fn(x.dim(), |(b, v)| 1.0 + ((b + 2 * v) % 3) as f64)
}

/// 0, ⅓, ⅔, 1, 0, …
fn binary_targets(n: usize) -> Array1<f64> {
    (0..n).map(|b| (b % 4) as f64 / 3.0).collect()
}

fn targets(x: &A, labels: Labels, smoothing: f64) -> Array2<f64> {
    let labels = labels(x.shape());
    softmax_cross_entropy::targets(&labels, x.shape()[1], smoothing)
}

fn cross_entropy(p: &[A], labels: Labels, smoothing: f64) -> A {
    let t = targets(&p[0], labels, smoothing);
    let (loss, _) = softmax_cross_entropy::cross_entropy(d2(&p[0]), t.view());
    arr0(loss).into_dyn()
}

fn cross_entropy_vjp(
    p: &[A],
    dloss: &A,
    labels: Labels,
    smoothing: f64,
) -> Vec<A> {
    let t = targets(&p[0], labels, smoothing);
    let (_, prob) = softmax_cross_entropy::cross_entropy(d2(&p[0]), t.view());
    let (prob, dloss) = (prob.view(), dloss.sum());
    let dx = softmax_cross_entropy::cross_entropy_vjp(prob, t.view(), dloss);
    vec![dx.into_dyn()]
}

fn on_device<D: Device>(
    dev: &D,
    p: &[A],
    dloss: &A,
    labels: Labels,
    smoothing: f64,
) -> Out {
    let [x] = up(dev, p);
    let labels = dev.upload_ids(&labels(p[0].shape()));
    let (loss, p) = dev.softmax_ce(x, &labels, smoothing);
    let probabilities = dev.read(&p);
    let dx = dev.softmax_ce_vjp(p, &labels, smoothing, dloss.sum());
    Out {
        y: number(dev, &loss),
        d: vec![dev.read(&dx)],
        other: vec![probabilities],
    }
}
