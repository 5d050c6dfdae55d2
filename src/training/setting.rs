//! Ranges of settings.

use super::Error;
use std::fmt::Display;

/// `value` is `range`, or an error that says so.
pub(super) fn range(
    setting: &'static str,
    value: impl Display,
    ok: bool,
    range: &str,
) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    let what = format!("{value} is not {range}. Choose another value.");
    Err(Error::Setting { setting, what })
}

pub(super) fn at_least_one(
    setting: &'static str,
    value: u64,
) -> Result<(), Error> {
    range(setting, value, value >= 1, "at least 1")
}

pub(super) fn share(setting: &'static str, v: f64) -> Result<(), Error> {
    range(setting, v, (0. ..1.).contains(&v), "in [0, 1)")
}

pub(super) fn size(setting: &'static str, v: f64) -> Result<(), Error> {
    range(setting, v, v >= 0. && v.is_finite(), "a number ≥ 0")
}

pub(super) fn positive(setting: &'static str, v: f64) -> Result<(), Error> {
    range(setting, v, v > 0. && v.is_finite(), "a number > 0")
}
