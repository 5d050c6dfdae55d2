//! Right answers, written differently.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip, linalg};

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;

type Three = (Array2<f64>, Array2<f64>, Array1<f64>);

/// Three loops, entry by entry.
pub fn forward_loops(x: M, w: M, b: V) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), w.nrows()), |(n, o)| {
        let products = (0..w.ncols()).map(|i| x[[n, i]] * w[[o, i]]);
        products.sum::<f64>() + b[o]
    })
}

/// In place: the bias first, the product added to it.
pub fn forward_in_place(x: M, w: M, b: V) -> Array2<f64> {
    let mut y = Array2::zeros((x.nrows(), w.nrows()));
    y += &b;
    linalg::general_mat_mul(1., &x, &w.t(), 1., &mut y);
    y
}

/// Every edge of the layer once: x_ni meets w_io and dy_no.
pub fn vjp_loops(x: M, w: M, dy: M) -> Three {
    let mut dx = Array2::zeros(x.raw_dim());
    let mut dw = Array2::zeros(w.raw_dim());
    let mut db = Array1::zeros(w.ncols());
    for n in 0..x.nrows() {
        for o in 0..w.ncols() {
            db[o] += dy[[n, o]];
            for i in 0..w.nrows() {
                dx[[n, i]] += dy[[n, o]] * w[[i, o]];
                dw[[i, o]] += x[[n, i]] * dy[[n, o]];
            }
        }
    }
    (dx, dw, db)
}

/// Transposed throughout: (w·dyᵀ)ᵀ, (dyᵀ·x)ᵀ, and a product with ones.
pub fn vjp_transposed(x: M, w: M, dy: M) -> Three {
    let dx = w.dot(&dy.t()).reversed_axes();
    let dw = dy.t().dot(&x).reversed_axes();
    let db = Array1::ones(dy.nrows()).dot(&dy);
    (dx, dw, db)
}

/// One outer product per example, added up.
pub fn vjp_by_example(x: M, w: M, dy: M) -> Three {
    let mut dx = Array2::zeros(x.raw_dim());
    let mut dw = Array2::zeros(w.raw_dim());
    let mut db = Array1::zeros(w.ncols());
    Zip::from(dx.rows_mut())
        .and(x.rows())
        .and(dy.rows())
        .for_each(|mut dx, x, dy| {
            dx.assign(&w.dot(&dy));
            let (x, row) = (x.insert_axis(Axis(1)), dy.insert_axis(Axis(0)));
            dw += &x.dot(&row);
            db += &dy;
        });
    (dx, dw, db)
}

/// Through the row convention: transpose in, transpose out.
pub fn columns_by_rows(w: M, a: M, dz: M) -> Three {
    let (da, dw, db) = vjp_loops(a.t(), w, dz.t());
    (dw, da.reversed_axes(), db)
}

/// Example by example, in loops.
pub fn columns_loops(w: M, a: M, dz: M) -> Three {
    let mut dw = Array2::zeros(w.raw_dim());
    let mut da = Array2::zeros(a.raw_dim());
    let mut db = Array1::zeros(w.ncols());
    for ((o, n), &d) in dz.indexed_iter() {
        db[o] += d;
        for i in 0..w.nrows() {
            dw[[i, o]] += d * a[[i, n]];
            da[[i, n]] += d * w[[i, o]];
        }
    }
    (dw, da, db)
}

/// Through the whole weight: forms u·vᵀ and dw, right but large.
pub fn low_rank_through_w(
    x: M,
    u: M,
    v: M,
    dy: M,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    let (dx, dw, _) = vjp_loops(x, u.dot(&v.t()).view(), dy);
    (dx, dw.dot(&v), dw.t().dot(&u))
}

/// As two layers, each with its own VJP.
pub fn low_rank_two_layers(
    x: M,
    u: M,
    v: M,
    dy: M,
) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
    let (dh, dvt, _) = vjp_transposed(x.dot(&u).view(), v.t(), dy);
    let (dx, du, _) = vjp_transposed(x, u, dh.view());
    (dx, du, dvt.reversed_axes())
}

/// Factored: B·O once, then what multiplies it.
pub fn flops_factored(b: u64, i: u64, o: u64, needs_dx: bool) -> u64 {
    b * o * (1 + 2 * i + if needs_dx { 2 * i } else { 0 })
}
