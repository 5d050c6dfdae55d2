//! A page cut into tags and texts that, put together, are the page again.

use std::borrow::Cow;

use crate::check::html::VOID;

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `<p>`: a closing tag follows.
    Open,
    /// `</p>`.
    Close,
    /// `<br>`, `<path/>`.
    Empty,
    /// Characters, entities as they are written.
    Text,
    /// What a script, a style, a comment says.
    Other,
}

/// A piece of a page.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// What it is.
    pub kind: Kind,
    /// Of a tag, in lower case as mdbook writes it.
    pub name: &'a str,
    /// All of it, which may be changed.
    pub text: Cow<'a, str>,
}

impl Part<'_> {
    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        let key = format!(" {name}=\"");
        let at = self.text.find(&key)? + key.len();
        let rest = &self.text[at..];
        Some(&rest[..rest.find('"')?])
    }

    /// Whether `class` names this class.
    pub fn has_class(&self, class: &str) -> bool {
        self.get("class")
            .is_some_and(|c| c.split_whitespace().any(|w| w == class))
    }
}

/// A page in parts.
pub struct Page<'a> {
    /// In order.
    pub parts: Vec<Part<'a>>,
    /// For each part the tag that is open around it; for a closing tag the
    /// one that it closes. `usize::MAX` where there is none.
    around: Vec<usize>,
}

impl<'a> Page<'a> {
    /// Cuts a page.
    pub fn of(text: &'a str) -> Self {
        let mut page = Self {
            parts: Vec::new(),
            around: Vec::new(),
        };
        let mut open: Vec<usize> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (kind, length) = next(rest, page.raw(open.last()));
            let (text, after) = rest.split_at(length);
            rest = after;
            let name = match kind {
                Kind::Text | Kind::Other => "",
                _ => name(text),
            };
            let mut around = open.last().copied();
            if kind == Kind::Close {
                let opened = |i: &usize| page.parts[*i].name == name;
                if let Some(at) = open.iter().rposition(opened) {
                    around = Some(open[at]);
                    open.truncate(at);
                }
            }
            if kind == Kind::Open {
                open.push(page.parts.len());
            }
            page.around.push(around.unwrap_or(usize::MAX));
            page.parts.push(Part {
                kind,
                name,
                text: text.into(),
            });
        }
        page
    }

    fn raw(&self, open: Option<&usize>) -> Option<&'a str> {
        let name = self.parts[*open?].name;
        ["script", "style"].contains(&name).then_some(name)
    }

    /// The page as text.
    pub fn text(&self) -> String {
        self.parts.iter().map(|p| &*p.text).collect()
    }

    /// The tags open around a part, innermost first; of a closing tag, the
    /// one that it closes is the first.
    pub fn around(&self, at: usize) -> impl Iterator<Item = &Part<'a>> {
        let mut at = at;
        std::iter::from_fn(move || {
            at = self.around[at];
            self.parts.get(at)
        })
    }

    /// The opening tag of a closing one.
    pub fn opening(&self, at: usize) -> Option<&Part<'a>> {
        self.around(at).next()
    }

    /// Whether a tag of one of these names is open around a part.
    pub fn inside(&self, at: usize, names: &[&str]) -> bool {
        self.around(at).any(|p| names.contains(&p.name))
    }

    /// Whether a tag of this class is open around a part.
    pub fn inside_class(&self, at: usize, class: &str) -> bool {
        self.around(at).any(|p| p.has_class(class))
    }

    /// The parts of the text of the page: all inside `<main>`.
    pub fn main(&self) -> std::ops::Range<usize> {
        let is = |kind| move |p: &Part| p.kind == kind && p.name == "main";
        let start = self.parts.iter().position(is(Kind::Open));
        let end = self.parts.iter().rposition(is(Kind::Close));
        match (start, end) {
            (Some(start), Some(end)) if start < end => start + 1..end,
            _ => 0..0,
        }
    }
}

/// What comes first in `text` and how long it is.
fn next(text: &str, raw: Option<&str>) -> (Kind, usize) {
    let all = text.len();
    if let Some(name) = raw {
        let end = text.find(&format!("</{name}")).unwrap_or(all);
        if end > 0 {
            return (Kind::Other, end);
        }
    }
    if text.starts_with("<!--") {
        return (Kind::Other, text.find("-->").map_or(all, |at| at + 3));
    }
    let tag = text.strip_prefix('<').is_some_and(|t| {
        t.starts_with(|c: char| c.is_alphabetic() || "/!".contains(c))
    });
    if !tag {
        let more = text.char_indices().skip(1).find(|(_, c)| *c == '<');
        return (Kind::Text, more.map_or(all, |(at, _)| at));
    }
    let mut quoted = false;
    let end = text.bytes().position(|b| {
        quoted ^= b == b'"';
        b == b'>' && !quoted
    });
    let end = end.map_or(all, |at| at + 1);
    let tag = &text[..end];
    let kind = match tag.as_bytes().get(1) {
        Some(b'/') => Kind::Close,
        Some(b'!') => Kind::Other,
        _ if tag.ends_with("/>") || VOID.contains(&name(tag)) => Kind::Empty,
        _ => Kind::Open,
    };
    (kind, end)
}

fn name(tag: &str) -> &str {
    let tag = tag.trim_start_matches(['<', '/']);
    let end = |c: char| c.is_whitespace() || c == '>' || c == '/';
    &tag[..tag.find(end).unwrap_or(tag.len())]
}

/// Characters as they are written in text and in attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The characters that a text of a page stands for.
pub fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<!DOCTYPE HTML><main id=\"m\"><p class=\"a b\">x < y\
                        <br>z<svg><path d=\"a>b\"/></svg></p><!-- <p> --></main>\
                        <script>if (a < b) { '<p>' }</script>é";

    #[test]
    fn parts_make_the_page_again() {
        assert_eq!(Page::of(PAGE).text(), PAGE);
    }

    #[test]
    fn each_part_knows_what_is_around_it() {
        let page = Page::of(PAGE);
        let at = |text: &str| {
            page.parts.iter().position(|p| p.text == text).unwrap()
        };
        let names = |text: &str| -> Vec<_> {
            page.around(at(text)).map(|p| p.name).collect()
        };
        assert_eq!(names("z"), ["p", "main"]);
        assert_eq!(names("< y"), ["p", "main"]);
        assert_eq!(names("<path d=\"a>b\"/>"), ["svg", "p", "main"]);
        assert_eq!(names("</p>"), ["p", "main"]);
        assert_eq!(names("é"), [""; 0]);
        assert!(page.inside_class(at("z"), "b"));
        assert!(page.main().contains(&at("z")));
        assert!(!page.main().contains(&at("é")));
        assert_eq!(page.parts[at("<main id=\"m\">")].get("id"), Some("m"));
    }
}
