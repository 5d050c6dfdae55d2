//! Part III, Depth.

pub mod normalization;
