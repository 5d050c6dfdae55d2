//! Listings: taken from the source, labelled, at most 30 lines of at most
//! 80 columns; and no block of code runs on to the end of its page.

use std::path::Path;
use std::sync::LazyLock;

use super::includes::{Shown, includes, show};
use super::markdown::Markdown;
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

/// Blocks of code that only the end of the page ends.
pub fn unfinished(page: &Markdown) -> Vec<Problem> {
    page.open_fences()
        .map(|line| {
            Problem::new(
                (page.source.path.clone(), line),
                "the code block that begins here has no end: close it with \
                 as many backticks as open it",
            )
        })
        .collect()
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

/// The path above a listing.
fn label(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("<div class=\"listing-path\">")?;
    rest.trim_end().strip_suffix("</div>")
}

/// Included listings: label, length, width.
fn included(root: &Path, chapter: &Source, found: &mut Vec<Problem>) {
    let text: Vec<&str> = chapter.text.lines().collect();
    let fences = fences(chapter);
    let includes = includes(chapter);
    let inside =
        |fence: &Fence, line| fence.body.iter().any(|(l, _)| *l == line);
    for include in &includes {
        let fence = fences.iter().find(|f| inside(f, include.line));
        let Shown::Lines(lines) = show(root, include) else {
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
        let above = text[..fence.line - 1]
            .iter()
            .rev()
            .find(|l| !l.trim().is_empty())
            .and_then(|l| label(l));
        if above.is_none() {
            found.push(Problem::new(
                here,
                format!(
                    "a listing without its path: put <div class=\
                     \"listing-path\">{file}</div> and an empty line above it"
                ),
            ));
        }
    }
    for (line, path) in
        chapter.lines().filter_map(|(l, t)| Some((l, label(t)?)))
    {
        let next = chapter
            .lines()
            .skip(line)
            .find(|(_, t)| !t.trim().is_empty());
        let fence = fences
            .iter()
            .find(|f| next.is_some_and(|(l, _)| f.line == l));
        let shown = fence
            .and_then(|f| includes.iter().find(|i| inside(f, i.line)))
            .map(|i| (i.line, i.file.to_string_lossy().replace('\\', "/")));
        match shown {
            Some((_, file)) if file == path => {}
            Some((line, file)) => found.push(Problem::new(
                (chapter.path.clone(), line),
                format!("the label says {path}, the listing is {file}"),
            )),
            None => found.push(Problem::new(
                (chapter.path.clone(), line),
                format!(
                    "the path {path} without its listing: put an empty line \
                     and the block that includes it below, or delete the path"
                ),
            )),
        }
    }
}
