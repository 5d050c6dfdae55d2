//! Decision boundaries.

use std::fmt::Write;

use super::picture::{SMALL, TEXT, WIDTH};
use super::text::coordinate;
use super::{Look, Paint, Picture, Point, Type};

/// Panels in a row, each a field of probabilities with the line where it
/// crosses one half, and points of two classes: discs for class 1, triangles
/// for class 0.
///
/// ```
/// use figures::kit::Fields;
/// let field: Vec<Vec<f64>> = (0..8)
///     .map(|_| (0..8).map(|i| f64::from(i) / 7.0).collect())
///     .collect();
/// let picture = Fields::new([-1.0, 1.0], [-1.0, 1.0])
///     .panel("1 unit", "72 % right", &field, &[([0.5, 0.1], 1)])
///     .picture();
/// assert!(picture.inline("doc-field", "t", "d").contains("72 % right"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    x: [f64; 2],
    y: [f64; 2],
    columns: usize,
    panels: Vec<Panel>,
}

#[derive(Clone, Debug, PartialEq)]
struct Panel {
    title: String,
    finding: String,
    field: Vec<Vec<f64>>,
    points: Vec<(Point, u8)>,
}

impl Fields {
    /// No panels yet; all show `x[0]` to `x[1]` and `y[0]` to `y[1]`.
    pub fn new(x: [f64; 2], y: [f64; 2]) -> Self {
        Self {
            x,
            y,
            columns: 4,
            panels: Vec::new(),
        }
    }

    /// Panels in a row; 4 unless told.
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Adds a panel: a title above, a finding below, the probability of
    /// class 1 at the middle of each cell of a grid (`field[j][i]`, `y`
    /// grows with `j`), and points with their class.
    pub fn panel(
        mut self,
        title: &str,
        finding: &str,
        field: &[Vec<f64>],
        points: &[(Point, u8)],
    ) -> Self {
        self.panels.push(Panel {
            title: title.into(),
            finding: finding.into(),
            field: field.to_vec(),
            points: points.to_vec(),
        });
        self
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let columns = self.columns.min(self.panels.len().max(1));
        let gap = 16.0;
        let wide = (WIDTH - gap * (columns - 1) as f64) / columns as f64;
        let wide = wide.min(340.0);
        let ratio = (self.y[1] - self.y[0]) / (self.x[1] - self.x[0]);
        let tall = wide * ratio;
        let row = 34.0 + tall + 34.0;
        let rows = self.panels.len().div_ceil(columns) as f64;
        let total = wide * columns as f64 + gap * (columns - 1) as f64;
        let mut picture = Picture::new(total, row * rows);
        for (i, panel) in self.panels.iter().enumerate() {
            let x = (wide + gap) * (i % columns) as f64;
            let y = row * (i / columns) as f64 + 30.0;
            self.draw(&mut picture, panel, [x, y, wide, tall]);
        }
        picture
    }

    fn draw(
        &self,
        picture: &mut Picture,
        panel: &Panel,
        [x, y, wide, tall]: [f64; 4],
    ) {
        let title = Type::new(TEXT).middle();
        let center = x + wide / 2.0;
        picture.formula([center, y - 16.0], &panel.title, title);
        let finding = Type::new(SMALL).middle().paint(Paint::Muted);
        let below = [center, y + tall + 17.0];
        picture.formula(below, &panel.finding, finding);
        let columns = panel.field.iter().map(Vec::len).max().unwrap_or(1);
        let cell = wide / columns.max(1) as f64;
        // The lowest row of the field is drawn last.
        let half = |sign: f64| -> Vec<Vec<f64>> {
            let rows = panel.field.iter().rev();
            let depth = |p: &f64| (sign * (2.0 * p - 1.0)).max(0.0) * 0.75;
            rows.map(|row| row.iter().map(depth).collect()).collect()
        };
        picture.raster([x, y], cell, &half(1.0), Paint::Positive);
        picture.raster([x, y], cell, &half(-1.0), Paint::Negative);
        let mut border = String::new();
        let flipped: Vec<&Vec<f64>> = panel.field.iter().rev().collect();
        for [a, b] in contour(&flipped, 0.5) {
            let to = |p: Point| {
                let (u, v) = (x + cell * p[0], y + cell * p[1]);
                format!("{} {}", coordinate(u), coordinate(v))
            };
            let _ = write!(border, "M{}L{}", to(a), to(b));
        }
        if !border.is_empty() {
            picture.path(&border, Look::stroke(Paint::Ink, 2.0));
        }
        let frame = [x, y, wide, tall];
        picture.rectangle(frame, Look::stroke(Paint::Faint, 1.0));
        for ([px, py], class) in &panel.points {
            let u = (px - self.x[0]) / (self.x[1] - self.x[0]);
            let v = (py - self.y[0]) / (self.y[1] - self.y[0]);
            let at = [x + wide * u, y + tall * (1.0 - v)];
            let (kind, paint) = if *class == 1 {
                (0, Paint::Series(1))
            } else {
                (1, Paint::Series(2))
            };
            picture.marker(at, 4.9, kind, Paint::Page);
            picture.marker(at, 3.6, kind, paint);
        }
    }
}

/// Segments where the field crosses `level`, by marching squares; in cells,
/// from the upper left corner of the first.
fn contour(field: &[&Vec<f64>], level: f64) -> Vec<[Point; 2]> {
    let mut segments = Vec::new();
    for j in 1..field.len() {
        let columns = field[j].len().min(field[j - 1].len());
        for i in 1..columns {
            // Corners clockwise from the upper left, at cell middles.
            let corners = [
                (i - 1, j - 1, field[j - 1][i - 1] - level),
                (i, j - 1, field[j - 1][i] - level),
                (i, j, field[j][i] - level),
                (i - 1, j, field[j][i - 1] - level),
            ];
            let mut crossings = Vec::new();
            for k in 0..4 {
                let (ai, aj, a) = corners[k];
                let (bi, bj, b) = corners[(k + 1) % 4];
                if (a < 0.0) != (b < 0.0) {
                    let t = a / (a - b);
                    let mix = |p: usize, q: usize| {
                        p as f64 + t * (q as f64 - p as f64) + 0.5
                    };
                    crossings.push([mix(ai, bi), mix(aj, bj)]);
                }
            }
            for pair in crossings.chunks_exact(2) {
                segments.push([pair[0], pair[1]]);
            }
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contour_of_a_ramp_is_a_straight_line_at_its_middle() {
        let row: Vec<f64> = (0..5).map(|i| f64::from(i) / 4.0).collect();
        let rows = vec![row; 3];
        let field: Vec<&Vec<f64>> = rows.iter().collect();
        let segments = contour(&field, 0.45);
        assert_eq!(segments.len(), 2);
        for [x, _] in segments.into_iter().flatten() {
            assert!((x - (4.0 * 0.45 + 0.5)).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn a_saddle_gives_two_lines_and_a_flat_field_none() {
        let saddle = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let field: Vec<&Vec<f64>> = saddle.iter().collect();
        assert_eq!(contour(&field, 0.5).len(), 2);
        let flat = [vec![0.2; 4], vec![0.2; 4]];
        let field: Vec<&Vec<f64>> = flat.iter().collect();
        assert!(contour(&field, 0.5).is_empty());
    }
}
