//! How much memory attention needs beside its input, forward and backward, as
//! texts grow: with the probabilities kept, and in tiles.
//!
//!     cargo bench --bench memory
//!
//! One text, 8 heads of width 64. Counted are the tensors of the device at the
//! worst moment: output, what is kept, and the gradient. The scratch that a
//! thread keeps is not: 0.7 MiB for tiles, whatever the length.

use backprop::backends::Cpu;
use backprop::device::{Device, Heads};

const HEADS: usize = 8;
const WIDTH: usize = 64;

fn main() {
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
