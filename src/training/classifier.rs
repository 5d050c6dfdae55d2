//! Training a classifier of examples: SGD with momentum, epoch by epoch.

use super::data::{Dataset, Shuffled};
use super::files::{self, Checkpoint};
use super::metrics::{Evaluation, evaluate};
use super::schedule::Schedule;
use super::setting::{at_least_one, range, share, size};
use super::trainer::{self, Optimizer, Plan};
use super::{Error, MOST_WEIGHTS};
use crate::device::Device;
use crate::discrete::straight_through::model::{BITS, Quantised};
use crate::network::mlp::model::{Activation, Mlp};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;

/// The settings of a run: with the data and the seed they fix every bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// What stands between two layers.
    pub activation: Activation,
    /// Passes over the training data.
    pub epochs: u64,
    /// Examples in a batch; the last batch of an epoch may be smaller.
    pub batch: usize,
    /// Learning rate at the start.
    pub lr: f64,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Momentum μ.
    pub momentum: f64,
    /// Weight decay λ, on weights and biases.
    pub decay: f64,
    /// Label smoothing ε.
    pub smoothing: f64,
    /// Standard deviation of the normal noise that is added to every input,
    /// afresh in every epoch.
    pub noise: f64,
    /// Seed of the initial weights, the order of batches and the noise.
    pub seed: u64,
    /// Bits of a weight where it is used, see
    /// [`straight_through`](crate::discrete::straight_through); `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hidden: vec![128],
            activation: Activation::Relu,
            epochs: 30,
            batch: 32,
            lr: 0.1,
            schedule: Schedule::Cosine,
            momentum: 0.9,
            decay: 0.,
            smoothing: 0.,
            noise: 0.,
            seed: 0,
            bits: None,
        }
    }
}

impl Settings {
    /// Checks that every setting is in its range.
    pub fn check(&self) -> Result<(), Error> {
        let mut hidden = self.hidden.iter();
        hidden.try_for_each(|h| at_least_one("hidden", *h as u64))?;
        at_least_one("batch", self.batch as u64)?;
        share("label smoothing", self.smoothing)?;
        size("noise", self.noise)?;
        check_bits(self.bits)?;
        self.optimizer().check()?;
        self.plan(1).check()
    }

    /// The sizes of a network between these two ends.
    fn sizes(&self, [inputs, classes]: [usize; 2]) -> Vec<usize> {
        [&[inputs], &self.hidden[..], &[classes]].concat()
    }

    fn optimizer(&self) -> Optimizer {
        Optimizer::Sgd {
            momentum: self.momentum,
            decay: self.decay,
        }
    }

    fn plan(&self, steps_per_epoch: u64) -> Plan {
        Plan {
            schedule: self.schedule,
            report_every: steps_per_epoch,
            keep: false, // there may be millions
            ..Plan::new(steps_per_epoch.saturating_mul(self.epochs), self.lr)
        }
    }
}

/// Checks that a weight can have so many bits.
pub fn check_bits(bits: impl IntoIterator<Item = u32>) -> Result<(), Error> {
    let (least, most) = (BITS.start(), BITS.end());
    bits.into_iter().try_for_each(|bits| {
        let ok = BITS.contains(&bits);
        range("bits", bits, ok, &format!("from {least} to {most}"))
    })
}

/// The figures of one epoch, measured at its end on all data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Steps taken so far.
    pub step: u64,
    /// Mean of the losses of the epoch's steps, each before its update, with
    /// smoothing and noise.
    pub running_loss: f64,
    /// Loss on the training data.
    pub train_loss: f64,
    /// Accuracy on the training data.
    pub train_accuracy: f64,
    /// Loss on the test data.
    pub test_loss: f64,
    /// Accuracy on the test data.
    pub test_accuracy: f64,
}

/// Where a run stands: a report is an [`Epoch`].
pub type State = trainer::State<Epoch>;

/// What the loop has just done.
pub type Event<'e> = trainer::Event<'e, Epoch>;

/// A perceptron in training.
pub type Trainer<'d, D> =
    trainer::Trainer<'d, D, Quantised<<D as Device>::Tensor>, Settings, Epoch>;

/// What a checkpoint holds of a run, beside weights and velocity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Inputs and classes.
    pub ends: [usize; 2],
    /// The settings.
    pub settings: Settings,
    /// Where the run stands.
    pub state: State,
}

impl<'d, D: Device> Trainer<'d, D> {
    /// A fresh model for data with `inputs` columns and `classes` classes.
    ///
    /// An error if a setting is out of range.
    pub fn new(
        dev: &'d D,
        settings: Settings,
        inputs: usize,
        classes: usize,
    ) -> Result<Trainer<'d, D>, Error> {
        settings.check()?;
        at_least_one("inputs", inputs as u64)?;
        let sizes = settings.sizes([inputs, classes]);
        if numbers(&sizes) > MOST_WEIGHTS {
            let what = format!(
                "layers {sizes:?} have more than {MOST_WEIGHTS} weights. \
                 Choose smaller widths."
            );
            let setting = "hidden";
            return Err(Error::Setting { setting, what });
        }
        let Settings {
            activation,
            seed,
            bits,
            ..
        } = settings;
        let mlp = Mlp::new(dev, &sizes, activation, seed);
        let model = Quantised { mlp, bits };
        Ok(Trainer::of(dev, model, settings.optimizer(), settings))
    }

    /// Steps in the whole run on `train`.
    pub fn steps(&self, train: &Dataset) -> u64 {
        self.plan(train).steps
    }

    fn plan(&self, train: &Dataset) -> Plan {
        let batches = train.len().div_ceil(self.settings.batch);
        self.settings.plan(batches as u64)
    }

    /// [Runs](trainer::Trainer::run) to the end, or until `watch` breaks off.
    ///
    /// Panics if `train` or `test` is empty.
    pub fn learn(
        &mut self,
        train: &Dataset,
        test: &Dataset,
        watch: impl FnMut(&Self, Event) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        let plan = self.plan(train);
        let Settings {
            batch,
            seed,
            noise,
            smoothing,
            ..
        } = self.settings;
        let mut batches = Shuffled::new(train, batch, seed, noise);
        self.run(
            &plan,
            |_, n, batch| {
                batch.smoothing = smoothing;
                batches.draw(n, batch);
            },
            |t| {
                let [on_train, on_test] =
                    [t.evaluate(train)?, t.evaluate(test)?];
                Ok(Epoch {
                    step: t.state.step,
                    running_loss: t.state.loss_sum / plan.report_every as f64,
                    train_loss: on_train.loss,
                    train_accuracy: on_train.accuracy,
                    test_loss: on_test.loss,
                    test_accuracy: on_test.accuracy,
                })
            },
            watch,
        )
    }

    /// The model on `data`; an error if the loss is not finite.
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation, Error> {
        let dev = self.device();
        let e = evaluate(dev, |x| self.model.logits(dev, x), data);
        self.finite(e.loss)?;
        Ok(e)
    }

    /// The model on `data` with its weights rounded to `bits` bits, whatever
    /// it was trained for; an error if `bits` is out of range or the loss is
    /// not finite.
    pub fn evaluate_rounded(
        &self,
        data: &Dataset,
        bits: u32,
    ) -> Result<Evaluation, Error> {
        check_bits([bits])?;
        let dev = self.device();
        let rounded = self.model.rounded(dev, bits);
        let e = evaluate(dev, |x| rounded.logits(dev, x), data);
        self.finite(e.loss)?;
        Ok(e)
    }

    /// [Saves](trainer::Trainer::write) a checkpoint of the run.
    pub fn save(&self, dir: &Path, task: &str, data: u64) -> Result<(), Error> {
        let sizes = self.model.mlp.sizes(self.device());
        let run = Run {
            ends: [sizes[0], sizes[sizes.len() - 1]],
            settings: self.settings.clone(),
            state: self.state.clone(),
        };
        self.write(dir, (task, data), run)
    }

    /// The trainer of a checkpoint in the folder that it was read from.
    pub fn restore(
        dev: &'d D,
        dir: &Path,
        checkpoint: &Checkpoint<Run>,
    ) -> Result<Trainer<'d, D>, Error> {
        let (path, tensors) = checkpoint.tensors(dir)?;
        let Run {
            ends,
            settings,
            state,
        } = checkpoint.run.clone();
        let want = numbers(&settings.sizes(ends));
        let of_model = |name: &str| name.starts_with("layers.");
        files::check_numbers(&path, want, &tensors, of_model)?;
        let mut trainer = Trainer::new(dev, settings, ends[0], ends[1])?;
        trainer.load((&path, tensors), state)?;
        Ok(trainer)
    }
}

/// Weights and biases of layers of these sizes.
fn numbers(sizes: &[usize]) -> usize {
    let of_layer = |io: &[usize]| io[0].saturating_add(1).saturating_mul(io[1]);
    sizes
        .windows(2)
        .map(of_layer)
        .fold(0, usize::saturating_add)
}

/// Trains a fresh model from start to end, without watching.
///
/// An error if a setting is out of range or the loss is not finite.
pub fn fit<'d, D: Device>(
    dev: &'d D,
    settings: Settings,
    train: &Dataset,
    test: &Dataset,
) -> Result<Trainer<'d, D>, Error> {
    let (inputs, classes) = (train.x.ncols(), train.classes);
    let mut trainer = Trainer::new(dev, settings, inputs, classes)?;
    match trainer.learn(train, test, |_, _| Ok(ControlFlow::Continue(())))? {
        ControlFlow::Continue(()) => Ok(trainer),
        ControlFlow::Break(()) => unreachable!("the watcher never breaks off"),
    }
}
