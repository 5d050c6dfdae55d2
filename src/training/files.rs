//! Weights and checkpoints on disk.
//!
//! Weights are safetensors under PyTorch's names, linear weights as
//! `(out,in)`: `load_file` of PyTorch's safetensors reads them into a
//! `state_dict`. A checkpoint is a folder:
//!
//! - `state.json`: settings, where the run stands, and the name and
//!   fingerprint of
//! - `step-00000123.safetensors`: the weights and what the optimiser
//!   remembers, `velocity.…` of SGD, `m.…` and `v.…` of AdamW.
//!
//! Every file is [written aside](write_aside) and renamed. `state.json` comes
//! last and names
//! its partner, so whatever interrupts a save, the folder holds one whole
//! checkpoint: the new one or the old one. Reading checks everything before
//! anything is changed: nothing is loaded by halves.

pub use super::aside::{probe, write_aside};

use super::error::shown;
use super::foreign::{other_format, other_names};
use super::{Error, alive};
use crate::device::{Device, ParamName, Params, Precision};
use ndarray::ArrayD;
use safetensors::tensor::{Dtype, TensorInfo, TensorView};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};

/// FNV-1a, 64 bits: tells a damaged file from a whole one. No protection
/// against forgery.
pub(super) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

// ---- tensors ------------------------------------------------------------

/// Named arrays, as they lie on disk.
pub type Tensors = BTreeMap<String, ArrayD<f64>>;

/// The parameters of a model under their names on disk.
pub fn to_tensors<D: Device>(
    dev: &D,
    params: &impl Params<Tensor = D::Tensor>,
) -> Tensors {
    let named = params.names().into_iter().zip(params.tensors());
    named_to_tensors(dev, named)
}

/// [`to_tensors`] for some of a model's parameters.
pub(super) fn named_to_tensors<'t, D: Device<Tensor: 't>>(
    dev: &D,
    named: impl Iterator<Item = (ParamName, &'t D::Tensor)>,
) -> Tensors {
    let named: Vec<_> = named.collect();
    for (_, t) in &named {
        dev.prefetch(t);
    }
    named
        .into_iter()
        .map(|(name, t)| {
            let a = dev.read(t);
            let a = if name.transposed {
                a.reversed_axes()
            } else {
                a
            };
            (name.name, a)
        })
        .collect()
}

/// The bytes of a safetensors file. `PRECISION` says how numbers are stored.
///
/// One entry of metadata, because the order of several would be random.
fn to_bytes(
    tensors: &Tensors,
    precision: Precision,
    metadata: (&str, &str),
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
    let (key, value) = metadata;
    let metadata = HashMap::from([(key.to_string(), value.to_string())]);
    safetensors::serialize(views, Some(metadata))
        .expect("arrays of a model fit a file")
}

/// Reads a safetensors file of floats that are all finite.
pub fn read_tensors(path: &Path) -> Result<Tensors, Error> {
    parse_tensors(path, &read_file(path)?)
}

/// The bytes of a file; an error if it is a device or a pipe, which may have no
/// end.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let about = std::fs::metadata(path).map_err(Error::read(path))?;
    if !about.is_file() {
        let what = "this is no ordinary file".into();
        return Err(Error::file(path, what, "Give the path of a file."));
    }
    std::fs::read(path).map_err(Error::read(path))
}

/// The bytes of a text without the mark at its start that tells UTF-8. An error
/// if the mark is that of UTF-16.
pub(super) fn without_mark<'b>(
    path: &Path,
    bytes: &'b [u8],
) -> Result<&'b [u8], Error> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let what = "this is UTF-16, as the mark at its start says".into();
        return Err(Error::file(path, what, "Save the text as UTF-8."));
    }
    Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// [`read_tensors`] on bytes that are in memory; `path` is for the errors.
///
/// A file is eight bytes for the length of its header, the header, in JSON,
/// and the numbers. Floats of 16 bits are widened, which is exact; other types
/// are refused. Every claim of the header is checked before a number is read,
/// and no memory is taken that the length of the file does not account for.
pub fn parse_tensors(path: &Path, bytes: &[u8]) -> Result<Tensors, Error> {
    let (header, data) = parse_header(path, bytes)?;
    check_layout(path, &header, data.len())?;
    let read = |(name, info): (String, TensorInfo)| {
        let (start, end) = info.data_offsets;
        let wrong =
            |what, remedy| Err(Error::tensor(path, &name, what, remedy));
        let Some(numbers) = floats(info.dtype, &data[start..end]) else {
            let what = format!("holds {}, not floats", info.dtype);
            return wrong(what, OTHER_TYPE);
        };
        if let Some(i) = numbers.iter().position(|x| !x.is_finite()) {
            let what = format!("is {} at entry {i}", numbers[i]);
            return wrong(what, DIVERGED);
        }
        match ArrayD::from_shape_vec(info.shape, numbers) {
            Ok(array) => Ok((name, array)),
            Err(e) => wrong(format!("has no usable shape ({e})"), DAMAGED),
        }
    };
    header.tensors.into_iter().map(read).collect()
}

pub(super) const DAMAGED: &str =
    "The file is damaged or belongs to another program: use another one.";
const OTHER_TYPE: &str =
    "Write the file with floats, in PyTorch `model.float().state_dict()`.";
const DIVERGED: &str = "The run that wrote it diverged, or the file is \
                        damaged: use an earlier one.";

/// The header and, behind it, the bytes of the numbers.
fn parse_header<'b>(
    path: &Path,
    bytes: &'b [u8],
) -> Result<(Header, &'b [u8]), Error> {
    let wrong = |what: String| match other_format(bytes) {
        Some((what, remedy)) => Error::file(path, what.into(), remedy),
        None => {
            let what = format!("not a whole safetensors file ({what})");
            Error::file(path, what, DAMAGED)
        }
    };
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or_else(|| wrong("it ends before its header".into()))?;
    let length = u64::from_le_bytes(*length);
    let parts = usize::try_from(length).ok();
    let (header, data) = parts
        .and_then(|n| rest.split_at_checked(n))
        .ok_or_else(|| {
            let rest = rest.len();
            wrong(format!("a header of {length} bytes where {rest} are left"))
        })?;
    let header = std::str::from_utf8(header)
        .map_err(|e| wrong(format!("its header: {e}")))?;
    let header = serde_json::from_str(header)
        .map_err(|e| wrong(format!("its header: {e}")))?;
    Ok((header, data))
}

/// What the header says about each tensor, and what else.
struct Header {
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
}

/// By hand, because a map that is read from JSON keeps the last of two entries
/// of the same name and says nothing.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Header, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut Formatter) -> std::fmt::Result {
                f.write_str("a map from names to tensors")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Header, A::Error> {
                let wrong = |name: &str, what: &dyn Display| {
                    let name = shown(name);
                    A::Error::custom(format!("tensor {name}: {what}"))
                };
                let mut tensors = BTreeMap::new();
                let mut metadata: Option<HashMap<String, String>> = None;
                while let Some(name) = map.next_key::<String>()? {
                    let twice = if name == "__metadata__" {
                        let first = metadata.replace(map.next_value()?);
                        first.is_some()
                    } else {
                        let info: TensorInfo =
                            map.next_value().map_err(|e| wrong(&name, &e))?;
                        tensors.insert(name.clone(), info).is_some()
                    };
                    if twice {
                        return Err(wrong(&name, &"there are two of it"));
                    }
                }
                let metadata = metadata.unwrap_or_default();
                Ok(Header { tensors, metadata })
            }
        }
        from.deserialize_map(Entries)
    }
}

/// Checks that the tensors lie one behind the other, without a gap, from the
/// first byte of `data` to the last, and that each has as many bytes as its
/// shape and type say.
fn check_layout(
    path: &Path,
    header: &Header,
    bytes: usize,
) -> Result<(), Error> {
    let mut order: Vec<(&String, &TensorInfo)> =
        header.tensors.iter().collect();
    order.sort_by_key(|(_, info)| info.data_offsets);
    let mut next = 0;
    for (name, info) in order {
        let wrong = |what| Err(Error::tensor(path, name, what, DAMAGED));
        let ((start, end), axes) = (info.data_offsets, info.shape.len());
        if axes > MOST_AXES {
            return wrong(format!("has {axes} axes, not up to {MOST_AXES}"));
        }
        if start != next || end < start || end > bytes {
            return wrong(format!(
                "lies at bytes {start} to {end}, not from {next} on within \
                 the {bytes} that there are"
            ));
        }
        let product = info
            .shape
            .iter()
            .try_fold(1, |n: usize, extent| n.checked_mul(*extent));
        let bits = product.and_then(|n| n.checked_mul(info.dtype.bitsize()));
        if bits != (end - start).checked_mul(8) {
            return wrong(format!(
                "has shape {:?} of {} and {} bytes, which does not fit",
                info.shape,
                info.dtype,
                end - start
            ));
        }
        next = end;
    }
    if next == bytes {
        return Ok(());
    }
    let what = format!("{} bytes belong to no tensor", bytes - next);
    Err(Error::file(path, what, DAMAGED))
}

/// No tensor of a [`Device`] has more.
const MOST_AXES: usize = 4;

/// The numbers that `bytes` hold, row-major, little-endian; `None` if `dtype`
/// is not a float of 16, 32 or 64 bits.
fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F16 => numbers(bytes, |b| half(u16::from_le_bytes(b))),
        Dtype::BF16 => numbers(bytes, |b| {
            // the upper half of a 32-bit float
            let bits = u32::from(u16::from_le_bytes(b)) << 16;
            f32::from_bits(bits).into()
        }),
        Dtype::F32 => numbers(bytes, |b| f32::from_le_bytes(b).into()),
        Dtype::F64 => numbers(bytes, f64::from_le_bytes),
        _ => return None,
    })
}

fn numbers<const N: usize>(
    bytes: &[u8],
    number: impl Fn([u8; N]) -> f64,
) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|b| number(*b)).collect()
}

/// A float of 16 bits: sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff) / 1024.;
    let size = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2f64.powi(-14), // denormal: no leading 1
        31 if fraction == 0. => f64::INFINITY,
        31 => f64::NAN,
        e => (1. + fraction) * 2f64.powi(e - 15),
    };
    if bits >> 15 == 0 { size } else { -size }
}

/// One entry of the metadata of a safetensors file, if it is there.
pub(super) fn metadata(
    path: &Path,
    bytes: &[u8],
    key: &str,
) -> Result<Option<String>, Error> {
    let (header, _) = parse_header(path, bytes)?;
    Ok(header.metadata.get(key).cloned())
}

/// Copies `tensors` over the parameters. Names and shapes must be those of the
/// model, no more and no less, a name that is [tied](Params::tied) aside, and
/// the numbers must fit the device; otherwise nothing is changed. `path` is for
/// the errors.
pub fn load_tensors<D: Device>(
    path: &Path,
    mut tensors: Tensors,
    dev: &D,
    params: &mut impl Params<Tensor = D::Tensor>,
) -> Result<(), Error> {
    for (other, name) in params.tied() {
        let Some(a) = tensors.remove(*other) else {
            continue;
        };
        // Whoever stores one of the two may choose which.
        if *tensors.entry((*name).into()).or_insert_with(|| a.clone()) != a {
            let what =
                format!("is not equal to {name}, which it is in the model");
            return Err(Error::tensor(path, other, what, OTHER_MODEL));
        }
    }
    let named = params.names().into_iter().zip(params.tensors_mut());
    load_named(path, tensors, dev, named.collect())
}

/// [`load_tensors`] for some of a model's parameters, none of them tied.
pub(super) fn load_named<D: Device>(
    path: &Path,
    mut tensors: Tensors,
    dev: &D,
    named: Vec<(ParamName, &mut D::Tensor)>,
) -> Result<(), Error> {
    let wrong = |name: &str, what: String| {
        Err(Error::tensor(path, name, what, OTHER_MODEL))
    };
    let names = named.iter().map(|(name, _)| &name.name[..]).collect();
    if let Some((what, remedy)) = other_names(&names, &tensors) {
        return Err(Error::file(path, what, &remedy));
    }
    let mut ordered = Vec::new();
    for (name, t) in named {
        let want: Vec<usize> = if name.transposed {
            dev.shape(t).iter().rev().copied().collect()
        } else {
            dev.shape(t).to_vec()
        };
        let Some(a) = tensors.remove(&name.name) else {
            return wrong(&name.name, "is missing".into());
        };
        if a.shape() != want {
            let have = a.shape();
            return wrong(
                &name.name,
                format!("has shape {have:?}, the model needs {want:?}"),
            );
        }
        let fits = |x: &f64| match D::PRECISION {
            Precision::F32 => (*x as f32).is_finite(),
            Precision::F64 => x.is_finite(),
        };
        if let Some(x) = a.iter().find(|x| !fits(x)) {
            let what = format!("holds {x:e}, which no number here can be");
            return Err(Error::tensor(path, &name.name, what, DIVERGED));
        }
        let a = if name.transposed {
            a.reversed_axes()
        } else {
            a
        };
        ordered.push((t, a));
    }
    if let Some(name) = tensors.keys().next() {
        return wrong(name, "is not one of the model".into());
    }
    for (t, a) in ordered {
        dev.write(t, a.view());
    }
    Ok(())
}

pub(super) const OTHER_MODEL: &str = "The file holds another model: use one with the \
                           same layers, or leave it out.";

/// Saves the weights of a model as safetensors.
pub fn save_weights<D: Device>(
    path: &Path,
    dev: &D,
    params: &impl Params<Tensor = D::Tensor>,
) -> Result<(), Error> {
    let tensors = to_tensors(dev, params);
    save_tensors(path, dev, &tensors, ("format", "pt"))
}

/// Saves tensors that were read from `dev` as safetensors, with one entry of
/// metadata. An error, and nothing is written, if the device has failed.
pub(super) fn save_tensors<D: Device>(
    path: &Path,
    dev: &D,
    tensors: &Tensors,
    metadata: (&str, &str),
) -> Result<(), Error> {
    alive(dev)?;
    write_aside(path, &to_bytes(tensors, D::PRECISION, metadata))
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

/// What `state.json` holds. `R` is what the trainer needs beside the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint<R> {
    /// Version of this format.
    pub format: u32,
    /// What the run learns, like `digits`: for whoever resumes it.
    pub task: String,
    /// Fingerprint of the training data, as 16 hexadecimal digits.
    pub data: String,
    /// Settings, and where the run stands.
    pub run: R,
    /// The file of the tensors, in the same folder.
    pub tensors: String,
    /// FNV-1a of that file, as 16 hexadecimal digits.
    pub fingerprint: String,
}

const FORMAT: u32 = 2;
/// The file of a checkpoint folder that is read first and written last.
pub const STATE: &str = "state.json";

/// An error if what was read from `dev` after `step` makes no checkpoint: the
/// device has failed, or a number is not finite.
pub(super) fn check_to_save<D: Device>(
    dev: &D,
    step: u64,
    tensors: &Tensors,
) -> Result<(), Error> {
    alive(dev)?;
    let bad = |a: &ArrayD<f64>| a.iter().any(|x| !x.is_finite());
    match tensors.iter().find(|(_, a)| bad(a)) {
        Some((name, _)) => Err(Error::bad_parameter(step, name)),
        None => Ok(()),
    }
}

/// Writes a checkpoint into the folder `dir`, which is made if need be, in
/// place of the one that is there.
pub(super) fn write_checkpoint<R: Serialize>(
    dir: &Path,
    (task, data): (&str, u64),
    (step, run): (u64, R),
    (tensors, precision): (&Tensors, Precision),
) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
    let bytes = to_bytes(tensors, precision, ("format", "pt"));
    let name = format!("step-{step:08}.safetensors");
    let checkpoint = Checkpoint {
        format: FORMAT,
        task: task.to_owned(),
        data: format!("{data:016x}"),
        run,
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
            let file = entry.file_name();
            if file != *name
                && file.to_str().is_some_and(is_of_step)
                && entry.file_type().is_ok_and(|t| t.is_file())
            {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}

/// Whether a file of this name is one of a checkpoint's tensors, or half of
/// one, as they were called once.
fn is_of_step(name: &str) -> bool {
    let step = name.strip_suffix(".tmp").unwrap_or(name);
    let step = step.strip_prefix("step-");
    let step = step.and_then(|step| step.strip_suffix(".safetensors"));
    step.is_some_and(|s| s.len() >= 8 && s.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads the `state.json` of a checkpoint folder. An error if it is not one of
/// a run of `task`.
pub fn read_checkpoint<R: DeserializeOwned>(
    dir: &Path,
    task: &str,
) -> Result<Checkpoint<R>, Error> {
    let path = dir.join(STATE);
    let bytes = read_file(&path)?;
    parse_checkpoint(&path, &bytes, task)
}

/// [`read_checkpoint`] on bytes that are in memory; `path` is for the errors.
pub fn parse_checkpoint<R: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    task: &str,
) -> Result<Checkpoint<R>, Error> {
    let bytes = without_mark(path, bytes)?;
    let wrong = |what: String| Error::file(path, what, NO_CHECKPOINT);
    let unread = |e| wrong(format!("not the state of a run ({e})"));
    // What another task keeps in `run` cannot be read as this one's.
    let c: Checkpoint<serde_json::Value> =
        serde_json::from_slice(bytes).map_err(unread)?;
    if c.format != FORMAT {
        return Err(wrong(format!("format {}, not {FORMAT}", c.format)));
    }
    if c.task != task {
        return Err(Error::Task {
            path: path.to_owned(),
            task: shown(&c.task),
            asked: task.to_owned(),
        });
    }
    if Path::new(&c.tensors).file_name() != Some(c.tensors.as_ref()) {
        return Err(wrong(format!("{:?} is not a file name", c.tensors)));
    }
    Ok(Checkpoint {
        format: c.format,
        task: c.task,
        data: c.data,
        run: serde_json::from_value(c.run).map_err(unread)?,
        tensors: c.tensors,
        fingerprint: c.fingerprint,
    })
}

pub(super) const NO_CHECKPOINT: &str = "The file is damaged or from another \
                                        version: resume another run, or start \
                                        afresh.";

impl<R> Checkpoint<R> {
    /// Whether the run was on the data with this fingerprint.
    pub fn is_on(&self, data: u64) -> bool {
        self.data == format!("{data:016x}")
    }

    /// The tensors, and their file, from the folder that the checkpoint was
    /// read from.
    pub fn tensors(&self, dir: &Path) -> Result<(PathBuf, Tensors), Error> {
        let path = dir.join(&self.tensors);
        let bytes = read_file(&path)?;
        if format!("{:016x}", fnv1a(bytes.iter().copied())) != self.fingerprint
        {
            let what = "not the bytes that were saved".into();
            return Err(Error::file(&path, what, NO_CHECKPOINT));
        }
        let tensors = parse_tensors(&path, &bytes)?;
        Ok((path, tensors))
    }
}

/// Compares how many numbers there are of a model with how many it has, before
/// one of that size is made. `of_model` tells its tensors by their names.
pub(super) fn check_numbers(
    path: &Path,
    want: usize,
    tensors: &Tensors,
    of_model: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let of_model = tensors.iter().filter(|(name, _)| of_model(name));
    let have: usize = of_model.map(|(_, a)| a.len()).sum();
    if have == want {
        return Ok(());
    }
    let what = format!("{have} numbers for {want} weights");
    Err(Error::file(path, what, OTHER_MODEL))
}
