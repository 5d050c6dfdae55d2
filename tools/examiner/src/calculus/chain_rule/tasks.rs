//! The tasks of "The chain rule".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "sign",
        kind: Kind::Predict,
        points: 1,
        title: "predict the sign of the derivative of sin(x²) at 2.4",
        section: "#where-the-outer-derivative-is-taken",
        items: &["SIGN"],
        hints: [
            "Two local derivatives are multiplied. Which of the two can \
             be negative here?",
            "The slope of the sine is taken at what the sine receives: \
             2.4² = 5.76, not 2.4.",
            "Between 3π/2 ≈ 4.71 and 2π ≈ 6.28 the sine rises; 2x is \
             positive.",
        ],
    },
    Task {
        name: "sine_of_square",
        kind: Kind::Build,
        points: 2,
        title: "write dx for y = sin(x²)",
        section: "#upstream-times-local",
        items: &["sine_of_square"],
        hints: [
            "What arrives at the sine in the forward? Give it a name.",
            "Go from y down: first through the sine, then through the \
             square; each step multiplies what it got by its own slope.",
            "With u = x²: du = dy·cos u, then dx = du·2x.",
        ],
    },
    Task {
        name: "line_squared",
        kind: Kind::Build,
        points: 3,
        title: "write dx, dw, db for y = (b - x·w)²",
        section: "#flat-code",
        items: &["line_squared"],
        hints: [
            "Write the forward as three lines, z1, z2, y. Which of them \
             does each input appear in?",
            "Reverse the lines. What does a difference hand to the number \
             that is taken away? The product hands each factor the other.",
            "With z1 = x·w and z2 = b - z1: dz2 = dy·2·z2, db = dz2, \
             dz1 = -dz2, dw = dz1·x, dx = dz1·w.",
        ],
    },
    Task {
        name: "f_of_g",
        kind: Kind::Vary,
        points: 2,
        title: "dt for f(g(t)), f(u) = cos(u³), g(t) = ln(1 + t²)",
        section: "#the-order-matters",
        items: &["f_of_g"],
        hints: [
            "How many steps does the chain have from t to y? Adding 1 is \
             a step as well: what is its slope?",
            "t, square, plus 1, logarithm, cube, cosine: five slopes, each \
             at what arrives there, and one of them is 1.",
            "With s = 1 + t² and u = ln s: \
             dt = dy · (-sin(u³)) · 3u² · 1/s · 2t.",
        ],
    },
    Task {
        name: "g_of_f",
        kind: Kind::Vary,
        points: 2,
        title: "dt for the other order, g(f(t))",
        section: "#the-order-matters",
        items: &["g_of_f"],
        hints: [
            "Which function acts first now, and on what?",
            "t, cube, cosine, square, plus 1, logarithm: the same five \
             steps in another order, so at other places.",
            "With q = cos(t³): \
             dt = dy · 1/(1 + q²) · 2q · (-sin(t³)) · 3t².",
        ],
    },
    Task {
        name: "tanh_from_output",
        kind: Kind::Vary,
        points: 2,
        title: "dx for y = tanh(x), from the output y alone",
        section: "#the-sigmoid-from-its-own-output",
        items: &["tanh_from_output"],
        hints: [
            "y = 2σ(2x) - 1 is a chain of three steps. What is the \
             sigmoid in it, written with y?",
            "The sigmoid is s = (1 + y)/2, its slope s(1 - s), and around \
             it there are two factors of 2.",
            "4s(1 - s) with s = (1 + y)/2 is (1 + y)(1 - y).",
        ],
    },
    Task {
        name: "find_the_bug",
        kind: Kind::Hunt,
        points: 2,
        title: "name the planted bug of exp(sin x), then mend it",
        section: "#what-goes-wrong",
        items: &["BUG", "mended"],
        hints: [
            "Divide got by expected: which two exponentials have that \
             ratio at x = 0.59?",
            "One of the two factors is right. Where is the other one \
             evaluated?",
            "The slope of exp is exp at what arrives there, and sin x \
             arrives there.",
        ],
    },
    Task {
        name: "step",
        kind: Kind::Measure,
        points: 2,
        title: "find a step that is small enough for a fast function",
        section: "#is-it-right",
        items: &["H"],
        hints: [
            "By which factor does the error of a central difference fall \
             when h is halved?",
            "Try a few steps in your head or in a test: where does the \
             error stop falling with h²?",
            "The function turns three times as fast here as at t = 1; \
             between 1e-9 and 1e-7 there is room.",
        ],
    },
];
