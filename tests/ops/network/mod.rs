pub mod activation;
pub mod linear;
pub mod optimizer;
pub mod softmax_cross_entropy;
