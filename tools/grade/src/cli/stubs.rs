//! The stubs: putting one back, making all of them from the answers.

use super::{Stop, screen, stop};
use examiner::stub::from_answer;
use examiner::{Exercise, Task, list};
use grade::Error;
use grade::run::write;
use grade::workspace::Workspace;
use std::fs;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

/// The stubs as they were when the grader was built: slug and text.
const STUBS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/stubs.rs"));

/// The pristine stub of an exercise.
pub fn pristine(exercise: &Exercise) -> Option<&'static str> {
    let of_it = STUBS.iter().find(|(slug, _)| *slug == exercise.slug);
    of_it.map(|(_, text)| *text)
}

/// Puts the stub back. An edited file is kept beside it, and only replaced
/// after a yes.
pub fn reset(
    workspace: &Workspace,
    exercise: &Exercise,
    yes: bool,
) -> Result<bool, Stop> {
    let file = workspace.file(exercise.slug);
    let path = workspace.root.join(&file);
    let Some(stub) = pristine(exercise) else {
        return stop(format!("there is no stub of {}", exercise.slug));
    };
    if path.is_file() {
        let now = read(&path)?;
        if now == stub {
            screen::say(&format!("{file} is the untouched stub already."));
            return Ok(true);
        }
        if !yes && !asked(&file) {
            return stop(format!(
                "{file} has your work in it and stays as it is; \
                 to replace it: cargo grade reset {} --yes",
                exercise.name()
            ));
        }
        let backup = backup(&path);
        fs::copy(&path, &backup)
            .map_err(Error::file("cannot write", &backup))?;
        let name = backup.file_name().unwrap_or_default().to_string_lossy();
        let beside = Path::new(&file).with_file_name(&*name);
        let beside = beside.to_string_lossy().replace('\\', "/");
        screen::say(&format!("Your work is kept in {beside}."));
    }
    write(&path, stub)?;
    screen::say(&format!("{file} is the stub again."));
    Ok(true)
}

/// Asks, if somebody is there to answer.
fn asked(file: &str) -> bool {
    if !stdin().is_terminal() {
        return false;
    }
    screen::ask(&format!(
        "{file} has your work in it. Replace it by the stub (a copy is kept)? \
         [y/N] "
    ));
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    read.is_ok() && answer.trim().eq_ignore_ascii_case("y")
}

/// A name beside the file that is not taken: `linear.rs.bak`, `linear.rs.bak2`.
fn backup(path: &Path) -> PathBuf {
    let name = |n: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(if n == 1 {
            ".bak".into()
        } else {
            format!(".bak{n}")
        });
        PathBuf::from(name)
    };
    let mut free = (1..).map(name).filter(|p| !p.exists());
    free.next().expect("there is always another number")
}

/// The stub of an exercise, made from its answer.
fn made(workspace: &Workspace, exercise: &Exercise) -> Result<String, Stop> {
    let answer = format!("solutions/src/{}/answer.rs", exercise.slug);
    let path = workspace.root.join(&answer);
    if !path.is_file() {
        return stop(format!(
            "stubs are made from the answers, and {answer} is not here"
        ));
    }
    from_answer(&read(&path)?).map_err(|e| Stop(format!("{answer}: {e}")))
}

fn carried(exercise: &Exercise) -> String {
    format!("tools/grade/stubs/{}.rs", exercise.slug)
}

/// The test that grades an exercise.
fn graded_by(exercise: &Exercise) -> String {
    let slug = exercise.slug;
    let tasks: Vec<_> = exercise.tasks.iter().collect();
    let head =
        format!("//! Grades `src/{slug}.rs`. Made by `cargo grade stubs`.");
    head + "\n\n" + &test(exercise, &tasks, &format!("../../src/{slug}.rs"))
}

/// A test target for the answer in that file: one `#[test]` for each of these
/// tasks, by the exam of the same name.
pub fn test(exercise: &Exercise, tasks: &[&Task], answer: &str) -> String {
    let exam = exercise.slug.replace('/', "::");
    let mut text = format!(
        "#[path = \"{answer}\"]\nmod answer;\n\n\
         examiner::exercise! {{\n    {exam};\n"
    );
    for task in tasks {
        let (name, items) = (task.name, task.items.join(", "));
        text += &format!("    {name}: {}({items}),\n", name.to_uppercase());
    }
    text + "}\n"
}

/// What stands before the targets in the manifest of the exercises.
const TARGETS: &str = "# One target per exercise: `cargo test -p exercises \
                       --test linear`. Made by `cargo grade stubs`.\n";

/// The manifest of the exercises, its targets those of the exercises.
fn manifest(workspace: &Workspace) -> Result<String, Stop> {
    let now = read(&workspace.root.join(MANIFEST))?;
    let Some((head, _)) = now.split_once(TARGETS) else {
        return stop(format!("{MANIFEST} lacks the line\n{TARGETS}"));
    };
    let target = |e: &&Exercise| {
        let (name, slug) = (e.name(), e.slug);
        format!(
            "[[test]]\nname = \"{name}\"\npath = \"tests/{slug}.rs\"\n\
             test = false\n"
        )
    };
    let targets: Vec<_> = list::all().iter().map(target).collect();
    Ok(format!("{head}{TARGETS}{}", targets.join("\n")))
}

const MANIFEST: &str = "exercises/Cargo.toml";

/// What is made for the grader and its tests: files and texts. The learner's
/// own files are not among them.
fn generated(workspace: &Workspace) -> Result<Vec<(String, String)>, Stop> {
    let mut all = vec![(MANIFEST.to_owned(), manifest(workspace)?)];
    for exercise in list::all() {
        all.push((carried(exercise), made(workspace, exercise)?));
        let test = format!("exercises/tests/{}.rs", exercise.slug);
        all.push((test, graded_by(exercise)));
    }
    Ok(all)
}

/// Writes the stubs that the grader carries, the tests that grade them, and
/// those of the learner's files that are still the old stub.
pub fn generate(workspace: &Workspace, force: bool) -> Result<bool, Stop> {
    let mut learners = Vec::new();
    for exercise in list::all() {
        let stub = made(workspace, exercise)?;
        let file = workspace.file(exercise.slug);
        let old = workspace.root.join(carried(exercise));
        let old = fs::read_to_string(old).ok();
        let now = fs::read_to_string(workspace.root.join(&file)).ok();
        let untouched = now.is_none() || now == old || force;
        learners.push((file, stub.clone(), untouched || now == Some(stub)));
    }
    for (file, text) in generated(workspace)? {
        put(workspace, &file, &text)?;
    }
    for (file, stub, untouched) in learners {
        if untouched {
            put(workspace, &file, &stub)?;
        } else {
            screen::say(&format!(
                "left     {file}: it was edited (--force overwrites it)"
            ));
        }
    }
    Ok(true)
}

fn put(workspace: &Workspace, file: &str, text: &str) -> Result<(), Stop> {
    let path = workspace.root.join(file);
    if fs::read_to_string(&path).is_ok_and(|now| now == text) {
        screen::say(&format!("same     {file}"));
        return Ok(());
    }
    write(&path, text)?;
    screen::say(&format!("written  {file}"));
    Ok(())
}

/// Compares what was made, and the learner's files, with what would be made
/// now.
pub fn check(workspace: &Workspace) -> Result<bool, Stop> {
    let mut all = generated(workspace)?;
    for exercise in list::all() {
        all.push((workspace.file(exercise.slug), made(workspace, exercise)?));
    }
    let mut same = true;
    for (file, due) in all {
        let path = workspace.root.join(&file);
        let now = fs::read_to_string(&path).unwrap_or_default();
        if now == due {
            screen::say(&format!("same     {file}"));
            continue;
        }
        same = false;
        let differs = now.lines().zip(due.lines());
        let line = 1 + differs.take_while(|(a, b)| a == b).count();
        screen::say(&format!("differs  {file}:{line} from what is made now"));
    }
    if !same {
        screen::say("\nmake them anew: cargo grade stubs");
    }
    Ok(same)
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("cannot read", path))
}
