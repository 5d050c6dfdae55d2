//! Part III.

pub mod normalization;
