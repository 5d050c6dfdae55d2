//! Part IV.

pub mod attention;
