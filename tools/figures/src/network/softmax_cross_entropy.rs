//! What the chapter `network/softmax_cross_entropy` shows.

use backprop::calculus::gradcheck::numeric_vjp;
use backprop::network::softmax_cross_entropy::{self as softmax, binary};
use examiner::judge::Exam;
use examiner::network::softmax_cross_entropy as exam;
use examiner::{Sampler, Verdict};
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2, arr1, arr2};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::drill::drill;
use crate::kit::{self, Axis as Scale, Chart, HeatMap, Picture};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/softmax_cross_entropy",
    outputs: &[
        Output::printed("shift", shift),
        Output::printed("jacobian", jacobian),
        Output::printed("vjp", vjp),
        Output::printed("blind", blind),
        Output::printed("loss", loss),
        Output::printed("extreme", extreme),
        Output::printed("smoothing", smoothing),
        Output::printed("temperature", temperature),
        Output::printed("two_classes", two_classes),
        Output::printed("cost", cost),
        Output::printed("epsilon", epsilon),
        Output::printed("descent", descent),
        Output::printed("report", report),
        Output::drill("drill_logit", || {
            drill("network/softmax_cross_entropy/logit", 1)
        }),
    ],
    figures: &[
        Figure {
            name: "jacobian_map",
            title: "The softmax Jacobian at the logits (1, 2, 3)",
            description: "Three rows, one for each probability, and four \
                          columns: the three logits, and all three together. \
                          The diagonal is positive, 0.0819, 0.1848 and \
                          0.2227; everything else is negative; the column \
                          for all together is zero.",
            knobs: &[
                Knob::slider("x_1", -5.0..=5.0, 1.0),
                Knob::slider("x_2", -5.0..=5.0, 2.0),
                Knob::slider("x_3", -5.0..=5.0, 3.0),
            ],
            data: Data::Computed(jacobian_data),
            read_out: Some(probabilities),
            draw: jacobian_map,
            tolerance: Tolerance::relative(1e-9),
        },
        Figure {
            name: "loss_curve",
            title: "Three losses of one growing logit",
            description: "The loss against the label's logit from -40 to 20, \
                          two other logits being 0. The cross-entropy falls \
                          along a straight line to 0. With an epsilon in the \
                          logarithm it is flat at 18.42 on the far left. With \
                          two softmaxes it stays between 1.4575 and 0.5514.",
            knobs: &[EPSILON],
            data: Data::Computed(curves),
            read_out: Some(with_epsilon),
            draw: loss_curve,
            tolerance: Tolerance {
                absolute: 1e-12,
                relative: 1e-9,
            },
        },
        Figure {
            name: "pull_curve",
            title: "How hard each loss pulls on the label's logit",
            description: "Minus the gradient on the label's logit, against \
                          that logit from -40 to 20. The cross-entropy pulls \
                          with 1 on the left and falls to 0 on the right. \
                          With an epsilon the pull collapses to 0 left of \
                          -18. With two softmaxes there is a small bump \
                          around 0 and nothing else.",
            knobs: &[EPSILON],
            data: Data::Computed(curves),
            read_out: Some(with_epsilon),
            draw: pull_curve,
            tolerance: Tolerance {
                absolute: 1e-12,
                relative: 1e-9,
            },
        },
    ],
};

/// The ε in the logarithm, as a power of ten.
const EPSILON: Knob = Knob::slider("epsilon", -16.0..=-2.0, -8.0)
    .step(1.0)
    .unit("powers of ten");

/// The chapter's logits.
fn logits() -> Array2<f64> {
    arr2(&[[1., 2., 3.]])
}

/// Numbers in a row, ten digits after the point.
fn ten(values: impl IntoIterator<Item = f64>) -> String {
    // A sum that is zero up to rounding prints as zero, without a sign.
    let clean = |v: f64| if v.abs() < 5e-11 { 0. } else { v };
    let cell = |v| format!("{:14.10}", clean(v));
    values.into_iter().map(cell).collect()
}

/// Softmax as the formula says it, without the shift.
fn naive(x: &Array2<f64>) -> Array2<f64> {
    let e = x.exp();
    &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1))
}

fn shift() -> String {
    let mut text = String::from(
        "logits                     probabilities                      \
         without the shift\n",
    );
    for x in [[1., 2., 3.], [-9., -8., -7.], [1000., 1001., 1002.]] {
        let x = arr2(&[x]);
        let without = if naive(&x).iter().all(|p| p.is_finite()) {
            "the same"
        } else {
            "NaN"
        };
        let p = softmax::forward(x.view());
        let _ = writeln!(text, "{:<18}{}   {without}", tuple(&x), ten(p));
    }
    text
}

/// A row as `(1, 2, 3)`.
fn tuple(x: &Array2<f64>) -> String {
    let entry = |v: &f64| match v.abs() {
        a if a < 1e15 => format!("{v}"),
        _ => format!("{v:e}"),
    };
    let entries: Vec<_> = x.iter().map(entry).collect();
    format!("({})", entries.join(", "))
}

fn jacobian() -> String {
    let y = softmax::forward(logits().view());
    let j = softmax::jacobian(y.row(0));
    let mut text = format!("p   {}\n\n", ten(y.row(0).to_owned()));
    for (i, row) in j.rows().into_iter().enumerate() {
        let name = if i == 0 { "J" } else { "" };
        let _ = writeln!(
            text,
            "{name:<4}{}    row sum {}",
            ten(row.to_owned()),
            ten([row.sum()]).trim_start()
        );
    }
    text
}

fn vjp() -> String {
    let y = softmax::forward(logits().view());
    let dy = arr2(&[[3., -1., 2.]]);
    let s = (&y * &dy).sum();
    let mut text = String::from(
        "rule                            dx for dy = (3, -1, 2)                \
         sum\n",
    );
    let mut line = |name: &str, dx: Array2<f64>| {
        let _ =
            writeln!(text, "{name:<18}{}{}", ten(dx.clone()), ten([dx.sum()]));
    };
    line("y(dy - s)", softmax::vjp(y.view(), dy.view()));
    line("J·dy", dy.dot(&softmax::jacobian(y.row(0))));
    line("y(dy + s)", &y * &(&dy + s));
    line("y·dy", &y * &dy);
    line("y(1 - y)·dy", &y * &(1. - &y) * &dy);
    let _ = writeln!(text, "\ns = <y, dy> = {}", ten([s]).trim_start());
    text
}

fn two(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

fn blind() -> String {
    let x = Sampler::new(1).dynamic(&[2, 4]);
    let y = softmax::forward(two(&x));
    let ones = ArrayD::ones(vec![2, 4]);
    let random = Sampler::new(2).dynamic(&[2, 4]);
    let forward = |i: &[ArrayD<f64>]| softmax::forward(two(&i[0])).into_dyn();
    type Rule = fn(ArrayView2<f64>, ArrayView2<f64>) -> Array2<f64>;
    let rules: [(&str, Rule); 4] = [
        ("y(dy - <y, dy>)", |y, dy| softmax::vjp(y, dy)),
        ("all zeros", |y, _| Array2::zeros(y.raw_dim())),
        ("dy replaced by ones", |y, _| {
            softmax::vjp(y, Array2::ones(y.raw_dim()).view())
        }),
        ("the diagonal alone", |y, dy| &y * &(1. - &y) * dy),
    ];
    let mut text =
        String::from("VJP                     dy all ones   dy random\n");
    for (name, rule) in rules {
        let verdict = |dy: &ArrayD<f64>| {
            let inputs = std::slice::from_ref(&x);
            let truth = &numeric_vjp(&forward, inputs, dy)[0];
            let gap = &rule(y.view(), two(dy)).into_dyn() - truth;
            if gap.iter().all(|g| g.abs() < 1e-6) {
                "accepted"
            } else {
                "rejected"
            }
        };
        let (one, any) = (verdict(&ones), verdict(&random));
        let _ = writeln!(text, "{name:<22} {one:>12} {any:>11}");
    }
    text
}

fn loss() -> String {
    let x = logits();
    let mut text = String::new();
    for label in [2, 0] {
        let t = softmax::targets(&[label], 3, 0.);
        let (loss, p) = softmax::cross_entropy(x.view(), t.view());
        let dx = softmax::cross_entropy_vjp(p.view(), t.view(), 1.);
        let _ = writeln!(text, "label {label}: loss {}", ten([loss]).trim());
        let _ = writeln!(text, "  p - t          {}", ten(dx));
        if label == 2 {
            let dp = -&t / &p;
            let j = softmax::jacobian(p.row(0));
            let through = dp.dot(&j);
            let entries = &dp * &(&p * &(1. - &p));
            let _ = writeln!(text, "  -t/p           {}", ten(dp));
            let _ = writeln!(text, "  J·(-t/p)       {}", ten(through));
            let _ = writeln!(text, "  p(1-p)·(-t/p)  {}", ten(entries));
        }
    }
    text
}

fn extreme() -> String {
    let mut text = String::from(
        "                           -ln p,   -ln p,      lse -              \
         gradient\n\
         logits             label   naive  shifted    x_label        loss  \
         on x_label\n",
    );
    for (x, label) in [
        ([1., 2., 3.], 2),
        ([1000., 1001., 1002.], 2),
        ([800., 0., 0.], 1),
        ([1e4, -1e4, 0.], 1),
        ([1e16, 1e16, 0.], 0),
    ] {
        let t = softmax::targets(&[label], 3, 0.);
        let x = arr2(&[x]);
        let overflowing = -naive(&x)[[0, label]].ln();
        let separate = -softmax::forward(x.view())[[0, label]].ln();
        let rounded = softmax::log_sum_exp(x.view())[0] - x[[0, label]];
        let (loss, p) = softmax::cross_entropy(x.view(), t.view());
        let dx = softmax::cross_entropy_vjp(p.view(), t.view(), 1.);
        let _ = writeln!(
            text,
            "{:<18} {label:>5} {overflowing:>7.4} {separate:>8.4} \
             {rounded:>10.4} {loss:>11.4} {:>11.4}",
            tuple(&x),
            dx[[0, label]]
        );
    }
    text
}

fn smoothing() -> String {
    let x = logits();
    let mut text = String::new();
    for eps in [0., 0.1] {
        let t = softmax::targets(&[2], 3, eps);
        let (loss, p) = softmax::cross_entropy(x.view(), t.view());
        let dx = softmax::cross_entropy_vjp(p.view(), t.view(), 1.);
        let _ = writeln!(
            text,
            "eps = {eps:<4} t    {}\n{:<11}p - t{}    loss {}",
            ten(t),
            "",
            ten(dx),
            ten([loss]).trim()
        );
    }
    text
}

fn temperature() -> String {
    let x = logits();
    let t = softmax::targets(&[2], 3, 0.);
    let mut text =
        String::from("tau            p                        (p - t)/tau\n");
    for tau in [0.25, 1., 4., 100.] {
        let p = softmax::tempered(x.view(), tau);
        let dx = softmax::cross_entropy_vjp(p.view(), t.view(), 1.) / tau;
        let four = |a: &Array2<f64>| -> String {
            a.iter().map(|v| format!("{v:9.4}")).collect()
        };
        let _ = writeln!(text, "{tau:<6}{}   {}", four(&p), four(&dx));
    }
    text
}

fn two_classes() -> String {
    let mut text =
        String::from("    logit    t             loss     gradient p - t\n");
    for (x, t) in [(0.5, 1.), (0.5, 0.), (1e4, 0.), (-1e4, 0.)] {
        let (one, target) = (arr1(&[x]), arr1(&[t]));
        let (loss, p) = binary::cross_entropy(one.view(), target.view());
        let dx = binary::cross_entropy_vjp(p.view(), target.view(), 1.);
        let _ =
            writeln!(text, "{x:>9} {t:>4} {loss:>16.10} {:>18.10}", dx[0] + 0.);
    }
    text
}

/// `2525766049` as `2,525,766,049`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

fn cost() -> String {
    let mut text = String::from(
        "classes   Jacobian entries     in f32    J times dy   y(dy - s)\n",
    );
    for v in [10u64, 1000, 50257] {
        let bytes = 4. * (v * v) as f64;
        let size = match bytes {
            b if b < 1e3 => format!("{b} B"),
            b if b < 1e9 => format!("{:.1} MB", b / 1e6),
            b => format!("{:.1} GB", b / 1e9),
        };
        let _ = writeln!(
            text,
            "{:>7}   {:>16} {size:>10} {:>13} {:>11}",
            grouped(v),
            grouped(v * v),
            grouped(2 * v * v),
            grouped(4 * v)
        );
    }
    text
}

/// Loss and slope on the label's logit with `ln(p + ε)`.
fn guarded(p: f64, epsilon: f64) -> (f64, f64) {
    (-(p + epsilon).ln(), -(1. - p) * p / (p + epsilon))
}

fn epsilon() -> String {
    let mut text =
        String::from("  gap      loss   with 1e-8    gradient    with 1e-8\n");
    let t = softmax::targets(&[1], 2, 0.);
    for gap in [5., 15., 20., 25., 40.] {
        let x = arr2(&[[gap, 0.]]);
        let (loss, p) = softmax::cross_entropy(x.view(), t.view());
        let dx = softmax::cross_entropy_vjp(p.view(), t.view(), 1.);
        let (soft_loss, slope) = guarded(p[[0, 1]], 1e-8);
        let _ = writeln!(
            text,
            "{gap:>5} {loss:>9.4} {soft_loss:>11.4} {:>11.4} {:>12}",
            dx[[0, 1]],
            if slope < -0.01 {
                format!("{slope:.4}")
            } else {
                format!("{slope:.1e}")
            }
        );
    }
    text
}

/// Loss and gradient with one softmax or two.
fn loss_and_gradient(x: &Array2<f64>, twice: bool) -> (f64, Array2<f64>) {
    let t = softmax::targets(&[2], 3, 0.);
    if !twice {
        let (loss, p) = softmax::cross_entropy(x.view(), t.view());
        return (loss, softmax::cross_entropy_vjp(p.view(), t.view(), 1.));
    }
    let y = softmax::forward(x.view());
    let (loss, p) = softmax::cross_entropy(y.view(), t.view());
    let dy = softmax::cross_entropy_vjp(p.view(), t.view(), 1.);
    (loss, softmax::vjp(y.view(), dy.view()))
}

fn descent() -> String {
    let mut text = String::from("   step   one softmax   two softmaxes\n");
    let (mut one, mut two) = (Array2::zeros((1, 3)), Array2::zeros((1, 3)));
    for step in 0..=10_000 {
        let (loss_one, d_one) = loss_and_gradient(&one, false);
        let (loss_two, d_two) = loss_and_gradient(&two, true);
        if [0, 1, 10, 100, 10_000].contains(&step) {
            let _ =
                writeln!(text, "{step:>7} {loss_one:>13.4} {loss_two:>15.4}");
        }
        one -= &d_one;
        two -= &d_two;
    }
    let (floor, _) = loss_and_gradient(&arr2(&[[0., 0., 1e4]]), true);
    let _ = writeln!(text, "\nfloor with two, ln(1 + 2/e): {floor:.10}");
    text
}

fn report() -> String {
    let verdict = exam::VJPS.judge(
        (
            |y, dy| &y * &(1. - &y) * dy,
            |y, dy| softmax::log_softmax_vjp(y, dy),
        ),
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

fn jacobian_data(knobs: &Knobs) -> Value {
    let x = ["x_1", "x_2", "x_3"].map(|name| knobs.number(name));
    let y = softmax::forward(arr2(&[x]).view());
    let j = softmax::jacobian(y.row(0));
    let rows: Vec<Vec<f64>> = (j.rows().into_iter())
        .map(|row| {
            // The sum is zero up to the last bit; the figure shows four
            // digits.
            let sum = (row.sum() * 1e12).round() / 1e12;
            row.iter().copied().chain([sum + 0.]).collect()
        })
        .collect();
    json!({ "jacobian": rows })
}

fn probabilities(knobs: &Knobs, _: &Value) -> String {
    let x = ["x_1", "x_2", "x_3"].map(|name| knobs.number(name));
    let p = softmax::forward(arr2(&[x]).view());
    let p = p.mapv(|p| kit::number(p, 4)).into_raw_vec_and_offset().0;
    format!("p = ({})", p.join(", "))
}

fn jacobian_map(data: &Value) -> Picture {
    let rows: Vec<Vec<f64>> = kit::get(data, "/jacobian");
    HeatMap::new(&rows)
        .rows("probability", &["p_1", "p_2", "p_3"])
        .columns("logit that moves", &["x_1", "x_2", "x_3", "all"])
        .places(4)
        .side(104.)
        .picture()
}

/// Loss and pull of three losses against the label's logit.
fn curves(knobs: &Knobs) -> Value {
    let epsilon = 10f64.powi(knobs.number("epsilon") as i32);
    let s: Vec<f64> = (-80..=40).map(|k| f64::from(k) / 2.).collect();
    let of = |f: &dyn Fn(f64) -> (f64, f64)| -> Value {
        let both: Vec<_> = s.iter().map(|s| f(*s)).collect();
        let line = |pick: &dyn Fn(&(f64, f64)) -> f64| -> Vec<[f64; 2]> {
            s.iter().zip(&both).map(|(s, b)| [*s, pick(b)]).collect()
        };
        json!({ "loss": line(&|b| b.0), "pull": line(&|b| b.1) })
    };
    let by = |twice: bool| {
        move |s: f64| {
            let (loss, dx) = loss_and_gradient(&arr2(&[[0., 0., s]]), twice);
            (loss, -dx[[0, 2]])
        }
    };
    let with_epsilon = |s: f64| {
        let p = softmax::forward(arr2(&[[0., 0., s]]).view())[[0, 2]];
        let (loss, slope) = guarded(p, epsilon);
        (loss, -slope)
    };
    json!({
        "one": of(&by(false)),
        "two": of(&by(true)),
        "epsilon": of(&with_epsilon),
    })
}

/// Where the flat part of the loss with ε begins: at `p = ε`.
fn with_epsilon(knobs: &Knobs, _: &Value) -> String {
    let power = knobs.number("epsilon");
    let flat = -power * 10f64.ln();
    format!(
        "ε = 1e{power}: no loss above {}, no pull left of about {}",
        kit::number(flat, 4),
        kit::number(2f64.ln() - flat, 3)
    )
}

fn chart(data: &Value, what: &str, title: &str, at: [usize; 3]) -> Chart {
    let points = |name: &str| -> Vec<[f64; 2]> {
        kit::get(data, &format!("/{name}/{what}"))
    };
    Chart::new(Scale::linear("logit of the label"), Scale::linear(title))
        .line("cross-entropy", &points("one"))
        .label_at(at[0])
        .line("ε in the log", &points("epsilon"))
        .label_at(at[1])
        .line("softmax twice", &points("two"))
        .label_at(at[2])
}

fn loss_curve(data: &Value) -> Picture {
    chart(data, "loss", "loss, nats", [52, 16, 100]).picture()
}

fn pull_curve(data: &Value) -> Picture {
    chart(
        data,
        "pull",
        "pull on the logit of the label, 1 − p",
        [60, 18, 84],
    )
    .picture()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_numbers_are_on_the_page() {
        let texts = [shift(), jacobian(), vjp(), loss(), extreme()].concat()
            + &[smoothing(), two_classes(), epsilon(), descent()].concat();
        for number in [
            "0.0900305732",
            "0.2447284711",
            "0.6652409558", // W-064
            "0.0819250691",
            "-0.0220330445",
            "-0.0598920245",
            "0.1848364465",
            "-0.1628034020",
            "0.2226954265",
            "0.1480242026",
            "-0.5765423841",
            "0.4285181814", // W-065
            "0.4076059644",
            "2.4076059644",
            "-0.3347590442", // W-066
            "0.5076059644",
            "0.0566972398",
            "0.2113951377", // W-069
            "-0.2680923776",
            "0.4740769842",
            "-0.3775406688", // W-070
            "18.42",
            "1.4e-3",
            "0.5514",
            "2.71169",
            "1.3558",
            "0.5063",
            "0.0000      0.6931     -0.5000", // lse loses ln 2, the loss not
        ] {
            assert!(texts.contains(number), "{number} in\n{texts}");
        }
    }

    #[test]
    fn the_lazy_check_accepts_what_it_should_not() {
        let accepted = blind().matches("accepted").count();
        assert_eq!(accepted, 3 + 1, "{}", blind());
    }
}
