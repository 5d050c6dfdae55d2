//! The examiner: no wrong answer passes, and the learner is told which
//! mistake it is.
//!
//! - [`mod@exercise`]: what an exercise, a task and a mistake are.
//! - [`judge`]: how an answer is compared with what is right, and how a
//!   mistake is named.
//! - [`mod@arrays`]: the numbers of a failing case, for a picture.
//! - [`general`]: the mistakes that belong to no chapter.
//! - [`calculus`], [`network`], [`depth`], [`transformer`]: one room a chapter.
//!   `tasks.rs` says what is asked, `mistakes.rs` what can go wrong and what it
//!   would return, `mod.rs` holds one exam per task. The same exam judges
//!   stubs, answers, alternatives and known-wrong twins.
//! - [`drill`]: problems for the hand, whose wrong answers have the same names.
//! - [`list`]: all exercises and all mistakes.
//! - [`submission`]: what the certificate hands to the exams.
//! - [`run`]: how a `#[test]` hands the learner's function to an exam, alone
//!   or under the grader; [`memory`]: the limit on what it may hold.

pub mod arrays;
pub mod calculus;
pub mod depth;
pub mod discrete;
pub mod drill;
pub mod exercise;
pub mod general;
pub mod judge;
pub mod list;
pub mod memory;
pub mod network;
mod odd;
pub mod recurrent;
pub mod run;
mod sample;
pub mod stub;
pub mod submission;
pub mod transformer;
mod verdict;

pub use exercise::{Exercise, Kind, Mistake, Task};
pub use sample::Sampler;
pub use verdict::{
    Evidence, Named, Panic, Report, Verdict, attempt, direct, wrap,
};
