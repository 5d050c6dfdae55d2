//! Memory and scale: the same gradients with less memory.
