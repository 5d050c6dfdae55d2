//! Gradient checking: is this derivative the derivative of that function?
//!
//! A derivative that somebody wrote by hand is a claim. The function itself
//! is the evidence: push one input a little, up and down, and see how far
//! the output moves.
//!
//! ```text
//!   f'(x) = (f(x+h) - f(x-h)) / 2h  -  f'''(ξ) h²/6      central difference
//!   f'(x) = (f(x+h) - f(x))   /  h  -  f''(ξ)  h/2       forward difference
//! ```
//!
//! Two errors pull on `h`. *Truncation*, the term above, falls as `h²`.
//! *Round-off* rises as `h` falls: each `f` is known to about `ε|f|` only, so
//! the quotient is off by about `ε|f|/h`. Their sum
//!
//! ```text
//!   E(h) = h² |f'''|/6 + ε |f|/h      is least at   h* = (3 ε |f/f'''|)^⅓
//! ```
//!
//! and for a function whose values and derivatives are of order one that is
//! about `ε^⅓` = 6e-6 in `f64`, where `E` is about 4e-11. In `f32` the same
//! sum gives `h*` = 5e-3 and `E` = 3e-5, nearly a million times coarser: an
//! entry of that size drowns in it. Everything here is `f64`.
//!
//! # For arrays
//!
//! Let `y = f(x₁, …, x_k)` with arrays in and an array out, and `dy` a
//! *cotangent*: any array of the shape of `y`. The vector-Jacobian product
//! (VJP) is the gradient of the number `⟨dy, f(x)⟩`, so its entry `j` is
//!
//! ```text
//!   dx_j = ⟨dy, f(x + h e_j) - f(x - h e_j)⟩ / 2h + O(h²)
//! ```
//!
//! two evaluations of `f` per entry of `x`, [`numeric_vjp`]. The cotangent is
//! drawn at random in every check: with `dy = 1` a softmax whose rule returns
//! zeros passes, because the true gradient of a sum of probabilities is zero.
//!
//! # The check
//!
//! [`Check`] compares a hand-written VJP with its forward pass, at several
//! seeded points that a [`Sampler`] draws away from kinks, and tells a wrong
//! entry from a kink inside the step and from a point at which the check
//! would be worthless ([`CheckError`]).
//!
//! # Sources
//!
//! - W. H. Press et al., *Numerical Recipes*, 3rd ed. (2007), section 5.7:
//!   the two errors, the best step, the step made exactly representable.
//! - J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed. (2006),
//!   section 8.1: the same for gradients.
//! - L. F. Richardson, *Phil. Trans. R. Soc. A* 210 (1911): two steps
//!   combined, by which a large error is told from a wrong rule.

use ndarray::{Array2, ArrayD};

mod check;
mod sample;

pub use check::{Check, CheckError, Forward, Report, Sample, Vjp};
pub use sample::Sampler;

/// `ε^⅓` for `f64`: the step at which truncation `h²` and round-off `ε/h`
/// are about equal.
pub const STEP: f64 = 6.055_454_452_393_343e-6;

// ANCHOR: step
/// The step at `x`: `h = ε^⅓ max(1, |x|)`, in the units of `x`.
///
/// It grows with `|x|` because the spacing of floating-point numbers does.
pub fn step_at(x: f64) -> f64 {
    STEP * x.abs().max(1.0)
}
// ANCHOR_END: step

// ANCHOR: derivative
/// `(f(x+h) - f(x-h)) / 2h`: the slope of a scalar function, error `O(h²)`.
///
/// The points that are evaluated are `x+h` and `x-h` *as rounded*, and the
/// divisor is the distance between those, not `2h`: at `x = 1` a step of
/// 1e-6 becomes 9.99999999917733e-7, a relative error of 8e-11 that need
/// not be made.
///
/// ```
/// use backprop::calculus::gradcheck::central;
///
/// // The cube: f'(2) = 12, and the central difference says 12 + h².
/// let slope = central(|x| x * x * x, 2.0, 0.5);
/// assert_eq!(slope, 12.25);
/// ```
pub fn central(f: impl Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    let (lo, hi) = (x - h, x + h);
    (f(hi) - f(lo)) / (hi - lo)
}

/// The derivative of `f` at `x` by central differences with [`step_at`].
///
/// ```
/// use backprop::calculus::gradcheck::numeric_derivative;
///
/// let slope = numeric_derivative(f64::exp, 1.0);
/// assert!((slope - 1_f64.exp()).abs() < 1e-9);
/// ```
pub fn numeric_derivative(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    central(f, x, step_at(x))
}
// ANCHOR_END: derivative

/// `(f(x+h) - f(x)) / h`: the one-sided slope, error `O(h)`. Its best step
/// is about `√ε`, and half the digits are lost there: [`central`] keeps two
/// thirds of them.
pub fn one_sided(f: impl Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    let moved = x + h;
    (f(moved) - f(x)) / (moved - x)
}

// ANCHOR: sweep
/// The relative error of both difference quotients at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepPoint {
    /// The step, in the units of `x`.
    pub h: f64,
    /// `|one_sided - f'| / |f'|`: falls as `h`, best near `√ε`.
    pub one_sided: f64,
    /// `|central - f'| / |f'|`: falls as `h²`, best near `ε^⅓`.
    pub central: f64,
}

/// The error against the step: plotted on two logarithmic axes, a V whose
/// left arm is round-off and whose right arm is truncation.
///
/// `slope` is the true `f'(x)`, not 0.
///
/// ```
/// use backprop::calculus::gradcheck::step_sweep;
///
/// let e = 1_f64.exp();
/// let sweep = step_sweep(f64::exp, e, 1.0, &[1e-1, 1e-2]);
/// assert!((sweep[0].central / sweep[1].central - 100.0).abs() < 1.0);
/// assert!((sweep[0].one_sided / sweep[1].one_sided - 10.0).abs() < 1.0);
/// ```
pub fn step_sweep(
    f: impl Fn(f64) -> f64,
    slope: f64,
    x: f64,
    steps: &[f64],
) -> Vec<SweepPoint> {
    let error = |s: f64| (s - slope).abs() / slope.abs();
    let point = |&h: &f64| SweepPoint {
        h,
        one_sided: error(one_sided(&f, x, h)),
        central: error(central(&f, x, h)),
    };
    steps.iter().map(point).collect()
}
// ANCHOR_END: sweep

// ANCHOR: numeric_vjp
/// `dx_j = ⟨dy, f(x + h e_j) - f(x - h e_j)⟩ / 2h` for every entry of every
/// input: the vector-Jacobian product as finite differences see it.
///
/// - `f`: the forward pass, arrays in, one array out.
/// - `inputs`: the point. Each entry takes its own step, [`step_at`].
/// - `dy`: the cotangent, of the shape of `f(inputs)`.
///
/// Returns one array per input, of its shape. Costs two calls of `f` per
/// entry. At a kink inside the step the result is a slope between the two
/// sides, and no derivative.
///
/// # Panics
///
/// When `dy` has not the shape of the output.
///
/// ```
/// use backprop::calculus::gradcheck::numeric_vjp;
/// use ndarray::{ArrayD, arr1};
///
/// let f = |x: &[ArrayD<f64>]| &x[0] * &x[1]; //  y = a ⊙ b
/// let (a, b) = (arr1(&[2.0]).into_dyn(), arr1(&[3.0]).into_dyn());
/// let dy = arr1(&[10.0]).into_dyn();
///
/// let d = numeric_vjp(&f, &[a, b], &dy);
/// assert!((d[0][0] - 30.0).abs() < 1e-8); //  da = dy ⊙ b
/// assert!((d[1][0] - 20.0).abs() < 1e-8); //  db = dy ⊙ a
/// ```
#[track_caller]
pub fn numeric_vjp(
    f: &dyn Fn(&[ArrayD<f64>]) -> ArrayD<f64>,
    inputs: &[ArrayD<f64>],
    dy: &ArrayD<f64>,
) -> Vec<ArrayD<f64>> {
    let shape = f(inputs).shape().to_vec();
    assert!(
        shape == dy.shape(),
        "numeric_vjp: the output has shape {shape:?}, dy has {:?}",
        dy.shape()
    );
    let mut x = inputs.to_vec();
    let mut dx: Vec<_> =
        inputs.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect();
    for i in 0..inputs.len() {
        for (index, &at) in inputs[i].indexed_iter() {
            let (lo, hi) = (at - step_at(at), at + step_at(at));
            x[i][&index] = hi;
            let up = f(&x);
            x[i][&index] = lo;
            let down = f(&x);
            x[i][&index] = at; // or every later entry is checked elsewhere
            dx[i][&index] = (dy * &(up - down)).sum() / (hi - lo);
        }
    }
    dx
}
// ANCHOR_END: numeric_vjp

/// `J_ij = ∂y_i/∂x_j`, shape (outputs, inputs), both flattened in row-major
/// order, several inputs one after the other.
///
/// For looking at a small Jacobian whole; a check never needs it.
///
/// ```
/// use backprop::calculus::gradcheck::numeric_jacobian;
/// use ndarray::{ArrayD, arr1, arr2};
///
/// // y = (x₀x₁, x₀ + x₁) at (2, 3).
/// let f = |x: &[ArrayD<f64>]| {
///     let x = &x[0];
///     arr1(&[x[0] * x[1], x[0] + x[1]]).into_dyn()
/// };
/// let j = numeric_jacobian(&f, &[arr1(&[2.0, 3.0]).into_dyn()]);
/// let expected = arr2(&[[3.0, 2.0], [1.0, 1.0]]);
/// assert!((&j - &expected).iter().all(|e| e.abs() < 1e-8));
/// ```
pub fn numeric_jacobian(
    f: &dyn Fn(&[ArrayD<f64>]) -> ArrayD<f64>,
    inputs: &[ArrayD<f64>],
) -> Array2<f64> {
    let rows = f(inputs).len();
    let columns = inputs.iter().map(ArrayD::len).sum();
    let mut j = Array2::zeros((rows, columns));
    let mut column = 0;
    let mut x = inputs.to_vec();
    for i in 0..inputs.len() {
        for (index, &at) in inputs[i].indexed_iter() {
            let (lo, hi) = (at - step_at(at), at + step_at(at));
            x[i][&index] = hi;
            let up = f(&x);
            x[i][&index] = lo;
            let down = f(&x);
            x[i][&index] = at;
            let slope = (up - down) / (hi - lo);
            j.column_mut(column)
                .iter_mut()
                .zip(slope.iter())
                .for_each(|(j, s)| *j = *s);
            column += 1;
        }
    }
    j
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{IxDyn, arr0, arr1, arr2};

    #[test]
    fn the_step_is_the_cube_root_of_epsilon() {
        assert!((STEP - f64::EPSILON.cbrt()).abs() < 1e-20);
        assert_eq!(step_at(-3.0), 3.0 * STEP);
        assert_eq!(step_at(0.0), STEP);
    }

    #[test]
    fn the_error_against_the_step_is_a_v() {
        let steps: Vec<f64> = (1..=15).map(|k| 10_f64.powi(-k)).collect();
        let sweep = step_sweep(f64::exp, 1_f64.exp(), 1.0, &steps);
        // Truncation h²/6 on the right arm, to three digits.
        assert!((sweep[2].central / 1.6667e-7 - 1.0).abs() < 1e-3);
        // Round-off ε/h on the left one, to its order of magnitude.
        assert!(sweep[11].central > 1e-6 && sweep[11].central < 1e-3);
        let best = |of: fn(&SweepPoint) -> f64| {
            let best = sweep.iter().min_by(|a, b| of(a).total_cmp(&of(b)));
            best.map(|p| p.h).unwrap_or_default()
        };
        assert!((1e-10..1e-6).contains(&best(|p| p.one_sided)));
        assert!((5e-8..2e-5).contains(&best(|p| p.central)));
    }

    #[test]
    fn a_steep_sine_needs_a_smaller_step() {
        // sin(e^(6t)) at t = 1 turns through a full circle every 0.0026.
        let f = |t: f64| (6.0 * t).exp().sin();
        let shown: Vec<f64> = [1e-3, 1e-4, 1e-5, 1e-6, 1e-7]
            .map(|h| central(f, 1.0, h))
            .into();
        let table = [168.816, 629.625, 635.9213, 635.98442, 635.985049];
        for (shown, table) in shown.iter().zip(table) {
            assert!((shown - table).abs() < 1e-5 * table, "{shown} {table}");
        }
        let slope = 6.0 * 6_f64.exp() * 6_f64.exp().cos();
        // At 1e-5 the correct slope differs in the fourth digit.
        let off = (central(f, 1.0, 1e-5) / slope - 1.0).abs();
        assert!(off > 9e-5 && off < 1.1e-4, "{off}");
    }

    #[test]
    fn a_product_of_different_shapes() {
        // y = A b with A (2,3), b (3): dA = dy bᵀ, db = Aᵀ dy.
        let a = arr2(&[[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]]);
        let b = arr1(&[0.3, -0.7, 2.0]);
        let dy = arr1(&[1.5, -0.4]);
        let f = |x: &[ArrayD<f64>]| {
            let a = x[0].view().into_dimensionality::<ndarray::Ix2>().unwrap();
            let b = x[1].view().into_dimensionality::<ndarray::Ix1>().unwrap();
            a.dot(&b).into_dyn()
        };
        let inputs = [a.clone().into_dyn(), b.clone().into_dyn()];
        let d = numeric_vjp(&f, &inputs, &dy.clone().into_dyn());
        let da = arr2(&[[0.45, -1.05, 3.0], [-0.12, 0.28, -0.8]]);
        let db = a.t().dot(&dy);
        assert_eq!(d[0].shape(), &[2, 3]);
        assert!((&d[0] - &da).iter().all(|e| e.abs() < 1e-9));
        assert!((&d[1] - &db).iter().all(|e| e.abs() < 1e-9));

        let j = numeric_jacobian(&f, &inputs);
        assert_eq!(j.dim(), (2, 9));
        let from_jacobian = dy.dot(&j);
        let flat: Vec<f64> = d.iter().flatten().copied().collect();
        assert!(
            (&from_jacobian - &arr1(&flat))
                .iter()
                .all(|e| e.abs() < 1e-9)
        );
    }

    #[test]
    fn scalars_in_and_out() {
        let f = |x: &[ArrayD<f64>]| arr0(x[0].sum().powi(2)).into_dyn();
        let x = [arr0(3.0).into_dyn()];
        let d = numeric_vjp(&f, &x, &arr0(1.0).into_dyn());
        assert!((d[0].sum() - 6.0).abs() < 1e-8);
        assert_eq!(d[0].raw_dim(), IxDyn(&[]));
    }

    #[test]
    #[should_panic(expected = "the output has shape [2], dy has [3]")]
    fn a_cotangent_of_another_shape() {
        let f = |x: &[ArrayD<f64>]| x[0].clone();
        let dy = arr1(&[1.0, 1.0, 1.0]).into_dyn();
        numeric_vjp(&f, &[arr1(&[1.0, 2.0]).into_dyn()], &dy);
    }
}
