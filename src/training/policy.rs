//! Training a policy in a small [world](Grid).
//!
//! A step plays a batch of episodes by the policy as it is, and follows the
//! gradient that they give, see [`Policy`]. What a report says is no mean of
//! episodes but J, the exact expected return.

use super::files::{self, Checkpoint};
use super::setting::{at_least_one, range, size};
use super::trainer::{self, Optimizer, Plan};
use super::{Error, Purpose, stream};
use crate::backends::Cpu;
use crate::device::Device;
use crate::discrete::reinforce::grid::{Grid, MAP, MOVES, Rules};
use crate::discrete::reinforce::model::Policy;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;

/// The settings of a run: they fix every bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Probability that a move slips.
    pub slip: f64,
    /// Steps of the run.
    pub steps: u64,
    /// Episodes of a step.
    pub batch: usize,
    /// Learning rate of SGD, which has no momentum.
    pub lr: f64,
    /// How fast the baseline follows the rewards to go, in `[0,1]`; 0 is no
    /// baseline.
    pub baseline: f64,
    /// Steps from one report to the next.
    pub report_every: u64,
    /// Seed of the episodes. The policy that a run begins with is the same for
    /// all.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            slip: Rules::default().slip,
            steps: 500,
            batch: 4,
            lr: 2.,
            baseline: 0.3,
            report_every: 10,
            seed: 0,
        }
    }
}

/// More episodes than this in a step are a slip of the finger.
const MOST_EPISODES: usize = 10_000;

impl Settings {
    /// Checks that every setting is in its range.
    pub fn check(&self) -> Result<(), Error> {
        let part = |x: f64| (0. ..=1.).contains(&x);
        range("slip", self.slip, part(self.slip), "in [0, 1]")?;
        at_least_one("batch", self.batch as u64)?;
        let most = format!("at most {MOST_EPISODES} episodes");
        range("batch", self.batch, self.batch <= MOST_EPISODES, &most)?;
        let rate = self.baseline;
        range("baseline", rate, part(rate), "in [0, 1]")?;
        size("learning rate", self.lr)?;
        self.plan().check()
    }

    /// The world.
    pub fn grid(&self) -> Grid {
        let rules = Rules {
            slip: self.slip,
            ..Rules::default()
        };
        Grid::new(&MAP, rules)
    }

    fn plan(&self) -> Plan {
        Plan {
            report_every: self.report_every,
            report_first: true,
            ..Plan::new(self.steps, self.lr)
        }
    }
}

/// How good the policy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Steps taken so far.
    pub step: u64,
    /// J, the exact expected return: no sample, no estimate.
    pub value: f64,
}

/// Where a run stands.
pub type State = trainer::State<Report>;

/// What the loop has just done.
pub type Event<'e> = trainer::Event<'e, Report>;

/// A policy in training.
pub type Trainer<'d, D> =
    trainer::Trainer<'d, D, Policy<<D as Device>::Tensor>, Settings, Report>;

/// What a checkpoint holds of a run, beside weights and velocity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The settings.
    pub settings: Settings,
    /// Where the run stands.
    pub state: State,
}

/// A number that tells the world of a run from another one: of its map and its
/// rules, but for what [`Settings`] say.
pub fn fingerprint() -> u64 {
    let Rules {
        step,
        discount,
        time,
        ..
    } = Rules::default();
    let numbers = [step.to_bits(), discount.to_bits(), time as u64];
    let map = MAP.iter().flat_map(|row| row.bytes());
    files::fnv1a(map.chain(numbers.into_iter().flat_map(u64::to_le_bytes)))
}

impl<'d, D: Device> Trainer<'d, D> {
    /// A policy that knows nothing yet.
    ///
    /// An error if a setting is out of range.
    pub fn new(dev: &'d D, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let states = settings.grid().states();
        let model = Policy::new(dev, states, MOVES, settings.baseline);
        let plain = Optimizer::Sgd {
            momentum: 0.,
            decay: 0.,
        };
        Ok(Trainer::of(dev, model, plain, settings))
    }

    /// [Runs](trainer::Trainer::run) to the end, or until `watch` breaks off,
    /// with a [`Report`] before the first step, each
    /// [`Settings::report_every`] steps, and after the last.
    pub fn learn(
        &mut self,
        watch: impl FnMut(&Self, Event) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        let (dev, s) = (self.device(), self.settings.clone());
        let grid = s.grid();
        self.run(
            &s.plan(),
            |model, n, batch| {
                let policy = model.probabilities(dev);
                let mut rng = stream(s.seed, Purpose::Episodes, n);
                batch.visits.clear();
                batch.episodes = s.batch;
                for _ in 0..s.batch {
                    grid.play(policy.view(), &mut rng, &mut batch.visits);
                }
            },
            |t| {
                let value = grid.value(t.model.probabilities(dev).view());
                let (step, value) = (t.state.step, t.finite(value)?);
                Ok(Report { step, value })
            },
            watch,
        )
    }

    /// [Saves](trainer::Trainer::write) a checkpoint of the run.
    pub fn save(&self, dir: &Path, task: &str) -> Result<(), Error> {
        let run = Run {
            settings: self.settings.clone(),
            state: self.state.clone(),
        };
        self.write(dir, (task, fingerprint()), run)
    }

    /// The trainer of a checkpoint in the folder that it was read from.
    pub fn restore(
        dev: &'d D,
        dir: &Path,
        checkpoint: &Checkpoint<Run>,
    ) -> Result<Self, Error> {
        let (path, tensors) = checkpoint.tensors(dir)?;
        let Run { settings, state } = checkpoint.run.clone();
        let mut trainer = Trainer::new(dev, settings)?;
        trainer.load((&path, tensors), state)?;
        Ok(trainer)
    }
}

/// The reports of a whole run on the CPU: how J rises from step to step. A
/// function of the settings alone.
///
/// An error if a setting is out of range or the run diverges.
pub fn curve(settings: Settings) -> Result<Vec<Report>, Error> {
    let dev = Cpu::new();
    let mut trainer = Trainer::new(&dev, settings)?;
    match trainer.learn(|_, _| Ok(ControlFlow::Continue(())))? {
        ControlFlow::Continue(()) => Ok(trainer.state.reports),
        ControlFlow::Break(()) => unreachable!("the watcher never breaks off"),
    }
}
