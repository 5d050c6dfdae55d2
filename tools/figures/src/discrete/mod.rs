//! Chance and jumps: what its chapters show.
pub mod straight_through;
