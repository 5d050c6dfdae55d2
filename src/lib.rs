//! Backprop by Hand: every gradient of modern deep learning, derived by hand,
//! written as code, and fast enough to train real models.

pub mod backends;
pub mod calculus;
pub mod device;
pub mod engine;
pub mod network;
pub mod training;
