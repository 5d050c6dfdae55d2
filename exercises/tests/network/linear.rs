//! Grades `src/network/linear.rs`.

#[path = "../../src/network/linear.rs"]
mod answer;

examiner::exercise! {
    network::linear;
    predict_dx(DX_ROW),
    forward(forward),
    vjp(vjp),
    counter_example(counter_example),
    columns_vjp(columns_vjp),
    low_rank_vjp(low_rank_vjp),
    find_the_bug(BUG, mended),
    flops(flops),
}
