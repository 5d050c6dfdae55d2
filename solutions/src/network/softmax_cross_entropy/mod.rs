//! Softmax and cross-entropy.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/softmax_cross_entropy.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::submission::Submission;
use examiner::submissions;

/// Everything that the certificate hands to the checks.
pub fn all() -> Vec<Submission> {
    use alternatives as alt;
    submissions! {
        network::softmax_cross_entropy; answer, stub;
        before_coding(SIGNS, SUM, BLIND) {
            right {
                "another sign of zero, another scale": (
                    Some([1, -1, 1]),
                    Some(-0.),
                    Some([[0.5, 0.5, 0.5], [3., 3., 3.]])
                ),
            }
            wrong {
                SIGN_FLIPPED: (Some([-1, 1, -1]), None, None),
                DIAGONAL_JACOBIAN: (Some([-1, -1, 0]), None, None),
                STOPS_WHEN_RIGHT: (Some([0, -1, 1]), None, None),
                TARGET_ALWAYS_RAISED: (Some([-1, -1, 1]), None, None),
                TARGET_FORGOTTEN: (Some([1; 3]), None, None),
                TARGETS_NOT_ONE: (answer::SIGNS, Some(-0.5), None),
                TARGET_FORGOTTEN: (answer::SIGNS, Some(1.), None),
                TRIVIAL_COTANGENT:
                    (answer::SIGNS, Some(0.), Some([[1.; 3], [0.; 3]])),
                NOT_BLIND: (
                    answer::SIGNS,
                    Some(0.),
                    Some([[1., -1., 0.], [0., 1., -1.]])
                ),
                NOT_BLIND: (
                    answer::SIGNS,
                    Some(0.),
                    Some([[1., 2., 3.], [1., 2., 3.]])
                ),
            }
        }
        vjps(softmax_vjp, log_softmax_vjp) {
            right {
                "through the Jacobian, through softmax":
                    (alt::vjp_through_jacobian, alt::log_vjp_through_softmax),
                "by pairs, loops": (alt::vjp_by_pairs, alt::log_vjp_loops),
                "in place": (alt::vjp_in_place, answer::log_softmax_vjp),
                "product with ones": (alt::vjp_by_ones, alt::log_vjp_loops),
            }
            wrong {
                ALL_ZERO: (twins::zeros, answer::log_softmax_vjp),
                UPSTREAM_IGNORED:
                    (twins::vjp_of_ones, answer::log_softmax_vjp),
                SIGN_FLIPPED: (twins::vjp_negated, answer::log_softmax_vjp),
                NOT_LINEAR_IN_UPSTREAM:
                    (twins::vjp_of_positive_part, answer::log_softmax_vjp),
                DIAGONAL_JACOBIAN:
                    (twins::vjp_like_sigmoid, answer::log_softmax_vjp),
                SUM_NOT_DIFFERENCE:
                    (twins::vjp_plus, answer::log_softmax_vjp),
                DOT_DROPPED:
                    (twins::vjp_without_dot, answer::log_softmax_vjp),
                PLAIN_SUM_FOR_DOT:
                    (twins::vjp_with_plain_sum, answer::log_softmax_vjp),
                SOFTMAX_AXIS:
                    (twins::vjp_along_columns, answer::log_softmax_vjp),
                ONE_DOT_FOR_BATCH:
                    (twins::vjp_one_dot, answer::log_softmax_vjp),
                PROBABILITY_FACTOR_DROPPED:
                    (twins::vjp_without_factor, answer::log_softmax_vjp),
                DIAGONAL_DROPPED:
                    (twins::vjp_off_diagonal, answer::log_softmax_vjp),
                UPSTREAM_ONLY:
                    (twins::vjp_passes_on, answer::log_softmax_vjp),
                BATCH_MEAN_TWICE:
                    (twins::vjp_averaged, answer::log_softmax_vjp),
                LOG_AS_PROBABILITY:
                    (answer::softmax_vjp, twins::log_vjp_without_exp),
                SOFTMAX_RULE_ON_LOG:
                    (answer::softmax_vjp, twins::log_vjp_softmax_rule),
                DOT_FOR_PLAIN_SUM: (answer::softmax_vjp, twins::log_vjp_dot),
                DIAGONAL_JACOBIAN:
                    (answer::softmax_vjp, twins::log_vjp_diagonal),
                SUM_NOT_DIFFERENCE:
                    (answer::softmax_vjp, twins::log_vjp_plus),
                SOFTMAX_AXIS:
                    (answer::softmax_vjp, twins::log_vjp_along_columns),
                PROBABILITY_FACTOR_DROPPED:
                    (answer::softmax_vjp, twins::log_vjp_without_probability),
                UPSTREAM_ONLY: (answer::softmax_vjp, twins::vjp_passes_on),
                ALL_ZERO: (answer::softmax_vjp, twins::zeros),
            }
        }
        cross_entropy(cross_entropy, cross_entropy_vjp) {
            right {
                "log-sum-exp": (alt::loss_by_lse, answer::cross_entropy_vjp),
                "streaming, through log-softmax":
                    (alt::loss_streaming, alt::loss_vjp_through_log_softmax),
                "by pairs":
                    (answer::cross_entropy, alt::loss_vjp_by_pairs),
            }
            wrong {
                SIGN_FLIPPED:
                    (twins::loss_positive, answer::cross_entropy_vjp),
                BATCH_MEAN_MISSING:
                    (twins::loss_summed, answer::cross_entropy_vjp),
                MEAN_OVER_ENTRIES:
                    (twins::loss_over_entries, answer::cross_entropy_vjp),
                LOG_BASE_2: (twins::loss_in_bits, answer::cross_entropy_vjp),
                SOFT_TARGETS_IGNORED:
                    (twins::loss_of_likeliest, answer::cross_entropy_vjp),
                ENTROPY_SUBTRACTED:
                    (twins::loss_relative_entropy, answer::cross_entropy_vjp),
                DOUBLE_SOFTMAX:
                    (twins::loss_softmax_twice, answer::cross_entropy_vjp),
                SOFTMAX_AXIS:
                    (twins::loss_along_columns, answer::cross_entropy_vjp),
                OVERFLOW: (twins::loss_overflows, answer::cross_entropy_vjp),
                OVERFLOW:
                    (twins::loss_lse_overflows, answer::cross_entropy_vjp),
                LOG_OF_ZERO:
                    (twins::loss_log_of_zero, answer::cross_entropy_vjp),
                EPSILON_IN_LOG:
                    (twins::loss_with_epsilon, answer::cross_entropy_vjp),
                EPSILON_IN_LOG:
                    (twins::loss_clamped, answer::cross_entropy_vjp),
                LOGITS_CLIPPED:
                    (twins::loss_clipped_logits, answer::cross_entropy_vjp),
                ALL_ZERO: (answer::cross_entropy, twins::loss_vjp_zeros),
                UPSTREAM_IGNORED:
                    (answer::cross_entropy, twins::loss_vjp_upstream_ignored),
                SIGN_FLIPPED:
                    (answer::cross_entropy, twins::loss_vjp_reversed),
                BATCH_MEAN_MISSING:
                    (answer::cross_entropy, twins::loss_vjp_summed),
                BATCH_MEAN_TWICE:
                    (answer::cross_entropy, twins::loss_vjp_averaged_twice),
                MEAN_OVER_ENTRIES:
                    (answer::cross_entropy, twins::loss_vjp_over_entries),
                DIAGONAL_JACOBIAN:
                    (answer::cross_entropy, twins::loss_vjp_hadamard),
                DOUBLE_SOFTMAX_GRAD:
                    (answer::cross_entropy, twins::loss_vjp_slope_again),
                DOUBLE_SOFTMAX:
                    (answer::cross_entropy, twins::loss_vjp_softmax_twice),
                DOUBLE_SOFTMAX: (
                    answer::cross_entropy,
                    twins::loss_vjp_softmax_chained_twice
                ),
                TARGET_FORGOTTEN:
                    (answer::cross_entropy, twins::loss_vjp_no_target),
                JACOBIAN_SKIPPED:
                    (answer::cross_entropy, twins::loss_vjp_of_probabilities),
                SOFT_TARGETS_IGNORED:
                    (answer::cross_entropy, twins::loss_vjp_of_likeliest),
                SOFTMAX_AXIS:
                    (answer::cross_entropy, twins::loss_vjp_along_columns),
                OVERFLOW: (answer::cross_entropy, twins::loss_vjp_overflows),
                LOG_OF_ZERO:
                    (answer::cross_entropy, twins::loss_vjp_not_fused),
                EPSILON_IN_LOG:
                    (answer::cross_entropy, twins::loss_vjp_with_epsilon),
                LOGITS_CLIPPED:
                    (answer::cross_entropy, twins::loss_vjp_clipped_logits),
            }
        }
        tempered(tempered_vjp) {
            right {
                "chain": (alt::tempered_chain),
                "in place": (alt::tempered_in_place),
            }
            wrong {
                TEMPERATURE_FORGOTTEN: (twins::tempered_factor_missing),
                TEMPERATURE_FORGOTTEN: (twins::tempered_dtau_one_power),
                TEMPERATURE_TWICE: (twins::tempered_divided_twice),
                TEMPERATURE_TWICE: (twins::tempered_dtau_from_dx),
                TEMPERATURE_INVERTED: (twins::tempered_multiplied),
                TEMPERATURE_NOT_IN_SOFTMAX: (twins::tempered_plain_softmax),
                SMOOTHING_FORGOTTEN: (twins::tempered_hard),
                SMOOTHING_SPARES_LABEL: (twins::tempered_shared_by_others),
                TARGETS_NOT_ONE: (twins::tempered_too_much),
                TARGETS_NOT_ONE: (twins::tempered_too_little),
                BATCH_MEAN_MISSING: (twins::tempered_summed),
                BATCH_MEAN_TWICE: (twins::tempered_dtau_averaged),
                SIGN_FLIPPED: (twins::tempered_dtau_sign),
            }
        }
        binary(binary_loss, binary_vjp) {
            right {
                "by the library, by cases":
                    (alt::binary_by_library, alt::binary_vjp_by_cases),
            }
            wrong {
                SIGN_FLIPPED: (twins::binary_positive, answer::binary_vjp),
                BATCH_MEAN_MISSING:
                    (twins::binary_summed, answer::binary_vjp),
                WEIGHT_FORGOTTEN:
                    (twins::binary_without_weight, answer::binary_vjp),
                WEIGHT_ON_BOTH:
                    (twins::binary_weight_on_both, answer::binary_vjp),
                NEGATIVE_CLASS_FORGOTTEN:
                    (twins::binary_positives_only, answer::binary_vjp),
                WEIGHT_PER_EXAMPLE:
                    (twins::binary_weighted_examples, answer::binary_vjp),
                MEAN_OVER_WEIGHTS:
                    (twins::binary_weighted_mean, answer::binary_vjp),
                LOG_BASE_2: (twins::binary_in_bits, answer::binary_vjp),
                LOG_OF_ZERO: (twins::binary_log_of_zero, answer::binary_vjp),
                EPSILON_IN_LOG:
                    (twins::binary_with_epsilon, answer::binary_vjp),
                OVERFLOW: (twins::binary_overflows, answer::binary_vjp),
                UPSTREAM_IGNORED:
                    (answer::binary_loss, twins::binary_vjp_upstream_ignored),
                SIGN_FLIPPED:
                    (answer::binary_loss, twins::binary_vjp_reversed),
                BATCH_MEAN_MISSING:
                    (answer::binary_loss, twins::binary_vjp_summed),
                WEIGHT_FORGOTTEN:
                    (answer::binary_loss, twins::binary_vjp_without_weight),
                WEIGHT_ON_BOTH:
                    (answer::binary_loss, twins::binary_vjp_weight_on_both),
                WEIGHT_ON_TARGET_ONLY:
                    (answer::binary_loss, twins::binary_vjp_weighted_target),
                WEIGHT_PER_EXAMPLE: (
                    answer::binary_loss,
                    twins::binary_vjp_weighted_examples
                ),
                NEGATIVE_CLASS_FORGOTTEN:
                    (answer::binary_loss, twins::binary_vjp_positives_only),
                MEAN_OVER_WEIGHTS:
                    (answer::binary_loss, twins::binary_vjp_weighted_mean),
                BATCH_MEAN_TWICE:
                    (answer::binary_loss, twins::binary_vjp_averaged_twice),
                DOUBLE_SOFTMAX_GRAD:
                    (answer::binary_loss, twins::binary_vjp_slope_again),
                JACOBIAN_SKIPPED:
                    (answer::binary_loss, twins::binary_vjp_of_probability),
                SOFTMAX_OF_ONE_LOGIT:
                    (answer::binary_loss, twins::binary_vjp_softmax_of_one),
                OVERFLOW: (answer::binary_loss, twins::binary_vjp_overflows),
                LOG_OF_ZERO:
                    (answer::binary_loss, twins::binary_vjp_not_fused),
                EPSILON_IN_LOG:
                    (answer::binary_loss, twins::binary_vjp_with_epsilon),
            }
        }
        find_the_bug(BUG, mended) {
            right {
                "through the Jacobian":
                    (answer::BUG, alt::lookup_through_jacobian),
            }
            wrong {
                WRONG_BUG: (Some("DOT_DROPPED"), answer::mended),
                WRONG_BUG: (Some("diagonal"), answer::mended),
                DIAGONAL_JACOBIAN: (answer::BUG, stub::mended),
                DIAGONAL_JACOBIAN: (answer::BUG, twins::lookup_diagonal),
                DOT_DROPPED: (answer::BUG, twins::lookup_without_dot),
                JACOBIAN_SKIPPED: (answer::BUG, twins::lookup_no_softmax),
                PLAIN_SUM_FOR_DOT: (answer::BUG, twins::lookup_plain_sum),
                ONE_DOT_FOR_BATCH: (answer::BUG, twins::lookup_one_dot),
                TABLE_SKIPPED: (answer::BUG, twins::lookup_without_table),
                LOGITS_FOR_PROBABILITIES:
                    (answer::BUG, twins::lookup_table_from_logits),
            }
        }
        find_the_floor(FLOOR, mended_loss) {
            right { "by hand": (answer::FLOOR, alt::mended_by_hand) }
            wrong {
                WRONG_BUG: (Some("EPSILON_IN_LOG"), answer::mended_loss),
                DOUBLE_SOFTMAX: (answer::FLOOR, stub::mended_loss),
                DOUBLE_SOFTMAX: (answer::FLOOR, twins::floor_loss_only_mended),
                DOUBLE_SOFTMAX:
                    (answer::FLOOR, twins::floor_gradient_only_mended),
                JACOBIAN_TWICE: (answer::FLOOR, twins::floor_slope_left),
                LOG_OF_ZERO: (answer::FLOOR, twins::floor_log_of_zero),
            }
        }
        work(work) {
            right { "row by row": (alt::work_by_row) }
            wrong {
                JACOBIAN_SHARED: (twins::work_shared),
                JACOBIAN_OF_BATCH: (twins::work_of_batch),
                MULTIPLICATIONS_ONLY: (twins::work_multiplications),
                DOT_PER_ENTRY: (twins::work_dot_per_entry),
                SUM_AS_N_MINUS_1: (twins::work_signs),
                SUM_AS_N_MINUS_1: (twins::work_signs_of_dot),
                PASS_FORGOTTEN: (twins::work_without_sum),
            }
        }
    }
}
