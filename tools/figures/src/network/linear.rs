//! What the chapter `network/linear` shows.

use crate::Chapter;

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/linear",
    outputs: &[],
    figures: &[],
};
