//! Part VI, Time: networks that read one step after another.

pub mod bptt;
