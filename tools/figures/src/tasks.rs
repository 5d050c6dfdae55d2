//! The tasks of every exercise, as the box at the end of its chapter lists
//! them.

use examiner::Exercise;
use std::fmt::Write;

use crate::{Chapter, Output, Text, Tolerance};

macro_rules! outputs {
    ($($part:ident::$slug:ident,)+) => {
        &[$(Output {
            name: stringify!($slug),
            extension: "md",
            text: Text::Computed(|| {
                listed(&examiner::$part::$slug::EXERCISE)
            }),
            tolerance: Tolerance::EXACT,
        }),+]
    };
}

/// One list for each exercise. No chapter of the book, and no page.
pub static CHAPTER: Chapter = Chapter {
    slug: "tasks",
    outputs: examiner::chapters!(outputs),
    figures: &[],
};

/// Name, kind and points of each task. The page's script, served by
/// `cargo book`, finds by the attributes where a grade belongs.
fn listed(exercise: &Exercise) -> String {
    let mut text =
        format!("<ol class=\"tasks\" data-exercise=\"{}\">\n", exercise.slug);
    for task in exercise.tasks {
        let points = match task.points {
            1 => "1 point".to_owned(),
            points => format!("{points} points"),
        };
        let _ = writeln!(
            text,
            "<li data-task=\"{name}\"><code>{name}</code> <span \
             class=\"task-kind\">{kind}, {points}</span></li>",
            name = task.name,
            kind = task.kind.name(),
        );
    }
    text + "</ol>\n"
}

#[cfg(test)]
mod tests {
    use examiner::list;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_chapter_with_an_exercise_shows_its_list() {
        let pages =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src");
        for exercise in list::all() {
            let page = pages.join(format!("{}.md", exercise.slug));
            let page = fs::read_to_string(page).unwrap();
            let line = format!(
                "{{{{#include ../generated/tasks/{}.md}}}}",
                exercise.name()
            );
            let (_, inside) =
                page.split_once("<div class=\"exercises\">").unwrap();
            let (inside, _) = inside.split_once("</div>").unwrap();
            assert!(inside.contains(&line), "{}: no {line}", exercise.slug);
        }
    }
}
