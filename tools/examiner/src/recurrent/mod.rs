//! Part VI, Time.

pub mod bptt;
