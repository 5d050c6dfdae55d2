//! Part IV, Transformers.

pub mod attention;
