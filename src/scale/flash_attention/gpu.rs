//! Flash attention on the GPU: tiles of 64 by 32 scores, in memory linear in T.
//!
//! book: scale/flash_attention
//!
//! What differs from the textbook, and why: (1) a workgroup has 64 rows of one
//! head and goes over columns, 32 at a time, so that nothing of the size T·T
//! ever lies in memory; tiles above the diagonal are left out; (2) each of its
//! 128 invocations has 4·4 entries of a tile, and 4 rows of what is mixed, in
//! registers, and what it multiplies is staged through workgroup memory,
//! 16 KiB, the portable limit; (3) heads are read where they lie, in the
//! columns of `qkv`, as vec4 where d is a multiple of 4; (4) the VJP adds
//! nothing up between workgroups, so it needs no atomics and has always the
//! same bits: ⟨y, dy⟩ of every row comes first, then a workgroup for 64 keys
//! adds up `dk` and `dv` over the queries and heads that see them, then one
//! for 64 queries adds up `dq`; scores are computed in both, seven products
//! in all instead of five; (5) `q` is scaled when it is read, so all of them
//! have the same scores to the last bit; (6) a head wider than what fits the
//! registers is cut into blocks of columns, 128 or, where two things are added
//! up, 64, and each computes the scores for itself: any d works.
//!
//! The text of a kernel is written line by line from a template, because an
//! array of registers with an index that is known only at run time may be put
//! into memory, and WGSL cannot ask for a loop to be unrolled.

use super::assert_kept_of_heads;
use crate::device::Heads;
use crate::engine::gpu::{
    Array, Groups, Kernel, Runner, Source, Tensor, words,
};
use crate::transformer::attention::assert_qkv;

/// Rows of a tile.
const ROWS: usize = 64;

/// [`super::multi_head`] with the causal mask: `y = softmax(q·kᵀ/√d)·v`
/// (B·T, H·d), and the logarithm of each row's sum of exponentials, `lse`
/// (B·H,T), from `qkv` as in [`Heads`]. Returns `y` and `lse`.
///
/// Panics if the shape does not fit `heads`.
#[track_caller]
pub fn multi_head(
    run: &Runner,
    qkv: &Tensor,
    heads: Heads,
) -> (Tensor, Tensor) {
    let [_, _] = qkv.extents();
    let [t, d] = assert_qkv("flash_attention", qkv.shape(), heads);
    let Heads { batch, queries, .. } = heads;
    let y = run.tensor(&[batch * t, queries * d]);
    let lse = run.tensor(&[batch * queries, t]);
    let call = Call::new(heads, [t, d], heads.queries, 4);
    call.run(run, "forward", &[0, 1, 2], &[qkv, &y, &lse]);
    (y, lse)
}

/// The cotangent of `qkv`, from `y` and `lse` of [`multi_head`] and `dy`
/// (B·T, H·d).
///
/// Panics if the shapes do not fit `heads`.
#[track_caller]
pub fn multi_head_vjp(
    run: &Runner,
    qkv: &Tensor,
    y: &Tensor,
    lse: &Tensor,
    dy: &Tensor,
    heads: Heads,
) -> Tensor {
    let [_, _] = qkv.extents();
    let [t, d] = assert_qkv("flash_attention vjp", qkv.shape(), heads);
    assert_kept_of_heads(heads, [t, d], y.shape(), lse.shape(), dy.shape());
    let dqkv = run.tensor(qkv.shape());
    let dots = run.take(lse.len());
    let rows = Call {
        groups: (heads.batch * t * heads.queries).div_ceil(16),
        ..Call::new(heads, [t, d], heads.queries, 1)
    };
    rows.run(run, "rows", &[1, 5, 6], &[dy, y, &dots]);
    let bindings = [0, 1, 2, 3, 4];
    let arrays: [&Array; 5] = [qkv, dy, lse, &dots, &dqkv];
    let keys = Call::new(heads, [t, d], heads.keys, 2);
    keys.run(run, "keys", &bindings, &arrays);
    let queries = Call::new(heads, [t, d], heads.queries, 4);
    queries.run(run, "queries", &bindings, &arrays);
    dqkv
}

/// A call of one of the kernels.
struct Call {
    heads: Heads,
    t: usize,
    d: usize,
    shape: Shape,
    tiles: usize,
    blocks: usize,
    groups: usize,
}

impl Call {
    /// A workgroup for each tile of each of `of` heads of each text, and each
    /// block of at most `widest`·32 columns.
    fn new(heads: Heads, [t, d]: [usize; 2], of: usize, widest: usize) -> Call {
        let shape = Shape::new(d, widest);
        let tiles = t.div_ceil(ROWS);
        let blocks = d.div_ceil(32 * shape.n);
        Call {
            heads,
            t,
            d,
            shape,
            tiles,
            blocks,
            groups: heads.batch * of * tiles * blocks,
        }
    }

    #[track_caller]
    fn run(
        &self,
        run: &Runner,
        entry: &str,
        bindings: &[u32],
        arrays: &[&Array],
    ) {
        let &Call {
            heads,
            t,
            d,
            shape,
            tiles,
            blocks,
            groups,
        } = self;
        let kernel = Kernel {
            name: &shape.name(entry),
            source: Source::Made(&|| shape.text(entry)),
            entry,
            bindings,
        };
        let scale = 1. / (d as f64).sqrt();
        let Heads {
            batch,
            queries,
            keys,
        } = heads;
        let words =
            words![batch, queries, keys, t, d, tiles, blocks, groups, scale];
        let rows = batch * queries * t;
        let mut reach = [0; 7];
        for (reach, binding) in reach.iter_mut().zip(bindings) {
            *reach = match binding {
                0 | 4 => batch * t * (queries + 2 * keys) * d,
                2 | 3 | 6 => rows,
                _ => rows * d,
            };
        }
        let reach = &reach[..bindings.len()];
        // SAFETY: a kernel reads and writes rows below T, of heads below H or
        // K, of texts below B, and numbers of a head below d: `reach`, if none
        // of them is 0. With one that is 0 there are no groups; K is not 0,
        // and divides H: `assert_qkv` has seen to it.
        unsafe {
            run.run_trusted(&kernel, Groups::Row(groups), words, arrays, reach);
        }
    }
}

/// Which of its variants a kernel is.
#[derive(Clone, Copy)]
struct Shape {
    /// An invocation adds up so many vec4 of each row, eight of them 32 times
    /// as many columns: 1, 2 or 4.
    n: usize,
    /// Whether heads consist of whole vec4.
    wide: bool,
}

impl Shape {
    fn new(d: usize, widest: usize) -> Shape {
        Shape {
            n: d.div_ceil(32).next_power_of_two().min(widest),
            wide: d.is_multiple_of(4),
        }
    }

    fn name(self, entry: &str) -> String {
        let Shape { n, wide } = self;
        let numbers = if wide { "vec4" } else { "f32" };
        format!("flash attention, {entry}, {} columns of {numbers}", 32 * n)
    }

    fn text(self, entry: &str) -> String {
        let numbers = if self.wide { "vec4f" } else { "f32" };
        let n = self.n;
        let head = format!("alias Number = {numbers};\nconst N = {n}u;\n");
        let kernels = match entry {
            "forward" => include_str!("forward.wgsl"),
            _ => include_str!("vjp.wgsl"),
        };
        head + &self.written(include_str!("tile.wgsl")) + &self.written(kernels)
    }

    /// The template, each line as often as its letters say.
    fn written(self, template: &str) -> String {
        let numbers = ["0", "1", "2", "3", "4", "5", "6", "7"];
        let letters: [(&str, &[&str]); 5] = [
            ("$c", &["x", "y", "z", "w"]),
            ("$i", &numbers[..4]),
            ("$j", &numbers[..4]),
            ("$p", &numbers),
            ("$n", &numbers[..self.n]),
        ];
        let (keep, leave) = match self.wide {
            true => ("$wide ", "$narrow "),
            false => ("$narrow ", "$wide "),
        };
        let mut text = String::new();
        for line in template.lines().filter(|l| !l.contains(leave)) {
            let line = line.replace(keep, "");
            let mut lines = vec![line.clone()];
            for (letter, values) in letters {
                if line.contains(letter) {
                    let each = |line: String| {
                        values.iter().map(move |v| line.replace(letter, v))
                    };
                    lines = lines.into_iter().flat_map(each).collect();
                }
            }
            text.extend(lines.into_iter().flat_map(|line| [line, "\n".into()]));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_many() {
        let written = |d| Shape::new(d, 4).written("$wide a\n$narrow b$i$n");
        assert_eq!(written(64), "a\n");
        assert_eq!(written(33), "b00\nb01\nb10\nb11\nb20\nb21\nb30\nb31\n");
    }

    #[test]
    fn any_width_of_a_head_has_its_columns() {
        for (d, want) in [(1, 1), (32, 1), (33, 2), (64, 2), (65, 4), (500, 4)]
        {
            assert_eq!(Shape::new(d, 4).n, want, "{d}");
        }
    }
}
