//! The tasks of "The score function".

use crate::{Kind, Task};

/// In the order in which they are meant to be solved.
pub const TASKS: &[Task] = &[
    Task {
        name: "before_coding",
        kind: Kind::Predict,
        points: 3,
        title: "predict a derivative, what may be subtracted, what is credited",
        section: "#the-score",
        items: &["SLOPE", "BASELINES", "CREDIT", "LOSSES", "ZERO"],
        hints: [
            "With which probability is z = 1, and what is L then? Which of the \
             five numbers would be the same for another action?",
            "E[L] is σ(θ). A reward two steps ahead counts γ². For the \
             estimators, write down the slope in ln π and what its product \
             with the score is on average.",
            "The slope of σ is σ(1 - σ), at θ = ln 3 with σ = 3/4. Whatever \
             hangs on the own draw is forbidden. k1 has the slope 1, k2 the \
             slope ln π - ln ref, k3 the slope 1 - ref/π. At ratio 1 the loss \
             is minus the mean advantage.",
        ],
    },
    Task {
        name: "bernoulli",
        kind: Kind::Build,
        points: 2,
        title: "estimate a derivative from draws, with its standard error",
        section: "#the-score",
        items: &["bernoulli"],
        hints: [
            "What is the score of one bit, for z = 1 and for z = 0?",
            "Each number of u gives a z, each z an estimate. Collect them, \
             then take their mean and their variance.",
            "z is 1 if u < σ, else 0; g = (z² - b)·(z - σ). The error is the \
             root of Σ (g - mean)² / (N - 1) / N.",
        ],
    },
    Task {
        name: "loss_vjp",
        kind: Kind::Build,
        points: 3,
        title: "write the gradient of REINFORCE's loss with a baseline",
        section: "#a-baseline",
        items: &["loss_vjp"],
        hints: [
            "How does ln π(a) move when the logit of another action rises?",
            "Make the probabilities of the rows, then each row's score, times \
             its own advantage. What shape has v, and what shape do you want?",
            "dx_n = -dloss/N · (r_n - v_n) · (e_a - π_n), with v_n = v[[n, 0]] \
             and π the softmax of x.",
        ],
    },
    Task {
        name: "advantages",
        kind: Kind::Vary,
        points: 3,
        title: "subtract what the others got; carry advantages back",
        section: "#credit",
        items: &["leave_one_out", "gae"],
        hints: [
            "How many others has a draw in its group? What begins after the \
             last step, and what after an end?",
            "The others' sum is the group's sum less the own reward. For the \
             advantages walk from the last step to the first, with the next \
             value and the carried advantage in two variables.",
            "r - (sum - r)/(G - 1). δ = r_t + γ·next - v_t; carry = δ + \
             γλ·carry; then next = v_t. Before that, where ended[t], next and \
             carry are 0. In the beginning next is the argument and carry 0.",
        ],
    },
    Task {
        name: "clipped_vjp",
        kind: Kind::Vary,
        points: 4,
        title: "write the gradient of PPO's loss with an entropy bonus",
        section: "#clip",
        items: &["clipped_vjp"],
        hints: [
            "In which of the four cases, ratio above or below, advantage \
             positive or negative, is the clipped product the smaller one?",
            "What is the slope of the ratio in ln π? And of the entropy in the \
             logits, where no action is drawn at all?",
            "Row n is dloss/N times -ρA·(e_a - π), or 0 where ρA > clip(ρ)·A, \
             plus c·π_k(ln π_k + H) in each entry k.",
        ],
    },
    Task {
        name: "divergence",
        kind: Kind::Vary,
        points: 3,
        title: "estimate the gradient of a divergence from one draw",
        section: "#divergence",
        items: &["divergence"],
        hints: [
            "Which of the three estimators may be differentiated?",
            "A number times the score of the drawn action: which number, so \
             that the mean over all actions is the gradient?",
            "(ln π(a) - ln ref(a)) · (e_a - π), with the softmax of x and the \
             log-softmax of both.",
        ],
    },
    Task {
        name: "find_the_path",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug in a loss with a baseline, then mend it",
        section: "#what-goes-wrong",
        items: &["PATH", "mended_path"],
        hints: [
            "The loss is right. What of it is a number, and what moves with x?",
            "Compare one row of what was got with the score times the \
             advantage: what was added to it?",
            "The baseline is held fixed: nothing of its own gradient belongs \
             into dx.",
        ],
    },
    Task {
        name: "find_the_credit",
        kind: Kind::Hunt,
        points: 2,
        title: "name the bug in an episode's estimate, then mend it",
        section: "#what-goes-wrong",
        items: &["CREDIT_BUG", "mended_credit"],
        hints: [
            "Which row of the report is right, and why that one?",
            "What is the decision of the last step credited with, and what \
             that of the first?",
            "Each step's score has its own return, the rewards from that step \
             on. There is no mean over the steps.",
        ],
    },
];
