//! Known-wrong answers, one mistake each, as a learner would write them.

pub fn sine_outer_at_input(x: f64, dy: f64) -> f64 {
    let local = [x.cos(), 2. * x];
    local.iter().fold(dy, |d, l| d * l)
}

pub fn sine_inner_forgotten(x: f64, dy: f64) -> f64 {
    let u = x * x;
    dy * u.cos()
}

pub fn sine_outer_forgotten(x: f64, dy: f64) -> f64 {
    dy * (x + x)
}

pub fn sine_added(x: f64, dy: f64) -> f64 {
    dy * ((x * x).cos() + 2. * x)
}

pub fn sine_without_dy(x: f64, _dy: f64) -> f64 {
    (x * x).cos() * 2. * x
}

pub fn sine_dy_added(x: f64, dy: f64) -> f64 {
    (x * x).cos() * 2. * x + dy - dy.abs()
}

pub fn sine_sign(x: f64, dy: f64) -> f64 {
    dy * -(x * x).cos() * 2. * x
}

pub fn sine_half(x: f64, dy: f64) -> f64 {
    dy * (x * x).cos() * x
}

pub fn sine_zero(_x: f64, _dy: f64) -> f64 {
    0.
}

pub fn sine_undifferentiated(x: f64, dy: f64) -> f64 {
    dy * x.powi(2).sin() * 2. * x
}

type Three = (f64, f64, f64);

pub fn line_swapped(x: f64, w: f64, b: f64, dy: f64) -> Three {
    let d = 2. * (x * w + b) * dy;
    (d * x, d * w, d)
}

pub fn line_bias_times_input(x: f64, w: f64, b: f64, dy: f64) -> Three {
    let d = 2. * (x * w + b) * dy;
    (d * w, d * x, d * x)
}

pub fn line_outer_at_input(x: f64, w: f64, b: f64, dy: f64) -> Three {
    let _ = b;
    let d = dy * 2. * x;
    (d * w, d * x, d)
}

pub fn line_without_dy(x: f64, w: f64, b: f64, _dy: f64) -> Three {
    let d = 2. * (x * w + b);
    (d * w, d * x, d)
}

pub fn line_half(x: f64, w: f64, b: f64, dy: f64) -> Three {
    let d = dy * (x * w + b);
    (d * w, d * x, d)
}

pub fn line_bias_dropped(x: f64, w: f64, _b: f64, dy: f64) -> Three {
    let d = 2. * x * w * dy;
    (d * w, d * x, d)
}

pub fn line_inner_forgotten(x: f64, w: f64, b: f64, dy: f64) -> Three {
    let d = 2. * (x * w + b) * dy;
    (d, d, d)
}

pub fn f_of_g_swapped(t: f64, dy: f64) -> f64 {
    let u = t.powi(2).sin();
    let v = (3. * u).exp();
    dy * v * 3. * t.powi(2).cos() * 2. * t
}

pub fn f_of_g_at_input(t: f64, dy: f64) -> f64 {
    let df = (t * t).cos() * 2. * t;
    let dg = 3. * (3. * t).exp();
    df * dg * dy
}

pub fn f_of_g_inner_forgotten(t: f64, dy: f64) -> f64 {
    let u = (3. * t).exp();
    2. * u * u.powi(2).cos() * dy
}

pub fn f_of_g_lost_three(t: f64, dy: f64) -> f64 {
    let u = (3. * t).exp();
    dy * (u * u).cos() * 2. * u * u
}

pub fn f_of_g_reciprocal(t: f64, dy: f64) -> f64 {
    let e = (6. * t).exp();
    dy / (6. * e * e.cos())
}

pub fn g_of_f_swapped(t: f64, dy: f64) -> f64 {
    let e = (6. * t).exp();
    dy * 6. * e * e.cos()
}

pub fn g_of_f_at_input(t: f64, dy: f64) -> f64 {
    let outer = 3. * (3. * t).exp();
    dy * outer * (t * t).cos() * 2. * t
}

pub fn g_of_f_inner_forgotten(t: f64, dy: f64) -> f64 {
    dy * 3. * (3. * (t * t).sin()).exp()
}

pub fn tanh_slope_of_output(y: f64, dy: f64) -> f64 {
    let again = y.tanh();
    dy * (1. - again * again)
}

pub fn tanh_as_sigmoid(y: f64, dy: f64) -> f64 {
    dy * y * (1. - y)
}

pub fn tanh_sign(y: f64, dy: f64) -> f64 {
    dy * (y * y - 1.)
}

pub fn tanh_without_dy(y: f64, _dy: f64) -> f64 {
    1. - y.powi(2)
}

pub fn tanh_passed_on(_y: f64, dy: f64) -> f64 {
    dy
}

pub fn tanh_inverse(y: f64, dy: f64) -> f64 {
    dy / (1. - y * y)
}

pub fn f_of_g_lost_exp(t: f64, dy: f64) -> f64 {
    let u = (3. * t).exp();
    dy * u.powi(2).cos() * 6. * u
}

pub fn g_of_f_lost_three(t: f64, dy: f64) -> f64 {
    let u = (t * t).sin();
    2. * t * (t * t).cos() * (u * 3.).exp() * dy
}

pub fn exp_inner_forgotten(x: f64, dy: f64) -> f64 {
    let y = x.sin().exp();
    y * dy
}
