//! Training: data, batches, the loop, metrics, checkpoints.
//!
//! | module | what is in it |
//! |---|---|
//! | [`data`] | data sets, reading, splitting, batches |
//! | [`text`] | texts, vocabulary, windows, the bigram model |
//! | [`schedule`] | the learning rate over time |
//! | [`trainer`] | the loop, for every model: steps, reports, checkpoints |
//! | [`classifier`] | a perceptron on examples: settings, epochs |
//! | [`language`] | a GPT on text: settings, reports, files, writing; in [`language::rnn`] a recurrent network |
//! | [`policy`] | a policy in a small world: settings, reports |
//! | [`metrics`] | loss, accuracy, confusion |
//! | [`files`] | weights and checkpoints on disk |
//! | [`boundary`] | what a network of two inputs thinks of the plane |
//!
//! The same seed gives the same bits, at any thread count, and whether or not
//! the run was interrupted: every random choice is drawn from a stream that
//! the seed, the purpose and the epoch name, never from "where the generator
//! happens to be".

mod aside;
pub mod boundary;
pub mod classifier;
pub mod data;
mod error;
pub mod files;
mod foreign;
pub mod language;
pub mod metrics;
pub mod policy;
pub mod schedule;
mod setting;
pub mod text;
pub mod trainer;

pub use error::Error;

use crate::backends::{Checked, finite};
use crate::device::{Device, ParamName, Params};
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
    Sample = 6,
    Episodes = 7,
}

/// The stream of random numbers for one purpose in one epoch.
fn stream(seed: u64, purpose: Purpose, epoch: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 48) | epoch);
    rng
}

/// More weights than this are a slip of the finger, not a model for a laptop.
const MOST_WEIGHTS: usize = 1 << 28;

/// An error if the device has failed: what was read from it is then no number
/// of the model's.
fn alive<D: Device>(dev: &D) -> Result<(), Error> {
    dev.fault().map_or(Ok(()), |fault| Err(fault.into()))
}

/// The fault of the device, if it has one; else `error`.
fn blame<D: Device>(dev: &D, error: Error) -> Error {
    alive(dev).err().unwrap_or(error)
}

/// The first parameter with an entry that is not finite.
fn first_bad_parameter<D: Device>(
    dev: &D,
    params: &impl Params<Tensor = D::Tensor>,
) -> Option<String> {
    let mut named = params.names().into_iter().zip(params.tensors());
    let bad = named.find(|(_, t)| !finite(dev, t));
    bad.map(|(name, _)| name.name)
}

/// The first fault that checked mode has seen, with the name of the tensor
/// among `named` that the op used or changed.
fn named_fault<'t, D: Device<Tensor: 't>>(
    dev: &Checked<D>,
    mut named: impl Iterator<Item = (ParamName, &'t D::Tensor)>,
) -> String {
    let Some(fault) = dev.fault() else {
        return "none, when the step is run again".into();
    };
    if fault.op == "upload" {
        return "the batch of data".into();
    }
    match named.find(|(_, t)| fault.touched(t)) {
        Some((name, _)) => format!("{fault} with {}", name.name),
        None => fault.to_string(),
    }
}
