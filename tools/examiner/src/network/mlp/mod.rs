//! The exam of the multilayer perceptron.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    D1, D2, DEAD_UNIT_OUTGOING, LOSSES, MASK_FROM_UPSTREAM, NAMES,
    SLOPE_FORGOTTEN,
};
use super::linear::mistakes as linear_mistakes;
use crate::general::VALUE_AS_GRADIENT;
use crate::judge::{
    BATCH_IN_OUT, Cases, Hunt, Inputs, Predict, Shapes, Special, TOLERANCE,
    Then, Two, Value, Vjp,
};
use crate::verdict::Verdict;
use crate::{Exercise, Sampler, arrays};
use backprop::network::linear;
use backprop::network::mlp::{
    self, Activation, Cache, Gradients, Layer, Mlp, worked_example,
};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, array};

/// The exercise of the multilayer perceptron.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/mlp",
    title: "The multilayer perceptron",
    minutes: 75,
    tasks: tasks::TASKS,
    names: NAMES,
};

/// BP1: `fn(dy, z, activation) -> delta`.
pub type Bp1 = fn(ArrayView2<f64>, ArrayView2<f64>, Activation) -> Array2<f64>;

/// BP2: `fn(delta_above, w_above, z, activation) -> delta`.
pub type Bp2 = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
    Activation,
) -> Array2<f64>;

/// BP3: `fn(a_below, delta) -> dw`.
pub type Bp3 = fn(ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// BP4: `fn(delta) -> db`.
pub type Bp4 = fn(ArrayView2<f64>) -> Array1<f64>;

/// One `(dw, db)` per layer from layers, cache and `dy`.
pub type Backward =
    fn(&[Layer], &Cache, ArrayView2<f64>) -> Vec<(Array2<f64>, Array1<f64>)>;

/// `fn(x, w, dy) -> (dx, dw)`.
pub type TiedVjp = fn(
    ArrayView2<f64>,
    ArrayView2<f64>,
    ArrayView2<f64>,
) -> (Array2<f64>, Array2<f64>);

/// BP2 for ReLU: `fn(delta_above, w_above, z) -> delta`.
pub type Mended =
    fn(ArrayView2<f64>, ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// `fn(sizes, batch, keep_sums) -> numbers kept`.
pub type Cached = fn(&[usize], usize, bool) -> usize;

/// Parameters of a net with one output: `w1` (I,H), `b1` (H), `w2` (H), `b2`.
pub type Net = (Array2<f64>, Array1<f64>, Array1<f64>, f64);

/// `fn(net, x, t, rate, steps) -> losses`.
pub type Descend = fn(Net, ArrayView1<f64>, f64, f64, usize) -> Vec<f64>;

/// Which gradients an inactive unit makes zero.
pub static PREDICT_ZEROS: Predict<[bool; 5]> = Predict {
    question: "which of the five gradients are exactly zero",
    right: [true, true, false, true, false],
    wrong: &[
        ([true, true, false, false, false], &DEAD_UNIT_OUTGOING),
        ([false, true, false, true, false], &SLOPE_FORGOTTEN),
        ([true, true, false, true, true], &VALUE_AS_GRADIENT),
        ([true, true, true, true, false], &VALUE_AS_GRADIENT),
        ([true, true, true, true, true], &VALUE_AS_GRADIENT),
    ],
    why: "The first unit is inactive: slope 0, so nothing reaches its \
          weights, and activation 0, so its outgoing weight has nothing to \
          multiply. The input that is 0 does the same to the weight it feeds. \
          But a variable that is 0 can still move: the bias and the input get \
          their gradients from the error, whatever their own value.",
};

const ACTIVATIONS: [Activation; 4] = [
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Relu,
    Activation::Identity,
];

/// The activation of a case; ReLU where only that is asked for.
fn activation(i: &Inputs) -> Activation {
    if i.has("activation") {
        ACTIVATIONS[i.whole("activation") as usize]
    } else {
        Activation::Relu
    }
}

/// The same cases once for each activation, a group for each; and sums so far
/// from 0 that their exponentials overflow.
fn for_each_activation(mut cases: Cases) -> Cases {
    if let Some(far) = cases.rare.last().cloned() {
        cases.rare.push(far);
        let far = cases.rare.last_mut().expect("just pushed");
        far.array_mut("z").mapv_inplace(|z| z * 200.);
    }
    let with = |(k, kind): (usize, &Activation), inputs: &Inputs| {
        let text = format!("the activation is {kind:?}");
        inputs.clone().shown("activation", k, text)
    };
    let all = |group: &[Inputs]| -> Vec<Vec<Inputs>> {
        (ACTIVATIONS.iter().enumerate())
            .map(|kind| group.iter().map(|i| with(kind, i)).collect())
            .collect()
    };
    Cases {
        usual: all(&cases.usual[0]),
        rare: all(&cases.rare).concat(),
        large: all(&cases.large).concat(),
    }
}

/// Batch, units, units above; nowhere zero, where ReLU has no slope, and in
/// the end sums so large that tanh and sigmoid hardly move.
const UNITS: Shapes<3> = Shapes {
    small: &[[1, 1, 1], [3, 1, 2], [2, 3, 1]],
    ties: None,
    many: ([9, 10, 11], 4.),
    ..BATCH_IN_OUT
};

/// BP1, for four activations.
static BP1: Vjp<Bp1> = Vjp {
    forward: |i| activation(i).value(i.matrix("z")).into_dyn(),
    cotangent: "dy",
    gradients: &[(D1, "z")],
    call: |f, i| arrays![f(i.matrix("dy"), i.matrix("z"), activation(i))],
    cases: |draw| {
        for_each_activation(Cases::of(draw, &UNITS, |draw, [b, o, _]| {
            draw.inputs(&[("z", &[b, o]), ("dy", &[b, o])])
        }))
    },
    batch: Some(|i| i.matrix("z").nrows()),
    wrong: mistakes::BP1,
};

/// The gradient of `σ(z)·w_above` with respect to `z`, its cotangent being
/// the error above.
fn forward_above(i: &Inputs) -> ArrayD<f64> {
    let a = activation(i).value(i.matrix("z"));
    a.dot(&i.matrix("w_above")).into_dyn()
}

fn units(draw: &mut Sampler, [b, o, p]: [usize; 3]) -> Inputs {
    let (z, w) = (&[b, o], &[o, p]);
    draw.inputs(&[("z", z), ("w_above", w), ("delta_above", &[b, p])])
}

/// BP2, for four activations.
static BP2: Vjp<Bp2> = Vjp {
    forward: forward_above,
    cotangent: "delta_above",
    gradients: &[(D2, "z")],
    call: |f, i| {
        let (d, w) = (i.matrix("delta_above"), i.matrix("w_above"));
        arrays![f(d, w, i.matrix("z"), activation(i))]
    },
    cases: |draw| for_each_activation(Cases::of(draw, &UNITS, units)),
    batch: Some(|i| i.matrix("z").nrows()),
    wrong: mistakes::BP2,
};

const AGAINST_KINK: &str = "the slope that `Activation` has at 0";

/// Sums of exactly 0, where differences say nothing.
fn kink(_: &mut Sampler) -> Cases {
    let z = Inputs::default().with("z", array![[0., 1.], [-1., 0.]]);
    let z = z.with("w_above", array![[1., 0.5], [2., 1.]]);
    let d = array![[3., -2.], [1., 4.]];
    let all = z.with("delta_above", d.clone()).with("dy", d);
    Cases {
        usual: for_each_activation(Cases::new(vec![all], Vec::new())).usual,
        ..Cases::default()
    }
}

static BP1_AT_0: Value<Bp1> = Value {
    outputs: &[D1],
    against: AGAINST_KINK,
    right: |i| arrays![mlp::bp1(i.matrix("dy"), i.matrix("z"), activation(i))],
    tolerance: TOLERANCE,
    call: BP1.call,
    cases: kink,
    wrong: &[],
    symptom: None,
};

static BP2_AT_0: Value<Bp2> = Value {
    outputs: &[D2],
    against: AGAINST_KINK,
    right: bp2_of_library,
    tolerance: TOLERANCE,
    call: BP2.call,
    cases: kink,
    wrong: &[],
    symptom: None,
};

fn bp2_of_library(i: &Inputs) -> Vec<ArrayD<f64>> {
    let (d, w) = (i.matrix("delta_above"), i.matrix("w_above"));
    arrays![mlp::bp2(d, w, i.matrix("z"), activation(i))]
}

/// BP1, then BP2, each also where a sum is 0.
pub static ERRORS: Two<Bp1, Bp2> = Two(
    &Then {
        first: &BP1,
        second: &BP1_AT_0,
        named_later: &[],
    },
    &Then {
        first: &BP2,
        second: &BP2_AT_0,
        named_later: &[],
    },
);

/// BP3 and BP4: the gradients of `a·w + b`, `dw` before `db`.
pub static GRADIENTS: Vjp<(Bp3, Bp4)> = Vjp {
    forward: |i| {
        let (a, w, b) = (i.matrix("a_below"), i.matrix("w"), i.vector("b"));
        linear::forward(a, w, b).into_dyn()
    },
    cotangent: "delta",
    gradients: &[("dw", "w"), ("db", "b")],
    call: |(bp3, bp4), i| {
        let delta = i.matrix("delta");
        arrays![bp3(i.matrix("a_below"), delta), bp4(delta)]
    },
    cases: |draw| {
        Cases::of(draw, &BATCH_IN_OUT, |draw, [b, i, o]| {
            let (a, w, d) = (&[b, i], &[i, o], &[b, o]);
            let all =
                [("a_below", &a[..]), ("w", w), ("b", &[o]), ("delta", d)];
            // What the linear layer's mistakes call them.
            draw.inputs(&all).also("a_below", "x").also("delta", "dy")
        })
    },
    batch: Some(|i| i.matrix("a_below").nrows()),
    wrong: linear_mistakes::VJP,
};

const WEIGHTS: [(&str, &str); 4] =
    [("w1", "b1"), ("w2", "b2"), ("w3", "b3"), ("w4", "b4")];

/// Layers from `w1, b1, …`, their kinds and the batch `x`.
fn net_of(i: &Inputs) -> (Mlp, ArrayView2<'_, f64>) {
    let layer = |(kind, (w, b)): (usize, &(&str, &str))| Layer {
        w: i.matrix(w).to_owned(),
        b: i.vector(b).to_owned(),
        activation: ACTIVATIONS[kind],
    };
    let kinds = i.wholes("kinds").into_iter().zip(&WEIGHTS);
    let layers = kinds.map(layer).collect();
    (Mlp { layers }, i.matrix("x"))
}

/// A batch and a net of those kinds and sizes; no sum of a ReLU near its kink,
/// and some on both sides of it.
fn deep_case(
    draw: &mut Sampler,
    kinds: &[Activation],
    b: usize,
    n: &[usize],
) -> Inputs {
    let place = |k: &Activation| {
        let found = ACTIVATIONS.iter().position(|a| a == k);
        found.expect("one of four") as f64
    };
    let of: Array1<f64> = kinds.iter().map(place).collect();
    loop {
        let mut i = Inputs::default();
        for (l, (w, bias)) in WEIGHTS.iter().enumerate().take(kinds.len()) {
            i = i.with(w, draw.dynamic(&[n[l], n[l + 1]]) / 2.);
            i = i.with(bias, draw.dynamic(&[n[l + 1]]) / 4.);
        }
        i = i.with("x", draw.dynamic(&[b, n[0]]));
        i = i.shown("kinds", of.clone(), format!("the layers are {kinds:?}"));
        let (net, x) = net_of(&i);
        let sums = net.forward(x).1.sums;
        let is_relu = |l: &usize| kinds[*l] == Activation::Relu;
        let good = (0..kinds.len()).filter(is_relu).all(|l| {
            let active = sums[l].iter().filter(|z| **z > 0.).count();
            sums[l].iter().all(|z| z.abs() > 0.01)
                && active > 0
                && active < sums[l].len()
        });
        // A slope of ReLU at the next layer's sum, should it fit, has a 0 too.
        let above = (1..kinds.len())
            .filter(|l| is_relu(&(l - 1)) && n[*l] == n[l + 1])
            .all(|l| sums[l].iter().any(|z| *z < 0.));
        if good && above {
            return i.with("dy", draw.dynamic(&[b, n[kinds.len()]]));
        }
    }
}

/// The whole backward: of three layers, then of fewer and more, with other
/// activations.
pub static BACKWARD: Vjp<Backward> = Vjp {
    forward: |i| {
        let (net, x) = net_of(i);
        net.forward(x).0.into_dyn()
    },
    cotangent: "dy",
    gradients: &[
        ("dw4", "w4"),
        ("db4", "b4"),
        ("dw3", "w3"),
        ("db3", "b3"),
        ("dw2", "w2"),
        ("db2", "b2"),
        ("dw1", "w1"),
        ("db1", "b1"),
    ],
    call: |f, i| {
        let (net, x) = net_of(i);
        let (_, cache) = net.forward(x);
        let grads = f(&net.layers, &cache, i.matrix("dy"));
        let (n, layers) = (grads.len(), net.layers.len());
        assert!(n == layers, "backward gave {n} pairs for {layers} layers");
        (grads.into_iter().rev())
            .flat_map(|(dw, db)| [dw.into_dyn(), db.into_dyn()])
            .collect()
    },
    cases: |draw| {
        use Activation::{Identity, Relu, Sigmoid, Tanh};
        let deep = [Tanh, Relu, Sigmoid];
        let usual = [
            (5, [3, 4, 2, 6]),
            (4, [2, 5, 3, 2]),
            (2, [4, 3, 5, 3]),
            (3, [3, 3, 3, 3]),
            (2, [2, 2, 2, 2]),
        ];
        let usual = usual.map(|(b, n)| deep_case(draw, &deep, b, &n));
        let rare: [(&[_], usize, &[usize]); 6] = [
            (&[Identity], 3, &[2, 4]),
            (&[Sigmoid, Tanh, Tanh, Identity], 1, &[3, 1, 5, 1, 1]),
            (&[Tanh, Sigmoid, Tanh, Sigmoid], 2, &[2, 3, 2, 5, 4]),
            (&[Relu, Identity], 1, &[3, 4, 1]),
            (&[Sigmoid, Relu, Tanh, Identity], 9, &[10, 11, 12, 10, 9]),
            (&[Relu, Tanh], 9, &[9, 11, 10]),
        ];
        let rare = rare.map(|(kinds, b, n)| deep_case(draw, kinds, b, n));
        Cases::new(usual.into(), rare.into())
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::BACKWARD,
};

/// `y = tanh(x·w)·wᵀ`: `dw` before `dx`.
pub static TIED_VJP: Vjp<TiedVjp> = Vjp {
    forward: |i| {
        let (x, w) = (i.matrix("x"), i.matrix("w"));
        x.dot(&w).tanh().dot(&w.t()).into_dyn()
    },
    cotangent: "dy",
    gradients: &[("dw", "w"), ("dx", "x")],
    call: |f, i| {
        let (dx, dw) = f(i.matrix("x"), i.matrix("w"), i.matrix("dy"));
        arrays![dw, dx]
    },
    cases: |draw| {
        let shapes = Shapes {
            many: ([9, 10, 11], 1.),
            ..UNITS
        };
        Cases::of(draw, &shapes, |draw, [b, i, h]| {
            let x = draw.inputs(&[("x", &[b, i])]);
            let w = draw.dynamic(&[i, h]) / 2.;
            x.with("w", w).with("dy", draw.dynamic(&[b, i]))
        })
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::TIED,
};

fn call_mended(f: &Mended, i: &Inputs) -> Vec<ArrayD<f64>> {
    let (d, w) = (i.matrix("delta_above"), i.matrix("w_above"));
    arrays![f(d, w, i.matrix("z"))]
}

static MENDED: Vjp<Mended> = Vjp {
    forward: forward_above,
    cotangent: "delta_above",
    gradients: &[(D2, "z")],
    call: call_mended,
    cases: |draw| Cases::of(draw, &UNITS, units),
    batch: Some(|i| i.matrix("z").nrows()),
    wrong: mistakes::BP2,
};

static MENDED_AT_0: Value<Mended> = Value {
    outputs: &[D2],
    against: AGAINST_KINK,
    right: bp2_of_library,
    tolerance: TOLERANCE,
    call: call_mended,
    cases: |draw| {
        let relu = |i: &Inputs| activation(i) == Activation::Relu;
        let all = kink(draw).usual.concat().into_iter();
        Cases::new(all.filter(relu).collect(), Vec::new())
    },
    wrong: &[],
    symptom: None,
};

/// The planted bug's name, then the mended BP2 of a ReLU layer.
pub static FIND_THE_BUG: Hunt<Mended> = Hunt {
    planted: &MASK_FROM_UPSTREAM,
    among: NAMES,
    mended: &Then {
        first: &MENDED,
        second: &MENDED_AT_0,
        named_later: &[],
    },
};

/// Numbers kept by the forward pass.
pub static CACHED: Value<Cached> = Value {
    outputs: &["the count"],
    against: "one input per layer, and its sum if asked for",
    right: |i| {
        let n = i.wholes("sizes");
        let all: usize = n.iter().sum();
        let last = n[n.len() - 1];
        let sums = if i.flag("keep_sums") { all - n[0] } else { 0 };
        arrays![(all - last + sums) * i.whole("batch") as usize]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let batch = i.whole("batch") as usize;
        arrays![f(&i.wholes("sizes"), batch, i.flag("keep_sums"))]
    },
    cases: |draw| {
        let case = |n: &[usize], batch: usize, sums: bool| {
            let sizes: Array1<f64> = n.iter().map(|n| *n as f64).collect();
            let text = format!("sizes {n:?}, B = {batch}, keep_sums = {sums}");
            let i = Inputs::default().shown("sizes", sizes, text);
            let sums = f64::from(u8::from(sums));
            i.shown("batch", batch, "").shown("keep_sums", sums, "")
        };
        let usual = [3, 4, 2, 5, 3, 4].iter().enumerate().map(|(k, layers)| {
            let sizes: Vec<_> =
                (0..=*layers).map(|_| 2 + draw.below(60)).collect();
            case(&sizes, 3 + draw.below(30), k % 2 == 0)
        });
        // One layer, one example, a large model.
        let rare: [(&[usize], usize); 3] =
            [(&[7, 3], 4), (&[5, 6, 2], 1), (&[4097, 4099, 8191], 2047)];
        let rare = (rare.iter())
            .flat_map(|(n, b)| [true, false].map(|sums| case(n, *b, sums)));
        Cases::new(usual.collect(), rare.collect())
    },
    wrong: mistakes::CACHED,
    symptom: None,
};

/// What a step computes: the network, what its forward kept, the gradient of
/// the loss with respect to its output, and the rate.
type Step = fn(&Mlp, &Cache, ArrayView2<f64>, f64) -> Gradients;

fn right(net: &Mlp, cache: &Cache, dy: ArrayView2<f64>, _: f64) -> Gradients {
    net.gradients(cache, &net.errors(cache, dy))
}

/// The losses of a descent whose steps are that many times the rate.
fn descent(i: &Inputs, factor: f64, gradients: Step) -> ArrayD<f64> {
    let layer = |w: ArrayView2<f64>, b: Array1<f64>, activation| Layer {
        w: w.to_owned(),
        b,
        activation,
    };
    let w2 = i.vector("w2").insert_axis(Axis(1));
    let b2 = Array1::from_elem(1, i.number("b2"));
    let b1 = i.vector("b1").to_owned();
    let mut net = Mlp {
        layers: vec![
            layer(i.matrix("w1"), b1, Activation::Relu),
            layer(w2, b2, Activation::Identity),
        ],
    };
    let (x, t) = (i.vector("x").insert_axis(Axis(0)), array![[i.number("t")]]);
    let rate = factor * i.number("rate");
    let mut losses = Vec::new();
    for _ in 0..=i.whole("steps") {
        let (y, cache) = net.forward(x);
        let (loss, dy) = mlp::half_squares(y.view(), t.view());
        losses.push(loss);
        let grads = gradients(&net, &cache, dy.view(), rate);
        for (layer, (dw, db)) in net.layers.iter_mut().zip(&grads) {
            layer.w.scaled_add(-rate, dw);
            layer.b.scaled_add(-rate, db);
        }
    }
    Array1::from(losses).into_dyn()
}

fn descend(f: &Descend, i: &Inputs) -> Vec<ArrayD<f64>> {
    let net = (
        i.matrix("w1").to_owned(),
        i.vector("b1").to_owned(),
        i.vector("w2").to_owned(),
        i.number("b2"),
    );
    let steps = i.whole("steps") as usize;
    let (x, t, rate) = (i.vector("x"), i.number("t"), i.number("rate"));
    let losses = f(net, x, t, rate, steps);
    let n = losses.len();
    assert!(
        n == steps + 1,
        "{n} losses for {steps} steps: one before the first step, and one \
         after each"
    );
    let losses = Array1::from(losses);
    // The small ones at the end count as much as the first.
    let logarithms = losses.mapv(f64::ln);
    arrays![losses, logarithms]
}

/// A net, an example and a target, a rate and a number of steps.
fn run(
    (w1, b1, w2, b2): Net,
    (x, t): (Array1<f64>, f64),
    rate: f64,
    steps: usize,
) -> Inputs {
    let (inputs, hidden) = w1.dim();
    let text = format!(
        "{inputs} inputs, {hidden} hidden units, rate {rate}, {steps} steps"
    );
    let net = Inputs::default().shown("w1", w1, text).shown("b1", b1, "");
    let net = net.shown("w2", w2, "").shown("b2", b2, "");
    let example = net.shown("x", x, "").shown("t", t, "");
    example.shown("rate", rate, "").shown("steps", steps, "")
}

/// The chapter's example, with that many hidden units.
fn worked(hidden: usize, steps: usize) -> Inputs {
    let net = worked_example(hidden);
    let (first, second) = (&net.layers[0], &net.layers[1]);
    let w2 = second.w.column(0).to_owned();
    let net = (first.w.clone(), first.b.clone(), w2, second.b[0]);
    run(net, (array![1., 2.], 1.), 0.01, steps)
}

static DESCENT: Value<Descend> = Value {
    outputs: &[LOSSES, "their logarithms"],
    against: "a descent on all four parameters",
    right: |i| {
        let losses = descent(i, 1., right);
        vec![losses.clone(), losses.ln()]
    },
    tolerance: TOLERANCE,
    call: descend,
    cases: |draw| {
        // The third unit just below its threshold: a forgotten mask lifts it.
        let mut nearly = worked(3, 10);
        nearly.array_mut("w1")[[1, 2]] = -0.21;
        // Too large an output, outgoing weights of both signs: errors of both.
        let mut mixed = worked(3, 10);
        mixed.array_mut("w2")[1] = -0.6;
        mixed.array_mut("t").fill(-1.);
        let mut usual = vec![worked(2, 10), worked(3, 10), nearly, mixed];
        for (inputs, hidden) in [(3, 5), (4, 2)] {
            let net = (
                draw.matrix(inputs, hidden) / 4.,
                draw.vector(hidden) / 4.,
                draw.vector(hidden) / 4.,
                draw.number() / 4.,
            );
            let example = (draw.vector(inputs), draw.number());
            usual.push(run(net, example, 0.04, 5));
        }
        usual.push(worked(2, 0));
        // A unit that changes sides after a step.
        let net = (array![[0.1]], array![0.], array![1.], 0.);
        let changing = run(net, (array![1.], -1.), 0.1, 10);
        Cases::new(usual, vec![changing, worked(2, 100)])
    },
    wrong: mistakes::DESCEND,
    symptom: None,
};

/// Losses of a descent by hand: the worked example and random nets.
pub static DESCEND: Then<Descend> = Then {
    first: &DESCENT,
    second: &Special(how_far),
    named_later: &[],
};

/// What a descent that is right has reached.
fn how_far(answer: Descend, _seed: u64) -> Verdict {
    let losses = descend(&answer, &worked(2, 100)).swap_remove(0);
    let falls = (1..losses.len()).all(|k| losses[k] < losses[k - 1]);
    Verdict::Passed {
        note: format!(
            "From {:.4} to {:.4e} in 100 steps{}.",
            losses[0],
            losses[100],
            if falls { ", lower after every one" } else { "" }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_descends_as_the_chapter_says() {
        let all = descent(&worked(2, 100), 1., right);
        for (step, loss) in [
            (0, 0.0288),
            (1, 0.0258494075),
            (10, 0.0094163985),
            (100, 1.3086e-7),
        ] {
            assert!((all[step] - loss).abs() < 6e-11, "step {step}");
        }
    }
}
