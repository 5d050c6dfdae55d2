//! The training loop, and all that its next step depends on.

use super::data::{Dataset, epoch_order};
use super::files::{self, Checkpoint, Tensors};
use super::metrics::{Evaluation, evaluate};
use super::schedule::Schedule;
use super::setting::{at_least_one, share, size};
use super::{
    Error, MOST_WEIGHTS, Purpose, alive, blame, first_bad_parameter,
    named_fault, stream,
};
use crate::backends::{Checked, finite};
use crate::device::{Device, Params};
use crate::network::mlp::model::{Activation, Mlp, Residuals};
use ndarray::{Array2, s};
use ndarray_rand::rand::Rng;
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
        }
    }
}

impl Settings {
    /// Checks that every setting is in its range.
    pub fn check(&self) -> Result<(), Error> {
        let mut hidden = self.hidden.iter();
        hidden.try_for_each(|h| at_least_one("hidden", *h as u64))?;
        at_least_one("batch", self.batch as u64)?;
        size("learning rate", self.lr)?;
        share("momentum", self.momentum)?;
        size("weight decay", self.decay)?;
        share("label smoothing", self.smoothing)?;
        size("noise", self.noise)?;
        self.schedule.check()
    }
}

/// The figures of one epoch, measured at its end on all data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

/// Where a run stands. With weights and velocity, all that a resumed run
/// needs to go on to the same bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// Sum of the losses of the steps of the epoch that is not over.
    pub loss_sum: f64,
    /// The epochs that are over.
    pub epochs: Vec<Epoch>,
}

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

/// What the loop has just done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A step; its loss, before the update.
    Step {
        /// Mean loss of the batch.
        loss: f64,
    },
    /// An epoch, and its figures.
    Epoch(Epoch),
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer<'d, D: Device> {
    dev: &'d D,
    /// The settings.
    pub settings: Settings,
    /// Where the run stands.
    pub state: State,
    /// The model.
    pub model: Mlp<D::Tensor>,
    /// What SGD remembers of past gradients.
    pub velocity: Mlp<D::Tensor>,
    grads: Mlp<D::Tensor>,
    kept: Residuals<D::Tensor>,
    loss: [f64; 1],
    // The order and the noise of the epoch `drawn`, and the batch.
    drawn: Option<u64>,
    order: Vec<usize>,
    noise: Array2<f64>,
    x: Array2<f64>,
    labels: Vec<usize>,
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
        let mut sizes = vec![inputs];
        sizes.extend(&settings.hidden);
        sizes.push(classes);
        check_size(&sizes)?;
        let (activation, seed) = (settings.activation, settings.seed);
        let model = Mlp::new(dev, &sizes, activation, seed);
        Ok(Trainer {
            dev,
            state: State::default(),
            velocity: model.zeros_like(dev),
            grads: model.zeros_like(dev),
            kept: Residuals::default(),
            loss: [0.],
            drawn: None,
            order: Vec::new(),
            noise: Array2::zeros((0, inputs)),
            x: Array2::zeros((0, inputs)),
            labels: Vec::new(),
            model,
            settings,
        })
    }

    /// The device that the model lives on.
    pub fn device(&self) -> &'d D {
        self.dev
    }

    /// Steps in one pass over `train`.
    pub fn steps_per_epoch(&self, train: &Dataset) -> u64 {
        train.len().div_ceil(self.settings.batch) as u64
    }

    /// Steps in the whole run on `train`.
    pub fn steps(&self, train: &Dataset) -> u64 {
        self.steps_per_epoch(train)
            .saturating_mul(self.settings.epochs)
    }

    /// Runs to the end, or until `watch` breaks off. `watch` is called after
    /// every step and every epoch. A run that was broken off goes on with the
    /// same bits, in this trainer or in one that was restored from a file.
    ///
    /// An error if the loss is not finite: the model is then as it was before
    /// that step. An error of its own if that is because the device has failed.
    ///
    /// Panics if `train` or `test` is empty.
    pub fn run(
        &mut self,
        train: &Dataset,
        test: &Dataset,
        mut watch: impl FnMut(&Self, Event) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        let per_epoch = self.steps_per_epoch(train);
        self.check_state(per_epoch)?;
        loop {
            let over = self.state.epochs.len() as u64 + 1;
            let event = if self.state.step == over * per_epoch {
                Event::Epoch(self.end_epoch(train, test)?)
            } else if self.state.step < self.steps(train) {
                Event::Step {
                    loss: self.step(train)?,
                }
            } else {
                return Ok(ControlFlow::Continue(()));
            };
            if watch(self, event)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// A restored state must be one that a run on this data passes through.
    fn check_state(&self, per_epoch: u64) -> Result<(), Error> {
        let (step, over) = (self.state.step, self.state.epochs.len() as u64);
        // At the end of an epoch its figures may be in or not.
        let may_be = [step / per_epoch, step.saturating_sub(1) / per_epoch];
        if may_be.contains(&over) && over <= self.settings.epochs {
            return Ok(());
        }
        Err(Error::Data(format!(
            "a run on {per_epoch} batches in an epoch is never at step {step} \
             with {over} epochs over. Resume it on the data it began with, or \
             start afresh."
        )))
    }

    /// One step on the next batch; returns the loss before the update.
    fn step(&mut self, train: &Dataset) -> Result<f64, Error> {
        let dev = self.dev;
        let rows = self.draw_batch(train);
        let x = dev.upload(self.x.slice(s![..rows, ..]).into_dyn());
        let labels = dev.upload_ids(&self.labels);
        for g in self.grads.tensors_mut() {
            dev.clear(g);
        }
        let (kept, grads) = (&mut self.kept, &mut self.grads);
        let smoothing = self.settings.smoothing;
        let loss = self
            .model
            .loss_and_grad(dev, x, &labels, smoothing, kept, grads);
        dev.read_into(&loss, &mut self.loss);
        let [loss] = self.loss;
        if !loss.is_finite() {
            return Err(self.not_finite(rows, loss));
        }
        let Settings {
            lr,
            momentum,
            decay,
            schedule,
            ..
        } = self.settings;
        let lr = lr * schedule.factor(self.state.step, self.steps(train));
        let state = self.grads.tensors().zip(self.velocity.tensors_mut());
        for (w, (dw, v)) in self.model.tensors_mut().zip(state) {
            dev.sgd(w, dw, v, lr, momentum, decay);
        }
        self.state.step += 1;
        self.state.loss_sum += loss;
        Ok(loss)
    }

    /// Fills `x` and `labels` with the next batch; returns its rows.
    fn draw_batch(&mut self, train: &Dataset) -> usize {
        let (n, seed) = (train.len(), self.settings.seed);
        let per_epoch = self.steps_per_epoch(train);
        let epoch = self.state.step / per_epoch;
        if self.drawn != Some(epoch) {
            epoch_order(n, seed, epoch, &mut self.order);
            if self.settings.noise > 0. {
                draw_noise(train, &self.settings, epoch, &mut self.noise);
            }
            self.drawn = Some(epoch);
        }
        let batch = self.settings.batch;
        let start = (self.state.step % per_epoch) as usize * batch;
        let rows = &self.order[start..n.min(start.saturating_add(batch))];
        if self.x.nrows() < rows.len() {
            self.x = Array2::zeros((rows.len(), train.x.ncols()));
        }
        self.labels.clear();
        for (&row, mut x) in rows.iter().zip(self.x.rows_mut()) {
            x.assign(&train.x.row(row));
            if self.settings.noise > 0. {
                x += &self.noise.row(row);
            }
            self.labels.push(train.labels[row]);
        }
        rows.len()
    }

    fn end_epoch(
        &mut self,
        train: &Dataset,
        test: &Dataset,
    ) -> Result<Epoch, Error> {
        let (on_train, on_test) = (self.evaluate(train)?, self.evaluate(test)?);
        let epoch = Epoch {
            step: self.state.step,
            running_loss: self.state.loss_sum
                / self.steps_per_epoch(train) as f64,
            train_loss: on_train.loss,
            train_accuracy: on_train.accuracy,
            test_loss: on_test.loss,
            test_accuracy: on_test.accuracy,
        };
        self.state.loss_sum = 0.;
        self.state.epochs.push(epoch);
        Ok(epoch)
    }

    /// The model on `data`; an error if the loss is not finite.
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation, Error> {
        let e = evaluate(self.dev, &self.model, data);
        if e.loss.is_finite() {
            return Ok(e);
        }
        alive(self.dev)?;
        let bad = first_bad_parameter(self.dev, &self.model);
        let error = Error::bad_loss(self.state.step, e.loss, bad);
        Err(blame(self.dev, error))
    }

    /// Runs the batch again, op by op, to find where it went wrong.
    fn not_finite(&mut self, rows: usize, loss: f64) -> Error {
        if let Err(fault) = alive(self.dev) {
            return fault;
        }
        let step = self.state.step + 1;
        let x = self.dev.upload(self.x.slice(s![..rows, ..]).into_dyn());
        if !finite(self.dev, &x) {
            let tensor = "the batch of data".into();
            let error = Error::not_finite(step, "loss", loss, tensor);
            return blame(self.dev, error);
        }
        let labels = self.dev.upload_ids(&self.labels);
        let (kept, grads) = (&mut self.kept, &mut self.grads);
        let smoothing = self.settings.smoothing;
        let tensor = first_bad_parameter(self.dev, &self.model);
        let tensor = tensor.unwrap_or_else(|| {
            let dev = Checked::new(self.dev);
            let model = &self.model;
            model.loss_and_grad(&dev, x, &labels, smoothing, kept, grads);
            let names = model.names().into_iter().cycle();
            named_fault(&dev, names.zip(model.tensors().chain(grads.tensors())))
        });
        blame(self.dev, Error::not_finite(step, "loss", loss, tensor))
    }
}

// ---- checkpoints --------------------------------------------------------

const VELOCITY: &str = "velocity.";

impl<'d, D: Device> Trainer<'d, D> {
    /// Saves a [checkpoint](files) into the folder `dir`, in place of the one
    /// that is there. `task` and `data`, a
    /// [fingerprint](Dataset::fingerprint), are for whoever resumes.
    ///
    /// An error, and the old checkpoint stays, if a parameter is not finite or
    /// the device has failed.
    pub fn save(&self, dir: &Path, task: &str, data: u64) -> Result<(), Error> {
        let dev = self.dev;
        let mut tensors = files::to_tensors(dev, &self.model, "");
        tensors.extend(files::to_tensors(dev, &self.velocity, VELOCITY));
        let sizes = self.model.sizes(dev);
        let run = Run {
            ends: [sizes[0], sizes[sizes.len() - 1]],
            settings: self.settings.clone(),
            state: self.state.clone(),
        };
        let step = self.state.step;
        files::check_to_save(dev, step, &tensors)?;
        let tensors = (&tensors, D::PRECISION);
        files::write_checkpoint(dir, (task, data), (step, run), tensors)
    }

    /// The trainer of a checkpoint in the folder that it was read from.
    pub fn restore(
        dev: &'d D,
        dir: &Path,
        checkpoint: &Checkpoint<Run>,
    ) -> Result<Trainer<'d, D>, Error> {
        let (path, weights, [velocity]) =
            checkpoint.tensors(dir, [VELOCITY])?;
        let Run {
            ends,
            settings,
            state,
        } = checkpoint.run.clone();
        check_numbers(&path, &settings, ends, &weights)?;
        let mut trainer = Trainer::new(dev, settings, ends[0], ends[1])?;
        files::load_tensors(&path, weights, dev, &mut trainer.model)?;
        files::load_tensors(&path, velocity, dev, &mut trainer.velocity)?;
        trainer.state = state;
        Ok(trainer)
    }
}

/// Compares the number of parameters before a model of that size is made.
fn check_numbers(
    path: &Path,
    settings: &Settings,
    [inputs, classes]: [usize; 2],
    weights: &Tensors,
) -> Result<(), Error> {
    let mut total: usize = 0;
    let mut fan_in = inputs;
    for &width in settings.hidden.iter().chain([&classes]) {
        let weights = fan_in.saturating_add(1).saturating_mul(width);
        total = total.saturating_add(weights);
        fan_in = width;
    }
    let have: usize = weights.values().map(|a| a.len()).sum();
    if have == total && inputs > 0 {
        return Ok(());
    }
    let what = format!("{have} numbers for {total} weights");
    Err(Error::file(path, what, files::OTHER_MODEL))
}

fn check_size(sizes: &[usize]) -> Result<(), Error> {
    let weights = sizes.windows(2).map(|io| io[0].saturating_mul(io[1]));
    let weights = weights.fold(0, usize::saturating_add);
    if weights <= MOST_WEIGHTS {
        return Ok(());
    }
    let what = format!(
        "layers {sizes:?} have more than {MOST_WEIGHTS} weights. Choose \
         smaller widths."
    );
    Err(Error::Setting {
        setting: "hidden",
        what,
    })
}

/// The noise on every row of the data for one epoch.
fn draw_noise(
    train: &Dataset,
    settings: &Settings,
    epoch: u64,
    noise: &mut Array2<f64>,
) {
    use ndarray_rand::rand_distr::StandardNormal;
    let mut rng = stream(settings.seed, Purpose::Noise, epoch);
    if noise.dim() != train.x.dim() {
        *noise = Array2::zeros(train.x.dim());
    }
    for z in noise.iter_mut() {
        *z = settings.noise * rng.sample::<f64, _>(StandardNormal);
    }
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
    let watch = |_: &Trainer<D>, _| Ok(ControlFlow::Continue(()));
    match trainer.run(train, test, watch)? {
        ControlFlow::Continue(()) => Ok(trainer),
        ControlFlow::Break(()) => unreachable!("the watcher never breaks off"),
    }
}
