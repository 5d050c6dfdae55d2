//! The built pages: links, ids, pictures, formulas, and that nothing is
//! loaded from the network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use regex::Regex;

use super::html::{Element, Piece, parse, walk};
use super::includes::includes;
use super::markdown::Spot;
use super::source::{files, normal};
use super::{MANUSCRIPT, Problem, Source};

/// A chapter and what it became.
struct Page<'a> {
    chapter: &'a Source,
    /// Files that the chapter includes: texts of the page may stand there.
    included: Vec<Source>,
    /// The elements that an author wrote, in order.
    spots: &'a [Spot],
    /// Relative to the output folder.
    file: PathBuf,
    pieces: Vec<Piece>,
    ids: BTreeSet<String>,
}

impl Page<'_> {
    /// Where the first of `needles` that can be found stands in the sources
    /// of the page.
    fn place(&self, needles: &[&str]) -> (PathBuf, usize) {
        for needle in needles.iter().filter(|n| !n.is_empty()) {
            let sources = std::iter::once(self.chapter).chain(&self.included);
            for source in sources {
                if let Some(line) = source.find(needle) {
                    return (source.path.clone(), line);
                }
            }
        }
        (self.chapter.path.clone(), 1)
    }

    /// Where the element was written that is like `is` and comes after `n`
    /// others; the last, when there are fewer.
    fn nth(&self, n: usize, is: impl Fn(&Element) -> bool) -> (PathBuf, usize) {
        let mut like = self.spots.iter().filter(|s| is(&s.element));
        let last = like.clone().last();
        like.nth(n).or(last).map_or_else(
            || (self.chapter.path.clone(), 1),
            |spot| (spot.file.clone(), spot.line),
        )
    }
}

/// How many elements of a kind came before.
#[derive(Default)]
struct Count(BTreeMap<String, usize>);

impl Count {
    fn next(&mut self, kind: &str) -> usize {
        let seen = self.0.entry(kind.to_owned()).or_default();
        *seen += 1;
        *seen - 1
    }
}

/// What the pages show.
pub struct Found {
    /// Faults of their own.
    pub found: Vec<Problem>,
    /// Raw text left over from something that failed earlier and may have
    /// been reported already.
    pub left: Vec<Problem>,
}

/// Everything that is wrong with the pages under `out`.
pub fn check(
    root: &Path,
    out: &Path,
    chapters: &[Source],
    spots: &[Vec<Spot>],
) -> Result<Found> {
    let mut pages = Vec::new();
    for (chapter, spots) in chapters.iter().zip(spots) {
        let file = chapter.page();
        let text = fs::read_to_string(out.join(&file))
            .with_context(|| format!("page {}", file.display()))?;
        let pieces = parse(&text);
        let ids = ids(&pieces);
        pages.push(Page {
            chapter,
            included: includes(chapter)
                .iter()
                .filter_map(|i| Source::read(root, &i.file).ok())
                .collect(),
            spots,
            file,
            pieces,
            ids,
        });
    }
    let all: BTreeMap<PathBuf, &BTreeSet<String>> =
        pages.iter().map(|p| (p.file.clone(), &p.ids)).collect();
    let mut found = Vec::new();
    let mut left = Vec::new();
    for page in &pages {
        links(page, out, &all, &mut found);
        duplicates(page, &mut found);
        pictures(page, &mut found);
        leftovers(page, &mut left);
        network(page, &mut found);
    }
    shared_ids(&pages, &mut found);
    Ok(Found { found, left })
}

fn ids(pieces: &[Piece]) -> BTreeSet<String> {
    pieces
        .iter()
        .filter_map(|p| match p {
            Piece::Open(e) => e.get("id").or(e.get("name")),
            _ => None,
        })
        .map(str::to_owned)
        .collect()
}

fn inside(open: &[&Element], name: &str) -> bool {
    open.iter().any(|e| e.name == name)
}

/// Links to pages, files and fragments that are not there.
fn links(
    page: &Page,
    out: &Path,
    all: &BTreeMap<PathBuf, &BTreeSet<String>>,
    found: &mut Vec<Problem>,
) {
    let mut count = Count::default();
    walk(&page.pieces, |piece, open| {
        let Piece::Open(e) = piece else { return };
        if !inside(open, "main") || e.has_class("header") {
            return;
        }
        for name in ["href", "src"] {
            let Some(target) = e.get(name) else { continue };
            let before = count.next(target);
            if target.contains("://")
                || ["mailto:", "data:", "javascript:", "//"]
                    .iter()
                    .any(|s| target.starts_with(s))
            {
                continue;
            }
            let (path, fragment) =
                target.split_once('#').unwrap_or((target, ""));
            let folder = page.file.parent().unwrap_or(Path::new(""));
            let file = match path {
                "" => page.file.clone(),
                path => normal(&folder.join(path)),
            };
            // As an author writes it.
            let written = target.replace(".html", ".md");
            let place = || {
                let leads = [written.as_str(), target];
                page.nth(before, |e| {
                    ["href", "src"]
                        .iter()
                        .filter_map(|name| e.get(name))
                        .any(|t| leads.contains(&t))
                })
            };
            if !out.join(&file).is_file() {
                found.push(Problem::new(
                    place(),
                    format!(
                        "a link to {written}, which is not in the book: \
                         correct the path, or link to a written chapter"
                    ),
                ));
            } else if !fragment.is_empty()
                && let Some(ids) = all.get(&file)
                && !ids.contains(fragment)
            {
                found.push(Problem::new(
                    place(),
                    format!(
                        "a link to {written}, but nothing there has the id \
                         `{fragment}`: correct it, or give the heading \
                         {{#{fragment}}}"
                    ),
                ));
            }
        }
    });
}

/// The same id twice on one page.
fn duplicates(page: &Page, found: &mut Vec<Problem>) {
    let mut count = Count::default();
    for piece in &page.pieces {
        if let Piece::Open(e) = piece
            && let Some(id) = e.get("id")
            && let before @ 1.. = count.next(id)
        {
            found.push(Problem::new(
                page.nth(before, |e| e.get("id") == Some(id)),
                format!("the id `{id}` stands twice on this page: rename one"),
            ));
        }
    }
}

/// Ids other than those of headings and footnotes are unique in the book:
/// the print page renames a second one and breaks what refers to it.
fn shared_ids(pages: &[Page], found: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &Path> = BTreeMap::new();
    for page in pages {
        let mut own = BTreeSet::new();
        walk(&page.pieces, |piece, open| {
            let Piece::Open(e) = piece else { return };
            let heading = e.name.len() == 2 && e.name.starts_with('h');
            if !inside(open, "main") || heading || e.name == "dt" {
                return;
            }
            if let Some(id) = e.get("id")
                && !id.starts_with("fn-")
                && !id.starts_with("fr-")
            {
                own.insert(id);
            }
        });
        for id in own {
            if let Some(other) = seen.insert(id, &page.chapter.path) {
                found.push(Problem::new(
                    page.nth(0, |e| e.get("id") == Some(id)),
                    format!(
                        "the id `{id}` stands in {} too: ids are unique in \
                         the whole book, put the chapter's name before it",
                        other.display()
                    ),
                ));
            }
        }
    }
}

/// Pictures say what they show, and figures have a caption and an id.
fn pictures(page: &Page, found: &mut Vec<Problem>) {
    let pieces = &page.pieces;
    let text_of = |id: &str| -> String {
        let start = pieces.iter().position(
            |p| matches!(p, Piece::Open(e) if e.get("id") == Some(id)),
        );
        pieces
            .iter()
            .skip(start.map_or(usize::MAX, |i| i + 1))
            .take_while(|p| !matches!(p, Piece::Close(_)))
            .filter_map(|p| match p {
                Piece::Text(t) => Some(t.as_str()),
                _ => None,
            })
            .collect()
    };
    let mut open_figure: Option<(&Element, bool)> = None;
    // Where an element with these attributes was written.
    let mut count = Count::default();
    let mut place = |e: &Element| {
        let before = count.next(&format!("{e:?}"));
        page.nth(before, |s| s.name == e.name && s.attributes == e.attributes)
    };
    walk(pieces, |piece, open| {
        if !inside(open, "main") {
            return;
        }
        match piece {
            Piece::Open(e) if e.name == "figure" => {
                open_figure = Some((e, false));
                if e.get("id").is_none() {
                    found.push(Problem::new(
                        place(e),
                        "a figure without an id: write <figure \
                         id=\"fig-chapter-name\">",
                    ));
                }
            }
            Piece::Open(e) if e.name == "figcaption" => {
                open_figure = open_figure.map(|(f, _)| (f, true));
            }
            Piece::Close(name) if name == "figure" => {
                if let Some((f, false)) = open_figure.take() {
                    found.push(Problem::new(
                        place(f),
                        "a figure without a caption: add a <figcaption> \
                         that states the finding",
                    ));
                }
            }
            Piece::Open(e) if e.name == "img" => {
                let silent = e.get("alt").is_none_or(|a| a.trim().is_empty());
                if silent && e.get("aria-hidden") != Some("true") {
                    let src = e.get("src").unwrap_or("");
                    found.push(Problem::new(
                        place(e),
                        format!(
                            "the image {src} has no alternative text: say in \
                             `alt` what one sees"
                        ),
                    ));
                }
            }
            Piece::Open(e) if e.name == "svg" => {
                let drawn = inside(open, "figure") || e.has_class("plot");
                let math = open.iter().any(|o| o.has_class("katex"));
                let named = e
                    .get("aria-labelledby")
                    .map(|ids| {
                        ids.split_whitespace()
                            .map(text_of)
                            .all(|t| !t.trim().is_empty())
                    })
                    .or(e.get("aria-label").map(|l| !l.trim().is_empty()))
                    .unwrap_or(false);
                let spoken = e.get("role") == Some("img") && named;
                if drawn
                    && !math
                    && !spoken
                    && e.get("aria-hidden") != Some("true")
                {
                    found.push(Problem::new(
                        place(e),
                        "a drawing without alternative text: give the <svg> \
                         role=\"img\" and aria-labelledby with the ids of \
                         its <title> and <desc>",
                    ));
                }
            }
            _ => {}
        }
    });
}

/// Raw includes, raw TeX, and formulas where none belong.
fn leftovers(page: &Page, found: &mut Vec<Problem>) {
    static DOLLAR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\$\$|\$[^\d\s]|[^\d\s]\$").unwrap());
    static TEX: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\[a-zA-Z]{2,}").unwrap());
    walk(&page.pieces, |piece, open| {
        if !inside(open, "main") {
            return;
        }
        if let Piece::Open(e) = piece
            && e.has_class("katex-error")
        {
            found.push(Problem::new(
                page.place(&[]),
                "a formula that KaTeX cannot render",
            ));
        }
        let Piece::Text(text) = piece else { return };
        if inside(open, "pre")
            && let Some(at) = text.find("<span class=\"katex")
        {
            let before = text[..at].lines().last().unwrap_or("");
            found.push(Problem::new(
                page.place(&[before, "```"]),
                "a formula inside a code block: the listing holds as many \
                 backticks as its fence; make the fence longer",
            ));
        }
        if let Some(at) = text.find("{{#") {
            let raw: String = text[at..].chars().take(60).collect();
            let raw = raw.split("}}").next().unwrap_or(&raw).to_owned();
            found.push(Problem::new(
                page.place(&[&raw, "{{#"]),
                format!("`{raw}}}}}` stands raw on the page: mend the include"),
            ));
        }
        let verbatim = ["code", "pre", "math", "script", "style", "kbd"]
            .iter()
            .any(|n| inside(open, n))
            || open.iter().any(|e| e.has_class("katex"));
        if verbatim {
            return;
        }
        let hit = DOLLAR.find(text).or_else(|| TEX.find(text));
        if let Some(hit) = hit {
            let near: String = text[hit.start()..]
                .lines()
                .next()
                .unwrap_or("")
                .chars()
                .take(24)
                .collect();
            found.push(Problem::new(
                page.place(&[&near, hit.as_str()]),
                format!(
                    "raw TeX on the page near `{near}`: the formula does not \
                     render, or a $ is missing (money is \\$)"
                ),
            ));
        }
    });
}

/// Attributes whose address a browser loads by itself.
fn loads(e: &Element) -> Vec<&str> {
    let names: &[&str] = match e.name.as_str() {
        "a" => &[],
        "link" | "image" | "use" => &["href", "xlink:href"],
        "object" => &["data"],
        _ => &["src", "srcset", "poster", "background"],
    };
    names.iter().filter_map(|n| e.get(n)).collect()
}

fn remote(address: &str) -> bool {
    let a = address.trim_start().to_ascii_lowercase();
    ["http:", "https:", "//", "ws:", "wss:", "ftp:"]
        .iter()
        .any(|s| a.starts_with(s))
}

/// Addresses in CSS that a browser would load from the network.
fn remote_in_css(css: &str) -> Option<&str> {
    static URL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?i)(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)"#,
        )
        .unwrap()
    });
    Some(URL.captures(css)?.get(1)?.as_str())
}

const OFFLINE: &str =
    "the book works without a network: put the file into book/src";

/// What a page would load from the network. What stands outside the text
/// comes from the theme or a setting.
fn network(page: &Page, found: &mut Vec<Problem>) {
    let mut count = Count::default();
    walk(&page.pieces, |piece, open| {
        let mut addresses: Vec<&str> = Vec::new();
        match piece {
            Piece::Open(e) => {
                let own = loads(e).into_iter().filter(|a| remote(a));
                addresses.extend(own);
                addresses.extend(e.get("style").and_then(remote_in_css));
            }
            Piece::Text(text) if inside(open, "style") => {
                addresses.extend(remote_in_css(text));
            }
            _ => {}
        }
        for address in addresses {
            let place = if inside(open, "main") {
                written(page, address, count.next(address))
            } else {
                (PathBuf::from("book.toml"), 1)
            };
            let message = format!("loads {address}: {OFFLINE}");
            found.push(Problem::new(place, message));
        }
    });
}

/// Where an address was written that comes after `before` others like it.
fn written(page: &Page, address: &str, before: usize) -> (PathBuf, usize) {
    let holds =
        |e: &Element| e.attributes.iter().any(|(_, v)| v.contains(address));
    match page.spots.iter().any(|s| holds(&s.element)) {
        true => page.nth(before, holds),
        // In a style sheet of the page.
        false => page.place(&[address]),
    }
}

/// The same for our own styles, scripts and page parts.
pub fn theme(root: &Path) -> Result<Vec<Problem>> {
    static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"\b(fetch|importScripts)\s*\(|XMLHttpRequest|WebSocket|sendBeacon|\bimport\s*\(",
        )
        .unwrap()
    });
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)(?:src|href)\s*=\s*["']((?:https?:)?//[^"']+)"#)
            .unwrap()
    });
    let mut found = Vec::new();
    let all = files(root, Path::new("book/theme"))
        .into_iter()
        .chain(files(root, Path::new(MANUSCRIPT)));
    for file in all {
        let kind = file.extension().and_then(|e| e.to_str()).unwrap_or("");
        if !["css", "js", "hbs"].contains(&kind) {
            continue;
        }
        let source = Source::read(root, &file)?;
        for (line, text) in source.lines() {
            let here = (file.clone(), line);
            if let Some(address) = remote_in_css(text) {
                let message = format!("loads {address}: {OFFLINE}");
                found.push(Problem::new(here.clone(), message));
            }
            if kind == "hbs"
                && let Some(m) = ATTRIBUTE.captures(text)
            {
                let message = format!("loads {}: {OFFLINE}", &m[1]);
                found.push(Problem::new(here.clone(), message));
            }
            // A script that leaves files alone marks its line.
            if kind == "js"
                && !text.contains("// served")
                && let Some(m) = SCRIPT.find(text)
            {
                found.push(Problem::new(
                    here,
                    format!(
                        "`{}` talks to a server, and pages opened as files \
                         have none: put the data into the page, or ask \
                         only where it is served and end the line with \
                         `// served`",
                        m.as_str()
                    ),
                ));
            }
        }
    }
    Ok(found)
}
