//! For authors: what somebody may see who attacks an exam without sight of it.

use super::{Stop, attack, screen, stop, stubs};
use examiner::{Exercise, direct, list};
use grade::Error;
use grade::run::write;
use grade::workspace::Workspace;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where all that a page may show comes from. Answers, twins and exams lie
/// elsewhere.
const OPEN: [&str; 2] = ["src/", "book/src/"];

/// Writes the chapter's page, the stub, the chapter's module, the names of
/// mistakes and the rules into a folder that is not there yet, or is empty.
pub fn blind(
    workspace: &Workspace,
    exercise: &'static Exercise,
    out: &Path,
) -> Result<bool, Stop> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return stop(format!(
            "{} is not empty; what lies there already may not be seen",
            out.display()
        ));
    }
    let root = &workspace.root;
    let stub = stubs::pristine(exercise).unwrap_or_default();
    let mut files = vec![
        ("README.md".into(), rules(exercise)),
        ("page.md".into(), page(root, exercise)?),
        ("stub.rs".into(), stub.to_owned()),
        ("mistakes.md".into(), mistakes(root)?),
    ];
    for file in module(root, exercise)? {
        files.push((file.clone(), read(&root.join(file))?));
    }
    for (file, text) in files {
        write(&out.join(&file), &text)?;
        screen::say(&format!("written  {}", out.join(&file).display()));
    }
    Ok(true)
}

/// The page with what it includes; of a figure, the words that describe it.
fn page(root: &Path, exercise: &Exercise) -> Result<String, Stop> {
    let file = format!("book/src/{}.md", exercise.slug);
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut page = String::new();
    for line in read(&root.join(&file))?.lines() {
        let inside = line.trim().strip_prefix("{{#include ");
        match inside.and_then(|l| l.strip_suffix("}}")) {
            Some(what) => page += &included(root, folder, what.trim())?,
            None if line.contains("{{#") => {
                return stop(format!("{file}: cannot resolve {line}"));
            }
            None => page += &format!("{line}\n"),
        }
    }
    Ok(page)
}

/// What `PATH` or `PATH:ANCHOR` stands for in a page of that folder.
fn included(root: &Path, folder: &str, what: &str) -> Result<String, Stop> {
    let (path, anchor) = match what.split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (what, None),
    };
    let path = direct(&format!("{folder}/{path}"));
    if !OPEN.iter().any(|open| path.starts_with(open)) {
        return stop(format!(
            "the page shows {path}, which is not for everybody's eyes"
        ));
    }
    let text = read(&root.join(&path))?;
    if path.ends_with(".svg") {
        let words = text.split_once("<desc").and_then(|(_, rest)| {
            Some(rest.split_once('>')?.1.split_once("</desc>")?.0)
        });
        return Ok(format!("(A figure. {})\n", words.unwrap_or_default()));
    }
    let mut shown = String::new();
    let mut inside = anchor.is_none();
    for line in text.lines() {
        let marks = |mark: &str| {
            let name = line.split_once(mark).map(|(_, name)| name.trim());
            anchor.is_some() && name == anchor
        };
        if marks("ANCHOR: ") {
            inside = true;
        } else if marks("ANCHOR_END: ") {
            inside = false;
        } else if inside && !line.contains("// ANCHOR") {
            shown += &format!("{line}\n");
        }
    }
    match shown.is_empty() {
        true => stop(format!("there is nothing to include at {path}, {what}")),
        false => Ok(shown),
    }
}

/// The source files of the chapter's module, below the root.
fn module(root: &Path, exercise: &Exercise) -> Result<Vec<String>, Stop> {
    let file = format!("src/{}.rs", exercise.slug);
    if root.join(&file).is_file() {
        return Ok(vec![file]);
    }
    let folder = format!("src/{}", exercise.slug);
    let path = root.join(&folder);
    let entries =
        fs::read_dir(&path).map_err(Error::file("cannot read", &path))?;
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let mut files: Vec<_> = names
        .filter(|name| name.ends_with(".rs"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    files.sort();
    Ok(files)
}

/// The catalogue of mistakes, as the book prints it.
fn mistakes(root: &Path) -> Result<String, Stop> {
    let parts = list::all().iter().filter_map(|e| e.slug.split('/').next());
    let parts: BTreeSet<_> = parts.collect();
    let mut text = "# Mistakes with a name\n".to_owned();
    for part in parts {
        let page = format!("book/src/generated/mistakes/{part}.md");
        text += &format!("\n{}", read(&root.join(page))?);
    }
    Ok(text)
}

fn read(path: &PathBuf) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("cannot read", path))
}

/// The rules of the game.
fn rules(exercise: &Exercise) -> String {
    let mut tasks = String::new();
    for task in exercise.tasks {
        let items = task.items.join("`, `");
        tasks += &format!("| `{}` | `{items}` | {} |\n", task.name, task.title);
    }
    let [wrong, right] = attack::HEADS;
    let (slug, name, title) = (exercise.slug, exercise.name(), exercise.title);
    format!(
        "\
# An attack on the exam of \"{title}\"

Write answers that the exam judges wrongly: wrong ones that pass or are given \
the name of another mistake, right ones that are refused. You may see what \
lies here and nothing else of the repository:

- `page.md`: the chapter, with what it shows;
- `stub.rs`: the exercise, as a learner gets it;
- `src/`: the chapter's own code;
- `mistakes.md`: every mistake that has a name.

The exam, the wrong answers that it knows and the right ones are not here. \
Whoever has seen them cannot play.

## An answer

One answer is one file, `NAME.rs`, to one task. Its first line says what it \
claims to be:

```text
{wrong}
{right}
```

`CODE` is the name in `mistakes.md` for what is done, `-` if none fits. The \
file holds whole items, functions or constants, that replace those of the same \
name in the stub; the rest of the stub, its `use` lines too, is added. Items \
and `use` lines of your own are welcome. Safe Rust, with `ndarray`, `backprop` \
and the standard library. A `static` that can change is refused before anything \
runs.

| task | items | what is asked |
|---|---|---|
{tasks}
## What to write

Wrong: a wrong idea; a subtle slip; right but at an edge (a kink, a tie, one \
row, one column, huge and tiny numbers, large arrays); lazy (constants, \
differences). Right: loops, iterators, other algebra, \
other memory layouts, slices, negative strides. Not counted as a hole: a call \
of the library's own function, and differences so fine that they are right.

## Trying them

```console
cargo grade try {name} FOLDER
```

In the repository, for `{slug}`; it shows what is not as it was claimed.
"
    )
}

#[cfg(test)]
mod tests {
    use super::included;
    use std::path::Path;

    #[test]
    fn a_page_shows_nothing_of_the_answers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for hidden in [
            "../../../solutions/src/network/linear/answer.rs",
            "../../../tools/examiner/src/network/linear/mod.rs",
            "../../../src/../solutions/src/network/linear/twins.rs",
        ] {
            assert!(root.join("book/src/network").join(hidden).is_file());
            let said = included(&root, "book/src/network", hidden).unwrap_err();
            assert!(format!("{said:?}").contains("not for everybody"));
        }
    }
}
