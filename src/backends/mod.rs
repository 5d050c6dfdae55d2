//! The backends: each implements [`crate::device`] by calling the chapters.
