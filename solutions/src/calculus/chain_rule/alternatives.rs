//! Right answers, written differently.

use backprop::calculus::chain_rule::{Step, forward, vjp};

/// Through the chapter's chain.
pub fn sine_of_square_chain(x: f64, dy: f64) -> f64 {
    let chain = [Step::Power(2), Step::Sin];
    vjp(&chain, &forward(&chain, x), dy)[0]
}

/// In one expression.
pub fn sine_of_square_at_once(x: f64, dy: f64) -> f64 {
    2. * x * dy * x.powi(2).cos()
}

/// Multiplied out: y = x²w² - 2xwb + b².
pub fn line_squared_expanded(
    x: f64,
    w: f64,
    b: f64,
    dy: f64,
) -> (f64, f64, f64) {
    let dx = dy * (2. * x * w * w - 2. * w * b);
    let dw = dy * (2. * x * x * w - 2. * x * b);
    (dx, dw, dy * (2. * b - 2. * x * w))
}

/// The square of the negative is the same: y = (x·w - b)².
pub fn line_squared_negative(
    x: f64,
    w: f64,
    b: f64,
    dy: f64,
) -> (f64, f64, f64) {
    let z1 = x * w;
    let z2 = z1 - b;
    let dz2 = 2. * z2 * dy;
    (dz2 * w, dz2 * x, -dz2)
}

/// The closed formula, with 1 + t² in its denominator.
pub fn f_of_g_closed(t: f64, dy: f64) -> f64 {
    let u = (t * t + 1.).ln();
    -6. * t * u.powi(2) * u.powi(3).sin() / (t * t + 1.) * dy
}

/// Through the chapter's chain.
pub fn f_of_g_chain(t: f64, dy: f64) -> f64 {
    use Step::{Add, Cos, Ln, Power};
    let chain = [Power(2), Add(1.), Ln, Power(3), Cos];
    vjp(&chain, &forward(&chain, t), dy)[0]
}

/// Through the chapter's chain.
pub fn g_of_f_chain(t: f64, dy: f64) -> f64 {
    use Step::{Add, Cos, Ln, Power};
    let chain = [Power(3), Cos, Power(2), Add(1.), Ln];
    vjp(&chain, &forward(&chain, t), dy)[0]
}

/// With the double angle: 2 sin p cos p = sin 2p.
pub fn g_of_f_double_angle(t: f64, dy: f64) -> f64 {
    let p = t * t * t;
    dy * -3. * t * t * (p + p).sin() / (1. + p.cos().powi(2))
}

/// (1 - y)(1 + y).
pub fn tanh_factored(y: f64, dy: f64) -> f64 {
    (1. - y) * (1. + y) * dy
}

/// Through the chapter's chain.
pub fn exp_of_sine_chain(x: f64, dy: f64) -> f64 {
    let chain = [Step::Sin, Step::Exp];
    vjp(&chain, &forward(&chain, x), dy)[0]
}
