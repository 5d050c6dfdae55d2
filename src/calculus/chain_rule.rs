//! The chain rule for one number.                  book: calculus/chain_rule
//!
//!   y = f_n(… f_2(f_1(x)))      dx = dy · f_n'(u_n) · … · f_1'(u_1)
//!
//! where `u_k` is what arrives at step `k` in the forward. Every derivative is
//! taken there, and nowhere else.

// ANCHOR: step
/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// `u + c`
    Add(f64),
    /// `c · u`
    Times(f64),
    /// `uⁿ`, for `n ≤ 0` where `u ≠ 0`
    Power(i32),
    /// `eᵘ`
    Exp,
    /// `ln u`, for `u > 0`
    Ln,
    /// `sin u`
    Sin,
    /// `cos u`
    Cos,
    /// `tanh u`
    Tanh,
    /// `σ(u) = 1 / (1 + e⁻ᵘ)`
    Sigmoid,
    /// `max(u, 0)`; the slope at the kink is 0 by convention
    Relu,
}
// ANCHOR_END: step

impl Step {
    // ANCHOR: value
    /// The value of the step at `u`.
    pub fn value(self, u: f64) -> f64 {
        match self {
            Self::Add(c) => u + c,
            Self::Times(c) => c * u,
            Self::Power(n) => u.powi(n),
            Self::Exp => u.exp(),
            Self::Ln => u.ln(),
            Self::Sin => u.sin(),
            Self::Cos => u.cos(),
            Self::Tanh => u.tanh(),
            Self::Sigmoid => sigmoid(u),
            Self::Relu => u.max(0.),
        }
    }
    // ANCHOR_END: value

    // ANCHOR: slope
    /// The local derivative of the step, at what arrives there.
    pub fn slope(self, u: f64) -> f64 {
        match self {
            Self::Add(_) => 1.,
            Self::Times(c) => c,
            Self::Power(n) => f64::from(n) * u.powi(n - 1),
            Self::Exp => u.exp(),
            Self::Ln => 1. / u,
            Self::Sin => u.cos(),
            Self::Cos => -u.sin(),
            Self::Tanh => tanh_slope(u),
            Self::Sigmoid => sigmoid(u) * (1. - sigmoid(u)),
            Self::Relu => f64::from(u > 0.),
        }
    }
    // ANCHOR_END: slope

    /// How the step is written with the name `u` for what arrives.
    pub fn label(self) -> String {
        match self {
            Self::Add(c) => format!("u + {c}"),
            Self::Times(c) => format!("{c}·u"),
            Self::Power(2) => "u²".into(),
            Self::Power(3) => "u³".into(),
            Self::Power(n) => format!("u^{n}"),
            Self::Exp => "exp u".into(),
            Self::Ln => "ln u".into(),
            Self::Sin => "sin u".into(),
            Self::Cos => "cos u".into(),
            Self::Tanh => "tanh u".into(),
            Self::Sigmoid => "σ(u)".into(),
            Self::Relu => "relu u".into(),
        }
    }
}

/// What the exercise derives from the output of `tanh`.
fn tanh_slope(u: f64) -> f64 {
    1. - u.tanh().powi(2)
}

// ANCHOR: forward
/// All values along a chain: `x` first, the result last.
///
/// They are kept for [`vjp`], which needs what arrived at every step.
pub fn forward(chain: &[Step], x: f64) -> Vec<f64> {
    let mut values = vec![x];
    for step in chain {
        let u = values[values.len() - 1];
        values.push(step.value(u));
    }
    values
}
// ANCHOR_END: forward

// ANCHOR: vjp
/// The derivative of the result by each value, times the cotangent `dy`: that
/// of `x` first, `dy` itself last.
///
/// Panics if `values` are not those of this chain.
#[track_caller]
pub fn vjp(chain: &[Step], values: &[f64], dy: f64) -> Vec<f64> {
    assert_eq!(
        values.len(),
        chain.len() + 1,
        "chain_rule: values and steps"
    );
    let mut gradients = vec![dy; values.len()];
    for k in (0..chain.len()).rev() {
        let (upstream, local) = (gradients[k + 1], chain[k].slope(values[k]));
        gradients[k] = upstream * local;
    }
    gradients
}
// ANCHOR_END: vjp

// ANCHOR: sigmoid
/// `σ(x) = 1 / (1 + e⁻ˣ)`.
pub fn sigmoid(x: f64) -> f64 {
    1. / (1. + (-x).exp())
}

/// `dx = dy · y(1 - y)`. Needs the output `y` only.
pub fn sigmoid_vjp(y: f64, dy: f64) -> f64 {
    dy * y * (1. - y)
}
// ANCHOR_END: sigmoid

// ANCHOR: line_squared
/// `y = (x·w + b)²`, and what its backward needs: the sum before the square.
pub fn line_squared(x: f64, w: f64, b: f64) -> (f64, f64) {
    let z1 = x * w;
    let z2 = z1 + b;
    let y = z2 * z2;
    (y, z2)
}

/// `(dx, dw, db)` from the cotangent `dy`, one line per line of the forward,
/// in reverse.
pub fn line_squared_vjp(x: f64, w: f64, z2: f64, dy: f64) -> (f64, f64, f64) {
    let dz2 = dy * 2. * z2; // y = z2²
    let db = dz2; //           z2 = z1 + b
    let dz1 = dz2;
    let dw = dz1 * x; //       z1 = x·w
    let dx = dz1 * w;
    (dx, dw, db)
}
// ANCHOR_END: line_squared

#[cfg(test)]
mod tests {
    use super::Step::*;
    use super::*;
    use crate::calculus::gradcheck::numeric_derivative;
    use approx::assert_relative_eq as close;

    fn derivative(chain: &[Step], x: f64) -> f64 {
        vjp(chain, &forward(chain, x), 1.)[0]
    }

    #[test]
    fn sine_of_a_square() {
        let chain = [Power(2), Sin];
        let values = forward(&chain, 1.5);
        close!(values[2], 0.778_073_196_9, max_relative = 1e-10);
        close!(chain[1].slope(2.25), -0.628_173_622_7, max_relative = 1e-10);
        close!(
            derivative(&chain, 1.5),
            -1.884_520_868_2,
            max_relative = 1e-10
        );
    }

    #[test]
    fn a_line_squared() {
        let (y, z2) = line_squared(2., 3., 1.);
        assert_eq!((y, z2), (49., 7.));
        assert_eq!(line_squared_vjp(2., 3., z2, 1.), (42., 28., 14.));
    }

    #[test]
    fn both_compositions_of_the_chapter() {
        let f_of_g = [Times(3.), Exp, Power(2), Sin];
        let g_of_f = [Power(2), Sin, Times(3.), Exp];
        close!(
            derivative(&f_of_g, 0.),
            3.241_813_835_2,
            max_relative = 1e-10
        );
        close!(
            derivative(&f_of_g, 1.),
            635.985_055_295_5,
            max_relative = 1e-12
        );
        assert_eq!(derivative(&g_of_f, 0.), 0.);
        close!(
            derivative(&g_of_f, 1.),
            40.469_392_727_0,
            max_relative = 1e-11
        );
    }

    #[test]
    fn every_slope_agrees_with_central_differences() {
        let steps = [
            Add(0.3),
            Times(-1.7),
            Power(3),
            Power(-1),
            Exp,
            Ln,
            Sin,
            Cos,
            Tanh,
            Sigmoid,
            Relu,
        ];
        for step in steps {
            for u in [0.4, 1.3, 2.2] {
                let numeric = numeric_derivative(|u| step.value(u), u);
                close!(step.slope(u), numeric, max_relative = 1e-8);
            }
        }
    }

    #[test]
    fn the_kink_has_the_stated_slope() {
        assert_eq!(Relu.slope(0.), 0.);
        assert_eq!((Relu.slope(-1e-300), Relu.slope(1e-300)), (0., 1.));
    }

    #[test]
    fn sigmoid_from_its_output() {
        close!(sigmoid(1.), 0.731_058_578_6, max_relative = 1e-9);
        let dx = sigmoid_vjp(sigmoid(1.), 1.);
        close!(dx, 0.196_611_933_2, max_relative = 1e-9);
        assert_eq!(sigmoid_vjp(sigmoid(0.), 1.), 0.25);
        // Far out the output rounds to 1 and the slope to 0; nothing is NaN.
        assert_eq!(sigmoid_vjp(sigmoid(800.), 1.), 0.);
        assert_eq!(sigmoid_vjp(sigmoid(-800.), 1.), 0.);
    }

    #[test]
    fn ten_quarters() {
        let slopes: f64 = (0..10).map(|_| Sigmoid.slope(0.)).product();
        close!(slopes, 9.536_743_164_062_5e-7);
        // Run from 0, each but the first gets a number from 0.5 to 0.66.
        let chain = [Sigmoid; 10];
        let values = forward(&chain, 0.);
        assert!(values[1..].iter().all(|v| (0.5..0.66).contains(v)));
        close!(derivative(&chain, 0.), 3.875_2e-7, max_relative = 1e-4);
    }
}
