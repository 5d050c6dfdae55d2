//! The exam of the score function.
//!
//! No task is graded by statistics. Where an answer draws, it is handed the
//! uniform numbers; where it estimates, it is called with every outcome, and
//! what it returns is summed with the outcomes' probabilities.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    BASELINE_OF_ACTION, DISCOUNT_FORGOTTEN, IMMEDIATE_REWARD, KL_K1_AS_LOSS,
    KL_K3_AS_LOSS, LOSS_AS_MEASURE, NAMES, OWN_MEAN_BASELINE,
    REINFORCE_MEAN_LOGP, REINFORCE_NO_DETACH, REWARD_SHIFTED,
    SAMPLE_DIFFERENTIATED, SCORE_OF_PROBABILITY,
};
use crate::judge::{
    Cases, Hunt, Inputs, Observation, Shapes, Special, TOLERANCE, Then, Two,
    Value, Vjp, predict, show,
};
use crate::network::softmax_cross_entropy::mistakes::{
    EPSILON_IN_LOG, LOG_OF_ZERO,
};
use crate::recurrent::bptt::mistakes::TIME_NOT_TURNED_BACK;
use crate::verdict::Verdict;
use crate::{Exercise, Sampler, arrays};
use backprop::discrete::reinforce::world::{Course, World};
use backprop::discrete::reinforce::{self, bernoulli, kl, returns};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, arr0};

/// The exercise of the score function.
pub const EXERCISE: Exercise = Exercise {
    slug: "discrete/reinforce",
    title: "The score function",
    minutes: 90,
    tasks: tasks::TASKS,
    names: NAMES,
};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;

/// `fn(theta, b, u) -> (mean, standard error)`.
pub type Bernoulli = fn(f64, f64, V) -> (f64, f64);

/// `fn(x, a, r, v, dloss) -> dx`.
pub type LossVjp = fn(M, &[usize], V, M, f64) -> Array2<f64>;

/// `fn(r) -> advantages`.
pub type LeaveOneOut = fn(M) -> Array2<f64>;

/// `fn(r, v, next, ended, gamma, lambda) -> advantages`.
pub type Gae = fn(V, V, f64, &[bool], f64, f64) -> Array1<f64>;

/// `fn(x, a, old, advantages, eps, bonus, dloss) -> dx`.
pub type ClippedVjp = fn(M, &[usize], V, V, f64, f64, f64) -> Array2<f64>;

/// `fn(x, y, a) -> an estimate of the gradient with respect to x`.
pub type Divergence = fn(V, V, usize) -> Array1<f64>;

/// `fn(x, a, r, dloss) -> dx`.
pub type OwnBaseline = fn(M, &[usize], M, f64) -> Array2<f64>;

/// `fn(x, a, r) -> an estimate of the gradient with respect to x`.
pub type Episode = fn(M, &[usize], V) -> Array2<f64>;

/// A derivative, which baselines are allowed, what three steps are credited
/// with, what three losses are the gradient of, a loss of 0.
pub type Before = (
    Option<f64>,
    Option<[bool; 5]>,
    Option<[f64; 3]>,
    Option<[u8; 3]>,
    Option<[bool; 2]>,
);

/// Five predictions, in this order.
pub static BEFORE_CODING: Special<Before> = Special(before_coding);

fn before_coding(
    (slope, baselines, credit, losses, zero): Before,
    _seed: u64,
) -> Verdict {
    let why = "The slope is σ(1 - σ), and σ(ln 3) is 3/4. A baseline may know \
               all but its own draw. A reward is worth γ of itself a step \
               earlier. The draw held fixed, k1 has the slope 1 in ln π, which \
               times the score has the mean 0. The value of the loss is that \
               of its advantages, which sum to 0; the scores do not.";
    let passed = |v: &Verdict| matches!(v, Verdict::Passed { .. });
    let verdicts = [
        predict(
            "the derivative at θ = ln 3",
            slope,
            0.1875,
            &[
                (0.28125, &SAMPLE_DIFFERENTIATED),
                (0.375, &SAMPLE_DIFFERENTIATED),
                (1., &SCORE_OF_PROBABILITY),
            ],
            why,
        ),
        predict(
            "which baselines leave the mean as it is",
            baselines,
            [true, true, true, false, false],
            &[
                ([true, true, true, true, false], &OWN_MEAN_BASELINE),
                ([true, true, true, false, true], &BASELINE_OF_ACTION),
                ([true, true, true, true, true], &BASELINE_OF_ACTION),
            ],
            why,
        ),
        predict(
            "what the three steps are credited with",
            credit,
            [1.5, 3., 6.],
            &[
                ([6., 6., 6.], &DISCOUNT_FORGOTTEN),
                ([0., 0., 6.], &IMMEDIATE_REWARD),
                ([6., 3., 1.5], &TIME_NOT_TURNED_BACK),
                ([3., 6., 0.], &REWARD_SHIFTED),
            ],
            why,
        ),
        predict(
            "the mean gradients of k1, k2 and k3",
            losses,
            [3, 1, 2],
            &[
                ([1, 1, 2], &KL_K1_AS_LOSS),
                ([3, 1, 1], &KL_K3_AS_LOSS),
                ([3, 2, 1], &KL_K3_AS_LOSS),
            ],
            why,
        ),
        predict(
            "whether the loss, and its gradient, is 0",
            zero,
            [true, false],
            &[([true, true], &LOSS_AS_MEASURE)],
            why,
        ),
    ];
    let mut verdicts = verdicts.into_iter();
    let failed = verdicts.clone().find(|v| !passed(v));
    failed.unwrap_or_else(|| verdicts.next_back().expect("five"))
}

// ---- one bit ----------------------------------------------------------------

/// Mean and standard error of what each draw of the node gives.
fn estimated(i: &Inputs, of: impl Fn(f64) -> f64) -> [f64; 2] {
    let theta = i.number("theta");
    let draws = i.vector("u");
    let all = draws.iter().map(|u| of(bernoulli::draw(theta, *u)));
    let all: Array1<f64> = all.collect();
    let n = all.len() as f64;
    let mean = all.sum() / n;
    let variance = (&all - mean).pow2().sum() / (n - 1.);
    [mean, (variance / n).sqrt()]
}

/// The estimate of a derivative from draws of one bit.
pub static BERNOULLI: Value<Bernoulli> = Value {
    outputs: &["mean", "error"],
    against: "its formula",
    right: |i| {
        let (theta, b) = (i.number("theta"), i.number("b"));
        let [mean, error] = estimated(i, |z| bernoulli::estimate(theta, b, z));
        arrays![mean, error]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (mean, error) = f(i.number("theta"), i.number("b"), i.vector("u"));
        arrays![mean, error]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, theta: f64, n: usize| {
            // Numbers that lie in [0, 1), spread so that both values occur.
            let shift = draw.between(0.01, 0.99);
            let u = Array1::from_shape_fn(n, |k| {
                (shift + 0.618_033_988_7 * (k + 1) as f64).fract()
            });
            let i = Inputs::default().with("theta", theta);
            let i = i.with("b", draw.between(0.1, 0.9));
            // Shown in full, and not varied: there are two draws at least.
            let text = format!("u {}", show(&u.clone().into_dyn()));
            i.shown("u", u, text)
        };
        let thetas = [0.4, -0.7, 1.3, -1.1];
        let usual = [5, 8, 13, 6].iter().zip(thetas);
        let usual = usual.map(|(n, theta)| case(draw, theta, *n)).collect();
        let mut rare = vec![];
        for (theta, n) in [
            (0., 2),
            (0., 7),
            (3f64.ln(), 12),
            (40., 5),
            (-40., 5),
            (2.2, 30),
            (-2.2, 30),
            // So far out that an exponential overflows.
            (800., 4),
            (-800., 4),
            // More of both values than fit in 16 bits.
            (0.3, 200_000),
        ] {
            rare.push(case(draw, theta, n));
        }
        let mut without = case(draw, 0.6, 9);
        without.array_mut("b").fill(0.);
        let mut below = case(draw, -0.6, 9);
        below.array_mut("b").fill(-2.);
        let mut zero = case(draw, 0.2, 6);
        zero.array_mut("u")[0] = 0.;
        let mut tie = case(draw, 0., 6);
        tie.array_mut("u")[0] = 0.5;
        // Below a σ that is 0 to sixteen digits, and not 0.
        let mut below_little = case(draw, -40., 5);
        below_little.array_mut("u")[0] = 0.;
        rare.extend([without, below, zero, tie, below_little]);
        // All draws alike: the error is 0, and not the root of what rounding
        // leaves.
        for (theta, n) in [(1.3, 7), (1.1, 11), (0.7, 23), (0.9, 30)] {
            let mut alike = case(draw, theta, n);
            alike.array_mut("u").mapv_inplace(|u| u * 0.6);
            rare.push(alike);
        }
        Cases::new(usual, rare)
    },
    wrong: mistakes::BERNOULLI,
    symptom: None,
};

// ---- the loss ----------------------------------------------------------------

/// Rows and actions.
const SHAPES: Shapes<2> = Shapes {
    usual: &[[2, 3], [5, 4], [4, 2], [3, 3], [6, 5]],
    small: &[[1, 1], [1, 2], [1, 4], [3, 1]],
    ties: Some([4, 3]),
    many: ([11, 9], 1.),
};

/// The same inputs and an action for each row; they are not all alike.
fn with_actions(draw: &mut Sampler, i: Inputs) -> Inputs {
    let (n, k) = i.matrix("x").dim();
    let mut first = draw.below(k);
    if k > 256 {
        // More than a byte holds.
        first = k - 3;
    }
    let a: Vec<_> = (0..n).map(|n| (first + n * n) % k).collect();
    let text = format!("a {a:?}");
    let a: Array1<f64> = a.iter().map(|a| *a as f64).collect();
    i.shown("a", a, text)
}

/// `-(1/N)·Σ A_n·ln π_n(a_n)`, the advantages and the logarithms given.
fn loss_of(i: &Inputs, advantage: impl Fn(usize) -> f64, log_p: M) -> f64 {
    let a = i.wholes("a");
    let terms = a.iter().enumerate();
    let sum: f64 = terms.map(|(n, a)| advantage(n) * log_p[[n, *a]]).sum();
    -sum / a.len() as f64
}

fn log_policy(i: &Inputs) -> Array2<f64> {
    softmax::log_softmax(i.matrix("x"))
}

fn scalar(v: f64) -> ArrayD<f64> {
    arr0(v).into_dyn()
}

/// The loss with `r_n - v_n` for each row.
fn with_values(i: &Inputs) -> ArrayD<f64> {
    let (r, v) = (i.vector("r"), i.matrix("v"));
    scalar(loss_of(i, |n| r[n] - v[[n, 0]], log_policy(i).view()))
}

/// The gradient of REINFORCE's loss with a baseline for each row.
pub static LOSS_VJP: Vjp<LossVjp> = Vjp {
    forward: with_values,
    cotangent: "dloss",
    gradients: &[("dx", "x")],
    call: |f, i| {
        let (x, r, v) = (i.matrix("x"), i.vector("r"), i.matrix("v"));
        arrays![f(x, &i.wholes("a"), r, v, i.number("dloss"))]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, [n, k]: [usize; 2]| {
            let i = draw.inputs(&[("x", &[n, k])]);
            let i = with_actions(draw, i);
            let i = i.with("r", draw.vector(n)).with("v", draw.matrix(n, 1));
            i.with("dloss", draw.number())
        };
        let mut cases = Cases::of(draw, &SHAPES, case);
        // A single decision is usual.
        cases
            .usual
            .push(vec![case(draw, [1, 3]), case(draw, [1, 4])]);
        // A policy that is nearly certain, a large reward, rewards all alike.
        let mut certain = case(draw, [3, 4]);
        *certain.array_mut("x") *= 12.;
        let mut rewarded = case(draw, [4, 3]);
        *rewarded.array_mut("r") *= 1e4;
        let mut alike = case(draw, [4, 3]);
        alike.array_mut("r").fill(1.5);
        // Rows far below the others, and probabilities that round to 0.
        let mut apart = case(draw, [4, 3]);
        for (n, mut row) in apart.array_mut("x").outer_iter_mut().enumerate() {
            for (k, x) in row.iter_mut().enumerate() {
                *x -= [0., 800. + 100. * k as f64][n % 2];
            }
        }
        cases.rare.extend([certain, rewarded, alike, apart]);
        cases
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::LOSS,
};

// ---- advantages ----------------------------------------------------------------

static LEAVE_ONE_OUT: Value<LeaveOneOut> = Value {
    outputs: &["advantages"],
    against: "its formula",
    right: |i| arrays![returns::leave_one_out(i.matrix("r"))],
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.matrix("r"))],
    cases: |draw| {
        let shapes = Shapes {
            usual: &[[4, 3], [2, 5], [3, 4], [5, 2], [3, 3]],
            small: &[[1, 2], [1, 4], [6, 2]],
            ties: Some([3, 4]),
            many: ([11, 9], 20.),
        };
        // Shown in full, and not varied: a group has two at least.
        let shown = |r: ArrayD<f64>| {
            let text = format!("r {}", show(&r));
            Inputs::default().shown("r", r, text)
        };
        let mut cases =
            Cases::of(draw, &shapes, |draw, s| shown(draw.dynamic(&s)));
        // Only right or wrong, and all alike.
        let told = draw.dynamic(&[3, 4]).mapv(|r| f64::from(r > 0.));
        let (alike, large) = (told.mapv(|_| 1.), draw.dynamic(&[4, 3]) * 1e6);
        cases.rare.extend([told, alike, large].map(shown));
        cases
    },
    wrong: mistakes::GROUP,
    symptom: None,
};

/// Whether each step ended its episode.
fn ends(i: &Inputs) -> Vec<bool> {
    i.array("ended").iter().map(|e| *e != 0.).collect()
}

static GAE: Value<Gae> = Value {
    outputs: &["gae"],
    against: "its formula",
    right: |i| {
        let (r, v, ended) = (i.vector("r"), i.vector("v"), ends(i));
        let next = i.number("next");
        let (gamma, lambda) = (i.number("gamma"), i.number("lambda"));
        arrays![returns::gae(r, v, next, &ended, gamma, lambda)]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (r, v, ended) = (i.vector("r"), i.vector("v"), ends(i));
        let next = i.number("next");
        let (gamma, lambda) = (i.number("gamma"), i.number("lambda"));
        arrays![f(r, v, next, &ended, gamma, lambda)]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, t: usize, ended: &[usize]| {
            let i = draw.inputs(&[("r", &[t]), ("v", &[t])]);
            let i = i.with("next", draw.number());
            let mut ends = Array1::zeros(t);
            let mut text = vec![false; t];
            for end in ended {
                ends[*end] = 1.;
                text[*end] = true;
            }
            let i = i.shown("ended", ends, format!("ended {text:?}"));
            let i = i.with("gamma", draw.between(0.6, 0.95));
            i.with("lambda", draw.between(0.5, 0.9))
        };
        let usual = vec![
            case(draw, 4, &[1]),
            case(draw, 5, &[2]),
            case(draw, 6, &[1, 3]),
            case(draw, 3, &[]),
        ];
        let mut rare = vec![
            case(draw, 1, &[]),
            case(draw, 1, &[0]),
            case(draw, 2, &[1]),
            case(draw, 5, &[0, 1, 2, 3, 4]),
            case(draw, 12, &[4, 11]),
            case(draw, 300, &[100]),
        ];
        // A long record whose beginning hangs on its end.
        let mut long = case(draw, 700, &[]);
        for name in ["gamma", "lambda"] {
            long.array_mut(name).fill(1.);
        }
        rare.push(long);
        for (name, value) in [
            ("lambda", 0.),
            ("lambda", 1.),
            ("gamma", 1.),
            ("gamma", 0.),
            ("next", 0.),
            ("v", 0.),
            ("r", 0.),
            ("r", 1.),
        ] {
            let mut i = case(draw, 5, &[1]);
            i.array_mut(name).fill(value);
            rare.push(i);
        }
        Cases::new(usual, rare)
    },
    wrong: mistakes::GAE,
    symptom: None,
};

/// The baseline of a group, and generalised advantages.
pub static ADVANTAGES: Two<LeaveOneOut, Gae> = Two(&LEAVE_ONE_OUT, &GAE);

// ---- a policy that has moved ------------------------------------------------------

/// The clipped loss with an entropy bonus, whose gain for a ratio, an advantage
/// and `ε`, and whose bonus for each row, are given.
fn clipped_with(
    i: &Inputs,
    gain: impl Fn(f64, f64, f64) -> f64,
    bonus: impl Fn(&Inputs, M) -> f64,
) -> ArrayD<f64> {
    let (log_p, old) = (log_policy(i), i.vector("old"));
    let (advantages, eps) = (i.vector("advantages"), i.number("eps"));
    let a = i.wholes("a");
    let gains = a.iter().enumerate().map(|(n, a)| {
        gain((log_p[[n, *a]] - old[n]).exp(), advantages[n], eps)
    });
    let sum: f64 = gains.sum();
    let n = a.len() as f64;
    scalar(-sum / n - i.number("bonus") * bonus(i, log_p.view()))
}

fn smaller(ratio: f64, a: f64, eps: f64) -> f64 {
    (ratio * a).min(ratio.clamp(1. - eps, 1. + eps) * a)
}

/// The mean entropy of the rows.
fn mean_entropy(_: &Inputs, log_p: M) -> f64 {
    -(log_p.exp() * log_p).sum() / log_p.nrows() as f64
}

/// Rows with ratios on all sides of both ends, and advantages of both signs.
fn clipped_case(draw: &mut Sampler, [n, k]: [usize; 2]) -> Inputs {
    let i = draw.inputs(&[("x", &[n, k])]);
    let i = with_actions(draw, i);
    let eps = [0.1, 0.3, 0.5][(n + k) % 3];
    let (first, log_p, a) = (draw.below(2), log_policy(&i), i.wholes("a"));
    let mut advantages = draw.vector(n).mapv(f64::abs);
    let mut old = Array1::zeros(n);
    for n in 0..n {
        // Above, below and between the ends the signs take turns: six rows have
        // all of it.
        if (n / 3 + first) % 2 == 1 {
            advantages[n] *= -1.;
        }
        let ratio: f64 = match n % 3 {
            0 => draw.between(1. + eps + 0.05, 1. + 2. * eps),
            1 => draw.between(1. - 1.8 * eps, 1. - eps - 0.05),
            // Now here, now there, not far from an end.
            2 if n % 2 == 0 => draw.between(1.02, 1. + eps - 0.03),
            _ => draw.between(1. - eps + 0.03, 0.98),
        };
        old[n] = log_p[[n, a[n]]] - ratio.ln();
    }
    let i = i.with("old", old).with("advantages", advantages);
    let i = i.with("eps", eps).with("bonus", draw.between(0.2, 0.9));
    i.with("dloss", draw.number())
}

/// The gradient of PPO's loss with an entropy bonus.
pub static CLIPPED_VJP: Vjp<ClippedVjp> = Vjp {
    forward: |i| clipped_with(i, smaller, mean_entropy),
    cotangent: "dloss",
    gradients: &[("dx", "x")],
    call: |f, i| {
        let (x, a) = (i.matrix("x"), i.wholes("a"));
        let (old, advantages) = (i.vector("old"), i.vector("advantages"));
        let (eps, bonus) = (i.number("eps"), i.number("bonus"));
        arrays![f(x, &a, old, advantages, eps, bonus, i.number("dloss"))]
    },
    cases: |draw| {
        let shapes = Shapes {
            usual: &[[6, 3], [7, 4], [8, 2], [6, 6]],
            small: &[[1, 1], [1, 3], [2, 2], [4, 1]],
            ties: None,
            many: ([13, 9], 1.),
        };
        let mut cases = Cases::of(draw, &shapes, clipped_case);
        for name in ["advantages", "bonus"] {
            let mut i = clipped_case(draw, [6, 3]);
            i.array_mut(name).fill(0.);
            cases.rare.push(i);
        }
        // The policy that drew: all ratios are 1.
        let mut on_policy = clipped_case(draw, [4, 3]);
        let (log_p, a) = (log_policy(&on_policy), on_policy.wholes("a"));
        for (n, old) in on_policy.array_mut("old").iter_mut().enumerate() {
            *old = log_p[[n, a[n]]];
        }
        // Ratios far from 1, a policy of equal logits, and one that is nearly
        // certain.
        let mut far = clipped_case(draw, [6, 3]);
        for (n, old) in far.array_mut("old").iter_mut().enumerate() {
            *old += if n % 2 == 0 { -3. } else { 3. };
        }
        let mut even = clipped_case(draw, [6, 3]);
        let before = log_policy(&even);
        even.array_mut("x").fill(0.);
        let (after, a) = (log_policy(&even), even.wholes("a"));
        for (n, old) in even.array_mut("old").iter_mut().enumerate() {
            *old += after[[n, a[n]]] - before[[n, a[n]]];
        }
        cases.rare.extend([on_policy, far, even]);
        // Ratios just inside of both ends, and just outside.
        for k in 2..5 {
            let mut near = clipped_case(draw, [8, k]);
            let (log_p, a) = (log_policy(&near), near.wholes("a"));
            let eps = near.number("eps");
            for (n, old) in near.array_mut("old").iter_mut().enumerate() {
                let end = [1. - eps, 1. + eps][n % 2];
                let ratio = end + [0.003, -0.003][n / 2 % 2];
                *old = log_p[[n, a[n]]] - f64::ln(ratio);
            }
            let all = near.array_mut("advantages").iter_mut().enumerate();
            all.for_each(|(n, v)| *v = v.abs() * [1., -1.][n / 4]);
            cases.rare.push(near);
        }
        // Probabilities that round to 0, of actions that were not drawn, and a
        // row far below the others, whose action is certain.
        let mut certain = clipped_case(draw, [6, 3]);
        let before = log_policy(&certain);
        for (n, a) in certain.wholes("a").into_iter().enumerate() {
            let mut x = certain.array_mut("x").index_axis_mut(Axis(0), n);
            x[(a + 1) % 3] -= 800.;
            if n == 5 {
                x -= 900.;
                x[a] += 100.;
            }
        }
        let (after, a) = (log_policy(&certain), certain.wholes("a"));
        for (n, old) in certain.array_mut("old").iter_mut().enumerate() {
            *old += after[[n, a[n]]] - before[[n, a[n]]];
        }
        cases.rare.push(certain);
        cases
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::CLIPPED,
};

// ---- a divergence --------------------------------------------------------------

/// The mean of an estimate over all actions of the policy `x`.
fn mean_over_actions(
    i: &Inputs,
    of: impl Fn(usize) -> Array1<f64>,
) -> ArrayD<f64> {
    let x = i.vector("x");
    let p = softmax::forward(x.insert_axis(Axis(0)));
    let mut sum = Array1::<f64>::zeros(x.len());
    for (a, p) in p.iter().enumerate() {
        let g = of(a);
        if g.len() != sum.len() {
            return g.into_dyn();
        }
        sum += &(g * *p);
    }
    sum.into_dyn()
}

/// Log-probabilities of the policy and of the reference, a row each.
fn two_policies(i: &Inputs) -> [Array1<f64>; 2] {
    ["x", "y"].map(|name| {
        let row = i.vector(name).insert_axis(Axis(0));
        softmax::log_softmax(row).index_axis_move(Axis(0), 0)
    })
}

/// The gradient of a divergence, estimated from one action; then far from the
/// reference.
pub static DIVERGENCE: Then<Divergence> = Then {
    first: &USUAL_DIVERGENCE,
    second: &FAR_DIVERGENCE,
    named_later: &[&EPSILON_IN_LOG],
};

/// A reference that rounds to 0.
static FAR_DIVERGENCE: Value<Divergence> = Value {
    cases: |draw| {
        let mut case = |k: usize| {
            let mut i = draw.inputs(&[("x", &[k]), ("y", &[k])]);
            i.array_mut("y")[1] -= 800.;
            i
        };
        Cases::new(vec![case(3), case(4)], vec![])
    },
    wrong: mistakes::FAR_DIVERGENCE,
    symptom: Some(|seen| {
        let wild = |g: &ArrayD<f64>| g.iter().any(|v| !v.is_finite());
        let all = |o: &Observation| o.got.as_ref().is_ok_and(wild);
        seen.iter().all(all).then_some(&LOG_OF_ZERO)
    }),
    ..DIVERGENCE_IS
};

static USUAL_DIVERGENCE: Value<Divergence> = DIVERGENCE_IS;

const DIVERGENCE_IS: Value<Divergence> = Value {
    outputs: &["the mean over all actions"],
    against: "the gradient of the divergence, summed over all actions",
    right: |i| {
        let [p, q] = two_policies(i).map(|p| p.insert_axis(Axis(0)));
        let one = ndarray::arr1(&[1.]);
        let (dx, _) = kl::divergence_vjp(p.view(), q.view(), one.view());
        arrays![dx.index_axis_move(Axis(0), 0)]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (x, y) = (i.vector("x"), i.vector("y"));
        vec![mean_over_actions(i, |a| f(x, y, a))]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, k: usize| {
            draw.inputs(&[("x", &[k]), ("y", &[k])])
        };
        let usual = [3, 4, 2, 5].map(|k| case(draw, k)).to_vec();
        let mut rare: Vec<_> = [1, 2, 9, 40].map(|k| case(draw, k)).to_vec();
        for name in ["x", "y"] {
            let mut i = case(draw, 3);
            i.array_mut(name).fill(0.);
            rare.push(i);
        }
        let mut same = case(draw, 4);
        let x = same.array("x").clone();
        same.array_mut("y").assign(&x);
        let mut sharp = case(draw, 4);
        *sharp.array_mut("x") *= 6.;
        // A constant on all logits changes no policy.
        let mut shifted = case(draw, 3);
        *shifted.array_mut("x") += 800.;
        rare.extend([same, sharp, shifted]);
        Cases::new(usual, rare)
    },
    wrong: mistakes::DIVERGENCE,
    symptom: None,
};

// ---- hunts ------------------------------------------------------------------------

/// The loss with the policy's own mean reward as baseline, which is held fixed.
fn with_own_mean(i: &Inputs) -> ArrayD<f64> {
    let (r, b, a) = (i.matrix("r"), i.vector("b"), i.wholes("a"));
    scalar(loss_of(i, |n| r[[n, a[n]]] - b[n], log_policy(i).view()))
}

static OWN_BASELINE: Vjp<OwnBaseline> = Vjp {
    forward: with_own_mean,
    cotangent: "dloss",
    gradients: &[("dx", "x")],
    call: |f, i| {
        let (x, r) = (i.matrix("x"), i.matrix("r"));
        arrays![f(x, &i.wholes("a"), r, i.number("dloss"))]
    },
    cases: |draw| {
        // The cotangent comes first: what is moved a little to see whether an
        // answer remembers must not move the baseline.
        let case = |draw: &mut Sampler, [n, k]: [usize; 2]| {
            let i = Inputs::default().with("dloss", draw.number());
            let i = i.with("x", draw.matrix(n, k));
            let i = i.with("r", draw.matrix(n, k));
            with_actions(draw, i)
        };
        let shapes = Shapes {
            usual: &[[2, 3], [3, 4], [4, 2], [3, 3]],
            ..SHAPES
        };
        let cases = Cases::of(draw, &shapes, case);
        cases.each(|i| {
            let b = reinforce::mean_reward(i.matrix("x"), i.matrix("r"));
            i.shown("b", b, "")
        })
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::OWN_BASELINE,
};

/// A baseline that was not held fixed, then the mended gradient.
pub static FIND_THE_PATH: Hunt<OwnBaseline> = Hunt {
    planted: &REINFORCE_NO_DETACH,
    among: NAMES,
    mended: &OWN_BASELINE,
};

/// A tree: every course of actions leads to a state of its own.
fn tree(i: &Inputs) -> World {
    let reward = i.matrix("r").to_owned();
    let (states, k) = reward.dim();
    World {
        start: 0,
        next: Array2::from_shape_fn((states, k), |(s, a)| {
            let child = s * k + 1 + a;
            if child < states { child } else { 0 }
        }),
        reward,
        steps: i.whole("steps") as usize,
    }
}

/// The mean of an estimate over all courses: a row for each state.
fn mean_over_courses(
    i: &Inputs,
    of: impl Fn(&Course) -> Array2<f64>,
) -> ArrayD<f64> {
    let x = i.matrix("x");
    let mut sum = Array2::<f64>::zeros(x.dim());
    for course in tree(i).courses(x) {
        let g = of(&course);
        if g.dim() != (course.states.len(), x.ncols()) {
            return g.into_dyn();
        }
        for (s, g) in course.states.iter().zip(g.rows()) {
            sum.row_mut(*s).scaled_add(course.probability, &g);
        }
    }
    sum.into_dyn()
}

static EPISODE: Value<Episode> = Value {
    outputs: &["the mean over all courses"],
    against: "the gradient of the mean return, summed over all courses",
    right: |i| arrays![tree(i).gradient(i.matrix("x"), 1.)],
    tolerance: TOLERANCE,
    call: |f, i| {
        let x = i.matrix("x");
        vec![mean_over_courses(i, |c| {
            let visited = x.select(Axis(0), &c.states);
            f(visited.view(), &c.actions, ArrayView1::from(&c.rewards))
        })]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, [t, k]: [usize; 2]| {
            let states = (0..t as u32).map(|t| k.pow(t)).sum();
            let i = draw.inputs(&[("x", &[states, k]), ("r", &[states, k])]);
            i.shown("steps", t as f64, format!("T = {t}"))
        };
        let usual = [[2, 2], [3, 2], [2, 3], [3, 3], [4, 2]];
        let usual = usual.map(|s| case(draw, s)).to_vec();
        let rare = [[1, 2], [1, 4], [2, 9], [3, 1], [5, 2]];
        let mut rare: Vec<_> = rare.map(|s| case(draw, s)).to_vec();
        for (name, value) in [("x", 0.), ("r", 0.), ("r", 1.)] {
            let mut i = case(draw, [3, 2]);
            i.array_mut(name).fill(value);
            rare.push(i);
        }
        // A reward at the end alone.
        let mut late = case(draw, [3, 2]);
        late.array_mut("r")
            .outer_iter_mut()
            .take(3)
            .for_each(|mut r| r.fill(0.));
        rare.push(late);
        Cases::new(usual, rare)
    },
    wrong: mistakes::EPISODE,
    symptom: None,
};

/// A mean of log-probabilities, then the mended estimate.
pub static FIND_THE_CREDIT: Hunt<Episode> = Hunt {
    planted: &REINFORCE_MEAN_LOGP,
    among: NAMES,
    mended: &EPISODE,
};
