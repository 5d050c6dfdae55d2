//! The test target behind `cargo test -p exercises`: prints what the test
//! harness would print if all exercises were one binary.

use crate::Error;
use crate::group::end_with_signals;
use crate::process::End;
use crate::run::{self, Choice, Graded, Options, Outcome, Progress, Sheet};
use crate::workspace::Workspace;
use examiner::list;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Grades what the arguments select; exit code 101 if anything is not passed.
pub fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let start = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(std::env::current_dir, |d| Ok(PathBuf::from(d)))
        .unwrap_or_default();
    if let Err(why) = end_with_signals() {
        eprintln!("warning: Ctrl-C may leave a compiler running ({why})");
    }
    let workspace = match Workspace::find(&start) {
        Ok(workspace) => workspace,
        Err(error) => return failed(&error),
    };
    let exercises = list::all().iter().map(|e| Choice::all(e));
    let (choices, left) = arguments.select(exercises.collect());
    let mut out = std::io::stdout();
    match grade(&workspace, &choices, left, &arguments, &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(101),
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(101)
}

/// Those of the test harness's arguments that mean something here.
#[derive(Debug, Default)]
pub struct Arguments {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    nocapture: bool,
}

impl Arguments {
    /// Reads them; those that change nothing here are accepted.
    ///
    /// # Errors
    /// An argument that the test harness does not have either.
    pub fn read(mut all: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self::default();
        while let Some(argument) = all.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    (name.to_owned(), Some(value.to_owned()))
                }
                _ => (argument, None),
            };
            let mut value = || {
                value
                    .clone()
                    .or_else(|| all.next())
                    .ok_or(format!("{name} needs a value"))
            };
            match name.as_str() {
                "--exact" => read.exact = true,
                "--list" => read.list = true,
                "--nocapture" | "--no-capture" => read.nocapture = true,
                "--skip" => read.skip.push(value()?),
                "--test-threads" | "--color" | "--format" | "--logfile"
                | "--shuffle-seed" | "-Z" => drop(value()?),
                "--quiet" | "-q" | "--show-output" | "--ignored"
                | "--include-ignored" | "--test" | "--report-time"
                | "--shuffle" => {}
                _ if name.starts_with('-') => {
                    return Err(format!(
                        "unknown option {name}; give parts of the names of \
                         tasks, as `cargo test -p exercises -- vjp`"
                    ));
                }
                _ => read.filters.push(name),
            }
        }
        Ok(read)
    }

    /// The tasks that are meant, and how many are not.
    pub fn select(&self, all: Vec<Choice>) -> (Vec<Choice>, usize) {
        let mut left = 0;
        let mut chosen = Vec::new();
        for mut choice in all {
            let before = choice.tasks.len();
            let of = choice.exercise.name();
            choice
                .tasks
                .retain(|t| self.means(&format!("{of}::{}", t.name)));
            left += before - choice.tasks.len();
            if !choice.tasks.is_empty() {
                chosen.push(choice);
            }
        }
        (chosen, left)
    }

    fn means(&self, name: &str) -> bool {
        let fits = |part: &String| {
            if self.exact {
                name == part
            } else {
                name.contains(part.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skip.iter().any(fits)
    }
}

/// Grades and prints; whether everything passed.
///
/// # Errors
/// Those of [`run::run`].
pub fn grade(
    workspace: &Workspace,
    choices: &[Choice],
    left: usize,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let names = choices.iter().flat_map(|c| {
        let of = c.exercise.name();
        c.tasks.iter().map(move |t| format!("{of}::{}", t.name))
    });
    if arguments.list {
        let names: Vec<_> = names.collect();
        for name in &names {
            let _ = writeln!(out, "{name}: test");
        }
        let _ = writeln!(out, "\n{} tests, 0 benchmarks", names.len());
        return Ok(true);
    }
    let count = names.count();
    let plural = if count == 1 { "" } else { "s" };
    let _ = writeln!(out, "\nrunning {count} test{plural}");
    let options = Options::default();
    let grade = run::run(workspace, choices, &options, &mut |progress| {
        if let Progress::Waiting = progress {
            let _ = writeln!(out, "waiting for another cargo in this folder");
        }
        if let Progress::Done(exercise, graded) = progress {
            let name = exercise.name();
            let word = match &graded.outcome {
                o if o.passed() => "ok",
                _ => "FAILED",
            };
            let _ =
                writeln!(out, "test {name}::{} ... {word}", graded.task.name);
            if arguments.nocapture && !graded.printed.is_empty() {
                let _ = writeln!(out, "{}", graded.printed);
            }
        }
    })?;
    let failures = || {
        grade.sheets.iter().flat_map(|s| {
            let failed = s.tasks.iter().filter(|g| !g.outcome.passed());
            failed.map(move |g| (s, g))
        })
    };
    if !grade.complete() {
        let _ = writeln!(out, "\nfailures:");
        for (sheet, graded) in failures() {
            let name = sheet.exercise.name();
            let _ = writeln!(out, "\n---- {name}::{} ----", graded.task.name);
            let _ = write!(out, "{}", explained(sheet, graded));
        }
        let _ = writeln!(out, "\n\nfailures:");
        for (sheet, graded) in failures() {
            let name = sheet.exercise.name();
            let _ = writeln!(out, "    {name}::{}", graded.task.name);
        }
    }
    let (passed, tasks) = (grade.passed(), grade.tasks());
    let word = if grade.complete() { "ok" } else { "FAILED" };
    let _ = writeln!(
        out,
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; \
         0 measured; {left} filtered out\n",
        tasks - passed
    );
    Ok(grade.complete())
}

/// A task that is not passed, in full.
fn explained(sheet: &Sheet, graded: &Graded) -> String {
    let word = graded.outcome.word();
    let mut text = match &graded.outcome {
        Outcome::MissingFile => format!(
            "{word}: {}\n  restore it: cargo grade reset {}\n",
            sheet.file,
            sheet.exercise.name()
        ),
        // Once per exercise is enough.
        Outcome::DoesNotCompile
            if sheet.tasks[0].task.name != graded.task.name =>
        {
            format!("{word}: see {}\n", sheet.tasks[0].task.name)
        }
        Outcome::DoesNotCompile => {
            format!("{word}: {}\n{}", sheet.file, sheet.errors)
        }
        Outcome::Ended(End::Judged(_)) => {
            format!("{word}: {}\n", graded.task.title)
        }
        Outcome::Ended(_) => format!("{word}: {}\n", graded.remark()),
    };
    if let Some(report) = graded.outcome.report() {
        text += &report.to_string();
    }
    if !graded.printed.is_empty() && !graded.outcome.not_attempted() {
        text += &format!("  printed\n{}\n", graded.printed);
    }
    text
}
