//! Training a recurrent network of characters, and writing with it.
//!
//! Row b of a step's B texts begins at the b-th of B equal pieces of the
//! training text, and row b of the next step goes on where it ended: the text
//! is read as a ring, so a row that comes to the end of its piece goes on into
//! the next one. The state is carried all the way; the gradient goes back
//! through one window. Each step clips the gradient to a norm, so that one
//! that explodes does no harm, and takes one step of AdamW; weight decay is for
//! matrices.

use super::super::schedule::Schedule;
use super::super::setting::{at_least_one, range, share};
use super::super::text::{Text, Vocabulary};
use super::super::trainer::{self, Optimizer, Plan, number};
use super::super::{Error, MOST_WEIGHTS, Purpose, files, stream};
use super::disk::Run;
use super::settings::{MOST_NUMBERS, MOST_TOKENS};
use super::{Event, Report, Sampling, UNREAD, check_text};
use crate::device::{Device, ParamName, Params};
use crate::recurrent::bptt::model::{Batch, Config, Rnn, STATE};
use ndarray_rand::rand::Rng;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;

/// The settings of a run: with the text and the weights that it starts from
/// they fix every bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What kind of model.
    pub model: Config,
    /// Tokens T of a window: so far back does a gradient go.
    pub context: usize,
    /// Steps of the run.
    pub steps: u64,
    /// Texts B that are read side by side.
    pub batch: usize,
    /// Learning rate at its highest.
    pub lr: f64,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// β₁ of AdamW.
    pub beta1: f64,
    /// β₂ of AdamW.
    pub beta2: f64,
    /// Weight decay λ, on matrices.
    pub decay: f64,
    /// The norm that a gradient is clipped to.
    pub clip: f64,
    /// Label smoothing ε.
    pub smoothing: f64,
    /// Steps from one look at the validation text to the next.
    pub report_every: u64,
    /// Windows of each row of the validation text that are looked at.
    pub report_windows: usize,
    /// Seed of the initial weights.
    pub seed: u64,
}

impl Settings {
    /// Settings that suit a small model of characters.
    pub fn new(model: Config) -> Settings {
        Settings {
            model,
            context: 64,
            steps: 1000,
            batch: 32,
            lr: 4e-3,
            schedule: Schedule::WarmupCosine {
                steps: 100,
                floor: 0.1,
            },
            beta1: 0.9,
            beta2: 0.99,
            decay: 0.1,
            clip: 1.,
            smoothing: 0.,
            report_every: 100,
            report_windows: 10,
            seed: 0,
        }
    }

    /// Checks that every setting is in its range.
    pub fn check(&self) -> Result<(), Error> {
        self.model.check().map_err(|what| Error::Setting {
            setting: "model",
            what,
        })?;
        let weights = self.model.parameters();
        let most = format!("a model of at most {MOST_WEIGHTS} weights");
        range("model", weights, weights <= MOST_WEIGHTS, &most)?;
        at_least_one("context", self.context as u64)?;
        at_least_one("batch", self.batch as u64)?;
        let tokens = self.batch.saturating_mul(self.context);
        let most = format!("a batch of at most {MOST_TOKENS} tokens");
        range("batch", tokens, tokens <= MOST_TOKENS, &most)?;
        // inputs, sums, states before and after, what comes back, and logits
        let Config {
            vocab,
            width,
            hidden,
        } = self.model;
        let of_token = 2 * (width + vocab) + 6 * hidden; // each at most 2²⁴
        let numbers = tokens.saturating_mul(of_token);
        if numbers > MOST_NUMBERS {
            let what = format!(
                "about {numbers} numbers to keep at once, more than \
                 {MOST_NUMBERS}. Take a smaller batch, context, width or \
                 number of hidden units."
            );
            return Err(Error::Setting {
                setting: "memory",
                what,
            });
        }
        self.plan().check()?;
        self.optimizer().check()?;
        share("label smoothing", self.smoothing)?;
        at_least_one("report windows", self.report_windows as u64)
    }

    fn optimizer(&self) -> Optimizer {
        Optimizer::AdamW {
            betas: [self.beta1, self.beta2],
            decay: self.decay,
            clip: self.clip,
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            schedule: self.schedule,
            report_every: self.report_every,
            report_first: true,
            ..Plan::new(self.steps, self.lr)
        }
    }
}

/// A recurrent network in training.
pub type Trainer<'d, D> =
    trainer::Trainer<'d, D, Rnn<<D as Device>::Tensor>, Settings, Report>;

impl<'d, D: Device> Trainer<'d, D> {
    /// A fresh model, drawn from the seed.
    ///
    /// An error if a setting is out of range.
    pub fn new(dev: &'d D, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let Settings {
            model, batch, seed, ..
        } = settings;
        let model = Rnn::new(dev, model, batch, seed);
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
        let s = self.settings.clone();
        check_text(text, s.context, s.model.vocab)?;
        self.run(
            &s.plan(),
            |_, n, batch| draw(&s, &text.train, n, batch),
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

    /// [`evaluate`] of the model, on as many rows as it learns from; an error
    /// if the loss is not finite.
    #[track_caller]
    pub fn evaluate(
        &self,
        tokens: &[usize],
        windows: usize,
    ) -> Result<f64, Error> {
        let (dev, s) = (self.device(), &self.settings);
        let shape = [s.batch, s.context];
        self.finite(evaluate(dev, &self.model, tokens, shape, windows))
    }

    /// The trainer of a checkpoint in the folder that it was read from.
    pub fn restore(
        dev: &'d D,
        dir: &Path,
        checkpoint: &files::Checkpoint<Run<Settings>>,
    ) -> Result<Trainer<'d, D>, Error> {
        let run = &checkpoint.run;
        let Run {
            settings, state, ..
        } = run.clone();
        run.check(dir, settings.check(), settings.model.vocab)?;
        let (path, tensors) = checkpoint.tensors(dir)?;
        let want = settings.model.parameters();
        files::check_numbers(&path, want, &tensors, of_weights)?;
        let mut trainer = Trainer::new(dev, settings)?;
        trainer.load((&path, tensors), state)?;
        Ok(trainer)
    }
}

/// Fills in the window of step `n`.
fn draw(s: &Settings, tokens: &[usize], n: u64, batch: &mut Batch) {
    let (b, len) = (s.batch, tokens.len());
    let done = (n % len as u64) * s.context as u64 % len as u64;
    let places = (0..s.context * b).map(|i| {
        let (t, row) = (i / b, i % b);
        row * len / b + done as usize + t
    });
    batch.ids.clear();
    batch.ids.extend(places.clone().map(|i| tokens[i % len]));
    batch.labels.clear();
    batch.labels.extend(places.map(|i| tokens[(i + 1) % len]));
    batch.smoothing = s.smoothing;
}

/// Mean loss of a model, in nats for each token. `tokens` is cut into `rows`
/// equal pieces (into fewer if they would be shorter than a window) that are
/// read side by side, each from a state of zeros on, which is carried from one
/// window of `context` tokens to the next; at most `windows` of each. The last
/// may be shorter; what is left over by the pieces, less than a token for each,
/// is left out.
///
/// Panics if there is no window, see [`Text::check`], or a size is 0.
#[track_caller]
pub fn evaluate<D: Device>(
    dev: &D,
    model: &Rnn<D::Tensor>,
    tokens: &[usize],
    [rows, context]: [usize; 2],
    windows: usize,
) -> f64 {
    let pairs = tokens.len().saturating_sub(1);
    let rows = rows.min(pairs / context);
    assert!(rows > 0, "evaluate: no window of {context} tokens");
    assert!(windows > 0, "evaluate: none of the windows");
    let piece = pairs / rows;
    let end = piece.min(windows.saturating_mul(context));
    let mut state = dev.zeros(&[rows, model.config.hidden]);
    let (mut losses, mut sum) = (Vec::new(), 0.);
    for first in (0..end).step_by(context) {
        let steps = context.min(end - first);
        let place = |i: usize| i % rows * piece + first + i / rows;
        let places = (0..steps * rows).map(place);
        let ids: Vec<_> = places.clone().map(|i| tokens[i]).collect();
        let labels: Vec<_> = places.map(|i| tokens[i + 1]).collect();
        let (ids, labels) = (dev.upload_ids(&ids), dev.upload_ids(&labels));
        let (loss, last) = model.loss(dev, &ids, &labels, &state);
        state = last;
        dev.prefetch(&loss);
        losses.push((loss, steps));
        if losses.len() == UNREAD || first + steps == end {
            for (loss, steps) in losses.drain(..) {
                sum += number(dev, &loss) * steps as f64;
            }
        }
    }
    sum / end as f64
}

/// `n` tokens that the model writes after `prompt`, which it reads from a state
/// of zeros on. They depend on `(seed, step)` and the model alone.
///
/// Panics if the prompt is empty or a token is not below V.
#[track_caller]
pub fn sample<D: Device>(
    dev: &D,
    model: &Rnn<D::Tensor>,
    prompt: &[usize],
    n: usize,
    sampling: Sampling,
    (seed, step): (u64, u64),
) -> Vec<usize> {
    let (last, before) = prompt.split_last().expect("sample: an empty prompt");
    let mut rng = stream(seed, Purpose::Sample, step);
    let mut state = dev.zeros(&[1, model.config.hidden]);
    for token in before {
        state = model.logits(dev, &dev.upload_ids(&[*token]), &state).1;
    }
    let (mut token, mut written) = (*last, Vec::new());
    for _ in 0..n {
        let (logits, next) = model.predict(dev, &[token], &state);
        let logits = logits.as_slice().expect("read is row-major");
        token = sampling.choose(logits, rng.random());
        written.push(token);
        state = next;
    }
    written
}

// ---- on disk ------------------------------------------------------------

/// What the metadata of a file of weights say.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    model: Config,
    vocabulary: Vocabulary,
}

const ABOUT: &str = "rnn";

/// Whether a tensor of a checkpoint is a weight of the model: no state, and
/// nothing that an optimiser remembers.
fn of_weights(name: &str) -> bool {
    ["encoder.", "rnn.", "decoder."]
        .iter()
        .any(|of| name.starts_with(of))
}

/// Saves the weights of a model, without its state, under PyTorch's names: what
/// `nn.Embedding`, `nn.RNN` and `nn.Linear` have as `encoder`, `rnn` and
/// `decoder` of a module. The sizes and the characters stand in the metadata,
/// under `rnn`.
pub fn save_rnn<D: Device>(
    path: &Path,
    dev: &D,
    model: &Rnn<D::Tensor>,
    vocabulary: &Vocabulary,
) -> Result<(), Error> {
    let about = About {
        model: model.config,
        vocabulary: vocabulary.clone(),
    };
    let about = serde_json::to_string(&about).expect("plain data");
    let named = model.names().into_iter().zip(model.tensors());
    let named = named.filter(|(name, _)| name.name != STATE);
    let tensors = files::named_to_tensors(dev, named);
    files::save_tensors(path, dev, &tensors, (ABOUT, &about))
}

/// Loads weights that [`save_rnn`] or PyTorch has written into a model that
/// knows the characters `vocabulary`; its state stays.
///
/// An error, and nothing is changed, if a tensor is missing, has another
/// shape, or is not of the model, and if the file says that it knows other
/// characters.
pub fn load_into<D: Device>(
    path: &Path,
    dev: &D,
    model: &mut Rnn<D::Tensor>,
    vocabulary: &Vocabulary,
) -> Result<(), Error> {
    let bytes = files::read_file(path)?;
    let tensors = files::parse_tensors(path, &bytes)?;
    if let Some(json) = files::metadata(path, &bytes, ABOUT)? {
        let about: About = serde_json::from_str(&json).map_err(|e| {
            let what = format!("metadata {ABOUT}: {e}");
            Error::file(path, what, files::DAMAGED)
        })?;
        if about.vocabulary != *vocabulary {
            let what = format!(
                "its characters are {:?}, those of the text {:?}",
                about.vocabulary.to_string(),
                vocabulary.to_string()
            );
            return Err(Error::file(path, what, files::OTHER_MODEL));
        }
    }
    let named = model.names().into_iter().zip(model.tensors_mut());
    let named = named.filter(|(name, _)| name.name != STATE);
    let named: Vec<(ParamName, _)> = named.collect();
    files::load_named(path, tensors, dev, named)
}
