//! Normalization.

mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/depth/normalization.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::calculus::chain_rule::mistakes::POWER_WITHOUT_TWO;
use examiner::depth::normalization as exam;
use examiner::depth::normalization::mistakes::{
    BATCH_OF_TWO, BATCH_STATS_IN_EVAL, BN_BESSEL, EPSILON_MISPLACED,
    GAMMA_AT_END, GAMMA_IN_DGAMMA, GAMMA_LOST, GAMMA_TWICE, GROUP_PARAMETERS,
    GROUPS_IGNORED, GROUPS_INTERLEAVED, INVERSE_STD_LOST, INVERSE_STD_TWICE,
    LN_NEVER_ZERO, MEAN_TERM_DROPPED, MEAN_TERMS_SUMMED, MOMENTUM_SWAPPED,
    RMS_CENTRED, ROOT_WITHOUT_HALF, ROW_TERM_ON_COLUMNS, RUNNING_VAR_BIASED,
    SQUARE_FOR_ROOT, STATS_CONSTANT, TERM_ADDED, TRAIN_RULE_IN_EVAL,
    VAR_TERM_DROPPED, X_FOR_X_HAT,
};
use examiner::general::{
    ALL_ZERO, BATCH_MEAN_TWICE, OUTPUTS_REORDERED, SIGN_FLIPPED,
    UPSTREAM_IGNORED, WRONG_BUG,
};
use examiner::network::softmax_cross_entropy::mistakes::MEAN_OVER_ENTRIES;
use examiner::submission::Submissions;
use ndarray::{Array1, Axis, s};

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
    .wrong(&LN_NEVER_ZERO, Some([false; 6]))
    .wrong(
        &LN_NEVER_ZERO,
        Some([true, true, false, false, true, false]),
    )
    .wrong(
        &BATCH_OF_TWO,
        Some([false, true, true, false, false, false]),
    )
    .wrong(&RMS_CENTRED, Some([true, true, true, true, true, false]))
    .wrong(
        &TRAIN_RULE_IN_EVAL,
        Some([true, true, true, false, true, true]),
    )
    .odd("everything", Some([true; 6]));
    all.task(
        "layer_norm_vjp",
        &exam::LAYER_NORM_VJP,
        answer::layer_norm_vjp,
        stub::layer_norm_vjp,
    )
    .right("loops", alt::layer_loops)
    .right("by the graph", alt::layer_graph)
    .right("by the Jacobian", alt::layer_jacobian)
    .wrong(&GAMMA_LOST, twins::layer_gamma_lost)
    .wrong(&GAMMA_AT_END, twins::layer_gamma_at_end)
    .wrong(&STATS_CONSTANT, twins::layer_constants)
    .wrong(&VAR_TERM_DROPPED, twins::layer_no_variance)
    .wrong(&MEAN_TERM_DROPPED, twins::layer_no_mean)
    .wrong(&MEAN_TERMS_SUMMED, twins::layer_sums)
    .wrong(&INVERSE_STD_TWICE, twins::layer_root_of_r)
    .wrong(&INVERSE_STD_TWICE, twins::layer_divided_by_r)
    .wrong(&X_FOR_X_HAT, twins::layer_dgamma_of_x)
    .wrong(&GAMMA_IN_DGAMMA, twins::layer_dgamma_of_g)
    .wrong(&ROW_TERM_ON_COLUMNS, twins::layer_other_axis)
    .wrong(&ROW_TERM_ON_COLUMNS, twins::layer_mean_down_columns)
    .wrong(&MEAN_OVER_ENTRIES, twins::layer_mean_of_all)
    .wrong(&TERM_ADDED, twins::layer_added)
    .wrong(&INVERSE_STD_LOST, twins::layer_without_r)
    .wrong(&INVERSE_STD_LOST, twins::layer_r_on_last_term)
    .wrong(&INVERSE_STD_TWICE, twins::layer_r_twice)
    .wrong(&GAMMA_TWICE, twins::layer_gamma_twice)
    .wrong(&GAMMA_LOST, twins::layer_gamma_lost_in_dot)
    .wrong(&X_FOR_X_HAT, twins::layer_dot_with_x)
    .wrong(&GAMMA_IN_DGAMMA, twins::layer_dbeta_of_g)
    .wrong(&EPSILON_MISPLACED, twins::layer_own_r_without_eps)
    .wrong(&STATS_CONSTANT, twins::layer_single_passes)
    .wrong(&POWER_WITHOUT_TWO, twins::layer_square_without_two)
    .wrong(&ROOT_WITHOUT_HALF, twins::layer_root_without_half)
    .wrong(&UPSTREAM_IGNORED, |x, gamma, stats, dy| {
        let ones = dy.mapv(|_| 1.);
        answer::layer_norm_vjp(x, gamma, stats, ones.view())
    })
    .wrong(&SIGN_FLIPPED, |x, gamma, stats, dy| {
        let (dx, dgamma, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
        (-dx, -dgamma, -dbeta)
    })
    .wrong(&OUTPUTS_REORDERED, |x, gamma, stats, dy| {
        let (dx, dgamma, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
        (dx, dbeta, dgamma)
    })
    .wrong(&BATCH_MEAN_TWICE, |x, gamma, stats, dy| {
        let (dx, dgamma, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
        let n = x.nrows() as f64;
        (dx, dgamma / n, dbeta / n)
    })
    .odd("γ's gradient from the first row", |x, gamma, stats, dy| {
        let (dx, dgamma, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
        let (x_hat, _) = ((&x - &stats.column(0).insert_axis(Axis(1))), ());
        let first = &x_hat.row(0) * &dy.row(0) * stats[[0, 1]];
        let same = x.nrows() == 1;
        (dx, if same { dgamma } else { first }, dbeta)
    })
    .odd("γ of the first entry for all", |x, gamma, stats, dy| {
        let all = Array1::from_elem(gamma.len(), gamma[0]);
        answer::layer_norm_vjp(x, all.view(), stats, dy)
    })
    .odd(
        "the mean of the batch for that of a row",
        |x, gamma, s, dy| {
            let mut stats = s.to_owned();
            let mean = x.mean().unwrap_or(0.);
            stats.column_mut(0).fill(mean);
            answer::layer_norm_vjp(x, gamma, stats.view(), dy)
        },
    )
    .odd("a small r held at 1e-6", |x, gamma, s, dy| {
        let mut stats = s.to_owned();
        stats.column_mut(1).mapv_inplace(|r| r.max(1e-6));
        answer::layer_norm_vjp(x, gamma, stats.view(), dy)
    })
    .odd("a large r held at 100", |x, gamma, s, dy| {
        let mut stats = s.to_owned();
        stats.column_mut(1).mapv_inplace(|r| r.min(100.));
        answer::layer_norm_vjp(x, gamma, stats.view(), dy)
    })
    .odd(
        "projected orthogonally to x̂, ε or not",
        |x, gamma, s, dy| {
            let (mut dx, dgamma, dbeta) =
                answer::layer_norm_vjp(x, gamma, s, dy);
            for (n, mut row) in dx.rows_mut().into_iter().enumerate() {
                let d = x.row(n).mapv(|v| v - s[[n, 0]]);
                let square = d.dot(&d);
                if square > 0. {
                    let along = row.dot(&d) / square;
                    row.scaled_add(-along, &d);
                }
            }
            (dx, dgamma, dbeta)
        },
    );
    all.task(
        "rms_norm_vjp",
        &exam::RMS_NORM_VJP,
        answer::rms_norm_vjp,
        stub::rms_norm_vjp,
    )
    .right("row by row", alt::rms_rows)
    .right("mirrored", alt::rms_mirrored)
    .wrong(&GAMMA_LOST, twins::rms_gamma_lost)
    .wrong(&GAMMA_AT_END, twins::rms_gamma_at_end)
    .wrong(&STATS_CONSTANT, twins::rms_constants)
    .wrong(&MEAN_TERMS_SUMMED, twins::rms_sums)
    .wrong(&MEAN_TERMS_SUMMED, twins::rms_length)
    .wrong(&RMS_CENTRED, twins::rms_dx_centred)
    .wrong(&RMS_CENTRED, twins::rms_as_layer_norm)
    .wrong(&EPSILON_MISPLACED, twins::rms_eps_outside)
    .wrong(&SQUARE_FOR_ROOT, twins::rms_no_root)
    .wrong(&ROW_TERM_ON_COLUMNS, twins::rms_of_columns)
    .wrong(&EPSILON_MISPLACED, |x, gamma, _, dy| {
        answer::rms_norm_vjp(x, gamma, 0., dy)
    })
    .odd("ε of the library", |x, gamma, _, dy| {
        answer::rms_norm_vjp(x, gamma, 1e-5, dy)
    })
    .odd("ε twice", |x, gamma, eps, dy| {
        answer::rms_norm_vjp(x, gamma, 2. * eps, dy)
    })
    .odd("a mean over D - 1", |x, gamma, eps, dy| {
        let d = x.ncols() as f64;
        if d == 1. {
            return answer::rms_norm_vjp(x, gamma, eps, dy);
        }
        let k = ((d - 1.) / d).sqrt();
        // r grows by 1/k, as if x and ε did.
        let (dx, dgamma) =
            answer::rms_norm_vjp(x, gamma, eps * k * k, (&dy / k).view());
        (dx, dgamma)
    });
    all.task(
        "batch_norm_vjp",
        &exam::BATCH_NORM_VJP,
        (answer::batch_norm_vjp, answer::batch_norm_eval_vjp),
        (stub::batch_norm_vjp, stub::batch_norm_eval_vjp),
    )
    .right("turned", (alt::batch_turned, alt::eval_loops))
    .right("by columns", (alt::batch_columns, alt::eval_loops))
    .wrong_first(&GAMMA_LOST, twins::batch_gamma_lost)
    .wrong_first(&STATS_CONSTANT, twins::batch_constants)
    .wrong_first(&VAR_TERM_DROPPED, twins::batch_no_variance)
    .wrong_first(&MEAN_TERM_DROPPED, twins::batch_no_mean)
    .wrong_first(&MEAN_TERMS_SUMMED, twins::batch_sums)
    .wrong_first(&BN_BESSEL, twins::batch_unbiased)
    .wrong_first(&EPSILON_MISPLACED, twins::batch_eps_outside)
    .wrong_first(&SQUARE_FOR_ROOT, twins::batch_no_root)
    .wrong_first(&ROW_TERM_ON_COLUMNS, twins::batch_by_rows)
    .wrong_first(&MEAN_TERMS_SUMMED, twins::batch_dgamma_for_mean)
    .wrong_first(&MEAN_OVER_ENTRIES, twins::batch_means_of_all)
    .wrong_first(&GAMMA_TWICE, twins::batch_gamma_twice)
    .wrong_first(&ALL_ZERO, twins::batch_single_is_zero)
    .wrong_second(&TRAIN_RULE_IN_EVAL, twins::eval_takes_mean_off)
    .wrong_second(&BATCH_STATS_IN_EVAL, twins::eval_dgamma_of_own_mean)
    .wrong_second(&TRAIN_RULE_IN_EVAL, twins::eval_by_training_rule)
    .wrong_second(&BATCH_STATS_IN_EVAL, twins::eval_of_batch)
    .wrong_second(&EPSILON_MISPLACED, twins::eval_eps_outside)
    .wrong_second(&SQUARE_FOR_ROOT, |x, gamma, mean, variance, eps, dy| {
        let square = variance.mapv(|v| (v + eps) * (v + eps) - eps);
        answer::batch_norm_eval_vjp(x, gamma, mean, square.view(), eps, dy)
    })
    .wrong_second(&GAMMA_LOST, |x, gamma, mean, variance, eps, dy| {
        let (dx, dgamma, dbeta) =
            answer::batch_norm_eval_vjp(x, gamma, mean, variance, eps, dy);
        (dx / gamma, dgamma, dbeta)
    })
    .odd_first("not a number for a batch of one", |x, gamma, eps, dy| {
        let (mut dx, dgamma, dbeta) = answer::batch_norm_vjp(x, gamma, eps, dy);
        if x.nrows() == 1 {
            dx.fill(f64::NAN);
        }
        (dx, dgamma, dbeta)
    })
    .odd_first("dy passed on for a batch of one", |x, gamma, eps, dy| {
        let (dx, dgamma, dbeta) = answer::batch_norm_vjp(x, gamma, eps, dy);
        let one = x.nrows() == 1;
        (if one { dy.to_owned() } else { dx }, dgamma, dbeta)
    })
    .odd_first("the variance of all columns", |x, gamma, _, dy| {
        let v = x.var(0.);
        answer::batch_norm_vjp(x, gamma, v, dy)
    })
    .odd_first("the variance from the mean square", |x, gamma, eps, dy| {
        let b = x.nrows() as f64;
        let mu = x.sum_axis(Axis(0)) / b;
        let v = (&x * &x).sum_axis(Axis(0)) / b - &mu * &mu;
        let r = (v + eps).sqrt().recip();
        let x_hat = (&x - &mu) * &r;
        let dbeta = dy.sum_axis(Axis(0));
        let dgamma = (&dy * &x_hat).sum_axis(Axis(0));
        let dx = (&dy - &(&dbeta / b) - &x_hat * &(&dgamma / b)) * r * gamma;
        (dx, dgamma, dbeta)
    })
    .wrong_second(&X_FOR_X_HAT, |x, gamma, _, v, eps, dy| {
        let zero = Array1::zeros(gamma.len());
        answer::batch_norm_eval_vjp(x, gamma, zero.view(), v, eps, dy)
    })
    .odd_first("a mean that went through f32", |x, gamma, eps, dy| {
        let mean = x.mean_axis(Axis(0)).expect("an example");
        let off = &mean - &mean.mapv(|v| f64::from(v as f32));
        let (dx, mut dgamma, dbeta) = answer::batch_norm_vjp(x, gamma, eps, dy);
        let r = x.var_axis(Axis(0), 0.).mapv(|v| 1. / (v + eps).sqrt());
        dgamma += &(&dbeta * &off * &r);
        (dx, dgamma, dbeta)
    })
    .odd_first("a small variance held at 1e-10", |x, gamma, eps, dy| {
        let (mut dx, dgamma, dbeta) = answer::batch_norm_vjp(x, gamma, eps, dy);
        let v = x.var_axis(Axis(0), 0.);
        let k = v.mapv(|v| ((v + eps) / (v.max(1e-10) + eps)).sqrt());
        dx *= &k;
        (dx, dgamma * k, dbeta)
    });
    all.task(
        "group_norm_vjp",
        &exam::GROUP_NORM_VJP,
        answer::group_norm_vjp,
        stub::group_norm_vjp,
    )
    .right("parts as rows", alt::group_as_rows)
    .right("group by group", alt::group_by_columns)
    .wrong(&GROUP_PARAMETERS, twins::group_parameters)
    .wrong(&GROUP_PARAMETERS, twins::group_dbeta_shared)
    .wrong(&GROUP_PARAMETERS, twins::group_gamma_of_group)
    .wrong(&GROUPS_INTERLEAVED, twins::group_interleaved)
    .wrong(&GROUPS_IGNORED, twins::group_one)
    .wrong(&GAMMA_LOST, twins::group_gamma_lost)
    .wrong(&VAR_TERM_DROPPED, twins::group_no_variance)
    .odd(
        "γ of the first group for all",
        |x, groups, gamma, eps, dy| {
            let long = x.ncols() / groups;
            let all = Array1::from_shape_fn(gamma.len(), |c| gamma[c % long]);
            answer::group_norm_vjp(x, groups, all.view(), eps, dy)
        },
    )
    .odd(
        "as many groups as columns in a group",
        |x, groups, gamma, e, dy| {
            let others = x.ncols() / groups;
            answer::group_norm_vjp(x, others, gamma, e, dy)
        },
    )
    .odd("the first group alone", |x, groups, gamma, eps, dy| {
        let (mut dx, dgamma, dbeta) =
            answer::group_norm_vjp(x, groups, gamma, eps, dy);
        let long = x.ncols() / groups;
        dx.slice_mut(s![.., long..]).fill(0.);
        (dx, dgamma, dbeta)
    });
    all.task("running", &exam::RUNNING, answer::running, stub::running)
        .right("a step", alt::running_step)
        .right("by columns", alt::running_columns)
        .wrong(&RUNNING_VAR_BIASED, twins::running_biased)
        .wrong(&MOMENTUM_SWAPPED, twins::running_swapped)
        .wrong(&MOMENTUM_SWAPPED, twins::running_swapped_variance)
        .odd("a column without spread keeps its own", |mean, v, x, m| {
            let (new, mut moved) = answer::running(mean, v, x, m);
            for (c, column) in x.columns().into_iter().enumerate() {
                if column.iter().all(|x| *x == column[0]) {
                    moved[c] = v[c];
                }
            }
            (new, moved)
        })
        .odd("0/0 for a batch of one", |mean, variance, x, m| {
            let (new, v) = answer::running(mean, variance, x, m);
            (new, v + 0. / (x.nrows() as f64 - 1.))
        })
        .odd("the mean moves for a batch of one", |mean, v, x, m| {
            let (new, v) = answer::running(mean, v, x, m);
            let one = &mean * (1. - m) + &x.row(0) * m;
            (if x.nrows() == 1 { one } else { new }, v)
        })
        .odd("the batch alone", |mean, variance, x, _| {
            answer::running(mean, variance, x, 1.)
        })
        .odd("the variance about the new mean", |mean, variance, x, m| {
            let (new, _) = answer::running(mean, variance, x, m);
            let d = &x - &new;
            let b = x.nrows() as f64;
            let v = (&d * &d).sum_axis(Axis(0)) / (b - 1.);
            (new, &variance * (1. - m) + v * m)
        })
        .odd("the deviation instead of the variance", |mean, v, x, m| {
            let (new, _) = answer::running(mean, v, x, m);
            let s = x.var_axis(Axis(0), 1.).sqrt();
            (new, &v * (1. - m) + s * m)
        })
        .odd("the difference of large squares", |mean, v, x, m| {
            let (new, _) = answer::running(mean, v, x, m);
            let b = x.nrows() as f64;
            let mu = x.sum_axis(Axis(0)) / b;
            let w = (&x * &x).sum_axis(Axis(0)) / b - &mu * &mu;
            (new, &v * (1. - m) + w * (m * b / (b - 1.)))
        });
    all.task(
        "mend_batch_norm",
        &exam::MEND_BATCH_NORM,
        (answer::FIRST_BUG, answer::first_mended),
        (stub::FIRST_BUG, stub::first_mended),
    )
    .right("turned", (Some("STATS_CONSTANT"), alt::batch_turned))
    .wrong(&WRONG_BUG, (Some("GAMMA_LOST"), answer::batch_norm_vjp))
    .wrong(
        &STATS_CONSTANT,
        (Some("STATS_CONSTANT"), stub::first_mended),
    )
    .wrong(
        &VAR_TERM_DROPPED,
        (Some("STATS_CONSTANT"), twins::batch_no_variance),
    )
    .wrong(
        &MEAN_TERMS_SUMMED,
        (Some("STATS_CONSTANT"), twins::batch_dgamma_for_mean),
    )
    .wrong(
        &MEAN_OVER_ENTRIES,
        (Some("STATS_CONSTANT"), twins::batch_means_of_all),
    );
    all.task(
        "mend_layer_norm",
        &exam::MEND_LAYER_NORM,
        (answer::SECOND_BUG, answer::second_mended),
        (stub::SECOND_BUG, stub::second_mended),
    )
    .right("by the graph", (Some("GAMMA_LOST"), alt::layer_graph))
    .wrong(&WRONG_BUG, (Some("GAMMA_AT_END"), answer::layer_norm_vjp))
    .wrong(&GAMMA_LOST, (Some("GAMMA_LOST"), stub::second_mended))
    .wrong(
        &GAMMA_AT_END,
        (Some("GAMMA_LOST"), twins::layer_gamma_at_end),
    )
    .wrong(
        &GAMMA_IN_DGAMMA,
        (Some("GAMMA_LOST"), |x, gamma, stats, dy| {
            let g = &dy * &gamma;
            let (dx, _, dbeta) = answer::layer_norm_vjp(x, gamma, stats, dy);
            let x_hat =
                (&x - &stats.slice(s![.., ..1])) * stats.slice(s![.., 1..]);
            (dx, (g * x_hat).sum_axis(Axis(0)), dbeta)
        }),
    )
    .wrong(
        &GAMMA_LOST,
        (Some("GAMMA_LOST"), |x, gamma, stats, dy| match x.nrows() {
            1 => answer::layer_norm_vjp(x, gamma, stats, dy),
            _ => twins::layer_gamma_lost(x, gamma, stats, dy),
        }),
    );
    all
}
