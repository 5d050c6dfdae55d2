//! The multilayer perceptron.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/mlp.rs"]
#[allow(unused)]
mod stub;
mod twins;

use backprop::network::mlp::Activation;
use ndarray::Array2;

use examiner::submission::Submissions;

use examiner::general::{BATCH_NOT_COUNTED, VALUE_AS_GRADIENT, WRONG_BUG};
use examiner::network::linear::mistakes::TRANSPOSE_MISSING_DW;
use examiner::network::mlp as exam;
use examiner::network::mlp::mistakes::{
    BIAS_NOT_UPDATED, DEAD_UNIT_OUTGOING, HALF_FORGOTTEN, INPUT_NOT_CACHED,
    LAST_LAYER_ONLY, LAYERS_REVERSED, MASK_FROM_UPSTREAM, ONE_USE_ONLY,
    OUTPUT_CACHED, OUTPUT_SLOPE_FORGOTTEN, PARAMETERS_CACHED, RELU_EVERYWHERE,
    SLOPE_AT_WRONG_LAYER, SLOPE_BEFORE_WEIGHT, SLOPE_FORGOTTEN,
    SUM_FOR_ACTIVATION, SUMS_ALWAYS_CACHED, UPDATED_TOO_EARLY, USES_NOT_ALIKE,
    WEIGHT_OF_WRONG_LAYER,
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
    .odd_first("∞/∞ far from 0", |dy, z, s| match s {
        Activation::Sigmoid => {
            let e = z.exp();
            &dy * &(&e / &(1. + &e).powi(2))
        }
        _ => answer::bp1(dy, z, s),
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
        "gradients",
        &exam::GRADIENTS,
        (answer::bp3, answer::bp4),
        (stub::bp3, stub::bp4),
    )
    .right("outer products", (alt::bp3_outer, alt::bp4_loop))
    .right("transposed", (alt::bp3_transposed, alt::bp4_ones))
    .wrong_first(&TRANSPOSE_MISSING_DW, twins::bp3_not_transposed);
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
    .wrong(&USES_NOT_ALIKE, twins::tied_doubled);
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
        .odd("nothing for one layer", |n, b, sums| {
            answer::cached(n, b, sums) * usize::from(n.len() > 2)
        });
    all.task("descend", &exam::DESCEND, answer::descend, stub::descend)
        .right("loops", alt::descend_loops)
        .wrong(&UPDATED_TOO_EARLY, twins::descend_too_early)
        .wrong(&BIAS_NOT_UPDATED, twins::descend_no_bias)
        .wrong(&HALF_FORGOTTEN, twins::descend_factor_two)
        .wrong(&LAST_LAYER_ONLY, twins::descend_last_layer)
        .odd(
            "the mask of the first step, always",
            |net, x, t, rate, steps| {
                let (mut w1, mut b1, mut w2, mut b2) = net;
                let mask = (x.dot(&w1) + &b1).mapv(|z| f64::from(z > 0.));
                let mut all = Vec::new();
                for _ in 0..=steps {
                    let a = (x.dot(&w1) + &b1) * &mask;
                    let gap = a.dot(&w2) + b2 - t;
                    all.push(gap * gap / 2.);
                    let step = &w2 * &mask * (rate * gap);
                    w2.scaled_add(-rate * gap, &a);
                    b2 -= rate * gap;
                    for (mut w, x) in w1.rows_mut().into_iter().zip(x) {
                        w.scaled_add(-x, &step);
                    }
                    b1 -= &step;
                }
                all
            },
        )
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
