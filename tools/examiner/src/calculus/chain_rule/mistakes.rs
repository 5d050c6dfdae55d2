//! The mistakes of the chain rule, and what each returns.

use crate::general::{BIAS_FORGOTTEN, BIAS_VIA_WEIGHTS, UPSTREAM_ONLY};
use crate::judge::{EVERY, Inputs, Wrong, factor, number};

crate::names! { "calculus/chain_rule.md";
    FACTORS_SWAPPED "#flat-code":
        "Each factor of a product is given its own value instead of the other \
         one.",
        "The derivative of a product with respect to one factor is the other \
         one.",
        "the gradient of a factor grows with that factor itself";
    OUTER_AT_INPUT "#where-the-outer-derivative-is-taken":
        "The outer derivative is taken at x, not at what arrives there.",
        "A slope is taken where the function stands: in f(g(x)) the outer one \
         at g(x).",
        "the outer slope evaluated at the input of the whole chain";
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
        "The outer function itself stands where its derivative belongs.",
        "Only exp is its own derivative; the slope of sin is cos.",
        "the value of the outer function as a factor";
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
        "The output is treated as if it were the input.",
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

/// Of `sin(x²)`.
pub const SINE_OF_SQUARE: &[Wrong] = &[
    slope!("x", &OUTER_AT_INPUT, |x| x.cos() * 2. * x),
    slope!("x", &INNER_FORGOTTEN, |x| (x * x).cos()),
    slope!("x", &OUTER_FORGOTTEN, |x| 2. * x),
    slope!("x", &ADDED_NOT_MULTIPLIED, |x| (x * x).cos() + 2. * x),
    slope!("x", &VALUE_FOR_SLOPE, |x| (x * x).sin() * 2. * x),
    factor("dx", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// `x`, `w`, and the error at the sum `x·w + b`.
fn line(i: &Inputs) -> (f64, f64, f64) {
    let (x, w) = (i.number("x"), i.number("w"));
    (x, w, 2. * (x * w + i.number("b")) * i.number("dy"))
}

/// The error at the square if its slope is taken at `at`.
fn slope_at(at: f64, i: &Inputs) -> f64 {
    2. * at * i.number("dy")
}

/// Of `(x·w + b)²`.
pub const LINE_SQUARED: &[Wrong] = &[
    number("dw", &FACTORS_SWAPPED, |i| line(i).2 * line(i).1),
    number("dx", &FACTORS_SWAPPED, |i| line(i).2 * line(i).0),
    number("db", &BIAS_VIA_WEIGHTS, |i| line(i).2 * line(i).0),
    number("db", &OUTER_AT_INPUT, |i| slope_at(line(i).0, i)),
    number("dw", &OUTER_AT_INPUT, |i| {
        slope_at(line(i).0, i) * line(i).0
    }),
    number("dx", &OUTER_AT_INPUT, |i| {
        slope_at(line(i).0, i) * line(i).1
    }),
    number("db", &BIAS_FORGOTTEN, |i| {
        slope_at(line(i).0 * line(i).1, i)
    }),
    number("dw", &BIAS_FORGOTTEN, |i| {
        slope_at(line(i).0 * line(i).1, i) * line(i).0
    }),
    number("dx", &BIAS_FORGOTTEN, |i| {
        slope_at(line(i).0 * line(i).1, i) * line(i).1
    }),
    number("dw", &INNER_FORGOTTEN, |i| line(i).2),
    number("dx", &INNER_FORGOTTEN, |i| line(i).2),
    factor(EVERY, &POWER_WITHOUT_TWO, |_| 0.5),
];

/// Of `f(g(t))` with `f(u) = sin(u²)`, `g(t) = e^(3t)`.
pub const F_OF_G: &[Wrong] = &[
    slope!("t", &ORDER_SWAPPED, |t| {
        6. * t * (t * t).cos() * (3. * (t * t).sin()).exp()
    }),
    slope!("t", &OUTER_AT_INPUT, |t| {
        (t * t).cos() * 2. * t * 3. * (3. * t).exp()
    }),
    slope!("t", &OUTER_AT_INPUT, |t| (t * t).cos()
        * 6.
        * (6. * t).exp()),
    slope!("t", &OUTER_AT_INPUT, |t| t.cos() * 6. * (6. * t).exp()),
    slope!("t", &OUTER_AT_INPUT, |t| {
        (6. * t).exp().cos() * 6. * t * (3. * t).exp()
    }),
    slope!("t", &INNER_FORGOTTEN, |t| {
        2. * (3. * t).exp() * (6. * t).exp().cos()
    }),
    factor("dt", &LINK_FORGOTTEN, |i| (-3. * i.number("t")).exp()),
    factor("dt", &LINK_FORGOTTEN, |_| 1. / 3.),
    slope!("t", &INVERSE_DERIVATIVE, |t| {
        1. / (6. * (6. * t).exp() * (6. * t).exp().cos())
    }),
    factor("dt", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// Of `g(f(t))`.
pub const G_OF_F: &[Wrong] = &[
    slope!("t", &ORDER_SWAPPED, |t| {
        6. * (6. * t).exp() * (6. * t).exp().cos()
    }),
    slope!("t", &OUTER_AT_INPUT, |t| {
        3. * (3. * t).exp() * (t * t).cos() * 2. * t
    }),
    slope!("t", &OUTER_AT_INPUT, |t| {
        (3. * (t * t).sin()).exp() * 6. * t * t.cos()
    }),
    slope!("t", &OUTER_AT_INPUT, |t| {
        (3. * (t * t).sin()).exp() * 6. * t * (3. * t).exp().cos()
    }),
    slope!("t", &INNER_FORGOTTEN, |t| {
        3. * (3. * (t * t).sin()).exp()
    }),
    factor("dt", &LINK_FORGOTTEN, |i| 0.5 / i.number("t")),
    factor("dt", &LINK_FORGOTTEN, |_| 1. / 3.),
    factor("dt", &POWER_WITHOUT_TWO, |_| 0.5),
];

/// Of `tanh`, from its output.
pub const TANH: &[Wrong] = &[
    slope!("x", &SLOPE_OF_OUTPUT, |x| { 1. - x.tanh().tanh().powi(2) }),
    slope!("x", &SIGMOID_SLOPE, |x| x.tanh() * (1. - x.tanh())),
    slope!("x", &UPSTREAM_ONLY, |_x| 1.),
    slope!("x", &INVERSE_DERIVATIVE, |x| x.cosh().powi(2)),
];

/// Of `exp(sin x)`.
pub const EXP_OF_SINE: &[Wrong] = &[
    slope!("x", &OUTER_AT_INPUT, |x| x.exp() * x.cos()),
    slope!("x", &INNER_FORGOTTEN, |x| x.sin().exp()),
];
