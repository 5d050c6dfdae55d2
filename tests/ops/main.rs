//! One table of ops, chapter by chapter, and for each row the same questions:
//!
//! | test | against |
//! |---|---|
//! | `OP::gradcheck` | central differences: every entry, random cotangents |
//! | `OP::adjoint` | `⟨J v, u⟩ = ⟨v, Jᵀ u⟩` |
//! | `OP::linearity` | the VJP of a combination of cotangents |
//! | `OP::reference` | vectors from PyTorch in float64 |
//! | `OP::cpu` | `Cpu`, through `Device`, against the textbook |
//! | `OP::gpu` | the GPU, through `Device`, against the textbook |
//!
//! Without the feature `gpu`, or without a GPU, the last is ignored: see
//! `gpu/mod.rs`.
//!
//! The rows of a chapter stand in `<part>/<slug>.rs` and are described in
//! `op.rs`; to add a chapter, name it in its part's `mod.rs` and in the list
//! below. Its reference vectors are made by
//! `tests/reference/<part>/<slug>.py`.

use libtest_mimic::Arguments;

mod aspects;
mod complete;
#[cfg(feature = "gpu")]
#[path = "../gpu/mod.rs"]
mod gpu;
mod kit;
mod op;
mod reference;

mod calculus;
mod depth;
mod discrete;
mod network;
mod recurrent;
mod scale;
mod transformer;

fn main() {
    let chapters = op::chapters![
        calculus::chain_rule,
        calculus::modes,
        network::linear,
        network::activation,
        network::softmax_cross_entropy,
        network::optimizer,
        depth::normalization,
        depth::residual,
        transformer::embedding,
        transformer::attention,
        transformer::block,
        transformer::lora,
        scale::flash_attention,
        recurrent::bptt,
        discrete::straight_through,
    ];
    let mut trials = complete::trials(&chapters);
    trials.extend(chapters.iter().flat_map(aspects::trials));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
