//! The rows of the comparison with PyTorch: the same work as
//! `benches/peers/pytorch.py`, timed the same way.
//!
//! `benches/peers/compare.py` runs both in turns. By hand:
//!
//!     cargo bench --bench rows                      the names
//!     cargo bench --bench rows -- serve             then `SECONDS NAME` lines
//!     cargo bench --bench rows -- memory NAME       three repeats, then bytes
//!
//! A line on the input is answered by a line of JSON: up to 15 samples in
//! seconds, each the mean over as many repeats as fit.
//!
//! With `--features gpu` the same rows, and some that are larger, run on the
//! GPU: put `gpu` before the word, as in `-- gpu serve`. `-- gpu profile NAME`
//! shows what the kernels of a row take, by the GPU's own clock; with `json`
//! behind it, as a line of JSON for each.

use backprop::backends::Cpu;
#[cfg(feature = "gpu")]
use backprop::backends::Gpu;
use backprop::device::{AdamW, Device, Heads, Params};
use backprop::engine::gemm::matmul_into;
#[cfg(feature = "gpu")]
use backprop::engine::gpu::{
    Options,
    gemm::{Matrix, Product},
};
use backprop::engine::meter::Meter;
use backprop::engine::random;
use backprop::network::mlp::model::{Activation, Mlp, Residuals};
use backprop::transformer::gpt::model::{self as gpt, Config, Gpt, Pass};
use ndarray::Array2;
use serde_json::json;
use std::any::Any;
use std::io::BufRead;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// One repeat; the answer is its time, without what only prepares it. On a
/// device that is far away it is the time until the work is handed over.
type Work = Box<dyn FnMut() -> Duration>;
type Make<D> = Box<dyn Fn(Rc<D>) -> Work>;

/// A device that can be timed.
trait Timed: Device + Sized + 'static {
    /// Whether work goes on after the call that asked for it: repeats are then
    /// timed together, until the last one is done, and nothing is prepared
    /// between them.
    const FAR: bool;
    fn start() -> Self;
    /// Waits for all that was asked for.
    fn settle(&self) {}
    fn meter(&self) -> &Meter;
    /// The sizes of the product alone.
    const PRODUCTS: &[usize];
    fn sgemm(dev: Rc<Self>, n: usize, kind: &str) -> Work;
}

fn timed<T>(f: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let made = f();
    let time = start.elapsed();
    drop(made);
    time
}

/// Every row: its name, and what makes its work on a device.
fn rows<D: Timed>() -> Vec<(String, Make<D>)> {
    let mut rows: Vec<(String, Make<D>)> = vec![];
    for &n in D::PRODUCTS {
        for kind in ["NN", "NT", "TN"] {
            let name = format!("sgemm {n} {kind}");
            rows.push((name, Box::new(move |dev| D::sgemm(dev, n, kind))));
        }
    }
    let mut row = |name: &str, make: fn(Rc<D>) -> Work| {
        rows.push((name.to_owned(), Box::new(make)));
    };
    row("linear 512x1024x1024", linear);
    row("softmax-CE 1024x8192", |dev| softmax_ce(dev, 1024));
    row("LayerNorm 4096x768", |dev| layer_norm(dev, 4096));
    row("GELU 4096x3072", |dev| gelu(dev, 4096));
    row("attention B4 H8 T256 d64", |dev| attention(dev, 4, 256));
    row("attention B1 H8 T1024 d64", |dev| attention(dev, 1, 1024));
    row("attention B1 H8 T4096 d64", |dev| attention(dev, 1, 4096));
    row("MLP 64-128-10 step", mlp_step);
    row("GPT 0.81M step", |dev| {
        gpt_step(dev, Config::gpt2(65, 64, 4, 4, 128), 12)
    });
    row("GPT 10.8M step", |dev| {
        gpt_step(dev, Config::gpt2(65, 256, 6, 6, 384), 8)
    });
    if D::FAR {
        row("softmax-CE 16384x8192", |dev| softmax_ce(dev, 16384));
        row("LayerNorm 65536x768", |dev| layer_norm(dev, 65536));
        row("GELU 16384x3072", |dev| gelu(dev, 16384));
        row("GPT 10.8M B64 step", |dev| {
            gpt_step(dev, Config::gpt2(65, 256, 6, 6, 384), 64)
        });
        row("GPT 85M B8 step", |dev| {
            gpt_step(dev, Config::gpt2(65, 1024, 12, 12, 768), 8)
        });
    }
    rows
}

// ------------------------------------------------------------------- work

fn some(seed: u64, rows: usize, cols: usize) -> Array2<f64> {
    random::normal(&mut random::rng(seed), (rows, cols), 0., 1.)
}

impl Timed for Cpu {
    const FAR: bool = false;
    const PRODUCTS: &[usize] = &[512, 1024, 2048];

    fn start() -> Cpu {
        Cpu::new()
    }

    fn meter(&self) -> &Meter {
        self.meter()
    }

    fn sgemm(_: Rc<Cpu>, n: usize, kind: &str) -> Work {
        let [a, b] = [1, 2].map(|seed| some(seed, n, n).mapv(|x| x as f32));
        let mut c = Array2::zeros((n, n));
        let (a_turned, b_turned) = (kind == "TN", kind == "NT");
        Box::new(move || {
            let a = if a_turned { a.t() } else { a.view() };
            let b = if b_turned { b.t() } else { b.view() };
            timed(|| matmul_into(a, b, c.view_mut()))
        })
    }
}

#[cfg(feature = "gpu")]
fn started(profile: bool) -> Gpu {
    let options = Options {
        unchecked: std::env::var("UNCHECKED").is_ok_and(|v| v == "1"),
        profile,
        patience: Duration::from_secs(300),
        ..Options::default()
    };
    Gpu::start(options).unwrap_or_else(|e| panic!("{e}"))
}

#[cfg(feature = "gpu")]
impl Timed for Gpu {
    const FAR: bool = true;
    const PRODUCTS: &[usize] = &[512, 1024, 2048, 4096, 8192];

    /// `WGPU_ADAPTER_NAME` chooses the GPU; `UNCHECKED=1` leaves out the checks
    /// of indices in the products.
    fn start() -> Gpu {
        started(false)
    }

    fn settle(&self) {
        if !self.runner().finish() {
            let fault = self.fault().map(|f| f.to_string());
            panic!("{}", fault.unwrap_or_default());
        }
    }

    fn meter(&self) -> &Meter {
        self.meter()
    }

    fn sgemm(dev: Rc<Gpu>, n: usize, kind: &str) -> Work {
        let [a, b] = [1, 2].map(|seed| {
            let numbers = some(seed, n, n).mapv(|x| (x as f32).to_bits());
            let array = dev.runner().take(n * n);
            dev.runner()
                .upload(&array, &numbers.into_raw_vec_and_offset().0);
            array
        });
        let c = dev.runner().take(n * n);
        let (a_turned, b_turned) = (kind == "TN", kind == "NT");
        Box::new(move || {
            let (a, b) = (Matrix::new(&a, n), Matrix::new(&b, n));
            let a = if a_turned { a.t() } else { a };
            let b = if b_turned { b.t() } else { b };
            let c = Matrix::new(&c, n);
            timed(|| Product::new([n; 3], a, b, c).run(dev.runner()))
        })
    }
}

/// An array on the device, from the same numbers for the same seed.
fn up<D: Device>(dev: &D, seed: u64, rows: usize, cols: usize) -> D::Tensor {
    dev.upload(some(seed, rows, cols).view().into_dyn())
}

fn linear<D: Timed>(dev: Rc<D>) -> Work {
    let (x, w) = (up(&*dev, 1, 512, 1024), up(&*dev, 2, 1024, 1024));
    let (b, dy) = (dev.zeros(&[1024]), up(&*dev, 3, 512, 1024));
    let (mut dw, mut db) = (dev.zeros(&[1024, 1024]), dev.zeros(&[1024]));
    Box::new(move || {
        timed(|| {
            dev.clear(&mut dw);
            dev.clear(&mut db);
            let y = dev.linear(&x, &w, &b);
            (y, dev.linear_vjp(&x, &w, &dy, &mut dw, &mut db))
        })
    })
}

fn elsewhere<D: Timed>() -> Vec<u64> {
    vec![1; if D::FAR { 0 } else { 1 << 23 }]
}

/// Reads 64 MB, so that what was prepared before the clock starts is as cold
/// as it is for PyTorch, which prepares nothing.
fn cool(elsewhere: &[u64]) {
    std::hint::black_box(elsewhere.iter().fold(0, |a, b| a ^ b));
}

fn softmax_ce<D: Timed>(dev: Rc<D>, rows: usize) -> Work {
    let logits = some(1, rows, 8192).into_dyn();
    let labels: Vec<usize> = (0..rows).map(|b| 7 * b % 8192).collect();
    let labels = dev.upload_ids(&labels);
    let elsewhere = elsewhere::<D>();
    let mut last = None;
    Box::new(move || {
        // The op works in place, so every repeat needs fresh logits; far away
        // those of the last one do.
        let x = last.take().unwrap_or_else(|| dev.upload(logits.view()));
        cool(&elsewhere);
        let mut dx = None;
        let time = timed(|| {
            let (_, p) = dev.softmax_ce(x, &labels, 0.);
            dx = Some(dev.softmax_ce_vjp(p, &labels, 0., 1.));
        });
        last = dx.filter(|_| D::FAR);
        time
    })
}

fn layer_norm<D: Timed>(dev: Rc<D>, rows: usize) -> Work {
    let (x, dy) = (up(&*dev, 1, rows, 768), up(&*dev, 2, rows, 768));
    let gamma = dev.upload(ndarray::Array1::ones(768).view().into_dyn());
    let beta = dev.zeros(&[768]);
    let (mut dgamma, mut dbeta) = (dev.zeros(&[768]), dev.zeros(&[768]));
    Box::new(move || {
        timed(|| {
            dev.clear(&mut dgamma);
            dev.clear(&mut dbeta);
            let (y, stats) = dev.layer_norm(&x, &gamma, &beta, 1e-5);
            let (dg, db) = (&mut dgamma, &mut dbeta);
            (y, dev.layer_norm_vjp(&x, &gamma, &stats, &dy, dg, db))
        })
    })
}

fn gelu<D: Timed>(dev: Rc<D>, rows: usize) -> Work {
    let elsewhere = elsewhere::<D>();
    let x = up(&*dev, 1, rows, 3072);
    let cotangent = some(2, rows, 3072).into_dyn();
    let mut last = None;
    Box::new(move || {
        // The VJP works in place, so every repeat needs a fresh cotangent; far
        // away the last gradient does.
        let dy = last.take().unwrap_or_else(|| dev.upload(cotangent.view()));
        cool(&elsewhere);
        let mut made = None;
        let time = timed(|| made = Some((dev.gelu(&x), dev.gelu_vjp(&x, dy))));
        last = made.filter(|_| D::FAR).map(|(_, dx)| dx);
        time
    })
}

fn attention<D: Timed>(dev: Rc<D>, batch: usize, t: usize) -> Work {
    let heads = Heads {
        batch,
        queries: 8,
        keys: 8,
    };
    let qkv = up(&*dev, 1, batch * t, 3 * 8 * 64);
    let dy = up(&*dev, 2, batch * t, 8 * 64);
    Box::new(move || {
        timed(|| {
            let (y, lse) = dev.flash_attention(&qkv, heads);
            dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads)
        })
    })
}

fn mlp_step<D: Timed>(dev: Rc<D>) -> Work {
    let mut model = Mlp::new(&*dev, &[64, 128, 10], Activation::Relu, 1);
    let mut grads = model.zeros_like(&*dev);
    let mut velocity = model.zeros_like(&*dev);
    let mut kept = Residuals::default();
    let x = random::uniform(&mut random::rng(2), (32, 64), 0.0, 1.0);
    let labels: Vec<usize> = (0..32).map(|b| b % 10).collect();
    Box::new(move || {
        timed(|| {
            grads.tensors_mut().for_each(|g| dev.clear(g));
            let x = dev.upload(x.view().into_dyn());
            let labels = dev.upload_ids(&labels);
            let (kept, grads) = (&mut kept, &mut grads);
            let loss =
                model.loss_and_grad(&*dev, x, &labels, 0.0, 1.0, kept, grads);
            let moments = grads.tensors().zip(velocity.tensors_mut());
            for (w, (dw, v)) in model.tensors_mut().zip(moments) {
                dev.sgd(w, dw, v, 0.01, 0.9, 0.0);
            }
            loss
        })
    })
}

fn gpt_step<D: Timed>(dev: Rc<D>, config: Config, batch: usize) -> Work {
    let mut model = Gpt::new(&*dev, config, 1);
    let [mut grads, mut m, mut v] = [(); 3].map(|()| model.zeros(&*dev));
    let mut kept = gpt::Residuals::default();
    let n = batch * config.context;
    let tokens: Vec<usize> = (0..=n).map(|i| i * i % 65).collect();
    let pass = Pass::new(batch);
    let factor = dev.upload(ndarray::arr1(&[1.]).view().into_dyn());
    let mut set = AdamW {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        decay: 0.1,
        step: 0,
    };
    Box::new(move || {
        timed(|| {
            let ids = dev.upload_ids(&tokens[..n]);
            let labels = dev.upload_ids(&tokens[1..]);
            for g in grads.tensors_mut().flatten() {
                dev.clear(g);
            }
            let (kept, grads) = (&mut kept, &mut grads);
            let loss =
                model.loss_and_grad(&*dev, &ids, &labels, &pass, kept, grads);
            set.step += 1;
            let grads = grads.tensors().flatten();
            let means = m.tensors_mut().flatten();
            let means = means.zip(v.tensors_mut().flatten());
            for (w, (dw, (m, v))) in model.tensors_mut().zip(grads.zip(means)) {
                dev.adamw(w, dw, m, v, &factor, set);
            }
            loss
        })
    })
}

// ------------------------------------------------------------------ clock

/// A tenth of a second to warm up, then `seconds` of samples: at most 15, at
/// least 3, each the mean over as many repeats as fit.
fn samples<D: Timed>(dev: &D, work: &mut Work, seconds: f64) -> Vec<f64> {
    let start = Instant::now();
    let mut one = repeat(dev, work, 1);
    while start.elapsed().as_secs_f64() < 0.1 {
        one = repeat(dev, work, 1).min(one);
    }
    let repeats = (seconds / 15. / one.as_secs_f64().max(1e-7)) as usize;
    let repeats = repeats.max(1);
    let mut samples = vec![];
    let mut total = 0.;
    while samples.len() < 3 || (samples.len() < 15 && total < seconds) {
        let sum = repeat(dev, work, repeats);
        total += sum.as_secs_f64();
        samples.push(sum.as_secs_f64() / repeats as f64);
    }
    samples
}

fn repeat<D: Timed>(dev: &D, work: &mut Work, repeats: usize) -> Duration {
    let start = Instant::now();
    let sum = (0..repeats).map(|_| work()).sum();
    dev.settle();
    if D::FAR { start.elapsed() } else { sum }
}

/// What `f` says, or that it panicked: an op may not be written yet.
fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|e: Box<dyn Any + Send>| {
        let text = e.downcast_ref::<String>().map(String::as_str);
        let text = text.or(e.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic").to_owned()
    })
}

/// The most bytes that this process has held so far, where Linux says so.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The work of row `name` on a device of its own.
fn make<D: Timed>(name: &str, dev: D) -> (Rc<D>, Work) {
    let dev = Rc::new(dev);
    let row = rows::<D>().into_iter().find(|(n, _)| n == name);
    let (_, row) = row.unwrap_or_else(|| panic!("no row is called {name}"));
    let work = row(Rc::clone(&dev));
    (dev, work)
}

fn serve<D: Timed>() {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("lines of text");
        let (seconds, name) = line.split_once(' ').expect("SECONDS NAME");
        let seconds: f64 = seconds.parse().expect("a number of seconds");
        let answer = caught(|| {
            let (dev, mut work) = make(name, D::start());
            samples(&*dev, &mut work, seconds)
        });
        let answer = match answer {
            Ok(samples) => json!({ "samples": samples }),
            Err(error) => json!({ "error": error }),
        };
        println!("{answer}");
    }
}

fn memory<D: Timed>(name: &str) {
    let before = resident();
    let answer = caught(|| {
        let (dev, mut work) = make(name, D::start());
        let kept = dev.meter().live();
        repeat(&*dev, &mut work, 3);
        json!({
            "tensors_kept": kept,
            "tensors_peak": dev.meter().peak(),
            "resident_before": before,
            "resident_peak": resident(),
        })
    });
    println!(
        "{}",
        answer.unwrap_or_else(|error| json!({ "error": error }))
    );
}

fn answer<D: Timed>(words: &[&str]) {
    match *words {
        ["serve"] => serve::<D>(),
        ["memory", name] => memory::<D>(name),
        [] => rows::<D>().iter().for_each(|(name, _)| println!("{name}")),
        _ => panic!("what is {words:?}? See the head of benches/rows.rs"),
    }
}

#[cfg(feature = "gpu")]
fn answer_on_gpu(words: &[&str]) {
    match *words {
        ["about"] => {
            let dev = started(false);
            let about = dev.capabilities();
            println!(
                "{}",
                json!({ "gpu": about.name, "driver": about.driver,
                "api": about.api, "kind": about.kind })
            );
        }
        ["profile", name] => profile(name, false),
        ["profile", name, "json"] => profile(name, true),
        _ => answer::<Gpu>(words),
    }
}

#[cfg(not(feature = "gpu"))]
fn answer_on_gpu(_: &[&str]) {
    panic!("this build knows no GPU: cargo bench --features gpu …");
}

/// Each kernel of a row: how often a repeat calls it, how long a call takes,
/// and its share of the repeat.
#[cfg(feature = "gpu")]
fn profile(name: &str, as_json: bool) {
    let (dev, mut work) = make(name, started(true));
    repeat(&*dev, &mut work, 1);
    dev.timings();
    const REPEATS: u64 = 3;
    repeat(&*dev, &mut work, REPEATS as usize);
    let timings = dev.timings();
    let all: Duration = timings.iter().map(|t| t.time).sum();
    if !as_json {
        println!("{}", dev.capabilities());
        println!("{:>7} {:>12} {:>6}  kernel", "calls", "each", "share");
    }
    for t in timings {
        let (calls, each) = (t.calls / REPEATS, t.time / t.calls as u32);
        let share = t.time.as_secs_f64() / all.as_secs_f64();
        let row = json!({
            "kernel": t.kernel, "calls": calls,
            "each_s": each.as_secs_f64(), "share": share,
        });
        match as_json {
            true => println!("{row}"),
            false => println!(
                "{calls:>7} {each:>12.1?} {:>5.1}%  {}",
                100. * share,
                t.kernel
            ),
        }
    }
}

fn run() {
    // Cargo adds --bench.
    let words = std::env::args().skip(1).filter(|a| a != "--bench");
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.split_first() {
        Some((&"gpu", words)) => answer_on_gpu(words),
        _ => answer::<Cpu>(&words),
    }
}

/// Inside the pool, as a training run is: its threads are then never woken
/// from outside.
#[cfg(feature = "parallel")]
fn main() {
    rayon::scope(|_| run());
}

#[cfg(not(feature = "parallel"))]
fn main() {
    run();
}
