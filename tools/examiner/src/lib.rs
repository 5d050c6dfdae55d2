//! The examiner: no wrong answer passes, and the learner is told which
//! mistake it is.
//!
//! - [`mod@exercise`]: what an exercise and a task are; the list of all of them.
//! - [`checks`]: one function per task. It takes the learner's function (or
//!   prediction) and a seed and returns a [`Verdict`]. The same function judges
//!   stubs, answers, alternatives and known-wrong twins.
//! - [`judge`]: how a check compares values and names a mistake.
//! - [`mistakes`]: what each mistake of a task would return.
//! - [`catalogue`]: every mistake the examiner knows by name.
//! - [`memory`]: the limit on what a learner's code may hold.
//! - [`run`]: how a `#[test]` hands the learner's function to a check, alone
//!   or under the grader.

pub mod catalogue;
pub mod checks;
pub mod exercise;
pub mod judge;
pub mod memory;
pub mod mistakes;
pub mod run;
mod sample;
pub mod stub;
pub mod submission;
mod verdict;

pub use exercise::{Exercise, Kind, Task};
pub use sample::Sampler;
pub use verdict::{Evidence, Panic, Report, Verdict, attempt, direct, wrap};
