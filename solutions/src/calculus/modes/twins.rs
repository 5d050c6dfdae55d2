//! Wrong answers, each a known mistake.

use super::answer::Product;
use backprop::calculus::modes::Dual;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

fn dual(value: f64, slope: f64) -> Dual {
    Dual { value, slope }
}

pub fn product_of_slopes(a: Dual, b: Dual) -> Dual {
    dual(a.value * b.value, a.slope * b.slope)
}

pub fn product_one_term(a: Dual, b: Dual) -> Dual {
    dual(a.value * b.value, b.value * a.slope)
}

pub fn product_other_term(a: Dual, b: Dual) -> Dual {
    dual(a.value * b.value, b.slope * a.value)
}

pub fn product_updated_early(mut a: Dual, b: Dual) -> Dual {
    a.value *= b.value;
    a.slope = a.slope * b.value + a.value * b.slope;
    a
}

pub fn product_swapped(a: Dual, b: Dual) -> Dual {
    dual(a.value * b.value, a.value * a.slope + b.value * b.slope)
}

pub fn quotient_of_slopes(a: Dual, b: Dual) -> Dual {
    dual(a.value / b.value, a.slope / b.slope)
}

pub fn quotient_one_term(a: Dual, b: Dual) -> Dual {
    dual(a.value / b.value, a.slope / b.value)
}

pub fn quotient_without_square(a: Dual, b: Dual) -> Dual {
    let top = a.slope * b.value - a.value * b.slope;
    dual(a.value / b.value, top / b.value)
}

pub fn quotient_without_denominator(a: Dual, b: Dual) -> Dual {
    let top = a.slope * b.value - a.value * b.slope;
    dual(a.value / b.value, top)
}

pub fn quotient_plus(a: Dual, b: Dual) -> Dual {
    let value = a.value / b.value;
    dual(value, (a.slope + value * b.slope) / b.value)
}

pub fn quotient_updated_early(mut a: Dual, b: Dual) -> Dual {
    a.value /= b.value;
    let top = a.slope * b.value - a.value * b.slope;
    a.slope = top / b.value.powi(2);
    a
}

pub fn quotient_reversed(a: Dual, b: Dual) -> Dual {
    let top = a.value * b.slope - a.slope * b.value;
    dual(a.value / b.value, top / (b.value * b.value))
}

pub fn power_not_guarded(x: Dual, n: f64) -> Dual {
    let slope = n * x.value.powf(n - 1.) * x.slope;
    dual(x.value.powf(n), slope)
}

pub fn power_by_logarithm(x: Dual, n: f64) -> Dual {
    let value = (n * x.value.ln()).exp();
    dual(value, value * n / x.value * x.slope)
}

pub fn power_without_seed(x: Dual, n: f64) -> Dual {
    let slope = if n == 0. {
        0.
    } else {
        x.value.powf(n - 1.) * n
    };
    dual(x.value.powf(n), slope)
}

pub fn power_without_exponent(x: Dual, n: f64) -> Dual {
    let local = if n == 0. { 0. } else { x.value.powf(n - 1.) };
    dual(x.value.powf(n), local * x.slope)
}

fn turning(y: Dual, x: Dual) -> f64 {
    x.value * y.slope - y.value * x.slope
}

pub fn angle_of_quotient(y: Dual, x: Dual) -> Dual {
    let q = y.value / x.value;
    let q_dot = turning(y, x) / x.value.powi(2);
    dual(q.atan(), q_dot / (1. + q * q))
}

pub fn angle_over_distance(y: Dual, x: Dual) -> Dual {
    let r = x.value.hypot(y.value);
    dual(y.value.atan2(x.value), turning(y, x) / r)
}

pub fn angle_of_y_alone(y: Dual, x: Dual) -> Dual {
    let r = x.value.hypot(y.value);
    dual(y.value.atan2(x.value), y.slope * x.value / r / r)
}

pub fn angle_reversed(y: Dual, x: Dual) -> Dual {
    let r = x.value.hypot(y.value);
    dual(y.value.atan2(x.value), -turning(y, x) / r / r)
}

pub fn root_at_output(y: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    &dy * &y.mapv(|y| 0.5 / y.sqrt())
}

pub fn root_inverse(y: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    &dy * &y * 2.
}

pub fn root_without_half(
    y: ArrayView1<f64>,
    dy: ArrayView1<f64>,
) -> Array1<f64> {
    &dy / &y
}

pub fn mean_as_sum(n: usize, dy: f64) -> Array1<f64> {
    Array1::from_elem(n, dy)
}

pub fn mean_without_dy(n: usize, _: f64) -> Array1<f64> {
    Array1::from_elem(n, 1. / n as f64)
}

pub fn sums_once_more(dy: ArrayView1<f64>) -> Array1<f64> {
    let mut sum = 0.;
    dy.mapv(|d| {
        sum += d;
        sum
    })
}

pub fn sums_passed_on(dy: ArrayView1<f64>) -> Array1<f64> {
    dy.to_owned()
}

pub fn outer_own_values(
    a: ArrayView1<f64>,
    b: ArrayView1<f64>,
    dy: ArrayView2<f64>,
) -> (Array1<f64>, Array1<f64>) {
    let column = a.insert_axis(Axis(0));
    let da = (&dy * &column).sum_axis(Axis(1));
    (da, dy.t().dot(&b))
}

pub fn unit_with_constant_norm(
    x: ArrayView1<f64>,
    dy: ArrayView1<f64>,
) -> Array1<f64> {
    let norm = x.mapv(|x| x * x).sum().sqrt();
    dy.mapv(|d| d / norm)
}

pub fn unit_without_norm(
    x: ArrayView1<f64>,
    dy: ArrayView1<f64>,
) -> Array1<f64> {
    let y = &x / x.dot(&x).sqrt();
    &dy - &(&y * y.dot(&dy))
}

pub fn jacobian_transposed(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> Array2<f64> {
    super::answer::jacobian(n, m, jvp, vjp).reversed_axes()
}

fn running_seed(n: usize, m: usize, jvp: Product, vjp: Product) -> Array2<f64> {
    let mut j = Array2::zeros((m, n));
    let mut seed = Array1::zeros(n.min(m));
    for k in 0..n.min(m) {
        seed[k] = 1.;
        if n <= m {
            j.column_mut(k).assign(&jvp(seed.view()));
        } else {
            j.row_mut(k).assign(&vjp(seed.view()));
        }
    }
    j
}

pub fn jacobian_seed_not_reset(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> Array2<f64> {
    running_seed(n, m, jvp, vjp)
}

pub fn jacobian_by_dearer_mode(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> Array2<f64> {
    let mut j = Array2::zeros((m, n));
    for (k, seed) in Array2::eye(n.max(m)).rows().into_iter().enumerate() {
        if n > m {
            j.column_mut(k).assign(&jvp(seed));
        } else {
            j.row_mut(k).assign(&vjp(seed));
        }
    }
    j
}

/// Forward mode whatever the sizes.
pub fn jacobian_always_forward(
    n: usize,
    m: usize,
    jvp: Product,
    _: Product,
) -> Array2<f64> {
    let mut j = Array2::zeros((m, n));
    for k in 0..n {
        let seed = Array1::from_shape_fn(n, |i| f64::from(i == k));
        j.column_mut(k).assign(&jvp(seed.view()));
    }
    j
}

/// The two sides for these vectors.
fn sides(
    u: Array1<f64>,
    v: Array1<f64>,
    jvp: Product,
    vjp: Product,
) -> [f64; 2] {
    [u.dot(&jvp(v.view())), vjp(u.view()).dot(&v)]
}

fn near([up, down]: [f64; 2]) -> bool {
    (up - down).abs() <= 1e-9 * (up.abs() + down.abs() + 1e-30)
}

pub fn is_adjoint_with_ones(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    near(sides(Array1::ones(m), Array1::ones(n), jvp, vjp))
}

pub fn is_adjoint_with_equal(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let wave = |n| Array1::from_shape_fn(n, |i| (i as f64 + 0.5).sin());
    near(sides(wave(m), wave(n), jvp, vjp))
}

fn uneven(n: usize, m: usize) -> (Array1<f64>, Array1<f64>) {
    let u = Array1::from_shape_fn(m, |i| (1.3 * i as f64 + 0.4).sin());
    (
        u,
        Array1::from_shape_fn(n, |i| (0.9 * i as f64 - 0.2).cos()),
    )
}

pub fn is_adjoint_absolute(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let (u, v) = uneven(n, m);
    let [up, down] = sides(u, v, jvp, vjp);
    (up - down).abs() < 1e-9
}

pub fn is_adjoint_exact(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let (u, v) = uneven(n, m);
    let [up, down] = sides(u, v, jvp, vjp);
    up == down
}

pub fn is_adjoint_generous(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let (u, v) = uneven(n, m);
    let [up, down] = sides(u, v, jvp, vjp);
    (up - down).abs() <= 1e-3 * up.abs()
}

/// A gap of nothing is not below nothing: fails where the Jacobian is 0.
pub fn is_adjoint_strict(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let (u, v) = uneven(n, m);
    let [up, down] = sides(u, v, jvp, vjp);
    (up - down).abs() / up.abs() < 1e-9
}

/// The first entry of each vector is 0.
pub fn is_adjoint_with_zeros(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let (u, v) = (
        Array1::from_shape_fn(m, |i| (i as f64).sin()),
        Array1::from_shape_fn(n, |i| i as f64 * 0.7),
    );
    near(sides(u, v, jvp, vjp))
}
