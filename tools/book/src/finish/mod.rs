//! The finishing pass: what only our build does to the pages that mdbook has
//! written.
//!
//! The manuscript is plain mdbook, and the stock tools render all of it; this
//! pass adds what a renderer of Markdown cannot know. No line begins with the
//! comma after a formula ([`marks`]); numbers of equations, names of mistakes
//! and paths of listings are links ([`links`]); listings have no margin of
//! their file ([`listings`]); captions have the quotes and minus signs of the
//! text ([`words`]); the head of a page speaks of that page ([`head`]); and
//! the search finds a formula once ([`search`]). On the print page, which has
//! every id of the book, there are no new links.
//!
//! Whether the stock tools give the same pages, `cargo book stock` asks of a
//! build without this pass.

pub mod head;
pub mod links;
pub mod listings;
pub mod marks;
pub mod markup;
pub mod search;
pub mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::check::files;
use head::About;
use links::Names;
use markup::Page;

/// Where the book is hosted, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// `https://host`, if it was given.
    origin: Option<String>,
    /// The folder on the host, from `/` to `/`.
    folder: Option<String>,
}

impl Site {
    /// Reads `/sub/path/` or `https://host/path/`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |c: char| c.is_whitespace() || "\"'<>?#".contains(c);
        let start = match text.find("://") {
            Some(at) => {
                let host = &text[at + 3..];
                at + 3 + host.find('/').unwrap_or(host.len())
            }
            None => 0,
        };
        let (origin, folder) = text.split_at(start);
        let hosted = ["https://", "http://"]
            .iter()
            .any(|s| origin.len() > s.len() && origin.starts_with(s));
        let whole = origin.is_empty() && folder.starts_with('/') || hosted;
        ensure!(
            whole && !text.contains(bad) && !folder.starts_with("//"),
            "`{text}` is no place for a site: write /folder/ or \
             https://host/folder/"
        );
        Ok(Self {
            origin: hosted.then(|| origin.to_owned()),
            folder: Some(format!("{}/", folder.trim_end_matches('/'))),
        })
    }

    /// The folder on the host, from `/` to `/`, if it is known.
    pub fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }

    /// The address of a file, if the host is known. The page that the book
    /// opens with has that of the folder.
    fn address(&self, file: &Path, first: bool) -> Option<String> {
        let origin = self.origin.as_ref()?;
        let folder = self.folder.as_deref().unwrap_or("/");
        let file = file.to_string_lossy().replace('\\', "/");
        let file = if first { "" } else { &file };
        Some(format!("{origin}{folder}{file}"))
    }
}

/// What the pass is told.
pub struct Finish<'a> {
    /// The title of the book.
    pub title: &'a str,
    /// What it says of itself.
    pub description: &'a str,
    /// Where it is hosted.
    pub site: &'a Site,
    /// Where its source is kept.
    pub repository: Option<&'a str>,
    /// The page that it opens with, relative to the built book.
    pub first: &'a Path,
}

/// Finishes the pages under `out`.
///
/// # Errors
/// When a page cannot be read or written.
pub fn run(out: &Path, finish: &Finish) -> Result<()> {
    let mut pages = BTreeMap::new();
    for file in files(out, Path::new("")) {
        let own = file.extension().is_some_and(|e| e == "html")
            && file != Path::new("toc.html");
        if own {
            let text = fs::read_to_string(out.join(&file))
                .with_context(|| format!("page {}", file.display()))?;
            pages.insert(file, text);
        }
    }
    let catalogue = |file: &Path| file.starts_with("mistakes");
    let mut names = Names::new();
    for (file, text) in pages.iter().filter(|(file, _)| catalogue(file)) {
        names.extend(links::mistakes(file, text));
    }
    let about = About {
        title: finish.title,
        description: finish.description,
        site: finish.site,
        card: out.join("card.png").is_file(),
    };
    let mut sections = search::Sections::new();
    for (file, text) in &mut pages {
        let mut page = Page::of(text);
        listings::trim(&mut page);
        words::set(&mut page);
        let name = file.to_string_lossy().replace('\\', "/");
        if !["print.html", "404.html"].contains(&name.as_str()) {
            let own = Names::new();
            let names = if catalogue(file) { &own } else { &names };
            links::make(&mut page, file, names, finish.repository);
            search::add_sections(&page, &name, &mut sections);
        }
        marks::keep(&mut page);
        let first = file == finish.first || name == "index.html";
        let whole = head::write(&page.text(), file, first, &about);
        *text =
            whole.replacen("</head>", &format!("{}</head>", marks::STYLE), 1);
    }
    let renamed = write_index(out, &sections)?;
    for (file, text) in &pages {
        let text = match &renamed {
            Some([old, new]) => text.replace(old, new),
            None => text.clone(),
        };
        fs::write(out.join(file), text)
            .with_context(|| format!("page {}", file.display()))?;
    }
    if let Some(map) = sitemap(pages.keys(), finish) {
        fs::write(out.join("sitemap.xml"), map)?;
    }
    Ok(())
}

/// Writes the index of the search anew; its old and its new name.
fn write_index(
    out: &Path,
    sections: &search::Sections,
) -> Result<Option<[String; 2]>> {
    let mut found = None;
    for entry in fs::read_dir(out)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("searchindex") && name.ends_with(".js") {
            found = Some(name);
        }
    }
    let Some(old) = found else { return Ok(None) };
    let index = search::index(&fs::read_to_string(out.join(&old))?, sections)?;
    // As mdbook names it: by its contents.
    let mut new = "searchindex-".to_owned();
    for byte in &Sha256::digest(&index)[..4] {
        write!(new, "{byte:02x}")?;
    }
    new.push_str(".js");
    fs::remove_file(out.join(&old))?;
    fs::write(out.join(&new), index)?;
    Ok(Some([old, new]))
}

/// All pages for who asks for them, if their addresses are known.
fn sitemap<'a>(
    pages: impl Iterator<Item = &'a PathBuf>,
    finish: &Finish,
) -> Option<String> {
    let mut map = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    // The first page is the index as well.
    let left = ["404.html", "index.html", "print.html"].map(Path::new);
    for file in pages.filter(|f| !left.contains(&f.as_path())) {
        let first = file == finish.first;
        let address = finish.site.address(file, first)?;
        let address = markup::escape(&address);
        map.push_str(&format!("<url><loc>{address}</loc></url>\n"));
    }
    map.push_str("</urlset>\n");
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_site() {
        let site = Site::parse("https://x.example").unwrap();
        let file = Path::new("a/b.html");
        let address = |s: &Site, first| s.address(file, first);
        assert_eq!(site.folder(), Some("/"));
        let whole = "https://x.example/a/b.html";
        assert_eq!(address(&site, false).as_deref(), Some(whole));
        let site = Site::parse("http://x.example/b/c").unwrap();
        assert_eq!(site.folder(), Some("/b/c/"));
        let root = "http://x.example/b/c/";
        assert_eq!(address(&site, true).as_deref(), Some(root));
        let site = Site::parse("/sub/").unwrap();
        assert_eq!(
            (site.folder(), address(&site, false)),
            (Some("/sub/"), None)
        );
        assert_eq!(Site::parse("/").unwrap().folder(), Some("/"));
        for bad in ["", "sub/", "ftp://x/", "https://", "/a b/", "//x/", "/a?b"]
        {
            assert!(Site::parse(bad).is_err(), "{bad}");
        }
    }
}
