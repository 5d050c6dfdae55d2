//! `cargo train policy`: a policy that finds its way over a slippery floor.

use crate::folder::{Folder, GoOn};
use crate::progress::{Returned, say};
use crate::{Error, On, Out, at_least_one};
use backprop::device::Device;
use backprop::discrete::reinforce::grid::{Best, Grid, MAP};
use backprop::training::files::{
    load_weights, read_checkpoint, save_weights, write_aside,
};
use backprop::training::policy::{Run, Settings, Trainer, fingerprint};
use clap::Args;
use figures::kit::{Axis, Chart};
use serde_json::json;
use std::ops::ControlFlow::{Break, Continue};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Options of `cargo train policy`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = usual())]
pub struct Policy {
    /// Seed of the episodes [default: 0].
    #[arg(long)]
    seed: Option<u64>,
    /// Steps of the run.
    #[arg(long)]
    steps: Option<u64>,
    /// Episodes of a step.
    #[arg(long, value_parser = at_least_one)]
    batch: Option<usize>,
    /// Learning rate of SGD.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// How fast the baseline follows the rewards, from 0, which is no
    /// baseline, to 1.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    baseline: Option<f64>,
    /// Probability that a move goes off to a side.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    slip: Option<f64>,
    /// Steps between two looks at the exact expected return; a fiftieth of
    /// the run unless told.
    #[arg(long, value_name = "STEPS")]
    report_every: Option<u64>,
    /// Start from these weights (safetensors) instead of a policy that knows
    /// nothing.
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    /// Go on with an interrupted run; its settings are those of the folder,
    /// but for --lr if it is given.
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "seed", "steps", "batch", "baseline", "slip", "report_every", "load",
        "out", "force",
    ])]
    resume: Option<PathBuf>,
    /// Break off after this step, as Ctrl-C would: for tests.
    #[arg(long, hide = true, value_name = "N")]
    stop_after_step: Option<u64>,
}

const TASK: &str = "policy";
/// A checkpoint is saved no more often than this, but at the end.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// Looks at the exact return in a run, unless told.
const REPORTS: u64 = 50;

/// What holds unless told otherwise, for the help.
fn usual() -> String {
    let s = Settings::default();
    format!(
        "Unless told: --steps {} --batch {} --lr {} --baseline {} --slip {}",
        s.steps, s.batch, s.lr, s.baseline, s.slip,
    )
}

impl Policy {
    fn settings(&self) -> Settings {
        let d = Settings::default();
        let steps = self.steps.unwrap_or(d.steps);
        let usual = steps.div_ceil(REPORTS).max(1);
        Settings {
            slip: self.slip.unwrap_or(d.slip),
            steps,
            batch: self.batch.unwrap_or(d.batch),
            lr: self.lr.unwrap_or(d.lr),
            baseline: self.baseline.unwrap_or(d.baseline),
            report_every: self.report_every.unwrap_or(usual),
            seed: self.seed.unwrap_or(d.seed),
        }
    }
}

/// Trains, or goes on training.
pub fn policy<D: Device>(options: &Policy, on: &On<D>) -> Result<(), Error> {
    let (clock, dev) = (Instant::now(), on.dev);
    let (resumed, mut trainer) = match &options.resume {
        Some(dir) => {
            let folder = Folder::open(dir)?;
            let at = folder.checkpoint();
            let checkpoint = read_checkpoint::<Run>(&at, TASK)?;
            if !checkpoint.is_on(fingerprint()) {
                return Err(Error::Mismatch {
                    dir: dir.clone(),
                    what: "this run learned its way in a world of another map \
                           or other rules. Start afresh."
                        .into(),
                });
            }
            let mut trainer = Trainer::restore(dev, &at, &checkpoint)?;
            let s = &mut trainer.settings;
            s.lr = options.lr.unwrap_or(s.lr);
            s.check()?;
            (Some(folder), trainer)
        }
        None => {
            let mut trainer = Trainer::new(dev, options.settings())?;
            if let Some(file) = &options.load {
                load_weights(file, dev, &mut trainer.model)?;
            }
            (None, trainer)
        }
    };
    // Nothing is written before all input is known to be good.
    let default = format!("{TASK}-seed{}", trainer.settings.seed);
    let folder = Folder::of(resumed, &options.out, default, None)?;
    let save = |t: &Trainer<D>| t.save(&folder.checkpoint(), TASK);
    if options.resume.is_none() {
        save(&trainer)?; // shows at once whether the folder can be written
    }

    let go_on = GoOn::new(TASK, &folder).with("--device", on.option());
    let (grid, total) = (trainer.settings.grid(), trainer.settings.steps);
    let best = grid.best();
    let (mut saved, mut saved_at) = (trainer.state.step, Instant::now());
    let progress = Returned::new(saved, total, best.value);
    let end = trainer.learn(|t, event| {
        progress.show(event);
        let step = t.state.step;
        if saved_at.elapsed() > SAVE_EVERY && saved != step {
            save(t)?;
            (saved, saved_at) = (step, Instant::now());
        }
        let last = options.stop_after_step.is_some_and(|n| step >= n);
        Ok(match last || on.stop.load(Relaxed) {
            true => Break(()),
            false => Continue(()),
        })
    });
    progress.clear();
    let end = end.and_then(|end| save(&trainer).map(|()| end));
    let end = end.map_err(|e| folder.ended_by(e, saved, &go_on))?;
    if end.is_break() {
        go_on.say_stopped(trainer.state.step, total);
        return Ok(());
    }
    let seconds = clock.elapsed().as_secs_f64();
    report(&folder, on, &trainer, &grid, &best, seconds)
}

/// Writes weights, pictures and metrics, and says how it went.
fn report<D: Device>(
    folder: &Folder,
    on: &On<D>,
    trainer: &Trainer<D>,
    grid: &Grid,
    best: &Best,
    seconds: f64,
) -> Result<(), Error> {
    let (dev, s, state) = (on.dev, &trainer.settings, &trainer.state);
    save_weights(&folder.file("weights.safetensors"), dev, &trainer.model)?;
    let policy = trainer.model.probabilities(dev);
    let value = trainer.finite(grid.value(policy.view()))?;
    let first = state.reports.first().map_or(f64::NAN, |r| r.value);
    draw(folder, trainer, (first, value, best.value))?;
    let learned = grid.picture(policy.view());
    let picture = beside(&learned, &grid.picture(best.policy.view()));
    write_aside(&folder.file("policy.txt"), picture.as_bytes())?;
    let rows: Vec<_> = policy.rows().into_iter().map(|r| r.to_vec()).collect();
    let rules = grid.rules();
    folder.finish(&json!({
        "task": TASK,
        "device": on.name,
        "world": {
            "map": MAP,
            "slip": rules.slip,
            "step": rules.step,
            "discount": rules.discount,
            "time": rules.time,
        },
        "settings": s,
        "losses": state.losses,
        "norms": state.norms,
        "reports": state.reports,
        "policy": rows,
        "picture": learned.lines().collect::<Vec<_>>(),
        "value": value,
        "best": best.value,
        "seconds": seconds,
    }))?;
    say(format_args!("{picture}"));
    say(format_args!(
        "Exact expected return {value:.3}, at best {:.3}, at the start \
         {first:.3}; {} steps of {} episodes, {seconds:.1} s",
        best.value, state.step, s.batch,
    ));
    say(format_args!(
        "{}: metrics.json, weights.safetensors, learning-curve.svg, policy.txt",
        folder.path().display()
    ));
    Ok(())
}

/// Two pictures of the world, side by side, with what they show.
fn beside(learned: &str, best: &str) -> String {
    let mut text = String::from("learned    best possible\n");
    for (learned, best) in learned.lines().zip(best.lines()) {
        let space = " ".repeat(11 - learned.chars().count().min(10));
        text += &format!("{learned}{space}{best}\n");
    }
    text
}

fn draw<D: Device>(
    folder: &Folder,
    trainer: &Trainer<D>,
    (first, last, best): (f64, f64, f64),
) -> Result<(), Error> {
    let reports = trainer.state.reports.iter();
    let curve: Vec<_> = reports.map(|r| [r.step as f64, r.value]).collect();
    let axis = Axis::linear("exact expected return");
    let chart = Chart::new(Axis::linear("step"), axis)
        .line("policy", &curve)
        .rule(best, "best possible");
    let text = format!(
        "Expected return over {} steps: it begins at {first:.3} and ends at \
         {last:.3}; the best possible is {best:.3}.",
        trainer.state.step,
    );
    let title = "Learning curve";
    folder.picture("learning-curve", title, &text, &chart.picture())
}
