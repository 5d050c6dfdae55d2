//! What mdbook lets pass: every check, and where its findings point.
//!
//! Each check is a function over texts; this module reads the files, calls
//! them all and sorts what they found.

mod code;
mod commands;
mod facts;
mod form;
mod formulas;
pub(crate) mod html;
mod includes;
mod pages;
mod places;
mod reports;
mod rooms;
mod source;
mod symbols;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

pub use commands::Known;
pub use facts::Exam;
pub use source::{Source, files};

use crate::aside::Aside;
use crate::render;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Relative to the root of the repository.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    fn new(
        (file, line): (impl Into<PathBuf>, usize),
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.to_string_lossy().replace('\\', "/");
        write!(f, "{file}:{}: {}", self.line, self.message)
    }
}

/// Where the manuscript lies, relative to the root.
pub const MANUSCRIPT: &str = "book/src";

/// Builds the book of the project at `root` into `out` and returns all that
/// is wrong with it, in the order of files and lines. Generated files are
/// the caller's business: see [`stale`].
///
/// # Errors
/// When the book cannot be built at all or a source cannot be read.
pub fn check(root: &Path, out: &Path, known: &Known) -> Result<Vec<Problem>> {
    let built = render::build(root, Some(out))?;
    let summary = Source::read(root, Path::new("book/src/SUMMARY.md"))?;
    let chapters = source::chapters(root, &summary)?;
    let code = source::with_anchors(root)?;

    let mut found = Vec::new();
    let notation = symbols::Notation::of(&chapters, &formulas::macros(root));
    for chapter in &chapters {
        let lends = |letter| {
            notation
                .as_ref()
                .is_some_and(|n| n.lends(&chapter.path, letter))
        };
        // The page that lists the loans writes them.
        let lists = chapter.path.ends_with("notation.md");
        found.extend(form::check(chapter, lists || lends("\\delta")));
        found.extend(includes::check(root, chapter));
        found.extend(code::check(root, chapter));
        found.extend(commands::check(chapter, known));
        found.extend(places::check(root, chapter));
    }
    found.extend(includes::unused(&chapters, &code));
    found.extend(rooms::check(root, &summary)?);
    found.extend(notation.iter().flat_map(|n| n.check(&chapters)));
    let exams = &known.exercises;
    found.extend(facts::check(&built.out, &summary, &chapters, exams)?);
    let theme = pages::theme(root)?;
    let pages = pages::check(root, &built.out, &chapters)?;
    let elsewhere = pages.found.into_iter().filter(|p| {
        p.file != Path::new("book.toml")
            || !theme.iter().any(|t| t.message == p.message)
    });
    found.extend(elsewhere);
    found.extend(theme);
    // What follows from a fault found already is not told again.
    let reports = reports::check(root, &chapters, &built.reports);
    for symptoms in [reports, pages.left] {
        let told: BTreeSet<_> =
            found.iter().map(|p| (p.file.clone(), p.line)).collect();
        found.extend(
            symptoms
                .into_iter()
                .filter(|p| !told.contains(&(p.file.clone(), p.line))),
        );
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// [`check`], and the generated files of the crate's own chapters.
///
/// # Errors
/// As [`check`]; also when a generated file cannot be read.
pub fn check_project(root: &Path) -> Result<Vec<Problem>> {
    let known = Known::of_project(root)?;
    let aside = Aside::new(root)?;
    // The figures are computed while the pages are built.
    let (found, stale) = thread::scope(|scope| {
        let stale = scope.spawn(|| stale(root, figures::chapters()));
        let found = check(root, aside.pages(), &known);
        (
            found,
            stale.join().expect("a panic is a problem of its file"),
        )
    });
    let mut found = found?;
    found.extend(stale?);
    found.sort();
    Ok(found)
}

/// Generated files of `chapters` that no longer agree with the code.
///
/// # Errors
/// When one cannot be read or computed.
pub fn stale(
    root: &Path,
    chapters: &[&'static figures::Chapter],
) -> Result<Vec<Problem>> {
    let stale = figures::check(root, chapters).context("generated files")?;
    Ok(stale
        .into_iter()
        .map(|p| Problem::new((p.path, p.line.max(1)), p.message))
        .collect())
}
