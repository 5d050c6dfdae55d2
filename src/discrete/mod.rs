//! Part VI, chance and jumps: gradients where there are none.

pub mod straight_through;
