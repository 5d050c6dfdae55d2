//! Part IV, Transformers: embeddings, attention, the block, the language model.

pub mod attention;
pub mod block;
pub mod embedding;
pub mod gpt;
pub mod lora;
