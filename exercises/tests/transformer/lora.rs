//! Grades `src/transformer/lora.rs`. Made by `cargo grade stubs`.

#[path = "../../src/transformer/lora.rs"]
mod answer;

examiner::exercise! {
    transformer::lora;
    before_coding: BEFORE_CODING(COUNT, DW, STARTS, DOUBLED),
    forward: FORWARD(forward),
    vjp: VJP(vjp),
    tune: TUNE(tune, tune_all),
    counts: COUNTS(counts),
    dora: DORA(dora, dora_vjp),
    norm_constant: NORM_CONSTANT(norm_constant),
    find_the_bug: FIND_THE_BUG(BUG, mended),
}
