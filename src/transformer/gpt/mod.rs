//! A language model.                             book: transformer/gpt
//!
//! It is nothing but its parts, so there is no second version of it in plain
//! ndarray: start at [`model`].

pub mod model;
