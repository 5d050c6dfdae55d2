pub mod normalization;
pub mod residual;
