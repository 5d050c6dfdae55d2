//! The linear layer.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/linear.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::submission::Submission;
use examiner::submissions;

/// Everything that the certificate hands to the checks.
pub fn all() -> Vec<Submission> {
    use alternatives as alt;
    submissions! {
        network::linear; answer, stub;
        predict_dx(DX_ROW) {
            right {}
            wrong {
                TRANSPOSE_MISSING_DX: (Some([8., -1.])),
                UPSTREAM_ONLY: (Some([1., 1.])),
            }
        }
        forward(forward) {
            right {
                "loops": (alt::forward_loops),
                "in place": (alt::forward_in_place),
            }
            wrong {
                BIAS_FORGOTTEN: (twins::forward_without_bias),
                BIAS_DOWN_COLUMNS: (twins::forward_bias_by_example),
                BIAS_DOWN_COLUMNS: (twins::forward_bias_broadcast),
                CONVENTION_MIXED: (twins::forward_torch_layout),
            }
        }
        vjp(vjp) {
            right {
                "loops": (alt::vjp_loops),
                "transposed": (alt::vjp_transposed),
                "by example": (alt::vjp_by_example),
            }
            wrong {
                ALL_ZERO: (twins::all_zero),
                UPSTREAM_IGNORED: (twins::upstream_ignored),
                NOT_LINEAR_IN_UPSTREAM: (twins::upstream_clipped),
                NOT_LINEAR_IN_UPSTREAM: (twins::upstream_clipped_far_out),
                SIGN_FLIPPED: (twins::sign_flipped),
                TRANSPOSED: (twins::dw_transposed),
                TRANSPOSE_MISSING_DW: (twins::dw_without_transpose),
                TRANSPOSE_MISSING_DX: (twins::dx_without_transpose),
                WRONG_SIDE: (twins::dx_wrong_side),
                HADAMARD_FOR_MATMUL: (twins::dx_elementwise),
                GRAD_OVERWRITTEN: (twins::dw_overwritten),
                ONE_EXAMPLE_ONLY: (twins::first_example_only),
                BATCH_MEAN_TWICE: (twins::divided_by_batch),
                BIAS_MEAN_NOT_SUM: (twins::bias_mean),
                BIAS_AXIS: (twins::bias_wrong_axis),
                WRONG_SHAPE: (twins::bias_wrong_length),
                BIAS_OVERREDUCED: (twins::bias_one_number),
                BIAS_VIA_WEIGHTS: (twins::bias_times_input),
                SHAPES_DO_NOT_FIT: (twins::does_not_run),
            }
        }
        counter_example(counter_example) {
            right {}
            wrong {
                EXAMPLE_SHOWS_NOTHING: (twins::counter_symmetric),
                EXAMPLE_SHOWS_NOTHING: (twins::counter_zero),
                SHAPES_DO_NOT_FIT: (twins::counter_rectangular),
            }
        }
        columns_vjp(columns_vjp) {
            right {
                "by rows": (alt::columns_by_rows),
                "loops": (alt::columns_loops),
            }
            wrong {
                CONVENTION_MIXED: (twins::columns_row_formulas),
                CONVENTION_MIXED: (twins::columns_formula_of_the_table),
                TRANSPOSE_MISSING: (twins::columns_dw_without_transpose),
                TRANSPOSED: (twins::columns_dw_transposed),
                BIAS_AXIS: (twins::columns_bias_axis),
            }
        }
        low_rank_vjp(low_rank_vjp) {
            right {
                "through w": (alt::low_rank_through_w),
                "two layers": (alt::low_rank_two_layers),
            }
            wrong {
                FACTOR_FORGOTTEN: (twins::low_rank_whole_weight),
                TRANSPOSE_MISSING: (twins::low_rank_without_transpose),
                FACTORS_SWAPPED: (twins::low_rank_swapped),
            }
        }
        find_the_bug(BUG, mended) {
            right { "loops": (Some("BIAS_MEAN_NOT_SUM"), alt::vjp_loops) }
            wrong {
                WRONG_BUG: (Some("BIAS_AXIS"), answer::vjp),
                WRONG_BUG: (Some("bias mean"), answer::vjp),
                BIAS_MEAN_NOT_SUM: (Some("BIAS_MEAN_NOT_SUM"), stub::mended),
                BIAS_OVERREDUCED:
                    (Some("BIAS_MEAN_NOT_SUM"), twins::bias_one_number),
            }
        }
        flops(flops) {
            right { "factored": (alt::flops_factored) }
            wrong {
                MULTIPLICATIONS_ONLY: (twins::flops_multiplications),
                FIRST_LAYER_DX: (twins::flops_always_dx),
                BIAS_NOT_COUNTED: (twins::flops_no_bias),
                FORWARD_COUNTED: (twins::flops_forward),
            }
        }
    }
}
