//! Grades `src/discrete/reinforce.rs`. Made by `cargo grade stubs`.

#[path = "../../src/discrete/reinforce.rs"]
mod answer;

examiner::exercise! {
    discrete::reinforce;
    before_coding: BEFORE_CODING(SLOPE, BASELINES, CREDIT, LOSSES, ZERO),
    bernoulli: BERNOULLI(bernoulli),
    loss_vjp: LOSS_VJP(loss_vjp),
    advantages: ADVANTAGES(leave_one_out, gae),
    clipped_vjp: CLIPPED_VJP(clipped_vjp),
    divergence: DIVERGENCE(divergence),
    find_the_path: FIND_THE_PATH(PATH, mended_path),
    find_the_credit: FIND_THE_CREDIT(CREDIT_BUG, mended_credit),
}
