//! Training on a GPU: the losses of the CPU, the same bits again, checkpoints
//! that either device goes on from, and what is left on disk when one fails.

mod gpu;

use backprop::backends::{Cpu, Gpu, Textbook};
use backprop::device::{Device, Fault, Params};
use backprop::engine::gpu::{Limits, Options};
use backprop::network::mlp::model::Activation::{Relu, Tanh};
use backprop::recurrent::bptt::model as bptt;
use backprop::training::Error;
use backprop::training::classifier;
use backprop::training::data::{Dataset, Scaler, digits, split};
use backprop::training::files::{read_checkpoint, read_tensors, save_weights};
use backprop::training::language::{
    Event, Run, Sampling, Settings, Trainer, evaluate, rnn, sample, save_gpt,
};
use backprop::training::policy;
use backprop::training::schedule::Schedule;
use backprop::training::text::{Text, Vocabulary, alice};
use backprop::transformer::gpt::model::{
    Activation, Attention, Config, Gpt, Normalization, Positions,
};
use backprop::transformer::lora;
use ndarray::ArrayD;
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// An empty folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu");
    let dir = dir.join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Every number, and its sign: NaN is no number of a model.
fn numbers<'t, D: Device<Tensor: 't>>(
    dev: &D,
    tensors: impl Iterator<Item = &'t D::Tensor>,
) -> Vec<ArrayD<f64>> {
    tensors.map(|t| dev.read(t)).collect()
}

/// Step by step no further apart than a ten thousandth.
#[track_caller]
fn same_curve(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let apart = |(got, want): (&f64, &f64)| (got - want).abs() / want.abs();
    let all = got.iter().zip(want).map(apart);
    let furthest = all.clone().fold(0., f64::max);
    let near = all.clone().all(|apart| apart < 1e-4); // no NaN is
    assert!(near, "{what}: {furthest:.1e}: {got:?}, {want:?}");
    eprintln!("{what}: {furthest:.1e} apart at most");
}

// ---- language models ----------------------------------------------------

static TEXT: LazyLock<(Vocabulary, Text)> = LazyLock::new(|| {
    let text: String = alice().chars().take(20_000).collect();
    let vocabulary = Vocabulary::of(&text);
    let text = Text::new(&text, &vocabulary, "alice").unwrap();
    (vocabulary, text)
});

fn gpt2(attention: Attention) -> Config {
    let mut model = Config::gpt2(TEXT.0.len(), 16, 2, 4, 32);
    model.block.attention = attention;
    model
}

/// Shared keys, rotary positions, RMSNorm and SwiGLU.
fn llama(attention: Attention) -> Config {
    let mut model = gpt2(attention);
    model.block.keys = 2;
    model.block.norm = Normalization::RmsNorm;
    model.block.activation = Activation::SwiGlu;
    model.block.positions = Positions::Rope;
    model
}

fn settings(model: Config) -> Settings {
    Settings {
        steps: 50,
        batch: 4,
        lr: 3e-3,
        dropout: 0.1,
        report_every: 25,
        report_windows: 10,
        schedule: Schedule::WarmupCosine {
            steps: 5,
            floor: 0.1,
        },
        ..Settings::new(model)
    }
}

type Watched = Result<ControlFlow<()>, Error>;

fn go_on<D: Device>(_: &Trainer<D>, _: Event) -> Watched {
    Ok(Continue(()))
}

fn trained<D: Device>(dev: &D, settings: Settings) -> Trainer<'_, D> {
    let mut t = Trainer::new(dev, settings).unwrap();
    assert!(t.learn(&TEXT.1, go_on).unwrap().is_continue());
    t
}

/// Weights and moments.
fn all<D: Device>(t: &Trainer<D>) -> Vec<ArrayD<f64>> {
    let memory = t.memory.iter().flatten();
    numbers(t.device(), t.model.tensors().chain(memory))
}

/// Losses, norms of gradients, and looks at the validation text: those of the
/// CPU on the GPU.
fn same_run(what: &str, s: Settings) {
    let (gpu, cpu) = (gpu::shared(), Cpu::new());
    let (on_gpu, on_cpu) = (trained(gpu, s.clone()), trained(&cpu, s));
    let [a, b] = [&on_gpu.state, &on_cpu.state];
    same_curve(&format!("{what}: losses"), &a.losses, &b.losses);
    let looks = |s: &backprop::training::language::State| -> Vec<f64> {
        s.reports.iter().map(|r| r.validation).collect()
    };
    same_curve(&format!("{what}: looks"), &looks(a), &looks(b));
    let apart = |(a, b): (&f64, &f64)| (a - b).abs() / b;
    let norms = a.norms.iter().zip(&b.norms).map(apart);
    let furthest = norms.fold(0., f64::max);
    eprintln!("{what}: norms {furthest:.1e} apart at most");
    assert!(furthest < 1e-2, "{what}: norms {furthest:.1e}");
    let (first, last) = (a.losses[0], a.losses[49]);
    assert!(last < first - 0.05, "{what}: {first} to {last}");
}

fn gpt2_with_plain_attention() {
    same_run("gpt2, plain", settings(gpt2(Attention::Plain)));
}

fn gpt2_in_parts_with_tiled_attention() {
    let s = Settings {
        accumulate: 2,
        checkpoint: 1,
        smoothing: 0.1,
        ..settings(gpt2(Attention::Tiled))
    };
    same_run("gpt2, tiled", s);
}

fn llama_with_plain_attention() {
    same_run("llama, plain", settings(llama(Attention::Plain)));
}

fn llama_with_tiled_attention() {
    same_run("llama, tiled", settings(llama(Attention::Tiled)));
}

fn gelu_of_gpt2() {
    let mut model = gpt2(Attention::Tiled);
    model.block.activation = Activation::GeluTanh;
    same_run("gpt2, gelu-tanh", settings(model));
}

fn adapters() {
    let s = Settings {
        adapters: Some(lora::model::Config::all(4)),
        lr: 1e-2,
        ..settings(llama(Attention::Tiled))
    };
    same_run("lora", s);
}

/// Losses, norms, looks at the validation text, the state after all of it, and
/// what is written: those of the CPU on the GPU.
fn a_recurrent_network() {
    fn learned<D: Device>(dev: &D) -> rnn::Trainer<'_, D> {
        let sizes = bptt::Config {
            vocab: TEXT.0.len(),
            width: 15,
            hidden: 33,
        };
        let s = rnn::Settings {
            context: 17,
            steps: 50,
            batch: 5,
            schedule: Schedule::WarmupCosine {
                steps: 5,
                floor: 0.1,
            },
            smoothing: 0.1,
            report_every: 25,
            ..rnn::Settings::new(sizes)
        };
        let mut t = rnn::Trainer::new(dev, s).unwrap();
        let end = t.learn(&TEXT.1, |_, _| Ok(Continue(())));
        assert!(end.unwrap().is_continue());
        t
    }
    let (gpu, cpu) = (gpu::shared(), Cpu::new());
    let (on_gpu, on_cpu) = (learned(gpu), learned(&cpu));
    let [a, b] = [&on_gpu.state, &on_cpu.state];
    same_curve("rnn: losses", &a.losses, &b.losses);
    same_curve("rnn: norms", &a.norms, &b.norms);
    for (a, b) in a.reports.iter().zip(&b.reports) {
        same_curve("rnn: a look", &[a.validation], &[b.validation]);
    }
    let states = [gpu.read(&on_gpu.model.state), cpu.read(&on_cpu.model.state)];
    let apart = &states[0] - &states[1];
    assert!(apart.iter().all(|d| d.abs() < 1e-3), "{apart}");
    assert!(states[0].iter().any(|h| h.abs() > 0.1));
    let (first, last) = (b.losses[0], b.losses[49]);
    assert!(last < first - 0.5, "{first} to {last}");
    let how = Sampling {
        temperature: 0.,
        top: 1,
    };
    let text = [3, 4, 5];
    let written = rnn::sample(gpu, &on_gpu.model, &text, 20, how, (0, 0));
    let want = rnn::sample(&cpu, &on_cpu.model, &text, 20, how, (0, 0));
    assert_eq!(written, want);
    let again = learned(&gpu::start(Options::default())).state.losses;
    assert!(again == a.losses, "other bits");
}

/// The moves are chosen on the host, with the probabilities of the device: as
/// long as none lies between those of two devices, the episodes are the same.
fn a_policy() {
    fn learned<D: Device>(dev: &D) -> policy::Trainer<'_, D> {
        let s = policy::Settings {
            steps: 40,
            report_every: 10,
            ..policy::Settings::default()
        };
        let mut t = policy::Trainer::new(dev, s).unwrap();
        let end = t.learn(|_, _| Ok(Continue(())));
        assert!(end.unwrap().is_continue());
        t
    }
    let (gpu, cpu) = (gpu::shared(), Cpu::new());
    let (on_gpu, on_cpu) = (learned(gpu), learned(&cpu));
    let [a, b] = [&on_gpu.state, &on_cpu.state];
    same_curve("policy: norms", &a.norms, &b.norms);
    for (a, b) in a.reports.iter().zip(&b.reports) {
        same_curve("policy: return", &[a.value], &[b.value]);
    }
    let (first, last) = (b.reports[0].value, b.reports[4].value);
    assert!(last > first + 0.5, "{first} to {last}");
    let again = learned(&gpu::start(Options::default())).state;
    assert!(again == *a, "other bits");
}

fn the_same_bits_again() {
    for model in [gpt2(Attention::Plain), llama(Attention::Tiled)] {
        let s = Settings {
            steps: 12,
            accumulate: 2,
            ..settings(model)
        };
        let dev = gpu::start(Options::default());
        let (first, again) =
            (trained(gpu::shared(), s.clone()), trained(&dev, s));
        assert!(again.state == first.state, "other figures");
        assert!(all(&again) == all(&first), "other bits");
    }
}

fn without_subgroups() {
    let without = gpu::start(Options {
        subgroups: false,
        poison: true,
        ..Options::default()
    });
    let s = Settings {
        steps: 12,
        ..settings(gpt2(Attention::Tiled))
    };
    let (with, without) = (trained(gpu::shared(), s.clone()), {
        trained(&without, s).state.losses
    });
    same_curve("without subgroups", &without, &with.state.losses);
}

/// The likeliest continuation.
fn writes_the_same() {
    let cpu = Cpu::new();
    let t = trained(&cpu, settings(gpt2(Attention::Tiled)));
    let gpu = gpu::shared();
    let mut model = Gpt::new(gpu, t.settings.model, 1);
    for (to, from) in model.tensors_mut().zip(t.model.tensors()) {
        gpu.write(to, cpu.read(from).view());
    }
    let how = Sampling {
        temperature: 0.,
        top: 1,
    };
    let on_cpu = sample(&cpu, &t.model, &[3, 4, 5], 30, how, (0, 0));
    let on_gpu = sample(gpu, &model, &[3, 4, 5], 30, how, (0, 0));
    assert_eq!(on_gpu, on_cpu);
    let validation = &TEXT.1.validation;
    let losses = [
        evaluate(gpu, &model, validation, usize::MAX, 3),
        evaluate(gpu, &model, validation, usize::MAX, 64),
        evaluate(&cpu, &t.model, validation, usize::MAX, 7),
    ];
    same_curve("validation", &losses[..2], &[losses[2]; 2]);
}

// ---- checkpoints --------------------------------------------------------

/// Trained on one device, gone on with on the other: the weights and moments
/// are the same bits, and so is the file that is saved of them; the losses are
/// those of a run on one device.
fn checkpoints_are_exchanged() {
    fn exchange<A: Device, B: Device>(name: &str, a: &A, b: &B) {
        let dir = folder(name);
        let s = Settings {
            steps: 14,
            ..settings(llama(Attention::Tiled))
        };
        let mut first = Trainer::new(a, s.clone()).unwrap();
        let end = first.learn(&TEXT.1, |t, _| {
            Ok(if t.state.step < 8 {
                Continue(())
            } else {
                Break(())
            })
        });
        assert!(end.unwrap().is_break());
        let (vocabulary, run) = (&TEXT.0, ("gpt", TEXT.1.fingerprint()));
        first.save(&dir, run, vocabulary, None).unwrap();
        let checkpoint = read_checkpoint::<Run>(&dir, "gpt").unwrap();
        let mut second = Trainer::restore(b, &dir, &checkpoint).unwrap();
        assert!(all(&second) == all(&first), "{name}");
        assert_eq!(second.state, first.state);
        let copy = folder(&format!("{name}-copy"));
        second.save(&copy, run, vocabulary, None).unwrap();
        let bytes = |dir: &Path| {
            std::fs::read(dir.join("step-00000008.safetensors")).unwrap()
        };
        assert!(bytes(&dir) == bytes(&copy), "{name}: other files");

        assert!(second.learn(&TEXT.1, go_on).unwrap().is_continue());
        let straight = trained(a, s);
        same_curve(name, &second.state.losses, &straight.state.losses);
    }
    let cpu = Cpu::new();
    exchange("gpu-cpu", gpu::shared(), &cpu);
    exchange("cpu-gpu", &cpu, gpu::shared());
    exchange("gpu-gpu", gpu::shared(), &gpu::start(Options::default()));
}

// ---- classifiers --------------------------------------------------------

fn digits_split() -> (Dataset, Dataset) {
    let mut data = digits();
    Scaler::by(16., 64).apply(&mut data);
    split(&data, 0.2, 0).unwrap()
}

fn classifier_settings() -> classifier::Settings {
    classifier::Settings {
        hidden: vec![48, 24],
        epochs: 2,
        noise: 0.1,
        smoothing: 0.1,
        decay: 1e-4,
        lr: 0.05,
        ..classifier::Settings::default()
    }
}

type Figures = (Vec<f64>, Vec<classifier::Epoch>, Vec<ArrayD<f64>>);

fn classified<D: Device>(dev: &D, s: classifier::Settings) -> Figures {
    let (train, test) = digits_split();
    let mut t = classifier::Trainer::new(dev, s, 64, 10).unwrap();
    let mut losses = Vec::new();
    let end = t.learn(&train, &test, |_, event| {
        if let classifier::Event::Step { loss, .. } = event {
            losses.push(loss);
        }
        Ok(Continue(()))
    });
    assert!(end.unwrap().is_continue());
    let memory = t.memory.iter().flatten();
    let all = numbers(dev, t.model.tensors().chain(memory));
    (losses, t.state.reports, all)
}

fn perceptrons() {
    for activation in [Relu, Tanh] {
        let s = classifier::Settings {
            activation,
            ..classifier_settings()
        };
        let gpu = gpu::shared();
        let on_gpu = classified(gpu, s.clone());
        let on_cpu = classified(&Cpu::new(), s.clone());
        let what = format!("{activation:?}");
        same_curve(&what, &on_gpu.0, &on_cpu.0);
        for (a, b) in on_gpu.1.iter().zip(&on_cpu.1) {
            let losses = [a.running_loss, a.train_loss, a.test_loss];
            let want = [b.running_loss, b.train_loss, b.test_loss];
            same_curve(&what, &losses, &want);
            assert!((a.test_accuracy - b.test_accuracy).abs() < 0.006);
        }
        assert!(classified(gpu, s) == on_gpu, "{what}: other bits again");
    }
}

/// A weight near a half may have another code on another device, so only the
/// beginning is the same run; on one device all of it is.
fn few_bits() {
    for bits in [1, 4] {
        let s = classifier::Settings {
            bits: Some(bits),
            ..classifier_settings()
        };
        let gpu = gpu::shared();
        let on_gpu = classified(gpu, s.clone());
        let on_cpu = classified(&Cpu::new(), s.clone());
        same_curve("few bits", &on_gpu.0[..1], &on_cpu.0[..1]);
        let [a, b] = [&on_gpu, &on_cpu].map(|run| run.1[1]);
        assert!((a.test_loss - b.test_loss).abs() < 0.1, "{a:?} {b:?}");
        let apart = (a.test_accuracy - b.test_accuracy).abs();
        assert!(apart < 0.05 && a.test_accuracy > 0.5, "{a:?} {b:?}");
        assert!(classified(gpu, s) == on_gpu, "other bits again");
    }
}

fn a_perceptrons_checkpoint_is_exchanged() {
    fn exchange<A: Device, B: Device>(name: &str, a: &A, b: &B) {
        let (train, test) = digits_split();
        let dir = folder(name);
        let s = classifier_settings();
        let mut first = classifier::Trainer::new(a, s, 64, 10).unwrap();
        let end = first.learn(&train, &test, |t, _| {
            Ok(if t.state.step < 9 {
                Continue(())
            } else {
                Break(())
            })
        });
        assert!(end.unwrap().is_break());
        first.save(&dir, "digits", 0).unwrap();
        let checkpoint = read_checkpoint(&dir, "digits").unwrap();
        let second = classifier::Trainer::restore(b, &dir, &checkpoint);
        let second = second.unwrap();
        let memory = first.memory.iter().flatten();
        let of_first = first.model.tensors().chain(memory);
        let memory = second.memory.iter().flatten();
        let of_second = second.model.tensors().chain(memory);
        assert!(numbers(a, of_first) == numbers(b, of_second), "{name}");
    }
    exchange("mlp-gpu-cpu", gpu::shared(), &Cpu::new());
    exchange("mlp-cpu-gpu", &Cpu::new(), gpu::shared());
}

// ---- faults -------------------------------------------------------------

fn fault<T>(end: Result<T, Error>) -> Fault {
    match end {
        Err(Error::Device(fault)) => fault,
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("a device that has failed went on"),
    }
}

/// The checkpoint of `step` is there, whole, and either device goes on from
/// it; nothing else is.
#[track_caller]
fn is_kept(dir: &Path, step: u64) {
    let files = std::fs::read_dir(dir).unwrap();
    assert_eq!(files.count(), 2);
    let checkpoint = read_checkpoint::<Run>(dir, "gpt").unwrap();
    let cpu = Cpu::new();
    let on_cpu = Trainer::restore(&cpu, dir, &checkpoint).unwrap();
    let on_gpu = Trainer::restore(gpu::shared(), dir, &checkpoint).unwrap();
    assert_eq!(on_cpu.state.step, step);
    assert!(all(&on_cpu) == all(&on_gpu));
}

/// Nothing of a trainer whose device has failed is written or believed.
#[track_caller]
fn nothing_is_written(t: &Trainer<Gpu>, dir: &Path, want: &Fault) {
    let (vocabulary, dev) = (&TEXT.0, t.device());
    let file = dir.join("weights.safetensors");
    let save = t.save(dir, ("gpt", 0), vocabulary, None);
    assert_eq!(fault(save), *want);
    let save = save_gpt(&file, dev, &t.model, vocabulary, None);
    assert_eq!(fault(save), *want);
    assert_eq!(fault(save_weights(&file, dev, &t.model)), *want);
    let look = t.evaluate(&TEXT.1.validation, 3);
    assert_eq!(fault(look), *want);
}

fn save(t: &Trainer<Gpu>, dir: &Path) -> Result<(), Error> {
    t.save(dir, ("gpt", TEXT.1.fingerprint()), &TEXT.0, None)
}

fn a_gpu_that_is_lost_in_a_run() {
    for attention in [Attention::Plain, Attention::Tiled] {
        let dir = folder("lost");
        let dev = gpu::start(Options::default());
        let mut t = Trainer::new(&dev, settings(gpt2(attention))).unwrap();
        let end = t.learn(&TEXT.1, |t, _| {
            match t.state.step {
                5 => save(t, &dir)?,
                7 => t.device().runner().destroy(),
                _ => (),
            }
            Ok(Continue(()))
        });
        let fault = fault(end);
        assert!(matches!(fault, Fault::Lost(_)), "{fault}");
        assert!(fault.to_string().contains("--resume"), "{fault}");
        assert_eq!(t.state.step, 7);
        nothing_is_written(&t, &dir, &fault);
        is_kept(&dir, 5);
    }
}

/// A step's update is recorded when the loss has been read: that it was never
/// done must not end up on disk.
fn a_gpu_that_is_lost_after_a_step() {
    let dir = folder("lost-after");
    let dev = gpu::start(Options::default());
    let mut t = Trainer::new(&dev, settings(gpt2(Attention::Tiled))).unwrap();
    let end = t.learn(&TEXT.1, |t, _| {
        if t.state.step == 5 {
            save(t, &dir)?;
        }
        Ok(if t.state.step == 6 {
            Break(())
        } else {
            Continue(())
        })
    });
    assert!(end.unwrap().is_break());
    dev.runner().destroy();
    let fault = fault(save(&t, &dir));
    assert!(matches!(fault, Fault::Lost(_)), "{fault}");
    is_kept(&dir, 5);
}

/// A model that fits, and a batch that does not.
fn a_batch_that_is_too_large() {
    let dir = folder("limit");
    let largest = 1 << 20;
    let dev = gpu::start(Options {
        limits: Some(Limits {
            max_storage_buffer_binding_size: largest,
            max_buffer_size: largest,
            ..Limits::default()
        }),
        ..Options::default()
    });
    let s = Settings {
        batch: 256,
        report_windows: 1,
        accumulate: 1,
        ..settings(gpt2(Attention::Tiled))
    };
    let mut t = Trainer::new(&dev, s).unwrap();
    save(&t, &dir).unwrap();
    let fault = fault(t.learn(&TEXT.1, go_on));
    let Fault::Limit { need, limit, .. } = fault else {
        panic!("{fault}");
    };
    assert!(limit == largest && need > limit, "{fault}");
    let said = fault.to_string();
    for part in [&need.to_string(), "1048576", "smaller batch"] {
        assert!(said.contains(part), "{said}");
    }
    nothing_is_written(&t, &dir, &fault);
    is_kept(&dir, 0);
}

/// The GPU is given up in the middle of a run, and nothing hangs.
fn a_gpu_that_does_not_answer() {
    let dir = folder("no-answer");
    let dev = gpu::start(Options {
        patience: Duration::from_micros(1),
        ..Options::default()
    });
    let s = settings(gpt2(Attention::Tiled));
    {
        let cpu = Cpu::new();
        let t = Trainer::new(&cpu, s.clone()).unwrap();
        t.save(&dir, ("gpt", 0), &TEXT.0, None).unwrap();
    }
    let mut t = Trainer::new(&dev, s).unwrap();
    let fault = fault(t.learn(&TEXT.1, go_on));
    assert_eq!(fault, Fault::TimedOut(1e-6));
    nothing_is_written(&t, &dir, &fault);
    is_kept(&dir, 0);
}

/// A loss that is no number on a GPU that is well: the same step, op and
/// tensor as on the CPU.
fn a_weight_that_overflows_is_found() {
    fn overflow<D: Device>(dev: &D, dir: &Path) -> String {
        let mut t =
            Trainer::new(dev, settings(gpt2(Attention::Plain))).unwrap();
        let stop = |t: &Trainer<D>, _: Event| {
            Ok(if t.state.step < 3 {
                Continue(())
            } else {
                Break(())
            })
        };
        assert!(t.learn(&TEXT.1, stop).unwrap().is_break());
        t.save(dir, ("gpt", 0), &TEXT.0, None).unwrap();
        let names: Vec<String> =
            t.model.names().into_iter().map(|n| n.name).collect();
        let down = "transformer.h.1.mlp.c_proj.weight";
        let at = names.iter().position(|n| n == down).unwrap();
        let w = t.model.tensors_mut().nth(at).unwrap();
        // finite, and no product with it is
        let huge = ArrayD::from_elem(dev.shape(w), 3e38);
        dev.write(w, huge.view());
        let before = numbers(dev, t.model.tensors());
        let Err(e) = t.learn(&TEXT.1, go_on) else {
            panic!("no loss is finite with weights of 3·10³⁸");
        };
        assert!(matches!(e, Error::NonFinite { step: 4, .. }), "{e}");
        assert!(
            numbers(dev, t.model.tensors()) == before,
            "a step was taken"
        );
        let said = e.to_string();
        assert!(said.contains("linear") && said.contains(down), "{said}");
        said
    }
    let dir = folder("overflow");
    let on_gpu = overflow(gpu::shared(), &dir);
    is_kept(&dir, 3);
    let on_cpu = overflow(&Cpu::new(), &dir);
    let tensor = |said: &str| said.split_once(';').unwrap().1.to_owned();
    assert_eq!(tensor(&on_gpu), tensor(&on_cpu));
}

fn a_weight_that_is_no_number_is_found() {
    let dir = folder("poisoned");
    let dev = gpu::shared();
    let mut t = Trainer::new(dev, settings(llama(Attention::Tiled))).unwrap();
    save(&t, &dir).unwrap();
    let w = t.model.tensors_mut().nth(1).unwrap();
    let mut x = dev.read(w);
    *x.iter_mut().next().unwrap() = f64::NAN;
    dev.write(w, x.view());
    let name = &t.model.names()[1].name;
    let said = |e: Error| e.to_string();
    let e = said(t.evaluate(&TEXT.1.validation, 3).unwrap_err());
    assert!(e.contains(name), "{e}");
    let e = said(save(&t, &dir).unwrap_err());
    assert!(e.contains(name) && e.contains("nothing was saved"), "{e}");
    is_kept(&dir, 0);
}

fn a_perceptron_that_diverges() {
    fn diverge<D: Device>(dev: &D) -> String {
        let (train, test) = digits_split();
        let s = classifier::Settings {
            lr: 1e25,
            ..classifier::Settings::default()
        };
        let mut t = classifier::Trainer::new(dev, s, 64, 10).unwrap();
        let end = t.learn(&train, &test, |_, _| Ok(Continue(())));
        end.unwrap_err().to_string()
    }
    let said = diverge(gpu::shared());
    assert!(said.contains("of linear with layers."), "{said}");
    assert_eq!(said, diverge(&Cpu::new()));
}

/// What has been saved is no NaN: a file that a failing GPU might leave would
/// be refused.
fn weights_are_exact() {
    let dir = folder("weights");
    let t = trained(
        gpu::shared(),
        Settings {
            steps: 3,
            ..settings(gpt2(Attention::Tiled))
        },
    );
    let file = dir.join("weights.safetensors");
    save_gpt(&file, t.device(), &t.model, &TEXT.0, None).unwrap();
    let on_disk = read_tensors(&file).unwrap();
    let named = t.model.names().into_iter().zip(t.model.tensors());
    for (name, tensor) in named {
        let x = t.device().read(tensor);
        let x = if name.transposed {
            x.reversed_axes()
        } else {
            x
        };
        assert!(on_disk[&name.name] == x, "{}", name.name);
    }
    let (model, vocabulary, _) =
        backprop::training::language::load_gpt(&file, &Textbook).unwrap();
    assert_eq!(vocabulary, TEXT.0);
    let read = numbers(&Textbook, model.tensors());
    assert!(read == numbers(t.device(), t.model.tensors()));
}

gpu::tests![
    gpt2_with_plain_attention,
    gpt2_in_parts_with_tiled_attention,
    llama_with_plain_attention,
    llama_with_tiled_attention,
    gelu_of_gpt2,
    adapters,
    a_recurrent_network,
    a_policy,
    the_same_bits_again,
    without_subgroups,
    writes_the_same,
    checkpoints_are_exchanged,
    perceptrons,
    few_bits,
    a_perceptrons_checkpoint_is_exchanged,
    a_gpu_that_is_lost_in_a_run,
    a_gpu_that_is_lost_after_a_step,
    a_batch_that_is_too_large,
    a_gpu_that_does_not_answer,
    a_weight_that_overflows_is_found,
    a_weight_that_is_no_number_is_found,
    a_perceptron_that_diverges,
    weights_are_exact,
];
