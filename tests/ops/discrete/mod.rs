pub mod straight_through;
