//! `cargo train rnn`: a recurrent network of characters.

use crate::folder::{Folder, GoOn};
use crate::language::{
    self, ALPHA, Learner, Outcome, STEPS, Session, Steps, Watched, Writing,
    plays_or, rise_and_floor,
};
use crate::{Error, On, Out, at_least_one};
use backprop::device::Device;
use backprop::recurrent::bptt::model::Config;
use backprop::training::language::rnn::{
    Settings, Trainer, load_into, sample, save_rnn,
};
use backprop::training::language::{Event, Learned, Sampling, State};
use backprop::training::text::{Text, Vocabulary, bigram_loss};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `cargo train rnn`.
#[derive(Clone, Debug, Args)]
#[command(after_help = usual())]
pub struct Rnn {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    steps: Steps,
    #[command(flatten)]
    writing: Writing,
    /// Another text (UTF-8) instead of Shakespeare's plays.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Start from these weights (safetensors, PyTorch's names) instead of
    /// random ones.
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// Write the weights here as well.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    /// Go on with an interrupted run; its settings are those of the folder,
    /// but for --lr if it is given.
    #[arg(long, value_name = "DIR", conflicts_with_all = STEPS,
        conflicts_with_all = MODEL,
        conflicts_with_all = ["seed", "load", "out"])]
    resume: Option<PathBuf>,
    /// Break off after this step, as Ctrl-C would: for tests.
    #[arg(long, hide = true, value_name = "N")]
    stop_after_step: Option<u64>,
}

/// What kind of model.
#[derive(Clone, Debug, Default, Args)]
struct Model {
    /// Numbers for each token.
    #[arg(long, value_parser = at_least_one)]
    width: Option<usize>,
    /// Hidden units.
    #[arg(long, value_parser = at_least_one)]
    hidden: Option<usize>,
    /// Characters that a gradient goes back through; the state goes on.
    #[arg(long, value_parser = at_least_one)]
    context: Option<usize>,
}

const MODEL: [&str; 3] = ["width", "hidden", "context"];

const TASK: &str = "rnn";

/// With the 65 characters of the plays as many parameters as `cargo train gpt`
/// has, to 200 of 800,000.
fn defaults(vocab: usize) -> Settings {
    Settings::new(Config {
        vocab,
        width: 64,
        hidden: 830,
    })
}

impl Rnn {
    fn settings(&self, vocab: usize) -> Settings {
        let (d, m, s) = (defaults(vocab), &self.model, &self.steps);
        let steps = s.steps.unwrap_or(d.steps);
        Settings {
            model: Config {
                vocab,
                width: m.width.unwrap_or(d.model.width),
                hidden: m.hidden.unwrap_or(d.model.hidden),
            },
            context: m.context.unwrap_or(d.context),
            seed: s.seed.unwrap_or(d.seed),
            steps,
            batch: s.batch.unwrap_or(d.batch),
            lr: s.lr.unwrap_or(d.lr),
            schedule: s.schedule(steps, d.schedule),
            beta1: s.beta1.unwrap_or(d.beta1),
            beta2: s.beta2.unwrap_or(d.beta2),
            decay: s.decay.unwrap_or(d.decay),
            clip: s.clip.unwrap_or(d.clip),
            smoothing: s.smoothing.unwrap_or(d.smoothing),
            report_every: s.report_every(steps),
            report_windows: d.report_windows,
        }
    }
}

/// What holds unless told otherwise, for the help.
fn usual() -> String {
    let s = defaults(1);
    let (warmup, floor) = rise_and_floor(s.schedule);
    format!(
        "Unless told: --width {} --hidden {} --context {} --batch {} --steps \
         {} --lr {} --warmup {warmup} --floor {floor} --beta1 {} --beta2 {} \
         --decay {} --clip {}",
        s.model.width,
        s.model.hidden,
        s.context,
        s.batch,
        s.steps,
        s.lr,
        s.beta1,
        s.beta2,
        s.decay,
        s.clip,
    )
}

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
        (s.steps, s.batch as u64 * s.context as u64, s.seed)
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

/// Trains, or goes on training.
pub fn rnn<D: Device>(options: &Rnn, on: &On<D>) -> Result<(), Error> {
    let clock = Instant::now();
    let (all, source) = plays_or(options.data.as_deref())?;
    let dev = on.dev;
    let (resumed, mut trainer, vocabulary, text) = match &options.resume {
        Some(dir) => {
            let text = (&all[..], &source[..]);
            let (folder, trainer, text, run) =
                language::resume(dir, TASK, text, |at, checkpoint| {
                    let mut t = Trainer::restore(dev, at, checkpoint)?;
                    t.settings.lr = options.steps.lr.unwrap_or(t.settings.lr);
                    t.settings.check()?;
                    Ok(t)
                })?;
            (Some(folder), trainer, run.vocabulary, text)
        }
        None => {
            let vocabulary = Vocabulary::of(&all);
            let text = Text::new(&all, &vocabulary, &source)?;
            let settings = options.settings(vocabulary.len());
            settings.check()?;
            text.check(settings.context)?;
            let mut trainer = Trainer::new(dev, settings)?;
            if let Some(file) = &options.load {
                load_into(file, dev, &mut trainer.model, &vocabulary)?;
            }
            (None, trainer, vocabulary, text)
        }
    };
    options.writing.tokens(&vocabulary)?;
    let v = vocabulary.len();
    let pairs = bigram_loss(&text.train, &text.validation, v, ALPHA);
    // Nothing is written before all input is known to be good.
    let is_new = resumed.is_none();
    let default = format!("{TASK}-seed{}", trainer.settings.seed);
    let save = options.save.as_deref();
    let folder = Folder::of(resumed, &options.out, default, save)?;
    let go_on = GoOn::new(TASK, &folder)
        .with("--device", on.option())
        .with_path("--data", options.data.as_ref())
        .with_path("--save", options.save.as_ref())
        .forced(options.save.is_some() && options.out.force);
    let session = Session {
        task: TASK,
        folder: &folder,
        go_on: options.writing.go_on(go_on),
        text: &text,
        vocabulary: &vocabulary,
        learned: None,
        writing: &options.writing,
        stop: on.stop,
        stop_after_step: options.stop_after_step,
    };
    if !session.run(&mut trainer, is_new)? {
        return Ok(());
    }
    let loss = trainer.evaluate(&text.validation, usize::MAX)?;
    let seconds = clock.elapsed().as_secs_f64();
    let mut files = vec![folder.file("weights.safetensors")];
    files.extend(options.save.clone());
    for file in &files {
        save_rnn(file, dev, &trainer.model, &vocabulary)?;
    }
    let outcome = Outcome {
        device: &on.name,
        source: &source,
        config: trainer.settings.model,
        parameters: trainer.settings.model.parameters(),
        pairs,
        loss,
        seconds,
    };
    session.finish(&trainer, outcome)
}
