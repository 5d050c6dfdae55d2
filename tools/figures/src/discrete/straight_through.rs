//! What the chapter `discrete/straight_through` shows.

use crate::{Chapter, few_bits};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "discrete/straight_through",
    outputs: &[few_bits::TABLE],
    figures: &[few_bits::FIGURE],
};
