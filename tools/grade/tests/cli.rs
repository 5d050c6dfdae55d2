//! The command line, in a small copy of the repository's layout.

use examiner::{Exercise, list};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A repository with the stubs of all exercises and nothing that compiles.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(TempDir::new().unwrap());
        copy.write("Cargo.toml", "not a manifest");
        copy.write("exercises/Cargo.toml", "not a manifest");
        for e in list::all() {
            copy.write(&file(e), &stub(e));
        }
        copy
    }

    fn with_answers() -> Self {
        let copy = Self::new();
        let take_over = |file: &str| {
            let text = fs::read_to_string(repository().join(file));
            copy.write(file, &text.unwrap());
        };
        take_over("exercises/Cargo.toml");
        for e in list::all() {
            take_over(&format!("solutions/src/{}/answer.rs", e.slug));
            take_over(&format!("exercises/tests/{}.rs", e.slug));
            copy.write(&format!("tools/grade/stubs/{}.rs", e.slug), &stub(e));
        }
        copy
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn grade(&self, arguments: &[&str]) -> (i32, String) {
        grade(self.0.path(), arguments)
    }
}

fn grade(at: &Path, arguments: &[&str]) -> (i32, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_grade"))
        .args(arguments)
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(e: &Exercise) -> String {
    format!("exercises/src/{}.rs", e.slug)
}

fn stub(e: &Exercise) -> String {
    let path = format!("tools/grade/stubs/{}.rs", e.slug);
    fs::read_to_string(repository().join(path)).unwrap()
}

fn first() -> &'static Exercise {
    list::all()[0]
}

#[test]
fn outside_of_the_repository_it_says_so() {
    let elsewhere = TempDir::new().unwrap();
    let (code, said) = grade(elsewhere.path(), &[]);
    assert_eq!(code, 2);
    assert!(said.contains("not inside the book's repository"), "{said}");
    assert_eq!(grade(elsewhere.path(), &["list"]).0, 0);
}

#[test]
fn what_does_not_exist_is_refused() {
    let copy = Copy::new();
    let (code, said) = copy.grade(&["network/nonsense"]);
    assert_eq!(code, 2);
    assert!(said.contains("nonsense"), "{said}");
    let (code, said) = copy.grade(&[first().slug, "nonsense"]);
    assert_eq!(code, 2);
    assert!(said.contains(first().tasks[0].name), "{said}");
    let (code, said) = copy.grade(&["hint", first().slug]);
    assert_eq!(code, 2);
    assert!(said.contains(first().tasks[0].name), "{said}");
    assert_eq!(copy.grade(&["--format", "nonsense"]).0, 2);
}

#[test]
fn hints_come_one_by_one() {
    let copy = Copy::new();
    let task = &first().tasks[1];
    let words = |hint: &str| {
        let words: Vec<_> = hint.split_whitespace().collect();
        words.join(" ")
    };
    let ask = |more: &[&str]| {
        let all = [&["hint", first().name(), task.name], more].concat();
        let (code, said) = copy.grade(&all);
        assert_eq!(code, 0, "{said}");
        words(&said)
    };
    for (more, shown) in [
        (&[][..], 0),
        (&[], 1),
        (&["--level", "1"], 0),
        (&[], 2),
        (&[], 2),
    ] {
        let said = ask(more);
        for (i, hint) in task.hints.iter().enumerate() {
            assert_eq!(said.contains(&words(hint)), i == shown, "{said}");
        }
    }
    // Another task begins with its own first hint; a number names a task.
    let (_, said) = copy.grade(&["hint", first().slug, "1"]);
    let hint = words(first().tasks[0].hints[0]);
    assert!(words(&said).contains(&hint), "{said}");
    assert!(
        !said.contains('\x1b'),
        "no colours without a terminal: {said}"
    );
}

#[test]
fn reset_keeps_what_was_written() {
    let copy = Copy::new();
    let (e, name) = (first(), first().name());
    let (code, said) = copy.grade(&["reset", name]);
    assert_eq!(code, 0);
    assert!(said.contains("untouched"), "{said}");

    copy.write(&file(e), "my work");
    let (code, said) = copy.grade(&["reset", name]);
    assert_eq!(code, 2);
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(copy.read(&file(e)), "my work");

    for (work, backup) in [("my work", "bak"), ("other work", "bak2")] {
        copy.write(&file(e), work);
        let (code, said) = copy.grade(&["reset", name, "--yes"]);
        assert_eq!(code, 0, "{said}");
        let backup = format!("{}.{backup}", file(e));
        assert!(said.contains(&backup), "{said}");
        assert_eq!(copy.read(&backup), work);
        assert_eq!(copy.read(&file(e)), stub(e));
    }

    fs::remove_file(copy.path(&file(e))).unwrap();
    assert_eq!(copy.grade(&["reset", name]).0, 0);
    assert_eq!(copy.read(&file(e)), stub(e));
}

#[test]
fn stubs_follow_the_answers_and_spare_what_was_edited() {
    let copy = Copy::with_answers();
    let e = first();
    let (code, said) = copy.grade(&["stubs", "--check"]);
    assert_eq!(code, 0, "{said}");

    // The answer changes: both copies follow.
    let answer = format!("solutions/src/{}/answer.rs", e.slug);
    let changed = copy.read(&answer) + "// more\n";
    copy.write(&answer, &changed);
    let (code, said) = copy.grade(&["stubs", "--check"]);
    assert_eq!(code, 1);
    let line = stub(e).lines().count() + 1;
    let place = format!("{}:{line}", file(e));
    assert!(said.contains(&place), "{place}: {said}");
    assert_eq!(copy.grade(&["stubs"]).0, 0);
    assert_eq!(copy.read(&file(e)), stub(e) + "// more\n");
    assert_eq!(copy.grade(&["stubs", "--check"]).0, 0);

    // So do the tests and their targets.
    let test = format!("exercises/tests/{}.rs", e.slug);
    for made in [&test, "exercises/Cargo.toml"] {
        let right = copy.read(made);
        let less = right.lines().count() - 2;
        let cut: Vec<_> = right.lines().take(less).collect();
        copy.write(made, &cut.join("\n"));
        let (code, said) = copy.grade(&["stubs", "--check"]);
        assert_eq!(code, 1);
        assert!(said.contains(&format!("differs  {made}")), "{said}");
        assert_eq!(copy.grade(&["stubs"]).0, 0);
        assert_eq!(copy.read(made), right);
    }

    // The learner has begun: the file stays, unless it is forced.
    copy.write(&file(e), "my work");
    copy.write(&answer, &(changed + "// and more\n"));
    let (_, said) = copy.grade(&["stubs"]);
    assert!(said.contains("it was edited"), "{said}");
    assert_eq!(copy.read(&file(e)), "my work");
    assert_eq!(copy.grade(&["stubs", "--force"]).0, 0);
    assert_eq!(copy.read(&file(e)), stub(e) + "// more\n// and more\n");

    copy.write(&answer, "// END\n");
    let (code, said) = copy.grade(&["stubs"]);
    assert_eq!(code, 2);
    assert!(said.contains("answer.rs: line 1"), "{said}");
}

#[test]
fn without_the_answers_it_says_so() {
    let copy = Copy::new();
    for arguments in [&["certify"][..], &["reveal", first().slug], &["stubs"]] {
        let (code, said) = copy.grade(arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert!(said.contains("answers"), "{said}");
    }
}

#[test]
fn a_result_is_written_even_if_nothing_could_be_graded() {
    let copy = Copy::new();
    let (code, said) = copy.grade(&["--out", "results/result.json"]);
    assert_eq!(code, 2, "{said}");
    for file in ["results/result.json", "exercises/.grade/result.json"] {
        let json: serde_json::Value =
            serde_json::from_str(&copy.read(file)).unwrap();
        let why = json["error"].as_str().unwrap();
        assert!(why.contains("cargo could not build"), "{why}");
    }
}

#[test]
fn every_task_is_in_its_list() {
    let (code, said) = Copy::new().grade(&["list"]);
    assert_eq!(code, 0);
    for e in list::all() {
        assert!(said.contains(e.slug), "{said}");
        assert!(e.tasks.iter().all(|t| said.contains(t.name)), "{said}");
    }
}

/// A repository whose exercises are all missing: graded without a compiler.
fn without_files() -> Copy {
    let copy = Copy::new();
    fs::remove_dir_all(copy.path("exercises/src")).unwrap();
    copy
}

#[test]
fn a_result_that_cannot_be_written_is_said_before_the_work() {
    let copy = without_files();
    for (out, why) in [
        ("exercises", "directory"),
        ("Cargo.toml/result.json", "cannot write"),
    ] {
        let (code, said) = copy.grade(&["--out", out]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(out) && said.contains(why), "{said}");
        assert!(!said.contains("file missing"), "{said}");
    }
    assert_eq!(copy.read("Cargo.toml"), "not a manifest");
}

#[test]
#[cfg(target_os = "linux")]
fn the_table_is_shown_though_the_result_cannot_be_written() {
    let copy = without_files();
    let (code, said) = copy.grade(&["--out", "/dev/full"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("file missing"), "{said}");
    assert!(said.contains("cannot write /dev/full"), "{said}");
    use std::os::unix::fs::FileTypeExt;
    let kind = fs::metadata("/dev/full").unwrap().file_type();
    assert!(kind.is_char_device());
    let (code, said) = copy.grade(&["--out", "/dev/stdout", "linear"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("\"schema\""), "{said}");
}

#[test]
fn where_the_grader_cannot_keep_its_files_it_grades() {
    let copy = without_files();
    copy.write("exercises/.grade", "in the way");
    let (code, said) = copy.grade(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("file missing"), "{said}");
    assert!(said.contains("will not show these grades"), "{said}");
    assert!(said.contains("the result is not kept"), "{said}");
    assert_eq!(copy.read("exercises/.grade"), "in the way");
}
