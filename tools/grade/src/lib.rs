//! The grader: compiles each exercise on its own, runs each task in a process
//! of its own, and collects verdicts.
//!
//! - [`workspace`]: where the exercises are, and which build they belong to.
//! - `command`: what can be typed after `cargo grade`.
//! - [`compile`]: cargo builds the exercises' test targets; an error costs
//!   the exercise it is in. The usual slips get a line of help.
//! - [`group`]: a process and all that it starts, ended together.
//! - [`process`]: one task, one process, with limits on time, memory, output.
//! - [`safety`]: answers are written in safe Rust and keep nothing.
//! - [`text`]: what the learner's text may do to a terminal.
//! - [`run`]: all of it, and the result.
//! - [`kept`]: what is kept of it for the pages of the book.
//! - [`all`]: the test target behind `cargo test -p exercises`.
//!
//! A task passes only if its process hands back the verdict "passed" under a
//! seal, made with a nonce that it was given before any of the learner's code ran. Printed text
//! and exit codes count for nothing. That makes grading fair, not safe: code
//! of strangers belongs into a container.

pub mod all;
#[cfg(feature = "cli")]
pub mod command;
pub mod compile;
pub mod group;
pub mod kept;
pub mod process;
pub mod run;
pub mod safety;
mod slips;
pub mod text;
pub mod workspace;

use std::path::PathBuf;

/// Why nothing could be graded at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exercises are nowhere at or above this directory.
    #[error(
        "no exercises here: {0} is not inside the book's repository; \
         change into it first"
    )]
    NoWorkspace(PathBuf),
    /// Cargo could not be started, or broke off without saying which target.
    #[error("cargo could not build the exercises:\n{0}")]
    Cargo(String),
    /// A crate below the exercises has an error.
    #[error(
        "the crates that the exercises use do not compile; undo the last \
         change outside of exercises/src:\n{0}"
    )]
    Library(String),
    /// A file of the grader's own could not be read or written.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file could not be written aside, or put in its place.
    #[error(transparent)]
    Write(#[from] backprop::training::Error),
}

impl Error {
    /// For `map_err` of a file operation.
    pub fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
