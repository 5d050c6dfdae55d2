//! Backpropagation through time.                     book: recurrent/bptt

pub mod model;
