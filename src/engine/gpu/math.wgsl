// exp, tanh, sigmoid and erf of four numbers, with the formulas of
// engine/vmath.rs: WGSL has no erf, lets tanh be 10⁻⁵ off, and exp by more the
// larger its argument. A kernel that needs them begins with this text.
//
// Numbers beyond a border are cut by select and not by min or max, which may
// turn a NaN into a number.

/// eˣ = power·(1 + rest), where power is a power of two.
struct Exponential {
    power: vec4f,
    rest: vec4f,
}

/// For -87 ≤ x ≤ 88.
fn exponential(x: vec4f) -> Exponential {
    let n = round(x * 1.442695);
    // ln 2 in two parts: the product with the first is exact.
    let r = (x - n * 0.6933594) + n * 2.1219444e-4;
    var q = r * 0.0013900426 + 0.008366112;
    q = q * r + 0.041666828;
    q = q * r + 0.16666548;
    q = q * r + 0.5;
    let power = bitcast<vec4f>((vec4i(n) + 127) << vec4u(23u));
    return Exponential(power, q * r * r + r);
}

/// eˣ for x ≤ 0, and 0 where it would be denormal.
fn exp_below_zero(x: vec4f) -> vec4f {
    let small = x < vec4f(-87.0);
    let e = exponential(select(x, vec4f(-87.0), small));
    return select(e.power * e.rest + e.power, vec4f(0.0), small);
}

/// tanh x = -t/(2 + t) with t = e^-2|x| - 1, where nothing cancels.
fn tanh_of(x: vec4f) -> vec4f {
    let y = -2.0 * abs(x);
    let e = exponential(select(y, vec4f(-20.0), y < vec4f(-20.0)));
    let t = e.power * e.rest + (e.power - 1.0);
    let tanh = t / (2.0 + t);
    let y_of_x = select(-tanh, tanh, x < vec4f(0.0));
    // A compiler may turn the comparisons round, and lose a NaN.
    let is_nan = (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
    return select(y_of_x, x, is_nan);
}

/// 1/(1 + e⁻ˣ), and its slope.
struct Sigmoid {
    value: vec4f,
    slope: vec4f,
}

/// With e = e^-|x| the slope is e/(1 + e)²: nothing cancels on the right.
fn sigmoid_of(x: vec4f) -> Sigmoid {
    let e = exp_below_zero(-abs(x));
    let under = 1.0 / (1.0 + e);
    let over = select(vec4f(1.0), e, x < vec4f(0.0));
    return Sigmoid(over * under, e * under * under);
}

/// 2/√π times the integral of e^(-s²) from 0 to x.
fn erf_of(x: vec4f) -> vec4f {
    let a = select(abs(x), vec4f(4.0), abs(x) > vec4f(4.0)); // erf 4 is 1
    let t = a * a;
    var p = t * 7.806903e-5 - 0.0007997853;
    p = p * t + 0.005187162;
    p = p * t - 0.026853347;
    p = p * t + 0.11283579;
    p = p * t - 0.37612626;
    p = p * t + 0.12837917;
    let near = a * p + a;
    // From 1 on, 1 - e⁻ᵍ.
    var g = a * -0.00018557977 + 0.00293964;
    g = g * a - 0.021805383;
    g = g * a + 0.10303742;
    g = g * a + 0.6382257;
    g = g * a + 1.12704;
    g = g * a + 0.0003537193;
    let e = exponential(-g);
    let far = 1.0 - (e.power * e.rest + e.power);
    let erf = select(far, near, a < vec4f(1.0));
    return select(erf, -erf, x < vec4f(0.0));
}
