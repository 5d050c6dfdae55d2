//! Decisions one after another, all of their courses at once.
//!
//! A [`World`] is a table: which state follows an action and what it brings.
//! With K actions and T steps there are K^T courses, and for small K and T
//! nothing needs to be drawn: every expectation is a sum.

use super::Moments;
use crate::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView2};

/// A world of S states and K actions that lasts some steps.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The state in which it begins.
    pub start: usize,
    /// Which state follows on an action, (S,K).
    pub next: Array2<usize>,
    /// What the action brings, (S,K).
    pub reward: Array2<f64>,
    /// How many actions are taken.
    pub steps: usize,
}

/// One course of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// How probable it is.
    pub probability: f64,
    /// The states in which an action was taken, (T).
    pub states: Vec<usize>,
    /// The actions, (T).
    pub actions: Vec<usize>,
    /// The rewards, (T): `r_t` follows the action of step t.
    pub rewards: Vec<f64>,
}

impl World {
    /// All courses, for a policy with logits `x` (S,K).
    ///
    /// Panics if the tables do not fit.
    #[track_caller]
    pub fn courses(&self, x: ArrayView2<f64>) -> Vec<Course> {
        assert_eq!(x.dim(), self.reward.dim(), "a logit for each action");
        assert_eq!(x.dim(), self.next.dim(), "a state for each action");
        let p = softmax::forward(x);
        let mut all = vec![(
            self.start,
            Course {
                probability: 1.,
                states: vec![],
                actions: vec![],
                rewards: vec![],
            },
        )];
        for _ in 0..self.steps {
            let longer = all.iter().flat_map(|(state, course)| {
                (0..x.ncols()).map(|a| {
                    let mut course = course.clone();
                    course.probability *= p[[*state, a]];
                    course.states.push(*state);
                    course.actions.push(a);
                    course.rewards.push(self.reward[[*state, a]]);
                    (self.next[[*state, a]], course)
                })
            });
            all = longer.collect();
        }
        all.into_iter().map(|(_, course)| course).collect()
    }

    /// `J = E[Σ_t γ^(t-1)·r_t]`.
    #[track_caller]
    pub fn mean_return(&self, x: ArrayView2<f64>, gamma: f64) -> f64 {
        let of = |c: &Course| {
            let back = c.rewards.iter().rev();
            c.probability * back.fold(0., |g, r| r + gamma * g)
        };
        self.courses(x).iter().map(of).sum()
    }

    /// `∇J` (S,K), by the product rule and without any score: the mean return
    /// from a state on, for `t` steps to go, is `Σ_a π_a·(r_a + γ·J_{t-1})`.
    #[track_caller]
    pub fn gradient(&self, x: ArrayView2<f64>, gamma: f64) -> Array2<f64> {
        assert_eq!(x.dim(), self.reward.dim(), "a logit for each action");
        let p = softmax::forward(x);
        let (states, actions) = x.dim();
        // What is still to come, and its gradient, from each state on.
        let mut worth = vec![(0., Array2::<f64>::zeros(x.dim())); states];
        for _ in 0..self.steps {
            let mut before = worth.clone();
            for (s, (j, d)) in before.iter_mut().enumerate() {
                let q = |a: usize| {
                    self.reward[[s, a]] + gamma * worth[self.next[[s, a]]].0
                };
                *j = (0..actions).map(|a| p[[s, a]] * q(a)).sum();
                d.fill(0.);
                for a in 0..actions {
                    d[[s, a]] += p[[s, a]] * (q(a) - *j);
                    let then = &worth[self.next[[s, a]]].1;
                    *d += &(then * (gamma * p[[s, a]]));
                }
            }
            worth = before;
        }
        worth.swap_remove(self.start).1
    }

    /// Mean and variance of an estimate of `∇J`: the sum over the steps of
    /// `credit(course)[t]` times the score of the action of step t, in the row
    /// of its state.
    #[track_caller]
    pub fn moments(
        &self,
        x: ArrayView2<f64>,
        credit: impl Fn(&Course) -> Vec<f64>,
    ) -> Moments {
        let p = softmax::forward(x);
        let of = |c: &Course| {
            let mut g = Array2::<f64>::zeros(x.dim());
            let steps = c.states.iter().zip(&c.actions).zip(credit(c));
            for ((s, a), credit) in steps {
                let mut row = g.row_mut(*s);
                row.scaled_add(-credit, &p.row(*s));
                row[*a] += credit;
            }
            let g: Array1<f64> = g.into_iter().collect();
            (c.probability, g)
        };
        let all: Vec<_> = self.courses(x).iter().map(of).collect();
        Moments::of(&all)
    }
}
