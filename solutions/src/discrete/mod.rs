//! Part VI, Chance and jumps.

pub mod reinforce;
