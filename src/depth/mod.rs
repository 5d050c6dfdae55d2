//! Depth: what lets a gradient pass through many layers.
