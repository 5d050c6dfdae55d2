//! The tasks of "Straight-through estimators".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "before_coding",
        kind: Kind::Predict,
        points: 3,
        title: "predict declared gradients, ties, and where a weight ends",
        section: "#the-surrogate",
        items: &["ROUNDED", "INPUT", "TIES", "SHARE", "TRUE"],
        hints: [
            "At which number is the loss evaluated, and which factors of its \
             derivative are true ones? Where would a weight have to be for \
             its average code to be right?",
            "The derivative of the square is taken at the rounded weight, the \
             factor x is an honest one, and only the rounding's own slope is \
             replaced, by 1. Summed over many steps, what the weight was \
             pushed up must equal what it was pushed down.",
            "2(round(w) - 1); 2(round(w)·x - 5)·x; halves go to the even \
             neighbour; the mean code is the target. Of the five sentences, \
             those about x + (q - x) and about the largest logit are true.",
        ],
    },
    Task {
        name: "quantise",
        kind: Kind::Build,
        points: 2,
        title: "round to a grid, and write the declared VJP",
        section: "#only-at-the-rounding",
        items: &["quantise", "quantise_vjp"],
        hints: [
            "What is a code, and which codes does the grid have?",
            "Divide by s, round, clamp, multiply by s. For the gradient look at \
             the rounded code before it is clamped.",
            "code = (w/s).round_ties_even(); the value is s·code.clamp(low, \
             high); dy passes where low <= code <= high, and s has no part in \
             the gradient.",
        ],
    },
    Task {
        name: "binary_layer",
        kind: Kind::Vary,
        points: 3,
        title: "a linear layer whose weights are signs, forward and VJP",
        section: "#one-bit",
        items: &["binary_layer", "binary_layer_vjp"],
        hints: [
            "Which weights did the inputs meet in the forward pass? Which \
             operation alone has no derivative?",
            "Write the layer in two steps, b = sign(w) and y = x·b. The second \
             has its true VJP; the first has the clipped one.",
            "dx = dy·sign(w)ᵀ and dw = (xᵀ·dy) where |w| <= 1, else 0. The sign \
             of 0 and of -0 is 1: `if w >= 0. { 1. } else { -1. }`.",
        ],
    },
    Task {
        name: "walk",
        kind: Kind::Vary,
        points: 2,
        title: "train one rounded weight towards a target",
        section: "#never-settles",
        items: &["walk"],
        hints: [
            "Which of the two weights is changed by a step, the rounded one or \
             the one that was rounded?",
            "In each step: round, note the code, take the derivative of the \
             square at the code, move the weight that is not rounded.",
            "code = w.round_ties_even(); w -= lr * 2. * (code - target).",
        ],
    },
    Task {
        name: "train",
        kind: Kind::Run,
        points: 2,
        title: "train a regression on a grid, beside rounding afterwards",
        section: "#trained-or-rounded",
        items: &["train"],
        hints: [
            "At which weights are error, loss and gradient computed, and which \
             weights move?",
            "The first loss is that of rounding w as it is. Then for each step: \
             the gradient at the rounded weights, the mask of the grid, the \
             step of the latent weights, the loss at the new rounded ones.",
            "error = x·ŵ - t; loss = Σ error²/(2N); dŵ = xᵀ·error/N; dw = dŵ \
             where the code is on the grid; w -= lr·dw; round again.",
        ],
    },
    Task {
        name: "codebook",
        kind: Kind::Build,
        points: 3,
        title: "replace rows by their nearest codes, with both pulls and VJP",
        section: "#a-codebook",
        items: &["codebook", "codebook_vjp"],
        hints: [
            "Which of the two vectors does each of the two pulls move?",
            "What comes from above goes straight to the row. The codebook's \
             term moves the code, the commitment, with β, the row. Several \
             rows may have chosen one code.",
            "dz = dq + dl·2β(z - e_k), and dl·2(e_k - z) is added to the row k \
             of de, for each row of z.",
        ],
    },
    Task {
        name: "gumbel",
        kind: Kind::Build,
        points: 3,
        title: "a soft and a hard draw, and the gradient of both",
        section: "#a-draw-that-moves",
        items: &["gumbel", "gumbel_vjp"],
        hints: [
            "Where does the noise go, and what is divided by τ?",
            "g = -ln(-ln u), added to the logits; then a softmax with a \
             temperature. The hard draw has 1 at the maximum of the soft one.",
            "dx = y ⊙ (dy - ⟨y, dy⟩)/τ for each row, with the soft y in both \
             cases.",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug in the backward of a rounded neuron, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "Which numbers of the report would you need to compute one entry \
             of dw, and which of them did the answer not use?",
            "Look at two entries of what was got. Where the code is on the \
             grid, what do they have in common?",
            "The rounding stands before the product with x, so the product's \
             derivative is a true one.",
        ],
    },
];
