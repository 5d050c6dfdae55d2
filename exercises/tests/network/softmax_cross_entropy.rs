//! Grades `src/network/softmax_cross_entropy.rs`. Made by `cargo grade stubs`.

#[path = "../../src/network/softmax_cross_entropy.rs"]
mod answer;

examiner::exercise! {
    network::softmax_cross_entropy;
    before_coding: BEFORE_CODING(SIGNS, SUM, BLIND),
    vjps: VJPS(root_softmax_vjp, log_softmax_vjp),
    cross_entropy: CROSS_ENTROPY(cross_entropy, cross_entropy_vjp),
    tempered: TEMPERED(tempered_vjp),
    binary: BINARY(binary_loss, binary_vjp),
    find_the_bug: FIND_THE_BUG(BUG, mended),
    find_the_floor: FIND_THE_FLOOR(FLOOR, mended_loss),
    work: WORK(work),
}
