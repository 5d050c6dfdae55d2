//! The tasks of "Attention".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "before_coding",
        kind: Kind::Predict,
        points: 2,
        title: "predict who reads what, who sees what, what is always 0",
        section: "#four-sums",
        items: &["READS", "SEEN", "TRUE"],
        hints: [
            "Do neighbours share, or do the heads take turns? Where in the \
             text do the newest two queries stand? What does a row of dS sum \
             to?",
            "Six heads and two heads of keys make groups of three. The last \
             query stands beside the last key. A bias of the keys moves all \
             scores of a row alike.",
            "Head h reads h·K/H, rounded down; query i sees the keys up to \
             i + S - T; and for the four sentences, the key bias gets the sum \
             of the rows of dS, each times its query.",
        ],
    },
    Task {
        name: "forward",
        kind: Kind::Build,
        points: 2,
        title: "write one head: y and p from q, k, v",
        section: "#one-query",
        items: &["forward"],
        hints: [
            "Which matrix has an entry for every pair of a query and a key?",
            "Scores first, then the scale, then a softmax that each query has \
             for itself, then the mixture of values.",
            "p is the softmax by rows of q·kᵀ divided by √d, d the columns of \
             q; y is p·v.",
        ],
    },
    Task {
        name: "vjp",
        kind: Kind::Build,
        points: 4,
        title: "write its VJP: dq, dk, dv from q, k, v, p, dy",
        section: "#coming-down",
        items: &["vjp"],
        hints: [
            "Read the forward pass from its last line to its first. Which two \
             things does the product p·v hand a gradient to?",
            "dv and dp from the last product, then the rows of a softmax, \
             then the scale, then the product of q and kᵀ.",
            "dv = pᵀ·dy, dp = dy·vᵀ, ds = p ⊙ (dp - ⟨p, dp⟩) row by row, dq = \
             ds·k/√d, dk = dsᵀ·q/√d. No mask is needed.",
        ],
    },
    Task {
        name: "causal",
        kind: Kind::Vary,
        points: 2,
        title: "add a causal mask, for any number of queries and keys",
        section: "#the-mask",
        items: &["causal"],
        hints: [
            "Beside which key does the last query stand, and beside which the \
             first?",
            "Query i stands beside key i + S - T. What comes after that key is \
             hidden before the softmax. What if that number is negative?",
            "Take the softmax of the scores up to key i + S - T alone, if there \
             are any, and leave zeros everywhere else.",
        ],
    },
    Task {
        name: "grouped",
        kind: Kind::Vary,
        points: 3,
        title: "several heads that share keys and values, forward and VJP",
        section: "#many-heads",
        items: &["grouped", "grouped_vjp"],
        hints: [
            "For one head, which columns of q, of kv and of y are its own?",
            "Head h reads block h·K/H, rounded down. Within a block of d + e \
             columns the keys come first. Which gradients does more than one \
             head add to?",
            "Loop over the heads: cut q, k, v, call the library's forward (and \
             vjp), assign to the columns of y and of dq, add to those of dkv.",
        ],
    },
    Task {
        name: "cross_vjp",
        kind: Kind::Vary,
        points: 3,
        title: "the VJP of cross-attention with its four projections",
        section: "#many-heads",
        items: &["cross_vjp"],
        hints: [
            "Write the five lines of the forward pass. Which of them use m?",
            "From the top: the output projection, then the head, then three \
             projections, each a linear layer without a bias.",
            "do = dy·woᵀ and dwo = oᵀ·dy; dq, dk, dv from the head; dwq = xᵀ·dq, \
             dwk = mᵀ·dk, dwv = mᵀ·dv; dx = dq·wqᵀ, dm = dk·wkᵀ + dv·wvᵀ.",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug that no gradient check sees, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "The bug is in the forward pass, and its backward pass belongs to \
             it. Are rows of the probabilities too even, or too sure?",
            "Compute one score of the report by hand. By which number has it \
             been divided?",
            "A score is a sum of d products, where d is the width of one head. \
             How wide is q?",
        ],
    },
];
