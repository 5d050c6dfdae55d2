//! The drill of the linear layer: one entry of a gradient.

use super::mistakes::{
    BIAS_AXIS, BIAS_OVERREDUCED, HADAMARD_FOR_MATMUL, TRANSPOSE_MISSING_DW,
    TRANSPOSE_MISSING_DX, VJP, WRONG_SIDE,
};
use crate::Mistake;
use crate::drill::{Answer, Dice, Drill, Problem, Ratio, Slips, draw, factor};
use crate::general::{
    BATCH_MEAN_TWICE, BIAS_MEAN_NOT_SUM, BIAS_VIA_WEIGHTS, GRAD_OVERWRITTEN,
    ONE_EXAMPLE_ONLY, RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED, TRANSPOSED,
    UPSTREAM_IGNORED,
};
use crate::judge::Inputs;
use backprop::network::linear;
use ndarray::{Array2, ArrayD};

/// One entry of `dx`, `dw` or `db` of a small batch.
pub static ENTRY: Drill = Drill {
    name: "network/linear/entry",
    about: "Fix one entry, ask which index is summed away, and add.",
    names: &[
        &TRANSPOSE_MISSING_DX,
        &TRANSPOSE_MISSING_DW,
        &WRONG_SIDE,
        &HADAMARD_FOR_MATMUL,
        &TRANSPOSED,
        &GRAD_OVERWRITTEN,
        &ONE_EXAMPLE_ONLY,
        &UPSTREAM_IGNORED,
        &BATCH_MEAN_TWICE,
        &BIAS_AXIS,
        &BIAS_VIA_WEIGHTS,
        &BIAS_OVERREDUCED,
        &BIAS_MEAN_NOT_SUM,
        &SIGN_FLIPPED,
    ],
    draw: |seed| draw(seed, plan, problem),
};

/// Whether a row of the exam fits these sizes, or whether a hand would make
/// the mistake at all.
fn runs(mistake: &Mistake, output: &str, [b, i, o]: [usize; 3]) -> bool {
    let is = |other: &Mistake| mistake.code == other.code;
    if is(&TRANSPOSE_MISSING_DX) {
        i == o
    } else if is(&TRANSPOSE_MISSING_DW) {
        b == i
    } else if is(&WRONG_SIDE) {
        if output == "dx" { b == i } else { o == i }
    } else {
        !is(&RESHAPED_NOT_TRANSPOSED)
    }
}

/// Examples, inputs, outputs; which gradient; one of each.
type Plan = ([usize; 3], &'static str, [usize; 3]);

fn plan(dice: &mut Dice) -> Plan {
    let sizes = [2 + dice.below(2), 2 + dice.below(2), 2];
    let gradient = dice.one_of(&["dx", "dx", "dx", "dw", "dw", "dw", "db"]);
    (sizes, gradient, sizes.map(|size| dice.below(size)))
}

fn problem(dice: &mut Dice, plan: &Plan) -> Option<Problem> {
    let (sizes @ [b, i, o], gradient, [n, k, c]) = *plan;
    let mut matrix = |rows, columns| {
        let small = [-3, -2, -1, 0, 1, 1, 2, 3, 4];
        Array2::from_shape_simple_fn((rows, columns), || {
            f64::from(dice.one_of(&small))
        })
    };
    let (x, w, dy) = (matrix(b, i), matrix(i, o), matrix(b, o));
    let (dx, dw, db) = linear::vjp(x.view(), w.view(), dy.view());
    let ones = Array2::ones((b, o));
    let blind = linear::vjp(x.view(), w.view(), ones.view());
    let (all, place, blind) = match gradient {
        "dx" => (dx.into_dyn(), vec![n, k], blind.0.into_dyn()),
        "dw" => (dw.into_dyn(), vec![k, c], blind.1.into_dyn()),
        _ => (db.into_dyn(), vec![c], blind.2.into_dyn()),
    };
    let right = all[place.as_slice()];
    let mut slips = Slips::default();
    let mut entry = |mistake, array: &ArrayD<f64>, at: &[usize]| {
        if let Some(value) = array.get(at) {
            slips.number(mistake, *value);
        }
    };
    let given = Inputs::default()
        .with("x", x.clone())
        .with("w", w.clone())
        .with("dy", dy.clone());
    let rows = VJP.iter().filter(|row| row.is_of(gradient));
    let rows = rows.filter(|row| runs(row.mistake, gradient, sizes));
    for row in rows.flat_map(|row| row.each_way()) {
        let wrong = row.value(&given, gradient, &all);
        entry(row.mistake, &wrong, &place);
    }
    entry(&UPSTREAM_IGNORED, &blind, &place);
    if let [row, column] = place[..]
        && row != column
    {
        entry(&TRANSPOSED, &all, &[column, row]);
    }
    match gradient {
        "dx" => {
            let last = o - 1;
            slips.number(&GRAD_OVERWRITTEN, dy[[n, last]] * w[[k, last]]);
        }
        "dw" => slips.number(&BATCH_MEAN_TWICE, right / b as f64),
        _ => slips.number(&BIAS_MEAN_NOT_SUM, right / b as f64),
    }
    slips.number(&SIGN_FLIPPED, -right);
    let truth = Ratio::near(right)?;
    let places: Vec<_> = place.iter().map(usize::to_string).collect();
    let asked = format!("{gradient}[{}]", places.join(","));
    let product = |a: f64, b: f64| {
        let [a, b] = [a, b].map(|v| factor(ratio(v)));
        format!("{a}·{b}")
    };
    let (rule, terms): (_, Vec<_>) = match gradient {
        "dx" => (
            "dx = dy·wᵀ: the outputs are summed away",
            (0..o).map(|c| product(dy[[n, c]], w[[k, c]])).collect(),
        ),
        "dw" => (
            "dw = xᵀ·dy: the batch is summed away",
            (0..b).map(|n| product(x[[n, k]], dy[[n, c]])).collect(),
        ),
        _ => (
            "db: every row got the bias, so the batch is summed away",
            (0..b).map(|n| factor(ratio(dy[[n, c]]))).collect(),
        ),
    };
    Some(Problem {
        question: format!(
            "{}\nrows and columns count from 0\nWhat is {asked}?",
            side_by_side(&[("x", &x), ("w", &w), ("dy", &dy)])
        ),
        worked: format!("{rule}.\n{asked} = {} = {truth}", terms.join(" + ")),
        asked,
        truth: Answer::Number(truth),
        mistakes: slips.0,
    })
}

/// A whole number.
fn ratio(value: f64) -> Ratio {
    Ratio::new(value as i64, 1)
}

/// Matrices of whole numbers under their names and shapes.
fn side_by_side(matrices: &[(&str, &Array2<f64>)]) -> String {
    let rows = matrices.iter().map(|(_, m)| m.nrows()).max().unwrap_or(0);
    let mut lines = vec![String::new(); rows + 1];
    for (name, m) in matrices {
        let head = format!("{name} ({},{})", m.nrows(), m.ncols());
        let cells = 3 * m.ncols();
        let width = head.chars().count().max(cells) + 2;
        lines[0] += &format!("{head:<width$}");
        for (k, line) in lines[1..].iter_mut().enumerate() {
            let row = m.rows().into_iter().nth(k);
            let row = row.map_or(String::new(), |row| {
                row.iter().map(|v| format!("{:>3}", ratio(*v))).collect()
            });
            *line += &format!("{row:<width$}");
        }
    }
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}
