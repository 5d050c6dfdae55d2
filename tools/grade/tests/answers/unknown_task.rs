//! right: flop, other name

pub fn flop() {}
