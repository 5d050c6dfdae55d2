//! Answers, other right answers, and known-wrong twins of every exercise; and
//! the certificate that the examiner judges all of them as it should.

pub mod calculus;
pub mod certificate;
pub mod network;

use examiner::submission::Submission;

/// The exercises, in the order of the book, with all their submissions.
pub fn all() -> Vec<(&'static str, Vec<Submission>)> {
    vec![
        ("calculus/chain_rule", calculus::chain_rule::all()),
        ("network/linear", network::linear::all()),
        (
            "network/softmax_cross_entropy",
            network::softmax_cross_entropy::all(),
        ),
        ("network/mlp", network::mlp::all()),
    ]
}
