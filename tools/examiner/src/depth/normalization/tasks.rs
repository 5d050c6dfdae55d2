//! The tasks of "Normalization".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "predict_zeros",
        kind: Kind::Predict,
        points: 2,
        title: "say where no gradient comes back",
        section: "#by-projection",
        items: &["ZEROS"],
        hints: [
            "How many directions does a norm take out of a row, and how many \
             has the row?",
            "Compare g = dy ⊙ γ with the two directions that are taken out. \
             For the last two, ask what the statistics depend on.",
            "With ε = 0 dx is 0 exactly when g is a constant plus a multiple \
             of x̂; in RMSNorm, a multiple of x̂. Any two numbers are that.",
        ],
    },
    Task {
        name: "layer_norm_vjp",
        kind: Kind::Build,
        points: 3,
        title: "write the VJP of LayerNorm as a projection",
        section: "#by-projection",
        items: &["layer_norm_vjp"],
        hints: [
            "Which of the two, dy or dy ⊙ γ, arrives at x̂?",
            "Two means are needed for a row: of g, and of g ⊙ x̂. Both are \
             columns of N numbers.",
            "dx = r·(g - mean(g) - x̂·mean(g ⊙ x̂)), row by row; dγ and dβ sum \
             dy ⊙ x̂ and dy over the rows.",
        ],
    },
    Task {
        name: "rms_norm_vjp",
        kind: Kind::Build,
        points: 2,
        title: "write the VJP of RMSNorm, statistics included",
        section: "#other-axes",
        items: &["rms_norm_vjp"],
        hints: [
            "What does RMSNorm leave out of LayerNorm, and which of the two \
             directions goes with it?",
            "r comes from the mean of the squares, without a mean taken off \
             first; ε is added before the root.",
            "x̂ = x·r, g = dy ⊙ γ and dx = r·(g - x̂·mean(g ⊙ x̂)).",
        ],
    },
    Task {
        name: "batch_norm_vjp",
        kind: Kind::Vary,
        points: 4,
        title: "BatchNorm in training, then in evaluation",
        section: "#in-company",
        items: &["batch_norm_vjp", "batch_norm_eval_vjp"],
        hints: [
            "Along which axis are the means, and which numbers does γ \
             multiply there?",
            "In training, exchange rows and columns in LayerNorm. In \
             evaluation, ask whether mean and variance still move with x.",
            "Training: dx = γ·r·(dy - mean(dy) - x̂·mean(dy ⊙ x̂)) with means \
             over each column. Evaluation: dx = γ·dy/√(variance + ε).",
        ],
    },
    Task {
        name: "group_norm_vjp",
        kind: Kind::Vary,
        points: 2,
        title: "write the VJP of GroupNorm, for rows without positions",
        section: "#other-axes",
        items: &["group_norm_vjp"],
        hints: [
            "How many numbers share a mean here, and which are they?",
            "Columns 0 to D/G - 1 of a row are its first group. γ has a \
             number for each column, not for each group.",
            "For each row and each group: r·(g - mean(g) - x̂·mean(g ⊙ x̂)) \
             with means over the group; dγ and dβ sum over rows.",
        ],
    },
    Task {
        name: "running",
        kind: Kind::Vary,
        points: 2,
        title: "move the running statistics by a batch",
        section: "#in-company",
        items: &["running"],
        hints: [
            "Which of the two shares is the momentum here, that of the old \
             statistics or that of the batch?",
            "The batch normalises itself with the variance divided by B. What \
             divides the one that is kept?",
            "New = (1 - m)·old + m·batch, for the mean and for the variance, \
             the latter divided by B - 1.",
        ],
    },
    Task {
        name: "mend_batch_norm",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug in a BatchNorm, then mend it",
        section: "#what-goes-wrong",
        items: &["FIRST_BUG", "first_mended"],
        hints: [
            "Add up a column of what was got, and a column of what was \
             expected.",
            "Divide got by dy, entry by entry, in one column. What could that \
             constant be?",
            "Move one x, and the mean and the variance of its column move as \
             well. Which terms of dx say so?",
        ],
    },
    Task {
        name: "mend_layer_norm",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug in a LayerNorm, then mend it",
        section: "#what-goes-wrong",
        items: &["SECOND_BUG", "second_mended"],
        hints: [
            "Add up the row of what was got. What does that say of the \
             projection?",
            "A projection was taken. Of which vector, and of which should it \
             have been?",
            "x̂ reaches y through γ, so its cotangent is dy ⊙ γ.",
        ],
    },
];
