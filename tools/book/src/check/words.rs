//! What running text must not hold: notes of its author, entities that no
//! browser knows, and numbers of equations and figures that lead nowhere.

use std::sync::LazyLock;

use pulldown_cmark::{Event, Parser};
use regex::Regex;

use super::Problem;
use super::links::Numbers;
use super::markdown::Markdown;

/// What is wrong with the words of a page.
pub fn check(page: &Markdown, numbers: &Numbers) -> Vec<Problem> {
    static NOTE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(?:TODO|FIXME|XXX|TBD)\b|(?i)\blorem ipsum\b").unwrap()
    });
    let mut found = matches(page, &NOTE, |note| {
        Some(format!("`{note}` is left in the text: finish it"))
    });
    found.extend(references(page, numbers));
    found
}

/// Signs that stand for a character and for none.
pub fn entities(page: &Markdown) -> Vec<Problem> {
    static ENTITY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"&#?[A-Za-z0-9]+;?").unwrap());
    matches(page, &ENTITY, |entity| {
        (!known(entity)).then(|| {
            format!(
                "`{entity}` is no entity: correct its name and end it with \
                 `;`, or write `&amp;` for the sign"
            )
        })
    })
}

/// What is said of the places in text and HTML that match.
fn matches(
    page: &Markdown,
    pattern: &Regex,
    say: impl Fn(&str) -> Option<String>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for (at, text) in page.prose(true) {
        for m in pattern.find_iter(text) {
            let here = (page.source.path.clone(), page.line(at + m.start()));
            found.extend(say(m.as_str()).map(|why| Problem::new(here, why)));
        }
    }
    found
}

/// Whether a browser shows a character for it: the parser has the list.
fn known(entity: &str) -> bool {
    let shown: String = Parser::new(entity)
        .filter_map(|event| match event {
            Event::Text(text) => Some(text),
            _ => None,
        })
        .map(String::from)
        .collect();
    entity.ends_with(';') && shown != entity
}

/// Numbers that stand for an equation or a figure. Our build makes a link of
/// `(7)` where the page has such an equation, with an anchor before it. What
/// has four digits is a year.
fn references(page: &Markdown, numbers: &Numbers) -> Vec<Problem> {
    static EQUATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^\w\])])\(([A-Z]*\d{1,3}[a-z]?)\)").unwrap()
    });
    static FIGURE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bFigure \d+").unwrap());
    let mut found = Vec::new();
    let mut tell = |at: usize, message: String| {
        let here = (page.source.path.clone(), page.line(at));
        found.push(Problem::new(here, message));
    };
    for (at, text) in page.prose(false) {
        for m in EQUATION.captures_iter(text) {
            let number = &m[1];
            if !numbers.has_equation(page, number) {
                tell(
                    at + m.get(1).map_or(0, |m| m.start()),
                    format!(
                        "({number}) is read as the number of an equation, and \
                         no equation of this page has it after an <a \
                         id=\"eq-…\"></a>: correct it, add the anchor, link to \
                         the other page, or write $({number})$ for a value"
                    ),
                );
            }
        }
        for m in FIGURE.find_iter(text) {
            let figure = m.as_str();
            tell(
                at + m.start(),
                format!("{figure} is no link: write [{figure}](#fig-…)"),
            );
        }
    }
    found
}
