//! Part VI, Chance and jumps: gradients where a step or a draw has none.

pub mod reinforce;
