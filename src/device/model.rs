//! What can be trained.

use super::{Device, Params};

/// A model that the [training loop](crate::training::trainer) can train: its
/// parameters, and a loss with its gradient.
///
/// What a model has that no gradient moves, it names among its parameters as
/// well, and has no gradient for it: frozen weights, the state that a network
/// in time hands from one text window to the next, the running mean that a
/// policy compares its rewards with. So a checkpoint holds it too.
pub trait Model: Params {
    /// What a pass learns from, on the host. Made empty once, then filled
    /// again and again by whoever draws batches.
    type Batch: Default;
    /// What goes from the forward to the backward pass. Used again by the next
    /// one, so that it allocates nothing.
    type Kept: Default;
    /// The gradient: an entry for each parameter, in the same order.
    type Grads: Params<Tensor: Gradient<Self::Tensor>>;

    /// A gradient of zeros.
    fn zeros<D: Device<Tensor = Self::Tensor>>(&self, dev: &D) -> Self::Grads;

    /// The loss of a batch, shape (1), on the device; the gradient of `dloss`
    /// times it is *added* to `grads`. `dloss` is 1, or 1/G when the step sums
    /// over G batches.
    fn loss_and_grad<D: Device<Tensor = Self::Tensor>>(
        &self,
        dev: &D,
        batch: &Self::Batch,
        dloss: f64,
        kept: &mut Self::Kept,
        grads: &mut Self::Grads,
    ) -> Self::Tensor;

    /// Called after each step, when the parameters have moved; `kept` is what
    /// the last pass left in it. Here a model writes down what is to outlast
    /// the step and has no gradient, or keeps weights within their bounds.
    fn settle<D: Device<Tensor = Self::Tensor>>(
        &mut self,
        dev: &D,
        kept: &mut Self::Kept,
    ) {
        let _ = (dev, kept);
    }
}

/// What stands for the gradient of a parameter `T`: a tensor, or `Option` of
/// one, where `None` means that it is frozen.
pub trait Gradient<T> {
    /// The gradient, unless the parameter is frozen.
    fn trained(&self) -> Option<&T>;
    /// The same, to be changed.
    fn trained_mut(&mut self) -> Option<&mut T>;
}

impl<T> Gradient<T> for T {
    fn trained(&self) -> Option<&T> {
        Some(self)
    }

    fn trained_mut(&mut self) -> Option<&mut T> {
        Some(self)
    }
}

impl<T> Gradient<T> for Option<T> {
    fn trained(&self) -> Option<&T> {
        self.as_ref()
    }

    fn trained_mut(&mut self) -> Option<&mut T> {
        self.as_mut()
    }
}
