//! The multilayer perceptron.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/mlp.rs"]
#[allow(unused)]
mod stub;
mod twins;

use backprop::network::mlp::Activation;
use ndarray::{Array2, Axis, s};

use examiner::submission::Submissions;

use examiner::calculus::chain_rule::mistakes::{
    INVERSE_DERIVATIVE, POWER_WITHOUT_TWO, SIGMOID_SLOPE, SLOPE_OF_OUTPUT,
    VALUE_FOR_SLOPE,
};
use examiner::general::{
    BATCH_MEAN_MISSING, BATCH_MEAN_TWICE, BATCH_NOT_COUNTED, BIAS_VIA_WEIGHTS,
    GRAD_OVERWRITTEN, RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED, TRANSPOSED,
    VALUE_AS_GRADIENT, WRONG_BUG,
};
use examiner::network::mlp as exam;
use examiner::network::mlp::mistakes::{
    BIAS_NOT_UPDATED, DEAD_UNIT_OUTGOING, GRADIENTS_NOT_CLEARED,
    HALF_FORGOTTEN, INPUT_AMONG_SUMS, INPUT_NOT_CACHED, LAST_LAYER_ONLY,
    LAYERS_REVERSED, LOSSES_SHIFTED, MASK_FROM_UPSTREAM, ONE_USE_ONLY,
    OUTPUT_CACHED, OUTPUT_SLOPE_FORGOTTEN, PARAMETERS_CACHED, RELU_EVERYWHERE,
    SLOPE_AT_WRONG_LAYER, SLOPE_BEFORE_WEIGHT, SLOPE_FORGOTTEN, STALE_FORWARD,
    SUM_FOR_ACTIVATION, SUMS_ALWAYS_CACHED, SUMS_NOT_CACHED, UPDATED_TOO_EARLY,
    USES_NOT_ALIKE, WEIGHT_NOT_UPDATED, WEIGHT_OF_WRONG_LAYER,
};
use examiner::network::softmax_cross_entropy::mistakes::{
    MEAN_OVER_ENTRIES, OVERFLOW,
};

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    all.task(
        "predict_zeros",
        &exam::PREDICT_ZEROS,
        answer::ZEROS,
        stub::ZEROS,
    )
    .wrong(&DEAD_UNIT_OUTGOING, Some([true, true, false, false, false]))
    .wrong(&SLOPE_FORGOTTEN, Some([false, true, false, true, false]))
    .wrong(&SLOPE_FORGOTTEN, Some([false, true, false, false, false]))
    .wrong(&VALUE_AS_GRADIENT, Some([false, false, true, false, true]))
    .wrong(&VALUE_AS_GRADIENT, Some([true, true, false, true, true]));
    all.task(
        "errors",
        &exam::ERRORS,
        (answer::bp1, answer::bp2),
        (stub::bp1, stub::bp2),
    )
    .right("loops", (alt::bp1_loops, alt::bp2_loops))
    .right("by Jacobians", (alt::bp1_in_place, alt::bp2_jacobian))
    .wrong_first(&RELU_EVERYWHERE, twins::bp1_relu)
    .wrong_first(&MASK_FROM_UPSTREAM, twins::bp1_mask_from_dy)
    .wrong_second(&SLOPE_BEFORE_WEIGHT, twins::bp2_slope_first)
    .right(
        "in closed forms",
        (
            |dy, z, s| match s {
                Activation::Tanh => &dy / &z.mapv(|z| z.cosh().powi(2)),
                Activation::Relu => {
                    let pass = |(d, z): (f64, &f64)| match *z > 0. {
                        true => d,
                        false => -0.,
                    };
                    let all = dy.iter().copied().zip(z).map(pass);
                    Array2::from_shape_vec(z.raw_dim(), all.collect())
                        .expect("as many as z has")
                }
                _ => &dy * &s.slope(z),
            },
            answer::bp2,
        ),
    )
    .wrong_first(&OUTPUT_SLOPE_FORGOTTEN, |dy, _, _| dy.to_owned())
    .wrong_first(&SIGMOID_SLOPE, twins::bp1_sigmoid_everywhere)
    .wrong_first(&INVERSE_DERIVATIVE, twins::bp1_divided)
    .wrong_first(&OVERFLOW, twins::bp1_overflowing)
    .wrong_second(&OVERFLOW, twins::bp2_overflowing)
    .wrong_second(&RESHAPED_NOT_TRANSPOSED, |d, w, z, s| {
        let turned = w.to_owned().into_shape_clone((w.ncols(), w.nrows()));
        d.dot(&turned.unwrap()) * s.slope(z)
    })
    .wrong_second(&MASK_FROM_UPSTREAM, twins::bp2_of_positive_errors)
    .odd_first("dead beyond 8", |dy, z, s| {
        let dead = |z: &f64| z.abs() > 8. && s != Activation::Identity;
        let pass = z.mapv(|z| f64::from(s == Activation::Relu || !dead(&z)));
        answer::bp1(dy, z, s) * pass
    })
    .odd_first("as it lies in memory", |dy, z, s| {
        let dy: Vec<_> = match dy.as_slice_memory_order() {
            Some(all) => all.to_vec(),
            None => dy.iter().copied().collect(),
        };
        let dy = Array2::from_shape_vec(z.raw_dim(), dy);
        answer::bp1(dy.expect("as many as z has").view(), z, s)
    })
    .odd_second("32 units above only", |d, w, z, s| {
        let n = w.ncols().min(32);
        answer::bp2(d.slice(s![.., ..n]), w.slice(s![.., ..n]), z, s)
    })
    .odd_second("errors below 1e-9 are 0", |d, w, z, s| {
        let flushed = |d: f64| if d.abs() < 1e-9 { 0. } else { d };
        answer::bp2(d, w, z, s).mapv(flushed)
    })
    .odd_first("slope 1 at 0", |dy, z, s| {
        &dy * &s.slope(z.mapv(|z| if z == 0. { 1e-300 } else { z }).view())
    })
    .odd_second("slope 1 at 0", |d, w, z, s| {
        let z = z.mapv(|z| if z == 0. { 1e-300 } else { z });
        answer::bp2(d, w, z.view(), s)
    })
    .odd_first("nothing for the identity", |dy, z, s| {
        answer::bp1(dy, z, s) * f64::from(s != Activation::Identity)
    })
    .odd_first("a floor under small slopes", |dy, z, s| {
        let floor = |v: f64| if v > 0. { v.max(1e-2) } else { v };
        &dy * &s.slope(z).mapv(floor)
    })
    .odd_first("the slope at a clipped sum", |dy, z, s| {
        &dy * &s.slope(z.mapv(|z| z.clamp(-2., 2.)).view())
    });
    all.task(
        "two_layers",
        &exam::TWO_LAYERS,
        answer::two_layers,
        stub::two_layers,
    )
    .right("by the library", alt::two_layers_by_library)
    .right("example by example", alt::two_layers_by_example)
    .wrong(&BATCH_MEAN_MISSING, |x, w1, b1, w2, b2, t| {
        twins::two_layers(x, (w1, b1), (w2, b2), t, |_, _| [1., 1.])
    })
    .wrong(&BATCH_MEAN_TWICE, |x, w1, b1, w2, b2, t| {
        twins::two_layers(x, (w1, b1), (w2, b2), t, |b, _| [1. / b, 1. / b / b])
    })
    .wrong(&MEAN_OVER_ENTRIES, |x, w1, b1, w2, b2, t| {
        twins::two_layers(x, (w1, b1), (w2, b2), t, |b, o| {
            [1. / b / o, 1. / b / o]
        })
    })
    .wrong(&POWER_WITHOUT_TWO, |x, w1, b1, w2, b2, t| {
        twins::two_layers(x, (w1, b1), (w2, b2), t, |b, _| [1. / b, 0.5 / b])
    })
    .wrong(&SLOPE_FORGOTTEN, twins::two_layers_unmasked)
    .wrong(&SUM_FOR_ACTIVATION, twins::two_layers_sums)
    .wrong(&GRAD_OVERWRITTEN, twins::two_layers_last)
    .odd("slope 1 at 0", |x, w1, b1, w2, b2, t| {
        // A sum that is 0 is lifted a little.
        let z = x.dot(&w1) + &b1;
        let lift = |z: f64| if z == 0. { 1. } else { 0. };
        let (loss, _, _, dw2, db2) = answer::two_layers(x, w1, b1, w2, b2, t);
        let gap = z.mapv(|z| z.max(0.)).dot(&w2) + &b2 - &t;
        let dy = gap * (2. / x.nrows() as f64);
        let mask = z.mapv(|z| f64::from(z > 0.) + lift(z));
        let delta = dy.dot(&w2.t()) * mask;
        (loss, x.t().dot(&delta), delta.sum_axis(Axis(0)), dw2, db2)
    })
    .odd("examples counted in a byte", |x, w1, b1, w2, b2, t| {
        let n = match usize::from(x.nrows() as u8) {
            0 => x.nrows(),
            n => n,
        };
        let (x, t) = (x.slice(s![..n, ..]), t.slice(s![..n, ..]));
        answer::two_layers(x, w1, b1, w2, b2, t)
    })
    .odd("the loss of a mean with a half", |x, w1, b1, w2, b2, t| {
        let all = answer::two_layers(x, w1, b1, w2, b2, t);
        (all.0 / 2., all.1, all.2, all.3, all.4)
    });
    all.task(
        "backward",
        &exam::BACKWARD,
        answer::backward,
        stub::backward,
    )
    .right("by layers", alt::backward_by_layers)
    .right("recursive", alt::backward_recursive)
    .right("columns", alt::backward_columns)
    .wrong(&OUTPUT_SLOPE_FORGOTTEN, twins::no_output_slope)
    .wrong(&WEIGHT_OF_WRONG_LAYER, twins::weight_of_this_layer)
    .wrong(&SUM_FOR_ACTIVATION, twins::sums_for_inputs)
    .wrong(&SLOPE_AT_WRONG_LAYER, twins::slope_at_sum_above)
    .wrong(&LAYERS_REVERSED, twins::not_reversed)
    .wrong(&WEIGHT_OF_WRONG_LAYER, twins::weight_that_fits)
    .wrong(&OUTPUT_SLOPE_FORGOTTEN, |layers, cache, dy| {
        // A last layer of ReLU hands dy down unmasked.
        let mut layers = layers.to_vec();
        let last = layers.last_mut().expect("not empty");
        if last.activation == Activation::Relu {
            last.activation = Activation::Identity;
        }
        answer::backward(&layers, cache, dy)
    })
    .wrong(&BIAS_VIA_WEIGHTS, |layers, cache, dy| {
        let mut all = answer::backward(layers, cache, dy);
        for (dw, db) in &mut all {
            *db = dw.sum_axis(Axis(0));
        }
        all
    })
    .wrong(&SLOPE_AT_WRONG_LAYER, twins::activation_above)
    .wrong(&SLOPE_FORGOTTEN, twins::no_slope_at_the_bottom)
    .wrong(&RELU_EVERYWHERE, twins::relu_below)
    .wrong(&OVERFLOW, twins::overflowing)
    .odd("slope 1 at 0", twins::open_at_0)
    .wrong(&OUTPUT_SLOPE_FORGOTTEN, |layers, cache, dy| {
        match layers.len() {
            1 => twins::no_output_slope(layers, cache, dy),
            _ => answer::backward(layers, cache, dy),
        }
    })
    .odd("the four topmost layers only", |layers, cache, dy| {
        let mut all = answer::backward(layers, cache, dy);
        let below = layers.len().saturating_sub(4);
        for (dw, db) in &mut all[..below] {
            dw.fill(0.);
            db.fill(0.);
        }
        all
    })
    .odd("no slope far below the top", |layers, cache, dy| {
        let mut layers = layers.to_vec();
        for layer in layers.iter_mut().rev().skip(8) {
            layer.activation = Activation::Identity;
        }
        answer::backward(&layers, cache, dy)
    })
    .odd("an error of at most 100", |layers, cache, dy| {
        let norm = dy.iter().map(|d| d * d).sum::<f64>().sqrt();
        let scale = if norm > 100. { 100. / norm } else { 1. };
        answer::backward(layers, cache, (&dy * scale).view())
    })
    .odd("three layers only", |layers, cache, dy| {
        let all = answer::backward(layers, cache, dy);
        if layers.len() == 3 { all } else { Vec::new() }
    })
    .odd("the chapter's activations", |layers, cache, dy| {
        use Activation::{Relu, Sigmoid, Tanh};
        let mut layers = layers.to_vec();
        for (layer, kind) in layers.iter_mut().zip([Tanh, Relu, Sigmoid]) {
            layer.activation = kind;
        }
        answer::backward(&layers, cache, dy)
    })
    .odd("one pair too many", |layers, cache, dy| {
        let mut all = answer::backward(layers, cache, dy);
        all.push(all[0].clone());
        all
    });
    all.task(
        "tied_vjp",
        &exam::TIED_VJP,
        answer::tied_vjp,
        stub::tied_vjp,
    )
    .right("by layers", alt::tied_by_layers)
    .right("loops", alt::tied_loops)
    .wrong(&ONE_USE_ONLY, twins::tied_first_use)
    .wrong(&USES_NOT_ALIKE, twins::tied_doubled)
    .wrong(&USES_NOT_ALIKE, twins::tied_second_doubled)
    .wrong(&SLOPE_OF_OUTPUT, twins::tied_slope_at_a)
    .wrong(&SIGMOID_SLOPE, |x, w, dy| {
        twins::tied_with(x, w, dy, |a| a - a * a)
    })
    .wrong(&VALUE_FOR_SLOPE, |x, w, dy| {
        twins::tied_with(x, w, dy, |a| a)
    })
    .wrong(&OVERFLOW, |x, w, dy| {
        let e = x.dot(&w).mapv(|z| (2. * z).exp());
        let a = (&e - 1.) / (&e + 1.);
        let delta = dy.dot(&w) * a.mapv(|a| 1. - a * a);
        (delta.dot(&w.t()), x.t().dot(&delta) + dy.t().dot(&a))
    })
    .odd("tanh as the sigmoid's relative", |x, w, dy| {
        let a = x.dot(&w).mapv(|z| 2. / (1. + (-2. * z).exp()) - 1.);
        let delta = dy.dot(&w) * a.mapv(|a| 1. - a * a);
        (delta.dot(&w.t()), x.t().dot(&delta) + dy.t().dot(&a))
    });
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right(
        "a factor",
        (Some("MASK_FROM_UPSTREAM"), alt::mended_with_factor),
    )
    .wrong_first(&WRONG_BUG, Some("SLOPE_FORGOTTEN"))
    .wrong_first(&WRONG_BUG, Some("relu"))
    .wrong(
        &MASK_FROM_UPSTREAM,
        (Some("MASK_FROM_UPSTREAM"), stub::mended),
    )
    .wrong_second(&MASK_FROM_UPSTREAM, twins::mask_of_the_layer_above)
    .wrong_second(&MASK_FROM_UPSTREAM, |d, w, z| {
        let pass = |d: f64, z: f64| f64::from(d > 0. && z > 0.);
        let mut delta = d.dot(&w.t());
        delta.zip_mut_with(&z, |d, z| *d *= pass(*d, *z));
        delta
    })
    .wrong_second(&SLOPE_FORGOTTEN, |d, w, z| {
        let mut delta = d.dot(&w.t());
        // A view whose rows do not lie together has no slice.
        for (d, z) in delta.iter_mut().zip(z.as_slice().unwrap_or(&[])) {
            *d *= f64::from(*z > 0.);
        }
        delta
    })
    .odd_second("active above 1e-6 only", |d, w, z| {
        d.dot(&w.t()) * z.mapv(|z| f64::from(z > 1e-6))
    })
    .odd_second("slope 1 at 0", |d, w, z| {
        d.dot(&w.t()) * z.mapv(|z| f64::from(z >= 0.))
    })
    .odd_second("0/0 at a sum of 0", |d, w, z| {
        let slope = |z: f64| f64::from(z > 0.) * (1. / z * z);
        d.dot(&w.t()) * z.mapv(slope)
    })
    .odd_second("a hundredth leaks through", |d, w, z| {
        d.dot(&w.t()) * z.mapv(|z| if z > 0. { 1. } else { 0.01 })
    })
    .odd_second("far below 0 it leaks", |d, w, z| {
        let slope = |z: f64| f64::from(!(-3. ..=0.).contains(&z));
        d.dot(&w.t()) * z.mapv(slope)
    });
    all.task("cached", &exam::CACHED, answer::cached, stub::cached)
        .right("in a loop", alt::cached_loop)
        .wrong(&OUTPUT_CACHED, twins::cached_with_output)
        .wrong(&INPUT_NOT_CACHED, twins::cached_without_x)
        .wrong(&BATCH_NOT_COUNTED, twins::cached_one)
        .wrong(&PARAMETERS_CACHED, twins::cached_with_weights)
        .wrong(&SUMS_ALWAYS_CACHED, twins::cached_always_sums)
        .wrong(&SUMS_NOT_CACHED, |n, b, sums| {
            let [below, inner] = [&n[..n.len() - 1], &n[1..n.len() - 1]];
            twins::cached_slices((below, inner), (b, b), sums)
        })
        .wrong(&SUMS_NOT_CACHED, |n, b, sums| {
            let below = &n[..n.len() - 1];
            twins::cached_slices((below, &n[2..]), (b, b), sums)
        })
        .wrong(&SUMS_NOT_CACHED, |n, b, sums| {
            answer::cached(n, b, sums && n.len() > 2)
        })
        .odd("in f64", |n, b, sums| {
            let of = |n: &[usize]| n.iter().map(|n| *n as f64).sum::<f64>();
            let last = n.len() - 1;
            let sums = if sums { of(&n[1..]) } else { 0. };
            ((of(&n[..last]) + sums) * b as f64) as usize
        })
        .wrong(&SUMS_NOT_CACHED, |n, b, _| {
            twins::cached_slices((&n[..n.len() - 1], n), (b, b), false)
        })
        .wrong(&INPUT_AMONG_SUMS, |n, b, sums| {
            twins::cached_slices((&n[..n.len() - 1], n), (b, b), sums)
        })
        .wrong(&INPUT_AMONG_SUMS, |n, b, sums| {
            let below = &n[..n.len() - 1];
            twins::cached_slices((below, below), (b, b), sums)
        })
        .wrong(&BATCH_NOT_COUNTED, |n, b, sums| {
            twins::cached_slices((&n[..n.len() - 1], &n[1..]), (b, 1), sums)
        })
        .wrong(&BATCH_NOT_COUNTED, |n, b, sums| {
            twins::cached_slices((&n[..n.len() - 1], &n[1..]), (1, b), sums)
        })
        .wrong(&OUTPUT_CACHED, |n, b, sums| {
            let inputs = if sums { &n[..n.len() - 1] } else { n };
            twins::cached_slices((inputs, &n[1..]), (b, b), sums)
        })
        .wrong(&PARAMETERS_CACHED, |n, b, sums| {
            let weights = n.windows(2).map(|io| io[0] * io[1]);
            answer::cached(n, b, sums) + weights.sum::<usize>()
        })
        .wrong(&PARAMETERS_CACHED, |n, b, sums| {
            answer::cached(n, b, sums) + n[1..].iter().sum::<usize>()
        })
        .odd("equal neighbours once", |n, b, sums| {
            let mut n = n.to_vec();
            n.dedup();
            answer::cached(&n, b, sums)
        })
        .odd("in 32 bits", |n, b, sums| {
            answer::cached(n, b, sums) as u32 as usize
        })
        .odd("nothing for one layer", |n, b, sums| {
            answer::cached(n, b, sums) * usize::from(n.len() > 2)
        });
    all.task("descend", &exam::DESCEND, answer::descend, stub::descend)
        .right("loops", alt::descend_loops)
        .wrong(&UPDATED_TOO_EARLY, twins::descend_too_early)
        .wrong(&BIAS_NOT_UPDATED, twins::descend_no_bias)
        .wrong(&HALF_FORGOTTEN, twins::descend_factor_two)
        .wrong(&LAST_LAYER_ONLY, twins::descend_last_layer)
        .wrong(&UPDATED_TOO_EARLY, twins::descend_layer_by_layer)
        .wrong(&UPDATED_TOO_EARLY, twins::descend_upwards)
        .wrong(&BIAS_NOT_UPDATED, |net, x, t, rate, steps| {
            let moves = [true, false, true, true];
            twins::descend_some(net, (x, t), (rate, steps), moves)
        })
        .wrong(&BIAS_NOT_UPDATED, |net, x, t, rate, steps| {
            let moves = [true, true, true, false];
            twins::descend_some(net, (x, t), (rate, steps), moves)
        })
        .wrong(&WEIGHT_NOT_UPDATED, |net, x, t, rate, steps| {
            let moves = [true, true, false, true];
            twins::descend_some(net, (x, t), (rate, steps), moves)
        })
        .wrong(&WEIGHT_NOT_UPDATED, |net, x, t, rate, steps| {
            let moves = [false, true, true, true];
            twins::descend_some(net, (x, t), (rate, steps), moves)
        })
        .wrong(&WEIGHT_NOT_UPDATED, |net, x, t, rate, steps| {
            twins::descend_some(net, (x, t), (rate, steps), [false; 4])
        })
        .wrong(&GRADIENTS_NOT_CLEARED, twins::descend_not_cleared)
        .wrong(&GRADIENTS_NOT_CLEARED, twins::descend_bias_not_cleared)
        .wrong(&WEIGHT_NOT_UPDATED, |net, x, t, rate, steps| {
            twins::descend_by(net, x, t, rate, steps, |e, k| (e, k > 1))
        })
        .odd("an error of at most 1000", |net, x, t, rate, steps| {
            let clipped = |e: f64, _| (e.clamp(-1e3, 1e3), true);
            twins::descend_by(net, x, t, rate, steps, clipped)
        })
        .odd("an error of at most 5", |net, x, t, rate, steps| {
            let clipped = |e: f64, _| (e.clamp(-5., 5.), true);
            twins::descend_by(net, x, t, rate, steps, clipped)
        })
        .wrong(&UPDATED_TOO_EARLY, twins::descend_bias_first)
        .wrong(&STALE_FORWARD, twins::descend_stale_mask)
        .wrong(&STALE_FORWARD, twins::descend_stale_units)
        .wrong(&STALE_FORWARD, twins::descend_stale_gradients)
        .wrong(&SLOPE_FORGOTTEN, twins::descend_half_masked)
        .wrong(&TRANSPOSED, twins::descend_turned)
        .wrong(&LOSSES_SHIFTED, twins::descend_loss_after)
        .wrong(&LOSSES_SHIFTED, twins::descend_first_twice)
        .wrong(&LOSSES_SHIFTED, twins::descend_last_twice)
        .wrong(&SIGN_FLIPPED, |net, x, t, rate, steps| {
            answer::descend(net, x, t, -rate, steps)
        })
        .wrong(&HALF_FORGOTTEN, |net, x, t, rate, steps| {
            let all = answer::descend(net, x, t, rate, steps);
            all.into_iter().map(|loss| loss + loss).collect()
        })
        .odd("slope 1 at 0", |net, x, t, rate, steps| {
            twins::descend_open_at_0(net, x, t, rate, steps)
        })
        .odd("it stops where a step gains 1e-9", |net, x, t, rate, n| {
            let mut all = answer::descend(net, x, t, rate, n);
            let small = all.windows(2).position(|l| (l[0] - l[1]).abs() < 1e-9);
            if let Some(k) = small {
                let last = all[k];
                all[k..].fill(last);
            }
            all
        })
        .odd("it stops at 1e-10", |net, x, t, rate, steps| {
            let all = answer::descend(net, x, t, rate, steps);
            let mut last = f64::INFINITY;
            let stop = |loss: f64| {
                if last > 1e-10 {
                    last = loss;
                }
                last
            };
            all.into_iter().map(stop).collect()
        })
        .odd("no more than 500 steps", |net, x, t, rate, steps| {
            let mut all = answer::descend(net, x, t, rate, steps.min(500));
            all.resize(steps + 1, all[all.len() - 1]);
            all
        })
        .odd("it stops half way", |net, x, t, rate, steps| {
            let mut all = answer::descend(net, x, t, rate, steps.min(50));
            let last = all[all.len() - 1];
            all.resize(steps + 1, last);
            all
        })
        .odd("half a percent faster", |net, x, t, rate, steps| {
            answer::descend(net, x, t, rate * 1.005, steps)
        })
        .odd("a late drift", |net, x, t, rate, steps| {
            let mut all = answer::descend(net, x, t, rate, steps);
            all.iter_mut().skip(61).for_each(|l| *l *= 1.05);
            all
        })
        .odd(
            "nothing for no step",
            |net, x, t, rate, steps| match steps {
                0 => Vec::new(),
                _ => answer::descend(net, x, t, rate, steps),
            },
        )
        .odd("never slower than 0.02", |net, x, t, rate, steps| {
            answer::descend(net, x, t, rate.max(0.02), steps)
        });
    all
}
