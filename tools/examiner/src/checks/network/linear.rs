//! Checks of the exercise `network/linear`.

use crate::exercise::{Exercise, Kind, Task};
use crate::judge::{
    Case, Explanation, Observation, Vjp, compare, hunt, predict, show,
};
use crate::mistakes::network::linear as mistakes;
use crate::verdict::{Evidence, Report, Verdict, attempt};
use crate::{Sampler, judge};
use backprop::network::linear;
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, Ix1, Ix2, arr0, s,
};

/// The exercise of the linear layer.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/linear",
    title: "The linear layer",
    minutes: 70,
    tasks: &[
        Task {
            name: "predict_dx",
            kind: Kind::Predict,
            points: 1,
            title: "predict one row of dx for the loss Σ y",
            section: "#the-input-gradient",
            hints: [
                "Which outputs does the first number of an example reach, and \
                 with which weights?",
                "Every cotangent is 1. Look at the rows of w, then at its \
                 columns: which of the two is one input's reach?",
                "dx = dy·wᵀ, so with dy all ones each entry of a row of dx is \
                 the sum of one row of w.",
            ],
        },
        Task {
            name: "forward",
            kind: Kind::Build,
            points: 1,
            title: "write the forward: y = x·w + b",
            section: "#one-layer-one-batch",
            hints: [
                "What is the shape of x·w, and how many numbers does b have?",
                "ndarray adds a vector of length O to every row of a (B,O) \
                 matrix by itself.",
                "y is the matrix product of x and w, plus b on every row.",
            ],
        },
        Task {
            name: "vjp",
            kind: Kind::Build,
            points: 4,
            title: "write the VJP: dx, dw, db from x, w, dy",
            section: "#three-gradients",
            hints: [
                "Fix one entry, say w[1][0]. Which entries of y move when it \
                 moves, and by how much?",
                "dw: x touches dy through the batch, so the batch is summed \
                 away. dx: w touches dy through the outputs.",
                "dx = dy·wᵀ, dw = xᵀ·dy, and db adds the rows of dy.",
            ],
        },
        Task {
            name: "counter_example",
            kind: Kind::Predict,
            points: 2,
            title: "give x and dy for which the wrong x·dy fits as well",
            section: "#shapes-are-a-hint-not-a-proof",
            hints: [
                "For which shapes do x·dy and xᵀ·dy have the same shape?",
                "x has to be square. Now, when are the two products also \
                 equal?",
                "Any square x that is not symmetric will do, with a dy that \
                 does not hide the difference: try the identity.",
            ],
        },
        Task {
            name: "columns_vjp",
            kind: Kind::Vary,
            points: 2,
            title: "examples as columns, the weight stored (I,O)",
            section: "#the-other-convention",
            hints: [
                "In z = wᵀ·a + b·1ᵀ, which index of z counts the examples?",
                "Write one entry, z_on = Σ_i w_io a_in + b_o, and ask each \
                 input for the entries it reaches.",
                "The batch is summed away in dw = a·dzᵀ, the outputs in \
                 da = w·dz; db sums over the columns.",
            ],
        },
        Task {
            name: "low_rank_vjp",
            kind: Kind::Vary,
            points: 2,
            title: "a weight made of two thin factors, w = u·vᵀ",
            section: "#a-weight-made-of-two-factors",
            hints: [
                "It is two linear layers in a row: what is the cotangent \
                 between them?",
                "Let h = x·u, so y = h·vᵀ. Write dh first, then treat each \
                 product as a layer of its own.",
                "dh = dy·v; then dx = dh·uᵀ, du = xᵀ·dh, dv = dyᵀ·h.",
            ],
        },
        Task {
            name: "find_the_bug",
            kind: Kind::Hunt,
            points: 2,
            title: "name the planted bug, then mend it",
            section: "#what-goes-wrong",
            hints: [
                "Two of the three gradients are right. Which one is not, and \
                 by which factor?",
                "Divide the wrong gradient by the expected one, entry by \
                 entry, and compare with the number of rows of x.",
                "Who divides by the batch: the layer, or the loss that \
                 averages over it?",
            ],
        },
        Task {
            name: "flops",
            kind: Kind::Measure,
            points: 2,
            title: "count the FLOPs of the backward",
            section: "#what-it-costs",
            hints: [
                "How many multiplications and additions does one entry of a \
                 matrix product take?",
                "A product (n,k)(k,m) counts 2nkm. The backward has two \
                 products and one sum; the first layer of a network needs \
                 one product less.",
                "dw: 2·B·I·O. dx, if needed: 2·B·O·I. db: B·O additions.",
            ],
        },
    ],
};

/// `fn(x, w, b) -> y`.
pub type Forward =
    fn(ArrayView2<f64>, ArrayView2<f64>, ArrayView1<f64>) -> Array2<f64>;

/// `fn(x, w, dy) -> (dx, dw, db)`; in the column convention
/// `fn(w, a, dz) -> (dw, da, db)`.
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

fn two(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

fn one(a: &ArrayD<f64>) -> ArrayView1<'_, f64> {
    a.view().into_dimensionality::<Ix1>().expect("a vector")
}

/// Batch, inputs, outputs: different from each other, then equal, so that
/// what only square shapes let through is seen as well.
const SHAPES: [(usize, usize, usize); 5] =
    [(5, 3, 2), (4, 2, 3), (1, 3, 2), (3, 3, 3), (2, 2, 2)];

/// Nothing but ones, one input, one output, zeros and ties, and many of all.
pub(crate) const RARE: [(usize, usize, usize); 5] =
    [(1, 1, 1), (3, 1, 2), (2, 3, 1), (4, 3, 2), (9, 17, 6)];

/// Cases of these shapes, made by `case`: [`SHAPES`] or the like, then
/// [`RARE`] ones.
pub(crate) fn drawn<S>(
    usual: impl IntoIterator<Item = S>,
    rare: impl IntoIterator<Item = S>,
    mut case: impl FnMut(S) -> Case,
) -> (Vec<Case>, Vec<Case>) {
    let usual = usual.into_iter().map(&mut case).collect();
    let mut rare: Vec<_> = rare.into_iter().map(&mut case).collect();
    let many = rare.pop().expect("the last has many of all");
    let ties = rare.pop().expect("the last but one is rounded");
    rare.extend([ties.rounded(), many.times(20.)]);
    (usual, rare)
}

fn cases(seed: u64) -> (Vec<Case>, Vec<Case>) {
    let mut draw = Sampler::new(seed);
    drawn(SHAPES, RARE, |(b, i, o)| Case {
        inputs: vec![
            draw.dynamic(&[b, i]),
            draw.dynamic(&[i, o]),
            draw.dynamic(&[o]),
        ],
        dy: draw.dynamic(&[b, o]),
    })
}

/// The worked example's input gradient, before any code.
pub fn predict_dx(answer: Option<[f64; 2]>, _seed: u64) -> Verdict {
    predict(
        "one row of dx for L = Σ y, w = [[3, -2], [5, 1]]",
        answer,
        [1., 6.],
        &[
            ([8., -1.], "TRANSPOSE_MISSING_DX"),
            ([1., 1.], "UPSTREAM_ONLY"),
        ],
        "Each input reaches its outputs through one row of w, so with every \
         cotangent 1 the gradient is that row's sum: 3 - 2 and 5 + 1.",
    )
}

/// `y = x·w + b`.
pub fn forward(answer: Forward, seed: u64) -> Verdict {
    let (cases, rare) = cases(seed);
    let observe = |c: &Case| {
        let (x, w, b) =
            (two(&c.inputs[0]), two(&c.inputs[1]), one(&c.inputs[2]));
        Observation {
            case: format!(
                "x {}\nw {}\nb {}",
                show(&c.inputs[0]),
                show(&c.inputs[1]),
                show(&c.inputs[2])
            ),
            expected: linear::forward(x, w, b).into_dyn(),
            got: attempt(|| answer(x, w, b).into_dyn()),
        }
    };
    let seen: Vec<_> = cases.iter().map(observe).collect();
    let predicted = |code, value: &dyn Fn(&Case) -> Array2<f64>| Explanation {
        code,
        evidence: Evidence::Prediction,
        values: (cases.iter())
            .map(|c| attempt(|| value(c).into_dyn()).ok())
            .collect(),
    };
    let explanations = [
        predicted("BIAS_FORGOTTEN", &|c| {
            two(&c.inputs[0]).dot(&two(&c.inputs[1]))
        }),
        predicted("BIAS_DOWN_COLUMNS", &|c| {
            let y = two(&c.inputs[0]).dot(&two(&c.inputs[1]));
            let by_example = one(&c.inputs[2]);
            y.clone() + by_example.slice(s![..y.nrows()]).insert_axis(Axis(1))
        }),
        predicted("BIAS_DOWN_COLUMNS", &|c| {
            let b = one(&c.inputs[2]).insert_axis(Axis(1));
            two(&c.inputs[0]).dot(&two(&c.inputs[1])) + b
        }),
        predicted("CONVENTION_MIXED", &|c| {
            two(&c.inputs[0]).dot(&two(&c.inputs[1]).t()) + one(&c.inputs[2])
        }),
    ];
    compare("y", "x·w + b", &seen, &explanations)
        .or_else(|| {
            let seen: Vec<_> = rare.iter().map(observe).collect();
            compare("y", "x·w + b", &seen, &[])
        })
        .unwrap_or_else(Verdict::passed)
}

/// The three gradients, counted from the loss: `db`, `dw`, `dx`.
pub fn vjp(answer: LinearVjp, seed: u64) -> Verdict {
    let (cases, rare) = cases(seed);
    Vjp {
        forward: &|i| {
            linear::forward(two(&i[0]), two(&i[1]), one(&i[2])).into_dyn()
        },
        inputs: &["x", "w", "b"],
        order: &[("db", 2), ("dw", 1), ("dx", 0)],
        ratios: &batch_ratios,
        mistakes: mistakes::VJP,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        let (dx, dw, db) = answer(two(&i[0]), two(&i[1]), two(dy));
        vec![dx.into_dyn(), dw.into_dyn(), db.into_dyn()]
    })
}

fn batch_ratios(c: &Case, name: &str) -> Vec<(&'static str, f64)> {
    let batch = c.inputs[0].shape()[0] as f64;
    match name {
        "db" => vec![("BIAS_MEAN_NOT_SUM", 1. / batch)],
        _ => vec![("BATCH_MEAN_TWICE", 1. / batch)],
    }
}

/// Square matrices for which `x·dy` runs, fits, and is wrong.
pub fn counter_example(
    answer: fn() -> (Array2<f64>, Array2<f64>),
    _seed: u64,
) -> Verdict {
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
    let report = |got: String| Report::new(question, got, "");
    if x.nrows() != dy.nrows() || x.ncols() != dy.nrows() {
        let why = "x·dy and xᵀ·dy do not both run";
        return Verdict::Failed(
            report(shapes)
                .remark(why)
                .name("SHAPES_DO_NOT_FIT", Evidence::Shape),
        );
    }
    if !x.iter().chain(&dy).all(|v| v.is_finite()) {
        return Verdict::Failed(report(shapes).remark("not all finite"));
    }
    if x.nrows() != 3 {
        let three = "three examples are asked for, so x has three rows";
        return Verdict::Failed(report(shapes).remark(three));
    }
    let (right, wrong) = (x.t().dot(&dy), x.dot(&dy));
    if !right.iter().chain(&wrong).all(|v| v.is_finite()) {
        let why = "the products are too large for f64";
        return Verdict::Failed(report(shapes).remark(why));
    }
    if judge::close(&wrong.into_dyn(), &right.into_dyn()) {
        let both = "the two products are equal here";
        let report = report(shapes).remark(both);
        return Verdict::Failed(
            report.name("EXAMPLE_SHOWS_NOTHING", Evidence::Structure),
        );
    }
    Verdict::Passed {
        note: "Both fit, only one is a gradient: shapes are a hint, the \
               index that is summed away is the proof."
            .to_owned(),
    }
}

/// Examples as columns: `z = wᵀ·a + b·1ᵀ`, gradients `dw, da, db`.
pub fn columns_vjp(answer: LinearVjp, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let (cases, rare) = drawn(SHAPES, RARE, |(b, i, o)| Case {
        inputs: vec![
            draw.dynamic(&[i, o]),
            draw.dynamic(&[i, b]),
            draw.dynamic(&[o]),
        ],
        dy: draw.dynamic(&[o, b]),
    });
    Vjp {
        forward: &|i| {
            linear::columns::forward(two(&i[0]).t(), two(&i[1]), one(&i[2]))
                .into_dyn()
        },
        inputs: &["w", "a", "b", "dz"],
        order: &[("db", 2), ("dw", 0), ("da", 1)],
        ratios: &|c, name| {
            let batch = c.inputs[1].shape()[1] as f64;
            match name {
                "db" => vec![("BIAS_MEAN_NOT_SUM", 1. / batch)],
                _ => vec![("BATCH_MEAN_TWICE", 1. / batch)],
            }
        },
        mistakes: mistakes::COLUMNS,
    }
    .judge_also(&cases, &rare, &|i, dz| {
        let (dw, da, db) = answer(two(&i[0]), two(&i[1]), two(dz));
        vec![dw.into_dyn(), da.into_dyn(), db.into_dyn()]
    })
}

/// `y = x·u·vᵀ`: gradients `dx, du, dv`.
pub fn low_rank_vjp(answer: LowRankVjp, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    // Batch, inputs, outputs, rank.
    let shapes = [
        (5, 4, 3, 2),
        (3, 2, 5, 4),
        (4, 3, 2, 1),
        (3, 3, 3, 3),
        (2, 2, 2, 2),
    ];
    let rare = [(1, 1, 1, 1), (1, 2, 3, 2), (4, 3, 2, 1), (7, 5, 6, 9)];
    let (cases, rare) = drawn(shapes, rare, |(b, i, o, r)| Case {
        inputs: vec![
            draw.dynamic(&[b, i]),
            draw.dynamic(&[i, r]),
            draw.dynamic(&[o, r]),
        ],
        dy: draw.dynamic(&[b, o]),
    });
    Vjp {
        forward: &|i| {
            two(&i[0]).dot(&two(&i[1])).dot(&two(&i[2]).t()).into_dyn()
        },
        inputs: &["x", "u", "v"],
        order: &[("dv", 2), ("du", 1), ("dx", 0)],
        ratios: &|c, _| {
            vec![("BATCH_MEAN_TWICE", 1. / c.inputs[0].shape()[0] as f64)]
        },
        mistakes: mistakes::LOW_RANK,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        let (dx, du, dv) = answer(two(&i[0]), two(&i[1]), two(&i[2]), two(dy));
        vec![dx.into_dyn(), du.into_dyn(), dv.into_dyn()]
    })
}

/// The planted bug's name, then the mended VJP.
pub fn find_the_bug(
    bug: Option<&str>,
    mended: LinearVjp,
    seed: u64,
) -> Verdict {
    hunt(bug, "BIAS_MEAN_NOT_SUM", || vjp(mended, seed))
}

/// FLOPs of the backward, with and without `dx`.
pub fn flops(answer: fn(u64, u64, u64, bool) -> u64, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let sizes: Vec<_> = (0..4)
        .map(|k| {
            let mut n = || 3 + draw.below(40) as u64;
            (n(), n(), n(), k % 2 == 0)
        })
        .collect();
    type Count = fn(u64, u64, u64, bool) -> u64;
    let exact: Count =
        |b, i, o, dx| 2 * b * i * o * (1 + u64::from(dx)) + b * o;
    type Sizes = (u64, u64, u64, bool);
    let value = |count: Count, (b, i, o, dx): Sizes| {
        arr0(count(b, i, o, dx) as f64).into_dyn()
    };
    let observe = |&(b, i, o, dx): &Sizes| Observation {
        case: format!("B = {b}, I = {i}, O = {o}, needs_dx = {dx}"),
        expected: value(exact, (b, i, o, dx)),
        got: attempt(|| value(answer, (b, i, o, dx))),
    };
    let seen: Vec<_> = sizes.iter().map(observe).collect();
    let mistakes: [(&str, Count); 4] = [
        ("MULTIPLICATIONS_ONLY", |b, i, o, dx| {
            b * i * o * (1 + u64::from(dx)) + b * o
        }),
        ("FIRST_LAYER_DX", |b, i, o, _| 4 * b * i * o + b * o),
        ("BIAS_NOT_COUNTED", |b, i, o, dx| {
            2 * b * i * o * (1 + u64::from(dx))
        }),
        ("FORWARD_COUNTED", |b, i, o, _| 2 * b * i * o + b * o),
    ];
    let explanations = mistakes.map(|(code, count)| Explanation {
        code,
        evidence: Evidence::Prediction,
        values: sizes.iter().map(|s| Some(value(count, *s))).collect(),
    });
    let rule = "2 per multiply-add, B·O for db";
    // One of all, one example, and a layer of a large model.
    let rare = [(1, 1, 1, true), (1, 7, 5, false), (4096, 4096, 8192, true)];
    let rare = || rare.iter().map(observe).collect::<Vec<_>>();
    compare("the count", rule, &seen, &explanations)
        .or_else(|| compare("the count", rule, &rare(), &[]))
        .unwrap_or_else(Verdict::passed)
}
