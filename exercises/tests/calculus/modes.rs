//! Grades `src/calculus/modes.rs`. Made by `cargo grade stubs`.

#[path = "../../src/calculus/modes.rs"]
mod answer;

examiner::exercise! {
    calculus::modes;
    cheaper: CHEAPER(REVERSE_IS_CHEAPER),
    dual: DUAL(product, quotient),
    power_and_angle: POWER_AND_ANGLE(power, angle),
    five_vjps: FIVE_VJPS(root_vjp, mean_vjp, running_sums_vjp, outer_vjp, unit_vjp),
    jacobian: JACOBIAN(jacobian),
    is_adjoint: IS_ADJOINT(is_adjoint),
    find_the_bug: FIND_THE_BUG(BUG, mended),
    nested: NESTED(NESTED),
}
