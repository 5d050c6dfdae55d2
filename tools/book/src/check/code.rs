//! Listings: taken from the source, labelled, at most 30 lines of at most
//! 80 columns.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::includes::{Shown, includes, show};
use super::source::{Fence, fences, files};
use super::{Problem, Source};

const LONGEST: usize = 30;
const WIDEST: usize = 80;
const LARGEST_PASTE: usize = 3;

/// What is wrong with the code blocks of one chapter.
pub fn check(root: &Path, chapter: &Source) -> Vec<Problem> {
    let mut found = Vec::new();
    let doctested = LazyLock::new(|| is_doctested(root, chapter));
    for fence in fences(chapter) {
        pasted(chapter, &fence, &doctested, &mut found);
        wide(&chapter.path, fence.body.iter().copied(), &mut found);
    }
    included(root, chapter, &mut found);
    found
}

fn is_include(line: &str) -> bool {
    line.trim_start_matches(['>', ' ']).starts_with("{{#")
}

fn pasted(
    chapter: &Source,
    fence: &Fence,
    doctested: &LazyLock<bool, impl FnOnce() -> bool>,
    found: &mut Vec<Problem>,
) {
    if fence.language() != "rust" {
        return;
    }
    let lines = fence
        .body
        .iter()
        .filter(|(_, t)| !is_include(t) && !t.trim().is_empty())
        .count();
    if lines <= LARGEST_PASTE {
        return;
    }
    let ignored = fence.info.contains("ignore");
    if !ignored && **doctested {
        return;
    }
    found.push(Problem::new(
        (chapter.path.clone(), fence.line),
        format!(
            "{lines} lines of Rust are pasted here, where nothing compiles \
             them: include them from tested source by an anchor, or let the \
             crate doctest this chapter"
        ),
    ));
}

/// Whether some source of the project doctests this chapter.
fn is_doctested(root: &Path, chapter: &Source) -> bool {
    let name = chapter.path.to_string_lossy().replace('\\', "/");
    ["src", "tests"]
        .iter()
        .flat_map(|dir| files(root, Path::new(dir)))
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .filter_map(|p| Source::read(root, &p).ok())
        .any(|s| {
            s.text
                .lines()
                .any(|l| l.contains("include_str!") && l.contains(&name))
        })
}

fn wide<'a>(
    file: &Path,
    lines: impl Iterator<Item = (usize, &'a str)>,
    found: &mut Vec<Problem>,
) {
    for (line, text) in lines {
        let width = text.chars().count();
        if width > WIDEST && !is_include(text) {
            found.push(Problem::new(
                (file, line),
                format!(
                    "{width} columns in a listing: break the line, {WIDEST} \
                     fit on a page"
                ),
            ));
        }
    }
}

/// Included listings: label, length, width.
fn included(root: &Path, chapter: &Source, found: &mut Vec<Problem>) {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^<div class="listing-path">([^<]+)</div>\s*$"#).unwrap()
    });
    let text: Vec<&str> = chapter.text.lines().collect();
    let fences = fences(chapter);
    for include in includes(chapter) {
        let fence = fences
            .iter()
            .find(|f| f.body.iter().any(|(l, _)| *l == include.line));
        let Shown::Lines(lines) = show(root, &include) else {
            continue;
        };
        let shown = lines.iter().map(|(l, t)| (*l, t.as_str()));
        if fence.is_some() {
            wide(&include.file, shown, found);
        }
        let Some(fence) = fence.filter(|f| f.language() == "rust") else {
            continue;
        };
        let here = (chapter.path.clone(), include.line);
        if lines.len() > LONGEST {
            found.push(Problem::new(
                here.clone(),
                format!(
                    "a listing of {} lines: show at most {LONGEST}, with \
                     anchors around the items that the text reads",
                    lines.len()
                ),
            ));
        }
        let file = include.file.to_string_lossy().replace('\\', "/");
        let label = text[..fence.line - 1]
            .iter()
            .rev()
            .find(|l| !l.trim().is_empty())
            .and_then(|l| LABEL.captures(l));
        match label {
            Some(m) if m[1] == file => {}
            Some(m) => found.push(Problem::new(
                here,
                format!("the label says {}, the listing is {file}", &m[1]),
            )),
            None => found.push(Problem::new(
                here,
                format!(
                    "a listing without its path: put <div class=\
                     \"listing-path\">{file}</div> and an empty line above it"
                ),
            )),
        }
    }
}
