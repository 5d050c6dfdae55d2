//! The score function: gradients of what chance decides (REINFORCE).

pub mod grid;
pub mod model;
