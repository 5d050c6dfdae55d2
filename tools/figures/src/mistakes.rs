//! The appendix: every mistake that the examiner knows by name.

use examiner::{Exercise, Mistake, list};
use std::fmt::Write;

use crate::{Chapter, Output, Text, Tolerance};

/// The list of all names, and a page for each part that has some.
pub static CHAPTER: Chapter = Chapter {
    slug: "mistakes",
    outputs: &[
        table("names", names),
        table("calculus", || explained("calculus")),
        table("network", || explained("network")),
        table("depth", || explained("depth")),
        table("transformer", || explained("transformer")),
        table("recurrent", || explained("recurrent")),
        table("discrete", || explained("discrete")),
    ],
    figures: &[],
};

const fn table(name: &'static str, text: fn() -> String) -> Output {
    Output {
        name,
        extension: "md",
        text: Text::Computed(text),
        tolerance: Tolerance::EXACT,
    }
}

/// The mistakes explained in the chapters of a part, chapter by chapter, in
/// the order of the book. What this page knows of the examiner.
fn known(part: &str) -> Vec<(&'static Exercise, Vec<&'static Mistake>)> {
    let of = |e: &&&Exercise| e.slug.starts_with(&format!("{part}/"));
    let chapters = list::all().iter().filter(of).map(|exercise| {
        let page = format!("{}.md#", exercise.slug);
        let here = |m: &&Mistake| m.page.starts_with(&page);
        let mut mistakes: Vec<_> = list::mistakes().filter(here).collect();
        mistakes.sort_by_key(|m| m.code);
        (*exercise, mistakes)
    });
    chapters.collect()
}

/// The parts that have a page.
fn parts() -> impl Iterator<Item = &'static str> {
    CHAPTER.outputs.iter().skip(1).map(|output| output.name)
}

/// Every name, linked to its explanation: a paragraph for each chapter.
fn names() -> String {
    let (mut count, mut text) = (0, String::new());
    for part in parts() {
        for (exercise, mistakes) in known(part) {
            count += mistakes.len();
            let link =
                |m: &&Mistake| format!("[{0}](mistakes/{part}.md#{0})", m.code);
            let links: Vec<_> = mistakes.iter().map(link).collect();
            let title = exercise.title;
            let _ = write!(text, "\n**{title}.**\n{}\n", links.join(",\n"));
        }
    }
    format!("{count} mistakes have a name.\n{text}")
}

/// The mistakes of a part: one section per chapter.
fn explained(part: &str) -> String {
    let mut text = String::new();
    for (exercise, mistakes) in known(part) {
        let (id, title) = (exercise.name().replace('_', "-"), exercise.title);
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}## {title} {{#mistakes-{id}}}");
        for m in mistakes {
            let _ = writeln!(
                text,
                "\n### {code} {{#{code}}}\n\n{sentence} *What one sees:* \
                 {signature}. *Rule:* {rule} [Read on](../{page})",
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_name_stands_on_the_page_of_its_part() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../book/src/mistakes");
        let mut all = 0;
        for part in parts() {
            let listed: usize = known(part).iter().map(|(_, m)| m.len()).sum();
            assert!(listed > 0, "{part} has a page and no name");
            assert!(pages.join(format!("{part}.md")).is_file(), "{part}");
            all += listed;
        }
        assert_eq!(
            all,
            list::mistakes().count(),
            "a part with names has no page"
        );
    }
}
