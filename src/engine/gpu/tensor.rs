//! What the ops of a chapter take and give: an array with a shape, and
//! indices.

use super::{Array, Runner};
use crate::engine::shape::Shape;
use std::ops::Deref;

/// A row-major `f32` [`Array`] and its shape. Goes back to the pool when
/// dropped.
#[derive(Debug)]
pub struct Tensor {
    data: Array,
    shape: Shape,
}

impl Tensor {
    /// The extents, first to last.
    pub fn shape(&self) -> &[usize] {
        self.shape.as_slice()
    }

    /// The shape, of a tensor that must have this rank.
    ///
    /// Panics if it has another.
    #[track_caller]
    pub fn extents<const RANK: usize>(&self) -> [usize; RANK] {
        self.shape.extents()
    }
}

/// Kernels see the numbers alone.
impl Deref for Tensor {
    type Target = Array;

    fn deref(&self) -> &Array {
        &self.data
    }
}

impl Runner {
    /// A tensor of this shape. What is in it is left over from its last user:
    /// write before you read.
    ///
    /// Panics if it has more than four axes.
    #[track_caller]
    pub fn tensor(&self, shape: &[usize]) -> Tensor {
        let shape = Shape::new(shape);
        Tensor {
            data: self.take(shape.len()),
            shape,
        }
    }

    /// A tensor of this shape with these numbers, as their bits, in a buffer
    /// that no recorded call uses.
    ///
    /// Panics if they are not as many as the shape says, or it has more than
    /// four axes.
    #[track_caller]
    pub fn uploaded_tensor(&self, shape: &[usize], from: &[u32]) -> Tensor {
        let (shape, n) = (Shape::new(shape), from.len());
        assert_eq!(shape.len(), n, "upload: {n} numbers are no {shape:?}");
        Tensor {
            data: self.uploaded(from),
            shape,
        }
    }
}

/// Indices, and what must be known of them before a kernel, which cannot
/// panic, looks into an array with them. Go back to the pool when dropped.
#[derive(Debug)]
pub struct Ids {
    data: Array,
    on_host: Vec<u32>,
    largest: Option<usize>,
    counted: usize,
}

impl Ids {
    /// An index that stands for none.
    pub const NONE: u32 = u32::MAX;

    /// Copies `ids` to the GPU.
    ///
    /// Panics if one does not fit 32 bits.
    #[track_caller]
    pub fn new(run: &Runner, ids: &[usize]) -> Ids {
        let bits = |id: &usize| u32::try_from(*id).expect("32 bits");
        let on_host: Vec<u32> = ids.iter().map(bits).collect();
        let counted = || on_host.iter().filter(|id| **id != Ids::NONE);
        Ids {
            data: run.uploaded(&on_host),
            largest: counted().max().map(|id| *id as usize),
            counted: counted().count(),
            on_host,
        }
    }

    /// The same indices on the host.
    pub fn on_host(&self) -> &[u32] {
        &self.on_host
    }

    /// The largest that is not [`Ids::NONE`].
    pub fn largest(&self) -> Option<usize> {
        self.largest
    }

    /// How many are not [`Ids::NONE`].
    pub fn counted(&self) -> usize {
        self.counted
    }
}

/// Kernels see the numbers alone.
impl Deref for Ids {
    type Target = Array;

    fn deref(&self) -> &Array {
        &self.data
    }
}
