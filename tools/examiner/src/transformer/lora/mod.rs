//! The exam of low-rank adaptation.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    ADAM_FOLLOWS_SIZE, FROZEN_IS_ZERO, FROZEN_TRAINED, LORA_B_ZERO,
    LORA_ONE_START, LORA_START_NOT_BASE, NAMES, RSLORA_SCALE,
    SCALE_COUNTED_ONCE,
};
use crate::general::{
    OUTPUTS_REORDERED, SIGN_FLIPPED, TRANSPOSED, UPSTREAM_IGNORED,
};
use crate::judge::{
    Cases, EXACTLY, Hunt, Inputs, Shapes, Special, TOLERANCE, Then, Two, Value,
    Vjp, predict,
};
use crate::network::mlp::mistakes::LOSSES;
use crate::verdict::Verdict;
use crate::{Exercise, Sampler, arrays};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, arr2};

/// The exercise of low-rank adaptation.
pub const EXERCISE: Exercise = Exercise {
    slug: "transformer/lora",
    title: "Low-rank adaptation",
    minutes: 90,
    tasks: tasks::TASKS,
    names: NAMES,
};

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;
type Pair = (Array2<f64>, Array2<f64>);
type Three = (Array2<f64>, Array2<f64>, Array2<f64>);
type Four = (Array2<f64>, Array1<f64>, Array2<f64>, Array2<f64>);

/// `fn(x, w, a, b, alpha) -> y`.
pub type Forward = fn(M, M, M, M, f64) -> Array2<f64>;

/// `fn(x, w, a, b, alpha, dy) -> (dx, da, db)`.
pub type AdapterVjp = fn(M, M, M, M, f64, M) -> Three;

/// `fn(x, t, w, (a, b), alpha, rate, steps) -> losses`.
pub type Tune = fn(M, M, M, (M, M), f64, f64, usize) -> Vec<f64>;

/// `fn(x, t, w, rate, steps) -> losses`.
pub type TuneAll = fn(M, M, M, f64, usize) -> Vec<f64>;

/// `fn(n, i, o, r) -> [numbers trained, FLOPs of a step]`.
pub type Counts = fn(u64, u64, u64, u64) -> [u64; 2];

/// `fn(x, w, a, b, m, alpha) -> y`.
pub type Dora = fn(M, M, M, M, V, f64) -> Array2<f64>;

/// `fn(x, w, a, b, m, alpha, dy) -> (dx, dm, da, db)`.
pub type DoraVjp = fn(M, M, M, M, V, f64, M) -> Four;

/// `fn(x, w, a, b, m, alpha, dy) -> (da, db)`.
pub type NormConstant = fn(M, M, M, M, V, f64, M) -> Pair;

/// `fn(w, a, b, alpha) -> w`.
pub type Merged = fn(M, M, M, f64) -> Array2<f64>;

/// Numbers with a gradient, the gradient of a frozen weight, starts, and what
/// twice the scale does.
pub type Before = (
    Option<[usize; 2]>,
    Option<[[f64; 2]; 2]>,
    Option<[bool; 4]>,
    Option<[f64; 2]>,
);

/// Four predictions, in this order.
pub static BEFORE_CODING: Special<Before> = Special(before_coding);

fn before_coding((count, dw, starts, doubled): Before, _seed: u64) -> Verdict {
    let why = "48 = 6·8 against 28 = 2·(6 + 8): at this size hardly half. The \
               frozen weight's gradient is x times dy, whether anybody wants \
               it or not. A start must change nothing and be able to learn: \
               one factor 0, whichever. Under gradient descent the first \
               change goes with s², once from dB and once from s·A·B; Adam's \
               step has one length, so only the second s is left.";
    let passed = |v: &Verdict| matches!(v, Verdict::Passed { .. });
    let count = predict(
        "how many numbers have a gradient, in full and with adapters",
        count,
        [48, 28],
        &[([48, 76], &FROZEN_TRAINED), ([28, 48], &OUTPUTS_REORDERED)],
        why,
    );
    if !passed(&count) {
        return count;
    }
    let dw = predict(
        "the gradient that the frozen weight would have",
        dw,
        [[2., -2.], [3., -3.]],
        &[
            ([[0.; 2]; 2], &FROZEN_IS_ZERO),
            ([[2., 3.], [-2., -3.]], &TRANSPOSED),
            ([[-2., 2.], [-3., 3.]], &SIGN_FLIPPED),
            ([[2., 2.], [3., 3.]], &UPSTREAM_IGNORED),
        ],
        why,
    );
    if !passed(&dw) {
        return dw;
    }
    let starts = predict(
        "which of the four starts are good ones",
        starts,
        [true, true, false, false],
        &[
            ([true, true, true, false], &LORA_B_ZERO),
            ([true, false, true, false], &LORA_B_ZERO),
            ([true, true, false, true], &LORA_START_NOT_BASE),
            ([true, false, false, true], &LORA_START_NOT_BASE),
            ([true, false, false, false], &LORA_ONE_START),
            ([false, true, false, false], &LORA_ONE_START),
        ],
        why,
    );
    if !passed(&starts) {
        return starts;
    }
    predict(
        "what twice the scale does to the first change of the weight",
        doubled,
        [4., 2.],
        &[
            ([2., 2.], &SCALE_COUNTED_ONCE),
            ([2., 1.], &SCALE_COUNTED_ONCE),
            ([4., 4.], &ADAM_FOLLOWS_SIZE),
            ([2., 4.], &OUTPUTS_REORDERED),
        ],
        why,
    )
}

/// α/R.
fn scale(i: &Inputs) -> f64 {
    i.number("alpha") / i.matrix("a").ncols() as f64
}

/// `x·a·b`, of inputs of these names.
fn made_of(i: &Inputs, x: &str, a: &str, b: &str) -> Array2<f64> {
    i.matrix(x).dot(&i.matrix(a)).dot(&i.matrix(b))
}

/// Batch, inputs, outputs, rank.
const SHAPES: Shapes<4> = Shapes {
    usual: &[
        [5, 4, 3, 2],
        [2, 3, 6, 4],
        [4, 6, 2, 3],
        [3, 3, 3, 3],
        [2, 2, 2, 2],
    ],
    small: &[
        [1, 1, 1, 1],
        [1, 3, 4, 2],
        [3, 1, 2, 2],
        [3, 2, 1, 2],
        [2, 3, 4, 1],
    ],
    ties: Some([4, 3, 5, 2]),
    many: ([9, 12, 10, 11], 3.),
};

/// Neither 1 nor the rank nor its root is the scale.
const ALPHAS: [f64; 4] = [3.5, 1.7, -2.6, 5.3];

fn with_alpha(i: Inputs, alpha: f64) -> Inputs {
    i.shown("alpha", alpha, format!("alpha = {alpha}"))
}

fn layer(draw: &mut Sampler, [n, i, o, r]: [usize; 4]) -> Inputs {
    let all: [(_, &[usize]); 4] = [
        ("x", &[n, i]),
        ("w", &[i, o]),
        ("a", &[i, r]),
        ("b", &[r, o]),
    ];
    with_alpha(draw.inputs(&all), ALPHAS[(n + i + o + r) % 4])
}

/// Adapters that are off, turned round, or turned up; a fresh one; a scale of
/// 1; one array tiny or huge.
fn at_extremes(mut cases: Cases, names: &[&str]) -> Cases {
    let first = cases.usual[0][0].clone();
    for alpha in [0., 2., 1e6, -1e-3] {
        cases
            .rare
            .push(with_alpha(first.clone().without("alpha"), alpha));
    }
    for name in names {
        for size in [0., 1e-9, 1e9] {
            let mut i = first.clone();
            *i.array_mut(name) *= size;
            cases.rare.push(i.tiny());
        }
    }
    cases
}

fn adapted(i: &Inputs) -> Array2<f64> {
    i.matrix("x").dot(&i.matrix("w")) + made_of(i, "x", "a", "b") * scale(i)
}

/// The adapted layer.
pub static FORWARD: Value<Forward> = Value {
    outputs: &["y"],
    against: "x·w + (α/R)·(x·a)·b",
    right: |i| arrays![adapted(i)],
    tolerance: TOLERANCE,
    call: |f, i| {
        let [x, w, a, b] = ["x", "w", "a", "b"].map(|n| i.matrix(n));
        arrays![f(x, w, a, b, i.number("alpha"))]
    },
    cases: |draw| {
        let cases = Cases::of(draw, &SHAPES, layer);
        at_extremes(cases, &["x", "w", "a", "b"])
    },
    wrong: mistakes::FORWARD,
    symptom: None,
};

fn call_vjp(f: &AdapterVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let [x, w, a, b, dy] = ["x", "w", "a", "b", "dy"].map(|n| i.matrix(n));
    let (dx, da, db) = f(x, w, a, b, i.number("alpha"), dy);
    arrays![db, da, dx]
}

fn with_dy(draw: &mut Sampler, shape: [usize; 4]) -> Inputs {
    let i = layer(draw, shape);
    i.with("dy", draw.dynamic(&[shape[0], shape[2]]))
}

static VJP_ANYWHERE: Vjp<AdapterVjp> = Vjp {
    forward: |i| adapted(i).into_dyn(),
    cotangent: "dy",
    gradients: &[("db", "b"), ("da", "a"), ("dx", "x")],
    call: call_vjp,
    cases: |draw| {
        let mut cases = Cases::of(draw, &SHAPES, with_dy);
        let first = cases.usual[0][0].clone();
        for alpha in [0., 2.] {
            let i = first.clone().without("alpha");
            cases.rare.push(with_alpha(i, alpha));
        }
        cases
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::VJP,
};

/// By its formula, where differences are too coarse.
static VJP_FAR: Value<AdapterVjp> = Value {
    outputs: &["db", "da", "dx"],
    against: "its formula",
    right: |i| {
        let (x, w, dy) = (i.matrix("x"), i.matrix("w"), i.matrix("dy"));
        let (a, b, s) = (i.matrix("a"), i.matrix("b"), scale(i));
        let dh = dy.dot(&b.t()) * s;
        let db = x.dot(&a).t().dot(&dy) * s;
        arrays![db, x.t().dot(&dh), dy.dot(&w.t()) + dh.dot(&a.t())]
    },
    tolerance: TOLERANCE,
    call: call_vjp,
    cases: |draw| {
        let usual = vec![with_dy(draw, [5, 4, 3, 2])];
        let cases = Cases::new(usual, Vec::new());
        at_extremes(cases, &["x", "w", "a", "b", "dy"])
    },
    wrong: &[],
    symptom: None,
};

/// Its backward pass.
pub static VJP: Then<AdapterVjp> = Then {
    first: &VJP_ANYWHERE,
    second: &VJP_FAR,
    named_later: &[],
};

/// A training by gradient descent, right or with something wrong.
struct Tuning {
    x: Array2<f64>,
    t: Array2<f64>,
    w: Array2<f64>,
    a: Array2<f64>,
    b: Array2<f64>,
    rate: f64,
    steps: usize,
    /// The scale of the forward pass, of da and of db.
    scales: [f64; 3],
    /// What the gradient of the loss is multiplied with.
    back: f64,
    /// Which of w, a and b take steps.
    moves: [bool; 3],
    /// Which factor moves before the other's gradient is computed.
    first: Option<&'static str>,
    /// What every step takes from the first one.
    stale: Option<Stale>,
}

/// What a training may keep from its first step, wrongly.
#[derive(PartialEq)]
enum Stale {
    /// The cotangent of the outputs.
    Errors,
    /// The gradients of both factors.
    Steps,
}

impl Tuning {
    /// Of the adapters, or of the whole weight if there are none.
    fn of(i: &Inputs) -> Self {
        let all = |name: &str| i.matrix(name).to_owned();
        let with = i.has("a");
        let (rows, columns) = i.matrix("w").dim();
        let none = |shape| Array2::zeros(shape);
        let s = if with { scale(i) } else { 0. };
        Self {
            x: all("x"),
            t: all("t"),
            w: all("w"),
            a: if with { all("a") } else { none((rows, 1)) },
            b: if with { all("b") } else { none((1, columns)) },
            rate: i.number("rate"),
            steps: i.whole("steps") as usize,
            scales: [s; 3],
            back: 1.,
            moves: [!with, with, with],
            first: None,
            stale: None,
        }
    }

    fn losses(mut self) -> ArrayD<f64> {
        let n = self.x.nrows() as f64;
        let [s, of_a, of_b] = self.scales;
        let mut losses = Vec::new();
        let (mut errors, mut factors) = (None, None);
        for step in 0..=self.steps {
            let h = self.x.dot(&self.a);
            let y = self.x.dot(&self.w) + h.dot(&self.b) * s;
            let e = y - &self.t;
            losses.push(e.mapv(|e| e * e).sum() / (2. * n));
            if step == self.steps {
                break;
            }
            let dy = e * (self.back / n);
            let dy = match self.stale {
                Some(Stale::Errors) => errors.get_or_insert(dy).clone(),
                _ => dy,
            };
            let da = |b: &Array2<f64>| self.x.t().dot(&dy.dot(&b.t())) * of_a;
            let db = |a: &Array2<f64>| self.x.dot(a).t().dot(&dy) * of_b;
            let (a, b) = match self.first {
                Some("a") => {
                    let a = &self.a - &(da(&self.b) * self.rate);
                    let b = &self.b - &(db(&a) * self.rate);
                    (a, b)
                }
                Some(_) => {
                    let b = &self.b - &(db(&self.a) * self.rate);
                    (&self.a - &(da(&b) * self.rate), b)
                }
                None => (
                    &self.a - &(da(&self.b) * self.rate),
                    &self.b - &(db(&self.a) * self.rate),
                ),
            };
            let (a, b) = match self.stale {
                Some(Stale::Steps) => {
                    let (da, db) = factors
                        .get_or_insert_with(|| (&a - &self.a, &b - &self.b));
                    (&self.a + &*da, &self.b + &*db)
                }
                _ => (a, b),
            };
            let w = &self.w - &(self.x.t().dot(&dy) * self.rate);
            let [of_w, of_a, of_b] = self.moves;
            self.w = if of_w { w } else { self.w };
            self.a = if of_a { a } else { self.a };
            self.b = if of_b { b } else { self.b };
        }
        Array1::from(losses).into_dyn()
    }
}

/// As many losses as there are to be.
fn listed(losses: Vec<f64>, steps: usize) -> Vec<ArrayD<f64>> {
    let n = losses.len();
    assert!(
        n == steps + 1,
        "{n} losses for {steps} steps: one before the first step, and one \
         after each"
    );
    arrays![Array1::from(losses)]
}

/// Examples, inputs, outputs, rank, rate and steps. `b` is not 0: training goes
/// on from anywhere.
fn training(
    draw: &mut Sampler,
    [n, i, o, r]: [usize; 4],
    rate: f64,
    steps: usize,
) -> Inputs {
    let text = format!(
        "{n} examples, {i} inputs, {o} outputs, rank {r}, rate {rate}, \
         {steps} steps"
    );
    loop {
        let mut part = |rows, columns| draw.matrix(rows, columns) * 0.7;
        let all = Inputs::default().shown("x", part(n, i), text.clone());
        let all = all.shown("t", part(n, o), "").shown("w", part(i, o), "");
        let all = all.shown("a", part(i, r), "").shown("b", part(r, o), "");
        let all = all.shown("rate", rate, "").shown("steps", steps, "");
        let all = with_alpha(all, ALPHAS[(n + i + o + r) % 4]);
        if is_tame(&all) {
            return all;
        }
    }
}

/// Whether the losses do not rise, also where one factor moves too early: what
/// runs away has no value that a mistake could be known by.
fn is_tame(i: &Inputs) -> bool {
    [None, Some("a"), Some("b")].into_iter().all(|first| {
        let mut tuning = Tuning::of(i);
        tuning.first = first;
        let losses = tuning.losses();
        losses[losses.len() - 1] <= losses[0]
    })
}

/// Rows of a unit vector each, a target at a distance of rank three, and fresh
/// adapters.
fn unit_vectors(draw: &mut Sampler, rank: usize, steps: usize) -> Inputs {
    let w = draw.matrix(8, 8);
    // Before the factor, so that every rank has the same target.
    let change = draw.matrix(8, 3).dot(&draw.matrix(3, 8)) * 0.4;
    let a = draw.matrix(8, rank) * 0.5;
    let text = format!("eight unit vectors, rank {rank}, {steps} steps");
    let i = Inputs::default().shown("x", Array2::eye(8), text);
    let i = i.shown("t", &w + &change, "").shown("w", w, "");
    let i = i.shown("a", a, "").shown("b", Array2::zeros((rank, 8)), "");
    let i = i.shown("rate", 0.5, "").shown("steps", steps, "");
    with_alpha(i, rank as f64)
}

fn trainings(draw: &mut Sampler) -> Cases {
    let usual = [
        ([5, 4, 3, 2], 0.03, 6),
        ([4, 3, 5, 2], 0.02, 4),
        ([6, 2, 4, 3], 0.02, 5),
        ([3, 5, 2, 4], 0.02, 5),
        ([3, 3, 3, 3], 0.02, 4),
    ];
    let mut usual = usual
        .map(|(s, rate, n)| training(draw, s, rate, n))
        .to_vec();
    // Fresh adapters: the first step moves b alone.
    for sizes in [[4, 3, 2, 2], [5, 2, 3, 2]] {
        usual.push(loop {
            let mut fresh = training(draw, sizes, 0.05, 5);
            fresh.array_mut("b").fill(0.);
            if is_tame(&fresh) {
                break fresh;
            }
        });
    }
    let rare = [
        ([1, 3, 2, 2], 0.1, 4),
        ([3, 1, 2, 2], 0.1, 4),
        ([3, 2, 1, 1], 0.1, 4),
        ([1, 1, 1, 1], 0.1, 3),
        ([9, 10, 11, 9], 0.01, 3),
        ([4, 3, 2, 2], 0.1, 0),
        ([4, 3, 2, 2], 0.1, 1),
        ([4, 3, 2, 2], 0., 3),
        // Not at its end after a hundred steps.
        ([4, 3, 2, 2], 0.003, 200),
    ];
    let mut rare = rare.map(|(s, rate, n)| training(draw, s, rate, n)).to_vec();
    rare.push(unit_vectors(draw, 1, 200));
    rare.push(unit_vectors(draw, 3, 200));
    let mut still = training(draw, [4, 3, 2, 2], 0.1, 3);
    still.array_mut("a").fill(0.);
    rare.push(still.clone());
    still.array_mut("b").fill(0.);
    rare.push(still);
    // y = 2 for a target of 0, and after a step too long y = 5.
    let one = || Array2::from_elem((1, 1), 1.);
    let long = Inputs::default().shown("x", one(), "one of all, rate 1.5");
    let long = long.shown("t", one() * 0., "").shown("w", one(), "");
    let long = long.shown("a", one(), "").shown("b", one(), "");
    let long = long.shown("rate", 1.5, "").shown("steps", 1., "");
    let long = with_alpha(long, 1.);
    rare.push(long.clone());
    // The whole weight's losses rise as well, from step to step.
    let mut longer = long;
    longer.array_mut("rate").fill(2.5);
    longer.array_mut("steps").fill(3.);
    rare.push(longer);
    let mut far = training(draw, [4, 3, 2, 2], 1e-4, 3);
    *far.array_mut("t") *= 1e3;
    rare.push(far);
    Cases::new(usual, rare)
}

static TUNE_ADAPTERS: Value<Tune> = Value {
    outputs: &[LOSSES],
    against: "gradient descent on both factors",
    right: |i| vec![Tuning::of(i).losses()],
    tolerance: TOLERANCE,
    call: |f, i| {
        let [x, t, w, a, b] = ["x", "t", "w", "a", "b"].map(|n| i.matrix(n));
        let (alpha, rate) = (i.number("alpha"), i.number("rate"));
        let steps = i.whole("steps") as usize;
        listed(f(x, t, w, (a, b), alpha, rate, steps), steps)
    },
    cases: trainings,
    wrong: mistakes::TUNE,
    symptom: None,
};

static TUNE_WHOLE: Value<TuneAll> = Value {
    outputs: &[LOSSES],
    against: "gradient descent on the whole weight",
    right: |i| vec![Tuning::of(i).losses()],
    tolerance: TOLERANCE,
    call: |f, i| {
        let [x, t, w] = ["x", "t", "w"].map(|n| i.matrix(n));
        let (rate, steps) = (i.number("rate"), i.whole("steps") as usize);
        listed(f(x, t, w, rate, steps), steps)
    },
    cases: |draw| {
        let cases = trainings(draw);
        cases.each(|i| i.without("a").without("b").without("alpha"))
    },
    wrong: mistakes::TUNE_ALL,
    symptom: None,
};

/// Both trainings, and where they end.
pub static TUNE: Then<(Tune, TuneAll)> = Then {
    first: &Two(&TUNE_ADAPTERS, &TUNE_WHOLE),
    second: &Special(where_they_end),
    named_later: &[],
};

/// What a right pair of trainings has reached.
fn where_they_end((tune, tune_all): (Tune, TuneAll), seed: u64) -> Verdict {
    let of = |rank| unit_vectors(&mut Sampler::new(seed), rank, 200);
    let end = |rank| (TUNE_ADAPTERS.call)(&tune, &of(rank))[0][200];
    let (one, three) = (end(1), end(3));
    let all = (TUNE_WHOLE.call)(&tune_all, &of(1)).swap_remove(0);
    Verdict::Passed {
        note: format!(
            "A change of rank three, 200 steps, from {:.3}: rank 1 ends at \
             {one:.1e}, rank 3 at {three:.1e}, the whole weight at {:.1e}.",
            all[0], all[200]
        ),
    }
}

/// Numbers trained, and FLOPs of a step.
pub static COUNTS: Value<Counts> = Value {
    outputs: &["trained", "flops"],
    against: "a count",
    right: |i| {
        let [n, rows, o, r] = ["N", "I", "O", "R"].map(|name| i.whole(name));
        arrays![r * (rows + o), 4 * n * rows * o + 6 * n * r * (rows + o)]
    },
    tolerance: EXACTLY,
    call: |f, i| {
        let [n, rows, o, r] = ["N", "I", "O", "R"].map(|name| i.whole(name));
        let [trained, flops] = f(n, rows, o, r);
        arrays![trained, flops]
    },
    cases: |draw| {
        let case = |[n, i, o, r]: [u64; 4]| {
            let all = Inputs::default().with("N", n).with("I", i);
            all.with("O", o).with("R", r)
        };
        let mut size = || 3 + draw.below(40) as u64;
        let usual: [[u64; 4]; 4] =
            std::array::from_fn(|_| std::array::from_fn(|_| size()));
        let rare = [
            [1, 1, 1, 1],
            [1, 7, 5, 2],
            [9, 768, 768, 8],
            [5, 6, 8, 2],
            [2, 3, 4, 9],
            [65_537, 8191, 4099, 63],
            // Beyond 2^53, and no multiple of 4: a sum in f64 misses it.
            [1_048_577, 65_538, 131_101, 63],
        ];
        Cases::new(usual.map(case).to_vec(), rare.map(case).to_vec())
    },
    wrong: mistakes::COUNTS,
    symptom: None,
};

/// `V = w + s·a·b`.
fn direct(i: &Inputs) -> Array2<f64> {
    &i.matrix("w") + &(i.matrix("a").dot(&i.matrix("b")) * scale(i))
}

/// Of the columns.
fn lengths(v: &Array2<f64>) -> Array1<f64> {
    v.mapv(|v| v * v).sum_axis(Axis(0)).mapv(f64::sqrt)
}

fn dora(i: &Inputs) -> Array2<f64> {
    let v = direct(i);
    let n = lengths(&v);
    i.matrix("x").dot(&(v / n)) * i.vector("m")
}

/// A layer no column of which is near 0.
fn decomposed(draw: &mut Sampler, shape: [usize; 4]) -> Inputs {
    let [_, _, o, _] = shape;
    loop {
        let i = layer(draw, shape);
        if lengths(&direct(&i)).iter().all(|n| *n > 0.4) {
            return i.with("m", draw.vector(o));
        }
    }
}

const DORA_SHAPES: Shapes<4> = Shapes {
    small: &[
        [1, 2, 1, 1],
        [1, 3, 4, 2],
        [3, 2, 1, 2],
        [2, 3, 4, 1],
        [3, 1, 2, 1],
    ],
    ties: None,
    many: ([9, 12, 10, 9], 1.),
    ..SHAPES
};

fn dora_cases(draw: &mut Sampler, with_dy: bool) -> Cases {
    let case = |draw: &mut Sampler, shape: [usize; 4]| {
        let i = decomposed(draw, shape);
        match with_dy {
            true => i.with("dy", draw.dynamic(&[shape[0], shape[2]])),
            false => i,
        }
    };
    let mut cases = Cases::of(draw, &DORA_SHAPES, case);
    // At the start: b is 0, and m the lengths.
    let start = loop {
        let mut start = case(draw, [4, 3, 2, 2]);
        start.array_mut("b").fill(0.);
        let n = lengths(&direct(&start));
        if n.iter().all(|n| *n > 0.4) {
            start.array_mut("m").assign(&n);
            break start;
        }
    };
    cases.rare.push(start);
    for name in ["x", "m"] {
        let mut i = case(draw, [4, 3, 5, 2]);
        i.array_mut(name).fill(0.);
        cases.rare.push(i);
    }
    let mut fixed = case(draw, [3, 2, 2, 1]);
    fixed
        .array_mut("w")
        .assign(&arr2(&[[3., 0.], [4., -2.]]).into_dyn());
    fixed.array_mut("a").fill(0.);
    cases.rare.push(fixed);
    cases
}

static DORA_FORWARD: Value<Dora> = Value {
    outputs: &["y"],
    against: "x times columns of length m",
    right: |i| arrays![dora(i)],
    tolerance: TOLERANCE,
    call: |f, i| {
        let [x, w, a, b] = ["x", "w", "a", "b"].map(|n| i.matrix(n));
        arrays![f(x, w, a, b, i.vector("m"), i.number("alpha"))]
    },
    cases: |draw| {
        let mut cases = dora_cases(draw, false);
        // Short and long columns: the length is divided out.
        for size in [1e-9, 1e9] {
            let mut i = cases.usual[0][0].clone();
            *i.array_mut("w") *= size;
            *i.array_mut("a") *= size;
            cases.rare.push(i);
        }
        cases
    },
    wrong: mistakes::DORA,
    symptom: None,
};

static DORA_BACK: Vjp<DoraVjp> = Vjp {
    forward: |i| dora(i).into_dyn(),
    cotangent: "dy",
    gradients: &[("dm", "m"), ("db", "b"), ("da", "a"), ("dx", "x")],
    call: |f, i| {
        let [x, w, a, b, dy] = ["x", "w", "a", "b", "dy"].map(|n| i.matrix(n));
        let (m, alpha) = (i.vector("m"), i.number("alpha"));
        let (dx, dm, da, db) = f(x, w, a, b, m, alpha, dy);
        arrays![dm, db, da, dx]
    },
    cases: |draw| dora_cases(draw, true),
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::DORA_VJP,
};

/// Lengths and directions, forward and backward.
pub static DORA: Two<Dora, DoraVjp> = Two(&DORA_FORWARD, &DORA_BACK);

/// The gradients of the factors with the norm of these inputs as a constant.
fn of_factors(i: &Inputs) -> [Array2<f64>; 2] {
    let dw = i.matrix("x").t().dot(&i.matrix("dy"));
    let dv = dw * i.vector("m") / lengths(&direct(i)) * scale(i);
    [dv.dot(&i.matrix("b").t()), i.matrix("a").t().dot(&dv)]
}

/// The factors' gradients where the norm is declared constant: judged by its
/// formula.
pub static NORM_CONSTANT: Value<NormConstant> = Value {
    outputs: &["db", "da"],
    against: "the rule that the task declares",
    right: |i| {
        let [da, db] = of_factors(i);
        arrays![db, da]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let [x, w, a, b, dy] = ["x", "w", "a", "b", "dy"].map(|n| i.matrix(n));
        let (m, alpha) = (i.vector("m"), i.number("alpha"));
        let (da, db) = f(x, w, a, b, m, alpha, dy);
        arrays![db, da]
    },
    cases: |draw| {
        let mut cases = dora_cases(draw, true);
        let mut first = cases.usual[0][0].clone();
        first.array_mut("dy").fill(0.);
        cases.rare.push(first);
        for size in [1e-9, 1e9] {
            let mut i = cases.usual[0][0].clone();
            *i.array_mut("dy") *= size;
            cases.rare.push(i.tiny());
        }
        cases
    },
    wrong: mistakes::NORM_CONSTANT,
    symptom: None,
};

static MENDED: Value<Merged> = Value {
    outputs: &["w"],
    against: "w + (α/R)·a·b",
    right: |i| arrays![direct(i)],
    tolerance: TOLERANCE,
    call: |f, i| {
        let [w, a, b] = ["w", "a", "b"].map(|n| i.matrix(n));
        arrays![f(w, a, b, i.number("alpha"))]
    },
    cases: |draw| {
        let cases = Cases::of(draw, &SHAPES, layer);
        let cases = cases.each(|i| i.without("x"));
        at_extremes(cases, &["w", "a", "b"])
    },
    wrong: mistakes::MERGED,
    symptom: None,
};

/// The planted bug, then a merged weight.
pub static FIND_THE_BUG: Hunt<Merged> = Hunt {
    planted: &RSLORA_SCALE,
    among: NAMES,
    mended: &MENDED,
};
