//! What the chapter `calculus/modes` shows.

use backprop::backends::Cpu;
use backprop::calculus::gradcheck::{Sampler, central};
use backprop::calculus::modes::net::{self, Net};
use backprop::calculus::modes::ops::matvec;
use backprop::calculus::modes::{Counted, Dual, Number, count, jacobian};
use backprop::device::Device;
use backprop::network::mlp::model;
use backprop::training::classifier::{Settings, fit};
use backprop::training::data::{Scaler, digits, split};
use examiner::Verdict;
use examiner::calculus::modes as exam;
use examiner::judge::Exam;
use ndarray::{Array1, Array2, ArrayView1, Dimension, array};
use serde_json::{Value, json};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use crate::kit::{
    self, Axis, Chart, Look, Paint, Picture, SMALL, TEXT, Type, WIDTH,
};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Text, Tolerance};

/// The digits network's Jacobian, and the times of both modes.
const PICTURES: &str = "book/src/generated/calculus/modes/pictures.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "calculus/modes",
    outputs: &[
        Output::printed("products", products),
        Output::printed("trace", trace),
        Output::printed("network", network),
        Output::printed("cost", cost),
        Output {
            name: "times",
            extension: "txt",
            text: Text::Stored(PICTURES, times_table),
            tolerance: Tolerance::EXACT,
        },
        Output::printed("adjoint", adjoint),
        Output::printed("alike", alike),
        Output::printed("programs", programs),
        Output::printed("twice", twice),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "three",
            title: "A handwritten 3 and its ten scores",
            description: "An image of eight by eight pixels that shows a 3. \
                          Beside it ten bars, one for each digit: the one of \
                          the 3 is the highest, 12.7, that of the 8 comes \
                          next, 5.4; five of the ten are below zero.",
            knobs: &[],
            data: Data::Measured(PICTURES),
            read_out: None,
            draw: three,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "passes",
            title: "What a pass tells of a Jacobian",
            description: "A grid of three rows, the outputs, and eight \
                          columns, the inputs. Two columns are filled, known \
                          from two forward passes; one row is outlined, \
                          known from one backward pass.",
            knobs: &[
                Knob::slider("inputs", 1.0..=10.0, 8.0).step(1.0),
                Knob::slider("outputs", 1.0..=6.0, 3.0).step(1.0),
                Knob::slider("forward", 0.0..=10.0, 2.0).step(1.0),
                Knob::slider("backward", 0.0..=6.0, 1.0).step(1.0),
            ],
            data: Data::Computed(known),
            read_out: Some(how_many_known),
            draw: grid,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "pictures",
            title: "640 slopes of the digits network",
            description: "A handwritten 3, and beside it the same image \
                          changed a little, which is read as 8. Below, three \
                          rows of ten small pictures, one for each score. In \
                          the first row one picture is painted and nine are \
                          empty. In the second each picture has one pixel. \
                          In the third all are painted, violet where more ink \
                          raises the score and gold where it lowers it.",
            knobs: &[],
            data: Data::Stored(pictures_run),
            read_out: None,
            draw: pictures,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "crossover",
            title: "The cost of a whole Jacobian",
            description: "Operations, counted in forward passes, against the \
                          number of inputs, for ten outputs. The line of \
                          reverse mode is level at about 16. Those of \
                          forward mode and of central differences rise in \
                          proportion to the inputs; forward mode crosses \
                          reverse mode near five inputs.",
            knobs: &[Knob::slider("outputs", 1.0..=100.0, 10.0).step(1.0)],
            data: Data::Computed(crossover),
            read_out: Some(crossing),
            draw: crossover_chart,
            tolerance: Tolerance::relative(1e-12),
        },
    ],
};

fn cells(row: impl IntoIterator<Item = f64>) -> String {
    row.into_iter().map(|v| format!("{v:6}")).collect()
}

// ---- by hand --------------------------------------------------------------

/// `(x₁ x₂, x₂ sin x₃)`.
fn example<T: Number>(x: ArrayView1<T>) -> Array1<T> {
    array![x[0] * x[1], x[1] * x[2].sin()]
}

/// Its VJP, line by line.
fn example_vjp(x: ArrayView1<f64>, dy: ArrayView1<f64>) -> Array1<f64> {
    array![
        dy[0] * x[1],
        dy[0] * x[0] + dy[1] * x[2].sin(),
        dy[1] * x[1] * x[2].cos()
    ]
}

fn products() -> String {
    let x = array![2., 3., 0.];
    let j = jacobian::by_columns(example, x.view());
    let by_rows = jacobian::by_rows(|dy| example_vjp(x.view(), dy), 2);
    assert_eq!(j, by_rows);
    let mut text = String::from("x = (2, 3, 0), y = (6, 0)\n\n");
    for seed in [array![1., 0., 0.], array![0., 1., 0.], array![1., 1., 1.]] {
        let moving = ndarray::Zip::from(&x)
            .and(&seed)
            .map_collect(|&value, &slope| Dual { value, slope });
        let y_dot = example(moving.view()).mapv(|y| y.slope);
        let (seed, y_dot) = (cells(seed), cells(y_dot));
        let _ = writeln!(text, "forward   x_dot {seed}   y_dot {y_dot}");
    }
    text.push('\n');
    for seed in [array![1., 0.], array![0., 1.], array![1., 2.]] {
        let dx = example_vjp(x.view(), seed.view());
        let (seed, dx) = (cells(seed), cells(dx));
        let _ = writeln!(text, "backward  dy    {seed}         dx    {dx}");
    }
    text.push_str("\nJ by columns, and by rows:\n");
    for row in j.rows() {
        let _ = writeln!(text, "{}", cells(row.to_owned()));
    }
    text
}

fn trace() -> String {
    let x = Dual::variable(1.);
    let u = x.exp();
    let v = x + Dual::constant(1.);
    let y = u * v;
    // The same lines, backwards.
    let dy = 1.;
    let (du, dv) = (dy * v.value, dy * u.value);
    let dx = dv + du * u.value;
    let mut text = String::from(
        "                     value   tangent, down   cotangent, up\n",
    );
    for (line, number, cotangent) in [
        ("x", x, dx),
        ("u = exp x", u, du),
        ("v = x + 1", v, dv),
        ("y = u·v", y, dy),
    ] {
        let _ = writeln!(
            text,
            "{line:<10} {:>15.10} {:>15.10} {cotangent:>15.10}",
            number.value, number.slope
        );
    }
    text
}

// ---- a network ------------------------------------------------------------

fn drawn<D: Dimension>(
    s: &mut Sampler,
    shape: &[usize],
) -> ndarray::Array<f64, D> {
    s.normal(shape).into_dimensionality().expect("that rank")
}

/// A network of random weights, and an input.
fn random([i, h, o]: [usize; 3], seed: u64) -> (Net, Array1<f64>) {
    let mut s = Sampler::new(seed);
    let net = Net {
        w1: drawn::<ndarray::Ix2>(&mut s, &[h, i]) / (i as f64).sqrt(),
        b1: drawn(&mut s, &[h]),
        w2: drawn::<ndarray::Ix2>(&mut s, &[o, h]) / (h as f64).sqrt(),
        b2: drawn(&mut s, &[o]),
    };
    (net, drawn(&mut s, &[i]))
}

fn by_columns<T: Number>(net: &Net<T>, x: ArrayView1<T>) -> Array2<T> {
    let fixed = net.map(Dual::fixed);
    jacobian::by_columns(|x| net::forward(&fixed, x).1, x)
}

fn by_rows<T: Number>(net: &Net<T>, x: ArrayView1<T>) -> Array2<T> {
    let a = net::forward(net, x).0;
    let m = net.b2.len();
    jacobian::by_rows(|dy| net::vjp(net, x, a.view(), dy).1, m)
}

fn largest(a: &Array2<f64>) -> f64 {
    a.iter().fold(0., |m: f64, v| m.max(v.abs()))
}

/// One direction in which weights and inputs of a network move together.
fn network() -> String {
    let (net, x) = random([64, 128, 10], 1);
    let (net_dot, x_dot) = random([64, 128, 10], 2);
    let (_, y_dot) = net::jvp((&net, &net_dot), (x.view(), x_dot.view()));
    let along = |t: f64| {
        let moved = Net {
            w1: &net.w1 + &(t * &net_dot.w1),
            b1: &net.b1 + &(t * &net_dot.b1),
            w2: &net.w2 + &(t * &net_dot.w2),
            b2: &net.b2 + &(t * &net_dot.b2),
        };
        net::forward(&moved, (&x + &(t * &x_dot)).view()).1
    };
    let mut text = String::from(
        "64 inputs, 128 hidden units, 10 outputs; all 9,674 numbers move\n\n\
         output       dual numbers   central difference\n",
    );
    for o in 0..3 {
        let numeric = central(|t| along(t)[o], 0., 1e-5);
        let _ = writeln!(
            text,
            "{:>6} {:>18.12} {:>20.12}",
            o + 1,
            y_dot[o],
            numeric
        );
    }
    text
}

// ---- what a pass costs ----------------------------------------------------

/// Operations of a forward pass, of one with the inputs' slopes, of a
/// backward one.
fn operations(sizes: [usize; 3]) -> [u64; 3] {
    let (net, x) = random(sizes, 0);
    let (net, x) = (net.map(Counted), x.mapv(Counted));
    let ((a, y), up) = count(|| net::forward(&net, x.view()));
    let dy = y.mapv(|y| Counted(y.real()));
    let (_, back) = count(|| net::vjp(&net, x.view(), a.view(), dy.view()));
    let (fixed, moving) = (net.map(Dual::fixed), x.mapv(Dual::variable));
    let (_, dual) = count(|| net::forward(&fixed, moving.view()));
    [up, dual, back]
}

/// `9610` as `9,610`.
fn grouped(n: u64) -> String {
    match n {
        n if n < 1000 => n.to_string(),
        n => format!("{},{:03}", grouped(n / 1000), n % 1000),
    }
}

fn cost() -> String {
    let mut text = String::from(
        "                               forward    one    one      whole J, in\n\
         \x20                n      m         pass    JVP    VJP   columns      \
         rows\n",
    );
    for (name, n, m, sizes) in [
        ("pixels", 64, 10, [64, 128, 10]),
        ("weights", 9610, 1, [64, 128, 10]),
        ("one knob", 1, 1000, [1, 128, 1000]),
        ("square", 100, 100, [100, 128, 100]),
    ] {
        let [up, dual, back] = operations(sizes);
        let unit = |count: u64| count as f64 / up as f64;
        let _ = writeln!(
            text,
            "{name:<9} {:>8} {:>6} {:>12} {:>6.2} {:>6.2} {:>9.1} {:>9.1}",
            grouped(n),
            grouped(m),
            grouped(up),
            unit(dual),
            unit(back),
            n as f64 * unit(dual),
            1. + m as f64 * unit(back),
        );
    }
    text
}

const HIDDEN: usize = 64;

fn crossover(knobs: &Knobs) -> Value {
    let m = knobs.number("outputs") as usize;
    let mut lines = [vec![], vec![], vec![]];
    for n in [1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 200, 300] {
        let [up, dual, back] = operations([n, HIDDEN, m]);
        let (n, up) = (n as f64, up as f64);
        let forward = n * dual as f64 / up;
        let reverse = 1. + m as f64 * back as f64 / up;
        for (line, y) in lines.iter_mut().zip([forward, reverse, 2. * n]) {
            line.push([n, y]);
        }
    }
    let [forward, reverse, differences] = lines;
    json!({
        "forward": forward,
        "reverse": reverse,
        "differences": differences,
    })
}

fn crossing(knobs: &Knobs, _: &Value) -> String {
    let m = knobs.number("outputs") as usize;
    let dearer = |n: &usize| {
        let [up, dual, back] = operations([*n, HIDDEN, m]);
        *n as u64 * dual > up + m as u64 * back
    };
    let first = (1..=300).find(dearer);
    let first = first.map_or("nowhere".into(), |n| format!("{n} inputs"));
    format!("{m} outputs: reverse mode is cheaper from {first} on")
}

fn crossover_chart(data: &Value) -> Picture {
    let points =
        |name: &str| -> Vec<[f64; 2]> { kit::get(data, &format!("/{name}")) };
    Chart::new(Axis::log("inputs n"), Axis::log("cost, in forward passes"))
        .line("forward mode", &points("forward"))
        .label_at(9)
        .line("reverse mode", &points("reverse"))
        .line("central differences", &points("differences"))
        .picture()
}

fn times_table(run: &Value) -> String {
    let mut text = String::from(
        "   inputs   outputs    forward pass   J by columns      J by rows\n",
    );
    for row in kit::get::<Vec<[f64; 5]>>(run, "/times") {
        let [n, m, up, columns, rows] = row;
        let time = |us: f64| match us {
            us if us < 1000. => format!("{us:.1} µs"),
            us => format!("{:.2} ms", us / 1000.),
        };
        let _ = writeln!(
            text,
            "{:>9} {:>9} {:>15} {:>14} {:>14}",
            grouped(n as u64),
            grouped(m as u64),
            time(up),
            time(columns),
            time(rows)
        );
    }
    text
}

/// The median of several runs, in microseconds.
fn microseconds<R>(run: impl Fn() -> R) -> f64 {
    let mut all: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            let mut runs = 0;
            while runs == 0 || start.elapsed().as_secs_f64() < 0.02 {
                black_box(run());
                runs += 1;
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(runs)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    (all[7] * 100.).round() / 100.
}

/// Inputs, outputs, and the times of a forward pass and of both Jacobians.
fn times() -> Vec<[f64; 5]> {
    let sizes = [
        (1, 1000),
        (4, 10),
        (10, 10),
        (64, 10),
        (100, 100),
        (1000, 1),
    ];
    let row = |(n, m): (usize, usize)| {
        let (net, x) = random([n, 128, m], 0);
        [
            n as f64,
            m as f64,
            microseconds(|| net::forward(&net, x.view())),
            microseconds(|| by_columns(&net, x.view())),
            microseconds(|| by_rows(&net, x.view())),
        ]
    };
    sizes.map(row).into()
}

// ---- ten pictures ---------------------------------------------------------

/// Trains the network of the digits, with one hidden layer of tanh.
fn pictures_run() -> Value {
    let mut all = digits();
    Scaler::by(8., 64).apply(&mut all);
    all.x -= 1.;
    let (train, test) = split(&all, 0.2, 0).expect("a fifth of 1,797 images");
    let settings = Settings {
        activation: model::Activation::Tanh,
        epochs: 40,
        lr: 0.05,
        noise: 0.5,
        ..Settings::default()
    };
    let dev = Cpu::new();
    let trained = fit(&dev, settings, &train, &test);
    let trained = trained.expect("the run does not diverge");
    let [first, last] = &trained.model.mlp.layers[..] else {
        unreachable!("one hidden layer");
    };
    let matrix = |t| -> Array2<f64> {
        let w = dev.read(t).into_dimensionality::<ndarray::Ix2>();
        w.expect("a matrix").reversed_axes()
    };
    let vector = |t| -> Array1<f64> {
        dev.read(t).into_dimensionality().expect("a vector")
    };
    let net = Net {
        w1: matrix(&first.w),
        b1: vector(&first.b),
        w2: matrix(&last.w),
        b2: vector(&last.b),
    };
    let scores = |x: ArrayView1<f64>| net::forward(&net, x).1;
    let read = |x: ArrayView1<f64>| best(&scores(x), None);
    let right = test.labels.iter().enumerate();
    let right = right.filter(|(k, l)| read(test.x.row(*k)) == **l).count();
    let is_three =
        |k: &usize| test.labels[*k] == 3 && read(test.x.row(*k)) == 3;
    let chosen = (0..test.len()).find(is_three).expect("a three, read right");
    let x = test.x.row(chosen);
    let (columns, rows) = (by_columns(&net, x), by_rows(&net, x));
    let gap = largest(&(&columns - &rows)) / largest(&rows);
    assert!(gap < 1e-12, "both ways agree: {gap}");
    // Towards the second best, along the difference of the two rows.
    let y = scores(x);
    let other = best(&y, Some(3));
    let towards = &rows.row(other) - &rows.row(3);
    let length = towards.dot(&towards).sqrt();
    let step = |k: u32| {
        let far = f64::from(k) / 100. / length;
        (&x + &(&towards * far)).mapv(|v| v.clamp(-1., 1.))
    };
    let steps = (1..2000).find(|k| read(step(*k).view()) != 3);
    let steps = steps.expect("it is misled at last");
    let after = step(steps);
    let ink = |x: ArrayView1<f64>| -> Vec<f64> {
        x.iter().map(|v| rounded((v + 1.) / 2.)).collect()
    };
    let nested = |j: &Array2<f64>| -> Vec<Vec<f64>> {
        let row = |r: ArrayView1<f64>| r.iter().map(|v| rounded(*v)).collect();
        j.rows().into_iter().map(row).collect()
    };
    json!({
        "right": right,
        "of": test.len(),
        "image": ink(x),
        "scores": y.iter().map(|v| rounded(*v)).collect::<Vec<_>>(),
        "jacobian": nested(&rows),
        "other": other,
        "predicted": rounded((y[3] - y[other]) / length),
        "step": f64::from(steps) / 100.,
        "after": ink(after.view()),
        "read": read(after.view()),
        "after_scores": scores(after.view())
            .iter()
            .map(|v| rounded(*v))
            .collect::<Vec<_>>(),
        "most": rounded(
            (&after - &x).iter().fold(0., |m: f64, v| m.max(v.abs())) / 2.
        ),
        "times": times(),
    })
}

/// The place of the largest score, one of them left out.
fn best(y: &Array1<f64>, without: Option<usize>) -> usize {
    let all = (0..y.len()).filter(|k| Some(*k) != without);
    let best = all.max_by(|a, b| y[*a].total_cmp(&y[*b]));
    best.expect("some scores")
}

fn rounded(v: f64) -> f64 {
    (v * 1e4).round() / 1e4
}

/// Eight rows of eight.
fn square(pixels: &[f64]) -> Vec<Vec<f64>> {
    pixels.chunks(8).map(<[f64]>::to_vec).collect()
}

/// One of the ten pictures, at a corner, the pixels that are known painted.
fn slopes(
    p: &mut Picture,
    (at, side): ([f64; 2], f64),
    row: &[f64],
    most: f64,
    known: impl Fn(usize) -> bool,
) {
    for (sign, paint) in [(1., Paint::Positive), (-1., Paint::Negative)] {
        let shade = |(k, v): (usize, &f64)| match known(k) {
            true => (sign * v / most).max(0.),
            false => 0.,
        };
        let shades: Vec<f64> = row.iter().enumerate().map(shade).collect();
        p.raster(at, side / 8., &square(&shades), paint);
    }
    let frame = [at[0], at[1], side, side];
    p.rectangle(frame, Look::stroke(Paint::Muted, 1.));
}

const TILE: f64 = 56.;
const LARGE: f64 = 104.;

/// Whether a score's slope by a pixel is known.
type Known = fn(usize, usize) -> bool;

/// The pixel that moves in the second row of pictures.
const PIXEL: usize = 3 * 8 + 3;

/// An image at a corner, with a frame.
fn image_at(p: &mut Picture, at: [f64; 2], side: f64, pixels: &[f64]) {
    p.raster(at, side / 8., &square(pixels), Paint::Ink);
    let frame = [at[0], at[1], side, side];
    p.rectangle(frame, Look::stroke(Paint::Faint, 1.));
}

fn three(data: &Value) -> Picture {
    let image: Vec<f64> = kit::get(data, "/image");
    let scores: Vec<f64> = kit::get(data, "/scores");
    let mut p = Picture::new(WIDTH, 218.);
    image_at(&mut p, [1., 22.], 160., &image);
    let (left, step, zero, unit) = (206., 43., 112., 6.6);
    for (digit, score) in scores.iter().enumerate() {
        let x = left + step * (digit as f64 + 0.5);
        let (paint, tall) = (sign(*score), unit * score.abs());
        let (top, beyond) = match paint {
            Paint::Positive => (zero - tall, -tall - 12.),
            _ => (zero, tall + 12.),
        };
        p.rectangle([x - 13., top, 26., tall], Look::fill(paint));
        let number = kit::fixed(*score, 1);
        p.text([x, zero + beyond], &number, Type::new(SMALL).middle());
        let name = Type::new(SMALL).middle().paint(Paint::Muted);
        p.text([x, 208.], &digit.to_string(), name);
    }
    let right = left + step * scores.len() as f64;
    p.line([left, zero], [right, zero], Look::stroke(Paint::Muted, 1.));
    p
}

fn sign(v: f64) -> Paint {
    if v > 0. {
        Paint::Positive
    } else {
        Paint::Negative
    }
}

fn pictures(data: &Value) -> Picture {
    let jacobian: Vec<Vec<f64>> = kit::get(data, "/jacobian");
    let image: Vec<f64> = kit::get(data, "/image");
    let all = jacobian.iter().flatten();
    // A few slopes are much larger than the others.
    let most = 0.6 * all.fold(0., |m: f64, v| m.max(v.abs()));
    let mut p = Picture::new(WIDTH, 612.);
    let small = Type::new(SMALL).paint(Paint::Muted);
    let side = 88.;
    image_at(&mut p, [1., 1.], side, &image);
    let after: Vec<f64> = kit::get(data, "/after");
    let other: usize = kit::get(data, "/other");
    let right = 330.;
    image_at(&mut p, [right, 1.], side, &after);
    let (big, y) = (Type::new(TEXT), 1. + side / 2.);
    p.text([side + 14., y], "read as 3", big);
    let look = Look::stroke(Paint::Muted, 1.5);
    p.arrow([side + 112., y], [right - 14., y], look);
    p.text([side + 122., y - 20.], "a small step", small);
    let read = format!("read as {other}");
    p.text([right + side + 13., y], &read, big);
    let rows: [(&str, Known); 2] = [
        ("one backward pass, from the score of 3", |score, _| {
            score == 3
        }),
        ("one forward pass, with one pixel moving", |_, k| k == PIXEL),
    ];
    let step = (WIDTH - TILE - 2.) / 9.;
    for (r, (caption, known)) in rows.into_iter().enumerate() {
        let top = 120. + 104. * r as f64;
        p.text([1., top], caption, Type::new(SMALL));
        for (score, row) in jacobian.iter().enumerate() {
            let at = [1. + step * score as f64, top + 14.];
            slopes(&mut p, (at, TILE), row, most, |k| known(score, k));
        }
    }
    let (top, step) = (342., (WIDTH - LARGE - 2.) / 4.);
    p.text(
        [1., top - 14.],
        "10 backward passes, or 64 forward",
        Type::new(SMALL),
    );
    for (score, row) in jacobian.iter().enumerate() {
        let (across, down) = ((score % 5) as f64, (score / 5) as f64);
        let at = [1. + step * across, top + (LARGE + 32.) * down];
        slopes(&mut p, (at, LARGE), row, most, |_| true);
        let under = [at[0] + LARGE / 2., at[1] + LARGE + 14.];
        p.text(under, &score.to_string(), small.middle());
    }
    p
}

// ---- the grid -------------------------------------------------------------

fn known(knobs: &Knobs) -> Value {
    let whole = |name| knobs.number(name) as usize;
    let (n, m) = (whole("inputs"), whole("outputs"));
    json!({
        "inputs": n,
        "outputs": m,
        "forward": whole("forward").min(n),
        "backward": whole("backward").min(m),
    })
}

fn how_many_known(_: &Knobs, data: &Value) -> String {
    let whole = |name: &str| kit::get::<usize>(data, &format!("/{name}"));
    let (n, m) = (whole("inputs"), whole("outputs"));
    let (f, b) = (whole("forward"), whole("backward"));
    let known = f * m + b * n - f * b;
    format!(
        "{known} of {} slopes are known after {} passes",
        n * m,
        f + b
    )
}

fn grid(data: &Value) -> Picture {
    let whole = |name: &str| kit::get::<usize>(data, &format!("/{name}"));
    let (n, m) = (whole("inputs"), whole("outputs"));
    let (forward, backward) = (whole("forward"), whole("backward"));
    let (side, left, top) = (52., 56., 70.);
    let mut p = Picture::new(WIDTH, top + side * m as f64 + 44.);
    let middle = Type::new(TEXT).middle();
    let small = Type::new(SMALL);
    let wide = side * n as f64;
    let tall = side * m as f64;
    for j in 0..n {
        let x = left + side * (j as f64 + 0.5);
        p.formula([x, top - 18.], &format!("x_{}", j + 1), middle);
    }
    for i in 0..m {
        let y = top + side * (i as f64 + 0.5);
        let end = Type::new(TEXT).end();
        p.formula([left - 12., y], &format!("y_{}", i + 1), end);
    }
    for i in 0..m {
        for j in 0..n {
            let at = [
                left + side * j as f64 + 2.,
                top + side * i as f64 + 2.,
                side - 4.,
                side - 4.,
            ];
            p.rectangle(at, Look::fill(Paint::Ink).opacity(0.06));
            if j < forward {
                p.rectangle(at, Look::fill(Paint::Activation).opacity(0.45));
            }
        }
    }
    for j in 0..forward {
        let x = left + side * j as f64;
        let frame = [x, top, side, tall];
        p.rectangle(frame, Look::stroke(Paint::Activation, 2.5).rounded(8.));
    }
    for i in 0..backward {
        let y = top + side * i as f64;
        let look = Look::stroke(Paint::Cotangent, 3.).tinted(0.25).dashed();
        p.rectangle([left, y, wide, side], look.rounded(8.));
    }
    let forward_is = small.paint(Paint::Activation);
    p.text([left, 14.], "a forward pass: one column", forward_is);
    let back_is = small.paint(Paint::Cotangent);
    let under = top + tall + 24.;
    p.text([left, under], "a backward pass: one row", back_is);
    p
}

// ---- is it right? ---------------------------------------------------------

fn adjoint() -> String {
    let j = array![[1., 2.], [5., 3.]];
    let mut text = String::from(
        "J = [[1, 2], [5, 3]]\n\n\
         \x20                           u          v     ⟨u, Jv⟩  ⟨VJP, v⟩\n",
    );
    let same = array![1., 2.];
    let other = array![1., -1.];
    for (name, u, wrong) in [
        ("right, u = v", &same, false),
        ("J for its transpose, u = v", &same, true),
        ("right", &other, false),
        ("J for its transpose", &other, true),
    ] {
        let up = u.dot(&j.dot(&same));
        let back = if wrong { j.dot(u) } else { j.t().dot(u) };
        let down = back.dot(&same);
        let pair = |v: &Array1<f64>| format!("({}, {})", v[0], v[1]);
        let _ = writeln!(
            text,
            "{name:<26} {:>7} {:>9} {up:>10} {down:>9}   {}",
            pair(u),
            pair(&same),
            if up == down { "accepted" } else { "rejected" }
        );
    }
    text
}

/// A tanh whose slope is taken to be `1 - y`, by both products.
fn alike() -> String {
    let w = array![[0.7, -0.4, 0.2], [0.1, 0.9, -0.6]];
    let x = array![0.5, -0.3, 0.8];
    let (u, v) = (array![1., -2.], array![0.6, 1.1, -0.7]);
    let mut text = String::from(
        "y = tanh(W x)            ⟨u, Jv⟩      ⟨Jᵀu, v⟩    differences\n",
    );
    let y = matvec(w.view(), x.view()).mapv(f64::tanh);
    let numeric = central(
        |t| u.dot(&w.dot(&(&x + &(t * &v))).mapv(f64::tanh)),
        0.,
        1e-5,
    );
    for (name, s) in [
        ("slope 1 - y²", y.mapv(|y| 1. - y * y)),
        ("slope 1 - y", y.mapv(|y| 1. - y)),
    ] {
        let up = u.dot(&(&s * &w.dot(&v)));
        let down = w.t().dot(&(&s * &u)).dot(&v);
        let _ = writeln!(
            text,
            "{name:<16} {up:>15.9} {down:>13.9} {numeric:>14.9}"
        );
    }
    text
}

// ---- programs -------------------------------------------------------------

fn programs() -> String {
    let at = |value| Dual { value, slope: 1. };
    let show = |y: Dual| format!("{:>6} {:>9}", y.value, y.slope + 0.);
    let x0 = at(0.);
    let by_logarithm = (Dual::constant(1.875) * x0.ln()).exp();
    let square = x0 * x0;
    let mut text =
        String::from("at x = 0              value     slope   true\n");
    for (name, y, truth) in [
        ("relu(x) - relu(-x)", x0.relu() - (-x0).relu(), "1"),
        ("x^1.875", x0.powf(Dual::constant(1.875)), "0"),
        ("exp(1.875 ln x)", by_logarithm, "0"),
        ("x²", square, "0"),
        ("(√x²)²", square.sqrt() * square.sqrt(), "0"),
    ] {
        let _ = writeln!(text, "{name:<20} {}   {truth:>4}", show(y));
    }
    text
}

/// The gradient of `x²y`.
fn gradient<T: Number>(x: T, y: T) -> [T; 2] {
    [T::constant(2.) * x * y, x * x]
}

fn twice() -> String {
    let (x, y) = (Dual::variable(3.), Dual::fixed(2.));
    let [gx, gy] = gradient(x, y);
    format!(
        "f = x²y at (3, 2), x moving\n\
         gradient            {:>4} {:>4}\n\
         how fast it moves   {:>4} {:>4}\n",
        gx.value, gy.value, gx.slope, gy.slope
    )
}

/// The examiner's answer to a product that is done in place.
fn report() -> String {
    let verdict = exam::DUAL.judge(
        (
            |mut a, b| {
                a.value *= b.value;
                a.slope = a.slope * b.value + a.value * b.slope;
                a
            },
            |a, b| a / b,
        ),
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_numbers_are_on_the_page() {
        let texts = [trace(), products(), adjoint(), twice()].concat();
        for number in [
            "5.4365636569", // W-023
            "8.1548454854",
            "     5     3", // J (1, 1, 1)
            "     3     2     6",
            "27", // both ways
            "-6",
        ] {
            assert!(texts.contains(number), "{number} in\n{texts}");
        }
    }

    #[test]
    fn the_lazy_vectors_accept_what_they_should_not() {
        let text = adjoint();
        assert_eq!(text.matches("accepted").count(), 3, "{text}");
        assert_eq!(text.matches("rejected").count(), 1, "{text}");
    }

    #[test]
    fn a_mistake_that_both_share_is_not_seen() {
        let text = alike();
        let wrong = text.lines().last().expect("a line");
        let n: Vec<&str> = wrong.split_whitespace().rev().take(3).collect();
        assert!(n[1] == n[2] && n[0] != n[1], "{text}");
    }
}
