//! A mark of punctuation stays with the formula before it.
//!
//! KaTeX sets a formula as boxes, and a browser may break a line after each
//! of them, before a comma too; a word joiner does not stop it. The mark moves
//! into the last box, and for who listens into the MathML.

use std::sync::LazyLock;

use regex::Regex;

use super::markup::{Kind, Page};

/// How a mark is set that is in a box: as the text around it.
pub const STYLE: &str = "<style>.katex .after { font-family: var(--serif); \
                         font-size: calc(1em / 1.05); }</style>";

/// What may not begin a line.
static MARKS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:[,.;:)?!\]”…]+|’s\b|’|-|–)").unwrap());

/// Moves the marks; returns how many.
pub fn keep(page: &mut Page) -> usize {
    let mut moved = 0;
    for at in page.main() {
        let formula = page.parts[at].kind == Kind::Close
            && page.opening(at).is_some_and(|p| p.has_class("katex"))
            && !page.inside_class(at, "katex-display");
        if !formula {
            continue;
        }
        let Some((text, mark)) = mark_after(page, at) else {
            continue;
        };
        // </span> of the last box, of the visual form, of the formula.
        let last = at - 2;
        if !page.opening(last).is_some_and(|p| p.has_class("base")) {
            continue;
        }
        let rest = page.parts[text].text[mark.len()..].to_owned();
        page.parts[text].text = rest.into();
        let box_end = &mut page.parts[last].text;
        *box_end =
            format!("<span class=\"after\">{mark}</span>{box_end}").into();
        let spoken = (0..at).rev().find(|i| {
            page.parts[*i].kind == Kind::Close && page.parts[*i].name == "math"
        });
        if let Some(math) = spoken {
            page.parts[math].text.to_mut().push_str(&mark);
        }
        moved += 1;
    }
    moved
}

/// The text that follows a formula, past ends of emphasis, and the mark that
/// it begins with.
fn mark_after(page: &Page, formula: usize) -> Option<(usize, String)> {
    const INLINE: [&str; 5] = ["em", "strong", "a", "span", "i"];
    let text = (formula + 1..page.parts.len()).find(|at| {
        let part = &page.parts[*at];
        part.kind != Kind::Close || !INLINE.contains(&part.name)
    })?;
    let part = &page.parts[text];
    let mark = MARKS.find(&part.text).filter(|_| part.kind == Kind::Text)?;
    Some((text, mark.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMULA: &str = "<span class=\"katex\"><span class=\"katex-mathml\">\
        <math><mi>x</mi></math></span><span class=\"katex-html\">\
        <span class=\"base\">x</span><span class=\"base\">y</span></span></span>";

    fn kept(after: &str) -> (usize, String) {
        let text = format!("<main><p><em>{FORMULA}</em>{after}</p></main>");
        let mut page = Page::of(&text);
        let moved = keep(&mut page);
        (moved, page.text())
    }

    #[test]
    fn a_mark_moves_into_the_last_box() {
        for (after, mark, rest) in [
            (", so", ",", " so"),
            (").", ").", ""),
            ("-dimensional", "-", "dimensional"),
            ("’s row", "’s", " row"),
        ] {
            let (moved, page) = kept(after);
            assert_eq!(moved, 1, "{after}");
            let boxed = format!("y<span class=\"after\">{mark}</span></span>");
            assert!(page.contains(&boxed), "{page}");
            assert!(page.contains(&format!("</math>{mark}</span>")), "{page}");
            assert!(
                page.ends_with(&format!("</em>{rest}</p></main>")),
                "{page}"
            );
        }
    }

    #[test]
    fn other_text_stays() {
        for after in [" so", " (a)", "<code>,</code>"] {
            assert_eq!(kept(after).0, 0, "{after}");
        }
        let display = format!(
            "<main><span class=\"katex-display\">{FORMULA}</span>, a</main>"
        );
        assert_eq!(keep(&mut Page::of(&display)), 0);
        let outside = format!("<p>{FORMULA}, a</p>");
        assert_eq!(keep(&mut Page::of(&outside)), 0);
    }
}
