//! The usual slips with ndarray that do not compile: one line of help beside
//! the compiler's own message.
//!
//! The compiler speaks of `ArrayBase<ViewRepr<&f64>, Dim<[usize; 2]>, f64>` and
//! suggests whatever fits the types. The help says what to write. It does not
//! say what to compute, and an error that is not known gets none.

use serde::Deserialize;

/// One of the compiler's messages: what is read of its JSON.
#[derive(Deserialize)]
pub struct Message {
    /// `error`, `warning`, `note` and the like.
    pub level: String,
    /// As the compiler prints it.
    pub rendered: Option<String>,
    message: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
    #[serde(default)]
    children: Vec<Self>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    is_primary: bool,
    label: Option<String>,
    text: Vec<Line>,
    expansion: Option<Box<Expansion>>,
}

/// The use of a macro that a span comes from.
#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

/// A line of the source, and what is marked in it: characters, from 1.
#[derive(Deserialize)]
struct Line {
    text: String,
    highlight_start: usize,
    highlight_end: usize,
}

/// The slips that are known. The file says how they are written.
const SLIPS: &str = include_str!("slips.txt");

/// What to write instead, if this error is a usual slip.
pub fn help(error: &Message) -> Option<String> {
    let facts = facts(error)?;
    let has = |part: &str| part.split('|').any(|p| facts.contains(p));
    let mut slips = SLIPS.split("\n\n").filter(|slip| !slip.starts_with('#'));
    let help = slips.find_map(|slip| {
        let (help, kinds) = slip.split_once('\n')?;
        let fits = |kind: &str| kind.split(" & ").all(has);
        kinds.lines().any(fits).then_some(help)
    })?;
    let name = error.message.split('`').nth(1).unwrap_or_default();
    Some(help.replace("NAME", name))
}

/// What is known of an error, a line each: its message, the labels, each with
/// the code that it is about, the notes.
fn facts(error: &Message) -> Option<String> {
    let code = error.code.as_ref().map_or("error", |c| &c.code);
    let mut facts = format!("{code}: {}", short(&error.message));
    for span in &error.spans {
        let [_, code, after] = span.around();
        let call = if after.starts_with("()") { "()" } else { "" };
        let label = short(span.label.as_deref().unwrap_or_default());
        facts += &format!("\n«{code}{call}»: {label}");
    }
    // The others that implement a trait say nothing about this place.
    let children = error.children.iter().map(|c| short(&c.message));
    for note in children.filter(|c| !c.starts_with("the following other")) {
        facts += &format!("\n{note}");
    }
    let [before, code, _] = error.spans.iter().find(|s| s.is_primary)?.around();
    if ![" + ", " - ", "*", "/"].iter().any(|o| code.contains(o)) {
        facts += "\nno operator";
    }
    if before.ends_with('*') {
        facts += "\na second star";
    }
    if let Some((indexed, first)) = before.rsplit_once('[')
        && indexed.ends_with(|c: char| c.is_alphanumeric() || "_)]".contains(c))
        && !first.contains(';')
    {
        facts += "\nin an index";
    }
    Some(facts)
}

/// With `array`, `view` (one that only reads), `integers` and `ndarray` (any
/// other) for the types of arrays.
fn short(text: &str) -> String {
    let mut parts = text.split("ArrayBase<");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut open = 1;
        let end = part.find(|c| {
            open += i32::from(c == '<') - i32::from(c == '>');
            open == 0
        });
        let (inside, rest) = part.split_at(end.unwrap_or(part.len()));
        short += if inside.contains("{integer}") {
            "integers"
        } else if inside.starts_with("OwnedRepr<f64>") {
            "array"
        } else if inside.starts_with("ViewRepr<&")
            && !inside.starts_with("ViewRepr<&mut")
        {
            "view"
        } else {
            "ndarray"
        };
        short += rest.strip_prefix('>').unwrap_or(rest);
    }
    short
}

impl Span {
    /// What stands before the marked code in its line, the code, and what
    /// stands after it; for the code of a macro, around the macro's use.
    fn around(&self) -> [String; 3] {
        if let Some(expansion) = &self.expansion {
            return expansion.span.around();
        }
        let mut around = [const { String::new() }; 3];
        for line in &self.text {
            for (column, c) in (1..).zip(line.text.chars()) {
                let part = usize::from(column >= line.highlight_start)
                    + usize::from(column >= line.highlight_end);
                around[part].push(c);
            }
        }
        around
    }
}
