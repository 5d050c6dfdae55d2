//! Marks that the manuscript uses in one way only: the box of a claim, the
//! bar of a cotangent, the error signal.

use std::sync::LazyLock;

use regex::Regex;

use super::formulas::formulas;
use super::source::prose;
use super::{Problem, Source};

/// What is wrong with the marks of one page. `delta` is whether the page
/// lends δ for a use of its own.
pub fn check(chapter: &Source, delta: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut tell = |line, message: &str| {
        found.push(Problem::new((chapter.path.clone(), line), message));
    };
    let mut claims = 0;
    for (line, text) in prose(chapter) {
        if text.contains("[!NOTE]") {
            tell(
                line,
                "a note: write a claim as <aside class=\"claim\" \
                 aria-label=\"A claim you may meet\">, an empty line, \
                 Markdown, an empty line, </aside>, and anything else as text",
            );
        }
        if text.contains("class=\"claim\"") {
            claims += 1;
            if claims > 1 {
                tell(
                    line,
                    "a second box with a claim: a chapter has one at most",
                );
            }
        }
    }
    for formula in formulas(chapter) {
        if has_bar(formula.tex) {
            tell(
                formula.line,
                "`\\bar`: a bar is for a cotangent, write `\\cot{…}`",
            );
        }
        if !delta && has_delta(formula.tex) {
            tell(
                formula.line,
                "`\\delta`: write the error signal as `\\err`; Kronecker's \
                 has two indices, `\\delta_{ij}`; any other is named in this \
                 page's row of *Letters with a second job*",
            );
        }
    }
    found
}

fn has_bar(tex: &str) -> bool {
    static BAR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\bar(?:[^a-zA-Z]|$)").unwrap());
    BAR.is_match(tex)
}

/// Whether there is a δ without two indices.
fn has_delta(tex: &str) -> bool {
    static KRONECKER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\\delta\s*_\s*\{\s*[a-z]\s*,?\s*[a-z]\s*\}").unwrap()
    });
    static DELTA: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\delta(?:[^a-zA-Z]|$)").unwrap());
    DELTA.is_match(&KRONECKER.replace_all(tex, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, delta: bool) -> Vec<usize> {
        let source = Source {
            path: "a.md".into(),
            text: text.into(),
        };
        check(&source, delta).iter().map(|p| p.line).collect()
    }

    #[test]
    fn sound_marks_pass() {
        let text = "<aside class=\"claim\">\n\n*x*\n\n</aside>\n\n\
                    $\\cot{x} = \\delta_{ij} - \\delta_{k, l}$ `\\bar{x}`\n";
        assert_eq!(lines(text, false), [0; 0]);
        assert_eq!(lines("$\\delta_t$", true), [0; 0]);
    }

    #[test]
    fn others_are_named() {
        let claim = "<aside class=\"claim\">\n\n*x*\n\n</aside>\n";
        assert_eq!(lines(&claim.repeat(2), false), [6]);
        assert_eq!(lines("a\n\n> [!NOTE]\n> b\n", false), [3]);
        assert_eq!(lines("a\n$\\bar{x}$ $\\bar x$", false), [2, 2]);
        for delta in ["\\delta", "\\delta^l", "\\delta_i + \\delta_{ij}"] {
            assert_eq!(lines(&format!("${delta}$"), false), [1], "{delta}");
        }
    }
}
