//! A draw with a derivative: `z = μ + σ·ε`, `ε` standard normal, and the loss
//! `z²`.
//!
//! Two estimates of `d/dμ E[z²] = 2μ`, both with the right mean:
//!
//!   score function   (z² - b)·(z - μ)/σ²      the loss is only looked at
//!   pathwise         2z                       the loss is differentiated

/// `(z² - b)·ε/σ`, the score function's estimate; `z = μ + σ·ε`.
pub fn by_score([mu, sigma]: [f64; 2], b: f64, eps: f64) -> f64 {
    let z = mu + sigma * eps;
    (z * z - b) * eps / sigma
}

/// `2z`, the estimate through the draw; `z = μ + σ·ε`.
pub fn pathwise([mu, sigma]: [f64; 2], eps: f64) -> f64 {
    2. * (mu + sigma * eps)
}

/// The variance of [`by_score`]:
/// `μ⁴/σ² + 14μ² + 15σ² + b·(b - 2μ² - 6σ²)/σ²`.
///
/// From the moments 1, 3 and 15 of ε², ε⁴ and ε⁶. Without a baseline it grows
/// without bound as σ goes to 0; with `b = μ² + σ²`, the mean loss, it is
/// `8μ² + 10σ²`.
pub fn variance_by_score([mu, sigma]: [f64; 2], b: f64) -> f64 {
    let (m, s) = (mu * mu, sigma * sigma);
    m * m / s + 14. * m + 15. * s + b * (b - 2. * m - 6. * s) / s
}

/// The variance of [`pathwise`], `4σ²`.
pub fn variance_pathwise([_, sigma]: [f64; 2]) -> f64 {
    4. * sigma * sigma
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance by the trapezoidal rule, which is exact to rounding
    /// for what falls off like a Gaussian.
    fn moments(f: impl Fn(f64) -> f64) -> (f64, f64) {
        let step = 1. / 64.;
        let density = |e: f64| (-e * e / 2.).exp() * step / 2.506628274631;
        let all = || (-768..=768).map(|k| f64::from(k) * step);
        let mean: f64 = all().map(|e| density(e) * f(e)).sum();
        let off = |e: f64| density(e) * (f(e) - mean).powi(2);
        (mean, all().map(off).sum())
    }

    #[test]
    fn both_are_right_on_average_and_vary_as_said() {
        for of in [[0.7, 0.5], [-1.3, 0.2], [0., 1.], [2., 1.5]] {
            let [mu, sigma] = of;
            for b in [0., mu * mu + sigma * sigma, -3.] {
                let (mean, variance) = moments(|e| by_score(of, b, e));
                let said = variance_by_score(of, b);
                assert!((mean - 2. * mu).abs() < 1e-10, "{of:?} {b}");
                assert!((variance / said - 1.).abs() < 1e-10, "{of:?} {b}");
            }
            let mean_loss = mu * mu + sigma * sigma;
            let said = 8. * mu * mu + 10. * sigma * sigma;
            assert!((variance_by_score(of, mean_loss) - said).abs() < 1e-10);
            let (mean, variance) = moments(|e| pathwise(of, e));
            assert!((mean - 2. * mu).abs() < 1e-10);
            assert!((variance - variance_pathwise(of)).abs() < 1e-10);
        }
    }
}
