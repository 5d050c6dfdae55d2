//! Part II, Networks.

pub mod linear;
