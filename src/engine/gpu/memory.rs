//! Buffers on the GPU, used again and again.
//!
//! A training step asks for the same sizes as the one before it. A dropped
//! array goes back to a stack of its size class and is the next to be taken.
//! Commands run in the order in which they are recorded, so an array may be
//! dropped, and its buffer used anew, before the GPU has got that far.
//!
//! Size classes lie a quarter of a power of two apart, so that a text that grows by a
//! token at a time does not leave a buffer of each length behind. The driver's
//! memory is cut up by wgpu's own allocator. Nothing is given back to the driver
//! before the end.

use crate::engine::fault::Fault;
use crate::engine::meter::Meter;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device};

/// An array of 32-bit numbers on the GPU, flat: kernels are told its shape.
/// Goes back to the pool when dropped.
#[derive(Debug)]
pub struct Array {
    pub(super) buffer: Buffer,
    /// Names the buffer: an array that takes it over has the same.
    pub(super) id: u32,
    len: usize,
    class: usize,
    pool: Arc<Pool>,
}

impl Array {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of the numbers.
    pub(super) fn bytes(&self) -> u64 {
        bytes(self.len)
    }

    /// The bytes that a kernel may see: up to three numbers more, so that it
    /// may take them four at a time. What is in those is anything.
    pub(super) fn bound(&self) -> u64 {
        self.bytes().next_multiple_of(FOUR)
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        self.pool.meter.give_back(self.len * 4);
        let buffer = (self.buffer.clone(), self.id);
        self.pool.idle(|idle| {
            match idle.iter_mut().find(|(class, _)| *class == self.class) {
                Some((_, stack)) => stack.push(buffer),
                None => idle.push((self.class, vec![buffer])),
            }
        });
    }
}

/// The bytes of a `vec4f`.
const FOUR: u64 = 16;

/// A binding is never empty.
fn bytes(len: usize) -> u64 {
    len.max(1) as u64 * 4
}

/// What there is of each size class.
type Idle = Vec<(usize, Vec<(Buffer, u32)>)>;

/// Hands out arrays.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
    made: AtomicU32,
    pub(super) meter: Meter,
    largest: u64,
}

impl Pool {
    /// No array is larger than `largest` bytes.
    pub(super) fn new(largest: u64) -> Arc<Pool> {
        Arc::new(Pool {
            idle: Mutex::default(),
            made: AtomicU32::new(0),
            meter: Meter::new(),
            largest: largest / FOUR * FOUR,
        })
    }

    fn idle<R>(&self, act: impl FnOnce(&mut Idle) -> R) -> R {
        // Nothing in here panics half way.
        act(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An array of `len` numbers with whatever its last user left, in a buffer
    /// that `suits`. One that is too large is a fault, and the array is a
    /// stand-in.
    pub(super) fn take(
        self: &Arc<Self>,
        device: &Device,
        len: usize,
        fault: &OnceLock<Fault>,
        suits: impl Fn(u32) -> bool,
    ) -> Array {
        let mut class = size_class(len).min(self.largest as usize / 4);
        if bytes(len) > self.largest {
            let _ = fault.set(Fault::Limit {
                what: format!("bytes for a tensor of {len} numbers"),
                need: bytes(len),
                limit: self.largest,
            });
        }
        if fault.get().is_some() {
            class = size_class(0);
        }
        let found = self.idle(|idle| {
            let (_, stack) = idle.iter_mut().find(|(c, _)| *c == class)?;
            let at = stack.iter().rposition(|(_, id)| suits(*id))?;
            Some(stack.remove(at))
        });
        let (buffer, id) = found.unwrap_or_else(|| {
            let buffer = device.create_buffer(&BufferDescriptor {
                label: None,
                size: class as u64 * 4,
                usage: BufferUsages::STORAGE
                    | BufferUsages::COPY_SRC
                    | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            (buffer, self.made.fetch_add(1, Relaxed))
        });
        self.meter.take(len * 4);
        Array {
            buffer,
            id,
            len,
            class,
            pool: Arc::clone(self),
        }
    }
}

/// The least of 64, 80, 96, 112, 128, 160, … that is not below `len`.
fn size_class(len: usize) -> usize {
    if len <= 64 {
        return 64;
    }
    let quarter = (len - 1).ilog2() - 2;
    len.div_ceil(1 << quarter) << quarter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_hold_and_waste_at_most_a_quarter() {
        for len in 0..5000 {
            let class = size_class(len);
            assert!(class >= len && class.is_multiple_of(16));
            assert!(len <= 64 || class < len + len.div_ceil(4), "{len}");
        }
        assert_eq!(
            [64, 65, 128, 129, 160].map(size_class),
            [64, 80, 128, 160, 160]
        );
    }
}
