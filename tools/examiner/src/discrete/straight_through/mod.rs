//! The exam of straight-through estimators.
//!
//! A declared gradient is judged by differences of the surrogate that the task
//! declares, never of the function with steps.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    FLOOR_FOR_ROUND, LATENT_FOR_ROUNDED, NAMES, ROUND_TIES, STE_FORM_INEXACT,
    STE_WRONG_NODE, THOUGHT_TO_SETTLE, TWO_FORGOTTEN,
};
use crate::general::{ALL_ZERO, SIGN_FLIPPED};
use crate::judge::{
    Cases, Hunt, Inputs, Shapes, Special, TOLERANCE, Then, Two, Value, Vjp,
    predict,
};
use crate::network::mlp::mistakes::LOSSES;
use crate::verdict::Verdict;
use crate::{Exercise, Sampler, arrays};
use backprop::discrete::straight_through::{
    self, Grid, gumbel, hard_tanh, quantise, quantise_vjp, sign, vq,
};
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, arr2, concatenate,
};

/// The exercise of straight-through estimators.
pub const EXERCISE: Exercise = Exercise {
    slug: "discrete/straight_through",
    title: "Straight-through estimators",
    minutes: 85,
    tasks: tasks::TASKS,
    names: NAMES,
};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;

/// `fn(w, s, low, high) -> w_hat`.
pub type Quantise = fn(M, f64, f64, f64) -> Array2<f64>;

/// `fn(w, s, low, high, dy) -> dw`.
pub type QuantiseVjp = fn(M, f64, f64, f64, M) -> Array2<f64>;

/// `fn(x, w) -> y`.
pub type Layer = fn(M, M) -> Array2<f64>;

/// `fn(x, w, dy) -> (dx, dw)`.
pub type LayerVjp = fn(M, M, M) -> (Array2<f64>, Array2<f64>);

/// `fn(w, target, lr, steps) -> (codes, w)`.
pub type Walk = fn(f64, f64, f64, usize) -> (Vec<f64>, f64);

/// `fn(x, t, w, (s, low, high), lr, steps) -> losses`.
pub type Train = fn(M, V, V, (f64, f64, f64), f64, usize) -> Vec<f64>;

/// `fn(z, e, beta) -> (q, l)`.
pub type Codebook = fn(M, M, f64) -> (Array2<f64>, Array1<f64>);

/// `fn(z, e, beta, dq, dl) -> (dz, de)`.
pub type CodebookVjp = fn(M, M, f64, M, V) -> (Array2<f64>, Array2<f64>);

/// `fn(x, u, tau) -> (soft, hard)`.
pub type Gumbel = fn(M, M, f64) -> (Array2<f64>, Array2<f64>);

/// `fn(soft, tau, dy) -> dx`.
pub type GumbelVjp = fn(M, f64, M) -> Array2<f64>;

/// `fn(x, w, s, low, high, dy) -> (dx, dw)`.
pub type Neuron = fn(M, V, f64, f64, f64, V) -> (Array2<f64>, Array1<f64>);

/// Two declared gradients, one behind a product, ties, a share of steps, what is
/// true.
pub type Before = (
    Option<[f64; 2]>,
    Option<f64>,
    Option<[f64; 4]>,
    Option<f64>,
    Option<[bool; 5]>,
);

/// Five predictions, in this order.
pub static BEFORE_CODING: Special<Before> = Special(before_coding);

/// A number, or what a computation made of it.
fn rounded_off(v: f64) -> f64 {
    (v * 1e9).round() / 1e9
}

fn before_coding(
    (rounded, input, ties, share, truths): Before,
    _seed: u64,
) -> Verdict {
    let why = "The loss sees the rounded weight: 2(0 - 1) and 2(1 - 1). With x \
               behind the rounding, 2(3 - 5)·3. Halves go to the even code. \
               The weight stays near 1.5, so its pushes cancel, and the mean \
               code is 1.8. A declared gradient is nobody's gradient; the \
               bracket x + (q - x) subtracts two close numbers, which is \
               exact, and (q + x) - x does not.";
    let passed = |v: &Verdict| matches!(v, Verdict::Passed { .. });
    let verdicts = [
        predict(
            "the declared gradient of (round(w) - 1)² at 0.3 and at 0.7",
            rounded.map(|all| all.map(rounded_off)),
            [-2., 0.],
            &[
                ([0., 0.], &ALL_ZERO),
                ([-1., 0.], &TWO_FORGOTTEN),
                ([-1.4, -0.6], &LATENT_FOR_ROUNDED),
                ([2., 0.], &SIGN_FLIPPED),
            ],
            why,
        ),
        predict(
            "the declared gradient of (round(w)·x - 5)²",
            input.map(rounded_off),
            -12.,
            &[
                (-6., &TWO_FORGOTTEN),
                (-4., &STE_WRONG_NODE),
                (0., &ALL_ZERO),
                (-6.6, &LATENT_FOR_ROUNDED),
                (12., &SIGN_FLIPPED),
            ],
            why,
        ),
        predict(
            "0.5, 1.5, 2.5 and -0.5 rounded",
            ties,
            [0., 2., 2., 0.],
            &[
                ([1., 2., 3., -1.], &ROUND_TIES),
                ([1., 2., 3., 0.], &ROUND_TIES),
                ([0., 1., 2., 0.], &FLOOR_FOR_ROUND),
                ([0., 1., 2., -1.], &FLOOR_FOR_ROUND),
            ],
            why,
        ),
        predict(
            "the share of steps with code 2",
            share.map(rounded_off),
            0.8,
            &[(1., &THOUGHT_TO_SETTLE), (0., &THOUGHT_TO_SETTLE)],
            why,
        ),
        predict(
            "which of the five sentences are true",
            truths,
            [false, true, false, false, true],
            &[
                ([false, false, true, false, true], &STE_FORM_INEXACT),
                ([false, true, true, false, true], &STE_FORM_INEXACT),
            ],
            why,
        ),
    ];
    let mut verdicts = verdicts.into_iter();
    let failed = verdicts.clone().find(|v| !passed(v));
    failed.unwrap_or_else(|| verdicts.next_back().expect("five"))
}

// ---- a grid -----------------------------------------------------------------

/// The grid of a case.
fn grid(i: &Inputs) -> Grid {
    Grid {
        scale: i.number("s"),
        low: i.number("low"),
        high: i.number("high"),
    }
}

/// The same inputs on a grid, which no change of the numbers touches.
fn on(i: Inputs, [s, low, high]: [f64; 3]) -> Inputs {
    let text = format!("s = {s}, low = {low}, high = {high}");
    let i = i.shown("s", s, text).shown("low", low, "");
    i.shown("high", high, "")
}

/// Steps of an odd number of hundredths: a number of two decimals is at least
/// 0.005 away from any half.
const GRIDS: [[f64; 3]; 4] = [
    [0.37, -3., 2.],
    [0.23, -4., 3.],
    [0.61, -1., 1.],
    [0.45, -2., 4.],
];

/// Batch, inputs, outputs.
const LAYER: Shapes<3> = Shapes {
    usual: &[[5, 3, 4], [4, 5, 3], [3, 2, 5], [3, 3, 3], [2, 2, 2]],
    small: &[[1, 1, 1], [1, 3, 2], [3, 1, 2], [2, 3, 1]],
    ties: Some([4, 3, 2]),
    many: ([9, 17, 10], 20.),
};

const WEIGHTS: Shapes<2> = Shapes {
    usual: &[[5, 4], [4, 6], [3, 7], [4, 4], [3, 3]],
    small: &[[1, 1], [1, 5], [4, 1]],
    ties: Some([5, 4]),
    many: ([11, 12], 20.),
};

/// Where a weight can lie, from `code` steps of the grid `and` so much more:
/// on the first and the last code, on either side of their values, beyond them
/// in steps and in whole numbers, between.
fn place(n: usize, [s, low, high]: [f64; 3]) -> f64 {
    let w = match n % 10 {
        0 => s * (high + 0.3),
        1 => s * (low - 0.3),
        2 => high + 1.27,
        3 => s * (low + 1.2),
        4 => s * (high - 0.3),
        5 => low - 1.27,
        6 => s * (low + 0.3),
        7 => s * (high + 0.8),
        8 => s * (low - 0.8),
        _ => s * (high - 0.8),
    };
    (w * 100.).round() / 100.
}

/// The weights of the usual cases moved to such places, a few in each array
/// left as drawn.
fn spread(mut cases: Cases) -> Cases {
    let mut n = 0;
    for i in cases.usual.iter_mut().flatten() {
        let [s, low, high] = ["s", "low", "high"].map(|n| i.number(n));
        for (k, w) in i.array_mut("w").iter_mut().enumerate() {
            if k % 7 != 6 {
                *w = place(n, [s, low, high]);
                n += 1;
            }
        }
    }
    cases
}

/// Weights with a cotangent, on different grids.
fn weights(draw: &mut Sampler) -> Cases {
    let mut n = 0;
    spread(Cases::of(draw, &WEIGHTS, |draw, [rows, columns]| {
        n += 1;
        let shape = &[rows, columns];
        let i = draw.inputs(&[("dy", shape), ("w", shape)]);
        on(i, GRIDS[n % GRIDS.len()])
    }))
}

/// Exact in binary: every half, both ends and half a step beyond them.
fn at_the_bounds() -> Inputs {
    let w = arr2(&[
        [0.25, 0.75, -0.25, -0.75, -1.25],
        [1., 1.25, -1.5, -1.75, 0.],
        [1.1, 1.75, -2.25, 0.6, -1.6],
    ]);
    let dy = arr2(&[
        [1.3, -0.7, 0.4, 0.9, -1.1],
        [-0.6, 1.7, 0.8, -1.9, 0.3],
        [1.5, 1.1, -0.2, -0.9, 0.7],
    ]);
    let i = Inputs::default().with("dy", dy).with("w", w);
    on(i, [0.5, -3., 2.])
}

/// The other end of a grid with an odd last code, and huge weights.
fn beyond_the_bounds() -> Inputs {
    let w = arr2(&[[1.75, -2.25, 1.5, -2.], [2.25, -2.75, 1e300, -1e300]]);
    let dy = arr2(&[[0.9, -1.3, 0.5, 1.2], [-0.4, 0.6, 1.1, -0.8]]);
    let i = Inputs::default().with("dy", dy).with("w", w);
    on(i, [0.5, -4., 3.])
}

/// Grids with more codes than a type for whole numbers holds.
fn many_codes() -> [Inputs; 2] {
    [(1e10, 1e9), (1e20, 1e18)].map(|(last, size)| {
        // Beyond the last code, and beyond its number as well.
        let w = arr2(&[[2., -3., 13.], [-1.6, 6., -7.], [1.25, 4., 0.]]);
        let dy = arr2(&[[0.9, -1.3, 0.5], [1.2, -0.4, 0.6], [1.1, -0.8, 0.7]]);
        let i = Inputs::default().with("dy", dy).with("w", w * size);
        on(i, [0.5, -last, last])
    })
}

/// Grids without a 0, and weights that would have the codes between.
fn without_zero() -> [Inputs; 2] {
    [1., -1.].map(|sign| {
        let w = arr2(&[[0.6, -0.4, 1.1, 2.4], [0.7, 3.1, -2.3, 0.4]]);
        let dy = arr2(&[[0.9, -1.3, 0.5, 1.2], [-0.4, 0.6, 1.1, -0.8]]);
        let i = Inputs::default().with("dy", dy).with("w", w * sign);
        let [low, high] = if sign > 0. { [2., 5.] } else { [-5., -2.] };
        on(i, [0.5, low, high])
    })
}

/// Halves in steps of a number whose reciprocal is not exact: dividing keeps
/// them. Times 1/49 one comes out a little too small, times 1/105 too large.
fn halves_of_steps() -> [Inputs; 2] {
    [49., 105.].map(|s| {
        let w = arr2(&[[0.5, 1.5, 2.5, 3.5], [-0.5, -1.5, -2.5, -3.5]]);
        let dy = arr2(&[[0.9, -1.3, 0.5, 1.2], [-0.4, 0.6, 1.1, -0.8]]);
        let i = Inputs::default().with("dy", dy).with("w", w * s);
        on(i, [s, -3., 3.])
    })
}

/// What neither names a mistake nor is drawn.
fn rare_grids() -> Vec<Inputs> {
    let mut all: Vec<_> = many_codes().into();
    all.extend(without_zero());
    all.extend(halves_of_steps());
    all
}

/// The nearest values of the grid.
pub static ROUNDED: Value<Quantise> = Value {
    outputs: &["w_hat"],
    against: "its formula",
    right: |i| arrays![quantise(i.matrix("w"), grid(i))],
    tolerance: TOLERANCE,
    call: |f, i| {
        let Grid { scale, low, high } = grid(i);
        arrays![f(i.matrix("w"), scale, low, high)]
    },
    cases: |draw| {
        let mut cases = weights(draw);
        cases.usual.push(vec![at_the_bounds(), beyond_the_bounds()]);
        cases.rare.extend(rare_grids());
        cases.each(|i| i.without("dy"))
    },
    wrong: mistakes::QUANTISE,
    symptom: None,
};

/// Its declared VJP, away from the kinks.
static STRAIGHT: Vjp<QuantiseVjp> = Vjp {
    forward: |i| {
        let grid = grid(i);
        i.array("w").mapv(|w| grid.surrogate(w))
    },
    cotangent: "dy",
    gradients: &[("dw", "w")],
    call: call_quantise_vjp,
    cases: weights,
    batch: None,
    wrong: mistakes::QUANTISE_VJP,
};

fn call_quantise_vjp(f: &QuantiseVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let Grid { scale, low, high } = grid(i);
    arrays![f(i.matrix("w"), scale, low, high, i.matrix("dy"))]
}

/// The same at the kinks, where the task says what holds.
static AT_BOUNDS: Value<QuantiseVjp> = Value {
    outputs: &["dw"],
    against: "what the task says of halves and ends",
    right: |i| {
        let (w, dy) = (i.matrix("w"), i.matrix("dy"));
        arrays![quantise_vjp(w, grid(i), dy)]
    },
    tolerance: TOLERANCE,
    call: call_quantise_vjp,
    cases: |_| {
        let both = vec![at_the_bounds(), beyond_the_bounds()];
        Cases::new(both, rare_grids())
    },
    wrong: mistakes::AT_BOUNDS,
    symptom: None,
};

/// Rounding, then its declared VJP.
pub static QUANTISE: Two<Quantise, QuantiseVjp> = Two(
    &ROUNDED,
    &Then {
        first: &STRAIGHT,
        second: &AT_BOUNDS,
        named_later: &[],
    },
);

// ---- signs -----------------------------------------------------------------

/// Inputs and weights of a layer; no weight at a bound of the clip.
fn layers(draw: &mut Sampler) -> Cases {
    let mut cases = Cases::of(draw, &LAYER, |draw, [b, i, o]| {
        draw.inputs(&[("dy", &[b, o]), ("x", &[b, i]), ("w", &[i, o])])
    });
    // Both zeros are usual ones.
    for i in cases.usual.iter_mut().flatten() {
        let w = i.array_mut("w");
        w[[0, 0]] = 0.;
        w[[1, 1]] = -0.;
    }
    cases.each(|mut i| {
        let off = |w: f64| {
            if (w.abs() - 1.).abs() < 1e-3 {
                w * 1.1
            } else {
                w
            }
        };
        i.array_mut("w").mapv_inplace(off);
        let w = i.array("w").clone();
        i.shown("w0", w, "")
    })
}

/// Weights of 0, of -0, at and around the bounds of the clip.
fn at_zero_and_one() -> Inputs {
    layer_of([[0., -0., 1.], [-1., 1.0001, -0.9999]])
}

/// Weights that are 0 or 1 to all digits but the last.
fn next_to_zero_and_one() -> Inputs {
    let above = 1_f64.next_up();
    layer_of([[-1e-60, above, -above], [above, -1e-300, -above]])
}

fn layer_of(w: [[f64; 3]; 2]) -> Inputs {
    let w = arr2(&w);
    let x = arr2(&[[1.2, -0.7], [0.4, 1.9], [-1.6, 0.3], [0.8, -1.1]]);
    let dy = arr2(&[
        [0.9, -1.3, 0.5],
        [-0.4, 0.6, 1.1],
        [1.7, 0.2, -0.8],
        [0.3, 1.4, 0.7],
    ]);
    Inputs::default().with("dy", dy).with("x", x).with("w", w)
}

/// A layer of signs.
static SIGNS: Value<Layer> = Value {
    outputs: &["y"],
    against: "its formula",
    right: |i| arrays![i.matrix("x").dot(&sign(i.matrix("w")))],
    tolerance: TOLERANCE,
    call: |f, i| arrays![f(i.matrix("x"), i.matrix("w"))],
    cases: |draw| {
        let mut cases = layers(draw);
        cases.usual.push(vec![at_zero_and_one()]);
        cases.rare.push(next_to_zero_and_one());
        cases.each(|i| i.without("dy"))
    },
    wrong: mistakes::SIGNS,
    symptom: None,
};

/// What is declared: only the sign is replaced, and `dx` is a true gradient.
static SIGNS_VJP: Vjp<LayerVjp> = Vjp {
    forward: |i| {
        let moved = |w: M| w.mapv(hard_tanh);
        let (w, w0) = (i.matrix("w"), i.matrix("w0"));
        let w_hat = sign(w0) + moved(w) - moved(w0);
        i.matrix("x").dot(&w_hat).into_dyn()
    },
    cotangent: "dy",
    gradients: &[("dx", "x"), ("dw", "w")],
    call: call_layer_vjp,
    cases: layers,
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::SIGNS_VJP,
};

fn call_layer_vjp(f: &LayerVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    let (dx, dw) = f(i.matrix("x"), i.matrix("w"), i.matrix("dy"));
    arrays![dx, dw]
}

static SIGNS_AT_BOUNDS: Value<LayerVjp> = Value {
    outputs: &["dx", "dw"],
    against: "what the task says of 0, 1 and -1",
    right: |i| {
        let (x, w, dy) = (i.matrix("x"), i.matrix("w"), i.matrix("dy"));
        let dw = x.t().dot(&dy);
        let dw = straight_through::sign_vjp(w, dw.view());
        arrays![dy.dot(&sign(w).t()), dw]
    },
    tolerance: TOLERANCE,
    call: call_layer_vjp,
    cases: |_| {
        Cases::new(vec![at_zero_and_one()], vec![next_to_zero_and_one()])
    },
    wrong: mistakes::SIGNS_AT_BOUNDS,
    symptom: None,
};

/// The layer, then its declared VJP.
pub static BINARY_LAYER: Two<Layer, LayerVjp> = Two(
    &SIGNS,
    &Then {
        first: &SIGNS_VJP,
        second: &SIGNS_AT_BOUNDS,
        named_later: &[],
    },
);

// ---- descents ---------------------------------------------------------------

/// Codes and the last weight of a walk, each step by `step` from the weight, its
/// code and the numbers of the case.
fn walked(i: &Inputs, step: impl Fn(f64, f64) -> f64) -> (Vec<f64>, f64) {
    let mut w = i.number("w");
    let mut codes = Vec::new();
    for _ in 0..i.whole("steps") {
        let code = w.round_ties_even();
        codes.push(code);
        w = step(w, code);
    }
    (codes, w)
}

/// The step as it should be, some number of times.
fn push(i: &Inputs, at: f64, times: f64) -> f64 {
    times * i.number("lr") * (at - i.number("target"))
}

/// One weight, rounded.
pub static WALK: Value<Walk> = Value {
    outputs: &["w", "codes"],
    against: "descent, step by step",
    right: |i| {
        let (codes, w) = walked(i, |w, code| w - push(i, code, 2.));
        arrays![w, Array1::from(codes)]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let [w, target, lr] = ["w", "target", "lr"].map(|n| i.number(n));
        let (codes, w) = f(w, target, lr, i.whole("steps") as usize);
        arrays![w, Array1::from(codes)]
    },
    cases: |draw| {
        let case = |draw: &mut Sampler, steps: usize| {
            let (lr, places) =
                (draw.between(0.03, 0.2), [0.13, 0.3, 0.41, 0.77]);
            let target = places[draw.below(4)] + draw.below(3) as f64 - 1.;
            let target = (target * 100.).round() / 100.;
            let start = draw.between(-1.9, 1.9);
            let i = |w: f64| {
                let i = Inputs::default().with("w", w).with("target", target);
                let i = i.with("lr", lr);
                i.shown("steps", steps, format!("{steps} steps"))
            };
            // No weight on the way lies so close to a half that rounding
            // errors decide.
            let clear = |w: f64| {
                let near = std::cell::Cell::new(1_f64);
                let of = i(w);
                walked(&of, |w, code| {
                    let half = ((w - code).abs() - 0.5).abs();
                    near.set(near.get().min(half));
                    w - push(&of, code, 2.)
                });
                near.get() > 1e-5
            };
            let starts = (0..1000).map(|k| start + 0.000_37 * k as f64);
            let found = { starts }.find(|w| clear(*w)).expect("a clear start");
            i(found)
        };
        let usual = [12, 20, 31, 17].map(|steps| case(draw, steps)).to_vec();
        let mut rare: Vec<_> =
            [1, 2, 300].map(|steps| case(draw, steps)).to_vec();
        let of = |w: f64, target: f64, lr: f64, steps: usize| {
            let i = Inputs::default().with("w", w).with("target", target);
            i.with("lr", lr)
                .shown("steps", steps, format!("{steps} steps"))
        };
        // Nothing to do, a whole target, a large step, none at all, and one
        // code for thousands of steps before the next.
        rare.push(of(0.7, 1., 0.1, 9));
        rare.push(of(0.3, 1., 0.125, 9));
        rare.push(of(-7.3, 40.25, 0.5, 9));
        // A tie, a whole target, and steps of a whole unit: 0, 2, 0, 2, …
        rare.push(of(0.5, 1., 0.5, 9));
        rare.push(of(0.4, 0.3, 0.1, 0));
        rare.push(of(0.3, 0.873, 2e-5, 6000));
        let mut cases = Cases::new(usual, rare);
        // Halves, exact in binary.
        cases.usual.push(vec![
            of(2.5, 0.25, 0.125, 9),
            of(-0.5, 1.25, 0.125, 9),
            of(0.5, 1.25, 0.125, 9),
            of(-2.5, 0.75, 0.125, 7),
        ]);
        cases
    },
    wrong: mistakes::WALK,
    symptom: None,
};

/// A regression that is trained, in this way or that.
struct Training {
    /// How many times the gradient is taken.
    times: f64,
    /// Whether loss and gradient are those of the latent weights.
    latent: [bool; 2],
    clipped: bool,
    /// Whether the first weights say which ones are on the grid.
    stale: bool,
    /// Whether the step starts from the rounded weights.
    from_rounded: bool,
    /// Whether those beyond the grid stay where they are, even so.
    held: bool,
    /// Whether each weight steps before the next one's gradient is known.
    in_turn: bool,
}

const RIGHT: Training = Training {
    times: 1.,
    latent: [false; 2],
    clipped: true,
    stale: false,
    from_rounded: false,
    held: false,
    in_turn: false,
};

/// The losses, and how close a weight came to a half or a kink.
fn losses(i: &Inputs, how: &Training) -> (Vec<f64>, f64) {
    let (x, t, grid) = (i.matrix("x"), i.vector("t"), grid(i));
    let (n, lr) = (x.nrows() as f64, i.number("lr"));
    let mut w = i.vector("w").to_owned();
    let (mut losses, mut near) = (Vec::new(), 1_f64);
    let at = |latent: bool, w: &Array1<f64>| match latent {
        true => w.clone(),
        false => quantise(w.view(), grid),
    };
    let step_from = |w: &Array1<f64>| {
        let error = x.dot(&at(how.latent[1], w)) - t;
        let dw = x.t().dot(&error) * (how.times / n);
        let decides = if how.stale { i.vector("w") } else { w.view() };
        match how.clipped {
            true => quantise_vjp(decides, grid, dw.view()) * lr,
            false => dw * lr,
        }
    };
    for step in 0..=i.whole("steps") {
        for w in &w {
            let half = (w / grid.scale - grid.code(*w)).abs() - 0.5;
            near = near.min(half.abs());
        }
        let error = x.dot(&at(how.latent[0], &w)) - t;
        losses.push(error.dot(&error) / (2. * n));
        if step == i.whole("steps") {
            break;
        }
        if how.in_turn {
            for k in 0..w.len() {
                w[k] -= step_from(&w)[k];
            }
        } else {
            let mut start = at(!how.from_rounded, &w);
            if how.held {
                start.zip_mut_with(&w, |start, w| {
                    *start = if grid.has(*w) { *start } else { *w };
                });
            }
            w = start - step_from(&w);
        }
    }
    (losses, near)
}

/// Whether trainings that are wrong in different ways have different losses, and
/// the right one's rise once.
fn tells(i: &Inputs) -> bool {
    let latent = [false, true];
    let wrong = [
        RIGHT,
        Training { latent, ..RIGHT },
        Training {
            clipped: false,
            ..RIGHT
        },
        Training {
            from_rounded: true,
            ..RIGHT
        },
        Training { times: 0., ..RIGHT },
    ];
    let all = wrong.map(|how| losses(i, &how).0);
    // Some step makes it worse.
    all[0].windows(2).any(|two| two[1] > two[0] + 1e-3)
        && (0..all.len()).all(|n| all[..n].iter().all(|b| differ(&all[n], b)))
}

fn differ(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3)
}

/// Whether a weight leaves the grid that would come back, and the order of the
/// weights' steps counts.
fn leaves(i: &Inputs) -> bool {
    let (stale, in_turn) = (true, true);
    let wrong = [Training { stale, ..RIGHT }, Training { in_turn, ..RIGHT }];
    let right = losses(i, &RIGHT).0;
    wrong.iter().all(|how| differ(&right, &losses(i, how).0))
}

/// A learning rate with which weights leave the grid.
const LONG: f64 = 0.7;

/// A regression on a grid.
pub static TRAIN: Value<Train> = Value {
    outputs: &[LOSSES],
    against: "descent, step by step",
    right: |i| arrays![Array1::from(losses(i, &RIGHT).0)],
    tolerance: TOLERANCE,
    call: |f, i| {
        let Grid { scale, low, high } = grid(i);
        let (x, t, w) = (i.matrix("x"), i.vector("t"), i.vector("w"));
        let (lr, steps) = (i.number("lr"), i.whole("steps") as usize);
        arrays![Array1::from(f(x, t, w, (scale, low, high), lr, steps))]
    },
    cases: |draw| {
        let of = |draw: &mut Sampler, [n, d, steps]: [usize; 3], lr: f64| {
            loop {
                let (x, w) = (draw.matrix(n, d), draw.vector(d));
                // Targets of weights somewhere near.
                let t = x.dot(&(&w + &draw.vector(d)));
                let t = t.mapv(|t| (t * 100.).round() / 100.);
                let i = Inputs::default().with("x", x).with("t", t);
                let i = i.with("w", w).with("lr", lr);
                let i = i.shown("steps", steps, format!("{steps} steps"));
                let i = on(i, GRIDS[draw.below(4)]);
                let (all, near) = losses(&i, &RIGHT);
                let calm = all.iter().all(|l| *l < 100.);
                let tells = match lr {
                    LONG => leaves(&i),
                    _ => steps < 5 || d < 3 || tells(&i),
                };
                if near > 1e-6 && calm && tells {
                    return i;
                }
            }
        };
        let case =
            |draw: &mut Sampler, n, d, steps| of(draw, [n, d, steps], 0.12);
        let mut usual =
            [(7, 3, 6), (9, 4, 10), (6, 5, 8), (5, 5, 7), (3, 3, 5)]
                .map(|(n, d, steps)| case(draw, n, d, steps))
                .to_vec();
        usual.extend([[4, 3, 8], [3, 2, 9]].map(|s| of(draw, s, LONG)));
        let mut rare: Vec<_> = [(1, 1, 5), (1, 4, 3), (6, 1, 9), (12, 10, 50)]
            .map(|(n, d, steps)| case(draw, n, d, steps))
            .into();
        rare.push(case(draw, 6, 4, 0));
        rare.push(case(draw, 6, 4, 1));
        // Weights that start at 0, on the grid already.
        let mut zero = case(draw, 6, 4, 1);
        zero.array_mut("w").fill(0.);
        rare.push(zero);
        // Everything so small that a loss is next to nothing, exactly scaled.
        let size = 2_f64.powi(-23);
        let mut small = case(draw, 6, 4, 6);
        for name in ["t", "w"] {
            *small.array_mut(name) *= size;
        }
        let Grid { scale, low, high } = grid(&small);
        let names = ["s", "low", "high"];
        let small = names.iter().fold(small, |i, name| i.without(name));
        rare.push(on(small, [scale * size, low, high]).tiny());
        Cases::new(usual, rare)
    },
    wrong: mistakes::TRAIN,
    symptom: None,
};

// ---- codebooks --------------------------------------------------------------

/// Rows, coordinates, codes.
const CODES: Shapes<3> = Shapes {
    usual: &[[6, 3, 4], [7, 2, 3], [5, 4, 2], [3, 3, 3], [2, 2, 2]],
    small: &[[1, 1, 1], [1, 3, 2], [4, 1, 3], [4, 3, 1]],
    ties: Some([6, 3, 4]),
    many: ([11, 9, 10], 20.),
};

fn chosen(i: &Inputs) -> Vec<usize> {
    vq::nearest(i.matrix("z"), i.matrix("e"))
}

/// The next best code is clearly worse, or just as good.
fn is_clear(z: M, e: M) -> bool {
    let k = vq::nearest(z, e);
    z.rows().into_iter().zip(k).all(|(z, k)| {
        let far = |j: usize| (&z - &e.row(j)).pow2().sum();
        let gap = |j: &usize| far(*j) - far(k);
        let mut gaps = (0..e.nrows()).filter(|j| *j != k);
        gaps.all(|j| gap(&j) > 1e-5)
    })
}

/// Rows and a codebook; of a large one the rows choose the last codes.
fn codes_of(draw: &mut Sampler, [n, d, k]: [usize; 3]) -> Inputs {
    const BYTE: usize = 256;
    loop {
        let mut i =
            draw.inputs(&[("dy", &[n, d + 1]), ("z", &[n, d]), ("e", &[k, d])]);
        let beta = [0.25, 0.4, 0.15, 2.][draw.below(4)];
        if k > BYTE {
            let z = i.matrix("z").to_owned();
            let codes = i.array_mut("e").outer_iter_mut().rev();
            for (mut e, z) in codes.zip(z.rows()) {
                e.assign(&(&z + 0.03));
            }
        }
        let last = k <= BYTE || chosen(&i).iter().all(|k| *k >= BYTE);
        if last && is_clear(i.matrix("z"), i.matrix("e")) {
            return i.shown("beta", beta, format!("beta = {beta}"));
        }
    }
}

/// A codebook whose first code is far away from all rows and other codes.
fn first_code_away(draw: &mut Sampler) -> Inputs {
    loop {
        let mut i = codes_of(draw, [6, 3, 4]);
        let mut first = i.array_mut("e").index_axis_mut(Axis(0), 0);
        first += 1e9;
        if is_clear(i.matrix("z"), i.matrix("e")) {
            return i;
        }
    }
}

/// Rows with several nearest codes.
fn several_nearest() -> Vec<Inputs> {
    let of = |z: Array2<f64>, e: Array2<f64>| {
        let shape = [z.nrows(), z.ncols() + 1];
        let dy = Array2::from_shape_fn(shape, |(n, v)| {
            [0.7, -1.2, 0.4, 1.5, -0.9][(2 * n + 3 * v) % 5]
        });
        let i = Inputs::default().with("dy", dy).with("z", z).with("e", e);
        i.shown("beta", 0.4, "beta = 0.4")
    };
    vec![
        of(
            arr2(&[[0., 0.], [1., 1.], [3., 0.]]),
            arr2(&[[1., 0.], [0., 1.], [-1., 0.], [2., 1.]]),
        ),
        of(
            arr2(&[[0., 1., 0.], [2., 0., 1.], [0., -1., 0.], [1., 1., 1.]]),
            arr2(&[[1., 1., 0.], [1., -1., 0.], [-1., -1., 0.], [3., 0., 1.]]),
        ),
    ]
}

fn codes(draw: &mut Sampler) -> Cases {
    let mut cases = Cases::of(draw, &CODES, codes_of);
    // Rows and codes far from 0 together, and far from each other.
    let mut away = cases.usual[0][0].clone();
    let mut wide = away.clone();
    for name in ["z", "e"] {
        *away.array_mut(name) += 1e9;
        *wide.array_mut(name) *= 1e100;
    }
    cases.rare.extend([away, wide, first_code_away(draw)]);
    cases.usual.push(several_nearest());
    cases.each(|i| {
        let (z, e) = (i.array("z").clone(), i.array("e").clone());
        i.shown("z0", z, "").shown("e0", e, "")
    })
}

/// A row for each row of `z`: its pulls, and its code. (The judge knows what has
/// come from the last column alone as a sum of which one term is left.)
fn joined(q: Array2<f64>, l: Array1<f64>) -> ArrayD<f64> {
    concatenate![Axis(1), l.insert_axis(Axis(1)), q].into_dyn()
}

/// The cotangents of the codes and of the pulls.
fn parts(i: &Inputs) -> (Array2<f64>, Array1<f64>) {
    let dy = i.matrix("dy");
    let (dl, dq) = dy.split_at(Axis(1), 1);
    (dq.to_owned(), dl.column(0).to_owned())
}

/// The nearest codes and both pulls.
static NEAREST: Value<Codebook> = Value {
    outputs: &["q", "l"],
    against: "its formula",
    right: |i| {
        let (z, e) = (i.matrix("z"), i.matrix("e"));
        let (q, l) = vq::forward(z, e, &chosen(i), i.number("beta"));
        arrays![q, l]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (q, l) = f(i.matrix("z"), i.matrix("e"), i.number("beta"));
        arrays![q, l]
    },
    cases: |draw| codes(draw).each(|i| i.without("dy")),
    wrong: mistakes::CODEBOOK,
    symptom: None,
};

/// What is declared: the code moves as its row does, and what is stopped is
/// `z0` or `e0`.
static PULLS: Vjp<CodebookVjp> = Vjp {
    forward: |i| {
        let [z, e, z0, e0] = ["z", "e", "z0", "e0"].map(|n| i.matrix(n));
        let k = vq::nearest(z0, e0);
        let of = |e: M| e.select(Axis(0), &k);
        let squares = |a: Array2<f64>| (&a * &a).sum_axis(Axis(1));
        let pulls =
            squares(&z0 - &of(e)) + squares(&z - &of(e0)) * i.number("beta");
        joined(&z + &(of(e0) - z0), pulls)
    },
    cotangent: "dy",
    gradients: &[("dz", "z"), ("de", "e")],
    call: |f, i| {
        let ((dq, dl), beta) = (parts(i), i.number("beta"));
        let (z, e) = (i.matrix("z"), i.matrix("e"));
        let (dz, de) = f(z, e, beta, dq.view(), dl.view());
        arrays![dz, de]
    },
    cases: codes,
    batch: None,
    wrong: mistakes::CODEBOOK_VJP,
};

/// Codes and pulls, then their VJP.
pub static CODEBOOK: Two<Codebook, CodebookVjp> = Two(&NEAREST, &PULLS);

// ---- draws -------------------------------------------------------------------

/// Batch, classes.
const DRAWS: Shapes<2> = Shapes {
    usual: &[[5, 3], [4, 6], [3, 2], [4, 4], [3, 3]],
    small: &[[1, 1], [1, 4], [5, 1]],
    ties: Some([5, 4]),
    many: ([11, 12], 20.),
};

/// Any number as one of three decimals between 0 and 1.
fn uniform(v: f64) -> f64 {
    let u = (0.618 * v).rem_euclid(1.).clamp(0.02, 0.98);
    (u * 1000.).round() / 1000.
}

fn draws(draw: &mut Sampler) -> Cases {
    let cases = Cases::of(draw, &DRAWS, |draw, [b, v]| {
        let i = draw.inputs(&[("dy", &[b, v]), ("x", &[b, v]), ("u", &[b, v])]);
        let tau = [0.4, 0.7, 1.6, 2.5][draw.below(4)];
        i.shown("tau", tau, format!("tau = {tau}"))
    });
    cases.each(|mut i| {
        i.array_mut("u").mapv_inplace(uniform);
        i
    })
}

/// The soft draw, from noise that is added to the logits.
fn soft(i: &Inputs) -> Array2<f64> {
    let g = gumbel::noise(i.matrix("u"));
    gumbel::forward(i.matrix("x"), g.view(), i.number("tau"))
}

fn draw_of(x: Array2<f64>, u: Array2<f64>, tau: f64) -> Inputs {
    let i = Inputs::default().with("x", x).with("u", u);
    i.shown("tau", tau, format!("tau = {tau}"))
}

/// Rows with several equal maxima.
fn several_maxima() -> Vec<Inputs> {
    let u = |x: &Array2<f64>| x.mapv(uniform);
    let wide =
        arr2(&[[1., 1., 0., -1.], [0., 2., -1., 2.], [0.5, 0.5, 0.5, 0.5]]);
    let high = arr2(&[[0.3, 0.3], [-1., 2.], [1., 1.], [0.7, 0.7]]);
    let tied = |x: Array2<f64>, tau| draw_of(x.clone(), u(&x), tau);
    vec![tied(wide, 0.7), tied(high, 1.6)]
}

/// Temperatures next to 0, and logits close enough for that.
fn cold() -> Inputs {
    let x = arr2(&[[0.7, 0.1, -0.4], [1.2, -0.3, 0.9]]) * 1e-5;
    let u = Array2::from_elem(x.dim(), 0.5);
    draw_of(x, u, 1e-5)
}

/// Logits so far apart for their temperature that a row is all but decided; its
/// gradient is small, and is judged by its own size. (Where a cotangent is 0, no
/// digit of it is lost.)
fn decided() -> Inputs {
    let x = arr2(&[[0., 2.5, 0.3], [0.2, 0.1, 1.8], [1.2, 0., -0.9]]) * 1e-4;
    let u = Array2::from_elem(x.dim(), 0.5);
    let dy = arr2(&[[0.9, 0., -1.3], [-0.4, 0.6, 0.], [0., 0.7, 1.1]]);
    draw_of(x, u, 1e-5).with("dy", dy).tiny()
}

/// A temperature that makes all entries nearly alike, and not quite. (One row:
/// several with a single 1 each would look like entries in other places.)
fn hot() -> Inputs {
    let x = arr2(&[[-0.4, 0.1, 0.7]]);
    let u = Array2::from_elem(x.dim(), 0.5);
    draw_of(x, u, 1e8)
}

/// Uniform numbers next to 0 and to 1.
fn ends_of_noise() -> Inputs {
    let x = arr2(&[[0.7, 0.1, -0.4], [1.2, -0.3, 0.9], [0.2, -1.1, 0.5]]);
    let u = arr2(&[
        [1e-200, 1e-12, 1e-300],
        [1. - 1e-15, 1. - 1e-12, 1. - 1e-14],
        [1e-20, 1. - 1e-13, 0.5],
    ]);
    draw_of(x, u, 2.5)
}

/// Soft and hard draws.
static DRAWN: Value<Gumbel> = Value {
    outputs: &["soft", "hard"],
    against: "its formula",
    right: |i| {
        let soft = soft(i);
        let hard = gumbel::hard(soft.view());
        arrays![soft, hard]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let (soft, hard) = f(i.matrix("x"), i.matrix("u"), i.number("tau"));
        arrays![soft, hard]
    },
    cases: |draw| {
        let mut cases = draws(draw);
        // Logits far apart, and far from 0 together.
        let first = cases.usual[0][0].clone();
        let mut wide = first.clone();
        *wide.array_mut("x") *= 1e4;
        let mut far = first;
        *far.array_mut("x") += 1e3;
        cases
            .rare
            .extend([wide, far, cold(), hot(), ends_of_noise()]);
        cases.usual.push(several_maxima());
        cases.each(|i| i.without("dy"))
    },
    wrong: mistakes::GUMBEL,
    symptom: None,
};

static DRAWN_VJP: Vjp<GumbelVjp> = Vjp {
    forward: |i| soft(i).into_dyn(),
    cotangent: "dy",
    gradients: &[("dx", "x")],
    call: call_gumbel_vjp,
    cases: draws,
    batch: None,
    wrong: mistakes::GUMBEL_VJP,
};

fn call_gumbel_vjp(f: &GumbelVjp, i: &Inputs) -> Vec<ArrayD<f64>> {
    arrays![f(soft(i).view(), i.number("tau"), i.matrix("dy"))]
}

/// The same where a difference is too long a step.
static COLD_VJP: Value<GumbelVjp> = Value {
    outputs: &["dx"],
    against: "its formula",
    right: |i| {
        let (y, dy) = (soft(i), i.matrix("dy"));
        arrays![gumbel::vjp(y.view(), i.number("tau"), dy)]
    },
    tolerance: TOLERANCE,
    call: call_gumbel_vjp,
    cases: |_| {
        let dy = arr2(&[[0.9, -1.3, 0.5], [-0.4, 0.6, 1.1]]);
        Cases::new(vec![], vec![cold().with("dy", dy), decided()])
    },
    wrong: &[],
    symptom: None,
};

/// Draws, then the gradient of their logits.
pub static GUMBEL: Two<Gumbel, GumbelVjp> = Two(
    &DRAWN,
    &Then {
        first: &DRAWN_VJP,
        second: &COLD_VJP,
        named_later: &[],
    },
);

// ---- the hunt ----------------------------------------------------------------

static MENDED: Vjp<Neuron> = Vjp {
    forward: |i| {
        let (grid, w0) = (grid(i), i.vector("w0"));
        let moved = |w: V| w.mapv(|w| grid.surrogate(w));
        let w_hat = quantise(w0, grid) + moved(i.vector("w")) - moved(w0);
        i.matrix("x").dot(&w_hat).into_dyn()
    },
    cotangent: "dy",
    gradients: &[("dw", "w"), ("dx", "x")],
    call: |f, i| {
        let Grid { scale, low, high } = grid(i);
        let (x, w, dy) = (i.matrix("x"), i.vector("w"), i.vector("dy"));
        let (dx, dw) = f(x, w, scale, low, high, dy);
        arrays![dw, dx]
    },
    cases: |draw| {
        let shapes = Shapes {
            usual: &[[3, 4], [4, 5], [5, 3], [4, 4], [3, 3]],
            small: &[[1, 1], [1, 5], [4, 1]],
            ties: Some([4, 5]),
            many: ([11, 12], 20.),
        };
        let mut n = 0;
        let cases = Cases::of(draw, &shapes, |draw, [b, d]| {
            n += 1;
            let i = draw.inputs(&[("dy", &[b]), ("x", &[b, d]), ("w", &[d])]);
            on(i, GRIDS[n % GRIDS.len()])
        });
        spread(cases).each(|i| {
            let w = i.array("w").clone();
            i.shown("w0", w, "")
        })
    },
    batch: Some(|i| i.matrix("x").nrows()),
    wrong: mistakes::HUNT,
};

/// The planted bug, then the mended backward.
pub static FIND_THE_BUG: Hunt<Neuron> = Hunt {
    planted: &STE_WRONG_NODE,
    among: NAMES,
    mended: &MENDED,
};
