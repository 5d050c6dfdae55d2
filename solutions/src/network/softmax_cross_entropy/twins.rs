//! Known-wrong answers, one mistake each, as a learner would write them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

pub type M<'a> = ArrayView2<'a, f64>;
pub type V<'a> = ArrayView1<'a, f64>;

// --- VJP of the root -------------------------------------------------------

fn right_softmax_vjp(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for b in 0..y.nrows() {
        let s = y.row(b).dot(&dy.row(b));
        for v in 0..y.ncols() {
            dx[[b, v]] = y[[b, v]] * (dy[[b, v]] - s);
        }
    }
    dx
}

pub fn vjp_plus(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    &y * &(&dy + &(&y * &s)) / 2.
}

pub fn vjp_without_dot(y: M, dy: M) -> Array2<f64> {
    &y * &dy / 2.
}

pub fn vjp_of_softmax(y: M, dy: M) -> Array2<f64> {
    right_softmax_vjp(y, dy)
}

pub fn vjp_without_root(y: M, dy: M) -> Array2<f64> {
    let p = y.mapv(|v| v * v);
    right_softmax_vjp(p.view(), dy)
}

pub fn vjp_axis_lost(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(1));
    &y * &(&dy - &(&y * &s)) / 2.
}

pub fn vjp_without_half(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    &y * &(&dy - &(&y * &s))
}

pub fn vjp_with_plain_sum(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for ((b, v), d) in dx.indexed_iter_mut() {
        let sum = dy.row(b).sum();
        *d = 0.5 * y[[b, v]] * (dy[[b, v]] - y[[b, v]] * sum);
    }
    dx
}

pub fn vjp_along_columns(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(0));
    &y * &(&dy - &(&y * &s)) / 2.
}

pub fn vjp_one_dot(y: M, dy: M) -> Array2<f64> {
    let mut s = 0.;
    for (y, dy) in y.iter().zip(&dy) {
        s += y * dy;
    }
    &y * &(&dy - &(&y * s)) / 2.
}

pub fn vjp_without_factor(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    (&dy - &(&y * &s)) / 2.
}

pub fn vjp_off_diagonal(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for b in 0..y.nrows() {
        for i in 0..y.ncols() {
            for j in (0..y.ncols()).filter(|j| *j != i) {
                let both = y[[b, i]] * y[[b, i]] * y[[b, j]];
                dx[[b, i]] -= both * dy[[b, j]] / 2.;
            }
        }
    }
    dx
}

// --- log-softmax VJP -------------------------------------------------------

pub fn log_vjp_without_exp(y: M, dy: M) -> Array2<f64> {
    let s = dy.sum_axis(Axis(1)).insert_axis(Axis(1));
    &dy - &(&y * &s)
}

pub fn log_vjp_softmax_rule(y: M, dy: M) -> Array2<f64> {
    let p = y.exp();
    right_softmax_vjp(p.view(), dy)
}

pub fn log_vjp_axis_lost(y: M, dy: M) -> Array2<f64> {
    &dy - &(y.exp() * dy.sum_axis(Axis(1)))
}

pub fn log_vjp_dot(y: M, dy: M) -> Array2<f64> {
    let p = y.exp();
    let s = (&p * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    &dy - &(p * s)
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

pub fn loss_overflows(x: M, t: M) -> f64 {
    let e = x.exp();
    let s = e.sum_axis(Axis(1)).insert_axis(Axis(1));
    -total(t, (e / s).ln().view()) / x.nrows() as f64
}

/// Right for any shift that leaves no exponent too large or too small.
pub fn loss_shifted_by(x: M, t: M, shift: Array1<f64>) -> f64 {
    let x = &x - &shift.insert_axis(Axis(1));
    let lse = x.exp().sum_axis(Axis(1)).ln().insert_axis(Axis(1));
    -(&t * &(&x - &lse)).sum() / x.nrows() as f64
}

pub fn loss_log_of_zero(x: M, t: M) -> f64 {
    let p = probabilities(x);
    -(&t * &p.ln()).sum() / x.nrows() as f64
}

pub fn loss_with_epsilon(x: M, t: M) -> f64 {
    let p = probabilities(x);
    -(&t * &p.mapv(|p| (p + 1e-8).ln())).sum() / x.nrows() as f64
}

pub fn loss_clipped_logits(x: M, t: M) -> f64 {
    right_loss(x.mapv(|v| v.clamp(-50., 50.)).view(), t)
}

// --- cross-entropy VJP -----------------------------------------------------

pub fn loss_vjp_slope_again(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    let mut dx = right_loss_vjp(x, t, dloss);
    for (d, p) in dx.iter_mut().zip(&p) {
        *d *= p * (1. - p);
    }
    dx
}

pub fn loss_vjp_of_probabilities(x: M, t: M, dloss: f64) -> Array2<f64> {
    let p = probabilities(x);
    Array2::from_shape_fn(x.raw_dim(), |i| {
        -t[i] / p[i] * dloss / x.nrows() as f64
    })
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

pub fn binary_without_weight(x: V, t: V, _w: f64) -> f64 {
    average(x, t, |x, t| t * softplus(-x) + (1. - t) * softplus(x))
}

pub fn binary_weight_on_both(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| w * (softplus(x) - x * t))
}

pub fn binary_positives_only(x: V, t: V, w: f64) -> f64 {
    average(x, t, |x, t| -w * t * sigmoid(x).ln())
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

pub fn binary_vjp_weighted_target(
    x: V,
    t: V,
    w: f64,
    dloss: f64,
) -> Array1<f64> {
    let n = x.len() as f64;
    Array1::from_shape_fn(x.len(), |b| (sigmoid(x[b]) - w * t[b]) * dloss / n)
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

// --- the soft lookup -------------------------------------------------------

type Lookup = (Array2<f64>, Array2<f64>);

pub fn lookup_table_from_logits(x: M, e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let dx = right_softmax_vjp(p.view(), dy.dot(&e.t()).view());
    (dx, x.t().dot(&dy))
}

pub fn lookup_without_table(x: M, _e: M, dy: M) -> Lookup {
    let p = probabilities(x);
    let s = (&p * &dy).sum_axis(Axis(1)).insert_axis(Axis(1));
    (&p * &(&dy - &s), p.t().dot(&dy))
}

// --- softmax twice ---------------------------------------------------------

pub fn floor_slope_left(x: M, t: M) -> (f64, Array2<f64>) {
    // The first softmax is gone from the loss, its VJP is not.
    let p = probabilities(x);
    let dp = right_loss_vjp(x, t, 1.);
    (right_loss(x, t), right_softmax_vjp(p.view(), dp.view()))
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

pub fn work_signs(rows: u64, classes: u64) -> [u64; 3] {
    let n = rows * classes * classes;
    // A row of the Jacobian times a vector: V products, V - 1 plus signs.
    [
        n,
        rows * classes * (classes + classes - 1),
        rows * 4 * classes,
    ]
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
