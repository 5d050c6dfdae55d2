//! A figure is a function: every one of the book is drawn at its defaults, at
//! both ends of every knob, and with all knobs at their ends.

use std::path::Path;

use figures::{Data, Error, Figure, Knob, Knobs, Setting, chapters};
use roxmltree::Document;
use serde_json::Value;

/// Numbers, picture and read-out at these knobs.
fn at(name: &str, figure: &Figure, knobs: &Knobs) -> (Value, String, String) {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src");
    let file = figure.file().map(|f| std::fs::read(pages.join(f)).unwrap());
    let Some(data) = figure.numbers(knobs, &file.unwrap_or_default()) else {
        panic!("{name} has knobs, and its numbers are not computed");
    };
    finite(name, &data);
    let svg = (figure.draw)(&data).inline("id", "title", "description");
    let tree = Document::parse(&svg);
    let tree = tree.unwrap_or_else(|e| panic!("{name} at {knobs:?}: {e}"));
    // What can be clicked or dragged names a knob, and a place for it.
    for part in tree.descendants() {
        let Some(of) = part.attribute("data-knob") else {
            continue;
        };
        let knob = figure.knobs.iter().find(|knob| knob.name == of);
        let knob = knob.unwrap_or_else(|| panic!("{name} has no knob {of}"));
        if let Some(to) = part.attribute("data-set") {
            let setting = knob.parse(to).expect(to);
            knobs.clone().with(of, setting).expect(to);
        }
    }
    // Alone or after the letter of a path; a link may go to `reinforce`.
    for word in svg.split(|c: char| !c.is_ascii_alphabetic()) {
        let bad = ["NaN", "inf"].iter().any(|end| word.ends_with(end));
        assert!(!bad, "{name} at {knobs:?}: {word}");
    }
    let line = figure
        .read_out
        .map_or(String::new(), |out| out(knobs, &data));
    assert!(
        !line.contains("NaN") && !line.contains('\n'),
        "{name}: {line}"
    );
    (data, svg, line)
}

/// JSON has no NaN and no infinity: they become `null`.
fn finite(name: &str, value: &Value) {
    match value {
        Value::Null => panic!("{name}: a number is not finite"),
        Value::Array(a) => a.iter().for_each(|v| finite(name, v)),
        Value::Object(o) => o.values().for_each(|v| finite(name, v)),
        _ => {}
    }
}

#[test]
fn every_figure_is_drawn_wherever_its_knobs_stand() {
    let mut moved = 0;
    for chapter in chapters() {
        for figure in chapter.figures {
            let name = format!("{}/{}", chapter.slug, figure.name);
            if matches!(figure.data, Data::Stored(_) | Data::Measured(_)) {
                assert!(figure.knobs.is_empty(), "{name} is stored");
                continue;
            }
            let default = Knobs::new(figure.knobs);
            let (data, svg, line) = at(&name, figure, &default);
            assert_eq!(at(&name, figure, &default).0, data, "{name}");
            let silent = line.is_empty();
            assert_eq!(silent, figure.knobs.is_empty(), "{name}: read-out");
            for knob in figure.knobs {
                for end in knob.ends() {
                    let knobs = default.clone().with(knob.name, end.clone());
                    let (other, picture, said) =
                        at(&name, figure, &knobs.unwrap());
                    let same = end == knob.default();
                    let shown = format!("{name}: {} at {end:?}", knob.name);
                    assert_eq!(other == data, same, "{shown}: the data");
                    assert_eq!(picture == svg, same, "{shown}: the picture");
                    assert_eq!(said == line, same, "{shown}: the read-out");
                    moved += usize::from(!same);
                }
            }
            for last in [false, true] {
                let mut all = default.clone();
                for knob in figure.knobs {
                    let mut ends = knob.ends();
                    let end = if last {
                        ends.pop()
                    } else {
                        ends.into_iter().next()
                    };
                    if let Some(end) = end {
                        all = all.with(knob.name, end).unwrap();
                    }
                }
                at(&name, figure, &all);
            }
        }
    }
    assert!(moved >= 20, "only {moved} settings were tried");
}

static KNOBS: [Knob; 5] = [
    Knob::slider("gap", -40.0..=20.0, 3.0)
        .unit("logits")
        .step(0.5),
    Knob::choice("loss", &["cross-entropy", "twice"]),
    Knob::text("expression", "a*b"),
    Knob::point("start", -1.0..=1.0, -2.0..=2.0, [0.5, 0.0]),
    Knob::index("token", 4, 2),
];

#[test]
fn a_knob_stands_at_its_default_until_it_is_moved() {
    let knobs = Knobs::new(&KNOBS);
    assert_eq!(knobs.number("gap"), 3.0);
    assert_eq!(knobs.choice("loss"), "cross-entropy");
    assert_eq!(knobs.text("expression"), "a*b");
    assert_eq!(knobs.point("start"), [0.5, 0.0]);
    assert_eq!(knobs.index("token"), 2);
    let moves = [
        ("gap", Setting::Number(-40.0)),
        ("loss", Setting::Words("twice".into())),
        ("expression", Setting::Words("a + b".into())),
        ("start", Setting::Point([1.0, -2.0])),
        ("token", Setting::Index(3)),
    ];
    let knobs = moves
        .into_iter()
        .try_fold(knobs, |k, (name, to)| k.with(name, to));
    let knobs = knobs.unwrap();
    assert_eq!(knobs.number("gap"), -40.0);
    assert_eq!(knobs.choice("loss"), "twice");
    assert_eq!(knobs.text("expression"), "a + b");
    assert_eq!(knobs.point("start"), [1.0, -2.0]);
    assert_eq!(knobs.index("token"), 3);
}

#[test]
fn a_knob_goes_no_further_than_its_ends_and_takes_nothing_else() {
    for (name, to, help) in [
        ("gapp", Setting::Number(1.0), "there is gap, loss"),
        ("gap", Setting::Number(20.5), "20.5"),
        ("gap", Setting::Number(f64::NAN), "NaN"),
        ("gap", Setting::Index(1), "Slider"),
        ("loss", Setting::Words("thrice".into()), "thrice"),
        ("start", Setting::Point([0.0, 2.5]), "2.5"),
        ("start", Setting::Point([f64::NAN, 0.0]), "NaN"),
        ("token", Setting::Index(4), "Index(4)"),
    ] {
        let error = Knobs::new(&KNOBS).with(name, to).unwrap_err();
        assert!(matches!(error, Error::Knob { .. }), "{error}");
        assert!(error.to_string().contains(help), "{error}");
    }
    for knob in &KNOBS {
        for end in knob.ends() {
            assert!(Knobs::new(&KNOBS).with(knob.name, end).is_ok());
        }
    }
}

#[test]
#[should_panic(expected = "no knob is called `gapp`: there is gap, loss")]
fn asking_for_an_unknown_knob_says_which_there_are() {
    Knobs::new(&KNOBS).number("gapp");
}

#[test]
#[should_panic(expected = "no knob is called `gap`: the figure has none")]
fn asking_a_figure_without_knobs_says_so() {
    Knobs::new(&[]).number("gap");
}

#[test]
#[should_panic(expected = "knob `loss` has no number but Words")]
fn asking_for_another_kind_says_what_there_is() {
    Knobs::new(&KNOBS).number("loss");
}
