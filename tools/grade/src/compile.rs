//! Cargo builds the answers' test targets, one per answer.

use crate::Error;
use crate::slips::{self, Message};
use crate::workspace::Workspace;
use examiner::direct;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;

/// What becomes known while cargo works.
#[derive(Debug)]
pub enum News {
    /// Cargo compiles this crate now.
    Compiling(String),
    /// The test binary of this target is there, or the compiler's errors are.
    Target(String, Result<PathBuf, String>),
}

/// One line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct Line {
    reason: String,
    #[serde(default)]
    target: Target,
    executable: Option<PathBuf>,
    message: Option<Message>,
}

#[derive(Default, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds these test targets in one go and sends what becomes of each as soon
/// as it is known. All of them are built even if one has an error.
///
/// `cargo build --test` gives the same binaries as `cargo test --no-run`, and
/// unlike it can keep going.
///
/// # Errors
/// If cargo cannot be started, or stops before it comes to the targets.
pub fn compile(
    workspace: &Workspace,
    targets: &[&str],
    colour: bool,
    news: &Sender<News>,
) -> Result<(), Error> {
    if targets.is_empty() {
        return Ok(());
    }
    let mut cargo = cargo(workspace, "build");
    let format = if colour {
        "-diagnostic-rendered-ansi"
    } else {
        ""
    };
    cargo
        .args(["--keep-going", "--package", &workspace.name])
        .arg(format!("--message-format=json{format}"));
    for target in targets {
        cargo.args(["--test", target]);
    }
    let started = cargo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        started.map_err(|e| Error::Cargo(format!("it did not start: {e}")))?;
    let stdout = child.stdout.take().expect("piped");
    let stderr = child.stderr.take().expect("piped");
    let progress = news.clone();
    let stderr = std::thread::spawn(move || relay(stderr, &progress));

    let mut errors: HashMap<String, String> = HashMap::new();
    let mut elsewhere = String::new();
    let mut built = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        let Ok(line) = serde_json::from_str::<Line>(&line) else {
            continue;
        };
        // No dependency is a test target.
        let ours = line.target.kind.iter().any(|k| k == "test");
        let name = line.target.name;
        match line.reason.as_str() {
            "compiler-artifact" if ours => {
                if let Some(binary) = line.executable {
                    built.push(name.clone());
                    let _ = news.send(News::Target(name, Ok(binary)));
                }
            }
            "compiler-message" => {
                let Some(message) = line.message else {
                    continue;
                };
                if message.level.starts_with("error") {
                    if ours {
                        *errors.entry(name).or_default() += &shown(&message);
                    } else {
                        elsewhere += &message.rendered.unwrap_or_default();
                    }
                }
            }
            _ => {}
        }
    }
    let _ = child.wait();
    let said = stderr.join().unwrap_or_default();
    if !elsewhere.is_empty() {
        return Err(Error::Library(elsewhere));
    }
    for target in targets {
        if built.iter().any(|b| b == target) {
            continue;
        }
        let Some(text) = errors.remove(*target) else {
            return Err(Error::Cargo(said));
        };
        let why = Err(tidy(&text));
        let _ = news.send(News::Target((*target).to_owned(), why));
    }
    Ok(())
}

/// A command of cargo, in the workspace, for the build that this program came
/// from. It needs no network: whoever built this program has everything.
pub fn cargo(workspace: &Workspace, command: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.current_dir(&workspace.root).stdin(Stdio::null());
    // What cargo tells the programs that it runs about their package does not
    // concern the cargo inside.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
        if of_package.iter().any(|p| text.starts_with(p)) {
            cargo.env_remove(&name);
        }
    }
    cargo.args([command, "--offline", "--color=never"]);
    let build = &workspace.build;
    if let Some(directory) = &build.directory {
        cargo.arg("--target-dir").arg(directory);
    }
    if let Some(triple) = &build.triple {
        cargo.args(["--target", triple]);
    }
    if let Some(profile) = &build.profile {
        cargo.args(["--profile", profile]);
    }
    cargo
}

/// Relays what cargo compiles; returns everything else that it says.
fn relay(stderr: impl Read, news: &Sender<News>) -> String {
    let mut said = String::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        match line.trim_start().strip_prefix("Compiling ") {
            Some(package) => {
                let name = package.split(' ').next().unwrap_or_default();
                let _ = news.send(News::Compiling(name.to_owned()));
            }
            None => {
                said += &line;
                said.push('\n');
            }
        }
    }
    said
}

/// An error as the compiler prints it, with our help below if there is one.
fn shown(error: &Message) -> String {
    let text = error.rendered.as_deref().unwrap_or_default();
    let Some(help) = slips::help(error) else {
        return text.to_owned();
    };
    let name = match text.contains('\x1b') {
        true => "\x1b[1m\x1b[96mcargo grade\x1b[0m",
        false => "cargo grade",
    };
    format!("{}\n{name}: {help}\n\n", text.trim_end())
}

/// The compiler's errors with direct paths.
fn tidy(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words = line.split(' ').map(|word| match word.contains("/../") {
            true => direct(word),
            false => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    });
    let mut text = lines.collect::<Vec<_>>().join("\n") + "\n";
    if plain(&text).contains("in module `answer`") {
        text += "The checks look for the names that the stub has: a function \
                 or constant was renamed or removed.\n";
    }
    text
}

/// Without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn errors_are_shown_with_direct_paths() {
        let text = "error: no\n --> exercises/tests/a/../../src/a/b.rs:3:1\n";
        assert_eq!(tidy(text), "error: no\n --> exercises/src/a/b.rs:3:1\n");
        let text = "cannot find `f` in \x1b[1mmodule\x1b[0m `answer`\n";
        assert!(tidy(text).contains("renamed or removed"));
    }
}
