//! The exam of the linear layer.

pub mod drill;
pub mod mistakes;
mod tasks;

use self::mistakes::{EXAMPLE_SHOWS_NOTHING, NAMES, TRANSPOSE_MISSING_DX};
use crate::general::{
    BIAS_MEAN_NOT_SUM, GRAD_OVERWRITTEN, OUTPUTS_REORDERED, SHAPES_DO_NOT_FIT,
    SIGN_FLIPPED, UPSTREAM_ONLY,
};
use crate::judge::{
    BATCH_IN_OUT, Cases, EXACTLY, Hunt, Inputs, Predict, Shapes, Special,
    TOLERANCE, Then, Value, Vjp,
};
use crate::verdict::{Evidence, Report, Verdict, attempt};
use crate::{Exercise, Sampler, arrays};
use backprop::network::linear;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// The exercise of the linear layer.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/linear",
    title: "The linear layer",
    minutes: 70,
    tasks: tasks::TASKS,
    names: NAMES,
};

/// `fn(x, w, b) -> y`.
pub type Forward =
    fn(ArrayView2<f64>, ArrayView2<f64>, ArrayView1<f64>) -> Array2<f64>;

/// Three matrices give two gradients and that of the bias.
pub type LinearVjp = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>);

/// `fn(x, u, v, dy) -> (dx, du, dv)`.
pub type LowRankVjp = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array2<f64>);

/// `fn(b, i, o, needs_dx) -> FLOPs`.
pub type Flops = fn(u64, u64, u64, bool) -> u64;

/// The worked example's input gradient, before any code.
pub static PREDICT_DX: Predict<[f64; 2]> = Predict {
    question: "one row of dx for L = Σ y, w = [[3, -2], [5, 1]]",
    right: [1., 6.],
    wrong: &[
        ([8., -1.], &TRANSPOSE_MISSING_DX),
        ([1., 1.], &UPSTREAM_ONLY),
        ([-1., -6.], &SIGN_FLIPPED),
        ([-2., 1.], &GRAD_OVERWRITTEN),
        ([6., 1.], &OUTPUTS_REORDERED),
    ],
    why: "Each input reaches its outputs through one row of w, so with every \
          cotangent 1 the gradient is that row's sum: 3 - 2 and 5 + 1.",
};

fn layer(draw: &mut Sampler, [b, i, o]: [usize; 3]) -> Inputs {
    draw.inputs(&[("x", &[b, i]), ("w", &[i, o]), ("b", &[o]), ("dy", &[b, o])])
}

/// `y = x·wᵀ + b`: the weight has a row for each output.
pub static FORWARD: Value<Forward> = Value {
    outputs: &["y"],
    against: "x·wᵀ + b",
    right: |i| {
        let (x, w, b) = (i.matrix("x"), i.matrix("w"), i.vector("b"));
        arrays![linear::forward(x, w.t(), b)]
    },
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.matrix("x"), i.matrix("w"), i.vector("b"))],
    cases: |draw| {
        let case = |draw: &mut Sampler, [b, i, o]: [usize; 3]| {
            draw.inputs(&[("x", &[b, i]), ("w", &[o, i]), ("b", &[o])])
        };
        let mut cases = Cases::of(draw, &BATCH_IN_OUT, case);
        // Tiny inputs, and no bias beside which they would not count.
        let mut tiny = case(draw, [4, 3, 2]);
        *tiny.array_mut("x") *= 1e-9;
        *tiny.array_mut("b") *= 0.;
        cases.rare.push(tiny.tiny());
        cases.rare.push(case(draw, [3, 2, 4]).map(|v| v * 1e7));
        cases
    },
    wrong: mistakes::FORWARD,
    symptom: None,
};

/// One of the arrays tiny or huge, where differences are too coarse.
fn far(
    draw: &mut Sampler,
    case: fn(&mut Sampler, [usize; 3]) -> Inputs,
) -> Cases {
    let names = case(draw, [1, 1, 1]).names();
    let mut rare = Vec::new();
    for name in names {
        for size in [1e-9, 1e9] {
            let mut i = case(draw, [4, 3, 2]);
            *i.array_mut(name) *= size;
            rare.push(i.tiny());
        }
    }
    Cases {
        rare,
        ..Cases::default()
    }
}

/// What is compared with its formula.
const FORMULAS: &str = "the chapter's formula";

/// The three gradients, counted from the loss.
pub static VJP: Then<LinearVjp> = Then {
    first: &VJP_NEAR,
    second: &VJP_FAR,
    named_later: &[],
};

static VJP_FAR: Value<LinearVjp> = Value {
    outputs: &["db", "dw", "dx"],
    against: FORMULAS,
    right: |i| {
        let (x, w, dy) = (i.matrix("x"), i.matrix("w"), i.matrix("dy"));
        let (dx, dw, db) = linear::vjp(x, w, dy);
        arrays![db, dw, dx]
    },
    tolerance: TOLERANCE,
    call: VJP_NEAR.call,
    cases: |draw| {
        let mut cases = far(draw, layer);
        // More examples than fit in 16 bits.
        cases.rare.push(layer(draw, [65_537, 1, 1]));
        cases
    },
    wrong: &[],
    symptom: None,
};

static VJP_NEAR: Vjp<LinearVjp> = Vjp {
    forward: |i| {
        let (x, w, b) = (i.matrix("x"), i.matrix("w"), i.vector("b"));
        linear::forward(x, w, b).into_dyn()
    },
    cotangent: "dy",
    gradients: &[("db", "b"), ("dw", "w"), ("dx", "x")],
    call: |f, i| {
        let (dx, dw, db) = f(i.matrix("x"), i.matrix("w"), i.matrix("dy"));
        arrays![db, dw, dx]
    },
    cases: |draw| Cases::of(draw, &BATCH_IN_OUT, layer),
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::VJP,
};

/// Square matrices for which `x·dy` runs, fits, and is wrong.
pub static COUNTER_EXAMPLE: Special<CounterExample> = Special(counter_example);

/// `fn() -> (x, dy)`.
pub type CounterExample = fn() -> (Array2<f64>, Array2<f64>);

fn counter_example(answer: CounterExample, _seed: u64) -> Verdict {
    let question = "x·dy beside the right xᵀ·dy";
    let (x, dy) = match attempt(answer) {
        Err(p) if p.is_todo() => return Verdict::NotAttempted,
        Err(p) => {
            let got = format!("a panic: {}", p.message);
            return Verdict::Failed(Report::new(question, got, ""));
        }
        Ok(given) => given,
    };
    let shapes = format!("x {:?}, dy {:?}", x.shape(), dy.shape());
    let report = Report::new(question, shapes, "");
    let fails = |why: &str| Verdict::Failed(report.clone().remark(why));
    if x.nrows() != dy.nrows() || x.ncols() != dy.nrows() {
        let report = report.remark("x·dy and xᵀ·dy do not both run");
        let how = Evidence::Shape;
        return Verdict::Failed(report.name(&SHAPES_DO_NOT_FIT, how));
    }
    if !x.iter().chain(&dy).all(|v| v.is_finite()) {
        return fails("not all finite");
    }
    if x.nrows() != 3 {
        return fails("three examples are asked for, so x has three rows");
    }
    let (right, wrong) = (x.t().dot(&dy), x.dot(&dy));
    if !right.iter().chain(&wrong).all(|v| v.is_finite()) {
        return fails("the products are too large for f64");
    }
    // Beside the sizes of what was added: sums of large terms differ by
    // rounding alone.
    let sizes = x.mapv(f64::abs).t().dot(&dy.mapv(f64::abs))
        + x.mapv(f64::abs).dot(&dy.mapv(f64::abs));
    let differ = (&right - &wrong).mapv(f64::abs);
    if { differ.iter().zip(&sizes) }.all(|(gap, size)| *gap <= 1e-12 * size) {
        let report = report.remark("the two products are equal here");
        let how = Evidence::Structure;
        return Verdict::Failed(report.name(&EXAMPLE_SHOWS_NOTHING, how));
    }
    Verdict::Passed {
        note: "Both fit, only one is a gradient: shapes are a hint, the \
               index that is summed away is the proof."
            .to_owned(),
    }
}

/// Examples as columns: `z = wᵀ·a + b·1ᵀ`.
pub static COLUMNS_VJP: Then<LinearVjp> = Then {
    first: &COLUMNS_NEAR,
    second: &COLUMNS_FAR,
    named_later: &[],
};

fn columns(draw: &mut Sampler, [n, i, o]: [usize; 3]) -> Inputs {
    let (w, a, dz) = (&[i, o], &[i, n], &[o, n]);
    draw.inputs(&[("w", w), ("a", a), ("b", &[o]), ("dz", dz)])
}

static COLUMNS_FAR: Value<LinearVjp> = Value {
    outputs: &["db", "dw", "da"],
    against: FORMULAS,
    right: |i| {
        let (w, a, dz) = (i.matrix("w"), i.matrix("a"), i.matrix("dz"));
        let (dx, dw, db) = linear::vjp(a.t(), w, dz.t());
        arrays![db, dw, dx.reversed_axes()]
    },
    tolerance: TOLERANCE,
    call: COLUMNS_NEAR.call,
    cases: |draw| far(draw, columns),
    wrong: &[],
    symptom: None,
};

static COLUMNS_NEAR: Vjp<LinearVjp> = Vjp {
    forward: |i| {
        let (w, a, b) = (i.matrix("w"), i.matrix("a"), i.vector("b"));
        linear::columns::forward(w.t(), a, b).into_dyn()
    },
    cotangent: "dz",
    gradients: &[("db", "b"), ("dw", "w"), ("da", "a")],
    call: |f, i| {
        let (dw, da, db) = f(i.matrix("w"), i.matrix("a"), i.matrix("dz"));
        arrays![db, dw, da]
    },
    cases: |draw| Cases::of(draw, &BATCH_IN_OUT, columns),
    batch: Some(|i| i.matrix("a").ncols()),
    wrong: mistakes::COLUMNS,
};

/// Batch, inputs, outputs, rank.
const LOW_RANK: Shapes<4> = Shapes {
    usual: &[
        [5, 4, 3, 2],
        [3, 2, 5, 4],
        [4, 3, 2, 1],
        [3, 3, 3, 3],
        [2, 2, 2, 2],
    ],
    small: &[[1, 1, 1, 1], [1, 2, 3, 2]],
    ties: Some([4, 3, 2, 1]),
    many: ([9, 11, 10, 12], 20.),
};

/// `y = x·u·vᵀ`.
pub static LOW_RANK_VJP: Then<LowRankVjp> = Then {
    first: &LOW_RANK_NEAR,
    second: &LOW_RANK_FAR,
    named_later: &[],
};

fn low_rank(draw: &mut Sampler, [b, i, o, r]: [usize; 4]) -> Inputs {
    let (x, u, v) = (&[b, i], &[i, r], &[o, r]);
    draw.inputs(&[("x", x), ("u", u), ("v", v), ("dy", &[b, o])])
}

static LOW_RANK_FAR: Value<LowRankVjp> = Value {
    outputs: &["dv", "du", "dx"],
    against: FORMULAS,
    right: |i| {
        let [x, u, v, dy] = ["x", "u", "v", "dy"].map(|name| i.matrix(name));
        let h = x.dot(&u);
        let dh = dy.dot(&v);
        arrays![dy.t().dot(&h), x.t().dot(&dh), dh.dot(&u.t())]
    },
    tolerance: TOLERANCE,
    call: LOW_RANK_NEAR.call,
    cases: |draw| far(draw, |draw, [b, i, o]| low_rank(draw, [b, i, o, 1])),
    wrong: &[],
    symptom: None,
};

static LOW_RANK_NEAR: Vjp<LowRankVjp> = Vjp {
    forward: |i| {
        let h = i.matrix("x").dot(&i.matrix("u"));
        h.dot(&i.matrix("v").t()).into_dyn()
    },
    cotangent: "dy",
    gradients: &[("dv", "v"), ("du", "u"), ("dx", "x")],
    call: |f, i| {
        let (x, u, v) = (i.matrix("x"), i.matrix("u"), i.matrix("v"));
        let (dx, du, dv) = f(x, u, v, i.matrix("dy"));
        arrays![dv, du, dx]
    },
    cases: |draw| Cases::of(draw, &LOW_RANK, low_rank),
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::LOW_RANK,
};

/// The planted bug's name, then the mended VJP.
pub static FIND_THE_BUG: Hunt<LinearVjp> = Hunt {
    planted: &BIAS_MEAN_NOT_SUM,
    among: NAMES,
    mended: &VJP,
};

/// FLOPs of the backward, with and without `dx`.
pub static FLOPS: Value<Flops> = Value {
    outputs: &["the count"],
    against: "2 per multiply-add, B·O for db",
    right: |i| {
        let (b, o) = (i.whole("B"), i.whole("O"));
        let products = 1 + i.whole("needs_dx");
        arrays![2 * b * i.whole("I") * o * products + b * o]
    },
    tolerance: EXACTLY,
    call: |f, i| {
        let (b, n, o) = (i.whole("B"), i.whole("I"), i.whole("O"));
        arrays![f(b, n, o, i.flag("needs_dx"))]
    },
    cases: |draw| {
        let case = |[b, i, o]: [u64; 3], needs_dx: bool| {
            let text = format!("needs_dx = {needs_dx}");
            let sizes = Inputs::default().with("B", b).with("I", i);
            let dx = f64::from(needs_dx);
            sizes.with("O", o).shown("needs_dx", dx, text)
        };
        let usual = [true, false, true, false]
            .map(|dx| case([0; 3].map(|_| 3 + draw.below(40) as u64), dx));
        // One of all, one example, layers of large models.
        let rare = [
            case([1, 1, 1], true),
            case([1, 7, 5], false),
            case([4099, 4097, 8191], true),
            case([1_048_577, 65_537, 131_101], true),
        ];
        Cases::new(usual.into(), rare.into())
    },
    wrong: mistakes::FLOPS,
    symptom: None,
};
