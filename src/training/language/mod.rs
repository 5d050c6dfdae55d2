//! Training a language model: the loop, and all that its next step depends on.
//!
//! A step draws windows of the text, adds up the gradients of its parts, clips
//! the sum to a norm, and takes one step of AdamW; weight decay is for
//! matrices, not for biases and the scales of normalisations. What is trained
//! is what [`Gpt::zeros`] says: everything, or the adapters.

mod disk;
mod sample;
mod settings;

pub use disk::{
    Learned, Loaded, Run, load_adapters, load_gpt, load_into, save_adapters,
    save_gpt,
};
pub use sample::{Sampling, sample};
pub use settings::Settings;

use super::text::{Text, Windows, count_windows};
use super::{Error, alive, blame, first_bad_parameter, named_fault};
use crate::backends::Checked;
use crate::device::{AdamW, Device, ParamName, Params};
use crate::transformer::gpt::model::{Dropout, Gpt, Pass, Residuals};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// A look at the run: the model on the validation text, and the gradient of
/// the step that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Steps taken so far.
    pub step: u64,
    /// Loss on windows spread over the validation text, in nats.
    pub validation: f64,
    /// Norm of the gradient of each of the [groups](Trainer::groups), before
    /// it was clipped; empty before the first step.
    pub norms: Vec<f64>,
}

/// Where a run stands. With the weights and what AdamW remembers, all that a
/// resumed run needs to go on to the same bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// The loss of each step, before its update.
    pub losses: Vec<f64>,
    /// The norm of each step's gradient, before it was clipped.
    pub norms: Vec<f64>,
    /// That of the last step, group by group.
    pub last_norms: Vec<f64>,
    /// The looks so far.
    pub reports: Vec<Report>,
}

/// What the loop has just done.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A step.
    Step {
        /// Its loss, before the update.
        loss: f64,
        /// The norm of its gradient, before it was clipped.
        norm: f64,
    },
    /// A look at the validation text.
    Report(Report),
}

/// A language model in training.
#[derive(Debug)]
pub struct Trainer<'d, D: Device> {
    dev: &'d D,
    /// The settings.
    pub settings: Settings,
    /// Where the run stands.
    pub state: State,
    /// The model.
    pub model: Gpt<D::Tensor>,
    /// The mean of past gradients that AdamW keeps; `None` for what is frozen.
    pub m: Gpt<Option<D::Tensor>>,
    /// The mean of their squares.
    pub v: Gpt<Option<D::Tensor>>,
    /// The text that the model had learned before, if it had and that is
    /// known; checkpoints keep it.
    pub learned: Option<Learned>,
    work: Work<D::Tensor>,
    groups: Vec<String>,
    /// The group of each parameter that is trained.
    group_of: Vec<usize>,
}

/// What a step works with, used again by the next one.
#[derive(Debug)]
struct Work<T> {
    windows: Windows,
    kept: Residuals<T>,
    grads: Gpt<Option<T>>,
    /// The loss of each part.
    losses: Vec<T>,
    /// The squared norm of the gradient of each parameter that is trained.
    squares: T,
    /// The same on the host.
    squared: Vec<f64>,
}

impl<'d, D: Device> Trainer<'d, D> {
    /// A fresh model, drawn from the seed.
    ///
    /// An error if a setting is out of range.
    pub fn new(dev: &'d D, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let model = Gpt::new(dev, settings.model, settings.seed);
        Trainer::with_model(dev, settings, model)
    }

    /// A model that is there already; adapters are put on it if the settings
    /// ask for them.
    ///
    /// An error if a setting is out of range.
    ///
    /// Panics if the model is another one than the settings say, or has
    /// adapters.
    #[track_caller]
    pub fn with_model(
        dev: &'d D,
        settings: Settings,
        mut model: Gpt<D::Tensor>,
    ) -> Result<Self, Error> {
        settings.check()?;
        assert_eq!(model.config, settings.model, "trainer: another model");
        assert!(!model.has_adapters(), "trainer: the model has adapters");
        if let Some(adapters) = settings.adapters {
            model.add_adapters(dev, adapters, settings.seed);
        }
        let grads = model.zeros(dev);
        let mut groups: Vec<String> = Vec::new();
        let mut group_of = Vec::new();
        for (name, _) in trained(&grads) {
            let group = group(&name.name);
            if groups.last().is_none_or(|g| g != group) {
                groups.push(group.to_owned());
            }
            group_of.push(groups.len() - 1);
        }
        Ok(Trainer {
            dev,
            state: State::default(),
            m: model.zeros(dev),
            v: model.zeros(dev),
            learned: None,
            work: Work {
                windows: Windows::default(),
                kept: Residuals::default(),
                losses: Vec::new(),
                squares: dev.zeros(&[group_of.len()]),
                squared: vec![0.; group_of.len()],
                grads,
            },
            groups,
            group_of,
            model,
            settings,
        })
    }

    /// The device that the model lives on.
    pub fn device(&self) -> &'d D {
        self.dev
    }

    /// What gradient norms are reported of: `transformer.wte`,
    /// `transformer.h.0` and so on.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Runs to the end, or until `watch` breaks off. `watch` is called after
    /// every step and every look at the validation text: before the first
    /// step, each [`Settings::report_every`] steps, and after the last. A run
    /// that was broken off goes on with the same bits, in this trainer or in
    /// one that was restored from a file.
    ///
    /// An error if the text is too short or has a token that the model does
    /// not know, and if a loss or the norm of a gradient is not finite: the
    /// model is then as it was before that step. An error of its own if that is
    /// because the device has failed.
    pub fn run(
        &mut self,
        text: &Text,
        mut watch: impl FnMut(&Self, &Event) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        text.check(self.settings.model.context)?;
        let vocabulary = self.settings.model.vocab;
        let mut tokens = text.train.iter().chain(&text.validation);
        if let Some(&token) = tokens.find(|t| **t >= vocabulary) {
            return Err(Error::Token { token, vocabulary });
        }
        self.check_state()?;
        let left = self.settings.steps - self.state.step;
        for figures in [&mut self.state.losses, &mut self.state.norms] {
            figures.reserve(left.min(MOST_RESERVED) as usize);
        }
        loop {
            let event = if self.is_report_due() {
                Event::Report(self.report(&text.validation)?)
            } else if self.state.step < self.settings.steps {
                self.step(&text.train)?
            } else {
                return Ok(ControlFlow::Continue(()));
            };
            if watch(self, &event)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn is_report_step(&self) -> bool {
        let Settings {
            steps,
            report_every,
            ..
        } = self.settings;
        let step = self.state.step;
        step.is_multiple_of(report_every) || step == steps
    }

    fn is_report_due(&self) -> bool {
        let last = self.state.reports.last();
        let is_in = last.is_some_and(|r| r.step == self.state.step);
        self.is_report_step() && !is_in
    }

    /// A restored state must be one that a run passes through.
    fn check_state(&self) -> Result<(), Error> {
        let State {
            step,
            losses,
            norms,
            last_norms,
            reports,
        } = &self.state;
        let taken = [losses.len() as u64, norms.len() as u64];
        let before = step.div_ceil(self.settings.report_every);
        let (have, due) = (reports.len() as u64, self.is_report_step());
        let whole = have == before || due && have == before + 1;
        let groups = |norms: &Vec<f64>, step: u64| {
            norms.len() == if step == 0 { 0 } else { self.groups.len() }
        };
        if taken == [*step; 2]
            && *step <= self.settings.steps
            && whole
            && groups(last_norms, *step)
            && reports.iter().all(|r| groups(&r.norms, r.step))
        {
            return Ok(());
        }
        Err(Error::Data(format!(
            "a run of {} steps is never at step {step} with {have} reports, \
             {} losses and {} norms. Resume another run, or start afresh.",
            self.settings.steps, taken[0], taken[1],
        )))
    }

    /// One step on windows of `tokens`.
    fn step(&mut self, tokens: &[usize]) -> Result<Event, Error> {
        let (dev, s, step) = (self.dev, &self.settings, self.state.step);
        let (context, work) = (s.model.context, &mut self.work);
        work.windows.draw(tokens, context, s.batch, s.seed, step);
        let loss = gradient(dev, &self.model, s, step, work);
        let norm = work.squared.iter().sum::<f64>().sqrt();
        if !loss.is_finite() {
            return Err(self.not_finite("loss", loss));
        }
        if !norm.is_finite() {
            return Err(self.not_finite("norm of the gradient", norm));
        }

        let factor = dev.clip(&work.squares, s.clip);
        let set = AdamW {
            lr: s.lr * s.schedule.factor(step, s.steps),
            beta1: s.beta1,
            beta2: s.beta2,
            eps: EPS,
            decay: 0.,
            step: step + 1,
        };
        let moments = self.m.tensors_mut().zip(self.v.tensors_mut());
        let with_grad = self.model.tensors_mut().zip(work.grads.tensors());
        for ((w, dw), moments) in with_grad.zip(moments) {
            let (Some(dw), (Some(m), Some(v))) = (dw, moments) else {
                continue; // frozen
            };
            let is_matrix = dev.shape(w).len() == 2;
            let decay = if is_matrix { s.decay } else { 0. };
            dev.adamw(w, dw, m, v, &factor, AdamW { decay, ..set });
        }

        let norms = &mut self.state.last_norms;
        norms.clear();
        norms.resize(self.groups.len(), 0.);
        for (group, squared) in self.group_of.iter().zip(&work.squared) {
            norms[*group] += squared;
        }
        norms.iter_mut().for_each(|n| *n = n.sqrt());
        self.state.losses.push(loss);
        self.state.norms.push(norm);
        self.state.step += 1;
        Ok(Event::Step { loss, norm })
    }

    fn report(&mut self, validation: &[usize]) -> Result<Report, Error> {
        let windows = self.settings.report_windows;
        let report = Report {
            step: self.state.step,
            validation: self.evaluate(validation, windows)?,
            norms: self.state.last_norms.clone(),
        };
        self.state.reports.push(report.clone());
        Ok(report)
    }

    /// [`evaluate`] of the model; an error if the loss is not finite.
    #[track_caller]
    pub fn evaluate(
        &self,
        tokens: &[usize],
        windows: usize,
    ) -> Result<f64, Error> {
        let (dev, part) = (self.dev, self.settings.part());
        let loss = evaluate(dev, &self.model, tokens, windows, part);
        if loss.is_finite() {
            return Ok(loss);
        }
        alive(dev)?;
        let bad = first_bad_parameter(dev, &self.model);
        Err(blame(dev, Error::bad_loss(self.state.step, loss, bad)))
    }

    /// Runs the step again, op by op, to find where it went wrong.
    fn not_finite(&mut self, what: &'static str, value: f64) -> Error {
        if let Err(fault) = alive(self.dev) {
            return fault;
        }
        let (step, model) = (self.state.step, &self.model);
        let tensor = first_bad_parameter(self.dev, model);
        let tensor = tensor.unwrap_or_else(|| {
            let dev = Checked::new(self.dev);
            gradient(&dev, model, &self.settings, step, &mut self.work);
            let weights = model.names().into_iter().zip(model.tensors());
            named_fault(&dev, weights.chain(trained(&self.work.grads)))
        });
        blame(self.dev, Error::not_finite(step + 1, what, value, tensor))
    }
}

/// Mean loss of a model, in nats for each token, on at most `windows` windows
/// spread evenly over `tokens`, `part` of them at once.
///
/// Panics if there is no window, see [`Text::check`], or `part` is 0.
#[track_caller]
pub fn evaluate<D: Device>(
    dev: &D,
    model: &Gpt<D::Tensor>,
    tokens: &[usize],
    windows: usize,
    part: usize,
) -> f64 {
    let context = model.config.context;
    let count = count_windows(tokens, context);
    let n = windows.min(count);
    assert!(n > 0, "evaluate: no window of {context} tokens");
    let (mut w, mut sum) = (Windows::default(), 0.);
    let mut losses = Vec::new();
    for first in (0..n).step_by(part) {
        let last = n.min(first + part);
        w.pick(tokens, context, (first..last).map(|i| i * count / n));
        let ids = dev.upload_ids(&w.inputs);
        let labels = dev.upload_ids(&w.labels);
        let batch = last - first;
        let loss = model.loss(dev, &ids, &labels, batch);
        dev.prefetch(&loss);
        losses.push((loss, batch));
        if losses.len() == UNREAD || last == n {
            for (loss, batch) in losses.drain(..) {
                sum += number(dev, &loss) * batch as f64;
            }
        }
    }
    sum / n as f64
}

/// Losses that wait on the device: it goes on while the next are recorded.
const UNREAD: usize = 32;

/// A copy of a model without its adapters: what they were put on.
pub fn without_adapters<D: Device>(
    dev: &D,
    model: &Gpt<D::Tensor>,
) -> Gpt<D::Tensor> {
    let mut base = model.map(&mut |t, _| dev.copy(t));
    base.drop_adapters();
    base
}

/// Steps that room is made for at once.
const MOST_RESERVED: u64 = 1 << 16;

/// The ε of AdamW, PyTorch's.
const EPS: f64 = 1e-8;

/// The loss of the windows in `work`, and its gradient, part by part. All of
/// it is recorded before the first number is read.
fn gradient<D: Device>(
    dev: &D,
    model: &Gpt<D::Tensor>,
    settings: &Settings,
    step: u64,
    work: &mut Work<D::Tensor>,
) -> f64 {
    for g in work.grads.tensors_mut().flatten() {
        dev.clear(g);
    }
    dev.clear(&mut work.squares);
    let (batch, parts) = (settings.part(), settings.accumulate);
    let tokens = batch * settings.model.context;
    work.losses.clear();
    for part in 0..parts {
        let rows = part * tokens..(part + 1) * tokens;
        let ids = dev.upload_ids(&work.windows.inputs[rows.clone()]);
        let labels = dev.upload_ids(&work.windows.labels[rows]);
        let dropout = Dropout {
            rate: settings.dropout,
            seed: settings.seed,
            step: (step * parts as u64 + part as u64) as u32,
        };
        let pass = Pass {
            batch,
            dropout: (settings.dropout > 0.).then_some(dropout),
            checkpoint: settings.checkpoint,
            smoothing: settings.smoothing,
            dloss: 1. / parts as f64,
        };
        let (kept, grads) = (&mut work.kept, &mut work.grads);
        let loss = model.loss_and_grad(dev, &ids, &labels, &pass, kept, grads);
        work.losses.push(loss);
    }
    for (slot, g) in work.grads.tensors().flatten().enumerate() {
        dev.sum_of_squares(g, &mut work.squares, slot);
    }
    work.losses.iter().for_each(|loss| dev.prefetch(loss));
    dev.prefetch(&work.squares);
    let sum = work.losses.drain(..).map(|loss| number(dev, &loss));
    let loss = sum.sum::<f64>() / parts as f64;
    dev.read_into(&work.squares, &mut work.squared);
    loss
}

/// The gradients that are computed, with their names.
fn trained<T>(grads: &Gpt<Option<T>>) -> impl Iterator<Item = (ParamName, &T)> {
    let named = grads.names().into_iter().zip(grads.tensors());
    named.filter_map(|(name, t)| Some((name, t.as_ref()?)))
}

/// The group that a parameter belongs to: its block, or the name without
/// `.weight` or `.bias`.
fn group(name: &str) -> &str {
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    let parts = if name.starts_with("transformer.h.") {
        3
    } else {
        2
    };
    let end = dots.nth(parts - 1).unwrap_or(name.len());
    &name[..end]
}

fn number<D: Device>(dev: &D, t: &D::Tensor) -> f64 {
    let mut x = [0.];
    dev.read_into(t, &mut x);
    x[0]
}
