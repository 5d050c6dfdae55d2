//! What the chapter `transformer/lora` shows.

use backprop::backends::Cpu;
use backprop::calculus::gradcheck::Sampler;
use backprop::device::{AdamW, Device};
use backprop::network::linear;
use backprop::network::optimizer;
use backprop::training::language::{
    Sampling, Settings, Trainer, evaluate, sample, without_adapters,
};
use backprop::training::schedule::Schedule;
use backprop::training::text::{Text, Vocabulary, alice, shakespeare};
use backprop::transformer::gpt::model::{self, Gpt};
use backprop::transformer::lora::model::Config as Adapters;
use backprop::transformer::lora::{self, dora};
use examiner::Verdict;
use examiner::judge::Exam;
use examiner::transformer::lora as exam;
use ndarray::{Array1, Array2, Axis as Along, array};
use serde_json::{Value, json};
use std::fmt::Write;
use std::ops::ControlFlow;

use crate::Text as From;
use crate::kit::{
    self, Axis, Chart, Look, Paint, Picture, Point, SMALL, TEXT, Type,
};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

const RANKS: &str = "book/src/generated/transformer/lora/ranks.json";
const DIAL: &str = "book/src/generated/transformer/lora/dial.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "transformer/lora",
    outputs: &[
        stored("question", RANKS, question),
        Output::printed("example", example),
        Output::printed("starts", starts),
        Output::printed("doubling", doubling),
        Output::printed("cost", cost),
        stored("meter", RANKS, memory),
        stored("writes", DIAL, writes),
        Output::printed("rounded", rounded),
        Output::printed("dora", dora_example),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "slabs",
            title: "A frozen square and two thin slabs",
            description: "On the left a large square, W, and beside it two \
                          thin lying slabs, A below and B above. Solid \
                          arrows lead from the input up through both to the \
                          output, where they join. Dashed arrows lead back \
                          down through both. Arrows end in A and in B; none \
                          ends in W.",
            knobs: &[
                Knob::slider("rank", 1.0..=128., 8.).step(1.),
                Knob::slider("width", 64.0..=4096., 768.).step(64.),
            ],
            data: Data::Computed(slabs_data),
            read_out: Some(share),
            draw: slabs,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "full",
            title: "A change of rank three, learned by adapters and in full",
            description: "Loss against the step, the loss on a logarithmic \
                          axis. Full tuning falls straight. Rank 1 stays at \
                          2.5 and rank 2 at 0.5. Rank 3 falls past both, \
                          with a bend near 0.5.",
            knobs: &[Knob::index("seed", 20, 3)],
            data: Data::Computed(full_data),
            read_out: Some(where_it_ends),
            draw: full,
            tolerance: Tolerance::relative(1e-6),
        },
        Figure {
            name: "ranks",
            title: "Validation loss on Alice against the rank",
            description: "The loss of a Shakespeare model after 400 steps on \
                          Alice, against the rank of its adapters, from 1 to \
                          64; with horizontal lines for the model before, for \
                          full tuning and for a model from scratch.",
            knobs: &[],
            data: Data::Stored(ranks_run),
            read_out: None,
            draw: ranks,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "dial",
            title: "An adapter is a dial between two authors",
            description: "Two curves against the factor that the adapters are \
                          multiplied with. The loss on Alice falls from 0 to \
                          about 1 and rises after it. The loss on \
                          Shakespeare rises from 0 on.",
            knobs: &[],
            data: Data::Stored(dial_run),
            read_out: None,
            draw: dial,
            tolerance: Tolerance::EXACT,
        },
    ],
};

/// A text that is written from a stored run.
const fn stored(
    name: &'static str,
    run: &'static str,
    text: fn(&Value) -> String,
) -> Output {
    Output {
        name,
        extension: "txt",
        text: From::Stored(run, text),
        tolerance: Tolerance::EXACT,
    }
}

/// To a whole number of `1/per`.
fn round(v: f64, per: f64) -> f64 {
    (v * per).round() / per
}

/// With commas between thousands.
fn grouped(n: usize) -> String {
    match n {
        n if n < 1000 => n.to_string(),
        n => format!("{},{:03}", grouped(n / 1000), n % 1000),
    }
}

// ---- two authors ------------------------------------------------------------

/// Context, layers, heads and width of the base.
const CONFIG: [usize; 4] = [64, 2, 4, 64];
const BASE_STEPS: u64 = 2500;
/// Of each fine-tune, whatever is trained.
const STEPS: u64 = 400;
/// Every run is made once with each; the best is shown.
const RATES: [f64; 3] = [1e-3, 3e-3, 1e-2];
const TRIED: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// The rank of the adapters that are looked at closely.
const RANK: usize = 8;

type Tensor = <Cpu as Device>::Tensor;

/// Both texts in the characters of the first, and their vocabulary.
fn texts() -> (Vocabulary, [Text; 2]) {
    let first = shakespeare();
    let vocabulary = Vocabulary::of(&first);
    let text = |all: &str, name| {
        Text::new(all, &vocabulary, name).expect("its characters are known")
    };
    let both = [text(&first, "Shakespeare"), text(&alice(), "Alice")];
    (vocabulary, both)
}

fn config(vocabulary: &Vocabulary) -> model::Config {
    let [context, layers, heads, width] = CONFIG;
    model::Config::gpt2(vocabulary.len(), context, layers, heads, width)
}

fn learn(
    dev: &Cpu,
    settings: Settings,
    from: Gpt<Tensor>,
    text: &Text,
) -> Gpt<Tensor> {
    let trainer = Trainer::with_model(dev, settings, from);
    let mut trainer = trainer.expect("settings in range");
    let done = trainer.learn(text, |_, _| Ok(ControlFlow::Continue(())));
    let _ = done.expect("the run does not diverge");
    trainer.model
}

/// A model that has read Shakespeare.
fn base(dev: &Cpu, config: model::Config, text: &Text) -> Gpt<Tensor> {
    let settings = Settings {
        steps: BASE_STEPS,
        batch: 16,
        lr: 3e-3,
        report_every: BASE_STEPS,
        ..Settings::new(config)
    };
    learn(dev, settings, Gpt::new(dev, config, 0), text)
}

/// A fine-tune on Alice: of adapters, or of everything.
fn tuning(
    config: model::Config,
    adapters: Option<Adapters>,
    lr: f64,
) -> Settings {
    Settings {
        adapters,
        steps: STEPS,
        batch: 16,
        lr,
        decay: 0.,
        schedule: Schedule::WarmupCosine {
            steps: STEPS / 10,
            floor: 0.1,
        },
        report_every: STEPS,
        report_windows: 1,
        ..Settings::new(config)
    }
}

/// Mean loss on all of a text's last part.
fn loss(dev: &Cpu, model: &Gpt<Tensor>, text: &Text) -> f64 {
    evaluate(dev, model, &text.validation, usize::MAX, 16)
}

/// One model, tuned by adapters of many ranks and in full.
fn ranks_run() -> Value {
    let (vocabulary, [first, second]) = texts();
    let (dev, config) = (Cpu::new(), config(&vocabulary));
    let base = base(&dev, config, &first);
    // The best of some rates: loss on both texts, the rate, trained numbers.
    let best = |adapters: Option<Adapters>, from: &dyn Fn() -> Gpt<Tensor>| {
        let each = RATES.map(|lr| {
            let settings = tuning(config, adapters, lr);
            let model = learn(&dev, settings, from(), &second);
            let trained = model.counts(&dev).0;
            let losses = [&first, &second].map(|t| loss(&dev, &model, t));
            (losses, lr, trained)
        });
        let order = |a: &&([f64; 2], f64, usize), b: &&([f64; 2], _, _)| {
            a.0[1].total_cmp(&b.0[1])
        };
        let (losses, lr, trained) = *each.iter().min_by(order).expect("three");
        json!({
            "shakespeare": round(losses[0], 1e4),
            "alice": round(losses[1], 1e4),
            "rate": lr,
            "trained": trained,
            "all": each.map(|e| round(e.0[1], 1e4)),
        })
    };
    let copy = || without_adapters(&dev, &base);
    let fresh = || Gpt::new(&dev, config, 1);
    let of_ranks: Vec<Value> = (TRIED.iter())
        .map(|rank| {
            let mut found = best(Some(Adapters::all(*rank)), &copy);
            found["rank"] = json!(rank);
            found
        })
        .collect();
    json!({
        "parameters": config.parameters(),
        "base": {
            "shakespeare": round(loss(&dev, &base, &first), 1e4),
            "alice": round(loss(&dev, &base, &second), 1e4),
        },
        "full": best(None, &copy),
        "scratch": best(None, &fresh),
        "ranks": of_ranks,
        "meter": {
            "full": bytes(config, None, &second),
            "lora": bytes(config, Some(Adapters::all(RANK)), &second),
        },
    })
}

/// What the meter counts in a short training: bytes held between two steps
/// (weights, gradients, moments), and at the worst moment of a step.
fn bytes(
    config: model::Config,
    adapters: Option<Adapters>,
    text: &Text,
) -> Value {
    let dev = Cpu::new();
    let settings = Settings {
        steps: 3,
        ..tuning(config, adapters, 1e-3)
    };
    let model = Gpt::new(&dev, config, 0);
    let trainer = Trainer::with_model(&dev, settings, model);
    let mut trainer = trainer.expect("settings in range");
    let mut held = 0;
    let done = trainer.learn(text, |t, _| {
        held = t.device().meter().live();
        Ok(ControlFlow::Continue(()))
    });
    let _ = done.expect("three steps");
    json!({
        "held": held,
        "worst": dev.meter().peak(),
        "trained": trainer.model.counts(&dev).0,
    })
}

fn question(run: &Value) -> String {
    let parameters: usize = kit::get(run, "/parameters");
    let all: Vec<Value> = kit::get(run, "/ranks");
    let mut text = String::from(
        "                      numbers trained   loss on Alice   on \
         Shakespeare\n",
    );
    let mut row = |name: &str, trained: usize, at: &str, v: &Value| {
        let of = |what: &str| -> f64 { kit::get(v, &format!("{at}/{what}")) };
        let _ = writeln!(
            text,
            "{name:<22} {:>14}   {:>13.3}   {:>14.3}",
            grouped(trained),
            of("alice"),
            of("shakespeare"),
        );
    };
    row("before", 0, "/base", run);
    let ranked = |rank: usize| all.iter().find(|v| v["rank"] == json!(rank));
    for rank in [1, RANK] {
        let found = ranked(rank).expect("a rank that was run");
        let trained: usize = kit::get(found, "/trained");
        row(&format!("adapters of rank {rank}"), trained, "", found);
    }
    row("everything", parameters, "/full", run);
    text
}

fn memory(run: &Value) -> String {
    let mut text = String::from(
        "              numbers trained   held between steps   at the worst \
         moment\n",
    );
    for (name, at) in [("everything", "full"), ("rank 8", "lora")] {
        let of = |what: &str| -> usize {
            kit::get(run, &format!("/meter/{at}/{what}"))
        };
        let _ = writeln!(
            text,
            "{name:<13} {:>15}   {:>14} bytes   {:>15} bytes",
            grouped(of("trained")),
            grouped(of("held")),
            grouped(of("worst")),
        );
    }
    text
}

fn ranks(data: &Value) -> Picture {
    let all: Vec<Value> = kit::get(data, "/ranks");
    let point =
        |v: &Value| -> Point { [kit::get(v, "/rank"), kit::get(v, "/alice")] };
    let points: Vec<Point> = all.iter().map(point).collect();
    let number = |at: &str| -> f64 { kit::get(data, at) };
    let least = number("/full/alice").min(points[points.len() - 1][1]);
    Chart::new(
        Axis::log("rank of the adapters").range(0.9, 75.),
        Axis::linear("loss on Alice, in nats for each character")
            .range(least - 0.03, number("/base/alice") + 0.03),
    )
    .marked_line("adapters", &points)
    .label_at(2)
    .rule(number("/base/alice"), "before")
    .rule(number("/full/alice"), "everything")
    .rule(number("/scratch/alice"), "from scratch")
    .picture()
}

// ---- the dial -----------------------------------------------------------------

/// The factors that the adapters are multiplied with.
const FACTORS: [f64; 11] =
    [-0.5, 0., 0.25, 0.5, 0.75, 1., 1.25, 1.5, 2., 2.5, 3.];
/// Those at which the model writes something.
const WRITES: [f64; 4] = [0., 0.5, 1., 2.];
const PROMPT: &str = "\n";
const LETTERS: usize = 150;

/// The adapters of rank 8, turned up and down.
fn dial_run() -> Value {
    let (vocabulary, [first, second]) = texts();
    let (dev, config) = (Cpu::new(), config(&vocabulary));
    let base = base(&dev, config, &first);
    let settings = tuning(config, Some(Adapters::all(RANK)), 3e-3);
    let mut model = learn(&dev, settings, base, &second);
    let own = Adapters::all(RANK);
    let own = own.alpha / own.rank as f64;
    let turn = |model: &mut Gpt<Tensor>, factor: f64| {
        let linears = model.blocks.iter_mut().flat_map(|b| b.linears_mut());
        for adapter in linears.filter_map(|l| l.adapter.as_mut()) {
            adapter.scale = own * factor;
        }
    };
    let points = FACTORS.map(|factor| {
        turn(&mut model, factor);
        let [a, b] = [&first, &second].map(|t| loss(&dev, &model, t));
        [factor, round(a, 1e4), round(b, 1e4)]
    });
    let prompt = vocabulary.encode(PROMPT, "the prompt").expect("a new line");
    let how = Sampling {
        temperature: 0.7,
        top: 40,
    };
    let samples = WRITES.map(|factor| {
        turn(&mut model, factor);
        let text = sample(&dev, &model, &prompt, LETTERS, how, (5, 0));
        json!({
            "factor": factor,
            "text": vocabulary.decode(&text).expect("its own letters"),
        })
    });
    // What the adapters are beside the weights that they change.
    turn(&mut model, 1.);
    let sizes: Vec<Value> = (model.blocks.iter().enumerate())
        .flat_map(|(l, block)| {
            let names = ["qkv", "out", "up", "down"].into_iter();
            let all = names.zip(block.linears());
            all.map(|(name, linear)| {
                let read = |t: &Tensor| -> Array2<f64> {
                    let t = dev.read(t).into_dimensionality();
                    t.expect("a matrix")
                };
                let adapter = linear.adapter.as_ref().expect("on every layer");
                let (a, b) = (read(&adapter.a), read(&adapter.b));
                let change = a.dot(&b) * adapter.scale;
                let share = norm(&change) / norm(&read(&linear.w));
                json!({ "layer": format!("{name} {}", l + 1),
                    "share": round(share, 1e3) })
            })
            .collect::<Vec<_>>()
        })
        .collect();
    json!({ "points": points, "samples": samples, "sizes": sizes })
}

fn norm(a: &Array2<f64>) -> f64 {
    a.mapv(|v| v * v).sum().sqrt()
}

fn dial(data: &Value) -> Picture {
    let all: Vec<[f64; 3]> = kit::get(data, "/points");
    let of =
        |k: usize| -> Vec<Point> { all.iter().map(|p| [p[0], p[k]]).collect() };
    Chart::new(
        Axis::linear("factor of the adapters"),
        Axis::linear("loss in nats for each character"),
    )
    .marked_line("on Shakespeare", &of(1))
    .label_at(8)
    .marked_line("on Alice", &of(2))
    .label_at(8)
    .picture()
}

fn writes(run: &Value) -> String {
    let all: Vec<Value> = kit::get(run, "/samples");
    let mut text = String::new();
    for (k, sample) in all.iter().enumerate() {
        let factor: f64 = kit::get(sample, "/factor");
        let words: String = kit::get(sample, "/text");
        let gap = if k > 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}---- factor {factor}");
        for line in words.trim().lines() {
            let lines = examiner::wrap(line, 74);
            let _ = writeln!(text, "{}", lines.join("\n    "));
        }
    }
    text
}

// ---- by hand --------------------------------------------------------------------

fn line(name: &str, what: &str, values: &[f64]) -> String {
    // What is 0, without a sign.
    let cells: String = { values.iter() }
        .map(|v| format!("{:10.4}", v + 0.))
        .collect();
    format!("  {name:<4} {what:<30}{cells}\n")
}

fn flat(a: &Array2<f64>) -> Vec<f64> {
    a.iter().copied().collect()
}

/// Input, weight, both factors and a cotangent.
fn two() -> [Array2<f64>; 5] {
    [
        array![[1., 2.]],
        array![[1., 3.], [2., 5.]],
        array![[1.], [-1.]],
        array![[2., 1.]],
        array![[1., -1.]],
    ]
}

const SCALE: f64 = 1.5;

fn example() -> String {
    let [x, w, a, b, dy] = two();
    let base = x.dot(&w);
    let (a, b) = (a.view(), b.view());
    let (y, h) = lora::forward(x.view(), a, b, SCALE, base.view());
    let dh = dy.dot(&b.t()) * SCALE;
    let (dx, da, db) = lora::vjp(x.view(), h.view(), a, b, SCALE, dy.view());
    let below = linear::vjp(x.view(), w.view(), dy.view()).0;
    let dw = x.t().dot(&dy);
    let mut text = line("x·W", "the frozen layer", &flat(&base));
    text += &line("h", "x·A", &flat(&h));
    text += &line("y", "x·W + 1.5·h·B", &flat(&y));
    text += &line("dh", "1.5·dy·Bᵀ", &flat(&dh));
    text += &line("dA", "xᵀ·dh, a column", &flat(&da));
    text += &line("dB", "1.5·hᵀ·dy", &flat(&db));
    text += &line("dx", "dy·Wᵀ, through the layer", &flat(&below));
    text += &line("", "dh·Aᵀ, through the adapter", &flat(&dx));
    text += &line("", "both", &flat(&(&below + &dx)));
    text += &line("dW", "xᵀ·dy, not computed: row 1", &flat(&dw)[..2]);
    text += &line("", "row 2", &flat(&dw)[2..]);
    text
}

fn dora_example() -> String {
    let [x, w, a, b, dy] = two();
    let m = array![2., 3.];
    let (a, b) = (a.view(), b.view());
    let (y, kept) = dora::forward(x.view(), w.view(), a, b, SCALE, m.view());
    let d = dora::vjp(x.view(), a, b, SCALE, m.view(), &kept, dy.view());
    let c = dora::vjp_norm_constant(
        x.view(),
        a,
        b,
        SCALE,
        m.view(),
        &kept,
        dy.view(),
    );
    let v = &kept.unit * &kept.norm;
    let along = |dv: &Array2<f64>| (dv * &v).sum_axis(Along(0)).to_vec();
    // Rounding is not to be seen.
    let clean = |all: Vec<f64>| -> Vec<f64> {
        all.into_iter().map(|v| round(v, 1e9)).collect()
    };
    let mut text = line("V", "W + 1.5·A·B: row 1", &flat(&v)[..2]);
    text += &line("", "row 2", &flat(&v)[2..]);
    text += &line("n", "lengths of its columns", &kept.norm.to_vec());
    text += &line("y", "x·V·m/n", &flat(&y));
    text += &line("dm", "", &d.dm.to_vec());
    text += "the norm a function of V\n";
    text += &line("", "⟨V, dV⟩ by columns", &clean(along(&d.dv)));
    text += &line("dA", "", &flat(&d.da));
    text += &line("dB", "", &flat(&d.db));
    text += "the norm a constant\n";
    text += &line("", "⟨V, dV⟩ by columns", &clean(along(&c.dv)));
    text += &line("dA", "", &flat(&c.da));
    text += &line("dB", "", &flat(&c.db));
    text
}

// ---- a change of rank three ------------------------------------------------------

/// The target's distance from the frozen weight: these singular values.
const STRETCHES: [f64; 3] = [3., 2., 1.];
const WIDTH: usize = 12;
const RATE: f64 = 0.05;

fn normal(s: &mut Sampler, shape: [usize; 2]) -> Array2<f64> {
    let x = s.normal(&shape).into_dimensionality();
    x.expect("a matrix")
}

/// Columns of length 1 at right angles to each other.
fn orthonormal(mut a: Array2<f64>) -> Array2<f64> {
    for k in 0..a.ncols() {
        for j in 0..k {
            let other = a.column(j).to_owned();
            let along = other.dot(&a.column(k));
            a.column_mut(k).scaled_add(-along, &other);
        }
        let length = a.column(k).dot(&a.column(k)).sqrt();
        a.column_mut(k).mapv_inplace(|v| v / length);
    }
    a
}

/// What the weight has to change by: rank 3, the singular values above.
fn change(s: &mut Sampler) -> Array2<f64> {
    let mut side = || orthonormal(normal(s, [WIDTH, STRETCHES.len()]));
    let (left, right) = (side(), side());
    (left * Array1::from(STRETCHES.to_vec())).dot(&right.t())
}

/// `L = ½‖ΔW - change‖²`: the loss of a linear layer that sees every unit
/// vector once, and its gradient with respect to `ΔW`.
fn gap(dw: &Array2<f64>, change: &Array2<f64>) -> (f64, Array2<f64>) {
    let e = dw - change;
    (e.mapv(|v| v * v).sum() / 2., e)
}

/// The losses of so many steps with adapters, `s = 1`, and the factors.
fn adapt(
    (mut a, mut b): (Array2<f64>, Array2<f64>),
    change: &Array2<f64>,
    steps: usize,
) -> (Vec<f64>, Array2<f64>, Array2<f64>) {
    let mut losses = Vec::new();
    for k in 0..=steps {
        let (loss, dw) = gap(&a.dot(&b), change);
        losses.push(loss);
        if k < steps {
            let (da, db) = (dw.dot(&b.t()), a.t().dot(&dw));
            a.scaled_add(-RATE, &da);
            b.scaled_add(-RATE, &db);
        }
    }
    (losses, a, b)
}

fn full_data(knobs: &Knobs) -> Value {
    let mut s = Sampler::new(knobs.index("seed") as u64);
    let change = change(&mut s);
    let mut all = serde_json::Map::new();
    for rank in 1..=3 {
        let a = normal(&mut s, [WIDTH, rank]) / (WIDTH as f64).sqrt();
        let b = Array2::zeros((rank, WIDTH));
        let (losses, ..) = adapt((a, b), &change, 200);
        all.insert(format!("rank {rank}"), json!(losses));
    }
    let mut dw: Array2<f64> = Array2::zeros((WIDTH, WIDTH));
    let mut losses = Vec::new();
    for _ in 0..=200 {
        let (loss, d) = gap(&dw, &change);
        losses.push(loss);
        dw.scaled_add(-RATE, &d);
    }
    all.insert("full".into(), json!(losses));
    Value::Object(all)
}

fn curve(data: &Value, name: &str) -> Vec<Point> {
    let losses: Vec<f64> = kit::get(data, &format!("/{name}"));
    let each = losses.into_iter().enumerate();
    let shown = each.take_while(|(_, l)| *l > 1e-3);
    shown.map(|(k, l)| [k as f64, l]).collect()
}

fn where_it_ends(_: &Knobs, data: &Value) -> String {
    let end = |name: &str| {
        let losses: Vec<f64> = kit::get(data, &format!("/{name}"));
        kit::number(losses[200], 3)
    };
    format!(
        "after 200 steps: rank 1 {}, rank 2 {}, rank 3 {}",
        end("rank 1"),
        end("rank 2"),
        end("rank 3")
    )
}

fn full(data: &Value) -> Picture {
    let chart = Chart::new(
        Axis::linear("step").range(0., 215.),
        Axis::log("loss").range(1e-3, 10.),
    );
    let label_at = |points: &[Point], step: usize| step.min(points.len() - 1);
    let mut chart = chart;
    for (name, step) in [
        ("rank 1", 150),
        ("rank 2", 150),
        ("rank 3", 110),
        ("full", 56),
    ] {
        let points = curve(data, name);
        let label = if name == "full" { "everything" } else { name };
        chart = chart.line(label, &points).label_at(label_at(&points, step));
    }
    chart.picture()
}

/// Four ways to begin: is it the base, and where does it end?
fn starts() -> String {
    let mut s = Sampler::new(3);
    let change = change(&mut s);
    let mut draw = |shape| normal(&mut s, shape) / (WIDTH as f64).sqrt();
    let (a, b) = (draw([WIDTH, 3]), draw([3, WIDTH]));
    let (no_a, no_b) = (&a * 0., &b * 0.);
    let all = [
        ("A random, B zero", &a, &no_b),
        ("A zero, B random", &no_a, &b),
        ("both zero", &no_a, &no_b),
        ("both random", &a, &b),
    ];
    let mut text = String::from(
        "                        at first:                after 200 steps:\n\
         \x20                    |dA|    |dB|    |ΔW|               loss\n",
    );
    for (name, a, b) in all {
        let (_, dw) = gap(&a.dot(b), &change);
        let (da, db) = (dw.dot(&b.t()), a.t().dot(&dw));
        let (losses, ..) = adapt((a.clone(), b.clone()), &change, 200);
        let _ = writeln!(
            text,
            "{name:<18} {:>7.3} {:>7.3} {:>7.3} {:>18.4}",
            norm(&da),
            norm(&db),
            norm(&a.dot(b)),
            losses[200],
        );
    }
    text
}

// ---- the scale --------------------------------------------------------------------

/// The length of the first change of the weight, for three scales, under
/// gradient descent and under Adam.
fn doubling() -> String {
    let mut s = Sampler::new(5);
    let [n, i, r, o] = [16, 12, 4, 10];
    let (x, dy) = (normal(&mut s, [n, i]), normal(&mut s, [n, o]));
    let a = normal(&mut s, [i, r]) / (i as f64).sqrt();
    let b: Array2<f64> = Array2::zeros((r, o));
    let h = x.dot(&a);
    let mut text =
        String::from("  s   |dB|    |ΔW|, gradient descent   |ΔW|, Adam\n");
    for scale in [1., 2., 4.] {
        let (x, a, h) = (x.view(), a.view(), h.view());
        let (_, _, db) = lora::vjp(x, h, a, b.view(), scale, dy.view());
        let change = |b: &Array2<f64>| norm(&(a.dot(b) * scale));
        let (mut down, mut velocity) = (b.clone(), b.clone());
        let (w, v) = (down.view_mut(), velocity.view_mut());
        optimizer::sgd(w, db.view(), v, 0.01, 0., 0.);
        let (mut adam, mut mean, mut square) =
            (b.clone(), b.clone(), b.clone());
        let set = AdamW {
            lr: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            decay: 0.,
            step: 1,
        };
        let (w, m, v) = (adam.view_mut(), mean.view_mut(), square.view_mut());
        optimizer::adam(w, db.view(), m, v, 1., set);
        let _ = writeln!(
            text,
            "  {scale}  {:>6.2}   {:>22.4}   {:>10.4}",
            norm(&db),
            change(&down),
            change(&adam),
        );
    }
    text
}

// ---- counts -----------------------------------------------------------------------

/// FLOPs of a training step of one layer, bias left out, for `n` rows: of the
/// whole weight, forward, `dx` and `dW`; or of adapters of some rank beside it,
/// forward, `dx`, `dA` and `dB`.
fn flops(n: usize, i: usize, o: usize, rank: Option<usize>) -> usize {
    let product = 2 * n * i * o;
    match rank {
        None => 3 * product,
        // x·A and h·B; dh, dh·Aᵀ, dA and dB.
        Some(r) => 2 * product + 3 * 2 * n * r * (i + o),
    }
}

fn cost() -> String {
    let (i, o) = (768, 768);
    let mut text = String::from(
        "rank   numbers trained            FLOPs of a step   kept for each \
         row\n",
    );
    for rank in [1, 8, 64, 128, 256] {
        let trained = rank * (i + o);
        let share =
            flops(1, i, o, Some(rank)) as f64 / flops(1, i, o, None) as f64;
        let _ = writeln!(
            text,
            "{rank:>4}   {:>9}  {:>5.1} %   {:>19.1} %   {:>16}",
            grouped(trained),
            100. * trained as f64 / (i * o) as f64,
            100. * share,
            i + rank,
        );
    }
    let _ = writeln!(
        text,
        " all   {:>9}  100.0 %   {:>19.1} %   {:>16}",
        grouped(i * o),
        100.,
        i
    );
    text
}

// ---- merging ----------------------------------------------------------------------

/// The nearest number with eight bits of mantissa, ties to even.
fn bf16(v: f32) -> f32 {
    let bits = v.to_bits();
    let half = 0x7fff + (bits >> 16 & 1);
    f32::from_bits(bits.wrapping_add(half) & 0xffff_0000)
}

/// How many weights a merged change leaves as they were.
fn rounded() -> String {
    let mut s = Sampler::new(11);
    let n = 200_000;
    let mut draw = |std: f64| s.normal(&[n]) * std;
    let w = draw(0.02).mapv(|w| bf16(w as f32));
    let mut text = String::from(
        "typical change   weights left as they were in bf16   in f32\n",
    );
    for std in [1e-3, 1e-4, 1e-5] {
        let change = draw(std);
        let all = || w.iter().zip(&change);
        let same = all().filter(|(w, c)| bf16(**w + **c as f32) == **w);
        let same_f32 = all().filter(|(w, c)| **w + **c as f32 == **w);
        let share = |k: usize| 100. * k as f64 / n as f64;
        let _ = writeln!(
            text,
            "{std:>14.0e}   {:>31.0} %   {:>4.0} %",
            share(same.count()),
            share(same_f32.count()),
        );
    }
    text
}

// ---- the picture ------------------------------------------------------------------

fn slabs_data(knobs: &Knobs) -> Value {
    let (rank, width) = (knobs.number("rank"), knobs.number("width"));
    let rank = rank.min(width);
    json!({ "rank": rank, "width": width })
}

fn share(_: &Knobs, data: &Value) -> String {
    let (rank, width): (f64, f64) =
        (kit::get(data, "/rank"), kit::get(data, "/width"));
    let share = 100. * 2. * rank / width;
    format!(
        "A and B have {} % of the numbers of W",
        kit::number(share, 2)
    )
}

fn slabs(data: &Value) -> Picture {
    let (rank, width): (f64, f64) =
        (kit::get(data, "/rank"), kit::get(data, "/width"));
    const SIDE: f64 = 150.;
    let thin = (SIDE * rank / width).max(1.);
    let mut p = Picture::new(560., 330.);
    let (left, top) = (70., 90.);
    let w = [left, top, SIDE, SIDE];
    p.rectangle(w, Look::stroke(Paint::Muted, 1.5).tinted(0.06));
    let middle = left + SIDE / 2.;
    let name = Type::new(TEXT).middle();
    p.formula(
        [middle, top + SIDE / 2. - 9.],
        "W",
        name.paint(Paint::Weight),
    );
    let small = Type::new(SMALL);
    p.text(
        [middle, top + SIDE / 2. + 12.],
        "frozen",
        small.middle().paint(Paint::Muted),
    );
    // The slabs, to scale, both lying: A turned, and B.
    let weight = Look::fill(Paint::Weight);
    let (a_left, b_left) = (350., 350.);
    let (a_top, b_top) = (top + 74., top);
    p.rectangle([a_left, a_top, SIDE, thin], weight);
    p.rectangle([b_left, b_top, SIDE, thin], weight);
    let beside = Type::new(TEXT).paint(Paint::Weight);
    p.formula([a_left + SIDE + 10., a_top + thin / 2.], "A", beside);
    p.formula([b_left + SIDE + 10., b_top + thin / 2.], "B", beside);
    let slab = a_left + SIDE / 2.;
    let bottom = top + SIDE;
    let up = Look::stroke(Paint::Activation, 1.5);
    let down = Look::stroke(Paint::Cotangent, 1.5).dashed();
    let (base, head) = (bottom + 46., top - 52.);
    // Up: the input to both, and both to the sum.
    let at = |x: f64, shift: f64| x + shift;
    p.line([at(middle, -14.), base], [at(slab, -14.), base], up);
    p.arrow(
        [at(middle, -14.), base],
        [at(middle, -14.), bottom + 6.],
        up,
    );
    p.arrow(
        [at(slab, -14.), base],
        [at(slab, -14.), a_top + thin + 6.],
        up,
    );
    p.arrow(
        [at(slab, -14.), a_top - 4.],
        [at(slab, -14.), b_top + thin + 6.],
        up,
    );
    p.arrow(
        [at(middle, -14.), top - 4.],
        [at(middle, -14.), head + 6.],
        up,
    );
    p.line([at(slab, -14.), b_top - 4.], [at(slab, -14.), head], up);
    p.arrow([at(slab, -14.), head], [at(middle, -8.), head], up);
    p.formula([at(middle, -30.), head], "y", name.paint(Paint::Activation));
    p.formula([at(middle, -32.), base], "x", name.paint(Paint::Input));
    p.formula(
        [at(slab, -32.), (a_top + b_top + thin) / 2.],
        "h",
        name.paint(Paint::Activation),
    );
    // Down: the cotangent through both.
    let low = base + 22.;
    p.line(
        [at(middle, 14.), head - 20.],
        [at(slab, 14.), head - 20.],
        down,
    );
    p.arrow(
        [at(middle, 14.), head - 20.],
        [at(middle, 14.), top - 4.],
        down,
    );
    p.arrow([at(middle, 14.), bottom + 4.], [at(middle, 14.), low], down);
    p.arrow(
        [at(slab, 14.), head - 20.],
        [at(slab, 14.), b_top - 4.],
        down,
    );
    p.arrow(
        [at(slab, 14.), b_top + thin + 4.],
        [at(slab, 14.), a_top - 4.],
        down,
    );
    p.line(
        [at(slab, 14.), a_top + thin + 4.],
        [at(slab, 14.), low + 10.],
        down,
    );
    p.arrow(
        [at(slab, 14.), low + 10.],
        [at(middle, 20.), low + 10.],
        down,
    );
    let cot = name.paint(Paint::Cotangent);
    p.formula([at(middle, -8.), head - 20.], "dy", cot);
    p.formula([at(middle, -4.), low + 10.], "dx", cot);
    p.formula([at(slab, 34.), (a_top + b_top + thin) / 2.], "dh", cot);
    p.formula([b_left - 20., b_top + thin / 2.], "dB", cot);
    p.formula([a_left - 20., a_top + thin / 2.], "dA", cot);
    p
}

fn report() -> String {
    let verdict = exam::VJP.judge(
        |x, w, a, b, alpha, dy| {
            let scale = alpha / a.ncols() as f64;
            let dh = dy.dot(&b.t()) * scale;
            let h = x.dot(&a);
            (dy.dot(&w.t()), x.t().dot(&dh), h.t().dot(&dy) * scale)
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

    /// A product by three loops, and the operations that it took.
    fn product(
        a: &Array2<f64>,
        b: &Array2<f64>,
        count: &mut usize,
    ) -> Array2<f64> {
        let mut c = Array2::zeros((a.nrows(), b.ncols()));
        for i in 0..a.nrows() {
            for j in 0..b.ncols() {
                for k in 0..a.ncols() {
                    c[[i, j]] += a[[i, k]] * b[[k, j]];
                    *count += 2;
                }
            }
        }
        c
    }

    #[test]
    fn flops_are_those_of_counted_loops() {
        let mut s = Sampler::new(1);
        let [n, i, o, r] = [5, 7, 4, 3];
        let mut draw = |shape| normal(&mut s, shape);
        let (x, w, dy) = (draw([n, i]), draw([i, o]), draw([n, o]));
        let (a, b) = (draw([i, r]), draw([r, o]));
        let turned = |m: &Array2<f64>| m.t().to_owned();
        let count = &mut 0;
        product(&x, &w, count);
        product(&dy, &turned(&w), count);
        product(&turned(&x), &dy, count);
        assert_eq!(*count, flops(n, i, o, None));
        let count = &mut 0;
        product(&x, &w, count);
        let h = product(&x, &a, count);
        product(&h, &b, count);
        let dh = product(&dy, &turned(&b), count);
        product(&dy, &turned(&w), count);
        let dx = product(&dh, &turned(&a), count);
        let da = product(&turned(&x), &dh, count);
        let db = product(&turned(&h), &dy, count);
        assert_eq!(*count, flops(n, i, o, Some(r)));
        // And these are the products that the textbook makes.
        let (x, h, dy) = (x.view(), h.view(), dy.view());
        let all = lora::vjp(x, h, a.view(), b.view(), 1., dy);
        for (got, want) in [dx, da, db].iter().zip([all.0, all.1, all.2]) {
            assert!((got - &want).iter().all(|e| e.abs() < 1e-13));
        }
    }

    #[test]
    fn three_quarters_of_the_work_for_a_fiftieth_of_the_numbers() {
        let whole = flops(9, 768, 768, None) as f64;
        let share = |r| flops(9, 768, 768, Some(r)) as f64 / whole;
        assert!((share(8) - 0.6875).abs() < 1e-12);
        assert_eq!(share(128), 1.);
    }

    #[test]
    fn numbers_of_sixteen_bits() {
        assert_eq!(bf16(1.003), 1.);
        assert_eq!(bf16(1. + 1. / 256. + 1e-6), 1.0078125);
        assert_eq!(bf16(1. + 1. / 256.), 1.); // a tie, to even
        assert_eq!(bf16(-0.02), -0.020019531);
    }
}
