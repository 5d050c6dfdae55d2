//! The plotters backend that draws into a [`Picture`].
//!
//! plotters' own SVG backend rounds to whole units, names colours in hex and
//! cuts dashed lines into pieces. This one takes coordinates ten times as
//! fine, and a colour is the index of a [`Paint`] with a [`Dash`] beside it.

use std::convert::Infallible;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle,
    DrawingErrorKind,
};

use super::picture::Dash;
use super::{Look, Paint, Picture, Type};

/// plotters' pixels per unit of the picture.
pub const FINE: f64 = 10.0;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// A picture as a plotters backend. Sizes and widths given to plotters are
/// in tenths of a unit.
///
/// ```
/// use figures::kit::{Canvas, Dash, FINE, Paint, Picture, plotters_style};
/// use plotters::prelude::*;
///
/// let mut picture = Picture::new(640.0, 360.0);
/// let area = Canvas::new(&mut picture).into_drawing_area();
/// let mut chart = ChartBuilder::on(&area)
///     .build_cartesian_2d(0.0..1.0, 0.0..1.0)
///     .unwrap();
/// let look = plotters_style(Paint::Series(1), 3.0, Dash::Dashed);
/// let line = LineSeries::new([(0.0, 0.0), (1.0, 1.0)], look);
/// chart.draw_series(line).unwrap();
/// drop((chart, area));
/// assert!(picture.inline("doc", "t", "d").contains("M0 359"));
/// ```
pub struct Canvas<'a> {
    picture: &'a mut Picture,
}

impl<'a> Canvas<'a> {
    /// Draws into `picture`.
    pub fn new(picture: &'a mut Picture) -> Self {
        Self { picture }
    }
}

/// A plotters style for a paint, a width in units and a dash.
pub fn plotters_style(paint: Paint, width: f64, dash: Dash) -> ShapeStyle {
    let (index, _, _) = paint.to_rgb();
    let dash = Dash::ALL.iter().position(|d| *d == dash).unwrap_or(0) as u8;
    ShapeStyle {
        color: RGBColor(index, dash, 0).to_rgba(),
        filled: false,
        stroke_width: (width * FINE).round() as u32,
    }
}

fn point((x, y): BackendCoord) -> [f64; 2] {
    [f64::from(x) / FINE, f64::from(y) / FINE]
}

fn stroke<S: BackendStyle>(style: &S) -> Look {
    let rgb = style.color().rgb;
    let width = f64::from(style.stroke_width()) / FINE;
    let dash = Dash::ALL.get(usize::from(rgb.1)).copied();
    Look::stroke(Paint::from_rgb(rgb), width).dash(dash.unwrap_or(Dash::Solid))
}

fn fill(color: BackendColor) -> Look {
    Look::fill(Paint::from_rgb(color.rgb)).opacity(color.alpha)
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        let fine = |length: f64| (length * FINE).round() as u32;
        (fine(self.picture.width()), fine(self.picture.height()))
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn {
        let [x, y] = point(at);
        let side = 1.0 / FINE;
        self.picture.rectangle([x, y, side, side], fill(color));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if style.color().alpha > 0.0 && style.stroke_width() > 0 {
            let points: Vec<_> = path.into_iter().map(point).collect();
            self.picture.polyline(&points, stroke(style));
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        filled: bool,
    ) -> Drawn {
        let ([x, y], [r, b]) = (point(upper_left), point(bottom_right));
        let (x, r) = (x.min(r), x.max(r));
        let (y, b) = (y.min(b), y.max(b));
        let look = if filled {
            fill(style.color())
        } else {
            stroke(style)
        };
        self.picture.rectangle([x, y, r - x, b - y], look);
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        filled: bool,
    ) -> Drawn {
        let look = if filled {
            fill(style.color())
        } else {
            stroke(style)
        };
        let radius = f64::from(radius) / FINE;
        self.picture.circle(point(center), radius, look);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<_> = vertices.into_iter().map(point).collect();
        self.picture.polygon(&points, fill(style.color()));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Drawn {
        let size = style.size() / FINE;
        let [x, y] = point(at);
        let anchor = style.anchor();
        let y = match anchor.v_pos {
            VPos::Top => y + 0.5 * size,
            VPos::Center => y,
            VPos::Bottom => y - 0.5 * size,
        };
        let paint = Paint::from_rgb(style.color().rgb);
        let lettering = Type::new(size).paint(paint);
        let lettering = match anchor.h_pos {
            HPos::Left => lettering,
            HPos::Center => lettering.middle(),
            HPos::Right => lettering.end(),
        };
        self.picture.text([x, y], text, lettering);
        Ok(())
    }

    // plotters would ask the page's window, where there is one, and what is
    // drawn in a page has to be what is drawn here: its own estimate without
    // a font, for letters as wide as most.
    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let em = style.size() / 1.24 / 1.24;
        let wide = (0.7 * em * text.len() as f64).round();
        Ok((wide as u32, (em.round() + (0.24 * em).round()) as u32))
    }

    fn blit_bitmap(
        &mut self,
        _: BackendCoord,
        _: (u32, u32),
        _: &[u8],
    ) -> Drawn {
        // A bitmap cannot follow the theme; no chart of ours draws one.
        Ok(())
    }
}
