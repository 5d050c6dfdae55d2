//! Checks of the exercise `network/mlp`.

use crate::Sampler;
use crate::checks::network::linear::{RARE, drawn};
use crate::exercise::{Exercise, Kind, Task};
use crate::judge;
use crate::judge::{
    Case, Explanation, Mistaken, Observation, Vjp, compare, hunt, predict,
};
use crate::mistakes::network::linear as linear_mistakes;
use crate::mistakes::network::mlp as mistakes;
use crate::verdict::{Evidence, Report, Verdict, attempt};
use backprop::network::linear;
use backprop::network::mlp::{Activation, Cache, Layer, Mlp, worked_example};
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Ix1, Ix2, arr0, array,
};

/// The exercise of the multilayer perceptron.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/mlp",
    title: "The multilayer perceptron",
    minutes: 75,
    tasks: &[
        Task {
            name: "predict_zeros",
            kind: Kind::Predict,
            points: 1,
            title: "predict which of five gradients are exactly zero",
            section: "#an-inactive-unit",
            hints: [
                "If you move this parameter a little, does the loss move?",
                "An inactive unit gives 0, and goes on giving 0 when its sum \
                 moves a little; an input that is 0 can be moved. Which two \
                 factors does each gradient have?",
                "BP2 multiplies by the slope, BP3 by the value below, BP4 by \
                 neither. A variable's own value is no factor of its gradient.",
            ],
        },
        Task {
            name: "errors",
            kind: Kind::Build,
            points: 2,
            title: "write BP1 and BP2: the error at the output, and below",
            section: "#bp2",
            hints: [
                "What does a unit's sum z move first, and through what does \
                 that move the loss?",
                "BP1: one unit, one output, so no sum. BP2: a unit reaches \
                 every unit of the layer above, each with its own weight.",
                "BP1 is dy times the slope at z. BP2 first carries the errors \
                 back through the transposed weight, then multiplies by the \
                 slope at z.",
            ],
        },
        Task {
            name: "gradients",
            kind: Kind::Build,
            points: 1,
            title: "write BP3 and BP4: the gradients of weight and bias",
            section: "#bp3-and-bp4",
            hints: [
                "Which of the sums does one weight enter, and times what?",
                "Each weight serves every example of the batch: where does \
                 the batch have to stand in the product?",
                "dw = a_belowᵀ·delta; db adds the rows of delta.",
            ],
        },
        Task {
            name: "backward",
            kind: Kind::Build,
            points: 3,
            title: "write the whole backward pass of a network",
            section: "#the-code",
            hints: [
                "In which order do the errors become known?",
                "BP1 once at the top; then, going down, BP3 and BP4 at each \
                 layer and BP2 to get to the next. Which layer's weight does \
                 BP2 read, and at which layer's sum is the slope taken?",
                "From layer l to l-1: delta·w[l]ᵀ, times the slope of layer \
                 l-1 at sums[l-1]. At the end, turn the list round.",
            ],
        },
        Task {
            name: "tied_vjp",
            kind: Kind::Vary,
            points: 2,
            title: "one weight in two layers: y = tanh(x·w)·wᵀ",
            section: "#bp3-and-bp4",
            hints: [
                "If w moves a little, in which two places does that show?",
                "Treat the two uses as two weights, w and v = wᵀ, and write \
                 BP3 for each. What shape does dv have?",
                "delta = (dy·w) times the slope; dw is xᵀ·delta from the \
                 first use plus the transpose of aᵀ·dy from the second.",
            ],
        },
        Task {
            name: "find_the_bug",
            kind: Kind::Hunt,
            points: 2,
            title: "name the planted bug, then mend it",
            section: "#what-goes-wrong",
            hints: [
                "Which entries are wrong, and what have they in common: is it \
                 the sign of z, or another sign?",
                "Compare where zeros stand in got and in expected, with the \
                 signs of z.",
                "Whether a unit lets the error through was decided in the \
                 forward pass, by its own sum. The table under \"What goes \
                 wrong\" in the chapter has the name.",
            ],
        },
        Task {
            name: "cached",
            kind: Kind::Measure,
            points: 2,
            title: "count the numbers that the forward keeps",
            section: "#what-is-kept",
            hints: [
                "Which array does BP3 read for the first layer?",
                "BP3 reads a⁰ to a^(L-1); the slopes are taken at z¹ to z^L. \
                 All of them have one row per example.",
                "B·(n₀ + … + n_(L-1)), and with the sums B·(n₁ + … + n_L) \
                 more.",
            ],
        },
        Task {
            name: "descend",
            kind: Kind::Run,
            points: 2,
            title: "train the worked example by hand: 0.0288 to 1.3086e-7",
            section: "#by-hand",
            hints: [
                "Which values have to be known before the first parameter \
                 may change?",
                "z, a, y, then y - t, then the error of the hidden layer: \
                 with the weight that the forward used.",
                "delta = (y - t)·w2 where z > 0; then w2 -= rate·(y - t)·a, \
                 b2 -= rate·(y - t), b1 -= rate·delta, \
                 w1[i][j] -= rate·x[i]·delta[j].",
            ],
        },
    ],
};

type M<'a> = ArrayView2<'a, f64>;

/// BP1: `fn(dy, z, activation) -> delta`.
pub type Bp1 = fn(ArrayView2<f64>, ArrayView2<f64>, Activation) -> Array2<f64>;

/// BP2: `fn(delta_above, w_above, z, activation) -> delta`.
pub type Bp2 = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
    Activation,
) -> Array2<f64>;

/// BP3: `fn(a_below, delta) -> dw`.
pub type Bp3 = fn(ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// BP4: `fn(delta) -> db`.
pub type Bp4 = fn(ArrayView2<f64>) -> Array1<f64>;

/// One `(dw, db)` per layer from layers, cache and `dy`.
pub type Backward =
    fn(&[Layer], &Cache, ArrayView2<f64>) -> Vec<(Array2<f64>, Array1<f64>)>;

/// `fn(x, w, dy) -> (dx, dw)`.
pub type TiedVjp = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>);

/// BP2 for ReLU: `fn(delta_above, w_above, z) -> delta`.
pub type Mended =
    fn(ArrayView2<f64>, ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// Parameters of a net with one output: `w1` (I,H), `b1` (H), `w2` (H), `b2`.
pub type Net = (Array2<f64>, Array1<f64>, Array1<f64>, f64);

/// `fn(net, x, t, rate, steps) -> losses`.
pub type Descend = fn(Net, ArrayView1<f64>, f64, f64, usize) -> Vec<f64>;

pub(crate) fn two(a: &ArrayD<f64>) -> M<'_> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

fn one(a: &ArrayD<f64>) -> ArrayView1<'_, f64> {
    a.view().into_dimensionality::<Ix1>().expect("a vector")
}

/// Which gradients an inactive unit makes zero.
pub fn predict_zeros(answer: Option<[bool; 5]>, _seed: u64) -> Verdict {
    predict(
        "which of the five gradients are exactly zero",
        answer,
        [true, true, false, true, false],
        &[
            ([true, true, false, false, false], "DEAD_UNIT_OUTGOING"),
            ([false, true, false, true, false], "SLOPE_FORGOTTEN"),
            ([true, true, false, true, true], "VALUE_AS_GRADIENT"),
            ([true, true, true, true, false], "VALUE_AS_GRADIENT"),
            ([true, true, true, true, true], "VALUE_AS_GRADIENT"),
        ],
        "The first unit is inactive: slope 0, so nothing reaches its weights, \
         and activation 0, so its outgoing weight has nothing to multiply. \
         The input that is 0 does the same to the weight it feeds. But a \
         variable that is 0 can still move: the bias and the input get their \
         gradients from the error, whatever their own value.",
    )
}

const ACTIVATIONS: [Activation; 4] = [
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Relu,
    Activation::Identity,
];

/// Batch, units, units above: all different, then square.
const SHAPES: [(usize, usize, usize); 5] =
    [(5, 3, 2), (4, 2, 3), (1, 3, 2), (3, 3, 3), (2, 2, 2)];

fn batch_ratio(c: &Case) -> f64 {
    1. / c.inputs[0].shape()[0] as f64
}

/// BP1, then BP2, each for four activations.
pub fn errors(bp1: Bp1, bp2: Bp2, seed: u64) -> Verdict {
    let (cases, rare) = below_cases(seed);
    let of = |activation| format!("the activation is {activation:?}");
    for activation in ACTIVATIONS {
        match judge_bp1(bp1, activation, seed) {
            Verdict::Passed { .. } => {}
            other => return told(other, of(activation)),
        }
    }
    for activation in ACTIVATIONS {
        let answer = |d: M, w: M, z: M| bp2(d, w, z, activation);
        match judge_bp2(&answer, activation, (&cases, &rare)) {
            Verdict::Passed { .. } => {}
            other => return told(other, of(activation)),
        }
    }
    Verdict::passed()
}

/// A failed verdict whose remark begins with that.
fn told(verdict: Verdict, what: String) -> Verdict {
    match verdict {
        Verdict::Failed(mut report) => {
            report.remark = match report.remark.as_str() {
                "" => what,
                more => format!("{what}; {more}"),
            };
            Verdict::Failed(report)
        }
        other => other,
    }
}

fn judge_bp1(bp1: Bp1, activation: Activation, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let mut case = |(b, o): (usize, usize)| Case {
        inputs: vec![draw.dynamic(&[b, o])],
        dy: draw.dynamic(&[b, o]),
    };
    let cases = SHAPES.map(|(b, o, _)| case((b, o)));
    // Sums so large that tanh and sigmoid hardly move.
    let rare = [case((1, 1)), case((3, 1)), case((9, 6)).times(4.)];
    let predictions: Vec<_> = (mistakes::BP1.iter())
        .map(|(code, value)| {
            let of = |c: &Case, _: &str| {
                let delta = value(activation, two(&c.inputs[0]), two(&c.dy));
                Some(delta.into_dyn())
            };
            (*code, of)
        })
        .collect();
    let predictions: Vec<(&str, Mistaken)> = predictions
        .iter()
        .map(|(code, of)| (*code, of as Mistaken))
        .collect();
    Vjp {
        forward: &|i| activation.value(two(&i[0])).into_dyn(),
        inputs: &["z"],
        order: &[("delta of BP1", 0)],
        ratios: &|c, _| vec![("BATCH_MEAN_TWICE", batch_ratio(c))],
        mistakes: &predictions,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        vec![bp1(two(dy), two(&i[0]), activation).into_dyn()]
    })
}

fn below_cases(seed: u64) -> (Vec<Case>, Vec<Case>) {
    let mut draw = Sampler::new(seed);
    let mut case = |(b, o, p): (usize, usize, usize)| Case {
        inputs: vec![draw.dynamic(&[b, o]), draw.dynamic(&[o, p])],
        dy: draw.dynamic(&[b, p]),
    };
    let cases = SHAPES.into_iter().map(&mut case).collect();
    let rare = [(1, 1, 1), (3, 1, 2), (2, 3, 1), (9, 7, 6)].map(&mut case);
    let mut rare = rare.to_vec();
    // Sums so large that tanh and sigmoid hardly move.
    let many = rare.pop().expect("four of them").times(4.);
    rare.push(many);
    (cases, rare)
}

/// The gradient of `σ(z)·w_above` with respect to `z`, its cotangent being
/// the error above.
fn judge_bp2(
    bp2: &dyn Fn(M, M, M) -> Array2<f64>,
    activation: Activation,
    (cases, rare): (&[Case], &[Case]),
) -> Verdict {
    let predictions: Vec<_> = (mistakes::BP2.iter())
        .map(|(code, value)| {
            let of = |c: &Case, _: &str| {
                let (z, w) = (two(&c.inputs[0]), two(&c.inputs[1]));
                Some(value(activation, z, w, two(&c.dy)).into_dyn())
            };
            (*code, of)
        })
        .collect();
    let predictions: Vec<(&str, Mistaken)> = predictions
        .iter()
        .map(|(code, of)| (*code, of as Mistaken))
        .collect();
    Vjp {
        forward: &|i| activation.value(two(&i[0])).dot(&two(&i[1])).into_dyn(),
        inputs: &["z", "w_above", "delta_above"],
        order: &[("delta of BP2", 0)],
        ratios: &|c, _| vec![("BATCH_MEAN_TWICE", batch_ratio(c))],
        mistakes: &predictions,
    }
    .judge_also(cases, rare, &|i, dy| {
        vec![bp2(two(dy), two(&i[1]), two(&i[0])).into_dyn()]
    })
}

/// BP3 and BP4: the gradients of `a·w + b`, `dw` before `db`.
pub fn gradients(bp3: Bp3, bp4: Bp4, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let (cases, rare) = drawn(SHAPES, RARE, |(b, i, o)| Case {
        inputs: vec![
            draw.dynamic(&[b, i]),
            draw.dynamic(&[i, o]),
            draw.dynamic(&[o]),
        ],
        dy: draw.dynamic(&[b, o]),
    });
    Vjp {
        forward: &|i| {
            linear::forward(two(&i[0]), two(&i[1]), one(&i[2])).into_dyn()
        },
        inputs: &["a_below", "w", "b", "delta"],
        order: &[("dw", 1), ("db", 2)],
        ratios: &|c, name| match name {
            "db" => vec![("BIAS_MEAN_NOT_SUM", batch_ratio(c))],
            _ => vec![("BATCH_MEAN_TWICE", batch_ratio(c))],
        },
        mistakes: linear_mistakes::VJP,
    }
    .judge_also(&cases, &rare, &|i, delta| {
        let dw = bp3(two(&i[0]), two(delta));
        let db = bp4(two(delta));
        // Nobody asks for the first one here.
        vec![arr0(0.).into_dyn(), dw.into_dyn(), db.into_dyn()]
    })
}

/// Three layers from `w1, b1, w2, b2, w3, b3, x`: tanh, ReLU, sigmoid.
pub(crate) fn net_of(inputs: &[ArrayD<f64>]) -> (Mlp, M<'_>) {
    net_with(&DEEP, inputs)
}

const DEEP: [Activation; 3] =
    [Activation::Tanh, Activation::Relu, Activation::Sigmoid];

/// Layers of these kinds from `w1, b1, …, x`.
fn net_with<'a>(
    kinds: &[Activation],
    inputs: &'a [ArrayD<f64>],
) -> (Mlp, M<'a>) {
    let layers = (kinds.iter().zip(inputs.chunks(2)))
        .map(|(activation, two_of)| Layer {
            w: two(&two_of[0]).to_owned(),
            b: one(&two_of[1]).to_owned(),
            activation: *activation,
        })
        .collect();
    (Mlp { layers }, two(&inputs[2 * kinds.len()]))
}

/// A batch and a net of those sizes; no sum of a ReLU near its kink, and some
/// on both sides of it if there are several.
fn deep_case(
    draw: &mut Sampler,
    kinds: &[Activation],
    b: usize,
    n: &[usize],
) -> Case {
    loop {
        let mut inputs = Vec::new();
        for l in 0..kinds.len() {
            inputs.push(draw.dynamic(&[n[l], n[l + 1]]) / 2.);
            inputs.push(draw.dynamic(&[n[l + 1]]) / 4.);
        }
        inputs.push(draw.dynamic(&[b, n[0]]));
        let (net, x) = net_with(kinds, &inputs);
        let sums = net.forward(x).1.sums;
        let of_relu = kinds.iter().zip(&sums);
        let good = of_relu.filter(|(k, _)| **k == Activation::Relu).all(
            |(_, sums)| {
                let active = sums.iter().filter(|z| **z > 0.).count();
                sums.iter().all(|z| z.abs() > 0.01)
                    && active > 0
                    && active < sums.len()
            },
        );
        // A slope of ReLU at the next layer's sum, should it fit, has a 0 too.
        let above = (1..kinds.len())
            .filter(|l| kinds[l - 1] == Activation::Relu && n[*l] == n[l + 1])
            .all(|l| sums[l].iter().any(|z| *z < 0.));
        if good && above {
            let dy = draw.dynamic(&[b, n[kinds.len()]]);
            return Case { inputs, dy };
        }
    }
}

/// The whole backward of three layers, counted from the loss.
pub fn backward(answer: Backward, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let sizes = [
        (5, [3, 4, 2, 6]),
        (4, [2, 5, 3, 2]),
        (2, [4, 3, 5, 3]),
        (3, [3, 3, 3, 3]),
        (2, [2, 2, 2, 2]),
    ];
    let cases = sizes.map(|(b, n)| deep_case(&mut draw, &DEEP, b, &n));
    let three = Vjp {
        forward: &|i| {
            let (net, x) = net_of(i);
            net.forward(x).0.into_dyn()
        },
        inputs: &["w1", "b1", "w2", "b2", "w3", "b3", "x"],
        order: &[
            ("dw3", 4),
            ("db3", 5),
            ("dw2", 2),
            ("db2", 3),
            ("dw1", 0),
            ("db1", 1),
        ],
        ratios: &|c, name| {
            let ratio = 1. / c.dy.shape()[0] as f64;
            match name {
                "db1" | "db2" | "db3" => vec![("BIAS_MEAN_NOT_SUM", ratio)],
                _ => vec![("BATCH_MEAN_TWICE", ratio)],
            }
        },
        mistakes: mistakes::BACKWARD,
    }
    .judge(&cases, &|i, dy| pairs(answer, &DEEP, i, dy));
    if !matches!(three, Verdict::Passed { .. }) {
        return told(three, format!("the layers are {DEEP:?}"));
    }
    // Fewer layers and more, other activations, a batch of one.
    use Activation::{Identity, Relu, Sigmoid, Tanh};
    let others: [(&[_], usize, &[usize]); 4] = [
        (&[Identity], 3, &[2, 4]),
        (&[Relu, Identity], 1, &[3, 4, 1]),
        (&[Sigmoid, Relu, Tanh, Identity], 4, &[3, 5, 4, 2, 3]),
        (&[Relu, Tanh], 6, &[9, 7, 5]),
    ];
    for (kinds, b, sizes) in others {
        let verdict = other_net(answer, kinds, &mut draw, b, sizes);
        if !matches!(verdict, Verdict::Passed { .. }) {
            return verdict;
        }
    }
    Verdict::passed()
}

/// `dw1, db1, dw2, …` of an answer.
fn pairs(
    answer: Backward,
    kinds: &[Activation],
    inputs: &[ArrayD<f64>],
    dy: &ArrayD<f64>,
) -> Vec<ArrayD<f64>> {
    let (net, x) = net_with(kinds, inputs);
    let (_, cache) = net.forward(x);
    let grads = answer(&net.layers, &cache, two(dy));
    let (n, layers) = (grads.len(), kinds.len());
    assert!(n == layers, "backward gave {n} pairs for {layers} layers");
    (grads.into_iter())
        .flat_map(|(dw, db)| [dw.into_dyn(), db.into_dyn()])
        .collect()
}

/// One backward of a net of these kinds of layers.
fn other_net(
    answer: Backward,
    kinds: &[Activation],
    draw: &mut Sampler,
    b: usize,
    sizes: &[usize],
) -> Verdict {
    let mut names = Vec::new();
    for l in 1..=kinds.len() {
        names.extend([format!("w{l}"), format!("b{l}")]);
    }
    names.push("x".into());
    let of: Vec<_> = names.iter().map(|n| format!("d{n}")).collect();
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let order: Vec<_> = (0..kinds.len())
        .rev()
        .flat_map(|l| [2 * l, 2 * l + 1])
        .map(|k| (of[k].as_str(), k))
        .collect();
    let case = deep_case(draw, kinds, b, sizes);
    let verdict = Vjp {
        forward: &|i| {
            let (net, x) = net_with(kinds, i);
            net.forward(x).0.into_dyn()
        },
        inputs: &inputs,
        order: &order,
        ratios: &|_, _| Vec::new(),
        mistakes: &[],
    }
    .judge(&[case], &|i, dy| pairs(answer, kinds, i, dy));
    told(verdict, format!("the layers are {kinds:?}"))
}

/// `y = tanh(x·w)·wᵀ`: gradients `dx, dw`, `dw` first.
pub fn tied_vjp(answer: TiedVjp, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let mut case = |(b, i, h): (usize, usize, usize)| Case {
        inputs: vec![draw.dynamic(&[b, i]), draw.dynamic(&[i, h]) / 2.],
        dy: draw.dynamic(&[b, i]),
    };
    let cases = SHAPES.map(&mut case);
    let rare = [(1, 1, 1), (3, 1, 2), (2, 3, 1), (9, 4, 7)].map(&mut case);
    Vjp {
        forward: &|i| {
            let (x, w) = (two(&i[0]), two(&i[1]));
            x.dot(&w).tanh().dot(&w.t()).into_dyn()
        },
        inputs: &["x", "w"],
        order: &[("dw", 1), ("dx", 0)],
        ratios: &|c, _| vec![("BATCH_MEAN_TWICE", batch_ratio(c))],
        mistakes: mistakes::TIED,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        let (dx, dw) = answer(two(&i[0]), two(&i[1]), two(dy));
        vec![dx.into_dyn(), dw.into_dyn()]
    })
}

/// The planted bug's name, then the mended BP2 of a ReLU layer.
pub fn find_the_bug(bug: Option<&str>, mended: Mended, seed: u64) -> Verdict {
    hunt(bug, "MASK_FROM_UPSTREAM", || {
        let (cases, rare) = below_cases(seed);
        let verdict = judge_bp2(&mended, Activation::Relu, (&cases, &rare));
        match verdict {
            Verdict::Passed { .. } => at_the_kink(mended),
            other => other,
        }
    })
}

/// At a sum of exactly 0 the slope is anybody's choice, but it is a number.
fn at_the_kink(mended: Mended) -> Verdict {
    let (d, w) = (array![[3., -2.]], array![[1., 0.5], [2., 1.]]);
    let z = array![[0., 1.]];
    let got = attempt(|| mended(d.view(), w.view(), z.view()));
    match got {
        Ok(got) if got.iter().all(|v| v.is_finite()) => Verdict::passed(),
        got => Verdict::Failed(Report::new(
            "delta of BP2 where a sum z is exactly 0",
            got.map_or_else(|p| p.message, |g| judge::show(&g.into_dyn())),
            "numbers",
        )),
    }
}

/// Numbers kept by the forward pass.
pub fn cached(
    answer: fn(&[usize], usize, bool) -> usize,
    seed: u64,
) -> Verdict {
    let mut draw = Sampler::new(seed);
    let cases: Vec<(Vec<usize>, usize, bool)> = [3, 4, 2, 5, 3, 4]
        .into_iter()
        .enumerate()
        .map(|(k, layers)| {
            let sizes = (0..=layers).map(|_| 2 + draw.below(60)).collect();
            (sizes, 3 + draw.below(30), k % 2 == 0)
        })
        .collect();
    type Count = fn(&[usize], usize, bool) -> usize;
    let exact: Count = |n, b, sums| {
        let (first, inner) = (n[0], &n[1..n.len() - 1]);
        let inner: usize = inner.iter().sum();
        b * (first + inner + if sums { inner + n[n.len() - 1] } else { 0 })
    };
    type Sizes = (Vec<usize>, usize, bool);
    let value = |count: Count, (sizes, batch, sums): &Sizes| {
        arr0(count(sizes, *batch, *sums) as f64).into_dyn()
    };
    let observe = |of: &Sizes| {
        let (sizes, batch, sums) = of;
        Observation {
            case: format!("sizes {sizes:?}, B = {batch}, keep_sums = {sums}"),
            expected: value(exact, of),
            got: attempt(|| value(answer, of)),
        }
    };
    let seen: Vec<_> = cases.iter().map(observe).collect();
    let mistakes: [(&str, Count); 5] = [
        ("OUTPUT_CACHED", |n, b, sums| {
            let all: usize = n.iter().sum();
            b * (all + if sums { all - n[0] } else { 0 })
        }),
        ("INPUT_NOT_CACHED", |n, b, sums| {
            let inner: usize = n[1..n.len() - 1].iter().sum();
            b * (inner + if sums { inner + n[n.len() - 1] } else { 0 })
        }),
        ("BATCH_NOT_COUNTED", |n, _, sums| {
            let all: usize = n.iter().sum();
            let last = n[n.len() - 1];
            all - last + if sums { all - n[0] } else { 0 }
        }),
        ("PARAMETERS_CACHED", |n, b, sums| {
            let all: usize = n.iter().sum();
            let kept = all - n[n.len() - 1] + if sums { all - n[0] } else { 0 };
            let pairs = n.iter().zip(&n[1..]);
            b * kept + pairs.map(|(i, o)| (i + 1) * o).sum::<usize>()
        }),
        ("SUMS_ALWAYS_CACHED", |n, b, _| {
            let all: usize = n.iter().sum();
            b * (2 * all - n[0] - n[n.len() - 1])
        }),
    ];
    let explanations = mistakes.map(|(code, count)| Explanation {
        code,
        evidence: Evidence::Prediction,
        values: cases.iter().map(|c| Some(value(count, c))).collect(),
    });
    let against = "one input per layer, and its sum if asked for";
    // One layer, and one example.
    let rare = [(vec![7, 3], 4, true), (vec![7, 3], 4, false)];
    let one = [(vec![5, 6, 2], 1, true), (vec![5, 6, 2], 1, false)];
    let rare: Vec<_> = rare.iter().chain(&one).map(observe).collect();
    compare("the count", against, &seen, &explanations)
        .or_else(|| compare("the count", against, &rare, &[]))
        .unwrap_or_else(Verdict::passed)
}

/// How a descent goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Slip {
    None,
    TooEarly,
    NoMask,
    NoBias,
    Uphill,
    FactorTwo,
    LastLayer,
    MaskOfError,
}

/// The losses of a descent, with a slip or without.
fn losses(case: &Descent, slip: Slip) -> ArrayD<f64> {
    let Descent { net, x, t, .. } = case;
    let (mut w1, mut b1, mut w2, mut b2) = net.clone();
    let rate = match slip {
        Slip::Uphill => -case.rate,
        Slip::FactorTwo => 2. * case.rate,
        _ => case.rate,
    };
    let mut all = Vec::new();
    for _ in 0..=case.steps {
        let z = x.dot(&w1) + &b1;
        let gap = z.mapv(|z| z.max(0.)).dot(&w2) + b2 - t;
        all.push(gap * gap / 2.);
        let w2_before = w2.clone();
        for (w, z) in w2.iter_mut().zip(&z) {
            *w -= rate * gap * z.max(0.);
        }
        let read = if slip == Slip::TooEarly {
            &w2
        } else {
            &w2_before
        };
        for j in 0..z.len() {
            let blocked = match slip {
                Slip::NoMask => false,
                Slip::MaskOfError => gap * read[j] <= 0.,
                _ => z[j] <= 0.,
            };
            if blocked || slip == Slip::LastLayer {
                continue;
            }
            let step = rate * gap * read[j];
            for i in 0..x.len() {
                w1[[i, j]] -= step * x[i];
            }
            if slip != Slip::NoBias {
                b1[j] -= step;
            }
        }
        if slip != Slip::NoBias {
            b2 -= rate * gap;
        }
    }
    Array1::from(all).into_dyn()
}

/// A net, an example, a rate and a number of steps.
struct Descent {
    net: Net,
    x: Array1<f64>,
    t: f64,
    rate: f64,
    steps: usize,
}

fn worked(hidden: usize, steps: usize) -> Descent {
    let net = worked_example(hidden);
    let (first, second) = (&net.layers[0], &net.layers[1]);
    Descent {
        net: (
            first.w.clone(),
            first.b.clone(),
            second.w.column(0).to_owned(),
            second.b[0],
        ),
        x: array![1., 2.],
        t: 1.,
        rate: 0.01,
        steps,
    }
}

/// Losses of a descent by hand: the worked example and random nets.
pub fn descend(answer: Descend, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    // The third unit just below its threshold: a forgotten mask lifts it.
    let mut nearly = worked(3, 10);
    nearly.net.0[[1, 2]] = -0.21;
    // Too large an output, outgoing weights of both signs: errors of both.
    let mut mixed = worked(3, 10);
    mixed.net.2[1] = -0.6;
    mixed.t = -1.;
    let mut cases = vec![worked(2, 10), worked(3, 10), nearly, mixed];
    for (inputs, hidden) in [(3, 5), (4, 2)] {
        let net = (
            draw.matrix(inputs, hidden) / 4.,
            draw.vector(hidden) / 4.,
            draw.vector(hidden) / 4.,
            draw.number() / 4.,
        );
        cases.push(Descent {
            net,
            x: draw.vector(inputs),
            t: draw.number(),
            rate: 0.04,
            steps: 5,
        });
    }
    cases.push(worked(2, 0));
    let run = |c: &Descent| {
        let net = c.net.clone();
        answer(net, c.x.view(), c.t, c.rate, c.steps)
    };
    let observe = |c: &Descent| Observation {
        case: format!(
            "{} inputs, {} hidden units, rate {}, {} steps",
            c.x.len(),
            c.net.1.len(),
            c.rate,
            c.steps
        ),
        expected: losses(c, Slip::None),
        got: attempt(|| Array1::from(run(c)).into_dyn()),
    };
    let seen: Vec<_> = cases.iter().map(observe).collect();
    for o in &seen {
        if let Ok(got) = &o.got
            && got.len() != o.expected.len()
        {
            let count = |a: &ArrayD<f64>| format!("{} losses", a.len());
            let report = Report::new(&o.case, count(got), count(&o.expected));
            return Verdict::Failed(report.remark(
                "one loss before the first step, and one after each step",
            ));
        }
    }
    let explanations = [
        ("UPDATED_TOO_EARLY", Slip::TooEarly),
        ("SLOPE_FORGOTTEN", Slip::NoMask),
        ("BIAS_NOT_UPDATED", Slip::NoBias),
        ("SIGN_FLIPPED", Slip::Uphill),
        ("HALF_FORGOTTEN", Slip::FactorTwo),
        ("LAST_LAYER_ONLY", Slip::LastLayer),
        ("MASK_FROM_UPSTREAM", Slip::MaskOfError),
    ]
    .map(|(code, slip)| Explanation {
        code,
        evidence: Evidence::Prediction,
        values: cases.iter().map(|c| Some(losses(c, slip))).collect(),
    });
    let against = "a descent on all four parameters";
    let long = worked(2, 100);
    compare("the losses", against, &seen, &explanations)
        .or_else(|| compare("the losses", against, &[observe(&long)], &[]))
        .unwrap_or_else(|| {
            let run = run(&long);
            let falls = run.windows(2).all(|two| two[1] < two[0]);
            let (first, last) = (run[0], run[100]);
            Verdict::Passed {
                note: format!(
                    "From {first:.4} to {last:.4e} in 100 steps{}.",
                    if falls { ", lower after every one" } else { "" }
                ),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_descends_as_the_chapter_says() {
        let all = losses(&worked(2, 100), Slip::None);
        for (step, loss) in [
            (0, 0.0288),
            (1, 0.0258494075),
            (10, 0.0094163985),
            (100, 1.3086e-7),
        ] {
            assert!((all[step] - loss).abs() < 6e-11, "step {step}");
        }
    }
}
