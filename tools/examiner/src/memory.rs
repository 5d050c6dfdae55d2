//! A memory limit for the learner's code: a global allocator that counts.
//!
//! [`exercise!`](crate::exercise!) makes it the allocator of a test binary. A
//! request over the limit is refused, upon which Rust ends the process; before
//! that a line goes where the verdict would go, so that the grader can tell this
//! end from any other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// What a process may hold unless the grader says otherwise: 2 GiB.
pub const LIMIT: usize = 2 << 30;

/// How the line begins that is written when a request is refused; the size of
/// the request and the bytes held at the time follow.
pub const REFUSED: &str = "memory refused:";

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(LIMIT);
static TOLD: AtomicBool = AtomicBool::new(false);
static OUT: OnceLock<File> = OnceLock::new();

/// The system's allocator with a limit on the bytes held.
#[derive(Debug)]
pub struct Capped;

/// From now on at most `limit` bytes; a refusal is noted in `out`.
pub(crate) fn limit(limit: usize, out: File) -> &'static File {
    MOST.store(limit, Relaxed);
    limit_address_space(limit);
    OUT.get_or_init(|| out)
}

/// What does not come from this allocator (the stacks of threads, mostly) is
/// address space. The limit is wide: on a machine with many cores the idle
/// stacks of a thread pool and the system's arenas alone take gigabytes.
#[cfg(target_os = "linux")]
fn limit_address_space(limit: usize) {
    let set = |resource, most: u64| {
        let most = libc::rlimit {
            rlim_cur: most,
            rlim_max: most,
        };
        // SAFETY: the struct lives through the call. A limit that cannot be
        // set is not needed: it is the second line of defence.
        unsafe { libc::setrlimit(resource, &most) };
    };
    set(
        libc::RLIMIT_AS,
        (limit as u64).saturating_mul(2) + (64 << 30),
    );
    set(libc::RLIMIT_CORE, 0);
    // Nobody but root reads this process's memory through /proc, itself
    // included: the nonce is in it.
    // SAFETY: a plain call with numbers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
}

#[cfg(not(target_os = "linux"))]
fn limit_address_space(_limit: usize) {}

/// Counts `size` bytes as held, or says that they would be too many.
fn take(size: usize) -> bool {
    let before = LIVE.fetch_add(size, Relaxed);
    let fits = before.saturating_add(size) <= MOST.load(Relaxed);
    if !fits {
        LIVE.fetch_sub(size, Relaxed);
    }
    fits
}

/// Notes the first refusal. Nothing here may allocate.
fn refused(size: usize) -> *mut u8 {
    if let Some(mut out) = OUT.get()
        && !TOLD.swap(true, Relaxed)
    {
        let held = LIVE.load(Relaxed);
        let _ = writeln!(out, "\n{REFUSED} {size} {held}");
    }
    std::ptr::null_mut()
}

fn counted(size: usize, allocate: impl FnOnce() -> *mut u8) -> *mut u8 {
    if !take(size) {
        return refused(size);
    }
    let pointer = allocate();
    if pointer.is_null() {
        LIVE.fetch_sub(size, Relaxed);
        return refused(size);
    }
    pointer
}

// SAFETY: every call goes to `System` with the caller's own arguments, or
// returns null, which the trait allows; the counters touch no memory of it.
unsafe impl GlobalAlloc for Capped {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        counted(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(
        &self,
        pointer: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        // Old and new may be held at once while the contents move.
        let new =
            counted(size, || unsafe { System.realloc(pointer, layout, size) });
        if !new.is_null() {
            LIVE.fetch_sub(layout.size(), Relaxed);
        }
        new
    }
}
