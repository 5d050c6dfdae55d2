//! right: vjp, one example after the other, by slices

use ndarray::s;

pub fn vjp(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    let mut dx = Array2::zeros(x.raw_dim());
    let mut dw = Array2::zeros(w.raw_dim());
    let mut db = Array1::zeros(w.ncols());
    for n in 0..x.nrows() {
        let g = dy.slice(s![n, ..]);
        dx.slice_mut(s![n, ..]).assign(&w.dot(&g));
        let column = x.slice(s![n..n + 1, ..]).reversed_axes();
        dw += &column.dot(&dy.slice(s![n..n + 1, ..]));
        db += &g;
    }
    (dx, dw, db)
}
