//! The fused attentions where no op of `Device` takes them yet: without a
//! mask, with more keys than queries, with values of another width. Forward and
//! VJP of every head against the textbook's one head.

use backprop::engine::random;
use backprop::scale::flash_attention::fused as flash;
use backprop::transformer::attention::{
    self,
    fused::{self, by_head, by_head_mut},
};
use ndarray::{
    Array2, Array3, Array4, ArrayView2, ArrayView4, ArrayViewMut4, Zip, azip, s,
};

const SIZES: [usize; 7] = [1, 15, 16, 17, 127, 128, 129];

#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    /// Of queries, and of keys and values.
    heads: [usize; 2],
    /// Queries and keys of a text.
    lengths: [usize; 2],
    /// Of queries and keys, and of values.
    widths: [usize; 2],
    causal: bool,
}

/// Output, and the gradients of queries, keys and values, with columns by
/// head.
type Answer = [Array2<f32>; 4];

/// Queries, keys, values and the cotangent, with columns by head.
fn inputs(shape: Shape) -> Answer {
    let ([h, k], [t, s], [d, e]) = (shape.heads, shape.lengths, shape.widths);
    let mut rng = random::rng((t * 1_000_000 + d * 1000 + e) as u64);
    let b = shape.batch;
    [(t, h * d), (s, k * d), (s, k * e), (t, h * e)].map(|(rows, columns)| {
        random::normal(&mut rng, (b * rows, columns), 0., 1.)
            .mapv(|x: f64| x as f32)
    })
}

/// What `run` writes over arrays of NaN: from queries, keys, values, cotangent
/// to output and gradients.
fn answer(
    shape: Shape,
    x: &Answer,
    run: impl Fn([ArrayView4<f32>; 4], [ArrayViewMut4<f32>; 4]),
) -> Answer {
    let ([h, k], [q, ..]) = (shape.heads, x);
    let heads = [h, k, k, h];
    let nan = |x: &Array2<f32>| Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut out = [nan(&x[3]), nan(q), nan(&x[1]), nan(&x[2])];
    let from = |i: usize| by_head(x[i].view(), shape.batch, heads[i]);
    let [y, dq, dk, dv] = out.each_mut().map(|out| out.view_mut());
    let to = [(y, h), (dq, h), (dk, k), (dv, k)];
    let to = to.map(|(to, heads)| by_head_mut(to, shape.batch, heads));
    run([0, 1, 2, 3].map(from), to);
    out
}

fn textbook(shape: Shape, x: &Answer) -> Answer {
    let shared = shape.heads[0] / shape.heads[1];
    answer(
        shape,
        x,
        |[q, k, v, dy], [mut y, mut dq, mut dk, mut dv]| {
            dk.fill(0.);
            dv.fill(0.);
            for b in 0..shape.batch {
                for h in 0..shape.heads[0] {
                    let at = s![b, h, .., ..];
                    let key = s![b, h / shared, .., ..];
                    let wide = |x: ArrayView2<f32>| x.mapv(f64::from);
                    let [q, dy] = [q, dy].map(|x| wide(x.slice(at)));
                    let [k, v] = [k, v].map(|x| wide(x.slice(key)));
                    let (q, k, v, dy) =
                        (q.view(), k.view(), v.view(), dy.view());
                    let (yh, p) = attention::forward(q, k, v, shape.causal);
                    let (dqh, dkh, dvh) = attention::vjp(q, k, v, p.view(), dy);
                    azip!((y in y.slice_mut(at), a in &yh) *y = *a as f32);
                    azip!((d in dq.slice_mut(at), a in &dqh) *d = *a as f32);
                    azip!((d in dk.slice_mut(key), a in &dkh) *d += *a as f32);
                    azip!((d in dv.slice_mut(key), a in &dvh) *d += *a as f32);
                }
            }
        },
    )
}

fn check(shape: Shape) {
    let (b, h, [t, s]) = (shape.batch, shape.heads[0], shape.lengths);
    let x = inputs(shape);
    let want = textbook(shape, &x);
    let kept = answer(shape, &x, |[q, k, v, dy], [y, dq, dk, dv]| {
        let mut p = Array4::from_elem((b, h, t, s), f32::NAN);
        fused::forward(q, k, v, shape.causal, y, p.view_mut());
        let d = [dq, dk, dv];
        fused::vjp([q, k, v], p.view(), dy, shape.causal, d);
    });
    near(shape, &kept, &want, 1e-5);
    let tiled = answer(shape, &x, |[q, k, v, dy], [mut y, dq, dk, dv]| {
        let mut lse = Array3::from_elem((b, h, t), f32::NAN);
        let to = lse.view_mut();
        flash::forward(q, k, v, shape.causal, y.view_mut(), to);
        let (qkv, d) = ([q, k, v], [dq, dk, dv]);
        flash::vjp(qkv, y.view(), lse.view(), dy, shape.causal, d);
    });
    // With one key dq is 0, but here the difference of two sums.
    near(shape, &tiled, &want, if s == 1 { 1e-3 } else { 1e-5 });
}

/// Relative L2, but where the numbers happen to cancel.
#[track_caller]
fn near(shape: Shape, got: &Answer, want: &Answer, tolerance: f64) {
    let names = ["y", "dq", "dk", "dv"];
    for ((got, want), name) in got.iter().zip(want).zip(names) {
        let (mut off, mut size) = (0., 0.);
        Zip::from(got).and(want).for_each(|got, want| {
            let (got, want) = (f64::from(*got), f64::from(*want));
            off += (got - want).powi(2);
            size += want * want;
        });
        let least = 0.01 * (want.len() as f64).sqrt();
        let error = f64::sqrt(off) / f64::sqrt(size).max(least);
        assert!(error <= tolerance, "{name} is {error:.1e} off: {shape:?}");
    }
}

fn one_head(keys_more: usize, causal: bool) {
    for t in SIZES {
        for d in SIZES {
            for e in SIZES {
                check(Shape {
                    batch: 1,
                    heads: [1, 1],
                    lengths: [t, t + keys_more],
                    widths: [d, e],
                    causal,
                });
            }
        }
    }
}

#[test]
fn causal_with_values_of_another_width() {
    one_head(0, true);
}

#[test]
fn every_query_sees_every_key() {
    one_head(3, false);
}

#[test]
fn across_texts_with_shared_keys() {
    for t in SIZES {
        for d in SIZES {
            check(Shape {
                batch: 2,
                heads: [10, 5],
                lengths: [t, t + 2],
                widths: [d, d],
                causal: false,
            });
        }
    }
}

/// Longer than a tile, in fewer heads than keep the cores busy.
#[test]
fn long_texts_without_a_mask() {
    check(Shape {
        batch: 1,
        heads: [4, 2],
        lengths: [300, 513],
        widths: [20, 33],
        causal: false,
    });
}
