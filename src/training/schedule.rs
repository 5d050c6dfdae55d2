//! The learning rate over time.

use super::Error;
use super::setting::{at_least_one, range, size};
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
    /// A straight line up to the full rate, which then stays.
    Warmup {
        /// Steps below the full rate.
        steps: u64,
    },
    /// A straight line up to the full rate, then half a cosine down to a
    /// floor: the schedule of most transformers. Adam's first steps rest on
    /// means of few gradients, and attention's on weights that mean nothing
    /// yet; small steps do little harm there.
    ///
    /// Source: Vaswani et al. 2017, section 5.3 (warm-up); Loshchilov and
    /// Hutter 2017 (cosine).
    WarmupCosine {
        /// Steps below the full rate.
        steps: u64,
        /// The factor at the end, in `[0,1]`.
        floor: f64,
    },
}

impl Schedule {
    /// Checks that the settings are in their ranges.
    pub fn check(self) -> Result<(), Error> {
        match self {
            Schedule::Step { steps, factor } => {
                at_least_one("schedule steps", steps)?;
                few(steps)?;
                size("schedule factor", factor)
            }
            Schedule::WarmupCosine { steps, floor } => {
                few(steps)?;
                let ok = (0. ..=1.).contains(&floor);
                range("schedule floor", floor, ok, "in [0, 1]")
            }
            Schedule::Warmup { steps } => few(steps),
            Schedule::Constant | Schedule::Cosine => Ok(()),
        }
    }

    /// The factor on the learning rate in step `step` (from 0) of `total`.
    ///
    /// ```
    /// use backprop::training::schedule::Schedule;
    /// assert_eq!(Schedule::Cosine.factor(0, 10), 1.);
    /// assert_eq!(Schedule::Cosine.factor(5, 10), 0.5);
    /// let halved = Schedule::Step { steps: 4, factor: 0.5 };
    /// assert_eq!(halved.factor(9, 10), 0.25);
    ///
    /// let usual = Schedule::WarmupCosine { steps: 3, floor: 0.5 };
    /// let factors = [0, 1, 2, 3, 7, 11].map(|step| usual.factor(step, 11));
    /// // a quarter more in each step, 1, half the way down, the floor
    /// assert_eq!(factors, [0.25, 0.5, 0.75, 1., 0.75, 0.5]);
    /// assert_eq!(Schedule::Warmup { steps: 3 }.factor(7, 11), 1.);
    /// ```
    pub fn factor(self, step: u64, total: u64) -> f64 {
        match self {
            Schedule::Constant => 1.,
            Schedule::Cosine => half_cosine(step, total),
            Schedule::Step { steps, factor } => {
                factor.powf((step / steps.max(1)) as f64)
            }
            Schedule::Warmup { steps } => warmup(step, steps),
            Schedule::WarmupCosine { steps, .. } if step < steps => {
                warmup(step, steps)
            }
            Schedule::WarmupCosine { steps, floor } => {
                let total = total.saturating_sub(steps);
                floor + (1. - floor) * half_cosine(step - steps, total)
            }
        }
    }
}

/// As many as a run can have.
fn few(steps: u64) -> Result<(), Error> {
    let most = u64::from(u32::MAX);
    range("schedule steps", steps, steps <= most, "below 2³²")
}

/// From `1/(steps + 1)` in step 0 to 1 in step `steps`, and 1 from then on.
fn warmup(step: u64, steps: u64) -> f64 {
    ((step as f64 + 1.) / (steps as f64 + 1.)).min(1.)
}

/// From 1 in step 0 to 0 in step `total`.
fn half_cosine(step: u64, total: u64) -> f64 {
    let done = step as f64 / total.max(1) as f64;
    (1. + (std::f64::consts::PI * done).cos()) / 2.
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of earlier runs hold these texts.
    #[test]
    fn on_disk() {
        let floor = Schedule::WarmupCosine {
            steps: 100,
            floor: 0.1,
        };
        for (schedule, text) in [
            (Schedule::Constant, r#""constant""#),
            (Schedule::Cosine, r#""cosine""#),
            (
                Schedule::Step {
                    steps: 4,
                    factor: 0.5,
                },
                r#"{"step":{"steps":4,"factor":0.5}}"#,
            ),
            (Schedule::Warmup { steps: 7 }, r#"{"warmup":{"steps":7}}"#),
            (floor, r#"{"warmupcosine":{"steps":100,"floor":0.1}}"#),
        ] {
            assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
            let back: Schedule = serde_json::from_str(text).unwrap();
            assert_eq!(back, schedule);
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let factor = 0.5;
        let floor = 0.1;
        let steps = u64::MAX;
        for schedule in [
            Schedule::Step { steps, factor },
            Schedule::Warmup { steps },
            Schedule::WarmupCosine { steps, floor },
        ] {
            let e = schedule.check().unwrap_err().to_string();
            let says = "schedule steps: 18446744073709551615 is not below 2³²";
            assert!(e.starts_with(says), "{e}");
            // and whoever does not check gets no nonsense
            assert!((0. ..=1.).contains(&schedule.factor(3, 10)));
        }
    }

    #[test]
    fn a_run_shorter_than_its_warm_up() {
        let long = Schedule::WarmupCosine {
            steps: 100,
            floor: 0.,
        };
        assert_eq!(long.factor(9, 10), 10. / 101.);
        assert_eq!(long.factor(100, 100), 1.);
        let none = Schedule::WarmupCosine {
            steps: 0,
            floor: 0.,
        };
        assert_eq!(none.factor(0, 10), 1.);
    }
}
