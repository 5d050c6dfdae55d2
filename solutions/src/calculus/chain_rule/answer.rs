//! # Exercise: the chain rule
//!
//! Chapter: The chain rule (calculus/chain_rule).
//! Everything here is one number. `dy` is the cotangent of `y`: how much the
//! end result moves per unit of `y`. What you return is the same for the inputs.
//!
//! Grade it with `cargo grade chain_rule`; ask for a hint with
//! `cargo grade hint chain_rule sine_of_square`.

// --- Task 1: predict -------------------------------------------------------

/// Before any computing: is the derivative of `sin(x²)` at `x = 2.4` positive
/// (`1`) or negative (`-1`)? A sketch of the sine is allowed.
// ANSWER
pub const SIGN: Option<i32> = Some(1);
//~ pub const SIGN: Option<i32> = None; // TODO Some(1) or Some(-1)
// END

// --- Task 2: build ---------------------------------------------------------

/// `dx` for `y = sin(x²)`, from `x` and the cotangent `dy`.
pub fn sine_of_square(x: f64, dy: f64) -> f64 {
    // ANSWER
    let u = x * x;
    let du = dy * u.cos();
    du * 2. * x
    // END
}

// --- Task 3: build ---------------------------------------------------------

/// `(dx, dw, db)` for `y = (b - x·w)²`, from the three inputs and `dy`: the
/// square of what is missing from `x·w` to `b`.
///
/// Compute the forward again inside, line by line, then go back up.
pub fn line_squared(x: f64, w: f64, b: f64, dy: f64) -> (f64, f64, f64) {
    // ANSWER
    let z1 = x * w;
    let dz2 = dy * 2. * (b - z1);
    let dz1 = -dz2;
    (dz1 * w, dz1 * x, dz2)
    // END
}

// --- Task 4: vary ----------------------------------------------------------

/// `dt` for `y = f(g(t))` with `f(u) = cos(u³)` and `g(t) = ln(1 + t²)`.
pub fn f_of_g(t: f64, dy: f64) -> f64 {
    // ANSWER
    let s = 1. + t * t;
    let u = s.ln();
    let du = dy * -(u * u * u).sin() * 3. * u * u;
    du / s * 2. * t
    // END
}

// --- Task 5: vary ----------------------------------------------------------

/// `dt` for the same two functions the other way round, `y = g(f(t))`.
pub fn g_of_f(t: f64, dy: f64) -> f64 {
    // ANSWER
    let p = t * t * t;
    let q = p.cos();
    let dq = dy / (1. + q * q) * 2. * q;
    dq * -p.sin() * 3. * t * t
    // END
}

// --- Task 6: vary ----------------------------------------------------------

/// `dx` for `y = tanh(x)`, from the *output* `y` and the cotangent `dy`.
/// The input is no longer at hand: derive the slope from `y` alone, as the
/// chapter does for the sigmoid. It helps that `tanh(x) = 2σ(2x) - 1`.
pub fn tanh_from_output(y: f64, dy: f64) -> f64 {
    // ANSWER
    dy * (1. - y * y)
    // END
}

// --- Task 7: hunt ----------------------------------------------------------

/// `mended` should return `dx` for `y = exp(sin x)`. It fails, and this is its
/// report:
///
/// ```text
///   compared  dx against central differences of the forward
///   inputs    x = 0.59, dy = -1.49
///   got       -2.2335209649
///   expected  -2.1596372575
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
// ANSWER
pub const BUG: Option<&str> = Some("OUTER_AT_INPUT");
//~ pub const BUG: Option<&str> = None; // TODO Some("...")
// END

/// `dx` for `y = exp(sin x)`.
pub fn mended(x: f64, dy: f64) -> f64 {
    // ANSWER
    dy * x.sin().exp() * x.cos()
    //~ dy * x.exp() * x.cos()
    // END
}

// --- Task 8: measure -------------------------------------------------------

/// A step `h` with which the central difference of `sin((e^(3t))²)` at
/// `t = 1.2` agrees with the true derivative to a relative error below 1e-7.
/// The function turns even faster there than at the chapter's `t = 1`. Begin
/// with a step of its table: the grader says how far yours is off, and whether
/// you need a smaller one follows from (4) and its error.
// ANSWER
pub const H: Option<f64> = Some(2e-8);
//~ pub const H: Option<f64> = None; // TODO Some(...)
// END
