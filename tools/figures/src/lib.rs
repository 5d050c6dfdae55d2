//! What the chapters show: printed outputs, figures and the tables made
//! from data.
//!
//! Every chapter has one file here, at the same path as its page:
//! `tools/figures/src/network/linear.rs` for `book/src/network/linear.md`.
//! It holds one [`Chapter`], a list of [`Output`]s (text that the page
//! prints) and [`Figure`]s (data, and a drawing of that data):
//!
//! ```
//! use figures::{Chapter, Data, Figure, Output, Tolerance, kit};
//! use serde_json::{Value, json};
//!
//! pub static CHAPTER: Chapter = Chapter {
//!     slug: "calculus/square",
//!     outputs: &[Output::printed("by_hand", by_hand)],
//!     figures: &[Figure {
//!         name: "parabola",
//!         title: "The square of x",
//!         description: "A parabola with its lowest point at zero.",
//!         data: Data::Computed(parabola),
//!         draw: draw_parabola,
//!         tolerance: Tolerance::relative(1e-12),
//!     }],
//! };
//!
//! fn by_hand() -> String {
//!     format!("x = 3   y = {}   dy/dx = {}\n", 3.0 * 3.0, 2.0 * 3.0)
//! }
//!
//! fn parabola() -> Value {
//!     let points: Vec<[f64; 2]> =
//!         (-4..=4).map(|i| [f64::from(i), f64::from(i * i)]).collect();
//!     json!({ "points": points })
//! }
//!
//! fn draw_parabola(_data: &Value) -> kit::Picture {
//!     kit::Picture::new(640.0, 360.0)
//! }
//! # assert_eq!(by_hand(), "x = 3   y = 9   dy/dx = 6\n");
//! ```
//!
//! [`write_all`] (`cargo book figures`) turns the list into files under
//! `book/src/generated/<part>/<slug>/`; they are committed, and a page
//! includes them. [`check_all`] (`cargo book check`) computes everything
//! again and reports what no longer agrees. `cargo demo` prints the outputs.

mod compare;
mod demo;
mod generate;
pub mod kit;
mod registry;

pub mod calculus;
pub mod mistakes;
pub mod network;

pub use demo::demo;
pub use generate::{
    Error, GENERATED, Problem, Summary, check, check_all, write, write_all,
};
pub use registry::{
    Chapter, Data, Figure, Output, Text, Tolerance, chapters, find,
};
