//! Checks of the exercise `network/softmax_cross_entropy`.

use crate::Sampler;
use crate::exercise::{Exercise, Kind, Task};
use crate::judge::{
    Case, Explanation, NEARLY_RIGHT, Observation, Vjp, close, compare, hunt,
    predict, show,
};
use crate::mistakes::network::softmax_cross_entropy as mistakes;
use crate::verdict::{Evidence, Report, Verdict, attempt};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, Ix1, Ix2, arr0, arr1,
    arr2,
};
use std::ops::Range;

/// The exercise of softmax and cross-entropy.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/softmax_cross_entropy",
    title: "Softmax and cross-entropy",
    minutes: 90,
    tasks: &[
        Task {
            name: "before_coding",
            kind: Kind::Predict,
            points: 2,
            title: "predict signs, sum and blind spot of the gradient",
            section: "#p-minus-t",
            hints: [
                "Which probability is too large for its target, and what \
                 does the loss do when all logits rise together?",
                "The signs: estimate p and compare it with t. The sum: the \
                 true gradient is not p - t when t does not sum to 1. The \
                 blind spot: every row has a Jacobian of its own.",
                "p - t is positive where p is above t; a shift of all \
                 logits changes no probability, so the gradient always sums \
                 to 0; the null space of each row's Jacobian holds the \
                 vectors with all entries equal.",
            ],
        },
        Task {
            name: "vjps",
            kind: Kind::Build,
            points: 3,
            title: "write the VJPs of softmax and of log-softmax",
            section: "#one-number-per-row",
            hints: [
                "Write one entry of the Jacobian's product with dy. Which \
                 part of it is the same for the whole row?",
                "Softmax: one dot product per row, of y with dy. Log-softmax: \
                 one plain sum of dy per row, and mind that y is a logarithm.",
                "dx = y ⊙ (dy - ⟨y, dy⟩) and dx = dy - exp(y)·Σ dy, each \
                 scalar taken per row.",
            ],
        },
        Task {
            name: "cross_entropy",
            kind: Kind::Build,
            points: 3,
            title: "write the cross-entropy of logits and its gradient, \
                    right at ±10000",
            section: "#p-minus-t",
            hints: [
                "Which step of softmax-then-logarithm breaks first when a \
                 logit is 10000? And when it is -10000?",
                "Subtract the row's largest logit before any exp, and keep \
                 ln p as x - lse: never take the logarithm of a probability.",
                "loss = mean over rows of Σ t·(lse - x); the gradient is \
                 (p - t)·dloss/B, with no division by p in it.",
            ],
        },
        Task {
            name: "tempered",
            kind: Kind::Vary,
            points: 3,
            title: "add a temperature and label smoothing; the temperature's \
                    gradient too",
            section: "#temperature",
            hints: [
                "Put z = x/tau. What is the gradient with respect to z, and \
                 how does z move with x, and with tau?",
                "∂z/∂x = 1/tau and ∂z/∂tau = -x/tau². One tau serves every \
                 entry of the batch.",
                "dz = (p - t)·dloss/B with smoothed t; dx = dz/tau; dtau = \
                 -Σ dz ⊙ x/tau².",
            ],
        },
        Task {
            name: "binary",
            kind: Kind::Vary,
            points: 2,
            title: "two classes, one logit, and a weight for the rare class",
            section: "#two-classes",
            hints: [
                "What is -ln σ(x) as a function of exp(-x)? And -ln σ(-x)?",
                "Both are softplus, ln(1 + exp(·)), which has a stable form \
                 with max(·, 0). For the slope, use σ' = σ(1 - σ).",
                "The slope of w·t·softplus(-x) + (1-t)·softplus(x) is \
                 (1-t)·σ(x) - w·t·σ(-x).",
            ],
        },
        Task {
            name: "find_the_bug",
            kind: Kind::Hunt,
            points: 2,
            title: "name the bug of the soft lookup, then mend it",
            section: "#what-goes-wrong",
            hints: [
                "Add up each row of dx in the report: what should a row sum \
                 to after a softmax?",
                "Cover the entries one by one: how does a class's own \
                 probability answer to its logit, and how do the others?",
                "The Jacobian has no zeros: all probabilities share one \
                 denominator, so every class's cotangent reaches every logit.",
            ],
        },
        Task {
            name: "find_the_floor",
            kind: Kind::Hunt,
            points: 2,
            title: "name the bug that no gradient check sees, then mend it",
            section: "#what-goes-wrong",
            hints: [
                "The gradient belongs to the loss, so look at the loss: what \
                 does it say of a perfect prediction?",
                "0.9048 is the loss of the five logits 0, 0, 0, 0, 1. Where \
                 would such logits come from?",
                "Count the softmaxes between the logits and the logarithm.",
            ],
        },
        Task {
            name: "work",
            kind: Kind::Measure,
            points: 1,
            title: "count what the Jacobian costs, and what the VJP costs",
            section: "#what-it-costs",
            hints: [
                "How many Jacobians are there, and how many entries has one?",
                "A (V,V) matrix times a vector takes 2·V·V. The VJP takes \
                 one product for each entry of the dot, its sum, one \
                 difference and one product per entry.",
                "B·V², 2·B·V², and four passes over B·V numbers.",
            ],
        },
    ],
};

/// `fn(y, dy) -> dx`.
pub type RowVjp = fn(ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// `fn(x, t) -> loss`.
pub type Loss = fn(ArrayView2<f64>, ArrayView2<f64>) -> f64;

/// `fn(x, t, dloss) -> dx`.
pub type LossVjp = fn(ArrayView2<f64>, ArrayView2<f64>, f64) -> Array2<f64>;

/// The same as a closure.
type AnyLossVjp<'a> =
    dyn Fn(ArrayView2<f64>, ArrayView2<f64>, f64) -> Array2<f64> + 'a;

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

fn two(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

fn one(a: &ArrayD<f64>) -> ArrayView1<'_, f64> {
    a.view().into_dimensionality::<Ix1>().expect("a vector")
}

fn scalar(a: &ArrayD<f64>) -> f64 {
    *a.first().expect("a number")
}

fn number(v: f64) -> ArrayD<f64> {
    arr0(v).into_dyn()
}

/// `x` and `t` of a case, as a report shows them.
fn two_inputs(c: &Case) -> String {
    format!("x {}\nt {}", show(&c.inputs[0]), show(&c.inputs[1]))
}

fn passed(v: &Verdict) -> bool {
    matches!(v, Verdict::Passed { .. })
}

/// Batch and classes: different from each other, then equal. A report on a
/// number shows the first.
const SHAPES: [(usize, usize); 5] = [(2, 3), (5, 4), (1, 5), (3, 3), (2, 2)];

/// Signs and sum of the gradient, and the cotangent that softmax does not see.
pub fn before_coding(
    signs: Option<[i8; 3]>,
    sum: Option<f64>,
    blind: Option<[[f64; 3]; 2]>,
    _seed: u64,
) -> Verdict {
    let why = "p = (0.91, 0.05, 0.05), so p - t = (0.41, -0.45, 0.05): a \
               class may be its example's best and still be too sure. The \
               gradient sums to 0 whatever the targets are, because all \
               logits rising together change no probability. For the same \
               reason a cotangent that is constant along each row always \
               gives a zero gradient, as that of a plain sum does.";
    let signs = predict(
        "the signs for the logits (4, 1, 1) and the target (1/2, 1/2, 0)",
        signs,
        [1, -1, 1],
        &[
            ([-1, 1, -1], "SIGN_FLIPPED"),
            ([-1, -1, 0], "DIAGONAL_JACOBIAN"),
            ([0, -1, 1], "STOPS_WHEN_RIGHT"),
            ([-1, -1, 1], "TARGET_ALWAYS_RAISED"),
            ([1, 1, 1], "TARGET_FORGOTTEN"),
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
        &[(-0.5, "TARGETS_NOT_ONE"), (1., "TARGET_FORGOTTEN")],
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
        let report = report.name("TRIVIAL_COTANGENT", Evidence::Choice);
        return Verdict::Failed(report);
    }
    if dy.iter().any(|row| row.iter().any(|v| *v != row[0])) {
        let x = [[1., 2., 3.], [0., 2., 1.]];
        let y = softmax::forward(arr2(&x).view());
        let dx = softmax::vjp(y.view(), arr2(&dy).view());
        let remark = format!("at the logits {x:?} the gradient is {dx:.4}");
        let report = report.remark(remark);
        return Verdict::Failed(report.name("NOT_BLIND", Evidence::Choice));
    }
    if dy[0] == dy[1] {
        return Verdict::Failed(report.remark("the two rows are to differ"));
    }
    Verdict::Passed {
        note: why.to_owned(),
    }
}

/// One class, one example, ties, many of both.
const RARE: [(usize, usize); 4] = [(3, 1), (1, 2), (4, 3), (9, 12)];

fn row_cases(seed: u64) -> (Vec<Case>, Vec<Case>) {
    let mut draw = Sampler::new(seed);
    let mut case = |(b, v): (usize, usize)| Case {
        inputs: vec![draw.dynamic(&[b, v])],
        dy: draw.dynamic(&[b, v]),
    };
    let cases = SHAPES.into_iter().map(&mut case).collect();
    let [single, one, ties, many] = RARE.map(&mut case);
    // Probabilities from 1e-7 to nearly 1.
    (cases, vec![single, one, ties.rounded(), many.times(4.)])
}

/// The VJPs of softmax and of log-softmax, from their outputs.
pub fn vjps(
    softmax_vjp: RowVjp,
    log_softmax_vjp: RowVjp,
    seed: u64,
) -> Verdict {
    type Op = fn(ArrayView2<f64>) -> Array2<f64>;
    let (cases, rare) = row_cases(seed);
    let judge = |name, op: Op, answer: RowVjp, mistakes| {
        Vjp {
            forward: &|i| op(two(&i[0])).into_dyn(),
            inputs: &["x"],
            order: &[(name, 0)],
            ratios: &|c, _| {
                let batch = c.inputs[0].shape()[0] as f64;
                vec![("BATCH_MEAN_TWICE", 1. / batch)]
            },
            mistakes,
        }
        .judge_also(&cases, &rare, &|i, dy| {
            let y = op(two(&i[0]));
            vec![answer(y.view(), two(dy)).into_dyn()]
        })
    };
    let first = judge(
        "softmax dx",
        softmax::forward,
        softmax_vjp,
        mistakes::SOFTMAX,
    );
    if !passed(&first) {
        return first;
    }
    judge(
        "log-softmax dx",
        softmax::log_softmax,
        log_softmax_vjp,
        mistakes::LOG_SOFTMAX,
    )
}

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

/// Inputs `x`, `t` and the cotangent of a number.
fn loss_cases(seed: u64) -> (Vec<Case>, Vec<Case>) {
    let mut draw = Sampler::new(seed);
    let mut case = |(k, (b, v)): (usize, (usize, usize))| Case {
        inputs: vec![
            draw.dynamic(&[b, v]),
            target_rows(&mut draw, b, v, k % 2 == 0).into_dyn(),
        ],
        dy: draw.dynamic(&[]),
    };
    let cases = SHAPES.into_iter().enumerate().map(&mut case).collect();
    let rare = RARE.into_iter().enumerate().map(&mut case).collect();
    (cases, rare)
}

/// Logits that break what is not stable: first a large common shift, up and
/// down, then a gap so wide that a probability is 0, then rows so far apart
/// that each needs a maximum of its own.
fn extreme_cases() -> Vec<(String, Array2<f64>, Array2<f64>)> {
    let case = |x: [f64; 3], label: usize| {
        let name = format!("logits {x:?}, label {label}");
        (name, arr2(&[x]), softmax::targets(&[label], 3, 0.))
    };
    vec![
        case([1000., 1001., 1002.], 2),
        case([-1e4, -1e4, -1e4], 0),
        case([1000., 0., 0.5], 1),
        case([1e4, -1e4, 0.], 1),
        (
            "two rows, around 1000 and -1000".into(),
            arr2(&[[1000., 1001., 1002.], [-1000., -1001., -1002.]]),
            softmax::targets(&[0, 1], 3, 0.),
        ),
    ]
}

/// The mean cross-entropy of logits, and its gradient.
pub fn cross_entropy(loss: Loss, vjp: LossVjp, seed: u64) -> Verdict {
    let (cases, rare) = loss_cases(seed);
    let stable_loss = || {
        let seen: Vec<_> = (extreme_cases().into_iter())
            .map(|(case, x, t)| Observation {
                case,
                expected: number(softmax::cross_entropy(x.view(), t.view()).0),
                got: attempt(|| number(loss(x.view(), t.view()))),
            })
            .collect();
        stability("the loss", &seen, &SHIFT_THEN_GAP, 2, Some(3f64.ln()))
    };
    let stable_dx = || {
        let seen: Vec<_> = (extreme_cases().into_iter())
            .map(|(case, x, t)| {
                let (_, p) = softmax::cross_entropy(x.view(), t.view());
                Observation {
                    case,
                    expected: ((p - &t) / x.nrows() as f64).into_dyn(),
                    got: attempt(|| vjp(x.view(), t.view(), 1.).into_dyn()),
                }
            })
            .collect();
        stability("dx", &seen, &SHIFT_THEN_GAP, 2, Some(1. / 3.))
    };
    also_extreme(softmax_loss(loss, &cases, &rare), stable_loss)
        .or_else(|| {
            let dx = loss_vjp(&cases, &rare, &|x, t, d| vjp(x, t, d));
            also_extreme((!passed(&dx)).then_some(dx), stable_dx)
        })
        .unwrap_or_else(Verdict::passed)
}

/// The verdict on extreme inputs, if the usual ones are right. An epsilon
/// shows a little in the usual ones, but has its name from the extreme ones.
fn also_extreme(
    usual: Option<Verdict>,
    extreme: impl FnOnce() -> Option<Verdict>,
) -> Option<Verdict> {
    match usual {
        None => extreme(),
        Some(Verdict::Failed(report))
            if report.mistakes.is_empty()
                && report.remark.starts_with(NEARLY_RIGHT) =>
        {
            extreme()
                .filter(|v| v.named() == Some("EPSILON_IN_LOG"))
                .or(Some(Verdict::Failed(report)))
        }
        other => other,
    }
}

/// The value of a loss on cases `x`, `t`; `None` if it is right.
fn softmax_loss(loss: Loss, cases: &[Case], rare: &[Case]) -> Option<Verdict> {
    let observe = |c: &Case| {
        let (x, t) = (two(&c.inputs[0]), two(&c.inputs[1]));
        Observation {
            case: two_inputs(c),
            expected: number(softmax::cross_entropy(x, t).0),
            got: attempt(|| number(loss(x, t))),
        }
    };
    let seen: Vec<_> = cases.iter().map(observe).collect();
    let explain = |code, evidence, value: &dyn Fn(&Case) -> f64| Explanation {
        code,
        evidence,
        values: (cases.iter())
            .map(|c| attempt(|| number(value(c))).ok())
            .collect(),
    };
    let right = |c: &Case| {
        softmax::cross_entropy(two(&c.inputs[0]), two(&c.inputs[1])).0
    };
    let size = |c: &Case, axis: usize| c.inputs[0].shape()[axis] as f64;
    let mut all = vec![
        explain("SIGN_FLIPPED", Evidence::Ratio, &|c| -right(c)),
        explain("BATCH_MEAN_MISSING", Evidence::Ratio, &|c| {
            right(c) * size(c, 0)
        }),
        explain("MEAN_OVER_ENTRIES", Evidence::Ratio, &|c| {
            right(c) / size(c, 1)
        }),
        explain("LOG_BASE_2", Evidence::Ratio, &|c| right(c) / 2f64.ln()),
    ];
    for (code, value) in mistakes::LOSS {
        all.push(explain(code, Evidence::Prediction, value));
    }
    let formula = "-1/B Σ t·ln p";
    compare("the loss", formula, &seen, &all).or_else(|| {
        let seen: Vec<_> = rare.iter().map(observe).collect();
        compare("the loss", formula, &seen, &[])
    })
}

/// The gradient of the cross-entropy by central differences.
fn loss_vjp(cases: &[Case], rare: &[Case], answer: &AnyLossVjp<'_>) -> Verdict {
    Vjp {
        forward: &|i| number(softmax::cross_entropy(two(&i[0]), two(&i[1])).0),
        inputs: &["x", "t", "dloss"],
        order: &[("dx", 0)],
        ratios: &|c, _| {
            let (b, v) = (c.inputs[0].shape()[0], c.inputs[0].shape()[1]);
            vec![
                ("BATCH_MEAN_MISSING", b as f64),
                ("BATCH_MEAN_TWICE", 1. / b as f64),
                ("MEAN_OVER_ENTRIES", 1. / v as f64),
            ]
        },
        mistakes: mistakes::LOSS_VJP,
    }
    .judge_also(cases, rare, &|i, dy| {
        vec![answer(two(&i[0]), two(&i[1]), scalar(dy)).into_dyn()]
    })
}

/// Which cases are not finite tells why: a shift overflows an exponential, a
/// gap makes a probability 0.
const SHIFT_THEN_GAP: [(Range<usize>, &str); 2] =
    [(0..2, "OVERFLOW"), (2..4, "LOG_OF_ZERO")];

/// The verdict on extreme inputs; `None` if all are right.
///
/// `not_finite` gives the code for the first group that has a value which is
/// not finite. The cases `gap` and `gap + 1` have different gaps, of which a
/// loss with an epsilon sees no difference and its gradient nothing. `clipped`
/// is the first entry of the first case if its logits were clipped to equals.
fn stability(
    what: &str,
    seen: &[Observation],
    not_finite: &[(Range<usize>, &str)],
    gap: usize,
    clipped: Option<f64>,
) -> Option<Verdict> {
    let verdict = compare(what, "the stable form", seen, &[])?;
    let Verdict::Failed(report) = verdict else {
        return Some(verdict);
    };
    let value = |k: usize| seen[k].got.as_ref().ok();
    let wild =
        |k: usize| value(k).is_some_and(|g| g.iter().any(|v| !v.is_finite()));
    for (group, code) in not_finite {
        if group.clone().any(wild) {
            let report = report.name(code, Evidence::Structure);
            return Some(Verdict::Failed(report));
        }
    }
    let first = value(0).and_then(|g| g.first());
    let is_clipped = |v: &f64| {
        clipped.is_some_and(|c| (v - c).abs() < 1e-6)
            && value(0).is_some_and(|g| !close(g, &seen[0].expected))
    };
    let wrong = |k: usize, g: &ArrayD<f64>| !close(g, &seen[k].expected);
    let code = match (value(gap), value(gap + 1)) {
        _ if first.is_some_and(is_clipped) => Some("LOGITS_CLIPPED"),
        (Some(a), Some(b))
            if wrong(gap, a) && wrong(gap + 1, b) && close(a, b) =>
        {
            Some("EPSILON_IN_LOG")
        }
        _ => None,
    };
    Some(Verdict::Failed(match code {
        Some(code) => report.name(code, Evidence::Structure),
        None => report,
    }))
}

/// Temperature and label smoothing: `dx` and `dtau`.
pub fn tempered(answer: TemperedVjp, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let mut case = |((b, v), (tau, eps)): ((usize, usize), (f64, f64))| {
        let labels: Array1<f64> =
            (0..b).map(|_| draw.below(v) as f64).collect();
        Case {
            inputs: vec![
                draw.dynamic(&[b, v]),
                number(tau),
                labels.into_dyn(),
                number(eps),
            ],
            dy: draw.dynamic(&[]),
        }
    };
    let knobs = [(1.7, 0.1), (0.6, 0.2), (2.3, 0.05), (1.3, 0.3), (0.8, 0.15)];
    let cases: Vec<_> = SHAPES.into_iter().zip(knobs).map(&mut case).collect();
    // No smoothing, nothing but smoothing, a cold softmax.
    let knobs = [(1., 0.1), (1.5, 0.), (0.7, 1.), (0.2, 0.1)];
    let rare: Vec<_> = RARE.into_iter().zip(knobs).map(&mut case).collect();
    Vjp {
        forward: &|i| {
            let (x, tau) = (two(&i[0]), scalar(&i[1]));
            let t =
                softmax::targets(&labels_of(&i[2]), x.ncols(), scalar(&i[3]));
            number(softmax::cross_entropy((&x / tau).view(), t.view()).0)
        },
        inputs: &["x", "tau", "labels", "smoothing", "dloss"],
        order: &[("dx", 0), ("dtau", 1)],
        ratios: &|c, name| {
            let batch = c.inputs[0].shape()[0] as f64;
            let tau = scalar(&c.inputs[1]);
            let inverted = if name == "dx" { tau * tau } else { tau.powi(3) };
            vec![
                ("BATCH_MEAN_MISSING", batch),
                ("BATCH_MEAN_TWICE", 1. / batch),
                ("TEMPERATURE_FORGOTTEN", tau),
                ("TEMPERATURE_TWICE", 1. / tau),
                ("TEMPERATURE_INVERTED", inverted),
            ]
        },
        mistakes: mistakes::TEMPERED,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        let labels = labels_of(&i[2]);
        let (tau, eps) = (scalar(&i[1]), scalar(&i[3]));
        let (dx, dtau) = answer(two(&i[0]), &labels, eps, tau, scalar(dy));
        vec![dx.into_dyn(), number(dtau)]
    })
}

/// Labels that travel as numbers; central differences move them a little.
pub(crate) fn labels_of(a: &ArrayD<f64>) -> Vec<usize> {
    a.iter().map(|v| v.round() as usize).collect()
}

/// `ln(1 + exp(x))`, stable.
fn softplus(x: f64) -> f64 {
    x.max(0.) + (-x.abs()).exp().ln_1p()
}

fn weighted(x: ArrayView1<f64>, t: ArrayView1<f64>, w: f64) -> f64 {
    let cost =
        |(x, t): (&f64, &f64)| w * t * softplus(-x) + (1. - t) * softplus(*x);
    x.iter().zip(t).map(cost).sum::<f64>() / x.len() as f64
}

/// Two classes, one logit, positives weighted.
pub fn binary(loss: BinaryLoss, vjp: BinaryVjp, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let weights = [2.5, 3., 0.4, 1.7, 0.6];
    let cases: Vec<_> = ([2, 4, 1, 3, 5].into_iter().zip(weights))
        .enumerate()
        .map(|(k, (b, w))| {
            let t: Array1<f64> = (0..b)
                .map(|_| match k % 2 {
                    0 => draw.between(0.1, 0.9),
                    _ => draw.below(2) as f64,
                })
                .collect();
            Case {
                inputs: vec![draw.dynamic(&[b]), t.into_dyn(), number(w)],
                dy: draw.dynamic(&[]),
            }
        })
        .collect();
    let many = [(7, 1.), (9, 0.)].map(|(b, t)| Case {
        inputs: vec![
            draw.dynamic(&[b]).mapv(f64::round),
            Array1::from_elem(b, t).into_dyn(),
            number(1.),
        ],
        dy: draw.dynamic(&[]),
    });
    // Logit and target, all with weight 2.5.
    let extreme = [
        (50., 0.),
        (100., 0.),
        (1000., 1.),
        (-1e4, 1.),
        (1e4, 0.),
        (-1000., 0.),
    ];
    let extremes = |what: &str, value: &dyn Fn(f64, f64) -> _| {
        let seen: Vec<_> = (extreme.into_iter())
            .map(|(x, t)| {
                let (expected, got) = value(x, t);
                let case = format!("x = {x}, t = {t}, w = 2.5");
                Observation {
                    case,
                    expected,
                    got,
                }
            })
            .collect();
        let codes = [(0..2, "LOG_OF_ZERO"), (2..6, "OVERFLOW")];
        stability(what, &seen, &codes, 0, None)
    };
    let stable_loss = || {
        extremes("the loss", &|x, t| {
            let (x, t) = (arr1(&[x]), arr1(&[t]));
            (
                number(weighted(x.view(), t.view(), 2.5)),
                attempt(|| number(loss(x.view(), t.view(), 2.5))),
            )
        })
    };
    let stable_dx = || {
        extremes("dx", &|x, t| {
            let p = 1. / (1. + (-x).exp());
            let expected = arr1(&[p * (1. - t + 2.5 * t) - 2.5 * t]);
            let (x, t) = (arr1(&[x]), arr1(&[t]));
            (
                expected.into_dyn(),
                attempt(|| vjp(x.view(), t.view(), 2.5, 1.).into_dyn()),
            )
        })
    };
    also_extreme(binary_value(loss, &cases, &many), stable_loss)
        .or_else(|| {
            let dx = binary_gradient(vjp, &cases, &many);
            also_extreme((!passed(&dx)).then_some(dx), stable_dx)
        })
        .unwrap_or_else(Verdict::passed)
}

fn binary_value(
    loss: BinaryLoss,
    cases: &[Case],
    rare: &[Case],
) -> Option<Verdict> {
    let parts = |c: &Case| {
        let (x, t) =
            (one(&c.inputs[0]).to_owned(), one(&c.inputs[1]).to_owned());
        (x, t, scalar(&c.inputs[2]))
    };
    let right = |c: &Case| {
        let (x, t, w) = parts(c);
        weighted(x.view(), t.view(), w)
    };
    let observe = |c: &Case| {
        let (x, t, w) = parts(c);
        Observation {
            case: format!("{}\nw = {w}", two_inputs(c)),
            expected: number(right(c)),
            got: attempt(|| number(loss(x.view(), t.view(), w))),
        }
    };
    let seen: Vec<_> = cases.iter().map(observe).collect();
    let explain = |code, evidence, value: &dyn Fn(&Case) -> f64| Explanation {
        code,
        evidence,
        values: cases.iter().map(|c| Some(number(value(c)))).collect(),
    };
    let mut all = vec![
        explain("SIGN_FLIPPED", Evidence::Ratio, &|c| -right(c)),
        explain("BATCH_MEAN_MISSING", Evidence::Ratio, &|c| {
            right(c) * c.inputs[0].len() as f64
        }),
        explain("LOG_BASE_2", Evidence::Ratio, &|c| right(c) / 2f64.ln()),
    ];
    for (code, value) in mistakes::BINARY {
        all.push(explain(code, Evidence::Prediction, value));
    }
    compare("the loss", "its formula", &seen, &all).or_else(|| {
        let seen: Vec<_> = rare.iter().map(observe).collect();
        compare("the loss", "its formula", &seen, &[])
    })
}

fn binary_gradient(vjp: BinaryVjp, cases: &[Case], rare: &[Case]) -> Verdict {
    Vjp {
        forward: &|i| number(weighted(one(&i[0]), one(&i[1]), scalar(&i[2]))),
        inputs: &["x", "t", "w", "dloss"],
        order: &[("dx", 0)],
        ratios: &|c, _| {
            let batch = c.inputs[0].len() as f64;
            vec![
                ("BATCH_MEAN_MISSING", batch),
                ("BATCH_MEAN_TWICE", 1. / batch),
            ]
        },
        mistakes: mistakes::BINARY_VJP,
    }
    .judge_also(cases, rare, &|i, dy| {
        let (x, t, w) = (one(&i[0]), one(&i[1]), scalar(&i[2]));
        vec![vjp(x, t, w, scalar(dy)).into_dyn()]
    })
}

/// The planted bug of the soft lookup, then the mended VJP.
pub fn find_the_bug(
    bug: Option<&str>,
    mended: LookupVjp,
    seed: u64,
) -> Verdict {
    in_the_table(hunt(bug, "DIAGONAL_JACOBIAN", || {
        let mut draw = Sampler::new(seed);
        // Batch, classes, width of the table.
        let shapes = [(5, 3, 2), (2, 4, 3), (1, 3, 4), (3, 3, 3), (2, 2, 2)];
        let mut case = |(b, v, d): (usize, usize, usize)| Case {
            inputs: vec![draw.dynamic(&[b, v]), draw.dynamic(&[v, d])],
            dy: draw.dynamic(&[b, d]),
        };
        let cases = shapes.map(&mut case);
        let rare = [(3, 1, 2), (1, 2, 1), (9, 12, 6)].map(&mut case);
        Vjp {
            forward: &|i| {
                softmax::forward(two(&i[0])).dot(&two(&i[1])).into_dyn()
            },
            inputs: &["x", "e"],
            order: &[("de", 1), ("dx", 0)],
            ratios: &|c, _| {
                vec![("BATCH_MEAN_TWICE", 1. / c.inputs[0].shape()[0] as f64)]
            },
            mistakes: mistakes::LOOKUP,
        }
        .judge_also(&cases, &rare, &|i, dy| {
            let (dx, de) = mended(two(&i[0]), two(&i[1]), two(dy));
            vec![dx.into_dyn(), de.into_dyn()]
        })
    }))
}

/// A wrong name gets a word on where to look for the right one.
fn in_the_table(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Failed(mut r) if r.mistakes == ["WRONG_BUG"] => {
            r.remark += if r.remark.ends_with('?') { " " } else { ". " };
            r.remark += "The candidates are in the table at the end of the \
                         chapter's section \"What goes wrong\".";
            Verdict::Failed(r)
        }
        other => other,
    }
}

/// The bug that no gradient check sees, then the mended loss.
pub fn find_the_floor(
    bug: Option<&str>,
    mended: LossAndGradient,
    seed: u64,
) -> Verdict {
    in_the_table(hunt(bug, "DOUBLE_SOFTMAX", || {
        // Nothing comes after this loss: its cotangent is 1.
        let (mut cases, mut rare) = loss_cases(seed);
        for c in cases.iter_mut().chain(&mut rare) {
            c.dy = number(1.);
        }
        let observe = |x: ArrayView2<f64>, t: ArrayView2<f64>| Observation {
            case: format!(
                "x {}\nt {}",
                show(&x.to_owned().into_dyn()),
                show(&t.to_owned().into_dyn())
            ),
            expected: number(softmax::cross_entropy(x, t).0),
            got: attempt(|| number(mended(x, t).0)),
        };
        let each = |cases: &[Case]| -> Vec<_> {
            let pair = |c: &Case| observe(two(&c.inputs[0]), two(&c.inputs[1]));
            cases.iter().map(pair).collect()
        };
        let seen = each(&cases);
        let twice = Explanation {
            code: "DOUBLE_SOFTMAX",
            evidence: Evidence::Prediction,
            values: (cases.iter())
                .map(|c| Some(number(mistakes::loss_softmax_twice(c))))
                .collect(),
        };
        let against = "the cross-entropy of the logits";
        // And the point of the task's own report.
        let certain = || {
            let x = arr2(&[[0., 0., 1e4]]);
            let t = softmax::targets(&[2], 3, 0.);
            let mut seen = observe(x.view(), t.view());
            seen.case = "the logits (0, 0, 10000), label 2".into();
            seen
        };
        compare("the loss", against, &seen, &[twice])
            .or_else(|| compare("the loss", against, &each(&rare), &[]))
            .or_else(|| {
                let seen = [certain()];
                let verdict = compare("the loss", against, &seen, &[])?;
                let wild = |g: &ArrayD<f64>| g.iter().any(|v| !v.is_finite());
                Some(match verdict {
                    Verdict::Failed(report)
                        if seen[0].got.as_ref().is_ok_and(wild) =>
                    {
                        let how = Evidence::Structure;
                        Verdict::Failed(report.name("LOG_OF_ZERO", how))
                    }
                    other => other,
                })
            })
            .unwrap_or_else(|| {
                loss_vjp(&cases, &rare, &|x, t, d| mended(x, t).1 * d)
            })
    }))
}

/// Three counts: Jacobian entries, its products, the VJP's operations.
pub fn work(answer: fn(u64, u64) -> [u64; 3], seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let sizes: Vec<_> = (0..4)
        .map(|_| (3 + draw.below(6) as u64, 10 + draw.below(40) as u64))
        .collect();
    // One of each, and a large model.
    let rare = [(1, 1), (1, 9), (7, 1), (8192, 100_000)];
    type Count = fn(u64, u64) -> u64;
    type Known = &'static [(&'static str, Count)];
    let counts: [(&str, Count, Known); 3] = [
        (
            "the Jacobians' entries",
            |b, v| b * v * v,
            &[
                ("JACOBIAN_SHARED", |_, v| v * v),
                ("JACOBIAN_OF_BATCH", |b, v| b * v * b * v),
            ],
        ),
        (
            "the operations through the Jacobians",
            |b, v| 2 * b * v * v,
            &[
                ("JACOBIAN_SHARED", |_, v| 2 * v * v),
                ("JACOBIAN_OF_BATCH", |b, v| 2 * b * v * b * v),
                ("MULTIPLICATIONS_ONLY", |b, v| b * v * v),
                ("SUM_AS_N_MINUS_1", |b, v| b * v * (2 * v - 1)),
            ],
        ),
        (
            "the operations of the VJP",
            |b, v| 4 * b * v,
            &[
                ("DOT_PER_ENTRY", |b, v| b * v * (2 * v + 2)),
                ("SUM_AS_N_MINUS_1", |b, v| b * (4 * v - 1)),
                ("PASS_FORGOTTEN", |b, v| b * 3 * v),
            ],
        ),
    ];
    let value = |n: u64| number(n as f64);
    for (k, (what, exact, known)) in counts.into_iter().enumerate() {
        let observe = |&(b, v): &(u64, u64)| Observation {
            case: format!("{b} rows, {v} classes"),
            expected: value(exact(b, v)),
            got: attempt(|| value(answer(b, v)[k])),
        };
        let seen: Vec<_> = sizes.iter().map(observe).collect();
        let explanations: Vec<_> = (known.iter())
            .map(|(code, count)| Explanation {
                code,
                evidence: Evidence::Prediction,
                values: (sizes.iter())
                    .map(|&(b, v)| Some(value(count(b, v))))
                    .collect(),
            })
            .collect();
        let rule = "the counting rule of the task";
        let seen_rare: Vec<_> = rare.iter().map(observe).collect();
        let verdict = compare(what, rule, &seen, &explanations)
            .or_else(|| compare(what, rule, &seen_rare, &[]));
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
    Verdict::passed()
}
