//! cargo demo
fn main() {}
