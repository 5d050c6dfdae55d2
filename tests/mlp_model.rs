//! The multilayer perceptron's hand-written backward pass: against finite
//! differences and PyTorch on `Textbook`, and `Cpu` against `Textbook`.

use backprop::backends::{Cpu, Textbook};
use backprop::device::{Device, Params};
use backprop::network::mlp::model::{Activation, Mlp, Residuals};
use ndarray::{Array2, ArrayD, Axis};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn batch(rows: usize, cols: usize, seed: u64) -> ArrayD<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::random_using((rows, cols), StandardNormal, &mut rng).into_dyn()
}

/// Loss and the gradient of every parameter, on the host.
fn loss_and_grads<D: Device>(
    dev: &D,
    model: &Mlp<D::Tensor>,
    x: &ArrayD<f64>,
    labels: &[usize],
    smoothing: f64,
) -> (f64, Vec<ArrayD<f64>>) {
    let mut grads = model.zeros_like(dev);
    let mut kept = Residuals::default();
    let (x, ids) = (dev.upload(x.view()), dev.upload_ids(labels));
    let (kept, g) = (&mut kept, &mut grads);
    let loss = model.loss_and_grad(dev, x, &ids, smoothing, 1., kept, g);
    let grads = grads.tensors().map(|g| dev.read(g)).collect();
    (dev.read(&loss)[0], grads)
}

fn relative(got: &ArrayD<f64>, want: &ArrayD<f64>) -> f64 {
    let norm = |a: &ArrayD<f64>| a.mapv(|x| x * x).sum().sqrt();
    norm(&(got - want)) / norm(want)
}

/// Every entry of every parameter, central differences, dimensions pairwise
/// different, biases not zero, loss smoothed so that every class counts.
#[test]
fn backward_agrees_with_finite_differences() {
    for activation in [Activation::Relu, Activation::Tanh] {
        for seed in 0..3 {
            let dev = &Textbook;
            let mut model = Mlp::new(dev, &[5, 8, 7, 3], activation, seed);
            let mut rng = ChaCha8Rng::seed_from_u64(seed + 100);
            for t in model.tensors_mut() {
                *t +=
                    &ArrayD::random_using(t.shape(), StandardNormal, &mut rng)
                        .mapv(|z: f64| 0.3 * z);
            }
            let x = batch(4, 5, seed);
            let labels = [2, 0, 1, 2];
            let (_, grads) = loss_and_grads(dev, &model, &x, &labels, 0.1);
            for (i, g) in grads.iter().enumerate() {
                let size = g.mapv(|g| g * g).sum().sqrt();
                assert!(size > 1e-3, "parameter {i}: gradient {size:e}");
                let mut want = ArrayD::zeros(g.shape());
                for (k, want) in want.iter_mut().enumerate() {
                    let h = 1e-6;
                    let mut at = |d: f64| {
                        let t = model.tensors_mut().nth(i).unwrap();
                        t.as_slice_mut().unwrap()[k] += d;
                        loss_and_grads(dev, &model, &x, &labels, 0.1).0
                    };
                    let (above, below) = (at(h), at(-2. * h));
                    at(h);
                    *want = (above - below) / (2. * h);
                }
                let error = relative(g, &want);
                assert!(error < 1e-7, "{activation:?} {i}: {error:e}");
            }
        }
    }
}

/// A bias and a weight that are used twice get both gradients: they are added.
#[test]
fn gradients_of_two_half_batches_add_up() {
    let dev = &Textbook;
    let model = Mlp::new(dev, &[5, 7, 3], Activation::Tanh, 1);
    let (x, labels) = (batch(6, 5, 2), [0, 1, 2, 2, 1, 0]);
    let (_, whole) = loss_and_grads(dev, &model, &x, &labels, 0.);
    let mut grads = model.zeros_like(dev);
    for half in 0..2 {
        let rows: Vec<usize> = (3 * half..3 * half + 3).collect();
        let x = dev.upload(x.select(Axis(0), &rows).view());
        let kept = &mut Residuals::default();
        let ids = &labels[3 * half..3 * half + 3].to_vec();
        model.loss_and_grad(dev, x, ids, 0., 0.5, kept, &mut grads);
        assert!(kept.inputs.is_empty(), "the residuals are given back");
    }
    for (g, want) in grads.tensors().zip(&whole) {
        assert!(relative(g, want) < 1e-14);
    }
}

fn array(v: &Value) -> ArrayD<f64> {
    fn walk(
        v: &Value,
        shape: &mut Vec<usize>,
        depth: usize,
        out: &mut Vec<f64>,
    ) {
        match v {
            Value::Array(a) => {
                if shape.len() == depth {
                    shape.push(a.len());
                }
                a.iter().for_each(|v| walk(v, shape, depth + 1, out));
            }
            v => out.push(v.as_f64().unwrap()),
        }
    }
    let (mut shape, mut out) = (Vec::new(), Vec::new());
    walk(v, &mut shape, 0, &mut out);
    ArrayD::from_shape_vec(shape, out).unwrap()
}

/// The model, its first loss and gradients, and three steps of SGD.
fn against_pytorch<D: Device>(dev: &D, tol: f64) {
    let file = include_str!("reference/mlp.json");
    let file: Value = serde_json::from_str(file).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let sizes: Vec<usize> =
            serde_json::from_value(case["sizes"].clone()).unwrap();
        let activation =
            serde_json::from_value(case["activation"].clone()).unwrap();
        let labels: Vec<usize> =
            serde_json::from_value(case["labels"].clone()).unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        let mut model = Mlp::new(dev, &sizes, activation, 0);
        let names = model.names();
        // (out,in) on file, (I,O) here
        let stored = |key: &str, i: usize| {
            let a = array(&case[key][&names[i].name]);
            if names[i].transposed {
                a.reversed_axes()
            } else {
                a
            }
        };
        for (i, t) in model.tensors_mut().enumerate() {
            dev.write(t, stored("params", i).view());
        }
        let x = array(&case["x"]);
        let logits = model.predict(dev, dev.upload(x.view()));
        let error = relative(&logits, &array(&case["logits"]));
        assert!(error < tol, "logits: {error:e}");
        let smoothing = number("smoothing");
        let (loss, grads) = loss_and_grads(dev, &model, &x, &labels, smoothing);
        assert!((loss - number("loss")).abs() < tol, "loss {loss}");
        assert_eq!(grads.len(), 2 * (sizes.len() - 1));
        for (i, g) in grads.iter().enumerate() {
            let error = relative(g, &stored("grads", i));
            assert!(error < tol, "gradient of {}: {error:e}", names[i].name);
        }
        let mut velocity = model.zeros_like(dev);
        for want in case["losses"].as_array().unwrap() {
            let (loss, grads) =
                loss_and_grads(dev, &model, &x, &labels, smoothing);
            assert!((loss - want.as_f64().unwrap()).abs() < tol);
            let state = model.tensors_mut().zip(velocity.tensors_mut());
            for ((w, v), dw) in state.zip(&grads) {
                let dw = dev.upload(dw.view());
                let (lr, mu) = (number("lr"), number("momentum"));
                dev.sgd(w, &dw, v, lr, mu, number("decay"));
            }
        }
        for (i, t) in model.tensors().enumerate() {
            let error = relative(&dev.read(t), &stored("after", i));
            assert!(error < tol, "{} after: {error:e}", names[i].name);
        }
    }
}

#[test]
fn textbook_agrees_with_pytorch() {
    against_pytorch(&Textbook, 1e-12);
}

#[test]
fn cpu_agrees_with_pytorch() {
    against_pytorch(&Cpu::new(), 2e-6);
}

#[test]
fn cpu_agrees_with_textbook() {
    for activation in [Activation::Relu, Activation::Tanh] {
        for (rows, sizes) in [
            (1, vec![1, 1]),
            (17, vec![15, 129, 16, 10]),
            (128, vec![127, 17, 2]),
        ] {
            let (dev, cpu) = (&Textbook, &Cpu::new());
            let mut exact = Mlp::new(dev, &sizes, activation, 5);
            let fast = Mlp::new(cpu, &sizes, activation, 5);
            for (e, f) in exact.tensors_mut().zip(fast.tensors()) {
                assert!(relative(&(cpu.read(f) + 1.), &(&*e + 1.)) < 1e-6);
                *e = cpu.read(f); // the same numbers to begin with
            }
            let x = batch(rows, sizes[0], 6).mapv(|x| f64::from(x as f32));
            let classes = sizes[sizes.len() - 1];
            let labels: Vec<usize> = (0..rows).map(|i| i % classes).collect();
            let (l, g) = loss_and_grads(cpu, &fast, &x, &labels, 0.1);
            let (le, ge) = loss_and_grads(dev, &exact, &x, &labels, 0.1);
            assert!((l - le).abs() < 2e-6 * (1. + le));
            for (i, (g, ge)) in g.iter().zip(&ge).enumerate() {
                let error = relative(&(g + 1e-6), &(ge + 1e-6));
                assert!(error < 1e-5, "{sizes:?} parameter {i}: {error:e}");
            }
        }
    }
}

#[test]
fn initialisation_is_seeded_and_scaled() {
    let dev = &Textbook;
    let a = Mlp::new(dev, &[300, 200, 2], Activation::Relu, 1);
    let b = Mlp::new(dev, &[300, 200, 2], Activation::Relu, 1);
    let c = Mlp::new(dev, &[300, 200, 2], Activation::Tanh, 2);
    assert_eq!(a.layers[0].w, b.layers[0].w);
    assert_ne!(a.layers[0].w, c.layers[0].w);
    assert_ne!(a.layers[0].w[[0, 0]], a.layers[1].w[[0, 0]]);
    for (model, variance) in [(a, 2. / 300.), (c, 1. / 300.)] {
        assert!((model.layers[0].w.var(0.) / variance - 1.).abs() < 0.03);
        assert_eq!(model.layers[0].b.sum(), 0.);
        assert_eq!(model.sizes(dev), [300, 200, 2]);
    }
}
