//! What stands between two matrix products: activations, norms and dropout,
//! each forward and backward, as a model calls them.
//!
//!     cargo bench --bench elementwise
//!
//! On large arrays the memory decides, so the throughput is in bytes: of the
//! arrays that must be read or written once.

use backprop::backends::{Cpu, CpuTensor};
use backprop::device::Device;
use backprop::engine::philox::Stream;
use backprop::engine::random;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn normal(dev: &Cpu, seed: u64, shape: &[usize]) -> CpuTensor {
    let x = random::normal(&mut random::rng(seed), shape, 0.0, 1.0);
    dev.upload(x.view())
}

/// Ids are `group/name`; a run moves `numbers` numbers.
fn bench(
    c: &mut Criterion,
    [group, name]: [&str; 2],
    numbers: usize,
    mut run: impl FnMut(),
) {
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Bytes(4 * numbers as u64));
    group.bench_function(name, |bench| bench.iter(&mut run));
    group.finish();
}

const N: usize = 4096;

/// The cotangent of an activation arrives in a buffer of its own and leaves as
/// `dx` in the same; here it is `y` that is handed back.
fn activations(c: &mut Criterion) {
    let dev = Cpu::new();
    let x = normal(&dev, 1, &[N, 3072]);
    let numbers = 5 * N * 3072; // x, y; x, dy, dx
    bench(c, ["gelu", "4096x3072 fwd+bwd"], numbers, || {
        let y = dev.gelu(&x);
        dev.gelu_vjp(&x, y);
    });
    bench(c, ["gelu_tanh", "4096x3072 fwd+bwd"], numbers, || {
        let y = dev.gelu_tanh(&x);
        dev.gelu_tanh_vjp(&x, y);
    });
    let x = normal(&dev, 2, &[N, 4096]);
    let numbers = (3 + 5) * N * 2048; // g, u, y; g, u, dy, dg, du
    bench(c, ["swiglu", "4096x2048 fwd+bwd"], numbers, || {
        let y = dev.swiglu(&x);
        dev.swiglu_vjp(&x, &y);
    });
}

fn norms(c: &mut Criterion) {
    let dev = Cpu::new();
    let (x, dy) = (normal(&dev, 3, &[N, 768]), normal(&dev, 4, &[N, 768]));
    let (gamma, beta) = (normal(&dev, 5, &[768]), normal(&dev, 6, &[768]));
    let (mut dgamma, mut dbeta) = (dev.zeros(&[768]), dev.zeros(&[768]));
    let numbers = 5 * N * 768; // x, y; x, dy, dx
    bench(c, ["layer_norm", "4096x768 fwd+bwd"], numbers, || {
        let (_y, kept) = dev.layer_norm(&x, &gamma, &beta, 1e-5);
        let (dg, db) = (&mut dgamma, &mut dbeta);
        dev.layer_norm_vjp(&x, &gamma, &kept, &dy, dg, db);
    });
    bench(c, ["rms_norm", "4096x768 fwd+bwd"], numbers, || {
        let (_y, kept) = dev.rms_norm(&x, &gamma, 1e-5);
        dev.rms_norm_vjp(&x, &gamma, &kept, &dy, &mut dgamma);
    });
}

/// In place: the array is read and written, once forward and once backward.
fn dropout(c: &mut Criterion) {
    let dev = Cpu::new();
    let stream = Stream::new(1, 2, 3);
    let mut x = Some(normal(&dev, 7, &[N, 768]));
    bench(c, ["dropout", "4096x768 fwd+bwd"], 4 * N * 768, || {
        let y = dev.dropout(x.take().expect("put back"), 0.1, stream);
        x = Some(dev.dropout(y, 0.1, stream));
    });
}

criterion_group!(benches, activations, norms, dropout);
criterion_main!(benches);
