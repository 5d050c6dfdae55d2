//! Grades `src/discrete/straight_through.rs`. Made by `cargo grade stubs`.

#[path = "../../src/discrete/straight_through.rs"]
mod answer;

examiner::exercise! {
    discrete::straight_through;
    before_coding: BEFORE_CODING(ROUNDED, INPUT, TIES, SHARE, TRUE),
    quantise: QUANTISE(quantise, quantise_vjp),
    binary_layer: BINARY_LAYER(binary_layer, binary_layer_vjp),
    walk: WALK(walk),
    train: TRAIN(train),
    codebook: CODEBOOK(codebook, codebook_vjp),
    gumbel: GUMBEL(gumbel, gumbel_vjp),
    find_the_bug: FIND_THE_BUG(BUG, mended),
}
