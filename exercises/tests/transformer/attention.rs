//! Grades `src/transformer/attention.rs`. Made by `cargo grade stubs`.

#[path = "../../src/transformer/attention.rs"]
mod answer;

examiner::exercise! {
    transformer::attention;
    before_coding: BEFORE_CODING(READS, SEEN, TRUE),
    forward: FORWARD(forward),
    vjp: VJP(vjp),
    causal: CAUSAL(causal),
    grouped: GROUPED(grouped, grouped_vjp),
    cross_vjp: CROSS_VJP(cross_vjp),
    find_the_bug: FIND_THE_BUG(BUG, mended),
}
