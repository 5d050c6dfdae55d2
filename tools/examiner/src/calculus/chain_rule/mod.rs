//! The exam of the chain rule.

pub mod mistakes;
mod tasks;

use self::mistakes::{NAMES, OUTER_AT_INPUT, STEP_TOO_LARGE, STEP_TOO_SMALL};
use crate::judge::{Cases, Hunt, Inputs, Predict, Special, Vjp};
use crate::verdict::{Evidence, Report, Verdict};
use crate::{Exercise, Sampler, arrays};
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
    why: "The sine stands at 5.76, where it rises: cos 5.76 = 0.866. Taken \
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

fn scalar(v: f64) -> ArrayD<f64> {
    arr0(v).into_dyn()
}

fn sine_of_square(x: f64) -> f64 {
    (x * x).sin()
}

/// `dx` for `sin(x²)`.
pub static SINE_OF_SQUARE: Vjp<Scalar> = Vjp {
    forward: |i| scalar(sine_of_square(i.number("x"))),
    cotangent: "dy",
    gradients: &[("dx", "x")],
    call: |f, i| arrays![f(i.number("x"), i.number("dy"))],
    cases: |draw| places(draw, "x", (-2., 2.), sine_of_square),
    batch: None,
    wrong: mistakes::SINE_OF_SQUARE,
};

fn line(i: &Inputs) -> f64 {
    i.number("x") * i.number("w") + i.number("b")
}

/// The three gradients of `(x·w + b)²`, counted from the loss.
pub static LINE_SQUARED: Vjp<LineSquared> = Vjp {
    forward: |i| scalar(line(i).powi(2)),
    cotangent: "dy",
    gradients: &[("db", "b"), ("dw", "w"), ("dx", "x")],
    call: |f, i| {
        let (x, w, b) = (i.number("x"), i.number("w"), i.number("b"));
        let (dx, dw, db) = f(x, w, b, i.number("dy"));
        arrays![db, dw, dx]
    },
    cases: |draw| {
        let case = |[x, w, b]: [f64; 3], dy| {
            let line = Inputs::default().with("x", x).with("w", w);
            line.with("b", b).with("dy", dy)
        };
        let mut usual = Vec::new();
        while usual.len() < 5 {
            let i = case([0.; 3].map(|_| draw.number()), draw.number());
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
        let rare = rare.map(|xwb| case(xwb, draw.number()));
        Cases::new(usual, rare.into())
    },
    batch: None,
    wrong: mistakes::LINE_SQUARED,
};

fn fast(t: f64) -> f64 {
    (6. * t).exp().sin()
}

/// `dt` for `sin((e^(3t))²)`.
pub static F_OF_G: Vjp<Scalar> = Vjp {
    forward: |i| scalar(fast(i.number("t"))),
    cotangent: "dy",
    gradients: &[("dt", "t")],
    call: |f, i| arrays![f(i.number("t"), i.number("dy"))],
    cases: |draw| places(draw, "t", (-0.5, 0.3), fast),
    batch: None,
    wrong: mistakes::F_OF_G,
};

fn g_of_f(t: f64) -> f64 {
    (3. * (t * t).sin()).exp()
}

/// `dt` for `e^(3 sin(t²))`.
pub static G_OF_F: Vjp<Scalar> = Vjp {
    forward: |i| scalar(g_of_f(i.number("t"))),
    cotangent: "dy",
    gradients: &[("dt", "t")],
    call: |f, i| arrays![f(i.number("t"), i.number("dy"))],
    cases: |draw| places(draw, "t", (-1.2, 1.2), g_of_f),
    batch: None,
    wrong: mistakes::G_OF_F,
};

/// `dx` for `tanh(x)`, given `y` instead of `x`.
pub static TANH_FROM_OUTPUT: Vjp<Scalar> = Vjp {
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

fn exp_of_sine(x: f64) -> f64 {
    x.sin().exp()
}

static MENDED: Vjp<Scalar> = Vjp {
    forward: |i| scalar(exp_of_sine(i.number("x"))),
    cotangent: "dy",
    gradients: &[("dx", "x")],
    call: |f, i| arrays![f(i.number("x"), i.number("dy"))],
    cases: |draw| places(draw, "x", (-1.4, 1.4), exp_of_sine),
    batch: None,
    wrong: mistakes::EXP_OF_SINE,
};

/// The planted bug's name, then the mended function.
pub static FIND_THE_BUG: Hunt<Scalar> = Hunt {
    planted: &OUTER_AT_INPUT,
    among: NAMES,
    mended: &MENDED,
};

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
    Verdict::Failed(if !(h.is_finite() && h > 0.) {
        report.remark("h is a small positive number")
    } else if h > 1e-8 {
        report.name(&STEP_TOO_LARGE, Evidence::Ratio)
    } else {
        report.name(&STEP_TOO_SMALL, Evidence::Ratio)
    })
}
