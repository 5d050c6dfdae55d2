//! The mistakes of backpropagation through time, and what each returns.
//!
//! A row never walks back: it says a wrong gradient by differences, of a
//! forward pass that moves in the wrong way.

use super::{
    carried, cotangents, in_chunks, in_windows, own_weights, read, reversed,
    rows, silent, squares, starts, states, step, steps, two_readings,
};
use crate::calculus::chain_rule::mistakes::{
    INVERSE_DERIVATIVE, LINK_FORGOTTEN, SLOPE_OF_OUTPUT, VALUE_FOR_SLOPE,
};
use crate::general::{
    BIAS_FORGOTTEN, GRAD_OVERWRITTEN, ONE_EXAMPLE_ONLY, RESHAPED_NOT_TRANSPOSED,
};
use crate::judge::{EVERY, Inputs, Wrong, array, each, number, slopes, ways};
use crate::network::linear::mistakes::{TRANSPOSE_MISSING, reshaped};
use crate::network::mlp::mistakes::{
    SLOPE_FORGOTTEN, SUM_FOR_ACTIVATION, USES_NOT_ALIKE,
};
use backprop::network::optimizer::clip;
use ndarray::{Array2, Array3, ArrayD, Axis, Ix2, Ix3, arr1, s};

crate::names! { "recurrent/bptt.md";
    BPTT_TRUNCATED "#one-step-back":
        "What comes back from the next step is not added: every state gets the \
         cotangent of its own step alone.",
        "A state reaches the loss through its own step and through the next \
         state: add both before you go on.",
        "the last step is right, all earlier ones are wrong; the immediate \
         derivative in place of the total one; with T = 1 all is right";
    LOCAL_COTANGENT_LOST "#one-step-back":
        "Only the last state's cotangent is used: what reaches an earlier \
         state from its own step is lost.",
        "Add dh_t at every step of the walk, not at its start alone.",
        "right where only the last state has a loss";
    STATE_INDEX_SHIFTED "#one-step-back":
        "The state of another step is taken: h_t where h_{t-1} belongs, or the \
         other way round.",
        "w_h met the state before: dw_h pairs δ_t with h_{t-1}, and at the \
         first step with h_0.",
        "all other gradients are right, only that of w_h is wrong";
    STEP_SLOPE_SHIFTED "#one-step-back":
        "The slope of tanh is taken at the step before.",
        "On the way from h_t to h_{t-1} the cotangent passes the sum z_t, so \
         the slope is 1 - h_t².",
        "wrong even for a single unit, and for T = 1";
    SINGLE_PATH "#one-layer-many-steps":
        "Only one use of the weight is followed, the first.",
        "The weight is used at every step, and each use adds its term.",
        "the term of step 1, and 0 if the first state is 0";
    OTHER_TRUNCATION "#two-ways-to-cut":
        "That is the other honest truncation: windows where chunks are asked \
         for, or chunks for windows.",
        "Chunks are disjoint, and a loss reaches back to the start of its \
         chunk; a window reaches back equally far from every loss.",
        "4.34 and 5.54 on the chapter's example; alike for k = 1 and k = T";
    STATE_NOT_CARRIED "#two-ways-to-cut":
        "A stretch begins from another state than the one that was reached \
         before it.",
        "Truncation cuts the way back only. The forward pass is that of the \
         whole text: begin with the last state of the chunk before.",
        "the states differ already; right up to the first cut";
    STATE_NOT_CUT "#two-ways-to-cut":
        "The gradient flows on past the cut.",
        "The carried state is a constant to the chunk that begins with it: \
         hand nothing back to it.",
        "the gradient is the whole one, and each step costs more than the last";
    CHUNKS_FROM_THE_END "#two-ways-to-cut":
        "The chunks are counted from the end of the text.",
        "The first chunk begins at the first step; the last one may be short.",
        "right where k divides T";
    REST_FORGOTTEN "#two-ways-to-cut":
        "The last chunk, which is shorter, is left out.",
        "The last chunk ends where the text ends, however short it is.",
        "right where k divides T; dx is 0 at the end";
    CARRIED_AS_FIRST "#two-ways-to-cut":
        "What a later chunk gives the state that it begins with is counted as \
         the gradient of h_0.",
        "Only the first chunk begins with h_0; what the others give their \
         first state is dropped at the cut.",
        "dh0 is wrong, all else is right";
    ROWS_NOT_CONTINUED "#two-ways-to-cut":
        "The state is carried, but a row of the next batch does not go on \
         where that row of the last one ended.",
        "Give each row a part of the text of its own, and go on in it from \
         batch to batch.",
        "nothing fails and the loss is a little higher: the state carried is \
         that of another place";
    TIME_NOT_TURNED_BACK "#one-step-back":
        "An array that was made from the end is not turned round again.",
        "What belongs to the first step must stand first: a reversal is \
         undone by a reversal, forward and backward.",
        "the right numbers at other steps; a text of one step hides it";
    DIRECTION_FORGOTTEN "#one-step-back":
        "One of the two readings is left out, or overwrites the other.",
        "Both readings use the same weights, inputs and first state: what they \
         send back adds.",
        "one reading's gradient alone";
    CLIP_NO_EFFECT "#too-large":
        "The step is taken with gradients that are not clipped.",
        "Clip after the backward pass and before the step.",
        "the same as without clipping";
    CLIP_PER_TENSOR "#too-large":
        "Every tensor is clipped by a norm of its own.",
        "One norm over all gradients, one factor for all.",
        "the direction of the step changes";
    CLIP_BY_VALUE "#too-large":
        "Every entry is clipped by itself.",
        "One factor for all entries keeps their proportions.",
        "no step is longer than lr·most in any entry; the direction changes";
    CLIP_ALWAYS "#too-large":
        "The gradients are scaled to the limit even where they are below it.",
        "The factor is never above 1.",
        "small gradients are blown up; gradients of 0 become NaN";
    CLIP_SQUARED "#too-large":
        "The norm lacks its root.",
        "The norm is the root of the sum of squares.",
        "steps too short, the direction right";
    STEP_UPHILL "#too-large":
        "The step goes along the gradient instead of against it.",
        "The gradient points to where the loss rises: subtract.",
        "each number is off by twice its step";
    WINDOW_START_FORGOTTEN "#two-ways-to-cut":
        "Every window is counted with k steps.",
        "The first losses have fewer than k steps behind them.",
        "too many by k(k-1)/2";
    CHUNKS_COUNTED "#two-ways-to-cut":
        "The chunks, or the windows, are counted and not their steps.",
        "Count how often the walk back passes a step.",
        "too small by about the factor k";
    OWN_STEP_FORGOTTEN "#two-ways-to-cut":
        "The step at which the walk begins is not counted.",
        "A walk over one step is one step: the loss's own.",
        "too small by the number of walks";
}

/// The same inputs, the cotangent 0 but in the first or the last text.
fn of_one_text(i: &Inputs, way: usize) -> Inputs {
    let (mut i, texts) = (i.clone(), i.matrix("h0").nrows());
    let only = [0, texts - 1][way];
    let dh = i.array_mut("dh");
    for (row, mut dh) in dh.outer_iter_mut().enumerate() {
        if row % texts != only {
            dh.fill(0.);
        }
    }
    i
}

/// The input that a gradient belongs to.
fn of(output: &str) -> &str {
    &output[1..]
}

/// The gradient of a forward pass that is wrong; of a large network none, for
/// it would take longer than all that is judged.
fn of_forward(
    i: &Inputs,
    output: &str,
    f: impl Fn(&Inputs) -> Array3<f64>,
) -> ArrayD<f64> {
    if is_large(i) {
        return none();
    }
    slopes(|i| rows(f(i)), i, of(output), "dh")
}

fn is_large(i: &Inputs) -> bool {
    i.array("x").len() > 300
}

fn none() -> ArrayD<f64> {
    ndarray::arr0(f64::NAN).into_dyn()
}

fn three(a: ArrayD<f64>) -> Array3<f64> {
    a.into_dimensionality::<Ix3>().expect("three axes")
}

/// The state before a step.
fn before(i: &Inputs, h: &Array3<f64>, t: usize) -> Array2<f64> {
    match t {
        0 => i.matrix("h0").to_owned(),
        _ => h.index_axis(Axis(0), t - 1).to_owned(),
    }
}

/// All states, each step's state changed before it is carried on.
fn states_with(
    i: &Inputs,
    carry: impl Fn(&Array2<f64>, &Array2<f64>) -> Array2<f64>,
    sum: impl Fn(&Inputs, usize, &Array2<f64>) -> Array2<f64>,
) -> Array3<f64> {
    let (x, h0) = (steps(i, "x"), i.matrix("h0"));
    let mut h = Array3::zeros((x.dim().0, h0.nrows(), h0.ncols()));
    let mut before = h0.to_owned();
    for (t, mut h) in h.outer_iter_mut().enumerate() {
        let z = sum(i, t, &before);
        h.assign(&z.tanh());
        before = carry(&z, &h.to_owned());
    }
    h
}

/// `x_t·w_x + h·w_h + b`.
fn sum(i: &Inputs, t: usize, h: &Array2<f64>) -> Array2<f64> {
    let x = steps(i, "x").index_axis_move(Axis(0), t);
    x.dot(&i.matrix("w_x")) + h.dot(&i.matrix("w_h")) + i.vector("b")
}

fn on(_: &Array2<f64>, h: &Array2<f64>) -> Array2<f64> {
    h.clone()
}

/// Of all states: `x`, `w_x`, `w_h`, `b`, `h0`.
pub const FORWARD: &[Wrong] = &[
    ways("h", &STATE_NOT_CARRIED, 2, |i, _, way| {
        let h0 = i.matrix("h0").to_owned();
        let again = |_: &Array2<f64>, _: &Array2<f64>| match way {
            0 => h0.clone(),
            _ => &h0 * 0.,
        };
        states_with(i, again, sum).into_dyn()
    }),
    array("h", &TRANSPOSE_MISSING, |i| {
        let turned = |i: &Inputs, t: usize, h: &Array2<f64>| {
            let x = steps(i, "x").index_axis_move(Axis(0), t);
            let h = h.dot(&i.matrix("w_h").t());
            x.dot(&i.matrix("w_x")) + h + i.vector("b")
        };
        states_with(i, on, turned).into_dyn()
    }),
    // In every step, in the first one, or in the later ones.
    ways("h", &BIAS_FORGOTTEN, 3, |i, _, way| {
        let without = |i: &Inputs, t: usize, h: &Array2<f64>| {
            let forgotten = [true, t == 0, t > 0][way];
            sum(i, t, h) - &i.vector("b") * f64::from(u8::from(forgotten))
        };
        states_with(i, on, without).into_dyn()
    }),
    array("h", &SUM_FOR_ACTIVATION, |i| {
        let z = |z: &Array2<f64>, _: &Array2<f64>| z.clone();
        states_with(i, z, sum).into_dyn()
    }),
    // From the third step on, the state of two steps before.
    array("h", &STATE_INDEX_SHIFTED, |i| {
        let (first, mut h) = (i.matrix("h0").to_owned(), states(i) * 0.);
        let mut last = [first.clone(), first];
        for (t, mut h) in h.outer_iter_mut().enumerate() {
            let [before, now] = &last;
            let met = if t < 2 { now } else { before };
            h.assign(&sum(i, t, met).tanh());
            last = [now.clone(), h.to_owned()];
        }
        h.into_dyn()
    }),
    array("h", &STATE_INDEX_SHIFTED, |i| {
        let h = states(i);
        let mut shifted = h.clone();
        for (t, mut to) in shifted.outer_iter_mut().enumerate() {
            to.assign(&before(i, &h, t));
        }
        shifted.into_dyn()
    }),
];

/// How a step moves when something in it does: with these slopes in place of
/// `1 - h²`, each from the step, its state and the state before.
struct Bend {
    /// Where an input, a weight or the bias moves.
    here: fn(f64, f64) -> f64,
    /// Where the state before moves.
    passing: fn(usize, f64, f64) -> f64,
    /// What the step's own loss sees of either, if that is another slope.
    own: Option<fn(f64, f64) -> f64>,
    /// Whether `w_h` is turned on that way.
    turned: bool,
}

fn slope(h: f64, _: f64) -> f64 {
    1. - h * h
}

const RIGHT: Bend = Bend {
    here: slope,
    passing: |_, h, before| slope(h, before),
    own: None,
    turned: false,
};

/// How the states, `right` at `at`, move near it, as `bend` says.
fn bent(
    i: &Inputs,
    at: &Inputs,
    right: &Array3<f64>,
    bend: &Bend,
) -> Array3<f64> {
    let mut h = right.clone();
    let w_h = at.matrix("w_h");
    let w_h = if bend.turned { w_h.t() } else { w_h };
    let mut moved = &i.matrix("h0") - &at.matrix("h0");
    for (t, mut h) in h.outer_iter_mut().enumerate() {
        let before = before(at, right, t);
        let here = sum(i, t, &before) - sum(at, t, &before);
        let passed = moved.dot(&w_h);
        moved = Array2::from_shape_fn(here.dim(), |n| {
            let of = (h[n], before[n]);
            (bend.here)(of.0, of.1) * here[n]
                + (bend.passing)(t, of.0, of.1) * passed[n]
        });
        let seen = Array2::from_shape_fn(here.dim(), |n| match bend.own {
            Some(own) => own(h[n], before[n]) * (here[n] + passed[n]),
            None => moved[n],
        });
        h.assign(&seen);
    }
    h
}

/// The gradient of a network that is bent. It moves in proportion, so a step of
/// any length shows its slope.
fn through(i: &Inputs, output: &str, bend: Bend) -> ArrayD<f64> {
    if is_large(i) {
        return none();
    }
    let (right, dh) = (states(i), i.array("dh"));
    let mut moved = i.clone();
    let mut gradient = i.array(of(output)).clone();
    for (at, slope) in gradient.indexed_iter_mut() {
        let was = std::mem::replace(slope, 0.);
        moved.array_mut(of(output))[&at] = was + 1.;
        *slope = (rows(bent(&moved, i, &right, &bend)) * dh).sum();
        moved.array_mut(of(output))[&at] = was;
    }
    gradient
}

/// The cotangent of the sum in each step; of a large network no number.
fn deltas(i: &Inputs) -> Array3<f64> {
    let shape = states(i).dim();
    if is_large(i) {
        return Array3::from_elem(shape, f64::NAN);
    }
    let with = i.clone().with("shift", Array3::<f64>::zeros(shape));
    let shifted = |i: &Inputs| {
        let z = |i: &Inputs, t: usize, h: &Array2<f64>| {
            sum(i, t, h) + steps(i, "shift").index_axis(Axis(0), t)
        };
        rows(states_with(i, on, z))
    };
    three(slopes(shifted, &with, "shift", "dh"))
}

/// What step `t` adds to the gradient of a parameter.
fn of_one_step(i: &Inputs, output: &str, t: usize) -> ArrayD<f64> {
    if !["dw_x", "dw_h", "db"].contains(&output) {
        return none();
    }
    let delta = deltas(i).index_axis_move(Axis(0), t);
    match output {
        "dw_x" => {
            let x = steps(i, "x").index_axis_move(Axis(0), t);
            x.t().dot(&delta).into_dyn()
        }
        "dw_h" => before(i, &states(i), t).t().dot(&delta).into_dyn(),
        _ => delta.sum_axis(Axis(0)).into_dyn(),
    }
}

/// The sum over the steps of a matrix times the step's cotangent.
fn over_steps(
    delta: &Array3<f64>,
    of: impl Fn(usize) -> Array2<f64>,
) -> ArrayD<f64> {
    let each = delta.outer_iter().enumerate();
    let terms = each.map(|(t, d)| of(t).dot(&d));
    terms.reduce(|sum, d| sum + d).expect("a step").into_dyn()
}

/// `dx` where each step's cotangent is multiplied with `w`.
fn onto_inputs(i: &Inputs, w: &Array2<f64>) -> ArrayD<f64> {
    let mut dx = Array3::zeros(steps(i, "x").dim());
    for (mut dx, d) in dx.outer_iter_mut().zip(deltas(i).outer_iter()) {
        dx.assign(&d.dot(w));
    }
    dx.into_dyn()
}

/// The gradient of `w_h` where it meets other states than those before; nothing
/// passes on to a step that is `cut`.
fn meeting(
    i: &Inputs,
    h: &Array3<f64>,
    met: impl Fn(usize) -> Array2<f64>,
    cut: impl Fn(usize) -> bool,
) -> ArrayD<f64> {
    if is_large(i) {
        return none();
    }
    let (dh, w) = (i.matrix("dh"), i.matrix("w_h"));
    Array2::from_shape_fn(w.dim(), |(from, to)| {
        let mut moves = Array2::<f64>::zeros(i.matrix("h0").dim());
        let mut all = h.clone();
        for (t, mut of_step) in all.outer_iter_mut().enumerate() {
            if cut(t) {
                moves.fill(0.);
            }
            moves = moves.dot(&w);
            let mut to = moves.column_mut(to);
            to += &met(t).column(from);
            moves.zip_mut_with(&of_step, |m, h| *m *= 1. - h * h);
            of_step.assign(&moves);
        }
        (rows(all) * dh).sum()
    })
    .into_dyn()
}

fn last(i: &Inputs) -> usize {
    steps(i, "x").dim().0 - 1
}

/// Of all gradients: `dh`, `x`, `w_x`, `w_h`, `b`, `h0`.
pub const VJP: &[Wrong] = &[
    each(&BPTT_TRUNCATED, |i, output| {
        let passing = |t, h: f64, _| if t == 0 { 1. - h * h } else { 0. };
        through(i, output, Bend { passing, ..RIGHT })
    }),
    each(&LOCAL_COTANGENT_LOST, |i, output| {
        of_forward(&silent(i, |t| t == last(i)), output, states)
    }),
    ways(EVERY, &ONE_EXAMPLE_ONLY, 2, |i, output, way| {
        of_forward(&of_one_text(i, way), output, states)
    }),
    // In every step, or in the first one, as by an index that cannot be less
    // than 0.
    ways("dw_h", &STATE_INDEX_SHIFTED, 2, |i, _, way| {
        let h = states(i);
        let met = |t| match way == 0 || t == 0 {
            true => h.index_axis(Axis(0), t).to_owned(),
            false => before(i, &h, t),
        };
        meeting(i, &h, met, |t| t == 0)
    }),
    array("dh0", &LINK_FORGOTTEN, |i| {
        deltas(i).index_axis_move(Axis(0), 0).into_dyn()
    }),
    // The inputs of a step, or of all steps, cut anew; the weight; the state.
    ways("dw_x", &RESHAPED_NOT_TRANSPOSED, 2, |i, _, way| {
        let (x, delta) = (steps(i, "x"), deltas(i));
        match way {
            0 => {
                let rows = rows(x.to_owned());
                let delta = self::rows(delta);
                let of = |a: &ArrayD<f64>| {
                    a.clone().into_dimensionality::<Ix2>().expect("rows")
                };
                reshaped(of(&rows).view()).dot(&of(&delta)).into_dyn()
            }
            _ => over_steps(&delta, |t| reshaped(x.index_axis(Axis(0), t))),
        }
    }),
    array("dw_h", &RESHAPED_NOT_TRANSPOSED, |i| {
        let h = states(i);
        over_steps(&deltas(i), |t| reshaped(before(i, &h, t).view()))
    }),
    array("dx", &RESHAPED_NOT_TRANSPOSED, |i| {
        onto_inputs(i, &reshaped(i.matrix("w_x")))
    }),
    ways(EVERY, &GRAD_OVERWRITTEN, 2, |i, output, way| {
        of_one_step(i, output, [0, last(i)][way])
    }),
    ways(EVERY, &SLOPE_OF_OUTPUT, 3, |i, output, way| {
        let here = |h: f64, _| 1. - h.tanh().powi(2);
        let passing = |_, h: f64, _| 1. - h.tanh().powi(2);
        through(i, output, one_or_both(way, here, passing))
    }),
    ways(EVERY, &INVERSE_DERIVATIVE, 3, |i, output, way| {
        let here = |h: f64, _| 1. / (1. - h * h);
        let passing = |_, h: f64, _| 1. / (1. - h * h);
        through(i, output, one_or_both(way, here, passing))
    }),
    ways(EVERY, &SLOPE_FORGOTTEN, 5, |i, output, way| {
        let bend = one_or_both(way % 3, |_, _| 1., |_, _, _| 1.);
        // The slope on the own loss alone, or on what comes back alone.
        let bend = match way {
            3 => Bend {
                own: Some(slope),
                ..bend
            },
            4 => Bend {
                own: Some(|_, _| 1.),
                ..RIGHT
            },
            _ => bend,
        };
        through(i, output, bend)
    }),
    each(&VALUE_FOR_SLOPE, |i, output| {
        let (here, passing) = (|h, _| h, |_, h, _| h);
        through(i, output, one_or_both(0, here, passing))
    }),
    ways(EVERY, &STEP_SLOPE_SHIFTED, 5, |i, output, way| {
        let here = |_, before: f64| 1. - before * before;
        let passing = |_, _, before: f64| 1. - before * before;
        let bend = one_or_both(way % 3, here, passing);
        // What comes back alone, or the own loss alone.
        let bend = match way {
            3 => Bend {
                own: Some(slope),
                ..bend
            },
            4 => Bend {
                own: Some(here),
                ..RIGHT
            },
            _ => bend,
        };
        through(i, output, bend)
    }),
    each(&TRANSPOSE_MISSING, |i, output| {
        let turned = true;
        through(i, output, Bend { turned, ..RIGHT })
    }),
    array("dh0", &TRANSPOSE_MISSING, |i| {
        let first = deltas(i).index_axis_move(Axis(0), 0);
        first.dot(&i.matrix("w_h")).into_dyn()
    }),
    array("dx", &TRANSPOSE_MISSING, |i| {
        onto_inputs(i, &i.matrix("w_x").to_owned())
    }),
];

/// Another slope everywhere, in passing alone, or not in passing.
fn one_or_both(
    way: usize,
    here: fn(f64, f64) -> f64,
    passing: fn(usize, f64, f64) -> f64,
) -> Bend {
    match way {
        0 => Bend {
            here,
            passing,
            ..RIGHT
        },
        1 => Bend { passing, ..RIGHT },
        _ => Bend { here, ..RIGHT },
    }
}

/// Of the gradients in chunks: `dh`, `x`, `w_x`, `w_h`, `b`, `h0`, `k`, `h`.
pub const CHUNKED: &[Wrong] = &[
    ways(EVERY, &STATE_NOT_CARRIED, 2, |i, output, way| {
        let first = i.matrix("h0").to_owned() * [0., 1.][way];
        of_forward(i, output, |i| in_chunks(i, &starts(i), |_| first.clone()))
    }),
    // In every step, at the start of the later chunks, or of all.
    ways("dw_h", &STATE_INDEX_SHIFTED, 3, |i, _, way| {
        let (h, starts) = (states(i), starts(i));
        let own = |t: usize| match way {
            0 => true,
            1 => t > 0 && starts.contains(&t),
            _ => starts.contains(&t),
        };
        let met = |t| match own(t) {
            true => h.index_axis(Axis(0), t).to_owned(),
            false => before(i, &h, t),
        };
        meeting(i, &h, met, |t| starts.contains(&t))
    }),
    // The states are right, but each chunk is told that it began with h0, or
    // with zeros.
    ways("dw_h", &STATE_NOT_CARRIED, 2, |i, _, way| {
        let (h, starts) = (states(i), starts(i));
        let met = |t| match starts.contains(&t) {
            true if t > 0 && way == 1 => Array2::zeros(i.matrix("h0").dim()),
            true => i.matrix("h0").to_owned(),
            false => before(i, &h, t),
        };
        meeting(i, &h, met, |t| starts.contains(&t))
    }),
    each(&STATE_NOT_CUT, |i, output| of_forward(i, output, states)),
    each(&OTHER_TRUNCATION, |i, output| {
        of_forward(i, output, in_windows_of_k)
    }),
    each(&BPTT_TRUNCATED, |i, output| {
        let all: Vec<_> = (0..=last(i)).collect();
        of_forward(i, output, |i| in_chunks(i, &all, |s| carried(i, s)))
    }),
    each(&CHUNKS_FROM_THE_END, |i, output| {
        let (t, k) = (last(i) + 1, i.whole("k") as usize);
        let cut = (t % k..t).step_by(k);
        let mut all: Vec<_> = cut.collect();
        if t % k > 0 {
            all.insert(0, 0);
        }
        of_forward(i, output, |i| in_chunks(i, &all, |s| carried(i, s)))
    }),
    each(&REST_FORGOTTEN, |i, output| {
        let (t, k) = (last(i) + 1, i.whole("k") as usize);
        of_chunks(&silent(i, |step| step < t / k * k), output)
    }),
    ways(EVERY, &GRAD_OVERWRITTEN, 2, |i, output, way| {
        let at = *starts(i).last().expect("a chunk");
        let k = i.whole("k") as usize;
        match (output, way) {
            ("dx" | "dh0", _) => none(),
            (_, 0) => of_chunks(&silent(i, |t| t >= at), output),
            _ => of_chunks(&silent(i, |t| t < k), output),
        }
    }),
    each(&LOCAL_COTANGENT_LOST, |i, output| {
        let k = i.whole("k") as usize;
        let ends = |t: usize| (t + 1).is_multiple_of(k) || t == last(i);
        of_chunks(&silent(i, ends), output)
    }),
    ways("dh0", &CARRIED_AS_FIRST, 2, |i, _, way| {
        let at = *starts(i).last().expect("a chunk");
        let of = silent(i, |t| way == 0 || t >= at);
        of_forward(&of, "dh0", |moved| {
            let step = &moved.matrix("h0") - &i.matrix("h0");
            in_chunks(moved, &starts(i), |s| carried(i, s) + &step)
        })
    }),
];

/// The gradient in chunks as it should be, for these cotangents.
fn of_chunks(i: &Inputs, output: &str) -> ArrayD<f64> {
    of_forward(i, output, |i| in_chunks(i, &starts(i), |s| carried(i, s)))
}

/// Every state by a pass of its own, over the last `k` steps up to it.
fn in_windows_of_k(i: &Inputs) -> Array3<f64> {
    let k = i.whole("k") as usize;
    let mut h = steps(i, "h").to_owned();
    for (t, mut to) in h.outer_iter_mut().enumerate() {
        let start = (t + 1).saturating_sub(k);
        let first = match start {
            0 => i.matrix("h0").to_owned(),
            _ => carried(i, start),
        };
        let x = steps(i, "x").slice_move(s![start..=t, .., ..]);
        let part = read(i, x, first.view());
        to.assign(&part.index_axis(Axis(0), t - start));
    }
    h
}

/// Of a text read both ways: `x`, `w_x`, `w_h`, `b`, `h0`.
pub const BOTH_WAYS: &[Wrong] = &[
    ways("y", &TIME_NOT_TURNED_BACK, 2, |i, _, way| {
        let [to_end, to_start] = two_readings(i);
        let other = match way {
            0 => to_start,
            _ => reversed(to_end.view()),
        };
        (to_end + other).into_dyn()
    }),
    ways("y", &DIRECTION_FORGOTTEN, 2, |i, _, way| {
        one_direction(i, way).into_dyn()
    }),
];

/// The states of one of the two readings, where they belong.
fn one_direction(i: &Inputs, way: usize) -> Array3<f64> {
    let [to_end, to_start] = two_readings(i);
    match way {
        0 => to_end,
        _ => reversed(to_start.view()),
    }
}

/// Of its gradients: the same, and `dh`.
pub const BOTH_WAYS_VJP: &[Wrong] = &[
    each(&TIME_NOT_TURNED_BACK, |i, output| {
        of_forward(i, output, |i| {
            let [to_end, to_start] = two_readings(i);
            to_end + to_start
        })
    }),
    array("dx", &TIME_NOT_TURNED_BACK, |i| {
        let part = |way| of_forward(i, "dx", |i| one_direction(i, way));
        let second = three(part(1));
        part(0) + reversed(second.view())
    }),
    ways(EVERY, &DIRECTION_FORGOTTEN, 2, |i, output, way| {
        of_forward(i, output, |i| one_direction(i, way))
    }),
    ways(EVERY, &USES_NOT_ALIKE, 2, |i, output, way| {
        of_forward(i, output, |i| one_direction(i, way) * 2.)
    }),
];

/// What a step gives for `w` or `b`.
fn stepped(i: &Inputs, output: &str, [of_w, of_b]: [f64; 2]) -> ArrayD<f64> {
    let (w, b) = step(i, of_w, of_b);
    match output {
        "w" => w.into_dyn(),
        _ => b.into_dyn(),
    }
}

/// Of a clipped step: `w`, `b`, `dw`, `db`, `most`, `lr`.
pub const CLIPPED: &[Wrong] = &[
    each(&CLIP_NO_EFFECT, |i, output| stepped(i, output, [1.; 2])),
    each(&CLIP_PER_TENSOR, |i, output| {
        let most = i.number("most");
        stepped(i, output, squares(i).map(|s| clip(arr1(&[s]).view(), most)))
    }),
    each(&CLIP_BY_VALUE, |i, output| {
        let (mut i, most) = (i.clone(), i.number("most"));
        for name in ["dw", "db"] {
            i.array_mut(name).mapv_inplace(|v| v.clamp(-most, most));
        }
        stepped(&i, output, [1.; 2])
    }),
    each(&CLIP_ALWAYS, |i, output| {
        let norm = squares(i).iter().sum::<f64>().sqrt();
        stepped(i, output, [i.number("most") / norm; 2])
    }),
    // In the factor and the comparison, or in the comparison alone.
    ways(EVERY, &CLIP_SQUARED, 2, |i, output, way| {
        let all: f64 = squares(i).iter().sum();
        let (most, norm) = (i.number("most"), [all, all.sqrt()][way]);
        let factor = if all > most { most / norm } else { 1. };
        stepped(i, output, [factor; 2])
    }),
    each(&STEP_UPHILL, |i, output| {
        let up = -clip(arr1(&squares(i)).view(), i.number("most"));
        stepped(i, output, [up; 2])
    }),
];

/// Of the steps that are walked: `t`, `k`.
pub const STEPS: &[Wrong] = &[
    number("in_windows", &WINDOW_START_FORGOTTEN, |i| {
        i.number("t") * i.number("k")
    }),
    number("in_windows", &CHUNKS_COUNTED, |i| i.number("t")),
    number("in_chunks", &CHUNKS_COUNTED, walks),
    number("in_chunks", &CHUNKS_COUNTED, |i| {
        (i.number("t") / i.number("k")).floor()
    }),
    number("in_chunks", &REST_FORGOTTEN, |i| {
        (i.number("t") / i.number("k")).floor() * i.number("k")
    }),
    number("in_chunks", &OWN_STEP_FORGOTTEN, |i| {
        i.number("t") - walks(i)
    }),
    number("in_windows", &OWN_STEP_FORGOTTEN, |i| {
        let (t, k) = (i.whole("t"), i.whole("k"));
        (in_windows(t, k) - t) as f64
    }),
];

/// How many chunks there are.
fn walks(i: &Inputs) -> f64 {
    (i.number("t") / i.number("k")).ceil()
}

/// The gradients of a recurrence with a weight for each unit.
fn own(i: &Inputs, output: &str) -> ArrayD<f64> {
    of_forward(i, output, own_weights)
}

/// `dw` from the states and cotangents that are paired.
fn paired(
    i: &Inputs,
    state: impl Fn(usize) -> Array2<f64>,
    cotangent: Array3<f64>,
) -> ArrayD<f64> {
    let each = cotangent.outer_iter().enumerate();
    let zero = Array2::<f64>::zeros(i.matrix("h0").dim());
    let sum = each.fold(zero, |sum, (t, d)| sum + state(t) * d);
    sum.sum_axis(Axis(0)).into_dyn()
}

/// Of a recurrence with a weight for each unit: `dh`, `x`, `w`, `h0`.
pub const HUNT: &[Wrong] = &[
    array("dw", &STATE_INDEX_SHIFTED, |i| {
        let h = own_weights(i);
        let at = |t: usize| h.index_axis(Axis(0), t).to_owned();
        paired(i, at, three(own(i, "dx")))
    }),
    array("dw", &STATE_INDEX_SHIFTED, |i| {
        let h = own_weights(i);
        let at = |t: usize| before(i, &h, t.max(1));
        paired(i, at, three(own(i, "dx")))
    }),
    array("dx", &BPTT_TRUNCATED, |i| cotangents(i).into_dyn()),
    array("dw", &BPTT_TRUNCATED, |i| {
        let h = own_weights(i);
        paired(i, |t| before(i, &h, t), cotangents(i))
    }),
    each(&LOCAL_COTANGENT_LOST, |i, output| {
        own(&silent(i, |t| t == last(i)), output)
    }),
    ways("dw", &ONE_EXAMPLE_ONLY, 2, |i, output, way| {
        own(&of_one_text(i, way), output)
    }),
    ways("dw", &GRAD_OVERWRITTEN, 2, |i, _, way| {
        let (h, at) = (own_weights(i), [0, last(i)][way]);
        let mut d = three(own(i, "dx"));
        for (t, mut d) in d.outer_iter_mut().enumerate() {
            if t != at {
                d.fill(0.);
            }
        }
        paired(i, |t| before(i, &h, t), d)
    }),
];
