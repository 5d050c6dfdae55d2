//! Part II, Networks.

pub mod linear;
pub mod mlp;
pub mod softmax_cross_entropy;
