//! Part II.

pub mod linear;
pub mod mlp;
pub mod softmax_cross_entropy;
