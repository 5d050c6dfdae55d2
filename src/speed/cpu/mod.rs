//! Ladders: the same result, rung by rung faster, on the CPU.

pub mod attention;
pub mod matmul;
pub mod softmax;
