//! The textbook MLP on two seeded two-layer ReLU nets.

use backprop::calculus::gradcheck::central;
use backprop::network::mlp::{Activation, Layer, Loss, Mlp, half_squares};
use ndarray::{Array1, Array2, ArrayView2};
use serde_json::Value;

fn inputs(name: &str) -> (Mlp, Array2<f64>, Array2<f64>) {
    let file: Value =
        serde_json::from_str(include_str!("reference/two_layer.json"))
            .expect("the reference file is JSON");
    let matrix = |key: &str| {
        let rows: Vec<Vec<f64>> =
            serde_json::from_value(file[name][key].clone()).expect("a matrix");
        let shape = (rows.len(), rows[0].len());
        Array2::from_shape_vec(shape, rows.concat()).expect("rows are equal")
    };
    let layer = |key: &str, activation| {
        let w = matrix(key).reversed_axes(); // (out,in) in the file
        let b = Array1::zeros(w.ncols());
        Layer { w, b, activation }
    };
    let layers = vec![
        layer("w1", Activation::Relu),
        layer("w2", Activation::Identity),
    ];
    (Mlp { layers }, matrix("x"), matrix("t"))
}

/// The mean of the squared error, without the half: gradient `2(y - t)/B`.
const MEAN_SQUARES: Loss = |y: ArrayView2<f64>, t: ArrayView2<f64>| {
    let (half, dy) = half_squares(y, t);
    (2. * half, 2. * dy)
};

#[track_caller]
fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 6e-11, "{a} is not {b}");
}

#[test]
fn a_batch_of_32() {
    let (net, x, t) = inputs("batch");
    let (y, cache) = net.forward(x.view());
    let (loss, dy) = MEAN_SQUARES(y.view(), t.view());
    near(loss, 1.4408639111);
    let grads = net.gradients(&cache, &net.errors(&cache, dy.view()));
    let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
    // (in,out) here, so a row of the (out,in) gradient is a column.
    assert_eq!((grads[0].0.dim(), grads[1].0.dim()), ((4, 16), (16, 1)));
    near(norm(&grads[0].0), 0.1676549498);
    near(norm(&grads[1].0), 0.0909870118);
    near(grads[1].1[0], -0.2902285032);
    let first = [0.0245999445, 0.0130918597, -0.0361910481, 0.0132057060];
    for (ours, want) in grads[0].0.column(0).iter().zip(first) {
        near(*ours, want);
    }
}

/// A check of one weight that feeds an inactive unit compares 0 with 0.
#[test]
fn a_vacuous_check() {
    let (net, x, t) = inputs("vacuous");
    let (y, cache) = net.forward(x.view());
    near(y[[0, 0]], -1.1096890107);
    let (loss, dy) = MEAN_SQUARES(y.view(), t.view());
    near(loss, 4.4507877219);
    let active: Vec<_> =
        (0..8).filter(|&j| cache.sums[0][[0, j]] > 0.).collect();
    assert_eq!(active, [3, 5]);
    let right = net.errors(&cache, dy.view());
    // The wrong backward forgets the mask of the hidden layer.
    let wrong = dy.dot(&net.layers[1].w.t());
    let numeric = |unit: usize| {
        central(
            |w| {
                let mut net = net.clone();
                net.layers[0].w[[0, unit]] = w;
                MEAN_SQUARES(net.forward(x.view()).0.view(), t.view()).0
            },
            net.layers[0].w[[0, unit]],
            1e-6,
        )
    };
    let dw = |delta: &Array2<f64>, unit: usize| x[[0, 0]] * delta[[0, unit]];
    assert_eq!((dw(&right[0], 0), numeric(0)), (0., 0.));
    assert!((dw(&right[0], 3) - numeric(3)).abs() < 1e-8);
    // At unit 0 a backward that returns nothing but zeros would pass; unit 3,
    // which is active, rejects it.
    assert!(numeric(3).abs() > 0.1);
    // But unit 3 does not see a forgotten mask, and unit 0 does: a check needs
    // both.
    assert_eq!(dw(&right[0], 3), dw(&wrong, 3));
    assert!(dw(&wrong, 0).abs() > 1e-3);
}
