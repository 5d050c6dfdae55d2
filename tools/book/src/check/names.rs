//! Names in inline code that exist: of mistakes, of constants, of items of
//! the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::markdown::Markdown;
use super::source::files;
use super::{Problem, Source};

/// What inline code may name.
#[derive(Debug, Default)]
pub struct Names {
    /// Mistakes that an exercise names.
    mistakes: BTreeSet<String>,
    /// The words of each module of the crate; all of them, and those of the
    /// stubs, under the empty name.
    modules: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// The names of the project at `root`.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn of(
        root: &Path,
        mistakes: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let mut names = Self {
            mistakes: mistakes.clone(),
            modules: BTreeMap::new(),
        };
        for (dir, stubs) in [("src", false), ("exercises/src", true)] {
            for file in files(root, Path::new(dir)) {
                if file.extension().is_none_or(|e| e != "rs") {
                    continue;
                }
                let source = Source::read(root, &file)?;
                let words: BTreeSet<String> =
                    words(&source.text).map(str::to_owned).collect();
                let module = if stubs { None } else { module(&file) };
                // What a module has, those around it have: it may be handed
                // on from there.
                let mut path = module.unwrap_or_default();
                loop {
                    let own = names.modules.entry(path.clone()).or_default();
                    own.extend(words.iter().cloned());
                    if path.is_empty() {
                        break;
                    }
                    let up = path.rfind("::").unwrap_or(0);
                    path.truncate(up);
                }
            }
        }
        Ok(names)
    }

    /// What is wrong with the names on a page.
    pub fn check(&self, page: &Markdown) -> Vec<Problem> {
        page.inline_code()
            .filter_map(|(line, code)| {
                let wrong = self.code(code).or_else(|| self.item(code))?;
                Some(Problem::new((page.source.path.clone(), line), wrong))
            })
            .collect()
    }

    /// A word in capitals is a mistake or a constant.
    fn code(&self, code: &str) -> Option<String> {
        static CODE: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"^[A-Z][A-Z0-9_]*$").unwrap());
        let looks =
            CODE.is_match(code) && (code.contains('_') || code.len() > 4);
        let everywhere = self.modules.get("");
        let known = self.mistakes.contains(code)
            || everywhere.is_some_and(|all| all.contains(code));
        (looks && !known).then(|| {
            format!(
                "`{code}` is no mistake that an exercise names, and no \
                 constant of the crate or the stubs: correct it"
            )
        })
    }

    /// `network::linear::vjp`, with or without `backprop::` before it.
    fn item(&self, code: &str) -> Option<String> {
        static PATH: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+").unwrap()
        });
        let path = PATH.find(code)?.as_str();
        let (own, path) = match path.split_once("::") {
            Some(("backprop" | "crate", path)) => (true, path),
            _ => (false, path),
        };
        let mut parts = path.split("::").peekable();
        let mut inside = String::new();
        while let Some(part) = parts.peek() {
            let deeper = match inside.as_str() {
                "" => (*part).to_owned(),
                _ => format!("{inside}::{part}"),
            };
            if !self.modules.contains_key(&deeper) {
                break;
            }
            inside = deeper;
            parts.next();
        }
        // A path of another crate.
        if inside.is_empty() && !own {
            return None;
        }
        let words = self.modules.get(&inside)?;
        let missing = parts.find(|part| !words.contains(*part))?;
        let place = match inside.as_str() {
            "" => "the crate".to_owned(),
            _ => format!("`{inside}`"),
        };
        Some(format!("`{code}`: {place} has no `{missing}`"))
    }
}

/// Words of a source.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| w.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// The module that a file under `src` is: `network::linear` for
/// `src/network/linear/mod.rs`.
fn module(file: &Path) -> Option<String> {
    let file = file.strip_prefix("src").ok()?.with_extension("");
    let parts = file.components().filter_map(|c| c.as_os_str().to_str());
    let parts: Vec<&str> = parts
        .filter(|p| !["mod", "lib", "main"].contains(p))
        .collect();
    Some(parts.join("::"))
}
