//! Kernels: WGSL with a name, and the numbers they are called with.

use super::Array;

/// A compute kernel.
///
/// Its text follows `common.wgsl` and one of the two `reduce*.wgsl`. Arrays are
/// bound in group 0; the numbers of a call are a uniform struct, binding 0 of
/// group 1.
#[derive(Clone, Copy)]
pub struct Kernel<'k> {
    /// Names the kernel in profiles, and is the key under which it is kept
    /// compiled: two kernels of different text or entry have different names.
    pub name: &'k str,
    /// Its text.
    pub source: Source<'k>,
    /// The function to start.
    pub entry: &'k str,
    /// The bindings of group 0 that `entry` uses, in the order in which
    /// [`Runner::run`](super::Runner::run) is given the arrays.
    pub bindings: &'k [u32],
}

/// Where the text of a kernel is from.
#[derive(Clone, Copy)]
pub enum Source<'k> {
    /// A file.
    Text(&'k str),
    /// Written when it is first needed.
    Made(&'k dyn Fn() -> String),
}

impl Source<'_> {
    pub(super) fn text(&self) -> String {
        match self {
            Source::Text(text) => (*text).to_owned(),
            Source::Made(write) => write(),
        }
    }
}

/// Whether the kernels of this text write to `binding` of group 0.
pub(super) fn writes(text: &str, binding: u32) -> bool {
    let at = format!("@group(0) @binding({binding}) var<storage, read_write>");
    text.contains(&at)
}

/// A 32-bit number of the uniform struct of a call.
#[derive(Clone, Copy, Debug)]
pub struct Word(pub(super) u32);

impl From<u32> for Word {
    fn from(x: u32) -> Word {
        Word(x)
    }
}

impl From<usize> for Word {
    /// A size that 32 bits do not hold belongs to a tensor that is too large,
    /// which is a [`Fault`](crate::engine::fault::Fault) already.
    fn from(x: usize) -> Word {
        Word(u32::try_from(x).unwrap_or(u32::MAX))
    }
}

impl From<f32> for Word {
    fn from(x: f32) -> Word {
        Word(x.to_bits())
    }
}

impl From<f64> for Word {
    fn from(x: f64) -> Word {
        Word((x as f32).to_bits())
    }
}

/// The numbers of a call, in the order of the fields of the struct:
/// `words![rows, columns, eps]`.
#[macro_export]
#[doc(hidden)]
macro_rules! words {
    ($($word:expr),* $(,)?) => {
        &[$($crate::engine::gpu::Word::from($word)),*]
    };
}
pub use crate::words;

/// How many workgroups are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// So many in a row, or in rows of rows where one row does not hold them:
    /// the kernel asks `group_index` for its number, and does nothing if it
    /// is not below this one.
    Row(usize),
    /// Exactly these, in three dimensions.
    Box([usize; 3]),
}

impl Groups {
    /// Enough groups of 256 for an invocation for each of `n`.
    pub fn for_each(n: usize) -> Groups {
        Groups::Row(n.div_ceil(256))
    }

    /// The extents, none above `most`, or the one that is.
    pub(super) fn extents(self, most: u32) -> Result<[u32; 3], u64> {
        match self {
            Groups::Row(n) => {
                let most = most as usize;
                let rows = n.div_ceil(most);
                if rows > most {
                    return Err(n as u64);
                }
                Ok([n.min(most) as u32, rows as u32, rows.min(1) as u32])
            }
            Groups::Box(extents) => {
                match extents.iter().find(|e| **e > most as usize) {
                    Some(e) => Err(*e as u64),
                    None => Ok(extents.map(|e| e as u32)),
                }
            }
        }
    }
}

/// What a call needs beside its kernel: see [`Runner::run`](super::Runner::run).
pub(super) struct Call<'c> {
    pub kernel: &'c Kernel<'c>,
    pub groups: Groups,
    pub words: &'c [Word],
    pub arrays: &'c [&'c Array],
    pub trusted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_groups_are_rows_of_rows() {
        let row = |n| Groups::Row(n).extents(10);
        assert_eq!(row(0), Ok([0, 0, 0]));
        assert_eq!(row(10), Ok([10, 1, 1]));
        assert_eq!(row(11), Ok([10, 2, 1]));
        assert_eq!(row(101), Err(101));
        assert_eq!(Groups::Box([1, 11, 2]).extents(10), Err(11));
    }

    #[test]
    fn access_is_read_off_the_text() {
        let text = "@group(0) @binding(1) var<storage, read> x: array<f32>;
            @group(0) @binding(12) var<storage, read_write> y: array<f32>;";
        assert!(!writes(text, 1) && writes(text, 12) && !writes(text, 2));
    }
}
