//! What only the GPU can get wrong: drivers that take it that there are no
//! NaNs, functions of WGSL that may be imprecise, sizes at which a grid turns
//! a corner, numbers that must be the same as on the CPU to the bit.
//!
//! Without an adapter every test says so and passes.

#![cfg(feature = "gpu")]

use backprop::backends::{Gpu, Textbook};
use backprop::device::Device;
use backprop::engine::gpu::{Options, StartError};
use ndarray::{Array1, ArrayD, Axis, IxDyn};
use std::sync::LazyLock;

type A = ArrayD<f64>;

/// What is taken from the pool is full of NaN.
fn gpu() -> Option<&'static Gpu> {
    static GPU: LazyLock<Result<Gpu, StartError>> = LazyLock::new(|| {
        Gpu::start(Options {
            poison: true,
            ..Options::default()
        })
    });
    match &*GPU {
        Ok(gpu) => Some(gpu),
        Err(StartError::None) => {
            eprintln!("skipped: no adapter");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// Numbers that an `f32` holds.
fn vector(x: impl IntoIterator<Item = f64>) -> A {
    let single = x.into_iter().map(|x| f64::from(x as f32));
    Array1::from_iter(single).into_dyn()
}

/// All of -30 to 30, and numbers at which something overflows.
fn wide() -> A {
    let small = (0..60_013).map(|i| -30. + f64::from(i) / 1000.);
    let large = [1e4, -1e4, 1e30, -1e30, f64::from(f32::MAX), 0., -0.];
    vector(small.chain(large))
}

/// The largest of `|got - want| / (1 + |x|)`.
fn worst(x: &A, got: &A, want: &A) -> f64 {
    assert_eq!(got.shape(), want.shape());
    let off = |((x, got), want): ((&f64, &f64), &f64)| {
        let off = (got - want).abs() / (1. + x.abs());
        assert!(!off.is_nan(), "{x} gives {got}, not {want}");
        off
    };
    x.iter().zip(got).zip(want).map(off).fold(0., f64::max)
}

/// Every smooth activation at `x`, and its slope.
fn smooth<D: Device>(dev: &D, x: &A) -> Vec<(&'static str, A)> {
    let up = || dev.upload(x.view());
    let one = || dev.upload(A::ones(x.raw_dim()).view());
    // Of SwiGLU the gate: [x | 1].
    let n = x.len();
    let mut gated = A::ones(IxDyn(&[n, 2]));
    gated.index_axis_mut(Axis(1), 0).assign(x);
    let gated = dev.upload(gated.view());
    let dy = dev.upload(A::ones(IxDyn(&[n, 1])).view());
    let both = dev.read(&dev.swiglu_vjp(&gated, &dy));
    let half = |i| both.index_axis(Axis(1), i).to_owned();
    let flat = |y: A| y.into_shape_with_order(x.raw_dim()).expect("as long");
    vec![
        ("tanh", dev.read(&dev.tanh(up()))),
        ("gelu", dev.read(&dev.gelu(&up()))),
        ("gelu_vjp", dev.read(&dev.gelu_vjp(&up(), one()))),
        ("gelu_tanh", dev.read(&dev.gelu_tanh(&up()))),
        ("gelu_tanh_vjp", dev.read(&dev.gelu_tanh_vjp(&up(), one()))),
        ("swiglu", flat(dev.read(&dev.swiglu(&gated)))),
        ("swiglu_vjp, gate", half(0)),
        ("swiglu_vjp, other", half(1)),
    ]
}

#[test]
fn activations_are_precise_everywhere() {
    let Some(gpu) = gpu() else { return };
    let x = wide();
    let all = smooth(gpu, &x).into_iter().zip(smooth(&Textbook, &x));
    for ((name, got), (_, want)) in all {
        let off = worst(&x, &got, &want);
        println!("{name}: {off:.1e}");
        assert!(off <= 5e-7, "{name}: {off:.1e}");
    }
}

#[test]
fn smooth_activations_hide_no_nan() {
    let Some(gpu) = gpu() else { return };
    for (name, y) in smooth(gpu, &vector([f64::NAN; 6])) {
        assert!(y.iter().all(|y| y.is_nan()), "{name}: {y}");
    }
}

/// Near 0 the result is nearly x, and must not vanish in 1 - 1.
#[test]
fn tanh_is_precise_near_zero() {
    let Some(gpu) = gpu() else { return };
    let x = vector((-30..3).flat_map(|e| [1., -1.7].map(|m| m * 2f64.powi(e))));
    let y = gpu.read(&gpu.tanh(gpu.upload(x.view())));
    for (x, y) in x.iter().zip(&y) {
        let off = (y / x.tanh() - 1.).abs();
        assert!(off <= 5e-7, "{x:e} gives {y:e}");
    }
}

#[test]
fn relu_keeps_nan_and_infinity() {
    let Some(gpu) = gpu() else { return };
    let x = [f64::NAN, -f64::NAN, 1., -1., 0., -0., 1e-30, -1e-30];
    let x = vector(x.into_iter().chain([f64::INFINITY, f64::NEG_INFINITY]));
    let y = gpu.relu(gpu.upload(x.view()));
    let dx = gpu.relu_vjp(&y, gpu.upload(A::ones(x.raw_dim()).view()));
    let (y, dx) = (gpu.read(&y), gpu.read(&dx));
    assert!(y[0].is_nan() && y[1].is_nan(), "{y}");
    let tail = |a: &A| a.iter().skip(2).copied().collect::<Vec<_>>();
    assert_eq!(
        tail(&y),
        [1., 0., 0., 0., f64::from(1e-30f32), 0., f64::INFINITY, 0.]
    );
    assert_eq!(dx, vector([1., 1., 1., 0., 0., 0., 1., 0., 1., 0.]));
}

#[test]
fn no_columns_and_no_rows() {
    let Some(gpu) = gpu() else { return };
    assert_eq!(gpu.shape(&gpu.swiglu(&gpu.zeros(&[3, 0]))), [3, 0]);
    let (x, y) = (gpu.zeros(&[0, 4]), gpu.zeros(&[0, 2]));
    assert_eq!(gpu.shape(&gpu.swiglu_vjp(&x, &y)), [0, 4]);
    assert!(gpu.read(&gpu.gelu(&x)).is_empty());
    assert!(gpu.read(&gpu.add(&x, gpu.zeros(&[0, 4]))).is_empty());
    assert_eq!(gpu.fault(), None);
}
