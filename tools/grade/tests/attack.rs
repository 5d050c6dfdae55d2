//! `cargo grade try` and `cargo grade blind`, in the repository itself.

use examiner::list;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../..").canonicalize().unwrap()
}

fn answers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

/// Exit code, all that was said, and the number of the process.
fn grade(arguments: &[&str]) -> (i32, String, u32) {
    let child = Command::new(env!("CARGO_BIN_EXE_grade"))
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8(said).unwrap();
    (output.status.code().unwrap(), said, id)
}

/// Every text below a folder, with its path there.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let below = path.strip_prefix(folder).unwrap();
                let below = below.to_string_lossy().replace('\\', "/");
                all.insert(below, text);
            }
        }
    }
    all
}

#[test]
fn what_is_not_as_claimed_is_shown() {
    let exercises = repository().join("exercises/src");
    let before = texts(&exercises);
    let (code, said, id) =
        grade(&["try", "linear", &answers().to_string_lossy()]);
    assert_eq!(code, 1, "{said}");
    // What was said of a file.
    let begin = format!("\n{}/", answers().display());
    let about = |file: &str| {
        let mut all = said.split(&begin);
        let found = all.find(|part| part.starts_with(&format!("{file}.rs: ")));
        found.unwrap_or_else(|| panic!("{file}: {said}"))
    };
    for (file, parts) in [
        (
            "wrong_passes",
            ["a wrong answer passes", "BIAS_FORGOTTEN: a"],
        ),
        ("wrong_misnamed", ["another name", "mistake   BIAS_AXIS"]),
        ("wrong_unnamed", ["no name", "MULTIPLICATIONS_ONLY: a"]),
        ("right_refused", ["a right answer is refused", "expected"]),
        ("broken", ["does not compile", "broken.rs:4:11"]),
        ("unsafe_code", ["safe Rust", "unsafe_code.rs:5:5"]),
    ] {
        for part in parts {
            assert!(about(file).contains(part), "{file}: {part}: {said}");
        }
    }
    for (place, why) in [
        ("not_rust.rs:3", "this is not Rust"),
        ("unknown_code.rs:1", "no mistake has the name `NONSENSE`"),
        ("unknown_task.rs:1", "has no task `flop`"),
        ("without_head.rs:1", "the first line has to be"),
        ("without_item.rs:1", "task flops takes flops"),
    ] {
        let line = said.lines().find(|l| l.contains(place));
        assert!(line.is_some_and(|l| l.contains(why)), "{place}: {said}");
    }
    for expected in [
        "right_slices",
        "right_entries",
        "wrong_named",
        "without_name",
        "wrong_keeps",
    ] {
        assert!(!said.contains(expected), "{said}");
    }
    for line in [
        "6 wrong: 1 passed, 1 named, 1 misnamed, 2 unnamed, 1 forbidden",
        "5 right: 2 passed, 2 refused",
        "do not compile: 1, not read: 5, surprises: 6",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }

    assert!(
        before == texts(&exercises),
        "the learner's files have changed"
    );
    let name = format!("try_{id}");
    let target = Path::new(env!("CARGO_BIN_EXE_grade")).parent().unwrap();
    for place in ["deps", ".fingerprint", "incremental"] {
        let entries = fs::read_dir(target.join(place)).into_iter().flatten();
        let left = entries
            .map(|e| e.unwrap().file_name())
            .find(|left| left.to_string_lossy().contains(&name));
        assert_eq!(left, None, "left in {place}");
    }
    assert!(!repository().join("target").join(name).exists());
}

#[test]
fn without_a_surprise_all_is_well() {
    let folder = TempDir::new().unwrap();
    for file in ["right_slices.rs", "wrong_named.rs", "wrong_without_name.rs"] {
        fs::copy(answers().join(file), folder.path().join(file)).unwrap();
    }
    let of = folder.path().to_string_lossy();
    let (code, said, _) = grade(&["try", "network/linear", &of]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("tried 3"), "{said}");
    assert!(said.contains("surprises: 0"), "{said}");
}

#[test]
fn a_folder_without_answers_is_refused() {
    let folder = TempDir::new().unwrap();
    let of = folder.path().to_string_lossy();
    let (code, said, _) = grade(&["try", "linear", &of]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no answer"), "{said}");
}

/// Lines of code or prose that are long enough to be nobody else's.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|l| l.len() >= 30)
}

/// What stands where nobody may look, and nowhere that everybody may.
fn secrets(slug: &str) -> HashSet<String> {
    let root = repository();
    let mut hidden = texts(&root.join("solutions/src").join(slug));
    let answer = hidden.get_mut("answer.rs").unwrap();
    let mut cut = String::new();
    for part in answer.split("// ANSWER\n").skip(1) {
        let (part, _) = part.split_once("// END").unwrap();
        let part = part.lines().filter(|l| !l.trim().starts_with("//~"));
        part.for_each(|line| cut += &format!("{line}\n"));
    }
    *answer = cut;
    let exam = texts(&root.join("tools/examiner/src").join(slug));
    let hidden: Vec<_> =
        hidden.into_values().chain(exam.into_values()).collect();
    // The title of a task and the sentences of a mistake are for all to see.
    let exercise = list::find(slug).unwrap();
    let mut open: Vec<_> =
        exercise.tasks.iter().map(|t| t.title.into()).collect();
    open.extend(texts(&root.join("src")).into_values());
    open.extend(texts(&root.join("book/src")).into_values());
    open.push(
        fs::read_to_string(root.join(format!("tools/grade/stubs/{slug}.rs")))
            .unwrap(),
    );
    let open = open.join("\n");
    let mut found: HashSet<String> = HashSet::new();
    for text in &hidden {
        let secret = lines(text).filter(|line| {
            let words = line.trim_matches(['"', '\\', ' ', ';', ',']);
            !open.contains(words)
        });
        found.extend(secret.map(str::to_owned));
    }
    found
}

#[test]
fn an_attacker_sees_page_stub_and_code_and_nothing_else() {
    for exercise in list::all() {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("new");
        let to = out.to_string_lossy();
        let (code, said, _) = grade(&["blind", exercise.slug, &to]);
        assert_eq!(code, 0, "{said}");
        let seen = texts(&out);
        let module = format!("src/{}", exercise.slug);
        for (file, text) in &seen {
            let open = ["README.md", "page.md", "stub.rs", "mistakes.md"];
            assert!(
                open.contains(&file.as_str()) || file.starts_with(&module),
                "{file}"
            );
            assert!(!text.contains("{{#"), "{file} includes something");
            assert!(!text.is_empty(), "{file} is empty");
        }
        let stub = format!("tools/grade/stubs/{}.rs", exercise.slug);
        let stub = fs::read_to_string(repository().join(stub)).unwrap();
        assert_eq!(seen["stub.rs"], stub);
        assert!(
            seen.keys().any(|f| f.starts_with(&module)),
            "{:?}",
            seen.keys()
        );
        assert!(seen["page.md"].contains("pub fn "), "{}", exercise.slug);
        assert!(
            exercise
                .tasks
                .iter()
                .all(|t| seen["README.md"].contains(t.name))
        );
        assert!(
            // The catalogue sets a minus where the examiner has a hyphen.
            list::mistakes().all(|m| {
                let sentence = m.sentence.replace(" - ", " − ");
                seen["mistakes.md"].contains(&sentence)
            })
        );

        let secrets = secrets(exercise.slug);
        let told = |seen: &BTreeMap<String, String>| {
            let all = seen.values().flat_map(|text| lines(text));
            all.filter(|line| secrets.contains(*line)).count()
        };
        assert_eq!(told(&seen), 0, "{}", exercise.slug);
        // They would be seen: each of the hidden files has some.
        let solutions = repository().join("solutions/src");
        let mut more = texts(&solutions.join(exercise.slug));
        let exam = repository().join("tools/examiner/src");
        more.extend(texts(&exam.join(exercise.slug)));
        for (file, text) in more {
            let one = BTreeMap::from([(file.clone(), text)]);
            assert!(
                told(&one) > 0,
                "{}: {file}: {}",
                exercise.slug,
                told(&one)
            );
        }

        let (code, said, _) = grade(&["blind", exercise.slug, &to]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("is not empty"), "{said}");
    }
}
