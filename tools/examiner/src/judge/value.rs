//! The judge of a value: an array, a loss, a count, a sequence of losses.

use super::compare::{
    Explanation, Observation, Values, compare, named_in_part, reshaped,
};
use super::vjp::observed;
use super::whole::{KEPT, Whole};
use super::{Cases, Change, Drawn, Exam, Inputs, Known, Part, Wrong};
use super::{changed, drawn, ways_of};
use crate::general::{RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED, TRANSPOSED};
use crate::verdict::{Evidence, Verdict, attempt};
use crate::{Mistake, Sampler};
use ndarray::ArrayD;
use std::iter::once_with;

/// The exam of something with one right value, the answer of type `F`.
#[derive(Debug)]
pub struct Value<F: 'static> {
    /// The names of what it returns, in the order in which they are judged.
    pub outputs: &'static [&'static str],
    /// What they are compared with, in words.
    pub against: &'static str,
    /// The right values, in that order.
    pub right: fn(&Inputs) -> Vec<ArrayD<f64>>,
    /// How far off an entry may be, relative to the largest: [`TOLERANCE`],
    /// or more where the answer computes in `f32`.
    ///
    /// [`TOLERANCE`]: super::TOLERANCE
    pub tolerance: f64,
    /// Calls the answer.
    pub call: fn(&F, &Inputs) -> Vec<ArrayD<f64>>,
    /// Draws the cases.
    pub cases: fn(&mut Sampler) -> Cases,
    /// What each mistake returns.
    pub wrong: &'static [Wrong],
    /// Names a mistake by which of the usual cases are wrong, and how: for
    /// extreme inputs, where a mistake has no one value.
    pub symptom: Option<Symptom>,
}

/// What the usual cases of one output look like, as a mistake.
pub type Symptom = fn(&[Observation]) -> Option<&'static Mistake>;

impl<F: Copy + Send + Sync + 'static> Exam for Value<F> {
    type Answer = F;

    fn judge_changed(
        &self,
        answer: F,
        seed: u64,
        change: Option<&Change>,
    ) -> Verdict {
        let drawn = drawn(self as *const _ as usize, seed, || {
            Drawn::new(seed, self.cases, None, &self.right, &self.right)
        });
        let call = |i: &Inputs| {
            changed(change, i, self.outputs, (self.call)(&answer, i))
        };
        let compared = |cases: &[Known], explain: bool| {
            let given: Vec<_> = (cases.iter())
                .map(|c| attempt(|| call(&c.inputs)))
                .collect();
            self.outputs.iter().enumerate().find_map(|(k, name)| {
                let seen = observed(cases, &given, k, self.tolerance);
                if seen.iter().all(Observation::is_right) {
                    return None;
                }
                let all = self.explained(cases, &seen, name, k);
                let against = |all: &[Explanation]| {
                    compare(name, self.against, &seen, all)
                };
                let verdict = match explain {
                    true => self.told(against(&all)?, &seen),
                    false => named_in_part(against(&[])?, &seen, &all),
                };
                let whole = Whole {
                    cases,
                    given: &given,
                    names: self.outputs,
                    tolerance: self.tolerance,
                };
                Some(whole.told(verdict, &call, &|| false))
            })
        };
        let again = |cases: &[Known]| match compared(cases, false)? {
            Verdict::Failed(report) => {
                Some(Verdict::Failed(report.remark(KEPT)))
            }
            other => Some(other),
        };
        let mut stages = (drawn.usual.iter())
            .map(|group| {
                compared(group, true)
                    .or_else(|| again(group.get(..1).unwrap_or(&[])))
            })
            .chain(once_with(|| compared(&drawn.rare, false)))
            .chain(once_with(|| compared(&drawn.large, false)));
        stages.find_map(|v| v).unwrap_or_else(Verdict::passed)
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part {
            outputs: self.outputs.to_vec(),
            rows: self.wrong.iter().collect(),
        }]
    }
}

impl<F> Value<F> {
    fn explained(
        &self,
        cases: &[Known],
        seen: &[Observation],
        name: &'static str,
        k: usize,
    ) -> Vec<Explanation> {
        use Evidence::{Prediction, Ratio, Structure};
        let rare = cases.iter().all(|c| c.inputs.is_rare());
        let right = |c: usize| &seen[c].expected;
        let turned = |c: usize| {
            let t = right(c).t();
            (t.ndim() > 1).then(|| t.to_owned())
        };
        let of = |mistake, how, value: Values| {
            Explanation::of(mistake, how, seen, rare, value)
        };
        let rows = ways_of(self.wrong, name).map(|(way, w)| {
            of(w.mistake, w.evidence(), &|c| {
                cases[c].wrong(way, &w, (k, name))
            })
        });
        let general = [
            of(&SIGN_FLIPPED, Ratio, &|c| Some(-right(c))),
            of(&TRANSPOSED, Structure, &turned),
            of(&RESHAPED_NOT_TRANSPOSED, Prediction, &|c| {
                reshaped(right(c))
            }),
        ];
        general.into_iter().chain(rows).flatten().collect()
    }

    /// The verdict with the name that its symptom has, if it has no other.
    fn told(&self, verdict: Verdict, seen: &[Observation]) -> Verdict {
        match verdict {
            Verdict::Failed(report) if report.mistakes.is_empty() => {
                let found = self.symptom.and_then(|symptom| symptom(seen));
                Verdict::Failed(match found {
                    Some(m) => report.name(m, Evidence::Structure),
                    None => report,
                })
            }
            other => other,
        }
    }
}
