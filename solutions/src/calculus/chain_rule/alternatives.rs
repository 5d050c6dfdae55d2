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

/// Multiplied out: y = x²w² + 2xwb + b².
pub fn line_squared_expanded(
    x: f64,
    w: f64,
    b: f64,
    dy: f64,
) -> (f64, f64, f64) {
    let dx = dy * (2. * x * w * w + 2. * w * b);
    let dw = dy * (2. * x * x * w + 2. * x * b);
    (dx, dw, dy * (2. * x * w + 2. * b))
}

/// Names for every line, as in the chapter.
pub fn line_squared_flat(x: f64, w: f64, b: f64, dy: f64) -> (f64, f64, f64) {
    let z1 = x * w;
    let z2 = z1 + b;
    let dz2 = 2. * z2 * dy;
    let (dz1, db) = (dz2, dz2);
    (dz1 * w, dz1 * x, db)
}

/// The closed formula 6 e^(6t) cos e^(6t).
pub fn f_of_g_closed(t: f64, dy: f64) -> f64 {
    let e = (6. * t).exp();
    6. * e * e.cos() * dy
}

/// Through the chapter's chain.
pub fn g_of_f_chain(t: f64, dy: f64) -> f64 {
    let chain = [Step::Power(2), Step::Sin, Step::Times(3.), Step::Exp];
    vjp(&chain, &forward(&chain, t), dy)[0]
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
