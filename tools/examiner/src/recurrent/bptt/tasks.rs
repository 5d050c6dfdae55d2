//! The tasks of "Backpropagation through time".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "before_coding",
        kind: Kind::Predict,
        points: 3,
        title: "predict a derivative, what a cut keeps, what vanishes",
        section: "#the-double-sum",
        items: &["TOTAL", "IN_CHUNKS", "IN_WINDOWS", "ROWS", "TRUE"],
        hints: [
            "How often is w used on the way to h_3? Which steps lie in one \
             chunk with the loss, and which in its window? Where does the text \
             of a row go on?",
            "The last state hears of w three times, with the factors h_2, \
             w·h_1 and w²·h_0. A chunk of 3 begins at step 1 and at step 4; a \
             window of 3 is the loss's own step and the two before it.",
            "Each row has half of the text, 12 letters, for itself. A norm \
             below 1 bounds every step; a spectral radius below 1 bounds only \
             what comes of very many; tanh has slopes below 1; one factor \
             for all entries turns nothing.",
        ],
    },
    Task {
        name: "forward",
        kind: Kind::Build,
        points: 1,
        title: "write all states of the network",
        section: "#one-layer-many-steps",
        items: &["forward"],
        hints: [
            "What does step t need beside its own input?",
            "Keep the state in a variable; begin with h0, and write each new \
             one into the output.",
            "h = tanh(x_t·w_x + h·w_h + b), once for each step, in order.",
        ],
    },
    Task {
        name: "vjp",
        kind: Kind::Build,
        points: 4,
        title: "write its VJP, with a cotangent for every state",
        section: "#one-step-back",
        items: &["vjp"],
        hints: [
            "Along which two paths does a state reach the loss?",
            "Walk from the last step to the first. What the step after hands \
             back is added to dh[t] before the slope is multiplied in. Which \
             gradients are sums over the steps?",
            "delta = (dh_t + carry) ⊙ (1 - h_t²); dx_t = delta·w_xᵀ; add \
             x_tᵀ·delta to dw_x, h_{t-1}ᵀ·delta to dw_h, the rows of delta to \
             db; carry = delta·w_hᵀ, which is dh0 in the end.",
        ],
    },
    Task {
        name: "chunked",
        kind: Kind::Vary,
        points: 3,
        title: "truncate in chunks, the state carried and cut",
        section: "#two-ways-to-cut",
        items: &["chunked"],
        hints: [
            "From which state does the second chunk begin, and what comes back \
             to that state?",
            "The forward pass is the same as without chunks. Backward, each \
             chunk is a small network of its own, and what it gives its first \
             state goes nowhere, but for the first chunk.",
            "For each chunk take the slices of x, h and dh and the state \
             before it, call the library's vjp, assign its dx to the slice and \
             add the gradients of w_x, w_h and b; dh0 is the first chunk's.",
        ],
    },
    Task {
        name: "both_ways",
        kind: Kind::Vary,
        points: 3,
        title: "read a text from both ends, forward and VJP",
        section: "#one-step-back",
        items: &["both_ways", "both_ways_vjp"],
        hints: [
            "Which state of the reading from the end belongs to the first \
             step of the text?",
            "Turn x round, read it, turn the states round. Backward the same: \
             a reversal is undone by a reversal.",
            "Call the library's vjp twice: with x, h and dy, and with \
             everything turned round; turn the second dx round, then add each \
             gradient to its partner.",
        ],
    },
    Task {
        name: "clipped_step",
        kind: Kind::Vary,
        points: 2,
        title: "clip two gradients by their global norm and take a step",
        section: "#too-large",
        items: &["clipped_step"],
        hints: [
            "Which numbers does the norm count, and when is nothing clipped?",
            "One factor for both gradients, never above 1, and in time for the \
             step.",
            "The norm is the root of all squares of dw and db together; the \
             factor most/norm if the norm is above most, else 1; then w - \
             lr·factor·dw, and b likewise.",
        ],
    },
    Task {
        name: "steps_back",
        kind: Kind::Measure,
        points: 1,
        title: "count the steps that the two truncations walk back",
        section: "#two-ways-to-cut",
        items: &["steps_back"],
        hints: [
            "How many chunks walk over a given step, and how many windows?",
            "Chunks are disjoint. A window has k steps, but for those of the \
             first losses, which have fewer steps behind them.",
            "Chunks: t. Windows: the sum over all losses s = 1, …, t of the \
             smaller of s and k, written without a loop.",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug in a backward of another recurrence, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "Which of the three gradients are right, and what does that say \
             of the loop's cotangent?",
            "Compute one entry of dw from the report: which state stands \
             beside which cotangent in it?",
            "dw multiplies the cotangent of step t with a state. Did w meet \
             that state at step t?",
        ],
    },
];
