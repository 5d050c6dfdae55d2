//! After the first step a training step makes no allocation of ours.
//!
//! The matrix product's packing buffers are counted apart. For the perceptron
//! the same products are run alone, on arrays of the same shapes, and their
//! allocations must be all that a step makes. For the GPT, whose products are
//! many, they are told by their layout.

use backprop::backends::Cpu;
use backprop::device::{AdamW, Device, Model, Params};
use backprop::discrete::reinforce::grid::Visit;
use backprop::discrete::reinforce::model as reinforce;
use backprop::discrete::straight_through::model::{Kept, Quantised};
use backprop::engine::gemm::{matmul_acc, matmul_into};
use backprop::network::mlp::model::{self as mlp, Mlp};
use backprop::recurrent::bptt::model as bptt;
use backprop::training::language::{
    Event, Sampling, Settings, Trainer, rnn, sample,
};
use backprop::training::text::Text;
use backprop::transformer::gpt::model::{
    Activation, Attention, Config, Dropout, Gpt, Normalization, Pass, Positions,
};
use backprop::transformer::{gpt, lora};
use ndarray::Array2;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow::Continue;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static PACKING: AtomicUsize = AtomicUsize::new(0);

/// Counts an allocation. The product's buffers are aligned to a cache line,
/// and its marks of what is packed are zeroed bytes; nothing of ours is either.
fn count(layout: Layout, zeroed: bool) {
    COUNT.fetch_add(1, Relaxed);
    if layout.align() >= 64 || zeroed && layout.align() == 1 {
        PACKING.fetch_add(1, Relaxed);
    }
}

/// Allocations that are not the product's.
fn ours() -> usize {
    COUNT.load(Relaxed) - PACKING.load(Relaxed)
}

// SAFETY: forwards to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, false);
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, n: usize) -> *mut u8 {
        count(layout, false);
        unsafe { System.realloc(p, layout, n) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout, true);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of `f`, after one call that fills pools and thread-locals: the
/// least of eight calls. The threads allocate now and then for themselves, for
/// their queues; what `f` allocates it allocates in every call.
fn later_allocations(mut f: impl FnMut()) -> usize {
    f();
    let once = |_| {
        let before = COUNT.load(Relaxed);
        f();
        COUNT.load(Relaxed) - before
    };
    (0..8).map(once).min().expect("eight calls")
}

const BATCH: usize = 32;
const SIZES: [usize; 4] = [64, 128, 32, 10];

/// What the products of one step allocate by themselves.
fn packing() -> usize {
    SIZES
        .windows(2)
        .enumerate()
        .map(|(l, io)| {
            let x = Array2::<f32>::zeros((BATCH, io[0]));
            let w = Array2::<f32>::zeros((io[0], io[1]));
            let y = Array2::<f32>::zeros((BATCH, io[1]));
            let (mut dx, mut dw, mut dy) = (x.clone(), w.clone(), y.clone());
            later_allocations(|| {
                matmul_acc(x.view(), w.view(), dy.view_mut());
                matmul_acc(x.t(), y.view(), dw.view_mut());
                if l > 0 {
                    matmul_into(y.view(), w.t(), dx.view_mut());
                }
            })
        })
        .sum()
}

// One test in this file: another would allocate in between.
#[test]
fn a_step_allocates_nothing_after_the_first() {
    mlp();
    gpt();
    on_threads(1, training);
    on_threads(1, writing);
    on_threads(1, policy);
}

fn mlp() {
    // Starts the threads; and the least, as in `later_allocations`.
    let once = |_| {
        let before = ours();
        (packing(), ours() - before)
    };
    let runs: Vec<_> = (0..8).map(once).collect();
    let packing = runs.iter().map(|r| r.0).min().expect("eight runs");
    let others = runs.iter().map(|r| r.1).min().expect("eight runs");
    let arrays = 6 * (SIZES.len() - 1);
    assert_eq!(others, arrays, "the product's are recognised");
    for activation in [mlp::Activation::Relu, mlp::Activation::Tanh] {
        let dev = Cpu::new();
        let mut model = Mlp::new(&dev, &SIZES, activation, 0);
        let mut grads = model.zeros_like(&dev);
        let mut velocity = model.zeros_like(&dev);
        let mut kept = mlp::Residuals::default();
        let x = Array2::from_shape_fn((BATCH, 64), |(i, j)| (i + j) as f64);
        let x = x / 96.;
        let labels: Vec<usize> = (0..BATCH).map(|i| i % 10).collect();
        let mut loss = [0.];
        let before = COUNT.load(Relaxed);
        let mut first = None;
        let in_step = later_allocations(|| {
            let x = dev.upload(x.view().into_dyn());
            let labels = dev.upload_ids(&labels);
            for g in grads.tensors_mut() {
                dev.clear(g);
            }
            let (kept, grads) = (&mut kept, &mut grads);
            let l = model.loss_and_grad(&dev, x, &labels, 0.1, 1., kept, grads);
            dev.read_into(&l, &mut loss);
            let rest = grads.tensors().zip(velocity.tensors_mut());
            for (w, (dw, v)) in model.tensors_mut().zip(rest) {
                dev.sgd(w, dw, v, 0.1, 0.9, 1e-4);
            }
            first.get_or_insert_with(|| COUNT.load(Relaxed) - before);
        });
        let first = first.expect("a first step");
        assert!(first > packing, "the first step fills the pool: {first}");
        assert_eq!(in_step, packing, "allocations in a later step");
        assert!(loss[0].is_finite());

        for bits in [1, 4] {
            let mlp = Mlp::new(&dev, &SIZES, activation, 0);
            let bits = Some(bits);
            let in_step = quantised(&dev, &Quantised { mlp, bits });
            assert_eq!(in_step, packing, "at {bits:?} bits");
        }
    }
}

/// Of a later step of a network with few bits.
fn quantised(dev: &Cpu, model: &Quantised<<Cpu as Device>::Tensor>) -> usize {
    let mut grads = model.zeros(dev);
    let mut kept = Kept::default();
    let batch = mlp::Batch {
        x: (0..BATCH * 64).map(|i| (i % 96) as f64 / 96.).collect(),
        labels: (0..BATCH).map(|i| i % 10).collect(),
        smoothing: 0.,
    };
    let mut loss = [0.];
    later_allocations(|| {
        let (kept, grads) = (&mut kept, &mut grads);
        let l = model.loss_and_grad(dev, &batch, 1., kept, grads);
        dev.read_into(&l, &mut loss);
    })
}

/// Every kind of op that a GPT calls, on one thread and on two, with and
/// without checkpointing and adapters.
fn gpt() {
    for (i, config) in kinds().into_iter().enumerate() {
        for (threads, checkpoint) in [(1, 0), (2, 0), (2, 2)] {
            let adapters = i % 2 == 1;
            let run = || steps(config, checkpoint, adapters);
            let later = on_threads(threads, run);
            let what = format!("{config:?} on {threads}, every {checkpoint}");
            assert_eq!(later, 0, "{what}");
        }
    }
}

fn a_text() -> Text {
    let tokens: Vec<usize> = (0..500).map(|i| i * i % 7).collect();
    Text {
        train: tokens.clone(),
        validation: tokens,
    }
}

/// The loop itself, with a GPT and with a recurrent network.
fn training() {
    let (dev, text) = (Cpu::new(), a_text());
    let settings = Settings {
        steps: 40,
        batch: 4,
        accumulate: 2,
        dropout: 0.1,
        report_every: 100,
        ..Settings::new(Config::gpt2(7, 8, 2, 2, 16))
    };
    let mut trainer = Trainer::new(&dev, settings).unwrap();
    let mut counts = [0; 41];
    let end = trainer.learn(&text, |t, event| {
        if let Event::Step { .. } = event {
            counts[t.state.step as usize] = ours();
        }
        Ok(Continue(()))
    });
    assert!(end.unwrap().is_continue());
    assert_none_later("gpt", &counts);

    let sizes = bptt::Config {
        vocab: 7,
        width: 8,
        hidden: 16,
    };
    let settings = rnn::Settings {
        context: 8,
        steps: 40,
        batch: 4,
        report_every: 100,
        ..rnn::Settings::new(sizes)
    };
    let mut trainer = rnn::Trainer::new(&dev, settings).unwrap();
    let end = trainer.learn(&text, |t, event| {
        if let Event::Step { .. } = event {
            counts[t.state.step as usize] = ours();
        }
        Ok(Continue(()))
    });
    assert!(end.unwrap().is_continue());
    assert_none_later("rnn", &counts);
}

/// No allocation between one step and the next, after the third.
#[track_caller]
fn assert_none_later(what: &str, counts: &[usize]) {
    // As in `later_allocations`: not the sum, for the threads' own sake.
    let later = counts[3..].windows(2).map(|c| c[1] - c[0]).min();
    assert_eq!(later, Some(0), "{what}: allocations in a later step");
}

/// A policy's step, but for the episodes: those are played on the host.
fn policy() {
    let dev = Cpu::new();
    let mut model = reinforce::Policy::new(&dev, 25, 4, 0.3);
    let mut grads = model.zeros(&dev);
    let (mut kept, mut velocity) = (Default::default(), dev.zeros(&[25, 4]));
    let visit = |i: usize| Visit {
        state: i * 7 % 25,
        action: i % 4,
        discount: 1.,
        to_go: i as f64 / 60.,
    };
    let batch = reinforce::Batch {
        visits: (0..60).map(visit).collect(),
        episodes: 4,
    };
    let mut loss = [0.];
    let step = |_| {
        let before = ours();
        let dw = grads.logits.as_mut().expect("trained");
        dev.clear(dw);
        let l = model.loss_and_grad(&dev, &batch, 1., &mut kept, &mut grads);
        dev.read_into(&l, &mut loss);
        let dw = grads.logits.as_ref().expect("trained");
        dev.sgd(&mut model.logits, dw, &mut velocity, 0.1, 0., 0.);
        model.settle(&dev, &mut kept);
        ours() - before
    };
    let least = (0..8).map(step).skip(1).min();
    assert_eq!(least, Some(0), "policy: allocations in a later step");
    assert!(loss[0].is_finite());
}

/// A longer text needs no buffers of new lengths, but for each power of two.
fn writing() {
    let dev = Cpu::new();
    let model = Gpt::new(&dev, Config::gpt2(7, 64, 2, 2, 16), 1);
    let prompt = [3; 64];
    let write = |from: usize| {
        let how = Sampling {
            temperature: 1.,
            top: 7,
        };
        let before = ours();
        sample(&dev, &model, &prompt[..from], 8, how, (0, 0));
        ours() - before
    };
    write(17);
    let longer = write(25); // up to 32
    let again = write(25);
    assert!(longer < again + 10, "{longer} allocations, then {again}");
}

#[cfg(feature = "parallel")]
fn on_threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
    pool.unwrap().install(f)
}

#[cfg(not(feature = "parallel"))]
fn on_threads<R>(_: usize, f: impl FnOnce() -> R) -> R {
    f()
}

fn kinds() -> [Config; 4] {
    // Large enough for row loops and products to be shared out.
    let mut config = Config::gpt2(200, 64, 2, 6, 96);
    config.block.keys = 2;
    config.block.attention = Attention::Plain;
    let plain = config;
    config.block.attention = Attention::Tiled;
    config.block.activation = Activation::GeluTanh;
    let tiled = config;
    config.block.positions = Positions::Rope;
    config.block.norm = Normalization::RmsNorm;
    config.block.activation = Activation::SwiGlu;
    let llama = config;
    config.block.attention = Attention::Plain;
    [plain, tiled, llama, config]
}

/// Allocations of ours in a step after the third: the least of five, as in
/// [`later_allocations`].
fn steps(config: Config, checkpoint: usize, adapters: bool) -> usize {
    let dev = &Cpu::new();
    let mut model = Gpt::new(dev, config, 1);
    if adapters {
        model.add_adapters(dev, lora::model::Config::all(4), 2);
    }
    let (mut m, mut v) = (model.zeros(dev), model.zeros(dev));
    let mut grads = model.zeros(dev);
    let mut squares = dev.zeros(&[grads.tensors().count()]);
    let mut kept = gpt::model::Residuals::default();
    let (batch, mut loss, mut least) = (6, [0.], usize::MAX);
    let n = batch * config.context;
    let tokens: Vec<usize> = (0..n).map(|i| i * 7 % config.vocab).collect();
    let labels: Vec<usize> = (0..n).map(|i| i * 5 % config.vocab).collect();
    for step in 1..=8 {
        let before = ours();
        let ids = dev.upload_ids(&tokens);
        let labels = dev.upload_ids(&labels);
        let pass = Pass {
            checkpoint,
            dropout: Some(Dropout {
                rate: 0.1,
                seed: 3,
                step,
            }),
            smoothing: 0.1,
            ..Pass::new(batch)
        };
        grads.tensors_mut().flatten().for_each(|g| dev.clear(g));
        let (kept, g) = (&mut kept, &mut grads);
        let l = model.loss_and_grad(dev, &ids, &labels, &pass, kept, g);
        dev.read_into(&l, &mut loss);
        for (slot, g) in grads.tensors().enumerate() {
            if let Some(g) = g {
                dev.sum_of_squares(g, &mut squares, slot);
            }
        }
        let factor = dev.clip(&squares, 1.);
        let set = AdamW {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.99,
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
        if step > 3 {
            least = least.min(ours() - before);
        }
    }
    assert!(loss[0].is_finite());
    least
}
