//! wrong: vjp, BIAS_OVERREDUCED, sums over the outputs, and is called a total

use ndarray::{Array1, Array2, ArrayView2, Axis};

pub fn vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    (dy.dot(&w.t()), x.t().dot(&dy), rows(dy))
}

fn rows(dy: ArrayView2<f64>) -> Array1<f64> {
    dy.sum_axis(Axis(1))
}
