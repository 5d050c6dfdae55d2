//! For authors: answers that somebody wrote to find holes in an exam, each
//! with what it claims to be.

use super::merge::merge;
use super::{Stop, names, screen, stop, stubs};
use examiner::{Exercise, Task, list};
use grade::Error;
use grade::compile;
use grade::run::{
    self, Choice, Graded, Options, Outcome, Progress, Sheet, write,
};
use grade::safety;
use grade::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How a file begins.
pub const HEADS: [&str; 2] = [
    "//! wrong: TASK, CODE or -, what it does",
    "//! right: TASK, how it differs",
];

/// What an answer claims to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Claim {
    /// It has to pass.
    Right,
    /// It must not, and its mistake has this name or none.
    Wrong(Option<&'static str>),
}

/// What the first line of a file says.
#[derive(Debug)]
struct Head {
    claim: Claim,
    task: &'static Task,
    what: String,
}

/// One file that is tried.
struct Answer {
    file: String,
    head: Head,
    text: String,
}

/// Tries every file of the folder; whether there is no surprise.
pub fn attack(
    workspace: &Workspace,
    exercise: &'static Exercise,
    folder: &Path,
) -> Result<bool, Stop> {
    let start = Instant::now();
    let mut answers = Vec::new();
    let mut faults = Vec::new();
    for path in files(folder)? {
        let file = path.to_string_lossy().into_owned();
        match read(&path, exercise) {
            Ok((head, text)) => answers.push(Answer { file, head, text }),
            Err((line, why)) => faults.push(format!("{file}:{line}: {why}")),
        }
    }
    faults.iter().for_each(|fault| screen::error(fault));
    let mut tally = Tally::default();
    if !answers.is_empty() {
        let scratch = Scratch::new(workspace, exercise, &answers)?;
        for (answer, sheet) in answers.iter().zip(scratch.grade()?) {
            tally.add(answer, &sheet);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    tally.show(exercise, faults.len(), seconds);
    Ok(tally.surprises == 0 && faults.is_empty())
}

/// The answers of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Stop> {
    let entries =
        fs::read_dir(folder).map_err(Error::file("cannot read", folder))?;
    let mut all: Vec<_> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect();
    all.sort();
    match all.is_empty() {
        true => stop(format!("no answer, FILE.rs, in {}", folder.display())),
        false => Ok(all),
    }
}

/// What a file claims, and its text with the rest of the stub; or the line
/// that is wrong with it, and why.
fn read(
    path: &Path,
    exercise: &'static Exercise,
) -> Result<(Head, String), (usize, String)> {
    let text = fs::read_to_string(path).map_err(|e| (1, e.to_string()))?;
    let first = text.lines().next().unwrap_or_default();
    let head = head(first, exercise).map_err(|why| (1, why))?;
    let stub = stubs::pristine(exercise).unwrap_or_default();
    let merged = merge(&text, stub)?;
    let items = head.task.items;
    if !items.iter().any(|i| merged.names.contains(*i)) {
        let why = format!(
            "task {} takes {}, and that is not in this file",
            head.task.name,
            items.join(", ")
        );
        return Err((1, why));
    }
    Ok((head, merged.text))
}

fn head(line: &str, exercise: &'static Exercise) -> Result<Head, String> {
    let form = || {
        let [wrong, right] = HEADS;
        format!("the first line has to be `{wrong}` or `{right}`")
    };
    let said = line.strip_prefix("//!").ok_or_else(form)?;
    let (claim, rest) = said.split_once(':').ok_or_else(form)?;
    let (task, mut what) = rest.split_once(',').ok_or_else(form)?;
    let claim = match claim.trim() {
        "right" => Claim::Right,
        "wrong" => {
            let (code, rest) = what.split_once(',').ok_or_else(form)?;
            what = rest;
            Claim::Wrong(code_of(code.trim())?)
        }
        _ => return Err(form()),
    };
    let name = task.trim();
    let task = exercise.task(name).ok_or_else(|| {
        let has = names(exercise);
        format!("{} has no task `{name}`; it has {has}", exercise.slug)
    })?;
    let what = what.trim().to_owned();
    match what.is_empty() {
        true => Err(form()),
        false => Ok(Head { claim, task, what }),
    }
}

fn code_of(code: &str) -> Result<Option<&'static str>, String> {
    if code == "-" {
        return Ok(None);
    }
    let known = list::mistakes().find(|m| m.code == code);
    known.map(|m| Some(m.code)).ok_or_else(|| {
        format!("no mistake has the name `{code}`; `-` is one without a name")
    })
}

/// A package like that of the exercises, with a test target for each answer.
/// It goes when this goes.
struct Scratch {
    workspace: Workspace,
    choices: Vec<Choice>,
}

impl Scratch {
    fn new(
        of: &Workspace,
        exercise: &'static Exercise,
        answers: &[Answer],
    ) -> Result<Self, Stop> {
        // In the target directory that it shares with others, another run's
        // targets have other names.
        let name = format!("try_{}", std::process::id());
        let mut made = Self {
            workspace: Workspace {
                root: of.root.join("target").join(&name),
                package: PathBuf::new(),
                name: name.clone(),
                build: of.build.clone(),
            },
            choices: Vec::new(),
        };
        let root = &made.workspace.root;
        let mut targets = String::new();
        for (i, answer) in answers.iter().enumerate() {
            let target = format!("{name}_{i}");
            let tasks = vec![answer.head.task];
            let file = format!("src/{target}.rs");
            let test = stubs::test(exercise, &tasks, &format!("../{file}"));
            write(&root.join(&file), &answer.text)?;
            write(&root.join(format!("tests/{target}.rs")), &test)?;
            targets += &format!(
                "\n[[test]]\nname = \"{target}\"\n\
                 path = \"tests/{target}.rs\"\ntest = false\n"
            );
            made.choices.push(Choice {
                exercise,
                tasks,
                answer: target,
            });
        }
        let manifest = manifest(of, &name)? + &targets;
        write(&root.join("Cargo.toml"), &manifest)?;
        let locked = fs::read_to_string(of.root.join("Cargo.lock"));
        write(&root.join("Cargo.lock"), &locked.unwrap_or_default())?;
        Ok(made)
    }

    fn grade(&self) -> Result<Vec<Sheet>, Error> {
        let mut bar = screen::Bar::new(self.choices.len());
        let options = Options {
            colour: screen::colour(),
            ..Options::default()
        };
        let tell = &mut |progress: Progress| bar.tell(progress);
        let grade = run::run(&self.workspace, &self.choices, &options, tell)?;
        Ok(grade.sheets)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The binaries lie in the common target directory.
        let _ = compile::cargo(&self.workspace, "clean")
            .args(["--quiet", "--package", &self.workspace.name])
            .output();
        let _ = fs::remove_dir_all(&self.workspace.root);
    }
}

/// The manifest of the exercises without its targets, as a workspace of its
/// own with the versions and profiles of the repository's.
fn manifest(of: &Workspace, name: &str) -> Result<String, Stop> {
    let read = |file: &str| {
        let path = of.root.join(file);
        fs::read_to_string(&path).map_err(Error::file("cannot read", path))
    };
    let exercises = read("exercises/Cargo.toml")?;
    let head = exercises.split("[[test]]").next().unwrap_or_default();
    let head = head
        .replace("name = \"exercises\"", &format!("name = \"{name}\""))
        .replace("grade.workspace = true\n", "");
    let root = of.root.to_string_lossy().replace('\\', "/");
    let mut text = format!("{head}\n[workspace]\n\n");
    let mut taken = false;
    for line in read("Cargo.toml")?.lines() {
        if line.starts_with('[') {
            let sections = [
                "[workspace.package]",
                "[workspace.dependencies]",
                "[profile.",
            ];
            taken = sections.iter().any(|s| line.starts_with(s));
        }
        if taken {
            text += &line.replace("path = \"", &format!("path = \"{root}/"));
            text.push('\n');
        }
    }
    Ok(text)
}

/// How an answer fared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Passed,
    /// Refused, and its mistake was given the name that it claims.
    Named,
    /// Refused, and its mistake was given another name.
    Misnamed,
    /// Refused, and its mistake was given no name, or several to choose from.
    Unnamed,
    NotAttempted,
    /// Its text says what no answer may.
    Forbidden,
    DoesNotCompile,
}

impl Fate {
    fn of(claim: Claim, sheet: &Sheet, text: &str) -> Self {
        let outcome = &sheet.tasks[0].outcome;
        if outcome.passed() {
            return Self::Passed;
        }
        if outcome.not_attempted() {
            return Self::NotAttempted;
        }
        if *outcome == Outcome::DoesNotCompile {
            return match safety::refusal(&sheet.file, text) {
                Some(_) => Self::Forbidden,
                None => Self::DoesNotCompile,
            };
        }
        let report = outcome.report();
        let mistakes = report.map_or(&[][..], |r| r.mistakes.as_slice());
        match (mistakes, claim) {
            ([m], Claim::Wrong(Some(code))) if m.code == code => Self::Named,
            ([_], _) => Self::Misnamed,
            _ => Self::Unnamed,
        }
    }

    /// What is not as it was claimed.
    fn surprise(self, claim: Claim) -> Option<&'static str> {
        match (self, claim) {
            (Self::Forbidden, Claim::Wrong(_)) => None,
            (Self::DoesNotCompile, _) => Some("does not compile"),
            (Self::NotAttempted, _) => Some("counts as not attempted"),
            (Self::Passed, Claim::Right) => None,
            (_, Claim::Right) => Some("a right answer is refused"),
            (Self::Passed, _) => Some("a wrong answer passes"),
            (Self::Misnamed, Claim::Wrong(Some(_))) => {
                Some("its mistake gets another name")
            }
            (Self::Misnamed, _) => {
                Some("its mistake gets a name and was thought to have none")
            }
            (Self::Unnamed, Claim::Wrong(Some(_))) => {
                Some("its mistake gets no name")
            }
            (Self::Named | Self::Unnamed, _) => None,
        }
    }
}

/// What became of all answers.
#[derive(Default)]
struct Tally {
    right: Vec<Fate>,
    wrong: Vec<Fate>,
    surprises: usize,
}

impl Tally {
    fn add(&mut self, answer: &Answer, sheet: &Sheet) {
        let Answer { file, head, text } = answer;
        let graded = &sheet.tasks[0];
        let fate = Fate::of(head.claim, sheet, text);
        match head.claim {
            Claim::Right => self.right.push(fate),
            Claim::Wrong(_) => self.wrong.push(fate),
        }
        let Some(surprise) = fate.surprise(head.claim) else {
            return;
        };
        self.surprises += 1;
        let (bold, reset) = (screen::BOLD, screen::RESET);
        screen::say(&format!("\n{bold}{file}: {surprise}{reset}"));
        let claim = match head.claim {
            Claim::Right => "right".to_owned(),
            Claim::Wrong(code) => format!("wrong, {}", code.unwrap_or("-")),
        };
        let claim = format!("{}, {claim}: {}", head.task.name, head.what);
        screen::paragraph("  ", &claim);
        let errors = sheet.errors.replace(&sheet.file, file);
        screen::say(&(errors + &said(graded)));
    }

    fn show(&self, exercise: &Exercise, unread: usize, seconds: f64) {
        let tried = self.right.len() + self.wrong.len();
        let of =
            |fates: &[Fate], fate| fates.iter().filter(|f| **f == fate).count();
        let wrong = |fate| of(&self.wrong, fate);
        let passed = of(&self.right, Fate::Passed);
        let broken =
            wrong(Fate::DoesNotCompile) + of(&self.right, Fate::DoesNotCompile);
        let refused = self
            .right
            .iter()
            .filter(|f| !matches!(f, Fate::Passed | Fate::DoesNotCompile));
        screen::say(&format!(
            "\n{}: tried {tried} in {seconds:.1} s, {:.1} s each\n  \
             {} wrong: {} passed, {} named, {} misnamed, {} unnamed, {} \
             forbidden\n  \
             {} right: {passed} passed, {} refused\n  \
             do not compile: {broken}, not read: {unread}, surprises: {}",
            exercise.slug,
            seconds / tried.max(1) as f64,
            self.wrong.len(),
            wrong(Fate::Passed),
            wrong(Fate::Named),
            wrong(Fate::Misnamed),
            wrong(Fate::Unnamed),
            wrong(Fate::Forbidden),
            self.right.len(),
            refused.count(),
            self.surprises,
        ));
    }
}

/// What the learner would be told of a task.
fn said(graded: &Graded) -> String {
    let report = graded.outcome.report().map(ToString::to_string);
    report.unwrap_or_else(|| match graded.remark() {
        remark if remark.is_empty() => remark,
        remark => format!("  {remark}\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear() -> &'static Exercise {
        list::find("linear").unwrap()
    }

    #[test]
    fn heads_are_read() {
        let line = "//! wrong: vjp, BIAS_AXIS, sums over axis 1, not 0";
        let read = head(line, linear()).unwrap();
        assert_eq!(read.claim, Claim::Wrong(Some("BIAS_AXIS")));
        assert_eq!(
            (read.task.name, &*read.what),
            ("vjp", "sums over axis 1, not 0")
        );
        let read = head("//! wrong: flops,-, counts none", linear()).unwrap();
        assert_eq!(read.claim, Claim::Wrong(None));
        let read = head("//! right: vjp, loops", linear()).unwrap();
        assert_eq!(read.claim, Claim::Right);
    }

    #[test]
    fn wrong_heads_are_explained() {
        for (line, why) in [
            ("", "the first line has to be"),
            ("// wrong: vjp, -, a", "the first line has to be"),
            ("//! odd: vjp, a", "the first line has to be"),
            ("//! right: vjp", "the first line has to be"),
            ("//! right: vjp, ", "the first line has to be"),
            ("//! wrong: vjp, -", "the first line has to be"),
            (
                "//! right: vpj, a",
                "no task `vpj`; it has predict_dx, forward",
            ),
            ("//! wrong: vjp, NONSENSE, a", "has the name `NONSENSE`"),
        ] {
            let said = head(line, linear()).unwrap_err();
            assert!(said.contains(why), "{line}: {said}");
        }
    }
}
