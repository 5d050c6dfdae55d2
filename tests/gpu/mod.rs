//! What every test on a GPU needs.
//!
//! A file of such tests has `harness = false` and `required-features =
//! ["gpu"]` in its manifest, plain functions as tests, and
//! `gpu::tests![one, another];` at its end.
//!
//! Without an adapter its tests are ignored, and shown and counted as such.
//! With `BACKPROP_GPU=required` they run all the same, and fail: that is for a
//! place that is known to have an adapter.

// no file uses all of it
#![allow(dead_code, unused_imports, unused_macros)]

use backprop::backends::Gpu;
use backprop::engine::gpu::{Limits, Options, adapters};
use libtest_mimic::{Arguments, Trial};
use std::sync::LazyLock;

/// Whether tests on a GPU are to run.
pub fn is_wanted() -> bool {
    let required = std::env::var("BACKPROP_GPU");
    if required.is_ok_and(|how| how == "required") {
        return true;
    }
    static FOUND: LazyLock<bool> = LazyLock::new(|| !adapters().is_empty());
    *FOUND
}

/// A GPU of its own for a test.
#[track_caller]
pub fn start(options: Options) -> Gpu {
    match Gpu::start(options) {
        Ok(gpu) => gpu,
        Err(e) => panic!("{e}"),
    }
}

/// A GPU for all tests of a file that do not break it. Its arrays are full of
/// NaN when they are taken.
pub fn shared() -> &'static Gpu {
    both()[0]
}

/// With sums over subgroups, where there are any, and all that the adapter
/// allows; and without, within WebGPU's own limits, which are to do everywhere.
pub fn both() -> [&'static Gpu; 2] {
    fn poisoned(subgroups: bool) -> Gpu {
        start(Options {
            subgroups,
            limits: (!subgroups).then(Limits::default),
            poison: true,
            ..Options::default()
        })
    }
    static WITH: LazyLock<Gpu> = LazyLock::new(|| poisoned(true));
    static WITHOUT: LazyLock<Gpu> = LazyLock::new(|| poisoned(false));
    [&WITH, &WITHOUT]
}

/// The message of a panic in `act`.
pub fn panics(act: impl FnOnce()) -> String {
    let act = std::panic::AssertUnwindSafe(act);
    let e = std::panic::catch_unwind(act).expect_err("it panics");
    let text = e.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| (*e.downcast_ref::<&str>().unwrap()).to_owned())
}

/// Runs `tests`, or ignores them where there is no GPU.
pub fn run(tests: &[(&str, fn())]) -> ! {
    let is_wanted = is_wanted();
    match is_wanted {
        true => eprintln!("GPU: {}", shared().capabilities()),
        false => eprintln!("skipped: no adapter"),
    }
    let trial = |&(name, test): &(&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
        .with_ignored_flag(!is_wanted)
    };
    let trials = tests.iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

/// The `main` of a file of tests.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        fn main() {
            gpu::run(&[$((stringify!($test), $test)),*])
        }
    };
}
pub(crate) use tests;
