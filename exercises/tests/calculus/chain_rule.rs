//! Grades `src/calculus/chain_rule.rs`.

#[path = "../../src/calculus/chain_rule.rs"]
mod answer;

examiner::exercise! {
    calculus::chain_rule;
    sign(SIGN),
    sine_of_square(sine_of_square),
    line_squared(line_squared),
    f_of_g(f_of_g),
    g_of_f(g_of_f),
    tanh_from_output(tanh_from_output),
    find_the_bug(BUG, mended),
    step(H),
}
