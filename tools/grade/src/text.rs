//! The learner's text on its way to a terminal.

use examiner::{Report, Verdict};

/// The same text, of which a terminal shows every character and obeys none:
/// what moves its cursor, names its window or types for it becomes a picture
/// of itself.
///
/// ```
/// use grade::text::harmless;
/// assert_eq!(harmless("a\tb\n"), "a\tb\n");
/// assert_eq!(harmless("\x1b]0;title\x07"), "␛]0;title␇");
/// ```
pub fn harmless(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

fn shown(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\x7f' => '␡',
        '\0'..='\x1f' => {
            char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')
        }
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        _ => c,
    }
}

/// [`harmless`], but for colours, which the compiler's messages come with.
pub fn harmless_but_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut all = harmless(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit() && c != ';');
        let (code, rest) = part.split_at(digits.unwrap_or(part.len()));
        match rest.strip_prefix('m') {
            Some(rest) => {
                all += &format!("\x1b[{code}m");
                all += &harmless(rest);
            }
            None => {
                all += "␛[";
                all += &harmless(part);
            }
        }
    }
    all
}

/// A verdict whose every word is [`harmless`].
pub(crate) fn verdict(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Passed { note } => Verdict::Passed {
            note: harmless(&note),
        },
        Verdict::NotAttempted => Verdict::NotAttempted,
        Verdict::Failed(report) => {
            let Report {
                compared,
                inputs,
                got,
                expected,
                scope,
                remark,
                ..
            } = &report;
            Verdict::Failed(Report {
                compared: harmless(compared),
                inputs: harmless(inputs),
                got: harmless(got),
                expected: harmless(expected),
                scope: harmless(scope),
                remark: harmless(remark),
                ..report
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, shown) in [
            ("\x1b[2J", "␛[2J"),
            ("a\rb", "a␍b"),
            ("a\r\nb", "a\nb"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("\x08\x7f", "␈␡"),
            ("σ → é\n", "σ → é\n"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }

    #[test]
    fn colours_of_the_compiler_stay() {
        let red = "\x1b[1m\x1b[38;5;9merror\x1b[0m: no\n";
        assert_eq!(harmless_but_colours(red), red);
        assert_eq!(
            harmless_but_colours("\x1b[31mred\x1b[2J\x1b]0;a\x07\x1b[3"),
            "\x1b[31mred␛[2J␛]0;a␇␛[3"
        );
    }

    #[test]
    fn a_verdict_is_shown_and_not_obeyed() {
        let report = Report::new("y", "panic: \x1bc", "1").remark("at \x07:1");
        let Verdict::Failed(shown) = verdict(Verdict::Failed(report)) else {
            panic!("it stays what it was");
        };
        assert_eq!((&*shown.got, &*shown.remark), ("panic: ␛c", "at ␇:1"));
    }
}
