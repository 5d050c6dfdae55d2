//! Low-rank adaptation.                          book: transformer/lora

pub mod model;
