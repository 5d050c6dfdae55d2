//! A drill as the page has it: one problem, its answer folded.

use examiner::drill;

use crate::kit::escape;
use crate::{Output, Text, Tolerance};

impl Output {
    /// A drill without scripts: what [`drill`] writes, as a fragment of
    /// Markdown.
    pub(crate) const fn drill(
        name: &'static str,
        text: fn() -> String,
    ) -> Self {
        Self {
            name,
            extension: "md",
            text: Text::Computed(text),
            tolerance: Tolerance::EXACT,
        }
    }
}

/// The problem of a seed, of the drill called so (`network/linear/entry`). On
/// the page a script takes the place over, and finds drill and seed in its
/// attributes.
///
/// # Panics
/// If there is no such drill.
pub(crate) fn drill(name: &str, seed: u64) -> String {
    let Some(drill) = drill::find(name) else {
        panic!("no drill is called {name}");
    };
    let problem = (drill.draw)(seed);
    format!(
        "<div class=\"drill\" data-drill=\"{name}\" data-seed=\"{seed}\">\n\
         <p><strong>Drill.</strong> {}</p>\n\
         <p class=\"question\">{}</p>\n\
         <details>\n<summary>Answer</summary>\n\
         <p class=\"worked\">{}</p>\n</details>\n</div>\n",
        escape(drill.about),
        lines(&problem.question),
        lines(&problem.worked),
    )
}

/// Text whose lines stay lines. None is empty: that would end the HTML.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_stands_on_the_page_of_its_chapter() {
        for found in drill::all() {
            let (slug, _) = found.name.rsplit_once('/').expect("a chapter");
            let chapter = crate::find(crate::chapters(), slug).expect("it");
            let div = format!("data-drill=\"{}\"", found.name);
            let shown = chapter.outputs.iter().any(|output| {
                matches!(output.text, Text::Computed(text)
                    if output.extension == "md" && text().contains(&div))
            });
            assert!(shown, "{}", found.name);
        }
    }

    #[test]
    fn a_drill_is_html_in_one_piece() {
        for found in drill::all() {
            for seed in 0..300 {
                let text = drill(found.name, seed);
                // Markdown ends HTML at an empty line.
                assert!(!text.contains("\n\n"), "{text}");
                for unescaped in ['$', '`', '{'] {
                    assert!(!text.contains(unescaped), "{text}");
                }
                let tree = roxmltree::Document::parse(&text).expect("a tree");
                let question = (tree.descendants())
                    .find(|node| node.attribute("class") == Some("question"));
                let problem = (found.draw)(seed);
                let question = question.and_then(|q| q.text());
                assert_eq!(question, Some(&*problem.question));
            }
        }
    }
}
