//! Draws figures that follow the book's theme.
//!
//! A [`Picture`] is a list of SVG elements in the units of its `viewBox`;
//! everything here returns one. The kinds that the book needs are builders:
//!
//! | kind | for |
//! |---|---|
//! | [`Chart`] | curves, points, histograms over linear or log axes |
//! | [`Bars`] | a few numbers side by side |
//! | [`HeatMap`] | Jacobians, confusion matrices |
//! | [`Tiles`] | shapes of matrices in a product, to scale |
//! | [`Chain`] | a chain of functions, values forward, derivatives back |
//! | [`Network`] | layers, nodes and edges with numbers |
//! | [`Images`] | small grey images with captions |
//! | [`Fields`] | decision boundaries, panel by panel |
//!
//! What none of them draws is drawn with the elements of [`Picture`], or
//! with plotters through [`Canvas`].
//!
//! Colours are roles ([`Paint`]), never hex; every role has a second cue
//! ([`Look::role`], a dash or a marker). Text inherits the face of the page
//! and is 14 units ([`TEXT`]) or 12.5 ([`SMALL`]): a picture 640 units wide
//! is as wide as the text; on a phone it is 540 pixels wide and scrolls. No
//! element has an id but title and description, so a page may hold many
//! pictures.
//!
//! Draw functions get the committed JSON; [`get`] takes a typed value out.

mod canvas;
mod chain;
mod chart;
mod fields;
mod heat_map;
mod images;
mod network;
mod paint;
mod picture;
mod text;
mod tiles;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use canvas::{Canvas, FINE, plotters_style};
pub use chain::Chain;
pub use chart::{Axis, Bars, Chart};
pub use fields::Fields;
pub use heat_map::HeatMap;
pub use images::Images;
pub use network::Network;
pub use paint::{Paint, css, standalone};
pub use picture::{Dash, Look, Picture, Point, SMALL, TEXT, Type, WIDTH};
pub(crate) use text::escape;
pub use text::{fixed, number};
pub use tiles::Tiles;

/// The value at a JSON pointer, as a Rust value.
///
/// ```
/// let data = serde_json::json!({ "loss": [[0.0, 2.3], [1.0, 0.4]] });
/// let loss: Vec<[f64; 2]> = figures::kit::get(&data, "/loss");
/// assert_eq!(loss[1], [1.0, 0.4]);
/// ```
///
/// # Panics
/// When there is no such value: the data and its drawing stand in one file,
/// and the check compares the structure before it draws.
#[track_caller]
pub fn get<T: DeserializeOwned>(data: &Value, pointer: &str) -> T {
    let Some(value) = data.pointer(pointer) else {
        panic!("the data has nothing at {pointer}");
    };
    match serde_json::from_value(value.clone()) {
        Ok(value) => value,
        Err(error) => panic!("{pointer}: {error}"),
    }
}
