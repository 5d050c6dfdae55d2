//! Warnings and errors of mdbook and KaTeX, with the place they speak of.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::includes::includes;
use super::{MANUSCRIPT, Problem, Source};
use crate::events::Report;

/// Every report as a problem.
pub fn check(
    root: &Path,
    chapters: &[Source],
    reports: &[Report],
) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    for report in reports {
        let message = report.message.replace('\n', " ");
        // The cause of the error just reported.
        if let Some(cause) = message.strip_prefix("Caused By: ")
            && let Some(last) = found.last_mut()
        {
            last.message.push_str(&format!(" ({cause})"));
            continue;
        }
        let place = report
            .formula
            .as_deref()
            .map(|f| locate(root, chapters, f))
            .unwrap_or_else(|| mentioned(chapters, &message));
        let text = match &report.formula {
            Some(f) => {
                let reason = message
                    .rsplit("KaTeX parse error: ")
                    .next()
                    .unwrap_or(&message);
                format!("KaTeX cannot render `{}`: {reason}", f.trim())
            }
            None => {
                let kind = if report.error {
                    "an error"
                } else {
                    "a warning"
                };
                format!("mdbook raised {kind}: {message}")
            }
        };
        found.push(Problem::new(place, text));
    }
    found
}

/// Where `needle` stands in a chapter or in a file that one includes.
pub fn locate(
    root: &Path,
    chapters: &[Source],
    needle: &str,
) -> (PathBuf, usize) {
    for chapter in chapters {
        if let Some(line) = chapter.find(needle) {
            return (chapter.path.clone(), line);
        }
    }
    for chapter in chapters {
        for include in includes(chapter) {
            if let Ok(source) = Source::read(root, &include.file)
                && let Some(line) = source.find(needle)
            {
                return (source.path, line);
            }
        }
    }
    (Path::new(MANUSCRIPT).join("SUMMARY.md"), 1)
}

/// The place that a message of mdbook names: `{{#include ...}}` as written,
/// or the chapter's file and a tag in it.
fn mentioned(chapters: &[Source], message: &str) -> (PathBuf, usize) {
    static INCLUDE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{\{.*?\}\}").unwrap());
    static FILE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[\w/.-]+\.md").unwrap());
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"</?\w+").unwrap());
    if let Some(m) = INCLUDE.find(message) {
        for chapter in chapters {
            if let Some(line) = chapter.find(m.as_str()) {
                return (chapter.path.clone(), line);
            }
        }
    }
    for m in FILE.find_iter(message) {
        for chapter in chapters {
            if chapter.path.ends_with(m.as_str()) {
                let line = TAG
                    .find(message)
                    .and_then(|tag| chapter.find(tag.as_str()))
                    .unwrap_or(1);
                return (chapter.path.clone(), line);
            }
        }
    }
    (Path::new("book.toml").into(), 1)
}
