use crate::device::Fault;
use std::path::{Path, PathBuf};

/// What can go wrong outside the code: files, data, and runs that diverge.
///
/// Every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}. Check the path and its permissions.", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}. Choose another folder or name, or free this one.", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A row of a data file is wrong.
    #[error("{}, line {line}: {what}. {remedy}", .path.display())]
    Row {
        /// The data file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A character that the model does not know.
    #[error(
        "{place}, line {line}, column {column}: {character:?} is not one of \
         the characters of the model, \"{known}\". Replace it."
    )]
    Character {
        /// Where the text is from: a file, or the prompt.
        place: String,
        /// The line, from 1.
        line: usize,
        /// The character within the line, from 1.
        column: usize,
        /// The character.
        character: char,
        /// Those that the model knows, the first hundred.
        known: String,
    },
    /// A token that is not a place in the vocabulary.
    #[error("token {token} of a vocabulary of {vocabulary} characters")]
    Token {
        /// The token, from 0.
        token: usize,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// A data set cannot be used as asked.
    #[error("{0}")]
    Data(String),
    /// A weights or checkpoint file is damaged or belongs to something else.
    #[error("{}: {what}. {remedy}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A checkpoint is one of another task.
    #[error(
        "{}: this run learns {task}, not {asked}. Resume it as what it is.",
        .path.display()
    )]
    Task {
        /// The file.
        path: PathBuf,
        /// What the run learns, with what a terminal would obey escaped.
        task: String,
        /// What was asked for.
        asked: String,
    },
    /// A tensor of a weights or checkpoint file cannot be used.
    #[error("{}: tensor {tensor} {what}. {remedy}", .path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The name of the tensor, with what a terminal would obey escaped.
        tensor: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A setting is out of its range.
    #[error("{setting}: {what}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The loss, or the norm of its gradient, is infinite or not a number.
    #[error(
        "step {step}: the {what} is {value}; the first tensor that is not \
         finite is {tensor}. Nothing was changed in this step. Try a lower \
         learning rate, or look at the data"
    )]
    NonFinite {
        /// The step, from 1, that was not taken.
        step: u64,
        /// Loss or norm.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The first tensor of the step that is not finite, and the op that
        /// returned it.
        tensor: String,
    },
    /// The steps that were taken have led to a model of no use.
    #[error(
        "after step {step}: {what}. Try a lower learning rate, or look at the \
         data"
    )]
    Diverged {
        /// The steps that were taken.
        step: u64,
        /// What is not finite.
        what: String,
    },
    /// The device does not go on, so what is read from it is worth nothing.
    #[error(transparent)]
    Device(#[from] Fault),
}

impl Error {
    pub(super) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        |source| Error::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        |source| Error::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn tensor(
        path: &Path,
        tensor: &str,
        what: String,
        remedy: &'static str,
    ) -> Error {
        Error::Tensor {
            path: path.to_owned(),
            tensor: shown(tensor),
            what: clause(&what),
            remedy,
        }
    }

    /// A model that is not saved.
    pub(super) fn bad_parameter(step: u64, name: &str) -> Error {
        let what = format!("parameter {name} is not finite; nothing was saved");
        Error::Diverged { step, what }
    }

    pub(super) fn file(path: &Path, what: String, remedy: &str) -> Error {
        Error::File {
            path: path.to_owned(),
            what: clause(&what),
            remedy: remedy.to_owned(),
        }
    }
}

/// A name out of a file, fit for a terminal.
pub(super) fn shown(name: &str) -> String {
    plain(name, 100)
}

/// What is wrong with a file, the part of a message before its full stop.
fn clause(what: &str) -> String {
    plain(what.trim_end_matches('.'), MOST)
}

/// The most characters of it.
const MOST: usize = 1000;

/// Text that may have come out of a file: what a terminal would obey is
/// escaped, and it is not endless.
fn plain(text: &str, most: usize) -> String {
    let mut plain = escaped(text.chars().take(most), |_| false);
    if text.chars().nth(most).is_some() {
        plain.push('…');
    }
    plain
}

/// Characters with the control characters among them escaped, but for those
/// that `stay`.
pub(super) fn escaped(
    text: impl Iterator<Item = char>,
    stay: impl Fn(char) -> bool,
) -> String {
    let mut plain = String::new();
    for c in text {
        match c.is_control() && !stay(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}
