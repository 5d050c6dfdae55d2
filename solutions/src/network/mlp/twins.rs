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

type Batch = (f64, Array2<f64>, Array1<f64>, Array2<f64>, Array1<f64>);

/// Sums and activations of the hidden layer, and the gap of the output.
fn batch_parts(
    x: M,
    (w1, b1): (M, V),
    (w2, b2): (M, V),
    t: M,
) -> [Array2<f64>; 3] {
    let z = x.dot(&w1) + &b1;
    let a = z.mapv(|z| z.max(0.));
    let gap = a.dot(&w2) + &b2 - &t;
    [z, a, gap]
}

/// What the loss and its gradient are multiplied with, from the numbers of
/// examples and outputs.
pub fn two_layers(
    x: M,
    (w1, b1): (M, V),
    (w2, b2): (M, V),
    t: M,
    factors: fn(f64, f64) -> [f64; 2],
) -> Batch {
    let [z, a, gap] = batch_parts(x, (w1, b1), (w2, b2), t);
    let [of_loss, of_gradient] = factors(x.nrows() as f64, t.ncols() as f64);
    let loss = (&gap * &gap).sum() * of_loss;
    let dy = gap * (2. * of_gradient);
    let delta = dy.dot(&w2.t()) * z.mapv(|z| f64::from(z > 0.));
    let (dw1, db1) = (x.t().dot(&delta), delta.sum_axis(Axis(0)));
    (loss, dw1, db1, a.t().dot(&dy), dy.sum_axis(Axis(0)))
}

pub fn two_layers_unmasked(x: M, w1: M, b1: V, w2: M, b2: V, t: M) -> Batch {
    let [_, a, gap] = batch_parts(x, (w1, b1), (w2, b2), t);
    let batch = x.nrows() as f64;
    let loss = gap.mapv(|g| g * g).sum() / batch;
    let dy = gap * 2. / batch;
    let da = dy.dot(&w2.t());
    let dw2 = a.t().dot(&dy);
    (
        loss,
        x.t().dot(&da),
        da.sum_axis(Axis(0)),
        dw2,
        dy.sum_axis(Axis(0)),
    )
}

pub fn two_layers_sums(x: M, w1: M, b1: V, w2: M, b2: V, t: M) -> Batch {
    let [z, _, gap] = batch_parts(x, (w1, b1), (w2, b2), t);
    let batch = x.nrows() as f64;
    let loss = gap.mapv(|g| g * g).sum() / batch;
    let dy = gap * 2. / batch;
    let delta = dy.dot(&w2.t()) * z.mapv(|z| f64::from(z > 0.));
    let (dw1, db1) = (x.t().dot(&delta), delta.sum_axis(Axis(0)));
    (loss, dw1, db1, z.t().dot(&dy), dy.sum_axis(Axis(0)))
}

/// A loop over the examples assigns where it should add.
pub fn two_layers_last(x: M, w1: M, b1: V, w2: M, b2: V, t: M) -> Batch {
    let [z, a, gap] = batch_parts(x, (w1, b1), (w2, b2), t);
    let batch = x.nrows() as f64;
    let loss = gap.mapv(|g| g * g).sum() / batch;
    let dy = gap * 2. / batch;
    let delta = dy.dot(&w2.t()) * z.mapv(|z| f64::from(z > 0.));
    let (mut dw1, mut dw2) = (Array2::zeros(w1.dim()), Array2::zeros(w2.dim()));
    let (mut db1, mut db2) = (Array1::zeros(b1.len()), Array1::zeros(b2.len()));
    for n in 0..x.nrows() {
        for ((i, o), d) in dw1.indexed_iter_mut() {
            *d = x[[n, i]] * delta[[n, o]];
        }
        for ((i, o), d) in dw2.indexed_iter_mut() {
            *d = a[[n, i]] * dy[[n, o]];
        }
        db1 = delta.row(n).to_owned();
        db2 = dy.row(n).to_owned();
    }
    (loss, dw1, db1, dw2, db2)
}

pub fn bp1_sigmoid_everywhere(dy: M, z: M, _: Activation) -> Array2<f64> {
    let a = Activation::Sigmoid.value(z);
    &dy * &a * (1. - &a)
}

pub fn bp1_divided(dy: M, z: M, activation: Activation) -> Array2<f64> {
    dy.to_owned() / activation.slope(z)
}

pub fn bp1_overflowing(dy: M, z: M, activation: Activation) -> Array2<f64> {
    match activation {
        Activation::Sigmoid => {
            let e = z.exp();
            &dy * &(&e / &(1. + &e).powi(2))
        }
        Activation::Tanh => {
            let e = z.mapv(|z| (2. * z).exp());
            &dy * &(4. * &e / (&e + 1.).powi(2))
        }
        _ => answer::bp1(dy, z, activation),
    }
}

pub fn bp2_overflowing(d: M, w: M, z: M, s: Activation) -> Array2<f64> {
    bp1_overflowing(d.dot(&w.t()).view(), z, s)
}

pub fn bp2_of_positive_errors(d: M, w: M, z: M, s: Activation) -> Array2<f64> {
    answer::bp2(d.mapv(|d| d.max(0.)).view(), w, z, s)
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

/// The activation of the layer above, at the right sum.
pub fn activation_above(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        top(layers, cache, dy),
        |l, d| {
            let slope = layers[l].activation.slope(cache.sums[l - 1].view());
            d.dot(&layers[l].w.t()) * slope
        },
        |l, d| cache.inputs[l].t().dot(d),
    )
}

/// BP2 without its slope for the lowest layer only.
pub fn no_slope_at_the_bottom(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        top(layers, cache, dy),
        |l, d| match l {
            1 => d.dot(&layers[1].w.t()),
            _ => down(layers, cache, l, &d.view()),
        },
        |l, d| cache.inputs[l].t().dot(d),
    )
}

/// ReLU in all hidden layers, whatever they are.
pub fn relu_below(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    walk(
        layers,
        top(layers, cache, dy),
        |l, d| {
            let mask = cache.sums[l - 1].mapv(|z| f64::from(z > 0.));
            d.dot(&layers[l].w.t()) * mask
        },
        |l, d| cache.inputs[l].t().dot(d),
    )
}

pub fn overflowing(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    let last = layers.len() - 1;
    let z = cache.sums[last].view();
    walk(
        layers,
        bp1_overflowing(dy, z, layers[last].activation),
        |l, d| {
            let z = cache.sums[l - 1].view();
            let s = layers[l - 1].activation;
            bp1_overflowing(d.dot(&layers[l].w.t()).view(), z, s)
        },
        |l, d| cache.inputs[l].t().dot(d),
    )
}

/// A sum of 0 lets the error pass.
pub fn open_at_0(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    let mut cache = cache.clone();
    for z in &mut cache.sums {
        z.mapv_inplace(|z| if z == 0. { 1e-300 } else { z });
    }
    answer::backward(layers, &cache, dy)
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

pub fn tied_slope_at_a(x: M, w: M, dy: M) -> Pair {
    let a = x.dot(&w).tanh();
    let slope = a.mapv(|a| 1. / a.cosh().powi(2));
    let delta = dy.dot(&w) * slope;
    (delta.dot(&w.t()), x.t().dot(&delta) + dy.t().dot(&a))
}

/// The slope is made of `a`.
pub fn tied_with(x: M, w: M, dy: M, slope: fn(f64) -> f64) -> Pair {
    let a = x.dot(&w).tanh();
    let delta = dy.dot(&w) * a.mapv(slope);
    (delta.dot(&w.t()), x.t().dot(&delta) + dy.t().dot(&a))
}

pub fn tied_second_doubled(x: M, w: M, dy: M) -> Pair {
    let (a, delta) = tied_parts(x, w, dy);
    (delta.dot(&w.t()), 2. * dy.t().dot(&a))
}

// The hunt

pub fn mask_of_the_layer_above(d: M, w: M, z: M) -> Array2<f64> {
    let passed = d.mapv(|d| if d > 0. { d } else { 0. });
    passed.dot(&w.t()) * z.mapv(|z| f64::from(z > 0.))
}

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

/// `inputs`, `sums`: the widths that are counted, and how often.
pub fn cached_slices(
    (inputs, sums): (&[usize], &[usize]),
    (batch_of_inputs, batch_of_sums): (usize, usize),
    keep_sums: bool,
) -> usize {
    let count = |n: &[usize]| n.iter().sum::<usize>();
    let z = if keep_sums { count(sums) } else { 0 };
    batch_of_inputs * count(inputs) + batch_of_sums * z
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

/// The same with a forward of its own for each layer: the last one moves, then
/// the error is found again for the first.
pub fn descend_layer_by_layer(
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
        let (z, new) = look(net, x, t);
        let by = masked(&z, &net.2 * (rate * new));
        move_first(net, x, &by);
        gap * gap / 2.
    })
}

/// The first layer moves first, and the last one reads its new activations.
pub fn descend_upwards(n: Net, x: V, t: f64, rate: f64, s: usize) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let by = masked(&z, &net.2 * (rate * gap));
        move_first(net, x, &by);
        let (z, _) = look(net, x, t);
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * gap;
        gap * gap / 2.
    })
}

/// Which of `w1`, `b1`, `w2`, `b2` take the step.
pub fn descend_some(
    n: Net,
    (x, t): (V, f64),
    (rate, s): (f64, usize),
    moves: [bool; 4],
) -> Vec<f64> {
    let [w1, b1, w2, b2] = moves.map(|m| if m { rate } else { 0. });
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let by = masked(&z, &net.2 * gap);
        for ((i, j), w) in net.0.indexed_iter_mut() {
            *w -= w1 * x[i] * by[j];
        }
        net.1.scaled_add(-b1, &by);
        net.2.scaled_add(-w2 * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= b2 * gap;
        gap * gap / 2.
    })
}

/// Buffers that are made before the loop and added to within it.
pub fn descend_not_cleared(
    mut net: Net,
    x: V,
    t: f64,
    rate: f64,
    s: usize,
) -> Vec<f64> {
    let mut dw1 = Array2::<f64>::zeros(net.0.raw_dim());
    let mut db1 = Array1::<f64>::zeros(net.1.len());
    let mut dw2 = db1.clone();
    let mut db2 = 0.;
    let mut losses = Vec::new();
    for _ in 0..=s {
        let (z, gap) = look(&net, x, t);
        losses.push(gap.powi(2) / 2.);
        let delta = masked(&z, &net.2 * gap);
        for ((i, j), d) in dw1.indexed_iter_mut() {
            *d += x[i] * delta[j];
        }
        db1 += &delta;
        dw2.scaled_add(gap, &z.mapv(|z| z.max(0.)));
        db2 += gap;
        net.0.scaled_add(-rate, &dw1);
        net.1.scaled_add(-rate, &db1);
        net.2.scaled_add(-rate, &dw2);
        net.3 -= rate * db2;
    }
    losses
}

/// The mask is made before the loop; it serves the backward.
pub fn descend_stale_mask(n: Net, x: V, t: f64, r: f64, s: usize) -> Vec<f64> {
    let (first, _) = look(&n, x, t);
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let by = masked(&first, &net.2 * (r * gap));
        move_first(net, x, &by);
        net.2.scaled_add(-r * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= r * gap;
        gap * gap / 2.
    })
}

/// It serves the forward too.
pub fn descend_stale_units(
    net: Net,
    x: V,
    t: f64,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let (mut w1, mut b1, mut w2, mut b2) = net;
    let mask = (x.dot(&w1) + &b1).mapv(|z| f64::from(z > 0.));
    let mut all = Vec::new();
    for _ in 0..=steps {
        let a = (x.dot(&w1) + &b1) * &mask;
        let gap = a.dot(&w2) + b2 - t;
        all.push(gap * gap / 2.);
        let step = &w2 * &mask * (rate * gap);
        w2.scaled_add(-rate * gap, &a);
        b2 -= rate * gap;
        for (mut w, x) in w1.rows_mut().into_iter().zip(x) {
            w.scaled_add(-x, &step);
        }
        b1 -= &step;
    }
    all
}

/// The gradients are found once, and every step uses them.
pub fn descend_stale_gradients(
    n: Net,
    x: V,
    t: f64,
    rate: f64,
    s: usize,
) -> Vec<f64> {
    let (z, gap) = look(&n, x, t);
    let by = masked(&z, &n.2 * (rate * gap));
    run(n, s, |net| {
        let (_, now) = look(net, x, t);
        move_first(net, x, &by);
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * gap;
        now * now / 2.
    })
}

/// Without the mask for the biases, or for the weights, or for neither.
pub fn descend_half_masked(
    n: Net,
    x: V,
    t: f64,
    rate: f64,
    s: usize,
) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let open = &net.2 * (rate * gap);
        let by = masked(&z, open.clone());
        for ((i, j), w) in net.0.indexed_iter_mut() {
            *w -= x[i] * by[j];
        }
        net.1 -= &open;
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * gap;
        gap * gap / 2.
    })
}

/// A square weight takes its gradient turned round.
pub fn descend_turned(n: Net, x: V, t: f64, rate: f64, s: usize) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let by = masked(&z, &net.2 * (rate * gap));
        let square = net.0.is_square();
        for ((i, j), w) in net.0.indexed_iter_mut() {
            *w -= if square { x[j] * by[i] } else { x[i] * by[j] };
        }
        net.1 -= &by;
        net.2.scaled_add(-rate * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= rate * gap;
        gap * gap / 2.
    })
}

/// A sum of exactly 0 lets the error pass.
pub fn descend_open_at_0(n: Net, x: V, t: f64, r: f64, s: usize) -> Vec<f64> {
    run(n, s, |net| {
        let (z, gap) = look(net, x, t);
        let mut by = &net.2 * (r * gap);
        by.zip_mut_with(&z, |d, z| *d *= f64::from(*z >= 0.));
        move_first(net, x, &by);
        net.2.scaled_add(-r * gap, &z.mapv(|z| z.max(0.)));
        net.3 -= r * gap;
        gap * gap / 2.
    })
}

/// The loss is written down when the step is done.
pub fn descend_loss_after(n: Net, x: V, t: f64, r: f64, s: usize) -> Vec<f64> {
    answer::descend(n, x, t, r, s + 1).split_off(1)
}

pub fn descend_first_twice(n: Net, x: V, t: f64, r: f64, s: usize) -> Vec<f64> {
    let mut all = answer::descend(n, x, t, r, s);
    all.insert(0, all[0]);
    all.pop();
    all
}

pub fn descend_last_twice(n: Net, x: V, t: f64, r: f64, s: usize) -> Vec<f64> {
    let mut all = answer::descend(n, x, t, r, s);
    all.push(all[s]);
    all.remove(0);
    all
}

/// The error goes down through the first weight of the network that fits.
pub fn weight_that_fits(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    let last = layers.len() - 1;
    let slope = |l: usize| layers[l].activation.slope(cache.sums[l].view());
    let mut delta = &dy * &slope(last);
    let mut grads = Vec::new();
    for l in (0..=last).rev() {
        let dw = cache.inputs[l].t().dot(&delta);
        grads.push((dw, delta.sum_axis(Axis(0))));
        if l > 0 {
            let shape = (cache.sums[l - 1].ncols(), delta.ncols());
            let between = layers.iter().find(|k| k.w.dim() == shape);
            let da = delta.dot(&between.expect("at least its own").w.t());
            delta = da * slope(l - 1);
        }
    }
    grads.reverse();
    grads
}

/// Of all gradients only that of the hidden bias is not set back to 0.
pub fn descend_bias_not_cleared(
    (mut w1, mut b1, mut w2, mut b2): Net,
    x: V,
    t: f64,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let mut db1 = Array1::<f64>::zeros(b1.len());
    let mut losses = Vec::new();
    for step in 0..=steps {
        let z = x.dot(&w1) + &b1;
        let a = z.mapv(|z| z.max(0.));
        let gap = a.dot(&w2) + b2 - t;
        losses.push(gap * gap / 2.);
        if step < steps {
            let open = z.mapv(|z| f64::from(u8::from(z > 0.)));
            let delta = &w2 * gap * open;
            db1 += &delta;
            for (mut row, x) in w1.rows_mut().into_iter().zip(x) {
                row.scaled_add(-rate * x, &delta);
            }
            b1.scaled_add(-rate, &db1);
            w2.scaled_add(-rate * gap, &a);
            b2 -= rate * gap;
        }
    }
    losses
}

/// The last bias takes its step first, and the error is computed again.
pub fn descend_bias_first(
    (mut w1, mut b1, mut w2, mut b2): Net,
    x: V,
    t: f64,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let mut losses = Vec::new();
    for step in 0..=steps {
        let z = x.dot(&w1) + &b1;
        let a = z.mapv(|z| z.max(0.));
        let gap = a.dot(&w2) + b2 - t;
        losses.push(gap * gap / 2.);
        if step < steps {
            b2 -= rate * gap;
            let gap = a.dot(&w2) + b2 - t;
            let open = z.mapv(|z| f64::from(u8::from(z > 0.)));
            let delta = &w2 * gap * open;
            for (mut row, x) in w1.rows_mut().into_iter().zip(x) {
                row.scaled_add(-rate * x, &delta);
            }
            b1.scaled_add(-rate, &delta);
            w2.scaled_add(-rate * gap, &a);
        }
    }
    losses
}

/// A descent whose error, and whether the row of `w1` with that many rows from
/// the last on is moved, are changed.
pub fn descend_by(
    (mut w1, mut b1, mut w2, mut b2): Net,
    x: V,
    t: f64,
    rate: f64,
    steps: usize,
    change: fn(f64, usize) -> (f64, bool),
) -> Vec<f64> {
    let mut losses = Vec::new();
    for step in 0..=steps {
        let z = x.dot(&w1) + &b1;
        let a = z.mapv(|z| z.max(0.));
        let gap = a.dot(&w2) + b2 - t;
        losses.push(gap * gap / 2.);
        if step < steps {
            let (gap, _) = change(gap, 0);
            let open = z.mapv(|z| f64::from(u8::from(z > 0.)));
            let delta = &w2 * gap * open;
            for (i, mut row) in w1.rows_mut().into_iter().enumerate() {
                if change(gap, x.len() - i).1 {
                    row.scaled_add(-rate * x[i], &delta);
                }
            }
            b1.scaled_add(-rate, &delta);
            w2.scaled_add(-rate * gap, &a);
            b2 -= rate * gap;
        }
    }
    losses
}
