//! The training loop: one for every [`Model`].
//!
//! A step draws its batches, adds up their gradients, measures them layer by
//! layer, and lets the [`Optimizer`] move the weights. Now and then there is a
//! report. What differs from one kind of run to the next are values: the
//! optimiser, the [`Plan`], who draws batches, what a report says.
//!
//! Batches are numbered from 0, and what batch `n` is depends on `n`, the
//! model and the data alone. So the number of steps taken is all that a run
//! that was broken off needs to know of them to go on with the same bits.

use super::files::{self, Tensors};
use super::schedule::Schedule;
use super::setting::{at_least_one, positive, share, size};
use super::{Error, alive, blame, first_bad_parameter, named_fault};
use crate::backends::Checked;
use crate::device::{AdamW, Device, Gradient, Model, ParamName, Params};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// [`Device::sgd`].
    Sgd {
        /// Momentum μ.
        momentum: f64,
        /// Weight decay λ, on everything that is trained.
        decay: f64,
    },
    /// [`Device::adamw`] on a gradient that is clipped.
    AdamW {
        /// β₁ and β₂: how much is kept of the mean of past gradients, and of
        /// that of their squares.
        betas: [f64; 2],
        /// Weight decay λ, on matrices, not on biases and scales.
        decay: f64,
        /// The norm that the whole gradient is clipped to.
        clip: f64,
    },
}

/// The ε of AdamW, PyTorch's.
const EPS: f64 = 1e-8;

impl Optimizer {
    /// Checks that every setting is in its range.
    pub fn check(self) -> Result<(), Error> {
        match self {
            Optimizer::Sgd { momentum, decay } => {
                share("momentum", momentum)?;
                size("weight decay", decay)
            }
            Optimizer::AdamW { betas, decay, clip } => {
                share("beta1", betas[0])?;
                share("beta2", betas[1])?;
                size("weight decay", decay)?;
                positive("clip", clip)
            }
        }
    }

    /// What it remembers of a parameter, as checkpoints call it.
    fn memories(self) -> &'static [&'static str] {
        match self {
            Optimizer::Sgd { .. } => &["velocity."],
            Optimizer::AdamW { .. } => &["m.", "v."],
        }
    }

    /// Moves what is trained. `squares` are the squared norms of the gradient,
    /// `step` counts from 1.
    fn update<D: Device, M: Model<Tensor = D::Tensor>>(
        self,
        dev: &D,
        model: &mut M,
        (grads, squares): (&M::Grads, &D::Tensor),
        memory: &mut [Vec<D::Tensor>],
        (lr, step): (f64, u64),
    ) {
        let trained = model.tensors_mut().zip(grads.tensors());
        let trained = trained.filter_map(|(w, dw)| Some((w, dw.trained()?)));
        let trained = trained.zip(memory);
        match self {
            Optimizer::Sgd { momentum, decay } => {
                for ((w, dw), memory) in trained {
                    let [v] = &mut memory[..] else { unreachable!() };
                    dev.sgd(w, dw, v, lr, momentum, decay);
                }
            }
            Optimizer::AdamW { betas, decay, clip } => {
                let [beta1, beta2] = betas;
                let factor = dev.clip(squares, clip);
                for ((w, dw), memory) in trained {
                    let [m, v] = &mut memory[..] else {
                        unreachable!()
                    };
                    let is_matrix = dev.shape(w).len() > 1;
                    let set = AdamW {
                        lr,
                        beta1,
                        beta2,
                        eps: EPS,
                        decay: if is_matrix { decay } else { 0. },
                        step,
                    };
                    dev.adamw(w, dw, m, v, &factor, set);
                }
            }
        }
    }
}

/// How long a run is, how fast it learns, and when it reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Steps of the run.
    pub steps: u64,
    /// Batches G of a step: their gradients add up to that of the mean of
    /// their losses.
    pub accumulate: usize,
    /// Learning rate at its highest.
    pub lr: f64,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Steps from one report to the next; the last step has one too.
    pub report_every: u64,
    /// Whether there is a report before the first step.
    pub report_first: bool,
    /// Whether loss and norm of every step are kept.
    pub keep: bool,
}

impl Plan {
    /// `steps` steps of one batch each at the rate `lr`, a report at the end,
    /// every loss and norm kept.
    pub fn new(steps: u64, lr: f64) -> Plan {
        Plan {
            steps,
            accumulate: 1,
            lr,
            schedule: Schedule::Constant,
            report_every: steps.max(1),
            report_first: false,
            keep: true,
        }
    }

    /// Checks that every setting is in its range.
    pub fn check(&self) -> Result<(), Error> {
        at_least_one("accumulate", self.accumulate as u64)?;
        size("learning rate", self.lr)?;
        self.schedule.check()?;
        at_least_one("report every", self.report_every)
    }

    /// How many reports there are when those due after `step` steps are in.
    fn reports_by(&self, step: u64) -> u64 {
        let last =
            step == self.steps && !step.is_multiple_of(self.report_every);
        let more = u64::from(self.report_first) + u64::from(last);
        (step / self.report_every).saturating_add(more)
    }
}

/// Where a run stands. With the weights and what the optimiser remembers, all
/// that a resumed run needs to go on to the same bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State<R> {
    /// Steps taken.
    pub step: u64,
    /// Sum of the losses of the steps since the last report.
    #[serde(default)]
    pub loss_sum: f64,
    /// The loss of each step, before its update, if the plan keeps it.
    #[serde(default)]
    pub losses: Vec<f64>,
    /// The norm of each step's gradient, before it was clipped, likewise.
    #[serde(default)]
    pub norms: Vec<f64>,
    /// That of the last step, [group](Trainer::groups) by group.
    #[serde(default)]
    pub last_norms: Vec<f64>,
    /// The reports so far.
    #[serde(alias = "epochs")]
    pub reports: Vec<R>,
}

/// What the loop has just done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'r, R> {
    /// A step.
    Step {
        /// Its loss, before the update.
        loss: f64,
        /// The norm of its gradient, before it was clipped.
        norm: f64,
    },
    /// A report.
    Report(&'r R),
}

/// A model in training.
///
/// `S` is what the run was set up with, for whoever uses the trainer: the loop
/// itself does not read it. `R` is what a report says.
pub struct Trainer<'d, D: Device, M: Model<Tensor = D::Tensor>, S, R> {
    dev: &'d D,
    /// What the run was set up with.
    pub settings: S,
    /// Where the run stands.
    pub state: State<R>,
    /// The model.
    pub model: M,
    /// What the optimiser remembers of each parameter that is trained: the
    /// velocity of SGD, or AdamW's means of gradients and of their squares.
    pub memory: Vec<Vec<D::Tensor>>,
    optimizer: Optimizer,
    work: Work<M>,
    groups: Vec<String>,
    /// The group of each parameter that is trained.
    group_of: Vec<usize>,
}

/// What a step works with, used again by the next one.
struct Work<M: Model> {
    batches: Vec<M::Batch>,
    kept: M::Kept,
    grads: M::Grads,
    /// The loss of each batch.
    losses: Vec<M::Tensor>,
    /// The squared norm of the gradient of each parameter that is trained.
    squares: M::Tensor,
    /// The same on the host.
    squared: Vec<f64>,
}

impl<'d, D, M, S, R> Trainer<'d, D, M, S, R>
where
    D: Device,
    M: Model<Tensor = D::Tensor>,
{
    /// A trainer of `model`.
    pub fn of(dev: &'d D, model: M, optimizer: Optimizer, settings: S) -> Self
    where
        R: Default,
    {
        let grads = model.zeros(dev);
        let (mut groups, mut group_of) = (Vec::<String>::new(), Vec::new());
        let mut memory = Vec::new();
        for (name, g) in trained(&grads) {
            let group = group(&name.name);
            if groups.last().is_none_or(|g| g != group) {
                groups.push(group.to_owned());
            }
            group_of.push(groups.len() - 1);
            let zeros = |_| dev.zeros(dev.shape(g));
            memory.push(optimizer.memories().iter().map(zeros).collect());
        }
        Trainer {
            dev,
            settings,
            state: State::default(),
            memory,
            optimizer,
            work: Work {
                batches: Vec::new(),
                kept: M::Kept::default(),
                losses: Vec::new(),
                squares: dev.zeros(&[group_of.len()]),
                squared: vec![0.; group_of.len()],
                grads,
            },
            groups,
            group_of,
            model,
        }
    }

    /// The device that the model lives on.
    pub fn device(&self) -> &'d D {
        self.dev
    }

    /// What gradient norms are measured of: `transformer.wte`,
    /// `transformer.h.0`, `layers.1` and so on.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Runs to the end, or until `watch` breaks off. A run that was broken off
    /// goes on with the same bits, in this trainer or in one that was restored
    /// from a file.
    ///
    /// - `draw(model, n, batch)` fills in batch `n` of the run, counted from 0:
    ///   from data, or from what the model does now. It depends on these alone.
    /// - `report` is asked when the plan says so.
    /// - `watch` is called after every step and every report.
    ///
    /// An error if a setting is out of range or the state is not one that such
    /// a run passes through; and if a loss or the norm of a gradient is not
    /// finite: the model is then as it was before that step. An error of its
    /// own if that is because the device has failed.
    pub fn run(
        &mut self,
        plan: &Plan,
        mut draw: impl FnMut(&M, u64, &mut M::Batch),
        mut report: impl FnMut(&Self) -> Result<R, Error>,
        mut watch: impl FnMut(&Self, Event<R>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        plan.check()?;
        self.check_state(plan)?;
        if plan.keep {
            let left = (plan.steps - self.state.step).min(MOST_RESERVED);
            self.state.losses.reserve(left as usize);
            self.state.norms.reserve(left as usize);
        }
        loop {
            let State { step, reports, .. } = &self.state;
            let event = if (reports.len() as u64) < plan.reports_by(*step) {
                let report = report(self)?;
                self.state.loss_sum = 0.;
                self.state.reports.push(report);
                Event::Report(self.state.reports.last().expect("just pushed"))
            } else if *step < plan.steps {
                let (loss, norm) = self.step(plan, &mut draw)?;
                Event::Step { loss, norm }
            } else {
                return Ok(ControlFlow::Continue(()));
            };
            if watch(self, event)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// A restored state must be one that a run of this plan passes through.
    pub(super) fn check_state(&self, plan: &Plan) -> Result<(), Error> {
        let State {
            step,
            losses,
            norms,
            last_norms,
            reports,
            ..
        } = &self.state;
        // A report that is due may be in or not.
        let have = reports.len() as u64;
        let before = step.checked_sub(1).map_or(0, |s| plan.reports_by(s));
        let whole = (before..=plan.reports_by(*step)).contains(&have);
        let kept = [losses.len() as u64, norms.len() as u64];
        let all_kept = !plan.keep || kept == [*step; 2];
        let groups = [0, self.groups.len()].contains(&last_norms.len());
        if *step <= plan.steps && whole && all_kept && groups {
            return Ok(());
        }
        Err(Error::Data(format!(
            "a run of {} steps, with a report every {}, is never at step \
             {step} with {have} reports, {} losses and {} norms. Resume it on \
             the data it began with, or start afresh.",
            plan.steps, plan.report_every, kept[0], kept[1],
        )))
    }

    /// One step; its loss before the update, and the norm of its gradient.
    fn step(
        &mut self,
        plan: &Plan,
        draw: &mut impl FnMut(&M, u64, &mut M::Batch),
    ) -> Result<(f64, f64), Error> {
        let (dev, step, work) = (self.dev, self.state.step, &mut self.work);
        work.batches.resize_with(plan.accumulate, M::Batch::default);
        let numbers = step * plan.accumulate as u64..;
        for (n, batch) in numbers.zip(&mut work.batches) {
            draw(&self.model, n, batch);
        }
        let loss = work.gradient(dev, &self.model);
        let norm = work.squared.iter().sum::<f64>().sqrt();
        if !loss.is_finite() {
            return Err(self.not_finite("loss", loss));
        }
        if !norm.is_finite() {
            return Err(self.not_finite("norm of the gradient", norm));
        }

        let rate = plan.lr * plan.schedule.factor(step, plan.steps);
        let (model, memory) = (&mut self.model, &mut self.memory);
        let gradient = (&work.grads, &work.squares);
        let (optimizer, now) = (self.optimizer, (rate, step + 1));
        optimizer.update(dev, model, gradient, memory, now);
        model.settle(dev, &mut work.kept);

        let state = &mut self.state;
        state.last_norms.clear();
        state.last_norms.resize(self.groups.len(), 0.);
        for (group, squared) in self.group_of.iter().zip(&work.squared) {
            state.last_norms[*group] += squared;
        }
        state.last_norms.iter_mut().for_each(|n| *n = n.sqrt());
        if plan.keep {
            state.losses.push(loss);
            state.norms.push(norm);
        }
        state.loss_sum += loss;
        state.step += 1;
        Ok((loss, norm))
    }

    /// Runs the step again, op by op, to find where it went wrong.
    fn not_finite(&mut self, what: &'static str, value: f64) -> Error {
        if let Err(fault) = alive(self.dev) {
            return fault;
        }
        let (step, model) = (self.state.step + 1, &self.model);
        let tensor = first_bad_parameter(self.dev, model);
        let tensor = tensor.unwrap_or_else(|| {
            let dev = Checked::new(self.dev);
            self.work.gradient(&dev, model);
            let weights = model.names().into_iter().zip(model.tensors());
            named_fault(&dev, weights.chain(trained(&self.work.grads)))
        });
        let error = Error::NonFinite {
            step,
            what,
            value,
            tensor,
        };
        blame(self.dev, error)
    }

    /// The loss of an evaluation, or an error if it is not finite.
    pub fn finite(&self, loss: f64) -> Result<f64, Error> {
        if loss.is_finite() {
            return Ok(loss);
        }
        alive(self.dev)?;
        let tensor = first_bad_parameter(self.dev, &self.model);
        let tensor = tensor.as_deref().unwrap_or("the logits");
        let what = format!(
            "the loss is {loss}; the first tensor that is not finite is \
             {tensor}"
        );
        let step = self.state.step;
        Err(blame(self.dev, Error::Diverged { step, what }))
    }

    // ---- checkpoints ----------------------------------------------------

    /// Saves a [checkpoint](files) into the folder `dir`, in place of the one
    /// that is there: the tensors, and `run`, which holds the state and what
    /// else it takes to make such a trainer again. `task` and `data`, a
    /// fingerprint, are for whoever resumes.
    ///
    /// An error, and the old checkpoint stays, if a parameter is not finite or
    /// the device has failed.
    pub fn write<T: Serialize>(
        &self,
        dir: &Path,
        (task, data): (&str, u64),
        run: T,
    ) -> Result<(), Error> {
        let (dev, step) = (self.dev, self.state.step);
        let named = self.model.names().into_iter().zip(self.model.tensors());
        let memory = self.memory.iter().flatten();
        let memory = self.memory_names().into_iter().zip(memory);
        let tensors = files::named_to_tensors(dev, named.chain(memory));
        files::check_to_save(dev, step, &tensors)?;
        let tensors = (&tensors, D::PRECISION);
        files::write_checkpoint(dir, (task, data), (step, run), tensors)
    }

    /// Takes over the [tensors](files::Checkpoint::tensors) and the state of a
    /// checkpoint.
    ///
    /// An error, and nothing is changed, if they are of another model or
    /// optimiser.
    pub fn load(
        &mut self,
        (path, tensors): (&Path, Tensors),
        state: State<R>,
    ) -> Result<(), Error> {
        let names = self.memory_names();
        let memory = names.into_iter().zip(self.memory.iter_mut().flatten());
        let names = self.model.names().into_iter();
        let named = names.zip(self.model.tensors_mut()).chain(memory);
        files::load_named(path, tensors, self.dev, named.collect())?;
        self.state = state;
        Ok(())
    }

    /// The names of what the optimiser remembers, in its order.
    fn memory_names(&self) -> Vec<ParamName> {
        let mut names = Vec::new();
        for (of, _) in trained(&self.work.grads) {
            names.extend(self.optimizer.memories().iter().map(|memory| {
                let name = format!("{memory}{}", of.name);
                ParamName { name, ..of }
            }));
        }
        names
    }
}

/// Steps that room is made for at once.
const MOST_RESERVED: u64 = 1 << 16;

impl<M: Model> Work<M> {
    /// The mean loss of the batches, and its gradient. All of it is recorded
    /// before the first number is read.
    fn gradient<D: Device<Tensor = M::Tensor>>(
        &mut self,
        dev: &D,
        model: &M,
    ) -> f64 {
        let grads = self.grads.tensors_mut();
        grads.filter_map(Gradient::trained_mut).for_each(|g| {
            dev.clear(g);
        });
        dev.clear(&mut self.squares);
        self.losses.clear();
        let (kept, grads) = (&mut self.kept, &mut self.grads);
        let share = 1. / self.batches.len() as f64;
        for batch in &self.batches {
            let loss = model.loss_and_grad(dev, batch, share, kept, grads);
            self.losses.push(loss);
        }
        let grads = self.grads.tensors().filter_map(Gradient::trained);
        for (slot, g) in grads.enumerate() {
            dev.sum_of_squares(g, &mut self.squares, slot);
        }
        self.losses.iter().for_each(|loss| dev.prefetch(loss));
        dev.prefetch(&self.squares);
        let sum = self.losses.drain(..).map(|loss| number(dev, &loss));
        let loss = sum.sum::<f64>() / self.batches.len() as f64;
        dev.read_into(&self.squares, &mut self.squared);
        loss
    }
}

/// The gradients that are computed, with their names.
fn trained<'g, T: 'g>(
    grads: &'g impl Params<Tensor: Gradient<T> + 'g>,
) -> impl Iterator<Item = (ParamName, &'g T)> {
    let named = grads.names().into_iter().zip(grads.tensors());
    named.filter_map(|(name, g)| Some((name, g.trained()?)))
}

/// The layer that a parameter belongs to: its name up to the first number, as
/// in `transformer.h.0`, or without its last part.
fn group(name: &str) -> &str {
    let mut end = 0;
    for part in name.split('.') {
        end += part.len();
        if part.parse::<usize>().is_ok() {
            return &name[..end];
        }
        end += 1;
    }
    name.rsplit_once('.').map_or(name, |(layer, _)| layer)
}

/// The only number of `t`, on the host.
pub(super) fn number<D: Device>(dev: &D, t: &D::Tensor) -> f64 {
    let mut x = [0.];
    dev.read_into(t, &mut x);
    x[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_by_their_names() {
        for (name, layer) in [
            ("transformer.h.10.attn.c_attn.bias", "transformer.h.10"),
            ("transformer.wte.weight", "transformer.wte"),
            ("layers.2.weight", "layers.2"),
            ("lstm.weight_ih", "lstm"),
            ("w", "w"),
        ] {
            assert_eq!(group(name), layer);
        }
    }

    #[test]
    fn reports_are_counted() {
        let by = |report_first, steps| {
            let plan = Plan {
                report_every: 4,
                report_first,
                ..Plan::new(steps, 1.)
            };
            (0..=steps).map(|s| plan.reports_by(s)).collect::<Vec<_>>()
        };
        assert_eq!(by(false, 6), [0, 0, 0, 0, 1, 1, 2]);
        assert_eq!(by(true, 6), [1, 1, 1, 1, 2, 2, 3]);
        assert_eq!(by(false, 4), [0, 0, 0, 0, 1]);
        assert_eq!((by(false, 0), by(true, 0)), (vec![0], vec![1]));
    }

    /// Files of earlier runs, of a classifier and of a language model.
    #[test]
    fn on_disk() {
        let read = |text| serde_json::from_str::<State<u64>>(text).unwrap();
        let old = read(r#"{"step":3,"loss_sum":1.5,"epochs":[7]}"#);
        assert_eq!((old.loss_sum, &old.reports[..]), (1.5, &[7][..]));
        let old = read(
            r#"{"step":1,"losses":[2.5],"norms":[0.5],"last_norms":[0.5],
                "reports":[7]}"#,
        );
        assert_eq!((old.losses[0], old.loss_sum), (2.5, 0.));
        assert_eq!(read(&serde_json::to_string(&old).unwrap()), old);
    }
}
