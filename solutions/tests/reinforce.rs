//! No right answer is refused by luck: the exam of the score function sums over
//! all outcomes, and what it draws are cases, not estimates.

use backprop::discrete::reinforce::{log_prob_vjp, returns};
use backprop::network::softmax_cross_entropy as softmax;
use examiner::Verdict;
use examiner::discrete::reinforce as exam;
use examiner::judge::Exam;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use solutions::discrete::reinforce::answer;
use std::cell::Cell;

thread_local! {
    /// What the answer at hand takes off every return.
    static BASELINE: Cell<f64> = const { Cell::new(0.) };
}

/// REINFORCE with a baseline of its own for each of the thousand.
fn reinforce(
    x: ArrayView2<f64>,
    a: &[usize],
    r: ArrayView1<f64>,
) -> Array2<f64> {
    let p = softmax::forward(x);
    let g: Array1<f64> = returns::to_go(r, 1.) - BASELINE.get();
    log_prob_vjp(p.view(), a, g.view())
}

/// A thousand right answers, each with another baseline and on another seed.
/// The only error is that of rounding: a bound on luck is not needed, and its
/// rate of false alarms is 0.
#[test]
fn a_thousand_right_answers_pass() {
    let passed = |v: Verdict| matches!(v, Verdict::Passed { .. });
    for seed in 0..1000 {
        BASELINE.set((seed as f64 * 0.618_033_988_7).fract() * 20. - 10.);
        let of = (answer::CREDIT_BUG, reinforce as exam::Episode);
        assert!(passed(exam::FIND_THE_CREDIT.judge(of, seed)), "{seed}");
        let of = exam::BERNOULLI.judge(answer::bernoulli, seed);
        assert!(passed(of), "{seed}");
    }
}
