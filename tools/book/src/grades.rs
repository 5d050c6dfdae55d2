//! What the pages show of the learner's grades.
//!
//! `cargo grade` keeps its last result in files ([`grade::kept`]). They are
//! read again at every question, and whatever is in them is text: what was
//! not written by the grader is ignored with a word in the terminal.

mod maps;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use examiner::{Exercise, Task, list};
use grade::kept::{self, Kept, KeptTask};
use serde_json::{Value, json};

/// Lines of what an answer printed that a page shows, as the terminal does.
const MOST_PRINTED: usize = 20;

/// A file's time and length, if it is there.
pub type Stamp = Option<(SystemTime, u64)>;

/// The grades of the exercises below a root.
pub struct Grades {
    root: PathBuf,
    say: Box<dyn Fn(&str) + Send + Sync>,
    /// What was said of each file, which is said once.
    said: Mutex<BTreeMap<PathBuf, String>>,
}

impl Grades {
    /// Those of the repository at `root`. `say` gets the words about files
    /// that are ignored.
    pub fn new(
        root: &Path,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        Self {
            root: root.to_path_buf(),
            say: Box::new(say),
            said: Mutex::default(),
        }
    }

    /// The learner's file.
    pub fn source(&self, exercise: &Exercise) -> PathBuf {
        let file = format!("exercises/src/{}.rs", exercise.slug);
        self.root.join(file)
    }

    fn kept(&self, exercise: &Exercise) -> PathBuf {
        kept::file(&self.root.join("exercises/.grade"), exercise)
    }

    /// Differs whenever what a page shows may differ.
    pub fn stamps(&self) -> Vec<Stamp> {
        let both = |e: &&Exercise| [self.kept(e), self.source(e)];
        let files = list::all().iter().flat_map(both);
        files.map(|file| stamp(&file)).collect()
    }

    fn read(&self, exercise: &Exercise) -> Option<Kept> {
        let path = self.kept(exercise);
        let read = kept::read(&path, exercise);
        let mut said = self.said.lock().unwrap_or_else(|e| e.into_inner());
        match read {
            Ok(kept) => {
                said.remove(&path);
                kept
            }
            Err(why) => {
                if said.get(&path) != Some(&why) {
                    let file = path.display();
                    (self.say)(&format!(
                        "the grade in {file} is ignored: {why}"
                    ));
                    said.insert(path, why);
                }
                None
            }
        }
    }

    /// All that a page asks for, as JSON in which no `<` stands:
    ///
    /// - `exercises`: for each slug with a grade, tasks `passed` of all
    ///   `tasks`, `points` of all (`of`);
    /// - `done` exercises of `all`, and `points` of all (`of`);
    /// - `grading`: the slug that is being graded, or `null`;
    /// - `here`, for the exercise of the page: the compiler's `errors` and
    ///   its `tasks`, or `null`.
    pub fn json(
        &self,
        here: Option<&Exercise>,
        grading: Option<&str>,
    ) -> String {
        let (mut exercises, mut shown) = (serde_json::Map::new(), Value::Null);
        let (mut done, mut points) = (0, 0);
        for exercise in list::all() {
            let Some(kept) = self.read(exercise) else {
                continue;
            };
            let passed: Vec<_> = (exercise.tasks.iter())
                .filter(|t| kept.task(t).is_some_and(has_passed))
                .collect();
            let earned: u32 = passed.iter().map(|t| t.points).sum();
            points += earned;
            done += usize::from(passed.len() == exercise.tasks.len());
            let sum = json!({
                "passed": passed.len(),
                "tasks": exercise.tasks.len(),
                "points": earned,
                "of": exercise.points(),
            });
            exercises.insert(exercise.slug.into(), sum);
            if here.is_some_and(|e| e.slug == exercise.slug) {
                shown = self.page(exercise, &kept);
            }
        }
        let all = json!({
            "exercises": exercises,
            "done": done,
            "all": list::all().len(),
            "points": points,
            "of": list::all().iter().map(|e| e.points()).sum::<u32>(),
            "grading": grading,
            "here": shown,
        });
        // Stays JSON, and cannot end a script or begin an element.
        all.to_string().replace('<', "\\u003c")
    }

    fn page(&self, exercise: &Exercise, kept: &Kept) -> Value {
        // Of a file that is not there the grader keeps an empty one.
        let text = fs::read(self.source(exercise));
        let source = text.map_or(String::new(), |t| kept::fingerprint(&t));
        let tasks = exercise.tasks.iter().filter_map(|task| {
            Some(shown(exercise, task, kept.task(task)?, &source))
        });
        let tasks: Vec<_> = tasks.collect();
        let current = kept.tasks.iter().any(|t| t.source == source);
        json!({
            "errors": if current { plain(&kept.errors) } else { String::new() },
            "tasks": tasks,
        })
    }
}

fn has_passed(task: &KeptTask) -> bool {
    task.status == "passed"
}

/// One task for the page: its name (`task`) and `title`, the `state` in words,
/// whether the file has `changed` since, the `points` earned; and of a wrong
/// one the `report`, a list of entries (`label`, `text`, and a `link` for a
/// mistake's name, `code`, or for the whole text), and the `maps` of
/// [`maps::all`].
fn shown(
    exercise: &Exercise,
    task: &Task,
    kept: &KeptTask,
    source: &str,
) -> Value {
    let state = match kept.status.as_str() {
        "not attempted" => "not begun",
        other => other,
    };
    let entry =
        |label: &str, text: &str| json!({"label": label, "text": plain(text)});
    let mut report = Vec::new();
    if !kept.remark.is_empty() {
        report.push(entry("", &kept.remark));
    }
    let mut drawn = Vec::new();
    if let Some(r) = &kept.report {
        for (label, text) in r.entries() {
            let mut entry = entry(label, &text);
            let named = r.mistakes.iter().find(|m| {
                text.strip_prefix(&m.code)
                    .is_some_and(|rest| rest.starts_with(": "))
            });
            if let Some(named) =
                named.filter(|_| ["mistake", ""].contains(&label))
            {
                entry["code"] = named.code.clone().into();
                entry["link"] = json!(link(&named.page));
            } else if label == "read" {
                entry["link"] = json!(link(&text));
            }
            report.push(entry);
        }
        if let Some(arrays) = &r.arrays {
            let id = format!("grade-{}-{}", exercise.slug, task.name);
            drawn = maps::all(&id.replace(['/', '_'], "-"), arrays);
        }
    }
    let printed: Vec<_> = kept.printed.lines().take(MOST_PRINTED).collect();
    if !printed.is_empty() && !["passed", "not begun"].contains(&state) {
        report.push(entry("printed", &printed.join("\n")));
    }
    json!({
        "task": task.name,
        "title": task.title,
        "state": state,
        "changed": kept.source != source,
        "points": if has_passed(kept) { task.points } else { 0 },
        "of": task.points,
        "report": report,
        "maps": drawn,
    })
}

/// The address of a section, `network/linear.md#the-bias`, on the server; for
/// anything else none.
fn link(page: &str) -> Option<String> {
    let (path, id) = page.split_once(".md#")?;
    let of = |text: &str, more: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.chars().all(fits)
    };
    let inside = path.split('/').all(|part| of(part, "_-"));
    (inside && of(id, "_-")).then(|| format!("/{path}.html#{id}"))
}

/// A file's stamp. An editor that replaces a file leaves a moment without
/// one, which is a change like others.
pub fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// Text without the escape sequences by which the compiler colours it.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // To the letter that ends it.
                Some('[') => {
                    while rest.next().is_some_and(|c| !('@'..='~').contains(&c))
                    {
                    }
                }
                // A link: to the bell or to ESC \.
                Some(']') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            rest.next();
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\n' | '\t' => kept.push(c),
            c if c.is_control() => {}
            c => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sections_of_the_book_are_links() {
        let section = link("network/linear.md#the-bias");
        assert_eq!(section.as_deref(), Some("/network/linear.html#the-bias"));
        for page in [
            "javascript:alert(1).md#a",
            "//evil.example/a.md#a",
            "../a.md#b",
            "/a.md#b",
            "a.md#",
            "a.md#b\"onclick",
            "a.html",
            "",
        ] {
            assert_eq!(link(page), None, "{page}");
        }
    }

    #[test]
    fn colours_are_taken_out_and_markup_stays() {
        let text = "\u{1b}[1m\u{1b}[31merror\u{1b}[0m: <b>\n\u{1b}]8;;x\u{7}y\
                    \u{1b}]8;;\u{1b}\\\r\u{0}";
        assert_eq!(plain(text), "error: <b>\ny");
        assert_eq!(plain("\u{1b}"), "");
        assert_eq!(plain("\u{1b}["), "");
    }
}
