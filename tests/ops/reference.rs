//! The stored cases, as PyTorch computed them: `tests/reference/ops.py`.

use crate::op::A;
use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One op, called once.
#[derive(Clone, Deserialize)]
pub struct Case {
    pub with: Value,
    #[serde(deserialize_with = "arrays")]
    pub inputs: Vec<A>,
    #[serde(deserialize_with = "array")]
    pub dy: A,
    #[serde(deserialize_with = "array")]
    pub y: A,
    #[serde(deserialize_with = "arrays")]
    pub dx: Vec<A>,
}

/// The cases of a chapter, by the names of their rows.
pub fn cases(part: &str, slug: &str) -> Result<BTreeMap<String, Case>, String> {
    #[derive(Deserialize)]
    struct File {
        cases: BTreeMap<String, Case>,
    }
    let path = folder().join(part).join(slug).with_extension("json");
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let file: File = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    Ok(file.cases)
}

/// Part and slug of every chapter that has cases.
pub fn chapters() -> Vec<[String; 2]> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a readable folder");
        entries.map(|e| e.expect("an entry").path()).collect()
    };
    let is_json = |p: &PathBuf| p.extension().is_some_and(|e| e == "json");
    let name = |p: &Path| {
        p.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let parts = below(&folder()).into_iter().filter(|p| p.is_dir());
    parts
        .flat_map(|part| {
            let files = below(&part).into_iter().filter(is_json);
            files.map(move |file| [name(&part), name(&file)])
        })
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

#[derive(Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Tensor {
    fn array<E: Error>(self) -> Result<A, E> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.data).map_err(E::custom)
    }
}

fn array<'de, D: Deserializer<'de>>(from: D) -> Result<A, D::Error> {
    Tensor::deserialize(from)?.array()
}

fn arrays<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<A>, D::Error> {
    let tensors = Vec::<Tensor>::deserialize(from)?;
    tensors.into_iter().map(Tensor::array).collect()
}
