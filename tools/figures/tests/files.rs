//! What is written agrees; what is changed by hand is found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use figures::{
    Chapter, Data, Error, Figure, Knob, Knobs, Output, Problem, Text,
    Tolerance, check, demo, facts, kit, run_stored, write,
};
use serde_json::{Value, json};
use tempfile::TempDir;

static CHAPTER: Chapter = Chapter {
    slug: "calculus/square",
    outputs: &[
        Output {
            name: "by_hand",
            extension: "txt",
            text: Text::Computed(|| "x = 3\ny = 9.00000\n".into()),
            tolerance: Tolerance::relative(1e-3),
        },
        Output {
            name: "times",
            extension: "md",
            text: Text::Stored("benches/results/square.json", |v| {
                format!("| {} ms |", v["ms"])
            }),
            tolerance: Tolerance::EXACT,
        },
    ],
    figures: &[Figure {
        name: "parabola",
        title: "The square of x",
        description: "A parabola.",
        knobs: &[Knob::slider("scale", 1.0..=3.0, 1.0)],
        data: Data::Computed(|knobs| {
            let scale = knobs.number("scale");
            let y = (0..30).map(|i| scale * f64::from(i * i));
            json!({ "label": "y", "y": y.collect::<Vec<_>>() })
        }),
        read_out: None,
        draw: |data| {
            let y = data["y"][29].as_f64().unwrap();
            kit::Picture::new(720.0, 1e4 * y)
        },
        tolerance: Tolerance::relative(1e-6),
    }],
};

static BROKEN: Chapter = Chapter {
    slug: "calculus/broken",
    outputs: &[],
    figures: &[Figure {
        name: "hole",
        title: "A hole",
        description: "Nothing.",
        knobs: &[],
        data: Data::Computed(|_| json!({ "y": [1.0, f64::NAN] })),
        read_out: None,
        draw: |_| kit::Picture::new(1.0, 1.0),
        tolerance: Tolerance::EXACT,
    }],
};

/// Counts how often it ran.
static RUNS: AtomicUsize = AtomicUsize::new(0);

static TRAINED: Chapter = Chapter {
    slug: "network/trained",
    outputs: &[Output {
        name: "table",
        extension: "txt",
        text: Text::Stored(
            "book/src/generated/network/trained/curve.json",
            |run| format!("last {}\n", kit::get::<f64>(run, "/loss/1")),
        ),
        tolerance: Tolerance::EXACT,
    }],
    figures: &[Figure {
        name: "curve",
        title: "A loss",
        description: "It falls.",
        knobs: &[],
        data: Data::Stored(|| {
            let run = RUNS.fetch_add(1, Ordering::SeqCst);
            json!({ "loss": [2.5, 1.5 - run as f64] })
        }),
        read_out: None,
        draw: |run| {
            let loss: Vec<f64> = kit::get(run, "/loss");
            kit::Picture::new(720.0, 100.0 + loss[1])
        },
        tolerance: Tolerance::EXACT,
    }],
};

const FOLDER: &str = "book/src/generated/calculus/square";

fn repository() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("benches/results")).unwrap();
    let stored = json!({
        "machine": "two cores", "commit": "abc", "command": "cargo bench",
        "ms": 1.5,
    });
    let path = dir.path().join("benches/results/square.json");
    fs::write(path, stored.to_string()).unwrap();
    dir
}

fn written() -> TempDir {
    let dir = repository();
    write(dir.path(), &[&CHAPTER], None).unwrap();
    assert_eq!(check(dir.path(), &[&CHAPTER]).unwrap(), []);
    dir
}

fn edit(root: &Path, name: &str, from: &str, to: &str) {
    let path = root.join(FOLDER).join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn only_problem(root: &Path) -> Problem {
    let problems = check(root, &[&CHAPTER]).unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn writes_each_file_once_and_leaves_agreeing_files_alone() {
    let dir = repository();
    let first = write(dir.path(), &[&CHAPTER], Some("square")).unwrap();
    let names = ["by_hand.txt", "times.md", "parabola.json", "parabola.svg"];
    let paths = names.map(|n| PathBuf::from(FOLDER).join(n));
    assert_eq!(first.written, paths);
    assert!(first.orphans.is_empty());

    // Within the tolerance: the committed digits stay.
    edit(dir.path(), "by_hand.txt", "9.00000", "9.00001");
    edit(dir.path(), "parabola.json", "841.0", "841.0001");
    let second = write(dir.path(), &[&CHAPTER], None).unwrap();
    let json = dir.path().join(FOLDER).join("parabola.json");
    assert!(fs::read_to_string(json).unwrap().contains("841.0001"));
    // The picture is drawn from the committed data.
    assert_eq!(second.written, [paths[3].clone()]);
    assert_eq!(second.unchanged.len(), 3);
    assert_eq!(check(dir.path(), &[&CHAPTER]).unwrap(), []);
}

#[test]
fn a_file_begins_with_its_command_and_the_demo_prints_the_rest() {
    let dir = written();
    let file = dir.path().join(FOLDER).join("by_hand.txt");
    let file = fs::read_to_string(file).unwrap();
    let (command, rest) = file.split_once('\n').unwrap();
    assert_eq!(command, "$ cargo demo square by_hand");
    let one = |chapter, output| demo(dir.path(), &[&CHAPTER], chapter, output);
    assert_eq!(one(Some("square"), Some("by_hand")).unwrap(), rest);
    let all = one(Some("calculus/square"), None).unwrap();
    assert!(all.starts_with(&file), "{all}");
    assert!(all.ends_with("$ cargo demo square times\n| 1.5 ms |\n"));
    assert!(one(None, None).unwrap().contains("cargo demo square times"));
}

#[test]
fn unknown_names_come_with_what_there_is() {
    let dir = repository();
    let error = |chapter, output| {
        let made = demo(dir.path(), &[&CHAPTER], Some(chapter), output);
        made.unwrap_err().to_string()
    };
    let message = error("squares", None);
    assert!(message.contains("did you mean square?"), "{message}");
    let message = error("square", Some("zzz"));
    assert!(message.contains("there is by_hand, times"), "{message}");
}

#[test]
fn a_changed_number_is_reported_with_its_line() {
    let dir = written();
    edit(dir.path(), "by_hand.txt", "9.00000", "9.1");
    let problem = only_problem(dir.path());
    assert_eq!(problem.path, Path::new(FOLDER).join("by_hand.txt"));
    assert_eq!(problem.line, 3);
    assert!(problem.message.contains("y = 9.1"), "{problem}");

    let dir = written();
    edit(dir.path(), "parabola.json", "784.0", "785.0");
    let problem = only_problem(dir.path());
    let file = dir.path().join(&problem.path);
    let file = fs::read_to_string(file).unwrap();
    let line = file.lines().nth(problem.line - 1).unwrap();
    assert!(line.contains("785.0"), "{line}");
    let message = &problem.message;
    assert!(message.contains("/y/28: committed 785.0, computed 784.0"));
}

#[test]
fn text_between_the_numbers_is_compared_exactly() {
    let dir = written();
    edit(dir.path(), "by_hand.txt", "y =", "z =");
    assert_eq!(only_problem(dir.path()).line, 3);
}

#[test]
fn another_structure_is_reported() {
    let dir = written();
    edit(dir.path(), "parabola.json", "\"label\"", "\"name\"");
    let problem = only_problem(dir.path());
    assert!(problem.message.contains("keys name y"), "{problem}");
    edit(dir.path(), "parabola.json", "\"y\": [", "\"y\": {");
    assert!(only_problem(dir.path()).message.contains("not JSON"));
}

#[test]
fn a_stale_picture_is_reported() {
    let dir = written();
    edit(dir.path(), "parabola.svg", "A parabola.", "A line.");
    let problem = only_problem(dir.path());
    assert_eq!(problem.path, Path::new(FOLDER).join("parabola.svg"));
    assert_eq!(problem.line, 3);
}

#[test]
fn a_missing_file_and_an_orphan_are_reported() {
    let dir = written();
    let folder = dir.path().join(FOLDER);
    for name in ["by_hand.txt", "parabola.json"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::write(folder.join("old.svg"), "").unwrap();
    let problems = check(dir.path(), &[&CHAPTER]).unwrap();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].contains("by_hand.txt:0: missing: run `cargo book"));
    assert!(shown[1].contains("parabola.json:0: missing"));
    assert!(shown[2].contains("old.svg:0: no chapter owns this file"));
}

#[test]
fn a_measurement_without_its_source_is_refused() {
    let dir = repository();
    let path = dir.path().join("benches/results/square.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("two cores", " ")).unwrap();
    let error = write(dir.path(), &[&CHAPTER], None).unwrap_err();
    assert!(matches!(
        error,
        Error::Unsourced {
            field: "machine",
            ..
        }
    ));
    fs::remove_file(path).unwrap();
    let error = check(dir.path(), &[&CHAPTER]).unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
}

#[test]
fn a_figure_is_drawn_from_a_measurement_that_says_where_it_is_from() {
    static MEASURED: Chapter = Chapter {
        slug: "speed/square",
        outputs: &[],
        figures: &[Figure {
            name: "times",
            title: "Time of a square",
            description: "One bar.",
            knobs: &[],
            data: Data::Measured("benches/results/square.json"),
            read_out: None,
            draw: |data| {
                kit::Picture::new(100.0 * kit::get::<f64>(data, "/ms"), 9.0)
            },
            tolerance: Tolerance::EXACT,
        }],
    };
    let dir = repository();
    write(dir.path(), &[&MEASURED], None).unwrap();
    assert_eq!(check(dir.path(), &[&MEASURED]).unwrap(), []);
    let path = dir.path().join("benches/results/square.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("1.5", "2.5")).unwrap();
    let problems = check(dir.path(), &[&MEASURED]).unwrap();
    assert!(problems[0].message.contains("committed 1.5, computed 2.5"));
    fs::write(&path, text.replace("commit", "version")).unwrap();
    let error = check(dir.path(), &[&MEASURED]).unwrap_err();
    assert!(matches!(
        error,
        Error::Unsourced {
            field: "commit",
            ..
        }
    ));
}

#[test]
fn a_number_that_is_not_finite_is_refused() {
    let dir = repository();
    let error = write(dir.path(), &[&BROKEN], None).unwrap_err();
    assert!(error.to_string().contains("no number at /y/1"), "{error}");
}

#[test]
fn names_are_unique_and_plain() {
    let plain = |name: &str| {
        let ok = |c: char| c.is_ascii_lowercase() || c == '_';
        !name.is_empty() && name.chars().all(|c| ok(c) || c.is_ascii_digit())
    };
    let mut seen = std::collections::BTreeSet::new();
    for chapter in figures::chapters() {
        assert!(seen.insert(chapter.short()), "{} twice", chapter.slug);
        assert!(chapter.slug.split('/').all(plain), "{}", chapter.slug);
        let mut inside = std::collections::BTreeSet::new();
        // A figure takes two files, so it may share its name with a text.
        let outputs = chapter.outputs.iter().map(|o| (o.name, o.extension));
        let figures = chapter.figures.iter();
        let figures = figures.flat_map(|f| [(f.name, "json"), (f.name, "svg")]);
        for (name, extension) in outputs.chain(figures) {
            assert!(plain(name), "{name}");
            let file = format!("{name}.{extension}");
            let slug = chapter.slug;
            assert!(inside.insert(file.clone()), "{slug}: {file} twice");
        }
        for output in chapter.outputs {
            assert!(["txt", "md", "svg"].contains(&output.extension));
        }
    }
}

/// Keeps the closures above honest: data is what `draw` expects.
#[test]
fn drawing_takes_the_data_alone() {
    let figure = &CHAPTER.figures[0];
    let Data::Computed(data) = figure.data else {
        panic!("computed");
    };
    let value: Value = data(&Knobs::new(figure.knobs));
    assert_eq!((figure.draw)(&value), (figure.draw)(&value));
}

#[test]
fn a_stored_run_is_run_when_asked_and_never_by_a_check() {
    let dir = repository();
    let root = dir.path();
    let chapters: [&Chapter; 2] = [&CHAPTER, &TRAINED];
    let origin = json!({
        "machine": { "cores": 2 }, "commit": "abc", "date": "2026-11-29",
    });
    let json = root.join("book/src/generated/network/trained/curve.json");
    let svg = json.with_extension("svg");
    let curve = |root: &Path| check(root, &chapters).unwrap();

    // Nothing to draw from.
    let only = [&TRAINED];
    let error = write(root, &chapters, Some("trained")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    static BARE: Chapter = Chapter {
        slug: "network/trained",
        outputs: &[],
        figures: TRAINED.figures,
    };
    let error = write(root, &[&BARE], None).unwrap_err();
    assert!(matches!(error, Error::NotRun { .. }), "{error}");
    let problems = check(root, &[&BARE]).unwrap();
    assert!(
        problems[0].message.contains("--stored trained"),
        "{problems:?}"
    );
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);

    // It runs once, and says where it comes from.
    let done = run_stored(root, &chapters, None, &origin).unwrap();
    assert_eq!(done.written.len(), 1);
    let stored = fs::read_to_string(&json).unwrap();
    for said in [
        r#""command": "cargo book figures --stored trained""#,
        r#""commit": "abc""#,
        r#""cores":2"#,
        r#""date": "2026-11-29""#,
        r#""loss": [2.5,1.5]"#,
    ] {
        assert!(stored.contains(said), "{said} in {stored}");
    }
    write(root, &chapters, None).unwrap();
    assert_eq!(curve(root), []);
    let table = fs::read_to_string(json.with_file_name("table.txt")).unwrap();
    assert!(table.ends_with("last 1.5\n"), "{table}");
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);

    // The picture is held against the file.
    let drawn = fs::read_to_string(&svg).unwrap();
    fs::remove_file(&svg).unwrap();
    let problems = curve(root);
    assert!(problems[0].message.contains("`cargo book figures trained`"));
    fs::write(&svg, drawn.replace("It falls", "It rises")).unwrap();
    let problems = curve(root);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("`cargo book figures trained`"));
    fs::write(&svg, drawn).unwrap();

    // A file that does not say when, or that the drawing does not know.
    let undated = stored.replace("2026-11-29", "");
    fs::write(&json, undated).unwrap();
    let problems = curve(root);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("does not name its `date`"));
    fs::write(&json, stored.replace("loss", "error")).unwrap();
    let problems = curve(root);
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].contains("nothing at /loss"), "{shown:?}");
    assert!(shown[1].contains("--stored trained"), "{shown:?}");

    // Again: other numbers, and they are kept.
    run_stored(root, &only, Some("trained"), &origin).unwrap();
    assert!(fs::read_to_string(&json).unwrap().contains("[2.5,0.5]"));
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);

    // Where it comes from is known, or nothing is written.
    let nowhere = json!({ "machine": { "cores": 2 }, "commit": "abc" });
    let error = run_stored(root, &only, None, &nowhere).unwrap_err();
    assert!(matches!(error, Error::Unsourced { field: "date", .. }));
    assert!(fs::read_to_string(&json).unwrap().contains("[2.5,0.5]"));
}

#[test]
fn a_file_that_a_run_makes_says_where_it_comes_from() {
    static MADE: Chapter = Chapter {
        slug: "network/made",
        outputs: &[],
        figures: &[Figure {
            name: "sum",
            title: "A sum",
            description: "Of the file's bytes.",
            knobs: &[],
            data: Data::Made(
                "generated/network/made/two.f16",
                || (json!({ "sizes": [2] }), vec![b'\n', 0xff]),
                |_, file| {
                    let (facts, bytes) = facts(file).unwrap();
                    let sum: u32 = bytes.iter().map(|b| u32::from(*b)).sum();
                    json!({ "sizes": facts["sizes"], "sum": sum })
                },
            ),
            read_out: None,
            draw: |_| kit::Picture::new(9.0, 9.0),
            tolerance: Tolerance::EXACT,
        }],
    };
    let dir = repository();
    let root = dir.path();
    let origin =
        json!({ "machine": "two", "commit": "abc", "date": "2026-11-30" });
    let made = || run_stored(root, &[&MADE], None, &origin).unwrap();
    let path = PathBuf::from("book/src/generated/network/made/two.f16");
    assert_eq!(made().written, std::slice::from_ref(&path));
    assert_eq!(made().unchanged, std::slice::from_ref(&path));
    write(root, &[&MADE], None).unwrap();
    assert_eq!(check(root, &[&MADE]).unwrap(), []);
    let json = fs::read_to_string(root.join(&path).with_file_name("sum.json"));
    assert!(json.unwrap().contains("265"));

    // Other bytes, other numbers; and no bytes without their origin.
    let file = fs::read(root.join(&path)).unwrap();
    let other = [&file[..file.len() - 1], &[0]].concat();
    fs::write(root.join(&path), other).unwrap();
    let problems = check(root, &[&MADE]).unwrap();
    assert!(problems[0].message.contains("committed 265, computed 10"));
    fs::write(root.join(&path), b"{\"commit\":\"abc\"}\n\xff").unwrap();
    let error = check(root, &[&MADE]).unwrap_err();
    assert!(matches!(
        error,
        Error::Unsourced {
            field: "machine",
            ..
        }
    ));
}

#[test]
fn every_chapter_is_looked_at_whatever_the_others_find() {
    static BAD: [Chapter; 9] = {
        const ONE: Chapter = Chapter {
            slug: "calculus/bad",
            outputs: &[Output::printed("never", || panic!("no such number"))],
            figures: &[],
        };
        [ONE; 9]
    };
    let dir = written();
    let never = dir.path().join("book/src/generated/calculus/bad/never.txt");
    fs::create_dir_all(never.parent().unwrap()).unwrap();
    fs::write(never, "").unwrap();
    edit(dir.path(), "by_hand.txt", "9.00000", "9.1");
    let mut chapters: Vec<&Chapter> = BAD.iter().collect();
    chapters.insert(4, &CHAPTER);
    let problems = check(dir.path(), &chapters).unwrap();
    assert_eq!(problems.len(), 10, "{problems:?}");
    for (k, problem) in problems.iter().enumerate() {
        let words = if k == 4 { "y = 9.1" } else { "no such number" };
        assert!(problem.message.contains(words), "{problem}");
    }
}

/// The build script reads the order from the summary; the slugs are by hand.
#[test]
fn the_chapters_are_those_of_the_summary_in_its_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let summary = root.join("book/src/SUMMARY.md");
    let summary = fs::read_to_string(summary).unwrap();
    let parts: Vec<String> = fs::read_dir(root.join("src"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    let pages = summary.split("](").skip(1);
    let pages = pages.filter_map(|link| link.split(".md)").next());
    let in_a_part = |page: &&str| {
        let part = page.split_once('/').map_or("", |(part, _)| part);
        parts.iter().any(|p| p == part)
    };
    let pages: Vec<&str> = pages.filter(in_a_part).collect();
    assert!(pages.len() >= 4, "{pages:?}");
    let slugs: Vec<&str> = figures::chapters().iter().map(|c| c.slug).collect();
    // Chapters whose page is still a draft come after the written ones.
    assert_eq!(slugs[..pages.len()], pages);
    for slug in &slugs[pages.len()..] {
        assert!(
            !slug.contains('/') || !summary.contains(&format!("({slug}.md)"))
        );
        let file = format!("tools/figures/src/{slug}.rs");
        assert!(root.join(&file).is_file(), "{file}");
    }
}
