//! Losses and norms on the GPU where the table of ops does not go: rows that
//! no register holds, more rows than workgroups in one dimension, logits of
//! ten thousand, one class, rows without a target, no rows at all; and losses
//! against exact ones.

mod exact;
mod gpu;

use backprop::backends::{Gpu, Textbook};
use backprop::device::Device;
use backprop::engine::gpu::{Limits, Options};
use backprop::network::softmax_cross_entropy::IGNORE;
use ndarray::{ArrayD, Axis, array};

/// One that can do less.
fn with_limits(limits: Limits) -> Gpu {
    gpu::start(Options {
        limits: Some(limits),
        poison: true,
        ..Options::default()
    })
}

/// Numbers between -1 and 1 that an `f32` holds.
fn numbers(shape: &[usize], seed: u32) -> ArrayD<f64> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    ArrayD::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from((state >> 8) as i32 - (1 << 23)) / f64::from(1 << 23)
    })
}

/// That no entry is further off than `tolerance`, of itself or of `unit`.
#[track_caller]
fn near(
    what: &str,
    got: &ArrayD<f64>,
    want: &ArrayD<f64>,
    unit: f64,
    tolerance: f64,
) {
    assert_eq!(got.shape(), want.shape(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let most = tolerance * want.abs().max(unit);
        let off = (got - want).abs();
        assert!(off <= most, "{what}, entry {i}: {got:e}, not {want:e}");
    }
}

/// Loss, probabilities and the gradient for `dloss`.
fn softmax_ce<D: Device>(
    dev: &D,
    x: &ArrayD<f64>,
    labels: &[usize],
    smoothing: f64,
    dloss: f64,
) -> [ArrayD<f64>; 3] {
    let labels = dev.upload_ids(labels);
    let x = dev.upload(x.view());
    let (loss, p) = dev.softmax_ce(x, &labels, smoothing);
    let (loss, kept) = (dev.read(&loss), dev.read(&p));
    let dx = dev.softmax_ce_vjp(p, &labels, smoothing, dloss);
    [loss, kept, dev.read(&dx)]
}

/// The GPUs against the textbook.
#[track_caller]
fn compare(what: &str, x: &ArrayD<f64>, labels: &[usize], smoothing: f64) {
    let [loss, p, dx] = softmax_ce(&Textbook, x, labels, smoothing, 2.);
    for gpu in gpu::both() {
        let got = softmax_ce(gpu, x, labels, smoothing, 2.);
        let what = format!("{what}, smoothing {smoothing}");
        near(&format!("{what}: loss"), &got[0], &loss, 0.1, 2e-6);
        near(&format!("{what}: p"), &got[1], &p, 0.01, 4e-6);
        near(&format!("{what}: dx"), &got[2], &dx, 0.01, 4e-6);
    }
}

fn long_rows() {
    for (seed, v) in [4095, 4096, 4097, 6144, 50_257].into_iter().enumerate() {
        let mut x = numbers(&[3, v], seed as u32) * 8.;
        x[[2, v - 1]] = 11.; // the maximum comes last
        for smoothing in [0., 0.1] {
            let what = format!("V = {v}");
            compare(&what, &x, &[v - 1, IGNORE, 2], smoothing);
        }
    }
}

fn logits_of_ten_thousand() {
    let x = array![
        [1e4, -1e4, 0.],
        [-1e4, -1e4, -1e4],
        [1e-40, -1e-40, 0.],
        [1e4, 1e4 - 1., -1e4],
    ];
    compare("3 classes", &x.clone().into_dyn(), &[1, 0, 2, 0], 0.);
    compare("3 classes", &x.into_dyn(), &[1, 0, IGNORE, 0], 0.5);
    for v in [300, 5000] {
        let x = numbers(&[2, v], 7).mapv(|x| f64::from((x * 1e4) as f32));
        compare(&format!("{v} classes"), &x, &[0, v - 1], 0.1);
    }
}

fn a_class_that_is_ruled_out() {
    for v in [3, 5000] {
        let mut x = ArrayD::zeros(&[1, v][..]);
        x[[0, 1]] = f64::NEG_INFINITY;
        compare(&format!("{v} classes"), &x, &[0], 0.);
    }
}

fn one_class_costs_nothing() {
    let x = array![[1e4], [-3.], [0.]].into_dyn();
    for gpu in gpu::both() {
        for smoothing in [0., 0.1] {
            let [loss, p, dx] = softmax_ce(gpu, &x, &[0; 3], smoothing, 1.);
            assert_eq!((loss[0], p.sum()), (0., 3.));
            assert!(dx.iter().all(|d| d.abs() < 1e-7));
        }
    }
}

fn all_rows_but_one_are_ignored() {
    let n = 5000; // more than are added up in one go
    let mut labels = vec![IGNORE; n];
    labels[4321] = 2;
    compare("5000 rows", &numbers(&[n, 3], 5), &labels, 0.1);
}

/// A NaN is a loss of NaN, but not from a row that does not count.
fn a_nan_is_not_hidden() {
    for gpu in gpu::both() {
        for v in [3, 300, 5000] {
            let mut x = numbers(&[2, v], 3);
            x[[1, v / 2]] = f64::NAN;
            let [loss, ..] = softmax_ce(gpu, &x, &[0, 0], 0., 1.);
            assert!(loss[0].is_nan(), "V = {v}: {loss}");
            let [loss, _, dx] = softmax_ce(gpu, &x, &[0, IGNORE], 0.1, 1.);
            let rest = dx.iter().chain(&loss);
            assert!(rest.copied().all(f64::is_finite), "V = {v}: {loss}");
        }
    }
}

/// More workgroups than one dimension holds: 100 of them here.
fn many_rows() {
    let gpu = with_limits(Limits {
        max_compute_workgroups_per_dimension: 100,
        ..Limits::default()
    });
    let n = 20_033;
    let x = numbers(&[n, 3], 8);
    let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
    let want = softmax_ce(&Textbook, &x, &labels, 0.1, n as f64);
    let got = softmax_ce(&gpu, &x, &labels, 0.1, n as f64);
    for (got, want) in got.iter().zip(&want) {
        near("20,033 rows", got, want, 0.1, 2e-6);
    }
}

fn the_same_bits_again() {
    let x = numbers(&[300, 77], 9);
    let labels: Vec<usize> = (0..300).map(|i| i % 77).collect();
    for gpu in gpu::both() {
        let run = || softmax_ce(gpu, &x, &labels, 0.1, 1.);
        assert_eq!(run(), run());
        let run = || norms(gpu, &x, &x, 1e-5);
        assert_eq!(run(), run());
    }
}

/// Loss, `dx` and `dw` of the head.
fn unembed_ce<D: Device>(
    dev: &D,
    [x, w]: [&ArrayD<f64>; 2],
    labels: &[usize],
) -> [ArrayD<f64>; 3] {
    let labels = dev.upload_ids(labels);
    let mut dw = dev.zeros(w.shape());
    let (x, w) = (dev.upload(x.view()), dev.upload(w.view()));
    let (loss, dx) =
        dev.unembed_ce_grad(&x, &w, &labels, 0.1, 3., Some(&mut dw));
    let alone = dev.unembed_ce(&x, &w, &labels, 0.1);
    assert_eq!(dev.read(&alone), dev.read(&loss));
    [&loss, &dx, &dw].map(|t| dev.read(t))
}

/// Logits in several chunks, the last a short one: 256 rows of 1000 fit the
/// largest array; and a vocabulary of which 13 rows fit.
fn the_head_in_chunks() {
    let gpu = with_limits(Limits {
        max_storage_buffer_binding_size: 1 << 20,
        ..Limits::default()
    });
    for [n, d, v] in [[600, 17, 1000], [30, 5, 20_011]] {
        let (x, w) = (numbers(&[n, d], 1), numbers(&[v, d], 2));
        let mut labels: Vec<usize> = (0..n).map(|i| 7 * i % v).collect();
        labels[n / 2] = IGNORE;
        let want = unembed_ce(&Textbook, [&x, &w], &labels);
        let got = unembed_ce(&gpu, [&x, &w], &labels);
        for ((name, got), want) in
            ["loss", "dx", "dw"].iter().zip(&got).zip(&want)
        {
            let unit = want.iter().fold(0., |m: f64, x| m.max(x.abs()));
            near(&format!("{name} of {n} rows"), got, want, unit, 2e-5);
        }
        assert!(gpu.fault().is_none());
    }
}

/// Output, stats and gradients of LayerNorm, then of RMSNorm. The gradients of
/// the parameters begin at an eighth.
fn norms<D: Device>(
    dev: &D,
    x: &ArrayD<f64>,
    dy: &ArrayD<f64>,
    eps: f64,
) -> [ArrayD<f64>; 9] {
    let d = x.shape()[1];
    let [gamma, beta] =
        [1, 2].map(|seed| dev.upload(numbers(&[d], seed).view()));
    let eighth = ArrayD::from_elem(&[d][..], 0.125);
    let [mut dgamma, mut dbeta, mut dgamma_rms] =
        [(); 3].map(|_| dev.upload(eighth.view()));
    let [x, dy] = [x, dy].map(|t| dev.upload(t.view()));
    let (y, stats) = dev.layer_norm(&x, &gamma, &beta, eps);
    let dx =
        dev.layer_norm_vjp(&x, &gamma, &stats, &dy, &mut dgamma, &mut dbeta);
    let alone = dev.layer_norm_vjp_input(&x, &gamma, &stats, &dy);
    assert_eq!(
        dev.read(&dx).mapv(f64::to_bits),
        dev.read(&alone).mapv(f64::to_bits)
    );
    let (z, r) = dev.rms_norm(&x, &gamma, eps);
    let dz = dev.rms_norm_vjp(&x, &gamma, &r, &dy, &mut dgamma_rms);
    let alone = dev.rms_norm_vjp_input(&x, &gamma, &r, &dy);
    assert_eq!(
        dev.read(&dz).mapv(f64::to_bits),
        dev.read(&alone).mapv(f64::to_bits)
    );
    [&y, &stats, &dx, &dgamma, &dbeta, &z, &r, &dz, &dgamma_rms]
        .map(|t| dev.read(t))
}

const NORMS: [&str; 9] = [
    "y",
    "stats",
    "dx",
    "dgamma",
    "dbeta",
    "z",
    "r",
    "dz",
    "dgamma of rms",
];

/// Norms on `gpu` against the textbook: no entry is further off than
/// `tolerance`, of itself or of the largest.
#[track_caller]
fn compare_norms(gpu: &Gpu, x: &ArrayD<f64>, tolerance: f64) {
    let dy = numbers(x.shape(), 77);
    let want = norms(&Textbook, x, &dy, 1e-5);
    let got = norms(gpu, x, &dy, 1e-5);
    for ((name, got), want) in NORMS.iter().zip(&got).zip(&want) {
        let largest = want.iter().fold(0., |m: f64, x| m.max(x.abs()));
        let what = format!("{name} of {:?}", x.shape());
        near(&what, got, want, largest, tolerance);
    }
}

fn norms_of_long_rows() {
    for gpu in gpu::both() {
        for d in [769, 2048, 2049, 4096, 4097] {
            compare_norms(gpu, &numbers(&[5, d], 4), 4e-6);
        }
    }
    // The longest there may be; its kernels take long to compile.
    compare_norms(gpu::shared(), &numbers(&[5, 8192], 4), 4e-6);
}

/// Each workgroup of the VJP takes several rows, and the last does not fill
/// them.
fn norms_of_many_rows() {
    for [n, d] in [[40_001, 3], [5000, 130], [1100, 2050]] {
        for gpu in gpu::both() {
            compare_norms(gpu, &numbers(&[n, d], 6), 2e-5);
        }
    }
}

/// With more workgroups than one dimension holds.
fn norms_in_rows_of_workgroups() {
    let gpu = with_limits(Limits {
        max_compute_workgroups_per_dimension: 100,
        ..Limits::default()
    });
    compare_norms(&gpu, &numbers(&[7000, 20], 6), 1e-5);
    compare_norms(&gpu, &numbers(&[777, 2050], 6), 1e-5);
    assert!(gpu.fault().is_none());
}

/// A mean of ten thousand, of which no `f32` has more than three digits after
/// the point, over a spread of one.
fn norms_from_a_large_mean() {
    for d in [6, 100, 768, 5000] {
        let x = numbers(&[4, d], 5).mapv(|x| f64::from((x + 1e4) as f32));
        for gpu in gpu::both() {
            compare_norms(gpu, &x, 2e-5);
        }
    }
}

fn rows_without_spread() {
    let dy = numbers(&[3, 40], 1);
    let mut x = ArrayD::zeros(&[3, 40][..]);
    x.index_axis_mut(Axis(0), 0).fill(1e4);
    x.index_axis_mut(Axis(0), 1).fill(0.1);
    for gpu in gpu::both() {
        let [y, stats, dx, dgamma, ..] = norms(gpu, &x, &dy, 1e-5);
        let beta = numbers(&[40], 2);
        for y in y.outer_iter() {
            near("y", &y.to_owned(), &beta, 1., 1e-4);
        }
        assert!((stats[[0, 0]] - 1e4).abs() < 1e-2);
        assert!(dx.iter().chain(&dgamma).all(|d| d.is_finite()));
    }
}

fn one_entry_is_its_own_mean() {
    let x = array![[7.], [-1e4], [0.3]].into_dyn();
    for gpu in gpu::both() {
        let [y, _, dx, dgamma, dbeta, ..] =
            norms(gpu, &x, &(&x * 0. + 1.), 1e-5);
        let beta = numbers(&[1], 2)[0];
        assert!(y.iter().all(|y| (y - beta).abs() < 1e-6), "{y}");
        assert!(dx.iter().all(|d| d.abs() < 1e-6), "{dx}");
        assert!((dgamma[0] - 0.125).abs() < 1e-6, "{dgamma}");
        assert_eq!(dbeta[0], 3.125);
    }
}

fn no_rows_have_no_gradient() {
    let none = ArrayD::zeros(&[0, 5][..]);
    for gpu in gpu::both() {
        let [y, stats, dx, dgamma, dbeta, .., dgamma_rms] =
            norms(gpu, &none, &none, 1e-5);
        assert_eq!((y.len(), stats.len(), dx.len()), (0, 0, 0));
        let rest = dgamma.iter().chain(&dbeta).chain(&dgamma_rms);
        assert!(rest.copied().all(|d| d == 0.125));
    }
}

fn norms_hide_no_nan() {
    for gpu in gpu::both() {
        for (d, bad) in [(40, f64::NAN), (40, f64::INFINITY), (700, f64::NAN)] {
            let mut x = numbers(&[2, d], 1);
            x[[0, 37]] = bad;
            let [y, stats, .., z, _, _, _] =
                norms(gpu, &x, &numbers(&[2, d], 2), 1e-5);
            assert!(y[[0, 37]].is_nan() && z[[0, 37]].is_nan(), "{bad}");
            assert!(stats[[0, 1]].is_nan(), "{bad}");
            let second = y.index_axis(Axis(0), 1);
            assert!(second.iter().all(|y| y.is_finite()));
        }
    }
}

/// The panic of `op`.
fn panic_of<R>(op: impl FnOnce() -> R) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(op));
    match panic.err().expect("a panic").downcast::<String>() {
        Ok(text) => *text,
        Err(_) => String::new(),
    }
}

fn norms_that_cannot_be() {
    for gpu in gpu::both() {
        let zeros = |shape: &[usize]| gpu.zeros(shape);
        let (x, g, stats) = (zeros(&[2, 3]), zeros(&[3]), zeros(&[2, 1]));
        let says = [
            panic_of(|| gpu.layer_norm(&x, &zeros(&[4]), &g, 0.)),
            panic_of(|| gpu.rms_norm(&zeros(&[2, 0]), &zeros(&[0]), 0.)),
            panic_of(|| gpu.layer_norm_vjp_input(&x, &g, &stats, &x)),
            panic_of(|| {
                gpu.rms_norm_vjp_input(&x, &g, &stats, &zeros(&[3, 2]))
            }),
            panic_of(|| gpu.rms_norm(&zeros(&[1, 8193]), &g, 0.)),
        ];
        let want = [
            "layer_norm: x [2, 3] and gamma [4]",
            "rms_norm: x [2, 0] has no mean",
            "layer_norm vjp: x [2, 3] and stats [2, 1]",
            "rms_norm vjp: x [2, 3] and dy [3, 2] differ in shape",
            "rms_norm: x [1, 8193]: a GPU takes 8192 columns",
        ];
        for (says, want) in says.iter().zip(want) {
            assert!(says.contains(want), "{says}");
        }
    }
}

/// What the host says instead of a kernel.
fn what_cannot_be() {
    let says = |rows: usize, labels: &[usize], what: &str| {
        for gpu in gpu::both() {
            let x = gpu.zeros(&[rows, 3]);
            let ids = gpu.upload_ids(labels);
            let text = panic_of(|| gpu.softmax_ce(x, &ids, 0.));
            assert!(text.contains(what), "{text}");
        }
    };
    says(1, &[3], "softmax_ce: label 3 among 3 classes");
    says(2, &[0], "softmax_ce: x [2, 3], 1 labels");
    says(2, &[IGNORE; 2], "an empty batch has no mean: 0 of 2 rows");
    says(0, &[], "an empty batch has no mean: 0 of 0 rows");
}

fn against_exact_values() {
    let rows = exact::rows(true);
    for gpu in gpu::both() {
        exact::of_device(gpu, &rows).at_most("GPU", 1e-6);
    }
}

fn smoothing_is_in_its_range_or_refused() {
    exact::refuses_smoothing(gpu::shared());
}

fn a_smoothing_that_no_f32_holds() {
    for gpu in gpu::both() {
        exact::small_smoothing(gpu);
    }
}

gpu::tests![
    against_exact_values,
    smoothing_is_in_its_range_or_refused,
    a_smoothing_that_no_f32_holds,
    long_rows,
    logits_of_ten_thousand,
    a_class_that_is_ruled_out,
    one_class_costs_nothing,
    all_rows_but_one_are_ignored,
    a_nan_is_not_hidden,
    many_rows,
    the_same_bits_again,
    the_head_in_chunks,
    norms_of_long_rows,
    norms_of_many_rows,
    norms_in_rows_of_workgroups,
    norms_from_a_large_mean,
    rows_without_spread,
    one_entry_is_its_own_mean,
    no_rows_have_no_gradient,
    norms_hide_no_nan,
    norms_that_cannot_be,
    what_cannot_be,
];
