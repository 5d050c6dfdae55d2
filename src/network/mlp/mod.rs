//! The multilayer perceptron.                            book: network/mlp
//!
//! [`model`] is the network as it is trained: written once over
//! [`crate::device::Device`].

pub mod model;
