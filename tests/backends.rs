//! What the backends share beside the ops, which `ops` compares one by one:
//! memory, kinks and extremes, and what is refused.

use backprop::backends::{Cpu, Textbook};
use backprop::device::{Device, Heads};
use ndarray::{Array2, ArrayD};

/// Relative L2 error of `got` against `want`.
#[track_caller]
fn assert_close(what: &str, got: &ArrayD<f64>, want: &ArrayD<f64>, tol: f64) {
    assert_eq!(got.shape(), want.shape(), "{what}");
    let norm = |a: ArrayD<f64>| a.mapv(|x| x * x).sum().sqrt();
    let error = norm(got - want) / norm(want.clone()).max(1e-30);
    assert!(
        error <= tol,
        "{what}: relative error {error:.2e} > {tol:.0e}"
    );
}

/// Runs the same ops on both backends and compares every result.
macro_rules! both {
    ($what:expr, $tol:expr, |$dev:ident| $body:expr) => {{
        let want = {
            let $dev = &Textbook;
            $body
        };
        let got = {
            let $dev = &Cpu::new();
            $body
        };
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_close(&format!("{} [{i}]", $what), got, want, $tol);
        }
        want
    }};
}

/// Peak bytes of attention beyond its input, forward and backward.
fn attention_peak(t: usize, keep: bool) -> usize {
    let dev = Cpu::new();
    let (batch, queries, keys) = (1, 2, 2);
    let heads = Heads {
        batch,
        queries,
        keys,
    };
    let (qkv, dy) = (dev.zeros(&[t, 6 * 8]), dev.zeros(&[t, 2 * 8]));
    let before = dev.meter().live();
    dev.meter().restart();
    if keep {
        let (_y, p) = dev.attention(&qkv, heads);
        dev.attention_vjp(&qkv, &p, &dy, heads);
    } else {
        let (y, lse) = dev.flash_attention(&qkv, heads);
        dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
    }
    dev.meter().peak() - before
}

/// Output and gradient take 64 numbers for each token; what is kept grows with
/// the square of the length, or with the length.
#[test]
fn memory_of_attention() {
    for t in [100, 200, 400] {
        assert_eq!(attention_peak(t, true), 4 * (64 * t + 2 * t * t));
        assert_eq!(attention_peak(t, false), 4 * (64 * t + 2 * t));
    }
}

#[test]
fn relu_at_its_kink() {
    let x = ndarray::array![-1., 0., -0., 2.].into_dyn();
    let dy = ndarray::array![5., 6., 7., 8.].into_dyn();
    let want = both!("relu", 0., |dev| {
        let y = dev.relu(dev.upload(x.view()));
        let dx = dev.relu_vjp(&y, dev.upload(dy.view()));
        [dev.read(&y), dev.read(&dx)]
    });
    assert_eq!(want[1], ndarray::array![0., 0., 0., 8.].into_dyn());
}

#[test]
fn softmax_ce_of_extreme_logits() {
    let x = ndarray::array![
        [1e4, -1e4, 0.],
        [-1e4, -1e4, -1e4],
        [1e-40, -1e-40, 0.],
        [1e4, 1e4 - 1., -1e4],
    ]
    .into_dyn();
    let labels = [1, 0, 2, 0];
    let want = both!("extreme logits", 1e-6, |dev| {
        let ids = dev.upload_ids(&labels);
        let (loss, p) = dev.softmax_ce(dev.upload(x.view()), &ids, 0.);
        let out = [dev.read(&loss), dev.read(&p)];
        let dx = dev.read(&dev.softmax_ce_vjp(p, &ids, 0., 1.));
        let [loss, p] = out;
        [loss, p, dx]
    });
    let e = (1. + (-1f64).exp()).ln();
    assert!((want[0][0] - (2e4 + 2. * 3f64.ln() + e) / 4.).abs() < 1e-9);
}

#[test]
#[should_panic(expected = "add: [2, 3] and [3, 2] differ in shape")]
fn add_does_not_take_the_transpose() {
    let dev = Cpu::new();
    dev.add(&dev.zeros(&[2, 3]), dev.zeros(&[3, 2]));
}

#[test]
#[should_panic(expected = "gelu_vjp: [2, 3] and [3, 2] differ in shape")]
fn nor_does_an_activation() {
    let dev = Cpu::new();
    dev.gelu_vjp(&dev.zeros(&[2, 3]), dev.zeros(&[3, 2]));
}

#[test]
#[should_panic(expected = "a gradient [3] does not fit a buffer [2, 3]")]
fn a_gradient_is_not_repeated() {
    let dev = Textbook;
    let (x, w, dy) = (dev.zeros(&[4, 5]), dev.zeros(&[5, 3]), [4, 3]);
    let (mut dw, mut db) = (dev.zeros(&[5, 3]), dev.zeros(&[2, 3]));
    dev.linear_vjp(&x, &w, &dev.zeros(&dy), &mut dw, &mut db);
}

#[test]
fn memory() {
    let a = Array2::from_shape_fn((3, 2), |(i, j)| (10 * i + j) as f64);
    both!("memory", 0., |dev| {
        let mut t = dev.upload(a.view().reversed_axes().into_dyn());
        let transposed = dev.read(&t);
        assert_eq!(dev.shape(&t), [2, 3]);
        dev.write(&mut t, a.t().into_dyn());
        let written = dev.read(&t);
        dev.clear(&mut t);
        drop(t);
        // A tensor from the pool holds zeros only when asked for.
        let fresh = dev.zeros(&[2, 3]);
        [transposed, written, dev.read(&fresh) + 1.]
    });
}

#[test]
#[should_panic(expected = "linear: x [2, 3] and w [4, 5] do not fit")]
fn a_wrong_shape_names_the_op() {
    let dev = Cpu::new();
    let (x, w) = (dev.zeros(&[2, 3]), dev.zeros(&[4, 5]));
    dev.linear(&x, &w, &dev.zeros(&[5]));
}

#[test]
#[should_panic(expected = "label 3 among 3 classes")]
fn a_label_out_of_range() {
    let dev = Cpu::new();
    dev.softmax_ce(dev.zeros(&[1, 3]), &dev.upload_ids(&[3]), 0.);
}
