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
            "The slope of the sine is taken where the sine stands: at \
             2.4² = 5.76, not at 2.4.",
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
        title: "write dx, dw, db for y = (x·w + b)²",
        section: "#flat-code",
        items: &["line_squared"],
        hints: [
            "Write the forward as three lines, z1, z2, y. Which of them \
             does each input appear in?",
            "Reverse the lines. The sum hands its gradient to both of its \
             inputs unchanged; the product hands each factor the other.",
            "dz2 = dy·2·z2, db = dz2, dw = dz2·x, dx = dz2·w.",
        ],
    },
    Task {
        name: "f_of_g",
        kind: Kind::Vary,
        points: 2,
        title: "dt for f(g(t)), f(u) = sin(u²), g(t) = e^(3t)",
        section: "#the-order-matters",
        items: &["f_of_g"],
        hints: [
            "How many steps does the chain have from t to y? Count the \
             factor 3 as a step.",
            "t, times 3, exp, square, sine: four slopes, each at what \
             arrives there.",
            "With u = e^(3t): dt = dy · cos(u²) · 2u · u · 3.",
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
            "t, square, sine, times 3, exp: the same four steps in \
             another order, so at other places.",
            "With u = sin(t²): dt = dy · e^(3u) · 3 · cos(t²) · 2t.",
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
            "What is the slope of tanh, written with tanh itself?",
            "tanh is sinh/cosh; differentiate the quotient and look for \
             tanh² in the result.",
            "The slope is 1 - tanh², and y is tanh already.",
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
