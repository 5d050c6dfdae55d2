//! Submissions: what the certificate hands to the checks.

use crate::verdict::Verdict;

/// What a submission claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The freshly generated stub: must be judged not attempted.
    Stub,
    /// The answer: must pass.
    Answer,
    /// Right, written differently: must pass.
    Alternative(&'static str),
    /// Wrong: must be rejected with this code of the catalogue, no other.
    Twin(&'static str),
}

/// One function or prediction for one task.
pub struct Submission {
    /// The task's name.
    pub task: &'static str,
    /// What it claims to be.
    pub claim: Claim,
    /// Hands it to the task's check with a seed.
    pub judge: Box<dyn Fn(u64) -> Verdict>,
}

impl Submission {
    /// A submission for the task of that name.
    pub fn new(
        task: &'static str,
        claim: Claim,
        judge: impl Fn(u64) -> Verdict + 'static,
    ) -> Self {
        Self {
            task,
            claim,
            judge: Box::new(judge),
        }
    }
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:?}", self.task, self.claim)
    }
}

/// Submissions of one exercise: the answer and the stub, then for each task
/// the right answers written differently and the known-wrong twins.
///
/// ```ignore
/// submissions! {
///     network::linear; answer, stub;
///     forward(forward) {
///         right { "loops": (alternatives::forward_loops) }
///         wrong { BIAS_FORGOTTEN: (twins::forward_without_bias) }
///     }
/// }
/// ```
#[macro_export]
macro_rules! submissions {
    ($part:ident :: $slug:ident; $answer:ident, $stub:ident;
     $($task:ident ( $($item:ident),+ ) {
         right { $($how:literal : ( $($r:expr),+ )),* $(,)? }
         wrong { $($code:ident : ( $($w:expr),+ )),* $(,)? }
     })+) => {{
        use $crate::checks::$part::$slug as check;
        use $crate::submission::{Claim, Submission};
        let mut all = Vec::new();
        $(
            let task = stringify!($task);
            all.push(Submission::new(task, Claim::Answer, |seed| {
                check::$task($($answer::$item),+, seed)
            }));
            all.push(Submission::new(task, Claim::Stub, |seed| {
                check::$task($($stub::$item),+, seed)
            }));
            $(all.push(Submission::new(
                task,
                Claim::Alternative($how),
                |seed| check::$task($($r),+, seed),
            ));)*
            $(all.push(Submission::new(
                task,
                Claim::Twin(stringify!($code)),
                |seed| check::$task($($w),+, seed),
            ));)*
        )+
        all
    }};
}
