//! Part I.

pub mod chain_rule;
pub mod modes;
