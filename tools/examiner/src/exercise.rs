//! What an exercise is.

use crate::checks;

/// One exercise: one chapter, several tasks.
#[derive(Debug)]
pub struct Exercise {
    /// Part and chapter: `network/linear`.
    pub slug: &'static str,
    /// The chapter's title.
    pub title: &'static str,
    /// How long it takes a reader of the chapter, in minutes.
    pub minutes: u32,
    /// In the order in which they are meant to be solved.
    pub tasks: &'static [Task],
}

impl Exercise {
    /// The chapter's own name: `linear` of `network/linear`.
    pub fn name(&self) -> &'static str {
        self.slug.rsplit('/').next().expect("a slug is not empty")
    }

    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&'static Task> {
        self.tasks.iter().find(|t| t.name == name)
    }

    /// All points of the exercise.
    pub fn points(&self) -> u32 {
        self.tasks.iter().map(|t| t.points).sum()
    }
}

/// One task: one check, one `#[test]`.
#[derive(Debug)]
pub struct Task {
    /// The name of the test and of the check.
    pub name: &'static str,
    /// What the learner does.
    pub kind: Kind,
    /// What it counts.
    pub points: u32,
    /// One line that says what to do.
    pub title: &'static str,
    /// The chapter's heading to read again: `#the-weight-gradient`.
    pub section: &'static str,
    /// Three levels: a question, the location, the rule.
    pub hints: [&'static str; 3],
}

/// What the learner does in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Writes a shape, a sign, a number or a counter-example before coding.
    Predict,
    /// Writes the forward or VJP that the chapter derived.
    Build,
    /// Writes a near relative that the chapter did not derive.
    Vary,
    /// Names the planted bug of a backward and mends it.
    Hunt,
    /// Trains something that must learn.
    Run,
    /// Counts floats, FLOPs or bytes.
    Measure,
}

impl Kind {
    /// Lower-case name, as tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Build => "build",
            Self::Vary => "vary",
            Self::Hunt => "hunt",
            Self::Run => "run",
            Self::Measure => "measure",
        }
    }
}

/// Every exercise, in the order of the book.
pub fn all() -> &'static [&'static Exercise] {
    &[
        &checks::calculus::chain_rule::EXERCISE,
        &checks::network::linear::EXERCISE,
        &checks::network::softmax_cross_entropy::EXERCISE,
        &checks::network::mlp::EXERCISE,
    ]
}

/// The exercise of that slug or name.
pub fn find(slug: &str) -> Option<&'static Exercise> {
    all()
        .iter()
        .copied()
        .find(|e| e.slug == slug || e.name() == slug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn exercises_keep_the_rules() {
        for e in all() {
            let n = e.tasks.len();
            assert!((5..=8).contains(&n), "{}: {n} tasks", e.slug);
            let kinds: HashSet<_> = e.tasks.iter().map(|t| t.kind).collect();
            assert!(kinds.len() >= 3, "{}: {} kinds", e.slug, kinds.len());
            let names: HashSet<_> = e.tasks.iter().map(|t| t.name).collect();
            assert_eq!(names.len(), n, "{}: two tasks share a name", e.slug);
            let built = e.tasks.iter().filter(|t| t.kind == Kind::Build);
            let built: u32 = built.map(|t| t.points).sum();
            assert!(
                10 * built <= 4 * e.points(),
                "{}: build carries {built} of {} points",
                e.slug,
                e.points()
            );
            for t in e.tasks {
                assert!(t.section.starts_with('#'), "{}/{}", e.slug, t.name);
                assert!(t.hints.iter().all(|h| h.len() > 20), "{}", t.name);
            }
        }
    }
}
