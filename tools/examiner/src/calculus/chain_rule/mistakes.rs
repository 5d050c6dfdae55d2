//! The mistakes of the chain rule, and what each returns.

use crate::general::{
    BIAS_FORGOTTEN, BIAS_VIA_WEIGHTS, SIGN_FLIPPED, UPSTREAM_ONLY,
};
use crate::judge::{EVERY, Inputs, Wrong, each, factor, number, ways};
use ndarray::{ArrayD, arr0};

crate::names! { "calculus/chain_rule.md";
    FACTORS_SWAPPED "#flat-code":
        "Each factor of a product is given its own value instead of the other \
         one, or the two gradients have changed places.",
        "The derivative of a product with respect to one factor is the other \
         one.",
        "the gradient of a factor grows with that factor itself";
    OUTER_AT_INPUT "#where-the-outer-derivative-is-taken":
        "The outer derivative is taken at x, or at another place on the way, \
         not at what arrives there.",
        "A slope is taken where the function stands: in f(g(x)) the outer one \
         at g(x).",
        "the outer slope evaluated at the input of the whole chain, or at \
         another number than the one that arrives";
    INNER_FORGOTTEN "#upstream-times-local":
        "The inner derivative is missing.",
        "Every step of the chain contributes one factor, the innermost too.",
        "the outer slope alone";
    OUTER_FORGOTTEN "#upstream-times-local":
        "The outer derivative is missing.",
        "Every step of the chain contributes one factor, the outermost too.",
        "the inner slope alone";
    LINK_FORGOTTEN "#the-order-matters":
        "One link of the chain is missing, often a constant inside a function.",
        "A multiplication by a constant is a step as well, and its slope is \
         that constant.",
        "a constant ratio of one over that constant";
    ADDED_NOT_MULTIPLIED "#upstream-times-local":
        "The local derivatives are added.",
        "Rates of change along one path multiply; only separate paths add.",
        "the sum of the slopes";
    VALUE_FOR_SLOPE "#upstream-times-local":
        "A function itself stands where its derivative belongs.",
        "Only exp is its own derivative; the slope of sin is cos.",
        "the value of a function as a factor";
    POWER_WITHOUT_TWO "#flat-code":
        "The square is differentiated without its factor 2.",
        "The slope of u² is 2u: a square grows through both of its factors.",
        "a constant ratio of 1/2";
    POWER_RULE "#the-order-matters":
        "A power is differentiated without its exponent as a factor, or with \
         the exponent as high as it was.",
        "The slope of uⁿ is n·uⁿ⁻¹: the exponent comes down in front, and one \
         less remains above.",
        "a power of what arrives at the power, times a constant";
    ORDER_SWAPPED "#the-order-matters":
        "This is the derivative of the composition in the other order.",
        "The inner function acts first; write down what arrives where before \
         you differentiate.",
        "the value of the other composition";
    INVERSE_DERIVATIVE "#upstream-times-local":
        "The cotangent is divided by the slope.",
        "Upstream is multiplied by the local derivative; dividing belongs to \
         the inverse function.",
        "the reciprocal of the slope";
    SLOPE_OF_OUTPUT "#the-sigmoid-from-its-own-output":
        "The output is treated as if it were the input: the slope is taken at \
         what leaves the function, not at what arrives.",
        "With y in hand, write the slope in terms of y; do not apply the \
         function again.",
        "the slope taken at the output";
    SIGMOID_SLOPE "#the-sigmoid-from-its-own-output":
        "The slope of the sigmoid is used for another function.",
        "y(1 - y) belongs to the sigmoid alone; derive the slope of this \
         function.",
        "y(1 - y) as a factor";
    STEP_TOO_LARGE "#is-it-right":
        "The step is so large that the function bends within it.",
        "The truncation error falls with h²: a function that turns fast needs \
         a smaller step.",
        "halving h divides the error by four";
    STEP_TOO_SMALL "#is-it-right":
        "The step is so small that rounding takes over.",
        "The difference of two nearly equal numbers keeps few digits; a larger \
         step keeps more.",
        "halving h makes the error larger";
}

/// One number, times the cotangent.
macro_rules! slope {
    ($input:literal, $mistake:expr, |$x:ident| $slope:expr) => {
        number(concat!("d", $input), $mistake, |i| {
            let $x = i.number($input);
            i.number("dy") * $slope
        })
    };
}

/// A product of slopes, each taken at one of several places: first what arrives
/// at its function, then what leaves it, then others.
macro_rules! misplaced {
    ($input:literal, |$x:ident, [$($at:ident),+]| $slope:expr,
     [$($places:expr),+] of [$($many:literal),+]) => {
        [
            misplaced!(OUTER_AT_INPUT, false, $input, $x, [$($at),+], $slope,
                       [$($places),+], [$($many),+]),
            misplaced!(SLOPE_OF_OUTPUT, true, $input, $x, [$($at),+], $slope,
                       [$($places),+], [$($many),+]),
        ]
    };
    ($mistake:ident, $at_outputs:literal, $input:literal, $x:ident,
     [$($at:ident),+], $slope:expr, [$($places:expr),+], [$($many:literal),+])
    => {
        ways(concat!("d", $input), &$mistake, 1 $(* $many)+, |i, _, way| {
            let $x = i.number($input);
            let (mut way, mut last) = (way, 0);
            $(
                let places: [f64; $many] = $places;
                let $at = places[way % $many];
                last = last.max(way % $many);
                way /= $many;
            )+
            assert!(way == 0, "no more ways than products of places");
            let wrong = if $at_outputs { last == 1 } else { last > 1 };
            let slope = if wrong { $slope } else { f64::NAN };
            arr0(i.number("dy") * slope).into_dyn()
        })
    };
}

const SINE_OF_SQUARE_AT: [Wrong; 2] = misplaced!(
    "x", |x, [square, sine]| 2. * square * sine.cos(),
    [[x, x * x], [x * x, (x * x).sin(), x, 2. * x]] of [2, 4]
);

/// Of `sin(x²)`.
pub const SINE_OF_SQUARE: &[Wrong] = &[
    SINE_OF_SQUARE_AT[0],
    SINE_OF_SQUARE_AT[1],
    slope!("x", &INNER_FORGOTTEN, |x| (x * x).cos()),
    slope!("x", &OUTER_FORGOTTEN, |x| 2. * x),
    slope!("x", &ADDED_NOT_MULTIPLIED, |x| (x * x).cos() + 2. * x),
    slope!("x", &VALUE_FOR_SLOPE, |x| (x * x).sin() * 2. * x),
    slope!("x", &VALUE_FOR_SLOPE, |x| (x * x).cos() * x * x),
    slope!("x", &VALUE_FOR_SLOPE, |x| (x * x).sin() * x * x),
    slope!("x", &ORDER_SWAPPED, |x| (2. * x).sin()),
    slope!("x", &INVERSE_DERIVATIVE, |x| {
        1. / ((x * x).cos() * 2. * x)
    }),
    slope!("x", &INVERSE_DERIVATIVE, |x| (x * x).cos() / (2. * x)),
    slope!("x", &INVERSE_DERIVATIVE, |x| 2. * x / (x * x).cos()),
    slope!("x", &UPSTREAM_ONLY, |_x| 1.),
    factor("dx", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// `x`, `w` and the difference `z = b - x·w`.
fn line(i: &Inputs) -> (f64, f64, f64) {
    let (x, w) = (i.number("x"), i.number("w"));
    (x, w, i.number("b") - x * w)
}

/// What each gradient is if the error at the difference is `dz` and not what
/// it should be.
fn below(i: &Inputs, gradient: &str, dz: f64) -> ArrayD<f64> {
    let (x, w, _) = line(i);
    let local = match gradient {
        "dx" => -w,
        "dw" => -x,
        _ => 1.,
    };
    arr0(i.number("dy") * dz * local).into_dyn()
}

/// Of `(b - x·w)²`.
pub const LINE_SQUARED: &[Wrong] = &[
    number("dw", &FACTORS_SWAPPED, |i| -slope_of_square(i) * line(i).1),
    number("dx", &FACTORS_SWAPPED, |i| -slope_of_square(i) * line(i).0),
    ways("db", &BIAS_VIA_WEIGHTS, 2, |i, _, way| {
        arr0(slope_of_square(i) * [1., -1.][way] * line(i).0).into_dyn()
    }),
    ways(EVERY, &OUTER_AT_INPUT, 7, |i, g, way| {
        let (x, w, b) = (line(i).0, line(i).1, i.number("b"));
        let at = [x, w, b, b - x, b - w, x - w, x * w][way];
        below(i, g, 2. * at)
    }),
    // The plus of the chapter's own line in place of the minus.
    ways(EVERY, &SIGN_FLIPPED, 2, |i, g, way| {
        let sum = i.number("b") + line(i).0 * line(i).1;
        let sign = if g == "db" { 1. } else { [1., -1.][way] };
        below(i, g, 2. * sign * sum)
    }),
    each(&BIAS_FORGOTTEN, |i, g| {
        below(i, g, -2. * line(i).0 * line(i).1)
    }),
    each(&SLOPE_OF_OUTPUT, |i, g| below(i, g, 2. * line(i).2.powi(2))),
    each(&VALUE_FOR_SLOPE, |i, g| below(i, g, line(i).2.powi(2))),
    each(&OUTER_FORGOTTEN, |i, g| below(i, g, 1.)),
    number("dw", &ADDED_NOT_MULTIPLIED, |i| {
        i.number("dy") * (2. * line(i).2 - line(i).0)
    }),
    number("dx", &ADDED_NOT_MULTIPLIED, |i| {
        i.number("dy") * (2. * line(i).2 - line(i).1)
    }),
    number("db", &ADDED_NOT_MULTIPLIED, |i| {
        i.number("dy") * (2. * line(i).2 + 1.)
    }),
    // With its minus, or without that as well.
    ways("dw", &INNER_FORGOTTEN, 2, |i, _, way| {
        arr0(slope_of_square(i) * [1., -1.][way]).into_dyn()
    }),
    ways("dx", &INNER_FORGOTTEN, 2, |i, _, way| {
        arr0(slope_of_square(i) * [1., -1.][way]).into_dyn()
    }),
    // Of the square multiplied out, x²w² - 2xwb + b²: one 2 forgotten.
    ways("db", &POWER_WITHOUT_TWO, 2, |i, _, way| {
        let (xw, b) = (line(i).0 * line(i).1, i.number("b"));
        arr0(i.number("dy") * [b - 2. * xw, 2. * b - xw][way]).into_dyn()
    }),
    ways("dw", &POWER_WITHOUT_TWO, 2, |i, _, way| {
        let (x, w, b) = (line(i).0, line(i).1, i.number("b"));
        arr0(i.number("dy") * x * [2. * x * w - b, x * w - 2. * b][way])
            .into_dyn()
    }),
    ways("dx", &POWER_WITHOUT_TWO, 2, |i, _, way| {
        let (x, w, b) = (line(i).0, line(i).1, i.number("b"));
        arr0(i.number("dy") * w * [2. * x * w - b, x * w - 2. * b][way])
            .into_dyn()
    }),
    factor(EVERY, &POWER_WITHOUT_TWO, |_| 0.5),
];

fn slope_of_square(i: &Inputs) -> f64 {
    i.number("dy") * 2. * line(i).2
}

/// What arrives at the logarithm, the cube, the cosine, and what leaves it.
fn f_of_g(t: f64) -> [f64; 4] {
    let s = 1. + t * t;
    let u = s.ln();
    [s, u, u.powi(3), u.powi(3).cos()]
}

/// The derivative of `f` at what arrives there, and that of `g`.
fn slopes_of_f_of_g(t: f64) -> (f64, f64) {
    let [s, u, v, _] = f_of_g(t);
    (-v.sin() * 3. * u * u, 2. * t / s)
}

const F_OF_G_AT: [Wrong; 2] = misplaced!(
    "t", |t, [ln, cube, cos]|
        2. * t / ln * 3. * cube * cube * -cos.sin(),
    [
        [f_of_g(t)[0], f_of_g(t)[1], t, t * t],
        {
            let [s, u, v, _] = f_of_g(t);
            [u, v, t, t * t, s]
        },
        {
            let [s, u, v, y] = f_of_g(t);
            [v, y, t, t.powi(3), s, u, 3. * u * u]
        }
    ] of [4, 5, 7]
);

/// Of `f(g(t))` with `f(u) = cos(u³)`, `g(t) = ln(1 + t²)`.
pub const F_OF_G: &[Wrong] = &[
    F_OF_G_AT[0],
    F_OF_G_AT[1],
    slope!("t", &ORDER_SWAPPED, |t| {
        let [p, q, r, _] = g_of_f(t);
        2. * q / r * -p.sin() * 3. * t * t
    }),
    slope!("t", &INNER_FORGOTTEN, |t| slopes_of_f_of_g(t).0),
    slope!("t", &INNER_FORGOTTEN, |t| -f_of_g(t)[2].sin()),
    slope!("t", &INNER_FORGOTTEN, |t| {
        slopes_of_f_of_g(t).0 / f_of_g(t)[0]
    }),
    slope!("t", &OUTER_FORGOTTEN, |t| slopes_of_f_of_g(t).1),
    slope!("t", &OUTER_FORGOTTEN, |t| {
        3. * f_of_g(t)[1].powi(2) * slopes_of_f_of_g(t).1
    }),
    slope!("t", &LINK_FORGOTTEN, |t| slopes_of_f_of_g(t).0 * 2. * t),
    slope!("t", &LINK_FORGOTTEN, |t| {
        -f_of_g(t)[2].sin() * slopes_of_f_of_g(t).1
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        slopes_of_f_of_g(t).0 + slopes_of_f_of_g(t).1
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        (-v.sin() + 3. * u * u) * slopes_of_f_of_g(t).1
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        slopes_of_f_of_g(t).0 * (1. / f_of_g(t)[0] + 2. * t)
    }),
    // The slopes of t² and of the 1 that is added to it.
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        slopes_of_f_of_g(t).0 * (1. + 2. * t) / f_of_g(t)[0]
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [s, u, v, _] = f_of_g(t);
        -v.sin() + 3. * u * u + 1. / s + 2. * t
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [s, u, v, _] = f_of_g(t);
        -v.sin() + 3. * u * u + 1. / s + 1. + 2. * t
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        -v.sin() + 3. * u * u + slopes_of_f_of_g(t).1
    }),
    ways("dt", &VALUE_FOR_SLOPE, 4, |i, _, way| {
        let t = i.number("t");
        let [s, u, v, y] = f_of_g(t);
        let slope = [
            y * 3. * u * u * 2. * t / s,
            -y * 3. * u * u * 2. * t / s,
            -v.sin() * v * 2. * t / s,
            -v.sin() * 3. * u * u * u * 2. * t,
        ];
        arr0(i.number("dy") * slope[way]).into_dyn()
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        1. / (slopes_of_f_of_g(t).0 * slopes_of_f_of_g(t).1)
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        slopes_of_f_of_g(t).0 / slopes_of_f_of_g(t).1
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        slopes_of_f_of_g(t).0 * f_of_g(t)[0] * 2. * t
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        slopes_of_f_of_g(t).0 / (f_of_g(t)[0] * 2. * t)
    }),
    slope!("t", &UPSTREAM_ONLY, |_t| 1.),
    // Of the cube, and of the square and the cube.
    factor("dt", &POWER_RULE, |_| 1. / 3.),
    factor("dt", &POWER_RULE, |_| 1. / 6.),
    factor("dt", &POWER_RULE, |i| f_of_g(i.number("t"))[1]),
    factor("dt", &POWER_RULE, |i| 1. / f_of_g(i.number("t"))[1]),
    factor("dt", &POWER_RULE, |i| i.number("t")),
    factor("dt", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// What arrives at the cosine, at the square, at the logarithm, and what
/// leaves it.
fn g_of_f(t: f64) -> [f64; 4] {
    let p = t.powi(3);
    let q = p.cos();
    let r = 1. + q * q;
    [p, q, r, r.ln()]
}

/// The derivative of `g` at what arrives there, and that of `f`.
fn slopes_of_g_of_f(t: f64) -> (f64, f64) {
    let [p, q, r, _] = g_of_f(t);
    (2. * q / r, -p.sin() * 3. * t * t)
}

const G_OF_F_AT: [Wrong; 2] = misplaced!(
    "t", |t, [cube, cos, square, ln]|
        3. * cube * cube * -cos.sin() * 2. * square / ln,
    [
        [t, t.powi(3)],
        [g_of_f(t)[0], g_of_f(t)[1], t, t * t, 3. * t * t],
        {
            let [p, q, _, _] = g_of_f(t);
            // At its output the slope of the square is 2q²: POWER_RULE.
            [q, f64::NAN, t, p, p.sin()]
        },
        {
            let [p, q, r, y] = g_of_f(t);
            [r, y, t, q * q, q, 1. + t * t, 1. + p * p, p]
        }
    ] of [2, 5, 5, 8]
);

/// Of `g(f(t))`.
pub const G_OF_F: &[Wrong] = &[
    G_OF_F_AT[0],
    G_OF_F_AT[1],
    slope!("t", &ORDER_SWAPPED, |t| {
        slopes_of_f_of_g(t).0 * slopes_of_f_of_g(t).1
    }),
    slope!("t", &INNER_FORGOTTEN, |t| slopes_of_g_of_f(t).0),
    slope!("t", &INNER_FORGOTTEN, |t| 1. / g_of_f(t)[2]),
    slope!("t", &INNER_FORGOTTEN, |t| {
        slopes_of_g_of_f(t).0 * -g_of_f(t)[0].sin()
    }),
    slope!("t", &OUTER_FORGOTTEN, |t| slopes_of_g_of_f(t).1),
    slope!("t", &OUTER_FORGOTTEN, |t| {
        2. * g_of_f(t)[1] * slopes_of_g_of_f(t).1
    }),
    slope!("t", &LINK_FORGOTTEN, |t| {
        slopes_of_g_of_f(t).0 * 3. * t * t
    }),
    slope!("t", &LINK_FORGOTTEN, |t| {
        slopes_of_g_of_f(t).1 / g_of_f(t)[2]
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        slopes_of_g_of_f(t).0 + slopes_of_g_of_f(t).1
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        slopes_of_g_of_f(t).0 * (3. * t * t - g_of_f(t)[0].sin())
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, q, r, _] = g_of_f(t);
        (1. / r + 2. * q) * slopes_of_g_of_f(t).1
    }),
    // The slopes of q² and of the 1 that is added to it.
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, q, r, _] = g_of_f(t);
        (1. + 2. * q) / r * slopes_of_g_of_f(t).1
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, q, r, _] = g_of_f(t);
        1. / r + 2. * q - p.sin() + 3. * t * t
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, q, r, _] = g_of_f(t);
        1. / r + 1. + 2. * q - p.sin() + 3. * t * t
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, _, _, _] = g_of_f(t);
        slopes_of_g_of_f(t).0 - p.sin() + 3. * t * t
    }),
    ways("dt", &VALUE_FOR_SLOPE, 4, |i, _, way| {
        let t = i.number("t");
        let [p, q, r, y] = g_of_f(t);
        let slope = [
            2. * q / r * q * 3. * t * t,
            2. * q / r * -q * 3. * t * t,
            2. * q / r * -p.sin() * p,
            2. * q * y * -p.sin() * 3. * t * t,
        ];
        arr0(i.number("dy") * slope[way]).into_dyn()
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        1. / (slopes_of_g_of_f(t).0 * slopes_of_g_of_f(t).1)
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        slopes_of_g_of_f(t).0 / slopes_of_g_of_f(t).1
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        2. * g_of_f(t)[1] * g_of_f(t)[2] * slopes_of_g_of_f(t).1
    }),
    slope!("t", &UPSTREAM_ONLY, |_t| 1.),
    // Of the cube, of the square and the cube; the exponents kept.
    factor("dt", &POWER_RULE, |_| 1. / 3.),
    factor("dt", &POWER_RULE, |_| 1. / 6.),
    factor("dt", &POWER_RULE, |i| i.number("t")),
    factor("dt", &POWER_RULE, |i| 1. / i.number("t")),
    factor("dt", &POWER_RULE, |i| g_of_f(i.number("t"))[1]),
    factor("dt", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// Of `tanh`, from its output.
pub const TANH: &[Wrong] = &[
    factor("dx", &LINK_FORGOTTEN, |_| 0.5),
    factor("dx", &LINK_FORGOTTEN, |_| 0.25),
    slope!("x", &SLOPE_OF_OUTPUT, |x| 1. - x.tanh().tanh().powi(2)),
    slope!("x", &SIGMOID_SLOPE, |x| x.tanh() * (1. - x.tanh())),
    slope!("x", &SIGMOID_SLOPE, |x| 4. * x.tanh() * (1. - x.tanh())),
    slope!("x", &UPSTREAM_ONLY, |_x| 1.),
    slope!("x", &VALUE_FOR_SLOPE, |x| x.tanh()),
    slope!("x", &VALUE_FOR_SLOPE, |x| x.tanh().tanh()),
    slope!("x", &INVERSE_DERIVATIVE, |x| x.cosh().powi(2)),
];

const EXP_OF_SINE_AT: [Wrong; 2] = misplaced!(
    "x", |x, [sine, exp]| sine.cos() * exp.exp(),
    [[x, x.sin()], [x.sin(), x.sin().exp(), x, x.cos()]] of [2, 4]
);

/// Of `exp(sin x)`.
pub const EXP_OF_SINE: &[Wrong] = &[
    EXP_OF_SINE_AT[0],
    EXP_OF_SINE_AT[1],
    slope!("x", &INNER_FORGOTTEN, |x| x.sin().exp()),
    slope!("x", &OUTER_FORGOTTEN, |x| x.cos()),
    slope!("x", &ADDED_NOT_MULTIPLIED, |x| x.sin().exp() + x.cos()),
    slope!("x", &VALUE_FOR_SLOPE, |x| x.sin().exp() * x.sin()),
    slope!("x", &ORDER_SWAPPED, |x| x.exp().cos() * x.exp()),
    slope!("x", &INVERSE_DERIVATIVE, |x| {
        1. / (x.sin().exp() * x.cos())
    }),
    slope!("x", &INVERSE_DERIVATIVE, |x| x.sin().exp() / x.cos()),
    slope!("x", &UPSTREAM_ONLY, |_x| 1.),
];
