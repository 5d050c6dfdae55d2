//! The optimisers on the parameters of a GPT of 0.81 and of 10.8 million.

use backprop::device::AdamW;
use backprop::network::optimizer::fused;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const SET: AdamW = AdamW {
    lr: 1e-3,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    decay: 0.1,
    step: 10,
};

fn some(n: usize, salt: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + salt) % 1009) as f32 / 1009. + 1e-3)
        .collect()
}

/// The formula line by line, as arrays would have it.
fn line_by_line(w: &mut [f32], dw: &[f32], m: &mut [f32], v: &mut [f32]) {
    let (b1, b2) = (SET.beta1 as f32, SET.beta2 as f32);
    for (m, g) in m.iter_mut().zip(dw) {
        *m = b1 * *m + (1. - b1) * g;
    }
    for (v, g) in v.iter_mut().zip(dw) {
        *v = b2 * *v + (1. - b2) * g * g;
    }
    let c = |b: f32| 1. - b.powi(SET.step as i32);
    let (c1, c2) = (c(b1), c(b2));
    let (lr, decay, eps) = (SET.lr as f32, SET.decay as f32, SET.eps as f32);
    for ((w, m), v) in w.iter_mut().zip(m).zip(v) {
        *w -= lr * decay * *w + lr * (*m / c1) / ((*v / c2).sqrt() + eps);
    }
}

fn optimizer(c: &mut Criterion) {
    for (name, n) in [("0.81M", 808_000), ("10.8M", 10_770_000)] {
        let mut group = c.benchmark_group("optimizer");
        group.throughput(Throughput::Elements(n as u64));
        group.sample_size(20);
        let (mut w, dw) = (some(n, 1), some(n, 2));
        let (mut m, mut v) = (some(n, 3), some(n, 4));
        group.bench_function(format!("adamw/{name}"), |b| {
            b.iter(|| fused::adamw(&mut w, &dw, &mut m, &mut v, 1., SET))
        });
        group.bench_function(format!("adamw line by line/{name}"), |b| {
            b.iter(|| line_by_line(&mut w, &dw, &mut m, &mut v))
        });
        group.bench_function(format!("sgd/{name}"), |b| {
            b.iter(|| fused::sgd(&mut w, &dw, &mut v, 1e-3, 0.9, 0.))
        });
        group.bench_function(format!("sum of squares/{name}"), |b| {
            b.iter(|| black_box(fused::sum_of_squares(&dw)))
        });
        group.finish();
    }
}

criterion_group!(benches, optimizer);
criterion_main!(benches);
