//! Includes: the file is there, its anchor is there and not empty, and no
//! anchor stands unused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::source::normal;
use super::{MANUSCRIPT, Problem, Source};

/// `{{#include path:spec}}` in a chapter.
pub struct Include {
    /// Relative to the root.
    pub file: PathBuf,
    /// What follows the path: an anchor, or line numbers.
    pub spec: Option<String>,
    /// The line in the chapter.
    pub line: usize,
}

/// The includes of a text that stands at `source.path`.
pub fn includes(source: &Source) -> Vec<Include> {
    static INCLUDE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(\\?)\{\{\s*#(?:include|rustdoc_include|playground)\s+([^}]+)\}\}",
        )
        .unwrap()
    });
    let folder = source.path.parent().unwrap_or(Path::new(""));
    INCLUDE
        .captures_iter(&source.text)
        .filter(|m| m[1].is_empty())
        .map(|m| {
            let target = m[2].split_whitespace().next().unwrap_or("");
            let (path, spec) = match target.split_once(':') {
                Some((path, spec)) => (path, Some(spec.to_owned())),
                None => (target, None),
            };
            Include {
                file: normal(&folder.join(path)),
                spec,
                line: source.line_of(m.get(0).map_or(0, |m| m.start())),
            }
        })
        .collect()
}

/// What an include shows, with the line numbers of the included file.
pub enum Shown {
    /// The lines.
    Lines(Vec<(usize, String)>),
    /// There is no such file.
    NoFile,
    /// The file is not UTF-8, from this line on.
    NoText(usize),
    /// The file has no such anchor.
    NoAnchor,
    /// The anchor is opened and never closed.
    Open(usize),
}

/// The name of an anchor comment on this line: (closing?, name).
fn anchor(line: &str) -> Option<(bool, &str)> {
    static ANCHOR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"ANCHOR(_END)?:\s*([\w-]+)").unwrap());
    let m = ANCHOR.captures(line)?;
    Some((m.get(1).is_some(), m.get(2)?.as_str()))
}

/// Resolves an include against the files under `root`.
pub fn show(root: &Path, include: &Include) -> Shown {
    let source = match Source::read(root, &include.file) {
        Ok(source) => source,
        Err(_) if !root.join(&include.file).is_file() => return Shown::NoFile,
        Err(why) => return Shown::NoText(why.line),
    };
    let all = source.lines().map(|(l, t)| (l, t.to_owned()));
    let Some(spec) = &include.spec else {
        return Shown::Lines(
            all.filter(|(_, t)| anchor(t).is_none()).collect(),
        );
    };
    if spec.starts_with(|c: char| c.is_ascii_digit() || c == ':') {
        let number = |s: &str| s.parse::<usize>().ok();
        let (from, to) = match spec.split_once(':') {
            Some((a, b)) => (number(a).unwrap_or(1), number(b)),
            None => (number(spec).unwrap_or(1), number(spec)),
        };
        let to = to.unwrap_or(usize::MAX);
        return Shown::Lines(
            all.filter(|(l, _)| (from..=to).contains(l)).collect(),
        );
    }
    let mut start = None;
    let mut lines = Vec::new();
    for (line, text) in all {
        match anchor(&text) {
            Some((false, name)) if name == spec => start = Some(line),
            Some((true, name)) if name == spec && start.is_some() => {
                return Shown::Lines(lines);
            }
            Some(_) => {}
            None if start.is_some() => lines.push((line, text)),
            None => {}
        }
    }
    start.map_or(Shown::NoAnchor, Shown::Open)
}

/// What is wrong with the includes of one chapter.
pub fn check(root: &Path, chapter: &Source) -> Vec<Problem> {
    let mut found = Vec::new();
    for include in includes(chapter) {
        let file = include.file.display().to_string().replace('\\', "/");
        let here = (chapter.path.clone(), include.line);
        let spec = include.spec.clone().unwrap_or_default();
        let is_code = include.file.extension().is_some_and(|e| e == "rs");
        match show(root, &include) {
            Shown::NoFile => found.push(Problem::new(
                here,
                format!(
                    "includes {file}, which does not exist: correct the path \
                     (it is relative to the chapter), or write the file \
                     (`cargo book figures` for generated ones)"
                ),
            )),
            Shown::NoText(line) => found.push(Problem::new(
                here,
                format!(
                    "includes {file}, whose line {line} has a character that \
                     is not UTF-8: save it as UTF-8"
                ),
            )),
            Shown::NoAnchor => found.push(Problem::new(
                here,
                format!(
                    "{file} has no anchor `{spec}`: add `ANCHOR: {spec}` and \
                     `ANCHOR_END: {spec}` there, or correct the name"
                ),
            )),
            Shown::Open(line) => found.push(Problem::new(
                (include.file.clone(), line),
                format!("anchor `{spec}` never ends: add `ANCHOR_END: {spec}`"),
            )),
            Shown::Lines(lines) => {
                if lines.iter().all(|(_, t)| t.trim().is_empty()) {
                    found.push(Problem::new(
                        here,
                        format!(
                            "the include of {file} {spec} is empty: put the \
                             code between the anchors, or remove the include"
                        ),
                    ));
                } else if is_code
                    && spec.starts_with(|c: char| c.is_ascii_digit())
                {
                    found.push(Problem::new(
                        here,
                        format!(
                            "includes {file} by line numbers, which move: \
                             use an anchor"
                        ),
                    ));
                }
            }
        }
    }
    found
}

/// Anchors of `code` that no chapter includes. Code of a chapter that is
/// still a draft may have them already.
pub fn unused(chapters: &[Source], code: &[Source]) -> Vec<Problem> {
    let used: BTreeSet<(PathBuf, String)> = chapters
        .iter()
        .flat_map(includes)
        .filter_map(|i| Some((i.file, i.spec?)))
        .collect();
    let mut found = Vec::new();
    for source in code {
        if !written(chapters, &source.path) {
            continue;
        }
        for (line, text) in source.lines() {
            if let Some((false, name)) = anchor(text)
                && !used.contains(&(source.path.clone(), name.to_owned()))
            {
                found.push(Problem::new(
                    (source.path.clone(), line),
                    format!(
                        "no chapter includes anchor `{name}`: include it, or \
                         remove its two comment lines"
                    ),
                ));
            }
        }
    }
    found
}

/// Whether the chapter that a file under `src/<part>/<slug>` belongs to is
/// written; `true` for files that belong to none.
fn written(chapters: &[Source], file: &Path) -> bool {
    let mut parts = file
        .components()
        .filter_map(|c| c.as_os_str().to_str())
        .skip_while(|c| *c != "src")
        .skip(1);
    let (Some(part), Some(slug)) = (parts.next(), parts.next()) else {
        return true;
    };
    if !super::rooms::PARTS.contains(&part) {
        return true;
    }
    let slug = slug.trim_end_matches(".rs");
    let page = Path::new(MANUSCRIPT).join(part).join(format!("{slug}.md"));
    chapters.iter().any(|c| c.path == page)
}
