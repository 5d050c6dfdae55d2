//! Straight-through estimators: counts in `f32`, the walk that never settles,
//! and draws whose frequencies are known exactly.

use backprop::discrete::straight_through::{
    Grid, descent, detached, gumbel, quantise,
};
use backprop::engine::random;
use ndarray::{Array1, Array2, arr1, arr2, array};

/// `(q + x) - x`, which has the right derivative and the wrong value.
fn inexact(x: f32, q: f32) -> f32 {
    (q + x) - x
}

/// W-091: the grid of 100,001 points from -3 to 3, all in `f32`.
#[test]
fn the_detached_form_is_exact_and_the_other_is_not() {
    let points = (0..=100_000).map(|k| (-3. + 6. * k as f64 / 1e5) as f32);
    let (mut off, mut other_off) = (0, 0);
    for x in points {
        let q = x.round_ties_even();
        off += usize::from(detached(x, q) != q);
        other_off += usize::from(inexact(x, q) != q);
    }
    assert_eq!((off, other_off), (0, 33_314));
    // A dyadic grid hides it.
    let dyadic = (-49_152..=49_152).map(|k| k as f32 / 16_384.);
    assert!(dyadic.clone().all(|x| inexact(x, x.round()) == x.round()));
    assert_eq!(inexact(1.1, 1.), 0.999_999_9);
}

/// x ~ 3·N(0,1): about 36 % for rounding and 24 % for the sign.
#[test]
fn the_other_form_on_normal_numbers() {
    let x: Array1<f64> = random::normal(&mut random::rng(1), 200_000, 0., 3.);
    let share = |q: fn(f32) -> f32, form: fn(f32, f32) -> f32| {
        let off = |x: &&f64| form(**x as f32, q(**x as f32)) != q(**x as f32);
        x.iter().filter(off).count() as f64 / x.len() as f64
    };
    let sign = |x: f32| if x >= 0. { 1. } else { -1. };
    assert!((share(f32::round_ties_even, inexact) - 0.36).abs() < 0.01);
    assert!((share(sign, inexact) - 0.24).abs() < 0.01);
    assert_eq!(share(f32::round_ties_even, detached), 0.);
    assert_eq!(share(sign, detached), 0.);
    // Above 2²⁴ the sign is lost.
    assert_eq!(detached(33_554_434., 1.), 0.);
}

/// The weight hovers at ½ for ever; its code is right on average.
#[test]
fn the_walk_never_settles_and_its_average_is_right() {
    for (start, lr) in [(0.8, 0.05), (0.1, 0.05), (0.47, 0.013), (-2.4, 0.11)] {
        let w = descent::walk(start, 0.3, lr, 10_000);
        let codes: Vec<f64> = w.iter().map(|w| w.round_ties_even()).collect();
        let last = &codes[5_000..10_000];
        let mean = last.iter().sum::<f64>() / last.len() as f64;
        assert!((mean - 0.3).abs() < 1e-3, "{start}, {lr}: {mean}");
        assert!(last.contains(&0.) && last.contains(&1.));
        let near = |w: &f64| (w - 0.5).abs() < 1.5 * lr;
        assert!(w[5_000..].iter().all(near), "{start}, {lr}");
        // The sum behind it, over all steps.
        let all = codes[..10_000].iter().sum::<f64>() / 1e4;
        let off = (w[0] - w[10_000]) / (2. * lr * 1e4);
        assert!((all - 0.3 - off).abs() < 1e-9);
    }
}

/// W-092, and a weight that has arrived.
#[test]
fn a_whole_target_is_reached() {
    let step = |w: f64| descent::walk(w, 1., 1., 1)[1] - w;
    assert!((step(0.3) - 2.).abs() < 1e-15); // against a gradient of -2
    assert_eq!(step(0.7), 0.);
}

/// Two inputs that nearly say the same: rounding each weight is no good.
#[test]
fn trained_beats_rounded() {
    let (x, start) = (array![[1.4, 1.4], [0.3, -0.3]], arr1(&[0.48, 0.3]));
    let t = x.dot(&start);
    let loss = |w: &Array1<f64>| {
        let w_hat = quantise(w.view(), Grid::WHOLE);
        descent::loss(x.view(), t.view(), w_hat.view())
    };
    let walk =
        descent::tune(x.view(), t.view(), start.view(), Grid::WHOLE, 0.02, 50);
    assert_eq!(walk.len(), 51);
    assert!((loss(&start) - 0.299).abs() < 5e-4);
    assert!((loss(&walk[50]) - 0.039).abs() < 5e-4);
}

/// Declared and expected gradients of a coin, by enumeration.
#[test]
fn straight_through_is_biased() {
    let (expected, declared) = descent::of_a_coin(0.1, 0.3);
    assert!((expected - 0.4).abs() < 1e-15);
    assert!((declared - -0.4).abs() < 1e-15);
    let (expected, declared) = descent::of_a_coin(0.5, 0.3);
    assert!((expected - declared).abs() < 1e-15);
}

/// The probability that `weights[i]` is the largest of Gumbel numbers with
/// these weights: the i-th exponential clock rings first.
fn first(weights: &[f64], i: usize) -> f64 {
    weights[i] / weights.iter().sum::<f64>()
}

/// The probability that it is the smallest, by inclusion and exclusion over
/// those that it would beat.
fn last(weights: &[f64], i: usize) -> f64 {
    let others: Vec<f64> = (0..weights.len())
        .filter(|j| *j != i)
        .map(|j| weights[j])
        .collect();
    (0..1_u32 << others.len())
        .map(|set| {
            let in_set = |j: &usize| set >> j & 1 == 1;
            let of = (0..others.len()).filter(in_set).map(|j| others[j]);
            let sign = if set.count_ones() % 2 == 0 { 1. } else { -1. };
            sign * weights[i] / (weights[i] + of.sum::<f64>())
        })
        .sum()
}

const P: [f64; 3] = [0.2, 0.5, 0.3];

/// Frequencies of the hard draw on a cube of `u`.
fn drawn(x: [f64; 3], sign: f64) -> [f64; 3] {
    const N: usize = 48;
    let u = |k: usize| (k as f64 + 0.5) / N as f64;
    let cube = (0..N * N * N).map(|n| [n / N / N, n / N % N, n % N].map(u));
    let u: Vec<[f64; 3]> = cube.collect();
    let g = gumbel::noise(arr2(&u).view()) * sign;
    let x = Array2::from_shape_fn(g.dim(), |(_, v)| x[v]);
    let hard = gumbel::hard(gumbel::forward(x.view(), g.view(), 1.).view());
    let mean = hard.mean_axis(ndarray::Axis(0)).expect("rows");
    [mean[0], mean[1], mean[2]]
}

#[test]
fn frequencies_of_draws() {
    let close = |a: [f64; 3], b: [f64; 3], by: f64| {
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < by),
            "{a:?} {b:?}"
        )
    };
    let right = [0, 1, 2].map(|i| first(&P, i));
    close(right, P, 1e-15);
    close(drawn(P.map(f64::ln), 1.), P, 0.01);
    // logits - noise
    let turned = [0, 1, 2].map(|i| last(&P.map(|p| 1. / p), i));
    close(turned, [0.170, 0.533, 0.298], 5e-4);
    close(drawn(P.map(f64::ln), -1.), turned, 0.01);
    // noise on p, not on ln p
    let on_p = [0, 1, 2].map(|i| first(&P.map(f64::exp), i));
    close(on_p, [0.289, 0.391, 0.320], 5e-4);
    close(drawn(P, 1.), on_p, 0.01);
}

/// The golden of the codebook, and the wrong ones beside it.
#[test]
fn pulls_of_a_codebook() {
    use backprop::discrete::straight_through::vq;
    let (z, e) = (arr2(&[[0.9, -0.4]]), arr2(&[[1., 0.]]));
    let (dq, one, none) = (arr2(&[[0.3, -0.2]]), arr1(&[1.]), arr1(&[0.]));
    let of = |beta, dl: &Array1<f64>, scale: f64| {
        let dq = &dq * scale;
        vq::vjp(z.view(), e.view(), &[0], beta, dq.view(), dl.view())
    };
    let close = |a: Array2<f64>, b: [f64; 2]| {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a}");
    };
    let (dz, de) = of(0.25, &one, 1.);
    close(dz.clone(), [0.25, -0.4]);
    close(de.clone(), [0.2, 0.8]);
    // The terms swapped: four times the pull on z and a quarter of that on e.
    let (up, _) = of(0.25, &none, 1.);
    close(&up + &(&de * -1.), [0.1, -1.]);
    close(&de * 0.25, [0.05, 0.2]);
    let ratio = |e: f64, z: f64| e / z;
    let right = ratio(de[[0, 0]], dz[[0, 0]] - up[[0, 0]]);
    let swapped = ratio(0.05, 0.1 - up[[0, 0]]);
    assert!((right / swapped - 16.).abs() < 1e-9);
    // No detach: each gets both pulls.
    close(&up - &(&de * 1.25), [0.05, -1.2]);
    close(&de * 1.25, [0.25, 1.]);
    // A plain gather: what comes from above goes to the code.
    close(&of(0.25, &one, 0.).0 * 1., [-0.05, -0.2]);
    close(&de + &up, [0.5, 0.6]);
    // The losses on z + sg(e - z): e gets nothing, z is pushed away.
    close(&up + &(&de * 0.75), [0.45, 0.4]);
}
