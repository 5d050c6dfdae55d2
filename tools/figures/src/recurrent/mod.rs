//! Time: what its chapters show.
pub mod bptt;
