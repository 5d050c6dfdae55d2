//! Part VI, chance and jumps.

pub mod straight_through;
