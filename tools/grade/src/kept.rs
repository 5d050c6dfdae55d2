//! What is kept of the last grading, for the pages of the book.
//!
//! One file per exercise, `exercises/.grade/kept/network/linear.json`, so that
//! grading one leaves the others' grades. It holds a [`Kept`] as JSON.

use crate::Error;
use crate::run::{Sheet, write};
use crate::workspace::Workspace;
use examiner::{Exercise, Report, Task};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Names the form of a file.
pub const SCHEMA: &str = "backprop-by-hand/kept/1";

/// A file that is longer was not written here.
const LONGEST: u64 = 4 << 20;

/// The file of an exercise, in the grader's own directory.
pub fn file(state: &Path, exercise: &Exercise) -> PathBuf {
    state.join("kept").join(format!("{}.json", exercise.slug))
}

/// Tells one text of an answer from another: 64 bits of FNV-1a, the same on
/// every machine and under every compiler.
///
/// ```
/// use grade::kept::fingerprint;
/// assert_eq!(fingerprint(b""), "cbf29ce484222325");
/// assert_ne!(fingerprint(b"x + y"), fingerprint(b"y + x"));
/// ```
pub fn fingerprint(text: &[u8]) -> String {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Writes the file of every exercise that was graded.
///
/// # Errors
/// If one cannot be written.
pub fn keep(workspace: &Workspace, sheets: &[Sheet]) -> Result<(), Error> {
    for sheet in sheets {
        let path = file(&workspace.state(), sheet.exercise);
        // What was damaged is replaced.
        let before = read(&path, sheet.exercise).ok().flatten();
        let kept = sheet.kept(before.as_ref());
        let text = serde_json::to_string_pretty(&kept).expect("it is JSON");
        write(&path, &(text + "\n"))?;
    }
    Ok(())
}

impl Sheet {
    /// The object of the file, with what an older one says of tasks that were
    /// not graded.
    fn kept(&self, before: Option<&Kept>) -> Kept {
        let tasks = self.exercise.tasks.iter().filter_map(|task| {
            let graded = self.tasks.iter().find(|g| g.task.name == task.name);
            let Some(graded) = graded else {
                return before?.task(task).cloned();
            };
            Some(KeptTask {
                task: task.name.into(),
                source: self.source.clone(),
                status: graded.outcome.word().into(),
                remark: graded.remark(),
                printed: graded.printed.clone(),
                report: graded.outcome.report().cloned(),
            })
        });
        Kept {
            schema: SCHEMA.into(),
            exercise: self.exercise.slug.into(),
            errors: self.errors.clone(),
            tasks: tasks.collect(),
        }
    }
}

/// The grade of one exercise, as its file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// [`SCHEMA`].
    pub schema: String,
    /// The slug.
    pub exercise: String,
    /// What the compiler said, if it did not compile; else empty.
    pub errors: String,
    /// In the order of the exercise. A task that was not graded this time
    /// stays as it was; one that never was is not here.
    pub tasks: Vec<KeptTask>,
}

/// The grade of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTask {
    /// Its name.
    pub task: String,
    /// The [`fingerprint`] of the file that was graded, by which a reader sees
    /// that it has changed since.
    pub source: String,
    /// [`Outcome::word`](crate::run::Outcome::word).
    pub status: String,
    /// [`Graded::remark`](crate::run::Graded::remark).
    #[serde(default)]
    pub remark: String,
    /// The beginning of what the answer printed.
    #[serde(default)]
    pub printed: String,
    /// The check's report, if it is wrong.
    pub report: Option<Report>,
}

impl Kept {
    /// What it says of a task, if that was graded.
    pub fn task(&self, task: &Task) -> Option<&KeptTask> {
        self.tasks.iter().find(|t| t.task == task.name)
    }
}

/// The grade of an exercise that lies in `path`, or `None` if there is none.
///
/// # Errors
/// Why the file is not one that was written here: it cannot be read, is too
/// long, has another form or is about another exercise.
pub fn read(path: &Path, exercise: &Exercise) -> Result<Option<Kept>, String> {
    let about = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(|e| e.to_string())?,
    };
    if about.len() > LONGEST {
        return Err("it is too long for a grade".into());
    }
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    parse(&text, exercise).map(Some)
}

fn parse(text: &str, exercise: &Exercise) -> Result<Kept, String> {
    let wrong = |e: serde_json::Error| e.to_string();
    // Another form is named before what it lacks.
    let all: Value = serde_json::from_str(text).map_err(wrong)?;
    match all.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(format!("its form is {other}, not {SCHEMA}"));
        }
        None => return Err("it does not say its form".into()),
    }
    let kept: Kept = serde_json::from_value(all).map_err(wrong)?;
    if kept.exercise != exercise.slug {
        return Err(format!("it is not about {}", exercise.slug));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{End, Limits};
    use crate::run::{Graded, Outcome};
    use examiner::{Verdict, list};
    use serde_json::json;

    fn sheet(source: &str, tasks: &[usize], verdict: Verdict) -> Sheet {
        let exercise = list::all()[0];
        let graded = |k: &usize| Graded {
            task: &exercise.tasks[*k],
            outcome: Outcome::Ended(End::Judged(verdict.clone())),
            printed: String::new(),
            limits: Limits::default(),
        };
        Sheet {
            exercise,
            file: "f.rs".into(),
            source: source.into(),
            errors: String::new(),
            tasks: tasks.iter().map(graded).collect(),
        }
    }

    #[test]
    fn what_was_not_graded_again_stays() {
        let exercise = list::all()[0];
        let again = |kept: Kept| {
            parse(&serde_json::to_string(&kept).unwrap(), exercise).unwrap()
        };
        let passed = again(sheet("aa", &[0, 1], Verdict::passed()).kept(None));
        let report = Report::new("y", "<script>", "2");
        let wrong = sheet("bb", &[1], Verdict::Failed(report.clone()));
        let kept = again(wrong.kept(Some(&passed)));
        let task = |k: usize| kept.task(&exercise.tasks[k]);
        assert_eq!(task(0), passed.task(&exercise.tasks[0]));
        assert_eq!(task(0).unwrap().status, "passed");
        assert_eq!(task(1).unwrap().source, "bb");
        assert_eq!(task(1).unwrap().report, Some(report));
        assert_eq!(task(2), None);
    }

    #[test]
    fn files_are_written_one_for_each_exercise_and_damaged_ones_replaced() {
        let folder = tempfile::TempDir::new().unwrap();
        let workspace = Workspace {
            root: folder.path().to_owned(),
            package: "exercises".into(),
            name: "exercises".into(),
            build: crate::workspace::Build::default(),
        };
        let exercise = list::all()[0];
        let path = file(&workspace.state(), exercise);
        let graded = |tasks: &[usize]| {
            let sheets = [sheet("aa", tasks, Verdict::passed())];
            keep(&workspace, &sheets).unwrap();
            let kept = read(&path, exercise).unwrap().unwrap();
            kept.tasks.len()
        };
        assert_eq!(graded(&[0]), 1);
        assert_eq!(graded(&[1]), 2);
        fs::write(&path, "{").unwrap();
        assert_eq!(graded(&[1]), 1);
        // Nothing is left of the writing.
        let about = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(about.count(), 1);
    }

    #[test]
    fn what_was_not_written_here_is_refused_with_a_reason() {
        let exercise = list::all()[0];
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.json");
        assert_eq!(read(&path, exercise), Ok(None));
        let kept = sheet("aa", &[0], Verdict::passed()).kept(None);
        let good = serde_json::to_value(&kept).unwrap();
        let with = |name: &str, value: Value| {
            let mut other = good.clone();
            other[name] = value;
            other.to_string()
        };
        let cut = good.to_string()[..40].to_owned();
        for (text, why) in [
            (cut, "EOF"),
            ("[]".into(), "form"),
            (with("schema", "backprop-by-hand/kept/9".into()), "kept/9"),
            (with("exercise", "a/b".into()), "not about"),
            (with("tasks", json!({})), "expected a sequence"),
            (with("tasks", json!([{ "task": 3 }])), "invalid type"),
            (with("tasks", json!([{ "task": "a" }])), "missing field"),
        ] {
            fs::write(&path, &text).unwrap();
            let said = read(&path, exercise).unwrap_err();
            assert!(said.contains(why), "{said}: {text}");
        }
        fs::write(&path, good.to_string()).unwrap();
        assert_eq!(read(&path, exercise), Ok(Some(kept)));
    }
}
