//! Writing: one token after another.

use super::super::setting::{at_least_one, size};
use super::super::{Error, Purpose, stream};
use crate::device::Device;
use crate::transformer::gpt::model::Gpt;
use ndarray_rand::rand::Rng;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: below 1 the likely becomes likelier, 0 always
    /// takes the likeliest.
    pub temperature: f64,
    /// Only the so many likeliest tokens can be chosen.
    pub top: usize,
}

impl Sampling {
    /// Checks that the settings are in their ranges.
    pub fn check(&self) -> Result<(), Error> {
        size("temperature", self.temperature)?;
        at_least_one("top", self.top as u64)
    }

    /// The token that the uniform number `u` in `[0,1)` chooses. Of equal
    /// logits the first one counts as likelier.
    pub(super) fn choose(&self, logits: &[f64], u: f64) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        order.truncate(self.top.max(1));
        let first = order[0];
        if self.temperature == 0. {
            return first;
        }
        let weight =
            |t: &usize| ((logits[*t] - logits[first]) / self.temperature).exp();
        let mut left = u * order.iter().map(weight).sum::<f64>();
        let chosen = order.iter().find(|t| {
            left -= weight(t);
            left < 0.
        });
        *chosen.unwrap_or(&first)
    }
}

/// `n` tokens that the model writes after `prompt`, of which it sees the last
/// [`context`](crate::transformer::gpt::model::Config::context). They depend
/// on `(seed, step)` and the model alone.
///
/// What the model sees is filled up behind to a power of two, at most the
/// context: no token looks ahead, so nothing changes, and the device has to
/// keep buffers of few lengths only.
///
/// Panics if the prompt is empty or a token is not below V.
#[track_caller]
pub fn sample<D: Device>(
    dev: &D,
    model: &Gpt<D::Tensor>,
    prompt: &[usize],
    n: usize,
    sampling: Sampling,
    (seed, step): (u64, u64),
) -> Vec<usize> {
    assert!(!prompt.is_empty(), "sample: an empty prompt");
    let mut rng = stream(seed, Purpose::Sample, step);
    let (context, vocab) = (model.config.context, model.config.vocab);
    let (mut text, mut seen) = (prompt.to_vec(), Vec::new());
    for _ in 0..n {
        let t = text.len().min(context);
        seen.clear();
        seen.extend_from_slice(&text[text.len() - t..]);
        seen.resize(t.next_power_of_two().min(context), 0);
        let logits = model.predict(dev, &seen, 1);
        let logits = logits.as_slice().expect("read is row-major");
        let last = &logits[(t - 1) * vocab..t * vocab];
        text.push(sampling.choose(last, rng.random()));
    }
    text.split_off(prompt.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_chosen_by_their_share() {
        let logits = [1., 3., 3., 2.].map(f64::ln);
        let with = |temperature, top, u| {
            Sampling { temperature, top }.choose(&logits, u)
        };
        // in order of probability: 3/9, 3/9, 2/9, 1/9
        for (u, token) in [
            (0., 1),
            (0.33, 1),
            (0.34, 2),
            (0.67, 3),
            (0.9, 0),
            (0.99, 0),
        ] {
            assert_eq!(with(1., 9, u), token);
        }
        // of the top three: 3/8, 3/8, 2/8
        assert_eq!(with(1., 3, 0.99), 3);
        assert_eq!(with(1., 1, 0.99), 1);
        assert_eq!(with(0., 9, 0.99), 1);
        // squares at temperature 1/2: 9/23, 9/23, 4/23, 1/23
        assert_eq!(with(0.5, 9, 0.94), 3);
        assert_eq!(with(1e-9, 9, 0.49), 1);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (temperature, top, what) in [
            (-1., 1, "temperature: -1 is not a number ≥ 0"),
            (f64::NAN, 1, "temperature: NaN"),
            (1., 0, "top: 0 is not at least 1"),
        ] {
            let e = Sampling { temperature, top }.check().unwrap_err();
            assert!(e.to_string().starts_with(what), "{e}");
        }
    }
}
