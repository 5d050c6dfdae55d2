//! Known-wrong answers, one mistake each, as a learner would write them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, array};

type Three = (Array2<f64>, Array2<f64>, Array1<f64>);
type M<'a> = ArrayView2<'a, f64>;

fn right(x: M, w: M, dy: M) -> Three {
    (dy.dot(&w.t()), x.t().dot(&dy), dy.sum_axis(Axis(0)))
}

pub fn forward_without_bias(x: M, w: M, _b: ArrayView1<f64>) -> Array2<f64> {
    w.dot(&x.t()).reversed_axes()
}

pub fn forward_bias_by_example(x: M, w: M, b: ArrayView1<f64>) -> Array2<f64> {
    let mut y = x.dot(&w.t());
    for n in 0..y.nrows() {
        for o in 0..y.ncols() {
            y[[n, o]] += b[n];
        }
    }
    y
}

/// The chapter's own layer, for a weight that is stored the other way.
pub fn forward_book_layout(x: M, w: M, b: ArrayView1<f64>) -> Array2<f64> {
    x.dot(&w) + b
}

pub fn all_zero(x: M, w: M, _dy: M) -> Three {
    let dx = Array2::zeros(x.raw_dim());
    (dx, Array2::zeros(w.raw_dim()), Array1::zeros(w.ncols()))
}

pub fn upstream_ignored(x: M, w: M, dy: M) -> Three {
    let ones = Array2::ones(dy.raw_dim());
    right(x, w, ones.view())
}

pub fn upstream_clipped(x: M, w: M, dy: M) -> Three {
    let clipped = dy.mapv(|v| v.clamp(-1., 1.));
    right(x, w, clipped.view())
}

pub fn sign_flipped(x: M, w: M, dy: M) -> Three {
    let (dx, dw, db) = right(x, w, dy);
    (-dx, -dw, -db)
}

pub fn dw_transposed(x: M, w: M, dy: M) -> Three {
    let (dx, _, db) = right(x, w, dy);
    (dx, dy.t().dot(&x), db)
}

pub fn dw_without_transpose(x: M, w: M, dy: M) -> Three {
    let (dx, _, db) = right(x, w, dy);
    (dx, x.dot(&dy), db)
}

pub fn dx_wrong_side(x: M, w: M, dy: M) -> Three {
    let (_, dw, db) = right(x, w, dy);
    (w.t().dot(&dy), dw, db)
}

pub fn dx_elementwise(x: M, w: M, dy: M) -> Three {
    let (_, dw, db) = right(x, w, dy);
    let reach = w.sum_axis(Axis(1));
    let dx =
        Array2::from_shape_fn(x.raw_dim(), |(n, i)| dy.row(n).sum() * reach[i]);
    (dx, dw, db)
}

pub fn dw_overwritten(x: M, w: M, dy: M) -> Three {
    let (dx, mut dw, db) = right(x, w, dy);
    for n in 0..x.nrows() {
        for ((i, o), v) in dw.indexed_iter_mut() {
            *v = x[[n, i]] * dy[[n, o]];
        }
    }
    (dx, dw, db)
}

pub fn first_example_only(x: M, w: M, dy: M) -> Three {
    let (dx, _, db) = right(x, w, dy);
    let dw =
        Array2::from_shape_fn(w.raw_dim(), |(i, o)| x[[0, i]] * dy[[0, o]]);
    (dx, dw, db)
}

pub fn divided_by_batch(x: M, w: M, dy: M) -> Three {
    let (dx, dw, db) = right(x, w, dy);
    (dx, dw / x.nrows() as f64, db)
}

pub fn bias_mean(x: M, w: M, dy: M) -> Three {
    let (dx, dw, _) = right(x, w, dy);
    (dx, dw, dy.mean_axis(Axis(0)).expect("a batch is not empty"))
}

pub fn bias_wrong_axis(x: M, w: M, dy: M) -> Three {
    let (dx, dw, _) = right(x, w, dy);
    (dx, dw, dy.sum_axis(Axis(1)))
}

pub fn bias_wrong_length(x: M, w: M, dy: M) -> Three {
    let (dx, dw, _) = right(x, w, dy);
    (dx, dw, dy.iter().copied().collect())
}

pub fn bias_one_number(x: M, w: M, dy: M) -> Three {
    let (dx, dw, mut db) = right(x, w, dy);
    let mut total = 0.;
    for v in dy {
        total += v;
    }
    db.fill(total);
    (dx, dw, db)
}

pub fn bias_times_input(x: M, w: M, dy: M) -> Three {
    let (dx, dw, mut db) = right(x, w, dy);
    db.fill(0.);
    for (xr, dyr) in x.rows().into_iter().zip(dy.rows()) {
        db = db + xr.sum() * &dyr;
    }
    (dx, dw, db)
}

pub fn does_not_run(x: M, w: M, dy: M) -> Three {
    let wide = ndarray::concatenate![Axis(1), dy, dy];
    (wide.dot(&w.t()), x.t().dot(&dy), dy.sum_axis(Axis(0)))
}

pub fn counter_symmetric() -> (Array2<f64>, Array2<f64>) {
    let x = array![[1., 2., 0.], [2., 5., 1.], [0., 1., 3.]];
    (x, Array2::eye(3))
}

pub fn columns_dw_without_transpose(w: M, a: M, dz: M) -> Three {
    (a.dot(&dz), w.dot(&dz), dz.sum_axis(Axis(1)))
}

type Factors = (Array2<f64>, Array2<f64>, Array2<f64>);

pub fn low_rank_whole_weight(x: M, u: M, v: M, dy: M) -> Factors {
    let dh = dy.dot(&v);
    (dh.dot(&u.t()), x.t().dot(&dh), dy.t().dot(&x))
}

pub fn flops_multiplications(b: u64, i: u64, o: u64, dx: bool) -> u64 {
    let one = b * i * o;
    if dx { one + one + b * o } else { one + b * o }
}

pub fn flops_always_dx(b: u64, i: u64, o: u64, _dx: bool) -> u64 {
    2 * (b * i * o) + 2 * (b * i * o) + b * o
}

pub fn flops_no_bias(b: u64, i: u64, o: u64, dx: bool) -> u64 {
    if dx { 4 * b * i * o } else { 2 * b * i * o }
}

pub fn flops_forward(b: u64, i: u64, o: u64, _dx: bool) -> u64 {
    b * o * (2 * i + 1)
}
