//! Drills: small problems for the hand, as many as one likes.
//!
//! A [`Drill`] makes a [`Problem`] of a seed: a question with small whole
//! numbers, what is right, and what each mistake of the chapter would give. A
//! wrong answer is named by the same [`Mistake`] that names it in the
//! exercises. The drawing is a pure function of the seed, of whole numbers,
//! so that a page and this machine set the same problem; what is right is
//! computed by the crate.
//!
//! A chapter's drills stand in its room, `<part>/<slug>/drill.rs`, and here
//! in the list of [`all`].

mod answer;
mod ratio;

pub use answer::{Answer, Typed};
pub use ratio::Ratio;

use crate::Mistake;
use crate::network::softmax_cross_entropy;
use crate::{calculus::chain_rule, network::linear};

/// A kind of problem.
#[derive(Debug)]
pub struct Drill {
    /// Part, chapter and its own name: `network/linear/entry`.
    pub name: &'static str,
    /// What there is to do, in one sentence.
    pub about: &'static str,
    /// The mistakes that it can name.
    pub names: &'static [&'static Mistake],
    /// The problem of a seed, the same on every machine.
    pub draw: fn(u64) -> Problem,
}

/// A question, and all that can be said about an answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Plain text, several lines, to be set in a face of fixed width.
    pub question: String,
    /// What the answer stands for: `dw[1,0]`.
    pub asked: String,
    /// What is right.
    pub truth: Answer,
    /// How one gets there, in one to four lines.
    pub worked: String,
    /// What each mistake gives here.
    pub mistakes: Vec<Slip>,
}

/// A mistake and what it gives in a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// Its name, and all that the catalogue says of it.
    pub mistake: &'static Mistake,
    /// What it gives.
    pub value: Answer,
}

/// What is said to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is right; rounded, if it is not exactly the number.
    Right {
        /// Whether digits are left out.
        rounded: bool,
    },
    /// It is wrong, and may be what a mistake gives.
    Wrong(Option<&'static Mistake>),
    /// It cannot be read, and why.
    Unread(&'static str),
}

impl Problem {
    /// What is said to this answer. What stands there exactly goes before
    /// what was rounded.
    pub fn reply(&self, typed: &str) -> Reply {
        let typed = match self.truth.read(typed) {
            Ok(typed) => typed,
            Err(why) => return Reply::Unread(why),
        };
        let slip = |fits: &dyn Fn(&Answer) -> bool| {
            let slip = self.mistakes.iter().find(|slip| fits(&slip.value));
            slip.map(|slip| slip.mistake)
        };
        if typed.is(&self.truth) {
            return Reply::Right { rounded: false };
        }
        if let Some(mistake) = slip(&|value| typed.is(value)) {
            return Reply::Wrong(Some(mistake));
        }
        if typed.rounds(&self.truth) {
            return Reply::Right { rounded: true };
        }
        Reply::Wrong(slip(&|value| typed.rounds(value)))
    }

    /// Whether every answer means one thing: no mistake gives what is right,
    /// and no two of different names give the same.
    fn is_clear(&self) -> bool {
        self.mistakes.iter().enumerate().all(|(k, slip)| {
            let others = self.mistakes[..k].iter();
            let mut others =
                others.filter(|o| o.mistake.code != slip.mistake.code);
            slip.value.is_apart(&self.truth)
                && others.all(|other| slip.value.is_apart(&other.value))
        })
    }
}

/// Collects what mistakes give; what is no fraction of a size that a hand
/// would write is left out.
#[derive(Debug, Default)]
pub(crate) struct Slips(pub Vec<Slip>);

impl Slips {
    /// This mistake gives this number.
    pub fn number(&mut self, mistake: &'static Mistake, value: f64) {
        let slip = Ratio::near(value).map(|ratio| Slip {
            mistake,
            value: Answer::Number(ratio),
        });
        let new = slip.filter(|slip| !self.0.contains(slip));
        self.0.extend(new);
    }
}

/// Draws until a problem is clear. `plan` says what kind of problem it is to
/// be, once for many tries, so that none is rarer because its numbers are
/// harder to find; `make` gives `None` where the numbers are nothing for a
/// hand.
pub(crate) fn draw<Plan>(
    seed: u64,
    plan: impl Fn(&mut Dice) -> Plan,
    make: impl Fn(&mut Dice, &Plan) -> Option<Problem>,
) -> Problem {
    let mut dice = Dice(seed);
    loop {
        let plan = plan(&mut dice);
        for _ in 0..TRIES {
            let problem = make(&mut dice, &plan).filter(Problem::is_clear);
            if let Some(problem) = problem {
                return problem;
            }
        }
    }
}

/// After so many a plan is given up: few, or no numbers fit it.
const TRIES: usize = 10_000;

/// Chance without floats: SplitMix64.
///
/// Source: G. L. Steele, D. Lea, C. H. Flood, *Fast Splittable Pseudorandom
/// Number Generators*, OOPSLA 2014.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// From `0` to `below - 1`.
    pub fn below(&mut self, below: usize) -> usize {
        ((u128::from(self.next()) * below as u128) >> 64) as usize
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())]
    }
}

/// Every drill, in the order of the book.
pub fn all() -> &'static [&'static Drill] {
    static ALL: [&Drill; 3] = [
        &chain_rule::drill::CHAIN,
        &linear::drill::ENTRY,
        &softmax_cross_entropy::drill::LOGIT,
    ];
    &ALL
}

/// The drill of that name.
pub fn find(name: &str) -> Option<&'static Drill> {
    all().iter().copied().find(|drill| drill.name == name)
}

/// A factor of a product: in brackets if it is not a plain number.
pub(crate) fn factor(ratio: Ratio) -> String {
    if ratio.numerator() < 0 || ratio.denominator() > 1 {
        format!("({ratio})")
    } else {
        ratio.to_string()
    }
}

#[cfg(test)]
mod tests;
