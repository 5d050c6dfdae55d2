//! Known-wrong answers, one mistake each, as a learner would write them.

use super::answer;
use backprop::recurrent::bptt::{self, Gradients};
use ndarray::{
    Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, s,
};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;
type T<'a> = ArrayView3<'a, f64>;

fn at(a: T<'_>, t: usize) -> M<'_> {
    a.index_axis_move(Axis(0), t)
}

// ---- forward ----------------------------------------------------------------

/// The state is never renewed.
pub fn from_h0_every_time(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    for (x, mut h) in x.outer_iter().zip(h.outer_iter_mut()) {
        h.assign(&(x.dot(&w_x) + h0.dot(&w_h) + b).tanh());
    }
    h
}

pub fn sum_carried(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    let mut z = h0.to_owned();
    for t in 0..x.dim().0 {
        z = at(x, t).dot(&w_x) + z.dot(&w_h) + b;
        h.index_axis_mut(Axis(0), t).assign(&z.tanh());
    }
    h
}

/// `h[t - 2]` as soon as there is one.
pub fn two_steps_back(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    for t in 0..x.dim().0 {
        let before = match t {
            0 => h0.to_owned(),
            _ => at(h.view(), t.max(2) - 2).to_owned(),
        };
        let z = at(x, t).dot(&w_x) + before.dot(&w_h) + b;
        h.index_axis_mut(Axis(0), t).assign(&z.tanh());
    }
    h
}

/// Put where the first state is, before the loop.
pub fn bias_at_the_start(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    let mut state = h0.dot(&w_h) + b;
    for t in 0..x.dim().0 {
        let now = (at(x, t).dot(&w_x) + &state).tanh();
        state = now.dot(&w_h);
        h.index_axis_mut(Axis(0), t).assign(&now);
    }
    h
}

/// The state before the step is written, not the one after it.
pub fn states_before(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    let mut state = h0.to_owned();
    for t in 0..x.dim().0 {
        h.index_axis_mut(Axis(0), t).assign(&state);
        state = (at(x, t).dot(&w_x) + state.dot(&w_h) + b).tanh();
    }
    h
}

// ---- the walk back ----------------------------------------------------------

/// What a walk does at each step: from the step, what reaches its state from
/// its own loss, what comes from the step after, and its state, the cotangent
/// of the sum; from that and `w_h`, what is handed on.
struct Walk<D, C> {
    delta: D,
    carry: C,
}

impl<D, C> Walk<D, C>
where
    D: Fn(usize, M, M, M, M) -> Array2<f64>,
    C: Fn(M, M) -> Array2<f64>,
{
    fn back(&self, [w_x, w_h, h0]: [M; 3], [x, h, dh]: [T; 3]) -> Gradients {
        let mut d = Gradients {
            dx: Array3::zeros(x.dim()),
            dw_x: Array2::zeros(w_x.dim()),
            dw_h: Array2::zeros(w_h.dim()),
            db: Array1::zeros(h0.ncols()),
            dh0: Array2::zeros(h0.dim()),
        };
        for t in (0..x.dim().0).rev() {
            let before = if t == 0 { h0 } else { at(h, t - 1) };
            let carry = std::mem::take(&mut d.dh0);
            let delta =
                (self.delta)(t, at(dh, t), carry.view(), at(h, t), before);
            d.dx.index_axis_mut(Axis(0), t).assign(&delta.dot(&w_x.t()));
            d.dw_x += &at(x, t).t().dot(&delta);
            d.dw_h += &before.t().dot(&delta);
            d.db += &delta.sum_axis(Axis(0));
            d.dh0 = (self.carry)(delta.view(), w_h);
        }
        d
    }
}

fn on(delta: M, w_h: M) -> Array2<f64> {
    delta.dot(&w_h.t())
}

pub fn nothing_carried(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, _: M, h: M, _: M| &dh * &(1. - &(&h * &h));
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

/// Assigned where it should have been added.
pub fn loss_forgotten(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let last = x.dim().0 - 1;
    let delta = |t: usize, dh: M, carry: M, h: M, _: M| {
        let total = if t == last { dh } else { carry };
        &total * &(1. - &(&h * &h))
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

pub fn slope_of_output(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, h: M, _: M| {
        (&dh + &carry) * h.mapv(|h| 1. / h.cosh().powi(2))
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

pub fn over_slope(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, h: M, _: M| {
        (&dh + &carry) / h.mapv(|h| 1. - h.powi(2))
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

pub fn no_slope(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, _: M, _: M| &dh + &carry;
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

/// The slope on the step's own cotangent only.
pub fn past_the_slope(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, h: M, _: M| {
        &dh * &h.mapv(|h| 1. - h * h) + &carry
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

/// The slope on what comes back only.
pub fn loss_past_the_slope(
    x: T,
    w_x: M,
    w_h: M,
    h0: M,
    h: T,
    dh: T,
) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, h: M, _: M| {
        &dh + &(&carry * &h.mapv(|h| 1. - h * h))
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

pub fn value_for_slope(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, h: M, _: M| (&dh + &carry) * h;
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

pub fn slope_of_before(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, _: M, before: M| {
        (&dh + &carry) * before.mapv(|h| 1. - h * h)
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

/// `dh_{t-1} = W diag(σ'(z_{t-1})) dh_t`, as it is printed for another state.
pub fn jacobian_shifted(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let mut d = answer::vjp(x, w_x, w_h, h0, h, dh);
    d.dw_x.fill(0.);
    d.dw_h.fill(0.);
    d.db.fill(0.);
    let mut carry = Array2::<f64>::zeros(h0.dim());
    for t in (0..x.dim().0).rev() {
        let before = if t == 0 { h0 } else { at(h, t - 1) };
        let total = &at(dh, t) + &carry;
        let delta = &total * &at(h, t).mapv(|h| 1. - h * h);
        d.dx.index_axis_mut(Axis(0), t).assign(&delta.dot(&w_x.t()));
        d.dw_x += &at(x, t).t().dot(&delta);
        d.dw_h += &before.t().dot(&delta);
        d.db += &delta.sum_axis(Axis(0));
        carry = (total * before.mapv(|h| 1. - h * h)).dot(&w_h.t());
    }
    d.dh0 = carry;
    d
}

pub fn not_turned(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let delta = |_: usize, dh: M, carry: M, h: M, _: M| {
        (&dh + &carry) * h.mapv(|h| 1. - h * h)
    };
    let carry = |delta: M, w_h: M| delta.dot(&w_h);
    Walk { delta, carry }.back([w_x, w_h, h0], [x, h, dh])
}

/// Turned only where the shapes demand it.
pub fn inputs_not_turned(
    x: T,
    w_x: M,
    w_h: M,
    h0: M,
    h: T,
    dh: T,
) -> Gradients {
    let mut d = answer::vjp(x, w_x, w_h, h0, h, dh);
    if w_x.is_square() {
        // dx = δ·w_xᵀ is undone, and done without the transpose.
        let delta =
            answer::vjp(x, Array2::eye(w_x.nrows()).view(), w_h, h0, h, dh);
        for (mut dx, delta) in d.dx.outer_iter_mut().zip(delta.dx.outer_iter())
        {
            dx.assign(&delta.dot(&w_x));
        }
    }
    d
}

/// `h_t` for `h_{t-1}` beside the cotangent.
pub fn state_after(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    // With the states themselves as inputs: dw_x pairs each with its δ.
    let eye = Array2::eye(w_h.nrows());
    let paired = answer::vjp(h, eye.view(), w_h, h0, h, dh).dw_x;
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    Gradients { dw_h: paired, ..d }
}

/// The cotangent of the sum in each step.
fn deltas(w_h: M, h0: M, h: T, dh: T) -> Array3<f64> {
    let eye = Array2::eye(w_h.nrows());
    answer::vjp(h, eye.view(), w_h, h0, h, dh).dx
}

/// `h[t.saturating_sub(1)]`, which at the first step is its own state.
pub fn first_state_twice(
    x: T,
    w_x: M,
    w_h: M,
    h0: M,
    h: T,
    dh: T,
) -> Gradients {
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    let off = &at(h, 0) - &h0;
    let dw_h = d.dw_h + off.t().dot(&at(deltas(w_h, h0, h, dh).view(), 0));
    Gradients { dw_h, ..d }
}

/// What comes from the step after passes the slope of the step before.
pub fn carry_by_the_slope_before(
    x: T,
    w_x: M,
    w_h: M,
    h0: M,
    h: T,
    dh: T,
) -> Gradients {
    let slope = |h: M| 1. - &(&h * &h);
    let delta = |_: usize, dh: M, carry: M, h: M, before: M| {
        &dh * &slope(h) + &carry * &slope(before)
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h, dh])
}

pub fn dh0_not_turned(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    let dh0 = at(deltas(w_h, h0, h, dh).view(), 0).dot(&w_h);
    Gradients { dh0, ..d }
}

pub fn dh0_is_the_first_delta(
    x: T,
    w_x: M,
    w_h: M,
    h0: M,
    h: T,
    dh: T,
) -> Gradients {
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    let dh0 = at(deltas(w_h, h0, h, dh).view(), 0).to_owned();
    Gradients { dh0, ..d }
}

/// The inputs of all steps as one matrix, cut anew where it has to be turned.
pub fn inputs_cut_anew(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    let (t, b, i) = x.dim();
    let delta = deltas(w_h, h0, h, dh);
    let delta = delta.into_shape_with_order((t * b, h0.ncols()));
    let x = Array2::from_shape_vec((i, t * b), x.iter().copied().collect());
    let dw_x = x.expect("all inputs").dot(&delta.expect("all steps"));
    Gradients { dw_x, ..d }
}

/// `=` for `+=` inside the loop; what is left is that of the first step.
pub fn assigned(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    let eye = Array2::eye(w_h.nrows());
    let delta = answer::vjp(h, eye.view(), w_h, h0, h, dh).dx;
    let delta = delta.index_axis(Axis(0), 0);
    Gradients {
        dw_x: at(x, 0).t().dot(&delta),
        dw_h: h0.t().dot(&delta),
        db: delta.sum_axis(Axis(0)),
        ..d
    }
}

/// The sums are taken from the last step alone.
pub fn last_step_only(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let d = answer::vjp(x, w_x, w_h, h0, h, dh);
    let t = x.dim().0 - 1;
    let before = if t == 0 { h0 } else { at(h, t - 1) };
    let delta = at(dh, t).to_owned() * at(h, t).mapv(|h| 1. - h * h);
    Gradients {
        dw_h: before.t().dot(&delta),
        ..d
    }
}

// ---- in chunks --------------------------------------------------------------

type Of<'a> = (T<'a>, M<'a>, M<'a>, V<'a>, M<'a>, usize, T<'a>);

/// Each chunk from what `begin` says, and what is made of its gradients.
fn by_chunks(
    (x, w_x, w_h, b, h0, k, dh): Of,
    begin: impl Fn(M) -> Array2<f64>,
    mut join: impl FnMut(&mut Gradients, Gradients, usize),
) -> Gradients {
    let steps = x.dim().0;
    let mut sum = Gradients {
        dx: Array3::zeros(x.dim()),
        dw_x: Array2::zeros(w_x.dim()),
        dw_h: Array2::zeros(w_h.dim()),
        db: Array1::zeros(b.dim()),
        dh0: Array2::zeros(h0.dim()),
    };
    let mut state = h0.to_owned();
    for start in (0..steps).step_by(k) {
        let end = (start + k).min(steps);
        let of = s![start..end, .., ..];
        let h = bptt::forward(x.slice(of), w_x, w_h, b, state.view());
        let (from, dh) = (state.view(), dh.slice(of));
        let d = bptt::vjp(x.slice(of), w_x, w_h, from, h.view(), dh);
        sum.dx.slice_mut(of).assign(&d.dx);
        join(&mut sum, d, start);
        state = begin(h.index_axis(Axis(0), end - start - 1));
    }
    sum
}

fn added(sum: &mut Gradients, d: Gradients, start: usize) {
    sum.dw_x += &d.dw_x;
    sum.dw_h += &d.dw_h;
    sum.db += &d.db;
    if start == 0 {
        sum.dh0 = d.dh0;
    }
}

pub fn chunks_from_nothing(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    by_chunks(
        (x, w_x, w_h, b, h0, k, dh),
        |h| Array2::zeros(h.dim()),
        added,
    )
}

pub fn chunks_from_h0(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    by_chunks((x, w_x, w_h, b, h0, k, dh), |_| h0.to_owned(), added)
}

pub fn not_cut(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    _: usize,
    dh: T,
) -> Gradients {
    let h = answer::forward(x, w_x, w_h, b, h0);
    answer::vjp(x, w_x, w_h, h0, h.view(), dh)
}

pub fn windows(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let h = bptt::forward(x, w_x, w_h, b, h0);
    let windows = bptt::windows(x.dim().0, k);
    bptt::truncated(x, w_x, w_h, h0, h.view(), dh, &windows)
}

pub fn one_step_each(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    _: usize,
    dh: T,
) -> Gradients {
    answer::chunked(x, w_x, w_h, b, h0, 1, dh)
}

/// Cuts after every `k` steps of the walk, which begins at the end.
pub fn cut_from_the_end(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let h = bptt::forward(x, w_x, w_h, b, h0);
    let steps = x.dim().0;
    let delta = |t: usize, dh: M, carry: M, h: M, _: M| {
        let cut = (steps - 1 - t).is_multiple_of(k);
        let total = if cut { dh.to_owned() } else { &dh + &carry };
        total * h.mapv(|h| 1. - h * h)
    };
    Walk { delta, carry: on }.back([w_x, w_h, h0], [x, h.view(), dh])
}

pub fn whole_chunks_only(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let n = x.dim().0 / k * k;
    let of = s![..n, .., ..];
    let d = answer::chunked(x.slice(of), w_x, w_h, b, h0, k, dh.slice(of));
    let mut dx = Array3::zeros(x.dim());
    dx.slice_mut(of).assign(&d.dx);
    Gradients { dx, ..d }
}

pub fn last_chunk_only(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let join = |sum: &mut Gradients, d: Gradients, start: usize| {
        sum.dw_x = d.dw_x;
        sum.dw_h = d.dw_h;
        sum.db = d.db;
        if start == 0 {
            sum.dh0 = d.dh0;
        }
    };
    by_chunks((x, w_x, w_h, b, h0, k, dh), |h| h.to_owned(), join)
}

pub fn every_first_state(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let join = |sum: &mut Gradients, d: Gradients, _: usize| {
        sum.dw_x += &d.dw_x;
        sum.dw_h += &d.dw_h;
        sum.db += &d.db;
        sum.dh0 += &d.dh0;
    };
    by_chunks((x, w_x, w_h, b, h0, k, dh), |h| h.to_owned(), join)
}

pub fn last_first_state(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let join = |sum: &mut Gradients, d: Gradients, _: usize| {
        sum.dw_x += &d.dw_x;
        sum.dw_h += &d.dw_h;
        sum.db += &d.db;
        sum.dh0 = d.dh0;
    };
    by_chunks((x, w_x, w_h, b, h0, k, dh), |h| h.to_owned(), join)
}

/// A later chunk takes its own first state for the one before it.
pub fn chunks_meet_their_first(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let mut d = answer::chunked(x, w_x, w_h, b, h0, k, dh);
    let h = bptt::forward(x, w_x, w_h, b, h0);
    for start in (k..x.dim().0).step_by(k) {
        let of = s![start..(start + k).min(x.dim().0), .., ..];
        let before = at(h.view(), start - 1);
        let delta = deltas(w_h, before, h.slice(of), dh.slice(of));
        let off = &at(h.view(), start) - &before;
        d.dw_h += &off.t().dot(&at(delta.view(), 0));
    }
    d
}

/// The states are right, but every chunk is told that it began with h0.
pub fn chunks_told_of_h0(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let mut d = answer::chunked(x, w_x, w_h, b, h0, k, dh);
    let h = bptt::forward(x, w_x, w_h, b, h0);
    for start in (k..x.dim().0).step_by(k) {
        let of = s![start..(start + k).min(x.dim().0), .., ..];
        let before = at(h.view(), start - 1);
        let delta = deltas(w_h, before, h.slice(of), dh.slice(of));
        d.dw_h += &(&h0 - &before).t().dot(&at(delta.view(), 0));
    }
    d
}

/// A loss at the end of each chunk alone.
pub fn losses_at_the_ends(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let last = x.dim().0 - 1;
    let mut ends = dh.to_owned();
    for (t, mut dh) in ends.outer_iter_mut().enumerate() {
        if t != last && t % k != k - 1 {
            dh.fill(0.);
        }
    }
    answer::chunked(x, w_x, w_h, b, h0, k, ends.view())
}

// ---- both ways --------------------------------------------------------------

pub fn second_not_turned(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let turned = x.slice(s![..;-1, .., ..]);
    bptt::forward(x, w_x, w_h, b, h0) + bptt::forward(turned, w_x, w_h, b, h0)
}

pub fn states_turned_only(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let f = bptt::forward(x, w_x, w_h, b, h0);
    let mut y = f.clone();
    y += &f.slice(s![..;-1, .., ..]);
    y
}

/// The two readings' gradients, that of the second as it came.
fn two(x: T, w_x: M, w_h: M, b: V, h0: M, dy: T) -> [Gradients; 2] {
    let one = |x: T, dy: T| {
        let h = bptt::forward(x, w_x, w_h, b, h0);
        bptt::vjp(x, w_x, w_h, h0, h.view(), dy)
    };
    let round = s![..;-1, .., ..];
    [one(x, dy), one(x.slice(round), dy.slice(round))]
}

pub fn dx_not_turned(x: T, w_x: M, w_h: M, b: V, h0: M, dy: T) -> Gradients {
    let d = answer::both_ways_vjp(x, w_x, w_h, b, h0, dy);
    let [f, g] = two(x, w_x, w_h, b, h0, dy);
    Gradients {
        dx: f.dx + g.dx,
        ..d
    }
}

pub fn dy_not_turned(x: T, w_x: M, w_h: M, b: V, h0: M, dy: T) -> Gradients {
    let round = s![..;-1, .., ..];
    let turned = x.slice(round);
    let [f, _] = two(x, w_x, w_h, b, h0, dy);
    let h = bptt::forward(turned, w_x, w_h, b, h0);
    let g = bptt::vjp(turned, w_x, w_h, h0, h.view(), dy);
    Gradients {
        dx: f.dx + g.dx.slice(round),
        dw_x: f.dw_x + g.dw_x,
        dw_h: f.dw_h + g.dw_h,
        db: f.db + g.db,
        dh0: f.dh0 + g.dh0,
    }
}

pub fn second_only(x: T, w_x: M, w_h: M, b: V, h0: M, dy: T) -> Gradients {
    let d = answer::both_ways_vjp(x, w_x, w_h, b, h0, dy);
    let [_, g] = two(x, w_x, w_h, b, h0, dy);
    // dx was written in its place, the others were overwritten.
    Gradients { dx: d.dx, ..g }
}

pub fn first_only(x: T, w_x: M, w_h: M, b: V, h0: M, dy: T) -> Gradients {
    let [f, _] = two(x, w_x, w_h, b, h0, dy);
    f
}

// ---- a clipped step ---------------------------------------------------------

type Stepped = (Array2<f64>, Array1<f64>);

fn descend(w: M, b: V, dw: &Array2<f64>, db: &Array1<f64>, lr: f64) -> Stepped {
    (&w - &(dw * lr), &b - &(db * lr))
}

pub fn not_clipped(w: M, b: V, dw: M, db: V, _: f64, lr: f64) -> Stepped {
    descend(w, b, &dw.to_owned(), &db.to_owned(), lr)
}

pub fn each_clipped(w: M, b: V, dw: M, db: V, most: f64, lr: f64) -> Stepped {
    let of = |norm: f64| if norm > most { most / norm } else { 1. };
    let dw = &dw * of((&dw * &dw).sum().sqrt());
    let db = &db * of(db.dot(&db).sqrt());
    descend(w, b, &dw, &db, lr)
}

pub fn entries_clipped(
    w: M,
    b: V,
    dw: M,
    db: V,
    most: f64,
    lr: f64,
) -> Stepped {
    let dw = dw.mapv(|g| g.min(most).max(-most));
    let db = db.mapv(|g| g.min(most).max(-most));
    descend(w, b, &dw, &db, lr)
}

pub fn always_scaled(w: M, b: V, dw: M, db: V, most: f64, lr: f64) -> Stepped {
    let norm = ((&dw * &dw).sum() + db.dot(&db)).sqrt();
    descend(w, b, &(&dw / norm * most), &(&db / norm * most), lr)
}

pub fn without_root(w: M, b: V, dw: M, db: V, most: f64, lr: f64) -> Stepped {
    let norm = (&dw * &dw).sum() + db.dot(&db);
    let factor = if norm > most { most / norm } else { 1. };
    descend(w, b, &(&dw * factor), &(&db * factor), lr)
}

pub fn square_compared(
    w: M,
    b: V,
    dw: M,
    db: V,
    most: f64,
    lr: f64,
) -> Stepped {
    let square = (&dw * &dw).sum() + db.dot(&db);
    let over = square > most;
    let factor = if over { most / square.sqrt() } else { 1. };
    descend(w, b, &(&dw * factor), &(&db * factor), lr)
}

pub fn uphill(w: M, b: V, dw: M, db: V, most: f64, lr: f64) -> Stepped {
    answer::clipped_step(w, b, dw, db, most, -lr)
}

// ---- weights of their own ---------------------------------------------------

type Own = (Array1<f64>, Array3<f64>, Array2<f64>);

pub fn own_local(w: V, h0: M, h: T, dh: T) -> Own {
    let mut dw = Array1::zeros(w.dim());
    for t in 0..dh.dim().0 {
        let before = if t == 0 { h0 } else { at(h, t - 1) };
        dw += &(&at(dh, t) * &before).sum_axis(Axis(0));
    }
    let dh0 = &at(dh, 0) * &w;
    (dw, dh.to_owned(), dh0)
}

/// `h[t.saturating_sub(1)]`: the first step meets its own state.
pub fn own_saturating(w: V, h0: M, h: T, dh: T) -> Own {
    let (dw, dx, dh0) = answer::mended(w, h0, h, dh);
    let off = &at(h, 0) - &h0;
    let dw = dw + (off * at(dx.view(), 0)).sum_axis(Axis(0));
    (dw, dx, dh0)
}

pub fn own_last_loss(w: V, h0: M, h: T, dh: T) -> Own {
    let mut only = Array3::zeros(dh.dim());
    let last = dh.dim().0 - 1;
    only.index_axis_mut(Axis(0), last).assign(&at(dh, last));
    answer::mended(w, h0, h, only.view())
}

pub fn own_assigned(w: V, h0: M, h: T, dh: T) -> Own {
    let (_, dx, dh0) = answer::mended(w, h0, h, dh);
    let dw = (&h0 * &at(dx.view(), 0)).sum_axis(Axis(0));
    (dw, dx, dh0)
}
