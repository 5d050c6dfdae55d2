//! Quotes, dashes and minus signs in text that is written as HTML and so
//! never sees the Markdown parser: captions, shapes, questions.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::markup::{Kind, Page};

/// Sets them; returns how many texts changed.
pub fn set(page: &mut Page) -> usize {
    let mut changed = 0;
    for at in page.main() {
        if page.parts[at].kind != Kind::Text {
            continue;
        }
        let shapes = page.inside_class(at, "shapes");
        let raw = shapes
            || page.inside(at, &["figcaption", "summary"])
            || page.inside_class(at, "facts");
        let verbatim = page.inside(at, &["code", "pre", "svg", "math"])
            || page.inside_class(at, "katex");
        if !raw || verbatim {
            continue;
        }
        let set = typeset(&page.parts[at].text, shapes);
        if set != page.parts[at].text {
            page.parts[at].text = set.into();
            changed += 1;
        }
    }
    changed
}

fn typeset(text: &str, shapes: bool) -> String {
    static NEGATIVE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(^|[\s(\[=])-(\d)").unwrap());
    static QUOTE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(^|[\s(\[])?(?:"|&quot;)"#).unwrap());
    static APOSTROPHE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(\w)(?:'|&#39;|&#x27;)").unwrap());
    let text = APOSTROPHE.replace_all(text, "$1’");
    let text = QUOTE.replace_all(&text, |m: &Captures| match m.get(1) {
        Some(before) => format!("{}“", before.as_str()),
        None => "”".to_owned(),
    });
    let text = NEGATIVE.replace_all(&text, "$1−$2");
    let text = text.replace("...", "…");
    if shapes {
        text.replace(" - ", " − ")
    } else {
        text.replace(" -- ", " – ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_text_is_set_as_other_text_is() {
        for (text, set) in [
            ("the label's, from -40 to 20", "the label’s, from −40 to 20"),
            ("say \"no\" (\"yes\") ...", "say “no” (“yes”) …"),
            ("a well-set page, 3-4", "a well-set page, 3-4"),
            ("a -- b", "a – b"),
        ] {
            assert_eq!(typeset(text, false), set);
        }
        assert_eq!(typeset("(V,V) - (V,1)(1,V)", true), "(V,V) − (V,1)(1,V)");
    }

    #[test]
    fn only_where_markdown_does_not_look() {
        let text = "<main><p>it's</p><figcaption>it's <code>it's</code>\
                    </figcaption></main>";
        let mut page = Page::of(text);
        assert_eq!(set(&mut page), 1);
        let set = "<figcaption>it’s <code>it's</code>";
        assert!(page.text().contains(set));
    }
}
