//! Commands that the text tells the reader to type exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use anyhow::Result;
use regex::Regex;

use super::facts::{Exam, Exams};
use super::source::{fences, files, prose};
use super::{Problem, Source};

/// Subcommands of cargo itself that a reader of this book may need.
const BUILT_IN: &[&str] = &[
    "add", "bench", "build", "check", "clean", "clippy", "doc", "fetch", "fmt",
    "install", "metadata", "run", "test", "tree", "update",
];

/// What can be typed after `cargo`, and what the exercises are.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Aliases of the project.
    pub aliases: BTreeSet<String>,
    /// Packages of the workspace, for `-p`.
    pub packages: BTreeSet<String>,
    /// Chapters of `cargo demo` with the outputs of each.
    pub demos: BTreeMap<String, BTreeSet<String>>,
    /// First arguments that `cargo <alias>` takes.
    pub arguments: BTreeMap<String, BTreeSet<String>>,
    /// What the examiner knows of the exercises.
    pub exercises: Exams,
}

impl Known {
    /// What the project at `root` knows.
    ///
    /// # Errors
    /// When its cargo configuration cannot be read.
    pub fn of_project(root: &Path) -> Result<Self> {
        let mut known = Self::default();
        let config = Source::read(root, Path::new(".cargo/config.toml"))?;
        known.aliases = aliases(&config.text);
        for file in files(root, Path::new("")) {
            if file.ends_with("Cargo.toml") {
                let manifest = Source::read(root, &file)?;
                known.packages.extend(package(&manifest.text));
            }
        }
        for chapter in figures::chapters() {
            let outputs: BTreeSet<String> =
                chapter.outputs.iter().map(|o| o.name.into()).collect();
            known.demos.insert(chapter.short().into(), outputs.clone());
            known.demos.insert(chapter.slug.into(), outputs);
        }
        let exercises = files(root, Path::new("exercises/src"))
            .into_iter()
            .filter_map(|f| Some(f.file_stem()?.to_str()?.to_owned()));
        let mut grade = words(root, "tools/grade/src");
        grade.extend(exercises);
        known.arguments.insert("grade".into(), grade);
        let train = words(root, "tools/train/src");
        known.arguments.insert("train".into(), train);
        let book = ["serve", "build", "check", "stock", "figures"];
        let book = book.map(String::from).into();
        known.arguments.insert("book".into(), book);
        for exercise in examiner::list::all() {
            let exam = Exam {
                minutes: exercise.minutes,
                tasks: exercise.tasks.len(),
                points: exercise.points(),
            };
            known.exercises.insert(exercise.slug.into(), exam);
        }
        Ok(known)
    }
}

/// The names in the `[alias]` table.
fn aliases(config: &str) -> BTreeSet<String> {
    config
        .lines()
        .skip_while(|l| l.trim() != "[alias]")
        .skip(1)
        .take_while(|l| !l.trim_start().starts_with('['))
        .filter_map(|l| Some(l.split_once('=')?.0.trim().to_owned()))
        .collect()
}

fn package(manifest: &str) -> Option<String> {
    let line = manifest
        .lines()
        .skip_while(|l| l.trim() != "[package]")
        .find(|l| l.starts_with("name"))?;
    Some(line.split('"').nth(1)?.to_owned())
}

/// What the command line of a tool may be asked for: the variants of its
/// enums (`Digits` is typed `digits`) and the names in its strings.
fn words(root: &Path, dir: &str) -> BTreeSet<String> {
    static VARIANT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^    ([A-Z][A-Za-z]+)\s*[,({]").unwrap()
    });
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""([a-z][a-z_-]+)""#).unwrap());
    let mut all = BTreeSet::new();
    for file in files(root, Path::new(dir)) {
        let Ok(source) = Source::read(root, &file) else {
            continue;
        };
        for m in VARIANT.captures_iter(&source.text) {
            let mut word = String::new();
            for (i, c) in m[1].chars().enumerate() {
                if c.is_uppercase() && i > 0 {
                    word.push('-');
                }
                word.extend(c.to_lowercase());
            }
            all.insert(word);
        }
        all.extend(NAME.captures_iter(&source.text).map(|m| m[1].to_owned()));
    }
    all
}

/// What is wrong with the commands of one chapter.
pub fn check(chapter: &Source, known: &Known) -> Vec<Problem> {
    static INLINE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"`(cargo [^`]+)`").unwrap());
    let mut commands: Vec<(usize, &str)> = Vec::new();
    for (line, text) in prose(chapter) {
        let inline = INLINE.captures_iter(text);
        commands
            .extend(inline.filter_map(|m| Some((line, m.get(1)?.as_str()))));
    }
    for fence in fences(chapter) {
        for (line, text) in fence.body {
            let text = text.trim_start();
            let typed = match fence.info.split([',', ' ']).next() {
                Some("sh" | "bash") => Some(text),
                _ => text.strip_prefix("$ "),
            };
            commands.extend(
                typed.filter(|t| t.starts_with("cargo ")).map(|t| (line, t)),
            );
        }
    }
    commands
        .into_iter()
        .filter_map(|(line, command)| {
            let wrong = fault(command, known)?;
            let message = format!("`{command}`: {wrong}");
            Some(Problem::new((chapter.path.clone(), line), message))
        })
        .collect()
}

/// What is wrong with one command.
fn fault(command: &str, known: &Known) -> Option<String> {
    let command = command.split([';', '|', '#']).next()?;
    let mut words = command.split_whitespace().skip(1).peekable();
    let sub = words.next()?;
    if sub.starts_with('-') {
        return None;
    }
    if !known.aliases.contains(sub) && !BUILT_IN.contains(&sub) {
        let all: Vec<_> = known.aliases.iter().map(String::as_str).collect();
        return Some(format!(
            "there is no `cargo {sub}`; the project's own are {}",
            all.join(", ")
        ));
    }
    let rest: Vec<&str> = words.collect();
    if let Some(i) = rest.iter().position(|w| *w == "-p" || *w == "--package") {
        let name = rest.get(i + 1).copied().unwrap_or("");
        if !known.packages.contains(name) && !placeholder(name) {
            return Some(format!("the workspace has no package `{name}`"));
        }
    }
    let mut args = rest
        .iter()
        .copied()
        .filter(|w| !w.starts_with('-'))
        .peekable();
    if sub == "demo" {
        let slug = args.next().filter(|s| !placeholder(s))?;
        let Some(outputs) = known.demos.get(slug) else {
            let all: Vec<_> = known.demos.keys().map(String::as_str).collect();
            return Some(format!(
                "there is no demo `{slug}`; there are {}",
                all.join(", ")
            ));
        };
        let name = args.next().filter(|s| !placeholder(s))?;
        if !outputs.contains(name) {
            let all: Vec<_> = outputs.iter().map(String::as_str).collect();
            return Some(format!(
                "`{slug}` has no output `{name}`; it has {}",
                all.join(", ")
            ));
        }
        return None;
    }
    let allowed = known.arguments.get(sub)?;
    // An option may take the next word: only a leading word is judged.
    let first = rest.first().filter(|w| !w.starts_with('-'))?;
    if allowed.contains(*first) || placeholder(first) {
        return None;
    }
    Some(format!("`cargo {sub}` does not know `{first}`"))
}

/// `SLUG`, `<slug>`, `[SLUG]`, `…`: a place to fill in.
fn placeholder(word: &str) -> bool {
    word.starts_with(['<', '[', '…'])
        || word.starts_with("...")
        || !word.chars().any(|c| c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let set = |words: &[&str]| words.iter().map(|w| (*w).into()).collect();
        Known {
            aliases: set(&["demo", "train", "grade", "book"]),
            packages: set(&["exercises"]),
            demos: [("linear".into(), set(&["forward"]))].into(),
            arguments: [("train".into(), set(&["digits"]))].into(),
            exercises: Exams::new(),
        }
    }

    #[test]
    fn what_exists_passes() {
        for command in [
            "cargo test -p exercises",
            "cargo demo linear",
            "cargo demo linear forward",
            "cargo demo SLUG",
            "cargo train digits --seed 3",
            "cargo train NAME",
            "cargo grade anything",
            "cargo build --release",
        ] {
            assert_eq!(fault(command, &known()), None, "{command}");
        }
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (command, word) in [
            ("cargo trian digits", "trian"),
            ("cargo train digit", "digit"),
            ("cargo demo linaer", "linaer"),
            ("cargo demo linear backward", "backward"),
            ("cargo test -p exercise", "exercise"),
        ] {
            let said = fault(command, &known()).unwrap_or_default();
            assert!(said.contains(&format!("`{word}`")) || said.contains(word));
        }
    }
}
