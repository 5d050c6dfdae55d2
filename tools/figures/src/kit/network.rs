//! Layers, nodes and edges.

use super::picture::{SMALL, TEXT, WIDTH};
use super::text::width;
use super::{Look, Paint, Picture, Point, Type, number};

/// A layered network: nodes in columns, a line for every weight, as thick as
/// the weight is large; negative weights are dashed.
///
/// ```
/// use figures::kit::{Network, Paint};
/// let w = vec![vec![0.5, -1.0], vec![2.0, 0.25]]; // (inputs, outputs)
/// let picture = Network::new()
///     .layer("input", Paint::Input, &["x_1", "x_2"])
///     .values(&[1.0, 2.0])
///     .weights(&w)
///     .numbers()
///     .layer("hidden", Paint::Activation, &["h_1", "h_2"])
///     .values(&[4.5, -0.5])
///     .cotangents(&[0.1, 0.3])
///     .picture();
/// assert!(picture.inline("doc-net", "t", "d").contains("stroke-dasharray"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    layers: Vec<Layer>,
    digits: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    title: String,
    paint: Paint,
    names: Vec<String>,
    values: Vec<f64>,
    cotangents: Vec<f64>,
    /// `[from][to]`, to the next layer.
    weights: Vec<Vec<f64>>,
    numbers: bool,
}

impl Network {
    /// No layers yet.
    pub fn new() -> Self {
        Self {
            layers: Vec::new(),
            digits: 3,
        }
    }

    /// Significant digits of all numbers; 3 unless told.
    pub fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    /// Adds a layer to the right.
    pub fn layer<S: AsRef<str>>(
        mut self,
        title: &str,
        paint: Paint,
        names: &[S],
    ) -> Self {
        self.layers.push(Layer {
            title: title.into(),
            paint,
            names: names.iter().map(|n| n.as_ref().into()).collect(),
            values: Vec::new(),
            cotangents: Vec::new(),
            weights: Vec::new(),
            numbers: false,
        });
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Layer)) -> Self {
        if let Some(layer) = self.layers.last_mut() {
            change(layer);
        }
        self
    }

    /// Values of the layer added last, shown above its nodes.
    pub fn values(self, values: &[f64]) -> Self {
        self.last(|layer| layer.values = values.to_vec())
    }

    /// Cotangents of the layer added last, shown below its nodes.
    pub fn cotangents(self, values: &[f64]) -> Self {
        self.last(|layer| layer.cotangents = values.to_vec())
    }

    /// Weights `(from, to)` between the layer added last and the next one.
    pub fn weights(self, weights: &[Vec<f64>]) -> Self {
        self.last(|layer| layer.weights = weights.to_vec())
    }

    /// Prints those weights on their lines: for few.
    pub fn numbers(self) -> Self {
        self.last(|layer| layer.numbers = true)
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let deepest = self.layers.iter().map(|l| l.names.len()).max();
        let rows = deepest.unwrap_or(0) as f64;
        let numbered = self
            .layers
            .iter()
            .any(|l| !(l.values.is_empty() && l.cotangents.is_empty()));
        let radius = 25.0;
        let pitch = if numbered { 124.0 } else { 68.0 };
        let top = 34.0;
        let height = top + pitch * rows;
        let mut picture = Picture::new(WIDTH, height);
        let margin = 64.0;
        let columns = self.layers.len();
        let step =
            (WIDTH - 2.0 * margin) / columns.saturating_sub(1).max(1) as f64;
        let at = |layer: usize, node: usize| -> Point {
            let here = self.layers[layer].names.len() as f64;
            let free = (rows - here) / 2.0;
            let y = top + pitch * (free + node as f64 + 0.5);
            [margin + step * layer as f64, y]
        };
        let weights = self.layers.iter().flat_map(|l| l.weights.iter());
        let most = weights.flatten().fold(1e-300, |m: f64, w| m.max(w.abs()));
        for l in 0..columns.saturating_sub(1) {
            let layer = &self.layers[l];
            for (i, row) in layer.weights.iter().enumerate() {
                for (j, w) in row.iter().enumerate() {
                    let line = 0.8 + 3.6 * w.abs() / most;
                    let look = Look::stroke(Paint::Weight, line);
                    let look = if *w < 0.0 { look.dashed() } else { look };
                    picture.line(at(l, i), at(l + 1, j), look);
                }
            }
            if !layer.numbers {
                continue;
            }
            for (i, row) in layer.weights.iter().enumerate() {
                for (j, w) in row.iter().enumerate() {
                    // Near the source the lines of one node part; near the
                    // target those of the next: alternate between the two.
                    let t = if (i + j) % 2 == 0 { 0.3 } else { 0.64 };
                    let ([x, y], [u, v]) = (at(l, i), at(l + 1, j));
                    let place = [x + t * (u - x), y + t * (v - y)];
                    let style = Type::new(SMALL).middle();
                    let style = style.paint(Paint::Weight);
                    let text = number(*w, self.digits);
                    let wide = width(&text, SMALL) + 4.0;
                    let [x, y] = place;
                    let plate = [x - wide / 2.0, y - 10.0, wide, 20.0];
                    picture.rectangle(plate, Look::fill(Paint::Page));
                    picture.text(place, &text, style);
                }
            }
        }
        for (l, layer) in self.layers.iter().enumerate() {
            let [x, _] = at(l, 0);
            let style = Type::new(SMALL).middle().paint(Paint::Muted);
            picture.formula([x, 12.0], &layer.title, style);
            for (i, name) in layer.names.iter().enumerate() {
                let [x, y] = at(l, i);
                picture.circle([x, y], radius, Look::fill(Paint::Page));
                picture.circle([x, y], radius, Look::role(layer.paint));
                let style = Type::new(TEXT).middle();
                picture.formula([x, y], name, style.bold());
                if let Some(v) = layer.values.get(i) {
                    let text = number(*v, self.digits);
                    let style = style.paint(layer.paint).halo();
                    picture.text([x, y - radius - 13.0], &text, style);
                }
                if let Some(v) = layer.cotangents.get(i) {
                    let text = number(*v, self.digits);
                    let style = style.paint(Paint::Cotangent).halo();
                    picture.text([x, y + radius + 14.0], &text, style);
                }
            }
        }
        picture
    }
}
