//! Known-wrong answers, one mistake each, as a learner would write them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use super::answer;

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;
type Three = (Array2<f64>, Array2<f64>, Array2<f64>);
type Four = (Array2<f64>, Array1<f64>, Array2<f64>, Array2<f64>);

pub fn dx_of_the_layer(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let (_, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    (dy.dot(&w.t()), da, db)
}

pub fn dx_of_the_adapter(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let (_, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    let dh = dy.dot(&b.t()) * (alpha / a.ncols() as f64);
    (dh.dot(&a.t()), da, db)
}

/// Any scales: of dx's part, of da, of db.
fn scaled([x, w, a, b, dy]: [M; 5], [s_x, s_a, s_b]: [f64; 3]) -> Three {
    let dh = dy.dot(&b.t());
    let dx = dy.dot(&w.t()) + dh.dot(&a.t()) * s_x;
    (dx, x.t().dot(&dh) * s_a, x.dot(&a).t().dot(&dy) * s_b)
}

pub fn no_scale(x: M, w: M, a: M, b: M, _: f64, dy: M) -> Three {
    scaled([x, w, a, b, dy], [1., 1., 1.])
}

pub fn no_scale_for_b(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / a.ncols() as f64;
    scaled([x, w, a, b, dy], [s, s, 1.])
}

pub fn no_scale_for_a(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / a.ncols() as f64;
    scaled([x, w, a, b, dy], [s, 1., s])
}

/// In dh, and once more where it is used.
pub fn scaled_twice(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / a.ncols() as f64;
    scaled([x, w, a, b, dy], [s * s, s * s, s])
}

pub fn alpha_alone(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    scaled([x, w, a, b, dy], [alpha; 3])
}

/// The sum of both paths scaled.
pub fn scale_on_dx(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / a.ncols() as f64;
    let (_, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    let dh = dy.dot(&b.t());
    ((dy.dot(&w.t()) + dh.dot(&a.t())) * s, da, db)
}

pub fn root_of_rank(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / (a.ncols() as f64).sqrt();
    scaled([x, w, a, b, dy], [s; 3])
}

/// Turned only where the shapes demand it.
pub fn w_not_transposed(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    match w.is_square() {
        true => (dx - dy.dot(&w.t()) + dy.dot(&w), da, db),
        false => (dx, da, db),
    }
}

/// Turned only where the shapes demand it.
pub fn b_not_transposed(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    if !b.is_square() {
        return (dx, da, db);
    }
    let dh = dy.dot(&b) * (alpha / a.ncols() as f64);
    (dx, x.t().dot(&dh), db)
}

/// A matrix with its numbers in the same order and its rows cut anew.
fn cut_anew(a: M) -> Array2<f64> {
    let (rows, columns) = a.dim();
    Array2::from_shape_vec((columns, rows), a.iter().copied().collect())
        .expect("as many numbers")
}

pub fn b_cut_anew(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let s = alpha / a.ncols() as f64;
    let dh = dy.dot(&cut_anew(b)) * s;
    let dx = dy.dot(&w.t()) + dh.dot(&a.t());
    (dx, x.t().dot(&dh), x.dot(&a).t().dot(&dy) * s)
}

pub fn h_cut_anew(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let (dx, da, _) = answer::vjp(x, w, a, b, alpha, dy);
    let s = alpha / a.ncols() as f64;
    (dx, da, cut_anew(x.dot(&a).view()).dot(&dy) * s)
}

/// The gradient of the product, given to a factor as large as it.
pub fn whole_gradient(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    let dw = x.t().dot(&dy) * (alpha / a.ncols() as f64);
    match a.dim() == w.dim() {
        true => (dx, dw, db),
        false => (dx, da, db),
    }
}

/// The factors' gradients from some rows only.
fn from_rows(
    [x, w, a, b, dy]: [M; 5],
    alpha: f64,
    rows: std::ops::Range<usize>,
) -> Three {
    let (dx, ..) = answer::vjp(x, w, a, b, alpha, dy);
    let (x, dy) = (x.slice(s![rows.clone(), ..]), dy.slice(s![rows, ..]));
    let (_, da, db) = answer::vjp(x, w, a, b, alpha, dy);
    (dx, da, db)
}

pub fn first_row(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    from_rows([x, w, a, b, dy], alpha, 0..1)
}

pub fn last_row(x: M, w: M, a: M, b: M, alpha: f64, dy: M) -> Three {
    from_rows([x, w, a, b, dy], alpha, x.nrows() - 1..x.nrows())
}

/// What is wrong in a training.
#[derive(PartialEq)]
pub enum Slip {
    Frozen,
    Early,
    Scale,
    OnlyB,
    Sum,
    Half,
    Stale,
}

pub fn tuned(
    x: M,
    t: M,
    w: M,
    (a, b): (M, M),
    (alpha, slip): (f64, Slip),
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let (mut w, mut a, mut b) = (w.to_owned(), a.to_owned(), b.to_owned());
    let n = x.nrows() as f64;
    let mut losses = Vec::new();
    let mut first = None;
    for _ in 0..=steps {
        let y = answer::forward(x, w.view(), a.view(), b.view(), alpha);
        let e = y - t;
        let share = match slip {
            Slip::Sum => 0.5,
            Slip::Half => 1. / n,
            _ => 0.5 / n,
        };
        losses.push(e.mapv(|e| e * e).sum() * share);
        let dy = e * (2. * share);
        let dy = match slip {
            Slip::Stale => first.get_or_insert(dy).clone(),
            _ => dy,
        };
        let s = match slip {
            Slip::Scale => 1.,
            _ => alpha / a.ncols() as f64,
        };
        let da = x.t().dot(&dy.dot(&b.t())) * s;
        if slip == Slip::Early {
            a = &a - &(&da * rate);
        }
        let db = x.dot(&a).t().dot(&dy) * s;
        if slip != Slip::Early && slip != Slip::OnlyB {
            a = a - da * rate;
        }
        b = b - db * rate;
        if slip == Slip::Frozen {
            w = w - x.t().dot(&dy) * rate;
        }
    }
    losses
}

pub fn all_until_a_rise(x: M, t: M, w: M, rate: f64, steps: usize) -> Vec<f64> {
    let mut all = answer::tune_all(x, t, w, rate, steps);
    if let Some(k) = (1..all.len()).find(|k| all[*k] > all[k - 1] * 1.001) {
        let last = all[k];
        all[k..].fill(last);
    }
    all
}

/// The gradient is computed once.
pub fn all_by_the_first_gradient(
    x: M,
    t: M,
    w: M,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let n = x.nrows() as f64;
    let dw = x.t().dot(&(x.dot(&w) - t)) / n;
    let loss = |step: usize| {
        let w = &w - &(&dw * (rate * step as f64));
        (x.dot(&w) - t).mapv(|e| e * e).sum() / (2. * n)
    };
    (0..=steps).map(loss).collect()
}

fn direct(w: M, a: M, b: M, alpha: f64) -> Array2<f64> {
    &w + &(a.dot(&b) * (alpha / a.ncols() as f64))
}

pub fn lengths(w: M, a: M, b: M, alpha: f64) -> Array1<f64> {
    let v = direct(w, a, b, alpha);
    v.columns().into_iter().map(|v| v.dot(&v).sqrt()).collect()
}

pub fn dora_by_rows(x: M, w: M, a: M, b: M, m: V, alpha: f64) -> Array2<f64> {
    let mut v = direct(w, a, b, alpha);
    for mut row in v.rows_mut() {
        let n = row.dot(&row).sqrt();
        row /= n;
    }
    x.dot(&(v * m))
}

pub fn dora_norm_of_w(x: M, w: M, a: M, b: M, m: V, alpha: f64) -> Array2<f64> {
    let n = lengths(w, a, b, 0.);
    x.dot(&direct(w, a, b, alpha)) * (&m / &n)
}

pub fn dora_no_root(x: M, w: M, a: M, b: M, m: V, alpha: f64) -> Array2<f64> {
    let n = lengths(w, a, b, alpha).mapv(|n| n.powi(2));
    x.dot(&direct(w, a, b, alpha)) * (&m / &n)
}

pub fn dora_with_epsilon(
    x: M,
    w: M,
    a: M,
    b: M,
    m: V,
    alpha: f64,
) -> Array2<f64> {
    let n = lengths(w, a, b, alpha).mapv(|n| (n * n + 1e-12).sqrt());
    x.dot(&direct(w, a, b, alpha)) * (&m / &n)
}

/// `y` is scaled already.
pub fn dm_of_the_output(
    x: M,
    w: M,
    a: M,
    b: M,
    m: V,
    alpha: f64,
    dy: M,
) -> Four {
    let (dx, _, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
    let y = answer::dora(x, w, a, b, m, alpha);
    (dx, (y * dy).sum_axis(Axis(0)), da, db)
}

/// `x·V` is not divided yet.
pub fn dm_without_n(x: M, w: M, a: M, b: M, m: V, alpha: f64, dy: M) -> Four {
    let (dx, _, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
    let z = answer::forward(x, w, a, b, alpha);
    (dx, (z * dy).sum_axis(Axis(0)), da, db)
}

/// The factors' gradients as if every m were 1.
pub fn without_m(x: M, w: M, a: M, b: M, m: V, alpha: f64, dy: M) -> Four {
    let (dx, dm, ..) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
    let ones = Array1::ones(m.len());
    let ones = ones.view();
    let (_, _, da, db) = answer::dora_vjp(x, w, a, b, ones, alpha, dy);
    (dx, dm, da, db)
}

/// dV = (dW - u·dm)·m, without the length.
pub fn without_n(x: M, w: M, a: M, b: M, m: V, alpha: f64, dy: M) -> Four {
    let (dx, dm, ..) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
    let u = direct(w, a, b, alpha) / lengths(w, a, b, alpha);
    let dv = (x.t().dot(&dy) - &u * &dm) * m;
    let s = alpha / a.ncols() as f64;
    (dx, dm, dv.dot(&b.t()) * s, a.t().dot(&dv) * s)
}

pub fn dora_dx_of_w(x: M, w: M, a: M, b: M, m: V, alpha: f64, dy: M) -> Four {
    let (_, dm, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
    let dz = &dy * &m / lengths(w, a, b, alpha);
    (dz.dot(&w.t()), dm, da, db)
}
