//! The drill of softmax and cross-entropy: the gradient of one logit.

use super::mistakes::{
    DIAGONAL_JACOBIAN, DOUBLE_SOFTMAX_GRAD, JACOBIAN_SKIPPED, JACOBIAN_TWICE,
    LOSS_VJP, MEAN_OVER_ENTRIES, SMOOTHING_FORGOTTEN, SMOOTHING_SPARES_LABEL,
    SOFTMAX_AXIS, TARGET_FORGOTTEN, TARGETS_NOT_ONE,
};
use crate::Mistake;
use crate::drill::{Answer, Dice, Drill, Problem, Ratio, Slips, draw};
use crate::general::{BATCH_MEAN_MISSING, BATCH_MEAN_TWICE, SIGN_FLIPPED};
use crate::judge::Inputs;
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::Array2;

/// The gradient of one logit. The logits are logarithms of small whole
/// numbers, so that the probabilities are fractions.
pub static LOGIT: Drill = Drill {
    name: "network/softmax_cross_entropy/logit",
    about: "Exponentials, one denominator for the row, and then p − t.",
    names: &[
        &BATCH_MEAN_MISSING,
        &BATCH_MEAN_TWICE,
        &MEAN_OVER_ENTRIES,
        &DIAGONAL_JACOBIAN,
        &DOUBLE_SOFTMAX_GRAD,
        &JACOBIAN_TWICE,
        &TARGET_FORGOTTEN,
        &JACOBIAN_SKIPPED,
        &SOFTMAX_AXIS,
        &SMOOTHING_FORGOTTEN,
        &SMOOTHING_SPARES_LABEL,
        &TARGETS_NOT_ONE,
        &SIGN_FLIPPED,
    ],
    draw: |seed| draw(seed, plan, problem),
};

const ROWS: usize = 2;
const CLASSES: usize = 3;

/// Which rows of the exam a hand would make here, given the target of the
/// entry: what shows in it, and is not another mistake's value as well.
fn shows(mistake: &Mistake, mean: bool, is_label: bool, target: f64) -> bool {
    let is = |other: &Mistake| mistake.code == other.code;
    if is(&BATCH_MEAN_MISSING) || is(&MEAN_OVER_ENTRIES) {
        mean
    } else if is(&DIAGONAL_JACOBIAN) {
        !(is_label && target == 1.)
    } else if is(&TARGET_FORGOTTEN) {
        // Elsewhere only smoothing gives a target, and it is forgotten.
        is_label
    } else if is(&JACOBIAN_SKIPPED) {
        target > 0.
    } else {
        LOGIT.names.iter().any(|name| is(name))
    }
}

struct Plan {
    /// The label smoothing ε, in tenths. ε/3 has one decimal.
    tenths: u32,
    mean: bool,
    labels: [usize; ROWS],
    /// The entry that is asked for.
    place: [usize; 2],
}

fn plan(dice: &mut Dice) -> Plan {
    let tenths = dice.one_of(&[0, 0, 0, 3, 6]);
    let mean = dice.below(3) > 0;
    let labels = std::array::from_fn(|_| dice.below(CLASSES));
    let n = dice.below(ROWS);
    let place = [n, dice.one_of(&[labels[n], 0, 1, 2])];
    Plan {
        tenths,
        mean,
        labels,
        place,
    }
}

fn problem(dice: &mut Dice, plan: &Plan) -> Option<Problem> {
    let Plan {
        tenths,
        mean,
        labels,
        place: [n, v],
    } = *plan;
    let eps = f64::from(tenths) / 10.;
    let is_label = v == labels[n];
    // Tenths go together with eighths and tenths.
    let sums: &[i64] = match tenths {
        0 => &[6, 7, 8, 9, 10, 12],
        _ => &[8, 10],
    };
    let mut exps = [[0i64; CLASSES]; ROWS];
    for row in &mut exps {
        *row = std::array::from_fn(|_| 1 + dice.below(7) as i64);
        let [a, b, c] = *row;
        let alike = a == b || b == c || a == c;
        if alike || !sums.contains(&(a + b + c)) {
            return None;
        }
    }
    let x = Array2::from_shape_fn((ROWS, CLASSES), |(n, v)| {
        (exps[n][v] as f64).ln()
    });
    let t = softmax::targets(&labels, CLASSES, eps);
    // A loss that is a sum is B times one that is a mean.
    let dloss = if mean { 1. } else { ROWS as f64 };
    let (_, p) = softmax::cross_entropy(x.view(), t.view());
    let dx = softmax::cross_entropy_vjp(p.view(), t.view(), dloss);
    let (right, target) = (dx[[n, v]], t[[n, v]]);
    let truth = Ratio::near(right)?;
    if truth.denominator() > 200 {
        return None;
    }

    let mut slips = Slips::default();
    let given = Inputs::default()
        .with("x", x)
        .with("t", t.clone())
        .with("dloss", dloss);
    let all = dx.into_dyn();
    let rows = LOSS_VJP.iter().filter(|row| row.is_of("dx"));
    for row in rows.filter(|r| shows(r.mistake, mean, is_label, target)) {
        let wrong = row.value(&given, "dx", &all);
        slips.number(row.mistake, wrong[[n, v]]);
    }
    slips.number(&BATCH_MEAN_TWICE, right / ROWS as f64);
    slips.number(&SIGN_FLIPPED, -right);
    if tenths > 0 {
        let share = eps / CLASSES as f64;
        let others = eps / (CLASSES as f64 - 1.);
        let mut target = |mistake, of_label, of_others| {
            let t = if is_label { of_label } else { of_others };
            let b = ROWS as f64;
            slips.number(mistake, (p[[n, v]] - t) * dloss / b);
        };
        target(&SMOOTHING_FORGOTTEN, 1., 0.);
        target(&SMOOTHING_SPARES_LABEL, 1. - eps, others);
        if is_label {
            target(&TARGETS_NOT_ONE, 1. + share, share);
        }
    }

    let ln = |n: usize| {
        let row = exps[n].map(|k| format!("ln {k}"));
        format!("{}   label {}", row.join("  "), labels[n])
    };
    let reduction = if mean { "mean" } else { "sum" };
    let smoothing = match tenths {
        0 => String::new(),
        tenths => format!("\nlabel smoothing ε = 0.{tenths}"),
    };
    let asked = format!("dx[{n},{v}]");
    let sum: i64 = exps[n].iter().sum();
    let fraction = |value: f64| match Ratio::near(value) {
        Some(ratio) => ratio.to_string(),
        None => value.to_string(),
    };
    let ps: Vec<_> = exps[n].iter().map(|k| format!("{k}/{sum}")).collect();
    let ts: Vec<_> = t.row(n).iter().map(|t| fraction(*t)).collect();
    let difference = format!("{} − {}", ps[v], ts[v]);
    let product = match mean {
        true => format!("({difference})/{ROWS}"),
        false => difference,
    };
    Some(Problem {
        question: format!(
            "x ({ROWS},{CLASSES})\n{}\n{}\n\
             loss: {reduction} of two cross-entropies{smoothing}\n\
             rows and classes count from 0\nWhat is {asked}?",
            ln(0),
            ln(1),
        ),
        worked: format!(
            "Row {n}: the exponentials sum to {sum}, so p = ({}); t = ({}).\n\
             {asked} = {product} = {truth}",
            ps.join(", "),
            ts.join(", "),
        ),
        asked,
        truth: Answer::Number(truth),
        mistakes: slips.0,
    })
}
