//! Training runs worth watching.
