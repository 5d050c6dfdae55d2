//! Causal attention, forward and VJP, on the shapes of a small and of a long
//! text, and the ladder of its forward pass.
//!
//!     cargo bench --bench attention
//!
//! `attention/…` is flash attention, `attention_plain/…` keeps the
//! probabilities.

use backprop::device::Heads;
use backprop::scale::flash_attention::fused as flash;
use backprop::speed::cpu::attention::LADDER;
use backprop::transformer::attention::fused::{
    self as plain, by_head, by_head_mut, split, split_mut,
};
use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array2, Array3, Array4, s};
use std::hint::black_box;

/// Texts, heads, tokens, width of a head.
const SHAPES: [[usize; 4]; 3] =
    [[4, 8, 256, 64], [1, 8, 1024, 64], [1, 8, 4096, 64]];

fn some(rows: usize, columns: usize) -> Array2<f32> {
    let mut i = 0u32;
    Array2::from_shape_simple_fn((rows, columns), || {
        i = i.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (i >> 8) as f32 / (1 << 23) as f32 * 1.7 - 1.7
    })
}

fn tiled(c: &mut Criterion) {
    for [b, h, t, d] in SHAPES {
        let heads = Heads {
            batch: b,
            queries: h,
            keys: h,
        };
        let (qkv, dy) = (some(b * t, 3 * h * d), some(b * t, h * d));
        let (mut y, mut dqkv) = (dy.clone(), qkv.clone());
        let mut lse = Array3::zeros((b, h, t));
        c.bench_function(&format!("attention/B{b} H{h} T{t} d{d}"), |bench| {
            bench.iter(|| {
                let [q, k, v] = split(black_box(qkv.view()), heads);
                let to = by_head_mut(y.view_mut(), b, h);
                flash::forward(q, k, v, true, to, lse.view_mut());
                let (y, dy) = (y.view(), dy.view());
                let (y, dy) = (by_head(y, b, h), by_head(dy, b, h));
                let to = split_mut(dqkv.view_mut(), heads);
                flash::vjp([q, k, v], y, lse.view(), dy, true, to);
            })
        });
    }
}

fn kept(c: &mut Criterion) {
    for [b, h, t, d] in &SHAPES[..2] {
        let (b, h, t, d) = (*b, *h, *t, *d);
        let heads = Heads {
            batch: b,
            queries: h,
            keys: h,
        };
        let (qkv, dy) = (some(b * t, 3 * h * d), some(b * t, h * d));
        let (mut y, mut dqkv) = (dy.clone(), qkv.clone());
        let mut p = Array4::zeros((b, h, t, t));
        let name = format!("attention_plain/B{b} H{h} T{t} d{d}");
        c.bench_function(&name, |bench| {
            bench.iter(|| {
                let [q, k, v] = split(black_box(qkv.view()), heads);
                let to = by_head_mut(y.view_mut(), b, h);
                plain::forward(q, k, v, true, to, p.view_mut());
                let dy = by_head(dy.view(), b, h);
                let to = split_mut(dqkv.view_mut(), heads);
                plain::vjp([q, k, v], p.view(), dy, true, to);
            })
        });
    }
}

fn ladder(c: &mut Criterion) {
    let [h, t, d] = [8, 1024, 64];
    let qkv = some(3 * h * t, d).into_shape_with_order((3 * h, t, d));
    let qkv = qkv.expect("as many as there are");
    let [q, k, v] =
        [0, 1, 2].map(|i| qkv.slice(s![i * h..(i + 1) * h, .., ..]).to_owned());
    let mut y = Array3::zeros((h, t, d));
    for (name, rung) in LADDER {
        c.bench_function(&format!("ladder/attention/{name}"), |bench| {
            bench.iter(|| rung(black_box([&q, &k, &v]), &mut y))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = tiled, kept, ladder
}
criterion_main!(benches);
