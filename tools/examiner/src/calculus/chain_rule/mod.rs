//! The exam of the chain rule.

pub mod drill;
pub mod mistakes;
mod tasks;

use self::mistakes::{NAMES, OUTER_AT_INPUT, STEP_TOO_LARGE, STEP_TOO_SMALL};
use crate::judge::{
    Cases, Hunt, Inputs, Predict, Special, TOLERANCE, Then, Value, Vjp,
};
use crate::verdict::{Evidence, Report, Verdict};
use crate::{Exercise, Sampler, arrays};
use backprop::calculus::chain_rule::{Step, forward, vjp};
use backprop::calculus::gradcheck::central;
use ndarray::{ArrayD, arr0};

/// The exercise of the chain rule.
pub const EXERCISE: Exercise = Exercise {
    slug: "calculus/chain_rule",
    title: "The chain rule",
    minutes: 45,
    tasks: tasks::TASKS,
    names: NAMES,
};

/// One number in, one gradient out: `fn(x, dy) -> dx`.
pub type Scalar = fn(f64, f64) -> f64;

/// `fn(x, w, b, dy) -> (dx, dw, db)`.
pub type LineSquared = fn(f64, f64, f64, f64) -> (f64, f64, f64);

/// The sign of a slope, before any computing.
pub static SIGN: Predict<i32> = Predict {
    question: "the sign of the derivative of sin(x²) at 2.4",
    right: 1,
    wrong: &[(-1, &OUTER_AT_INPUT)],
    why: "The sine receives 5.76, where it rises: cos 5.76 = 0.866. Taken \
          at 2.4 the cosine would be -0.737, and the sign wrong.",
};

/// Six places within `low..high` where the slope of `y` is not small, so that
/// no mistake can hide; then zero, and beyond the interval.
fn places(
    draw: &mut Sampler,
    name: &'static str,
    (low, high): (f64, f64),
    y: fn(f64) -> f64,
) -> Cases {
    let case = |draw: &mut Sampler, x: f64| {
        Inputs::default().with(name, x).with("dy", draw.number())
    };
    let mut usual = Vec::new();
    while usual.len() < 6 {
        let x = draw.between(low, high);
        if central(y, x, 1e-5).abs() > 0.05 && x.abs() > 0.05 {
            usual.push(case(draw, x));
        }
    }
    let rare = [0., 1.5 * low, 1.5 * high].map(|x| case(draw, x));
    Cases::new(usual, rare.into())
}

/// A chain further and further from 0, and nearer and nearer to it, where
/// differences are not exact enough. The cotangents are such that the results
/// are neither large nor small, and every one of them has to be right.
fn ladder(name: &'static str, places: &[f64], chain: &[Step]) -> Cases {
    let rung = |x: f64| {
        let size = 1. / slope(chain, x).abs();
        // A power of two: dividing by it rounds nothing.
        let dy = match size.is_finite() {
            true => 1.5 * size.log2().round().exp2(),
            false => 1.5,
        };
        Inputs::default().with(name, x).with("dy", dy)
    };
    only_right(places.iter().copied().map(rung).collect())
}

fn slope(chain: &[Step], x: f64) -> f64 {
    vjp(chain, &forward(chain, x), 1.)[0]
}

/// Cases in which an answer only has to be right.
fn only_right(rare: Vec<Inputs>) -> Cases {
    Cases {
        rare,
        ..Cases::default()
    }
}

const BY_STEPS: &str = "the chain's slopes, each where the forward stood";

/// `dx` of a chain of steps, by its rule.
fn by_steps(name: &str, chain: &[Step], i: &Inputs) -> Vec<ArrayD<f64>> {
    let values = forward(chain, i.number(name));
    arrays![vjp(chain, &values, i.number("dy"))[0]]
}

/// The exam of a chain of one number: differences, then the ladder.
macro_rules! chain {
    ($(#[$doc:meta])* $vis:vis $name:ident $exam:ident $far:ident:
     $output:literal $input:literal, $y:ident, $usual:expr, $chain:expr,
     $places:expr, $wrong:expr) => {
        $(#[$doc])*
        $vis static $name: Then<Scalar> = Then {
            first: &$exam,
            second: &$far,
            named_later: &[],
        };

        static $exam: Vjp<Scalar> = Vjp {
            forward: |i| scalar($y(i.number($input))),
            cotangent: "dy",
            gradients: &[($output, $input)],
            call: |f, i| arrays![f(i.number($input), i.number("dy"))],
            cases: |draw| places(draw, $input, $usual, $y),
            batch: None,
            wrong: $wrong,
        };

        static $far: Value<Scalar> = Value {
            outputs: &[$output],
            against: BY_STEPS,
            right: |i| by_steps($input, $chain, i),
            tolerance: TOLERANCE,
            call: $exam.call,
            cases: |_| ladder($input, $places, $chain),
            wrong: &[],
            symptom: None,
        };
    };
}

fn scalar(v: f64) -> ArrayD<f64> {
    arr0(v).into_dyn()
}

fn sine_of_square(x: f64) -> f64 {
    (x * x).sin()
}

chain! {
    /// `dx` for `sin(x²)`.
    pub SINE_OF_SQUARE SINE_OF_SQUARE_NEAR SINE_OF_SQUARE_FAR:
    "dx" "x", sine_of_square, (-2., 2.),
    &[Step::Power(2), Step::Sin],
    &[
        1.5, 1e-12, -1e-9, 1e-6, -1e-4, 0.01, -0.03, 0.1, 3., -4.5, 6., -8.,
        12., 30., -36.5, 100., -300.25, 1000.5,
    ],
    mistakes::SINE_OF_SQUARE
}

/// The three gradients of `(b - x·w)²`, counted from the loss; far from 0, and
/// where the sum is 0.
pub static LINE_SQUARED: Then<LineSquared> = Then {
    first: &LINE_SQUARED_NEAR,
    second: &LINE_SQUARED_FAR,
    named_later: &[],
};

fn line(i: &Inputs) -> f64 {
    i.number("b") - i.number("x") * i.number("w")
}

const LINE_GRADIENTS: &[&str] = &["db", "dw", "dx"];

static LINE_SQUARED_NEAR: Vjp<LineSquared> = Vjp {
    forward: |i| scalar(line(i).powi(2)),
    cotangent: "dy",
    gradients: &[("db", "b"), ("dw", "w"), ("dx", "x")],
    call: |f, i| {
        let (x, w, b) = (i.number("x"), i.number("w"), i.number("b"));
        let (dx, dw, db) = f(x, w, b, i.number("dy"));
        arrays![db, dw, dx]
    },
    cases: |draw| {
        let mut usual = Vec::new();
        while usual.len() < 5 {
            let xwb = [0.; 3].map(|_| draw.number());
            let i = line_case(xwb, draw.number());
            if line(&i).abs() > 0.1 {
                usual.push(i);
            }
        }
        let rare = [
            [0., 1.5, -0.7],
            [1.5, 0., 0.7],
            [1.5, -0.5, 0.],
            [3., 4., 5.],
        ];
        let rare = rare.map(|xwb| line_case(xwb, draw.number()));
        Cases::new(usual, rare.into())
    },
    batch: None,
    wrong: mistakes::LINE_SQUARED,
};

fn line_case([x, w, b]: [f64; 3], dy: f64) -> Inputs {
    let line = Inputs::default().with("x", x).with("w", w);
    line.with("b", b).with("dy", dy)
}

fn line_gradients(i: &Inputs) -> Vec<ArrayD<f64>> {
    let (x, w) = (i.number("x"), i.number("w"));
    let db = 2. * line(i) * i.number("dy");
    arrays![db, -db * x, -db * w]
}

static LINE_SQUARED_FAR: Value<LineSquared> = Value {
    outputs: LINE_GRADIENTS,
    against: BY_STEPS,
    right: line_gradients,
    tolerance: TOLERANCE,
    call: LINE_SQUARED_NEAR.call,
    cases: |_| {
        let rare = [
            // The sum is 0, nearly 0, small beside its parts, large.
            ([2., 1.5, 3.], 1.),
            ([0., 0., 0.], 1.),
            ([0., 0., 1.5], 1.),
            ([1e-7, 2e6, 0.2 + 1e-7], 1e3),
            ([1e6, 3e-7, 0.3 + 1e-7], -1e3),
            ([12., -30., -36.5], 1e-4),
            ([1e3, 2e3, -5.], 1e-9),
            ([-1e6, 1e6, 1e10], 1e-15),
            ([1e-6, 1e-6, 1e-9], 1e9),
        ];
        let rare = rare.map(|(xwb, dy)| line_case(xwb, dy));
        only_right(rare.into())
    },
    wrong: &[],
    symptom: None,
};

fn f_of_g(t: f64) -> f64 {
    (1. + t * t).ln().powi(3).cos()
}

chain! {
    /// `dt` for `cos((ln(1 + t²))³)`.
    pub F_OF_G F_OF_G_NEAR F_OF_G_FAR:
    "dt" "t", f_of_g, (-2.5, 2.5),
    &[
        Step::Power(2), Step::Add(1.), Step::Ln, Step::Power(3), Step::Cos,
    ],
    // Not nearer to 0: there 1 + t² is rounded, and right answers differ.
    &[
        0.8, 0.01, -0.02, 0.05, -0.1, 0.2, -0.35, 0.5, -1.2, 1.7, 2.4, -3.,
        4.5, 6., -8., 12., -30., 36.5, 100., -1e3, 1e4, 1e6,
    ],
    mistakes::F_OF_G
}

fn g_of_f(t: f64) -> f64 {
    (1. + t.powi(3).cos().powi(2)).ln()
}

chain! {
    /// `dt` for `ln(1 + cos²(t³))`.
    pub G_OF_F G_OF_F_NEAR G_OF_F_FAR:
    "dt" "t", g_of_f, (-1.5, 1.5),
    &[
        Step::Power(3), Step::Cos, Step::Power(2), Step::Add(1.), Step::Ln,
    ],
    &[
        0.8, 1e-9, -1e-6, 1e-4, -0.01, 0.03, -0.049, 0.1, 1.4, -2., 2.5, 2.9,
        -3.2, 4.5, 6., -8., 12., -30., 36.5,
    ],
    mistakes::G_OF_F
}

/// `dx` for `tanh(x)`, given `y` instead of `x`; then outputs that no `x` was
/// asked for, as far as 1 and close to it.
pub static TANH_FROM_OUTPUT: Then<Scalar> = Then {
    first: &TANH_OF_INPUT,
    second: &TANH_OF_OUTPUT,
    named_later: &[],
};

static TANH_OF_INPUT: Vjp<Scalar> = Vjp {
    forward: |i| scalar(i.number("x").tanh()),
    cotangent: "dy",
    gradients: &[("dx", "x")],
    call: |f, i| arrays![f(i.number("x").tanh(), i.number("dy"))],
    cases: |draw| {
        let case = |draw: &mut Sampler, x: f64| {
            Inputs::default().with("x", x).with("dy", draw.number())
        };
        let usual = [0.; 6].map(|_| {
            let x = draw.between(0.2, 1.4) * draw.number().signum();
            case(draw, x)
        });
        // As far as y = ±1.
        let rare = [0., 3., -3., 9., 20., -400.].map(|x| case(draw, x));
        Cases::new(usual.into(), rare.into())
    },
    batch: None,
    wrong: mistakes::TANH,
};

static TANH_OF_OUTPUT: Value<Scalar> = Value {
    outputs: &["dx"],
    against: "the slope of tanh where it gives y",
    right: |i| {
        let y = i.number("y");
        arrays![i.number("dy") * (1. - y) * (1. + y)]
    },
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.number("y"), i.number("dy"))],
    cases: |_| {
        let case = |y: f64, dy| Inputs::default().with("y", y).with("dy", dy);
        let near_1 = [0.9, 0.99, 0.9995, 1. - 1e-5, 1. - 1e-7, 1. - 1e-9];
        let near_0 = [0., 1e-300, 1e-9, 1e-4, 0.01];
        let sizes = near_1.iter().chain(&near_0).chain(&[1.]);
        only_right(
            sizes
                .flat_map(|y| [case(*y, 1.5), case(-y, -0.5)])
                .collect(),
        )
    },
    wrong: &[],
    symptom: None,
};

fn exp_of_sine(x: f64) -> f64 {
    x.sin().exp()
}

chain! {
    MENDED MENDED_NEAR MENDED_FAR:
    "dx" "x", exp_of_sine, (-1.4, 1.4),
    &[Step::Sin, Step::Exp],
    &[
        0.8, 1e-12, -1e-6, 0.01, 2., -3., 4., -5.5, 8., 12., -30., 36.5,
        100., -710.5, 1000.,
    ],
    mistakes::EXP_OF_SINE
}

/// The planted bug's name, then the mended function.
pub static FIND_THE_BUG: Hunt<Scalar> = Hunt {
    planted: &OUTER_AT_INPUT,
    among: NAMES,
    mended: &MENDED,
};

/// `sin((e^(3t))²)`, of the chapter.
fn fast(t: f64) -> f64 {
    (6. * t).exp().sin()
}

/// A step for which the central difference at `t = 1.2` is good to 1e-7.
pub static STEP: Special<Option<f64>> = Special(step);

fn step(h: Option<f64>, _seed: u64) -> Verdict {
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
    Verdict::Failed(if !(h.is_finite() && h >= 0.) {
        report.remark("h is a small positive number")
    } else if h > 1e-8 {
        report.name(&STEP_TOO_LARGE, Evidence::Ratio)
    } else {
        report.name(&STEP_TOO_SMALL, Evidence::Ratio)
    })
}
