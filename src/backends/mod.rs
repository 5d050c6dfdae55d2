//! The backends: each implements [`crate::device`] by calling the chapters.
//!
//! | backend | numbers | for |
//! |---|---|---|
//! | [`Textbook`] | f64, plain ndarray | checking a model's backward pass |
//! | [`Cpu`] | f32, the fused ops | training |
//! | [`Checked`] | those of another backend | finding the op that broke a step |

mod checked;
mod cpu;
mod pool;
mod textbook;

pub use checked::{Checked, Fault, finite};
pub use cpu::{Cpu, CpuIds, CpuTensor};
pub use textbook::Textbook;
