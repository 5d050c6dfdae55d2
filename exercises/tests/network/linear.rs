//! Grades `src/network/linear.rs`. Made by `cargo grade stubs`.

#[path = "../../src/network/linear.rs"]
mod answer;

examiner::exercise! {
    network::linear;
    predict_dx: PREDICT_DX(DX_ROW),
    forward: FORWARD(forward),
    vjp: VJP(vjp),
    counter_example: COUNTER_EXAMPLE(counter_example),
    columns_vjp: COLUMNS_VJP(columns_vjp),
    low_rank_vjp: LOW_RANK_VJP(low_rank_vjp),
    find_the_bug: FIND_THE_BUG(BUG, mended),
    flops: FLOPS(flops),
}
