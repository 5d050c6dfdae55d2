//! Listings as they are read on a page: a method without the margin that it
//! has in its file, and a note at the end of a line with its own slashes.

use std::sync::LazyLock;

use regex::Regex;

use super::markup::{Kind, Page};

/// Trims the listings of Rust and of shaders; returns how many changed.
pub fn trim(page: &mut Page) -> usize {
    let mut changed = 0;
    for at in page.main() {
        let listing = page.parts[at].kind == Kind::Text
            && page.opening(at).is_some_and(|p| {
                p.name == "code"
                    && (p.has_class("language-rust")
                        || p.has_class("language-wgsl"))
            })
            && page.inside(at, &["pre"]);
        if !listing {
            continue;
        }
        let trimmed = trimmed(&page.parts[at].text);
        if trimmed != page.parts[at].text {
            page.parts[at].text = trimmed.into();
            changed += 1;
        }
    }
    changed
}

fn trimmed(code: &str) -> String {
    let margin = code
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| l.len() - l.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    let lines = code
        .split('\n')
        .map(|l| joined(l.get(margin..).unwrap_or("")));
    lines.collect::<Vec<_>>().join("\n")
}

/// `x; //     (B,1)` as `x;     // (B,1)`: rustfmt parts the slashes from a
/// note that was set in a column.
fn joined(line: &str) -> String {
    static NOTE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(.*\S) //( {2,})(\S.*)$").unwrap());
    match NOTE.captures(line) {
        Some(m) if !m[1].trim_start().starts_with("//") => {
            format!("{}{}// {}", &m[1], &m[2], &m[3])
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_go_and_notes_keep_their_column() {
        let code =
            "    let m = x; //    (B,1)\n\n    m // (B,1)\n        + 1\n";
        let short = "let m = x;    // (B,1)\n\nm // (B,1)\n    + 1\n";
        assert_eq!(trimmed(code), short);
        for same in ["//   a list\n  //   in a comment", "///   doc", "a", ""] {
            assert_eq!(trimmed(same), same);
        }
    }

    #[test]
    fn only_listings_change() {
        let text = "<main><pre><code class=\"language-rust ignore\">  a\n  b\
                    </code></pre><pre><code class=\"language-text\">  a\n  b\
                    </code></pre></main>";
        let mut page = Page::of(text);
        assert_eq!(trim(&mut page), 1);
        let text = page.text();
        assert!(text.contains(">a\nb<") && text.contains(">  a\n  b<"));
    }
}
