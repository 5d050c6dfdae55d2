//! Writes the generated files and finds those that no longer agree.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::compare::{
    compare, different_line, json_line, json_text, null_at, same_structure,
};
use crate::registry::{Data, Text, chapters, find};
use crate::{Chapter, Figure, Output, Tolerance};

/// Where the files lie, relative to the root of the repository.
pub const GENERATED: &str = "book/src/generated";

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
    /// A stored measurement does not say where it comes from.
    #[error(
        "{} does not name its `{field}`: a stored measurement \
         states machine, commit and command",
        path.display()
    )]
    Unsourced {
        /// The file.
        path: PathBuf,
        /// The key that is missing or empty.
        field: &'static str,
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

/// What [`write_all`] did; paths relative to the root.
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
/// so a second machine does not churn the last digits.
///
/// # Errors
/// An unknown chapter, a file that cannot be read or written, a stored
/// measurement without its source, a number that is not finite.
pub fn write_all(root: &Path, only: Option<&str>) -> Result<Summary, Error> {
    write(root, chapters(), only)
}

/// [`write_all`] for a given list of chapters.
///
/// # Errors
/// As [`write_all`].
pub fn write(
    root: &Path,
    chapters: &[&'static Chapter],
    only: Option<&str>,
) -> Result<Summary, Error> {
    let chosen = match only {
        Some(name) => vec![find(chapters, name)?],
        None => chapters.to_vec(),
    };
    let mut summary = Summary::default();
    for chapter in chosen {
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

/// Computes everything again and reports what no longer agrees with the
/// files under `root`: numbers outside their tolerance, another structure, a
/// picture that is not the drawing of the committed data, a missing file, a
/// file that no chapter owns.
///
/// # Errors
/// A file or folder that cannot be read, a stored measurement without its
/// source, a number that is not finite.
pub fn check_all(root: &Path) -> Result<Vec<Problem>, Error> {
    check(root, chapters())
}

/// [`check_all`] for a given list of chapters.
///
/// # Errors
/// As [`check_all`].
pub fn check(
    root: &Path,
    chapters: &[&'static Chapter],
) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for chapter in chapters {
        for output in chapter.outputs {
            check_output(root, chapter, output, &mut problems)?;
        }
        for figure in chapter.figures {
            check_figure(root, chapter, figure, &mut problems)?;
        }
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

fn check_output(
    root: &Path,
    chapter: &Chapter,
    output: &Output,
    problems: &mut Vec<Problem>,
) -> Result<(), Error> {
    let path = output_path(chapter, output);
    let fresh = output_file(root, chapter, output)?;
    let Some(old) = read(root, &path)? else {
        problems.push(missing(path, chapter));
        return Ok(());
    };
    let tolerance = output.tolerance;
    if let Some((line, old, new)) = different_line(&old, &fresh, tolerance) {
        let message = format!(
            "the file says `{old}`, the code now prints `{new}`: {}",
            remedy(chapter)
        );
        problems.push(Problem {
            path,
            line,
            message,
        });
    }
    Ok(())
}

fn check_figure(
    root: &Path,
    chapter: &Chapter,
    figure: &Figure,
    problems: &mut Vec<Problem>,
) -> Result<(), Error> {
    let path = figure_path(chapter, figure, "json");
    let fresh = figure_data(root, chapter, figure)?;
    let Some(old) = read(root, &path)? else {
        problems.push(missing(path, chapter));
        return Ok(());
    };
    let old: Value = match serde_json::from_str(&old) {
        Ok(value) => value,
        Err(error) => {
            problems.push(Problem {
                path,
                line: error.line(),
                message: format!("not JSON ({error}): {}", remedy(chapter)),
            });
            return Ok(());
        }
    };
    if let Some(d) = compare(&old, &fresh, figure.tolerance) {
        problems.push(Problem {
            line: json_line(&old, &d.at),
            path: path.clone(),
            message: format!(
                "{}: committed {}, computed {}: {}",
                d.place(),
                d.old,
                d.new,
                remedy(chapter)
            ),
        });
    }
    // The drawing may assume the structure of the fresh data.
    if !same_structure(&old, &fresh) {
        return Ok(());
    }
    let picture = drawing(chapter, figure, &old);
    let path = figure_path(chapter, figure, "svg");
    match read(root, &path)? {
        None => problems.push(missing(path, chapter)),
        Some(svg) => {
            let exact = Tolerance::EXACT;
            if let Some((line, _, _)) = different_line(&svg, &picture, exact) {
                problems.push(Problem {
                    path,
                    line,
                    message: format!(
                        "not the drawing of the committed data: {}",
                        remedy(chapter)
                    ),
                });
            }
        }
    }
    Ok(())
}

fn remedy(chapter: &Chapter) -> String {
    format!("run `cargo book figures {}` and look", chapter.short())
}

fn missing(path: PathBuf, chapter: &Chapter) -> Problem {
    Problem {
        path,
        line: 0,
        message: format!("missing: {}", remedy(chapter)),
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

fn figure_data(
    root: &Path,
    chapter: &Chapter,
    figure: &Figure,
) -> Result<Value, Error> {
    let value = match figure.data {
        Data::Computed(data) => data(),
        Data::Stored(path) => stored(root, path)?,
    };
    match null_at(&value, String::new()) {
        None => Ok(value),
        Some(at) => Err(Error::NotFinite {
            slug: chapter.slug,
            name: figure.name,
            at,
        }),
    }
}

/// The SVG with its last newline, so that it is a text file.
fn drawing(chapter: &Chapter, figure: &Figure, data: &Value) -> String {
    let id =
        format!("{}-{}", chapter.slug, figure.name).replace(['/', '_'], "-");
    let picture = (figure.draw)(data);
    picture.inline(&id, figure.title, figure.description) + "\n"
}

fn stored(root: &Path, path: &'static str) -> Result<Value, Error> {
    let file = PathBuf::from(path);
    let text =
        fs::read_to_string(root.join(path)).map_err(|source| Error::Read {
            path: file.clone(),
            source,
        })?;
    let value = parse(&file, &text)?;
    for field in ["machine", "commit", "command"] {
        // A sentence, or an object of facts.
        let said = match value.get(field) {
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Object(facts)) => !facts.is_empty(),
            _ => false,
        };
        if !said {
            return Err(Error::Unsourced { path: file, field });
        }
    }
    Ok(value)
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
    let full = root.join(&path);
    let folder = full.parent().unwrap_or(root);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&full, text))
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
        }
    }
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
