//! Builds the book with mdbook, KaTeX and the MathML guard linked in, and
//! finishes its pages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;
use mdbook_katex::preprocess::KatexProcessor;

use crate::events::{self, Report};
use crate::finish::{self, Finish, Site, Sources};
use crate::guard::MathGuard;

/// A finished build.
pub struct Built {
    /// The folder that holds the pages.
    pub out: PathBuf,
    /// Warnings and errors that mdbook raised without failing.
    pub reports: Vec<Report>,
}

/// How to build.
#[derive(Default)]
pub struct Options<'a> {
    /// Another folder than the one that `book.toml` names.
    pub out: Option<&'a Path>,
    /// Where the book will be hosted, if not where `book.toml` says.
    pub site: Option<Site>,
    /// Where its source is kept, if not where `book.toml` says.
    pub repository: Option<String>,
    /// The folder of its rustdoc, below the root of the hosted book.
    pub docs: Option<String>,
    /// Leave the pages as mdbook writes them.
    pub plain: bool,
}

/// Builds the book of the project at `root` into the folder that its
/// `book.toml` names, or into `out` when given.
///
/// # Errors
/// When `book.toml` or `SUMMARY.md` cannot be read or the pages not written.
pub fn build(root: &Path, out: Option<&Path>) -> Result<Built> {
    let options = Options {
        out,
        ..Options::default()
    };
    build_with(root, &options)
}

/// [`build`], with more to choose.
///
/// # Errors
/// As [`build`].
pub fn build_with(root: &Path, options: &Options) -> Result<Built> {
    let (result, reports) = events::collect(|| build_quietly(root, options));
    Ok(Built {
        out: result?,
        reports,
    })
}

fn build_quietly(root: &Path, options: &Options) -> Result<PathBuf> {
    let mut book = MDBook::load(root).with_context(|| {
        format!("cannot load the book in {}", root.display())
    })?;
    // mdbook would write a site without a page.
    let first = first_page(&book).with_context(|| {
        let summary = book.source_dir().join("SUMMARY.md");
        format!(
            "{} lists no chapter: write a line `- [Title](file.md)`",
            summary.display()
        )
    })?;
    let config = &mut book.config;
    if let Some(out) = options.out {
        config.build.build_dir = out.to_path_buf();
    }
    config.set("preprocessor.katex.output", "htmlAndMathml")?;
    let site = match &options.site {
        Some(site) => site.clone(),
        None => match config.get::<String>("output.html.site-url")? {
            Some(url) => Site::parse(&url)?,
            None => Site::default(),
        },
    };
    // Pages ask for their files on the host that they come from.
    if let Some(folder) = site.folder() {
        config.set("output.html.site-url", folder)?;
    }
    if let Some(repository) = &options.repository {
        config.set("output.html.git-repository-url", repository)?;
    }
    // Takes the place of the external command of the same name.
    book.with_preprocessor(KatexProcessor);
    book.with_preprocessor(MathGuard);
    book.build().context("the book did not build")?;
    let out = book.build_dir_for("html");
    if !options.plain {
        let config = &book.config;
        let repository =
            config.get::<String>("output.html.git-repository-url")?;
        let finish = Finish {
            title: config.book.title.as_deref().unwrap_or(""),
            description: config.book.description.as_deref().unwrap_or(""),
            site: &site,
            sources: Sources {
                repository: repository
                    .as_deref()
                    .map(|r| r.trim_end_matches('/')),
                docs: options.docs.as_deref().map(|d| d.trim_matches('/')),
            },
            first: &first,
        };
        finish::run(&out, &finish).context("the pages are not finished")?;
    }
    Ok(out)
}

/// The page that the book opens with.
fn first_page(book: &MDBook) -> Option<PathBuf> {
    let mut chapters = book.iter().filter_map(|item| match item {
        BookItem::Chapter(chapter) => chapter.path.as_ref(),
        _ => None,
    });
    Some(chapters.next()?.with_extension("html"))
}
