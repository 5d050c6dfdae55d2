//! The mistakes of forward and reverse mode, and what each returns.

use crate::calculus::chain_rule::mistakes::{
    FACTORS_SWAPPED, INNER_FORGOTTEN, INVERSE_DERIVATIVE, LINK_FORGOTTEN,
    SLOPE_OF_OUTPUT,
};
use crate::general::TRANSPOSED;
use crate::judge::{Inputs, Wrong, factor, made, number, vector};
use ndarray::{ArrayD, Axis};

crate::names! { "calculus/modes.md";
    MODES_SWAPPED "#what-a-pass-costs":
        "Forward and reverse mode are exchanged.",
        "A forward pass serves one direction of the inputs, a backward pass \
         one output: few inputs, forward; few outputs, reverse.",
        "the dearer mode wherever there is a choice";
    MODE_BY_HABIT "#what-a-pass-costs":
        "One mode is taken for every question.",
        "Count the passes: forward mode needs one for each input, or for each \
         direction that is asked for, reverse mode one for each output.",
        "the same mode, whatever the number of inputs and outputs";
    MATRIX_FOR_PRODUCT "#two-products":
        "The whole Jacobian is counted where one product with it is asked \
         for.",
        "A JVP along one direction is one pass, however many inputs there \
         are; so is a VJP, however many outputs.",
        "a cost that grows with the size of the Jacobian";
    PRODUCT_OF_SLOPES "#dual-numbers":
        "The slopes are multiplied, or divided, as the values are.",
        "In (a + bε)(c + dε) the slope is what stands beside ε, and there are \
         two such terms; bd stands beside ε², which is 0.",
        "zero as soon as one of the two is a constant";
    TANGENT_DROPPED "#dual-numbers":
        "One of the two numbers is treated as if it did not move.",
        "Every number that moves contributes a term to the slope.",
        "right where that number is a constant";
    DUAL_UPDATED_EARLY "#dual-numbers":
        "The value is overwritten before the slope is formed from it.",
        "The slope is computed from what arrived: keep the old value until \
         the slope is done.",
        "right when the other number is a constant";
    QUOTIENT_RULE "#dual-numbers":
        "The square of the denominator, or the minus between the terms, is \
         lost.",
        "Solve y·b = a for the slope of y with the product rule, and read off \
         what is divided by what.",
        "off by a power of the denominator, or right for a constant \
         denominator only";
    REFLECTED_SIGN "#dual-numbers":
        "The number is taken from a constant, and its slope keeps its sign.",
        "If x rises, c - x falls: its slope is minus that of x.",
        "right for x - c, wrong for c - x";
    POWER_AT_ZERO "#programs":
        "The power is not a number where the base is 0 or below.",
        "A constant exponent needs no logarithm; and where the exponent is 0 \
         nothing moves, so 0·∞ must not be formed.",
        "NaN at base 0 or for a negative base, finite elsewhere";
    HALF_PLANE "#programs":
        "The angle is taken from the quotient y/x alone.",
        "Opposite points have the same quotient: the signs of both numbers \
         are needed.",
        "right for x > 0, off by π for x < 0";
    JVP_FOR_VJP "#two-products":
        "The product with J stands where the product with its transpose is \
         asked for.",
        "A tangent goes up through J, a cotangent comes down through the \
         transpose: ask which inputs an output depends on, and follow these \
         connections back.",
        "right where J is symmetric, as it is for functions of single \
         numbers";
    NORM_AS_CONSTANT "#a-whole-network":
        "The norm is treated as a constant.",
        "The norm moves with every entry, so it has a path of its own.",
        "the gradient along x itself is not 0";
    SEED_NOT_RESET "#ten-pictures":
        "The seed of the pass before is still there.",
        "Each pass starts from a seed with a single 1: set the others to 0 \
         again.",
        "the first row or column is right, each later one a running sum";
    DEARER_MODE "#what-a-pass-costs":
        "The Jacobian is right, but took the mode with more passes.",
        "n columns by forward mode or m rows by reverse mode: take the \
         smaller number.",
        "more passes than the smaller of n and m";
    BLIND_VECTORS "#is-it-right":
        "The two vectors hide the mistake: they are equal, or all of their \
         entries are.",
        "With u = v, a matrix and its transpose give the same number; with \
         equal entries, errors that add up to 0 do. Take uneven numbers, \
         different for u and v.",
        "a pair of products that are not adjoint is accepted";
    ABSOLUTE_TOLERANCE "#is-it-right":
        "The gap is judged by its absolute size.",
        "Rounding grows with the numbers: compare the gap with the size of \
         the terms that were added.",
        "large right numbers rejected, or small wrong ones accepted";
    PERTURBATION_CONFUSION "#programs":
        "Two nested derivatives share one ε.",
        "Each derivative needs an ε of its own: what the outer one moves is a \
         constant for the inner one.",
        "the slope of the outer variable is added to the inner derivative";
}

pub(super) const VALUE: &str = "the value";
pub(super) const SLOPE: &str = "the slope";

/// `a`, its slope, `b`, its slope.
fn two(i: &Inputs) -> [f64; 4] {
    ["a", "a_dot", "b", "b_dot"].map(|name| i.number(name))
}

/// A slope from those four.
macro_rules! slope {
    ($mistake:expr, |$a:ident, $a_dot:ident, $b:ident, $b_dot:ident|
     $slope:expr) => {
        number(SLOPE, $mistake, |i| {
            let [$a, $a_dot, $b, $b_dot] = two(i);
            $slope
        })
    };
}

/// Of `a·b`.
pub const PRODUCT: &[Wrong] = &[
    slope!(&PRODUCT_OF_SLOPES, |_a, a_dot, _b, b_dot| a_dot * b_dot),
    slope!(&TANGENT_DROPPED, |_a, a_dot, b, _b_dot| a_dot * b),
    slope!(&TANGENT_DROPPED, |a, _a_dot, _b, b_dot| a * b_dot),
    slope!(&FACTORS_SWAPPED, |a, a_dot, b, b_dot| {
        a_dot * a + b * b_dot
    }),
    slope!(&DUAL_UPDATED_EARLY, |a, a_dot, b, b_dot| {
        a_dot * b + a * b * b_dot
    }),
    slope!(&DUAL_UPDATED_EARLY, |a, a_dot, b, b_dot| {
        a_dot * a * b + a * b_dot
    }),
];

/// Of `a/b`.
pub const QUOTIENT: &[Wrong] = &[
    slope!(&PRODUCT_OF_SLOPES, |_a, a_dot, _b, b_dot| a_dot / b_dot),
    slope!(&TANGENT_DROPPED, |_a, a_dot, b, _b_dot| a_dot / b),
    slope!(&TANGENT_DROPPED, |a, _a_dot, b, b_dot| {
        -a * b_dot / (b * b)
    }),
    factor(SLOPE, &QUOTIENT_RULE, |i| i.number("b")),
    factor(SLOPE, &QUOTIENT_RULE, |i| i.number("b").powi(2)),
    slope!(&QUOTIENT_RULE, |a, a_dot, b, b_dot| a_dot / b
        - a * b_dot / b),
    slope!(&QUOTIENT_RULE, |a, a_dot, b, b_dot| a_dot / b - a * b_dot),
    slope!(&QUOTIENT_RULE, |a, a_dot, b, b_dot| {
        (a_dot * b + a * b_dot) / (b * b)
    }),
    slope!(&DUAL_UPDATED_EARLY, |a, a_dot, b, b_dot| {
        (a_dot * b - a / b * b_dot) / (b * b)
    }),
];

/// Of `xⁿ`.
pub const POWER: &[Wrong] = &[
    number(SLOPE, &INNER_FORGOTTEN, |i| {
        i.number("n") * i.number("x").powf(i.number("n") - 1.)
    }),
    factor(SLOPE, &LINK_FORGOTTEN, |i| 1. / i.number("n")),
];

/// Of the angle of a point.
pub const ANGLE: &[Wrong] = &[
    number(VALUE, &HALF_PLANE, |i| {
        (i.number("y") / i.number("x")).atan()
    }),
    factor(SLOPE, &LINK_FORGOTTEN, square),
    factor(SLOPE, &LINK_FORGOTTEN, |i| square(i).sqrt()),
    number(SLOPE, &TANGENT_DROPPED, |i| {
        i.number("x") * i.number("y_dot") / square(i)
    }),
    number(SLOPE, &TANGENT_DROPPED, |i| {
        -i.number("y") * i.number("x_dot") / square(i)
    }),
];

fn square(i: &Inputs) -> f64 {
    i.number("x").powi(2) + i.number("y").powi(2)
}

pub(super) const ROOT: &str = "dx of the root";
pub(super) const MEAN: &str = "dx of the mean";
pub(super) const SUMS: &str = "dx of the running sums";
pub(super) const DA: &str = "da of the outer product";
pub(super) const DB: &str = "db of the outer product";
pub(super) const UNIT: &str = "dx of the unit vector";

/// Of five ops.
pub const FIVE: &[Wrong] = &[
    vector(ROOT, &SLOPE_OF_OUTPUT, |i| {
        &i.vector("dy") / &i.vector("r").mapv(|x| 2. * x.sqrt().sqrt())
    }),
    vector(ROOT, &INVERSE_DERIVATIVE, |i| {
        &i.vector("dy") * &i.vector("r").mapv(|x| 2. * x.sqrt())
    }),
    factor(ROOT, &LINK_FORGOTTEN, |_| 2.),
    factor(MEAN, &LINK_FORGOTTEN, |i| i.vector("m").len() as f64),
    vector(SUMS, &JVP_FOR_VJP, |i| {
        let mut sum = i.vector("dy").to_owned();
        sum.accumulate_axis_inplace(Axis(0), |before, now| *now += before);
        sum
    }),
    vector(DA, &FACTORS_SWAPPED, |i| i.matrix("dy").dot(&i.vector("a"))),
    vector(DB, &FACTORS_SWAPPED, |i| {
        i.matrix("dy").t().dot(&i.vector("b"))
    }),
    vector(DA, &JVP_FOR_VJP, |i| i.matrix("dy").t().dot(&i.vector("b"))),
    vector(DB, &JVP_FOR_VJP, |i| i.matrix("dy").dot(&i.vector("a"))),
    vector(UNIT, &NORM_AS_CONSTANT, |i| {
        let x = i.vector("x");
        &i.vector("dy") / x.dot(&x).sqrt()
    }),
    factor(UNIT, &LINK_FORGOTTEN, |i| {
        let x = i.vector("x");
        x.dot(&x).sqrt()
    }),
];

pub(super) const MATRIX: &str = "the Jacobian";
pub(super) const PASSES: &str = "the number of passes";

/// Of a Jacobian by the cheaper mode.
pub const JACOBIAN: &[Wrong] = &[
    made(MATRIX, &TRANSPOSED, |_, j| j.t().to_owned()),
    made(MATRIX, &SEED_NOT_RESET, |_, j| running(j)),
    made(PASSES, &DEARER_MODE, |i, _| {
        let (m, n) = i.matrix("J").dim();
        ndarray::arr0(m.max(n) as f64).into_dyn()
    }),
];

/// Running sums over the passes of the cheaper mode.
fn running(j: &ArrayD<f64>) -> ArrayD<f64> {
    let mut sums = j.clone();
    let rows = j.shape()[0] < j.shape()[1];
    let over = Axis(usize::from(!rows));
    sums.accumulate_axis_inplace(over, |before, now| *now += before);
    sums
}

/// Of `x(1 - x)`.
pub const REFLECTED: &[Wrong] = &[
    number(SLOPE, &REFLECTED_SIGN, |i| i.number("x_dot")),
    number(SLOPE, &TANGENT_DROPPED, |i| {
        i.number("x_dot") * (1. - i.number("x"))
    }),
    number(SLOPE, &TANGENT_DROPPED, |i| {
        -i.number("x_dot") * i.number("x")
    }),
    number(SLOPE, &INNER_FORGOTTEN, |i| 1. - 2. * i.number("x")),
];
