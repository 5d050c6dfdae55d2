//! Titles and headings: one title, as the summary has it; no level left out;
//! an id for each, and no formula in any.

use super::formulas::formulas;
use super::html::Piece;
use super::markdown::Markdown;
use super::source::Entry;
use super::{MANUSCRIPT, Problem};

/// What is wrong with the headings of a page, which may have a line in the
/// summary.
pub fn check(page: &Markdown, entry: Option<&Entry>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut tell = |line, message: String| {
        found.push(Problem::new((page.source.path.clone(), line), message));
    };
    let headings = page.headings();
    let math: Vec<usize> =
        formulas(page.source).iter().map(|f| f.line).collect();
    let mut last = 0;
    for heading in &headings {
        let line = heading.line;
        if math.contains(&line) {
            tell(
                line,
                "a heading with a formula in it: the table of contents and \
                 the search cannot show one, write it in words"
                    .into(),
            );
        } else if heading.text.trim().is_empty() {
            tell(line, "a heading without words: write them".into());
        } else if heading.level > 1 && heading.id.is_none() {
            tell(
                line,
                format!(
                    "a heading without an id: write `{} {} {{#an-id}}`",
                    "#".repeat(heading.level),
                    heading.text.trim()
                ),
            );
        }
        if heading.level == 1 && last > 0 {
            tell(
                line,
                "a second title: a page has one `#`, sections have `##`".into(),
            );
        } else if heading.level > last + 1 && last > 0 {
            let marks = |n| "#".repeat(n);
            tell(
                line,
                format!(
                    "`{}` after `{}` leaves a level out: write `{}`",
                    marks(heading.level),
                    marks(last),
                    marks(last + 1)
                ),
            );
        }
        last = heading.level;
    }
    for (line, piece) in &page.html {
        if matches!(piece, Piece::Open(e) if e.name == "h1") {
            tell(*line, "a title in HTML: write `# Title`, once".into());
        }
    }
    match headings.first() {
        Some(title) if title.level == 1 => {
            let entry = entry.filter(|e| !same(&title.text, &e.title));
            if let Some(entry) = entry {
                tell(
                    title.line,
                    format!(
                        "the title is \"{}\", line {} of {MANUSCRIPT}/SUMMARY.md \
                         calls the page \"{}\": make them the same",
                        title.text, entry.line, entry.title
                    ),
                );
            }
        }
        other => tell(
            other.map_or(1, |heading| heading.line),
            "a page without a title: begin it with `# Title`".into(),
        ),
    }
    found
}

/// Whether a page of this title may have that name in the summary: under
/// *Mistakes* stands *Calculus* for *Mistakes: calculus*.
fn same(title: &str, name: &str) -> bool {
    let last = title.split_once(": ").map_or("", |(_, last)| last);
    title == name || last.to_lowercase() == name.to_lowercase()
}
