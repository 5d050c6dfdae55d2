//! Transformers: what their chapters show.
pub mod attention;
pub mod lora;
