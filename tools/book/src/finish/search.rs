//! The index of the search, from the finished pages.
//!
//! mdbook's holds each formula three times, as MathML, as TeX and as it is
//! drawn, and the labels of every figure. Its documents, titles and settings
//! stay as they are; the text of each is taken from its page, a formula once,
//! and the words are indexed by the same library with the same tokenizer.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use elasticlunr::IndexBuilder;
use serde_json::Value;

use super::markup::{Kind, Page, unescape};

/// Longer words are not indexed.
const LONGEST: usize = 80;
/// How mdbook begins and ends the file.
const AROUND: [&str; 2] = [
    "window.search = Object.assign(window.search, JSON.parse('",
    "'));",
];

/// The texts of sections, by their addresses: `network/linear.html#bias`.
pub type Sections = BTreeMap<String, String>;

/// Adds the sections of a page at `file`: one for each heading of the first
/// three levels, as mdbook cuts them.
pub fn add_sections(page: &Page, file: &str, sections: &mut Sections) {
    let mut address = file.to_owned();
    let mut text = String::new();
    let mut titled = false;
    for at in page.main() {
        let part = &page.parts[at];
        let heading = ["h1", "h2", "h3"].contains(&part.name);
        if heading && part.kind == Kind::Open && part.get("id").is_some() {
            let done = std::mem::take(&mut text);
            // What is above the first heading belongs to it.
            if titled {
                sections.insert(address, done);
            } else {
                text = done;
            }
            titled = true;
            address = format!("{file}#{}", part.get("id").unwrap_or(""));
        }
        let formula = page.inside_class(at, "katex");
        match part.kind {
            Kind::Open | Kind::Empty if !formula => text.push(' '),
            Kind::Text if read(page, at) => text.push_str(&part.text),
            _ => {}
        }
    }
    sections.insert(address, text);
}

/// Whether a text is in the body of a section.
fn read(page: &Page, at: usize) -> bool {
    let left = ["svg", "annotation", "script", "style", "h1", "h2", "h3"];
    !page.inside(at, &left) && !page.inside_class(at, "katex-html")
}

/// The file of mdbook's index, `script`, with these texts.
///
/// # Errors
/// When it is not as mdbook writes it.
pub fn index(script: &str, sections: &Sections) -> Result<String> {
    let json = script
        .strip_prefix(AROUND[0])
        .and_then(|s| s.strip_suffix(AROUND[1]))
        .context("the search index is not as mdbook writes it")?;
    let json = json.replace("\\'", "'").replace("\\\\", "\\");
    let mut all: Value = serde_json::from_str(&json)?;
    let mut index = IndexBuilder::new()
        .add_field_with_tokenizer("title", Box::new(words))
        .add_field_with_tokenizer("body", Box::new(words))
        .add_field_with_tokenizer("breadcrumbs", Box::new(words))
        .build();
    let urls = all["doc_urls"].as_array().context("no addresses")?;
    for (number, url) in urls.iter().enumerate() {
        let number = number.to_string();
        let document = &all["index"]["documentStore"]["docs"][&number];
        let field = |name: &str| document[name].as_str().unwrap_or("");
        let text = sections.get(url.as_str().unwrap_or(""));
        let text = text.map(|t| {
            let words: Vec<_> = t.split_whitespace().collect();
            unescape(&words.join(" "))
        });
        let body = text.as_deref().unwrap_or(field("body"));
        index.add_doc(&number, [field("title"), body, field("breadcrumbs")]);
    }
    all["index"] = serde_json::to_value(index)?;
    let json = serde_json::to_string(&all)?;
    let json = json.replace('\\', "\\\\").replace('\'', "\\'");
    Ok(AROUND.join(&json))
}

/// As mdbook cuts a text into words.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == '-')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| word.len() <= LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<main><h1 id=\"top\">Top</h1><p>it’s \\ 'one' \
        <span class=\"katex\"><span class=\"katex-mathml\"><math><mi>x</mi>\
        <mn>2</mn><annotation>x^2</annotation></math></span>\
        <span class=\"katex-html\">drawn</span></span></p>\
        <svg><text>label</text></svg><h2 id=\"next\">Next</h2><p>two &lt;</p></main>";

    #[test]
    fn formulas_once_and_no_labels() {
        let mut sections = Sections::new();
        add_sections(&Page::of(PAGE), "a.html", &mut sections);
        let text = |id: &str| {
            let words = sections[&format!("a.html#{id}")].split_whitespace();
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text("top"), "it’s \\ 'one' x2");
        assert_eq!(text("next"), "two &lt;");
        let docs = serde_json::json!({
            "doc_urls": ["a.html#top", "a.html#next", "b.html"],
            "kept": 1,
            "index": {"documentStore": {"docs": {
                "0": {"title": "Top", "body": "old", "breadcrumbs": "A » Top"},
                "1": {"title": "Next", "body": "old", "breadcrumbs": "A"},
                "2": {"title": "B", "body": "own", "breadcrumbs": "B"},
            }}},
        });
        let script = AROUND.join(&docs.to_string());
        let made = index(&script, &sections).unwrap();
        assert!(!made.contains("old") && !made.contains("label"));
        let json = made[AROUND[0].len()..made.len() - AROUND[1].len()]
            .replace("\\'", "'")
            .replace("\\\\", "\\");
        let made: Value = serde_json::from_str(&json).unwrap();
        let docs = &made["index"]["documentStore"]["docs"];
        assert_eq!(docs["0"]["body"], "it’s \\ 'one' x2");
        assert_eq!(docs["1"]["body"], "two <");
        assert_eq!(docs["2"]["body"], "own");
        assert_eq!(made["kept"], 1);
        assert!(index("other", &sections).is_err());
    }
}
