//! The matrix product on the GPU: batches, turned factors, epilogues.

use super::{Array, Groups, Kernel, Runner, Source, words};

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

    /// Records the product.
    #[track_caller]
    pub fn run(&self, run: &Runner) {
        let [m, k, n] = self.size;
        let matrix = |x: &Matrix| {
            let [p, q] = x.batch;
            [x.offset, x.stride, p, q, x.share, usize::from(x.turned)]
        };
        let [a, b, c] = [&self.a, &self.b, &self.c].map(matrix);
        let words = words![
            m,
            k,
            n,
            self.batch[1],
            self.alpha,
            self.beta,
            a[0],
            a[1],
            a[2],
            a[3],
            a[4],
            a[5],
            b[0],
            b[1],
            b[2],
            b[3],
            b[4],
            b[5],
            c[0],
            c[1],
            c[2],
            c[3],
        ];
        let groups =
            [n.div_ceil(16), m.div_ceil(16), self.batch.iter().product()];
        let arrays = [self.a.array, self.b.array, self.c.array];
        match self.bias {
            None => run.run(&PLAIN, Groups::Box(groups), words, &arrays),
            Some(bias) => run.run(
                &BIAS,
                Groups::Box(groups),
                words,
                &[arrays[0], arrays[1], arrays[2], bias],
            ),
        }
    }
}

const TEXT: Source = Source::Text(include_str!("gemm.wgsl"));
const PLAIN: Kernel = Kernel {
    name: "gemm",
    source: TEXT,
    entry: "plain",
    bindings: &[0, 1, 2],
};
const BIAS: Kernel = Kernel {
    name: "gemm, bias",
    source: TEXT,
    entry: "with_bias",
    bindings: &[0, 1, 2, 3],
};
