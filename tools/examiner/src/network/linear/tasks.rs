//! The tasks of "The linear layer".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "predict_dx",
        kind: Kind::Predict,
        points: 1,
        title: "predict one row of dx for the loss Σ y",
        section: "#the-input-gradient",
        items: &["DX_ROW"],
        hints: [
            "Which outputs does the first number of an example reach, and \
             with which weights?",
            "Every cotangent is 1. Look at the rows of w, then at its \
             columns: which of the two is one input's reach?",
            "dx = dy·wᵀ, so with dy all ones each entry of a row of dx is \
             the sum of one row of w.",
        ],
    },
    Task {
        name: "forward",
        kind: Kind::Build,
        points: 1,
        title: "write the forward, its weight stored (O,I)",
        section: "#one-layer-one-batch",
        items: &["forward"],
        hints: [
            "In the sum for y_no, which index is summed away, and where is \
             it in w_oi?",
            "A product wants the summed index last on the left and first \
             on the right. ndarray adds b to every row.",
            "y is the product of x and the transpose of w, plus b.",
        ],
    },
    Task {
        name: "vjp",
        kind: Kind::Build,
        points: 4,
        title: "write the VJP: dx, dw, db from x, w, dy",
        section: "#three-gradients",
        items: &["vjp"],
        hints: [
            "Fix one entry, say w[1][0]. Which entries of y move when it \
             moves, and by how much?",
            "dw: x touches dy through the batch, so the batch is summed \
             away. dx: w touches dy through the outputs.",
            "dx = dy·wᵀ, dw = xᵀ·dy, and db adds the rows of dy.",
        ],
    },
    Task {
        name: "counter_example",
        kind: Kind::Predict,
        points: 2,
        title: "give x and dy for which the wrong x·dy fits as well",
        section: "#shapes-are-a-hint-not-a-proof",
        items: &["counter_example"],
        hints: [
            "For which shapes do x·dy and xᵀ·dy have the same shape?",
            "x has to be square. Now, when are the two products also \
             equal?",
            "Any square x that is not symmetric will do, with a dy that \
             does not hide the difference: try the identity.",
        ],
    },
    Task {
        name: "columns_vjp",
        kind: Kind::Vary,
        points: 2,
        title: "examples as columns, the weight stored (I,O)",
        section: "#the-other-convention",
        items: &["columns_vjp"],
        hints: [
            "In z = wᵀ·a + b·1ᵀ, which index of z counts the examples?",
            "Write one entry, z_on = Σ_i w_io a_in + b_o, and ask each \
             input for the entries it reaches.",
            "The batch is summed away in dw = a·dzᵀ, the outputs in \
             da = w·dz; db sums over the columns.",
        ],
    },
    Task {
        name: "low_rank_vjp",
        kind: Kind::Vary,
        points: 2,
        title: "a weight made of two thin factors, w = u·vᵀ",
        section: "#a-weight-made-of-two-factors",
        items: &["low_rank_vjp"],
        hints: [
            "It is two linear layers in a row: what is the cotangent \
             between them?",
            "Let h = x·u, so y = h·vᵀ. Write dh first, then treat each \
             product as a layer of its own.",
            "dh = dy·v; then dx = dh·uᵀ, du = xᵀ·dh, dv = dyᵀ·h.",
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
            "Two of the three gradients are right. Which one is not, and \
             by which factor?",
            "Divide the wrong gradient by the expected one, entry by \
             entry, and compare with the number of rows of x.",
            "Who divides by the batch: the layer, or the loss that \
             averages over it?",
        ],
    },
    Task {
        name: "flops",
        kind: Kind::Measure,
        points: 2,
        title: "count the FLOPs of the backward",
        section: "#what-it-costs",
        items: &["flops"],
        hints: [
            "How many multiplications and additions does one entry of a \
             matrix product take?",
            "A product (n,k)(k,m) counts 2nkm. The backward has two \
             products and one sum; the first layer of a network needs \
             one product less.",
            "dw: 2·B·I·O. dx, if needed: 2·B·O·I. db: B·O additions.",
        ],
    },
];
