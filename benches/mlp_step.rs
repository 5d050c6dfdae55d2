//! One training step: network 64-128-10, batch 32, ReLU, softmax
//! cross-entropy, SGD with momentum 0.9.
//!
//!     cargo bench --bench mlp_step
//!
//! `benches/peers/compare.py` runs this beside PyTorch.

use backprop::backends::Cpu;
use backprop::device::{Device, Params};
use backprop::engine::random;
use backprop::network::mlp::model::{Activation, Mlp, Residuals};
use criterion::{Criterion, criterion_group, criterion_main};

fn step(c: &mut Criterion) {
    let dev = Cpu::new();
    let mut model = Mlp::new(&dev, &[64, 128, 10], Activation::Relu, 1);
    let mut grads = model.zeros_like(&dev);
    let mut velocity = model.zeros_like(&dev);
    let mut kept = Residuals::default();
    let x = random::uniform(&mut random::rng(2), (32, 64), 0.0, 1.0);
    let labels: Vec<usize> = (0..32).map(|b| b % 10).collect();
    c.bench_function("mlp_step/64-128-10 batch 32", |bench| {
        bench.iter(|| {
            grads.tensors_mut().for_each(|g| dev.clear(g));
            let x = dev.upload(x.view().into_dyn());
            let labels = dev.upload_ids(&labels);
            let loss = model.loss_and_grad(
                &dev, x, &labels, 0.0, 1.0, &mut kept, &mut grads,
            );
            let moments = grads.tensors().zip(velocity.tensors_mut());
            for (w, (dw, v)) in model.tensors_mut().zip(moments) {
                dev.sgd(w, dw, v, 0.01, 0.9, 0.0);
            }
            loss
        })
    });
}

criterion_group!(benches, step);
criterion_main!(benches);
