//! What the chapter `network/softmax_cross_entropy` shows.

use backprop::calculus::gradcheck::numeric_vjp;
use backprop::network::softmax_cross_entropy::{self as softmax, binary};
use examiner::Sampler;
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2, arr1, arr2};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::drill::drill;
use crate::kit::{
    self, Dash, HeatMap, Look, Paint, Picture, Point, SMALL, TEXT, Type, WIDTH,
    fixed, number,
};
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
            knobs: &[],
            data: Data::Computed(jacobian_data),
            read_out: None,
            draw: jacobian_map,
            tolerance: Tolerance::relative(1e-9),
        },
        Figure {
            name: "pulls",
            title: "What pulls on three logits",
            description: "Three number lines with the logits 1, 2 and 3, and a \
                          short arrow on each: to the left by 0.09 and by \
                          0.2447, to the right by 0.3348. Below, the \
                          probabilities 0.09, 0.2447 and 0.6652 as bars, from \
                          the end of each an arrow to its target, 0, 0 and \
                          1, and beside the bars the Jacobian of the softmax, \
                          its diagonal violet, the rest gold.",
            knobs: &[
                Knob::slider("x_1", -5.0..=5.0, 1.0).step(0.1),
                Knob::slider("x_2", -5.0..=5.0, 2.0).step(0.1),
                Knob::slider("x_3", -5.0..=5.0, 3.0).step(0.1),
                Knob::choice("label", &["third", "first", "second"]),
                Knob::slider("tau", 0.25..=4.0, 1.0).step(0.05),
            ],
            data: Data::Computed(pulls_data),
            read_out: Some(loss_and_pulls),
            draw: pulls,
            tolerance: Tolerance {
                absolute: 1e-12,
                relative: 1e-9,
            },
        },
        Figure {
            name: "loss_and_pull",
            title: "What three losses charge, and how hard they pull",
            description: "Two panels over the label's logit from -40 to 10, \
                          two other logits being 0. Above the losses: the \
                          cross-entropy falls along a straight line to 0; \
                          with an epsilon in the logarithm it levels off at \
                          18.42 to the left; with two softmaxes it stays \
                          between 1.458 and 0.551. Below the pulls on that \
                          logit: cross-entropy pulls with 1 while the answer \
                          is wrong and lets go when it is right; with an \
                          epsilon less than a hundredth of that is left \
                          beyond -22.3, a shaded region; two softmaxes give a small bump near 0, \
                          0.23 at best.",
            knobs: &[EPSILON],
            data: Data::Computed(curves),
            read_out: Some(with_epsilon),
            draw: loss_and_pull,
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
    let dot = (&y * &dy).sum();
    let mut text = String::from(
        "rule                            dx for dy = (3, -1, 2)                \
         sum\n",
    );
    let mut line = |name: &str, dx: Array2<f64>| {
        let _ =
            writeln!(text, "{name:<18}{}{}", ten(dx.clone()), ten([dx.sum()]));
    };
    line("y(dy - dot)", softmax::vjp(y.view(), dy.view()));
    line("J·dy", dy.dot(&softmax::jacobian(y.row(0))));
    line("y(dy + dot)", &y * &(&dy + dot));
    line("y·dy", &y * &dy);
    line("y(1 - y)·dy", &y * &(1. - &y) * &dy);
    let _ = writeln!(text, "\ndot = <y, dy> = {}", ten([dot]).trim_start());
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
        "classes   Jacobian entries     in f32    J times dy  y(dy - dot)\n",
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
            "{:>7}   {:>16} {size:>10} {:>13} {:>12}",
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

fn jacobian_data(_: &Knobs) -> Value {
    let y = softmax::forward(logits().view());
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

fn jacobian_map(data: &Value) -> Picture {
    let rows: Vec<Vec<f64>> = kit::get(data, "/jacobian");
    HeatMap::new(&rows)
        .rows("probability", &["p_1", "p_2", "p_3"])
        .columns("logit that moves", &["x_1", "x_2", "x_3", "all"])
        .places(4)
        .side(104.)
        .picture()
}

// ---- three logits, and what pulls on them --------------------------------

/// Names of the three logits, which are those of their knobs.
const LOGITS: [&str; 3] = ["x_1", "x_2", "x_3"];

/// Minus the gradient on each logit is `(t - p)/τ`, since the softmax sees
/// `x/τ`. The Jacobian is that of the softmax alone, at `x/τ`.
fn pulls_data(knobs: &Knobs) -> Value {
    let x = LOGITS.map(|name| knobs.number(name));
    let tau = knobs.number("tau");
    let label = match knobs.choice("label") {
        "first" => 0,
        "second" => 1,
        _ => 2,
    };
    let t = softmax::targets(&[label], 3, 0.);
    let z = arr2(&[x]) / tau;
    let (loss, p) = softmax::cross_entropy(z.view(), t.view());
    let dz = softmax::cross_entropy_vjp(p.view(), t.view(), 1.);
    let pulls: Vec<f64> = dz.iter().map(|d| 0. - d / tau).collect();
    let j = softmax::jacobian(p.row(0));
    let rows: Vec<_> = j.rows().into_iter().map(|r| r.to_vec()).collect();
    json!({
        "x": x, "p": p.row(0).to_vec(), "t": t.row(0).to_vec(),
        "loss": loss, "pulls": pulls, "jacobian": rows,
    })
}

fn loss_and_pulls(_: &Knobs, data: &Value) -> String {
    let four = |at: &str| {
        let all = kit::get::<[f64; 3]>(data, at);
        all.map(|v| fixed(v, 4)).join(", ")
    };
    format!(
        "loss {}, p = ({}), pulls ({})",
        fixed(kit::get(data, "/loss"), 4),
        four("/p"),
        four("/pulls")
    )
}

/// Units of the picture per logit, and where 0 is: an arrow at the end of
/// the line still has room.
const LOGIT: f64 = 42.;
const ORIGIN: f64 = 254.;
/// Height of the first number line, and from one to the next.
const FIRST: f64 = 42.;
const APART: f64 = 36.;
/// Left end and length of the scale of probabilities, and middle of its
/// first bar; rows of bars are rows of the matrix.
const BARS: [f64; 2] = [44., 344.];
const ROW: f64 = 62.;
const BAR: f64 = 256.;

fn pulls(data: &Value) -> Picture {
    let mut p = Picture::new(WIDTH, 414.);
    number_lines(&mut p, data);
    bars(&mut p, data);
    let rows: Vec<Vec<f64>> = kit::get(data, "/jacobian");
    let map = HeatMap::new(&rows)
        .columns("Jacobian, p by x/τ", &LOGITS)
        .places(2)
        .full_at(0.25)
        .side(ROW)
        .picture();
    // The map's own cells begin 58 units below its top.
    p.place(&map, [WIDTH - map.width(), BAR - ROW / 2. - 58.]);
    for (k, name) in LOGITS.iter().enumerate() {
        let (y, left) = (FIRST + APART * k as f64, ORIGIN - 5. * LOGIT);
        p.handle(name, [left, y - APART / 2., 10. * LOGIT, APART]);
    }
    p
}

/// An arrow to the right or left; below its head's length it is a head.
fn pull(p: &mut Picture, [x, y]: Point, length: f64) {
    if length.abs() < 0.5 {
        return;
    }
    let (paint, head) = (Paint::Cotangent, length.abs().min(13.));
    let base = x + length - length.signum() * head;
    let half = 3. + 0.3 * head;
    p.line([x, y], [base, y], Look::stroke(paint, 4.));
    let corners = [[x + length, y], [base, y - half], [base, y + half]];
    p.polygon(&corners, Look::fill(paint));
}

/// The logits, and from each an arrow to where a step of rate 1 takes it.
fn number_lines(p: &mut Picture, data: &Value) {
    let (x, pulls) = (
        kit::get::<[f64; 3]>(data, "/x"),
        kit::get::<[f64; 3]>(data, "/pulls"),
    );
    let small = Type::new(SMALL);
    let at = |v: f64, k: usize| [ORIGIN + LOGIT * v, FIRST + APART * k as f64];
    for v in [-5., 0., 5.] {
        let hair = Look::stroke(Paint::Faint, 1.);
        let x = at(v, 0)[0];
        p.line([x, FIRST - 14.], [x, FIRST + 2. * APART + 14.], hair);
        let style = small.middle().paint(Paint::Muted);
        p.text([x, 12.], &number(v, 1), style);
    }
    let style = small.end().paint(Paint::Cotangent);
    p.formula([WIDTH - 4., 12.], "pull, (t − p)/τ", style);
    for (k, name) in LOGITS.iter().enumerate() {
        let y = at(0., k)[1];
        p.formula([4., y], name, Type::new(TEXT));
        p.line(at(-5., k), at(5., k), Look::stroke(Paint::Ink, 1.5));
        let from = at(x[k], k);
        p.circle(from, 6., Look::fill(Paint::Input));
        pull(p, [from[0], y + 12.], LOGIT * pulls[k]);
        let style = Type::new(TEXT).end().paint(Paint::Cotangent).halo();
        p.text([WIDTH - 4., y], &fixed(pulls[k], 4), style);
    }
    let y = FIRST + 3. * APART;
    let sum = pulls.iter().sum::<f64>();
    let line = [[560., y - 18.], [WIDTH - 2., y - 18.]];
    p.polyline(&line, Look::stroke(Paint::Cotangent, 1.5));
    let style = Type::new(TEXT).end().paint(Paint::Cotangent);
    p.text([WIDTH - 4., y], &format!("sum {}", fixed(sum, 4)), style);
    let loss = fixed(kit::get(data, "/loss"), 4);
    p.text([4., y], &format!("loss {loss}"), Type::new(TEXT).bold());
}

/// Probabilities as bars, and from the end of each an arrow to the target.
fn bars(p: &mut Picture, data: &Value) {
    let [left, long] = BARS;
    let (probability, target) = (
        kit::get::<[f64; 3]>(data, "/p"),
        kit::get::<[f64; 3]>(data, "/t"),
    );
    let small = Type::new(SMALL);
    let top = BAR - 46.;
    p.formula([left, top], "probability p", small.paint(Paint::Activation));
    let style = small.end().paint(Paint::Cotangent);
    p.formula([left + long + 4., top], "to the target, t − p", style);
    for end in [0., 1.] {
        let x = left + long * end;
        let hair = Look::stroke(Paint::Faint, 1.);
        p.line([x, BAR - 30.], [x, BAR + 2. * ROW + 30.], hair);
    }
    for k in 0..3 {
        let y = BAR + ROW * k as f64;
        p.formula([4., y], &format!("p_{}", k + 1), Type::new(TEXT));
        let wide = long * probability[k];
        let bar = [left, y - 24., wide, 28.];
        p.rectangle(bar, Look::stroke(Paint::Activation, 1.5).tinted(0.3));
        let goal = left + long * target[k];
        let mark = Look::stroke(Paint::Ink, 3.);
        p.line([goal, y - 28.], [goal, y + 26.], mark);
        pull(p, [left + wide, y + 15.], goal - left - wide);
        let text = fixed(probability[k], 4);
        let style = Type::new(TEXT).halo();
        if probability[k] < 0.6 {
            p.text([left + wide + 8., y - 10.], &text, style);
        } else {
            p.text([left + wide - 8., y - 10.], &text, style.end());
        }
    }
}

// ---- three losses, and how hard each pulls --------------------------------

/// The label's logit in both panels, the others being 0.
const REACH: [f64; 2] = [-40., 10.];

/// Loss and pull of three losses against the label's logit.
fn curves(knobs: &Knobs) -> Value {
    let epsilon = 10f64.powi(knobs.number("epsilon") as i32);
    let x: Vec<f64> = (-160..=40).map(|k| f64::from(k) / 4.).collect();
    let of = |f: &dyn Fn(f64) -> (f64, f64)| -> Value {
        let both: Vec<_> = x.iter().map(|x| f(*x)).collect();
        let line = |pick: &dyn Fn(&(f64, f64)) -> f64| -> Vec<[f64; 2]> {
            x.iter().zip(&both).map(|(x, b)| [*x, pick(b)]).collect()
        };
        json!({ "loss": line(&|b| b.0), "pull": line(&|b| b.1) })
    };
    let by = |twice: bool| {
        move |x: f64| {
            let (loss, dx) = loss_and_gradient(&arr2(&[[0., 0., x]]), twice);
            (loss, -dx[[0, 2]])
        }
    };
    let with_epsilon = |x: f64| {
        let p = softmax::forward(arr2(&[[0., 0., x]]).view())[[0, 2]];
        let (loss, slope) = guarded(p, epsilon);
        (loss, -slope)
    };
    let fine = (-500..=500).map(|k| f64::from(k) / 100.);
    let peak = fine.map(|x| [x, by(true)(x).1]);
    let peak = peak.fold([0.; 2], |a, b| if b[1] > a[1] { b } else { a });
    json!({
        "one": of(&by(false)),
        "two": of(&by(true)),
        "epsilon": of(&with_epsilon),
        "cap": [let_go(epsilon), -epsilon.ln()],
        "peak": peak,
    })
}

/// The logit of the label at which a hundredth of the pull is left. An ε
/// multiplies it by `p/(p + ε)`, so there `p = ε/99`.
fn let_go(epsilon: f64) -> f64 {
    let p = epsilon / 99.;
    (2. * p / (1. - p)).ln()
}

fn with_epsilon(knobs: &Knobs, _: &Value) -> String {
    let power = knobs.number("epsilon");
    let epsilon = 10f64.powi(power as i32);
    format!(
        "ε = 1e{power}: no loss above {}, no hundredth of the pull left of {}",
        number(-epsilon.ln(), 4),
        number(let_go(epsilon), 3)
    )
}

/// A panel: where it lies, and what its lower and upper edge mean.
struct Panel {
    top: f64,
    bottom: f64,
    high: f64,
}

/// Left and right edge of both panels.
const SIDES: [f64; 2] = [46., WIDTH - 14.];

fn across(x: f64) -> f64 {
    let part = (x - REACH[0]) / (REACH[1] - REACH[0]);
    SIDES[0] + part * (SIDES[1] - SIDES[0])
}

impl Panel {
    fn at(&self, [x, y]: Point) -> Point {
        let part = y / self.high;
        [across(x), self.bottom - part * (self.bottom - self.top)]
    }

    fn curve(&self, p: &mut Picture, data: &Value, at: &str, look: Look) {
        let points: Vec<Point> = kit::get(data, at);
        let points: Vec<_> = points.iter().map(|q| self.at(*q)).collect();
        p.polyline(&points, look);
    }

    fn ticks(&self, p: &mut Picture, title: &str, ticks: &[f64]) {
        let small = Type::new(SMALL);
        let [left, right] = SIDES;
        for v in ticks {
            let y = self.at([0., *v])[1];
            p.line([left, y], [right, y], Look::stroke(Paint::Faint, 1.));
            let style = small.end().paint(Paint::Muted);
            p.text([left - 8., y], &number(*v, 2), style);
        }
        p.formula([4., self.top - 24.], title, small);
    }
}

fn loss_and_pull(data: &Value) -> Picture {
    const LOSS: Panel = Panel {
        top: 40.,
        bottom: 210.,
        high: 42.,
    };
    const PULL: Panel = Panel {
        top: 282.,
        bottom: 412.,
        high: 1.05,
    };
    let [right, epsilon, twice] = [
        Look::stroke(Paint::Series(1), 3.),
        Look::stroke(Paint::Series(2), 2.).dash(Dash::Dashed),
        Look::stroke(Paint::Series(3), 2.).dash(Dash::Dotted),
    ];
    let small = Type::new(SMALL).halo();
    let [cap, most] = kit::get::<[f64; 2]>(data, "/cap");
    let peak = kit::get::<[f64; 2]>(data, "/peak");
    let mut p = Picture::new(WIDTH, 486.);
    let edge = across(cap);
    let wide = edge - SIDES[0];
    let shade = Look::fill(Paint::Series(2)).opacity(0.12);
    for panel in [&LOSS, &PULL] {
        let high = panel.bottom - panel.top;
        p.rectangle([SIDES[0], panel.top, wide, high], shade);
    }
    LOSS.ticks(&mut p, "loss, nats", &[0., 20., 40.]);
    PULL.ticks(&mut p, "pull on the logit of the label, −∂L/∂x", &[0., 1.]);
    for (panel, what) in [(&LOSS, "loss"), (&PULL, "pull")] {
        for (name, look) in
            [("epsilon", epsilon), ("two", twice), ("one", right)]
        {
            panel.curve(&mut p, data, &format!("/{name}/{what}"), look);
        }
    }
    let line = SMALL + 3.;
    // What is to be seen above.
    let [x, y] = LOSS.at([-27., 31.5]);
    let style = small.paint(Paint::Series(1));
    p.text([x + 14., y], "cross-entropy", style);
    let [x, y] = LOSS.at([REACH[0], most]);
    let text = format!("ε caps the loss: {}", fixed(most, 2));
    p.text([x + 8., y + line], &text, small.paint(Paint::Series(2)));
    let [x, y] = LOSS.at([REACH[0], 1.46]);
    let style = small.paint(Paint::Series(3));
    p.text([x + 8., y - 0.8 * line], "softmax twice", style);
    // And below.
    if wide > 130. {
        let style = small.middle().paint(Paint::Series(2));
        let [x, y] = [SIDES[0] + wide / 2., PULL.at([0., 0.5])[1]];
        p.text([x, y - line / 2.], "no pull on the", style);
        p.text([x, y + line / 2.], "worst examples", style);
    }
    let style = small.paint(Paint::Series(3));
    let [x, y] = PULL.at([-2.5, 0.34]);
    p.text([x, y - line / 2.], "softmax twice:", style.end());
    let best = format!("{} at best", fixed(peak[1], 2));
    p.text([x, y + line / 2.], &best, style.end());
    p.circle(PULL.at(peak), 4.5, Look::fill(Paint::Series(3)));
    // The logits, and which side is right.
    let y = PULL.bottom + line;
    for tick in [REACH[0], cap, 0., REACH[1]] {
        let near = |other: f64| tick == cap && (tick - other).abs() < 4.;
        if near(REACH[0]) || near(0.) {
            continue;
        }
        let digits = if tick == cap { 3 } else { 2 };
        let style = Type::new(SMALL).middle().paint(Paint::Muted);
        p.text([across(tick), y], &number(tick, digits), style);
    }
    let y = PULL.bottom + 2.5 * line;
    let words = Type::new(SMALL);
    p.text([SIDES[0], y], "← more wrong", words.paint(Paint::Muted));
    let middle = (SIDES[0] + SIDES[1]) / 2.;
    p.text([middle, y], "logit of the label", words.middle());
    let style = words.end().paint(Paint::Muted);
    p.text([SIDES[1], y], "more right →", style);
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setting;

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
    fn the_pulls_sum_to_zero_and_are_minus_the_slopes_of_the_loss() {
        let figure = &CHAPTER.figures[1];
        assert_eq!(figure.name, "pulls");
        let words = |word: &str| Setting::Words(word.into());
        for (x, label, tau) in [
            ([1., 2., 3.], "third", 1.),
            ([5., -5., -5.], "third", 0.25),
            ([5., 5., 5.], "first", 0.25),
            ([-1.5, 0.5, 4.], "second", 4.),
        ] {
            let at = |x: [f64; 3]| {
                let set = |k: Knobs, (name, v): (&str, f64)| {
                    k.with(name, Setting::Number(v)).unwrap()
                };
                let all = LOGITS.into_iter().zip(x).chain([("tau", tau)]);
                let knobs = all.fold(Knobs::new(figure.knobs), set);
                pulls_data(&knobs.with("label", words(label)).unwrap())
            };
            let pulls: [f64; 3] = kit::get(&at(x), "/pulls");
            assert!(pulls.iter().sum::<f64>().abs() < 1e-12, "{pulls:?}");
            for k in 0..3 {
                // No knob goes beyond 5: the difference looks inwards.
                let h = if x[k] > 0. { -1e-5 } else { 1e-5 };
                let loss = |steps: f64| {
                    let mut moved = x;
                    moved[k] += steps * h;
                    kit::get::<f64>(&at(moved), "/loss")
                };
                let ahead = 4. * loss(1.) - 3. * loss(0.) - loss(2.);
                let slope = ahead / (2. * h);
                assert!((pulls[k] + slope).abs() < 1e-7, "{k} of {x:?}");
            }
        }
    }

    #[test]
    fn the_lazy_check_accepts_what_it_should_not() {
        let accepted = blind().matches("accepted").count();
        assert_eq!(accepted, 3 + 1, "{}", blind());
    }
}
