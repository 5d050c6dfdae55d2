//! Backpropagation through time: one layer, used at every step.
//!                                            book: recurrent/bptt
//!
//!   h_t = tanh(z_t),   z_t = x_t·w_x + h_{t-1}·w_h + b,   t = 1, …, T
//!
//!   x (T,B,I) inputs, h_0 (B,H) first state  ->  h (T,B,H) all states
//!
//! A state reaches the loss along two paths, through what reads it at its own
//! step, `dh_t`, and through the next state. With `δ_t` the cotangent of `z_t`,
//!
//!   δ_t = (dh_t + δ_{t+1}·w_hᵀ) ⊙ (1 - h_t²),   δ_{T+1} = 0
//!   dx_t = δ_t·w_xᵀ,   dh_0 = δ_1·w_hᵀ
//!   dw_x = Σ_t x_tᵀ·δ_t,   dw_h = Σ_t h_{t-1}ᵀ·δ_t,   db = Σ_t Σ_n δ_tn
//!
//! The weights are used at every step, so their gradients are sums over the
//! steps: added, never assigned.
//!
//! A [`Stretch`] is a piece of the walk back. One stretch that holds all steps
//! gives the gradient; [`chunks`] and [`windows`] are the two ways in which a
//! gradient is truncated, and [`truncated`] walks them.

pub mod model;
pub mod scalar;

use ndarray::{
    Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, s,
};
use std::ops::Range;

/// All states `h_1, …, h_T` of `h_t = tanh(x_t·w_x + h_{t-1}·w_h + b)`.
///
/// `x` (T,B,I), `w_x` (I,H), `w_h` (H,H), `b` (H), `h0` (B,H) give `h` (T,B,H);
/// every entry lies in (-1, 1), or rounds to its end.
///
/// Kept for the VJP: `x`, `h0` and all states. The sums in the brackets are not:
/// the slope of tanh is `1 - h²`.
///
/// Panics if the shapes do not fit.
///
/// Source: Elman 1990; the form with tanh as in PyTorch's `RNN`, whose two
/// biases are one here.
///
/// ```
/// use backprop::recurrent::bptt;
/// use ndarray::{Array2, arr1, arr2, arr3};
/// let x = arr3(&[[[1.]], [[-1.]], [[0.5]]]);
/// let (w_x, w_h, b) = (arr2(&[[0.5]]), arr2(&[[0.8]]), arr1(&[0.1]));
/// let h0 = arr2(&[[0.4]]);
/// let h =
///     bptt::forward(x.view(), w_x.view(), w_h.view(), b.view(), h0.view());
/// let want = [0.7258974148, 0.1787759434, 0.4566106754];
/// assert!(h.iter().zip(want).all(|(h, w)| (h - w).abs() < 1e-10));
/// ```
#[track_caller]
// ANCHOR: forward
pub fn forward(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    b: ArrayView1<f64>,
    h0: ArrayView2<f64>,
) -> Array3<f64> {
    assert_fit(x, w_x, w_h, b.len(), h0);
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    let mut before = h0.to_owned(); // (B,H)
    for (x, mut h) in x.outer_iter().zip(h.outer_iter_mut()) {
        let z = x.dot(&w_x) + before.dot(&w_h) + b; // (B,H)
        before = z.tanh();
        h.assign(&before);
    }
    h
}
// ANCHOR_END: forward

/// The gradients of all that goes into [`forward`].
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// Of the inputs, (T,B,I).
    pub dx: Array3<f64>,
    /// Of the inputs' weight, (I,H).
    pub dw_x: Array2<f64>,
    /// Of the states' weight, (H,H).
    pub dw_h: Array2<f64>,
    /// Of the bias, (H).
    pub db: Array1<f64>,
    /// Of the first state, (B,H).
    pub dh0: Array2<f64>,
}

impl Gradients {
    fn zeros(
        x: ArrayView3<f64>,
        w_x: ArrayView2<f64>,
        h0: ArrayView2<f64>,
    ) -> Self {
        Self {
            dx: Array3::zeros(x.dim()),
            dw_x: Array2::zeros(w_x.dim()),
            dw_h: Array2::zeros((h0.ncols(), h0.ncols())),
            db: Array1::zeros(h0.ncols()),
            dh0: Array2::zeros(h0.dim()),
        }
    }
}

/// Every gradient from `dh` (T,B,H), a cotangent for every state, the last
/// one's among them.
///
/// `x` (T,B,I), `w_x` (I,H), `w_h` (H,H), `h0` (B,H) as they went into
/// [`forward`], `h` (T,B,H) as it came out. `dh_t` is what reaches `h_t` from its
/// own step alone, a loss or a layer above; what reaches it through `h_{t+1}` is
/// computed here.
///
/// Panics if the shapes do not fit.
///
/// Source: Werbos 1990.
///
/// ```
/// use backprop::recurrent::bptt;
/// use ndarray::{arr1, arr2, arr3};
/// let x = arr3(&[[[1.]], [[-1.]], [[0.5]]]);
/// let (w_x, w_h, b) = (arr2(&[[0.5]]), arr2(&[[0.8]]), arr1(&[0.1]));
/// let (x, w_x, w_h) = (x.view(), w_x.view(), w_h.view());
/// let h0 = arr2(&[[0.4]]);
/// let h = bptt::forward(x, w_x, w_h, b.view(), h0.view());
/// let dh = arr3(&[[[0.]], [[0.]], [[1.]]]); // the loss is the last state
/// let d = bptt::vjp(x, w_x, w_h, h0.view(), h.view(), dh.view());
/// let got = [d.dw_h[[0, 0]], d.dw_x[[0, 0]], d.db[0], d.dh0[[0, 0]]];
/// let want = [0.6792470171, 0.0147684677, 1.6364569718, 0.1855861612];
/// assert!(got.iter().zip(want).all(|(d, w)| (d - w).abs() < 1e-10));
/// ```
#[track_caller]
// ANCHOR: vjp
pub fn vjp(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    h0: ArrayView2<f64>,
    h: ArrayView3<f64>,
    dh: ArrayView3<f64>,
) -> Gradients {
    assert_fit_vjp(x, w_x, w_h, h0, h, dh);
    let mut d = Gradients::zeros(x, w_x, h0);
    for t in (0..h.dim().0).rev() {
        let before = if t == 0 { h0 } else { at(h, t - 1) };
        let slope = 1. - &at(h, t).pow2();
        let delta = (&at(dh, t) + &d.dh0) * slope; //  (B,H) of the sum z_t
        d.dx.index_axis_mut(Axis(0), t).assign(&delta.dot(&w_x.t()));
        d.dw_x += &at(x, t).t().dot(&delta); //        (I,B)(B,H)
        d.dw_h += &before.t().dot(&delta); //          (H,B)(B,H)
        d.db += &delta.sum_axis(Axis(0));
        d.dh0 = delta.dot(&w_h.t()); // handed to the state before
    }
    d
}
// ANCHOR_END: vjp

/// Step `t`, counted from 0, of an array whose first axis is time.
fn at(a: ArrayView3<'_, f64>, t: usize) -> ArrayView2<'_, f64> {
    a.index_axis_move(Axis(0), t)
}

/// A walk back over `steps`, with the losses of the last `losses` of them.
///
/// Steps are counted from 0. The state before the first of them is a constant
/// there: nothing is handed on to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The steps that are walked.
    pub steps: Range<usize>,
    /// How many of them, the last ones, have their loss counted.
    pub losses: usize,
}

/// Chunks of `k` steps (the last may be shorter), one after another.
pub fn chunks(t: usize, k: usize) -> Vec<Stretch> {
    let chunk = |start: usize| {
        let steps = start..(start + k).min(t);
        let losses = steps.len();
        Stretch { steps, losses }
    };
    (0..t).step_by(k).map(chunk).collect()
}

/// For the loss of each step a window of its own, the last `k` steps up to it.
pub fn windows(t: usize, k: usize) -> Vec<Stretch> {
    let window = |loss: usize| Stretch {
        steps: (loss + 1).saturating_sub(k)..loss + 1,
        losses: 1,
    };
    (0..t).map(window).collect()
}

/// The sum of what the walks over all `stretches` give: a truncated gradient.
///
/// Arguments as in [`vjp`]; `h` is that of one forward pass over all steps, so
/// the state is carried over every cut. `dh0` is what comes from the stretches
/// that begin at step 0.
///
/// With one stretch of all steps and all losses it is [`vjp`]. Otherwise it is
/// the gradient of no function that the network computes: what lies before a
/// cut is held constant in one term and moves in another.
///
/// Panics if the shapes do not fit or a stretch leaves the steps.
///
/// Source: Williams and Peng 1990, who cut by windows; chunks: Sutskever 2013,
/// section 2.8.6, with both lengths equal.
///
/// ```
/// use backprop::recurrent::bptt::{self, chunks, windows};
/// use ndarray::{arr1, arr2, arr3};
/// let x = arr3(&[[[1.]], [[-1.]], [[0.5]]]);
/// let (w_x, w_h, b) = (arr2(&[[0.5]]), arr2(&[[0.8]]), arr1(&[0.1]));
/// let (x, w_x, w_h) = (x.view(), w_x.view(), w_h.view());
/// let h0 = arr2(&[[0.4]]);
/// let h = bptt::forward(x, w_x, w_h, b.view(), h0.view());
/// let dh = arr3(&[[[0.]], [[0.]], [[1.]]]);
/// let (h0, h, dh) = (h0.view(), h.view(), dh.view());
/// let d = bptt::truncated(x, w_x, w_h, h0, h, dh, &windows(3, 2));
/// let got = [d.dw_h[[0, 0]], d.dw_x[[0, 0]], d.db[0]];
/// let want = [0.5864539366, -0.2172142337, 1.4044742704];
/// assert!(got.iter().zip(want).all(|(d, w)| (d - w).abs() < 1e-10));
/// assert_eq!(d.dh0[[0, 0]], 0.);
/// let whole = bptt::truncated(x, w_x, w_h, h0, h, dh, &chunks(3, 3));
/// assert_eq!(whole, bptt::vjp(x, w_x, w_h, h0, h, dh));
/// ```
#[track_caller]
pub fn truncated(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    h0: ArrayView2<f64>,
    h: ArrayView3<f64>,
    dh: ArrayView3<f64>,
    stretches: &[Stretch],
) -> Gradients {
    assert_fit_vjp(x, w_x, w_h, h0, h, dh);
    let mut sum = Gradients::zeros(x, w_x, h0);
    for Stretch { steps, losses } in stretches {
        let (start, end) = (steps.start, steps.end);
        let of = s![start..end, .., ..];
        let before = if start == 0 { h0 } else { at(h, start - 1) };
        let mut dh = dh.slice(of).to_owned();
        let silent = steps.len() - losses;
        dh.slice_mut(s![..silent, .., ..]).fill(0.);
        let d = vjp(x.slice(of), w_x, w_h, before, h.slice(of), dh.view());
        let mut dx = sum.dx.slice_mut(of);
        dx += &d.dx;
        sum.dw_x += &d.dw_x;
        sum.dw_h += &d.dw_h;
        sum.db += &d.db;
        if start == 0 {
            sum.dh0 += &d.dh0;
        }
    }
    sum
}

/// The largest absolute value of an eigenvalue of `w` (H,H), complex ones
/// included: the rate `‖wᵏ‖^(1/k)` at which high powers grow, to about ten
/// digits.
///
/// By squaring 40 times; between two squarings the matrix is scaled to norm 1,
/// so nothing overflows. 0 for a matrix of which some power is 0.
///
/// Panics if `w` is not square.
///
/// Source: Gelfand 1941.
///
/// ```
/// use backprop::recurrent::bptt::spectral_radius;
/// use ndarray::array;
/// let turn = array![[0., -2.], [2., 0.]]; // eigenvalues 2i and -2i
/// assert!((spectral_radius(turn.view()) - 2.).abs() < 1e-9);
/// let shear = array![[0.5, 10.], [0., 0.5]]; // both 0.5; the norm is 10.02
/// assert!((spectral_radius(shear.view()) - 0.5).abs() < 1e-9);
/// assert_eq!(spectral_radius(array![[0., 1.], [0., 0.]].view()), 0.);
/// ```
#[track_caller]
pub fn spectral_radius(w: ArrayView2<f64>) -> f64 {
    assert_eq!(w.nrows(), w.ncols(), "spectral_radius: w is not square");
    let mut power = w.to_owned();
    // w^k = exp(log)·power, the norm of the power 1.
    let (mut log, mut k) = (0., 1.);
    for _ in 0..40 {
        let norm = power.pow2().sum().sqrt();
        if norm == 0. {
            return 0.;
        }
        power /= norm;
        log += norm.ln();
        power = power.dot(&power);
        log *= 2.;
        k *= 2.;
    }
    ((log + power.pow2().sum().sqrt().ln()) / k).exp()
}

#[track_caller]
fn assert_fit(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    bias: usize,
    h0: ArrayView2<f64>,
) {
    let (_, batch, inputs) = x.dim();
    let units = h0.ncols();
    assert!(
        h0.nrows() == batch
            && w_x.dim() == (inputs, units)
            && w_h.dim() == (units, units)
            && bias == units,
        "bptt: x {:?}, w_x {:?}, w_h {:?}, b [{bias}] and h0 {:?} do not fit",
        x.shape(),
        w_x.shape(),
        w_h.shape(),
        h0.shape()
    );
}

#[track_caller]
fn assert_fit_vjp(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    h0: ArrayView2<f64>,
    h: ArrayView3<f64>,
    dh: ArrayView3<f64>,
) {
    assert_fit(x, w_x, w_h, h0.ncols(), h0);
    let states = (x.dim().0, h0.nrows(), h0.ncols());
    assert!(
        h.dim() == states && dh.dim() == states,
        "bptt: h {:?} and dh {:?} are not {states:?}",
        h.shape(),
        dh.shape()
    );
}
