//! Softmax and cross-entropy, forward and backward: the op, the head of a
//! language model with its loss, and the ladder of softmax.
//!
//!     cargo bench --bench softmax_ce
//!
//! Softmax works in place, so every run gets logits of its own; making them
//! is not timed.

use backprop::backends::Cpu;
use backprop::device::Device;
use backprop::engine::random;
use backprop::speed::cpu::softmax::LADDER;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ndarray::{Array2, ArrayD};

fn normal(seed: u64, shape: (usize, usize), std: f64) -> ArrayD<f64> {
    let x: Array2<f64> =
        random::normal(&mut random::rng(seed), shape, 0.0, std);
    x.into_dyn()
}

fn labels(n: usize, classes: usize) -> Vec<usize> {
    (0..n).map(|n| n * 7919 % classes).collect()
}

fn softmax_ce(c: &mut Criterion) {
    let dev = Cpu::new();
    let x = normal(1, (1024, 8192), 3.0);
    let labels = dev.upload_ids(&labels(1024, 8192));
    c.bench_function("softmax_ce/1024x8192 fwd+bwd", |bench| {
        bench.iter_batched(
            || dev.upload(x.view()),
            |x| {
                let (loss, p) = dev.softmax_ce(x, &labels, 0.0);
                (loss, dev.softmax_ce_vjp(p, &labels, 0.0, 1.0))
            },
            BatchSize::PerIteration,
        )
    });
}

fn unembed_ce(c: &mut Criterion) {
    let dev = Cpu::new();
    let x = dev.upload(normal(1, (2048, 384), 1.0).view());
    let w = dev.upload(normal(2, (8192, 384), 0.05).view());
    let labels = dev.upload_ids(&labels(2048, 8192));
    let mut dw = dev.zeros(&[8192, 384]);
    c.bench_function("unembed_ce/2048x384x8192", |bench| {
        bench.iter(|| {
            dev.clear(&mut dw);
            dev.unembed_ce_grad(&x, &w, &labels, 0.0, 1.0, Some(&mut dw))
        })
    });
}

fn ladder(c: &mut Criterion) {
    let x = normal(1, (1024, 8192), 3.0).mapv(|x| x as f32);
    let x: Array2<f32> = x.into_dimensionality().expect("a matrix");
    for (name, rung) in LADDER {
        c.bench_function(&format!("ladder/softmax/{name}"), |bench| {
            let fresh = || x.clone();
            bench.iter_batched_ref(fresh, rung, BatchSize::PerIteration)
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = softmax_ce, unembed_ce, ladder
}
criterion_main!(benches);
