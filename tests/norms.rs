//! The norms against PyTorch on shapes and options drawn at random: our part
//! of `reference/norms.py`.

use backprop::depth::normalization::{
    batch::{self, Running},
    group, layer_norm, layer_norm_vjp, rms_norm, rms_norm_vjp,
};
use ndarray::{Array1, ArrayD, ArrayView1, ArrayView2, ArrayView3, IxDyn};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Deserialize, Serialize)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Tensor {
    fn array(&self) -> ArrayD<f64> {
        let (shape, data) = (IxDyn(&self.shape), self.data.clone());
        ArrayD::from_shape_vec(shape, data).expect("as many numbers")
    }

    fn of(a: ArrayD<f64>) -> Self {
        let (shape, data) = (a.shape().to_vec(), a.iter().copied().collect());
        Self { shape, data }
    }
}

#[derive(Deserialize)]
struct Case {
    norm: String,
    eps: f64,
    groups: usize,
    momentum: f64,
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
    dy: Tensor,
}

impl Case {
    /// What PyTorch computes too, in its order.
    fn run(&self) -> Vec<ArrayD<f64>> {
        let tensors = [&self.x, &self.dy, &self.gamma, &self.beta];
        let [x, dy, gamma, beta] = tensors.map(Tensor::array);
        let running = || Running {
            mean: vector(&self.mean.array()).to_owned(),
            variance: vector(&self.variance.array()).to_owned(),
        };
        let (gamma, beta, eps) = (vector(&gamma), vector(&beta), self.eps);
        let three = |(dx, dg, db): (_, Array1<f64>, Array1<f64>)| {
            vec![dx, dg.into_dyn(), db.into_dyn()]
        };
        let (y, mut rest) = match self.norm.as_str() {
            "GroupNorm" => {
                let (x, dy): (ArrayView3<f64>, _) = (
                    x.view().into_dimensionality().expect("three axes"),
                    dy.view().into_dimensionality().expect("three axes"),
                );
                let (y, kept) =
                    group::forward(x, self.groups, gamma, beta, eps);
                let (dx, dg, db) =
                    group::vjp(x, self.groups, gamma, kept.view(), dy);
                (y.into_dyn(), three((dx.into_dyn(), dg, db)))
            }
            "LayerNorm" => {
                let (x, dy) = (matrix(&x), matrix(&dy));
                let (y, kept) = layer_norm(x, gamma, beta, eps);
                let (dx, dg, db) = layer_norm_vjp(x, gamma, kept.view(), dy);
                (y.into_dyn(), three((dx.into_dyn(), dg, db)))
            }
            "RMSNorm" => {
                let (x, dy) = (matrix(&x), matrix(&dy));
                let (y, kept) = rms_norm(x, gamma, eps);
                let (dx, dg) = rms_norm_vjp(x, gamma, kept.view(), dy);
                (y.into_dyn(), vec![dx.into_dyn(), dg.into_dyn()])
            }
            "BatchNorm, training" => {
                let (x, dy) = (matrix(&x), matrix(&dy));
                let (y, kept) = batch::forward(x, gamma, beta, eps);
                let (dx, dg, db) = batch::vjp(x, gamma, kept.view(), dy);
                let mut seen = running();
                seen.update(x, self.momentum);
                let mut rest = three((dx.into_dyn(), dg, db));
                rest.extend([seen.mean.into_dyn(), seen.variance.into_dyn()]);
                (y.into_dyn(), rest)
            }
            "BatchNorm, evaluation" => {
                let (x, dy, seen) = (matrix(&x), matrix(&dy), running());
                let y = batch::eval(x, gamma, beta, &seen, eps);
                let (dx, dg, db) = batch::eval_vjp(x, gamma, &seen, eps, dy);
                (y.into_dyn(), three((dx.into_dyn(), dg, db)))
            }
            other => panic!("no norm is called {other}"),
        };
        rest.insert(0, y);
        rest
    }
}

fn vector(a: &ArrayD<f64>) -> ArrayView1<'_, f64> {
    a.view().into_dimensionality().expect("a vector")
}

fn matrix(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality().expect("a matrix")
}

/// Reads `cases.json` in the folder `NORMS`, and writes `ours.json` beside it.
#[test]
#[ignore = "run by tests/reference/norms.py"]
fn against_pytorch() {
    let folder = std::env::var("NORMS").expect("a folder");
    let folder = Path::new(&folder);
    let text = std::fs::read_to_string(folder.join("cases.json"));
    let cases: Vec<Case> =
        serde_json::from_str(&text.expect("cases")).expect("cases");
    let ours = cases.iter().map(|case| {
        let all = case.run().into_iter().map(Tensor::of);
        all.collect::<Vec<_>>()
    });
    let ours: Vec<Vec<Tensor>> = ours.collect();
    let text = serde_json::to_string(&ours).expect("numbers");
    std::fs::write(folder.join("ours.json"), text).expect("a folder");
}
