//! Straight-through estimators.

mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/discrete/straight_through.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::discrete::straight_through as exam;
use examiner::discrete::straight_through::mistakes::{
    CLIP_AT_VALUES, CLIP_MISPLACED, CODE_BY_PRODUCT, CODES_FOR_VALUES,
    CODES_UNBOUNDED, EXPONENTIAL_FOR_GUMBEL, FLOOR_FOR_ROUND, GUMBEL_SIGN,
    HARD_BY_ROUNDING, LAST_OF_SEVERAL, LATENT_FOR_ROUNDED,
    MASTER_WEIGHT_ROUNDED, NOISE_FORGOTTEN, NOISE_NOT_COOLED,
    PROBABILITIES_FOR_LOGITS, PULL_FORGOTTEN, PUSHED_AWAY, ROUND_TIES,
    SCALE_NOT_CANCELLED, SIGN_OF_ZERO, STE_FORM_INEXACT, STE_NOT_CLIPPED,
    STE_STRICT_BOUND, STE_WRONG_NODE, THOUGHT_TO_SETTLE, TWO_FORGOTTEN,
    VQ_LOSS_AFTER_PATCH, VQ_NO_DETACH, VQ_TERMS_SWAPPED, VQ_UPSTREAM_TO_CODE,
};
use examiner::general::{
    ALL_ZERO, BATCH_MEAN_MISSING, GRAD_OVERWRITTEN, SIGN_FLIPPED,
    UPSTREAM_IGNORED, UPSTREAM_ONLY, WRONG_BUG,
};
use examiner::network::linear::mistakes::TRANSPOSE_MISSING;
use examiner::network::mlp::mistakes::{
    HALF_FORGOTTEN, LOSSES_SHIFTED, STALE_FORWARD, UPDATED_TOO_EARLY,
    WEIGHT_NOT_UPDATED,
};
use examiner::network::softmax_cross_entropy::mistakes::{
    DIAGONAL_JACOBIAN, MEAN_OVER_ENTRIES, ONE_DOT_FOR_BATCH,
    TEMPERATURE_FORGOTTEN, TEMPERATURE_INVERTED, TEMPERATURE_TWICE,
};
use examiner::recurrent::bptt::mistakes::STEP_UPHILL;
use examiner::submission::Submissions;
use ndarray::{Array1, Array2};

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    let mut all = Submissions::of(&exam::EXERCISE);
    predictions(&mut all);
    grids(&mut all);
    descents(&mut all);
    codebooks(&mut all);
    draws(&mut all);
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right(
        "weight by weight",
        (Some(" ste_wrong_node "), alternatives::neuron_by_weight),
    )
    .wrong_first(&WRONG_BUG, Some("STE_NOT_CLIPPED"))
    .wrong_first(&WRONG_BUG, Some("x"))
    .wrong_second(&STE_WRONG_NODE, stub::mended)
    .wrong_second(&STE_NOT_CLIPPED, twins::neuron_open)
    .wrong_second(&STE_STRICT_BOUND, twins::neuron_strict)
    .wrong_second(&LATENT_FOR_ROUNDED, twins::neuron_latent)
    .wrong_second(&CLIP_MISPLACED, twins::neuron_cut_twice)
    .odd_second("the first input for all", |x, w, s, low, high, dy| {
        let (dx, mut dw) = answer::mended(x, w, s, low, high, dy);
        dw.mapv_inplace(|d| if d == 0. { 0. } else { x.column(0).dot(&dy) });
        (dx, dw)
    });
    all
}

fn predictions(all: &mut Submissions) {
    let (rounded, input, ties, share, truths) = (
        answer::ROUNDED,
        answer::INPUT,
        answer::TIES,
        answer::SHARE,
        answer::TRUE,
    );
    let with_truths = |t| (rounded, input, ties, share, Some(t));
    all.task(
        "before_coding",
        &exam::BEFORE_CODING,
        (rounded, input, ties, share, truths),
        (
            stub::ROUNDED,
            stub::INPUT,
            stub::TIES,
            stub::SHARE,
            stub::TRUE,
        ),
    )
    .wrong(&ALL_ZERO, (Some([0.; 2]), input, ties, share, truths))
    .wrong(
        &LATENT_FOR_ROUNDED,
        (Some([-1.4, -0.6]), input, ties, share, truths),
    )
    .wrong(&SIGN_FLIPPED, (Some([2., 0.]), input, ties, share, truths))
    .wrong(&STE_WRONG_NODE, (rounded, Some(-4.), ties, share, truths))
    .wrong(
        &LATENT_FOR_ROUNDED,
        (rounded, Some(-6.6), ties, share, truths),
    )
    .wrong(
        &ROUND_TIES,
        (rounded, input, Some([1., 2., 3., -1.]), share, truths),
    )
    .wrong(
        &LATENT_FOR_ROUNDED,
        (
            Some([2. * (0.3 - 1.), 2. * (0.7 - 1.)]),
            input,
            ties,
            share,
            truths,
        ),
    )
    .wrong(
        &LATENT_FOR_ROUNDED,
        (
            rounded,
            Some(2. * (1.3 * 3. - 5.) * 3.),
            ties,
            share,
            truths,
        ),
    )
    .wrong(
        &TWO_FORGOTTEN,
        (Some([-1., 0.]), input, ties, share, truths),
    )
    .wrong(&TWO_FORGOTTEN, (rounded, Some(-6.), ties, share, truths))
    .wrong(
        &ROUND_TIES,
        (rounded, input, Some([1., 2., 3., 0.]), share, truths),
    )
    .wrong(
        &FLOOR_FOR_ROUND,
        (rounded, input, Some([0., 1., 2., -0.]), share, truths),
    )
    .wrong(
        &FLOOR_FOR_ROUND,
        (rounded, input, Some([0., 1., 2., -1.]), share, truths),
    )
    .odd(
        "not a number",
        (rounded, Some(f64::NAN), ties, share, truths),
    )
    .odd(
        "no number of them",
        (Some([f64::NAN; 2]), input, ties, share, truths),
    )
    .odd("no share", (rounded, input, ties, Some(f64::NAN), truths))
    .wrong(&THOUGHT_TO_SETTLE, (rounded, input, ties, Some(1.), truths))
    .wrong(
        &STE_FORM_INEXACT,
        with_truths([false, true, true, false, true]),
    )
    .odd(
        "half of the time",
        (rounded, input, ties, Some(0.5), truths),
    )
    .odd("clipped at 1", (rounded, Some(-1.), ties, share, truths))
    .odd("all false", with_truths([false; 5]))
    .odd("unbiased", with_truths([true, true, false, false, true]));
}

fn grids(all: &mut Submissions) {
    use alternatives as alt;
    all.task(
        "quantise",
        &exam::QUANTISE,
        (answer::quantise, answer::quantise_vjp),
        (stub::quantise, stub::quantise_vjp),
    )
    .right(
        "loops, a mask",
        (alt::quantise_loops, alt::quantise_vjp_mask),
    )
    .right(
        "clamped first, in place",
        (alt::quantise_clamped_first, alt::quantise_vjp_in_place),
    )
    .wrong_first(&CODES_UNBOUNDED, twins::no_clamp)
    .wrong_first(&CODES_UNBOUNDED, twins::bounded_in_size)
    .wrong_first(&CODES_FOR_VALUES, twins::codes_only)
    .wrong_first(&CODES_FOR_VALUES, twins::not_divided)
    .wrong_first(&FLOOR_FOR_ROUND, twins::floored)
    .wrong_first(&FLOOR_FOR_ROUND, twins::as_integers)
    .wrong_first(&ROUND_TIES, twins::rounded_away)
    .wrong_first(&ROUND_TIES, twins::rounded_up)
    .odd_first("codes of 32 bits", twins::in_32_bits)
    .odd_first("times the reciprocal", twins::by_reciprocal)
    .odd_first("symmetric codes", |w, s, _, high| {
        w.mapv(|w| s * (w / s).round_ties_even().clamp(-high, high))
    })
    .odd_first("codes of 16 bits at most", |w, s, low, high| {
        let w_hat = answer::quantise(w, s, low, high);
        let huge = |w: f64| w.abs() > 1e9;
        ndarray::Zip::from(&w_hat)
            .and(&w)
            .map_collect(|q, w| if huge(*w) { 0. } else { *q })
    })
    .wrong_second(&STE_NOT_CLIPPED, twins::straight)
    .wrong_second(&STE_NOT_CLIPPED, twins::cut_above)
    .wrong_second(&STE_STRICT_BOUND, twins::strictly)
    .wrong_second(&STE_STRICT_BOUND, twins::below_the_last)
    .wrong_second(&CLIP_AT_VALUES, twins::by_values)
    .wrong_second(&CODES_FOR_VALUES, twins::by_weights)
    .wrong_second(&CLIP_AT_VALUES, twins::first_value)
    .wrong_second(&ROUND_TIES, twins::away_in_the_mask)
    .wrong_second(&ROUND_TIES, twins::up_in_the_mask)
    .wrong_second(&STE_NOT_CLIPPED, twins::both_kinks)
    .wrong_second(&STE_NOT_CLIPPED, twins::short_codes)
    .odd_second("times the reciprocal", twins::passed_by_reciprocal)
    .wrong_second(&SCALE_NOT_CANCELLED, |w, s, low, high, dy| {
        answer::quantise_vjp(w, s, low, high, dy) * s
    })
    .wrong_second(&SCALE_NOT_CANCELLED, |w, s, low, high, dy| {
        answer::quantise_vjp(w, s, low, high, dy) / s
    })
    .wrong_second(&ALL_ZERO, |w, _, _, _, _| Array2::zeros(w.dim()))
    .wrong_second(&UPSTREAM_IGNORED, |w, s, low, high, _| {
        let ones = Array2::ones(w.dim());
        answer::quantise_vjp(w, s, low, high, ones.view())
    })
    .odd_second("outside, not inside", |w, s, low, high, dy| {
        &dy - &answer::quantise_vjp(w, s, low, high, dy)
    })
    .odd_second("by the sum of a half", |w, s, low, high, dy| {
        let end = |code: f64, by: f64| s * (code + by);
        ndarray::Zip::from(&w).and(&dy).map_collect(|w, d| {
            let on = end(low, -0.5) < *w && *w < end(high, 0.5);
            if on { *d } else { 0. }
        })
    });
    all.task(
        "binary_layer",
        &exam::BINARY_LAYER,
        (answer::binary_layer, answer::binary_layer_vjp),
        (stub::binary_layer, stub::binary_layer_vjp),
    )
    .right("loops", (alt::layer_loops, alt::layer_vjp_loops))
    .right("products", (alt::layer_loops, alt::layer_vjp_product))
    .wrong_first(&LATENT_FOR_ROUNDED, |x, w| x.dot(&w))
    .wrong_first(&SIGN_OF_ZERO, twins::numpy_sign)
    .wrong_first(&SIGN_OF_ZERO, twins::rust_sign)
    .wrong_first(&SIGN_OF_ZERO, twins::zero_is_negative)
    .odd_first("small weights are zeros", twins::small_is_zero)
    .odd_second("small weights are zeros", twins::small_is_zero_vjp)
    .odd_first("clipped weights", |x, w| {
        x.dot(&w.mapv(|w| w.clamp(-1., 1.)))
    })
    .odd_first("no weight beyond 1", |x, w| {
        let mut bits = w.mapv(|w| if w >= 0. { 1. } else { -1. });
        bits.zip_mut_with(&w, |b, w| {
            if w.abs() > 1. {
                *b = 0.;
            }
        });
        x.dot(&bits)
    })
    .wrong_second(&LATENT_FOR_ROUNDED, twins::dx_by_latent)
    .wrong_second(&TRANSPOSE_MISSING, twins::dx_not_turned)
    .wrong_second(&STE_WRONG_NODE, twins::dx_without_weights)
    .wrong_second(&CLIP_MISPLACED, twins::dx_clipped)
    .wrong_second(&CLIP_MISPLACED, twins::dx_by_clipped_weights)
    .wrong_second(&STE_NOT_CLIPPED, twins::dw_not_clipped)
    .wrong_second(&STE_NOT_CLIPPED, twins::dw_tolerant)
    .wrong_second(&STE_STRICT_BOUND, twins::dw_strict)
    .wrong_second(&STE_STRICT_BOUND, twins::dw_open_above)
    .wrong_second(&STE_WRONG_NODE, twins::dw_without_x)
    .wrong_second(&CLIP_MISPLACED, twins::dw_clipped_by_x)
    .wrong_second(&SIGN_OF_ZERO, twins::zero_sign_in_dx)
    .odd_second("clipped by the gradient", |x, w, dy| {
        let (dx, _) = answer::binary_layer_vjp(x, w, dy);
        let dw = x.t().dot(&dy);
        (dx, dw.mapv(|d| if d.abs() <= 1. { d } else { 0. }))
    })
    .odd_second("positive weights alone", |x, w, dy| {
        let (dx, mut dw) = answer::binary_layer_vjp(x, w, dy);
        dw.zip_mut_with(&w, |d, w| {
            if *w < 0. {
                *d = 0.;
            }
        });
        (dx, dw)
    });
}

fn descents(all: &mut Submissions) {
    use alternatives as alt;
    use twins::{Slip, slipped};
    all.task("walk", &exam::WALK, answer::walk, stub::walk)
        .right("by an iterator", alt::walk_by_sum)
        .wrong(&MASTER_WEIGHT_ROUNDED, twins::walk_rounded)
        .wrong(&LATENT_FOR_ROUNDED, twins::walk_latent)
        .wrong(&STEP_UPHILL, twins::walk_uphill)
        .wrong(&TWO_FORGOTTEN, twins::walk_half)
        .wrong(&ALL_ZERO, twins::walk_nowhere)
        .wrong(&THOUGHT_TO_SETTLE, twins::walk_to_best)
        .odd("codes after the step", |w, t, lr, n| {
            let (mut codes, w) = answer::walk(w, t, lr, n);
            if n > 0 {
                codes.remove(0);
                codes.push(w.round_ties_even());
            }
            (codes, w)
        })
        .odd("one step too many", |w, t, lr, n| {
            let (codes, _) = answer::walk(w, t, lr, n);
            (codes, answer::walk(w, t, lr, n + 1).1)
        })
        .wrong(&ROUND_TIES, twins::walk_away)
        .wrong(&ROUND_TIES, twins::walk_half_up)
        .wrong(&ROUND_TIES, twins::walk_away_below)
        .odd("at rest after 500 steps", twins::walk_to_rest)
        .odd("clipped to 1", |w, t, lr, n| {
            let (codes, w) = answer::walk(w, t, lr, n);
            (codes, w.clamp(-2., 2.))
        });
    all.task("train", &exam::TRAIN, answer::train, stub::train)
        .right("the library's", alt::train_by_library)
        .right("example by example", alt::train_loops)
        .wrong(&MASTER_WEIGHT_ROUNDED, |x, t, w, grid, lr, steps| {
            let from_rounded = true;
            let slip = Slip {
                from_rounded,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&MASTER_WEIGHT_ROUNDED, twins::rounded_on_the_grid)
        .wrong(&LATENT_FOR_ROUNDED, |x, t, w, grid, lr, steps| {
            let gradient_at_latent = true;
            let slip = Slip {
                gradient_at_latent,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&LATENT_FOR_ROUNDED, |x, t, w, grid, lr, steps| {
            let loss_at_latent = true;
            let slip = Slip {
                loss_at_latent,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&STE_NOT_CLIPPED, |x, t, w, grid, lr, steps| {
            let slip = Slip {
                open: true,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&STALE_FORWARD, |x, t, w, grid, lr, steps| {
            let slip = Slip {
                mask_of_start: true,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&UPDATED_TOO_EARLY, twins::in_turn)
        .wrong(&STEP_UPHILL, |x, t, w, grid, lr, steps| {
            let slip = Slip {
                up: true,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&BATCH_MEAN_MISSING, |x, t, w, grid, lr, steps| {
            let slip = Slip {
                sum: true,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&HALF_FORGOTTEN, |x, t, w, grid, lr, steps| {
            let slip = Slip {
                double: true,
                ..Slip::default()
            };
            slipped(x, t, w, grid, lr, steps, slip)
        })
        .wrong(&WEIGHT_NOT_UPDATED, |x, t, w, grid, _, steps| {
            answer::train(x, t, w, grid, 0., steps)
        })
        .wrong(&LOSSES_SHIFTED, |x, t, w, grid, lr, steps| {
            let mut losses = answer::train(x, t, w, grid, lr, steps);
            let last = losses[steps];
            losses.remove(0);
            losses.push(last);
            losses
        })
        .odd("without the last loss", |x, t, w, grid, lr, steps| {
            let mut losses = answer::train(x, t, w, grid, lr, steps);
            losses.pop();
            losses
        })
        .odd("a small loss is none", |x, t, w, grid, lr, steps| {
            let mut losses = answer::train(x, t, w, grid, lr, steps);
            if let Some(at) = losses.iter().position(|l| *l < 1e-10) {
                let last = losses[at];
                losses[at..].fill(last);
            }
            losses
        })
        .odd("stops where it rises", |x, t, w, grid, lr, steps| {
            let mut losses = answer::train(x, t, w, grid, lr, steps);
            for k in 1..losses.len() {
                losses[k] = losses[k].min(losses[k - 1]);
            }
            losses
        })
        .odd(
            "the scale learned as well",
            |x, t, w, (s, a, b), lr, steps| {
                let grid = (s * (1. - 1e-4 * steps as f64), a, b);
                answer::train(x, t, w, grid, lr, steps)
            },
        );
}

fn codebooks(all: &mut Submissions) {
    use alternatives as alt;
    all.task(
        "codebook",
        &exam::CODEBOOK,
        (answer::codebook, answer::codebook_vjp),
        (stub::codebook, stub::codebook_vjp),
    )
    .right(
        "by selection and products",
        (alt::codebook_by_selection, alt::codebook_vjp_by_products),
    )
    .right(
        "the library's",
        (alt::codebook_by_library, alt::codebook_vjp_by_library),
    )
    .wrong_first(&CODE_BY_PRODUCT, twins::by_product)
    .wrong_first(&PULL_FORGOTTEN, |z, e, beta| {
        let (q, l) = answer::codebook(z, e, beta);
        (q, l / (1. + beta))
    })
    .wrong_first(&PULL_FORGOTTEN, |z, e, beta| {
        let (q, l) = answer::codebook(z, e, beta);
        (q, l * (beta / (1. + beta)))
    })
    .wrong_first(&MEAN_OVER_ENTRIES, |z, e, beta| {
        let (q, l) = answer::codebook(z, e, beta);
        (q, l / z.ncols() as f64)
    })
    .odd_first(
        "the square of the code and the product",
        twins::squares_apart,
    )
    .odd_first("a search from 1e6 down", twins::from_a_million)
    .odd_first("the same from the first code on", twins::from_the_first)
    .odd_first("the code's number in a byte", twins::byte_index)
    .wrong_first(&LAST_OF_SEVERAL, twins::last_nearest)
    .odd_first("lengths, not their squares", |z, e, beta| {
        let (q, l) = answer::codebook(z, e, beta);
        (q, (l / (1. + beta)).sqrt() * (1. + beta))
    })
    .odd_first("the last of several", |z, e, beta| {
        let turned = e.slice(ndarray::s![..;-1, ..]);
        let (q, l) = answer::codebook(z, turned, beta);
        // The same rows, and so the same values, but for the chosen place.
        (q, l + e.nrows() as f64 * 1e-3)
    })
    .odd_first("by the sum of distances", |z, e, beta| {
        let (mut q, mut l) = answer::codebook(z, e, beta);
        for (n, z) in z.rows().into_iter().enumerate() {
            let far = |k: usize| (&z - &e.row(k)).abs().sum();
            let best = (1..e.nrows())
                .fold(0, |b, k| if far(k) < far(b) { k } else { b });
            q.row_mut(n).assign(&e.row(best));
            l[n] = (1. + beta) * (&z - &e.row(best)).pow2().sum();
        }
        (q, l)
    })
    .wrong_second(&VQ_TERMS_SWAPPED, twins::terms_swapped)
    .wrong_second(&VQ_TERMS_SWAPPED, twins::beta_forgotten)
    .wrong_second(&VQ_TERMS_SWAPPED, twins::beta_on_both)
    .wrong_second(&VQ_LOSS_AFTER_PATCH, twins::after_the_patch)
    .wrong_second(&VQ_NO_DETACH, twins::nothing_stopped)
    .wrong_second(&VQ_UPSTREAM_TO_CODE, twins::gathered)
    .wrong_second(&VQ_UPSTREAM_TO_CODE, twins::to_both)
    .wrong_second(&PULL_FORGOTTEN, twins::no_commitment)
    .wrong_second(&ALL_ZERO, |z, e, beta, dq, dl| {
        let (dz, de) = answer::codebook_vjp(z, e, beta, dq, dl);
        (dz, de * 0.)
    })
    .wrong_second(&PUSHED_AWAY, twins::pushed_away)
    .wrong_second(&TWO_FORGOTTEN, twins::single_pull)
    .wrong_second(&MEAN_OVER_ENTRIES, twins::mean_pull)
    .wrong_second(&GRAD_OVERWRITTEN, twins::code_assigned)
    .wrong_second(&LAST_OF_SEVERAL, twins::last_in_vjp)
    .wrong_second(&SIGN_FLIPPED, |z, e, beta, dq, dl| {
        let (dz, de) = answer::codebook_vjp(z, e, beta, dq, dl);
        (dz, -de)
    })
    .odd_second("pulls without their cotangent", |z, e, beta, dq, dl| {
        let ones = Array1::ones(dl.len());
        answer::codebook_vjp(z, e, beta, dq, ones.view())
    })
    .odd_second("the mean over a code's rows", |z, e, beta, dq, dl| {
        let (dz, mut de) = answer::codebook_vjp(z, e, beta, dq, dl);
        let (q, _) = answer::codebook(z, e, beta);
        for (e, mut de) in e.rows().into_iter().zip(de.rows_mut()) {
            let of = q.rows().into_iter().filter(|q| *q == e).count();
            de /= of.max(1) as f64;
        }
        (dz, de)
    });
}

fn draws(all: &mut Submissions) {
    use alternatives as alt;
    all.task(
        "gumbel",
        &exam::GUMBEL,
        (answer::gumbel, answer::gumbel_vjp),
        (stub::gumbel, stub::gumbel_vjp),
    )
    .right("by hand", (alt::gumbel_by_powers, alt::gumbel_vjp_by_rows))
    .right(
        "the library's",
        (alt::gumbel_by_library, alt::gumbel_vjp_by_library),
    )
    .wrong_first(&GUMBEL_SIGN, twins::noise_subtracted)
    .wrong_first(&PROBABILITIES_FOR_LOGITS, twins::noise_on_probabilities)
    .wrong_first(&TEMPERATURE_FORGOTTEN, twins::never_cooled)
    .wrong_first(&TEMPERATURE_INVERTED, twins::heated)
    .wrong_first(&NOISE_NOT_COOLED, twins::logits_cooled)
    .wrong_first(&EXPONENTIAL_FOR_GUMBEL, twins::exponential)
    .wrong_first(&NOISE_FORGOTTEN, twins::no_noise)
    .wrong_first(&NOISE_FORGOTTEN, twins::likeliest)
    .wrong_first(&HARD_BY_ROUNDING, twins::soft_rounded)
    .wrong_first(&LAST_OF_SEVERAL, twins::last_maximum)
    .odd_first("a small guard in both logarithms", twins::guarded_logs)
    .odd_first("nearly the maximum", twins::nearly_maximum)
    .odd_first("never colder than 0.01", |x, u, tau| {
        answer::gumbel(x, u, tau.max(0.01))
    })
    .odd_first("u and 1 - u", |x, u, tau| {
        answer::gumbel(x, u.mapv(|u| 1. - u).view(), tau)
    })
    .odd_first("a guard in the logarithms", |x, u, tau| {
        let guarded = u.mapv(|u| u + 1e-6);
        answer::gumbel(x, guarded.view(), tau)
    })
    .wrong_second(&TEMPERATURE_FORGOTTEN, |y, tau, dy| {
        answer::gumbel_vjp(y, tau, dy) * tau
    })
    .wrong_second(&TEMPERATURE_TWICE, |y, tau, dy| {
        answer::gumbel_vjp(y, tau, dy) / tau
    })
    .wrong_second(&TEMPERATURE_INVERTED, |y, tau, dy| {
        answer::gumbel_vjp(y, 1. / tau, dy)
    })
    .wrong_second(&UPSTREAM_ONLY, |_, _, dy| dy.to_owned())
    .wrong_second(&DIAGONAL_JACOBIAN, twins::each_by_itself)
    .wrong_second(&ONE_DOT_FOR_BATCH, twins::one_dot)
    .wrong_second(&ONE_DOT_FOR_BATCH, twins::dot_runs_on)
    .odd_second("never colder than 0.01", |y, tau, dy| {
        answer::gumbel_vjp(y, tau.max(0.01), dy)
    })
    .odd_second("nothing for decided rows", twins::decided_rows)
    .odd_second("of the hard draw", |y, tau, dy| {
        let hard = backprop::discrete::straight_through::gumbel::hard(y);
        answer::gumbel_vjp(hard.view(), tau, dy)
    })
    .odd_second("a sum for the dot", |y, tau, dy| {
        let mean = dy.sum_axis(ndarray::Axis(1));
        &y * &(&dy - &mean.insert_axis(ndarray::Axis(1))) / tau
    });
}
