//! What the chapter `calculus/chain_rule` shows.

use backprop::calculus::chain_rule::{self, Step, sigmoid, sigmoid_vjp};
use backprop::calculus::gradcheck::central;
use serde_json::{Value, json};
use std::fmt::Write;

use crate::drill::drill;
use crate::kit::{self, Chain, Paint, Picture, number};
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
        Output::printed("quarters", quarters),
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

fn quarters() -> String {
    let chain = [Step::Sigmoid; 10];
    let values = chain_rule::forward(&chain, 0.);
    let best = 0.25_f64.powi(10);
    let first = chain_rule::vjp(&chain, &values, 1.)[0];
    format!(
        "ten sigmoids, slope 1/4 in each:      {best:.4e}\n\
         ten sigmoids, started at 0 and run:   {first:.4e}\n"
    )
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

fn strip(data: &Value) -> Picture {
    draw(
        data,
        &["x", "u", "y"],
        &[("square", "2x"), ("sine", "cos u")],
    )
}

fn picture() -> String {
    let figure = &CHAPTER.figures[0];
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
            ("exp", "u"),
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
