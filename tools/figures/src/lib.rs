//! What the chapters show: printed outputs, figures and the tables made
//! from data.
//!
//! Every chapter has one file here, at the same path as its page:
//! `tools/figures/src/network/linear.rs` for `book/src/network/linear.md`.
//! It holds one [`Chapter`], a list of [`Output`]s (text that the page
//! prints) and [`Figure`]s (data, and a drawing of that data):
//!
//! ```
//! use figures::{
//!     Chapter, Data, Figure, Knob, Knobs, Output, Tolerance, kit,
//! };
//! use serde_json::{Value, json};
//!
//! pub static CHAPTER: Chapter = Chapter {
//!     slug: "calculus/square",
//!     outputs: &[Output::printed("by_hand", by_hand)],
//!     figures: &[Figure {
//!         name: "parabola",
//!         title: "The square of x",
//!         description: "A parabola with its lowest point at zero.",
//!         knobs: &[Knob::slider("reach", 1.0..=9.0, 4.0).step(1.0)],
//!         data: Data::Computed(parabola),
//!         read_out: Some(highest),
//!         draw: draw_parabola,
//!         tolerance: Tolerance::relative(1e-12),
//!     }],
//! };
//!
//! fn by_hand() -> String {
//!     format!("x = 3   y = {}   dy/dx = {}\n", 3.0 * 3.0, 2.0 * 3.0)
//! }
//!
//! fn parabola(knobs: &Knobs) -> Value {
//!     let reach = knobs.number("reach") as i32;
//!     let point = |i: i32| [f64::from(i), f64::from(i * i)];
//!     let points: Vec<_> = (-reach..=reach).map(point).collect();
//!     json!({ "points": points })
//! }
//!
//! fn highest(knobs: &Knobs, _data: &Value) -> String {
//!     let reach = knobs.number("reach");
//!     format!("from {} to {reach}: up to {}", -reach, reach * reach)
//! }
//!
//! fn draw_parabola(_data: &Value) -> kit::Picture {
//!     kit::Picture::new(640.0, 360.0)
//! }
//! # assert_eq!(by_hand(), "x = 3   y = 9   dy/dx = 6\n");
//! # let knobs = Knobs::new(CHAPTER.figures[0].knobs);
//! # let data = parabola(&knobs);
//! # assert_eq!(data["points"][0], json!([-4.0, 16.0]));
//! # assert_eq!(highest(&knobs, &data), "from -4 to 4: up to 16");
//! ```
//!
//! [`write()`] (`cargo book figures`) turns the list into files under
//! `book/src/generated/<part>/<slug>/`; they are committed, and a page
//! includes them. [`check`] (`cargo book check`) computes everything again
//! but stored runs, and reports what no longer agrees. [`run_stored`]
//! (`cargo book figures --stored`) runs those. `cargo demo` prints the
//! outputs.

mod compare;
mod demo;
mod drill;
mod few_bits;
mod generate;
mod half;
pub mod kit;
mod knob;
mod registry;

pub mod calculus;
pub mod depth;
pub mod discrete;
pub mod mistakes;
pub mod network;
pub mod recurrent;
pub mod routes;
pub mod tasks;
pub mod title;
pub mod transformer;

pub use demo::demo;
pub use generate::{
    Error, GENERATED, Problem, Summary, check, run_stored, write,
};
pub use knob::{Kind, Knob, Knobs, Setting, strokes};
pub use registry::{
    Chapter, Data, Figure, Live, Output, Run, Text, Tolerance, chapters, facts,
    find, live,
};
