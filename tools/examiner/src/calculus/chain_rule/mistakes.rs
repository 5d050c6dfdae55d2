//! The mistakes of the chain rule, and what each returns.

use crate::general::{BIAS_FORGOTTEN, BIAS_VIA_WEIGHTS, UPSTREAM_ONLY};
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

/// `x`, `w` and the sum `z = x·w + b`.
fn line(i: &Inputs) -> (f64, f64, f64) {
    let (x, w) = (i.number("x"), i.number("w"));
    (x, w, x * w + i.number("b"))
}

/// What each gradient is if the error at the sum is `dz` and not what it
/// should be.
fn below(i: &Inputs, gradient: &str, dz: f64) -> ArrayD<f64> {
    let (x, w, _) = line(i);
    let local = match gradient {
        "dx" => w,
        "dw" => x,
        _ => 1.,
    };
    arr0(i.number("dy") * dz * local).into_dyn()
}

/// Of `(x·w + b)²`.
pub const LINE_SQUARED: &[Wrong] = &[
    number("dw", &FACTORS_SWAPPED, |i| slope_of_square(i) * line(i).1),
    number("dx", &FACTORS_SWAPPED, |i| slope_of_square(i) * line(i).0),
    number("db", &BIAS_VIA_WEIGHTS, |i| slope_of_square(i) * line(i).0),
    ways(EVERY, &OUTER_AT_INPUT, 6, |i, g, way| {
        let (x, w, b) = (line(i).0, line(i).1, i.number("b"));
        let at = [x, w, b, x + w, x + b, w + b][way];
        below(i, g, 2. * at)
    }),
    each(&BIAS_FORGOTTEN, |i, g| {
        below(i, g, 2. * line(i).0 * line(i).1)
    }),
    each(&SLOPE_OF_OUTPUT, |i, g| below(i, g, 2. * line(i).2.powi(2))),
    each(&VALUE_FOR_SLOPE, |i, g| below(i, g, line(i).2.powi(2))),
    each(&OUTER_FORGOTTEN, |i, g| below(i, g, 1.)),
    number("dw", &ADDED_NOT_MULTIPLIED, |i| {
        i.number("dy") * (2. * line(i).2 + line(i).0)
    }),
    number("dx", &ADDED_NOT_MULTIPLIED, |i| {
        i.number("dy") * (2. * line(i).2 + line(i).1)
    }),
    number("db", &ADDED_NOT_MULTIPLIED, |i| {
        i.number("dy") * (2. * line(i).2 + 1.)
    }),
    number("dw", &INNER_FORGOTTEN, slope_of_square),
    number("dx", &INNER_FORGOTTEN, slope_of_square),
    // Of the square multiplied out, x²w² + 2xwb + b²: one 2 forgotten.
    ways("db", &POWER_WITHOUT_TWO, 2, |i, _, way| {
        let (xw, b) = (line(i).0 * line(i).1, i.number("b"));
        arr0(i.number("dy") * [2. * xw + b, xw + 2. * b][way]).into_dyn()
    }),
    ways("dw", &POWER_WITHOUT_TWO, 2, |i, _, way| {
        let (x, w, b) = (line(i).0, line(i).1, i.number("b"));
        arr0(i.number("dy") * x * [2. * x * w + b, x * w + 2. * b][way])
            .into_dyn()
    }),
    ways("dx", &POWER_WITHOUT_TWO, 2, |i, _, way| {
        let (x, w, b) = (line(i).0, line(i).1, i.number("b"));
        arr0(i.number("dy") * w * [2. * x * w + b, x * w + 2. * b][way])
            .into_dyn()
    }),
    factor(EVERY, &POWER_WITHOUT_TWO, |_| 0.5),
];

fn slope_of_square(i: &Inputs) -> f64 {
    i.number("dy") * 2. * line(i).2
}

/// What arrives at the exponential, the square, the sine, and what leaves it.
fn f_of_g(t: f64) -> [f64; 4] {
    let u = (3. * t).exp();
    [3. * t, u, u * u, (u * u).sin()]
}

const F_OF_G_AT: [Wrong; 2] = misplaced!(
    "t", |t, [exp, square, sine]| 3. * exp.exp() * 2. * square * sine.cos(),
    [
        [3. * t, f_of_g(t)[1], t],
        [f_of_g(t)[1], f_of_g(t)[2], t, 3. * t],
        {
            let [s, u, v, y] = f_of_g(t);
            [v, y, t, t * t, s, u, 2. * u]
        }
    ] of [3, 4, 7]
);

/// Of `f(g(t))` with `f(u) = sin(u²)`, `g(t) = e^(3t)`.
pub const F_OF_G: &[Wrong] = &[
    F_OF_G_AT[0],
    F_OF_G_AT[1],
    factor("dt", &LINK_FORGOTTEN, |_| 1. / 6.),
    slope!("t", &ORDER_SWAPPED, |t| {
        6. * t * (t * t).cos() * (3. * (t * t).sin()).exp()
    }),
    slope!("t", &INNER_FORGOTTEN, |t| {
        2. * (3. * t).exp() * (6. * t).exp().cos()
    }),
    slope!("t", &INNER_FORGOTTEN, |t| (6. * t).exp().cos()),
    slope!("t", &OUTER_FORGOTTEN, |t| 3. * (3. * t).exp()),
    slope!("t", &OUTER_FORGOTTEN, |t| 6. * (6. * t).exp()),
    factor("dt", &LINK_FORGOTTEN, |i| (-3. * i.number("t")).exp()),
    factor("dt", &LINK_FORGOTTEN, |i| 0.5 * (-3. * i.number("t")).exp()),
    factor("dt", &LINK_FORGOTTEN, |_| 1. / 3.),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        v.cos() * 2. * u + 3. * u
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        (v.cos() + 2. * u) * 3. * u
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        v.cos() * 2. * u * (u + 3.)
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        v.cos() + 2. * u + u + 3.
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [_, u, v, _] = f_of_g(t);
        v.cos() + 2. * u + 3. * u
    }),
    slope!("t", &VALUE_FOR_SLOPE, |t| {
        let [_, u, _, y] = f_of_g(t);
        y * 2. * u * 3. * u
    }),
    slope!("t", &VALUE_FOR_SLOPE, |t| {
        let [_, u, v, _] = f_of_g(t);
        v.cos() * v * 3. * u
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        1. / (6. * (6. * t).exp() * (6. * t).exp().cos())
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        2. / 3. * (6. * t).exp().cos()
    }),
    slope!("t", &UPSTREAM_ONLY, |_t| 1.),
    factor("dt", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// What arrives at the sine, at the factor 3, at the exponential, and what
/// leaves it.
fn g_of_f(t: f64) -> [f64; 4] {
    let p = t * t;
    let r = 3. * p.sin();
    [p, p.sin(), r, r.exp()]
}

const G_OF_F_AT: [Wrong; 2] = misplaced!(
    "t", |t, [square, sine, exp]| 2. * square * sine.cos() * 3. * exp.exp(),
    [
        [t, t * t],
        [t * t, g_of_f(t)[1], t, 2. * t, 3. * t, (3. * t).exp()],
        {
            let [p, q, r, y] = g_of_f(t);
            [r, y, t, p, q, 3. * t, 3. * p]
        }
    ] of [2, 6, 7]
);

/// Of `g(f(t))`.
pub const G_OF_F: &[Wrong] = &[
    G_OF_F_AT[0],
    G_OF_F_AT[1],
    factor("dt", &LINK_FORGOTTEN, |_| 1. / 6.),
    slope!("t", &ORDER_SWAPPED, |t| {
        6. * (6. * t).exp() * (6. * t).exp().cos()
    }),
    slope!("t", &INNER_FORGOTTEN, |t| {
        3. * (3. * (t * t).sin()).exp()
    }),
    slope!("t", &INNER_FORGOTTEN, |t| (3. * (t * t).sin()).exp()),
    factor("dt", &INNER_FORGOTTEN, |i| 0.5 / i.number("t")),
    slope!("t", &OUTER_FORGOTTEN, |t| 6. * t * (t * t).cos()),
    slope!("t", &OUTER_FORGOTTEN, |t| 2. * t * (t * t).cos()),
    slope!("t", &LINK_FORGOTTEN, |t| {
        6. * t * (3. * (t * t).sin()).exp()
    }),
    factor("dt", &LINK_FORGOTTEN, |_| 1. / 3.),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, _, _, y] = g_of_f(t);
        3. * y + 2. * t * p.cos()
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, _, _, y] = g_of_f(t);
        3. * y * (2. * t + p.cos())
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, _, _, y] = g_of_f(t);
        y + 3. + p.cos() + 2. * t
    }),
    slope!("t", &ADDED_NOT_MULTIPLIED, |t| {
        let [p, _, _, y] = g_of_f(t);
        3. * y + p.cos() + 2. * t
    }),
    slope!("t", &VALUE_FOR_SLOPE, |t| {
        let [_, q, _, y] = g_of_f(t);
        3. * y * q * 2. * t
    }),
    slope!("t", &VALUE_FOR_SLOPE, |t| {
        let [p, _, _, y] = g_of_f(t);
        3. * y * p.cos() * p
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        let [p, _, _, y] = g_of_f(t);
        1. / (3. * y * p.cos() * 2. * t)
    }),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        let [p, _, _, y] = g_of_f(t);
        3. * y / (p.cos() * 2. * t)
    }),
    slope!("t", &UPSTREAM_ONLY, |_t| 1.),
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
