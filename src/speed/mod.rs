//! Speed: from the formula to the machine, one step at a time.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
