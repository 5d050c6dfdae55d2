//! The mistakes of the multilayer perceptron, and what each returns.
//!
//! What a whole backward or descent would return is computed by the library,
//! from a network or a cache that the mistake has changed.

use super::{activation, batch_of, descent, descent_of, net_of, right};
use crate::calculus::chain_rule::mistakes::{
    INVERSE_DERIVATIVE, POWER_WITHOUT_TWO, SIGMOID_SLOPE, SLOPE_OF_OUTPUT,
    VALUE_FOR_SLOPE,
};
use crate::general::{
    BATCH_MEAN_MISSING, BATCH_MEAN_TWICE, BATCH_NOT_COUNTED, BIAS_VIA_WEIGHTS,
    GRAD_OVERWRITTEN, ONE_EXAMPLE_ONLY, RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED,
    TRANSPOSED,
};
use crate::judge::{
    EVERY, Inputs, Wrong, array, each, factor, is_chosen, made, matrix, number,
    slopes, ways,
};
use crate::network::linear::mistakes::{
    BIAS_AXIS, HADAMARD_FOR_MATMUL, TRANSPOSE_MISSING, TRANSPOSE_MISSING_DW,
    WRONG_SIDE, reshaped,
};
use crate::network::softmax_cross_entropy::mistakes::MEAN_OVER_ENTRIES;
use backprop::network::mlp::{Activation, Cache, Gradients, Mlp};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, arr0, s};

crate::names! { "network/mlp.md";
    SLOPE_FORGOTTEN "#an-inactive-unit":
        "The error passes a unit without the slope of its activation: the ReLU \
         mask, or σ'(z), is left out.",
        "Going down, the error crosses the weight and then the activation; the \
         second crossing multiplies by σ' at that unit's own sum.",
        "delta·wᵀ without a factor; for ReLU right wherever all units are \
         active";
    OUTPUT_SLOPE_FORGOTTEN "#bp1":
        "The error at the output is taken to be dy: the slope of the last \
         activation is left out.",
        "BP1 multiplies dy by the slope at the last sum; only an identity, or \
         a loss that takes logits, leaves dy as it is.",
        "the last layer's gradients are wrong already, by one factor per entry";
    SLOPE_BEFORE_WEIGHT "#what-goes-wrong":
        "The slope multiplies the error above the weight instead of below it.",
        "Backwards means in opposite order: the forward went through the \
         activation and then the next weight, so the error crosses that weight \
         first.",
        "(delta ⊙ slope)·wᵀ where (delta·wᵀ) ⊙ slope belongs";
    MASK_FROM_UPSTREAM "#what-goes-wrong":
        "The ReLU mask is taken from the gradient that arrives, not from the \
         forward's values.",
        "Whether a unit lets the error through depends on the sign of its own \
         sum z; the sign of the error has no say in it.",
        "negative errors vanish, and inactive units pass positive ones; not \
         linear in the upstream";
    WEIGHT_OF_WRONG_LAYER "#bp2":
        "The error is carried down through the weight of the wrong layer.",
        "From the error of layer l+1 to that of layer l leads the weight \
         between them, which is the one of layer l+1.",
        "runs only where the layers have equal widths";
    SUM_FOR_ACTIVATION "#bp3-and-bp4":
        "The weight gradient reads the weighted sum z below instead of the \
         activation a.",
        "A weight multiplies what leaves the unit below, so its gradient is \
         the error times the activation.",
        "right in the first layer, and wherever the unit below is an active \
         ReLU";
    RELU_EVERYWHERE "#what-goes-wrong":
        "The slope of ReLU is taken whatever the activation is.",
        "Each layer has an activation of its own, and the slope is that \
         function's: 1 - a² for tanh, a(1 - a) for the sigmoid.",
        "right for ReLU; elsewhere 0 wherever z is negative";
    SLOPE_AT_WRONG_LAYER "#the-code":
        "The slope is that of the layer above: its activation, its sum, or \
         both.",
        "The error below layer l + 1 passes the units of layer l, so the slope \
         is that of layer l's activation at the sum of layer l.",
        "with the sum of the layer above it runs only where two layers are \
         equally wide";
    LAYERS_REVERSED "#the-code":
        "The gradients come in the order in which they were found, the last \
         layer first.",
        "The errors are found from the top down; the list that is returned \
         starts with the first layer.",
        "the first pair has the shape of the last layer";
    ONE_USE_ONLY "#bp3-and-bp4":
        "The weight is used in two places, but only one of them is counted.",
        "Write each use as if it had a weight of its own, take both gradients, \
         and add them in the shape of w.",
        "one of two terms of the numeric gradient";
    USES_NOT_ALIKE "#bp3-and-bp4":
        "One use of the weight is counted twice, as if both said the same.",
        "Each use has an input and an error of its own; their gradients \
         differ, and are added.",
        "twice one of the two terms";
    DEAD_UNIT_OUTGOING "#an-inactive-unit":
        "The weight that leads out of an inactive unit is thought to get a \
         gradient.",
        "Its gradient is the activation below times the error above, and an \
         inactive ReLU unit has activation 0.",
        "a prediction of a non-zero where a is 0";
    OUTPUT_CACHED "#what-is-kept":
        "The network's output is counted as kept.",
        "No layer reads it again: BP1 takes the slope at the last sum, and the \
         loss keeps what it needs.",
        "too large by B·n_L";
    INPUT_NOT_CACHED "#what-is-kept":
        "The batch itself is not counted as kept.",
        "BP3 of the first layer multiplies by it.",
        "too small by B·n_0";
    PARAMETERS_CACHED "#what-is-kept":
        "Parameters are counted as if the forward kept them: weights, biases, \
         or both.",
        "They are there before and after the step, whatever the batch; the \
         cache is what this forward adds.",
        "too large by the number of parameters";
    SUMS_ALWAYS_CACHED "#what-is-kept":
        "The sums are counted although the slopes are read off the \
         activations.",
        "Where σ' can be written in terms of a = σ(z), z need not be kept \
         beside a.",
        "the same count with and without keep_sums";
    SUMS_NOT_CACHED "#what-is-kept":
        "Sums that are kept are left out of the count: the last layer's, the \
         first one's, or all of them.",
        "With keep_sums every layer keeps its z, the last one as well: BP1 \
         takes the slope there.",
        "too small by B times a width, and right without keep_sums";
    INPUT_AMONG_SUMS "#what-is-kept":
        "The input is counted among the sums, though it has none.",
        "A sum belongs to a layer, so the widths of the sums begin with n_1.",
        "too large by B·n_0, and right without keep_sums";
    UPDATED_TOO_EARLY "#the-code":
        "A parameter is changed before all gradients of the step are known, so \
         one of them belongs to another point: an error, say, that is carried \
         back through the new weight.",
        "All gradients belong to one point. Compute every one of them before \
         the first parameter moves.",
        "the losses after the first step are off by a little, more with every \
         step";
    BIAS_NOT_UPDATED "#by-hand":
        "The biases stay as they are, or one of them does.",
        "A bias that starts at zero still has a gradient, and BP4 says which.",
        "the loss falls more slowly";
    HALF_FORGOTTEN "#by-hand":
        "The half in front of the squared error is left out: in the loss, in \
         its gradient, or in both.",
        "The loss is (y - t)²/2 and its derivative y - t: the half is there to \
         cancel the 2.",
        "losses twice as large, or steps twice as long as asked for";
    LAST_LAYER_ONLY "#by-hand":
        "Only the last layer is trained.",
        "The error goes on through BP2: the hidden layer has gradients too.",
        "the loss falls, but more slowly";
    WEIGHT_NOT_UPDATED "#by-hand":
        "A weight stays as it was in every step.",
        "All four parameters take the step, and the next forward has to use \
         the new ones.",
        "the loss falls more slowly, or not at all";
    GRADIENTS_NOT_CLEARED "#the-code":
        "The gradients of earlier steps are still there: each step adds its \
         own to them.",
        "A gradient belongs to one point. Every step begins with none.",
        "the first step is right, later ones grow longer and longer";
    STALE_FORWARD "#the-code":
        "A step uses what the first forward kept: a mask, or a gradient, of \
         parameters that are gone.",
        "Every step runs its own forward; masks, activations and gradients are \
         read from that one.",
        "right until a unit changes sides; with stale gradients the steps stay \
         as long as the first";
    LOSSES_SHIFTED "#the-code":
        "The list of losses is shifted: a loss belongs to the step before or \
         after its place.",
        "The first loss is that of the parameters as they are given; then one \
         is added after each step.",
        "the right numbers, one place off";
}

/// Of BP1: `z`, the activation, cotangent `dy`.
pub const BP1: &[Wrong] = &[
    array(D1, &OUTPUT_SLOPE_FORGOTTEN, |i| i.array("dy").clone()),
    matrix(D1, &SLOPE_OF_OUTPUT, |i| {
        let (s, z) = (activation(i), i.matrix("z"));
        s.slope(s.value(z).view()) * i.matrix("dy")
    }),
    matrix(D1, &VALUE_FOR_SLOPE, |i| {
        activation(i).value(i.matrix("z")) * i.matrix("dy")
    }),
    matrix(D1, &RELU_EVERYWHERE, |i| {
        Activation::Relu.slope(i.matrix("z")) * i.matrix("dy")
    }),
    matrix(D1, &SIGMOID_SLOPE, |i| {
        Activation::Sigmoid.slope(i.matrix("z")) * i.matrix("dy")
    }),
    matrix(D1, &SIGMOID_SLOPE, |i| of_sigmoid(i) * i.matrix("dy")),
    matrix(D1, &INVERSE_DERIVATIVE, |i| {
        over_slope(i, i.matrix("dy").to_owned())
    }),
    array(D1, &MASK_FROM_UPSTREAM, |i| {
        i.array("dy").mapv(|d| if d > 0. { d } else { 0. })
    }),
];

/// What BP1 and BP2 return, as reports call it.
pub const D1: &str = "delta of BP1";
/// The same for BP2.
pub const D2: &str = "delta of BP2";

/// `z`, `w_above` and `delta_above` of a BP2.
fn below(i: &Inputs) -> [ArrayView2<'_, f64>; 3] {
    ["z", "w_above", "delta_above"].map(|name| i.matrix(name))
}

/// The error above, carried back along the edges.
fn carried(i: &Inputs) -> Array2<f64> {
    let [_, w, d] = below(i);
    d.dot(&w.t())
}

/// The slope of the layer at its sums.
fn slope(i: &Inputs) -> Array2<f64> {
    activation(i).slope(i.matrix("z"))
}

/// Divided by the slope; does not run where a slope is 0.
fn over_slope(i: &Inputs, delta: Array2<f64>) -> Array2<f64> {
    let slope = slope(i);
    assert!(slope.iter().all(|s| *s > 0.), "divided by 0");
    delta / slope
}

/// `a(1 - a)`, whatever the activation is.
fn of_sigmoid(i: &Inputs) -> Array2<f64> {
    activation(i).value(i.matrix("z")).mapv(|a| a * (1. - a))
}

/// Of BP2: `z`, `w_above`, the activation, cotangent `delta_above`.
pub const BP2: &[Wrong] = &[
    matrix(D2, &SLOPE_FORGOTTEN, carried),
    matrix(D2, &SLOPE_OF_OUTPUT, |i| {
        let s = activation(i);
        let again = s.slope(s.value(i.matrix("z")).view());
        carried(i) * again
    }),
    matrix(D2, &VALUE_FOR_SLOPE, |i| {
        carried(i) * activation(i).value(i.matrix("z"))
    }),
    matrix(D2, &RELU_EVERYWHERE, |i| {
        carried(i) * Activation::Relu.slope(i.matrix("z"))
    }),
    matrix(D2, &TRANSPOSE_MISSING, |i| {
        let [_, w, d] = below(i);
        d.dot(&w) * slope(i)
    }),
    matrix(D2, &RESHAPED_NOT_TRANSPOSED, |i| {
        let [_, w, d] = below(i);
        d.dot(&reshaped(w)) * slope(i)
    }),
    matrix(D2, &WRONG_SIDE, |i| {
        let [_, w, d] = below(i);
        w.dot(&d) * slope(i)
    }),
    matrix(D2, &SLOPE_BEFORE_WEIGHT, |i| {
        let [_, w, d] = below(i);
        (&d * &slope(i)).dot(&w.t())
    }),
    matrix(D2, &HADAMARD_FOR_MATMUL, |i| {
        let [_, w, d] = below(i);
        let all = d.sum_axis(Axis(1)).insert_axis(Axis(1));
        all * w.sum_axis(Axis(1)) * slope(i)
    }),
    matrix(D2, &GRAD_OVERWRITTEN, |i| {
        let [_, w, d] = below(i);
        let last = w.ncols() - 1;
        let d = d.column(last).insert_axis(Axis(1));
        let outer = d.dot(&w.column(last).insert_axis(Axis(0)));
        outer * slope(i)
    }),
    matrix(D2, &SIGMOID_SLOPE, |i| {
        carried(i) * Activation::Sigmoid.slope(i.matrix("z"))
    }),
    matrix(D2, &SIGMOID_SLOPE, |i| carried(i) * of_sigmoid(i)),
    matrix(D2, &INVERSE_DERIVATIVE, |i| over_slope(i, carried(i))),
    matrix(D2, &MASK_FROM_UPSTREAM, |i| carried(i).mapv(|d| d.max(0.))),
    matrix(D2, &MASK_FROM_UPSTREAM, |i| {
        carried(i).mapv(|d| d.max(0.)) * slope(i)
    }),
    matrix(D2, &MASK_FROM_UPSTREAM, |i| {
        let [_, w, d] = below(i);
        d.mapv(|d| d.max(0.)).dot(&w.t())
    }),
    matrix(D2, &MASK_FROM_UPSTREAM, |i| {
        let [_, w, d] = below(i);
        d.mapv(|d| d.max(0.)).dot(&w.t()) * slope(i)
    }),
];

/// The gradient of that name (`dw2`, `db1`) after a change of the network or
/// of what the forward kept.
fn after(
    i: &Inputs,
    gradient: &str,
    change: impl Fn(&mut Mlp, &mut Cache),
) -> ArrayD<f64> {
    let (mut net, x) = net_of(i);
    let (_, mut cache) = net.forward(x);
    change(&mut net, &mut cache);
    let deltas = net.errors(&cache, i.matrix("dy"));
    let (dw, db) = net.gradients(&cache, &deltas).swap_remove(layer(gradient));
    if gradient.starts_with("dw") {
        dw.into_dyn()
    } else {
        db.into_dyn()
    }
}

/// `dw2` belongs to layer 1, counted from 0.
fn layer(gradient: &str) -> usize {
    gradient[2..].parse::<usize>().expect("dw1, db1, …") - 1
}

/// The gradient of that name where the error passes each layer by another
/// factor than the slope: of its activation, its sum, and what arrives.
fn with_slopes(
    i: &Inputs,
    gradient: &str,
    factor: fn(Activation, &Array2<f64>, &Array2<f64>) -> Array2<f64>,
) -> ArrayD<f64> {
    let (mut net, x) = net_of(i);
    let (_, mut cache) = net.forward(x);
    let mut arrives = i.matrix("dy").to_owned();
    for l in (0..net.layers.len()).rev() {
        let (s, z) = (net.layers[l].activation, &cache.sums[l]);
        let delta = &arrives * &factor(s, z, &arrives);
        if l == layer(gradient) {
            // A layer of its own, without a bend.
            let only = net.layers.swap_remove(l);
            net.layers = vec![only];
            net.layers[0].activation = Activation::Identity;
            cache.inputs = vec![cache.inputs.swap_remove(l)];
            let (dw, db) = net.gradients(&cache, &[delta]).swap_remove(0);
            return match &gradient[..2] {
                "dw" => dw.into_dyn(),
                _ => db.into_dyn(),
            };
        }
        arrives = delta.dot(&net.layers[l].w.t());
    }
    unreachable!("no layer has the gradient {gradient}")
}

type Matrix<'a> = ArrayView2<'a, f64>;

/// The gradient of that name where BP3 and BP4 are these.
fn of_parameters(
    i: &Inputs,
    gradient: &str,
    bp3: fn(Matrix, Matrix) -> Array2<f64>,
    bp4: fn(Matrix) -> Array1<f64>,
) -> ArrayD<f64> {
    let (net, x) = net_of(i);
    let (_, cache) = net.forward(x);
    let l = layer(gradient);
    let delta = net.errors(&cache, i.matrix("dy")).swap_remove(l);
    match &gradient[..2] {
        "dw" => bp3(cache.inputs[l].view(), delta.view()).into_dyn(),
        _ => bp4(delta.view()).into_dyn(),
    }
}

/// The gradient of that name if one example only counts.
fn of_example(
    i: &Inputs,
    gradient: &str,
    which: fn(usize) -> usize,
) -> ArrayD<f64> {
    let mut one = i.clone();
    let dy = one.array_mut("dy");
    let example = which(dy.shape()[0]);
    for (n, mut row) in dy.outer_iter_mut().enumerate() {
        if n != example {
            row.fill(0.);
        }
    }
    after(&one, gradient, |_, _| ())
}

/// All layers but the last.
fn hidden(net: &mut Mlp) -> &mut [backprop::network::mlp::Layer] {
    let last = net.layers.len() - 1;
    &mut net.layers[..last]
}

/// Of the whole backward of three layers.
pub const BACKWARD: &[Wrong] = &[
    each(&SLOPE_FORGOTTEN, |i, g| {
        after(i, g, |net, _| {
            for l in hidden(net) {
                l.activation = Activation::Identity;
            }
        })
    }),
    each(&SLOPE_FORGOTTEN, |i, g| {
        after(i, g, |net, _| {
            for l in hidden(net).iter_mut().take(1) {
                l.activation = Activation::Identity;
            }
        })
    }),
    each(&SLOPE_FORGOTTEN, |i, g| {
        after(i, g, |net, _| {
            if let [_, lower @ .., _] = net.layers.as_mut_slice() {
                for l in lower {
                    l.activation = Activation::Identity;
                }
            }
        })
    }),
    each(&RELU_EVERYWHERE, |i, g| {
        // By the sign of the activations: a sigmoid's are all positive.
        after(i, g, |net, _| {
            for l in hidden(net) {
                l.activation = match l.activation {
                    Activation::Sigmoid => Activation::Identity,
                    _ => Activation::Relu,
                };
            }
        })
    }),
    each(&RELU_EVERYWHERE, |i, g| {
        after(i, g, |net, _| {
            for l in hidden(net) {
                l.activation = Activation::Relu;
            }
        })
    }),
    each(&OUTPUT_SLOPE_FORGOTTEN, |i, g| {
        after(i, g, |net, _| {
            let last = net.layers.last_mut().expect("not empty");
            last.activation = Activation::Identity;
        })
    }),
    each(&SLOPE_OF_OUTPUT, |i, g| {
        after(i, g, |net, cache| {
            for l in 0..hidden(net).len() {
                cache.sums[l] = cache.inputs[l + 1].clone();
            }
        })
    }),
    each(&SLOPE_OF_OUTPUT, |i, g| {
        after(i, g, |net, cache| {
            for (layer, z) in net.layers.iter().zip(&mut cache.sums) {
                *z = layer.activation.value(z.view());
            }
        })
    }),
    each(&VALUE_FOR_SLOPE, |i, g| {
        with_slopes(i, g, |s, z, _| s.value(z.view()))
    }),
    each(&SIGMOID_SLOPE, |i, g| {
        with_slopes(i, g, |s, z, _| s.value(z.view()).mapv(|a| a * (1. - a)))
    }),
    each(&SIGMOID_SLOPE, |i, g| {
        with_slopes(i, g, |_, z, _| Activation::Sigmoid.slope(z.view()))
    }),
    each(&MASK_FROM_UPSTREAM, |i, g| {
        with_slopes(i, g, |s, z, d| match s {
            Activation::Relu => d.mapv(|d| f64::from(u8::from(d > 0.))),
            _ => s.slope(z.view()),
        })
    }),
    each(&SLOPE_BEFORE_WEIGHT, |i, g| {
        let (net, x) = net_of(i);
        let (top, of) = (net.layers.len() - 1, layer(g));
        let mut twice = i.clone();
        if of < top {
            let sums = &net.forward(x).1.sums[top];
            let slope = net.layers[top].activation.slope(sums.view());
            *twice.array_mut("dy") *= &slope.into_dyn();
        }
        after(&twice, g, |net, _| {
            if of < top {
                net.layers[of].activation = Activation::Identity;
            }
        })
    }),
    each(&WEIGHT_OF_WRONG_LAYER, |i, g| {
        after(i, g, |net, _| {
            for l in (1..net.layers.len()).rev() {
                net.layers[l].w = net.layers[l - 1].w.clone();
            }
        })
    }),
    // The first weight that fits.
    each(&WEIGHT_OF_WRONG_LAYER, |i, g| {
        after(i, g, |net, _| {
            for l in (1..net.layers.len()).rev() {
                let shape = net.layers[l].w.dim();
                let fits = net.layers.iter().find(|k| k.w.dim() == shape);
                net.layers[l].w = fits.expect("at least itself").w.clone();
            }
        })
    }),
    each(&TRANSPOSE_MISSING, |i, g| {
        after(i, g, |net, _| {
            for l in &mut net.layers[1..] {
                l.w.swap_axes(0, 1);
            }
        })
    }),
    each(&RESHAPED_NOT_TRANSPOSED, |i, g| {
        after(i, g, |net, _| {
            for l in &mut net.layers[1..] {
                l.w = reshaped(l.w.view()).reversed_axes();
            }
        })
    }),
    each(&SUM_FOR_ACTIVATION, |i, g| {
        after(i, g, |_, cache| {
            for l in 1..cache.inputs.len() {
                cache.inputs[l] = cache.sums[l - 1].clone();
            }
        })
    }),
    each(&RELU_EVERYWHERE, |i, g| {
        after(i, g, |net, _| {
            for l in &mut net.layers {
                l.activation = Activation::Relu;
            }
        })
    }),
    each(&SLOPE_AT_WRONG_LAYER, |i, g| {
        after(i, g, |net, cache| {
            for l in 0..hidden(net).len() {
                cache.sums[l] = cache.sums[l + 1].clone();
            }
        })
    }),
    each(&SLOPE_AT_WRONG_LAYER, |i, g| {
        after(i, g, |net, _| {
            for l in 0..hidden(net).len() {
                net.layers[l].activation = net.layers[l + 1].activation;
            }
        })
    }),
    each(&SLOPE_AT_WRONG_LAYER, |i, g| {
        after(i, g, |net, cache| {
            for l in 0..hidden(net).len() {
                net.layers[l].activation = net.layers[l + 1].activation;
                cache.sums[l] = cache.sums[l + 1].clone();
            }
        })
    }),
    each(&TRANSPOSE_MISSING_DW, |i, g| {
        of_parameters(i, g, |a, d| a.dot(&d), |d| d.sum_axis(Axis(0)))
    }),
    each(&BIAS_AXIS, |i, g| {
        of_parameters(i, g, |a, d| a.t().dot(&d), |d| d.sum_axis(Axis(1)))
    }),
    each(&BIAS_VIA_WEIGHTS, |i, g| {
        let dw = after(i, &format!("dw{}", &g[2..]), |_, _| ());
        match &g[..2] {
            "dw" => dw,
            _ => dw.sum_axis(Axis(0)),
        }
    }),
    each(&ONE_EXAMPLE_ONLY, |i, g| of_example(i, g, |_| 0)),
    each(&GRAD_OVERWRITTEN, |i, g| {
        of_example(i, g, |batch| batch - 1)
    }),
    each(&LAYERS_REVERSED, |i, g| {
        let layers = net_of(i).0.layers.len();
        after(i, &format!("{}{}", &g[..2], layers - layer(g)), |_, _| ())
    }),
];

/// What a batch in two layers returns first, as reports call it.
pub const LOSS: &str = "the loss";

/// Loss or gradient of that name after a change of the network, of what the
/// forward kept or of the error at the output.
fn batch_after(
    i: &Inputs,
    output: &str,
    change: impl Fn(&mut Mlp, &mut Cache, &mut Array2<f64>),
) -> ArrayD<f64> {
    let (mut net, mut cache, loss, mut dy) = batch_of(i);
    if output == LOSS {
        return arr0(loss).into_dyn();
    }
    change(&mut net, &mut cache, &mut dy);
    let mut grads = right(&net, &cache, dy.view(), 0.);
    let (dw, db) = grads.swap_remove(layer(output));
    match &output[..2] {
        "dw" => dw.into_dyn(),
        _ => db.into_dyn(),
    }
}

/// The examples of a batch in two layers.
fn examples(i: &Inputs) -> f64 {
    i.matrix("x").nrows() as f64
}

/// Gradients that are that many times what they should be; the loss is right.
fn batch_times(i: &Inputs, output: &str, factor: f64) -> ArrayD<f64> {
    batch_after(i, output, |_, _, dy| *dy *= factor)
}

/// Of a batch in two layers: `x`, `w1`, `b1`, `w2`, `b2`, `t`.
pub const TWO_LAYERS: &[Wrong] = &[
    factor(EVERY, &BATCH_MEAN_MISSING, examples),
    each(&BATCH_MEAN_MISSING, |i, g| batch_times(i, g, examples(i))),
    each(&BATCH_MEAN_TWICE, |i, g| {
        batch_times(i, g, 1. / examples(i))
    }),
    factor(EVERY, &MEAN_OVER_ENTRIES, |i| {
        1. / i.matrix("t").ncols() as f64
    }),
    each(&MEAN_OVER_ENTRIES, |i, g| {
        batch_times(i, g, 1. / i.matrix("t").ncols() as f64)
    }),
    each(&POWER_WITHOUT_TWO, |i, g| batch_times(i, g, 0.5)),
    each(&SLOPE_FORGOTTEN, |i, g| {
        batch_after(i, g, |net, _, _| {
            net.layers[0].activation = Activation::Identity;
        })
    }),
    each(&SUM_FOR_ACTIVATION, |i, g| {
        batch_after(i, g, |_, cache, _| {
            cache.inputs[1] = cache.sums[0].clone();
        })
    }),
    each(&MASK_FROM_UPSTREAM, |i, g| {
        batch_after(i, g, |net, cache, dy| {
            if layer(g) == 0 {
                cache.sums[0] = dy.dot(&net.layers[1].w.t());
            }
        })
    }),
    each(&ONE_EXAMPLE_ONLY, |i, g| {
        batch_after(i, g, |_, _, dy| {
            dy.slice_mut(s![1.., ..]).fill(0.);
        })
    }),
    each(&GRAD_OVERWRITTEN, |i, g| {
        batch_after(i, g, |_, _, dy| {
            let last = dy.nrows() - 1;
            dy.slice_mut(s![..last, ..]).fill(0.);
        })
    }),
];

/// One weight in two layers, `y = f(x·w)·vᵀ` with `v = w`: what one of the two
/// uses says, by differences.
fn use_of(i: &Inputs, variable: &str, f: fn(f64) -> f64) -> ArrayD<f64> {
    let two = i.clone().with("v", i.array("w").clone());
    let forward = |i: &Inputs| {
        let a = i.matrix("x").dot(&i.matrix("w")).mapv(f);
        a.dot(&i.matrix("v").t()).into_dyn()
    };
    slopes(forward, &two, variable, "dy")
}

/// The gradient of `w` if of one of its uses one example only counts.
fn of_one_example(i: &Inputs, which: usize, example: usize) -> ArrayD<f64> {
    let mut one = i.clone();
    let rows = one.array_mut("dy").outer_iter_mut();
    for (_, mut row) in rows.into_iter().enumerate().filter(|r| r.0 != example)
    {
        row.fill(0.);
    }
    let all = [["w", "v"], ["v", "w"]][which];
    use_of(&one, all[0], f64::tanh) + use_of(i, all[1], f64::tanh)
}

fn same(z: f64) -> f64 {
    z
}

/// The error of the hidden units if their slope is that function of `a`.
fn tied_error(i: &Inputs, slope: fn(f64) -> f64) -> Array2<f64> {
    let a = i.matrix("x").dot(&i.matrix("w")).tanh();
    i.matrix("dy").dot(&i.matrix("w")) * a.mapv(slope)
}

/// The gradient with respect to `x` or `w` then, `w` counted in both uses.
fn tied(i: &Inputs, slope: fn(f64) -> f64, variable: &str) -> ArrayD<f64> {
    let delta = tied_error(i, slope);
    match variable {
        "x" => delta.dot(&i.matrix("w").t()).into_dyn(),
        _ => i.matrix("x").t().dot(&delta) + use_of(i, "v", f64::tanh),
    }
}

/// Of the weight in two layers: `x`, `w`, cotangent `dy`.
pub const TIED: &[Wrong] = &[
    array("dw", &ONE_USE_ONLY, |i| use_of(i, "w", f64::tanh)),
    array("dw", &ONE_USE_ONLY, |i| use_of(i, "v", f64::tanh)),
    ways("dw", &ONE_EXAMPLE_ONLY, 2, |i, _, way| {
        of_one_example(i, way, 0)
    }),
    ways("dw", &GRAD_OVERWRITTEN, 2, |i, _, way| {
        of_one_example(i, way, i.matrix("dy").nrows() - 1)
    }),
    array("dw", &USES_NOT_ALIKE, |i| use_of(i, "w", f64::tanh) * 2.),
    array("dw", &USES_NOT_ALIKE, |i| use_of(i, "v", f64::tanh) * 2.),
    array("dw", &TRANSPOSE_MISSING, |i| {
        use_of(i, "w", f64::tanh) + use_of(i, "v", f64::tanh).t()
    }),
    array("dw", &SLOPE_FORGOTTEN, |i| {
        use_of(i, "w", same) + use_of(i, "v", f64::tanh)
    }),
    array("dx", &SLOPE_FORGOTTEN, |i| use_of(i, "x", same)),
    array("dw", &SLOPE_OF_OUTPUT, |i| {
        tied(i, |a| 1. - a.tanh().powi(2), "w")
    }),
    array("dx", &SLOPE_OF_OUTPUT, |i| {
        tied(i, |a| 1. - a.tanh().powi(2), "x")
    }),
    array("dw", &VALUE_FOR_SLOPE, |i| tied(i, |a| a, "w")),
    array("dx", &VALUE_FOR_SLOPE, |i| tied(i, |a| a, "x")),
    array("dw", &SIGMOID_SLOPE, |i| tied(i, |a| a * (1. - a), "w")),
    array("dx", &SIGMOID_SLOPE, |i| tied(i, |a| a * (1. - a), "x")),
    array("dw", &RELU_EVERYWHERE, |i| {
        tied(i, |a| f64::from(u8::from(a > 0.)), "w")
    }),
    array("dx", &RELU_EVERYWHERE, |i| {
        tied(i, |a| f64::from(u8::from(a > 0.)), "x")
    }),
    matrix("dx", &TRANSPOSE_MISSING, |i| {
        tied_error(i, |a| 1. - a * a).dot(&i.matrix("w"))
    }),
    array("dw", &SUM_FOR_ACTIVATION, |i| {
        use_of(i, "w", f64::tanh) + use_of(i, "v", same)
    }),
];

/// Sizes, batch, and whether the sums are kept: `Σ n`, `n₀`, `n_L`, `B`, 0 or
/// 1.
fn kept(i: &Inputs) -> [f64; 5] {
    let n = i.array("sizes");
    let (first, last) = (n[0], n[n.len() - 1]);
    [
        n.sum(),
        first,
        last,
        i.number("batch"),
        i.number("keep_sums"),
    ]
}

/// Of the count of what is kept.
pub const CACHED: &[Wrong] = &[
    number("the count", &OUTPUT_CACHED, |i| {
        let [all, first, _, batch, sums] = kept(i);
        batch * (all + sums * (all - first))
    }),
    number("the count", &INPUT_NOT_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        batch * (all - first - last + sums * (all - first))
    }),
    // Some of what is kept: the batch, the activations, the sums below the
    // last one, the last.
    ways("the count", &BATCH_NOT_COUNTED, 15, |i, _, way| {
        let [all, first, last, batch, sums] = kept(i);
        let hidden = all - first - last;
        let parts = [first, hidden, sums * hidden, sums * last];
        let count = |(k, n): (usize, &f64)| match is_chosen(way, k) {
            true => *n,
            false => batch * n,
        };
        arr0(parts.iter().enumerate().map(count).sum()).into_dyn()
    }),
    number("the count", &PARAMETERS_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let biases = all - first;
        batch * (all - last + sums * (all - first)) + weights(i) + biases
    }),
    number("the count", &PARAMETERS_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        batch * (all - last + sums * (all - first)) + weights(i)
    }),
    number("the count", &PARAMETERS_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let biases = all - first;
        batch * (all - last + sums * (all - first)) + biases
    }),
    number("the count", &PARAMETERS_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let biases = all - first;
        batch * (all - last + sums * (all - first) + biases)
    }),
    number("the count", &PARAMETERS_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let biases = all - first;
        batch * (all - last + sums * (all - first) + weights(i) + biases)
    }),
    number("the count", &SUMS_ALWAYS_CACHED, |i| {
        let [all, first, last, batch, _] = kept(i);
        batch * (2. * all - first - last)
    }),
    number("the count", &SUMS_NOT_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        batch * (all - last + sums * (all - first - last))
    }),
    number("the count", &SUMS_NOT_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let second = i.array("sizes")[1];
        batch * (all - last + sums * (all - first - second))
    }),
    number("the count", &SUMS_NOT_CACHED, |i| {
        let [all, _, last, batch, _] = kept(i);
        batch * (all - last)
    }),
    number("the count", &INPUT_AMONG_SUMS, |i| {
        let [all, _, last, batch, sums] = kept(i);
        batch * (all - last + sums * all)
    }),
    number("the count", &INPUT_AMONG_SUMS, |i| {
        let [all, _, last, batch, sums] = kept(i);
        batch * (all - last) * (1. + sums)
    }),
    number("the count", &OUTPUT_CACHED, |i| {
        let [all, first, _, batch, sums] = kept(i);
        batch * (all - first) * (1. + sums)
    }),
    number("the count", &OUTPUT_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let without = all + sums * (all - first);
        batch * (without - sums * last)
    }),
];

/// How many weights there are.
fn weights(i: &Inputs) -> f64 {
    let n = i.wholes("sizes");
    n.windows(2).map(|n| n[0] * n[1]).sum::<usize>() as f64
}

/// Of the losses of a descent: how the gradients of a step are changed.
pub const DESCEND: &[Wrong] = &[
    ways(LOSSES, &UPDATED_TOO_EARLY, 3 * ORDERS.len(), |i, _, way| {
        one_after_another(i, ORDERS[way / 3], AGAIN[way % 3])
    }),
    array(LOSSES, &SLOPE_FORGOTTEN, |i| descent(i, 1., unmasked)),
    array(LOSSES, &SLOPE_FORGOTTEN, |i| {
        short(i, |net, cache, dy, rate| {
            let mut all = right(net, cache, dy, rate);
            all[0].1 = unmasked(net, cache, dy, rate).swap_remove(0).1;
            all
        })
    }),
    array(LOSSES, &SLOPE_FORGOTTEN, |i| {
        short(i, |net, cache, dy, rate| {
            let mut all = right(net, cache, dy, rate);
            all[0].0 = unmasked(net, cache, dy, rate).swap_remove(0).0;
            all
        })
    }),
    // Where the weight is not square this does not run.
    array(LOSSES, &TRANSPOSED, |i| {
        short(i, |net, cache, dy, rate| {
            let mut all = right(net, cache, dy, rate);
            all[0].0.swap_axes(0, 1);
            all
        })
    }),
    // Of w1, b1, w2 and b2, in this order, some.
    ways(LOSSES, &BIAS_NOT_UPDATED, 3, |i, _, way| {
        without(i, [&[1][..], &[3], &[1, 3]][way])
    }),
    ways(LOSSES, &WEIGHT_NOT_UPDATED, 4, |i, _, way| {
        without(i, [&[0][..], &[2], &[0, 2], &[2, 3]][way])
    }),
    array(LOSSES, &WEIGHT_NOT_UPDATED, |i| descent(i, 0., right)),
    // A loop over inputs or units that begins too late or ends too early.
    ways(LOSSES, &WEIGHT_NOT_UPDATED, 6, |i, _, way| {
        let (layer, axis) = [(0, 0), (0, 1), (1, 0)][way / 2];
        short(i, |net, cache, dy, rate| {
            let mut all = right(net, cache, dy, rate);
            let dw = &mut all[layer].0;
            let place = if way % 2 == 0 {
                0
            } else {
                dw.len_of(Axis(axis)) - 1
            };
            dw.index_axis_mut(Axis(axis), place).fill(0.);
            all
        })
    }),
    ways(LOSSES, &BIAS_NOT_UPDATED, 2, |i, _, way| {
        short(i, |net, cache, dy, rate| {
            let mut all = right(net, cache, dy, rate);
            let db = &mut all[0].1;
            let place = if way == 0 { 0 } else { db.len() - 1 };
            db[place] = 0.;
            all
        })
    }),
    array(LOSSES, &LAST_LAYER_ONLY, |i| without(i, &[0, 1])),
    array(LOSSES, &SIGN_FLIPPED, |i| descent(i, -1., right)),
    array(LOSSES, &HALF_FORGOTTEN, |i| descent(i, 2., right)),
    array(LOSSES, &HALF_FORGOTTEN, |i| descent(i, 2., right) * 2.),
    factor(LOSSES, &HALF_FORGOTTEN, |_| 2.),
    array(LOSSES, &MASK_FROM_UPSTREAM, |i| {
        short(i, |net, cache, dy, rate| {
            let mut all = unmasked(net, cache, dy, rate);
            let (dw, db): &mut (Array2<f64>, Array1<f64>) = &mut all[0];
            for j in 0..db.len() {
                if db[j] <= 0. {
                    db[j] = 0.;
                    dw.column_mut(j).fill(0.);
                }
            }
            all
        })
    }),
    ways(LOSSES, &GRADIENTS_NOT_CLEARED, 15, |i, _, way| {
        not_cleared(i, way)
    }),
    ways(LOSSES, &STALE_FORWARD, 2 * 15, |i, _, way| {
        of_old(i, way / 2, way % 2 == 0)
    }),
    array(LOSSES, &STALE_FORWARD, |i| {
        let mut first = None;
        short(i, |net, cache, dy, rate| {
            let mask = first.get_or_insert_with(|| cache.sums[0].clone());
            let mut stale = cache.clone();
            stale.sums[0].assign(mask);
            right(net, &stale, dy, rate)
        })
    }),
    array(LOSSES, &STALE_FORWARD, |i| {
        let mut first = None;
        short(i, |net, cache, dy, rate| {
            let first =
                first.get_or_insert_with(|| right(net, cache, dy, rate));
            first.clone()
        })
    }),
    array(LOSSES, &STALE_FORWARD, stale_in_both),
    array(LOSSES, &LOSSES_SHIFTED, |i| {
        let all = one_step_more(i);
        all.slice_axis(Axis(0), (1..).into()).to_owned()
    }),
    made(LOSSES, &LOSSES_SHIFTED, |_, right| {
        let last = right.len() - 1;
        let of = |k: usize| right[(k + 1).min(last)];
        (0..=last).map(of).collect::<Array1<_>>().into_dyn()
    }),
    made(LOSSES, &LOSSES_SHIFTED, |_, right| {
        let of = |k: usize| right[k.saturating_sub(1)];
        (0..right.len()).map(of).collect::<Array1<_>>().into_dyn()
    }),
];

/// The losses of a descent whose steps are these, if it is short: a mistake shows
/// in the first steps, and there are many ways to make it.
fn short(
    i: &Inputs,
    gradients: impl FnMut(&Mlp, &Cache, ArrayView2<f64>, f64) -> Gradients,
) -> ArrayD<f64> {
    assert!(i.whole("steps") <= 20, "too long to try every way");
    descent(i, 1., gradients)
}

/// The losses of a descent in which some gradients still hold those of all steps
/// before.
fn not_cleared(i: &Inputs, kept: usize) -> ArrayD<f64> {
    let mut sums: Option<Gradients> = None;
    short(i, |net, cache, dy, rate| {
        let mut all = right(net, cache, dy, rate);
        let old = sums.iter().flatten();
        for (l, ((dw, db), (old_dw, old_db))) in
            all.iter_mut().zip(old).enumerate()
        {
            if is_chosen(kept, 2 * l) {
                *dw += old_dw;
            }
            if is_chosen(kept, 2 * l + 1) {
                *db += old_db;
            }
        }
        sums = Some(all.clone());
        all
    })
}

/// The losses of a descent in which some parameters stay.
fn without(i: &Inputs, parameters: &[usize]) -> ArrayD<f64> {
    short(i, |net, cache, dy, rate| {
        let mut all = right(net, cache, dy, rate);
        for (l, (dw, db)) in all.iter_mut().enumerate() {
            if parameters.contains(&(2 * l)) {
                dw.fill(0.);
            }
            if parameters.contains(&(2 * l + 1)) {
                db.fill(0.);
            }
        }
        all
    })
}

/// The losses of a descent that uses something old: of the hidden activations,
/// the mask, the error of the output and the weight that it is carried back
/// through, some; of the first step, or of the one before.
fn of_old(i: &Inputs, what: usize, first: bool) -> ArrayD<f64> {
    let mut kept: Option<(Mlp, Cache, Array2<f64>)> = None;
    short(i, |net, cache, dy, rate| {
        let now = (net.clone(), cache.clone(), dy.to_owned());
        let (mut net, mut cache, mut dy) = now.clone();
        if let Some((old_net, old_cache, old_dy)) = &kept {
            if is_chosen(what, 0) {
                cache.inputs[1].assign(&old_cache.inputs[1]);
            }
            if is_chosen(what, 1) {
                cache.sums[0].assign(&old_cache.sums[0]);
            }
            if is_chosen(what, 2) {
                dy.assign(old_dy);
            }
            if is_chosen(what, 3) {
                net.layers[1].w.assign(&old_net.layers[1].w);
            }
        }
        if !first || kept.is_none() {
            kept = Some(now);
        }
        right(&net, &cache, dy.view(), rate)
    })
}

/// What is computed again after a parameter has moved.
#[derive(Clone, Copy)]
enum Again {
    Nothing,
    Forward,
    ForwardAndError,
}

const AGAIN: [Again; 3] =
    [Again::Nothing, Again::Forward, Again::ForwardAndError];

/// The gradients at a network that has moved since its forward.
fn gradients_at(
    net: &Mlp,
    i: &Inputs,
    (cache, dy): (&Cache, ArrayView2<f64>),
    rate: f64,
    again: Again,
) -> Gradients {
    let (y, new) = net.forward(i.vector("x").insert_axis(Axis(0)));
    match again {
        Again::Nothing => right(net, cache, dy, rate),
        Again::Forward => right(net, &new, dy, rate),
        Again::ForwardAndError => {
            right(net, &new, (y - i.number("t")).view(), rate)
        }
    }
}

/// Moves one parameter.
fn step(net: &mut Mlp, parameter: usize, grads: &Gradients, rate: f64) {
    let (layer, (dw, db)) =
        (&mut net.layers[parameter / 2], &grads[parameter / 2]);
    match parameter % 2 {
        0 => layer.w.scaled_add(-rate, dw),
        _ => layer.b.scaled_add(-rate, db),
    }
}

/// Takes one gradient from others.
fn take(all: &mut Gradients, parameter: usize, from: &Gradients) {
    let (to, from) = (&mut all[parameter / 2], &from[parameter / 2]);
    match parameter % 2 {
        0 => to.0.assign(&from.0),
        _ => to.1.assign(&from.1),
    }
}

/// All orders of four parameters, some of them at once: which of the groups each
/// belongs to.
const ORDERS: [[usize; 4]; 75] = {
    let mut all = [[0; 4]; 75];
    let (mut n, mut code) = (0, 0);
    while code < 256 {
        let of = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
        let [a, b, c, d] = of;
        // No group is left out.
        if matches!(1 << a | 1 << b | 1 << c | 1 << d, 1 | 3 | 7 | 15) {
            all[n] = of;
            n += 1;
        }
        code += 1;
    }
    assert!(n == all.len());
    all
};

/// The losses of a descent in which groups of parameters move one after another,
/// each as soon as its gradients are known.
fn one_after_another(
    i: &Inputs,
    groups: [usize; 4],
    again: Again,
) -> ArrayD<f64> {
    short(i, |net, cache, dy, rate| {
        let (mut moving, mut all) = (net.clone(), right(net, cache, dy, rate));
        for group in 0..4 {
            let at = gradients_at(&moving, i, (cache, dy), rate, again);
            for p in (0..4).filter(|p| groups[*p] == group) {
                take(&mut all, p, &at);
                step(&mut moving, p, &all, rate);
            }
        }
        all
    })
}

fn one_step_more(i: &Inputs) -> ArrayD<f64> {
    let mut i = i.clone();
    *i.array_mut("steps") += 1.;
    descent(&i, 1., right)
}

/// The losses of a descent whose first mask serves all forwards and all
/// backwards: no unit changes sides.
fn stale_in_both(i: &Inputs) -> ArrayD<f64> {
    let z = i.vector("x").dot(&i.matrix("w1")) + i.vector("b1");
    let mut fixed = i.clone();
    for j in (0..z.len()).filter(|j| z[*j] <= 0.) {
        fixed.array_mut("b1")[j] = 0.;
        fixed.array_mut("w2")[j] = 0.;
        fixed.array_mut("w1").index_axis_mut(Axis(1), j).fill(0.);
    }
    descent_of(&fixed, Activation::Identity, 1., right)
}

/// What a descent returns, as reports call it.
pub const LOSSES: &str = "the losses";

fn unmasked(
    net: &Mlp,
    cache: &Cache,
    dy: ArrayView2<f64>,
    rate: f64,
) -> Gradients {
    let mut net = net.clone();
    net.layers[0].activation = Activation::Identity;
    right(&net, cache, dy, rate)
}
