//! Colours by role, as CSS variables of the book's theme.

/// A colour of the theme. The picture names the role; light and dark hex
/// values live in `book/theme/backprop.css` (and here, as the fallback).
///
/// Every one reaches a contrast of 4.5 : 1 on the page, light and dark, so
/// text may use it too; the two fills for heat maps leave that contrast to
/// the text upon them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// The colour of the text.
    Ink,
    /// Text of less weight: captions, ticks.
    Muted,
    /// Hairlines.
    Faint,
    /// The background of the page.
    Page,
    /// Inputs: `x`.
    Input,
    /// Parameters: `W`, `b`.
    Weight,
    /// What a layer computes: `y`, `h`.
    Activation,
    /// Cotangents: `dy`, `dW`. The second cue is a dashed outline.
    Cotangent,
    /// The series of a chart, 1 to 6; a dash or a marker goes with it. None
    /// has the colour of a quantity.
    Series(u8),
    /// What is right, beside what is wrong; a tick or a word goes with it.
    Right,
    /// A mistake: thin, dashed or crossed out beside what is right.
    Wrong,
    /// Fill of a positive cell in a heat map, and of class 1 in a field.
    Positive,
    /// Fill of a negative cell in a heat map, and of class 0 in a field.
    Negative,
}

/// CSS variable, hex on a light page, hex on a dark page.
const VARIABLES: [(Paint, &str, &str, &str); 15] = [
    (Paint::Page, "--bg", "#fdfcfa", "#12162a"),
    (Paint::Input, "--q-input", "#00619c", "#66b8f5"),
    (Paint::Weight, "--q-weight", "#9f3e00", "#ffa05c"),
    (Paint::Activation, "--q-activation", "#006a49", "#45d09b"),
    (Paint::Cotangent, "--q-cotangent", "#a32a68", "#f58fbd"),
    (Paint::Series(1), "--plot-1", "#5539b8", "#b3a4ff"),
    (Paint::Series(2), "--plot-2", "#6b5a06", "#e3cd57"),
    (Paint::Series(3), "--plot-3", "#4f5a68", "#a9b4c7"),
    (Paint::Series(4), "--plot-4", "#0d6068", "#5fd3d6"),
    (Paint::Series(5), "--plot-5", "#7a3b8f", "#dba0ee"),
    (Paint::Series(6), "--plot-6", "#6b4a3a", "#d8b39c"),
    (Paint::Right, "--right", "#2f6a1a", "#8fd06a"),
    (Paint::Wrong, "--wrong", "#a61c28", "#ff7d78"),
    (Paint::Positive, "--plot-positive", "#b3a3f2", "#4a3fa0"),
    (Paint::Negative, "--plot-negative", "#dfba45", "#5f4d08"),
];

/// Text on a light and on a dark page, for files outside the book.
pub(super) const INK: (&str, &str) = ("#23221f", "#d3d7e6");

impl Paint {
    /// The value of a `fill` or `stroke` attribute.
    ///
    /// # Panics
    /// On a series other than 1 to 6.
    #[track_caller]
    pub fn css(self) -> String {
        match self {
            Self::Ink | Self::Muted | Self::Faint => "currentColor".into(),
            _ => {
                let found = VARIABLES.iter().find(|v| v.0 == self);
                let Some((_, name, light, _)) = found else {
                    panic!("there is no {self:?}: series are 1 to 6");
                };
                format!("var({name}, {light})")
            }
        }
    }

    /// How opaque the paint is by itself.
    pub fn opacity(self) -> f64 {
        match self {
            Self::Muted => 0.75,
            Self::Faint => 0.2,
            _ => 1.0,
        }
    }

    /// As a plotters colour: an index that [`Paint::from_rgb`] reads back.
    pub(super) fn to_rgb(self) -> (u8, u8, u8) {
        let index = match self {
            Self::Ink => 0,
            Self::Muted => 1,
            Self::Faint => 2,
            _ => 3 + VARIABLES.iter().position(|v| v.0 == self).unwrap_or(0),
        };
        (index as u8, 0, 0)
    }

    /// The paint of a plotters colour; anything unknown is ink.
    pub(super) fn from_rgb(rgb: (u8, u8, u8)) -> Self {
        match rgb {
            (1, _, 0) => Self::Muted,
            (2, _, 0) => Self::Faint,
            (i @ 3.., _, 0) => VARIABLES
                .get(usize::from(i) - 3)
                .map_or(Self::Ink, |found| found.0),
            _ => Self::Ink,
        }
    }
}

/// The variables as CSS declarations, for a light or a dark page.
///
/// `--bg` is left out: mdBook's themes define it.
///
/// ```
/// assert!(figures::kit::css(false).contains("--q-input: #00619c;"));
/// assert!(figures::kit::css(true).contains("--q-input: #66b8f5;"));
/// ```
pub fn css(dark: bool) -> String {
    VARIABLES
        .iter()
        .filter(|v| v.0 != Paint::Page)
        .map(|(_, name, light, night)| {
            format!("    {name}: {};\n", if dark { night } else { light })
        })
        .collect()
}

/// A picture for a file of its own: opened by itself, shown in a README.
///
/// Takes what [`Picture::inline`](super::Picture::inline) returns. The
/// colours become plain hex values for a light page, which every viewer
/// understands, with a style that turns them dark where the viewer prefers
/// it; the namespace, a size and a background are added.
///
/// ```
/// use figures::kit::{Picture, standalone};
/// let inline = Picture::new(72.0, 36.0).inline("dot", "Dot", "Nothing.");
/// let file = standalone(&inline);
/// assert!(file.contains("xmlns=\"http://www.w3.org/2000/svg\""));
/// // 16 units of margin on every side.
/// assert!(file.contains("width=\"104\" height=\"68\""));
/// ```
///
/// # Panics
/// When `svg` is not such a picture.
#[track_caller]
pub fn standalone(svg: &str) -> String {
    let view = svg.split("viewBox=\"0 0 ").nth(1);
    let size = view.and_then(|v| v.split('"').next()).and_then(|v| {
        let (width, height) = v.split_once(' ')?;
        Some((width.parse::<f64>().ok()?, height.parse::<f64>().ok()?))
    });
    let (Some((width, height)), Some(rest), Some(end)) =
        (size, svg.strip_prefix("<svg "), svg.find('>'))
    else {
        panic!("standalone takes the <svg> of Picture::inline");
    };
    let mut style = String::new();
    let mut body = svg[end + 1..].to_string();
    for (_, name, light, dark) in VARIABLES {
        let variable = format!("var({name}, {light})");
        if body.contains(&variable) {
            body = body.replace(&variable, light);
            for attribute in ["fill", "stroke"] {
                let rule = format!(
                    "[{attribute}=\"{light}\"]{{{attribute}:{dark}}}\n"
                );
                if !style.contains(&rule) {
                    style.push_str(&rule);
                }
            }
        }
    }
    let (light, dark) = (VARIABLES[0].2, VARIABLES[0].3);
    let (ink, pale) = INK;
    let labels = rest[..end - "<svg ".len()]
        .split_once("role=")
        .map_or("", |(_, labels)| labels);
    let (width, height) = (width + 2.0 * MARGIN, height + 2.0 * MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"-{MARGIN} -{MARGIN} {width} {height}\" \
         color=\"{ink}\" font-family=\"system-ui, sans-serif\" \
         role={labels}>\n\
         <style>\n@media (prefers-color-scheme: dark) {{\n\
         svg{{color:{pale}}}\n[fill=\"{light}\"]{{fill:{dark}}}\n\
         {style}}}\n</style>\n\
         <rect x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"{width}\" \
         height=\"{height}\" fill=\"{light}\"/>{body}"
    )
}

/// Units around a picture in a file of its own.
const MARGIN: f64 = 16.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two colours as WCAG 2 defines it.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |hex: &str| {
            let channel = |i: usize| {
                let c = u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
                let c = f64::from(c) / 255.0;
                if c <= 0.03928 {
                    c / 12.92
                } else {
                    ((c + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_can_be_read_in_every_colour_on_both_pages() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        let (page, night) = (VARIABLES[0].2, VARIABLES[0].3);
        for (paint, _, light, dark) in &VARIABLES[1..] {
            let fill = matches!(paint, Paint::Positive | Paint::Negative);
            let (on_light, on_dark) = if fill { INK } else { (page, night) };
            assert!(contrast(light, on_light) >= 4.5, "{paint:?} light");
            assert!(contrast(dark, on_dark) >= 4.5, "{paint:?} dark");
        }
        assert!(contrast(INK.0, page) > 7.0 && contrast(INK.1, night) > 7.0);
    }

    #[test]
    fn every_paint_survives_the_way_through_plotters() {
        for paint in VARIABLES.iter().map(|v| v.0) {
            assert_eq!(Paint::from_rgb(paint.to_rgb()), paint);
        }
        for paint in [Paint::Ink, Paint::Muted, Paint::Faint] {
            assert_eq!(Paint::from_rgb(paint.to_rgb()), paint);
        }
        assert_eq!(Paint::from_rgb((255, 255, 255)), Paint::Ink);
    }

    #[test]
    #[should_panic(expected = "series are 1 to 6")]
    fn a_seventh_series_is_refused() {
        Paint::Series(7).css();
    }
}
