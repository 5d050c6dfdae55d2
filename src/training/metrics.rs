//! How good a model is on a data set.

use super::data::Dataset;
use crate::device::Device;
use ndarray::{Array2, Axis, s};

/// What a model makes of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of examples whose most probable class is the label.
    pub accuracy: f64,
    /// The most probable class of every example; of equal ones the first.
    pub predictions: Vec<usize>,
    /// Probabilities (N,V).
    pub probabilities: Array2<f64>,
    /// Counts: row = label, column = prediction (V,V).
    pub confusion: Array2<usize>,
}

/// Examples that go through the model at once.
const CHUNK: usize = 256;
/// Results that wait on the device: it goes on while the next are recorded.
const UNREAD: usize = 16;

/// Runs the model whose `logits` (B,V) of inputs (B,I) are given over `data`.
/// No label smoothing.
///
/// Panics if `data` is empty or has other columns than the model has inputs.
#[track_caller]
pub fn evaluate<D: Device>(
    dev: &D,
    logits: impl Fn(D::Tensor) -> D::Tensor,
    data: &Dataset,
) -> Evaluation {
    let (n, classes) = (data.len(), data.classes);
    assert!(n > 0, "evaluate: no data");
    let mut probabilities = Array2::zeros((n, classes));
    let (mut sum, mut unread) = (0., Vec::new());
    for start in (0..n).step_by(CHUNK) {
        let rows = start..n.min(start + CHUNK);
        let x = dev.upload(data.x.slice(s![rows.clone(), ..]).into_dyn());
        let labels = dev.upload_ids(&data.labels[rows.clone()]);
        let (loss, p) = dev.softmax_ce(logits(x), &labels, 0.);
        dev.prefetch(&loss);
        dev.prefetch(&p);
        unread.push((rows, loss, p));
        if unread.len() == UNREAD || start + CHUNK >= n {
            for (rows, loss, p) in unread.drain(..) {
                sum += dev.read(&loss)[0] * rows.len() as f64;
                probabilities.slice_mut(s![rows, ..]).assign(&dev.read(&p));
            }
        }
    }
    let first_largest = |row: ndarray::ArrayView1<f64>| {
        (0..classes)
            .fold(0, |best, v| if row[v] > row[best] { v } else { best })
    };
    let predictions: Vec<usize> = probabilities
        .axis_iter(Axis(0))
        .map(first_largest)
        .collect();
    let mut confusion = Array2::zeros((classes, classes));
    for (label, prediction) in data.labels.iter().zip(&predictions) {
        confusion[[*label, *prediction]] += 1;
    }
    let right: usize = confusion.diag().sum();
    Evaluation {
        loss: sum / n as f64,
        accuracy: right as f64 / n as f64,
        predictions,
        probabilities,
        confusion,
    }
}
