//! The ops of the table as a model calls them: through `Device`.
//!
//! Each function uploads the inputs of its row, runs the op and its VJP, and
//! reads the output and the gradients. Gradients of parameters begin at an eighth,
//! which is taken off again: an op that overwrites them instead of adding is
//! seen.

use super::aspects::A;
use backprop::device::Device;

/// An op on a device: the inputs of its row and a cotangent give the output
/// and the gradients.
pub struct OnDevice<D> {
    pub run: Run<D>,
    /// Relative L2 distance per tensor.
    pub tolerance: f64,
}

/// Output and gradients from inputs and cotangent.
pub type Run<D> = fn(&D, &[A], &A) -> (A, Vec<A>);

/// The row `name` on a device; `None` where no device has that op.
pub fn on_device<D: Device>(name: &str) -> Option<OnDevice<D>> {
    let on = |run: Run<D>, tolerance| Some(OnDevice { run, tolerance });
    match name {
        "linear" => on(linear, 1e-5),
        _ => None,
    }
}

fn linear<D: Device>(dev: &D, p: &[A], dy: &A) -> (A, Vec<A>) {
    let [x, w, b] = up(dev, p);
    let dy = dev.upload(dy.view());
    let y = dev.linear(&x, &w, &b);
    let (mut dw, mut db) = (begun(dev, &w), begun(dev, &b));
    let dx = dev.linear_vjp(&x, &w, &dy, &mut dw, &mut db);
    let dx_alone = dev.linear_vjp_input(&w, &dy);
    assert_eq!(dev.read(&dx), dev.read(&dx_alone), "linear_vjp_input");
    let grads = vec![dev.read(&dx), added(dev, &dw), added(dev, &db)];
    (dev.read(&y), grads)
}

/// The inputs on the device.
fn up<D: Device, const N: usize>(dev: &D, p: &[A]) -> [D::Tensor; N] {
    std::array::from_fn(|i| dev.upload(p[i].view()))
}

/// A gradient that has something in it already.
fn begun<D: Device>(dev: &D, like: &D::Tensor) -> D::Tensor {
    dev.upload(A::from_elem(dev.shape(like), EIGHTH).view())
}

/// What was added to it.
fn added<D: Device>(dev: &D, t: &D::Tensor) -> A {
    dev.read(t) - EIGHTH
}

const EIGHTH: f64 = 0.125;
