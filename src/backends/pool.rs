//! Buffers that are used again: a training step asks for the same lengths in
//! the same order as the step before, so after the first step nothing is
//! allocated.

use crate::engine::meter::Meter;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Buffers that lie idle, one stack for each length.
#[derive(Debug)]
pub(super) struct Pool<T> {
    stacks: Mutex<Vec<Stack<T>>>,
    /// Bytes on loan.
    meter: Meter,
    /// What fills a buffer when it is taken, in tests.
    poison: Option<T>,
}

#[derive(Debug)]
struct Stack<T> {
    len: usize,
    idle: Vec<Vec<T>>,
    made: usize,
}

impl<T: Copy + Default> Pool<T> {
    pub(super) fn new(poison: Option<T>) -> Arc<Pool<T>> {
        Arc::new(Pool {
            stacks: Mutex::new(Vec::new()),
            meter: Meter::new(),
            poison,
        })
    }

    /// Counts the bytes on loan.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A buffer of `len` numbers. What is in it is left over from its last
    /// user: write before you read.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer<T> {
        let mut stacks = self.stacks.lock().expect("no op panics in here");
        let i = stacks.iter().position(|s| s.len == len).unwrap_or_else(|| {
            stacks.push(Stack {
                len,
                idle: Vec::new(),
                made: 0,
            });
            stacks.len() - 1
        });
        let stack = &mut stacks[i];
        let mut data = stack.idle.pop().unwrap_or_else(|| {
            stack.made += 1;
            // Room for all to come back at once: a drop never allocates.
            stack.idle.reserve(stack.made);
            vec![T::default(); len]
        });
        if let Some(poison) = self.poison {
            data.fill(poison);
        }
        self.meter.take(len * size_of::<T>());
        Buffer {
            data,
            pool: Arc::clone(self),
        }
    }
}

/// A buffer on loan. Goes back to its pool when dropped.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    data: Vec<T>,
    pool: Arc<Pool<T>>,
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        self.pool.meter.give_back(data.len() * size_of::<T>());
        // After a panic elsewhere the buffer is freed instead.
        if let Ok(mut stacks) = self.pool.stacks.lock()
            && let Some(s) = stacks.iter_mut().find(|s| s.len == data.len())
        {
            s.idle.push(data);
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let pool = Pool::<f32>::new(None);
        let (a, b) = (pool.take(3), pool.take(5));
        let address = a.as_ptr();
        drop(a);
        let c = pool.take(3);
        assert_eq!(c.as_ptr(), address);
        assert_ne!(pool.take(3).as_ptr(), address);
        assert_eq!((c.len(), b.len(), pool.take(0).len()), (3, 5, 0));
    }

    #[test]
    fn a_poisoned_buffer_holds_nothing_of_its_last_user() {
        let pool = Pool::new(Some(f32::NAN));
        for _ in 0..2 {
            let mut a = pool.take(3);
            assert!(a.iter().all(|a| a.is_nan()));
            a.fill(1.);
        }
    }
}
