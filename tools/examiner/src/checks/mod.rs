//! One function per task: the learner's function and a seed give a verdict.

pub mod network {
    //! Part II.
    pub mod linear;
}
