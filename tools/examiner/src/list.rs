//! The exercises, in the order of the book: the one place that names every
//! chapter.

use crate::{Exercise, Mistake, general};

/// Hands the chapters, in the order of the book, to a macro: whatever is a
/// list of chapters is made from this one.
#[macro_export]
macro_rules! chapters {
    ($list:ident) => {
        $list! {
            calculus::chain_rule,
            calculus::modes,
            network::linear,
            network::softmax_cross_entropy,
            network::mlp,
            depth::normalization,
            transformer::attention,
            transformer::lora,
            recurrent::bptt,
            discrete::straight_through,
            discrete::reinforce,
        }
    };
}

/// Every exercise, in the order of the book.
pub fn all() -> &'static [&'static Exercise] {
    macro_rules! exercises {
        ($($part:ident::$slug:ident,)+) => {
            &[$(&crate::$part::$slug::EXERCISE),+]
        };
    }
    crate::chapters!(exercises)
}

/// The exercise of that slug or name.
pub fn find(slug: &str) -> Option<&'static Exercise> {
    all()
        .iter()
        .copied()
        .find(|e| e.slug == slug || e.name() == slug)
}

/// Every mistake with a name: the general ones first, then chapter by chapter.
pub fn mistakes() -> impl Iterator<Item = &'static Mistake> {
    let chapters = all().iter().flat_map(|e| e.names);
    general::NAMES.iter().chain(chapters).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::collections::HashSet;

    #[test]
    fn exercises_keep_the_rules() {
        for e in all() {
            let n = e.tasks.len();
            assert!((5..=8).contains(&n), "{}: {n} tasks", e.slug);
            let kinds: HashSet<_> = e.tasks.iter().map(|t| t.kind).collect();
            assert!(kinds.len() >= 3, "{}: {} kinds", e.slug, kinds.len());
            let names: HashSet<_> = e.tasks.iter().map(|t| t.name).collect();
            assert_eq!(names.len(), n, "{}: two tasks share a name", e.slug);
            let built = e.tasks.iter().filter(|t| t.kind == Kind::Build);
            let built: u32 = built.map(|t| t.points).sum();
            assert!(
                10 * built <= 4 * e.points(),
                "{}: build carries {built} of {} points",
                e.slug,
                e.points()
            );
            for t in e.tasks {
                assert!(t.section.starts_with('#'), "{}/{}", e.slug, t.name);
                assert!(t.hints.iter().all(|h| h.len() > 20), "{}", t.name);
            }
        }
    }

    #[test]
    fn codes_are_unique_and_sentences_are_sentences() {
        let mut codes = HashSet::new();
        for m in mistakes() {
            assert!(codes.insert(m.code), "{m:?}");
            assert!(m.sentence.ends_with('.'), "{}", m.code);
            assert!(m.rule.ends_with(['.', '?']), "{}", m.code);
            assert!(m.page.contains(".md#"), "{}", m.code);
        }
    }

    /// Chapters that are not written stand in the summary without a page.
    #[test]
    fn the_order_is_that_of_the_summary() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let summary =
            std::fs::read_to_string(format!("{root}/book/src/SUMMARY.md"));
        let summary = summary.expect("a summary");
        let slugs: Vec<_> = all().iter().map(|e| e.slug).collect();
        let places: Vec<_> = (slugs.iter())
            .map(|slug| summary.find(&format!("({slug}.md)")))
            .collect();
        assert!(places.iter().all(Option::is_some), "{slugs:?}: {places:?}");
        assert!(places.is_sorted(), "{slugs:?}: {places:?}");
    }
}
