//! `cargo train digits`: a multilayer perceptron that reads handwriting.

use crate::folder::{Folder, GoOn};
use crate::progress::{Progress, say};
use crate::{Error, On, Out, Tuning};
use backprop::device::{Device, Params};
use backprop::discrete::straight_through::model::BITS;
use backprop::network::mlp::model::Activation;
use backprop::training::classifier::{Epoch, Event, Run, Settings, Trainer};
use backprop::training::data::{self, DIGITS, Dataset, Scaler, split};
use backprop::training::files::{load_weights, read_checkpoint, save_weights};
use backprop::training::metrics::Evaluation;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use figures::kit::{Axis, Chart, HeatMap, Images, Paint};
use serde_json::json;
use std::ops::ControlFlow::{Break, Continue};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Options of `cargo train digits`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Unless told: --hidden 128 --epochs 40 --batch 32 \
                        --lr 0.05 --momentum 0.9 --decay 0 --noise 0.5")]
pub struct Digits {
    #[command(flatten)]
    tuning: Tuning,
    /// Widths of the hidden layers, like 128 or 64,32.
    #[arg(long, value_delimiter = ',', value_parser = crate::at_least_one)]
    hidden: Option<Vec<usize>>,
    /// Standard deviation of the noise on the inputs, which go from -1 to 1.
    #[arg(long, allow_negative_numbers = true)]
    noise: Option<f64>,
    /// Use tanh instead of ReLU.
    #[arg(long)]
    tanh: bool,
    /// Compute with weights of so many bits, 1 to 16; they learn, and are
    /// written, with all.
    #[arg(long, value_name = "N", value_parser = bits())]
    bits: Option<u32>,
    /// At the end, say how well the weights read when they are rounded to so
    /// many bits afterwards: 2, or 8,4,2,1. Also with --resume.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        value_parser = bits()
    )]
    round: Vec<u32>,
    /// Other images: 64 pixels from 0 to 16, then the digit, on each line.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Start from these weights (safetensors) instead of random ones.
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    /// Go on with an interrupted run; its settings are those of the folder,
    /// but for --lr if it is given.
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "seed", "epochs", "momentum", "decay", "batch", "constant_lr",
        "hidden", "noise", "tanh", "bits", "load", "out", "force",
    ])]
    resume: Option<PathBuf>,
    /// Break off after this step, as Ctrl-C would: for tests.
    #[arg(long, hide = true, value_name = "N")]
    stop_after_step: Option<u64>,
}

/// As many bits as a weight can have.
fn bits() -> RangedU64ValueParser<u32> {
    let (least, most) = (*BITS.start(), *BITS.end());
    RangedU64ValueParser::new().range(u64::from(least)..=u64::from(most))
}

const TASK: &str = "digits";
const TEST_SHARE: f64 = 0.2;
/// A checkpoint is saved at the end of an epoch, but no more often than this.
const SAVE_EVERY: Duration = Duration::from_secs(2);

fn defaults() -> Settings {
    Settings {
        hidden: vec![128],
        activation: Activation::Relu,
        epochs: 40,
        batch: 32,
        lr: 0.05,
        noise: 0.5,
        ..Settings::default()
    }
}

/// All images, pixels from -1 (white) to 1 (ink).
fn images(options: &Digits) -> Result<Dataset, Error> {
    let mut all = match &options.data {
        Some(file) => data::read_csv(file, DIGITS)?,
        None => data::digits(),
    };
    Scaler::by(DIGITS.max / 2., DIGITS.features).apply(&mut all);
    all.x -= 1.;
    Ok(all)
}

/// Trains, or goes on training.
pub fn digits<D: Device>(options: &Digits, on: &On<D>) -> Result<(), Error> {
    let clock = Instant::now();
    let all = images(options)?;
    let dev = on.dev;
    let (resumed, mut trainer) = match &options.resume {
        Some(dir) => {
            let folder = Folder::open(dir)?;
            let checkpoint = read_checkpoint(&folder.checkpoint(), TASK)?;
            let mismatch = |what: String| {
                let dir = dir.clone();
                Err(Error::Mismatch { dir, what })
            };
            if !checkpoint.is_on(all.fingerprint()) {
                return mismatch(
                    "this run was trained on other data. Give the same file \
                     with --data FILE."
                        .into(),
                );
            }
            let run: &Run = &checkpoint.run;
            if run.ends != [DIGITS.features, DIGITS.classes] {
                let [inputs, classes] = run.ends;
                return mismatch(format!(
                    "a model from {inputs} numbers to {classes} classes does \
                     not read digits. Resume another run, or start afresh."
                ));
            }
            let dir = folder.checkpoint();
            let mut trainer = Trainer::restore(dev, &dir, &checkpoint)?;
            let s = &mut trainer.settings;
            s.lr = options.tuning.lr.unwrap_or(s.lr);
            s.check()?;
            (Some(folder), trainer)
        }
        None => {
            let mut settings = options.tuning.over(defaults());
            if let Some(hidden) = &options.hidden {
                settings.hidden = hidden.clone();
            }
            settings.noise = options.noise.unwrap_or(settings.noise);
            if options.tanh {
                settings.activation = Activation::Tanh;
            }
            settings.bits = options.bits;
            let (inputs, classes) = (DIGITS.features, DIGITS.classes);
            let mut trainer = Trainer::new(dev, settings, inputs, classes)?;
            if let Some(file) = &options.load {
                load_weights(file, dev, &mut trainer.model)?;
            }
            (None, trainer)
        }
    };
    let seed = trainer.settings.seed;
    let (train, test) = split(&all, TEST_SHARE, seed)?;
    // Nothing is written before all input is known to be good.
    let default = format!("{TASK}-seed{seed}");
    let folder = Folder::of(resumed, &options.out, default, None)?;
    let save =
        |t: &Trainer<D>| t.save(&folder.checkpoint(), TASK, all.fingerprint());
    if options.resume.is_none() {
        save(&trainer)?; // shows at once whether the folder can be written
    }

    let go_on = GoOn::new(TASK, &folder).with("--device", on.option());
    let go_on = go_on.with_path("--data", options.data.as_ref());
    let round = options.round.iter().map(u32::to_string).collect::<Vec<_>>();
    let round = Some(round.join(",")).filter(|round| !round.is_empty());
    let go_on = go_on.with("--round", round);
    let total = trainer.steps(&train);
    let (done, epochs) = (trainer.state.reports.len(), trainer.settings.epochs);
    let (mut saved, mut saved_at) = (trainer.state.step, Instant::now());
    let mut progress = Progress::new(saved, total, done as u64, epochs);
    let end = trainer.learn(&train, &test, |t, event| {
        progress.show(event);
        let step = t.state.step;
        if matches!(event, Event::Report(_)) && saved_at.elapsed() > SAVE_EVERY
        {
            save(t)?;
            (saved, saved_at) = (step, Instant::now());
        }
        let last = options.stop_after_step.is_some_and(|n| step >= n);
        Ok(if last || on.stop.load(Relaxed) {
            Break(())
        } else {
            Continue(())
        })
    });
    progress.clear();
    let end = end.and_then(|end| save(&trainer).map(|()| end));
    let end = end.map_err(|e| folder.ended_by(e, saved, &go_on))?;
    if end.is_break() {
        go_on.say_stopped(trainer.state.step, total);
        return Ok(());
    }
    let seconds = clock.elapsed().as_secs_f64();
    report(&folder, on, &trainer, options, &train, &test, seconds)
}

/// Writes weights, pictures and metrics, and says how it went.
fn report<D: Device>(
    folder: &Folder,
    on: &On<D>,
    trainer: &Trainer<D>,
    options: &Digits,
    train: &Dataset,
    test: &Dataset,
    seconds: f64,
) -> Result<(), Error> {
    let (dev, settings) = (on.dev, &trainer.settings);
    let eval = trainer.evaluate(test)?;
    let wrong: Vec<usize> = (0..test.len())
        .filter(|i| eval.predictions[*i] != test.labels[*i])
        .collect();
    save_weights(&folder.file("weights.safetensors"), dev, &trainer.model)?;
    draw(folder, trainer, test, &eval, &wrong)?;
    let sizes = trainer.model.mlp.sizes(dev);
    let shapes = trainer.model.tensors().map(|t| dev.shape(t));
    let parameters: usize = shapes.map(|s| s.iter().product::<usize>()).sum();
    let source = options.data.as_deref().map_or_else(
        || "UCI Optical Recognition of Handwritten Digits, CC BY 4.0".into(),
        |file| file.display().to_string(),
    );
    let confusion: Vec<Vec<usize>> = eval
        .confusion
        .rows()
        .into_iter()
        .map(|r| r.to_vec())
        .collect();
    let misread: Vec<_> = wrong
        .iter()
        .map(|&i| {
            let read = eval.predictions[i];
            json!({
                "label": test.labels[i],
                "read_as": read,
                "probability": eval.probabilities[[i, read]],
                "pixels": pixels(test, i),
            })
        })
        .collect();
    let rounded = options.round.iter().map(|bits| {
        let eval = trainer.evaluate_rounded(test, *bits)?;
        Ok((*bits, eval))
    });
    let rounded = rounded.collect::<Result<Vec<_>, Error>>()?;
    folder.finish(&json!({
        "task": TASK,
        "device": on.name,
        "data": {
            "source": source,
            "split": format!(
                "stratified by digit, {TEST_SHARE} for testing, by seed"
            ),
            "train": train.len(),
            "test": test.len(),
        },
        "model": { "sizes": sizes, "parameters": parameters },
        "settings": settings,
        "epochs": trainer.state.reports,
        "test": {
            "loss": eval.loss,
            "accuracy": eval.accuracy,
            "confusion": confusion,
            "misread": misread,
            "rounded": rounded.iter().map(of_rounded).collect::<Vec<_>>(),
        },
        "seconds": seconds,
    }))?;
    let with = settings.bits.map(|bits| format!(" with {}", weights(bits)));
    say(format_args!(
        "{:.2} % of {} test images read rightly ({} wrong){}, {} epochs, \
         {seconds:.1} s",
        100. * eval.accuracy,
        test.len(),
        wrong.len(),
        with.unwrap_or_default(),
        trainer.state.reports.len(),
    ));
    for (bits, e) in &rounded {
        say(format_args!(
            "{:.2} % with {}, rounded afterwards",
            100. * e.accuracy,
            weights(*bits),
        ));
    }
    say(format_args!(
        "{}: metrics.json, weights.safetensors, learning-curve.svg, \
         confusion.svg, misread.svg",
        folder.path().display()
    ));
    Ok(())
}

/// How well weights read that were rounded afterwards.
fn of_rounded((bits, e): &(u32, Evaluation)) -> serde_json::Value {
    json!({ "bits": bits, "loss": e.loss, "accuracy": e.accuracy })
}

fn weights(bits: u32) -> String {
    format!("weights of {bits} bit{}", if bits == 1 { "" } else { "s" })
}

/// The counts of one image, 0 to 16, as they are in the file.
fn pixels(data: &Dataset, row: usize) -> Vec<f64> {
    let ink = |x: &f64| ((x + 1.) * DIGITS.max / 2.).round();
    data.x.row(row).iter().map(ink).collect()
}

fn draw<D: Device>(
    folder: &Folder,
    trainer: &Trainer<D>,
    test: &Dataset,
    eval: &Evaluation,
    wrong: &[usize],
) -> Result<(), Error> {
    let (n, percent) = (test.len(), 100. * eval.accuracy);
    let epochs = trainer.state.reports.iter().enumerate();
    let curve = |f: fn(&Epoch) -> f64| {
        let at = |(i, e)| [(i + 1) as f64, f(e)];
        epochs.clone().map(at).collect::<Vec<_>>()
    };
    let (on_train, on_test) = (curve(|e| e.train_loss), curve(|e| e.test_loss));
    let chart = Chart::new(Axis::linear("epoch"), Axis::log("loss in nats"))
        .line("test", &on_test)
        .line("training", &on_train);
    let title = "Learning curve";
    let text = format!(
        "Loss over {} epochs: on the training images it ends at {:.4}, on the \
         test images at {:.4}.",
        on_test.len(),
        on_train.last().map_or(f64::NAN, |p| p[1]),
        eval.loss,
    );
    folder.picture("learning-curve", title, &text, &chart.picture())?;

    let names: Vec<String> = (0..test.classes).map(|c| c.to_string()).collect();
    let counts: Vec<Vec<f64>> = eval
        .confusion
        .rows()
        .into_iter()
        .map(|r| r.iter().map(|c| *c as f64).collect())
        .collect();
    let map = HeatMap::new(&counts)
        .confusion()
        .rows("written", &names)
        .columns("read as", &names);
    let text = format!(
        "Which digit was read as which: {percent:.2} % of {n} test images lie \
         on the diagonal."
    );
    folder.picture("confusion", "Confusion matrix", &text, &map.picture())?;

    let mut grid = Images::new(6);
    for &i in wrong {
        let pixels = pixels(test, i);
        let rows: Vec<Vec<f64>> = pixels
            .chunks(8)
            .map(|r| r.iter().map(|p| p / DIGITS.max).collect())
            .collect();
        let (label, read) = (test.labels[i], eval.predictions[i]);
        let sure = 100. * eval.probabilities[[i, read]];
        let captions = [
            format!("{label}"),
            format!("read as {read}"),
            format!("with {sure:.0} %"),
        ];
        grid = grid.image(&rows, &captions);
    }
    let text =
        format!("The {} test images that were read wrongly.", wrong.len());
    let picture = match wrong {
        [] => nothing_wrong(),
        _ => grid.picture(),
    };
    folder.picture("misread", "Wrongly read digits", &text, &picture)
}

fn nothing_wrong() -> figures::kit::Picture {
    use figures::kit::{Picture, Type};
    let mut picture = Picture::new(360., 60.);
    let style = Type::new(figures::kit::TEXT).paint(Paint::Ink);
    picture.text([20., 30.], "Every test image was read rightly.", style);
    picture
}
