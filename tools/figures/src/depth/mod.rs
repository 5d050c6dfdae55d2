//! Depth: what its chapters show.
pub mod normalization;
