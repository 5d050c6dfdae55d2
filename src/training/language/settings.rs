//! The settings of a run, and their ranges.

use super::super::schedule::Schedule;
use super::super::setting::{at_least_one, positive, range, share};
use super::super::trainer::{Optimizer, Plan};
use super::super::{Error, MOST_WEIGHTS};
use crate::transformer::gpt::model::{self, Attention};
use crate::transformer::lora;
use serde::{Deserialize, Serialize};

/// The settings of a run: with the text and the weights that it starts from
/// they fix every bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What kind of model.
    pub model: model::Config,
    /// The adapters, if these are what is trained.
    pub adapters: Option<lora::model::Config>,
    /// Steps of the run.
    pub steps: u64,
    /// Windows in a step, each as long as the model's context.
    pub batch: usize,
    /// Equal parts G that the windows of a step go through the model in: the
    /// same step, to rounding, in a G-th of the memory.
    pub accumulate: usize,
    /// Keep only every k-th block's input for the backward pass; 0 keeps all.
    pub checkpoint: usize,
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
    /// Share of entries that dropout sets to 0.
    pub dropout: f64,
    /// Label smoothing ε.
    pub smoothing: f64,
    /// Steps from one look at the validation text to the next.
    pub report_every: u64,
    /// Windows of the validation text that are looked at.
    pub report_windows: usize,
    /// Seed of the initial weights, the windows and the dropout.
    pub seed: u64,
}

/// More than this at once do not fit a laptop: tokens of a step, and numbers
/// that are kept, 8 GiB in `f32`.
pub(super) const MOST_TOKENS: usize = 1 << 24;
pub(super) const MOST_NUMBERS: usize = 1 << 31;
/// More blocks than any model has.
const MOST_LAYERS: usize = 1024;

impl Settings {
    /// Settings that suit a small model of characters.
    pub fn new(model: model::Config) -> Settings {
        Settings {
            model,
            adapters: None,
            steps: 1000,
            batch: 12,
            accumulate: 1,
            checkpoint: 0,
            lr: 1e-3,
            schedule: Schedule::WarmupCosine {
                steps: 100,
                floor: 0.1,
            },
            beta1: 0.9,
            beta2: 0.99,
            decay: 0.1,
            clip: 1.,
            dropout: 0.,
            smoothing: 0.,
            report_every: 100,
            report_windows: 100,
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
        let (layers, most) = (self.model.layers, MOST_LAYERS);
        range("layers", layers, layers <= most, &format!("at most {most}"))?;
        if let Some(adapters) = &self.adapters {
            check_adapters(adapters, self.model.block.width)?;
        }
        at_least_one("batch", self.batch as u64)?;
        at_least_one("accumulate", self.accumulate as u64)?;
        let divides = self.batch.is_multiple_of(self.accumulate);
        let divisor = format!("a divisor of the batch of {}", self.batch);
        range("accumulate", self.accumulate, divides, &divisor)?;
        let tokens = self.batch.saturating_mul(self.model.context);
        let most = format!("a batch of at most {MOST_TOKENS} tokens");
        range("batch", tokens, tokens <= MOST_TOKENS, &most)?;
        let numbers = self.numbers();
        if numbers > MOST_NUMBERS {
            let what = format!(
                "about {numbers} numbers to keep at once, more than \
                 {MOST_NUMBERS}. Take a smaller batch, context, width or \
                 number of layers, more parts (--accumulate), --recompute 1, \
                 or --attention tiled."
            );
            return Err(Error::Setting {
                setting: "memory",
                what,
            });
        }
        self.plan().check()?;
        self.optimizer().check()?;
        share("dropout", self.dropout)?;
        share("label smoothing", self.smoothing)?;
        at_least_one("report windows", self.report_windows as u64)?;
        // every part of every step has a dropout mask with a 32-bit number
        let most = u64::from(u32::MAX) / self.accumulate as u64;
        let few = format!("at most {most}");
        range("steps", self.steps, self.steps <= most, &few)
    }

    /// About how many numbers a step keeps for its backward pass, and the
    /// logits of a sample.
    fn numbers(&self) -> usize {
        let (m, b) = (&self.model, &self.model.block);
        let probabilities = match b.attention {
            Attention::Plain => b.heads.saturating_mul(m.context),
            Attention::Tiled => 0,
        };
        // inputs and outputs of norms, attention and both layers
        let of_block = (6 * b.width)
            .saturating_add(b.qkv())
            .saturating_add(3 * b.hidden)
            .saturating_add(probabilities);
        let (blocks, inputs) = match self.checkpoint {
            0 => (m.layers, 0),
            k => (k.min(m.layers), m.layers.saturating_mul(b.width)),
        };
        let of_token = blocks.saturating_mul(of_block).saturating_add(inputs);
        let kept = self.part().saturating_mul(m.context);
        let kept = kept.saturating_mul(of_token);
        kept.saturating_add(m.context.saturating_mul(m.vocab))
    }

    pub(super) fn optimizer(&self) -> Optimizer {
        Optimizer::AdamW {
            betas: [self.beta1, self.beta2],
            decay: self.decay,
            clip: self.clip,
        }
    }

    pub(super) fn plan(&self) -> Plan {
        Plan {
            accumulate: self.accumulate,
            schedule: self.schedule,
            report_every: self.report_every,
            report_first: true,
            ..Plan::new(self.steps, self.lr)
        }
    }

    /// Windows that go through the model at once.
    pub fn part(&self) -> usize {
        self.batch / self.accumulate
    }
}

pub(super) fn check_adapters(
    a: &lora::model::Config,
    width: usize,
) -> Result<(), Error> {
    let ranks = format!("from 1 to the width {width}");
    range("rank", a.rank, (1..=width).contains(&a.rank), &ranks)?;
    positive("alpha", a.alpha)?;
    let chosen = [a.qkv, a.out, a.up, a.down].contains(&true);
    range("adapters", "none", chosen, "at least one layer")
}
