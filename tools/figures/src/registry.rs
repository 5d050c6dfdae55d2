//! The list of chapters, and how a name on the command line finds one.

use serde_json::Value;

use crate::{Error, Knob, Knobs, kit};

/// What one chapter shows.
pub struct Chapter {
    /// Part and slug: `network/linear`, the path of the page in the book.
    pub slug: &'static str,
    /// Texts in the order in which the page shows them.
    pub outputs: &'static [Output],
    /// Figures in the order in which the page shows them.
    pub figures: &'static [Figure],
}

/// Text that a page prints: the output of a run, or a table.
pub struct Output {
    /// File name without extension; letters, digits and `_`.
    pub name: &'static str,
    /// `txt` for what a command prints (the file's first line is then the
    /// command, `$ cargo demo linear forward`), `md` for a fragment of
    /// Markdown and `svg` for a picture outside the book, as in the README
    /// (the file is the text alone).
    pub extension: &'static str,
    /// The text itself.
    pub text: Text,
    /// How far a number of the text may be from the committed one.
    /// Everything between the numbers is compared exactly.
    pub tolerance: Tolerance,
}

/// Where a text comes from.
pub enum Text {
    /// Computed by the crate, afresh at every check.
    Computed(fn() -> String),
    /// Written from a measurement or a stored run: the path of a JSON file,
    /// relative to the root of the repository, and what to write from it. The
    /// file is an object that names `machine`, `commit` and `command`. The
    /// only way for a time to enter the book.
    Stored(&'static str, fn(&Value) -> String),
}

/// A picture and the numbers that it shows.
///
/// A function with arguments: the knobs give the numbers, the numbers the
/// picture. The committed files are the function at its defaults. A figure
/// with knobs is live: the page moves them, and calls the same function
/// compiled to WebAssembly.
#[derive(Clone, Copy)]
pub struct Figure {
    /// File name without extension; letters, digits and `_`.
    pub name: &'static str,
    /// A few words, no full stop. Of the figure at its defaults, as is the
    /// description.
    pub title: &'static str,
    /// What one sees, in a sentence or two, for a reader who does not.
    pub description: &'static str,
    /// The arguments.
    pub knobs: &'static [Knob],
    /// The numbers, committed as `<name>.json`.
    pub data: Data,
    /// What is to be seen at these knobs, in one line that stands under the
    /// figure and is read aloud. Every figure with knobs has it.
    pub read_out: Option<fn(&Knobs, &Value) -> String>,
    /// The picture of the numbers, committed as `<name>.svg`. It gets the
    /// numbers and nothing else, and draws the same bytes every time.
    pub draw: fn(&Value) -> kit::Picture,
    /// How far a number of fresh data may be from the committed one.
    pub tolerance: Tolerance,
}

/// Where the numbers of a figure come from.
#[derive(Clone, Copy)]
pub enum Data {
    /// Computed by the crate, afresh at every check. Not finite numbers
    /// become `null` in JSON and are refused.
    Computed(fn(&Knobs) -> Value),
    /// As `Computed`, with the bytes of a file beside the knobs: the weights
    /// of a model, say. The path is relative to the pages, `book/src`; the
    /// live figure fetches the file when it is first needed.
    Read(&'static str, fn(&Knobs, &[u8]) -> Value),
    /// As `Read`, of a file that a run writes which is too long for every
    /// check: the path, the run, and the numbers. The run returns an object
    /// and bytes; the file holds both, and where it comes from, as [`facts`]
    /// reads it. `cargo book figures --stored` runs it anew.
    Made(
        &'static str,
        fn() -> (Value, Vec<u8>),
        fn(&Knobs, &[u8]) -> Value,
    ),
    /// Something that goes on: how it starts, and after how many steps it
    /// is committed. The live figure has play, step and reset.
    Running(fn(&Knobs) -> Box<dyn Run>, usize),
    /// A run that is too long for every check, as all that trains. It
    /// returns an object; `<name>.json` holds that and, beside it, `machine`,
    /// `commit`, `command` and `date`. `cargo book figures --stored` runs it
    /// anew; the check holds the picture against the file alone. Knobs would
    /// ask for another run: such a figure has none.
    Stored(fn() -> Value),
    /// A measurement: the path of a JSON file, relative to the root of the
    /// repository, as for [`Text::Stored`].
    Measured(&'static str),
}

/// A figure that runs: a state and what one step makes of it.
pub trait Run {
    /// One step further. What a reader sees between two steps is one frame
    /// of an animation: aim below 16 ms.
    fn step(&mut self);

    /// The knobs have been moved in the middle of the run. What can go on
    /// does (another rate, another rule); what cannot (another width) starts
    /// anew.
    fn moved(&mut self, knobs: &Knobs);

    /// The numbers of this moment.
    fn data(&self) -> Value;
}

/// The live figures of one chapter: those of its figures that have knobs.
///
/// A copy of its own, made by the compiler, so that a program that shows only
/// these holds neither the other figures nor the printed outputs. It has no
/// title and no description: they tell of the figure at its defaults.
pub struct Live {
    /// Part and slug, as in [`Chapter`].
    pub slug: &'static str,
    figures: [Option<Figure>; 16],
}

impl Live {
    /// Those of a chapter.
    ///
    /// # Panics
    /// While compiling: when a chapter has more than sixteen.
    pub const fn of(chapter: &Chapter) -> Self {
        let mut figures = [None; 16];
        let (mut from, mut to) = (0, 0);
        while from < chapter.figures.len() {
            let mut figure = chapter.figures[from];
            if !figure.knobs.is_empty() {
                figure.title = "";
                figure.description = "";
                // What reads a file does not hold what made it.
                if let Data::Made(path, _, data) = figure.data {
                    figure.data = Data::Read(path, data);
                }
                figures[to] = Some(figure);
                to += 1;
            }
            from += 1;
        }
        let slug = chapter.slug;
        Self { slug, figures }
    }

    /// In the order in which the page shows them.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().flatten()
    }
}

/// The live figures of all chapters, in the order of the book.
pub fn live() -> &'static [Live] {
    static ALL: &[Live] = include!(concat!(env!("OUT_DIR"), "/live.rs"));
    ALL
}

impl Figure {
    /// The numbers where the knobs stand; `file` is what [`Data::Read`]
    /// names. `None` for what is stored or measured.
    pub fn numbers(&self, knobs: &Knobs, file: &[u8]) -> Option<Value> {
        match self.data {
            Data::Computed(data) => Some(data(knobs)),
            Data::Read(_, data) | Data::Made(_, _, data) => {
                Some(data(knobs, file))
            }
            Data::Running(start, steps) => {
                let mut run = start(knobs);
                (0..steps).for_each(|_| run.step());
                Some(run.data())
            }
            Data::Stored(_) | Data::Measured(_) => None,
        }
    }

    /// The file that its numbers need.
    pub fn file(&self) -> Option<&'static str> {
        match self.data {
            Data::Read(path, _) | Data::Made(path, ..) => Some(path),
            _ => None,
        }
    }

    /// The SVG of these numbers; the figure is one of the chapter `slug`. A
    /// screen reader says what `said` is, or title and description.
    pub fn svg(&self, slug: &str, data: &Value, said: Option<&str>) -> String {
        let title = said.unwrap_or(self.title);
        (self.draw)(data).inline(&self.id(slug), title, self.description)
    }

    /// Of the figure in the book.
    pub(crate) fn id(&self, slug: &str) -> String {
        format!("{slug}-{}", self.name).replace(['/', '_'], "-")
    }
}

/// What a file of [`Data::Made`] says of itself, and its bytes: a line of
/// JSON, then they. `None` where it does not begin so.
///
/// ```
/// let (facts, bytes) = figures::facts(b"{\"sizes\":[2]}\n\x00\x3c").unwrap();
/// assert_eq!((&facts["sizes"][0], bytes), (&2.into(), &[0, 0x3c][..]));
/// assert_eq!(figures::facts(b""), None);
/// ```
pub fn facts(file: &[u8]) -> Option<(Value, &[u8])> {
    let end = file.iter().position(|b| *b == b'\n')?;
    let facts = serde_json::from_slice(&file[..end]).ok()?;
    Some((facts, &file[end + 1..]))
}

/// Two numbers `a` and `b` agree when
/// `|a - b| <= absolute + relative * max(|a|, |b|)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In units of the number.
    pub absolute: f64,
    /// As a fraction of the larger of the two.
    pub relative: f64,
}

impl Output {
    /// What `cargo demo` prints, compared exactly.
    ///
    /// ```
    /// use figures::Output;
    /// const FORWARD: Output = Output::printed("forward", || "y = 9".into());
    /// # assert_eq!(FORWARD.extension, "txt");
    /// ```
    pub const fn printed(name: &'static str, text: fn() -> String) -> Self {
        Self {
            name,
            extension: "txt",
            text: Text::Computed(text),
            tolerance: Tolerance::EXACT,
        }
    }
}

impl Tolerance {
    /// The same number.
    pub const EXACT: Self = Self {
        absolute: 0.0,
        relative: 0.0,
    };

    /// A fraction of the larger number.
    ///
    /// ```
    /// let t = figures::Tolerance::relative(1e-3);
    /// assert!(t.agree(1000.0, 1000.9) && !t.agree(1000.0, 1001.1));
    /// ```
    pub const fn relative(relative: f64) -> Self {
        Self {
            absolute: 0.0,
            relative,
        }
    }

    /// An absolute difference.
    pub const fn absolute(absolute: f64) -> Self {
        Self {
            absolute,
            relative: 0.0,
        }
    }

    /// Whether two numbers agree.
    pub fn agree(self, a: f64, b: f64) -> bool {
        let bound = self.absolute + self.relative * a.abs().max(b.abs());
        a == b || (a - b).abs() <= bound
    }
}

/// All chapters in the order of the book, the appendix last.
pub fn chapters() -> &'static [&'static Chapter] {
    static ALL: &[&Chapter] =
        include!(concat!(env!("OUT_DIR"), "/chapters.rs"));
    ALL
}

impl Chapter {
    /// The last part of the slug: `linear` of `network/linear`.
    pub fn short(&self) -> &'static str {
        self.slug.rsplit('/').next().unwrap_or(self.slug)
    }

    /// The output of that name.
    ///
    /// # Errors
    /// [`Error::UnknownOutput`], with the names there are.
    pub fn output(&self, name: &str) -> Result<&'static Output, Error> {
        self.outputs.iter().find(|o| o.name == name).ok_or_else(|| {
            Error::UnknownOutput {
                chapter: self.short(),
                name: name.into(),
                help: suggest(name, self.outputs.iter().map(|o| o.name)),
            }
        })
    }
}

/// The chapter called `name`: its slug or the last part of it.
///
/// # Errors
/// [`Error::UnknownChapter`], with the names that come close.
pub fn find(
    chapters: &[&'static Chapter],
    name: &str,
) -> Result<&'static Chapter, Error> {
    chapters
        .iter()
        .find(|c| c.slug == name || c.short() == name)
        .copied()
        .ok_or_else(|| Error::UnknownChapter {
            name: name.into(),
            help: suggest(name, chapters.iter().map(|c| c.short())),
        })
}

/// One sentence: the known names close to `name`, or all of them.
fn suggest(
    name: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> String {
    let mut close: Vec<(f64, &str)> = known
        .clone()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(similarity, _)| *similarity > 0.75)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0));
    if !close.is_empty() {
        let names: Vec<_> = close.iter().take(3).map(|(_, k)| *k).collect();
        return format!("did you mean {}?", names.join(" or "));
    }
    let names: Vec<_> = known.collect();
    if names.is_empty() {
        "there is none yet".into()
    } else {
        format!("there is {}", names.join(", "))
    }
}
