//! Grades `src/recurrent/bptt.rs`. Made by `cargo grade stubs`.

#[path = "../../src/recurrent/bptt.rs"]
mod answer;

examiner::exercise! {
    recurrent::bptt;
    before_coding: BEFORE_CODING(TOTAL, IN_CHUNKS, IN_WINDOWS, ROWS, TRUE),
    forward: FORWARD(forward),
    vjp: VJP(vjp),
    chunked: CHUNKED(chunked),
    both_ways: BOTH_WAYS(both_ways, both_ways_vjp),
    clipped_step: CLIPPED_STEP(clipped_step),
    steps_back: STEPS_BACK(steps_back),
    find_the_bug: FIND_THE_BUG(BUG, mended),
}
