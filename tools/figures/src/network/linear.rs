//! What the chapter `network/linear` shows.

use backprop::calculus::gradcheck::numeric_vjp;
use backprop::network::linear;
use examiner::judge::Exam;
use examiner::network::linear as linear_exam;
use examiner::{Sampler, Verdict};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, Ix1, Ix2, array};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::drill::drill;
use crate::kit::{self, Paint, Picture, Tiles};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/linear",
    outputs: &[
        Output::printed("example", example),
        Output::printed("sum_loss", sum_loss),
        Output::printed("uneven", uneven),
        Output::printed("trap", trap),
        Output::printed("check", check),
        Output::printed("cost", cost),
        Output::printed("report", report),
        Output::drill("drill_entry", || drill("network/linear/entry", 2)),
    ],
    figures: &[Figure {
        name: "tiles",
        title: "The three products of a linear layer",
        description: "Three rows of rectangles. Forward: Y, B by O, equals X, \
                      B by I, times W, I by O, plus the bias row b. Input \
                      gradient: dX, B by I, equals dY, B by O, times W \
                      transposed, O by I. Weight gradient: dW, I by O, equals \
                      X transposed, I by B, times dY, B by O.",
        knobs: &[
            Knob::slider("B", 1.0..=8.0, 5.0).step(1.0).unit("examples"),
            Knob::slider("I", 1.0..=8.0, 3.0).step(1.0).unit("inputs"),
            Knob::slider("O", 1.0..=8.0, 2.0).step(1.0).unit("outputs"),
        ],
        data: Data::Computed(sizes),
        read_out: Some(products),
        draw: tiles,
        tolerance: Tolerance::EXACT,
    }],
};

/// The chapter's example: three examples, two inputs, two outputs.
fn layer() -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    (
        array![[1., 0.], [0., 1.], [1., 1.]],
        array![[2., 1.], [-1., 3.]],
        array![0.5, -2.],
    )
}

fn uneven_dy() -> Array2<f64> {
    array![[1., -2.], [3., 4.], [-1., 5.]]
}

/// Matrices side by side under their names; `b` and `db` are vectors.
fn side_by_side(matrices: &[(&str, ArrayView2<f64>)]) -> String {
    let mut lines = vec![String::new()];
    for (name, m) in matrices {
        let width = 7 * m.ncols().max(1) + 1;
        let shape = if name.contains('b') {
            format!("{name} ({})", m.ncols())
        } else {
            format!("{name} ({},{})", m.nrows(), m.ncols())
        };
        let _ = write!(lines[0], "  {shape:<width$}");
        let above: usize = lines[0].chars().count() - width - 2;
        for (k, row) in m.rows().into_iter().enumerate() {
            if lines.len() < k + 2 {
                lines.push(String::new());
            }
            let gap = above - lines[k + 1].chars().count();
            let cells: String =
                row.iter().map(|v| format!("{v:7.2}")).collect();
            let _ = write!(lines[k + 1], "{:gap$}  {cells} ", "");
        }
    }
    lines
        .iter()
        .map(|l| format!("{}\n", l.trim_end()))
        .collect()
}

fn row(b: &Array1<f64>) -> ArrayView2<'_, f64> {
    b.view().insert_axis(Axis(0))
}

fn example() -> String {
    let (x, w, b) = layer();
    let y = linear::forward(x.view(), w.view(), b.view());
    side_by_side(&[
        ("x", x.view()),
        ("w", w.view()),
        ("b", row(&b)),
        ("y", y.view()),
    ])
}

fn gradients(dy: &Array2<f64>) -> String {
    let (x, w, _) = layer();
    let (dx, dw, db) = linear::vjp(x.view(), w.view(), dy.view());
    side_by_side(&[
        ("dy", dy.view()),
        ("dx", dx.view()),
        ("dw", dw.view()),
        ("db", row(&db)),
    ])
}

fn sum_loss() -> String {
    let (x, w, b) = layer();
    let loss =
        |x: &Array2<f64>| linear::forward(x.view(), w.view(), b.view()).sum();
    let mut moved = x.clone();
    moved[[0, 0]] += 0.001;
    format!(
        "{}\nL = {:.3}; with x[0,0] raised by 0.001, L = {:.3}\n",
        gradients(&Array2::ones((3, 2))),
        loss(&x),
        loss(&moved)
    )
}

fn uneven() -> String {
    gradients(&uneven_dy())
}

fn trap() -> String {
    let x = array![[1., 2.], [3., 4.]];
    let dy = array![[1., 0.], [2., -1.]];
    side_by_side(&[
        ("x", x.view()),
        ("dy", dy.view()),
        ("xT·dy", x.t().dot(&dy).view()),
        ("x·dy", x.dot(&dy).view()),
    ])
}

fn matrix(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

/// The layer as a function of a list of arrays, as the check wants it.
fn forward(inputs: &[ArrayD<f64>]) -> ArrayD<f64> {
    let b = inputs[2].view().into_dimensionality::<Ix1>();
    let b = b.expect("a vector");
    linear::forward(matrix(&inputs[0]), matrix(&inputs[1]), b).into_dyn()
}

/// Largest difference between a weight gradient and central differences.
fn gap(dy: &ArrayD<f64>, dw: impl Fn(ArrayView2<f64>) -> Array2<f64>) -> f64 {
    let (x, w, b) = layer();
    let inputs = [x.into_dyn(), w.into_dyn(), b.into_dyn()];
    let numeric = numeric_vjp(&forward, &inputs, dy);
    let gaps = &dw(matrix(dy)).into_dyn() - &numeric[1];
    gaps.iter().fold(0., |m: f64, g| m.max(g.abs()))
}

fn check() -> String {
    let (x, w, _) = layer();
    let right = |dy: ArrayView2<f64>| linear::vjp(x.view(), w.view(), dy).1;
    let ignores = |_: ArrayView2<f64>| {
        x.t().dot(&Array2::<f64>::ones((x.nrows(), w.ncols())))
    };
    let ones = ArrayD::ones(vec![3, 2]);
    let random = Sampler::new(1).dynamic(&[3, 2]);
    let mut text = String::from(
        "dw against central differences: largest difference, verdict at 1e-6\n",
    );
    let mut line = |what: &str, gap: f64| {
        let (size, verdict) = if gap < 1e-6 {
            ("below 1e-6".to_owned(), "accepted")
        } else {
            (format!("{gap:.2}"), "rejected")
        };
        let _ = writeln!(text, "  {what:<34} {size:>10}   {verdict}");
    };
    line("vjp, dy all ones", gap(&ones, right));
    line("vjp, dy random", gap(&random, right));
    line("a vjp without dy, dy all ones", gap(&ones, ignores));
    line("a vjp without dy, dy random", gap(&random, ignores));
    text
}

fn cost() -> String {
    let mut text = String::from(
        "layer                  B     I     O   forward  backward  without dx\n",
    );
    for (name, b, i, o) in [
        ("digits, first", 32, 64, 128),
        ("digits, last", 32, 128, 10),
        ("wide and square", 32, 4096, 4096),
    ] {
        let product = 2 * b * i * o;
        let mega = |flops: usize| format!("{:.2}M", flops as f64 / 1e6);
        let _ = writeln!(
            text,
            "{name:<18} {b:>5} {i:>5} {o:>5} {:>9} {:>9} {:>11}",
            mega(product + b * o),
            mega(2 * product + b * o),
            mega(product + b * o),
        );
    }
    text
}

/// The examiner's answer to a loop that assigns where it should add.
fn report() -> String {
    let verdict = linear_exam::VJP.judge(
        |x, w, dy| {
            let mut dw = Array2::zeros(w.raw_dim());
            for (x, dy) in x.rows().into_iter().zip(dy.rows()) {
                let (x, dy) = (x.insert_axis(Axis(1)), dy.insert_axis(Axis(0)));
                dw = x.dot(&dy);
            }
            (dy.dot(&w.t()), dw, dy.sum_axis(Axis(0)))
        },
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

fn sizes(knobs: &Knobs) -> Value {
    let [b, i, o] = ["B", "I", "O"].map(|name| knobs.number(name) as usize);
    json!({ "B": b, "I": i, "O": o })
}

fn products(_: &Knobs, data: &Value) -> String {
    let [b, i, o] = ["/B", "/I", "/O"].map(|at| kit::get::<usize>(data, at));
    let product = 2 * b * i * o;
    format!(
        "forward {product} operations and the bias, backward {}",
        2 * product
    )
}

fn tiles(data: &Value) -> Picture {
    let b = ("B", kit::get(data, "/B"));
    let i = ("I", kit::get(data, "/I"));
    let o = ("O", kit::get(data, "/O"));
    Tiles::new()
        .row("forward")
        .tile("Y", b, o, Paint::Activation)
        .sign("=")
        .tile("X", b, i, Paint::Input)
        .tile("W", i, o, Paint::Weight)
        .sign("+")
        .tile("b", ("", 1), o, Paint::Weight)
        .row("input gradient: the outputs are summed away")
        .tile("dX", b, i, Paint::Cotangent)
        .sign("=")
        .tile("dY", b, o, Paint::Cotangent)
        .tile("Wᵀ", o, i, Paint::Weight)
        .row("weight gradient: the batch is summed away")
        .tile("dW", i, o, Paint::Cotangent)
        .sign("=")
        .tile("Xᵀ", i, b, Paint::Input)
        .tile("dY", b, o, Paint::Cotangent)
        .picture()
}
