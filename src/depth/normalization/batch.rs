//! BatchNorm: every column at one scale, over the examples of a batch.
//!
//!   training:    x̂ = (x - μ)·r,  μ = mean(x),  r = 1/√(mean((x - μ)²) + ε)
//!                y = γ ⊙ x̂ + β
//!                dx = γ·r·(dy - mean(dy) - x̂·mean(dy ⊙ x̂))
//!                dγ = Σ_n dy ⊙ x̂      dβ = Σ_n dy
//!
//!   evaluation:  the same with μ and r of all batches before, which no longer
//!                depend on x:  dx = γ·r·dy
//!
//!   x (B,D), γ (D), β (D)  ->  y (B,D);  means are over a column's B entries
//!
//! This is LayerNorm with rows and columns exchanged, but for γ and β: they
//! belong to columns in both. Here γ is one number where a mean is taken, so
//! it can wait until the end.

use super::{assert_width, column_mean};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, stack};

/// `y = γ ⊙ x̂ + β`, `x̂ = (x - μ)·r`, with mean `μ` and `r = 1/√(variance + ε)`
/// of each column. The variance is divided by B. Returns `(y, stats)`.
///
/// `x` (B,D), `gamma` and `beta` (D), `eps` ε ≥ 0 in the square of `x`'s unit;
/// `y` (B,D), and `stats` (2,D): `μ` and `r` of each column, kept for the VJP
/// beside `x`.
///
/// One example gives `y = β` if ε > 0, whatever it holds.
///
/// Panics if the shapes differ or B is 0: no mean exists.
///
/// Source: Ioffe and Szegedy 2015, algorithm 1.
///
/// ```
/// use backprop::depth::normalization::batch;
/// use ndarray::array;
/// // μ = 4, variance 5, ε = 4: r = 1/3
/// let (x, one) = (array![[1.], [3.], [5.], [7.]], array![3.]);
/// let (y, stats) = batch::forward(x.view(), one.view(), array![1.].view(), 4.);
/// assert_eq!(y, array![[-2.], [0.], [2.], [4.]]);
/// assert_eq!(stats, array![[4.], [1. / 3.]]);
/// ```
#[track_caller]
pub fn forward(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    beta: ArrayView1<f64>,
    eps: f64,
) -> (Array2<f64>, Array2<f64>) {
    assert_columns("batch norm", x.shape(), gamma.len());
    assert_columns("batch norm", x.shape(), beta.len());
    let mu = column_mean(&x); //                             (D)
    let d = &x - &mu; //                                     (B,D)
    let r = (column_mean(&(&d * &d).view()) + eps).sqrt().recip(); // (D)
    (d * &r * gamma + beta, stack![Axis(0), mu, r])
}

/// The gradients `(dx, dgamma, dbeta)` in training:
///
///   dx = γ·r·(dy - mean(dy) - x̂·mean(dy ⊙ x̂))    dγ = Σ dy ⊙ x̂    dβ = Σ dy
///
/// `x` (B,D), `gamma` (D) and `stats` (2,D) as in [`forward`], `dy` (B,D) give
/// `dx` (B,D), `dgamma` and `dbeta` (D). Every column of `dx` sums to 0: the
/// gradient of one example depends on all.
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    stats: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    assert_columns("batch norm vjp", x.shape(), gamma.len());
    assert_pair("batch norm vjp", x.shape(), stats.shape(), dy.shape());
    let (mu, r) = (stats.row(0), stats.row(1));
    let x_hat = (&x - &mu) * r; //                           (B,D)
    let along_one = column_mean(&dy); //                     (D)
    let along_x_hat = column_mean(&(&dy * &x_hat).view()); // (D)
    let dx = (&dy - &along_one - &x_hat * &along_x_hat) * r * gamma;
    let dgamma = along_x_hat * x.nrows() as f64; //          (D)
    (dx, dgamma, dy.sum_axis(Axis(0)))
}

/// What training leaves behind for evaluation: of each column, a mean and a
/// variance of the batches seen, the later ones with more weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// (D), in the unit of `x`.
    pub mean: Array1<f64>,
    /// (D), in its square.
    pub variance: Array1<f64>,
}

impl Running {
    /// Mean 0 and variance 1 of `width` columns.
    pub fn new(width: usize) -> Self {
        Self {
            mean: Array1::zeros(width),
            variance: Array1::ones(width),
        }
    }

    /// Moves both towards those of a batch `x` (B,D) by a share `momentum`.
    /// The batch's variance is divided by B - 1 here, as in PyTorch; a batch
    /// of one has none, and leaves both as they are.
    ///
    /// Panics for another width, and for no examples.
    #[track_caller]
    pub fn update(&mut self, x: ArrayView2<f64>, momentum: f64) {
        assert_columns("running statistics", x.shape(), self.mean.len());
        let n = x.nrows() as f64;
        if n == 1. {
            return;
        }
        let mu = column_mean(&x);
        let d = &x - &mu;
        let variance = (&d * &d).sum_axis(Axis(0)) / (n - 1.);
        self.mean = &self.mean * (1. - momentum) + mu * momentum;
        self.variance = &self.variance * (1. - momentum) + variance * momentum;
    }
}

/// `y = γ·(x - μ)·r + β` with the running statistics: every example for itself.
///
/// `x` (B,D), `gamma` and `beta` (D), `eps` as in [`forward`]; `y` (B,D).
///
/// Panics if the widths differ.
#[track_caller]
pub fn eval(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    beta: ArrayView1<f64>,
    running: &Running,
    eps: f64,
) -> Array2<f64> {
    assert_width("batch norm eval", x.shape(), "gamma", gamma.len());
    assert_width("batch norm eval", x.shape(), "running", running.mean.len());
    let r = (&running.variance + eps).sqrt().recip();
    (&x - &running.mean) * r * gamma + beta
}

/// `(dx, dgamma, dbeta)` of [`eval`], in which μ and r are constants:
///
///   dx = γ·r·dy    dγ = Σ dy ⊙ (x - μ)·r    dβ = Σ dy
///
/// Panics if the shapes differ.
#[track_caller]
pub fn eval_vjp(
    x: ArrayView2<f64>,
    gamma: ArrayView1<f64>,
    running: &Running,
    eps: f64,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    assert_width("batch norm eval vjp", x.shape(), "gamma", gamma.len());
    assert_eq!(
        x.shape(),
        dy.shape(),
        "batch norm eval vjp: x and dy differ"
    );
    let r = (&running.variance + eps).sqrt().recip();
    let x_hat = (&x - &running.mean) * &r;
    let dgamma = (&dy * &x_hat).sum_axis(Axis(0));
    (&dy * &(r * gamma), dgamma, dy.sum_axis(Axis(0)))
}

/// `x` (B,D) with a row at least, and a parameter of so many numbers.
#[track_caller]
fn assert_columns(op: &str, x: &[usize], n: usize) {
    assert!(x[0] > 0, "{op}: x {x:?} has no mean");
    assert_eq!(x[1], n, "{op}: x {x:?} and a parameter [{n}]");
}

#[track_caller]
fn assert_pair(op: &str, x: &[usize], stats: &[usize], dy: &[usize]) {
    assert_eq!(x, dy, "{op}: x {x:?} and dy {dy:?} differ in shape");
    assert_eq!(stats, [2, x[1]], "{op}: x {x:?} and stats {stats:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::depth::normalization::{layer_norm, layer_norm_vjp};
    use ndarray::array;

    /// One feature over a batch has the numbers of one row over its features.
    #[test]
    fn a_column_to_ten_digits() {
        let (x, one) = (array![[1.], [2.], [3.], [4.]], array![1.]);
        let (_, stats) = forward(x.view(), one.view(), array![0.].view(), 0.);
        let dy = array![[1.], [0.], [0.], [0.]];
        let (dx, dgamma, dbeta) =
            vjp(x.view(), one.view(), stats.view(), dy.view());
        let want = [0.2683281573, -0.3577708764, -0.0894427191, 0.1788854382];
        for (got, want) in dx.iter().zip(want) {
            assert!((got - want).abs() < 5e-11, "{got} is not {want}");
        }
        assert!((dgamma[0] + 1.341640786).abs() < 5e-10 && dbeta[0] == 1.);
    }

    /// Where γ is the same for all, a turned LayerNorm is all there is to it.
    #[test]
    fn rows_and_columns_exchanged() {
        let x = array![[1., -2., 0.5], [4., 3., 0.25], [-1., 7., 2.]];
        let dy = array![[1., 0.5, -2.], [0., 3., 1.], [2., -1., 0.75]];
        let (two, zero) = (array![2., 2., 2.], array![0., 0., 0.]);
        let (y, stats) = forward(x.view(), two.view(), zero.view(), 0.1);
        let (turned, kept) = layer_norm(x.t(), two.view(), zero.view(), 0.1);
        assert!((&y - &turned.t()).iter().all(|v| v.abs() < 1e-15));
        let dx = vjp(x.view(), two.view(), stats.view(), dy.view()).0;
        let other = layer_norm_vjp(x.t(), two.view(), kept.view(), dy.t()).0;
        assert!((&dx - &other.t()).iter().all(|v| v.abs() < 1e-15));
    }

    #[test]
    fn a_batch_of_one_is_beta() {
        let (gamma, beta) = (array![2., 3.], array![5., 7.]);
        let x = array![[1e4, -2.]];
        let (y, stats) = forward(x.view(), gamma.view(), beta.view(), 1e-5);
        assert_eq!(y, array![[5., 7.]]);
        let dy = array![[1., -3.]];
        let (dx, dgamma, dbeta) =
            vjp(x.view(), gamma.view(), stats.view(), dy.view());
        assert_eq!((dx, dgamma), (array![[0., 0.]], array![0., 0.]));
        assert_eq!(dbeta, array![1., -3.]);
    }

    /// `x̂ = ±1`, and no gradient for any cotangent.
    #[test]
    fn a_batch_of_two_is_blind() {
        let (x, dy) = (array![[3.], [7.]], array![[2.], [-0.5]]);
        let (one, zero) = (array![1.], array![0.]);
        let (y, stats) = forward(x.view(), one.view(), zero.view(), 0.);
        assert_eq!(y, array![[-1.], [1.]]);
        let dx = vjp(x.view(), one.view(), stats.view(), dy.view()).0;
        assert_eq!(dx, array![[0.], [0.]]);
    }

    #[test]
    fn running_statistics_are_unbiased() {
        let mut running = Running::new(1);
        running.update(array![[1.], [3.], [5.], [7.]].view(), 0.25);
        // 0 and 4; 1 and 20/3.
        let variance = array![0.75 + 20. / 12.];
        assert_eq!(
            running,
            Running {
                mean: array![1.],
                variance
            }
        );
        let (x, gamma) = (array![[9.]], array![3.]);
        let four = Running {
            mean: array![1.],
            variance: array![4.],
        };
        let y = eval(x.view(), gamma.view(), array![5.].view(), &four, 0.);
        assert_eq!(y, array![[17.]]);
        let dy = array![[2.]];
        let (dx, dgamma, dbeta) =
            eval_vjp(x.view(), gamma.view(), &four, 0., dy.view());
        assert_eq!((dx[[0, 0]], dgamma[0], dbeta[0]), (3., 8., 2.));
    }

    #[test]
    fn one_example_moves_no_statistics() {
        let mut running = Running::new(1);
        running.update(array![[9.]].view(), 0.1);
        assert_eq!(running, Running::new(1));
    }

    #[test]
    #[should_panic(expected = "batch norm: x [0, 1] has no mean")]
    fn no_examples() {
        let one = array![1.];
        forward(Array2::zeros((0, 1)).view(), one.view(), one.view(), 0.);
    }

    #[test]
    #[should_panic(expected = "batch norm vjp: x [2, 1] and stats [2, 2]")]
    fn stats_of_another_batch() {
        let (x, one) = (array![[1.], [2.]], array![1.]);
        let stats = Array2::zeros((2, 2));
        vjp(x.view(), one.view(), stats.view(), x.view());
    }
}
