//! Part I, Calculus.

pub mod chain_rule;
pub mod modes;
