//! The book tool: build, serve, check.
