use ndarray::{ArrayD, IxDyn};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::{StandardNormal, Uniform};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Seeded points for a check: the same seed draws the same arrays.
///
/// ```
/// use backprop::calculus::gradcheck::Sampler;
///
/// let x = Sampler::new(7).normal(&[2, 3]);
/// assert_eq!(x.shape(), &[2, 3]);
/// assert_eq!(x, Sampler::new(7).normal(&[2, 3]));
/// ```
pub struct Sampler {
    rng: ChaCha8Rng,
}

impl Sampler {
    /// A sampler over ChaCha8 seeded with `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Independent standard normal entries.
    pub fn normal(&mut self, shape: &[usize]) -> ArrayD<f64> {
        ArrayD::random_using(IxDyn(shape), StandardNormal, &mut self.rng)
    }

    /// Independent entries, uniform in `[low, high)`.
    ///
    /// # Panics
    ///
    /// Unless `low < high`, both finite.
    #[track_caller]
    pub fn uniform(
        &mut self,
        shape: &[usize],
        low: f64,
        high: f64,
    ) -> ArrayD<f64> {
        let range = Uniform::new(low, high)
            .expect("Sampler::uniform: low must lie below high");
        ArrayD::random_using(IxDyn(shape), range, &mut self.rng)
    }

    /// Entries `+1` or `-1`, each with probability one half.
    pub fn signs(&mut self, shape: &[usize]) -> ArrayD<f64> {
        self.normal(shape).mapv(f64::signum)
    }

    // ANCHOR: away_from
    /// Normal entries, each at least `distance` away from every one of
    /// `kinks`: for ReLU `&[0.0]`, for a clip to [-1, 1] `&[-1.0, 1.0]`.
    ///
    /// An entry that falls too close is drawn again. Keep `distance` well
    /// above the step and the kinks few: 0.05 is a thousand steps and loses
    /// 4 % of the draws.
    ///
    /// # Panics
    ///
    /// When a thousand draws in a row are too close: the kinks leave no room.
    #[track_caller]
    pub fn away_from(
        &mut self,
        shape: &[usize],
        kinks: &[f64],
        distance: f64,
    ) -> ArrayD<f64> {
        let near = |v: f64| kinks.iter().any(|k| (v - k).abs() < distance);
        let mut x = self.normal(shape);
        for v in &mut x {
            let mut draws = 0;
            while near(*v) {
                *v = self.normal(&[])[[]];
                draws += 1;
                assert!(draws < 1000, "Sampler::away_from: no room");
            }
        }
        x
    }
    // ANCHOR_END: away_from

    /// Entries in random order that differ pairwise by `gap` or more, centred
    /// on zero: for a maximum, whose kinks lie where two entries tie.
    pub fn distinct(&mut self, shape: &[usize], gap: f64) -> ArrayD<f64> {
        let n: usize = shape.iter().product();
        let mut ranks: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            ranks.swap(i, self.index(i + 1)); // Fisher and Yates
        }
        let middle = (n as f64 - 1.0) / 2.0;
        let values = ranks
            .into_iter()
            .map(|r| gap * (r as f64 - middle))
            .collect();
        ArrayD::from_shape_vec(IxDyn(shape), values)
            .expect("as many ranks as entries")
    }

    /// A whole number below `n`: a label, a row of a table.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[track_caller]
    pub fn index(&mut self, n: usize) -> usize {
        assert!(n > 0, "Sampler::index: no number lies below 0");
        (self.rng.next_u64() % n as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_keep_their_distance() {
        let mut s = Sampler::new(1);
        let x = s.away_from(&[40, 50], &[0.0, 1.0], 0.1);
        assert!(x.iter().all(|v| v.abs() >= 0.1 && (v - 1.0).abs() >= 0.1));
        assert!(x.iter().any(|v| *v > 1.0) && x.iter().any(|v| *v < 0.0));
        // Without the distance some of the 2000 would have been closer.
        assert!(
            Sampler::new(1)
                .normal(&[40, 50])
                .iter()
                .any(|v| v.abs() < 0.1)
        );
    }

    #[test]
    #[should_panic(expected = "no room")]
    fn kinks_everywhere() {
        Sampler::new(1).away_from(&[3], &[0.0], 100.0);
    }

    #[test]
    fn no_two_entries_tie() {
        let x = Sampler::new(3).distinct(&[4, 5], 0.5);
        let mut v: Vec<f64> = x.iter().copied().collect();
        assert!(v.windows(2).any(|w| w[0] > w[1]), "not sorted already");
        v.sort_by(f64::total_cmp);
        assert!(v.windows(2).all(|w| w[1] - w[0] >= 0.5 - 1e-12));
        assert_eq!(v.iter().sum::<f64>(), 0.0);
    }

    #[test]
    fn signs_and_ranges() {
        let mut s = Sampler::new(5);
        let signs = s.signs(&[100]);
        assert!(signs.iter().all(|v| v.abs() == 1.0));
        assert!(signs.sum().abs() < 50.0);
        let u = s.uniform(&[100], 2.0, 3.0);
        assert!(u.iter().all(|v| (2.0..3.0).contains(v)));
        assert!((0..100).all(|_| s.index(7) < 7));
    }
}
