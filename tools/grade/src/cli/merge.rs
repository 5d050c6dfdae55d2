//! An answer that brings some of the stub's items, made whole by the others.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::HashSet;

/// An answer with all the items of its stub.
#[derive(Debug)]
pub struct Merged {
    /// The answer, line for line, and behind it what it lacks of the stub.
    pub text: String,
    /// The names that the answer itself brings.
    pub names: HashSet<String>,
}

/// Adds to an answer those items of the stub that it does not bring itself.
///
/// # Errors
/// If the answer is not made of Rust's tokens: the line, and why.
pub fn merge(answer: &str, stub: &str) -> Result<Merged, (usize, String)> {
    let mut names = HashSet::new();
    for item in items(answer)? {
        names.extend(item.name);
        names.extend(item.imports.into_iter().map(|i| i.name));
    }
    let mut text = answer.trim_end().to_owned() + "\n\n";
    for item in items(stub)? {
        let missing = |name: &String| !names.contains(name);
        if !item.imports.is_empty() {
            let lacks = item.imports.iter().filter(|i| missing(&i.name));
            lacks.for_each(|i| text += &format!("use {};\n", i.path));
        } else if item.name.as_ref().is_none_or(missing) {
            text += &format!("\n{}\n", &stub[item.place]);
        }
    }
    Ok(Merged { text, names })
}

/// An item of a file.
struct Item {
    /// Its name; what stands between `impl` and the braces has a name, too.
    name: Option<String>,
    /// What a `use` brings in.
    imports: Vec<Import>,
    /// Its bytes in the text, with its attributes and docs.
    place: std::ops::Range<usize>,
}

/// One name of a `use`.
struct Import {
    /// What follows `use` if this name is alone.
    path: String,
    /// The name; `*` for all of a module, which clashes with nothing.
    name: String,
}

fn items(text: &str) -> Result<Vec<Item>, (usize, String)> {
    let tokens: TokenStream =
        text.parse().map_err(|e: proc_macro2::LexError| {
            (e.span().start().line, format!("this is not Rust: {e}"))
        })?;
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        // What is said of the whole file: `#![..]` and `//!`.
        if is(&rest[0], "#") && rest.get(1).is_some_and(|t| is(t, "!")) {
            rest = &rest[rest.len().min(3)..];
            continue;
        }
        let from = head(rest);
        let ends = |t: &TokenTree| is(t, ";") || braces(t).is_some();
        // The braces in the value of a constant do not end it.
        let ends_late = |t: &TokenTree| is(t, ";");
        let late = ["use", "const", "static", "type"];
        let late = rest
            .get(from)
            .is_some_and(|t| late.iter().any(|w| is(t, w)));
        let last = match late {
            true => rest[from..].iter().position(ends_late),
            false => rest[from..].iter().position(ends),
        };
        let end = last.map_or(rest.len(), |last| from + last + 1);
        let (item, after) = rest.split_at(end);
        let start = item[0].span().byte_range().start;
        let stop = item[item.len() - 1].span().byte_range().end;
        let mut imports = Vec::new();
        let body = &item[from.min(item.len())..];
        if body.first().is_some_and(|t| is(t, "use")) {
            import(&body[1..], "", &mut imports);
        }
        found.push(Item {
            name: name(body),
            imports,
            place: start..stop,
        });
        rest = after;
    }
    Ok(found)
}

/// How many tokens stand before the word that says what an item is: its
/// attributes, its visibility, and what qualifies a function.
fn head(item: &[TokenTree]) -> usize {
    let mut at = 0;
    let word = |at: usize, w: &str| item.get(at).is_some_and(|t| is(t, w));
    loop {
        if word(at, "#") {
            at += 2;
        } else if word(at, "pub") {
            let limited = item.get(at + 1).and_then(group);
            at += 1 + usize::from(limited == Some(Delimiter::Parenthesis));
        } else if (word(at, "const") && word(at + 1, "fn"))
            || word(at, "unsafe")
            || word(at, "async")
        {
            at += 1;
        } else {
            return at;
        }
    }
}

/// The name of an item that begins with the word that says what it is.
fn name(item: &[TokenTree]) -> Option<String> {
    let first = item.first()?.to_string();
    match first.as_str() {
        "fn" | "struct" | "enum" | "union" | "trait" | "mod" | "type"
        | "static" | "const" => {
            let name = item[1..].iter().find(|t| !is(t, "mut"))?;
            Some(name.to_string())
        }
        "macro_rules" => Some(item.get(2)?.to_string()),
        "impl" => {
            let to = item.iter().take_while(|t| braces(t).is_none());
            Some(to.cloned().collect::<TokenStream>().to_string())
        }
        _ => None,
    }
}

/// The names that stand in a tree of imports, behind what came before it.
fn import(tree: &[TokenTree], before: &str, found: &mut Vec<Import>) {
    let mut path = before.to_owned();
    let mut last = before.trim_end_matches("::").to_owned();
    last = last.rsplit("::").next().unwrap_or_default().to_owned();
    for (i, token) in tree.iter().enumerate() {
        if let Some(inside) = braces(token) {
            let inside: Vec<_> = inside.into_iter().collect();
            let one_by_one = inside.split(|t| is(t, ","));
            one_by_one
                .filter(|tree| !tree.is_empty())
                .for_each(|tree| import(tree, &path, found));
            return;
        }
        match token.to_string().as_str() {
            ";" => break,
            "self" if i == 0 && !before.is_empty() => {
                path.truncate(path.len() - "::".len());
            }
            "as" => path += " as ",
            text => {
                path += text;
                if text != ":" {
                    last = text.to_owned();
                }
            }
        }
    }
    let name = last;
    found.push(Import { path, name });
}

fn is(token: &TokenTree, text: &str) -> bool {
    match token {
        TokenTree::Ident(word) => word == text,
        TokenTree::Punct(sign) => text.chars().eq([sign.as_char()]),
        _ => false,
    }
}

fn group(token: &TokenTree) -> Option<Delimiter> {
    match token {
        TokenTree::Group(group) => Some(group.delimiter()),
        _ => None,
    }
}

/// What stands between braces.
fn braces(token: &TokenTree) -> Option<TokenStream> {
    match token {
        TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => {
            Some(g.stream())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::merge;

    const STUB: &str = "\
//! The stub.

use a::b::{self, C, d::{E as F, G}};
use a::H;

/// Its docs.
#[derive(Debug)]
pub struct S<const N: usize> {
    x: [u8; N],
}

impl S<3> {
    fn new() -> Self {
        todo!()
    }
}

// --- Task 1 ---

/// A constant with braces.
pub const ONE: Option<u8> = { None }; // TODO

pub(crate) const fn two() -> u8 {
    todo!()
}

macro_rules! three {
    () => { 3 };
}
";

    #[test]
    fn an_answer_keeps_its_lines_and_gets_what_it_lacks() {
        let whole = merge("", STUB).unwrap();
        assert!(whole.names.is_empty());
        assert_eq!(
            whole.text.trim_start(),
            STUB.replace(
                "//! The stub.\n\nuse a::b::{self, C, d::{E as F, G}};\n",
                "use a::b;\nuse a::b::C;\nuse a::b::d::E as F;\n\
                 use a::b::d::G;\n"
            )
            .replace("// --- Task 1 ---\n\n", "")
            .replace(" // TODO", "")
        );

        let answer = "\
//! right: task, other

use {a::F, x::{C}};
use x::*;

/// Mine.
pub const ONE: Option<u8> = Some(1);

fn help() {}
impl S<3> { }
pub fn two() -> u8 { 2 }
";
        let merged = merge(answer, STUB).unwrap();
        let added = merged.text.strip_prefix(answer).unwrap();
        let due = "
use a::b;
use a::b::d::G;
use a::H;

/// Its docs.
#[derive(Debug)]
pub struct S<const N: usize> {
    x: [u8; N],
}

macro_rules! three {
    () => { 3 };
}
";
        assert_eq!(added, due);
        for name in ["F", "C", "ONE", "help", "two"] {
            assert!(merged.names.contains(name), "{name}");
        }
        assert!(!merged.names.contains("S"));
    }

    #[test]
    fn what_is_not_rust_is_refused_with_its_line() {
        assert_eq!(merge("fn f() {}\nfn g( {\n", STUB).unwrap_err().0, 2);
    }
}
