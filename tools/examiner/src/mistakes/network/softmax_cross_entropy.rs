//! What the mistakes of softmax and cross-entropy return.

use crate::checks::network::softmax_cross_entropy::labels_of;
use crate::judge::{Case, Mistaken};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, Ix1, Ix2};

fn two(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

fn scalar(a: &ArrayD<f64>) -> f64 {
    *a.first().expect("a number")
}

/// One number per row, as a column.
fn per_row(a: Array2<f64>) -> Array2<f64> {
    a.sum_axis(Axis(1)).insert_axis(Axis(1))
}

/// Softmax along the wrong axis.
fn down_columns(x: ArrayView2<f64>) -> Array2<f64> {
    softmax::forward(x.t()).reversed_axes()
}

/// One-hot rows with the largest entry of each row of `t`.
fn likeliest(t: ArrayView2<f64>) -> Array2<f64> {
    let best = |row: ndarray::ArrayView1<f64>| {
        let entries = row.iter().enumerate();
        entries
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(v, _)| v)
    };
    let labels: Vec<_> = t.rows().into_iter().map(best).collect();
    softmax::targets(&labels, t.ncols(), 0.)
}

/// A mistake of a VJP whose only gradient is computed from `y` and `dy`.
macro_rules! from_output {
    ($op:path, $code:literal, |$y:ident, $dy:ident| $value:expr) => {
        ($code, &|c, _| {
            let $y = $op(two(&c.inputs[0]));
            let $dy = two(&c.dy);
            Some(($value).into_dyn())
        })
    };
}

/// Mistakes of the softmax VJP.
pub const SOFTMAX: &[(&str, Mistaken<'static>)] = &[
    from_output!(softmax::forward, "DIAGONAL_JACOBIAN", |y, dy| {
        &y * &(1. - &y) * dy
    }),
    from_output!(softmax::forward, "SUM_NOT_DIFFERENCE", |y, dy| {
        &y * &(&dy + &per_row(&y * &dy))
    }),
    from_output!(softmax::forward, "DOT_DROPPED", |y, dy| &y * &dy),
    from_output!(softmax::forward, "PLAIN_SUM_FOR_DOT", |y, dy| {
        &y * &(&dy - &per_row(dy.to_owned()))
    }),
    from_output!(softmax::forward, "SOFTMAX_AXIS", |y, dy| {
        &y * &(&dy - &(&y * &dy).sum_axis(Axis(0)))
    }),
    from_output!(softmax::forward, "ONE_DOT_FOR_BATCH", |y, dy| {
        &y * &(&dy - (&y * &dy).sum())
    }),
    from_output!(softmax::forward, "PROBABILITY_FACTOR_DROPPED", |y, dy| {
        &dy - &per_row(&y * &dy)
    }),
    from_output!(softmax::forward, "DIAGONAL_DROPPED", |y, dy| {
        &y * &(&y * &dy - per_row(&y * &dy))
    }),
    from_output!(softmax::forward, "UPSTREAM_ONLY", |_y, dy| dy.to_owned()),
];

/// Mistakes of the log-softmax VJP.
pub const LOG_SOFTMAX: &[(&str, Mistaken<'static>)] = &[
    from_output!(softmax::log_softmax, "LOG_AS_PROBABILITY", |y, dy| {
        &dy - &(&y * &per_row(dy.to_owned()))
    }),
    from_output!(softmax::log_softmax, "SOFTMAX_RULE_ON_LOG", |y, dy| {
        softmax::vjp(y.exp().view(), dy)
    }),
    from_output!(softmax::log_softmax, "DOT_FOR_PLAIN_SUM", |y, dy| {
        &dy - &(y.exp() * per_row(y.exp() * dy))
    }),
    from_output!(softmax::log_softmax, "DIAGONAL_JACOBIAN", |y, dy| {
        (1. - y.exp()) * dy
    }),
    from_output!(softmax::log_softmax, "SUM_NOT_DIFFERENCE", |y, dy| {
        &dy + &(y.exp() * per_row(dy.to_owned()))
    }),
    from_output!(softmax::log_softmax, "SOFTMAX_AXIS", |y, dy| {
        &dy - &(y.exp() * dy.sum_axis(Axis(0)))
    }),
    from_output!(
        softmax::log_softmax,
        "PROBABILITY_FACTOR_DROPPED",
        |_y, dy| &dy - &per_row(dy.to_owned())
    ),
    from_output!(softmax::log_softmax, "UPSTREAM_ONLY", |_y, dy| {
        dy.to_owned()
    }),
];

/// A mistaken loss.
type LossValue = &'static (dyn Fn(&Case) -> f64 + Sync);

fn loss_of(x: ArrayView2<f64>, t: ArrayView2<f64>) -> f64 {
    softmax::cross_entropy(x, t).0
}

/// The cross-entropy of probabilities that are taken for logits.
pub fn loss_softmax_twice(c: &Case) -> f64 {
    let p = softmax::forward(two(&c.inputs[0]));
    loss_of(p.view(), two(&c.inputs[1]))
}

fn loss_with_epsilon(c: &Case, eps: f64) -> f64 {
    let p = softmax::forward(two(&c.inputs[0]));
    -(two(&c.inputs[1]).to_owned() * (p + eps).ln()).sum()
        / c.inputs[0].shape()[0] as f64
}

/// Mistakes of the loss, inputs `x`, `t`.
pub const LOSS: &[(&str, LossValue)] = &[
    ("DOUBLE_SOFTMAX", &loss_softmax_twice),
    ("SOFT_TARGETS_IGNORED", &|c| {
        loss_of(two(&c.inputs[0]), likeliest(two(&c.inputs[1])).view())
    }),
    ("ENTROPY_SUBTRACTED", &|c| {
        let (x, t) = (two(&c.inputs[0]), two(&c.inputs[1]));
        let entropy = |t: &f64| if *t > 0. { t * t.ln() } else { 0. };
        loss_of(x, t) + t.iter().map(entropy).sum::<f64>() / x.nrows() as f64
    }),
    ("SOFTMAX_AXIS", &|c| {
        let log_p = down_columns(two(&c.inputs[0])).ln();
        -(log_p * two(&c.inputs[1])).sum() / c.inputs[0].shape()[0] as f64
    }),
    ("EPSILON_IN_LOG", &|c| loss_with_epsilon(c, 1e-8)),
    ("EPSILON_IN_LOG", &|c| loss_with_epsilon(c, 1e-7)),
    ("EPSILON_IN_LOG", &|c| loss_with_epsilon(c, 1e-6)),
];

/// `x`, `t`, `p` and the factor `dloss/B` of a case.
fn loss_parts(
    c: &Case,
) -> (ArrayView2<'_, f64>, ArrayView2<'_, f64>, Array2<f64>, f64) {
    let (x, t) = (two(&c.inputs[0]), two(&c.inputs[1]));
    (x, t, softmax::forward(x), scalar(&c.dy) / x.nrows() as f64)
}

fn gradient_with_epsilon(c: &Case, eps: f64) -> Option<ArrayD<f64>> {
    let (_, t, p, s) = loss_parts(c);
    let dp = -&t / &(&p + eps) * s;
    Some(softmax::vjp(p.view(), dp.view()).into_dyn())
}

/// Mistakes of the gradient of the loss, inputs `x`, `t`.
pub const LOSS_VJP: &[(&str, Mistaken<'static>)] = &[
    ("DIAGONAL_JACOBIAN", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        Some(((p - 1.) * t * s).into_dyn())
    }),
    ("DOUBLE_SOFTMAX_GRAD", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        Some(((&p - &t) * &p * (1. - &p) * s).into_dyn())
    }),
    ("DOUBLE_SOFTMAX", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        Some(((softmax::forward(p.view()) - t) * s).into_dyn())
    }),
    ("DOUBLE_SOFTMAX", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        let dp = (softmax::forward(p.view()) - t) * s;
        Some(softmax::vjp(p.view(), dp.view()).into_dyn())
    }),
    ("JACOBIAN_TWICE", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        let dp = (&p - &t) * s;
        Some(softmax::vjp(p.view(), dp.view()).into_dyn())
    }),
    ("TARGET_FORGOTTEN", &|c, _| {
        let (_, _, p, s) = loss_parts(c);
        Some((p * s).into_dyn())
    }),
    ("JACOBIAN_SKIPPED", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        Some((-&t / &p * s).into_dyn())
    }),
    ("SOFT_TARGETS_IGNORED", &|c, _| {
        let (_, t, p, s) = loss_parts(c);
        Some(((p - likeliest(t)) * s).into_dyn())
    }),
    ("SOFTMAX_AXIS", &|c, _| {
        let (x, t, _, s) = loss_parts(c);
        Some(((down_columns(x) - t) * s).into_dyn())
    }),
    ("EPSILON_IN_LOG", &|c, _| gradient_with_epsilon(c, 1e-8)),
    ("EPSILON_IN_LOG", &|c, _| gradient_with_epsilon(c, 1e-7)),
    ("EPSILON_IN_LOG", &|c, _| gradient_with_epsilon(c, 1e-6)),
];

/// `(p - t)·dloss/B` for the softmax of `z` and targets with one value for
/// the label and one for all others; then the step to `x` or to `tau`.
fn tempered(
    c: &Case,
    gradient: &str,
    z: Array2<f64>,
    label: f64,
    other: f64,
) -> Option<ArrayD<f64>> {
    let (x, tau) = (two(&c.inputs[0]), scalar(&c.inputs[1]));
    let mut t = Array2::from_elem(x.raw_dim(), other);
    for (b, v) in labels_of(&c.inputs[2]).into_iter().enumerate() {
        t[[b, v]] = label;
    }
    let dz =
        (softmax::forward(z.view()) - t) * (scalar(&c.dy) / x.nrows() as f64);
    match gradient {
        "dx" => Some((dz / tau).into_dyn()),
        _ => {
            let dtau = -(dz * x).sum() / (tau * tau);
            Some(ndarray::arr0(dtau).into_dyn())
        }
    }
}

/// `x/tau`, ε and V of a case.
fn tempered_parts(c: &Case) -> (Array2<f64>, f64, f64) {
    let x = two(&c.inputs[0]);
    let z = &x / scalar(&c.inputs[1]);
    (z, scalar(&c.inputs[3]), x.ncols() as f64)
}

/// Mistakes with temperature and smoothing; inputs `x, tau, labels, ε`.
pub const TEMPERED: &[(&str, Mistaken<'static>)] = &[
    ("TEMPERATURE_NOT_IN_SOFTMAX", &|c, g| {
        let (_, eps, v) = tempered_parts(c);
        let x = two(&c.inputs[0]).to_owned();
        tempered(c, g, x, 1. - eps + eps / v, eps / v)
    }),
    ("SMOOTHING_FORGOTTEN", &|c, g| {
        let (z, _, _) = tempered_parts(c);
        tempered(c, g, z, 1., 0.)
    }),
    ("SMOOTHING_SPARES_LABEL", &|c, g| {
        let (z, eps, v) = tempered_parts(c);
        tempered(c, g, z, 1. - eps, eps / (v - 1.))
    }),
    ("TARGETS_NOT_ONE", &|c, g| {
        let (z, eps, v) = tempered_parts(c);
        tempered(c, g, z, 1., eps / v)
    }),
    ("TARGETS_NOT_ONE", &|c, g| {
        let (z, eps, v) = tempered_parts(c);
        tempered(c, g, z, 1. - eps, eps / v)
    }),
    ("TARGETS_NOT_ONE", &|c, g| {
        let (z, eps, v) = tempered_parts(c);
        tempered(c, g, z, 1. + eps / v, eps / v)
    }),
];

/// Logits, targets, weight and `1/B` of a two-class case.
fn binary_parts(c: &Case) -> (Array1<f64>, Array1<f64>, f64, f64) {
    let one = |k: usize| {
        let a = c.inputs[k].clone();
        a.into_dimensionality::<Ix1>().expect("a vector")
    };
    let share = 1. / c.inputs[0].len() as f64;
    (one(0), one(1), scalar(&c.inputs[2]), share)
}

fn sigmoid(x: &Array1<f64>) -> Array1<f64> {
    x.mapv(|x| 1. / (1. + (-x).exp()))
}

/// What an example weighs in all: `1 + t·(w - 1)`.
fn example_weights(t: &Array1<f64>, w: f64) -> Array1<f64> {
    1. - t + w * t
}

/// The costs without a weight.
fn costs(x: &Array1<f64>, t: &Array1<f64>) -> Array1<f64> {
    let p = sigmoid(x);
    -(t * p.ln() + (1. - t) * (1. - &p).ln())
}

/// Mistakes of the two-class loss, inputs `x`, `t`, `w`.
pub const BINARY: &[(&str, LossValue)] = &[
    ("WEIGHT_FORGOTTEN", &|c| {
        let (x, t, _, _) = binary_parts(c);
        softmax::binary::cross_entropy(x.view(), t.view()).0
    }),
    ("WEIGHT_ON_BOTH", &|c| {
        let (x, t, w, _) = binary_parts(c);
        w * softmax::binary::cross_entropy(x.view(), t.view()).0
    }),
    ("NEGATIVE_CLASS_FORGOTTEN", &|c| {
        let (x, t, w, share) = binary_parts(c);
        -(w * t * sigmoid(&x).ln()).sum() * share
    }),
    ("WEIGHT_PER_EXAMPLE", &|c| {
        let (x, t, w, share) = binary_parts(c);
        (costs(&x, &t) * example_weights(&t, w)).sum() * share
    }),
    ("MEAN_OVER_WEIGHTS", &|c| {
        let (x, t, w, _) = binary_parts(c);
        let p = sigmoid(&x);
        let sum = (w * &t * p.ln() + (1. - &t) * (1. - &p).ln()).sum();
        -sum / example_weights(&t, w).sum()
    }),
];

/// The true slope for target mass `t` on the positive class.
fn slope(p: &Array1<f64>, t: &Array1<f64>, w: f64) -> Array1<f64> {
    p * &example_weights(t, w) - w * t
}

/// Mistakes of its gradient.
pub const BINARY_VJP: &[(&str, Mistaken<'static>)] = &[
    ("WEIGHT_FORGOTTEN", &|c, _| {
        let (x, t, _, share) = binary_parts(c);
        Some(((sigmoid(&x) - t) * share * scalar(&c.dy)).into_dyn())
    }),
    ("WEIGHT_ON_BOTH", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        Some(((sigmoid(&x) - t) * w * share * scalar(&c.dy)).into_dyn())
    }),
    ("DOUBLE_SOFTMAX_GRAD", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        let p = sigmoid(&x);
        let again = &p * &(1. - &p);
        Some((slope(&p, &t, w) * again * share * scalar(&c.dy)).into_dyn())
    }),
    ("JACOBIAN_SKIPPED", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        let p = sigmoid(&x);
        let dp = slope(&p, &t, w) / (&p * &(1. - &p));
        Some((dp * share * scalar(&c.dy)).into_dyn())
    }),
    ("SOFTMAX_OF_ONE_LOGIT", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        let p = Array1::ones(x.len());
        Some((slope(&p, &t, w) * share * scalar(&c.dy)).into_dyn())
    }),
    ("WEIGHT_ON_TARGET_ONLY", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        Some(((sigmoid(&x) - w * t) * share * scalar(&c.dy)).into_dyn())
    }),
    ("WEIGHT_PER_EXAMPLE", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        let dx = (sigmoid(&x) - &t) * example_weights(&t, w);
        Some((dx * share * scalar(&c.dy)).into_dyn())
    }),
    ("NEGATIVE_CLASS_FORGOTTEN", &|c, _| {
        let (x, t, w, share) = binary_parts(c);
        let dx = (sigmoid(&x) - 1.) * w * t;
        Some((dx * share * scalar(&c.dy)).into_dyn())
    }),
    ("MEAN_OVER_WEIGHTS", &|c, _| {
        let (x, t, w, _) = binary_parts(c);
        let dx = slope(&sigmoid(&x), &t, w) / example_weights(&t, w).sum();
        Some((dx * scalar(&c.dy)).into_dyn())
    }),
];

/// `p`, `dp` and `dy` of a soft lookup `softmax(x)·e`.
fn lookup_parts(c: &Case) -> (Array2<f64>, Array2<f64>, ArrayView2<'_, f64>) {
    let (p, dy) = (softmax::forward(two(&c.inputs[0])), two(&c.dy));
    (p, dy.dot(&two(&c.inputs[1]).t()), dy)
}

/// Mistakes of the soft lookup, inputs `x`, `e`.
pub const LOOKUP: &[(&str, Mistaken<'static>)] = &[
    ("DIAGONAL_JACOBIAN", &|c, g| {
        let (p, dp, _) = lookup_parts(c);
        (g == "dx").then(|| (&p * &(1. - &p) * dp).into_dyn())
    }),
    ("DOT_DROPPED", &|c, g| {
        let (p, dp, _) = lookup_parts(c);
        (g == "dx").then(|| (p * dp).into_dyn())
    }),
    ("SUM_NOT_DIFFERENCE", &|c, g| {
        let (p, dp, _) = lookup_parts(c);
        (g == "dx").then(|| (&p * &(&dp + &per_row(&p * &dp))).into_dyn())
    }),
    ("SOFTMAX_AXIS", &|c, g| {
        let (p, dp, _) = lookup_parts(c);
        let s = (&p * &dp).sum_axis(Axis(0));
        (g == "dx").then(|| (&p * &(&dp - &s)).into_dyn())
    }),
    ("PLAIN_SUM_FOR_DOT", &|c, g| {
        let (p, dp, _) = lookup_parts(c);
        (g == "dx").then(|| (p * (&dp - &per_row(dp.clone()))).into_dyn())
    }),
    ("ONE_DOT_FOR_BATCH", &|c, g| {
        let (p, dp, _) = lookup_parts(c);
        let s = (&p * &dp).sum();
        (g == "dx").then(|| (p * (dp - s)).into_dyn())
    }),
    ("TABLE_SKIPPED", &|c, g| {
        let (p, _, dy) = lookup_parts(c);
        let fits = g == "dx" && p.raw_dim() == dy.raw_dim();
        fits.then(|| softmax::vjp(p.view(), dy).into_dyn())
    }),
    ("JACOBIAN_SKIPPED", &|c, g| {
        let (_, dp, _) = lookup_parts(c);
        (g == "dx").then(|| dp.into_dyn())
    }),
    ("LOGITS_FOR_PROBABILITIES", &|c, g| {
        let (_, _, dy) = lookup_parts(c);
        (g == "de").then(|| two(&c.inputs[0]).t().dot(&dy).into_dyn())
    }),
];
