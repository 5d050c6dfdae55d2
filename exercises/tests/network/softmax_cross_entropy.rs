//! Grades `src/network/softmax_cross_entropy.rs`.

#[path = "../../src/network/softmax_cross_entropy.rs"]
mod answer;

examiner::exercise! {
    network::softmax_cross_entropy;
    before_coding(SIGNS, SUM, BLIND),
    vjps(softmax_vjp, log_softmax_vjp),
    cross_entropy(cross_entropy, cross_entropy_vjp),
    tempered(tempered_vjp),
    binary(binary_loss, binary_vjp),
    find_the_bug(BUG, mended),
    find_the_floor(FLOOR, mended_loss),
    work(work),
}
