//! One name, six rooms: a written chapter has them all.

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

/// A place that a chapter has in one of the trees.
struct Room {
    /// Where it may lie, `{}` being part and slug; the first is the usual.
    paths: &'static [&'static str],
    /// Whether the chapters on speed have it: they explain the engine, and
    /// have no module and no exercise of their own.
    speed: bool,
}

/// Page, module, stubs, answers, exam, and what the chapter shows.
const ROOMS: [Room; 6] = [
    Room {
        paths: &["book/src/{}.md"],
        speed: true,
    },
    Room {
        paths: &["src/{}/mod.rs", "src/{}.rs"],
        speed: false,
    },
    Room {
        paths: &["exercises/src/{}.rs"],
        speed: false,
    },
    Room {
        paths: &["solutions/src/{}", "solutions/src/{}.rs"],
        speed: false,
    },
    Room {
        paths: &["tools/examiner/src/{}"],
        speed: false,
    },
    Room {
        paths: &["tools/figures/src/{}.rs", "tools/figures/src/{}/mod.rs"],
        speed: true,
    },
];

/// Pages that are in a folder and are no chapters: the appendix, which has
/// one for each part.
const APPENDIX: &str = "mistakes";

/// Rooms missing for the chapters of a summary, and pages missing in it.
pub fn check(root: &Path, summary: &Source) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    let written = entries(summary);
    for entry in &written {
        let name = entry.path.trim_end_matches(".md");
        let Some((part, _)) = name.split_once('/') else {
            continue;
        };
        if part == APPENDIX {
            continue;
        }
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

/// The rooms that the chapter `name` (part and slug) lacks.
fn missing(root: &Path, part: &str, name: &str) -> Vec<String> {
    let of = |path: &str| path.replace("{}", name);
    ROOMS
        .iter()
        .filter(|room| room.speed || part != "speed")
        .filter(|room| !room.paths.iter().any(|p| root.join(of(p)).exists()))
        .map(|room| of(room.paths[0]))
        .collect()
}
