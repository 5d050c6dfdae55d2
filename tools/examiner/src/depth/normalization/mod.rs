//! The exam of the norms.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    BATCH_OF_TWO, GAMMA_LOST, LN_NEVER_ZERO, NAMES, RMS_CENTRED,
    STATS_CONSTANT, TRAIN_RULE_IN_EVAL,
};
use crate::judge::{
    Cases, Hunt, Inputs, Predict, Shapes, TOLERANCE, Then, Two, Value, Vjp,
};
use crate::{Exercise, Sampler, arrays};
use backprop::depth::normalization::{
    batch::{self, Running},
    group, layer_norm, layer_norm_vjp, rms_norm, rms_norm_vjp,
};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis};

/// The exercise of the norms.
pub const EXERCISE: Exercise = Exercise {
    slug: "depth/normalization",
    title: "Normalization",
    minutes: 85,
    tasks: tasks::TASKS,
    names: NAMES,
};

/// `(dx, dgamma, dbeta)`.
pub type Three = (Array2<f64>, Array1<f64>, Array1<f64>);

/// `fn(x, gamma, stats, dy) -> (dx, dgamma, dbeta)`.
pub type LayerNormVjp = fn(
    ArrayView2<f64>,
    ArrayView1<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> Three;

/// `fn(x, gamma, eps, dy) -> (dx, dgamma)`.
pub type RmsNormVjp = fn(
    ArrayView2<f64>,
    ArrayView1<f64>,
    f64,
    ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>);

/// `fn(x, gamma, eps, dy) -> (dx, dgamma, dbeta)`.
pub type BatchNormVjp =
    fn(ArrayView2<f64>, ArrayView1<f64>, f64, ArrayView2<f64>) -> Three;

/// `fn(x, groups, gamma, eps, dy) -> (dx, dgamma, dbeta)`.
pub type GroupNormVjp =
    fn(ArrayView2<f64>, usize, ArrayView1<f64>, f64, ArrayView2<f64>) -> Three;

/// `fn(x, gamma, mean, variance, eps, dy) -> (dx, dgamma, dbeta)`.
pub type EvalVjp = fn(
    ArrayView2<f64>,
    ArrayView1<f64>,
    ArrayView1<f64>,
    ArrayView1<f64>,
    f64,
    ArrayView2<f64>,
) -> Three;

/// `fn(mean, variance, x, momentum) -> (mean, variance)`.
pub type Update = fn(
    ArrayView1<f64>,
    ArrayView1<f64>,
    ArrayView2<f64>,
    f64,
) -> (Array1<f64>, Array1<f64>);

/// Where no gradient comes back at all.
pub static PREDICT_ZEROS: Predict<[bool; 6]> = Predict {
    question: "where is dx = 0",
    right: [true, true, true, false, true, false],
    wrong: &[
        ([false; 6], &LN_NEVER_ZERO),
        ([true, false, false, false, true, false], &LN_NEVER_ZERO),
        ([true, true, false, false, true, false], &LN_NEVER_ZERO),
        ([false, true, true, false, false, false], &BATCH_OF_TWO),
        ([true, true, true, false, false, false], &BATCH_OF_TWO),
        ([false, true, true, false, true, false], &BATCH_OF_TWO),
        ([true, true, true, true, true, false], &RMS_CENTRED),
        ([true, true, true, false, true, true], &TRAIN_RULE_IN_EVAL),
    ],
    why: "Two numbers lie in the span of 1 and x̂ whatever they are, ones are \
          along 1, and (1, 2, 3, 4) is a constant plus a multiple of x̂. \
          RMSNorm takes out x̂ alone, and an evaluation takes out nothing.",
};

/// Rows and columns. Two of either leave nothing of `dx` but what ε does, so
/// they are no usual case.
const ROWS: Shapes<2> = Shapes {
    usual: &[[5, 3], [3, 4], [4, 5], [3, 3], [4, 4], [1, 3]],
    small: &[[1, 1], [3, 1], [1, 4], [2, 4], [4, 2], [2, 2]],
    ties: Some([4, 3]),
    many: ([9, 17], 20.),
};

/// The same, with at least three examples where they name a mistake.
const COLUMNS: Shapes<2> = Shapes {
    usual: &[[5, 3], [3, 4], [4, 5], [3, 3], [4, 4], [5, 1]],
    ..ROWS
};

/// The same cases, and then those in which a number has its statistics for
/// itself: what is wrong there has a name of its own.
fn alone(
    draw: &mut Sampler,
    shapes: &Shapes<2>,
    alone: [[usize; 2]; 2],
    case: fn(&mut Sampler, [usize; 2]) -> Inputs,
) -> Cases {
    let mut cases = Cases::of(draw, shapes, case);
    cases
        .usual
        .push(alone.map(|shape| case(draw, shape)).into());
    cases
}

/// So large that a root without it is seen; not changed with the arrays.
const EPS: f64 = 0.1;

/// `x`, `gamma`, `beta`, `dy` and ε; the variance of rows and columns is far
/// from 1, above it or below, and above ε.
fn norm(draw: &mut Sampler, [n, d]: [usize; 2]) -> Inputs {
    let spread = if draw.below(2) == 0 { 2. } else { 0.3 };
    let mut i = draw.inputs(&[
        ("x", &[n, d]),
        ("gamma", &[d]),
        ("beta", &[d]),
        ("dy", &[n, d]),
    ]);
    for (at, x) in i.array_mut("x").indexed_iter_mut() {
        let apart = (2 * at[0] + 3 * at[1]) % 5;
        *x = spread * (*x + 1.1 * apart as f64);
    }
    i.shown("eps", EPS, format!("eps = {EPS}"))
}

/// Extremes: a mean a million times the spread, an ε far above the variance,
/// no spread at all.
fn extremes(draw: &mut Sampler) -> Cases {
    let far = |draw: &mut Sampler, shape, scale: f64, mean: f64, eps: f64| {
        let mut i = norm(draw, shape).without("eps");
        i.array_mut("x").mapv_inplace(|v| scale * v + mean);
        i.shown("eps", eps, format!("eps = {eps}"))
    };
    let usual = vec![
        far(draw, [4, 5], 1., 1e6, 1e-3),
        far(draw, [3, 4], 1e-3, 0., 1e-5),
        far(draw, [5, 3], 1., -3e5, 1e-5),
    ];
    let rare = vec![
        far(draw, [3, 4], 0., 1.5, 1e-5),
        far(draw, [4, 5], 1e-3, 2., 1e-5),
        far(draw, [4, 3], 1., 0., 0.),
        far(draw, [5, 6], 1e8, 0., 1e-5),
    ];
    Cases::new(usual, rare)
}

fn layer_stats(i: &Inputs) -> Array2<f64> {
    let (x, beta) = (i.matrix("x"), i.vector("beta"));
    layer_norm(x, i.vector("gamma"), beta, i.number("eps")).1
}

fn layer_right(i: &Inputs) -> Three {
    let stats = layer_stats(i);
    let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
    layer_norm_vjp(x, gamma, stats.view(), i.matrix("dy"))
}

fn backward((dx, dgamma, dbeta): Three) -> Vec<ArrayD<f64>> {
    arrays![dbeta, dgamma, dx]
}

const GRADIENTS: &[(&str, &str)] =
    &[("dbeta", "beta"), ("dgamma", "gamma"), ("dx", "x")];

const OUTPUTS: &[&str] = &["dbeta", "dgamma", "dx"];

fn call_layer(f: &LayerNormVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let stats = layer_stats(i);
    let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
    backward(f(x, gamma, stats.view(), i.matrix("dy")))
}

/// The VJP of LayerNorm; then at the extremes.
pub static LAYER_NORM_VJP: Then<LayerNormVjp> = Then {
    first: &Vjp {
        forward: |i| {
            let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
            let (beta, eps) = (i.vector("beta"), i.number("eps"));
            layer_norm(x, gamma, beta, eps).0.into_dyn()
        },
        cotangent: "dy",
        gradients: GRADIENTS,
        call: call_layer,
        cases: |draw| alone(draw, &ROWS, [[3, 1], [4, 1]], norm),
        batch: Some(|i| i.matrix("x").nrows()),
        wrong: mistakes::LAYER,
    },
    second: &Value {
        outputs: OUTPUTS,
        against: "the formula",
        right: |i| backward(layer_right(i)),
        tolerance: TOLERANCE,
        call: call_layer,
        cases: extremes,
        wrong: mistakes::LAYER,
        symptom: None,
    },
    named_later: &[],
};

fn rms_right(i: &Inputs) -> (Array2<f64>, Array1<f64>) {
    let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
    let (_, r) = rms_norm(x, gamma, i.number("eps"));
    rms_norm_vjp(x, gamma, r.view(), i.matrix("dy"))
}

fn call_rms(f: &RmsNormVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
    let (dx, dgamma) = f(x, gamma, i.number("eps"), i.matrix("dy"));
    arrays![dgamma, dx]
}

/// The VJP of RMSNorm; then at the extremes.
pub static RMS_NORM_VJP: Then<RmsNormVjp> = Then {
    first: &Vjp {
        forward: |i| {
            let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
            rms_norm(x, gamma, i.number("eps")).0.into_dyn()
        },
        cotangent: "dy",
        gradients: &[("dgamma", "gamma"), ("dx", "x")],
        call: call_rms,
        cases: |draw| Cases::of(draw, &ROWS, rms_case),
        batch: Some(|i| i.matrix("x").nrows()),
        wrong: mistakes::RMS,
    },
    second: &Value {
        outputs: &["dgamma", "dx"],
        against: "the formula",
        right: |i| {
            let (dx, dgamma) = rms_right(i);
            arrays![dgamma, dx]
        },
        tolerance: TOLERANCE,
        call: call_rms,
        cases: |draw| extremes(draw).each(|i| i.without("beta")),
        wrong: mistakes::RMS,
        symptom: None,
    },
    named_later: &[],
};

fn rms_case(draw: &mut Sampler, shape: [usize; 2]) -> Inputs {
    norm(draw, shape).without("beta")
}

fn batch_right(i: &Inputs) -> Three {
    let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
    let (_, stats) =
        batch::forward(x, gamma, i.vector("beta"), i.number("eps"));
    batch::vjp(x, gamma, stats.view(), i.matrix("dy"))
}

fn call_batch(f: &BatchNormVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
    backward(f(x, gamma, i.number("eps"), i.matrix("dy")))
}

/// The VJP of BatchNorm in training; then at the extremes.
pub static BATCH_TRAINING: Then<BatchNormVjp> = Then {
    first: &Vjp {
        forward: |i| {
            let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
            let (beta, eps) = (i.vector("beta"), i.number("eps"));
            batch::forward(x, gamma, beta, eps).0.into_dyn()
        },
        cotangent: "dy",
        gradients: GRADIENTS,
        call: call_batch,
        cases: |draw| alone(draw, &COLUMNS, [[1, 4], [1, 3]], norm),
        batch: Some(|i| i.matrix("x").nrows()),
        wrong: mistakes::BATCH,
    },
    second: &Value {
        outputs: OUTPUTS,
        against: "the formula",
        right: |i| backward(batch_right(i)),
        tolerance: TOLERANCE,
        call: call_batch,
        cases: extremes,
        wrong: mistakes::BATCH,
        symptom: None,
    },
    named_later: &[],
};

fn running(i: &Inputs) -> Running {
    Running {
        mean: i.vector("mean").to_owned(),
        variance: i.vector("variance").to_owned(),
    }
}

/// With running statistics that are not those of `x`.
fn evaluation(draw: &mut Sampler, [n, d]: [usize; 2]) -> Inputs {
    let i = norm(draw, [n, d]).without("eps");
    let variance = draw.vector(d).mapv(|v| 0.2 + 2. * v * v);
    let i = i.with("mean", draw.vector(d) * 2.).shown(
        "variance",
        variance.clone(),
        format!("variance {variance:.4}"),
    );
    i.shown("eps", EPS, format!("eps = {EPS}"))
}

/// The VJP of BatchNorm in evaluation.
pub static BATCH_EVALUATION: Vjp<EvalVjp> = Vjp {
    forward: |i| {
        let (x, gamma, beta) =
            (i.matrix("x"), i.vector("gamma"), i.vector("beta"));
        batch::eval(x, gamma, beta, &running(i), i.number("eps")).into_dyn()
    },
    cotangent: "dy",
    gradients: GRADIENTS,
    call: |f, i| {
        let (x, gamma) = (i.matrix("x"), i.vector("gamma"));
        let (mean, variance) = (i.vector("mean"), i.vector("variance"));
        backward(f(x, gamma, mean, variance, i.number("eps"), i.matrix("dy")))
    },
    cases: |draw| Cases::of(draw, &COLUMNS, evaluation),
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::EVALUATION,
};

/// BatchNorm in training, then in evaluation.
pub static BATCH_NORM_VJP: Two<BatchNormVjp, EvalVjp> =
    Two(&BATCH_TRAINING, &BATCH_EVALUATION);

/// Rows, columns, groups.
const GROUPS: Shapes<3> = Shapes {
    usual: &[[4, 6, 2], [3, 9, 3], [5, 8, 2], [6, 6, 1], [4, 12, 3]],
    small: &[[1, 6, 2], [3, 1, 1], [3, 4, 2]],
    ties: None,
    many: ([9, 18, 3], 20.),
};

fn grouped(draw: &mut Sampler, [n, d, groups]: [usize; 3]) -> Inputs {
    // The shapes that the judge adds have groups that do not divide, or of one
    // number.
    let fits = d % groups == 0 && d > groups;
    let groups = if fits { groups } else { 1 };
    let i = norm(draw, [n, d]);
    i.shown("groups", groups, format!("groups = {groups}"))
}

/// The VJP of GroupNorm, one position.
pub static GROUP_NORM_VJP: Vjp<GroupNormVjp> = Vjp {
    forward: |i| {
        let x = i.matrix("x").insert_axis(Axis(2));
        let (gamma, beta) = (i.vector("gamma"), i.vector("beta"));
        let (eps, groups) = (i.number("eps"), i.whole("groups") as usize);
        let (y, _) = group::forward(x, groups, gamma, beta, eps);
        y.index_axis_move(Axis(2), 0).into_dyn()
    },
    cotangent: "dy",
    gradients: GRADIENTS,
    call: |f, i| {
        let (x, groups) = (i.matrix("x"), i.whole("groups") as usize);
        let (gamma, eps) = (i.vector("gamma"), i.number("eps"));
        backward(f(x, groups, gamma, eps, i.matrix("dy")))
    },
    cases: |draw| {
        let mut cases = Cases::of(draw, &GROUPS, grouped);
        let mut alone = |shape: [usize; 2]| {
            let text = format!("groups = {}", shape[1]);
            norm(draw, shape).shown("groups", shape[1], text)
        };
        cases.usual.push(vec![alone([2, 4]), alone([4, 3])]);
        cases
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::GROUP,
};

/// The running statistics after a batch.
pub static RUNNING: Value<Update> = Value {
    outputs: &["mean", "variance"],
    against: "(1 - m)·old + m·batch",
    right: |i| {
        let mut seen = running(i);
        seen.update(i.matrix("x"), i.number("momentum"));
        arrays![seen.mean, seen.variance]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (mean, variance) = (i.vector("mean"), i.vector("variance"));
        let momentum = i.number("momentum");
        let (mean, variance) = f(mean, variance, i.matrix("x"), momentum);
        arrays![mean, variance]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, shape| {
            let i = evaluation(draw, shape).without("gamma").without("beta");
            let momentum = draw.between(0.05, 0.4);
            let text = format!("momentum = {momentum}");
            let i = i.without("dy").without("eps");
            i.shown("momentum", momentum, text)
        };
        let mut cases = Cases::of(draw, &COLUMNS, case);
        let mut far = case(draw, [4, 3]);
        *far.array_mut("x") += 1e6;
        cases.rare.push(far);
        for m in [0., 1.] {
            let text = format!("momentum = {m}");
            let i = case(draw, [3, 4]).without("momentum");
            cases.rare.push(i.shown("momentum", m, text));
        }
        cases
    },
    wrong: mistakes::RUNNING,
    symptom: None,
};

/// Statistics as constants, in a BatchNorm.
pub static MEND_BATCH_NORM: Hunt<BatchNormVjp> = Hunt {
    planted: &STATS_CONSTANT,
    among: NAMES,
    mended: &BATCH_TRAINING,
};

/// γ lost in `dx`, in a LayerNorm.
pub static MEND_LAYER_NORM: Hunt<LayerNormVjp> = Hunt {
    planted: &GAMMA_LOST,
    among: NAMES,
    mended: &LAYER_NORM_VJP,
};
