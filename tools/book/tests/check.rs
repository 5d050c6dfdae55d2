//! Every fault that `cargo book check` knows, planted in a small book.

use std::fs;
use std::path::{Path, PathBuf};

use book::check::{Known, Problem, check, stale};
use clap::CommandFactory;
use figures::{Chapter, Output, Text, Tolerance};

const BOOK: &str = r#"
[book]
title = "Small"
src = "book/src"
[build]
build-dir = "target/book"
create-missing = false
[preprocessor.katex]
after = ["links"]
output = "html"
no-css = true
trust = true
[output.html]
theme = "book/theme"
[output.html.playground]
runnable = false
[output.html.print]
enable = false
[output.html.search]
enable = false
"#;

const CHAPTER: &str = r#"# Square

<a id="eq-square"></a>
$$ y = x^2 \tag{1} $$

See [equation 1](#eq-square), [the preface](../preface.md#why) and `src/calculus/square.rs`.

<div class="listing-path">src/calculus/square.rs</div>

```rust,ignore
{{#include ../../../src/calculus/square.rs:forward}}
```

```text
$ cargo demo square forward
9
```

<figure id="fig-square">
<svg class="plot" viewBox="0 0 1 1" role="img" aria-labelledby="sq-t"><title id="sq-t">A parabola</title></svg>
<figcaption>It has its lowest point at $x = 0$.</figcaption>
</figure>

[Figure 1](#fig-square) shows it; run `cargo test -p exercises`.

<p class="facts">Reading 5 minutes · needs school calculus</p>
"#;

const CODE: &str = "\
// ANCHOR: forward
pub fn forward(x: f64) -> f64 {
    x * x
}
// ANCHOR_END: forward
";

/// A small project in which nothing is wrong.
struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let p = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        p.write("book.toml", BOOK);
        p.write(
            "book/src/SUMMARY.md",
            "# Summary\n\n[Preface](preface.md)\n\n# Calculus\n\n\
             - [Square](calculus/square.md)\n- [Cube]()\n",
        );
        p.write(
            "book/src/preface.md",
            "# Preface\n\n## Why {#why}\n\nBecause $1 + 1 = 2$ costs \\$0.\n",
        );
        p.write("book/src/calculus/square.md", CHAPTER);
        p.write("book/theme/head.hbs", "");
        p.write("src/calculus/square.rs", CODE);
        p.write("exercises/src/calculus/square.rs", "");
        p.write("solutions/src/calculus/square/mod.rs", "");
        p.write("tools/examiner/src/calculus/square/mod.rs", "");
        p.write("tools/figures/src/calculus/square.rs", "");
        p
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces `old`, which is there, in a file.
    fn edit(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} has no {old}");
        self.write(name, &text.replacen(old, new, 1));
    }

    /// Appends to the chapter and returns the line it starts on.
    fn append(&self, text: &str) -> usize {
        let name = "book/src/calculus/square.md";
        let old = fs::read_to_string(self.path(name)).unwrap();
        self.write(name, &format!("{old}\n{text}\n"));
        old.lines().count() + 2
    }

    fn check(&self) -> Vec<Problem> {
        let known = Known {
            aliases: ["demo", "grade", "train"].map(String::from).into(),
            packages: ["exercises".into()].into(),
            demos: [("square".into(), ["forward".into()].into())].into(),
            tools: [
                ("grade".into(), grade::command::command()),
                ("train".into(), train::Cli::command()),
            ]
            .into(),
            exercises: Default::default(),
            mistakes: ["TRANSPOSED".into()].into(),
        };
        check(self.dir.path(), &self.path("out"), &known).unwrap()
    }

    /// Asserts that exactly one thing is wrong: there, and called so.
    #[track_caller]
    fn finds(&self, file: &str, line: usize, words: &str) {
        let found = self.check();
        let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
        let shown = shown.join("\n");
        assert_eq!(found.len(), 1, "expected one problem, found:\n{shown}");
        assert_eq!(found[0].file, Path::new(file), "{shown}");
        assert_eq!(found[0].line, line, "{shown}");
        assert!(found[0].message.contains(words), "{shown}");
    }

    #[track_caller]
    fn finds_in_chapter(&self, line: usize, words: &str) {
        self.finds("book/src/calculus/square.md", line, words);
    }
}

#[test]
fn a_sound_book_passes() {
    assert_eq!(Project::new().check(), []);
}

#[test]
fn missing_include_file() {
    let p = Project::new();
    let at = p.append("{{#include ../generated/nothing.md}}");
    p.finds_in_chapter(at, "book/src/generated/nothing.md, which does not");
}

#[test]
fn missing_anchor() {
    let p = Project::new();
    let at = p.append(
        "<div class=\"listing-path\">src/calculus/square.rs</div>\n\n\
         ```rust,ignore\n\
         {{#include ../../../src/calculus/square.rs:backward}}\n```",
    );
    p.finds_in_chapter(at + 3, "no anchor `backward`");
}

#[test]
fn empty_anchor() {
    let p = Project::new();
    p.edit(
        "src/calculus/square.rs",
        "pub fn",
        "// ANCHOR: hole\n\n// ANCHOR_END: hole\npub fn",
    );
    let at = p.append(
        "```text\n{{#include ../../../src/calculus/square.rs:hole}}\n```",
    );
    p.finds_in_chapter(at + 1, "is empty");
}

#[test]
fn unfinished_anchor() {
    let p = Project::new();
    p.edit("src/calculus/square.rs", "// ANCHOR_END: forward\n", "");
    p.finds("src/calculus/square.rs", 1, "never ends");
}

#[test]
fn unused_anchor() {
    let p = Project::new();
    let code =
        format!("{CODE}// ANCHOR: vjp\nfn f() {{}}\n// ANCHOR_END: vjp\n");
    p.write("src/calculus/square.rs", &code);
    p.finds(
        "src/calculus/square.rs",
        6,
        "no chapter includes anchor `vjp`",
    );
}

#[test]
fn unused_anchor_of_a_draft_passes() {
    let p = Project::new();
    p.write(
        "src/calculus/cube.rs",
        "// ANCHOR: a\nx\n// ANCHOR_END: a\n",
    );
    assert_eq!(p.check(), []);
}

#[test]
fn include_by_line_number() {
    let p = Project::new();
    let at = p.append(
        "```text\n{{#include ../../../src/calculus/square.rs:2:4}}\n```",
    );
    p.finds_in_chapter(at + 1, "use an anchor");
}

#[test]
fn raw_include_on_the_page() {
    let p = Project::new();
    let at = p.append("Write \\{{#include x}} here.");
    p.finds_in_chapter(at, "stands raw on the page");
}

#[test]
fn tag_that_is_never_closed() {
    let p = Project::new();
    let at = p.append("<section>\n\nNever closed.");
    p.finds_in_chapter(at, "`<section>` never ends");
}

#[test]
fn formula_that_katex_refuses() {
    let p = Project::new();
    let at = p.append("And $\\frac{1}{$ here.");
    p.finds_in_chapter(at, "KaTeX cannot render `\\frac{1}{`");
}

#[test]
fn formula_without_dollars() {
    let p = Project::new();
    let at = p.append("And \\frac{1}{2} here.");
    p.finds_in_chapter(at, "raw TeX on the page near `\\frac{1}{2} here.`");
}

#[test]
fn lonely_dollar() {
    let p = Project::new();
    let at = p.append("Here $x = 1 is not closed.");
    p.finds_in_chapter(at, "has no second $ in its paragraph");
}

#[test]
fn formula_inside_a_listing() {
    let p = Project::new();
    p.write(
        "book/src/generated/fence.txt",
        "a\n// ```\n$x$ and\n$y$\n// ```\n",
    );
    p.append("```text\n{{#include ../generated/fence.txt}}\n```");
    p.finds("book/src/generated/fence.txt", 2, "make the fence longer");
}

#[test]
fn link_to_a_missing_page() {
    let p = Project::new();
    let at = p.append("See [the cube](cube.md).");
    p.finds_in_chapter(at, "a link to cube.md, which is not in the book");
}

#[test]
fn link_to_a_missing_fragment() {
    let p = Project::new();
    let at = p.append("See [why not](../preface.md#why-not).");
    p.finds_in_chapter(at, "nothing there has the id `why-not`");
}

#[test]
fn link_to_a_missing_fragment_of_the_same_page() {
    let p = Project::new();
    let at = p.append("See [equation 2](#eq-two).");
    p.finds_in_chapter(at, "nothing there has the id `eq-two`");
}

/// All but the page: mdbook does not build a book without one.
#[test]
fn each_missing_room() {
    for (room, shown) in [
        ("src/calculus/square.rs", "src/calculus/square/mod.rs"),
        ("exercises/src/calculus/square.rs", ""),
        ("solutions/src/calculus/square", ""),
        ("tools/examiner/src/calculus/square", ""),
        ("tools/figures/src/calculus/square.rs", ""),
    ] {
        let p = Project::new();
        if room.starts_with("src") {
            // Its include and its mention would be missed as well.
            p.write("src/calculus/other.rs", CODE);
            let text =
                CHAPTER.replace("src/calculus/square", "src/calculus/other");
            p.write("book/src/calculus/square.md", &text);
        }
        if p.path(room).is_dir() {
            fs::remove_dir_all(p.path(room)).unwrap();
        } else {
            fs::remove_file(p.path(room)).unwrap();
        }
        let shown = if shown.is_empty() { room } else { shown };
        let words = format!("`calculus/square` has no {shown}: make it");
        p.finds("book/src/SUMMARY.md", 7, &words);
    }
}

#[test]
fn a_chapter_on_speed_has_three_rooms() {
    let p = Project::new();
    let summary = "book/src/SUMMARY.md";
    p.edit(summary, "- [Cube]()", "- [Fast](speed/fast.md)");
    let facts = "<p class=\"facts\">Reading 5 minutes · needs \
                 <a href=\"../calculus/square.md\">Square</a></p>";
    p.write("book/src/speed/fast.md", &format!("# Fast\n\n{facts}\n"));
    p.finds(summary, 8, "has no tools/figures/src/speed/fast.rs");
    p.write("tools/figures/src/speed/fast.rs", "");
    assert_eq!(p.check(), []);
}

#[test]
fn the_pages_of_the_appendix_are_no_chapters() {
    let p = Project::new();
    let summary = "book/src/SUMMARY.md";
    p.edit(summary, "- [Cube]()", "- [Calculus](mistakes/calculus.md)");
    p.write("book/src/mistakes/calculus.md", "# Mistakes: calculus\n");
    assert_eq!(p.check(), []);
}

#[test]
fn unknown_part() {
    let p = Project::new();
    p.write("book/src/algebra/ring.md", "# Ring\n");
    let summary = "book/src/SUMMARY.md";
    p.edit(summary, "- [Cube]()", "- [Ring](algebra/ring.md)");
    p.finds(summary, 8, "`algebra` is not a part");
}

#[test]
fn page_outside_the_summary() {
    let p = Project::new();
    p.write("book/src/calculus/lost.md", "# Lost\n");
    p.finds("book/src/calculus/lost.md", 1, "SUMMARY.md does not list");
}

#[test]
fn pasted_code() {
    let p = Project::new();
    let at = p.append(
        "```rust,ignore\nlet a = 1;\nlet b = 2;\nlet c = 3;\nlet d = 4;\n```",
    );
    p.finds_in_chapter(at, "4 lines of Rust are pasted");
}

#[test]
fn pasted_code_that_is_doctested_passes() {
    let p = Project::new();
    p.append("```rust\nlet a = 1;\nlet b = 2;\nlet c = 3;\nlet d = 4;\n```");
    p.write(
        "src/lib.rs",
        "#[doc = include_str!(\"../book/src/calculus/square.md\")]\nmod x {}\n",
    );
    assert_eq!(p.check(), []);
}

#[test]
fn wide_line_in_a_block() {
    let p = Project::new();
    let at = p.append(&format!("```text\n{}\n```", "x".repeat(81)));
    p.finds_in_chapter(at + 1, "81 columns");
}

#[test]
fn wide_line_in_included_source() {
    let p = Project::new();
    let long = format!("    x * x // {}", "-".repeat(80));
    p.edit("src/calculus/square.rs", "    x * x", &long);
    p.finds("src/calculus/square.rs", 3, "93 columns");
}

#[test]
fn long_listing() {
    let p = Project::new();
    let long = "    x;\n".repeat(40);
    p.edit("src/calculus/square.rs", "    x * x\n", &long);
    p.finds_in_chapter(11, "a listing of 42 lines");
}

#[test]
fn listing_without_or_with_the_wrong_path() {
    let p = Project::new();
    let name = "book/src/calculus/square.md";
    let label = "<div class=\"listing-path\">src/calculus/square.rs</div>";
    p.edit(name, label, "Look:");
    p.finds_in_chapter(11, "a listing without its path");
    p.edit(name, "Look:", &label.replace("square", "other"));
    p.finds_in_chapter(11, "the label says src/calculus/other.rs, the listing");
}

#[test]
fn addresses_that_a_page_would_load() {
    for load in [
        "<script src=\"https://cdn.example/x.js\"></script>",
        "<img alt=\"x\" src=\"http://cdn.example/x.png\">",
        "<iframe src=\"//cdn.example/x\"></iframe>",
        "<link rel=\"stylesheet\" href=\"https://cdn.example/x.css\">",
        "<div style=\"background: url(https://cdn.example/x.png)\"></div>",
        "<style>@import 'https://cdn.example/x.css';</style>",
    ] {
        let p = Project::new();
        let at = p.append(load);
        p.finds_in_chapter(at, "//cdn.example/x");
    }
}

#[test]
fn a_link_to_follow_is_no_load() {
    let p = Project::new();
    p.append("Read [the paper](https://paper.example/1986).");
    assert_eq!(p.check(), []);
}

#[test]
fn addresses_in_theme_and_styles() {
    let p = Project::new();
    p.write(
        "book/src/type/t.css",
        "a{}\n@font-face{src:url(https://f.example/a)}",
    );
    p.finds("book/src/type/t.css", 2, "loads https://f.example/a");
    let p = Project::new();
    p.write("book/theme/head.hbs", "\n<link href=\"//f.example/a.css\">");
    p.finds("book/theme/head.hbs", 2, "loads //f.example/a.css");
    let p = Project::new();
    p.write("book/theme/x.js", "a();\nfetch('/x');");
    p.finds("book/theme/x.js", 2, "talks to a server");
    let p = Project::new();
    p.write("book/theme/x.js", "a();\nfetch('/x'); // served");
    assert_eq!(p.check(), []);
}

#[test]
fn image_without_alternative_text() {
    let p = Project::new();
    p.write("book/src/x.png", "");
    let at = p.append("<img src=\"../x.png\">");
    p.finds_in_chapter(at, "no alternative text");
}

#[test]
fn drawing_without_alternative_text() {
    let p = Project::new();
    let name = "book/src/calculus/square.md";
    p.edit(name, " aria-labelledby=\"sq-t\"", "");
    p.finds_in_chapter(20, "a drawing without alternative text");
}

#[test]
fn drawing_whose_title_is_missing() {
    let p = Project::new();
    let name = "book/src/calculus/square.md";
    p.edit(name, "<title id=\"sq-t\">A parabola</title>", "");
    p.finds_in_chapter(20, "a drawing without alternative text");
}

#[test]
fn figure_without_caption_or_id() {
    let p = Project::new();
    let at = p.append("<figure id=\"fig-x\">\n<pre>x</pre>\n</figure>");
    p.finds_in_chapter(at, "without a caption");
    let p = Project::new();
    let at = p.append(
        "<figure>\n<pre>x</pre>\n<figcaption>X.</figcaption>\n</figure>",
    );
    p.finds_in_chapter(at, "a figure without an id");
}

#[test]
fn figure_called_by_the_wrong_number() {
    let p = Project::new();
    let name = "book/src/calculus/square.md";
    p.edit(name, "[Figure 1]", "[Figure 2]");
    p.finds_in_chapter(24, "`fig-square` is Figure 1");
}

#[test]
fn id_twice_on_a_page() {
    let p = Project::new();
    let at = p.append("<a id=\"eq-square\"></a>");
    p.finds_in_chapter(at, "the id `eq-square` stands twice");
}

#[test]
fn id_twice_in_the_book() {
    let p = Project::new();
    p.edit(
        "book/src/preface.md",
        "Because",
        "<a id=\"eq-square\"></a>Because",
    );
    p.finds_in_chapter(3, "`eq-square` stands in book/src/preface.md too");
}

#[test]
fn command_that_does_not_exist() {
    for (text, words) in [
        ("Type `cargo dmeo square`.", "there is no `cargo dmeo`"),
        ("Type `cargo demo sqare`.", "there is no demo `sqare`"),
        ("Type `cargo demo square vjp`.", "has no output `vjp`"),
        ("Type `cargo test -p exrcises`.", "no package `exrcises`"),
    ] {
        let p = Project::new();
        let at = p.append(text);
        p.finds_in_chapter(at, words);
    }
    let p = Project::new();
    let at = p.append("```sh\ncargo tets\n```");
    p.finds_in_chapter(at + 1, "there is no `cargo tets`");
}

#[test]
fn file_that_does_not_exist() {
    let p = Project::new();
    let at = p.append("Look into `src/calculus/sqare.rs`.");
    p.finds_in_chapter(at, "src/calculus/sqare.rs, which does not exist");
}

#[test]
fn stale_output() {
    static SQUARE: Chapter = Chapter {
        slug: "calculus/square",
        outputs: &[Output {
            name: "forward",
            extension: "txt",
            text: Text::Computed(|| "3 squared\n9\n".into()),
            tolerance: Tolerance::EXACT,
        }],
        figures: &[],
    };
    let p = Project::new();
    let root = p.dir.path();
    figures::write(root, &[&SQUARE], None).unwrap();
    assert_eq!(stale(root, &[&SQUARE]).unwrap(), []);
    let file = "book/src/generated/calculus/square/forward.txt";
    p.edit(file, "9", "8");
    let found = stale(root, &[&SQUARE]).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].file.as_path(), found[0].line),
        (Path::new(file), 3)
    );
    assert!(found[0].message.contains("cargo book figures square"));
    fs::write(p.path(file), b"3 squared\n\xff\n").unwrap();
    let found = stale(root, &[&SQUARE]).unwrap();
    assert_eq!(found[0].file, Path::new(file), "{found:?}");
}

#[test]
fn symbol_that_the_notation_page_does_not_have() {
    let p = Project::new();
    let summary = "book/src/SUMMARY.md";
    p.edit(
        summary,
        "[Preface](preface.md)",
        "[Preface](preface.md)\n[N](notation.md)",
    );
    let notation = "# N\n\n## Quantities {#quantities}\n\n\
                    | code | formula |\n|---|---|\n| `x` | $X$ |\n| `y` | $Y$ |\n";
    p.write("book/src/notation.md", notation);
    assert_eq!(p.check(), []);
    let at = p.append("Then $x \\rho$.");
    p.finds_in_chapter(at, "the symbol $\\rho$, 1 on this page, is not in");
    let row = "\n## Letters {#second-job}\n\n| page | letters |\n|---|---|\n\
               | [Square](calculus/square.md) | $\\rho$ a ratio |\n";
    p.write("book/src/notation.md", &format!("{notation}{row}"));
    assert_eq!(p.check(), []);
}

#[test]
fn facts_that_are_guessed() {
    let p = Project::new();
    let name = "book/src/calculus/square.md";
    p.edit(name, "Reading 5", "Reading 15");
    p.finds_in_chapter(26, "the facts are: <p class=\"facts\">Reading 5");
    p.edit(name, "Reading 15", "Reading 5");
    p.edit(name, "school calculus", "<a href=\"cube.md\">C</a>");
    let words = "cube.md, which is not";
    assert!(p.check().iter().any(|f| f.message.contains(words)));
}

#[test]
fn marks_with_another_meaning() {
    for (text, words) in [
        ("> [!NOTE]\n> A claim.", "a note: write a claim"),
        ("It is $\\bar{x}$.", "write `\\cot{…}`"),
        ("It is $\\delta^l$.", "write the error signal as `\\err`"),
    ] {
        let p = Project::new();
        let at = p.append(text);
        p.finds_in_chapter(at, words);
    }
}

/// Text at the end of the chapter: what it is, which of its lines is wrong,
/// and what is said of it. Where a fault looks like something that is right,
/// that stands before it: the line must be that of the fault.
const PLANTED: &[(&str, usize, &str)] = &[
    // Numbers of equations and figures.
    ("See [(2)](#eq-square).", 0, "`eq-square` is equation 1"),
    (
        "[(1)](#eq-square),\nand [equation 2](#eq-square)",
        1,
        "is equation 1",
    ),
    (
        "[Figure 1](#fig-square)\n\n[Figure 2](#fig-square)",
        2,
        "is Figure 1",
    ),
    ("$$ z = x \\tag{1} $$", 0, "a second equation (1)"),
    ("$$\nz = x\n\\tag{1}\n$$", 2, "the first is in line 4"),
    (
        "By (1) or\nby (42) it holds.",
        1,
        "(42) is read as the number",
    ),
    ("$$ z = x \\tag{2} $$\n\nBy (2) it holds.", 2, "id=\"eq-…\""),
    ("As Figure 9 shows.", 0, "Figure 9 is no link"),
    // Notes of the author.
    ("Text.\nTODO: more.", 1, "`TODO` is left"),
    ("FIXME", 0, "`FIXME` is left"),
    ("A number of XXX digits.", 0, "`XXX` is left"),
    ("It took TBD seconds.", 0, "`TBD` is left"),
    ("Lorem ipsum dolor.", 0, "`Lorem ipsum` is left"),
    ("<!-- TODO -->", 0, "`TODO` is left"),
    // Blocks, links, footnotes.
    ("```text\na\n```\n\n```text\nb", 4, "has no end"),
    (
        "[a](#eq-square)\n\n[x][nowhere]",
        2,
        "[nowhere], which is not",
    ),
    ("[nowhere][]", 0, "[nowhere], which is not"),
    ("See [x]().", 0, "a link that leads nowhere"),
    (
        "A note[^a] and another[^b].\n\n[^a]: It.",
        0,
        "[^b] has no text",
    ),
    ("A note[^a].\n\n[^a]:", 2, "[^a] has no text"),
    (
        "A note[^a].\n\n[^a]: It.\n\n[^b]: It.",
        4,
        "nothing calls footnote",
    ),
    ("[b](javascript:alert(1))", 0, "a link that runs a script"),
    // Commands.
    ("Type `cargo grade hint lineal`.", 0, "'lineal'"),
    ("```console\n$ cargo grade hint lineal\n```", 1, "'lineal'"),
    ("`cargo grade linear nosuchtask`", 0, "no task nosuchtask"),
    ("```sh\ncargo grade linear nosuch\n```", 1, "no task nosuch"),
    ("`cargo train digits --epoch`", 0, "'--epoch'"),
    ("```sh\ncargo train digits --epoch 3\n```", 1, "'--epoch'"),
    ("```sh\ncargo grade hint\n```", 1, "were not provided"),
    (
        "```console\n$ cargo demo nosuch\n```",
        1,
        "no demo `nosuch`",
    ),
    // Names.
    (
        "Called `TRANSPOSED`,\nnot `TRANSPOSD`.",
        1,
        "`TRANSPOSD` is no mistake",
    ),
    ("The constant `DY_ROW`.", 0, "`DY_ROW` is no mistake"),
    (
        "`calculus::square::backward`",
        0,
        "`calculus::square` has no",
    ),
    ("`backprop::algebra::ring`", 0, "the crate has no `algebra`"),
    // Headings.
    ("# Another", 0, "a second title"),
    ("<h1>Another</h1>", 0, "a title in HTML"),
    (
        "## A {#a}\n\n#### B {#b}",
        2,
        "leaves a level out: write `###`",
    ),
    ("### B {#b}", 0, "leaves a level out: write `##`"),
    (
        "## A section",
        0,
        "without an id: write `## A section {#an-id}`",
    ),
    ("## {#a}", 0, "a heading without words"),
    ("## The case $x$ {#a}", 0, "a formula in it"),
    // Paths of listings.
    (
        "<div class=\"listing-path\">src/calculus/square.rs</div>\n\nText.",
        0,
        "without its listing",
    ),
    (
        "<div class=\"listing-path\">src/a.rs</div>\n\n```text\n\
         {{#include ../../../src/calculus/square.rs:forward}}\n```",
        3,
        "the label says src/a.rs, the listing is",
    ),
    // HTML.
    ("Text.\n\n<script>a()</script>", 2, "a script in the page"),
    ("<p onclick=\"a()\">x</p>", 0, "`onclick=` runs a script"),
    (
        "<p><a href=\"javascript:a()\">x</a></p>",
        0,
        "a link that runs",
    ),
    ("<div>\na\n</div>\n\n<div>\n\nb", 4, "`<div>` never ends"),
    ("a\n\n</div>", 2, "`</div>` closes nothing"),
    ("a&nbsp;b &lt;\nc&nbps;d", 1, "`&nbps;` is no entity"),
    ("Text.\n\nc&#xZZ;d", 2, "`&#xZZ;` is no entity"),
    ("AT&amp;T, a & b,\nAT&T", 1, "`&T` is no entity"),
    ("<p>a&nbps;b</p>", 0, "`&nbps;` is no entity"),
    (
        "<img src=\"../preface.html\" alt=\"x\">\n\n\
         <img src=\"../preface.html\">",
        2,
        "has no alternative text",
    ),
    ("$$ z $$\n\n$$\nz = y\n\nText of $x$.", 2, "no second $$"),
    (
        "`id=\"eq-square\"`\n\n<a id=\"eq-square\"></a>",
        2,
        "stands twice",
    ),
    ("`(cube.md)`\n\n[the cube](cube.md)", 2, "a link to cube.md"),
    ("[why](../preface.md#why)\n\n[b](#why)", 2, "the id `why`"),
];

#[test]
fn each_planted_fault_is_told_with_its_line() {
    let mut wrong = Vec::new();
    for (text, line, words) in PLANTED {
        let p = Project::new();
        let at = p.append(text);
        let found = p.check();
        let file = Path::new("book/src/calculus/square.md");
        let right = found.first().is_some_and(|p| {
            p.file == file && p.line == at + line && p.message.contains(words)
        });
        if !right || found.len() != 1 {
            let found: Vec<_> = found.iter().map(|p| p.to_string()).collect();
            wrong.push(format!(
                "{text}\n-> line {}, {words}; found {found:#?}",
                at + line
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What looks like a fault and is none.
#[test]
fn sound_text_passes() {
    for text in [
        "By (1) and `(42)`, f(0), $(3)$, in (1986).",
        "[(1)](#eq-square), <a href=\"#fig-square\">Figure 1</a>",
        "`TODO` and\n\n```rust,ignore\ntodo!() // TODO\n```",
        "[text] in brackets, `[x]()`, a[^a].\n\n[^a]: Its *text*.",
        "`TRANSPOSED`, `GPU`, `x_T`, `std::fs::read`, `calculus::square`",
        "`cargo grade hint` asks, `cargo train NAME` trains",
        "`<div>` and `&nbps;` in code, R & D, &copy;",
        "<details>\n<summary>A</summary>\n\n## B {#b}\n\n</details>",
        "````text\n```\n````",
    ] {
        let p = Project::new();
        p.append(text);
        assert_eq!(p.check(), [], "{text}");
    }
}

#[test]
fn commands_of_the_readme() {
    let p = Project::new();
    p.write("README.md", "Type\n\n```sh\ncargo grade lineal\n```\n");
    p.finds("README.md", 4, "'lineal'");
    p.write(
        "README.md",
        "Type `cargo grade linear`,\nor `cargo trian`.\n",
    );
    p.finds("README.md", 2, "there is no `cargo trian`");
}

#[test]
fn title_that_the_summary_does_not_have() {
    let p = Project::new();
    p.edit("book/src/SUMMARY.md", "[Square]", "[The square]");
    p.finds_in_chapter(1, "line 7 of book/src/SUMMARY.md calls the page");
}

/// Without these nothing is built; they have a place all the same.
#[test]
fn what_keeps_the_book_from_being_built() {
    let summary = "book/src/SUMMARY.md";
    let p = Project::new();
    p.edit(summary, "- [Cube]()", "- [Cube](calculus/cube.md)");
    p.finds(
        summary,
        8,
        "lists book/src/calculus/cube.md, which does not",
    );

    let p = Project::new();
    p.edit(summary, "- [Cube]()", "- [Cube](calculus/square.md)");
    p.finds(summary, 8, "Duplicate file");

    let p = Project::new();
    p.edit(summary, "- [Cube]()", "- [Cube]()\n\n[After]()\n\n- [B]()");
    p.finds(summary, 12, "failed to parse SUMMARY.md");

    let p = Project::new();
    p.write(summary, "# Summary\n");
    p.finds(summary, 1, "lists no chapter");

    let p = Project::new();
    fs::remove_file(p.path(summary)).unwrap();
    p.finds(summary, 1, "cannot be read");

    let p = Project::new();
    p.edit("book.toml", "[build]", "[build");
    p.finds("book.toml", 5, "TOML");

    for name in [
        "book/src/calculus/square.md",
        "book/src/404.md",
        "book/theme/a.css",
        "src/calculus/square.rs",
        summary,
    ] {
        let p = Project::new();
        let mut bytes = fs::read(p.path(name)).unwrap_or_default();
        let line = 1 + bytes.iter().filter(|b| **b == b'\n').count();
        bytes.extend(b"caf\xe9\n");
        fs::write(p.path(name), bytes).unwrap();
        p.finds(name, line, "not UTF-8");
    }
}

#[test]
fn an_included_file_that_is_no_text() {
    let p = Project::new();
    let name = "book/src/generated/out.txt";
    p.write(name, "");
    fs::write(p.path(name), b"a\n\xff\n").unwrap();
    let at = p.append("```text\n{{#include ../generated/out.txt}}\n```");
    p.finds_in_chapter(at + 1, "out.txt, whose line 2 has a character");
}

#[test]
fn an_empty_page_has_no_title() {
    let p = Project::new();
    p.write("book/src/preface.md", "");
    let found = p.check();
    let told = found.iter().any(|p| {
        p.file == Path::new("book/src/preface.md")
            && p.line == 1
            && p.message.contains("without a title")
    });
    assert!(told, "{found:?}");
}

#[test]
fn pages_with_other_ends_of_lines_and_the_same_title() {
    let p = Project::new();
    let name = "book/src/calculus/square.md";
    p.write(name, &format!("\u{feff}{}", CHAPTER.replace('\n', "\r\n")));
    let summary = "book/src/SUMMARY.md";
    p.edit(
        summary,
        "(preface.md)",
        "(preface.md)\n[Preface](second.md)",
    );
    p.write("book/src/second.md", "# Preface\n");
    assert_eq!(p.check(), []);
    p.write(
        name,
        &format!("{}\r\nTBD\r\n", CHAPTER.replace('\n', "\r\n")),
    );
    p.finds_in_chapter(28, "`TBD` is left");
}

/// Nothing looks at the whole line again for each of its words.
#[test]
fn a_line_of_a_million_characters() {
    let p = Project::new();
    let line = "word `code` $x$ [a](#eq-square) &amp; ".repeat(20_000);
    p.append(&line);
    let told = |p: &Problem| !p.message.contains("the facts are");
    assert!(!p.check().iter().any(told));
}
