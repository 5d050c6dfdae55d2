//! What each mistake of a task would return: the predictions behind names.

pub mod calculus {
    //! Part I.
    pub mod chain_rule;
}

pub mod network {
    //! Part II.
    pub mod linear;
    pub mod mlp;
    pub mod softmax_cross_entropy;
}
