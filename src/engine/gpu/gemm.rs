//! The matrix product on the GPU: batches, turned factors, epilogues.
//!
//! One kernel, written for a [`Tile`] of C and for how A and B lie in memory:
//! see `tile.rs`. Which tile a product is given says [`TABLE`]. A product with
//! few tiles and a long inner index, such as the gradient of a weight, is cut
//! along that index into parts; a second kernel adds the parts up in their
//! order, so that the bits are the same each time.

mod tile;

pub use tile::Tile;

use super::{Array, Groups, Kernel, Runner, Source, Tensor, words};
use tile::Variant;

/// 128×128, the fewest reads for each multiplication.
pub const LARGE: Tile = Tile::new([128, 128], 8, [8, 8]);
/// 64×64.
pub const MIDDLE: Tile = Tile::new([64, 64], 16, [4, 4]);
/// 32×32.
pub const SMALL: Tile = Tile::new([32, 32], 16, [4, 4]);
/// For a few rows.
pub const WIDE: Tile = Tile::new([16, 64], 16, [4, 4]);
/// For a few columns.
pub const TALL: Tile = Tile::new([64, 16], 16, [4, 4]);

/// When a tile is taken.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The tile.
    pub tile: Tile,
    /// The most rows and columns of C.
    pub most: [usize; 2],
    /// So many workgroups keep the GPU busy.
    pub enough: usize,
    /// The least part of the inner index that is worth a workgroup.
    pub piece: usize,
}

/// The first tile that has enough workgroups is taken, or else the last of
/// them; the inner index is cut into parts until there are enough.
///
/// The numbers come from arithmetic and from what others published, not from a
/// measurement of ours: 256 workgroups are about two for each core of the
/// largest GPUs (132 on an H200), and one waits for memory while the other
/// computes. A part of 512 is written and read once, 8 bytes for 1024
/// operations, and a GPU does about 10 to 50 in the time of a byte. Where the
/// tile is small, so is C, and its parts stay in the cache. `cargo bench
/// --features gpu --bench gpu_ladder -- tiles` measures each tile.
pub const TABLE: [Choice; 5] = {
    const ANY: [usize; 2] = [usize::MAX; 2];
    const fn choice(tile: Tile, most: [usize; 2], piece: usize) -> Choice {
        Choice {
            tile,
            most,
            enough: 256,
            piece,
        }
    }
    [
        choice(WIDE, [16, usize::MAX], 128),
        choice(TALL, [usize::MAX, 16], 128),
        choice(LARGE, ANY, 512),
        choice(MIDDLE, ANY, 512),
        choice(SMALL, ANY, 128),
    ]
};

/// How a product is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The part of C that a workgroup computes.
    pub tile: Tile,
    /// Into how many parts the inner index is cut, at most.
    pub parts: usize,
}

/// A matrix, or a batch of them, inside an array.
///
/// Entry (i,j) of the matrix of batch (p,q) is at
/// `offset + p·batch[0] + (q/share)·batch[1] + i·stride + j`, or, if it is
/// `turned`, with `j·stride + i`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The array.
    pub array: &'a Array,
    /// Where the first matrix begins.
    pub offset: usize,
    /// From one row to the next, as it lies in memory.
    pub stride: usize,
    /// Whether it is read by columns: the transpose of what lies there.
    pub turned: bool,
    /// From one matrix to the next, in both dimensions of the batch.
    pub batch: [usize; 2],
    /// How many matrices in a row are the same one.
    pub share: usize,
}

impl<'a> Matrix<'a> {
    /// A whole array as rows of `columns` numbers.
    pub fn new(array: &'a Array, columns: usize) -> Matrix<'a> {
        Matrix {
            array,
            offset: 0,
            stride: columns,
            turned: false,
            batch: [0, 0],
            share: 1,
        }
    }

    /// A whole tensor of rank 2.
    #[track_caller]
    pub fn of(x: &'a Tensor) -> Matrix<'a> {
        let [_, columns] = x.extents();
        Matrix::new(x, columns)
    }

    /// Its transpose.
    pub fn t(self) -> Matrix<'a> {
        Matrix {
            turned: !self.turned,
            ..self
        }
    }

    /// From row `row` on.
    pub fn from_row(self, row: usize) -> Matrix<'a> {
        Matrix {
            offset: self.offset + row * self.stride,
            ..self
        }
    }
}

/// `C ← α·A·B + β·C`, then the bias: A (m,k), B (k,n), C (m,n), for each
/// matrix of the batch.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Matrices of the batch, in two dimensions.
    pub batch: [usize; 2],
    /// Rows of A, columns of A, columns of B.
    pub size: [usize; 3],
    /// α.
    pub alpha: f64,
    /// A.
    pub a: Matrix<'a>,
    /// B.
    pub b: Matrix<'a>,
    /// β; where it is 0, C is not read.
    pub beta: f64,
    /// C; not turned, nothing shared.
    pub c: Matrix<'a>,
    /// Added to every row (n).
    pub bias: Option<&'a Array>,
}

impl<'a> Product<'a> {
    /// `C ← A·B`, one matrix.
    pub fn new(
        size: [usize; 3],
        a: Matrix<'a>,
        b: Matrix<'a>,
        c: Matrix<'a>,
    ) -> Product<'a> {
        Product {
            batch: [1, 1],
            size,
            alpha: 1.,
            a,
            b,
            beta: 0.,
            c,
            bias: None,
        }
    }

    /// What [`TABLE`] says: depends on the sizes alone.
    pub fn plan(&self) -> Plan {
        let [m, k, n] = self.size;
        let fits = |c: &&Choice| m <= c.most[0] && n <= c.most[1];
        let mut plan = Plan {
            tile: SMALL,
            parts: 1,
        };
        for choice in TABLE.iter().filter(fits) {
            let groups = self.matrices() * choice.tile.groups(m, n);
            let wanted = choice.enough.div_ceil(groups.max(1));
            let parts = wanted.min(k / choice.piece).max(1);
            let tile = choice.tile;
            plan = Plan { tile, parts };
            if groups * parts >= choice.enough || choice.most != [usize::MAX; 2]
            {
                break;
            }
        }
        plan
    }

    /// Records the product.
    #[track_caller]
    pub fn run(&self, run: &Runner) {
        self.run_as(run, self.plan());
    }

    /// [`Product::run`] with a tile and a number of parts of one's own: to
    /// measure.
    #[track_caller]
    pub fn run_as(&self, run: &Runner, plan: Plan) {
        let [m, k, n] = self.size;
        let c = &self.c;
        assert!(!c.turned && c.share == 1, "gemm: C is turned or shared");
        assert!(c.stride >= n, "gemm: rows of C overlap");
        assert!(self.a.share > 0 && self.b.share > 0, "gemm: share of 0");
        let most = i32::MAX as usize; // kernels add to a size
        assert!(self.size.iter().all(|n| *n <= most), "gemm: size");
        if self.matrices() * m * n == 0 {
            return;
        }
        let depth = plan.tile.depth;
        let piece = k.div_ceil(plan.parts.max(1)).next_multiple_of(depth);
        let parts = k.div_ceil(piece.max(1));
        if parts <= 1 {
            return self.once(run, plan.tile, k.max(1), 0);
        }
        let entries = self.matrices() * m * n;
        let sums = run.take(parts * entries);
        Product {
            alpha: 1.,
            beta: 0.,
            c: Matrix {
                batch: [self.batch[1] * m * n, m * n],
                ..Matrix::new(&sums, n)
            },
            bias: None,
            ..*self
        }
        .once(run, plan.tile, piece, entries);
        let [p, q] = c.batch;
        let words = words![
            m,
            n,
            self.batch[1],
            entries,
            parts,
            self.alpha,
            self.beta,
            usize::from(self.bias.is_some()),
            c.offset,
            c.stride,
            p,
            q,
        ];
        // An array that is read already stands in where there is no bias.
        let arrays = [&sums, c.array, self.bias.unwrap_or(&sums)];
        let reach = [parts * entries, self.reach(c, [m, n]), self.reach_bias()];
        // SAFETY: an invocation reads `sums` at its number, below `entries`,
        // behind at most `parts - 1` times `entries`; its number gives p, q, i
        // and j below the sizes, which `reach` is made of. No size is 0: those
        // have returned.
        unsafe {
            let groups = Groups::for_each(entries);
            run.run_trusted(&PARTS, groups, words, &arrays, &reach);
        }
    }

    /// One call of the tiled kernel; the sums over one `piece` of the inner
    /// index go `c_part` numbers behind those over the one before.
    #[track_caller]
    fn once(&self, run: &Runner, tile: Tile, piece: usize, c_part: usize) {
        let Product { a, b, c, .. } = self;
        let [m, k, n] = self.size;
        let parts = k.div_ceil(piece).max(1);
        let groups = tile.groups(m, n) * self.matrices() * parts;
        let words = words![
            m,
            k,
            n,
            self.batch[1],
            self.alpha,
            self.beta,
            usize::from(self.bias.is_some()),
            piece,
            a.offset,
            a.stride,
            a.batch[0],
            a.batch[1],
            a.share,
            b.offset,
            b.stride,
            b.batch[0],
            b.batch[1],
            b.share,
            c.offset,
            c.stride,
            c.batch[0],
            c.batch[1],
            c_part,
            groups,
        ];
        let mut reach = [
            self.reach(a, [m, k]),
            self.reach(b, [k, n]),
            self.reach(c, [m, n]),
            self.reach_bias(),
        ];
        reach[2] = reach[2].saturating_add((parts - 1).saturating_mul(c_part));
        let variant = Variant {
            tile,
            turned: [a.turned, b.turned],
            by_four: [
                a.turned && reach[0] > 0 && by_four(a, m),
                !b.turned && reach[1] > 0 && by_four(b, n),
                by_four(c, n),
            ],
        };
        let kernel = Kernel {
            name: &variant.name(),
            source: Source::Made(&|| variant.text()),
            entry: "product",
            bindings: &[0, 1, 2, 3],
        };
        // A stands in where there is no bias.
        let bias = self.bias.unwrap_or(a.array);
        let arrays = [a.array, b.array, c.array, bias];
        // SAFETY: rows and columns are cut to the sizes before the loop, the
        // inner index in it, what is written is held against the sizes, and
        // `reach` is made of these. Fours are read only where all sizes, steps
        // and offsets are made of them. The sizes of `Tile` are constants that
        // fit one another, which is tested. No size but the inner one is 0,
        // nor `piece`, `share` and the steps of the loop; sizes are below 2³¹.
        unsafe {
            let groups = Groups::Row(groups);
            run.run_trusted(&kernel, groups, words, &arrays, &reach);
        }
    }

    /// Matrices of the batch.
    fn matrices(&self) -> usize {
        self.batch.iter().product()
    }

    /// One more than the largest index into the array of `x`, a matrix of
    /// `size` as it is read, for any matrix of the batch.
    fn reach(&self, x: &Matrix, size: [usize; 2]) -> usize {
        let [rows, columns] = match x.turned {
            true => [size[1], size[0]],
            false => size,
        };
        let [p, q] = self.batch;
        if p * q * rows * columns == 0 {
            return 0;
        }
        // Beyond what can be counted is beyond any array.
        let far = |n: usize, step: usize| (n - 1).saturating_mul(step);
        x.offset
            .saturating_add(far(p, x.batch[0]))
            .saturating_add(far(q.div_ceil(x.share), x.batch[1]))
            .saturating_add(far(rows, x.stride))
            .saturating_add(columns)
    }

    fn reach_bias(&self) -> usize {
        self.bias.map_or(0, |_| self.size[2])
    }
}

/// Whether rows of `along` numbers, wherever they begin, are made of fours that
/// begin at a multiple of 4.
fn by_four(x: &Matrix, along: usize) -> bool {
    [along, x.offset, x.stride, x.batch[0], x.batch[1]]
        .iter()
        .all(|n| n.is_multiple_of(4))
}

const PARTS: Kernel = Kernel {
    name: "gemm, add parts",
    source: Source::Text(include_str!("gemm/parts.wgsl")),
    entry: "add_parts",
    bindings: &[0, 1, 2],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::{Options, for_test};
    use crate::engine::random::{rng, uniform};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const TILES: [Tile; 5] = [LARGE, MIDDLE, SMALL, WIDE, TALL];

    fn start(unchecked: bool) -> Option<Runner> {
        for_test(Options {
            unchecked,
            poison: true,
            ..Options::default()
        })
    }

    /// A product and how its matrices lie.
    #[derive(Clone, Copy, Debug)]
    struct Case {
        size: [usize; 3],
        turned: [bool; 2],
        alpha: f64,
        beta: f64,
        biased: bool,
        /// Where matrices begin, and what lies between two rows of one.
        gap: usize,
        batch: [usize; 2],
        /// Matrices of A, and of B, in a row that are the same.
        share: [usize; 2],
        plan: Option<Plan>,
    }

    const CASE: Case = Case {
        size: [1, 1, 1],
        turned: [false, false],
        alpha: 1.,
        beta: 0.,
        biased: false,
        gap: 0,
        batch: [1, 1],
        share: [1, 1],
        plan: None,
    };

    /// An array of the host and how a matrix lies in it.
    struct Lies {
        data: Vec<f32>,
        offset: usize,
        stride: usize,
        batch: [usize; 2],
        turned: bool,
        share: usize,
    }

    impl Lies {
        /// Random entries, and `gap` between them.
        fn new(
            case: &Case,
            [rows, columns]: [usize; 2],
            turned: bool,
            share: usize,
            gap: f32,
            seed: u64,
        ) -> Lies {
            let [p, q] = case.batch;
            let stride = if turned { rows } else { columns } + case.gap;
            let one = stride * if turned { columns } else { rows } + case.gap;
            let batch = [one * q.div_ceil(share), one];
            let len = case.gap + batch[0] * p;
            let mut lies = Lies {
                data: vec![gap; len],
                offset: case.gap,
                stride,
                batch,
                turned,
                share,
            };
            let random = uniform(&mut rng(seed), len, -1.0, 1.0);
            for p in 0..p {
                for q in 0..q {
                    for i in 0..rows {
                        for j in 0..columns {
                            let at = lies.at([p, q], i, j);
                            lies.data[at] = random[at] as f32;
                        }
                    }
                }
            }
            lies
        }

        /// As the doc of [`Matrix`] says.
        fn at(&self, [p, q]: [usize; 2], i: usize, j: usize) -> usize {
            let (i, j) = if self.turned { (j, i) } else { (i, j) };
            let batch = p * self.batch[0] + q / self.share * self.batch[1];
            self.offset + batch + i * self.stride + j
        }

        fn get(&self, batch: [usize; 2], i: usize, j: usize) -> f64 {
            f64::from(self.data[self.at(batch, i, j)])
        }

        fn upload(&self, run: &Runner) -> Array {
            let array = run.take(self.data.len());
            run.upload(&array, bytemuck::cast_slice(&self.data));
            array
        }

        fn matrix<'a>(&self, array: &'a Array) -> Matrix<'a> {
            Matrix {
                array,
                offset: self.offset,
                stride: self.stride,
                turned: self.turned,
                batch: self.batch,
                share: self.share,
            }
        }
    }

    /// A, B, C and bias; C is NaN where it must not be read.
    fn inputs(case: &Case) -> (Lies, Lies, Lies, Vec<f32>) {
        let [m, k, n] = case.size;
        let [ta, tb] = case.turned;
        let a = Lies::new(case, [m, k], ta, case.share[0], f32::NAN, 1);
        let b = Lies::new(case, [k, n], tb, case.share[1], f32::NAN, 2);
        let mut c = Lies::new(case, [m, n], false, 1, 7.5, 3);
        if case.beta == 0. {
            c.data.iter_mut().filter(|c| **c != 7.5).for_each(|c| {
                *c = f32::NAN;
            });
        }
        let bias = uniform(&mut rng(4), n, -1.0, 1.0);
        (a, b, c, bias.mapv(|x| x as f32).to_vec())
    }

    /// All of C's array after the product.
    fn product(run: &Runner, case: &Case) -> Vec<f32> {
        let (a, b, c, bias) = inputs(case);
        let [on_a, on_b, on_c] = [&a, &b, &c].map(|x| x.upload(run));
        let on_bias = run.take(bias.len());
        run.upload(&on_bias, bytemuck::cast_slice(&bias));
        let product = Product {
            batch: case.batch,
            size: case.size,
            alpha: case.alpha,
            a: a.matrix(&on_a),
            b: b.matrix(&on_b),
            beta: case.beta,
            c: c.matrix(&on_c),
            bias: case.biased.then_some(&on_bias),
        };
        match case.plan {
            None => product.run(run),
            Some(plan) => product.run_as(run, plan),
        }
        let mut got = Vec::new();
        assert!(run.read(&on_c, |x| got = x.to_vec()));
        assert_eq!(run.fault(), None, "{case:?}");
        got
    }

    /// Against the formula in `f64`; what lies between entries is untouched.
    fn check(run: &Runner, case: Case) {
        let got = product(run, &case);
        let (a, b, c, bias) = inputs(&case);
        let [m, k, _] = case.size;
        let mut entries = vec![false; got.len()];
        for p in 0..case.batch[0] {
            for q in 0..case.batch[1] {
                for i in 0..m {
                    for (j, bias) in bias.iter().enumerate() {
                        let (mut sum, mut size) = (0., 0.);
                        for l in 0..k {
                            let x = a.get([p, q], i, l) * b.get([p, q], l, j);
                            sum += x;
                            size += x.abs();
                        }
                        let mut want = case.alpha * sum;
                        if case.beta != 0. {
                            want += case.beta * c.get([p, q], i, j);
                        }
                        if case.biased {
                            want += f64::from(*bias);
                        }
                        let at = c.at([p, q], i, j);
                        entries[at] = true;
                        let off = (f64::from(got[at]) - want).abs();
                        let most = 1e-6 * ((k as f64).sqrt() + 1.);
                        assert!(
                            off <= most * (size + 3.),
                            "{off} at {:?} of {case:?}",
                            [p, q, i, j]
                        );
                    }
                }
            }
        }
        for (at, is_entry) in entries.into_iter().enumerate() {
            assert!(is_entry || got[at] == 7.5, "{at} is written, {case:?}");
        }
    }

    const LAYOUTS: [[bool; 2]; 4] =
        [[false, false], [false, true], [true, false], [true, true]];

    /// Each tile with each layout, by four and one by one, a little more than
    /// a tile and less than one; the epilogues take turns.
    fn cases() -> Vec<Case> {
        let epilogues = [(1., 0.), (1., 1.), (-0.5, 2.)];
        let mut cases = Vec::new();
        for tile in TILES {
            let [rows, columns] = tile.size;
            for (at, turned) in LAYOUTS.into_iter().enumerate() {
                let turn = cases.len();
                let (alpha, beta) = epilogues[turn % 3];
                let case = Case {
                    turned,
                    alpha,
                    beta,
                    biased: turn % 2 == 0,
                    gap: 4,
                    plan: Some(Plan { tile, parts: 1 }),
                    ..CASE
                };
                let fours = [rows + 4, 36, columns + 4];
                let ones = [rows + 1, 33, columns - 1];
                // Some drivers take long to compile one.
                if tile == SMALL || at % 2 == 0 {
                    cases.push(Case {
                        size: fours,
                        ..case
                    });
                }
                if tile == SMALL || at % 2 == 1 {
                    cases.push(Case {
                        size: ones,
                        gap: 3,
                        ..case
                    });
                }
            }
        }
        cases
    }

    #[test]
    fn every_tile_and_layout_agrees_with_the_formula() {
        let Some(run) = start(false) else { return };
        for case in cases() {
            check(&run, case);
        }
    }

    #[test]
    fn awkward_sizes_batches_and_shares() {
        let Some(run) = start(false) else { return };
        const SIZES: [usize; 7] = [1, 15, 16, 17, 127, 128, 129];
        let mut turn = 0;
        for m in SIZES {
            for n in [1, 17, 128] {
                turn += 1;
                let k = SIZES[turn % 7];
                let case = Case {
                    size: [m, k, n],
                    turned: LAYOUTS[turn % 3],
                    beta: (turn % 2) as f64,
                    biased: turn % 3 == 0,
                    ..CASE
                };
                check(&run, case);
            }
        }
        for share in [[1, 1], [2, 3], [6, 1], [4, 6]] {
            check(
                &run,
                Case {
                    size: [17, 15, 20],
                    batch: [2, 6],
                    share,
                    gap: 4,
                    turned: [share[0] == 2, share[1] == 3],
                    ..CASE
                },
            );
        }
        // More than fit one dimension of workgroups.
        let many = Case {
            size: [1, 2, 1],
            batch: [300, 300],
            ..CASE
        };
        check(&run, many);
    }

    #[test]
    fn a_long_inner_index_is_cut_into_parts() {
        let Some(run) = start(false) else { return };
        let case = Case {
            size: [20, 1030, 17],
            turned: [true, false],
            alpha: 0.5,
            beta: 1.,
            biased: true,
            ..CASE
        };
        for parts in [2, 7, 1000] {
            let plan = Some(Plan { tile: SMALL, parts });
            check(&run, Case { plan, ..case });
        }
        check(&run, case);
        let many = Case {
            size: [9, 300, 5],
            batch: [2, 3],
            gap: 1,
            beta: 0.,
            ..case
        };
        check(&run, many);
    }

    #[test]
    fn the_same_bits_each_time_and_without_checks() {
        let (Some(run), Some(fast)) = (start(false), start(true)) else {
            return;
        };
        let mut cases = cases();
        cases.retain(|c| {
            let tile = c.plan.expect("one").tile;
            [SMALL, LARGE].contains(&tile) && c.turned[0] == c.turned[1]
        });
        cases.push(Case {
            size: [20, 1030, 17],
            biased: true,
            ..CASE
        });
        let bits = |run: &Runner, case: &Case| -> Vec<u32> {
            product(run, case).iter().map(|x| x.to_bits()).collect()
        };
        for case in &cases {
            let first = bits(&run, case);
            assert_eq!(first, bits(&run, case), "again: {case:?}");
            assert_eq!(first, bits(&fast, case), "unchecked: {case:?}");
        }
    }

    #[test]
    fn nothing_to_add_up_and_nothing_to_write() {
        let Some(run) = start(false) else { return };
        for (alpha, beta, biased) in [(1., 0., false), (2., 1., true)] {
            let case = Case {
                alpha,
                beta,
                biased,
                ..CASE
            };
            for size in [[5, 0, 7], [0, 5, 8], [5, 8, 0], [0, 0, 0]] {
                check(&run, Case { size, ..case });
            }
            let batch = [0, 3];
            check(&run, Case { batch, ..case });
        }
    }

    #[test]
    fn reach_is_the_largest_index_and_one() {
        let Some(run) = start(false) else { return };
        let array = run.take(1);
        for (turn, batch) in
            [[1, 1], [2, 1], [1, 5], [3, 4]].into_iter().enumerate()
        {
            for share in 1..=5 {
                let case = Case {
                    batch,
                    gap: turn,
                    ..CASE
                };
                let turned = share % 2 == 0;
                let x = Lies::new(&case, [5, 3], turned, share, 0., 1);
                let mut most = 0;
                for p in 0..batch[0] {
                    for q in 0..batch[1] {
                        for i in 0..5 {
                            for j in 0..3 {
                                most = most.max(x.at([p, q], i, j));
                            }
                        }
                    }
                }
                let some = Matrix::new(&array, 1);
                let product = Product {
                    batch,
                    ..Product::new([1, 1, 1], some, some, some)
                };
                let reach = product.reach(&x.matrix(&array), [5, 3]);
                assert_eq!(reach, most + 1, "{batch:?} {share}");
                let far = Matrix {
                    stride: usize::MAX / 2,
                    ..x.matrix(&array)
                };
                assert_eq!(product.reach(&far, [5, 5]), usize::MAX);
            }
        }
    }

    #[test]
    fn an_array_that_is_too_short_is_refused() {
        let Some(run) = start(true) else { return };
        let lengths = [17 * 9, 9 * 20, 17 * 20, 20];
        for short in 0..=4 {
            let take =
                |i: usize| run.take(lengths[i] - usize::from(i == short));
            let [a, b, c, bias] = [0, 1, 2, 3].map(take);
            let [a, b, c] =
                [(&a, 9), (&b, 20), (&c, 20)].map(|(x, n)| Matrix::new(x, n));
            let product = Product {
                bias: Some(&bias),
                ..Product::new([17, 9, 20], a, b, c)
            };
            let said = catch_unwind(AssertUnwindSafe(|| product.run(&run)));
            match said {
                Ok(()) => assert_eq!(short, 4, "array {short}"),
                Err(e) => {
                    let said = e.downcast::<String>().expect("a message");
                    let reach = format!("{} are reached", lengths[short]);
                    assert!(said.contains(&reach), "{said}");
                }
            }
        }
    }

    #[test]
    fn the_table_gives_each_shape_its_tile() {
        let Some(run) = start(false) else { return };
        let array = run.take(1);
        let plan = |m, k, n, batch| {
            let x = Matrix::new(&array, 1);
            Product {
                batch,
                ..Product::new([m, k, n], x, x, x)
            }
            .plan()
        };
        let of = |tile, parts| Plan { tile, parts };
        assert_eq!(plan(2048, 2048, 2048, [1, 1]), of(LARGE, 1));
        assert_eq!(plan(1024, 1024, 1024, [1, 1]), of(MIDDLE, 1));
        assert_eq!(plan(384, 16_384, 1536, [1, 1]), of(LARGE, 8));
        assert_eq!(plan(128, 768, 384, [1, 1]), of(SMALL, 6));
        assert_eq!(plan(256, 64, 256, [8, 8]), of(LARGE, 1));
        assert_eq!(plan(64, 64, 64, [12, 4]), of(SMALL, 1));
        assert_eq!(plan(1, 768, 3072, [1, 1]), of(WIDE, 6));
        assert_eq!(plan(4096, 128, 10, [1, 1]), of(TALL, 1));
        assert_eq!(plan(5, 0, 5, [1, 1]), of(WIDE, 1));
    }

    #[test]
    fn tiles_stay_within_the_least_limits() {
        for tile in TILES {
            let Tile { size, depth, each } = tile;
            let invocations = size[0] / each[0] * (size[1] / each[1]);
            let vectors = depth * (size[0] / 4 + 1 + size[1] / 4 + 1);
            assert!(vectors * 16 <= 16 << 10, "{tile:?}");
            assert!(invocations <= 256 && invocations % 32 == 0, "{tile:?}");
            for size in size {
                // Every vector of a step is copied by one invocation.
                assert_eq!(size / 4 * depth % invocations, 0, "{tile:?}");
                assert_eq!(invocations % (size / 4), 0, "{tile:?}");
            }
            assert_eq!(invocations % depth, 0, "{tile:?}");
        }
    }
}
