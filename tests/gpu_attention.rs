//! Attention on the GPU at the sizes of models, against the CPU; and what the
//! table of ops does not ask: memory, extreme scores, more heads than one
//! dimension of a grid holds, wide heads.

mod gpu;

use backprop::backends::{Cpu, Gpu, Textbook};
use backprop::device::{Device, Heads};
use backprop::engine::gpu::{Limits, Options};
use ndarray::{Array, Array2, ArrayD, s};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;

type A = ArrayD<f64>;

const fn heads(batch: usize, queries: usize, keys: usize) -> Heads {
    Heads {
        batch,
        queries,
        keys,
    }
}

/// `qkv` and `dy`, of numbers that an `f32` holds.
fn inputs(heads: Heads, [t, d]: [usize; 2]) -> [A; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64((t * 1000 + d) as u64);
    let rows = heads.batch * t;
    [heads.queries + 2 * heads.keys, heads.queries].map(|columns| {
        let shape = (rows, columns * d);
        let x = Array2::random_using(shape, StandardNormal, &mut rng);
        x.mapv(|x: f64| f64::from(x as f32)).into_dyn()
    })
}

/// Output and cotangent.
fn plain<D: Device>(dev: &D, [qkv, dy]: &[A; 2], heads: Heads) -> [A; 2] {
    let (qkv, dy) = (dev.upload(qkv.view()), dev.upload(dy.view()));
    let (y, p) = dev.attention(&qkv, heads);
    let d = dev.attention_vjp(&qkv, &p, &dy, heads);
    [dev.read(&y), dev.read(&d)]
}

/// The same from tiles, and `lse`.
fn tiled<D: Device>(dev: &D, [qkv, dy]: &[A; 2], heads: Heads) -> [A; 3] {
    let (qkv, dy) = (dev.upload(qkv.view()), dev.upload(dy.view()));
    let (y, lse) = dev.flash_attention(&qkv, heads);
    let d = dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
    [dev.read(&y), dev.read(&d), dev.read(&lse)]
}

/// Relative L2 distance.
#[track_caller]
fn near<const N: usize>(got: &[A; N], want: &[A; N], tolerance: f64) {
    let norm = |a: A| a.mapv(|x| x * x).sum().sqrt();
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.shape(), want.shape());
        let off = norm(got - want) / norm(want.clone()).max(1e-30);
        assert!(off <= tolerance, "[{i}] is {off:.1e} off");
    }
}

/// `f32` on both sides, and sums of up to 1024 numbers in another order.
const TOLERANCE: f64 = 3e-6;

const MODELS: [(Heads, [usize; 2]); 3] = [
    (heads(4, 8, 8), [256, 64]),
    (heads(1, 2, 2), [1024, 32]),
    (heads(1, 4, 2), [300, 128]),
];

fn plain_at_the_sizes_of_models() {
    for (heads, sizes) in MODELS {
        let x = inputs(heads, sizes);
        let want = plain(&Cpu::new(), &x, heads);
        near(&plain(gpu::shared(), &x, heads), &want, TOLERANCE);
    }
}

fn tiled_at_the_sizes_of_models() {
    for (heads, sizes) in MODELS {
        let x = inputs(heads, sizes);
        let want = tiled(&Cpu::new(), &x, heads);
        near(&tiled(gpu::shared(), &x, heads), &want, TOLERANCE);
    }
}

/// Heads of several blocks of columns, the last one not full; of numbers that
/// are no whole vec4.
fn wide_heads() {
    let heads = heads(1, 2, 1);
    for sizes in [[70, 260], [33, 301]] {
        let x = inputs(heads, sizes);
        let want = tiled(&Textbook, &x, heads);
        near(&tiled(gpu::shared(), &x, heads), &want, TOLERANCE);
    }
}

/// Peak bytes of attention beyond its input, forward and backward.
fn peak(gpu: &Gpu, t: usize, keep: bool) -> usize {
    let heads = heads(1, 2, 2);
    let (qkv, dy) = (gpu.zeros(&[t, 6 * 8]), gpu.zeros(&[t, 2 * 8]));
    let before = gpu.meter().live();
    gpu.meter().restart();
    if keep {
        let (_y, p) = gpu.attention(&qkv, heads);
        gpu.attention_vjp(&qkv, &p, &dy, heads);
    } else {
        let (y, lse) = gpu.flash_attention(&qkv, heads);
        gpu.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
    }
    gpu.meter().peak() - before
}

/// Output and gradient take 64 numbers for each token. Beside them there are,
/// at most, `p` and `ds`; or `lse` and `⟨y, dy⟩`.
fn memory_is_linear_in_the_length() {
    let gpu = gpu::start(Options::default());
    for t in [100, 200, 400] {
        assert_eq!(peak(&gpu, t, false), 4 * (64 * t + 2 * 2 * t));
        assert!(peak(&gpu, t, true) >= 4 * (64 * t + 2 * 2 * t * t));
    }
}

fn the_same_bits_again_and_without_checks() {
    let unchecked = gpu::start(Options {
        unchecked: true,
        poison: true,
        ..Options::default()
    });
    let heads = heads(2, 4, 2);
    for sizes in [[130, 15], [65, 64], [1, 129]] {
        let x = inputs(heads, sizes);
        let once = tiled(gpu::shared(), &x, heads);
        assert_eq!(once, tiled(gpu::shared(), &x, heads));
        assert_eq!(once, tiled(&unchecked, &x, heads));
        let once = plain(gpu::shared(), &x, heads);
        assert_eq!(once, plain(gpu::shared(), &x, heads));
    }
}

/// A grid that is 50 workgroups wide stands for one of 65,535.
fn more_heads_than_a_grid_is_wide() {
    let gpu = gpu::start(Options {
        limits: Some(Limits {
            max_compute_workgroups_per_dimension: 50,
            ..Limits::default()
        }),
        poison: true,
        ..Options::default()
    });
    for heads in [heads(120, 1, 1), heads(1, 120, 60)] {
        let x = inputs(heads, [5, 3]);
        let [y, d, lse] = tiled(&Textbook, &x, heads);
        let want = [y.clone(), d.clone(), lse];
        near(&tiled(&gpu, &x, heads), &want, TOLERANCE);
        near(&plain(&gpu, &x, heads), &[y, d], TOLERANCE);
    }
}

/// Scores of ±1e4, of which the largest comes first, last, in the middle or not
/// at all: no exponential overflows, and where one key is certain, it is.
fn scores_of_ten_thousand() {
    let (t, d) = (70, 4);
    let heads = heads(1, 1, 1);
    for largest in [0, 31, 32, 40, 69, t] {
        let mut qkv = Array2::zeros((t, 3 * d));
        for i in 0..t {
            let key = if i == largest { 1. } else { -1. };
            qkv.slice_mut(s![i, ..d]).fill(100.);
            qkv.slice_mut(s![i, d..2 * d]).fill(50. * key);
            qkv.slice_mut(s![i, 2 * d..]).fill(1. + i as f64);
        }
        // Scores are 100·50·4/2 = 1e4, with the sign of `key`.
        let x = [qkv.into_dyn(), Array::ones((t, d)).into_dyn()];
        let want = tiled(&Textbook, &x, heads);
        let got = tiled(gpu::shared(), &x, heads);
        // In an f32 the lse of 1e4 is known to 5e-4, and p with it.
        near(&got, &want, 1e-3);
        if largest < t {
            assert_eq!(got[0][[t - 1, 0]], 1. + largest as f64, "certain");
        }
        let [y, _] = plain(gpu::shared(), &x, heads);
        near(&[y], &[want[0].clone()], TOLERANCE);
    }
}

/// A row whose every score has overflowed has no probabilities: NaN, and not
/// the mean of the tokens that it must not see.
fn a_score_of_minus_infinity_shows() {
    let (t, d) = (70, 4);
    let heads = heads(1, 1, 1);
    let mut qkv = Array2::ones((t, 3 * d));
    qkv.slice_mut(s![0, ..d]).fill(1e30);
    qkv.slice_mut(s![0, d..2 * d]).fill(-1e30);
    let x = [qkv.into_dyn(), Array::ones((t, d)).into_dyn()];
    let [y, dqkv, lse] = tiled(gpu::shared(), &x, heads);
    assert!(y[[0, 0]].is_nan(), "{}", y[[0, 0]]);
    assert!(!lse[[0, 0]].is_finite() && !dqkv[[0, 0]].is_finite());
    // Token 1 sees keys 0 and 1, with scores of -2e30 and 2.
    assert_eq!(y[[1, 0]], 1.);
    let [y, _] = plain(gpu::shared(), &x, heads);
    assert!(y[[0, 0]].is_nan());
}

/// `y` of the first token is its value, to the bit, in both forms.
fn the_first_token_sees_itself() {
    let heads = heads(3, 4, 2);
    for sizes in [[1, 16], [90, 17]] {
        let x = inputs(heads, sizes);
        let [t, d] = sizes;
        for y in [
            &plain(gpu::shared(), &x, heads)[0],
            &tiled(gpu::shared(), &x, heads)[0],
        ] {
            for (b, h) in [(0, 0), (1, 3), (2, 1)] {
                let v = (heads.queries + heads.keys + h / 2) * d;
                let row = s![b * t, v..v + d];
                let y = y.slice(s![b * t, h * d..(h + 1) * d]);
                assert_eq!(y, x[0].slice(row));
            }
        }
    }
}

fn no_tokens() {
    let x = inputs(heads(2, 4, 2), [0, 8]);
    assert_eq!(plain(gpu::shared(), &x, heads(2, 4, 2))[1].len(), 0);
    assert_eq!(tiled(gpu::shared(), &x, heads(2, 4, 2))[2].len(), 0);
    assert_eq!(gpu::shared().fault(), None);
}

fn shapes_that_do_not_fit() {
    let gpu = gpu::shared();
    let qkv = gpu.zeros(&[6, 3 * 4]);
    let (two, five) = (heads(2, 2, 1), heads(2, 5, 1));
    let panics = |f: &dyn Fn()| {
        let f = std::panic::AssertUnwindSafe(f);
        let e = std::panic::catch_unwind(f).expect_err("a panic");
        e.downcast_ref::<String>().expect("a message").clone()
    };
    let e = panics(&|| drop(gpu.attention(&qkv, five)));
    assert!(e.contains("attention: qkv [6, 12] does not fit"), "{e}");
    let (y, lse) = gpu.flash_attention(&qkv, two);
    let e = panics(&|| drop(gpu.attention_vjp(&qkv, &lse, &y, two)));
    let want = "attention vjp: p [4, 3] is not [4, 3, 3]";
    assert!(e.contains(want), "{e}");
    let e = panics(&|| drop(gpu.flash_attention_vjp(&qkv, &y, &y, &y, two)));
    let want = "flash_attention vjp: lse [6, 6] is not [4, 3]";
    assert!(e.contains(want), "{e}");
}

gpu::tests![
    plain_at_the_sizes_of_models,
    tiled_at_the_sizes_of_models,
    wide_heads,
    memory_is_linear_in_the_length,
    the_same_bits_again_and_without_checks,
    more_heads_than_a_grid_is_wide,
    scores_of_ten_thousand,
    a_score_of_minus_infinity_shows,
    the_first_token_sees_itself,
    no_tokens,
    shapes_that_do_not_fit,
];
