//! Writes the generated files and finds those that no longer agree.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::compare::{
    compare, different_line, json_line, json_text, null_at, same_structure,
};
use crate::knob::controls;
use crate::registry::{Data, Text, facts, find};
use crate::{Chapter, Figure, Knobs, Output, Tolerance, kit};

/// Where the files lie, relative to the root of the repository.
pub const GENERATED: &str = "book/src/generated";
/// Where the pages lie.
const PAGES: &str = "book/src";
/// The live figures compiled for the page, and what they were made from:
/// files beside the chapters' own.
const MODULE: [&str; 2] = ["live.wasm", "live.txt"];

/// What can go wrong while files are read, written or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No chapter of that name.
    #[error("no chapter is called `{name}`: {help}")]
    UnknownChapter {
        /// The name asked for.
        name: String,
        /// Names that come close, or all.
        help: String,
    },
    /// The chapter has no output of that name.
    #[error("chapter `{chapter}` has no output `{name}`: {help}")]
    UnknownOutput {
        /// The chapter, by the last part of its slug.
        chapter: &'static str,
        /// The name asked for.
        name: String,
        /// Names that come close, or all.
        help: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that should hold JSON does not.
    #[error("{} is not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A stored measurement or run does not say where it comes from.
    #[error(
        "{} does not name its `{field}`: what is stored states where it \
         comes from",
        path.display()
    )]
    Unsourced {
        /// The file.
        path: PathBuf,
        /// The key that is missing or empty.
        field: &'static str,
    },
    /// A stored run that nobody ran yet.
    #[error(
        "{slug}: figure `{name}` is a run that is not stored yet: `cargo \
         book figures --stored` runs it"
    )]
    NotRun {
        /// The chapter.
        slug: &'static str,
        /// The figure.
        name: &'static str,
    },
    /// A knob that the figure does not have, or that cannot stand there.
    #[error("knob `{name}`: {help}")]
    Knob {
        /// The name asked for.
        name: String,
        /// What there is.
        help: String,
    },
    /// A number that is not finite (JSON turns it into `null`).
    #[error("{slug}: figure `{name}` has no number at {at} (NaN or infinite)")]
    NotFinite {
        /// The chapter.
        slug: &'static str,
        /// The figure.
        name: &'static str,
        /// JSON pointer to the place.
        at: String,
    },
}

/// A generated file that no longer agrees with the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Relative to the root of the repository.
    pub path: PathBuf,
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", slashes(&self.path), self.line, self.message)
    }
}

/// What [`write()`] or [`run_stored`] did; paths relative to the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New or changed files.
    pub written: Vec<PathBuf>,
    /// Files that already agreed; not touched.
    pub unchanged: Vec<PathBuf>,
    /// Files under [`GENERATED`] that no chapter owns; not touched.
    pub orphans: Vec<PathBuf>,
}

/// Writes the files of every chapter, or of the one called `only`, under
/// `root`. A file whose numbers agree within their tolerance stays as it is,
/// so a second machine does not churn the last digits. Stored runs are drawn,
/// not run: see [`run_stored`].
///
/// # Errors
/// An unknown chapter, a file that cannot be read or written, a stored
/// measurement without its source, a run that is not stored, a number that is
/// not finite.
pub fn write(
    root: &Path,
    chapters: &[&'static Chapter],
    only: Option<&str>,
) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for chapter in chosen(chapters, only)? {
        for output in chapter.outputs {
            let path = output_path(chapter, output);
            let fresh = output_file(root, chapter, output)?;
            let keep = read(root, &path)?.is_some_and(|old| {
                different_line(&old, &fresh, output.tolerance).is_none()
            });
            put(root, path, &fresh, keep, &mut summary)?;
        }
        for figure in chapter.figures {
            let path = figure_path(chapter, figure, "json");
            let fresh = figure_data(root, chapter, figure)?;
            let old = read(root, &path)?
                .and_then(|old| serde_json::from_str(&old).ok())
                .filter(|old| compare(old, &fresh, figure.tolerance).is_none());
            let text = json_text(old.as_ref().unwrap_or(&fresh));
            put(root, path.clone(), &text, false, &mut summary)?;
            let picture = drawing(chapter, figure, &parse(&path, &text)?);
            let path = figure_path(chapter, figure, "svg");
            put(root, path, &picture, false, &mut summary)?;
        }
    }
    summary.orphans = orphans(root, chapters)?;
    Ok(summary)
}

/// Runs what is [`Data::Stored`] or [`Data::Made`] in every chapter, or in the
/// one called `only`, and stores it beside the facts of `origin`, an object
/// with `machine`, `commit` and `date`, and beside the command.
///
/// # Errors
/// An unknown chapter, an origin that does not say all of it, a file that
/// cannot be written, a number that is not finite.
///
/// # Panics
/// When a run or `origin` is no object, or the run names such a fact itself.
pub fn run_stored(
    root: &Path,
    chapters: &[&'static Chapter],
    only: Option<&str>,
    origin: &Value,
) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for chapter in chosen(chapters, only)? {
        for figure in chapter.figures {
            let (path, data, bytes) = match figure.data {
                Data::Stored(run) => {
                    (figure_path(chapter, figure, "json"), run(), None)
                }
                Data::Made(path, run, _) => {
                    let (data, bytes) = run();
                    (Path::new(PAGES).join(path), data, Some(bytes))
                }
                _ => continue,
            };
            let mut data = finite(chapter, figure, data)?;
            let facts = data.as_object_mut().expect("a run is an object");
            let mut origin = origin.clone();
            let command = format!("{STORED} {}", chapter.short());
            origin["command"] = command.into();
            for (fact, value) in origin.as_object().expect("named facts") {
                let old = facts.insert(fact.clone(), value.clone());
                assert!(old.is_none(), "{}: `{fact}` twice", figure.name);
            }
            if let Some(field) = unsaid(&data, &ORIGIN) {
                return Err(Error::Unsourced { path, field });
            }
            match bytes {
                None => {
                    put(root, path, &json_text(&data), false, &mut summary)?
                }
                Some(bytes) => {
                    let file =
                        [format!("{data}\n").as_bytes(), &bytes].concat();
                    put_bytes(root, path, &file, &mut summary)?;
                }
            }
        }
    }
    Ok(summary)
}

/// What runs and stores again.
const STORED: &str = "cargo book figures --stored";

/// What a stored run says of itself; a measurement may leave out the date.
const ORIGIN: [&str; 4] = ["machine", "commit", "command", "date"];

fn chosen(
    chapters: &[&'static Chapter],
    only: Option<&str>,
) -> Result<Vec<&'static Chapter>, Error> {
    match only {
        Some(name) => Ok(vec![find(chapters, name)?]),
        None => Ok(chapters.to_vec()),
    }
}

/// Computes everything again but stored runs, chapters side by side, and
/// reports what no longer agrees with the files under `root`: numbers outside
/// their tolerance, another structure, a picture that is not the drawing of
/// the committed data, a missing file, a run that does not say where it comes
/// from, a file that no chapter owns.
///
/// # Errors
/// A file or folder that cannot be read, a stored measurement without its
/// source, a number that is not finite.
pub fn check(
    root: &Path,
    chapters: &[&'static Chapter],
) -> Result<Vec<Problem>, Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let k = next.fetch_add(1, Ordering::Relaxed);
            let Some(chapter) = chapters.get(k) else {
                return done;
            };
            done.push((k, check_chapter(root, chapter)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.flatten().collect()
    });
    done.sort_by_key(|(k, _)| *k);
    let mut problems = Vec::new();
    for (_, found) in done {
        problems.extend(found?);
    }
    for path in orphans(root, chapters)? {
        problems.push(Problem {
            path,
            line: 0,
            message: "no chapter owns this file: delete it".into(),
        });
    }
    Ok(problems)
}

fn check_chapter(
    root: &Path,
    chapter: &Chapter,
) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for output in chapter.outputs {
        let check = || check_output(root, chapter, output);
        let path = output_path(chapter, output);
        problems.extend(caught(check, path, &remedy(chapter))?);
    }
    for figure in chapter.figures {
        let check = || check_figure(root, chapter, figure);
        let path = figure_path(chapter, figure, "json");
        problems.extend(caught(check, path, &figure_remedy(chapter, figure))?);
    }
    Ok(problems)
}

/// What `check` finds. A panic in what makes the file at `path` (what is
/// stored has another structure than its drawing now asks for) is a problem
/// of that file, and the others are still looked at.
fn caught(
    check: impl FnOnce() -> Result<Vec<Problem>, Error>,
    path: PathBuf,
    remedy: &str,
) -> Result<Vec<Problem>, Error> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or(panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("a panic");
        let message = format!("cannot be made ({said}): {remedy}");
        Ok(vec![whole(path, message)])
    })
}

fn check_output(
    root: &Path,
    chapter: &Chapter,
    output: &Output,
) -> Result<Vec<Problem>, Error> {
    let path = output_path(chapter, output);
    let fresh = output_file(root, chapter, output)?;
    let remedy = remedy(chapter);
    let Some(old) = read(root, &path)? else {
        return Ok(vec![missing(path, &remedy)]);
    };
    let different = different_line(&old, &fresh, output.tolerance);
    let problem = different.map(|(line, old, new)| Problem {
        path,
        line,
        message: format!(
            "the file says `{old}`, the code now prints `{new}`: {remedy}"
        ),
    });
    Ok(problem.into_iter().collect())
}

fn check_figure(
    root: &Path,
    chapter: &Chapter,
    figure: &Figure,
) -> Result<Vec<Problem>, Error> {
    let path = figure_path(chapter, figure, "json");
    let rerun = figure_remedy(chapter, figure);
    let Some(old) = read(root, &path)? else {
        return Ok(vec![missing(path, &rerun)]);
    };
    let old: Value = match serde_json::from_str(&old) {
        Ok(value) => value,
        Err(error) => {
            return Ok(vec![Problem {
                path,
                line: error.line(),
                message: format!("not JSON ({error}): {rerun}"),
            }]);
        }
    };
    let mut problems = Vec::new();
    if let Data::Stored(_) = figure.data {
        if let Some(field) = unsaid(&old, &ORIGIN) {
            let message = format!(
                "a stored run that does not name its `{field}`: {rerun}"
            );
            problems.push(whole(path, message));
        }
    } else {
        let fresh = figure_data(root, chapter, figure)?;
        if let Some(d) = compare(&old, &fresh, figure.tolerance) {
            problems.push(Problem {
                line: json_line(&old, &d.at),
                path,
                message: format!(
                    "{}: committed {}, computed {}: {rerun}",
                    d.place(),
                    d.old,
                    d.new,
                ),
            });
        }
        // The drawing may assume the structure of the fresh data.
        if !same_structure(&old, &fresh) {
            return Ok(problems);
        }
    }
    let picture = drawing(chapter, figure, &old);
    let path = figure_path(chapter, figure, "svg");
    let remedy = remedy(chapter);
    let Some(svg) = read(root, &path)? else {
        problems.push(missing(path, &remedy));
        return Ok(problems);
    };
    let exact = Tolerance::EXACT;
    if let Some((line, _, _)) = different_line(&svg, &picture, exact) {
        let message =
            format!("not the drawing of the committed data: {remedy}");
        problems.push(Problem {
            path,
            line,
            message,
        });
    }
    Ok(problems)
}

/// What to do about a file that is made from what is at hand.
fn remedy(chapter: &Chapter) -> String {
    format!("run `cargo book figures {}` and look", chapter.short())
}

/// What to do about the numbers of a figure.
fn figure_remedy(chapter: &Chapter, figure: &Figure) -> String {
    match figure.data {
        Data::Stored(_) => {
            format!("run `{STORED} {}` and look", chapter.short())
        }
        _ => remedy(chapter),
    }
}

fn missing(path: PathBuf, remedy: &str) -> Problem {
    whole(path, format!("missing: {remedy}"))
}

/// A problem of the file as a whole.
fn whole(path: PathBuf, message: String) -> Problem {
    Problem {
        path,
        line: 0,
        message,
    }
}

fn folder(chapter: &Chapter) -> PathBuf {
    Path::new(GENERATED).join(chapter.slug)
}

fn output_path(chapter: &Chapter, output: &Output) -> PathBuf {
    folder(chapter).join(format!("{}.{}", output.name, output.extension))
}

fn figure_path(chapter: &Chapter, figure: &Figure, ext: &str) -> PathBuf {
    folder(chapter).join(format!("{}.{ext}", figure.name))
}

impl Output {
    /// The command that prints this output.
    pub fn command(&self, chapter: &Chapter) -> String {
        format!("cargo demo {} {}", chapter.short(), self.name)
    }

    /// The text, which ends in a newline. `root` is the repository.
    ///
    /// # Errors
    /// Only for [`Text::Stored`]: the file is missing, is not JSON, or does
    /// not say where it comes from.
    pub fn text(&self, root: &Path) -> Result<String, Error> {
        let mut text = match self.text {
            Text::Computed(text) => text(),
            Text::Stored(path, text) => text(&stored(root, path)?),
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }
}

fn output_file(
    root: &Path,
    chapter: &Chapter,
    output: &Output,
) -> Result<String, Error> {
    let text = output.text(root)?;
    Ok(match output.extension {
        "txt" => format!("$ {}\n{text}", output.command(chapter)),
        _ => text,
    })
}

/// The numbers of a figure at its defaults; of a stored run, what is stored.
fn figure_data(
    root: &Path,
    chapter: &Chapter,
    figure: &Figure,
) -> Result<Value, Error> {
    let value = match figure.data {
        Data::Computed(_)
        | Data::Running(..)
        | Data::Read(..)
        | Data::Made(..) => {
            let knobs = Knobs::new(figure.knobs);
            let file = bytes(root, figure)?;
            figure.numbers(&knobs, &file).unwrap_or_default()
        }
        Data::Stored(_) => {
            let path = figure_path(chapter, figure, "json");
            let text = read(root, &path)?.ok_or(Error::NotRun {
                slug: chapter.slug,
                name: figure.name,
            })?;
            parse(&path, &text)?
        }
        Data::Measured(path) => stored(root, path)?,
    };
    finite(chapter, figure, value)
}

fn finite(
    chapter: &Chapter,
    figure: &Figure,
    value: Value,
) -> Result<Value, Error> {
    match null_at(&value, String::new()) {
        None => Ok(value),
        Some(at) => Err(Error::NotFinite {
            slug: chapter.slug,
            name: figure.name,
            at,
        }),
    }
}

/// The bytes that the numbers of a figure are read from.
fn bytes(root: &Path, figure: &Figure) -> Result<Vec<u8>, Error> {
    let Some(path) = figure.file() else {
        return Ok(Vec::new());
    };
    let path = Path::new(PAGES).join(path);
    let file = fs::read(root.join(&path));
    let file = file.map_err(|source| Error::Read {
        path: path.clone(),
        source,
    })?;
    if let Data::Made(..) = figure.data {
        let said = facts(&file).map_or(Value::Null, |(facts, _)| facts);
        if let Some(field) = unsaid(&said, &ORIGIN) {
            return Err(Error::Unsourced { path, field });
        }
    }
    Ok(file)
}

/// The SVG with its last newline, so that it is a text file. That of a live
/// figure says what the page needs to move it.
fn drawing(chapter: &Chapter, figure: &Figure, data: &Value) -> String {
    let mut svg = figure.svg(chapter.slug, data, None) + "\n";
    if !figure.knobs.is_empty() {
        let knobs = Knobs::new(figure.knobs);
        let said = figure.read_out.map(|out| out(&knobs, data));
        let runs = matches!(figure.data, Data::Running(..));
        let live = [
            ("live", format!("{}/{}", chapter.slug, figure.name)),
            ("controls", controls(figure.knobs, &figure.id(chapter.slug))),
            ("said", said.unwrap_or_default()),
            ("file", figure.file().unwrap_or_default().into()),
            ("runs", if runs { "yes" } else { "" }.into()),
        ];
        let mut words = String::new();
        for (name, value) in live.iter().filter(|(_, v)| !v.is_empty()) {
            let value = kit::escape(value);
            let _ = write!(words, " data-{name}=\"{value}\"");
        }
        svg.insert_str("<svg".len(), &words);
    }
    svg
}

fn stored(root: &Path, path: &'static str) -> Result<Value, Error> {
    let file = PathBuf::from(path);
    let text =
        fs::read_to_string(root.join(path)).map_err(|source| Error::Read {
            path: file.clone(),
            source,
        })?;
    let value = parse(&file, &text)?;
    match unsaid(&value, &ORIGIN[..3]) {
        None => Ok(value),
        Some(field) => Err(Error::Unsourced { path: file, field }),
    }
}

/// The first of `fields` that says nothing: each is a sentence, or an object
/// of facts.
fn unsaid(value: &Value, fields: &[&'static str]) -> Option<&'static str> {
    let said = |field: &&str| match value.get(*field) {
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Object(facts)) => !facts.is_empty(),
        _ => false,
    };
    fields.iter().copied().find(|field| !said(field))
}

fn parse(path: &Path, text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|source| Error::Json {
        path: path.into(),
        source,
    })
}

/// The file with LF line ends, or `None` where there is none.
fn read(root: &Path, path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text.replace("\r\n", "\n"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.into(),
            source,
        }),
    }
}

fn put(
    root: &Path,
    path: PathBuf,
    text: &str,
    keep: bool,
    summary: &mut Summary,
) -> Result<(), Error> {
    if keep || read(root, &path)?.as_deref() == Some(text) {
        summary.unchanged.push(path);
        return Ok(());
    }
    write_file(root, path, text.as_bytes(), summary)
}

/// [`put`] for what is no text.
fn put_bytes(
    root: &Path,
    path: PathBuf,
    bytes: &[u8],
    summary: &mut Summary,
) -> Result<(), Error> {
    if fs::read(root.join(&path)).is_ok_and(|old| old == bytes) {
        summary.unchanged.push(path);
        return Ok(());
    }
    write_file(root, path, bytes, summary)
}

fn write_file(
    root: &Path,
    path: PathBuf,
    bytes: &[u8],
    summary: &mut Summary,
) -> Result<(), Error> {
    let full = root.join(&path);
    let folder = full.parent().unwrap_or(root);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&full, bytes))
        .map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
    summary.written.push(path);
    Ok(())
}

/// Files under [`GENERATED`] that no chapter owns, sorted.
fn orphans(
    root: &Path,
    chapters: &[&'static Chapter],
) -> Result<Vec<PathBuf>, Error> {
    let mut owned = BTreeSet::new();
    for chapter in chapters {
        for output in chapter.outputs {
            owned.insert(output_path(chapter, output));
        }
        for figure in chapter.figures {
            owned.insert(figure_path(chapter, figure, "json"));
            owned.insert(figure_path(chapter, figure, "svg"));
            let file = figure.file().map(|f| Path::new(PAGES).join(f));
            owned.extend(file);
        }
    }
    owned.extend(MODULE.map(|name| Path::new(GENERATED).join(name)));
    let mut found = Vec::new();
    walk(root, Path::new(GENERATED), &mut found)?;
    found.retain(|path| !owned.contains(path));
    found.sort();
    Ok(found)
}

fn walk(
    root: &Path,
    folder: &Path,
    found: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let failed = |source| Error::Read {
        path: folder.into(),
        source,
    };
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let path = folder.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(root, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn slashes(path: &Path) -> String {
    path.display().to_string().replace('\\', "/")
}
