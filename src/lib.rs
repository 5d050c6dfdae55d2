//! Backprop by Hand.
