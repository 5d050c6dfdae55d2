//! The ops of the table as a model calls them: through `Device`.
//!
//! Each function uploads the inputs of its row, runs the op and its VJP, and
//! reads the output and the gradients. Gradients of parameters begin at an eighth,
//! which is taken off again: an op that overwrites them instead of adding is
//! seen.

use super::aspects::A;
use super::{
    ADAM, BASE, FACTOR, GROUPED, HEADS, Labels, MOST, MULTI_HEAD, N_TOKENS,
    NORM_EPS, RATE, SCALE, SMOOTHING, STEP, STREAM, joined, labels,
    some_labels, tokens, words,
};
use backprop::device::{AdamW, Device, Heads};
use ndarray::Axis;

/// An op on a device: the inputs of its row and a cotangent give the output
/// and the gradients.
pub struct OnDevice<D> {
    pub run: Run<D>,
    /// Relative L2 distance per tensor.
    pub tolerance: f64,
}

/// Output and gradients from inputs and cotangent.
pub type Run<D> = fn(&D, &[A], &A) -> (A, Vec<A>);

/// The row `name` on a device; `None` where no device has that op.
pub fn on_device<D: Device>(name: &str) -> Option<OnDevice<D>> {
    let on = |run: Run<D>, tolerance| Some(OnDevice { run, tolerance });
    match name {
        "linear" => on(linear, 1e-5),
        "cross_entropy" => on(cross_entropy, 1e-5),
        "cross_entropy_smoothed" => on(cross_entropy_smoothed, 1e-5),
        "cross_entropy_ignored" => on(cross_entropy_ignored, 1e-5),
        "relu" => on(relu, 0.),
        "tanh" => on(tanh, 1e-6),
        "gelu" => on(gelu, 1e-6),
        "gelu_tanh" => on(gelu_tanh, 1e-6),
        "swiglu" => on(swiglu, 1e-6),
        "add" => on(add, 1e-7),
        "unembed" => on(unembed, 1e-5),
        "unembed_ce" => on(unembed_ce, 1e-5),
        "layer_norm" => on(layer_norm, 1e-5),
        "rms_norm" => on(rms_norm, 1e-5),
        "lora" => on(lora, 1e-5),
        "attention_multi_head" => {
            on(|dev, p, dy| attention(dev, p, dy, MULTI_HEAD), 1e-5)
        }
        "attention_grouped_query" => {
            on(|dev, p, dy| attention(dev, p, dy, GROUPED), 1e-5)
        }
        "flash_attention_multi_head" => {
            on(|dev, p, dy| flash_attention(dev, p, dy, MULTI_HEAD), 1e-5)
        }
        "flash_attention_grouped_query" => {
            on(|dev, p, dy| flash_attention(dev, p, dy, GROUPED), 1e-5)
        }
        "dropout" => on(dropout, 1e-7),
        "embedding" => on(embedding, 1e-5),
        "rope" => on(rope, 1e-6),
        "sgd" => on(sgd, 1e-6),
        "adamw" => on(adamw, 1e-6),
        "clip" => on(clip, 1e-6),
        _ => None,
    }
}

fn linear<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, w, b] = up(dev, p);
    let dy = dev.upload(dy.view());
    let y = dev.linear(&x, &w, &b);
    let (mut dw, mut db) = (begun(dev, &w), begun(dev, &b));
    let dx = dev.linear_vjp(&x, &w, &dy, &mut dw, &mut db);
    let dx_alone = dev.linear_vjp_input(&w, &dy);
    assert_eq!(dev.read(&dx), dev.read(&dx_alone), "linear_vjp_input");
    let grads = vec![dev.read(&dx), added(dev, &dw), added(dev, &db)];
    (dev.read(&y), grads)
}

/// Forward alone; with `y = x·wᵀ` the gradients are products of other ops.
fn unembed<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, w] = up(dev, p);
    let dy = dev.upload(dy.view());
    let y = dev.unembed(&x, &w);
    let zero = dev.zeros(&dev.shape(&w)[1..]);
    let (mut dw, mut unused) = (begun(dev, &w), begun(dev, &zero));
    dev.linear_vjp_params(&dy, &x, &mut dw, &mut unused);
    let dx = dev.linear(&dy, &w, &zero);
    (dev.read(&y), vec![dev.read(&dx), added(dev, &dw)])
}

fn cross_entropy<D: Device>(dev: &D, p: &[A], dloss: &A) -> (A, Vec<A>) {
    softmax_ce(dev, p, dloss, labels, 0.)
}

fn cross_entropy_smoothed<D: Device>(
    dev: &D,
    p: &[A],
    dloss: &A,
) -> (A, Vec<A>) {
    softmax_ce(dev, p, dloss, labels, SMOOTHING)
}

fn cross_entropy_ignored<D: Device>(
    dev: &D,
    p: &[A],
    dloss: &A,
) -> (A, Vec<A>) {
    softmax_ce(dev, p, dloss, some_labels, SMOOTHING)
}

fn softmax_ce<D: Device>(
    dev: &D,
    p: &[A],
    dloss: &A,
    labels: Labels,
    smoothing: f64,
) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let labels = dev.upload_ids(&labels(p[0].shape()));
    let (loss, p) = dev.softmax_ce(x, &labels, smoothing);
    let dx = dev.softmax_ce_vjp(p, &labels, smoothing, dloss.sum());
    (number(dev, &loss), vec![dev.read(&dx)])
}

fn unembed_ce<D: Device>(dev: &D, p: &[A], dloss: &A) -> (A, Vec<A>) {
    let [x, w] = up(dev, p);
    let labels = dev.upload_ids(&words(p[0].shape(), p[1].shape()));
    let dloss = dloss.sum();
    let mut dw = begun(dev, &w);
    let grad = |dw| dev.unembed_ce_grad(&x, &w, &labels, SMOOTHING, dloss, dw);
    let (loss, dx) = grad(Some(&mut dw));
    let (same_loss, same_dx) = grad(None);
    let alone = dev.unembed_ce(&x, &w, &labels, SMOOTHING);
    assert_eq!(dev.read(&dx), dev.read(&same_dx), "w is frozen");
    assert_eq!(dev.read(&loss), dev.read(&same_loss), "w is frozen");
    assert_eq!(dev.read(&loss), dev.read(&alone), "unembed_ce");
    (number(dev, &loss), vec![dev.read(&dx), added(dev, &dw)])
}

fn lora<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, a, b, y] = up(dev, p);
    let dy = dev.upload(dy.view());
    let (y, h) = dev.lora(&x, &a, &b, SCALE, y);
    let (mut da, mut db) = (begun(dev, &a), begun(dev, &b));
    // The frozen layer's gradient is there already.
    let dx = begun(dev, &x);
    let dx = dev.lora_vjp(&x, &h, &a, &b, SCALE, &dy, dx, &mut da, &mut db);
    let [dx, da, db] = [&dx, &da, &db].map(|d| added(dev, d));
    (dev.read(&y), vec![dx, da, db, dev.read(&dy)])
}

fn layer_norm<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, gamma, beta] = up(dev, p);
    let dy = dev.upload(dy.view());
    let (y, stats) = dev.layer_norm(&x, &gamma, &beta, NORM_EPS);
    let (mut dgamma, mut dbeta) = (begun(dev, &gamma), begun(dev, &beta));
    let dx =
        dev.layer_norm_vjp(&x, &gamma, &stats, &dy, &mut dgamma, &mut dbeta);
    let alone = dev.layer_norm_vjp_input(&x, &gamma, &stats, &dy);
    assert_eq!(dev.read(&dx), dev.read(&alone), "layer_norm_vjp_input");
    let grads = [dev.read(&dx), added(dev, &dgamma), added(dev, &dbeta)];
    (dev.read(&y), grads.into())
}

fn rms_norm<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, gamma] = up(dev, p);
    let dy = dev.upload(dy.view());
    let (y, stats) = dev.rms_norm(&x, &gamma, NORM_EPS);
    let mut dgamma = begun(dev, &gamma);
    let dx = dev.rms_norm_vjp(&x, &gamma, &stats, &dy, &mut dgamma);
    let alone = dev.rms_norm_vjp_input(&x, &gamma, &stats, &dy);
    assert_eq!(dev.read(&dx), dev.read(&alone), "rms_norm_vjp_input");
    (dev.read(&y), vec![dev.read(&dx), added(dev, &dgamma)])
}

/// A loss, as the table has it.
fn number<D: Device>(dev: &D, loss: &D::Tensor) -> A {
    dev.read(loss).index_axis_move(Axis(0), 0)
}

fn relu<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.relu(x);
    let dx = dev.relu_vjp(&y, dev.upload(dy.view()));
    (dev.read(&y), vec![dev.read(&dx)])
}

fn tanh<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.tanh(x);
    let dx = dev.tanh_vjp(&y, dev.upload(dy.view()));
    (dev.read(&y), vec![dev.read(&dx)])
}

fn gelu<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.gelu(&x);
    let dx = dev.gelu_vjp(&x, dev.upload(dy.view()));
    (dev.read(&y), vec![dev.read(&dx)])
}

fn gelu_tanh<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.gelu_tanh(&x);
    let dx = dev.gelu_tanh_vjp(&x, dev.upload(dy.view()));
    (dev.read(&y), vec![dev.read(&dx)])
}

fn swiglu<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.swiglu(&x);
    let dx = dev.swiglu_vjp(&x, &dev.upload(dy.view()));
    (dev.read(&y), vec![dev.read(&dx)])
}

fn add<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, f] = up(dev, p);
    (dev.read(&dev.add(&x, f)), vec![dy.clone(), dy.clone()])
}

fn attention<D: Device>(dev: &D, x: &[A], dy: &A, heads: Heads) -> (A, Vec<A>) {
    let [qkv] = up(dev, x);
    let dy = dev.upload(dy.view());
    let (y, p) = dev.attention(&qkv, heads);
    for (at, p) in dev.read(&p).indexed_iter() {
        assert!(at[2] <= at[1] || *p == 0., "p behind the mask");
    }
    let d = dev.attention_vjp(&qkv, &p, &dy, heads);
    (dev.read(&y), vec![dev.read(&d)])
}

fn flash_attention<D: Device>(
    dev: &D,
    x: &[A],
    dy: &A,
    heads: Heads,
) -> (A, Vec<A>) {
    let [qkv] = up(dev, x);
    let dy = dev.upload(dy.view());
    let (y, lse) = dev.flash_attention(&qkv, heads);
    let d = dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
    (dev.read(&y), vec![dev.read(&d)])
}

fn dropout<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.dropout(x, RATE, STREAM);
    let dx = dev.dropout(dev.upload(dy.view()), RATE, STREAM);
    (dev.read(&y), vec![dev.read(&dx)])
}

fn embedding<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [w] = up(dev, p);
    let ids = dev.upload_ids(&tokens(N_TOKENS, p[0].shape()[0]));
    let y = dev.embedding(&w, &ids);
    let mut dw = begun(dev, &w);
    dev.embedding_vjp(&ids, &dev.upload(dy.view()), &mut dw);
    (dev.read(&y), vec![added(dev, &dw)])
}

fn rope<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x] = up(dev, p);
    let y = dev.rope(x, HEADS, BASE);
    let dx = dev.rope_vjp(dev.upload(dy.view()), HEADS, BASE);
    (dev.read(&y), vec![dev.read(&dx)])
}

fn sgd<D: Device>(dev: &D, p: &[A], _: &A) -> (A, Vec<A>) {
    let [mut w, dw, mut v] = up(dev, p);
    let (lr, momentum, decay) = STEP;
    dev.sgd(&mut w, &dw, &mut v, lr, momentum, decay);
    (joined(dev.read(&w), dev.read(&v)), vec![])
}

fn adamw<D: Device>(dev: &D, p: &[A], _: &A) -> (A, Vec<A>) {
    let [mut w, mut m, mut v] = [0, 2, 3].map(|i| dev.upload(p[i].view()));
    let factor = dev.upload(A::from_elem(&[1][..], FACTOR).view());
    let n = p[0].len();
    for (step, dw) in (1..).zip(p[1].axis_chunks_iter(Axis(0), n)) {
        let set = AdamW { step, ..ADAM };
        dev.adamw(&mut w, &dev.upload(dw), &mut m, &mut v, &factor, set);
    }
    let [w, m, v] = [w, m, v].map(|t| dev.read(&t));
    (joined(joined(w, m), v), vec![])
}

fn clip<D: Device>(dev: &D, p: &[A], _: &A) -> (A, Vec<A>) {
    let gradients: [D::Tensor; 2] = up(dev, p);
    let mut squares = begun(dev, &dev.zeros(&[2]));
    for (slot, dw) in gradients.iter().enumerate() {
        dev.sum_of_squares(dw, &mut squares, slot);
    }
    let all = joined(p[0].clone(), p[1].clone());
    let clipped = |most| &all * dev.read(&dev.clip(&squares, most))[0];
    let [tight, loose] = MOST.map(clipped);
    (joined(tight, loose), vec![])
}

/// The inputs on the device.
fn up<D: Device, const N: usize>(dev: &D, p: &[A]) -> [D::Tensor; N] {
    std::array::from_fn(|i| dev.upload(p[i].view()))
}

/// A gradient that has something in it already.
fn begun<D: Device>(dev: &D, like: &D::Tensor) -> D::Tensor {
    dev.upload(A::from_elem(dev.shape(like), EIGHTH).view())
}

/// What was added to it.
fn added<D: Device>(dev: &D, t: &D::Tensor) -> A {
    dev.read(t) - EIGHTH
}

const EIGHTH: f64 = 0.125;
