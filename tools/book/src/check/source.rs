//! The texts that the checks look at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::{MANUSCRIPT, Problem};

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Relative to the root of the repository.
    pub path: PathBuf,
    /// Its content, lines ended by LF.
    pub text: String,
}

impl Source {
    /// Reads the file at `path` under `root`.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8: which file, and where.
    pub fn read(root: &Path, path: &Path) -> Result<Self, Problem> {
        let bytes = fs::read(root.join(path)).map_err(|e| {
            Problem::new((path, 1), format!("cannot be read: {e}"))
        })?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|b| **b == b'\n').count();
            let why = "a character that is not UTF-8: save the file as UTF-8";
            Problem::new((path, line), why)
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            text: text.trim_start_matches('\u{feff}').replace("\r\n", "\n"),
        })
    }

    /// The lines, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, l)| (i + 1, l))
    }

    /// The line of the byte at `offset`.
    pub fn line_of(&self, offset: usize) -> usize {
        1 + self.text[..offset].matches('\n').count()
    }

    /// The line on which `needle` starts, if it is there.
    pub fn find(&self, needle: &str) -> Option<usize> {
        self.text.find(needle).map(|at| self.line_of(at))
    }

    /// Where the page of this chapter stands in the built book.
    pub fn page(&self) -> PathBuf {
        self.path
            .strip_prefix(MANUSCRIPT)
            .unwrap_or(&self.path)
            .with_extension("html")
    }
}

/// Pages that cannot be read, without which nothing is built.
pub fn missing(root: &Path, summary: &Source) -> Vec<Problem> {
    let mut found = Vec::new();
    for entry in entries(summary) {
        let page = Path::new(MANUSCRIPT).join(&entry.path);
        if !root.join(&page).is_file() {
            found.push(Problem::new(
                (summary.path.clone(), entry.line),
                format!(
                    "lists {}, which does not exist: write it, correct the \
                     path, or keep the page a draft, `[{}]()`",
                    page.display(),
                    entry.title
                ),
            ));
        }
    }
    let pages = files(root, Path::new(MANUSCRIPT)).into_iter();
    let pages = pages.filter(|p| p.extension().is_some_and(|e| e == "md"));
    found.extend(pages.filter_map(|p| Source::read(root, &p).err()));
    found
}

/// Where the lines of a text begin.
pub struct Lines(Vec<usize>);

impl Lines {
    /// The lines of a text.
    pub fn of(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(ends).collect())
    }

    /// The line of the byte at `offset`, counted from 1.
    pub fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// A chapter that `SUMMARY.md` links to.
pub struct Entry {
    /// What it is called there.
    pub title: String,
    /// Relative to the manuscript, with `/`.
    pub path: String,
    /// The line in `SUMMARY.md`.
    pub line: usize,
}

/// The written chapters of a summary, in order.
pub fn entries(summary: &Source) -> Vec<Entry> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\[([^\]]*)\]\(([^)\s]+\.md)\)").unwrap());
    let mut all = Vec::new();
    for (line, text) in summary.lines() {
        for m in LINK.captures_iter(text) {
            let title = m[1].to_owned();
            let path = m[2].trim_start_matches("./").to_owned();
            all.push(Entry { title, path, line });
        }
    }
    all
}

/// The texts of the written chapters.
pub fn chapters(root: &Path, summary: &Source) -> Result<Vec<Source>, Problem> {
    let mut seen = BTreeSet::new();
    entries(summary)
        .into_iter()
        .filter(|e| seen.insert(e.path.clone()))
        .map(|e| Source::read(root, &Path::new(MANUSCRIPT).join(e.path)))
        .collect()
}

/// Source files that hold anchors: code outside the book tool itself.
pub fn with_anchors(root: &Path) -> Result<Vec<Source>, Problem> {
    let mut all = Vec::new();
    for dir in ["src", "exercises", "solutions", "tools", "benches", "tests"] {
        for path in files(root, Path::new(dir)) {
            if path.starts_with("tools/book") {
                continue;
            }
            let code = path
                .extension()
                .is_some_and(|e| e == "rs" || e == "wgsl" || e == "py");
            if code {
                let source = Source::read(root, &path)?;
                if source.text.contains("ANCHOR:") {
                    all.push(source);
                }
            }
        }
    }
    Ok(all)
}

/// Every file under `dir`, relative to `root`, in order of name.
pub fn files(root: &Path, dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let entries = fs::read_dir(root.join(&dir));
        for entry in entries.into_iter().flatten().flatten() {
            let path = dir.join(entry.file_name());
            if root.join(&path).is_dir() {
                if entry.file_name() != "target"
                    && entry.file_name() != "node_modules"
                {
                    todo.push(path);
                }
            } else {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// `a/b/../c` as `a/c`, without asking the file system.
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for c in path.components() {
        match c {
            Component::ParentDir => {
                if !out.pop() {
                    out.push("..");
                }
            }
            Component::CurDir => {}
            c => out.push(c),
        }
    }
    out
}

/// A block between two fences.
#[derive(Debug, PartialEq, Eq)]
pub struct Fence<'a> {
    /// The line of the opening fence.
    pub line: usize,
    /// What follows the opening backticks.
    pub info: &'a str,
    /// The lines between, with their numbers.
    pub body: Vec<(usize, &'a str)>,
}

impl Fence<'_> {
    /// The first word of the info string: the language.
    pub fn language(&self) -> &str {
        self.info.split([',', ' ']).next().unwrap_or("")
    }
}

/// The fenced blocks of a chapter.
pub fn fences(source: &Source) -> Vec<Fence<'_>> {
    let mut all = Vec::new();
    let mut open: Option<(usize, char, Fence)> = None;
    for (line, text) in source.lines() {
        let bare = text.trim_start_matches(['>', ' ']);
        let mark = bare.chars().next().unwrap_or(' ');
        let run = bare.chars().take_while(|&c| c == mark).count();
        let fence = run >= 3 && (mark == '`' || mark == '~');
        match &mut open {
            None if fence => {
                let info = bare[run..].trim();
                let body = Vec::new();
                open = Some((run, mark, Fence { line, info, body }));
            }
            None => {}
            Some((length, kind, _))
                if fence
                    && run >= *length
                    && mark == *kind
                    && bare[run..].trim().is_empty() =>
            {
                all.extend(open.take().map(|(_, _, f)| f));
            }
            Some((_, _, f)) => f.body.push((line, text)),
        }
    }
    all.extend(open.map(|(_, _, f)| f));
    all
}

/// The chapter with every fenced block blanked out: prose alone, on its own
/// lines.
pub fn prose(source: &Source) -> Vec<(usize, &str)> {
    let mut hidden = BTreeSet::new();
    for f in fences(source) {
        hidden.insert(f.line);
        hidden.extend(f.body.iter().map(|(l, _)| *l));
        hidden.insert(f.body.last().map_or(f.line, |(l, _)| *l) + 1);
    }
    source
        .lines()
        .filter(|(l, _)| !hidden.contains(l))
        .collect()
}
