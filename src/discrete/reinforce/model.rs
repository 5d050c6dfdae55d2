//! A policy that learns from what its moves were worth, written once, for every
//! backend.
//!
//!   π(a|s) = softmax(w_s)_a,   w (S,A) logits: a row for each state
//!
//! The gradient of the expected return is the mean of returns times scores
//! (REINFORCE). Of E episodes, whose visits n were to the state `s_n`, chose
//! the move `a_n` after `t_n` steps, and had the reward to go `G_n`,
//!
//!   c_n  = γ^(t_n)·(G_n - b(s_n))/E
//!   loss = -Σ_n c_n·ln π(a_n|s_n)
//!   dw   = Σ_n c_n·x_nᵀ·(π(·|s_n) - e_(a_n))
//!
//! with `x_n` (S) the one-hot row of the state and `e` (A) that of the move. In
//! the mean `dw` is `-∂J_T/∂w`, with J_T the expected return of an episode: to
//! go down the loss is to go up the return. The loss itself is no measure of
//! anything, for the `c_n` are held fixed, and change with the policy. The
//! factor `γᵗ` belongs to the gradient of the discounted return; much code
//! leaves it out, and follows what is the gradient of no function.
//!
//! **The baseline** b (S) is a running mean of the rewards to go from each
//! state. It is read before it is moved, so it knows nothing of the moves that
//! it is compared with, and the mean of the gradient stays what it was; near
//! what is to be expected, it takes away variance. No gradient goes into it or
//! through it.
//!
//! **A weight for each example, without an op of its own.** The logits are
//! those of a linear layer of one-hot rows, so a weight on row n of `dz` can as
//! well stand on row n of `x`: `dw = (c ⊙ x)ᵀ·(p - t)`.
//!
//! Source: R. Williams, *Simple statistical gradient-following algorithms for
//! connectionist reinforcement learning*, Machine Learning 8, 1992; R. Sutton
//! and others, *Policy gradient methods*, NIPS 1999; on `γᵗ`, C. Nota and
//! P. Thomas, *Is the policy gradient a gradient?*, AAMAS 2020.

use super::grid::Visit;
use crate::device::{Device, Model, ParamName, Params};
use ndarray::{Array2, ArrayView2, Ix2, aview1};

/// A policy whose parameters are `P`: tensors `T` of some device, or, in its
/// gradient, `Option<T>`.
#[derive(Debug)]
pub struct Policy<P> {
    /// The logits w (S,A).
    pub logits: P,
    /// The baseline b (S); it has no gradient.
    pub baseline: P,
    /// The share ρ of the way to the mean of the latest rewards to go that b
    /// goes in each step. At 0 it stays where it is: as made, at 0, which is
    /// no baseline.
    pub rate: f64,
}

/// What a policy did, on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// All visits of all episodes, in any order.
    pub visits: Vec<Visit>,
    /// The number of episodes E.
    pub episodes: usize,
}

/// What the backward pass needs, and what [`Policy::settle`](Model::settle)
/// does; on the host, because the visits are.
#[derive(Debug, Default)]
pub struct Kept {
    states: Vec<usize>,
    actions: Vec<usize>,
    /// The baseline b (S), as it was read.
    baseline: Vec<f64>,
    /// Sum and number of the rewards to go from each state (S).
    to_go: Vec<(f64, f64)>,
    /// The one-hot rows `x` (N,S), row n times `c_n`.
    x: Vec<f64>,
    /// The probabilities `p` (N,A).
    p: Vec<f64>,
}

impl<T> Policy<T> {
    /// A policy for S = `states` and A = `actions` that knows nothing: every
    /// move is as likely as any other, and the baseline is 0.
    pub fn new<D: Device<Tensor = T>>(
        dev: &D,
        states: usize,
        actions: usize,
        rate: f64,
    ) -> Policy<T> {
        Policy {
            logits: dev.zeros(&[states, actions]),
            baseline: dev.zeros(&[states]),
            rate,
        }
    }

    /// π (S,A), on the host: row s holds the probabilities of the moves in the
    /// state s.
    pub fn probabilities<D: Device<Tensor = T>>(&self, dev: &D) -> Array2<f64> {
        // the softmax of a device comes with a loss, which nobody asks for
        let any = dev.upload_ids(&vec![0; dev.shape(&self.logits)[0]]);
        let (_, p) = dev.softmax_ce(dev.copy(&self.logits), &any, 0.);
        let p = dev.read(&p);
        p.into_dimensionality::<Ix2>().expect("as many axes")
    }
}

impl<T> Model for Policy<T> {
    type Batch = Batch;
    type Kept = Kept;
    type Grads = Policy<Option<T>>;

    fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Policy<Option<T>> {
        Policy {
            logits: Some(dev.zeros(dev.shape(&self.logits))),
            baseline: None,
            rate: self.rate,
        }
    }

    /// Panics if the batch has no visit, or one to a state or of a move that
    /// there is none of.
    fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        batch: &Batch,
        dloss: f64,
        kept: &mut Kept,
        grads: &mut Policy<Option<T>>,
    ) -> T {
        let (n, shape) = (batch.visits.len(), dev.shape(&self.logits));
        let [states, actions] = [shape[0], shape[1]];
        kept.states.clear();
        kept.states.extend(batch.visits.iter().map(|v| v.state));
        kept.actions.clear();
        kept.actions.extend(batch.visits.iter().map(|v| v.action));
        let ids = dev.upload_ids(&kept.states);
        let labels = dev.upload_ids(&kept.actions);
        let z = dev.embedding(&self.logits, &ids); // (N,A)
        let (_, p) = dev.softmax_ce(z, &labels, 0.); // (N,A)

        kept.baseline.resize(states, 0.);
        dev.read_into(&self.baseline, &mut kept.baseline);
        kept.p.resize(n * actions, 0.);
        dev.read_into(&p, &mut kept.p);
        kept.x.clear();
        kept.x.resize(n * states, 0.);
        kept.to_go.resize(states, (0., 0.));
        let mut loss = 0.;
        for (i, v) in batch.visits.iter().enumerate() {
            let more = v.to_go - kept.baseline[v.state];
            let c = v.discount * more / batch.episodes as f64;
            kept.x[i * states + v.state] = c;
            loss -= c * kept.p[i * actions + v.action].ln();
            let (sum, count) = &mut kept.to_go[v.state];
            (*sum, *count) = (*sum + v.to_go, *count + 1.);
        }

        if let Some(dw) = &mut grads.logits {
            let x = ArrayView2::from_shape((n, states), &kept.x);
            let x = dev.upload(x.expect("N rows of S").into_dyn());
            // (p - t)·dloss: the op divides by N
            let dz = dev.softmax_ce_vjp(p, &labels, 0., dloss * n as f64);
            let mut no_bias = dev.zeros(&[actions]);
            dev.linear_vjp_params(&x, &dz, dw, &mut no_bias);
        }
        dev.upload(aview1(&[loss]).into_dyn())
    }

    /// Where there were visits, `b ← b + ρ·(mean of the rewards to go - b)`.
    fn settle<D: Device<Tensor = T>>(&mut self, dev: &D, kept: &mut Kept) {
        for (b, (sum, count)) in kept.baseline.iter_mut().zip(&kept.to_go) {
            if *count > 0. {
                *b += self.rate * (sum / count - *b);
            }
        }
        let b = aview1(&kept.baseline).into_dyn();
        dev.write(&mut self.baseline, b);
        kept.to_go.clear();
    }
}

impl<P> Params for Policy<P> {
    type Tensor = P;

    fn names(&self) -> Vec<ParamName> {
        let name = |name: &str| ParamName {
            name: name.into(),
            transposed: false,
        };
        vec![name("logits.weight"), name("baseline")]
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a P>
    where
        P: 'a,
    {
        [&self.logits, &self.baseline].into_iter()
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut P>
    where
        P: 'a,
    {
        [&mut self.logits, &mut self.baseline].into_iter()
    }
}
