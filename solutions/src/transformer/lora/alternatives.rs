//! Right answers, written differently.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, linalg};

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;
type Pair = (Array2<f64>, Array2<f64>);
type Three = (Array2<f64>, Array2<f64>, Array2<f64>);
type Four = (Array2<f64>, Array1<f64>, Array2<f64>, Array2<f64>);

/// With the product of the factors formed.
pub fn forward_merged(x: M, w: M, a: M, b: M, alpha: f64) -> Array2<f64> {
    let mut whole = w.to_owned();
    linalg::general_mat_mul(alpha / b.nrows() as f64, &a, &b, 1., &mut whole);
    x.dot(&whole)
}

/// Entry by entry.
pub fn forward_loops(x: M, w: M, a: M, b: M, alpha: f64) -> Array2<f64> {
    let s = alpha / a.ncols() as f64;
    Array2::from_shape_fn((x.nrows(), w.ncols()), |(n, o)| {
        let mut y = x.row(n).dot(&w.column(o));
        for r in 0..a.ncols() {
            y += s * x.row(n).dot(&a.column(r)) * b[[r, o]];
        }
        y
    })
}

/// By way of the whole weight's gradient.
pub fn vjp_by_the_whole(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / a.ncols() as f64;
    let dw = x.t().dot(&dy);
    let whole = &w + &(a.dot(&b) * s);
    let dx = dy.dot(&whole.t());
    (dx, dw.dot(&b.t()) * s, a.t().dot(&dw) * s)
}

/// Row by row.
pub fn vjp_rows(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / b.nrows() as f64;
    let mut dx = Array2::zeros(x.dim());
    let (mut da, mut db) = (Array2::zeros(a.dim()), Array2::zeros(b.dim()));
    for n in 0..x.nrows() {
        let (x, dy) = (x.row(n), dy.row(n));
        let (h, dh) = (x.dot(&a), b.dot(&dy));
        for r in 0..a.ncols() {
            da.column_mut(r).scaled_add(s * dh[r], &x);
            db.row_mut(r).scaled_add(s * h[r], &dy);
        }
        dx.row_mut(n).assign(&(w.dot(&dy) + a.dot(&dh) * s));
    }
    (dx, da, db)
}

/// The scale moved into a factor, and out again.
pub fn tune_in_place(
    x: M,
    t: M,
    w: M,
    (a, b): (M, M),
    alpha: f64,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let s = alpha / a.ncols() as f64;
    let (mut a, mut b) = (a.to_owned(), b.to_owned());
    let frozen = x.dot(&w) - t;
    let size = x.nrows() as f64;
    let mut losses = Vec::with_capacity(steps + 1);
    for k in 0..=steps {
        let h = x.dot(&a);
        let mut e = frozen.clone();
        linalg::general_mat_mul(s, &h, &b, 1., &mut e);
        losses.push(0.5 * e.iter().map(|e| e * e).sum::<f64>() / size);
        if k == steps {
            break;
        }
        let da = x.t().dot(&e.dot(&b.t()));
        let db = h.t().dot(&e);
        a.scaled_add(-rate * s / size, &da);
        b.scaled_add(-rate * s / size, &db);
    }
    losses
}

/// With the error kept, and no weight.
pub fn tune_all_in_place(
    x: M,
    t: M,
    w: M,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let size = x.nrows() as f64;
    let mut e = x.dot(&w) - t;
    let mut losses = vec![];
    loop {
        losses.push(e.map(|e| e.powi(2)).sum() / size / 2.);
        if losses.len() > steps {
            return losses;
        }
        let dw = x.t().dot(&e) / size;
        e = &e - &(x.dot(&dw) * rate);
    }
}

fn length(v: V) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Column by column.
pub fn dora_columns(x: M, w: M, a: M, b: M, m: V, alpha: f64) -> Array2<f64> {
    let mut y = Array2::zeros((x.nrows(), w.ncols()));
    for o in 0..w.ncols() {
        let s = alpha / a.ncols() as f64;
        let v = &w.column(o) + &(a.dot(&b.column(o)) * s);
        let part = x.dot(&v) * (m[o] / length(v.view()));
        y.column_mut(o).assign(&part);
    }
    y
}

/// Without the whole weight's gradient: from what came out before the length.
pub fn dora_vjp_thin(x: M, w: M, a: M, b: M, m: V, alpha: f64, dy: M) -> Four {
    let s = alpha / a.ncols() as f64;
    let v = &w + &(a.dot(&b) * s);
    let n = v.map_axis(Axis(0), |v| length(v));
    let z = x.dot(&v);
    let dm = (&dy * &z).sum_axis(Axis(0)) / &n;
    let dz = &dy * &(&m / &n);
    // What the norm takes out of each column of V.
    let along = &v * &(&dm * &m / &(&n * &n));
    let da = (x.t().dot(&dz.dot(&b.t())) - along.dot(&b.t())) * s;
    let db = (x.dot(&a).t().dot(&dz) - a.t().dot(&along)) * s;
    (dz.dot(&v.t()), dm, da, db)
}

/// As an adapter's, the cotangent scaled by columns.
pub fn constant_by_cotangent(
    x: M,
    w: M,
    a: M,
    b: M,
    m: V,
    alpha: f64,
    dy: M,
) -> Pair {
    let s = alpha / a.ncols() as f64;
    let v = &w + &(a.dot(&b) * s);
    let mut dz = dy.to_owned();
    for (o, mut column) in dz.columns_mut().into_iter().enumerate() {
        column *= m[o] / length(v.column(o));
    }
    let (_, da, db) = vjp_rows(x, w, a, b, alpha, dz.view());
    (da, db)
}

/// Outer product by outer product.
pub fn merged_by_rank(w: M, a: M, b: M, alpha: f64) -> Array2<f64> {
    let mut whole = w.to_owned();
    let s = alpha / b.nrows() as f64;
    for r in 0..a.ncols() {
        let (down, up) = (a.column(r), b.row(r));
        let part = &down.insert_axis(Axis(1)) * &up;
        whole.scaled_add(s, &part);
    }
    whole
}
