//! The matrix product: the shapes of a small network's step, squares, and the
//! ladder from three loops to the engine.
//!
//!     cargo bench --bench gemm

use backprop::engine::gemm::gemm;
use backprop::speed::cpu::matmul::LADDER;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array2, ArrayView2, linalg::general_mat_mul};
use std::hint::black_box;

fn some(rows: usize, cols: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, cols), |(i, j)| {
        ((i * 31 + j * 17) % 23) as f32 / 23.0 - 0.5
    })
}

fn compare(
    c: &mut Criterion,
    name: &str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
) {
    let (m, k, n) = (a.nrows(), a.ncols(), b.ncols());
    let mut out = Array2::zeros((m, n));
    let mut group = c.benchmark_group(format!("gemm/{name}"));
    group.throughput(Throughput::Elements((2 * m * n * k) as u64));
    group.bench_function("engine", |bench| {
        bench.iter(|| gemm(1.0, black_box(a), b, 1.0, out.view_mut()))
    });
    group.bench_function("ndarray", |bench| {
        bench.iter(|| general_mat_mul(1.0, &black_box(a), &b, 1.0, &mut out))
    });
    group.finish();
}

/// One step of the network 64-128-10 at batch 32.
fn step(c: &mut Criterion) {
    let (x, w1) = (some(32, 64), some(64, 128));
    let (h, w2, dy) = (some(32, 128), some(128, 10), some(32, 10));
    compare(c, "y = x w, 32x64x128", x.view(), w1.view());
    compare(c, "y = h w, 32x128x10", h.view(), w2.view());
    compare(c, "dw = h' dy, 128x32x10", h.t(), dy.view());
    compare(c, "dh = dy w', 32x10x128", dy.view(), w2.t());
    compare(c, "dw = x' dh, 64x32x128", x.t(), h.view());
}

fn squares(c: &mut Criterion) {
    for n in [64, 128, 256, 512, 1024] {
        let (a, b) = (some(n, n), some(n, n));
        compare(c, &format!("{n}x{n}x{n}"), a.view(), b.view());
    }
}

fn ladder(c: &mut Criterion) {
    let n = 512;
    let (a, b, mut out) = (some(n, n), some(n, n), some(n, n));
    for (name, rung) in LADDER {
        let mut group = c.benchmark_group("ladder/matmul");
        group.throughput(Throughput::Elements((2 * n * n * n) as u64));
        group.sample_size(10);
        group.bench_function(name, |bench| {
            bench.iter(|| rung(black_box(&a), &b, &mut out))
        });
        group.finish();
    }
}

criterion_group!(benches, step, squares, ladder);
criterion_main!(benches);
