//! Inputs for the checks.

use ndarray::{Array, Array1, Array2, ArrayD, Dimension, ShapeBuilder};
use ndarray_rand::rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Seeded inputs that a learner can copy from a report: two decimals, between
/// 0.1 and 2 in absolute value, so that none is near zero.
#[derive(Debug)]
pub struct Sampler(ChaCha8Rng);

impl Sampler {
    /// The same seed gives the same inputs.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One number.
    pub fn number(&mut self) -> f64 {
        let size = f64::from(self.0.random_range(10..=200)) / 100.;
        if self.0.random() { size } else { -size }
    }

    /// A whole number from `0` to `below - 1`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0.random_range(0..below)
    }

    /// A number between `low` and `high`, both included, with two decimals.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        (self.0.random_range(low..=high) * 100.).round() / 100.
    }

    fn array<D: Dimension, S: ShapeBuilder<Dim = D>>(
        &mut self,
        shape: S,
    ) -> Array<f64, D> {
        Array::from_shape_simple_fn(shape, || self.number())
    }

    /// A vector.
    pub fn vector(&mut self, n: usize) -> Array1<f64> {
        self.array(n)
    }

    /// A matrix.
    pub fn matrix(&mut self, rows: usize, cols: usize) -> Array2<f64> {
        self.array((rows, cols))
    }

    /// An array of any rank.
    pub fn dynamic(&mut self, shape: &[usize]) -> ArrayD<f64> {
        self.array(shape)
    }
}
