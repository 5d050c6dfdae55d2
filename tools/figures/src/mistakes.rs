//! The appendix: every mistake that the examiner knows by name.

use examiner::{Exercise, Mistake, list};
use std::fmt::Write;
use std::fs;
use std::path::Path;

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

/// Where the page's script puts the field that filters; its room is kept.
const FILTER: &str = "<div class=\"filter\"></div>\n";

/// Every name, linked to its explanation: a list for each chapter.
fn names() -> String {
    let mut text = FILTER.to_owned();
    for part in parts() {
        for (exercise, mistakes) in known(part) {
            let title = exercise.title;
            let _ = write!(
                text,
                "\n<div class=\"mistake-names\">\n\n**{title}**\n\n"
            );
            for m in mistakes {
                let _ =
                    writeln!(text, "- [{0}](mistakes/{part}.md#{0})", m.code);
            }
            text.push_str("\n</div>\n");
        }
    }
    text
}

/// The mistakes of a part: one section per chapter, one entry per name.
fn explained(part: &str) -> String {
    let mut text = FILTER.to_owned();
    for (exercise, mistakes) in known(part) {
        let (id, title) = (exercise.name().replace('_', "-"), exercise.title);
        let _ = writeln!(
            text,
            "\n<section class=\"mistakes\">\n\n## {title} {{#mistakes-{id}}}"
        );
        for m in mistakes {
            let _ = writeln!(
                text,
                "\n<section class=\"mistake\">\n\n### {code} {{#{code}}}\n\n\
                 {sentence}\n\n*You see* {signature}.\n\n\
                 *Rule* {rule} [{heading}](../{page})\n\n</section>",
                code = m.code,
                sentence = set(m.sentence),
                signature = set(m.signature),
                rule = set(m.rule),
                heading = heading(m.page),
                page = m.page,
            );
        }
        text.push_str("\n</section>\n");
    }
    text
}

/// The examiner writes for a terminal: its hyphens between spaces are minus
/// signs.
fn set(text: &str) -> String {
    text.replace(" - ", " − ")
}

/// The words of the heading that `page`, `network/linear.md#the-bias`, names.
fn heading(page: &str) -> String {
    let (file, id) = page.split_once('#').unwrap_or((page, ""));
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../book/src")
        .join(file);
    let text = fs::read_to_string(path).unwrap_or_default();
    named(&text, id).unwrap_or_else(|| id.replace('-', " "))
}

/// The words of the heading with this id.
fn named(page: &str, id: &str) -> Option<String> {
    let mark = format!("{{#{id}}}");
    let line = page
        .lines()
        .find(|l| l.starts_with('#') && l.trim_end().ends_with(&mark))?;
    let words = line.trim_end().strip_suffix(&mark)?;
    Some(words.trim_matches(['#', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_found_by_its_id() {
        let page = "# A {#a}\n\n## The bias, again {#the-bias}\n{#a}\n";
        assert_eq!(named(page, "the-bias").unwrap(), "The bias, again");
        assert_eq!(named(page, "bias"), None);
        assert_eq!(heading("none/such.md#its-name"), "its name");
    }

    #[test]
    fn an_entry_says_what_is_seen_and_where_to_read() {
        let text = explained("network");
        let (_, entry) = text.split_once("### BIAS_FORGOTTEN").unwrap();
        let (entry, _) = entry.split_once("</section>").unwrap();
        assert!(entry.contains("*You see* y − b on every row."), "{entry}");
        assert!(entry.contains("](../network/linear.md#"), "{entry}");
        assert!(!entry.contains("[the"), "no heading found: {entry}");
    }

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
