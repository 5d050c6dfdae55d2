//! After the first step a training step makes no allocation of ours.
//!
//! The matrix product's packing buffers are counted apart: the same products
//! are run alone, on arrays of the same shapes, and their allocations must be
//! all that a step makes.

use backprop::backends::Cpu;
use backprop::device::{Device, Params};
use backprop::engine::gemm::{matmul_acc, matmul_into};
use backprop::network::mlp::model::{Activation, Mlp, Residuals};
use ndarray::Array2;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, n: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.realloc(p, layout, n) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of `f`, after one call that fills pools and thread-locals.
fn later_allocations(mut f: impl FnMut()) -> usize {
    f();
    let before = COUNT.load(Relaxed);
    f();
    COUNT.load(Relaxed) - before
}

const BATCH: usize = 32;
const SIZES: [usize; 4] = [64, 128, 32, 10];

/// What the products of one step allocate by themselves.
fn packing() -> usize {
    SIZES
        .windows(2)
        .enumerate()
        .map(|(l, io)| {
            let x = Array2::<f32>::zeros((BATCH, io[0]));
            let w = Array2::<f32>::zeros((io[0], io[1]));
            let y = Array2::<f32>::zeros((BATCH, io[1]));
            let (mut dx, mut dw, mut dy) = (x.clone(), w.clone(), y.clone());
            later_allocations(|| {
                matmul_acc(x.view(), w.view(), dy.view_mut());
                matmul_acc(x.t(), y.view(), dw.view_mut());
                if l > 0 {
                    matmul_into(y.view(), w.t(), dx.view_mut());
                }
            })
        })
        .sum()
}

// One test in this file: another would allocate in between.
#[test]
fn a_step_allocates_nothing_after_the_first() {
    let packing = packing();
    for activation in [Activation::Relu, Activation::Tanh] {
        let dev = Cpu::new();
        let mut model = Mlp::new(&dev, &SIZES, activation, 0);
        let mut grads = model.zeros_like(&dev);
        let mut velocity = model.zeros_like(&dev);
        let mut kept = Residuals::default();
        let x = Array2::from_shape_fn((BATCH, 64), |(i, j)| (i + j) as f64);
        let x = x / 96.;
        let labels: Vec<usize> = (0..BATCH).map(|i| i % 10).collect();
        let mut loss = [0.];
        let before = COUNT.load(Relaxed);
        let in_step = later_allocations(|| {
            let x = dev.upload(x.view().into_dyn());
            let labels = dev.upload_ids(&labels);
            for g in grads.tensors_mut() {
                dev.clear(g);
            }
            let (kept, grads) = (&mut kept, &mut grads);
            let l = model.loss_and_grad(&dev, x, &labels, 0.1, kept, grads);
            dev.read_into(&l, &mut loss);
            let rest = grads.tensors().zip(velocity.tensors_mut());
            for (w, (dw, v)) in model.tensors_mut().zip(rest) {
                dev.sgd(w, dw, v, 0.1, 0.9, 1e-4);
            }
        });
        let first = COUNT.load(Relaxed) - before - in_step;
        assert!(first > packing, "the first step fills the pool: {first}");
        assert_eq!(in_step, packing, "allocations in a later step");
        assert!(loss[0].is_finite());
    }
}
