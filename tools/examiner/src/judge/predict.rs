//! Exams of what is not one function: predictions, hunts, several at once.

use super::compare::NEARLY_RIGHT;
use super::{Change, Exam, Part, remarked};
use crate::Mistake;
use crate::general::{self, WRONG_BUG};
use crate::verdict::{Evidence, Report, Verdict};
use std::fmt::Debug;

/// A prediction: right, not attempted, or wrong and perhaps a known wrong one.
#[derive(Debug)]
pub struct Predict<T: 'static> {
    /// What is asked.
    pub question: &'static str,
    /// The right answer; it is never shown.
    pub right: T,
    /// Wrong answers that have a name.
    pub wrong: &'static [(T, &'static Mistake)],
    /// Shown after a right answer.
    pub why: &'static str,
}

impl<T> Exam for Predict<T>
where
    T: Copy + PartialEq + Debug + Send + Sync + 'static,
{
    type Answer = Option<T>;

    fn judge_changed(
        &self,
        answer: Option<T>,
        _seed: u64,
        _change: Option<&Change>,
    ) -> Verdict {
        predict(self.question, answer, self.right, self.wrong, self.why)
    }
}

/// One prediction of several.
pub fn predict<T: PartialEq + Debug>(
    question: &str,
    answer: Option<T>,
    right: T,
    known_wrong: &[(T, &'static Mistake)],
    why: &str,
) -> Verdict {
    match answer {
        None => Verdict::NotAttempted,
        Some(a) if a == right => Verdict::Passed {
            note: why.to_owned(),
        },
        Some(a) => {
            let report = Report::new(question, format!("{a:?}"), "")
                .remark("predict again before you compute it");
            let known = known_wrong.iter().filter(|(w, _)| *w == a);
            Verdict::Failed(
                report.names(known.map(|(_, m)| *m), Evidence::Choice),
            )
        }
    }
}

/// A hunt: the learner names the planted bug by its code; then the mended
/// function is judged.
pub struct Hunt<F: 'static> {
    /// The bug.
    pub planted: &'static Mistake,
    /// The names that the chapter has.
    pub among: &'static [&'static Mistake],
    /// Judges the mended function.
    pub mended: &'static dyn Exam<Answer = F>,
}

impl<F: Copy + Send + Sync + 'static> Exam for Hunt<F> {
    type Answer = (Option<&'static str>, F);

    fn judge_changed(
        &self,
        (bug, mended): Self::Answer,
        seed: u64,
        change: Option<&Change>,
    ) -> Verdict {
        let Some(bug) = bug.map(str::trim) else {
            return Verdict::NotAttempted;
        };
        if bug.eq_ignore_ascii_case(self.planted.code) {
            let verdict = self.mended.judge_changed(mended, seed, change);
            return remarked(verdict, "the name is right; mend the function");
        }
        let names = self.among.iter().chain(general::NAMES);
        let known = { names }.find(|m| m.code.eq_ignore_ascii_case(bug));
        let (shown, remark) = match known {
            Some(m) => (
                m.code,
                format!(
                    "that one would read: {} Does the report say that?",
                    m.sentence
                ),
            ),
            None => (bug, "no mistake of this chapter has this code.".into()),
        };
        let remark = format!(
            "{remark} The candidates are in the table of the chapter's \
             section \"What goes wrong\"."
        );
        let report = Report::new("the name you gave the bug", shown, "");
        let mut report =
            report.remark(remark).name(&WRONG_BUG, Evidence::Choice);
        // The chapter's own table, not that of the chapter that has the name.
        if let Some((page, _)) =
            { self.among }.first().and_then(|m| m.page.split_once('#'))
        {
            report.mistakes[0].page = format!("{page}#what-goes-wrong");
        }
        Verdict::Failed(report)
    }

    fn parts(&self) -> Vec<Part> {
        self.mended.parts()
    }
}

/// An answer of two functions, judged in order.
pub struct Two<A: 'static, B: 'static>(
    /// Judges the first.
    pub &'static dyn Exam<Answer = A>,
    /// Judges the second, if the first is right.
    pub &'static dyn Exam<Answer = B>,
);

impl<A, B> Exam for Two<A, B>
where
    A: Copy + Send + Sync + 'static,
    B: Copy + Send + Sync + 'static,
{
    type Answer = (A, B);

    fn judge_changed(
        &self,
        (first, second): (A, B),
        seed: u64,
        change: Option<&Change>,
    ) -> Verdict {
        let parts = self.0.parts().len();
        let of_first = change.filter(|c| c.part < parts);
        let of_second = change.filter(|c| c.part >= parts).map(|c| Change {
            part: c.part - parts,
            how: c.how,
        });
        match self.0.judge_changed(first, seed, of_first) {
            Verdict::Passed { .. } => {
                self.1.judge_changed(second, seed, of_second.as_ref())
            }
            other => other,
        }
    }

    fn parts(&self) -> Vec<Part> {
        self.0.parts().into_iter().chain(self.1.parts()).collect()
    }
}

/// An answer that passes one exam takes another: extreme inputs, a long run.
pub struct Then<A: 'static> {
    /// The first exam.
    pub first: &'static dyn Exam<Answer = A>,
    /// The second one.
    pub second: &'static dyn Exam<Answer = A>,
    /// Mistakes that show a little in the first exam, as if by rounding, and
    /// have their name from the second.
    pub named_later: &'static [&'static Mistake],
}

impl<A: Copy + Send + Sync + 'static> Exam for Then<A> {
    type Answer = A;

    fn judge_changed(
        &self,
        answer: A,
        seed: u64,
        change: Option<&Change>,
    ) -> Verdict {
        let second = || self.second.judge_changed(answer, seed, change);
        match self.first.judge_changed(answer, seed, change) {
            Verdict::Passed { .. } => second(),
            Verdict::Failed(report)
                if report.mistakes.is_empty()
                    && report.remark.starts_with(NEARLY_RIGHT)
                    && !self.named_later.is_empty() =>
            {
                let later = second();
                let names = self.named_later.iter();
                match { names }.any(|m| later.named() == Some(m.code)) {
                    true => later,
                    false => Verdict::Failed(report),
                }
            }
            other => other,
        }
    }

    fn parts(&self) -> Vec<Part> {
        self.first.parts()
    }
}

/// A task that is a plain function.
#[derive(Debug)]
pub struct Special<A>(
    /// The answer and a seed give a verdict.
    pub fn(A, u64) -> Verdict,
);

impl<A: Copy + Send + Sync + 'static> Exam for Special<A> {
    type Answer = A;

    fn judge_changed(
        &self,
        answer: A,
        seed: u64,
        _change: Option<&Change>,
    ) -> Verdict {
        (self.0)(answer, seed)
    }
}

impl<F> Debug for Hunt<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hunt")
            .field("planted", self.planted)
            .finish()
    }
}

impl<A, B> Debug for Two<A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Two")
    }
}

impl<A> Debug for Then<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Then")
    }
}
