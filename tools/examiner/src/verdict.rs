//! What a check says of an answer.

use crate::Mistake;
use crate::arrays::Arrays;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// The outcome of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// Right. The note is shown to the learner: the why behind a prediction.
    Passed {
        /// What to add to "passed"; may be empty.
        note: String,
    },
    /// The stub is still a `todo!()`, or the prediction is still `None`.
    NotAttempted,
    /// Wrong, and how.
    Failed(Report),
}

impl Verdict {
    /// Passed, with nothing to add.
    pub fn passed() -> Self {
        Self::Passed {
            note: String::new(),
        }
    }

    /// The code of the mistake, if exactly one was named.
    pub fn named(&self) -> Option<&str> {
        match self {
            Self::Failed(Report { mistakes, .. }) if mistakes.len() == 1 => {
                Some(&mistakes[0].code)
            }
            _ => None,
        }
    }
}

/// How a mistake was recognised, cheapest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Evidence {
    /// The shape of the result, or a panic about shapes.
    Shape,
    /// Two cotangents: the result ignores them.
    Cotangent,
    /// A constant ratio to the numeric gradient.
    Ratio,
    /// The structure of the result: transposed, diagonal only, all equal.
    Structure,
    /// The values that this very mistake would give.
    Prediction,
    /// A wrong prediction that has a name.
    Choice,
    /// Two cotangents: the result is not linear in them.
    Linearity,
}

/// A mistake as a report carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub code: String,
    /// What was done, in one plain sentence.
    pub sentence: String,
    /// The rule that mends it.
    pub rule: String,
    /// Where the book explains it.
    pub page: String,
}

impl From<&'static Mistake> for Named {
    fn from(m: &'static Mistake) -> Self {
        Self {
            code: m.code.into(),
            sentence: m.sentence.into(),
            rule: m.rule.into(),
            page: m.page.into(),
        }
    }
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was compared with what.
    pub compared: String,
    /// The inputs on which it was: numbers where they are few, else shapes.
    pub inputs: String,
    /// What the answer gave.
    pub got: String,
    /// What is right; empty where showing it would give the task away.
    pub expected: String,
    /// Which of several outputs are wrong, and on which inputs, if not all.
    pub scope: String,
    /// What fits: one names the mistake, several are candidates, none means
    /// that it has no name yet.
    pub mistakes: Vec<Named>,
    /// How the mistakes were recognised.
    pub evidence: Option<Evidence>,
    /// Anything else worth a line: where a panic was, a constant factor.
    pub remark: String,
    /// The command that shows the task's hint, where no one mistake is named.
    pub hint: String,
    /// What was got and expected as arrays, for a picture, where it prints
    /// such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrays: Option<Box<Arrays>>,
}

impl Report {
    /// A report that shows what was compared and names nothing.
    pub fn new(
        compared: impl Into<String>,
        got: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            compared: compared.into(),
            inputs: String::new(),
            got: got.into(),
            expected: expected.into(),
            scope: String::new(),
            mistakes: Vec::new(),
            evidence: None,
            remark: String::new(),
            hint: String::new(),
            arrays: None,
        }
    }

    /// The same report with one mistake named.
    pub fn name(
        mut self,
        mistake: &'static Mistake,
        evidence: Evidence,
    ) -> Self {
        self.mistakes = vec![mistake.into()];
        self.evidence = Some(evidence);
        self
    }

    /// The same report with all of these mistakes as candidates, if any.
    pub fn names(
        mut self,
        mistakes: impl Iterator<Item = &'static Mistake>,
        evidence: Evidence,
    ) -> Self {
        self.mistakes = mistakes.map(Named::from).collect();
        self.evidence = (!self.mistakes.is_empty()).then_some(evidence);
        self
    }

    /// The same report with the inputs on which the comparison was made.
    pub fn on(mut self, inputs: impl Into<String>) -> Self {
        self.inputs = inputs.into();
        self
    }

    /// The same report with a remark.
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    /// The same report with arrays to draw, if there are some.
    pub fn drawn(mut self, arrays: Option<Arrays>) -> Self {
        self.arrays = arrays.map(Box::new);
        self
    }

    /// The same report with one more remark, behind the one it has.
    pub fn also(mut self, more: impl Into<String>) -> Self {
        add(&mut self.remark, &more.into());
        self
    }

    /// The same report, saying which of several outputs are wrong before it
    /// says on which inputs.
    pub fn of_outputs(mut self, which: String) -> Self {
        let inputs = std::mem::replace(&mut self.scope, which);
        add(&mut self.scope, &inputs);
        self
    }
}

/// One more part of a sentence.
fn add(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("; ");
    }
    text.push_str(more);
}

impl Report {
    /// What to show, label by label; an empty label goes on with the last.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("compared", self.compared.clone()),
            ("inputs", self.inputs.clone()),
            ("got", self.got.clone()),
            ("expected", self.expected.clone()),
            ("where", self.scope.clone()),
            ("note", self.remark.clone()),
        ];
        let sentence = |m: &Named| format!("{}: {}", m.code, m.sentence);
        match self.mistakes.as_slice() {
            [] => all.push(("mistake", "not one that has a name yet".into())),
            [m] => {
                all.push(("mistake", sentence(m)));
                all.push(("rule", m.rule.clone()));
                all.push(("read", m.page.clone()));
            }
            several => {
                all.push(("mistake", "one of these:".into()));
                all.extend(several.iter().map(|m| ("", sentence(m))));
            }
        }
        all.push(("hint", self.hint.clone()));
        all.retain(|(_, text)| !text.is_empty());
        all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, text) in self.entries() {
            line(f, label, &text)?;
        }
        Ok(())
    }
}

/// One labelled entry of a report, wrapped and indented at 76 columns.
fn line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    for (i, row) in text.lines().flat_map(|l| wrap(l, 64)).enumerate() {
        let label = if i == 0 { label } else { "" };
        writeln!(f, "  {label:<9} {row}")?;
    }
    Ok(())
}

/// Words in rows of at most that many letters.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    // Printed arrays are aligned by spaces: leave their lines alone.
    if text.starts_with(['[', ' ']) {
        return vec![text.to_owned()];
    }
    let mut rows = vec![String::new()];
    for word in text.split_whitespace() {
        let row = rows.last_mut().expect("never empty");
        if row.is_empty() {
            row.push_str(word);
        } else if row.chars().count() + 1 + word.chars().count() <= width {
            let _ = write!(row, " {word}");
        } else {
            rows.push(word.to_owned());
        }
    }
    rows
}

/// A panic of the learner's code.
#[derive(Clone, Debug, PartialEq)]
pub struct Panic {
    /// The message, or a sentence that says that there was none.
    pub message: String,
    /// File and line, if known.
    pub place: String,
}

impl Panic {
    /// Whether it came from `todo!()` or `unimplemented!()`.
    pub fn is_todo(&self) -> bool {
        self.message.starts_with("not yet implemented")
            || self.message.starts_with("not implemented")
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the learner's code; a panic is caught, kept quiet and described.
pub fn attempt<T>(run: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                return loud(info);
            }
            if let Some(at) = info.location() {
                let place = format!("{}:{}", direct(at.file()), at.line());
                PLACE.with(|p| *p.borrow_mut() = place);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result.map_err(|payload| Panic {
        message: message_of(payload.as_ref()).chars().take(2000).collect(),
        place: PLACE.take(),
    })
}

/// The same path without the detours of `#[path]`:
/// `exercises/tests/network/../../src/network/linear.rs` is
/// `exercises/src/network/linear.rs`.
pub fn direct(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match parts.last() {
            Some(&last) if part == ".." && last != ".." && !last.is_empty() => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic whose payload is not a string".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_described_whatever_its_payload() {
        let p = attempt(|| panic!("shape {}", 3)).unwrap_err();
        assert_eq!(p.message, "shape 3");
        assert!(p.place.contains("verdict.rs:"), "{}", p.place);
        let p = attempt(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(p.message, "a panic whose payload is not a string");
        assert!(attempt(|| -> () { todo!() }).unwrap_err().is_todo());
        assert_eq!(attempt(|| 5), Ok(5));
    }

    #[test]
    fn a_path_is_made_direct() {
        for (path, short) in [
            ("a/tests/b/../../src/b/c.rs", "a/src/b/c.rs"),
            ("../a/../c.rs", "../c.rs"),
            ("/../c.rs", "/../c.rs"),
            ("c.rs", "c.rs"),
        ] {
            assert_eq!(direct(path), short);
        }
    }

    #[test]
    fn a_report_wraps_and_names() {
        let report = Report::new("dw against differences", "[1 2]", "[3 4]")
            .name(&crate::general::TRANSPOSED, Evidence::Structure);
        let text = report.to_string();
        assert!(text.contains("  got       [1 2]\n"), "{text}");
        assert!(text.contains("TRANSPOSED: "), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= 78), "{text}");
    }
}
