//! Links as they are written: that they lead somewhere, and that the number
//! they say is that of what they lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pulldown_cmark::{Event, Tag, TagEnd};
use regex::Regex;

use super::Problem;
use super::formulas::tags;
use super::markdown::{Markdown, Spot};
use super::source::normal;

/// Equations and figures of all pages, by page and id.
#[derive(Default)]
pub struct Numbers(BTreeMap<(PathBuf, String), Numbered>);

/// What has a number.
struct Numbered {
    kind: &'static str,
    number: String,
}

impl Numbers {
    /// Adds those of a page.
    pub fn add(&mut self, page: &Markdown, spots: &[Spot]) {
        let path = &page.source.path;
        let figures = spots.iter().filter(|s| s.element.name == "figure");
        for (at, figure) in figures.enumerate() {
            if let Some(id) = figure.element.get("id") {
                let number = (at + 1).to_string();
                let figure = Numbered {
                    kind: "Figure",
                    number,
                };
                self.0.insert((path.clone(), id.into()), figure);
            }
        }
        for (id, number) in equations(page, spots) {
            let equation = Numbered {
                kind: "equation",
                number,
            };
            self.0.insert((path.clone(), id), equation);
        }
    }

    /// Whether a page has an equation of that number, with an anchor.
    pub fn has_equation(&self, page: &Markdown, number: &str) -> bool {
        let path = &page.source.path;
        self.0.iter().any(|((file, _), n)| {
            file == path && n.kind == "equation" && n.number == number
        })
    }
}

/// The equations of a page that have an anchor: its id and their number.
fn equations(page: &Markdown, spots: &[Spot]) -> Vec<(String, String)> {
    let anchors = spots.iter().filter_map(|s| {
        let id = s.element.get("id").filter(|id| id.starts_with("eq-"))?;
        (s.file == page.source.path).then_some((s.line, id))
    });
    let mut anchors = anchors.peekable();
    let mut all = Vec::new();
    for (line, number) in tags(page.source) {
        let mut own = None;
        while let Some((_, id)) = anchors.next_if(|(at, _)| *at <= line) {
            own = Some(id);
        }
        all.extend(own.map(|id| (id.to_owned(), number)));
    }
    all
}

/// What is wrong with the links of a page.
pub fn check(page: &Markdown, numbers: &Numbers) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut tell = |line, message: String| {
        found.push(Problem::new((page.source.path.clone(), line), message));
    };
    for link in page.links() {
        let target = link.target.trim();
        if target.is_empty() {
            let text = &link.text;
            tell(
                link.line,
                format!(
                    "a link that leads nowhere: give [{text}]() an address, or \
                     take the brackets away"
                ),
            );
        }
        if let Some(message) = number(page, &link.text, target, numbers) {
            tell(link.line, message);
        }
    }
    for (label, line) in &page.undefined {
        tell(
            *line,
            format!(
                "a link to [{label}], which is not defined: write \
                 [text](address), or add a line `[{label}]: address`"
            ),
        );
    }
    found
}

/// Whether a link says another number than its target has.
fn number(
    page: &Markdown,
    text: &str,
    target: &str,
    numbers: &Numbers,
) -> Option<String> {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:\(|(?:[Ee]quation|[Ff]igure) )([A-Z]*\d+[a-z]?)\b")
            .unwrap()
    });
    let (path, id) = target.split_once('#')?;
    let folder = page.source.path.parent().unwrap_or(Path::new(""));
    let path = match path {
        "" => page.source.path.clone(),
        path => normal(&folder.join(path.replace(".html", ".md"))),
    };
    let right = numbers.0.get(&(path, id.to_owned()))?;
    let said = SAID.captures(text)?;
    let Numbered { kind, number } = right;
    (said[1] != **number)
        .then(|| format!("the link says {text}, but `{id}` is {kind} {number}"))
}

/// Footnotes that are called and not written, and the other way round.
pub fn footnotes(page: &Markdown) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut tell = |line, message: String| {
        found.push(Problem::new((page.source.path.clone(), line), message));
    };
    static CALL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[\^([^\]\s]+)\]").unwrap());
    let mut called = BTreeSet::new();
    let mut written: Vec<(usize, &str, bool)> = Vec::new();
    let mut inside = false;
    for (event, range) in &page.events {
        match event {
            Event::FootnoteReference(label) => {
                called.insert(label.as_ref());
            }
            Event::Start(Tag::FootnoteDefinition(label)) => {
                inside = true;
                written.push((page.line(range.start), label, false));
            }
            Event::End(TagEnd::FootnoteDefinition) => inside = false,
            Event::Text(_) | Event::Code(_) if inside => {
                if let Some(last) = written.last_mut() {
                    last.2 = true;
                }
            }
            _ => {}
        }
    }
    for &(line, label, text) in &written {
        if !text {
            tell(line, format!("footnote [^{label}] has no text: write it"));
        } else if !called.contains(label) {
            tell(
                line,
                format!(
                    "nothing calls footnote [^{label}]: put [^{label}] into \
                     the text, or delete the note"
                ),
            );
        }
    }
    for (at, paragraph) in page.prose(false) {
        for m in CALL.captures_iter(paragraph) {
            if !written.iter().any(|(_, label, _)| *label == &m[1]) {
                let at = at + m.get(0).map_or(0, |m| m.start());
                let label = &m[1];
                tell(
                    page.line(at),
                    format!(
                        "footnote [^{label}] has no text: add a line \
                         `[^{label}]: …`"
                    ),
                );
            }
        }
    }
    found
}
