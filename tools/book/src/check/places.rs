//! Files that the text names exist.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::source::prose;
use super::{Problem, Source};

/// Paths of the repository in inline code that lead nowhere.
pub fn check(root: &Path, chapter: &Source) -> Vec<Problem> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"`((?:src|exercises|solutions|tools|book|tests|benches|data|docs)/[\w./-]*\.(?:rs|md|py|wgsl|json|toml|csv|npz|safetensors))`",
        )
        .unwrap()
    });
    let mut found = Vec::new();
    for (line, text) in prose(chapter) {
        for m in PLACE.captures_iter(text) {
            if !root.join(&m[1]).exists() {
                found.push(Problem::new(
                    (chapter.path.clone(), line),
                    format!("names {}, which does not exist", &m[1]),
                ));
            }
        }
    }
    found
}
