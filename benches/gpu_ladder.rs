//! The matrix product on the GPU: the ladder from the formula to the engine,
//! and each of the engine's tiles.
//!
//!     cargo bench --features gpu --bench gpu_ladder -- ladder
//!     cargo bench --features gpu --bench gpu_ladder -- ladder 512 768x768x3072
//!     cargo bench --features gpu --bench gpu_ladder -- tiles
//!     cargo bench --features gpu --bench gpu_ladder -- tiles 384x16384x1536TN
//!     … -- ladder --json       a line of JSON for each row, for record_gpu.py
//!     … -- ladder --checked    with wgpu's checks of indices
//!     … -- ladder --seconds 0.2   for each figure; what needs longer is left out
//!
//! A size is m x k x n, or one number for a square; a layout after it, NN, NT,
//! TN or TT, says whether A and B are turned. *tiles* prints each tile of the
//! engine, with the inner index in one part and in several, and marks what the
//! table in `src/engine/gpu/gemm.rs` would take: measure on your GPU, and
//! change the table where another is faster.
//!
//! Each figure is the median of seven samples, after one that warms up. A
//! sample is as many repeats as fit, by the clock of the GPU where there is
//! one.

#[path = "report/mod.rs"]
mod report;

use backprop::engine::gpu::gemm::{Matrix, Plan, Product, TABLE};
use backprop::engine::gpu::{Options, Runner};
use backprop::speed::gpu::matmul::LADDER;
use report::Report;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SAMPLES: usize = 7;

/// m, k, n, and whether A and B are turned.
type Shape = ([usize; 3], [bool; 2]);

/// What is asked for on the command line.
struct Settings {
    table: String,
    shapes: Vec<Shape>,
    seconds: f64,
    checked: bool,
    report: Report,
}

fn main() {
    let mut s = settings();
    let options = Options {
        unchecked: !s.checked,
        profile: true,
        patience: Duration::from_secs(300),
        ..Options::default()
    };
    let run = Runner::start(options).unwrap_or_else(|e| panic!("{e}"));
    s.report.about(run.capabilities());
    match s.table.as_str() {
        "tiles" => {
            let default = "1024 4096 768x768x3072 768x3072x768NT \
                           384x16384x1536TN 128x768x384TN 1x768x3072";
            s.shapes_or(default);
            tiles(&s, &run);
        }
        _ => {
            s.shapes_or("512 1024 2048 4096");
            ladder(&s, &run);
        }
    }
}

fn settings() -> Settings {
    let mut s = Settings {
        table: "ladder".into(),
        shapes: vec![],
        seconds: 0.5,
        checked: false,
        report: Report { json: false },
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => {} // cargo says so
            "--json" => s.report.json = true,
            "--checked" => s.checked = true,
            "--seconds" => {
                let number = words.next().and_then(|n| n.parse().ok());
                s.seconds = number.expect("--seconds wants a number");
            }
            "ladder" | "tiles" => s.table = word,
            _ => s.shapes.push(shape(&word)),
        }
    }
    s
}

impl Settings {
    fn shapes_or(&mut self, default: &str) {
        if self.shapes.is_empty() {
            self.shapes = default.split_whitespace().map(shape).collect();
        }
    }
}

fn shape(word: &str) -> Shape {
    let unknown = || -> ! {
        panic!("what is {word}? See the head of benches/gpu_ladder.rs")
    };
    let (size, turned) = match word.find(['N', 'T']) {
        None => (word, [false, false]),
        Some(at) => match &word.as_bytes()[at..] {
            [a, b] => (&word[..at], [*a == b'T', *b == b'T']),
            _ => unknown(),
        },
    };
    let size: Vec<usize> =
        size.split('x').filter_map(|n| n.parse().ok()).collect();
    match size[..] {
        [n] => ([n; 3], turned),
        [m, k, n] => ([m, k, n], turned),
        _ => unknown(),
    }
}

fn name(([m, k, n], turned): Shape) -> String {
    let [a, b] = turned.map(|turned| if turned { 'T' } else { 'N' });
    format!("{m}x{k}x{n} {a}{b}")
}

/// Seconds of one `work`, median and least, and the repeats of a sample; or
/// `None` if it takes too long.
fn seconds(
    s: &Settings,
    run: &Runner,
    mut work: impl FnMut(),
) -> Option<([f64; 2], usize)> {
    let mut sample = |repeats: usize| {
        let start = Instant::now();
        (0..repeats).for_each(|_| work());
        if !run.finish() {
            panic!("{}", run.fault().expect("it says why"));
        }
        let host = start.elapsed();
        let time = match run.capabilities().has_timestamps {
            true => run.timings().iter().map(|t| t.time).sum(),
            false => host,
        };
        [time, host].map(|t: Duration| t.as_secs_f64() / repeats as f64)
    };
    sample(1); // compiles
    let [_, one] = sample(1);
    if one > 4. * s.seconds {
        return None;
    }
    let repeats = (s.seconds / SAMPLES as f64 / one).clamp(1., 1e4) as usize;
    let mut samples = [0.; SAMPLES].map(|_| sample(repeats)[0]);
    samples.sort_by(f64::total_cmp);
    Some(([samples[SAMPLES / 2], samples[0]], repeats))
}

/// Times one way to multiply, and shows it behind `cells` and `about`.
fn row(
    s: &Settings,
    run: &Runner,
    shape: Shape,
    mut cells: Vec<String>,
    mut about: Value,
    work: impl FnMut(),
) {
    let [m, k, n] = shape.0.map(|n| n as f64);
    cells.insert(0, name(shape));
    about["product"] = json!(name(shape));
    match seconds(s, run, work) {
        None => cells.extend(["too slow here".into(), String::new()]),
        Some(([median, least], repeats)) => {
            let gflops = 2e-9 * m * k * n / median;
            cells.push(format!("{:.4}", median * 1e3));
            cells.push(format!("{gflops:.4}"));
            about["median_s"] = json!(median);
            about["least_s"] = json!(least);
            about["gflops"] = json!(gflops);
            about["repeats"] = json!(repeats);
        }
    }
    s.report.row(&cells, &about);
}

fn ladder(s: &Settings, run: &Runner) {
    s.report.head(&["product", "rung", "ms", "GFLOP/s"]);
    for (size, _) in &s.shapes {
        let [m, k, n] = *size;
        let [a, b, c] = [m * k, k * n, m * n].map(|len| some(run, len));
        for (name, rung) in LADDER {
            row(
                s,
                run,
                (*size, [false; 2]),
                vec![name.into()],
                json!({ "rung": name }),
                || rung(run, *size, &a, &b, &c),
            );
        }
    }
}

fn tiles(s: &Settings, run: &Runner) {
    let columns = ["product", "tile", "parts", "of the table", "ms", "GFLOP/s"];
    s.report.head(&columns);
    for &(size, turned) in &s.shapes {
        let [m, k, n] = size;
        let [a, b, c] = [m * k, k * n, m * n].map(|len| some(run, len));
        let factor = |x, [rows, columns]: [usize; 2], turned| match turned {
            true => Matrix::new(x, rows).t(),
            false => Matrix::new(x, columns),
        };
        let product = Product::new(
            size,
            factor(&a, [m, k], turned[0]),
            factor(&b, [k, n], turned[1]),
            Matrix::new(&c, n),
        );
        let taken = product.plan();
        for choice in TABLE {
            let tile = choice.tile;
            let mut parts = vec![1, 2, 4, 8, 16];
            parts.retain(|p| *p == 1 || k / p >= 128);
            if tile == taken.tile && !parts.contains(&taken.parts) {
                parts.push(taken.parts);
            }
            for parts in parts {
                let plan = Plan { tile, parts };
                let is_taken = plan == taken;
                let [rows_of, columns] = tile.size();
                let name = format!("{rows_of}x{columns}");
                row(
                    s,
                    run,
                    (size, turned),
                    vec![
                        name.clone(),
                        parts.to_string(),
                        if is_taken { "yes" } else { "" }.into(),
                    ],
                    json!({
                        "tile": name,
                        "parts": parts,
                        "of_the_table": is_taken,
                    }),
                    || product.run_as(run, plan),
                );
            }
        }
    }
}

fn some(run: &Runner, len: usize) -> backprop::engine::gpu::Array {
    let array = run.take(len);
    run.fill(&array, 0.5);
    array
}
