//! Right answers, written differently.

use backprop::discrete::straight_through::{Grid, gumbel, quantise, sign, vq};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

pub fn quantise_loops(
    w: ArrayView2<f64>,
    s: f64,
    low: f64,
    high: f64,
) -> Array2<f64> {
    let mut out = Array2::zeros(w.dim());
    for r in 0..w.nrows() {
        for c in 0..w.ncols() {
            let mut code = (w[[r, c]] / s).round_ties_even();
            if code < low {
                code = low;
            } else if code > high {
                code = high;
            }
            out[[r, c]] = code * s;
        }
    }
    out
}

/// Clamped first: the ends are values of the grid.
pub fn quantise_clamped_first(
    w: ArrayView2<f64>,
    s: f64,
    low: f64,
    high: f64,
) -> Array2<f64> {
    (&w / s).mapv(|v| v.clamp(low, high).round_ties_even()) * s
}

/// A product with the mask.
pub fn quantise_vjp_mask(
    w: ArrayView2<f64>,
    s: f64,
    low: f64,
    high: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    let code = w.mapv(|w| (w / s).round_ties_even());
    let mask = code.mapv(|c| f64::from(u8::from(c.clamp(low, high) == c)));
    mask * dy
}

/// By what the clamp did to the code.
pub fn quantise_vjp_in_place(
    w: ArrayView2<f64>,
    s: f64,
    low: f64,
    high: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    let mut dw = dy.to_owned();
    for (d, w) in dw.iter_mut().zip(w.iter()) {
        let code = (w / s).round_ties_even();
        if code > high || code < low {
            *d = 0.;
        }
    }
    dw
}

pub fn layer_loops(x: ArrayView2<f64>, w: ArrayView2<f64>) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), w.ncols()), |(n, o)| {
        let mut sum = 0.;
        for i in 0..x.ncols() {
            sum += if w[[i, o]] < 0. {
                -x[[n, i]]
            } else {
                x[[n, i]]
            };
        }
        sum
    })
}

pub fn layer_vjp_loops(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let (mut dx, mut dw) = (Array2::zeros(x.dim()), Array2::zeros(w.dim()));
    for ((n, o), d) in dy.indexed_iter() {
        for i in 0..x.ncols() {
            let w = w[[i, o]];
            dx[[n, i]] += if w < 0. { -d } else { *d };
            if (-1. ..=1.).contains(&w) {
                dw[[i, o]] += x[[n, i]] * d;
            }
        }
    }
    (dx, dw)
}

/// The hard tanh's slope, written as a product.
pub fn layer_vjp_product(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    dy: ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let inside = w.mapv(|w| if w.abs() > 1. { 0. } else { 1. });
    (
        sign(w).dot(&dy.t()).reversed_axes(),
        x.t().dot(&dy) * inside,
    )
}

/// By a counter of codes and one sum.
pub fn walk_by_sum(
    w: f64,
    target: f64,
    lr: f64,
    steps: usize,
) -> (Vec<f64>, f64) {
    let mut at = w;
    let codes: Vec<f64> = (0..steps)
        .map(|_| {
            let code = at.round_ties_even();
            at += 2. * lr * (target - code);
            code
        })
        .collect();
    (codes, at)
}

pub fn train_by_library(
    x: ArrayView2<f64>,
    t: ArrayView1<f64>,
    w: ArrayView1<f64>,
    (scale, low, high): (f64, f64, f64),
    lr: f64,
    steps: usize,
) -> Vec<f64> {
    use backprop::discrete::straight_through::descent;
    let grid = Grid { scale, low, high };
    let all = descent::tune(x, t, w, grid, lr, steps);
    let loss =
        |w: &Array1<f64>| descent::loss(x, t, quantise(w.view(), grid).view());
    all.iter().map(loss).collect()
}

/// Example by example.
pub fn train_loops(
    x: ArrayView2<f64>,
    t: ArrayView1<f64>,
    w: ArrayView1<f64>,
    (s, low, high): (f64, f64, f64),
    lr: f64,
    steps: usize,
) -> Vec<f64> {
    let n = t.len();
    let mut w = w.to_vec();
    let mut losses = vec![];
    loop {
        let code: Vec<f64> =
            w.iter().map(|w| (w / s).round_ties_even()).collect();
        let (mut loss, mut d) = (0., vec![0.; w.len()]);
        for n in 0..n {
            let mut error = -t[n];
            for (x, c) in x.row(n).iter().zip(&code) {
                error += x * s * c.clamp(low, high);
            }
            loss += error * error;
            for (d, x) in d.iter_mut().zip(x.row(n)) {
                *d += error * x;
            }
        }
        losses.push(0.5 * loss / n as f64);
        if losses.len() > steps {
            return losses;
        }
        for i in 0..w.len() {
            if low <= code[i] && code[i] <= high {
                w[i] -= lr * d[i] / n as f64;
            }
        }
    }
}

pub fn codebook_by_selection(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    beta: f64,
) -> (Array2<f64>, Array1<f64>) {
    let k: Vec<usize> = (z.rows().into_iter())
        .map(|z| {
            let far: Vec<f64> = e
                .rows()
                .into_iter()
                .map(|e| (&z - &e).pow2().sum())
                .collect();
            let least = far.iter().copied().fold(f64::INFINITY, f64::min);
            far.iter().position(|f| *f == least).expect("one of them")
        })
        .collect();
    let q = e.select(Axis(0), &k);
    let off = &z - &q;
    let l = (&off * &off).sum_axis(Axis(1));
    (q, &l + &(&l * beta))
}

/// Choices as rows with a single 1.
pub fn codebook_vjp_by_products(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    beta: f64,
    dq: ArrayView2<f64>,
    dl: ArrayView1<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let mut one_hot = Array2::<f64>::zeros((z.nrows(), e.nrows()));
    for (n, k) in vq::nearest(z, e).into_iter().enumerate() {
        one_hot[[n, k]] = 1.;
    }
    let off = (&z - &one_hot.dot(&e)) * dl.insert_axis(Axis(1));
    (&off * (2. * beta) + dq, one_hot.t().dot(&off) * -2.)
}

pub fn gumbel_by_powers(
    x: ArrayView2<f64>,
    u: ArrayView2<f64>,
    tau: f64,
) -> (Array2<f64>, Array2<f64>) {
    let mut soft = Zip::from(&x).and(&u).map_collect(|x, u| {
        let time = -u.ln();
        (x - time.ln()) / tau
    });
    let mut hard = Array2::zeros(x.dim());
    for (mut row, mut to) in soft.rows_mut().into_iter().zip(hard.rows_mut()) {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = row.iter().position(|v| *v == most).expect("one");
        to[first] = 1.;
        row.mapv_inplace(|v| (v - most).exp());
        let sum = row.sum();
        row /= sum;
    }
    (soft, hard)
}

pub fn gumbel_vjp_by_rows(
    soft: ArrayView2<f64>,
    tau: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    let mut dx = Array2::zeros(soft.dim());
    for n in 0..soft.nrows() {
        let (y, d) = (soft.row(n), dy.row(n));
        let mean = y.dot(&d);
        for v in 0..y.len() {
            dx[[n, v]] = y[v] / tau * (d[v] - mean);
        }
    }
    dx
}

pub fn gumbel_vjp_by_library(
    soft: ArrayView2<f64>,
    tau: f64,
    dy: ArrayView2<f64>,
) -> Array2<f64> {
    softmax::vjp(soft, (&dy / tau).view())
}

pub fn gumbel_by_library(
    x: ArrayView2<f64>,
    u: ArrayView2<f64>,
    tau: f64,
) -> (Array2<f64>, Array2<f64>) {
    let soft = gumbel::forward(x, gumbel::noise(u).view(), tau);
    let hard = gumbel::hard(soft.view());
    (soft, hard)
}

pub fn neuron_by_weight(
    x: ArrayView2<f64>,
    w: ArrayView1<f64>,
    s: f64,
    low: f64,
    high: f64,
    dy: ArrayView1<f64>,
) -> (Array2<f64>, Array1<f64>) {
    let grid = Grid {
        scale: s,
        low,
        high,
    };
    let w_hat = quantise(w, grid);
    let mut dx = Array2::zeros(x.dim());
    let mut dw = Array1::zeros(w.len());
    for i in 0..w.len() {
        for n in 0..x.nrows() {
            dx[[n, i]] = dy[n] * w_hat[i];
            if grid.has(w[i]) {
                dw[i] += dy[n] * x[[n, i]];
            }
        }
    }
    (dx, dw)
}

pub fn codebook_by_library(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    beta: f64,
) -> (Array2<f64>, Array1<f64>) {
    vq::forward(z, e, &vq::nearest(z, e), beta)
}

pub fn codebook_vjp_by_library(
    z: ArrayView2<f64>,
    e: ArrayView2<f64>,
    beta: f64,
    dq: ArrayView2<f64>,
    dl: ArrayView1<f64>,
) -> (Array2<f64>, Array2<f64>) {
    vq::vjp(z, e, &vq::nearest(z, e), beta, dq, dl)
}
