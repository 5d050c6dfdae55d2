//! The folder of a run: what may be written where.

use crate::progress::say;
use crate::{Error, Out};
use backprop::training::files::{STATE, write_aside};
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of a run.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

const METRICS: &str = "metrics.json";
const CHECKPOINT: &str = "checkpoint";

/// Whether `file` can be written at the end of a run: an error now is better
/// than one after an hour.
pub(crate) fn probe(file: Option<&Path>, force: bool) -> Result<(), Error> {
    let Some(file) = file else {
        return Ok(());
    };
    if file.exists() && !force {
        return Err(Error::Exists(file.to_owned()));
    }
    let mut aside = file.as_os_str().to_owned();
    aside.push(".probe");
    let tried = match file.is_dir() {
        true => Err(ErrorKind::IsADirectory.into()),
        false => std::fs::File::create_new(&aside)
            .and_then(|_| std::fs::remove_file(&aside)),
    };
    tried.map_err(|source| {
        let path = file.to_owned();
        backprop::training::Error::Write { path, source }.into()
    })
}

impl Folder {
    /// A folder for a new run, which also writes `file`. Refuses one that
    /// holds anything unless forced; nothing in it is touched before that is
    /// clear.
    fn create(
        out: &Out,
        default: String,
        file: Option<&Path>,
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
                let task = folder.task();
                return Err(Error::Interrupted { task, dir });
            }
            let mut entries = std::fs::read_dir(&dir).into_iter().flatten();
            if entries.next().is_some() {
                return Err(Error::Foreign(dir));
            }
        }
        folder.probe(file, out.force)?;
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

    /// The folder of a run that is resumed, or of a [new](Folder::create) one.
    pub(crate) fn of(
        resumed: Option<Folder>,
        out: &Out,
        default: String,
        file: Option<&Path>,
    ) -> Result<Folder, Error> {
        match resumed {
            Some(folder) => folder.probe(file, out.force).map(|()| folder),
            None => Folder::create(out, default, file),
        }
    }

    /// What the run in the folder learns, as its checkpoint says.
    fn task(&self) -> String {
        let state = std::fs::read(self.checkpoint().join(STATE));
        let state = state.ok().and_then(|s| serde_json::from_slice(&s).ok());
        let state: serde_json::Value = state.unwrap_or_default();
        state["task"]
            .as_str()
            .unwrap_or("TASK")
            .escape_debug()
            .to_string()
    }

    /// [`probe`] of a file that may lie in the folder, which will be there.
    fn probe(&self, file: Option<&Path>, force: bool) -> Result<(), Error> {
        let own = file.is_some_and(|f| f.parent() == Some(&self.0));
        match own && !self.0.exists() {
            true => Ok(()),
            false => probe(file, force),
        }
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
        go_on: &GoOn,
    ) -> Error {
        use backprop::training::Error::{Device, Diverged, NonFinite};
        match e {
            source @ (NonFinite { .. } | Diverged { .. }) => Error::Diverged {
                source: Box::new(source),
                step,
                dir: self.0.clone(),
                go_on: go_on.0.clone(),
            },
            Device(source) => Error::Stopped {
                source,
                step,
                dir: self.0.clone(),
                go_on: go_on.0.clone(),
            },
            e => e.into(),
        }
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

/// The command that goes on with a run, as a shell takes it.
#[derive(Debug)]
pub(crate) struct GoOn(String);

impl GoOn {
    pub(crate) fn new(task: &str, folder: &Folder) -> GoOn {
        let command = GoOn(format!("cargo train {task}"));
        command.with("--resume", Some(folder.path().display()))
    }

    /// The same with an option, if it was given.
    pub(crate) fn with(
        mut self,
        option: &str,
        value: Option<impl Display>,
    ) -> GoOn {
        if let Some(value) = value {
            self.0 += &format!(" {option} {}", quoted(&value.to_string()));
        }
        self
    }

    pub(crate) fn with_path(
        self,
        option: &str,
        path: Option<&PathBuf>,
    ) -> GoOn {
        self.with(option, path.map(|p| p.display()))
    }

    /// The same with `--force`.
    pub(crate) fn forced(mut self, force: bool) -> GoOn {
        if force {
            self.0 += " --force";
        }
        self
    }

    /// Says how a run that was stopped, and saved, goes on.
    pub(crate) fn say_stopped(&self, step: u64, total: u64) {
        say(format_args!(
            "Stopped after step {step} of {total}; saved. Go on with: {}",
            self.0
        ));
    }
}

/// One word for a shell: as it is if nothing in it means anything else.
fn quoted(word: &str) -> String {
    let own = if cfg!(windows) { "\\" } else { "" };
    let plain = |c: char| {
        c.is_alphanumeric() || "-_./:,=+@".contains(c) || own.contains(c)
    };
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    match cfg!(windows) {
        true => format!("\"{word}\""),
        false => format!("'{}'", word.replace('\'', r"'\''")),
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_goes_on() {
        let folder = Folder("runs/my run".into());
        let data = PathBuf::from("o'clock.txt");
        let command = GoOn::new("gpt", &folder)
            .with_path("--data", Some(&data))
            .with_path("--save", None)
            .with("--top-k", Some(3))
            .with("--prompt", Some(""))
            .forced(true);
        let want = r"cargo train gpt --resume 'runs/my run' --data \
                     'o'\''clock.txt' --top-k 3 --prompt '' --force";
        assert_eq!(command.0, want.replace(" \\\n                     ", " "));
    }
}
