//! How a `#[test]` of the exercises hands an answer to its check.
//!
//! Alone (`cargo test -p exercises --test linear`) a failed task panics with
//! its report. Under the grader the process is given, on standard input and
//! before any of the learner's code runs, one line of JSON ([`Handover`]); the
//! verdict goes out as a line of its own ([`Handback`]), under a seal that takes
//! the nonce to make. It goes where standard output went when the process
//! began: that descriptor is open before any of the learner's code runs, which
//! may close or rename what it likes. The nonce itself is never written, so
//! that nobody who reads along can make another verdict of it.

use crate::exercise::{Exercise, Task};
use crate::memory;
use crate::verdict::{Report, Verdict, attempt};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, Read, Write, stdin, stdout};

/// Set by the grader: a handover waits on standard input.
pub const HANDOVER: &str = "BACKPROP_HANDOVER";

/// What the grader tells a task's process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handover {
    /// Seals the verdict that comes back.
    pub nonce: String,
    /// Of the inputs that the check draws.
    pub seed: u64,
    /// Bytes that the process may hold.
    pub memory: usize,
}

/// What a task's process writes for the grader: a line of JSON that begins with
/// [`Handback::MARK`]. Only this module makes one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handback {
    /// Over the task and the verdict, by the nonce of the handover.
    pub seal: String,
    /// `slug/task`.
    pub task: String,
    /// The check's verdict.
    pub verdict: Verdict,
}

impl Handback {
    /// How the line begins.
    pub const MARK: &str = "{\"seal\":\"";

    /// The verdict on a task, sealed.
    fn new(nonce: &str, task: String, verdict: Verdict) -> Self {
        Self {
            seal: seal(nonce, &task, &verdict),
            task,
            verdict,
        }
    }

    /// Whether the holder of this nonce sealed it.
    pub fn is_sealed_by(&self, nonce: &str) -> bool {
        self.seal == seal(nonce, &self.task, &self.verdict)
    }
}

/// The standard library's hash, the same in all programs of one toolchain, of
/// what stands between two copies of the nonce.
fn seal(nonce: &str, task: &str, verdict: &Verdict) -> String {
    let verdict = serde_json::to_string(verdict).expect("a verdict is JSON");
    let mut hash = DefaultHasher::new();
    (nonce, task, verdict, nonce).hash(&mut hash);
    format!("{:016x}", hash.finish())
}

/// Why a `#[test]` of the exercises failed; its `Debug` is the report, since
/// that is what the test harness prints.
pub struct Failure(String);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs one task as a `#[test]`.
///
/// # Errors
/// The report if the task fails, a line if it was not attempted.
pub fn task(
    exercise: &Exercise,
    name: &str,
    check: impl Fn(u64) -> Verdict,
) -> Result<(), Failure> {
    let task = exercise.task(name);
    let task = task.unwrap_or_else(|| panic!("no task {name}"));
    if std::env::var_os(HANDOVER).is_some() {
        under_grader(exercise, task, check);
    }
    match hinted(check(0), exercise, task) {
        Verdict::Passed { note } => {
            if !note.is_empty() {
                println!("{note}");
            }
            Ok(())
        }
        Verdict::NotAttempted => {
            Err(Failure(format!("not attempted: {}", task.title)))
        }
        Verdict::Failed(report) => {
            Err(Failure(format!("{}\n{report}", task.title)))
        }
    }
}

/// Where no one mistake is named, the report points to the task's hint.
fn hinted(verdict: Verdict, exercise: &Exercise, task: &Task) -> Verdict {
    match verdict {
        Verdict::Failed(mut report) if report.mistakes.len() != 1 => {
            let (slug, task) = (exercise.name(), task.name);
            report.hint = format!("cargo grade hint {slug} {task}");
            Verdict::Failed(report)
        }
        other => other,
    }
}

fn under_grader(
    exercise: &Exercise,
    task: &Task,
    check: impl Fn(u64) -> Verdict,
) -> ! {
    // SAFETY: the only other thread is the test harness, which waits; nothing
    // reads the environment meanwhile.
    unsafe { std::env::remove_var(HANDOVER) };
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line);
    read.expect("the grader writes a handover");
    let handover: Handover =
        serde_json::from_str(&line).expect("the handover is JSON");
    end_with_the_grader();
    let out = own_output().expect("the grader listens");
    let mut out = memory::limit(handover.memory, out);
    // A check catches the learner's panics itself, where it expects them.
    let verdict = attempt(|| check(handover.seed)).unwrap_or_else(|p| {
        if p.is_todo() {
            return Verdict::NotAttempted;
        }
        Verdict::Failed(
            Report::new("whether it runs", format!("panic: {}", p.message), "")
                .remark(format!("at {}", p.place)),
        )
    });
    let verdict = hinted(verdict, exercise, task);
    let task = format!("{}/{}", exercise.slug, task.name);
    let handback = Handback::new(&handover.nonce, task, verdict);
    let text = serde_json::to_string(&handback).expect("a verdict is JSON");
    // Behind whatever was printed without an end of line.
    let written = out.write_all(format!("\n{text}\n").as_bytes());
    std::process::exit(i32::from(written.is_err()));
}

/// Standard output under another descriptor, which stays open whatever becomes
/// of the first.
fn own_output() -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        Ok(stdout().as_fd().try_clone_to_owned()?.into())
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle;
        Ok(stdout().as_handle().try_clone_to_owned()?.into())
    }
    #[cfg(not(any(unix, windows)))]
    Err(io::ErrorKind::Unsupported.into())
}

/// The grader keeps its end of standard input open for as long as it lives:
/// when that closes (somebody pressed Ctrl-C), this process ends too, even out
/// of an endless loop.
fn end_with_the_grader() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while stdin().read(&mut byte).is_ok_and(|n| n > 0) {}
        std::process::abort();
    });
}

/// The `#[test]`s of one exercise, with a limit on memory: for each task the
/// items of the learner's file that its check takes.
///
/// Every name in it that is not of this crate is absolute. What a learner's file
/// exports (`#[macro_export] macro_rules! stringify`) has the root of the test
/// binary for its home, where it comes before the prelude.
///
/// ```ignore
/// examiner::exercise! {
///     network::linear;
///     forward(forward), hunt(BUG, mended)
/// }
/// ```
#[macro_export]
macro_rules! exercise {
    ($part:ident :: $slug:ident;
     $($task:ident: $exam:ident ( $($item:ident),+ )),+ $(,)?) => {
        #[::core::prelude::v1::global_allocator]
        static MEMORY: $crate::memory::Capped = $crate::memory::Capped;

        $(
            #[::core::prelude::v1::test]
            fn $task() -> ::core::result::Result<(), $crate::run::Failure> {
                use $crate::$part::$slug as check;
                $crate::run::task(
                    &check::EXERCISE,
                    ::core::stringify!($task),
                    |seed| $crate::judge::Exam::judge(
                        &check::$exam,
                        ($(answer::$item),+),
                        seed,
                    ),
                )
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_nonce_one_task_and_one_verdict() {
        let wrong = Verdict::Failed(Report::new("four", "5", "4"));
        let honest = Handback::new("a1", "part/slug/task".into(), wrong);
        assert!(honest.is_sealed_by("a1"));
        assert!(!honest.is_sealed_by("a2"));
        let text = serde_json::to_string(&honest).unwrap();
        assert!(!text.contains("a1\""), "{text}");
        let read = || serde_json::from_str::<Handback>(&text).unwrap();
        assert!(read().is_sealed_by("a1"));
        let better = Handback {
            verdict: Verdict::passed(),
            ..read()
        };
        assert!(!better.is_sealed_by("a1"));
        let elsewhere = Handback {
            task: "part/slug/other".into(),
            ..read()
        };
        assert!(!elsewhere.is_sealed_by("a1"));
    }
}
