//! The network: what its chapters show.
pub mod linear;
pub mod mlp;
pub mod softmax_cross_entropy;
