//! `cargo train gpt`: a small language model of characters.

use crate::folder::{Folder, GoOn};
use crate::language::{
    self, ALPHA, BLOCKS, Blocks, Outcome, STEPS, Session, Steps, Writing,
    plays_or,
};
use crate::{Error, On, Out, at_least_one};
use backprop::device::Device;
use backprop::training::language::{
    Learned, Settings, Trainer, load_into, save_gpt,
};
use backprop::training::text::{Text, Vocabulary, bigram_loss};
use backprop::transformer::gpt::model::{
    Activation, Attention, Config, Normalization, Positions,
};
use clap::Args;
use serde::Serialize;
use serde::de::value::{Error as Unknown, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::path::PathBuf;
use std::time::Instant;

/// Options of `cargo train gpt`.
#[derive(Clone, Debug, Args)]
#[command(after_help = usual())]
pub struct Gpt {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    steps: Steps,
    #[command(flatten)]
    blocks: Blocks,
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
        conflicts_with_all = BLOCKS, conflicts_with_all = MODEL,
        conflicts_with_all = ["seed", "load", "out"])]
    resume: Option<PathBuf>,
    /// Break off after this step, as Ctrl-C would: for tests.
    #[arg(long, hide = true, value_name = "N")]
    stop_after_step: Option<u64>,
}

/// What kind of model.
#[derive(Clone, Debug, Default, Args)]
struct Model {
    /// Blocks.
    #[arg(long, value_parser = at_least_one)]
    layers: Option<usize>,
    /// Heads of attention; they divide the width.
    #[arg(long, value_parser = at_least_one)]
    heads: Option<usize>,
    /// Heads of keys and values; as many as heads unless told.
    #[arg(long, value_name = "HEADS", value_parser = at_least_one)]
    kv_heads: Option<usize>,
    /// Numbers for each token.
    #[arg(long, value_parser = at_least_one)]
    width: Option<usize>,
    /// Hidden units of a block; four times the width unless told.
    #[arg(long, value_parser = at_least_one)]
    hidden: Option<usize>,
    /// Characters that the model sees at once.
    #[arg(long, value_parser = at_least_one)]
    context: Option<usize>,
    /// layer-norm or rms-norm.
    #[arg(long, value_name = "KIND", value_parser = named::<Normalization>)]
    norm: Option<Normalization>,
    /// gelu, gelu-tanh or swiglu.
    #[arg(long, value_name = "KIND", value_parser = named::<Activation>)]
    activation: Option<Activation>,
    /// learned or rope.
    #[arg(long, value_name = "KIND", value_parser = named::<Positions>)]
    positions: Option<Positions>,
    /// tiled, or plain, which takes more memory: the same result to rounding.
    #[arg(long, value_name = "KIND", value_parser = named::<Attention>)]
    attention: Option<Attention>,
}

const MODEL: [&str; 10] = [
    "layers",
    "heads",
    "kv_heads",
    "width",
    "hidden",
    "context",
    "norm",
    "activation",
    "positions",
    "attention",
];

/// A choice by the name that it has in files.
fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let name: StrDeserializer<Unknown> = text.into_deserializer();
    T::deserialize(name).map_err(|e| e.to_string())
}

const TASK: &str = "gpt";

/// The folder that a run without options ends in.
pub(crate) fn folder_of(seed: u64) -> String {
    format!("{TASK}-seed{seed}")
}

impl Model {
    fn config(&self, vocab: usize) -> Config {
        let width = self.width.unwrap_or(128);
        let heads = self.heads.unwrap_or(4);
        let (context, layers) = (self.context, self.layers);
        let (context, layers) = (context.unwrap_or(64), layers.unwrap_or(4));
        let mut c = Config::gpt2(vocab, context, layers, heads, width);
        c.block.keys = self.kv_heads.unwrap_or(heads);
        c.block.hidden = self.hidden.unwrap_or(width.saturating_mul(4));
        c.block.norm = self.norm.unwrap_or(c.block.norm);
        c.block.activation = self.activation.unwrap_or(c.block.activation);
        c.block.positions = self.positions.unwrap_or(Positions::Rope);
        c.block.attention = self.attention.unwrap_or(c.block.attention);
        c
    }
}

fn defaults(model: Config) -> Settings {
    Settings {
        steps: 4000,
        lr: 3e-3,
        ..Settings::new(model)
    }
}

/// What holds unless told otherwise, for the help.
fn usual() -> String {
    let m = Model::default().config(1);
    let (b, norm) = (&m.block, written(m.block.norm));
    let (activation, positions) = (written(b.activation), written(b.positions));
    format!(
        "Unless told: --layers {} --heads {} --width {} --context {} \
         --norm {norm} --activation {activation} --positions {positions} \
         --attention {} {}",
        m.layers,
        b.heads,
        b.width,
        m.context,
        written(b.attention),
        language::usual(&defaults(m)),
    )
}

/// The name that a choice has in files.
fn written(choice: impl Serialize) -> String {
    let name = serde_json::to_value(choice).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// Trains, or goes on training.
pub fn gpt<D: Device>(options: &Gpt, on: &On<D>) -> Result<(), Error> {
    let clock = Instant::now();
    let (all, source) = plays_or(options.data.as_deref())?;
    let (dev, lr) = (on.dev, options.steps.lr);
    let (resumed, mut trainer, vocabulary, text) = match &options.resume {
        Some(dir) => {
            let (folder, trainer, text, run) =
                language::resume_gpt(dir, TASK, (&all, &source), lr, dev)?;
            (Some(folder), trainer, run.vocabulary, text)
        }
        None => {
            let vocabulary = Vocabulary::of(&all);
            let text = Text::new(&all, &vocabulary, &source)?;
            let model = options.model.config(vocabulary.len());
            let settings = defaults(model);
            let settings = options.steps.over(&options.blocks, settings);
            settings.check()?;
            text.check(model.context)?;
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
    let (default, save) = (folder_of(trainer.settings.seed), &options.save);
    let folder = Folder::of(resumed, &options.out, default, save.as_deref())?;
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
    let learned = Learned::new(&source, &text);
    for file in &files {
        save_gpt(file, dev, &trainer.model, &vocabulary, Some(&learned))?;
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
