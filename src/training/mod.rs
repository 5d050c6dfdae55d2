//! Training: data, batches, the loop, metrics, checkpoints.
//!
//! | module | what is in it |
//! |---|---|
//! | [`data`] | data sets, reading, splitting, batches |
//! | [`text`] | texts, vocabulary, windows, the bigram model |
//! | [`schedule`] | the learning rate over time |
//! | [`trainer`] | the loop, and its state |
//! | [`metrics`] | loss, accuracy, confusion |
//! | [`files`] | weights and checkpoints on disk |
//! | [`boundary`] | what a network of two inputs thinks of the plane |
//!
//! The same seed gives the same bits, at any thread count, and whether or not
//! the run was interrupted: every random choice is drawn from a stream that
//! the seed, the purpose and the epoch name, never from "where the generator
//! happens to be".

pub mod boundary;
pub mod data;
mod error;
pub mod files;
pub mod metrics;
pub mod schedule;
pub mod text;
pub mod trainer;

pub use error::Error;

use ndarray_rand::rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a random stream is for.
#[derive(Clone, Copy)]
enum Purpose {
    Split = 1,
    Order = 2,
    Points = 3,
    Noise = 4,
    Windows = 5,
}

/// The stream of random numbers for one purpose in one epoch.
fn stream(seed: u64, purpose: Purpose, epoch: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 48) | epoch);
    rng
}
