//! What the chapters' rows share.

use crate::op::A;
use backprop::device::{Device, Heads};
use ndarray::{
    Array2, ArrayView1, ArrayView2, ArrayView3, Axis, Zip, concatenate,
};
use serde_json::{Value, json};

pub fn d1(a: &A) -> ArrayView1<'_, f64> {
    a.view().into_dimensionality().expect("a vector")
}

pub fn d2(a: &A) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality().expect("a matrix")
}

pub fn d3(a: &A) -> ArrayView3<'_, f64> {
    a.view().into_dimensionality().expect("three axes")
}

/// `f(x, dy)`, number by number.
pub fn each(x: &A, dy: &A, f: fn(f64, f64) -> f64) -> A {
    Zip::from(x).and(dy).map_collect(|x, dy| f(*x, *dy))
}

/// One array after the other.
pub fn joined(a: A, b: A) -> A {
    concatenate![Axis(0), a, b]
}

/// A matrix as a constant of a case.
pub fn nested(x: &Array2<f64>) -> Value {
    json!(x.outer_iter().map(|row| row.to_vec()).collect::<Vec<_>>())
}

/// Heads as constants of a case.
pub fn heads(h: Heads) -> Value {
    json!({ "batch": h.batch, "queries": h.queries, "keys": h.keys })
}

// ------------------------------------------------------------- on a device

/// The inputs on the device.
pub fn up<D: Device, const N: usize>(dev: &D, p: &[A]) -> [D::Tensor; N] {
    std::array::from_fn(|i| dev.upload(p[i].view()))
}

/// A gradient that has something in it already.
pub fn begun<D: Device>(dev: &D, like: &D::Tensor) -> D::Tensor {
    dev.upload(A::from_elem(dev.shape(like), EIGHTH).view())
}

/// What was added to it.
pub fn added<D: Device>(dev: &D, t: &D::Tensor) -> A {
    dev.read(t) - EIGHTH
}

const EIGHTH: f64 = 0.125;

/// A loss: it has shape (1) on a device, and none in the table.
pub fn number<D: Device>(dev: &D, loss: &D::Tensor) -> A {
    dev.read(loss).index_axis_move(Axis(0), 0)
}
