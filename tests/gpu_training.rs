//! Training on a GPU: the numbers of the CPU, the same bits again, and what is
//! left on disk when a GPU fails.

mod gpu;

gpu::tests![];
