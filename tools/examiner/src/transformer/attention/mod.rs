//! The exam of attention.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    CAUSAL_ALIGNMENT, GQA_TILED, MASK_FULL_ROW, MASK_INVERTED, MASK_OFF_BY_ONE,
    NAMES, SCALE_OF_MODEL_WIDTH,
};
use crate::judge::{
    Cases, Hunt, Inputs, Observation, Shapes, Special, TOLERANCE, Two, Value,
    Vjp, close, predict,
};
use crate::verdict::Verdict;
use crate::{Exercise, Mistake, Sampler, arrays};
use backprop::network::softmax_cross_entropy as softmax;
use backprop::transformer::attention;
use ndarray::{Array2, ArrayView2, Axis, CowArray, arr2, concatenate, s};
use std::ops::Range;

/// The exercise of attention.
pub const EXERCISE: Exercise = Exercise {
    slug: "transformer/attention",
    title: "Attention",
    minutes: 90,
    tasks: tasks::TASKS,
    names: NAMES,
};

type M<'a> = ArrayView2<'a, f64>;

/// `fn(q, k, v) -> (y, p)`.
pub type Forward = fn(M, M, M) -> (Array2<f64>, Array2<f64>);

/// `fn(q, k, v, p, dy) -> (dq, dk, dv)`.
pub type HeadVjp = fn(M, M, M, M, M) -> (Array2<f64>, Array2<f64>, Array2<f64>);

/// `fn(q, kv, heads, keys) -> y`.
pub type Grouped = fn(M, M, usize, usize) -> Array2<f64>;

/// `fn(q, kv, heads, keys, dy) -> (dq, dkv)`.
pub type GroupedVjp = fn(M, M, usize, usize, M) -> (Array2<f64>, Array2<f64>);

/// `fn(x, m, [wq, wk, wv, wo], dy) -> (dx, dm, [dwq, dwk, dwv, dwo])`.
pub type CrossVjp =
    fn(M, M, [M; 4], M) -> (Array2<f64>, Array2<f64>, [Array2<f64>; 4]);

/// `fn(q, k, v, heads) -> y`.
pub type SideBySide = fn(M, M, M, usize) -> Array2<f64>;

/// Who reads which keys, how many keys are seen, what is always true.
pub type Before = (Option<[usize; 6]>, Option<[usize; 3]>, Option<[bool; 4]>);

/// Three predictions, in this order.
pub static BEFORE_CODING: Special<Before> = Special(before_coding);

fn before_coding((reads, seen, truths): Before, _seed: u64) -> Verdict {
    let why = "Neighbours share a key head. The newest query stands at the end \
               of the text and sees all of it. Rows of dS sum to 0, so what \
               all keys have in common gets no gradient; rows of P sum to 1, \
               so what all values have in common gets Σ dO, wherever the \
               queries look. The first query has one key to look at and no \
               choice; the last key is seen by the last query, which has \
               others.";
    let passed = |v: &Verdict| matches!(v, Verdict::Passed { .. });
    let reads = predict(
        "which head of keys each of six query heads reads",
        reads,
        [0, 0, 0, 1, 1, 1],
        &[([0, 1, 0, 1, 0, 1], &GQA_TILED)],
        why,
    );
    if !passed(&reads) {
        return reads;
    }
    let seen = predict(
        "how many of seven keys each of the three newest queries sees",
        seen,
        [5, 6, 7],
        &[
            ([1, 2, 3], &CAUSAL_ALIGNMENT),
            ([4, 5, 6], &MASK_OFF_BY_ONE),
            ([6, 7, 7], &MASK_OFF_BY_ONE),
            ([6, 7, 8], &MASK_OFF_BY_ONE),
            ([7, 7, 7], &mistakes::MASK_FORGOTTEN),
            ([3, 2, 1], &MASK_INVERTED),
            ([2, 1, 0], &MASK_INVERTED),
        ],
        why,
    );
    if !passed(&seen) {
        return seen;
    }
    predict(
        "which of the four sentences are true",
        truths,
        [true, false, true, false],
        &[],
        why,
    )
}

/// Queries, keys, width of queries and keys, width of values. A case has a
/// mask if its numbers allow it and their sum is even.
const SHAPES: Shapes<4> = Shapes {
    usual: &[
        [3, 5, 2, 6],
        [5, 3, 6, 2],
        [2, 6, 5, 3],
        [3, 3, 3, 3],
        [2, 2, 2, 2],
        [4, 5, 3, 2],
    ],
    small: &[[1, 1, 1, 1], [1, 3, 2, 2], [3, 1, 2, 3], [2, 3, 1, 1]],
    ties: Some([4, 3, 2, 5]),
    many: ([9, 12, 10, 11], 1.),
};

fn one_head(draw: &mut Sampler, [t, n, d, e]: [usize; 4]) -> Inputs {
    draw.inputs(&[("q", &[t, d]), ("k", &[n, d]), ("v", &[n, e])])
}

/// `(y, p)` of one head, with its mask if the case has one.
fn head(i: &Inputs) -> (Array2<f64>, Array2<f64>) {
    if i.has("causal") && i.flag("causal") {
        return causal(i);
    }
    attention::forward(i.matrix("q"), i.matrix("k"), i.matrix("v"), false)
}

/// Scores of every size: one key takes all, or nearly all.
fn certain(mut cases: Cases) -> Cases {
    let first = cases.usual[0][0].clone();
    for size in [3., 10., 1e4, -1e4, 1e12] {
        let mut i = first.clone();
        *i.array_mut("q") *= size;
        cases.rare.push(i);
    }
    // All scores so low that their exponentials are 0.
    let low = Inputs::default().with("q", arr2(&[[1., 0.5]]));
    let low = low.with("k", arr2(&[[-2e3, 0.3], [-2001., 1.]]));
    cases
        .rare
        .push(low.with("v", arr2(&[[0.5, -1.], [2., 0.3]])));
    let three = |keys: [f64; 3]| {
        let [a, b, c] = keys;
        let i = Inputs::default().with("q", arr2(&[[1., 0.5], [1., -0.5]]));
        let i = i.with("k", arr2(&[[a, 0.3], [b, 1.], [c, 0.1]]));
        i.with("v", arr2(&[[0.5, -1.], [2., 0.3], [-3., 1.5]]))
    };
    // Keys that a mask hides, far above those that it shows, and far below;
    // then all scores far below 0, those that it hides as well.
    let far = [1e5, 1e7, 1e10, 1e13, -1e13].map(|far| three([0., 0.5, far]));
    let low =
        [2e3, 1e6, 1e12].map(|low| three([-low, -1.001 * low, -1.002 * low]));
    cases.rare.extend(far.into_iter().chain(low));
    // A key with hardly any attention, and a value that is felt all the same.
    for gap in [15., 18., 20., 25.] {
        cases.rare.push(faint(gap));
    }
    cases
}

/// A key whose score lies that far below the other's, and whose value is as
/// large as its probability is small.
fn faint(gap: f64) -> Inputs {
    let (far, large) = (gap * 2f64.sqrt(), gap.exp().round());
    let i = Inputs::default().with("q", arr2(&[[1., 0.], [1., 1.]]));
    let i = i.with("k", arr2(&[[0., 0.3], [-far, 0.]]));
    i.with("v", arr2(&[[0.5, -1.], [large, 2. * large]]))
}

/// One head.
pub static FORWARD: Value<Forward> = Value {
    outputs: &["p", "y"],
    against: "softmax(q·kᵀ/√d), and p·v",
    right: |i| {
        let (y, p) = head(i);
        arrays![p, y]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (y, p) = f(i.matrix("q"), i.matrix("k"), i.matrix("v"));
        arrays![p, y]
    },
    cases: |draw| certain(Cases::of(draw, &SHAPES, one_head)),
    wrong: mistakes::FORWARD,
    symptom: None,
};

/// Its backward pass, with a mask in every second case that can have one.
pub static VJP: Vjp<HeadVjp> = Vjp {
    forward: |i| head(i).0.into_dyn(),
    cotangent: "dy",
    gradients: &[("dv", "v"), ("dq", "q"), ("dk", "k")],
    call: |f, i| {
        let (q, k, v) = (i.matrix("q"), i.matrix("k"), i.matrix("v"));
        let (_, p) = head(i);
        let (dq, dk, dv) = f(q, k, v, p.view(), i.matrix("dy"));
        arrays![dv, dq, dk]
    },
    cases: |draw| {
        let mut cases = Cases::of(draw, &SHAPES, |draw, shape| {
            let [t, n, d, e] = shape;
            let causal = t <= n && (t + n + d + e) % 2 == 0;
            let text = if causal { "p is causal" } else { "" };
            let i = one_head(draw, shape);
            let i = i.shown("causal", f64::from(causal), text);
            i.with("dy", draw.dynamic(&[t, e]))
        });
        for gap in [10., 15., 18.] {
            cases
                .rare
                .push(faint(gap).with("dy", draw.dynamic(&[2, 2])));
        }
        // Queries that see nothing: their rows of p are 0.
        for shape in [[4, 2, 3, 2], [3, 1, 2, 3]] {
            let i = one_head(draw, shape);
            let i = i.shown("causal", 1., "p is causal");
            cases
                .rare
                .push(i.with("dy", draw.dynamic(&[shape[0], shape[3]])));
        }
        cases
    },
    batch: None,
    wrong: mistakes::VJP,
};

/// `(y, p)` of one head with a mask, zeros where nothing is seen.
fn causal(i: &Inputs) -> (Array2<f64>, Array2<f64>) {
    let (q, k, v) = (i.matrix("q"), i.matrix("k"), i.matrix("v"));
    let blind = q.nrows().saturating_sub(k.nrows());
    let seeing = q.slice(s![blind.., ..]);
    let (y, p) = attention::forward(seeing, k, v, true);
    let below = |a: Array2<f64>| {
        let zeros = Array2::zeros((blind, a.ncols()));
        concatenate![Axis(0), zeros, a]
    };
    (below(y), below(p))
}

/// One head with a mask.
pub static CAUSAL: Value<Forward> = Value {
    outputs: &["p", "y"],
    against: "its formula",
    right: |i| {
        let (y, p) = causal(i);
        arrays![p, y]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (y, p) = f(i.matrix("q"), i.matrix("k"), i.matrix("v"));
        arrays![p, y]
    },
    cases: |draw| certain(Cases::of(draw, &SHAPES, one_head)),
    wrong: mistakes::CAUSAL,
    symptom: Some(not_finite),
};

/// A row that sees nothing has become NaN: that which the task speaks of, or,
/// if the mask is the other way round, the last.
fn not_finite(seen: &[Observation]) -> Option<&'static Mistake> {
    let wild = |o: &Observation, row: usize| {
        o.got.as_ref().is_ok_and(|g| {
            g.shape() == o.expected.shape()
                && g.index_axis(Axis(0), row).iter().any(|v| v.is_nan())
        })
    };
    let rows = |o: &Observation| o.expected.shape()[0];
    let last = |o: &&Observation| rows(o) > 0 && wild(o, rows(o) - 1);
    let blind = |o: &Observation| {
        let keys = o.inputs.matrix("k").nrows();
        rows(o).saturating_sub(keys)
    };
    let first = |o: &&Observation| blind(o) > 0 && wild(o, 0);
    let many = |o: &&Observation| o.inputs.matrix("k").nrows() > 1;
    if seen.iter().filter(many).all(|o| last(&o)) {
        return Some(&MASK_INVERTED);
    }
    let is_right =
        |o: &Observation| o.got.as_ref().is_ok_and(|g| close(g, &o.expected));
    let right_elsewhere = seen.iter().all(|o| blind(o) > 0 || is_right(o));
    (right_elsewhere && seen.iter().any(|o| first(&o)))
        .then_some(&MASK_FULL_ROW)
}

/// The columns of each of `n` equal blocks.
fn blocks(columns: usize, n: usize) -> impl Iterator<Item = Range<usize>> {
    let width = columns / n;
    (0..n).map(move |k| k * width..(k + 1) * width)
}

/// How a layer of several heads is made: right, or with one thing wrong.
struct Layer {
    heads: usize,
    keys: usize,
    /// What scores are divided by.
    scale: f64,
    /// Heads take turns at the keys.
    tiled: bool,
    /// All keys are stored before all values.
    keys_first: bool,
    /// Heads are written one after another.
    in_blocks: bool,
    /// Which keys a head reads is right, and their gradients are handed out
    /// in turn: what `kv` was.
    handed_in_turn: Option<Array2<f64>>,
}

impl Layer {
    fn of(i: &Inputs) -> Self {
        let heads = i.whole("heads") as usize;
        Self {
            heads,
            keys: i.whole("keys") as usize,
            scale: (i.matrix("q").ncols() as f64 / heads as f64).sqrt(),
            tiled: false,
            keys_first: false,
            in_blocks: false,
            handed_in_turn: None,
        }
    }
}

/// `kv` with all keys before all values, from where they lie head by head.
fn joined(i: &Inputs, kv: M) -> Array2<f64> {
    let layer = Layer::of(i);
    let d = i.matrix("q").ncols() / layer.heads;
    let part = |values: bool| {
        let cut = |at: Range<usize>| match values {
            false => kv.slice(s![.., at.start..at.start + d]).to_owned(),
            true => kv.slice(s![.., at.start + d..at.end]).to_owned(),
        };
        let parts: Vec<_> = blocks(kv.ncols(), layer.keys).map(cut).collect();
        let parts: Vec<_> = parts.iter().map(|p| p.view()).collect();
        concatenate(Axis(1), &parts).expect("as many rows")
    };
    concatenate![Axis(1), part(false), part(true)]
}

/// `y` of several heads that share keys.
fn grouped(i: &Inputs, l: &Layer) -> Array2<f64> {
    let (q, kv) = (i.matrix("q"), i.matrix("kv"));
    let (d, both) = (q.ncols() / l.heads, kv.ncols() / l.keys);
    let (t, e) = (q.nrows(), both - d);
    // All heads one below the other.
    let mut y = Array2::zeros((l.heads * t, e));
    for h in 0..l.heads {
        let g = match l.tiled {
            true => h % l.keys,
            false => h * l.keys / l.heads,
        };
        let (of_k, of_v) = match l.keys_first {
            true => (g * d, l.keys * d + g * e),
            false => (g * both, g * both + d),
        };
        let q = q.slice(s![.., h * d..(h + 1) * d]);
        let mut k = CowArray::from(kv.slice(s![.., of_k..of_k + d]));
        let mut v = CowArray::from(kv.slice(s![.., of_v..of_v + e]));
        if let Some(was) = &l.handed_in_turn {
            // Moved as the keys are that come next.
            let at = h % l.keys * both;
            let moved = &kv - was;
            let (of_k, of_v) = (at..at + d, at + d..at + both);
            k = (&k - &moved.slice(s![.., g * both..g * both + d])
                + moved.slice(s![.., of_k]))
            .into();
            v = (&v - &moved.slice(s![.., g * both + d..(g + 1) * both])
                + moved.slice(s![.., of_v]))
            .into();
        }
        let p = softmax::forward((q.dot(&k.t()) / l.scale).view());
        y.slice_mut(s![h * t..(h + 1) * t, ..]).assign(&p.dot(&v));
    }
    if l.in_blocks {
        let cut = y.into_shape_with_order((t, l.heads * e));
        return cut.expect("as many numbers");
    }
    Array2::from_shape_fn((t, l.heads * e), |(i, c)| y[[c / e * t + i, c % e]])
}

/// Queries, keys, width of queries, width of values, and how many heads.
const GROUPS: [[usize; 6]; 5] = [
    [3, 4, 2, 3, 4, 2],
    [2, 3, 3, 2, 6, 2],
    [4, 2, 2, 3, 6, 3],
    [2, 2, 2, 2, 4, 2],
    [3, 3, 2, 2, 4, 2],
];

fn group(draw: &mut Sampler, [t, n, d, e, h, g]: [usize; 6]) -> Inputs {
    let i = draw.inputs(&[("q", &[t, h * d]), ("kv", &[n, g * (d + e)])]);
    let i = i.shown("heads", h, format!("heads = {h}"));
    let i = i.shown("keys", g, format!("keys = {g}"));
    i.with("dy", draw.dynamic(&[t, h * e]))
}

fn group_cases(draw: &mut Sampler) -> Cases {
    let usual = GROUPS.map(|shape| group(draw, shape)).to_vec();
    // One query, one key, one head, one column of each, many of all.
    let rare = [
        [1, 3, 2, 2, 4, 2],
        [3, 1, 2, 2, 4, 2],
        [1, 1, 1, 1, 1, 1],
        [2, 3, 1, 1, 2, 1],
        [3, 4, 2, 3, 1, 1],
        [3, 4, 2, 3, 5, 1],
        [3, 2, 2, 3, 4, 4],
        [9, 10, 2, 1, 5, 5],
        [1, 2, 1, 1, 98, 2],
    ];
    let mut rare = rare.map(|shape| group(draw, shape)).to_vec();
    let ties = group(draw, [3, 4, 2, 3, 4, 2]).map(f64::round);
    for name in ["q", "kv", "dy"] {
        let mut zero = ties.clone();
        zero.array_mut(name).fill(0.);
        rare.push(zero);
    }
    rare.push(ties);
    let large = [[300, 2, 2, 2, 2, 1], [2, 300, 2, 2, 2, 1]];
    let large = large.map(|shape| group(draw, shape)).to_vec();
    Cases {
        large,
        ..Cases::new(usual, rare)
    }
}

fn sizes(i: &Inputs) -> (usize, usize) {
    (i.whole("heads") as usize, i.whole("keys") as usize)
}

static GROUPED_FORWARD: Value<Grouped> = Value {
    outputs: &["y"],
    against: "its formula",
    right: |i| arrays![grouped(i, &Layer::of(i))],
    tolerance: TOLERANCE,
    call: |f, i| {
        let (heads, keys) = sizes(i);
        arrays![f(i.matrix("q"), i.matrix("kv"), heads, keys)]
    },
    cases: |draw| group_cases(draw).each(|i| i.without("dy")),
    wrong: mistakes::GROUPED,
    symptom: None,
};

static GROUPED_VJP: Vjp<GroupedVjp> = Vjp {
    forward: |i| grouped(i, &Layer::of(i)).into_dyn(),
    cotangent: "dy",
    gradients: &[("dq", "q"), ("dkv", "kv")],
    call: |f, i| {
        let (heads, keys) = sizes(i);
        let (q, kv) = (i.matrix("q"), i.matrix("kv"));
        let (dq, dkv) = f(q, kv, heads, keys, i.matrix("dy"));
        arrays![dq, dkv]
    },
    cases: group_cases,
    batch: None,
    wrong: mistakes::GROUPED_VJP,
};

/// Several heads that share keys, forward and backward.
pub static GROUPED: Two<Grouped, GroupedVjp> =
    Two(&GROUPED_FORWARD, &GROUPED_VJP);

/// Queries, keys, width of queries, of values; the texts are one wider than
/// the values, the output than the queries.
const CROSS_SHAPES: Shapes<4> = Shapes {
    usual: &[[3, 5, 2, 4], [4, 2, 5, 3], [3, 3, 3, 3], [2, 2, 2, 2]],
    small: &[[1, 1, 1, 1], [1, 3, 2, 2], [3, 1, 2, 3]],
    ties: Some([4, 3, 2, 5]),
    many: ([9, 10, 9, 9], 0.3),
};

/// Cross-attention whose keys come from `of_k` and values from `of_v`.
fn cross_forward(i: &Inputs, of_k: M, of_v: M) -> Array2<f64> {
    let q = i.matrix("x").dot(&i.matrix("wq"));
    let k = of_k.dot(&i.matrix("wk"));
    let v = of_v.dot(&i.matrix("wv"));
    let (o, _) = attention::forward(q.view(), k.view(), v.view(), false);
    o.dot(&i.matrix("wo"))
}

/// Cross-attention with its projections.
pub static CROSS_VJP: Vjp<CrossVjp> = Vjp {
    forward: |i| {
        let m = i.matrix("m");
        cross_forward(i, m, m).into_dyn()
    },
    cotangent: "dy",
    gradients: &[
        ("dwo", "wo"),
        ("dwv", "wv"),
        ("dwq", "wq"),
        ("dwk", "wk"),
        ("dm", "m"),
        ("dx", "x"),
    ],
    call: |f, i| {
        let w = ["wq", "wk", "wv", "wo"].map(|name| i.matrix(name));
        let (x, m, dy) = (i.matrix("x"), i.matrix("m"), i.matrix("dy"));
        let (dx, dm, [dwq, dwk, dwv, dwo]) = f(x, m, w, dy);
        arrays![dwo, dwv, dwq, dwk, dm, dx]
    },
    cases: |draw| {
        Cases::of(draw, &CROSS_SHAPES, |draw, [t, n, d, e]| {
            let (w, o) = (e + 1, d + 1);
            let texts: [(_, &[usize]); 2] = [("x", &[t, w]), ("m", &[n, w])];
            let i = draw.inputs(&texts);
            // Scores near 1, whatever the widths are.
            let small = |a: Array2<f64>| a * (0.7 / (w as f64).sqrt());
            let mut part = |rows, columns| small(draw.matrix(rows, columns));
            let i = i.with("wq", part(w, d)).with("wk", part(w, d));
            let i = i.with("wv", part(w, e)).with("wo", part(e, o));
            i.with("dy", draw.dynamic(&[t, o]))
        })
    },
    batch: None,
    wrong: mistakes::CROSS,
};

/// Heads side by side, each with keys of its own; the scores divided by
/// `scale`.
fn side_by_side(i: &Inputs, scale: f64) -> Array2<f64> {
    let (q, k, v) = (i.matrix("q"), i.matrix("k"), i.matrix("v"));
    let heads = i.whole("heads") as usize;
    let mut y = Array2::zeros((q.nrows(), v.ncols()));
    let of = blocks(q.ncols(), heads).zip(blocks(v.ncols(), heads));
    for (of_q, of_v) in of {
        let k = k.slice(s![.., of_q.clone()]);
        let s = q.slice(s![.., of_q]).dot(&k.t()) / scale;
        let head = softmax::forward(s.view());
        let head = head.dot(&v.slice(s![.., of_v.clone()]));
        y.slice_mut(s![.., of_v]).assign(&head);
    }
    y
}

static MENDED: Value<SideBySide> = Value {
    outputs: &["y"],
    against: "its formula",
    right: |i| {
        let d = i.number("heads") / i.matrix("q").ncols() as f64;
        arrays![side_by_side(i, d.recip().sqrt())]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (q, k, v) = (i.matrix("q"), i.matrix("k"), i.matrix("v"));
        arrays![f(q, k, v, i.whole("heads") as usize)]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, [t, n, d, e, h]: [usize; 5]| {
            let (q, k, v) = (&[t, h * d], &[n, h * d], &[n, h * e]);
            let i = draw.inputs(&[("q", q), ("k", k), ("v", v)]);
            i.shown("heads", h, format!("heads = {h}"))
        };
        let usual = [
            [2, 3, 2, 3, 2],
            [3, 4, 3, 2, 2],
            [4, 2, 2, 3, 3],
            [2, 2, 3, 2, 2],
            [3, 3, 3, 2, 3],
        ];
        let rare = [
            [1, 3, 2, 2, 2],
            [3, 1, 2, 3, 2],
            [3, 2, 1, 1, 2],
            [3, 2, 1, 1, 1],
            [3, 4, 2, 3, 1],
            [9, 10, 3, 2, 9],
        ];
        let usual = usual.map(|shape| case(draw, shape)).to_vec();
        let mut rare = rare.map(|shape| case(draw, shape)).to_vec();
        rare.push(usual[0].clone().map(f64::round));
        Cases::new(usual, rare)
    },
    wrong: mistakes::HUNT,
    symptom: None,
};

/// The planted bug that no gradient check sees, then the mended layer.
pub static FIND_THE_BUG: Hunt<SideBySide> = Hunt {
    planted: &SCALE_OF_MODEL_WIDTH,
    among: NAMES,
    mended: &MENDED,
};
