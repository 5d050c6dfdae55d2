//! Every op of `Cpu` against `Textbook`, forward and VJP, on awkward sizes.

use backprop::backends::{Cpu, Textbook};
use backprop::device::{AdamW, Device, Heads};
use backprop::engine::philox::Stream;
use ndarray::{Array1, Array2, ArrayD};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::{StandardNormal, Uniform};
use rand_chacha::ChaCha8Rng;

const SIZES: [usize; 7] = [1, 15, 16, 17, 127, 128, 129];

/// Rows and columns that pair every size with another.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    (0..SIZES.len()).flat_map(|i| {
        [1, 3].map(|step| (SIZES[i], SIZES[(i + step) % SIZES.len()]))
    })
}

struct Data(ChaCha8Rng);

impl Data {
    fn new(seed: u64) -> Data {
        Data(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Normal numbers that an `f32` holds exactly, so that both backends see
    /// the same input.
    fn normal(&mut self, shape: &[usize]) -> ArrayD<f64> {
        ArrayD::random_using(shape, StandardNormal, &mut self.0)
            .mapv(|x: f64| f64::from(x as f32))
    }

    fn labels(&mut self, n: usize, classes: usize) -> Vec<usize> {
        let any = Uniform::new(0, classes).expect("at least one class");
        Array1::random_using(n, any, &mut self.0).to_vec()
    }
}

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

#[test]
fn linear() {
    for (seed, (n, i)) in shapes().enumerate() {
        let o = SIZES[(seed * 5 + 2) % SIZES.len()];
        let mut d = Data::new(seed as u64);
        let (x, w, b) = (d.normal(&[n, i]), d.normal(&[i, o]), d.normal(&[o]));
        let (dy, dw0, db0) =
            (d.normal(&[n, o]), d.normal(&[i, o]), d.normal(&[o]));
        both!(format!("linear {n}x{i}x{o}"), 2e-6, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let (x, w, b, dy) = (up(&x), up(&w), up(&b), up(&dy));
            // The gradients are added to what is there already.
            let (mut dw, mut db) = (up(&dw0), up(&db0));
            let y = dev.linear(&x, &w, &b);
            let dx = dev.linear_vjp(&x, &w, &dy, &mut dw, &mut db);
            let once = [dev.read(&dw), dev.read(&db)];
            dev.linear_vjp_params(&x, &dy, &mut dw, &mut db);
            let [dw1, db1] = once;
            [dev.read(&y), dev.read(&dx), dw1, db1]
                .into_iter()
                .chain([dev.read(&dw), dev.read(&db)])
                .collect::<Vec<_>>()
        });
    }
}

#[test]
fn activations() {
    for (seed, (n, m)) in shapes().enumerate() {
        let mut d = Data::new(seed as u64);
        let mut x = d.normal(&[n, m]) * 2.;
        x[[0, 0]] = 0.; // the kink of ReLU
        let dy = d.normal(&[n, m]);
        let want = both!(format!("activation {n}x{m}"), 1e-6, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let y = dev.relu(up(&x));
            let t = dev.tanh(up(&x));
            [
                dev.read(&y),
                dev.read(&dev.relu_vjp(&y, up(&dy))),
                dev.read(&t),
                dev.read(&dev.tanh_vjp(&t, up(&dy))),
            ]
        });
        assert_eq!(want[1][[0, 0]], 0., "ReLU'(0)");
    }
}

/// Text length, width of a head, and how many heads share how many keys.
fn attentions() -> impl Iterator<Item = (usize, usize, Heads)> {
    let heads = [(1, 1), (3, 3), (4, 2), (6, 1)];
    shapes().zip(heads.into_iter().cycle()).map(|((t, d), h)| {
        let (queries, keys) = h;
        let batch = 2;
        (
            t,
            d,
            Heads {
                batch,
                queries,
                keys,
            },
        )
    })
}

#[test]
fn attention() {
    for (seed, (t, width, heads)) in attentions().enumerate() {
        let Heads {
            batch,
            queries,
            keys,
        } = heads;
        let mut d = Data::new(seed as u64);
        let qkv = d.normal(&[batch * t, (queries + 2 * keys) * width]);
        let dy = d.normal(&[batch * t, queries * width]);
        let what = format!("attention T {t} d {width} {heads:?}");
        both!(what, 5e-6, |dev| {
            let (qkv, dy) = (dev.upload(qkv.view()), dev.upload(dy.view()));
            let (y, p) = dev.attention(&qkv, heads);
            let d = dev.attention_vjp(&qkv, &p, &dy, heads);
            [dev.read(&y), dev.read(&p), dev.read(&d)]
        });
    }
}

#[test]
fn flash_attention() {
    // Longer than one tile, too.
    let long = [(
        300,
        20,
        Heads {
            batch: 1,
            queries: 4,
            keys: 2,
        },
    )];
    for (seed, (t, width, heads)) in attentions().chain(long).enumerate() {
        let Heads {
            batch,
            queries,
            keys,
        } = heads;
        let mut d = Data::new(seed as u64);
        let qkv = d.normal(&[batch * t, (queries + 2 * keys) * width]);
        let dy = d.normal(&[batch * t, queries * width]);
        let what = format!("flash_attention T {t} d {width} {heads:?}");
        both!(what, 5e-6, |dev| {
            let (qkv, dy) = (dev.upload(qkv.view()), dev.upload(dy.view()));
            let (y, lse) = dev.flash_attention(&qkv, heads);
            let d = dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
            let lse = dev.read(&lse) + 1.; // with one key it may be near 0
            [dev.read(&y), lse, dev.read(&d)]
        });
    }
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
fn softmax_ce() {
    for (seed, (n, classes)) in shapes().enumerate() {
        for smoothing in [0., 0.1] {
            let mut d = Data::new(seed as u64);
            let x = d.normal(&[n, classes]) * 3.;
            let labels = d.labels(n, classes);
            let what = format!("softmax_ce {n}x{classes} ε={smoothing}");
            both!(what, 2e-6, |dev| {
                let x = dev.upload(x.view());
                let labels = dev.upload_ids(&labels);
                let (loss, p) = dev.softmax_ce(x, &labels, smoothing);
                let (loss, probs) = (dev.read(&loss), dev.read(&p));
                let dx = dev.softmax_ce_vjp(p, &labels, smoothing, 0.5);
                // With one class the gradient is 0: compare p + dx.
                [loss + 1., &probs + &dev.read(&dx), probs]
            });
        }
    }
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
fn sgd() {
    for (seed, n) in SIZES.into_iter().enumerate() {
        let mut d = Data::new(seed as u64);
        let (w, dw, v) = (d.normal(&[n]), d.normal(&[n]), d.normal(&[n]));
        both!(format!("sgd {n}"), 1e-6, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let (mut w, mut v, dw) = (up(&w), up(&v), up(&dw));
            dev.sgd(&mut w, &dw, &mut v, 0.1, 0.9, 0.01);
            dev.sgd(&mut w, &dw, &mut v, 0.05, 0.9, 0.01);
            [dev.read(&w), dev.read(&v)]
        });
    }
}

#[test]
fn adamw_with_clipping() {
    for (seed, n) in SIZES.into_iter().enumerate() {
        let mut d = Data::new(seed as u64);
        let (w, dw, b) = (d.normal(&[n, 3]), d.normal(&[n, 3]), d.normal(&[n]));
        let factors = both!(format!("adamw {n}"), 1e-6, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let (mut w, dw, db) = (up(&w), up(&dw), up(&b));
            let (mut m, mut v) = (dev.zeros(&[n, 3]), dev.zeros(&[n, 3]));
            let mut squares = dev.zeros(&[2]);
            let mut factors = vec![];
            for step in 1..4 {
                dev.sum_of_squares(&dw, &mut squares, 1);
                dev.sum_of_squares(&db, &mut squares, 0);
                let factor = dev.clip(&squares, [1e6, 0.1, 0.1][step - 1]);
                let set = AdamW {
                    lr: 0.1,
                    beta1: 0.9,
                    beta2: 0.95,
                    eps: 1e-8,
                    decay: 0.1,
                    step: step as u64,
                };
                dev.adamw(&mut w, &dw, &mut m, &mut v, &factor, set);
                factors.push(dev.read(&factor));
            }
            factors.extend([&w, &m, &v, &squares].map(|t| dev.read(t)));
            factors
        });
        assert_eq!(factors[0][0], 1., "not clipped");
        assert!(factors[1][0] < 1., "clipped");
    }
}

#[test]
fn gelu_and_swiglu() {
    for (seed, (n, m)) in shapes().enumerate() {
        let mut d = Data::new(seed as u64);
        let (x, dy) = (d.normal(&[n, m]) * 2., d.normal(&[n, m]));
        let gated = d.normal(&[n, 2 * m]) * 2.;
        both!(format!("gelu {n}x{m}"), 1e-6, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let (x, gated) = (up(&x), up(&gated));
            [
                dev.read(&dev.gelu(&x)),
                dev.read(&dev.gelu_vjp(&x, up(&dy))),
                dev.read(&dev.gelu_tanh(&x)),
                dev.read(&dev.gelu_tanh_vjp(&x, up(&dy))),
                dev.read(&dev.swiglu(&gated)),
                dev.read(&dev.swiglu_vjp(&gated, &up(&dy))),
            ]
        });
    }
}

#[test]
fn norms() {
    for (seed, (n, m)) in shapes().enumerate() {
        let mut d = Data::new(seed as u64);
        let (x, dy) = (d.normal(&[n, m]), d.normal(&[n, m]));
        let (gamma, beta) = (d.normal(&[m]), d.normal(&[m]));
        let (dgamma0, dbeta0) = (d.normal(&[m]), d.normal(&[m]));
        both!(format!("norms {n}x{m}"), 1e-5, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let (x, gamma, beta) = (up(&x), up(&gamma), up(&beta));
            let dy = up(&dy);
            // The gradients are added to what is there already.
            let (mut dg, mut db) = (up(&dgamma0), up(&dbeta0));
            let (y, kept) = dev.layer_norm(&x, &gamma, &beta, 0.1);
            let dx =
                dev.layer_norm_vjp(&x, &gamma, &kept, &dy, &mut dg, &mut db);
            let alone = dev.layer_norm_vjp_input(&x, &gamma, &kept, &dy);
            assert_eq!(dev.read(&dx), dev.read(&alone));
            let (z, r) = dev.rms_norm(&x, &gamma, 0.1);
            let dz = dev.rms_norm_vjp(&x, &gamma, &r, &dy, &mut dg);
            let alone = dev.rms_norm_vjp_input(&x, &gamma, &r, &dy);
            assert_eq!(dev.read(&dz), dev.read(&alone));
            // With one column a mean's dx is 0: compare dx + 1.
            [y, kept, z, r, dz, dg, db]
                .iter()
                .map(|t| dev.read(t))
                .chain([dev.read(&dx) + 1.])
                .collect::<Vec<_>>()
        });
    }
}

#[test]
fn residual() {
    let stream = Stream::new(9, 4, 1);
    for (seed, (n, m)) in shapes().enumerate() {
        let mut d = Data::new(seed as u64);
        let (x, f) = (d.normal(&[n, m]), d.normal(&[n, m]));
        both!(format!("residual {n}x{m}"), 1e-6, |dev| {
            let up = |a: &ArrayD<f64>| dev.upload(a.view());
            let dropped = dev.read(&dev.dropout(up(&x), 0.3, stream));
            let mask = dropped.mapv(|v| f64::from(v != 0.));
            let same = dev.read(&dev.dropout(up(&x), 0., stream));
            [dev.read(&dev.add(&up(&x), up(&f))), dropped, mask, same]
        });
    }
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
