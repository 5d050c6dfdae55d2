//! The live figures and the drills, compiled to WebAssembly for the page.
//!
//! The page's script writes a question into linear memory, words with a zero
//! byte between them, and reads the answer in the same form:
//!
//! | question | answer |
//! |---|---|
//! | `draw`, figure, then a setting for each knob | SVG, read-out |
//! | `run`, the same | SVG, read-out, of a run at its start |
//! | `step`, the same, and how many steps to go on | SVG, read-out, of the run after them |
//! | `give`, path, bytes | nothing: the file is kept |
//! | `drill`, drill, seed | the question, `number`, `sign` or `shape`, and what the answer stands for |
//! | `try`, the same, what was typed | `right`, `wrong` or `unread`; a sentence; the section to read and the mistake's code, or nothing |
//! | `shown`, drill, seed | the answer, worked out |
//!
//! `figure` is chapter and name, `network/linear/tiles`; settings stand in
//! the order of the figure's knobs and are written as
//! [`Knob::parse`](figures::Knob::parse) reads them. A drill is named in the
//! same way; its seed is a whole number below 2⁶⁴. What cannot be done
//! answers with one word: `error: ` and why. [`Session::ask`] is the same for
//! programs, and for the test that holds the module against the native build.

use std::collections::HashMap;

use figures::{Data, Figure, Knobs, Run, live};

mod drills;
mod memory;

/// What is kept between two questions: files, and figures that run.
#[derive(Default)]
pub struct Session {
    files: HashMap<String, Vec<u8>>,
    /// By the figure's name, with the settings that each last had.
    runs: HashMap<String, (Knobs, Box<dyn Run>)>,
}

impl Session {
    /// The answer to a question, both as the module's documentation has
    /// them.
    pub fn ask(&mut self, question: &[&[u8]]) -> Vec<String> {
        self.answer(question).unwrap_or_else(|why| vec![why])
    }

    fn answer(&mut self, question: &[&[u8]]) -> Result<Vec<String>, String> {
        let (verb, rest) =
            question.split_first().ok_or("error: no question")?;
        if *verb == b"give" {
            let [path, bytes] = rest else {
                return Err("error: give what?".into());
            };
            let path = String::from_utf8_lossy(path).into_owned();
            self.files.insert(path, bytes.to_vec());
            return Ok(Vec::new());
        }
        let words: Result<Vec<_>, _> =
            rest.iter().map(|word| str::from_utf8(word)).collect();
        let words = words.map_err(|_| "error: not UTF-8")?;
        if let Some(answer) = drills::answer(verb, &words) {
            return answer;
        }
        let (name, settings) = words.split_first().ok_or("error: which?")?;
        let (slug, figure) = find(name).ok_or("error: no such figure")?;
        let (settings, more) = settings
            .split_at_checked(figure.knobs.len())
            .ok_or("error: too few settings")?;
        let knobs = set(figure, settings)?;
        let data = match (*verb, figure.data) {
            (b"draw", _) => {
                let path = figure.file().unwrap_or_default();
                let file = self.files.get(path).map_or(&[][..], |f| f);
                figure.numbers(&knobs, file)
            }
            (b"run", Data::Running(start, _)) => {
                let run = start(&knobs);
                let data = run.data();
                self.runs.insert((*name).into(), (knobs.clone(), run));
                Some(data)
            }
            (b"step", Data::Running(..)) => {
                let (before, run) =
                    self.runs.get_mut(*name).ok_or("error: not begun")?;
                if *before != knobs {
                    run.moved(&knobs);
                    *before = knobs.clone();
                }
                let steps = more.first().and_then(|n| n.parse().ok());
                (0..steps.unwrap_or(0)).for_each(|_| run.step());
                Some(run.data())
            }
            _ => None,
        };
        let data = data.ok_or("error: it does not do that")?;
        let said = figure.read_out.map(|out| out(&knobs, &data));
        let svg = figure.svg(slug, &data, said.as_deref());
        Ok(vec![svg, said.unwrap_or_default()])
    }
}

fn find(name: &str) -> Option<(&'static str, &'static Figure)> {
    let (slug, name) = name.rsplit_once('/')?;
    let chapter = live().iter().find(|chapter| chapter.slug == slug)?;
    let figure = chapter.figures().find(|figure| figure.name == name)?;
    Some((chapter.slug, figure))
}

fn set(figure: &Figure, settings: &[&str]) -> Result<Knobs, String> {
    let mut knobs = Knobs::new(figure.knobs);
    for (knob, text) in figure.knobs.iter().zip(settings) {
        let setting = knob.parse(text).ok_or("error: not a setting")?;
        let moved = knobs.with(knob.name, setting);
        knobs = moved.map_err(|_| "error: out of range")?;
    }
    Ok(knobs)
}
