//! wrong: forward, BIAS_FORGOTTEN, a claim that is not true

pub fn forward(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    b: ArrayView1<f64>,
) -> Array2<f64> {
    x.dot(&w.t()) + b
}
