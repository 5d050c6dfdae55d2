//! Forward and reverse mode.

mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/calculus/modes.rs"]
#[allow(unused)]
mod stub;
mod twins;

use backprop::calculus::modes::Dual;
use examiner::calculus::chain_rule::mistakes::{
    FACTORS_SWAPPED, INNER_FORGOTTEN, INVERSE_DERIVATIVE, LINK_FORGOTTEN,
    SLOPE_OF_OUTPUT,
};
use examiner::calculus::modes as exam;
use examiner::calculus::modes::mistakes::{
    ABSOLUTE_TOLERANCE, BLIND_VECTORS, DEARER_MODE, DUAL_UPDATED_EARLY,
    HALF_PLANE, JVP_FOR_VJP, MATRIX_FOR_PRODUCT, MODE_BY_HABIT, MODES_SWAPPED,
    NORM_AS_CONSTANT, PERTURBATION_CONFUSION, POWER_AT_ZERO, PRODUCT_OF_SLOPES,
    QUOTIENT_RULE, REFLECTED_SIGN, SEED_NOT_RESET, TANGENT_DROPPED,
};
use examiner::general::{
    SIGN_FLIPPED, TRANSPOSED, UPSTREAM_IGNORED, WRONG_BUG,
};
use examiner::submission::Submissions;

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    all.task(
        "cheaper",
        &exam::CHEAPER,
        answer::REVERSE_IS_CHEAPER,
        stub::REVERSE_IS_CHEAPER,
    )
    .wrong(&MODES_SWAPPED, Some([false, false, true, true]))
    .wrong(&MODE_BY_HABIT, Some([true; 4]))
    .wrong(&MODE_BY_HABIT, Some([false; 4]))
    .wrong(&MATRIX_FOR_PRODUCT, Some([true, true, false, true]))
    .odd("ten scores forward", Some([true, false, false, false]));
    all.task(
        "dual",
        &exam::DUAL,
        (answer::product, answer::quotient),
        (stub::product, stub::quotient),
    )
    .right(
        "matrices, the rule from school",
        (alt::product_of_matrices, alt::quotient_of_school),
    )
    .right(
        "in place, times the reciprocal",
        (alt::product_in_place, alt::quotient_by_reciprocal),
    )
    .wrong_first(&PRODUCT_OF_SLOPES, twins::product_of_slopes)
    .wrong_first(&TANGENT_DROPPED, twins::product_one_term)
    .wrong_first(&TANGENT_DROPPED, twins::product_other_term)
    .wrong_first(&DUAL_UPDATED_EARLY, twins::product_updated_early)
    .wrong_first(&FACTORS_SWAPPED, twins::product_swapped)
    .wrong_second(&PRODUCT_OF_SLOPES, twins::quotient_of_slopes)
    .wrong_second(&TANGENT_DROPPED, twins::quotient_one_term)
    .wrong_second(&QUOTIENT_RULE, twins::quotient_without_square)
    .wrong_second(&QUOTIENT_RULE, twins::quotient_without_denominator)
    .wrong_second(&QUOTIENT_RULE, twins::quotient_plus)
    .wrong_second(&DUAL_UPDATED_EARLY, twins::quotient_updated_early)
    .wrong_second(&SIGN_FLIPPED, twins::quotient_reversed)
    .odd_first("through logarithms", |a, b| {
        let value = a.value * b.value;
        let relative = a.slope / a.value + b.slope / b.value;
        Dual {
            value,
            slope: value * relative,
        }
    })
    .odd_first("the square of ε kept", |a, b| Dual {
        value: a.value * b.value + 1e-6 * a.slope * b.slope,
        slope: a.slope * b.value + a.value * b.slope,
    })
    .odd_second("the denominator made positive", |a, b| {
        let value = a.value / b.value;
        Dual {
            value,
            slope: (a.slope - value * b.slope) / b.value.abs(),
        }
    });
    all.task(
        "power_and_angle",
        &exam::POWER_AND_ANGLE,
        (answer::power, answer::angle),
        (stub::power, stub::angle),
    )
    .right(
        "by cases, projected",
        (alt::power_by_cases, alt::angle_by_projection),
    )
    .wrong_first(&POWER_AT_ZERO, twins::power_not_guarded)
    .wrong_first(&POWER_AT_ZERO, twins::power_by_logarithm)
    .wrong_first(&INNER_FORGOTTEN, twins::power_without_seed)
    .wrong_first(&LINK_FORGOTTEN, twins::power_without_exponent)
    .wrong_second(&HALF_PLANE, twins::angle_of_quotient)
    .wrong_second(&LINK_FORGOTTEN, twins::angle_over_distance)
    .wrong_second(&TANGENT_DROPPED, twins::angle_of_y_alone)
    .wrong_second(&SIGN_FLIPPED, twins::angle_reversed)
    .odd_first("no slope at 0", |x, n| match x.value {
        0. => Dual {
            value: x.value.powf(n),
            slope: 0.,
        },
        _ => answer::power(x, n),
    })
    .odd_first("the size of the base", |x, n| Dual {
        value: x.value.powf(n),
        slope: match n {
            0. => 0.,
            n => n * x.value.abs().powf(n - 1.) * x.slope,
        },
    })
    .odd_second("NaN on an axis", |y, x| {
        let q = y.value / x.value;
        let dq = (y.slope - q * x.slope) / x.value;
        Dual {
            value: y.value.atan2(x.value),
            slope: dq / (1. + q * q),
        }
    })
    .odd_second("from 0 to 2π", |y, x| {
        let mut angle = answer::angle(y, x);
        angle.value = angle.value.rem_euclid(std::f64::consts::TAU);
        angle
    });
    let five: exam::Five = (
        answer::root_vjp,
        answer::mean_vjp,
        answer::running_sums_vjp,
        answer::outer_vjp,
        answer::unit_vjp,
    );
    all.task(
        "five_vjps",
        &exam::FIVE_VJPS,
        five,
        (
            stub::root_vjp,
            stub::mean_vjp,
            stub::running_sums_vjp,
            stub::outer_vjp,
            stub::unit_vjp,
        ),
    )
    .right(
        "loops",
        (
            alt::root_by_square,
            alt::mean_by_loop,
            alt::sums_by_difference,
            alt::outer_by_loops,
            alt::unit_by_matrix,
        ),
    )
    .right(
        "matrices",
        (
            five.0,
            five.1,
            alt::sums_by_matrix,
            alt::outer_by_broadcast,
            alt::unit_by_quotient,
        ),
    )
    .wrong(
        &SLOPE_OF_OUTPUT,
        (twins::root_at_output, five.1, five.2, five.3, five.4),
    )
    .wrong(
        &INVERSE_DERIVATIVE,
        (twins::root_inverse, five.1, five.2, five.3, five.4),
    )
    .wrong(
        &LINK_FORGOTTEN,
        (twins::root_without_half, five.1, five.2, five.3, five.4),
    )
    .wrong(
        &LINK_FORGOTTEN,
        (five.0, twins::mean_as_sum, five.2, five.3, five.4),
    )
    .wrong(
        &UPSTREAM_IGNORED,
        (five.0, twins::mean_without_dy, five.2, five.3, five.4),
    )
    .wrong(
        &JVP_FOR_VJP,
        (five.0, five.1, twins::sums_once_more, five.3, five.4),
    )
    .wrong(
        &FACTORS_SWAPPED,
        (five.0, five.1, five.2, twins::outer_own_values, five.4),
    )
    .wrong(
        &NORM_AS_CONSTANT,
        (
            five.0,
            five.1,
            five.2,
            five.3,
            twins::unit_with_constant_norm,
        ),
    )
    .wrong(
        &LINK_FORGOTTEN,
        (five.0, five.1, five.2, five.3, twins::unit_without_norm),
    )
    .odd(
        "running sums passed on",
        (five.0, five.1, twins::sums_passed_on, five.3, five.4),
    )
    .odd(
        "running sums without their own place",
        (
            five.0,
            five.1,
            |dy| answer::running_sums_vjp(dy) - dy,
            five.3,
            five.4,
        ),
    );
    all.task(
        "jacobian",
        &exam::JACOBIAN,
        answer::jacobian,
        stub::jacobian,
    )
    .right("by the identity", alt::jacobian_by_identity)
    .right("one seed, reset", alt::jacobian_one_seed)
    .wrong(&TRANSPOSED, twins::jacobian_transposed)
    .wrong(&SEED_NOT_RESET, twins::jacobian_seed_not_reset)
    .wrong(&DEARER_MODE, twins::jacobian_by_dearer_mode)
    .odd("always forward", twins::jacobian_always_forward)
    .odd("one pass too many", |n, m, jvp, vjp| {
        let j = answer::jacobian(n, m, jvp, vjp);
        jvp(ndarray::Array1::zeros(n).view());
        j
    });
    all.task(
        "is_adjoint",
        &exam::IS_ADJOINT,
        answer::is_adjoint,
        stub::is_adjoint,
    )
    .right("three pairs", alt::is_adjoint_thrice)
    .right("every entry", alt::is_adjoint_entry_by_entry)
    .wrong(&BLIND_VECTORS, twins::is_adjoint_with_ones)
    .wrong(&BLIND_VECTORS, twins::is_adjoint_with_equal)
    .wrong(&ABSOLUTE_TOLERANCE, twins::is_adjoint_absolute)
    .odd("to the last bit", twins::is_adjoint_exact)
    .odd("to a thousandth", twins::is_adjoint_generous)
    .odd("0/0", twins::is_adjoint_strict)
    .odd("zeros in u and v", twins::is_adjoint_with_zeros)
    .odd("always", |_, _, _, _| true)
    .odd("never", |_, _, _, _| false);
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right(
        "expanded",
        (Some("reflected_sign"), alt::reflected_in_place),
    )
    .wrong_first(&WRONG_BUG, Some("UPSTREAM_ONLY"))
    .wrong(&REFLECTED_SIGN, (Some("REFLECTED_SIGN"), stub::mended))
    .odd_second("1 - x made positive", |x| Dual {
        value: x.value * (1. - x.value),
        slope: x.slope * (1. - x.value).abs() - x.value * x.slope,
    });
    all.task("nested", &exam::NESTED, answer::NESTED, stub::NESTED)
        .wrong(&PERTURBATION_CONFUSION, Some([4., 4.]))
        .wrong(&PERTURBATION_CONFUSION, Some([4., 6.]))
        .odd("the inner one held still", Some([3., 4.]));
    all
}
