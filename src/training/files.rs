//! Weights and checkpoints on disk.
//!
//! Weights are safetensors under PyTorch's names, linear weights as
//! `(out,in)`: `load_file` of PyTorch's safetensors reads them into a
//! `state_dict`. A checkpoint is a folder:
//!
//! - `state.json`: settings, where the run stands, and the name and
//!   fingerprint of
//! - `step-00000123.safetensors`: the weights and, under `velocity.…`, what
//!   the optimiser remembers.
//!
//! Every file is written aside and renamed. `state.json` comes last and names
//! its partner, so whatever interrupts a save, the folder holds one whole
//! checkpoint: the new one or the old one. Reading checks everything before
//! anything is changed: nothing is loaded by halves.

use super::Error;
use super::trainer::{Settings, State, Trainer};
use crate::device::{Device, Params, Precision};
use ndarray::ArrayD;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// FNV-1a, 64 bits: tells a damaged file from a whole one. No protection
/// against forgery.
pub(super) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Writes `bytes` to a file next to `path`, then renames it: whoever reads
/// `path` sees the old content or the new one, whole.
pub fn write_aside(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".tmp");
    let aside = PathBuf::from(aside);
    let write = || {
        use std::io::Write;
        let mut file = std::fs::File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|source| {
        // Leave no half file behind; the error to report is the first one.
        let _ = std::fs::remove_file(&aside);
        Error::Write {
            path: path.to_owned(),
            source,
        }
    })
}

// ---- tensors ------------------------------------------------------------

/// Named arrays, as they lie on disk.
pub type Tensors = BTreeMap<String, ArrayD<f64>>;

/// The parameters of a model under their names on disk, each with `prefix`.
pub fn to_tensors<D: Device>(
    dev: &D,
    params: &impl Params<Tensor = D::Tensor>,
    prefix: &str,
) -> Tensors {
    let named = params.names().into_iter().zip(params.tensors());
    named
        .map(|(name, t)| {
            let a = dev.read(t);
            let a = if name.transposed {
                a.reversed_axes()
            } else {
                a
            };
            (format!("{prefix}{}", name.name), a)
        })
        .collect()
}

/// The bytes of a safetensors file. `PRECISION` says how numbers are stored.
fn to_bytes(
    tensors: &Tensors,
    precision: Precision,
    metadata: &[(&str, &str)],
) -> Vec<u8> {
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::F64 => Dtype::F64,
    };
    let data: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, a)| {
            // in row-major order, whatever the order in memory
            let bytes = match precision {
                Precision::F32 => {
                    a.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect()
                }
                Precision::F64 => {
                    a.iter().flat_map(|x| x.to_le_bytes()).collect()
                }
            };
            (name.as_str(), a.shape().to_vec(), bytes)
        })
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(dtype, shape.clone(), bytes);
        (*name, view.expect("as many bytes as the shape says"))
    });
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    safetensors::serialize(views, Some(metadata))
        .expect("arrays of a model fit a file")
}

/// Reads a safetensors file of 32- or 64-bit floats that are all finite.
pub fn read_tensors(path: &Path) -> Result<Tensors, Error> {
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    parse_tensors(path, &bytes)
}

/// [`read_tensors`] on bytes that are in memory; `path` is for the errors.
pub fn parse_tensors(path: &Path, bytes: &[u8]) -> Result<Tensors, Error> {
    let wrong = |what: String| Error::file(path, what, DAMAGED);
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| wrong(format!("not a whole safetensors file ({e})")))?;
    let read = |(name, view): (&str, TensorView)| {
        let data = view.data();
        let numbers: Vec<f64> = match view.dtype() {
            Dtype::F32 => {
                let (words, _) = data.as_chunks::<4>();
                words
                    .iter()
                    .map(|b| f32::from_le_bytes(*b).into())
                    .collect()
            }
            Dtype::F64 => {
                let (words, _) = data.as_chunks::<8>();
                words.iter().map(|b| f64::from_le_bytes(*b)).collect()
            }
            other => {
                return Err(wrong(format!(
                    "tensor {name} holds {other:?}, not F32 or F64"
                )));
            }
        };
        if let Some(i) = numbers.iter().position(|x| !x.is_finite()) {
            let x = numbers[i];
            return Err(wrong(format!("tensor {name}: entry {i} is {x}")));
        }
        let array = ArrayD::from_shape_vec(view.shape(), numbers)
            .map_err(|e| wrong(format!("tensor {name}: {e}")))?;
        Ok((name.to_string(), array))
    };
    file.iter().map(read).collect()
}

const DAMAGED: &str =
    "The file is damaged or belongs to another program: use another one.";

/// Copies `tensors` over the parameters. Names and shapes must be those of the
/// model, no more and no less; otherwise nothing is changed. `path` is for the
/// errors.
pub fn load_tensors<D: Device>(
    path: &Path,
    mut tensors: Tensors,
    dev: &D,
    params: &mut impl Params<Tensor = D::Tensor>,
) -> Result<(), Error> {
    let wrong = |what| Error::file(path, what, OTHER_MODEL);
    let mut ordered = Vec::new();
    for (name, t) in params.names().into_iter().zip(params.tensors()) {
        let want: Vec<usize> = if name.transposed {
            dev.shape(t).iter().rev().copied().collect()
        } else {
            dev.shape(t).to_vec()
        };
        let name_ = &name.name;
        let a = tensors
            .remove(name_)
            .ok_or_else(|| wrong(format!("tensor {name_} is missing")))?;
        if a.shape() != want {
            let have = a.shape();
            return Err(wrong(format!(
                "tensor {name_} has shape {have:?}, the model needs {want:?}"
            )));
        }
        ordered.push(if name.transposed {
            a.reversed_axes()
        } else {
            a
        });
    }
    if let Some(name) = tensors.keys().next() {
        return Err(wrong(format!("tensor {name} is not one of the model")));
    }
    for (t, a) in params.tensors_mut().zip(&ordered) {
        dev.write(t, a.view());
    }
    Ok(())
}

const OTHER_MODEL: &str = "The file holds another model: use one with the \
                           same layers, or leave it out.";

/// Saves the weights of a model as safetensors.
pub fn save_weights<D: Device>(
    path: &Path,
    dev: &D,
    params: &impl Params<Tensor = D::Tensor>,
) -> Result<(), Error> {
    let tensors = to_tensors(dev, params, "");
    write_aside(path, &to_bytes(&tensors, D::PRECISION, &[("format", "pt")]))
}

/// Loads weights that [`save_weights`] or PyTorch has written.
pub fn load_weights<D: Device>(
    path: &Path,
    dev: &D,
    params: &mut impl Params<Tensor = D::Tensor>,
) -> Result<(), Error> {
    load_tensors(path, read_tensors(path)?, dev, params)
}

// ---- checkpoints --------------------------------------------------------

/// What `state.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Version of this format.
    pub format: u32,
    /// What the run learns, like `digits`: for whoever resumes it.
    pub task: String,
    /// Fingerprint of the training data, as 16 hexadecimal digits.
    pub data: String,
    /// Inputs and classes.
    pub ends: [usize; 2],
    /// The settings.
    pub settings: Settings,
    /// Where the run stands.
    pub state: State,
    /// The file of the tensors, in the same folder.
    pub tensors: String,
    /// FNV-1a of that file, as 16 hexadecimal digits.
    pub fingerprint: String,
}

const FORMAT: u32 = 1;
const VELOCITY: &str = "velocity.";
/// The file of a checkpoint folder that is read first and written last.
pub const STATE: &str = "state.json";

/// Saves a checkpoint into the folder `dir`, which is made if need be, in
/// place of the one that is there. `task` and `data`, a
/// [fingerprint](super::data::Dataset::fingerprint), are for whoever resumes.
///
/// An error, and the old checkpoint stays, if a parameter is not finite.
pub fn save_checkpoint<D: Device>(
    dir: &Path,
    trainer: &Trainer<D>,
    task: &str,
    data: u64,
) -> Result<(), Error> {
    if let Some(tensor) = trainer.first_bad_parameter() {
        let (step, loss) = (trainer.state.step, f64::NAN);
        return Err(Error::NonFinite { step, loss, tensor });
    }
    std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
    let dev = trainer.device();
    let mut tensors = to_tensors(dev, &trainer.model, "");
    tensors.extend(to_tensors(dev, &trainer.velocity, VELOCITY));
    let bytes = to_bytes(&tensors, D::PRECISION, &[("format", "pt")]);
    let name = format!("step-{:08}.safetensors", trainer.state.step);
    let sizes = trainer.model.sizes(dev);
    let checkpoint = Checkpoint {
        format: FORMAT,
        task: task.to_owned(),
        data: format!("{data:016x}"),
        ends: [sizes[0], sizes[sizes.len() - 1]],
        settings: trainer.settings.clone(),
        state: trainer.state.clone(),
        fingerprint: format!("{:016x}", fnv1a(bytes.iter().copied())),
        tensors: name.clone(),
    };
    write_aside(&dir.join(&name), &bytes)?;
    let json = serde_json::to_vec_pretty(&checkpoint)
        .expect("settings and figures are plain data");
    write_aside(&dir.join(STATE), &json)?;
    // The tensors of older checkpoints are no longer named by anything. That
    // one of them cannot be removed is no reason to fail.
    if let Ok(entries) = std::fs::read_dir(dir) {
        for entry in entries.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            if file != name
                && file.starts_with("step-")
                && file.ends_with(".safetensors")
            {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}

/// Reads the `state.json` of a checkpoint folder.
pub fn read_checkpoint(dir: &Path) -> Result<Checkpoint, Error> {
    let path = dir.join(STATE);
    let bytes = std::fs::read(&path).map_err(Error::read(&path))?;
    parse_checkpoint(&path, &bytes)
}

/// [`read_checkpoint`] on bytes that are in memory; `path` is for the errors.
pub fn parse_checkpoint(
    path: &Path,
    bytes: &[u8],
) -> Result<Checkpoint, Error> {
    let wrong = |what: String| Error::file(path, what, NO_CHECKPOINT);
    let c: Checkpoint = serde_json::from_slice(bytes)
        .map_err(|e| wrong(format!("not the state of a run ({e})")))?;
    if c.format != FORMAT {
        return Err(wrong(format!("format {}, not {FORMAT}", c.format)));
    }
    if Path::new(&c.tensors).file_name() != Some(c.tensors.as_ref()) {
        return Err(wrong(format!("{:?} is not a file name", c.tensors)));
    }
    let layers = c.settings.hidden.iter().chain(&c.ends);
    if layers.clone().any(|n| *n == 0 || *n > 1 << 20) {
        return Err(wrong("a layer without a usable size".into()));
    }
    c.settings.check()?;
    Ok(c)
}

const NO_CHECKPOINT: &str = "The file is damaged or from another version: \
                             resume another run, or start afresh.";

/// Restores a trainer from the folder that `checkpoint` was read from.
pub fn restore<'d, D: Device>(
    dir: &Path,
    checkpoint: &Checkpoint,
    dev: &'d D,
) -> Result<Trainer<'d, D>, Error> {
    let path = dir.join(&checkpoint.tensors);
    let bytes = std::fs::read(&path).map_err(Error::read(&path))?;
    if format!("{:016x}", fnv1a(bytes.iter().copied()))
        != checkpoint.fingerprint
    {
        return Err(Error::file(
            &path,
            "not the bytes that were saved".into(),
            NO_CHECKPOINT,
        ));
    }
    let mut weights = parse_tensors(&path, &bytes)?;
    check_sizes(&path, checkpoint, &weights)?;
    let mut velocity = Tensors::new();
    for name in weights.keys().cloned().collect::<Vec<_>>() {
        if let Some(rest) = name.strip_prefix(VELOCITY) {
            let a = weights.remove(&name).expect("a name of the map");
            velocity.insert(rest.to_owned(), a);
        }
    }
    let [inputs, classes] = checkpoint.ends;
    let settings = checkpoint.settings.clone();
    let mut trainer = Trainer::new(dev, settings, inputs, classes)?;
    load_tensors(&path, weights, dev, &mut trainer.model)?;
    load_tensors(&path, velocity, dev, &mut trainer.velocity)?;
    trainer.state = checkpoint.state.clone();
    Ok(trainer)
}

/// Compares the number of parameters before a model of that size is made.
fn check_sizes(
    path: &Path,
    checkpoint: &Checkpoint,
    tensors: &Tensors,
) -> Result<(), Error> {
    let [inputs, classes] = checkpoint.ends;
    let mut total: usize = 0;
    let mut fan_in = inputs;
    for &width in checkpoint.settings.hidden.iter().chain([&classes]) {
        total = total.saturating_add((fan_in + 1).saturating_mul(width));
        fan_in = width;
    }
    let have: usize = tensors.values().map(|a| a.len()).sum();
    if have == total.saturating_mul(2) {
        return Ok(());
    }
    let what = format!("{have} numbers for {total} weights and velocities");
    Err(Error::file(path, what, OTHER_MODEL))
}
