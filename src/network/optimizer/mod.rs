//! Optimisers: from a gradient to a step.          book: network/optimizer
//!
//!   v ← μ·v + (dw + λ·w)      velocity: a decaying sum of gradients
//!   w ← w - lr·v

pub mod fused;

use ndarray::{ArrayView, ArrayViewMut, Dimension, Zip};

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
    let (a, b, c) = (w.shape(), dw.shape(), v.shape());
    assert!(a == b && a == c, "sgd: w {a:?}, dw {b:?}, v {c:?} differ");
    Zip::from(w).and(dw).and(v).for_each(|w, dw, v| {
        *v = momentum * *v + (dw + decay * *w);
        *w -= lr * *v;
    });
}
// ANCHOR_END: sgd

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
