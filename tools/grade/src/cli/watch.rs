//! Grades again whenever a file is saved.

use super::desk::Request;
use super::{Stop, desk, hint, screen};
use grade::run::{Choice, Grade};
use std::io::{BufRead, IsTerminal, stdin, stdout};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// A file's time and length, if it is there.
type Stamp = Option<(SystemTime, u64)>;

/// Grades once, then again after every save, until `q` or the end of input.
pub fn watch(request: &Request) -> Result<bool, Stop> {
    let choices = request.choices();
    let keys = keys();
    let mut seen = stamps(request, &choices);
    request.probe()?;
    let mut grade = request.run(&choices)?;
    let mut fresh = grade.sheets.clone();
    let mut latest = Latest::default();
    loop {
        show(request, &grade, &latest);
        // Whatever stands in the way may be gone after the next save.
        if let Err(Stop(why)) = request.keep(&grade, &fresh) {
            screen::error(&why);
        }
        loop {
            match keys.recv_timeout(PAUSE) {
                Ok(key) if key == "q" => return Ok(grade.complete()),
                Ok(key) if key == "h" => {
                    let open = grade.sheets.iter();
                    let open = open.map(|s| (s.exercise, s.next()));
                    for (exercise, next) in open {
                        if let Some(next) = next {
                            let at = &request.workspace;
                            hint::show(at, exercise, next.task, None)?;
                            break;
                        }
                    }
                }
                Ok(_) => {
                    show(request, &grade, &latest);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(PAUSE);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = stamps(request, &choices);
            if now != seen {
                let changed = choices.iter().zip(now.iter().zip(&seen));
                let changed: Vec<_> = changed
                    .filter(|(_, (now, seen))| now != seen)
                    .map(|(choice, _)| choice.clone())
                    .collect();
                seen = now;
                let start = Instant::now();
                match request.run(&changed) {
                    Ok(again) => {
                        fresh.clone_from(&again.sheets);
                        merge(&mut grade, again);
                    }
                    // Something outside of the exercises is broken: it may
                    // be mended while this goes on.
                    Err(error) => {
                        screen::error(&error.to_string());
                        continue;
                    }
                }
                latest.saved = changed;
                latest.took = start.elapsed();
                break;
            }
        }
    }
}

/// What was graded last, and how long that took; empty at first.
#[derive(Default)]
struct Latest {
    saved: Vec<Choice>,
    took: Duration,
}

/// Lines that are typed, for as long as somebody can type.
fn keys() -> Receiver<String> {
    let (send, keys) = mpsc::channel();
    if stdin().is_terminal() {
        std::thread::spawn(move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                if send.send(line.trim().to_lowercase()).is_err() {
                    break;
                }
            }
        });
    }
    keys
}

fn stamps(request: &Request, choices: &[Choice]) -> Vec<Stamp> {
    let root = &request.workspace.root;
    let files = choices.iter().map(|c| request.workspace.file(&c.answer));
    files.map(|file| stamp(&root.join(file))).collect()
}

/// An editor that replaces a file leaves a moment without one: ask twice.
fn stamp(path: &Path) -> Stamp {
    let ask = || {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    ask().or_else(|| {
        std::thread::sleep(PAUSE);
        ask()
    })
}

fn merge(grade: &mut Grade, fresh: Grade) {
    for sheet in fresh.sheets {
        let slug = sheet.exercise.slug;
        let old = grade.sheets.iter_mut().find(|s| s.exercise.slug == slug);
        *old.expect("it was graded before") = sheet;
    }
}

/// The exercises that were saved last, or what was asked for, on a fresh
/// screen.
fn show(request: &Request, grade: &Grade, latest: &Latest) {
    if stdout().is_terminal() {
        screen::plain("\x1b[2J\x1b[3J\x1b[H");
    }
    if latest.saved.is_empty() {
        desk::show(request, grade);
    } else {
        let slugs: Vec<_> =
            latest.saved.iter().map(|c| c.exercise.slug).collect();
        let mut saved = grade.clone();
        saved.sheets.retain(|s| slugs.contains(&s.exercise.slug));
        saved.sheets.iter().for_each(|s| screen::sheet(s, true));
        // What is open in this exercise comes first, then in the others.
        let next = if saved.complete() { grade } else { &saved };
        screen::next(&request.workspace, next);
        screen::say(&format!("graded in {:.1} s", latest.took.as_secs_f64()));
    }
    screen::say("watching; Enter: show again, h Enter: a hint, q Enter: stop");
}
