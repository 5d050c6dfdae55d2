//! What all outputs of a wrong answer say together, and a second call of it.

use super::Known;
use super::compare::within;
use super::vjp::{Call, Given};
use crate::general::OUTPUTS_REORDERED;
use crate::verdict::{Evidence, Report, Verdict, attempt};
use ndarray::ArrayD;

/// Inputs, what an answer gave for them, and how far off it may be.
pub(super) struct Whole<'a> {
    pub(super) cases: &'a [Known],
    pub(super) given: &'a [Given],
    pub(super) names: &'a [&'static str],
    pub(super) tolerance: f64,
}

impl Whole<'_> {
    /// Whether output `k` of case `c` is the right output `of`.
    fn is(&self, c: usize, k: usize, of: usize) -> bool {
        let right = &self.cases[c].truth[of];
        let least = self.cases[c].inputs.least();
        { self.given[c].as_ref() }
            .is_ok_and(|g| within(&g[k], right, self.tolerance, least))
    }

    /// Whether output `k` is the right output `of` in every case.
    fn is_everywhere(&self, k: usize, of: usize) -> bool {
        (0..self.cases.len()).all(|c| self.is(c, k, of))
    }

    /// The verdict on an answer of which one output is wrong, after a look at
    /// the others and, with `call`, at the same calls again. Outputs in each
    /// other's places are that, and nothing else unless its mistake explains
    /// all of them.
    pub(super) fn told(
        &self,
        verdict: Verdict,
        call: Call,
        explains_all: &dyn Fn() -> bool,
    ) -> Verdict {
        let Verdict::Failed(mut report) = verdict else {
            return verdict;
        };
        if self.keeps_something(call) {
            report.mistakes.clear();
            report.evidence = None;
            report.remark = KEPT.into();
        } else if self.is_reordered() {
            let known = report.evidence == Some(Evidence::Prediction);
            let other = report.mistakes.pop();
            let other = other.filter(|_| known && explains_all());
            report = report.name(&OUTPUTS_REORDERED, Evidence::Structure);
            report.mistakes.extend(other);
        }
        Verdict::Failed(self.with_outputs(report))
    }

    /// Whether the right outputs stand in each other's places. (A long list of
    /// outputs, layer by layer, has names of its own for that.)
    fn is_reordered(&self) -> bool {
        let n = self.names.len();
        let place = |k: usize| (0..n).find(|of| self.is_everywhere(k, *of));
        let places: Option<Vec<_>> = (0..n).map(place).collect();
        places.is_some_and(|mut places| {
            let moved = (0..n).any(|k| places[k] != k);
            places.sort_unstable();
            places.dedup();
            moved && places.len() == n && n <= 4
        })
    }

    /// Whether the same arguments give something else the second time, or
    /// every call what was right for the first.
    pub(super) fn keeps_something(&self, call: Call) -> bool {
        let changes = |(c, before): (&Known, &Given)| {
            let again = attempt(|| call(&c.inputs));
            match (before, again) {
                (Ok(before), Ok(again)) => {
                    !before.iter().zip(&again).all(|(a, b)| same(a, b))
                }
                _ => false,
            }
        };
        self.cases.iter().zip(self.given).any(changes) || self.is_stale()
    }

    /// Whether the first call is right, and what is wrong in the others is
    /// what the first one gave there.
    fn is_stale(&self) -> bool {
        let Some((Ok(first), others)) = self.given.split_first() else {
            return false;
        };
        let outputs = 0..self.names.len();
        let mut wrong = 0;
        let mut repeats = |c: usize, k: usize, got: &ArrayD<f64>| {
            let right = &self.cases[c].truth[k];
            got.shape() == right.shape()
                && got.indexed_iter().all(|(at, v)| {
                    let off = (v - right[&at]).abs() > 1e-6;
                    // Many mistakes give zeros.
                    wrong += usize::from(off && *v != 0.);
                    !off || first[k].get(at.clone()) == Some(v)
                })
        };
        let stale = { others.iter().enumerate() }.all(|(c, g)| {
            g.as_ref().is_ok_and(|g| {
                { g.iter().enumerate() }.all(|(k, g)| repeats(c + 1, k, g))
            })
        });
        stale && wrong > 1 && { outputs }.all(|k| self.is(0, k, k))
    }

    /// Which outputs are wrong and which right. (A panic stops all at once.)
    fn with_outputs(&self, report: Report) -> Report {
        let n = self.names.len();
        if n == 1 || self.given.iter().any(Result::is_err) {
            return report;
        }
        let named = |right: bool| -> Vec<_> {
            let like = |k: &usize| self.is_everywhere(*k, *k) == right;
            (0..n).filter(like).map(|k| self.names[k]).collect()
        };
        let said = |names: &[&str], what: &str| match names {
            [] => String::new(),
            [one] => format!("{one} is {what}"),
            [all @ .., last] => {
                format!("{} and {last} are {what}", all.join(", "))
            }
        };
        let (wrong, right) = (named(false), named(true));
        let mut all = [said(&wrong, "wrong"), said(&right, "right")].to_vec();
        all.retain(|text| !text.is_empty());
        report.of_outputs(all.join(", "))
    }
}

/// What to say of an answer that is right once and wrong the next time.
pub(super) const KEPT: &str = "the result hangs on earlier calls: nothing may \
    be kept from one call to the next";

/// The same to rounding, and not a number in the same places.
fn same(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    let alike = |(a, b): (&f64, &f64)| {
        a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * a.abs()
    };
    a.shape() == b.shape() && a.iter().zip(b).all(alike)
}
