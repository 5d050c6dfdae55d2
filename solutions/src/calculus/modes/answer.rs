//! # Exercise: forward and reverse mode
//!
//! Chapter: Forward and reverse mode (calculus/modes).
//! Letters: n inputs, m outputs; the Jacobian has m rows and n columns. A
//! `Dual` has two fields, `value` and `slope`, and you make one by
//! `Dual { value: 3., slope: 1. }`. In tasks 2 and 3 write the rules yourself:
//! the library's own `*`, `/`, `powf` and `atan2` for `Dual` are no answer.
//!
//! Vectors and matrices: `x.len()`, `x[i]`, `m[[i, j]]`, `a.dot(&b)`, `m.t()`;
//! `&a * &b` goes entry by entry. `Array1::zeros(n)` and `Array2::zeros((m, n))`
//! make one to be filled, `j.column_mut(k).assign(&y)` fills a column, and
//! `Array1::from_shape_fn(n, |i| (i as f64).sqrt())` makes one of a formula.
//!
//! Grade it with `cargo grade modes`; ask for a hint with
//! `cargo grade hint modes dual`.

use backprop::calculus::modes::Dual;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

// --- Task 1: predict -------------------------------------------------------

/// Is reverse mode cheaper (`true`) or forward mode (`false`)?
///
/// 1. All slopes of one loss by the 9,610 weights of a network.
/// 2. All slopes of ten scores by the 64 pixels of an image.
/// 3. After one step of training, w - rate·dw: the slopes of all 9,610 new
///    weights by the rate, a single number.
/// 4. 300 inputs, 301 outputs: how fast the outputs move if the inputs move
///    along one given direction.
// ANSWER
pub const REVERSE_IS_CHEAPER: Option<[bool; 4]> =
    Some([true, true, false, false]);
//~ pub const REVERSE_IS_CHEAPER: Option<[bool; 4]> = None; // TODO Some([..])
// END

// --- Task 2: build ---------------------------------------------------------

/// `a·b`, value and slope.
pub fn product(a: Dual, b: Dual) -> Dual {
    // ANSWER
    Dual {
        value: a.value * b.value,
        slope: a.slope * b.value + a.value * b.slope,
    }
    // END
}

/// `a/b`, value and slope. `b.value` is not 0.
pub fn quotient(a: Dual, b: Dual) -> Dual {
    // ANSWER
    let value = a.value / b.value;
    Dual {
        value,
        slope: (a.slope - value * b.slope) / b.value,
    }
    // END
}

// --- Task 3: vary ----------------------------------------------------------

/// `xⁿ` for an exponent that does not move: value and slope.
///
/// `x` is positive; or negative, and `n` is whole; or 0, and `n` is 0 or at
/// least 1. `x⁰` is 1 for every `x`, 0 among them. On `f64`, `powf` does the
/// right thing for all of these.
pub fn power(x: Dual, n: f64) -> Dual {
    // ANSWER
    let local = match n {
        0. => 0.,
        n => n * x.value.powf(n - 1.),
    };
    Dual {
        value: x.value.powf(n),
        slope: local * x.slope,
    }
    // END
}

/// The angle of the point `(x, y)`, between -π and π as `f64::atan2` has it,
/// and how fast it turns. The point is not `(0, 0)`; it may lie on an axis.
/// The slope of arctan `q` is 1/(1 + q²).
pub fn angle(y: Dual, x: Dual) -> Dual {
    // ANSWER
    let square = x.value * x.value + y.value * y.value;
    Dual {
        value: y.value.atan2(x.value),
        slope: (x.value * y.slope - y.value * x.slope) / square,
    }
    // END
}

// --- Task 4: vary ----------------------------------------------------------

/// `dx` (n) for `y = √x`, entry by entry, from the *output* `y` (n).
pub fn root_vjp(y: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    // ANSWER
    &dy / &(2. * &y)
    // END
}

/// `dx` (n) for `y = (x_1 + … + x_n)/n`, one number.
pub fn mean_vjp(n: usize, dy: f64) -> Array1<f64> {
    // ANSWER
    Array1::from_elem(n, dy / n as f64)
    // END
}

/// `dx` (n) for the running sums `y_i = x_1 + … + x_i`, with `dy` (n).
pub fn running_sums_vjp(dy: ArrayView1<f64>) -> Array1<f64> {
    // ANSWER
    let mut dx = dy.to_owned();
    for j in (1..dx.len()).rev() {
        dx[j - 1] += dx[j];
    }
    dx
    // END
}

/// `(da, db)` for the outer product `y_kl = a_k·b_l`: `a` (k), `b` (l), `dy`
/// (k,l).
pub fn outer_vjp(
    a: ArrayView1<f64>,
    b: ArrayView1<f64>,
    dy: ArrayView2<f64>,
) -> (Array1<f64>, Array1<f64>) {
    // ANSWER
    (dy.dot(&b), dy.t().dot(&a))
    // END
}

/// `dx` (n) for the unit vector `y = x/‖x‖`, where `‖x‖ = √(x_1² + … + x_n²)`
/// is not 0.
pub fn unit_vjp(x: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    // ANSWER
    let norm = x.dot(&x).sqrt();
    let y = &x / norm;
    let along = y.dot(&dy);
    (&dy - &(&y * along)) / norm
    // END
}

// --- Task 5: vary ----------------------------------------------------------

/// A function that takes a vector and gives one.
pub type Product<'a> = &'a dyn Fn(ArrayView1<f64>) -> Array1<f64>;

/// The whole Jacobian (m,n) from its two products: `jvp(v)` is J·v for `v`
/// (n), `vjp(u)` is Jᵀ·u for `u` (m). Call them as rarely as you can: the
/// calls are counted. Write `jvp(v.view())`.
pub fn jacobian(n: usize, m: usize, jvp: Product, vjp: Product) -> Array2<f64> {
    // ANSWER
    let mut j = Array2::zeros((m, n));
    if n <= m {
        for k in 0..n {
            let mut v = Array1::zeros(n);
            v[k] = 1.;
            j.column_mut(k).assign(&jvp(v.view()));
        }
    } else {
        for k in 0..m {
            let mut u = Array1::zeros(m);
            u[k] = 1.;
            j.row_mut(k).assign(&vjp(u.view()));
        }
    }
    j
    // END
}

// --- Task 6: vary ----------------------------------------------------------

/// Whether `vjp` multiplies with the transpose of the matrix of `jvp`, as in
/// task 5. Choose the vectors yourself; one of each is enough. The entries of
/// the matrix are near 1, and one that is off by more than a thousandth must be
/// seen; rounding must not. The whole matrix may also be huge or tiny, with a
/// VJP that is one percent too large, or it may be 0.
pub fn is_adjoint(n: usize, m: usize, jvp: Product, vjp: Product) -> bool {
    // ANSWER
    let u = Array1::from_shape_fn(m, |i| (1.7 * i as f64 + 1.).sin());
    let v = Array1::from_shape_fn(n, |i| (2.3 * i as f64).cos());
    let (up, down) = (&u * &jvp(v.view()), &v * &vjp(u.view()));
    let size = up.mapv(f64::abs).sum() + down.mapv(f64::abs).sum();
    (up.sum() - down.sum()).abs() <= 1e-9 * size
    // END
}

// --- Task 7: hunt ----------------------------------------------------------

/// `mended` below should be `x(1 - x)` on dual numbers. It fails, and this is
/// its report:
///
/// ```text
///   compared  the slope against the rule
///   inputs    x = 1.35, x_dot = -1.49
///   got       -1.4900000000
///   expected  2.5330000000
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
// ANSWER
pub const BUG: Option<&str> = Some("REFLECTED_SIGN");
//~ pub const BUG: Option<&str> = None; // TODO Some("...")
// END

/// `x(1 - x)`, value and slope.
pub fn mended(x: Dual) -> Dual {
    let rest = Dual {
        value: 1. - x.value,
        // ANSWER
        slope: -x.slope,
        //~ slope: x.slope,
        // END
    };
    x * rest
}

// --- Task 8: predict -------------------------------------------------------

/// Inside a function of x stands another derivative: `x · (d/dy (x·y) at
/// y = 1)`. What is the slope of the whole at `x = 3`? And what comes out if
/// both derivatives use the same ε, in a program that reads off the inner
/// slope as a plain number?
// ANSWER
pub const NESTED: Option<[f64; 2]> = Some([6., 4.]);
//~ pub const NESTED: Option<[f64; 2]> = None; // TODO Some([right, with one ε])
// END
