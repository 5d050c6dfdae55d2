//! Builds the book with the stock `mdbook` and `mdbook-katex` and compares.
//!
//! Nothing of ours is needed to render the book: whoever has the two stock
//! tools gets the same pages. They differ in two ways that are meant: ours
//! hold MathML beside the visual formulas, and therefore another search
//! index. Ours are compared as mdbook writes them, before the pass that
//! finishes them ([`crate::finish`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use regex::{Captures, Regex};

use crate::check::files;
use crate::render::{self, Options};

/// How a comparison ended.
pub struct Comparison {
    /// Files compared.
    pub compared: usize,
    /// What differs: a file and why.
    pub differences: Vec<String>,
}

/// Builds the book at `root` both ways, under `out`, and compares.
///
/// # Errors
/// When the stock tools are not on the `PATH` or one build fails.
pub fn compare(root: &Path, out: &Path) -> Result<Comparison> {
    let theirs = out.join("stock");
    let ours = out.join("ours");
    let done = Command::new("mdbook")
        .arg("build")
        .arg(root)
        .arg("--dest-dir")
        .arg(&theirs)
        .output()
        .context(
            "cannot run `mdbook`: install mdbook 0.5.4 and mdbook-katex \
             0.10.0 with `cargo install`",
        )?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() || said.contains("ERROR") || said.contains("WARN")
    {
        bail!("the stock mdbook failed: {}", said.trim());
    }
    let options = Options {
        out: Some(&ours),
        plain: true,
        ..Options::default()
    };
    render::build_with(root, &options)?;
    compare_folders(&ours, &theirs)
}

fn compare_folders(ours: &Path, theirs: &Path) -> Result<Comparison> {
    let (a, b) = (listing(ours), listing(theirs));
    let mut differences = Vec::new();
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut compared = 0;
    for name in names {
        let (Some(a), Some(b)) = (a.get(name), b.get(name)) else {
            let side = if a.contains_key(name) {
                "ours"
            } else {
                "stock"
            };
            differences.push(format!("{name}: only in {side}"));
            continue;
        };
        compared += 1;
        if name.starts_with("searchindex") {
            continue;
        }
        let (a, b) = (fs::read(ours.join(a))?, fs::read(theirs.join(b))?);
        let same = if name.ends_with(".html") {
            first_difference(&plain(&a), &plain(&b))
        } else if name.ends_with(".js") {
            // The search names its index.
            let [a, b] = [&a, &b].map(|t| String::from_utf8_lossy(t));
            first_difference(&without_hash(&a), &without_hash(&b))
        } else {
            (a != b).then(|| "other bytes".to_owned())
        };
        differences.extend(same.map(|why| format!("{name}: {why}")));
    }
    Ok(Comparison {
        compared,
        differences,
    })
}

/// Files by their name without the hash of the search index.
fn listing(dir: &Path) -> BTreeMap<String, PathBuf> {
    files(dir, Path::new(""))
        .into_iter()
        .map(|f| (without_hash(&f.to_string_lossy().replace('\\', "/")), f))
        .collect()
}

fn without_hash(text: &str) -> String {
    static INDEX: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"searchindex-[0-9a-f]+\.js").unwrap());
    INDEX.replace_all(text, "searchindex.js").into_owned()
}

/// A page without its MathML.
fn plain(page: &[u8]) -> String {
    static MATHML: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"<span class="katex-mathml">(?s:.*?)</math>\s*</span>"#)
            .unwrap()
    });
    // Runs of space say nothing.
    static SPACE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\s+").unwrap());
    let page = String::from_utf8_lossy(page);
    let page = MATHML.replace_all(&page, "");
    let page = SPACE.replace_all(&page, |_: &Captures| " ");
    without_hash(&page)
}

fn first_difference(a: &str, b: &str) -> Option<String> {
    if a == b {
        return None;
    }
    let at = a
        .char_indices()
        .zip(b.chars())
        .find(|((_, x), y)| x != y)
        .map_or(a.len().min(b.len()), |((i, _), _)| i);
    let near = |s: &str| -> String {
        let start = (0..=at.min(s.len()).saturating_sub(40))
            .rev()
            .find(|i| s.is_char_boundary(*i))
            .unwrap_or(0);
        s[start..].chars().take(90).collect()
    };
    Some(format!("ours `{}`, stock `{}`", near(a), near(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mathml_does_not_count_and_text_does() {
        let ours = "<span class=\"katex\"><span class=\"katex-mathml\">\
                    <math><mi>x</mi></math></span><span class=\"katex-html\">\
                    x</span></span>";
        let stock = "<span class=\"katex\"><span class=\"katex-html\">x\
                     </span></span>";
        let (a, b) = (plain(ours.as_bytes()), plain(stock.as_bytes()));
        assert_eq!(first_difference(&a, &b), None);
        let other = plain(stock.replace('x', "y").as_bytes());
        assert!(first_difference(&a, &other).unwrap().contains("y</span>"));
    }

    #[test]
    fn missing_and_changed_files_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for d in [&a, &b] {
            fs::create_dir(d).unwrap();
            fs::write(d.join("same.html"), "same").unwrap();
        }
        fs::write(a.join("searchindex-0a1b.js"), "1").unwrap();
        fs::write(b.join("searchindex-ffff.js"), "2").unwrap();
        fs::write(a.join("x.css"), "1").unwrap();
        fs::write(b.join("x.css"), "2").unwrap();
        fs::write(b.join("extra.html"), "").unwrap();
        let done = compare_folders(&a, &b).unwrap();
        assert_eq!(
            done.differences,
            ["extra.html: only in stock", "x.css: other bytes"]
        );
        assert_eq!(done.compared, 3);
    }
}
