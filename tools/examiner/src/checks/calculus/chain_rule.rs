//! Checks of the exercise `calculus/chain_rule`.

use crate::Sampler;
use crate::exercise::{Exercise, Kind, Task};
use crate::judge::{Case, Mistaken, Vjp, hunt, predict};
use crate::mistakes::calculus::chain_rule as mistakes;
use crate::verdict::{Evidence, Report, Verdict};
use backprop::calculus::gradcheck::central;
use ndarray::{ArrayD, arr0};

/// The exercise of the chain rule.
pub const EXERCISE: Exercise = Exercise {
    slug: "calculus/chain_rule",
    title: "The chain rule",
    minutes: 45,
    tasks: &[
        Task {
            name: "sign",
            kind: Kind::Predict,
            points: 1,
            title: "predict the sign of the derivative of sin(x²) at 2.4",
            section: "#where-the-outer-derivative-is-taken",
            hints: [
                "Two local derivatives are multiplied. Which of the two can \
                 be negative here?",
                "The slope of the sine is taken where the sine stands: at \
                 2.4² = 5.76, not at 2.4.",
                "Between 3π/2 ≈ 4.71 and 2π ≈ 6.28 the sine rises; 2x is \
                 positive.",
            ],
        },
        Task {
            name: "sine_of_square",
            kind: Kind::Build,
            points: 2,
            title: "write dx for y = sin(x²)",
            section: "#upstream-times-local",
            hints: [
                "What arrives at the sine in the forward? Give it a name.",
                "Go from y down: first through the sine, then through the \
                 square; each step multiplies what it got by its own slope.",
                "With u = x²: du = dy·cos u, then dx = du·2x.",
            ],
        },
        Task {
            name: "line_squared",
            kind: Kind::Build,
            points: 3,
            title: "write dx, dw, db for y = (x·w + b)²",
            section: "#flat-code",
            hints: [
                "Write the forward as three lines, z1, z2, y. Which of them \
                 does each input appear in?",
                "Reverse the lines. The sum hands its gradient to both of its \
                 inputs unchanged; the product hands each factor the other.",
                "dz2 = dy·2·z2, db = dz2, dw = dz2·x, dx = dz2·w.",
            ],
        },
        Task {
            name: "f_of_g",
            kind: Kind::Vary,
            points: 2,
            title: "dt for f(g(t)), f(u) = sin(u²), g(t) = e^(3t)",
            section: "#the-order-matters",
            hints: [
                "How many steps does the chain have from t to y? Count the \
                 factor 3 as a step.",
                "t, times 3, exp, square, sine: four slopes, each at what \
                 arrives there.",
                "With u = e^(3t): dt = dy · cos(u²) · 2u · u · 3.",
            ],
        },
        Task {
            name: "g_of_f",
            kind: Kind::Vary,
            points: 2,
            title: "dt for the other order, g(f(t))",
            section: "#the-order-matters",
            hints: [
                "Which function acts first now, and on what?",
                "t, square, sine, times 3, exp: the same four steps in \
                 another order, so at other places.",
                "With u = sin(t²): dt = dy · e^(3u) · 3 · cos(t²) · 2t.",
            ],
        },
        Task {
            name: "tanh_from_output",
            kind: Kind::Vary,
            points: 2,
            title: "dx for y = tanh(x), from the output y alone",
            section: "#the-sigmoid-from-its-own-output",
            hints: [
                "What is the slope of tanh, written with tanh itself?",
                "tanh is sinh/cosh; differentiate the quotient and look for \
                 tanh² in the result.",
                "The slope is 1 - tanh², and y is tanh already.",
            ],
        },
        Task {
            name: "find_the_bug",
            kind: Kind::Hunt,
            points: 2,
            title: "name the planted bug of exp(sin x), then mend it",
            section: "#what-goes-wrong",
            hints: [
                "Divide got by expected: which two exponentials have that \
                 ratio at x = 0.59?",
                "One of the two factors is right. Where is the other one \
                 evaluated?",
                "The slope of exp is exp at what arrives there, and sin x \
                 arrives there.",
            ],
        },
        Task {
            name: "step",
            kind: Kind::Measure,
            points: 2,
            title: "find a step that is small enough for a fast function",
            section: "#is-it-right",
            hints: [
                "By which factor does the error of a central difference fall \
                 when h is halved?",
                "Try a few steps in your head or in a test: where does the \
                 error stop falling with h²?",
                "The function turns three times as fast here as at t = 1; \
                 between 1e-9 and 1e-7 there is room.",
            ],
        },
    ],
};

/// One number in, one gradient out: `fn(x, dy) -> dx`.
pub type Scalar = fn(f64, f64) -> f64;

/// `fn(x, w, b, dy) -> (dx, dw, db)`.
pub type LineSquared = fn(f64, f64, f64, f64) -> (f64, f64, f64);

fn single(v: f64) -> ArrayD<f64> {
    arr0(v).into_dyn()
}

/// Judges `dx` of a function of one number at six places within `low..high`
/// where its slope is not small, so that no mistake can hide.
fn scalar_vjp(
    answer: Scalar,
    seed: u64,
    (low, high): (f64, f64),
    input: &str,
    y: fn(f64) -> f64,
    mistakes: &[(&'static str, Mistaken<'_>)],
) -> Verdict {
    let mut draw = Sampler::new(seed);
    let mut cases = Vec::new();
    while cases.len() < 6 {
        let x = draw.between(low, high);
        if central(y, x, 1e-5).abs() > 0.05 && x.abs() > 0.05 {
            cases.push(Case {
                inputs: vec![single(x)],
                dy: single(draw.number()),
            });
        }
    }
    // Zero, and beyond the interval.
    let rare = [0., 1.5 * low, 1.5 * high].map(|x| Case {
        inputs: vec![single(x)],
        dy: single(draw.number()),
    });
    Vjp {
        forward: &|i| single(y(i[0].sum())),
        inputs: &[input],
        order: &[(&format!("d{input}"), 0)],
        ratios: &|_, _| vec![("POWER_WITHOUT_TWO", 0.5)],
        mistakes,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        vec![single(answer(i[0].sum(), dy.sum()))]
    })
}

/// The sign of a slope, before any computing.
pub fn sign(answer: Option<i32>, _seed: u64) -> Verdict {
    predict(
        "the sign of the derivative of sin(x²) at 2.4",
        answer,
        1,
        &[(-1, "OUTER_AT_INPUT")],
        "The sine stands at 5.76, where it rises: cos 5.76 = 0.866. Taken at \
         2.4 the cosine would be -0.737, and the sign wrong.",
    )
}

/// `dx` for `sin(x²)`.
pub fn sine_of_square(answer: Scalar, seed: u64) -> Verdict {
    scalar_vjp(
        answer,
        seed,
        (-2., 2.),
        "x",
        |x| (x * x).sin(),
        mistakes::SINE_OF_SQUARE,
    )
}

/// The three gradients of `(x·w + b)²`, counted from the loss.
pub fn line_squared(answer: LineSquared, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let mut cases = Vec::new();
    while cases.len() < 5 {
        let inputs = [draw.number(), draw.number(), draw.number()];
        let dy = single(draw.number());
        if (inputs[0] * inputs[1] + inputs[2]).abs() > 0.1 {
            cases.push(Case {
                inputs: inputs.map(single).to_vec(),
                dy,
            });
        }
    }
    let rare = [
        [0., 1.5, -0.7],
        [1.5, 0., 0.7],
        [1.5, -0.5, 0.],
        [3., 4., 5.],
    ];
    let rare = rare.map(|inputs| Case {
        inputs: inputs.map(single).to_vec(),
        dy: single(draw.number()),
    });
    Vjp {
        forward: &|i| single((i[0].sum() * i[1].sum() + i[2].sum()).powi(2)),
        inputs: &["x", "w", "b"],
        order: &[("db", 2), ("dw", 1), ("dx", 0)],
        ratios: &|_, _| vec![("POWER_WITHOUT_TWO", 0.5)],
        mistakes: mistakes::LINE_SQUARED,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        let (x, w, b) = (i[0].sum(), i[1].sum(), i[2].sum());
        let (dx, dw, db) = answer(x, w, b, dy.sum());
        vec![single(dx), single(dw), single(db)]
    })
}

fn fast(t: f64) -> f64 {
    (6. * t).exp().sin()
}

/// `dt` for `sin((e^(3t))²)`.
pub fn f_of_g(answer: Scalar, seed: u64) -> Verdict {
    scalar_vjp(answer, seed, (-0.5, 0.3), "t", fast, mistakes::F_OF_G)
}

/// `dt` for `e^(3 sin(t²))`.
pub fn g_of_f(answer: Scalar, seed: u64) -> Verdict {
    scalar_vjp(
        answer,
        seed,
        (-1.2, 1.2),
        "t",
        |t| (3. * (t * t).sin()).exp(),
        mistakes::G_OF_F,
    )
}

/// `dx` for `tanh(x)`, given `y` instead of `x`.
pub fn tanh_from_output(answer: Scalar, seed: u64) -> Verdict {
    let mut draw = Sampler::new(seed);
    let cases: Vec<_> = (0..6)
        .map(|_| Case {
            inputs: vec![single(
                draw.between(0.2, 1.4) * draw.number().signum(),
            )],
            dy: single(draw.number()),
        })
        .collect();
    let rare = [0., 3., -3.].map(|x| Case {
        inputs: vec![single(x)],
        dy: single(draw.number()),
    });
    Vjp {
        forward: &|i| single(i[0].sum().tanh()),
        inputs: &["x"],
        order: &[("dx", 0)],
        ratios: &|_, _| Vec::new(),
        mistakes: mistakes::TANH,
    }
    .judge_also(&cases, &rare, &|i, dy| {
        vec![single(answer(i[0].sum().tanh(), dy.sum()))]
    })
}

/// The planted bug's name, then the mended function.
pub fn find_the_bug(bug: Option<&str>, mended: Scalar, seed: u64) -> Verdict {
    hunt(bug, "OUTER_AT_INPUT", || {
        scalar_vjp(
            mended,
            seed,
            (-1.4, 1.4),
            "x",
            |x| x.sin().exp(),
            mistakes::EXP_OF_SINE,
        )
    })
}

/// A step for which the central difference at `t = 1.2` is good to 1e-7.
pub fn step(h: Option<f64>, _seed: u64) -> Verdict {
    let Some(h) = h else {
        return Verdict::NotAttempted;
    };
    let phase = 7.2_f64.exp();
    let exact = 6. * phase * phase.cos();
    let numeric = central(fast, 1.2, h);
    let relative = ((numeric - exact) / exact).abs();
    if relative <= 1e-7 && h > 0. {
        return Verdict::Passed {
            note: format!(
                "{numeric:.4}: a relative error of {relative:.1e}. The best \
                 step depends on the function, not only on the machine."
            ),
        };
    }
    let report = Report::new(
        format!("the central difference at t = 1.2 with h = {h:e}"),
        format!("{numeric}, a relative error of {relative:.1e}"),
        format!("{exact:.6} to 1e-7"),
    );
    Verdict::Failed(if !(h.is_finite() && h > 0.) {
        report.remark("h is a small positive number")
    } else if h > 1e-8 {
        report.name("STEP_TOO_LARGE", Evidence::Ratio)
    } else {
        report.name("STEP_TOO_SMALL", Evidence::Ratio)
    })
}
