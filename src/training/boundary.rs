//! What a network with two inputs thinks of the plane.

use crate::device::Device;
use ndarray::{Array2, Array3, ArrayView1, Ix2};

/// Probabilities on a square grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The coordinates of the columns and of the rows: the middles of `n`
    /// equal cells.
    pub axis: Vec<f64>,
    /// `p[[i, j, v]]`: probability of class v at `(axis[j], axis[i])`.
    pub p: Array3<f64>,
}

/// The probabilities of every class in the middle of each of `n` by `n` cells
/// of the square from `-reach` to `reach` in both inputs, by the model whose
/// `logits` (B,V) of points (B,2) are given.
#[track_caller]
pub fn decision_grid<D: Device>(
    dev: &D,
    logits: impl Fn(D::Tensor) -> D::Tensor,
    reach: f64,
    n: usize,
) -> Grid {
    let cell = 2. * reach / n as f64;
    let middle = |i| (i as f64 + 0.5) * cell - reach;
    let axis: Vec<f64> = (0..n).map(middle).collect();
    let at = |(k, input): (usize, usize)| axis[[k % n, k / n][input]];
    let x = Array2::from_shape_fn((n * n, 2), at);
    let logits = logits(dev.upload(x.view().into_dyn()));
    let logits = dev.read(&logits).into_dimensionality::<Ix2>();
    let logits = logits.expect("logits have rank 2");
    let p = crate::network::softmax_cross_entropy::forward(logits.view());
    let classes = p.ncols();
    let p = p.into_shape_with_order((n, n, classes)).expect("n·n rows");
    Grid { axis, p }
}

impl Grid {
    /// The most probable class at every point (n,n).
    pub fn classes(&self) -> Array2<usize> {
        let largest = |p: ArrayView1<f64>| {
            (0..p.len())
                .fold(0, |best, v| if p[v] > p[best] { v } else { best })
        };
        self.p.map_axis(ndarray::Axis(2), largest)
    }
}
