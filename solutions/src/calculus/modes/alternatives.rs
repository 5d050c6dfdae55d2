//! Right answers, written differently.

use super::answer::Product;
use backprop::calculus::modes::Dual;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// As matrices: a + bε is [[a, b], [0, a]].
pub fn product_of_matrices(a: Dual, b: Dual) -> Dual {
    let of = |d: Dual| ndarray::array![[d.value, d.slope], [0., d.value]];
    let y = of(a).dot(&of(b));
    Dual {
        value: y[[0, 0]],
        slope: y[[0, 1]],
    }
}

/// One at a time, in place, the slope first.
pub fn product_in_place(mut a: Dual, b: Dual) -> Dual {
    a.slope *= b.value;
    a.slope += a.value * b.slope;
    a.value *= b.value;
    a
}

/// By the rule from school.
pub fn quotient_of_school(a: Dual, b: Dual) -> Dual {
    let (u, v) = (a.value, b.value);
    Dual {
        value: u / v,
        slope: (a.slope * v - u * b.slope) / (v * v),
    }
}

/// Times the reciprocal.
pub fn quotient_by_reciprocal(a: Dual, b: Dual) -> Dual {
    let r = Dual {
        value: 1. / b.value,
        slope: -b.slope / b.value.powi(2),
    };
    product_in_place(a, r)
}

/// By cases of the exponent.
pub fn power_by_cases(x: Dual, n: f64) -> Dual {
    let value = x.value.powf(n);
    if n == 0. {
        return Dual { value, slope: 0. };
    }
    if x.value == 0. {
        let slope = if n == 1. { x.slope } else { 0. };
        return Dual { value, slope };
    }
    let slope = n * value / x.value * x.slope;
    Dual { value, slope }
}

/// Projected on the direction of turning.
pub fn angle_by_projection(y: Dual, x: Dual) -> Dual {
    let r = x.value.hypot(y.value);
    let (cos, sin) = (x.value / r, y.value / r);
    Dual {
        value: sin.atan2(cos),
        slope: (cos * y.slope - sin * x.slope) / r,
    }
}

pub fn root_by_square(y: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    y.iter()
        .zip(dy)
        .map(|(y, dy)| dy * 0.5 * y.powi(-1))
        .collect()
}

pub fn mean_by_loop(n: usize, dy: f64) -> Array1<f64> {
    let mut dx = Array1::zeros(n);
    for d in &mut dx {
        *d += dy / n as f64;
    }
    dx
}

/// The sum less what comes before.
pub fn sums_by_difference(dy: ArrayView1<f64>) -> Array1<f64> {
    (0..dy.len()).map(|j| dy.iter().skip(j).sum()).collect()
}

/// By a triangular matrix.
pub fn sums_by_matrix(dy: ArrayView1<f64>) -> Array1<f64> {
    let n = dy.len();
    let j = Array2::from_shape_fn((n, n), |(i, j)| f64::from(j <= i));
    j.t().dot(&dy)
}

pub fn outer_by_loops(
    a: ArrayView1<f64>,
    b: ArrayView1<f64>,
    dy: ArrayView2<f64>,
) -> (Array1<f64>, Array1<f64>) {
    let (mut da, mut db) = (Array1::zeros(a.len()), Array1::zeros(b.len()));
    for ((k, l), d) in dy.indexed_iter() {
        da[k] += d * b[l];
        db[l] += d * a[k];
    }
    (da, db)
}

pub fn outer_by_broadcast(
    a: ArrayView1<f64>,
    b: ArrayView1<f64>,
    dy: ArrayView2<f64>,
) -> (Array1<f64>, Array1<f64>) {
    let a = a.insert_axis(Axis(1));
    ((&dy * &b).sum_axis(Axis(1)), (&dy * &a).sum_axis(Axis(0)))
}

/// By its matrix, (I - y yᵀ)/‖x‖.
pub fn unit_by_matrix(x: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    let norm = x.dot(&x).sqrt();
    let n = x.len();
    let j = Array2::from_shape_fn((n, n), |(i, j)| {
        (f64::from(i == j) - x[i] * x[j] / (norm * norm)) / norm
    });
    j.dot(&dy)
}

pub fn unit_by_quotient(
    x: ArrayView1<f64>,
    dy: ArrayView1<f64>,
) -> Array1<f64> {
    let s = x.dot(&x);
    (&dy * s - &(&x * x.dot(&dy))) / s.powf(1.5)
}

/// Seeds as rows of the identity, results stacked.
pub fn jacobian_by_identity(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> Array2<f64> {
    let rows = m < n;
    let (of, size) = if rows { (vjp, m) } else { (jvp, n) };
    let mut all = Array2::zeros((size, if rows { n } else { m }));
    for (seed, mut out) in
        Array2::eye(size).rows().into_iter().zip(all.rows_mut())
    {
        out.assign(&of(seed));
    }
    if rows { all } else { all.reversed_axes() }
}

/// One seed, set and reset.
pub fn jacobian_one_seed(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> Array2<f64> {
    let mut j = Array2::zeros((m, n));
    let mut seed = Array1::zeros(n.min(m));
    for k in 0..n.min(m) {
        seed[k] = 1.;
        match n < m {
            true => j.column_mut(k).assign(&jvp(seed.view())),
            false => j.row_mut(k).assign(&vjp(seed.view())),
        }
        seed[k] = 0.;
    }
    j
}

/// With several pairs of vectors.
pub fn is_adjoint_thrice(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    (1..4).all(|k| {
        let u: Array1<f64> = (0..m).map(|i| ((i + k) as f64).sqrt()).collect();
        let v: Array1<f64> =
            (0..n).map(|i| 1. / (i * i + k) as f64 - 0.2).collect();
        let (jv, ju) = (jvp(v.view()), vjp(u.view()));
        let size = jv.dot(&jv).sqrt() * u.dot(&u).sqrt();
        (u.dot(&jv) - ju.dot(&v)).abs() <= 1e-10 * size
    })
}

/// Entry by entry, with every pair of unit vectors.
pub fn is_adjoint_entry_by_entry(
    n: usize,
    m: usize,
    jvp: Product,
    vjp: Product,
) -> bool {
    let unit = |k, n| Array1::from_shape_fn(n, |i| f64::from(i == k));
    let columns: Vec<_> = (0..n).map(|k| jvp(unit(k, n).view())).collect();
    let rows: Vec<_> = (0..m).map(|k| vjp(unit(k, m).view())).collect();
    (0..m).all(|i| (0..n).all(|j| rows[i][j] == columns[j][i]))
}

pub fn reflected_in_place(x: Dual) -> Dual {
    Dual {
        value: x.value - x.value * x.value,
        slope: (1. - 2. * x.value) * x.slope,
    }
}
