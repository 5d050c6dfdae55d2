//! Part I.

pub mod chain_rule;
