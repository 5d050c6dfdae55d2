//! The certificate: stubs are not attempted, right answers pass, and every
//! known-wrong twin is rejected under its own name.

use examiner::submission::{Claim, Outcome, Submissions, Task};
use examiner::{Evidence, Exercise, Kind, Verdict, list};
use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
    /// Answers with one output replaced by what an exam predicts of a mistake:
    /// all are named so.
    pub rows: usize,
    /// Answers changed in an odd way that shows in the task: all are rejected.
    pub odd: usize,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

/// Judges every submission of every exercise on seeds `0..seeds`, tasks in
/// parallel.
pub fn run(seeds: u64) -> Vec<Row> {
    let exercises = crate::all();
    let jobs: Vec<_> = (exercises.iter().enumerate())
        .flat_map(|(e, all)| all.tasks.iter().map(move |task| (e, task)))
        .collect();
    let (next, judged) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((e, task)) = jobs.get(next.fetch_add(1, Relaxed)) {
            let mut row = Row::default();
            row.judge(exercises[*e].exercise, task, seeds);
            judged
                .lock()
                .expect("no panic while it is held")
                .push((*e, task.name, row));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|s| (0..threads).for_each(|_| drop(s.spawn(work))));
    let mut judged = judged.into_inner().expect("all threads ended well");
    let rows = exercises.iter().enumerate().map(|(e, all)| {
        let mut row = Row {
            slug: all.exercise.slug,
            tasks: all.exercise.tasks.len(),
            ..Row::default()
        };
        for task in &all.tasks {
            let of = |(of, name, _): &(usize, &str, Row)| {
                *of == e && *name == task.name
            };
            let at = judged.iter().position(of).expect("all were judged");
            row.add(judged.swap_remove(at).2);
        }
        row.faults.extend(missing(all.exercise, all));
        row
    });
    rows.collect()
}

impl Row {
    fn add(&mut self, task: Row) {
        self.alternatives += task.alternatives;
        self.twins += task.twins;
        self.rejected += task.rejected;
        self.named += task.named;
        self.without_predictions += task.without_predictions;
        self.rows += task.rows;
        self.odd += task.odd;
        self.faults.extend(task.faults);
    }

    fn judge(&mut self, exercise: &Exercise, task: &Task, seeds: u64) {
        let mut all: Vec<Vec<Outcome>> = Vec::new();
        all.resize_with(task.submissions.len(), Vec::new);
        // Seed by seed: what is right is computed once for each.
        for seed in 0..seeds {
            for (s, seen) in task.submissions.iter().zip(&mut all) {
                seen.push((s.judge)(seed));
            }
        }
        for (s, seen) in task.submissions.iter().zip(&all) {
            let mut fault = |seed: usize, what: &str| {
                self.faults.push(format!(
                    "{}/{}, {}: {what} on seed {seed}\n{}",
                    exercise.slug,
                    task.name,
                    s.claim,
                    describe(&seen[seed].verdict)
                ));
            };
            if let Some(seed) = seen.iter().position(|o| !claimed(s.claim, o)) {
                fault(seed, "not as claimed");
                // What is made of the answer would only repeat it.
                if matches!(s.claim, Claim::Answer) {
                    return;
                }
            }
            let demanded = seen.iter().any(|o| o.demanded);
            let changed = seen.iter().any(|o| o.changed);
            if demanded && !changed {
                fault(0, "no case in which it shows");
            }
            let each = |ok: &dyn Fn(&Verdict) -> bool| {
                usize::from(seen.iter().all(|o| ok(&o.verdict)))
            };
            match s.claim {
                Claim::Stub | Claim::Answer | Claim::OddRight(_) => {}
                Claim::Alternative(_) => self.alternatives += 1,
                Claim::Row(..) => self.rows += usize::from(changed),
                Claim::Odd(..) | Claim::Unnamed(_) => {
                    self.odd += usize::from(changed)
                }
                Claim::Twin(m) => {
                    self.twins += 1;
                    self.rejected += each(&|v| matches!(v, Verdict::Failed(_)));
                    self.named += each(&|v| v.named() == Some(m.code));
                    self.without_predictions +=
                        each(&|v| v.named() == Some(m.code) && !predicted(v));
                }
            }
        }
    }
}

/// A change that changed nothing claims nothing.
fn claimed(claim: Claim, seen: &Outcome) -> bool {
    let v = &seen.verdict;
    let passed = matches!(v, Verdict::Passed { .. });
    match claim {
        Claim::Stub => *v == Verdict::NotAttempted,
        Claim::Answer | Claim::Alternative(_) | Claim::OddRight(_) => passed,
        Claim::Twin(m) => v.named() == Some(m.code) && known(v),
        Claim::Unnamed(_) => {
            matches!(v, Verdict::Failed(r) if r.mistakes.is_empty())
        }
        Claim::Row(_, m) => !seen.changed || v.named() == Some(m.code),
        Claim::Odd(..) => {
            !seen.changed || matches!(v, Verdict::Failed(_)) && known(v)
        }
    }
}

/// Whether every name in the report is in the catalogue.
fn known(v: &Verdict) -> bool {
    let Verdict::Failed(report) = v else {
        return true;
    };
    let in_list = |code: &str| list::mistakes().any(|m| m.code == code);
    report.mistakes.iter().all(|m| in_list(&m.code))
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

/// Tasks that are not there, or built without enough alternatives.
fn missing(exercise: &Exercise, all: &Submissions) -> Vec<String> {
    let mut faults = Vec::new();
    let names: Vec<_> = all.tasks.iter().map(|t| t.name).collect();
    let due: Vec<_> = exercise.tasks.iter().map(|t| t.name).collect();
    if names != due {
        faults.push(format!("{}: tasks {names:?}", exercise.slug));
    }
    for (task, due) in all.tasks.iter().zip(exercise.tasks) {
        let of = |claim: fn(&Claim) -> bool| {
            let claims = task.submissions.iter().map(|s| &s.claim);
            claims.filter(|c| claim(c)).count()
        };
        let mut demand = |ok: bool, what: &str| {
            if !ok {
                faults.push(format!("{}/{}: {what}", exercise.slug, task.name));
            }
        };
        demand(of(|c| matches!(c, Claim::Twin(_))) > 0, "has no twin");
        if due.kind == Kind::Build {
            let others = of(|c| matches!(c, Claim::Alternative(_)));
            demand(others >= 2, "has fewer than two alternatives");
        }
    }
    faults
}

/// Names of the catalogue that no twin has.
pub fn names_without_twin() -> Vec<&'static str> {
    let mut used = HashSet::new();
    for all in crate::all() {
        for s in all.tasks.iter().flat_map(|t| &t.submissions) {
            if let Claim::Twin(m) = s.claim {
                used.insert(m.code);
            }
        }
    }
    let codes = list::mistakes().map(|m| m.code);
    codes.filter(|c| !used.contains(c)).collect()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<32} {:>5} {:>12} {:>5} {:>8} {:>5} {:>19} {:>5} {:>5}",
            self.slug,
            self.tasks,
            self.alternatives,
            self.twins,
            self.rejected,
            self.named,
            self.without_predictions,
            self.rows,
            self.odd
        )
    }
}

/// The head of the table that the rows' `Display` fills.
pub const HEAD: &str = "exercise                         tasks alternatives \
                        twins rejected named without predictions  rows   odd";
