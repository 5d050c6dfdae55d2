//! A picture: elements in the units of its `viewBox`.

use std::fmt::{Display, Write};

use super::Paint;
use super::text::{coordinate, escape, factor, formula};

/// Size of labels and values. A page shows 640 units in the width of its
/// text, 667 pixels, and a phone in 540, which scroll: labels are a little
/// smaller than the text beside them and larger than ticks.
pub const TEXT: f64 = 14.0;
/// Size of ticks and small print.
pub const SMALL: f64 = 12.5;
/// Width of a figure that fills the text.
pub const WIDTH: f64 = 640.0;

/// A point: x to the right, y down.
pub type Point = [f64; 2];

/// How a shape looks.
///
/// ```
/// use figures::kit::{Look, Paint};
/// let box_of_weights = Look::stroke(Paint::Weight, 3.0).tinted(0.15);
/// let box_of_cotangents = Look::stroke(Paint::Cotangent, 2.0).dashed();
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    fill: Option<(Paint, f64)>,
    stroke: Option<(Paint, f64)>,
    dash: Dash,
    corner: f64,
}

/// Dash pattern of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    /// An unbroken line.
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// A dash and a dot.
    DashDot,
    /// Long gaps.
    Sparse,
}

impl Dash {
    pub(super) const ALL: [Self; 5] = [
        Self::Solid,
        Self::Dashed,
        Self::Dotted,
        Self::DashDot,
        Self::Sparse,
    ];

    fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some("8 5"),
            Self::Dotted => Some("2 5"),
            Self::DashDot => Some("12 5 2 5"),
            Self::Sparse => Some("5 10"),
        }
    }
}

impl Look {
    /// A filled shape without outline.
    pub const fn fill(paint: Paint) -> Self {
        Self {
            fill: Some((paint, 1.0)),
            stroke: None,
            dash: Dash::Solid,
            corner: 0.0,
        }
    }

    /// An outline, or a line.
    pub const fn stroke(paint: Paint, width: f64) -> Self {
        Self {
            fill: None,
            stroke: Some((paint, width)),
            dash: Dash::Solid,
            corner: 0.0,
        }
    }

    /// The outline of a quantity, with its second cue: weights are thick,
    /// activations have round corners, cotangents are dashed.
    pub const fn role(paint: Paint) -> Self {
        let look = Self::stroke(paint, 2.0).tinted(0.13);
        match paint {
            Paint::Weight => Self::stroke(paint, 4.0).tinted(0.13),
            Paint::Activation => look.rounded(8.0),
            Paint::Cotangent => look.dashed(),
            _ => look,
        }
    }

    /// Fills with the paint of the outline, thinned to `opacity`.
    pub const fn tinted(mut self, opacity: f64) -> Self {
        if let Some((paint, _)) = self.stroke {
            self.fill = Some((paint, opacity));
        }
        self
    }

    /// Thins the fill.
    pub const fn opacity(mut self, opacity: f64) -> Self {
        if let Some((paint, _)) = self.fill {
            self.fill = Some((paint, opacity));
        }
        self
    }

    /// Long dashes.
    pub const fn dashed(self) -> Self {
        self.dash(Dash::Dashed)
    }

    /// Any dash pattern.
    pub const fn dash(mut self, dash: Dash) -> Self {
        self.dash = dash;
        self
    }

    /// Corners of a rectangle.
    pub const fn rounded(mut self, radius: f64) -> Self {
        self.corner = radius;
        self
    }

    fn attributes(&self) -> String {
        let mut out = String::new();
        match self.fill {
            None => out.push_str(" fill=\"none\""),
            Some((paint, opacity)) => {
                paint_attributes(&mut out, "fill", paint, opacity);
            }
        }
        if let Some((paint, width)) = self.stroke {
            paint_attributes(&mut out, "stroke", paint, 1.0);
            let _ = write!(out, " stroke-width=\"{}\"", coordinate(width));
        }
        if let Some(pattern) = self.dash.pattern() {
            let _ = write!(out, " stroke-dasharray=\"{pattern}\"");
        }
        if self.corner > 0.0 {
            let _ = write!(out, " rx=\"{}\"", coordinate(self.corner));
        }
        out
    }
}

fn paint_attributes(out: &mut String, what: &str, paint: Paint, opacity: f64) {
    let _ = write!(out, " {what}=\"{}\"", paint.css());
    let opacity = opacity * paint.opacity();
    if opacity < 0.995 {
        let _ = write!(out, " {what}-opacity=\"{}\"", factor(opacity));
    }
}

/// How a text looks and where its point lies.
///
/// ```
/// use figures::kit::{Paint, Type, SMALL, TEXT};
/// let value = Type::new(TEXT).middle().paint(Paint::Activation).bold();
/// let tick = Type::new(SMALL).end().paint(Paint::Muted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Type {
    size: f64,
    paint: Paint,
    anchor: &'static str,
    bold: bool,
    halo: bool,
}

impl Type {
    /// Ink, upright, starting at its point.
    pub const fn new(size: f64) -> Self {
        Self {
            size,
            paint: Paint::Ink,
            anchor: "",
            bold: false,
            halo: false,
        }
    }

    /// Centred on its point.
    pub const fn middle(mut self) -> Self {
        self.anchor = " text-anchor=\"middle\"";
        self
    }

    /// Ending at its point.
    pub const fn end(mut self) -> Self {
        self.anchor = " text-anchor=\"end\"";
        self
    }

    /// In a colour.
    pub const fn paint(mut self, paint: Paint) -> Self {
        self.paint = paint;
        self
    }

    /// In bold.
    pub const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    /// With a rim in the colour of the page, to be read over lines.
    pub const fn halo(mut self) -> Self {
        self.halo = true;
        self
    }

    fn attributes(&self) -> String {
        let mut out = self.anchor.to_string();
        paint_attributes(&mut out, "fill", self.paint, 1.0);
        if self.bold {
            out.push_str(" font-weight=\"600\"");
        }
        if self.halo {
            let _ = write!(
                out,
                " stroke=\"{}\" stroke-width=\"5\" \
                 stroke-linejoin=\"round\" paint-order=\"stroke\"",
                Paint::Page.css()
            );
        }
        out
    }
}

/// A drawing without its frame.
///
/// ```
/// use figures::kit::{Look, Paint, Picture, TEXT, Type};
///
/// let mut p = Picture::new(200.0, 80.0);
/// p.rectangle([20.0, 20.0, 160.0, 40.0], Look::role(Paint::Input));
/// p.formula([100.0, 40.0], "x_i", Type::new(TEXT).middle());
/// let svg = p.inline("doc-box", "One input", "A box around x.");
/// assert!(svg.contains("var(--q-input, #00619c)"));
/// assert!(svg.starts_with("<svg class=\"plot\" viewBox=\"0 0 200 80\""));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: f64,
    height: f64,
    body: String,
}

impl Picture {
    /// An empty picture of `width` by `height` units. [`WIDTH`] fills the
    /// text of a page; a narrower picture is shown no larger than one pixel
    /// per unit and loses less on a phone.
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// Width in units.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Height in units.
    pub fn height(&self) -> f64 {
        self.height
    }

    /// The `<svg>` element to put into a page. `id` is unique in the book;
    /// `title` and `description` are what a screen reader says.
    pub fn inline(&self, id: &str, title: &str, description: &str) -> String {
        let (width, height) = (coordinate(self.width), coordinate(self.height));
        let (title, description) = (escape(title), escape(description));
        let limit = if self.width < WIDTH {
            // The second is for the theme: on a phone it shows the picture no
            // smaller than this, and scrolls it.
            format!(" style=\"max-width:{width}px;--natural:{width}px\"")
        } else {
            String::new()
        };
        let id = escape(id);
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {width} {height}\"{limit} \
             role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-desc\">{description}</desc>\n{}</svg>",
            self.body
        )
    }

    /// A rectangle: left, top, width, height.
    pub fn rectangle(&mut self, [x, y, w, h]: [f64; 4], look: Look) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}/>",
            coordinate(x),
            coordinate(y),
            coordinate(w),
            coordinate(h),
            look.attributes()
        );
    }

    /// A circle.
    pub fn circle(&mut self, [x, y]: Point, radius: f64, look: Look) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}/>",
            coordinate(x),
            coordinate(y),
            coordinate(radius),
            look.attributes()
        );
    }

    /// A straight line.
    pub fn line(&mut self, from: Point, to: Point, look: Look) {
        self.path(
            &format!(
                "M{} {}L{} {}",
                coordinate(from[0]),
                coordinate(from[1]),
                coordinate(to[0]),
                coordinate(to[1])
            ),
            look,
        );
    }

    /// A line through points.
    pub fn polyline(&mut self, points: &[Point], look: Look) {
        self.path(&path_through(points), look);
    }

    /// A closed shape.
    pub fn polygon(&mut self, points: &[Point], look: Look) {
        self.path(&(path_through(points) + "Z"), look);
    }

    /// An SVG path.
    pub fn path(&mut self, d: &str, look: Look) {
        let look = look.attributes();
        let join = " stroke-linejoin=\"round\"";
        let join = if look.contains("stroke=") { join } else { "" };
        let _ = writeln!(self.body, "<path d=\"{d}\"{look}{join}/>");
    }

    /// A line with a head at its end. The head is never dashed.
    pub fn arrow(&mut self, from: Point, to: Point, look: Look) {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy).max(1e-9);
        let (ux, uy) = (dx / length, dy / length);
        let (paint, width) = look.stroke.unwrap_or((Paint::Ink, 2.0));
        let (long, half) = (7.0 + 2.0 * width, 3.0 + width);
        let base = [to[0] - long * ux, to[1] - long * uy];
        self.line(from, base, look);
        let left = [base[0] - half * uy, base[1] + half * ux];
        let right = [base[0] + half * uy, base[1] - half * ux];
        self.polygon(&[to, left, right], Look::fill(paint));
    }

    /// A marker of area about that of a disc with `radius`: the second cue
    /// of series and classes. 0 disc, 1 triangle, 2 square, 3 diamond,
    /// 4 ring, 5 cross; then again from 0.
    pub fn marker(&mut self, [x, y]: Point, radius: f64, kind: u8, p: Paint) {
        let r = radius;
        let fill = Look::fill(p);
        match kind % 6 {
            0 => self.circle([x, y], r, fill),
            1 => {
                let (w, h) = (1.25 * r, 1.1 * r);
                self.polygon(
                    &[[x, y - 1.3 * r], [x + w, y + h], [x - w, y + h]],
                    fill,
                );
            }
            2 => {
                let s = 0.9 * r;
                self.rectangle([x - s, y - s, 2.0 * s, 2.0 * s], fill);
            }
            3 => {
                let s = 1.3 * r;
                self.polygon(
                    &[[x, y - s], [x + s, y], [x, y + s], [x - s, y]],
                    fill,
                );
            }
            4 => self.circle([x, y], r, Look::stroke(p, 2.0)),
            _ => {
                let look = Look::stroke(p, 2.0);
                self.line([x - r, y - r], [x + r, y + r], look);
                self.line([x - r, y + r], [x + r, y - r], look);
            }
        }
    }

    /// A text; `y` is the middle of its small letters.
    pub fn text(&mut self, [x, y]: Point, text: &str, style: Type) {
        self.raw_text([x, y], &escape(text), style);
    }

    /// A text with subscripts and superscripts: `D_in`, `x_{ij}`, `W^T`;
    /// single letters, and pairs such as `dW`, are italic.
    pub fn formula(&mut self, at: Point, source: &str, style: Type) {
        let mut inner = String::new();
        let mut shift = 0.0;
        for part in formula(source) {
            let level = f64::from(part.level);
            let target =
                -style.size * if level > 0.0 { 0.4 } else { 0.25 } * level;
            let mut attributes = String::new();
            if target != shift {
                let dy = coordinate(target - shift);
                let _ = write!(attributes, " dy=\"{dy}\"");
                shift = target;
            }
            if part.level != 0 {
                let size = coordinate(style.size * 0.78);
                let _ = write!(attributes, " font-size=\"{size}\"");
            }
            if part.italic {
                attributes.push_str(" font-style=\"italic\"");
            }
            let text = escape(&part.text);
            if attributes.is_empty() {
                inner.push_str(&text);
            } else {
                let _ = write!(inner, "<tspan{attributes}>{text}</tspan>");
            }
        }
        self.raw_text(at, &inner, style);
    }

    fn raw_text(&mut self, [x, y]: Point, inner: &str, style: Type) {
        let _ = writeln!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{}>{inner}</text>",
            coordinate(x),
            coordinate(y + 0.35 * style.size),
            coordinate(style.size),
            style.attributes()
        );
    }

    /// What `draw` draws, to be clicked: the knob then stands at `setting`,
    /// as [`Knob::parse`](crate::Knob::parse) reads it. A short cut for
    /// readers with a mouse; the control of the knob does the same.
    pub fn choice(
        &mut self,
        knob: &str,
        setting: impl Display,
        draw: impl FnOnce(&mut Self),
    ) {
        let setting = escape(&setting.to_string());
        let _ = writeln!(
            self.body,
            "<g data-knob=\"{}\" data-set=\"{setting}\">",
            escape(knob)
        );
        draw(self);
        self.body.push_str("</g>\n");
    }

    /// What `draw` draws, as a link to another page.
    pub fn link(&mut self, href: &str, draw: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.body, "<a href=\"{}\">", escape(href));
        draw(self);
        self.body.push_str("</a>\n");
    }

    /// An area (left, top, width, height) to be dragged in: from left to
    /// right a slider goes from its least to its largest, a point also from
    /// bottom to top, and strokes are drawn. Nothing is to be seen of it; it
    /// lies over what was drawn before. A short cut, as [`choice`] is.
    ///
    /// [`choice`]: Self::choice
    pub fn handle(&mut self, knob: &str, [x, y, w, h]: [f64; 4]) {
        let _ = writeln!(
            self.body,
            "<rect class=\"handle\" data-knob=\"{}\" x=\"{}\" y=\"{}\" \
             width=\"{}\" height=\"{}\" fill=\"none\" \
             pointer-events=\"all\"/>",
            escape(knob),
            coordinate(x),
            coordinate(y),
            coordinate(w),
            coordinate(h),
        );
    }

    /// Another picture inside this one, its corner at a point.
    pub fn place(&mut self, other: &Self, [x, y]: Point) {
        let _ = writeln!(
            self.body,
            "<g transform=\"translate({} {})\">\n{}</g>",
            coordinate(x),
            coordinate(y),
            other.body
        );
    }

    /// A raster: cells with an opacity, `rows[y][x]` from 0 to 1, each
    /// `side` units wide. Cells of the same shade are one element.
    pub fn raster(
        &mut self,
        [x, y]: Point,
        side: f64,
        rows: &[Vec<f64>],
        paint: Paint,
    ) {
        const SHADES: f64 = 16.0;
        let mut shades = vec![String::new(); SHADES as usize + 1];
        for (j, row) in rows.iter().enumerate() {
            let mut i = 0;
            while i < row.len() {
                let shade = |v: f64| (v.clamp(0.0, 1.0) * SHADES).round();
                let here = shade(row[i]);
                let run =
                    row[i..].iter().take_while(|v| shade(**v) == here).count();
                let _ =
                    write!(shades[here as usize], "M{i} {j}h{run}v1h-{run}z");
                i += run;
            }
        }
        let _ = writeln!(
            self.body,
            "<g transform=\"translate({} {}) scale({})\" fill=\"{}\" \
             shape-rendering=\"crispEdges\">",
            coordinate(x),
            coordinate(y),
            factor(side),
            paint.css()
        );
        for (shade, d) in shades.iter().enumerate().skip(1) {
            if !d.is_empty() {
                let opacity = factor(shade as f64 / SHADES);
                let _ = writeln!(
                    self.body,
                    "<path d=\"{d}\" fill-opacity=\"{opacity}\"/>"
                );
            }
        }
        self.body.push_str("</g>\n");
    }
}

fn path_through(points: &[Point]) -> String {
    let mut d = String::new();
    for (i, p) in points.iter().enumerate() {
        let letter = if i == 0 { 'M' } else { 'L' };
        let _ = write!(d, "{letter}{} {}", coordinate(p[0]), coordinate(p[1]));
    }
    d
}
