//! Builds the book with mdbook, KaTeX and the MathML guard linked in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::MDBook;
use mdbook_katex::preprocess::KatexProcessor;

use crate::events::{self, Report};
use crate::guard::MathGuard;

/// A finished build.
pub struct Built {
    /// The folder that holds the pages.
    pub out: PathBuf,
    /// Warnings and errors that mdbook raised without failing.
    pub reports: Vec<Report>,
}

/// Builds the book of the project at `root` into the folder that its
/// `book.toml` names, or into `out` when given.
///
/// # Errors
/// When `book.toml` or `SUMMARY.md` cannot be read or the pages not written.
pub fn build(root: &Path, out: Option<&Path>) -> Result<Built> {
    let (result, reports) = events::collect(|| build_quietly(root, out));
    Ok(Built {
        out: result?,
        reports,
    })
}

fn build_quietly(root: &Path, out: Option<&Path>) -> Result<PathBuf> {
    let mut book = MDBook::load(root).with_context(|| {
        format!("cannot load the book in {}", root.display())
    })?;
    if let Some(out) = out {
        book.config.build.build_dir = out.to_path_buf();
    }
    book.config
        .set("preprocessor.katex.output", "htmlAndMathml")?;
    // Takes the place of the external command of the same name.
    book.with_preprocessor(KatexProcessor);
    book.with_preprocessor(MathGuard);
    book.build().context("the book did not build")?;
    Ok(book.build_dir_for("html"))
}
