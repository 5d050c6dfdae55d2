//! Softmax and cross-entropy.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/softmax_cross_entropy.rs"]
#[allow(unused)]
mod stub;
mod twins;

use backprop::network::softmax_cross_entropy as softmax;
use examiner::calculus::chain_rule::mistakes::SLOPE_OF_OUTPUT;
use ndarray::{Array2, ArrayView1, Axis};

use examiner::general::{
    BATCH_MEAN_MISSING, BATCH_NOT_COUNTED, GRAD_OVERWRITTEN, SUM_AS_N_MINUS_1,
    WRONG_BUG,
};
use examiner::network::softmax_cross_entropy as exam;
use examiner::network::softmax_cross_entropy::mistakes::{
    DIAGONAL_DROPPED, DIAGONAL_JACOBIAN, DOT_DROPPED, DOT_FOR_PLAIN_SUM,
    DOT_PER_ENTRY, DOUBLE_SOFTMAX, DOUBLE_SOFTMAX_GRAD, ENTROPY_SUBTRACTED,
    EPSILON_IN_LOG, JACOBIAN_OF_BATCH, JACOBIAN_SHARED, JACOBIAN_SKIPPED,
    JACOBIAN_TWICE, LOG_AS_PROBABILITY, LOG_BASE_2, LOG_OF_ZERO,
    LOGITS_CLIPPED, LOGITS_FOR_PROBABILITIES, MEAN_OVER_ENTRIES,
    MEAN_OVER_WEIGHTS, NEGATIVE_CLASS_FORGOTTEN, NOT_BLIND, ONE_DOT_FOR_BATCH,
    OVERFLOW, PASS_FORGOTTEN, PLAIN_SUM_FOR_DOT, PROBABILITY_FACTOR_DROPPED,
    ROOT_HALF_FORGOTTEN, ROOT_SLOPE_FORGOTTEN, ROW_SUMS_AS_A_ROW,
    SMOOTHING_FORGOTTEN, SMOOTHING_SPARES_LABEL, SOFT_TARGETS_IGNORED,
    SOFTMAX_AXIS, SOFTMAX_OF_ONE_LOGIT, SOFTMAX_RULE_ON_LOG,
    SOFTMAX_RULE_ON_ROOT, STOPS_WHEN_RIGHT, SUM_NOT_DIFFERENCE, TABLE_SKIPPED,
    TARGET_ALWAYS_RAISED, TARGET_FORGOTTEN, TARGET_SUM_IGNORED,
    TARGETS_NOT_ONE, TEMPERATURE_FORGOTTEN, TEMPERATURE_INVERTED,
    TEMPERATURE_NOT_IN_SOFTMAX, TEMPERATURE_TWICE, TRIVIAL_COTANGENT,
    UNDERFLOW, WEIGHT_FORGOTTEN, WEIGHT_ON_BOTH, WEIGHT_ON_TARGET_ONLY,
    WEIGHT_PER_EXAMPLE,
};
use examiner::submission::Submissions;

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    all.task(
        "before_coding",
        &exam::BEFORE_CODING,
        (answer::SIGNS, answer::SUM, answer::BLIND),
        (stub::SIGNS, stub::SUM, stub::BLIND),
    )
    .right(
        "another sign of zero, another scale",
        (
            Some([1, -1, 1]),
            Some(-0.),
            Some([[0.5, 0.5, 0.5], [3., 3., 3.]]),
        ),
    )
    .odd("entry by entry, or of p", (Some([-1, -1, 0]), None, None))
    .wrong(&STOPS_WHEN_RIGHT, (Some([0, -1, 1]), None, None))
    .wrong(&TARGET_ALWAYS_RAISED, (Some([-1, -1, 1]), None, None))
    .wrong(&TARGET_FORGOTTEN, (Some([1; 3]), None, None))
    .wrong(&TARGET_SUM_IGNORED, (answer::SIGNS, Some(-0.5), None))
    .wrong(
        &TRIVIAL_COTANGENT,
        (answer::SIGNS, Some(0.), Some([[1.; 3], [0.; 3]])),
    )
    .wrong(
        &NOT_BLIND,
        (
            answer::SIGNS,
            Some(0.),
            Some([[1., -1., 0.], [0., 1., -1.]]),
        ),
    )
    .odd(
        "not numbers",
        (answer::SIGNS, answer::SUM, Some([[f64::NAN; 3], [1.; 3]])),
    )
    .odd("almost constant", {
        let almost = Some([[1., 1., 1. + 1e-9], [2.; 3]]);
        (answer::SIGNS, answer::SUM, almost)
    })
    .odd("almost zero", (answer::SIGNS, Some(1e-17), answer::BLIND));
    all.task(
        "vjps",
        &exam::VJPS,
        (answer::root_softmax_vjp, answer::log_softmax_vjp),
        (stub::root_softmax_vjp, stub::log_softmax_vjp),
    )
    .right(
        "through the Jacobian",
        (alt::vjp_through_jacobian, alt::log_vjp_through_jacobian),
    )
    .right("by pairs, loops", (alt::vjp_by_pairs, alt::log_vjp_loops))
    .right("in place", (alt::vjp_in_place, answer::log_softmax_vjp))
    .right("product with ones", (alt::vjp_by_ones, alt::log_vjp_loops))
    .wrong_first(&SUM_NOT_DIFFERENCE, twins::vjp_plus)
    .wrong_first(&DOT_DROPPED, twins::vjp_without_dot)
    .wrong_first(&PLAIN_SUM_FOR_DOT, twins::vjp_with_plain_sum)
    .wrong_first(&SOFTMAX_AXIS, twins::vjp_along_columns)
    .wrong_first(&ONE_DOT_FOR_BATCH, twins::vjp_one_dot)
    .wrong_first(&PROBABILITY_FACTOR_DROPPED, twins::vjp_without_factor)
    .wrong_first(&SOFTMAX_RULE_ON_ROOT, twins::vjp_of_softmax)
    .wrong_first(&ROOT_SLOPE_FORGOTTEN, twins::vjp_without_root)
    .wrong_first(&ROOT_HALF_FORGOTTEN, twins::vjp_without_half)
    .wrong_first(&ROW_SUMS_AS_A_ROW, twins::vjp_axis_lost)
    .wrong_second(&ROW_SUMS_AS_A_ROW, twins::log_vjp_axis_lost)
    .wrong_first(&DIAGONAL_DROPPED, twins::vjp_off_diagonal)
    .wrong_first(&GRAD_OVERWRITTEN, |y, dy| {
        let mut dx = y.to_owned();
        for (b, mut row) in dx.rows_mut().into_iter().enumerate() {
            let mut dot = 0.;
            for v in 0..y.ncols() {
                dot = y[[b, v]] * dy[[b, v]];
            }
            row.zip_mut_with(&dy.row(b), |y, d| *y *= (d - *y * dot) / 2.);
        }
        dx
    })
    .wrong_second(&DIAGONAL_DROPPED, |y, dy| {
        let others = dy.sum_axis(Axis(1)).insert_axis(Axis(1)) - dy;
        -y.exp() * others
    })
    .wrong_second(&LOG_AS_PROBABILITY, twins::log_vjp_without_exp)
    .wrong_second(&SOFTMAX_RULE_ON_LOG, twins::log_vjp_softmax_rule)
    .wrong_second(&DOT_FOR_PLAIN_SUM, twins::log_vjp_dot)
    .wrong_first(&SLOPE_OF_OUTPUT, |y, dy| {
        let again = softmax::forward(y).mapv(f64::sqrt);
        answer::root_softmax_vjp(again.view(), dy)
    })
    .odd_first("through softmax, 0/0 where p is 0", |y, dy| {
        let p = &y * &y;
        softmax::vjp(p.view(), (&dy / &(&y * 2.)).view())
    })
    .odd_first("no factor y where the dot is 0", |y, dy| {
        let mut dx = answer::root_softmax_vjp(y, dy);
        for (b, mut row) in dx.rows_mut().into_iter().enumerate() {
            if y.row(b).dot(&dy.row(b)) == 0. {
                row.assign(&dy.row(b));
            }
        }
        dx
    })
    .odd_first("in the order of the memory", |y, dy| {
        let raw = |a: ndarray::ArrayView2<f64>| {
            let all = a.to_owned().into_raw_vec_and_offset().0;
            Array2::from_shape_vec(a.raw_dim(), all).unwrap()
        };
        answer::root_softmax_vjp(raw(y).view(), raw(dy).view())
    })
    .odd_first("no probability below 1e-4", |y, dy| {
        answer::root_softmax_vjp(y.mapv(|v| v.max(1e-4)).view(), dy)
    })
    .odd_second("through softmax, 0/0 where p is 0", |y, dy| {
        let p = y.exp();
        softmax::vjp(p.view(), (&dy / &p).view())
    })
    .odd_second("a sum of sizes", |y, dy| {
        let sum = dy.mapv(f64::abs).sum_axis(Axis(1));
        &dy - &(y.exp() * sum.insert_axis(Axis(1)))
    });
    all.task(
        "cross_entropy",
        &exam::CROSS_ENTROPY,
        (answer::cross_entropy, answer::cross_entropy_vjp),
        (stub::cross_entropy, stub::cross_entropy_vjp),
    )
    .right("log-sum-exp", (alt::loss_by_lse, answer::cross_entropy_vjp))
    .right(
        "streaming, through log-softmax",
        (alt::loss_streaming, alt::loss_vjp_through_log_softmax),
    )
    .right("by pairs", (answer::cross_entropy, alt::loss_vjp_by_pairs))
    .odd_first("examples counted in 16 bits", |x, t| {
        let n = x.nrows();
        answer::cross_entropy(x, t) * n as f64 / f64::from(n as u16)
    })
    .odd_second("examples counted in 16 bits", |x, t, dloss| {
        let n = x.nrows();
        let dx = answer::cross_entropy_vjp(x, t, dloss);
        dx * n as f64 / f64::from(n as u16)
    })
    .wrong_first(&BATCH_MEAN_MISSING, twins::loss_summed)
    .wrong_first(&MEAN_OVER_ENTRIES, twins::loss_over_entries)
    .wrong_first(&LOG_BASE_2, twins::loss_in_bits)
    .wrong_first(&SOFT_TARGETS_IGNORED, twins::loss_of_likeliest)
    .wrong_first(&ENTROPY_SUBTRACTED, twins::loss_relative_entropy)
    .wrong_first(&DOUBLE_SOFTMAX, twins::loss_softmax_twice)
    .wrong_first(&OVERFLOW, twins::loss_overflows)
    .wrong_first(&LOG_BASE_2, |x, t| {
        let most = x.fold_axis(Axis(1), f64::MIN, |m, v| m.max(*v));
        let z = &x - &most.insert_axis(Axis(1));
        let bits = z.exp().sum_axis(Axis(1)).mapv(f64::log2);
        ((bits.insert_axis(Axis(1)) - z) * t).sum() / x.nrows() as f64
    })
    .odd_first("no shift up to 709", |x, t| {
        let one = |(x, t): (ArrayView1<f64>, ArrayView1<f64>)| {
            let most = x.fold(f64::MIN, |m, v| m.max(*v));
            let m = if (-600. ..709.6).contains(&most) {
                0.
            } else {
                most
            };
            let sum = x.mapv(|v| (v - m).exp()).sum();
            (sum.ln() - (&x - m)).dot(&t)
        };
        let all = x.rows().into_iter().zip(t.rows()).map(one);
        all.sum::<f64>() / x.nrows() as f64
    })
    .wrong_first(&LOG_OF_ZERO, twins::loss_log_of_zero)
    .wrong_first(&EPSILON_IN_LOG, twins::loss_with_epsilon)
    .wrong_first(&LOGITS_CLIPPED, twins::loss_clipped_logits)
    .wrong_second(&DOUBLE_SOFTMAX_GRAD, twins::loss_vjp_slope_again)
    .wrong_second(&JACOBIAN_SKIPPED, twins::loss_vjp_of_probabilities)
    .right(
        "through log-softmax",
        (
            |x, t| {
                let log_p = softmax::log_softmax(x);
                -(&t * &log_p).sum() / x.nrows() as f64
            },
            answer::cross_entropy_vjp,
        ),
    )
    .wrong_first(&UNDERFLOW, |x, t| {
        let top = x.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        let sums = x.mapv(|v| (v - top).exp()).sum_axis(Axis(1));
        let log_p = &x - top - &sums.ln().insert_axis(Axis(1));
        -(&t * &log_p).sum() / x.nrows() as f64
    })
    .wrong_first(&UNDERFLOW, |x, t| {
        // The largest of the row and 0.
        let top = x.fold_axis(Axis(1), 0., |m: &f64, v| m.max(*v));
        twins::loss_shifted_by(x, t, top)
    })
    .wrong_first(&OVERFLOW, |x, t| {
        twins::loss_shifted_by(x, t, x.column(0).to_owned())
    })
    .wrong_first(&OVERFLOW, |x, t| {
        let last = x.column(x.ncols() - 1).to_owned();
        twins::loss_shifted_by(x, t, last)
    })
    .wrong_first(&OVERFLOW, |x, t| {
        twins::loss_shifted_by(x, t, x.mean_axis(Axis(1)).unwrap())
    })
    .wrong_first(&OVERFLOW, |x, t| {
        let of_label = (&x * &t).sum_axis(Axis(1)) / t.sum_axis(Axis(1));
        twins::loss_shifted_by(x, t, of_label)
    })
    .wrong_second(&OVERFLOW, |x, t, dloss| {
        let e =
            (&x - &x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1))).exp();
        let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
        (p - t) * dloss / x.nrows() as f64
    })
    .wrong_second(&LOG_OF_ZERO, |x, t, dloss| {
        let p = softmax::forward(x);
        let dp = -&t / &p * dloss / x.nrows() as f64;
        softmax::vjp(p.view(), dp.view())
    })
    .wrong_first(&LOGITS_CLIPPED, |x, t| {
        // After the shift.
        let top = x.fold_axis(Axis(1), f64::NEG_INFINITY, |m, v| m.max(*v));
        let low = (&x - &top.insert_axis(Axis(1))).mapv(|v| v.max(-50.));
        answer::cross_entropy(low.view(), t)
    })
    .wrong_first(&EPSILON_IN_LOG, |x, t| {
        let log_p = softmax::forward(x).mapv(|p| (p + 1e-300).ln());
        -(&t * &log_p).sum() / x.nrows() as f64
    })
    .wrong_first(&LOGITS_CLIPPED, |x, t| {
        let x = x.mapv(|v| v.clamp(-5000., 5000.));
        answer::cross_entropy(x.view(), t)
    })
    .wrong_second(&UNDERFLOW, |x, t, dloss| {
        let top = x.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        let e = x.mapv(|v| (v - top).exp());
        let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
        (p - t) * dloss / x.nrows() as f64
    })
    .wrong_second(&LOGITS_CLIPPED, |x, t, dloss| {
        let x = x.mapv(|v| v.clamp(-500., 500.));
        answer::cross_entropy_vjp(x.view(), t, dloss)
    })
    .odd_second("summed and negated", |x, t, dloss| {
        answer::cross_entropy_vjp(x, t, -dloss) * x.nrows() as f64
    });
    all.task(
        "tempered",
        &exam::TEMPERED,
        answer::tempered_vjp,
        stub::tempered_vjp,
    )
    .right("chain", alt::tempered_chain)
    .right("in place", alt::tempered_in_place)
    .wrong(&TEMPERATURE_FORGOTTEN, twins::tempered_factor_missing)
    .wrong(&TEMPERATURE_TWICE, twins::tempered_divided_twice)
    .wrong(&TEMPERATURE_INVERTED, twins::tempered_multiplied)
    .wrong(&TEMPERATURE_NOT_IN_SOFTMAX, twins::tempered_plain_softmax)
    .wrong(&SMOOTHING_FORGOTTEN, twins::tempered_hard)
    .wrong(&SMOOTHING_SPARES_LABEL, twins::tempered_shared_by_others)
    .odd("always some smoothing", |x, labels, eps, tau, dloss| {
        answer::tempered_vjp(x, labels, eps.max(0.01), tau, dloss)
    })
    .wrong(&GRAD_OVERWRITTEN, |x, labels, eps, tau, dloss| {
        let (dx, mut dtau) = answer::tempered_vjp(x, labels, eps, tau, dloss);
        for (row, x) in dx.rows().into_iter().zip(x.rows()) {
            dtau = -row.dot(&x) / tau;
        }
        (dx, dtau)
    })
    .wrong(&TARGETS_NOT_ONE, |x, labels, eps, tau, dloss| {
        let (b, v) = x.dim();
        let mut t = Array2::from_elem((b, v), eps / v as f64);
        labels
            .iter()
            .enumerate()
            .for_each(|(b, l)| t[[b, *l]] = 1. - eps);
        let z = &x / tau;
        let p = softmax::forward(z.view());
        let mass = t.sum_axis(Axis(1)).insert_axis(Axis(1));
        let dz = (p * mass - t) * dloss / b as f64;
        (&dz / tau, -(&dz * &z).sum() / tau)
    })
    .wrong(&TARGETS_NOT_ONE, |x, labels, eps, tau, dloss| {
        // Every class gets the share of the others, the label too.
        let share = eps / (x.ncols() as f64 - 1.);
        let mut t = Array2::from_elem(x.dim(), share);
        for (b, v) in labels.iter().enumerate() {
            t[[b, *v]] += 1. - eps;
        }
        let z = &x / tau;
        let p = backprop::network::softmax_cross_entropy::forward(z.view());
        let dz = (p - t) * (dloss / x.nrows() as f64);
        let dtau = -(&dz * &z).sum() / tau;
        (dz / tau, dtau)
    })
    .wrong(&OVERFLOW, |x, labels, eps, tau, dloss| {
        let (dx, _) = answer::tempered_vjp(x, labels, eps, tau, dloss);
        let e = (&x / tau).exp();
        let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
        let t = softmax::targets(labels, x.ncols(), eps);
        let dz = (p - t) * dloss / x.nrows() as f64;
        let dtau = -(&dz * &x).sum() / (tau * tau);
        (
            if dz.iter().all(|v| v.is_finite()) {
                dx
            } else {
                dz
            },
            dtau,
        )
    })
    .odd(
        "a temperature of at least 0.02",
        |x, labels, eps, tau, d| {
            answer::tempered_vjp(x, labels, eps, tau.max(0.02), d)
        },
    )
    .odd(
        "a temperature of at most 50",
        |x, labels, eps, tau, dloss| {
            answer::tempered_vjp(x, labels, eps, tau.min(50.), dloss)
        },
    )
    .odd(
        "no dtau for a temperature of 1",
        |x, labels, eps, tau, dloss| {
            let (dx, dtau) = answer::tempered_vjp(x, labels, eps, tau, dloss);
            (dx, if tau == 1. { 0. } else { dtau })
        },
    )
    .odd("never below 0.5", |x, labels, eps, tau, dloss| {
        answer::tempered_vjp(x, labels, eps, tau.max(0.5), dloss)
    });
    all.task(
        "binary",
        &exam::BINARY,
        (answer::binary_loss, answer::binary_vjp),
        (stub::binary_loss, stub::binary_vjp),
    )
    .right(
        "by the library, by cases",
        (alt::binary_by_library, alt::binary_vjp_by_cases),
    )
    .wrong_first(&WEIGHT_FORGOTTEN, twins::binary_without_weight)
    .wrong_first(&WEIGHT_FORGOTTEN, |x, t, w| {
        let cost = |(x, t): (&f64, &f64)| {
            let rest = (-x.abs()).exp().ln_1p();
            (1. - t) * x.max(0.) + w * t * (-x).max(0.) + rest
        };
        x.iter().zip(t).map(cost).sum::<f64>() / x.len() as f64
    })
    .wrong_first(&WEIGHT_ON_BOTH, twins::binary_weight_on_both)
    .wrong_first(&NEGATIVE_CLASS_FORGOTTEN, twins::binary_positives_only)
    .wrong_first(&WEIGHT_PER_EXAMPLE, twins::binary_weighted_examples)
    .wrong_first(&MEAN_OVER_WEIGHTS, twins::binary_weighted_mean)
    .wrong_second(&WEIGHT_ON_TARGET_ONLY, twins::binary_vjp_weighted_target)
    .wrong_second(&SOFTMAX_OF_ONE_LOGIT, twins::binary_vjp_softmax_of_one)
    .wrong_second(&SOFTMAX_AXIS, |x, t, w, dloss| {
        let e = (&x - x.fold(f64::MIN, |m, v| m.max(*v))).exp();
        let p = &e / e.sum();
        let slope = w * &t * (&p - 1.) + (1. - &t) * &p;
        slope * (dloss / x.len() as f64)
    })
    .right(
        "a softplus of two branches",
        (
            |x, t, w| {
                let softplus = |v: f64| match v > 30. {
                    true => v,
                    false => v.exp().ln_1p(),
                };
                let cost = |(x, t): (&f64, &f64)| {
                    w * t * softplus(-x) + (1. - t) * softplus(*x)
                };
                x.iter().zip(t).map(cost).sum::<f64>() / x.len() as f64
            },
            answer::binary_vjp,
        ),
    )
    .odd_first("another branch beyond 10", |x, t, w| {
        let softplus = |v: f64| match v > 10. {
            true => v,
            false => v.exp().ln_1p(),
        };
        let cost = |(x, t): (&f64, &f64)| {
            w * t * softplus(-x) + (1. - t) * softplus(*x)
        };
        x.iter().zip(t).map(cost).sum::<f64>() / x.len() as f64
    })
    .odd_first("ln(1 - σ), guarded", |x, t, w| {
        let cost = |(x, t): (&f64, &f64)| {
            let p = 1. / (1. + (-x).exp());
            match x.abs() > 36.8 {
                true => w * t * (-x).max(0.) + (1. - t) * x.max(0.),
                false => -(w * t * p.ln() + (1. - t) * (1. - p).ln()),
            }
        };
        x.iter().zip(t).map(cost).sum::<f64>() / x.len() as f64
    })
    .wrong_first(&LOGITS_CLIPPED, |x, t, w| {
        answer::binary_loss(x.mapv(|v| v.clamp(-30., 30.)).view(), t, w)
    })
    .wrong_first(&EPSILON_IN_LOG, |x, t, w| {
        let p = x.mapv(|v| (1. / (1. + (-v).exp())).clamp(1e-12, 1. - 1e-12));
        let sum = w * &t * p.ln() + (1. - &t) * (1. - &p).ln();
        -sum.sum() / x.len() as f64
    })
    .wrong_first(&SOFT_TARGETS_IGNORED, |x, t, w| {
        answer::binary_loss(x, t.mapv(f64::round).view(), w)
    })
    .wrong_first(&LOGITS_CLIPPED, |x, t, w| {
        answer::binary_loss(x.mapv(|v| v.clamp(-100., 100.)).view(), t, w)
    })
    .odd_second("logits clipped at 5", |x, t, w, dloss| {
        let x = x.mapv(|v| v.clamp(-5., 5.));
        answer::binary_vjp(x.view(), t, w, dloss)
    })
    .wrong_second(&SOFT_TARGETS_IGNORED, |x, t, w, dloss| {
        answer::binary_vjp(x, t.mapv(f64::round).view(), w, dloss)
    });
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right(
        "through the Jacobian",
        (answer::BUG, alt::lookup_through_jacobian),
    )
    .wrong_first(&WRONG_BUG, Some("DOT_DROPPED"))
    .wrong_first(&WRONG_BUG, Some("diagonal"))
    .wrong_second(&DIAGONAL_JACOBIAN, stub::mended)
    .wrong_second(&TABLE_SKIPPED, twins::lookup_without_table)
    .wrong_second(&LOGITS_FOR_PROBABILITIES, twins::lookup_table_from_logits);
    all.task(
        "find_the_floor",
        &exam::FIND_THE_FLOOR,
        (answer::FLOOR, answer::mended_loss),
        (stub::FLOOR, stub::mended_loss),
    )
    .right("by hand", (answer::FLOOR, alt::mended_by_hand))
    .wrong_first(&WRONG_BUG, Some("EPSILON_IN_LOG"))
    .wrong_second(&DOUBLE_SOFTMAX, stub::mended_loss)
    .wrong_second(&DOUBLE_SOFTMAX, |x, t| {
        let (loss, dx) = stub::mended_loss(x, t);
        let others = x.ncols() as f64 - 1.;
        (loss - (others / std::f64::consts::E).ln_1p(), dx)
    })
    .wrong_second(&JACOBIAN_TWICE, twins::floor_slope_left)
    .odd_second("the logarithm of a probability that is 0", |x, t| {
        let (_, dx) = answer::mended_loss(x, t);
        let p = backprop::network::softmax_cross_entropy::forward(x);
        let cost = |(p, t): (&f64, &f64)| if *t > 0. { t * p.ln() } else { 0. };
        let all = p.iter().zip(t).map(cost);
        (-all.sum::<f64>() / x.nrows() as f64, dx)
    })
    .odd_second("1 where it is 0", |x, t| {
        match answer::mended_loss(x, t) {
            (0., dx) => (1., dx),
            other => other,
        }
    });
    all.task("work", &exam::WORK, answer::work, stub::work)
        .right("row by row", alt::work_by_row)
        .wrong(&JACOBIAN_SHARED, twins::work_shared)
        .wrong(&JACOBIAN_OF_BATCH, twins::work_of_batch)
        .wrong(&DOT_PER_ENTRY, twins::work_dot_per_entry)
        .wrong(&SUM_AS_N_MINUS_1, twins::work_signs)
        .wrong(&PASS_FORGOTTEN, twins::work_without_sum)
        .wrong(&BATCH_NOT_COUNTED, |b, v| {
            let [entries, through, _] = answer::work(b, v);
            [entries, through, 4 * v]
        })
        .odd("a pass less per row", |b, v| {
            let [entries, through, vjp] = answer::work(b, v);
            [entries, through, vjp - b]
        });
    all
}
