//! Grading at the desk, and what goes with it.

use super::{Stop, screen, stop};
use examiner::{Exercise, Task, list};
use grade::compile;
use grade::kept;
use grade::run::{self, Choice, Grade, Options, SCHEMA, Sheet, deliver, write};
use grade::workspace::Workspace;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// What to grade and what to do with the result.
#[derive(Debug)]
pub struct Request {
    /// Where.
    pub workspace: Workspace,
    /// This exercise only.
    pub exercise: Option<&'static Exercise>,
    /// This task of it only.
    pub task: Option<&'static Task>,
    /// How.
    pub options: Options,
    /// Print JSON.
    pub json: bool,
    /// Write JSON there.
    pub out: Option<PathBuf>,
}

impl Request {
    /// The tasks that are meant.
    pub fn choices(&self) -> Vec<Choice> {
        match (self.exercise, self.task) {
            (Some(exercise), Some(task)) => vec![Choice {
                tasks: vec![task],
                ..Choice::all(exercise)
            }],
            (Some(exercise), None) => vec![Choice::all(exercise)],
            _ => list::all().iter().map(|e| Choice::all(e)).collect(),
        }
    }

    /// Whether `--out` can be written: said before the work, not after it.
    ///
    /// # Errors
    /// If it cannot.
    pub fn probe(&self) -> Result<(), Stop> {
        let Some(out) = &self.out else { return Ok(()) };
        Ok(run::probe(out)?)
    }

    /// Grades these tasks, with progress.
    pub fn run(&self, choices: &[Choice]) -> Result<Grade, grade::Error> {
        let tasks = choices.iter().map(|c| c.tasks.len()).sum();
        let mut bar = screen::Bar::new(tasks);
        run::run(&self.workspace, choices, &self.options, &mut |p| {
            bar.tell(p)
        })
    }

    /// Keeps the grades of these tasks for the pages of the book, and writes
    /// the result file: the grader's own, and `--out`. It comes after the
    /// grades were shown, since it may fail.
    ///
    /// # Errors
    /// If `--out` cannot be written. That the grader's own files cannot is a
    /// warning: nobody asked for them.
    pub fn keep(&self, grade: &Grade, fresh: &[Sheet]) -> Result<(), Stop> {
        if let Err(why) = kept::keep(&self.workspace, fresh) {
            screen::warning(&format!(
                "the pages of the book will not show these grades: {why}"
            ));
        }
        self.keep_text(&text(&grade.json()))
    }

    fn keep_text(&self, result: &str) -> Result<(), Stop> {
        let own = self.workspace.state().join("result.json");
        if let Err(why) = write(&own, result) {
            screen::warning(&format!("the result is not kept: {why}"));
        }
        match &self.out {
            Some(out) => Ok(deliver(out, result)?),
            None => Ok(()),
        }
    }
}

/// Grades, prints and keeps the result; whether everything passed.
pub fn grade(request: &Request) -> Result<bool, Stop> {
    request.probe()?;
    let grade = match request.run(&request.choices()) {
        Ok(grade) => grade,
        Err(error) => {
            // Whoever waits for a result file gets one.
            let why = error.to_string();
            let seed = request.options.seed;
            let result =
                json!({ "schema": SCHEMA, "seed": seed, "error": why });
            request.keep_text(&text(&result))?;
            return Err(error.into());
        }
    };
    if request.json {
        screen::plain(&text(&grade.json()));
    } else {
        show(request, &grade);
    }
    request.keep(&grade, &grade.sheets)?;
    Ok(grade.complete())
}

fn text(result: &Value) -> String {
    format!("{result:#}\n")
}

/// The table or the reports, then what to do next.
pub fn show(request: &Request, grade: &Grade) {
    match request.exercise {
        None => screen::table(grade),
        Some(_) => grade.sheets.iter().for_each(|s| screen::sheet(s, false)),
    }
    screen::next(&request.workspace, grade);
}

/// Prints the book's answer if the learner's own passes.
pub fn reveal(
    workspace: &Workspace,
    exercise: &'static Exercise,
) -> Result<bool, Stop> {
    let answer = format!("solutions/src/{}/answer.rs", exercise.slug);
    let Ok(text) = fs::read_to_string(workspace.root.join(&answer)) else {
        return stop("the answers are not part of this copy of the exercises");
    };
    let request = Request {
        workspace: workspace.clone(),
        exercise: Some(exercise),
        task: None,
        options: Options {
            colour: screen::colour(),
            ..Options::default()
        },
        json: false,
        out: None,
    };
    let grade = request.run(&request.choices())?;
    if !grade.complete() {
        screen::say(&format!(
            "{} of {} tasks pass. The answer is shown when all of them do; \
             until then there are hints: cargo grade hint {} TASK",
            grade.passed(),
            grade.tasks(),
            exercise.name()
        ));
        return Ok(false);
    }
    let kept = text.lines().filter(|l| {
        let l = l.trim();
        l != "// ANSWER" && l != "// END" && !l.starts_with("//~")
    });
    kept.for_each(screen::plain_line);
    screen::plain_line(&format!("// {answer}; other right answers are"));
    screen::plain_line("// beside it in alternatives.rs.");
    Ok(true)
}

/// Runs the certificate.
pub fn certify(workspace: &Workspace, seeds: u64) -> Result<bool, Stop> {
    if !workspace.root.join("solutions/Cargo.toml").is_file() {
        return stop(
            "the certificate judges answers and known-wrong twins, which are \
             not part of this copy of the exercises",
        );
    }
    let status = compile::cargo(workspace, "run")
        .args([
            "--quiet",
            "--package",
            "solutions",
            "--bin",
            "certify",
            "--",
        ])
        .arg(seeds.to_string())
        .status();
    match status {
        Ok(status) if status.success() => Ok(true),
        Ok(status) if status.code() == Some(1) => Ok(false),
        Ok(_) => stop("the certificate did not run to its end"),
        Err(e) => stop(format!("cargo did not start: {e}")),
    }
}
