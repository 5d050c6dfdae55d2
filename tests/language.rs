//! Training a language model: it learns, it resumes to the same bits, and
//! wrong input is told by name.

use backprop::backends::{Cpu, Textbook};
use backprop::device::{Device, Params};
use backprop::training::Error;
use backprop::training::files::{parse_checkpoint, read_checkpoint};
use backprop::training::language::*;
use backprop::training::schedule::Schedule;
use backprop::training::text::{Text, Vocabulary, alice, bigram_loss};
use backprop::transformer::gpt::model::{
    Activation, Attention, Config, Gpt, Normalization, Positions,
};
use backprop::transformer::lora;
use ndarray::ArrayD;
use proptest::prelude::*;
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::{Path, PathBuf};

/// An empty folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("language");
    let dir = dir.join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn text() -> (Vocabulary, Text) {
    let text = alice();
    let vocabulary = Vocabulary::of(&text);
    let text = Text::new(&text, &vocabulary, "alice").unwrap();
    (vocabulary, text)
}

fn tiny(vocab: usize) -> Config {
    Config::gpt2(vocab, 16, 2, 2, 16)
}

/// Everything that a step can depend on is on.
fn settings() -> Settings {
    Settings {
        steps: 10,
        batch: 4,
        accumulate: 2,
        lr: 3e-3,
        dropout: 0.1,
        report_every: 4,
        report_windows: 5,
        ..Settings::new(tiny(62))
    }
}

type Watched = Result<ControlFlow<()>, Error>;

fn go_on<D: Device>(_: &Trainer<D>, _: Event) -> Watched {
    Ok(Continue(()))
}

fn straight(settings: Settings, text: &Text) -> Trainer<'static, Cpu> {
    let dev = Box::leak(Box::new(Cpu::new()));
    let mut t = Trainer::new(dev, settings).unwrap();
    assert!(t.learn(text, go_on).unwrap().is_continue());
    t
}

/// Every bit that a run ends with: weights, moments and figures.
fn bits(t: &Trainer<Cpu>) -> (Vec<ArrayD<f64>>, String) {
    let tensors = t.model.tensors().chain(t.memory.iter().flatten());
    let tensors = tensors.map(|x| t.device().read(x)).collect();
    (tensors, serde_json::to_string(&t.state).unwrap())
}

fn weights<D: Device>(dev: &D, model: &Gpt<D::Tensor>) -> Vec<ArrayD<f64>> {
    model.tensors().map(|t| dev.read(t)).collect()
}

// ---- learning -----------------------------------------------------------

#[test]
fn learns_more_than_pairs() {
    let (v, text) = text();
    let mut model = Config::gpt2(v.len(), 32, 2, 4, 32);
    model.block.positions = Positions::Rope;
    let s = Settings {
        steps: 200,
        batch: 16,
        lr: 1e-2,
        report_every: 200,
        ..Settings::new(model)
    };
    let t = straight(s, &text);
    let pairs = bigram_loss(&text.train, &text.validation, v.len(), 1.);
    let reports = &t.state.reports;
    assert_eq!(reports.len(), 2);
    let uniform = (v.len() as f64).ln();
    assert!((reports[0].validation - uniform).abs() < 0.1, "{reports:?}");
    let all = t.evaluate(&text.validation, usize::MAX).unwrap();
    assert!(all < pairs - 0.1, "{all}, pairs {pairs}");
    assert_eq!(t.groups().len(), reports[1].norms.len());
    let norms = reports[1].norms.iter().map(|n| n * n).sum::<f64>();
    let norm = t.state.norms.last().unwrap();
    assert!((norms.sqrt() - norm).abs() < 1e-9);
}

#[test]
fn the_first_losses_are_those_on_record() {
    let (_, text) = text();
    let t = straight(settings(), &text);
    let want = [4.118319, 4.123709, 4.130569, 4.127795, 4.130219];
    for (got, want) in t.state.losses.iter().zip(want) {
        assert!((got - want).abs() < 1e-4, "{:?}", t.state.losses);
    }
    let steps: Vec<u64> = t.state.reports.iter().map(|r| r.step).collect();
    assert_eq!(steps, [0, 4, 8, 10]);
    assert_eq!(t.groups()[0], "transformer.wte");
    let rest = ["wpe", "h.0", "h.1", "ln_f"];
    for (group, name) in t.groups()[1..].iter().zip(rest) {
        assert_eq!(*group, format!("transformer.{name}"));
    }
}

/// In one part or in four, keeping everything or computing it again, with one
/// way to attention or the other: the same run, to rounding.
#[test]
fn parts_of_a_batch_add_up() {
    let (_, text) = text();
    let run = |accumulate, checkpoint| {
        let s = Settings {
            accumulate,
            checkpoint,
            steps: 4,
            dropout: 0.,
            ..settings()
        };
        let mut t = Trainer::new(&Textbook, s).unwrap();
        assert!(t.learn(&text, go_on).unwrap().is_continue());
        (weights(&Textbook, &t.model), t.state.losses)
    };
    let (weights, losses) = run(1, 0);
    let (in_parts, losses_of_parts) = run(4, 0);
    for (a, b) in losses.iter().zip(&losses_of_parts) {
        assert!((a - b).abs() < 1e-12);
    }
    for (a, b) in weights.iter().zip(&in_parts) {
        assert!((a - b).iter().all(|d| d.abs() < 1e-6));
    }
    assert!(run(1, 1) == (weights, losses));
}

#[test]
fn only_matrices_decay() {
    let (_, text) = text();
    let run = |decay| {
        let s = Settings {
            decay,
            steps: 1,
            ..settings()
        };
        straight(s, &text)
    };
    let (with, without) = (run(0.5), run(0.));
    let dev = with.device();
    let pairs = with.model.tensors().zip(without.model.tensors());
    for (a, b) in pairs {
        let same = dev.read(a) == dev.read(b);
        assert_eq!(same, dev.shape(a).len() == 1);
    }
}

// ---- the same bits ------------------------------------------------------

/// Broken off before the first step, between a step and its report, after it,
/// and at the end; saved, restored into a new trainer, and run to the end.
#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let (v, text) = text();
    for adapters in [None, Some(lora::model::Config::all(2))] {
        let s = Settings {
            adapters,
            ..settings()
        };
        let want = bits(&straight(s.clone(), &text));
        let name = format!("resume-{}", adapters.is_some());
        for stop in [1, 2, 5, 6, 7, 13, 14] {
            let dir = folder(&name);
            let dev = Cpu::new();
            let mut first = Trainer::new(&dev, s.clone()).unwrap();
            let mut events = 0;
            let end = first.learn(&text, |_, _| {
                events += 1;
                Ok(match events == stop {
                    true => Break(()),
                    false => Continue(()),
                })
            });
            assert!(end.unwrap().is_break());
            let run = ("gpt", text.fingerprint());
            first.save(&dir, run, &v, None).unwrap();
            drop(first);
            let checkpoint = read_checkpoint(&dir, "gpt").unwrap();
            assert!(checkpoint.is_on(text.fingerprint()));
            let dev = Cpu::new();
            let mut second = Trainer::restore(&dev, &dir, &checkpoint).unwrap();
            assert!(second.learn(&text, go_on).unwrap().is_continue());
            assert!(bits(&second) == want, "broken off after {stop} events");
        }
    }
}

/// Large enough for products, row loops and sums to be shared out.
#[cfg(feature = "parallel")]
#[test]
fn the_same_bits_at_any_thread_count() {
    let (v, text) = text();
    let on_threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap().install(|| {
            let s = Settings {
                steps: 2,
                batch: 8,
                report_every: 1,
                ..Settings::new(Config::gpt2(v.len(), 64, 2, 4, 128))
            };
            bits(&straight(s, &text))
        })
    };
    let want = on_threads(1);
    assert!(on_threads(2) == want);
    assert!(on_threads(5) == want);
}

#[test]
fn a_different_seed_is_a_different_run() {
    let (_, text) = text();
    let losses = |seed| {
        let s = Settings {
            seed,
            steps: 2,
            ..settings()
        };
        straight(s, &text).state.losses
    };
    assert_eq!(losses(1), losses(1));
    assert_ne!(losses(1), losses(2));
}

// ---- adapters -----------------------------------------------------------

#[test]
fn adapters_learn_and_the_rest_is_frozen() {
    let (v, text) = text();
    let base = straight(settings(), &text);
    let dir = folder("adapters");
    let file = dir.join("base.safetensors");
    let learned = Learned::new("alice", &text);
    save_gpt(&file, base.device(), &base.model, &v, Some(&learned)).unwrap();

    let dev = Cpu::new();
    let (model, vocabulary, of) = load_gpt(&file, &dev).unwrap();
    assert_eq!(vocabulary, v);
    assert_eq!(of.as_ref(), Some(&learned));
    assert!(learned.is(&text));
    let mut other = text.clone();
    other.train[7] = (other.train[7] + 1) % v.len();
    assert!(!learned.is(&other));
    let before = weights(&dev, &model);
    assert!(before == weights(base.device(), &base.model));
    let config = lora::model::Config {
        up: false,
        ..lora::model::Config::all(3)
    };
    let s = Settings {
        adapters: Some(config),
        lr: 3e-2,
        steps: 40,
        dropout: 0.,
        ..settings()
    };
    let mut t = Trainer::with_model(&dev, s, model).unwrap();
    // fresh adapters change nothing
    let all = |t: &Trainer<Cpu>| t.evaluate(&text.validation, 50).unwrap();
    assert_eq!(all(&t), all(&base));
    assert!(t.learn(&text, go_on).unwrap().is_continue());
    assert!(all(&t) < all(&base) - 0.02, "{} {}", all(&t), all(&base));
    assert_eq!(t.groups(), ["transformer.h.0", "transformer.h.1"]);
    let named = t.model.names().into_iter().zip(t.model.tensors());
    let frozen = named.filter(|(n, _)| !n.name.contains("lora"));
    let frozen: Vec<_> = frozen.map(|(_, t)| dev.read(t)).collect();
    assert!(frozen == before, "a frozen weight has moved");

    let file = dir.join("adapter_model.safetensors");
    save_adapters(&file, &dev, &t.model, &config).unwrap();
    let tensors = backprop::training::files::read_tensors(&file).unwrap();
    assert_eq!(tensors.len(), 2 * 3 * 2);
    let peft = std::fs::read(dir.join("adapter_config.json")).unwrap();
    let peft: serde_json::Value = serde_json::from_slice(&peft).unwrap();
    let layers = ["attn.c_attn", "attn.c_proj", "mlp.c_proj"];
    assert_eq!(peft["target_modules"], serde_json::json!(layers));
    assert_eq!((&peft["r"], &peft["lora_alpha"]), (&3.into(), &6.0.into()));
    let name = "base_model.model.transformer.h.1.attn.c_attn";
    let shape = |ab: &str| tensors[&format!("{name}.{ab}.weight")].shape();
    assert_eq!(shape("lora_A"), [3, 16]);
    assert_eq!(shape("lora_B"), [48, 3]);

    // What was saved comes back, on the base alone.
    let base_file = dir.join("base.safetensors");
    let (mut again, _, _) = load_gpt(&base_file, &dev).unwrap();
    assert_eq!(load_adapters(&file, &dev, &mut again).unwrap(), config);
    assert!(weights(&dev, &again) == weights(&dev, &t.model));
    let scale = |m: &Gpt<_>| m.blocks[1].qkv.adapter.as_ref().unwrap().scale;
    assert_eq!(scale(&again), scale(&t.model));
    let e =
        load_adapters(&base_file, &dev, &mut without_adapters(&dev, &again))
            .unwrap_err();
    assert!(e.to_string().contains("what adapters it holds"), "{e}");
    let mut narrow = Gpt::new(&dev, Config::gpt2(62, 16, 2, 2, 8), 0);
    let before = weights(&dev, &narrow);
    let e = load_adapters(&file, &dev, &mut narrow)
        .unwrap_err()
        .to_string();
    assert!(e.starts_with(&format!("{}: tensor", file.display())), "{e}");
    assert!(!narrow.has_adapters() && weights(&dev, &narrow) == before);
    // Nor on weights of the same shapes that they were not trained beside.
    let mut other = Gpt::new(&dev, again.config, 9);
    let e = load_adapters(&file, &dev, &mut other).unwrap_err();
    assert!(e.to_string().contains("are for the weights"), "{e}");
    assert!(!other.has_adapters());

    let adapted = all(&t);
    t.model.merge(&dev);
    assert!((all(&t) - adapted).abs() < 1e-5);
    let file = dir.join("merged.safetensors");
    save_gpt(&file, &dev, &t.model, &v, None).unwrap();
    let (merged, _, _) = load_gpt(&file, &dev).unwrap();
    assert!(weights(&dev, &merged) == weights(&dev, &t.model));
}

/// A model and its adapters are drawn from one seed, but not the same numbers.
#[test]
fn adapters_are_no_copy_of_the_base() {
    let dev = Textbook;
    let mut model = Gpt::new(&dev, tiny(62), 0);
    let first = |a: &ArrayD<f64>| {
        let a = a.as_standard_layout().into_owned();
        (a[[0, 1]] / a[[0, 0]], a[[0, 2]] / a[[0, 0]])
    };
    let table = first(&model.wte);
    model.add_adapters(&dev, lora::model::Config::all(4), 0);
    let adapter = model.blocks[0].qkv.adapter.as_ref().unwrap();
    let (a, b) = (first(&adapter.a), table);
    assert!((a.0 - b.0).abs() > 1e-6 && (a.1 - b.1).abs() > 1e-6);
}

// ---- writing ------------------------------------------------------------

/// The model looks at no more than there is: what stands behind, to fill up,
/// counts for nothing.
#[test]
fn a_text_is_filled_up_behind() {
    let dev = Textbook;
    for attention in [Attention::Plain, Attention::Tiled] {
        let mut config = tiny(62);
        config.block.attention = attention;
        let model = Gpt::new(&dev, config, 1);
        let how = Sampling {
            temperature: 0.,
            top: 1,
        };
        let prompt = [3, 50, 7];
        let written = sample(&dev, &model, &prompt, 30, how, (0, 0));
        let mut text = prompt.to_vec();
        for token in written {
            let first = text.len().saturating_sub(config.context);
            let logits = model.predict(&dev, &text[first..], 1);
            let last = logits.iter().skip(logits.len() - 62).enumerate();
            let best = last.max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            assert_eq!(token, best, "after {} tokens", text.len());
            text.push(token);
        }
    }
}

#[test]
fn what_is_written_depends_on_the_seed_alone() {
    let (v, _) = text();
    let dev = Cpu::new();
    let model = Gpt::new(&dev, tiny(v.len()), 1);
    let prompt = v
        .encode("longer than the context, sixteen", "here")
        .unwrap();
    let write = |seed, temperature| {
        let how = Sampling {
            temperature,
            top: 10,
        };
        sample(&dev, &model, &prompt, 20, how, (seed, 3))
    };
    let tokens = write(1, 1.);
    assert_eq!(tokens.len(), 20);
    assert!(v.decode(&tokens).is_ok());
    assert_eq!(write(1, 1.), tokens);
    assert_ne!(write(2, 1.), tokens);
    assert_eq!(write(1, 0.), write(2, 0.));
}

// ---- what is wrong is told ----------------------------------------------

#[test]
fn a_diverging_run_stops_before_the_step() {
    let (v, text) = text();
    let dev = Cpu::new();
    let s = Settings {
        lr: 1e30,
        ..settings()
    };
    let mut t = Trainer::new(&dev, s).unwrap();
    let Err(Error::NonFinite { step, tensor, .. }) = t.learn(&text, go_on)
    else {
        panic!("a learning rate of 10³⁰ must diverge");
    };
    assert_eq!(step, t.state.step + 1);
    assert!(tensor.contains(" of "), "{tensor}");
    assert!(tensor.contains("transformer."), "{tensor}");
    assert_eq!(t.state.losses.len() as u64, t.state.step);

    // A parameter that is no number is named, and no checkpoint made of it.
    let dir = folder("diverged");
    let mut t = Trainer::new(&dev, settings()).unwrap();
    let bad = ArrayD::from_elem(vec![48], f64::NAN);
    dev.write(&mut t.model.blocks[1].qkv.b, bad.view());
    let name = "transformer.h.1.attn.c_attn.bias";
    let e = t.save(&dir, ("gpt", 0), &v, None).unwrap_err().to_string();
    assert!(e.starts_with("after step 0: parameter"), "{e}");
    assert!(e.contains(name) && !e.contains("loss"), "{e}");
    assert!(std::fs::read_dir(&dir).unwrap().next().is_none());
    let e = t.learn(&text, go_on).unwrap_err().to_string();
    assert!(e.contains(name) && e.contains("loss is NaN"), "{e}");
    assert!(!e.contains("Nothing was changed"), "{e}");
}

/// The loss is a number, its gradient is none that 32 bits can square.
#[test]
fn a_gradient_too_large_is_told() {
    let (_, text) = text();
    let dev = Cpu::new();
    let mut t = Trainer::new(&dev, settings()).unwrap();
    let large = ArrayD::from_shape_fn(vec![16, 64], |i| match i[0] {
        0 => 1e25,
        _ => 0.,
    });
    let small = ArrayD::from_elem(vec![64, 16], 1e-25);
    dev.write(&mut t.model.blocks[0].up.w, large.view());
    dev.write(&mut t.model.blocks[0].down.w, small.view());
    let e = t.learn(&text, go_on).unwrap_err().to_string();
    assert!(e.contains("step 1: the norm of the gradient is inf"), "{e}");
    let place = "sum_of_squares with transformer.h.0.mlp.c_proj.weight";
    assert!(e.contains(place), "{e}");
}

#[test]
fn texts_that_do_not_fit() {
    let (_, text) = text();
    let dev = Cpu::new();
    let mut t = Trainer::new(&dev, settings()).unwrap();
    let short = Text {
        train: text.train.clone(),
        validation: text.validation[..16].to_vec(),
    };
    let e = t.learn(&short, go_on).unwrap_err();
    assert!(matches!(e, Error::Data(_)), "{e}");
    let mut foreign = text.clone();
    foreign.train[1000] = 62;
    let e = t.learn(&foreign, go_on).unwrap_err();
    assert!(matches!(
        e,
        Error::Token {
            token: 62,
            vocabulary: 62
        }
    ));
    assert_eq!(t.state, State::default());
}

#[test]
fn settings_out_of_range_are_refused() {
    type Change = fn(&mut Settings);
    let changes: &[(Change, &str)] = &[
        (|s| s.batch = 0, "batch: 0 is not at least 1"),
        (|s| s.accumulate = 0, "accumulate: 0 is not at least 1"),
        (|s| s.accumulate = 3, "accumulate: 3 is not a divisor of"),
        (|s| s.batch = usize::MAX - 1, "batch: "),
        (
            |s| s.lr = f64::NAN,
            "learning rate: NaN is not a number ≥ 0",
        ),
        (|s| s.decay = -1., "weight decay: -1"),
        (|s| s.clip = 0., "clip: 0 is not a number > 0"),
        (|s| s.beta1 = 1., "beta1: 1 is not in [0, 1)"),
        (|s| s.beta2 = -0.5, "beta2: -0.5"),
        (|s| s.dropout = 1., "dropout: 1"),
        (|s| s.smoothing = 1., "label smoothing: 1"),
        (|s| s.report_every = 0, "report every: 0"),
        (|s| s.report_windows = 0, "report windows: 0"),
        (
            |s| s.steps = u64::MAX,
            "steps: 18446744073709551615 is not at",
        ),
        (
            |s| s.model.block.heads = 3,
            "model: width 16 cannot be shared",
        ),
        (|s| s.model.layers = 1 << 20, "model: "),
        (
            |s| {
                s.model = Config::gpt2(2, 2, 8_000_000, 1, 1);
            },
            "layers: 8000000 is not at most 1024",
        ),
        (|s| s.model.context = 1 << 23, "batch: 33554432 is not"),
        (
            |s| {
                s.model.context = 1 << 16;
                s.model.block.attention = Attention::Plain;
            },
            "memory: about 34",
        ),
        (|s| s.model.block.width = usize::MAX - 1, "model: width is"),
        (
            |s| s.schedule = Schedule::Warmup { steps: u64::MAX },
            "schedule steps: ",
        ),
        (
            |s| s.adapters = Some(lora::model::Config::all(17)),
            "rank: 17",
        ),
        (
            |s| {
                let mut a = lora::model::Config::all(1);
                (a.qkv, a.out, a.up, a.down) = (false, false, false, false);
                s.adapters = Some(a);
            },
            "adapters: none is not at least one layer",
        ),
    ];
    assert!(settings().check().is_ok());
    assert!(Config::gpt2(1, 1, 1, 1, usize::MAX).check().is_err());
    // what plain attention cannot keep, the tiled one need not
    let mut long = settings();
    long.model.context = 1 << 16;
    assert!(long.check().is_ok(), "{:?}", long.check());
    for (change, what) in changes {
        let mut s = settings();
        change(&mut s);
        let e = s.check().unwrap_err().to_string();
        assert!(e.starts_with(what), "{e}");
    }
}

#[test]
fn a_file_of_another_model_changes_nothing() {
    let (v, _) = text();
    let dir = folder("foreign");
    let file = dir.join("model.safetensors");
    let dev = Cpu::new();
    let config = tiny(v.len());
    save_gpt(&file, &dev, &Gpt::new(&dev, config, 1), &v, None).unwrap();
    type Change = fn(&mut Config);
    let changes: &[(Change, &str)] = &[
        (|c| c.block.heads = 4, "heads: 2"),
        (|c| c.block.positions = Positions::Rope, "Learned"),
        (|c| c.block.activation = Activation::GeluTanh, "Gelu,"),
        (|c| c.block.activation = Activation::SwiGlu, "Gelu,"),
        (|c| c.block.norm = Normalization::RmsNorm, "LayerNorm"),
        (
            |c| c.layers = 3,
            "tensor transformer.h.2.ln_1.weight is missing",
        ),
        (|c| c.layers = 1, "is not one of the model"),
        (
            |c| c.context = 17,
            "tensor transformer.wpe.weight has shape [16, 16], the model \
             needs [17, 16]",
        ),
        (
            |c| c.block.hidden = 60,
            "tensor transformer.h.0.mlp.c_fc.weight has shape [64, 16], the \
             model needs [60, 16]",
        ),
    ];
    for (change, what) in changes {
        let mut config = config;
        change(&mut config);
        let mut model = Gpt::new(&dev, config, 2);
        let before = weights(&dev, &model);
        let e = load_into(&file, &dev, &mut model, &v).unwrap_err();
        let e = e.to_string();
        assert!(e.contains(what) && e.contains("another model"), "{e}");
        assert!(weights(&dev, &model) == before, "half a file was loaded");
    }
    let mut model = Gpt::new(&dev, config, 2);
    let other = Vocabulary::of(&v.to_string().replace('a', "ä"));
    let e = load_into(&file, &dev, &mut model, &other).unwrap_err();
    assert!(e.to_string().contains("its characters are"), "{e}");
    // the way to attention is not a matter of the weights
    let mut config = config;
    config.block.attention = Attention::Plain;
    assert_ne!(config.block.attention, model.config.block.attention);
    let mut other = Gpt::new(&dev, config, 2);
    load_into(&file, &dev, &mut other, &v).unwrap();
    load_into(&file, &dev, &mut model, &v).unwrap();
    assert!(weights(&dev, &other) == weights(&dev, &model));
}

/// What PyTorch has written says nothing about the model: it is taken for the
/// one that is asked for, or refused where nothing is.
#[test]
fn weights_by_pytorch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/reference/gpt/gpt2.safetensors");
    let dev = Cpu::new();
    let e = load_gpt(&file, &dev).unwrap_err().to_string();
    assert!(e.contains("does not say what model it holds"), "{e}");
    let (v, _) = text();
    let mut model = Gpt::new(&dev, tiny(v.len()), 2);
    let e = load_into(&file, &dev, &mut model, &v)
        .unwrap_err()
        .to_string();
    assert!(e.contains("tensor transformer.wte.weight has shape"), "{e}");
}

/// A checkpoint and a file of weights, of a model so small that a change is
/// likely to hit something that counts.
fn saved(name: &str) -> PathBuf {
    let dir = folder(name);
    let v = Vocabulary::of("abc");
    let text = "abcacb".repeat(20);
    let text = Text::new(&text, &v, "x").unwrap();
    let s = Settings {
        steps: 2,
        batch: 1,
        report_every: 1,
        ..Settings::new(Config::gpt2(3, 2, 1, 1, 2))
    };
    let t = straight(s, &text);
    t.save(&dir, ("gpt", text.fingerprint()), &v, None).unwrap();
    let file = dir.join("weights");
    save_gpt(&file, t.device(), &t.model, &v, None).unwrap();
    dir
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Mutated and cut files of weights are read or refused, and what is
    /// accepted is finite.
    #[test]
    fn mutated_weights(
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 0..5),
        digit in prop::option::of((any::<u16>(), b'0'..=b'9')),
        cut in prop::option::of(any::<u16>()),
    ) {
        static DIR: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
        let dir = DIR.get_or_init(|| saved("mutate-weights"));
        let bytes = std::fs::read(dir.join("weights")).unwrap();
        let bytes = mutated(bytes, changes, digit, cut);
        let file = dir.join("mutated");
        std::fs::write(&file, bytes).unwrap();
        let dev = Cpu::new();
        if let Ok((model, v, _)) = load_gpt(&file, &dev) {
            prop_assert_eq!(v.len(), model.config.vocab);
            for w in weights(&dev, &model) {
                prop_assert!(w.iter().all(|x| x.is_finite()));
            }
        }
    }

    /// The same for a checkpoint: the state, and a state that still parses but
    /// does not belong to its tensors. What is restored runs or is refused.
    #[test]
    fn mutated_checkpoint(
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 0..3),
        digit in prop::option::of((any::<u16>(), b'0'..=b'9')),
        cut in prop::option::of(any::<u16>()),
    ) {
        static DIR: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
        let dir = DIR.get_or_init(|| saved("mutate-state"));
        let bytes = std::fs::read(dir.join("state.json")).unwrap();
        let bytes = mutated(bytes, changes, digit, cut);
        let dev = Cpu::new();
        if let Ok(c) = parse_checkpoint(Path::new("f"), &bytes, "gpt")
            && let Ok(mut t) = Trainer::restore(&dev, dir, &c)
            && t.settings.steps < 10
        {
            let text = "abcacb".repeat(20);
            let text = Text::new(&text, &Vocabulary::of("abc"), "x").unwrap();
            let _ = t.learn(&text, go_on);
        }
    }
}

fn mutated(
    mut bytes: Vec<u8>,
    changes: Vec<(u16, u8)>,
    digit: Option<(u16, u8)>,
    cut: Option<u16>,
) -> Vec<u8> {
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
    bytes
}
