//! The line of facts under a chapter's title, and what its box of exercises
//! says of them: computed, not guessed.
//!
//! Reading takes a minute for 170 words of prose, a formula in a line of text
//! being one, 45 seconds for each displayed equation, 4 seconds for each line
//! of code and 3 for each line that a program printed; rounded to five
//! minutes. The rest comes from the examiner.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use regex::Regex;

use super::html::{Piece, parse, walk};
use super::rooms::PARTS;
use super::source::{Entry, entries, normal};
use super::{MANUSCRIPT, Problem, Source};

/// What the examiner knows of one exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exam {
    /// Minutes that it takes.
    pub minutes: u32,
    /// How many tasks it has.
    pub tasks: usize,
    /// And how many points.
    pub points: u32,
}

/// The exercises by their chapters, `network/linear`.
pub type Exams = BTreeMap<String, Exam>;

/// What is wrong with the facts of the chapters, whose pages are under `out`.
///
/// # Errors
/// When a page cannot be read.
pub fn check(
    out: &Path,
    summary: &Source,
    chapters: &[Source],
    exams: &Exams,
) -> Result<Vec<Problem>> {
    let order = entries(summary);
    let mut found = Vec::new();
    for chapter in chapters {
        let inside = chapter.path.strip_prefix(MANUSCRIPT)?.to_string_lossy();
        let name = inside.replace('\\', "/").replace(".md", "");
        let part = name.split('/').next().unwrap_or("");
        if !PARTS.contains(&part) || !name.contains('/') {
            continue;
        }
        let file = out.join(chapter.page());
        let page = fs::read_to_string(&file)
            .with_context(|| format!("page {}", file.display()))?;
        let exam = exams.get(&name);
        let minutes = reading(&parse(&page));
        found.extend(of_chapter(chapter, minutes, exam, &order));
        found.extend(exam.into_iter().flat_map(|e| of_box(chapter, e)));
    }
    Ok(found)
}

/// The minutes that it takes to read a page, to the nearest five.
fn reading(pieces: &[Piece]) -> u32 {
    let (mut words, mut equations, mut code, mut printed) = (0, 0, 0, 0);
    walk(pieces, |piece, open| {
        let named = |name: &str| open.iter().any(|e| e.name == name);
        let classed = |class: &str| open.iter().any(|e| e.has_class(class));
        if !named("main") || classed("facts") {
            return;
        }
        match piece {
            Piece::Open(e) if e.has_class("katex-display") => equations += 1,
            Piece::Open(e) if e.has_class("katex") => {
                words += u32::from(!classed("katex-display"));
            }
            Piece::Text(text) if named("pre") => {
                let rust = |class| open.iter().any(|e| e.has_class(class));
                let lines = text.lines().filter(|l| !l.trim().is_empty());
                let lines = lines.count() as u32;
                if rust("language-rust") || rust("language-wgsl") {
                    code += lines;
                } else {
                    printed += lines;
                }
            }
            Piece::Text(text) => {
                let silent = ["svg", "script", "style", "button", "math"];
                if !classed("katex") && !silent.into_iter().any(named) {
                    let word = |w: &&str| w.contains(char::is_alphanumeric);
                    words +=
                        text.split_whitespace().filter(word).count() as u32;
                }
            }
            _ => {}
        }
    });
    let seconds = f64::from(words) / 170.0 * 60.0
        + f64::from(45 * equations + 4 * code + 3 * printed);
    let fives = (seconds / 300.0).round() as u32;
    fives.max(1) * 5
}

/// The line of facts.
fn of_chapter(
    chapter: &Source,
    minutes: u32,
    exam: Option<&Exam>,
    order: &[Entry],
) -> Vec<Problem> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^<p class="facts">(.*?)(?:needs (.*))?</p>$"#).unwrap()
    });
    let exercises = exam.map_or(String::new(), |e| {
        format!("{} minutes of exercises · ", e.minutes)
    });
    let right = format!("Reading {minutes} minutes · {exercises}");
    let written = chapter
        .lines()
        .find_map(|(line, text)| Some((line, LINE.captures(text.trim())?)));
    let Some((line, m)) = written else {
        return vec![Problem::new(
            (chapter.path.clone(), 1),
            format!(
                "no facts under the title: write <p class=\"facts\">{right}\
                 needs …</p>"
            ),
        )];
    };
    let here = (chapter.path.clone(), line);
    let needs = m.get(2).map_or("", |m| m.as_str());
    let mut found = Vec::new();
    if m[1] != right {
        found.push(Problem::new(
            here.clone(),
            format!(
                "the facts are: <p class=\"facts\">{right}needs {needs}</p>"
            ),
        ));
    }
    let wrong = of_needs(chapter, needs, order);
    found.extend(wrong.map(|why| Problem::new(here, why)));
    found
}

/// What is wrong with what a chapter says that it needs.
fn of_needs(chapter: &Source, needs: &str, order: &[Entry]) -> Option<String> {
    static LINK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r##"<a href="([^"#]+)(?:#[^"]*)?">[^<]+</a>"##).unwrap()
    });
    if needs == "school calculus" {
        return None;
    }
    let place = |path: &Path| {
        let path = path.strip_prefix(MANUSCRIPT).ok()?.to_string_lossy();
        let path = path.replace('\\', "/");
        order.iter().position(|e| e.path == path)
    };
    let own = place(&chapter.path).unwrap_or(0);
    let folder = chapter.path.parent().unwrap_or(Path::new(""));
    let rest = LINK.replace_all(needs, "");
    let words = ["", ",", "and"];
    if needs.is_empty() || !rest.split(' ').all(|w| words.contains(&w)) {
        return Some(
            "what a chapter needs are links to chapters, <a \
             href=\"…\">Title</a>, …, or it is school calculus"
                .into(),
        );
    }
    LINK.captures_iter(needs).find_map(|m| {
        let target = normal(&folder.join(m[1].replace(".html", ".md")));
        let earlier = place(&target).is_some_and(|at| at < own);
        (!earlier)
            .then(|| format!("needs {}, which is not an earlier page", &m[1]))
    })
}

/// Tasks, points and minutes that the box of exercises counts.
fn of_box(chapter: &Source, exam: &Exam) -> Vec<Problem> {
    static COUNT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b([A-Za-z]+|\d+) (tasks?|points?|minutes?)\b").unwrap()
    });
    const NUMBERS: [&str; 21] = [
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let Some(start) = chapter.find("<div class=\"exercises\">") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let lines = chapter.lines().skip(start);
    for (line, text) in lines.take_while(|(_, text)| *text != "</div>") {
        for m in COUNT.captures_iter(text) {
            let word = m[1].to_lowercase();
            let said = word
                .parse()
                .ok()
                .or(NUMBERS.iter().position(|n| *n == word));
            let right = match m[2].trim_end_matches('s') {
                "task" => exam.tasks,
                "point" => exam.points as usize,
                _ => exam.minutes as usize,
            };
            if said.is_some_and(|said| said != right) {
                let Exam {
                    minutes,
                    tasks,
                    points,
                } = exam;
                found.push(Problem::new(
                    (chapter.path.clone(), line),
                    format!(
                        "says {}, the examiner: {tasks} tasks, {points} \
                         points, {minutes} minutes",
                        &m[0]
                    ),
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: Path::new(MANUSCRIPT).join(path),
            text: text.into(),
        }
    }

    #[test]
    fn minutes_of_words_formulas_code_and_output() {
        let words = |n| "word ".repeat(n);
        let page = |inner: &str| parse(&format!("<main>{inner}</main>"));
        assert_eq!(reading(&page("")), 5);
        assert_eq!(reading(&page(&words(170 * 12))), 10);
        assert_eq!(reading(&page(&words(170 * 13))), 15);
        let svg = format!("<svg>{}</svg>", words(5000));
        assert_eq!(reading(&page(&svg)), 5);
        let formula = "<span class=\"katex-display\"><span class=\"katex\">a b\
                       </span></span>";
        assert_eq!(reading(&page(&formula.repeat(20))), 15);
        let code = "<pre><code class=\"language-rust ignore\">";
        let listing = format!("{code}{}</code></pre>", "x\n\n".repeat(150));
        assert_eq!(reading(&page(&listing)), 10);
        let out = listing.replace("rust ignore", "text").repeat(2);
        assert_eq!(reading(&page(&out)), 15);
    }

    #[track_caller]
    fn told(facts: &str) -> Vec<String> {
        let summary = source(
            "SUMMARY.md",
            "[A](a.md)\n- [B](depth/b.md)\n- [C](depth/c.md)",
        );
        let chapter = source("depth/b.md", &format!("# B\n\n{facts}\n"));
        let exam = Exam {
            minutes: 40,
            tasks: 8,
            points: 15,
        };
        of_chapter(&chapter, 25, Some(&exam), &entries(&summary))
            .into_iter()
            .map(|p| format!("{}: {}", p.line, p.message))
            .collect()
    }

    #[test]
    fn facts_that_hold_and_others() {
        let right = "Reading 25 minutes · 40 minutes of exercises · needs";
        let facts = |text: &str| format!("<p class=\"facts\">{text}</p>");
        let link = "<a href=\"../a.md\">A</a>";
        let none: [&str; 0] = [];
        assert_eq!(told(&facts(&format!("{right} {link}, {link}"))), none);
        assert_eq!(told(&facts(&format!("{right} school calculus"))), none);
        for (text, words) in [
            (
                "Reading 20 minutes · 40 minutes of exercises · needs",
                "25 minutes",
            ),
            ("Reading 25 minutes · needs", "· 40 minutes of exercises"),
            ("25 minutes · 40 minutes of exercises · needs", "Reading 25"),
        ] {
            let said = told(&facts(&format!("{text} school calculus")));
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with("3: the facts are"), "{said:?}");
            assert!(said[0].contains(words), "{said:?}");
        }
        for (needs, words) in [
            ("the linear layer", "links to chapters"),
            ("", "links to chapters"),
            ("<a href=\"c.md\">C</a>", "c.md, which is not an earlier"),
            ("<a href=\"b.md\">B</a>", "not an earlier"),
            ("<a href=\"../z.md\">Z</a>", "not an earlier"),
        ] {
            let said = told(&facts(&format!("{right} {needs}")));
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains(words), "{said:?}");
        }
        assert!(told("Text.")[0].starts_with("1: no facts"));
    }

    #[test]
    fn the_box_counts_as_the_examiner_does() {
        let exam = Exam {
            minutes: 40,
            tasks: 8,
            points: 15,
        };
        let said = |text: &str| {
            let text = format!("<div class=\"exercises\">\n\n{text}\n\n</div>");
            of_box(&source("depth/b.md", &text), &exam)
        };
        assert_eq!(said("Eight tasks, 15 points: a."), []);
        assert_eq!(said("In 40 minutes, eight tasks for fifteen points."), []);
        assert_eq!(said("A task, the points, and no count."), []);
        for (wrong, words) in [
            ("Seven tasks, 15 points", "says Seven tasks"),
            ("8 tasks, 16 points", "says 16 points"),
            ("Eight tasks and sixteen points", "says sixteen points"),
            ("All of it takes 30 minutes.", "says 30 minutes"),
        ] {
            let [problem] = said(wrong).try_into().unwrap();
            assert_eq!(problem.line, 3);
            assert!(problem.message.starts_with(words), "{problem}");
            assert!(problem.message.contains("8 tasks, 15 points, 40 min"));
        }
    }
}
