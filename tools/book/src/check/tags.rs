//! HTML as it is written in a page: every tag is closed, and none runs a
//! script.

use super::Problem;
use super::html::Piece;
use super::markdown::Markdown;

/// What is wrong with the HTML of a page.
pub fn check(page: &Markdown) -> Vec<Problem> {
    let mut found = balance(page);
    let mut tell = |line, message: String| {
        found.push(Problem::new((page.source.path.clone(), line), message));
    };
    for (line, piece) in &page.html {
        let Piece::Open(e) = piece else { continue };
        // A script from elsewhere is told as what a page loads.
        if e.name == "script" && e.get("src").is_none() {
            tell(
                *line,
                "a script in the page: put it into book/theme, where \
                 book.toml names it"
                    .into(),
            );
        }
        for (name, value) in &e.attributes {
            if name.starts_with("on") {
                tell(
                    *line,
                    format!(
                        "`{name}=` runs a script: listen for it in a script \
                         of book/theme"
                    ),
                );
            }
            if ["src", "href", "xlink:href"].contains(&name.as_str())
                && runs(value)
            {
                tell(*line, RUNS.into());
            }
        }
    }
    for link in page.links().iter().filter(|l| runs(&l.target)) {
        tell(link.line, RUNS.into());
    }
    found.sort();
    found.dedup();
    found
}

const RUNS: &str = "a link that runs a script: let it lead to a page";

fn runs(address: &str) -> bool {
    let start = address.trim_start().to_ascii_lowercase();
    start.starts_with("javascript:")
}

/// Tags without their other half.
fn balance(page: &Markdown) -> Vec<Problem> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut found = Vec::new();
    let mut tell = |line, message: String| {
        found.push(Problem::new((page.source.path.clone(), line), message));
    };
    let endless = |(line, name): (usize, &str)| {
        (line, format!("`<{name}>` never ends: add `</{name}>`"))
    };
    for (line, piece) in &page.html {
        match piece {
            Piece::Open(e) if !e.empty => open.push((*line, &e.name)),
            Piece::Close(name) => {
                if let Some(at) = open.iter().rposition(|(_, n)| n == name) {
                    for (line, message) in open.drain(at + 1..).map(endless) {
                        tell(line, message);
                    }
                    open.pop();
                } else {
                    let message = format!(
                        "`</{name}>` closes nothing: delete it, or put \
                         `<{name}>` before it"
                    );
                    tell(*line, message);
                }
            }
            _ => {}
        }
    }
    for (line, message) in open.into_iter().map(endless) {
        tell(line, message);
    }
    found
}
