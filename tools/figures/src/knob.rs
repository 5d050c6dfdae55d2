//! The arguments of a figure: what a reader may move, each with a default.

use std::ops::RangeInclusive;

use crate::Error;
use crate::kit::escape;

/// One argument of a figure.
///
/// ```
/// use figures::{Knob, Knobs, Setting};
/// static KNOBS: [Knob; 2] = [
///     Knob::slider("gap", -40.0..=20.0, 3.0).unit("logits"),
///     Knob::choice("loss", &["cross-entropy", "half squares"]),
/// ];
/// let knobs = Knobs::new(&KNOBS);
/// assert_eq!(knobs.number("gap"), 3.0);
/// assert_eq!(knobs.choice("loss"), "cross-entropy");
/// let knobs = knobs.with("gap", Setting::Number(-5.0))?;
/// assert_eq!(knobs.number("gap"), -5.0);
/// assert!(knobs.with("gap", Setting::Number(21.0)).is_err());
/// # Ok::<(), figures::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knob {
    /// Letters and digits; the page shows it, and what follows a `_` as an
    /// index.
    pub name: &'static str,
    /// What is moved, and how far.
    pub kind: Kind,
}

/// What a knob is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number from `low` to `high`, both included.
    Slider {
        /// The least.
        low: f64,
        /// The largest.
        high: f64,
        /// Where it stands at first.
        default: f64,
        /// From one position to the next; 0 for any.
        step: f64,
        /// What the number counts; empty for nothing.
        unit: &'static str,
    },
    /// One of some words; the first is the default.
    Choice(&'static [&'static str]),
    /// Text that the reader types; this is the default.
    Text(&'static str),
    /// A point of the plane.
    Point {
        /// The least of either coordinate.
        low: [f64; 2],
        /// The largest of either coordinate.
        high: [f64; 2],
        /// Where it stands at first.
        default: [f64; 2],
    },
    /// Strokes that the reader draws in the square from 0 to `side`, y down:
    /// `x,y x,y; x,y x,y`, a stroke after each `;`. [`strokes`] reads them.
    Strokes {
        /// How wide and high.
        side: f64,
        /// What is drawn at first.
        default: &'static str,
    },
    /// One of `count` things, counted from 0.
    Index {
        /// How many there are.
        count: usize,
        /// The one at first.
        default: usize,
    },
}

/// Where a knob stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Of a slider.
    Number(f64),
    /// Of a choice, of a text, or of strokes.
    Words(String),
    /// Of a point.
    Point([f64; 2]),
    /// Of an index.
    Index(usize),
}

impl Knob {
    /// A slider over a range, both ends included.
    pub const fn slider(
        name: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> Self {
        let kind = Kind::Slider {
            low: *range.start(),
            high: *range.end(),
            default,
            step: 0.0,
            unit: "",
        };
        Self { name, kind }
    }

    /// The unit of a slider.
    ///
    /// # Panics
    /// For another kind of knob.
    pub const fn unit(mut self, name: &'static str) -> Self {
        let Kind::Slider { unit, .. } = &mut self.kind else {
            panic!("only a slider has a unit");
        };
        *unit = name;
        self
    }

    /// The step of a slider.
    ///
    /// # Panics
    /// For another kind of knob.
    pub const fn step(mut self, size: f64) -> Self {
        let Kind::Slider { step, .. } = &mut self.kind else {
            panic!("only a slider has a step");
        };
        *step = size;
        self
    }

    /// One of some words, the first at first.
    pub const fn choice(
        name: &'static str,
        words: &'static [&'static str],
    ) -> Self {
        let kind = Kind::Choice(words);
        Self { name, kind }
    }

    /// Text that the reader types.
    pub const fn text(name: &'static str, default: &'static str) -> Self {
        let kind = Kind::Text(default);
        Self { name, kind }
    }

    /// A point of a rectangle.
    pub const fn point(
        name: &'static str,
        x: RangeInclusive<f64>,
        y: RangeInclusive<f64>,
        default: [f64; 2],
    ) -> Self {
        let kind = Kind::Point {
            low: [*x.start(), *y.start()],
            high: [*x.end(), *y.end()],
            default,
        };
        Self { name, kind }
    }

    /// Strokes in a square.
    pub const fn strokes(
        name: &'static str,
        side: f64,
        default: &'static str,
    ) -> Self {
        let kind = Kind::Strokes { side, default };
        Self { name, kind }
    }

    /// One of `count` things.
    pub const fn index(
        name: &'static str,
        count: usize,
        default: usize,
    ) -> Self {
        let kind = Kind::Index { count, default };
        Self { name, kind }
    }

    /// Where it stands at first.
    pub fn default(&self) -> Setting {
        match self.kind {
            Kind::Slider { default, .. } => Setting::Number(default),
            Kind::Choice(words) => Setting::Words(words[0].into()),
            Kind::Text(default) => Setting::Words(default.into()),
            Kind::Strokes { default, .. } => Setting::Words(default.into()),
            Kind::Point { default, .. } => Setting::Point(default),
            Kind::Index { default, .. } => Setting::Index(default),
        }
    }

    /// As far as it goes: both ends, every word, the corners, an empty
    /// square. A text has none.
    pub fn ends(&self) -> Vec<Setting> {
        match self.kind {
            Kind::Slider { low, high, .. } => {
                [low, high].map(Setting::Number).into()
            }
            Kind::Choice(words) => {
                words.iter().map(|w| Setting::Words((*w).into())).collect()
            }
            Kind::Text(_) => Vec::new(),
            Kind::Strokes { .. } => vec![Setting::Words(String::new())],
            Kind::Point { low, high, .. } => {
                let corners = [low, [low[0], high[1]], [high[0], low[1]], high];
                corners.map(Setting::Point).into()
            }
            Kind::Index { count, .. } => {
                [0, count - 1].map(Setting::Index).into()
            }
        }
    }

    /// The setting that a page writes as `text`: a number, both coordinates
    /// with a comma between them, an index, or the words.
    pub fn parse(&self, text: &str) -> Option<Setting> {
        Some(match self.kind {
            Kind::Slider { .. } => Setting::Number(text.parse().ok()?),
            Kind::Index { .. } => Setting::Index(text.parse().ok()?),
            Kind::Point { .. } => {
                let (x, y) = text.split_once(',')?;
                Setting::Point([x.parse().ok()?, y.parse().ok()?])
            }
            _ => Setting::Words(text.into()),
        })
    }

    /// The native control, as HTML; `id` is that of the figure. Each input
    /// has the knob's name, a range a place for its value behind it.
    fn control(&self, id: &str) -> String {
        let name = self.name;
        let range = |low: f64,
                     high: f64,
                     at: f64,
                     step: f64,
                     [axis, unit]: [&str; 2]| {
            // A hundredth of the way at least, rounded down to a power of 10.
            let fine = 10_f64.powf(((high - low) / 100.0_f64).log10().floor());
            let step = if step > 0.0 { step } else { fine };
            self.labelled(
                id,
                axis,
                &format!(
                    "<input type=\"range\" name=\"{name}\" min=\"{low}\" \
                     max=\"{high}\" step=\"{step}\" value=\"{at}\" \
                     data-unit=\"{unit}\" ID><span class=\"value\"></span>"
                ),
            )
        };
        let text = |attributes: &str, value: &str| {
            let value = escape(value);
            let control = format!(
                "<input type=\"text\" name=\"{name}\" value=\"{value}\" \
                 autocomplete=\"off\"{attributes} ID>"
            );
            self.labelled(id, "", &control)
        };
        match self.kind {
            Kind::Slider {
                low,
                high,
                default,
                step,
                unit,
            } => range(low, high, default, step, ["", unit]),
            Kind::Index { count, default } => {
                let most = (count - 1) as f64;
                range(0.0, most, default as f64, 1.0, ["", ""])
            }
            Kind::Point { low, high, default } => ["x", "y"]
                .iter()
                .enumerate()
                .map(|(k, axis)| {
                    range(low[k], high[k], default[k], 0.0, [axis, ""])
                })
                .collect(),
            Kind::Choice(words) => {
                let option = |w: &&str| format!("<option>{}", escape(w));
                let options: String = words.iter().map(option).collect();
                let control =
                    format!("<select name=\"{name}\" ID>{options}</select>");
                self.labelled(id, "", &control)
            }
            Kind::Text(value) => text("", value),
            Kind::Strokes { side, default } => text(
                &format!(
                    " data-side=\"{side}\" readonly inputmode=\"none\" \
                     placeholder=\"arrow keys draw\" title=\"Arrow keys draw, \
                     Shift lifts the pen, Backspace takes a point back, Delete \
                     all\""
                ),
                default,
            ),
        }
    }

    /// A control with its label: `x_1` has an index.
    fn labelled(&self, id: &str, axis: &str, control: &str) -> String {
        let shown = match self.name.split_once('_') {
            Some((letter, index)) => format!("{letter}<sub>{index}</sub>"),
            None => self.name.into(),
        };
        // The two coordinates of a point are numbered.
        let which = match axis {
            "x" => "<sub>1</sub>",
            "y" => "<sub>2</sub>",
            _ => " ",
        };
        let of = format!("{id}-{}{axis}", self.name);
        let control = control.replace(" ID>", &format!(" id=\"{of}\">"));
        format!(
            "<span class=\"knob\"><label for=\"{of}\">{shown}{which}</label>\
             {control}</span>"
        )
    }

    /// Whether it can stand there.
    fn takes(&self, setting: &Setting) -> bool {
        match (self.kind, setting) {
            (Kind::Slider { low, high, .. }, Setting::Number(n)) => {
                (low..=high).contains(n)
            }
            (Kind::Choice(words), Setting::Words(word)) => {
                words.contains(&word.as_str())
            }
            (Kind::Text(_), Setting::Words(_)) => true,
            (Kind::Strokes { side, .. }, Setting::Words(text)) => strokes(text)
                .is_some_and(|all| {
                    let inside = |v: &f64| (0.0..=side).contains(v);
                    all.iter().flatten().flatten().all(inside)
                }),
            (Kind::Point { low, high, .. }, Setting::Point(p)) => {
                (0..2).all(|k| (low[k]..=high[k]).contains(&p[k]))
            }
            (Kind::Index { count, .. }, Setting::Index(i)) => *i < count,
            _ => false,
        }
    }
}

/// The native controls of a figure, for the page.
pub(crate) fn controls(knobs: &[Knob], id: &str) -> String {
    knobs.iter().map(|knob| knob.control(id)).collect()
}

/// What [`Kind::Strokes`] holds: points of each stroke. `None` where
/// something else than numbers stands there.
///
/// ```
/// use figures::strokes;
/// let two = strokes("1,2 3,4; 5,6").unwrap();
/// assert_eq!(two, [vec![[1., 2.], [3., 4.]], vec![[5., 6.]]]);
/// assert_eq!(strokes(""), Some(vec![]));
/// assert_eq!(strokes("1,x"), None);
/// ```
pub fn strokes(text: &str) -> Option<Vec<Vec<[f64; 2]>>> {
    let point = |word: &str| {
        let (x, y) = word.split_once(',')?;
        Some([x.parse().ok()?, y.parse().ok()?])
    };
    text.split(';')
        .map(|stroke| stroke.split_whitespace().map(point).collect())
        .filter(|stroke: &Option<Vec<_>>| {
            stroke.as_ref().is_none_or(|points| !points.is_empty())
        })
        .collect()
}

/// Where the knobs of a figure stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Knobs(Vec<(&'static Knob, Setting)>);

impl Knobs {
    /// All at their defaults.
    pub fn new(knobs: &'static [Knob]) -> Self {
        Self(knobs.iter().map(|k| (k, k.default())).collect())
    }

    /// One of them moved.
    ///
    /// # Errors
    /// [`Error::Knob`] when there is none of that name, or when it cannot
    /// stand there.
    pub fn with(mut self, name: &str, to: Setting) -> Result<Self, Error> {
        let help = match self.0.iter_mut().find(|(k, _)| k.name == name) {
            None => self.names(),
            Some((knob, at)) if knob.takes(&to) => {
                *at = to;
                return Ok(self);
            }
            Some((knob, _)) => {
                format!("{to:?} is not a setting of {:?}", knob.kind)
            }
        };
        Err(Error::Knob {
            name: name.into(),
            help,
        })
    }

    /// The number on a slider.
    ///
    /// # Panics
    /// When the figure has no slider of that name; so do the others.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        match self.at(name) {
            Setting::Number(number) => *number,
            other => panic!("knob `{name}` has no number but {other:?}"),
        }
    }

    /// The word chosen.
    #[track_caller]
    pub fn choice(&self, name: &str) -> &str {
        self.text(name)
    }

    /// The text typed.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        match self.at(name) {
            Setting::Words(words) => words,
            other => panic!("knob `{name}` has no words but {other:?}"),
        }
    }

    /// Both coordinates of a point.
    #[track_caller]
    pub fn point(&self, name: &str) -> [f64; 2] {
        match self.at(name) {
            Setting::Point(point) => *point,
            other => panic!("knob `{name}` has no point but {other:?}"),
        }
    }

    /// The one of several, counted from 0.
    #[track_caller]
    pub fn index(&self, name: &str) -> usize {
        match self.at(name) {
            Setting::Index(index) => *index,
            other => panic!("knob `{name}` has no index but {other:?}"),
        }
    }

    #[track_caller]
    fn at(&self, name: &str) -> &Setting {
        match self.0.iter().find(|(knob, _)| knob.name == name) {
            Some((_, setting)) => setting,
            None => panic!("no knob is called `{name}`: {}", self.names()),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(knob, _)| knob.name).collect();
        match names.len() {
            0 => "the figure has none".into(),
            _ => format!("there is {}", names.join(", ")),
        }
    }
}
