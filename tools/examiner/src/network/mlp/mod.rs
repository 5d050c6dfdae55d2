//! The exam of the multilayer perceptron.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    D1, D2, DEAD_UNIT_OUTGOING, LOSS, LOSSES, MASK_FROM_UPSTREAM, NAMES,
    SLOPE_FORGOTTEN,
};
use super::softmax_cross_entropy::mistakes::OVERFLOW;
use crate::general::VALUE_AS_GRADIENT;
use crate::judge::{
    BATCH_IN_OUT, Cases, EXACTLY, Hunt, Inputs, Observation, Predict, Shapes,
    Special, TOLERANCE, Then, Two, Value, Vjp,
};
use crate::verdict::Verdict;
use crate::{Exercise, Mistake, Sampler, arrays};
use backprop::network::mlp::{
    self, Activation, Cache, Gradients, Layer, Mlp, worked_example,
};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, array};

/// The exercise of the multilayer perceptron.
pub const EXERCISE: Exercise = Exercise {
    slug: "network/mlp",
    title: "The multilayer perceptron",
    minutes: 80,
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

/// A batch through two layers and back:
/// `fn(x, w1, b1, w2, b2, t) -> (loss, dw1, db1, dw2, db2)`.
pub type TwoLayers =
    fn(
        ArrayView2<f64>,
        ArrayView2<f64>,
        ArrayView1<f64>,
        ArrayView2<f64>,
        ArrayView1<f64>,
        ArrayView2<f64>,
    ) -> (f64, Array2<f64>, Array1<f64>, Array2<f64>, Array1<f64>);

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
        ([false, false, true, false, true], &VALUE_AS_GRADIENT),
        ([false, true, false, false, false], &SLOPE_FORGOTTEN),
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

/// Sums on the way to where no slope is left, between what is usual and what
/// overflows. All sums of a case are as large as that: beside a slope of 1 an
/// error of 1e-9 would not be seen.
const LADDER: [f64; 8] = [5., 8., 10., 12., 15., 18., 20., 30.];

/// The same cases once for each activation, a group for each; and sums further
/// and further from 0.
fn for_each_activation(mut cases: Cases) -> Cases {
    let small = cases.rare[2].clone();
    let rung = |size: f64| {
        let mut i = small.clone();
        i.array_mut("z").mapv_inplace(|z| size.copysign(z));
        i
    };
    cases.rare.extend(LADDER.map(rung));
    by_activation(cases)
}

/// The same once for each activation.
fn by_activation(cases: Cases) -> Cases {
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
        let case = |draw: &mut Sampler, [b, o, _]: [usize; 3]| {
            draw.inputs(&[("z", &[b, o]), ("dy", &[b, o])])
        };
        for_each_activation(Cases::of(draw, &UNITS, case))
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

/// Sums of exactly 0 and close to it, where differences say nothing.
fn kink(_: &mut Sampler) -> Cases {
    let close = array![[1e-9, -1e-9], [-1e-300, 1e-300]];
    at_sums([array![[0., 1.], [-1., 0.]], close])
}

/// Sums so far from 0 that their exponentials overflow.
fn far(_: &mut Sampler) -> Cases {
    let sums = |size: f64| array![[size, 0.5], [-0.5, -size]];
    at_sums([40., 360., 400., 720., 1500.].map(sums))
}

/// BP1 and BP2 at these sums, for each activation.
fn at_sums<const N: usize>(sums: [Array2<f64>; N]) -> Cases {
    let case = |z| {
        let d = array![[3., -2.], [1., 4.]];
        let i = Inputs::default().with("z", z);
        let i = i.with("w_above", array![[1., 0.5], [2., 1.]]);
        i.with("delta_above", d.clone()).with("dy", d)
    };
    Cases {
        rare: Vec::new(),
        ..by_activation(Cases::new(sums.map(case).into(), Vec::new()))
    }
}

/// Far from 0, and not finite.
fn overflow(seen: &[Observation]) -> Option<&'static Mistake> {
    let wild = |v: &f64| !v.is_finite();
    let any =
        |o: &Observation| o.got.as_ref().is_ok_and(|g| g.iter().any(wild));
    seen.iter().any(any).then_some(&OVERFLOW)
}

static BP1_FAR: Value<Bp1> = Value {
    against: "BP1 with the slope that `Activation` has",
    cases: far,
    symptom: Some(overflow),
    ..BP1_AT_0
};

static BP2_FAR: Value<Bp2> = Value {
    against: "BP2 with the slope that `Activation` has",
    cases: far,
    symptom: Some(overflow),
    ..BP2_AT_0
};

const BP1_AT_0: Value<Bp1> = Value {
    outputs: &[D1],
    against: AGAINST_KINK,
    right: |i| arrays![mlp::bp1(i.matrix("dy"), i.matrix("z"), activation(i))],
    tolerance: TOLERANCE,
    call: BP1.call,
    cases: kink,
    wrong: &[],
    symptom: None,
};

const BP2_AT_0: Value<Bp2> = Value {
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

/// BP1, then BP2, each also where a sum is 0, and where it is far from it.
pub static ERRORS: Two<Bp1, Bp2> = Two(
    &Then {
        first: &BP1,
        second: &Then {
            first: &BP1_AT_0,
            second: &BP1_FAR,
            named_later: &[],
        },
        named_later: &[],
    },
    &Then {
        first: &BP2,
        second: &Then {
            first: &BP2_AT_0,
            second: &BP2_FAR,
            named_later: &[],
        },
        named_later: &[],
    },
);

/// What the forward pass of a ReLU layer and a linear one gives: the network,
/// what it kept, and the squared error, summed over the outputs, with its
/// gradient.
fn batch_of(i: &Inputs) -> (Mlp, Cache, f64, Array2<f64>) {
    let layer = |w, b, activation| Layer {
        w: i.matrix(w).to_owned(),
        b: i.vector(b).to_owned(),
        activation,
    };
    let first = layer("w1", "b1", Activation::Relu);
    let second = layer("w2", "b2", Activation::Identity);
    let net = Mlp {
        layers: vec![first, second],
    };
    let (y, cache) = net.forward(i.matrix("x"));
    let (half, dy) = mlp::half_squares(y.view(), i.matrix("t"));
    (net, cache, 2. * half, dy * 2.)
}

/// Loss and gradients of a batch in two layers: every shape, and the mean.
pub static TWO_LAYERS: Value<TwoLayers> = Value {
    outputs: &[LOSS, "dw2", "db2", "dw1", "db1"],
    against: "BP1 to BP4, with the mean in the loss",
    right: |i| {
        let (net, cache, loss, dy) = batch_of(i);
        let mut grads = right(&net, &cache, dy.view(), 0.);
        let (dw2, db2) = grads.swap_remove(1);
        let (dw1, db1) = grads.swap_remove(0);
        arrays![loss, dw2, db2, dw1, db1]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (w1, b1) = (i.matrix("w1"), i.vector("b1"));
        let (w2, b2) = (i.matrix("w2"), i.vector("b2"));
        let (x, t) = (i.matrix("x"), i.matrix("t"));
        let (loss, dw1, db1, dw2, db2) = f(x, w1, b1, w2, b2, t);
        arrays![loss, dw2, db2, dw1, db1]
    },
    cases: |draw| {
        let shapes = Shapes {
            usual: &[
                [5, 3, 4, 2],
                [4, 2, 5, 3],
                [2, 4, 3, 5],
                [3, 3, 3, 3],
                [2, 2, 2, 2],
            ],
            small: &[[1, 1, 1, 1], [1, 3, 2, 1], [3, 1, 1, 2], [2, 3, 4, 1]],
            ties: Some([4, 3, 5, 2]),
            many: ([9, 10, 12, 11], 4.),
        };
        let case = |draw: &mut Sampler, [b, n, h, o]: [usize; 4]| loop {
            let i = draw.inputs(&[
                ("x", &[b, n]),
                ("w1", &[n, h]),
                ("b1", &[h]),
                ("w2", &[h, o]),
                ("b2", &[o]),
                ("t", &[b, o]),
            ]);
            // Where there is room for it, units on both sides of the bend.
            let z = i.matrix("x").dot(&i.matrix("w1")) + i.vector("b1");
            let active = z.iter().filter(|z| **z > 0.).count();
            if z.len() < 4 || (active > 0 && active < z.len()) {
                return i;
            }
        };
        let mut cases = Cases::of(draw, &shapes, case);
        // The first hidden sum is exactly 0.
        let kink = Inputs::default()
            .with("x", array![[1., 2.]])
            .with("w1", array![[2., 1.], [-1., 1.]])
            .with("b1", array![0., 0.])
            .with("w2", array![[1., 0.5], [2., 1.]])
            .with("b2", array![0., 0.])
            .with("t", array![[1., -1.]]);
        cases.rare.push(kink);
        cases
    },
    wrong: mistakes::TWO_LAYERS,
    symptom: None,
};

const WEIGHTS: [(&str, &str); 6] = [
    ("w1", "b1"),
    ("w2", "b2"),
    ("w3", "b3"),
    ("w4", "b4"),
    ("w5", "b5"),
    ("w6", "b6"),
];

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
/// activations; where sums are 0; and where they are far from it.
pub static BACKWARD: Then<Backward> = Then {
    first: &BACKWARD_ANYWHERE,
    second: &Then {
        first: &BACKWARD_AT_0,
        second: &Then {
            first: &BACKWARD_FAR,
            second: &Then {
                first: &BACKWARD_DEEP,
                second: &BACKWARD_LONG,
                named_later: &[],
            },
            named_later: &[],
        },
        named_later: &[],
    },
    named_later: &[],
};

static BACKWARD_ANYWHERE: Vjp<Backward> = Vjp {
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
    call: call_backward,
    cases: |draw| {
        use Activation::{Identity, Relu, Sigmoid, Tanh};
        // The layer above ReLU has another slope once: whose it is, shows.
        let deep = [[Tanh, Relu, Sigmoid], [Sigmoid, Relu, Tanh]];
        let usual = [
            (5, [3, 4, 2, 6]),
            (4, [2, 5, 3, 2]),
            (2, [4, 3, 5, 3]),
            (3, [3, 3, 3, 3]),
            (2, [2, 2, 2, 2]),
        ];
        let usual = usual.map(|(b, n)| {
            let kinds = &deep[usize::from(n == [4, 3, 5, 3])];
            deep_case(draw, kinds, b, &n)
        });
        let rare: [(&[_], usize, &[usize]); 8] = [
            (&[Identity], 3, &[2, 4]),
            (&[Sigmoid], 2, &[3, 2]),
            (&[Tanh], 4, &[2, 3]),
            (&[Sigmoid, Tanh, Tanh, Identity], 1, &[3, 1, 5, 1, 1]),
            (&[Tanh, Sigmoid, Tanh, Sigmoid], 2, &[2, 3, 2, 5, 4]),
            (&[Relu, Identity], 1, &[3, 4, 1]),
            (&[Sigmoid, Relu, Tanh, Identity], 9, &[10, 11, 12, 10, 9]),
            (&[Relu, Tanh], 9, &[9, 11, 10]),
        ];
        let rare = rare.map(|(kinds, b, n)| deep_case(draw, kinds, b, n));
        let one = [(5, [3, 2]), (4, [2, 3]), (3, [3, 3])];
        let one = one.map(|(b, n)| deep_case(draw, &[Sigmoid], b, &n));
        let large = deep_case(draw, &[Tanh, Sigmoid], 300, &[2, 3, 2]);
        Cases {
            usual: vec![usual.into(), one.into()],
            rare: rare.into(),
            large: vec![large],
        }
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::BACKWARD,
};

fn call_backward(f: &Backward, i: &Inputs) -> Vec<ArrayD<f64>> {
    let (net, x) = net_of(i);
    let (_, cache) = net.forward(x);
    let grads = f(&net.layers, &cache, i.matrix("dy"));
    let (n, layers) = (grads.len(), net.layers.len());
    assert!(n == layers, "backward gave {n} pairs for {layers} layers");
    (grads.into_iter().rev())
        .flat_map(|(dw, db)| [dw.into_dyn(), db.into_dyn()])
        .collect()
}

/// Two layers, some sums of both exactly 0.
const BACKWARD_AT_0: Value<Backward> = Value {
    outputs: &["dw2", "db2", "dw1", "db1"],
    against: "BP1 to BP4, with the slope that `Activation` has",
    right: |i| {
        let (net, x) = net_of(i);
        let (_, cache) = net.forward(x);
        let deltas = net.errors(&cache, i.matrix("dy"));
        let grads = net.gradients(&cache, &deltas).into_iter().rev();
        grads
            .flat_map(|(dw, db)| [dw.into_dyn(), db.into_dyn()])
            .collect()
    },
    tolerance: TOLERANCE,
    call: call_backward,
    cases: |_| {
        let relu = 2;
        let kinds = (0..ACTIVATIONS.len()).flat_map(|k| [[relu, k], [k, relu]]);
        let rare = kinds.map(|kinds| two_layers(kinds, 1.)).collect();
        Cases {
            rare,
            ..Cases::default()
        }
    },
    wrong: mistakes::BACKWARD,
    symptom: None,
};

/// Two layers, sums in the hundreds.
static BACKWARD_FAR: Value<Backward> = Value {
    cases: |_| {
        let sigmoid = 1;
        let kinds =
            (0..ACTIVATIONS.len()).flat_map(|k| [[sigmoid, k], [k, sigmoid]]);
        let usual = kinds.map(|kinds| two_layers(kinds, 400.)).collect();
        Cases::new(usual, Vec::new())
    },
    symptom: Some(overflow),
    ..BACKWARD_AT_0
};

/// The sums of the first layer are (0, 3) and (3, -1.5) times `size`; for two
/// ReLU those of the second are (3, 0) and (3, 3).
fn two_layers(kinds: [usize; 2], size: f64) -> Inputs {
    let names = kinds.map(|k| ACTIVATIONS[k]);
    let text = format!("the layers are {names:?}");
    Inputs::default()
        .with("w1", array![[2., 1.], [-1., 1.]])
        .with("b1", array![0., 0.])
        .with("w2", array![[1., 1.], [1., 0.]])
        .with("b2", array![0., 0.])
        .with("x", array![[1., 2.], [0.5, -2.]] * size)
        .shown("kinds", array![kinds[0] as f64, kinds[1] as f64], text)
        .with("dy", array![[1., -2.], [0.5, 3.]])
}

/// More layers than one would write down.
static BACKWARD_DEEP: Value<Backward> = Value {
    outputs: &[
        "dw6", "db6", "dw5", "db5", "dw4", "db4", "dw3", "db3", "dw2", "db2",
        "dw1", "db1",
    ],
    against: "BP1 to BP4",
    cases: |draw| {
        use Activation::{Identity, Relu, Sigmoid, Tanh};
        let kinds = [Tanh, Sigmoid, Relu, Identity, Tanh, Sigmoid];
        let sizes = [2, 3, 3, 4, 3, 2, 3];
        Cases {
            rare: vec![deep_case(draw, &kinds, 3, &sizes)],
            ..Cases::default()
        }
    },
    ..BACKWARD_AT_0
};

/// Forty layers, their gradients end to end.
static BACKWARD_LONG: Value<Backward> = Value {
    outputs: &[
        "all gradients, the last layer's first, each layer's divided by \
                the largest entry that is right",
    ],
    against: "BP1 to BP4",
    right: |i| arrays![end_to_end(i, &long_gradients(i))],
    tolerance: TOLERANCE,
    call: |f, i| {
        let (net, x) = long_net(i);
        let (_, cache) = net.forward(x.view());
        arrays![end_to_end(i, &f(&net.layers, &cache, i.matrix("dy")))]
    },
    cases: |draw| {
        let text = "a net of 40 layers, of 2 units each";
        let i = Inputs::default().shown("layers", 40., text);
        let dy = draw.dynamic(&[3, 2]);
        Cases::new(Vec::new(), vec![i.with("dy", dy)])
    },
    wrong: &[],
    symptom: None,
};

fn long_gradients(i: &Inputs) -> Gradients {
    let (net, x) = long_net(i);
    let (_, cache) = net.forward(x.view());
    let errors = net.errors(&cache, i.matrix("dy"));
    net.gradients(&cache, &errors)
}

/// All numbers in a row, the last layer's first, each layer's by the size of
/// those that are right.
fn end_to_end(i: &Inputs, grads: &[(Array2<f64>, Array1<f64>)]) -> Array1<f64> {
    let size = |(dw, db): &(Array2<f64>, Array1<f64>)| {
        let most = dw.iter().chain(db).fold(0., |m: f64, v| m.max(v.abs()));
        assert!(most > 0., "a layer of the long net is dead");
        most
    };
    let right = long_gradients(i);
    (grads.iter().zip(&right).rev())
        .flat_map(|(given, right)| {
            let (dw, db) = given;
            let size = size(right);
            dw.iter().chain(db).map(move |v| v / size)
        })
        .collect()
}

/// A net of so many layers, all activations in turn, whose errors stay of one
/// size, and a batch.
fn long_net(i: &Inputs) -> (Mlp, Array2<f64>) {
    let turn = |k: usize| {
        let (sin, cos) = (k as f64 * 0.7).sin_cos();
        array![[cos, -sin], [sin, cos]]
    };
    let layer = |k: usize| Layer {
        w: turn(k) * 0.8,
        b: array![1.3, 1.2],
        activation: ACTIVATIONS[k % ACTIVATIONS.len()],
    };
    let layers = (0..i.whole("layers") as usize).map(layer).collect();
    (Mlp { layers }, array![[0.5, -1.], [1., 2.], [-0.3, 0.2]])
}

/// `y = tanh(x·w)·wᵀ`: `dw` before `dx`; then with sums whose exponentials
/// overflow, and on the way there.
pub static TIED_VJP: Then<TiedVjp> = Then {
    first: &TIED_ANYWHERE,
    second: &TIED_FAR,
    named_later: &[],
};

static TIED_FAR: Value<TiedVjp> = Value {
    outputs: &["dw", "dx"],
    against: "both uses, with tanh ±1 and slope 0 far from 0",
    right: |i| {
        let [x, w, dy] = ["x", "w", "dy"].map(|name| i.matrix(name));
        let a = x.dot(&w).tanh();
        let delta = mlp::bp2(dy, w.t(), x.dot(&w).view(), Activation::Tanh);
        arrays![x.t().dot(&delta) + dy.t().dot(&a), delta.dot(&w.t())]
    },
    tolerance: TOLERANCE,
    call: TIED_ANYWHERE.call,
    cases: |_| {
        let case = |size: f64| {
            Inputs::default()
                .with("x", array![[size, 0.], [0., -size], [0.5, -0.25]])
                .with("w", array![[1., -1.], [1., -0.5]])
                .with("dy", array![[1., -2.], [0.5, 3.], [-1., 1.]])
        };
        let all = [4., 8., 12., 20., 40., 360., 720., 1500.].map(case);
        // Sums so small that tanh is its argument.
        let tiny = |name: &str| {
            let mut i = case(1.);
            *i.array_mut(name) *= 1e-12;
            i.tiny()
        };
        Cases::new(all.into(), ["x", "w"].map(tiny).into())
    },
    wrong: &[],
    symptom: Some(overflow),
};

static TIED_ANYWHERE: Vjp<TiedVjp> = Vjp {
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
        let case = |draw: &mut Sampler, [b, i, h]: [usize; 3]| {
            let x = draw.inputs(&[("x", &[b, i])]);
            let w = draw.dynamic(&[i, h]) / 2.;
            x.with("w", w).with("dy", draw.dynamic(&[b, i]))
        };
        Cases::of(draw, &shapes, case)
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
    tolerance: EXACTLY,
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
        // One layer, one example, equal widths, a large model, and counts that
        // do not go into 32 bits.
        let rare: [(&[usize], usize); 7] = [
            (&[7, 3], 4),
            (&[5, 6, 2], 1),
            (&[3, 4, 4, 1], 2),
            (&[6, 6, 6, 6], 5),
            (&[4097, 4099, 8191], 2047),
            (&[40_001, 50_003, 60_007], 65_537),
            // Nor is it exact in f64.
            (&[67_108_859, 33_554_394, 2], 134_217_689),
        ];
        let rare = (rare.iter())
            .flat_map(|(n, b)| [true, false].map(|sums| case(n, *b, sums)));
        Cases::new(usual.collect(), rare.collect())
    },
    wrong: mistakes::CACHED,
    symptom: None,
};

fn right(net: &Mlp, cache: &Cache, dy: ArrayView2<f64>, _: f64) -> Gradients {
    net.gradients(cache, &net.errors(cache, dy))
}

/// The losses of a descent whose steps are that many times the rate. What a
/// step computes is a function of the network, what its forward kept, the
/// gradient of the loss with respect to its output, and the rate.
fn descent(
    i: &Inputs,
    factor: f64,
    gradients: impl FnMut(&Mlp, &Cache, ArrayView2<f64>, f64) -> Gradients,
) -> ArrayD<f64> {
    descent_of(i, Activation::Relu, factor, gradients)
}

/// The same with another activation of the hidden layer.
fn descent_of(
    i: &Inputs,
    hidden: Activation,
    factor: f64,
    mut gradients: impl FnMut(&Mlp, &Cache, ArrayView2<f64>, f64) -> Gradients,
) -> ArrayD<f64> {
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
            layer(i.matrix("w1"), b1, hidden),
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
    worked_for(hidden, 1., 0.01, steps)
}

/// The same for another target, at another rate.
fn worked_for(hidden: usize, t: f64, rate: f64, steps: usize) -> Inputs {
    let net = worked_example(hidden);
    let (first, second) = (&net.layers[0], &net.layers[1]);
    let w2 = second.w.column(0).to_owned();
    let net = (first.w.clone(), first.b.clone(), w2, second.b[0]);
    run(net, (array![1., 2.], t), rate, steps)
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
        nearly.array_mut("w1")[[1, 2]] = -0.2005;
        // Too large an output, outgoing weights of both signs: errors of both.
        let mut mixed = worked_for(3, -1., 0.01, 10);
        mixed.array_mut("w2")[1] = -0.6;
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
        // A unit that changes sides after a step; one that comes back.
        usual.push(one_unit(1., [0.1, 0., 1., 0.], -1., 0.1, 10));
        usual.push(one_unit(1.5, [0.5, 0., 0.6, 0.], 0., 0.9, 4));
        // As far as the gap between output and target has eight digits.
        let mut rare = [0, 100, 200].map(|steps| worked(2, steps)).to_vec();
        let slow = worked_for(2, 1., 0.001, 1000);
        // Steps so long that the loss rises.
        let fast = worked_for(2, 1., 0.6, 6);
        // Targets so far off that a limit on errors would show.
        let far = [(-60., 1e-4), (900., 1e-4), (1e6, 1e-3), (-1e9, 3e-5)];
        let far = far.map(|(t, rate): (f64, f64)| {
            worked_for(2, t, rate, if t.abs() < 1e3 { 4 } else { 1 })
        });
        rare.extend([slow, fast]);
        rare.extend(far);
        Cases::new(usual, rare)
    },
    wrong: mistakes::DESCEND,
    symptom: None,
};

/// One input, one hidden unit, `w1, b1, w2, b2`.
fn one_unit(
    x: f64,
    [w1, b1, w2, b2]: [f64; 4],
    t: f64,
    rate: f64,
    steps: usize,
) -> Inputs {
    let net = (array![[w1]], array![b1], array![w2], b2);
    run(net, (array![x], t), rate, steps)
}

/// Sums of exactly 0: from the beginning, beside an active unit, and after a
/// step.
static DESCENT_AT_0: Value<Descend> = Value {
    outputs: DESCENT.outputs,
    against: "a descent in which the slope of ReLU at 0 is 0",
    right: DESCENT.right,
    tolerance: TOLERANCE,
    call: descend,
    cases: |_| {
        let w1 = array![[1., 0.5], [-0.5, 0.25]];
        let net = (w1, array![0., 0.], array![1., 0.5], 0.);
        Cases::new(
            vec![
                one_unit(1., [0., 0., 1., 0.], 1., 0.125, 5),
                run(net, (array![1., 2.], 2.), 0.125, 5),
                one_unit(1., [0.5, 0., 1., 0.], -0.5, 0.25, 5),
            ],
            Vec::new(),
        )
    },
    wrong: &[],
    symptom: None,
};

/// Losses of a descent by hand: the worked example, random nets, kinks.
pub static DESCEND: Then<Descend> = Then {
    first: &DESCENT,
    second: &Then {
        first: &DESCENT_AT_0,
        second: &Special(how_far),
        named_later: &[],
    },
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
        let fast = worked_for(2, 1., 0.6, 6);
        let all = descent(&fast, 1., right);
        assert!((1..7).any(|k| all[k] > all[k - 1]), "{all}");
        assert!(all.iter().all(|l| l.is_finite() && *l > 0.), "{all}");
    }
}
