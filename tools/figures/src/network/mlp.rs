//! What the chapter `network/mlp` shows.

use crate::Chapter;

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/mlp",
    outputs: &[],
    figures: &[],
};
