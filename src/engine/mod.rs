//! The ground floor: matrix product, rows, vector math, randomness, memory.
