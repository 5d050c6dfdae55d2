//! Asks the native build for every live figure: at its defaults, with all
//! knobs at their first end, at their last, and with every other one moved;
//! and for some problems of every drill. Prints a JSON object a line, with
//! `question`, `answer` and `file`, which `tools/book/browser/compare.mjs`
//! holds against the module's answers.

use std::fs;
use std::path::Path;

use examiner::drill;
use figures::{Data, Figure, Knob, Setting};
use live::Session;
use serde_json::json;

fn main() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src");
    let mut session = Session::default();
    for chapter in figures::live() {
        for figure in chapter.figures() {
            if let Some(path) = figure.file() {
                let bytes = fs::read(pages.join(path)).expect("its file");
                session.ask(&[b"give", path.as_bytes(), &bytes]);
            }
            let name = format!("{}/{}", chapter.slug, figure.name);
            for settings in positions(figure) {
                let running = matches!(figure.data, Data::Running(..));
                let verbs: &[&[&str]] = match running {
                    false => &[&["draw"]],
                    true => &[&["run"], &["step", "3"]],
                };
                for verb in verbs {
                    let mut question = vec![verb[0], &name];
                    question.extend(settings.iter().map(String::as_str));
                    question.extend(&verb[1..]);
                    print(&mut session, &question, figure.file());
                }
            }
        }
    }
    for drill in drill::all() {
        for seed in ["1", "2", "3", "1000000", "18446744073709551615"] {
            for verb in ["drill", "shown"] {
                print(&mut session, &[verb, drill.name, seed], None);
            }
        }
    }
}

fn print(session: &mut Session, question: &[&str], file: Option<&str>) {
    let words: Vec<_> = question.iter().map(|word| word.as_bytes()).collect();
    let answer = session.ask(&words);
    println!(
        "{}",
        json!({ "question": question, "answer": answer, "file": file })
    );
}

/// Four places for the knobs of a figure.
fn positions(figure: &Figure) -> [Vec<String>; 4] {
    let of = |pick: &dyn Fn(usize, &Knob) -> Option<Setting>| {
        let knobs = figure.knobs.iter().enumerate();
        knobs
            .map(|(k, knob)| pick(k, knob).unwrap_or_else(|| knob.default()))
            .map(|setting| written(&setting))
            .collect()
    };
    [
        of(&|_, _| None),
        of(&|_, knob| knob.ends().into_iter().next()),
        of(&|_, knob| knob.ends().pop()),
        of(&|k, knob| knob.ends().pop().filter(|_| k % 2 == 0)),
    ]
}

/// As the page writes it.
fn written(setting: &Setting) -> String {
    match setting {
        Setting::Number(number) => number.to_string(),
        Setting::Words(words) => words.clone(),
        Setting::Point([x, y]) => format!("{x},{y}"),
        Setting::Index(index) => index.to_string(),
    }
}
