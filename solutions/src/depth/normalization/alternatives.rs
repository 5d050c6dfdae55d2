//! Right answers, written differently.

use super::answer;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate, s};

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;
type Three = (Array2<f64>, Array1<f64>, Array1<f64>);

/// Loops over rows and entries.
pub fn layer_loops(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (n, d) = x.dim();
    let mut dx = Array2::zeros((n, d));
    let (mut dgamma, mut dbeta) = (Array1::zeros(d), Array1::zeros(d));
    for i in 0..n {
        let (mu, r) = (stats[[i, 0]], stats[[i, 1]]);
        let (mut one, mut along) = (0., 0.);
        for j in 0..d {
            let x_hat = (x[[i, j]] - mu) * r;
            let g = dy[[i, j]] * gamma[j];
            one += g / d as f64;
            along += g * x_hat / d as f64;
            dgamma[j] += dy[[i, j]] * x_hat;
            dbeta[j] += dy[[i, j]];
        }
        for j in 0..d {
            let x_hat = (x[[i, j]] - mu) * r;
            dx[[i, j]] = r * (dy[[i, j]] * gamma[j] - one - x_hat * along);
        }
    }
    (dx, dgamma, dbeta)
}

/// By the graph: through x̂, r, the variance, the differences and the mean.
pub fn layer_graph(x: M, gamma: V, stats: M, dy: M) -> Three {
    let d = x.ncols() as f64;
    let row = |a: Array2<f64>| a.sum_axis(Axis(1)).insert_axis(Axis(1));
    let (mu, r) = (stats.slice(s![.., ..1]), stats.slice(s![.., 1..]));
    let c = &x - &mu;
    let g = &dy * &gamma;
    let dr = row(&g * &c);
    let dv = -0.5 * dr * r.mapv(|r| r.powi(3));
    let dc = &g * &r + &c * &(2. / d * dv);
    let dmu = -row(dc.clone());
    let dx = dc + dmu / d;
    (
        dx,
        (dy.to_owned() * c * r).sum_axis(Axis(0)),
        dy.sum_axis(Axis(0)),
    )
}

/// By a matrix for each row: the Jacobian, written out.
pub fn layer_jacobian(x: M, gamma: V, stats: M, dy: M) -> Three {
    let d = x.ncols();
    let mut dx = Array2::zeros(x.raw_dim());
    let mut x_hat = Array2::zeros(x.raw_dim());
    for n in 0..x.nrows() {
        let row = x.row(n).mapv(|x| (x - stats[[n, 0]]) * stats[[n, 1]]);
        let j = Array2::from_shape_fn((d, d), |(a, b)| {
            let unit = if a == b { 1. } else { 0. };
            (unit - (1. + row[a] * row[b]) / d as f64) * stats[[n, 1]]
        });
        dx.row_mut(n).assign(&j.dot(&(&dy.row(n) * &gamma)));
        x_hat.row_mut(n).assign(&row);
    }
    (dx, (&dy * &x_hat).sum_axis(Axis(0)), dy.sum_axis(Axis(0)))
}

/// Row by row.
pub fn rms_rows(x: M, gamma: V, eps: f64, dy: M) -> (Array2<f64>, Array1<f64>) {
    let mut dx = Array2::zeros(x.raw_dim());
    let mut dgamma = Array1::zeros(x.ncols());
    for ((x, dy), mut dx) in
        x.rows().into_iter().zip(dy.rows()).zip(dx.rows_mut())
    {
        let d = x.len() as f64;
        let s = (x.dot(&x) / d + eps).sqrt();
        let g = &dy * &gamma;
        dx.assign(&(&g / s - &x * (g.dot(&x) / (d * s.powi(3)))));
        dgamma += &(&dy * &x / s);
    }
    (dx, dgamma)
}

/// LayerNorm of a row and its mirror image, which has the mean 0.
pub fn rms_mirrored(
    x: M,
    gamma: V,
    eps: f64,
    dy: M,
) -> (Array2<f64>, Array1<f64>) {
    let d = x.ncols();
    let wide = concatenate![Axis(1), x, -&x];
    let square = (&x * &x).sum_axis(Axis(1)) / d as f64 + eps;
    let r = square.sqrt().recip();
    let mu = Array1::zeros(x.nrows());
    let stats = ndarray::stack![Axis(1), mu, r];
    let twice = concatenate![Axis(0), gamma, gamma];
    // Each half has half of the cotangent: the other's is its mirror image.
    let half = &dy * 0.5;
    let both = concatenate![Axis(1), half, -&half];
    let (dx, dg, _) = answer::layer_norm_vjp(
        wide.view(),
        twice.view(),
        stats.view(),
        both.view(),
    );
    let dx = &dx.slice(s![.., ..d]) - &dx.slice(s![.., d..]);
    (dx, &dg.slice(s![..d]) + &dg.slice(s![d..]))
}

/// LayerNorm of the columns as rows, γ afterwards.
pub fn batch_turned(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let rows = x.t();
    let b = x.nrows() as f64;
    let mu = rows.sum_axis(Axis(1)) / b;
    let c = &rows - &mu.view().insert_axis(Axis(1));
    let r = ((&c * &c).sum_axis(Axis(1)) / b + eps).sqrt().recip();
    let stats = ndarray::stack![Axis(1), mu, r];
    let one = Array1::ones(x.nrows());
    let (dx, ..) =
        answer::layer_norm_vjp(rows, one.view(), stats.view(), dy.t());
    let x_hat = c * r.insert_axis(Axis(1));
    let dgamma = (&dy.t() * &x_hat).sum_axis(Axis(1));
    let dx = dx.reversed_axes() * gamma;
    (dx, dgamma, dy.sum_axis(Axis(0)))
}

/// Column by column, by the graph.
pub fn batch_columns(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let (b, d) = x.dim();
    let n = b as f64;
    let mut dx = Array2::zeros((b, d));
    let (mut dgamma, mut dbeta) = (Array1::zeros(d), Array1::zeros(d));
    for j in 0..d {
        let (x, dy) = (x.column(j), dy.column(j));
        let mu = x.sum() / n;
        let v = x.iter().map(|x| (x - mu).powi(2)).sum::<f64>() / n;
        let s = (v + eps).sqrt();
        let mut dv = 0.;
        for (x, dy) in x.iter().zip(dy) {
            dgamma[j] += dy * (x - mu) / s;
            dbeta[j] += dy;
            dv -= dy * gamma[j] * (x - mu) / (2. * s.powi(3));
        }
        let dmu = -gamma[j] * dbeta[j] / s;
        for (i, (x, dy)) in x.iter().zip(dy).enumerate() {
            let direct = dy * gamma[j] / s;
            dx[[i, j]] = direct + dv * 2. * (x - mu) / n + dmu / n;
        }
    }
    (dx, dgamma, dbeta)
}

/// Entry by entry.
pub fn eval_loops(
    x: M,
    gamma: V,
    mean: V,
    variance: V,
    eps: f64,
    dy: M,
) -> Three {
    let s = |j: usize| (variance[j] + eps).sqrt();
    let dx = Array2::from_shape_fn(x.raw_dim(), |(i, j)| {
        dy[[i, j]] * gamma[j] / s(j)
    });
    let dgamma = Array1::from_shape_fn(x.ncols(), |j| {
        let column = (0..x.nrows()).map(|i| dy[[i, j]] * (x[[i, j]] - mean[j]));
        column.sum::<f64>() / s(j)
    });
    (dx, dgamma, dy.sum_axis(Axis(0)))
}

/// As a step towards the batch.
pub fn running_step(
    mean: V,
    variance: V,
    x: M,
    momentum: f64,
) -> (Array1<f64>, Array1<f64>) {
    let momentum = if x.nrows() > 1 { momentum } else { 0. };
    let mu = x.mean_axis(Axis(0)).expect("an example");
    let unbiased = x.var_axis(Axis(0), 1.).mapv(|v| v.max(0.));
    (
        &mean + &((mu - mean) * momentum),
        &variance + &((unbiased - variance) * momentum),
    )
}

/// Column by column.
pub fn running_columns(
    mean: V,
    variance: V,
    x: M,
    momentum: f64,
) -> (Array1<f64>, Array1<f64>) {
    let (mut means, mut variances) = (mean.to_owned(), variance.to_owned());
    for (j, column) in x.columns().into_iter().enumerate() {
        let n = column.len() as f64;
        if n < 2. {
            continue;
        }
        let mu = column.sum() / n;
        let v = column.iter().map(|x| (x - mu) * (x - mu)).sum::<f64>();
        means[j] = (1. - momentum) * means[j] + momentum * mu;
        variances[j] = (1. - momentum) * variances[j] + momentum * v / (n - 1.);
    }
    (means, variances)
}

/// Parts as rows of LayerNorm, with γ already in the cotangent.
pub fn group_as_rows(x: M, groups: usize, gamma: V, eps: f64, dy: M) -> Three {
    let (n, d) = x.dim();
    let shape = (n * groups, d / groups);
    let cut = |a: M| a.to_owned().into_shape_clone(shape).unwrap();
    let (rows, g) = (cut(x), cut((&dy * &gamma).view()));
    let mu = rows.mean_axis(Axis(1)).expect("a part");
    let r = rows.var_axis(Axis(1), 0.).mapv(|v| 1. / (v + eps).sqrt());
    let stats = ndarray::stack![Axis(1), mu, r];
    let one = Array1::ones(d / groups);
    let (dx, ..) =
        answer::layer_norm_vjp(rows.view(), one.view(), stats.view(), g.view());
    let x_hat = (&rows - &mu.insert_axis(Axis(1))) * r.insert_axis(Axis(1));
    let x_hat = x_hat.into_shape_with_order((n, d)).unwrap();
    let dx = dx.into_shape_with_order((n, d)).unwrap();
    (dx, (&dy * &x_hat).sum_axis(Axis(0)), dy.sum_axis(Axis(0)))
}

/// Group by group, each a LayerNorm of its columns.
pub fn group_by_columns(
    x: M,
    groups: usize,
    gamma: V,
    eps: f64,
    dy: M,
) -> Three {
    let long = x.ncols() / groups;
    let each = (0..groups).map(|k| {
        let part = s![.., k * long..(k + 1) * long];
        let (x, dy) = (x.slice(part), dy.slice(part));
        let mu = x.mean_axis(Axis(1)).expect("a part");
        let r = x.var_axis(Axis(1), 0.).mapv(|v| 1. / (v + eps).sqrt());
        let stats = ndarray::stack![Axis(1), mu, r];
        let gamma = gamma.slice(s![k * long..(k + 1) * long]);
        layer_loops(x, gamma, stats.view(), dy)
    });
    let each: Vec<_> = each.collect();
    let views: Vec<_> = each.iter().map(|e| e.0.view()).collect();
    let dgamma: Vec<_> = each.iter().map(|e| e.1.view()).collect();
    let dbeta: Vec<_> = each.iter().map(|e| e.2.view()).collect();
    (
        concatenate(Axis(1), &views).unwrap(),
        concatenate(Axis(0), &dgamma).unwrap(),
        concatenate(Axis(0), &dbeta).unwrap(),
    )
}
