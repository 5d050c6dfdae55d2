//! What runs kernels: the order of calls, copies to the host, many threads,
//! and what is refused.

mod gpu;

use backprop::device::{AdamW, Device, Params};
use backprop::engine::gpu::{
    Array, Groups, Kernel, Limits, Options, Runner, Source, StartError, words,
};
use backprop::transformer::gpt::model::{Config, Gpt, Pass, Residuals};

fn runner() -> &'static Runner {
    gpu::shared().runner()
}

fn read(run: &Runner, array: &Array) -> Vec<f32> {
    let mut out = vec![];
    assert!(run.read(array, |x| out.extend(x)), "{:?}", run.fault());
    out
}

fn upload(run: &Runner, x: &[f32]) -> Array {
    let array = run.take(x.len());
    let words: Vec<u32> = x.iter().map(|x| x.to_bits()).collect();
    run.upload(&array, &words);
    array
}

/// `to = from + by`.
const ADD: Kernel = Kernel {
    name: "add, for tests",
    source: Source::Text(
        "struct Params { n: u32, by: f32 }
        @group(0) @binding(0) var<storage, read_write> to: array<f32>;
        @group(0) @binding(1) var<storage, read> source: array<f32>;
        @group(1) @binding(0) var<uniform> p: Params;
        @compute @workgroup_size(GROUP)
        fn add(@builtin(global_invocation_id) at: vec3u) {
            if at.x < p.n { to[at.x] = source[at.x] + p.by; }
        }",
    ),
    entry: "add",
    bindings: &[0, 1],
};

fn add(run: &Runner, from: &Array, by: f32) -> Array {
    let (n, to) = (from.len(), run.take(from.len()));
    run.run(&ADD, Groups::for_each(n), words![n, by], &[&to, from]);
    to
}

/// Each call sees what was uploaded before it was recorded, not after.
fn an_upload_does_not_overtake_a_call() {
    let run = runner();
    let x = upload(run, &[1., 2.]);
    let y = add(run, &x, 10.);
    run.upload(&x, &[5f32.to_bits(), 6f32.to_bits()]);
    let z = add(run, &x, 10.);
    assert_eq!(read(run, &y), [11., 12.]);
    assert_eq!(read(run, &z), [15., 16.]);
}

/// A buffer is used again while the GPU has not yet got to its first use.
fn a_dropped_array_is_used_again_in_order() {
    let run = runner();
    let mut x = upload(run, &[0.; 100]);
    for i in 1..=50 {
        let next = add(run, &x, 1.);
        drop(upload(run, &[f32::from(i as u8); 100]));
        x = next;
    }
    assert_eq!(read(run, &x), [50.; 100]);
}

fn what_was_fetched_ahead_is_not_stale() {
    let run = runner();
    let x = upload(run, &[1.]);
    let y = add(run, &x, 1.);
    run.prefetch(&y);
    run.fill(&y, 7.);
    assert_eq!(read(run, &y), [7.]);
    run.prefetch(&y);
    run.upload(&y, &[8f32.to_bits()]);
    assert_eq!(read(run, &y), [8.]);
    // The buffer goes to another array, of the same length.
    run.prefetch(&y);
    drop(y);
    let z = add(run, &x, 2.);
    assert_eq!(read(run, &z), [3.]);
}

fn more_calls_than_a_submission_holds() {
    let run = runner();
    let mut x = upload(run, &[0.]);
    for _ in 0..5000 {
        x = add(run, &x, 1.);
    }
    assert_eq!(read(run, &x), [5000.]);
}

/// Bits come back as they went, also those of no number and near zero.
fn copies_keep_every_bit() {
    let run = runner();
    let words = [0x7fc0_1234, 1, 0x8000_0000, u32::MAX, 0x0080_0000];
    let from = run.take(5);
    run.upload(&from, &words);
    let to = run.take(5);
    run.copy(&from, &to);
    let bits: Vec<u32> = read(run, &to).iter().map(|x| x.to_bits()).collect();
    assert_eq!(bits, words);
}

/// Tokens go up, the model forward and back, its weights change, and the loss
/// comes down: one submission.
fn a_step_is_submitted_once() {
    let gpu = gpu::start(Options::default());
    let mut model = Gpt::new(&gpu, Config::gpt2(11, 8, 2, 2, 16), 1);
    let mut grads = model.zeros(&gpu);
    let (mut m, mut v) = (model.zeros(&gpu), model.zeros(&gpu));
    let names = model.names().len();
    let mut squares = gpu.zeros(&[names]);
    let mut kept = Residuals::default();
    let before = |step: u64| gpu.runner().submissions() - step;
    let start = before(0);
    for step in 1..=4 {
        let tokens: Vec<usize> = (0..17).map(|i| (i * i + 3) % 11).collect();
        let ids = gpu.upload_ids(&tokens[..16]);
        let labels = gpu.upload_ids(&tokens[1..]);
        for g in grads.tensors_mut().flatten() {
            gpu.clear(g);
        }
        let pass = Pass::new(2);
        let loss = model
            .loss_and_grad(&gpu, &ids, &labels, &pass, &mut kept, &mut grads);
        for (slot, g) in grads.tensors().flatten().enumerate() {
            gpu.sum_of_squares(g, &mut squares, slot);
        }
        let factor = gpu.clip(&squares, 1.);
        let set = AdamW {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            decay: 0.,
            step,
        };
        let moments = m.tensors_mut().zip(v.tensors_mut());
        let grads = grads.tensors().flatten();
        for ((w, dw), (m, v)) in model.tensors_mut().zip(grads).zip(moments) {
            let (m, v) = (m.as_mut().unwrap(), v.as_mut().unwrap());
            gpu.adamw(w, dw, m, v, &factor, set);
        }
        gpu.prefetch(&loss);
        gpu.prefetch(&squares);
        assert!(gpu.read(&loss)[0] > 0. && gpu.read(&squares)[0] > 0.);
        assert_eq!(before(step), start, "step {step}");
    }
}

fn an_answer_that_is_awaited() {
    let run = runner();
    let x = add(run, &upload(run, &[1., 2., 3.]), 0.5);
    let answer = pollster::block_on(run.read_async(&x));
    assert_eq!(answer, Ok(vec![1.5, 2.5, 3.5]));
}

fn threads_share_it() {
    let run = runner();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..50 {
                    let value = (100 * thread + round) as f32;
                    let x = upload(run, &[value; 70]);
                    run.prefetch(&x);
                    let y = add(run, &x, 0.25);
                    drop(x);
                    assert_eq!(read(run, &y), [value + 0.25; 70]);
                }
            });
        }
    });
}

/// Sums and maxima of a workgroup, with subgroups and without.
fn sums_of_a_workgroup() {
    let kernel = Kernel {
        name: "reductions, for tests",
        source: Source::Text(
            "struct Params { n: u32 }
            @group(0) @binding(0) var<storage, read> x: array<f32>;
            @group(0) @binding(1) var<storage, read_write> y: array<f32>;
            @group(1) @binding(0) var<uniform> p: Params;
            @compute @workgroup_size(GROUP)
            fn reduce(lane: Lane) {
                let v = x[lane.index];
                let sum = group_sum(v, lane);
                let most = group_max(v, lane);
                let again = group_sum(v + 1.0, lane);
                y[3u * lane.index] = sum;
                y[3u * lane.index + 1u] = most;
                y[3u * lane.index + 2u] = again;
            }",
        ),
        entry: "reduce",
        bindings: &[0, 1],
    };
    for subgroups in [true, false] {
        let gpu = gpu::start(Options {
            subgroups,
            ..Options::default()
        });
        let run = gpu.runner();
        let x: Vec<f32> = (0..256).map(|i| ((i * 37) % 256) as f32).collect();
        let (from, to) = (upload(run, &x), run.take(3 * 256));
        run.run(&kernel, Groups::Row(1), words![256u32], &[&from, &to]);
        for all in read(run, &to).chunks(3) {
            assert_eq!(all, [32640., 255., 32896.]);
        }
    }
}

fn every_call_is_timed() {
    let gpu = gpu::start(Options {
        profile: true,
        ..Options::default()
    });
    let run = gpu.runner();
    if !gpu.capabilities().has_timestamps {
        return eprintln!("every_call_is_timed: this GPU has no clock");
    }
    let mut x = upload(run, &[0.; 5000]);
    for _ in 0..1500 {
        x = add(run, &x, 1.);
    }
    assert_eq!(read(run, &x), [1500.; 5000]);
    let timings = run.timings();
    let [only] = &timings[..] else {
        panic!("{timings:?}");
    };
    assert_eq!((&*only.kernel, only.calls), (ADD.name, 1500));
    assert!(only.time.as_nanos() > 0);
    assert_eq!(run.timings(), []);
}

fn what_cannot_be_run_is_refused() {
    let gpu = gpu::start(Options::default());
    let run = gpu.runner();
    let [x, y] = [(); 2].map(|()| upload(run, &[1.]));
    let groups = Groups::Row(1);
    let call = |kernel: &Kernel, arrays: &[&Array]| {
        gpu::panics(|| run.run(kernel, groups, words![1u32, 1.], arrays))
    };
    assert!(call(&ADD, &[&x, &x]).contains("bound twice"));
    assert!(call(&ADD, &[&x]).contains("arrays"));
    add(run, &x, 1.);
    let other = Kernel {
        entry: "other",
        ..ADD
    };
    assert!(call(&other, &[&y, &x]).contains("two kernels are called"));
    let many = Kernel {
        name: "many",
        bindings: &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        ..ADD
    };
    assert!(call(&many, &[&y; 9]).contains("too many arrays"));
    // SAFETY: it panics before it runs.
    let reach = || unsafe {
        run.run_trusted(&ADD, groups, words![1u32, 1.], &[&y, &x], &[1, 2]);
    };
    assert!(
        gpu::panics(reach).contains("array 1 has 1 numbers, 2 are reached")
    );
    assert_eq!(run.fault(), None);
}

fn limits_below_the_least() {
    for limits in [
        Limits {
            max_compute_invocations_per_workgroup: 128,
            ..Limits::default()
        },
        Limits {
            max_compute_workgroups_per_dimension: 0,
            ..Limits::default()
        },
        Limits::downlevel_webgl2_defaults(),
    ] {
        let options = Options {
            limits: Some(limits),
            ..Options::default()
        };
        let e = Runner::start(options).expect_err("too little");
        assert!(matches!(e, StartError::Refused { .. }), "{e}");
        assert!(e.to_string().contains("max_compute"), "{e}");
    }
}

gpu::tests![
    an_upload_does_not_overtake_a_call,
    a_dropped_array_is_used_again_in_order,
    what_was_fetched_ahead_is_not_stale,
    more_calls_than_a_submission_holds,
    copies_keep_every_bit,
    a_step_is_submitted_once,
    an_answer_that_is_awaited,
    threads_share_it,
    sums_of_a_workgroup,
    every_call_is_timed,
    what_cannot_be_run_is_refused,
    limits_below_the_least,
];
