//! The GPT's hand-written backward pass: against PyTorch and finite
//! differences on `Textbook`, `Cpu` against PyTorch, and what must not change
//! a bit: checkpointing, and the number of threads.

use backprop::backends::{Cpu, Textbook};
use backprop::device::{Device, Params};
use backprop::network::softmax_cross_entropy::IGNORE;
use backprop::training::files::{
    load_weights, parse_tensors, read_tensors, save_weights,
};
use backprop::training::language::save_adapters;
use backprop::transformer::gpt::model::{
    Activation, Attention, BlockConfig, Config, Dropout, Gpt, Normalization,
    Pass, Positions, Residuals,
};
use backprop::transformer::lora::model::Config as LoraConfig;
use ndarray::{Array1, ArrayD};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::{StandardNormal, Uniform};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::path::{Path, PathBuf};

// ---- tools --------------------------------------------------------------

/// Some texts and what follows each token.
#[derive(Clone)]
struct Texts {
    tokens: Vec<usize>,
    labels: Vec<usize>,
    batch: usize,
}

impl Texts {
    fn random(vocab: usize, batch: usize, length: usize, seed: u64) -> Texts {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let any = Uniform::new(0, vocab).expect("a token");
        let mut draw = || Array1::random_using(batch * length, any, &mut rng);
        Texts {
            tokens: draw().to_vec(),
            labels: draw().to_vec(),
            batch,
        }
    }

    /// Texts `from` up to `to` alone.
    fn part(&self, from: usize, to: usize) -> Texts {
        let length = self.tokens.len() / self.batch;
        let rows = from * length..to * length;
        Texts {
            tokens: self.tokens[rows.clone()].to_vec(),
            labels: self.labels[rows].to_vec(),
            batch: to - from,
        }
    }
}

/// Adds the gradient to `grads` and returns the loss.
fn accumulate<D: Device>(
    dev: &D,
    model: &Gpt<D::Tensor>,
    texts: &Texts,
    pass: &Pass,
    grads: &mut Gpt<Option<D::Tensor>>,
) -> f64 {
    let ids = dev.upload_ids(&texts.tokens);
    let labels = dev.upload_ids(&texts.labels);
    let kept = &mut Residuals::default();
    let loss = model.loss_and_grad(dev, &ids, &labels, pass, kept, grads);
    dev.read(&loss)[0]
}

/// A name and, unless it is frozen, the gradient.
type Grads = Vec<(String, Option<ArrayD<f64>>)>;

fn read_grads<D: Device>(dev: &D, grads: &Gpt<Option<D::Tensor>>) -> Grads {
    let read = |g: &Option<D::Tensor>| g.as_ref().map(|g| dev.read(g));
    let names = grads.names().into_iter().map(|n| n.name);
    names.zip(grads.tensors().map(read)).collect()
}

fn loss_and_grads<D: Device>(
    dev: &D,
    model: &Gpt<D::Tensor>,
    texts: &Texts,
    pass: &Pass,
) -> (f64, Grads) {
    let mut grads = model.zeros(dev);
    let loss = accumulate(dev, model, texts, pass, &mut grads);
    (loss, read_grads(dev, &grads))
}

fn norm(a: &ArrayD<f64>) -> f64 {
    a.mapv(|x| x * x).sum().sqrt()
}

fn relative(got: &ArrayD<f64>, want: &ArrayD<f64>) -> f64 {
    assert_eq!(got.shape(), want.shape());
    norm(&(got - want)) / norm(want)
}

#[track_caller]
fn assert_near(got: &Grads, want: &Grads, tol: f64) {
    assert_eq!(got.len(), want.len());
    for ((name, got), (_, want)) in got.iter().zip(want) {
        let (got, want) = (got.as_ref().unwrap(), want.as_ref().unwrap());
        let error = relative(got, want);
        assert!(error <= tol, "{name}: relative error {error:.1e}");
    }
}

#[track_caller]
fn assert_same_bits(got: &(f64, Grads), want: &(f64, Grads), what: &str) {
    assert_eq!(got.0.to_bits(), want.0.to_bits(), "{what}: the loss");
    for ((name, got), (_, want)) in got.1.iter().zip(&want.1) {
        let bits = |a: &Option<ArrayD<f64>>| -> Vec<u64> {
            a.iter().flatten().map(|x| x.to_bits()).collect()
        };
        assert!(bits(got) == bits(want), "{what}: {name}");
        assert!(!bits(want).is_empty(), "{what}: {name} is frozen");
    }
}

/// Moves every parameter by a random amount, so that none is zero and no two
/// rows of a table are nearly the same.
fn shake<D: Device>(dev: &D, model: &mut Gpt<D::Tensor>, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for t in model.tensors_mut() {
        let noise =
            ArrayD::random_using(dev.shape(t), StandardNormal, &mut rng);
        let x = dev.read(t) + noise.mapv(|z: f64| 0.2 * z);
        dev.write(t, x.mapv(|x| f64::from(x as f32)).view());
    }
}

/// A configuration whose sizes are pairwise different.
fn tiny() -> Config {
    Config {
        vocab: 11,
        context: 7,
        layers: 2,
        block: BlockConfig {
            width: 12,
            heads: 6,
            keys: 3,
            hidden: 10,
            norm: Normalization::LayerNorm,
            activation: Activation::Gelu,
            positions: Positions::Learned,
            attention: Attention::Plain,
        },
    }
}

const NORMS: [Normalization; 2] =
    [Normalization::LayerNorm, Normalization::RmsNorm];
const ACTIVATIONS: [Activation; 3] =
    [Activation::Gelu, Activation::GeluTanh, Activation::SwiGlu];
const POSITIONS: [Positions; 2] = [Positions::Learned, Positions::Rope];
const ATTENTIONS: [Attention; 2] = [Attention::Plain, Attention::Tiled];

/// Every combination of what a configuration chooses.
fn every_kind() -> impl Iterator<Item = Config> {
    NORMS.into_iter().flat_map(|norm| {
        ACTIVATIONS.into_iter().flat_map(move |activation| {
            POSITIONS.into_iter().flat_map(move |positions| {
                ATTENTIONS.into_iter().map(move |attention| {
                    let mut config = tiny();
                    let b = &mut config.block;
                    b.norm = norm;
                    b.activation = activation;
                    b.positions = positions;
                    b.attention = attention;
                    config
                })
            })
        })
    })
}

const DROPOUT: Dropout = Dropout {
    rate: 0.3,
    seed: 5,
    step: 2,
};

// ---- PyTorch ------------------------------------------------------------

/// A case of `reference/gpt.json`, with its files in `folder`.
struct Case {
    folder: PathBuf,
    name: String,
    about: Value,
}

impl Case {
    fn all() -> Vec<Case> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("tests/reference/gpt");
        Case::read(&folder, include_str!("reference/gpt.json"))
    }

    fn read(folder: &Path, file: &str) -> Vec<Case> {
        let file: Value = serde_json::from_str(file).unwrap();
        let cases = file["cases"].as_object().unwrap().iter();
        cases
            .map(|(name, about)| Case {
                folder: folder.into(),
                name: name.clone(),
                about: about.clone(),
            })
            .collect()
    }

    fn usize(&self, key: &str) -> usize {
        self.about["config"][key].as_u64().unwrap() as usize
    }

    fn config(&self, attention: Attention) -> Config {
        let choice = |key| self.about["config"][key].as_str().unwrap();
        let norm = match choice("norm") {
            "layer" => Normalization::LayerNorm,
            "rms" => Normalization::RmsNorm,
            other => panic!("{other}"),
        };
        let activation = match choice("mlp") {
            "gelu" => Activation::Gelu,
            "gelu_tanh" => Activation::GeluTanh,
            "swiglu" => Activation::SwiGlu,
            other => panic!("{other}"),
        };
        let positions = match choice("positions") {
            "learned" => Positions::Learned,
            "rope" => Positions::Rope,
            other => panic!("{other}"),
        };
        Config {
            vocab: self.usize("vocab"),
            context: self.usize("context"),
            layers: self.usize("layers"),
            block: BlockConfig {
                width: self.usize("width"),
                heads: self.usize("heads"),
                keys: self.usize("kv_heads"),
                hidden: self.usize("hidden"),
                norm,
                activation,
                positions,
                attention,
            },
        }
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        serde_json::from_value(self.about[key].clone()).unwrap()
    }

    fn texts(&self) -> Texts {
        let ids = |key: &str| -> Vec<usize> {
            let ids = self.about[key].as_array().unwrap().iter();
            // PyTorch's -100 is not an index
            let id = |x: &Value| x.as_u64().map_or(IGNORE, |x| x as usize);
            ids.map(id).collect()
        };
        Texts {
            tokens: ids("tokens"),
            labels: ids("labels"),
            batch: self.about["batch"].as_u64().unwrap() as usize,
        }
    }

    fn pass(&self) -> Pass {
        Pass {
            smoothing: self.about["smoothing"].as_f64().unwrap_or(0.),
            ..Pass::new(self.texts().batch)
        }
    }

    fn lora(&self) -> Option<LoraConfig> {
        let rank = self.about["rank"].as_u64()? as usize;
        let on = |layer: &str| {
            let chosen = self.about["on"].as_array();
            chosen.is_none_or(|on| on.iter().any(|l| l == layer))
        };
        Some(LoraConfig {
            rank,
            alpha: self.about["alpha"].as_f64().unwrap(),
            qkv: on("attn.c_attn"),
            out: on("attn.c_proj"),
            up: on("mlp.c_fc"),
            down: on("mlp.c_proj"),
        })
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// The model, with the weights that PyTorch wrote.
    fn model<D: Device>(
        &self,
        dev: &D,
        attention: Attention,
    ) -> Gpt<D::Tensor> {
        let mut model = Gpt::new(dev, self.config(attention), 1);
        if let Some(lora) = self.lora() {
            model.add_adapters(dev, lora, 2);
        }
        let file = self.file("safetensors");
        load_weights(&file, dev, &mut model).unwrap();
        model
    }
}

/// Logits, loss, and the gradient of every parameter; frozen ones have none.
fn against_pytorch<D: Device>(dev: &D, tol: f64) {
    for case in Case::all() {
        for attention in ATTENTIONS {
            let what = format!("{} {attention:?}", case.name);
            let model = case.model(dev, attention);
            let texts = case.texts();
            let got = model.predict(dev, &texts.tokens, texts.batch);
            let want = case.numbers("logits");
            let want = ArrayD::from_shape_vec(got.shape(), want).unwrap();
            let error = relative(&got, &want);
            assert!(error < tol, "{what}, logits: {error:.1e}");

            let (loss, grads) =
                loss_and_grads(dev, &model, &texts, &case.pass());
            let want = case.about["loss"].as_f64().unwrap();
            assert!((loss - want).abs() < tol * want, "{what}: loss {loss}");
            let mut file = read_tensors(&case.file("grads.safetensors"))
                .expect("a file of gradients");
            let names = model.names();
            for ((name, grad), on_disk) in grads.iter().zip(&names) {
                let Some(grad) = grad else {
                    assert!(case.lora().is_some() && !name.contains("lora"));
                    continue;
                };
                let want = file.remove(name).expect(name);
                let want = if on_disk.transposed {
                    want.reversed_axes()
                } else {
                    want
                };
                let error = relative(grad, &want);
                assert!(error < tol, "{what}, {name}: {error:.1e}");
            }
            assert!(file.is_empty(), "{what}: {:?}", file.keys());
        }
    }
}

#[test]
fn textbook_agrees_with_pytorch() {
    against_pytorch(&Textbook, 1e-9);
}

#[test]
fn cpu_agrees_with_pytorch() {
    against_pytorch(&Cpu::new(), 1e-4);
}

/// What we write is what PyTorch wrote: names, shapes and bits.
#[test]
fn weights_go_through_a_file_and_back() {
    for case in Case::all() {
        let dev = &Textbook;
        let model = case.model(dev, Attention::Plain);
        let name = format!("{}-again.safetensors", case.name);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        save_weights(&path, dev, &model).unwrap();
        let written = read_tensors(&path).unwrap();
        let given = read_tensors(&case.file("safetensors")).unwrap();
        assert!(written == given, "{}", case.name);
    }
}

/// As PyTorch's `state_dict` has it: the table under both its names.
#[test]
fn a_head_in_the_file_must_be_the_table() {
    let case = &Case::all()[0];
    let dev = &Textbook;
    let bytes = std::fs::read(case.file("safetensors")).unwrap();
    let path = Path::new("state_dict.safetensors");
    let head = "lm_head.weight";
    let mut tensors = parse_tensors(path, &bytes).unwrap();
    let table = tensors["transformer.wte.weight"].clone();
    tensors.insert(head.into(), table);
    let mut model = Gpt::new(dev, case.config(Attention::Plain), 1);
    let load = |tensors, model: &mut Gpt<_>| {
        backprop::training::files::load_tensors(path, tensors, dev, model)
    };
    load(tensors.clone(), &mut model).unwrap();
    let want = case.model(dev, Attention::Plain);
    assert!(model.tensors().zip(want.tensors()).all(|(a, b)| a == b));
    // Another head is another model, and nothing of the file is loaded.
    tensors.get_mut(head).unwrap()[[2, 3]] += 1e-3;
    let mut fresh = Gpt::new(dev, case.config(Attention::Plain), 1);
    let e = load(tensors, &mut fresh).unwrap_err().to_string();
    assert!(e.contains("tensor lm_head.weight is not equal"), "{e}");
    let want = Gpt::new(dev, case.config(Attention::Plain), 1);
    assert!(fresh.tensors().zip(want.tensors()).all(|(a, b)| a == b));
}

/// The part of `reference/roundtrip.py` that is ours: for every case that it
/// wrote, loss, gradients and the weights again.
#[test]
#[ignore = "run by tests/reference/roundtrip.py"]
fn round_trip() {
    let folder = std::env::var("ROUND_TRIP").expect("a folder");
    let folder = Path::new(&folder);
    let file = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let dev = &Cpu::new();
    for case in Case::read(folder, &file) {
        let mut model = case.model(dev, Attention::Tiled);
        let (loss, grads) =
            loss_and_grads(dev, &model, &case.texts(), &case.pass());
        save_weights(&case.file("back.safetensors"), dev, &model).unwrap();
        let about = serde_json::json!({ "loss": loss });
        std::fs::write(case.file("back.json"), about.to_string()).unwrap();
        // Gradients are written as a model whose weights they are.
        for (t, (_, grad)) in model.tensors_mut().zip(&grads) {
            match grad {
                Some(grad) => dev.write(t, grad.view()),
                None => dev.clear(t),
            }
        }
        let file = case.file("back.grads.safetensors");
        save_weights(&file, dev, &model).unwrap();
    }
}

/// Logits, loss, every gradient and the merged logits of models that the PEFT
/// library has adapted and merged.
#[test]
#[ignore = "run by tests/reference/lora.py"]
fn against_peft() {
    let folder = std::env::var("PEFT_CASES").expect("a folder");
    let folder = Path::new(&folder);
    let file = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let dev = &Textbook;
    println!("             logits     loss  gradients   merged   adapters on");
    for case in Case::read(folder, &file) {
        let mut model = case.model(dev, Attention::Plain);
        let texts = case.texts();
        let logits = |model: &Gpt<ArrayD<f64>>, key: &str| {
            let got = model.predict(dev, &texts.tokens, texts.batch);
            let want = case.numbers(key);
            relative(&got, &ArrayD::from_shape_vec(got.shape(), want).unwrap())
        };
        let adapted = logits(&model, "logits");
        let (loss, grads) = loss_and_grads(dev, &model, &texts, &case.pass());
        let want = case.about["loss"].as_f64().unwrap();
        let loss = (loss - want).abs() / want;
        let mut file = read_tensors(&case.file("grads.safetensors")).unwrap();
        let mut worst = 0_f64;
        for ((name, grad), on_disk) in grads.iter().zip(&model.names()) {
            let Some(grad) = grad else { continue };
            let want = file.remove(name).expect(name);
            let want = match on_disk.transposed {
                true => want.reversed_axes(),
                false => want,
            };
            let error = relative(grad, &want);
            assert!(!error.is_nan(), "{}: {name} is NaN", case.name);
            worst = worst.max(error);
        }
        let left = file.is_empty();
        let saved = folder.join(format!("{}-adapters", case.name));
        std::fs::create_dir(&saved).unwrap();
        let saved = saved.join("adapter_model.safetensors");
        let lora = case.lora().expect("adapters");
        save_adapters(&saved, dev, &model, &lora).unwrap();
        model.merge(dev);
        let merged = logits(&model, "merged");
        println!(
            "{:<10} {adapted:>8.1e} {loss:>8.1e}   {worst:>8.1e} \
             {merged:>8.1e}   {}, rank {}",
            case.name, case.about["on"], case.about["rank"],
        );
        assert!(left, "PEFT has a gradient that we have not");
        let all = [adapted, loss, worst, merged];
        assert!(all.iter().all(|e| *e < 1e-12), "{}: {all:?}", case.name);
    }
}

// ---- finite differences -------------------------------------------------

/// Every `stride`-th entry of every parameter that has a gradient, by
/// differences of fourth order.
#[track_caller]
fn gradcheck(model: &mut Gpt<ArrayD<f64>>, pass: &Pass, stride: usize) {
    let dev = &Textbook;
    let config = model.config;
    let texts = Texts::random(config.vocab, pass.batch, 5, 3);
    let (_, grads) = loss_and_grads(dev, model, &texts, pass);
    for (i, (name, grad)) in grads.iter().enumerate() {
        let Some(grad) = grad else { continue };
        let size = norm(grad);
        assert!(size > 1e-3, "{name}: the gradient is {size:.1e}");
        // Another entry to begin with for every tensor.
        let entries = (i % stride.min(grad.len())..grad.len()).step_by(stride);
        let (mut off, mut all) = (0f64, 0f64);
        for k in entries {
            let h = 1e-3;
            let mut loss = |d: f64| {
                let entry = |m: &mut Gpt<ArrayD<f64>>, d: f64| {
                    let t = m.tensors_mut().nth(i).unwrap();
                    t.as_slice_mut().unwrap()[k] += d;
                };
                entry(model, d);
                let (loss, _) = loss_and_grads(dev, model, &texts, pass);
                entry(model, -d);
                loss
            };
            let near = loss(h) - loss(-h);
            let far = loss(2. * h) - loss(-2. * h);
            let want = pass.dloss * (8. * near - far) / (12. * h);
            off += (grad.as_slice().unwrap()[k] - want).powi(2);
            all += want * want;
        }
        let error = off.sqrt() / (all.sqrt() + 1e-3);
        assert!(error < 1e-8, "{config:?} {name}: {error:.1e}");
    }
}

/// With dropout, smoothing and a loss that is one term of a sum.
fn pass() -> Pass {
    Pass {
        dropout: Some(DROPOUT),
        smoothing: 0.1,
        dloss: 0.7,
        ..Pass::new(4)
    }
}

#[test]
fn gradients_of_every_kind_of_model() {
    for config in every_kind() {
        let mut model = Gpt::new(&Textbook, config, 1);
        shake(&Textbook, &mut model, 2);
        gradcheck(&mut model, &pass(), 29);
    }
}

#[test]
fn gradients_of_every_entry() {
    let mut gpt2 = tiny();
    gpt2.block.keys = 6;
    let mut llama = tiny();
    llama.block.norm = Normalization::RmsNorm;
    llama.block.activation = Activation::SwiGlu;
    llama.block.positions = Positions::Rope;
    llama.block.attention = Attention::Tiled;
    for config in [gpt2, llama] {
        let mut model = Gpt::new(&Textbook, config, 3);
        shake(&Textbook, &mut model, 4);
        gradcheck(&mut model, &Pass::new(3), 1);
    }
}

#[test]
fn gradients_of_adapters() {
    for (config, lora) in every_kind().step_by(5).zip(some_layers()) {
        let mut model = Gpt::new(&Textbook, config, 1);
        model.add_adapters(&Textbook, lora, 7);
        shake(&Textbook, &mut model, 2);
        gradcheck(&mut model, &pass(), 1);
    }
}

/// All layers, and each alone.
fn some_layers() -> impl Iterator<Item = LoraConfig> {
    (0..5).map(|i| LoraConfig {
        rank: 3,
        alpha: 5.,
        qkv: i == 0 || i == 1,
        out: i == 0 || i == 2,
        up: i == 0 || i == 3,
        down: i == 0 || i == 4,
    })
}

// ---- what changes nothing -----------------------------------------------

/// With and without dropout: the masks are drawn again, not kept.
fn checkpointing_keeps_every_bit<D: Device>(dev: &D, config: Config) {
    let config = Config {
        layers: 5,
        ..config
    };
    let mut model = Gpt::new(dev, config, 1);
    shake(dev, &mut model, 2);
    let texts = Texts::random(config.vocab, 3, 7, 4);
    for dropout in [None, Some(DROPOUT)] {
        let run = |checkpoint| {
            let pass = Pass {
                checkpoint,
                dropout,
                ..Pass::new(3)
            };
            loss_and_grads(dev, &model, &texts, &pass)
        };
        let want = run(0);
        for k in 1..=6 {
            let what = format!("{config:?}, every {k} blocks");
            assert_same_bits(&run(k), &want, &what);
        }
    }
}

#[test]
fn checkpointing_on_textbook() {
    every_kind()
        .step_by(3)
        .for_each(|c| checkpointing_keeps_every_bit(&Textbook, c));
}

#[test]
fn checkpointing_on_cpu() {
    every_kind().for_each(|c| checkpointing_keeps_every_bit(&Cpu::new(), c));
}

/// Dropout is on in training alone, its masks change from step to step, and
/// half of it is half of the entries.
#[test]
fn dropout_depends_on_seed_and_step() {
    let dev = &Textbook;
    let mut model = Gpt::new(dev, tiny(), 1);
    shake(dev, &mut model, 2);
    let texts = Texts::random(11, 3, 7, 4);
    let loss = |dropout| {
        let pass = Pass {
            dropout,
            ..Pass::new(3)
        };
        loss_and_grads(dev, &model, &texts, &pass).0
    };
    let (seed, step) = (DROPOUT.seed + 1, DROPOUT.step + 1);
    let losses = [
        loss(None),
        loss(Some(DROPOUT)),
        loss(Some(Dropout { seed, ..DROPOUT })),
        loss(Some(Dropout { step, ..DROPOUT })),
    ];
    for i in 0..losses.len() {
        assert!(losses[..i].iter().all(|l| *l != losses[i]), "{losses:?}");
    }
    let none = Dropout {
        rate: 0.,
        ..DROPOUT
    };
    assert_eq!(loss(Some(none)), losses[0]);
}

/// Loss and gradients of `parts` batches, each weighted by its share, against
/// those of all texts at once.
fn parts_add_up<D: Device>(dev: &D, config: Config, tol: f64) {
    let mut model = Gpt::new(dev, config, 1);
    shake(dev, &mut model, 2);
    let texts = Texts::random(config.vocab, 6, 7, 4);
    let whole = loss_and_grads(dev, &model, &texts, &Pass::new(6));
    for parts in [2, 3, 6] {
        let mut grads = model.zeros(dev);
        let mut loss = 0.;
        let size = 6 / parts;
        for from in (0..6).step_by(size) {
            let part = texts.part(from, from + size);
            let pass = Pass {
                dloss: 1. / parts as f64,
                ..Pass::new(size)
            };
            loss += accumulate(dev, &model, &part, &pass, &mut grads)
                / parts as f64;
        }
        assert!((loss - whole.0).abs() < tol * whole.0);
        assert_near(&read_grads(dev, &grads), &whole.1, tol);
    }
}

#[test]
fn parts_of_a_batch_add_up() {
    every_kind().for_each(|c| parts_add_up(&Textbook, c, 1e-13));
    for config in every_kind().step_by(5) {
        parts_add_up(&Cpu::new(), config, 1e-6);
    }
}

/// A text's loss does not depend on the texts beside it, nor a token's logits
/// on the tokens after it.
#[test]
fn texts_are_independent_and_nobody_sees_the_future() {
    let dev = &Cpu::new();
    for config in every_kind() {
        let mut model = Gpt::new(dev, config, 1);
        shake(dev, &mut model, 2);
        let texts = Texts::random(config.vocab, 4, 7, 4);
        let logits = model.predict(dev, &texts.tokens, 4);
        let alone = model.predict(dev, &texts.part(2, 3).tokens, 1);
        let rows = ndarray::s![14..21, ..];
        let error = relative(&alone, &logits.slice(rows).to_owned().into_dyn());
        assert!(error < 1e-5, "{config:?}: {error:.1e}");
        let mut other = texts.tokens.clone();
        other[5] = (other[5] + 1) % config.vocab;
        let changed = model.predict(dev, &other, 4);
        let row =
            |a: &ArrayD<f64>, n: usize| a.slice(ndarray::s![n, ..]).to_vec();
        for n in 0..28 {
            let same = row(&changed, n) == row(&logits, n);
            assert_eq!(same, n != 5 && n != 6, "{config:?}: row {n}");
        }
    }
}

/// Three whole steps: two batches accumulated, clipped, AdamW.
#[cfg(feature = "parallel")]
fn three_steps(dev: &Cpu, config: Config, checkpoint: usize) -> Vec<u64> {
    let mut model = Gpt::new(dev, config, 1);
    let (mut m, mut v) = (model.zeros(dev), model.zeros(dev));
    let mut grads = model.zeros(dev);
    let mut squares = dev.zeros(&[model.names().len()]);
    let mut bits = Vec::new();
    for step in 1..=3 {
        grads.tensors_mut().flatten().for_each(|g| dev.clear(g));
        for half in 0..2 {
            let seed = 2 * u64::from(step) + half;
            let texts = Texts::random(config.vocab, 3, 100, seed);
            let pass = Pass {
                checkpoint,
                dropout: Some(Dropout { step, ..DROPOUT }),
                smoothing: 0.1,
                dloss: 0.5,
                batch: 3,
            };
            let loss = accumulate(dev, &model, &texts, &pass, &mut grads);
            bits.push(loss.to_bits());
        }
        for (slot, g) in grads.tensors().flatten().enumerate() {
            dev.sum_of_squares(g, &mut squares, slot);
        }
        let factor = dev.clip(&squares, 0.5);
        let set = backprop::device::AdamW {
            lr: 1e-2,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            decay: 0.1,
            step: u64::from(step),
        };
        let moments = m.tensors_mut().zip(v.tensors_mut());
        let params = model.tensors_mut().zip(grads.tensors());
        for ((w, dw), (m, v)) in params.zip(moments) {
            if let (Some(dw), Some(m), Some(v)) = (dw, m, v) {
                dev.adamw(w, dw, m, v, &factor, set);
            }
        }
    }
    let after = model.tensors().map(|t| dev.read(t));
    let moments = m.tensors().chain(v.tensors()).flatten();
    let all = after.chain(moments.map(|t| dev.read(t)));
    bits.extend(all.flatten().map(f64::to_bits));
    bits
}

/// Large enough for every op to be shared out: row loops from 32 Ki entries,
/// products from 4 Mi multiply-adds.
#[cfg(feature = "parallel")]
#[test]
fn the_same_bits_at_any_thread_count() {
    let sizes = |config: Config| Config {
        vocab: 300,
        context: 100,
        layers: 2,
        block: BlockConfig {
            width: 144,
            hidden: 400,
            ..config.block
        },
    };
    for config in every_kind().step_by(7).map(sizes) {
        let on_threads = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
            let pool = pool.unwrap();
            pool.install(|| three_steps(&Cpu::new(), config, 0))
        };
        let want = on_threads(1);
        for n in [2, 5] {
            assert!(on_threads(n) == want, "{config:?}: {n} threads");
        }
        // And not on how much is computed twice.
        assert!(three_steps(&Cpu::new(), config, 1) == want, "{config:?}");
    }
}

// ---- adapters -----------------------------------------------------------

fn adapters<D: Device>(dev: &D, tol: f64) {
    for (config, lora) in every_kind().step_by(5).zip(some_layers()) {
        let mut model = Gpt::new(dev, config, 1);
        shake(dev, &mut model, 2);
        let texts = Texts::random(config.vocab, 3, 7, 4);
        let before = model.predict(dev, &texts.tokens, 3);
        model.add_adapters(dev, lora, 5);
        // B is zero: the adapted model begins as the model it adapts.
        let fresh = model.predict(dev, &texts.tokens, 3);
        assert!(relative(&fresh, &before) < 1e-6);
        shake(dev, &mut model, 6);
        let (_, grads) = loss_and_grads(dev, &model, &texts, &Pass::new(3));
        for (name, grad) in &grads {
            assert_eq!(grad.is_some(), name.contains("lora"), "{name}");
        }
        let (trained, all) = model.counts(dev);
        let count = |only: &dyn Fn(&str) -> bool| -> usize {
            let named = model.names().into_iter().zip(model.tensors());
            let len = |t| dev.shape(t).iter().product::<usize>();
            named
                .filter(|(n, _)| only(&n.name))
                .map(|(_, t)| len(t))
                .sum()
        };
        assert_eq!(trained, count(&|n| n.contains("lora")));
        assert_eq!(all, count(&|_| true));

        let adapted = model.predict(dev, &texts.tokens, 3);
        assert!(relative(&adapted, &before) > 0.1, "adapters do something");
        let loss = loss_and_grads(dev, &model, &texts, &Pass::new(3)).0;
        model.merge(dev);
        assert!(!model.has_adapters());
        assert_eq!(model.names(), Gpt::new(dev, config, 1).names());
        let merged = model.predict(dev, &texts.tokens, 3);
        let error = relative(&merged, &adapted);
        assert!(error < tol, "merged: {error:.1e}");
        let after = loss_and_grads(dev, &model, &texts, &Pass::new(3)).0;
        assert!((after - loss).abs() < tol * loss);
    }
}

#[test]
fn merged_and_adapted_models_agree() {
    adapters(&Textbook, 1e-13);
    adapters(&Cpu::new(), 1e-5);
}

// ---- other ways to the same numbers -------------------------------------

#[test]
fn the_loss_alone_is_the_loss_of_a_step() {
    for config in every_kind() {
        let dev = &Textbook;
        let mut model = Gpt::new(dev, config, 1);
        shake(dev, &mut model, 2);
        let texts = Texts::random(config.vocab, 3, 7, 4);
        let (ids, labels) = (&texts.tokens, &texts.labels);
        let want = loss_and_grads(dev, &model, &texts, &Pass::new(3)).0;
        let got = dev.read(&model.loss(dev, ids, labels, 3))[0];
        assert!((got - want).abs() < 1e-14);
        // By the formula, from the logits.
        let logits = model.predict(dev, ids, 3);
        let mut by_hand = 0.;
        for (row, label) in logits.outer_iter().zip(labels) {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            by_hand += (sum.ln() - row[*label]) / labels.len() as f64;
        }
        assert!((got - by_hand).abs() < 1e-12);
    }
}

#[test]
fn sizes_are_counted_and_checked() {
    for config in every_kind() {
        let model = Gpt::new(&Textbook, config, 1);
        let all: usize = model.tensors().map(|t| t.len()).sum();
        assert_eq!(all, config.parameters());
        assert_eq!(model.counts(&Textbook), (all, all));
        assert_eq!(model.names().len(), model.tensors().count());
    }
    let wrong = |change: &dyn Fn(&mut Config), what: &str| {
        let mut config = tiny();
        config.block.positions = Positions::Rope;
        change(&mut config);
        let e = config.check().unwrap_err();
        assert!(e.contains(what) && e.contains("Choose"), "{e}");
    };
    wrong(&|c| c.vocab = 0, "vocab is 0");
    wrong(&|c| c.block.width = usize::MAX, "width is");
    wrong(&|c| c.block.heads = 5, "cannot be shared by 5 heads");
    wrong(&|c| c.block.keys = 4, "6 heads cannot share 4 keys");
    wrong(&|c| c.block.heads = 12, "cannot be rotated in pairs");
}

#[track_caller]
fn panics(texts: Texts, what: &str) {
    let run = || {
        let dev = &Cpu::new();
        let model = Gpt::new(dev, tiny(), 1);
        loss_and_grads(dev, &model, &texts, &Pass::new(texts.batch))
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .expect_err("a shape that does not fit");
    let message = panic.downcast_ref::<String>().expect("a formatted text");
    assert!(message.contains(what), "{message}");
}

#[test]
fn texts_that_do_not_fit_name_the_fault() {
    let texts = |batch, length| Texts::random(11, batch, length, 1);
    panics(texts(2, 8), "gpt: 8 tokens, the context is 7");
    panics(texts(0, 7), "gpt: 0 tokens are not 0 texts");
    let mut uneven = texts(2, 5);
    uneven.tokens.pop();
    panics(uneven, "gpt: 9 tokens are not 2 texts of one length");
    let mut unknown = texts(2, 5);
    unknown.tokens[3] = 11;
    panics(unknown, "11");
    let mut unknown = texts(2, 5);
    unknown.labels[3] = 11;
    panics(unknown, "11");
    let mut fewer = texts(2, 5);
    fewer.labels.pop();
    panics(fewer, "9");
}
