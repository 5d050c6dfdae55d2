//! Part II, Networks.

pub mod linear;
pub mod mlp;
