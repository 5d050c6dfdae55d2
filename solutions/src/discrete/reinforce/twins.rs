//! Wrong answers, as a learner would write them.

use super::alternatives::credited;
use super::answer;
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;

// ---- one bit ----------------------------------------------------------------

fn sigmoid(theta: f64) -> f64 {
    1. / (1. + (-theta).exp())
}

/// Mean and error of what `of` makes of z and σ.
fn drawn(theta: f64, u: V, of: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let p = sigmoid(theta);
    let each = u.mapv(|u| of(if u < p { 1. } else { 0. }, p));
    let n = each.len() as f64;
    (each.sum() / n, (each.var(1.) / n).sqrt())
}

/// `2z·dz/dθ`, with σ' for the derivative of the draw.
pub fn straight_through(theta: f64, _: f64, u: V) -> (f64, f64) {
    drawn(theta, u, |z, p| 2. * z * (p * (1. - p)))
}

/// `z/σ - (1 - z)/(1 - σ)`, the score of the probability.
pub fn score_of_p(theta: f64, b: f64, u: V) -> (f64, f64) {
    drawn(theta, u, |z, p| (z * z - b) * (z / p - (1. - z) / (1. - p)))
}

pub fn not_centred(theta: f64, b: f64, u: V) -> (f64, f64) {
    drawn(theta, u, |z, _| (z * z - b) * z)
}

pub fn baseline_added(theta: f64, b: f64, u: V) -> (f64, f64) {
    drawn(theta, u, |z, p| (z * z + b) * (z - p))
}

pub fn no_baseline(theta: f64, _: f64, u: V) -> (f64, f64) {
    drawn(theta, u, |z, p| z * z * (z - p))
}

pub fn turned(theta: f64, b: f64, u: V) -> (f64, f64) {
    let p = sigmoid(theta);
    let all: Vec<f64> = u
        .iter()
        .map(|u| {
            let z = f64::from(*u >= p);
            (z * z - b) * (z - p)
        })
        .collect();
    let all = Array1::from(all);
    let n = all.len() as f64;
    (all.sum() / n, (all.var(1.) / n).sqrt())
}

/// The derivative of the probability of z, not of its logarithm.
pub fn slope_of_p(theta: f64, b: f64, u: V) -> (f64, f64) {
    let slope = sigmoid(theta) * (1. - sigmoid(theta));
    drawn(theta, u, |z, _| match z == 1. {
        true => (1. - b) * slope,
        false => b * slope,
    })
}

pub fn theta_limited(theta: f64, b: f64, u: V) -> (f64, f64) {
    answer::bernoulli(theta.clamp(-12., 12.), b, u)
}

/// `σ = (1 + tanh(θ/2))/2`, which is 0 too soon.
pub fn by_tanh(theta: f64, b: f64, u: V) -> (f64, f64) {
    let p = 0.5 * (1. + (0.5 * theta).tanh());
    let g = u.mapv(|u| {
        let z = f64::from(u < p);
        (z * z - b) * (z - p)
    });
    let n = g.len() as f64;
    (g.sum() / n, (g.var(1.) / n).sqrt())
}

pub fn spread(theta: f64, b: f64, u: V) -> (f64, f64) {
    let (mean, _) = answer::bernoulli(theta, b, u);
    let each = u.mapv(|u| {
        let z = if u < sigmoid(theta) { 1. } else { 0. };
        (z - b) * (z - sigmoid(theta))
    });
    (mean, each.std(1.))
}

pub fn by_n(theta: f64, b: f64, u: V) -> (f64, f64) {
    let (mean, _) = answer::bernoulli(theta, b, u);
    let p = sigmoid(theta);
    let squares = u.mapv(|u| {
        let z = if u < p { 1. } else { 0. };
        ((z - b) * (z - p) - mean).powi(2)
    });
    (mean, squares.sum().sqrt() / u.len() as f64)
}

pub fn variance(theta: f64, b: f64, u: V) -> (f64, f64) {
    let (mean, error) = answer::bernoulli(theta, b, u);
    (mean, error * error)
}

/// z is 1 where u is σ as well.
pub fn at_sigma_too(theta: f64, b: f64, u: V) -> (f64, f64) {
    let p = sigmoid(theta);
    let u = u.mapv(|u| if u == p { 0. } else { u });
    drawn(theta, u.view(), |z, p| (z - b) * (z - p))
}

pub fn short_counter(theta: f64, b: f64, u: V) -> (f64, f64) {
    let (p, n) = (sigmoid(theta), u.len() as f64);
    let ones =
        { u.iter() }.fold(0u16, |ones, u| ones.wrapping_add(u16::from(*u < p)));
    let ones = f64::from(ones);
    let (one, zero) = ((1. - b) * (1. - p), b * p);
    let mean = (ones * one + (n - ones) * zero) / n;
    let squares =
        ones * (one - mean).powi(2) + (n - ones) * (zero - mean).powi(2);
    (mean, (squares / (n - 1.) / n).sqrt())
}

/// `e^θ/(1 + e^θ)`.
pub fn overflowing(theta: f64, b: f64, u: V) -> (f64, f64) {
    let p = theta.exp() / (1. + theta.exp());
    let each = u.mapv(|u| {
        let z = f64::from(u < p);
        (z - b) * (z - p)
    });
    let n = each.len() as f64;
    (each.sum() / n, (each.var(1.) / n).sqrt())
}

/// The variance by two sums in one pass.
pub fn square_of_mean(theta: f64, b: f64, u: V) -> (f64, f64) {
    let (p, n) = (sigmoid(theta), u.len() as f64);
    let (mut sum, mut squares) = (0., 0.);
    for u in u {
        let z = if *u < p { 1. } else { 0. };
        let g = (z * z - b) * (z - p);
        sum += g;
        squares += g * g;
    }
    let mean = sum / n;
    let variance = (squares - n * mean * mean) / (n - 1.);
    (mean, (variance / n).sqrt())
}

// ---- the loss ----------------------------------------------------------------

/// Each row's score times `-dloss·weight/N`.
fn rows(
    x: M,
    a: &[usize],
    dloss: f64,
    weight: impl Fn(usize) -> f64,
) -> Array2<f64> {
    let n = a.len() as f64;
    credited(x, a, (0..a.len()).map(|k| -dloss * weight(k) / n).collect())
}

/// `r - v` broadcasts to a table, and the mean is taken over all of it.
pub fn broadcast(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    let table = &r.insert_axis(Axis(0)) - &v; // (N,N)
    let mean = table.sum_axis(Axis(1)) / r.len() as f64;
    rows(x, a, dloss, |n| mean[n])
}

/// The same, the sum over the table divided by N once.
pub fn broadcast_sum(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    let mut dx = Array2::zeros(x.dim());
    for r in r {
        let same = Array1::from_elem(a.len(), *r);
        dx += &answer::loss_vjp(x, a, same.view(), v, dloss);
    }
    dx
}

/// The mean of the table is taken down its rows.
pub fn broadcast_other_axis(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let table = &r - &v;
    let mean = table.sum_axis(Axis(0)) / r.len() as f64;
    rows(x, a, dloss, |n| mean[n])
}

pub fn scaled_in_batch(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let all = &r - &v.column(0);
    let std = all.std(0.) + 1e-8;
    rows(x, a, dloss, |n| all[n] / std)
}

pub fn whitened_in_batch(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let mut all = &r - &v.column(0);
    all -= all.sum() / r.len() as f64;
    let std = (all.pow2().sum() / (r.len() - 1) as f64).sqrt();
    rows(x, a, dloss, |n| all[n] / std)
}

/// An own softmax, with the largest logit of the batch taken off.
pub fn one_maximum(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    let top = x.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
    let e = x.mapv(|x| (x - top).exp());
    let sums = e.sum_axis(Axis(1)).insert_axis(Axis(1));
    let mut dx = e / &sums;
    for (n, mut row) in dx.rows_mut().into_iter().enumerate() {
        row[a[n]] -= 1.;
        row *= dloss * (r[n] - v[[n, 0]]) / a.len() as f64;
    }
    dx
}

pub fn added(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    rows(x, a, dloss, |n| r[n] + v[[n, 0]])
}

pub fn rewards_alone(x: M, a: &[usize], r: V, _: M, dloss: f64) -> Array2<f64> {
    rows(x, a, dloss, |n| r[n])
}

/// Only the logit of the drawn action.
pub fn one_logit(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    let mut dx = Array2::zeros(x.dim());
    for n in 0..a.len() {
        dx[[n, a[n]]] = -dloss * (r[n] - v[[n, 0]]) / a.len() as f64;
    }
    dx
}

/// The derivative of π(a), through softmax.
pub fn of_probability(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let p = softmax::forward(x);
    let mut dp = Array2::zeros(x.dim());
    for n in 0..a.len() {
        dp[[n, a[n]]] = -dloss * (r[n] - v[[n, 0]]) / a.len() as f64;
    }
    softmax::vjp(p.view(), dp.view())
}

/// `1/π(a)` and no softmax.
pub fn over_probability(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let p = softmax::forward(x);
    let mut dx = one_logit(x, a, r, v, dloss);
    dx.zip_mut_with(&p, |d, p| *d /= p);
    dx
}

/// Probabilities where logits belong.
pub fn softmax_twice(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    let p = softmax::forward(x);
    answer::loss_vjp(p.view(), a, r, v, dloss)
}

/// The same, and differentiated through both.
pub fn softmax_twice_through(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let p = softmax::forward(x);
    let dp = answer::loss_vjp(p.view(), a, r, v, dloss);
    softmax::vjp(p.view(), dp.view())
}

pub fn summed(x: M, a: &[usize], r: V, v: M, dloss: f64) -> Array2<f64> {
    answer::loss_vjp(x, a, r, v, dloss * a.len() as f64)
}

/// An early return for a batch of one: nothing to compare with.
pub fn nothing_for_one(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    match a.len() {
        1 => Array2::zeros(x.dim()),
        _ => answer::loss_vjp(x, a, r, v, dloss),
    }
}

/// An own softmax of logits within ±600.
pub fn limited_logits(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let e = x.mapv(|x| x.clamp(-600., 600.).exp());
    let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
    let scale = dloss / x.nrows() as f64;
    Array2::from_shape_fn(x.dim(), |(n, k)| {
        let drawn = if a[n] == k { 1. } else { 0. };
        scale * (r[n] - v[[n, 0]]) * (p[[n, k]] - drawn)
    })
}

/// Nothing for a row whose action is the likeliest one.
pub fn likeliest_skipped(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    rows(x, a, dloss, |n| {
        let best = x.row(n).iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
        match x[[n, a[n]]] < best {
            true => r[n] - v[[n, 0]],
            false => 0.,
        }
    })
}

/// Actions in one byte each.
pub fn actions_in_bytes(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let bytes: Vec<_> = a.iter().map(|a| usize::from(*a as u8)).collect();
    answer::loss_vjp(x, &bytes, r, v, dloss)
}

// ---- advantages ----------------------------------------------------------------

pub fn own_mean(r: M) -> Array2<f64> {
    let mean = r.mean_axis(Axis(1)).expect("a column");
    &r - &mean.insert_axis(Axis(1))
}

pub fn others_over_all(r: M) -> Array2<f64> {
    let mut out = r.to_owned();
    for ((n, i), out) in out.indexed_iter_mut() {
        let others = (0..r.ncols()).filter(|j| *j != i);
        *out -= others.map(|j| r[[n, j]]).sum::<f64>() / r.ncols() as f64;
    }
    out
}

pub fn mean_of_all(r: M) -> Array2<f64> {
    &r - r.mean().unwrap_or(0.)
}

pub fn columns(r: M) -> Array2<f64> {
    answer::leave_one_out(r.t()).reversed_axes()
}

pub fn standardised(r: M) -> Array2<f64> {
    let mut out = own_mean(r);
    for (mut out, r) in out.rows_mut().into_iter().zip(r.rows()) {
        out /= r.std(0.);
    }
    out
}

type Given<'a> = (V<'a>, V<'a>, f64, &'a [bool], f64, f64);

/// A walk back in which `step` makes A of δ's parts.
fn walk(
    (r, v, next, ended, ..): Given,
    first: f64,
    step: impl Fn(f64, f64, f64, f64, bool) -> f64,
) -> Array1<f64> {
    let mut a = Array1::zeros(r.len());
    let mut carry = first;
    for t in (0..r.len()).rev() {
        let after = v.get(t + 1).copied().unwrap_or(next);
        carry = step(r[t], after, v[t], carry, ended[t]);
        a[t] = carry;
    }
    a
}

/// The carry begins with the last value.
pub fn bootstrapped_twice(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let given = (r, v, next, ended, gamma, lambda);
    walk(given, next, |r, after, v, carry, end| match end {
        true => r - v,
        false => r + gamma * after - v + gamma * lambda * carry,
    })
}

pub fn record_is_the_end(
    r: V,
    v: V,
    _: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    answer::gae(r, v, 0., ended, gamma, lambda)
}

pub fn over_the_end(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let none = vec![false; ended.len()];
    answer::gae(r, v, next, &none, gamma, lambda)
}

/// The next value is cut, the carried advantage is not.
pub fn carried_over_the_end(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let given = (r, v, next, ended, gamma, lambda);
    walk(given, 0., |r, after, v, carry, end| {
        let after = if end { 0. } else { after };
        r + gamma * after - v + gamma * lambda * carry
    })
}

/// `ended[t]` is read as "step t begins an episode".
pub fn end_a_step_early(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let begins: Vec<_> = ended.iter().skip(1).copied().chain([false]).collect();
    answer::gae(r, v, next, &begins, gamma, lambda)
}

pub fn end_a_step_late(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let mut late = vec![false; ended.len()];
    late[1..].copy_from_slice(&ended[..ended.len() - 1]);
    answer::gae(r, v, next, &late, gamma, lambda)
}

/// Sums of 64 δ at most.
pub fn short_horizon(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let delta = answer::gae(r, v, next, ended, gamma, 0.);
    let sum = |t: usize| {
        let (mut sum, mut weight) = (0., 1.);
        for (delta, ended) in delta.iter().zip(ended).skip(t).take(64) {
            sum += weight * delta;
            weight *= gamma * lambda;
            if *ended {
                break;
            }
        }
        sum
    };
    Array1::from_shape_fn(r.len(), sum)
}

pub fn without_lambda(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    _: f64,
) -> Array1<f64> {
    answer::gae(r, v, next, ended, gamma, 1.)
}

pub fn without_gamma(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    _: f64,
    lambda: f64,
) -> Array1<f64> {
    answer::gae(r, v, next, ended, 1., lambda)
}

/// γ on the value alone.
pub fn carried_by_lambda(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let given = (r, v, next, ended, gamma, lambda);
    walk(given, 0., |r, after, v, carry, end| match end {
        true => r - v,
        false => r + gamma * after - v + lambda * carry,
    })
}

pub fn returns(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    answer::gae(r, v, next, ended, gamma, lambda) + v
}

pub fn rewards_late(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let mut late = Array1::zeros(r.len());
    for t in 1..r.len() {
        late[t] = r[t - 1];
    }
    answer::gae(late.view(), v, next, ended, gamma, lambda)
}

// ---- a policy that has moved ------------------------------------------------------

type Moved<'a> = (M<'a>, &'a [usize], V<'a>, V<'a>, f64, f64, f64);

/// The gradient with a factor of each score, by ratio and advantage, and the
/// bonus as it should be.
fn scored(
    (x, a, old, advantages, _, bonus, dloss): Moved,
    of: impl Fn(f64, f64) -> f64,
) -> Array2<f64> {
    let log_p = softmax::log_softmax(x);
    let factors: Array1<f64> = (0..a.len())
        .map(|n| {
            let ratio = (log_p[[n, a[n]]] - old[n]).exp();
            of(ratio, advantages[n])
        })
        .collect();
    rows(x, a, dloss, |n| factors[n]) + bonus_alone(x, bonus * dloss)
}

fn bonus_alone(x: M, by: f64) -> Array2<f64> {
    let log_p = softmax::log_softmax(x);
    let mut d = log_p.exp();
    for (mut d, l) in d.rows_mut().into_iter().zip(log_p.rows()) {
        let h = -d.dot(&l);
        d.zip_mut_with(&l, |d, l| *d *= l + h);
    }
    d * (by / x.nrows() as f64)
}

macro_rules! clipped {
    ($($(#[$doc:meta])* $name:ident: |$given:ident| $body:expr;)+) => {$(
        $(#[$doc])*
        pub fn $name(
            x: M,
            a: &[usize],
            old: V,
            advantages: V,
            eps: f64,
            bonus: f64,
            dloss: f64,
        ) -> Array2<f64> {
            let $given = (x, a, old, advantages, eps, bonus, dloss);
            $body
        }
    )+};
}

clipped! {
    /// `min(ρ, clip ρ)·A`.
    smaller_ratio: |g| scored(g, |ratio, a| {
        if ratio > 1. + g.4 { 0. } else { ratio * a }
    });
    unclipped: |g| scored(g, |ratio, a| ratio * a);
    /// Only good actions are clipped.
    good_ones_clipped: |g| scored(g, |ratio, a| {
        if a > 0. && ratio > 1. + g.4 { 0. } else { ratio * a }
    });
    /// `clip(ρ)·A` alone.
    flat_outside: |g| scored(g, |ratio, a| {
        if (ratio - 1.).abs() > g.4 { 0. } else { ratio * a }
    });
    larger: |g| scored(g, |ratio, a| {
        let clipped = ratio.clamp(1. - g.4, 1. + g.4);
        if ratio * a >= clipped * a { ratio * a } else { 0. }
    });
    detached: |g| scored(g, |_, _| 0.);
    no_ratio: |g| scored(g, |ratio, a| {
        let clipped = ratio.clamp(1. - g.4, 1. + g.4);
        if ratio * a <= clipped * a { a } else { 0. }
    });
    no_ratio_no_clip: |g| scored(g, |_, a| a);
    malus: |g| answer::clipped_vjp(g.0, g.1, g.2, g.3, g.4, -g.5, g.6);
    no_bonus: |g| answer::clipped_vjp(g.0, g.1, g.2, g.3, g.4, 0., g.6);
    /// The bonus from `-ln π(a)`.
    sampled_bonus: |g| {
        let (x, a, _, _, _, bonus, dloss) = g;
        let without = no_bonus(x, a, g.2, g.3, g.4, bonus, dloss);
        // ∂/∂x of c·mean ln π(a).
        without - rows(x, a, dloss, |_| bonus)
    };
    /// `-(ln p + 1)` times p, and nothing for the others.
    free_entropy: |g| {
        let (x, a, _, _, _, bonus, dloss) = g;
        let p = softmax::forward(x);
        let by = bonus * dloss / a.len() as f64;
        let slope = p.mapv(|p| p * (p.ln() + 1.) * by);
        no_bonus(x, a, g.2, g.3, g.4, bonus, dloss) + slope
    };
    /// A row that is clipped is left as it is, all zeros.
    clipped_rows_skipped: |g| {
        let (x, a, old, advantages, eps, ..) = g;
        let log_p = softmax::log_softmax(x);
        let whole = answer::clipped_vjp(x, a, old, advantages, eps, g.5, g.6);
        let mut dx = Array2::zeros(x.dim());
        for n in 0..a.len() {
            let ratio = (log_p[[n, a[n]]] - old[n]).exp();
            let gain = ratio * advantages[n];
            if gain > ratio.clamp(1. - eps, 1. + eps) * advantages[n] {
                continue;
            }
            dx.row_mut(n).assign(&whole.row(n));
        }
        dx
    };
    /// The score times what the minimum is.
    minimum_itself: |g| scored(g, |ratio, a| {
        (ratio * a).min(ratio.clamp(1. - g.4, 1. + g.4) * a)
    });
    /// π over ln π_old.
    old_as_probability: |g| {
        let p = softmax::forward(g.0);
        let gains: Vec<f64> = (0..g.1.len())
            .map(|n| {
                let ratio = p[[n, g.1[n]]] / g.2[n];
                let clipped = ratio.clamp(1. - g.4, 1. + g.4);
                let gain = ratio * g.3[n];
                if gain <= clipped * g.3[n] { gain } else { 0. }
            })
            .collect();
        rows(g.0, g.1, g.6, |n| gains[n]) + bonus_alone(g.0, g.5 * g.6)
    };
    /// The mean entropy of the batch in every row.
    one_entropy: |g| {
        let log_p = softmax::log_softmax(g.0);
        let p = log_p.exp();
        let n = g.1.len() as f64;
        let h = -(&p * &log_p).sum() / n;
        let of_bonus = p * (log_p + h) * (g.5 * g.6 / n);
        no_bonus(g.0, g.1, g.2, g.3, g.4, g.5, g.6) + of_bonus
    };
    /// Between 1/(1+ε) and 1+ε.
    lower_end_turned: |g| scored(g, |ratio, a| {
        let clipped = ratio.clamp(1. / (1. + g.4), 1. + g.4);
        if ratio * a <= clipped * a { ratio * a } else { 0. }
    });
    /// The logarithm of the ratio is clipped to ±ε.
    clipped_in_logarithms: |g| scored(g, |ratio, a| {
        let clipped = ratio.clamp((-g.4).exp(), g.4.exp());
        if ratio * a <= clipped * a { ratio * a } else { 0. }
    });
    /// The logarithm of a probability, which may have rounded to 0.
    log_of_rounded: |g| {
        let p = softmax::forward(g.0);
        let log_p = p.mapv(f64::ln);
        let h = -(&p * &log_p).sum_axis(Axis(1)).insert_axis(Axis(1));
        let by = g.5 * g.6 / g.1.len() as f64;
        no_bonus(g.0, g.1, g.2, g.3, g.4, g.5, g.6) + p * (log_p + h) * by
    };
    /// The entropies are added up, the gains averaged.
    entropy_summed: |g| {
        let n = g.1.len() as f64;
        answer::clipped_vjp(g.0, g.1, g.2, g.3, g.4, g.5 * n, g.6)
    };
}

// ---- a divergence --------------------------------------------------------------

fn of_score(x: V, a: usize, by: f64) -> Array1<f64> {
    let p = softmax::forward(x.insert_axis(Axis(0)));
    let mut s = p.row(0).mapv(|p| -by * p);
    s[a] += by;
    s
}

fn log_ratio(x: V, y: V, a: usize) -> f64 {
    let of = |x: V| softmax::log_softmax(x.insert_axis(Axis(0)))[[0, a]];
    of(y) - of(x)
}

/// The derivative of `ln π - ln ref`.
pub fn k1(x: V, _: V, a: usize) -> Array1<f64> {
    of_score(x, a, 1.)
}

/// The derivative of `r - 1 - ln r`.
pub fn k3(x: V, y: V, a: usize) -> Array1<f64> {
    let r = log_ratio(x, y, a).exp();
    of_score(x, a, -r + 1.)
}

/// k3 as the reward.
pub fn value_of_k3(x: V, y: V, a: usize) -> Array1<f64> {
    let log_r = log_ratio(x, y, a);
    of_score(x, a, log_r.exp_m1() - log_r)
}

/// The term of the action in the sum over all, as if nothing had been drawn.
pub fn term_of_action(x: V, y: V, a: usize) -> Array1<f64> {
    of_score(x, a, -log_ratio(x, y, a) * probability(x, a))
}

/// The derivative of `(ln r)²`.
pub fn k2_doubled(x: V, y: V, a: usize) -> Array1<f64> {
    of_score(x, a, -2. * log_ratio(x, y, a))
}

pub fn of_reference(x: V, y: V, _: usize) -> Array1<f64> {
    let of = |x: V| softmax::forward(x.insert_axis(Axis(0)));
    (of(y) - of(x)).index_axis_move(Axis(0), 0)
}

fn probability(x: V, a: usize) -> f64 {
    softmax::forward(x.insert_axis(Axis(0)))[[0, a]]
}

/// `ln(π/ref)`, where ref may have rounded to 0.
pub fn log_of_quotient(x: V, y: V, a: usize) -> Array1<f64> {
    of_score(x, a, (probability(x, a) / probability(y, a)).ln())
}

pub fn log_ratio_clipped(x: V, y: V, a: usize) -> Array1<f64> {
    of_score(x, a, -log_ratio(x, y, a).clamp(-20., 20.))
}

pub fn guarded_logs(x: V, y: V, a: usize) -> Array1<f64> {
    let ln = |x: V| (probability(x, a) + 1e-8).ln();
    of_score(x, a, ln(x) - ln(y))
}

pub fn one_logit_of_divergence(x: V, y: V, a: usize) -> Array1<f64> {
    let mut d = Array1::zeros(x.len());
    d[a] = -log_ratio(x, y, a);
    d
}

// ---- hunts ------------------------------------------------------------------------

fn with_baseline(
    x: M,
    a: &[usize],
    r: M,
    dloss: f64,
    b: impl Fn(usize) -> f64,
) -> Array2<f64> {
    rows(x, a, dloss, |n| r[[n, a[n]]] - b(n))
}

pub fn no_mean(x: M, a: &[usize], r: M, dloss: f64) -> Array2<f64> {
    with_baseline(x, a, r, dloss, |_| 0.)
}

pub fn mean_added(x: M, a: &[usize], r: M, dloss: f64) -> Array2<f64> {
    let b = (softmax::forward(x) * r).sum_axis(Axis(1));
    with_baseline(x, a, r, dloss, |n| -b[n])
}

/// The mean reward of the actions that were not drawn.
pub fn mean_of_the_others(x: M, a: &[usize], r: M, dloss: f64) -> Array2<f64> {
    let p = softmax::forward(x);
    with_baseline(x, a, r, dloss, |n| {
        let others = (0..r.ncols()).filter(|k| *k != a[n]);
        let (sum, weight) = others.fold((0., 0.), |(sum, weight), k| {
            (sum + p[[n, k]] * r[[n, k]], weight + p[[n, k]])
        });
        sum / weight
    })
}

pub fn plain_mean(x: M, a: &[usize], r: M, dloss: f64) -> Array2<f64> {
    with_baseline(x, a, r, dloss, |n| r.row(n).mean().unwrap_or(0.))
}

pub fn each_averaged(x: M, a: &[usize], r: V) -> Array2<f64> {
    answer::mended_credit(x, a, r) / r.len() as f64
}

pub fn own_reward(x: M, a: &[usize], r: V) -> Array2<f64> {
    credited(x, a, r.to_owned())
}

pub fn so_far(x: M, a: &[usize], r: V) -> Array2<f64> {
    let mut sum = 0.;
    credited(
        x,
        a,
        r.iter()
            .map(|r| {
                sum += r;
                sum
            })
            .collect(),
    )
}

pub fn reward_of_before(x: M, a: &[usize], r: V) -> Array2<f64> {
    let mut late = Array1::zeros(r.len());
    for t in 1..r.len() {
        late[t] = r[t - 1];
    }
    answer::mended_credit(x, a, late.view())
}

/// Credited from the reward after the own one on.
pub fn reward_of_after(x: M, a: &[usize], r: V) -> Array2<f64> {
    credited(x, a, to_go(r) - r)
}

/// The whole return less the own reward.
pub fn all_but_own(x: M, a: &[usize], r: V) -> Array2<f64> {
    credited(x, a, r.mapv(|own| r.sum() - own))
}

/// The own reward and the next one.
pub fn two_rewards(x: M, a: &[usize], r: V) -> Array2<f64> {
    let sum = |t: usize| r.iter().skip(t).take(2).sum();
    credited(x, a, Array1::from_shape_fn(r.len(), sum))
}

pub fn three_rewards(x: M, a: &[usize], r: V) -> Array2<f64> {
    let sum = |t: usize| (t..r.len().min(t + 3)).map(|u| r[u]).sum();
    credited(x, a, Array1::from_shape_fn(r.len(), sum))
}

/// The mean of the rewards to go.
pub fn mean_of_the_rest(x: M, a: &[usize], r: V) -> Array2<f64> {
    let mut g = to_go(r);
    for (t, g) in g.iter_mut().enumerate() {
        *g /= (r.len() - t) as f64;
    }
    credited(x, a, g)
}

fn to_go(r: V) -> Array1<f64> {
    let from = |t: usize| r.iter().skip(t).sum();
    Array1::from_shape_fn(r.len(), from)
}

pub fn whitened(x: M, a: &[usize], r: V) -> Array2<f64> {
    let g = to_go(r);
    let std = g.std(1.);
    credited(x, a, (&g - g.mean().unwrap_or(0.)) / std)
}

pub fn centred(x: M, a: &[usize], r: V) -> Array2<f64> {
    let g = to_go(r);
    credited(x, a, &g - g.mean().unwrap_or(0.))
}

pub fn one_logit_each(x: M, a: &[usize], r: V) -> Array2<f64> {
    let mut d = Array2::zeros(x.dim());
    for (t, g) in to_go(r).into_iter().enumerate() {
        d[[t, a[t]]] = g;
    }
    d
}
