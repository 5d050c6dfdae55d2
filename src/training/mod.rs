//! Training: data, batches, the loop, metrics, checkpoints.
