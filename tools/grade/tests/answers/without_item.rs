//! right: flops, other function

pub fn forward() {}
