//! What the mistakes of the multilayer perceptron return.

use crate::checks::network::mlp::{net_of, two};
use crate::judge::{Case, Mistaken};
use backprop::network::mlp::Activation;
use ndarray::{Array2, ArrayD, ArrayView2, Axis};

/// Mistakes of BP1, per activation: input `z`, cotangent `dy`.
pub type OfActivation<'a> =
    &'a dyn Fn(Activation, ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// `σ'(z) ⊙ dy`, and what is made of it.
pub const BP1: &[(&str, OfActivation<'static>)] = &[
    ("SLOPE_FORGOTTEN", &|_, _, dy| dy.to_owned()),
    ("SLOPE_OF_OUTPUT", &|s, z, dy| {
        s.slope(s.value(z).view()) * dy
    }),
    ("VALUE_FOR_SLOPE", &|s, z, dy| s.value(z) * dy),
    ("RELU_EVERYWHERE", &|_, z, dy| {
        Activation::Relu.slope(z) * dy
    }),
    ("MASK_FROM_UPSTREAM", &|_, _, dy| {
        dy.mapv(|d| if d > 0. { d } else { 0. })
    }),
];

/// What goes wrong in a BP2, given `(σ, z, w_above, delta_above)`.
pub type Below<'a> = &'a dyn Fn(
    Activation,
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> Array2<f64>;

/// `(δ·wᵀ) ⊙ σ'(z)`, and what is made of it.
pub const BP2: &[(&str, Below<'static>)] = &[
    ("SLOPE_FORGOTTEN", &|_, _, w, d| d.dot(&w.t())),
    ("SLOPE_OF_OUTPUT", &|s, z, w, d| {
        d.dot(&w.t()) * s.slope(s.value(z).view())
    }),
    ("VALUE_FOR_SLOPE", &|s, z, w, d| d.dot(&w.t()) * s.value(z)),
    ("RELU_EVERYWHERE", &|_, z, w, d| {
        d.dot(&w.t()) * Activation::Relu.slope(z)
    }),
    ("TRANSPOSE_MISSING", &|s, z, w, d| d.dot(&w) * s.slope(z)),
    ("WRONG_SIDE", &|s, z, w, d| w.dot(&d) * s.slope(z)),
    ("SLOPE_BEFORE_WEIGHT", &|s, z, w, d| {
        (&d * &s.slope(z)).dot(&w.t())
    }),
    ("HADAMARD_FOR_MATMUL", &|s, z, w, d| {
        let reach = w.sum_axis(Axis(1));
        let all = d.sum_axis(Axis(1)).insert_axis(Axis(1));
        all * reach * s.slope(z)
    }),
    ("GRAD_OVERWRITTEN", &|s, z, w, d| {
        let last = w.ncols() - 1;
        let (d, w) = (d.column(last), w.column(last));
        let outer = d.insert_axis(Axis(1)).dot(&w.insert_axis(Axis(0)));
        outer * s.slope(z)
    }),
    ("MASK_FROM_UPSTREAM", &|_, _, w, d| {
        d.dot(&w.t()).mapv(|d| d.max(0.))
    }),
];

/// How a whole backward goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Slip {
    Slope,
    OutputSlope,
    SlopeAtOutput,
    SlopeAbove,
    OtherWeight,
    NoTranspose,
    SumForActivation,
    Reversed,
    Relu,
    SumAbove,
}

/// The gradients of the three layers, `dw1, db1, dw2, …`, with one slip.
fn backward(c: &Case, slip: Slip) -> Vec<ArrayD<f64>> {
    let (net, x) = net_of(&c.inputs);
    let (y, cache) = net.forward(x);
    let dy = two(&c.dy);
    let value = |l: usize| {
        let output = l + 1 == net.layers.len();
        if output { &y } else { &cache.inputs[l + 1] }
    };
    let slope = |l: usize, at: ArrayView2<f64>| {
        net.layers[l].activation.slope(at) // σ' of layer l
    };
    let mut grads = Vec::new();
    let mut delta = dy.to_owned();
    for l in (0..3).rev() {
        let (own, top) = (slope(l, cache.sums[l].view()), l == 2);
        delta = match slip {
            Slip::Slope if !top => delta,
            Slip::OutputSlope if top => delta,
            Slip::SlopeAtOutput if !top => delta * slope(l, value(l).view()),
            Slip::SlopeAbove if !top => delta,
            Slip::Relu => delta * Activation::Relu.slope(cache.sums[l].view()),
            Slip::SumAbove if !top => {
                delta * slope(l, cache.sums[l + 1].view())
            }
            _ => delta * own,
        };
        let a = match slip {
            Slip::SumForActivation if l > 0 => &cache.sums[l - 1],
            _ => &cache.inputs[l],
        };
        let (dw, db) = (a.t().dot(&delta), delta.sum_axis(Axis(0)));
        grads.push([dw.into_dyn(), db.into_dyn()]);
        if l > 0 {
            let w = &net.layers[l].w;
            delta = match slip {
                Slip::SlopeAbove => {
                    (delta * slope(l, cache.sums[l].view())).dot(&w.t())
                }
                Slip::OtherWeight => delta.dot(&net.layers[l - 1].w.t()),
                Slip::NoTranspose => delta.dot(w),
                _ => delta.dot(&w.t()),
            };
        }
    }
    if slip != Slip::Reversed {
        grads.reverse();
    }
    grads.into_iter().flatten().collect()
}

fn of(slip: Slip, c: &Case, name: &str) -> Option<ArrayD<f64>> {
    let names = ["dw1", "db1", "dw2", "db2", "dw3", "db3"];
    let k = names.iter().position(|n| *n == name)?;
    Some(backward(c, slip)[k].clone())
}

/// Mistakes of the whole backward of three layers.
pub const BACKWARD: &[(&str, Mistaken<'static>)] = &[
    ("SLOPE_FORGOTTEN", &|c, g| of(Slip::Slope, c, g)),
    ("OUTPUT_SLOPE_FORGOTTEN", &|c, g| {
        of(Slip::OutputSlope, c, g)
    }),
    ("SLOPE_OF_OUTPUT", &|c, g| of(Slip::SlopeAtOutput, c, g)),
    ("SLOPE_BEFORE_WEIGHT", &|c, g| of(Slip::SlopeAbove, c, g)),
    ("WEIGHT_OF_WRONG_LAYER", &|c, g| of(Slip::OtherWeight, c, g)),
    ("TRANSPOSE_MISSING", &|c, g| of(Slip::NoTranspose, c, g)),
    ("SUM_FOR_ACTIVATION", &|c, g| {
        of(Slip::SumForActivation, c, g)
    }),
    ("RELU_EVERYWHERE", &|c, g| of(Slip::Relu, c, g)),
    ("SLOPE_AT_WRONG_LAYER", &|c, g| of(Slip::SumAbove, c, g)),
    ("LAYERS_REVERSED", &|c, g| of(Slip::Reversed, c, g)),
];

/// One weight in two layers, `y = tanh(x·w)·wᵀ`: what the two uses of `w` say,
/// and what is made of it.
fn tied(c: &Case, name: &str, slip: Tied) -> Option<ArrayD<f64>> {
    let (x, w, dy) = (two(&c.inputs[0]), two(&c.inputs[1]), two(&c.dy));
    let z = x.dot(&w);
    let a = z.mapv(f64::tanh);
    let da = dy.dot(&w);
    let delta = match slip {
        Tied::NoSlope => da,
        _ => da * a.mapv(|a| 1. - a * a),
    };
    let first = x.t().dot(&delta);
    match name {
        "dw" => Some(match slip {
            Tied::First => first,
            Tied::Second => dy.t().dot(&a),
            Tied::Doubled => first * 2.,
            Tied::NotTurned => first + a.t().dot(&dy),
            Tied::NoSlope => first + dy.t().dot(&a),
            Tied::Sum => first + dy.t().dot(&z),
        }),
        "dx" if slip == Tied::NoSlope => Some(delta.dot(&w.t())),
        _ => None,
    }
    .map(Array2::into_dyn)
}

#[derive(Clone, Copy, PartialEq)]
enum Tied {
    First,
    Second,
    Doubled,
    NotTurned,
    NoSlope,
    Sum,
}

/// Mistakes of the weight in two layers.
pub const TIED: &[(&str, Mistaken<'static>)] = &[
    ("ONE_USE_ONLY", &|c, g| tied(c, g, Tied::First)),
    ("ONE_USE_ONLY", &|c, g| tied(c, g, Tied::Second)),
    ("USES_NOT_ALIKE", &|c, g| tied(c, g, Tied::Doubled)),
    ("TRANSPOSE_MISSING", &|c, g| tied(c, g, Tied::NotTurned)),
    ("SLOPE_FORGOTTEN", &|c, g| tied(c, g, Tied::NoSlope)),
    ("SUM_FOR_ACTIVATION", &|c, g| tied(c, g, Tied::Sum)),
];
