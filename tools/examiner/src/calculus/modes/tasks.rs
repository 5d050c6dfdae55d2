//! The tasks of "Forward and reverse mode".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "cheaper",
        kind: Kind::Predict,
        points: 1,
        title: "predict for four questions whether reverse mode is cheaper",
        section: "#what-a-pass-costs",
        items: &["REVERSE_IS_CHEAPER"],
        hints: [
            "How many numbers go in, how many come out, and how many of the \
             slopes between them are asked for?",
            "A forward pass answers for one direction of the inputs, a \
             backward pass for one output.",
            "Compare the passes: n, or the number of directions asked for, \
             against m.",
        ],
    },
    Task {
        name: "dual",
        kind: Kind::Build,
        points: 4,
        title: "write product and quotient of dual numbers",
        section: "#dual-numbers",
        items: &["product", "quotient"],
        hints: [
            "Multiply (a + bε)(c + dε) out. Which terms have ε once, and \
             which has it twice?",
            "For the quotient, begin with y·b = a and write the slope of \
             both sides.",
            "The slope of a·b is a.slope·b.value + a.value·b.slope; that of \
             y = a/b is (a.slope - y·b.slope)/b.value.",
        ],
    },
    Task {
        name: "power_and_angle",
        kind: Kind::Vary,
        points: 3,
        title: "write a power that is right at 0, and the angle of a point",
        section: "#programs",
        items: &["power", "angle"],
        hints: [
            "What is the slope of x⁰ at 0, and what does n·xⁿ⁻¹ make of it? \
             Along which direction does the angle of a point not move?",
            "The exponent is a constant: nothing needs a logarithm. For the \
             angle, differentiate y/x, then use 1/(1 + (y/x)²), and multiply \
             by x² above and below.",
            "For n = 0 return a slope of 0 before anything is multiplied. \
             The angle turns by (x·ẏ - y·ẋ)/(x² + y²).",
        ],
    },
    Task {
        name: "five_vjps",
        kind: Kind::Vary,
        points: 4,
        title: "write the VJPs of five ops that the chapter did not derive",
        section: "#a-whole-network",
        items: &[
            "root_vjp",
            "mean_vjp",
            "running_sums_vjp",
            "outer_vjp",
            "unit_vjp",
        ],
        hints: [
            "Take one entry of x. Which entries of y does it move, and by \
             how much each?",
            "Running sums: x_j is in y_j and in all sums after it. Outer \
             product: a_k is in row k of y. Unit vector: x_j moves y_j \
             directly, and every y_i through the norm.",
            "Root: dy/(2y). Mean: dy/n in every place. Running sums: the sum \
             of dy from j to the end. Outer: da = dy·b, db = dyᵀ·a. Unit: \
             (dy - y⟨y, dy⟩)/‖x‖ with y = x/‖x‖.",
        ],
    },
    Task {
        name: "jacobian",
        kind: Kind::Vary,
        points: 3,
        title: "build a whole Jacobian by the cheaper of the two modes",
        section: "#ten-pictures",
        items: &["jacobian"],
        hints: [
            "Which product of J with a vector is a column of J, and which \
             product with its transpose is a row?",
            "A seed is a vector of zeros with a single 1. Its length is n \
             for a JVP and m for a VJP.",
            "If n ≤ m, column j is the JVP of seed j; else row i is the VJP \
             of seed i. Begin every seed anew.",
        ],
    },
    Task {
        name: "is_adjoint",
        kind: Kind::Vary,
        points: 3,
        title: "write a test that tells a VJP from what is none",
        section: "#is-it-right",
        items: &["is_adjoint"],
        hints: [
            "Which two numbers must be equal if one product is that of J and \
             the other that of its transpose?",
            "Which choices of u and v cannot tell J from its transpose? \
             Which cannot see errors that add up to 0?",
            "Take uneven vectors such as sin(1.7i + 1) and cos(2.3i); \
             compare the gap with 1e-9 times the sum of the sizes of the \
             terms.",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the planted bug of x(1 - x) on dual numbers, then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "The value is right. What is the derivative of x(1 - x) on \
             paper, and which of its terms has changed?",
            "Write down the slopes of the two factors, x and 1 - x.",
            "When x rises, 1 - x falls.",
        ],
    },
    Task {
        name: "nested",
        kind: Kind::Predict,
        points: 1,
        title: "predict a derivative inside a derivative, with two ε and one",
        section: "#programs",
        items: &["NESTED"],
        hints: [
            "What is the inner derivative as a formula in x?",
            "With a single ε both x and y carry it: write out (3 + ε)(1 + ε).",
            "Right is the slope of x² at 3. With one ε the inner slope is \
             1 + 3, and the outer product then sees a constant.",
        ],
    },
];
