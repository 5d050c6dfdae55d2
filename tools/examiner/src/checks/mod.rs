//! One function per task: the learner's function and a seed give a verdict.

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
