//! The tasks of "The multilayer perceptron".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "predict_zeros",
        kind: Kind::Predict,
        points: 1,
        title: "predict which of five gradients are exactly zero",
        section: "#an-inactive-unit",
        items: &["ZEROS"],
        hints: [
            "If you move this parameter a little, does the loss move?",
            "An inactive unit gives 0, and goes on giving 0 when its sum \
             moves a little; an input that is 0 can be moved. Which two \
             factors does each gradient have?",
            "BP2 multiplies by the slope, BP3 by the value below, BP4 by \
             neither. A variable's own value is no factor of its gradient.",
        ],
    },
    Task {
        name: "errors",
        kind: Kind::Build,
        points: 2,
        title: "write BP1 and BP2: the error at the output, and below",
        section: "#bp2",
        items: &["bp1", "bp2"],
        hints: [
            "What does a unit's sum z move first, and through what does \
             that move the loss?",
            "BP1: one unit, one output, so no sum. BP2: a unit reaches \
             every unit of the layer above, each with its own weight.",
            "BP1 is dy times the slope at z. BP2 first carries the errors \
             back through the transposed weight, then multiplies by the \
             slope at z.",
        ],
    },
    Task {
        name: "two_layers",
        kind: Kind::Vary,
        points: 2,
        title: "a batch through two layers and back, every shape right",
        section: "#where-the-mean-goes",
        items: &["two_layers"],
        hints: [
            "Write the shape of each array beside its name. Which of them \
             has B in it, and where does B go?",
            "The loss is a sum over the outputs and a mean over the \
             examples, and it has no half: what is its derivative with \
             respect to one entry of y?",
            "dy = 2(y - t)/B, then BP3 and BP4 with a, BP2 through w2 and \
             the mask of z, BP3 and BP4 with x. None of them divides \
             again.",
        ],
    },
    Task {
        name: "backward",
        kind: Kind::Build,
        points: 3,
        title: "write the whole backward pass of a network",
        section: "#the-code",
        items: &["backward"],
        hints: [
            "In which order do the errors become known?",
            "BP1 once at the top; then, going down, BP3 and BP4 at each \
             layer and BP2 to get to the next. Which layer's weight does \
             BP2 read, and at which layer's sum is the slope taken?",
            "From layer l to l-1: delta·w[l]ᵀ, times the slope of layer \
             l-1 at sums[l-1]. At the end, turn the list round.",
        ],
    },
    Task {
        name: "tied_vjp",
        kind: Kind::Vary,
        points: 2,
        title: "one weight in two layers: y = tanh(x·w)·wᵀ",
        section: "#bp3-and-bp4",
        items: &["tied_vjp"],
        hints: [
            "If w moves a little, in which two places does that show?",
            "Treat the two uses as two weights, w and v = wᵀ, and write \
             BP3 for each. What shape does dv have?",
            "delta = (dy·w) times the slope; dw is xᵀ·delta from the \
             first use plus the transpose of aᵀ·dy from the second.",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the planted bug, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "Which entries are wrong, and what have they in common: is it \
             the sign of z, or another sign?",
            "Compare where zeros stand in got and in expected, with the \
             signs of z.",
            "Whether a unit lets the error through was decided in the \
             forward pass, by its own sum. The table under \"What goes \
             wrong\" in the chapter has the name.",
        ],
    },
    Task {
        name: "cached",
        kind: Kind::Measure,
        points: 2,
        title: "count the numbers that the forward keeps",
        section: "#what-is-kept",
        items: &["cached"],
        hints: [
            "Which array does BP3 read for the first layer?",
            "BP3 reads a⁰ to a^(L-1); the slopes are taken at z¹ to z^L. \
             All of them have one row per example.",
            "B·(n₀ + … + n_(L-1)), and with the sums B·(n₁ + … + n_L) \
             more.",
        ],
    },
    Task {
        name: "descend",
        kind: Kind::Run,
        points: 2,
        title: "train the worked example by hand: 0.0288 to 1.3086e-7",
        section: "#by-hand",
        items: &["descend"],
        hints: [
            "Which values have to be known before the first parameter \
             may change?",
            "z, a, y, then y - t, then the error of the hidden layer: \
             with the weight that the forward used.",
            "delta = (y - t)·w2 where z > 0; then w2 -= rate·(y - t)·a, \
             b2 -= rate·(y - t), b1 -= rate·delta, \
             w1[i][j] -= rate·x[i]·delta[j].",
        ],
    },
];
