//! Grades `src/network/mlp.rs`. Made by `cargo grade stubs`.

#[path = "../../src/network/mlp.rs"]
mod answer;

examiner::exercise! {
    network::mlp;
    predict_zeros: PREDICT_ZEROS(ZEROS),
    errors: ERRORS(bp1, bp2),
    two_layers: TWO_LAYERS(two_layers),
    backward: BACKWARD(backward),
    tied_vjp: TIED_VJP(tied_vjp),
    find_the_bug: FIND_THE_BUG(BUG, mended),
    cached: CACHED(cached),
    descend: DESCEND(descend),
}
