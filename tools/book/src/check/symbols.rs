//! Every letter of a formula is explained on the notation page: in its
//! tables, or, when a page lends it for a use of its own, in that page's row
//! of *Letters with a second job*.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::formulas::{Letter, Macros, formulas, letters};
use super::source::normal;
use super::{MANUSCRIPT, Problem, Source};

/// The page that lists the letters.
const PAGE: &str = "book/src/notation.md";

/// What the notation page says.
pub struct Notation {
    /// Letters that mean the same on all pages.
    everywhere: BTreeSet<String>,
    /// Letters that count: they may be indices, and stand alone on a page
    /// that has them as an index too.
    indices: BTreeSet<String>,
    /// Letters of one page.
    lent: BTreeMap<PathBuf, BTreeSet<String>>,
    macros: Macros,
}

impl Notation {
    /// What the notation page among `chapters` says, if there is one.
    pub fn of(chapters: &[Source], macros: &Macros) -> Option<Self> {
        let page = chapters.iter().find(|c| c.path == Path::new(PAGE))?;
        Some(Self::read(page, macros))
    }

    /// Whether a page has a letter for a use of its own.
    pub fn lends(&self, page: &Path, letter: &str) -> bool {
        self.lent.get(page).is_some_and(|l| l.contains(letter))
    }

    /// Letters of `chapters` that the notation page does not explain.
    pub fn check(&self, chapters: &[Source]) -> Vec<Problem> {
        chapters
            .iter()
            .filter(|c| c.path != Path::new(PAGE))
            .flat_map(|c| self.faults(c))
            .collect()
    }

    fn read(page: &Source, macros: &Macros) -> Self {
        let in_formulas = |text: &str| letters_of(text, macros);
        let mut everywhere = BTreeSet::new();
        let mut indices = BTreeSet::new();
        for row in rows(section(page, "sizes")) {
            let size = row[0].trim().to_owned();
            indices.insert(size.to_lowercase());
            everywhere.insert(size);
        }
        for row in rows(section(page, "quantities")) {
            for l in in_formulas(row.get(1).unwrap_or(&"")) {
                let set = if l.script {
                    &mut indices
                } else {
                    &mut everywhere
                };
                set.insert(l.name);
            }
        }
        // The letters of an operation stand for any array; its sign does not.
        for row in rows(section(page, "operations")) {
            let sign = |l: &Letter| l.name.starts_with('\\') && !l.script;
            let all = in_formulas(row[0]).into_iter();
            everywhere.extend(all.filter(sign).map(|l| l.name));
        }
        let counting = in_formulas(section(page, "indices"));
        indices.extend(counting.into_iter().map(|l| l.name));
        let second = section(page, "second-job");
        let school = second.lines().filter(|l| !l.starts_with('|'));
        let school: String = school.flat_map(|l| [l, "\n"]).collect();
        everywhere.extend(in_formulas(&school).into_iter().map(|l| l.name));
        if school.contains('π') {
            everywhere.insert("\\pi".into());
        }
        let mut lent: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for row in rows(second) {
            let Some(target) = target(row[0]) else {
                continue;
            };
            let names = in_formulas(row.get(1).unwrap_or(&""));
            let own = lent.entry(target).or_default();
            own.extend(names.into_iter().map(|l| l.name));
            *own = with_rows(own);
        }
        Self {
            everywhere: with_rows(&everywhere),
            indices,
            lent,
            macros: macros.clone(),
        }
    }

    fn faults(&self, chapter: &Source) -> Vec<Problem> {
        let none = BTreeSet::new();
        let lent = self.lent.get(&chapter.path).unwrap_or(&none);
        let all: Vec<(usize, Letter)> = formulas(chapter)
            .iter()
            .flat_map(|f| {
                letters(f.tex, &self.macros)
                    .into_iter()
                    .map(|l| (f.line, l))
            })
            .collect();
        let counted: BTreeSet<&str> = all
            .iter()
            .filter(|(_, l)| l.script)
            .map(|(_, l)| l.name.as_str())
            .collect();
        // For each unknown letter: its line, how often, whether only a script.
        let mut unknown: BTreeMap<&str, (usize, usize, bool)> = BTreeMap::new();
        for (line, letter) in &all {
            let name = letter.name.as_str();
            let index = self.indices.contains(name) && counted.contains(name);
            if self.everywhere.contains(name) || lent.contains(name) || index {
                continue;
            }
            let told = unknown.entry(name).or_insert((*line, 0, true));
            told.1 += 1;
            told.2 &= letter.script;
        }
        unknown
            .into_iter()
            .map(|(name, (line, times, script))| {
                let kind = if script { "the index" } else { "the symbol" };
                Problem::new(
                    (chapter.path.clone(), line),
                    format!(
                        "{kind} ${name}$, {times} on this page, is not in \
                         {PAGE}: add a row to its tables if it means the same \
                         everywhere, else name it in this page's row of \
                         *Letters with a second job*"
                    ),
                )
            })
            .collect()
    }
}

/// A capital letter is a matrix, the small one a row of it or an entry; of an
/// accented letter the page may list either.
fn with_rows(names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut all = names.clone();
    for name in names {
        let accented = name.ends_with('}') && !name.starts_with("\\math");
        if accented || name.len() == 1 {
            let at = name.find('{').map_or(0, |at| at + 1);
            let (accent, letter) = name.split_at(at);
            all.insert(format!("{accent}{}", letter.to_lowercase()));
            if accented && letter.len() == 2 {
                all.insert(format!("{accent}{}", letter.to_uppercase()));
            }
        }
    }
    all
}

fn letters_of(text: &str, macros: &Macros) -> Vec<Letter> {
    let source = Source {
        path: PathBuf::new(),
        text: text.to_owned(),
    };
    formulas(&source)
        .iter()
        .flat_map(|f| letters(f.tex, macros))
        .collect()
}

/// What follows the heading with this id, to the next heading.
fn section<'a>(page: &'a Source, id: &str) -> &'a str {
    let Some(at) = page.text.find(&format!("{{#{id}}}")) else {
        return "";
    };
    let rest = &page.text[at..];
    let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    let end = rest.find("\n## ").unwrap_or(rest.len());
    &rest[..end]
}

/// The rows of the tables in a text, without heads and rules.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let rule = |l: &str| l.starts_with("|--") || l.starts_with("|:-");
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| {
            let head = lines.get(at + 1).is_some_and(|l| rule(l));
            line.starts_with('|') && !rule(line) && !head
        })
        .map(|(_, line)| {
            line.trim_matches('|').split('|').map(str::trim).collect()
        })
        .collect()
}

/// The page that a cell links to.
fn target(cell: &str) -> Option<PathBuf> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\]\(([^)#]+\.md)").unwrap());
    let path = LINK.captures(cell)?.get(1)?.as_str();
    Some(normal(&Path::new(MANUSCRIPT).join(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTATION: &str = "\
# Notation

## Sizes {#sizes}

| size | counts |
|---|---|
| B | examples |

## Quantities {#quantities}

| code | formula | what |
|---|---|---|
| `x` | $X$ | input |
| `x_hat` | $\\hat{x}$ | normalised |
| `h` | $h_t$ | state |

## Letters with a second job {#second-job}

Everywhere $f$ is a function and π a number.

| page | letters |
|---|---|
| [A](calculus/a.md) | $\\rho$ a ratio, $S$ scores |

## Indices {#indices}

The example is $n$.

## Operations {#operations}

| formula | code |
|---|---|
| $A \\odot C$ | `a * c` |
";

    #[track_caller]
    fn told(page: &str, text: &str) -> Vec<(usize, String)> {
        let source = |path: &str, text: &str| Source {
            path: Path::new(MANUSCRIPT).join(path),
            text: text.into(),
        };
        let all = [source("notation.md", NOTATION), source(page, text)];
        let named = |p: Problem| {
            assert_eq!(p.file, Path::new(MANUSCRIPT).join(page));
            let name = p.message.split('$').nth(1).unwrap_or("").to_owned();
            (p.line, name)
        };
        let notation = Notation::of(&all, &Macros::new()).unwrap();
        notation.check(&all).into_iter().map(named).collect()
    }

    #[test]
    fn what_the_page_lists_passes() {
        let text = "$X_n$ $x_{nb}$ $\\hat X$ $h_t$ $f(\\pi)$ $x \\odot x$ $n$ \
                    $B$ $\\sum_b b$";
        assert_eq!(told("calculus/b.md", text), []);
        assert_eq!(told("calculus/a.md", "$\\rho S s_b$"), []);
    }

    #[test]
    fn what_it_does_not_list_is_named() {
        for (text, name) in [
            ("\n$\\rho$", "\\rho"),
            ("\n$S$", "S"),
            ("\n$A$", "A"),
            ("\n$\\hat h$", "\\hat{h}"),
            ("\n$x_z$", "z"),
            // An index alone is a quantity.
            ("\n$n + x_b$", "n"),
            ("\n$\\nabla$", "\\nabla"),
        ] {
            let name = (2, name.to_owned());
            assert_eq!(told("calculus/b.md", text), [name], "{text}");
        }
    }

    #[test]
    fn no_notation_page_no_fault() {
        let page = Source {
            path: "book/src/a.md".into(),
            text: "$q$".into(),
        };
        assert!(Notation::of(&[page], &Macros::new()).is_none());
    }
}
