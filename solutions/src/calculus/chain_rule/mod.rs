//! The chain rule.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/calculus/chain_rule.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::submission::Submission;
use examiner::submissions;

/// Everything that the certificate hands to the checks.
pub fn all() -> Vec<Submission> {
    use alternatives as alt;
    submissions! {
        calculus::chain_rule; answer, stub;
        sign(SIGN) {
            right {}
            wrong { OUTER_AT_INPUT: (Some(-1)) }
        }
        sine_of_square(sine_of_square) {
            right {
                "chain": (alt::sine_of_square_chain),
                "at once": (alt::sine_of_square_at_once),
            }
            wrong {
                OUTER_AT_INPUT: (twins::sine_outer_at_input),
                INNER_FORGOTTEN: (twins::sine_inner_forgotten),
                OUTER_FORGOTTEN: (twins::sine_outer_forgotten),
                ADDED_NOT_MULTIPLIED: (twins::sine_added),
                UPSTREAM_IGNORED: (twins::sine_without_dy),
                NOT_LINEAR_IN_UPSTREAM: (twins::sine_dy_added),
                SIGN_FLIPPED: (twins::sine_sign),
                POWER_WITHOUT_TWO: (twins::sine_half),
                ALL_ZERO: (twins::sine_zero),
                VALUE_FOR_SLOPE: (twins::sine_undifferentiated),
            }
        }
        line_squared(line_squared) {
            right {
                "expanded": (alt::line_squared_expanded),
                "flat": (alt::line_squared_flat),
            }
            wrong {
                FACTORS_SWAPPED: (twins::line_swapped),
                BIAS_VIA_WEIGHTS: (twins::line_bias_times_input),
                OUTER_AT_INPUT: (twins::line_outer_at_input),
                UPSTREAM_IGNORED: (twins::line_without_dy),
                POWER_WITHOUT_TWO: (twins::line_half),
                BIAS_FORGOTTEN: (twins::line_bias_dropped),
                INNER_FORGOTTEN: (twins::line_inner_forgotten),
            }
        }
        f_of_g(f_of_g) {
            right { "closed": (alt::f_of_g_closed) }
            wrong {
                ORDER_SWAPPED: (twins::f_of_g_swapped),
                OUTER_AT_INPUT: (twins::f_of_g_at_input),
                INNER_FORGOTTEN: (twins::f_of_g_inner_forgotten),
                LINK_FORGOTTEN: (twins::f_of_g_lost_three),
                LINK_FORGOTTEN: (twins::f_of_g_lost_exp),
                INVERSE_DERIVATIVE: (twins::f_of_g_reciprocal),
            }
        }
        g_of_f(g_of_f) {
            right { "chain": (alt::g_of_f_chain) }
            wrong {
                ORDER_SWAPPED: (twins::g_of_f_swapped),
                OUTER_AT_INPUT: (twins::g_of_f_at_input),
                INNER_FORGOTTEN: (twins::g_of_f_inner_forgotten),
                LINK_FORGOTTEN: (twins::g_of_f_lost_three),
            }
        }
        tanh_from_output(tanh_from_output) {
            right { "factored": (alt::tanh_factored) }
            wrong {
                SLOPE_OF_OUTPUT: (twins::tanh_slope_of_output),
                SIGMOID_SLOPE: (twins::tanh_as_sigmoid),
                SIGN_FLIPPED: (twins::tanh_sign),
                UPSTREAM_IGNORED: (twins::tanh_without_dy),
                UPSTREAM_ONLY: (twins::tanh_passed_on),
                INVERSE_DERIVATIVE: (twins::tanh_inverse),
            }
        }
        find_the_bug(BUG, mended) {
            right { "chain": (Some("OUTER_AT_INPUT"), alt::exp_of_sine_chain) }
            wrong {
                WRONG_BUG: (Some("INNER_FORGOTTEN"), answer::mended),
                OUTER_AT_INPUT: (Some("OUTER_AT_INPUT"), stub::mended),
                INNER_FORGOTTEN:
                    (Some("outer_at_input"), twins::exp_inner_forgotten),
            }
        }
        step(H) {
            right { "another": (Some(5e-9)) }
            wrong {
                STEP_TOO_LARGE: (Some(1e-6)),
                STEP_TOO_SMALL: (Some(1e-12)),
            }
        }
    }
}
