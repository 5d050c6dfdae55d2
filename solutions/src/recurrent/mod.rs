//! Part VI.

pub mod bptt;
