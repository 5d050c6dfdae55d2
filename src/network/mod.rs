//! Part II, Networks: layers, losses and the multilayer perceptron.

pub mod activation;
pub mod linear;
pub mod mlp;
pub mod optimizer;
pub mod softmax_cross_entropy;
