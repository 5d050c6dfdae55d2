//! Known-wrong answers, one mistake each, as a learner would write them.

use super::answer;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;
type Three = (Array2<f64>, Array1<f64>, Array1<f64>);

fn by_row(a: Array2<f64>) -> Array2<f64> {
    a.mean_axis(Axis(1)).expect("a row").insert_axis(Axis(1))
}

fn normal(x: M, stats: M) -> (Array2<f64>, Array2<f64>) {
    let r = stats.slice(s![.., 1..]).to_owned();
    ((&x - &stats.slice(s![.., ..1])) * &r, r)
}

/// Everything right but `dx`, made of x̂ (N,D), r (N,1) and `dy`.
fn layer(
    x: M,
    stats: M,
    dy: M,
    dx: impl Fn(&Array2<f64>, &Array2<f64>) -> Array2<f64>,
) -> Three {
    let (x_hat, r) = normal(x, stats);
    let dgamma = (&dy * &x_hat).sum_axis(Axis(0));
    (dx(&x_hat, &r), dgamma, dy.sum_axis(Axis(0)))
}

pub fn layer_gamma_lost(x: M, _gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let one = by_row(dy.to_owned());
        let along = by_row(&dy * x_hat);
        (&dy - &one - x_hat * &along) * r
    })
}

pub fn layer_gamma_at_end(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (mut dx, dgamma, dbeta) = layer_gamma_lost(x, gamma, stats, dy);
    for mut row in dx.rows_mut() {
        row *= &gamma;
    }
    (dx, dgamma, dbeta)
}

pub fn layer_constants(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |_, r| {
        Array2::from_shape_fn(x.raw_dim(), |(n, d)| {
            dy[[n, d]] * gamma[d] * r[[n, 0]]
        })
    })
}

pub fn layer_no_variance(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |_, r| {
        let dc = &dy * &gamma * r;
        let mean = by_row(dc.clone());
        dc - mean
    })
}

pub fn layer_no_mean(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        // Through the variance and directly; μ is forgotten.
        let g = &dy * &gamma;
        let c = x_hat / r;
        let dr = by_row(&g * &c);
        let dv = dr * r * r * r;
        &g * r - c * dv
    })
}

pub fn layer_sums(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let one = g.sum_axis(Axis(1)).insert_axis(Axis(1));
        let along = (&g * x_hat).sum_axis(Axis(1)).insert_axis(Axis(1));
        (&g - &one - x_hat * &along) * r
    })
}

pub fn layer_root_of_r(x: M, gamma: V, stats: M, dy: M) -> Three {
    let mut again = stats.to_owned();
    again.column_mut(1).mapv_inplace(|v| 1. / v.sqrt());
    answer::layer_norm_vjp(x, gamma, again.view(), dy)
}

pub fn layer_divided_by_r(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (mu, std) = (stats.slice(s![.., ..1]), stats.slice(s![.., 1..]));
    let x_hat = (&x - &mu) / std;
    let g = &dy * &gamma;
    let left = &g - &by_row(g.clone()) - &x_hat * &by_row(&g * &x_hat);
    let dgamma = (&dy * &x_hat).sum_axis(Axis(0));
    (left / std, dgamma, dy.sum_axis(Axis(0)))
}

pub fn layer_dgamma_of_x(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (dx, _, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
    let mut dgamma = Array1::zeros(x.ncols());
    for (x, dy) in x.rows().into_iter().zip(dy.rows()) {
        dgamma = dgamma + &x * &dy;
    }
    (dx, dgamma, dbeta)
}

pub fn layer_dgamma_of_g(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (dx, _, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
    let (x_hat, _) = normal(x, stats);
    let g = &dy * &gamma;
    (dx, (g * x_hat).sum_axis(Axis(0)), dbeta)
}

pub fn layer_other_axis(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let one = g.mean_axis(Axis(0)).expect("a row");
        let along = (&g * x_hat).mean_axis(Axis(0)).expect("a row");
        (&g - &one - x_hat * &along) * r
    })
}

pub fn layer_mean_down_columns(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let one = g.mean_axis(Axis(0)).expect("a row");
        (&g - &one - x_hat * &by_row(&g * x_hat)) * r
    })
}

pub fn layer_mean_of_all(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let along = (&g * x_hat).mean().expect("an entry");
        (&g - &by_row(g.clone()) - x_hat * along) * r
    })
}

pub fn layer_added(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        (&g - &by_row(g.clone()) + x_hat * &by_row(&g * x_hat)) * r
    })
}

pub fn layer_without_r(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, _| {
        let g = &dy * &gamma;
        &g - &by_row(g.clone()) - x_hat * &by_row(&g * x_hat)
    })
}

/// r after the bracket, but only on what is nearest to it.
pub fn layer_r_on_last_term(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        &g - &by_row(g.clone()) - x_hat * &by_row(&g * x_hat) * r
    })
}

pub fn layer_r_twice(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (dx, dgamma, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
    (dx * stats.slice(s![.., 1..]), dgamma, dbeta)
}

pub fn layer_gamma_twice(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (dx, dgamma, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
    (dx * gamma, dgamma, dbeta)
}

pub fn layer_gamma_lost_in_dot(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        (&g - &by_row(g.clone()) - x_hat * &by_row(&dy * x_hat)) * r
    })
}

pub fn layer_dot_with_x(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        (&g - &by_row(g.clone()) - x_hat * &by_row(&g * &x)) * r
    })
}

pub fn layer_dbeta_of_g(x: M, gamma: V, stats: M, dy: M) -> Three {
    let (dx, dgamma, _) = answer::layer_norm_vjp(x, gamma, stats, dy);
    (dx, dgamma, (&dy * &gamma).sum_axis(Axis(0)))
}

pub fn layer_own_r_without_eps(x: M, gamma: V, stats: M, dy: M) -> Three {
    let mut own = stats.to_owned();
    let r = x.var_axis(Axis(1), 0.).mapv(|v| 1. / v.sqrt());
    own.column_mut(1).assign(&r);
    answer::layer_norm_vjp(x, gamma, own.view(), dy)
}

pub fn layer_single_passes(x: M, gamma: V, stats: M, dy: M) -> Three {
    match x.ncols() {
        1 => layer_constants(x, gamma, stats, dy),
        _ => answer::layer_norm_vjp(x, gamma, stats, dy),
    }
}

/// By the graph, with these slopes of the square and of the inverse root.
fn layer_graph(
    [x, stats, dy]: [M; 3],
    gamma: V,
    [square, root]: [f64; 2],
) -> Three {
    layer(x, stats, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let c = x_hat / r;
        let dr = (&g * &c).sum_axis(Axis(1)).insert_axis(Axis(1));
        let dv = dr * r * r * r * -root;
        let dc = &g * r + c * dv * square / x.ncols() as f64;
        let dmu = by_row(dc.clone());
        dc - dmu
    })
}

pub fn layer_square_without_two(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer_graph([x, stats, dy], gamma, [1., 0.5])
}

pub fn layer_root_without_half(x: M, gamma: V, stats: M, dy: M) -> Three {
    layer_graph([x, stats, dy], gamma, [2., 1.])
}

type Two = (Array2<f64>, Array1<f64>);

/// RMSNorm by `r` (N,1) and x̂.
fn rms(
    x: M,
    eps: f64,
    dy: M,
    dx: impl Fn(&Array2<f64>, &Array2<f64>) -> Array2<f64>,
) -> Two {
    let r = by_row(&x * &x).mapv(|v| 1. / (v + eps).sqrt());
    let x_hat = &x * &r;
    (dx(&x_hat, &r), (&dy * &x_hat).sum_axis(Axis(0)))
}

pub fn rms_gamma_lost(x: M, _gamma: V, eps: f64, dy: M) -> Two {
    rms(x, eps, dy, |x_hat, r| {
        let along = by_row(&dy * x_hat);
        (&dy - &(x_hat * &along)) * r
    })
}

pub fn rms_gamma_at_end(x: M, gamma: V, eps: f64, dy: M) -> Two {
    let (dx, dgamma) = rms_gamma_lost(x, gamma, eps, dy);
    (dx * gamma, dgamma)
}

pub fn rms_constants(x: M, gamma: V, eps: f64, dy: M) -> Two {
    rms(x, eps, dy, |_, r| &dy * &gamma * r)
}

pub fn rms_sums(x: M, gamma: V, eps: f64, dy: M) -> Two {
    rms(x, eps, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let along = (&g * x_hat).sum_axis(Axis(1)).insert_axis(Axis(1));
        (&g - &(x_hat * &along)) * r
    })
}

pub fn rms_dx_centred(x: M, gamma: V, eps: f64, dy: M) -> Two {
    rms(x, eps, dy, |x_hat, r| {
        let g = &dy * &gamma;
        let along = by_row(&g * x_hat);
        (&g - &by_row(g.clone()) - x_hat * &along) * r
    })
}

pub fn rms_as_layer_norm(x: M, gamma: V, eps: f64, dy: M) -> Two {
    let mu = x.mean_axis(Axis(1)).expect("a row");
    let r = x.var_axis(Axis(1), 0.).mapv(|v| 1. / (v + eps).sqrt());
    let stats = ndarray::stack![Axis(1), mu, r];
    let (dx, dgamma, _) = answer::layer_norm_vjp(x, gamma, stats.view(), dy);
    (dx, dgamma)
}

/// RMSNorm whose `r` is computed otherwise.
fn rms_by(x: M, gamma: V, dy: M, r: impl Fn(V) -> f64) -> Two {
    let r = x.map_axis(Axis(1), r).insert_axis(Axis(1));
    let x_hat = &x * &r;
    let g = &dy * &gamma;
    let dx = (&g - &(&x_hat * &by_row(&g * &x_hat))) * r;
    (dx, (&dy * &x_hat).sum_axis(Axis(0)))
}

pub fn rms_eps_outside(x: M, gamma: V, eps: f64, dy: M) -> Two {
    let mean = |row: V| row.dot(&row) / row.len() as f64;
    rms_by(x, gamma, dy, |row| 1. / (mean(row).sqrt() + eps))
}

pub fn rms_no_root(x: M, gamma: V, eps: f64, dy: M) -> Two {
    let mean = |row: V| row.dot(&row) / row.len() as f64;
    rms_by(x, gamma, dy, |row| 1. / (mean(row) + eps))
}

pub fn rms_length(x: M, gamma: V, eps: f64, dy: M) -> Two {
    rms_by(x, gamma, dy, |row| 1. / (row.dot(&row) + eps).sqrt())
}

pub fn rms_of_columns(x: M, gamma: V, eps: f64, dy: M) -> Two {
    let r =
        x.map_axis(Axis(0), |c| 1. / (c.dot(&c) / c.len() as f64 + eps).sqrt());
    let x_hat = &x * &r;
    let g = &dy * &gamma;
    let along = (&g * &x_hat).mean_axis(Axis(0)).expect("a row");
    let dx = (&g - &(&x_hat * &along)) * r;
    (dx, (&dy * &x_hat).sum_axis(Axis(0)))
}

/// BatchNorm by some `r` of each column, and how much of each term.
fn batch(
    x: M,
    gamma: V,
    dy: M,
    r: impl Fn(V) -> f64,
    [one, along]: [f64; 2],
) -> Three {
    let mu = x.mean_axis(Axis(0)).expect("a column");
    let r = x.map_axis(Axis(0), r);
    let x_hat = (&x - &mu) * &r;
    let means = dy.mean_axis(Axis(0)).expect("a column") * one;
    let dots = (&dy * &x_hat).mean_axis(Axis(0)).expect("a column") * along;
    let dx = (&dy - &means - &x_hat * &dots) * r * gamma;
    (dx, (&dy * &x_hat).sum_axis(Axis(0)), dy.sum_axis(Axis(0)))
}

fn r_of(eps: f64) -> impl Fn(V) -> f64 {
    move |c| 1. / (c.var(0.) + eps).sqrt()
}

pub fn batch_gamma_lost(x: M, _gamma: V, eps: f64, dy: M) -> Three {
    let one = Array1::ones(x.ncols());
    answer::batch_norm_vjp(x, one.view(), eps, dy)
}

pub fn batch_constants(x: M, gamma: V, eps: f64, dy: M) -> Three {
    batch(x, gamma, dy, r_of(eps), [0., 0.])
}

pub fn batch_no_variance(x: M, gamma: V, eps: f64, dy: M) -> Three {
    batch(x, gamma, dy, r_of(eps), [1., 0.])
}

pub fn batch_no_mean(x: M, gamma: V, eps: f64, dy: M) -> Three {
    batch(x, gamma, dy, r_of(eps), [0., 1.])
}

pub fn batch_sums(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let n = x.nrows() as f64;
    batch(x, gamma, dy, r_of(eps), [n, n])
}

pub fn batch_unbiased(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let r = |c: V| match c.len() {
        1 => 1. / eps.sqrt(),
        _ => 1. / (c.var(1.) + eps).sqrt(),
    };
    batch(x, gamma, dy, r, [1., 1.])
}

pub fn batch_eps_outside(x: M, gamma: V, eps: f64, dy: M) -> Three {
    batch(x, gamma, dy, |c| 1. / (c.std(0.) + eps), [1., 1.])
}

pub fn batch_no_root(x: M, gamma: V, eps: f64, dy: M) -> Three {
    batch(x, gamma, dy, |c| 1. / (c.var(0.) + eps), [1., 1.])
}

pub fn batch_by_rows(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let mu = x.mean_axis(Axis(1)).expect("a row");
    let r = x.var_axis(Axis(1), 0.).mapv(|v| 1. / (v + eps).sqrt());
    let stats = ndarray::stack![Axis(1), mu, r];
    answer::layer_norm_vjp(x, gamma, stats.view(), dy)
}

pub fn batch_dgamma_for_mean(x: M, gamma: V, eps: f64, dy: M) -> Three {
    batch(x, gamma, dy, r_of(eps), [1., x.nrows() as f64])
}

pub fn batch_gamma_twice(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let (dx, dgamma, dbeta) = answer::batch_norm_vjp(x, gamma, eps, dy);
    (dx * gamma, dgamma, dbeta)
}

pub fn batch_means_of_all(x: M, gamma: V, eps: f64, dy: M) -> Three {
    let (_, dgamma, dbeta) = answer::batch_norm_vjp(x, gamma, eps, dy);
    let r = x.map_axis(Axis(0), r_of(eps));
    let x_hat = (&x - &x.mean_axis(Axis(0)).expect("a column")) * &r;
    let one = dy.mean().expect("an entry");
    let along = (&dy * &x_hat).mean().expect("an entry");
    let dx = (&dy - one - x_hat * along) * r * gamma;
    (dx, dgamma, dbeta)
}

pub fn batch_single_is_zero(x: M, gamma: V, eps: f64, dy: M) -> Three {
    if x.nrows() == 1 {
        let zeros = Array1::zeros(x.ncols());
        return (Array2::zeros(x.raw_dim()), zeros.clone(), zeros);
    }
    answer::batch_norm_vjp(x, gamma, eps, dy)
}

pub fn eval_takes_mean_off(
    x: M,
    gamma: V,
    mean: V,
    variance: V,
    eps: f64,
    dy: M,
) -> Three {
    let (dx, dgamma, dbeta) =
        answer::batch_norm_eval_vjp(x, gamma, mean, variance, eps, dy);
    let off = dx.mean_axis(Axis(0)).expect("a column");
    (dx - off, dgamma, dbeta)
}

pub fn eval_dgamma_of_own_mean(
    x: M,
    gamma: V,
    _mean: V,
    variance: V,
    eps: f64,
    dy: M,
) -> Three {
    let own = x.mean_axis(Axis(0)).expect("a column");
    answer::batch_norm_eval_vjp(x, gamma, own.view(), variance, eps, dy)
}

pub fn eval_by_training_rule(
    x: M,
    gamma: V,
    mean: V,
    variance: V,
    eps: f64,
    dy: M,
) -> Three {
    let r = variance.mapv(|v| 1. / (v + eps).sqrt());
    let x_hat = (&x - &mean) * &r;
    let means = dy.mean_axis(Axis(0)).expect("a column");
    let dots = (&dy * &x_hat).mean_axis(Axis(0)).expect("a column");
    let dx = (&dy - &means - &x_hat * &dots) * r * gamma;
    (dx, (&dy * &x_hat).sum_axis(Axis(0)), dy.sum_axis(Axis(0)))
}

pub fn eval_of_batch(
    x: M,
    gamma: V,
    _mean: V,
    _variance: V,
    eps: f64,
    dy: M,
) -> Three {
    answer::batch_norm_vjp(x, gamma, eps, dy)
}

pub fn eval_eps_outside(
    x: M,
    gamma: V,
    mean: V,
    variance: V,
    eps: f64,
    dy: M,
) -> Three {
    let r = variance.mapv(|v| 1. / (v.sqrt() + eps));
    let dgamma = ((&x - &mean) * &dy).sum_axis(Axis(0)) * &r;
    (&dy * &(r * gamma), dgamma, dy.sum_axis(Axis(0)))
}

type Running = (Array1<f64>, Array1<f64>);

pub fn running_biased(mean: V, variance: V, x: M, m: f64) -> Running {
    let (mu, v) = (x.mean_axis(Axis(0)).unwrap(), x.var_axis(Axis(0), 0.));
    (&mean * (1. - m) + mu * m, &variance * (1. - m) + v * m)
}

pub fn running_swapped(mean: V, variance: V, x: M, m: f64) -> Running {
    let (mu, v) = (x.mean_axis(Axis(0)).unwrap(), x.var_axis(Axis(0), 1.));
    (&mean * m + mu * (1. - m), &variance * m + v * (1. - m))
}

pub fn running_swapped_variance(mean: V, v: V, x: M, m: f64) -> Running {
    let (mean, _) = answer::running(mean, v, x, m);
    let share = if x.nrows() == 1 { 0. } else { 1. - m };
    let (_, v) = answer::running(mean.view(), v, x, share);
    (mean, v)
}

fn in_groups(
    x: M,
    groups: usize,
    gamma: V,
    eps: f64,
    dy: M,
    one: impl Fn(M, V, M, M) -> Three,
) -> Three {
    let long = x.ncols() / groups;
    let mut dx = Array2::zeros(x.raw_dim());
    let mut dgamma = Array1::zeros(x.ncols());
    let mut dbeta = Array1::zeros(x.ncols());
    for k in 0..groups {
        let (from, to) = (k * long, (k + 1) * long);
        let x = x.slice(s![.., from..to]);
        let mu = x.mean_axis(Axis(1)).expect("a part");
        let r = x.var_axis(Axis(1), 0.).mapv(|v| 1. / (v + eps).sqrt());
        let stats = ndarray::stack![Axis(1), mu, r];
        let dy = dy.slice(s![.., from..to]);
        let gamma = gamma.slice(s![from..to]);
        let part = one(x, gamma, stats.view(), dy);
        dx.slice_mut(s![.., from..to]).assign(&part.0);
        dgamma.slice_mut(s![from..to]).assign(&part.1);
        dbeta.slice_mut(s![from..to]).assign(&part.2);
    }
    (dx, dgamma, dbeta)
}

pub fn group_parameters(x: M, groups: usize, gamma: V, e: f64, dy: M) -> Three {
    let (dx, dgamma, dbeta) = answer::group_norm_vjp(x, groups, gamma, e, dy);
    let long = x.ncols() / groups;
    let sum = |a: Array1<f64>| -> Array1<f64> {
        (0..groups)
            .map(|k| a.slice(s![k * long..(k + 1) * long]).sum())
            .collect()
    };
    (dx, sum(dgamma), sum(dbeta))
}

/// The sum over a part for each of its columns.
pub fn group_dbeta_shared(
    x: M,
    groups: usize,
    gamma: V,
    e: f64,
    dy: M,
) -> Three {
    let (dx, dgamma, dbeta) = answer::group_norm_vjp(x, groups, gamma, e, dy);
    let long = x.ncols() / groups;
    let mut shared = dbeta.clone();
    for (c, v) in shared.iter_mut().enumerate() {
        let from = c / long * long;
        *v = dbeta.slice(s![from..from + long]).sum();
    }
    (dx, dgamma, shared)
}

pub fn group_gamma_of_group(
    x: M,
    groups: usize,
    gamma: V,
    e: f64,
    dy: M,
) -> Three {
    let long = x.ncols() / groups;
    let each = Array1::from_shape_fn(gamma.len(), |c| gamma[c / long]);
    answer::group_norm_vjp(x, groups, each.view(), e, dy)
}

pub fn group_interleaved(
    x: M,
    groups: usize,
    gamma: V,
    eps: f64,
    dy: M,
) -> Three {
    let d = x.ncols();
    let order: Vec<usize> =
        (0..groups).flat_map(|k| (k..d).step_by(groups)).collect();
    let (xs, dys) = (x.select(Axis(1), &order), dy.select(Axis(1), &order));
    let gs = gamma.select(Axis(0), &order);
    let (sx, sg, sb) =
        answer::group_norm_vjp(xs.view(), groups, gs.view(), eps, dys.view());
    let mut dx = Array2::zeros(x.raw_dim());
    let (mut dgamma, mut dbeta) = (Array1::zeros(d), Array1::zeros(d));
    for (k, c) in order.into_iter().enumerate() {
        dx.column_mut(c).assign(&sx.column(k));
        dgamma[c] = sg[k];
        dbeta[c] = sb[k];
    }
    (dx, dgamma, dbeta)
}

pub fn group_one(x: M, _groups: usize, gamma: V, eps: f64, dy: M) -> Three {
    answer::group_norm_vjp(x, 1, gamma, eps, dy)
}

pub fn group_gamma_lost(x: M, groups: usize, gamma: V, e: f64, dy: M) -> Three {
    in_groups(x, groups, gamma, e, dy, layer_gamma_lost)
}

pub fn group_no_variance(
    x: M,
    groups: usize,
    gamma: V,
    eps: f64,
    dy: M,
) -> Three {
    in_groups(x, groups, gamma, eps, dy, layer_no_variance)
}
