//! Part VI, Chance and jumps: gradients where there are none.

pub mod reinforce;
