//! Transformers: embeddings, attention, the block, the language model.
