//! Answers that try to be graded unfairly, or go wrong in a way that could
//! hurt others: each has its own clear verdict, and all others are graded.

use examiner::run::{HANDOVER, Handback, Handover};
use examiner::{Exercise, Kind, Task, Verdict};
use grade::all::{self, Arguments};
use grade::compile::{News, PATIENCE, compile};
use grade::group::end_with_signals;
use grade::process::{End, Limits};
use grade::run::{self, Choice, Grade, Options, Outcome, Sheet};
use grade::workspace::{Build, Workspace};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

const fn task(name: &'static str) -> Task {
    Task {
        name,
        kind: Kind::Build,
        points: 1,
        title: "give 4",
        section: "#four",
        items: &["four"],
        hints: ["how many?", "count them", "two and two"],
    }
}

const fn exercise(slug: &'static str, tasks: &'static [Task]) -> Exercise {
    Exercise {
        slug,
        title: "Hostile answers",
        minutes: 1,
        tasks,
        names: &[],
    }
}

static PROCESS: Exercise = exercise(
    "hostile/process",
    &[
        task("right"),
        task("wrong"),
        task("not_attempted"),
        task("forged"),
        task("forged_and_wrong"),
        task("forged_verdict"),
        task("rewrites_the_verdict"),
        task("looks_around"),
        task("exits"),
        task("aborts"),
        task("overflows"),
        task("huge"),
        task("grows"),
        task("asks_politely"),
        task("panics_oddly"),
        task("thread_panics"),
        task("closes_output"),
        task("closes_output_and_is_wrong"),
        task("prints_a_lot"),
        task("leaves_a_child"),
        task("panics_twice"),
        task("obeys_no_terminal"),
        task("breaks_what_the_grader_keeps"),
        task("removes_its_program"),
        task("comes_after"),
    ],
);
static ENDLESS: Exercise =
    exercise("hostile/endless", &[task("loops"), task("chatters")]);
static SYNTAX: Exercise = exercise("hostile/syntax", &[task("right")]);
static RISKY: Exercise = exercise("hostile/risky", &[task("right")]);
static VICTIM: Exercise = exercise("hostile/victim", &[task("right")]);
static DEEP: Exercise = exercise("hostile/deep", &[task("right")]);
static GROWS: Exercise = exercise("hostile/grows", &[task("right")]);
static BRINGS: Exercise = exercise("hostile/brings", &[task("right")]);
static STUCK: Exercise = exercise("hostile/stuck", &[task("right")]);
static MISSING: Exercise = exercise("hostile/missing", &[task("right")]);

fn workspace() -> Workspace {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Workspace {
        root: here.join("../..").canonicalize().unwrap(),
        package: "tools/grade/tests/fixture".into(),
        name: "fixture".into(),
        build: Build::of_this_program(),
    }
}

/// All of it, graded once for all tests: ten seconds for the honest.
fn graded() -> &'static Grade {
    static GRADE: OnceLock<Grade> = OnceLock::new();
    GRADE.get_or_init(|| {
        let choices = [&MISSING, &SYNTAX, &PROCESS].map(Choice::all);
        grade(&choices, Duration::from_secs(60))
    })
}

fn grade(choices: &[Choice], time: Duration) -> Grade {
    let options = Options {
        limits: Limits {
            time,
            memory: 256 << 20,
            output: 4 << 10,
        },
        ..Options::default()
    };
    run::run(&workspace(), choices, &options, &mut |_| {}).unwrap()
}

fn sheet(of: &Exercise) -> &'static Sheet {
    let mut sheets = graded().sheets.iter();
    sheets.find(|s| s.exercise.slug == of.slug).unwrap()
}

fn of(name: &str) -> (&'static Outcome, &'static str, String) {
    let mut all = sheet(&PROCESS).tasks.iter();
    let graded = all.find(|g| g.task.name == name).unwrap();
    (&graded.outcome, &graded.printed, graded.remark())
}

#[track_caller]
fn ends(name: &str, end: End) {
    assert_eq!(*of(name).0, Outcome::Ended(end), "{name}");
}

#[track_caller]
fn passes(name: &str) {
    ends(name, End::Judged(Verdict::passed()));
}

#[track_caller]
fn fails(name: &str, got: &str) {
    let report = of(name).0.report();
    let report = report.unwrap_or_else(|| panic!("{name}: {:?}", of(name)));
    assert_eq!(report.got, got, "{name}");
}

#[test]
fn honest_answers_are_judged() {
    passes("right");
    fails("wrong", "5");
    ends("not_attempted", End::Judged(Verdict::NotAttempted));
}

#[test]
fn printed_lines_exit_codes_and_homemade_verdicts_do_not_pass() {
    ends("forged", End::EndedEarly);
    fails("forged_and_wrong", "5");
    ends("forged_verdict", End::EndedEarly);
    // It is a race whether anything is left of the honest verdict.
    assert!(
        !of("rewrites_the_verdict").0.passed(),
        "{:?}",
        of("rewrites_the_verdict")
    );
    passes("looks_around");
    let Outcome::Ended(End::Crashed(how)) = of("exits").0 else {
        panic!("{:?}", of("exits"));
    };
    assert!(how.contains('3'), "{how}");
    let remark = of("forged").2;
    assert!(remark.contains("counts for nothing"), "{remark}");
}

#[test]
fn crashes_are_told_apart() {
    assert!(
        matches!(of("aborts").0, Outcome::Ended(End::Crashed(_))),
        "{:?}",
        of("aborts")
    );
    assert!(
        matches!(of("panics_twice").0, Outcome::Ended(End::Crashed(_))),
        "{:?}",
        of("panics_twice")
    );
    ends("overflows", End::StackOverflow);
    fails("panics_oddly", "a panic whose payload is not a string");
    passes("thread_panics");
}

#[test]
fn memory_has_a_limit() {
    for (name, least) in [("huge", 100 << 30), ("grows", 1 << 20)] {
        let Outcome::Ended(End::OutOfMemory { asked, held }) = *of(name).0
        else {
            panic!("{:?}", of(name));
        };
        assert!(asked >= least, "{name}: {asked}");
        assert!(held <= 256 << 20, "{name}: {held}");
        let remark = of(name).2;
        assert!(remark.contains("may hold 256 MiB"), "{remark}");
    }
    passes("asks_politely");
}

#[test]
fn output_is_neither_needed_nor_endless() {
    passes("closes_output");
    fails("closes_output_and_is_wrong", "5");
    passes("prints_a_lot");
    let printed = of("prints_a_lot").1;
    assert!(printed.len() < 5 << 10, "{}", printed.len());
    assert!(printed.ends_with("(more was printed)"));
}

#[test]
#[cfg(target_os = "linux")]
fn what_an_answer_starts_ends_with_it() {
    passes("leaves_a_child");
    let printed = of("leaves_a_child").1;
    let id = printed.strip_prefix("child ").unwrap();
    // Gone, or dead and not yet collected by whoever adopted it.
    let status = std::fs::read_to_string(format!("/proc/{id}/status"));
    let status = status.unwrap_or_default();
    let alive = ["R ", "S ", "D "].map(|s| format!("State:\t{s}"));
    assert!(!alive.iter().any(|s| status.contains(s)), "{status}");
}

#[test]
fn what_an_answer_exports_does_not_run_inside_the_test() {
    let exercise = examiner::list::find("chain_rule").unwrap();
    let choice = Choice {
        exercise,
        tasks: vec![exercise.task("tanh_from_output").unwrap()],
        answer: "hostile/shadows".into(),
    };
    let grade = grade(&[choice], Duration::from_secs(20));
    let sheet = &grade.sheets[0];
    let graded = &sheet.tasks[0];
    assert!(
        graded.outcome.report().is_some(),
        "{graded:?} {}",
        sheet.errors
    );
    assert_eq!(graded.printed, "");
}

#[test]
fn an_answer_does_not_bring_another_file_in() {
    let grade = grade(&[Choice::all(&BRINGS)], Duration::from_secs(20));
    let sheet = &grade.sheets[0];
    assert_eq!(sheet.tasks[0].outcome, Outcome::DoesNotCompile);
    assert!(
        sheet.errors.contains("hostile/victim.rs"),
        "{}",
        sheet.errors
    );
}

#[test]
fn what_an_answer_prints_is_shown_and_not_obeyed() {
    fails("obeys_no_terminal", "a panic: ␛]0;title␇");
    assert_eq!(of("obeys_no_terminal").1, "␛[2Jgone␍back");
}

#[test]
fn what_an_answer_breaks_is_its_own_outcome() {
    passes("breaks_what_the_grader_keeps");
    // Its program was built again, once.
    passes("comes_after");
    assert!(of("removes_its_program").0.passed());
}

/// Answers at which the compiler never comes to an end, or ends by a signal.
/// The last can be compiled, and is.
#[test]
fn an_answer_that_brings_the_compiler_down_costs_its_own_exercise() {
    let choices = [&DEEP, &GROWS, &STUCK, &VICTIM].map(Choice::all);
    let options = Options {
        patience: Duration::from_secs(20),
        ..Options::default()
    };
    let grade = run::run(&workspace(), &choices, &options, &mut |_| {});
    let grade = grade.unwrap();
    for (sheet, why) in grade.sheets.iter().zip([
        "the compiler gave up on this file (signal: ",
        "the compiler gave up",
        "still worked at this file after 20 seconds",
    ]) {
        let of = sheet.exercise.slug;
        assert_eq!(sheet.tasks[0].outcome, Outcome::DoesNotCompile, "{of}");
        assert!(sheet.errors.contains(why), "{of}: {}", sheet.errors);
    }
    assert!(grade.sheets[3].tasks[0].outcome.passed());
    let json = grade.json();
    for k in 0..3 {
        let errors = json["exercises"][k]["errors"].as_str().unwrap();
        assert!(errors.contains("gave up"), "{errors}");
    }
}

#[test]
fn unsafe_code_is_refused_even_if_it_allows_itself() {
    let choices = [Choice::all(&RISKY)];
    let grade = grade(&choices, Duration::from_secs(20));
    let sheet = &grade.sheets[0];
    assert_eq!(sheet.tasks[0].outcome, Outcome::DoesNotCompile);
    let mut out = Vec::new();
    let arguments = Arguments::default();
    let passed = all::grade(&workspace(), &choices, 0, &arguments, &mut out);
    assert!(!passed.unwrap());
    let out = String::from_utf8(out).unwrap();
    for said in [&sheet.errors, &out] {
        assert!(said.contains("is written in safe Rust"), "{said}");
        assert!(said.contains("hostile/risky.rs:3:9"), "{said}");
    }
}

#[test]
fn an_endless_loop_costs_its_own_task() {
    let time = Duration::from_secs(1);
    let grade = grade(&[Choice::all(&ENDLESS)], time);
    let tasks = &grade.sheets[0].tasks;
    assert_eq!(tasks.len(), 2);
    for graded in tasks {
        assert_eq!(graded.outcome, Outcome::Ended(End::TimedOut));
        assert!(graded.remark().contains("after 1 seconds"));
    }
    assert!(tasks[1].printed.starts_with("and another thing\n"));
}

#[test]
fn an_endless_loop_ends_when_the_grader_is_gone() {
    let (send, news) = mpsc::channel();
    compile(&workspace(), &["endless"], false, PATIENCE, &send).unwrap();
    drop(send);
    let binary = news.iter().find_map(|news| match news {
        News::Target(_, built) => Some(built.unwrap()),
        News::Compiling(_) | News::Waiting => None,
    });
    let mut task = Command::new(binary.unwrap())
        .args(["loops", "--exact", "--test-threads=1"])
        .env(HANDOVER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let handover = Handover {
        nonce: "1".into(),
        seed: 0,
        memory: 64 << 20,
    };
    let mut stdin = task.stdin.take().unwrap();
    let line = serde_json::to_string(&handover).unwrap();
    writeln!(stdin, "{line}").unwrap();
    drop(stdin);
    // Far longer than it takes; without the end it would be forever.
    for _ in 0..600 {
        if let Some(status) = task.try_wait().unwrap() {
            // By its own hand, not by a panic on the way to the loop.
            #[cfg(unix)]
            assert_eq!(status.code(), None);
            assert!(!status.success());
            let mut said = String::new();
            let mut out = task.stdout.take().unwrap();
            out.read_to_string(&mut said).unwrap();
            assert!(!said.contains(Handback::MARK), "{said}");
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    task.kill().unwrap();
    panic!("it still runs");
}

#[test]
fn a_file_that_does_not_compile_or_is_missing_costs_its_own_exercise() {
    let syntax = sheet(&SYNTAX);
    assert_eq!(syntax.tasks[0].outcome, Outcome::DoesNotCompile);
    let file = "tools/grade/tests/fixture/src/hostile/syntax.rs:";
    assert!(syntax.errors.contains(file), "{}", syntax.errors);
    assert!(syntax.errors.contains("unclosed delimiter"));
    assert_eq!(sheet(&MISSING).tasks[0].outcome, Outcome::MissingFile);
    // And everything else was graded.
    assert_eq!(sheet(&PROCESS).tasks.len(), PROCESS.tasks.len());
}

#[test]
fn the_test_target_prints_what_the_test_harness_would() {
    let arguments = ["--test-threads", "1", "right", "wrong", "--skip=forged"]
        .map(str::to_owned);
    let arguments = Arguments::read(arguments.into_iter()).unwrap();
    let all = [&MISSING, &SYNTAX, &PROCESS].map(Choice::all);
    let (chosen, left) = arguments.select(all.into());
    let mut out = Vec::new();
    let passed = all::grade(&workspace(), &chosen, left, &arguments, &mut out);
    assert!(!passed.unwrap());
    let out = String::from_utf8(out).unwrap();
    for line in [
        "running 5 tests",
        "test missing::right ... FAILED",
        "test syntax::right ... FAILED",
        "test process::right ... ok",
        "test process::wrong ... FAILED",
        "---- process::wrong ----",
        "  got       5",
        "    syntax::right",
        "test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; \
         22 filtered out",
    ] {
        assert!(out.lines().any(|l| l == line), "{line}: {out}");
    }
    assert!(
        out.contains("this file contains an unclosed delimiter"),
        "{out}"
    );
    assert!(out.contains("cargo grade reset missing"), "{out}");
}

#[test]
fn arguments_are_those_of_the_test_harness() {
    let read = |all: &[&str]| {
        let all: Vec<_> = all.iter().map(|a| (*a).to_owned()).collect();
        Arguments::read(all.into_iter())
    };
    let chosen = |all: &[&str]| {
        let all = read(all).unwrap();
        let (chosen, left) = all.select(vec![Choice::all(&ENDLESS)]);
        let names = chosen.iter().flat_map(|c| c.tasks.iter().map(|t| t.name));
        (names.collect::<Vec<_>>(), left)
    };
    assert_eq!(chosen(&[]), (vec!["loops", "chatters"], 0));
    assert_eq!(chosen(&["ess::loop"]), (vec!["loops"], 1));
    assert_eq!(chosen(&["loops", "--exact"]), (vec![], 2));
    assert_eq!(chosen(&["endless::loops", "--exact"]), (vec!["loops"], 1));
    assert_eq!(chosen(&["--skip", "loops"]), (vec!["chatters"], 1));
    assert_eq!(chosen(&["--format=terse", "-q", "chat"]).0, ["chatters"]);
    assert!(read(&["--loops"]).unwrap_err().contains("--loops"));
}

#[test]
fn the_result_is_written_whole_and_says_it_all() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("new/out.json");
    let text = format!("{:#}", graded().json());
    run::write(&path, &text).unwrap();
    let read = std::fs::read_to_string(&path).unwrap();
    assert_eq!(read, text);
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1, "nothing is left aside");
    let json: serde_json::Value = serde_json::from_str(&read).unwrap();
    assert_eq!(json["passed"], graded().passed());
    let statuses = json["exercises"].as_array().unwrap().iter();
    let statuses: Vec<_> = statuses
        .flat_map(|e| e["tasks"].as_array().unwrap())
        .map(|t| t["status"].as_str().unwrap())
        .collect();
    for status in [
        "passed",
        "wrong",
        "not attempted",
        "ended early",
        "crashed",
        "stack overflow",
        "out of memory",
        "does not compile",
        "file missing",
    ] {
        assert!(statuses.contains(&status), "{status}: {statuses:?}");
    }
}

/// The processes below one, as the system has them now.
#[cfg(target_os = "linux")]
fn below(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat"));
        // `12 (name) S 7 ..`: the name may hold anything, the parent is 7.
        let stat = stat.unwrap_or_default();
        let Some((before, after)) = stat.rsplit_once(')') else {
            continue;
        };
        let id = before.split(' ').next().unwrap().parse::<u32>().unwrap();
        let mut after = after.split_whitespace();
        let (state, parent) = (after.next().unwrap(), after.next().unwrap());
        if state != "Z" {
            parents.push((id, parent.parse::<u32>().unwrap()));
        }
    }
    let mut at = 0;
    while at < all.len() {
        let of = all[at];
        let found = parents.iter().filter(|(_, parent)| *parent == of);
        all.extend(found.map(|(id, _)| *id));
        at += 1;
    }
    all.split_off(1)
}

#[cfg(target_os = "linux")]
fn command_line(process: u32) -> String {
    let line = std::fs::read(format!("/proc/{process}/cmdline"));
    String::from_utf8_lossy(&line.unwrap_or_default()).replace('\0', " ")
}

/// What a grader is when it is stopped by the test below.
#[test]
#[ignore = "never comes to an end by itself"]
fn a_grader_that_is_stopped() {
    // Whoever runs the tests in the background ignores some, and so would it.
    #[cfg(unix)]
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: a plain call; no handler of ours is replaced.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    end_with_signals().unwrap();
    let stuck = std::env::var_os("STUCK").is_some();
    let choice = Choice::all(if stuck { &STUCK } else { &ENDLESS });
    grade(&[choice], Duration::from_secs(600));
}

#[test]
#[cfg(target_os = "linux")]
fn a_grader_that_is_stopped_leaves_no_compiler_and_no_task_behind() {
    for (stuck, marker, signal) in [
        (false, "loops --exact", libc::SIGINT),
        (false, "loops --exact", libc::SIGHUP),
        (true, "--crate-name stuck", libc::SIGTERM),
    ] {
        let mut grader = Command::new(std::env::current_exe().unwrap());
        grader.args(["a_grader_that_is_stopped", "--exact", "--ignored"]);
        if stuck {
            grader.env("STUCK", "1");
        }
        grader.stdout(Stdio::null()).stderr(Stdio::null());
        let mut grader = grader.spawn().unwrap();
        let mut all = Vec::new();
        for _ in 0..6000 {
            all = below(grader.id());
            if all.iter().any(|id| command_line(*id).contains(marker)) {
                break;
            }
            assert_eq!(grader.try_wait().unwrap(), None, "{marker}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let lines: Vec<_> = all.iter().map(|id| command_line(*id)).collect();
        assert!(lines.iter().any(|l| l.contains(marker)), "{lines:?}");
        let id = libc::pid_t::try_from(grader.id()).unwrap();
        // SAFETY: a plain call, to a child that was not waited for.
        unsafe { libc::kill(id, signal) };
        let status = grader.wait().unwrap();
        assert_eq!(status.code(), Some(128 + signal));
        for _ in 0..500 {
            let gone = |id: &u32| {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
                stat.map_or(true, |s| s.contains(") Z "))
            };
            all.retain(|id| !gone(id));
            if all.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let left: Vec<_> = all.iter().map(|id| command_line(*id)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_the_grader_is_closed_to_its_user() {
    graded();
    // SAFETY: asks and changes nothing.
    assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, 0);
}
