//! What the chapter `network/softmax_cross_entropy` shows.

use crate::Chapter;

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/softmax_cross_entropy",
    outputs: &[],
    figures: &[],
};
