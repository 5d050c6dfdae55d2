//! What the certificate hands to the exams.

use crate::judge::{Change, Exam, close};
use crate::odd::{self, Odd};
use crate::{Exercise, Mistake, Verdict};
use std::cell::Cell;
use std::fmt;

/// What a submission claims to be.
#[derive(Clone, Copy)]
pub enum Claim {
    /// The freshly generated stub: must be judged not attempted.
    Stub,
    /// The answer: must pass.
    Answer,
    /// Right, written differently: must pass.
    Alternative(&'static str),
    /// The answer, its results the same in another form: must pass.
    OddRight(&'static str),
    /// Wrong: must be rejected under this name, and no other.
    Twin(&'static Mistake),
    /// The answer with one output replaced by what the exam predicts of a
    /// mistake: must be named so.
    Row(&'static str, &'static Mistake),
    /// Wrong without a name, such as the answer with one output changed: must
    /// be rejected.
    Odd(&'static str, &'static str),
    /// Wrong in two ways at once: must be rejected, and not under the name of
    /// a third.
    Unnamed(&'static str),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stub => write!(f, "the stub"),
            Self::Answer => write!(f, "the answer"),
            Self::Alternative(how) => write!(f, "\"{how}\""),
            Self::OddRight(how) => write!(f, "right, {how}"),
            Self::Twin(m) => write!(f, "twin {}", m.code),
            Self::Row(output, m) => write!(f, "{output} by {}", m.code),
            Self::Odd(output, how) => write!(f, "{output} {how}"),
            Self::Unnamed(how) => write!(f, "unnamed, {how}"),
        }
    }
}

/// How a submission was judged on a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether a change, if it is one, changed any result.
    pub changed: bool,
    /// Whether it should have.
    pub demanded: bool,
}

type Judge = Box<dyn Fn(u64) -> Outcome + Send + Sync>;

/// One answer to one task.
pub struct Submission {
    /// What it claims to be.
    pub claim: Claim,
    /// Judges it on a seed.
    pub judge: Judge,
}

/// All answers to one task: that of the book, the stub, others.
pub struct Task {
    /// The task's name.
    pub name: &'static str,
    /// What is handed in.
    pub submissions: Vec<Submission>,
}

/// All answers to one exercise.
pub struct Submissions {
    /// The exercise.
    pub exercise: &'static Exercise,
    /// Task by task.
    pub tasks: Vec<Task>,
}

impl Submissions {
    /// None yet.
    pub fn of(exercise: &'static Exercise) -> Self {
        let tasks = Vec::new();
        Self { exercise, tasks }
    }

    /// A task with its answer and its stub. What can be made of the answer is
    /// added: a submission for each row of the exam, and the odd ones.
    pub fn task<E: Exam + 'static>(
        &mut self,
        name: &'static str,
        exam: &'static E,
        answer: E::Answer,
        stub: E::Answer,
    ) -> Builder<'_, E> {
        self.tasks.push(Task {
            name,
            submissions: Vec::new(),
        });
        let task = self.tasks.last_mut().expect("just pushed");
        let builder = Builder { task, exam, answer };
        let mut builder =
            builder.add(Claim::Answer, answer).add(Claim::Stub, stub);
        builder.made_of_the_answer();
        builder
    }
}

/// Adds submissions to a task.
pub struct Builder<'a, E: Exam + 'static> {
    task: &'a mut Task,
    exam: &'static E,
    answer: E::Answer,
}

impl<E: Exam + 'static> Builder<'_, E> {
    fn push(&mut self, claim: Claim, judge: Judge) {
        self.task.submissions.push(Submission { claim, judge });
    }

    fn add(mut self, claim: Claim, answer: E::Answer) -> Self {
        let exam = self.exam;
        let judge = move |seed| Outcome {
            verdict: exam.judge(answer, seed),
            changed: true,
            demanded: true,
        };
        self.push(claim, Box::new(judge));
        self
    }

    /// A right answer, written differently.
    pub fn right(self, how: &'static str, answer: E::Answer) -> Self {
        self.add(Claim::Alternative(how), answer)
    }

    /// A wrong one, which has this name.
    pub fn wrong(self, name: &'static Mistake, answer: E::Answer) -> Self {
        self.add(Claim::Twin(name), answer)
    }

    /// A wrong one without a name, that is easily missed.
    pub fn odd(self, how: &'static str, answer: E::Answer) -> Self {
        self.add(Claim::Odd("", how), answer)
    }

    /// A wrong one with two mistakes at once.
    pub fn unnamed(self, how: &'static str, answer: E::Answer) -> Self {
        self.add(Claim::Unnamed(how), answer)
    }

    fn made_of_the_answer(&mut self) {
        for (part, of) in self.exam.parts().into_iter().enumerate() {
            for output in of.outputs {
                let rows = of.rows.iter().filter(|r| r.is_of(output));
                for row in rows.flat_map(|r| r.some_ways(6)) {
                    self.change(
                        Claim::Row(output, row.mistake),
                        (part, output),
                        Odd {
                            name: "row",
                            change: Box::new(move |i, v, _| {
                                if i.is_rare() {
                                    return v;
                                }
                                let wrong = row.value(i, output, &v);
                                // No way to make it, or no mistake here.
                                let none = wrong.iter().any(|v| v.is_nan());
                                match none || close(&wrong, &v) {
                                    true => v,
                                    false => wrong,
                                }
                            }),
                            demanded: |_, _, _| false,
                        },
                    );
                }
                for odd in odd::wrong() {
                    let claim = Claim::Odd(output, odd.name);
                    self.change(claim, (part, output), odd);
                }
                for odd in odd::right() {
                    let claim = Claim::OddRight(odd.name);
                    self.change(claim, (part, output), odd);
                }
            }
        }
    }

    /// The answer, with one output of one of its functions changed.
    fn change(
        &mut self,
        claim: Claim,
        (part, output): (usize, &'static str),
        odd: Odd,
    ) {
        let (exam, answer) = (self.exam, self.answer);
        let judge = move |seed| {
            let (changed, demanded) = (Cell::new(false), Cell::new(false));
            let calls = Cell::new(0);
            let verdict = exam.judge_changed(
                answer,
                seed,
                Some(&Change {
                    part,
                    how: &|inputs, name, value| {
                        if name != output {
                            return value;
                        }
                        let call = calls.replace(calls.get() + 1);
                        if (odd.demanded)(inputs, &value, call) {
                            demanded.set(true);
                        }
                        let other = (odd.change)(inputs, value.clone(), call);
                        if other != value {
                            changed.set(true);
                        }
                        other
                    },
                }),
            );
            Outcome {
                verdict,
                changed: changed.get(),
                demanded: demanded.get(),
            }
        };
        self.push(claim, Box::new(judge));
    }
}

impl<A, B, E> Builder<'_, E>
where
    A: Copy,
    B: Copy,
    E: Exam<Answer = (A, B)> + 'static,
{
    /// A wrong answer whose second function, or number, is right.
    pub fn wrong_first(self, name: &'static Mistake, first: A) -> Self {
        let second = self.answer.1;
        self.wrong(name, (first, second))
    }

    /// A wrong answer whose first function, or number, is right.
    pub fn wrong_second(self, name: &'static Mistake, second: B) -> Self {
        let first = self.answer.0;
        self.wrong(name, (first, second))
    }

    /// A wrong answer without a name, its second function right.
    pub fn odd_first(self, how: &'static str, first: A) -> Self {
        let second = self.answer.1;
        self.odd(how, (first, second))
    }

    /// A wrong answer without a name, its first function, or name, right.
    pub fn odd_second(self, how: &'static str, second: B) -> Self {
        let first = self.answer.0;
        self.odd(how, (first, second))
    }
}
