//! What the learner sees. Colour never carries a meaning alone, and is left
//! out where nobody could see it (no terminal, `NO_COLOR`).

use examiner::{Exercise, Task, list, wrap};
use grade::run::{Grade, Graded, Outcome, Progress, Sheet};
use grade::workspace::Workspace;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stderr, stdout};

pub const BOLD: &str = "\x1b[1m";
pub const DIM: &str = "\x1b[2m";
pub const RESET: &str = "\x1b[0m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";

/// A line on standard output. A closed pipe is no reason to panic.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Text that goes out as it is.
pub fn plain(text: &str) {
    let _ = write!(stdout(), "{text}");
}

/// A line that goes out as it is.
pub fn plain_line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

/// A question; the answer is typed behind it.
pub fn ask(text: &str) {
    let mut out = anstream::stdout();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

/// What stopped the program.
pub fn error(why: &str) {
    let _ = writeln!(anstream::stderr(), "{RED}error{RESET}: {why}");
}

/// What went wrong and stopped nothing.
pub fn warning(why: &str) {
    let _ = writeln!(anstream::stderr(), "{BOLD}warning{RESET}: {why}");
}

/// Whether standard output shows colours.
pub fn colour() -> bool {
    anstream::AutoStream::choice(&stdout()) != anstream::ColorChoice::Never
}

/// Wrapped to the screen, each row behind `indent`.
pub fn paragraph(indent: &str, text: &str) {
    let room = width().saturating_sub(indent.chars().count()).max(20);
    for row in text.lines().flat_map(|l| wrap(l, room)) {
        say(&format!("{indent}{row}"));
    }
}

/// Columns of the terminal, at most 100; 80 where there is none.
fn width() -> usize {
    columns().map_or(80, |w| w.clamp(20, 100))
}

#[cfg(unix)]
fn columns() -> Option<usize> {
    if !stdout().is_terminal() {
        return None;
    }
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the call fills the struct, which lives through it.
    let asked = unsafe {
        libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size)
    };
    (asked == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// `network/linear vjp`.
pub fn task_name(exercise: &Exercise, task: &Task) -> String {
    format!("{} {}", exercise.slug, task.name)
}

/// A sign for an outcome, with its colour.
fn sign(outcome: &Outcome) -> (&'static str, &'static str) {
    if outcome.passed() {
        (GREEN, "✓")
    } else if outcome.not_attempted() {
        (DIM, "·")
    } else if outcome.report().is_some() {
        (RED, "✗")
    } else {
        (RED, "!")
    }
}

/// A row of signs, one per task.
fn signs(sheet: &Sheet) -> String {
    let mut text = String::new();
    for graded in &sheet.tasks {
        let (colour, sign) = sign(&graded.outcome);
        let _ = write!(text, "{colour}{sign}{RESET}");
    }
    text
}

/// `2 wrong, 1 timed out, 3 to do`.
fn status(sheet: &Sheet) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for graded in &sheet.tasks {
        *counts.entry(graded.outcome.word()).or_default() += 1;
    }
    let all = sheet.tasks.len();
    for (word, all_of_them) in [
        ("passed", "all passed"),
        ("not attempted", "not begun"),
        ("does not compile", "does not compile"),
        ("file missing", "file missing"),
    ] {
        if counts.get(word) == Some(&all) {
            return all_of_them.to_owned();
        }
    }
    counts.remove("passed");
    let to_do = counts.remove("not attempted");
    let mut parts: Vec<_> = counts
        .iter()
        .map(|(word, n)| format!("{n} {word}"))
        .collect();
    parts.extend(to_do.map(|n| format!("{n} to do")));
    parts.join(", ")
}

/// One line per exercise, and the sum.
pub fn table(grade: &Grade) {
    let sheets = &grade.sheets;
    let longest =
        |of: &dyn Fn(&Sheet) -> usize| sheets.iter().map(of).max().unwrap_or(0);
    let slug = longest(&|s| s.exercise.slug.len());
    let tasks = longest(&|s| s.tasks.len()).max(5);
    let points = |s: &Sheet| format!("{}/{}", s.points(), s.of());
    let room = longest(&|s| points(s).len()).max(6);
    let columns = 2 + slug + 2 + tasks + 2 + room;
    let narrow = columns > width();
    say("");
    if !narrow {
        say(&format!(
            "{DIM}  {:<slug$}  {:<tasks$}  {:>room$}{RESET}",
            "exercise", "tasks", "points"
        ));
    }
    for sheet in sheets {
        let slug_text = sheet.exercise.slug;
        let signs = signs(sheet);
        let gap = " ".repeat(tasks - sheet.tasks.len());
        let points = points(sheet);
        let status = status(sheet);
        if narrow {
            say(&format!("  {slug_text}\n    {signs}  {points}"));
            say(&format!("    {status}"));
        } else if columns + 2 + status.len() <= width() {
            say(&format!(
                "  {slug_text:<slug$}  {signs}{gap}  {points:>room$}  {status}"
            ));
        } else {
            say(&format!(
                "  {slug_text:<slug$}  {signs}{gap}  {points:>room$}"
            ));
            // It does not fit behind the row.
            say(&format!("    {status}"));
        }
    }
    let sum = format!(
        "{} of {} tasks, {} of {} points",
        grade.passed(),
        grade.tasks(),
        grade.points(),
        grade.of()
    );
    let cells = width().saturating_sub(6 + sum.len()).clamp(8, slug);
    let bar = bar(grade.passed(), grade.tasks(), cells);
    if cells + 4 + sum.len() <= width() {
        say(&format!("\n  {bar}  {sum}"));
    } else {
        say(&format!("\n  {bar}\n  {sum}"));
    }
    if !grade.complete() {
        paragraph("  ", "✓ passed, ✗ wrong, ! no verdict, · not attempted");
    }
}

/// A bar of that many cells.
fn bar(done: usize, all: usize, cells: usize) -> String {
    let full = (done * cells).checked_div(all).unwrap_or(cells);
    let (full, rest) = ("━".repeat(full), "─".repeat(cells - full));
    format!("{GREEN}{full}{RESET}{DIM}{rest}{RESET}")
}

/// One exercise: every task with its report, or with the first report only.
pub fn sheet(sheet: &Sheet, only_first: bool) {
    let exercise = sheet.exercise;
    say(&format!(
        "\n{BOLD}{}{RESET}  {}\n{DIM}{}{RESET}\n",
        exercise.slug, exercise.title, sheet.file
    ));
    if !sheet.errors.is_empty() {
        say(&format!(
            "  {RED}!{RESET} does not compile; none of its tasks can pass\n"
        ));
        say(&sheet.errors);
        return;
    }
    if sheet
        .tasks
        .iter()
        .all(|g| g.outcome == Outcome::MissingFile)
    {
        say(&format!(
            "  {RED}!{RESET} the file is missing; the stub comes back with \
             cargo grade reset {}",
            exercise.name()
        ));
        return;
    }
    let longest = sheet.tasks.iter().map(|g| g.task.name.len()).max();
    let longest = longest.unwrap_or(0);
    let mut first = true;
    for graded in &sheet.tasks {
        let open = !graded.outcome.passed() && !graded.outcome.not_attempted();
        one(exercise, graded, longest, !only_first || (open && first));
        first &= !open;
    }
}

/// One task on a line, and in full with its report.
fn one(exercise: &Exercise, graded: &Graded, longest: usize, full: bool) {
    let task = graded.task;
    let number = exercise.tasks.iter().position(|t| t.name == task.name);
    let number = number.map_or(0, |n| n + 1);
    let (colour, sign) = sign(&graded.outcome);
    let head = format!(
        "  {number} {colour}{sign}{RESET} {BOLD}{:<longest$}{RESET}  {}/{}",
        task.name,
        graded.points(),
        task.points
    );
    let title = match graded.outcome.passed() {
        true => task.title.to_owned(),
        false => format!("{}: {}", graded.outcome.word(), task.title),
    };
    // Behind the head if it fits there, else below it.
    if longest + 12 + title.chars().count() <= width() {
        say(&format!("{head}  {title}"));
    } else {
        say(&head);
        paragraph("      ", &title);
    }
    if !full {
        return;
    }
    let remark = graded.remark();
    if !remark.is_empty() {
        paragraph("      ", &remark);
    }
    let report = graded.outcome.report();
    let room = width().saturating_sub(16).max(20);
    let mut shown = report.is_some() || !remark.is_empty();
    for (label, text) in report.map_or(Vec::new(), |r| r.entries()) {
        let mut label = label;
        for row in text.lines().flat_map(|l| wrap(l, room)) {
            let style = if label == "mistake" { BOLD } else { DIM };
            say(&format!("      {style}{label:<9}{RESET} {row}"));
            label = "";
        }
    }
    if !graded.printed.is_empty()
        && !graded.outcome.passed()
        && !graded.outcome.not_attempted()
    {
        say(&format!("      {DIM}printed{RESET}"));
        const MOST: usize = 20;
        for line in graded.printed.lines().take(MOST) {
            say(&format!("      {DIM}│{RESET} {line}"));
        }
        let more = graded.printed.lines().count().saturating_sub(MOST);
        if more > 0 {
            say(&format!("      {DIM}│ and {more} lines more{RESET}"));
        }
        shown = true;
    }
    if shown {
        say("");
    }
}

/// The next thing to do.
pub fn next(workspace: &Workspace, grade: &Grade) {
    let open = grade.sheets.iter().find_map(|s| Some((s, s.next()?)));
    let Some((sheet, graded)) = open else {
        match grade.sheets.as_slice() {
            [one] if one.tasks.len() == one.exercise.tasks.len() => {
                say(&format!(
                    "\n{GREEN}{} is complete.{RESET} Compare with the book's \
                     answer: cargo grade reveal {}",
                    one.exercise.slug,
                    one.exercise.name()
                ));
            }
            [one] => say(&format!(
                "\n{GREEN}Passed.{RESET} On with the others: cargo grade {}",
                one.exercise.name()
            )),
            _ => say(&format!("\n{GREEN}Every task passes.{RESET}")),
        }
        say("");
        return;
    };
    let exercise = sheet.exercise;
    let name = exercise.name();
    let task = graded.task;
    say("");
    if matches!(graded.outcome, Outcome::DoesNotCompile) {
        say(&format!("{BOLD}Next:{RESET} make {} compile", sheet.file));
        say(&format!("  {DIM}grade{RESET}  cargo grade {name}\n"));
        return;
    }
    if matches!(graded.outcome, Outcome::MissingFile) {
        say(&format!("{BOLD}Next:{RESET} bring {} back", sheet.file));
        say(&format!("  {DIM}stub{RESET}  cargo grade reset {name}\n"));
        return;
    }
    let number = exercise.tasks.iter().position(|t| t.name == task.name);
    let number = number.map_or(0, |n| n + 1);
    let what = format!(
        "{}, task {number} of {} ({}): {}",
        exercise.slug,
        exercise.tasks.len(),
        task.kind.name(),
        task.title
    );
    let mut rows = wrap(&what, width().saturating_sub(6)).into_iter();
    let first = rows.next().unwrap_or_default();
    say(&format!("{BOLD}Next:{RESET} {first}"));
    rows.for_each(|row| say(&format!("      {row}")));
    let line = heading(workspace, sheet, number);
    let task = task.name;
    for (label, text) in [
        ("edit", format!("{}{line}", sheet.file)),
        ("grade", format!("cargo grade {name} {task}")),
        ("hint", format!("cargo grade hint {name} {task}")),
        (
            "read",
            format!("{}.md{}", exercise.slug, graded.task.section),
        ),
    ] {
        say(&format!("  {DIM}{label:<5}{RESET}  {text}"));
    }
    say("");
}

/// `:30`, the line of the file where task `number` begins.
fn heading(workspace: &Workspace, sheet: &Sheet, number: usize) -> String {
    let path = workspace.root.join(&sheet.file);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let head = format!("// --- Task {number}:");
    let line = text.lines().position(|l| l.starts_with(&head));
    line.map_or(String::new(), |l| format!(":{}", l + 1))
}

/// Every exercise with its tasks.
pub fn list() {
    for exercise in list::all() {
        say(&format!(
            "\n{BOLD}{}{RESET}  {}, about {} minutes, {} points",
            exercise.slug,
            exercise.title,
            exercise.minutes,
            exercise.points()
        ));
        let longest = exercise.tasks.iter().map(|t| t.name.len()).max();
        let longest = longest.unwrap_or(0);
        for (number, task) in (1..).zip(exercise.tasks) {
            let head = format!(
                "  {number} {:<longest$}  {DIM}{:<7}{RESET} {:>2}",
                task.name,
                task.kind.name(),
                task.points,
            );
            if longest + 18 + task.title.chars().count() <= width() {
                say(&format!("{head}  {}", task.title));
            } else {
                say(&head);
                paragraph("      ", task.title);
            }
        }
    }
    say("");
}

/// Progress on standard error: a bar if that is a terminal, else a line for
/// what may take minutes.
pub struct Bar {
    all: usize,
    done: usize,
    shown: bool,
    said: Option<&'static str>,
}

impl Bar {
    /// For that many tasks.
    pub fn new(all: usize) -> Self {
        let shown = stderr().is_terminal();
        let bar = Self {
            all,
            done: 0,
            shown,
            said: None,
        };
        bar.draw("looking for changes");
        bar
    }

    /// What goes on.
    pub fn tell(&mut self, progress: Progress) {
        match progress {
            Progress::Compiling(name) => {
                self.draw(&format!("compiling {name}"));
                self.say("compiling; the first time this takes minutes");
            }
            Progress::Waiting => {
                let why = "waiting for another cargo in this folder";
                self.draw(why);
                self.say(why);
            }
            Progress::Running(exercise, task) => {
                self.draw(&task_name(exercise, task));
            }
            Progress::Done(..) => self.done += 1,
        }
    }

    /// Once, where there is no bar.
    fn say(&mut self, what: &'static str) {
        if !self.shown && self.said.replace(what) != Some(what) {
            let _ = writeln!(stderr(), "{what}");
        }
    }

    fn draw(&self, what: &str) {
        if !self.shown {
            return;
        }
        let count = format!("{}/{}", self.done, self.all);
        let cells = (width() / 3).clamp(6, 30);
        let bar = bar(self.done, self.all, cells);
        let room = width().saturating_sub(cells + count.len() + 7);
        let what: String = what.chars().take(room).collect();
        let mut out = anstream::stderr();
        let _ = write!(out, "\r\x1b[2K  {bar}  {count}  {what}");
        let _ = out.flush();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}
