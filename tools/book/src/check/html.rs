//! A page as a flat list of tags and texts.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer,
    TokenizerOpts,
};

/// A tag or a run of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// `<name attr="value">`.
    Open(Element),
    /// `</name>`.
    Close(String),
    /// Characters, entities resolved.
    Text(String),
}

/// An opening tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// In lower case.
    pub name: String,
    /// In the order of the page.
    pub attributes: Vec<(String, String)>,
    /// `<br>`, `<path/>`: no closing tag follows.
    pub empty: bool,
}

impl Element {
    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        let pair = self.attributes.iter().find(|(n, _)| n == name)?;
        Some(&pair.1)
    }

    /// Whether `class` names this class.
    pub fn has_class(&self, class: &str) -> bool {
        self.get("class")
            .is_some_and(|c| c.split_whitespace().any(|w| w == class))
    }
}

/// Elements that have no end.
pub(crate) const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta",
    "source", "track", "wbr",
];

#[derive(Default)]
struct Collector(RefCell<Vec<Piece>>);

impl Collector {
    fn text(&self, text: &str) {
        let mut pieces = self.0.borrow_mut();
        if let Some(Piece::Text(t)) = pieces.last_mut() {
            t.push_str(text);
        } else {
            pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn tag(&self, tag: Tag) -> TokenSinkResult<()> {
        let name = tag.name.to_string();
        let raw = match (tag.kind, name.as_str()) {
            (TagKind::StartTag, "script") => Some(RawKind::ScriptData),
            (TagKind::StartTag, "style") => Some(RawKind::Rawtext),
            _ => None,
        };
        let piece = match tag.kind {
            TagKind::EndTag => Piece::Close(name),
            TagKind::StartTag => Piece::Open(Element {
                empty: tag.self_closing || VOID.contains(&name.as_str()),
                attributes: tag
                    .attrs
                    .iter()
                    .map(|a| (a.name.local.to_string(), a.value.to_string()))
                    .collect(),
                name,
            }),
        };
        self.0.borrow_mut().push(piece);
        raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
    }
}

impl TokenSink for Collector {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => return self.tag(tag),
            Token::CharacterTokens(text) => self.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// The pieces of a page.
pub fn parse(page: &str) -> Vec<Piece> {
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from_slice(page));
    let tokenizer =
        Tokenizer::new(Collector::default(), TokenizerOpts::default());
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.0.take()
}

/// Walks a page and calls `visit` with every piece and the elements open
/// around it, outermost first.
pub fn walk<'a>(
    pieces: &'a [Piece],
    mut visit: impl FnMut(&'a Piece, &[&'a Element]),
) {
    let mut open: Vec<&Element> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Open(e) => {
                visit(piece, &open);
                if !e.empty {
                    open.push(e);
                }
            }
            Piece::Close(name) => {
                if let Some(i) = open.iter().rposition(|e| e.name == *name) {
                    open.truncate(i);
                }
                visit(piece, &open);
            }
            Piece::Text(_) => visit(piece, &open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_texts_and_what_is_around_them() {
        let page = "<p id=a>x &lt; y<br>z</p><script>'<b>'</script>";
        let mut texts = Vec::new();
        let pieces = parse(page);
        walk(&pieces, |piece, open| {
            if let Piece::Text(t) = piece {
                let around: Vec<_> =
                    open.iter().map(|e| e.name.as_str()).collect();
                texts.push((t.clone(), around.join(" ")));
            }
        });
        let expected = [("x < y", "p"), ("z", "p"), ("'<b>'", "script")]
            .map(|(t, a)| (t.to_owned(), a.to_owned()));
        assert_eq!(texts, expected);
    }
}
