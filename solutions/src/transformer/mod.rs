//! Part IV, Transformers.

pub mod attention;
pub mod lora;
