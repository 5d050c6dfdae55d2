//! The mistakes of the score function, and what each returns.
//!
//! A gradient is said by differences, of a loss that is wrong in that way; an
//! estimate by what it gives on average.

use super::{
    clipped_with, ends, estimated, log_policy, loss_of, mean_entropy,
    mean_over_actions, mean_over_courses, scalar, smaller, tree, two_policies,
};
use crate::calculus::chain_rule::mistakes::VALUE_FOR_SLOPE;
use crate::general::BATCH_MEAN_MISSING;
use crate::judge::{
    EVERY, Inputs, Wrong, array, each, factor, made, slopes, vector, ways,
};
use crate::network::softmax_cross_entropy::mistakes::{
    DOUBLE_SOFTMAX, EPSILON_IN_LOG, LOG_AS_PROBABILITY, LOGITS_CLIPPED,
    ONE_DOT_FOR_BATCH, STOPS_WHEN_RIGHT,
};
use backprop::discrete::reinforce::world::Course;
use backprop::discrete::reinforce::{bernoulli, mean_reward, returns, score};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayD, Axis, arr0, arr1};

crate::names! { "discrete/reinforce.md";
    SAMPLE_DIFFERENTIATED "#the-score":
        "The draw is differentiated, as if its value moved with the parameter.",
        "A draw jumps; what moves is how probable it is. Multiply the value of \
         the loss with the score.",
        "2σ²(1-σ) on average for L = z², right at θ = 0 by chance";
    SCORE_OF_PROBABILITY "#the-score":
        "The logarithm is differentiated with respect to the probability, not \
         to the parameter behind it.",
        "Go on through the sigmoid, or the softmax: the score of a logit is \
         e_a - π.",
        "too large by 1/(σ(1-σ))";
    SCORE_NOT_CENTRED "#the-score":
        "The score lacks its -π: only the logit of the action that was drawn \
         gets a gradient.",
        "The logits share one denominator: raising one lowers the probability \
         of all others. The score is e_a - π.",
        "the entries of a row do not sum to 0";
    PROBABILITY_FOR_LOG "#the-score":
        "The probability of the action is differentiated, not its logarithm.",
        "The draw has put a factor π(a) there already, by how often a comes: \
         ∇π/π is left.",
        "each row too small by the factor π(a)";
    DRAW_TURNED "#the-score":
        "The draw is 1 where it should be 0.",
        "u < σ happens with probability σ, for u uniform in [0, 1).",
        "all draws changed round";
    ERROR_OF_ONE "#every-draw":
        "That is the spread of one draw, not the error of the mean.",
        "The variance of a mean of N draws is that of one, over N.",
        "too large by √N; it does not shrink with more draws";
    DEVIATION_BY_N "#every-draw":
        "The variance is divided by N where N - 1 is asked for.",
        "The mean was taken from the same draws, which makes them look closer: \
         divide by N - 1.",
        "too small by √((N-1)/N)";
    ROOT_FORGOTTEN "#every-draw":
        "The variance is returned for its root.",
        "An error has the unit of what it is the error of: take the root.",
        "the square of what is right";
    BASELINE_ADDED "#a-baseline":
        "The baseline is added to the reward.",
        "Take it off: r - b.",
        "the mean is right, the variance grows";
    BASELINE_FORGOTTEN "#a-baseline":
        "The baseline is not used.",
        "Take it off the reward: r - b.",
        "the mean is right, the variance is not";
    BROADCAST_ADVANTAGE "#a-baseline":
        "Rewards (N) less values (N,1) have become a table (N,N).",
        "Take the column as a vector first: one value for one reward.",
        "row n is credited with mean(R) - V_n, or R_n - mean(V), for R_n - V_n; \
         a batch of one hides it";
    REINFORCE_NO_DETACH "#a-baseline":
        "The baseline hangs on the policy, and its own gradient has come in.",
        "A baseline is a number: hold it fixed, whatever it was made of.",
        "(1 + entropy) times the gradient, on average, if it is J itself";
    BASELINE_OF_ACTION "#a-baseline":
        "The baseline hangs on the action that was drawn.",
        "Only what would be the same for every action may be taken off: else \
         a part of the gradient goes with it.",
        "another mean: r - r has none";
    UNIFORM_BASELINE "#a-baseline":
        "The baseline weights all actions alike.",
        "The policy's mean reward weights each with its probability.",
        "right for equal logits; the mean is right, each draw is not";
    OWN_MEAN_BASELINE "#a-baseline":
        "The group's mean counts the draw's own reward as well.",
        "A baseline may not hang on the own action: take the mean of the \
         others.",
        "(G-1)/G times what is right";
    OTHERS_OVER_G "#a-baseline":
        "The sum of the others is divided by the size of the whole group.",
        "There are G - 1 others.",
        "not 0 where all rewards are alike";
    GROUP_IGNORED "#a-baseline":
        "The mean is taken over other questions too, or over them alone.",
        "A row is a group: compare an answer with the others to the same \
         question.",
        "an easy question has advantages above 0 only";
    DIVIDED_BY_DEVIATION "#clip":
        "The advantages are divided by their deviation.",
        "Some methods do so; it is no part of this task.",
        "each group scaled by a number of its own";
    IMMEDIATE_REWARD "#credit":
        "A decision is not credited with all that comes after its own reward.",
        "What comes later hangs on it as well: all rewards from its step on. \
         Those before it have the mean 0 beside its score.",
        "right at the last step; the rewards so far give the same mean as the \
         own reward alone";
    REWARD_SHIFTED "#credit":
        "A reward is credited to other steps than the one that earned it.",
        "r_t follows the action of step t.",
        "constant rewards hide it";
    REINFORCE_MEAN_LOGP "#credit":
        "The mean of the log-probabilities is multiplied by the sum of all \
         returns.",
        "Each step's score has its own return: multiply first, then add.",
        "the gradient of Σ (t/T)·r_t; hidden by one step, and by a reward at \
         the end";
    STEPS_AVERAGED "#credit":
        "Steps, or the rewards from one on, are averaged where they are to be \
         added.",
        "The logarithm of a course's probability is a sum over its steps, and \
         so is its score.",
        "too small by the number of steps";
    WHITENED_IN_EPISODE "#credit":
        "The returns are centred, or also scaled, within their episode.",
        "A mean over later steps hangs on the own action. Take the baseline \
         from other episodes, or from the state.",
        "scaled, two steps have ±1, or ±0.71 by T - 1, whatever was earned, and \
         a single one NaN";
    DISCOUNT_FORGOTTEN "#credit":
        "γ is left out, everywhere or in one place.",
        "What lies a step ahead counts γ of itself, a value and a carried \
         advantage alike.",
        "right for γ = 1";
    LAMBDA_FORGOTTEN "#credit":
        "The carried advantage is multiplied by γ alone.",
        "A_t = δ_t + γλ·A_{t+1}.",
        "the return less the value, as for λ = 1";
    GAE_DOUBLE_BOOTSTRAP "#credit":
        "The carry begins with the value of the last state, which δ holds \
         already.",
        "After the last step the carried advantage is 0.",
        "off by (γλ)^(T-t+1) times the next value; a value of 0, or an end at the \
         last step, hides it";
    TRUNCATED_AS_ENDED "#credit":
        "The end of the record is taken for the end of the episode.",
        "A time limit ends nothing: the last δ needs γ times the value of the \
         state after it.",
        "the last advantage lacks γ·V(s_T)";
    END_IGNORED "#credit":
        "Something flows back over the end of an episode.",
        "After an end there is no next value and no carried advantage: both \
         are 0.",
        "right without an end inside";
    RETURN_FOR_ADVANTAGE "#credit":
        "The value is added again, or was never taken off.",
        "An advantage is what is better than the value; A + V is the return.",
        "too large by V";
    CLIP_ON_RATIO "#clip":
        "The smaller of the two ratios is taken, not of the two products.",
        "Multiply both by A first: for A < 0 the smaller product has the \
         larger ratio.",
        "wrong where A < 0 only; ratio 1 hides it";
    CLIP_FORGOTTEN "#clip":
        "Nothing is clipped, or at one of the ends only.",
        "Where the clipped product is the smaller one the gradient is 0.",
        "wrong only outside of 1 ± ε";
    CLIP_ALWAYS_FLAT "#clip":
        "The clipped ratio is used on both sides, the minimum is missing.",
        "A move that makes things worse must still be undone: the unclipped \
         product is the smaller one there.",
        "0 in two places where it is not";
    MAX_FOR_MIN "#clip":
        "The larger of the products is taken.",
        "The objective is the smaller one; the larger belongs to their \
         negatives.",
        "0 where it should flow, and the other way round";
    RATIO_DETACHED "#clip":
        "The ratio carries no gradient.",
        "π_old is a constant, π is not: the ratio's slope in ln π is the ratio \
         itself.",
        "the policy's part is 0, only the bonus is left";
    RATIO_FORGOTTEN "#clip":
        "The score is multiplied by A without the ratio.",
        "The slope of ρ in ln π is ρ.",
        "right where the ratio is 1";
    BONUS_SIGN "#clip":
        "The entropy bonus has the wrong sign.",
        "The loss falls when the entropy rises: -c·H.",
        "only the entropy's part is turned round";
    BONUS_FORGOTTEN "#clip":
        "The entropy bonus is missing, everywhere or in rows that are clipped.",
        "It is a term of the loss and has a gradient of its own.",
        "right for c = 0";
    ENTROPY_OF_SAMPLE "#clip":
        "The entropy's gradient is taken from -ln π of the drawn action.",
        "That has the right mean as a value, but its derivative has the mean \
         0. Sum over all actions.",
        "the bonus pushes nowhere on average";
    ENTROPY_NORMALISER "#clip":
        "The entropy is differentiated as if its probabilities were free.",
        "They sum to 1: -π_k(ln π_k + H), and each row sums to 0.",
        "the entries of a row do not sum to 0";
    LOSS_AS_MEASURE "#clip":
        "The value of the loss is read as a measure of progress.",
        "Its value is what the advantages happen to sum to; only its gradient \
         means something.",
        "a loss of 0 is thought to have no gradient";
    KL_K1_AS_LOSS "#divergence":
        "The log-ratio of the draw is differentiated.",
        "Its derivative is the score, whose mean is 0. Multiply the score with \
         the log-ratio.",
        "0 on average";
    KL_K3_AS_LOSS "#divergence":
        "k3 is differentiated: on average that is the gradient of the other \
         divergence, KL(ref‖π).",
        "Multiply the score with ln π - ln ref, which is the gradient of k2.",
        "π - ref on average; 0 where both are alike, as it should be";
    KL_HALF_FORGOTTEN "#divergence":
        "The squared log-ratio lacks its ½.",
        "k2 = ½·(ln r)²: the slope is the log-ratio, once.",
        "twice the gradient";
    KL_OF_REFERENCE "#divergence":
        "The gradient is that with respect to the reference.",
        "The reference is a constant; the logits of π are moved.",
        "ref - π on average";
}

// ---- one bit ----------------------------------------------------------------

/// One of the two outputs.
fn of_draws(i: &Inputs, output: &str, of: impl Fn(f64) -> f64) -> ArrayD<f64> {
    let [mean, error] = estimated(i, of);
    scalar(if output == "mean" { mean } else { error })
}

fn draws(i: &Inputs) -> f64 {
    i.array("u").len() as f64
}

/// Of the derivative from one bit: `theta`, `b`, `u`.
pub const BERNOULLI: &[Wrong] = &[
    ways(EVERY, &SAMPLE_DIFFERENTIATED, 2, |i, output, way| {
        let (p, b) = (bernoulli::sigmoid(i.number("theta")), i.number("b"));
        let less = [0., b][way];
        of_draws(i, output, |z| (2. * z - less) * p * (1. - p))
    }),
    each(&SCORE_OF_PROBABILITY, |i, output| {
        let (theta, b) = (i.number("theta"), i.number("b"));
        let p = bernoulli::sigmoid(theta);
        let slope = p * (1. - p);
        of_draws(i, output, |z| bernoulli::estimate(theta, b, z) / slope)
    }),
    each(&SCORE_NOT_CENTRED, |i, output| {
        of_draws(i, output, |z| (z - i.number("b")) * z)
    }),
    each(&PROBABILITY_FOR_LOG, |i, output| {
        let p = bernoulli::sigmoid(i.number("theta"));
        let slope = p * (1. - p);
        of_draws(i, output, |z| {
            (z - i.number("b")) * if z > 0. { slope } else { -slope }
        })
    }),
    ways(EVERY, &LOGITS_CLIPPED, 6, |i, output, way| {
        let most = [5., 8., 10., 12., 15., 20.][way];
        let mut held = i.clone();
        held.array_mut("theta")
            .mapv_inplace(|t| t.clamp(-most, most));
        let (theta, b) = (held.number("theta"), i.number("b"));
        of_draws(&held, output, |z| bernoulli::estimate(theta, b, z))
    }),
    each(&BASELINE_ADDED, |i, output| {
        let (theta, b) = (i.number("theta"), i.number("b"));
        of_draws(i, output, |z| bernoulli::estimate(theta, -b, z))
    }),
    each(&BASELINE_FORGOTTEN, |i, output| {
        let theta = i.number("theta");
        of_draws(i, output, |z| bernoulli::estimate(theta, 0., z))
    }),
    each(&DRAW_TURNED, |i, output| {
        let (theta, b) = (i.number("theta"), i.number("b"));
        of_draws(i, output, |z| bernoulli::estimate(theta, b, 1. - z))
    }),
    factor("error", &ERROR_OF_ONE, |i| draws(i).sqrt()),
    factor("error", &DEVIATION_BY_N, |i| {
        ((draws(i) - 1.) / draws(i)).sqrt()
    }),
    made("error", &ROOT_FORGOTTEN, |_, right| right * right),
];

// ---- the loss ----------------------------------------------------------------

/// The gradient of a loss that is wrong; none of a large one, whose differences
/// would take longer than all that is judged.
fn of_loss(i: &Inputs, f: impl Fn(&Inputs) -> ArrayD<f64>) -> ArrayD<f64> {
    match i.array("x").len() > 200 {
        true => arr0(f64::NAN).into_dyn(),
        false => slopes(f, i, "x", "dloss"),
    }
}

/// The rewards less the values, as numbers.
fn advantages(i: &Inputs) -> Array1<f64> {
    &i.vector("r") - &i.matrix("v").column(0)
}

fn rows(i: &Inputs) -> f64 {
    i.matrix("x").nrows() as f64
}

/// Each row's `-dloss·A/N` times what stands for the score.
fn by_rows(
    i: &Inputs,
    advantages: &Array1<f64>,
    of: impl Fn(usize, usize) -> Array1<f64>,
) -> ArrayD<f64> {
    let mut dx = Array2::zeros(i.matrix("x").dim());
    for (n, a) in i.wholes("a").into_iter().enumerate() {
        let scale = -i.number("dloss") * advantages[n] / rows(i);
        dx.row_mut(n).assign(&(of(n, a) * scale));
    }
    dx.into_dyn()
}

fn unit(k: usize, a: usize) -> Array1<f64> {
    let mut e = Array1::zeros(k);
    e[a] = 1.;
    e
}

/// Of REINFORCE's loss: `x`, `a`, `r`, `v`, `dloss`.
pub const LOSS: &[Wrong] = &[
    array("dx", &BROADCAST_ADVANTAGE, |i| {
        let mean = i.vector("r").mean().unwrap_or(0.);
        let v = i.matrix("v");
        of_loss(i, |i| {
            scalar(loss_of(i, |n| mean - v[[n, 0]], log_policy(i).view()))
        })
    }),
    array("dx", &BROADCAST_ADVANTAGE, |i| {
        // Summed over the table, divided by N once.
        let mean = i.vector("r").mean().unwrap_or(0.);
        let (v, n_all) = (i.matrix("v"), rows(i));
        of_loss(i, |i| {
            let of = |n: usize| n_all * (mean - v[[n, 0]]);
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    // The mean is taken along the other axis of the table.
    ways("dx", &BROADCAST_ADVANTAGE, 2, |i, _, way| {
        let (r, mean) = (i.vector("r"), i.matrix("v").mean().unwrap_or(0.));
        let by = [1., rows(i)][way];
        of_loss(i, |i| {
            scalar(loss_of(i, |n| by * (r[n] - mean), log_policy(i).view()))
        })
    }),
    ways("dx", &DIVIDED_BY_DEVIATION, 8, |i, _, way| {
        let (is, all) = (|bit: usize| way >> bit & 1 == 1, advantages(i));
        if all.len() == 1 {
            // A single one has no deviation.
            return scalar(f64::NAN);
        }
        let mean = all.mean().unwrap_or(0.);
        let std = all.std(if is(0) { 1. } else { 0. });
        let std = std + if is(1) { 1e-8 } else { 0. };
        let off = if is(2) { mean } else { 0. };
        of_loss(i, |i| {
            let of = |n: usize| (all[n] - off) / std;
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    array("dx", &BASELINE_ADDED, |i| {
        let (r, v) = (i.vector("r"), i.matrix("v"));
        of_loss(i, |i| {
            scalar(loss_of(i, |n| r[n] + v[[n, 0]], log_policy(i).view()))
        })
    }),
    array("dx", &BASELINE_FORGOTTEN, |i| {
        let r = i.vector("r");
        of_loss(i, |i| scalar(loss_of(i, |n| r[n], log_policy(i).view())))
    }),
    array("dx", &SCORE_NOT_CENTRED, |i| {
        let k = i.matrix("x").ncols();
        by_rows(i, &advantages(i), |_, a| unit(k, a))
    }),
    array("dx", &PROBABILITY_FOR_LOG, |i| {
        let of = advantages(i);
        of_loss(i, |i| {
            scalar(loss_of(i, |n| of[n], log_policy(i).exp().view()))
        })
    }),
    array("dx", &SCORE_OF_PROBABILITY, |i| {
        let p = log_policy(i).exp();
        let k = p.ncols();
        by_rows(i, &advantages(i), |n, a| unit(k, a) / p[[n, a]])
    }),
    ways("dx", &DOUBLE_SOFTMAX, 2, |i, _, way| {
        let of = advantages(i);
        match way {
            0 => of_loss(i, |i| {
                let p = softmax::forward(i.matrix("x"));
                let twice = softmax::log_softmax(p.view());
                scalar(loss_of(i, |n| of[n], twice.view()))
            }),
            _ => {
                let p = softmax::forward(i.matrix("x"));
                let twice = softmax::forward(p.view());
                by_rows(i, &of, |n, a| score(twice.row(n), a))
            }
        }
    }),
    ways("dx", &LOGITS_CLIPPED, 6, |i, _, way| {
        let most = [10., 20., 30., 50., 100., 700.][way];
        let x = i.matrix("x").mapv(|x| x.clamp(-most, most));
        let p = softmax::forward(x.view());
        by_rows(i, &advantages(i), |n, a| score(p.row(n), a))
    }),
    made("dx", &STOPS_WHEN_RIGHT, |i, right| {
        let (x, mut dx) = (i.matrix("x"), right.clone());
        for (n, a) in i.wholes("a").into_iter().enumerate() {
            if x.row(n).iter().all(|other| *other <= x[[n, a]]) {
                dx.index_axis_mut(Axis(0), n).fill(0.);
            }
        }
        dx
    }),
    factor("dx", &BATCH_MEAN_MISSING, rows),
];

// ---- advantages ----------------------------------------------------------------

fn size(i: &Inputs) -> f64 {
    i.matrix("r").ncols() as f64
}

/// Of the baseline of a group: `r`.
pub const GROUP: &[Wrong] = &[
    factor("advantages", &OWN_MEAN_BASELINE, |i| {
        (size(i) - 1.) / size(i)
    }),
    array("advantages", &OTHERS_OVER_G, |i| {
        let r = i.matrix("r");
        let sum = r.sum_axis(Axis(1)).insert_axis(Axis(1));
        (&r - &((sum - r) / size(i))).into_dyn()
    }),
    ways("advantages", &GROUP_IGNORED, 4, |i, _, way| {
        let r = i.matrix("r");
        let (n, sum) = (r.len() as f64, r.sum());
        let along = r.sum_axis(Axis(0)).insert_axis(Axis(0));
        let questions = r.nrows() as f64;
        match way {
            0 => &r - sum / n,
            1 => r.mapv(|r| r - (sum - r) / (n - 1.)),
            2 => &r - &(&along / questions),
            _ => &r - &((&along - &r) / (questions - 1.)),
        }
        .into_dyn()
    }),
    ways("advantages", &DIVIDED_BY_DEVIATION, 3, |i, _, way| {
        let (r, n) = (i.matrix("r"), size(i));
        let by_n_less = returns::standardised(r, 0.);
        match way {
            0 => by_n_less,
            1 => by_n_less * (n / (n - 1.)).sqrt(),
            _ => by_n_less * (n / (n - 1.)),
        }
        .into_dyn()
    }),
];

/// What of generalised advantages is made otherwise.
struct Bent {
    next: f64,
    carry: f64,
    /// Whether an end stops the next value, and the carried advantage.
    stops: [bool; 2],
    /// What the next value and the carried advantage are multiplied by.
    by: [f64; 2],
    /// At which distance before its step a reward is looked up.
    shift: usize,
}

impl Bent {
    fn right(i: &Inputs) -> Self {
        let gamma = i.number("gamma");
        Self {
            next: i.number("next"),
            carry: 0.,
            stops: [true; 2],
            by: [gamma, gamma * i.number("lambda")],
            shift: 0,
        }
    }

    fn of(self, i: &Inputs) -> Array1<f64> {
        let (r, v, ended) = (i.vector("r"), i.vector("v"), ends(i));
        let mut a = Array1::zeros(r.len());
        let (mut carry, mut after) = (self.carry, self.next);
        for t in (0..r.len()).rev() {
            let on = self.stops.map(|stops| f64::from(!(stops && ended[t])));
            let r = if t < self.shift {
                0.
            } else {
                r[t - self.shift]
            };
            let delta = r + self.by[0] * after * on[0] - v[t];
            carry = delta + self.by[1] * carry * on[1];
            a[t] = carry;
            after = v[t];
        }
        a
    }
}

/// Of generalised advantages: `r`, `v`, `next`, `ended`, `gamma`, `lambda`.
pub const GAE: &[Wrong] = &[
    vector("gae", &GAE_DOUBLE_BOOTSTRAP, |i| {
        let right = Bent::right(i);
        Bent {
            carry: right.next,
            ..right
        }
        .of(i)
    }),
    vector("gae", &TRUNCATED_AS_ENDED, |i| {
        Bent {
            next: 0.,
            ..Bent::right(i)
        }
        .of(i)
    }),
    // An end counted a step too early, or too late.
    ways("gae", &END_IGNORED, 2, |i, _, way| {
        let mut moved = i.clone();
        let ended = i.array("ended");
        for (t, end) in moved.array_mut("ended").iter_mut().enumerate() {
            let from = [Some(t + 1), t.checked_sub(1)][way];
            let from = from.filter(|t| *t < ended.len());
            *end = from.map_or(0., |t| ended[t]);
        }
        Bent::right(&moved).of(&moved).into_dyn()
    }),
    ways("gae", &END_IGNORED, 3, |i, _, way| {
        let stops = [[false, false], [true, false], [false, true]][way];
        Bent {
            stops,
            ..Bent::right(i)
        }
        .of(i)
        .into_dyn()
    }),
    vector("gae", &LAMBDA_FORGOTTEN, |i| {
        let gamma = i.number("gamma");
        Bent {
            by: [gamma; 2],
            ..Bent::right(i)
        }
        .of(i)
    }),
    ways("gae", &DISCOUNT_FORGOTTEN, 3, |i, _, way| {
        let (gamma, lambda) = (i.number("gamma"), i.number("lambda"));
        let by = [[1., lambda], [1., gamma * lambda], [gamma, lambda]][way];
        Bent {
            by,
            ..Bent::right(i)
        }
        .of(i)
        .into_dyn()
    }),
    ways("gae", &RETURN_FOR_ADVANTAGE, 2, |i, _, way| {
        let right = Bent::right(i).of(i);
        match way {
            0 => (right + i.vector("v")).into_dyn(),
            _ => {
                // The value of the own state was never taken off.
                let mut zero = i.clone();
                let v = i.vector("v");
                let (gamma, ended) = (i.number("gamma"), ends(i));
                let next = i.number("next");
                zero.array_mut("v").fill(0.);
                let r = zero.array_mut("r");
                for t in 0..v.len() {
                    let after = if t + 1 < v.len() { v[t + 1] } else { next };
                    r[t] += gamma * after * f64::from(!ended[t]);
                }
                Bent {
                    next: 0.,
                    ..Bent::right(i)
                }
                .of(&zero)
                .into_dyn()
            }
        }
    }),
    vector("gae", &REWARD_SHIFTED, |i| {
        Bent {
            shift: 1,
            ..Bent::right(i)
        }
        .of(i)
    }),
];

// ---- a policy that has moved ------------------------------------------------------

/// The gradient of the clipped loss with this gain.
fn of_gain(i: &Inputs, gain: fn(f64, f64, f64) -> f64) -> ArrayD<f64> {
    of_loss(i, |i| clipped_with(i, gain, mean_entropy))
}

/// The gradient of the loss without a bonus, and that of the bonus alone.
fn parts(i: &Inputs) -> [ArrayD<f64>; 2] {
    let none = |_: &Inputs, _: ndarray::ArrayView2<f64>| 0.;
    [
        of_loss(i, |i| clipped_with(i, smaller, none)),
        of_loss(i, |i| clipped_with(i, |_, _, _| 0., mean_entropy)),
    ]
}

fn clip(ratio: f64, eps: f64) -> f64 {
    ratio.clamp(1. - eps, 1. + eps)
}

/// The product of the clipped ratio where it is the smaller one.
fn clipped_products(i: &Inputs) -> Vec<Option<f64>> {
    let (log_p, old) = (log_policy(i), i.vector("old"));
    let (advantages, eps) = (i.vector("advantages"), i.number("eps"));
    let all = i.wholes("a").into_iter().enumerate();
    all.map(|(n, a)| {
        let ratio = (log_p[[n, a]] - old[n]).exp();
        let product = clip(ratio, eps) * advantages[n];
        Some(product).filter(|product| *product < ratio * advantages[n])
    })
    .collect()
}

/// Of PPO's loss with a bonus: `x`, `a`, `old`, `advantages`, `eps`, `bonus`,
/// `dloss`.
pub const CLIPPED: &[Wrong] = &[
    array("dx", &CLIP_ON_RATIO, |i| {
        of_gain(i, |ratio, a, eps| ratio.min(clip(ratio, eps)) * a)
    }),
    array("dx", &CLIP_FORGOTTEN, |i| {
        of_gain(i, |ratio, a, _| ratio * a)
    }),
    ways("dx", &CLIP_FORGOTTEN, 2, |i, _, way| {
        // At the upper end only, where A > 0; at the lower end only.
        let gain = [
            |ratio: f64, a: f64, eps: f64| match a > 0. {
                true => ratio.min(1. + eps) * a,
                false => ratio * a,
            },
            |ratio: f64, a: f64, eps: f64| match a < 0. {
                true => ratio.max(1. - eps) * a,
                false => ratio * a,
            },
        ];
        of_gain(i, gain[way])
    }),
    array("dx", &LOG_AS_PROBABILITY, |i| {
        let (old, advantages) = (i.vector("old"), i.vector("advantages"));
        let [_, bonus] = parts(i);
        let gain = of_loss(i, |i| {
            let mut gains = log_policy(i).exp();
            for (n, mut p) in gains.rows_mut().into_iter().enumerate() {
                p.mapv_inplace(|p| {
                    smaller(p / old[n], advantages[n], i.number("eps"))
                });
            }
            scalar(loss_of(i, |_| 1., gains.view()))
        });
        gain + bonus
    }),
    made("dx", &VALUE_FOR_SLOPE, |i, right| {
        let flat = clipped_products(i);
        let flat = flat.into_iter().map(|product| product.unwrap_or(0.));
        let p = log_policy(i).exp();
        right + by_rows(i, &flat.collect(), |n, a| score(p.row(n), a))
    }),
    array("dx", &CLIP_ALWAYS_FLAT, |i| {
        of_gain(i, |ratio, a, eps| clip(ratio, eps) * a)
    }),
    array("dx", &MAX_FOR_MIN, |i| {
        of_gain(i, |ratio, a, eps| (ratio * a).max(clip(ratio, eps) * a))
    }),
    array("dx", &RATIO_DETACHED, |i| of_gain(i, |_, _, _| 0.)),
    array("dx", &RATIO_FORGOTTEN, |i| {
        of_gain(i, |ratio, a, _| ratio.ln() * a)
    }),
    array("dx", &RATIO_FORGOTTEN, |i| {
        of_gain(i, |ratio, a, eps| match ratio * a <= clip(ratio, eps) * a {
            true => ratio.ln() * a,
            false => 0.,
        })
    }),
    array("dx", &BONUS_SIGN, |i| {
        let [loss, bonus] = parts(i);
        loss - bonus
    }),
    array("dx", &BONUS_FORGOTTEN, |i| {
        let [loss, _] = parts(i);
        loss
    }),
    made("dx", &BONUS_FORGOTTEN, |i, right| {
        let mut dx = right.clone();
        for (n, flat) in clipped_products(i).into_iter().enumerate() {
            if flat.is_some() {
                dx.index_axis_mut(Axis(0), n).fill(0.);
            }
        }
        dx
    }),
    ways("dx", &ONE_DOT_FOR_BATCH, 2, |i, _, way| {
        // The entropies' mean, or their sum, for that of the row.
        let [loss, bonus] = parts(i);
        let log_p = log_policy(i);
        let p = log_p.exp();
        let own = -(&p * &log_p).sum_axis(Axis(1)).insert_axis(Axis(1));
        let one = own.sum() / [rows(i), 1.][way];
        let by = i.number("dloss") * i.number("bonus") / rows(i);
        loss + bonus + (p * (one - own) * by).into_dyn()
    }),
    array("dx", &ENTROPY_OF_SAMPLE, |i| {
        let a = i.wholes("a");
        of_loss(i, |i| {
            clipped_with(i, smaller, |_, log_p| {
                let all = a.iter().enumerate().map(|(n, a)| log_p[[n, *a]]);
                -all.sum::<f64>() / log_p.nrows() as f64
            })
        })
    }),
    array("dx", &ENTROPY_NORMALISER, |i| {
        let [loss, _] = parts(i);
        let log_p = log_policy(i);
        let scale = i.number("dloss") * i.number("bonus") / rows(i);
        loss + (log_p.exp() * (&log_p + 1.) * scale).into_dyn()
    }),
    array("dx", &BATCH_MEAN_MISSING, |i| {
        let [loss, bonus] = parts(i);
        loss + bonus * rows(i)
    }),
    array("dx", &BATCH_MEAN_MISSING, |i| {
        let [loss, bonus] = parts(i);
        loss * rows(i) + bonus
    }),
    factor("dx", &BATCH_MEAN_MISSING, rows),
];

// ---- a divergence --------------------------------------------------------------

/// The mean over all actions of a number times the score.
fn scored(i: &Inputs, of: impl Fn(usize) -> f64) -> ArrayD<f64> {
    let p = two_policies(i)[0].exp();
    mean_over_actions(i, |a| score(p.view(), a) * of(a))
}

/// `ln p - ln q` for an action.
fn gap(i: &Inputs, a: usize) -> f64 {
    let [p, q] = two_policies(i);
    p[a] - q[a]
}

const MEAN: &str = "the mean over all actions";

/// Of the gradient of a divergence: `x`, `y`.
pub const DIVERGENCE: &[Wrong] = &[
    array(MEAN, &KL_K1_AS_LOSS, |i| {
        ArrayD::zeros(i.array("x").raw_dim())
    }),
    array(MEAN, &KL_K3_AS_LOSS, |i| {
        scored(i, |a| 1. - (-gap(i, a)).exp())
    }),
    array(MEAN, &KL_OF_REFERENCE, |i| {
        let [_, q] = two_policies(i);
        mean_over_actions(i, |a| q.exp() - unit(q.len(), a))
    }),
    factor(MEAN, &KL_HALF_FORGOTTEN, |_| 2.),
    array(MEAN, &PROBABILITY_FOR_LOG, |i| {
        let p = two_policies(i)[0].exp();
        scored(i, |a| p[a] * gap(i, a))
    }),
    array(MEAN, &SCORE_NOT_CENTRED, |i| {
        let k = i.array("x").len();
        mean_over_actions(i, |a| unit(k, a) * gap(i, a))
    }),
];

/// The same where the reference rounds to 0: `x`, `y`.
pub const FAR_DIVERGENCE: &[Wrong] =
    &[ways(MEAN, &EPSILON_IN_LOG, 12, |i, _, way| {
        let eps = [1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12][way / 2];
        let [p, q] = two_policies(i).map(|p| p.exp());
        // In both logarithms, or in that of the reference alone.
        let of_p = [eps, 0.][way % 2];
        scored(i, |a| (p[a] + of_p).ln() - (q[a] + eps).ln())
    })];

// ---- hunts ------------------------------------------------------------------------

/// Of the loss with the policy's mean reward as baseline: `dloss`, `x`, `r`,
/// `a`, `b`.
pub const OWN_BASELINE: &[Wrong] = &[
    array("dx", &REINFORCE_NO_DETACH, |i| {
        of_loss(i, |i| {
            let (r, a) = (i.matrix("r"), i.wholes("a"));
            let b = mean_reward(i.matrix("x"), r);
            let of = |n: usize| r[[n, a[n]]] - b[n];
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    array("dx", &BASELINE_FORGOTTEN, |i| {
        let (r, a) = (i.matrix("r"), i.wholes("a"));
        of_loss(i, |i| {
            let of = |n: usize| r[[n, a[n]]];
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    array("dx", &BASELINE_ADDED, |i| {
        let (r, a, b) = (i.matrix("r"), i.wholes("a"), i.vector("b"));
        of_loss(i, |i| {
            let of = |n: usize| r[[n, a[n]]] + b[n];
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    array("dx", &BASELINE_OF_ACTION, |i| {
        // The mean of the actions that were not drawn.
        let (r, a, b) = (i.matrix("r"), i.wholes("a"), i.vector("b"));
        let p = log_policy(i).exp();
        of_loss(i, |i| {
            let of = |n: usize| {
                let (own, r) = (p[[n, a[n]]], r[[n, a[n]]]);
                r - (b[n] - own * r) / (1. - own)
            };
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    array("dx", &UNIFORM_BASELINE, |i| {
        let (r, a) = (i.matrix("r"), i.wholes("a"));
        let k = r.ncols() as f64;
        of_loss(i, |i| {
            let of = |n: usize| r[[n, a[n]]] - r.row(n).sum() / k;
            scalar(loss_of(i, of, log_policy(i).view()))
        })
    }),
    factor("dx", &BATCH_MEAN_MISSING, rows),
];

/// The mean over all courses of each step's credit times its score.
fn credited(i: &Inputs, of: impl Fn(&Course) -> Vec<f64>) -> ArrayD<f64> {
    let p = softmax::forward(i.matrix("x"));
    mean_over_courses(i, |c| {
        let mut g = Array2::zeros((c.states.len(), p.ncols()));
        let credit = of(c);
        for (t, mut g) in g.rows_mut().into_iter().enumerate() {
            let s = score(p.row(c.states[t]), c.actions[t]);
            g.assign(&(s * credit[t]));
        }
        g
    })
}

fn to_go(rewards: &[f64]) -> Vec<f64> {
    returns::to_go(arr1(rewards).view(), 1.).to_vec()
}

/// Of a decision's credit: `x`, `r`, `steps`.
pub const EPISODE: &[Wrong] = &[
    array("the mean over all courses", &REINFORCE_MEAN_LOGP, |i| {
        credited(i, |c| {
            let t = c.rewards.len();
            vec![to_go(&c.rewards).iter().sum::<f64>() / t as f64; t]
        })
    }),
    ways(
        "the mean over all courses",
        &STEPS_AVERAGED,
        2,
        |i, _, way| {
            let mean = credited(i, |c| {
                let t = c.rewards.len() as f64;
                to_go(&c.rewards).iter().map(|g| g / t).collect()
            });
            mean * [1., 1. / i.number("steps")][way]
        },
    ),
    array("the mean over all courses", &STEPS_AVERAGED, |i| {
        credited(i, |c| {
            let all = to_go(&c.rewards);
            let left = (1..=all.len()).rev();
            { all.iter().zip(left) }
                .map(|(g, left)| g / left as f64)
                .collect()
        })
    }),
    ways(
        "the mean over all courses",
        &IMMEDIATE_REWARD,
        3,
        |i, _, way| {
            credited(i, |c| {
                // The own one, the next one too, or the next two.
                let from = |t| c.rewards[t..].iter().take(1 + way).sum();
                (0..c.rewards.len()).map(from).collect()
            })
        },
    ),
    ways(
        "the mean over all courses",
        &REWARD_SHIFTED,
        2,
        |i, _, way| {
            credited(i, |c| {
                let (_, earlier) = c.rewards.split_last().expect("a reward");
                let (_, later) = c.rewards.split_first().expect("a reward");
                to_go(&match way {
                    0 => [&[0.], earlier].concat(),
                    _ => [later, &[0.]].concat(),
                })
            })
        },
    ),
    ways(
        "the mean over all courses",
        &WHITENED_IN_EPISODE,
        3,
        |i, _, way| {
            credited(i, |c| {
                let g = arr1(&to_go(&c.rewards));
                let n = g.len() as f64;
                let off = &g - g.sum() / n;
                let by = [n, n - 1., 0.][way];
                let std = match way {
                    2 => 1.,
                    _ => (off.pow2().sum() / by).sqrt(),
                };
                (off / std).to_vec()
            })
        },
    ),
    array("the mean over all courses", &SCORE_NOT_CENTRED, |i| {
        let k = tree(i).reward.ncols();
        mean_over_courses(i, |c| {
            let mut g = Array2::zeros((c.states.len(), k));
            for (t, credit) in to_go(&c.rewards).into_iter().enumerate() {
                g[[t, c.actions[t]]] = credit;
            }
            g
        })
    }),
];
