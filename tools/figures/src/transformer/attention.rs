//! What the chapter `transformer/attention` shows.

use backprop::backends::Cpu;
use backprop::calculus::gradcheck::Sampler;
use backprop::depth::normalization::{layer_norm, layer_norm_vjp};
use backprop::device::{Device, Heads};
use backprop::network::activation::gelu;
use backprop::network::linear;
use backprop::network::softmax_cross_entropy as softmax;
use backprop::training::language::{Settings, Trainer};
use backprop::training::text::{Text, Vocabulary, shakespeare};
use backprop::transformer::attention;
use backprop::transformer::block::model as parts;
use backprop::transformer::block::{self, Weights};
use backprop::transformer::embedding::{unembed, unembed_vjp};
use backprop::transformer::gpt::model::{Attention, Config, Gpt};
use examiner::Verdict;
use examiner::judge::Exam;
use examiner::transformer::attention as exam;
use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, Axis, Ix1, Ix2, array, s,
};
use serde_json::{Value, json};
use std::fmt::Write;
use std::ops::ControlFlow;

use crate::Text as From;
use crate::kit::{self, Chart, HeatMap, Look, Paint, Picture, Point, Type};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// A model that has read Shakespeare, and what it makes of a sentence.
const SENTENCE: &str = "book/src/generated/transformer/attention/sentence.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "transformer/attention",
    outputs: &[
        stored("question", question),
        Output::printed("example", || example(false)),
        Output::printed("masked", || example(true)),
        Output::printed("probe", probe),
        stored("answer", answer),
        Output::printed("sums", sums),
        stored("biases", biases),
        Output::printed("cost", cost),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "saturation",
            title: "What is left of the slope of a softmax",
            description: "The trace of the softmax Jacobian over sixteen \
                          keys against the width d, both on logarithmic \
                          axes. Divided by the root of d it stays level; \
                          not divided, it falls.",
            knobs: &[
                Knob::slider("keys", 2.0..=64., 16.).step(1.),
                Knob::index("seed", 20, 3),
            ],
            data: Data::Computed(saturation_data),
            read_out: Some(loss_of_slope),
            draw: saturation,
            tolerance: Tolerance::relative(1e-6),
        },
        Figure {
            name: "blame",
            title: "Four tokens: probabilities, and the gradient of the scores",
            description: "Two tables of four rows and four columns and a \
                          column of sums. On the left probabilities; every \
                          row sums to 1. On the right gradients of both \
                          signs; every row sums to 0.",
            knobs: &[Knob::choice("mask", &["none", "causal"])],
            data: Data::Computed(blame_data),
            read_out: Some(most_blamed),
            draw: blame,
            tolerance: Tolerance::absolute(1e-12),
        },
        Figure {
            name: "sentence",
            title: "Where a head looks, and where it should have looked",
            description: "Two triangles of cells over the letters of a \
                          sentence, a row for each letter that looks and a \
                          column for each that is looked at. Above, the \
                          probabilities; each row sums to 1. Below, the \
                          gradients of the scores, of both signs; each row \
                          sums to 0.",
            knobs: &[],
            data: Data::Stored(sentence_run),
            read_out: None,
            draw: sentence,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "token",
            title: "One letter that looks back, and what its row of dS asks",
            description: "A sentence, letter by letter. Above, bars: how much \
                          the t of the last word but one looks at each letter \
                          so far; most at r and n. Below, bars up and down: \
                          the gradients of these scores. The longest goes \
                          down at n and the next up at r; letters that are \
                          hardly looked at have hardly any.",
            knobs: &[
                Knob::slider("letter", 1.0..=18.0, 15.0).step(1.0),
                Knob::slider("head", 1.0..=4.0, 3.0).step(1.0),
            ],
            data: Data::Read(
                "generated/transformer/attention/sentence.json",
                token_data,
            ),
            read_out: Some(token_words),
            draw: token,
            tolerance: Tolerance::EXACT,
        },
    ],
};

/// A text that is written from the stored run.
const fn stored(name: &'static str, text: fn(&Value) -> String) -> Output {
    Output {
        name,
        extension: "txt",
        text: From::Stored(SENTENCE, text),
        tolerance: Tolerance::EXACT,
    }
}

/// To a whole number of `1/per`.
fn round(v: f64, per: f64) -> f64 {
    (v * per).round() / per
}

fn rows(a: ArrayView2<f64>, per: f64) -> Vec<Vec<f64>> {
    let row =
        |r: ArrayView1<f64>| r.iter().map(|v| round(*v, per) + 0.).collect();
    a.rows().into_iter().map(row).collect()
}

fn norm<'a>(all: impl IntoIterator<Item = &'a f64>) -> f64 {
    all.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

// ---- a model that has learned something -------------------------------------

/// A sentence that is not in the text that the model learns from.
const READ: &str = "To be, or not to be";

/// Two blocks of four heads.
const CONFIG: [usize; 4] = [64, 2, 4, 64];

/// A matrix of the model, in `f64`.
fn matrix(dev: &Cpu, t: &Tensor) -> Array2<f64> {
    dev.read(t).into_dimensionality::<Ix2>().expect("a matrix")
}

fn vector(dev: &Cpu, t: &Tensor) -> Array1<f64> {
    dev.read(t).into_dimensionality::<Ix1>().expect("a vector")
}

type Tensor = <Cpu as Device>::Tensor;

fn scale_and_shift(dev: &Cpu, norm: &parts::Norm<Tensor>) -> [Array1<f64>; 2] {
    let beta = norm.beta.as_ref().expect("LayerNorm has a shift");
    [vector(dev, &norm.gamma), vector(dev, beta)]
}

/// The weights of block `l`, as the chapter of the block has them.
fn weights(dev: &Cpu, model: &Gpt<Tensor>, l: usize) -> Weights {
    let b = &model.blocks[l];
    let [gamma1, beta1] = scale_and_shift(dev, &b.norm1);
    let [gamma2, beta2] = scale_and_shift(dev, &b.norm2);
    Weights {
        gamma1,
        beta1,
        w_qkv: matrix(dev, &b.qkv.w),
        b_qkv: vector(dev, &b.qkv.b),
        w_o: matrix(dev, &b.out.w),
        b_o: vector(dev, &b.out.b),
        gamma2,
        beta2,
        w1: matrix(dev, &b.up.w),
        b1: vector(dev, &b.up.b),
        w2: matrix(dev, &b.down.w),
        b2: vector(dev, &b.down.b),
    }
}

/// Some steps on Shakespeare, then one sentence, forward and backward in `f64`.
fn sentence_run() -> Value {
    let all = shakespeare();
    let vocabulary = Vocabulary::of(&all);
    let text = Text::new(&all, &vocabulary, "Shakespeare").expect("its own");
    let [context, layers, heads, width] = CONFIG;
    let mut config =
        Config::gpt2(vocabulary.len(), context, layers, heads, width);
    config.block.attention = Attention::Plain;
    let settings = Settings {
        steps: 2500,
        batch: 16,
        lr: 3e-3,
        report_every: 2500,
        ..Settings::new(config)
    };
    let dev = Cpu::new();
    let mut trainer = Trainer::new(&dev, settings).expect("in range");
    let done = trainer.learn(&text, |_, _| Ok(ControlFlow::Continue(())));
    let _ = done.expect("the run does not diverge");
    let validation = trainer
        .evaluate(&text.validation, 400)
        .expect("a finite loss");
    let ids = vocabulary
        .encode(READ, "the sentence")
        .expect("known letters");
    let mut found = looked(&dev, &trainer.model, &ids);
    let letters: Vec<String> = READ.chars().map(String::from).collect();
    let map = found.as_object_mut().expect("an object");
    map.insert("letters".into(), json!(letters));
    map.insert("validation".into(), json!(round(validation, 1e3)));
    map.insert(
        "parameters".into(),
        json!(trainer.model.config.parameters()),
    );
    found
}

/// What the last block's heads look at, and the gradient of their scores: of
/// the sum of the losses of all letters, so row by row of each letter's own.
fn looked(dev: &Cpu, model: &Gpt<Tensor>, ids: &[usize]) -> Value {
    let (read, labels) = (&ids[..ids.len() - 1], &ids[1..]);
    let n = read.len();
    let heads = Heads {
        batch: 1,
        queries: model.config.block.heads,
        keys: model.config.block.keys,
    };
    let table = matrix(dev, &model.wte);
    let places = matrix(dev, model.wpe.as_ref().expect("learned positions"));
    let mut x = places.slice(s![..n, ..]).to_owned();
    for (mut row, id) in x.rows_mut().into_iter().zip(read) {
        row += &table.row(*id);
    }
    let last = model.blocks.len() - 1;
    for l in 0..last {
        x = block::forward(x.view(), &weights(dev, model, l), heads, EPS).0;
    }
    let w = weights(dev, model, last);
    let (y, kept) = block::forward(x.view(), &w, heads, EPS);
    let [gamma, beta] = scale_and_shift(dev, &model.norm);
    // The losses of all letters from the last block's output, and back.
    let end = |y: ArrayView2<f64>| {
        let (out, stats) = layer_norm(y, gamma.view(), beta.view(), EPS);
        let p = softmax::forward(unembed(out.view(), table.view()).view());
        let right = labels.iter().enumerate().map(|(i, c)| p[[i, *c]]);
        (right.collect::<Vec<f64>>(), p, out, stats)
    };
    let (right, p, out, stats) = end(y.view());
    let dlogits = p - softmax::targets(labels, table.nrows(), 0.);
    let (dout, _) = unembed_vjp(out.view(), table.view(), dlogits.view());
    let (dy, ..) =
        layer_norm_vjp(y.view(), gamma.view(), stats.view(), dout.view());
    let (_, dw) = block::vjp(x.view(), &w, &kept, heads, dy.view());
    // Through the second branch and the output projection to the heads.
    let (dg, ..) = linear::vjp(kept.g.view(), w.w2.view(), dy.view());
    let dz = gelu::exact_vjp(kept.z.view(), dg.view());
    let (dn2, ..) = linear::vjp(kept.n2.view(), w.w1.view(), dz.view());
    let (x1, stats2) = (kept.x1.view(), kept.stats2.view());
    let (dx1, ..) = layer_norm_vjp(x1, w.gamma2.view(), stats2, dn2.view());
    let dx1 = dx1 + &dy;
    let (da, ..) = linear::vjp(kept.a.view(), w.w_o.view(), dx1.view());
    let d = da.ncols() / heads.queries;
    let head = |h: usize| {
        let v = (heads.queries + heads.keys + h) * d;
        let v = kept.qkv.slice(s![.., v..v + d]);
        let p = kept.p.index_axis(Axis(0), h).to_owned();
        let dp = da.slice(s![.., h * d..(h + 1) * d]).dot(&v.t());
        let ds = softmax::vjp(p.view(), dp.view());
        (p, ds)
    };
    let all: Vec<_> = (0..heads.queries).map(head).collect();
    let most = (0..heads.queries)
        .max_by(|a, b| norm(&all[*a].1).total_cmp(&norm(&all[*b].1)))
        .expect("some head");
    let (p, ds) = &all[most];
    // One score moved a little, and the loss of its row.
    let moved = |at: [usize; 2], step: f64| {
        let mut score = p.mapv(f64::ln);
        score[at] += step;
        let p = softmax::forward(score.view());
        let v = (heads.queries + heads.keys + most) * d;
        let v = kept.qkv.slice(s![.., v..v + d]);
        let mut a = kept.a.clone();
        a.slice_mut(s![.., most * d..(most + 1) * d])
            .assign(&p.dot(&v));
        let x1 = &x + linear::forward(a.view(), w.w_o.view(), w.b_o.view());
        let (n2, _) =
            layer_norm(x1.view(), w.gamma2.view(), w.beta2.view(), EPS);
        let z = linear::forward(n2.view(), w.w1.view(), w.b1.view());
        let g = gelu::exact(z.view());
        let y = x1 + linear::forward(g.view(), w.w2.view(), w.b2.view());
        -end(y.view()).0[at[0]].ln()
    };
    let row = ds.row(ASKED);
    let j = (0..n)
        .min_by(|a, b| row[*a].total_cmp(&row[*b]))
        .expect("some letter");
    let [up, down] = [1e-4, -1e-4].map(|step| moved([ASKED, j], step));
    let slope = (up - down) / 2e-4;
    let sums = |a: &Array2<f64>, to: f64| {
        let off = a.sum_axis(Axis(1)).mapv(|v| (v - to).abs());
        off.fold(0., |m: f64, v| m.max(*v))
    };
    let whole = |x: ArrayView2<f64>| {
        (0..=last).fold(x.to_owned(), |x, l| {
            block::forward(x.view(), &weights(dev, model, l), heads, EPS).0
        })
    };
    let first = places.slice(s![..n, ..]).to_owned();
    let width = model.config.block.width;
    let bias = |part: usize| {
        let of = s![part * width..(part + 1) * width];
        json!({
            "gradient": norm(dw.b_qkv.slice(of)),
            "trained": round(norm(w.b_qkv.slice(of)), 1e3),
        })
    };
    json!({
        "head": most + 1,
        "next": labels_of(labels.len(), READ),
        "right": right.iter().map(|p| round(*p, 1e4)).collect::<Vec<_>>(),
        "heads": all.iter().map(|(p, ds)| json!({
            "p": rows(p.view(), 1e4),
            "ds": rows(ds.view(), 1e4),
        })).collect::<Vec<_>>(),
        "sums": [
            all.iter().map(|(p, _)| sums(p, 1.)).fold(0., f64::max),
            all.iter().map(|(_, ds)| sums(ds, 0.)).fold(0., f64::max),
        ],
        "asked": { "j": j, "ds": row[j], "slope": slope },
        "causal": attention::reads_ahead(whole, first.view()).is_none(),
        "biases": [bias(0), bias(1), bias(2)],
    })
}

fn labels_of(n: usize, text: &str) -> Vec<String> {
    text.chars().skip(1).take(n).map(String::from).collect()
}

/// ε of the normalisations.
const EPS: f64 = parts::EPS;

/// Height of a cell.
const CELL: f64 = 23.;

/// A triangle of cells with its letters, and beside each row two words.
fn triangle(
    picture: &mut Picture,
    top: f64,
    data: &Value,
    shade: &dyn Fn(usize, usize) -> f64,
    beside: (&str, [&str; 2], &dyn Fn(usize) -> [String; 2]),
) {
    let letters: Vec<String> = kit::get(data, "/letters");
    let n = letters.len() - 1;
    let (left, small) = (62., Type::new(kit::SMALL));
    let shown = |c: &String| match c.as_str() {
        " " => "␣".to_owned(),
        c => c.to_owned(),
    };
    let (title, heads, words) = beside;
    let muted = small.paint(Paint::Muted);
    picture.formula([left, top - 46.], title, Type::new(kit::TEXT));
    let end = left + CELL * n as f64;
    picture.text([end + 52., top - 16.], heads[0], muted.middle());
    picture.text([end + 116., top - 16.], heads[1], muted.middle());
    for (paint, sign) in [(Paint::Positive, 1.), (Paint::Negative, -1.)] {
        let cells: Vec<Vec<f64>> = (0..n)
            .map(|i| (0..n).map(|j| (sign * shade(i, j)).max(0.)).collect())
            .collect();
        picture.raster([left, top], CELL, &cells, paint);
    }
    for (i, letter) in letters[..n].iter().map(shown).enumerate() {
        let y = top + CELL * (i as f64 + 0.5);
        let x = left + CELL * (i as f64 + 0.5);
        picture.text([x, top - 14.], &letter, small.middle());
        picture.text([left - 12., y], &letter, small.end());
        let [sum, next] = words(i);
        picture.text([end + 52., y], &sum, small.middle());
        picture.text([end + 116., y], &next, small.middle());
        // The staircase of what may be seen.
        let right = left + CELL * (i as f64 + 1.);
        let (up, down) = (y - CELL / 2., y + CELL / 2.);
        let line = Look::stroke(Paint::Faint, 1.);
        picture.line([right, up], [right, down], line);
        picture.line([right, up], [right - CELL, up], line);
    }
    let bottom = top + CELL * n as f64;
    let line = Look::stroke(Paint::Faint, 1.);
    picture.line([left, top], [left, bottom], line);
    picture.line([left, bottom], [end, bottom], line);
}

/// The scores' gradient that gets the full colour.
const FULL: f64 = 0.06;

fn sentence(data: &Value) -> Picture {
    let head: usize = kit::get(data, "/head");
    let of = |what: &str| -> Vec<Vec<f64>> {
        kit::get(data, &format!("/heads/{}/{what}", head - 1))
    };
    let (p, ds) = (of("p"), of("ds"));
    let next: Vec<String> = kit::get(data, "/next");
    let right: Vec<f64> = kit::get(data, "/right");
    let n = next.len();
    let tall = CELL * n as f64;
    let mut picture = Picture::new(640., 2. * tall + 156.);
    let sum = |row: &[f64]| kit::fixed(row.iter().sum::<f64>(), 2);
    let letter = |i: usize| match next[i].as_str() {
        " " => format!("␣ {}", kit::fixed(right[i], 2)),
        c => format!("{c} {}", kit::fixed(right[i], 2)),
    };
    triangle(
        &mut picture,
        62.,
        data,
        &|i, j| p[i][j],
        ("P", ["sum", "next"], &|i| [sum(&p[i]), letter(i)]),
    );
    triangle(
        &mut picture,
        tall + 150.,
        data,
        &|i, j| (ds[i][j] / FULL).clamp(-1., 1.),
        ("dS", ["sum", "largest"], &|i| {
            let most = ds[i].iter().fold(0., |m: f64, v| m.max(v.abs()));
            [sum(&ds[i]), kit::fixed(most, 3)]
        }),
    );
    picture
}

/// One row of one head, out of the stored run. The knobs count from 1.
fn token_data(knobs: &Knobs, file: &[u8]) -> Value {
    let run: Value = serde_json::from_slice(file).unwrap_or_default();
    let [letter, head] = ["letter", "head"].map(|k| knobs.number(k) as usize);
    let i = letter - 1;
    let row = |what: &str| -> Vec<f64> {
        let at = format!("/heads/{}/{what}/{i}", head - 1);
        let all: Vec<f64> = kit::get(&run, &at);
        all[..letter].to_vec()
    };
    let letters: Vec<String> = kit::get(&run, "/letters");
    json!({
        "letters": letters.concat(),
        "head": head,
        "p": row("p"),
        "ds": row("ds"),
        "right": kit::get::<f64>(&run, &format!("/right/{i}")),
    })
}

/// What [`token_data`] has: the letters, to be shown, and the rows.
fn token_rows(data: &Value) -> (Vec<String>, Vec<f64>, Vec<f64>) {
    let letters: String = kit::get(data, "/letters");
    let shown = |c: char| if c == ' ' { '␣' } else { c }.to_string();
    let rows = ["/p", "/ds"].map(|at| kit::get::<Vec<f64>>(data, at));
    let [p, ds] = rows;
    (letters.chars().map(shown).collect(), p, ds)
}

/// Where a row is largest.
fn largest(row: impl Iterator<Item = f64>) -> usize {
    let most = row.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    most.map_or(0, |(j, _)| j)
}

/// Less of the attention than this is hardly any.
const HARDLY: f64 = 0.02;

fn token_words(_: &Knobs, data: &Value) -> String {
    let (letters, p, ds) = token_rows(data);
    let right: f64 = kit::get(data, "/right");
    let head: usize = kit::get(data, "/head");
    let n = p.len();
    let mut said = format!(
        "head {head}, “{}” before “{}” ({}): ",
        letters[n - 1],
        letters[n],
        kit::fixed(right, 2)
    );
    if n == 1 {
        return said + "one letter to look at, P = 1 and dS = 0, no choice";
    }
    let up = largest(ds.iter().map(|d| -d));
    let down = largest(ds.iter().copied());
    let _ = write!(
        said,
        "“{}” should get more ({}), “{}” less ({})",
        letters[up],
        kit::fixed(ds[up], 3),
        letters[down],
        kit::fixed(ds[down], 3)
    );
    let pairs = p.iter().zip(&ds).filter(|(p, _)| **p < HARDLY);
    let unseen: Vec<f64> = pairs.map(|(_, d)| d.abs()).collect();
    if !unseen.is_empty() {
        let _ = write!(
            said,
            "; letters below {:.0} %: {}, |dS| at most {}",
            100. * HARDLY,
            unseen.len(),
            kit::fixed(unseen.iter().fold(0., |m: f64, d| m.max(*d)), 4)
        );
    }
    said
}

fn token(data: &Value) -> Picture {
    const LEFT: f64 = 25.;
    const PITCH: f64 = 31.;
    // All of the attention, and the largest gradient of the row.
    const WHOLE: f64 = 110.;
    const REACH: f64 = 66.;
    const KEYS: f64 = 204.;
    const ZERO: f64 = 352.;
    let (letters, p, ds) = token_rows(data);
    let head: usize = kit::get(data, "/head");
    let n = p.len();
    let mut picture = Picture::new(kit::WIDTH, 446.);
    let (text, small) = (Type::new(kit::TEXT), Type::new(kit::SMALL));
    let centre = |j: usize| LEFT + PITCH * (j as f64 + 0.5);
    let right = kit::fixed(kit::get(data, "/right"), 2);
    let [looks, next] = [n - 1, n].map(|j| &letters[j]);
    let said = format!("“{looks}” looks back; next “{next}”, given {right}");
    picture.text([LEFT, 18.], &said, text);
    picture.text([488., 18.], "head", text.end());
    for h in 1..=4 {
        let x = 480. + 34. * h as f64;
        let look = Look::stroke(Paint::Activation, 2.).rounded(6.);
        let look = if h == head {
            look.tinted(0.25)
        } else {
            look.tinted(0.)
        };
        picture.choice("head", h, |picture| {
            picture.rectangle([x - 14., 4., 28., 28.], look);
            picture.text([x, 18.], &h.to_string(), small.middle());
        });
    }
    // A rule under P, one through dS.
    let rule = Look::stroke(Paint::Faint, 1.);
    let end = LEFT + PITCH * letters.len() as f64;
    for y in [KEYS - 16., ZERO] {
        picture.line([LEFT, y], [end, y], rule);
    }
    let percent = kit::fixed(100. * p.iter().sum::<f64>(), 0);
    picture.formula([LEFT, 48.], &format!("P in %, sum {percent}"), small);
    let sum = kit::fixed(ds.iter().sum::<f64>(), 3);
    picture.formula([LEFT, 246.], &format!("dS, sum {sum}"), small);
    let muted = small.paint(Paint::Muted);
    let words = "up: look less, down: look more";
    picture.text([end, 246.], words, muted.end());
    let most = ds.iter().fold(0., |m: f64, d| m.max(d.abs()));
    for j in 0..n {
        let (x, tall) = (centre(j), WHOLE * p[j]);
        let top = KEYS - 16. - tall;
        let bar = [x - 11., top, 22., tall];
        picture.rectangle(bar, Look::fill(Paint::Activation).opacity(0.6));
        let percent = kit::fixed(100. * p[j], 0);
        picture.text([x, top - 11.], &percent, small.middle());
        let tall = REACH * ds[j].abs() / most.max(1e-9);
        let (top, paint) = match ds[j] > 0. {
            true => (ZERO - tall, Paint::Positive),
            false => (ZERO, Paint::Negative),
        };
        picture.rectangle([x - 11., top, 22., tall], Look::fill(paint));
    }
    if most > 0. {
        let up = largest(ds.iter().copied());
        let down = largest(ds.iter().map(|d| -d));
        for (j, side) in [(up, -1.), (down, 1.)] {
            let tall = REACH * ds[j].abs() / most;
            let at = [centre(j).max(LEFT + 25.), ZERO + side * (tall + 13.)];
            picture.text(at, &kit::fixed(ds[j], 3), small.middle());
        }
    }
    // The letters: the one that looks, what it sees, the next, the rest. The
    // last one is only ever next.
    for (j, letter) in letters.iter().enumerate() {
        let look = match j {
            _ if j + 1 == n => Look::role(Paint::Activation),
            _ if j == n => Look::stroke(Paint::Ink, 1.5).dashed().tinted(0.),
            _ if j < n => Look::stroke(Paint::Faint, 1.).tinted(0.),
            _ => Look::fill(Paint::Page).opacity(0.),
        };
        let style = if j <= n {
            text
        } else {
            text.paint(Paint::Muted)
        };
        let draw = |picture: &mut Picture| {
            let x = centre(j);
            picture.rectangle([x - 14., KEYS - 14., 28., 28.], look);
            picture.text([x, KEYS], letter, style.middle());
        };
        if j + 1 < letters.len() {
            picture.choice("letter", j + 1, draw);
        } else {
            draw(&mut picture);
        }
    }
    picture
}

/// The row that the chapter asks about: the comma after "To be".
const ASKED: usize = 4;

fn row_of(run: &Value, what: &str) -> Vec<f64> {
    let head: usize = kit::get(run, "/head");
    kit::get(run, &format!("/heads/{}/{what}/{ASKED}", head - 1))
}

/// What stands before the comma, and the comma.
fn asked(run: &Value) -> (Vec<String>, String, f64) {
    let letters: Vec<String> = kit::get(run, "/letters");
    let shown = |c: &String| match c.as_str() {
        " " => "␣".to_owned(),
        c => c.to_owned(),
    };
    let right: Vec<f64> = kit::get(run, "/right");
    let before = letters[..=ASKED].iter().map(shown).collect();
    (before, letters[ASKED + 1].clone(), right[ASKED])
}

fn question(run: &Value) -> String {
    let (before, next, right) = asked(run);
    let p = row_of(run, "p");
    let mut text = String::from("read so far    ");
    for c in &before {
        let _ = write!(text, "{c:>9}");
    }
    text += "\nlooks at it    ";
    for p in &p[..=ASKED] {
        let _ = write!(text, "{:>7.1} %", 100. * p);
    }
    let _ = writeln!(
        text,
        "\nnext comes  {next}   which had a probability of {:.1} %",
        100. * right
    );
    text
}

fn answer(run: &Value) -> String {
    let (before, next, _) = asked(run);
    let (p, ds) = (row_of(run, "p"), row_of(run, "ds"));
    let mut text = format!("the row of \"e\", before \"{next}\"\n        ");
    for c in &before {
        let _ = write!(text, "{c:>9}");
    }
    text += "      sum\nP       ";
    for p in &p[..=ASKED] {
        let _ = write!(text, "{p:9.4}");
    }
    let _ = write!(text, "{:9.4}\ndS      ", p.iter().sum::<f64>());
    for d in &ds[..=ASKED] {
        let _ = write!(text, "{:9.4}", d + 0.);
    }
    let sum = round(ds.iter().sum::<f64>(), 1e3) + 0.;
    let _ = writeln!(text, "{sum:9.4}");
    let largest: Vec<f64> = kit::get(run, "/sums");
    let [ds, slope] =
        ["/asked/ds", "/asked/slope"].map(|at| kit::get::<f64>(run, at));
    let j: usize = kit::get(run, "/asked/j");
    let _ = writeln!(
        text,
        "\nthe score of {:?} moved by a difference   {slope:.9}\n\
         the same entry of dS                      {ds:.9}\n\
         furthest from 0 of the sums of all rows   {:.1e}",
        before[j], largest[1]
    );
    text
}

fn biases(run: &Value) -> String {
    let mut text = String::from(
        "bias of     norm of its gradient   its norm after training\n",
    );
    for (k, name) in ["queries", "keys", "values"].iter().enumerate() {
        let of = |what: &str| -> f64 {
            kit::get(run, &format!("/biases/{k}/{what}"))
        };
        let _ = writeln!(
            text,
            "{name:<10}  {:>20}   {:>23.3}",
            match of("gradient") {
                g if g < 1e-9 => format!("{g:.1e}"),
                g => format!("{g:.4}"),
            },
            of("trained")
        );
    }
    text
}

// ---- one head, by hand -------------------------------------------------------

fn line(name: &str, what: &str, row: ArrayView1<f64>) -> String {
    let cells: String = row.iter().map(|v| format!("{:9.4}", v + 0.)).collect();
    format!("  {name:<4} {what:<26}{cells}\n")
}

/// A matrix in the rows of a table, its name before the first.
fn table(name: &str, what: &str, a: &Array2<f64>) -> String {
    let each = a.rows().into_iter().enumerate();
    each.map(|(i, row)| match i {
        0 => line(name, what, row),
        _ => line("", "", row),
    })
    .collect()
}

/// Queries, keys, values and cotangent of the example.
fn two() -> [Array2<f64>; 4] {
    [
        array![[1., 0.], [0., 1.]],
        array![[1., 0.], [1., 1.]],
        array![[1., 2.], [3., 4.]],
        array![[1., 0.], [0., 1.]],
    ]
}

fn example(causal: bool) -> String {
    let [q, k, v, dy] = two();
    let (q, k, v, dy) = (q.view(), k.view(), v.view(), dy.view());
    let (y, p) = attention::forward(q, k, v, causal);
    let dp = dy.dot(&v.t());
    let ds = softmax::vjp(p.view(), dp.view());
    let (dq, dk, dv) = attention::vjp(q, k, v, p.view(), dy);
    let mut text = table("P", "softmax(Q·Kᵀ/√2), by rows", &p);
    text += &table("Y", "P·V", &y);
    text += &table("dV", "Pᵀ·dY", &dv);
    text += &table("dP", "dY·Vᵀ", &dp);
    text += &table("dS", "P ⊙ (dP - ⟨P,dP⟩)", &ds);
    text += &table("dQ", "dS·K/√2", &dq);
    text += &table("dK", "dSᵀ·Q/√2", &dk);
    text
}

/// Four tokens of width 3, by formula.
fn four() -> [Array2<f64>; 4] {
    let of = |f: &dyn Fn(f64) -> f64| {
        Array2::from_shape_fn((4, 3), |(i, j)| f((3 * i + j) as f64))
    };
    [
        of(&f64::sin),
        of(&f64::cos),
        of(&|k| (2. * k).sin()),
        of(&|k| (2. * k).cos()),
    ]
}

fn blame_data(knobs: &Knobs) -> Value {
    let [q, k, v, dy] = four();
    let causal = knobs.choice("mask") == "causal";
    let (_, p) = attention::forward(q.view(), k.view(), v.view(), causal);
    let ds = softmax::vjp(p.view(), dy.dot(&v.t()).view());
    let all = |a: &Array2<f64>| -> Vec<Vec<f64>> {
        a.rows().into_iter().map(|r| r.to_vec()).collect()
    };
    json!({ "p": all(&p), "ds": all(&ds) })
}

fn most_blamed(_: &Knobs, data: &Value) -> String {
    let ds: Vec<Vec<f64>> = kit::get(data, "/ds");
    let all = ds.iter().enumerate().flat_map(|(i, row)| {
        row.iter()
            .enumerate()
            .map(move |(j, d)| ([i + 1, j + 1], *d))
    });
    let most = all.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let ([i, j], d) = most.unwrap_or(([0, 0], 0.));
    let way = if d < 0. { "more" } else { "less" };
    format!(
        "the largest entry, {}: token {i} should look {way} at token {j}",
        kit::number(d, 3)
    )
}

fn blame(data: &Value) -> Picture {
    let of = |what: &str, sum: fn(f64) -> f64| -> Vec<Vec<f64>> {
        let rows: Vec<Vec<f64>> = kit::get(data, what);
        let with_sum = |mut row: Vec<f64>| {
            let total = row.iter().sum::<f64>();
            row.push(sum(total));
            row
        };
        rows.into_iter().map(with_sum).collect()
    };
    let names = ["1", "2", "3", "4", "sum"];
    let map = |values: &[Vec<f64>], title: &str, full: f64| {
        HeatMap::new(values)
            .rows("", &names[..4])
            .columns(title, &names)
            .side(56.)
            .full_at(full)
            .picture()
    };
    let p = map(&of("/p", |t| t), "P", 1.);
    // Rounding is not to be seen as a sign.
    let ds = map(&of("/ds", |t| round(t, 1e9) + 0.), "dS", 0.3);
    let mut picture = Picture::new(p.width() + ds.width() + 24., p.height());
    picture.place(&p, [0., 0.]);
    picture.place(&ds, [p.width() + 24., 0.]);
    picture
}

// ---- why the scores are divided ----------------------------------------------

const WIDTHS: [usize; 7] = [4, 8, 16, 32, 64, 128, 256];

/// Σ p(1 - p), the trace of the Jacobian, on average over queries: of scores
/// that are divided by √d and of scores that are not.
fn saturation_data(knobs: &Knobs) -> Value {
    let keys = knobs.number("keys") as usize;
    let mut s = Sampler::new(knobs.index("seed") as u64);
    let mut lines = [vec![], vec![], vec![]];
    for d in WIDTHS {
        let mut draw = |n: usize| -> Array2<f64> {
            let x = s.normal(&[n, d]);
            x.into_dimensionality().expect("a matrix")
        };
        let (q, k) = (draw(200), draw(keys));
        let scores = q.dot(&k.t());
        let trace = |s: Array2<f64>| {
            let p = softmax::forward(s.view());
            p.mapv(|p| p * (1. - p)).sum() / 200.
        };
        let variance = scores.mapv(|s| s * s).mean().unwrap_or(0.);
        let d = d as f64;
        let all = [trace(&scores / d.sqrt()), trace(scores), variance];
        for (line, y) in lines.iter_mut().zip(all) {
            line.push([d, y]);
        }
    }
    let [scaled, plain, variance] = lines;
    json!({ "scaled": scaled, "plain": plain, "variance": variance })
}

fn loss_of_slope(_: &Knobs, data: &Value) -> String {
    let at = |what: &str| {
        let all: Vec<Point> = kit::get(data, what);
        all[4][1]
    };
    format!(
        "at d = 64 the scores have variance {}; slope left: {} divided, {} not",
        kit::number(at("/variance"), 3),
        kit::number(at("/scaled"), 2),
        kit::number(at("/plain"), 2)
    )
}

fn saturation(data: &Value) -> Picture {
    let points = |name: &str| -> Vec<Point> { kit::get(data, name) };
    Chart::new(
        kit::Axis::log("width d of queries and keys"),
        kit::Axis::log("trace of the softmax Jacobian"),
    )
    .marked_line("divided by √d", &points("/scaled"))
    .label_at(4)
    .marked_line("not divided", &points("/plain"))
    .label_at(4)
    .picture()
}

// ---- is it right? -----------------------------------------------------------

fn probe() -> String {
    let [x, ..] = four();
    type F = fn(ArrayView2<f64>) -> Array2<f64>;
    let all: [(&str, F); 4] = [
        ("with the mask", |x| attention::forward(x, x, x, true).0),
        ("without it", |x| attention::forward(x, x, x, false).0),
        ("masked scores set to 0", |x| {
            let scores = x.dot(&x.t()) / 3f64.sqrt();
            let s = Array2::from_shape_fn(scores.dim(), |(i, j)| {
                if j > i { 0. } else { scores[[i, j]] }
            });
            softmax::forward(s.view()).dot(&x)
        }),
        ("mask after the softmax", |x| {
            let (_, p) = attention::forward(x, x, x, false);
            let p = Array2::from_shape_fn(p.dim(), |(i, j)| {
                if j > i { 0. } else { p[[i, j]] }
            });
            p.dot(&x)
        }),
    ];
    let mut text = String::new();
    for (name, f) in all {
        let found = match attention::reads_ahead(f, x.view()) {
            None => "reads nothing ahead".to_owned(),
            Some((i, j)) => {
                format!("output {i} moves when token {j} does")
            }
        };
        let _ = writeln!(text, "{name:<24} {found}");
    }
    text
}

/// Five queries, four keys of width 3, values of width 2, and a cotangent.
fn uneven() -> [Array2<f64>; 4] {
    let mut s = Sampler::new(7);
    [[5, 3], [4, 3], [4, 2], [5, 2]].map(|shape| {
        let x = s.normal(&shape);
        x.into_dimensionality().expect("a matrix")
    })
}

fn sums() -> String {
    let [q, k, v, dy] = uneven();
    let (y, p) = attention::forward(q.view(), k.view(), v.view(), false);
    let dp = dy.dot(&v.t());
    let root = 3f64.sqrt();
    let right = softmax::vjp(p.view(), dp.view());
    let down = (&p * &dp).sum_axis(Axis(0));
    let mut text = String::from(
        "                        rows of dS   Σ dV - Σ dY   ⟨Q,dQ⟩-⟨K,dK⟩  \
         ⟨V,dV⟩-⟨Y,dY⟩\n",
    );
    let mut row =
        |name: &str, ds: &Array2<f64>, scales: [f64; 2], dv: Array2<f64>| {
            let (dq, dk) = (ds.dot(&k) / scales[0], ds.t().dot(&q) / scales[1]);
            let each = [
                ds.sum_axis(Axis(1)).fold(0., |m: f64, v| m.max(v.abs())),
                (dv.sum_axis(Axis(0)) - dy.sum_axis(Axis(0)))
                    .fold(0., |m: f64, v| m.max(v.abs())),
                (&q * &dq).sum() - (&k * &dk).sum(),
                (&v * &dv).sum() - (&y * &dy).sum(),
            ];
            let cell = |v: &f64| match v.abs() < 1e-12 {
                true => "0".to_owned(),
                false => format!("{v:.3}"),
            };
            let each: Vec<_> = each.iter().map(cell).collect();
            let _ = writeln!(
                text,
                "{name:<23} {:>10} {:>13} {:>15} {:>14}",
                each[0], each[1], each[2], each[3]
            );
        };
    let dv = || p.t().dot(&dy);
    row("right", &right, [root, root], dv());
    row("dot product lost", &(&p * &dp), [root, root], dv());
    row(
        "summed down the columns",
        &(&p * &(&dp - &down)),
        [root, root],
        dv(),
    );
    row("√d lost in dQ", &right, [1., root], dv());
    row("dV from the first query", &right, [root, root], {
        let (p, dy) = (p.slice(s![..1, ..]), dy.slice(s![..1, ..]));
        p.t().dot(&dy)
    });
    row("√d lost in both", &right, [1., 1.], dv());
    text
}

// ---- cost --------------------------------------------------------------------

fn grouped(n: u64) -> String {
    match n {
        n if n < 1000 => n.to_string(),
        n => format!("{},{:03}", grouped(n / 1000), n % 1000),
    }
}

fn cost() -> String {
    let mut text = String::from(
        "tokens   FLOPs forward   FLOPs back   q, k, v, y   probabilities\n",
    );
    let (h, d) = (4, 16);
    for t in [64, 1024, 16_384] {
        let product = 2 * h * t * t * d;
        let _ = writeln!(
            text,
            "{:>6}   {:>13.1e}   {:>10.1e}   {:>10}   {:>13}",
            grouped(t),
            (2 * product) as f64,
            (4 * product) as f64,
            grouped(4 * h * t * d),
            grouped(h * t * t)
        );
    }
    text
}

fn report() -> String {
    let verdict = exam::CAUSAL.judge(
        |q, k, v| {
            let (t, n) = (q.nrows(), k.nrows());
            let mut s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
            for ((i, j), s) in s.indexed_iter_mut() {
                if j + t > i + n {
                    *s = 0.;
                }
            }
            let p = softmax::forward(s.view());
            (p.dot(&v), p)
        },
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}
