//! The training loop on real data: the same bits after an interruption and at
//! any thread count, the accuracy it is for, and what it does when a run
//! diverges or a file is damaged.

use backprop::backends::{Cpu, Textbook};
use backprop::device::{Device, Model, ParamName, Params};
use backprop::network::mlp::model::{Activation, Mlp};
use backprop::training::classifier::{Event, Settings, Trainer};
use backprop::training::data::{
    Dataset, Scaler, Shuffled, circles, digits, split,
};
use backprop::training::files::*;
use backprop::training::schedule::Schedule;
use backprop::training::trainer::{self, Optimizer, Plan, State};
use backprop::training::{Error, boundary::decision_grid};
use ndarray::ArrayD;
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::{Path, PathBuf};

/// An empty folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn digits_split(seed: u64) -> (Dataset, Dataset) {
    let mut data = digits();
    Scaler::by(16., 64).apply(&mut data);
    split(&data, 0.2, seed).unwrap()
}

fn settings(epochs: u64) -> Settings {
    Settings {
        epochs,
        noise: 0.1,
        lr: 0.1,
        ..Settings::default()
    }
}

/// Every bit that a run ends with: weights, velocity and figures.
fn bits(t: &Trainer<Cpu>) -> (Vec<ArrayD<f64>>, String) {
    let tensors = t.model.tensors().chain(t.memory.iter().flatten());
    let tensors = tensors.map(|x| t.device().read(x)).collect();
    (tensors, serde_json::to_string(&t.state).unwrap())
}

fn go_on(_: &Trainer<Cpu>, _: Event) -> Result<ControlFlow<()>, Error> {
    Ok(Continue(()))
}

fn straight(
    epochs: u64,
    train: &Dataset,
    test: &Dataset,
) -> Trainer<'static, Cpu> {
    let dev = Box::leak(Box::new(Cpu::new()));
    let mut t = Trainer::new(dev, settings(epochs), 64, 10).unwrap();
    assert!(t.learn(train, test, go_on).unwrap().is_continue());
    t
}

#[test]
fn reads_handwritten_digits() {
    let (train, test) = digits_split(0);
    let t = straight(12, &train, &test);
    let last = t.state.reports.last().unwrap();
    assert_eq!((t.state.reports.len(), last.step), (12, 12 * 45));
    assert!(last.test_accuracy > 0.96, "{last:?}");
    assert!(last.test_loss < 0.15, "{last:?}");
    assert!(last.train_accuracy > 0.98, "{last:?}");
}

#[test]
fn the_first_losses_are_those_on_record() {
    let (train, test) = digits_split(0);
    let dev = Cpu::new();
    let s = Settings {
        noise: 0.,
        ..settings(1)
    };
    let mut t = Trainer::new(&dev, s, 64, 10).unwrap();
    let mut losses = Vec::new();
    let _ = t
        .learn(&train, &test, |_, event| {
            if let Event::Step { loss, .. } = event {
                losses.push(loss);
            }
            Ok(if losses.len() < 5 {
                Continue(())
            } else {
                Break(())
            })
        })
        .unwrap();
    let want = [2.295555, 2.381576, 2.338263, 2.058532, 2.006329];
    for (got, want) in losses.iter().zip(want) {
        assert!((got - want).abs() < 1e-4, "{losses:?}");
    }
    assert_eq!(losses.len(), 5);
}

/// Broken off in the middle of an epoch, at its last step, and after its
/// figures; saved, restored into a new trainer, and run to the end.
#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let (train, test) = digits_split(1);
    let want = bits(&straight(3, &train, &test));
    for (i, stop) in [1, 44, 45, 46, 70, 137, 138].into_iter().enumerate() {
        let dir = folder(&format!("resume-{i}"));
        let dev = Cpu::new();
        let mut first = Trainer::new(&dev, settings(3), 64, 10).unwrap();
        let mut events = 0;
        let end = first.learn(&train, &test, |_, _| {
            events += 1;
            Ok(if events == stop {
                Break(())
            } else {
                Continue(())
            })
        });
        assert!(end.unwrap().is_break());
        first.save(&dir, "digits", train.fingerprint()).unwrap();
        drop(first);
        let checkpoint = read_checkpoint(&dir, "digits").unwrap();
        let dev = Cpu::new();
        let mut second = Trainer::restore(&dev, &dir, &checkpoint).unwrap();
        assert!(second.learn(&train, &test, go_on).unwrap().is_continue());
        assert!(bits(&second) == want, "broken off after {stop} events");
    }
}

/// Large enough for products, row loops and sums to be shared out.
#[cfg(feature = "parallel")]
#[test]
fn the_same_bits_at_any_thread_count() {
    let (train, test) = digits_split(2);
    let on_threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap().install(|| {
            let dev = Cpu::new();
            let s = Settings {
                hidden: vec![300, 200],
                batch: 400,
                activation: Activation::Tanh,
                ..settings(2)
            };
            let mut t = Trainer::new(&dev, s, 64, 10).unwrap();
            assert!(t.learn(&train, &test, go_on).unwrap().is_continue());
            bits(&t)
        })
    };
    let want = on_threads(1);
    assert!(on_threads(2) == want);
    assert!(on_threads(5) == want);
}

#[test]
fn a_different_seed_is_a_different_run() {
    let (train, test) = digits_split(1);
    let losses = [1, 2].map(|seed| {
        let dev = Cpu::new();
        let s = Settings {
            seed,
            ..settings(1)
        };
        let mut t = Trainer::new(&dev, s, 64, 10).unwrap();
        assert!(t.learn(&train, &test, go_on).unwrap().is_continue());
        t.state.reports[0].running_loss
    });
    assert_ne!(losses[0], losses[1]);
}

#[test]
fn a_diverging_run_stops_before_the_step() {
    let (train, test) = digits_split(0);
    let dev = Cpu::new();
    let s = Settings {
        lr: 1e25,
        ..settings(2)
    };
    let mut t = Trainer::new(&dev, s, 64, 10).unwrap();
    let Err(Error::NonFinite {
        step,
        what: "loss",
        value,
        tensor,
    }) = t.learn(&train, &test, go_on)
    else {
        panic!("a learning rate of 10²⁵ must diverge");
    };
    assert_eq!(step, t.state.step + 1);
    assert!(!value.is_finite());
    assert_eq!(tensor, "y [32, 10] of linear with layers.1.weight");
    // No checkpoint is made of what is not a number.
    let dir = folder("diverged");
    let bad = ArrayD::from_elem(vec![10], f64::NAN);
    dev.write(&mut t.model.mlp.layers[1].b, bad.view());
    let e = t.save(&dir, "digits", 0).unwrap_err().to_string();
    assert!(e.contains("layers.1.bias"), "{e}");
    assert!(std::fs::read_dir(&dir).unwrap().next().is_none());
}

#[test]
fn a_number_that_is_none_in_the_data_is_named() {
    let (mut train, test) = digits_split(0);
    train.x[[700, 5]] = f64::INFINITY;
    let dev = Cpu::new();
    let mut t = Trainer::new(&dev, settings(1), 64, 10).unwrap();
    let e = t.learn(&train, &test, go_on).unwrap_err().to_string();
    assert!(e.contains("the batch of data"), "{e}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let ok = Settings::default;
    for (s, what) in [
        (Settings { batch: 0, ..ok() }, "batch: 0 is not at least 1"),
        (
            Settings {
                hidden: vec![3, 0],
                ..ok()
            },
            "hidden",
        ),
        (
            Settings {
                lr: f64::NAN,
                ..ok()
            },
            "learning rate: NaN",
        ),
        (
            Settings {
                momentum: 1.,
                ..ok()
            },
            "momentum: 1 is not in [0, 1)",
        ),
        (Settings { decay: -1., ..ok() }, "weight decay"),
        (
            Settings {
                smoothing: 1.,
                ..ok()
            },
            "label smoothing",
        ),
        (
            Settings {
                noise: f64::INFINITY,
                ..ok()
            },
            "noise",
        ),
        (
            Settings {
                schedule: Schedule::Step {
                    steps: 0,
                    factor: 1.,
                },
                ..ok()
            },
            "schedule steps",
        ),
    ] {
        let e = s.check().unwrap_err().to_string();
        assert!(e.starts_with(what), "{e}");
    }
    assert!(ok().check().is_ok());
}

/// A small trained model with its files.
fn saved(name: &str) -> PathBuf {
    let dir = folder(name);
    let data = circles(20, 0.05, 1);
    let dev = Cpu::new();
    let s = Settings {
        hidden: vec![3],
        epochs: 1,
        ..Settings::default()
    };
    let mut t = Trainer::new(&dev, s, 2, 2).unwrap();
    assert!(t.learn(&data, &data, go_on).unwrap().is_continue());
    t.save(&dir, "circles", data.fingerprint()).unwrap();
    save_weights(&dir.join("weights.safetensors"), &dev, &t.model).unwrap();
    dir
}

#[test]
fn weights_lie_on_disk_as_pytorch_has_them() {
    let dir = saved("layout");
    let path = dir.join("weights.safetensors");
    let tensors = read_tensors(&path).unwrap();
    let shapes: Vec<_> = tensors
        .iter()
        .map(|(n, a)| (n.as_str(), a.shape().to_vec()))
        .collect();
    assert_eq!(
        shapes,
        [
            ("layers.0.bias", vec![3]),
            ("layers.0.weight", vec![3, 2]),
            ("layers.1.bias", vec![2]),
            ("layers.1.weight", vec![2, 3]),
        ]
    );
    let dev = Cpu::new();
    let mut model = Mlp::new(&dev, &[2, 3, 2], Activation::Relu, 9);
    load_weights(&path, &dev, &mut model).unwrap();
    let w = dev.read(&model.layers[0].w);
    assert_eq!(w.t(), tensors["layers.0.weight"]);
    // What is written again is the same file.
    let again = dir.join("again.safetensors");
    save_weights(&again, &dev, &model).unwrap();
    let read = |p: &Path| std::fs::read(p).unwrap();
    assert!(read(&again) == read(&path));
    // Nothing is left aside.
    let left = std::fs::read_dir(&dir).unwrap().flatten();
    assert!(
        left.map(|e| e.path())
            .all(|p| p.extension().unwrap() != "tmp")
    );
}

#[test]
fn a_foreign_file_changes_nothing() {
    let dir = saved("foreign");
    let path = dir.join("weights.safetensors");
    let dev = Cpu::new();
    for (sizes, what) in [
        (
            &[2, 4, 2][..],
            "tensor layers.0.weight has shape [3, 2], the model \
                          needs [4, 2]",
        ),
        (&[2, 3, 2, 2], "tensor layers.2.weight is missing"),
        (&[2, 3], "tensor layers.1.bias is not one of the model"),
    ] {
        let mut model = Mlp::new(&dev, sizes, Activation::Relu, 9);
        let read = |m: &Mlp<_>| -> Vec<_> {
            m.tensors().map(|t| dev.read(t)).collect()
        };
        let before = read(&model);
        let e = load_weights(&path, &dev, &mut model)
            .unwrap_err()
            .to_string();
        assert!(e.contains(what) && e.contains("another model"), "{e}");
        assert!(read(&model) == before, "half a file was loaded");
    }
    let mut model = Mlp::new(&dev, &[2, 3, 2], Activation::Relu, 9);
    let state = dir.join(STATE);
    for wrong in [state.as_path(), Path::new("no/such/file")] {
        assert!(load_weights(wrong, &dev, &mut model).is_err());
    }
}

#[test]
fn a_save_that_fails_keeps_the_old_file() {
    let dir = saved("blocked");
    let before = std::fs::read(dir.join(STATE)).unwrap();
    // A folder in the way of the tensors.
    std::fs::create_dir(dir.join("step-00000000.safetensors")).unwrap();
    let dev = Cpu::new();
    let t = Trainer::new(&dev, Settings::default(), 2, 2).unwrap();
    let e = t.save(&dir, "circles", 0).unwrap_err();
    assert!(matches!(e, Error::Write { .. }), "{e}");
    assert!(std::fs::read(dir.join(STATE)).unwrap() == before);
    let checkpoint = read_checkpoint(&dir, "circles").unwrap();
    assert!(
        Trainer::restore(&dev, &dir, &checkpoint).is_ok(),
        "the old one is whole"
    );
}

/// What a save was killed over goes, and the tensors of older checkpoints;
/// files of others stay.
#[test]
fn a_save_clears_what_is_its_own() {
    let dir = saved("clears");
    let own = [
        "step-00000001.safetensors",
        "step-00000099.safetensors.tmp",
        ".backprop-77-0.tmp",
    ];
    let others = ["step-by-step.safetensors", "step-1.safetensors", "a.tmp"];
    for name in own.iter().chain(&others) {
        std::fs::write(dir.join(name), "").unwrap();
    }
    let dev = Cpu::new();
    let t = Trainer::new(&dev, Settings::default(), 2, 2).unwrap();
    t.save(&dir, "circles", 0).unwrap();
    assert!(own.iter().all(|name| !dir.join(name).exists()));
    assert!(others.iter().all(|name| dir.join(name).exists()));
    assert!(dir.join("step-00000000.safetensors").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Mutated and cut files of weights are read or refused, and what is
    /// accepted is finite.
    #[test]
    fn mutated_weights(
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 0..5),
        cut in prop::option::of(any::<u16>()),
    ) {
        static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut bytes = FILE.get_or_init(|| {
            std::fs::read(saved("mutate").join("weights.safetensors")).unwrap()
        }).clone();
        let n = bytes.len();
        for (at, byte) in changes {
            bytes[at as usize % n] = byte;
        }
        bytes.truncate(cut.map_or(n, |c| c as usize % (n + 1)));
        if let Ok(tensors) = parse_tensors(Path::new("f"), &bytes) {
            let dev = Cpu::new();
            let mut model = Mlp::new(&dev, &[2, 3, 2], Activation::Relu, 9);
            let _ = load_tensors(Path::new("f"), tensors, &dev, &mut model);
            for t in model.tensors() {
                prop_assert!(dev.read(t).iter().all(|x| x.is_finite()));
            }
        }
    }

    /// The same for a checkpoint: the state, and a state that still parses but
    /// does not belong to its tensors.
    #[test]
    fn mutated_checkpoint(
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 0..4),
        digit in prop::option::of((any::<u16>(), b'0'..=b'9')),
        cut in prop::option::of(any::<u16>()),
    ) {
        static DIR: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
        let dir = DIR.get_or_init(|| saved("mutate-state"));
        let mut bytes = std::fs::read(dir.join(STATE)).unwrap();
        let n = bytes.len();
        for (at, byte) in changes {
            bytes[at as usize % n] = byte;
        }
        if let Some((at, digit)) = digit {
            let digits: Vec<usize> =
                (0..n).filter(|i| bytes[*i].is_ascii_digit()).collect();
            if !digits.is_empty() {
                bytes[digits[at as usize % digits.len()]] = digit;
            }
        }
        bytes.truncate(cut.map_or(n, |c| c as usize % (n + 1)));
        if let Ok(c) = parse_checkpoint(Path::new("f"), &bytes, "circles") {
            let _ = Trainer::restore(&Cpu::new(), dir, &c);
        }
    }
}

#[test]
fn circles_are_told_apart_and_drawn() {
    let (train, test) = split(&circles(200, 0.03, 4), 0.25, 4).unwrap();
    let dev = Cpu::new();
    let s = Settings {
        hidden: vec![16],
        epochs: 40,
        ..Settings::default()
    };
    let mut t = Trainer::new(&dev, s, 2, 2).unwrap();
    assert!(t.learn(&train, &test, go_on).unwrap().is_continue());
    assert!(t.state.reports.last().unwrap().test_accuracy > 0.97);
    let grid = decision_grid(&dev, |x| t.model.logits(&dev, x), 0.95, 19);
    for (i, x) in [(0, -0.9), (9, 0.), (18, 0.9)] {
        assert!((grid.axis[i] - x).abs() < 1e-12);
    }
    assert!(grid.p.iter().all(|p| (0. ..=1.).contains(p)));
    let class = grid.classes();
    assert_eq!(class[[9, 9]], 0, "the disc is in the middle");
    for (i, j) in [(9, 2), (9, 16), (2, 9), (16, 9)] {
        assert_eq!(class[[i, j]], 1, "the ring at ({i}, {j})");
    }
}

/// Two batches that add up are one of twice the size, and the norm of every
/// layer's gradient is measured.
#[test]
fn parts_of_a_batch_add_up_layer_by_layer() {
    let data = circles(48, 0.05, 1);
    let dev = &Textbook;
    let fresh = || Mlp::new(dev, &[2, 5, 2], Activation::Tanh, 1);
    let run = |size, accumulate, steps| {
        let sgd = Optimizer::Sgd {
            momentum: 0.9,
            decay: 0.,
        };
        let mut t = trainer::Trainer::of(dev, fresh(), sgd, ());
        let mut batches = Shuffled::new(&data, size, 1, 0.);
        let plan = Plan {
            accumulate,
            ..Plan::new(steps, 0.1)
        };
        let draw = |_: &_, n, batch: &mut _| batches.draw(n, batch);
        let end = t.run(&plan, draw, |_| Ok(()), |_, _| Ok(Continue(())));
        assert!(end.unwrap().is_continue());
        t
    };
    let (whole, parts) = (run(32, 1, 6), run(16, 2, 6));
    for (a, b) in whole.state.losses.iter().zip(&parts.state.losses) {
        assert!((a - b).abs() < 1e-14, "{a} {b}");
    }
    for (a, b) in whole.model.tensors().zip(parts.model.tensors()) {
        assert!((a - b).iter().all(|d| d.abs() < 1e-14));
    }

    let (first, model) = (run(32, 1, 1), fresh());
    let (mut grads, mut batch) = (model.zeros(dev), Default::default());
    Shuffled::new(&data, 32, 1, 0.).draw(0, &mut batch);
    let kept = &mut Default::default();
    Model::loss_and_grad(&model, dev, &batch, 1., kept, &mut grads);
    assert_eq!(first.groups(), ["layers.0", "layers.1"]);
    let squares: Vec<f64> = grads.tensors().map(|g| (g * g).sum()).collect();
    let norms = [squares[0] + squares[1], squares[2] + squares[3]];
    for (got, want) in first.state.last_norms.iter().zip(norms) {
        assert!((got - want.sqrt()).abs() < 1e-14, "{got}");
    }
    let norm = norms.iter().sum::<f64>().sqrt();
    assert!((first.state.norms[0] - norm).abs() < 1e-14);
}

// ---- a model of one's own -----------------------------------------------

/// A policy for a bandit with two arms: it pulls one with the probabilities
/// `softmax(w)`, and learns from what that pays beyond the usual (REINFORCE,
/// Williams 1992).
struct Policy<P> {
    w: P,
    usual: P,
}

impl<P> Params for Policy<P> {
    type Tensor = P;

    fn names(&self) -> Vec<ParamName> {
        let name = |n: &str| ParamName {
            name: n.into(),
            transposed: false,
        };
        vec![name("w"), name("usual")]
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a P>
    where
        P: 'a,
    {
        [&self.w, &self.usual].into_iter()
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut P>
    where
        P: 'a,
    {
        [&mut self.w, &mut self.usual].into_iter()
    }
}

impl<T> Model for Policy<T> {
    type Batch = (usize, f64); // the arm, and what it pays
    type Kept = f64;
    type Grads = Policy<Option<T>>;

    fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Policy<Option<T>> {
        let (w, usual) = (Some(dev.zeros(&[1, 2])), None);
        Policy { w, usual }
    }

    fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        &(arm, reward): &(usize, f64),
        dloss: f64,
        pays: &mut f64,
        grads: &mut Policy<Option<T>>,
    ) -> T {
        let arm = dev.upload_ids(&[arm]);
        let (loss, p) = dev.softmax_ce(dev.copy(&self.w), &arm, 0.); // -ln p
        let more = reward - dev.read(&self.usual)[0];
        let dw = dev.softmax_ce_vjp(p, &arm, 0., dloss * more);
        grads.w = grads.w.take().map(|sum| dev.add(&dw, sum));
        *pays = reward;
        dev.upload(one(more * dev.read(&loss)[0]).view())
    }

    /// What a pull usually pays is a running mean: no gradient moves it.
    fn settle<D: Device<Tensor = T>>(&mut self, dev: &D, pays: &mut f64) {
        let usual = 0.9 * dev.read(&self.usual)[0] + 0.1 * *pays;
        dev.write(&mut self.usual, one(usual).view());
    }
}

fn one(x: f64) -> ArrayD<f64> {
    ArrayD::from_elem(vec![1], x)
}

/// Batches come from the model itself; a parameter has no gradient, but is
/// part of the checkpoint.
#[test]
fn a_policy_learns_from_what_it_does_and_resumes() {
    type Trained<'d> =
        trainer::Trainer<'d, Textbook, Policy<ArrayD<f64>>, (), f64>;
    let fresh = || -> Trained {
        let (w, usual) = (Textbook.zeros(&[1, 2]), one(0.));
        let sgd = Optimizer::Sgd {
            momentum: 0.5,
            decay: 0.,
        };
        Trained::of(&Textbook, Policy { w, usual }, sgd, ())
    };
    let second_arm =
        |m: &Policy<ArrayD<f64>>| 1. / (1. + (m.w[[0, 0]] - m.w[[0, 1]]).exp());
    let run = |t: &mut Trained, stop: u64| {
        let plan = Plan {
            report_every: 100,
            report_first: true,
            ..Plan::new(400, 0.3)
        };
        let pull = |m: &_, n: u64, pull: &mut _| {
            let u: f64 = ChaCha8Rng::seed_from_u64(n).random();
            let arm = usize::from(u < second_arm(m));
            *pull = (arm, [2., 3.][arm]);
        };
        let report = |t: &Trained| Ok(second_arm(&t.model));
        let end = t.run(&plan, pull, report, |t, _| {
            Ok(match t.state.step == stop {
                true => Break(()),
                false => Continue(()),
            })
        });
        end.unwrap()
    };
    let mut straight = fresh();
    assert!(run(&mut straight, u64::MAX).is_continue());
    let learned = &straight.state.reports;
    assert_eq!((learned.len(), learned[0]), (5, 0.5));
    assert!(learned[4] > 0.95, "{learned:?}");
    assert!((straight.model.usual.sum() - 3.).abs() < 0.1);
    assert_eq!(straight.groups(), ["w"]);

    let dir = folder("bandit");
    let mut first = fresh();
    assert!(run(&mut first, 150).is_break());
    first.write(&dir, ("bandit", 0), &first.state).unwrap();
    let checkpoint = read_checkpoint::<State<f64>>(&dir, "bandit").unwrap();
    let mut second = fresh();
    let state = checkpoint.run.clone();
    let (path, tensors) = checkpoint.tensors(&dir).unwrap();
    second.load((&path, tensors), state).unwrap();
    assert!(run(&mut second, u64::MAX).is_continue());
    assert!(second.state == straight.state);
    let all = |t: &Trained| -> Vec<ArrayD<f64>> {
        let memory = t.memory.iter().flatten();
        t.model.tensors().chain(memory).cloned().collect()
    };
    assert!(all(&second) == all(&straight));
    assert_eq!(all(&second).len(), 2 + 1);
}
