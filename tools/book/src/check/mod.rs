//! What mdbook lets pass: every check, and where its findings point.
//!
//! Each check is a function over texts; this module reads the files, calls
//! them all and sorts what they found.

mod code;
mod commands;
mod facts;
mod form;
mod formulas;
mod headings;
pub(crate) mod html;
mod includes;
mod links;
mod markdown;
mod names;
mod pages;
mod places;
mod reports;
mod rooms;
mod source;
mod symbols;
mod tags;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use clap::Command;

pub use commands::Known;
pub use facts::Exam;
pub use source::{Source, files};

use links::Numbers;
use markdown::Markdown;
use names::Names;

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

impl std::error::Error for Problem {}

/// Where the manuscript lies, relative to the root.
pub const MANUSCRIPT: &str = "book/src";

/// Builds the book of the project at `root` into `out` and returns all that
/// is wrong with it, in the order of files and lines. Generated files are
/// the caller's business: see [`stale`].
///
/// # Errors
/// When the book cannot be built, and that is no fault of its files.
pub fn check(root: &Path, out: &Path, known: &Known) -> Result<Vec<Problem>> {
    match everything(root, out, known) {
        // A file that cannot be read has a place too.
        Err(error) => error.downcast().map(|problem| vec![problem]),
        found => found,
    }
}

fn everything(root: &Path, out: &Path, known: &Known) -> Result<Vec<Problem>> {
    let summary = Path::new(MANUSCRIPT).join("SUMMARY.md");
    let summary = Source::read(root, &summary)?;
    let missing = source::missing(root, &summary);
    if !missing.is_empty() {
        return Ok(missing);
    }
    let built = match render::build(root, Some(out)) {
        Ok(built) => built,
        Err(error) => {
            let fault = reports::of_build(&summary, &error);
            return fault.map(|f| vec![f]).ok_or(error);
        }
    };
    let chapters = source::chapters(root, &summary)?;
    let code = source::with_anchors(root)?;
    let pages: Vec<Markdown> = chapters.iter().map(Markdown::read).collect();
    let spots: Vec<_> = pages.iter().map(|p| p.spots(root)).collect();

    let mut found = Vec::new();
    for page in &pages {
        // What follows from these on the built page is not told again.
        found.extend(formulas::check(page.source));
        found.extend(tags::check(page));
        found.extend(links::footnotes(page));
        found.extend(code::unfinished(page));
        found.extend(words::entities(page));
    }
    let causes: BTreeSet<_> = found.iter().map(|p| p.file.clone()).collect();
    let mut numbers = Numbers::default();
    for (page, spots) in pages.iter().zip(&spots) {
        numbers.add(page, spots);
    }
    let names = Names::of(root, &known.mistakes)?;
    let order = source::entries(&summary);
    let notation = symbols::Notation::of(&chapters, &formulas::macros(root));
    for page in &pages {
        let chapter = page.source;
        let lends = |letter| {
            notation
                .as_ref()
                .is_some_and(|n| n.lends(&chapter.path, letter))
        };
        // The page that lists the loans writes them.
        let lists = chapter.path.ends_with("notation.md");
        let entry = order
            .iter()
            .find(|e| Path::new(MANUSCRIPT).join(&e.path) == chapter.path);
        found.extend(headings::check(page, entry));
        found.extend(words::check(page, &numbers));
        found.extend(links::check(page, &numbers));
        found.extend(names.check(page));
        found.extend(form::check(chapter, lists || lends("\\delta")));
        found.extend(includes::check(root, chapter));
        found.extend(code::check(root, chapter));
        found.extend(commands::check(page, known));
        found.extend(places::check(root, chapter));
    }
    for name in ["README.md", "CONTRIBUTING.md"] {
        if let Ok(source) = Source::read(root, Path::new(name)) {
            found.extend(commands::check(&Markdown::read(&source), known));
        }
    }
    found.extend(includes::unused(&chapters, &code));
    found.extend(rooms::check(root, &summary)?);
    found.extend(notation.iter().flat_map(|n| n.check(&chapters)));
    let exams = &known.exercises;
    found.extend(facts::check(&built.out, &summary, &chapters, exams)?);
    let theme = pages::theme(root)?;
    let pages = pages::check(root, &built.out, &chapters, &spots)?;
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
        found.extend(symptoms.into_iter().filter(|p| {
            !causes.contains(&p.file)
                && !told.contains(&(p.file.clone(), p.line))
        }));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// [`check`], and the generated files of the crate's own chapters. `book` is
/// what can be typed after `cargo book`.
///
/// # Errors
/// As [`check`]; also when a generated file cannot be read.
pub fn check_project(root: &Path, book: Command) -> Result<Vec<Problem>> {
    let known = Known::of_project(root, book)?;
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
/// When one cannot be computed.
pub fn stale(
    root: &Path,
    chapters: &[&'static figures::Chapter],
) -> Result<Vec<Problem>> {
    use figures::Error;
    let (path, line, why) = match figures::check(root, chapters) {
        Ok(stale) => {
            let found = stale.into_iter();
            return Ok(found
                .map(|p| Problem::new((p.path, p.line.max(1)), p.message))
                .collect());
        }
        Err(Error::Read { path, source }) => {
            (path, 1, format!("cannot be read: {source}"))
        }
        Err(Error::Json { path, source }) => {
            (path, source.line().max(1), format!("is not JSON: {source}"))
        }
        Err(error) => return Err(error).context("generated files"),
    };
    let path = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
    Ok(vec![Problem::new((path, line), why)])
}
