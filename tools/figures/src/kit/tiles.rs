//! Shapes of matrices, drawn to scale.

use super::picture::{SMALL, TEXT, WIDTH};
use super::text::width;
use super::{Look, Paint, Picture, Type};

/// Products of matrices as boxes: heights and widths to scale, the letter of
/// each dimension at its side, so that what must match can be seen to match.
///
/// ```
/// use figures::kit::{Paint, Tiles};
/// let (b, i, o) = (("B", 4), ("D_in", 6), ("D_out", 3));
/// let picture = Tiles::new()
///     .row("forward")
///     .tile("Y", b, o, Paint::Activation)
///     .sign("=")
///     .tile("X", b, i, Paint::Input)
///     .tile("W", i, o, Paint::Weight)
///     .sign("+")
///     .tile("b", ("", 1), o, Paint::Weight)
///     .row("what the weights get")
///     .tile("dW", i, o, Paint::Cotangent)
///     .sign("=")
///     .tile("X^T", i, b, Paint::Input)
///     .tile("dY", b, o, Paint::Cotangent)
///     .picture();
/// assert!(picture.width() <= 640.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiles {
    rows: Vec<(String, Vec<Part>)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Sign(String),
    Tile {
        name: String,
        rows: (String, f64),
        columns: (String, f64),
        paint: Paint,
    },
}

const DIMENSION: f64 = 28.0;
/// Smallest side of a box that has room for its name.
const INSIDE: f64 = 36.0;

impl Part {
    /// Room to the left of a box for the letter of its rows.
    fn letter(&self) -> f64 {
        match self {
            Self::Tile { rows, .. } if !rows.0.is_empty() => {
                width(&rows.0, SMALL) + 8.0
            }
            _ => 0.0,
        }
    }

    fn width(&self, unit: f64) -> f64 {
        match self {
            Self::Sign(sign) => width(sign, 26.0) + 20.0,
            Self::Tile { columns, .. } => {
                self.letter() + columns.1 * unit + 10.0
            }
        }
    }

    fn height(&self, unit: f64) -> f64 {
        match self {
            Self::Sign(_) => 0.0,
            Self::Tile { rows, .. } => rows.1 * unit,
        }
    }

    fn named_below(&self, unit: f64) -> bool {
        match self {
            Self::Sign(_) => false,
            Self::Tile { rows, columns, .. } => {
                rows.1.min(columns.1) * unit < INSIDE
            }
        }
    }
}

impl Tiles {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a row with its caption.
    pub fn row(mut self, caption: &str) -> Self {
        self.rows.push((caption.into(), Vec::new()));
        self
    }

    fn push(mut self, part: Part) -> Self {
        if self.rows.is_empty() {
            self.rows.push(Default::default());
        }
        if let Some((_, parts)) = self.rows.last_mut() {
            parts.push(part);
        }
        self
    }

    /// Adds a matrix to the row: its name, then the letter and the size of
    /// its rows and of its columns (an empty letter is not shown). Factors
    /// stand side by side without a sign.
    pub fn tile(
        self,
        name: &str,
        rows: (&str, usize),
        columns: (&str, usize),
        paint: Paint,
    ) -> Self {
        self.push(Part::Tile {
            name: name.into(),
            rows: (rows.0.into(), rows.1 as f64),
            columns: (columns.0.into(), columns.1 as f64),
            paint,
        })
    }

    /// Adds a sign: `=`, `+`, `⊙`, `→`.
    pub fn sign(self, sign: &str) -> Self {
        self.push(Part::Sign(sign.into()))
    }

    /// Draws it: as large as fits into the text, at most 30 units per row or
    /// column of a matrix.
    pub fn picture(&self) -> Picture {
        let across = |parts: &[Part], unit: f64| {
            parts.iter().map(|p| p.width(unit)).sum::<f64>()
        };
        let mut unit = 30.0;
        let widest = |unit: f64| {
            let rows = self.rows.iter();
            rows.map(|(_, parts)| across(parts, unit))
                .fold(0.0, f64::max)
        };
        while unit > 2.0 && widest(unit) > WIDTH - 8.0 {
            unit -= 0.5;
        }
        let captions = self.rows.iter().map(|r| width(&r.0, SMALL));
        let total = captions.fold(widest(unit), f64::max) + 8.0;
        let heights: Vec<(f64, f64)> = self
            .rows
            .iter()
            .map(|(_, parts)| {
                let tall = parts.iter().map(|p| p.height(unit));
                let below = parts.iter().any(|p| p.named_below(unit));
                (tall.fold(0.0, f64::max), if below { 10.0 } else { 0.0 })
            })
            .collect();
        let caption = |i: usize| {
            if self.rows[i].0.is_empty() { 0.0 } else { 30.0 }
        };
        let high: f64 = heights
            .iter()
            .enumerate()
            .map(|(i, (tall, below))| caption(i) + DIMENSION + tall + below)
            .sum();
        let gaps = 22.0 * self.rows.len().saturating_sub(1) as f64;
        let mut picture = Picture::new(total, high + gaps + 4.0);
        let mut top = 0.0;
        for (i, (text, parts)) in self.rows.iter().enumerate() {
            let small = Type::new(SMALL).paint(Paint::Muted);
            picture.formula([2.0, top + 14.0], text, small);
            top += caption(i) + DIMENSION;
            let (tall, below) = heights[i];
            let mut x = 4.0;
            for part in parts {
                draw(&mut picture, part, x, top + tall / 2.0, unit);
                x += part.width(unit);
            }
            top += tall + below + 22.0;
        }
        picture
    }
}

fn draw(picture: &mut Picture, part: &Part, x: f64, middle: f64, unit: f64) {
    let (name, rows, columns, paint) = match part {
        Part::Sign(sign) => {
            let center = x + (part.width(unit) - 10.0) / 2.0;
            let style = Type::new(26.0).middle();
            picture.text([center, middle], sign, style);
            return;
        }
        Part::Tile {
            name,
            rows,
            columns,
            paint,
        } => (name, rows, columns, *paint),
    };
    let (w, h) = (columns.1 * unit, rows.1 * unit);
    let (left, top) = (x + part.letter(), middle - h / 2.0);
    picture.rectangle([left, top, w, h], Look::role(paint));
    let small = Type::new(SMALL).paint(Paint::Muted);
    if !rows.0.is_empty() {
        picture.formula([left - 6.0, middle], &rows.0, small.end());
    }
    let center = left + w / 2.0;
    if !columns.0.is_empty() {
        let at = [center, top - 15.0];
        picture.formula(at, &columns.0, small.middle());
    }
    let lettering = Type::new(TEXT + 4.0).middle().paint(paint).bold();
    let at = if part.named_below(unit) {
        [center, top + h + 16.0]
    } else {
        [center, middle]
    };
    picture.formula(at, name, lettering);
}
