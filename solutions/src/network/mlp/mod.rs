//! The multilayer perceptron.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/mlp.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::submission::Submission;
use examiner::submissions;

/// Everything that the certificate hands to the checks.
pub fn all() -> Vec<Submission> {
    use alternatives as alt;
    submissions! {
        network::mlp; answer, stub;
        predict_zeros(ZEROS) {
            right {}
            wrong {
                DEAD_UNIT_OUTGOING: (Some([true, true, false, false, false])),
                SLOPE_FORGOTTEN: (Some([false, true, false, true, false])),
                VALUE_AS_GRADIENT: (Some([true, true, false, true, true])),
                VALUE_AS_GRADIENT: (Some([true, true, true, true, false])),
                VALUE_AS_GRADIENT: (Some([true, true, true, true, true])),
            }
        }
        errors(bp1, bp2) {
            right {
                "loops": (alt::bp1_loops, alt::bp2_loops),
                "by Jacobians": (alt::bp1_in_place, alt::bp2_jacobian),
            }
            wrong {
                SLOPE_FORGOTTEN: (twins::bp1_without_slope, answer::bp2),
                SLOPE_OF_OUTPUT: (twins::bp1_slope_of_value, answer::bp2),
                VALUE_FOR_SLOPE: (twins::bp1_value, answer::bp2),
                RELU_EVERYWHERE: (twins::bp1_relu, answer::bp2),
                RELU_EVERYWHERE: (answer::bp1, twins::bp2_relu),
                UPSTREAM_IGNORED: (twins::bp1_slope_only, answer::bp2),
                SIGN_FLIPPED: (twins::bp1_flipped, answer::bp2),
                BATCH_MEAN_TWICE: (twins::bp1_mean, answer::bp2),
                MASK_FROM_UPSTREAM: (twins::bp1_mask_from_dy, answer::bp2),
                SLOPE_FORGOTTEN: (answer::bp1, twins::bp2_without_slope),
                SLOPE_OF_OUTPUT: (answer::bp1, twins::bp2_slope_of_value),
                VALUE_FOR_SLOPE: (answer::bp1, twins::bp2_value),
                UPSTREAM_IGNORED: (answer::bp1, twins::bp2_slope_only),
                TRANSPOSE_MISSING: (answer::bp1, twins::bp2_not_transposed),
                WRONG_SIDE: (answer::bp1, twins::bp2_wrong_side),
                SLOPE_BEFORE_WEIGHT: (answer::bp1, twins::bp2_slope_first),
                HADAMARD_FOR_MATMUL: (answer::bp1, twins::bp2_all_edges_alike),
                GRAD_OVERWRITTEN: (answer::bp1, twins::bp2_last_edge),
                MASK_FROM_UPSTREAM: (answer::bp1, twins::bp2_mask_from_above),
                ALL_ZERO: (answer::bp1, twins::bp2_zero),
            }
        }
        gradients(bp3, bp4) {
            right {
                "outer products": (alt::bp3_outer, alt::bp4_loop),
                "transposed": (alt::bp3_transposed, alt::bp4_ones),
            }
            wrong {
                TRANSPOSE_MISSING_DW: (twins::bp3_not_transposed, answer::bp4),
                TRANSPOSED: (twins::bp3_transposed, answer::bp4),
                BATCH_MEAN_TWICE: (twins::bp3_mean, twins::bp4_mean),
                GRAD_OVERWRITTEN: (twins::bp3_last_example, answer::bp4),
                ONE_EXAMPLE_ONLY: (twins::bp3_first_example, answer::bp4),
                BIAS_MEAN_NOT_SUM: (answer::bp3, twins::bp4_mean),
                BIAS_AXIS: (answer::bp3, twins::bp4_wrong_axis),
                BIAS_OVERREDUCED: (answer::bp3, twins::bp4_total),
                SIGN_FLIPPED: (answer::bp3, twins::bp4_flipped),
            }
        }
        backward(backward) {
            right {
                "by layers": (alt::backward_by_layers),
                "recursive": (alt::backward_recursive),
                "columns": (alt::backward_columns),
            }
            wrong {
                SLOPE_FORGOTTEN: (twins::no_slope),
                OUTPUT_SLOPE_FORGOTTEN: (twins::no_output_slope),
                SLOPE_OF_OUTPUT: (twins::slope_of_activation),
                SLOPE_BEFORE_WEIGHT: (twins::slope_of_layer_above),
                WEIGHT_OF_WRONG_LAYER: (twins::weight_of_this_layer),
                TRANSPOSE_MISSING: (twins::weight_not_transposed),
                SUM_FOR_ACTIVATION: (twins::sums_for_inputs),
                RELU_EVERYWHERE: (twins::relu_everywhere),
                SLOPE_AT_WRONG_LAYER: (twins::slope_at_sum_above),
                LAYERS_REVERSED: (twins::not_reversed),
                ALL_ZERO: (twins::last_layer_only),
                UPSTREAM_IGNORED: (twins::starts_from_ones),
                BATCH_MEAN_TWICE: (twins::divided_by_batch),
                BIAS_MEAN_NOT_SUM: (twins::bias_means),
                SIGN_FLIPPED: (twins::target_minus_output),
                TRANSPOSED: (twins::weights_transposed),
            }
        }
        tied_vjp(tied_vjp) {
            right {
                "by layers": (alt::tied_by_layers),
                "loops": (alt::tied_loops),
            }
            wrong {
                ONE_USE_ONLY: (twins::tied_first_use),
                ONE_USE_ONLY: (twins::tied_second_use),
                USES_NOT_ALIKE: (twins::tied_doubled),
                TRANSPOSE_MISSING: (twins::tied_not_turned),
                SLOPE_FORGOTTEN: (twins::tied_no_slope),
                SUM_FOR_ACTIVATION: (twins::tied_sum_for_a),
                BATCH_MEAN_TWICE: (twins::tied_mean),
            }
        }
        find_the_bug(BUG, mended) {
            right {
                "a factor": (Some("MASK_FROM_UPSTREAM"), alt::mended_with_factor),
            }
            wrong {
                WRONG_BUG: (Some("SLOPE_FORGOTTEN"), answer::mended),
                WRONG_BUG: (Some("relu"), answer::mended),
                MASK_FROM_UPSTREAM: (Some("MASK_FROM_UPSTREAM"), stub::mended),
                SLOPE_FORGOTTEN:
                    (Some("MASK_FROM_UPSTREAM"), twins::mended_no_mask),
            }
        }
        cached(cached) {
            right { "in a loop": (alt::cached_loop) }
            wrong {
                OUTPUT_CACHED: (twins::cached_with_output),
                INPUT_NOT_CACHED: (twins::cached_without_x),
                BATCH_NOT_COUNTED: (twins::cached_one),
                PARAMETERS_CACHED: (twins::cached_with_weights),
                SUMS_ALWAYS_CACHED: (twins::cached_always_sums),
            }
        }
        descend(descend) {
            right { "loops": (alt::descend_loops) }
            wrong {
                UPDATED_TOO_EARLY: (twins::descend_too_early),
                SLOPE_FORGOTTEN: (twins::descend_no_mask),
                BIAS_NOT_UPDATED: (twins::descend_no_bias),
                SIGN_FLIPPED: (twins::descend_uphill),
                HALF_FORGOTTEN: (twins::descend_factor_two),
                LAST_LAYER_ONLY: (twins::descend_last_layer),
                MASK_FROM_UPSTREAM: (twins::descend_mask_of_error),
            }
        }
    }
}
