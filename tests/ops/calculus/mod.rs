pub mod chain_rule;
