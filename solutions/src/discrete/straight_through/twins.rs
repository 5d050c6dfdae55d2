//! Wrong answers, as a learner would write them.

use super::answer;
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;
type Pair = (Array2<f64>, Array2<f64>);

fn code(w: f64, s: f64) -> f64 {
    (w / s).round_ties_even()
}

/// The cotangent where the code passes.
fn passed(w: M, dy: M, passes: impl Fn(f64) -> bool) -> Array2<f64> {
    let mut dw = dy.to_owned();
    for (at, d) in dw.indexed_iter_mut() {
        if !passes(w[at]) {
            *d = 0.;
        }
    }
    dw
}

pub fn no_clamp(w: M, s: f64, _: f64, _: f64) -> Array2<f64> {
    (&w / s).mapv(f64::round_ties_even) * s
}

pub fn codes_only(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    (&w / s).mapv(|v| v.round_ties_even().max(low).min(high))
}

pub fn not_divided(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    w.mapv(|v| v.round_ties_even().max(low).min(high)) * s
}

pub fn floored(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    (&w / s).mapv(|v| v.floor().max(low).min(high)) * s
}

pub fn as_integers(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    (&w / s).mapv(|v| (v as i64 as f64).max(low).min(high)) * s
}

pub fn rounded_away(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    (&w / s).mapv(|v| v.round().max(low).min(high)) * s
}

fn half_up(w: f64, s: f64) -> f64 {
    (w / s + 0.5).floor()
}

pub fn rounded_up(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    w.mapv(|w| s * half_up(w, s).clamp(low, high))
}

/// As a code of 32 bits.
pub fn in_32_bits(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    let code = |w: f64| (w / s).round_ties_even() as i32;
    w.mapv(|w| s * f64::from(code(w)).clamp(low, high))
}

pub fn up_in_the_mask(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| (low..=high).contains(&half_up(w, s)))
}

pub fn both_kinks(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| low - 0.5 <= w / s && w / s <= high + 0.5)
}

pub fn first_value(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| w >= s * low && code(w, s) <= high)
}

pub fn straight(_: M, _: f64, _: f64, _: f64, dy: M) -> Array2<f64> {
    dy.to_owned()
}

/// Bounded by the end on the same side of 0.
pub fn bounded_in_size(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    w.mapv(|w| {
        let c = code(w, s);
        s * if c < 0. { c.max(low) } else { c.min(high) }
    })
}

pub fn by_reciprocal(w: M, s: f64, low: f64, high: f64) -> Array2<f64> {
    let inverse = s.recip();
    w.mapv(|w| s * (w * inverse).round_ties_even().clamp(low, high))
}

/// The same in the mask.
pub fn passed_by_reciprocal(
    w: M,
    s: f64,
    low: f64,
    high: f64,
    dy: M,
) -> Array2<f64> {
    let inverse = s.recip();
    passed(w, dy, |w| {
        (low..=high).contains(&(w * inverse).round_ties_even())
    })
}

/// Codes and ends in 16 bits, all of which are the last one beyond it.
pub fn short_codes(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    let (first, last) = (low as i16, high as i16);
    passed(w, dy, |w| (first..=last).contains(&(code(w, s) as i16)))
}

pub fn cut_above(w: M, s: f64, _: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| code(w, s) <= high)
}

pub fn strictly(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| code(w, s) > low && code(w, s) < high)
}

pub fn below_the_last(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| code(w, s) >= low && code(w, s) < high)
}

pub fn by_values(w: M, s: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| w >= s * low && w <= s * high)
}

pub fn by_weights(w: M, _: f64, low: f64, high: f64, dy: M) -> Array2<f64> {
    passed(w, dy, |w| (low..=high).contains(&w.round_ties_even()))
}

pub fn away_in_the_mask(
    w: M,
    s: f64,
    low: f64,
    high: f64,
    dy: M,
) -> Array2<f64> {
    passed(w, dy, |w| (low..=high).contains(&(w / s).round()))
}

fn bits(w: M) -> Array2<f64> {
    w.mapv(|w| if w < 0. { -1. } else { 1. })
}

fn inside(w: M) -> Array2<f64> {
    w.mapv(|w| f64::from(u8::from(w.abs() <= 1.)))
}

pub fn numpy_sign(x: M, w: M) -> Array2<f64> {
    x.dot(&w.mapv(|w| if w == 0. { 0. } else { w.signum() }))
}

pub fn rust_sign(x: M, w: M) -> Array2<f64> {
    x.dot(&w.mapv(f64::signum))
}

pub fn zero_is_negative(x: M, w: M) -> Array2<f64> {
    x.dot(&w.mapv(|w| if w > 0. { 1. } else { -1. }))
}

pub fn dx_by_latent(x: M, w: M, dy: M) -> Pair {
    let (_, dw) = answer::binary_layer_vjp(x, w, dy);
    (dy.dot(&w.t()), dw)
}

pub fn dx_not_turned(x: M, w: M, dy: M) -> Pair {
    let (_, dw) = answer::binary_layer_vjp(x, w, dy);
    (dy.dot(&bits(w)), dw)
}

pub fn dx_without_weights(x: M, w: M, dy: M) -> Pair {
    let (mut dx, dw) = answer::binary_layer_vjp(x, w, dy);
    for (mut dx, dy) in dx.rows_mut().into_iter().zip(dy.rows()) {
        dx.fill(dy.sum());
    }
    (dx, dw)
}

pub fn dx_clipped(x: M, w: M, dy: M) -> Pair {
    let (dx, dw) = answer::binary_layer_vjp(x, w, dy);
    (dx * inside(x), dw)
}

pub fn dx_by_clipped_weights(x: M, w: M, dy: M) -> Pair {
    let (_, dw) = answer::binary_layer_vjp(x, w, dy);
    (dy.dot(&(bits(w) * inside(w)).t()), dw)
}

pub fn dw_not_clipped(x: M, w: M, dy: M) -> Pair {
    (dy.dot(&bits(w).t()), x.t().dot(&dy))
}

pub fn dw_strict(x: M, w: M, dy: M) -> Pair {
    let mask = w.mapv(|w| if w > -1. && w < 1. { 1. } else { 0. });
    (dy.dot(&bits(w).t()), mask * x.t().dot(&dy))
}

pub fn dw_open_above(x: M, w: M, dy: M) -> Pair {
    let mask = w.mapv(|w| if (-1. ..1.).contains(&w) { 1. } else { 0. });
    (dy.dot(&bits(w).t()), mask * x.t().dot(&dy))
}

pub fn dw_tolerant(x: M, w: M, dy: M) -> Pair {
    let mask = w.mapv(|w| if w.abs() - 1. <= 1e-8 { 1. } else { 0. });
    (dy.dot(&bits(w).t()), mask * x.t().dot(&dy))
}

/// In f32 there is nothing between it and 0.
pub fn small_is_zero(x: M, w: M) -> Array2<f64> {
    x.dot(&w.mapv(|w| if (w as f32) >= 0. { 1. } else { -1. }))
}

pub fn small_is_zero_vjp(x: M, w: M, dy: M) -> Pair {
    let (_, dw) = answer::binary_layer_vjp(x, w, dy);
    let bits = w.mapv(|w| if (w as f32) >= 0. { 1. } else { -1. });
    (dy.dot(&bits.t()), dw)
}

pub fn dw_without_x(x: M, w: M, dy: M) -> Pair {
    let (dx, mut dw) = answer::binary_layer_vjp(x, w, dy);
    for ((i, o), d) in dw.indexed_iter_mut() {
        *d = dy.column(o).sum() * inside(w)[[i, o]];
    }
    (dx, dw)
}

pub fn dw_clipped_by_x(x: M, w: M, dy: M) -> Pair {
    let (dx, _) = answer::binary_layer_vjp(x, w, dy);
    let x = &x * &inside(x);
    (dx, x.t().dot(&dy) * inside(w))
}

pub fn zero_sign_in_dx(x: M, w: M, dy: M) -> Pair {
    let (_, dw) = answer::binary_layer_vjp(x, w, dy);
    (dy.dot(&w.mapv(f64::signum).t()), dw)
}

/// One step after another, by some rule.
fn steps(
    mut w: f64,
    steps: usize,
    step: impl Fn(f64, f64) -> f64,
) -> (Vec<f64>, f64) {
    let mut codes = vec![];
    while codes.len() < steps {
        codes.push(w.round_ties_even());
        w = step(w, w.round_ties_even());
    }
    (codes, w)
}

pub fn walk_rounded(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    steps(w, n, |_, code| code - 2. * lr * (code - t))
}

pub fn walk_latent(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    steps(w, n, |w, _| w - 2. * lr * (w - t))
}

pub fn walk_uphill(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    steps(w, n, |w, code| w + 2. * lr * (code - t))
}

pub fn walk_half(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    steps(w, n, |w, code| w - lr * (code - t))
}

pub fn walk_nowhere(w: f64, _: f64, _: f64, n: usize) -> (Vec<f64>, f64) {
    (vec![w.round_ties_even(); n], w)
}

/// With another idea of a half.
fn walk_by(
    w: f64,
    t: f64,
    lr: f64,
    n: usize,
    round: impl Fn(f64) -> f64,
) -> (Vec<f64>, f64) {
    let (mut w, mut codes) = (w, vec![]);
    for _ in 0..n {
        let code = round(w);
        codes.push(code);
        w -= 2. * lr * (code - t);
    }
    (codes, w)
}

pub fn walk_away(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    walk_by(w, t, lr, n, f64::round)
}

pub fn walk_half_up(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    walk_by(w, t, lr, n, |w| half_up(w, 1.))
}

pub fn walk_away_below(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    walk_by(w, t, lr, n, |w| match w < 0. {
        true => w.round(),
        false => w.round_ties_even(),
    })
}

/// At the best code the weight stays for good.
pub fn walk_to_best(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    let best = t.round_ties_even();
    steps(w, n, |w, code| match code == best {
        true => w,
        false => w - 2. * lr * (code - t),
    })
}

/// A code that has been the same for so long is thought to be the last one.
pub fn walk_to_rest(w: f64, t: f64, lr: f64, n: usize) -> (Vec<f64>, f64) {
    let (codes, end) = answer::walk(w, t, lr, n);
    let rest = codes
        .windows(500)
        .position(|c| c.iter().all(|v| *v == c[0]));
    match rest {
        None => (codes, end),
        Some(at) => {
            let (mut codes, end) = answer::walk(w, t, lr, at + 500);
            codes.resize(n, codes[at]);
            (codes, end)
        }
    }
}

pub type Grid = (f64, f64, f64);

/// Losses of a training that is wrong in some way.
#[derive(Clone, Copy, Default)]
pub struct Slip {
    pub from_rounded: bool,
    pub gradient_at_latent: bool,
    pub loss_at_latent: bool,
    pub open: bool,
    pub up: bool,
    pub sum: bool,
    pub double: bool,
    pub mask_of_start: bool,
}

pub fn slipped(
    x: M,
    t: V,
    w: V,
    (s, low, high): Grid,
    lr: f64,
    steps: usize,
    slip: Slip,
) -> Vec<f64> {
    let start = w;
    let mut w = w.to_owned();
    let mut losses = vec![];
    for _ in 0..steps + 1 {
        let w_hat = w.mapv(|w| s * code(w, s).clamp(low, high));
        let error = |w: &Array1<f64>| x.dot(w) - t;
        let of = error(if slip.loss_at_latent { &w } else { &w_hat });
        losses.push(of.pow2().sum() / (2 * x.nrows()) as f64);
        let of = error(if slip.gradient_at_latent { &w } else { &w_hat });
        let mut dw = x.t().dot(&of);
        if !slip.sum {
            dw /= x.nrows() as f64;
        }
        if slip.double {
            dw *= 2.;
        }
        if slip.up {
            dw *= -1.;
        }
        let decides = if slip.mask_of_start { start } else { w.view() };
        for (d, w) in dw.iter_mut().zip(decides) {
            if !slip.open && !(low..=high).contains(&code(*w, s)) {
                *d = 0.;
            }
        }
        w = if slip.from_rounded { w_hat } else { w } - dw * lr;
    }
    losses
}

/// Weights on the grid are overwritten by their values, the others are kept.
pub fn rounded_on_the_grid(
    x: M,
    t: V,
    w: V,
    (s, low, high): Grid,
    lr: f64,
    steps: usize,
) -> Vec<f64> {
    let n = x.nrows() as f64;
    let (mut w, mut losses) = (w.to_vec(), vec![]);
    for _ in 0..=steps {
        let codes: Vec<_> = w.iter().map(|w| code(*w, s)).collect();
        let w_hat: Array1<f64> =
            codes.iter().map(|c| s * c.clamp(low, high)).collect();
        let error = x.dot(&w_hat) - t;
        losses.push(error.dot(&error) / (2. * n));
        for (i, w) in w.iter_mut().enumerate() {
            if low <= codes[i] && codes[i] <= high {
                *w = w_hat[i] - lr * x.column(i).dot(&error) / n;
            }
        }
    }
    losses
}

/// The weights step one after another, each by an error of its own.
pub fn in_turn(
    x: M,
    t: V,
    w: V,
    (s, low, high): Grid,
    lr: f64,
    steps: usize,
) -> Vec<f64> {
    let n = t.len() as f64;
    let mut w = w.to_owned();
    let error = |w: &Array1<f64>| {
        x.dot(&w.mapv(|w| s * code(w, s).clamp(low, high))) - t
    };
    let loss = |w: &Array1<f64>| error(w).pow2().sum() / (2. * n);
    let mut losses = vec![loss(&w)];
    for _ in 0..steps {
        for i in 0..w.len() {
            if (low..=high).contains(&code(w[i], s)) {
                w[i] -= lr * x.column(i).dot(&error(&w)) / n;
            }
        }
        losses.push(loss(&w));
    }
    losses
}

/// Which code a row chose.
fn chosen(z: V, e: M) -> usize {
    let mut best = 0;
    for k in 1..e.nrows() {
        let far = |k: usize| (&z - &e.row(k)).pow2().sum();
        if far(k) < far(best) {
            best = k;
        }
    }
    best
}

pub fn by_product(z: M, e: M, beta: f64) -> (Array2<f64>, Array1<f64>) {
    let (mut q, l) = answer::codebook(z, e, beta);
    for (z, mut q) in z.rows().into_iter().zip(q.rows_mut()) {
        let mut best = 0;
        for k in 0..e.nrows() {
            if z.dot(&e.row(k)) > z.dot(&e.row(best)) {
                best = k;
            }
        }
        q.assign(&e.row(best));
    }
    (q, l)
}

/// The codes that the smallest of some number chooses, with their pulls.
fn by_smallest(
    z: M,
    e: M,
    beta: f64,
    of: impl Fn(V, V) -> f64,
    least: f64,
) -> (Array2<f64>, Array1<f64>) {
    let choose = |z: V| {
        let mut best = (0, least);
        for (k, e) in e.rows().into_iter().enumerate() {
            if of(z, e) < best.1 {
                best = (k, of(z, e));
            }
        }
        best.0
    };
    let k: Vec<_> = z.rows().into_iter().map(choose).collect();
    let q = e.select(Axis(0), &k);
    let l = (&z - &q).pow2().sum_axis(Axis(1)) * (1. + beta);
    (q, l)
}

pub fn squares_apart(z: M, e: M, beta: f64) -> (Array2<f64>, Array1<f64>) {
    by_smallest(z, e, beta, |z, e| e.dot(&e) - 2. * z.dot(&e), f64::INFINITY)
}

pub fn from_a_million(z: M, e: M, beta: f64) -> (Array2<f64>, Array1<f64>) {
    by_smallest(z, e, beta, |z, e| (&z - &e).pow2().sum(), 1e6)
}

/// Distances by their squares and products, from the first code on.
pub fn from_the_first(z: M, e: M, beta: f64) -> (Array2<f64>, Array1<f64>) {
    let first = e.row(0);
    let far = |z: V, e: V| {
        let (a, b) = (&z - &first, &e - &first);
        a.dot(&a) - 2. * a.dot(&b) + b.dot(&b)
    };
    by_smallest(z, e, beta, far, f64::INFINITY)
}

pub fn last_nearest(z: M, e: M, beta: f64) -> (Array2<f64>, Array1<f64>) {
    let turned = e.slice(ndarray::s![..;-1, ..]);
    by_smallest(
        z,
        turned,
        beta,
        |z, e| (&z - &e).pow2().sum(),
        f64::INFINITY,
    )
}

/// The number of the code in one byte.
pub fn byte_index(z: M, e: M, beta: f64) -> (Array2<f64>, Array1<f64>) {
    let byte = |z: V| usize::from(chosen(z, e) as u8);
    let k: Vec<_> = z.rows().into_iter().map(byte).collect();
    let q = e.select(Axis(0), &k);
    let l = (&z - &q).pow2().sum_axis(Axis(1)) * (1. + beta);
    (q, l)
}

/// The backward looks for the code again, and takes the last one.
pub fn last_in_vjp(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    let (mut dz, mut de) = (dq.to_owned(), Array2::zeros(e.dim()));
    for n in 0..z.nrows() {
        let far = |k: usize| (&z.row(n) - &e.row(k)).pow2().sum();
        let last = |b, k| if far(k) <= far(b) { k } else { b };
        let k = (1..e.nrows()).fold(0, last);
        let gap = &z.row(n) - &e.row(k);
        dz.row_mut(n).scaled_add(2. * beta * dl[n], &gap);
        de.row_mut(k).scaled_add(-2. * dl[n], &gap);
    }
    (dz, de)
}

/// `dz` and `de` row by row: what is added to each, from what comes from above,
/// the pull's cotangent, and the way from the code to the row.
fn pulled(
    z: M,
    e: M,
    dq: M,
    dl: V,
    each: impl Fn(V, f64, Array1<f64>) -> [Array1<f64>; 2],
) -> Pair {
    let (mut dz, mut de) = (Array2::zeros(z.dim()), Array2::zeros(e.dim()));
    for n in 0..z.nrows() {
        let k = chosen(z.row(n), e);
        let off = &z.row(n) - &e.row(k);
        let [to_z, to_e] = each(dq.row(n), dl[n], off);
        dz.row_mut(n).assign(&to_z);
        let mut row = de.row_mut(k);
        row += &to_e;
    }
    (dz, de)
}

pub fn terms_swapped(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [&off * (2. * dl) + dq, off * (-2. * beta * dl)]
    })
}

pub fn beta_forgotten(z: M, e: M, _: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [&off * (2. * dl) + dq, off * (-2. * dl)]
    })
}

pub fn beta_on_both(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        let pull = off * (2. * beta * dl);
        [&pull + &dq, -pull]
    })
}

pub fn after_the_patch(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        let zero = Array1::zeros(off.len());
        [off * (2. * (beta - 1.) * dl) + dq, zero]
    })
}

pub fn nothing_stopped(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        let pull = off * (2. * (1. + beta) * dl);
        [&pull + &dq, -pull]
    })
}

pub fn gathered(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [&off * (2. * beta * dl), &dq - &(off * (2. * dl))]
    })
}

pub fn to_both(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [&off * (2. * beta * dl) + dq, &dq - &(off * (2. * dl))]
    })
}

pub fn no_commitment(z: M, e: M, _: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [dq.to_owned(), off * (-2. * dl)]
    })
}

pub fn pushed_away(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [&dq - &(&off * (2. * beta * dl)), off * (-2. * dl)]
    })
}

pub fn single_pull(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        [&off * (beta * dl) + dq, off * -dl]
    })
}

pub fn mean_pull(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    pulled(z, e, dq, dl, |dq, dl, off| {
        let off = &off / off.len() as f64;
        [&off * (2. * beta * dl) + dq, off * (-2. * dl)]
    })
}

pub fn code_assigned(z: M, e: M, beta: f64, dq: M, dl: V) -> Pair {
    let (dz, mut de) = answer::codebook_vjp(z, e, beta, dq, dl);
    for n in 0..z.nrows() {
        let k = chosen(z.row(n), e);
        de.row_mut(k)
            .assign(&((&e.row(k) - &z.row(n)) * 2. * dl[n]));
    }
    (dz, de)
}

/// A softmax of what is made of logit, uniform number and temperature.
fn soft(x: M, u: M, of: impl Fn(f64, f64) -> f64) -> Array2<f64> {
    softmax::forward(
        Zip::from(&x).and(&u).map_collect(|x, u| of(*x, *u)).view(),
    )
}

fn hardened(soft: Array2<f64>) -> Pair {
    let mut hard = Array2::zeros(soft.dim());
    for (n, row) in soft.rows().into_iter().enumerate() {
        let best =
            (1..row.len()).fold(0, |b, v| if row[v] > row[b] { v } else { b });
        hard[[n, best]] = 1.;
    }
    (soft, hard)
}

pub fn noise_subtracted(x: M, u: M, tau: f64) -> Pair {
    hardened(soft(x, u, |x, u| (x + (-u.ln()).ln()) / tau))
}

pub fn noise_on_probabilities(x: M, u: M, tau: f64) -> Pair {
    let p = softmax::forward(x);
    hardened(soft(p.view(), u, |p, u| (p - (-u.ln()).ln()) / tau))
}

pub fn never_cooled(x: M, u: M, _: f64) -> Pair {
    hardened(soft(x, u, |x, u| x - (-u.ln()).ln()))
}

pub fn heated(x: M, u: M, tau: f64) -> Pair {
    hardened(soft(x, u, |x, u| (x - (-u.ln()).ln()) * tau))
}

pub fn logits_cooled(x: M, u: M, tau: f64) -> Pair {
    hardened(soft(x, u, |x, u| x / tau - (-u.ln()).ln()))
}

pub fn exponential(x: M, u: M, tau: f64) -> Pair {
    hardened(soft(x, u, |x, u| (x - u.ln()) / tau))
}

pub fn no_noise(x: M, u: M, tau: f64) -> Pair {
    hardened(soft(x, u, |x, _| x / tau))
}

pub fn likeliest(x: M, u: M, tau: f64) -> Pair {
    let (soft, _) = answer::gumbel(x, u, tau);
    (soft, hardened(x.to_owned()).1)
}

pub fn soft_rounded(x: M, u: M, tau: f64) -> Pair {
    let (soft, _) = answer::gumbel(x, u, tau);
    let hard = soft.mapv(|y| if y > 0.5 { 1. } else { 0. });
    (soft, hard)
}

pub fn last_maximum(x: M, u: M, tau: f64) -> Pair {
    let (soft, mut hard) = answer::gumbel(x, u, tau);
    for (row, mut to) in soft.rows().into_iter().zip(hard.rows_mut()) {
        let last = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        to.fill(0.);
        to[last.expect("a class").0] = 1.;
    }
    (soft, hard)
}

/// The first that is not much smaller than the maximum.
pub fn nearly_maximum(x: M, u: M, tau: f64) -> Pair {
    let (soft, mut hard) = answer::gumbel(x, u, tau);
    for (row, mut to) in soft.rows().into_iter().zip(hard.rows_mut()) {
        let top = row.iter().fold(0_f64, |m, y| m.max(*y));
        to.fill(0.);
        to[row.iter().position(|y| *y >= top - 1e-6).expect("one")] = 1.;
    }
    (soft, hard)
}

/// No gradient for a row that seems to be decided.
pub fn decided_rows(y: M, tau: f64, dy: M) -> Array2<f64> {
    let mut dx = answer::gumbel_vjp(y, tau, dy);
    for (y, mut dx) in y.rows().into_iter().zip(dx.rows_mut()) {
        if y.iter().any(|y| *y > 1. - 1e-6) {
            dx.fill(0.);
        }
    }
    dx
}

pub fn guarded_logs(x: M, u: M, tau: f64) -> Pair {
    let g = |u: f64| -(-(u + 1e-10).ln() + 1e-10).ln();
    hardened(soft(x, u, |x, u| (x + g(u)) / tau))
}

pub fn one_dot(y: M, tau: f64, dy: M) -> Array2<f64> {
    &y * &(&dy - (&y * &dy).sum()) / tau
}

pub fn dot_runs_on(y: M, tau: f64, dy: M) -> Array2<f64> {
    let (mut dx, mut dot) = (Array2::zeros(y.dim()), 0.);
    for n in 0..y.nrows() {
        dot += y.row(n).dot(&dy.row(n));
        for v in 0..y.ncols() {
            dx[[n, v]] = y[[n, v]] * (dy[[n, v]] - dot) / tau;
        }
    }
    dx
}

pub fn each_by_itself(y: M, tau: f64, dy: M) -> Array2<f64> {
    (&y - &(&y * &y)) * dy / tau
}

type OfNeuron = (Array2<f64>, Array1<f64>);

pub fn neuron_open(x: M, w: V, s: f64, low: f64, high: f64, dy: V) -> OfNeuron {
    let (dx, _) = answer::mended(x, w, s, low, high, dy);
    (dx, x.t().dot(&dy))
}

pub fn neuron_strict(
    x: M,
    w: V,
    s: f64,
    low: f64,
    high: f64,
    dy: V,
) -> OfNeuron {
    let (dx, mut dw) = answer::mended(x, w, s, low, high, dy);
    for (d, w) in dw.iter_mut().zip(&w) {
        if code(*w, s) <= low || code(*w, s) >= high {
            *d = 0.;
        }
    }
    (dx, dw)
}

pub fn neuron_latent(
    x: M,
    w: V,
    s: f64,
    low: f64,
    high: f64,
    dy: V,
) -> OfNeuron {
    let (_, dw) = answer::mended(x, w, s, low, high, dy);
    let dy = dy.insert_axis(Axis(1));
    (dy.dot(&w.insert_axis(Axis(0))), dw)
}

pub fn neuron_cut_twice(
    x: M,
    w: V,
    s: f64,
    low: f64,
    high: f64,
    dy: V,
) -> OfNeuron {
    let (mut dx, dw) = answer::mended(x, w, s, low, high, dy);
    for (mut column, w) in dx.columns_mut().into_iter().zip(&w) {
        if !(low..=high).contains(&code(*w, s)) {
            column.fill(0.);
        }
    }
    (dx, dw)
}
