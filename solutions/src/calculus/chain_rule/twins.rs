//! Known-wrong answers, one mistake each, as a learner would write them.

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

pub fn sine_half(x: f64, dy: f64) -> f64 {
    dy * (x * x).cos() * x
}

pub fn sine_undifferentiated(x: f64, dy: f64) -> f64 {
    dy * x.powi(2).sin() * 2. * x
}

type Three = (f64, f64, f64);

pub fn line_swapped(x: f64, w: f64, b: f64, dy: f64) -> Three {
    let d = 2. * (x * w + b) * dy;
    (d * x, d * w, d)
}

pub fn f_of_g_swapped(t: f64, dy: f64) -> f64 {
    let u = t.powi(2).sin();
    let v = (3. * u).exp();
    dy * v * 3. * t.powi(2).cos() * 2. * t
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

pub fn tanh_slope_of_output(y: f64, dy: f64) -> f64 {
    let again = y.tanh();
    dy * (1. - again * again)
}

pub fn tanh_as_sigmoid(y: f64, dy: f64) -> f64 {
    dy * y * (1. - y)
}
