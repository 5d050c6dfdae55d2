//! The exam of softmax and cross-entropy.

pub mod drill;
pub mod mistakes;
mod tasks;

use self::mistakes::{
    COUNTS, DIAGONAL_JACOBIAN, DOUBLE_SOFTMAX, EPSILON_IN_LOG,
    JACOBIAN_SKIPPED, LOG_DX, LOG_OF_ZERO, LOGITS_CLIPPED, LOSS_IS, NAMES,
    NOT_BLIND, OVERFLOW, ROOT_DX, SOFT_TARGETS_IGNORED, STOPS_WHEN_RIGHT,
    TARGET_ALWAYS_RAISED, TARGET_FORGOTTEN, TARGET_SUM_IGNORED,
    TRIVIAL_COTANGENT, UNDERFLOW,
};
use crate::general::SIGN_FLIPPED;
use crate::judge::{
    Cases, EXACTLY, Hunt, Inputs, Observation, Shapes, Special, TOLERANCE,
    Then, Two, Value, Vjp, Wrong, close, predict,
};
use crate::verdict::{Evidence, Report, Verdict};
use crate::{Exercise, Mistake, Sampler, arrays};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, arr0, arr1, arr2,
};
use std::ops::Range;

/// The exercise of softmax and cross-entropy.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/softmax_cross_entropy",
    title: "Softmax and cross-entropy",
    minutes: 90,
    tasks: tasks::TASKS,
    names: NAMES,
};

/// `fn(y, dy) -> dx`.
pub type RowVjp = fn(ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// `fn(x, t) -> loss`.
pub type Loss = fn(ArrayView2<f64>, ArrayView2<f64>) -> f64;

/// `fn(x, t, dloss) -> dx`.
pub type LossVjp = fn(ArrayView2<f64>, ArrayView2<f64>, f64) -> Array2<f64>;

/// `fn(x, labels, smoothing, tau, dloss) -> (dx, dtau)`.
pub type TemperedVjp =
    fn(ArrayView2<f64>, &[usize], f64, f64, f64) -> (Array2<f64>, f64);

/// `fn(x, t, w) -> loss`.
pub type BinaryLoss = fn(ArrayView1<f64>, ArrayView1<f64>, f64) -> f64;

/// `fn(x, t, w, dloss) -> dx`.
pub type BinaryVjp =
    fn(ArrayView1<f64>, ArrayView1<f64>, f64, f64) -> Array1<f64>;

/// `fn(x, e, dy) -> (dx, de)`.
pub type LookupVjp = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>);

/// `fn(x, t) -> (loss, dx)`.
pub type LossAndGradient =
    fn(ArrayView2<f64>, ArrayView2<f64>) -> (f64, Array2<f64>);

/// `fn(rows, classes) -> the three counts`.
pub type Work = fn(u64, u64) -> [u64; 3];

/// Signs and sum of the gradient, and the cotangent that softmax does not see.
pub type Before = (Option<[i8; 3]>, Option<f64>, Option<[[f64; 3]; 2]>);

/// Signs, sum and blind spot, in this order.
pub static BEFORE_CODING: Special<Before> = Special(before_coding);

fn before_coding((signs, sum, blind): Before, _seed: u64) -> Verdict {
    let why = "p = (0.91, 0.05, 0.05), so p - t = (0.41, -0.45, 0.05): a \
               class may be its example's best and still be too sure. The \
               gradient sums to 0 whatever the targets are, because all \
               logits rising together change no probability. For the same \
               reason a cotangent that is constant along each row always \
               gives a zero gradient, as that of a plain sum does.";
    let passed = |v: &Verdict| matches!(v, Verdict::Passed { .. });
    let signs = predict(
        "the signs for the logits (4, 1, 1) and the target (1/2, 1/2, 0)",
        signs,
        [1, -1, 1],
        &[
            ([-1, 1, -1], &SIGN_FLIPPED),
            ([-1, -1, 0], &DIAGONAL_JACOBIAN),
            ([-1, -1, 0], &JACOBIAN_SKIPPED),
            ([0, -1, 1], &STOPS_WHEN_RIGHT),
            ([-1, -1, 1], &TARGET_ALWAYS_RAISED),
            ([-1, 1, 1], &SOFT_TARGETS_IGNORED),
            ([1, 1, 1], &TARGET_FORGOTTEN),
        ],
        why,
    );
    if !passed(&signs) {
        return signs;
    }
    let sum = predict(
        "the sum of the gradient for the target (1/2, 1/2, 1/2)",
        sum,
        0.,
        &[(-0.5, &TARGET_SUM_IGNORED), (1., &TARGET_FORGOTTEN)],
        why,
    );
    if passed(&sum) {
        blind_spot(blind, why)
    } else {
        sum
    }
}

fn blind_spot(dy: Option<[[f64; 3]; 2]>, why: &str) -> Verdict {
    let Some(dy) = dy else {
        return Verdict::NotAttempted;
    };
    let question = "a cotangent that hides a VJP of zeros";
    let report = Report::new(question, format!("{dy:?}"), "");
    if dy.iter().flatten().any(|v| !v.is_finite()) {
        return Verdict::Failed(report.remark("not all finite"));
    }
    if dy.contains(&[0.; 3]) {
        let report = report.name(&TRIVIAL_COTANGENT, Evidence::Choice);
        return Verdict::Failed(report);
    }
    if dy.iter().any(|row| row.iter().any(|v| *v != row[0])) {
        let x = [[1., 2., 3.], [0., 2., 1.]];
        let y = softmax::forward(arr2(&x).view());
        let dx = softmax::vjp(y.view(), arr2(&dy).view());
        let remark = format!("at the logits {x:?} the gradient is {dx:.4}");
        let report = report.remark(remark);
        return Verdict::Failed(report.name(&NOT_BLIND, Evidence::Choice));
    }
    if dy[0] == dy[1] {
        return Verdict::Failed(report.remark("the two rows are to differ"));
    }
    Verdict::Passed {
        note: why.to_owned(),
    }
}

/// Batch and classes. A report on a number shows the first. In the end there
/// are probabilities from 1e-7 to nearly 1.
const SHAPES: Shapes<2> = Shapes {
    usual: &[[2, 3], [5, 4], [1, 5], [3, 3], [2, 2]],
    small: &[[3, 1], [1, 2]],
    ties: Some([4, 3]),
    many: ([9, 12], 4.),
};

fn rows_and_cotangent(draw: &mut Sampler) -> Cases {
    let case = |draw: &mut Sampler, [b, v]: [usize; 2]| {
        draw.inputs(&[("x", &[b, v]), ("dy", &[b, v])])
    };
    let mut cases = Cases::of(draw, &SHAPES, case);
    // Probabilities that are 0 and 1.
    let mut certain = case(draw, [3, 4]);
    for (k, x) in certain.array_mut("x").iter_mut().enumerate() {
        *x = 1e4 * (k * 5 % 12) as f64 - 5.5e4;
    }
    cases.rare.push(certain);
    // Probabilities that are nearly 0 and 1.
    for gap in [2.5, 5., 8., 15., 25., 36.] {
        let i = Inputs::default();
        let x = arr2(&[[0., gap, 0.2], [gap, -0.3, 0.]]);
        cases
            .rare
            .push(i.with("x", x).with("dy", draw.dynamic(&[2, 3])));
    }
    // The dot product of y and dy is exactly 0, dy is not.
    let even = Inputs::default().with("x", arr2(&[[0.; 3], [1.; 3]]));
    let dy = arr2(&[[1., -1., 0.], [2., -0.5, -1.5]]);
    cases.rare.push(even.with("dy", dy));
    cases
}

fn rows(i: &Inputs) -> usize {
    i.array("x").shape()[0]
}

type Op = fn(ArrayView2<f64>) -> Array2<f64>;

/// The exam of a VJP that is given its op's output.
const fn of_output(
    gradients: &'static [(&'static str, &'static str)],
    forward: fn(&Inputs) -> ArrayD<f64>,
    call: fn(&RowVjp, &Inputs) -> Vec<ArrayD<f64>>,
    wrong: &'static [Wrong],
) -> Vjp<RowVjp> {
    Vjp {
        forward,
        cotangent: "dy",
        gradients,
        call,
        cases: rows_and_cotangent,
        batch: Some(rows),
        wrong,
    }
}

fn called(op: Op, vjp: &RowVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    arrays![vjp(op(i.matrix("x")).view(), i.matrix("dy"))]
}

static ROOT_VJP: Vjp<RowVjp> = of_output(
    &[(ROOT_DX, "x")],
    |i| mistakes::root(i.matrix("x")).into_dyn(),
    |f, i| called(mistakes::root, f, i),
    mistakes::ROOT,
);

static LOG_SOFTMAX_VJP: Vjp<RowVjp> = of_output(
    &[(LOG_DX, "x")],
    |i| softmax::log_softmax(i.matrix("x")).into_dyn(),
    |f, i| called(softmax::log_softmax, f, i),
    mistakes::LOG_SOFTMAX,
);

/// The VJPs of the root of softmax and of log-softmax, from their outputs.
pub static VJPS: Two<RowVjp, RowVjp> = Two(&ROOT_VJP, &LOG_SOFTMAX_VJP);

/// Rows of targets: one-hot, or any that are not negative and sum to 1.
fn target_rows(
    draw: &mut Sampler,
    b: usize,
    v: usize,
    soft: bool,
) -> Array2<f64> {
    if !soft {
        let labels: Vec<_> = (0..b).map(|_| draw.below(v)).collect();
        return softmax::targets(&labels, v, 0.);
    }
    // A thousandth per class, so that no two targets of a row are equal.
    let mut t = draw.matrix(b, v).mapv(f64::abs);
    for ((_, v), t) in t.indexed_iter_mut() {
        *t += v as f64 / 1000.;
    }
    let total = t.sum_axis(Axis(1)).insert_axis(Axis(1));
    t / total
}

/// `x`, `t` and the cotangent `dloss`: soft targets and labels in turn.
fn loss_cases(draw: &mut Sampler) -> Cases {
    let case = |draw: &mut Sampler, soft: bool, [b, v]: [usize; 2]| {
        let i = draw.inputs(&[("x", &[b, v])]);
        let i = i.with("t", target_rows(draw, b, v, soft));
        i.with("dloss", draw.number())
    };
    let usual = SHAPES.usual.iter().enumerate();
    let usual = usual.map(|(k, s)| case(draw, k % 2 == 0, *s)).collect();
    let rare = [[3, 1], [1, 2], [4, 3], [9, 12]].iter().enumerate();
    let rare = rare.map(|(k, s)| case(draw, k % 2 == 0, *s));
    let mut rare: Vec<_> = rare.collect();
    // Hardly any target, equal logits, and equal examples.
    let mut small = case(draw, false, [3, 4]);
    let t = softmax::targets(&[1, 0, 3], 4, 0.004);
    *small.array_mut("t") = t.into_dyn();
    let mut ties = case(draw, true, [4, 3]);
    ties.array_mut("x").mapv_inplace(f64::round);
    let mut alike = case(draw, true, [3, 3]);
    for name in ["x", "t"] {
        let array = alike.array_mut(name);
        let first = array.index_axis(Axis(0), 0).to_owned();
        array.index_axis_mut(Axis(0), 1).assign(&first);
    }
    // Logits that look like probabilities.
    let mut unit = case(draw, true, [2, 3]);
    *unit.array_mut("x") = arr2(&[[0.2, 0.3, 0.5], [0., 1., 0.]]).into_dyn();
    rare.extend([small, ties, alike, unit]);
    Cases {
        large: vec![case(draw, true, [300, 2]), case(draw, true, [2, 300])],
        ..Cases::new(usual, rare)
    }
}

/// Nothing comes after this loss: its cotangent is 1.
fn last_loss_cases(draw: &mut Sampler) -> Cases {
    loss_cases(draw).each(|i| i.without("dloss").shown("dloss", 1., ""))
}

fn true_loss(i: &Inputs) -> f64 {
    softmax::cross_entropy(i.matrix("x"), i.matrix("t")).0
}

/// Logits that break what is not stable, and what breaks there.
fn extreme_cases(_: &mut Sampler) -> Cases {
    let case = |x: Array2<f64>, labels: &[usize]| {
        let t = softmax::targets(labels, 3, 0.);
        Inputs::default().with("x", x).with("t", t)
    };
    let row = |x: [f64; 3], label| case(arr2(&[x]), &[label]);
    let usual = vec![
        // A large common shift, up and down.
        row([1000., 1001., 1002.], 2),
        row([-1e4, -1e4, -1e4], 0),
        // A gap so wide that the label's probability is 0.
        row([1000., 0., 0.5], 1),
        row([1e4, -1e4, 0.], 1),
        row([-1e4, 0., 1e4], 0),
        row([0., -1e4, 1e4], 1),
        // The label's probability is small and not 0, the exponential of the
        // largest logit's distance to any other is too large.
        row([720., 0., 1.], 1),
        row([1., 720., 0.], 2),
        row([0., 1., 720.], 0),
        // The label on the largest logit.
        row([-1e4, 1e4, 0.], 1),
        // Rows so far apart that each needs a maximum of its own.
        case(
            arr2(&[[1000., 1001., 1002.], [-1000., -1001., -1002.]]),
            &[0, 1],
        ),
    ];
    // Between what is usual and what is extreme.
    let near = (8..40).map(|k| 0.5 + f64::from(k) / 2.);
    let ladder = near.chain([30., 36.5, 40., 100., 700., 710., 750.]);
    let mut rare: Vec<_> = ladder
        .flat_map(|x| [row([0., x, -x], 0), row([-x, 0., x], 2)])
        .collect();
    // A label that is hardly one, and a wide gap.
    for small in [1e-5, 1e-9] {
        let mut i = row([1e4, -1e4, 0.], 0);
        *i.array_mut("t") = arr2(&[[1. - small, small, 0.]]).into_dyn();
        rare.push(i);
    }
    // Exponentials that are finite and whose sum is not.
    rare.push(row([709., 708.9, 708.8], 0));
    // Beyond them.
    rare.extend([
        row([-3e4, 5e4, 2e4], 0),
        row([-3e5, -3e5, 1e5], 1),
        row([2e6, 3e6, -1e6], 0),
        // Far below two that are alike.
        row([1000., 1000., 0.], 2),
        row([0., 1e4, 1e4], 0),
    ]);
    // The largest logit behind many others.
    let mut wide = Array2::zeros((1, 300));
    wide[[0, 280]] = 1000.;
    let t = softmax::targets(&[17], 300, 0.);
    rare.push(Inputs::default().with("x", wide).with("t", t));
    Cases::new(usual, rare)
}

/// What it tells that a loss is not finite on some of the cases above.
const OF_LOSS: &[Sign] = &[
    Sign(0..1, Any, &OVERFLOW),
    Sign(1..2, Any, &UNDERFLOW),
    Sign(6..9, Any, &OVERFLOW),
    Sign(2..6, All, &LOG_OF_ZERO),
    Sign(2..6, Any, &OVERFLOW),
    Sign(10..11, Any, &UNDERFLOW),
];

/// Of a gradient: the reciprocal of a small probability is too large as well.
const OF_GRADIENT: &[Sign] = &[
    Sign(0..1, Any, &OVERFLOW),
    Sign(1..2, Any, &UNDERFLOW),
    Sign(2..6, All, &LOG_OF_ZERO),
    Sign(2..9, Any, &OVERFLOW),
    Sign(10..11, Any, &UNDERFLOW),
];

/// Where the gap is, in two widths.
const GAP: usize = 2;

const LOSS: Value<Loss> = Value {
    outputs: &[LOSS_IS],
    against: "-1/B Σ t·ln p",
    right: |i| arrays![true_loss(i)],
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.matrix("x"), i.matrix("t"))],
    cases: |draw| loss_cases(draw).each(|i| i.without("dloss")),
    wrong: mistakes::LOSS,
    symptom: None,
};

static USUAL_LOSS: Value<Loss> = LOSS;

static EXTREME_LOSS: Value<Loss> = Value {
    against: "the stable form",
    cases: extreme_cases,
    wrong: mistakes::EXTREME,
    symptom: Some(|seen| unstable(seen, OF_LOSS, GAP, Some(3f64.ln()))),
    ..LOSS
};

static LOSS_VJP: Vjp<LossVjp> = Vjp {
    forward: |i| arr0(true_loss(i)).into_dyn(),
    cotangent: "dloss",
    gradients: &[("dx", "x")],
    call: |f, i| arrays![f(i.matrix("x"), i.matrix("t"), i.number("dloss"))],
    cases: loss_cases,
    batch: Some(rows),
    wrong: mistakes::LOSS_VJP,
};

static EXTREME_LOSS_VJP: Value<LossVjp> = EXTREME_GRADIENT;

const EXTREME_GRADIENT: Value<LossVjp> = Value {
    outputs: &["dx"],
    against: "the stable form",
    right: |i| {
        let (x, t) = (i.matrix("x"), i.matrix("t"));
        let (_, p) = softmax::cross_entropy(x, t);
        arrays![(p - t) / rows(i) as f64]
    },
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.matrix("x"), i.matrix("t"), 1.)],
    cases: extreme_cases,
    wrong: &[],
    symptom: Some(|seen| unstable(seen, OF_GRADIENT, GAP, Some(1. / 3.))),
};

/// More examples than fit in 16 bits.
static MANY_LOSSES: Value<Loss> = Value {
    cases: many_examples,
    wrong: &[],
    ..LOSS
};

static MANY_LOSSES_VJP: Value<LossVjp> = Value {
    cases: many_examples,
    symptom: None,
    ..EXTREME_GRADIENT
};

fn many_examples(draw: &mut Sampler) -> Cases {
    let i = draw.inputs(&[("x", &[65_537, 2])]);
    let label = |n: usize| n % 3 / 2;
    let labels: Vec<_> = (0..65_537).map(label).collect();
    let i = i.with("t", softmax::targets(&labels, 2, 0.1));
    Cases::new(Vec::new(), vec![i])
}

/// The mean cross-entropy of logits, and its gradient. An epsilon shows a
/// little at usual inputs, but has its name from the extreme ones.
pub static CROSS_ENTROPY: Two<Loss, LossVjp> = Two(
    &Then {
        first: &USUAL_LOSS,
        second: &Then {
            first: &EXTREME_LOSS,
            second: &MANY_LOSSES,
            named_later: &[],
        },
        named_later: &[&EPSILON_IN_LOG],
    },
    &Then {
        first: &LOSS_VJP,
        second: &Then {
            first: &EXTREME_LOSS_VJP,
            second: &MANY_LOSSES_VJP,
            named_later: &[],
        },
        named_later: &[&EPSILON_IN_LOG],
    },
);

/// A mistake shows where some of these cases are not finite; or where all of
/// them are lost, no entry being finite: so a division by a probability of 0
/// leaves a row.
struct Sign(Range<usize>, Quantity, &'static Mistake);

enum Quantity {
    Any,
    All,
}
use Quantity::{All, Any};

/// What is wrong with a form that fails on extreme inputs: by the first sign
/// that it shows, or by the value that it does not exceed.
///
/// The cases `gap` and `gap + 1` have different gaps. `clipped` is the first
/// entry of the first case if its logits were clipped to equals.
fn unstable(
    seen: &[Observation],
    signs: &[Sign],
    gap: usize,
    clipped: Option<f64>,
) -> Option<&'static Mistake> {
    let value = |k: usize| seen[k].got.as_ref().ok();
    let finite = |v: &f64| v.is_finite();
    let shown = signs.iter().find(|Sign(cases, quantity, _)| {
        let mut values = cases.clone().map(value);
        match quantity {
            Any => { values }.flatten().any(|g| !g.iter().all(finite)),
            All => values.all(|g| g.is_some_and(|g| !g.iter().any(finite))),
        }
    });
    if let Some(Sign(_, _, mistake)) = shown {
        return Some(mistake);
    }
    let wrong = |k: usize| value(k).filter(|g| !close(g, &seen[k].expected));
    if let (Some(first), Some(c)) = (wrong(0), clipped)
        && first.first().is_some_and(|v| (v - c).abs() < 1e-6)
    {
        return Some(&LOGITS_CLIPPED);
    }
    if let (Some(a), Some(b)) = (wrong(gap), wrong(gap + 1))
        && close(a, b)
        && (a.ndim() == 0 || a.iter().all(|v| v.abs() < 1e-6))
    {
        return Some(ceiling(a));
    }
    // A loss that does not rise as high as it should.
    let low = |k: &usize| {
        let most = 0.99 * seen[*k].expected.sum();
        wrong(*k).is_some_and(|g| g.ndim() == 0 && g.sum() < most)
    };
    (0..seen.len()).find(low).and_then(wrong).map(ceiling)
}

/// What makes a loss stop at that value: a guard ε of the logarithm at -ln ε,
/// clipped logits at a number that somebody wrote. (A gradient stops at 0.)
fn ceiling(value: &ArrayD<f64>) -> &'static Mistake {
    let most = value.iter().fold(0f64, |m, v| m.max(*v));
    let whole = (most - most.round()).abs() < 1e-6;
    match whole && most > 2. && value.ndim() == 0 {
        true => &LOGITS_CLIPPED,
        false => &EPSILON_IN_LOG,
    }
}

fn tempered_loss(i: &Inputs) -> ArrayD<f64> {
    let x = &i.matrix("x") / i.number("tau");
    let (labels, eps) = (i.wholes("labels"), i.number("smoothing"));
    let t = softmax::targets(&labels, x.ncols(), eps);
    arr0(softmax::cross_entropy(x.view(), t.view()).0).into_dyn()
}

fn call_tempered(f: &TemperedVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let (labels, eps) = (i.wholes("labels"), i.number("smoothing"));
    let (tau, d) = (i.number("tau"), i.number("dloss"));
    let (dx, dtau) = f(i.matrix("x"), &labels, eps, tau, d);
    arrays![dx, dtau]
}

/// Logits, temperature, labels, smoothing and `dloss`.
fn tempered_case(
    draw: &mut Sampler,
    [b, v]: [usize; 2],
    tau: f64,
    eps: f64,
) -> Inputs {
    let labels: Vec<_> = (0..b).map(|_| draw.below(v)).collect();
    let text = format!("labels {labels:?}");
    let labels: Array1<f64> = labels.into_iter().map(|l| l as f64).collect();
    let i = draw.inputs(&[("x", &[b, v])]).with("tau", tau);
    let i = i.shown("labels", labels, text).with("smoothing", eps);
    i.with("dloss", draw.number())
}

/// Temperature and label smoothing: `dx` and `dtau`, at any temperature.
pub static TEMPERED: Then<TemperedVjp> = Then {
    first: &USUAL_TEMPERED,
    second: &COLD_AND_HOT,
    named_later: &[],
};

/// Temperatures at which a step of the differences is too large or too small.
static COLD_AND_HOT: Value<TemperedVjp> = Value {
    outputs: &["dx", "dtau"],
    against: "the derivative of the loss",
    right: |i| {
        let (x, tau) = (i.matrix("x"), i.number("tau"));
        let (labels, eps) = (i.wholes("labels"), i.number("smoothing"));
        let t = softmax::targets(&labels, x.ncols(), eps);
        let (_, p) = softmax::cross_entropy((&x / tau).view(), t.view());
        let dx = (p - t) * i.number("dloss") / (tau * rows(i) as f64);
        // The loss is a function of x/tau.
        let dtau = -(&dx * &x).sum() / tau;
        arrays![dx, dtau]
    },
    tolerance: TOLERANCE,
    call: call_tempered,
    cases: |draw| {
        let taus = [0.01, 0.02, 0.05, 20., 60., 1000., 1e-6, 1e6];
        let mut usual: Vec<_> = taus
            .iter()
            .map(|t| tempered_case(draw, [2, 3], *t, 0.1))
            .collect();
        // An exponential of x/tau as it is would overflow.
        let near = arr2(&[[10., 10.01, 9.99], [9.98, 10., 10.02]]);
        usual[0] = usual[0].clone().without("x").with("x", near);
        Cases::new(usual, Vec::new())
    },
    wrong: &[],
    symptom: Some(|seen| {
        let wild = |g: &ArrayD<f64>| g.iter().any(|v| !v.is_finite());
        seen[0].got.as_ref().is_ok_and(wild).then_some(&OVERFLOW)
    }),
};

static USUAL_TEMPERED: Vjp<TemperedVjp> = Vjp {
    forward: tempered_loss,
    cotangent: "dloss",
    gradients: &[("dx", "x"), ("dtau", "tau")],
    call: call_tempered,
    cases: |draw| {
        let mut case = |shape: [usize; 2], tau: f64, eps: f64| {
            tempered_case(draw, shape, tau, eps)
        };
        let usual = [
            case([2, 3], 1.7, 0.1),
            case([5, 4], 0.6, 0.2),
            case([1, 5], 2.3, 0.05),
            case([3, 3], 1.3, 0.3),
            case([2, 2], 0.8, 0.15),
        ];
        // No smoothing, hardly a target left, a cold softmax.
        let rare = [
            case([3, 1], 1., 0.1),
            case([1, 2], 1.5, 0.),
            case([4, 3], 0.7, 0.95),
            case([9, 12], 0.2, 0.1),
            // Temperature 1, which changes nothing and yet can be learned.
            case([2, 3], 1., 0.1),
        ];
        let mut rare = rare.to_vec();
        // The same example twice, and a class that a byte does not hold.
        let mut alike = case([3, 3], 1.5, 0.1);
        for name in ["x", "labels"] {
            let array = alike.array_mut(name);
            let first = array.index_axis(Axis(0), 0).to_owned();
            array.index_axis_mut(Axis(0), 1).assign(&first);
        }
        let mut many = case([2, 300], 1.5, 0.1);
        many.array_mut("labels").fill(280.);
        rare.push(alike);
        Cases {
            large: vec![case([300, 2], 1.5, 0.1), many],
            ..Cases::new(usual.into(), rare)
        }
    },
    batch: Some(rows),
    wrong: mistakes::TEMPERED,
};

/// `ln(1 + exp(x))`, stable.
fn softplus(x: f64) -> f64 {
    x.max(0.) + (-x.abs()).exp().ln_1p()
}

fn weighted(i: &Inputs) -> f64 {
    let (x, t, w) = (i.vector("x"), i.vector("t"), i.number("w"));
    let cost =
        |(x, t): (&f64, &f64)| w * t * softplus(-x) + (1. - t) * softplus(*x);
    x.iter().zip(t).map(cost).sum::<f64>() / x.len() as f64
}

fn binary_cases(draw: &mut Sampler) -> Cases {
    let weights = [2.5, 3., 0.4, 1.7, 0.6];
    let usual = [2, 4, 1, 3, 5].into_iter().zip(weights).enumerate();
    let usual = usual.map(|(k, (b, w))| {
        let t: Array1<f64> = (0..b)
            .map(|_| match k % 2 {
                0 => draw.between(0.1, 0.9),
                _ => draw.below(2) as f64,
            })
            .collect();
        let i = draw.inputs(&[("x", &[b])]).with("t", t).with("w", w);
        i.with("dloss", draw.number())
    });
    let usual = usual.collect();
    let many = [(7, 1.), (11, 0.)].map(|(b, t)| {
        let i = draw.inputs(&[("x", &[b])]).map(f64::round);
        let i = i.with("t", Array1::from_elem(b, t)).with("w", 1.);
        i.with("dloss", draw.number())
    });
    let mut many = many.to_vec();
    // Logits of exactly 0, and the same example twice.
    for x in [arr1(&[0., 0., 1.5]), arr1(&[0.7, 0.7, 0.7])] {
        let i = Inputs::default().with("x", x);
        let i = i.with("t", arr1(&[0.3, 0.3, 1.])).with("w", 2.);
        many.push(i.with("dloss", draw.number()));
    }
    let t: Array1<f64> = (0..300).map(|k| f64::from(k % 2)).collect();
    let large = draw.inputs(&[("x", &[300])]).with("t", t).with("w", 0.7);
    Cases {
        large: vec![large.with("dloss", draw.number())],
        ..Cases::new(usual, many)
    }
}

/// Gaps at which a probability is rounded to 1, then exponentials that
/// overflow.
fn binary_extremes(_: &mut Sampler) -> Cases {
    let extreme = [
        (50., 0.),
        (100., 0.),
        (1000., 1.),
        (-1e4, 1.),
        (1e4, 0.),
        (-1000., 0.),
    ];
    let case = |(x, t)| {
        let i = Inputs::default().with("x", arr1(&[x]));
        i.with("t", arr1(&[t])).with("w", 2.5)
    };
    let usual = extreme.map(case);
    // From where the tail of ln(1 + exp(x)) is small to where it is nothing.
    let near = (8..40).map(|k| 0.5 + f64::from(k) / 2.);
    let ladder = near.chain([30., 36.5, 40., 700., 710., 750.]);
    let rare =
        ladder.flat_map(|x| [(x, 0.), (x, 1.), (-x, 0.), (-x, 1.)].map(case));
    Cases::new(usual.into(), rare.collect())
}

/// What it tells that the loss or its gradient is not finite there.
const OF_BINARY: &[Sign] =
    &[Sign(0..2, Any, &LOG_OF_ZERO), Sign(2..6, Any, &OVERFLOW)];

const BINARY_LOSS: Value<BinaryLoss> = Value {
    outputs: &[LOSS_IS],
    against: "its formula",
    right: |i| arrays![weighted(i)],
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.vector("x"), i.vector("t"), i.number("w"))],
    cases: |draw| binary_cases(draw).each(|i| i.without("dloss")),
    wrong: mistakes::BINARY,
    symptom: None,
};

static USUAL_BINARY_LOSS: Value<BinaryLoss> = BINARY_LOSS;

static EXTREME_BINARY_LOSS: Value<BinaryLoss> = Value {
    against: "the stable form",
    cases: binary_extremes,
    wrong: &[],
    symptom: Some(|seen| unstable(seen, OF_BINARY, 0, None)),
    ..BINARY_LOSS
};

static BINARY_VJP: Vjp<BinaryVjp> = Vjp {
    forward: |i| arr0(weighted(i)).into_dyn(),
    cotangent: "dloss",
    gradients: &[("dx", "x")],
    call: |f, i| {
        let (x, t, w) = (i.vector("x"), i.vector("t"), i.number("w"));
        arrays![f(x, t, w, i.number("dloss"))]
    },
    cases: binary_cases,
    batch: Some(rows),
    wrong: mistakes::BINARY_VJP,
};

static EXTREME_BINARY_VJP: Value<BinaryVjp> = Value {
    outputs: &["dx"],
    against: "the stable form",
    right: |i| {
        let (x, t, w) = (i.vector("x"), i.vector("t"), i.number("w"));
        let p = x.mapv(|x| 1. / (1. + (-x).exp()));
        arrays![p * (1. - &t + w * &t) - w * &t]
    },
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.vector("x"), i.vector("t"), i.number("w"), 1.)],
    cases: binary_extremes,
    wrong: &[],
    symptom: Some(|seen| unstable(seen, OF_BINARY, 0, None)),
};

/// Two classes, one logit, positives weighted.
pub static BINARY: Two<BinaryLoss, BinaryVjp> = Two(
    &Then {
        first: &USUAL_BINARY_LOSS,
        second: &EXTREME_BINARY_LOSS,
        named_later: &[&EPSILON_IN_LOG],
    },
    &Then {
        first: &BINARY_VJP,
        second: &EXTREME_BINARY_VJP,
        named_later: &[&EPSILON_IN_LOG],
    },
);

/// Batch, classes, width of the table.
const LOOKUP: Shapes<3> = Shapes {
    usual: &[[5, 3, 2], [2, 4, 3], [1, 3, 4], [3, 3, 3], [2, 2, 2]],
    small: &[[3, 1, 2], [1, 2, 1]],
    ties: Some([4, 3, 2]),
    many: ([9, 12, 10], 1.),
};

static LOOKUP_VJP: Vjp<LookupVjp> = Vjp {
    forward: |i| {
        let p = softmax::forward(i.matrix("x"));
        p.dot(&i.matrix("e")).into_dyn()
    },
    cotangent: "dy",
    gradients: &[("de", "e"), ("dx", "x")],
    call: |f, i| {
        let (dx, de) = f(i.matrix("x"), i.matrix("e"), i.matrix("dy"));
        arrays![de, dx]
    },
    cases: |draw| {
        Cases::of(draw, &LOOKUP, |draw, [b, v, d]| {
            let (x, e, dy) = (&[b, v], &[v, d], &[b, d]);
            draw.inputs(&[("x", x), ("e", e), ("dy", dy)])
        })
    },
    batch: Some(rows),
    wrong: mistakes::LOOKUP,
};

/// The planted bug of the soft lookup, then the mended VJP.
pub static FIND_THE_BUG: Hunt<LookupVjp> = Hunt {
    planted: &DIAGONAL_JACOBIAN,
    among: NAMES,
    mended: &LOOKUP_VJP,
};

const MENDED_LOSS: Value<LossAndGradient> = Value {
    outputs: &[LOSS_IS],
    against: "the cross-entropy of the logits",
    right: |i| arrays![true_loss(i)],
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.matrix("x"), i.matrix("t")).0],
    cases: |draw| loss_cases(draw).each(|i| i.without("dloss")),
    wrong: mistakes::LOSS,
    symptom: None,
};

static USUAL_MENDED_LOSS: Value<LossAndGradient> = MENDED_LOSS;

/// The point of the task's own report.
static CERTAIN: Value<LossAndGradient> = Value {
    cases: |_| {
        let i = Inputs::default().with("x", arr2(&[[0., 0., 1e4]]));
        let with = |label: usize| {
            i.clone().with("t", softmax::targets(&[label], 3, 0.))
        };
        Cases::new(vec![with(2)], vec![with(0)])
    },
    wrong: &[],
    symptom: Some(|seen| {
        let wild = |g: &ArrayD<f64>| g.iter().any(|v| !v.is_finite());
        seen[0].got.as_ref().is_ok_and(wild).then_some(&LOG_OF_ZERO)
    }),
    ..MENDED_LOSS
};

static MENDED_VJP: Vjp<LossAndGradient> = Vjp {
    forward: |i| arr0(true_loss(i)).into_dyn(),
    cotangent: "dloss",
    gradients: &[("dx", "x")],
    call: |f, i| {
        let (_, dx) = f(i.matrix("x"), i.matrix("t"));
        arrays![dx * i.number("dloss")]
    },
    cases: last_loss_cases,
    batch: Some(rows),
    wrong: mistakes::LOSS_VJP,
};

/// The bug that no gradient check sees, then the mended loss.
pub static FIND_THE_FLOOR: Hunt<LossAndGradient> = Hunt {
    planted: &DOUBLE_SOFTMAX,
    among: NAMES,
    mended: &Then {
        first: &Then {
            first: &USUAL_MENDED_LOSS,
            second: &CERTAIN,
            named_later: &[],
        },
        second: &MENDED_VJP,
        named_later: &[],
    },
};

/// Three counts: Jacobian entries, its products, the VJP's operations.
pub static WORK: Value<Work> = Value {
    outputs: COUNTS,
    against: "the counting rule of the task",
    right: |i| {
        let (b, v) = (i.whole("rows"), i.whole("classes"));
        arrays![b * v * v, 2 * b * v * v, 4 * b * v]
    },
    tolerance: EXACTLY,
    call: |f, i| {
        let [entries, through, vjp] = f(i.whole("rows"), i.whole("classes"));
        arrays![entries, through, vjp]
    },
    cases: |draw| {
        let case = |(b, v): (u64, u64)| {
            Inputs::default().with("rows", b).with("classes", v)
        };
        let usual = [(); 4].map(|()| {
            case((3 + draw.below(6) as u64, 10 + draw.below(40) as u64))
        });
        // One of each, and a large model.
        let rare = [
            (1, 1),
            (1, 9),
            (7, 1),
            (8191, 100_003),
            (3, 94_906_267),
            (0, 5),
        ]
        .map(case);
        Cases::new(usual.into(), rare.into())
    },
    wrong: mistakes::WORK,
    symptom: None,
};
