//! The whole Jacobian, entry `[i, j]` being `∂y_i/∂x_j`.

use super::{Dual, Number};
use ndarray::{Array1, Array2, ArrayView1, Axis, stack};

// ANCHOR: columns
/// The Jacobian (m,n) of `f` at `x` (n), column by column: `n` forward passes,
/// each with one input moving.
///
/// Panics if there is no input: no pass would say what `m` is.
#[track_caller]
pub fn by_columns<T: Number>(
    f: impl Fn(ArrayView1<Dual<T>>) -> Array1<Dual<T>>,
    x: ArrayView1<T>,
) -> Array2<T> {
    let column = |j: usize| {
        let mut seeded = x.mapv(Dual::fixed);
        seeded[j] = Dual::variable(x[j]);
        f(seeded.view()).mapv(|y| y.slope)
    };
    let columns: Vec<_> = (0..x.len()).map(column).collect();
    joined(&columns, Axis(1))
}
// ANCHOR_END: columns

/// The Jacobian (m,n), row by row: `m` backward passes, each from one output.
///
/// `pull` gives `dx` for a cotangent `dy` (m). It closes over what one forward
/// pass kept, so that pass is not repeated.
///
/// Panics if there is no output.
#[track_caller]
pub fn by_rows<T: Number>(
    pull: impl Fn(ArrayView1<T>) -> Array1<T>,
    m: usize,
) -> Array2<T> {
    let row = |i: usize| {
        let mut dy = Array1::from_elem(m, T::constant(0.));
        dy[i] = T::constant(1.);
        pull(dy.view())
    };
    let rows: Vec<_> = (0..m).map(row).collect();
    joined(&rows, Axis(0))
}

#[track_caller]
fn joined<T: Number>(all: &[Array1<T>], axis: Axis) -> Array2<T> {
    let all: Vec<_> = all.iter().map(|a| a.view()).collect();
    stack(axis, &all).expect("jacobian: results of one length, and some")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculus::modes::ops::{matvec, matvec_vjp};
    use ndarray::array;

    #[test]
    fn of_a_product_it_is_the_matrix() {
        let w = array![[1., 2., 0.], [3., -1., 4.]];
        let x = array![5., 6., 7.];
        let fixed = w.mapv(Dual::fixed);
        let f = |x: ArrayView1<Dual>| matvec(fixed.view(), x);
        assert_eq!(by_columns(f, x.view()), w);
        let pull = |dy: ArrayView1<f64>| matvec_vjp(w.view(), x.view(), dy).1;
        assert_eq!(by_rows(pull, 2), w);
    }
}
