//! Warnings and errors of mdbook and KaTeX, with the place they speak of.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::formulas::formulas;
use super::includes::includes;
use super::source::entries;
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

/// Why the book was not built at all, when that is a fault of its summary or
/// its settings.
pub fn of_build(summary: &Source, error: &anyhow::Error) -> Option<Problem> {
    static LINE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:line |:)(\d+)").unwrap());
    static TWICE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"Duplicate file in SUMMARY.md: "(?:\./)?(.*)""#).unwrap()
    });
    let message = format!("{error:#}");
    let told = || {
        let number = LINE.captures(&message)?.get(1)?.as_str();
        number.parse().ok()
    };
    let place = if let Some(m) = TWICE.captures(&message) {
        let all = entries(summary);
        let twice = all.iter().rfind(|e| e.path == m[1]);
        (summary.path.clone(), twice.map_or(1, |e| e.line))
    } else if message.contains("SUMMARY.md") {
        (summary.path.clone(), told().unwrap_or(1))
    } else if message.contains("TOML") || message.contains("configuration") {
        ("book.toml".into(), told().unwrap_or(1))
    } else {
        return None;
    };
    Some(Problem::new(place, message.replace('\n', " ")))
}

/// Where `needle` stands in a chapter or in a file that one includes.
pub fn locate(
    root: &Path,
    chapters: &[Source],
    needle: &str,
) -> (PathBuf, usize) {
    for chapter in chapters {
        let all = formulas(chapter);
        let own = all.iter().find(|f| f.tex.trim() == needle.trim());
        if let Some(line) = own.map(|f| f.line) {
            return (chapter.path.clone(), line);
        }
    }
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
/// or the chapter's file and the HTML or a tag in it.
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
                let html = message.split("Html text was: ").nth(1);
                let tag = TAG.find(message).map(|m| m.as_str());
                let line = [html.map(str::trim), tag]
                    .into_iter()
                    .flatten()
                    .find_map(|text| chapter.find(text))
                    .unwrap_or(1);
                return (chapter.path.clone(), line);
            }
        }
    }
    (Path::new("book.toml").into(), 1)
}
