//! Formulas on their way to the page: MathML beside the visual form, and
//! nothing of Markdown in either.

use std::fs;
use std::path::Path;

use book::finish::Site;
use book::render::{Options, build_with};

/// TeX that Markdown would tear apart: emphasis, links, tables, quotes,
/// dashes, ellipses, backslashes.
const FORMULAS: &[&str] = &[
    r"\delta^{(l)}_j = f'(z_j)",
    r"W_{ij}^{(l)} * x_i * y_i",
    r"[x^n](f+g)",
    r"A^* B^*",
    r"a--b---c",
    r"1, 2, ..., n",
    r"\{a\}_{i}",
    r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
    r"\lvert x \rvert < 1",
    r"x_1 \_ x_2",
    r"a~b",
    r"`q'",
    r"!x",
    r"http://x",
];

fn book_with(chapter: &str) -> (tempfile::TempDir, String, Vec<String>) {
    book_at(chapter, Options::default())
}

fn book_at(
    chapter: &str,
    options: Options,
) -> (tempfile::TempDir, String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["book.toml", "book/macros.txt", "book/theme/head.hbs"] {
        write(name, &fs::read_to_string(root.join(name)).unwrap());
    }
    // Styles and scripts that book.toml names have to be there.
    for entry in fs::read_dir(root.join("book/theme")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".css") || name.ends_with(".js") {
            write(&format!("book/theme/{name}"), "");
        }
    }
    write("book/src/SUMMARY.md", "# Summary\n\n- [A](a.md)\n");
    write("book/src/a.md", chapter);
    let out = dir.path().join("out");
    let options = Options {
        out: Some(&out),
        ..options
    };
    let built = build_with(dir.path(), &options).unwrap();
    let page = fs::read_to_string(built.out.join("a.html")).unwrap();
    let reports = built.reports.iter().map(|r| r.line()).collect();
    (dir, page, reports)
}

/// What the page gives as TeX, entities resolved.
fn annotations(page: &str) -> Vec<String> {
    page.split("<annotation encoding=\"application/x-tex\">")
        .skip(1)
        .map(|rest| rest.split("</annotation>").next().unwrap_or(""))
        .map(|t| {
            t.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
        })
        .collect()
}

#[test]
fn annotations_hold_the_tex_to_the_letter() {
    let inline: Vec<_> = FORMULAS.iter().map(|f| format!("${f}$")).collect();
    let chapter = format!("# A\n\nText {} text.\n", inline.join(" and "));
    let (_dir, page, reports) = book_with(&chapter);
    assert_eq!(reports, Vec::<String>::new());
    assert_eq!(annotations(&page), FORMULAS);
    let main = page.split("<main>").nth(1).unwrap();
    let main = main.split("</main>").next().unwrap();
    for tag in ["<em>", "<strong>", "<code>", "<a href"] {
        assert!(!main.contains(tag), "{tag} in {main}");
    }
}

#[test]
fn formulas_survive_tables_and_lists() {
    let chapter = "# A\n\n| a | b |\n|---|---|\n| $x_i \\mid y_i$ | $a_j*b_j$ |\
                   \n\n- $p_i$ and $q_i$\n\n> $c_k$ and $d_k$\n";
    let (_dir, page, reports) = book_with(chapter);
    assert_eq!(reports, Vec::<String>::new());
    let expected = [r"x_i \mid y_i", "a_j*b_j", "p_i", "q_i", "c_k", "d_k"];
    assert_eq!(annotations(&page), expected);
    assert_eq!(page.matches("<td>").count(), 2);
}

#[test]
fn macros_give_each_quantity_its_class() {
    let chapter = "# A\n\n$\\inp{X}\\wgt{W} \\act{y} \\cot{y} \\had \\R \\T$\n";
    let (_dir, page, reports) = book_with(chapter);
    assert_eq!(reports, Vec::<String>::new());
    for class in ["q-input", "q-weight", "q-activation", "q-cotangent"] {
        assert!(page.contains(class), "{class}");
    }
}

#[test]
fn a_formula_that_fails_is_reported() {
    let (_dir, _, reports) = book_with("# A\n\n$\\frac{$\n");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("KaTeX parse error"), "{reports:?}");
}

#[test]
fn the_page_links_katex_in_the_book_itself() {
    let (_dir, page, _) = book_with("# A\n\n$x$\n");
    assert!(page.contains("href=\"katex/katex.min.css\""));
    assert!(!page.contains("jsdelivr"));
}

/// What follows each formula in a line, up to the next tag.
fn after_formulas(page: &str) -> Vec<&str> {
    page.split("<span class=\"katex\">")
        .skip(1)
        .filter_map(|rest| {
            let (formula, _) = rest.split_once("</p>")?;
            formula.rsplit("</span>").next()
        })
        .collect()
}

#[test]
fn no_mark_of_punctuation_follows_a_formula() {
    let chapter = "# A\n\nFirst $x$, then\n\n*so $\\frac{a}{b} + y^2$*.\n";
    let (_dir, page, _) = book_with(chapter);
    assert_eq!(after_formulas(&page), [" then", "</em>"]);
    assert_eq!(annotations(&page), ["x", "\\frac{a}{b} + y^2"]);
    let options = Options {
        plain: true,
        ..Options::default()
    };
    let (_dir, page, _) = book_at(chapter, options);
    assert_eq!(after_formulas(&page), [", then", "</em>."]);
}

#[test]
fn a_hosted_book_knows_its_place() {
    let options = Options {
        site: Some(Site::parse("https://x.example/sub/").unwrap()),
        ..Options::default()
    };
    let (dir, page, reports) = book_at("# A\n\nWords.\n", options);
    assert_eq!(reports, Vec::<String>::new());
    let read =
        |name: &str| fs::read_to_string(dir.path().join("out").join(name));
    let canonical = "<link rel=\"canonical\" href=\"https://x.example/sub/\">";
    assert!(page.contains(canonical), "{page}");
    assert!(page.contains("<meta name=\"description\" content=\""));
    let map = read("sitemap.xml").unwrap();
    assert!(map.contains("<loc>https://x.example/sub/</loc>"), "{map}");
    assert_eq!(map.matches("<loc>").count(), 1);
    // Its files it asks for on the host that it comes from.
    assert!(read("404.html").unwrap().contains("<base href=\"/sub/\">"));
    let (dir, page, _) = book_with("# A\n\nWords.\n");
    assert!(!page.contains("canonical"));
    assert!(!dir.path().join("out/sitemap.xml").exists());
}

#[test]
fn the_search_reads_the_finished_page() {
    let chapter = "# A\n\nWords $x_i$, more.\n\n<svg class=\"plot\" \
                   role=\"img\"><title>hidden</title></svg>\n";
    let (dir, page, _) = book_with(chapter);
    let start = page.find("searchindex-").unwrap();
    let name: String =
        page[start..].chars().take_while(|c| *c != '"').collect();
    let index = dir.path().join("out").join(name);
    let index = fs::read_to_string(index).unwrap();
    assert!(index.contains("Words xi, more."), "{index}");
    assert!(!index.contains("x_i") && !index.contains("hidden"));
}

#[test]
fn a_book_without_a_chapter_does_not_build() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("book.toml"), "[book]\ntitle = \"A\"\n").unwrap();
    for summary in ["", "# Summary\n", "# Summary\n\n- [A draft]()\n"] {
        fs::write(dir.path().join("src/SUMMARY.md"), summary).unwrap();
        let built = build_with(dir.path(), &Options::default());
        let e = format!("{:#}", built.err().unwrap());
        assert!(e.contains("SUMMARY.md lists no chapter: "), "{e}");
    }
}
