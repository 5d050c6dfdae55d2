//! Embedding, head and rotary positions on the GPU.
//!
//! book: transformer/embedding
//!
//! x (N,D), w (V,D), labels (N).
//!
//! From plain to fast. *Gather:* four numbers for each invocation, whatever
//! the width.
//!
//! *Scatter-add:* tokens repeat, floats have no atomic sum whose order is
//! always the same, and to look through all N tokens for each of V rows is
//! V·N. The tokens are known on the host before the GPU needs them, so the
//! host sorts their places by token, which costs little: see [`Uses`]. Then an
//! invocation adds up one column of the rows of a token. A token that comes
//! often (a space in every sixth place) would be one long sum beside many
//! short ones: sums are cut into pieces of at most 32 rows, and where there is
//! a token of more than one piece, the pieces are added up in a second phase.
//!
//! *Rotation:* in place; the cosines and sines are those of the CPU, computed
//! on the host in `f64`, and kept on the GPU: `t·base^(-2c/d)` in `f32` loses
//! digits as `t` grows, and WGSL's cos and sin are made for small angles.
//!
//! *Head and loss:* loss and gradient in one, and some rows of logits at a
//! time, which become their gradient in place, as in [`super::fused`]. Here it
//! is not for a cache but for memory: the more rows at a time, the more work
//! has each product, and the less often it passes over `dw`.

use super::fused::Table;
use super::{
    assert_columns, assert_heads, assert_rows, assert_token, assert_widths,
};
use crate::device::Heads;
use crate::engine::gpu::gemm::{Matrix, Product};
use crate::engine::gpu::{
    Array, Groups, Ids, Kernel, Runner, Source, Tensor, words,
};
use crate::network::softmax_cross_entropy::gpu::{self as softmax, Become};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// `y_n = w[ids_n]` (N,D), from the table `w` (V,D).
///
/// Panics if a token is not below V.
#[track_caller]
pub fn forward(run: &Runner, w: &Tensor, ids: &Ids) -> Tensor {
    let [v, d] = w.extents();
    assert_tokens(ids, v);
    let y = run.tensor(&[ids.len(), d]);
    let groups = Groups::for_each(y.len().div_ceil(4));
    let kernel = kernel("embedding", "gather", &[0, 1, 2]);
    run.run(&kernel, groups, words![y.len(), d], &[w, ids, &y]);
    y
}

/// That each token has its row in the table: a kernel cannot panic.
#[track_caller]
fn assert_tokens(ids: &Ids, rows: usize) {
    if ids.counted() < ids.len() {
        assert_token(Ids::NONE as usize, rows);
    }
    if let Some(largest) = ids.largest() {
        assert_token(largest, rows);
    }
}

/// Where each token of a list is used, as lists one behind another:
///
/// - the N places, sorted by token;
/// - the piece's first place among these, for each piece, and N;
/// - the token's first piece, for each different token, and their number;
/// - the different tokens.
#[derive(Debug)]
pub struct Uses {
    lists: Array,
    places: usize,
    pieces: usize,
    tokens: usize,
}

/// The most places of a piece.
const PIECE: usize = 32;

impl Uses {
    /// Sorts, and uploads.
    fn new(run: &Runner, ids: &[u32]) -> Uses {
        let mut sorted: Vec<(u32, u32)> =
            ids.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let mut lists: Vec<u32> = sorted.iter().map(|(_, n)| *n).collect();
        let (mut first_pieces, mut tokens) = (vec![], vec![]);
        let (mut pieces, mut first) = (0, 0);
        for same in sorted.chunk_by(|a, b| a.0 == b.0) {
            first_pieces.push(pieces);
            tokens.push(same[0].0);
            for piece in same.chunks(PIECE) {
                lists.push(first);
                first += piece.len() as u32;
                pieces += 1;
            }
        }
        lists.push(first);
        first_pieces.push(pieces);
        lists.extend(first_pieces);
        lists.extend(&tokens);
        Uses {
            lists: run.uploaded(&lists),
            places: ids.len(),
            pieces: pieces as usize,
            tokens: tokens.len(),
        }
    }
}

/// Adds `dy_n` (N,D) to row `ids_n` of `dw` (V,D), for every `n`. The `uses`
/// of `ids` are made by the first call, and kept by the caller.
///
/// Panics if the shapes do not fit or a token is not below V.
#[track_caller]
pub fn vjp(
    run: &Runner,
    ids: &Ids,
    uses: &OnceLock<Uses>,
    dy: &Tensor,
    dw: &mut Tensor,
) {
    let ([v, d], [_, _]) = (dw.extents(), dy.extents());
    assert_tokens(ids, v);
    assert_rows("embedding", ids.len(), dy.shape());
    assert_columns(dw.shape(), dy.shape());
    let Uses {
        lists,
        places,
        pieces,
        tokens,
    } = uses.get_or_init(|| Uses::new(run, ids.on_host()));
    let firsts = places + pieces + 1;
    let onto = firsts + tokens + 1;
    let add = |n: usize, words: &[_], x: &Array, sums: &Array| {
        let kernel = kernel("embedding vjp", "add_rows", &[3, 4, 5]);
        run.run(&kernel, Groups::for_each(n), words, &[x, lists, sums]);
    };
    if pieces == tokens {
        let words = words![tokens * d, d, 0usize, *places, onto];
        return add(tokens * d, words, dy, dw);
    }
    let parts = run.take(pieces * d);
    let words = words![pieces * d, d, 0usize, *places, NONE];
    add(pieces * d, words, dy, &parts);
    let words = words![tokens * d, d, NONE, firsts, onto];
    add(tokens * d, words, &parts, dw);
}

const NONE: u32 = u32::MAX;

/// `y = x·wᵀ`.
///
/// Panics if `x` and `w` differ in D.
#[track_caller]
pub fn unembed(run: &Runner, x: &Tensor, w: &Tensor) -> Tensor {
    let ([n, d], [v, _]) = (x.extents(), w.extents());
    assert_widths(x.shape(), w.shape());
    let y = run.tensor(&[n, v]);
    let [x, w, to] = [x, w, &y].map(Matrix::of);
    Product::new([n, d, v], x, w.t(), to).run(run);
    y
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

/// The mean cross-entropy (1) of the logits `x·wᵀ`.
///
/// Panics if the shapes do not fit, a label is out of range, no row has a
/// target or `smoothing` is not in `[0,1)`.
#[track_caller]
pub fn unembed_ce(
    run: &Runner,
    x: &Tensor,
    w: &Tensor,
    labels: &Ids,
    smoothing: f64,
) -> Tensor {
    let head = Head::new("unembed_ce", run, x, w, labels, smoothing);
    head.by_chunk(Become::Logits, |_, _, _| ())
}

/// [`unembed_ce`] and its gradient: returns the loss and `dx` (N,D), and adds
/// the gradient of the table to `dw` (V,D) if it is given.
///
/// Panics as [`unembed_ce`] does.
#[track_caller]
pub fn unembed_ce_grad(
    run: &Runner,
    x: &Tensor,
    w: &Tensor,
    labels: &Ids,
    smoothing: f64,
    dloss: f64,
    dw: Option<&mut Tensor>,
) -> (Tensor, Tensor) {
    let head = Head::new("unembed_ce_grad", run, x, w, labels, smoothing);
    if let Some(dw) = &dw {
        let (a, b) = (w.shape(), dw.shape());
        assert_eq!(a, b, "unembed: w {a:?} and dw {b:?} differ in shape");
    }
    let ([_, d, v], dx) = (head.size, run.tensor(x.shape()));
    let (to_x, to_w) = (Matrix::of(&dx), dw.as_deref().map(Matrix::of));
    let scale = dloss / head.count as f64;
    let then = |first: usize, rows: usize, dlogits: &Array| {
        let dlogits = Matrix::new(dlogits, v);
        let to_x = to_x.from_row(first);
        Product::new([rows, v, d], dlogits, head.w, to_x).run(run);
        if let Some(to_w) = to_w {
            let x = head.x.from_row(first);
            Product {
                beta: 1.,
                ..Product::new([v, rows, d], dlogits.t(), x, to_w)
            }
            .run(run);
        }
    };
    (head.by_chunk(Become::Gradient { scale }, then), dx)
}

/// The last layer and its loss.
struct Head<'a> {
    run: &'a Runner,
    /// `[N, D, V]`.
    size: [usize; 3],
    x: Matrix<'a>,
    w: Matrix<'a>,
    labels: &'a Ids,
    /// How many labels are not IGNORE.
    count: usize,
    smoothing: f64,
}

impl<'a> Head<'a> {
    #[track_caller]
    fn new(
        op: &str,
        run: &'a Runner,
        x: &'a Tensor,
        w: &'a Tensor,
        labels: &'a Ids,
        smoothing: f64,
    ) -> Head<'a> {
        let ([n, d], [v, _]) = (x.extents(), w.extents());
        assert_widths(x.shape(), w.shape());
        Head {
            run,
            size: [n, d, v],
            x: Matrix::of(x),
            w: Matrix::of(w),
            labels,
            count: softmax::counted(op, [n, v], labels, smoothing),
            smoothing,
        }
    }

    /// The loss, and `then` with the first row of each chunk, how many it has,
    /// and what has become of its logits.
    fn by_chunk(
        &self,
        becomes: Become,
        then: impl Fn(usize, usize, &Array),
    ) -> Tensor {
        let &Head {
            run,
            size,
            x,
            w,
            labels,
            count,
            smoothing,
        } = self;
        let [n, d, v] = size;
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
        let loss = run.tensor(&[1]);
        softmax::mean(run, &losses, count, &loss);
        loss
    }
}

/// Tables of cosines and sines on a GPU: one for each width and base.
#[derive(Debug, Default)]
pub struct Turns {
    kept: Mutex<Vec<(usize, f64, Arc<Array>)>>,
}

impl Turns {
    /// One that reaches to `length`, kept or uploaded.
    fn of(
        &self,
        run: &Runner,
        length: usize,
        half: usize,
        base: f64,
    ) -> Arc<Array> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |t: &&(usize, f64, Arc<Array>)| t.0 == half && t.1 == base;
        if let Some((.., turns)) = kept.iter().find(same)
            && turns.len() >= 2 * half * length
        {
            return Arc::clone(turns);
        }
        let table = Table::of(length, half, base);
        let turns = run.uploaded(bytemuck::cast_slice(&table.turns));
        let turns = Arc::new(turns);
        kept.retain(|t| !same(&t));
        kept.push((half, base, Arc::clone(&turns)));
        turns
    }
}

/// [`super::rope`], over `qkv`.
///
/// Panics if the shape does not fit `heads`.
#[track_caller]
pub fn rope(
    run: &Runner,
    turns: &Turns,
    qkv: Tensor,
    heads: Heads,
    base: f64,
) -> Tensor {
    turn(run, turns, qkv, heads, base, 1.)
}

/// [`super::rope_vjp`], over `dqkv`.
///
/// Panics if the shape does not fit `heads`.
#[track_caller]
pub fn rope_vjp(
    run: &Runner,
    turns: &Turns,
    dqkv: Tensor,
    heads: Heads,
    base: f64,
) -> Tensor {
    turn(run, turns, dqkv, heads, base, -1.)
}

#[track_caller]
fn turn(
    run: &Runner,
    turns: &Turns,
    x: Tensor,
    heads: Heads,
    base: f64,
    sign: f64,
) -> Tensor {
    let [rows, columns] = x.extents();
    let (length, width) = assert_heads(x.shape(), heads);
    let half = width / 2;
    let pairs = (heads.queries + heads.keys) * half;
    if rows * pairs == 0 {
        return x;
    }
    let turns = turns.of(run, length, half, base);
    let breadth = pairs.div_ceil(256);
    let words = words![rows, breadth, columns, pairs, half, length, sign];
    let kernel = kernel("rope", "turn", &[6, 7]);
    run.run(&kernel, Groups::Row(rows * breadth), words, &[&x, &turns]);
    x
}

fn kernel<'k>(
    name: &'k str,
    entry: &'k str,
    bindings: &'k [u32],
) -> Kernel<'k> {
    Kernel {
        name,
        source: Source::Text(include_str!("kernel.wgsl")),
        entry,
        bindings,
    }
}
