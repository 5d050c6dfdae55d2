//! The book tool: builds the book with everything linked in, serves it on
//! this machine, and checks what mdbook lets pass.

pub mod aside;
pub mod check;
pub mod events;
pub mod finish;
pub mod grades;
pub mod guard;
pub mod live;
pub mod render;
pub mod serve;
pub mod stock;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The project's root: the nearest folder above the current one that holds
/// a `book.toml`.
///
/// # Errors
/// When there is none.
pub fn find_root() -> Result<PathBuf> {
    let here =
        std::env::current_dir().context("cannot tell the current folder")?;
    for dir in here.ancestors() {
        if dir.join("book.toml").is_file() {
            return Ok(dir.to_path_buf());
        }
    }
    bail!(
        "no book.toml in {} or above: run this inside the repository",
        here.display()
    )
}
