//! Ladders: the same result, rung by rung faster, on the GPU.

pub mod matmul;
