//! right: forward, entry by entry

pub fn forward(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    b: ArrayView1<f64>,
) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), w.nrows()), |(n, o)| {
        (0..w.ncols()).map(|i| x[[n, i]] * w[[o, i]]).sum::<f64>() + b[o]
    })
}
