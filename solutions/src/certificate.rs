//! The certificate: stubs are not attempted, right answers pass, and every
//! known-wrong twin is rejected under its own name.

use examiner::submission::Claim;
use examiner::{Evidence, Exercise, Verdict, catalogue, exercise};
use std::collections::HashSet;
use std::fmt;

/// What was found for one exercise, over all seeds.
#[derive(Debug, Default)]
pub struct Row {
    /// `network/linear`.
    pub slug: &'static str,
    /// Tasks of the exercise.
    pub tasks: usize,
    /// Right answers written differently.
    pub alternatives: usize,
    /// Known-wrong twins.
    pub twins: usize,
    /// Twins rejected on every seed.
    pub rejected: usize,
    /// Twins rejected under their own name, and no other, on every seed.
    pub named: usize,
    /// Those whose name did not need a prediction of the mistake's values.
    pub without_predictions: usize,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

/// Judges every submission of every exercise on seeds `0..seeds`.
pub fn run(seeds: u64) -> Vec<Row> {
    crate::all()
        .into_iter()
        .map(|(slug, all)| {
            let known = exercise::find(slug).expect("an exercise of the book");
            let mut row = row(known, &all, seeds);
            row.faults.extend(missing(known, &all));
            row
        })
        .collect()
}

fn row(
    exercise: &'static Exercise,
    all: &[examiner::submission::Submission],
    seeds: u64,
) -> Row {
    let mut row = Row {
        slug: exercise.slug,
        tasks: exercise.tasks.len(),
        ..Row::default()
    };
    for s in all {
        let verdicts: Vec<_> = (0..seeds).map(|seed| (s.judge)(seed)).collect();
        let count = |ok: &dyn Fn(&Verdict) -> bool| {
            verdicts.iter().filter(|v| ok(v)).count() == verdicts.len()
        };
        let passed = count(&|v| matches!(v, Verdict::Passed { .. }));
        let as_claimed = match s.claim {
            Claim::Stub => count(&|v| *v == Verdict::NotAttempted),
            Claim::Answer => passed,
            Claim::Alternative(_) => {
                row.alternatives += 1;
                passed
            }
            Claim::Twin(code) => {
                let named = count(&|v| v.named() == Some(code));
                row.twins += 1;
                row.rejected +=
                    usize::from(count(&|v| matches!(v, Verdict::Failed(_))));
                row.named += usize::from(named);
                row.without_predictions +=
                    usize::from(named && count(&|v| !predicted(v)));
                named
            }
        };
        if !as_claimed {
            let seed = verdicts.iter().position(|v| !claimed(s.claim, v));
            let seed = seed.expect("one of them is not as claimed");
            row.faults.push(format!(
                "{}/{s:?}: on seed {seed}\n{}",
                exercise.slug,
                describe(&verdicts[seed])
            ));
        }
    }
    row
}

fn claimed(claim: Claim, v: &Verdict) -> bool {
    match claim {
        Claim::Stub => *v == Verdict::NotAttempted,
        Claim::Answer | Claim::Alternative(_) => {
            matches!(v, Verdict::Passed { .. })
        }
        Claim::Twin(code) => v.named() == Some(code),
    }
}

fn predicted(v: &Verdict) -> bool {
    matches!(v, Verdict::Failed(r) if r.evidence == Some(Evidence::Prediction))
}

fn describe(v: &Verdict) -> String {
    match v {
        Verdict::Failed(report) => report.to_string(),
        other => format!("  {other:?}"),
    }
}

/// Tasks without an answer, or built without enough alternatives.
fn missing(
    exercise: &Exercise,
    all: &[examiner::submission::Submission],
) -> Vec<String> {
    let mut faults = Vec::new();
    for task in exercise.tasks {
        let of = |claim: &dyn Fn(Claim) -> bool| {
            all.iter()
                .filter(|s| s.task == task.name && claim(s.claim))
                .count()
        };
        let mut demand = |ok: bool, what: &str| {
            if !ok {
                faults.push(format!("{}/{}: {what}", exercise.slug, task.name));
            }
        };
        demand(of(&|c| c == Claim::Answer) == 1, "has no answer");
        demand(of(&|c| c == Claim::Stub) == 1, "has no stub");
        demand(of(&|c| matches!(c, Claim::Twin(_))) > 0, "has no twin");
        if task.kind == examiner::Kind::Build {
            let others = of(&|c| matches!(c, Claim::Alternative(_)));
            demand(others >= 2, "has fewer than two alternatives");
        }
    }
    faults
}

/// Codes of the catalogue that no twin has.
pub fn codes_without_twin() -> Vec<&'static str> {
    let mut used = HashSet::new();
    for (_, all) in crate::all() {
        for s in all {
            if let Claim::Twin(code) = s.claim {
                used.insert(code);
            }
        }
    }
    let codes = catalogue::MISTAKES.iter().map(|m| m.code);
    codes.filter(|c| !used.contains(c)).collect()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<32} {:>5} {:>12} {:>5} {:>8} {:>5} {:>19}",
            self.slug,
            self.tasks,
            self.alternatives,
            self.twins,
            self.rejected,
            self.named,
            self.without_predictions
        )
    }
}

/// The head of the table that the rows' `Display` fills.
pub const HEAD: &str = "exercise                         tasks alternatives \
                        twins rejected named without predictions";
