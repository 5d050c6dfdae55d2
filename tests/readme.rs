//! Every command that the README and CONTRIBUTING tell a reader to type names
//! things that exist: aliases, packages, tests, features, subcommands,
//! options, files. Nothing is run: a name that has been changed and left
//! standing in the text is what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Subcommands of cargo itself that a reader may be told to use.
const CARGO: [&str; 13] = [
    "add", "bench", "build", "check", "clean", "clippy", "doc", "fmt", "help",
    "install", "run", "test", "tree",
];

/// Programs that are no part of this repository.
const PROGRAMS: [&str; 12] = [
    "apt-get", "brew", "cd", "code", "export", "git", "mdbook", "pip",
    "python", "python3", "rustup", "sudo",
];

/// Languages of a fenced block that holds commands.
const SHELL: [&str; 5] = ["", "bash", "console", "sh", "shell"];

#[test]
fn every_command_in_the_readme_exists() {
    let repository = Repository::read();
    let faults: Vec<String> = ["README.md", "CONTRIBUTING.md"]
        .into_iter()
        .filter_map(|file| {
            let text = fs::read_to_string(root().join(file)).ok()?;
            Some(faults(file, &text, &repository))
        })
        .flatten()
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What a learner reads is printed by the examiner, on the title page and in
/// the README.
#[test]
fn the_readme_shows_the_report_of_a_real_run() {
    let read = |p: &str| fs::read_to_string(root().join(p)).expect(p);
    let file = "book/src/generated/title/first_verdict.txt";
    let run = read(file);
    let (command, report) = run.split_once('\n').expect("a command");
    assert_eq!(command, "$ cargo demo title first_verdict");
    assert!(report.contains("OUTER_AT_INPUT"), "{report}");
    let readme = read("README.md");
    let (_, block) = readme.split_once(file).expect("the block's source");
    let (_, block) = block.split_once("```text\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    assert_eq!(block.trim_end(), report.trim_end());
}

// ------------------------------------------------------------ the repository

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names that a command may use.
struct Repository {
    /// `cargo NAME`, and what it stands for.
    aliases: BTreeMap<String, Vec<String>>,
    /// Package to folder.
    packages: BTreeMap<String, PathBuf>,
    /// Chapters, from the list of exercises and demos.
    slugs: BTreeSet<String>,
}

impl Repository {
    fn read() -> Self {
        let read = |p: &str| fs::read_to_string(root().join(p)).expect(p);
        let aliases = section(&read(".cargo/config.toml"), "alias")
            .into_iter()
            .map(|(k, v)| (k, v.split_whitespace().map(Into::into).collect()))
            .collect();
        let manifest = read("Cargo.toml");
        let members = manifest.split("members = [").nth(1).expect("members");
        let packages = quoted(members.split(']').next().expect("a list"))
            .into_iter()
            .map(|folder| {
                let toml = read(&format!("{folder}/Cargo.toml"));
                let name = section(&toml, "package").remove("name");
                (name.expect("a package name"), root().join(folder))
            })
            .collect();
        let mut slugs = BTreeSet::new();
        for rooms in ["exercises/src", "tools/figures/src"] {
            for file in files(&root().join(rooms)) {
                let stem = file.with_extension("");
                if let Some(name) = stem.file_name() {
                    slugs.insert(name.to_string_lossy().into_owned());
                }
            }
        }
        Self {
            aliases,
            packages,
            slugs,
        }
    }
}

/// The `key = "value"` lines of one section of a TOML file.
fn section(toml: &str, name: &str) -> BTreeMap<String, String> {
    toml.lines()
        .skip_while(|l| l.trim() != format!("[{name}]"))
        .skip(1)
        .take_while(|l| !l.starts_with('['))
        .filter_map(|l| {
            let (key, value) = l.split_once('=')?;
            let value = value.trim().trim_matches('"');
            Some((key.trim().into(), value.into()))
        })
        .collect()
}

fn quoted(list: &str) -> Vec<String> {
    list.split('"').skip(1).step_by(2).map(Into::into).collect()
}

/// All Rust files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut found = vec![];
    for path in entries.filter_map(Result::ok).map(|e| e.path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

// -------------------------------------------------------------- the document

/// `FILE:LINE: COMMAND: what is wrong` for every fault.
fn faults(file: &str, text: &str, repository: &Repository) -> Vec<String> {
    let commands = commands(text).into_iter();
    commands
        .filter_map(|(line, command)| {
            let fault = fault(&command, repository)?;
            Some(format!("{file}:{line}: `{command}`: {fault}"))
        })
        .collect()
}

/// Commands in fenced shell blocks, and `cargo …` in inline code.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    let mut fence: Option<bool> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            fence = match fence {
                None => Some(SHELL.contains(&language.trim())),
                Some(_) => None,
            };
            continue;
        }
        match fence {
            Some(true) => {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                let line = line.split(" #").next().unwrap_or_default();
                let parts = line.split("&&").flat_map(|l| l.split(['|', ';']));
                let parts = parts.map(str::trim);
                let parts =
                    parts.filter(|p| !p.is_empty() && !p.starts_with('#'));
                found.extend(parts.map(|p| (number, p.to_owned())));
            }
            Some(false) => {}
            None => {
                let spans = line.split('`').skip(1).step_by(2);
                let spans = spans.filter(|s| s.starts_with("cargo "));
                found.extend(spans.map(|s| (number, s.to_owned())));
            }
        }
    }
    found
}

/// What is wrong with a command, if anything is.
fn fault(command: &str, repository: &Repository) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let assigned = words.iter().take_while(|w| is_assignment(w)).count();
    let (program, words) = words[assigned..].split_first()?;
    if let Some(missing) = words.iter().find(|w| is_missing_path(w)) {
        return Some(format!("no file {missing}"));
    }
    if *program == "cargo" {
        return cargo_fault(words, repository);
    }
    if program.contains('/') {
        let path = root().join(program.trim_start_matches("./"));
        return (!path.exists()).then(|| format!("no file {program}"));
    }
    (!PROGRAMS.contains(program)).then(|| format!("unknown program {program}"))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    })
}

/// A path of this repository, and not an address, an option or a placeholder.
fn is_missing_path(word: &str) -> bool {
    let ours = [".md", ".py", ".rs", ".toml"];
    let is_path = ours.iter().any(|e| word.ends_with(e)) && word.contains('/');
    let foreign = ["://", "<", "*", "~", "…"].iter().any(|s| word.contains(s));
    is_path && !foreign && !root().join(word).exists()
}

fn cargo_fault(words: &[&str], repository: &Repository) -> Option<String> {
    let (subcommand, words) = words.split_first()?;
    if let Some(alias) = repository.aliases.get(*subcommand) {
        let alias: Vec<&str> = alias.iter().map(String::as_str).collect();
        let package = value(&alias, &["-p", "--package"])?;
        let Some(folder) = repository.packages.get(package) else {
            return Some(format!("the alias names no package {package}"));
        };
        return tool_fault(words, folder, repository);
    }
    if !CARGO.contains(subcommand) {
        return Some(format!("neither cargo nor an alias knows {subcommand}"));
    }
    let mut folder = root();
    if let Some(package) = value(words, &["-p", "--package"]) {
        match repository.packages.get(package) {
            Some(found) => folder = found,
            None => return Some(format!("no package {package}")),
        }
    }
    for (option, place) in [
        ("--test", "tests"),
        ("--bench", "benches"),
        ("--example", "examples"),
        ("--bin", "src/bin"),
    ] {
        if let Some(name) = value(words, &[option]) {
            let place = folder.join(place);
            let file = place.join(format!("{name}.rs"));
            if !file.exists() && !place.join(name).join("main.rs").exists() {
                return Some(format!("no {option} {name}"));
            }
        }
    }
    let features = value(words, &["--features", "-F"])?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let known = section(&manifest, "features");
    let mut names = features.split(',');
    let unknown = names.find(|f| !known.contains_key(*f))?;
    Some(format!("no feature {unknown}"))
}

/// The word after one of the options.
fn value<'a>(words: &[&'a str], options: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|w| options.contains(w))?;
    words.get(at + 1).copied()
}

/// Each word given to one of our tools must be a chapter, or stand in the
/// tool's source as an option, a variant or a string.
fn tool_fault(
    words: &[&str],
    folder: &Path,
    repository: &Repository,
) -> Option<String> {
    let sources = files(&folder.join("src")).into_iter();
    let source: String =
        sources.filter_map(|f| fs::read_to_string(f).ok()).collect();
    let known = |word: &str| {
        let snake = word.replace('-', "_");
        let camel: String = word.split('-').map(capitalised).collect();
        repository.slugs.contains(&snake)
            || has_word(&source, &snake)
            || has_word(&source, &camel)
            || source.contains(&format!("\"{word}\""))
    };
    words
        .iter()
        .map(|w| w.trim_start_matches('[').trim_end_matches(']'))
        .map(|w| w.split_once('=').map_or(w, |(name, _)| name))
        .map(|w| w.strip_prefix("--").unwrap_or(w))
        .filter(|w| w.chars().next().is_some_and(|c| c.is_ascii_lowercase()))
        .filter(|w| !w.contains(['/', '.'])) // a file name
        .find(|w| !known(w))
        .map(|w| format!("the tool knows no {w}"))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or(String::new(), |c| c.to_uppercase().chain(letters).collect())
}

/// `word` in `text` with no letter, digit or underscore beside it.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

// ------------------------------------------------------ the test of the test

#[test]
fn a_command_that_is_right_has_no_fault() {
    let text = "\
Type `cargo grade linear` or `cargo book`.

```sh
git clone https://example.org/backprop && cd backprop
cargo test                      # everything
$ cargo test -p exercises
cargo test -p backprop --test gradcheck
cargo test --no-default-features --features parallel
RUSTDOCFLAGS=\"-D\" cargo doc --no-deps
cargo grade SLUG
python tests/reference/ops.py
```

```rust
cargo nonsense
```
";
    let repository = Repository::read();
    assert_eq!(faults("x", text, &repository), Vec::<String>::new());
    assert_eq!(commands(text).len(), 11);
}

#[test]
fn each_kind_of_fault_is_found() {
    let repository = Repository::read();
    for (command, wrong) in [
        ("cargo boook", "neither cargo nor an alias knows boook"),
        ("cargo book chekc", "the tool knows no chekc"),
        ("cargo grade --formatt json", "the tool knows no formatt"),
        ("cargo test -p exercizes", "no package exercizes"),
        ("cargo test --test nothing", "no --test nothing"),
        ("cargo bench --bench nothing", "no --bench nothing"),
        ("cargo test --features gpux", "no feature gpux"),
        (
            "python tests/reference/nothing.py",
            "no file tests/reference/nothing.py",
        ),
        ("./nothing/run --now", "no file ./nothing/run"),
        ("carg test", "unknown program carg"),
    ] {
        let text = format!("one\n```sh\n{command}\n```\n");
        assert_eq!(
            faults("README.md", &text, &repository),
            [format!("README.md:3: `{command}`: {wrong}")],
        );
    }
    let inline = faults("README.md", "a `cargo boook` b", &repository);
    assert_eq!(inline.len(), 1, "{inline:?}");
}
