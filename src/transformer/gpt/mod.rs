//! A language model.                             book: transformer/gpt

pub mod model;
