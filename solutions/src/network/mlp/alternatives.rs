//! Right answers, written differently.

use backprop::network::linear;
use backprop::network::mlp::{Activation, Cache, Layer, Mlp, half_squares};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

type V<'a> = ArrayView1<'a, f64>;

type M<'a> = ArrayView2<'a, f64>;
type Net = (Array2<f64>, Array1<f64>, Array1<f64>, f64);

/// Entry by entry.
pub fn bp1_loops(dy: M, z: M, activation: Activation) -> Array2<f64> {
    let slope = activation.slope(z);
    Array2::from_shape_fn(dy.raw_dim(), |i| dy[i] * slope[i])
}

/// Every edge between the two layers once.
pub fn bp2_loops(delta: M, w: M, z: M, activation: Activation) -> Array2<f64> {
    let slope = activation.slope(z);
    Array2::from_shape_fn(z.raw_dim(), |(n, j)| {
        let from_above = (0..w.ncols()).map(|k| w[[j, k]] * delta[[n, k]]);
        slope[[n, j]] * from_above.sum::<f64>()
    })
}

/// In place, with the slopes written out.
pub fn bp1_in_place(dy: M, z: M, activation: Activation) -> Array2<f64> {
    let mut delta = dy.to_owned();
    Zip::from(&mut delta).and(&z).for_each(|d, &z| {
        *d *= match activation {
            Activation::Identity => 1.,
            Activation::Relu => f64::from(u8::from(z > 0.)),
            Activation::Tanh => 1. / z.cosh().powi(2),
            Activation::Sigmoid => 1. / (2. + z.exp() + (-z).exp()),
        };
    });
    delta
}

/// As columns, through the Jacobian of each example: diag(σ')·Wᵀ.
pub fn bp2_jacobian(
    delta: M,
    w: M,
    z: M,
    activation: Activation,
) -> Array2<f64> {
    let slope = activation.slope(z);
    let mut below = Array2::zeros(z.raw_dim());
    for n in 0..z.nrows() {
        let jacobian_t = Array2::from_diag(&slope.row(n)).dot(&w);
        below.row_mut(n).assign(&jacobian_t.dot(&delta.row(n)));
    }
    below
}

type Batch = (f64, Array2<f64>, Array1<f64>, Array2<f64>, Array1<f64>);

/// Through the library's network.
pub fn two_layers_by_library(x: M, w1: M, b1: V, w2: M, b2: V, t: M) -> Batch {
    let layer = |w: M, b: V, activation| Layer {
        w: w.to_owned(),
        b: b.to_owned(),
        activation,
    };
    let first = layer(w1, b1, Activation::Relu);
    let layers = vec![first, layer(w2, b2, Activation::Identity)];
    let net = Mlp { layers };
    let (y, cache) = net.forward(x);
    let (half, dy) = half_squares(y.view(), t);
    let deltas = net.errors(&cache, (dy * 2.).view());
    let mut grads = net.gradients(&cache, &deltas).into_iter();
    let (dw1, db1) = grads.next().expect("two layers");
    let (dw2, db2) = grads.next().expect("two layers");
    (2. * half, dw1, db1, dw2, db2)
}

/// One outer product per example, weighted with its share of the mean.
pub fn two_layers_by_example(x: M, w1: M, b1: V, w2: M, b2: V, t: M) -> Batch {
    let share = 1. / x.nrows() as f64;
    let (mut dw1, mut db1) = (Array2::zeros(w1.dim()), Array1::zeros(b1.dim()));
    let (mut dw2, mut db2) = (Array2::zeros(w2.dim()), Array1::zeros(b2.dim()));
    let mut loss = 0.;
    for (x, t) in x.rows().into_iter().zip(t.rows()) {
        let z = w1.t().dot(&x) + &b1;
        let a = z.mapv(|z| if z > 0. { z } else { 0. });
        let gap = w2.t().dot(&a) + &b2 - &t;
        loss += share * gap.dot(&gap);
        let dy = gap * 2. * share;
        let mut delta = w2.dot(&dy);
        delta.zip_mut_with(&z, |d, z| *d *= f64::from(u8::from(*z > 0.)));
        for ((i, o), d) in dw2.indexed_iter_mut() {
            *d += a[i] * dy[o];
        }
        for ((i, o), d) in dw1.indexed_iter_mut() {
            *d += x[i] * delta[o];
        }
        db1 += &delta;
        db2 += &dy;
    }
    (loss, dw1, db1, dw2, db2)
}

/// Transposed: (δᵀ·a)ᵀ.
fn bp3_transposed(a: M, delta: M) -> Array2<f64> {
    delta.t().dot(&a).reversed_axes()
}

/// A product with ones.
fn bp4_ones(delta: M) -> Array1<f64> {
    Array1::ones(delta.nrows()).dot(&delta)
}

type Grads = Vec<(Array2<f64>, Array1<f64>)>;

/// The VJPs of the linear layer, one after another.
pub fn backward_by_layers(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    let mut grads = Grads::new();
    let mut da = dy.to_owned();
    for l in (0..layers.len()).rev() {
        let layer = &layers[l];
        let dz = da * layer.activation.slope(cache.sums[l].view());
        let a = cache.inputs[l].view();
        let (dx, dw, db) = linear::vjp(a, layer.w.view(), dz.view());
        grads.insert(0, (dw, db));
        da = dx;
    }
    grads
}

/// Recursively: a net is a first layer, and a net on top of it.
pub fn backward_recursive(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    fn below(layers: &[Layer], cache: &Cache, l: usize, dy: M) -> (Grads, M2) {
        let (mut grads, da) = if l + 1 == layers.len() {
            (Grads::new(), dy.to_owned())
        } else {
            below(layers, cache, l + 1, dy)
        };
        let dz = da * layers[l].activation.slope(cache.sums[l].view());
        let dw = bp3_transposed(cache.inputs[l].view(), dz.view());
        grads.insert(0, (dw, bp4_ones(dz.view())));
        (grads, dz.dot(&layers[l].w.t()))
    }
    type M2 = Array2<f64>;
    below(layers, cache, 0, dy).0
}

/// Examples as columns, transposed in and out.
pub fn backward_columns(layers: &[Layer], cache: &Cache, dy: M) -> Grads {
    let last = layers.len() - 1;
    let slope = |l: usize| layers[l].activation.slope(cache.sums[l].t());
    let mut deltas = vec![&dy.t() * &slope(last)];
    for l in (0..last).rev() {
        let above = layers[l + 1].w.dot(&deltas[0]);
        deltas.insert(0, above * slope(l));
    }
    let each = deltas.iter().zip(&cache.inputs);
    each.map(|(d, a)| (d.dot(a).reversed_axes(), d.sum_axis(Axis(1))))
        .collect()
}

/// As two linear layers, the second one's weight being wᵀ.
pub fn tied_by_layers(x: M, w: M, dy: M) -> (Array2<f64>, Array2<f64>) {
    let a = x.dot(&w).tanh();
    let (da, dwt, _) = linear::vjp(a.view(), w.t(), dy);
    let dz = da * a.mapv(|a| 1. - a.powi(2));
    let (dx, dw, _) = linear::vjp(x, w, dz.view());
    (dx, dw + dwt.t())
}

/// Example by example, entry by entry.
pub fn tied_loops(x: M, w: M, dy: M) -> (Array2<f64>, Array2<f64>) {
    let (mut dx, mut dw) =
        (Array2::zeros(x.raw_dim()), Array2::zeros(w.raw_dim()));
    for n in 0..x.nrows() {
        for h in 0..w.ncols() {
            let a = x.row(n).dot(&w.column(h)).tanh();
            let delta = dy.row(n).dot(&w.column(h)) * (1. - a * a);
            for i in 0..w.nrows() {
                dx[[n, i]] += delta * w[[i, h]];
                dw[[i, h]] += delta * x[[n, i]] + a * dy[[n, i]];
            }
        }
    }
    (dx, dw)
}

/// The mask as a factor.
pub fn mended_with_factor(delta: M, w: M, z: M) -> Array2<f64> {
    delta.dot(&w.t()) * z.mapv(|z| f64::from(u8::from(z > 0.)))
}

/// Layer by layer, in a loop.
pub fn cached_loop(sizes: &[usize], batch: usize, keep_sums: bool) -> usize {
    let mut total = 0;
    for layer in sizes.windows(2) {
        total += batch * layer[0];
        if keep_sums {
            total += batch * layer[1];
        }
    }
    total
}

/// In loops, the new parameters beside the old ones.
pub fn descend_loops(
    net: Net,
    x: V,
    t: f64,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let mut net = net;
    let mut losses = Vec::new();
    for step in 0..=steps {
        let (w1, b1, w2, b2) = net.clone();
        let mut y = b2;
        let mut a = vec![0.; b1.len()];
        for j in 0..b1.len() {
            let z =
                b1[j] + (0..x.len()).map(|i| x[i] * w1[[i, j]]).sum::<f64>();
            a[j] = if z > 0. { z } else { 0. };
            y += a[j] * w2[j];
        }
        losses.push(0.5 * (y - t).powi(2));
        if step == steps {
            break;
        }
        for j in 0..b1.len() {
            net.2[j] -= rate * (y - t) * a[j];
            if a[j] > 0. {
                net.1[j] -= rate * (y - t) * w2[j];
                for i in 0..x.len() {
                    net.0[[i, j]] -= rate * (y - t) * w2[j] * x[i];
                }
            }
        }
        net.3 -= rate * (y - t);
    }
    losses
}
