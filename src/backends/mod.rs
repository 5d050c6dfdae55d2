//! The backends: each implements [`crate::device`] by calling the chapters.
//!
//! | backend | numbers | for |
//! |---|---|---|
//! | [`Textbook`] | f64, plain ndarray | checking a model's backward pass |
//! | [`Cpu`] | f32, the fused ops | training |

mod cpu;
mod pool;
mod textbook;

pub use cpu::{Cpu, CpuIds, CpuTensor};
pub use textbook::Textbook;
