//! Whether two texts or two JSON values agree within a tolerance, and where
//! not.

use serde_json::Value;

use crate::Tolerance;

// ---------------------------------------------------------------- text

/// The first line on which two texts disagree: its number and both lines.
pub fn different_line(
    old: &str,
    new: &str,
    tolerance: Tolerance,
) -> Option<(usize, String, String)> {
    let (mut olds, mut news) = (old.split('\n'), new.split('\n'));
    for line in 1.. {
        match (olds.next(), news.next()) {
            (None, None) => break,
            (Some(a), Some(b)) if same_line(a, b, tolerance) => {}
            (a, b) => {
                let shown = |s: Option<&str>| match s {
                    None => "(nothing)".into(),
                    Some(s) => s.trim().chars().take(60).collect(),
                };
                return Some((line, shown(a), shown(b)));
            }
        }
    }
    None
}

/// Equal but for numbers that agree within the tolerance.
fn same_line(a: &str, b: &str, tolerance: Tolerance) -> bool {
    if a == b {
        return true;
    }
    if tolerance == Tolerance::EXACT {
        return false;
    }
    let ((words_a, a), (words_b, b)) = (numbers(a), numbers(b));
    words_a == words_b
        && a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| tolerance.agree(*a, *b))
}

/// A line split into the text between the numbers (runs of spaces as one:
/// a sign more or less moves columns) and the numbers.
fn numbers(line: &str) -> (Vec<String>, Vec<f64>) {
    let chars: Vec<char> = line.chars().collect();
    let (mut words, mut values) = (vec![String::new()], Vec::new());
    let mut i = 0;
    while i < chars.len() {
        let inside_name = words
            .last()
            .and_then(|w| w.chars().last())
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        match (!inside_name).then(|| number_at(&chars[i..])).flatten() {
            Some((value, length)) => {
                values.push(value);
                words.push(String::new());
                i += length;
            }
            None => {
                if let Some(word) = words.last_mut()
                    && !(chars[i] == ' ' && word.ends_with(' '))
                {
                    word.push(chars[i]);
                }
                i += 1;
            }
        }
    }
    (words, values)
}

/// The longest number at the start: `-1`, `0.25`, `1.5e-9`, also with `−`.
fn number_at(chars: &[char]) -> Option<(f64, usize)> {
    let mut text = String::new();
    let mut best = None;
    for (i, &c) in chars.iter().enumerate() {
        match c {
            '0'..='9' | '.' | 'e' | '-' | '+' => text.push(c),
            '−' => text.push('-'),
            _ => break,
        }
        if c.is_ascii_digit()
            && let Ok(value) = text.parse()
        {
            best = Some((value, i + 1));
        }
    }
    best
}

// ---------------------------------------------------------------- JSON

pub struct Difference {
    /// JSON pointer.
    pub at: String,
    pub old: String,
    pub new: String,
}

impl Difference {
    pub fn place(&self) -> &str {
        if self.at.is_empty() { "/" } else { &self.at }
    }
}

/// The first place where numbers disagree or the structure differs.
pub fn compare(old: &Value, new: &Value, t: Tolerance) -> Option<Difference> {
    differ(old, new, "", &|a, b| t.agree(a, b))
}

pub fn same_structure(old: &Value, new: &Value) -> bool {
    differ(old, new, "", &|_, _| true).is_none()
}

fn differ(
    old: &Value,
    new: &Value,
    at: &str,
    agree: &dyn Fn(f64, f64) -> bool,
) -> Option<Difference> {
    let differs = |old: String, new: String| {
        Some(Difference {
            at: at.into(),
            old,
            new,
        })
    };
    match (old, new) {
        (Value::Number(a), Value::Number(b)) => {
            let (x, y) = (a.as_f64()?, b.as_f64()?);
            (!agree(x, y)).then(|| differs(a.to_string(), b.to_string()))?
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                let count = |n: usize| format!("{n} entries");
                return differs(count(a.len()), count(b.len()));
            }
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| {
                differ(a, b, &format!("{at}/{i}"), agree)
            })
        }
        (Value::Object(a), Value::Object(b)) => {
            let (old, new) = (sorted(a), sorted(b));
            let keys = |entries: &[(&String, &Value)]| {
                let keys: Vec<_> =
                    entries.iter().map(|(key, _)| key.as_str()).collect();
                format!("keys {}", keys.join(" "))
            };
            if keys(&old) != keys(&new) {
                return differs(keys(&old), keys(&new));
            }
            old.iter().zip(&new).find_map(|((key, a), (_, b))| {
                differ(a, b, &format!("{at}/{key}"), agree)
            })
        }
        (a, b) if a == b => None,
        (a, b) => differs(a.to_string(), b.to_string()),
    }
}

/// By key: whether a JSON map keeps another order depends on how serde_json
/// was built.
fn sorted(map: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

pub fn null_at(value: &Value, at: String) -> Option<String> {
    match value {
        Value::Null => Some(at),
        Value::Array(a) => a
            .iter()
            .enumerate()
            .find_map(|(i, v)| null_at(v, format!("{at}/{i}"))),
        Value::Object(o) => {
            o.iter().find_map(|(k, v)| null_at(v, format!("{at}/{k}")))
        }
        _ => None,
    }
}

/// JSON for people who read diffs: one key or row per line, short arrays on
/// one line.
pub fn json_text(value: &Value) -> String {
    let mut layout = Layout::default();
    layout.value(value, 0, "");
    layout.text.push('\n');
    layout.text
}

/// The line of `at` in the file that [`json_text`] writes.
pub fn json_line(value: &Value, at: &str) -> usize {
    let mut layout = Layout {
        wanted: Some(at.into()),
        ..Layout::default()
    };
    layout.value(value, 0, "");
    layout.line
}

#[derive(Default)]
struct Layout {
    text: String,
    wanted: Option<String>,
    line: usize,
}

impl Layout {
    const WIDTH: usize = 80;

    fn value(&mut self, value: &Value, depth: usize, at: &str) {
        let inside = |w: &String| {
            w == at || w.strip_prefix(at).is_some_and(|r| r.starts_with('/'))
        };
        if self.wanted.as_ref().is_some_and(inside) {
            self.line = 1 + self.text.matches('\n').count();
        }
        let flat = value.to_string();
        let simple = match value {
            Value::Array(a) => !a.iter().any(|v| v.is_object()),
            _ => true,
        };
        let column = self.text.len()
            - self.text.rfind('\n').map_or(0, |newline| newline + 1);
        let fits = column + flat.len() < Self::WIDTH;
        match value {
            Value::Object(o) if !o.is_empty() && (depth == 0 || !fits) => {
                self.list(
                    ('{', '}'),
                    sorted(o).into_iter(),
                    depth,
                    |me, (key, value)| {
                        let key_text = Value::from(key.as_str());
                        me.text.push_str(&format!("{key_text}: "));
                        me.value(value, depth + 1, &format!("{at}/{key}"));
                    },
                );
            }
            Value::Array(a) if !(a.is_empty() || simple && fits) => {
                let entries = a.iter().enumerate();
                self.list(('[', ']'), entries, depth, |me, (i, value)| {
                    me.value(value, depth + 1, &format!("{at}/{i}"));
                });
            }
            _ => self.text.push_str(&flat),
        }
    }

    fn list<T>(
        &mut self,
        (open, close): (char, char),
        entries: impl Iterator<Item = T>,
        depth: usize,
        mut entry: impl FnMut(&mut Self, T),
    ) {
        self.text.push(open);
        for (i, item) in entries.enumerate() {
            self.text.push_str(if i == 0 { "\n" } else { ",\n" });
            self.text.push_str(&" ".repeat(depth + 1));
            entry(self, item);
        }
        self.text.push('\n');
        self.text.push_str(&" ".repeat(depth));
        self.text.push(close);
    }
}
