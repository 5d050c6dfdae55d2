//! How much memory a computation holds, counted where it is taken.
//!
//! Operating systems answer this question vaguely: pages, caches and other
//! threads all count. The chapters ask it precisely, for instance how many
//! numbers the backward pass makes the forward pass keep. So whoever hands out
//! buffers (a backend's pool, an exercise that measures) tells a [`Meter`],
//! and the meter knows how many bytes are held now, how many were held at
//! the worst moment, and how many times fresh memory was asked for.
//!
//! A meter counts with relaxed atomics: a few nanoseconds per buffer, and it
//! may be shared between threads.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts bytes held: now ([`live`](Meter::live)), at most
/// ([`peak`](Meter::peak)), and how often ([`takes`](Meter::takes)).
///
/// ```
/// use backprop::engine::meter::Meter;
///
/// let meter = Meter::new();
/// let kept = meter.hold::<f32>(100);
/// drop(meter.hold::<f32>(50));
/// assert_eq!((meter.live(), meter.peak(), meter.takes()), (400, 600, 2));
/// drop(kept);
/// assert_eq!((meter.live(), meter.peak()), (0, 600));
/// ```
#[derive(Debug, Default)]
pub struct Meter {
    live: AtomicUsize,
    peak: AtomicUsize,
    takes: AtomicUsize,
}

impl Meter {
    /// A meter that has seen nothing. `const`, so it may be a `static`.
    pub const fn new() -> Self {
        Meter {
            live: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            takes: AtomicUsize::new(0),
        }
    }

    /// `bytes` more are held.
    pub fn take(&self, bytes: usize) {
        let now = self.live.fetch_add(bytes, Relaxed) + bytes;
        self.peak.fetch_max(now, Relaxed);
        self.takes.fetch_add(1, Relaxed);
    }

    /// `bytes` of those taken are held no longer.
    ///
    /// # Panics
    ///
    /// In a debug build, if more is given back than was taken.
    pub fn give_back(&self, bytes: usize) {
        let before = self.live.fetch_sub(bytes, Relaxed);
        debug_assert!(
            before >= bytes,
            "Meter: {bytes} bytes given back, {before} were held"
        );
    }

    /// Takes the bytes of `len` numbers of type `T` until the answer is
    /// dropped.
    #[must_use = "the bytes count as held until this is dropped"]
    pub fn hold<T>(&self, len: usize) -> Held<'_> {
        let bytes = len * size_of::<T>();
        self.take(bytes);
        Held { meter: self, bytes }
    }

    /// Bytes held now.
    pub fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// The most bytes held at one moment, since the beginning or the last
    /// [`restart`](Meter::restart).
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// How many times memory was taken, since the beginning or the last
    /// [`restart`](Meter::restart).
    pub fn takes(&self) -> usize {
        self.takes.load(Relaxed)
    }

    /// Starts measuring anew: the peak falls to what is held now, the number
    /// of takes to 0. Call it between two steps, when no other thread takes.
    pub fn restart(&self) {
        self.peak.store(self.live(), Relaxed);
        self.takes.store(0, Relaxed);
    }
}

/// Bytes that a [`Meter`] counts as held until this is dropped.
#[derive(Debug)]
pub struct Held<'a> {
    meter: &'a Meter,
    bytes: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.meter.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_keeps_what_is_held() {
        let meter = Meter::new();
        let _kept = meter.hold::<f64>(10);
        drop(meter.hold::<f64>(1000));
        assert_eq!((meter.live(), meter.peak(), meter.takes()), (80, 8080, 2));
        meter.restart();
        assert_eq!((meter.live(), meter.peak(), meter.takes()), (80, 80, 0));
        drop(meter.hold::<u8>(1));
        assert_eq!((meter.live(), meter.peak(), meter.takes()), (80, 81, 1));
    }

    #[test]
    fn many_threads() {
        static METER: Meter = Meter::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for len in 0..1000 {
                        drop(METER.hold::<u8>(len));
                    }
                });
            }
        });
        assert_eq!((METER.live(), METER.takes()), (0, 4000));
        assert!((999..=4 * 999).contains(&METER.peak()));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "9 bytes given back, 8 were held")]
    fn giving_back_too_much() {
        let meter = Meter::new();
        meter.take(8);
        meter.give_back(9);
    }
}
