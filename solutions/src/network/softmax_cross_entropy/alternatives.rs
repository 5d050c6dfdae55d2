//! Right answers, written differently.

use super::twins::{M, V};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, Axis};

/// Row by row through the explicit Jacobian: right, and V² work.
pub fn vjp_through_jacobian(y: M, dy: M) -> Array2<f64> {
    let mut dx = Array2::zeros(y.raw_dim());
    for b in 0..y.nrows() {
        for j in 0..y.ncols() {
            for i in 0..y.ncols() {
                let delta = if i == j { 1. } else { 0. };
                let slope = delta - y[[b, j]] * y[[b, j]];
                dx[[b, j]] += dy[[b, i]] * y[[b, i]] * slope / 2.;
            }
        }
    }
    dx
}

/// Pairs of classes: `dx_i = ½ y_i Σ_j y_j (y_j dy_i - y_i dy_j)`, since
/// `Σ_j y_j² = 1`.
pub fn vjp_by_pairs(y: M, dy: M) -> Array2<f64> {
    Array2::from_shape_fn(y.raw_dim(), |(b, i)| {
        let others = (0..y.ncols()).map(|j| {
            let gap = y[[b, j]] * dy[[b, i]] - y[[b, i]] * dy[[b, j]];
            y[[b, j]] * gap
        });
        y[[b, i]] / 2. * others.sum::<f64>()
    })
}

/// In place: multiply first, then take the row's total away, then halve.
pub fn vjp_in_place(y: M, dy: M) -> Array2<f64> {
    let mut dx = &y * &dy;
    for (mut dx, y) in dx.rows_mut().into_iter().zip(y.rows()) {
        let total = dx.sum();
        dx.zip_mut_with(&y, |dx, y| *dx -= total * y * y);
    }
    dx / 2.
}

/// Through its Jacobian, `I - 1·pᵀ`, row by row.
pub fn log_vjp_through_jacobian(y: M, dy: M) -> Array2<f64> {
    let mut dx = dy.to_owned();
    for (y, mut dx) in y.rows().into_iter().zip(dx.rows_mut()) {
        let ones = Array2::ones((y.len(), 1));
        let jacobian =
            Array2::eye(y.len()) - ones.dot(&y.exp().insert_axis(Axis(0)));
        let product = jacobian.t().dot(&dx);
        dx.assign(&product);
    }
    dx
}

/// Entry by entry.
pub fn log_vjp_loops(y: M, dy: M) -> Array2<f64> {
    let mut dx = dy.to_owned();
    for b in 0..y.nrows() {
        let mut total = 0.;
        for k in 0..y.ncols() {
            total += dy[[b, k]];
        }
        for v in 0..y.ncols() {
            dx[[b, v]] -= total * y[[b, v]].exp();
        }
    }
    dx
}

/// `lse - ⟨t, x⟩`: uses that a row of targets sums to 1.
pub fn loss_by_lse(x: M, t: M) -> f64 {
    let mut sum = 0.;
    for (x, t) in x.rows().into_iter().zip(t.rows()) {
        let m = x.iter().copied().fold(x[0], f64::max);
        let s: f64 = x.iter().map(|v| (v - m).exp()).sum();
        sum += m + s.ln() - x.dot(&t);
    }
    sum / x.nrows() as f64
}

/// Streaming: one pass per row with a running maximum.
pub fn loss_streaming(x: M, t: M) -> f64 {
    let rows = x.rows().into_iter().zip(t.rows());
    let cost = rows.map(|(x, t)| {
        let (mut m, mut s) = (f64::NEG_INFINITY, 0.);
        for &v in x {
            if v > m {
                s = s * (m - v).exp() + 1.;
                m = v;
            } else {
                s += (v - m).exp();
            }
        }
        let lse = m + f64::ln(s);
        x.iter().zip(t).map(|(x, t)| t * (lse - x)).sum::<f64>()
    });
    cost.sum::<f64>() / x.nrows() as f64
}

/// Through log-softmax: its VJP with the cotangent `-t·dloss/B`.
pub fn loss_vjp_through_log_softmax(x: M, t: M, dloss: f64) -> Array2<f64> {
    let y = softmax::log_softmax(x);
    let dy = &t * (-dloss / x.nrows() as f64);
    softmax::log_softmax_vjp(y.view(), dy.view())
}

/// Pairs of logits: `p_i = 1/Σ_j exp(x_j - x_i)`, where ∞ is no harm.
pub fn loss_vjp_by_pairs(x: M, t: M, dloss: f64) -> Array2<f64> {
    Array2::from_shape_fn(x.raw_dim(), |(b, i)| {
        let s: f64 = x.row(b).iter().map(|v| (v - x[[b, i]]).exp()).sum();
        (1. / s - t[[b, i]]) * dloss / x.nrows() as f64
    })
}

/// As a chain: the loss, the softmax, the division.
pub fn tempered_chain(
    x: M,
    labels: &[usize],
    smoothing: f64,
    tau: f64,
    dloss: f64,
) -> (Array2<f64>, f64) {
    let t = softmax::targets(labels, x.ncols(), smoothing);
    let (_, p) = softmax::cross_entropy((&x / tau).view(), t.view());
    let dz = softmax::cross_entropy_vjp(p.view(), t.view(), dloss);
    let slope = -1. / (tau * tau);
    let mut dtau = 0.;
    for (d, x) in dz.iter().zip(&x) {
        dtau += d * x * slope;
    }
    (dz.mapv(|d| d / tau), dtau)
}

/// Without target rows: from labels, in place.
pub fn tempered_in_place(
    x: M,
    labels: &[usize],
    smoothing: f64,
    tau: f64,
    dloss: f64,
) -> (Array2<f64>, f64) {
    let mut dx = softmax::tempered(x, tau);
    dx -= smoothing / x.ncols() as f64;
    for (b, &v) in labels.iter().enumerate() {
        dx[[b, v]] -= 1. - smoothing;
    }
    dx *= dloss / (tau * x.nrows() as f64);
    let dtau = -(&dx * &x).sum() / tau;
    (dx, dtau)
}

/// From the library's two-class loss, example by example.
pub fn binary_by_library(x: V, t: V, w: f64) -> f64 {
    let mut sum = 0.;
    for (x, t) in x.iter().zip(t) {
        let of = |target: f64| {
            let x = Array1::from_elem(1, *x);
            let t = Array1::from_elem(1, target);
            softmax::binary::cross_entropy(x.view(), t.view()).0
        };
        sum += w * t * of(1.) + (1. - t) * of(0.);
    }
    sum / x.len() as f64
}

/// By cases: a positive example pushes up, a negative one down.
pub fn binary_vjp_by_cases(x: V, t: V, w: f64, dloss: f64) -> Array1<f64> {
    let scale = dloss / x.len() as f64;
    let sigmoid = |x: f64| {
        if x < 0. {
            let e = x.exp();
            e / (1. + e)
        } else {
            1. / (1. + (-x).exp())
        }
    };
    let both = x.iter().zip(t);
    both.map(|(&x, &t)| scale * ((1. - t) * sigmoid(x) - w * t * sigmoid(-x)))
        .collect()
}

/// The lookup with the Jacobian in full.
pub fn lookup_through_jacobian(
    x: M,
    e: M,
    dy: M,
) -> (Array2<f64>, Array2<f64>) {
    let p = softmax::forward(x);
    let mut dx = Array2::zeros(x.raw_dim());
    for b in 0..x.nrows() {
        let dp = e.dot(&dy.row(b));
        let j = softmax::jacobian(p.row(b));
        dx.row_mut(b).assign(&j.dot(&dp));
    }
    (dx, p.t().dot(&dy))
}

/// The loss from log-softmax, the gradient from softmax.
pub fn mended_by_hand(x: M, t: M) -> (f64, Array2<f64>) {
    let loss = -(softmax::log_softmax(x) * t).sum() / x.nrows() as f64;
    (loss, (softmax::forward(x) - t) / x.nrows() as f64)
}

/// Row by row.
pub fn work_by_row(rows: u64, classes: u64) -> [u64; 3] {
    let mut total = [0; 3];
    for _ in 0..rows {
        total[0] += classes.pow(2);
        total[1] += 2 * classes.pow(2);
        // products for the dot, their sum, the differences, the products
        total[2] += classes + classes + classes + classes;
    }
    total
}

/// The row's dot product by a matrix product with ones.
pub fn vjp_by_ones(y: M, dy: M) -> Array2<f64> {
    let s = (&y * &dy)
        .dot(&Array1::ones(y.ncols()))
        .insert_axis(Axis(1));
    (&y * &dy - &y * &y * &s) / 2.
}
