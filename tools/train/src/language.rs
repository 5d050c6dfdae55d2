//! What the tasks on text share: options, the run, its pictures.

use crate::device::alive;
use crate::folder::{Folder, GoOn};
use crate::progress::{Written, say};
use crate::{Error, at_least_one};
use backprop::device::{Device, Model};
use backprop::training::files::{Checkpoint, read_checkpoint};
use backprop::training::language::{
    Event, Learned, Report, Run, Sampling, Settings, State, Trainer, sample,
};
use backprop::training::schedule::Schedule;
use backprop::training::text::{Text, Vocabulary, read_text, shakespeare};
use backprop::training::trainer;
use clap::Args;
use figures::kit::{Axis, Chart, HeatMap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Settings of the steps, over the defaults of the task.
#[derive(Clone, Debug, Default, Args)]
pub struct Steps {
    /// Seed of weights, windows and samples [default: 0].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Steps of the run.
    #[arg(long)]
    pub steps: Option<u64>,
    /// Windows of text in a step.
    #[arg(long, value_parser = at_least_one)]
    pub batch: Option<usize>,
    /// Highest learning rate of AdamW.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Steps until the learning rate is at its highest; at most a tenth of
    /// the run unless told.
    #[arg(long, value_name = "STEPS")]
    pub warmup: Option<u64>,
    /// Share of the highest rate that the cosine ends at.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub floor: Option<f64>,
    /// AdamW's memory of gradients, from 0 to below 1.
    #[arg(long, allow_negative_numbers = true)]
    pub beta1: Option<f64>,
    /// AdamW's memory of their squares, from 0 to below 1.
    #[arg(long, allow_negative_numbers = true)]
    pub beta2: Option<f64>,
    /// Weight decay of the matrices.
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    pub decay: Option<f64>,
    /// Norm that a step's gradient is clipped to.
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip: Option<f64>,
    /// Label smoothing, from 0 to below 1.
    #[arg(long, value_name = "EPSILON", allow_negative_numbers = true)]
    pub smoothing: Option<f64>,
    /// Steps between two looks at the validation text; a tenth of the run
    /// unless told.
    #[arg(long, value_name = "STEPS")]
    pub report_every: Option<u64>,
}

/// Settings of a step that goes through blocks.
#[derive(Clone, Debug, Default, Args)]
pub struct Blocks {
    /// Parts that a step's windows go through the model in: less memory, the
    /// same result to rounding.
    #[arg(long, value_name = "PARTS", value_parser = at_least_one)]
    pub accumulate: Option<usize>,
    /// Keep the input of every K-th block only and compute the rest again:
    /// less memory, the same bits.
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub recompute: Option<usize>,
    /// Share of entries that dropout sets to 0, from 0 to below 1.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub dropout: Option<f64>,
}

/// The options of [`Steps`] that only a training has, and that a run that is
/// resumed brings along: all but the learning rate and the seed.
pub(crate) const STEPS: [&str; 10] = [
    "steps",
    "batch",
    "warmup",
    "floor",
    "beta1",
    "beta2",
    "decay",
    "clip",
    "smoothing",
    "report_every",
];
/// Those of [`Blocks`].
pub(crate) const BLOCKS: [&str; 3] = ["accumulate", "recompute", "dropout"];

impl Steps {
    pub(crate) fn over(&self, blocks: &Blocks, d: Settings) -> Settings {
        let steps = self.steps.unwrap_or(d.steps);
        Settings {
            seed: self.seed.unwrap_or(d.seed),
            steps,
            batch: self.batch.unwrap_or(d.batch),
            accumulate: blocks.accumulate.unwrap_or(d.accumulate),
            checkpoint: blocks.recompute.unwrap_or(d.checkpoint),
            lr: self.lr.unwrap_or(d.lr),
            schedule: self.schedule(steps, d.schedule),
            beta1: self.beta1.unwrap_or(d.beta1),
            beta2: self.beta2.unwrap_or(d.beta2),
            decay: self.decay.unwrap_or(d.decay),
            clip: self.clip.unwrap_or(d.clip),
            dropout: blocks.dropout.unwrap_or(d.dropout),
            smoothing: self.smoothing.unwrap_or(d.smoothing),
            report_every: self.report_every(steps),
            ..d
        }
    }

    pub(crate) fn schedule(&self, steps: u64, usual: Schedule) -> Schedule {
        let (warmup, lowest) = rise_and_floor(usual);
        Schedule::WarmupCosine {
            steps: self.warmup.unwrap_or(warmup.min(steps / 10)),
            floor: self.floor.unwrap_or(lowest),
        }
    }

    pub(crate) fn report_every(&self, steps: u64) -> u64 {
        let usual = steps.div_ceil(REPORTS).max(1);
        self.report_every.unwrap_or(usual)
    }
}

/// Steps of the warm-up, and the share that the rate ends at.
pub(crate) fn rise_and_floor(schedule: Schedule) -> (u64, f64) {
    match schedule {
        Schedule::WarmupCosine { steps, floor } => (steps, floor),
        _ => (0, 1.),
    }
}

/// The options of [`Steps`] as these settings have them, for the help.
pub(crate) fn usual(s: &Settings) -> String {
    let (warmup, floor) = rise_and_floor(s.schedule);
    format!(
        "--batch {} --steps {} --lr {} --warmup {warmup} --floor {floor} \
         --beta1 {} --beta2 {} --decay {} --clip {} --dropout {}",
        s.batch, s.steps, s.lr, s.beta1, s.beta2, s.decay, s.clip, s.dropout,
    )
}

/// Looks at the validation text in a run, unless told.
const REPORTS: u64 = 10;

const SAMPLE: usize = 500;
const TEMPERATURE: f64 = 0.8;
const TOP_K: usize = 40;

/// What the model is to write.
#[derive(Clone, Debug, Args)]
pub struct Writing {
    /// What the samples go on from; a new line unless told.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Characters of the last sample.
    #[arg(long, value_name = "N", default_value_t = SAMPLE)]
    pub sample: usize,
    /// Below 1 the likely becomes likelier; 0 always takes the likeliest.
    #[arg(long, value_name = "T", default_value_t = TEMPERATURE,
        allow_negative_numbers = true)]
    pub temperature: f64,
    /// Only so many of the likeliest characters can be chosen.
    #[arg(long, value_name = "K", default_value_t = TOP_K)]
    pub top_k: usize,
}

impl Writing {
    fn how(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top: self.top_k,
        }
    }

    /// Adds what is not as it is by itself.
    pub(crate) fn go_on(&self, command: GoOn) -> GoOn {
        let other = |t: f64| (t != TEMPERATURE).then_some(t);
        let not = |n: usize, usual| (n != usual).then_some(n);
        command
            .with("--prompt", self.prompt.as_ref())
            .with("--sample", not(self.sample, SAMPLE))
            .with("--temperature", other(self.temperature))
            .with("--top-k", not(self.top_k, TOP_K))
    }

    /// The prompt in tokens; an error if a setting is out of range.
    pub(crate) fn tokens(&self, v: &Vocabulary) -> Result<Vec<usize>, Error> {
        self.how().check()?;
        match self.prompt.as_deref() {
            Some("") => Err(Error::EmptyPrompt),
            Some(prompt) => Ok(v.encode(prompt, "the prompt")?),
            // a text without line breaks has another first character
            None => Ok(v.encode("\n", "the prompt").unwrap_or(vec![0])),
        }
    }

    /// The prompt, and what the model writes after it on `dev`: `sample` makes
    /// tokens of the prompt's.
    pub(crate) fn write<D: Device>(
        &self,
        dev: &D,
        v: &Vocabulary,
        sample: impl FnOnce(&[usize], Sampling) -> Vec<usize>,
    ) -> Result<String, Error> {
        let prompt = self.tokens(v)?;
        let tokens = sample(&prompt, self.how());
        alive(dev)?;
        let told = self.prompt.as_deref().unwrap_or_default();
        Ok(format!("{told}{}", v.decode(&tokens)?))
    }
}

/// The text of a file, or the one that ships with the crate, and its name.
pub(crate) fn text_of(
    file: Option<&Path>,
    own: fn() -> String,
    name: &str,
) -> Result<(String, String), Error> {
    Ok(match file {
        Some(file) => (read_text(file)?, file.display().to_string()),
        None => (own(), name.to_owned()),
    })
}

/// The text of a file, or Shakespeare's plays, and its name.
pub(crate) fn plays_or(file: Option<&Path>) -> Result<(String, String), Error> {
    let name = "Shakespeare, 40,000 lines of plays, public domain";
    text_of(file, shakespeare, name)
}

/// The number of the sample at the end of a run, which no step has.
pub(crate) const LAST_SAMPLE: u64 = u64::MAX >> 16;

/// The α of the bigram model that a run is compared with.
pub(crate) const ALPHA: f64 = 1.;

/// A run that is to go on: its folder, its trainer, which `restore` makes of
/// the folder of the checkpoint and what it says, the text that it began with,
/// and what its checkpoint says.
pub(crate) fn resume<S: DeserializeOwned, T>(
    dir: &Path,
    task: &str,
    (all, source): (&str, &str),
    restore: impl FnOnce(
        &Path,
        &Checkpoint<Run<S>>,
    ) -> Result<T, backprop::training::Error>,
) -> Result<(Folder, T, Text, Run<S>), Error> {
    let folder = Folder::open(dir)?;
    let at = folder.checkpoint();
    let checkpoint = read_checkpoint(&at, task)?;
    let trainer = restore(&at, &checkpoint)?;
    // A text of other characters is another text as well.
    if let Ok(text) = Text::new(all, &checkpoint.run.vocabulary, source)
        && checkpoint.is_on(text.fingerprint())
    {
        return Ok((folder, trainer, text, checkpoint.run));
    }
    Err(Error::Mismatch {
        dir: dir.to_owned(),
        what: "this run was trained on another text. Give the same file with \
               --data FILE."
            .into(),
    })
}

/// The files that a run leaves in its folder, `weights` among them.
pub(crate) fn say_files(folder: &Folder, weights: &str, steps: u64) {
    let norms = if steps > 0 {
        ", gradient-norms.svg"
    } else {
        ""
    };
    say(format_args!(
        "{}: metrics.json, {weights}, learning-curve.svg{norms}",
        folder.path().display()
    ));
}

/// [`resume`] for a GPT, with another learning rate if one is given.
pub(crate) fn resume_gpt<'d, D: Device>(
    dir: &Path,
    task: &str,
    text: (&str, &str),
    lr: Option<f64>,
    dev: &'d D,
) -> Result<(Folder, Trainer<'d, D>, Text, Run), Error> {
    resume(dir, task, text, |at, checkpoint| {
        let mut trainer = Trainer::restore(dev, at, checkpoint)?;
        let s = &mut trainer.settings;
        s.lr = lr.unwrap_or(s.lr);
        s.check()?;
        Ok(trainer)
    })
}

/// A trainer of a model of text, as a session sees it.
pub(crate) trait Learner: Sized {
    type Device: Device;

    fn device(&self) -> &Self::Device;
    fn state(&self) -> &State;
    /// Steps of the run, tokens of a step, and the seed.
    fn extent(&self) -> (u64, u64, u64);

    fn learn(
        &mut self,
        text: &Text,
        watch: impl FnMut(&Self, Event) -> Watched,
    ) -> Watched;

    fn save(
        &self,
        dir: &Path,
        run: (&str, u64),
        vocabulary: &Vocabulary,
        learned: Option<&Learned>,
    ) -> Result<(), backprop::training::Error>;

    /// `n` tokens that the model writes after `prompt`.
    fn sample(
        &self,
        prompt: &[usize],
        n: usize,
        how: Sampling,
        stream: (u64, u64),
    ) -> Vec<usize>;
}

pub(crate) type Watched = Result<ControlFlow<()>, backprop::training::Error>;

impl<D: Device> Learner for Trainer<'_, D> {
    type Device = D;

    fn device(&self) -> &D {
        self.device()
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn extent(&self) -> (u64, u64, u64) {
        let s = &self.settings;
        (s.steps, s.batch as u64 * s.model.context as u64, s.seed)
    }

    fn learn(
        &mut self,
        text: &Text,
        watch: impl FnMut(&Self, Event) -> Watched,
    ) -> Watched {
        self.learn(text, watch)
    }

    fn save(
        &self,
        dir: &Path,
        run: (&str, u64),
        vocabulary: &Vocabulary,
        learned: Option<&Learned>,
    ) -> Result<(), backprop::training::Error> {
        self.save(dir, run, vocabulary, learned)
    }

    fn sample(
        &self,
        prompt: &[usize],
        n: usize,
        how: Sampling,
        stream: (u64, u64),
    ) -> Vec<usize> {
        sample(self.device(), &self.model, prompt, n, how, stream)
    }
}

/// A run, all but its trainer.
pub(crate) struct Session<'a> {
    pub(crate) task: &'static str,
    pub(crate) folder: &'a Folder,
    pub(crate) go_on: GoOn,
    pub(crate) text: &'a Text,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) learned: Option<&'a Learned>,
    pub(crate) writing: &'a Writing,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) stop_after_step: Option<u64>,
}

/// A checkpoint is saved no more often than this, but at the end.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Characters of the samples on the way.
const GLIMPSE: usize = 60;

impl Session<'_> {
    fn save(&self, t: &impl Learner) -> Result<(), backprop::training::Error> {
        let run = (self.task, self.text.fingerprint());
        let at = self.folder.checkpoint();
        t.save(&at, run, self.vocabulary, self.learned)
    }

    /// `n` characters by the model, after the prompt.
    pub(crate) fn write(
        &self,
        t: &impl Learner,
        n: usize,
        stream: (u64, u64),
    ) -> Result<String, Error> {
        let sample = |prompt: &[usize], how| t.sample(prompt, n, how, stream);
        self.writing.write(t.device(), self.vocabulary, sample)
    }

    /// Trains to the end; `false` if it was stopped before.
    pub(crate) fn run(
        &self,
        t: &mut impl Learner,
        is_new: bool,
    ) -> Result<bool, Error> {
        if is_new {
            self.save(t)?; // shows at once whether it can be written
        }
        let (total, tokens, seed) = t.extent();
        let (mut saved, mut saved_at) = (t.state().step, Instant::now());
        let mut progress = Written::new(saved, total, tokens);
        let end = t.learn(self.text, |t, event| {
            let step = t.state().step;
            match event {
                Event::Step { loss, norm } => progress.step(loss, norm),
                Event::Report(report) => {
                    let glimpse = self.write(t, GLIMPSE, (seed, step));
                    let glimpse = glimpse.unwrap_or_default();
                    progress.report(report, &glimpse);
                }
            }
            if saved_at.elapsed() > SAVE_EVERY && saved != step {
                self.save(t)?;
                (saved, saved_at) = (step, Instant::now());
            }
            let last = self.stop_after_step.is_some_and(|n| step >= n);
            Ok(match last || self.stop.load(Relaxed) {
                true => Break(()),
                false => Continue(()),
            })
        });
        progress.clear();
        let end = end.and_then(|end| self.save(t).map(|()| end));
        let (folder, go_on) = (self.folder, &self.go_on);
        let end = end.map_err(|e| folder.ended_by(e, saved, go_on))?;
        if end.is_break() {
            go_on.say_stopped(t.state().step, total);
        }
        Ok(end.is_continue())
    }

    /// What a run leaves behind beside its weights: pictures, a last sample,
    /// metrics, and a summary.
    pub(crate) fn finish<'d, D: Device, M, S: Serialize, C: Serialize>(
        &self,
        t: &trainer::Trainer<'d, D, M, S, Report>,
        outcome: Outcome<C>,
    ) -> Result<(), Error>
    where
        M: Model<Tensor = D::Tensor>,
        trainer::Trainer<'d, D, M, S, Report>: Learner,
    {
        let Outcome {
            parameters,
            pairs,
            loss,
            seconds,
            ..
        } = outcome;
        draw_losses(self.folder, t, (pairs, "pairs of characters"))?;
        draw_norms(self.folder, t)?;
        let (_, _, seed) = t.extent();
        let stream = (seed, LAST_SAMPLE);
        let sample = self.write(t, self.writing.sample, stream)?;
        let state = &t.state;
        self.folder.finish(&json!({
            "task": self.task,
            "device": outcome.device,
            "data": {
                "source": outcome.source,
                "vocabulary": self.vocabulary,
                "train": self.text.train.len(),
                "validation": self.text.validation.len(),
            },
            "model": { "config": outcome.config, "parameters": parameters },
            "settings": t.settings,
            "losses": state.losses,
            "norms": state.norms,
            "groups": t.groups(),
            "reports": state.reports,
            "validation": { "loss": loss, "bigram": pairs, "alpha": ALPHA },
            "sample": sample,
            "seconds": seconds,
        }))?;
        say(format_args!("{}\n", sample.trim_start_matches('\n')));
        say(format_args!(
            "Validation loss {loss:.3} nats for each character (pairs of \
             characters: {pairs:.3}); {parameters} parameters, {} steps, \
             {seconds:.1} s",
            state.step,
        ));
        say_files(self.folder, "weights.safetensors", state.step);
        Ok(())
    }
}

/// What has come out of a run whose weights are saved.
pub(crate) struct Outcome<'a, C> {
    pub(crate) device: &'a str,
    pub(crate) source: &'a str,
    pub(crate) config: C,
    pub(crate) parameters: usize,
    /// The loss of the bigram model.
    pub(crate) pairs: f64,
    pub(crate) loss: f64,
    pub(crate) seconds: f64,
}

// ---- pictures -----------------------------------------------------------

/// Points that a curve is drawn with: means of equally many steps.
const POINTS: usize = 200;

fn means(values: &[f64]) -> Vec<[f64; 2]> {
    let size = values.len().div_ceil(POINTS).max(1);
    let chunks = values.chunks(size).enumerate();
    chunks
        .map(|(i, chunk)| {
            let middle = (i * size) as f64 + (chunk.len() + 1) as f64 / 2.;
            [middle, chunk.iter().sum::<f64>() / chunk.len() as f64]
        })
        .collect()
}

/// The losses of the steps and those on the validation text, with a line at
/// what the `baseline` makes of it.
pub(crate) fn draw_losses<D: Device, M: Model<Tensor = D::Tensor>, S>(
    folder: &Folder,
    t: &trainer::Trainer<D, M, S, Report>,
    (baseline, label): (f64, &str),
) -> Result<(), Error> {
    let reports = &t.state.reports;
    let point = |r: &Report| [r.step as f64, r.validation];
    let validation: Vec<_> = reports.iter().map(point).collect();
    let axis = Axis::linear("loss in nats for each character");
    let chart = Chart::new(Axis::linear("step"), axis)
        .line("training", &means(&t.state.losses))
        .marked_line("validation", &validation)
        .rule(baseline, label);
    let text = format!(
        "Loss over {} steps: on the validation text it begins at {:.3} and \
         ends at {:.3}; {label} {baseline:.3}.",
        t.state.step,
        validation.first().map_or(f64::NAN, |p| p[1]),
        validation.last().map_or(f64::NAN, |p| p[1]),
    );
    let title = "Learning curve";
    folder.picture("learning-curve", title, &text, &chart.picture())
}

/// Columns that a heat map has room for.
const COLUMNS: usize = 12;

/// The norm of the gradient, layer by layer, at the reports; nothing for a
/// run without a step.
pub(crate) fn draw_norms<D: Device, M: Model<Tensor = D::Tensor>, S>(
    folder: &Folder,
    t: &trainer::Trainer<D, M, S, Report>,
) -> Result<(), Error> {
    let layers = t.groups().len();
    let reports = t.state.reports.iter().filter(|r| r.norms.len() == layers);
    let reports: Vec<&Report> = reports.collect();
    let every = reports.len().div_ceil(COLUMNS).max(1);
    // counted from the end, so that the last one is there
    let mut shown: Vec<_> = reports.iter().rev().step_by(every).collect();
    shown.reverse();
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
        return Ok(()); // a run without a step has no gradient
    };
    let names: Vec<&str> = t
        .groups()
        .iter()
        .map(|g| g.strip_prefix("transformer.").unwrap_or(g))
        .collect();
    let of_group = |g: usize| shown.iter().map(|r| r.norms[g]).collect();
    let values: Vec<Vec<f64>> = (0..names.len()).map(of_group).collect();
    let steps: Vec<String> = shown.iter().map(|r| r.step.to_string()).collect();
    let map = HeatMap::new(&values)
        .rows("layer", &names)
        .columns("step", &steps);
    let largest = |r: &Report| {
        let all = r.norms.iter().zip(&names);
        let most = all.max_by(|a, b| a.0.total_cmp(b.0));
        most.map_or(String::new(), |(n, name)| format!("{name} with {n:.2}"))
    };
    let text = format!(
        "The norm of each layer's gradient. The largest in step {} is that of \
         {}, in step {} that of {}.",
        first.step,
        largest(first),
        last.step,
        largest(last),
    );
    let title = "Gradient norms";
    folder.picture("gradient-norms", title, &text, &map.picture())
}
