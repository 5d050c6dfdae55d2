//! The mistakes of the multilayer perceptron, and what each returns.
//!
//! What a whole backward or descent would return is computed by the library,
//! from a network or a cache that the mistake has changed.

use super::{activation, net_of};
use crate::calculus::chain_rule::mistakes::{SLOPE_OF_OUTPUT, VALUE_FOR_SLOPE};
use crate::general::{BATCH_NOT_COUNTED, GRAD_OVERWRITTEN, SIGN_FLIPPED};
use crate::judge::{Inputs, Wrong, array, each, matrix, number, slopes};
use crate::network::linear::mistakes::{
    HADAMARD_FOR_MATMUL, TRANSPOSE_MISSING, WRONG_SIDE,
};
use backprop::network::mlp::{Activation, Cache, Gradients, Mlp};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis};

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
        "The slope is taken at the sum of the layer above.",
        "The error below layer l + 1 passes the units of layer l, so their \
         slopes are taken at the sum of layer l.",
        "runs only where two layers are equally wide";
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
        "The parameters are counted as if the forward kept them.",
        "They are there before and after the step, whatever the batch; the \
         cache is what this forward adds.",
        "too large by the number of parameters";
    SUMS_ALWAYS_CACHED "#what-is-kept":
        "The sums are counted although the slopes are read off the \
         activations.",
        "Where σ' can be written in terms of a = σ(z), z need not be kept \
         beside a.",
        "the same count with and without keep_sums";
    UPDATED_TOO_EARLY "#the-code":
        "A weight is changed before the error below it is computed, so the \
         error is carried back through the new weight.",
        "All gradients belong to one point. Compute every one of them before \
         the first parameter moves.",
        "the losses after the first step are off by a little, more with every \
         step";
    BIAS_NOT_UPDATED "#by-hand":
        "Only the weights are updated, the biases stay.",
        "A bias that starts at zero still has a gradient, and BP4 says which.",
        "the loss falls more slowly";
    HALF_FORGOTTEN "#by-hand":
        "The gradient of the squared error is taken, though the loss has a \
         half in front of it.",
        "The derivative of (y - t)²/2 is y - t: the half is there to cancel \
         the 2.",
        "steps twice as long as asked for";
    LAST_LAYER_ONLY "#by-hand":
        "Only the last layer is trained.",
        "The error goes on through BP2: the hidden layer has gradients too.",
        "the loss falls, but more slowly";
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
    matrix(D2, &MASK_FROM_UPSTREAM, |i| carried(i).mapv(|d| d.max(0.))),
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
    each(&TRANSPOSE_MISSING, |i, g| {
        after(i, g, |net, _| {
            for l in &mut net.layers[1..] {
                l.w.swap_axes(0, 1);
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
    each(&LAYERS_REVERSED, |i, g| {
        let layers = net_of(i).0.layers.len();
        after(i, &format!("{}{}", &g[..2], layers - layer(g)), |_, _| ())
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

fn same(z: f64) -> f64 {
    z
}

/// Of the weight in two layers: `x`, `w`, cotangent `dy`.
pub const TIED: &[Wrong] = &[
    array("dw", &ONE_USE_ONLY, |i| use_of(i, "w", f64::tanh)),
    array("dw", &ONE_USE_ONLY, |i| use_of(i, "v", f64::tanh)),
    array("dw", &USES_NOT_ALIKE, |i| use_of(i, "w", f64::tanh) * 2.),
    array("dw", &TRANSPOSE_MISSING, |i| {
        use_of(i, "w", f64::tanh) + use_of(i, "v", f64::tanh).t()
    }),
    array("dw", &SLOPE_FORGOTTEN, |i| {
        use_of(i, "w", same) + use_of(i, "v", f64::tanh)
    }),
    array("dx", &SLOPE_FORGOTTEN, |i| use_of(i, "x", same)),
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
    number("the count", &BATCH_NOT_COUNTED, |i| {
        let [all, first, last, _, sums] = kept(i);
        all - last + sums * (all - first)
    }),
    number("the count", &PARAMETERS_CACHED, |i| {
        let [all, first, last, batch, sums] = kept(i);
        let n = i.wholes("sizes");
        let parameters: usize = n.windows(2).map(|n| (n[0] + 1) * n[1]).sum();
        batch * (all - last + sums * (all - first)) + parameters as f64
    }),
    number("the count", &SUMS_ALWAYS_CACHED, |i| {
        let [all, first, last, batch, _] = kept(i);
        batch * (2. * all - first - last)
    }),
];

/// Of the losses of a descent: how the gradients of a step are changed.
pub const DESCEND: &[Wrong] = &[
    array(LOSSES, &UPDATED_TOO_EARLY, |i| {
        super::descent(i, 1., |net, cache, dy, rate| {
            let mut early = net.clone();
            let (dw, _) = &super::right(net, cache, dy, rate)[1];
            early.layers[1].w.scaled_add(-rate, dw);
            let late = super::right(&early, cache, dy, rate).swap_remove(0);
            vec![late, super::right(net, cache, dy, rate).swap_remove(1)]
        })
    }),
    array(LOSSES, &SLOPE_FORGOTTEN, |i| {
        super::descent(i, 1., unmasked)
    }),
    array(LOSSES, &BIAS_NOT_UPDATED, |i| {
        super::descent(i, 1., |net, cache, dy, rate| {
            let all = super::right(net, cache, dy, rate).into_iter();
            all.map(|(dw, db)| (dw, db * 0.)).collect()
        })
    }),
    array(LOSSES, &SIGN_FLIPPED, |i| {
        super::descent(i, -1., super::right)
    }),
    array(LOSSES, &HALF_FORGOTTEN, |i| {
        super::descent(i, 2., super::right)
    }),
    array(LOSSES, &LAST_LAYER_ONLY, |i| {
        super::descent(i, 1., |net, cache, dy, rate| {
            let mut all = super::right(net, cache, dy, rate);
            all[0].0.fill(0.);
            all[0].1.fill(0.);
            all
        })
    }),
    array(LOSSES, &MASK_FROM_UPSTREAM, |i| {
        super::descent(i, 1., |net, cache, dy, rate| {
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
];

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
    super::right(&net, cache, dy, rate)
}
