//! wrong: vjp, BIAS_AXIS, sums db over the outputs

pub fn vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    (dy.dot(&w.t()), x.t().dot(&dy), dy.sum_axis(Axis(1)))
}
