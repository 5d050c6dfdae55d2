//! The tasks of "Softmax and cross-entropy".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "before_coding",
        kind: Kind::Predict,
        points: 2,
        title: "predict signs, sum and blind spot of the gradient",
        section: "#p-minus-t",
        items: &["SIGNS", "SUM", "BLIND"],
        hints: [
            "Which probability is too large for its target, and what \
             does the loss do when all logits rise together?",
            "The signs: estimate p and compare it with t. The sum: the \
             true gradient is not p - t when t does not sum to 1. The \
             blind spot: every row has a Jacobian of its own.",
            "p - t is positive where p is above t; a shift of all \
             logits changes no probability, so the gradient always sums \
             to 0; the null space of each row's Jacobian holds the \
             vectors with all entries equal.",
        ],
    },
    Task {
        name: "vjps",
        kind: Kind::Build,
        points: 3,
        title: "write the VJPs of two relatives: the root of softmax, and its \
                logarithm",
        section: "#one-number-per-row",
        items: &["root_softmax_vjp", "log_softmax_vjp"],
        hints: [
            "Write one entry of the Jacobian's product with dy. Which \
             part of it is the same for the whole row?",
            "The root has the slope 1/(2y), and p_i = y_i², so ∂y_i/∂x_j = \
             ½·y_i(δ_ij - y_j²). Log-softmax has ∂y_i/∂x_j = δ_ij - p_j, \
             and mind that y is a logarithm. Sum over i.",
            "dx = ½·y ⊙ (dy - y·⟨y, dy⟩) and dx = dy - exp(y)·Σ dy, each \
             scalar taken per row.",
        ],
    },
    Task {
        name: "cross_entropy",
        kind: Kind::Build,
        points: 3,
        title: "write the cross-entropy of logits and its gradient, \
                right at ±10000",
        section: "#p-minus-t",
        items: &["cross_entropy", "cross_entropy_vjp"],
        hints: [
            "Which step of softmax-then-logarithm breaks first when a \
             logit is 10000? And when it is -10000?",
            "Subtract the row's largest logit before any exp, and keep \
             ln p as x - lse: never take the logarithm of a probability.",
            "loss = mean over rows of Σ t·(lse - x); the gradient is \
             (p - t)·dloss/B, with no division by p in it.",
        ],
    },
    Task {
        name: "tempered",
        kind: Kind::Vary,
        points: 3,
        title: "add a temperature and label smoothing; the temperature's \
                gradient too",
        section: "#temperature",
        items: &["tempered_vjp"],
        hints: [
            "Put z = x/tau. What is the gradient with respect to z, and \
             how does z move with x, and with tau?",
            "∂z/∂x = 1/tau and ∂z/∂tau = -x/tau². One tau serves every \
             entry of the batch.",
            "dz = (p - t)·dloss/B with smoothed t; dx = dz/tau; dtau = \
             -Σ dz ⊙ x/tau².",
        ],
    },
    Task {
        name: "binary",
        kind: Kind::Vary,
        points: 2,
        title: "two classes, one logit, and a weight for the rare class",
        section: "#p-minus-t",
        items: &["binary_loss", "binary_vjp"],
        hints: [
            "What is -ln σ(x) as a function of exp(-x)? And -ln σ(-x)?",
            "Both are softplus, ln(1 + exp(·)), which has a stable form \
             with max(·, 0). For the slope, use σ' = σ(1 - σ).",
            "The slope of w·t·softplus(-x) + (1-t)·softplus(x) is \
             (1-t)·σ(x) - w·t·σ(-x).",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug of the soft lookup, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "Add up each row of dx in the report: what should a row sum \
             to after a softmax?",
            "Cover the entries one by one: how does a class's own \
             probability answer to its logit, and how do the others?",
            "The Jacobian has no zeros: all probabilities share one \
             denominator, so every class's cotangent reaches every logit.",
        ],
    },
    Task {
        name: "find_the_floor",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug that no gradient check sees, then mend it",
        section: "#what-goes-wrong",
        items: &["FLOOR", "mended_loss"],
        hints: [
            "The gradient belongs to the loss, so look at the loss: what \
             does it say of a perfect prediction?",
            "0.9048 is the loss of the five logits 0, 0, 0, 0, 1. Where \
             would such logits come from?",
            "Count the softmaxes between the logits and the logarithm.",
        ],
    },
    Task {
        name: "work",
        kind: Kind::Measure,
        points: 1,
        title: "count what the Jacobian costs, and what the VJP costs",
        section: "#what-it-costs",
        items: &["work"],
        hints: [
            "How many Jacobians are there, and how many entries has one?",
            "A (V,V) matrix times a vector takes 2·V·V. The VJP takes \
             one product for each entry of the dot, its sum, one \
             difference and one product per entry.",
            "B·V², 2·B·V², and four passes over B·V numbers.",
        ],
    },
];
