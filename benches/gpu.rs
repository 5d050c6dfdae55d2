//! What the GPU does by itself, and from which size on it is worth the way.
//!
//!     cargo bench --features gpu --bench gpu                 all three tables
//!     cargo bench --features gpu --bench gpu -- products
//!     cargo bench --features gpu --bench gpu -- bandwidth
//!     cargo bench --features gpu --bench gpu -- crossover
//!     … -- --json              a line of JSON for each row, for record_gpu.py
//!     … -- --seconds 0.2       for each figure; what needs longer is left out
//!     … -- --largest 1024      no larger size than this
//!
//! - *products*: square f32 products, with wgpu's checks of indices and
//!   without.
//! - *bandwidth*: ops that do little but read and write, in bytes that they
//!   must move, against a plain copy by the same GPU.
//! - *crossover*: the CPU's fused op; the same on the GPU; and on the GPU with
//!   its inputs uploaded and its results read back each time.
//!
//! Each figure is the median of seven samples, after one that warms up. A
//! sample is as many repeats as fit, handed over in one go and waited for.

#[path = "report/mod.rs"]
mod report;

use backprop::backends::{Cpu, Gpu};
use backprop::device::{AdamW, Device};
use backprop::engine::gpu::gemm::{Matrix, Product};
use backprop::engine::gpu::{Options, Runner};
use backprop::engine::random;
use ndarray::{Array2, ArrayD};
use report::Report;
use serde_json::json;
use std::time::{Duration, Instant};

const SAMPLES: usize = 7;
/// The columns of the arrays of what is bound by memory.
const D: usize = 1024;

/// What is asked for on the command line.
struct Settings {
    tables: Vec<String>,
    seconds: f64,
    largest: usize,
    report: Report,
}

fn main() {
    let settings = settings();
    let gpu = start(false);
    settings.report.about(gpu.capabilities());
    products(&settings);
    bandwidth(&settings, &gpu);
    crossover(&settings, &gpu);
}

fn settings() -> Settings {
    let mut s = Settings {
        tables: vec![],
        seconds: 0.5,
        largest: 8192,
        report: Report { json: false },
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> f64 {
            let text = words.next().unwrap_or_default();
            text.parse()
                .unwrap_or_else(|_| panic!("{word} wants a number, not {text}"))
        };
        match word.as_str() {
            "--bench" => {} // cargo says so
            "--json" => s.report.json = true,
            "--seconds" => s.seconds = number(),
            "--largest" => s.largest = number() as usize,
            "products" | "bandwidth" | "crossover" => s.tables.push(word),
            _ => panic!("what is {word}? See the head of benches/gpu.rs"),
        }
    }
    s
}

impl Settings {
    fn asks_for(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|t| t == table)
    }
}

fn start(unchecked: bool) -> Gpu {
    let options = Options {
        unchecked,
        patience: Duration::from_secs(300),
        ..Options::default()
    };
    Gpu::start(options).unwrap_or_else(|e| panic!("{e}"))
}

/// Seconds of one `work`, median and least, or `None` if it takes too long.
/// `settle` waits for what was asked for.
fn seconds(
    s: &Settings,
    mut work: impl FnMut(),
    settle: impl Fn(),
) -> Option<[f64; 2]> {
    let mut sample = |repeats: usize| {
        let start = Instant::now();
        (0..repeats).for_each(|_| work());
        settle();
        start.elapsed().as_secs_f64() / repeats as f64
    };
    sample(1); // compiles
    let one = sample(1);
    if one > 4. * s.seconds {
        return None;
    }
    let repeats = (s.seconds / SAMPLES as f64 / one).clamp(1., 1e4) as usize;
    let mut samples = [0.; SAMPLES].map(|_| sample(repeats));
    samples.sort_by(f64::total_cmp);
    Some([samples[SAMPLES / 2], samples[0]])
}

fn settled(run: &Runner) -> impl Fn() + Copy {
    || {
        if !run.finish() {
            let fault = run.fault().map(|f| f.to_string());
            panic!("{}", fault.unwrap_or_default());
        }
    }
}

/// Numbers of no special kind, the same for the same seed.
fn some(seed: u64, rows: usize, columns: usize) -> ArrayD<f64> {
    let x: Array2<f64> =
        random::uniform(&mut random::rng(seed), (rows, columns), -1., 1.);
    x.into_dyn()
}

// --------------------------------------------------------------- products

fn products(s: &Settings) {
    if !s.asks_for("products") {
        return;
    }
    let columns = ["product", "checked, GFLOP/s", "unchecked", "ratio"];
    s.report.head(&columns);
    let gpus = [start(false), start(true)];
    for n in [512, 1024, 2048, 4096, 8192] {
        for kind in ["NN", "NT", "TN"] {
            if n > s.largest {
                continue;
            }
            let rates = gpus.each_ref().map(|gpu| {
                let seconds = square(s, gpu.runner(), n, kind)?;
                Some(seconds.map(|t| 2e-9 * (n as f64).powi(3) / t))
            });
            let shown = |rate: Option<[f64; 2]>| {
                rate.map_or("too slow here".into(), |r| format!("{:.4}", r[0]))
            };
            let ratio = match rates {
                [Some(a), Some(b)] => format!("{:.2}", b[0] / a[0]),
                _ => String::new(),
            };
            let name = format!("{n} {kind}");
            let numbers = json!({
                "product": name,
                "checked_gflops": rates[0].map(|r| r[0]),
                "unchecked_gflops": rates[1].map(|r| r[0]),
            });
            let cells = [name, shown(rates[0]), shown(rates[1]), ratio];
            s.report.row(&cells, &numbers);
        }
    }
}

fn square(
    s: &Settings,
    run: &Runner,
    n: usize,
    kind: &str,
) -> Option<[f64; 2]> {
    let [a, b, c] = [0.5, 0.25, 0.].map(|value| {
        let array = run.take(n * n);
        run.fill(&array, value);
        array
    });
    let work = || {
        let (a, b) = (Matrix::new(&a, n), Matrix::new(&b, n));
        let a = if kind == "TN" { a.t() } else { a };
        let b = if kind == "NT" { b.t() } else { b };
        Product::new([n; 3], a, b, Matrix::new(&c, n)).run(run);
    };
    seconds(s, work, settled(run))
}

// -------------------------------------------------------------- bandwidth

/// An op and the numbers that it must read and write, for each of `n`.
type Op<'g> = (&'static str, f64, Box<dyn FnMut() + 'g>);

fn bandwidth(s: &Settings, gpu: &Gpu) {
    if !s.asks_for("bandwidth") {
        return;
    }
    // A gigabyte moved, or what the GPU and the patience allow.
    let most = (gpu.capabilities().largest / 4) as usize;
    let rows = (s.largest * 8).min(most / D).next_power_of_two() / 2;
    let n = rows * D;
    s.report.head(&["op", "MB moved", "GB/s", "of a copy"]);
    let mut copied = None;
    for (name, numbers, work) in memory_bound(gpu, rows) {
        let bytes = 4. * numbers * n as f64;
        let Some([t, _]) = seconds(s, work, settled(gpu.runner())) else {
            let cells = [name.into(), "too slow here".into()];
            s.report.row(&cells, &json!({ "op": name, "bytes": bytes }));
            continue;
        };
        let rate = bytes / t / 1e9;
        let copy = *copied.get_or_insert(rate); // the first
        let cells = [
            name.into(),
            format!("{:.0}", bytes / 1e6),
            format!("{rate:.1}"),
            format!("{:.0} %", 100. * rate / copy),
        ];
        let numbers = json!({
            "op": name,
            "bytes": bytes,
            "gb_per_s": rate,
            "of_a_copy": rate / copy,
        });
        s.report.row(&cells, &numbers);
    }
}

/// The plain copy comes first.
fn memory_bound(gpu: &Gpu, rows: usize) -> Vec<Op<'_>> {
    let run = gpu.runner();
    let up = move |seed| gpu.upload(some(seed, rows, D).view());
    let line = |x: f64| gpu.upload(ArrayD::from_elem(&[D][..], x).view());
    let mut ops: Vec<Op> = vec![];

    let (from, to) = (run.take(rows * D), run.take(rows * D));
    run.fill(&from, 1.);
    let copy = move || run.copy(&from, &to);
    ops.push(("copy", 2., Box::new(copy)));

    let (x, gamma, beta) = (up(1), line(1.), line(0.));
    let forward = move || drop(gpu.layer_norm(&x, &gamma, &beta, 1e-5));
    ops.push(("layer_norm", 2., Box::new(forward)));

    let (x, dy, gamma, beta) = (up(1), up(2), line(1.), line(0.));
    let (_, stats) = gpu.layer_norm(&x, &gamma, &beta, 1e-5);
    let (mut dgamma, mut dbeta) = (line(0.), line(0.));
    let vjp = move || {
        let (dg, db) = (&mut dgamma, &mut dbeta);
        gpu.layer_norm_vjp(&x, &gamma, &stats, &dy, dg, db);
    };
    ops.push(("layer_norm_vjp", 3., Box::new(vjp)));

    let labels: Vec<usize> = (0..rows).map(|i| 7 * i % D).collect();
    let labels = gpu.upload_ids(&labels);
    let mut logits = Some(up(1)); // in place, so what comes out goes in again
    let loss = move || {
        let x = logits.take().expect("put back below");
        let (_, p) = gpu.softmax_ce(x, &labels, 0.);
        logits = Some(gpu.softmax_ce_vjp(p, &labels, 0., 1.));
    };
    ops.push(("softmax_ce and its VJP", 4., Box::new(loss)));

    let x = up(1);
    let forward = move || drop(gpu.gelu(&x));
    ops.push(("gelu", 2., Box::new(forward)));

    let x = up(1);
    let mut cotangent = Some(up(2));
    let vjp = move || {
        let dy = cotangent.take().expect("put back below");
        cotangent = Some(gpu.gelu_vjp(&x, dy));
    };
    ops.push(("gelu_vjp", 3., Box::new(vjp)));

    let (mut w, dw) = (up(1), up(2));
    let (mut m, mut v) = (gpu.zeros(&[rows, D]), gpu.zeros(&[rows, D]));
    let factor = gpu.upload(ndarray::arr1(&[1.]).view().into_dyn());
    let mut set = AdamW {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        decay: 0.1,
        step: 0,
    };
    let step = move || {
        set.step += 1;
        gpu.adamw(&mut w, &dw, &mut m, &mut v, &factor, set);
    };
    ops.push(("adamw", 7., Box::new(step)));
    ops
}

// -------------------------------------------------------------- crossover

fn crossover(s: &Settings, gpu: &Gpu) {
    if !s.asks_for("crossover") {
        return;
    }
    let columns = ["op", "size", "CPU", "GPU", "GPU with transfers"];
    s.report.head(&columns);
    let cpu = Cpu::new();
    for (name, sizes) in [
        ("x·w + b, n×n", [32, 128, 512, 1024, 2048, 4096]),
        ("gelu, n×1024", [1, 16, 256, 1024, 4096, 16384]),
        ("softmax_ce, n×1024", [1, 16, 256, 1024, 4096, 16384]),
    ] {
        let mut wins = [None; 2];
        for n in sizes.into_iter().filter(|n| *n <= s.largest) {
            let there = both(s, &cpu, name, n, || {});
            let away = both(s, gpu, name, n, settled(gpu.runner()));
            let times = [there[0], away[0], away[1]];
            for (win, time) in wins.iter_mut().zip(&times[1..]) {
                if let (Some(here), Some(time)) = (times[0], time)
                    && *time < here
                {
                    win.get_or_insert(n);
                }
            }
            let shown = |t: Option<f64>| match t {
                None => "too slow here".into(),
                Some(t) if t < 1e-3 => format!("{:.3} µs", t * 1e6),
                Some(t) => format!("{:.3} ms", t * 1e3),
            };
            let mut cells = vec![name.to_owned(), n.to_string()];
            cells.extend(times.map(shown));
            let numbers = json!({
                "op": name,
                "n": n,
                "cpu_s": times[0],
                "gpu_s": times[1],
                "gpu_with_transfers_s": times[2],
            });
            s.report.row(&cells, &numbers);
        }
        let from = |win: Option<usize>| {
            win.map_or("at no size here".into(), |n| format!("from n = {n}"))
        };
        s.report.say(&format!(
            "\n{name}: the GPU is faster {}, with transfers {}.\n",
            from(wins[0]),
            from(wins[1]),
        ));
    }
}

/// Seconds of an op whose inputs are there, and with inputs that come from the
/// host and results that go back to it.
fn both<D: Device>(
    s: &Settings,
    dev: &D,
    name: &str,
    n: usize,
    settle: impl Fn() + Copy,
) -> [Option<f64>; 2] {
    let linear = name.starts_with("x·w");
    let columns = if linear { n } else { 1024 };
    let x = some(1, n, columns);
    let w = if linear { some(2, n, n) } else { some(2, 1, 1) };
    let ids: Vec<usize> = (0..n).map(|i| 7 * i % 1024).collect();
    let labels = dev.upload_ids(&ids);
    let b = dev.zeros(&[columns]);
    let (x_there, w_there) = (dev.upload(x.view()), dev.upload(w.view()));
    let mut logits = Some(dev.upload(x.view()));
    let there = || {
        if linear {
            dev.linear(&x_there, &w_there, &b);
        } else if name.starts_with("gelu") {
            dev.gelu(&x_there);
        } else {
            let x = logits.take().expect("put back below");
            logits = Some(dev.softmax_ce(x, &labels, 0.).1);
        }
    };
    let there = seconds(s, there, settle);
    let mut y = vec![0.; x.len()];
    let with_transfers = || {
        let x = dev.upload(x.view());
        if linear {
            let w = dev.upload(w.view());
            dev.read_into(&dev.linear(&x, &w, &b), &mut y);
        } else if name.starts_with("gelu") {
            dev.read_into(&dev.gelu(&x), &mut y);
        } else {
            let (loss, p) = dev.softmax_ce(x, &labels, 0.);
            dev.prefetch(&loss);
            dev.read_into(&p, &mut y);
            dev.read_into(&loss, &mut y[..1]);
        }
    };
    let with_transfers = seconds(s, with_transfers, settle);
    [there, with_transfers].map(|t| t.map(|t| t[0]))
}
