pub mod reinforce;
pub mod straight_through;
