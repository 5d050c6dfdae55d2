//! Part IV.

pub mod attention;
pub mod lora;
