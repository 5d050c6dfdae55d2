//! The folder of a run: what may be written where.

use crate::progress::say;
use crate::{Error, Out};
use backprop::training::files::{STATE, write_aside};
use std::path::{Path, PathBuf};

/// The folder of a run.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

const METRICS: &str = "metrics.json";
const CHECKPOINT: &str = "checkpoint";

impl Folder {
    /// A folder for a new run. Refuses one that holds anything unless forced;
    /// nothing in it is touched before that is clear.
    pub(crate) fn create(
        out: &Out,
        task: &'static str,
        default: String,
    ) -> Result<Folder, Error> {
        let dir = out
            .out
            .clone()
            .unwrap_or_else(|| Path::new("runs").join(default));
        let folder = Folder(dir.clone());
        if !out.force {
            if folder.file(METRICS).exists() {
                return Err(Error::Finished(dir));
            }
            if folder.checkpoint().join(STATE).exists() {
                return Err(Error::Interrupted { task, dir });
            }
            let mut entries = std::fs::read_dir(&dir).into_iter().flatten();
            if entries.next().is_some() {
                return Err(Error::Foreign(dir));
            }
        }
        make(&dir)?;
        // A finished run that is written over is no longer finished.
        let old = folder.file(METRICS);
        if old.exists() {
            std::fs::remove_file(&old).map_err(|source| {
                backprop::training::Error::Write { path: old, source }
            })?;
        }
        Ok(folder)
    }

    /// The folder of a run to go on with.
    pub(crate) fn open(dir: &Path) -> Result<Folder, Error> {
        let folder = Folder(dir.to_owned());
        if !folder.checkpoint().join(STATE).exists() {
            return Err(Error::NoCheckpoint(dir.to_owned()));
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.0.join(CHECKPOINT)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What `e` means for a run whose last checkpoint is that of `step`.
    pub(crate) fn ended_by(
        &self,
        e: backprop::training::Error,
        step: u64,
    ) -> Error {
        match e {
            source @ backprop::training::Error::NonFinite { .. } => {
                let dir = self.0.clone();
                Error::Diverged { source, step, dir }
            }
            e => e.into(),
        }
    }

    /// Says how a run that was stopped, and saved, goes on.
    pub(crate) fn say_stopped(&self, task: &str, step: u64, total: u64) {
        let dir = self.0.display();
        say(format_args!(
            "Stopped after step {step} of {total}; saved. Go on with: cargo \
             train {task} --resume {dir}"
        ));
    }

    /// Writes the metrics: last of all files, they mark a finished run.
    pub(crate) fn finish(
        &self,
        metrics: &serde_json::Value,
    ) -> Result<(), Error> {
        let mut json =
            serde_json::to_vec_pretty(metrics).expect("metrics are plain data");
        json.push(b'\n');
        Ok(write_aside(&self.file(METRICS), &json)?)
    }

    /// Writes a picture that viewers open by itself.
    pub(crate) fn picture(
        &self,
        name: &str,
        title: &str,
        description: &str,
        picture: &figures::kit::Picture,
    ) -> Result<(), Error> {
        let svg = picture.inline(name, title, description);
        let svg = figures::kit::standalone(&svg);
        let path = self.file(&format!("{name}.svg"));
        Ok(write_aside(&path, svg.as_bytes())?)
    }
}

fn make(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(|source| {
        backprop::training::Error::Write {
            path: dir.to_owned(),
            source,
        }
        .into()
    })
}
