//! LayerNorm and RMSNorm in `f32`, into the caller's arrays.

use super::{assert_vjp, assert_width};
use crate::engine::rows::{self, Chunks, Of};
use crate::engine::simd::{mul_add, vectorised};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// Rows whose `dγ` and `dβ` are summed into one partial sum.
const ROWS: usize = 64;

/// A number costs about as much as this many plain ones.
const WORK: usize = 2;

/// How many numbers of scratch a VJP of `rows` rows of `width` needs: two
/// partial sums for every 64 rows.
pub fn scratch(rows: usize, width: usize) -> usize {
    rows.div_ceil(ROWS) * 2 * width
}

/// As [`super::layer_norm`], over `y` (N,D) and `stats` (N,2).
///
/// A mean that no `f32` holds is no loss: what rounding took off it is summed
/// again. A square above 3·10³⁸ overflows: then `r` is 0 and `y = β`.
///
/// Panics if the shapes differ, D is 0, or an array is not row-major.
#[track_caller]
pub fn layer_norm(
    x: ArrayView2<f32>,
    gamma: ArrayView1<f32>,
    beta: ArrayView1<f32>,
    eps: f32,
    y: ArrayViewMut2<f32>,
    stats: ArrayViewMut2<f32>,
) {
    const OP: &str = "layer_norm";
    assert_width(OP, &x, "gamma", gamma.len());
    assert_width(OP, &x, "beta", beta.len());
    assert_vjp(OP, &x, gamma.len(), &stats.view(), 2, &y.view());
    let width = x.ncols();
    let rows = (
        Of(flat(x), width),
        Of(flat_mut(y), width),
        Of(flat_mut(stats), 2),
    );
    let (gamma, beta) = (row(gamma), row(beta));
    rows::for_each(rows, WORK * width, |_, (x, y, stats)| {
        layer_norm_piece(x.0, gamma, beta, eps, y.0, stats.0)
    });
}

/// As [`super::layer_norm_vjp`]: `dx` over `dx` (N,D); `dgamma` and `dbeta`
/// (D) are added to. `scratch` has [`scratch`]`(N, D)` numbers, of any value.
///
/// Panics if the shapes differ, D is 0, or an array is not row-major.
#[track_caller]
#[allow(clippy::too_many_arguments)]
pub fn layer_norm_vjp(
    x: ArrayView2<f32>,
    gamma: ArrayView1<f32>,
    stats: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
    mut dgamma: ArrayViewMut1<f32>,
    mut dbeta: ArrayViewMut1<f32>,
    scratch: &mut [f32],
) {
    const OP: &str = "layer_norm vjp";
    assert_vjp(OP, &x, gamma.len(), &stats, 2, &dy);
    assert_vjp(OP, &x, dgamma.len(), &stats, 2, &dx.view());
    assert_width(OP, &x, "dbeta", dbeta.len());
    assert_scratch(OP, &x, scratch);
    let width = x.ncols();
    let gamma = row(gamma);
    let chunks = (
        Chunks(flat(x), ROWS * width),
        Chunks(flat(stats), ROWS * 2),
        Chunks(flat(dy), ROWS * width),
        Chunks(flat_mut(dx), ROWS * width),
        Of(&mut *scratch, 2 * width),
    );
    let work = WORK * ROWS * width;
    rows::for_each(chunks, work, |_, (x, stats, dy, dx, sums)| {
        let sums = sums.0.chunks_exact_mut(2 * width);
        let ins = x.0.chunks(x.1).zip(stats.0.chunks(stats.1));
        let outs = dx.0.chunks_mut(dx.1).zip(sums);
        for (((x, stats), dy), (dx, sums)) in
            ins.zip(dy.0.chunks(dy.1)).zip(outs)
        {
            sums.fill(0.);
            let (dgamma, dbeta) = sums.split_at_mut(width);
            layer_norm_vjp_piece(x, gamma, stats, dy, dx, dgamma, dbeta)
        }
    });
    for sums in scratch.chunks_exact(2 * width) {
        let (a, b) = sums.split_at(width);
        dgamma += &ArrayView1::from(a);
        dbeta += &ArrayView1::from(b);
    }
}

/// `dx` of [`layer_norm_vjp`] alone.
///
/// Panics if the shapes differ, D is 0, or an array is not row-major.
#[track_caller]
pub fn layer_norm_vjp_input(
    x: ArrayView2<f32>,
    gamma: ArrayView1<f32>,
    stats: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
) {
    const OP: &str = "layer_norm vjp";
    assert_vjp(OP, &x, gamma.len(), &stats, 2, &dy);
    assert_vjp(OP, &x, gamma.len(), &stats, 2, &dx.view());
    let (width, gamma) = (x.ncols(), row(gamma));
    let rows = (
        Of(flat(x), width),
        Of(flat(stats), 2),
        Of(flat(dy), width),
        Of(flat_mut(dx), width),
    );
    rows::for_each(rows, WORK * width, |_, (x, stats, dy, dx)| {
        layer_norm_vjp_piece(x.0, gamma, stats.0, dy.0, dx.0, &mut [], &mut [])
    });
}

/// As [`super::rms_norm`], over `y` (N,D) and `stats` (N,1).
///
/// Panics if the shapes differ, D is 0, or an array is not row-major.
#[track_caller]
pub fn rms_norm(
    x: ArrayView2<f32>,
    gamma: ArrayView1<f32>,
    eps: f32,
    y: ArrayViewMut2<f32>,
    stats: ArrayViewMut2<f32>,
) {
    const OP: &str = "rms_norm";
    assert_vjp(OP, &x, gamma.len(), &stats.view(), 1, &y.view());
    let (width, gamma) = (x.ncols(), row(gamma));
    let rows = (Of(flat(x), width), Of(flat_mut(y), width), flat_mut(stats));
    rows::for_each(rows, WORK * width, |_, (x, y, stats)| {
        rms_norm_piece(x.0, gamma, eps, y.0, stats)
    });
}

/// As [`super::rms_norm_vjp`]: `dx` over `dx` (N,D); `dgamma` (D) is added to.
/// `scratch` has [`scratch`]`(N, D)` numbers, of any value.
///
/// Panics if the shapes differ, D is 0, or an array is not row-major.
#[track_caller]
pub fn rms_norm_vjp(
    x: ArrayView2<f32>,
    gamma: ArrayView1<f32>,
    stats: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
    mut dgamma: ArrayViewMut1<f32>,
    scratch: &mut [f32],
) {
    const OP: &str = "rms_norm vjp";
    assert_vjp(OP, &x, gamma.len(), &stats, 1, &dy);
    assert_vjp(OP, &x, dgamma.len(), &stats, 1, &dx.view());
    assert_scratch(OP, &x, scratch);
    let width = x.ncols();
    let gamma = row(gamma);
    let chunks = (
        Chunks(flat(x), ROWS * width),
        Chunks(flat(stats), ROWS),
        Chunks(flat(dy), ROWS * width),
        Chunks(flat_mut(dx), ROWS * width),
        Of(&mut *scratch, 2 * width),
    );
    let work = WORK * ROWS * width;
    rows::for_each(chunks, work, |_, (x, stats, dy, dx, sums)| {
        let sums = sums.0.chunks_exact_mut(2 * width);
        let ins = x.0.chunks(x.1).zip(stats.0.chunks(stats.1));
        let outs = dx.0.chunks_mut(dx.1).zip(sums);
        for (((x, stats), dy), (dx, sums)) in
            ins.zip(dy.0.chunks(dy.1)).zip(outs)
        {
            let dgamma = &mut sums[..width];
            dgamma.fill(0.);
            rms_norm_vjp_piece(x, gamma, stats, dy, dx, dgamma)
        }
    });
    for sums in scratch.chunks_exact(2 * width) {
        dgamma += &ArrayView1::from(&sums[..width]);
    }
}

/// `dx` of [`rms_norm_vjp`] alone.
///
/// Panics if the shapes differ, D is 0, or an array is not row-major.
#[track_caller]
pub fn rms_norm_vjp_input(
    x: ArrayView2<f32>,
    gamma: ArrayView1<f32>,
    stats: ArrayView2<f32>,
    dy: ArrayView2<f32>,
    dx: ArrayViewMut2<f32>,
) {
    const OP: &str = "rms_norm vjp";
    assert_vjp(OP, &x, gamma.len(), &stats, 1, &dy);
    assert_vjp(OP, &x, gamma.len(), &stats, 1, &dx.view());
    let (width, gamma) = (x.ncols(), row(gamma));
    let rows = (
        Of(flat(x), width),
        flat(stats),
        Of(flat(dy), width),
        Of(flat_mut(dx), width),
    );
    rows::for_each(rows, WORK * width, |_, (x, stats, dy, dx)| {
        rms_norm_vjp_piece(x.0, gamma, stats, dy.0, dx.0, &mut [])
    });
}

vectorised! {
    fn layer_norm_piece, layer_norm_at(
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        eps: f32,
        y: &mut [f32],
        stats: &mut [f32],
    ) = layer_norm_body;
    fn layer_norm_vjp_piece, layer_norm_vjp_at(
        x: &[f32],
        gamma: &[f32],
        stats: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) = layer_norm_vjp_body;
    fn rms_norm_piece, rms_norm_at(
        x: &[f32],
        gamma: &[f32],
        eps: f32,
        y: &mut [f32],
        stats: &mut [f32],
    ) = rms_norm_body;
    fn rms_norm_vjp_piece, rms_norm_vjp_at(
        x: &[f32],
        gamma: &[f32],
        stats: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        dgamma: &mut [f32],
    ) = rms_norm_vjp_body;
}

#[inline(always)]
fn layer_norm_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    y: &mut [f32],
    stats: &mut [f32],
) {
    let width = gamma.len();
    let beta = &beta[..width];
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for ((x, y), stats) in rows.zip(stats.chunks_exact_mut(2)) {
        let [mu] = means([x], |[x]| [x]);
        // From here on x - μ, which is exact where it matters: near μ. Its
        // mean is what rounding took off μ.
        let [rest, square] = means([x], |[x]| {
            let d = x - mu;
            [d, d * d]
        });
        let variance = square - rest * rest;
        let variance = if variance < 0. { 0. } else { variance };
        let r = 1. / (variance + eps).sqrt();
        let shift = -rest * r;
        for i in 0..width {
            let x_hat = mul_add::<FMA>(x[i] - mu, r, shift);
            y[i] = mul_add::<FMA>(gamma[i], x_hat, beta[i]);
        }
        stats[0] = mu + rest;
        stats[1] = r;
    }
}

/// Without `dgamma` and `dbeta`, if they are empty.
#[inline(always)]
fn layer_norm_vjp_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    stats: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let width = gamma.len();
    let rows = x.chunks_exact(width).zip(stats.chunks_exact(2));
    let cotangents = dy.chunks_exact(width).zip(dx.chunks_exact_mut(width));
    for ((x, stats), (dy, dx)) in rows.zip(cotangents) {
        let (mu, r) = (stats[0], stats[1]);
        let [rest, along_one, along_d] = means([x, dy, gamma], |[x, dy, g]| {
            let (d, g) = (x - mu, dy * g);
            [d, g, g * d]
        });
        let along_x_hat = r * (along_d - rest * along_one);
        let shift = -rest * r;
        for i in 0..width {
            let x_hat = mul_add::<FMA>(x[i] - mu, r, shift);
            // Rounded like the terms of the mean: with D = 1 they cancel.
            let g = dy[i] * gamma[i] - along_one;
            dx[i] = r * mul_add::<FMA>(-x_hat, along_x_hat, g);
        }
        if !dgamma.is_empty() {
            let (dgamma, dbeta) = (&mut dgamma[..width], &mut dbeta[..width]);
            for i in 0..width {
                let x_hat = mul_add::<FMA>(x[i] - mu, r, shift);
                dgamma[i] = mul_add::<FMA>(dy[i], x_hat, dgamma[i]);
                dbeta[i] += dy[i];
            }
        }
    }
}

#[inline(always)]
fn rms_norm_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    eps: f32,
    y: &mut [f32],
    stats: &mut [f32],
) {
    let width = gamma.len();
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for ((x, y), stats) in rows.zip(stats) {
        let [square] = means([x], |[x]| [x * x]);
        let r = 1. / (square + eps).sqrt();
        for i in 0..width {
            y[i] = gamma[i] * (x[i] * r);
        }
        *stats = r;
    }
}

/// Without `dgamma`, if it is empty.
#[inline(always)]
fn rms_norm_vjp_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    stats: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dgamma: &mut [f32],
) {
    let width = gamma.len();
    let rows = x.chunks_exact(width).zip(stats);
    let cotangents = dy.chunks_exact(width).zip(dx.chunks_exact_mut(width));
    for ((x, &r), (dy, dx)) in rows.zip(cotangents) {
        let [along_x] = means([x, dy, gamma], |[x, dy, g]| [dy * g * x]);
        let along_x_hat = along_x * r;
        for i in 0..width {
            let g = dy[i] * gamma[i];
            dx[i] = r * mul_add::<FMA>(-(x[i] * r), along_x_hat, g);
        }
        if !dgamma.is_empty() {
            let dgamma = &mut dgamma[..width];
            for i in 0..width {
                dgamma[i] = mul_add::<FMA>(dy[i], x[i] * r, dgamma[i]);
            }
        }
    }
}

/// Running sums of each mean: fixed, so that the bits are the same whatever
/// the vector width.
const LANES: usize = 16;

/// The means of the values of `f` over the entries of equally long rows.
#[inline(always)]
fn means<const IN: usize, const OUT: usize>(
    rows: [&[f32]; IN],
    f: impl Fn([f32; IN]) -> [f32; OUT],
) -> [f32; OUT] {
    let width = rows[0].len();
    let rows = rows.map(|r| &r[..width]);
    let mut sums = [[0.; LANES]; OUT];
    let whole = width - width % LANES;
    for start in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            let values = f(rows.map(|r| r[start + lane]));
            for (sums, value) in sums.iter_mut().zip(values) {
                sums[lane] += value;
            }
        }
    }
    for i in whole..width {
        for (sums, value) in sums.iter_mut().zip(f(rows.map(|r| r[i]))) {
            sums[i - whole] += value;
        }
    }
    sums.map(|mut sums| {
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        sums[0] / width as f32
    })
}

#[track_caller]
fn flat(x: ArrayView2<'_, f32>) -> &[f32] {
    x.to_slice().expect("a norm's arrays are row-major")
}

#[track_caller]
fn flat_mut(x: ArrayViewMut2<'_, f32>) -> &mut [f32] {
    x.into_slice().expect("a norm's arrays are row-major")
}

#[track_caller]
fn row(x: ArrayView1<'_, f32>) -> &[f32] {
    x.to_slice().expect("a norm's parameters have no gaps")
}

#[track_caller]
fn assert_scratch(op: &str, x: &ArrayView2<f32>, scratch: &[f32]) {
    let (want, got) = (self::scratch(x.nrows(), x.ncols()), scratch.len());
    assert_eq!(want, got, "{op}: x {:?} and scratch [{got}]", x.shape());
}
