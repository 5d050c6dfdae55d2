//! Draws: log-probabilities of actions, the losses made of them, entropy and
//! divergences of policies.

use crate::kit::{d1, d2};
use crate::op::{A, Dims, Op};
use backprop::calculus::gradcheck::Sampler;
use backprop::discrete::reinforce;
use backprop::discrete::reinforce::kl::{self, Estimator};
use backprop::discrete::reinforce::ppo::{self, Drawn};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, arr0};
use serde_json::{Value, json};

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            with: drawn,
            reference: 1e-13,
            ..Op::vjp(
                "log_prob",
                |p| reinforce::log_prob(d2(&p[0]), &actions(p)).into_dyn(),
                |p, dy| {
                    let (pi, a) = (probabilities(p), actions(p));
                    let dx = reinforce::log_prob_vjp(pi.view(), &a, d1(dy));
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            with: advantages_too,
            reference: 1e-13,
            ..Op::vjp(
                "reinforce",
                |p| {
                    let advantages = numbers(p, 1.);
                    let x = d2(&p[0]);
                    number(reinforce::loss(x, &actions(p), advantages.view()))
                },
                |p, dy| {
                    let (a, advantages) = (actions(p), numbers(p, 1.));
                    let pi = probabilities(p);
                    let dx = reinforce::loss_vjp(
                        pi.view(),
                        &a,
                        advantages.view(),
                        dy.sum(),
                    );
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            with: |p| {
                let r = rewards(p);
                json!({ "r": r.rows().into_iter().map(|r| r.to_vec())
                    .collect::<Vec<_>>() })
            },
            reference: 1e-13,
            ..Op::vjp(
                "mean_reward",
                |p| {
                    let r = rewards(p);
                    reinforce::mean_reward(d2(&p[0]), r.view()).into_dyn()
                },
                |p, dj| {
                    let (pi, r) = (probabilities(p), rewards(p));
                    let (pi, r) = (pi.view(), r.view());
                    let dx = reinforce::mean_reward_vjp(pi, r, d1(dj));
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            reference: 1e-13,
            ..Op::vjp(
                "entropy",
                |p| reinforce::entropy(d2(&p[0])).into_dyn(),
                |p, dh| {
                    let log_p = softmax::log_softmax(d2(&p[0]));
                    let dx = reinforce::entropy_vjp(log_p.view(), d1(dh));
                    vec![dx.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["x", "y"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[b, i])]
            },
            reference: 1e-12,
            ..Op::vjp(
                "divergence",
                |p| kl::divergence(d2(&p[0]), d2(&p[1])).into_dyn(),
                |p, d| {
                    let log_p = softmax::log_softmax(d2(&p[0]));
                    let log_q = softmax::log_softmax(d2(&p[1]));
                    let (dx, dy) =
                        kl::divergence_vjp(log_p.view(), log_q.view(), d1(d));
                    vec![dx.into_dyn(), dy.into_dyn()]
                },
            )
        },
        estimate(
            "kl_k1",
            |p| estimated(p, K1),
            |p, d| estimated_vjp(p, d, K1),
        ),
        estimate(
            "kl_k2",
            |p| estimated(p, K2),
            |p, d| estimated_vjp(p, d, K2),
        ),
        estimate(
            "kl_k3",
            |p| estimated(p, K3),
            |p, d| estimated_vjp(p, d, K3),
        ),
        clipped("ppo", |p| ppo_loss(p, 0.), |p, d| ppo_vjp(p, d, 0.)),
        clipped("grpo", |p| ppo_loss(p, BETA), |p, d| ppo_vjp(p, d, BETA)),
    ]
}

const K1: Estimator = Estimator::K1;
const K2: Estimator = Estimator::K2;
const K3: Estimator = Estimator::K3;

/// β of GRPO's row.
const BETA: f64 = 0.3;

/// ε of the clipped rows.
const EPS: f64 = 0.2;

fn number(v: f64) -> A {
    arr0(v).into_dyn()
}

fn probabilities(p: &[A]) -> ndarray::Array2<f64> {
    softmax::forward(d2(&p[0]))
}

/// An action for each row, one after another.
fn actions(p: &[A]) -> Vec<usize> {
    let k = p[0].shape()[1];
    (0..p[0].shape()[0]).map(|n| (2 * n + 1) % k).collect()
}

/// A constant for each row, of both signs.
fn numbers(p: &[A], size: f64) -> Array1<f64> {
    let n = p[0].shape()[0];
    Array1::from_shape_fn(n, |n| size * (0.7 - 0.9 * ((n * 5 % 7) as f64) / 2.))
}

/// A constant for each logit.
fn rewards(p: &[A]) -> ndarray::Array2<f64> {
    let shape = (p[0].shape()[0], p[0].shape()[1]);
    ndarray::Array2::from_shape_fn(shape, |(n, k)| {
        ((3 * n + 5 * k) % 7) as f64 / 2. - 1.
    })
}

fn drawn(p: &[A]) -> Value {
    json!({ "a": actions(p) })
}

fn advantages_too(p: &[A]) -> Value {
    json!({ "a": actions(p), "advantages": numbers(p, 1.).to_vec() })
}

fn estimate(
    name: &'static str,
    forward: crate::op::Forward,
    vjp: crate::op::Vjp,
) -> Op {
    Op {
        with: |p| json!({ "a": actions(p), "log_q": log_q(p).to_vec() }),
        reference: 1e-12,
        ..Op::vjp(name, forward, vjp)
    }
}

/// Logarithms of the other policy's probabilities.
fn log_q(p: &[A]) -> Array1<f64> {
    numbers(p, 0.4) - 1.2
}

fn estimated(p: &[A], of: Estimator) -> A {
    let log_q = log_q(p);
    kl::estimate(d2(&p[0]), log_q.view(), &actions(p), of).into_dyn()
}

fn estimated_vjp(p: &[A], d: &A, of: Estimator) -> Vec<A> {
    let (log_p, log_q) = (softmax::log_softmax(d2(&p[0])), log_q(p));
    let (a, d) = (actions(p), d1(d));
    let dx = kl::estimate_vjp(log_p.view(), log_q.view(), &a, of, d);
    vec![dx.into_dyn()]
}

/// Rows whose ratios lie away from the two ends of the clip.
fn clipped(
    name: &'static str,
    forward: crate::op::Forward,
    vjp: crate::op::Vjp,
) -> Op {
    Op {
        sample: |s: &mut Sampler, Dims { b, i, .. }| {
            let mut x = s.normal(&[b, i]);
            let near = |x: &A| {
                let p = std::slice::from_ref(x);
                let now = reinforce::log_prob(d2(x), &actions(p));
                let ratios = (now - numbers(p, 0.4) + 1.2).exp();
                let off = |r: &f64, end: f64| (r - end).abs() < 0.02;
                ratios.iter().any(|r| off(r, 1. - EPS) || off(r, 1. + EPS))
            };
            while near(&x) {
                x = s.normal(&[b, i]);
            }
            vec![x]
        },
        with: |p| {
            json!({
                "a": actions(p),
                "advantages": numbers(p, 1.).to_vec(),
                "old": log_q(p).to_vec(),
                "reference": (numbers(p, -0.3) - 0.9).to_vec(),
                "weights": weights(p).to_vec(),
            })
        },
        reference: 1e-12,
        ..Op::vjp(name, forward, vjp)
    }
}

/// Rows of an answer of one token and another of the rest.
fn weights(p: &[A]) -> Array1<f64> {
    match p[0].shape()[0] {
        1 => ppo::per_token(&[1]),
        n => ppo::per_sequence(&[1, n - 1]),
    }
}

fn with_drawn<R>(p: &[A], beta: f64, f: impl FnOnce(Drawn) -> R) -> R {
    let (actions, reference) = (actions(p), numbers(p, -0.3) - 0.9);
    let (old, advantages, weights) = (log_q(p), numbers(p, 1.), weights(p));
    f(Drawn {
        actions: &actions,
        old: old.view(),
        reference: reference.view(),
        advantages: advantages.view(),
        weights: weights.view(),
        eps: EPS,
        beta,
    })
}

fn ppo_loss(p: &[A], beta: f64) -> A {
    with_drawn(p, beta, |of| number(ppo::loss(d2(&p[0]), of)))
}

fn ppo_vjp(p: &[A], dy: &A, beta: f64) -> Vec<A> {
    let pi = probabilities(p);
    let dx = with_drawn(p, beta, |of| ppo::loss_vjp(pi.view(), of, dy.sum()));
    vec![dx.into_dyn()]
}
