//! What the chapter `calculus/chain_rule` shows.

use backprop::calculus::chain_rule::{self, Step, sigmoid, sigmoid_vjp};
use backprop::calculus::gradcheck::central;
use serde_json::{Value, json};
use std::fmt::Write;

use crate::drill::drill;
use crate::kit::{
    self, Chain, Look, Paint, Picture, Point, SMALL, TEXT, Type, WIDTH, number,
};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Text, Tolerance};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "calculus/chain_rule",
    outputs: &[
        Output::printed("sine_of_square", sine_of_square),
        Output::printed("line_squared", line_squared),
        Output::printed("orders", orders),
        Output::printed("sigmoid", sigmoid_steps),
        Output::printed("steps", steps),
        // The strip as a file of its own, for the README.
        Output {
            name: "picture",
            extension: "svg",
            text: Text::Computed(picture),
            tolerance: Tolerance::EXACT,
        },
        Output::drill("drill_chain", || drill("calculus/chain_rule/chain", 7)),
    ],
    figures: &[
        Figure {
            name: "lines",
            title: "A small interval on its way through sin(x²)",
            description: "Three number lines, one under the other: x, u = x² \
                          and y = sin u. The interval from 1.5 to 1.7 on the \
                          first is joined by a band to its image on the \
                          second, 3.2 times as long, and by a twisted band to \
                          its image on the third, where it points the other \
                          way. Below, the three as arrows, divided by the \
                          first, 1, 3.2 and -2.646, with two marks, the \
                          slopes 3 and -1.885.",
            knobs: &[
                Knob::slider("x", -2.0..=2.0, 1.5).step(0.01),
                Knob::slider("h", 0.01..=0.5, 0.2).step(0.01),
            ],
            data: Data::Computed(lines_of),
            read_out: Some(lengths),
            draw: lines,
            tolerance: Tolerance::relative(1e-12),
        },
        Figure {
            name: "strip",
            title: "The chain sin(x²) at x = 1.5",
            description: "Three nodes in a row: x, u and y. Above them the \
                          values 1.5, 2.25 and 0.7781, joined by arrows to \
                          the right named square and sine. Below them the \
                          derivatives of y, from right to left 1, -0.6282 \
                          and -1.8845, joined by arrows to the left that \
                          carry the local slopes cos u and 2x.",
            knobs: &[Knob::slider("x", -2.5..=2.5, 1.5)],
            data: Data::Computed(|k| strip_of(&SINE_OF_SQUARE, k.number("x"))),
            read_out: Some(|k, data| slope_at("x", k, data)),
            draw: strip,
            tolerance: Tolerance::relative(1e-12),
        },
        Figure {
            name: "long_strip",
            title: "The chain sin((e^(3t))²) at t = 0",
            description: "Five nodes in a row from t to y with the values 0, \
                          0, 1, 1 and 0.8415 above. Below, from right to \
                          left, the derivatives 1, 0.5403, 1.0806, 1.0806 \
                          and 3.2418.",
            knobs: &[Knob::slider("t", -0.5..=0.5, 0.0)],
            data: Data::Computed(|k| strip_of(&F_OF_G, k.number("t"))),
            read_out: Some(|k, data| slope_at("t", k, data)),
            draw: long_strip,
            tolerance: Tolerance::relative(1e-12),
        },
    ],
};

const SINE_OF_SQUARE: [Step; 2] = [Step::Power(2), Step::Sin];
const F_OF_G: [Step; 4] =
    [Step::Times(3.), Step::Exp, Step::Power(2), Step::Sin];
const G_OF_F: [Step; 4] =
    [Step::Power(2), Step::Sin, Step::Times(3.), Step::Exp];

/// The chain as a table: what arrives, the step, its slope, the derivative.
fn table(chain: &[Step], x: f64) -> String {
    let values = chain_rule::forward(chain, x);
    let gradients = chain_rule::vjp(chain, &values, 1.);
    let mut out = String::from(
        "    arrives u   step           leaves      slope at u      cotangent\n",
    );
    for (k, step) in chain.iter().enumerate() {
        let _ = writeln!(
            out,
            "{:>13.10}   {:<6} {:>14.10} {:>15.10} {:>14.10}",
            values[k],
            step.label(),
            values[k + 1],
            step.slope(values[k]),
            gradients[k],
        );
    }
    out
}

fn sine_of_square() -> String {
    let mut out = table(&SINE_OF_SQUARE, 1.5);
    let numeric = central(|x| (x * x).sin(), 1.5, 1e-6);
    let _ = writeln!(out, "\ncentral difference, h = 1e-6: {numeric:.8}");
    out
}

fn line_squared() -> String {
    let (x, w, b) = (2., 3., 1.);
    let (y, z2) = chain_rule::line_squared(x, w, b);
    let (dx, dw, db) = chain_rule::line_squared_vjp(x, w, z2, 1.);
    let f = |x, w, b| chain_rule::line_squared(x, w, b).0;
    let h = 1e-6;
    format!(
        "x = {x}, w = {w}, b = {b}: z1 = {}, z2 = {z2}, y = {y}\n\n\
         \x20           by the rule   central difference\n\
         db {db:>18} {:>20.4}\n\
         dw {dw:>18} {:>20.4}\n\
         dx {dx:>18} {:>20.4}\n",
        x * w,
        central(|b| f(x, w, b), b, h),
        central(|w| f(x, w, b), w, h),
        central(|x| f(x, w, b), x, h),
    )
}

fn orders() -> String {
    let mut out = String::from("             t = 0            t = 1\n");
    for (name, chain) in [("(f∘g)'", F_OF_G), ("(g∘f)'", G_OF_F)] {
        let at =
            |t| chain_rule::vjp(&chain, &chain_rule::forward(&chain, t), 1.)[0];
        let _ = writeln!(out, "{name} {:>13.10} {:>16.10}", at(0.), at(1.));
    }
    out
}

fn sigmoid_steps() -> String {
    let chain = [Step::Times(-1.), Step::Exp, Step::Add(1.), Step::Power(-1)];
    let mut out = table(&chain, 1.);
    let y = sigmoid(1.);
    let _ = writeln!(
        out,
        "\nfrom the output alone: y = {y:.10}, y(1 - y) = {:.10}",
        sigmoid_vjp(y, 1.)
    );
    out
}

fn steps() -> String {
    let f = |t: f64| chain_rule::forward(&F_OF_G, t)[4];
    let exact =
        chain_rule::vjp(&F_OF_G, &chain_rule::forward(&F_OF_G, 1.), 1.)[0];
    let mut out =
        String::from("    h    central difference at t = 1   relative error\n");
    for h in [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9, 1e-11, 1e-13] {
        let numeric = central(f, 1., h);
        let error = ((numeric - exact) / exact).abs();
        let _ = writeln!(out, "{h:>6.0e} {numeric:>21.4} {error:>23.0e}");
    }
    let _ = writeln!(out, " exact {exact:>21.4}");
    out
}

/// A chain's values and derivatives, and what stands on its arrows.
fn strip_of(chain: &[Step], x: f64) -> Value {
    let values = chain_rule::forward(chain, x);
    let slopes: Vec<f64> = chain
        .iter()
        .zip(&values)
        .map(|(s, &u)| s.slope(u))
        .collect();
    let gradients = chain_rule::vjp(chain, &values, 1.);
    json!({ "values": values, "slopes": slopes, "derivatives": gradients })
}

/// Value and derivative of a strip at the point that a knob gives.
fn slope_at(name: &str, knobs: &Knobs, data: &Value) -> String {
    let last = kit::get::<Vec<f64>>(data, "/values").pop().unwrap_or(0.);
    let slope: f64 = kit::get(data, "/derivatives/0");
    let four = |v| number(v, 4);
    format!(
        "{name} = {}: y = {}, dy/d{name} = {}",
        four(knobs.number(name)),
        four(last),
        four(slope)
    )
}

// ---- an interval and its images ------------------------------------------

/// What `sin(x²)` makes of the interval from `x` to `x + h`: five points of
/// it with all that they become, and the slopes at `x`.
fn lines_of(knobs: &Knobs) -> Value {
    let (x, h) = (knobs.number("x"), knobs.number("h"));
    let at =
        |k| chain_rule::forward(&SINE_OF_SQUARE, x + h * f64::from(k) / 4.);
    let points: Vec<_> = (0..=4).map(at).collect();
    let mut data = strip_of(&SINE_OF_SQUARE, x);
    data["h"] = h.into();
    data["points"] = json!(points);
    data
}

/// How many times as long each step makes the interval, from end to end, and
/// the slopes. Where no length arrives the slope stands for the ratio.
fn ratios(data: &Value) -> ([f64; 2], [f64; 2]) {
    let slopes: [f64; 2] = kit::get(data, "/slopes");
    let points: Vec<[f64; 3]> = kit::get(data, "/points");
    let (first, last) = (points[0], points[points.len() - 1]);
    let ratio = |k: usize| {
        let arrives = last[k] - first[k];
        if arrives.abs() < 1e-9 {
            slopes[k]
        } else {
            (last[k + 1] - first[k + 1]) / arrives
        }
    };
    ([ratio(0), ratio(1)], slopes)
}

/// Both products, that of the lengths and that of the slopes.
fn lengths(knobs: &Knobs, data: &Value) -> String {
    let ([a, b], [s, t]) = ratios(data);
    let four = |v| number(v, 4);
    format!(
        "x = {}, h = {}: ratios {} × {} = {}, slopes {} × {} = {}",
        four(knobs.number("x")),
        four(knobs.number("h")),
        four(a),
        four(b),
        four(a * b),
        four(s),
        four(t),
        four(s * t),
    )
}

/// Units of the picture per unit of all three number lines: what is longer
/// is so to the eye.
const UNIT: f64 = 84.;
/// Where each number line has its zero.
const ZEROS: [Point; 3] = [[339., 36.], [98., 164.], [360., 292.]];

/// The point of line `k` at `v`.
fn on(k: usize, v: f64) -> Point {
    [ZEROS[k][0] + UNIT * v, ZEROS[k][1]]
}

/// Blue keeps the direction, orange turns it round.
fn side(sign: f64) -> (Paint, Paint) {
    if sign < 0. {
        (Paint::Negative, Paint::Series(2))
    } else {
        (Paint::Positive, Paint::Series(1))
    }
}

/// An arrow however short: below its head's length it is a head.
fn short_arrow(p: &mut Picture, from: Point, to: Point, paint: Paint) {
    let length = to[0] - from[0];
    let head = length.signum() * length.abs().min(15.);
    let base = to[0] - head;
    let half = 1.5 + 0.4 * head.abs();
    p.line(from, [base, to[1]], Look::stroke(paint, 5.));
    let (above, below) = ([base, to[1] - half], [base, to[1] + half]);
    p.polygon(&[to, above, below], Look::fill(paint));
}

fn lines(data: &Value) -> Picture {
    let mut p = Picture::new(WIDTH, 448.);
    number_lines(&mut p, data);
    bands(&mut p, data);
    microscope(&mut p, data);
    let (least, most) = (on(0, -2.)[0], on(0, 2.)[0]);
    p.handle("x", [least, 4., most - least, 56.]);
    p
}

/// The lines, and behind them where evenly spaced points go.
fn number_lines(p: &mut Picture, data: &Value) {
    let values: [f64; 3] = kit::get(data, "/values");
    let hair = Look::stroke(Paint::Faint, 1.);
    for k in -16..=20 {
        let x = f64::from(k) / 8.;
        p.line(on(0, x), on(1, Step::Power(2).value(x)), hair);
    }
    for k in 0..=25 {
        let u = f64::from(k) / 4.;
        p.line(on(1, u), on(2, Step::Sin.value(u)), hair);
    }
    let names = ["x", "u = x²", "y = sin u"];
    let ends = [(-2., 2.5), (0., 6.25), (-1., 1.)];
    for (k, (name, (low, high))) in names.into_iter().zip(ends).enumerate() {
        let paint = [Paint::Input, Paint::Activation, Paint::Activation][k];
        p.line(on(k, low), on(k, high), Look::stroke(Paint::Ink, 1.5));
        let y = ZEROS[k][1];
        p.formula([2., y - 12.], name, Type::new(TEXT).halo());
        let value = Type::new(TEXT).paint(paint).bold().halo();
        p.text([2., y + 12.], &number(values[k], 4), value);
    }
}

/// The interval, its images, and a band from each to the next.
fn bands(p: &mut Picture, data: &Value) {
    let points: Vec<[f64; 3]> = kit::get(data, "/points");
    let (ratios, slopes) = ratios(data);
    for k in 0..2 {
        for pair in points.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            let fill = side((b[k + 1] - a[k + 1]) * (b[k] - a[k])).0;
            let corners = [
                on(k, a[k]),
                on(k, b[k]),
                on(k + 1, b[k + 1]),
                on(k + 1, a[k + 1]),
            ];
            p.polygon(&corners, Look::fill(fill).opacity(0.6));
        }
        for point in &points {
            let (from, to) = (on(k, point[k]), on(k + 1, point[k + 1]));
            p.line(from, to, Look::stroke(Paint::Muted, 0.8));
        }
    }
    ticks(p);
    let (first, last) = (points[0], points[points.len() - 1]);
    for k in 0..3 {
        let (from, to) = (on(k, first[k]), on(k, last[k]));
        let paint = side(last[k] - first[k]).1;
        short_arrow(p, from, to, paint);
        let paint = [Paint::Input, Paint::Activation, Paint::Activation][k];
        p.circle(from, 5., Look::fill(paint));
    }
    for k in 0..2 {
        let middle = |point: &[f64; 3]| {
            (on(k, point[k])[0] + on(k + 1, point[k + 1])[0]) / 2.
        };
        let right = points.iter().map(middle).fold(f64::MIN, f64::max);
        let left = points.iter().map(middle).fold(f64::MAX, f64::min);
        let y = (ZEROS[k][1] + ZEROS[k + 1][1]) / 2.;
        let (x, style) = if right < 500. {
            (right + 14., Type::new(TEXT).halo())
        } else {
            (left - 14., Type::new(TEXT).halo().end())
        };
        let times = format!("× {}", number(ratios[k], 3));
        p.text([x, y - 12.], &times, style.bold());
        let rule = ["2x", "cos u"][k];
        let slope = format!("{rule} = {}", number(slopes[k], 3));
        let paint = Paint::Cotangent;
        p.formula([x, y + 12.], &slope, style.paint(paint));
    }
}

/// Marks with their numbers: the x line's above it, the others' below.
fn ticks(p: &mut Picture) {
    let half_pi = std::f64::consts::FRAC_PI_2;
    let style = Type::new(SMALL).middle().paint(Paint::Muted).halo();
    let mut tick = |k: usize, v: f64, name: &str, shift: f64| {
        let [x, y] = on(k, v);
        p.line([x, y - 5.], [x, y + 5.], Look::stroke(Paint::Ink, 1.5));
        p.text([x, y + shift], name, style);
    };
    for v in [-2., -1., 0., 1., 2.] {
        tick(0, v, &number(v, 1), -20.);
    }
    for (k, name) in ["0", "π/2", "π", "3π/2"].into_iter().enumerate() {
        tick(1, half_pi * k as f64, name, 20.);
    }
    for v in [-1., 0., 1.] {
        tick(2, v, &number(v, 1), 20.);
    }
}

/// The three lengths with h as the unit, and the slopes as marks.
fn microscope(p: &mut Picture, data: &Value) {
    const UNIT: f64 = 38.;
    const ZERO: f64 = 417.;
    let ([a, b], [s, t]) = ratios(data);
    let small = Type::new(SMALL).paint(Paint::Muted);
    let title = "What has become of h, divided by h; the marks are slopes";
    p.formula([2., 344.], title, small);
    let axis = Look::stroke(Paint::Faint, 1.5);
    p.line([ZERO, 358.], [ZERO, 446.], axis);
    // With a thin space these are two letters, not a word.
    let rows = [
        ("h", 1., None),
        ("Δ\u{2009}u", a, Some(("2x", s))),
        ("Δ\u{2009}y", a * b, Some(("2x cos u", s * t))),
    ];
    for (k, (name, ratio, slope)) in rows.into_iter().enumerate() {
        let y = 372. + 30. * k as f64;
        p.formula([2., y], name, Type::new(TEXT));
        let tip = ZERO + UNIT * ratio;
        short_arrow(p, [ZERO, y], [tip, y], side(ratio).1);
        let mut beyond = tip;
        if let Some((rule, slope)) = slope {
            let x = ZERO + UNIT * slope;
            let mark = Look::stroke(Paint::Cotangent, 3.);
            p.line([x, y - 13.], [x, y + 13.], mark);
            let text = format!("{rule} = {}", number(slope, 4));
            p.formula([44., y], &text, Type::new(TEXT).paint(Paint::Cotangent));
            beyond = if ratio < 0. { tip.min(x) } else { tip.max(x) };
        }
        let style = Type::new(TEXT);
        let text = number(ratio, 4);
        if ratio < 0. {
            p.text([beyond - 9., y], &text, style.end());
        } else {
            p.text([beyond + 9., y], &text, style);
        }
    }
}

fn strip(data: &Value) -> Picture {
    draw(
        data,
        &["x", "u", "y"],
        &[("square", "2x"), ("sine", "cos u")],
    )
}

fn picture() -> String {
    let figure = &CHAPTER.figures[1];
    let inline = strip(&strip_of(&SINE_OF_SQUARE, 1.5)).inline(
        "chain-rule-picture",
        figure.title,
        figure.description,
    );
    kit::standalone(&inline)
}

fn long_strip(data: &Value) -> Picture {
    draw(
        data,
        &["t", "s", "u", "v", "y"],
        &[
            ("times 3", "3"),
            ("exp", "e^s"),
            ("square", "2u"),
            ("sine", "cos v"),
        ],
    )
}

fn draw(data: &Value, names: &[&str], steps: &[(&str, &str)]) -> Picture {
    let all = |key| kit::get::<Vec<f64>>(data, key);
    let (values, slopes) = (all("/values"), all("/slopes"));
    let derivatives = all("/derivatives");
    let mut chain = Chain::new(names[0], Paint::Input);
    for (k, name) in names.iter().enumerate() {
        if k > 0 {
            let (step, slope) = steps[k - 1];
            let local = if slope.parse::<f64>().is_ok() {
                slope.to_owned()
            } else {
                format!("{slope} = {}", number(slopes[k - 1], 4))
            };
            chain = chain.then(step, &local, name, Paint::Activation);
        }
        chain = chain.values(&number(values[k], 4), &number(derivatives[k], 4));
    }
    chain.picture()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setting;

    #[test]
    fn lengths_multiply_exactly_and_become_the_slopes() {
        let figure = &CHAPTER.figures[0];
        assert_eq!(figure.name, "lines");
        for x in [-1.7, -0.9, -0.2, 0., 0.4, 1.2, 1.5, 1.9] {
            let mut gaps = Vec::new();
            for h in [0.5, 0.04, 0.02, 0.01] {
                let knobs = Knobs::new(figure.knobs)
                    .with("x", Setting::Number(x))
                    .and_then(|k| k.with("h", Setting::Number(h)))
                    .unwrap();
                let data = lines_of(&knobs);
                let ([a, b], [s, t]) = ratios(&data);
                let y = |x: f64| (x * x).sin();
                let whole = (y(x + h) - y(x)) / h;
                assert!((a * b - whole).abs() < 1e-9, "x = {x}, h = {h}");
                let exact = (2. * x * (x * x).cos() - s * t).abs();
                assert!(exact < 1e-12, "the slopes at {x}");
                gaps.push((a * b - s * t).abs());
            }
            // Half of h, half of the gap.
            for pair in gaps[1..].windows(2) {
                let halved = pair[1] / pair[0];
                assert!((halved - 0.5).abs() < 0.1, "{x}: {gaps:?}");
            }
        }
    }
}
