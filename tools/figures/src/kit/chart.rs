//! Charts with axes: lines, points, bars.

use std::ops::Range;

use plotters::coord::ranged1d::{
    KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter,
};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::canvas::{FINE, plotters_style};
use super::picture::{Dash, SMALL, TEXT, WIDTH};
use super::text::{superscript, width};
use super::{Canvas, Look, Paint, Picture, Point, Type, number};

/// An axis: its title with the unit, its scale and its range.
///
/// ```
/// use figures::kit::Axis;
/// let x = Axis::linear("epoch");
/// let y = Axis::log("step h").range(1e-15, 1.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    title: String,
    log: bool,
    range: Option<(f64, f64)>,
}

impl Axis {
    /// Equal steps, equal lengths. The title names quantity and unit.
    pub fn linear(title: &str) -> Self {
        Self {
            title: title.into(),
            log: false,
            range: None,
        }
    }

    /// Equal ratios, equal lengths. Points at or below zero have no place
    /// on it and are left out.
    pub fn log(title: &str) -> Self {
        Self {
            log: true,
            ..Self::linear(title)
        }
    }

    /// Shows `low` to `high` instead of what the points need.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    fn shows(&self, v: f64) -> bool {
        v.is_finite() && (!self.log || v > 0.0)
    }

    fn scale(&self, values: impl Iterator<Item = f64>, margin: f64) -> Scale {
        let (low, high) = self.range.unwrap_or_else(|| {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for v in values.filter(|v| self.shows(*v)) {
                (low, high) = (low.min(v), high.max(v));
            }
            if low > high {
                (low, high) = (1.0, 10.0);
            }
            if self.log {
                let room = (high / low).powf(margin).max(1.02);
                (low / room, high * room)
            } else {
                let room = margin * (high - low).max(1e-300);
                // A bar or a loss stands on zero.
                let floor = if low >= 0.0 && low < 0.35 * high {
                    0.0
                } else {
                    low - room
                };
                (floor, high + room)
            }
        });
        Scale {
            low,
            high,
            log: self.log,
        }
    }
}

/// A linear or logarithmic axis for plotters.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// Decades where they are enough, else 1, 2, 5.
    fn decades(self, most: usize) -> Vec<f64> {
        let (low, high) = (self.low.log10(), self.high.log10());
        let (first, last) = (low.floor() as i32, high.ceil() as i32);
        let inside =
            |v: &f64| (self.low * 0.999..=self.high * 1.001).contains(v);
        let power = |e: i32| 10f64.powi(e);
        let tens: Vec<i32> =
            (first..=last).filter(|e| inside(&power(*e))).collect();
        if tens.len() >= 3 {
            let step = tens.len().div_ceil(most.max(1)) as i32;
            let shown = tens.into_iter().filter(|e| e % step == 0);
            return shown.map(power).collect();
        }
        let all =
            (first..=last).flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * power(e)));
        all.filter(inside).collect()
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let scaled = |v: f64| if self.log { v.ln() } else { v };
        let (low, high) = (scaled(self.low), scaled(self.high));
        let t = (scaled(*value) - low) / (high - low);
        limit.0 + (t * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if self.log {
            self.decades(hint.max_num_points())
        } else {
            RangedCoordf64::from(self.low..self.high).key_points(hint)
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        let exponent = value.abs().log10();
        let power = (exponent - exponent.round()).abs() < 1e-9;
        // Powers of ten all along the axis, or nowhere.
        let wide = self.low < 0.9e-3 || self.high > 1.1e4;
        if self.log && power && wide && !(-0.1..1.1).contains(&exponent) {
            return format!("10{}", superscript(exponent.round() as i32));
        }
        let step = (self.high - self.low).abs();
        let tiny = !self.log && value.abs() < 1e-9 * step;
        number(if tiny { 0.0 } else { *value }, 6)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Line,
    Marked,
    Points,
    Bars,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    label: String,
    points: Vec<Point>,
    /// Left and right edge of each bar.
    kind: Kind,
    paint: Paint,
    dash: Dash,
    marker: u8,
    label_at: Option<usize>,
    /// Lower and upper edge of what lies around it.
    band: Option<[Vec<Point>; 2]>,
}

impl Series {
    /// Its own points, and those of the edges of its band.
    fn all_points(&self) -> impl Iterator<Item = &Point> {
        self.points
            .iter()
            .chain(self.band.iter().flatten().flatten())
    }
}

/// A chart with axes and labels beside the series.
///
/// Colours, dashes and markers are given in order; every series is named at
/// its last point, in its colour, so there is no legend.
///
/// ```
/// use figures::kit::{Axis, Chart};
///
/// let train = [[1.0, 0.9], [2.0, 0.4], [3.0, 0.2]];
/// let test = [[1.0, 1.0], [2.0, 0.6], [3.0, 0.5]];
/// let picture = Chart::new(Axis::linear("epoch"), Axis::linear("loss, nats"))
///     .line("training", &train)
///     .line("test", &test)
///     .picture();
/// let svg = picture.inline("doc-loss", "Loss", "Both curves fall.");
/// assert!(svg.contains(">training</text>"));
/// assert!(svg.contains("stroke-dasharray"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    rules: Vec<(f64, String)>,
    notes: Vec<(Point, Point, String)>,
    size: Point,
}

impl Chart {
    /// An empty chart.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            series: Vec::new(),
            rules: Vec::new(),
            notes: Vec::new(),
            size: [WIDTH, 370.0],
        }
    }

    fn add(mut self, label: &str, points: &[Point], kind: Kind) -> Self {
        let n = self.series.len();
        self.series.push(Series {
            label: label.into(),
            points: points.to_vec(),
            kind,
            paint: Paint::Series((n % 6) as u8 + 1),
            dash: Dash::ALL[n % Dash::ALL.len()],
            marker: (n % 6) as u8,
            label_at: None,
            band: None,
        });
        self
    }

    /// A line through points, in their order.
    pub fn line(self, label: &str, points: &[Point]) -> Self {
        self.add(label, points, Kind::Line)
    }

    /// A line with a marker on every point: for a few measurements.
    pub fn marked_line(self, label: &str, points: &[Point]) -> Self {
        self.add(label, points, Kind::Marked)
    }

    /// Points without a line.
    pub fn points(self, label: &str, points: &[Point]) -> Self {
        self.add(label, points, Kind::Points)
    }

    /// Histogram: bar `i` reaches from `edges[i]` to `edges[i + 1]` and is
    /// `heights[i]` high.
    ///
    /// # Panics
    /// Unless there is one more edge than heights.
    #[track_caller]
    pub fn histogram(
        self,
        label: &str,
        edges: &[f64],
        heights: &[f64],
    ) -> Self {
        assert_eq!(
            edges.len(),
            heights.len() + 1,
            "histogram: one more edge than heights"
        );
        let mut points: Vec<Point> =
            edges.iter().zip(heights).map(|(e, h)| [*e, *h]).collect();
        points.push([edges[edges.len() - 1], 0.0]);
        self.add(label, &points, Kind::Bars)
    }

    /// Gives the last series another colour, such as that of its role.
    pub fn paint(mut self, paint: Paint) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.paint = paint;
        }
        self
    }

    /// Gives the last series another dash.
    pub fn dash(mut self, dash: Dash) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.dash = dash;
        }
        self
    }

    /// Names the last series at its point `index`, above it, instead of at
    /// the right end.
    pub fn label_at(mut self, index: usize) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.label_at = Some(index);
        }
        self
    }

    /// Fills what lies between two lines around the last series, such as the
    /// range of several seeds around their mean.
    ///
    /// ```
    /// use figures::kit::{Axis, Chart};
    ///
    /// let [low, mean, high] = [-1.0, 0.0, 1.0].map(|y| [[0.0, y], [9.0, y]]);
    /// let picture = Chart::new(Axis::linear("step"), Axis::linear("return"))
    ///     .line("mean", &mean)
    ///     .band(&low, &high)
    ///     .picture();
    /// assert!(picture.inline("doc-band", "t", "d").contains("fill-opacity"));
    /// ```
    pub fn band(mut self, low: &[Point], high: &[Point]) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.band = Some([low.to_vec(), high.to_vec()]);
        }
        self
    }

    /// A horizontal reference line with its name.
    pub fn rule(mut self, y: f64, label: &str) -> Self {
        self.rules.push((y, label.into()));
        self
    }

    /// A remark at `(x, y)`, its text moved by `shift` units (y down) and
    /// joined by a hairline.
    pub fn note(mut self, at: Point, shift: Point, text: &str) -> Self {
        self.notes.push((at, shift, text.into()));
        self
    }

    /// Units of width and height; 640 by 370 unless told.
    pub fn size(mut self, width: f64, height: f64) -> Self {
        self.size = [width, height];
        self
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let [w, h] = self.size;
        let mut picture = Picture::new(w, h);
        let points = || self.series.iter().flat_map(Series::all_points);
        let rules = self.rules.iter().map(|r| r.0);
        let x = self.x.scale(points().map(|p| p[0]), 0.02);
        let y = self.y.scale(points().map(|p| p[1]).chain(rules), 0.05);

        let right = self
            .series
            .iter()
            .filter(|s| s.label_at.is_none())
            .map(|s| width(&s.label, TEXT) + 16.0)
            .fold(20.0, f64::max);
        let ticks: Vec<String> = y
            .key_points(BoldTicks(6))
            .iter()
            .map(|v| y.format_ext(v))
            .collect();
        let left = ticks.iter().map(|t| width(t, SMALL)).fold(20.0, f64::max);

        // Where a value lies, in units; taken from plotters' chart.
        let place = draw_axes(&mut picture, x, y, left + 16.0, right);
        let at = |p: Point| place(p);
        let title = Type::new(SMALL).paint(Paint::Muted);
        picture.formula([2.0, 14.0], &self.y.title, title);
        let corner = at([x.high, y.low]);
        picture.formula([corner[0], h - 12.0], &self.x.title, title.end());

        for (value, label) in &self.rules {
            let (from, to) = (at([x.low, *value]), at([x.high, *value]));
            let look = Look::stroke(Paint::Muted, 1.5).dash(Dash::Dotted);
            picture.line(from, to, look);
            let lettering = Type::new(SMALL).paint(Paint::Muted).end().halo();
            picture.text([to[0] - 4.0, to[1] - 13.0], label, lettering);
        }
        for series in &self.series {
            let Some([low, high]) = &series.band else {
                continue;
            };
            let around = low.iter().chain(high.iter().rev());
            let shows = |p: &&Point| self.x.shows(p[0]) && self.y.shows(p[1]);
            let around: Vec<Point> =
                around.filter(shows).map(|p| at(*p)).collect();
            picture.polygon(&around, Look::fill(series.paint).opacity(0.2));
        }
        let mut names = Vec::new();
        for series in &self.series {
            let shown: Vec<Point> = series
                .points
                .iter()
                .filter(|p| self.x.shows(p[0]) && self.y.shows(p[1]))
                .map(|p| at(*p))
                .collect();
            draw_series(&mut picture, series, &shown, at([x.low, y.low])[1]);
            let lettering = Type::new(TEXT).paint(series.paint).halo();
            match series.label_at {
                Some(i) if i < shown.len() => {
                    let (from, to) =
                        (i.max(1) - 1, (i + 1).min(shown.len() - 1));
                    let (a, b) = (shown[from], shown[to]);
                    // Above the line, on the side to which it falls.
                    let rise = (a[1] - b[1]) / (b[0] - a[0]);
                    let (side, style) = if rise > 0.2 {
                        (-10.0, lettering.end())
                    } else if rise < -0.2 {
                        (10.0, lettering)
                    } else {
                        (0.0, lettering.middle())
                    };
                    let at = [shown[i][0] + side, shown[i][1] - 16.0];
                    picture.formula(at, &series.label, style);
                }
                _ => {
                    names.extend(shown.last().map(|p| (*p, series, lettering)))
                }
            }
        }
        for ([px, py], shift, text) in &self.notes {
            let [px, py] = at([*px, *py]);
            let to = [px + shift[0], py + shift[1]];
            picture.line([px, py], to, Look::stroke(Paint::Muted, 1.0));
            picture.circle([px, py], 4.0, Look::fill(Paint::Ink));
            let lettering = Type::new(SMALL).halo();
            let lettering = if shift[0] < -1.0 {
                lettering.end()
            } else if shift[0] > 1.0 {
                lettering
            } else {
                lettering.middle()
            };
            let below = 10.0 * shift[1].signum();
            picture.formula([to[0], to[1] + below], text, lettering);
        }
        let wanted: Vec<f64> = names.iter().map(|n| n.0[1]).collect();
        let placed = spread(&wanted, TEXT * 1.15, 12.0, corner[1] - 9.0);
        for ((at, series, lettering), y) in names.iter().zip(placed) {
            picture.formula([at[0] + 12.0, y], &series.label, *lettering);
        }
        picture
    }
}

/// plotters draws grid, axes and ticks; returns where a value lies.
fn draw_axes(
    picture: &mut Picture,
    x: Scale,
    y: Scale,
    left: f64,
    right: f64,
) -> impl Fn(Point) -> Point + use<> {
    let fine = |length: f64| (length * FINE) as u32;
    let area = Canvas::new(picture).into_drawing_area();
    let built = ChartBuilder::on(&area)
        .margin_top(fine(34.0))
        .margin_right(fine(right))
        .x_label_area_size(fine(52.0))
        .y_label_area_size(fine(left))
        .build_cartesian_2d(x, y);
    let Ok(mut chart) = built else {
        unreachable!("drawing into a string cannot fail");
    };
    let (muted, dash, _) = Paint::Muted.to_rgb();
    let color = RGBColor(muted, dash, 0);
    let small = ("inherit", SMALL * FINE).into_font().color(&color);
    let faint = plotters_style(Paint::Faint, 1.0, Dash::Solid);
    let axis = plotters_style(Paint::Muted, 1.2, Dash::Solid);
    let drawn = chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .bold_line_style(faint)
        .light_line_style(faint)
        .axis_style(axis)
        .label_style(small)
        .x_labels(8)
        .y_labels(6)
        .set_all_tick_mark_size(fine(5.0))
        .x_label_formatter(&|v| x.format_ext(v))
        .y_label_formatter(&|v| y.format_ext(v))
        .draw();
    if drawn.is_err() {
        unreachable!("drawing into a string cannot fail");
    }
    let (across, down) = chart.plotting_area().get_pixel_range();
    move |[px, py]| {
        let x = x.map(&px, (across.start, across.end));
        let y = y.map(&py, (down.end, down.start));
        [f64::from(x) / FINE, f64::from(y) / FINE]
    }
}

/// The ticks that plotters' mesh asks for.
struct BoldTicks(usize);

impl KeyPointHint for BoldTicks {
    fn max_num_points(&self) -> usize {
        self.0
    }

    fn weight(&self) -> plotters::coord::ranged1d::KeyPointWeight {
        plotters::coord::ranged1d::KeyPointWeight::Bold
    }
}

fn draw_series(
    picture: &mut Picture,
    series: &Series,
    shown: &[Point],
    floor: f64,
) {
    if series.kind == Kind::Bars {
        let look = Look::stroke(series.paint, 1.5).tinted(0.3);
        for pair in shown.windows(2) {
            let [[x, y], [next, _]] = [pair[0], pair[1]];
            picture.rectangle([x, y, next - x, floor - y], look);
        }
        return;
    }
    if series.kind != Kind::Points {
        let look = Look::stroke(series.paint, 3.0).dash(series.dash);
        picture.polyline(shown, look);
    }
    if series.kind != Kind::Line {
        for p in shown {
            picture.marker(*p, 5.5, series.marker, series.paint);
        }
    }
}

/// Moves heights apart until they are `gap` from one another, in order and
/// between `top` and `bottom`.
fn spread(wanted: &[f64], gap: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut placed = wanted.to_vec();
    for _ in 0..50 {
        for pair in order.windows(2) {
            let overlap = gap - (placed[pair[1]] - placed[pair[0]]);
            if overlap > 0.0 {
                placed[pair[0]] -= overlap / 2.0;
                placed[pair[1]] += overlap / 2.0;
            }
        }
        for y in &mut placed {
            *y = y.clamp(top, bottom);
        }
    }
    placed
}

/// Horizontal bars with their values: a few numbers to compare.
///
/// ```
/// use figures::kit::Bars;
/// let picture = Bars::new("seconds per epoch")
///     .bar("plain loops", 1.9)
///     .bar("matrix product", 0.06)
///     .picture();
/// assert!(picture.inline("doc-bars", "t", "d").contains(">0.06</text>"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    title: String,
    bars: Vec<(String, f64, Paint)>,
    digits: usize,
}

impl Bars {
    /// No bars yet; `title` names quantity and unit.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.into(),
            bars: Vec::new(),
            digits: 3,
        }
    }

    /// A bar of length `value`, not negative.
    pub fn bar(mut self, label: &str, value: f64) -> Self {
        self.bars.push((label.into(), value, Paint::Series(1)));
        self
    }

    /// Gives the last bar another colour.
    pub fn paint(mut self, paint: Paint) -> Self {
        if let Some(bar) = self.bars.last_mut() {
            bar.2 = paint;
        }
        self
    }

    /// Significant digits of the values; 3 unless told.
    pub fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let (row, top) = (40.0, 34.0);
        let texts: Vec<String> =
            self.bars.iter().map(|b| number(b.1, self.digits)).collect();
        let widest =
            |size: &mut dyn Iterator<Item = f64>| size.fold(0.0, f64::max);
        let left =
            widest(&mut self.bars.iter().map(|b| width(&b.0, TEXT))) + 14.0;
        let right = widest(&mut texts.iter().map(|t| width(t, TEXT))) + 14.0;
        let most = widest(&mut self.bars.iter().map(|b| b.1)).max(1e-300);
        let room = WIDTH - left - right;
        let height = top + row * self.bars.len() as f64;
        let mut picture = Picture::new(WIDTH, height);
        let title = Type::new(SMALL).paint(Paint::Muted);
        picture.formula([left, 14.0], &self.title, title);
        for (i, (label, value, paint)) in self.bars.iter().enumerate() {
            let y = top + row * (i as f64 + 0.5);
            let length = (room * value / most).max(1.0);
            let name = Type::new(TEXT).end();
            picture.formula([left - 12.0, y], label, name);
            let look = Look::stroke(*paint, 1.5).tinted(0.35);
            picture.rectangle([left, y - 13.0, length, 26.0], look);
            let at = [left + length + 9.0, y];
            picture.text(at, &texts[i], Type::new(TEXT));
        }
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_ticks_are_decades_or_one_two_five() {
        let scale = |low, high| Scale {
            low,
            high,
            log: true,
        };
        assert_eq!(scale(1e-3, 1.0).decades(8), [0.001, 0.01, 0.1, 1.0]);
        assert_eq!(scale(0.9, 12.0).decades(8), [1.0, 2.0, 5.0, 10.0]);
        let wide = scale(1e-15, 1.0);
        assert!(wide.decades(8).len() <= 8);
        assert_eq!(wide.format_ext(&1e-12), "10⁻¹²");
        assert_eq!(wide.format_ext(&0.01), "10⁻²");
        assert_eq!(wide.format_ext(&1.0), "1");
        assert_eq!(scale(0.01, 1.0).format_ext(&0.01), "0.01");
    }

    #[test]
    fn a_scale_maps_its_ends_to_the_limits() {
        for log in [false, true] {
            let scale = Scale {
                low: 0.5,
                high: 8.0,
                log,
            };
            assert_eq!(scale.map(&0.5, (100, 900)), 100);
            assert_eq!(scale.map(&8.0, (100, 900)), 900);
            let middle = if log { 2.0 } else { 4.25 };
            assert_eq!(scale.map(&middle, (100, 900)), 500);
        }
    }

    #[test]
    fn points_without_a_place_on_a_log_axis_are_left_out() {
        let points = [[1.0, 1.0], [2.0, 0.0], [3.0, f64::NAN], [4.0, 0.1]];
        let chart = Chart::new(Axis::linear("x"), Axis::log("y"))
            .points("p", &points)
            .picture()
            .inline("i", "t", "d");
        assert_eq!(chart.matches("<circle").count(), 2);
        assert!(!chart.contains("NaN") && !chart.contains("inf"));
    }

    #[test]
    fn labels_do_not_overlap() {
        let placed = spread(&[100.0, 101.0, 99.0], 20.0, 0.0, 400.0);
        assert!(placed[2] + 19.9 < placed[0] && placed[0] + 19.9 < placed[1]);
    }
}
