//! Part VI, Chance and jumps: gradients of what has none.

pub mod straight_through;
