//! Losses and norms on the GPU where the table of ops does not go: rows that
//! no register holds, more rows than workgroups in one dimension, logits of
//! ten thousand, one class, rows without a target, no rows at all.

#![cfg(feature = "gpu")]

use backprop::backends::{Gpu, Textbook};
use backprop::device::Device;
use backprop::engine::gpu::{Limits, Options, StartError};
use backprop::network::softmax_cross_entropy::IGNORE;
use ndarray::{ArrayD, array};
use std::sync::LazyLock;

/// With sums over subgroups and without; none if there is no adapter.
fn gpus() -> &'static [Gpu] {
    static GPUS: LazyLock<Vec<Gpu>> = LazyLock::new(|| {
        let start = |subgroups| {
            Gpu::start(Options {
                subgroups,
                poison: true,
                ..Options::default()
            })
        };
        match [start(true), start(false)] {
            [Err(StartError::None), _] => Vec::new(),
            gpus => gpus.map(|gpu| gpu.expect("a GPU that starts")).into(),
        }
    });
    if GPUS.is_empty() {
        eprintln!("skipped: no adapter");
    }
    &GPUS
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
    for gpu in gpus() {
        let got = softmax_ce(gpu, x, labels, smoothing, 2.);
        let what = format!("{what}, smoothing {smoothing}");
        near(&format!("{what}: loss"), &got[0], &loss, 0.1, 2e-6);
        near(&format!("{what}: p"), &got[1], &p, 0.01, 4e-6);
        near(&format!("{what}: dx"), &got[2], &dx, 0.01, 4e-6);
    }
}

#[test]
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

#[test]
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

#[test]
fn a_class_that_is_ruled_out() {
    for v in [3, 5000] {
        let mut x = ArrayD::zeros(&[1, v][..]);
        x[[0, 1]] = f64::NEG_INFINITY;
        compare(&format!("{v} classes"), &x, &[0], 0.);
    }
}

#[test]
fn one_class_costs_nothing() {
    let x = array![[1e4], [-3.], [0.]].into_dyn();
    for gpu in gpus() {
        for smoothing in [0., 0.1] {
            let [loss, p, dx] = softmax_ce(gpu, &x, &[0; 3], smoothing, 1.);
            assert_eq!((loss[0], p.sum()), (0., 3.));
            assert!(dx.iter().all(|d| d.abs() < 1e-7));
        }
    }
}

#[test]
fn all_rows_but_one_are_ignored() {
    let n = 5000; // more than are added up in one go
    let mut labels = vec![IGNORE; n];
    labels[4321] = 2;
    compare("5000 rows", &numbers(&[n, 3], 5), &labels, 0.1);
}

/// A NaN is a loss of NaN, but not from a row that does not count.
#[test]
fn a_nan_is_not_hidden() {
    for gpu in gpus() {
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
#[test]
fn many_rows() {
    let limits = Limits {
        max_compute_workgroups_per_dimension: 100,
        ..Limits::default()
    };
    let options = Options {
        limits: Some(limits),
        poison: true,
        ..Options::default()
    };
    let n = 20_033;
    let x = numbers(&[n, 3], 8);
    let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
    if gpus().is_empty() {
        return;
    }
    let gpu = Gpu::start(options).expect("few workgroups");
    let want = softmax_ce(&Textbook, &x, &labels, 0.1, n as f64);
    let got = softmax_ce(&gpu, &x, &labels, 0.1, n as f64);
    for (got, want) in got.iter().zip(&want) {
        near("20,033 rows", got, want, 0.1, 2e-6);
    }
}

#[test]
fn the_same_bits_again() {
    let x = numbers(&[300, 77], 9);
    let labels: Vec<usize> = (0..300).map(|i| i % 77).collect();
    for gpu in gpus() {
        let run = || softmax_ce(gpu, &x, &labels, 0.1, 1.);
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
#[test]
fn the_head_in_chunks() {
    if gpus().is_empty() {
        return;
    }
    let gpu = Gpu::start(Options {
        limits: Some(Limits {
            max_storage_buffer_binding_size: 1 << 20,
            ..Limits::default()
        }),
        poison: true,
        ..Options::default()
    });
    let gpu = gpu.expect("small tensors");
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

/// What the host says instead of a kernel.
#[test]
fn what_cannot_be() {
    let says = |rows: usize, labels: &[usize], what: &str| {
        for gpu in gpus() {
            let x = gpu.zeros(&[rows, 3]);
            let ids = gpu.upload_ids(labels);
            let op = || gpu.softmax_ce(x, &ids, 0.);
            let panic =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(op));
            let text = *panic.unwrap_err().downcast::<String>().unwrap();
            assert!(text.contains(what), "{text}");
        }
    };
    says(1, &[3], "softmax_ce: label 3 among 3 classes");
    says(2, &[0], "softmax_ce: x [2, 3], 1 labels");
    says(2, &[IGNORE; 2], "an empty batch has no mean: 0 of 2 rows");
    says(0, &[], "an empty batch has no mean: 0 of 0 rows");
}
