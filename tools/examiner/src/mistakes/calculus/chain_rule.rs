//! What the mistakes of the chain rule return.

use crate::judge::{Case, Mistaken};
use ndarray::{ArrayD, arr0};

/// Input `k` and the cotangent of a case of single numbers.
fn number(c: &Case, k: usize) -> f64 {
    c.inputs[k].sum()
}

fn dy(c: &Case) -> f64 {
    c.dy.sum()
}

fn scalar(v: f64) -> Option<ArrayD<f64>> {
    Some(arr0(v).into_dyn())
}

/// Mistakes of `dx` for `sin(x²)`.
pub const SINE_OF_SQUARE: &[(&str, Mistaken<'static>)] = &[
    ("OUTER_AT_INPUT", &|c, _| {
        let x = number(c, 0);
        scalar(dy(c) * x.cos() * 2. * x)
    }),
    ("INNER_FORGOTTEN", &|c, _| {
        scalar(dy(c) * number(c, 0).powi(2).cos())
    }),
    ("OUTER_FORGOTTEN", &|c, _| scalar(dy(c) * 2. * number(c, 0))),
    ("ADDED_NOT_MULTIPLIED", &|c, _| {
        let x = number(c, 0);
        scalar(dy(c) * (x.powi(2).cos() + 2. * x))
    }),
    ("VALUE_FOR_SLOPE", &|c, _| {
        let x = number(c, 0);
        scalar(dy(c) * x.powi(2).sin() * 2. * x)
    }),
];

/// Mistakes of `(dx, dw, db)` for `(x·w + b)²`.
pub const LINE_SQUARED: &[(&str, Mistaken<'static>)] = &[
    ("FACTORS_SWAPPED", &|c, g| {
        let (x, w, b) = (number(c, 0), number(c, 1), number(c, 2));
        let d = 2. * (x * w + b) * dy(c);
        match g {
            "dw" => scalar(d * w),
            "dx" => scalar(d * x),
            _ => None,
        }
    }),
    ("BIAS_VIA_WEIGHTS", &|c, g| {
        let (x, w, b) = (number(c, 0), number(c, 1), number(c, 2));
        (g == "db").then(|| scalar(2. * (x * w + b) * dy(c) * x))?
    }),
    ("OUTER_AT_INPUT", &|c, g| {
        let (x, w) = (number(c, 0), number(c, 1));
        let d = 2. * x * dy(c);
        scalar(match g {
            "db" => d,
            "dw" => d * x,
            _ => d * w,
        })
    }),
    ("BIAS_FORGOTTEN", &|c, g| {
        let (x, w) = (number(c, 0), number(c, 1));
        let d = 2. * x * w * dy(c);
        scalar(match g {
            "db" => d,
            "dw" => d * x,
            _ => d * w,
        })
    }),
    ("INNER_FORGOTTEN", &|c, g| {
        let (x, w, b) = (number(c, 0), number(c, 1), number(c, 2));
        let d = 2. * (x * w + b) * dy(c);
        (g != "db").then(|| scalar(d))?
    }),
];

fn f_of_g(t: f64) -> f64 {
    6. * (6. * t).exp() * (6. * t).exp().cos()
}

fn g_of_f(t: f64) -> f64 {
    6. * t * (t * t).cos() * (3. * (t * t).sin()).exp()
}

/// Mistakes of `f(g(t))` with `f(u) = sin(u²)`, `g(t) = e^(3t)`.
pub const F_OF_G: &[(&str, Mistaken<'static>)] = &[
    ("ORDER_SWAPPED", &|c, _| {
        scalar(dy(c) * g_of_f(number(c, 0)))
    }),
    ("OUTER_AT_INPUT", &|c, _| {
        let t = number(c, 0);
        scalar(dy(c) * (t * t).cos() * 2. * t * 3. * (3. * t).exp())
    }),
    ("INNER_FORGOTTEN", &|c, _| {
        let u = (3. * number(c, 0)).exp();
        scalar(dy(c) * (u * u).cos() * 2. * u)
    }),
    ("LINK_FORGOTTEN", &|c, _| {
        let t = number(c, 0);
        scalar(dy(c) * f_of_g(t) / (3. * t).exp())
    }),
    ("LINK_FORGOTTEN", &|c, _| {
        scalar(dy(c) * f_of_g(number(c, 0)) / 3.)
    }),
    ("INVERSE_DERIVATIVE", &|c, _| {
        scalar(dy(c) / f_of_g(number(c, 0)))
    }),
];

/// Mistakes of `g(f(t))`.
pub const G_OF_F: &[(&str, Mistaken<'static>)] = &[
    ("ORDER_SWAPPED", &|c, _| {
        scalar(dy(c) * f_of_g(number(c, 0)))
    }),
    ("OUTER_AT_INPUT", &|c, _| {
        let t = number(c, 0);
        scalar(dy(c) * 3. * (3. * t).exp() * (t * t).cos() * 2. * t)
    }),
    ("INNER_FORGOTTEN", &|c, _| {
        let u = number(c, 0).powi(2).sin();
        scalar(dy(c) * 3. * (3. * u).exp())
    }),
    ("LINK_FORGOTTEN", &|c, _| {
        scalar(dy(c) * g_of_f(number(c, 0)) / 3.)
    }),
];

/// Mistakes of `tanh` from its output: the input of a case is `y` itself.
pub const TANH: &[(&str, Mistaken<'static>)] = &[
    ("SLOPE_OF_OUTPUT", &|c, _| {
        scalar(dy(c) * (1. - number(c, 0).tanh().tanh().powi(2)))
    }),
    ("SIGMOID_SLOPE", &|c, _| {
        let y = number(c, 0).tanh();
        scalar(dy(c) * y * (1. - y))
    }),
    ("UPSTREAM_ONLY", &|c, _| scalar(dy(c))),
    ("INVERSE_DERIVATIVE", &|c, _| {
        scalar(dy(c) / (1. - number(c, 0).tanh().powi(2)))
    }),
];

/// Mistakes of `exp(sin x)`.
pub const EXP_OF_SINE: &[(&str, Mistaken<'static>)] = &[
    ("OUTER_AT_INPUT", &|c, _| {
        let x = number(c, 0);
        scalar(dy(c) * x.exp() * x.cos())
    }),
    ("INNER_FORGOTTEN", &|c, _| {
        scalar(dy(c) * number(c, 0).sin().exp())
    }),
];
