//! `cargo demo`: prints what the chapters print.

use std::fmt::Write;
use std::path::Path;

use crate::registry::find;
use crate::{Chapter, Error, Output};

/// The text of `cargo demo [CHAPTER [OUTPUT]]`: one output, all outputs of a
/// chapter, or the list of what there is. `root` is the repository.
///
/// # Errors
/// An unknown chapter or output, or a stored measurement that cannot be read.
pub fn demo(
    root: &Path,
    chapters: &[&'static Chapter],
    chapter: Option<&str>,
    output: Option<&str>,
) -> Result<String, Error> {
    let Some(name) = chapter else {
        return Ok(list(chapters));
    };
    let chapter = find(chapters, name)?;
    if let Some(name) = output {
        return chapter.output(name)?.text(root);
    }
    let mut parts = Vec::new();
    let shown = |o: &&Output| o.extension != "svg";
    for output in chapter.outputs.iter().filter(shown) {
        let (command, text) = (output.command(chapter), output.text(root)?);
        parts.push(format!("$ {command}\n{text}"));
    }
    if parts.is_empty() {
        parts.push(format!("{} prints nothing yet\n", chapter.slug));
    }
    Ok(parts.join("\n"))
}

fn list(chapters: &[&'static Chapter]) -> String {
    let mut text = String::from("cargo demo CHAPTER [OUTPUT]\n");
    for chapter in chapters {
        let _ = write!(text, "\n{}\n", chapter.slug);
        let shown = |o: &&Output| o.extension != "svg";
        for output in chapter.outputs.iter().filter(shown) {
            let _ = writeln!(text, "  {}", output.command(chapter));
        }
        for figure in chapter.figures {
            let _ = writeln!(text, "  figure: {}", figure.title);
        }
    }
    text
}
