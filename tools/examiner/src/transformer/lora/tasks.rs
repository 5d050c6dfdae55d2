//! The tasks of "Low-rank adaptation".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "before_coding",
        kind: Kind::Predict,
        points: 2,
        title: "predict counts, a gradient nobody computes, starts, a scale",
        section: "#the-start",
        items: &["COUNT", "DW", "STARTS", "DOUBLED"],
        hints: [
            "How many numbers has a factor? What would W get if it were not \
             frozen? What must be true at step 0, and what at step 1? Where \
             does s come in on the way to the first change of the weight?",
            "A is (I,R), B is (R,O). A frozen weight's gradient is xᵀ·dy all \
             the same. A gradient that is 0 needs its partner to be 0. The \
             first change is s·A·(the step of B).",
            "Rank·(I + O). Row i of xᵀ·dy is x_i times dy. A start must have \
             A·B = 0, and A and B not both 0. dB has a factor s, the product \
             another; Adam's first step has a length that dB does not change.",
        ],
    },
    Task {
        name: "forward",
        kind: Kind::Build,
        points: 1,
        title: "write the adapted layer: y from x, w, a, b and α",
        section: "#two-slabs",
        items: &["forward"],
        hints: [
            "Which two paths lead from x to y?",
            "The frozen product, and beside it x·a, then ·b, then the scale.",
            "y = x·w + (α/R)·(x·a)·b, and R is the number of columns of a.",
        ],
    },
    Task {
        name: "vjp",
        kind: Kind::Build,
        points: 3,
        title: "write its VJP: dx, da, db",
        section: "#three-gradients",
        items: &["vjp"],
        hints: [
            "How many paths lead from y back to x? What arrives between the \
             two factors?",
            "dh = s·dy·bᵀ is the cotangent of h = x·a. From there on a is a \
             linear layer with input x, and b one with input h.",
            "da = xᵀ·dh, db = s·hᵀ·dy, dx = dy·wᵀ + dh·aᵀ.",
        ],
    },
    Task {
        name: "tune",
        kind: Kind::Run,
        points: 3,
        title: "train adapters, then the whole weight, and compare",
        section: "#what-a-rank-can-reach",
        items: &["tune", "tune_all"],
        hints: [
            "Which numbers may have changed after a step, and which must still \
             have the same bits?",
            "y, then the loss, then dy = (y - t)/N, then both gradients, and \
             only then both steps.",
            "a ← a - rate·da and b ← b - rate·db, both from the old a and b; w \
             stays. For the whole weight w ← w - rate·xᵀ·dy.",
        ],
    },
    Task {
        name: "counts",
        kind: Kind::Measure,
        points: 2,
        title: "count what is trained, and the FLOPs of a step",
        section: "#what-is-not-computed",
        items: &["counts"],
        hints: [
            "Which products of the whole layer's step fall away when w is \
             frozen, and which do not?",
            "x·w and dy·wᵀ remain; xᵀ·dy falls away. The adapter adds two \
             products forward and four back.",
            "R(I + O) numbers; 4·N·I·O + 6·N·R(I + O) operations.",
        ],
    },
    Task {
        name: "dora",
        kind: Kind::Vary,
        points: 4,
        title: "learn lengths and directions apart, forward and VJP",
        section: "#length-and-direction",
        items: &["dora", "dora_vjp"],
        hints: [
            "Which axis of w belongs to an output? Through what does V reach W \
             besides through its own entries?",
            "Make V, its columns' lengths n and directions u; W is u times m. \
             Back: dW, then dm and dV column by column, then dV into the \
             factors.",
            "dm = Σ_i dW·u, dV = (dW - u·dm)·m/n, da = s·dV·bᵀ, db = s·aᵀ·dV, dx \
             = dy·Wᵀ, where dW = xᵀ·dy.",
        ],
    },
    Task {
        name: "norm_constant",
        kind: Kind::Vary,
        points: 2,
        title: "the gradients of the factors, the norm declared constant",
        section: "#length-and-direction",
        items: &["norm_constant"],
        hints: [
            "If n is a number like any other, how does V reach W?",
            "Each entry of W is its entry of V times m/n, and nothing else.",
            "dV = dW·m/n, da = s·dV·bᵀ, db = s·aᵀ·dV.",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug that spoils a merged model, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "Take w off what was got, and off what was expected. How do the \
             two differences compare?",
            "Their ratio is one number for all entries. How is it made of the \
             rank?",
            "The adapters were trained with α/R. Which other scale is √R times \
             as large?",
        ],
    },
];
