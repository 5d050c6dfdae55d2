//! Cargo builds the answers' test targets, one per answer.
//!
//! An answer can keep the compiler busy without end, or bring it down. That
//! costs the answer: its compiler is ended after a while, and whoever has no
//! result by then is built again without it.

use crate::Error;
use crate::group::Group;
use crate::slips::{self, Message};
use crate::text::harmless_but_colours;
use crate::workspace::Workspace;
use examiner::direct;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How long the compiler may work at one answer: three minutes.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Bytes that one process of the compiler may hold. What the book's own crates
/// take is a tenth of it.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 8 << 30;

/// So much is kept of what the compiler says of one answer.
const LONGEST: usize = 1 << 20;

/// What becomes known while cargo works.
#[derive(Debug)]
pub enum News {
    /// Cargo compiles this crate now.
    Compiling(String),
    /// Another cargo builds here, and this one waits for it.
    Waiting,
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

/// Builds these test targets and sends what becomes of each as soon as it is
/// known. All of them are built even if one has an error, keeps the compiler
/// longer than `patience`, or brings it down.
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
    patience: Duration,
    news: &Sender<News>,
) -> Result<(), Error> {
    let mut left = targets.to_vec();
    while !left.is_empty() {
        let mut round = Round::default();
        let whole = round.run(workspace, &left, colour, patience, news)?;
        if !round.elsewhere.is_empty() {
            return Err(Error::Library(round.elsewhere));
        }
        let before = left.len();
        left.retain(|target| {
            if round.built.contains(*target) {
                return false;
            }
            let Some(why) = round.why_not(target, patience, whole) else {
                return true;
            };
            let _ = news.send(News::Target((*target).to_owned(), Err(why)));
            false
        });
        // Nobody is to blame, and asking again would not help.
        if whole && left.len() == before {
            if left.len() == targets.len() {
                return Err(Error::Cargo(round.said));
            }
            let why = format!("error: cargo broke off\n{}", round.said);
            for target in left.drain(..) {
                let why = Err(why.clone());
                let _ = news.send(News::Target(target.to_owned(), why));
            }
        }
    }
    Ok(())
}

/// What one run of cargo found out.
#[derive(Default)]
struct Round {
    /// The targets with a binary.
    built: HashSet<String>,
    /// What the compiler has against a target.
    errors: HashMap<String, String>,
    /// What it has against anything else.
    elsewhere: String,
    /// Since when it works at a target.
    started: BTreeMap<String, Instant>,
    /// The targets that took too long.
    late: Vec<String>,
    /// The targets on which it ended by a signal, and by which.
    crashed: HashMap<String, String>,
    /// Everything else that cargo says.
    said: String,
}

/// A line of cargo's.
enum Heard {
    Out(String),
    Err(String),
}

impl Round {
    /// Runs cargo; whether it came to its end by itself.
    fn run(
        &mut self,
        workspace: &Workspace,
        targets: &[&str],
        colour: bool,
        patience: Duration,
        news: &Sender<News>,
    ) -> Result<bool, Error> {
        let mut cargo = cargo(workspace, "build");
        let format = if colour {
            "-diagnostic-rendered-ansi"
        } else {
            ""
        };
        // Said aloud, it tells when the compiler begins with which target.
        cargo
            .args(["--verbose", "--keep-going", "--package", &workspace.name])
            .arg(format!("--message-format=json{format}"));
        for target in targets {
            cargo.args(["--test", target]);
        }
        cargo.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::start(&mut cargo)
            .map_err(|e| Error::Cargo(format!("it did not start: {e}")))?;
        limit_memory(group.child.id());
        let (send, heard) = mpsc::channel();
        let stdout = group.child.stdout.take().expect("piped");
        let stderr = group.child.stderr.take().expect("piped");
        listen(stdout, send.clone(), Heard::Out);
        listen(stderr, send, Heard::Err);
        let mut whole = true;
        loop {
            let first = self.started.values().min();
            let until = first.map(|start| *start + patience);
            let line = match until {
                Some(until) if whole => heard.recv_timeout(
                    until.saturating_duration_since(Instant::now()),
                ),
                _ => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match line {
                Ok(Heard::Out(line)) => self.hear(&line, news),
                Ok(Heard::Err(line)) => self.relay(&line, targets, news),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let late = |start: &Instant| start.elapsed() >= patience;
                    let all = self.started.iter();
                    let all = all.filter(|(_, start)| late(start));
                    self.late.extend(all.map(|(target, _)| target.clone()));
                    group.end();
                    whole = false;
                }
            }
        }
        Ok(whole)
    }

    /// A line of standard output: something is built, or has an error.
    fn hear(&mut self, line: &str, news: &Sender<News>) {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            return;
        };
        // No dependency is a test target.
        let ours = line.target.kind.iter().any(|k| k == "test");
        let name = line.target.name;
        match line.reason.as_str() {
            "compiler-artifact" if ours => {
                self.started.remove(&name);
                if let Some(binary) = line.executable {
                    self.built.insert(name.clone());
                    let _ = news.send(News::Target(name, Ok(binary)));
                }
            }
            "compiler-message" => {
                let Some(message) = line.message else { return };
                if !message.level.starts_with("error") {
                    return;
                }
                let (all, text) = match ours {
                    true => {
                        (self.errors.entry(name).or_default(), shown(&message))
                    }
                    false => (
                        &mut self.elsewhere,
                        message.rendered.unwrap_or_default(),
                    ),
                };
                if all.len() < LONGEST {
                    *all += beginning(&text);
                }
            }
            _ => {}
        }
    }

    /// A line of standard error: what cargo does now, or why it could not.
    fn relay(&mut self, line: &str, targets: &[&str], news: &Sender<News>) {
        let said = line.trim_start();
        let word = said.split(' ').next().unwrap_or_default();
        let rest = said[word.len()..].trim_start();
        match word {
            "Compiling" => {
                let name = rest.split(' ').next().unwrap_or_default();
                let _ = news.send(News::Compiling(name.to_owned()));
            }
            "Blocking" => {
                let _ = news.send(News::Waiting);
            }
            "Running" => {
                let name = rest.split_once("--crate-name ");
                let name = name.and_then(|(_, rest)| rest.split(' ').next());
                if let Some(target) = targets.iter().find(|t| Some(**t) == name)
                {
                    self.started.insert((*target).into(), Instant::now());
                }
            }
            "Fresh" | "Dirty" | "Finished" => {}
            _ => {
                if let Some(target) = failed(said) {
                    self.started.remove(target);
                    // Until its cause is known.
                    self.crashed.insert(target.to_owned(), String::new());
                }
                if said.starts_with("process didn't exit successfully") {
                    let how =
                        said.rfind(" (signal: ").map(|at| &said[at + 1..]);
                    self.crashed.retain(|_, known| {
                        if known.is_empty() {
                            how.unwrap_or("-").clone_into(known);
                        }
                        true
                    });
                }
                if self.said.len() < LONGEST {
                    self.said += beginning(line);
                    self.said.push('\n');
                }
            }
        }
    }

    /// Why a target has no binary; `None` if it is not to blame.
    fn why_not(
        &mut self,
        target: &str,
        patience: Duration,
        whole: bool,
    ) -> Option<String> {
        let mut text = self.errors.remove(target).unwrap_or_default();
        let crash = self.crashed.get(target);
        if self.late.iter().any(|late| late == target) {
            text += &format!(
                "error: the compiler gave up: it still worked at this file \
                 after {} seconds and was stopped. Does a constant or a macro \
                 in it never come to an end?\n",
                patience.as_secs_f64()
            );
        } else if let Some(how) = crash.filter(|how| how.len() > 1) {
            text += &format!(
                "error: the compiler gave up on this file {how}. Is something \
                 in it nested thousands deep, or does a macro grow without \
                 end?\n"
            );
        } else if crash.is_some() && text.is_empty() {
            text += &format!(
                "error: the compiler gave up on this file\n{}",
                self.said
            );
        } else if !whole && crash.is_none() {
            // It may not have seen all of it.
            return None;
        }
        (!text.is_empty()).then(|| tidy(&text))
    }
}

/// The test target in a line that says that it could not be compiled.
fn failed(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("error: could not compile ")?;
    let (_, rest) = rest.split_once("(test \"")?;
    rest.split_once('"').map(|(target, _)| target)
}

/// Sends the lines of a pipe.
fn listen(
    pipe: impl Read + Send + 'static,
    send: Sender<Heard>,
    heard: fn(String) -> Heard,
) {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if send.send(heard(text)).is_err() {
                break;
            }
            line.clear();
        }
    });
}

/// Of this process and those that it will start.
#[cfg(target_os = "linux")]
fn limit_memory(process: u32) {
    let most = libc::rlimit {
        rlim_cur: MEMORY,
        rlim_max: MEMORY,
    };
    let Ok(process) = libc::pid_t::try_from(process) else {
        return;
    };
    // SAFETY: the struct lives through the call, and nothing is asked back. A
    // limit that cannot be set is not needed: time has one, too.
    unsafe {
        libc::prlimit(process, libc::RLIMIT_AS, &most, std::ptr::null_mut())
    };
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_process: u32) {}

/// A text's first [`LONGEST`] bytes, or a few less.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
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
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    let mut text = harmless_but_colours(&text);
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
