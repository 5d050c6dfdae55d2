//! What an exercise, a task and a mistake are: types only.

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
    /// The mistakes that the chapter names.
    pub names: &'static [&'static Mistake],
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
    /// What of the learner's file is judged: a function, or a hunted name and
    /// a function.
    pub items: &'static [&'static str],
    /// Three levels: a question, the location, the rule.
    pub hints: [&'static str; 3],
}

/// A mistake with a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The name: upper case, as reports print it.
    pub code: &'static str,
    /// What was done, in one plain sentence.
    pub sentence: &'static str,
    /// The rule that mends it, without giving the code away.
    pub rule: &'static str,
    /// What a machine or a reader sees.
    pub signature: &'static str,
    /// Where the book explains it: `network/linear.md#the-bias`.
    pub page: &'static str,
}

/// The mistakes that a chapter names: a `static` for each, and `NAMES`, the
/// list of them. First comes the page that explains them; each name is
/// followed by the heading there, what was done in one plain sentence, the
/// rule that mends it (without giving the code away), and what a machine or a
/// reader sees.
#[macro_export]
macro_rules! names {
    ($page:literal; $($code:ident $heading:literal:
      $sentence:literal, $rule:literal, $signature:literal;)+) => {
        $(
            #[doc = $sentence]
            pub static $code: $crate::Mistake = $crate::Mistake {
                code: stringify!($code),
                sentence: $sentence,
                rule: $rule,
                signature: $signature,
                page: concat!($page, $heading),
            };
        )+

        /// All of them.
        pub static NAMES: &[&$crate::Mistake] = &[$(&$code),+];
    };
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
