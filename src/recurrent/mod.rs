//! Part VI, Time and chance: networks in time.

pub mod bptt;
