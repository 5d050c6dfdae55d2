//! Commands that the text tells the reader to type exist, with the words and
//! options that they are given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory};

use super::facts::{Exam, Exams};
use super::markdown::Markdown;
use super::source::{fences, files};
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
    /// The command lines behind `cargo <alias>`.
    pub tools: BTreeMap<String, Command>,
    /// What the examiner knows of the exercises.
    pub exercises: Exams,
    /// The mistakes that it has names for.
    pub mistakes: BTreeSet<String>,
}

impl Known {
    /// What the project at `root` knows, whose `cargo book` takes what `book`
    /// says.
    ///
    /// # Errors
    /// When its cargo configuration cannot be read.
    pub fn of_project(root: &Path, book: Command) -> Result<Self> {
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
        let tools = [
            ("book", book),
            ("grade", grade::command::command()),
            ("train", train::Cli::command()),
        ];
        known.tools = tools.map(|(name, c)| (name.into(), c)).into();
        let names = examiner::list::mistakes().map(|m| m.code.to_owned());
        known.mistakes = names.collect();
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

/// What is wrong with the commands of one page.
pub fn check(page: &Markdown, known: &Known) -> Vec<Problem> {
    let mut commands: Vec<(usize, &str, bool)> = page
        .inline_code()
        .map(|(line, code)| (line, code, true))
        .collect();
    for fence in fences(page.source) {
        for (line, text) in &fence.body {
            let text = text.trim_start();
            let typed = match fence.language() {
                "sh" | "bash" => Some(text.trim_start_matches("$ ")),
                _ => text.strip_prefix("$ "),
            };
            commands.extend(typed.map(|t| (*line, t, false)));
        }
    }
    commands
        .into_iter()
        .filter_map(|(line, command, named)| {
            let wrong = fault(command, named, known)?;
            let message = format!("`{command}`: {wrong}");
            Some(Problem::new((page.source.path.clone(), line), message))
        })
        .collect()
}

/// What is wrong with one command. In a sentence it may be only `named`, and
/// lack what it needs to run.
fn fault(command: &str, named: bool, known: &Known) -> Option<String> {
    let command = command.split(['#', ';', '|', '&', '>']).next()?;
    let mut words = command
        .split_whitespace()
        .skip_while(|w| w.contains('='))
        .peekable();
    words.next_if_eq(&"cargo")?;
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
    if let Some(tool) = known.tools.get(sub) {
        return refused(tool, &rest, named);
    }
    if sub == "demo" {
        return no_demo(&rest, known);
    }
    let at = rest.iter().position(|w| *w == "-p" || *w == "--package")?;
    let name = rest.get(at + 1).copied().unwrap_or("");
    (!known.packages.contains(name) && !placeholder(name))
        .then(|| format!("the workspace has no package `{name}`"))
}

/// What `cargo demo` would answer.
fn no_demo(rest: &[&str], known: &Known) -> Option<String> {
    let mut words = rest.iter().copied();
    let slug = words.next().filter(|s| !placeholder(s) && *s != "--help")?;
    let listed = |all: &mut dyn Iterator<Item = &String>| {
        all.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let Some(outputs) = known.demos.get(slug) else {
        let all = listed(&mut known.demos.keys());
        return Some(format!("there is no demo `{slug}`; there are {all}"));
    };
    let name = words.next().filter(|s| !placeholder(s))?;
    if !outputs.contains(name) {
        let all = listed(&mut outputs.iter());
        return Some(format!("`{slug}` has no output `{name}`; it has {all}"));
    }
    let more = words.next()?;
    Some(format!("`cargo demo` takes no `{more}` after an output"))
}

/// What a tool would answer instead of doing what it is asked for.
fn refused(tool: &Command, words: &[&str], named: bool) -> Option<String> {
    let parse = |words: &[&str]| {
        let all = ["cargo"].iter().chain(words);
        tool.clone().try_get_matches_from(all)
    };
    let mut parsed = parse(words);
    let mut named = named;
    let filled = words.iter().position(|w| placeholder(w));
    if let (Err(_), Some(at)) = (&parsed, filled) {
        // What comes before the place to fill in, and its option, is judged.
        let option = words[..at].last().is_some_and(|w| w.starts_with('-'));
        parsed = parse(&words[..at - usize::from(option)]);
        named = true;
    }
    match parsed {
        Ok(matches) => {
            let of = matches.subcommand().map_or(&matches, |(_, of)| of);
            let slug = of.try_get_one::<String>("exercise").ok()??;
            let exercise = examiner::list::find(slug)?;
            let typed = of.try_get_one::<String>("task").ok()??;
            let open = placeholder(typed);
            grade::command::task_of(of, exercise)
                .err()
                .filter(|_| !open)
        }
        Err(error) => {
            let message = error.render().to_string();
            let said = message.lines().next().unwrap_or_default();
            let said = said.trim_start_matches("error: ").to_owned();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
                ErrorKind::MissingSubcommand
                | ErrorKind::MissingRequiredArgument
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    if named =>
                {
                    None
                }
                _ => Some(said),
            }
        }
    }
}

/// `SLUG`, `<slug>`, `[SLUG]`, `…`: a place to fill in.
fn placeholder(word: &str) -> bool {
    let capital = word.starts_with(|c: char| c.is_ascii_uppercase());
    word.starts_with(['<', '[', '…'])
        || word.starts_with("...")
        || (capital && !word.contains(char::is_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let set = |words: &[&str]| words.iter().map(|w| (*w).into()).collect();
        Known {
            aliases: set(&["demo", "train", "grade"]),
            packages: set(&["exercises"]),
            demos: [("linear".into(), set(&["forward"]))].into(),
            tools: [
                ("grade".into(), grade::command::command()),
                ("train".into(), train::Cli::command()),
            ]
            .into(),
            ..Known::default()
        }
    }

    #[test]
    fn what_exists_passes() {
        for command in [
            "cargo test -p exercises",
            "PROPTEST_CASES=1 cargo test",
            "cargo demo linear",
            "cargo demo linear forward | head",
            "cargo demo SLUG",
            "cargo train digits --seed 3",
            "cargo train NAME",
            "cargo train gpt --out DIR",
            "cargo grade",
            "cargo grade linear --watch",
            "cargo grade SLUG",
            "cargo grade hint linear vjp",
            "cargo grade hint linear 1",
            "cargo grade hint linear TASK",
            "cargo grade try linear DIR # comment",
            "cargo grade --help",
            "cargo build --release",
        ] {
            assert_eq!(fault(command, false, &known()), None, "{command}");
        }
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (command, words) in [
            ("cargo trian digits", "no `cargo trian`"),
            ("cargo train digit", "'digit'"),
            ("cargo train digits --epoch", "'--epoch'"),
            ("cargo train digits --epochs many", "'many'"),
            ("cargo demo linaer", "`linaer`"),
            ("cargo demo linear backward", "`backward`"),
            ("cargo demo linear forward --fast", "`--fast`"),
            ("cargo test -p exercise", "`exercise`"),
            ("cargo grade lineal", "'lineal'"),
            ("cargo grade hint lineal", "'lineal'"),
            ("cargo grade hint lineal TASK", "'lineal'"),
            ("cargo grade linear nosuchtask", "has no task nosuchtask"),
            (
                "cargo grade hint linear nosuchtask",
                "has no task nosuchtask",
            ),
            ("cargo grade hint", "were not provided"),
        ] {
            let said = fault(command, false, &known()).unwrap_or_default();
            assert!(said.contains(words), "{command}: {said}");
        }
        // A sentence may speak of a command without all that it needs.
        assert_eq!(fault("cargo grade hint", true, &known()), None);
        assert!(fault("cargo grade hint lineal", true, &known()).is_some());
    }
}
