//! Chance and jumps: what its chapters show.
pub mod reinforce;
pub mod straight_through;
