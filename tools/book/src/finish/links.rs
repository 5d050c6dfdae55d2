//! What a page mentions by its name leads there: the number of an equation,
//! the name of a mistake, the path above a listing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::markup::{Kind, Page, escape};

/// Where the names are: pages relative to the root of the book.
pub type Names = BTreeMap<String, String>;

/// The mistakes that a page of the catalogue explains, by their ids.
pub fn mistakes(file: &Path, text: &str) -> Names {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#" id="([A-Z][A-Z0-9_]{2,})""#).unwrap());
    let file = file.to_string_lossy().replace('\\', "/");
    NAME.captures_iter(text)
        .map(|m| (m[1].to_owned(), format!("{file}#{}", &m[1])))
        .collect()
}

/// Text in which a number in parentheses is no reference, or is one already.
const ELSEWHERE: &[&str] = &[
    "a", "code", "pre", "svg", "summary", "script", "h1", "h2", "h3", "h4",
    "button", "nav",
];

/// Makes the links of a page at `file`; returns how many of each kind.
pub fn make(
    page: &mut Page,
    file: &Path,
    names: &Names,
    repository: Option<&str>,
) -> [usize; 3] {
    [
        equations(page),
        named(page, file, names),
        repository.map_or(0, |r| paths(page, r)),
    ]
}

/// The tag of each numbered equation and its id: of the anchor before it.
fn tags(page: &Page) -> BTreeMap<String, String> {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\tag\{([A-Za-z]*\d+[a-z]?)\}").unwrap());
    let mut found = BTreeMap::new();
    let mut anchor = None;
    for at in page.main() {
        let part = &page.parts[at];
        if part.name == "a" && part.kind == Kind::Open {
            let id = part.get("id").filter(|id| id.starts_with("eq-"));
            anchor = id.map(str::to_owned).or(anchor);
        }
        if part.kind == Kind::Text
            && let Some(m) = TAG.captures(&part.text)
            && page.inside(at, &["annotation"])
            && let Some(id) = anchor.take()
        {
            found.insert(m[1].to_owned(), id);
        }
    }
    found
}

fn equations(page: &mut Page) -> usize {
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\(([A-Z]*\d+[a-z]?)\)").unwrap());
    let tags = tags(page);
    let mut made = 0;
    for at in page.main() {
        if page.parts[at].kind != Kind::Text
            || !NUMBER.is_match(&page.parts[at].text)
            || page.inside(at, ELSEWHERE)
            || ["katex", "shapes", "facts"]
                .iter()
                .any(|c| page.inside_class(at, c))
        {
            continue;
        }
        let linked =
            NUMBER.replace_all(&page.parts[at].text, |m: &Captures| {
                let Some(id) = tags.get(&m[1]) else {
                    return m[0].to_owned();
                };
                made += 1;
                format!("<a class=\"equation\" href=\"#{id}\">{}</a>", &m[0])
            });
        page.parts[at].text = linked.into_owned().into();
    }
    made
}

fn named(page: &mut Page, file: &Path, names: &Names) -> usize {
    let depth = file.components().count().saturating_sub(1);
    let mut made = 0;
    for at in page.main() {
        let is_code = page.parts[at].kind == Kind::Text
            && page.opening(at).is_some_and(|p| p.name == "code")
            && !page.inside(at, &["a", "pre", "summary"]);
        if !is_code {
            continue;
        }
        let Some(target) = names.get(page.parts[at].text.trim()) else {
            continue;
        };
        let link = format!("<a href=\"{}{target}\">", "../".repeat(depth));
        page.parts[at - 1].text.to_mut().insert_str(0, &link);
        page.parts[at + 1].text.to_mut().push_str("</a>");
        made += 1;
    }
    made
}

/// The path above a listing leads to the file, where the book says where its
/// source is kept.
fn paths(page: &mut Page, repository: &str) -> usize {
    let mut made = 0;
    for at in page.main() {
        let is_path = page.parts[at].kind == Kind::Text
            && page
                .opening(at)
                .is_some_and(|p| p.has_class("listing-path"));
        if is_path {
            let path = page.parts[at].text.trim().to_owned();
            let address = format!("{}/blob/HEAD/{path}", escape(repository));
            page.parts[at].text =
                format!("<a href=\"{address}\">{path}</a>").into();
            made += 1;
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<main><p><a id=\"eq-a\"></a></p><span class=\"katex-display\">\
        <annotation>x \\tag{1}</annotation></span><a id=\"eq-b\"></a>\
        <annotation>y \\tag{BP2}</annotation><annotation>z \\tag{3}</annotation>\
        <p>By (1) and (BP2), not (3) or (1, 2).</p><pre>(1)</pre>\
        <p class=\"shapes\">(1)</p><div class=\"listing-path\">src/a.rs</div>\
        <p><code>ALL_ZERO</code> <code>ZERO</code></p><pre><code>ALL_ZERO\
        </code></pre></main><p>(1)</p>";

    #[test]
    fn numbers_names_and_paths_lead_there() {
        let file = Path::new("mistakes/calculus.html");
        let names = mistakes(file, "<h3 id=\"ALL_ZERO\"><h2 id=\"a\">");
        let mut page = Page::of(PAGE);
        let at = Path::new("network/linear.html");
        let made = make(&mut page, at, &names, Some("https://x.example/a/b"));
        assert_eq!(made, [2, 1, 1]);
        let text = page.text();
        for part in [
            "By <a class=\"equation\" href=\"#eq-a\">(1)</a> and ",
            " href=\"#eq-b\">(BP2)</a>, not (3) or (1, 2).",
            "<pre>(1)</pre>",
            "<a href=\"../mistakes/calculus.html#ALL_ZERO\"><code>ALL_ZERO\
             </code></a> <code>ZERO</code>",
            "<a href=\"https://x.example/a/b/blob/HEAD/src/a.rs\">src/a.rs</a>",
            "</main><p>(1)</p>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let made = make(&mut Page::of(PAGE), at, &Names::new(), None);
        assert_eq!(made, [2, 0, 0]);
    }
}
