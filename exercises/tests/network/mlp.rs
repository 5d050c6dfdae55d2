//! Grades `src/network/mlp.rs`.

#[path = "../../src/network/mlp.rs"]
mod answer;

examiner::exercise! {
    network::mlp;
    predict_zeros(ZEROS),
    errors(bp1, bp2),
    gradients(bp3, bp4),
    backward(backward),
    tied_vjp(tied_vjp),
    find_the_bug(BUG, mended),
    cached(cached),
    descend(descend),
}
