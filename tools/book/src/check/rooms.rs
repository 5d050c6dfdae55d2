//! One name, five rooms: a written chapter has them all.

use std::path::Path;

use anyhow::Result;

use super::source::{entries, files};
use super::{MANUSCRIPT, Problem, Source};

/// The parts of the book, each a folder in every tree.
pub const PARTS: [&str; 9] = [
    "calculus",
    "network",
    "depth",
    "transformer",
    "scale",
    "recurrent",
    "discrete",
    "curvature",
    "speed",
];

/// Rooms missing for the chapters of a summary, and pages missing in it.
pub fn check(root: &Path, summary: &Source) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    let written = entries(summary);
    for entry in &written {
        let name = entry.path.trim_end_matches(".md");
        let Some((part, _)) = name.split_once('/') else {
            continue;
        };
        let here = (summary.path.clone(), entry.line);
        if !PARTS.contains(&part) {
            found.push(Problem::new(
                here,
                format!(
                    "`{part}` is not a part: chapters stand in {}",
                    PARTS.join(", ")
                ),
            ));
            continue;
        }
        for room in missing(root, part, name) {
            found.push(Problem::new(
                here.clone(),
                format!(
                    "chapter `{name}` has no {room}: make it, or keep the \
                     chapter a draft, `[Title]()`"
                ),
            ));
        }
    }
    for file in files(root, Path::new(MANUSCRIPT)) {
        let inside = file.strip_prefix(MANUSCRIPT)?;
        let name = inside.to_string_lossy().replace('\\', "/");
        let page = name.ends_with(".md")
            && !name.starts_with("generated/")
            && name != "SUMMARY.md"
            && name != "404.md";
        if page && !written.iter().any(|e| e.path == name) {
            found.push(Problem::new(
                (file, 1),
                "SUMMARY.md does not list this page: add it there, or \
                 delete it",
            ));
        }
    }
    Ok(found)
}

/// The rooms that the chapter `name` (part and slug) lacks. The chapters on
/// speed explain the engine and have no module or exercise of their own.
fn missing(root: &Path, part: &str, name: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    if part != "speed" {
        rooms
            .push(vec![format!("src/{name}.rs"), format!("src/{name}/mod.rs")]);
        rooms.push(vec![format!("exercises/src/{name}.rs")]);
        rooms.push(vec![
            format!("solutions/src/{name}/mod.rs"),
            format!("solutions/src/{name}"),
            format!("solutions/src/{name}.rs"),
        ]);
    }
    rooms.push(vec![format!("tools/figures/src/{name}.rs")]);
    rooms
        .into_iter()
        .filter(|paths| !paths.iter().any(|p| root.join(p).exists()))
        .map(|paths| paths[0].clone())
        .collect()
}
