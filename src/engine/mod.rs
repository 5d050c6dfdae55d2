//! The ground floor: fast building blocks that know no derivative.
//!
//! Everything above (the chapters' fused kernels, the `Cpu` backend, the
//! training loop) gets its speed from here. Nothing in here knows what an
//! operation *means*: there is a matrix product, but no linear layer.
//!
//! | module | what it gives |
//! |---|---|
//! | [`gemm`] | `C ← βC + αAB` on views of any stride, f32 and f64 |
//! | [`tile`] | products of small packed tiles, for kernels of their own |
//! | [`rows`] | loops and sums over many rows, on all cores, same bits |
//! | [`vmath`] | exp, tanh, sigmoid, erf over slices, error bounds stated |
//! | [`simd`] | how a loop gets the best vector instructions there are |
//! | [`random`] | random arrays from a seed |
//! | [`philox`] | random numbers that belong to a place, for dropout |
//! | [`meter`] | how many bytes are held, now and at most |
//! | [`fault`] | what can stop a device that is not the CPU |
//! | `gpu` | with the feature `gpu`: kernels run through wgpu, buffers kept |
//!
//! Three promises hold throughout:
//!
//! 1. **Same bits at any thread count.** Work is cut into pieces whose size
//!    depends on the shape alone, and partial sums are added in order.
//! 2. **No surprise in small sizes.** Below a grain everything is serial: a
//!    call costs what the arithmetic costs.
//! 3. **Without the feature `parallel`** (the case of WebAssembly) the same
//!    functions exist, run serially, and give the same bits.

pub mod fault;
pub mod gemm;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod meter;
pub mod philox;
pub mod random;
pub mod rows;
pub(crate) mod shape;
pub mod simd;
pub mod tile;
pub mod vmath;
