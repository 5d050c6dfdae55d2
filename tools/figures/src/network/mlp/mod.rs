//! What the chapter `network/mlp` shows.

mod digits;
mod learning;
mod reader;

use backprop::backends::{Cpu, Textbook};
use backprop::calculus::gradcheck::central;
use backprop::network::mlp::model;
use backprop::network::mlp::{
    Activation, Cache, Gradients, Mlp, bp1_softmax, cross_entropy,
    half_squares, worked_example,
};
use backprop::network::softmax_cross_entropy as softmax;
use backprop::training::boundary::decision_grid;
use backprop::training::classifier::{Epoch, Settings, Trainer, fit};
use backprop::training::data::{Dataset, Scaler, digits, spirals, split};
use examiner::Verdict;
use examiner::judge::Exam;
use examiner::network::mlp as exam;
use ndarray::{Array2, ArrayView2, Axis, array, concatenate, s};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::kit::{self, Chart, Fields, Network, Paint, Picture, Point};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Text, Tolerance};

/// One training step beside PyTorch's, measured in turns on the same cores.
const STEP: &str =
    "benches/results/mlp-step-intel-r-xeon-r-processor-2-cores.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/mlp",
    outputs: &[
        Output::printed("worked", worked),
        Output::printed("difference", difference),
        Output::printed("inactive", inactive),
        Output::printed("softmax", softmax_output),
        Output::printed("mean", mean),
        Output::printed("descent", descent),
        Output::printed("kept", kept),
        Output::printed("report", report),
        Output {
            name: "step",
            extension: "txt",
            text: Text::Stored(STEP, measured_step),
            tolerance: Tolerance::EXACT,
        },
    ],
    figures: &[
        Figure {
            name: "network",
            title: "The worked example, forward and backward",
            description: "Three columns of nodes: inputs 1 and 2; hidden \
                          units with activations 0.7, 0.8 and 0 and errors \
                          -0.096, -0.144 and 0; the output 0.76 with error \
                          -0.24. Lines carry the weights: 0.5, 0.2, 0.4 from \
                          the first input, 0.1, 0.3, -0.6 from the second, \
                          0.4, 0.6, 0.5 to the output.",
            knobs: &[Knob::point("x", -2.0..=2., -2.0..=2., X)],
            data: Data::Computed(network_data),
            read_out: Some(input_gradient),
            draw: network,
            tolerance: Tolerance::absolute(1e-12),
        },
        Figure {
            name: "errors",
            title: "Size of the error signal by layer",
            description: "Root mean square of the error signal in each of \
                          eight layers, on a logarithmic axis. With sigmoid \
                          units it falls by a factor of about four or more \
                          per layer on the way down; with tanh and ReLU it \
                          stays within the same order of magnitude.",
            knobs: &[],
            data: Data::Computed(errors_data),
            read_out: None,
            draw: errors,
            tolerance: Tolerance::relative(1e-6),
        },
        Figure {
            name: "digits",
            title: "Learning to read digits",
            description: "Loss after each of forty epochs, on a logarithmic \
                          axis. On the images that the network is trained on \
                          it falls from 0.20 to 0.008, on those it has never \
                          seen from 0.21 to 0.04, where 98.6 % of them are \
                          read right.",
            knobs: &[],
            data: Data::Stored(digits_run),
            read_out: None,
            draw: digits_curve,
            tolerance: Tolerance::EXACT,
        },
        digits::NINE,
        digits::READING,
        digits::TEMPLATES,
        reader::FIGURE,
        learning::FIGURE,
        Figure {
            name: "boundary",
            title: "Decision boundaries on two spirals",
            description: "Six panels. Above, one hidden layer of 3, 6 and 20 \
                          units: the boundary follows the spirals more and \
                          more closely. Below, 20 units with growing weight \
                          decay: the boundary becomes smoother, and at last \
                          too stiff.",
            knobs: &[],
            data: Data::Stored(boundary_run),
            read_out: None,
            draw: boundary,
            tolerance: Tolerance::EXACT,
        },
    ],
};

fn row(name: &str, what: &str, values: ArrayView2<f64>) -> String {
    let cells: String =
        values.iter().map(|v| format!("{:9.4}", v + 0.)).collect();
    format!("  {name:<4} {what:<20}{cells}\n")
}

/// The input of the worked example.
const X: [f64; 2] = [1., 2.];

/// Forward and backward of the worked example at `x`.
fn step(
    hidden: usize,
    x: [f64; 2],
) -> (Mlp, Cache, Vec<Array2<f64>>, Gradients, f64) {
    let net = worked_example(hidden);
    let (y, cache) = net.forward(array![x].view());
    let (loss, dy) = half_squares(y.view(), array![[1.]].view());
    let deltas = net.errors(&cache, dy.view());
    let grads = net.gradients(&cache, &deltas);
    (net, cache, deltas, grads, loss)
}

fn worked() -> String {
    let (net, cache, deltas, grads, loss) = step(3, X);
    let mut text = String::from("forward\n");
    text += &row("z1", "x·W1 + b1", cache.sums[0].view());
    text += &row("a1", "relu(z1)", cache.inputs[1].view());
    text += &row("z2", "a1·W2 + b2 = y", cache.sums[1].view());
    let _ = writeln!(text, "  L    {:<20}{loss:9.4}", "(y - 1)²/2");
    text += "backward\n";
    text += &row("δ2", "BP1", deltas[1].view());
    text += &row("dW2", "BP3  (3,1)", grads[1].0.view());
    text += &row("db2", "BP4", grads[1].1.view().insert_axis(Axis(0)));
    text += &row("δ1", "BP2", deltas[0].view());
    text += &row("dW1", "BP3  (2,3), row 1", grads[0].0.slice(s![..1, ..]));
    text += &row("", "            row 2", grads[0].0.slice(s![1.., ..]));
    text += &row("db1", "BP4", grads[0].1.view().insert_axis(Axis(0)));
    text += &row("dx", "δ1·W1ᵀ", net.input_gradient(&deltas).view());
    text
}

fn difference() -> String {
    let loss = |step: f64| {
        let mut net = worked_example(2);
        net.layers[0].w[[0, 0]] += step;
        let (y, _) = net.forward(array![[1., 2.]].view());
        half_squares(y.view(), array![[1.]].view()).0
    };
    let (up, down) = (loss(1e-5), loss(-1e-5));
    format!(
        "W1[0,0] = 0.50001   L = {up:.12}\n\
         W1[0,0] = 0.49999   L = {down:.12}\n\
         difference / 0.00002  = {:.6}\n",
        (up - down) / 2e-5
    )
}

fn inactive() -> String {
    let (net, _, deltas, ..) = step(3, X);
    let unmasked = deltas[1].dot(&net.layers[1].w.t());
    let dx = |delta: &Array2<f64>| delta.dot(&net.layers[0].w.t());
    let mut text = row("δ1", "with the mask", deltas[0].view());
    text += &row("δ1", "without it", unmasked.view());
    text += &row("dx", "with the mask", dx(&deltas[0]).view());
    text += &row("dx", "without it", dx(&unmasked).view());
    let moved = |k: usize| {
        central(
            |v| {
                let mut x = array![[1., 2.]];
                x[[0, k]] = v;
                let (y, _) = net.forward(x.view());
                half_squares(y.view(), array![[1.]].view()).0
            },
            [1., 2.][k],
            1e-5,
        )
    };
    text += &row("dx", "by differences", array![[moved(0), moved(1)]].view());
    text
}

fn softmax_output() -> String {
    let z = array![[1., 2., 3.]];
    let p = softmax::forward(z.view());
    let dp = array![[0., 0., -1. / p[[0, 2]]]];
    let elementwise = &dp * &p.mapv(|p| p * (1. - p));
    let numeric = |k: usize| {
        central(
            |v| {
                let mut z = z.clone();
                z[[0, k]] = v;
                -softmax::forward(z.view())[[0, 2]].ln()
            },
            z[[0, k]],
            1e-5,
        )
    };
    let numeric = array![[numeric(0), numeric(1), numeric(2)]];
    let mut text = row("p", "softmax(1, 2, 3)", p.view());
    text += &row("dp", "loss = -ln p₃", dp.view());
    text += &row("δ", "dp ⊙ p(1 - p)", elementwise.view());
    text += &row("δ", "Jᵀ·dp", bp1_softmax(p.view(), dp.view()).view());
    text += &row("δ", "by differences", numeric.view());
    text
}

fn batch() -> (Array2<f64>, Array2<f64>) {
    let value =
        |(i, j): (usize, usize)| (1.3 * i as f64 - 2.1 * j as f64 + 0.4).sin();
    let x = Array2::from_shape_fn((8, 4), value);
    let t = Array2::from_shape_fn((8, 3), |(i, j)| value((j, i)));
    (x, t)
}

fn mean() -> String {
    let net = Mlp::new(&[4, 6, 3], Activation::Tanh, Activation::Identity, 1);
    let (x, t) = batch();
    let mut text = String::from(
        "                        once in the loss   again in BP3   nowhere\n",
    );
    let mut line = |what: &str, x: ArrayView2<f64>, t: ArrayView2<f64>| {
        let (y, cache) = net.forward(x);
        let (_, dy) = half_squares(y.view(), t);
        let grads = net.gradients(&cache, &net.errors(&cache, dy.view()));
        let dw = &grads[0].0;
        let norm = dw.iter().map(|d| d * d).sum::<f64>().sqrt();
        let b = x.nrows() as f64;
        let _ = writeln!(
            text,
            "  {what:<20}{norm:18.4}{:15.4}{:10.4}",
            norm / b,
            norm * b
        );
    };
    line("8 examples", x.view(), t.view());
    let twice = |a: &Array2<f64>| concatenate![Axis(0), *a, *a];
    line("each of them twice", twice(&x).view(), twice(&t).view());
    text
}

fn descent() -> String {
    let mut net = worked_example(2);
    let (x, t) = (array![[1., 2.]], array![[1.]]);
    let mut text = String::from("step   loss\n");
    for step in 0..=100 {
        let loss = net.train_step(x.view(), t.view(), half_squares, 0.01);
        if [0, 1, 10, 50, 100].contains(&step) {
            let _ = writeln!(text, "{step:4}   {loss:.4e}");
        }
    }
    text
}

fn kept() -> String {
    let mut text = String::from(
        "sizes          B   parameters   kept: a and z   kept: a alone\n",
    );
    for (sizes, b) in [
        (&[2, 3, 1][..], 1),
        (&[3, 4, 4, 1], 1),
        (&[64, 128, 10], 1),
        (&[64, 128, 10], 32),
    ] {
        let hidden = Activation::Relu;
        let net = Mlp::new(sizes, hidden, Activation::Identity, 0);
        let (_, cache) = net.forward(Array2::zeros((b, sizes[0])).view());
        let layers = net.layers.iter();
        let parameters: usize = layers.map(|l| l.w.len() + l.b.len()).sum();
        let inputs: usize = cache.inputs.iter().map(Array2::len).sum();
        let name: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "{:<12} {b:3}   {parameters:10}   {:13}   {inputs:13}",
            name.join("-"),
            cache.floats(),
        );
    }
    text
}

fn report() -> String {
    let verdict = exam::ERRORS.judge(
        (
            backprop::network::mlp::bp1,
            |delta, w, z, activation| match activation {
                Activation::Relu => delta.dot(&w.t()),
                other => backprop::network::mlp::bp2(delta, w, z, other),
            },
        ),
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

// ---- the worked example as a picture --------------------------------------

fn network_data(knobs: &Knobs) -> Value {
    let (net, cache, deltas, ..) = step(3, knobs.point("x"));
    let rows = |w: &Array2<f64>| -> Vec<Vec<f64>> {
        w.rows().into_iter().map(|r| r.to_vec()).collect()
    };
    json!({
        "x": cache.inputs[0].row(0).to_vec(),
        "a": cache.inputs[1].row(0).to_vec(),
        "y": cache.sums[1].row(0).to_vec(),
        "dx": net.input_gradient(&deltas).row(0).to_vec(),
        "delta1": deltas[0].row(0).to_vec(),
        "delta2": deltas[1].row(0).to_vec(),
        "w1": rows(&net.layers[0].w),
        "w2": rows(&net.layers[1].w),
    })
}

fn input_gradient(_: &Knobs, data: &Value) -> String {
    let y: f64 = kit::get(data, "/y/0");
    let dx = kit::get::<Vec<f64>>(data, "/dx");
    let dx: Vec<_> = dx.iter().map(|v| kit::number(*v, 4)).collect();
    format!("y = {}, dL/dx = ({})", kit::number(y, 4), dx.join(", "))
}

fn network(data: &Value) -> Picture {
    let vector = |name: &str| -> Vec<f64> { kit::get(data, name) };
    let matrix = |name: &str| -> Vec<Vec<f64>> { kit::get(data, name) };
    Network::new()
        .layer("input", Paint::Input, &["x_1", "x_2"])
        .values(&vector("/x"))
        .cotangents(&vector("/dx"))
        .weights(&matrix("/w1"))
        .numbers()
        .layer("hidden, ReLU", Paint::Activation, &["a_1", "a_2", "a_3"])
        .values(&vector("/a"))
        .cotangents(&vector("/delta1"))
        .weights(&matrix("/w2"))
        .numbers()
        .layer("output", Paint::Activation, &["y"])
        .values(&vector("/y"))
        .cotangents(&vector("/delta2"))
        .picture()
}

// ---- error signals by layer -----------------------------------------------

fn errors_data(_: &Knobs) -> Value {
    let mut widths = vec![64; 8];
    widths.push(10);
    let (train, _) = images();
    let x = train.x.slice(s![..100, ..]);
    let t = softmax::targets(&train.labels[..100], 10, 0.);
    let sizes = |hidden: Activation| -> Vec<[f64; 2]> {
        let net = Mlp::new(&widths, hidden, Activation::Identity, 3);
        let (y, cache) = net.forward(x);
        let (_, dy) = cross_entropy(y.view(), t.view());
        let deltas = net.errors(&cache, dy.view());
        let rms = |d: &Array2<f64>| (d * d).mean().unwrap_or(0.).sqrt();
        let each = deltas.iter().enumerate();
        each.map(|(l, d)| [(l + 1) as f64, rms(d)]).collect()
    };
    json!({
        "sigmoid": sizes(Activation::Sigmoid),
        "tanh": sizes(Activation::Tanh),
        "relu": sizes(Activation::Relu),
    })
}

fn errors(data: &Value) -> Picture {
    let points = |name: &str| -> Vec<Point> { kit::get(data, name) };
    let layers = points("/tanh").len() as f64;
    Chart::new(
        kit::Axis::linear("layer, the data below 1").range(0.6, layers + 0.4),
        kit::Axis::log("root mean square of δ"),
    )
    .marked_line("tanh", &points("/tanh"))
    .label_at(3)
    .marked_line("ReLU", &points("/relu"))
    .label_at(1)
    .marked_line("sigmoid", &points("/sigmoid"))
    .label_at(3)
    .picture()
}

// ---- digits ---------------------------------------------------------------

/// The images as `cargo train digits` prepares them: pixels from -1 to 1.
fn images() -> (Dataset, Dataset) {
    let mut all = digits();
    centred(&mut all.x);
    split(&all, 0.2, 0).expect("a fifth of 1,797 images")
}

/// Counts of ink from 0 to 16 as the network gets them, from -1 to 1.
fn centred(counts: &mut Array2<f64>) {
    *counts /= PER_COUNT;
    *counts -= 1.;
}

/// What an input is divided by.
const PER_COUNT: f64 = 8.;

/// The settings of `cargo train digits`.
fn settings() -> Settings {
    Settings {
        epochs: 40,
        lr: 0.05,
        noise: 0.5,
        ..Settings::default()
    }
}

/// What `cargo train digits` trains.
fn trained(dev: &Cpu) -> Trainer<'_, Cpu> {
    let (train, test) = images();
    let trained = fit(dev, settings(), &train, &test);
    trained.expect("the run does not diverge")
}

/// The epochs of `cargo train digits`.
fn digits_run() -> Value {
    let dev = Cpu::new();
    let run = trained(&dev).state.reports;
    let curve = |pick: fn(&Epoch) -> f64, per: f64| -> Vec<[f64; 2]> {
        let each = run.iter().enumerate();
        each.map(|(k, e)| [(k + 1) as f64, round(pick(e), per)])
            .collect()
    };
    json!({
        "train": curve(|e| e.train_loss, 1e4),
        "test": curve(|e| e.test_loss, 1e4),
        // The share of 359 images; more digits, so that it rounds once.
        "right": curve(|e| e.test_accuracy, 1e6),
    })
}

/// To a whole number of `1/per`.
fn round(v: f64, per: f64) -> f64 {
    (v * per).round() / per
}

fn digits_curve(data: &Value) -> Picture {
    let points = |name: &str| -> Vec<Point> { kit::get(data, name) };
    let test = points("/test");
    let last = test.last().copied().unwrap_or_default();
    let right = points("/right").last().map_or(0., |p| p[1]);
    let right = format!("{} % read right", kit::fixed(100. * right, 1));
    Chart::new(
        kit::Axis::linear("epoch"),
        kit::Axis::log("cross-entropy, nats"),
    )
    .line("never seen", &test)
    .line("trained on", &points("/train"))
    .note(last, [-150., -70.], &right)
    .size(kit::WIDTH, 300.)
    .picture()
}

// ---- decision boundaries --------------------------------------------------

const REACH: f64 = 3.4;
const CELLS: usize = 36;

/// Units, weight decay.
const NETS: [(usize, f64); 6] = [
    (3, 0.),
    (6, 0.),
    (20, 0.),
    (20, 3e-4),
    (20, 1e-3),
    (20, 3e-3),
];

fn boundary_run() -> Value {
    let mut all = spirals(200, 0.04, 0);
    Scaler::by(1. / 3., 2).apply(&mut all);
    let (train, test) = split(&all, 0.5, 1).expect("two halves");
    let dev = Textbook;
    let panel = |(width, decay): (usize, f64)| {
        let settings = Settings {
            hidden: vec![width],
            activation: model::Activation::Tanh,
            epochs: 800,
            batch: 25,
            lr: 0.1,
            decay,
            ..Settings::default()
        };
        let trained = fit(&dev, settings, &train, &test);
        let trained = trained.expect("the run does not diverge");
        let last = trained.state.reports[799];
        let grid = decision_grid(
            &dev,
            |x| trained.model.logits(&dev, x),
            REACH,
            CELLS,
        );
        let field: Vec<Vec<f64>> = (0..CELLS)
            .map(|j| {
                (0..CELLS).map(|i| round(grid.p[[j, i, 1]], 1e3)).collect()
            })
            .collect();
        json!({
            "width": width,
            "decay": decay,
            "train": round(last.train_accuracy, 1e3),
            "test": round(last.test_accuracy, 1e3),
            "field": field,
        })
    };
    // Every second point: all of them would hide the fields.
    let points: Vec<_> = (train.x.rows().into_iter().zip(&train.labels))
        .step_by(2)
        .map(|(x, label)| ([round(x[0], 1e3), round(x[1], 1e3)], *label as u8))
        .collect();
    json!({ "points": points, "nets": NETS.map(panel) })
}

fn boundary(data: &Value) -> Picture {
    let points: Vec<(Point, u8)> = kit::get(data, "/points");
    let mut fields = Fields::new([-REACH, REACH], [-REACH, REACH]).columns(3);
    for k in 0..NETS.len() {
        let of = |name: &str| format!("/nets/{k}/{name}");
        let width: u32 = kit::get(data, &of("width"));
        let decay: f64 = kit::get(data, &of("decay"));
        let right = |name| 100. * kit::get::<f64>(data, &of(name));
        let title = if decay == 0. {
            format!("{width} units")
        } else {
            format!("{width} units, λ = {decay}")
        };
        let (train, test) = (right("train"), right("test"));
        let finding = format!("{train:.0} %, others {test:.0} %");
        let field: Vec<Vec<f64>> = kit::get(data, &of("field"));
        fields = fields.panel(&title, &finding, &field, &points);
    }
    fields.picture()
}

/// The stored measurement of a step as a table: one row per round.
fn measured_step(data: &Value) -> String {
    let number = |v: &Value, at: &str| kit::get::<f64>(v, at);
    let micro = |seconds: f64| format!("{:.1} µs", 1e6 * seconds);
    let mut out = String::from("round        ours     PyTorch   ratio\n");
    let rounds = kit::get::<Vec<Value>>(data, "/rounds");
    for (k, round) in (1..).zip(&rounds) {
        let ours = number(round, "/backprop/median_s");
        let ratio = number(round, "/ratio_median");
        let theirs = ours / ratio;
        let (ours, theirs) = (micro(ours), micro(theirs));
        let _ = writeln!(out, "{k:>5} {ours:>11} {theirs:>11} {ratio:>7.3}");
    }
    let text = |at| kit::get::<String>(data, at);
    let cores = number(data, "/machine/cores");
    let cpu = text("/machine/cpu");
    let median = number(data, "/ratio_median");
    let _ = writeln!(out, "median of the ratios {median:>17.3}\n");
    let torch = text("/torch");
    let _ = writeln!(out, "{cpu}, {cores} cores; PyTorch {torch}");
    let commit = text("/commit");
    let _ = writeln!(out, "commit {}, {}", &commit[..7], text("/command"));
    out
}
