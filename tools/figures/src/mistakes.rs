//! The appendix: every mistake that the examiner knows by name.

use examiner::list;
use std::fmt::Write;

use crate::{Chapter, Output, Text, Tolerance};

/// The catalogue as the book prints it.
pub static CHAPTER: Chapter = Chapter {
    slug: "mistakes",
    outputs: &[Output {
        name: "catalogue",
        extension: "md",
        text: Text::Computed(catalogue),
        tolerance: Tolerance::EXACT,
    }],
    figures: &[],
};

/// One section per chapter in which the mistakes are explained.
fn catalogue() -> String {
    let mut text =
        format!("{} mistakes have a name.\n", list::mistakes().count());
    for e in list::all() {
        let of = |page: &str| page.starts_with(&format!("{}.md#", e.slug));
        let mut mistakes: Vec<_> =
            list::mistakes().filter(|m| of(m.page)).collect();
        mistakes.sort_by_key(|m| m.code);
        let (id, title) = (e.name().replace('_', "-"), e.title);
        let _ = writeln!(text, "\n## {title} {{#mistakes-{id}}}");
        for m in mistakes {
            let _ = writeln!(
                text,
                "\n### {code} {{#{code}}}\n\n{sentence} *What one sees:* \
                 {signature}. *Rule:* {rule} [Read on]({page})",
                code = m.code,
                sentence = m.sentence,
                signature = m.signature,
                rule = m.rule,
                page = m.page,
            );
        }
    }
    text
}
