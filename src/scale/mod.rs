//! Part V, Memory and scale: the same gradients with less memory.

pub mod flash_attention;
