//! Random arrays from a seed.
//!
//! The generator is ChaCha with eight rounds: fast, portable, and the same
//! sequence on every machine. Everything takes the generator as an argument;
//! there is no hidden global one, so a run is repeatable as soon as its seed
//! is known. Numbers are drawn in `f64`, and a model in `f32` rounds them:
//! both then start from the same weights, and can be compared.
//!
//! ```
//! use backprop::engine::random;
//!
//! let mut rng = random::rng(7);
//! let w = random::normal(&mut rng, (3, 2), 0.0, 0.1);
//! let again = random::normal(&mut random::rng(7), (3, 2), 0.0, 0.1);
//! assert_eq!(w, again);
//! let w = w.mapv(|v| v as f32); // the same weights for the fast backend
//! assert_eq!(w.dim(), (3, 2));
//! ```
//!
//! For random numbers that belong to a place instead of a sequence (dropout)
//! see [`philox`](super::philox).

use ndarray::{Array, Dimension, ShapeBuilder};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::seq::{SliceRandom, index};
use ndarray_rand::rand_distr::{Normal, Uniform};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The generator everything here draws from.
pub type Rng = ChaCha8Rng;

/// A generator that starts at `seed`.
pub fn rng(seed: u64) -> Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// An array of independent normal numbers with the given mean and standard
/// deviation, in the order of the array's logical indices.
///
/// # Panics
///
/// If `std` is negative or not finite.
#[track_caller]
pub fn normal<Sh, D>(
    rng: &mut Rng,
    shape: Sh,
    mean: f64,
    std: f64,
) -> Array<f64, D>
where
    Sh: ShapeBuilder<Dim = D>,
    D: Dimension,
{
    assert!(
        std >= 0.0 && std.is_finite(),
        "normal: standard deviation {std} is not a finite number ≥ 0"
    );
    let normal = Normal::new(mean, std).expect("checked above");
    Array::random_using(shape, normal, rng)
}

/// An array of independent numbers uniform on `[low, high)`, in the order of
/// the array's logical indices.
///
/// # Panics
///
/// If `low < high` does not hold or one of them is not finite.
///
/// ```
/// use backprop::engine::random;
///
/// let x = random::uniform(&mut random::rng(1), 1000, -2.0, 3.0);
/// assert!(x.iter().all(|v| (-2.0..3.0).contains(v)));
/// ```
#[track_caller]
pub fn uniform<Sh, D>(
    rng: &mut Rng,
    shape: Sh,
    low: f64,
    high: f64,
) -> Array<f64, D>
where
    Sh: ShapeBuilder<Dim = D>,
    D: Dimension,
{
    let Ok(uniform) = Uniform::new(low, high) else {
        panic!("uniform: no numbers between {low} and {high}");
    };
    Array::random_using(shape, uniform, rng)
}

/// The numbers `0..n` in random order, every order equally likely.
///
/// ```
/// use backprop::engine::random;
///
/// let mut order = random::permutation(&mut random::rng(3), 5);
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
pub fn permutation(rng: &mut Rng, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    order
}

/// `k` different numbers from `0..n`, in random order.
///
/// # Panics
///
/// If `k > n`.
#[track_caller]
pub fn choice(rng: &mut Rng, n: usize, k: usize) -> Vec<usize> {
    assert!(k <= n, "choice: {k} different numbers out of {n}");
    index::sample(rng, n, k).into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let draw = |seed| normal(&mut rng(seed), (4, 5), 0.0, 1.0);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let order = |seed| permutation(&mut rng(seed), 50);
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let some = |seed| choice(&mut rng(seed), 1000, 20);
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
    }

    /// The first numbers of seed 0: a library that changed its sequence would
    /// change every figure in the book.
    #[test]
    fn the_sequence_is_pinned() {
        let mut rng = rng(0);
        let x = normal(&mut rng, 2, 0.0, 1.0);
        assert_eq!(x.to_vec(), [0.6999607946268154, -0.14406163542784764]);
        let x = uniform(&mut rng, 2, 0.0, 1.0);
        assert_eq!(x.to_vec(), [0.6991432426747317, 0.060171165634171686]);
        assert_eq!(permutation(&mut rng, 6), [1, 0, 4, 5, 2, 3]);
        assert_eq!(choice(&mut rng, 100, 4), [85, 56, 54, 41]);
    }

    /// Mean and variance of 100,000 numbers within five standard errors.
    #[test]
    fn moments() {
        let n = 100_000f64;
        let near = |got: f64, want: f64, err: f64| {
            assert!((got - want).abs() < 5.0 * err, "{got} {want}");
        };
        let x = normal(&mut rng(5), (100, 1000), 3.0, 2.0);
        near(x.mean().unwrap(), 3.0, 2.0 / n.sqrt());
        near(x.var(0.0), 4.0, 4.0 * (2.0 / n).sqrt());
        let x = uniform(&mut rng(5), (100, 1000), -1.0, 5.0);
        near(x.mean().unwrap(), 2.0, 3f64.sqrt() / n.sqrt());
        near(x.var(0.0), 3.0, 3.0 * (0.8 / n).sqrt());
    }

    #[test]
    fn orders_are_fair() {
        let mut rng = rng(11);
        let mut first = [0; 4];
        for _ in 0..8000 {
            first[permutation(&mut rng, 4)[0]] += 1;
        }
        // Binomial with deviation 39; five of them.
        assert!(first.iter().all(|c| (c - 2000i32).abs() < 195), "{first:?}");
        let mut some = choice(&mut rng, 30, 30);
        some.sort();
        assert_eq!(some, (0..30).collect::<Vec<_>>());
        assert!(choice(&mut rng, 3, 0).is_empty());
        assert!(permutation(&mut rng, 0).is_empty());
    }

    #[test]
    #[should_panic(expected = "standard deviation -1")]
    fn negative_deviation() {
        normal(&mut rng(0), 3, 0.0, -1.0);
    }

    #[test]
    #[should_panic(expected = "between 2 and 2")]
    fn empty_interval() {
        uniform(&mut rng(0), 3, 2.0, 2.0);
    }

    #[test]
    #[should_panic(expected = "4 different numbers out of 3")]
    fn choosing_too_many() {
        choice(&mut rng(0), 3, 4);
    }
}
