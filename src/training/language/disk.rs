//! Models and checkpoints on disk.
//!
//! A file of weights says in its metadata, under `gpt`, what model they are
//! of and which characters it knows; a `state_dict` that PyTorch has written
//! does not, and is taken for the model that the caller has in mind.

use super::super::Error;
use super::super::files::{self, Checkpoint};
use super::super::text::{Text, Vocabulary};
use super::super::trainer;
use super::settings::check_adapters;
use super::{Report, Settings, State, Trainer};
use crate::device::{Device, Model, ParamName, Params};
use crate::transformer::gpt::model::{Config, Gpt};
use crate::transformer::lora;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// What the metadata of a file of weights say.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    model: Config,
    vocabulary: Vocabulary,
    #[serde(default)]
    learned: Option<Learned>,
}

/// The text that a model has learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Its name, or that of its file.
    pub name: String,
    /// Its [fingerprint](Text::fingerprint), 16 hexadecimal digits.
    fingerprint: String,
}

impl Learned {
    /// `text`, which is called `name`.
    pub fn new(name: &str, text: &Text) -> Learned {
        Learned {
            name: name.to_owned(),
            fingerprint: format!("{:016x}", text.fingerprint()),
        }
    }

    /// Whether it is this text, in tokens of the same vocabulary.
    pub fn is(&self, text: &Text) -> bool {
        self.fingerprint == format!("{:016x}", text.fingerprint())
    }
}

const ABOUT: &str = "gpt";

impl About {
    /// `None` for a file by somebody else.
    fn read(path: &Path, bytes: &[u8]) -> Result<Option<About>, Error> {
        let Some(json) = files::metadata(path, bytes, ABOUT)? else {
            return Ok(None);
        };
        let wrong = |what: String| Error::file(path, what, files::DAMAGED);
        let about: About = serde_json::from_str(&json)
            .map_err(|e| wrong(format!("metadata {ABOUT}: {e}")))?;
        // the least that the model can be run with
        let settings = Settings {
            batch: 1,
            checkpoint: 1,
            ..Settings::new(about.model)
        };
        settings.check().map_err(|e| wrong(e.to_string()))?;
        let (tokens, characters) = (about.model.vocab, about.vocabulary.len());
        if tokens != characters {
            return Err(wrong(format!(
                "a model of {tokens} tokens and {characters} characters"
            )));
        }
        Ok(Some(about))
    }
}

/// Saves a model with what is needed to use it, and the text that it has
/// learned, if it has.
///
/// Panics if the model has adapters: merge them first, or save them with
/// [`save_adapters`].
#[track_caller]
pub fn save_gpt<D: Device>(
    path: &Path,
    dev: &D,
    model: &Gpt<D::Tensor>,
    vocabulary: &Vocabulary,
    learned: Option<&Learned>,
) -> Result<(), Error> {
    assert!(!model.has_adapters(), "save_gpt: the model has adapters");
    let about = About {
        model: model.config,
        vocabulary: vocabulary.clone(),
        learned: learned.cloned(),
    };
    let about = serde_json::to_string(&about).expect("plain data");
    let tensors = files::to_tensors(dev, model);
    files::save_tensors(path, dev, &tensors, (ABOUT, &about))
}

/// A model, its characters, and what it has learned.
pub type Loaded<T> = (Gpt<T>, Vocabulary, Option<Learned>);

/// The model of a file that [`save_gpt`] has written, its characters, and what
/// it has learned.
pub fn load_gpt<D: Device>(
    path: &Path,
    dev: &D,
) -> Result<Loaded<D::Tensor>, Error> {
    let bytes = files::read_file(path)?;
    let tensors = files::parse_tensors(path, &bytes)?;
    let Some(about) = About::read(path, &bytes)? else {
        return Err(Error::file(
            path,
            "the file does not say what model it holds".into(),
            "Use one that `cargo train gpt` has written.",
        ));
    };
    let want = about.model.parameters();
    files::check_numbers(path, want, &tensors, |_| true)?;
    let mut model = Gpt::new(dev, about.model, 0);
    files::load_tensors(path, tensors, dev, &mut model)?;
    Ok((model, about.vocabulary, about.learned))
}

/// Loads weights that [`save_gpt`] or PyTorch has written into a model that
/// knows the characters `vocabulary`.
///
/// An error, and nothing is changed, if a tensor is missing, has another
/// shape, or is not of the model, and if the file says that it holds another
/// model or knows other characters.
pub fn load_into<D: Device>(
    path: &Path,
    dev: &D,
    model: &mut Gpt<D::Tensor>,
    vocabulary: &Vocabulary,
) -> Result<(), Error> {
    let bytes = files::read_file(path)?;
    let tensors = files::parse_tensors(path, &bytes)?;
    if let Some(about) = About::read(path, &bytes)? {
        let wrong = |what| Error::file(path, what, files::OTHER_MODEL);
        if about.vocabulary != *vocabulary {
            return Err(wrong(format!(
                "its characters are {:?}, those of the text {:?}",
                about.vocabulary.to_string(),
                vocabulary.to_string()
            )));
        }
        // Sizes that a tensor shows are better told by its name.
        let heads = |c: &Config| (c.block.heads, c.block.positions);
        let kinds = |c: &Config| (c.block.norm, c.block.activation);
        let (have, want) = (&about.model, &model.config);
        let same = heads(have) == heads(want) && kinds(have) == kinds(want);
        if !same {
            return Err(wrong(format!(
                "it holds {:?}, asked for is {:?}",
                have.block, want.block
            )));
        }
    }
    files::load_tensors(path, tensors, dev, model)
}

/// What a file of adapters says of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutAdapters {
    adapters: lora::model::Config,
    /// The [fingerprint](fingerprint_of_base) of what they are for.
    base: String,
}

/// Sixteen hexadecimal digits that tell bases apart: FNV-1a over the weights
/// that are no adapters, in `f32`.
fn fingerprint_of_base<D: Device>(dev: &D, model: &Gpt<D::Tensor>) -> String {
    let named = model.names().into_iter().zip(model.tensors());
    let base = named.filter(|(name, _)| of_base(&name.name));
    let weights = base.flat_map(|(_, t)| dev.read(t));
    let bytes = weights.flat_map(|w| (w as f32).to_bits().to_le_bytes());
    format!("{:016x}", files::fnv1a(bytes))
}

/// Saves the adapters alone, under the names that the PEFT library gives
/// them: `base_model.model.` and the name of the layer. Their settings stand in
/// the metadata, under `lora`, with a fingerprint of the weights that they are
/// for; beside the file, in `adapter_config.json`, stands what PEFT asks for.
/// If the file is called `adapter_model.safetensors`, PEFT reads its folder.
pub fn save_adapters<D: Device>(
    path: &Path,
    dev: &D,
    model: &Gpt<D::Tensor>,
    config: &lora::model::Config,
) -> Result<(), Error> {
    let named = of_adapters(model.names()).zip(model.tensors());
    let named = named.filter_map(|(name, t)| Some((name?, t)));
    let tensors = files::named_to_tensors(dev, named);
    let about = AboutAdapters {
        adapters: *config,
        base: fingerprint_of_base(dev, model),
    };
    let about = serde_json::to_string(&about).expect("plain data");
    files::save_tensors(path, dev, &tensors, (LORA, &about))?;
    let mut peft = serde_json::to_vec_pretty(&for_peft(model.names(), config))
        .expect("plain data");
    peft.push(b'\n');
    files::write_aside(&path.with_file_name("adapter_config.json"), &peft)
}

/// The settings of adapters as the PEFT library writes them.
fn for_peft(
    names: Vec<ParamName>,
    config: &lora::model::Config,
) -> serde_json::Value {
    // `transformer.h.0.attn.c_attn.lora_A.weight` is on `attn.c_attn`.
    let adapted = names.iter().filter_map(|name| {
        let layer = name.name.strip_suffix(".lora_A.weight")?;
        Some(layer.rsplitn(3, '.').take(2).collect::<Vec<_>>())
    });
    let layers: BTreeSet<_> = adapted.map(|l| [l[1], l[0]].join(".")).collect();
    serde_json::json!({
        "peft_type": "LORA",
        "base_model_name_or_path": null,
        "task_type": null,
        "inference_mode": true,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.,
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": false,
        "use_dora": false,
        "target_modules": layers,
    })
}

/// The names that the PEFT library gives to adapters; `None` for the rest.
fn of_adapters(
    names: Vec<ParamName>,
) -> impl Iterator<Item = Option<ParamName>> {
    names.into_iter().map(|mut name| {
        name.name.insert_str(0, "base_model.model.");
        name.name.contains(".lora_").then_some(name)
    })
}

const LORA: &str = "lora";

/// Puts the adapters that [`save_adapters`] has written on a model; returns
/// their settings.
///
/// An error, and the model stays as it was, if they are of another model: of
/// other sizes, or of other weights, to which they would add noise.
///
/// Panics if the model has adapters already.
#[track_caller]
pub fn load_adapters<D: Device>(
    path: &Path,
    dev: &D,
    model: &mut Gpt<D::Tensor>,
) -> Result<lora::model::Config, Error> {
    let bytes = files::read_file(path)?;
    let tensors = files::parse_tensors(path, &bytes)?;
    let Some(json) = files::metadata(path, &bytes, LORA)? else {
        return Err(Error::file(
            path,
            "the file does not say what adapters it holds".into(),
            "Use one that `cargo train lora` has written.",
        ));
    };
    let wrong = |what: String| Error::file(path, what, files::DAMAGED);
    let AboutAdapters {
        adapters: config,
        base,
    } = serde_json::from_str(&json)
        .map_err(|e| wrong(format!("metadata {LORA}: {e}")))?;
    check_adapters(&config, model.config.block.width)
        .map_err(|e| wrong(e.to_string()))?;
    model.add_adapters(dev, config, 0);
    let named = of_adapters(model.names()).zip(model.tensors_mut());
    let named = named.filter_map(|(name, t)| Some((name?, t))).collect();
    // Sizes that a tensor shows are better told by its name.
    let loaded = files::load_named(path, tensors, dev, named);
    let loaded = loaded.and_then(|()| {
        let own = fingerprint_of_base(dev, model);
        match base == own {
            true => Ok(config),
            false => Err(Error::file(
                path,
                format!("its adapters are for the weights {base}, not {own}"),
                "Name the base that they were trained on.",
            )),
        }
    });
    if loaded.is_err() {
        model.drop_adapters();
    }
    loaded
}

// ---- checkpoints --------------------------------------------------------

/// What a checkpoint holds of a run, beside the tensors. `S` is the type of
/// its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run<S = Settings> {
    /// The characters that the model knows.
    pub vocabulary: Vocabulary,
    /// The settings.
    pub settings: S,
    /// Where the run stands.
    pub state: State,
    /// What the model had learned before.
    #[serde(default)]
    pub learned: Option<Learned>,
}

impl<S> Run<S> {
    /// An error about the folder `dir` if its settings did not pass their
    /// check, or if the model of so many `tokens` knows other characters.
    pub(super) fn check(
        &self,
        dir: &Path,
        checked: Result<(), Error>,
        tokens: usize,
    ) -> Result<(), Error> {
        let wrong = |what| {
            Error::file(&dir.join(files::STATE), what, files::NO_CHECKPOINT)
        };
        checked.map_err(|e| wrong(e.to_string()))?;
        let characters = self.vocabulary.len();
        if tokens != characters {
            return Err(wrong(format!(
                "a model of {tokens} tokens, {characters} characters"
            )));
        }
        Ok(())
    }
}

impl<D, M, S> trainer::Trainer<'_, D, M, S, Report>
where
    D: Device,
    M: Model<Tensor = D::Tensor>,
    S: Clone + Serialize,
{
    /// [Saves](trainer::Trainer::write) a checkpoint of the run, with the
    /// characters that the model knows and what it had learned before.
    pub fn save(
        &self,
        dir: &Path,
        (task, data): (&str, u64),
        vocabulary: &Vocabulary,
        learned: Option<&Learned>,
    ) -> Result<(), Error> {
        let run = Run {
            vocabulary: vocabulary.clone(),
            settings: self.settings.clone(),
            state: self.state.clone(),
            learned: learned.cloned(),
        };
        self.write(dir, (task, data), run)
    }
}

impl<'d, D: Device> Trainer<'d, D> {
    /// The trainer of a checkpoint in the folder that it was read from.
    pub fn restore(
        dev: &'d D,
        dir: &Path,
        checkpoint: &Checkpoint<Run>,
    ) -> Result<Trainer<'d, D>, Error> {
        let run = &checkpoint.run;
        let Run {
            settings, state, ..
        } = run.clone();
        run.check(dir, settings.check(), settings.model.vocab)?;
        let (path, tensors) = checkpoint.tensors(dir)?;
        let want = settings.model.parameters();
        files::check_numbers(&path, want, &tensors, of_base)?;
        let mut trainer = Trainer::new(dev, settings)?;
        trainer.load((&path, tensors), state)?;
        Ok(trainer)
    }
}

/// Whether a tensor of a checkpoint is one of the model without adapters.
fn of_base(name: &str) -> bool {
    name.starts_with("transformer.") && !name.contains(".lora_")
}
