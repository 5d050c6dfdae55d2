//! Wrong answers that have no name and are easily missed: wrong for one shape
//! only, for large numbers, for ties, for the second call, by half a percent.
//! None may pass. And right answers in an unusual form: all must.

use backprop::network::mlp::{Activation, Layer};
use backprop::network::softmax_cross_entropy as softmax;
use examiner::Verdict;
use examiner::checks::calculus::chain_rule as cr;
use examiner::checks::network::softmax_cross_entropy as sm;
use examiner::checks::network::{linear as li, mlp as ml};
use ndarray::*;
use solutions::network::linear::answer as la;
use solutions::network::mlp::answer as ma;
use solutions::network::softmax_cross_entropy::answer as sa;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

type M<'a> = ArrayView2<'a, f64>;

/// Judges on three seeds; the third argument says which verdict is due.
fn expect(name: &str, judge: &dyn Fn(u64) -> Verdict, right: bool) {
    for seed in 0..3 {
        match judge(seed) {
            Verdict::Passed { .. } if right => {}
            Verdict::Failed(_) if !right => {}
            Verdict::Failed(report) => panic!("{name}, seed {seed}\n{report}"),
            other => panic!("{name}, seed {seed}: {other:?}"),
        }
    }
}

macro_rules! w {
    ($name:expr, $judge:expr) => {
        expect($name, &$judge, false)
    };
}

macro_rules! r {
    ($name:expr, $judge:expr) => {
        expect($name, &$judge, true)
    };
}

#[test]
fn linear() {
    w!("fwd scale .995", |s| li::forward(
        |x, w, b| la::forward(x, w, b) * 0.995,
        s
    ));
    w!("fwd 1+2e-6", |s| li::forward(
        |x, w, b| la::forward(x, w, b) * (1. + 2e-6),
        s
    ));
    w!("fwd f32", |s| li::forward(
        |x, w, b| {
            let y = x.mapv(|v| v as f32).dot(&w.mapv(|v| v as f32))
                + b.mapv(|v| v as f32);
            y.mapv(|v| v as f64)
        },
        s
    ));
    w!("fwd wrong for batch 1", |s| li::forward(
        |x, w, b| if x.nrows() == 1 {
            x.dot(&w)
        } else {
            la::forward(x, w, b)
        },
        s
    ));
    w!("fwd wrong for one input", |s| li::forward(
        |x, w, b| if x.ncols() == 1 {
            x.dot(&w)
        } else {
            la::forward(x, w, b)
        },
        s
    ));
    w!("fwd wrong for one output", |s| li::forward(
        |x, w, b| if w.ncols() == 1 {
            x.dot(&w)
        } else {
            la::forward(x, w, b)
        },
        s
    ));
    w!("fwd only first 8 inputs", |s| li::forward(
        |x, w, b| {
            let k = x.ncols().min(8);
            x.slice(s![.., ..k]).dot(&w.slice(s![..k, ..])) + b
        },
        s
    ));
    w!("fwd only first 4 outputs right", |s| li::forward(
        |x, w, b| {
            let mut y = la::forward(x, w, b);
            if y.ncols() > 4 {
                y.slice_mut(s![.., 4..]).fill(0.)
            };
            y
        },
        s
    ));
    w!("fwd clipped at 10", |s| li::forward(
        |x, w, b| la::forward(x, w, b).mapv(|v| v.clamp(-10., 10.)),
        s
    ));
    w!("fwd clipped at 100", |s| li::forward(
        |x, w, b| la::forward(x, w, b).mapv(|v| v.clamp(-100., 100.)),
        s
    ));
    w!("fwd relu", |s| li::forward(
        |x, w, b| la::forward(x, w, b).mapv(|v| v.max(0.)),
        s
    ));
    w!("fwd NaN", |s| li::forward(
        |x, w, b| la::forward(x, w, b) * f64::NAN,
        s
    ));
    w!("fwd one NaN", |s| li::forward(
        |x, w, b| {
            let mut y = la::forward(x, w, b);
            y[[0, 0]] = f64::NAN;
            y
        },
        s
    ));
    w!("fwd bias once (row 0)", |s| li::forward(
        |x, w, b| {
            let mut y = x.dot(&w);
            y.row_mut(0).scaled_add(1., &b);
            y
        },
        s
    ));
    w!("vjp .5%", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            (a, b * 1.005, c)
        },
        s
    ));
    w!("vjp 1+5e-7", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            (a, b * (1. + 5e-7), c)
        },
        s
    ));
    w!("vjp f32", |s| li::vjp(
        |x, w, dy| {
            let c = |a: M| a.mapv(|v| v as f32);
            let (x, w, dy) = (c(x), c(w), c(dy));
            (
                dy.dot(&w.t()).mapv(f64::from),
                x.t().dot(&dy).mapv(f64::from),
                dy.sum_axis(Axis(0)).mapv(f64::from),
            )
        },
        s
    ));
    w!("vjp dw mean for batch>5", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            let k = if x.nrows() > 5 { x.nrows() as f64 } else { 1. };
            (a, b / k, c)
        },
        s
    ));
    w!("vjp wrong for one input", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            if x.ncols() == 1 {
                (a * 2., b, c)
            } else {
                (a, b, c)
            }
        },
        s
    ));
    w!("vjp wrong for one output", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            if w.ncols() == 1 {
                (a * 2., b, c)
            } else {
                (a, b, c)
            }
        },
        s
    ));
    w!("vjp drop tail mod 4 (unrolled)", |s| li::vjp(
        |x, w, dy| {
            let (a, b, mut c) = la::vjp(x, w, dy);
            if c.len() > 4 {
                let k = c.len() / 4 * 4;
                c.slice_mut(s![k..]).fill(0.)
            };
            (a, b, c)
        },
        s
    ));
    w!("vjp dy clipped to [-2,2]*", |s| li::vjp(
        |x, w, dy| {
            let d = dy.mapv(|v| v.clamp(-2., 2.));
            la::vjp(x, w, d.view())
        },
        s
    ));
    w!("vjp dy clipped to [-5,5]", |s| li::vjp(
        |x, w, dy| {
            let d = dy.mapv(|v| v.clamp(-5., 5.));
            la::vjp(x, w, d.view())
        },
        s
    ));
    w!("vjp wrong only dy>2", |s| li::vjp(
        |x, w, dy| {
            let d = dy.mapv(|v| if v.abs() > 2. { 0. } else { v });
            la::vjp(x, w, d.view())
        },
        s
    ));
    w!("vjp grads normalised > 50", |s| li::vjp(
        |x, w, dy| {
            let (a, mut b, c) = la::vjp(x, w, dy);
            let n = b.iter().map(|v| v * v).sum::<f64>().sqrt();
            if n > 50. {
                b *= 50. / n
            };
            (a, b, c)
        },
        s
    ));
    w!("vjp state: accumulates after 12 calls", |s| {
        static N: AtomicUsize = AtomicUsize::new(0);
        N.store(0, SeqCst);
        li::vjp(
            |x, w, dy| {
                let (a, b, c) = la::vjp(x, w, dy);
                if N.fetch_add(1, SeqCst) >= 5 {
                    (a, b * 2., c)
                } else {
                    (a, b, c)
                }
            },
            s,
        )
    });
    w!("vjp 0/0 for zero cotangent", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            let k = dy.iter().map(|v| v / v).product::<f64>();
            (a, b * k, c)
        },
        s
    ));
    w!("vjp zero x gives nan", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            let k = x.iter().map(|v| v / v).product::<f64>();
            (a, b * k, c)
        },
        s
    ));
    w!("vjp wrong for ties in x", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            let mut v = x
                .iter()
                .map(|v| (v * 100.).round() as i64)
                .collect::<Vec<_>>();
            v.sort();
            let n = v.len();
            v.dedup();
            let k = if v.len() < n { 2. } else { 1. };
            (a, b * k, c)
        },
        s
    ));
    w!("vjp empty arrays", |s| li::vjp(
        |_, _, _| (
            Array2::zeros((0, 0)),
            Array2::zeros((0, 0)),
            Array1::zeros(0)
        ),
        s
    ));
    w!("vjp db squared dims mean if B==O", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            if x.nrows() == w.ncols() {
                (a, b, c / x.nrows() as f64)
            } else {
                (a, b, c)
            }
        },
        s
    ));
    w!("vjp transposes dw only if square", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            if w.nrows() == w.ncols() {
                (a, b.reversed_axes(), c)
            } else {
                (a, b, c)
            }
        },
        s
    ));
    w!("vjp wrong for 40 entries", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            if x.len() >= 40 {
                (a * 0., b, c)
            } else {
                (a, b, c)
            }
        },
        s
    ));
    w!("counter empty", |s| li::counter_example(
        || (Array2::zeros((0, 0)), Array2::zeros((0, 3))),
        s
    ));
    w!("counter 1x1", |s| li::counter_example(
        || (array![[2.]], array![[3.]]),
        s
    ));
    w!("counter dy zero", |s| li::counter_example(
        || (array![[1., 2.], [3., 4.]], array![[0., 0.], [0., 0.]]),
        s
    ));
    w!("cols batch1 wrong", |s| li::columns_vjp(
        |w, a, dz| {
            let (p, q, r) = la::columns_vjp(w, a, dz);
            if a.ncols() == 1 {
                (p * 2., q, r)
            } else {
                (p, q, r)
            }
        },
        s
    ));
    w!("cols b mean if B==O", |s| li::columns_vjp(
        |w, a, dz| {
            let (p, q, r) = la::columns_vjp(w, a, dz);
            if a.ncols() == w.nrows() {
                (p, q, r / a.ncols() as f64)
            } else {
                (p, q, r)
            }
        },
        s
    ));
    w!("lowrank batch 1", |s| li::low_rank_vjp(
        |x, u, v, dy| {
            let (p, q, r) = la::low_rank_vjp(x, u, v, dy);
            if x.nrows() == 1 {
                (p * 2., q, r)
            } else {
                (p, q, r)
            }
        },
        s
    ));
    w!("lowrank rank>4", |s| li::low_rank_vjp(
        |x, u, v, dy| {
            let (p, q, r) = la::low_rank_vjp(x, u, v, dy);
            if u.ncols() > 4 {
                (p * 2., q, r)
            } else {
                (p, q, r)
            }
        },
        s
    ));
    w!("flops b-1 adds", |s| li::flops(
        |b, i, o, d| la::flops(b, i, o, d) - o,
        s
    ));
    w!("flops wrong b=1", |s| li::flops(
        |b, i, o, d| if b == 1 { 0 } else { la::flops(b, i, o, d) },
        s
    ));
    w!("flops overflow u32", |s| li::flops(
        |b, i, o, d| (la::flops(b, i, o, d) as u32) as u64,
        s
    ));
    w!("flops overflow u16", |s| li::flops(
        |b, i, o, d| (la::flops(b, i, o, d) as u16) as u64,
        s
    ));
    r!("fwd F-order", |s| li::forward(
        |x, w, b| {
            let y = la::forward(x, w, b);
            let mut f = Array2::zeros(y.raw_dim().f());
            f.assign(&y);
            f
        },
        s
    ));
    r!("fwd strided", |s| li::forward(
        |x, w, b| {
            let y = la::forward(x, w, b);
            let mut f = Array2::zeros((y.nrows() * 2, y.ncols() * 3));
            f.slice_mut(s![..;2,..;3]).assign(&y);
            f.slice_move(s![..;2,..;3])
        },
        s
    ));
    r!("fwd neg stride", |s| li::forward(
        |x, w, b| {
            let y = la::forward(x, w, b);
            let mut f = Array2::zeros(y.raw_dim());
            f.slice_mut(s![..;-1,..;-1]).assign(&y);
            f.slice_move(s![..;-1,..;-1])
        },
        s
    ));
    r!("vjp rounded 1e-9", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            (a * (1. + 1e-9), b * (1. - 1e-9), c)
        },
        s
    ));
    r!("vjp neg strides", |s| li::vjp(
        |x, w, dy| {
            let (a, b, c) = la::vjp(x, w, dy);
            let mut f = Array2::zeros(b.raw_dim());
            f.slice_mut(s![..;-1,..;-1]).assign(&b);
            (
                a.clone()
                    .reversed_axes()
                    .as_standard_layout()
                    .to_owned()
                    .reversed_axes(),
                f.slice_move(s![..;-1,..;-1]),
                c,
            )
        },
        s
    ));
    r!("flops sum form", |s| li::flops(
        |b, i, o, d| (if d { 4 } else { 2 }) * b * i * o + b * o,
        s
    ));
    w!(
        "counter-example too large for f64",
        |s| li::counter_example(
            || (
                Array2::from_elem((3, 3), 1e308),
                Array2::from_elem((3, 1), 1e308)
            ),
            s
        )
    );
    r!("counter-example with a vector", |s| li::counter_example(
        || (
            array![[0., 1., 0.], [0., 0., 0.], [0., 0., 0.]],
            array![[1.], [0.], [0.]]
        ),
        s
    ));
}

#[test]
fn chain_rule() {
    w!("sin2 taylor/f32", |s| cr::sine_of_square(
        |x, dy| (dy as f32 * (x as f32 * x as f32).cos() * 2. * x as f32)
            as f64,
        s
    ));
    w!("sin2 NaN at 0 (x cos / x)", |s| cr::sine_of_square(
        |x, dy| dy * (x * x).cos() * 2. * x * (x / x),
        s
    ));
    w!("sin2 abs x>2", |s| cr::sine_of_square(
        |x, dy| if x.abs() >= 2. {
            0.
        } else {
            dy * (x * x).cos() * 2. * x
        },
        s
    ));
    w!("sin2 dy signum-clip", |s| cr::sine_of_square(
        |x, dy| dy.clamp(-2., 2.) * (x * x).cos() * 2. * x,
        s
    ));
    w!("line zero b", |s| cr::line_squared(
        |x, w, b, dy| {
            let z = 2. * (x * w + b) * dy;
            (z * w, z * x, if b == 0. { 0. } else { z })
        },
        s
    ));
    w!("line relu'd z", |s| cr::line_squared(
        |x, w, b, dy| {
            let z = 2. * (x * w + b).abs() * dy;
            (z * w, z * x, z)
        },
        s
    ));
    w!("tanh via acosh for neg", |s| cr::tanh_from_output(
        |y, dy| dy * (1. - y.abs() * y),
        s
    ));
    w!("tanh clipped slope", |s| cr::tanh_from_output(
        |y, dy| dy * (1. - y * y).max(0.2),
        s
    ));
    w!("tanh clipped slope .1", |s| cr::tanh_from_output(
        |y, dy| dy * (1. - y * y).max(0.1),
        s
    ));
    w!("step neg", |s| cr::step(Some(-1e-8), s));
    w!("step nan", |s| cr::step(Some(f64::NAN), s));
    w!("step 0", |s| cr::step(Some(0.), s));
    w!("step inf", |s| cr::step(Some(f64::INFINITY), s));
    r!("tanh other algebra", |s| cr::tanh_from_output(
        |y, dy| dy * (1. - y) * (1. + y),
        s
    ));
    r!("tanh via atanh", |s| cr::tanh_from_output(
        |y, dy| dy / (y.atanh().cosh().powi(2)),
        s
    ));
    r!("f_of_g other", |s| cr::f_of_g(
        |t, dy| dy * 6. * (6. * t).exp() * (6. * t).exp().cos(),
        s
    ));
    r!("f_of_g powf", |s| cr::f_of_g(
        |t, dy| {
            let u = std::f64::consts::E.powf(3. * t);
            dy * (u * u).cos() * 2. * u * u * 3.
        },
        s
    ));
    r!("g_of_f", |s| cr::g_of_f(
        |t, dy| dy * (3. * (t * t).sin()).exp() * 3. * (t * t).cos() * 2. * t,
        s
    ));
    r!("sin2 dual", |s| cr::sine_of_square(
        |x, dy| dy * 2. * x * (std::f64::consts::FRAC_PI_2 - x * x).sin(),
        s
    ));
    r!("step 1e-8", |s| cr::step(Some(1e-8), s));
    r!("step 2e-8", |s| cr::step(Some(2e-8), s));
    r!("step 5e-8", |s| cr::step(Some(5e-8), s));
    r!("step 5e-9", |s| cr::step(Some(5e-9), s));
}

#[test]
fn mlp() {
    w!("bp1 wrong for identity", |s| ml::errors(
        |dy, z, a| if a == Activation::Identity {
            dy.to_owned() * 0.
        } else {
            ma::bp1(dy, z, a)
        },
        ma::bp2,
        s
    ));
    w!("bp2 wrong for identity", |s| ml::errors(
        ma::bp1,
        |d, w, z, a| if a == Activation::Identity {
            z.to_owned()
        } else {
            ma::bp2(d, w, z, a)
        },
        s
    ));
    w!("bp1 saturated slope floor", |s| ml::errors(
        |dy, z, a| dy.to_owned()
            * a.slope(z).mapv(|v| if v > 0. { v.max(1e-2) } else { v }),
        ma::bp2,
        s
    ));
    w!("bp1 slope wrong |z|>2", |s| ml::errors(
        |dy, z, a| dy.to_owned() * a.slope(z.mapv(|z| z.clamp(-2., 2.)).view()),
        ma::bp2,
        s
    ));
    w!("bp2 .5%", |s| ml::errors(
        ma::bp1,
        |d, w, z, a| ma::bp2(d, w, z, a) * 1.005,
        s
    ));
    w!("bp3 batch>5", |s| ml::gradients(
        |a, d| if a.nrows() > 5 {
            ma::bp3(a, d) * 2.
        } else {
            ma::bp3(a, d)
        },
        ma::bp4,
        s
    ));
    w!("bp4 big", |s| ml::gradients(
        ma::bp3,
        |d| {
            let mut r = ma::bp4(d);
            if r.len() > 4 {
                r[4] = 0.
            };
            r
        },
        s
    ));
    w!("backward hard-coded 3 layers", |s| ml::backward(
        |l, c, dy| {
            if l.len() != 3 {
                return vec![];
            };
            ma::backward(l, c, dy)
        },
        s
    ));
    w!("backward hard-coded activations", |s| ml::backward(
        |l, c, dy| {
            let acts =
                [Activation::Tanh, Activation::Relu, Activation::Sigmoid];
            let l: Vec<_> = l
                .iter()
                .enumerate()
                .map(|(i, y)| Layer {
                    w: y.w.clone(),
                    b: y.b.clone(),
                    activation: acts[i.min(2)],
                })
                .collect();
            ma::backward(&l, c, dy)
        },
        s
    ));
    w!("backward output act ignored if identity", |s| ml::backward(
        |l, c, dy| {
            let mut g = ma::backward(l, c, dy);
            if l.last().unwrap().activation == Activation::Identity {
                g[0].0 *= 2.
            };
            g
        },
        s
    ));
    w!("backward batch 1", |s| ml::backward(
        |l, c, dy| {
            let mut g = ma::backward(l, c, dy);
            if dy.nrows() == 1 {
                g[0].0 *= 2.
            };
            g
        },
        s
    ));
    w!("backward extra pair", |s| ml::backward(
        |l, c, dy| {
            let mut g = ma::backward(l, c, dy);
            let x = g[0].clone();
            g.push(x);
            g
        },
        s
    ));
    w!("tied .5%", |s| ml::tied_vjp(
        |x, w, dy| {
            let (a, b) = ma::tied_vjp(x, w, dy);
            (a * 1.005, b)
        },
        s
    ));
    w!("tied wide", |s| ml::tied_vjp(
        |x, w, dy| {
            let (a, b) = ma::tied_vjp(x, w, dy);
            if w.ncols() > 3 { (a, b * 2.) } else { (a, b) }
        },
        s
    ));
    w!("mended z==0 NaN", |s| ml::find_the_bug(
        Some("MASK_FROM_UPSTREAM"),
        |d, w, z| d.dot(&w.t())
            * z.mapv(|z| if z > 0. { 1. } else { 0. } * (z / z)),
        s
    ));
    w!("mended leaks 1% for neg", |s| ml::find_the_bug(
        Some("MASK_FROM_UPSTREAM"),
        |d, w, z| d.dot(&w.t()) * z.mapv(|z| if z > 0. { 1. } else { 0.01 }),
        s
    ));
    w!("mended leaky below -1.9", |s| ml::find_the_bug(
        Some("MASK_FROM_UPSTREAM"),
        |d, w, z| d.dot(&w.t())
            * z.mapv(|z| if (-3. ..=0.).contains(&z) { 0. } else { 1. }),
        s
    ));
    w!("cached one layer", |s| ml::cached(
        |n, b, k| if n.len() == 2 { 0 } else { ma::cached(n, b, k) },
        s
    ));
    w!("cached batch 1/2", |s| ml::cached(
        |n, b, k| if b < 3 { 0 } else { ma::cached(n, b, k) },
        s
    ));
    w!("descend late drift", |s| ml::descend(
        |n, x, t, r, k| {
            let mut v = ma::descend(n, x, t, r, k);
            for (i, l) in v.iter_mut().enumerate() {
                if i > 60 {
                    *l *= 1.05
                }
            }
            v
        },
        s
    ));
    w!("descend .5%", |s| ml::descend(
        |n, x, t, r, k| ma::descend(n, x, t, r * 1.005, k),
        s
    ));
    w!("descend 0 steps", |s| ml::descend(
        |n, x, t, r, k| if k == 0 {
            vec![]
        } else {
            ma::descend(n, x, t, r, k)
        },
        s
    ));
    w!("descend stops half way", |s| ml::descend(
        |n, x, t, r, k| if k == 100 {
            let v = ma::descend(n, x, t, r, 50);
            let mut v = v;
            while v.len() < 101 {
                let l = *v.last().unwrap();
                v.push(l * 0.9)
            }
            v
        } else {
            ma::descend(n, x, t, r, k)
        },
        s
    ));
    w!("descend wrong for slow rate", |s| ml::descend(
        |n, x, t, r, k| ma::descend(n, x, t, r.max(0.02), k),
        s
    ));
    r!("bp1 relu neg zero", |s| ml::errors(
        |dy, z, a| match a {
            Activation::Relu => Zip::from(dy)
                .and(z)
                .map_collect(|d, z| if *z > 0. { *d } else { -0. }),
            Activation::Tanh => Zip::from(dy)
                .and(z)
                .map_collect(|d, z| d / z.cosh().powi(2)),
            _ => dy.to_owned() * a.slope(z),
        },
        ma::bp2,
        s
    ));
    r!("bp1 sigmoid via exp", |s| ml::errors(
        |dy, z, a| match a {
            Activation::Sigmoid => Zip::from(dy)
                .and(z)
                .map_collect(|d, z| d * (-z).exp() / (1. + (-z).exp()).powi(2)),
            _ => dy.to_owned() * a.slope(z),
        },
        ma::bp2,
        s
    ));
}

#[test]
fn softmax_cross_entropy() {
    w!("blind NaN", |s| sm::before_coding(
        sa::SIGNS,
        sa::SUM,
        Some([[f64::NAN; 3], [1.; 3]]),
        s
    ));
    w!("blind almost", |s| sm::before_coding(
        sa::SIGNS,
        sa::SUM,
        Some([[1., 1., 1. + 1e-9], [2.; 3]]),
        s
    ));
    w!("sum 1e-17", |s| sm::before_coding(
        sa::SIGNS,
        Some(1e-17),
        sa::BLIND,
        s
    ));
    w!("sm vjp 0.5%", |s| sm::vjps(
        |y, d| sa::softmax_vjp(y, d) * 1.005,
        sa::log_softmax_vjp,
        s
    ));
    w!("sm vjp f32", |s| sm::vjps(
        |y, d| sa::softmax_vjp(y.mapv(|v| f64::from(v as f32)).view(), d),
        sa::log_softmax_vjp,
        s
    ));
    w!("sm vjp V=1", |s| sm::vjps(
        |y, d| if y.ncols() == 1 {
            d.to_owned()
        } else {
            sa::softmax_vjp(y, d)
        },
        sa::log_softmax_vjp,
        s
    ));
    w!("sm vjp y clamp 1e-4", |s| sm::vjps(
        |y, d| sa::softmax_vjp(y.mapv(|v| v.max(1e-4)).view(), d),
        sa::log_softmax_vjp,
        s
    ));
    w!("sm vjp V>8", |s| sm::vjps(
        |y, d| {
            let mut g = sa::softmax_vjp(y, d);
            if y.ncols() > 8 {
                g.slice_mut(s![.., 8..]).fill(0.)
            };
            g
        },
        sa::log_softmax_vjp,
        s
    ));
    w!("lsm vjp B>8", |s| sm::vjps(
        sa::softmax_vjp,
        |y, d| {
            let g = sa::log_softmax_vjp(y, d);
            if y.nrows() > 8 { g * 0. } else { g }
        },
        s
    ));
    w!("lsm vjp dy sum uses abs", |s| sm::vjps(
        sa::softmax_vjp,
        |y, d| {
            let t = d.mapv(f64::abs).sum_axis(Axis(1)).insert_axis(Axis(1));
            &d - &(y.exp() * t)
        },
        s
    ));
    w!("ce global max", |s| sm::cross_entropy(
        |x, t| {
            let m = x.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
            let e = x.mapv(|v| (v - m).exp());
            let z = e.sum_axis(Axis(1)).mapv(|z| z.ln()).insert_axis(Axis(1));
            -(&t * &(&x - m - &z)).sum() / x.nrows() as f64
        },
        sa::cross_entropy_vjp,
        s
    ));
    w!("ce vjp global max", |s| sm::cross_entropy(
        sa::cross_entropy,
        |x, t, d| {
            let m = x.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
            let e = x.mapv(|v| (v - m).exp());
            let z = e.sum_axis(Axis(1)).insert_axis(Axis(1));
            (e / z - t) * d / x.nrows() as f64
        },
        s
    ));
    w!("ce eps 1e-12", |s| sm::cross_entropy(
        |x, t| -(&t * &softmax::forward(x).mapv(|p| (p + 1e-12).ln())).sum()
            / x.nrows() as f64,
        sa::cross_entropy_vjp,
        s
    ));
    w!("ce eps 1e-300", |s| sm::cross_entropy(
        |x, t| -(&t * &softmax::forward(x).mapv(|p| (p + 1e-300).ln())).sum()
            / x.nrows() as f64,
        sa::cross_entropy_vjp,
        s
    ));
    w!("ce clip ±500", |s| sm::cross_entropy(
        |x, t| sa::cross_entropy(x.mapv(|v| v.clamp(-500., 500.)).view(), t),
        sa::cross_entropy_vjp,
        s
    ));
    w!("ce clip ±5000", |s| sm::cross_entropy(
        |x, t| sa::cross_entropy(x.mapv(|v| v.clamp(-5000., 5000.)).view(), t),
        sa::cross_entropy_vjp,
        s
    ));
    w!("ce vjp clip ±500", |s| sm::cross_entropy(
        sa::cross_entropy,
        |x, t, d| sa::cross_entropy_vjp(
            x.mapv(|v| v.clamp(-500., 500.)).view(),
            t,
            d
        ),
        s
    ));
    w!("ce vjp d ignored in extreme", |s| sm::cross_entropy(
        sa::cross_entropy,
        |x, t, d| sa::cross_entropy_vjp(
            x,
            t,
            if d.abs() > 2. { 2. } else { d }
        ),
        s
    ));
    w!("ce right grad wrong fwd (drop entropy)", |s| {
        sm::cross_entropy(
            |x, t| {
                let l = sa::cross_entropy(x, t);
                if x.nrows() == 1 { l + 1e-3 } else { l }
            },
            sa::cross_entropy_vjp,
            s,
        )
    });
    w!("ce V=1", |s| sm::cross_entropy(
        |x, t| if x.ncols() == 1 {
            1.
        } else {
            sa::cross_entropy(x, t)
        },
        sa::cross_entropy_vjp,
        s
    ));
    w!("temp eps=0", |s| sm::tempered(
        |x, l, e, tau, d| {
            let (a, b) =
                sa::tempered_vjp(x, l, if e == 0. { 0.1 } else { e }, tau, d);
            (a, b)
        },
        s
    ));
    w!("temp tau<.5", |s| sm::tempered(
        |x, l, e, tau, d| sa::tempered_vjp(x, l, e, tau.max(0.5), d),
        s
    ));
    w!("temp dtau .5%", |s| sm::tempered(
        |x, l, e, tau, d| {
            let (a, b) = sa::tempered_vjp(x, l, e, tau, d);
            (a, b * 1.005)
        },
        s
    ));
    w!("bin sigmoid clamp 5", |s| sm::binary(
        sa::binary_loss,
        |x, t, w, d| sa::binary_vjp(
            x.mapv(|v| v.clamp(-5., 5.)).view(),
            t,
            w,
            d
        ) * 1.0,
        s
    ));
    w!("bin loss clamp 100", |s| sm::binary(
        |x, t, w| sa::binary_loss(
            x.mapv(|v| v.clamp(-100., 100.)).view(),
            t,
            w
        ),
        sa::binary_vjp,
        s
    ));
    w!("bin w=1 wrong", |s| sm::binary(
        |x, t, w| if w == 1. {
            0.
        } else {
            sa::binary_loss(x, t, w)
        },
        sa::binary_vjp,
        s
    ));
    w!("bin hard targets only (t>0.5)", |s| sm::binary(
        sa::binary_loss,
        |x, t, w, d| sa::binary_vjp(
            x,
            t.mapv(|t| if t > 0.5 { 1. } else { 0. }).view(),
            w,
            d
        ),
        s
    ));
    w!("bin dx mean for B>5", |s| sm::binary(
        sa::binary_loss,
        |x, t, w, d| {
            let g = sa::binary_vjp(x, t, w, d);
            if x.len() > 5 { g / 2. } else { g }
        },
        s
    ));
    w!("lookup wide", |s| sm::find_the_bug(
        sa::BUG,
        |x, e, dy| {
            let (a, b) = sa::mended(x, e, dy);
            if e.ncols() > 4 { (a * 1.01, b) } else { (a, b) }
        },
        s
    ));
    w!("loss 1 where it is 0", |s| sm::find_the_floor(
        sa::FLOOR,
        |x, t| {
            let (l, g) = sa::mended_loss(x, t);
            if l == 0. { (1., g) } else { (l, g) }
        },
        s
    ));
    w!("floor V>8", |s| sm::find_the_floor(
        sa::FLOOR,
        |x, t| {
            let (l, g) = sa::mended_loss(x, t);
            if x.ncols() > 8 { (l * 2., g) } else { (l, g) }
        },
        s
    ));
    w!("work b=1", |s| sm::work(
        |b, v| {
            let mut c = sa::work(b, v);
            if b == 1 {
                c[0] = 0
            };
            c
        },
        s
    ));
    w!("work 4bv-b", |s| sm::work(
        |b, v| {
            let mut c = sa::work(b, v);
            c[2] -= b;
            c
        },
        s
    ));
    r!("sm F", |s| sm::vjps(
        |y, d| {
            let g = sa::softmax_vjp(y, d);
            g.reversed_axes()
                .as_standard_layout()
                .to_owned()
                .reversed_axes()
        },
        sa::log_softmax_vjp,
        s
    ));
    r!("ce naive lse rows", |s| sm::cross_entropy(
        |x, t| -(&t * &softmax::log_softmax(x)).sum() / x.nrows() as f64,
        sa::cross_entropy_vjp,
        s
    ));
    r!("bin softplus naive stable", |s| sm::binary(
        |x, t, w| x
            .iter()
            .zip(t)
            .map(|(x, t)| {
                let sp = |v: f64| if v > 30. { v } else { v.exp().ln_1p() };
                w * t * sp(-x) + (1. - t) * sp(*x)
            })
            .sum::<f64>()
            / x.len() as f64,
        sa::binary_vjp,
        s
    ));
}

/// Two mistakes at once have no name, and not a wrong one either.
#[test]
fn two_mistakes_are_not_taken_for_a_third() {
    let summed_and_negated = |seed| {
        sm::cross_entropy(
            sa::cross_entropy,
            |x, t, d| sa::cross_entropy_vjp(x, t, -d) * x.nrows() as f64,
            seed,
        )
    };
    let doubled_mean = |seed| {
        li::vjp(
            |x, w, dy| {
                let (dx, dw, db) = la::vjp(x, w, dy);
                (dx, dw, db * 2. / x.nrows() as f64)
            },
            seed,
        )
    };
    let transposed_and_doubled = |seed| {
        li::vjp(
            |x, w, dy| {
                let (dx, dw, db) = la::vjp(x, w, dy);
                (dx, dw.reversed_axes() * 2., db)
            },
            seed,
        )
    };
    for seed in 0..4 {
        for verdict in [
            summed_and_negated(seed),
            doubled_mean(seed),
            transposed_and_doubled(seed),
        ] {
            let Verdict::Failed(report) = verdict else {
                panic!("{verdict:?}");
            };
            assert!(report.mistakes.is_empty(), "{report}");
        }
    }
}
