//! What the chapter `calculus/chain_rule` shows.

use crate::Chapter;

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "calculus/chain_rule",
    outputs: &[],
    figures: &[],
};
