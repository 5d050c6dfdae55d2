//! What the chapter `depth/normalization` shows.

use backprop::calculus::gradcheck::{Sampler, central};
use backprop::depth::normalization::{
    batch::{self, Running},
    fused, layer_norm, layer_norm_vjp, rms_norm, rms_norm_vjp,
};
use backprop::network::linear;
use backprop::network::mlp::{Activation, Mlp, cross_entropy};
use backprop::network::softmax_cross_entropy::targets;
use backprop::training::data::{Dataset, Scaler, digits, epoch_order, split};
use examiner::Verdict;
use examiner::depth::normalization as exam;
use examiner::judge::Exam;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Ix1, Ix2, array};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::kit::{self, Look, Paint, Picture, Point, SMALL, TEXT, Type, WIDTH};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Text, Tolerance};

/// Ninety-eight trainings.
const MAP: &str = "book/src/generated/depth/normalization/map.json";

/// A network with BatchNorm.
const COMPANY: &str = "book/src/generated/depth/normalization/company.json";

/// Our work beside PyTorch's.
const PEERS: &str = "benches/results/amd-epyc-2-cores.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "depth/normalization",
    outputs: &[
        Output::printed("row", row),
        Output::printed("others", others),
        Output::printed("lost", lost),
        Output::printed("scale", scale),
        Output {
            name: "weights",
            extension: "txt",
            text: Text::Stored(MAP, weights),
            tolerance: Tolerance::EXACT,
        },
        Output {
            name: "alone",
            extension: "txt",
            text: Text::Stored(COMPANY, alone),
            tolerance: Tolerance::EXACT,
        },
        Output::printed("cancel", cancel),
        Output {
            name: "speed",
            extension: "txt",
            text: Text::Stored(PEERS, speed),
            tolerance: Tolerance::EXACT,
        },
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "map",
            title: "Ninety-eight trainings of the digits network",
            description: "Two tables of seven by seven, learning rate to the \
                          right, size of the first weights upwards; each cell \
                          has the share of test images read right. Without a \
                          norm a few cells in the middle are high and the \
                          rest is near ten percent. With LayerNorm most \
                          cells are high, and each number repeats along \
                          diagonals that go up to the right.",
            knobs: &[],
            data: Data::Stored(map_run),
            read_out: None,
            draw: map,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "projection",
            title: "A row of three numbers, seen along the constant row",
            description: "Three axes at 120 degrees, a circle around their \
                          meeting point. The row x lies outside of the \
                          circle, and the normalised row where the way to it \
                          crosses the circle. From there goes an arrow g; \
                          its part along the radius is crossed out, its part \
                          along the circle, divided by s, is dx.",
            knobs: &[
                Knob::slider("x_1", -4.0..=4.0, 2.).step(0.1),
                Knob::slider("x_2", -4.0..=4.0, 1.).step(0.1),
                Knob::slider("x_3", -4.0..=4.0, 4.).step(0.1),
                Knob::slider("g_1", -2.0..=2.0, 1.2).step(0.1),
                Knob::slider("g_2", -2.0..=2.0, -0.6).step(0.1),
                Knob::slider("g_3", -2.0..=2.0, 0.6).step(0.1),
            ],
            data: Data::Computed(projection_data),
            read_out: Some(what_is_left),
            draw: projection,
            tolerance: Tolerance::absolute(1e-12),
        },
        Figure {
            name: "axes",
            title: "Which numbers share a mean",
            description: "Three grids of four rows, the examples, and six \
                          columns, the features. Marked are a whole row for \
                          LayerNorm and RMSNorm, half a row for GroupNorm \
                          with two groups, and a whole column for BatchNorm. \
                          Under each grid is γ, one number for every column.",
            knobs: &[],
            data: Data::Computed(
                |_| json!({ "examples": 4, "features": 6, "groups": 2 }),
            ),
            read_out: None,
            draw: axes,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "company",
            title: "One image in two batches",
            description: "Two rows of eight images of digits. The first image \
                          is the same in both. In the upper row its seven \
                          companions are different digits and it is read \
                          right; in the lower row all are the same digit and \
                          it is read wrong.",
            knobs: &[],
            data: Data::Stored(company_run),
            read_out: None,
            draw: company,
            tolerance: Tolerance::EXACT,
        },
    ],
};

// ---- by hand --------------------------------------------------------------

fn line(name: &str, values: impl IntoIterator<Item = f64>) -> String {
    // What is 0 up to rounding, as 0 and without a sign.
    let clean = |v: f64| if v.abs() < 5e-13 { 0. } else { v };
    let cells: String = values
        .into_iter()
        .map(|v| format!("{:13.9}", clean(v)))
        .collect();
    // The hat of x̂ is a character, and takes no room.
    let room = 26 + name.matches('\u{302}').count();
    format!("{name:<room$}{cells}\n")
}

/// What LayerNorm does to one row.
struct Hand {
    x: Array1<f64>,
    stats: Array2<f64>,
    x_hat: Array1<f64>,
    dx: Array1<f64>,
    dgamma: Array1<f64>,
}

fn hand(x: &[f64], gamma: &[f64], dy: &[f64], eps: f64) -> Hand {
    let of = |v: &[f64]| Array1::from(v.to_vec());
    let (x, gamma, dy) = (of(x), of(gamma), of(dy));
    let (one, zero) = (Array1::ones(x.len()), Array1::zeros(x.len()));
    let rows = x.view().insert_axis(Axis(0));
    let (x_hat, stats) = layer_norm(rows, one.view(), zero.view(), eps);
    let (dx, dgamma, _) = layer_norm_vjp(
        rows,
        gamma.view(),
        stats.view(),
        dy.view().insert_axis(Axis(0)),
    );
    Hand {
        x_hat: x_hat.row(0).to_owned(),
        dx: dx.row(0).to_owned(),
        x,
        stats,
        dgamma,
    }
}

fn row() -> String {
    let (x, gamma) = ([1., 2., 3., 4.], [1., 2., 3., 4.]);
    let dy = [1., -1., 2., 0.5];
    let h = hand(&x, &gamma, &dy, 0.);
    let (mu, r) = (h.stats[[0, 0]], h.stats[[0, 1]]);
    let g = Array1::from(dy.to_vec()) * Array1::from(gamma.to_vec());
    let d = &h.x - mu;
    let dr = g.dot(&d);
    let dv = -0.5 * dr * r.powi(3);
    let du = &g * r + &d * (2. * dv / 4.);
    let dmu = -du.sum();
    let loss = |k: usize, v: f64| {
        let mut x = x;
        x[k] = v;
        let h = hand(&x, &gamma, &dy, 0.);
        (&h.x_hat * &g).sum()
    };
    let numeric = (0..4).map(|k| central(|v| loss(k, v), x[k], 1e-4));
    let mut text = line("μ, r", [mu, r]);
    text += &line("x̂", h.x_hat.to_vec());
    text += "\nby the graph\n";
    text += &line("g = dy ⊙ γ", g.to_vec());
    text += &line("dr, dσ², dμ", [dr, dv, dmu]);
    text += &line("du", du.to_vec());
    text += &line("dx = du + dμ/4", (&du + dmu / 4.).to_vec());
    text += "\nby projection\n";
    text += &line("mean(g), mean(g ⊙ x̂)", [g.sum() / 4., g.dot(&h.x_hat) / 4.]);
    text += &line("dx", h.dx.to_vec());
    text += &line(
        "dx by differences",
        numeric.map(|v| (v * 1e8).round() / 1e8),
    );
    text += &line("dγ", h.dgamma.to_vec());
    text
}

fn others() -> String {
    let (x, one) = ([1., 2., 3., 4.], [1.; 4]);
    let first = [1., 0., 0., 0.];
    let mut text = String::from("x = (1, 2, 3, 4), γ = 1; dx for\n");
    let plain = hand(&x, &one, &first, 0.);
    let ones = hand(&x, &one, &one, 0.);
    let with_eps = hand(&x, &one, &first, 1e-5);
    text += &line("LayerNorm, dy = (1,0,0,0)", plain.dx.to_vec());
    text += &line("  the same, ε = 1e-5", with_eps.dx.to_vec());
    text += &line("LayerNorm, dy = (1,1,1,1)", ones.dx.to_vec());
    let gamma = Array1::ones(4);
    let rows = array![x];
    let (_, r) = rms_norm(rows.view(), gamma.view(), 0.);
    for dy in [first, one] {
        let dy = array![dy];
        let (dx, _) =
            rms_norm_vjp(rows.view(), gamma.view(), r.view(), dy.view());
        let name = if dy[[0, 1]] == 0. {
            "1,0,0,0"
        } else {
            "1,1,1,1"
        };
        text += &line(&format!("RMSNorm,   dy = ({name})"), dx);
    }
    let column = rows.t();
    let (one, dy) = (array![1.], array![first]);
    let (_, stats) = batch::forward(column, one.view(), array![0.].view(), 0.);
    let (dx, ..) = batch::vjp(column, one.view(), stats.view(), dy.t());
    text += &line("BatchNorm, x as a column", dx);
    let along = with_eps.dx.dot(&with_eps.x_hat);
    let _ = writeln!(
        text,
        "\n⟨dx, x̂⟩ is {} for ε = 0, and {along:.1e} for ε = 1e-5",
        if plain.dx.dot(&plain.x_hat).abs() < 1e-15 {
            "0"
        } else {
            "not 0"
        },
    );
    text
}

/// Wrong backwards, and the two sums.
fn lost() -> String {
    let (x, gamma) = ([1., 2., 4., 9.], [2., 0.5, 1., -1.]);
    let dy = [1., -2., 0.5, 3.];
    let h = hand(&x, &gamma, &dy, 0.);
    let r = h.stats[[0, 1]];
    let scale = Array1::from(gamma.to_vec());
    let g = &scale * &Array1::from(dy.to_vec());
    let without = hand(&x, &[1.; 4], &dy, 0.).dx;
    let at_end = &without * &scale;
    let constant = &g * r;
    let no_variance = (&g - g.sum() / 4.) * r;
    let mut text =
        format!("{:<18}{:>36}  {:>9}  {:>9}\n", "", "dx", "Σ dx", "⟨dx, x̂⟩");
    for (name, dx) in [
        ("right", &h.dx),
        ("γ lost", &without),
        ("γ at the end", &at_end),
        ("constant μ and r", &constant),
        ("constant r", &no_variance),
    ] {
        let clean = |v: f64| if v.abs() < 5e-13 { 0. } else { v };
        let cells: String = dx.iter().map(|v| format!("{v:9.4}")).collect();
        let (sum, along) = (clean(dx.sum()), clean(dx.dot(&h.x_hat)));
        let _ = writeln!(text, "{name:<18}{cells}  {sum:9.4}  {along:9.4}");
    }
    text
}

// ---- the size of the weights ----------------------------------------------

/// A layer before a LayerNorm: the gradient of its weight, for the weight
/// times `k`.
fn before_a_norm(k: f64) -> (Array2<f64>, Array2<f64>) {
    let mut s = Sampler::new(3);
    let two = |s: &mut Sampler, shape: [usize; 2]| -> Array2<f64> {
        let a = s.normal(&shape).into_dimensionality::<Ix2>();
        a.expect("a matrix")
    };
    let (x, w) = (two(&mut s, [8, 6]), two(&mut s, [6, 5]) * k);
    let dy = two(&mut s, [8, 5]);
    let gamma: Array1<f64> = s
        .normal(&[5])
        .into_dimensionality::<Ix1>()
        .expect("a vector");
    let zero = Array1::zeros(5);
    let z = linear::forward(x.view(), w.view(), zero.view());
    let (_, stats) = layer_norm(z.view(), gamma.view(), zero.view(), 0.);
    let (dz, ..) =
        layer_norm_vjp(z.view(), gamma.view(), stats.view(), dy.view());
    let (_, dw, _) = linear::vjp(x.view(), w.view(), dz.view());
    (w, dw)
}

fn norm(a: &Array2<f64>) -> f64 {
    (a * a).sum().sqrt()
}

fn scale() -> String {
    let mut text =
        String::from("weight      ‖w‖       ‖dw‖    ‖w‖·‖dw‖     ⟨w, dw⟩\n");
    for (name, k) in [("w/2", 0.5), ("w", 1.), ("2w", 2.), ("100w", 100.)] {
        let (w, dw) = before_a_norm(k);
        let (size, slope) = (norm(&w), norm(&dw));
        let along = (&w * &dw).sum();
        let along = if along.abs() < 1e-12 { 0. } else { along };
        let _ = writeln!(
            text,
            "{name:<6} {size:8.3} {slope:10.6} {:11.6} {along:11.4}",
            size * slope
        );
    }
    text
}

/// Images as the chapter on the perceptron prepares them.
fn images() -> (Dataset, Dataset) {
    let mut all = digits();
    Scaler::by(8., 64).apply(&mut all);
    all.x -= 1.;
    split(&all, 0.2, 0).expect("a fifth of 1,797 images")
}

const HIDDEN: usize = 3;
const EPOCHS: u64 = 5;
const BATCH: usize = 32;
/// The rate of what is not before a norm, and in the middle of the map.
const RATE: f64 = 0.1;

/// A network of three hidden layers, with LayerNorm or without.
struct Deep {
    w: Vec<Array2<f64>>,
    gamma: Vec<Array1<f64>>,
    beta: Vec<Array1<f64>>,
    has_norm: bool,
}

/// What a hidden layer keeps: its input, its sums, statistics, its output.
type Kept = (Array2<f64>, Array2<f64>, Array2<f64>, Array2<f64>);

impl Deep {
    /// Weights as the library draws them, those of hidden layers times `k`.
    fn new(k: f64, has_norm: bool) -> Self {
        let sizes = [64, 64, 64, 64, 10];
        let net = Mlp::new(&sizes, Activation::Relu, Activation::Identity, 0);
        let times = |l: usize| if l < HIDDEN { k } else { 1. };
        let layers = net.layers.iter().enumerate();
        Self {
            w: layers.map(|(l, layer)| &layer.w * times(l)).collect(),
            gamma: (0..HIDDEN).map(|_| Array1::ones(64)).collect(),
            beta: sizes[1..].iter().map(|n| Array1::zeros(*n)).collect(),
            has_norm,
        }
    }

    fn forward(&self, x: ArrayView2<f64>) -> (Array2<f64>, Vec<Kept>) {
        let (mut a, mut kept) = (x.to_owned(), Vec::new());
        for l in 0..HIDDEN {
            let z = a.dot(&self.w[l]);
            let (gamma, beta) = (self.gamma[l].view(), self.beta[l].view());
            let (y, stats) = match self.has_norm {
                true => layer_norm(z.view(), gamma, beta, 0.),
                false => (&z + &beta, Array2::zeros((0, 0))),
            };
            let out = y.mapv(|v| v.max(0.));
            kept.push((a, z, stats, out.clone()));
            a = out;
        }
        (a.dot(&self.w[HIDDEN]) + &self.beta[HIDDEN], kept)
    }

    /// One step: hidden weights with the rate `lr`, all else with [`RATE`].
    fn step(&mut self, x: ArrayView2<f64>, t: ArrayView2<f64>, lr: f64) -> f64 {
        let (y, kept) = self.forward(x);
        let (loss, dy) = cross_entropy(y.view(), t);
        let top = &kept[HIDDEN - 1].3;
        let (mut da, dw, db) =
            linear::vjp(top.view(), self.w[HIDDEN].view(), dy.view());
        let mut grads = vec![(dw, None, db)];
        for l in (0..HIDDEN).rev() {
            let (below, z, stats, out) = &kept[l];
            da.zip_mut_with(out, |d, a| {
                if *a <= 0. {
                    *d = 0.;
                }
            });
            let (dz, dgamma, dbeta) = match self.has_norm {
                true => {
                    let (dz, dgamma, dbeta) = layer_norm_vjp(
                        z.view(),
                        self.gamma[l].view(),
                        stats.view(),
                        da.view(),
                    );
                    (dz, Some(dgamma), dbeta)
                }
                false => (da.clone(), None, da.sum_axis(Axis(0))),
            };
            let (dx, dw, _) =
                linear::vjp(below.view(), self.w[l].view(), dz.view());
            grads.push((dw, dgamma, dbeta));
            da = dx;
        }
        for (l, (dw, dgamma, dbeta)) in grads.into_iter().rev().enumerate() {
            let rate = if l < HIDDEN { lr } else { RATE };
            self.w[l].scaled_add(-rate, &dw);
            self.beta[l].scaled_add(-RATE, &dbeta);
            if let Some(dgamma) = dgamma {
                self.gamma[l].scaled_add(-RATE, &dgamma);
            }
        }
        loss
    }

    fn right(&self, data: &Dataset) -> f64 {
        share_right(&self.forward(data.x.view()).0, &data.labels)
    }
}

fn best(scores: ArrayView1<f64>) -> usize {
    let all = scores.iter().enumerate();
    let best = all.fold((0, f64::NEG_INFINITY), |best, (k, v)| {
        if *v > best.1 { (k, *v) } else { best }
    });
    best.0
}

fn share_right(scores: &Array2<f64>, labels: &[usize]) -> f64 {
    let rows = scores.rows().into_iter().zip(labels);
    let right = rows.filter(|(row, label)| best(row.view()) == **label);
    right.count() as f64 / labels.len() as f64
}

/// Batches of an epoch, in its order.
fn batches(train: &Dataset, epoch: u64, mut each: impl FnMut(&Dataset)) {
    let mut order = Vec::new();
    epoch_order(train.len(), 0, epoch, &mut order);
    for rows in order.chunks(BATCH) {
        each(&train.rows(rows));
    }
}

/// Powers of two for the weights, of four for the rates.
const POWERS: [i32; 7] = [-3, -2, -1, 0, 1, 2, 3];

fn map_run() -> Value {
    let (train, test) = images();
    let one = |has_norm: bool, k: i32, rate: i32| {
        let mut net = Deep::new(2f64.powi(k), has_norm);
        let before = norm(&net.w[0]);
        let lr = RATE * 4f64.powi(rate);
        let mut loss = 0.;
        for epoch in 0..EPOCHS {
            batches(&train, epoch, |batch| {
                let t = targets(&batch.labels, 10, 0.);
                loss = net.step(batch.x.view(), t.view(), lr);
            });
        }
        (net.right(&test), before, norm(&net.w[0]), loss)
    };
    let round = |v: f64, per: f64| (v * per).round() / per;
    let rows = |has_norm: bool| -> Vec<Vec<_>> {
        let row =
            |k: &i32| POWERS.iter().map(|r| one(has_norm, *k, *r)).collect();
        POWERS.iter().map(row).collect()
    };
    let (plain, normed) = (rows(false), rows(true));
    // Along a diagonal the runs are the same to the last bit.
    let last = |k: usize, r: usize| normed[k][r].3.to_bits();
    let same = (1..7).all(|k| (1..7).all(|r| last(k, r) == last(k - 1, r - 1)));
    assert!(same, "a diagonal is one run");
    let share = |rows: &[Vec<(f64, f64, f64, f64)>]| -> Vec<Vec<f64>> {
        let row = |row: &Vec<(f64, f64, f64, f64)>| {
            row.iter().map(|c| round(c.0, 1e6)).collect()
        };
        rows.iter().map(row).collect()
    };
    let sizes: Vec<[f64; 2]> = normed[3]
        .iter()
        .map(|c| [round(c.1, 1e3), round(c.2, 1e3)])
        .collect();
    json!({
        "plain": share(&plain),
        "norm": share(&normed),
        "sizes": sizes,
    })
}

fn weights(run: &Value) -> String {
    let sizes: Vec<[f64; 2]> = kit::get(run, "/sizes");
    let right: Vec<f64> = kit::get(run, "/norm/3");
    let mut text = String::from(
        "   rate   ‖W¹‖ before    after   rate/‖W¹‖² before     after   right\n",
    );
    for ((power, [before, after]), right) in POWERS.iter().zip(sizes).zip(right)
    {
        let rate = RATE * 4f64.powi(*power);
        let effective = |w: f64| rate / (w * w);
        let _ = writeln!(
            text,
            "{rate:7.4} {before:13.2} {after:8.2} {:19.5} {:9.5} {:5.0} %",
            effective(before),
            effective(after),
            100. * right,
        );
    }
    text
}

fn map(data: &Value) -> Picture {
    let (side, left, top) = (36., 50., 62.);
    let apart = 306.;
    let mut p = Picture::new(WIDTH, top + 7. * side + 66.);
    for (n, (name, title)) in [("plain", "no norm"), ("norm", "LayerNorm")]
        .iter()
        .enumerate()
    {
        let left = left + apart * n as f64 + 14. * n as f64;
        let cells: Vec<Vec<f64>> = kit::get(data, &format!("/{name}"));
        let middle = left + 3.5 * side;
        p.text([middle, 14.], title, Type::new(TEXT).middle().bold());
        for (k, row) in cells.iter().enumerate() {
            // The small weights below.
            let y = top + side * (6 - k) as f64;
            for (r, right) in row.iter().enumerate() {
                let at = [left + side * r as f64, y, side, side];
                let shade = ((right - 0.1) / 0.9).clamp(0., 1.);
                let fill = Look::fill(Paint::Positive).opacity(shade * shade);
                p.rectangle(at, fill);
                p.rectangle(at, Look::stroke(Paint::Faint, 1.));
                let text = format!("{:.0}", 100. * right);
                let at = [at[0] + side / 2., y + side / 2.];
                p.text(at, &text, Type::new(SMALL).middle());
            }
            if n == 0 {
                let name = match POWERS[k] {
                    power if power < 0 => format!("/{}", 1 << -power),
                    power => format!("×{}", 1 << power),
                };
                let end = Type::new(SMALL).end();
                p.text([left - 8., y + side / 2.], &name, end);
            }
        }
        let under = top + 7. * side + 16.;
        for (r, name) in [(0, "0.0016"), (3, "0.1"), (6, "6.4")] {
            let x = left + side * (f64::from(r) + 0.5);
            p.text([x, under], name, Type::new(SMALL).middle());
        }
        let muted = Type::new(SMALL).middle().paint(Paint::Muted);
        p.text([middle, under + 26.], "learning rate", muted);
    }
    let muted = Type::new(SMALL).paint(Paint::Muted);
    p.text([2., 42.], "first weights", muted);
    p
}

// ---- the projection -------------------------------------------------------

/// A row of three numbers, seen along (1, 1, 1): lengths across are kept.
fn seen(v: [f64; 3]) -> Point {
    let (c, s, long) = (0.75f64.sqrt(), 0.5, (2f64 / 3.).sqrt());
    let [a, b, d] = v.map(|v| v * long);
    [c * (d - b), a - s * (b + d)]
}

fn projection_data(knobs: &Knobs) -> Value {
    let of = |name: &str| -> [f64; 3] {
        [1, 2, 3].map(|k| knobs.number(&format!("{name}_{k}")))
    };
    let (x, g) = (of("x"), of("g"));
    // A row of equal numbers has no direction; here it gets one.
    let eps = 1e-9;
    let h = hand(&x, &[1.; 3], &g, eps);
    let three = |a: &Array1<f64>| [a[0], a[1], a[2]];
    let mean = g.iter().sum::<f64>() / 3.;
    let across = Array1::from(g.to_vec()) - mean;
    let along = across.dot(&h.x_hat) / 3.;
    json!({
        "x": x,
        "g": g,
        "s": 1. / h.stats[[0, 1]],
        "x_hat": three(&h.x_hat),
        "left": three(&(&across - &(&h.x_hat * along))),
        "dx": three(&h.dx),
    })
}

fn what_is_left(_: &Knobs, data: &Value) -> String {
    let row = |name: &str| -> String {
        let row: [f64; 3] = kit::get(data, &format!("/{name}"));
        row.map(|v| kit::number(v, 3)).join(", ")
    };
    let s: f64 = kit::get(data, "/s");
    format!(
        "x̂ = ({}), s = {}, dx = ({})",
        row("x_hat"),
        kit::number(s, 3),
        row("dx")
    )
}

fn projection(data: &Value) -> Picture {
    const UNIT: f64 = 84.;
    let centre = [270., 214.];
    let mut p = Picture::new(WIDTH, 400.);
    let place =
        |v: [f64; 2]| [centre[0] + UNIT * v[0], centre[1] - UNIT * v[1]];
    let row =
        |name: &str| -> Point { seen(kit::get(data, &format!("/{name}"))) };
    let faint = Look::stroke(Paint::Faint, 1.5);
    for (k, label) in ["x_1", "x_2", "x_3"].iter().enumerate() {
        let mut unit = [0.; 3];
        unit[k] = 1.;
        let [a, b] = seen(unit);
        let far = |t: f64| place([t * a, t * b]);
        p.line(far(0.), far(2.5), faint);
        p.formula(
            far(2.68),
            label,
            Type::new(TEXT).middle().paint(Paint::Muted),
        );
    }
    let round = Look::stroke(Paint::Activation, 2.);
    p.circle(centre, 3f64.sqrt() * UNIT, round);
    let small = Type::new(SMALL).paint(Paint::Activation);
    p.text(place([-1.5, 1.26]), "every x̂", small.end());
    let (x, x_hat) = (row("x"), row("x_hat"));
    let (from, to) = (place([0., 0.]), place(x));
    p.line(from, to, Look::stroke(Paint::Input, 2.));
    p.circle(to, 6., Look::fill(Paint::Input));
    let beyond = |v: Point, by: f64| {
        let long = v[0].hypot(v[1]).max(1e-9);
        [v[0] * (1. + by / long), v[1] * (1. + by / long)]
    };
    let name = Type::new(TEXT).middle().paint(Paint::Input).halo();
    p.formula(place(beyond(x, 0.24)), "x", name);
    let on = place(x_hat);
    p.circle(on, 6., Look::fill(Paint::Activation));
    let inside = Type::new(TEXT).middle().paint(Paint::Activation).halo();
    let below = beyond(x_hat, -0.3);
    p.text(place([below[0], below[1] - 0.12]), "x̂", inside);
    // g, what is left of it, and dx.
    let (g, left, dx) = (row("g"), row("left"), row("dx"));
    let at = |v: Point| place([x_hat[0] + v[0], x_hat[1] + v[1]]);
    let dashed = Look::stroke(Paint::Cotangent, 2.).dashed();
    p.arrow(on, at(g), dashed);
    p.line(at(g), at(left), Look::stroke(Paint::Muted, 1.5));
    p.arrow(on, at(dx), Look::stroke(Paint::Cotangent, 4.));
    p.arrow(on, at(left), Look::stroke(Paint::Cotangent, 1.5));
    let name = Type::new(TEXT).paint(Paint::Cotangent).halo();
    let tip = |v: Point, by: Point| {
        let [x, y] = at(v);
        [x + by[0], y + by[1]]
    };
    p.formula(tip(g, [10., -8.]), "g", name);
    p.formula(tip(dx, [-34., 0.]), "dx", name);
    let note = Type::new(SMALL).paint(Paint::Muted);
    p.text(tip(left, [16., -34.]), "taken off: along x̂", note);
    p.text([8., 386.], "the row (1, 1, 1) points at you", note);
    p
}

// ---- which numbers share a mean -------------------------------------------

fn axes(data: &Value) -> Picture {
    let whole = |name: &str| kit::get::<usize>(data, &format!("/{name}"));
    let (n, d, groups) =
        (whole("examples"), whole("features"), whole("groups"));
    let side = 30.;
    let wide = side * d as f64;
    let gap = (WIDTH - 3. * wide) / 2. - 1.;
    let top = 62.;
    let mut p = Picture::new(WIDTH, top + side * (n + 2) as f64 + 14.);
    for (k, (title, sub)) in [
        ("LayerNorm, RMSNorm", "a row"),
        ("GroupNorm", "a part of a row"),
        ("BatchNorm", "a column"),
    ]
    .iter()
    .enumerate()
    {
        let left = 1. + (wide + gap) * k as f64;
        let middle = left + wide / 2.;
        p.text([middle, 12.], title, Type::new(SMALL).middle().bold());
        let muted = Type::new(SMALL).middle().paint(Paint::Muted);
        p.text([middle, 38.], sub, muted);
        for row in 0..n {
            for column in 0..d {
                let shares = match k {
                    0 => row == 1,
                    1 => row == 1 && column < d / groups,
                    _ => column == 1,
                };
                let at = [
                    left + side * column as f64,
                    top + side * row as f64,
                    side,
                    side,
                ];
                if shares {
                    let look = Look::fill(Paint::Activation).opacity(0.5);
                    p.rectangle(at, look);
                }
                p.rectangle(at, Look::stroke(Paint::Faint, 1.));
            }
        }
        let frame = match k {
            0 => [left, top + side, wide, side],
            1 => [left, top + side, wide / groups as f64, side],
            _ => [left + side, top, side, side * n as f64],
        };
        p.rectangle(frame, Look::stroke(Paint::Activation, 3.).rounded(6.));
        let under = top + side * (n as f64 + 0.7);
        for column in 0..d {
            let at = [left + side * column as f64, under, side, side * 0.8];
            p.rectangle(at, Look::stroke(Paint::Weight, 1.5).tinted(0.13));
        }
        let name = Type::new(SMALL).paint(Paint::Weight).middle();
        let y = under + 0.4 * side;
        p.text([left + side * 0.5, y], "γ", name);
    }
    p
}

// ---- in company -----------------------------------------------------------

const EPS: f64 = 1e-5;
const TOGETHER: usize = 8;

/// One hidden layer with BatchNorm.
struct Social {
    w: [Array2<f64>; 2],
    gamma: Array1<f64>,
    beta: Array1<f64>,
    b: Array1<f64>,
    running: Running,
}

impl Social {
    fn top(&self, y: Array2<f64>) -> Array2<f64> {
        y.mapv(|v| v.max(0.)).dot(&self.w[1]) + &self.b
    }

    /// Scores by the statistics of the batch.
    fn together(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let z = x.dot(&self.w[0]);
        let (gamma, beta) = (self.gamma.view(), self.beta.view());
        self.top(batch::forward(z.view(), gamma, beta, EPS).0)
    }

    /// Scores by the running statistics.
    fn alone(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let z = x.dot(&self.w[0]);
        let (gamma, beta) = (self.gamma.view(), self.beta.view());
        self.top(batch::eval(z.view(), gamma, beta, &self.running, EPS))
    }

    fn step(&mut self, x: ArrayView2<f64>, t: ArrayView2<f64>) {
        let z = x.dot(&self.w[0]);
        let (gamma, beta) = (self.gamma.view(), self.beta.view());
        let (y, stats) = batch::forward(z.view(), gamma, beta, EPS);
        let a = y.mapv(|v| v.max(0.));
        let scores = a.dot(&self.w[1]) + &self.b;
        let (_, dy) = cross_entropy(scores.view(), t);
        let (mut da, dw, db) =
            linear::vjp(a.view(), self.w[1].view(), dy.view());
        da.zip_mut_with(&a, |d, a| {
            if *a <= 0. {
                *d = 0.;
            }
        });
        let (dz, dgamma, dbeta) =
            batch::vjp(z.view(), gamma, stats.view(), da.view());
        self.running.update(z.view(), 0.1);
        let dw0 = x.t().dot(&dz);
        self.w[0].scaled_add(-RATE, &dw0);
        self.w[1].scaled_add(-RATE, &dw);
        self.gamma.scaled_add(-RATE, &dgamma);
        self.beta.scaled_add(-RATE, &dbeta);
        self.b.scaled_add(-RATE, &db);
    }
}

fn company_run() -> Value {
    let (train, test) = images();
    let sizes = [64, 64, 10];
    let net = Mlp::new(&sizes, Activation::Relu, Activation::Identity, 0);
    let mut net = Social {
        w: [net.layers[0].w.clone(), net.layers[1].w.clone()],
        gamma: Array1::ones(64),
        beta: Array1::zeros(64),
        b: Array1::zeros(10),
        running: Running::new(64),
    };
    for epoch in 0..20 {
        batches(&train, epoch, |batch| {
            let t = targets(&batch.labels, 10, 0.);
            net.step(batch.x.view(), t.view());
        });
    }
    let alone = net.alone(test.x.view());
    // The test images in groups: as they come, and sorted by their digit.
    let right_in = |order: &[usize], size: usize| {
        let mut right = 0.;
        for rows in order.chunks(size) {
            let some = test.rows(rows);
            let scores = net.together(some.x.view());
            right += share_right(&scores, &some.labels) * rows.len() as f64;
        }
        right / test.len() as f64
    };
    let as_they_come: Vec<usize> = (0..test.len()).collect();
    let mut sorted = as_they_come.clone();
    sorted.sort_by_key(|k| test.labels[*k]);
    // An image, read right alone and among different digits, and wrong among
    // seven of one kind.
    let others = |of: Option<usize>, but: usize| -> Vec<usize> {
        let mut seen = [0; 10];
        let fits = |k: &usize| {
            let label = test.labels[*k];
            let kind = match of {
                Some(digit) => label == digit,
                None => seen[label] == 0 && label != test.labels[but],
            };
            let takes = *k != but && kind;
            seen[label] += usize::from(takes);
            takes
        };
        (0..test.len()).filter(fits).take(TOGETHER - 1).collect()
    };
    let read =
        |rows: &[usize]| best(net.together(test.rows(rows).x.view()).row(0));
    let batch = |k: usize, of: Option<usize>| -> Vec<usize> {
        [vec![k], others(of, k)].concat()
    };
    let found = (0..test.len())
        .filter(|k| best(alone.row(*k)) == test.labels[*k])
        .filter(|k| read(&batch(*k, None)) == test.labels[*k])
        .find_map(|k| {
            let of = (0..10).filter(|d| *d != test.labels[k]).find(|d| {
                let reading = read(&batch(k, Some(*d)));
                reading != test.labels[k] && reading != *d
            })?;
            Some((k, of))
        });
    let (chosen, of) = found.expect("an image that company misleads");
    let ink = |rows: &[usize]| -> Vec<Vec<f64>> {
        let pixel = |v: &f64| ((v + 1.) / 2. * 1e4).round() / 1e4;
        let image = |k: &usize| test.x.row(*k).iter().map(pixel).collect();
        rows.iter().map(image).collect()
    };
    let (mixed, alike) = (batch(chosen, None), batch(chosen, Some(of)));
    let round = |v: f64| (v * 1e6).round() / 1e6;
    json!({
        "label": test.labels[chosen],
        "companions": of,
        "mixed": { "images": ink(&mixed), "read": read(&mixed) },
        "alike": { "images": ink(&alike), "read": read(&alike) },
        "right": {
            "alone": round(share_right(&alone, &test.labels)),
            "mixed_32": round(right_in(&as_they_come, 32)),
            "mixed_8": round(right_in(&as_they_come, TOGETHER)),
            "sorted_8": round(right_in(&sorted, TOGETHER)),
            "one": round(right_in(&as_they_come, 1)),
        },
    })
}

fn alone(run: &Value) -> String {
    let mut text = String::from("statistics               test images right\n");
    for (name, key) in [
        ("running", "alone"),
        ("of batches of 32", "mixed_32"),
        ("of batches of 8", "mixed_8"),
        ("of 8 of one digit", "sorted_8"),
        ("of a batch of one", "one"),
    ] {
        let right: f64 = kit::get(run, &format!("/right/{key}"));
        let _ = writeln!(text, "{name:<20} {:19.1} %", 100. * right);
    }
    text
}

fn company(data: &Value) -> Picture {
    let (side, gap) = (54., 8.);
    let mut p = Picture::new(WIDTH, 2. * side + 78.);
    for (r, name) in ["mixed", "alike"].iter().enumerate() {
        let images: Vec<Vec<f64>> = kit::get(data, &format!("/{name}/images"));
        let y = 30. + (side + 40.) * r as f64;
        for (k, pixels) in images.iter().enumerate() {
            let extra = if k > 0 { 14. } else { 0. };
            let x = 3. + (side + gap) * k as f64 + extra;
            let rows: Vec<Vec<f64>> =
                pixels.chunks(8).map(<[f64]>::to_vec).collect();
            p.raster([x, y], side / 8., &rows, Paint::Ink);
            let look = match k {
                0 => Look::stroke(Paint::Input, 3.),
                _ => Look::stroke(Paint::Faint, 1.),
            };
            p.rectangle([x, y, side, side], look);
        }
        let read: usize = kit::get(data, &format!("/{name}/read"));
        let at = [WIDTH - 2., y + side / 2.];
        let end = Type::new(TEXT).end().bold();
        p.text(at, &format!("read as {read}"), end);
    }
    let muted = Type::new(SMALL).paint(Paint::Muted);
    p.text([2., 12.], "image", muted);
    p.text([79., 12.], "its company in the batch", muted);
    p
}

// ---- a large mean ---------------------------------------------------------

fn cancel() -> String {
    const N: usize = 64;
    let mut text = String::from(
        "f32, 64 numbers     variance     mean(x²) - mean(x)²       fused\n",
    );
    for mean in [0f32, 10., 100., 1000., 10_000.] {
        let spread = |k: usize| ((k * 37 % N) as f32 - 31.5) / 18.5;
        let x = Array2::from_shape_fn((1, N), |(_, k)| mean + spread(k));
        let wide = x.mapv(f64::from);
        let mu = wide.mean().expect("a row");
        let truth = wide.mapv(|v| (v - mu).powi(2)).mean().expect("a row");
        let (mut sum, mut square) = (0f32, 0f32);
        for v in &x {
            sum += v;
            square += v * v;
        }
        let n = N as f32;
        let naive = square / n - (sum / n) * (sum / n);
        let (one, zero) = (Array1::<f32>::ones(N), Array1::<f32>::zeros(N));
        let (mut y, mut stats) = (x.clone(), Array2::zeros((1, 2)));
        fused::layer_norm(
            x.view(),
            one.view(),
            zero.view(),
            0.,
            y.view_mut(),
            stats.view_mut(),
        );
        let fused = stats[[0, 1]].powi(-2);
        let _ = writeln!(
            text,
            "mean {mean:>8} {truth:>16.4} {naive:>22.4} {fused:>14.4}"
        );
    }
    text
}

fn speed(data: &Value) -> String {
    let rows: Vec<Value> = kit::get(data, "/rows");
    let row = rows
        .iter()
        .find(|row| row["name"] == "LayerNorm 4096x768")
        .expect("LayerNorm is measured");
    let of = |name: &str| kit::get::<f64>(row, name);
    let text = |at| kit::get::<String>(data, at);
    let milli = |s: f64| format!("{:.2} ms", 1e3 * s);
    let cores: f64 = kit::get(data, "/machine/cores");
    format!(
        "LayerNorm forward and backward, 4096 rows of 768, f32\n\
         ours {}   PyTorch {}   ratio {:.2}\n\n\
         {}, {cores} cores; PyTorch {}\ncommit {}, {}\n",
        milli(of("/ours_s")),
        milli(of("/pytorch_s")),
        of("/ratio"),
        text("/machine/cpu"),
        text("/torch"),
        &text("/commit")[..7],
        text("/command"),
    )
}

/// What the examiner says to a LayerNorm that forgets how x moves r.
fn report() -> String {
    let verdict = exam::LAYER_NORM_VJP.judge(
        |x, gamma, stats, dy| {
            let (_, dgamma, dbeta) = layer_norm_vjp(x, gamma, stats, dy);
            let g = &dy * &gamma;
            let mean = g.mean_axis(Axis(1)).expect("a row");
            let left = &g - &mean.insert_axis(Axis(1));
            let r = stats.column(1).insert_axis(Axis(1));
            (left * r, dgamma, dbeta)
        },
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
        let texts = [row(), others()].concat();
        for number in [
            "0.804984472", // W-073
            "-2.862167011",
            "3.309380607",
            "-1.252198067",
            "0.268328157", // W-072, W-077
            "0.268330304", // W-075
            "-9.6e-6",
            "0.352976759", // W-076
        ] {
            assert!(texts.contains(number), "{number} in\n{texts}");
        }
    }

    #[test]
    fn two_sums_do_not_see_a_lost_gamma() {
        let text = lost();
        let line = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name));
            line.expect("a line")
                .split_whitespace()
                .rev()
                .take(2)
                .collect()
        };
        let zeros: Vec<&str> = line("γ lost");
        assert_eq!(zeros, ["0.0000", "0.0000"], "{text}");
        let end: Vec<&str> = line("γ at the end");
        assert!(end.iter().all(|v| *v != "0.0000"), "{text}");
    }
}
