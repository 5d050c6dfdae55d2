//! The mistakes of attention, and what each returns.

use super::{Layer, blocks, cross_forward, grouped, head, joined};
use crate::calculus::chain_rule::mistakes::FACTORS_SWAPPED;
use crate::general::{
    GRAD_OVERWRITTEN, ONE_EXAMPLE_ONLY, RESHAPED_NOT_TRANSPOSED,
};
use crate::judge::{
    EVERY, Inputs, Wrong, array, each, factor, made, matrix, slopes, ways,
};
use crate::network::linear::mistakes::{TRANSPOSE_MISSING, reshaped};
use crate::network::softmax_cross_entropy::mistakes::{
    DIAGONAL_DROPPED, DIAGONAL_JACOBIAN, DOT_DROPPED, JACOBIAN_SKIPPED,
    LOGITS_CLIPPED, LOGITS_FOR_PROBABILITIES, ONE_DOT_FOR_BATCH,
    PLAIN_SUM_FOR_DOT, PROBABILITY_FACTOR_DROPPED, SOFTMAX_AXIS,
    SUM_NOT_DIFFERENCE,
};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array2, ArrayD, ArrayView2, Axis, s};

crate::names! { "transformer/attention.md";
    ATTN_SCALE_MISSING "#coming-down":
        "The factor 1/√d is missing, or is there twice.",
        "The scores are products divided by √d, once: forward, and once more \
         on the way back to q and to k.",
        "dq and dk off by √d or 1/√d, dv right; with d = 1 all is right";
    SCALE_AFTER_SOFTMAX "#one-query":
        "The factor 1/√d stands outside of the softmax.",
        "Divide the scores, not the probabilities: rows of p sum to 1.",
        "rows of p sum to 1/√d";
    SCALE_OF_MODEL_WIDTH "#many-heads":
        "The scores are divided by the root of another width than the head's.",
        "A score is a sum of d products, d the width of one head; with H heads \
         side by side the array is H·d wide.",
        "scores too small by √H; every gradient check passes; with one head \
         all is right";
    HEADS_NOT_TRANSPOSED "#many-heads":
        "The heads' outputs are written one after another instead of side by \
         side.",
        "Each token's row holds all heads: (H,T,e) has to be transposed to \
         (T,H,e) before it is cut into rows of H·e.",
        "the right numbers in other places; with one head or one token all is \
         right; the first row holds later tokens";
    GQA_TILED "#many-heads":
        "The query heads take turns at the shared keys.",
        "Neighbours share: head h reads key head h·K/H, rounded down.",
        "key heads 0, 1, 0, 1 where 0, 0, 1, 1 belong; right if K is 1 or H";
    GQA_NOT_SUMMED "#many-heads":
        "A shared key or value gets the gradient of one of its query heads, or \
         their mean.",
        "A variable that is used several times gets the sum of what comes back \
         from every use.",
        "dk and dv too small, dq right; right if no head shares";
    QKV_LAYOUT "#many-heads":
        "The columns of keys and values are cut in another order than they are \
         stored in.",
        "Head by head, or all keys before all values: ask how the array was \
         made. The shapes fit either way.",
        "some values are read as keys; with one head of keys all is right";
    MASK_FORGOTTEN "#the-mask":
        "There is no mask: every query sees every key.",
        "In a text that is being written, a token sees itself and those before \
         it.",
        "right for the last row only; a later token moves an earlier output";
    MASK_INVERTED "#the-mask":
        "The mask is read the other way round: what was to be hidden is kept.",
        "Say what true means, keep or drop, where the mask is made and where \
         it is used.",
        "p is 0 below the diagonal; the last query sees nothing, or itself";
    MASK_TO_ZERO "#the-mask":
        "Hidden scores are set to 0 instead of -∞.",
        "Zero is a score like others, with the exponential 1. Only e^(-∞) is \
         0.",
        "p is not 0 above the diagonal; the last row is right";
    MASK_AFTER_SOFTMAX "#the-mask":
        "The mask is applied to the probabilities, which are not normalised \
         again.",
        "Hide the score before the softmax: the denominator must not count \
         what is hidden.",
        "rows of p sum to less than 1, but the last";
    MASK_OFF_BY_ONE "#the-mask":
        "The diagonal of the mask is off by one: a token does not see itself, \
         or sees the next.",
        "A token sees itself and those before it; what it has to predict comes \
         after it.",
        "one entry too few, or too many, in every row";
    CAUSAL_ALIGNMENT "#the-mask":
        "The mask begins at the upper left corner, as if the first query stood \
         beside the first key.",
        "The queries are the last of the text: query i stands beside key \
         i + S - T.",
        "right if there are as many keys as queries; a single new query sees \
         key 0 alone";
    MASK_FULL_ROW "#the-mask":
        "A query that sees nothing gets numbers all the same.",
        "A row of nothing but -∞ has no softmax: say what it gives before you \
         divide 0 by 0.",
        "NaN; or, with a large negative number for -∞, a row that attends to \
         everything";
    CROSS_SOURCE "#many-heads":
        "Keys and values are taken from the text that asks.",
        "In cross-attention only the queries come from x; keys and values come \
         from the other text.",
        "the other text gets no gradient; shapes fit if both are equally long";
    INPUT_PATH_FORGOTTEN "#many-heads":
        "One of the paths into an input is forgotten.",
        "An input that is used for keys and for values gets the sum of what \
         comes back along both; in self-attention there is a third, the \
         queries.",
        "the gradient of that input is too small, all others are right";
}

fn root(i: &Inputs) -> f64 {
    (i.matrix("q").ncols() as f64).sqrt()
}

fn products(i: &Inputs) -> Array2<f64> {
    i.matrix("q").dot(&i.matrix("k").t())
}

fn by_rows(s: Array2<f64>) -> Array2<f64> {
    softmax::forward(s.view())
}

/// What people hold scores between, and its negative.
const LIMITS: [f64; 9] = [20., 30., 50., 80., 88., 100., 500., 700., 709.];

/// Scores held between a limit and its negative, but those that are hidden.
fn clipped(s: Array2<f64>, way: usize) -> Array2<f64> {
    let most = LIMITS[way];
    s.mapv_into(|s| if s == NONE { s } else { s.clamp(-most, most) })
}

/// Of one head: `q`, `k`, `v`. What is wrong in `p` is wrong in `y`.
pub const FORWARD: &[Wrong] = &[
    matrix("p", &ATTN_SCALE_MISSING, |i| by_rows(products(i))),
    matrix("p", &ATTN_SCALE_MISSING, |i| {
        by_rows(products(i) / root(i) / root(i))
    }),
    matrix("p", &ATTN_SCALE_MISSING, |i| by_rows(products(i) * root(i))),
    // The width of the values, the number of queries, of keys.
    ways("p", &SCALE_OF_MODEL_WIDTH, 3, |i, _, way| {
        let (t, n) = (i.matrix("q").nrows(), i.matrix("k").nrows());
        let width = [i.matrix("v").ncols(), t, n][way] as f64;
        by_rows(products(i) / width.sqrt()).into_dyn()
    }),
    matrix("p", &SCALE_AFTER_SOFTMAX, |i| {
        by_rows(products(i)) / root(i)
    }),
    matrix("p", &SOFTMAX_AXIS, |i| {
        let s = products(i) / root(i);
        softmax::forward(s.t()).reversed_axes()
    }),
    matrix("p", &TRANSPOSE_MISSING, |i| {
        by_rows(i.matrix("q").dot(&i.matrix("k")) / root(i))
    }),
    matrix("p", &RESHAPED_NOT_TRANSPOSED, |i| {
        by_rows(i.matrix("q").dot(&reshaped(i.matrix("k"))) / root(i))
    }),
    ways("p", &LOGITS_CLIPPED, LIMITS.len(), |i, _, way| {
        by_rows(clipped(products(i) / root(i), way)).into_dyn()
    }),
    // Where `p` is right: the scores, divided by their root or not.
    ways("y", &LOGITS_FOR_PROBABILITIES, 2, |i, _, way| {
        let by = [root(i), 1.][way];
        (products(i) / by).dot(&i.matrix("v")).into_dyn()
    }),
];

type Of<'a> = &'a dyn Fn(ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;

/// `dq` or `dk` with another gradient of the scores, made of `p` and `dp`.
fn through(i: &Inputs, output: &str, ds: Of) -> ArrayD<f64> {
    let p = head(i).1;
    let dp = i.matrix("dy").dot(&i.matrix("v").t());
    let s = ds(p.view(), dp.view()) / root(i);
    match output {
        "dq" => s.dot(&i.matrix("k")).into_dyn(),
        _ => s.t().dot(&i.matrix("q")).into_dyn(),
    }
}

/// A number for each row, beside every entry of it.
fn per_row(a: Array2<f64>) -> Array2<f64> {
    a.sum_axis(Axis(1)).insert_axis(Axis(1))
}

/// `dq` and `dk` with a wrong softmax inside.
macro_rules! of_scores {
    ($output:expr, $mistake:expr, $ds:expr) => {
        array($output, $mistake, |i| through(i, $output, &$ds))
    };
}

/// What can be wrong between the probabilities and `dq` or `dk`.
macro_rules! inside {
    ($output:expr) => {
        [
            factor($output, &ATTN_SCALE_MISSING, root),
            factor($output, &ATTN_SCALE_MISSING, |i| root(i).recip()),
            of_scores!($output, &DIAGONAL_JACOBIAN, |p, dp| {
                &p * &(1. - &p) * dp
            }),
            of_scores!($output, &DOT_DROPPED, |p, dp| &p * &dp),
            of_scores!($output, &DIAGONAL_DROPPED, |p, dp| {
                &p * &(&p * &dp - per_row(&p * &dp))
            }),
            of_scores!($output, &GRAD_OVERWRITTEN, |p, dp| {
                let last = (&p * &dp).column(p.ncols() - 1).to_owned();
                &p * &(&dp - &last.insert_axis(Axis(1)))
            }),
            of_scores!($output, &SUM_NOT_DIFFERENCE, |p, dp| {
                &p * &(&dp + &per_row(&p * &dp))
            }),
            of_scores!($output, &JACOBIAN_SKIPPED, |_, dp| dp.to_owned()),
            of_scores!($output, &PLAIN_SUM_FOR_DOT, |p, dp| {
                &p * &(&dp - &per_row(dp.to_owned()))
            }),
            of_scores!($output, &PROBABILITY_FACTOR_DROPPED, |p, dp| {
                &dp - &per_row(&p * &dp)
            }),
            of_scores!($output, &SOFTMAX_AXIS, |p, dp| {
                &p * &(&dp - &(&p * &dp).sum_axis(Axis(0)))
            }),
            of_scores!($output, &ONE_DOT_FOR_BATCH, |p, dp| {
                &p * &(&dp - (&p * &dp).sum())
            }),
            of_scores!($output, &ONE_DOT_FOR_BATCH, |p, dp| {
                let mut dots = per_row(&p * &dp);
                dots.accumulate_axis_inplace(Axis(0), |a, b| *b += a);
                &p * &(&dp - &dots)
            }),
        ]
    };
}

const DQ_AND_DK: [[Wrong; 13]; 2] = [inside!("dq"), inside!("dk")];

/// The gradient of the scores not turned where it has to be, or a product with
/// the wrong partner. These run only where there are as many queries as keys.
const SQUARE: [Wrong; 5] = [
    matrix("dv", &TRANSPOSE_MISSING, |i| head(i).1.dot(&i.matrix("dy"))),
    matrix("dq", &TRANSPOSE_MISSING, |i| {
        scores(i).t().dot(&i.matrix("k"))
    }),
    matrix("dk", &TRANSPOSE_MISSING, |i| scores(i).dot(&i.matrix("q"))),
    matrix("dq", &FACTORS_SWAPPED, |i| scores(i).dot(&i.matrix("q"))),
    matrix("dk", &FACTORS_SWAPPED, |i| {
        scores(i).t().dot(&i.matrix("k"))
    }),
];

/// Probabilities that are not those which were given: made again without their
/// mask, or scores in their place.
const NOT_P: [Wrong; 5] = [
    each(&MASK_FORGOTTEN, |i, output| {
        let open = i.clone().without("causal");
        slopes(|i| head(i).0.into_dyn(), &open, &output[1..], "dy")
    }),
    matrix("dv", &LOGITS_FOR_PROBABILITIES, |i| {
        (products(i) / root(i)).t().dot(&i.matrix("dy"))
    }),
    // Queries that see nothing attend to everything.
    each(&MASK_FULL_ROW, |i, output| {
        let f = |i: &Inputs| {
            let p = with_rows(i, |s| by_rows(&s * 0.));
            p.dot(&i.matrix("v")).into_dyn()
        };
        match i.flag("causal") {
            true => slopes(f, i, &output[1..], "dy"),
            false => ArrayD::from_elem(vec![], f64::NAN),
        }
    }),
    array("dv", &GRAD_OVERWRITTEN, |i| {
        of_query(i, i.matrix("q").nrows() - 1)
    }),
    array("dv", &ONE_EXAMPLE_ONLY, |i| of_query(i, 0)),
];

/// The gradient of the values from one query alone.
fn of_query(i: &Inputs, query: usize) -> ArrayD<f64> {
    let p = head(i).1.slice_move(s![query..=query, ..]);
    p.t()
        .dot(&i.matrix("dy").slice(s![query..=query, ..]))
        .into_dyn()
}

/// Of the gradients of one head: `q`, `k`, `v`, `causal`, cotangent `dy`.
pub const VJP: &[Wrong] = &{
    const INSIDE: &[Wrong] = DQ_AND_DK.as_flattened();
    const AFTER: usize = SQUARE.len() + NOT_P.len();
    let mut all = [SQUARE[0]; AFTER + INSIDE.len()];
    let mut k = 0;
    while k < all.len() {
        all[k] = if k < SQUARE.len() {
            SQUARE[k]
        } else if k < AFTER {
            NOT_P[k - SQUARE.len()]
        } else {
            INSIDE[k - AFTER]
        };
        k += 1;
    }
    all
};

/// The gradient of `q·kᵀ`, by differences.
fn scores(i: &Inputs) -> Array2<f64> {
    let of_scores = |i: &Inputs| {
        let mut s = i.matrix("s").to_owned() / root(i);
        let past = s.ncols() as isize - s.nrows() as isize;
        for ((a, b), s) in s.indexed_iter_mut() {
            if i.flag("causal") && b as isize > a as isize + past {
                *s = NONE;
            }
        }
        by_rows(s).dot(&i.matrix("v")).into_dyn()
    };
    let i = i.clone().with("s", products(i));
    let ds = slopes(of_scores, &i, "s", "dy");
    ds.into_dimensionality().expect("a matrix")
}

/// The scores, those that are hidden replaced: `hide(query, key)`, where the
/// query is counted from the first key.
fn masked(
    i: &Inputs,
    hide: impl Fn(isize, isize) -> bool,
    by: f64,
) -> Array2<f64> {
    let mut s = products(i) / root(i);
    let past = s.ncols() as isize - s.nrows() as isize;
    for ((a, b), s) in s.indexed_iter_mut() {
        if hide(a as isize + past, b as isize) {
            *s = by;
        }
    }
    s
}

/// The softmax of every row in which something is left, else zeros.
fn by_rows_or_zeros(s: Array2<f64>) -> Array2<f64> {
    let mut p = Array2::zeros(s.dim());
    for (s, mut p) in s.rows().into_iter().zip(p.rows_mut()) {
        if s.iter().any(|s| *s > f64::NEG_INFINITY) {
            let row = softmax::forward(s.insert_axis(Axis(0)));
            p.assign(&row.row(0));
        }
    }
    p
}

const NONE: f64 = f64::NEG_INFINITY;

/// The right probabilities, but in the rows that see nothing.
fn with_rows(
    i: &Inputs,
    empty: impl Fn(ArrayView2<f64>) -> Array2<f64>,
) -> Array2<f64> {
    let mut p = by_rows_or_zeros(masked(i, |a, b| b > a, NONE));
    let s = masked(i, |_, _| false, NONE);
    for k in 0..s.nrows().saturating_sub(s.ncols()) {
        p.slice_mut(s![k..=k, ..])
            .assign(&empty(s.slice(s![k..=k, ..])));
    }
    p
}

/// Of one head with a mask: `q`, `k`, `v`.
pub const CAUSAL: &[Wrong] = &[
    matrix("p", &MASK_INVERTED, |i| {
        by_rows_or_zeros(masked(i, |a, b| b <= a, NONE))
    }),
    matrix("p", &MASK_INVERTED, |i| {
        by_rows_or_zeros(masked(i, |a, b| b < a, NONE))
    }),
    matrix("p", &MASK_TO_ZERO, |i| by_rows(masked(i, |a, b| b > a, 0.))),
    matrix("p", &MASK_AFTER_SOFTMAX, |i| {
        let hidden = masked(i, |a, b| b > a, NONE);
        let shown = hidden.mapv(|s| f64::from(s > NONE));
        by_rows(masked(i, |_, _| false, NONE)) * shown
    }),
    matrix("p", &MASK_OFF_BY_ONE, |i| {
        by_rows_or_zeros(masked(i, |a, b| b >= a, NONE))
    }),
    matrix("p", &MASK_OFF_BY_ONE, |i| {
        by_rows_or_zeros(masked(i, |a, b| b > a + 1, NONE))
    }),
    matrix("p", &CAUSAL_ALIGNMENT, |i| {
        let past =
            i.matrix("k").nrows() as isize - i.matrix("q").nrows() as isize;
        by_rows_or_zeros(masked(i, |a, b| b > a - past, NONE))
    }),
    matrix("p", &MASK_FULL_ROW, |i| {
        with_rows(i, |s| by_rows(s.to_owned()))
    }),
    matrix("p", &MASK_FULL_ROW, |i| with_rows(i, |s| by_rows(&s * 0.))),
    matrix("p", &ATTN_SCALE_MISSING, |i| {
        let s = masked(i, |a, b| b > a, NONE) * root(i);
        by_rows_or_zeros(s)
    }),
    matrix("p", &ATTN_SCALE_MISSING, |i| {
        let s = masked(i, |a, b| b > a, NONE) / root(i);
        by_rows_or_zeros(s)
    }),
    matrix("p", &SCALE_AFTER_SOFTMAX, |i| {
        let s = masked(i, |a, b| b > a, NONE) * root(i);
        by_rows_or_zeros(s) / root(i)
    }),
    matrix("p", &SOFTMAX_AXIS, |i| {
        let s = masked(i, |a, b| b > a, NONE).reversed_axes();
        by_rows_or_zeros(s).reversed_axes()
    }),
    matrix("p", &MASK_FORGOTTEN, |i| {
        by_rows(masked(i, |_, _| false, NONE))
    }),
    // Where `p` is right and another one was used.
    matrix("y", &MASK_FORGOTTEN, |i| {
        by_rows(masked(i, |_, _| false, NONE)).dot(&i.matrix("v"))
    }),
    matrix("y", &MASK_AFTER_SOFTMAX, |i| {
        let hidden = masked(i, |a, b| b > a, NONE);
        let shown = hidden.mapv(|s| f64::from(s > NONE));
        let p = by_rows(masked(i, |_, _| false, NONE)) * shown;
        p.dot(&i.matrix("v"))
    }),
    matrix("y", &MASK_FULL_ROW, |i| {
        with_rows(i, |s| by_rows(s.to_owned())).dot(&i.matrix("v"))
    }),
    matrix("y", &MASK_FULL_ROW, |i| {
        with_rows(i, |s| by_rows(&s * 0.)).dot(&i.matrix("v"))
    }),
    matrix("y", &LOGITS_FOR_PROBABILITIES, |i| {
        masked(i, |a, b| b > a, 0.).dot(&i.matrix("v"))
    }),
    ways("p", &LOGITS_CLIPPED, LIMITS.len(), |i, _, way| {
        let s = clipped(masked(i, |a, b| b > a, NONE), way);
        by_rows_or_zeros(s).into_dyn()
    }),
    matrix("p", &RESHAPED_NOT_TRANSPOSED, |i| {
        let s = i.matrix("q").dot(&reshaped(i.matrix("k"))) / root(i);
        let hidden = masked(i, |a, b| b > a, NONE);
        let kept = ndarray::Zip::from(&s)
            .and(&hidden)
            .map_collect(|s, h| if *h == NONE { NONE } else { *s });
        by_rows_or_zeros(kept)
    }),
];

/// What turns a right layer of several heads into a wrong one.
fn like(i: &Inputs, change: impl FnOnce(&mut Layer)) -> Array2<f64> {
    let mut layer = Layer::of(i);
    change(&mut layer);
    grouped(i, &layer)
}

fn tiled(i: &Inputs) -> Array2<f64> {
    like(i, |l| l.tiled = true)
}

fn other_layout(i: &Inputs) -> Array2<f64> {
    like(i, |l| l.keys_first = true)
}

fn in_blocks(i: &Inputs) -> Array2<f64> {
    like(i, |l| l.in_blocks = true)
}

/// Of several heads: `q`, `kv`, `heads`, `keys`.
pub const GROUPED: &[Wrong] = &[
    matrix("y", &GQA_TILED, tiled),
    matrix("y", &QKV_LAYOUT, other_layout),
    matrix("y", &HEADS_NOT_TRANSPOSED, in_blocks),
    matrix("y", &SCALE_OF_MODEL_WIDTH, |i| {
        like(i, |l| l.scale = (i.matrix("q").ncols() as f64).sqrt())
    }),
    matrix("y", &SCALE_OF_MODEL_WIDTH, |i| {
        like(i, |l| l.scale = i.number("heads").sqrt())
    }),
    matrix("y", &ATTN_SCALE_MISSING, |i| like(i, |l| l.scale = 1.)),
];

/// The input that a gradient belongs to.
fn of(output: &str) -> &'static str {
    match output {
        "dq" => "q",
        _ => "kv",
    }
}

/// The gradient of a forward pass that is wrong.
fn of_forward(
    f: fn(&Inputs) -> Array2<f64>,
    i: &Inputs,
    output: &str,
) -> ArrayD<f64> {
    slopes(|i| f(i).into_dyn(), i, of(output), "dy")
}

/// The gradient of keys and values from one query head of each group.
fn from_one(i: &Inputs, which: fn(usize) -> usize) -> ArrayD<f64> {
    let heads = i.whole("heads") as usize;
    let group = heads / i.whole("keys") as usize;
    let mut i = i.clone();
    for (h, at) in blocks(i.matrix("dy").ncols(), heads).enumerate() {
        if h % group != which(group) {
            let dy = i.array_mut("dy");
            dy.slice_axis_mut(Axis(1), at.into()).fill(0.);
        }
    }
    slopes(|i| grouped(i, &Layer::of(i)).into_dyn(), &i, "kv", "dy")
}

/// Of the gradients of several heads: `q`, `kv`, `heads`, `keys`, `dy`.
pub const GROUPED_VJP: &[Wrong] = &[
    array("dkv", &GQA_NOT_SUMMED, |i| from_one(i, |group| group - 1)),
    array("dkv", &GQA_NOT_SUMMED, |i| from_one(i, |_| 0)),
    factor("dkv", &GQA_NOT_SUMMED, |i| {
        i.number("keys") / i.number("heads")
    }),
    each(&GQA_TILED, |i, output| of_forward(tiled, i, output)),
    each(&QKV_LAYOUT, |i, output| of_forward(other_layout, i, output)),
    each(&HEADS_NOT_TRANSPOSED, |i, output| {
        of_forward(in_blocks, i, output)
    }),
    array("dkv", &GQA_TILED, |i| {
        let was = i.matrix("kv").to_owned();
        let f = |i: &Inputs| {
            let mut layer = Layer::of(i);
            layer.handed_in_turn = Some(was.clone());
            grouped(i, &layer).into_dyn()
        };
        slopes(f, i, "kv", "dy")
    }),
    // Scores divided by the root of all heads' width.
    each(&SCALE_OF_MODEL_WIDTH, |i, output| {
        let wide = |i: &Inputs| {
            like(i, |l| l.scale = (i.matrix("q").ncols() as f64).sqrt())
        };
        of_forward(wide, i, output)
    }),
    made("dkv", &QKV_LAYOUT, |i, right| {
        let right = right.view().into_dimensionality().expect("a matrix");
        joined(i, right).into_dyn()
    }),
];

/// Of the gradients of cross-attention with its projections: `x`, `m`, `wq`,
/// `wk`, `wv`, `wo`, `dy`.
pub const CROSS: &[Wrong] = &[
    array("dx", &CROSS_SOURCE, |i| from_itself(i, "x")),
    array("dwq", &CROSS_SOURCE, |i| from_itself(i, "wq")),
    array("dwk", &CROSS_SOURCE, |i| from_itself(i, "wk")),
    array("dwv", &CROSS_SOURCE, |i| from_itself(i, "wv")),
    array("dwo", &CROSS_SOURCE, |i| from_itself(i, "wo")),
    each(&ATTN_SCALE_MISSING, |i, output| scaled(i, output, 1.)),
    each(&ATTN_SCALE_MISSING, |i, output| scaled(i, output, -1.)),
    // The width of the texts, of the values, of the output.
    ways(EVERY, &SCALE_OF_MODEL_WIDTH, 3, |i, output, way| {
        let width = [
            i.matrix("x").ncols(),
            i.matrix("wv").ncols(),
            i.matrix("wo").ncols(),
        ][way];
        let f = |i: &Inputs| {
            let by = i.matrix("wq").ncols() as f64 / width as f64;
            let mut i = i.clone();
            *i.array_mut("wq") *= by.sqrt();
            let m = i.matrix("m");
            cross_forward(&i, m, m).into_dyn()
        };
        slopes(f, i, &output[1..], "dy")
    }),
    array("dm", &INPUT_PATH_FORGOTTEN, |i| one_path(i, "keys")),
    array("dm", &INPUT_PATH_FORGOTTEN, |i| one_path(i, "values")),
];

/// The gradient where what comes back through the scores is √d times too large,
/// or too small: all of those of queries and keys, of the other text one path.
fn scaled(i: &Inputs, output: &str, power: f64) -> ArrayD<f64> {
    let root = (i.matrix("wq").ncols() as f64).sqrt().powf(power);
    let of = &output[1..];
    let right = |i: &Inputs, of: &str| {
        let f = |i: &Inputs| {
            let m = i.matrix("m");
            cross_forward(i, m, m).into_dyn()
        };
        slopes(f, i, of, "dy")
    };
    match of {
        "x" | "wq" | "wk" => right(i, of) * root,
        "m" => one_path(i, "keys") * root + one_path(i, "values"),
        _ => right(i, of),
    }
}

/// The gradient where keys and values come from the text that asks.
fn from_itself(i: &Inputs, of: &str) -> ArrayD<f64> {
    let f = |i: &Inputs| {
        let x = i.matrix("x");
        cross_forward(i, x, x).into_dyn()
    };
    slopes(f, i, of, "dy")
}

/// The gradient of the other text along one of its two paths.
fn one_path(i: &Inputs, path: &'static str) -> ArrayD<f64> {
    let i = i.clone().with("path", i.array("m").clone());
    let f = |i: &Inputs| {
        let (m, moved) = (i.matrix("m"), i.matrix("path"));
        let y = match path {
            "keys" => cross_forward(i, moved, m),
            _ => cross_forward(i, m, moved),
        };
        y.into_dyn()
    };
    slopes(f, &i, "path", "dy")
}

/// Of several heads without groups, in the hunt: `q`, `k`, `v`, `heads`.
pub const HUNT: &[Wrong] = &[
    matrix("y", &SCALE_OF_MODEL_WIDTH, |i| {
        super::side_by_side(i, (i.matrix("q").ncols() as f64).sqrt())
    }),
    matrix("y", &SCALE_OF_MODEL_WIDTH, |i| {
        super::side_by_side(i, i.number("heads").sqrt())
    }),
    matrix("y", &ATTN_SCALE_MISSING, |i| super::side_by_side(i, 1.)),
    matrix("y", &ATTN_SCALE_MISSING, |i| {
        let d = i.matrix("q").ncols() as f64 / i.number("heads");
        super::side_by_side(i, d)
    }),
    // For two heads alone, or for three.
    ways("y", &SCALE_OF_MODEL_WIDTH, 2, |i, _, way| {
        let width = i.matrix("q").ncols() as f64 / [2., 3.][way];
        super::side_by_side(i, width.sqrt()).into_dyn()
    }),
    matrix("y", &SCALE_OF_MODEL_WIDTH, |i| {
        let e = i.matrix("v").ncols() as f64 / i.number("heads");
        super::side_by_side(i, e.sqrt())
    }),
];
