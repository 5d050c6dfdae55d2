//! Transformers: embeddings, attention, the block, the language model.
pub mod attention;
pub mod block;
pub mod gpt;
pub mod lora;
