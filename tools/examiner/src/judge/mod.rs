//! How a check compares values and names a mistake.
//!
//! An exam is data: [`Vjp`] judges a backward, [`Value`] anything that has one
//! right value (an array, a loss, a count, a sequence of losses), [`Predict`]
//! what is written before coding, [`Hunt`] a bug's name and its mending;
//! [`Two`] and [`Then`] put exams together, and [`Special`] is a plain
//! function for what fits none of them. All are an [`Exam`]: an answer of some
//! type (a function, a number, the text of a kernel) and a seed give a
//! [`Verdict`].

mod compare;
mod inputs;
mod predict;
mod show;
#[cfg(test)]
mod tests;
mod value;
mod vjp;
mod whole;

pub use compare::{
    EXACTLY, Explanation, Observation, TOLERANCE, close, compare,
};
pub use inputs::{BATCH_IN_OUT, Cases, Inputs, IntoArray, Shapes};
pub use predict::{Hunt, Predict, Special, Then, Two, predict};
pub use show::show;
pub use value::Value;
pub use vjp::{Vjp, slopes};

use crate::verdict::attempt;
use crate::{Mistake, Sampler, Verdict};
use ndarray::{Array1, Array2, ArrayD, arr0};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The exam of a task.
pub trait Exam: Sync {
    /// What the learner hands in: a function, a prediction, several of them.
    type Answer: Copy + Send + Sync + 'static;

    /// Judges an answer, what it returns changed on the way: the certificate
    /// makes wrong answers of the right one so.
    fn judge_changed(
        &self,
        answer: Self::Answer,
        seed: u64,
        change: Option<&Change>,
    ) -> Verdict;

    /// Judges an answer.
    fn judge(&self, answer: Self::Answer, seed: u64) -> Verdict {
        self.judge_changed(answer, seed, None)
    }

    /// The functions in an answer, by what can be changed in each.
    fn parts(&self) -> Vec<Part> {
        Vec::new()
    }
}

/// A change of what an answer returns.
pub struct Change<'a> {
    /// In which of the answer's functions.
    pub part: usize,
    /// The inputs, the output's name and its value give another value.
    pub how: &'a How<'a>,
}

/// How one output is changed.
pub type How<'a> = dyn Fn(&Inputs, &str, ArrayD<f64>) -> ArrayD<f64> + 'a;

impl std::fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").field("part", &self.part).finish()
    }
}

/// One function of an answer, as the certificate sees it.
#[derive(Debug, Default)]
pub struct Part {
    /// The names of what it returns.
    pub outputs: Vec<&'static str>,
    /// The mistakes that the exam knows by their values.
    pub rows: Vec<&'static Wrong>,
}

/// A mistake that an exam knows by its value: one output, one name, and what
/// the mistake returns there. A row is one output, never a whole answer: the
/// learner can read it.
#[derive(Clone, Copy, Debug)]
pub struct Wrong {
    /// The output's name, or [`EVERY`].
    pub output: &'static str,
    /// What the mistake is called.
    pub mistake: &'static Mistake,
    value: Mistaken,
}

/// The output's name in a row that is for all of them.
pub const EVERY: &str = "*";

#[derive(Clone, Copy, Debug)]
enum Mistaken {
    Array(fn(&Inputs) -> ArrayD<f64>),
    Matrix(fn(&Inputs) -> Array2<f64>),
    Vector(fn(&Inputs) -> Array1<f64>),
    Number(fn(&Inputs) -> f64),
    Factor(fn(&Inputs) -> f64),
    Each(fn(&Inputs, &str) -> ArrayD<f64>),
    Made(fn(&Inputs, &ArrayD<f64>) -> ArrayD<f64>),
    Ways(usize, fn(&Inputs, &str, usize) -> ArrayD<f64>),
    Way(usize, fn(&Inputs, &str, usize) -> ArrayD<f64>),
}

/// A mistake returns this array. Where it panics, the mistake would not run.
pub const fn array(
    output: &'static str,
    mistake: &'static Mistake,
    value: fn(&Inputs) -> ArrayD<f64>,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Array(value))
}

/// A mistake returns this matrix.
pub const fn matrix(
    output: &'static str,
    mistake: &'static Mistake,
    value: fn(&Inputs) -> Array2<f64>,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Matrix(value))
}

/// A mistake returns this vector.
pub const fn vector(
    output: &'static str,
    mistake: &'static Mistake,
    value: fn(&Inputs) -> Array1<f64>,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Vector(value))
}

/// A mistake returns this number.
pub const fn number(
    output: &'static str,
    mistake: &'static Mistake,
    value: fn(&Inputs) -> f64,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Number(value))
}

/// A mistake returns that many times what is right.
pub const fn factor(
    output: &'static str,
    mistake: &'static Mistake,
    value: fn(&Inputs) -> f64,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Factor(value))
}

/// A mistake makes that of the right value: the row says what went wrong and
/// not what is right.
pub const fn made(
    output: &'static str,
    mistake: &'static Mistake,
    value: fn(&Inputs, &ArrayD<f64>) -> ArrayD<f64>,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Made(value))
}

/// A mistake that shows in several outputs: for the name of each, its value.
pub const fn each(
    mistake: &'static Mistake,
    value: fn(&Inputs, &str) -> ArrayD<f64>,
) -> Wrong {
    Wrong::new(EVERY, mistake, Mistaken::Each(value))
}

/// A mistake that can be made in so many ways: for the name of an output and
/// the way's number, its value. NaN where that is no way to make it.
pub const fn ways(
    output: &'static str,
    mistake: &'static Mistake,
    many: usize,
    value: fn(&Inputs, &str, usize) -> ArrayD<f64>,
) -> Wrong {
    Wrong::new(output, mistake, Mistaken::Ways(many, value))
}

/// Whether place `k` is among those that this way chooses: the first way chooses
/// place 0, the second place 1, the third both, and so on.
pub fn is_chosen(way: usize, k: usize) -> bool {
    (way + 1) >> k & 1 == 1
}

impl Wrong {
    /// Each way to make the mistake, as a row of its own.
    pub fn each_way(&self) -> impl Iterator<Item = Self> {
        let many = match self.value {
            Mistaken::Ways(many, _) => many,
            _ => 1,
        };
        let row = *self;
        (0..many).map(move |way| Self {
            value: match row.value {
                Mistaken::Ways(_, value) => Mistaken::Way(way, value),
                other => other,
            },
            ..row
        })
    }

    /// So many of them at most, evenly spread.
    pub fn some_ways(&self, most: usize) -> impl Iterator<Item = Self> {
        let many = self.each_way().count();
        self.each_way().step_by(many.div_ceil(most).max(1))
    }

    const fn new(
        output: &'static str,
        mistake: &'static Mistake,
        value: Mistaken,
    ) -> Self {
        Self {
            output,
            mistake,
            value,
        }
    }

    /// Whether it is about the output of that name.
    pub fn is_of(&self, output: &str) -> bool {
        self.output == EVERY || self.output == output
    }

    /// What the mistake returns for an output where `right` is right.
    pub fn value(
        &self,
        inputs: &Inputs,
        output: &str,
        right: &ArrayD<f64>,
    ) -> ArrayD<f64> {
        match self.value {
            Mistaken::Each(value) => value(inputs, output),
            Mistaken::Made(value) => value(inputs, right),
            Mistaken::Array(value) => value(inputs),
            Mistaken::Matrix(value) => value(inputs).into_dyn(),
            Mistaken::Vector(value) => value(inputs).into_dyn(),
            Mistaken::Number(value) => arr0(value(inputs)).into_dyn(),
            Mistaken::Factor(value) => right * value(inputs),
            Mistaken::Ways(_, value) => value(inputs, output, 0),
            Mistaken::Way(way, value) => value(inputs, output, way),
        }
    }

    /// The same, if it would run and give finite numbers.
    fn ran(
        &self,
        inputs: &Inputs,
        output: &str,
        right: &ArrayD<f64>,
    ) -> Option<ArrayD<f64>> {
        let value = attempt(|| self.value(inputs, output, right)).ok()?;
        value.iter().all(|v| v.is_finite()).then_some(value)
    }

    fn evidence(&self) -> crate::Evidence {
        match self.value {
            Mistaken::Factor(_) => crate::Evidence::Ratio,
            _ => crate::Evidence::Prediction,
        }
    }
}

/// The cases of an exam for one seed, and what is right for them.
#[derive(Debug)]
struct Drawn {
    usual: Vec<Vec<Known>>,
    rare: Vec<Known>,
    large: Vec<Known>,
}

/// Inputs, and the right value of each output that they have.
#[derive(Debug)]
struct Known {
    inputs: Inputs,
    truth: Vec<ArrayD<f64>>,
    /// What each row gives here, once it was asked for: by its number, that of
    /// the way, and the output.
    wrong: RefCell<HashMap<Way, Option<ArrayD<f64>>>>,
}

/// The number of a row, that of a way, and an output.
type Way = (usize, usize, &'static str);

impl Known {
    fn new(inputs: Inputs, truth: Vec<ArrayD<f64>>) -> Self {
        Self {
            inputs,
            truth,
            wrong: RefCell::default(),
        }
    }

    /// What the way to make a mistake gives here for output `k`, of that name,
    /// if it would run. It is computed once for all answers.
    fn wrong(
        &self,
        (row, way): (usize, usize),
        wrong: &Wrong,
        (k, name): (usize, &'static str),
    ) -> Option<ArrayD<f64>> {
        let key = (row, way, name);
        if let Some(known) = self.wrong.borrow().get(&key) {
            return known.clone();
        }
        let value = wrong.ran(&self.inputs, name, &self.truth[k]);
        self.wrong.borrow_mut().insert(key, value.clone());
        value
    }
}

/// The ways to make the mistakes of an output, each with its row's number and
/// its own.
fn ways_of(
    rows: &'static [Wrong],
    output: &'static str,
) -> impl Iterator<Item = ((usize, usize), Wrong)> {
    let rows = rows.iter().enumerate().filter(|(_, w)| w.is_of(output));
    rows.flat_map(|(n, w)| {
        w.each_way().enumerate().map(move |(way, w)| ((n, way), w))
    })
}

impl Drawn {
    fn new(
        seed: u64,
        cases: fn(&mut Sampler) -> Cases,
        cotangent: Option<&str>,
        truth: &dyn Fn(&Inputs) -> Vec<ArrayD<f64>>,
        in_one_direction: &dyn Fn(&Inputs) -> Vec<ArrayD<f64>>,
    ) -> Self {
        let mut cases = cases(&mut Sampler::new(seed)).marked();
        // The same numbers laid out otherwise, a call just after a nearly
        // equal one, and a cotangent whose rows sum to 0.
        for group in &cases.usual {
            let first = group.first().cloned().unwrap_or_default();
            cases.rare.push(first.clone().scattered());
            if let Some(nearly) = first.clone().nearly() {
                cases.rare.extend([first.clone(), nearly]);
            }
            cases.rare.extend(cotangent.and_then(|c| first.balanced(c)));
        }
        let known = |group: Vec<Inputs>| -> Vec<Known> {
            let each = |inputs: Inputs| {
                let truth = truth(&inputs);
                Known::new(inputs, truth)
            };
            group.into_iter().map(each).collect()
        };
        Self {
            usual: cases.usual.into_iter().map(known).collect(),
            rare: known(cases.rare),
            large: { cases.large.into_iter() }
                .map(|inputs| {
                    let truth = in_one_direction(&inputs);
                    Known::new(inputs, truth)
                })
                .collect(),
        }
    }
}

/// What was drawn for an exam (its address) and a seed; made once for all
/// answers that are judged one after another.
fn drawn(exam: usize, seed: u64, make: impl FnOnce() -> Drawn) -> Rc<Drawn> {
    type Kept = Vec<(usize, u64, Rc<Drawn>)>;
    thread_local! {
        static KEPT: RefCell<Kept> = const { RefCell::new(Vec::new()) };
    }
    KEPT.with_borrow_mut(|kept| {
        if let Some(k) = kept.iter().find(|k| k.0 == exam && k.1 == seed) {
            return k.2.clone();
        }
        let made = Rc::new(make());
        // An answer is judged by several exams, one after another: functions,
        // kinks, extremes.
        if kept.len() == 8 {
            kept.remove(0);
        }
        kept.push((exam, seed, made.clone()));
        made
    })
}

/// What a call returned, one value for each of the names, changed.
fn changed(
    change: Option<&Change>,
    inputs: &Inputs,
    names: &[&'static str],
    values: Vec<ArrayD<f64>>,
) -> Vec<ArrayD<f64>> {
    assert_eq!(values.len(), names.len(), "an exam's call fits its outputs");
    match change {
        None => values,
        Some(c) => (names.iter().zip(values))
            .map(|(name, value)| (c.how)(inputs, name, value))
            .collect(),
    }
}

/// A failed verdict with a word about it.
pub fn remarked(verdict: Verdict, what: &str) -> Verdict {
    match verdict {
        Verdict::Failed(mut report) => {
            report.remark = match report.remark.as_str() {
                "" => what.to_owned(),
                more => format!("{what}; {more}"),
            };
            Verdict::Failed(report)
        }
        other => other,
    }
}
