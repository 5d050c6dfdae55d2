//! Numbers and letters.

/// A number with `digits` significant digits: `−1.885`, `0.7781`,
/// `1.2×10⁻⁹`. Trailing zeros go, the minus sign is a minus sign.
///
/// ```
/// use figures::kit::number;
/// assert_eq!(number(-1.8845208682, 4), "−1.885");
/// assert_eq!(number(2.25, 4), "2.25");
/// assert_eq!(number(100.0, 2), "100");
/// assert_eq!(number(1.234e-9, 2), "1.2×10⁻⁹");
/// assert_eq!(number(-0.0, 3), "0");
/// ```
pub fn number(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        let text = if value.is_nan() { "NaN" } else { "∞" };
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{text}");
    }
    let scientific = format!("{:.*e}", digits.max(1) - 1, value.abs());
    let (mantissa, exponent) =
        scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if value < 0.0 { "−" } else { "" };
    let text = if (-4..6).contains(&exponent) {
        let places = (digits as i32 - 1 - exponent).max(0) as usize;
        trim(&format!("{:.places$}", value.abs())).to_string()
    } else if trim(mantissa) == "1" {
        format!("10{}", superscript(exponent))
    } else {
        format!("{}×10{}", trim(mantissa), superscript(exponent))
    };
    format!("{sign}{text}")
}

/// A number with `places` digits after the point, all of them, for columns
/// and cells: `−0.50`.
///
/// ```
/// use figures::kit::fixed;
/// assert_eq!(fixed(-0.5, 2), "−0.50");
/// assert_eq!(fixed(-0.001, 2), "0.00");
/// ```
pub fn fixed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| "0.".contains(c)) => {
            digits.into()
        }
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

fn trim(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// `-9` as `⁻⁹`.
pub(super) fn superscript(exponent: i32) -> String {
    exponent
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            digit => {
                let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
                digits[digit.to_digit(10).unwrap_or(0) as usize]
            }
        })
        .collect()
}

/// A coordinate: one decimal is a tenth of what a screen shows.
pub(super) fn coordinate(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

/// An opacity or another factor: two decimals.
pub(super) fn factor(value: f64) -> String {
    let text = format!("{value:.2}");
    trim(&text).to_string()
}

/// For text and attributes. Also `$` and backticks, which would be formulas
/// and code to what reads the page before the browser does.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '$' => out.push_str("&#36;"),
            '`' => out.push_str("&#96;"),
            '{' => out.push_str("&#123;"),
            '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Rough width of a text in a sans-serif face: for room, not for alignment.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | '\'' | '|' | ' ' => 0.3,
            'm' | 'w' | 'M' | 'W' | '−' | '×' | '=' | '+' => 0.8,
            'A'..='Z' => 0.67,
            '_' | '^' | '{' | '}' => 0.0,
            _ => 0.56,
        })
        .sum();
    em * size
}

/// One stretch of a formula.
#[derive(Debug, PartialEq)]
pub(super) struct Stretch {
    pub text: String,
    /// 0 on the line, -1 below, 1 above.
    pub level: i8,
    pub italic: bool,
}

/// `D_in`, `W^T`, `x_{ij}` into stretches; single letters are italic.
pub(super) fn formula(source: &str) -> Vec<Stretch> {
    let chars: Vec<char> = source.chars().collect();
    let mut out: Vec<Stretch> = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let level = match chars[i] {
            '_' => -1,
            '^' => 1,
            _ => 0,
        };
        let start;
        let end;
        if level != 0 && chars.get(i + 1) == Some(&'{') {
            start = i + 2;
            end = (start..chars.len())
                .find(|&j| chars[j] == '}')
                .unwrap_or(chars.len());
            i = end + 1;
        } else if level != 0 {
            start = i + 1;
            end = (start..chars.len())
                .find(|&j| !chars[j].is_alphanumeric())
                .unwrap_or(chars.len());
            i = end;
        } else {
            start = i;
            // A raised T is a sign: the W of Wᵀ stays a letter.
            let letter = |c: char| c.is_alphabetic() && c != 'ᵀ';
            let kind = letter(chars[i]);
            end = (start..chars.len())
                .find(|&j| letter(chars[j]) != kind || "_^".contains(chars[j]))
                .unwrap_or(chars.len())
                .max(start + 1);
            i = end;
        }
        let text: String = chars[start..end].iter().collect();
        // Words such as sin stand upright, letters and dW are italic.
        let letters = text.chars().count();
        // The article is a word, unless something else than a word follows.
        let article = text == "a"
            && chars.get(i) == Some(&' ')
            && chars.get(i + 1).is_some_and(|c| c.is_alphabetic());
        let italic = text.chars().all(|c| c.is_alphabetic() && c != 'ᵀ')
            && !article
            && (letters == 1 || (letters == 2 && text.starts_with('d')));
        if !text.is_empty() {
            out.push(Stretch {
                text,
                level,
                italic,
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_never_minus_zero() {
        assert_eq!(coordinate(12.0), "12");
        assert_eq!(coordinate(-0.04), "0");
        assert_eq!(coordinate(3.25), "3.2");
        assert_eq!(factor(0.5), "0.5");
        assert_eq!(factor(1.0), "1");
    }

    #[test]
    fn numbers_at_the_edges() {
        assert_eq!(number(999_999.0, 3), "10⁶");
        assert_eq!(number(0.0001, 3), "0.0001");
        assert_eq!(number(-3e-5, 3), "−3×10⁻⁵");
        assert_eq!(number(f64::NEG_INFINITY, 3), "−∞");
        assert_eq!(number(0.77807319, 10), "0.77807319");
        assert_eq!(number(9.999, 2), "10");
    }

    #[test]
    fn formulas_have_levels_and_italics() {
        let parts = |s: &str| {
            formula(s)
                .iter()
                .map(|p| {
                    let slant = if p.italic { "/" } else { "" };
                    format!("{slant}{}{}", p.text, p.level)
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(parts("D_in"), "/D0 in-1");
        assert_eq!(parts("dW^T"), "/dW0 /T1");
        assert_eq!(parts("x_{i,j}"), "/x0 i,j-1");
        assert_eq!(parts("sin u"), "sin0  0 /u0");
        assert_eq!(parts("dWᵀ"), "/dW0 ᵀ0");
        assert_eq!(parts("a bar"), "a0  0 bar0");
        assert_eq!(parts("a_1"), "/a0 1-1");
        assert_eq!(parts("_"), "");
    }

    #[test]
    fn escapes_what_markdown_and_xml_would_read() {
        assert_eq!(escape("a<b & $x$"), "a&lt;b &amp; &#36;x&#36;");
        assert_eq!(escape("{{#include"), "&#123;&#123;#include");
    }
}
