//! What a drill asks for, and how what is typed is read.
//!
//! A number may be a whole number, a fraction or a decimal; it is compared
//! exactly. A decimal that has at least three significant digits, one of them
//! behind the point, also counts as any number that it differs from by less
//! than one in its last place: rounded, or cut off.

use super::Ratio;
use std::fmt;

/// What is right, or what a mistake gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An exact number.
    Number(Ratio),
    /// -1, 0 or 1.
    Sign(i8),
    /// The sizes of an array, from the first axis on.
    Shape(Vec<usize>),
}

impl Answer {
    /// `number`, `sign` or `shape`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Sign(_) => "sign",
            Self::Shape(_) => "shape",
        }
    }

    /// Reads what was typed as an answer of the same kind.
    ///
    /// # Errors
    /// What it does not look like, in a kind sentence.
    pub fn read(&self, typed: &str) -> Result<Typed, &'static str> {
        let plain: String = typed.trim().chars().map(plain).collect();
        match self {
            Self::Number(_) => number(&plain),
            Self::Sign(_) => sign(&plain),
            Self::Shape(_) => shape(&plain),
        }
    }

    /// Whether nothing that is typed could mean both.
    pub(super) fn is_apart(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.is_apart(*b),
            (a, b) => a != b,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(ratio) => ratio.fmt(f),
            Self::Sign(sign) => f.pad(match sign.signum() {
                -1 => "−",
                1 => "+",
                _ => "0",
            }),
            Self::Shape(sizes) => {
                let sizes: Vec<_> =
                    sizes.iter().map(usize::to_string).collect();
                f.pad(&format!("({})", sizes.join(",")))
            }
        }
    }
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    answer: Answer,
    /// Digits behind the point of a decimal that may have been rounded.
    decimals: Option<u32>,
}

impl Typed {
    /// Whether it is this answer, without rounding.
    pub fn is(&self, answer: &Answer) -> bool {
        self.answer == *answer
    }

    /// Whether it is this answer rounded to three digits or more, or cut off
    /// there.
    pub fn rounds(&self, answer: &Answer) -> bool {
        match (&self.answer, answer, self.decimals) {
            (Answer::Number(typed), Answer::Number(a), Some(decimals)) => {
                typed.within(*a, decimals)
            }
            _ => false,
        }
    }
}

/// The characters that a keyboard, a book or a phone has for the same thing.
fn plain(c: char) -> char {
    match c {
        '−' | '–' | '‐' | '‑' | '﹣' | '－' => '-',
        '＋' => '+',
        '⁄' | '∕' | '÷' => '/',
        '×' | '✕' | '*' | 'X' => 'x',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}

const NO_NUMBER: &str = "That does not read as a number. Try −3, 1/2 or 0.5.";

/// `[+-] digits`, a fraction of two of them, or a decimal with a point or a
/// comma.
fn number(text: &str) -> Result<Typed, &'static str> {
    let (above, below) = match text.split_once('/') {
        Some((above, below)) => (above, Some(below)),
        None => (text, None),
    };
    let (top, decimals, significant) = decimal(above)?;
    let below = match below {
        Some(below) => decimal(below)?,
        None => (1, 0, 1),
    };
    if decimals + below.1 > 0 && text.contains('/') {
        return Err("A fraction has whole numbers above and below.");
    }
    if below.0 == 0 {
        return Err("Nothing can be divided by 0.");
    }
    let bottom = below.0 * 10i64.pow(decimals);
    let rounded = decimals > 0 && significant >= 3;
    Ok(Typed {
        answer: Answer::Number(Ratio::new(top, bottom)),
        decimals: rounded.then_some(decimals),
    })
}

/// A whole number, how many of its digits stand behind the point, and how
/// many are significant: all from the first that is not 0.
fn decimal(text: &str) -> Result<(i64, u32, usize), &'static str> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits.trim_start()),
        None => (false, text),
    };
    let (whole, behind) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    let all = format!("{whole}{behind}");
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NO_NUMBER);
    }
    let significant = all.trim_start_matches('0').len();
    if significant > 15 || behind.len() > 15 {
        return Err("So many digits are not needed.");
    }
    let size: i64 = all.parse().map_err(|_| NO_NUMBER)?;
    let size = if sign { -size } else { size };
    Ok((size, behind.len() as u32, significant))
}

fn sign(text: &str) -> Result<Typed, &'static str> {
    let sign = match text.to_lowercase().as_str() {
        "+" | "plus" | "positive" | "up" => 1,
        "-" | "minus" | "negative" | "down" => -1,
        "0" | "zero" | "none" => 0,
        _ => return Err("Type +, − or 0."),
    };
    Ok(Typed {
        answer: Answer::Sign(sign),
        decimals: None,
    })
}

/// Sizes with a comma, a cross or a space between, in brackets or without.
fn shape(text: &str) -> Result<Typed, &'static str> {
    const NO_SHAPE: &str = "That does not read as a shape. Try (3,2) or 3x2.";
    let open = text.starts_with(['(', '[']);
    if open != text.ends_with([')', ']']) {
        return Err(NO_SHAPE);
    }
    let inner = if open { &text[1..text.len() - 1] } else { text };
    let inner = inner.trim().trim_end_matches(',');
    // A size, spaces, one sign between at most.
    let signs = |c| c == ',' || c == 'x';
    let parts: Vec<_> = if inner.contains(signs) {
        inner.split(signs).map(str::trim).collect()
    } else {
        inner.split_whitespace().collect()
    };
    let size = |part: &&str| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<usize>().ok().filter(|_| digits)
    };
    let sizes: Option<Vec<_>> = parts.iter().map(size).collect();
    let sizes = sizes.filter(|sizes| !sizes.is_empty()).ok_or(NO_SHAPE)?;
    Ok(Typed {
        answer: Answer::Shape(sizes),
        decimals: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(above: i64, below: i64) -> Answer {
        Answer::Number(Ratio::new(above, below))
    }

    #[test]
    fn a_number_has_many_spellings() {
        let spellings = [
            (
                1,
                2,
                "1/2 .5 0.5 0,5 ,5 +1/2 0.50 2/4 −1/−2 000.5 1⁄2 0.500",
            ),
            (-1, 2, "−1/2 -1/2 –.5 -0,5 1/-2 −0.50"),
            (2, 1, "2 +2 2. 2.0 2,0 4/2 02"),
            (0, 1, "0 -0 0/3 0.0"),
        ];
        for (above, below, typed) in spellings {
            let right = of(above, below);
            for typed in typed.split(' ') {
                let read = right.read(typed);
                assert!(read.is_ok_and(|t| t.is(&right)), "{typed}");
            }
        }
        for typed in [" 1/2 ", "1 / 2", "+ 1/2", "\u{a0}0.5"] {
            let read = of(1, 2).read(typed);
            assert!(read.is_ok_and(|t| t.is(&of(1, 2))), "{typed}");
        }
    }

    #[test]
    fn what_is_no_number_is_said_and_not_judged() {
        let none = [
            "",
            " ",
            "-",
            ".",
            "/",
            "1/",
            "/2",
            "1/0",
            "1/2/3",
            "1 1/2",
            "1 2",
            "one",
            "1e3",
            "0x10",
            "1.2.3",
            "--1",
            "½",
            "0.5/2",
            "NaN",
            "∞",
            "99999999999999999999",
            "0.00000000000000001",
            "(1)",
            "1%",
        ];
        for typed in none {
            let read = of(1, 2).read(typed);
            assert!(read.is_err_and(|why| why.ends_with('.')), "{typed}");
        }
    }

    #[test]
    fn three_digits_are_enough_and_two_are_not() {
        let right = of(2, 3);
        let rounds = |typed: &str| right.read(typed).unwrap().rounds(&right);
        for typed in ["0.667", "0.666", ".6667", "0,66666", "0.6666667"] {
            assert!(rounds(typed), "{typed}");
        }
        for typed in ["0.67", "0.7", "0.665", "0.668", "667/1000", "0.6650"] {
            assert!(!rounds(typed), "{typed}");
        }
        let small = of(1, 12);
        let rounds = |typed: &str| small.read(typed).unwrap().rounds(&small);
        assert!(rounds("0.0833") && !rounds("0.083"));
        // A whole number is meant as it stands.
        let large = of(497 * 3 + 1, 3);
        assert!(!large.read("497").unwrap().rounds(&large));
        assert!(large.read("497.3").unwrap().rounds(&large));
    }

    #[test]
    fn signs_and_shapes_have_many_spellings() {
        for typed in ["-", "−", "minus", " Negative ", "–"] {
            let read = Answer::Sign(1).read(typed).unwrap();
            assert!(read.is(&Answer::Sign(-1)), "{typed}");
        }
        assert!(Answer::Sign(1).read("1").is_err());
        let right = Answer::Shape(vec![3, 2]);
        for typed in [
            "(3,2)",
            "3x2",
            "3 × 2",
            "3,2",
            "[3, 2]",
            "3 2",
            "( 3 , 2 )",
            "3X2",
        ] {
            assert!(right.read(typed).unwrap().is(&right), "{typed}");
        }
        let vector = Answer::Shape(vec![2]);
        for typed in ["2", "(2)", "(2,)"] {
            assert!(right.read(typed).unwrap().is(&vector), "{typed}");
        }
        for typed in ["", "()", "(3,2", "3,,2", "B,I", "3.5x2", "-3,2", ","] {
            assert!(right.read(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn nothing_that_is_typed_stops_the_reader() {
        let kinds = [of(1, 3), Answer::Sign(1), Answer::Shape(vec![2])];
        let signs = ['1', '-', '/', '.', ',', '(', ')', ' ', '−', 'x', 'é'];
        for n in 0..signs.len().pow(5) {
            let typed: String = (0..5)
                .map(|k| signs[n / signs.len().pow(k) % signs.len()])
                .collect();
            for kind in &kinds {
                let _ = kind.read(&typed);
            }
        }
        for kind in &kinds {
            let _ = kind.read(&"9".repeat(5000));
            let _ = kind.read(")");
            let _ = kind.read("(");
        }
    }
}
