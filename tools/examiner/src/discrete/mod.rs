//! Part VI, Chance and jumps.

pub mod reinforce;
pub mod straight_through;
