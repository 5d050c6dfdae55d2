//! What only the GPU can get wrong: drivers that take it that there are no
//! NaNs, functions of WGSL that may be imprecise, sizes at which a grid turns
//! a corner, numbers that must be the same as on the CPU to the bit.

mod gpu;

use backprop::backends::{Cpu, Textbook};
use backprop::device::{AdamW, Device, Heads};
use backprop::engine::gpu::{Limits, Options};
use backprop::engine::philox::Stream;
use backprop::transformer::embedding;
use ndarray::{Array1, ArrayD, Axis, IxDyn};

type A = ArrayD<f64>;

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

fn activations_are_precise_everywhere() {
    let gpu = gpu::shared();
    let x = wide();
    let all = smooth(gpu, &x).into_iter().zip(smooth(&Textbook, &x));
    for ((name, got), (_, want)) in all {
        let off = worst(&x, &got, &want);
        println!("{name}: {off:.1e}");
        assert!(off <= 5e-7, "{name}: {off:.1e}");
    }
}

fn smooth_activations_hide_no_nan() {
    let gpu = gpu::shared();
    for (name, y) in smooth(gpu, &vector([f64::NAN; 6])) {
        assert!(y.iter().all(|y| y.is_nan()), "{name}: {y}");
    }
}

/// Near 0 the result is nearly x, and must not vanish in 1 - 1.
fn tanh_is_precise_near_zero() {
    let gpu = gpu::shared();
    let x = vector((-30..3).flat_map(|e| [1., -1.7].map(|m| m * 2f64.powi(e))));
    let y = gpu.read(&gpu.tanh(gpu.upload(x.view())));
    for (x, y) in x.iter().zip(&y) {
        let off = (y / x.tanh() - 1.).abs();
        assert!(off <= 5e-7, "{x:e} gives {y:e}");
    }
}

fn relu_keeps_nan_and_infinity() {
    let gpu = gpu::shared();
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

fn no_columns_and_no_rows() {
    let gpu = gpu::shared();
    assert_eq!(gpu.shape(&gpu.swiglu(&gpu.zeros(&[3, 0]))), [3, 0]);
    let (x, y) = (gpu.zeros(&[0, 4]), gpu.zeros(&[0, 2]));
    assert_eq!(gpu.shape(&gpu.swiglu_vjp(&x, &y)), [0, 4]);
    assert!(gpu.read(&gpu.gelu(&x)).is_empty());
    assert!(gpu.read(&gpu.add(&x, gpu.zeros(&[0, 4]))).is_empty());
    assert_eq!(gpu.fault(), None);
}

/// Numbers between -1 and 1 that an `f32` holds, all different nearly always.
fn some(shape: &[usize], salt: usize) -> A {
    let n = shape.iter().product::<usize>();
    let x = (0..n).map(|i| ((i + salt) * 7919 % 10_007) as f64 / 5003. - 1.);
    vector(x).into_shape_with_order(shape).expect("as many")
}

/// `‖got - want‖ / ‖want‖`.
fn distance(got: &A, want: &A) -> f64 {
    let norm = |a: &A| a.iter().map(|x| x * x).sum::<f64>().sqrt();
    norm(&(got - want)) / norm(want)
}

/// Rates that no f32 holds, and one that was drawn; a seed, a step and an
/// operation of 32 bits and more.
fn dropout_is_that_of_the_cpu_to_the_bit() {
    let gpu = gpu::shared();
    let cpu = Cpu::new();
    let streams = [
        Stream::new(0xfedc_ba98_7654_3210, 0xffff_fffe, 0x8000_0001),
        Stream::new(7, 3, 2),
    ];
    for stream in streams {
        let drawn = f64::from(stream.uniform(3)); // not below itself: kept
        for rate in [0., 0.1, 0.3, drawn, 0.5 + 1e-12, 0.999, 1. - 1e-12] {
            for n in [1, 2, 3, 5, 1023, 70_001] {
                let x = some(&[n], 1);
                let want = cpu.dropout(cpu.upload(x.view()), rate, stream);
                let got = gpu.dropout(gpu.upload(x.view()), rate, stream);
                let (got, want) = (gpu.read(&got), cpu.read(&want));
                assert_eq!(got, want, "{stream:?} {rate} {n}");
            }
        }
    }
}

/// `ŵ` and `dw` at a step, the sign of a zero included.
fn quantised<D: Device>(dev: &D, w: &A, s: f64, bits: u32) -> [Vec<u64>; 2] {
    let dy = vector((1..=w.len()).map(|i| i as f64));
    let (x, dy) = (dev.upload(w.view()), dev.upload(dy.view()));
    let s = dev.upload(vector([s]).view());
    let mut dw = dev.zeros(w.shape());
    dev.quantise_vjp(&x, &s, bits, &dy, &mut dw);
    let w_hat = dev.quantise(&x, &s, bits);
    [w_hat, dw].map(|t| dev.read(&t).iter().map(|x| x.to_bits()).collect())
}

/// Halves, on which `round` of WGSL and of Rust differ, bounds, and their
/// neighbours on both sides; 0 and -0. The step is a power of two: a quotient
/// in WGSL is exact there.
fn codes_are_those_of_the_cpu_to_the_bit() {
    let (cpu, around) = (Cpu::new(), |h: i32| {
        let half = h as f32 / 2.;
        [half.next_down(), half, half.next_up()].map(f64::from)
    });
    let steps = (-40..=40).chain([253, 254, 255, -253, -254, -255]);
    let steps: Vec<f64> = steps.flat_map(around).chain([0., -0.]).collect();
    for s in [0.125, 1., 4.] {
        let w = vector(steps.iter().map(|w| w * s));
        for bits in [1, 2, 3, 4, 8, 16] {
            let want = quantised(&cpu, &w, s, bits);
            for gpu in gpu::both() {
                let got = quantised(gpu, &w, s, bits);
                assert_eq!(got, want, "step {s}, {bits} bits");
            }
        }
    }
}

fn a_step_between_codes_hides_no_nan() {
    let cpu = Cpu::new();
    for (w, is_nan) in [
        (vector([0., -0., 0., 0., 0.]), false),
        (vector([]), false),
        (vector([1., f64::NAN, 2.]), true),
    ] {
        for bits in [1, 4] {
            for gpu in gpu::both() {
                let x = gpu.upload(w.view());
                let s = gpu.quantise_scale(&x, bits);
                let w_hat = gpu.read(&gpu.quantise(&x, &s, bits));
                if is_nan {
                    assert!(w_hat.iter().all(|w| w.is_nan()), "{w_hat}");
                    continue;
                }
                let x = cpu.upload(w.view());
                let s = cpu.quantise_scale(&x, bits);
                assert_eq!(w_hat, cpu.read(&cpu.quantise(&x, &s, bits)));
            }
        }
    }
}

fn dropout_of_everything() {
    let gpu = gpu::shared();
    let said = gpu::panics(|| {
        gpu.dropout(gpu.zeros(&[1]), 1., Stream::new(1, 2, 3));
    });
    assert_eq!(said, "dropout: rate 1 is not in [0,1)");
}

const SET: AdamW = AdamW {
    lr: 0.1,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    decay: 0.1,
    step: 1,
};

/// A gradient that was always zero: only the decay acts. Then a large step
/// number, at which `1 - β₂ᵗ` must not be `f32`.
fn adamw_at_extremes() {
    let gpu = gpu::shared();
    let x = some(&[2, 101], 5);
    let one = gpu.upload(vector([1.]).view());
    let mut w = gpu.upload(x.view());
    let [mut m, mut v, zero] = [(); 3].map(|()| gpu.zeros(&[2, 101]));
    for step in 1..4 {
        gpu.adamw(&mut w, &zero, &mut m, &mut v, &one, AdamW { step, ..SET });
    }
    assert!(distance(&gpu.read(&w), &(&x * 0.99f64.powi(3))) < 1e-6);
    assert!(gpu.read(&m).iter().chain(&gpu.read(&v)).all(|x| *x == 0.));

    // The first step of a constant gradient is lr, however large it is.
    let g = vector([1e4, -1e4, 1e15, 1e-3, -1.]);
    for step in [1, 1_000_000] {
        let share = |beta: f64| 1. - beta.powi(step as i32 - 1);
        let mut w = gpu.zeros(&[5]);
        let mut m = gpu.upload((&g * share(0.9)).view());
        let mut v = gpu.upload((&g * &g * share(0.999)).view());
        let dw = gpu.upload(g.view());
        gpu.adamw(&mut w, &dw, &mut m, &mut v, &one, AdamW { step, ..SET });
        let want = g.mapv(|g| -0.1 * g.signum());
        assert!(distance(&gpu.read(&w), &want) < 1e-4, "{}", gpu.read(&w));
    }
}

fn clipping_at_extremes() {
    let gpu = gpu::shared();
    let factor = |squares: &[f64], most: f64| {
        let squares = gpu.upload(vector(squares.iter().copied()).view());
        gpu.read(&gpu.clip(&squares, most))[0]
    };
    assert_eq!(factor(&[0., 0.], 1.), 1.);
    assert_eq!(factor(&[], 1.), 1.);
    assert_eq!(factor(&[4.], 2.), 1.);
    assert_eq!(factor(&[1e30], f64::INFINITY), 1.);
    assert_eq!(factor(&[f64::INFINITY], 1.), 0.);
    assert!((factor(&[9., 16.], 1.) - 0.2).abs() < 1e-7);
    assert!(factor(&[1., f64::NAN], 1.).is_nan());
    let many = vec![1.; 2500];
    assert!((factor(&many, 1.) - 0.02).abs() < 1e-8);
}

/// One piece, two phases, a second phase of many numbers; other slots keep
/// what they have, and the sum is the same each time.
fn sums_of_squares() {
    let gpu = gpu::shared();
    for n in [0, 1, 3, 1025, 16_383, 16_384, 16_385, 100_003, 3_000_001] {
        let x = some(&[n], n);
        let on_gpu = gpu.upload(x.view());
        let mut squares = gpu.upload(vector([0.5, 7., 0.25]).view());
        gpu.sum_of_squares(&on_gpu, &mut squares, 1);
        let got = gpu.read(&squares);
        let want = x.iter().map(|x| x * x).sum::<f64>();
        assert!((got[1] - want).abs() <= 1e-6 * want, "{n}: {got} {want}");
        assert_eq!((got[0], got[2]), (0.5, 0.25));
        gpu.sum_of_squares(&on_gpu, &mut squares, 1);
        assert_eq!(gpu.read(&squares), got);
    }
}

/// Tokens that come often, seldom and never; more of one than a piece holds.
fn scattering_adds_up_in_pieces_and_in_order() {
    let gpu = gpu::shared();
    let often = |n: usize| if n.is_multiple_of(3) { 2 } else { n * n % 40 };
    let lists: [Vec<usize>; 5] = [
        vec![],
        vec![49],
        vec![5; 33],
        (0..50).rev().collect(),
        (0..1000).map(often).collect(),
    ];
    for ids in lists {
        for d in [1, 3, 64, 129] {
            let (w, dy) = (some(&[50, d], 3), some(&[ids.len(), d], 4));
            let on_gpu = gpu.upload_ids(&ids);
            let run = || {
                let mut dw = gpu.upload(w.view());
                let dy = gpu.upload(dy.view());
                gpu.embedding_vjp(&on_gpu, &dy, &mut dw);
                gpu.read(&dw)
            };
            let got = run();
            let mut want = w.clone();
            Textbook.embedding_vjp(&ids, &dy, &mut want);
            let off = distance(&got, &want);
            assert!(off < 1e-6, "{} tokens of {d}: {off:.1e}", ids.len());
            assert_eq!(got, run(), "not the same again");
            for (id, row) in got.outer_iter().enumerate() {
                let named = ids.contains(&id);
                assert!(named || row == w.index_axis(Axis(0), id), "{id}");
            }
            let y = gpu.read(&gpu.embedding(&gpu.upload(w.view()), &on_gpu));
            assert_eq!(y, Textbook.embedding(&w, &ids));
        }
    }
}

fn a_token_out_of_range() {
    let gpu = gpu::shared();
    let said = gpu::panics(|| {
        gpu.embedding(&gpu.zeros(&[3, 2]), &gpu.upload_ids(&[0, 3]));
    });
    assert_eq!(said, "embedding: token 3 in a table of V = 3 rows");
}

/// What a device says to shapes and settings that do not fit.
fn refusals<D: Device>(dev: &D) -> Vec<String> {
    let t = |shape: &[usize]| dev.zeros(shape);
    let ids = dev.upload_ids(&[0, 1]);
    let (x, wide) = (t(&[2, 3]), t(&[2, 4]));
    let (w, b) = (t(&[3, 5]), t(&[5]));
    let (mut dw, mut db) = (t(&[3, 5]), t(&[5]));
    let [mut m, mut v, mut same] = [(); 3].map(|()| t(&[2, 3]));
    let (qkv, p) = (t(&[4, 12]), t(&[4, 2, 3]));
    let acts: [&mut dyn FnMut(); 26] = [
        &mut || drop(dev.linear(&wide, &w, &b)),
        &mut || drop(dev.linear(&x, &w, &t(&[4]))),
        &mut || drop(dev.linear_vjp(&x, &w, &wide, &mut dw, &mut db)),
        &mut || drop(dev.linear_vjp_input(&w, &wide)),
        &mut || drop(dev.unembed(&x, &wide)),
        &mut || drop(dev.lora(&x, &w, &w, 1., t(&[2, 5]))),
        &mut || drop(dev.quantise_scale(&x, 0)),
        &mut || drop(dev.quantise(&x, &t(&[1]), 17)),
        &mut || drop(dev.quantise(&x, &t(&[2]), 4)),
        &mut || dev.quantise_vjp(&x, &t(&[1]), 4, &wide, &mut same),
        &mut || drop(dev.relu_vjp(&x, t(&[3, 2]))),
        &mut || drop(dev.tanh_vjp(&x, t(&[3, 2]))),
        &mut || drop(dev.gelu_vjp(&x, t(&[3, 2]))),
        &mut || drop(dev.gelu_tanh_vjp(&x, t(&[3, 2]))),
        &mut || drop(dev.swiglu(&x)),
        &mut || drop(dev.swiglu_vjp(&wide, &x)),
        &mut || drop(dev.layer_norm(&x, &t(&[3]), &t(&[2]), 0.)),
        &mut || drop(dev.rms_norm_vjp_input(&x, &t(&[3]), &x, &x)),
        &mut || drop(dev.add(&x, t(&[2, 4]))),
        &mut || drop(dev.dropout(t(&[2]), -0.1, Stream::new(1, 0, 0))),
        &mut || drop(dev.embedding(&t(&[1, 3]), &ids)),
        &mut || dev.embedding_vjp(&ids, &w, &mut m),
        &mut || drop(dev.rope(t(&[4, 12]), HEADS, f64::NAN)),
        &mut || drop(dev.attention(&x, HEADS)),
        &mut || drop(dev.attention_vjp(&qkv, &p, &wide, HEADS)),
        &mut || drop(dev.flash_attention_vjp(&qkv, &x, &x, &x, HEADS)),
    ];
    let mut said: Vec<_> = acts.into_iter().map(gpu::panics).collect();
    let (mut w, dw) = (t(&[2, 4]), t(&[2, 3]));
    said.push(gpu::panics(|| dev.sgd(&mut w, &dw, &mut v, 1., 0., 0.)));
    let one = t(&[1]);
    let adamw = || dev.adamw(&mut w, &dw, &mut m, &mut v, &one, SET);
    said.push(gpu::panics(adamw));
    said
}

/// One contract for all: the GPU says what the textbook says, word for word.
fn the_textbooks_contracts() {
    let want = refusals(&Textbook);
    for gpu in gpu::both() {
        assert_eq!(refusals(gpu), want);
    }
}

const HEADS: Heads = Heads {
    batch: 2,
    queries: 2,
    keys: 1,
};

/// At the five-thousandth place `f32` angles would be 10⁻⁴ off; texts that
/// grow and shrink, and two bases at a time.
fn rotations_far_into_a_text() {
    let gpu = gpu::shared();
    let heads = HEADS;
    let single = |x: &A| x.clone().into_dimensionality().expect("rank 2");
    for (length, base) in [(7, 1e4), (5001, 1e4), (100, 1e4), (9, 500.)] {
        let x = some(&[2 * length, 4 * 6], 8);
        let want = embedding::rope(single(&x).view(), heads, base).into_dyn();
        let turned = gpu.rope(gpu.upload(x.view()), heads, base);
        let got = gpu.read(&turned);
        let last = |a: &A| a.slice_axis(Axis(0), (-9..).into()).to_owned();
        let off = distance(&last(&got), &last(&want));
        assert!(off < 1e-6, "{length} {base}: {off:.1e}");
        assert!(distance(&got, &want) < 1e-6);
        let back = gpu.read(&gpu.rope_vjp(turned, heads, base));
        assert!(distance(&back, &x) < 1e-6);
    }
    let none = gpu.rope(gpu.zeros(&[0, 24]), heads, 1e4);
    assert_eq!(gpu.shape(&none), [0, 24]);
    assert_eq!(gpu.fault(), None);
}

/// What every op here makes of arrays that need more than 66 workgroups.
fn large<D: Device>(dev: &D) -> Vec<A> {
    let (n, d, heads) = (700, 100, HEADS);
    let up = |shape: &[usize], salt| dev.upload(some(shape, salt).view());
    let x = || up(&[n, d], 1);
    let gated = up(&[n, 2 * d], 3);
    let ids: Vec<usize> = (0..n).map(|i| i * i % 300).collect();
    let ids = dev.upload_ids(&ids);
    let (mut w, mut m, mut dw) = (x(), up(&[n, d], 2), x());
    let mut v = dev.zeros(&[n, d]);
    let mut squares = dev.zeros(&[1]);
    dev.sum_of_squares(&up(&[67 * 16_384 + 1], 7), &mut squares, 0);
    let factor = dev.clip(&squares, 1e-3);
    dev.adamw(&mut w, &x(), &mut m, &mut v, &factor, SET);
    dev.sgd(&mut w, &x(), &mut m, 0.1, 0.9, 0.01);
    dev.embedding_vjp(&ids, &x(), &mut dw);
    let all = [
        dev.relu_vjp(&dev.relu(x()), up(&[n, d], 2)),
        dev.tanh_vjp(&dev.tanh(x()), up(&[n, d], 2)),
        dev.gelu_vjp(&x(), dev.gelu(&x())),
        dev.gelu_tanh_vjp(&x(), dev.gelu_tanh(&x())),
        dev.swiglu_vjp(&gated, &dev.swiglu(&gated)),
        dev.add(&x(), up(&[n, d], 2)),
        dev.dropout(x(), 0.3, Stream::new(1, 2, 3)),
        dev.embedding(&x(), &ids),
        dev.rope(up(&[n, 4 * d], 2), heads, 1e4),
        squares,
        factor,
        w,
        m,
        v,
        dw,
    ];
    all.iter().map(|t| dev.read(t)).collect()
}

/// Workgroups in rows of rows, the last of which is not full.
fn grids_of_two_dimensions() {
    let limits = Limits {
        max_compute_workgroups_per_dimension: 66,
        ..Limits::default()
    };
    let options = Options {
        limits: Some(limits),
        poison: true,
        ..Options::default()
    };
    let gpu = gpu::start(options);
    let all = large(&gpu).into_iter().zip(large(&Cpu::new()));
    for (i, (got, want)) in all.enumerate() {
        let off = distance(&got, &want);
        assert!(off < 1e-6, "{i}: {off:.1e}, {:?}", gpu.fault());
    }
}

gpu::tests![
    activations_are_precise_everywhere,
    smooth_activations_hide_no_nan,
    tanh_is_precise_near_zero,
    relu_keeps_nan_and_infinity,
    no_columns_and_no_rows,
    dropout_is_that_of_the_cpu_to_the_bit,
    codes_are_those_of_the_cpu_to_the_bit,
    a_step_between_codes_hides_no_nan,
    dropout_of_everything,
    a_token_out_of_range,
    the_textbooks_contracts,
    adamw_at_extremes,
    clipping_at_extremes,
    sums_of_squares,
    scattering_adds_up_in_pieces_and_in_order,
    rotations_far_into_a_text,
    grids_of_two_dimensions,
];
