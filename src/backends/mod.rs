//! The backends: each implements [`crate::device`] by calling the chapters.
//!
//! | backend | numbers | for |
//! |---|---|---|
//! | [`Textbook`] | f64, plain ndarray | checking a model's backward pass |
//! | [`Cpu`] | f32, the fused ops | training |
//! | `Gpu` | f32, kernels through wgpu; with the feature `gpu` | training |
//! | [`Checked`] | those of another backend | finding the op that broke a step |

mod checked;
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
mod pool;
mod textbook;

#[cfg(feature = "gpu")]
pub use crate::engine::gpu::Tensor as GpuTensor;
pub use checked::{Checked, Fault, finite};
pub use cpu::{Cpu, CpuIds, CpuTensor};
#[cfg(feature = "gpu")]
pub use gpu::{Gpu, GpuIds};
pub use textbook::Textbook;
