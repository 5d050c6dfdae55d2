//! The help beside the compiler's errors, with the compiler itself: every slip
//! of the fixture is compiled against the ndarray of the exercises.

use grade::compile::{News, PATIENCE, compile};
use grade::workspace::{Build, Workspace};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

const PACKAGE: &str = "tools/grade/tests/fixture";
const TARGETS: [&str; 2] = ["slips_in_types", "slips_in_names"];
const NONE: &str = "-";

/// The text of a fixture.
fn fixture(target: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("tests/fixture/src/{target}.rs");
    std::fs::read_to_string(here.join(file)).unwrap()
}

/// What the learner sees of a fixture that does not compile.
fn errors(target: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = Workspace {
        root: here.join("../..").canonicalize().unwrap(),
        package: PACKAGE.into(),
        name: "fixture".into(),
        build: Build::of_this_program(),
    };
    let (send, news) = mpsc::channel();
    compile(&workspace, &[target], false, PATIENCE, &send).unwrap();
    drop(send);
    let built = news.iter().find_map(|news| match news {
        News::Target(_, built) => Some(built),
        News::Compiling(_) | News::Waiting => None,
    });
    built.unwrap().unwrap_err()
}

/// By line, the helps of its errors, each once.
fn helps(target: &str) -> BTreeMap<usize, Vec<String>> {
    let place = format!("--> {PACKAGE}/src/{target}.rs:");
    let mut helps = BTreeMap::<_, Vec<_>>::new();
    for error in errors(target).split("\nerror") {
        // The last one only counts them.
        let Some((_, line)) = error.split_once(&place) else {
            continue;
        };
        let line = line.split(':').next().unwrap().parse().unwrap();
        let mut lines = error.lines();
        let help = lines.find_map(|l| l.strip_prefix("cargo grade: "));
        let help = help.unwrap_or(NONE).to_owned();
        let all = helps.entry(line).or_default();
        if !all.contains(&help) {
            all.push(help);
        }
    }
    helps
}

/// Holds every line against the help that the fixture names above it.
#[track_caller]
fn check(target: &str) {
    let text = fixture(target);
    let helps = helps(target);
    let (mut named, mut complete) = (Vec::new(), true);
    let mut wrong = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(help) = line.strip_prefix("//~ ") {
            if complete {
                named.clear();
            }
            named.push(help.to_owned());
            complete = false;
        } else if line.starts_with("fn ") || line.starts_with("const ") {
            complete = true;
            let got = helps.get(&number);
            if got != Some(&named) {
                wrong += &format!("{line}\n  got {got:?}\n  not {named:?}\n");
            }
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn every_slip_is_in_a_fixture() {
    let fixtures = TARGETS.map(fixture).concat();
    for slip in include_str!("../src/slips.txt").split("\n\n") {
        let help = slip.lines().next().unwrap();
        let told = |line: &str| {
            let told = line.strip_prefix("//~ ");
            told.is_some_and(|t| help.split("NAME").all(|p| t.contains(p)))
        };
        let comment = help.starts_with('#');
        assert!(comment || fixtures.lines().any(told), "{help}");
    }
}

#[test]
fn slips_in_types_get_help_and_nothing_else_does() {
    check(TARGETS[0]);
}

#[test]
fn slips_in_names_get_help_and_nothing_else_does() {
    check(TARGETS[1]);
}
