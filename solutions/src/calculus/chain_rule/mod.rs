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
use examiner::general::{
    BIAS_VIA_WEIGHTS, NOT_LINEAR_IN_UPSTREAM, OUTPUTS_REORDERED, UPSTREAM_ONLY,
    WRONG_BUG,
};
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
    .wrong(&SLOPE_OF_OUTPUT, twins::sine_at_what_leaves)
    .wrong(&SLOPE_OF_OUTPUT, |x, dy| dy * (x * x).cos() * 2. * (x * x))
    .wrong(&OUTER_AT_INPUT, |x, dy| twins::sine_by(x, dy, |_, x| x))
    .wrong(&OUTER_AT_INPUT, |x, dy| {
        twins::sine_by(x, dy, |_, x| 2. * x)
    })
    .wrong(&ORDER_SWAPPED, |x, dy| dy * (x + x).sin())
    .wrong(&INVERSE_DERIVATIVE, |x, dy| dy / (x * x).cos() / (2. * x))
    .wrong(&UPSTREAM_ONLY, |x, dy| {
        dy * ((x * x).cos().powi(2) + (x * x).sin().powi(2))
    })
    .odd("a slope below 1e-7 is 0", |x, dy| {
        let slope = (x * x).cos() * 2. * x;
        if slope.abs() < 1e-7 { 0. } else { dy * slope }
    })
    .wrong(&NOT_LINEAR_IN_UPSTREAM, |x, dy| {
        dy.clamp(-1e3, 1e3) * (x * x).cos() * 2. * x
    })
    .odd("ten decimals", |x, dy| {
        let all = format!("{:.10}", dy * (x * x).cos() * 2. * x);
        all.parse().expect("a number was printed")
    })
    .odd("a series that stops", |x, dy| {
        let v = x.powi(4);
        let mut term = 1.;
        let mut cos = 1.;
        for k in 1..30 {
            term *= -v / f64::from(2 * k * (2 * k - 1));
            cos += term;
        }
        dy * cos * 2. * x
    })
    .odd("π with nine digits", |x, dy| {
        let turn = 2. * (std::f64::consts::PI * 1e8).round() / 1e8;
        let turns = (x * x / turn).floor();
        dy * (x * x - turns * turn).cos() * 2. * x
    })
    .unnamed("the result for the same place", |x, dy| {
        twins::remembered(x, 0., || dy * (x * x).cos() * 2. * x)
    })
    .odd("the slope of a place close by", |x, dy| {
        dy * twins::remembered(x, 1e-3, || (x * x).cos() * 2. * x)
    })
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
    .odd(
        "each factor its own value, or dx and dw exchanged",
        twins::line_swapped,
    )
    .wrong(&FACTORS_SWAPPED, |x, w, b, dy| {
        let (_, dw, db) = answer::line_squared(x, w, b, dy);
        (2. * (x * w + b) * x * dy, dw, db)
    })
    .odd("dx and dw exchanged", |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (dw, dx, db)
    })
    .wrong(&OUTPUTS_REORDERED, |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (db, dw, dx)
    })
    .wrong(&OUTPUTS_REORDERED, |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (dx, db, dw)
    })
    .wrong(&OUTPUTS_REORDERED, |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (db, dx, dw)
    })
    .wrong(&OUTPUTS_REORDERED, |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (dw, db, dx)
    })
    .wrong(&BIAS_VIA_WEIGHTS, |x, w, b, dy| {
        let (dx, dw, _) = answer::line_squared(x, w, b, dy);
        (dx, dw, dw)
    })
    .wrong(&OUTER_FORGOTTEN, |x, w, _, dy| (dy * w, dy * x, dy))
    .wrong(&OUTER_AT_INPUT, |x, w, b, dy| {
        (dy * 2. * x * w * w, dy * 2. * x * w * x, dy * 2. * b)
    })
    .wrong(&POWER_WITHOUT_TWO, |x, w, b, dy| {
        let d = 2. * (x * w + b) * dy;
        (d * w, d * x, (2. * x * w + b) * dy)
    })
    .wrong(&OUTER_FORGOTTEN, |x, w, b, dy| {
        let (dx, dw, _) = answer::line_squared(x, w, b, dy);
        (dx, dw, dy)
    })
    .wrong(&SLOPE_OF_OUTPUT, |x, w, b, dy| {
        let y = (x * w + b).powi(2);
        (dy * 2. * y * w, dy * 2. * y * x, dy * 2. * y)
    })
    .wrong(&VALUE_FOR_SLOPE, |x, w, b, dy| {
        let d = dy * (x * w + b).powi(2);
        (d * w, d * x, d)
    })
    .wrong(&ADDED_NOT_MULTIPLIED, |x, w, b, dy| {
        let slope = 2. * (x * w + b);
        (dy * (slope + w), dy * (slope + x), dy * slope)
    })
    .odd("nothing for a sum below 1e-6", |x, w, b, dy| {
        let z = x * w + b;
        let d = if z.abs() < 1e-6 { 0. } else { 2. * z * dy };
        (d * w, d * x, d)
    })
    .odd("0/0 for a sum of 0", |x, w, b, dy| {
        let z = x * w + b;
        let d = dy * 2. * (z * z) / z;
        (d * w, d * x, d)
    })
    .odd("the sum at most 1000", |x, w, b, dy| {
        let d = dy * 2. * (x * w + b).clamp(-1e3, 1e3);
        (d * w, d * x, d)
    })
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
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            let v = (6. * t).exp();
            dy * v * v.cos()
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            let u = (3. * t).exp();
            dy * 3. * t.exp() * 2. * u * u.cos()
        })
        .wrong(&INVERSE_DERIVATIVE, twins::f_of_g_reciprocal)
        .wrong(&INVERSE_DERIVATIVE, |t, dy| {
            let u = (3. * t).exp();
            dy * (u * u).cos() * 2. * u / (3. * u)
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, Some(t * t)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, Some((3. * t).exp())])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, Some(3. * t), None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [Some(t), None, None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [Some(t); 3])
        })
        .wrong(&SLOPE_OF_OUTPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, Some((6. * t).exp().sin())])
        })
        .wrong(&SLOPE_OF_OUTPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, Some((6. * t).exp()), None])
        })
        .wrong(&ADDED_NOT_MULTIPLIED, |t, dy| {
            let u = (3. * t).exp();
            dy * ((u * u).cos() * (u + u) + u * 3.)
        })
        .wrong(&OUTER_FORGOTTEN, |t, dy| dy * 6. * (3. * t).exp().powi(2))
        .wrong(&INNER_FORGOTTEN, |t, dy| {
            let u = (3. * t).exp();
            dy * (u * u).cos() * (u + u)
        })
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            let u = (3. * t).exp();
            dy * (u * u).cos() * (u + u) * 3.
        })
        .wrong(&VALUE_FOR_SLOPE, |t, dy| {
            let u = (3. * t).exp();
            dy * (u * u).sin() * (u + u) * 3. * u
        })
        .odd("6t at least -24", |t, dy| {
            let e = (6. * t).max(-24.).exp();
            6. * e * e.cos() * dy
        })
        .wrong(&NOT_LINEAR_IN_UPSTREAM, |t, dy| {
            answer::f_of_g(t, dy).clamp(-2e4, 2e4)
        })
        .odd("cos v = 1 for a small v", |t, dy| {
            let v = (6. * t).exp();
            let cos = if v < 0.0025 { 1. } else { v.cos() };
            dy * cos * 6. * v
        })
        .wrong(&NOT_LINEAR_IN_UPSTREAM, |t, dy| {
            answer::f_of_g(t, if dy.abs() < 1e-9 { 0. } else { dy })
        })
        .right("by powers", |t, dy| {
            let u = std::f64::consts::E.powf(3. * t);
            dy * (u * u).cos() * 2. * u * u * 3.
        });
    all.task("g_of_f", &exam::G_OF_F, answer::g_of_f, stub::g_of_f)
        .right("chain", alt::g_of_f_chain)
        .wrong(&ORDER_SWAPPED, twins::g_of_f_swapped)
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [None, None, Some(3. * t)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [None, Some(t), None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [None, None, Some((t * t).sin())])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [Some(t); 3])
        })
        .wrong(&SLOPE_OF_OUTPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [None, Some((t * t).sin()), None])
        })
        .wrong(&INNER_FORGOTTEN, |t, dy| {
            dy * (t * t).cos() * 3. * (3. * (t * t).sin()).exp()
        })
        .wrong(&OUTER_FORGOTTEN, |t, dy| dy * 3. * (t * t).cos() * 2. * t)
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            dy * 3. * (3. * (t * t).sin()).exp() * 2. * t
        })
        .wrong(&ADDED_NOT_MULTIPLIED, |t, dy| {
            let slopes = [2. * t, (t * t).cos(), 3., twins::g_of_f_value(t)];
            dy * slopes.iter().sum::<f64>()
        })
        .wrong(&VALUE_FOR_SLOPE, |t, dy| {
            dy * 2. * t * (t * t).sin() * 3. * twins::g_of_f_value(t)
        })
        .odd("never a negative cosine far out", |t, dy| {
            let v = t * t;
            let cos = if v > 4.8 { v.cos().abs() } else { v.cos() };
            dy * 6. * t * cos * twins::g_of_f_value(t)
        })
        .odd("straight near 0", |t, dy| match t.abs() < 0.05 {
            true => dy * 6. * t * (3. * t * t).exp(),
            false => answer::g_of_f(t, dy),
        });
    all.task(
        "tanh_from_output",
        &exam::TANH_FROM_OUTPUT,
        answer::tanh_from_output,
        stub::tanh_from_output,
    )
    .right("factored", alt::tanh_factored)
    .wrong(&SLOPE_OF_OUTPUT, twins::tanh_slope_of_output)
    .wrong(&SIGMOID_SLOPE, twins::tanh_as_sigmoid)
    .wrong(&SIGMOID_SLOPE, |y, dy| dy * 4. * y * (1. - y))
    .wrong(&VALUE_FOR_SLOPE, |y, dy| dy * y)
    .odd("NaN at y = 1", |y, dy| {
        let e = (1. + y) / (1. - y);
        dy * 4. * e / (1. + e).powi(2)
    })
    .odd("y in f32", |y, dy| {
        let y = f64::from(y as f32);
        dy * (1. - y * y)
    })
    .odd("nothing above 0.9995", |y, dy| match y.abs() > 0.9995 {
        true => 0.,
        false => dy * (1. - y * y),
    })
    .odd("a slope of at least 1e-8", |y, dy| {
        dy * (1. - y * y).max(1e-8)
    })
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
    .wrong(&OUTER_AT_INPUT, (Some("OUTER_AT_INPUT"), stub::mended))
    .wrong_second(&OUTER_FORGOTTEN, |x, dy| dy * x.cos())
    .wrong_second(&ORDER_SWAPPED, |x, dy| dy * x.exp().cos() * x.exp())
    .wrong_second(&SLOPE_OF_OUTPUT, |x, dy| {
        let y = x.sin().exp();
        dy * y.exp() * x.cos()
    })
    .odd_second("mended within 10 only", |x, dy| match x.abs() < 10. {
        true => answer::mended(x, dy),
        false => stub::mended(x, dy),
    });
    all.task("step", &exam::STEP, answer::H, stub::H)
        .right("another", Some(5e-9))
        .wrong(&STEP_TOO_LARGE, Some(1e-6))
        .wrong(&STEP_TOO_SMALL, Some(1e-12))
        .wrong(&STEP_TOO_SMALL, Some(0.))
        .right("five times as large", Some(5e-8))
        .odd("negative", Some(-1e-8))
        .odd("not a number", Some(f64::NAN))
        .odd("infinite", Some(f64::INFINITY));
    all
}
