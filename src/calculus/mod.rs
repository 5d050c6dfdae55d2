//! Part I, Calculus: the chain rule and the tools to check it.

pub mod chain_rule;
pub mod gradcheck;
pub mod modes;
