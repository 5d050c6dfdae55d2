//! Answers are written in safe Rust, and keep nothing between calls.
//!
//! The compiler's own `forbid` would also refuse ndarray's `s![..]`, which
//! every learner needs: the macro allows itself an `unsafe` block. So the
//! manifest of the exercises denies it, and that nobody lifts the lint again is
//! seen to here. What a macro of another crate expands to is not the learner's
//! source.
//!
//! A function that is right a thousand times and wrong then would pass: no
//! judge calls it often enough. Something kept needs a `static`, and one that
//! can change. Tables that never change may be static.
//!
//! And an answer is one file, since what another one brings in would not be
//! looked at. A pipe in its place would keep the compiler waiting, too.

use proc_macro2::{Span, TokenStream, TokenTree};

/// Bytes that an answer may have: the longest of the book's has 10,000.
pub const LONGEST: u64 = 1 << 20;

/// Whether a file is made of Rust's tokens, as they are looked at here. What
/// is not and compiles all the same was not looked at.
pub fn is_readable(text: &str) -> bool {
    without_shebang(text).parse::<TokenStream>().is_ok()
}

/// The same text with spaces for a first line that only a shell reads.
fn without_shebang(text: &str) -> String {
    let line = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = line.lines().next().unwrap_or_default();
    let inner = line.strip_prefix("#!").unwrap_or("[").trim_start();
    match inner.starts_with('[') {
        true => text.to_owned(),
        false => text.replacen(line, "", 1),
    }
}

/// What the learner's file may not say, and its place in it: an error in the
/// compiler's words, or `None`.
///
/// A file that is not made of Rust's tokens is left to the compiler.
pub fn refusal(file: &str, text: &str) -> Option<String> {
    if text.len() as u64 > LONGEST {
        let most = LONGEST >> 10;
        return Some(format!(
            "error: an answer has at most {most} KiB\n --> {file}\n\n"
        ));
    }
    let tokens: TokenStream = without_shebang(text).parse().ok()?;
    let mut open = vec![tokens.into_iter()];
    // The first `static`, and whether something can change behind it.
    let (mut item, mut changes) = (None, false);
    let mut in_lifetime = false;
    // The name of a module, if that was the last token.
    let (mut after_mod, mut module) = (false, None);
    while let Some(level) = open.last_mut() {
        let token = level.next();
        let was_lifetime = std::mem::take(&mut in_lifetime);
        let named = module.take();
        let was_mod = std::mem::take(&mut after_mod);
        match token {
            Some(TokenTree::Group(group)) => {
                open.push(group.stream().into_iter());
            }
            Some(TokenTree::Ident(word)) => {
                let why = match word.to_string().as_str() {
                    "mod" => {
                        after_mod = true;
                        continue;
                    }
                    "include_str" | "include_bytes" | "r#include_str"
                    | "r#include_bytes" => ONE,
                    _ if was_mod => {
                        module = Some(word.span());
                        continue;
                    }
                    "unsafe" => {
                        "an answer is written in safe Rust: `unsafe` \
                                 is not allowed in it"
                    }
                    "unsafe_code" | "r#unsafe_code" => {
                        "an answer is written in safe Rust: the lint \
                         `unsafe_code` stays as it is"
                    }
                    "thread_local" => KEPT,
                    "static" if !was_lifetime => {
                        item.get_or_insert(word.span());
                        continue;
                    }
                    other => {
                        changes |= is_changeable(other);
                        continue;
                    }
                };
                return Some(error(file, text, word.span(), why));
            }
            Some(TokenTree::Punct(mark)) => {
                in_lifetime = mark.as_char() == '\'';
                if mark.as_char() == ';'
                    && let Some(module) = named
                {
                    return Some(error(file, text, module, ONE));
                }
            }
            Some(TokenTree::Literal(_)) => {}
            None => drop(open.pop()),
        }
    }
    let item = item.filter(|_| changes)?;
    Some(error(file, text, item, KEPT))
}

const KEPT: &str = "an answer keeps nothing from one call to the next: no \
    `static` that can change is allowed in it";

const ONE: &str = "an answer is one file: no module and no text of another \
    file is allowed in it";

/// The error for an answer into which the compiler brought another file.
pub fn not_alone(file: &str, other: &str) -> String {
    format!("error: {ONE}: it brings in {other}\n --> {file}\n\n")
}

/// Whether what has such a type can change though it is not borrowed mutably.
fn is_changeable(word: &str) -> bool {
    word.starts_with("Atomic")
        || ["Cell", "Lock", "Mutex"]
            .iter()
            .any(|end| word.ends_with(end))
        || ["mpsc", "leak"].contains(&word)
}

/// The error with the line that it is about, as the compiler shows it.
fn error(file: &str, text: &str, span: Span, why: &str) -> String {
    let (at, end) = (span.start(), span.end());
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    let before: String = (line.chars().take(at.column))
        .map(|c| if c == '\t' { c } else { ' ' })
        .collect();
    let marks = "^".repeat(end.column - at.column);
    format!(
        "error: {why}\n{margin}--> {file}:{number}:{}\n{margin} |\n\
         {number} | {line}\n{margin} | {before}{marks}\n\n",
        at.column + 1
    )
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, is_readable, refusal};

    fn line_of(text: &str) -> Option<String> {
        let said = refusal("a.rs", text)?;
        let (_, place) = said.split_once("--> a.rs:").unwrap();
        Some(place.lines().next().unwrap().to_owned())
    }

    #[test]
    fn unsafe_code_is_refused_with_its_place() {
        for (text, place) in [
            ("fn f() {\n    unsafe { g() }\n}\n", "2:5"),
            ("unsafe fn f() {}\n", "1:1"),
            ("struct A;\n\nunsafe impl Send for A {}\n", "3:1"),
            ("#[allow(unsafe_code)]\nfn f() {}\n", "1:9"),
            ("#![allow(dead_code, unsafe_code)]\n", "1:21"),
            ("#[expect(unsafe_code)]\nfn f() {}\n", "1:10"),
            (
                "#[cfg_attr(all(), allow(r#unsafe_code))]\nfn f() {}\n",
                "1:25",
            ),
            ("macro_rules! m { () => { unsafe { 1 } } }\n", "1:26"),
            ("// 'é' \"\nfn f<'a>() { unsafe {} }\n", "2:14"),
        ] {
            assert_eq!(line_of(text).as_deref(), Some(place), "{text}");
        }
        assert_eq!(
            refusal("a.rs", "fn f() {\n\tunsafe { g() }\n}\n").unwrap(),
            "error: an answer is written in safe Rust: `unsafe` is not allowed \
             in it\n --> a.rs:2:2\n  |\n2 | \tunsafe { g() }\n  | \t^^^^^^\n\n"
        );
    }

    #[test]
    fn what_could_keep_something_is_refused_with_its_place() {
        for (text, place) in [
            (
                "use std::cell::Cell;\nthread_local! {\n    static N: Cell<u8> \
                 = const { Cell::new(0) };\n}\n",
                "2:1",
            ),
            (
                "fn f() {\n    static N: AtomicU32 = AtomicU32::new(0);\n}",
                "2:5",
            ),
            (
                "struct A(Mutex<u8>);\nstatic B: A = A(Mutex::new(0));\n",
                "2:1",
            ),
            ("static B: std::sync::OnceLock<u8> = f();\n", "1:1"),
            (
                "type T = LazyLock<u8>;\npub static B: T = T::new(f);\n",
                "2:5",
            ),
        ] {
            assert_eq!(line_of(text).as_deref(), Some(place), "{text}");
        }
    }

    #[test]
    fn what_another_file_would_bring_in_is_refused_with_its_place() {
        for (text, place) in [
            ("mod other;\n", "1:5"),
            ("mod a {\n    pub(super) mod b;\n}\n", "2:20"),
            ("#[path = \"/dev/zero\"]\nmod r#fn;\n", "2:5"),
            ("const A: &[u8] = include_bytes!(\"pipe\");\n", "1:18"),
            ("#[doc = include_str!(\"x\")]\nfn f() {}\n", "1:9"),
            (
                "macro_rules! m { ($i:ident) => { $i!(\"x\"); } }\nm!(include_str);\n",
                "2:4",
            ),
            // A shell's line is not Rust, and the compiler skips it.
            ("#!/bin/sh '\nmod a;\n", "2:5"),
        ] {
            assert_eq!(line_of(text).as_deref(), Some(place), "{text}");
        }
        for text in [
            "mod a { fn f() {} }\n",
            "#![allow(x)]\nmod a {}\n",
            "fn f(include: bool) -> bool { include }\n",
        ] {
            assert_eq!(line_of(text), None, "{text}");
            assert!(is_readable(text));
        }
        let long = "/".repeat(LONGEST as usize + 1);
        assert!(refusal("a.rs", &long).unwrap().contains("1024 KiB"));
    }

    #[test]
    fn depth_is_no_trouble() {
        for (from, to) in [("(", ")"), ("{", "}")] {
            let deep = from.repeat(200_000) + &to.repeat(200_000);
            assert_eq!(line_of(&format!("fn f() {{ {deep} }}")), None);
        }
        let deep = format!("{}unsafe{}", "(".repeat(9000), ")".repeat(9000));
        assert_eq!(line_of(&deep).as_deref(), Some("1:9001"));
    }

    #[test]
    fn what_keeps_nothing_is_no_state() {
        for text in [
            "static TABLE: [f64; 2] = [1., 2.];\n",
            "fn f(a: &'static str) { let n = Cell::new(0); }\n",
            "// static A: Mutex\nstatic A: &str = \"Mutex\";\n",
            "const N: AtomicU8 = AtomicU8::new(0);\n",
        ] {
            assert_eq!(line_of(text), None, "{text}");
        }
    }

    #[test]
    fn words_about_it_are_not_code() {
        for text in [
            "// unsafe\n/* unsafe /* unsafe */ unsafe */ fn f() {}\n",
            "/// unsafe and `allow(unsafe_code)`\nfn f() {}\n",
            "const A: &str = \"unsafe \\\" unsafe\";\n",
            "const A: &str = r#\"unsafe \" unsafe\"#;\n",
            "const A: &[u8] = br\"unsafe\"; const B: char = '\"';\n",
            "fn f<'a>(r#unsafe: u8, an_unsafe: &'a u8) {}\n",
            "use ndarray::s; fn f() { x.slice(s![.., 0]); }\n",
            // Not Rust: that is the compiler's to say.
            "fn f( { unsafe \n",
        ] {
            assert_eq!(line_of(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_no_way_past() {
        let deep = 100_000;
        let text = format!("{}unsafe{}", "(".repeat(deep), ")".repeat(deep));
        assert!(line_of(&text).is_some());
    }
}
