//! `cargo train spirals`: where nets of several widths draw the line.

use crate::device::alive;
use crate::folder::Folder;
use crate::progress::{Progress, say};
use crate::{Error, On, Out, Tuning};
use backprop::device::Device;
use backprop::network::mlp::model::Activation;
use backprop::training::boundary::decision_grid;
use backprop::training::classifier::{Settings, Trainer};
use backprop::training::data::{Dataset, circles, spirals, split};
use backprop::training::files::save_weights;
use clap::{Args, ValueEnum};
use figures::kit::Fields;
use serde_json::json;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Options of `cargo train spirals`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Unless told: --epochs 200 --batch 32 --lr 0.1 \
                        --momentum 0.9 --decay 0")]
pub struct Planes {
    /// What to tell apart.
    #[arg(long, value_enum, default_value = "spirals")]
    data: Shape,
    /// Widths of the nets; 2,4,8,32 for spirals, 1,2,3,8 for circles.
    #[arg(long, value_delimiter = ',', value_parser = crate::at_least_one)]
    widths: Option<Vec<usize>>,
    /// Hidden layers of each net; 2 for spirals, 1 for circles.
    #[arg(long, value_parser = crate::at_least_one)]
    layers: Option<usize>,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    out: Out,
}

/// Points in the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Two spirals of 1.5 turns.
    Spirals,
    /// A disc in a ring.
    Circles,
}

const PER_CLASS: usize = 300;
const REACH: f64 = 1.1;
const CELLS: usize = 60;

fn defaults() -> Settings {
    Settings {
        activation: Activation::Tanh,
        epochs: 200,
        batch: 32,
        lr: 0.1,
        ..Settings::default()
    }
}

/// Trains one net for each width.
pub fn planes<D: Device>(options: &Planes, on: &On<D>) -> Result<(), Error> {
    let clock = Instant::now();
    let settings = options.tuning.over(defaults());
    settings.check()?;
    let seed = settings.seed;
    let (name, all, widths, layers) = match options.data {
        Shape::Spirals => {
            ("spirals", spirals(PER_CLASS, 0.02, seed), [2, 4, 8, 32], 2)
        }
        Shape::Circles => {
            ("circles", circles(PER_CLASS, 0.05, seed), [1, 2, 3, 8], 1)
        }
    };
    let widths = options.widths.as_deref().unwrap_or(&widths);
    let layers = options.layers.unwrap_or(layers);
    let (train, test) = split(&all, 0.25, seed)?;
    let default = format!("{name}-seed{seed}");
    let folder = Folder::of(None, &options.out, default, None)?;
    let dev = on.dev;
    let mut fields = Fields::new([-REACH, REACH], [-REACH, REACH]);
    let (mut nets, mut lines) = (Vec::new(), Vec::new());
    for &width in widths {
        let hidden = vec![width; layers];
        let settings = Settings {
            hidden,
            ..settings.clone()
        };
        let mut trainer = Trainer::new(dev, settings, 2, 2)?;
        let total = trainer.steps(&train);
        let mut progress = Progress::new(0, total, 0, trainer.settings.epochs);
        let end = trainer.learn(&train, &test, |_, event| {
            progress.show(event);
            let stop = on.stop.load(Relaxed);
            Ok(if stop { Break(()) } else { Continue(()) })
        });
        progress.clear();
        if end?.is_break() {
            say(format_args!(
                "Stopped; this run is short and saves nothing."
            ));
            return Ok(());
        }
        let file = format!("weights-width{width}.safetensors");
        save_weights(&folder.file(&file), dev, &trainer.model)?;
        let right = trainer.evaluate(&test)?.accuracy;
        let line = format!("width {width}: {:.1} % right", 100. * right);
        let logits = |x| trainer.model.logits(dev, x);
        let grid = decision_grid(dev, logits, REACH, CELLS);
        alive(dev)?;
        let class_1 = |row: usize| {
            (0..CELLS).map(|column| grid.p[[row, column, 1]]).collect()
        };
        let field: Vec<Vec<f64>> = (0..CELLS).map(class_1).collect();
        let (title, found) = line.split_once(": ").expect("made above");
        fields = fields.panel(title, found, &field, &points(&test));
        say(format_args!("{line}"));
        nets.push(json!({
            "width": width,
            "layers": layers,
            "weights": file,
            "test_accuracy": right,
            "epochs": trainer.state.reports,
        }));
        lines.push(line);
    }
    let title = format!("Decision boundaries on {name}");
    let text = format!("Of {} test points, {}.", test.len(), lines.join("; "));
    folder.picture("boundaries", &title, &text, &fields.picture())?;
    folder.finish(&json!({
        "task": name,
        "device": on.name,
        "data": { "train": train.len(), "test": test.len() },
        "settings": settings,
        "nets": nets,
        "seconds": clock.elapsed().as_secs_f64(),
    }))?;
    say(format_args!(
        "{}: metrics.json, boundaries.svg, weights",
        folder.path().display()
    ));
    Ok(())
}

fn points(data: &Dataset) -> Vec<([f64; 2], u8)> {
    let rows = data.x.rows().into_iter().zip(&data.labels);
    rows.map(|(x, label)| ([x[0], x[1]], *label as u8))
        .collect()
}
