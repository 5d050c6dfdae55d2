//! Small grey images in a grid.

use super::picture::{SMALL, WIDTH};
use super::{Look, Paint, Picture, Type};

/// Images side by side, each with its captions: ink on the page, so a dark
/// page shows light strokes.
///
/// ```
/// use figures::kit::Images;
/// let seven = vec![vec![1.0, 1.0], vec![0.0, 1.0]];
/// let picture = Images::new(5)
///     .image(&seven, &["7", "read as 9"])
///     .picture();
/// assert!(picture.inline("doc-digits", "t", "d").contains("read as 9"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    columns: usize,
    side: f64,
    images: Vec<(Vec<Vec<f64>>, Vec<String>)>,
}

impl Images {
    /// A grid with so many images in a row.
    pub fn new(columns: usize) -> Self {
        Self {
            columns: columns.max(1),
            side: 104.0,
            images: Vec::new(),
        }
    }

    /// Side of an image in units where there is room; 104 unless told.
    pub fn side(mut self, units: f64) -> Self {
        self.side = units;
        self
    }

    /// Adds an image: `pixels[row][column]` from 0 (page) to 1 (ink), and
    /// lines of text below it, the first in ink, the others muted.
    pub fn image<S: AsRef<str>>(
        mut self,
        pixels: &[Vec<f64>],
        captions: &[S],
    ) -> Self {
        let captions = captions.iter().map(|c| c.as_ref().into()).collect();
        self.images.push((pixels.to_vec(), captions));
        self
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let columns = self.columns.min(self.images.len().max(1));
        let gap = 20.0;
        let room = (WIDTH - gap * (columns - 1) as f64) / columns as f64;
        let side = self.side.min(room);
        let pitch = (side + gap).max(room.min(side + 3.0 * gap));
        let lines = self.images.iter().map(|i| i.1.len()).max().unwrap_or(0);
        let row = side + 12.0 + 22.0 * lines as f64 + 14.0;
        let rows = self.images.len().div_ceil(columns);
        let wide = pitch * (columns - 1) as f64 + side;
        let margin = (pitch - side) / 2.0;
        let mut picture = Picture::new(
            (wide + 2.0 * margin).min(WIDTH),
            row * rows as f64 - 14.0,
        );
        let margin = (picture.width() - wide) / 2.0;
        for (i, (pixels, captions)) in self.images.iter().enumerate() {
            let x = margin + pitch * (i % columns) as f64;
            let y = row * (i / columns) as f64 + 1.0;
            let cells = pixels.iter().map(Vec::len).max().unwrap_or(1);
            let cell = side / cells.max(1) as f64;
            picture.raster([x, y], cell, pixels, Paint::Ink);
            let frame = [x, y, side, cell * pixels.len() as f64];
            picture.rectangle(frame, Look::stroke(Paint::Faint, 1.0));
            for (line, caption) in captions.iter().enumerate() {
                let style = Type::new(SMALL).middle();
                let style = if line == 0 {
                    style
                } else {
                    style.paint(Paint::Muted)
                };
                let below = y + side + 18.0 + 22.0 * line as f64;
                picture.formula([x + side / 2.0, below], caption, style);
            }
        }
        picture
    }
}
