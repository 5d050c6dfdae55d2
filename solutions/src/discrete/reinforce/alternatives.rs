//! Right answers, written differently.

use backprop::discrete::reinforce::{self, kl, returns};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, arr1};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;

/// By counting the ones: there are two outcomes only.
pub fn bernoulli_by_counting(theta: f64, b: f64, u: V) -> (f64, f64) {
    let p = 1. / (1. + (-theta).exp());
    let (n, ones) =
        (u.len() as f64, u.iter().filter(|u| **u < p).count() as f64);
    let (of_one, of_zero) = ((1. - b) * (1. - p), b * p);
    let mean = (ones * of_one + (n - ones) * of_zero) / n;
    let squares =
        ones * (of_one - mean).powi(2) + (n - ones) * (of_zero - mean).powi(2);
    (mean, (squares / (n * (n - 1.))).sqrt())
}

/// The score is 1 - σ for a one, -σ for a zero, and σ has two forms.
pub fn bernoulli_by_cases(theta: f64, b: f64, u: V) -> (f64, f64) {
    let e = (-theta.abs()).exp();
    let p = if theta < 0. { e } else { 1. } / (1. + e);
    let each = u.mapv(|u| match u < p {
        true => (1. - b) * (1. - p),
        false => -b * -p,
    });
    let n = each.len() as f64;
    (each.sum() / n, each.std(1.) / n.sqrt())
}

/// The whole score at once.
pub fn loss_vjp_by_arrays(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let mut score = -softmax::forward(x);
    for (n, a) in a.iter().enumerate() {
        score[[n, *a]] += 1.;
    }
    let by = (&r - &v.column(0)) * (-dloss / a.len() as f64);
    score * by.insert_axis(Axis(1))
}

/// Cross-entropy's gradient, p - t, with a weight for each row.
pub fn loss_vjp_by_cross_entropy(
    x: M,
    a: &[usize],
    r: V,
    v: M,
    dloss: f64,
) -> Array2<f64> {
    let t = softmax::targets(a, x.ncols(), 0.);
    let mut dx = softmax::forward(x) - t;
    for (n, mut row) in dx.rows_mut().into_iter().enumerate() {
        row *= dloss * (r[n] - v[[n, 0]]) / a.len() as f64;
    }
    dx
}

/// The own mean, G/(G - 1) times: the same, draw by draw.
pub fn own_mean_scaled(r: M) -> Array2<f64> {
    let g = r.ncols() as f64;
    let mean = r.sum_axis(Axis(1)) / g;
    (&r - &mean.insert_axis(Axis(1))) * (g / (g - 1.))
}

/// Each against each other.
pub fn leave_one_out_by_pairs(r: M) -> Array2<f64> {
    let (questions, g) = r.dim();
    Array2::from_shape_fn((questions, g), |(n, i)| {
        let off = (0..g).map(|j| r[[n, i]] - r[[n, j]]);
        off.sum::<f64>() / (g - 1) as f64
    })
}

/// The sum of all δ from a step on, each with its power.
pub fn gae_by_sums(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let t = r.len();
    let delta = |s: usize| {
        let after = match (ended[s], s + 1 == t) {
            (true, _) => 0.,
            (_, true) => next,
            _ => v[s + 1],
        };
        r[s] + gamma * after - v[s]
    };
    Array1::from_shape_fn(t, |start| {
        let (mut sum, mut power) = (0., 1.);
        for (s, ended) in ended.iter().enumerate().skip(start) {
            sum += power * delta(s);
            power *= gamma * lambda;
            if *ended {
                break;
            }
        }
        sum
    })
}

/// The λ-return less the value.
pub fn gae_by_returns(
    r: V,
    v: V,
    next: f64,
    ended: &[bool],
    gamma: f64,
    lambda: f64,
) -> Array1<f64> {
    let mut out = Array1::zeros(r.len());
    let (mut ret, mut value) = (next, next);
    for t in (0..r.len()).rev() {
        let on = if ended[t] { 0. } else { 1. };
        ret = r[t] + gamma * on * ((1. - lambda) * value + lambda * ret);
        value = v[t];
        out[t] = ret - value;
    }
    out
}

/// The larger of the negated products, and the gradient by cases.
pub fn clipped_by_cases(
    x: M,
    a: &[usize],
    old: V,
    advantages: V,
    eps: f64,
    bonus: f64,
    dloss: f64,
) -> Array2<f64> {
    let (p, log_p) = (softmax::forward(x), softmax::log_softmax(x));
    let n = a.len() as f64;
    let mut dx = Array2::zeros(x.dim());
    for (row, mut dx) in dx.rows_mut().into_iter().enumerate() {
        let (p, log_p) = (p.row(row), log_p.row(row));
        let ratio = p[a[row]] / old[row].exp();
        let of_a = advantages[row];
        let flat =
            (of_a > 0. && ratio > 1. + eps) || (of_a < 0. && ratio < 1. - eps);
        if !flat {
            dx.assign(&(&p * (ratio * of_a)));
            dx[a[row]] -= ratio * of_a;
        }
        let h = -p.dot(&log_p);
        dx.zip_mut_with(&(&p * &(&log_p + h)), |dx, d| *dx += bonus * d);
    }
    dx * (dloss / n)
}

/// By the VJPs of softmax and its logarithm.
pub fn clipped_by_vjps(
    x: M,
    a: &[usize],
    old: V,
    advantages: V,
    eps: f64,
    bonus: f64,
    dloss: f64,
) -> Array2<f64> {
    let log_p = softmax::log_softmax(x);
    let p = log_p.exp();
    let scale = dloss / a.len() as f64;
    // Of ln π: of the drawn action, and Σ π ln π through the logarithm.
    let mut d = &p * (scale * bonus);
    for (n, a) in a.iter().enumerate() {
        let ratio = (log_p[[n, *a]] - old[n]).exp();
        let (plain, clipped) = (
            ratio * advantages[n],
            ratio.max(1. - eps).min(1. + eps) * advantages[n],
        );
        if (-plain).max(-clipped) == -plain {
            d[[n, *a]] -= scale * plain;
        }
    }
    let through_log = softmax::log_softmax_vjp(log_p.view(), d.view());
    let of_p = &log_p * (scale * bonus);
    through_log + softmax::vjp(p.view(), of_p.view())
}

/// The gradient itself, whatever was drawn.
pub fn divergence_summed(x: V, y: V, _: usize) -> Array1<f64> {
    let [p, q] = [x, y].map(|x| softmax::log_softmax(x.insert_axis(Axis(0))));
    let one = arr1(&[1.]);
    let (dx, _) = kl::divergence_vjp(p.view(), q.view(), one.view());
    dx.index_axis_move(Axis(0), 0)
}

/// With a baseline, the divergence.
pub fn divergence_with_baseline(x: V, y: V, a: usize) -> Array1<f64> {
    let [p, q] = [x, y].map(|x| softmax::log_softmax(x.insert_axis(Axis(0))));
    let (gap, p) = (&p.row(0) - &q.row(0), p.row(0).exp());
    reinforce::score(p.view(), a) * (gap[a] - p.dot(&gap))
}

/// The derivative of π·(ln π - ln ref), by the product rule: one more.
pub fn divergence_by_product_rule(x: V, y: V, a: usize) -> Array1<f64> {
    let [p, q] = [x, y].map(|x| softmax::log_softmax(x.insert_axis(Axis(0))));
    let score = reinforce::score(p.row(0).exp().view(), a);
    score * (p[[0, a]] - q[[0, a]] + 1.)
}

/// The library's loss, handed the advantages.
pub fn own_baseline_by_advantages(
    x: M,
    a: &[usize],
    r: M,
    dloss: f64,
) -> Array2<f64> {
    let p = softmax::forward(x);
    let b = (&p * &r).sum_axis(Axis(1));
    let advantages = a.iter().enumerate().map(|(n, a)| r[[n, *a]] - b[n]);
    let advantages: Array1<f64> = advantages.collect();
    reinforce::loss_vjp(p.view(), a, advantages.view(), dloss)
}

/// Every step credited with the whole return.
pub fn full_return(x: M, a: &[usize], r: V) -> Array2<f64> {
    credited(x, a, Array1::from_elem(r.len(), r.sum()))
}

/// Reward to go less a number.
pub fn with_constant(x: M, a: &[usize], r: V) -> Array2<f64> {
    let g = returns::to_go(r, 1.);
    credited(x, a, g - 3.5)
}

/// Reward to go less what the policy makes of the state: any function of the
/// state will do.
pub fn with_state_baseline(x: M, a: &[usize], r: V) -> Array2<f64> {
    let g = returns::to_go(r, 1.) - x.map_axis(Axis(1), |x| x.sum());
    credited(x, a, g)
}

/// Rewards by pairs of steps.
pub fn by_pairs(x: M, a: &[usize], r: V) -> Array2<f64> {
    let p = softmax::forward(x);
    let mut estimate = Array2::zeros(x.dim());
    for (s, r) in r.iter().enumerate() {
        for (t, a) in a.iter().enumerate().take(s + 1) {
            let score = reinforce::score(p.row(t), *a);
            estimate.row_mut(t).scaled_add(*r, &score);
        }
    }
    estimate
}

/// Each step's score times a number of its own.
pub fn credited(x: M, a: &[usize], credit: Array1<f64>) -> Array2<f64> {
    let p = softmax::forward(x);
    reinforce::log_prob_vjp(p.view(), a, credit.view())
}
