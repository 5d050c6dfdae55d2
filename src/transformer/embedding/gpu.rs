//! The head and its loss on the GPU.
//!
//! book: transformer/embedding
//!
//! x (N,D), w (V,D), labels (N); sizes are `[N, D, V]`.
//!
//! What is not plain: loss and gradient in one, and some rows of logits at a
//! time, which become their gradient in place, as in [`super::fused`]. Here it
//! is not for a cache but for memory: the more rows at a time, the more work
//! has each product, and the less often it passes over `dw`.

use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{Array, Runner};
use crate::network::softmax_cross_entropy::gpu::{self as softmax, Become};

/// What an example should have said.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// One for each row (N), below V or IGNORE.
    pub labels: &'a Array,
    /// How many of them are not IGNORE.
    pub count: usize,
    /// ε, as in [`super::unembed_ce`].
    pub smoothing: f64,
}

/// How many bytes of logits there are at one time, at most: 64 MiB.
const LOGITS: u64 = 64 << 20;

/// The rows of a chunk: whole tiles of a product, if there is room.
fn rows_at_once(run: &Runner, rows: usize, classes: usize) -> usize {
    let room = LOGITS.min(run.capabilities().largest) as usize / 4;
    let most = room / classes;
    let most = if most >= 128 { most - most % 128 } else { most };
    most.clamp(1, rows)
}

/// `loss` (1) is the mean cross-entropy of the logits `x·wᵀ`.
pub fn unembed_ce(
    run: &Runner,
    size: [usize; 3],
    x: &Array,
    w: &Array,
    labels: Labels,
    loss: &Array,
) {
    let becomes = Become::Logits;
    by_chunk(run, size, x, w, labels, becomes, loss, |_, _, _| ());
}

/// [`unembed_ce`] and its gradient: writes `dx` (N,D), and adds that of the
/// table to `dw` (V,D) if it is given.
pub fn unembed_ce_grad(
    run: &Runner,
    size: [usize; 3],
    x: &Array,
    w: &Array,
    labels: Labels,
    dloss: f64,
    loss: &Array,
    dx: &Array,
    dw: Option<&Array>,
) {
    let [_, d, v] = size;
    let scale = dloss / labels.count as f64;
    let becomes = Become::Gradient { scale };
    let (x_of, w_of) = (Matrix::new(x, d), Matrix::new(w, d));
    let dx = Matrix::new(dx, d);
    let then = |first: usize, rows: usize, dlogits: &Array| {
        let dlogits = Matrix::new(dlogits, v);
        let dx = dx.from_row(first);
        Product::new([rows, v, d], dlogits, w_of, dx).run(run);
        if let Some(dw) = dw {
            let (x, dw) = (x_of.from_row(first), Matrix::new(dw, d));
            Product {
                beta: 1.,
                ..Product::new([v, rows, d], dlogits.t(), x, dw)
            }
            .run(run);
        }
    };
    by_chunk(run, size, x, w, labels, becomes, loss, then);
}

/// The loss, and `then` with the first row of each chunk, how many it has, and
/// what has become of its logits.
fn by_chunk(
    run: &Runner,
    [n, d, v]: [usize; 3],
    x: &Array,
    w: &Array,
    Labels {
        labels,
        count,
        smoothing,
    }: Labels,
    becomes: Become,
    loss: &Array,
    then: impl Fn(usize, usize, &Array),
) {
    let (x, w) = (Matrix::new(x, d), Matrix::new(w, d));
    let most = rows_at_once(run, n, v);
    let (logits, losses) = (run.take(most * v), run.take(n));
    for first in (0..n).step_by(most) {
        let rows = most.min(n - first);
        let to = Matrix::new(&logits, v);
        Product::new([rows, d, v], x.from_row(first), w.t(), to).run(run);
        let of = softmax::Rows {
            size: [rows, v],
            labels,
            first,
            smoothing,
        };
        softmax::losses(run, of, &logits, becomes, &losses);
        then(first, rows, &logits);
    }
    softmax::mean(run, &losses, count, loss);
}
