//! The learning rate over time.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same all along.
    Constant,
    /// Half a cosine, from the full rate at the start to 0 at the end.
    Cosine,
    /// Multiplied by `factor` every `steps` steps.
    Step {
        /// Steps between two changes.
        steps: u64,
        /// The factor of each change.
        factor: f64,
    },
}

impl Schedule {
    /// The factor on the learning rate in step `step` (from 0) of `total`.
    ///
    /// ```
    /// use backprop::training::schedule::Schedule;
    /// assert_eq!(Schedule::Cosine.factor(0, 10), 1.);
    /// assert_eq!(Schedule::Cosine.factor(5, 10), 0.5);
    /// let halved = Schedule::Step { steps: 4, factor: 0.5 };
    /// assert_eq!(halved.factor(9, 10), 0.25);
    /// ```
    pub fn factor(self, step: u64, total: u64) -> f64 {
        match self {
            Schedule::Constant => 1.,
            Schedule::Cosine => {
                let done = step as f64 / total.max(1) as f64;
                (1. + (std::f64::consts::PI * done).cos()) / 2.
            }
            Schedule::Step { steps, factor } => {
                factor.powf((step / steps.max(1)) as f64)
            }
        }
    }
}
