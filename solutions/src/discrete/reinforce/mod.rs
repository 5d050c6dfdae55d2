//! The score function.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/discrete/reinforce.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::calculus::chain_rule::mistakes::VALUE_FOR_SLOPE;
use examiner::discrete::reinforce as exam;
use examiner::discrete::reinforce::mistakes::{
    BASELINE_ADDED, BASELINE_FORGOTTEN, BASELINE_OF_ACTION, BONUS_FORGOTTEN,
    BONUS_SIGN, BROADCAST_ADVANTAGE, CLIP_ALWAYS_FLAT, CLIP_FORGOTTEN,
    CLIP_ON_RATIO, DEVIATION_BY_N, DISCOUNT_FORGOTTEN, DIVIDED_BY_DEVIATION,
    DRAW_TURNED, END_IGNORED, ENTROPY_NORMALISER, ENTROPY_OF_SAMPLE,
    ERROR_OF_ONE, GAE_DOUBLE_BOOTSTRAP, GROUP_IGNORED, IMMEDIATE_REWARD,
    KL_HALF_FORGOTTEN, KL_K1_AS_LOSS, KL_K3_AS_LOSS, KL_OF_REFERENCE,
    LAMBDA_FORGOTTEN, LOSS_AS_MEASURE, MAX_FOR_MIN, OTHERS_OVER_G,
    OWN_MEAN_BASELINE, PROBABILITY_FOR_LOG, RATIO_DETACHED, RATIO_FORGOTTEN,
    REINFORCE_MEAN_LOGP, REINFORCE_NO_DETACH, RETURN_FOR_ADVANTAGE,
    REWARD_SHIFTED, ROOT_FORGOTTEN, SAMPLE_DIFFERENTIATED, SCORE_NOT_CENTRED,
    SCORE_OF_PROBABILITY, STEPS_AVERAGED, TRUNCATED_AS_ENDED, UNIFORM_BASELINE,
    WHITENED_IN_EPISODE,
};
use examiner::general::{
    BATCH_MEAN_MISSING, BATCH_MEAN_TWICE, SIGN_FLIPPED, WRONG_BUG,
};
use examiner::network::softmax_cross_entropy::mistakes::{
    DOUBLE_SOFTMAX, EPSILON_IN_LOG, LOG_AS_PROBABILITY, LOG_OF_ZERO,
    LOGITS_CLIPPED, ONE_DOT_FOR_BATCH, STOPS_WHEN_RIGHT,
};
use examiner::recurrent::bptt::mistakes::TIME_NOT_TURNED_BACK;
use examiner::submission::Submissions;
use ndarray::{Array1, Array2, Axis, arr1};

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    let right = (
        answer::SLOPE,
        answer::BASELINES,
        answer::CREDIT,
        answer::LOSSES,
        answer::ZERO,
    );
    let (slope, baselines, credit, losses, zero) = right;
    let allowed = |own_mean, own| {
        let list = Some([true, true, true, own_mean, own]);
        (slope, list, credit, losses, zero)
    };
    let credited = |c| (slope, baselines, Some(c), losses, zero);
    let lost = |l| (slope, baselines, credit, Some(l), zero);
    all.task(
        "before_coding",
        &exam::BEFORE_CODING,
        right,
        (
            stub::SLOPE,
            stub::BASELINES,
            stub::CREDIT,
            stub::LOSSES,
            stub::ZERO,
        ),
    )
    .wrong(
        &SAMPLE_DIFFERENTIATED,
        (Some(0.28125), baselines, credit, losses, zero),
    )
    .wrong(&OWN_MEAN_BASELINE, allowed(true, false))
    .wrong(&BASELINE_OF_ACTION, allowed(false, true))
    .wrong(&DISCOUNT_FORGOTTEN, credited([6.; 3]))
    .wrong(&IMMEDIATE_REWARD, credited([0., 0., 6.]))
    .wrong(&KL_K1_AS_LOSS, lost([1, 1, 2]))
    .wrong(&KL_K3_AS_LOSS, lost([3, 1, 1]))
    .wrong(
        &LOSS_AS_MEASURE,
        (slope, baselines, credit, losses, Some([true, true])),
    )
    .wrong(
        &SCORE_OF_PROBABILITY,
        (Some(1.), baselines, credit, losses, zero),
    )
    .wrong(&TIME_NOT_TURNED_BACK, credited([6., 3., 1.5]))
    .wrong(&REWARD_SHIFTED, credited([3., 6., 0.]))
    .odd("σ", (Some(0.75), baselines, credit, losses, zero))
    .odd(
        "no slope",
        (Some(f64::NAN), baselines, credit, losses, zero),
    )
    .odd("no first credit", credited([f64::NAN, 3., 6.]))
    .odd(
        "neither is 0",
        (slope, baselines, credit, losses, Some([false, false])),
    )
    .odd(
        "only the constant",
        (
            slope,
            Some([true, false, false, false, false]),
            credit,
            losses,
            zero,
        ),
    )
    .odd("the whole return for all", credited([1.5; 3]));
    all.task(
        "bernoulli",
        &exam::BERNOULLI,
        answer::bernoulli,
        stub::bernoulli,
    )
    .right("by counting", alt::bernoulli_by_counting)
    .right("by cases", alt::bernoulli_by_cases)
    .wrong(&SAMPLE_DIFFERENTIATED, twins::straight_through)
    .wrong(&SCORE_OF_PROBABILITY, twins::score_of_p)
    .wrong(&SCORE_NOT_CENTRED, twins::not_centred)
    .wrong(&PROBABILITY_FOR_LOG, twins::slope_of_p)
    .wrong(&LOGITS_CLIPPED, twins::theta_limited)
    .wrong(&BASELINE_ADDED, twins::baseline_added)
    .wrong(&BASELINE_FORGOTTEN, twins::no_baseline)
    .wrong(&DRAW_TURNED, twins::turned)
    .wrong(&ERROR_OF_ONE, twins::spread)
    .wrong(&DEVIATION_BY_N, twins::by_n)
    .wrong(&ROOT_FORGOTTEN, twins::variance)
    .odd("the exact derivative", |theta, b, u| {
        let p = 1. / (1. + (-theta).exp());
        (p * (1. - p), answer::bernoulli(theta, b, u).1)
    })
    .odd("the exact error", |theta, b, u| {
        let p = 1. / (1. + (-theta).exp());
        let spread = (p * (1. - p)).sqrt() * (1. - p - b).abs();
        let (mean, _) = answer::bernoulli(theta, b, u);
        (mean, spread / (u.len() as f64).sqrt())
    })
    .odd("at most 256 draws", |theta, b, u| {
        let most = u.len().min(256);
        answer::bernoulli(theta, b, u.slice(ndarray::s![..most]))
    })
    .odd("no draw at 0", |theta, b, u| {
        let u = u.mapv(|u| if u == 0. { 1. } else { u });
        answer::bernoulli(theta, b, u.view())
    })
    .odd("a draw at σ itself", twins::at_sigma_too)
    .odd("σ by a hyperbolic tangent", twins::by_tanh)
    .odd("ones counted in 16 bits", twins::short_counter)
    .odd("a sigmoid that overflows", twins::overflowing)
    .odd("mean of squares, square of mean", twins::square_of_mean);
    all.task(
        "loss_vjp",
        &exam::LOSS_VJP,
        answer::loss_vjp,
        stub::loss_vjp,
    )
    .right("by arrays", alt::loss_vjp_by_arrays)
    .right("by cross-entropy", alt::loss_vjp_by_cross_entropy)
    .wrong(&BROADCAST_ADVANTAGE, twins::broadcast)
    .wrong(&BROADCAST_ADVANTAGE, twins::broadcast_sum)
    .wrong(&BROADCAST_ADVANTAGE, twins::broadcast_other_axis)
    .wrong(&DIVIDED_BY_DEVIATION, twins::scaled_in_batch)
    .wrong(&DIVIDED_BY_DEVIATION, twins::whitened_in_batch)
    .wrong(&BASELINE_ADDED, twins::added)
    .wrong(&BASELINE_FORGOTTEN, twins::rewards_alone)
    .wrong(&SCORE_NOT_CENTRED, twins::one_logit)
    .wrong(&PROBABILITY_FOR_LOG, twins::of_probability)
    .wrong(&SCORE_OF_PROBABILITY, twins::over_probability)
    .wrong(&DOUBLE_SOFTMAX, twins::softmax_twice)
    .wrong(&DOUBLE_SOFTMAX, twins::softmax_twice_through)
    .wrong(&BATCH_MEAN_MISSING, twins::summed)
    .wrong(&LOGITS_CLIPPED, twins::limited_logits)
    .wrong(&STOPS_WHEN_RIGHT, twins::likeliest_skipped)
    .wrong(&BATCH_MEAN_TWICE, |x, a, r, v, dloss| {
        answer::loss_vjp(x, a, r, v, dloss / a.len() as f64)
    })
    .wrong(&SIGN_FLIPPED, |x, a, r, v, dloss| {
        -answer::loss_vjp(x, a, r, v, dloss)
    })
    .odd("nothing for one", twins::nothing_for_one)
    .odd("the mean over all logits", |x, a, r, v, dloss| {
        answer::loss_vjp(x, a, r, v, dloss / x.ncols() as f64)
    })
    .odd("rewards less their mean", |x, a, r, v, dloss| {
        let r = &r - r.mean().unwrap_or(0.);
        answer::loss_vjp(x, a, r.view(), v, dloss)
    })
    .odd("the first row's baseline for all", |x, a, r, v, dloss| {
        let v = Array2::from_elem(v.dim(), v[[0, 0]]);
        answer::loss_vjp(x, a, r, v.view(), dloss)
    })
    .odd("good actions only", |x, a, r, v, dloss| {
        let kept = &r - &v.column(0);
        let kept = kept.mapv(|a: f64| a.max(0.));
        let none = Array2::zeros(v.dim());
        answer::loss_vjp(x, a, kept.view(), none.view(), dloss)
    })
    .odd("one largest logit for all rows", twins::one_maximum)
    .odd("actions in bytes", twins::actions_in_bytes);
    all.task(
        "advantages",
        &exam::ADVANTAGES,
        (answer::leave_one_out, answer::gae),
        (stub::leave_one_out, stub::gae),
    )
    .right(
        "the own mean scaled, sums",
        (alt::own_mean_scaled, alt::gae_by_sums),
    )
    .right(
        "pairs, returns",
        (alt::leave_one_out_by_pairs, alt::gae_by_returns),
    )
    .wrong_first(&OWN_MEAN_BASELINE, twins::own_mean)
    .wrong_first(&OTHERS_OVER_G, twins::others_over_all)
    .wrong_first(&GROUP_IGNORED, twins::mean_of_all)
    .wrong_first(&GROUP_IGNORED, twins::columns)
    .wrong_first(&DIVIDED_BY_DEVIATION, twins::standardised)
    .odd_first("the best of the others", |r| {
        let (questions, g) = r.dim();
        Array2::from_shape_fn((questions, g), |(n, i)| {
            let others = (0..g).filter(|j| *j != i).map(|j| r[[n, j]]);
            r[[n, i]] - others.fold(f64::NEG_INFINITY, f64::max)
        })
    })
    .odd_first("never below 0", |r| {
        answer::leave_one_out(r).mapv(|a| a.max(0.))
    })
    .wrong_second(&GAE_DOUBLE_BOOTSTRAP, twins::bootstrapped_twice)
    .wrong_second(&TRUNCATED_AS_ENDED, twins::record_is_the_end)
    .wrong_second(&END_IGNORED, twins::over_the_end)
    .wrong_second(&END_IGNORED, twins::carried_over_the_end)
    .wrong_second(&END_IGNORED, twins::end_a_step_early)
    .wrong_second(&END_IGNORED, twins::end_a_step_late)
    .wrong_second(&LAMBDA_FORGOTTEN, twins::without_lambda)
    .wrong_second(&DISCOUNT_FORGOTTEN, twins::without_gamma)
    .wrong_second(&DISCOUNT_FORGOTTEN, twins::carried_by_lambda)
    .wrong_second(&RETURN_FOR_ADVANTAGE, twins::returns)
    .wrong_second(&REWARD_SHIFTED, twins::rewards_late)
    .odd_second("one step", |r, v, next, ended, gamma, _| {
        answer::gae(r, v, next, ended, gamma, 0.)
    })
    .odd_second("centred", |r, v, next, ended, gamma, lambda| {
        let a = answer::gae(r, v, next, ended, gamma, lambda);
        let mean = a.mean().unwrap_or(0.);
        a - mean
    })
    .odd_second("at most 64 steps ahead", twins::short_horizon);
    all.task(
        "clipped_vjp",
        &exam::CLIPPED_VJP,
        answer::clipped_vjp,
        stub::clipped_vjp,
    )
    .right("by cases", alt::clipped_by_cases)
    .right("by the VJPs of softmax", alt::clipped_by_vjps)
    .wrong(&CLIP_ON_RATIO, twins::smaller_ratio)
    .wrong(&CLIP_FORGOTTEN, twins::unclipped)
    .wrong(&CLIP_FORGOTTEN, twins::good_ones_clipped)
    .wrong(&CLIP_ALWAYS_FLAT, twins::flat_outside)
    .wrong(&MAX_FOR_MIN, twins::larger)
    .wrong(&RATIO_DETACHED, twins::detached)
    .wrong(&RATIO_FORGOTTEN, twins::no_ratio)
    .wrong(&RATIO_FORGOTTEN, twins::no_ratio_no_clip)
    .wrong(&BONUS_SIGN, twins::malus)
    .wrong(&BONUS_FORGOTTEN, twins::no_bonus)
    .wrong(&BONUS_FORGOTTEN, twins::clipped_rows_skipped)
    .wrong(&VALUE_FOR_SLOPE, twins::minimum_itself)
    .wrong(&LOG_AS_PROBABILITY, twins::old_as_probability)
    .wrong(&ONE_DOT_FOR_BATCH, twins::one_entropy)
    .wrong(&ENTROPY_OF_SAMPLE, twins::sampled_bonus)
    .wrong(&ENTROPY_NORMALISER, twins::free_entropy)
    .wrong(&BATCH_MEAN_MISSING, twins::entropy_summed)
    .wrong(&SIGN_FLIPPED, |x, a, old, advantages, eps, c, dloss| {
        -answer::clipped_vjp(x, a, old, advantages, eps, c, dloss)
    })
    .odd(
        "clipped at 0.2 always",
        |x, a, old, advantages, _, c, dloss| {
            answer::clipped_vjp(x, a, old, advantages, 0.2, c, dloss)
        },
    )
    .odd(
        "the ratio turned over",
        |x, a, old, advantages, eps, c, dloss| {
            let p = backprop::discrete::reinforce::log_prob(x, a);
            let turned = &p * 2. - old;
            let t = turned.view();
            answer::clipped_vjp(x, a, t, advantages, eps, c, dloss)
        },
    )
    .odd(
        "advantages by their sign",
        |x, a, old, advantages, eps, c, dloss| {
            let sign = advantages.mapv(f64::signum);
            answer::clipped_vjp(x, a, old, sign.view(), eps, c, dloss)
        },
    )
    .odd("the lower end at 1/(1+ε)", twins::lower_end_turned)
    .odd("the ends at exp(±ε)", twins::clipped_in_logarithms)
    .odd("the logarithm of π", twins::log_of_rounded);
    all.task(
        "divergence",
        &exam::DIVERGENCE,
        answer::divergence,
        stub::divergence,
    )
    .right("summed", alt::divergence_summed)
    .right("with a baseline", alt::divergence_with_baseline)
    .right("by the product rule", alt::divergence_by_product_rule)
    .wrong(&KL_K1_AS_LOSS, twins::k1)
    .wrong(&KL_K3_AS_LOSS, twins::k3)
    .wrong(&KL_HALF_FORGOTTEN, twins::k2_doubled)
    .wrong(&KL_OF_REFERENCE, twins::of_reference)
    .wrong(&SCORE_NOT_CENTRED, twins::one_logit_of_divergence)
    .wrong(&EPSILON_IN_LOG, twins::guarded_logs)
    .wrong(&LOG_OF_ZERO, twins::log_of_quotient)
    .wrong(&SIGN_FLIPPED, |x, y, a| -answer::divergence(x, y, a))
    .wrong(&PROBABILITY_FOR_LOG, twins::term_of_action)
    .odd("k3 as the reward", twins::value_of_k3)
    .odd("with the logits for their logarithms", |x, y, a| {
        let p = backprop::network::softmax_cross_entropy::forward(
            x.insert_axis(Axis(0)),
        );
        backprop::discrete::reinforce::score(p.row(0), a) * (x[a] - y[a]).abs()
    })
    .odd("the drawn entry of the gradient", |x, y, a| {
        let d = alt::divergence_summed(x, y, a);
        let mut one = Array1::zeros(d.len());
        one[a] = d[a];
        one
    })
    .odd("the log-ratio within ±20", twins::log_ratio_clipped);
    all.task(
        "find_the_path",
        &exam::FIND_THE_PATH,
        (answer::PATH, answer::mended_path),
        (stub::PATH, stub::mended_path),
    )
    .right(
        "by advantages",
        (Some("reinforce_no_detach"), alt::own_baseline_by_advantages),
    )
    .wrong_first(&WRONG_BUG, Some("BASELINE_FORGOTTEN"))
    .wrong_first(&WRONG_BUG, Some("the baseline"))
    .wrong_second(&REINFORCE_NO_DETACH, stub::mended_path)
    .wrong_second(&BASELINE_FORGOTTEN, twins::no_mean)
    .wrong_second(&BASELINE_ADDED, twins::mean_added)
    .wrong_second(&BASELINE_OF_ACTION, twins::mean_of_the_others)
    .wrong_second(&UNIFORM_BASELINE, twins::plain_mean)
    .wrong_second(&BATCH_MEAN_MISSING, |x, a, r, dloss| {
        answer::mended_path(x, a, r, dloss * a.len() as f64)
    })
    .odd_second("the gradient itself", |x, _, r, dloss| {
        let p = backprop::network::softmax_cross_entropy::forward(x);
        let d = Array1::from_elem(x.nrows(), -dloss / x.nrows() as f64);
        backprop::discrete::reinforce::mean_reward_vjp(p.view(), r, d.view())
    });
    all.task(
        "find_the_credit",
        &exam::FIND_THE_CREDIT,
        (answer::CREDIT_BUG, answer::mended_credit),
        (stub::CREDIT_BUG, stub::mended_credit),
    )
    .right(
        "the whole return",
        (Some("reinforce_mean_logp"), alt::full_return),
    )
    .right("less a constant", (answer::CREDIT_BUG, alt::with_constant))
    .right(
        "less a number of the state",
        (answer::CREDIT_BUG, alt::with_state_baseline),
    )
    .right("by pairs of steps", (answer::CREDIT_BUG, alt::by_pairs))
    .wrong_first(&WRONG_BUG, Some("IMMEDIATE_REWARD"))
    .wrong_second(&REINFORCE_MEAN_LOGP, stub::mended_credit)
    .wrong_second(&STEPS_AVERAGED, twins::each_averaged)
    .wrong_second(&STEPS_AVERAGED, twins::mean_of_the_rest)
    .wrong_second(&IMMEDIATE_REWARD, twins::own_reward)
    .wrong_second(&IMMEDIATE_REWARD, twins::so_far)
    .wrong_second(&IMMEDIATE_REWARD, twins::two_rewards)
    .wrong_second(&IMMEDIATE_REWARD, twins::three_rewards)
    .wrong_second(&REWARD_SHIFTED, twins::reward_of_before)
    .wrong_second(&REWARD_SHIFTED, twins::reward_of_after)
    .wrong_second(&REWARD_SHIFTED, twins::all_but_own)
    .wrong_second(&WHITENED_IN_EPISODE, twins::whitened)
    .wrong_second(&WHITENED_IN_EPISODE, twins::centred)
    .wrong_second(&SCORE_NOT_CENTRED, twins::one_logit_each)
    .wrong_second(&SIGN_FLIPPED, |x, a, r| -answer::mended_credit(x, a, r))
    .odd_second("discounted", |x, a, r| {
        let g = backprop::discrete::reinforce::returns::to_go(r, 0.99);
        alt::credited(x, a, g)
    })
    .odd_second("less the own return's tenth", |x, a, r| {
        answer::mended_credit(x, a, r) * 0.9
    })
    .odd_second("only the first two steps", |x, a, r| {
        let mut g = answer::mended_credit(x, a, r);
        for mut row in g.rows_mut().into_iter().skip(2) {
            row.fill(0.);
        }
        g
    })
    .odd_second("less a number of the action", |x, a, r| {
        let g = backprop::discrete::reinforce::returns::to_go(r, 1.);
        let of: Array1<f64> = a.iter().map(|a| 0.1 * *a as f64).collect();
        alt::credited(x, a, g - of)
    })
    .odd_second("the best reward", |x, a, r| {
        let best = r.iter().fold(f64::NEG_INFINITY, |m, r| m.max(*r));
        alt::credited(x, a, arr1(&vec![best; r.len()]))
    });
    all
}
