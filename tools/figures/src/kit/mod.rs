//! Draws figures that follow the book's theme.

mod picture;

pub use picture::Picture;
