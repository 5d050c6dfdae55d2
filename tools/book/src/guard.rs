//! Keeps MathML whole on its way through the Markdown parser.
//!
//! KaTeX writes the raw TeX of a formula into `<annotation>`, and the page is
//! parsed as Markdown only afterwards: `_i ... _j` becomes emphasis,
//! `[x](y)` a link, `'` a curly quote. The guard runs after KaTeX and writes
//! those characters as numeric entities, inside `<math>` elements only.

use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::errors::Result;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

/// Characters that Markdown, tables or smart punctuation would act on.
const ACTIVE: &str = r#"_*\[]~|"'`-.:!"#;

/// The preprocessor: put it after KaTeX.
pub struct MathGuard;

impl Preprocessor for MathGuard {
    fn name(&self) -> &str {
        "math-guard"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> Result<Book> {
        book.for_each_chapter_mut(|c| c.content = guard(&c.content));
        Ok(book)
    }
}

/// `text` with every active character inside the text nodes of
/// `<math ...>...</math>` written as an entity; all else is unchanged.
pub fn guard(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(start) = rest.find("<math ") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find("</math>").unwrap_or(from.len());
        let (math, after) = from.split_at(end);
        let mut in_tag = false;
        for c in math.chars() {
            match c {
                '<' => in_tag = true,
                '>' => in_tag = false,
                _ => {}
            }
            if !in_tag && ACTIVE.contains(c) {
                out.push_str(&format!("&#{};", c as u32));
            } else {
                out.push(c);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::guard;

    #[test]
    fn only_text_inside_math_changes() {
        let page = "a_b <math xmlns=\"u_v\"><mi>a_b</mi></math> c_d";
        assert_eq!(
            guard(page),
            "a_b <math xmlns=\"u_v\"><mi>a&#95;b</mi></math> c_d"
        );
    }

    #[test]
    fn entities_of_katex_stay_whole() {
        let page = "<math x=\"\"><annotation>a &amp; b</annotation></math>";
        assert_eq!(guard(page), page);
    }
}
