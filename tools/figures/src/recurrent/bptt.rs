//! What the chapter `recurrent/bptt` shows.

use std::fmt::Write;

use backprop::device::AdamW;
use backprop::engine::random::{self, Rng};
use backprop::network::linear;
use backprop::network::optimizer::{adamw, clip};
use backprop::network::softmax_cross_entropy as softmax;
use backprop::recurrent::bptt::{
    self, Gradients, Stretch, chunks, scalar, spectral_radius, windows,
};
use backprop::training::text::{Text, Vocabulary, bigram_loss, shakespeare};
use examiner::Verdict;
use examiner::judge::Exam;
use examiner::recurrent::bptt as exam;
use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis, array, s};
use serde_json::{Value, json};

use crate::Text as From;
use crate::kit::{self, Chart, Look, Paint, Picture, Point, Type};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// Networks that have read Shakespeare, and how far back they look.
const LETTERS: &str = "book/src/generated/recurrent/bptt/letters.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "recurrent/bptt",
    outputs: &[
        Output::printed("walk", walk),
        Output::printed("cuts", cuts),
        Output::printed("tanh", one_unit),
        Output::printed("shear", shear),
        Output::printed("clip", clipped),
        stored("reach", reach),
        stored("losses", losses),
        stored("sample", sample),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "unrolled",
            title: "One layer, three steps",
            description: "Three boxes in a row, one for each step. Each gets \
                          an input from below and the state from the box to \
                          its left, over an arrow with the same weight w. \
                          States are 1.2, 2.6 and 0.3; the cotangents that \
                          come back are 0.45, 0.3 and 2.",
            knobs: &[Knob::slider("w", -1.5..=1.5, 0.5).step(0.05)],
            data: Data::Computed(unrolled_data),
            read_out: Some(unrolled_sum),
            draw: unrolled,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "terms",
            title: "What a truncation keeps of the double sum",
            description: "Two triangles of tiles, a row for each loss and a \
                          column for each use of the weight, with the term \
                          in each tile. On the left the tiles of each chunk \
                          are filled, a block on the diagonal; on the right \
                          a band along the diagonal is filled. The other \
                          tiles are outlined with dashes.",
            knobs: &[
                Knob::slider("k", 1.0..=6.0, 2.0).step(1.0),
                Knob::slider("steps", 2.0..=6.0, 3.0).step(1.0),
                Knob::slider("w", -1.5..=1.5, 0.5).step(0.05),
            ],
            data: Data::Computed(terms_data),
            read_out: Some(terms_sums),
            draw: terms,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "lag",
            title: "A cotangent on its way back",
            description: "The length of a cotangent against the number of \
                          steps it has gone back, on a logarithmic axis, for \
                          four spectral radii. Below 1 it falls along a \
                          straight line, at 1.1 it falls slowly, and at 2 \
                          it rises slowly.",
            knobs: &[
                // Further up the last digits of a tanh decide where the states
                // go, and two machines draw two pictures.
                Knob::slider("radius", 0.2..=2.5, 2.0).step(0.05),
                Knob::slider("inputs", 0.0..=2.0, 0.1).step(0.05),
                Knob::slider("units", 4.0..=64.0, 32.0).step(1.0),
                Knob::index("seed", 20, 3),
            ],
            data: Data::Computed(lag_data),
            read_out: Some(lag_words),
            draw: lag,
            tolerance: Tolerance::relative(1e-6),
        },
        Figure {
            name: "letters",
            title: "Which letters a guess depends on",
            description: "Lines of the same text, each one letter longer \
                          than the last, in two groups. The letters are \
                          tinted by the size of the gradient of the next \
                          letter's loss. In the upper group, of the network \
                          that was trained without a look back, the tint \
                          reaches further than in the lower one.",
            knobs: &[],
            data: Data::Stored(letters_run),
            read_out: None,
            draw: letters,
            tolerance: Tolerance::EXACT,
        },
    ],
};

/// A text that is written from the stored run.
const fn stored(name: &'static str, text: fn(&Value) -> String) -> Output {
    Output {
        name,
        extension: "txt",
        text: From::Stored(LETTERS, text),
        tolerance: Tolerance::EXACT,
    }
}

/// To so many decimals, without a sign before 0.
fn round(v: f64, places: i32) -> f64 {
    let per = 10f64.powi(places);
    (v * per).round() / per + 0.
}

// ---- one number, by hand ----------------------------------------------------

const H0: f64 = 0.4;

/// The example's inputs and cotangents, over and over.
fn example(steps: usize) -> (Vec<f64>, Vec<f64>) {
    let of = |three: [f64; 3]| (0..steps).map(|t| three[t % 3]).collect();
    (of([1., 2., -1.]), of([0.3, -0.7, 2.]))
}

fn walk() -> String {
    let (x, dh) = example(3);
    let h = scalar::forward(0.5, &x, H0);
    let (dw, dx, dh0) = scalar::vjp(0.5, H0, &h, &dh);
    let mut text = String::from(
        "  t   own cotangent   from t + 1    total   state before   term of \
         w\n",
    );
    for t in (0..3).rev() {
        let before = if t == 0 { H0 } else { h[t - 1] };
        let _ = writeln!(
            text,
            "  {}   {:>13.2}   {:>10.2}   {:>6.2}   {before:>12.2}   {:>9.2}",
            t + 1,
            dh[t],
            dx[t] - dh[t] + 0.,
            dx[t],
            dx[t] * before
        );
    }
    let _ = writeln!(
        text,
        "  0   {:>13}   {dh0:>10.3}   {:>6}   {:>9} = {dw:>10.2}",
        "", "", "w̄"
    );
    text
}

fn cuts() -> String {
    let (x, dh) = example(3);
    let h = scalar::forward(0.5, &x, H0);
    let of = |all: &[Stretch]| scalar::truncated(0.5, H0, &h, &dh, all);
    let mut text = String::from("    k   in chunks   in windows\n");
    for k in 1..=3 {
        let _ = writeln!(
            text,
            "    {k}   {:>9.2}   {:>10.2}",
            of(&chunks(3, k)),
            of(&windows(3, k))
        );
    }
    text
}

fn unrolled_data(knobs: &Knobs) -> Value {
    let (w, (x, dh)) = (knobs.number("w"), example(3));
    let h = scalar::forward(w, &x, H0);
    let (dw, dx, dh0) = scalar::vjp(w, H0, &h, &dh);
    let mut before = vec![H0];
    before.extend(&h);
    json!({
        "w": w, "x": x, "h": before, "own": dh, "total": dx, "dh0": dh0,
        "dw": dw,
    })
}

fn unrolled_sum(_: &Knobs, data: &Value) -> String {
    let [w, dw] = ["/w", "/dw"].map(|at| kit::get::<f64>(data, at));
    format!(
        "w = {}: the gradient of w is {}",
        kit::fixed(w, 2),
        kit::fixed(dw, 2)
    )
}

fn unrolled(data: &Value) -> Picture {
    let of = |at: &str| -> Vec<f64> { kit::get(data, at) };
    let (x, h, own, total) = (of("/x"), of("/h"), of("/own"), of("/total"));
    let w: f64 = kit::get(data, "/w");
    let dh0: f64 = kit::get(data, "/dh0");
    let mut p = Picture::new(640., 330.);
    let label = Type::new(kit::TEXT).middle();
    let small = Type::new(kit::SMALL).middle();
    let back = small.paint(Paint::Cotangent);
    let mid = 150.;
    for (t, h) in h.iter().enumerate() {
        let at = 46. + 172. * t as f64;
        p.rectangle(
            [at - 40., mid - 26., 80., 52.],
            Look::role(Paint::Activation),
        );
        p.formula([at, mid - 9.], &format!("h_{t}"), label);
        let value = small.paint(Paint::Activation);
        p.text([at, mid + 14.], &kit::fixed(*h, 2), value);
        if t == 0 {
            continue;
        }
        // From the state before, and back to it.
        let left = at - 132.;
        let thick = Look::stroke(Paint::Weight, 4.);
        p.arrow([left, mid - 8.], [at - 42., mid - 8.], thick);
        let over = [at - 86., mid - 28.];
        let weight = format!("w = {}", kit::fixed(w, 2));
        p.text(over, &weight, small.paint(Paint::Weight));
        let passed = match t {
            1 => dh0,
            _ => total[t - 2] - own[t - 2],
        };
        let dashed = Look::stroke(Paint::Cotangent, 2.).dashed();
        p.arrow([at - 42., mid + 12.], [left, mid + 12.], dashed);
        p.text([at - 86., mid + 32.], &kit::fixed(passed, 3), back);
        // The input from below.
        let line = Look::stroke(Paint::Input, 2.);
        p.arrow([at, mid + 88.], [at, mid + 28.], line);
        let input = format!("x_{t} = {}", kit::fixed(x[t - 1], 0));
        p.formula([at, mid + 104.], &input, small.paint(Paint::Input));
        // The loss above, and what it sends down.
        p.arrow([at, mid - 86.], [at, mid - 28.], dashed);
        let sent = kit::fixed(own[t - 1], 1);
        p.text([at, mid - 100.], &format!("loss {t} sends {sent}"), back);
        let sum = format!("total {}", kit::fixed(total[t - 1], 2));
        p.text([at, mid + 138.], &sum, back.bold());
    }
    p
}

fn terms_data(knobs: &Knobs) -> Value {
    let steps = knobs.number("steps") as usize;
    let (w, (x, dh)) = (knobs.number("w"), example(steps));
    let k = knobs.number("k") as usize;
    let h = scalar::forward(w, &x, H0);
    let kept = |all: &[Stretch]| -> Vec<Vec<bool>> {
        let reaches = |loss: usize, step: usize| {
            all.iter().any(|Stretch { steps, losses }| {
                let counted = steps.end - losses..steps.end;
                counted.contains(&loss) && (steps.start..=loss).contains(&step)
            })
        };
        let row = |loss| (0..steps).map(|step| reaches(loss, step)).collect();
        (0..steps).map(row).collect()
    };
    let (chunks, windows) = (chunks(steps, k), windows(steps, k));
    let sum = |all: &[Stretch]| scalar::truncated(w, H0, &h, &dh, all);
    json!({
        "k": k,
        "terms": scalar::terms(w, H0, &h, &dh),
        "kept": [kept(&chunks), kept(&windows)],
        "sums": [sum(&chunks), sum(&windows)],
        "whole": scalar::vjp(w, H0, &h, &dh).0,
    })
}

fn terms_sums(_: &Knobs, data: &Value) -> String {
    let sums: [f64; 2] = kit::get(data, "/sums");
    let whole: f64 = kit::get(data, "/whole");
    let [chunks, windows, whole] =
        [sums[0], sums[1], whole].map(|v| kit::fixed(v, 2));
    format!("in chunks {chunks}, in windows {windows}, whole {whole}")
}

fn terms(data: &Value) -> Picture {
    let all: Vec<Vec<f64>> = kit::get(data, "/terms");
    let kept: [Vec<Vec<bool>>; 2] = kit::get(data, "/kept");
    let sums: [f64; 2] = kit::get(data, "/sums");
    let k: usize = kit::get(data, "/k");
    let n = all.len();
    let (side, gap) = ((240. / n as f64).min(76.), 4.);
    let mut p = Picture::new(640., 140. + side * n as f64);
    let label = Type::new(kit::SMALL).middle();
    let places = if n > 4 { 1 } else { 2 };
    for (panel, name) in ["chunks", "windows"].iter().enumerate() {
        let (left, top) = (66. + 312. * panel as f64, 80.);
        let title = format!("{name} of {k}");
        let wide = side * n as f64;
        p.text(
            [left + wide / 2., 14.],
            &title,
            Type::new(kit::TEXT).middle(),
        );
        let muted = label.paint(Paint::Muted);
        for (i, row) in all.iter().enumerate() {
            let at = side * (i as f64 + 0.5);
            p.text([left + at, top - 14.], &(i + 1).to_string(), muted);
            let loss = format!("loss {}", i + 1);
            p.text([left - 8., top + at], &loss, muted.end());
            for (j, term) in row.iter().enumerate().take(i + 1) {
                let corner = [
                    left + side * j as f64 + gap / 2.,
                    top + side * i as f64 + gap / 2.,
                    side - gap,
                    side - gap,
                ];
                let is_kept = kept[panel][i][j];
                let look = match is_kept {
                    true => Look::stroke(Paint::Cotangent, 2.).tinted(0.2),
                    false => Look::stroke(Paint::Muted, 1.).dashed(),
                };
                p.rectangle(corner, look.rounded(4.));
                let of = Type::new(kit::SMALL).middle();
                let of = match is_kept {
                    true => of.bold(),
                    false => of.paint(Paint::Muted),
                };
                let middle = [
                    left + side * (j as f64 + 0.5),
                    top + side * (i as f64 + 0.5),
                ];
                p.text(middle, &kit::fixed(*term, places), of);
            }
        }
        let sum = format!("kept: {}", kit::fixed(sums[panel], 2));
        let below = top + wide + 22.;
        p.text([left + wide / 2., below], &sum, label.bold());
        p.text([left + wide / 2., 40.], "use of w in step", muted);
    }
    p
}

// ---- one unit with tanh -------------------------------------------------------

fn one_unit() -> String {
    let x = [1., -1., 0.5];
    let h = unit(0.8, 0.5, 0.1);
    let at = |t: usize| if t == 0 { H0 } else { h[t - 1] };
    let slope = |h: f64| 1. - h * h;
    // (dw_h, dw_x, db): of the walk, of a window of two, of the first use.
    let walk = |first: usize, shifted: bool| {
        let (mut sums, mut total) = ([0.; 3], 1.);
        for t in (first..3).rev() {
            let delta = total * slope(at(t + 1));
            for (sum, with) in sums.iter_mut().zip([at(t), x[t], 1.]) {
                *sum += delta * with;
            }
            total = 0.8 * total * slope(at(if shifted { t } else { t + 1 }));
        }
        sums
    };
    let first = {
        let (whole, later) = (walk(0, false), walk(1, false));
        [0, 1, 2].map(|k| whole[k] - later[k])
    };
    let central = |k: usize| {
        let last = |step: f64| {
            let mut p = [0.8, 0.5, 0.1];
            p[k] += step;
            unit(p[0], p[1], p[2])[2]
        };
        (last(1e-5) - last(-1e-5)) / 2e-5
    };
    let rows = [
        ("by differences", [0, 1, 2].map(central)),
        ("the walk of (3)", walk(0, false)),
        ("a window of 2", walk(1, false)),
        ("the use in step 1 alone", first),
        ("slopes of the step before", walk(0, true)),
    ];
    let mut text = format!("{:<28}{:>9}{:>9}{:>9}\n", "", "w_h", "w_x", "b");
    for (name, d) in rows {
        let _ = write!(text, "{name:<28}");
        for d in d {
            let _ = write!(text, "{d:>9.4}");
        }
        text.push('\n');
    }
    text
}

/// The states of one unit with the inputs 1, -1, 0.5.
fn unit(w: f64, u: f64, b: f64) -> Vec<f64> {
    let step = |h: &mut f64, x: f64| {
        *h = (w * *h + u * x + b).tanh();
        Some(*h)
    };
    [1., -1., 0.5].into_iter().scan(H0, step).collect()
}

// ---- how far back --------------------------------------------------------------

fn shear() -> String {
    let w = array![[0.5, 10.], [0., 0.5]];
    let mut d: Array2<f64> = array![[0., 1.]];
    let mut text = String::from("steps back     0      1      2      4      8");
    text += "     16\nlength    ";
    for k in 0..=16 {
        if k > 0 {
            d = d.dot(&w.t());
        }
        if [0, 1, 2, 4, 8, 16].contains(&k) {
            let _ = write!(text, "{:>7.3}", d.pow2().sum().sqrt());
        }
    }
    let _ = writeln!(
        text,
        "\nspectral radius {:.3}, norm {:.3}",
        spectral_radius(w.view()),
        norm(w.view())
    );
    text
}

/// The largest factor by which `w` makes a vector longer: the root of the
/// spectral radius of `wᵀ·w`.
fn norm(w: ArrayView2<f64>) -> f64 {
    spectral_radius(w.t().dot(&w).view()).sqrt()
}

const LAGS: usize = 60;

/// The length of a cotangent after so many steps back, for four spectral radii.
fn lag_data(knobs: &Knobs) -> Value {
    let units = knobs.number("units") as usize;
    let size = knobs.number("inputs");
    let mut lines = vec![];
    for radius in [0.5, 0.9, 1.1, knobs.number("radius")] {
        let mut rng = random::rng(knobs.index("seed") as u64);
        let mut draw = |rows: usize, columns: usize, size: f64| {
            random::normal(&mut rng, (rows, columns), 0., size)
        };
        let w = draw(units, units, 1.);
        let w_h = &w * (radius / spectral_radius(w.view()));
        let (h0, dh) = (draw(1, units, 0.1), draw(1, units, 1.));
        let x = draw(2 * LAGS, units, size).insert_axis(Axis(1));
        let eye = Array2::eye(units);
        let b = Array1::zeros(units);
        let h = bptt::forward(
            x.view(),
            eye.view(),
            w_h.view(),
            b.view(),
            h0.view(),
        );
        let line = back(h.view(), w_h.view(), dh);
        lines.push(json!({
            "radius": radius,
            "norm": norm(w_h.view()),
            "line": line,
        }));
    }
    json!({ "lines": lines })
}

/// The lengths of a cotangent of the last state on its way back, the first 1.
fn back(
    h: ArrayView3<f64>,
    w_h: ArrayView2<f64>,
    dh: Array2<f64>,
) -> Vec<Point> {
    let size = |d: &Array2<f64>| d.pow2().sum().sqrt();
    let (first, mut d) = (size(&dh), dh);
    let mut line = vec![[0., 1.]];
    for (lag, h) in h.axis_iter(Axis(0)).rev().take(LAGS).enumerate() {
        d = (&d * &(1. - &h.pow2())).dot(&w_h.t());
        line.push([(lag + 1) as f64, size(&d) / first]);
    }
    line
}

fn lag_words(_: &Knobs, data: &Value) -> String {
    let line: Vec<Point> = kit::get(data, "/lines/3/line");
    let radius: f64 = kit::get(data, "/lines/3/radius");
    format!(
        "radius {}: after 20 steps {} of the length, after {LAGS} steps {}",
        kit::fixed(radius, 2),
        kit::number(line[20][1], 2),
        kit::number(line[LAGS][1], 2)
    )
}

fn lag(data: &Value) -> Picture {
    let mut chart = Chart::new(
        kit::Axis::linear("steps back").range(0., LAGS as f64),
        kit::Axis::log("length of the cotangent").range(1e-12, 1e4),
    );
    for (n, at) in [(0, 30), (1, 50), (2, 36), (3, 44)] {
        let mut line: Vec<Point> = kit::get(data, &format!("/lines/{n}/line"));
        line.retain(|p| p[1] > 1e-12);
        let radius: f64 = kit::get(data, &format!("/lines/{n}/radius"));
        chart = chart
            .line(&format!("radius {}", kit::number(radius, 3)), &line)
            .label_at(at);
    }
    chart.picture()
}

// ---- clipping ---------------------------------------------------------------------

fn clipped() -> String {
    let (a, b) = (array![3., 4.], array![12.]);
    let squares = |g: &Array1<f64>| g.pow2().sum();
    let both = clip(array![squares(&a), squares(&b)].view(), 1.);
    let alone = |g: &Array1<f64>| g * clip(array![squares(g)].view(), 1.);
    let value = |g: &Array1<f64>| g.mapv(|g| g.clamp(-1., 1.));
    let rows = [
        ("not clipped", a.clone(), b.clone()),
        ("by the global norm", &a * both, &b * both),
        ("each tensor alone", alone(&a), alone(&b)),
        ("each entry", value(&a), value(&b)),
    ];
    let mut text = String::new();
    for (name, a, b) in rows {
        let all = squares(&a) + squares(&b);
        let along = (3. * a[0] + 4. * a[1] + 12. * b[0]) / 13. / all.sqrt();
        let _ = writeln!(
            text,
            "{name:<19} ({:5.3}, {:5.3})  ({:6.3})  norm {:6.3}  turned {:4.1}°",
            a[0],
            a[1],
            b[0],
            all.sqrt(),
            along.min(1.).acos().to_degrees()
        );
    }
    text
}

// ---- networks that read Shakespeare ------------------------------------------------

/// Letters of a forward chunk, texts side by side, units, training steps.
const CHUNK: usize = 50;
const TEXTS: usize = 16;
const UNITS: usize = 96;
const STEPS: u64 = 2000;

/// How many steps back each network is trained.
const BACK: [usize; 3] = [1, 5, CHUNK];

/// One layer of tanh between the letters and the scores of the next one.
#[derive(Clone)]
struct Reader {
    w_x: Array2<f64>,
    w_h: Array2<f64>,
    b: Array1<f64>,
    w_y: Array2<f64>,
    b_y: Array1<f64>,
}

/// What a reader made of a chunk.
struct Read {
    h: Array3<f64>,
    /// Probabilities of the next letter, a row for each letter read.
    p: Array2<f64>,
}

impl Reader {
    fn new(rng: &mut Rng, letters: usize) -> Self {
        let scale = 1. / (UNITS as f64).sqrt();
        Self {
            w_x: random::normal(rng, (letters, UNITS), 0., 0.3),
            w_h: random::normal(rng, (UNITS, UNITS), 0., 0.9 * scale),
            b: Array1::zeros(UNITS),
            w_y: random::normal(rng, (UNITS, letters), 0., scale),
            b_y: Array1::zeros(letters),
        }
    }

    fn parameters(&self) -> usize {
        let Self {
            w_x,
            w_h,
            b,
            w_y,
            b_y,
        } = self;
        w_x.len() + w_h.len() + b.len() + w_y.len() + b_y.len()
    }

    fn read(&self, x: ArrayView3<f64>, h0: ArrayView2<f64>) -> Read {
        let (w_x, w_h, b) = (self.w_x.view(), self.w_h.view(), self.b.view());
        let h = bptt::forward(x, w_x, w_h, b, h0);
        let z =
            linear::forward(flat(&h).view(), self.w_y.view(), self.b_y.view());
        let p = softmax::forward(z.view());
        Read { h, p }
    }

    /// The gradients of `Σ weight·loss` over all letters, walked in stretches:
    /// those of the recurrent layer, and of the scores' weight and bias.
    fn gradients(
        &self,
        x: ArrayView3<f64>,
        h0: ArrayView2<f64>,
        read: &Read,
        dz: Array2<f64>,
        stretches: &[Stretch],
    ) -> (Gradients, Array2<f64>, Array1<f64>) {
        let h = flat(&read.h);
        let (dh, dw_y, db_y) =
            linear::vjp(h.view(), self.w_y.view(), dz.view());
        let dh = dh.into_shape_with_order(read.h.dim()).expect("as many");
        let (w_x, w_h) = (self.w_x.view(), self.w_h.view());
        let (h, dh) = (read.h.view(), dh.view());
        let d = bptt::truncated(x, w_x, w_h, h0, h, dh, stretches);
        (d, dw_y, db_y)
    }
}

/// A row for each step and text.
fn flat(a: &Array3<f64>) -> Array2<f64> {
    let (t, b, n) = a.dim();
    let rows = a.to_owned().into_shape_with_order((t * b, n));
    rows.expect("as many")
}

/// Letters as rows with a single 1, steps first.
fn one_hot(texts: &[&[usize]], letters: usize) -> Array3<f64> {
    let shape = (texts[0].len(), texts.len(), letters);
    let rows = softmax::targets(&targets(texts), letters, 0.);
    rows.into_shape_with_order(shape).expect("a row for each")
}

/// The letters of these texts, in the order of the rows of `p`.
fn targets(texts: &[&[usize]]) -> Vec<usize> {
    let steps = 0..texts[0].len();
    steps
        .flat_map(|t| texts.iter().map(move |text| text[t]))
        .collect()
}

/// Stretches of text side by side, and how far they have been read.
struct Rows<'t> {
    text: &'t [usize],
    rows: usize,
    at: usize,
}

impl<'t> Rows<'t> {
    /// The next chunk of every row and what follows each letter; `None` at the
    /// end.
    fn next(&mut self) -> Option<[Vec<&'t [usize]>; 2]> {
        let length = self.text.len() / self.rows;
        let (from, to) = (self.at, self.at + CHUNK);
        if to + 1 > length {
            return None;
        }
        self.at = to;
        let of = |shift: usize| {
            let row = |n: usize| {
                let start = n * length + shift;
                &self.text[start + from..start + to]
            };
            (0..self.rows).map(row).collect()
        };
        Some([of(0), of(1)])
    }
}

/// Reads and learns: the state is carried from chunk to chunk, and the walk
/// back is cut every `k` letters.
fn learn(text: &[usize], letters: usize, k: usize) -> Reader {
    let mut net = Reader::new(&mut random::rng(1), letters);
    let mut moments = [net.clone(), net.clone()];
    for m in &mut moments {
        m.w_x.fill(0.);
        m.w_h.fill(0.);
        m.w_y.fill(0.);
    }
    let mut rows = Rows {
        text,
        rows: TEXTS,
        at: 0,
    };
    let mut state = Array2::zeros((TEXTS, UNITS));
    let stretches = chunks(CHUNK, k);
    for step in 1..=STEPS {
        let [now, next] = rows.next().unwrap_or_else(|| {
            rows.at = 0;
            state.fill(0.);
            rows.next().expect("a text of some length")
        });
        let x = one_hot(&now, letters);
        let read = net.read(x.view(), state.view());
        let t = softmax::targets(&targets(&next), letters, 0.);
        let dz = (&read.p - &t) / (CHUNK * TEXTS) as f64;
        let (d, dw_y, db_y) =
            net.gradients(x.view(), state.view(), &read, dz, &stretches);
        let squares = array![
            d.dw_x.pow2().sum(),
            d.dw_h.pow2().sum(),
            d.db.pow2().sum(),
            dw_y.pow2().sum(),
            db_y.pow2().sum()
        ];
        let factor = clip(squares.view(), 1.);
        let progress = step as f64 / STEPS as f64;
        let set = AdamW {
            lr: 4e-3 * (1. - 0.9 * progress),
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            decay: 0.,
            step: step as _,
        };
        let [m, v] = &mut moments;
        macro_rules! update {
            ($($name:ident: $d:expr),+) => {
                $(adamw(
                    net.$name.view_mut(),
                    $d.view(),
                    m.$name.view_mut(),
                    v.$name.view_mut(),
                    factor,
                    set,
                );)+
            };
        }
        update!(w_x: d.dw_x, w_h: d.dw_h, b: d.db, w_y: dw_y, b_y: db_y);
        state = read.h.index_axis(Axis(0), CHUNK - 1).to_owned();
    }
    net
}

/// The mean loss on a text that is read in forty rows, state carried.
fn evaluate(net: &Reader, text: &[usize], letters: usize) -> f64 {
    let mut rows = Rows {
        text,
        rows: 40,
        at: 0,
    };
    let mut state = Array2::zeros((rows.rows, UNITS));
    let (mut sum, mut count) = (0., 0);
    while let Some([now, next]) = rows.next() {
        let read = net.read(one_hot(&now, letters).view(), state.view());
        for (p, c) in read.p.rows().into_iter().zip(targets(&next)) {
            sum -= p[c].ln();
            count += 1;
        }
        state = read.h.index_axis(Axis(0), CHUNK - 1).to_owned();
    }
    sum / f64::from(count)
}

/// For the loss of one letter, the length of its gradient at every letter read
/// before it, the last one first.
fn sizes(
    net: &Reader,
    text: &[usize],
    next: usize,
    letters: usize,
) -> (Vec<f64>, f64) {
    let x = one_hot(&[text], letters);
    let h0 = Array2::zeros((1, UNITS));
    let read = net.read(x.view(), h0.view());
    let last = text.len() - 1;
    let mut dz = Array2::zeros(read.p.dim());
    let mut row = dz.row_mut(last);
    row.assign(&read.p.row(last));
    row[next] -= 1.;
    let whole = chunks(text.len(), text.len());
    let (d, ..) = net.gradients(x.view(), h0.view(), &read, dz, &whole);
    let size = |dx: ArrayView2<f64>| dx.pow2().sum().sqrt();
    let sizes = d.dx.outer_iter().rev().map(size).collect();
    (sizes, read.p[[last, next]])
}

/// Letters whose gradients are drawn, and those that are read before them.
const SHOWN: usize = 34;
const READ_BEFORE: usize = 200;

fn letters_run() -> Value {
    let all = shakespeare();
    let vocabulary = Vocabulary::of(&all);
    let text = Text::new(&all, &vocabulary, "Shakespeare").expect("its own");
    let v = vocabulary.len();
    let nets: Vec<Reader> =
        BACK.iter().map(|k| learn(&text.train, v, *k)).collect();
    let fresh = Reader::new(&mut random::rng(1), v);
    // A line that no network has read.
    let validation = vocabulary.decode(&text.validation).expect("its own");
    let at = validation.find(LINE).expect("the line is there") + LINE.len();
    let at = validation[..at].chars().count() - GUESSES;
    let spoken: Vec<char> = validation.chars().collect();
    let guesses = |net: &Reader| -> Vec<Value> {
        let guess = |end: usize| {
            let read = &text.validation[end - READ_BEFORE..end];
            let (mut of, p) = sizes(net, read, text.validation[end], v);
            of.truncate(SHOWN);
            let of: Vec<f64> = of.iter().map(|s| round(*s, 8)).collect();
            json!({ "sizes": of, "p": round(p, 4) })
        };
        (at..at + GUESSES).map(guess).collect()
    };
    let mean = |net: &Reader| -> Vec<f64> {
        let mut sums = [0.; LAGS];
        for n in 0..300 {
            let end = 1000 + 350 * n;
            let read = &text.validation[end - READ_BEFORE..end];
            let (of, _) = sizes(net, read, text.validation[end], v);
            sums.iter_mut().zip(of).for_each(|(sum, s)| *sum += s);
        }
        sums.iter().map(|s| round(s / sums[0], 9)).collect()
    };
    let sample = |net: &Reader| -> String {
        let mut rng = random::rng(5);
        let mut ids = vocabulary.encode("\n\n", "a start").expect("known");
        let mut state = Array2::zeros((1, UNITS));
        let mut read_to = 0;
        while ids.len() < 170 {
            let read =
                net.read(one_hot(&[&ids[read_to..]], v).view(), state.view());
            read_to = ids.len();
            let last = read.h.dim().0 - 1;
            state = read.h.index_axis(Axis(0), last).to_owned();
            let draw: Array1<f64> = random::uniform(&mut rng, 1, 0., 1.);
            let mut left = draw[0];
            let p = read.p.row(last);
            let found = p.iter().position(|p| {
                left -= p;
                left < 0.
            });
            ids.push(found.unwrap_or(v - 1));
        }
        vocabulary.decode(&ids[2..]).expect("its own")
    };
    let line = |from: usize, to: usize| -> Vec<String> {
        spoken[from..to].iter().map(char::to_string).collect()
    };
    let of = |net: &Reader| {
        json!({
            "validation": round(evaluate(net, &text.validation, v), 3),
            "guesses": guesses(net),
            "mean": mean(net),
            "sample": sample(net),
            "radius": round(spectral_radius(net.w_h.view()), 3),
        })
    };
    json!({
        "steps": STEPS,
        "back": BACK,
        "parameters": fresh.parameters(),
        "bigram": round(bigram_loss(&text.train, &text.validation, v, 1.), 3),
        "letters": line(at - SHOWN, at + GUESSES),
        "fresh": { "mean": mean(&fresh) },
        "nets": nets.iter().map(of).collect::<Vec<_>>(),
    })
}

/// The line whose last letters are guessed one by one.
const LINE: &str = "\n\nPETRUCHIO:\nSignior Baptista";
const GUESSES: usize = 8;

fn letter(c: &str) -> &str {
    match c {
        " " => "␣",
        "\n" => "¶",
        c => c,
    }
}

fn letters(data: &Value) -> Picture {
    let all: Vec<String> = kit::get(data, "/letters");
    let side = 16.;
    let mut p = Picture::new(640., 2. * (22. * GUESSES as f64 + 52.) + 4.);
    for (group, (net, title)) in [
        (0, "trained with walks of 1"),
        (2, "trained with walks of 50"),
    ]
    .iter()
    .enumerate()
    {
        let top = group as f64 * (22. * GUESSES as f64 + 52.);
        let at =
            |what: &str, n: usize| format!("/nets/{net}/guesses/{n}/{what}");
        p.text([0., top + 18.], title, Type::new(kit::SMALL).bold());
        let muted = Type::new(kit::SMALL).paint(Paint::Muted);
        p.text([640., top + 18.], "guess", muted.end());
        for n in 0..GUESSES {
            let sizes: Vec<f64> = kit::get(data, &at("sizes", n));
            let right: f64 = kit::get(data, &at("p", n));
            let y = top + 44. + 22. * n as f64;
            let shown = SHOWN - GUESSES + 1 + n;
            let most = sizes.iter().fold(0., |m: f64, s| m.max(*s));
            for (back, size) in sizes.iter().enumerate().take(shown) {
                let place = SHOWN + n - 1 - back;
                let x = side * (place + 1 - GUESSES) as f64;
                // Full at the largest, nothing at a thousandth of it.
                let shade = (1. + (size / most).log10() / 3.).clamp(0., 1.);
                if shade > 0.02 {
                    let fill = Look::fill(Paint::Cotangent);
                    let fill = fill.opacity(0.55 * shade);
                    p.rectangle([x, y - 10., side, 20.], fill);
                }
                let ink = Type::new(kit::SMALL).middle();
                p.text([x + side / 2., y], letter(&all[place]), ink);
            }
            let next = letter(&all[SHOWN + n]);
            let guess = format!("{next}  {:>3} %", kit::fixed(100. * right, 0));
            p.text([640., y], &guess, Type::new(kit::SMALL).end());
        }
    }
    p
}

/// How much of a gradient is left so many letters back.
fn reach(data: &Value) -> String {
    let lags = [0, 1, 2, 5, 10, 20, 40];
    let mut text = format!("{:<17}", "letters back");
    for lag in lags {
        let _ = write!(text, "{lag:>9}");
    }
    let names = ["walks of 1", "walks of 5", "walks of 50"];
    let nets = (0..3).map(|n| (names[n], format!("/nets/{n}/mean")));
    let fresh = ("before training", "/fresh/mean".to_owned());
    for (name, at) in std::iter::once(fresh).chain(nets) {
        let mean: Vec<f64> = kit::get(data, &at);
        let _ = write!(text, "\n{name:<17}");
        for lag in lags {
            let _ = match mean[lag] {
                m if m >= 1e-4 => write!(text, "{m:>9.4}"),
                m => write!(text, "{m:>9.0e}"),
            };
        }
    }
    text.push('\n');
    text
}

fn losses(data: &Value) -> String {
    let bigram: f64 = kit::get(data, "/bigram");
    let mut text = format!(
        "{:<20}{:>16}{:>20}\n{:<20}{bigram:>16.3}\n",
        "", "validation loss", "spectral radius", "pairs of letters"
    );
    for (n, k) in BACK.iter().enumerate() {
        let loss: f64 = kit::get(data, &format!("/nets/{n}/validation"));
        let radius: f64 = kit::get(data, &format!("/nets/{n}/radius"));
        let name = format!("walks of {k}");
        let _ = writeln!(text, "{name:<20}{loss:>16.3}{radius:>20.2}");
    }
    text
}

fn sample(data: &Value) -> String {
    let text: String = kit::get(data, "/nets/2/sample");
    format!("{}\n", text.trim_end())
}

// ---- is it right? -------------------------------------------------------------------

fn report() -> String {
    let verdict = exam::VJP.judge(
        |x, w_x, w_h, h0, h, dh| {
            let each = windows(x.dim().0, 1);
            let mut d = bptt::truncated(x, w_x, w_h, h0, h, dh, &each);
            let first = s![..1, .., ..];
            let (x, h, dh) = (x.slice(first), h.slice(first), dh.slice(first));
            d.dh0 = bptt::vjp(x, w_x, w_h, h0, h, dh).dh0;
            d
        },
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}
