//! Training a language model, and writing with it.
//!
//! A step draws windows of the text, adds up the gradients of its parts, clips
//! the sum to a norm, and takes one step of AdamW; weight decay is for
//! matrices, not for biases and the scales of normalisations. What is trained
//! is what [`Gpt::zeros`] says: everything, or the adapters.
//!
//! All this is about a GPT; [`rnn`] is the same for a recurrent network.

mod disk;
pub mod rnn;
mod sample;
mod settings;

pub use disk::{
    Learned, Loaded, Run, load_adapters, load_gpt, load_into, save_adapters,
    save_gpt,
};
pub use sample::{Sampling, sample};
pub use settings::Settings;

use super::Error;
use super::text::{Text, Windows, count_windows};
use super::trainer::{self, number};
use crate::device::Device;
use crate::transformer::gpt::model::{Batch, Config, Dropout, Gpt, Pass};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// A look at the run: the model on the validation text, and the gradient of
/// the step that led to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Steps taken so far.
    pub step: u64,
    /// Loss on windows spread over the validation text, in nats.
    pub validation: f64,
    /// Norm of the gradient of each of the
    /// [groups](trainer::Trainer::groups), before it was clipped; empty before
    /// the first step.
    pub norms: Vec<f64>,
}

/// Where a run stands.
pub type State = trainer::State<Report>;

/// What the loop has just done.
pub type Event<'e> = trainer::Event<'e, Report>;

/// A language model in training.
pub type Trainer<'d, D> =
    trainer::Trainer<'d, D, Gpt<<D as Device>::Tensor>, Settings, Report>;

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
        Ok(Trainer::of(dev, model, settings.optimizer(), settings))
    }

    /// [Runs](trainer::Trainer::run) to the end, or until `watch` breaks off,
    /// with a [`Report`] before the first step, each
    /// [`Settings::report_every`] steps, and after the last.
    ///
    /// An error, too, if the text is too short or has a token that the model
    /// does not know.
    pub fn learn(
        &mut self,
        text: &Text,
        watch: impl FnMut(&Self, Event) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        let Config { context, vocab, .. } = self.settings.model;
        check_text(text, context, vocab)?;
        let (s, mut windows) = (self.settings.clone(), Windows::default());
        self.run(
            &s.plan(),
            |_, n, batch| draw(&s, &text.train, &mut windows, n, batch),
            |t| {
                Ok(Report {
                    step: t.state.step,
                    validation: t
                        .evaluate(&text.validation, s.report_windows)?,
                    norms: t.state.last_norms.clone(),
                })
            },
            watch,
        )
    }

    /// [`evaluate`] of the model; an error if the loss is not finite.
    #[track_caller]
    pub fn evaluate(
        &self,
        tokens: &[usize],
        windows: usize,
    ) -> Result<f64, Error> {
        let (dev, part) = (self.device(), self.settings.part());
        self.finite(evaluate(dev, &self.model, tokens, windows, part))
    }
}

/// Checks that both parts of a text hold a window of `context` tokens, and no
/// token that a model of `vocabulary` of them does not know.
fn check_text(
    text: &Text,
    context: usize,
    vocabulary: usize,
) -> Result<(), Error> {
    text.check(context)?;
    let mut tokens = text.train.iter().chain(&text.validation);
    match tokens.find(|t| **t >= vocabulary) {
        Some(&token) => Err(Error::Token { token, vocabulary }),
        None => Ok(()),
    }
}

/// Fills in batch `n` of a run: a part of the windows of its step.
fn draw(
    s: &Settings,
    tokens: &[usize],
    windows: &mut Windows,
    n: u64,
    batch: &mut Batch,
) {
    let (context, parts) = (s.model.context, s.accumulate as u64);
    windows.draw(tokens, context, s.batch, s.seed, n / parts);
    let size = s.part() * context;
    let first = (n % parts) as usize * size;
    let part = first..first + size;
    batch.ids.clear();
    batch.ids.extend_from_slice(&windows.inputs[part.clone()]);
    batch.labels.clear();
    batch.labels.extend_from_slice(&windows.labels[part]);
    let dropout = Dropout {
        rate: s.dropout,
        seed: s.seed,
        step: n as u32,
    };
    batch.pass = Pass {
        dropout: (s.dropout > 0.).then_some(dropout),
        checkpoint: s.checkpoint,
        smoothing: s.smoothing,
        ..Pass::new(s.part())
    };
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
