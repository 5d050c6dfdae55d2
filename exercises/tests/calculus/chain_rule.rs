//! Grades `src/calculus/chain_rule.rs`. Made by `cargo grade stubs`.

#[path = "../../src/calculus/chain_rule.rs"]
mod answer;

examiner::exercise! {
    calculus::chain_rule;
    sign: SIGN(SIGN),
    sine_of_square: SINE_OF_SQUARE(sine_of_square),
    line_squared: LINE_SQUARED(line_squared),
    f_of_g: F_OF_G(f_of_g),
    g_of_f: G_OF_F(g_of_f),
    tanh_from_output: TANH_FROM_OUTPUT(tanh_from_output),
    find_the_bug: FIND_THE_BUG(BUG, mended),
    step: STEP(H),
}
