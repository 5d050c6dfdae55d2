//! How much memory attention, and a step of a GPT, need as texts grow: with the
//! probabilities kept or in tiles, and with checkpointing or without.
//!
//!     cargo bench --bench memory
//!
//! Counted are the tensors of the device at the worst moment. The scratch that
//! a thread keeps is not: 0.7 MiB for tiles, whatever the length.

use backprop::backends::Cpu;
use backprop::device::{Device, Heads, Params};
use backprop::transformer::gpt::model::{
    Attention, Config, Gpt, Pass, Residuals,
};

const HEADS: usize = 8;
const WIDTH: usize = 64;

fn main() {
    attention();
    gpt();
}

/// One text, 8 heads of width 64; beside queries, keys, values and `dy`.
fn attention() {
    println!("B1 H{HEADS} d{WIDTH}, forward and backward, peak MiB");
    println!("{:>6} {:>10} {:>10}", "T", "kept", "tiled");
    for t in [256, 512, 1024, 2048, 4096, 8192] {
        let [kept, tiled] = [true, false].map(|kept| {
            let bytes = peak(t, kept);
            bytes as f64 / f64::from(1 << 20)
        });
        println!("{t:>6} {kept:>10.1} {tiled:>10.1}");
    }
}

/// Eight blocks of width 128, one text; beside weights and their gradients.
/// `k` is how many blocks lie between two inputs that are kept.
fn gpt() {
    println!("\nGPT of 8 layers, 4 heads, width 128, one text of T, a step");
    println!("beside weights and gradients, peak MiB");
    let columns = [0, 1, 2, 4].map(|k| match k {
        0 => "all".to_owned(),
        k => format!("k = {k}"),
    });
    for attention in [Attention::Plain, Attention::Tiled] {
        println!("\n{attention:?}");
        print!("{:>6}", "T");
        columns.iter().for_each(|c| print!(" {c:>8}"));
        println!();
        for t in [64, 256, 1024, 2048] {
            print!("{t:>6}");
            for k in [0, 1, 2, 4] {
                let bytes = peak_of_step(t, k, attention);
                print!(" {:>8.1}", bytes as f64 / f64::from(1 << 20));
            }
            println!();
        }
    }
}

/// Peak bytes of a step beyond the weights and their gradients.
fn peak_of_step(t: usize, checkpoint: usize, attention: Attention) -> usize {
    let dev = Cpu::new();
    let mut config = Config::gpt2(65, t, 8, 4, 128);
    config.block.attention = attention;
    let model = Gpt::new(&dev, config, 0);
    let mut grads = model.zeros(&dev);
    let tokens: Vec<usize> = (0..=t).map(|i| i * i % 65).collect();
    let ids = dev.upload_ids(&tokens[..t]);
    let labels = dev.upload_ids(&tokens[1..]);
    let pass = Pass {
        checkpoint,
        ..Pass::new(1)
    };
    let before = dev.meter().live();
    dev.meter().restart();
    let kept = &mut Residuals::default();
    model.loss_and_grad(&dev, &ids, &labels, &pass, kept, &mut grads);
    assert!(grads.tensors().all(Option::is_some));
    dev.meter().peak() - before
}

/// Peak bytes beyond `qkv` and `dy`.
fn peak(t: usize, keep: bool) -> usize {
    let dev = Cpu::new();
    let heads = Heads {
        batch: 1,
        queries: HEADS,
        keys: HEADS,
    };
    let qkv = dev.zeros(&[t, 3 * HEADS * WIDTH]);
    let dy = dev.zeros(&[t, HEADS * WIDTH]);
    let before = dev.meter().live();
    dev.meter().restart();
    if keep {
        let (_y, p) = dev.attention(&qkv, heads);
        dev.attention_vjp(&qkv, &p, &dy, heads);
    } else {
        let (y, lse) = dev.flash_attention(&qkv, heads);
        dev.flash_attention_vjp(&qkv, &y, &lse, &dy, heads);
    }
    dev.meter().peak() - before
}
