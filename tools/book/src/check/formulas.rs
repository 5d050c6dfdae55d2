//! The formulas of a chapter, what is wrong with how they stand on it, and the
//! letters in a formula.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::source::{Lines, fences};
use super::{Problem, Source};

/// A formula as it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Formula<'a> {
    /// The line of its first character.
    pub line: usize,
    /// The TeX between the dollars.
    pub tex: &'a str,
    /// Where it stands in the text, dollars and all.
    range: Range<usize>,
}

/// The formulas of a chapter; what stands in code is none.
pub fn formulas(source: &Source) -> Vec<Formula<'_>> {
    scan(source).0
}

/// The text with every formula as spaces: same length, same lines.
pub fn blank(source: &Source) -> String {
    let mut bytes = source.text.clone().into_bytes();
    for formula in formulas(source) {
        hide(&mut bytes[formula.range]);
    }
    String::from_utf8(bytes).expect("only ASCII is written")
}

/// The numbers of the equations of a chapter, each with its line.
pub fn tags(source: &Source) -> Vec<(usize, String)> {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\tag\{([^}]*)\}").unwrap());
    let mut all = Vec::new();
    for formula in formulas(source) {
        for m in TAG.captures_iter(formula.tex) {
            let before = &formula.tex[..m.get(0).map_or(0, |m| m.start())];
            let line = formula.line + before.matches('\n').count();
            all.push((line, m[1].to_owned()));
        }
    }
    all
}

/// Formulas that do not end, and numbers that two equations have.
pub fn check(source: &Source) -> Vec<Problem> {
    let mut found: Vec<Problem> = scan(source)
        .1
        .into_iter()
        .map(|(line, mark)| {
            Problem::new(
                (source.path.clone(), line),
                format!(
                    "the formula that begins here has no second {mark} in its \
                     paragraph: add it (money is \\$)"
                ),
            )
        })
        .collect();
    let mut seen = BTreeMap::new();
    for (line, number) in tags(source) {
        if let Some(first) = seen.get(&number) {
            found.push(Problem::new(
                (source.path.clone(), line),
                format!(
                    "a second equation ({number}) on this page, the first is \
                     in line {first}: number them in order"
                ),
            ));
        } else {
            seen.insert(number, line);
        }
    }
    found
}

/// The formulas, and the lines and marks of those that have no end: a blank
/// line ends the paragraph, and no formula reaches over it.
fn scan(source: &Source) -> (Vec<Formula<'_>>, Vec<(usize, &'static str)>) {
    let hidden = masked(source);
    let bytes = hidden.as_bytes();
    let lines = Lines::of(&source.text);
    let mut all = Vec::new();
    let mut open = Vec::new();
    // Where the paragraph ends.
    let mut paragraph = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'$' => {
                let mark = match bytes.get(at + 1) {
                    Some(b'$') => "$$",
                    _ => "$",
                };
                let start = at + mark.len();
                if start > paragraph {
                    paragraph = start + to_blank_line(&bytes[start..]);
                }
                let text = bytes.get(start..paragraph).unwrap_or_default();
                let Some(length) = closing(text, mark.len()) else {
                    open.push((lines.at(at), mark));
                    at = paragraph.max(start);
                    continue;
                };
                let end = start + length + mark.len();
                all.push(Formula {
                    line: lines.at(start),
                    tex: &source.text[start..start + length],
                    range: at..end,
                });
                at = end;
            }
            _ => at += 1,
        }
    }
    (all, open)
}

/// How far it is to the end of the paragraph.
fn to_blank_line(text: &[u8]) -> usize {
    let mut at = 0;
    for line in text.split(|b| *b == b'\n') {
        // The first piece is the rest of a line.
        if at > 0 && line.iter().all(|b| b" >\t".contains(b)) {
            return at;
        }
        at += line.len() + 1;
    }
    text.len()
}

/// How far it is to the `mark` dollars that close a formula.
fn closing(text: &[u8], mark: usize) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'$' if mark == 1 || text.get(at + 1) == Some(&b'$') => {
                return Some(at);
            }
            _ => at += 1,
        }
    }
    None
}

/// Spaces for everything but the ends of lines.
fn hide(bytes: &mut [u8]) {
    for b in bytes.iter_mut().filter(|b| **b != b'\n') {
        *b = b' ';
    }
}

/// The text with every byte of code as a space: same length, same lines.
fn masked(source: &Source) -> String {
    let mut bytes = source.text.clone().into_bytes();
    let mut starts = vec![0];
    starts.extend(source.text.match_indices('\n').map(|(at, _)| at + 1));
    for fence in fences(source) {
        let last = fence.body.last().map_or(fence.line, |(l, _)| *l) + 1;
        let from = starts[fence.line - 1];
        let to = starts.get(last).copied().unwrap_or(bytes.len());
        hide(&mut bytes[from..to]);
    }
    let run = |bytes: &[u8], at: usize| {
        bytes[at..].iter().take_while(|b| **b == b'`').count()
    };
    let mut at = 0;
    while at < bytes.len() {
        let ticks = run(&bytes, at);
        if ticks == 0 {
            at += 1;
            continue;
        }
        let mut end = at + ticks;
        while end < bytes.len() {
            match run(&bytes, end) {
                0 => end += 1,
                other if other == ticks => break,
                other => end += other,
            }
        }
        if end < bytes.len() {
            hide(&mut bytes[at..end + ticks]);
            at = end;
        }
        at += ticks;
    }
    String::from_utf8(bytes).expect("only ASCII is written")
}

/// A letter of a formula.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    /// As it is written: `x`, `\rho`, `\hat{x}`, `\mathbb{R}`.
    pub name: String,
    /// Whether it is in a sub- or superscript.
    pub script: bool,
}

/// The macros of the project: a name to what it is short for.
pub type Macros = BTreeMap<String, String>;

/// Reads `book/macros.txt`; none when there is no such file.
pub fn macros(root: &Path) -> Macros {
    let file = Path::new("book/macros.txt");
    let Ok(source) = Source::read(root, file) else {
        return Macros::new();
    };
    source
        .text
        .lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(name, text)| (name.trim().to_owned(), text.trim().to_owned()))
        .collect()
}

/// What stands in their argument is a word and no letter.
const WORDS: &[&str] = &[
    "text",
    "textit",
    "textbf",
    "texttt",
    "textsf",
    "mathrm",
    "mathsf",
    "mathtt",
    "operatorname",
    "tag",
    "label",
    "begin",
    "end",
    "htmlId",
    "hspace",
    "color",
    "phantom",
];
/// Their first argument is a name, the second is shown.
const NAMED: &[&str] = &["htmlClass", "class", "textcolor"];
/// Marks that make another quantity of a letter.
const ACCENTS: &[&str] = &["hat", "widehat", "tilde", "widetilde", "check"];
/// Alphabets whose letters are none of the usual ones.
const ALPHABETS: &[&str] = &["mathbb", "mathcal", "mathfrak", "mathscr"];
/// Letters with a name, and what is used like one.
const LETTERS: &[&str] = &[
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
    "nabla",
    "ell",
    "hbar",
    "Re",
    "Im",
    "odot",
];

/// The letters of a formula, in order, macros expanded. A bar or a dot above
/// one is an operation, the cotangent or the tangent of it; any other accent
/// makes another letter of it.
pub fn letters(tex: &str, macros: &Macros) -> Vec<Letter> {
    let tex = expand(tex, macros);
    let mut reader = Reader {
        rest: &tex,
        found: Vec::new(),
    };
    while !reader.rest.is_empty() {
        reader.next(false, None);
    }
    reader.found
}

/// `tex` with the project's macros expanded.
fn expand(tex: &str, macros: &Macros) -> String {
    let mut text = tex.to_owned();
    // A macro may use another; none uses itself.
    for _ in 0..8 {
        let mut out = String::new();
        let mut rest = text.as_str();
        let mut changed = false;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let (name, after) = command(&rest[at..]);
            rest = after;
            let Some(body) = macros.get(name) else {
                out.push_str(name);
                continue;
            };
            changed = true;
            let count = (1..=9).rev().find(|n| body.contains(&format!("#{n}")));
            let mut body = body.clone();
            for n in 1..=count.unwrap_or(0) {
                let (argument, after) = argument(rest);
                body = body.replace(&format!("#{n}"), argument);
                rest = after;
            }
            out.push_str(&body);
        }
        out.push_str(rest);
        text = out;
        if !changed {
            break;
        }
    }
    text
}

/// The command at the start of `text`, backslash and all, and what follows.
fn command(text: &str) -> (&str, &str) {
    let letters = text[1..]
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len() - 1);
    let one = text[1..].chars().next().map_or(0, char::len_utf8);
    text.split_at(1 + if letters == 0 { one } else { letters })
}

/// The next argument without its braces, and what follows it.
fn argument(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    if text.starts_with('\\') {
        return command(text);
    }
    if !text.starts_with('{') {
        let one = text.chars().next().map_or(0, char::len_utf8);
        return text.split_at(one);
    }
    let mut depth = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                continue;
            }
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    (&text[1..], "")
}

struct Reader<'a> {
    rest: &'a str,
    found: Vec<Letter>,
}

impl<'a> Reader<'a> {
    fn argument(&mut self) -> &'a str {
        let (argument, rest) = argument(self.rest);
        self.rest = rest;
        argument
    }

    /// The letters of a part of the formula.
    fn inside(&mut self, part: &'a str, script: bool, accent: Option<&str>) {
        let rest = std::mem::replace(&mut self.rest, part);
        while !self.rest.is_empty() {
            self.next(script, accent);
        }
        self.rest = rest;
    }

    fn push(&mut self, letter: &str, script: bool, accent: Option<&str>) {
        let name = match accent {
            Some(accent) => format!("\\{accent}{{{letter}}}"),
            None => letter.to_owned(),
        };
        self.found.push(Letter { name, script });
    }

    fn next(&mut self, script: bool, accent: Option<&str>) {
        let Some(c) = self.rest.chars().next() else {
            return;
        };
        match c {
            '\\' => self.command(script, accent),
            '_' | '^' => {
                self.rest = &self.rest[1..];
                // `x_\hat{a}` has the argument of its command with it.
                let part = match self.rest.trim_start() {
                    text if text.starts_with('\\') => {
                        let (name, after) = command(text);
                        let takes = NAMED.contains(&&name[1..]);
                        let mut end = text.len() - after.len();
                        for _ in 0..=usize::from(takes) {
                            if text[end..].starts_with('{') {
                                let (_, rest) = argument(&text[end..]);
                                end = text.len() - rest.len();
                            }
                        }
                        self.rest = &text[end..];
                        &text[..end]
                    }
                    _ => self.argument(),
                };
                self.inside(part, true, None);
            }
            '{' => {
                let part = self.argument();
                self.inside(part, script, accent);
            }
            c => {
                let (one, rest) = self.rest.split_at(c.len_utf8());
                self.rest = rest;
                if c.is_alphabetic() {
                    self.push(one, script, accent);
                }
            }
        }
    }

    fn command(&mut self, script: bool, accent: Option<&str>) {
        let (whole, rest) = command(self.rest);
        self.rest = rest;
        let name = &whole[1..];
        if WORDS.contains(&name) {
            self.rest = self.rest.strip_prefix('*').unwrap_or(self.rest);
            self.argument();
        } else if NAMED.contains(&name) {
            self.argument();
            let part = self.argument();
            self.inside(part, script, accent);
        } else if ACCENTS.contains(&name) {
            let part = self.argument();
            let short = name.strip_prefix("wide").unwrap_or(name);
            self.inside(part, script, Some(short));
        } else if ALPHABETS.contains(&name) {
            let part = self.argument();
            self.push(&format!("{whole}{{{part}}}"), script, accent);
        } else if LETTERS.contains(&name) {
            self.push(whole, script, accent);
        } else if name == "\\" && self.rest.starts_with('[') {
            // The height of a line.
            let end = self.rest.find(']').map_or(0, |at| at + 1);
            self.rest = &self.rest[end..];
        } else if ["kern", "mkern", "mskip", "hskip"].contains(&name) {
            let unit = |c: char| c.is_ascii_digit() || "-. ".contains(c);
            let rest = self.rest.trim_start_matches(unit);
            self.rest = rest.get(2..).unwrap_or("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macros() -> Macros {
        [
            (r"\inp", r"{\htmlClass{q-input}{#1}}"),
            (r"\cot", r"{\htmlClass{q-cotangent}{\bar{#1}}}"),
            (r"\err", r"{\htmlClass{q-cotangent}{\delta}}"),
            (r"\R", r"{\mathbb{R}}"),
            (r"\T", r"{^{\mathsf{T}}}"),
            (r"\pd", r"{\frac{\partial #1}{\partial #2}}"),
        ]
        .map(|(a, b)| (a.into(), b.into()))
        .into()
    }

    #[track_caller]
    fn has(tex: &str, expected: &[&str]) {
        let found: Vec<_> = letters(tex, &macros())
            .into_iter()
            .map(|l| format!("{}{}", if l.script { "_" } else { "" }, l.name))
            .collect();
        assert_eq!(found, expected, "{tex}");
    }

    #[test]
    fn letters_of_formulas() {
        has(r"Y = \inp{X}W + \mathbf{1}b\T", &["Y", "X", "W", "b"]);
        has(r"\cot{W}_{io}^l", &["W", "_i", "_o", "_l"]);
        has(r"\hat{\inp{x}}_k + \hat y", &[r"\hat{x}", "_k", r"\hat{y}"]);
        has(r"\err^{l+1}", &[r"\delta", "_l"]);
        has(r"\pd{L}{z_n}", &["L", "z", "_n"]);
        has(r"x \in \R^{d}, \dot x", &["x", r"\mathbb{R}", "_d", "x"]);
        has(r"W_{\text{col}} \operatorname*{max}_v a", &["W", "_v", "a"]);
        has(r"a \\[0.7em] b\mkern-1mu c \tag{3}", &["a", "b", "c"]);
        has(r"e^{-x} e^\alpha x^2", &["e", "_x", "e", r"_\alpha", "x"]);
        has(r"x_\hat{a} y_\inp{u}", &["x", r"_\hat{a}", "y", "_u"]);
        has(r"\begin{aligned} u &\ne v \end{aligned}", &["u", "v"]);
    }

    #[test]
    fn formulas_of_a_page_and_no_code() {
        let source = Source {
            path: "a.md".into(),
            text: "Costs \\$3, $x$ and `$y$`.\n\n$$\nz \\$\n$$\n\n```sh\n$ a\n\
                   ```\n``a ` $b$``, $w$\n"
                .into(),
        };
        let found: Vec<_> = formulas(&source)
            .iter()
            .map(|f| (f.line, f.tex.trim()))
            .collect();
        assert_eq!(found, [(1, "x"), (3, "z \\$"), (10, "w")]);
    }
}
