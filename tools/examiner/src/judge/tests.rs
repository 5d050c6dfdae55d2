//! What the mould has to hold beside backwards and losses.

use super::*;
use crate::general::UPSTREAM_IGNORED;
use crate::{Evidence, arrays};
use ndarray::{ArrayView2, array};
use std::cell::Cell;

crate::names! { "calculus/nowhere.md";
    ONE_STEP_LATE "#here": "Each state is that of the step before.",
        "The state of a step is made of the state before it.",
        "the right sequence, shifted";
    FIRST_ARM_ONLY "#here": "Only one of two outcomes is counted.",
        "An expectation is a sum over all outcomes.",
        "right where the other outcome is impossible";
}

#[test]
fn names_are_items_and_listed() {
    let codes = NAMES.iter().map(|m| m.code).collect::<Vec<_>>();
    assert_eq!(codes, ["ONE_STEP_LATE", "FIRST_ARM_ONLY"]);
    assert_eq!(ONE_STEP_LATE.page, "calculus/nowhere.md#here");
}

type States = fn(&[f64], f64) -> Vec<f64>;

/// A state for each step: `s_t = decay·s_(t-1) + x_t`, its length that of `x`.
static SEQUENCE: Value<States> = Value {
    outputs: &["the states"],
    against: "the recurrence",
    right: |i| {
        let mut s = 0.;
        let step = |x: &f64| {
            s = i.number("decay") * s + x;
            s
        };
        arrays![i.vector("x").iter().map(step).collect::<Array1<_>>()]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        arrays![Array1::from(f(&i.vector("x").to_vec(), i.number("decay")))]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, steps: usize| {
            draw.inputs(&[("x", &[steps])]).with("decay", draw.number())
        };
        let usual = [3, 5, 4].map(|n| case(draw, n));
        Cases::new(usual.into(), [1, 12].map(|n| case(draw, n)).into())
    },
    wrong: &[vector("the states", &ONE_STEP_LATE, |i| {
        let late = SEQUENCE.right;
        let mut states = late(i)[0].iter().copied().collect::<Vec<_>>();
        states.rotate_right(1);
        states[0] = 0.;
        states.into()
    })],
    symptom: None,
};

fn states(x: &[f64], decay: f64) -> Vec<f64> {
    let mut all = vec![x[0]];
    for t in 1..x.len() {
        all.push(decay * all[t - 1] + x[t]);
    }
    all
}

#[test]
fn a_sequence() {
    assert_eq!(SEQUENCE.judge(states, 0), Verdict::passed());
    let late = SEQUENCE.judge(
        |x, decay| {
            let mut all = states(x, decay);
            all.rotate_right(1);
            all[0] = 0.;
            all
        },
        0,
    );
    assert_eq!(late.named(), Some("ONE_STEP_LATE"));
    let truncated = SEQUENCE.judge(
        |x, decay| {
            let from = x.len().saturating_sub(8);
            let mut all = states(&x[from..], decay);
            all.splice(0..0, vec![0.; from]);
            all
        },
        0,
    );
    assert!(matches!(truncated, Verdict::Failed(_)), "{truncated:?}");
}

/// The gradient of an expected reward with respect to the logit of one coin,
/// by enumeration; and an estimate of it from coins that were tossed: the
/// tosses are an input, so that both are exact.
fn slope(i: &Inputs, outcome: f64) -> f64 {
    let p = 1. / (1. + (-i.number("logit")).exp());
    let reward = i.vector("rewards")[outcome as usize];
    (outcome - p) * reward
}

type Estimate = fn(f64, [f64; 2], &[usize]) -> f64;

static REINFORCE: Value<Estimate> = Value {
    outputs: &["the estimate"],
    against: "the mean over the tosses",
    right: |i| {
        let tosses = i.wholes("tosses");
        let all = tosses.iter().map(|t| slope(i, *t as f64));
        arrays![all.sum::<f64>() / tosses.len() as f64]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let rewards = [i.vector("rewards")[0], i.vector("rewards")[1]];
        arrays![f(i.number("logit"), rewards, &i.wholes("tosses"))]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, n: usize| {
            let tosses: Array1<f64> =
                (0..n).map(|_| draw.below(2) as f64).collect();
            let i = draw.inputs(&[("logit", &[]), ("rewards", &[2])]);
            i.shown("tosses", tosses, format!("{n} tosses"))
        };
        Cases::new([4, 7, 9].map(|n| case(draw, n)).into(), Vec::new())
    },
    wrong: &[number("the estimate", &FIRST_ARM_ONLY, |i| {
        let tosses = i.wholes("tosses");
        let heads = tosses.iter().filter(|t| **t == 1).count() as f64;
        heads * slope(i, 1.) / tosses.len() as f64
    })],
    symptom: None,
};

fn estimate(logit: f64, rewards: [f64; 2], tosses: &[usize]) -> f64 {
    let p = 1. / (1. + (-logit).exp());
    let all = tosses.iter().map(|t| (*t as f64 - p) * rewards[*t]);
    all.sum::<f64>() / tosses.len() as f64
}

#[test]
fn an_estimate_from_samples() {
    assert_eq!(REINFORCE.judge(estimate, 3), Verdict::passed());
    let heads_only = REINFORCE.judge(
        |logit, rewards, tosses| estimate(logit, [0., rewards[1]], tosses),
        3,
    );
    assert_eq!(heads_only.named(), Some("FIRST_ARM_ONLY"));
}

/// An answer that is no Rust: a formula as a text, computed in `f32`, as a
/// kernel would be.
static KERNEL: Value<&'static str> = Value {
    outputs: &["y"],
    against: "x·x",
    right: |i| arrays![&i.vector("x") * &i.vector("x")],
    tolerance: 1e-6,
    call: |text, i| {
        let x = i.vector("x").mapv(|v| v as f32);
        let y = match *text {
            "x * x" => &x * &x,
            "x + x" => &x + &x,
            other => panic!("does not compile: {other}"),
        };
        arrays![y.mapv(f64::from)]
    },
    cases: |draw| {
        let usual = [3, 5].map(|n| draw.inputs(&[("x", &[n])]));
        Cases::new(usual.into(), Vec::new())
    },
    wrong: &[],
    symptom: None,
};

#[test]
fn an_answer_that_is_a_text() {
    assert_eq!(KERNEL.judge("x * x", 0), Verdict::passed());
    for (text, said) in [("x + x", "y against"), ("x ** 2", "does not compile")]
    {
        let Verdict::Failed(report) = KERNEL.judge(text, 0) else {
            panic!("{text} passed");
        };
        assert!(report.to_string().contains(said), "{report}");
    }
}

/// What a row says is put into the right answer by a change.
#[test]
fn a_change_makes_a_wrong_answer_of_the_right_one() {
    let shift = Change {
        part: 0,
        how: &|_, _, v| v + 1.,
    };
    let verdict = SEQUENCE.judge_changed(states, 0, Some(&shift));
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    let none = Change {
        part: 0,
        how: &|_, _, v| v,
    };
    let verdict = SEQUENCE.judge_changed(states, 0, Some(&none));
    assert_eq!(verdict, Verdict::passed());
}

/// Two groups are judged apart: a mistake in one has its name though the other
/// is right.
#[test]
fn a_group_names_a_mistake_by_itself() {
    static GROUPS: Vjp<fn(f64, f64, f64) -> f64> = Vjp {
        forward: |i| arr0(i.number("k") * i.number("x")).into_dyn(),
        cotangent: "dy",
        gradients: &[("dx", "x")],
        call: |f, i| {
            let (x, k) = (i.number("x"), i.number("k"));
            arrays![f(x, k, i.number("dy"))]
        },
        cases: |draw| {
            let group = |draw: &mut Sampler, k: f64| {
                let all = [(); 3].map(|()| {
                    let i = draw.inputs(&[("x", &[]), ("dy", &[])]);
                    i.shown("k", k, format!("k = {k}"))
                });
                all.to_vec()
            };
            Cases {
                usual: vec![group(draw, 2.), group(draw, 3.)],
                ..Cases::default()
            }
        },
        batch: None,
        wrong: &[],
    };
    let verdict = GROUPS.judge(|_, k, dy| if k == 3. { k } else { k * dy }, 0);
    assert_eq!(verdict.named(), Some(UPSTREAM_IGNORED.code));
    let Verdict::Failed(report) = verdict else {
        panic!("it passed");
    };
    assert_eq!(report.evidence, Some(Evidence::Cotangent));
    assert!(report.inputs.contains("k = 3"), "{report}");
}

#[test]
fn inputs_are_looked_up_by_name() {
    let i = Inputs::default()
        .with("x", array![[1., 2.]])
        .with("n", 3_u64);
    let i = i.shown("kind", 1., "kind b").also("x", "a_below");
    assert_eq!(i.matrix("a_below"), i.matrix("x"));
    assert_eq!((i.whole("n"), i.flag("kind")), (3, true));
    assert_eq!(
        i.describe(),
        "x (1,2)\n[   1.0000   2.0000 ]\nn = 3\nkind b"
    );
    let unknown = std::panic::catch_unwind(|| i.number("y"));
    assert!(unknown.is_err());
}

/// What an answer keeps from call to call is said, whatever it looks like.
#[test]
fn what_is_kept_between_calls_is_no_formula() {
    thread_local! {
        static FIRST: Cell<f64> = const { Cell::new(f64::NAN) };
        static SUM: Cell<f64> = const { Cell::new(0.) };
    }
    let frozen: States = |x, decay| {
        let mut all = states(x, decay);
        if FIRST.get().is_nan() {
            FIRST.set(all[0]);
        }
        all[0] = FIRST.get();
        all
    };
    let added: States = |x, decay| {
        let mut all = states(x, decay);
        SUM.set(SUM.get() + all[0]);
        all[0] = SUM.get();
        all
    };
    for answer in [frozen, added] {
        let verdict = SEQUENCE.judge(answer, 0);
        assert_eq!(verdict.named(), None);
        let Verdict::Failed(report) = verdict else {
            panic!("it passed");
        };
        assert!(report.remark.contains("nothing may be kept"), "{report}");
    }
}

/// The right results in another order are just that.
#[test]
fn results_in_another_order_have_their_name() {
    type Both = fn(f64, f64) -> [f64; 2];
    static BOTH: Value<Both> = Value {
        outputs: &["the sum", "the product"],
        against: "arithmetic",
        right: |i| {
            let (a, b) = (i.number("a"), i.number("b"));
            arrays![a + b, a * b]
        },
        tolerance: TOLERANCE,
        call: |f, i| {
            let [sum, product] = f(i.number("a"), i.number("b"));
            arrays![sum, product]
        },
        cases: |draw| {
            let case = |_| draw.inputs(&[("a", &[]), ("b", &[])]);
            Cases::new([0; 3].map(case).into(), Vec::new())
        },
        wrong: &[],
        symptom: None,
    };
    let verdict = BOTH.judge(|a, b| [a * b, a + b], 0);
    assert_eq!(verdict.named(), Some("OUTPUTS_REORDERED"));
    let Verdict::Failed(report) = BOTH.judge(|a, b| [a + b, a - b], 0) else {
        panic!("it passed");
    };
    assert_eq!(report.scope, "the product is wrong, the sum is right");
}

/// A shape that does not fit says more than a square one that does.
#[test]
fn a_shape_that_shows_the_fault_is_shown() {
    type Turn = fn(ArrayView2<f64>) -> Array2<f64>;
    static TURN: Value<Turn> = Value {
        outputs: &["y"],
        against: "xᵀ",
        right: |i| arrays![i.matrix("x").t().to_owned()],
        tolerance: TOLERANCE,
        call: |f, i| arrays![f(i.matrix("x"))],
        cases: |draw| {
            let usual =
                [[2, 2], [4, 3], [5, 2]].map(|s| draw.inputs(&[("x", &s)]));
            Cases::new(usual.into(), Vec::new())
        },
        wrong: &[],
        symptom: None,
    };
    let Verdict::Failed(report) = TURN.judge(|x| x.to_owned(), 0) else {
        panic!("it passed");
    };
    assert!(report.inputs.starts_with("x (5,2)"), "{report}");
    assert_eq!(report.mistakes[0].code, "TRANSPOSED");
    let square: Turn = |x| match x.is_square() {
        true => x.to_owned(),
        false => x.t().to_owned(),
    };
    let Verdict::Failed(report) = TURN.judge(square, 0) else {
        panic!("it passed");
    };
    assert_eq!(report.mistakes[0].code, "TRANSPOSED");
    assert!(report.scope.contains("wrong on 1 of 3 inputs"), "{report}");
    // The numbers in the order of the memory.
    let raw: Turn = |x| {
        let all = x.to_owned().into_raw_vec_and_offset().0;
        let x = Array2::from_shape_vec(x.raw_dim(), all).unwrap();
        x.reversed_axes()
    };
    let Verdict::Failed(report) = TURN.judge(raw, 0) else {
        panic!("it passed");
    };
    assert!(report.inputs.contains("in memory"), "{report}");
}

/// A mistake that some entries hold has its name; numbers that agree with none
/// have not; nor have zeros.
#[test]
fn a_mistake_in_some_entries_has_its_name() {
    type Scale = fn(ArrayView2<f64>, f64) -> Array2<f64>;
    static SCALE: Value<Scale> = Value {
        outputs: &["y"],
        against: "x plus 3k",
        right: |i| arrays![&i.matrix("x") + 3. * i.number("k")],
        tolerance: TOLERANCE,
        call: |f, i| arrays![f(i.matrix("x"), i.number("k"))],
        cases: |draw| {
            let usual = [[2, 3], [4, 2], [3, 5]];
            let usual = usual.map(|s| draw.inputs(&[("x", &s), ("k", &[])]));
            Cases::new(usual.into(), Vec::new())
        },
        wrong: &[matrix("y", &ONE_STEP_LATE, |i| {
            &i.matrix("x") + i.number("k")
        })],
        symptom: None,
    };
    let last_column: Scale = |x, k| {
        let mut y = &x + 3. * k;
        let last = x.ncols() - 1;
        y.column_mut(last).assign(&(&x.column(last) + k));
        y
    };
    let verdict = SCALE.judge(last_column, 0);
    assert_eq!(verdict.named(), Some("ONE_STEP_LATE"));
    for other in [
        (|x, k| {
            let mut y = &x + 3. * k;
            y.column_mut(0).assign(&(&x.column(0) + 2. * k));
            y
        }) as Scale,
        |x, k| {
            let mut y = &x + 3. * k;
            y.column_mut(0).fill(0.);
            y
        },
    ] {
        assert_eq!(SCALE.judge(other, 0).named(), None);
    }
}

/// Of a mistake that can be made in many ways, one way is enough; a number
/// that is no way to make it is none.
#[test]
fn one_of_many_ways_has_the_name_of_the_mistake() {
    type Times = fn(f64, f64) -> f64;
    static TIMES: Value<Times> = Value {
        outputs: &["y"],
        against: "a·b",
        right: |i| arrays![i.number("a") * i.number("b")],
        tolerance: TOLERANCE,
        call: |f, i| arrays![f(i.number("a"), i.number("b"))],
        cases: |draw| {
            let case = |_| draw.inputs(&[("a", &[]), ("b", &[])]);
            Cases::new([0; 3].map(case).into(), Vec::new())
        },
        wrong: &[ways("y", &FIRST_ARM_ONLY, 3, |i, _, way| {
            arr0([f64::NAN, i.number("a"), i.number("b")][way]).into_dyn()
        })],
        symptom: None,
    };
    for wrong in [(|a, _| a) as Times, |_, b| b] {
        let verdict = TIMES.judge(wrong, 0);
        assert_eq!(verdict.named(), Some("FIRST_ARM_ONLY"));
    }
    // Once this one and once the other is neither.
    let mixed: Times = |a, b| if a < b { a } else { b };
    let seed = (0..9).find(|s| {
        let drawn = (TIMES.cases)(&mut Sampler::new(*s)).usual.concat();
        let less = drawn.iter().filter(|i| i.number("a") < i.number("b"));
        (1..3).contains(&less.count())
    });
    assert_eq!(TIMES.judge(mixed, seed.unwrap()).named(), None);
    assert_eq!(TIMES.judge(|_, _| f64::NAN, 0).named(), None);
}
