//! Part II, Networks: layers, losses and the multilayer perceptron.

pub mod linear;
