//! The vectorised functions against those of the standard library.
//!
//!     cargo bench --bench vmath

use backprop::engine::vmath;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

type Slice = fn(&mut [f32]);

/// In place would feed results back in; so each run starts from a copy.
fn compare(c: &mut Criterion, name: &str, ours: Slice, theirs: Slice) {
    let x: Vec<f32> = (0..4096).map(|i| i as f32 / 512.0 - 4.0).collect();
    let mut y = x.clone();
    let mut group = c.benchmark_group(format!("vmath/{name}"));
    group.throughput(Throughput::Elements(x.len() as u64));
    for (who, f) in [("engine", ours), ("std", theirs)] {
        group.bench_function(who, |bench| {
            bench.iter(|| {
                y.copy_from_slice(black_box(&x));
                f(black_box(&mut y));
            })
        });
    }
    group.finish();
}

fn functions(c: &mut Criterion) {
    compare(c, "exp", vmath::exp, |x| {
        x.iter_mut().for_each(|x| *x = x.exp())
    });
    compare(c, "tanh", vmath::tanh, |x| {
        x.iter_mut().for_each(|x| *x = x.tanh())
    });
    compare(c, "sigmoid", vmath::sigmoid, |x| {
        x.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp()))
    });
    compare(c, "erf", vmath::erf, |x| {
        x.iter_mut().for_each(|x| *x = libm::erff(*x))
    });
}

criterion_group!(benches, functions);
criterion_main!(benches);
