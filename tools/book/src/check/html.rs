//! A page as a flat list of tags and texts.

use std::cell::{Cell, RefCell};

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

/// Pieces with the lines on which they begin.
#[derive(Default)]
struct Collector {
    pieces: RefCell<Vec<(usize, Piece)>>,
    line: Cell<usize>,
}

impl Collector {
    fn text(&self, text: &str) {
        let mut pieces = self.pieces.borrow_mut();
        if let Some((_, Piece::Text(t))) = pieces.last_mut() {
            t.push_str(text);
        } else {
            pieces.push((self.line.get(), Piece::Text(text.to_owned())));
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
        self.pieces.borrow_mut().push((self.line.get(), piece));
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
    let pieces = parse_lines(page).into_iter();
    pieces.map(|(_, piece)| piece).collect()
}

/// The pieces of a page, each with the line on which it begins.
pub fn parse_lines(page: &str) -> Vec<(usize, Piece)> {
    let queue = BufferQueue::default();
    let tokenizer =
        Tokenizer::new(Collector::default(), TokenizerOpts::default());
    let mut line = 1;
    let mut start = 0;
    // Fed from tag to tag, a piece comes out while its own part goes in.
    let tags = page.match_indices('<').map(|(at, _)| at);
    for end in tags.chain([page.len()]) {
        let part = &page[start..end];
        tokenizer.sink.line.set(line);
        queue.push_back(StrTendril::from_slice(part));
        let _ = tokenizer.feed(&queue);
        line += part.matches('\n').count();
        start = end;
    }
    tokenizer.end();
    tokenizer.sink.pieces.take()
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

    #[test]
    fn a_piece_has_the_line_on_which_it_begins() {
        let page = "<p\n id=a>x\ny</p>\n\n<br>";
        let lines: Vec<_> = parse_lines(page)
            .into_iter()
            .map(|(line, _)| line)
            .collect();
        // The text after a tag is counted from the tag.
        assert_eq!(lines, [1, 1, 3, 3, 5]);
    }
}
