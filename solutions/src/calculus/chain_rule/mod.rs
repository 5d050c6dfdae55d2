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
    LINK_FORGOTTEN, ORDER_SWAPPED, OUTER_AT_INPUT, OUTER_FORGOTTEN, POWER_RULE,
    POWER_WITHOUT_TWO, SIGMOID_SLOPE, SLOPE_OF_OUTPUT, STEP_TOO_LARGE,
    STEP_TOO_SMALL, VALUE_FOR_SLOPE,
};
use examiner::general::{
    BIAS_VIA_WEIGHTS, NOT_LINEAR_IN_UPSTREAM, OUTPUTS_REORDERED, SIGN_FLIPPED,
    UPSTREAM_ONLY, WRONG_BUG,
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
    .right("the negative squared", alt::line_squared_negative)
    .odd(
        "each factor its own value, or dx and dw exchanged",
        twins::line_swapped,
    )
    .wrong(&FACTORS_SWAPPED, |x, w, b, dy| {
        let (_, dw, db) = answer::line_squared(x, w, b, dy);
        (2. * (x * w - b) * x * dy, dw, db)
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
    .wrong(&SIGN_FLIPPED, |x, w, b, dy| {
        // The chapter's line, with its plus.
        let d = dy * 2. * (x * w + b);
        (d * w, d * x, d)
    })
    .wrong(&SIGN_FLIPPED, |x, w, b, dy| {
        let d = dy * 2. * (b - x * w);
        (d * w, d * x, d)
    })
    .wrong(&SIGN_FLIPPED, |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (dx, dw, -db)
    })
    .wrong(&BIAS_VIA_WEIGHTS, |x, w, b, dy| {
        let (dx, dw, _) = answer::line_squared(x, w, b, dy);
        (dx, dw, dw)
    })
    .wrong(&BIAS_VIA_WEIGHTS, |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (dx, dw, x * db)
    })
    .wrong(&OUTER_FORGOTTEN, |x, w, _, dy| (-dy * w, -dy * x, dy))
    .wrong(&OUTER_AT_INPUT, |x, w, b, dy| {
        (-dy * 2. * x * w * w, -dy * 2. * x * w * x, dy * 2. * b)
    })
    .wrong(&POWER_WITHOUT_TWO, |x, w, b, dy| {
        let d = 2. * (b - x * w) * dy;
        (-d * w, -d * x, (2. * b - x * w) * dy)
    })
    .wrong(&INNER_FORGOTTEN, |x, w, b, dy| {
        let d = 2. * (b - x * w) * dy;
        (-d, -d, d)
    })
    .wrong(&OUTER_FORGOTTEN, |x, w, b, dy| {
        let (dx, dw, _) = answer::line_squared(x, w, b, dy);
        (dx, dw, dy)
    })
    .wrong(&SLOPE_OF_OUTPUT, |x, w, b, dy| {
        twins::line_by([x, w, b], dy, |z| 2. * z * z)
    })
    .wrong(&VALUE_FOR_SLOPE, |x, w, b, dy| {
        twins::line_by([x, w, b], dy, |z| z.powi(2))
    })
    .wrong(&ADDED_NOT_MULTIPLIED, |x, w, b, dy| {
        let slope = 2. * (b - x * w);
        (dy * (slope - w), dy * (slope - x), dy * slope)
    })
    .odd("nothing for a difference below 1e-6", |x, w, b, dy| {
        twins::line_by([x, w, b], dy, |z| match z.abs() < 1e-6 {
            true => 0.,
            false => 2. * z,
        })
    })
    .odd("0/0 for a difference of 0", |x, w, b, dy| {
        twins::line_by([x, w, b], dy, |z| 2. * (z * z) / z)
    })
    .odd("the difference at most 1000", |x, w, b, dy| {
        twins::line_by([x, w, b], dy, |z| 2. * z.clamp(-1e3, 1e3))
    })
    .odd("no gradient for a bias of 0", |x, w, b, dy| {
        let (dx, dw, db) = answer::line_squared(x, w, b, dy);
        (dx, dw, if b == 0. { 0. } else { db })
    })
    .odd("the difference without its sign", |x, w, b, dy| {
        twins::line_by([x, w, b], dy, |z| 2. * z.abs())
    });
    all.task("f_of_g", &exam::F_OF_G, answer::f_of_g, stub::f_of_g)
        .right("closed", alt::f_of_g_closed)
        .right("chain", alt::f_of_g_chain)
        .right("the logarithm of a product", |t, dy| {
            // ln(1 + t²) as twice the logarithm of the hypotenuse.
            let u = 2. * t.hypot(1.).ln();
            dy * (u * u * u).sin() * -6. * u * u * t / (1. + t * t)
        })
        .wrong(&ORDER_SWAPPED, twins::f_of_g_swapped)
        .wrong(&SIGN_FLIPPED, |t, dy| {
            let u = (1. + t * t).ln();
            dy * u.powi(3).sin() * 3. * u * u / (1. + t * t) * (t + t)
        })
        .wrong(&VALUE_FOR_SLOPE, |t, dy| {
            let u = (1. + t * t).ln();
            dy * u.powi(3).cos() * 3. * u * u / (1. + t * t) * (t + t)
        })
        .wrong(&VALUE_FOR_SLOPE, |t, dy| {
            let u = (1. + t * t).ln();
            dy * -u.powi(3).sin() * 3. * u * u * u * (t + t)
        })
        .wrong(&INVERSE_DERIVATIVE, twins::f_of_g_reciprocal)
        .wrong(&INVERSE_DERIVATIVE, |t, dy| {
            let s = t * t + 1.;
            dy * -s.ln().powi(3).sin() * 6. * t * s.ln().powi(2) * s
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, None, Some(t * t * t)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, Some(t), Some(t * t * t)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, None, Some(t)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            let u = (1. + t * t).ln();
            twins::f_of_g_by(t, dy, [None, None, None, Some(u)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, None, Some(1. + t * t), None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, Some(t), None, None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, Some(t * t), None, None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::f_of_g_by(t, dy, [None, Some(t), Some(t), Some(t)])
        })
        .wrong(&SLOPE_OF_OUTPUT, |t, dy| {
            let y = (1. + t * t).ln().powi(3).cos();
            twins::f_of_g_by(t, dy, [None, None, None, Some(y)])
        })
        .wrong(&SLOPE_OF_OUTPUT, |t, dy| {
            let u = (1. + t * t).ln();
            twins::f_of_g_by(t, dy, [None, Some(u), None, None])
        })
        .wrong(&ADDED_NOT_MULTIPLIED, |t, dy| {
            let s = 1. + t.powi(2);
            let f = -3. * s.ln().powi(3).sin() * s.ln().powi(2);
            dy * (f + 2. * t / s)
        })
        .wrong(&ADDED_NOT_MULTIPLIED, |t, dy| {
            // The 1 differentiated to 1.
            answer::f_of_g(t, dy) / (2. * t) * (2. * t + 1.)
        })
        .wrong(&OUTER_FORGOTTEN, |t, dy| dy * 2. * t / (1. + t * t))
        .wrong(&INNER_FORGOTTEN, |t, dy| {
            let u = (1. + t * t).ln();
            -dy * (u * u * u).sin() * (u * u) * 3.
        })
        .wrong(&INNER_FORGOTTEN, |t, dy| {
            let s = 1. + t * t;
            -dy * s.ln().powi(3).sin() * s.ln().powi(2) * 3. / s
        })
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            let u = (1. + t * t).ln();
            -dy * (u * u * u).sin() * (u * u) * 6. * t
        })
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            let s = 1. + t * t;
            -dy * s.ln().powi(3).sin() * 2. * t / s
        })
        .wrong(&POWER_RULE, |t, dy| {
            let s = 1. + t * t;
            let u = s.ln();
            dy * -(u * u * u).sin() * (u * u) * 2. * t / s
        })
        .wrong(&POWER_RULE, |t, dy| {
            let s = 1. + t * t;
            dy * -s.ln().powi(3).sin() * 3. * s.ln() * 2. * t / s
        })
        .wrong(&POWER_WITHOUT_TWO, |t, dy| {
            let s = 1. + t * t;
            dy * -s.ln().powi(3).sin() * 3. * s.ln().powi(2) * t / s
        })
        .odd("sin v = v for a small v", |t, dy| {
            let u = (1. + t * t).ln();
            let v = u.powi(3);
            let sin = if v < 0.0025 { v } else { v.sin() };
            dy * -sin * 3. * u * u * 2. * t / (1. + t * t)
        })
        .odd("ln(1 + t²) = t² for a small t", |t, dy| {
            let s = 1. + t * t;
            let u = if t.abs() < 0.06 { t * t } else { s.ln() };
            dy * -u.powi(3).sin() * 3. * u * u * 2. * t / s
        })
        .odd("1 + t² at most 1000", |t, dy| {
            let s = (1. + t * t).min(1e3);
            dy * -s.ln().powi(3).sin() * 3. * s.ln().powi(2) * 2. * t / s
        })
        .wrong(&NOT_LINEAR_IN_UPSTREAM, |t, dy| {
            answer::f_of_g(t, dy.clamp(-2e2, 2e2))
        })
        .wrong(&NOT_LINEAR_IN_UPSTREAM, |t, dy| {
            answer::f_of_g(t, if dy.abs() < 1e-9 { 0. } else { dy })
        });
    all.task("g_of_f", &exam::G_OF_F, answer::g_of_f, stub::g_of_f)
        .right("chain", alt::g_of_f_chain)
        .right("the double angle", alt::g_of_f_double_angle)
        .wrong(&ORDER_SWAPPED, twins::g_of_f_swapped)
        .wrong(&SIGN_FLIPPED, |t, dy| {
            let p = t * t * t;
            3. * dy * t * t * (2. * p).sin() / (1. + p.cos().powi(2))
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            let s = Some(1. + t * t);
            twins::g_of_f_by(t, dy, [None, None, Some(t), s])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [None, Some(t), None, None])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            let q = t.powi(3).cos();
            twins::g_of_f_by(t, dy, [None, None, None, Some(q)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            let q = t.powi(3).cos();
            twins::g_of_f_by(t, dy, [None, None, None, Some(q * q)])
        })
        .wrong(&OUTER_AT_INPUT, |t, dy| {
            twins::g_of_f_by(t, dy, [None, None, Some(t), Some(t)])
        })
        .wrong(&SLOPE_OF_OUTPUT, |t, dy| {
            let q = t.powi(3).cos();
            twins::g_of_f_by(t, dy, [None, Some(q), None, None])
        })
        .wrong(&INNER_FORGOTTEN, |t, dy| {
            let q = t.powi(3).cos();
            dy * (q + q) / (1. + q * q)
        })
        .wrong(&INNER_FORGOTTEN, |t, dy| {
            let p = t.powi(3);
            -dy * (2. * p).sin() / (1. + p.cos().powi(2))
        })
        .wrong(&OUTER_FORGOTTEN, |t, dy| {
            -dy * (t * t * t).sin() * 3. * t * t
        })
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            let q = (t * t * t).cos();
            dy * 6. * q * t * t / (1. + q * q)
        })
        .wrong(&LINK_FORGOTTEN, |t, dy| {
            let p = t * t * t;
            dy * 3. * t * t * -p.sin() / (1. + p.cos() * p.cos())
        })
        .wrong(&ADDED_NOT_MULTIPLIED, |t, dy| {
            let (p, q) = (t * t * t, (t * t * t).cos());
            let slopes = [3. * t * t, -p.sin(), 2. * q, 1., 1. / (1. + q * q)];
            dy * slopes.iter().sum::<f64>()
        })
        .wrong(&VALUE_FOR_SLOPE, |t, dy| {
            let q = (t * t * t).cos();
            dy * 6. * t * t * q * q / (1. + q * q)
        })
        .wrong(&POWER_RULE, |t, dy| {
            let p = t * t * t;
            dy * -t * t * (2. * p).sin() / (1. + p.cos().powi(2))
        })
        .wrong(&POWER_RULE, |t, dy| {
            let p = t * t * t;
            dy * -3. * t * (2. * p).sin() / (1. + p.cos().powi(2))
        })
        .wrong(&POWER_WITHOUT_TWO, |t, dy| {
            let p = t * t * t;
            dy * -3. * t * t * p.sin() * p.cos() / (1. + p.cos().powi(2))
        })
        .odd("never a negative sine far out", |t, dy| {
            let sign = if t.abs() > 2.2 {
                t.powi(3).sin().signum()
            } else {
                1.
            };
            answer::g_of_f(t, dy) * sign
        })
        .odd("straight near 0", |t, dy| match t.abs() < 0.12 {
            true => -3. * dy * t.powi(5),
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
