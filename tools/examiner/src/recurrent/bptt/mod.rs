//! The exam of backpropagation through time.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    BPTT_TRUNCATED, NAMES, OTHER_TRUNCATION, OWN_STEP_FORGOTTEN,
    ROWS_NOT_CONTINUED, SINGLE_PATH, STATE_INDEX_SHIFTED, STATE_NOT_CUT,
};
use crate::judge::{
    Cases, EXACTLY, Hunt, Inputs, Shapes, Special, TOLERANCE, Two, Value, Vjp,
    predict,
};
use crate::verdict::Verdict;
use crate::{Exercise, Sampler, arrays};
use backprop::network::optimizer::clip;
use backprop::recurrent::bptt::{self, Gradients};
use ndarray::{
    Array1, Array2, Array3, ArrayD, ArrayView1, ArrayView2, ArrayView3, Axis,
    Ix3, s,
};

/// The exercise of backpropagation through time.
pub const EXERCISE: Exercise = Exercise {
    slug: "recurrent/bptt",
    title: "Backpropagation through time",
    minutes: 80,
    tasks: tasks::TASKS,
    names: NAMES,
};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;
type T<'a> = ArrayView3<'a, f64>;

/// `fn(x, w_x, w_h, b, h0) -> h`.
pub type Forward = fn(T, M, M, V, M) -> Array3<f64>;

/// `fn(x, w_x, w_h, h0, h, dh) -> Gradients`.
pub type Backward = fn(T, M, M, M, T, T) -> Gradients;

/// `fn(x, w_x, w_h, b, h0, k, dh) -> Gradients`.
pub type Chunked = fn(T, M, M, V, M, usize, T) -> Gradients;

/// `fn(x, w_x, w_h, b, h0, dy) -> Gradients`.
pub type BothWaysVjp = fn(T, M, M, V, M, T) -> Gradients;

/// `fn(w, b, dw, db, most, lr) -> (w, b)`.
pub type ClippedStep = fn(M, V, M, V, f64, f64) -> (Array2<f64>, Array1<f64>);

/// `fn(t, k) -> (in chunks, in windows)`.
pub type StepsBack = fn(u64, u64) -> (u64, u64);

/// `fn(w, h0, h, dh) -> (dw, dx, dh0)`.
pub type OwnWeights = fn(V, M, T, T) -> (Array1<f64>, Array3<f64>, Array2<f64>);

/// A derivative, what reaches what in chunks and in windows, where two rows of
/// a batch go on, what is always true.
pub type Before = (
    Option<i64>,
    Option<[bool; 4]>,
    Option<[bool; 4]>,
    Option<[usize; 2]>,
    Option<[bool; 4]>,
);

/// Five predictions, in this order.
pub static BEFORE_CODING: Special<Before> = Special(before_coding);

fn before_coding(
    (total, in_chunks, in_windows, rows, truths): Before,
    _seed: u64,
) -> Verdict {
    let why = "Each use of w adds a term: 6 + 2·3 + 4·1. A chunk keeps what \
               lies in it, a window what lies close to the loss. Each row \
               reads its own half of the text. A norm below 1 shrinks at every \
               step, a spectral radius below 1 only in the long run, and tanh \
               may tame one above 1. One factor for all numbers keeps the \
               direction.";
    let passed = |v: &Verdict| matches!(v, Verdict::Passed { .. });
    let (chunks, windows) =
        ([true, false, false, true], [true, true, false, true]);
    let verdicts = [
        predict(
            "the derivative of h_3 with respect to w",
            total,
            16,
            &[
                (6, &BPTT_TRUNCATED),
                (4, &SINGLE_PATH),
                (37, &STATE_INDEX_SHIFTED),
            ],
            why,
        ),
        predict(
            "which losses reach which uses in chunks of 3",
            in_chunks,
            chunks,
            &[(windows, &OTHER_TRUNCATION), ([true; 4], &STATE_NOT_CUT)],
            why,
        ),
        predict(
            "which losses reach which uses in windows of 3",
            in_windows,
            windows,
            &[
                (chunks, &OTHER_TRUNCATION),
                ([true; 4], &OWN_STEP_FORGOTTEN),
            ],
            why,
        ),
        predict(
            "where the two rows of the second batch begin",
            rows,
            [3, 15],
            &[
                ([6, 9], &ROWS_NOT_CONTINUED),
                ([3, 6], &ROWS_NOT_CONTINUED),
                ([3, 12], &ROWS_NOT_CONTINUED),
            ],
            why,
        ),
        predict(
            "which of the four sentences are true",
            truths,
            [true, false, false, true],
            &[],
            why,
        ),
    ];
    let mut verdicts = verdicts.into_iter();
    let failed = verdicts.clone().find(|v| !passed(v));
    failed.unwrap_or_else(|| verdicts.next_back().expect("five"))
}

/// An input with three axes.
fn steps<'i>(i: &'i Inputs, name: &str) -> T<'i> {
    let view = i.array(name).view().into_dimensionality::<Ix3>();
    view.unwrap_or_else(|_| panic!("{name} has not three axes"))
}

/// The cotangents of all states.
///
/// They are drawn as (T·B,H), a row for each step and text. The judge knows a
/// gradient to which only the last slice of the cotangent has come as
/// [`GRAD_OVERWRITTEN`](crate::general::GRAD_OVERWRITTEN); were a slice a step,
/// that would be what [`mistakes::LOCAL_COTANGENT_LOST`] gives.
fn cotangents(i: &Inputs) -> Array3<f64> {
    let (t, b, _) = steps(i, "x").dim();
    let dh = i.matrix("dh").as_standard_layout().into_owned();
    let shape = (t, b, dh.ncols());
    dh.into_shape_with_order(shape).expect("a row for each")
}

/// States as the cotangents are drawn.
fn rows(h: Array3<f64>) -> ArrayD<f64> {
    let (t, b, units) = h.dim();
    let rows = h.as_standard_layout().into_owned();
    let rows = rows.into_shape_with_order((t * b, units));
    rows.expect("a row for each").into_dyn()
}

/// The states of this text, read by the layer of these inputs.
fn read(i: &Inputs, x: T, h0: M) -> Array3<f64> {
    bptt::forward(x, i.matrix("w_x"), i.matrix("w_h"), i.vector("b"), h0)
}

/// All states.
fn states(i: &Inputs) -> Array3<f64> {
    read(i, steps(i, "x"), i.matrix("h0"))
}

/// The same inputs, the cotangent 0 in the steps that `keep` does not keep.
fn silent(i: &Inputs, keep: impl Fn(usize) -> bool) -> Inputs {
    let (mut i, texts) = (i.clone(), steps(i, "x").dim().1);
    let dh = i.array_mut("dh");
    for (row, mut dh) in dh.outer_iter_mut().enumerate() {
        if !keep(row / texts) {
            dh.fill(0.);
        }
    }
    i
}

/// Steps, batch, inputs, units.
const SHAPES: Shapes<4> = Shapes {
    usual: &[[4, 3, 2, 5], [5, 2, 3, 4], [3, 3, 3, 3], [2, 2, 2, 2]],
    small: &[
        [1, 1, 1, 1],
        [1, 3, 2, 4],
        [2, 1, 3, 2],
        [4, 2, 1, 1],
        [6, 1, 1, 1],
    ],
    ties: Some([4, 3, 2, 5]),
    many: ([11, 9, 10, 12], 1.),
};

/// One network and its text. The cotangent comes first: what is moved a little
/// to see whether an answer remembers must not move the states.
fn network(draw: &mut Sampler, [t, b, i, h]: [usize; 4]) -> Inputs {
    // States of which some are near the ends, and steps that neither explode
    // nor die out.
    let size = 0.9 / (h as f64).sqrt();
    let inputs = draw.inputs(&[("dh", &[t * b, h]), ("x", &[t, b, i])]);
    let inputs = inputs.with("w_x", draw.matrix(i, h) * 0.6);
    let inputs = inputs.with("w_h", draw.matrix(h, h) * size);
    let inputs = inputs.with("b", draw.vector(h) * 0.4);
    inputs.with("h0", draw.matrix(b, h) * 0.5)
}

/// States near their ends, states at them to the last bit, and a loss at one
/// step alone: the first, one in the middle, the last.
fn saturated(mut cases: Cases) -> Cases {
    let first = cases.usual[0][0].clone();
    let mut large = first.clone();
    *large.array_mut("x") *= 3.;
    let mut at_the_end = first.clone();
    at_the_end.array_mut("b").mapv_inplace(|b| b.signum() * 40.);
    cases.rare.extend([large, at_the_end]);
    let (t, ..) = steps(&first, "x").dim();
    for only in [0, 1, t - 1] {
        cases.rare.push(silent(&first, |step| step == only));
    }
    cases
}

fn networks(draw: &mut Sampler) -> Cases {
    saturated(Cases::of(draw, &SHAPES, network))
}

/// All states.
pub static FORWARD: Value<Forward> = Value {
    outputs: &["h"],
    against: "its formula",
    right: |i| arrays![states(i)],
    tolerance: TOLERANCE,
    call: |f, i| {
        let (w_x, w_h, h0) = (i.matrix("w_x"), i.matrix("w_h"), i.matrix("h0"));
        arrays![f(steps(i, "x"), w_x, w_h, i.vector("b"), h0)]
    },
    cases: |draw| {
        let mut cases = networks(draw);
        for size in [10., 1e3] {
            let mut i = cases.usual[0][0].clone();
            *i.array_mut("x") *= size;
            cases.rare.push(i);
        }
        // States so small that tanh is hardly felt.
        let mut small = cases.usual[0][0].clone();
        for name in ["x", "b", "h0"] {
            *small.array_mut(name) *= 1e-4;
        }
        cases.rare.push(small);
        cases.each(|i| i.without("dh"))
    },
    wrong: mistakes::FORWARD,
    symptom: None,
};

/// In backward order; each is a sum of what the walk back gives.
const GRADIENTS: &[(&str, &str)] = &[
    ("dx", "x"),
    ("dw_x", "w_x"),
    ("dw_h", "w_h"),
    ("db", "b"),
    ("dh0", "h0"),
];

fn in_order(d: Gradients) -> Vec<ArrayD<f64>> {
    arrays![d.dx, d.dw_x, d.dw_h, d.db, d.dh0]
}

/// Its backward pass.
pub static VJP: Vjp<Backward> = Vjp {
    forward: |i| rows(states(i)),
    cotangent: "dh",
    gradients: GRADIENTS,
    call: |f, i| {
        let (w_x, w_h, h0) = (i.matrix("w_x"), i.matrix("w_h"), i.matrix("h0"));
        let h = states(i);
        let (x, dh) = (steps(i, "x"), cotangents(i));
        in_order(f(x, w_x, w_h, h0, h.view(), dh.view()))
    },
    cases: networks,
    batch: Some(|i| i.matrix("h0").nrows()),
    wrong: mistakes::VJP,
};

/// The states where every chunk begins from what `before` says the state before
/// it is: a constant, if it is.
fn in_chunks(
    i: &Inputs,
    starts: &[usize],
    before: impl Fn(usize) -> Array2<f64>,
) -> Array3<f64> {
    let (x, h0) = (steps(i, "x"), i.matrix("h0"));
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(x.dim().0);
        let first = match start {
            0 => h0.to_owned(),
            _ => before(*start),
        };
        let part = read(i, x.slice(s![*start..end, .., ..]), first.view());
        h.slice_mut(s![*start..end, .., ..]).assign(&part);
    }
    h
}

/// Where the chunks of a case begin.
fn starts(i: &Inputs) -> Vec<usize> {
    let k = i.whole("k") as usize;
    (0..steps(i, "x").dim().0).step_by(k).collect()
}

/// The state before a step, as it was when the case was drawn.
fn carried(i: &Inputs, start: usize) -> Array2<f64> {
    steps(i, "h").index_axis(Axis(0), start - 1).to_owned()
}

/// A network, the length of its chunks, and the states that are carried.
fn chunk_cases(draw: &mut Sampler) -> Cases {
    const SIZES: Shapes<4> = Shapes {
        usual: &[
            [5, 2, 3, 4],
            [6, 3, 2, 2],
            [4, 2, 2, 3],
            [7, 1, 2, 3],
            [3, 3, 3, 3],
        ],
        small: &[[1, 1, 1, 1], [1, 2, 3, 2], [4, 2, 1, 1], [6, 1, 2, 1]],
        ties: Some([5, 3, 2, 4]),
        many: ([11, 9, 10, 12], 1.),
    };
    let mut cases = saturated(Cases::of(draw, &SIZES, |draw, sizes| {
        // Chunks of 2 where their last is short, of 3 where there are two.
        let k = if sizes[0].is_multiple_of(3) { 3 } else { 2 };
        network(draw, sizes).shown("k", k as f64, format!("k = {k}"))
    }));
    for k in [1, 2, 3, 5, 9] {
        let i = network(draw, [5, 2, 3, 4]);
        cases.rare.push(i.shown("k", k as f64, format!("k = {k}")));
    }
    cases.each(|i| {
        let h = states(&i);
        i.shown("h", h, "")
    })
}

/// Backpropagation truncated in chunks.
pub static CHUNKED: Vjp<Chunked> = Vjp {
    forward: |i| rows(in_chunks(i, &starts(i), |s| carried(i, s))),
    cotangent: "dh",
    gradients: GRADIENTS,
    call: |f, i| {
        let (w_x, w_h, h0) = (i.matrix("w_x"), i.matrix("w_h"), i.matrix("h0"));
        let (x, b, dh) = (steps(i, "x"), i.vector("b"), cotangents(i));
        in_order(f(x, w_x, w_h, b, h0, i.whole("k") as usize, dh.view()))
    },
    cases: chunk_cases,
    batch: Some(|i| i.matrix("h0").nrows()),
    wrong: mistakes::CHUNKED,
};

/// An array with its first axis turned round.
fn reversed(a: T) -> Array3<f64> {
    a.slice(s![..;-1, .., ..]).to_owned()
}

/// The states of the text, and those of the text read from its end, in the
/// order in which they were read.
fn two_readings(i: &Inputs) -> [Array3<f64>; 2] {
    let from_the_end = reversed(steps(i, "x"));
    let of = |x: T| read(i, x, i.matrix("h0"));
    [of(steps(i, "x")), of(from_the_end.view())]
}

static BOTH_WAYS_FORWARD: Value<Forward> = Value {
    outputs: &["y"],
    against: "its formula",
    right: |i| {
        let [to_end, to_start] = two_readings(i);
        arrays![to_end + reversed(to_start.view())]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (w_x, w_h, h0) = (i.matrix("w_x"), i.matrix("w_h"), i.matrix("h0"));
        arrays![f(steps(i, "x"), w_x, w_h, i.vector("b"), h0)]
    },
    cases: |draw| networks(draw).each(|i| i.without("dh")),
    wrong: mistakes::BOTH_WAYS,
    symptom: None,
};

static BOTH_WAYS_VJP: Vjp<BothWaysVjp> = Vjp {
    forward: |i| {
        let [to_end, to_start] = two_readings(i);
        rows(to_end + reversed(to_start.view()))
    },
    cotangent: "dh",
    gradients: GRADIENTS,
    call: |f, i| {
        let (w_x, w_h, h0) = (i.matrix("w_x"), i.matrix("w_h"), i.matrix("h0"));
        let (x, b, dy) = (steps(i, "x"), i.vector("b"), cotangents(i));
        in_order(f(x, w_x, w_h, b, h0, dy.view()))
    },
    cases: networks,
    batch: Some(|i| i.matrix("h0").nrows()),
    wrong: mistakes::BOTH_WAYS_VJP,
};

/// A text read from both ends, forward and backward.
pub static BOTH_WAYS: Two<Forward, BothWaysVjp> =
    Two(&BOTH_WAYS_FORWARD, &BOTH_WAYS_VJP);

/// What a step gives that multiplies the gradients with these factors.
fn step(i: &Inputs, of_w: f64, of_b: f64) -> (Array2<f64>, Array1<f64>) {
    let lr = i.number("lr");
    let w = &i.matrix("w") - &(&i.matrix("dw") * (lr * of_w));
    (w, &i.vector("b") - &(&i.vector("db") * (lr * of_b)))
}

/// The sums of squares of both gradients.
fn squares(i: &Inputs) -> [f64; 2] {
    ["dw", "db"].map(|name| i.array(name).iter().map(|v| v * v).sum())
}

/// A step along two gradients that are clipped together.
pub static CLIPPED_STEP: Value<ClippedStep> = Value {
    outputs: &["w", "b"],
    against: "its formula",
    right: |i| {
        let all = ndarray::arr1(&squares(i));
        let factor = clip(all.view(), i.number("most"));
        let (w, b) = step(i, factor, factor);
        arrays![w, b]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (w, b) = (i.matrix("w"), i.vector("b"));
        let (dw, db) = (i.matrix("dw"), i.vector("db"));
        let (w, b) = f(w, b, dw, db, i.number("most"), i.number("lr"));
        arrays![w, b]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, [i, o]: [usize; 2], most: f64| {
            let of = draw.inputs(&[
                ("w", &[i, o]),
                ("b", &[o]),
                ("dw", &[i, o]),
                ("db", &[o]),
            ]);
            of.with("most", most).with("lr", 0.1)
        };
        // Both gradients above the limit, one of them, neither but both
        // together; then one that needs no clipping.
        let mut usual = vec![case(draw, [3, 4], 0.5)];
        for both in [false, true] {
            let mut i = case(draw, [3, 4], 1.);
            let [w, b] = squares(&i);
            let ends = match both {
                false => [w.min(b), w.max(b)],
                true => [w.max(b), w + b],
            };
            let most = ends.iter().map(|s| s.sqrt()).sum::<f64>() / 2.;
            i.array_mut("most").fill((most * 100.).round() / 100.);
            usual.push(i);
        }
        // A norm on the other side of the limit than its square.
        for (most, norm) in [(0.25, 0.4), (4., 3.)] {
            let mut i = case(draw, [3, 2], most);
            let of = norm / squares(&i).iter().sum::<f64>().sqrt();
            *i.array_mut("dw") *= of;
            *i.array_mut("db") *= of;
            usual.push(i);
        }
        usual.push(case(draw, [2, 5], 40.));
        usual.push(case(draw, [3, 3], 30.));
        let mut rare = vec![
            case(draw, [1, 1], 0.1),
            case(draw, [9, 11], 3.),
            case(draw, [300, 2], 1.),
        ];
        // A norm of exactly the limit, and gradients of nothing.
        let five = Inputs::default()
            .with("w", Array2::from_elem((1, 2), 0.5))
            .with("b", Array1::from_elem(2, -1.))
            .with("dw", ndarray::arr2(&[[3., 0.]]))
            .with("db", ndarray::arr1(&[0., -4.]))
            .with("most", 5.)
            .with("lr", 0.5);
        for name in ["dw", "db"] {
            let mut zero = case(draw, [3, 4], 0.5);
            zero.array_mut(name).fill(0.);
            rare.push(zero.clone());
            if name == "db" {
                zero.array_mut("dw").fill(0.);
                rare.push(zero);
            }
        }
        // Far too large, and far too small to be clipped.
        for size in [1e6, 1e-6] {
            let mut i = case(draw, [3, 4], 1.);
            *i.array_mut("dw") *= size;
            *i.array_mut("db") *= size;
            rare.push(i);
        }
        rare.push(five);
        Cases::new(usual, rare)
    },
    wrong: mistakes::CLIPPED,
    symptom: None,
};

/// How many steps the windows of `t` losses walk.
fn in_windows(t: u64, k: u64) -> u64 {
    let k = k.min(t);
    k * (k + 1) / 2 + (t - k) * k
}

/// Counts of steps that are walked back.
pub static STEPS_BACK: Value<StepsBack> = Value {
    outputs: &["in_chunks", "in_windows"],
    against: "a count of every step",
    right: |i| {
        let (t, k) = (i.whole("t"), i.whole("k"));
        arrays![t, in_windows(t, k)]
    },
    tolerance: EXACTLY,
    call: |f, i| {
        let (chunks, windows) = f(i.whole("t"), i.whole("k"));
        arrays![chunks, windows]
    },
    cases: |_| {
        let case = |[t, k]: [u64; 2]| {
            Inputs::default().with("t", t as f64).with("k", k as f64)
        };
        let usual = [[7, 3], [10, 4], [6, 2], [9, 5], [12, 7]];
        let rare = [
            [1, 1],
            [5, 1],
            [5, 5],
            [5, 8],
            [1, 6],
            [2, 2],
            [1000, 35],
            [9_000_001, 3],
            [3_000_001, 1_000_001],
        ];
        Cases::new(usual.map(case).to_vec(), rare.map(case).to_vec())
    },
    wrong: mistakes::STEPS,
    symptom: None,
};

/// `h_t = w ⊙ h_{t-1} + x_t`, every unit by itself.
fn own_weights(i: &Inputs) -> Array3<f64> {
    let mut before = i.matrix("h0").to_owned();
    let mut h = steps(i, "x").to_owned();
    for mut h in h.outer_iter_mut() {
        h += &(&before * &i.vector("w"));
        before.assign(&h);
    }
    h
}

static MENDED: Vjp<OwnWeights> = Vjp {
    forward: |i| rows(own_weights(i)),
    cotangent: "dh",
    gradients: &[("dx", "x"), ("dw", "w"), ("dh0", "h0")],
    call: |f, i| {
        let h = own_weights(i);
        let (w, h0, dh) = (i.vector("w"), i.matrix("h0"), cotangents(i));
        let (dw, dx, dh0) = f(w, h0, h.view(), dh.view());
        arrays![dx, dw, dh0]
    },
    cases: |draw| {
        let shapes = Shapes {
            usual: &[[3, 1, 2], [4, 3, 2], [3, 2, 4], [3, 3, 3], [2, 2, 2]],
            small: &[[1, 1, 1], [1, 2, 3], [5, 1, 1]],
            ties: Some([4, 3, 2]),
            many: ([11, 9, 10], 1.),
        };
        Cases::of(draw, &shapes, |draw, [t, b, h]| {
            let i = draw.inputs(&[("dh", &[t * b, h]), ("x", &[t, b, h])]);
            let i = i.with("w", draw.vector(h) * 0.5);
            i.with("h0", draw.matrix(b, h))
        })
    },
    batch: Some(|i| i.matrix("h0").nrows()),
    wrong: mistakes::HUNT,
};

/// The planted bug, then the mended backward.
pub static FIND_THE_BUG: Hunt<OwnWeights> = Hunt {
    planted: &STATE_INDEX_SHIFTED,
    among: NAMES,
    mended: &MENDED,
};
