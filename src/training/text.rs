//! Text as numbers: the characters, the two parts, batches of windows, and
//! what the simplest model of text makes of it.
//!
//! A token is the place of a character in the sorted list of all characters
//! that the text has: the vocabulary, which a checkpoint keeps. The last tenth
//! of a text is for validation; the model never learns from it.

use super::error::{escaped, shown};
use super::{Error, Purpose, stream};
use ndarray_rand::rand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// The characters that a model knows, sorted, each once: a token is a place in
/// this list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Vocabulary(Vec<char>);

impl Vocabulary {
    /// The characters of `text`.
    ///
    /// ```
    /// use backprop::training::text::Vocabulary;
    /// let v = Vocabulary::of("to be");
    /// assert_eq!(v.to_string(), " beot");
    /// assert_eq!(v.encode("bet", "here").unwrap(), [1, 2, 4]);
    /// assert_eq!(v.decode(&[4, 3]).unwrap(), "to");
    /// ```
    pub fn of(text: &str) -> Vocabulary {
        let all: BTreeSet<char> = text.chars().collect();
        Vocabulary(all.into_iter().collect())
    }

    /// How many characters there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens of `text`.
    ///
    /// An error that names `place`, line and column if a character is not in
    /// the vocabulary.
    pub fn encode(&self, text: &str, place: &str) -> Result<Vec<usize>, Error> {
        let (mut line, mut column) = (1, 1);
        let mut token = |c: char| {
            let found = self.0.binary_search(&c);
            let unknown = |_| Error::Character {
                place: place.to_owned(),
                line,
                column,
                character: c,
                known: shown(&self.to_string()),
            };
            let found = found.map_err(unknown)?;
            (line, column) = match c {
                '\n' => (line + 1, 1),
                _ => (line, column + 1),
            };
            Ok(found)
        };
        text.chars().map(&mut token).collect()
    }

    /// The text of `tokens`; an error if one is not a place in the list.
    pub fn decode(&self, tokens: &[usize]) -> Result<String, Error> {
        tokens.iter().map(|&t| self.character(t)).collect()
    }

    /// The character of one token.
    pub fn character(&self, token: usize) -> Result<char, Error> {
        self.0.get(token).copied().ok_or(Error::Token {
            token,
            vocabulary: self.len(),
        })
    }
}

impl std::fmt::Display for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.0.iter().try_for_each(|c| write!(f, "{c}"))
    }
}

impl From<Vocabulary> for String {
    fn from(v: Vocabulary) -> String {
        v.to_string()
    }
}

impl TryFrom<String> for Vocabulary {
    type Error = String;

    fn try_from(s: String) -> Result<Vocabulary, String> {
        let chars: Vec<char> = s.chars().collect();
        let sorted = chars.is_sorted_by(|a, b| a < b);
        match chars.is_empty() || !sorted {
            true => {
                Err("characters are sorted, each once, at least one".into())
            }
            false => Ok(Vocabulary(chars)),
        }
    }
}

/// A text as tokens, in two parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What a model learns from: the first nine tenths.
    pub train: Vec<usize>,
    /// What it is tried on: the last tenth, rounded down.
    pub validation: Vec<usize>,
}

impl Text {
    /// The tokens of `text` under `vocabulary`, split in two. `place` names
    /// the text in errors.
    pub fn new(
        text: &str,
        vocabulary: &Vocabulary,
        place: &str,
    ) -> Result<Text, Error> {
        let mut train = vocabulary.encode(text, place)?;
        let validation = train.split_off(train.len() - train.len() / 10);
        Ok(Text { train, validation })
    }

    /// Checks that both parts hold at least one window of `context` tokens
    /// and the token that follows it.
    pub fn check(&self, context: usize) -> Result<(), Error> {
        for (part, tokens) in
            [("train on", &self.train), ("validate on", &self.validation)]
        {
            let have = tokens.len();
            if have <= context {
                return Err(Error::Data(format!(
                    "the part of the text to {part} has {have} characters; a \
                     context of {context} needs {} at least. Use a longer \
                     text or a shorter context.",
                    context.saturating_add(1),
                )));
            }
        }
        Ok(())
    }

    /// A number that tells texts apart: FNV-1a over the tokens. A resumed run
    /// checks that it reads the same text.
    pub fn fingerprint(&self) -> u64 {
        let tokens = self.train.iter().chain(&self.validation);
        let bytes = tokens.flat_map(|t| (*t as u64).to_le_bytes());
        super::files::fnv1a(bytes)
    }
}

// ---- reading ------------------------------------------------------------

/// 40,000 lines of Shakespeare's plays, which ship with the crate.
///
/// Public domain; put together by A. Karpathy, see `data/texts/README.md`.
pub fn shakespeare() -> String {
    unix_lines(include_str!("../../data/texts/shakespeare.txt"))
}

/// *Alice's Adventures in Wonderland*, which ships with the crate, in the
/// characters that [`shakespeare`] has.
///
/// L. Carroll 1865, public domain, see `data/texts/README.md`.
pub fn alice() -> String {
    unix_lines(include_str!("../../data/texts/alice.txt"))
}

/// Reads a file of UTF-8. Lines may end in `\r\n`, which is read as `\n`; a
/// byte-order mark at the start is left out.
///
/// An error if there is nothing in it, or a byte that is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Error> {
    parse_text(path, &super::files::read_file(path)?)
}

/// [`read_text`] on bytes that are in memory; `path` is for the errors.
pub fn parse_text(path: &Path, bytes: &[u8]) -> Result<String, Error> {
    let bytes = super::files::without_mark(path, bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let good = &bytes[..e.valid_up_to()];
        let byte = bytes[good.len()];
        Error::Row {
            path: path.to_owned(),
            line: 1 + good.iter().filter(|b| **b == b'\n').count(),
            what: format!("byte {byte:#04x} is not part of UTF-8"),
            remedy: "Save the text as UTF-8.".into(),
        }
    })?;
    if text.is_empty() {
        let path = path.display();
        return Err(Error::Data(format!(
            "{path}: no text in the file. Check the path."
        )));
    }
    Ok(unix_lines(text))
}

fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// The text, fit for a terminal: what it would obey, control characters other
/// than tabs and ends of lines, is escaped.
///
/// ```
/// use backprop::training::text::printable;
/// assert_eq!(printable("a\tb\n\u{1b}[31m"), "a\tb\n\\u{1b}[31m");
/// ```
pub fn printable(text: &str) -> String {
    escaped(text.chars(), |c| c == '\n' || c == '\t')
}

// ---- windows ------------------------------------------------------------

/// Windows of a text: what goes in, and what comes after each token of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// Tokens (B·T), window after window.
    pub inputs: Vec<usize>,
    /// The token after each of them (B·T).
    pub labels: Vec<usize>,
}

impl Windows {
    fn fill(
        &mut self,
        tokens: &[usize],
        context: usize,
        starts: impl Iterator<Item = usize>,
    ) {
        self.inputs.clear();
        self.labels.clear();
        for start in starts {
            let end = start + context;
            self.inputs.extend_from_slice(&tokens[start..end]);
            self.labels.extend_from_slice(&tokens[start + 1..end + 1]);
        }
    }

    /// `batch` windows of `context` tokens at random places, which depend on
    /// `(seed, step)` alone.
    ///
    /// Panics if `tokens` has fewer than `context + 1`.
    #[track_caller]
    pub fn draw(
        &mut self,
        tokens: &[usize],
        context: usize,
        batch: usize,
        seed: u64,
        step: u64,
    ) {
        let places = tokens.len().saturating_sub(context);
        let n = tokens.len();
        assert!(places > 0, "windows: {n} tokens for a context of {context}");
        let mut rng = stream(seed, Purpose::Windows, step);
        let starts = (0..batch).map(|_| rng.random_range(0..places));
        self.fill(tokens, context, starts);
    }

    /// The windows with these numbers, where the text is cut into windows of
    /// `context` tokens one after another.
    ///
    /// Panics if a number is not below [`count_windows`].
    #[track_caller]
    pub fn pick(
        &mut self,
        tokens: &[usize],
        context: usize,
        numbers: impl Iterator<Item = usize>,
    ) {
        self.fill(tokens, context, numbers.map(|n| n * context));
    }
}

/// How many windows of `context` tokens, each with the token that follows it,
/// stand one after another in a text; what is left over is left out.
pub fn count_windows(tokens: &[usize], context: usize) -> usize {
    tokens.len().saturating_sub(1) / context.max(1)
}

// ---- the baseline -------------------------------------------------------

/// Mean loss on `text`, in nats for each character, of the model that knows
/// how often each pair of characters stands in `train` and nothing else:
/// `p(b|a) = (n_ab + α)/(n_a + α·V)` with `n_a = Σ_b n_ab`.
///
/// The additive α > 0 keeps pairs that never occur from being impossible.
/// Source: C. Shannon, *A Mathematical Theory of Communication*, 1948, §3.
///
/// Panics if `text` has no pair or a token is not below `vocabulary`.
///
/// ```
/// use backprop::training::text::bigram_loss;
/// // of a, b, b, a: n_ab = n_bb = n_ba = 1; with α = 1, V = 2
/// let (ba, ab) = (2. / 4., 2. / 3.);
/// let loss = bigram_loss(&[0, 1, 1, 0], &[1, 0, 1], 2, 1.);
/// assert!((loss + (f64::ln(ba) + f64::ln(ab)) / 2.).abs() < 1e-15);
/// ```
#[track_caller]
pub fn bigram_loss(
    train: &[usize],
    text: &[usize],
    vocabulary: usize,
    alpha: f64,
) -> f64 {
    let v = vocabulary;
    let largest = train.iter().chain(text).max();
    assert!(largest < Some(&v), "bigram: token {largest:?} of {v}");
    assert!(text.len() > 1, "bigram: a text of {} tokens", text.len());
    let mut pairs: HashMap<[usize; 2], f64> = HashMap::new();
    let mut firsts = vec![0.; v];
    for ab in train.windows(2) {
        *pairs.entry([ab[0], ab[1]]).or_default() += 1.;
        firsts[ab[0]] += 1.;
    }
    let surprise = |ab: &[usize]| {
        let pair = pairs.get(&[ab[0], ab[1]]).unwrap_or(&0.) + alpha;
        let first = firsts[ab[0]] + alpha * v as f64;
        -(pair / first).ln()
    };
    let sum: f64 = text.windows(2).map(surprise).sum();
    sum / (text.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_texts_are_all_there() {
        let (s, a) = (shakespeare(), alice());
        let v = Vocabulary::of(&s);
        assert_eq!((s.len(), a.len(), v.len()), (1_115_394, 142_936, 65));
        assert!(s.starts_with("First Citizen:\nBefore we proceed"));
        let s = Text::new(&s, &v, "s").unwrap();
        let a = Text::new(&a, &v, "a").unwrap();
        assert_eq!((s.train.len(), s.validation.len()), (1_003_855, 111_539));
        // as counted by a few lines of Python
        for (text, alpha, want) in [(&s, 1., 2.481908), (&s, 0.01, 2.487520)] {
            let loss = bigram_loss(&text.train, &text.validation, 65, alpha);
            assert!((loss - want).abs() < 1e-5, "{loss}");
        }
        assert_ne!(s.fingerprint(), a.fingerprint());
    }

    #[test]
    fn there_and_back() {
        let text = "Zwölf Boxkämpfer jagen Viktor\nquer über den Sylter Deich";
        let v = Vocabulary::of(text);
        let tokens = v.encode(text, "here").unwrap();
        assert_eq!(v.decode(&tokens).unwrap(), text);
        let json = serde_json::to_string(&v).unwrap();
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), v);
    }

    #[test]
    fn an_unknown_character_is_named_with_its_place() {
        let v = Vocabulary::of("abc\n");
        let e = v.encode("ab\ncaéb", "the prompt").unwrap_err();
        assert!(matches!(
            e,
            Error::Character {
                character: 'é',
                line: 2,
                column: 3,
                ..
            }
        ));
        let e = e.to_string();
        assert!(e.starts_with("the prompt, line 2, column 3: 'é'"), "{e}");
        assert!(e.contains(r#""\nabc""#), "{e}");
        let e = v.decode(&[0, 4]).unwrap_err();
        assert_eq!(e.to_string(), "token 4 of a vocabulary of 4 characters");
    }

    #[test]
    fn a_vocabulary_out_of_order_is_refused() {
        for json in [r#""""#, r#""ba""#, r#""aa""#, "[1]"] {
            assert!(serde_json::from_str::<Vocabulary>(json).is_err());
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let parse = |bytes| parse_text(Path::new("f.txt"), bytes);
        assert_eq!(parse(b"a\r\nb\rc\n").unwrap(), "a\nb\rc\n");
        let e = parse(b"ab\ncd\xffe").unwrap_err().to_string();
        assert!(e.starts_with("f.txt, line 2: byte 0xff is not"), "{e}");
        assert!(parse(b"\xc3").is_err());
        // The mark of UTF-8 at the start is no character of the text.
        assert_eq!(parse(b"\xef\xbb\xbfab\xef\xbb\xbf").unwrap(), "ab\u{feff}");
        let e = parse(b"\xef\xbb\xbf").unwrap_err().to_string();
        assert!(e.contains("no text in the file"), "{e}");
        for utf_16 in [b"\xff\xfea\0", b"\xfe\xff\0a"] {
            let e = parse(utf_16).unwrap_err().to_string();
            let says = "f.txt: this is UTF-16, as the mark at its start says";
            assert!(e.starts_with(says) && e.ends_with("as UTF-8."), "{e}");
        }
        let e = parse(b"").unwrap_err().to_string();
        assert!(e.starts_with("f.txt: no text in the file"), "{e}");
        let v = Vocabulary::of("ab");
        let text = Text::new(&"ab".repeat(50), &v, "f").unwrap();
        assert_eq!((text.train.len(), text.validation.len()), (90, 10));
        assert!(text.check(9).is_ok());
        let e = text.check(10).unwrap_err().to_string();
        assert!(e.contains("10 characters; a context of 10 needs 11"), "{e}");
        assert!(Text::new("", &v, "f").unwrap().check(1).is_err());
        assert!(text.check(usize::MAX).is_err());
    }

    #[test]
    fn windows_are_text_and_what_follows() {
        let tokens: Vec<usize> = (0..20).collect();
        let mut w = Windows::default();
        w.draw(&tokens, 5, 40, 3, 7);
        assert_eq!((w.inputs.len(), w.labels.len()), (200, 200));
        for (x, y) in w.inputs.chunks(5).zip(w.labels.chunks(5)) {
            assert!(x.iter().zip(y).all(|(x, y)| x + 1 == *y));
            assert!(x.windows(2).all(|p| p[0] + 1 == p[1]));
        }
        // both ends of the text are drawn
        assert!(w.inputs.contains(&0) && w.labels.contains(&19));
        let first = w.clone();
        w.draw(&tokens, 5, 40, 3, 8);
        assert_ne!(w, first);
        w.draw(&tokens, 5, 40, 4, 7);
        assert_ne!(w, first);
        w.draw(&tokens, 5, 40, 3, 7);
        assert_eq!(w, first);
        // one window fits in one way
        w.draw(&tokens, 19, 2, 0, 0);
        assert_eq!(w.inputs[19..], tokens[..19]);

        assert_eq!(count_windows(&tokens, 5), 3);
        w.pick(&tokens, 5, 1..3);
        assert_eq!(w.inputs, (5..15).collect::<Vec<_>>());
        assert_eq!(w.labels, (6..16).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic = "windows: 5 tokens for a context of 5"]
    fn windows_longer_than_the_text_are_a_bug() {
        Windows::default().draw(&[0; 5], 5, 1, 0, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(text) = parse_text(Path::new("f"), &bytes) {
                let v = Vocabulary::of(&text);
                let tokens = v.encode(&text, "f").unwrap();
                prop_assert_eq!(v.decode(&tokens).unwrap(), text);
            }
        }
    }
}
