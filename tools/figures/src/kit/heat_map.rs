//! Matrices with their numbers.

use super::picture::{SMALL, TEXT, WIDTH};
use super::text::width;
use super::{Look, Paint, Picture, Type, fixed};

/// A matrix: a cell is the more coloured the larger its number, violet for
/// positive and gold for negative ones, and shows the number.
///
/// ```
/// use figures::kit::HeatMap;
/// // Rows of the Jacobian of a softmax: they sum to zero.
/// let j = vec![vec![0.21, -0.21], vec![-0.21, 0.21]];
/// let picture = HeatMap::new(&j)
///     .rows("output", &["y_1", "y_2"])
///     .columns("logit", &["x_1", "x_2"])
///     .places(2)
///     .picture();
/// assert!(picture.inline("doc-j", "t", "d").contains(">−0.21</text>"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    values: Vec<Vec<f64>>,
    rows: (String, Vec<String>),
    columns: (String, Vec<String>),
    places: usize,
    most: Option<f64>,
    side: f64,
    blank_zeros: bool,
    confusion: bool,
}

impl HeatMap {
    /// `values[row][column]`.
    pub fn new(values: &[Vec<f64>]) -> Self {
        Self {
            values: values.to_vec(),
            rows: Default::default(),
            columns: Default::default(),
            places: 2,
            most: None,
            side: 72.0,
            blank_zeros: false,
            confusion: false,
        }
    }

    /// What the rows are, and the name of each.
    pub fn rows<S: AsRef<str>>(mut self, title: &str, names: &[S]) -> Self {
        let names = names.iter().map(|n| n.as_ref().into()).collect();
        self.rows = (title.into(), names);
        self
    }

    /// What the columns are, and the name of each.
    pub fn columns<S: AsRef<str>>(mut self, title: &str, names: &[S]) -> Self {
        let names = names.iter().map(|n| n.as_ref().into()).collect();
        self.columns = (title.into(), names);
        self
    }

    /// Digits after the point; 2 unless told.
    pub fn places(mut self, places: usize) -> Self {
        self.places = places;
        self
    }

    /// The absolute value that gets the full colour; the largest unless
    /// told. Larger ones get the full colour too.
    pub fn full_at(mut self, value: f64) -> Self {
        self.most = Some(value);
        self
    }

    /// Side of a cell in units where there is room; 72 unless told.
    pub fn side(mut self, units: f64) -> Self {
        self.side = units;
        self
    }

    /// Leaves cells with a zero empty: for counts.
    pub fn blank_zeros(mut self) -> Self {
        self.blank_zeros = true;
        self
    }

    /// A confusion matrix: whole counts, zeros empty, and what lies off the
    /// diagonal in gold, the more coloured the more there are of it.
    ///
    /// ```
    /// let counts = vec![vec![35.0, 0.0], vec![2.0, 33.0]];
    /// let picture = figures::kit::HeatMap::new(&counts)
    ///     .confusion()
    ///     .rows("digit", &["0", "1"])
    ///     .columns("read as", &["0", "1"])
    ///     .picture();
    /// let svg = picture.inline("doc-c", "t", "d");
    /// assert_eq!(svg.matches("--plot-negative").count(), 1);
    /// ```
    pub fn confusion(mut self) -> Self {
        self.confusion = true;
        self.places = 0;
        self.blank_zeros()
    }

    /// Paint and opacity of a cell.
    fn shade(&self, row: usize, column: usize, most: f64) -> (Paint, f64) {
        let value = self.values[row][column];
        if self.confusion && row != column && value != 0.0 {
            let rows = self.values.iter().enumerate();
            let wrong = rows.flat_map(|(j, row)| {
                let cells = row.iter().enumerate();
                cells.filter(move |(i, _)| *i != j).map(|(_, v)| *v)
            });
            let share = value / wrong.fold(1.0, f64::max);
            return (Paint::Negative, 0.35 + 0.65 * share);
        }
        let paint = if value < 0.0 {
            Paint::Negative
        } else {
            Paint::Positive
        };
        (paint, (value.abs() / most).min(1.0))
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let columns = self.values.iter().map(Vec::len).max().unwrap_or(0);
        let names = self.rows.1.iter().map(|n| width(n, TEXT));
        let title = width(&self.rows.0, SMALL);
        let left = names.fold(title, f64::max) + 16.0;
        let side = self.side.min((WIDTH - left) / columns.max(1) as f64);
        let top = 58.0;
        let total = left + side * columns as f64 + 2.0;
        let tall = side * self.values.len() as f64;
        let mut picture = Picture::new(total, top + tall + 2.0);
        let small = Type::new(SMALL).paint(Paint::Muted);
        let middle = left + side * columns as f64 / 2.0;
        picture.formula([middle, 12.0], &self.columns.0, small.middle());
        picture.formula([left - 12.0, 42.0], &self.rows.0, small.end());
        let all = self.values.iter().flatten().map(|v| v.abs());
        let most = self.most.unwrap_or_else(|| all.fold(1e-300, f64::max));

        let widest = self
            .values
            .iter()
            .flatten()
            .map(|v| width(&fixed(*v, self.places), 1.0))
            .fold(1.0, f64::max);
        let size = TEXT.min((side - 8.0) / widest);
        for (i, name) in self.columns.1.iter().enumerate() {
            let x = left + side * (i as f64 + 0.5);
            let lettering = Type::new(TEXT.min(0.5 * side)).middle();
            picture.formula([x, 42.0], name, lettering);
        }
        for (j, row) in self.values.iter().enumerate() {
            let y = top + side * j as f64;
            if let Some(name) = self.rows.1.get(j) {
                let at = [left - 12.0, y + side / 2.0];
                picture.formula(at, name, Type::new(TEXT).end());
            }
            for (i, value) in row.iter().enumerate() {
                let x = left + side * i as f64;
                let (paint, share) = self.shade(j, i, most);
                let inner = side - 2.0;
                let square = [x + 1.0, y + 1.0, inner, inner];
                picture.rectangle(square, Look::fill(Paint::Ink).opacity(0.05));
                if share > 0.004 {
                    picture.rectangle(square, Look::fill(paint).opacity(share));
                }
                if *value == 0.0 && self.blank_zeros {
                    continue;
                }
                let at = [x + side / 2.0, y + side / 2.0];
                let text = fixed(*value, self.places);
                picture.text(at, &text, Type::new(size).middle());
            }
        }
        picture
    }
}
