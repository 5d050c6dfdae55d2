//! Hints: a question, then where to look, then the rule.

use super::{Stop, screen};
use examiner::{Exercise, Task};
use grade::run::write;
use grade::workspace::Workspace;
use std::fs;
use std::path::PathBuf;

/// What each level is.
const LEVELS: [&str; 3] = ["a question", "where to look", "the rule"];

/// Shows the hint of that level, or the one after the last that was shown.
pub fn show(
    workspace: &Workspace,
    exercise: &Exercise,
    task: &Task,
    level: Option<usize>,
) -> Result<bool, Stop> {
    let id = format!("{}/{}", exercise.slug, task.name);
    let path = state(workspace);
    let mut given = read(&path);
    let before = given.iter().find(|(i, _)| *i == id).map_or(0, |(_, l)| *l);
    let level = level.unwrap_or(before + 1).clamp(1, LEVELS.len());
    if level > before {
        given.retain(|(i, _)| *i != id);
        given.push((id, level));
        let text: String =
            given.iter().map(|(i, l)| format!("{i} {l}\n")).collect();
        write(&path, &text)?;
    }
    screen::say(&format!(
        "\n  {}{}{}: {}\n",
        screen::BOLD,
        screen::task_name(exercise, task),
        screen::RESET,
        task.title,
    ));
    for (i, (hint, what)) in task.hints.iter().zip(LEVELS).enumerate() {
        if i + 1 == level {
            screen::say(&format!("  hint {level} of 3: {what}"));
            screen::paragraph("    ", hint);
        }
    }
    let name = exercise.name();
    screen::say(&match level {
        1 | 2 => format!(
            "\n  {}the next hint: cargo grade hint {name} {}{}\n",
            screen::DIM,
            task.name,
            screen::RESET
        ),
        _ => format!(
            "\n  {}read again: {}.md{}{}\n",
            screen::DIM,
            exercise.slug,
            task.section,
            screen::RESET
        ),
    });
    Ok(true)
}

fn state(workspace: &Workspace) -> PathBuf {
    workspace.state().join("hints.txt")
}

/// The highest level shown of each task. A damaged line is a hint forgotten.
fn read(path: &PathBuf) -> Vec<(String, usize)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|l| {
            let (id, level) = l.split_once(' ')?;
            Some((id.to_owned(), level.parse().ok()?))
        })
        .collect()
}
