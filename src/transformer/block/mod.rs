//! The transformer block.                        book: transformer/block

pub mod model;
