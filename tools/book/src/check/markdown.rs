//! A page as the Markdown parser reads it, with the place of everything.
//!
//! Formulas are blanked out first: their underscores and brackets mean
//! something else, and mdbook never sees them.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{
    BrokenLink, CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag,
    TagEnd,
};

use super::Source;
use super::formulas::blank;
use super::html::{Element, Piece, parse_lines};
use super::includes::includes;
use super::source::Lines;

/// What a parser found where.
pub type Events = Vec<(Event<'static>, Range<usize>)>;

/// A page and what it consists of.
pub struct Markdown<'a> {
    /// The page as it is written.
    pub source: &'a Source,
    /// The same without its formulas, byte for byte as long.
    pub text: String,
    /// In the order of the page.
    pub events: Events,
    /// `[text][label]` whose label is not defined.
    pub undefined: Vec<(String, usize)>,
    /// Its HTML, tags and texts, each with its line.
    pub html: Vec<(usize, Piece)>,
    lines: Lines,
}

/// A heading.
pub struct Heading<'a> {
    /// Where it stands.
    pub line: usize,
    /// 1 to 6.
    pub level: usize,
    /// `{#id}`.
    pub id: Option<&'a str>,
    /// What it says, without marks.
    pub text: String,
}

/// A link of Markdown or of HTML.
pub struct Link {
    /// Where it stands.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// Where it leads.
    pub target: String,
}

/// An element that an author wrote, as HTML or as Markdown that becomes it.
pub struct Spot {
    /// The page, or the file that it includes.
    pub file: PathBuf,
    /// Where the element begins.
    pub line: usize,
    /// The element.
    pub element: Element,
}

impl<'a> Markdown<'a> {
    /// Reads a page.
    pub fn read(source: &'a Source) -> Self {
        let text = blank(source);
        let lines = Lines::of(&text);
        let (events, undefined) = events(&text);
        let undefined = undefined
            .into_iter()
            .map(|(label, at)| (label, lines.at(at)))
            .collect();
        let html = parse_lines(&html_alone(&text, &events));
        Self {
            source,
            text,
            events,
            undefined,
            html,
            lines,
        }
    }

    /// The line of the byte at `offset`.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.at(offset)
    }

    /// Runs of text, each with where it begins; code is none. `all` is
    /// whether links, headings and HTML belong to it.
    pub fn prose(&self, all: bool) -> Vec<(usize, &str)> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut depth = 0;
        for (event, range) in &self.events {
            match event {
                Event::Start(Tag::CodeBlock(_)) => depth += 1,
                Event::End(TagEnd::CodeBlock) => depth -= 1,
                Event::Html(_) | Event::InlineHtml(_) if all => {
                    runs.push(range.clone());
                }
                Event::InlineHtml(tag) if tag.starts_with("<a ") => depth += 1,
                Event::InlineHtml(tag) if &**tag == "</a>" => depth -= 1,
                Event::Start(Tag::Link { .. } | Tag::Heading { .. })
                    if !all =>
                {
                    depth += 1;
                }
                Event::End(TagEnd::Link | TagEnd::Heading(_)) if !all => {
                    depth -= 1;
                }
                // A bracket or an entity begins another event.
                Event::Text(_) if depth == 0 => match runs.last_mut() {
                    Some(last) if last.end == range.start => {
                        last.end = range.end;
                    }
                    _ => runs.push(range.clone()),
                },
                _ => {}
            }
        }
        let text = |run: Range<usize>| (run.start, &self.text[run]);
        runs.into_iter().map(text).collect()
    }

    /// What stands in backticks in a line of text, or in `<code>`, each with
    /// its line.
    pub fn inline_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let marked = self.events.iter().filter_map(|(event, range)| {
            let Event::Code(code) = event else {
                return None;
            };
            Some((self.line(range.start), code.as_ref()))
        });
        let tagged = self.html.windows(2).filter_map(|pair| match pair {
            [(line, Piece::Open(e)), (_, Piece::Text(text))]
                if e.name == "code" =>
            {
                Some((*line, text.as_str()))
            }
            _ => None,
        });
        marked.chain(tagged)
    }

    /// The headings that are written in Markdown.
    pub fn headings(&self) -> Vec<Heading<'_>> {
        let mut all: Vec<Heading> = Vec::new();
        let mut open = false;
        for (event, range) in &self.events {
            match event {
                Event::Start(Tag::Heading { level, id, .. }) => {
                    open = true;
                    all.push(Heading {
                        line: self.line(range.start),
                        level: *level as usize,
                        id: id.as_deref().filter(|id| !id.is_empty()),
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::Heading(_)) => open = false,
                Event::Text(t) | Event::Code(t) if open => {
                    if let Some(last) = all.last_mut() {
                        last.text.push_str(t);
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// The links of the page.
    pub fn links(&self) -> Vec<Link> {
        let mut all: Vec<Link> = Vec::new();
        let mut open = false;
        for (event, range) in &self.events {
            match event {
                Event::Start(Tag::Link { dest_url, .. }) => {
                    open = true;
                    all.push(Link {
                        line: self.line(range.start),
                        text: String::new(),
                        target: dest_url.to_string(),
                    });
                }
                Event::End(TagEnd::Link) => open = false,
                Event::Text(t) | Event::Code(t) if open => {
                    if let Some(last) = all.last_mut() {
                        last.text.push_str(t);
                    }
                }
                _ => {}
            }
        }
        for (at, (line, piece)) in self.html.iter().enumerate() {
            if let Piece::Open(e) = piece
                && e.name == "a"
                && let Some(target) = e.get("href")
            {
                let text = match self.html.get(at + 1) {
                    Some((_, Piece::Text(text))) => text.clone(),
                    _ => String::new(),
                };
                all.push(Link {
                    line: *line,
                    text: text.trim().to_owned(),
                    target: target.to_owned(),
                });
            }
        }
        all
    }

    /// The fenced blocks that end only with the page or the box around them.
    pub fn open_fences(&self) -> impl Iterator<Item = usize> {
        self.events.iter().filter_map(|(event, range)| {
            let fenced = matches!(
                event,
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_)))
            );
            let block = &self.text[range.clone()];
            let mark = block.chars().next()?;
            let run =
                |text: &str| text.chars().take_while(|c| *c == mark).count();
            let last = block.trim_end().lines().last()?;
            let last = last.trim_start_matches(['>', ' ']);
            let closed = block.trim_end().contains('\n')
                && run(last) >= run(block)
                && last.chars().all(|c| c == mark);
            (fenced && !closed).then(|| self.line(range.start))
        })
    }

    /// The elements of the page in order, with those of the files that it
    /// includes.
    pub fn spots(&self, root: &Path) -> Vec<Spot> {
        let element = |name: String, attributes: Vec<(&str, &str)>| Element {
            name,
            attributes: attributes
                .into_iter()
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .collect(),
            empty: true,
        };
        let mut own: Vec<(usize, Element)> = Vec::new();
        for (line, piece) in &self.html {
            if let Piece::Open(e) = piece {
                own.push((*line, e.clone()));
            }
        }
        for heading in self.headings() {
            let id = heading.id.map(|id| ("id", id));
            let name = format!("h{}", heading.level);
            own.push((heading.line, element(name, id.into_iter().collect())));
        }
        for (event, range) in &self.events {
            let made = match event {
                Event::Start(Tag::Link { dest_url, .. }) => {
                    element("a".into(), vec![("href", dest_url)])
                }
                Event::Start(Tag::Image { dest_url, .. }) => {
                    element("img".into(), vec![("src", dest_url)])
                }
                _ => continue,
            };
            own.push((self.line(range.start), made));
        }
        let mut all: Vec<(usize, Spot)> = own
            .into_iter()
            .map(|(line, element)| {
                let file = self.source.path.clone();
                let spot = Spot {
                    file,
                    line,
                    element,
                };
                (line, spot)
            })
            .collect();
        for include in includes(self.source) {
            let kind = include.file.extension().and_then(|e| e.to_str());
            let Ok(source) = Source::read(root, &include.file) else {
                continue;
            };
            let inside = match kind {
                Some("svg" | "html") => parse_lines(&source.text)
                    .into_iter()
                    .filter_map(|(line, piece)| match piece {
                        Piece::Open(element) => Some(Spot {
                            file: source.path.clone(),
                            line,
                            element,
                        }),
                        _ => None,
                    })
                    .collect(),
                Some("md") => Markdown::read(&source).spots(root),
                _ => Vec::new(),
            };
            all.extend(inside.into_iter().map(|spot| (include.line, spot)));
        }
        all.sort_by_key(|(line, _)| *line);
        all.into_iter().map(|(_, spot)| spot).collect()
    }
}

/// What the parser makes of a text, and the links without a definition.
fn events(text: &str) -> (Events, Vec<(String, usize)>) {
    // As mdbook has them.
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM;
    let undefined = RefCell::new(Vec::new());
    let mut told = |link: BrokenLink| -> Option<(CowStr, CowStr)> {
        // `[x]` alone is a text in brackets.
        if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
            let label = link.reference.to_string();
            undefined.borrow_mut().push((label, link.span.start));
        }
        None
    };
    let parser =
        Parser::new_with_broken_link_callback(text, options, Some(&mut told));
    let events = parser
        .into_offset_iter()
        .map(|(event, range)| (event.into_static(), range))
        .collect();
    (events, undefined.into_inner())
}

/// The text with everything that is no HTML as spaces.
fn html_alone(text: &str, events: &Events) -> String {
    let mut bytes: Vec<u8> = text
        .bytes()
        .map(|b| if b == b'\n' { b } else { b' ' })
        .collect();
    for (event, range) in events {
        if matches!(event, Event::Html(_) | Event::InlineHtml(_)) {
            bytes[range.clone()]
                .copy_from_slice(&text.as_bytes()[range.clone()]);
        }
    }
    String::from_utf8(bytes).expect("runs of the text, whole")
}
