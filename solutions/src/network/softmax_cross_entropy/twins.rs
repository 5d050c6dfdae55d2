//! Known-wrong answers, one mistake each, as a learner would write them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

pub type M<'a> = ArrayView2<'a, f64>;
pub type V<'a> = ArrayView1<'a, f64>;

// --- softmax VJP -----------------------------------------------------------

pub fn zeros(y: M, _dy: M) -> Array2<f64> {
    Array2::zeros(y.raw_dim())
}

pub fn vjp_of_ones(y: M, dy: M) -> Array2<f64> {
    right_vjp(y, y.mapv(|v| 3. * v).view()) + 0. * &dy
}

fn right_vjp(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for b in 0..y.nrows() {
        let s = y.row(b).dot(&dy.row(b));
        for v in 0..y.ncols() {
            dx[[b, v]] = y[[b, v]] * (dy[[b, v]] - s);
        }
    }
    dx
}

pub fn vjp_negated(y: M, dy: M) -> Array2<f64> {
    -right_vjp(y, dy)
}

pub fn vjp_of_positive_part(y: M, dy: M) -> Array2<f64> {
    right_vjp(y, dy.mapv(|v| v.max(0.)).view())
}

pub fn vjp_like_sigmoid(y: M, dy: M) -> Array2<f64> {
    let mut dx = dy.to_owned();
    dx.zip_mut_with(&y, |d, y| *d *= y * (1. - y));
    dx
}

pub fn vjp_plus(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    &y * &(&dy + &s)
}

pub fn vjp_without_dot(y: M, dy: M) -> Array2<f64> {
    &y * &dy
}

pub fn vjp_with_plain_sum(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for ((b, v), d) in dx.indexed_iter_mut() {
        *d = y[[b, v]] * (dy[[b, v]] - dy.row(b).sum());
    }
    dx
}

pub fn vjp_along_columns(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(0));
    &y * &(&dy - &s)
}

pub fn vjp_one_dot(y: M, dy: M) -> Array2<f64> {
    let mut s = 0.;
    for (y, dy) in y.iter().zip(&dy) {
        s += y * dy;
    }
    &y * &(&dy - s)
}

pub fn vjp_without_factor(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    &dy - &s
}

pub fn vjp_off_diagonal(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for b in 0..y.nrows() {
        for i in 0..y.ncols() {
            for j in (0..y.ncols()).filter(|j| *j != i) {
                dx[[b, i]] -= y[[b, i]] * y[[b, j]] * dy[[b, j]];
            }
        }
    }
    dx
}

pub fn vjp_passes_on(_y: M, dy: M) -> Array2<f64> {
    dy.to_owned()
}

pub fn vjp_averaged(y: M, dy: M) -> Array2<f64> {
    right_vjp(y, dy) / y.nrows() as f64
}

// --- log-softmax VJP -------------------------------------------------------

pub fn log_vjp_without_exp(y: M, dy: M) -> Array2<f64> {
    let s = dy.sum_axis(Axis(1)).insert_axis(Axis(1));
    &dy - &(&y * &s)
}

pub fn log_vjp_softmax_rule(y: M, dy: M) -> Array2<f64> {
    let p = y.exp();
    right_vjp(p.view(), dy)
}

pub fn log_vjp_dot(y: M, dy: M) -> Array2<f64> {
    let p = y.exp();
    let s = (&p * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    &dy - &(p * s)
}

pub fn log_vjp_diagonal(y: M, dy: M) -> Array2<f64> {
    Array2::from_shape_fn(y.raw_dim(), |i| dy[i] * (1. - y[i].exp()))
}

pub fn log_vjp_plus(y: M, dy: M) -> Array2<f64> {
    let mut dx = dy.to_owned();
    for (mut dx, (y, dy)) in dx
        .rows_mut()
        .into_iter()
        .zip(y.rows().into_iter().zip(dy.rows()))
    {
        dx.scaled_add(dy.sum(), &y.exp());
    }
    dx
}

pub fn log_vjp_along_columns(y: M, dy: M) -> Array2<f64> {
    &dy - &(y.exp() * dy.sum_axis(Axis(0)))
}

pub fn log_vjp_without_probability(_y: M, dy: M) -> Array2<f64> {
    let s = dy.sum_axis(Axis(1)).insert_axis(Axis(1));
    &dy - &s
}

// --- cross-entropy ---------------------------------------------------------

fn row_softmax(x: V) -> Array1<f64> {
    let m = x.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
    let e = x.mapv(|v| (v - m).exp());
    &e / e.sum()
}

fn probabilities(x: M) -> Array2<f64> {
    let mut p = x.to_owned();
    for mut row in p.rows_mut() {
        let q = row_softmax(row.view());
        row.assign(&q);
    }
    p
}

fn log_probabilities(x: M) -> Array2<f64> {
    let mut y = x.to_owned();
    for mut row in y.rows_mut() {
        let m = row.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        let lse = m + row.mapv(|v| (v - m).exp()).sum().ln();
        row -= lse;
    }
    y
}

/// `t·ln p` summed, with `0·(-∞)` taken as 0: right in every case.
fn total(t: M, log_p: M) -> f64 {
    let mut sum = 0.;
    for (t, l) in t.iter().zip(&log_p) {
        if *t != 0. {
            sum += t * l;
        }
    }
    sum
}

fn right_loss(x: M, t: M) -> f64 {
    -total(t, log_probabilities(x).view()) / x.nrows() as f64
}

fn right_loss_vjp(x: M, t: M, dloss: f64) -> Array2<f64> {
    (probabilities(x) - t) * dloss / x.nrows() as f64
}

pub fn loss_positive(x: M, t: M) -> f64 {
    total(t, log_probabilities(x).view()) / x.nrows() as f64
}

pub fn loss_summed(x: M, t: M) -> f64 {
    -total(t, log_probabilities(x).view())
}

pub fn loss_over_entries(x: M, t: M) -> f64 {
    let products = &t * &log_probabilities(x);
    -products.mean().expect("a batch is not empty")
}

pub fn loss_in_bits(x: M, t: M) -> f64 {
    let p = probabilities(x);
    -total(t, p.mapv(f64::log2).view()) / x.nrows() as f64
}

pub fn loss_of_likeliest(x: M, t: M) -> f64 {
    let y = log_probabilities(x);
    let mut sum = 0.;
    for (y, t) in y.rows().into_iter().zip(t.rows()) {
        let mut label = 0;
        for v in 1..t.len() {
            if t[v] > t[label] {
                label = v;
            }
        }
        sum -= y[label];
    }
    sum / x.nrows() as f64
}

pub fn loss_relative_entropy(x: M, t: M) -> f64 {
    let mut sum = 0.;
    for (t, l) in t.iter().zip(&log_probabilities(x)) {
        if *t > 0. {
            sum += t * (t.ln() - l);
        }
    }
    sum / x.nrows() as f64
}

pub fn loss_softmax_twice(x: M, t: M) -> f64 {
    right_loss(probabilities(x).view(), t)
}

pub fn loss_along_columns(x: M, t: M) -> f64 {
    let e = x.exp();
    let p = &e / &e.sum_axis(Axis(0));
    -total(t, p.ln().view()) / x.nrows() as f64
}

pub fn loss_overflows(x: M, t: M) -> f64 {
    let e = x.exp();
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1));
    -total(t, (e / s).ln().view()) / x.nrows() as f64
}

pub fn loss_lse_overflows(x: M, t: M) -> f64 {
    let lse = x.exp().sum_axis(Axis(1)).ln().insert_axis(Axis(1));
    (&t * &(&lse - &x)).sum() / x.nrows() as f64
}

pub fn loss_log_of_zero(x: M, t: M) -> f64 {
    let p = probabilities(x);
    -(&t * &p.ln()).sum() / x.nrows() as f64
}

pub fn loss_with_epsilon(x: M, t: M) -> f64 {
    let p = probabilities(x);
    -(&t * &p.mapv(|p| (p + 1e-8).ln())).sum() / x.nrows() as f64
}

pub fn loss_clamped(x: M, t: M) -> f64 {
    let p = probabilities(x);
    let safe = p.mapv(|p| p.clamp(1e-12, 1. - 1e-12));
    -(&t * &safe.ln()).sum() / x.nrows() as f64
}

pub fn loss_clipped_logits(x: M, t: M) -> f64 {
    right_loss(x.mapv(|v| v.clamp(-50., 50.)).view(), t)
}

// --- cross-entropy VJP -----------------------------------------------------

pub fn loss_vjp_zeros(x: M, _t: M, _dloss: f64) -> Array2<f64> {
    Array2::zeros(x.raw_dim())
}

pub fn loss_vjp_upstream_ignored(x: M, t: M, _dloss: f64) -> Array2<f64> {
    right_loss_vjp(x, t, 1.)
}

pub fn loss_vjp_reversed(x: M, t: M, dloss: f64) -> Array2<f64> {
    (&t - &probabilities(x)) * (dloss / x.nrows() as f64)
}

pub fn loss_vjp_summed(x: M, t: M, dloss: f64) -> Array2<f64> {
    (probabilities(x) - t) * dloss
}

pub fn loss_vjp_averaged_twice(x: M, t: M, dloss: f64) -> Array2<f64> {
    let n = x.nrows() as f64;
    (probabilities(x) - t) / n * (dloss / n)
}

pub fn loss_vjp_over_entries(x: M, t: M, dloss: f64) -> Array2<f64> {
    right_loss_vjp(x, t, dloss) / x.ncols() as f64
}

pub fn loss_vjp_hadamard(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    let dp = -&t / &p * (dloss / x.nrows() as f64);
    &p * &(1. - &p) * dp
}

pub fn loss_vjp_slope_again(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    let mut dx = right_loss_vjp(x, t, dloss);
    for (d, p) in dx.iter_mut().zip(&p) {
        *d *= p * (1. - p);
    }
    dx
}

pub fn loss_vjp_softmax_twice(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    (probabilities(p.view()) - t) * (dloss / x.nrows() as f64)
}

pub fn loss_vjp_softmax_chained_twice(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    let dp = right_loss_vjp(p.view(), t, dloss);
    right_vjp(p.view(), dp.view())
}

pub fn loss_vjp_no_target(x: M, _t: M, dloss: f64) -> Array2<f64> {
    probabilities(x) * (dloss / x.nrows() as f64)
}

pub fn loss_vjp_of_probabilities(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    Array2::from_shape_fn(x.raw_dim(), |i| {
        -t[i] / p[i] * dloss / x.nrows() as f64
    })
}

pub fn loss_vjp_of_likeliest(x: M, t: M, dloss: f64) -> Array2<f64> {
    let mut dx = probabilities(x);
    for (mut dx, t) in dx.rows_mut().into_iter().zip(t.rows()) {
        let mut best = 0;
        for (v, t_v) in t.iter().enumerate() {
            if *t_v > t[best] {
                best = v;
            }
        }
        dx[best] -= 1.;
    }
    dx * (dloss / x.nrows() as f64)
}

pub fn loss_vjp_along_columns(x: M, t: M, dloss: f64) -> Array2<f64> {
    let e = x.exp();
    (&e / &e.sum_axis(Axis(0)) - t) * (dloss / x.nrows() as f64)
}

pub fn loss_vjp_overflows(x: M, t: M, dloss: f64) -> Array2<f64> {
    let e = x.exp();
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1));
    (e / s - t) * (dloss / x.nrows() as f64)
}

pub fn loss_vjp_not_fused(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    let dp = -&t / &p * (dloss / x.nrows() as f64);
    right_vjp(p.view(), dp.view())
}

pub fn loss_vjp_with_epsilon(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    let dp = -&t / &p.mapv(|p| p + 1e-8) * (dloss / x.nrows() as f64);
    right_vjp(p.view(), dp.view())
}

pub fn loss_vjp_clipped_logits(x: M, t: M, dloss: f64) -> Array2<f64> {
    right_loss_vjp(x.mapv(|v| v.clamp(-50., 50.)).view(), t, dloss)
}

// --- temperature and smoothing ---------------------------------------------

type Tempered = (Array2<f64>, f64);

/// Residual per example over B, for target rows made by `target`.
fn residual(
    z: M,
    labels: &[usize],
    dloss: f64,
    target: impl Fn(bool) -> f64,
) -> Array2<f64> {
    let mut r = probabilities(z);
    for ((b, v), r) in r.indexed_iter_mut() {
        *r -= target(v == labels[b]);
    }
    r * (dloss / z.nrows() as f64)
}

fn smooth(eps: f64, classes: usize) -> impl Fn(bool) -> f64 {
    let rest = eps / classes as f64;
    move |label| if label { 1. - eps + rest } else { rest }
}

fn finish(r: Array2<f64>, x: M, tau: f64) -> Tempered {
    let dtau = -(&r * &x).sum() / (tau * tau);
    (r / tau, dtau)
}

pub fn tempered_factor_missing(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let dtau = finish(r.clone(), x, tau).1;
    (r, dtau)
}

pub fn tempered_multiplied(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let dtau = finish(r.clone(), x, tau).1;
    (r * tau, dtau)
}

pub fn tempered_plain_softmax(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let r = residual(x, labels, dloss, smooth(eps, x.ncols()));
    finish(r, x, tau)
}

pub fn tempered_hard(
    x: M,
    labels: &[usize],
    _eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, f64::from);
    finish(r, x, tau)
}

pub fn tempered_shared_by_others(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let others = eps / (x.ncols() - 1) as f64;
    let target = |label| if label { 1. - eps } else { others };
    finish(residual(z.view(), labels, dloss, target), x, tau)
}

pub fn tempered_too_much(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let rest = eps / x.ncols() as f64;
    let target = |label| if label { 1. } else { rest };
    finish(residual(z.view(), labels, dloss, target), x, tau)
}

pub fn tempered_too_little(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let rest = eps / x.ncols() as f64;
    let target = |label| if label { 1. - eps } else { rest };
    finish(residual(z.view(), labels, dloss, target), x, tau)
}

pub fn tempered_summed(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let batch = x.nrows() as f64;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    finish(r * batch, x, tau)
}

pub fn tempered_dtau_sign(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let (dx, dtau) = finish(r, x, tau);
    (dx, -dtau)
}

pub fn tempered_dtau_one_power(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let dtau = -(&r * &z).sum();
    (r / tau, dtau)
}

pub fn tempered_divided_twice(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let (dx, dtau) = finish(r, x, tau);
    (dx / tau, dtau)
}

pub fn tempered_dtau_from_dx(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let dx = r / tau;
    let dtau = -(&dx * &x).sum() / tau.powi(2);
    (dx, dtau)
}

pub fn tempered_dtau_averaged(
    x: M,
    labels: &[usize],
    eps: f64,
    tau: f64,
    dloss: f64,
) -> Tempered {
    let z = &x / tau;
    let r = residual(z.view(), labels, dloss, smooth(eps, x.ncols()));
    let (dx, dtau) = finish(r, x, tau);
    (dx, dtau / x.nrows() as f64)
}

// --- two classes -----------------------------------------------------------

fn sigmoid(x: f64) -> f64 {
    1. / (1. + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    if x > 0. {
        x + (-x).exp().ln_1p()
    } else {
        x.exp().ln_1p()
    }
}

fn average(x: V, t: V, cost: impl Fn(f64, f64) -> f64) -> f64 {
    let costs = x.iter().zip(t).map(|(x, t)| cost(*x, *t));
    costs.sum::<f64>() / x.len() as f64
}

fn right_binary(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| w * t * softplus(-x) + (1. - t) * softplus(x))
}

fn right_binary_vjp(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let slope =
        |(&x, &t): (&f64, &f64)| (1. - t) * sigmoid(x) - w * t * sigmoid(-x);
    let dx: Array1<f64> = x.iter().zip(t).map(slope).collect();
    dx * (dloss / x.len() as f64)
}

pub fn binary_positive(x: V, t: V, w: f64) -> f64 {
    -right_binary(x, t, w)
}

pub fn binary_summed(x: V, t: V, w: f64) -> f64 {
    right_binary(x, t, w) * x.len() as f64
}

pub fn binary_without_weight(x: V, t: V, _w: f64) -> f64 {
    average(x, t, |x, t| t * softplus(-x) + (1. - t) * softplus(x))
}

pub fn binary_weight_on_both(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| w * (softplus(x) - x * t))
}

pub fn binary_positives_only(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| -w * t * sigmoid(x).ln())
}

pub fn binary_in_bits(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| {
        -w * t * sigmoid(x).log2() - (1. - t) * sigmoid(-x).log2()
    })
}

pub fn binary_log_of_zero(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| {
        let p = sigmoid(x);
        -(w * t * p.ln() + (1. - t) * (1. - p).ln())
    })
}

pub fn binary_with_epsilon(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| {
        let p = sigmoid(x);
        -w * t * (p + 1e-8).ln() - (1. - t) * (1. - p + 1e-8).ln()
    })
}

pub fn binary_overflows(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| {
        w * t * (1. + (-x).exp()).ln() + (1. - t) * (1. + x.exp()).ln()
    })
}

pub fn binary_weighted_examples(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| {
        let weight = t * w + (1. - t);
        weight * (softplus(x) - t * x)
    })
}

pub fn binary_weighted_mean(x: V, t: V, w: f64) -> f64 {
    let weights: f64 = t.iter().map(|t| t * w + 1. - t).sum();
    right_binary(x, t, w) * x.len() as f64 / weights
}

pub fn binary_vjp_upstream_ignored(
    x: V,
    t: V,
    w: f64,
    _dloss: f64,
) -> Array1<f64> {
    right_binary_vjp(x, t, w, 1.)
}

pub fn binary_vjp_reversed(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    right_binary_vjp(x, t, w, -dloss)
}

pub fn binary_vjp_summed(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    right_binary_vjp(x, t, w, dloss * x.len() as f64)
}

pub fn binary_vjp_without_weight(
    x: V,
    t: V,
    _w: f64,
    dloss: f64,
) -> Array1<f64> {
    (x.mapv(sigmoid) - t) * (dloss / x.len() as f64)
}

pub fn binary_vjp_weight_on_both(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    (x.mapv(sigmoid) - t) * w * (dloss / x.len() as f64)
}

pub fn binary_vjp_weighted_target(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    let n = x.len() as f64;
    Array1::from_shape_fn(x.len(), |b| (sigmoid(x[b]) - w * t[b]) * dloss / n)
}

pub fn binary_vjp_weighted_examples(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    let n = x.len() as f64;
    Array1::from_shape_fn(x.len(), |b| {
        let weight = 1. + t[b] * (w - 1.);
        weight * (sigmoid(x[b]) - t[b]) * dloss / n
    })
}

pub fn binary_vjp_positives_only(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    let n = x.len() as f64;
    Array1::from_shape_fn(x.len(), |b| {
        -w * t[b] * (1. - sigmoid(x[b])) * dloss / n
    })
}

pub fn binary_vjp_weighted_mean(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let weights: f64 = t.iter().map(|t| t * w + 1. - t).sum();
    right_binary_vjp(x, t, w, dloss) * (x.len() as f64 / weights)
}

pub fn binary_vjp_averaged_twice(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    right_binary_vjp(x, t, w, dloss) / x.len() as f64
}

pub fn binary_vjp_slope_again(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let p = x.mapv(sigmoid);
    right_binary_vjp(x, t, w, dloss) * &p * (1. - &p)
}

pub fn binary_vjp_of_probability(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    let p = x.mapv(sigmoid);
    let dp = -w * &t / &p + (1. - &t) / (1. - &p);
    dp * (dloss / x.len() as f64)
}

pub fn binary_vjp_softmax_of_one(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    // The softmax of one number is 1, whatever the number.
    let p = x.mapv(|x| x.exp() / x.exp());
    let dx = &p * &(1. - &t + w * &t) - w * &t;
    dx * (dloss / x.len() as f64)
}

pub fn binary_vjp_overflows(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let p = x.mapv(|x| x.exp() / (1. + x.exp()));
    let dx = &p * &(1. - &t + w * &t) - w * &t;
    dx * (dloss / x.len() as f64)
}

pub fn binary_vjp_not_fused(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let p = x.mapv(sigmoid);
    let dp = -w * &t / &p + (1. - &t) / (1. - &p);
    &p * &(1. - &p) * dp * (dloss / x.len() as f64)
}

pub fn binary_vjp_with_epsilon(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let p = x.mapv(sigmoid);
    let dp = -w * &t / (&p + 1e-8) + (1. - &t) / (1. - &p + 1e-8);
    &p * &(1. - &p) * dp * (dloss / x.len() as f64)
}

// --- the soft lookup -------------------------------------------------------

type Lookup = (Array2<f64>, Array2<f64>);

pub fn lookup_diagonal(x: M, e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let mut dx = dy.dot(&e.t());
    dx.zip_mut_with(&p, |d, p| *d *= p - p * p);
    (dx, p.t().dot(&dy))
}

pub fn lookup_without_dot(x: M, e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    (&p * &dy.dot(&e.t()), p.t().dot(&dy))
}

pub fn lookup_no_softmax(x: M, e: M, dy: M) -> Lookup {
    (dy.dot(&e.t()), probabilities(x).t().dot(&dy))
}

pub fn lookup_table_from_logits(x: M, e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let dx = right_vjp(p.view(), dy.dot(&e.t()).view());
    (dx, x.t().dot(&dy))
}

pub fn lookup_plain_sum(x: M, e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let dp = dy.dot(&e.t());
    let s = dp.sum_axis(Axis(1)).insert_axis(Axis(1));
    (&p * &(&dp - &s), p.t().dot(&dy))
}

pub fn lookup_one_dot(x: M, e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let dp = dy.dot(&e.t());
    let s = total(p.view(), dp.view());
    (&p * &(dp - s), p.t().dot(&dy))
}

pub fn lookup_without_table(x: M, _e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let s = (&p * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    (&p * &(&dy - &s), p.t().dot(&dy))
}

// --- softmax twice ---------------------------------------------------------

pub fn floor_loss_only_mended(x: M, t: M) -> (f64, Array2<f64>) {
    let p = probabilities(x);
    let dp = right_loss_vjp(p.view(), t, 1.);
    (right_loss(x, t), right_vjp(p.view(), dp.view()))
}

pub fn floor_gradient_only_mended(x: M, t: M) -> (f64, Array2<f64>) {
    let p = probabilities(x);
    (right_loss(p.view(), t), right_loss_vjp(x, t, 1.))
}

pub fn floor_slope_left(x: M, t: M) -> (f64, Array2<f64>) {
    // The first softmax is gone from the loss, its VJP is not.
    let p = probabilities(x);
    let dp = right_loss_vjp(x, t, 1.);
    (right_loss(x, t), right_vjp(p.view(), dp.view()))
}

pub fn floor_log_of_zero(x: M, t: M) -> (f64, Array2<f64>) {
    let p = probabilities(x);
    let loss = -(&t * &p.ln()).sum() / x.nrows() as f64;
    (loss, right_loss_vjp(x, t, 1.))
}

// --- counting --------------------------------------------------------------

pub fn work_shared(rows: u64, classes: u64) -> [u64; 3] {
    let n = classes * classes;
    [n, 2 * n, rows * classes * 4]
}

pub fn work_of_batch(rows: u64, classes: u64) -> [u64; 3] {
    let side = rows * classes;
    [side * side, 2 * side * side, 4 * side]
}

pub fn work_multiplications(rows: u64, classes: u64) -> [u64; 3] {
    let n = rows * classes * classes;
    [n, n, 4 * rows * classes]
}

pub fn work_signs(rows: u64, classes: u64) -> [u64; 3] {
    let n = rows * classes * classes;
    // A row of the Jacobian times a vector: V products, V - 1 plus signs.
    [
        n,
        rows * classes * (classes + classes - 1),
        rows * 4 * classes,
    ]
}

pub fn work_signs_of_dot(rows: u64, classes: u64) -> [u64; 3] {
    let n = rows * classes * classes;
    let dot = classes + (classes - 1);
    [n, 2 * n, rows * (dot + classes + classes)]
}

pub fn work_without_sum(rows: u64, classes: u64) -> [u64; 3] {
    let n = rows * classes * classes;
    // products of the dot, differences, products
    [n, 2 * n, 3 * rows * classes]
}

pub fn work_dot_per_entry(rows: u64, classes: u64) -> [u64; 3] {
    let n = rows * classes * classes;
    let mut vjp = 0;
    for _entry in 0..rows * classes {
        vjp += 2 * classes; // the dot product, again
        vjp += 2; //           the difference and the product
    }
    [n, 2 * n, vjp]
}
