pub mod chain_rule;
pub mod modes;
