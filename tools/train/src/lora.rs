//! `cargo train lora`: another book, learned with low-rank adapters.

use crate::folder::{Folder, GoOn, probe};
use crate::gpt;
use crate::language::{
    self, BLOCKS, Blocks, LAST_SAMPLE, STEPS, Session, Steps, Writing,
    draw_losses, draw_norms, say_files, text_of,
};
use crate::progress::say;
use crate::{Error, On, Out, at_least_one};
use backprop::device::Device;
use backprop::training::language::{
    Learned, Settings, Trainer, evaluate, load_adapters, load_gpt, sample,
    save_adapters, save_gpt, without_adapters,
};
use backprop::training::schedule::Schedule;
use backprop::training::text::{Text, Vocabulary, alice, shakespeare};
use backprop::transformer::gpt::model::Gpt;
use backprop::transformer::lora::model::Config;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `cargo train lora`.
#[derive(Clone, Debug, Args)]
#[command(after_help = usual())]
pub struct Lora {
    /// The model to start from: the folder of a run, or a file of weights;
    /// runs/gpt-seed0 unless told.
    #[arg(long, value_name = "PATH")]
    base: Option<PathBuf>,
    /// The text that the base has learned, to see what it forgets;
    /// Shakespeare's plays unless told, if these are it.
    #[arg(long, value_name = "FILE")]
    base_data: Option<PathBuf>,
    /// Another text (UTF-8) instead of Alice's Adventures in Wonderland.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Rank of the adapters.
    #[arg(long, value_parser = at_least_one)]
    rank: Option<usize>,
    /// The adapters count alpha/rank times; twice the rank unless told.
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Layers that get an adapter.
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    on: Vec<Layer>,
    #[command(flatten)]
    steps: Steps,
    #[command(flatten)]
    blocks: Blocks,
    #[command(flatten)]
    writing: Writing,
    /// Train nothing: put the adapters of an earlier run, its folder or its
    /// file, on their base, say how good it is with them, and write a sample.
    #[arg(long, value_name = "PATH", conflicts_with_all = STEPS,
        conflicts_with_all = BLOCKS, conflicts_with_all = [
        "lr", "rank", "alpha", "on", "out", "resume",
    ])]
    adapter: Option<PathBuf>,
    /// Write the weights here, with the adapters merged into them.
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    /// Go on with an interrupted run; its settings are those of the folder,
    /// but for --lr if it is given.
    #[arg(long, value_name = "DIR", conflicts_with_all = STEPS,
        conflicts_with_all = BLOCKS, conflicts_with_all = [
        "seed", "base", "rank", "alpha", "on", "out",
    ])]
    resume: Option<PathBuf>,
    /// Break off after this step, as Ctrl-C would: for tests.
    #[arg(long, hide = true, value_name = "N")]
    stop_after_step: Option<u64>,
}

/// A linear layer of every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layer {
    /// Queries, keys and values.
    Qkv,
    /// Attention's output.
    Out,
    /// The first layer of the second branch.
    Up,
    /// Its second layer.
    Down,
}

const TASK: &str = "lora";
/// What PEFT calls it.
const ADAPTERS: &str = "adapter_model.safetensors";

impl Lora {
    fn adapters(&self) -> Config {
        let mut c = Config::all(self.rank.unwrap_or(RANK));
        c.alpha = self.alpha.unwrap_or(c.alpha);
        if !self.on.is_empty() {
            let on = |layer| self.on.contains(&layer);
            (c.qkv, c.out) = (on(Layer::Qkv), on(Layer::Out));
            (c.up, c.down) = (on(Layer::Up), on(Layer::Down));
        }
        c
    }

    /// The text that the base has learned, if it is known.
    fn text_of_base(
        &self,
        vocabulary: &Vocabulary,
        learned: Option<&Learned>,
        context: usize,
    ) -> Result<Option<Text>, Error> {
        let first = text_of(self.base_data.as_deref(), shakespeare, "base")?;
        match Text::new(&first.0, vocabulary, &first.1) {
            Ok(first)
                if self.base_data.is_some()
                    || learned.is_some_and(|l| l.is(&first)) =>
            {
                first.check(context)?;
                Ok(Some(first))
            }
            Err(e) if self.base_data.is_some() => Err(e.into()),
            _ => Ok(None),
        }
    }
}

const RANK: usize = 8;

fn defaults(
    model: backprop::transformer::gpt::model::Config,
    adapters: Config,
) -> Settings {
    Settings {
        adapters: Some(adapters),
        steps: 500,
        lr: 3e-3,
        decay: 0.,
        schedule: Schedule::WarmupCosine {
            steps: 50,
            floor: 0.1,
        },
        ..Settings::new(model)
    }
}

/// What holds unless told otherwise, for the help.
fn usual() -> String {
    let model = backprop::transformer::gpt::model::Config::gpt2(1, 1, 1, 1, 1);
    format!(
        "Unless told: --rank {RANK}, alpha twice that, --on qkv,out,up,down {}",
        language::usual(&defaults(model, Config::all(RANK))),
    )
}

/// The file of weights that `--base` means.
fn base(path: Option<&Path>) -> Result<PathBuf, Error> {
    let default = || Path::new("runs").join(gpt::folder_of(0));
    let path = path.map_or_else(default, Path::to_owned);
    let file = match path.is_dir() {
        true => path.join("weights.safetensors"),
        false => path,
    };
    match file.exists() {
        true => Ok(file),
        false => Err(Error::NoBase(file)),
    }
}

const ALICE: &str = "Alice's Adventures in Wonderland, public domain";

/// Windows that a text is judged on at once, where nothing is trained.
const PART: usize = 16;

/// Puts adapters that were trained before on their base; trains nothing.
fn adapted<D: Device>(
    options: &Lora,
    file: &Path,
    dev: &D,
) -> Result<(), Error> {
    let (all, source) = text_of(options.data.as_deref(), alice, ALICE)?;
    let base = base(options.base.as_deref())?;
    let (mut model, vocabulary, learned) = load_gpt(&base, dev)?;
    let text = Text::new(&all, &vocabulary, &source)?;
    let context = model.config.context;
    text.check(context)?;
    let first = options.text_of_base(&vocabulary, learned.as_ref(), context)?;
    let writing = &options.writing;
    writing.tokens(&vocabulary)?;
    let merge = options.merge.as_deref();
    probe(merge, options.out.force)?;
    let file = match file.is_dir() {
        true => file.join(ADAPTERS),
        false => file.to_owned(),
    };
    load_adapters(&file, dev, &mut model)?;
    let base = without_adapters(dev, &model);
    let loss = |model: &Gpt<D::Tensor>, text: &Text| {
        evaluate(dev, model, &text.validation, usize::MAX, PART)
    };
    let stream = (options.steps.seed.unwrap_or(0), LAST_SAMPLE);
    for (when, model) in [("before", &base), ("after", &model)] {
        let sample = writing.write(dev, &vocabulary, |prompt, how| {
            sample(dev, model, prompt, writing.sample, how, stream)
        })?;
        let sample = sample.trim_start_matches('\n');
        say(format_args!("---- {when}\n{sample}\n"));
    }
    let texts = [
        ("the new text", Some(&text)),
        ("the text of the base", first.as_ref()),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        say(format_args!(
            "Validation loss on {name} {:.3} without the adapters, {:.3} with \
             them",
            loss(&base, text),
            loss(&model, text)
        ));
    }
    if let Some(file) = merge {
        model.merge(dev);
        let learned = Learned::new(&source, &text);
        save_gpt(file, dev, &model, &vocabulary, Some(&learned))?;
    }
    Ok(())
}

/// Trains, or goes on training; or uses what was trained.
pub fn lora<D: Device>(options: &Lora, on: &On<D>) -> Result<(), Error> {
    if let Some(file) = &options.adapter {
        return adapted(options, file, on.dev);
    }
    let clock = Instant::now();
    let (all, source) = text_of(options.data.as_deref(), alice, ALICE)?;
    let (dev, lr) = (on.dev, options.steps.lr);
    let (resumed, mut trainer, vocabulary, learned, text) =
        match &options.resume {
            Some(dir) => {
                let (folder, trainer, text, run) =
                    language::resume_gpt(dir, TASK, (&all, &source), lr, dev)?;
                (Some(folder), trainer, run.vocabulary, run.learned, text)
            }
            None => {
                let file = base(options.base.as_deref())?;
                let (model, vocabulary, learned) = load_gpt(&file, dev)?;
                let text = Text::new(&all, &vocabulary, &source)?;
                let settings = defaults(model.config, options.adapters());
                let settings = options.steps.over(&options.blocks, settings);
                settings.check()?;
                text.check(model.config.context)?;
                let trainer = Trainer::with_model(dev, settings, model)?;
                (None, trainer, vocabulary, learned, text)
            }
        };
    let Some(adapters) = trainer.settings.adapters else {
        return Err(Error::Mismatch {
            dir: options.resume.clone().unwrap_or_default(),
            what: "this run has no adapters. Start afresh.".into(),
        });
    };
    options.writing.tokens(&vocabulary)?;
    let context = trainer.settings.model.context;
    let first = options.text_of_base(&vocabulary, learned.as_ref(), context)?;
    // Nothing is written before all input is known to be good.
    let is_new = resumed.is_none();
    let default = format!("{TASK}-seed{}", trainer.settings.seed);
    let merge = options.merge.as_deref();
    let folder = Folder::of(resumed, &options.out, default, merge)?;
    let go_on = GoOn::new(TASK, &folder)
        .with("--device", on.option())
        .with_path("--data", options.data.as_ref())
        .with_path("--base-data", options.base_data.as_ref())
        .with_path("--merge", options.merge.as_ref())
        .forced(options.merge.is_some() && options.out.force);
    let session = Session {
        task: TASK,
        folder: &folder,
        go_on: options.writing.go_on(go_on),
        text: &text,
        vocabulary: &vocabulary,
        learned: learned.as_ref(),
        writing: &options.writing,
        stop: on.stop,
        stop_after_step: options.stop_after_step,
    };
    if !session.run(&mut trainer, is_new)? {
        return Ok(());
    }

    let s = &trainer.settings;
    let base = without_adapters(dev, &trainer.model);
    let losses = |tokens: &[usize]| -> Result<[f64; 2], Error> {
        let before = evaluate(dev, &base, tokens, usize::MAX, s.part());
        Ok([before, trainer.evaluate(tokens, usize::MAX)?])
    };
    let second = losses(&text.validation)?;
    let first = first.map(|t| losses(&t.validation)).transpose()?;
    let seconds = clock.elapsed().as_secs_f64();
    let (trained, all) = trainer.model.counts(dev);
    let file = folder.file(ADAPTERS);
    save_adapters(&file, dev, &trainer.model, &adapters)?;
    let bytes = std::fs::metadata(&file).map_or(0, |m| m.len());
    draw_losses(&folder, &trainer, (second[0], "without adapters"))?;
    draw_norms(&folder, &trainer)?;
    let (writing, stream) = (&options.writing, (s.seed, LAST_SAMPLE));
    let write = |model| {
        writing.write(dev, &vocabulary, |prompt, how| {
            sample(dev, model, prompt, writing.sample, how, stream)
        })
    };
    let samples = [write(&base)?, write(&trainer.model)?];
    let (frozen, state) = (all - trained, &trainer.state);
    if let Some(file) = &options.merge {
        trainer.model.merge(dev);
        let learned = Learned::new(&source, &text);
        save_gpt(file, dev, &trainer.model, &vocabulary, Some(&learned))?;
    }
    folder.finish(&json!({
        "task": TASK,
        "device": on.name,
        "data": {
            "source": source,
            "train": text.train.len(),
            "validation": text.validation.len(),
        },
        "parameters": { "trained": trained, "frozen": frozen },
        "adapter_bytes": bytes,
        "settings": s,
        "losses": state.losses,
        "norms": state.norms,
        "groups": trainer.groups(),
        "reports": state.reports,
        "validation": { "before": second[0], "after": second[1] },
        "base_text": first.map(|[before, after]| json!({
            "before": before, "after": after,
        })),
        "samples": { "before": samples[0], "after": samples[1] },
        "seconds": seconds,
    }))?;
    for (when, sample) in ["before", "after"].iter().zip(&samples) {
        say(format_args!(
            "---- {when}\n{}\n",
            sample.trim_start_matches('\n')
        ));
    }
    say(format_args!(
        "{trained} parameters trained ({:.1} % of all), {frozen} frozen; \
         adapter file {bytes} bytes",
        100. * trained as f64 / all as f64
    ));
    let [before, after] = second;
    say(format_args!(
        "Validation loss on the new text {before:.3} before, {after:.3} \
         after; {} steps, {seconds:.1} s",
        state.step
    ));
    if let Some([before, after]) = first {
        say(format_args!(
            "Validation loss on the text of the base {before:.3} before, \
             {after:.3} after"
        ));
    }
    say_files(
        &folder,
        &format!("{ADAPTERS}, adapter_config.json"),
        state.step,
    );
    Ok(())
}
