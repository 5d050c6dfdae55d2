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
pub const REVERSE_IS_CHEAPER: Option<[bool; 4]> = None; // TODO Some([..])

// --- Task 2: build ---------------------------------------------------------

/// `a·b`, value and slope.
pub fn product(a: Dual, b: Dual) -> Dual {
    todo!() // TODO
}

/// `a/b`, value and slope. `b.value` is not 0.
pub fn quotient(a: Dual, b: Dual) -> Dual {
    todo!() // TODO
}

// --- Task 3: vary ----------------------------------------------------------

/// `xⁿ` for an exponent that does not move: value and slope.
///
/// `x` is positive; or negative, and `n` is whole; or 0, and `n` is 0 or at
/// least 1. `x⁰` is 1 for every `x`, 0 among them. On `f64`, `powf` does the
/// right thing for all of these.
pub fn power(x: Dual, n: f64) -> Dual {
    todo!() // TODO
}

/// The angle of the point `(x, y)`, between -π and π as `f64::atan2` has it,
/// and how fast it turns. The point is not `(0, 0)`; it may lie on an axis.
/// The slope of arctan `q` is 1/(1 + q²).
pub fn angle(y: Dual, x: Dual) -> Dual {
    todo!() // TODO
}

// --- Task 4: vary ----------------------------------------------------------

/// `dx` (n) for `y = √x`, entry by entry, from the *output* `y` (n).
pub fn root_vjp(y: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    todo!() // TODO
}

/// `dx` (n) for `y = (x_1 + … + x_n)/n`, one number.
pub fn mean_vjp(n: usize, dy: f64) -> Array1<f64> {
    todo!() // TODO
}

/// `dx` (n) for the running sums `y_i = x_1 + … + x_i`, with `dy` (n).
pub fn running_sums_vjp(dy: ArrayView1<f64>) -> Array1<f64> {
    todo!() // TODO
}

/// `(da, db)` for the outer product `y_kl = a_k·b_l`: `a` (k), `b` (l), `dy`
/// (k,l).
pub fn outer_vjp(
    a: ArrayView1<f64>,
    b: ArrayView1<f64>,
    dy: ArrayView2<f64>,
) -> (Array1<f64>, Array1<f64>) {
    todo!() // TODO
}

/// `dx` (n) for the unit vector `y = x/‖x‖`, where `‖x‖ = √(x_1² + … + x_n²)`
/// is not 0.
pub fn unit_vjp(x: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    todo!() // TODO
}

// --- Task 5: vary ----------------------------------------------------------

/// A function that takes a vector and gives one.
pub type Product<'a> = &'a dyn Fn(ArrayView1<f64>) -> Array1<f64>;

/// The whole Jacobian (m,n) from its two products: `jvp(v)` is J·v for `v`
/// (n), `vjp(u)` is Jᵀ·u for `u` (m). Call them as rarely as you can: the
/// calls are counted. Write `jvp(v.view())`.
pub fn jacobian(n: usize, m: usize, jvp: Product, vjp: Product) -> Array2<f64> {
    todo!() // TODO
}

// --- Task 6: vary ----------------------------------------------------------

/// Whether `vjp` multiplies with the transpose of the matrix of `jvp`, as in
/// task 5. Choose the vectors yourself; one of each is enough. The entries of
/// the matrix are near 1, and one that is off by more than a thousandth must be
/// seen; rounding must not. The whole matrix may also be huge or tiny, with a
/// VJP that is one percent too large, or it may be 0.
pub fn is_adjoint(n: usize, m: usize, jvp: Product, vjp: Product) -> bool {
    todo!() // TODO
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
pub const BUG: Option<&str> = None; // TODO Some("...")

/// `x(1 - x)`, value and slope.
pub fn mended(x: Dual) -> Dual {
    let rest = Dual {
        value: 1. - x.value,
        slope: x.slope,
    };
    x * rest
}

// --- Task 8: predict -------------------------------------------------------

/// Inside a function of x stands another derivative: `x · (d/dy (x·y) at
/// y = 1)`. What is the slope of the whole at `x = 3`? And what comes out if
/// both derivatives use the same ε, in a program that reads off the inner
/// slope as a plain number?
pub const NESTED: Option<[f64; 2]> = None; // TODO Some([right, with one ε])
