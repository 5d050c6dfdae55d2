//! SGD in `f32`: one pass over the three arrays.
//!
//! From plain to fast: three array expressions would read and write the
//! parameter, the gradient and the velocity seven times; one loop reads three
//! and writes two.

use crate::engine::rows;

/// One step of [`super::sgd`], in place.
///
/// Panics if the lengths differ.
#[track_caller]
pub fn sgd(
    w: &mut [f32],
    dw: &[f32],
    v: &mut [f32],
    lr: f32,
    momentum: f32,
    decay: f32,
) {
    let n = w.len();
    assert!(
        n == dw.len() && n == v.len(),
        "sgd: w [{n}], dw [{}], v [{}] differ",
        dw.len(),
        v.len(),
    );
    rows::for_each((w, dw, v), 2, |_, (w, dw, v)| {
        for ((w, dw), v) in w.iter_mut().zip(dw).zip(v) {
            *v = momentum * *v + (dw + decay * *w);
            *w -= lr * *v;
        }
    });
}
