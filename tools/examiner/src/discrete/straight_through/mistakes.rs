//! The mistakes of straight-through estimators, and what each returns.

use super::{
    RIGHT, Training, chosen, grid, joined, losses, push, soft, walked,
};
use crate::general::{
    ALL_ZERO, BATCH_MEAN_MISSING, GRAD_OVERWRITTEN, UPSTREAM_ONLY,
};
use crate::judge::{
    Inputs, Wrong, array, each, factor, made, matrix, slopes, vector, ways,
};
use crate::network::linear::mistakes::TRANSPOSE_MISSING;
use crate::network::mlp::mistakes::{
    HALF_FORGOTTEN, LOSSES, LOSSES_SHIFTED, STALE_FORWARD, UPDATED_TOO_EARLY,
    WEIGHT_NOT_UPDATED,
};
use crate::network::softmax_cross_entropy::mistakes::{
    DIAGONAL_JACOBIAN, MEAN_OVER_ENTRIES, ONE_DOT_FOR_BATCH,
    TEMPERATURE_FORGOTTEN, TEMPERATURE_INVERTED, TEMPERATURE_TWICE,
};
use crate::recurrent::bptt::mistakes::STEP_UPHILL;
use backprop::discrete::straight_through::{gumbel, quantise, sign, vq};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, Zip, arr0, s};

crate::names! { "discrete/straight_through.md";
    STE_NOT_CLIPPED "#only-at-the-rounding":
        "The gradient passes outside the range as well, at one end or at both.",
        "Where the clamp holds the output fast, moving the weight moves \
         nothing: the declared slope is 0 there.",
        "right until a weight is beyond the ends";
    STE_STRICT_BOUND "#only-at-the-rounding":
        "What lies exactly at an end of the range gets no gradient.",
        "The ends belong to the range: low <= code <= high, and |w| <= 1 for a \
         sign.",
        "weights whose code is the first or the last one stop moving; the \
         forward pass is right to the bit";
    CLIP_AT_VALUES "#only-at-the-rounding":
        "The gradient is cut at the first or the last value, not half a step \
         beyond it.",
        "The rounded code decides, before it is clamped: a weight that goes to \
         the last code without the clamp's help keeps its gradient.",
        "zeros for weights up to half a step beyond the ends";
    STE_WRONG_NODE "#only-at-the-rounding":
        "More than the rounding is skipped: a factor that has a true \
         derivative is lost with it.",
        "Put the declared slope at the rounding alone; products, sums and \
         losses around it keep their own.",
        "the factor x is missing; right where x is 1";
    CLIP_MISPLACED "#only-at-the-rounding":
        "The mask of the clip is laid on something that was not rounded.",
        "The mask belongs to the gradient that passes the rounding, entry by \
         entry of what was rounded.",
        "zeros where an input is large, or where the weight that it meets is";
    SCALE_NOT_CANCELLED "#only-at-the-rounding":
        "The gradient is multiplied or divided by the scale.",
        "w is divided by s and the code multiplied by it: the two cancel.",
        "a constant ratio of s or 1/s";
    LATENT_FOR_ROUNDED "#the-surrogate":
        "The weight that was not rounded is used where the rounded one \
         belongs.",
        "Only the slope of the rounding is declared. Every other derivative is \
         taken where the forward pass was, at the rounded weight.",
        "no oscillation: the weight goes to where it would go without rounding";
    MASTER_WEIGHT_ROUNDED "#trained-or-rounded":
        "The step starts from the rounded weight.",
        "Keep the latent weight in full, and let the step move that one: small \
         steps have to add up.",
        "steps below half the grid's distance vanish";
    CODES_UNBOUNDED "#only-at-the-rounding":
        "The code is not clamped to the grid.",
        "A grid of few bits has a first and a last code: clamp after rounding.",
        "right until a weight is beyond the ends";
    CODES_FOR_VALUES "#only-at-the-rounding":
        "The scale is left out: on the way to the code, on the way back, or in \
         both.",
        "The code is round(w/s), and the value is s times the code.",
        "whole numbers, or steps of another size; right for s = 1";
    FLOOR_FOR_ROUND "#only-at-the-rounding":
        "The code is the next one below, above or towards zero, not the \
         nearest.",
        "Round: nothing is moved by more than half a step.",
        "errors of up to a whole step, all in one direction";
    ROUND_TIES "#to-the-last-bit":
        "Halves are rounded away from zero, or up.",
        "Here halves go to the even neighbour: `round_ties_even`, as on a GPU, \
         in NumPy and in PyTorch. Rust's `round` goes away from zero, and the \
         floor of v + ½ goes up.",
        "0.5 and 2.5 become 1 and 3; all else is right";
    SIGN_OF_ZERO "#one-bit":
        "The sign of 0 or of -0 is not 1.",
        "A bit has two values, so 0 has to be one of them: compare w >= 0.",
        "wrong at 0 alone: 0 with NumPy's sign, -1 with Rust's at -0";
    STE_FORM_INEXACT "#to-the-last-bit":
        "(q + x) - x is taken for q to the last bit, or x + (q - x) is not.",
        "q - x is exact for a number and what it is rounded to; q + x is not.",
        "a third of all numbers are off in the last place";
    THOUGHT_TO_SETTLE "#never-settles":
        "The weight is thought to come to rest at one code.",
        "It rests only where the gradient at its code is 0. Elsewhere the \
         pushes of both codes cancel in the long run, and the mean code is the \
         target.",
        "a share of 0 or 1";
    TWO_FORGOTTEN "#never-settles":
        "The 2 of the square's derivative is missing.",
        "The derivative of a square is twice what is squared.",
        "half the right pull or step";
    VQ_TERMS_SWAPPED "#a-codebook":
        "β is not where it belongs, on the commitment: the row is pulled with \
         full force, or the code with force β.",
        "The first term moves the code and has no β; the second moves the row \
         and has it.",
        "for β = 1 all is right; for β = ¼ the ratio of the two pulls is 16 \
         times too large";
    VQ_LOSS_AFTER_PATCH "#a-codebook":
        "The two pulls are computed from what was patched, z + sg(e - z), and \
         not from the code.",
        "Compute both terms from e before the straight path is put in.",
        "the code gets nothing, and the row is pushed away from it";
    VQ_NO_DETACH "#a-codebook":
        "Nothing is stopped: each term pulls on both the row and the code.",
        "In each term one of the two is a constant.",
        "both pulls are 1 + β times the distance";
    VQ_UPSTREAM_TO_CODE "#a-codebook":
        "What comes from above goes to the code, not to the row.",
        "The straight path leads to the row; the code learns from its own term \
         alone.",
        "dz lacks dq, or de has it";
    PULL_FORGOTTEN "#a-codebook":
        "One of the two pulls is left out, or both.",
        "The loss has two terms of the same value up to β, with a gradient for \
         the code and one for the row.",
        "the codes never move, or the rows are not held";
    PUSHED_AWAY "#a-codebook":
        "A pull has the wrong sign: row and code move apart.",
        "The row's gradient points from the code to the row, z - e, so that a \
         step goes to the code.",
        "the part with β has the wrong sign";
    CODE_BY_PRODUCT "#a-codebook":
        "The code with the largest product is chosen, not the nearest one.",
        "Take the smallest ‖z - e‖²; the product alone forgets ‖e‖².",
        "long codes are chosen too often";
    GUMBEL_SIGN "#a-draw-that-moves":
        "The noise has the wrong sign.",
        "g = -ln(-ln u) has two minus signs, and it is added.",
        "draws with (.170, .533, .298) for (.2, .5, .3)";
    PROBABILITIES_FOR_LOGITS "#a-draw-that-moves":
        "The noise is added to probabilities, not to logits.",
        "Add it to ln p, or to logits, which differ from ln p by a constant in \
         each row.",
        "draws with (.289, .391, .320) for (.2, .5, .3)";
    NOISE_NOT_COOLED "#a-draw-that-moves":
        "Only the logits are divided by τ, not the noise.",
        "The temperature divides the sum x + g.",
        "right for τ = 1 only";
    NOISE_FORGOTTEN "#a-draw-that-moves":
        "There is no noise in it: it is no draw.",
        "The maximum is taken of x + g.",
        "always the likeliest class";
    EXPONENTIAL_FOR_GUMBEL "#a-draw-that-moves":
        "One of the two logarithms of the noise is missing.",
        "-ln u is an exponential time; minus its logarithm is Gumbel's noise.",
        "noise of one sign only";
    LAST_OF_SEVERAL "#a-draw-that-moves":
        "Of several equal maxima, or of several nearest codes, the last one is \
         taken, not the first.",
        "The first one counts: look for a better one, not for one at least as \
         good. Rust's `max_by` keeps the last.",
        "right until two entries of a row, or two distances, are equal";
    HARD_BY_ROUNDING "#a-draw-that-moves":
        "The hard draw is the soft one rounded.",
        "It has exactly one 1 in each row, at the maximum, however small that \
         is.",
        "rows of nothing but zeros";
}

fn none() -> ArrayD<f64> {
    arr0(f64::NAN).into_dyn()
}

// ---- a grid -----------------------------------------------------------------

/// The weights of a case, each with what a mistake makes of its quotient by the
/// scale, or by 1.
fn by_codes(
    i: &Inputs,
    scales: [bool; 2],
    round: impl Fn(f64) -> f64,
) -> ArrayD<f64> {
    let g = grid(i);
    let of = |has: bool| if has { g.scale } else { 1. };
    let code = |w: f64| round(w / of(scales[0])).clamp(g.low, g.high);
    i.array("w").mapv(|w| of(scales[1]) * code(w))
}

/// Of the nearest values: `w`, `s`, `low`, `high`.
pub const QUANTISE: &[Wrong] = &[
    array("w_hat", &CODES_UNBOUNDED, |i| {
        let g = grid(i);
        i.array("w").mapv(|w| g.scale * g.code(w))
    }),
    ways("w_hat", &CODES_FOR_VALUES, 3, |i, _, way| {
        let scales = [[true, false], [false, true], [false, false]][way];
        by_codes(i, scales, f64::round_ties_even)
    }),
    ways("w_hat", &FLOOR_FOR_ROUND, 3, |i, _, way| {
        by_codes(i, [true; 2], [f64::floor, f64::trunc, f64::ceil][way])
    }),
    ways("w_hat", &ROUND_TIES, 2, |i, _, way| {
        by_codes(i, [true; 2], [f64::round, half_up][way])
    }),
];

fn half_up(v: f64) -> f64 {
    (v + 0.5).floor()
}

/// The cotangent where a weight passes, else 0.
fn masked(
    i: &Inputs,
    dw: &ArrayD<f64>,
    passes: impl Fn(f64) -> bool,
) -> ArrayD<f64> {
    let of = |w: &f64, d: &f64| if passes(*w) { *d } else { 0. };
    Zip::from(i.array("w")).and(dw).map_collect(of)
}

/// One end left open, or both.
fn open(i: &Inputs, dw: &ArrayD<f64>, way: usize) -> ArrayD<f64> {
    let g = grid(i);
    masked(i, dw, |w| match way {
        0 => true,
        1 => g.code(w) >= g.low,
        _ => g.code(w) <= g.high,
    })
}

/// One end shut, or both.
fn strict(i: &Inputs, dw: &ArrayD<f64>, way: usize) -> ArrayD<f64> {
    let g = grid(i);
    masked(i, dw, |w| {
        let at = [g.code(w) == g.low, g.code(w) == g.high];
        g.has(w) && !(at[0] && way != 1 || at[1] && way != 0)
    })
}

/// Cut at the value of one end, or of both.
fn at_values(i: &Inputs, dw: &ArrayD<f64>, way: usize) -> ArrayD<f64> {
    let g = grid(i);
    masked(i, dw, |w| match way {
        0 => (g.scale * g.low..=g.scale * g.high).contains(&w),
        1 => g.has(w) && w >= g.scale * g.low,
        _ => g.has(w) && w <= g.scale * g.high,
    })
}

/// The rows of a gradient that passes the grid, from that of the rounded weight.
macro_rules! on_grid {
    ($dw_hat:expr, $($more:expr),* $(,)?) => {
        &[
            ways("dw", &STE_NOT_CLIPPED, 3, |i, _, way| {
                open(i, &$dw_hat(i), way)
            }),
            ways("dw", &STE_STRICT_BOUND, 3, |i, _, way| {
                strict(i, &$dw_hat(i), way)
            }),
            ways("dw", &CLIP_AT_VALUES, 3, |i, _, way| {
                at_values(i, &$dw_hat(i), way)
            }),
            factor("dw", &SCALE_NOT_CANCELLED, |i| i.number("s")),
            factor("dw", &SCALE_NOT_CANCELLED, |i| 1. / i.number("s")),
            array("dw", &CODES_FOR_VALUES, |i| {
                let g = grid(i);
                masked(i, &$dw_hat(i), |w| {
                    (g.low..=g.high).contains(&w.round_ties_even())
                })
            }),
            $($more),*
        ]
    };
}

fn upstream(i: &Inputs) -> ArrayD<f64> {
    i.array("dy").clone()
}

/// Of the declared gradient: the same, and `dy`.
pub const QUANTISE_VJP: &[Wrong] = on_grid!(upstream,);

/// The same at halves and ends.
pub const AT_BOUNDS: &[Wrong] = on_grid!(
    upstream,
    ways("dw", &ROUND_TIES, 2, |i, _, way| {
        let (g, round) = (grid(i), [f64::round, half_up][way]);
        masked(i, &upstream(i), |w| {
            (g.low..=g.high).contains(&round(w / g.scale))
        })
    }),
    // At both kinks, whatever the code there.
    array("dw", &STE_NOT_CLIPPED, |i| {
        let g = grid(i);
        masked(i, &upstream(i), |w| {
            (g.low - 0.5..=g.high + 0.5).contains(&(w / g.scale))
        })
    }),
);

// ---- signs -----------------------------------------------------------------

/// Signs with other ideas of zero.
fn signs(w: ArrayView2<f64>, way: usize) -> Array2<f64> {
    w.mapv(|w| match way {
        0 if w == 0. => 0.,
        1 => w.signum(),
        2 if w == 0. => -1.,
        _ => w.signum(),
    })
}

/// Of a layer of signs: `x`, `w`.
pub const SIGNS: &[Wrong] = &[
    matrix("y", &LATENT_FOR_ROUNDED, |i| {
        i.matrix("x").dot(&i.matrix("w"))
    }),
    ways("y", &SIGN_OF_ZERO, 3, |i, _, way| {
        let signs = signs(i.matrix("w"), way);
        i.matrix("x").dot(&signs).into_dyn()
    }),
];

/// 1 where a number is within the clip.
fn within(a: ArrayView2<f64>) -> Array2<f64> {
    a.mapv(|a| if a.abs() <= 1. { 1. } else { 0. })
}

/// The columns' sums of a cotangent, for each input.
fn without_x(i: &Inputs) -> Array2<f64> {
    let sums = i.matrix("dy").sum_axis(Axis(0));
    let shape = i.matrix("w").dim();
    sums.broadcast(shape).expect("a row for each").to_owned()
}

/// Of its gradients: the same, and `dy`.
pub const SIGNS_VJP: &[Wrong] = &[
    matrix("dx", &LATENT_FOR_ROUNDED, |i| {
        i.matrix("dy").dot(&i.matrix("w").t())
    }),
    matrix("dx", &TRANSPOSE_MISSING, |i| {
        i.matrix("dy").dot(&sign(i.matrix("w")))
    }),
    matrix("dx", &STE_WRONG_NODE, |i| {
        let ones = Array2::ones(i.matrix("w").dim());
        i.matrix("dy").dot(&ones.t())
    }),
    ways("dx", &SIGN_OF_ZERO, 3, |i, _, way| {
        i.matrix("dy")
            .dot(&signs(i.matrix("w"), way).t())
            .into_dyn()
    }),
    made("dx", &CLIP_MISPLACED, |i, dx| dx * &within(i.matrix("x"))),
    matrix("dx", &CLIP_MISPLACED, |i| {
        let w = i.matrix("w");
        i.matrix("dy").dot(&(sign(w) * within(w)).t())
    }),
    array("dw", &STE_NOT_CLIPPED, sign_gradient),
    ways("dw", &STE_WRONG_NODE, 2, |i, _, way| {
        let lost = without_x(i);
        match way {
            0 => (lost * within(i.matrix("w"))).into_dyn(),
            _ => lost.into_dyn(),
        }
    }),
    ways("dw", &CLIP_MISPLACED, 2, |i, _, way| {
        let x = i.matrix("x").to_owned() * within(i.matrix("x"));
        let dw = x.t().dot(&i.matrix("dy"));
        match way {
            0 => (dw * within(i.matrix("w"))).into_dyn(),
            _ => dw.into_dyn(),
        }
    }),
];

/// The same at the ends of the clip.
pub const SIGNS_AT_BOUNDS: &[Wrong] = &[
    // One end shut, or both.
    ways("dw", &STE_STRICT_BOUND, 3, |i, _, way| {
        let dw = sign_gradient(i);
        masked(i, &dw, |w| match way {
            0 => w.abs() < 1.,
            1 => (-1. ..1.).contains(&w),
            _ => -1. < w && w <= 1.,
        })
    }),
    array("dw", &STE_NOT_CLIPPED, sign_gradient),
];

/// The gradient of the signs.
fn sign_gradient(i: &Inputs) -> ArrayD<f64> {
    i.matrix("x").t().dot(&i.matrix("dy")).into_dyn()
}

// ---- descents ---------------------------------------------------------------

fn walk(
    i: &Inputs,
    output: &str,
    step: impl Fn(f64, f64) -> f64,
) -> ArrayD<f64> {
    let (codes, w) = walked(i, step);
    match output {
        "codes" => Array1::from(codes).into_dyn(),
        _ => arr0(w).into_dyn(),
    }
}

/// Of a walk: `w`, `target`, `lr`, `steps`.
pub const WALK: &[Wrong] = &[
    array("w", &MASTER_WEIGHT_ROUNDED, |i| {
        walk(i, "w", |_, code| code - push(i, code, 2.))
    }),
    array("w", &LATENT_FOR_ROUNDED, |i| {
        walk(i, "w", |w, _| w - push(i, w, 2.))
    }),
    array("w", &STEP_UPHILL, |i| {
        walk(i, "w", |w, code| w + push(i, code, 2.))
    }),
    array("w", &TWO_FORGOTTEN, |i| {
        walk(i, "w", |w, code| w - push(i, code, 1.))
    }),
    array("w", &ALL_ZERO, |i| walk(i, "w", |w, _| w)),
    // It stays where the code is the nearest one to the target.
    array("w", &THOUGHT_TO_SETTLE, |i| {
        let best = i.number("target").round_ties_even();
        walk(i, "w", |w, code| match code == best {
            true => w,
            false => w - push(i, code, 2.),
        })
    }),
    array("codes", &LATENT_FOR_ROUNDED, |i| latents(i, |w| w)),
    array("codes", &FLOOR_FOR_ROUND, |i| latents(i, f64::floor)),
    ways("w", &ROUND_TIES, 3, other_ties),
    ways("codes", &ROUND_TIES, 3, other_ties),
];

/// Halves away from zero, up, or away from zero below it alone.
fn other_ties(i: &Inputs, output: &str, way: usize) -> ArrayD<f64> {
    let below = |w: f64| {
        if w < 0. {
            w.round()
        } else {
            w.round_ties_even()
        }
    };
    let round = [f64::round, half_up, below][way];
    let codes = std::cell::RefCell::new(Vec::new());
    let (_, w) = walked(i, |w, _| {
        let code = round(w);
        codes.borrow_mut().push(code);
        w - push(i, code, 2.)
    });
    match output {
        "codes" => Array1::from(codes.into_inner()).into_dyn(),
        _ => arr0(w).into_dyn(),
    }
}

/// What is made of each weight that a step begins with.
fn latents(i: &Inputs, of: impl Fn(f64) -> f64) -> ArrayD<f64> {
    let all = std::cell::RefCell::new(Vec::new());
    walked(i, |w, code| {
        all.borrow_mut().push(of(w));
        w - push(i, code, 2.)
    });
    Array1::from(all.into_inner()).into_dyn()
}

fn trained(i: &Inputs, how: &Training) -> Array1<f64> {
    Array1::from(losses(i, how).0)
}

fn shifted(right: &ArrayD<f64>, by: isize) -> ArrayD<f64> {
    let n = right.len() as isize;
    let at = |k: usize| (k as isize + by).clamp(0, n - 1) as usize;
    (0..right.len())
        .map(|k| right[[at(k)]])
        .collect::<Array1<_>>()
        .into_dyn()
}

/// Of a regression on a grid: `x`, `t`, `w`, `lr`, `steps` and the grid.
pub const TRAIN: &[Wrong] = &[
    ways(LOSSES, &MASTER_WEIGHT_ROUNDED, 2, |i, _, way| {
        let (from_rounded, held) = (true, way == 1);
        let how = Training {
            from_rounded,
            held,
            ..RIGHT
        };
        trained(i, &how).into_dyn()
    }),
    ways(LOSSES, &LATENT_FOR_ROUNDED, 3, |i, _, way| {
        let latent = [[false, true], [true, false], [true, true]][way];
        trained(i, &Training { latent, ..RIGHT }).into_dyn()
    }),
    vector(LOSSES, &STE_NOT_CLIPPED, |i| {
        let clipped = false;
        trained(i, &Training { clipped, ..RIGHT })
    }),
    vector(LOSSES, &STALE_FORWARD, |i| {
        trained(
            i,
            &Training {
                stale: true,
                ..RIGHT
            },
        )
    }),
    vector(LOSSES, &UPDATED_TOO_EARLY, |i| {
        let in_turn = true;
        trained(i, &Training { in_turn, ..RIGHT })
    }),
    vector(LOSSES, &WEIGHT_NOT_UPDATED, |i| {
        trained(i, &Training { times: 0., ..RIGHT })
    }),
    vector(LOSSES, &STEP_UPHILL, |i| {
        trained(
            i,
            &Training {
                times: -1.,
                ..RIGHT
            },
        )
    }),
    ways(LOSSES, &BATCH_MEAN_MISSING, 3, |i, _, way| {
        let n = i.matrix("x").nrows() as f64;
        let [times, of_loss] = [[n, 1.], [1., n], [n, n]][way];
        (trained(i, &Training { times, ..RIGHT }) * of_loss).into_dyn()
    }),
    ways(LOSSES, &HALF_FORGOTTEN, 3, |i, _, way| {
        let [times, of_loss] = [[2., 1.], [1., 2.], [2., 2.]][way];
        (trained(i, &Training { times, ..RIGHT }) * of_loss).into_dyn()
    }),
    made(LOSSES, &LOSSES_SHIFTED, |_, right| shifted(right, 1)),
    made(LOSSES, &LOSSES_SHIFTED, |_, right| shifted(right, -1)),
];

// ---- codebooks --------------------------------------------------------------

/// The last of the nearest codes of each row: the first from behind.
fn last_nearest(i: &Inputs) -> Vec<usize> {
    let e = i.matrix("e");
    let turned = vq::nearest(i.matrix("z"), e.slice(s![..;-1, ..]));
    turned.into_iter().map(|k| e.nrows() - 1 - k).collect()
}

/// Of codes and pulls: `z`, `e`, `beta`.
pub const CODEBOOK: &[Wrong] = &[
    matrix("q", &CODE_BY_PRODUCT, |i| {
        let e = i.matrix("e");
        let products = i.matrix("z").dot(&e.t());
        let best = gumbel::hard(products.view());
        best.dot(&e)
    }),
    matrix("q", &LAST_OF_SEVERAL, |i| {
        let (e, last) = (i.matrix("e"), last_nearest(i));
        e.select(Axis(0), &last)
    }),
    factor("l", &PULL_FORGOTTEN, |i| 1. / (1. + i.number("beta"))),
    factor("l", &PULL_FORGOTTEN, |i| {
        i.number("beta") / (1. + i.number("beta"))
    }),
    factor("l", &MEAN_OVER_ENTRIES, |i| {
        1. / i.matrix("z").ncols() as f64
    }),
];

/// Rows and codes, moving ones and those that are stopped.
struct Parts<'a> {
    z: ArrayView2<'a, f64>,
    e: Array2<f64>,
    z0: ArrayView2<'a, f64>,
    e0: Array2<f64>,
    beta: f64,
}

/// Squares of the rows' distances.
fn far(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Array1<f64> {
    (&a - &b).pow2().sum_axis(Axis(1))
}

impl Parts<'_> {
    fn straight(&self) -> Array2<f64> {
        &self.z + &(&self.e0 - &self.z0)
    }

    /// What the codebook's term sees, and the commitment.
    fn terms(&self) -> [Array1<f64>; 2] {
        [
            far(self.z0, self.e.view()),
            far(self.z, self.e0.view()) * self.beta,
        ]
    }
}

/// The gradient of another declaration.
fn declared(
    i: &Inputs,
    output: &str,
    how: impl Fn(&Parts) -> (Array2<f64>, Array1<f64>),
) -> ArrayD<f64> {
    declared_for(i, output, &chosen(i), how)
}

/// The same where the rows have chosen these codes.
fn declared_for(
    i: &Inputs,
    output: &str,
    k: &[usize],
    how: impl Fn(&Parts) -> (Array2<f64>, Array1<f64>),
) -> ArrayD<f64> {
    let forward = |i: &Inputs| {
        let [z, e, z0, e0] = ["z", "e", "z0", "e0"].map(|n| i.matrix(n));
        let [e, e0] = [e, e0].map(|e| e.select(Axis(0), k));
        let beta = i.number("beta");
        let (q, l) = how(&Parts { z, e, z0, e0, beta });
        joined(q, l)
    };
    slopes(forward, i, &output[1..], "dy")
}

/// Both terms, each so many times.
fn times(p: &Parts, [of_code, of_row]: [f64; 2]) -> Array1<f64> {
    let [code, row] = p.terms();
    code * of_code + row * of_row
}

/// Of their gradients: the same, and `dy`, which holds `dq` and `dl`.
pub const CODEBOOK_VJP: &[Wrong] = &[
    each(&VQ_TERMS_SWAPPED, |i, output| {
        declared(i, output, |p| {
            (p.straight(), times(p, [p.beta, 1. / p.beta]))
        })
    }),
    array("dz", &VQ_LOSS_AFTER_PATCH, |i| {
        declared(i, "dz", |p| {
            let q = p.straight();
            let pulls = far(p.z0, q.view()) + &p.terms()[1];
            (q, pulls)
        })
    }),
    each(&VQ_NO_DETACH, |i, output| {
        declared(i, output, |p| {
            (p.straight(), far(p.z, p.e.view()) * (1. + p.beta))
        })
    }),
    each(&VQ_UPSTREAM_TO_CODE, |i, output| {
        declared(i, output, |p| (p.e.clone(), times(p, [1., 1.])))
    }),
    // For the code it would be zeros, which have many causes.
    array("dz", &PULL_FORGOTTEN, |i| {
        declared(i, "dz", |p| (p.straight(), times(p, [1., 0.])))
    }),
    each(&PUSHED_AWAY, |i, output| match output {
        // For the code that is the sign of all there is.
        "de" => none(),
        _ => declared(i, output, |p| (p.straight(), times(p, [1., -1.]))),
    }),
    each(&TWO_FORGOTTEN, |i, output| {
        declared(i, output, |p| (p.straight(), times(p, [0.5, 0.5])))
    }),
    each(&MEAN_OVER_ENTRIES, |i, output| {
        declared(i, output, |p| {
            let share = 1. / p.z.ncols() as f64;
            (p.straight(), times(p, [share, share]))
        })
    }),
    each(&LAST_OF_SEVERAL, |i, output| {
        declared_for(i, output, &last_nearest(i), |p| {
            (p.straight(), times(p, [1., 1.]))
        })
    }),
    ways("de", &GRAD_OVERWRITTEN, 2, |i, _, way| {
        let (k, mut only) = (chosen(i), i.clone());
        let others = |n: usize| match way {
            0 => k[n + 1..].contains(&k[n]),
            _ => k[..n].contains(&k[n]),
        };
        for (n, mut dy) in only.array_mut("dy").outer_iter_mut().enumerate() {
            if others(n) {
                dy.fill(0.);
            }
        }
        declared(&only, "de", |p| (p.straight(), times(p, [1., 1.])))
    }),
];

// ---- draws -------------------------------------------------------------------

fn with_noise(i: &Inputs, noise: impl Fn(f64) -> f64, tau: f64) -> Array2<f64> {
    let g = i.matrix("u").mapv(noise);
    gumbel::forward(i.matrix("x"), g.view(), tau)
}

fn gumbel_noise(u: f64) -> f64 {
    -(-u.ln()).ln()
}

/// Of draws: `x`, `u`, `tau`.
pub const GUMBEL: &[Wrong] = &[
    matrix("soft", &GUMBEL_SIGN, |i| {
        with_noise(i, |u| -gumbel_noise(u), i.number("tau"))
    }),
    matrix("soft", &PROBABILITIES_FOR_LOGITS, |i| {
        let p = softmax::forward(i.matrix("x"));
        let g = i.matrix("u").mapv(gumbel_noise);
        gumbel::forward(p.view(), g.view(), i.number("tau"))
    }),
    matrix("soft", &TEMPERATURE_FORGOTTEN, |i| {
        with_noise(i, gumbel_noise, 1.)
    }),
    matrix("soft", &TEMPERATURE_INVERTED, |i| {
        with_noise(i, gumbel_noise, 1. / i.number("tau"))
    }),
    matrix("soft", &NOISE_NOT_COOLED, |i| {
        let cold = i.matrix("x").to_owned() / i.number("tau");
        let g = i.matrix("u").mapv(gumbel_noise);
        gumbel::forward(cold.view(), g.view(), 1.)
    }),
    ways("soft", &EXPONENTIAL_FOR_GUMBEL, 2, |i, _, way| {
        let sign = [1., -1.][way];
        with_noise(i, |u| sign * u.ln(), i.number("tau")).into_dyn()
    }),
    matrix("soft", &NOISE_FORGOTTEN, |i| {
        with_noise(i, |_| 0., i.number("tau"))
    }),
    matrix("hard", &NOISE_FORGOTTEN, |i| gumbel::hard(i.matrix("x"))),
    matrix("hard", &LAST_OF_SEVERAL, |i| {
        let turned = |y: Array2<f64>| y.slice_move(s![.., ..;-1]);
        turned(gumbel::hard(turned(soft(i)).view()))
    }),
    matrix("hard", &HARD_BY_ROUNDING, |i| soft(i).mapv(f64::round)),
];

/// Of their gradient: `dy`, `x`, `u`, `tau`.
pub const GUMBEL_VJP: &[Wrong] = &[
    factor("dx", &TEMPERATURE_FORGOTTEN, |i| i.number("tau")),
    factor("dx", &TEMPERATURE_TWICE, |i| 1. / i.number("tau")),
    factor("dx", &TEMPERATURE_INVERTED, |i| i.number("tau").powi(2)),
    array("dx", &UPSTREAM_ONLY, upstream),
    // One scalar for all rows, or a sum that runs on.
    ways("dx", &ONE_DOT_FOR_BATCH, 2, |i, _, way| {
        let (y, dy) = (soft(i), i.matrix("dy"));
        let mut dots = (&y * &dy).sum_axis(Axis(1));
        match way {
            0 => dots = Array1::from_elem(dots.len(), dots.sum()),
            _ => dots.accumulate_axis_inplace(Axis(0), |a, b| *b += a),
        }
        let off = &dy - &dots.insert_axis(Axis(1));
        (y * off / i.number("tau")).into_dyn()
    }),
    ways("dx", &DIAGONAL_JACOBIAN, 2, |i, _, way| {
        let (y, tau) = (soft(i), [i.number("tau"), 1.][way]);
        (&y * &(1. - &y) * i.matrix("dy") / tau).into_dyn()
    }),
];

// ---- the hunt ----------------------------------------------------------------

fn of_neuron(i: &Inputs) -> ArrayD<f64> {
    i.matrix("x").t().dot(&i.vector("dy")).into_dyn()
}

fn neuron_without_x(i: &Inputs) -> ArrayD<f64> {
    let sum = i.vector("dy").sum();
    Array1::from_elem(i.vector("w").len(), sum).into_dyn()
}

/// Of a rounded neuron: `x`, `w`, `dy` and the grid.
pub const HUNT: &[Wrong] = on_grid!(
    of_neuron,
    ways("dw", &STE_WRONG_NODE, 2, |i, _, way| {
        let (g, lost) = (grid(i), neuron_without_x(i));
        masked(i, &lost, |w| way == 1 || g.has(w))
    }),
    matrix("dx", &LATENT_FOR_ROUNDED, |i| outer(i, |w| w)),
    matrix("dx", &CLIP_MISPLACED, |i| {
        let g = grid(i);
        let w_hat = quantise(i.vector("w"), g);
        let w = i.vector("w");
        let cut = Zip::from(&w).and(&w_hat);
        let cut = cut.map_collect(|w, q| if g.has(*w) { *q } else { 0. });
        let dy = i.vector("dy").insert_axis(Axis(1));
        dy.dot(&cut.insert_axis(Axis(0)))
    }),
    matrix("dx", &CODES_FOR_VALUES, |i| {
        let g = grid(i);
        outer(i, |w| g.code(w).clamp(g.low, g.high))
    }),
);

fn outer(i: &Inputs, of: impl Fn(f64) -> f64) -> Array2<f64> {
    let w = i.vector("w").mapv(of);
    let dy = i.vector("dy").insert_axis(Axis(1));
    dy.dot(&w.insert_axis(Axis(0)))
}
