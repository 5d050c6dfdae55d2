//! The ladder of the matrix product on the GPU, from an invocation for each
//! entry to the version that models use.                    book: speed/gpu
//!
//!   c_ij = Σ_l a_il·b_lj         a (m,k), b (k,n) -> c (m,n)
//!
//! Each rung writes the product over `c`, all three row-major, and changes one
//! thing of the rung before it. All agree to rounding. The time of each on a
//! GPU is measured by `cargo bench --features gpu --bench gpu_ladder`.

use crate::engine::gpu::gemm::{MIDDLE, Matrix, Plan, Product};
use crate::engine::gpu::{Array, Groups, Kernel, Runner, Source, words};

/// The GPU, the sizes `[m, k, n]`, `a` (m,k), `b` (k,n), and `c` (m,n), which
/// is overwritten.
pub type Rung = fn(&Runner, [usize; 3], &Array, &Array, &Array);

/// The rungs, from the lowest to the highest, with their names.
pub const LADDER: [(&str, Rung); 6] = [
    ("naive", naive),
    ("coalesced", coalesced),
    ("tile", tile),
    ("registers", registers),
    ("vectors", vectors),
    ("engine", engine),
];

/// An invocation for each entry, which goes along a row of `a` and down a
/// column of `b`. Neighbours have neighbouring rows: what they read at one time
/// lies k numbers apart, and each has memory send a whole line for one of them.
pub fn naive(run: &Runner, size: [usize; 3], a: &Array, b: &Array, c: &Array) {
    let [m, _, n] = size;
    let groups = [m.div_ceil(16), n.div_ceil(16), 1];
    call(run, "naive", groups, size, [a, b, c]);
}

/// Neighbours have neighbouring columns: they read the same number of `a`, and
/// numbers of `b` that lie side by side, in one line.
pub fn coalesced(
    run: &Runner,
    size: [usize; 3],
    a: &Array,
    b: &Array,
    c: &Array,
) {
    call(run, "coalesced", squares(size, 16), size, [a, b, c]);
}

/// The 256 invocations of a workgroup copy 16×16 numbers of each factor to
/// their common memory, one each, and then read every one of them 16 times
/// there: memory is asked for a sixteenth.
pub fn tile(run: &Runner, size: [usize; 3], a: &Array, b: &Array, c: &Array) {
    call(run, "tile", squares(size, 16), size, [a, b, c]);
}

/// An invocation has 4×4 entries, in registers: of 8 numbers that it reads
/// from the common memory it makes 16 multiplications, where it was 2 for one.
pub fn registers(
    run: &Runner,
    size: [usize; 3],
    a: &Array,
    b: &Array,
    c: &Array,
) {
    call(run, "registers", squares(size, 64), size, [a, b, c]);
}

/// Four numbers with one instruction, from memory where the sizes allow it and
/// from the common memory always; and the inner loop written out. This is the
/// engine's kernel with the tile of the rung before.
// ANCHOR: vectors
pub fn vectors(
    run: &Runner,
    size: [usize; 3],
    a: &Array,
    b: &Array,
    c: &Array,
) {
    let plan = Plan {
        tile: MIDDLE,
        parts: 1,
    };
    product(size, a, b, c).run_as(run, plan);
}
// ANCHOR_END: vectors

/// What models use, [`engine::gpu::gemm`](crate::engine::gpu::gemm): 8×8
/// entries for each invocation where C is large enough for such tiles.
// ANCHOR: engine
pub fn engine(run: &Runner, size: [usize; 3], a: &Array, b: &Array, c: &Array) {
    product(size, a, b, c).run(run);
}

fn product<'a>(
    [m, k, n]: [usize; 3],
    a: &'a Array,
    b: &'a Array,
    c: &'a Array,
) -> Product<'a> {
    let [a, b, c] = [(a, k), (b, n), (c, n)].map(|(x, n)| Matrix::new(x, n));
    Product::new([m, k, n], a, b, c)
}
// ANCHOR_END: engine

/// Workgroups for tiles of `side`².
fn squares([m, _, n]: [usize; 3], side: usize) -> [usize; 3] {
    [n.div_ceil(side), m.div_ceil(side), 1]
}

/// One call of a kernel in `matmul.wgsl`.
fn call(
    run: &Runner,
    entry: &str,
    groups: [usize; 3],
    [m, k, n]: [usize; 3],
    arrays: [&Array; 3],
) {
    let kernel = Kernel {
        name: &format!("matmul, {entry}"),
        source: Source::Text(include_str!("matmul.wgsl")),
        entry,
        bindings: &[0, 1, 2],
    };
    assert!([m, k, n].iter().all(|n| *n < 1 << 31), "matmul: size");
    let reach = [m * k, k * n, m * n];
    let words = words![m, k, n];
    // SAFETY: every kernel holds i, l and j against the sizes before it reads
    // or writes a row-major matrix of them; loops count up to a size by at most
    // 16; places in workgroup memory are a remainder or below 64.
    unsafe {
        let groups = Groups::Box(groups);
        run.run_trusted(&kernel, groups, words, &arrays, &reach);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::{Options, for_test};
    use ndarray::Array2;

    /// Small whole numbers: every sum is exact, in any order.
    fn whole(rows: usize, cols: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, cols), |(i, j)| {
            ((i * 7919 + j * 104_729 + salt * 31) % 1009 % 17) as f32 - 8.
        })
    }

    fn up(run: &Runner, x: &Array2<f32>) -> Array {
        let array = run.take(x.len());
        run.upload(&array, bytemuck::cast_slice(x.as_slice().unwrap()));
        array
    }

    #[test]
    fn every_rung_is_the_product() {
        for unchecked in [false, true] {
            let options = Options {
                unchecked,
                poison: true,
                ..Options::default()
            };
            let Some(run) = for_test(options) else { return };
            const SIZES: [usize; 6] = [0, 1, 15, 16, 65, 129];
            for (turn, m) in SIZES.into_iter().enumerate() {
                for n in SIZES {
                    let k = SIZES[(turn + n) % 6];
                    let (a, b) = (whole(m, k, 1), whole(k, n, 2));
                    let want = a.dot(&b);
                    let (a, b) = (up(&run, &a), up(&run, &b));
                    for (name, rung) in LADDER {
                        let c = run.take(m * n);
                        rung(&run, [m, k, n], &a, &b, &c);
                        let is_read = run.read(&c, |c| {
                            let want = want.as_slice().unwrap();
                            assert_eq!(c, want, "{name} {m}x{n}x{k}");
                        });
                        assert!(is_read, "{name}: {:?}", run.fault());
                    }
                }
            }
        }
    }
}
