//! Part III, Depth: what lets a gradient pass through many layers.

pub mod normalization;
pub mod residual;
