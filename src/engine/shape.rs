//! The shape of a backend's tensor.

/// Up to four extents, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    extents: [usize; 4],
    rank: usize,
}

impl Shape {
    /// Panics if there are more than four.
    #[track_caller]
    pub(crate) fn new(shape: &[usize]) -> Shape {
        assert!(shape.len() <= 4, "a tensor has at most 4 axes: {shape:?}");
        let mut extents = [1; 4];
        extents[..shape.len()].copy_from_slice(shape);
        Shape {
            extents,
            rank: shape.len(),
        }
    }

    /// The extents, first to last.
    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.extents[..self.rank]
    }

    /// How many numbers a tensor of this shape has.
    pub(crate) fn len(&self) -> usize {
        self.as_slice().iter().product()
    }

    /// The extents of a tensor of this rank.
    #[track_caller]
    pub(crate) fn extents<const RANK: usize>(&self) -> [usize; RANK] {
        let shape = self.as_slice();
        shape.try_into().unwrap_or_else(|_| {
            panic!("a tensor of rank {RANK} is needed, got {shape:?}")
        })
    }
}
