//! Grades exercises: compiles them, runs their tasks, keeps the results.

use crate::Error;
use crate::compile::{self, News};
use crate::kept::fingerprint;
use crate::process::{End, Job, Limits, close_memory};
use crate::safety;
use crate::text::harmless;
use crate::workspace::Workspace;
use backprop::training::files;
use examiner::{Exercise, Report, Task, Verdict, direct};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// What is graded, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the inputs that the checks draw; the default, 0, is what
    /// `cargo test -p exercises --test SLUG` draws.
    pub seed: u64,
    /// Per task.
    pub limits: Limits,
    /// How long the compiler may work at one answer.
    pub patience: Duration,
    /// Whether the compiler's messages are coloured.
    pub colour: bool,
}

impl Default for Options {
    /// Seed 0, the limits' own defaults, [`compile::PATIENCE`], no colours.
    fn default() -> Self {
        Self {
            seed: 0,
            limits: Limits::default(),
            patience: compile::PATIENCE,
            colour: false,
        }
    }
}

/// What is said while grading goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Cargo compiles this crate.
    Compiling(&'a str),
    /// Another cargo builds here, and this one waits for it.
    Waiting,
    /// This task runs now.
    Running(&'static Exercise, &'static Task),
    /// This task has its outcome.
    Done(&'static Exercise, &'a Graded),
}

/// What is graded of one answer to an exercise.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The exercise.
    pub exercise: &'static Exercise,
    /// Its tasks that are graded, in order.
    pub tasks: Vec<&'static Task>,
    /// The answer's name: that of its test target, and of its file below
    /// `src`, which may lie in folders: `network/linear`.
    pub answer: String,
}

impl Choice {
    /// All tasks of an exercise, in the learner's own answer.
    pub fn all(exercise: &'static Exercise) -> Self {
        Self {
            exercise,
            tasks: exercise.tasks.iter().collect(),
            answer: exercise.slug.to_owned(),
        }
    }

    /// The name of the test target.
    fn target(&self) -> &str {
        self.answer.rsplit('/').next().expect("a name is not empty")
    }
}

/// How a task fared.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a task: never many")]
pub enum Outcome {
    /// Its process ended, with a verdict or without.
    Ended(End),
    /// The exercise's file does not compile, or [`safety`] refuses it.
    DoesNotCompile,
    /// The exercise's file is not there.
    MissingFile,
}

/// One task and how it fared.
#[derive(Clone, Debug)]
pub struct Graded {
    /// The task.
    pub task: &'static Task,
    /// How it fared.
    pub outcome: Outcome,
    /// The beginning of what the learner's code printed.
    pub printed: String,
    /// The limits that it ran under.
    pub limits: Limits,
}

/// One exercise and how its tasks fared.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The exercise.
    pub exercise: &'static Exercise,
    /// The learner's file, below the root.
    pub file: String,
    /// The [`fingerprint`] of its text; empty if it is not there.
    pub source: String,
    /// The errors for which it cannot run, if it has any.
    pub errors: String,
    /// The tasks that were graded, in order.
    pub tasks: Vec<Graded>,
}

/// The whole result.
#[derive(Clone, Debug)]
pub struct Grade {
    /// The seed of the inputs.
    pub seed: u64,
    /// In the order of the book.
    pub sheets: Vec<Sheet>,
}

/// Grades these tasks. `tell` hears what goes on.
///
/// # Errors
/// Only if nothing could be graded: no verdict on an answer is an error.
pub fn run(
    workspace: &Workspace,
    choices: &[Choice],
    options: &Options,
    tell: &mut dyn FnMut(Progress),
) -> Result<Grade, Error> {
    close_memory();
    let mut sheets: Vec<Sheet> = choices
        .iter()
        .map(|c| Sheet {
            exercise: c.exercise,
            file: workspace.file(&c.answer),
            source: String::new(),
            errors: String::new(),
            tasks: Vec::new(),
        })
        .collect();
    let (mut there, mut unread) = (Vec::new(), Vec::new());
    for (choice, sheet) in choices.iter().zip(&mut sheets) {
        let path = workspace.root.join(&sheet.file);
        if !path.is_file() {
            without(sheet, choice, &Outcome::MissingFile, options, tell);
            continue;
        }
        // Before it is compiled: what is saved meanwhile counts as changed.
        let text = read(&path);
        sheet.source = fingerprint(&text);
        // What cannot be read as text cannot be compiled either.
        let text = String::from_utf8(text).unwrap_or_default();
        if !safety::is_readable(&text) {
            unread.push(choice.target());
        }
        if let Some(error) = safety::refusal(&sheet.file, &text) {
            sheet.errors = harmless(&error);
            without(sheet, choice, &Outcome::DoesNotCompile, options, tell);
        } else {
            there.push(choice.target());
        }
    }
    // An answer may have removed the binary of another, or its own: what could
    // not be started is built once more.
    for last in [false, true] {
        let (send, news) = mpsc::channel();
        let targets = std::mem::take(&mut there);
        let built = std::thread::scope(|scope| {
            let (targets, send) = (&targets, send);
            let compiler = scope.spawn(move || {
                let Options {
                    colour, patience, ..
                } = *options;
                compile::compile(workspace, targets, colour, patience, &send)
            });
            for news in news {
                let (target, result) = match news {
                    News::Compiling(name) => {
                        tell(Progress::Compiling(&name));
                        continue;
                    }
                    News::Waiting => {
                        tell(Progress::Waiting);
                        continue;
                    }
                    News::Target(target, result) => (target, result),
                };
                let mut both = choices.iter().zip(&mut sheets);
                let both = both.find(|(c, _)| c.target() == target);
                let (choice, sheet) = both.expect("one of those asked for");
                match result {
                    Ok(_) if unread.contains(&choice.target()) => {
                        sheet.errors = format!(
                            "error: the compiler reads this file otherwise \
                             than the grader, which has to look at it\n --> \
                             {}\n\n",
                            sheet.file
                        );
                        let outcome = Outcome::DoesNotCompile;
                        without(sheet, choice, &outcome, options, tell);
                    }
                    Ok(binary)
                        if let Some(other) =
                            brought_in(&binary, workspace, &sheet.file) =>
                    {
                        sheet.errors =
                            harmless(&safety::not_alone(&sheet.file, &other));
                        let outcome = Outcome::DoesNotCompile;
                        without(sheet, choice, &outcome, options, tell);
                    }
                    Ok(binary) => {
                        with(
                            sheet, choice, &binary, workspace, options, last,
                            tell,
                        );
                        if sheet.tasks.len() < choice.tasks.len() {
                            there.push(choice.target());
                        }
                    }
                    Err(errors) => {
                        sheet.errors = errors;
                        let outcome = Outcome::DoesNotCompile;
                        without(sheet, choice, &outcome, options, tell);
                    }
                }
            }
            compiler
                .join()
                .expect("the compiler's thread does not panic")
        });
        match built {
            Ok(()) if there.is_empty() => break,
            Err(error) if !last => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    // The second build did not come to these.
    for (choice, sheet) in choices.iter().zip(&mut sheets) {
        let gone = End::NotStarted("its program is gone".into());
        without(sheet, choice, &Outcome::Ended(gone), options, tell);
    }
    Ok(Grade {
        seed: options.seed,
        sheets,
    })
}

/// A file that the compiler read besides the answer and its test: a macro can
/// hide from [`safety`] that it wants one. The compiler notes what it read
/// beside the binary.
fn brought_in(
    binary: &Path,
    workspace: &Workspace,
    answer: &str,
) -> Option<String> {
    let notes = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let tests = workspace.package.join("tests");
    let files = notes.lines().filter(|line| !line.starts_with('#'));
    let files = files.filter_map(|line| line.strip_suffix(':'));
    let mut files =
        files.map(|f| direct(&f.replace("\\ ", " ").replace('\\', "/")));
    files.find(|f| f != answer && !Path::new(f).starts_with(&tests))
}

/// The bytes of an answer, or as many as show that they are too many.
fn read(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(safety::LONGEST + 1).read_to_end(&mut text);
    }
    text
}

/// Runs the tasks of an exercise that compiled, but for those that already
/// ran. One that cannot be started stays open, unless this is the last time.
fn with(
    sheet: &mut Sheet,
    choice: &Choice,
    binary: &Path,
    workspace: &Workspace,
    options: &Options,
    last: bool,
    tell: &mut dyn FnMut(Progress),
) {
    for task in &choice.tasks[sheet.tasks.len()..] {
        tell(Progress::Running(choice.exercise, task));
        let job = Job {
            binary,
            directory: &workspace.root.join(&workspace.package),
            slug: choice.exercise.slug,
            task: task.name,
            seed: options.seed,
            limits: options.limits,
        };
        let (end, printed) = job.run();
        if matches!(end, End::NotStarted(_)) && !last {
            return;
        }
        let graded = Graded {
            task,
            outcome: Outcome::Ended(end),
            printed,
            limits: options.limits,
        };
        tell(Progress::Done(choice.exercise, &graded));
        sheet.tasks.push(graded);
    }
}

/// Gives the tasks of an exercise that cannot run, but for those that already
/// ran, the same outcome.
fn without(
    sheet: &mut Sheet,
    choice: &Choice,
    outcome: &Outcome,
    options: &Options,
    tell: &mut dyn FnMut(Progress),
) {
    for task in &choice.tasks[sheet.tasks.len()..] {
        let graded = Graded {
            task,
            outcome: outcome.clone(),
            printed: String::new(),
            limits: options.limits,
        };
        tell(Progress::Done(choice.exercise, &graded));
        sheet.tasks.push(graded);
    }
}

impl Outcome {
    /// One or two words for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ended(End::Judged(Verdict::Passed { .. })) => "passed",
            Self::Ended(End::Judged(Verdict::NotAttempted)) => "not attempted",
            Self::Ended(End::Judged(Verdict::Failed(_))) => "wrong",
            Self::Ended(End::TimedOut) => "timed out",
            Self::Ended(End::OutOfMemory { .. }) => "out of memory",
            Self::Ended(End::StackOverflow) => "stack overflow",
            Self::Ended(End::Crashed(_)) => "crashed",
            Self::Ended(End::EndedEarly) => "ended early",
            Self::Ended(End::NotStarted(_)) => "not started",
            Self::DoesNotCompile => "does not compile",
            Self::MissingFile => "file missing",
        }
    }

    /// Whether the task passed.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Ended(End::Judged(Verdict::Passed { .. })))
    }

    /// Whether the learner has not begun it.
    pub fn not_attempted(&self) -> bool {
        *self == Self::Ended(End::Judged(Verdict::NotAttempted))
    }

    /// The check's report, if it has one.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Ended(End::Judged(Verdict::Failed(report))) => Some(report),
            _ => None,
        }
    }
}

impl Graded {
    /// The points it earned.
    pub fn points(&self) -> u32 {
        if self.outcome.passed() {
            self.task.points
        } else {
            0
        }
    }

    /// What to tell the learner besides the report: one paragraph, or nothing.
    pub fn remark(&self) -> String {
        const MIB: usize = 1 << 20;
        match &self.outcome {
            Outcome::Ended(end) => match end {
                End::Judged(Verdict::Passed { note }) => note.clone(),
                End::Judged(_) => String::new(),
                End::TimedOut => format!(
                    "It still ran after {} seconds and was stopped: an \
                     endless loop?",
                    self.limits.time.as_secs_f64()
                ),
                End::OutOfMemory { asked, held } => format!(
                    "It asked for {} MiB more while it held {} MiB; a task \
                     may hold {} MiB.",
                    asked.div_ceil(MIB),
                    held / MIB,
                    self.limits.memory / MIB
                ),
                End::StackOverflow => {
                    "It overflowed its stack: a function that calls itself \
                     without end?"
                        .to_owned()
                }
                End::Crashed(how) => format!(
                    "Its process ended ({how}) before the check had a verdict."
                ),
                End::EndedEarly => "Its process ended before the check had \
                                    a verdict, as std::process::exit does. \
                                    What it printed counts for nothing."
                    .to_owned(),
                End::NotStarted(why) => format!(
                    "Its process could not be started ({why}): did an answer \
                     remove a file that is not its own?"
                ),
            },
            Outcome::DoesNotCompile => String::new(),
            Outcome::MissingFile => String::new(),
        }
    }

    fn json(&self) -> Value {
        let mut all = json!({
            "task": self.task.name,
            "title": self.task.title,
            "kind": self.task.kind.name(),
            "status": self.outcome.word(),
            "points": self.points(),
            "of": self.task.points,
        });
        if let Some(report) = self.outcome.report() {
            all["report"] = json!(report);
        }
        for (name, text) in
            [("remark", self.remark()), ("printed", self.printed.clone())]
        {
            if !text.is_empty() {
                all[name] = text.into();
            }
        }
        all
    }
}

impl Sheet {
    /// Points earned.
    pub fn points(&self) -> u32 {
        self.tasks.iter().map(Graded::points).sum()
    }

    /// Points of the tasks that were graded.
    pub fn of(&self) -> u32 {
        self.tasks.iter().map(|g| g.task.points).sum()
    }

    /// Tasks passed.
    pub fn passed(&self) -> usize {
        self.tasks.iter().filter(|g| g.outcome.passed()).count()
    }

    /// The first task that is not passed.
    pub fn next(&self) -> Option<&Graded> {
        self.tasks.iter().find(|g| !g.outcome.passed())
    }

    fn json(&self) -> Value {
        let tasks: Vec<_> = self.tasks.iter().map(Graded::json).collect();
        let mut all = json!({
            "exercise": self.exercise.slug,
            "title": self.exercise.title,
            "file": self.file,
            "points": self.points(),
            "of": self.of(),
            "tasks": tasks,
        });
        if !self.errors.is_empty() {
            all["errors"] = self.errors.clone().into();
        }
        all
    }
}

impl Grade {
    /// Points earned.
    pub fn points(&self) -> u32 {
        self.sheets.iter().map(Sheet::points).sum()
    }

    /// Points of the tasks that were graded.
    pub fn of(&self) -> u32 {
        self.sheets.iter().map(Sheet::of).sum()
    }

    /// Tasks passed.
    pub fn passed(&self) -> usize {
        self.sheets.iter().map(Sheet::passed).sum()
    }

    /// Tasks graded.
    pub fn tasks(&self) -> usize {
        self.sheets.iter().map(|s| s.tasks.len()).sum()
    }

    /// Whether every task passed.
    pub fn complete(&self) -> bool {
        self.passed() == self.tasks()
    }

    /// The result as JSON. The same answers and seed give the same text.
    ///
    /// - `schema`, `seed`; `points` earned `of` all; tasks `passed` of all
    ///   `tasks`.
    /// - `exercises`, each with `exercise` (its slug), `title`, `file`,
    ///   `points`, `of`, the compiler's `errors` if there are any, and its
    ///   `tasks`.
    /// - A task has its name (`task`), `title`, `kind`, `points`, `of` and
    ///   `status`, which is [`Outcome::word`]; if there is something to say, a
    ///   `remark`, the check's `report`, with the `arrays` of the failing case
    ///   where it prints such, and what the answer `printed`.
    ///
    /// If nothing could be graded, the result file has `schema`, `seed` and
    /// the `error` instead.
    pub fn json(&self) -> Value {
        let sheets: Vec<_> = self.sheets.iter().map(Sheet::json).collect();
        json!({
            "schema": SCHEMA,
            "seed": self.seed,
            "points": self.points(),
            "of": self.of(),
            "passed": self.passed(),
            "tasks": self.tasks(),
            "exercises": sheets,
        })
    }
}

/// Names the form of [`Grade::json`].
pub const SCHEMA: &str = "backprop-by-hand/grade/1";

/// Whether a file can be written, as far as that can be told without writing
/// it.
///
/// # Errors
/// Why not.
pub fn probe(path: &Path) -> Result<(), Error> {
    if is_a_stream(path) {
        return Ok(());
    }
    make_room(path)?;
    Ok(files::probe(path)?)
}

/// Writes to what somebody named: into a device or a pipe, which stays what it
/// is, or like [`write()`].
///
/// # Errors
/// If it cannot be written.
pub fn deliver(path: &Path, text: &str) -> Result<(), Error> {
    if is_a_stream(path) {
        let opened = File::options().write(true).open(path);
        return opened
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::file("cannot write", path));
    }
    write(path, text)
}

/// Whether it is there, and neither a file nor a folder.
fn is_a_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|a| !a.is_file() && !a.is_dir())
}

fn make_room(path: &Path) -> Result<(), Error> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(Error::file("cannot write", path))
}

/// Writes a file aside and renames it, so that a reader finds the old or the
/// new text and never half of one.
///
/// # Errors
/// If the directory cannot be made or the file cannot be written, or is none:
/// a device, a pipe.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    make_room(path)?;
    Ok(files::write_aside(path, text.as_bytes())?)
}
