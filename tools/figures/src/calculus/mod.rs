//! Calculus: what its chapters show.
pub mod chain_rule;
pub mod modes;
