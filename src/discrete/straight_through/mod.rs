//! Straight-through estimators.             book: discrete/straight_through

pub mod model;
pub mod quantised;
