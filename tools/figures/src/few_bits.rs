//! The digits network at few bits, trained for them or rounded to them
//! afterwards: a stored run for `discrete/straight_through`, as a figure and a
//! table that the chapter lists.

use backprop::backends::Cpu;
use backprop::training::classifier::{Settings, Trainer, fit};
use backprop::training::data::{DIGITS, Dataset, Scaler, digits, split};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::kit::{self, Axis, Chart, Picture, Point};
use crate::{Data, Figure, Output, Text, Tolerance};

const STORED: &str =
    "book/src/generated/discrete/straight_through/few_bits.json";
const SEEDS: u64 = 10;
const BITS: [u32; 4] = [8, 4, 2, 1];

/// Wrongly read test images against the bits of a weight.
pub const FIGURE: Figure = Figure {
    name: "few_bits",
    title: "Digits read at few bits",
    description: "The share of test images that are read wrongly, on a \
                  logarithmic axis, against the bits of a weight, 8 to 1: the \
                  mean of ten seeds. Rounded afterwards, the errors rise more \
                  than tenfold towards one bit; trained with the rounding \
                  they do not double.",
    knobs: &[],
    data: Data::Stored(run),
    read_out: None,
    draw,
    tolerance: Tolerance::EXACT,
};

/// Mean and spread over the seeds.
pub const TABLE: Output = Output {
    name: "few_bits",
    extension: "txt",
    text: Text::Stored(STORED, table),
    tolerance: Tolerance::EXACT,
};

/// The settings and the images of `cargo train digits --seed SEED`.
fn settings(seed: u64, bits: Option<u32>) -> Settings {
    Settings {
        epochs: 40,
        lr: 0.05,
        noise: 0.5,
        seed,
        bits,
        ..Settings::default()
    }
}

fn images(seed: u64) -> (Dataset, Dataset) {
    let mut all = digits();
    Scaler::by(DIGITS.max / 2., DIGITS.features).apply(&mut all);
    all.x -= 1.;
    split(&all, 0.2, seed).expect("a fifth of 1,797 images")
}

/// The number of test images that are read wrongly, for every seed.
fn run() -> Value {
    let dev = Cpu::new();
    let (mut whole, mut test_images) = (Vec::new(), 0);
    let (mut after, mut with) =
        ([(); 4].map(|()| vec![]), [(); 4].map(|()| vec![]));
    for seed in 0..SEEDS {
        let (train, test) = images(seed);
        test_images = test.len();
        let learn = |bits| {
            let trained = fit(&dev, settings(seed, bits), &train, &test);
            trained.expect("the run does not diverge")
        };
        let wrong = |accuracy: f64| {
            ((1. - accuracy) * test.len() as f64).round() as usize
        };
        let rounded = |t: &Trainer<Cpu>, bits| {
            let found = t.evaluate_rounded(&test, bits);
            wrong(found.expect("a finite loss").accuracy)
        };
        let full = learn(None);
        let last = full.state.reports.last().expect("forty epochs");
        whole.push(wrong(last.test_accuracy));
        for (i, bits) in BITS.into_iter().enumerate() {
            after[i].push(rounded(&full, bits));
            with[i].push(rounded(&learn(Some(bits)), bits));
        }
    }
    let rows = BITS.iter().zip(after).zip(with);
    let rows = rows.map(|((bits, after), with)| {
        json!({ "bits": bits, "after": after, "with": with })
    });
    json!({
        "images": test_images,
        "whole": whole,
        "rows": rows.collect::<Vec<_>>(),
    })
}

/// Shares in percent of what was counted.
fn shares(run: &Value, counts: &Value, at: &str) -> Vec<f64> {
    let images: f64 = kit::get(run, "/images");
    let counts: Vec<f64> = kit::get(counts, at);
    counts.iter().map(|wrong| 100. * wrong / images).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Standard deviation over the seeds.
fn spread(x: &[f64]) -> f64 {
    let middle = mean(x);
    let off: Vec<f64> = x.iter().map(|x| (x - middle).powi(2)).collect();
    (off.iter().sum::<f64>() / (x.len() - 1) as f64).sqrt()
}

fn table(run: &Value) -> String {
    let cell = |counts: &Value, at: &str| {
        let wrong = shares(run, counts, at);
        let right: Vec<f64> = wrong.iter().map(|w| 100. - w).collect();
        let least = right.iter().copied().fold(f64::INFINITY, f64::min);
        let (mean, spread) = (mean(&right), spread(&right));
        format!("{mean:5.2} ± {spread:.2} ({least:5.2})")
    };
    let mut text =
        String::from("bits   rounded afterwards     trained with them\n");
    let _ = writeln!(text, "  32   {}   as trained", cell(run, "/whole"));
    for row in kit::get::<Vec<Value>>(run, "/rows") {
        let bits: u32 = kit::get(&row, "/bits");
        let (after, with) = (cell(&row, "/after"), cell(&row, "/with"));
        let _ = writeln!(text, "{bits:4}   {after}   {with}");
    }
    text += "\nTest images right in percent: mean over ten seeds ± standard\n\
             deviation (least).\n";
    text
}

fn draw(run: &Value) -> Picture {
    let rows: Vec<Value> = kit::get(run, "/rows");
    let means = |at: &str| -> Vec<Point> {
        let wrong = |row| mean(&shares(run, row, at));
        let point = |row| [kit::get(row, "/bits"), wrong(row)];
        rows.iter().map(point).collect()
    };
    Chart::new(
        Axis::linear("bits of a weight").range(0.5, 8.5),
        Axis::log("test images read wrongly, in percent").range(1., 50.),
    )
    .marked_line("rounded afterwards", &means("/after"))
    .label_at(2)
    .marked_line("trained", &means("/with"))
    .label_at(3)
    .rule(mean(&shares(run, run, "/whole")), "all bits")
    .picture()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_counts() {
        let row = json!({ "bits": 2, "after": [40, 80], "with": [10, 30] });
        let run = json!({ "images": 400, "whole": [4, 4], "rows": [row] });
        let text = table(&run);
        assert!(
            text.contains("  32 ") && text.contains("99.00 ± 0.00 (99.00)")
        );
        let two = "   2   85.00 ± 7.07 (80.00)   95.00 ± 3.54 (92.50)\n";
        assert!(text.contains(two), "{text}");
    }
}
