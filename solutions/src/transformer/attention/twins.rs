//! Known-wrong answers, one mistake each, as a learner would write them.

use backprop::network::softmax_cross_entropy as softmax;
use backprop::transformer::attention;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use super::answer;

type M<'a> = ArrayView2<'a, f64>;
type Pair = (Array2<f64>, Array2<f64>);
type Three = (Array2<f64>, Array2<f64>, Array2<f64>);
type Six = (Array2<f64>, Array2<f64>, [Array2<f64>; 4]);

/// Softmax and mixture, whatever the scores are.
fn attend(s: Array2<f64>, v: M) -> Pair {
    let p = softmax::forward(s.view());
    (p.dot(&v), p)
}

pub fn no_scale(q: M, k: M, v: M) -> Pair {
    attend(q.dot(&k.t()), v)
}

pub fn divided_by_width(q: M, k: M, v: M) -> Pair {
    attend(q.dot(&k.t()) / q.ncols() as f64, v)
}

pub fn scale_outside(q: M, k: M, v: M) -> Pair {
    let (y, p) = attend(q.dot(&k.t()), v);
    let scale = (q.ncols() as f64).sqrt();
    (y / scale, p / scale)
}

pub fn over_the_queries(q: M, k: M, v: M) -> Pair {
    let e = (q.dot(&k.t()) / (q.ncols() as f64).sqrt()).mapv(f64::exp);
    let p = &e / &e.sum_axis(Axis(0));
    (p.dot(&v), p)
}

pub fn keys_not_transposed(q: M, k: M, v: M) -> Pair {
    attend(q.dot(&k) / (q.ncols() as f64).sqrt(), v)
}

/// `vjp` with some gradient of the scores instead of the right one.
fn through(
    [q, k, v, p, dy]: [M; 5],
    ds: impl Fn(M, M) -> Array2<f64>,
) -> Three {
    let dp = dy.dot(&v.t());
    let ds = ds(p, dp.view()) / (q.ncols() as f64).sqrt();
    (ds.dot(&k), ds.t().dot(&q), p.t().dot(&dy))
}

pub fn vjp_no_scale(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let ds = softmax::vjp(p, dy.dot(&v.t()).view());
    (ds.dot(&k), ds.t().dot(&q), p.t().dot(&dy))
}

pub fn vjp_scaled_twice(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let r = (q.ncols() as f64).sqrt().recip();
    let ds = softmax::vjp(p, (dy.dot(&v.t()) * r).view());
    (ds.dot(&k) * r, ds.t().dot(&q) * r, p.t().dot(&dy))
}

pub fn vjp_scale_on_queries_only(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
    (dq, dk * (q.ncols() as f64).sqrt(), dv)
}

pub fn vjp_sum_down_columns(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |p, dp| {
        let mut ds = Array2::zeros(p.dim());
        for j in 0..p.ncols() {
            let dot = p.column(j).dot(&dp.column(j));
            for i in 0..p.nrows() {
                ds[[i, j]] = p[[i, j]] * (dp[[i, j]] - dot);
            }
        }
        ds
    })
}

pub fn vjp_diagonal(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |p, dp| p.mapv(|p| p - p * p) * dp)
}

pub fn vjp_no_dot(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |p, dp| &p * &dp)
}

pub fn vjp_plus(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |p, dp| {
        2. * (&p * &dp) - softmax::vjp(p, dp)
    })
}

pub fn vjp_no_softmax(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |_, dp| dp.to_owned())
}

pub fn vjp_plain_sum(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |p, dp| {
        let mut ds = dp.to_owned();
        for (mut ds, dp) in ds.rows_mut().into_iter().zip(dp.rows()) {
            ds -= dp.sum();
        }
        ds * p
    })
}

pub fn vjp_no_probability(q: M, k: M, v: M, p: M, dy: M) -> Three {
    through([q, k, v, p, dy], |p, dp| {
        let mut ds = dp.to_owned();
        for i in 0..ds.nrows() {
            let dot = p.row(i).dot(&dp.row(i));
            ds.row_mut(i).mapv_inplace(|d| d - dot);
        }
        ds
    })
}

pub fn vjp_one_dot(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let all = (&p.dot(&v) * &dy).sum();
    through([q, k, v, p, dy], |p, dp| dp.mapv(|d| d - all) * p)
}

/// Turned only where the shapes demand it.
pub fn vjp_dk_not_turned(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
    let ds = softmax::vjp(p, dy.dot(&v.t()).view());
    let dk = match q.nrows() == k.nrows() {
        true => ds.dot(&q) / (q.ncols() as f64).sqrt(),
        false => dk,
    };
    (dq, dk, dv)
}

pub fn vjp_dv_not_turned(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
    (
        dq,
        dk,
        if p.nrows() == p.ncols() {
            p.dot(&dy)
        } else {
            dv
        },
    )
}

pub fn vjp_own_factor(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let (dq, dk, dv) = answer::vjp(q, k, v, p, dy);
    if q.nrows() != k.nrows() {
        return (dq, dk, dv);
    }
    let ds = softmax::vjp(p, dy.dot(&v.t()).view());
    let ds = ds / (q.ncols() as f64).sqrt();
    (ds.dot(&q), ds.t().dot(&k), dv)
}

/// The last query's share of the gradient of keys and values.
pub fn vjp_assigned(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let (dq, mut dk, mut dv) = answer::vjp(q, k, v, p, dy);
    let ds = softmax::vjp(p, dy.dot(&v.t()).view());
    let r = (q.ncols() as f64).sqrt();
    for i in 0..q.nrows() {
        for j in 0..k.nrows() {
            dk.row_mut(j).assign(&(&q.row(i) * (ds[[i, j]] / r)));
            dv.row_mut(j).assign(&(&dy.row(i) * p[[i, j]]));
        }
    }
    (dq, dk, dv)
}

/// Scores under a mask: `hidden(i, j)` gets `by`.
fn under(
    q: M,
    k: M,
    hidden: impl Fn(usize, usize) -> bool,
    by: f64,
) -> Array2<f64> {
    let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
    Array2::from_shape_fn(
        s.dim(),
        |(i, j)| {
            if hidden(i, j) { by } else { s[[i, j]] }
        },
    )
}

/// Rows without a score are zeros.
fn guarded(s: Array2<f64>, v: M) -> Pair {
    let mut p = Array2::zeros(s.dim());
    for i in 0..s.nrows() {
        if s.row(i).iter().any(|s| s.is_finite()) {
            let row = softmax::forward(s.slice(s![i..=i, ..]));
            p.slice_mut(s![i..=i, ..]).assign(&row);
        }
    }
    (p.dot(&v), p)
}

const NONE: f64 = f64::NEG_INFINITY;

pub fn no_mask(q: M, k: M, v: M) -> Pair {
    answer::forward(q, k, v)
}

pub fn mask_inverted(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    attend(under(q, k, |i, j| j + t <= i + n, NONE), v)
}

pub fn mask_inverted_with_self(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    guarded(under(q, k, |i, j| j + t < i + n, NONE), v)
}

pub fn mask_times_scores(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    attend(under(q, k, |i, j| j + t > i + n, 0.), v)
}

pub fn mask_times_probabilities(q: M, k: M, v: M) -> Pair {
    let (_, mut p) = answer::forward(q, k, v);
    let (t, n) = p.dim();
    for i in 0..t {
        for j in 0..n {
            if j + t > i + n {
                p[[i, j]] = 0.;
            }
        }
    }
    (p.dot(&v), p)
}

pub fn mask_without_self(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    guarded(under(q, k, |i, j| j + t >= i + n, NONE), v)
}

pub fn mask_sees_the_next(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    guarded(under(q, k, |i, j| j + t > i + n + 1, NONE), v)
}

pub fn mask_from_the_corner(q: M, k: M, v: M) -> Pair {
    guarded(under(q, k, |i, j| j > i, NONE), v)
}

pub fn mask_rows_nan(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    attend(under(q, k, |i, j| j + t > i + n, NONE), v)
}

pub fn mask_rows_even(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    attend(under(q, k, |i, j| j + t > i + n, -1e300), v)
}

pub fn mask_no_scale(q: M, k: M, v: M) -> Pair {
    let (t, n) = (q.nrows(), k.nrows());
    let s = under(q, k, |i, j| j + t > i + n, NONE);
    guarded(s * (q.ncols() as f64).sqrt(), v)
}

/// Several heads, each given its columns of `kv` by a function.
fn by_head(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
    parts: impl Fn(usize) -> [std::ops::Range<usize>; 2],
) -> Array2<f64> {
    let d = q.ncols() / heads;
    let e = kv.ncols() / keys - d;
    let mut y = Array2::zeros((q.nrows(), heads * e));
    for h in 0..heads {
        let [of_k, of_v] = parts(h);
        let (k, v) = (kv.slice(s![.., of_k]), kv.slice(s![.., of_v]));
        let q = q.slice(s![.., h * d..(h + 1) * d]);
        let (head, _) = attention::forward(q, k, v, false);
        y.slice_mut(s![.., h * e..(h + 1) * e]).assign(&head);
    }
    y
}

pub fn heads_take_turns(q: M, kv: M, heads: usize, keys: usize) -> Array2<f64> {
    let (d, both) = (q.ncols() / heads, kv.ncols() / keys);
    by_head(q, kv, heads, keys, |h| {
        let at = h % keys * both;
        [at..at + d, at + d..at + both]
    })
}

pub fn keys_before_values(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
) -> Array2<f64> {
    let (d, both) = (q.ncols() / heads, kv.ncols() / keys);
    let e = both - d;
    by_head(q, kv, heads, keys, |h| {
        let g = h * keys / heads;
        let v = keys * d + g * e;
        [g * d..(g + 1) * d, v..v + e]
    })
}

pub fn heads_stacked(q: M, kv: M, heads: usize, keys: usize) -> Array2<f64> {
    let y = answer::grouped(q, kv, heads, keys);
    let (t, e) = (y.nrows(), y.ncols() / heads);
    let each: Vec<_> = (0..heads)
        .map(|h| y.slice(s![.., h * e..(h + 1) * e]))
        .collect();
    let stacked = concatenate(Axis(0), &each).expect("one width");
    let cut = stacked.into_shape_with_order((t, heads * e));
    cut.expect("as many numbers")
}

/// The queries made larger or smaller: the same as another scale.
fn rescaled(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
    by: impl Fn(f64, f64) -> f64,
) -> Array2<f64> {
    let d = (q.ncols() / heads) as f64;
    let q = q.mapv(|v| v * d.sqrt() / by(d, heads as f64));
    answer::grouped(q.view(), kv, heads, keys)
}

pub fn scale_of_the_model(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
) -> Array2<f64> {
    rescaled(q, kv, heads, keys, |d, h| (d * h).sqrt())
}

pub fn scale_of_the_heads(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
) -> Array2<f64> {
    rescaled(q, kv, heads, keys, |_, h| h.sqrt())
}

pub fn heads_without_scale(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
) -> Array2<f64> {
    rescaled(q, kv, heads, keys, |_, _| 1.)
}

/// The gradients of several heads, each head's read from and handed to the
/// columns that functions give, and put there by another.
fn vjp_by_head(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
    dy: M,
    key_of: impl Fn(usize) -> usize,
    share: impl Fn(usize) -> f64,
) -> Pair {
    let (d, both) = (q.ncols() / heads, kv.ncols() / keys);
    let e = both - d;
    let mut dq = Array2::zeros(q.dim());
    let mut dkv = Array2::zeros(kv.dim());
    for h in 0..heads {
        let at = key_of(h) * both;
        let k = kv.slice(s![.., at..at + d]);
        let v = kv.slice(s![.., at + d..at + both]);
        let q = q.slice(s![.., h * d..(h + 1) * d]);
        let dy = dy.slice(s![.., h * e..(h + 1) * e]);
        let (_, p) = attention::forward(q, k, v, false);
        let (dq_head, dk, dv) = attention::vjp(q, k, v, p.view(), dy);
        dq.slice_mut(s![.., h * d..(h + 1) * d]).assign(&dq_head);
        let both_of_them = concatenate![Axis(1), dk, dv];
        let mut to = dkv.slice_mut(s![.., at..at + both]);
        to.scaled_add(share(h), &both_of_them);
    }
    (dq, dkv)
}

pub fn shared_assigned(q: M, kv: M, heads: usize, keys: usize, dy: M) -> Pair {
    let group = heads / keys;
    let last = |h: usize| f64::from(u8::from(h % group == group - 1));
    vjp_by_head(q, kv, heads, keys, dy, |h| h / group, last)
}

pub fn shared_first(q: M, kv: M, heads: usize, keys: usize, dy: M) -> Pair {
    let group = heads / keys;
    let first = |h: usize| f64::from(u8::from(h.is_multiple_of(group)));
    vjp_by_head(q, kv, heads, keys, dy, |h| h / group, first)
}

pub fn shared_mean(q: M, kv: M, heads: usize, keys: usize, dy: M) -> Pair {
    let group = heads / keys;
    let mean = |_| 1. / group as f64;
    vjp_by_head(q, kv, heads, keys, dy, |h| h / group, mean)
}

pub fn vjp_in_turns(q: M, kv: M, heads: usize, keys: usize, dy: M) -> Pair {
    vjp_by_head(q, kv, heads, keys, dy, |h| h % keys, |_| 1.)
}

/// `kv` in the other layout, or back from it.
fn relaid(kv: M, d: usize, keys: usize, back: bool) -> Array2<f64> {
    let both = kv.ncols() / keys;
    let mut other = Array2::zeros(kv.dim());
    for g in 0..keys {
        for c in 0..both {
            let by_head = g * both + c;
            let apart = match c < d {
                true => g * d + c,
                false => keys * d + g * (both - d) + c - d,
            };
            let (from, to) = match back {
                false => (apart, by_head),
                true => (by_head, apart),
            };
            other.column_mut(to).assign(&kv.column(from));
        }
    }
    other
}

pub fn vjp_keys_before_values(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
    dy: M,
) -> Pair {
    let d = q.ncols() / heads;
    let kv = relaid(kv, d, keys, false);
    let (dq, dkv) = answer::grouped_vjp(q, kv.view(), heads, keys, dy);
    (dq, relaid(dkv.view(), d, keys, true))
}

/// Read rightly, written in the other order.
pub fn vjp_written_apart(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
    dy: M,
) -> Pair {
    let (dq, dkv) = answer::grouped_vjp(q, kv, heads, keys, dy);
    (dq, relaid(dkv.view(), q.ncols() / heads, keys, true))
}

pub fn vjp_of_stacked(q: M, kv: M, heads: usize, keys: usize, dy: M) -> Pair {
    let (t, e) = (dy.nrows(), dy.ncols() / heads);
    let rows = dy.as_standard_layout().into_owned();
    let rows = rows.into_shape_with_order((heads * t, e));
    let rows = rows.expect("as many numbers");
    let mut dy = Array2::zeros((t, heads * e));
    for h in 0..heads {
        let of = rows.slice(s![h * t..(h + 1) * t, ..]);
        dy.slice_mut(s![.., h * e..(h + 1) * e]).assign(&of);
    }
    answer::grouped_vjp(q, kv, heads, keys, dy.view())
}

/// Self-attention: `m` is not looked at.
pub fn cross_of_itself(x: M, m: M, w: [M; 4], dy: M) -> Six {
    let (dx, dm, dw) = answer::cross_vjp(x, x, w, dy);
    (dx + dm, Array2::zeros(m.dim()), dw)
}

pub fn cross_keys_only(x: M, m: M, w: [M; 4], dy: M) -> Six {
    let (dx, dm, dw) = answer::cross_vjp(x, m, w, dy);
    (dx, dm - values_path(x, m, w, dy), dw)
}

pub fn cross_values_only(x: M, m: M, w: [M; 4], dy: M) -> Six {
    let (dx, _, dw) = answer::cross_vjp(x, m, w, dy);
    (dx, values_path(x, m, w, dy), dw)
}

fn values_path(x: M, m: M, [wq, wk, wv, wo]: [M; 4], dy: M) -> Array2<f64> {
    let s = x.dot(&wq).dot(&m.dot(&wk).t()) / (wq.ncols() as f64).sqrt();
    let p = softmax::forward(s.view());
    p.t().dot(&dy).dot(&wo.t()).dot(&wv.t())
}

pub fn side_by_side_scaled(
    q: M,
    k: M,
    v: M,
    heads: usize,
    scale: f64,
) -> Array2<f64> {
    let d = (q.ncols() / heads) as f64;
    let q = q.mapv(|v| v * d.sqrt() / scale);
    answer::mended(q.view(), k, v, heads)
}
