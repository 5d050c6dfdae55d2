//! Optimisers: from a gradient to a step.          book: network/optimizer
//!
//!   SGD        v ← μ·v + (dw + λ·w)      velocity: a decaying sum
//!              w ← w - lr·v
//!   Nesterov   w ← w - lr·(dw + λ·w + μ·v)   one step ahead of SGD
//!   Adam       m ← β₁·m + (1-β₁)·g       decaying mean of the gradients
//!              v ← β₂·v + (1-β₂)·g²      and of their squares
//!              w ← w - lr·m̂/(√v̂ + ε)     m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ)
//!   AdamW      w ← w - lr·λ·w - lr·m̂/(√v̂ + ε)
//!   clip       g = c·dw,  c = min(1, most/‖dw‖)   of all parameters together

pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;

use crate::device::AdamW;
use ndarray::{ArrayView, ArrayView1, ArrayViewMut, Dimension, Zip};

// ANCHOR: sgd
/// One step of stochastic gradient descent with momentum and weight decay, in
/// the form that PyTorch uses (no dampening, no Nesterov):
/// `v ← μ·v + (dw + λ·w)`, then `w ← w - lr·v`.
///
/// `w` the parameter, `dw` its gradient and `v` its velocity have one shape;
/// `v` starts at zero. `momentum` μ in `[0,1)` and `decay` λ ≥ 0 have no unit;
/// λ adds the gradient of `λ/2·‖w‖²` to `dw`.
/// The learning rate multiplies the velocity when it is used, not when it is
/// summed: a change of `lr` acts at once.
///
/// Panics if the shapes differ.
///
/// Source: Polyak 1964; Sutskever et al. 2013, section 2, whose velocity has
/// `lr` inside.
///
/// ```
/// use backprop::network::optimizer::sgd;
/// use ndarray::array;
/// let (mut w, mut v) = (array![1.], array![2.]);
/// // v = 0.5·2 + (3 + 0·1) = 4,  w = 1 - 0.1·4
/// sgd(w.view_mut(), array![3.].view(), v.view_mut(), 0.1, 0.5, 0.);
/// assert_eq!((w[0], v[0]), (0.6, 4.));
/// ```
#[track_caller]
pub fn sgd<D: Dimension>(
    w: ArrayViewMut<f64, D>,
    dw: ArrayView<f64, D>,
    v: ArrayViewMut<f64, D>,
    lr: f64,
    momentum: f64,
    decay: f64,
) {
    assert_one_moment("sgd", [w.shape(), dw.shape(), v.shape()]);
    Zip::from(w).and(dw).and(v).for_each(|w, dw, v| {
        *v = momentum * *v + (dw + decay * *w);
        *w -= lr * *v;
    });
}
// ANCHOR_END: sgd

// ANCHOR: nesterov
/// One step of Nesterov's accelerated gradient, in the form that PyTorch uses:
/// with `g = dw + λ·w`, `v ← μ·v + g`, then `w ← w - lr·(g + μ·v)`.
///
/// Arguments as in [`sgd`]. SGD steps along the velocity; this steps along the
/// velocity that the *next* step would have if the gradient stayed as it is.
/// The `w` kept here is that look-ahead point, so the gradient is always
/// taken at `w`. With `momentum` 0 both are plain gradient descent.
///
/// Panics if the shapes differ.
///
/// Source: Nesterov 1983; Sutskever et al. 2013, section 2; the change of
/// variables to the look-ahead point is Bengio et al. 2013, section 3.5.
///
/// ```
/// use backprop::network::optimizer::nesterov;
/// use ndarray::array;
/// let (mut w, mut v) = (array![4.], array![2.]);
/// // g = 3, v = 0.5·2 + 3 = 4,  w = 4 - 0.5·(3 + 0.5·4)
/// let dw = array![3.];
/// nesterov(w.view_mut(), dw.view(), v.view_mut(), 0.5, 0.5, 0.);
/// assert_eq!((w[0], v[0]), (1.5, 4.));
/// ```
#[track_caller]
pub fn nesterov<D: Dimension>(
    w: ArrayViewMut<f64, D>,
    dw: ArrayView<f64, D>,
    v: ArrayViewMut<f64, D>,
    lr: f64,
    momentum: f64,
    decay: f64,
) {
    assert_one_moment("nesterov", [w.shape(), dw.shape(), v.shape()]);
    Zip::from(w).and(dw).and(v).for_each(|w, dw, v| {
        let g = dw + decay * *w;
        *v = momentum * *v + g;
        *w -= lr * (g + momentum * *v);
    });
}
// ANCHOR_END: nesterov

// ANCHOR: adam
/// One step of Adam with weight decay in the gradient, as in PyTorch's `Adam`:
/// with `g = factor·dw + λ·w`,
/// `m ← β₁·m + (1-β₁)·g`, `v ← β₂·v + (1-β₂)·g²`, then
/// `w ← w - lr·m̂/(√v̂ + ε)`, where `m̂ = m/(1-β₁ᵗ)` and `v̂ = v/(1-β₂ᵗ)`.
///
/// `w` the parameter, `dw` its gradient, `m` and `v` the running means of the
/// gradient and of its square, all of one shape; `m` and `v` start at zero.
/// `factor` comes from [`clip`], or is 1. `set` holds the settings and the
/// number `t` of the step, from 1; its `decay` λ adds the gradient of
/// `λ/2·‖w‖²`. Means that start at zero are too small by `1-βᵗ` after `t`
/// steps, which m̂ and v̂ put right. ε stands outside the root, so it is
/// compared with gradients, not with their squares; where all gradients have
/// been zero the step is `0/ε = 0`. Apart from ε a step does not depend on the
/// size of the gradient: the first is `lr·sign(g)`.
///
/// Panics if the shapes differ or `step` is 0.
///
/// Source: Kingma and Ba 2015, algorithm 1.
///
/// ```
/// use backprop::device::AdamW;
/// use backprop::network::optimizer::adam;
/// use ndarray::array;
/// let (mut w, mut m, mut v) = (array![1.], array![0.], array![0.]);
/// let set = AdamW {
///     lr: 0.5, beta1: 0.5, beta2: 0.75, eps: 3., decay: 1., step: 1,
/// };
/// // g = 2 + 1 = 3,  m = 1.5, m̂ = 3,  v = 2.25, v̂ = 9,  w = 1 - 0.5·3/(3 + 3)
/// let dw = array![2.];
/// adam(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., set);
/// assert_eq!((w[0], m[0], v[0]), (0.75, 1.5, 2.25));
/// ```
#[track_caller]
pub fn adam<D: Dimension>(
    w: ArrayViewMut<f64, D>,
    dw: ArrayView<f64, D>,
    m: ArrayViewMut<f64, D>,
    v: ArrayViewMut<f64, D>,
    factor: f64,
    set: AdamW,
) {
    assert_two_moments("adam", [w.shape(), dw.shape(), m.shape(), v.shape()]);
    let AdamW { lr, decay, eps, .. } = set;
    let (c1, c2) = corrections("adam", set);
    Zip::from(w).and(dw).and(m).and(v).for_each(|w, dw, m, v| {
        let g = factor * dw + decay * *w;
        *m = set.beta1 * *m + (1. - set.beta1) * g;
        *v = set.beta2 * *v + (1. - set.beta2) * g * g;
        *w -= lr * (*m / c1) / ((*v / c2).sqrt() + eps);
    });
}
// ANCHOR_END: adam

// ANCHOR: adamw
/// One step of Adam with decoupled weight decay: with `g = factor·dw`,
/// `m ← β₁·m + (1-β₁)·g`, `v ← β₂·v + (1-β₂)·g²`, then
/// `w ← w - lr·λ·w - lr·m̂/(√v̂ + ε)`, where `m̂ = m/(1-β₁ᵗ)` and
/// `v̂ = v/(1-β₂ᵗ)`.
///
/// Arguments as in [`adam`]. There a weight whose gradients are large is
/// decayed less than others, since `λ·w` is divided by √v̂ with the rest; here
/// every weight loses the same share `lr·λ`.
///
/// Panics if the shapes differ or `step` is 0.
///
/// Source: Loshchilov and Hutter 2019, algorithm 2. There the decay is
/// multiplied by the schedule alone; here, as in PyTorch, by the whole `lr`:
/// its λ is our `lr·λ` at the start.
///
/// ```
/// use backprop::device::AdamW;
/// use backprop::network::optimizer::adamw;
/// use ndarray::array;
/// let (mut w, mut m, mut v) = (array![1.], array![0.], array![0.]);
/// let set = AdamW {
///     lr: 0.5, beta1: 0.5, beta2: 0.75, eps: 2., decay: 0.5, step: 1,
/// };
/// // m = 1, m̂ = 2,  v = 1, v̂ = 4,  w = 1 - 0.5·0.5·1 - 0.5·2/(2 + 2)
/// let dw = array![2.];
/// adamw(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., set);
/// assert_eq!((w[0], m[0], v[0]), (0.5, 1., 1.));
/// ```
#[track_caller]
pub fn adamw<D: Dimension>(
    w: ArrayViewMut<f64, D>,
    dw: ArrayView<f64, D>,
    m: ArrayViewMut<f64, D>,
    v: ArrayViewMut<f64, D>,
    factor: f64,
    set: AdamW,
) {
    assert_two_moments("adamw", [w.shape(), dw.shape(), m.shape(), v.shape()]);
    let AdamW { lr, decay, eps, .. } = set;
    let (c1, c2) = corrections("adamw", set);
    Zip::from(w).and(dw).and(m).and(v).for_each(|w, dw, m, v| {
        let g = factor * dw;
        *m = set.beta1 * *m + (1. - set.beta1) * g;
        *v = set.beta2 * *v + (1. - set.beta2) * g * g;
        *w -= lr * (decay * *w + (*m / c1) / ((*v / c2).sqrt() + eps));
    });
}
// ANCHOR_END: adamw

#[track_caller]
fn assert_one_moment(op: &str, [w, dw, v]: [&[usize]; 3]) {
    let same = w == dw && w == v;
    assert!(same, "{op}: w {w:?}, dw {dw:?}, v {v:?} differ");
}

#[track_caller]
fn assert_two_moments(op: &str, [w, dw, m, v]: [&[usize]; 4]) {
    assert!(
        w == dw && w == m && w == v,
        "{op}: w {w:?}, dw {dw:?}, m {m:?}, v {v:?} differ"
    );
}

/// `1-β₁ᵗ` and `1-β₂ᵗ`.
#[track_caller]
fn corrections(op: &str, set: AdamW) -> (f64, f64) {
    assert!(set.step > 0, "{op}: steps are counted from 1, got step 0");
    let t = set.step as f64;
    (1. - set.beta1.powf(t), 1. - set.beta2.powf(t))
}

// ANCHOR: clip
/// The factor that clips a gradient to the norm `most`: `min(1, most/‖g‖)`,
/// where `‖g‖ = √(Σ_i squares_i)` is taken over all parameters together.
///
/// `squares` (P) the sum of squares of each parameter's gradient; `most` > 0
/// in the unit of the gradient, ∞ to clip nothing. All gradients are then
/// multiplied by the same factor, which keeps their direction; a factor for
/// each parameter alone would turn it. 1 if the gradient is zero, NaN if it
/// holds a NaN: a broken step is not hidden. PyTorch's `clip_grad_norm_`
/// divides by `‖g‖ + 10⁻⁶` and ends that much below `most`.
///
/// Source: Pascanu et al. 2013, algorithm 1.
///
/// ```
/// use backprop::network::optimizer::clip;
/// use ndarray::array;
/// let squares = array![9., 16.]; // g = (3, 4), of two parameters
/// assert_eq!(clip(squares.view(), 1.), 0.2);
/// assert_eq!(clip(squares.view(), 6.), 1.);
/// ```
pub fn clip(squares: ArrayView1<f64>, most: f64) -> f64 {
    let norm = squares.sum().sqrt();
    if norm <= most { 1. } else { most / norm }
}
// ANCHOR_END: clip

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn three_steps_by_hand() {
        let (mut w, mut v) = (array![[4.]], array![[0.]]);
        for (w_new, v_new) in [(2., 4.), (0., 4.), (-1., 2.)] {
            let dw = &w * 0.5; // the decay adds the other half of w
            sgd(w.view_mut(), dw.view(), v.view_mut(), 0.5, 0.5, 0.5);
            assert_eq!((w[[0, 0]], v[[0, 0]]), (w_new, v_new));
        }
    }

    /// Two steps on `w²/2`. SGD would be at 4 and 0: this looks ahead.
    #[test]
    fn nesterov_by_hand() {
        let (mut w, mut v) = (array![8.], array![0.]);
        for (w_new, v_new) in [(2., 8.), (-0.5, 6.)] {
            let dw = w.clone();
            nesterov(w.view_mut(), dw.view(), v.view_mut(), 0.5, 0.5, 0.);
            assert_eq!((w[0], v[0]), (w_new, v_new));
        }
    }

    const SET: AdamW = AdamW {
        lr: 0.5,
        beta1: 0.5,
        beta2: 0.75,
        eps: 1e-8,
        decay: 0.,
        step: 1,
    };

    /// The first step is `lr·sign(g)`, however small or large `g` is; with a
    /// constant gradient so are all others.
    #[test]
    fn a_constant_gradient_gives_constant_steps() {
        let dw = array![1e4, -1e4, 1., -0.1];
        let mut w = array![0., 0., 0., 0.];
        let (mut m, mut v) = (w.clone(), w.clone());
        for step in 1..5 {
            let set = AdamW { step, ..SET };
            adamw(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., set);
            let want = dw.mapv(|g: f64| -0.5 * step as f64 * g.signum());
            assert!((&w - &want).iter().all(|d| d.abs() < 1e-6), "{w}");
        }
    }

    /// Where nothing ever flowed back the step is 0/ε, and only the decoupled
    /// decay acts.
    #[test]
    fn no_gradient_no_step() {
        let set = AdamW { decay: 0.5, ..SET };
        let (mut w, mut m, mut v) = (array![4.], array![0.], array![0.]);
        let dw = array![0.];
        adamw(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., set);
        assert_eq!((w[0], m[0], v[0]), (3., 0., 0.));
        adam(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., SET);
        assert_eq!((w[0], m[0], v[0]), (3., 0., 0.));
    }

    #[test]
    fn a_zero_gradient_is_not_clipped_and_nan_is_not_hidden() {
        assert_eq!(clip(array![0., 0.].view(), 1.), 1.);
        assert_eq!(clip(array![].view(), 1.), 1.);
        assert_eq!(clip(array![4.].view(), 2.), 1.);
        assert_eq!(clip(array![1e300].view(), f64::INFINITY), 1.);
        assert_eq!(clip(array![f64::INFINITY].view(), 1.), 0.);
        assert!(clip(array![1., f64::NAN].view(), 1.).is_nan());
    }

    #[test]
    #[should_panic(expected = "adamw: w [1], dw [2], m [1], v [1] differ")]
    fn adamw_names_all_shapes() {
        let (mut w, mut m, mut v) = (array![1.], array![0.], array![0.]);
        let dw = array![1., 2.];
        adamw(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., SET);
    }

    #[test]
    #[should_panic(expected = "adam: steps are counted from 1, got step 0")]
    fn step_0_does_not_exist() {
        let (mut w, mut m, mut v) = (array![1.], array![0.], array![0.]);
        let (dw, set) = (array![1.], AdamW { step: 0, ..SET });
        adam(w.view_mut(), dw.view(), m.view_mut(), v.view_mut(), 1., set);
    }

    #[test]
    #[should_panic(expected = "nesterov: w [1], dw [2], v [1] differ")]
    fn nesterov_names_all_shapes() {
        let (mut w, mut v) = (array![1.], array![0.]);
        let dw = array![1., 2.];
        nesterov(w.view_mut(), dw.view(), v.view_mut(), 1., 0., 0.);
    }

    #[test]
    #[should_panic(expected = "sgd: w [1], dw [2], v [1] differ")]
    fn a_wrong_shape_names_all() {
        let (mut w, mut v) = (array![1.], array![0.]);
        sgd(
            w.view_mut(),
            array![1., 2.].view(),
            v.view_mut(),
            1.,
            0.,
            0.,
        );
    }
}
