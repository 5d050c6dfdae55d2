//! Known-wrong answers, one mistake each, as a learner would write them.

use super::answer::{self, Net};
use backprop::network::mlp::{Activation, Cache, Layer};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

type M<'a> = ArrayView2<'a, f64>;
type V<'a> = ArrayView1<'a, f64>;
type Grads = Vec<(Array2<f64>, Array1<f64>)>;

// BP1 and BP2

pub fn bp1_relu(dy: M, z: M, _activation: Activation) -> Array2<f64> {
    z.mapv(|z| f64::from(u8::from(z > 0.))) * dy
}

pub fn bp1_mask_from_dy(dy: M, z: M, activation: Activation) -> Array2<f64> {
    match activation {
        Activation::Relu => dy.mapv(|g| g.max(0.)),
        _ => dy.to_owned() * activation.slope(z),
    }
}

pub fn bp2_slope_first(d: M, w: M, z: M, s: Activation) -> Array2<f64> {
    let sloped = s.slope(z) * d;
    sloped.dot(&w.t())
}

// BP3 and BP4

pub fn bp3_not_transposed(a: M, delta: M) -> Array2<f64> {
    a.dot(&delta)
}

// The whole backward. `walk` goes down with the pieces that a twin gets wrong.

/// Goes down the layers; `first` makes the error at the output, `next` the
/// error below layer `l`, `weights` the weight gradient of layer `l`.
fn walk(
    layers: &[Layer],
    first: Array2<f64>,
    next: impl Fn(usize, &Array2<f64>) -> Array2<f64>,
    weights: impl Fn(usize, &Array2<f64>) -> Array2<f64>,
) -> Grads {
    let mut delta = first;
    let mut grads = Grads::new();
    for l in (0..layers.len()).rev() {
        grads.insert(0, (weights(l, &delta), delta.sum_axis(Axis(0))));
        if l > 0 {
            delta = next(l, &delta);
        }
    }
    grads
}

fn top(layers: &[Layer], cache: &Cache, dy: M) -> Array2<f64> {
    let l = layers.len() - 1;
    layers[l].activation.slope(cache.sums[l].view()) * dy
}

fn down(layers: &[Layer], cache: &Cache, l: usize, d: &M) -> Array2<f64> {
    let z = cache.sums[l - 1].view();
    layers[l - 1].activation.slope(z) * d.dot(&layers[l].w.t())
}

pub fn no_output_slope(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        dy.to_owned(),
        |l, d| down(layers, cache, l, &d.view()),
        |l, d| cache.inputs[l].t().dot(d),
    )
}

pub fn slope_at_sum_above(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        top(layers, cache, dy),
        |l, d| {
            let slope = layers[l - 1].activation.slope(cache.sums[l].view());
            d.dot(&layers[l].w.t()) * slope
        },
        |l, d| cache.inputs[l].t().dot(d),
    )
}

pub fn weight_of_this_layer(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        top(layers, cache, dy),
        |l, d| {
            let z = cache.sums[l - 1].view();
            d.dot(&layers[l - 1].w.t()) * layers[l - 1].activation.slope(z)
        },
        |l, d| cache.inputs[l].t().dot(d),
    )
}

pub fn sums_for_inputs(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        top(layers, cache, dy),
        |l, d| down(layers, cache, l, &d.view()),
        |l, d| match l {
            0 => cache.inputs[0].t().dot(d),
            _ => cache.sums[l - 1].t().dot(d),
        },
    )
}

pub fn not_reversed(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    let mut grads = answer::backward(layers, cache, dy);
    grads.reverse();
    grads
}

// One weight in two layers

type Pair = (Array2<f64>, Array2<f64>);

/// Activation and error of the hidden units.
fn tied_parts(x: M, w: M, dy: M) -> Pair {
    let z = x.dot(&w);
    let slope = z.mapv(|z| 1. / z.cosh().powi(2));
    (z.tanh(), dy.dot(&w) * slope)
}

pub fn tied_first_use(x: M, w: M, dy: M) -> Pair {
    let (_, delta) = tied_parts(x, w, dy);
    (delta.dot(&w.t()), x.t().dot(&delta))
}

pub fn tied_doubled(x: M, w: M, dy: M) -> Pair {
    let (_, delta) = tied_parts(x, w, dy);
    (delta.dot(&w.t()), 2. * x.t().dot(&delta))
}

// The hunt

// Counting

pub fn cached_with_output(sizes: &[usize], batch: usize, sums: bool) -> usize {
    let activations: usize = sizes.iter().sum();
    let z: usize = sizes.iter().skip(1).sum();
    batch * (activations + if sums { z } else { 0 })
}

pub fn cached_without_x(sizes: &[usize], batch: usize, sums: bool) -> usize {
    let mut total = 0;
    for (l, n) in sizes.iter().enumerate().skip(1) {
        if l + 1 < sizes.len() {
            total += n;
        }
        if sums {
            total += n;
        }
    }
    batch * total
}

pub fn cached_one(sizes: &[usize], _batch: usize, sums: bool) -> usize {
    answer::cached(sizes, 1, sums)
}

pub fn cached_with_weights(sizes: &[usize], batch: usize, sums: bool) -> usize {
    let weights: usize = sizes.windows(2).map(|s| s[0] * s[1] + s[1]).sum();
    answer::cached(sizes, batch, sums) + weights
}

pub fn cached_always_sums(sizes: &[usize], batch: usize, _s: bool) -> usize {
    let per_layer = sizes.windows(2).map(|s| s[0] + s[1]);
    batch * per_layer.sum::<usize>()
}

// Descent. `run` repeats one step, which changes the net and gives the loss.

fn run(mut net: Net, steps: usize, step: impl Fn(&mut Net) -> f64) -> Vec<f64> {
    (0..=steps).map(|_| step(&mut net)).collect()
}

/// Hidden sums and the error of the output.
fn look(net: &Net, x: V, t: f64) -> (Array1<f64>, f64) {
    let z = net.0.t().dot(&x) + &net.1;
    let y = z.mapv(|z| z.max(0.)).dot(&net.2) + net.3;
    (z, y - t)
}

fn move_first(net: &mut Net, x: V, by: &Array1<f64>) {
    for ((i, j), w) in net.0.indexed_iter_mut() {
        *w -= x[i] * by[j];
    }
    net.1 -= by;
}

fn masked(z: &Array1<f64>, mut d: Array1<f64>) -> Array1<f64> {
    Zip::from(&mut d).and(z).for_each(|d, z| {
        if *z <= 0. {
            *d = 0.;
        }
    });
    d
}

pub fn descend_too_early(
    n: Net,
    x: V,
    t: f64,
    rate: f64,
    s: usize,
) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * gap;
        let by = masked(&z, &net.2 * (rate * gap)); // the new w2
        move_first(net, x, &by);
        gap * gap / 2.
    })
}

pub fn descend_no_bias(n: Net, x: V, t: f64, rate: f64, s: usize) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let by = masked(&z, &net.2 * (rate * gap));
        for ((i, j), w) in net.0.indexed_iter_mut() {
            *w -= x[i] * by[j];
        }
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        gap * gap / 2.
    })
}

pub fn descend_factor_two(
    n: Net,
    x: V,
    t: f64,
    rate: f64,
    s: usize,
) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let dy = 2. * gap;
        let by = masked(&z, &net.2 * (rate * dy));
        move_first(net, x, &by);
        net.2.scaled_add(-rate * dy, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * dy;
        gap * gap / 2.
    })
}

pub fn descend_last_layer(
    n: Net,
    x: V,
    t: f64,
    rate: f64,
    s: usize,
) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * gap;
        gap * gap / 2.
    })
}
