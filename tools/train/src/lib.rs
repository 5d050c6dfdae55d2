//! Training runs worth watching: `cargo train digits`, `cargo train spirals`,
//! `cargo train gpt`, `cargo train lora`, `cargo train rnn`,
//! `cargo train policy`, on the CPU or, with `--device gpu`, on the GPU.
//!
//! Every run writes a folder: weights as safetensors, metrics as JSON,
//! pictures as SVG, and a checkpoint from which an interrupted run goes on.

mod device;
mod digits;
mod error;
mod folder;
mod gpt;
mod language;
mod lora;
mod planes;
mod policy;
mod progress;
mod rnn;

pub use device::{Choice, On};
pub use digits::{Digits, digits};
pub use error::Error;
pub use gpt::{Gpt, gpt};
pub use language::{Blocks, Steps, Writing};
pub use lora::{Lora, lora};
pub use planes::{Planes, Shape, planes};
pub use policy::{Policy, policy};
pub use rnn::{Rnn, rnn};

use backprop::backends::Cpu;
use backprop::device::Device;
use backprop::training::classifier::Settings;
use backprop::training::schedule::Schedule;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "train", bin_name = "cargo train", about, version)]
pub struct Cli {
    /// Threads to compute with; all cores unless told. The result is the same.
    #[arg(
        long,
        global = true,
        value_parser = clap::value_parser!(u64).range(1..=1024)
    )]
    pub threads: Option<u64>,
    /// What to compute with.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "cpu",
        hide_possible_values = true,
        value_name = "cpu|gpu"
    )]
    pub device: Choice,
    /// What to learn.
    #[command(subcommand)]
    pub task: Task,
}

/// What there is to learn.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Learn to read handwritten digits (8×8 pixels, 1,797 images).
    Digits(Digits),
    /// Tell two spirals (or circles) apart, with nets of several widths.
    Spirals(Planes),
    /// Learn to write like Shakespeare, character by character.
    Gpt(Box<Gpt>),
    /// Teach the model of `cargo train gpt` another book, with adapters.
    Lora(Box<Lora>),
    /// Learn to write like Shakespeare with a recurrent network.
    Rnn(Box<Rnn>),
    /// Learn the way to a goal, on a slippery floor, from rewards alone.
    Policy(Policy),
    /// List the GPUs that `--device gpu` can use.
    Devices,
}

/// Where a run goes.
#[derive(Clone, Debug, Default, Args)]
pub struct Out {
    /// Folder of the run; runs/TASK-seedN unless told.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write over a run that is there already.
    #[arg(long)]
    pub force: bool,
}

/// Settings of the optimiser, over the defaults of the task.
#[derive(Clone, Debug, Default, Args)]
pub struct Tuning {
    /// Seed of the split, the weights and the order of batches [default: 0].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Passes over the training data.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub epochs: Option<u64>,
    /// Learning rate at the start; it falls along half a cosine.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Momentum of SGD, from 0 to below 1.
    #[arg(long, value_name = "MU", allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// Weight decay.
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    pub decay: Option<f64>,
    /// Examples in a batch.
    #[arg(long, value_parser = at_least_one)]
    pub batch: Option<usize>,
    /// Keep the learning rate constant.
    #[arg(long)]
    pub constant_lr: bool,
}

impl Tuning {
    fn over(&self, defaults: Settings) -> Settings {
        let d = defaults;
        Settings {
            seed: self.seed.unwrap_or(d.seed),
            epochs: self.epochs.unwrap_or(d.epochs),
            lr: self.lr.unwrap_or(d.lr),
            momentum: self.momentum.unwrap_or(d.momentum),
            decay: self.decay.unwrap_or(d.decay),
            batch: self.batch.unwrap_or(d.batch),
            schedule: match self.constant_lr {
                true => Schedule::Constant,
                false => d.schedule,
            },
            ..d
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(n) => Ok(n),
        Err(e) => Err(format!("{e}")),
    }
}

/// Runs what the command line asks for. `stop` is set by Ctrl-C.
pub fn run(cli: Cli, stop: &AtomicBool) -> Result<(), Error> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = cli.threads {
        pool = pool.num_threads(threads as usize); // at most 1024
    }
    let pool = pool.build().map_err(|e| Error::Threads(e.to_string()))?;
    // The whole run inside the pool: no hand-over at every parallel loop.
    pool.install(|| match (&cli.task, cli.device) {
        (Task::Devices, _) => device::list(),
        (task, Choice::Gpu) => device::on_gpu(task, stop),
        (task, Choice::Cpu) => {
            let (dev, name) = (&Cpu::new(), "cpu".into());
            learn(task, &On { dev, name, stop })
        }
    })
}

fn learn<D: Device>(task: &Task, on: &On<D>) -> Result<(), Error> {
    match task {
        Task::Digits(task) => digits(task, on),
        Task::Spirals(task) => planes(task, on),
        Task::Gpt(task) => gpt(task, on),
        Task::Lora(task) => lora(task, on),
        Task::Rnn(task) => rnn(task, on),
        Task::Policy(task) => policy(task, on),
        Task::Devices => unreachable!("nothing is learned"),
    }
}
