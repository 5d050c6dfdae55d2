//! The chain rule.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/calculus/chain_rule.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::calculus::chain_rule as exam;
use examiner::calculus::chain_rule::mistakes::{
    ADDED_NOT_MULTIPLIED, FACTORS_SWAPPED, INNER_FORGOTTEN, INVERSE_DERIVATIVE,
    LINK_FORGOTTEN, ORDER_SWAPPED, OUTER_AT_INPUT, OUTER_FORGOTTEN,
    POWER_WITHOUT_TWO, SIGMOID_SLOPE, SLOPE_OF_OUTPUT, STEP_TOO_LARGE,
    STEP_TOO_SMALL, VALUE_FOR_SLOPE,
};
use examiner::general::WRONG_BUG;
use examiner::submission::Submissions;

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    all.task("sign", &exam::SIGN, answer::SIGN, stub::SIGN)
        .wrong(&OUTER_AT_INPUT, Some(-1));
    all.task(
        "sine_of_square",
        &exam::SINE_OF_SQUARE,
        answer::sine_of_square,
        stub::sine_of_square,
    )
    .right("chain", alt::sine_of_square_chain)
    .right("at once", alt::sine_of_square_at_once)
    .wrong(&INNER_FORGOTTEN, twins::sine_inner_forgotten)
    .wrong(&OUTER_FORGOTTEN, twins::sine_outer_forgotten)
    .wrong(&ADDED_NOT_MULTIPLIED, twins::sine_added)
    .wrong(&POWER_WITHOUT_TWO, twins::sine_half)
    .wrong(&VALUE_FOR_SLOPE, twins::sine_undifferentiated)
    .right("the sine of the complement", |x, dy| {
        dy * 2. * x * (std::f64::consts::FRAC_PI_2 - x * x).sin()
    })
    .odd("0/0 at 0", |x, dy| dy * (x * x).cos() * 2. * x.powi(2) / x)
    .odd("nothing beyond 2", |x, dy| match x.abs() {
        far if far >= 2. => 0.,
        _ => dy * (x * x).cos() * 2. * x,
    });
    all.task(
        "line_squared",
        &exam::LINE_SQUARED,
        answer::line_squared,
        stub::line_squared,
    )
    .right("expanded", alt::line_squared_expanded)
    .right("flat", alt::line_squared_flat)
    .wrong(&FACTORS_SWAPPED, twins::line_swapped)
    .odd("no gradient for a bias of 0", |x, w, b, dy| {
        let d = 2. * (x * w + b) * dy;
        (d * w, d * x, if b == 0. { 0. } else { d })
    })
    .odd("the sum without its sign", |x, w, b, dy| {
        let d = 2. * (x * w + b).abs() * dy;
        (d * w, d * x, d)
    });
    all.task("f_of_g", &exam::F_OF_G, answer::f_of_g, stub::f_of_g)
        .right("closed", alt::f_of_g_closed)
        .wrong(&ORDER_SWAPPED, twins::f_of_g_swapped)
        .wrong(&LINK_FORGOTTEN, twins::f_of_g_lost_three)
        .wrong(&INVERSE_DERIVATIVE, twins::f_of_g_reciprocal)
        .right("by powers", |t, dy| {
            let u = std::f64::consts::E.powf(3. * t);
            dy * (u * u).cos() * 2. * u * u * 3.
        });
    all.task("g_of_f", &exam::G_OF_F, answer::g_of_f, stub::g_of_f)
        .right("chain", alt::g_of_f_chain)
        .wrong(&ORDER_SWAPPED, twins::g_of_f_swapped);
    all.task(
        "tanh_from_output",
        &exam::TANH_FROM_OUTPUT,
        answer::tanh_from_output,
        stub::tanh_from_output,
    )
    .right("factored", alt::tanh_factored)
    .wrong(&SLOPE_OF_OUTPUT, twins::tanh_slope_of_output)
    .wrong(&SIGMOID_SLOPE, twins::tanh_as_sigmoid)
    .right("through its inverse", |y, dy| dy / y.atanh().cosh().powi(2))
    .odd("0/0 at 0, ∞/∞ at 1", |y, dy| {
        let x = y.atanh();
        dy * (1. - y * y) * (x.sinh() / x.cosh() / y)
    })
    .odd("odd in y", |y, dy| dy * (1. - y.abs() * y))
    .odd("the slope at least 0.1", |y, dy| dy * (1. - y * y).max(0.1));
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right("chain", (Some("OUTER_AT_INPUT"), alt::exp_of_sine_chain))
    .wrong_first(&WRONG_BUG, Some("INNER_FORGOTTEN"))
    .wrong(&OUTER_AT_INPUT, (Some("OUTER_AT_INPUT"), stub::mended));
    all.task("step", &exam::STEP, answer::H, stub::H)
        .right("another", Some(5e-9))
        .wrong(&STEP_TOO_LARGE, Some(1e-6))
        .wrong(&STEP_TOO_SMALL, Some(1e-12))
        .right("five times as large", Some(5e-8))
        .odd("negative", Some(-1e-8))
        .odd("not a number", Some(f64::NAN))
        .odd("nothing", Some(0.))
        .odd("infinite", Some(f64::INFINITY));
    all
}
